"""Cones and linear equations in exact rational arithmetic.

A certificate has to hold exactly, so that no number here is a float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

LIMITS = {"scales": 5, "free": 6, "rows": 20, "rays": 4000}
"""The largest program: scales, free parameters, rows (costs, errors and constraints), rays during elimination."""

Number: TypeAlias = Fraction | int
Vector: TypeAlias = tuple[Fraction, ...]
Ray: TypeAlias = tuple[int, ...]
Rows: TypeAlias = list[list[Fraction]]


def integers(numbers: Iterable[Number]) -> Ray:
    """The positive multiple in coprime integers."""
    values = [Fraction(n) for n in numbers]
    scale = math.lcm(*(v.denominator for v in values))
    whole = [int(v * scale) for v in values]
    return tuple(w // (math.gcd(*whole) or 1) for w in whole)


def dot(a: Iterable[Number], b: Iterable[Number]) -> Fraction:
    """a·b."""
    return sum((Fraction(x) * y for x, y in zip(a, b, strict=True)), Fraction(0))


def minus(a: Vector, b: Vector) -> Vector:
    """a - b."""
    return tuple(x - y for x, y in zip(a, b, strict=True))


def units(size: int) -> list[Vector]:
    """The rows of the identity matrix."""
    return [tuple(Fraction(int(i == j)) for j in range(size)) for i in range(size)]


def extreme_rays(equations: Sequence[Sequence[Number]], size: int, name: str = "errors") -> list[Ray]:
    """Extreme rays of {x >= 0 : every equation·x = 0} as coprime integers: double description.

    Two rays on opposite sides of the next equation give a new one if they are adjacent: no third ray lives on
    the union of their supports (supports are bit sets).
    """
    left = [integers(equation) for equation in equations]
    rays = {1 << i: integers(unit) for i, unit in enumerate(units(size))}
    for done in range(1, len(left) + 1):
        signs = [[sum(a * b for a, b in zip(e, x, strict=True)) for x in rays.values()] for e in left]
        pairs = [sum(v > 0 for v in row) * sum(v < 0 for v in row) for row in signs]
        k = pairs.index(min(pairs))
        del left[k]
        masks = list(rays)
        old = [(mask, x, value) for (mask, x), value in zip(rays.items(), signs[k], strict=True)]
        rays = {mask: x for mask, x, value in old if value == 0}
        for mask, x, value in (side for side in old if side[2] > 0):
            for other, y, against in (side for side in old if side[2] < 0):
                union = mask | other
                if union.bit_count() > done + 1 or any(m | union == union for m in masks if m not in (mask, other)):
                    continue
                rays[union] = integers(value * b - against * a for a, b in zip(x, y, strict=True))
                if len(rays) > LIMITS["rays"]:
                    many = f"eliminating its parameters takes more than {LIMITS['rays']} combinations of rows"
                    raise ValueError(f"{name}: the program is too large: {many}")
    return list(rays.values())


def cone(inequalities: Sequence[Vector], size: int) -> list[Ray]:
    """Extreme rays of {x >= 0 : every inequality·x <= 0}, by one slack for each inequality."""
    slack = units(len(inequalities))
    equations = [[*r, *s] for r, s in zip(inequalities, slack, strict=True)]
    return [integers(x[:size]) for x in extreme_rays(equations, size + len(inequalities))]


def within(rays: Iterable[Ray], inequalities: Sequence[Vector]) -> bool:
    """Whether the cone of these rays satisfies every inequality·x <= 0."""
    return all(dot(v, x) <= 0 for x in rays for v in inequalities)


def simplified(inequalities: Sequence[Vector], given: Sequence[Vector], size: int) -> list[Vector]:
    """The inequalities without those that follow from the others, from the given ones and from x >= 0."""
    kept = list(dict.fromkeys(inequalities))
    for row in list(kept):
        others = [r for r in kept if r != row]
        if within(cone([*others, *given], size), [row]):
            kept = others
    return kept


def simplest(rays: Iterable[Ray]) -> Ray:
    """The ray with the fewest entries, and then the smallest ones."""
    return min(rays, key=lambda x: (sum(map(bool, x)), sum(x)))


def echelon(rows: Iterable[Iterable[Number]]) -> tuple[Rows, list[int]]:
    """Reduced row echelon form and its pivot columns."""
    from flint import fmpq, fmpq_mat

    m = fmpq_mat([[fmpq(x.numerator, x.denominator) for x in row] for row in rows])
    reduced, rank = m.rref()
    found = [[Fraction(int(x.p), int(x.q)) for x in row] for row in reduced.tolist()]
    return found, [next(j for j, x in enumerate(row) if x) for row in found[:rank]]


def _eliminated(rows: Rows, pivot: list[Fraction]) -> Rows:
    """The rows, minus multiples of `pivot` that cancel its first entry."""
    k = next(j for j, x in enumerate(pivot) if x)
    return [[x - row[k] / pivot[k] * y for x, y in zip(row, pivot, strict=True)] if row[k] else row for row in rows]


def rank(rows: Iterable[Iterable[Number]]) -> int:
    """The rank."""
    return len(echelon(rows)[1])


def completion(base: Rows, rest: Rows, size: int) -> Rows | None:
    """`base` completed to `size` independent rows, solved, such that no row of `rest` is then above 0 anywhere."""

    def search(chosen: Rows, rest: Rows, start: int) -> Rows | None:
        """The rows of `rest` come with the chosen ones eliminated; those before `start` are only checked."""
        if any(not any(row[:size]) and max(row[size:], default=0) > 0 for row in rest):
            return None
        if len(chosen) == size:
            return echelon(chosen)[0]
        candidates = (k for k in range(start, len(rest)) if any(rest[k][:size]))
        tried = (search([*chosen, rest[k]], _eliminated(rest, rest[k]), k + 1) for k in candidates)
        return next((found for found in tried if found is not None), None)

    for row in echelon(base)[0]:
        rest = _eliminated(rest, row)
    return search(base, rest, 0)


def simplices(rays: Sequence[Ray], faces: Sequence[Vector]) -> list[list[Ray]]:
    """The cone of the rays, cut into cones of independent ones: the first ray joined to every facet without it."""
    if len(rays) == (full := rank(rays)):
        return [list(rays)]
    facets = {tuple(x for x in rays if dot(face, x) == 0) for face in faces}
    far = [f for f in facets if rays[0] not in f and rank(f) == full - 1]
    return [[rays[0], *simplex] for facet in sorted(far) for simplex in simplices(facet, faces)]


def interpolated(rays: Sequence[Ray], values: Sequence[Vector]) -> list[Vector]:
    """Linear forms with the given values (one row for each ray) along independent rays."""
    reduced, pivots = echelon([*x, *v] for x, v in zip(rays, values, strict=True))
    size = len(rays[0])
    columns = [dict(zip(pivots, column, strict=False)) for column in zip(*reduced, strict=True)]
    return [tuple(form.get(j, Fraction(0)) for j in range(size)) for form in columns[size:]]
