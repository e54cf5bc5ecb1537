"""Noise levels that libraries sample at, by their published formulas."""

from __future__ import annotations

import numpy as np

from rmverify.adapters import karras as sigmas
from rmverify.numbers.checks import Array
from rmverify.paths import VP, Path

__all__ = ["SD", "VP_BY_SIGMA", "geometric", "karras"]

SD = VP(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))
"""Stable Diffusion's 1000 timesteps: sqrt(beta) linear from sqrt(0.00085) to sqrt(0.012), alpha^2 = prod(1 - beta)."""

VP_BY_SIGMA = Path(
    lambda s: 1 / np.sqrt(1 + s * s), lambda s: s / np.sqrt(1 + s * s), levels=(0, 1e6), name="VP by sigma"
)
"""alpha^2 + sigma^2 = 1, where the level is the ratio sigma/alpha."""


def geometric(n: int, first: float = 15.0, last: float = 0.03) -> Array:
    """n + 1 levels with a fixed ratio."""
    return np.geomspace(first, last, n + 1)


def karras(n: int, first: float = 14.6146, last: float = 0.0291675) -> Array:
    """n levels, evenly spaced in sigma^(1/7): equation 5 of Karras et al. 2022."""
    return sigmas(n, low=last, high=first)[:-1]
