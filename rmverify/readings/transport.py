r"""The transport reading: a step without noise, on the line, run on points that carry their derivative.

Given its midpoints a predictor is a map x -> F(x) of the line. Run on a point and the number 1, its own code yields
F(x) and F'(x): sums and multiples act on both, and the score on (x, x') gives (s(x), s'(x) x'). So the density that
comes out is known where the points go, p(F(z)) = p_0(z)/|F'(z)|, and ln(p/q) with it.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rmverify.elementary import prefix, total
from rmverify.numbers.checks import Array
from rmverify.readings.affine import Given
from rmverify.schemes.contract import Scheme, velocity_variance

__all__ = ["Carried", "Law1D", "Silent", "carry", "of_one_shape"]


class Law1D(Protocol):
    """A target on the line whose score has a slope in closed form, such as `rmverify.targets.Factor`."""

    def score(self, t: Any, x: Any) -> Any: ...

    def slope(self, t: Any, x: Any) -> Any: ...


class Carried:
    """Points and their derivatives in the start, arrays of one shape. Numbers and arrays act on it."""

    __array_ufunc__ = None
    __slots__ = ("slope", "value")
    over_balls = True  # where its parts are

    def __init__(self, value: Any, slope: Any) -> None:
        self.value, self.slope = value, slope

    def map(self, change: Any) -> Carried:
        return Carried(change(self.value), change(self.slope))

    def __add__(self, other: Any) -> Carried:
        if isinstance(other, Carried):
            return Carried(self.value + other.value, self.slope + other.slope)
        return Carried(self.value + other, self.slope)

    __radd__ = __add__

    def __neg__(self) -> Carried:
        return self.map(lambda part: -part)

    def __sub__(self, other: Any) -> Carried:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Carried:
        return (-self).__add__(other)

    def __mul__(self, factor: Any) -> Carried:
        if isinstance(factor, Carried):
            return Carried(self.value * factor.value, self.slope * factor.value + self.value * factor.slope)
        return self.map(lambda part: factor * part)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Carried:
        if isinstance(divisor, Carried):
            ratio = self.value / divisor.value
            return Carried(ratio, (self.slope - ratio * divisor.slope) / divisor.value)
        return self.map(lambda part: part / divisor)

    def __rtruediv__(self, dividend: Any) -> Carried:
        ratio = dividend / self.value
        return Carried(ratio, -ratio * self.slope / self.value)


def of_one_shape(z: Carried) -> Carried:
    """Value and slope of one shape: a slope of 1 is not yet one for every stratum."""
    shape = np.broadcast_shapes(np.shape(z.value), np.shape(z.slope))
    return z.map(lambda part: np.broadcast_to(part, shape))


total.register(Carried, lambda z: of_one_shape(z).map(total))
prefix.register(Carried, lambda z: of_one_shape(z).map(prefix))


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


def carry(scheme: Scheme, law: Law1D, x: Carried, t: Any, h: Any, alphas: Any = None) -> Carried:
    """Where one step takes the points, and the derivatives there.

    Parameters
    ----------
    scheme : scheme on x without noise
    law : target on the line
        Its score is what the scheme asks.
    x : Carried
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
    >>> end = carry(randomized_midpoint, law, Carried(z, np.ones(2)), 1.0, 0.5, np.array([0.25]))
    >>> bool(abs(np.diff(end.value)[0] / 1e-6 - end.slope[0]) < 1e-5)
    True
    """
    if velocity_variance(scheme) is not None:
        raise TypeError(_NOISY)

    def score(t: Any, point: Any) -> Any:
        if not isinstance(point, Carried):
            return law.score(t, np.asarray(point))
        return Carried(law.score(t, point.value), law.slope(t, point.value) * point.slope)

    end = scheme(x, t, h, score, Silent(alphas))
    if not isinstance(end, Carried):
        raise TypeError(f"scheme: it returned {type(end).__name__} instead of points on the line")
    return of_one_shape(end)
