r"""Solvers of ordinary differential equations, handed the probability flow of a path.

The probability flow carries the law of x_t of one level to that of any other without noise. In the clock of a path it
is dx/dt = alpha'(t) E[x_0 | x_t = x] + sigma'(t) E[eps | x_t = x], and any ODE solver of fixed steps is a sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify.adapters.family import Family
from rmverify.numbers.checks import Array, finite_array
from rmverify.paths import OU, VE, VP, Flow, Path
from rmverify.samplers import Sampler

__all__ = ["ode"]


def ode(
    solve: Callable[..., Any], path: Path | None = None, *, levels: Callable[[int], Any], like: Any = "numpy",
    name: str = "",
) -> Family:  # fmt: skip
    r"""An ODE solver as samplers of N steps, along the probability flow of a path.

    ===================  ========  ==========================================
    path                 level     f(t, x) = dx/dt
    ===================  ========  ==========================================
    `OU`                 time      -x - score
    `VP` with beta       time      -beta(t) (x + score)/2
    `VE`                 sigma     E[eps | x]
    `Flow`               time      E[eps - x_0 | x], divided by its scale
    ===================  ========  ==========================================

    Parameters
    ----------
    solve : callable
        ``solve(f, x, levels)`` returns x at ``levels[-1]`` of dx/dt = f(t, x), with x at ``levels[0]``, of shape
        (rows, columns): one step from each level to the next. Steps that depend on x are refused as not affine.
    path : Path
        `OU` by default.
    levels : callable
        ``levels(N)`` are N + 1 levels, going down. The last is the level of the output, but where it is 0.
    like : {"numpy", "torch", "jax"} or array
    name : str

    Raises
    ------
    ValueError
        For a path whose flow is not known, or levels that do not go down.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, paths
    >>> def euler(f, x, levels):
    ...     for t, s in zip(levels[:-1], levels[1:]):
    ...         x = x + (s - t) * f(t, x)
    ...     return x
    >>> family = ode(euler, paths.Flow(), levels=lambda N: np.linspace(1, 0, N + 1))
    >>> reading = family(10).read(Gaussian([0.0], [1.0]))
    >>> reading.evaluations, [call.level for call in reading.calls[:2]]
    (10, [1.0, 0.9])
    """
    if not callable(solve):
        raise ValueError(f"solve: expected a function solve(f, x, levels), got {type(solve).__name__}")
    path = OU() if path is None else path
    predicts, flow = _flow(path)
    name = name or getattr(solve, "__name__", type(solve).__name__)

    def make(N: int) -> Sampler:
        at: Array = finite_array("levels", levels(N), ndim=1)
        if at.size < 2 or not (np.diff(at) < 0).all():
            raise ValueError(f"levels: expected at least two, going down, got {at}")
        _, start = path.at(at[0])

        def run(model: Any, x: Any, noise: Any) -> Any:
            return solve(lambda t, x: flow(model, t, x), float(start) * x, at)

        return Sampler(
            run, path, predicts, like=like, end=float(at[-1]) if at[-1] else None, name=f"{name}, N={N}",
            hint="are its steps fixed? Those of adaptive solvers depend on x",
        )  # fmt: skip

    assumed = f"the probability flow of {path!r}, from sigma(t) times N(0, I) at the first level"
    return Family(make, name, (assumed,))


def _flow(path: Path) -> tuple[str, Callable[[Any, Any, Any], Any]]:
    """What the model predicts, and dx/dt of a model, t and x."""
    if isinstance(path, OU):
        return "score", lambda model, t, x: -x - model(x, t)
    if isinstance(path, VE):
        return "eps", lambda model, t, x: model(x, t)
    if isinstance(path, Flow):
        return "flow", lambda model, t, x: model(x, t) / path.levels[1]
    if isinstance(path, VP) and hasattr(path, "beta"):
        first, last = path.beta
        return "score", lambda model, t, x: -(first + (last - first) * t) / 2 * (x + model(x, t))
    raise ValueError(f"path: expected OU(), VE(), Flow() or VP(beta=...), whose flow is known, got {path!r}")
