r"""Functions over boxes: values with derivatives in ball arithmetic, and branch and bound for a guaranteed supremum.

`Dual` carries a value and its slopes in a few directions, in any ring of balls: over ``arb_series`` in h with the slope
in a parameter, over ``arb`` with the gradient along the sides of a box. On a box X with midpoint c the mean-value form

    R(X) in R(c) + sum_i dR/dx_i(X) (X_i - c_i)

bounds R with an error of second order in the widths; where dR/dx_i has one sign, X shrinks to the face where R is
larger.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify import elementary

__all__ = ["EFFORT", "Box", "Dual", "Search", "interval", "supremum"]

LOOSE = 0.05

EFFORT = 20_000
"""The most boxes that a search examines: four times as many as the hardest of the shipped ones needs."""

Box = tuple[tuple[float, float], ...]


class Dual:
    """A value and its slopes: forward differentiation over balls or jets."""

    __slots__ = ("slopes", "value")

    over_balls = True

    def __init__(self, value: Any, slopes: Sequence[Any]) -> None:
        self.value, self.slopes = value, tuple(slopes)

    def apply(self, value: Any, derivative: Any) -> Dual:
        """f of this number, from f and f' at its value."""
        return Dual(value, [derivative * s for s in self.slopes])

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, [a + b for a, b in zip(self.slopes, other.slopes, strict=True)])
        return NotImplemented if _foreign(other) else Dual(self.value + other, self.slopes)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, [-s for s in self.slopes])

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Dual):
            pairs = zip(self.slopes, other.slopes, strict=True)
            return Dual(self.value * other.value, [a * other.value + self.value * b for a, b in pairs])
        return NotImplemented if _foreign(other) else Dual(self.value * other, [s * other for s in self.slopes])

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Dual):
            value = self.value / other.value
            pairs = zip(self.slopes, other.slopes, strict=True)
            return Dual(value, [(a - value * b) / other.value for a, b in pairs])
        return NotImplemented if _foreign(other) else Dual(self.value / other, [s / other for s in self.slopes])

    def __rtruediv__(self, other: Any) -> Any:
        value = other / self.value
        return self.apply(value, -value / self.value)

    def __pow__(self, power: int) -> Dual:
        if power == 0:
            return self.apply(self.value * 0 + 1, self.value * 0)
        return self.apply(self.value**power, power * self.value ** (power - 1))

    def exp(self) -> Dual:
        value = elementary.exp(self.value)
        return self.apply(value, value)

    def expm1(self) -> Dual:
        return self.apply(elementary.expm1(self.value), elementary.exp(self.value))

    def log(self) -> Dual:
        return self.apply(self.value.log(), 1 / self.value)

    def sqrt(self) -> Dual:
        value = elementary.sqrt(self.value)
        return self.apply(value, 1 / (2 * value))


def _foreign(other: Any) -> bool:
    """What takes the number as one of its coefficients: affine forms and arrays."""
    return isinstance(other, np.ndarray) or hasattr(other, "parts")


elementary.exp.register(Dual, Dual.exp)
elementary.expm1.register(Dual, Dual.expm1)
elementary.sqrt.register(Dual, Dual.sqrt)


def interval(low: Any, high: Any) -> Any:
    """The ball that contains both numbers and what lies between them."""
    from flint import arb

    return arb(low).union(arb(high))


@dataclass(frozen=True)
class Search:
    """What branch and bound found: lower <= sup <= upper, a point of the largest value seen, and the boxes left over.

    `unresolved` are the boxes that could not be bounded to 5% above `lower` (or `width`, if larger), the worst first;
    `boxes` counts those looked at.
    """

    lower: float
    upper: float
    point: tuple[int, tuple[float, ...]] | None
    boxes: int
    unresolved: tuple[tuple[int, Box], ...]


def supremum(
    functions: Sequence[Callable[[Box], Dual]],
    domains: Sequence[Box],
    *,
    effort: int,
    width: float,
) -> Search:
    """Enclose the largest value that any of the functions takes on its domain.

    Parameters
    ----------
    functions, domains : sequences of one length
        Each takes a box (pairs of floats) and returns R over it as a `Dual` whose slopes are along the box's sides.
        A value that is not finite says that the box is too large, and its slopes which side to cut.
    effort : int
        Boxes to look at; those that are left then are unresolved.
    width : float
        The relative width upper/lower - 1 at which the search ends.
    """
    lower, point, looked = 0.0, None, 0
    counter = itertools.count()
    sizes = [np.array([b - a for a, b in domain]) for domain in domains]
    heap = [(-np.inf, next(counter), which, domain) for which, domain in enumerate(domains)]
    while heap and looked < effort and not -heap[0][0] <= lower * (1 + width):
        negative, _, which, box = heapq.heappop(heap)
        looked += 1
        function = functions[which]
        over, centre = function(box), tuple((a / 2 + b / 2,) * 2 for a, b in box)
        at = function(centre).value
        if at.is_finite() and float(at.lower()) > lower:
            lower, point = _below(at), (which, tuple(c for c, _ in centre))
        top, box = _bound(over, at, box, centre, -negative)
        if top > lower:
            for half in _halves(box, over, sizes[which]):
                heapq.heappush(heap, (-top, next(counter), which, half))
    upper = max([lower, *(-entry[0] for entry in heap)])
    left = tuple(
        (which, box) for negative, _, which, box in sorted(heap) if -negative > lower * (1 + max(width, LOOSE))
    )
    return Search(lower, float(upper), point, looked, left)


def _below(ball: Any) -> float:
    return float(np.nextafter(float(ball.lower()), -np.inf))


def _bound(over: Dual, at: Any, box: Box, centre: Box, known: float) -> tuple[float, Box]:
    """An upper bound on the box, from its value and its mean-value form; and the face that attains the supremum."""
    bounds = [known]
    face = list(box)
    if not over.value.is_finite():
        return known, box
    bounds.append(float(over.value.upper()))
    if at.is_finite() and all(s.is_finite() for s in over.slopes):
        form = at
        for i, (slope, (a, b), (c, _)) in enumerate(zip(over.slopes, box, centre, strict=True)):
            form = form + slope * (interval(a, b) - c)
            if slope >= 0:
                face[i] = (b, b)
            elif slope <= 0:
                face[i] = (a, a)
        bounds.append(float(form.upper()))
    return float(np.nextafter(min(bounds), np.inf)), tuple(face)


def _halves(box: Box, over: Dual, domain: Any) -> list[Box]:
    """The box cut in two across the side along which it varies most, relative to the domain's where that is not known;
    or itself where only a face was left of it."""
    widths = np.array([b - a for a, b in box])
    if not widths.any():
        return [box]
    finite = all(s.is_finite() for s in over.slopes)
    sizes = widths * [float(s.abs_upper()) if finite else 0.0 for s in over.slopes]
    if not sizes.any():
        sizes = np.where(domain > 0, widths / np.where(domain > 0, domain, 1.0), 0.0)
    side = int(np.argmax(sizes))
    a, b = box[side]
    middle = a / 2 + b / 2
    return [(*box[:side], part, *box[side + 1 :]) for part in ((a, middle), (middle, b))]
