r"""Branch and bound over boxes, for a guaranteed supremum of functions in ball arithmetic.

A function over a box returns a `Dual`: balls for its values, and for its slopes along the sides. With c the midpoint of
a box X the mean-value form

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
from flint import arb

from rmverify.readings.duals import Dual

__all__ = ["Box", "Search", "interval", "supremum"]

LOOSE = 0.05

Box = tuple[tuple[float, float], ...]


def interval(low: Any, high: Any) -> Any:
    """The ball that contains both numbers and what lies between them."""
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
            lower, point = float(np.nextafter(float(at.lower()), -np.inf)), (which, tuple(c for c, _ in centre))
        top, box = _bound(over, at, box, centre, -negative)
        if top > lower:
            for half in _halves(box, over, sizes[which]):
                heapq.heappush(heap, (-top, next(counter), which, half))
    upper = max([lower, *(-entry[0] for entry in heap)])
    left = tuple(
        (which, box) for negative, _, which, box in sorted(heap) if -negative > lower * (1 + max(width, LOOSE))
    )
    return Search(lower, float(upper), point, looked, left)


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
