r"""Functions of a list of sigmas, `sample_*(model, x, sigmas)`, as k-diffusion and what followed it have them.

The model is a denoiser D(x, sigma) of x_0 + sigma eps, asked as model(x, sigma * ones), and x starts at the first
sigma. Any function that is called so can be read; k-diffusion itself is not needed for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify.adapters.family import Brownian, Family
from rmverify.numbers.checks import Array, finite_array, number, positive_integer
from rmverify.paths import VE
from rmverify.samplers import Sampler

__all__ = ["k_diffusion", "karras"]


def karras(N: int, low: float = 0.002, high: float = 80.0, rho: float = 7.0) -> Array:
    r"""N sigmas from `high` to `low`, evenly spaced in sigma^(1/rho), and 0 (Karras et al. 2022, eq. 5).

    Examples
    --------
    >>> karras(3, low=1.0, high=9.0, rho=2.0)
    array([9., 4., 1., 0.])
    """
    N = positive_integer("N", N)
    low, high, rho = number("low", low, above=0), number("high", high, above=0), number("rho", rho, above=0)
    ends = high ** (1 / rho), low ** (1 / rho)
    return np.append((ends[0] + np.arange(N) / max(N - 1, 1) * (ends[1] - ends[0])) ** rho, 0.0)


def k_diffusion(
    function: Callable[..., Any], sigmas: Any = None, *, brownian: bool | None = None, **options: Any
) -> Family:
    r"""A function ``sample(model, x, sigmas, ...)`` as samplers of N steps.

    Parameters
    ----------
    function : callable
        Such as ``k_diffusion.sampling.sample_heun``.
    sigmas : callable or array_like, optional
        ``sigmas(N)`` are the N + 1 levels of N steps, `karras` by default; or one list of them, for its own N.
    brownian : bool, optional
        Whether it is handed `Brownian` motion as its `noise_sampler`. By default where it would make a Brownian tree of
        its own, whose random numbers would not be ours; other functions draw as they do.
    **options
        What it is called with beside: `eta`, `s_churn`, ...

    Raises
    ------
    ValueError
        For what is no such function, an option that it has not, or sigmas that do not go down.

    Examples
    --------
    >>> from rmverify import Gaussian, output_law
    >>> def sample_euler(model, x, sigmas):
    ...     for s, s_next in zip(sigmas[:-1], sigmas[1:]):
    ...         x = x + (x - model(x, s * x.new_ones([x.shape[0]]))) / s * (s_next - s)
    ...     return x
    >>> k_diffusion(sample_euler)
    Family(sample_euler)
    """
    name = getattr(function, "__name__", type(function).__name__)
    if not takes_sigmas(function):
        raise ValueError(f"sampler: expected a function {name}(model, x, sigmas, ...), got {function!r}")
    has = inspect.signature(function).parameters
    loose = any(p.kind is p.VAR_KEYWORD for p in has.values())
    unknown = [key for key in options if key not in has and not loose]
    if unknown:
        raise ValueError(f"sampler: {name} has no option {unknown[0]}; expected one of {', '.join(list(has)[3:])}")
    code = getattr(inspect.unwrap(function), "__code__", None)
    own = code is not None and any("BrownianTree" in word for word in code.co_names)
    handed = (own and "noise_sampler" not in options) if brownian is None else brownian
    if handed and "noise_sampler" not in has and not loose:
        raise ValueError(f"brownian: expected a function with the argument noise_sampler, got {name}")
    quiet = {"disable": True} if "disable" in has and "disable" not in options else {}
    levels = karras if sigmas is None else sigmas if callable(sigmas) else _fixed(sigmas)

    def make(N: int) -> Sampler:
        at = finite_array("sigmas", levels(N), ndim=1)
        if at.size < 2 or not (np.diff(at) <= 0).all() or at[-1] < 0:
            raise ValueError(f"sigmas: expected at least two that do not go up, and none below 0, got {at}")

        def run(model: Any, x: Any, noise: Any) -> Any:
            import torch

            more = {"noise_sampler": Brownian(noise)} if handed else {}
            given = torch.as_tensor(at, dtype=x.dtype, device=x.device)
            return function(lambda x, sigma, **_: model(x, sigma), x * given[0], given, **quiet, **more, **options)

        changed = [f"{key}={value}" for key, value in options.items()]
        return Sampler(
            run, VE(), "x0", like="torch", name=f"{', '.join([name, *changed])}, N={N}",
            end=None if at[-1] == 0 else float(at[-1]),
        )  # fmt: skip

    assumed = [
        "the path is VE, the level is sigma, and the model predicts x0",
        "x starts as the first sigma times N(0, I)",
        *(["sigmas by Karras' formula from 80 to 0.002, rho = 7, then 0"] if sigmas is None else []),
        *(["noise_sampler is one Brownian motion over sigma, in place of its Brownian tree"] if handed else []),
    ]
    return Family(make, ", ".join([name, *[f"{k}={v}" for k, v in options.items()]]), tuple(assumed))


def takes_sigmas(function: Any) -> bool:
    """Whether it is called as function(model, x, sigmas, ...)."""
    if not callable(function):
        return False
    try:
        return list(inspect.signature(function).parameters)[:3] == ["model", "x", "sigmas"]
    except (TypeError, ValueError):
        return False


def _fixed(sigmas: Any) -> Callable[[int], Array]:
    listed = finite_array("sigmas", sigmas, ndim=1)
    steps = listed.size - 1

    def levels(N: int) -> Array:
        if steps != N:
            raise ValueError(f"N: expected {steps}, as {steps + 1} sigmas are given, got {N}")
        return listed

    return levels
