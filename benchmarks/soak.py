"""Errors that hold: the divergences of 10^5 random hard pairs of Gaussians against references of 60 digits and more.

A row is a kind of pair and a divergence: `ratio` is the worst |value - truth|/error, which is to be at most 1, and the
median beside it says how far the errors are from being needlessly large. Brackets, which state no error, count 0 where
they hold and infinity where not. Closed forms are asked of all pairs; TV where it is an error function, on the line and
for equal covariances, and by integrals in ball arithmetic on a few of the others, which take a tenth of a second each.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from flint import arb

import rmverify as rm
from benchmarks.record import Record
from benchmarks.reference import Single, total_variation
from tests.oracles import gaussians

__all__ = ["run"]

_PAIRS, _QUICK = 100_000, 2_000
_INTEGRALS, _FEW = 150, 5  # of each kind


def run(quick: bool) -> Iterator[Record]:
    """One row for each kind of pair and divergence."""
    count = (_QUICK if quick else _PAIRS) // len(gaussians.KINDS) + 1
    for kind in gaussians.KINDS:
        yield from _of_kind(kind, count, _FEW if quick else _INTEGRALS)


def _of_kind(kind: str, count: int, integrals: int) -> Iterator[Record]:
    found: dict[str, list[tuple[float, float]]] = {}
    missed: Counter[str] = Counter()
    for index, (p, q) in enumerate(gaussians.pairs(kind, count, seed=1)):
        laws = p.build(rm.Gaussian), q.build(rm.Gaussian)
        for name, reference in gaussians.precise(lambda p=p, q=q: gaussians.references(p, q)).items():
            truth = gaussians.precise(reference)
            function, *order = name.split()
            if function == "tv" and truth is None:
                if index >= integrals or (truth := _integral(p, q)) is None:
                    continue
                name = "tv, integrals"
            value = getattr(rm, function)(*laws, *map(float, order))
            try:
                ratio = gaussians.precise(lambda value=value, truth=truth: gaussians.ratio(value, truth))
            except ArithmeticError:  # the reference is not tight
                missed[name] += 1
                continue
            found.setdefault(name, []).append((ratio, value.error / value if 0 < value < float("inf") else 0.0))
    for name, rows in found.items():
        ratios, errors = zip(*rows, strict=True)
        note = f"median {statistics.median(ratios):.2g}, {len(rows)} pairs"
        note += f", {missed[name]} without a reference" if missed[name] else ""
        yield Record("soak", kind, name, stated=statistics.median(errors), ratio=max(ratios), note=note)


def _integral(p: gaussians.Law, q: gaussians.Law) -> Any:
    """TV as a ball, None where this reference does not resolve it."""
    if p.mean.size > 2 and p.covariance.ndim + q.covariance.ndim > 2:
        return None
    of = gaussians.precise(lambda: gaussians.Reference(p, q))
    modes = gaussians.precise(of.modes)
    apart = gaussians.precise(lambda: of.log_transform(0.5))
    if not (apart > -300 and all(x.is_finite() for part in modes[:2] for x in part)):
        return None
    if not all(1e-6 < 1 + r < 1e6 for r in modes[0]) or max(modes[2]) > 1e6:
        return None
    ball = total_variation([Single(_fraction(r), _fraction(m), n) for r, m, n in zip(*modes, strict=True)])
    return ball if ball.rad() < 1e-20 * ball.mid() else None


def _fraction(ball: arb) -> Fraction:
    mantissa, exponent = ball.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
