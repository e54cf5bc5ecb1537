"""Numbers that carry their slopes, so that a step run on them yields its derivative too: no formula is written for it.

The same number serves the points of a line, whose slope is that of the map so far, and the boxes of a search, whose
slopes are along their sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmverify.elementary import exp, expm1, joined, log1p, part_of, prefix, sqrt, total
from rmverify.readings.affine import AffineForm

__all__ = ["Dual", "identity"]


class Dual:
    """A value and its slopes in a few directions: floats, balls or jets, or arrays of them. Arrays act on it.

    An affine form takes it as one of its coefficients, from either side.

    Examples
    --------
    >>> x = Dual(2.0, 1.0)
    >>> (x * x / (1 + x)).slope  # (2 x + x^2)/(1 + x)^2
    0.888888888889
    """

    __array_ufunc__ = None
    __slots__ = ("slopes", "value")
    over_balls = True  # where its parts are

    def __init__(self, value: Any, *slopes: Any) -> None:
        self.value, self.slopes = value, slopes

    @property
    def slope(self) -> Any:
        """The first slope, where there is one alone."""
        return self.slopes[0]

    def map(self, change: Any) -> Dual:
        """`change` of the value and of every slope."""
        return Dual(change(self.value), *map(change, self.slopes))

    def apply(self, value: Any, derivative: Any) -> Dual:
        """f of this number, from f and f' at its value."""
        return Dual(value, *(derivative * s for s in self.slopes))

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, *(a + b for a, b in zip(self.slopes, other.slopes, strict=True)))
        return NotImplemented if isinstance(other, AffineForm) else Dual(self.value + other, *self.slopes)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return self.map(lambda part: -part)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Dual):
            pairs = zip(self.slopes, other.slopes, strict=True)
            return Dual(self.value * other.value, *(a * other.value + self.value * b for a, b in pairs))
        return NotImplemented if isinstance(other, AffineForm) else self.map(lambda part: part * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            value = self.value / other.value
            pairs = zip(self.slopes, other.slopes, strict=True)
            return Dual(value, *((a - value * b) / other.value for a, b in pairs))
        return self.map(lambda part: part / other)

    def __rtruediv__(self, other: Any) -> Dual:
        value = other / self.value
        return self.apply(value, -value / self.value)

    def __pow__(self, power: int) -> Any:
        if not isinstance(power, int):  # a root has no value on one side of 0
            return NotImplemented
        if power == 0:
            return self.apply(self.value * 0 + 1, self.value * 0)
        return self.apply(self.value**power, power * self.value ** (power - 1))

    def exp(self) -> Dual:
        value = exp(self.value)
        return self.apply(value, value)

    def expm1(self) -> Dual:
        return self.apply(expm1(self.value), exp(self.value))

    def log1p(self) -> Dual:
        return self.apply(log1p(self.value), 1 / (1 + self.value))

    def log(self) -> Dual:
        return self.apply(self.value.log(), 1 / self.value)

    def sqrt(self) -> Dual:
        value = sqrt(self.value)
        return self.apply(value, 1 / (2 * value))

    def spread(self) -> Dual:
        """All parts of one shape: a slope of 1 is not yet one for every stratum."""
        shape = np.broadcast_shapes(np.shape(self.value), *map(np.shape, self.slopes))
        return self.map(lambda part: np.broadcast_to(part, shape))


exp.register(Dual, Dual.exp)
expm1.register(Dual, Dual.expm1)
log1p.register(Dual, Dual.log1p)
sqrt.register(Dual, Dual.sqrt)
total.register(Dual, lambda z: z.spread().map(total))
prefix.register(Dual, lambda z: z.spread().map(prefix))
part_of.register(Dual, lambda z, count, k: z.spread().map(lambda part: part_of(part, count, k)))


@joined.register(Dual)
def _(*parts: Dual) -> Dual:
    spread = [part.spread() for part in parts]
    slopes = zip(*(part.slopes for part in spread), strict=True)
    return Dual(joined(*(part.value for part in spread)), *(joined(*each) for each in slopes))


def identity(x: Any) -> Dual:
    """Points that no step has moved yet: their slope is 1."""
    return Dual(x, np.ones_like(x))
