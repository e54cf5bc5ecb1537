"""Speed and accuracy of `rm.tv`.

Goals, one core: at most 10 distinct modes, and d = 10^12 in a spectrum, < 1 ms; 10^4 distinct modes of a light-tailed
loss < 3 ms; 10^4 modes beside a dominant one < 0.4 s; 10^6 light-tailed < 0.3 s. The laws are built outside of the
timed part; the call checks them, integrates and estimates its error.
"""

from __future__ import annotations

from collections.abc import Iterator

import rmverify as rm
from benchmarks.cases import Case, tv_cases
from benchmarks.record import Record, measure

__all__ = ["measured", "run"]


def measured(case: Case, section: str, repeats: int, goal: float | None = None) -> Record:
    """`rm.tv` on one case, against the reference."""
    p, q = case.laws
    timing = measure(lambda: rm.tv(p, q), repeats)
    tv = timing.result
    note = "" if case.relative(tv) * float(tv) <= tv.error else "error above the stated one"
    return Record(
        section,
        case.name,
        "rmverify",
        timing.median,
        timing.least,
        goal,
        value=float(tv),
        relative=case.relative(tv),
        stated=tv.error / tv,
        note=note,
    )


def run(quick: bool) -> Iterator[Record]:
    """One row for each case."""
    for case in tv_cases():
        yield measured(case, "tv", 15 if quick else 101, case.goal)
