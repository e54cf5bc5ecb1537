"""What K measures: leading constants of one step and of the law that steps leave invariant, on linear forces."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks.constants import leading_constants
from rmverify.claims.looks.measure import romberg
from rmverify.exponents import Bound
from rmverify.laws import StationaryLaw, stationary_law
from rmverify.numbers.values import Value
from rmverify.targets import Gaussian

CURVATURES = (0.375, 1.25)
SIZES = (8, 9, 10, 11)  # h = 2^-n/k


def k1(look: Look, midpoint: Bound, euler: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "overdamped_midpoint")
        yield left_invariant(look, "overdamped_midpoint", midpoint)
        yield left_invariant(look, "overdamped", euler)


def k2(look: Look, rounds: Bound, none: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "parallel_overdamped")
        for R, K in ((2, 0), (3, 0), (1, 1), (2, 1), (2, 2)):
            yield left_invariant(look, "parallel_overdamped", (rounds if K else none).at(R=R), strata=R, rounds=K)


def k3(look: Look, poisson: Bound, many: Bound, midpoint: Bound, euler: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "poisson_midpoint")
        for cells in (1, 2, 4):
            yield left_invariant(look, "poisson_midpoint", poisson.at(M=cells), cells=cells)
        yield _many_cells(look, many)
        yield _ranking(look, midpoint, euler)


def k4(look: Look, due: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "stratified_hmc")
        for duration in (0.5, 2.0):
            yield left_invariant(look, "stratified_hmc", due.at(u=1), duration)


def k5(look: Look, due: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "stochastic_runge_kutta")
        yield left_invariant(look, "stochastic_runge_kutta", due)


CELLS = (4, 6, 8, 10)


def _many_cells(look: Look, due: Bound) -> Evidence:
    """The excess at M = infinity over the leading term there: a power series in 1/M, and then in h."""
    scheme, k = look.scheme("poisson_midpoint"), 1.25
    steps = [2.0**-n / k for n in SIZES]
    limits = [_at_zero([1 / M for M in CELLS], [_excess(scheme(cells=M), k, h) for M in CELLS]) for h in steps]
    ratios = [limit / due(k=k, h=h) for limit, h in zip(limits, steps, strict=True)]
    limit, before = _at_zero(steps, ratios), _at_zero(steps[1:], ratios[1:])
    allowed = abs(limit - before) + 1e-9
    return Evidence(
        "exact", "the variance that poisson_midpoint leaves invariant with more and more cells, over its leading term",
        "holds" if abs(limit - 1) <= allowed else "violated", computed=f"{limit:.9g} of the leading term",
        bound=str(due), constant=Value(limit, "exact", allowed), where={"k": k},
        domain=f"M = {', '.join(map(str, CELLS))}, by the polynomial in 1/M; k h from 2^-{SIZES[0]} to 2^-{SIZES[-1]}",
    )  # fmt: skip


def _at_zero(x: Sequence[float], y: Sequence[float]) -> float:
    """The polynomial through the points, at 0."""
    return sum(b * math.prod(other / (other - a) for other in x if other != a) for a, b in zip(x, y, strict=True))


def _ranking(look: Look, midpoint: Bound, euler: Bound) -> Evidence:
    """The three at equal numbers of evaluations: two in a step of length h, one in h/2."""
    midpoints, cells, plain = (look.scheme(name) for name in ("overdamped_midpoint", "poisson_midpoint", "overdamped"))
    each = {
        "randomized midpoint": (midpoints, 1),
        "Poisson, 8 cells": (cells(cells=8), 1),
        "Euler-Maruyama": (plain, 2),
    }
    rows = [{"k h": z} | {title: _excess(step, 1.0, z / n) for title, (step, n) in each.items()} for z in RANKED]
    ordered = all(abs(a) < abs(b) for row in rows for a, b in itertools.pairwise(list(row.values())[1:]))
    last = rows[-1]
    return Evidence(
        "exact", "which law is closest at equal numbers of evaluations, two on average in a time h",
        "holds" if ordered else "violated", rows=tuple(rows), domain=f"k h = {', '.join(f'{z:g}' for z in RANKED)}",
        computed="; ".join(f"{title} {last[title]:.3g}" for title in each) + f" at k h = {last['k h']:g}",
        bound=f"in this order, as {midpoint} is below the half of {euler}",
        remark="published upper bounds over all log-concave targets rank the first two the other way round",
    )  # fmt: skip


RANKED = (0.4, 0.2, 0.1, 0.05, 0.025)


def left_invariant(look: Look, name: str, due: Bound, duration: float | None = None, **given: Any) -> Evidence:
    """The excess of the variance that a step leaves invariant, over its leading term: 1 in the limit of short steps.

    The ratio is a power series in h; two rounds of Richardson's extrapolation leave its term of h^3, and the change of
    the last round, which has that of h^2, is what is allowed. `duration`: of trajectories, in units of 1/sqrt(k).
    """
    scheme = look.scheme(name)(**given) if given else look.scheme(name)
    rows: list[dict[str, Any]] = []
    worst: tuple[float, Value, Mapping[str, Any]] | None = None
    for k in _curvatures(look):
        unit = k if duration is None else math.sqrt(k)
        steps = [2.0**-n / unit for n in SIZES]
        fresh = [None if duration is None else round(duration * 2**n) for n in SIZES]
        excess = [_excess(scheme, k, h, n) for h, n in zip(steps, fresh, strict=True)]
        ratios = [x / due(k=k, h=h) for x, h in zip(excess, steps, strict=True)]
        _, once, twice, _ = romberg(ratios)
        allowed = abs(twice[-1] - once[-1]) + 1e-12
        rows += [{"k": k, "h": h, "excess": x, "in leading terms": r}
                 for h, x, r in zip(steps, excess, ratios, strict=True)]  # fmt: skip
        off = abs(twice[-1] - 1)
        share = off / allowed if math.isfinite(off) else math.inf
        if worst is None or share > worst[0]:
            more = {} if duration is None else {"T": duration / unit}
            worst = share, Value(twice[-1], "exact", allowed), {"k": k} | given | more
    assert worst is not None
    share, limit, where = worst
    return Evidence(
        "exact", f"the variance that {name} leaves invariant, k Var - 1, over its leading term, as h goes to 0",
        "holds" if share <= 1 else "violated", computed=f"{limit:.9g} of the leading term", bound=str(due),
        constant=limit, where=where, rows=tuple(rows),
        domain=f"k = {', '.join(f'{k:g}' for k in _curvatures(look))}; {'k h' if duration is None else 'sqrt(k) h'} "
        f"from 2^-{SIZES[0]} to 2^-{SIZES[-1]}{'' if duration is None else f', trajectories of {duration:g}/sqrt(k)'}",
    )  # fmt: skip


def _excess(scheme: Any, k: float, h: float, fresh: int | None = None) -> float:
    law = stationary_law(scheme, Gaussian.isotropic(1 / k, 1), h, fresh=fresh)
    return float(law.excess[0] if isinstance(law, StationaryLaw) else k * law.variances[0] - 1)


def _curvatures(look: Look) -> tuple[float, ...]:
    """Of the target its smallest and largest."""
    if look.target is None:
        return CURVATURES
    return (1 / float(look.target.variances.max()), 1 / float(look.target.variances.min()))
