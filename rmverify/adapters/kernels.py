r"""Kernels of blackjax, and everything with `init(position)` and `step(key, state)` built from a log density.

The code differentiates the log density by itself. On a Gaussian target this is l(x) = x (s(x) + s(0))/2 up to a
constant, with the exact score s, and its derivative is handed over as s itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rmverify.samplers import Kernel

__all__ = ["blackjax"]

_ACCEPTS = "does it accept or reject, or normalize? Such steps (MALA, HMC, NUTS, MCLMC) are not affine"


def blackjax(build: Callable[..., Any], *arguments: Any, name: str = "") -> Kernel:
    r"""A kernel of JAX as a Markov step that is read in one state at a time.

    Parameters
    ----------
    build : callable
        ``build(logdensity)`` returns an object, or a pair, with ``init(position)`` and ``step(key, state, ...)``, such
        as ``lambda logdensity: blackjax.ghmc(logdensity, ...)``. Code that wants a gradient differentiates it,
        ``jax.grad(logdensity)``.
    *arguments
        What step is called with beside key and state: for blackjax's stochastic gradient kernels a minibatch and a step
        size.
    name : str

    Returns
    -------
    Kernel
        Refused when it is read, where its steps accept, reject or adapt. Of what step returns, a pair (state, info) is
        the state.

    Examples
    --------
    With ``import blackjax as bj``, the unadjusted Langevin algorithm with step h, whose stationary variances are
    lam/(1 - h/(2 lam)), is ``bj.sgld`` with the full gradient:

    >>> from rmverify import adapters
    >>> sgld = lambda logdensity: bj.sgld(lambda x, batch: jax.grad(logdensity)(x))
    >>> adapters.blackjax(sgld, None, 0.1, name="sgld")
    Kernel(sgld)
    """
    if not callable(build):
        raise ValueError(f"build: expected a function build(logdensity), got {type(build).__name__}")

    def parts(gradient: Any) -> tuple[Any, Any]:
        made = build(_logdensity(gradient))
        if hasattr(made, "init") and hasattr(made, "step"):
            return made.init, made.step
        if isinstance(made, tuple) and len(made) == 2 and all(callable(part) for part in made):
            return made
        raise ValueError(f"build: expected an object with init and step, or a pair of these, got {type(made).__name__}")

    def init(x: Any, noise: Any, gradient: Any) -> Any:
        return parts(gradient)[0](x)

    def step(state: Any, gradient: Any, noise: Any) -> Any:
        import jax

        out = parts(gradient)[1](jax.random.key(0), state, *arguments)
        of_state = jax.tree.structure(state)
        pair = isinstance(out, tuple) and len(out) == 2 and jax.tree.structure(out) != of_state
        return out[0] if pair else out

    return Kernel(
        step, init=init, single=True, like="jax", hint=_ACCEPTS, name=name or getattr(build, "__name__", "kernel")
    )


def _logdensity(gradient: Any) -> Any:
    """The log density whose derivative is `gradient`, which is affine and symmetric."""
    import jax

    @jax.custom_jvp
    def logdensity(x: Any) -> Any:
        return (x * (gradient(x) + gradient(0 * x))).sum() / 2

    @logdensity.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        slope = gradient(x)
        return (x * (slope + gradient(0 * x))).sum() / 2, (slope * dx).sum()

    return logdensity
