r"""The transport reading: a step without noise, on the line, run on points that carry their derivative.

Given its midpoints a predictor is a map x -> F(x) of the line. Run on a point and the number 1, its own code yields
F(x) and F'(x): sums and multiples act on both, and the score on (x, x') gives (s(x), s'(x) x'). So the density that
comes out is known where the points go, p(F(z)) = p_0(z)/|F'(z)|, and ln(p/q) with it.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.readings.affine import Given
from rmverify.readings.duals import Dual
from rmverify.schemes.contract import Scheme, velocity_variance

__all__ = ["Law1D", "Silent", "carry", "score_along"]


class Law1D(Protocol):
    """A target on the line whose score has a slope in closed form, such as `rmverify.targets.Factor`."""

    def score(self, t: Any, x: Any) -> Any: ...

    def slope(self, t: Any, x: Any) -> Any: ...


class Silent(Given):
    """Hands out what is given; there is no noise."""

    def strata(self, count: int) -> tuple[Array, Array]:
        rows = np.asarray(self._take(count))
        first = np.arange(count).reshape(-1, *(1,) * (rows.ndim - 1))
        return (0 * rows + first) / count, rows  # k/R, over balls where the midpoints are balls

    def cells(self, count: int) -> Array:
        raise TypeError(_NOISY)

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        raise TypeError(_NOISY)


_NOISY = (
    "scheme: it draws normal values or carries a velocity, so its output is no function of its start; draw from it "
    "with rmverify.sample, or use a predictor without noise"
)


def score_along(law: Law1D, t: Any, x: Any) -> Any:
    """The score at points, with its derivative where they carry theirs."""
    if not isinstance(x, Dual):
        return law.score(t, np.asarray(x))
    return Dual(law.score(t, x.value), law.slope(t, x.value) * x.slope)


def carry(scheme: Scheme, law: Law1D, x: Dual, t: Any, h: Any, alphas: Any = None) -> Dual:
    """Where one step takes the points, and the derivatives there.

    Parameters
    ----------
    scheme : scheme on x without noise
    law : target on the line
        Its score is what the scheme asks.
    x : Dual
    t, h : number or array
        Noise level and step; arrays broadcast with the points.
    alphas : array (A, ...), optional
        The A midpoints of the step along the first axis; the rest broadcasts with the points.

    Raises
    ------
    TypeError
        Where the scheme draws normals or carries a velocity.

    Examples
    --------
    >>> from rmverify.schemes import randomized_midpoint
    >>> from rmverify.targets import TwoGaussians
    >>> law, z = TwoGaussians(2.0), np.array([0.3, 0.3 + 1e-6])
    >>> end = carry(randomized_midpoint, law, Dual(z, np.ones(2)), 1.0, 0.5, np.array([0.25]))
    >>> bool(abs(np.diff(end.value)[0] / 1e-6 - end.slope[0]) < 1e-5)
    True
    """
    if velocity_variance(scheme) is not None:
        raise TypeError(_NOISY)
    end = scheme(x, t, h, functools.partial(score_along, law), Silent(alphas))
    if not isinstance(end, Dual):
        raise TypeError(f"scheme: it returned {type(end).__name__} instead of points on the line")
    return end.spread()
