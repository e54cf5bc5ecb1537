"""The gallery of published faults: what betrays each and what weaker tests say, as tables, a page for one case, JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rmverify.gallery import Case, Result
from rmverify.views.common import grid, listed, number, paragraph

_TESTS = {
    "mean": "mean of 1000 draws within 3 standard errors",
    "one N": "variances of 1000 draws, at one N or h, within 3 standard errors",
    "golden": "output as recorded from the faulty code, to 1e-3",
}


def as_record(results: Sequence[Result]) -> dict[str, Any]:
    """Results as plain data."""
    return {"cases": [found.as_dict() for found in results], "weaker_tests": _TESTS}


def names(cases: Sequence[tuple[str, Case]], width: int | None) -> list[Any]:
    """The cases that there are."""
    return [grid(["case", "title", "reports"], [[name, case.title, ", ".join(case.reports)] for name, case in cases])]


def shown(results: Sequence[Result], width: int | None) -> list[Any]:
    """All cases: which number betrays each, and what weaker tests say."""
    numbers = [[r.name, r.wrong.text, r.right.text] for r in results]
    verdicts = [[r.name, *(weak.verdict for weak in r.weaker)] for r in results]
    tests = [weak.name for weak in results[0].weaker]
    counts = [Counter(r.weaker[k].verdict for r in results) for k in range(len(tests))]
    seen = ", ".join(f"{name} {count['catches it']}" for name, count in zip(tests, counts, strict=True))
    return [
        paragraph("Exact laws: the number that betrays each fault", width, "bold"),
        grid(["case", "fault", "correction"], numbers), "",
        paragraph("What weaker tests say of the same pairs", width, "bold"),
        grid(["case", *tests], verdicts), "",
        listed((name, about) for name, about in _TESTS.items()),
        paragraph(
            "blind: both pass; fails both: too many steps are missing for either; prefers fault: passes it and fails its "
            "correction.", width, "dim",
        ), "",
        paragraph(
            f"{sum(not r.wrong.holds for r in results)} of {len(results)} faults refuted, "
            f"{sum(r.right.holds for r in results)} corrections accepted. Caught by weaker tests: {seen}. "
            "One case in full: rmverify gallery CASE.", width,
        ),
    ]  # fmt: skip


def page(found: Result, width: int | None) -> list[Any]:
    """One case in full."""
    case = found.case
    rows = [[weak.name, number(weak.wrong), number(weak.right), weak.verdict] for weak in found.weaker]
    blocks = [
        paragraph(f"{found.name}: {case.title}", width, "bold"), "", _text(found.story), "",
        listed([
            ("Reported", ", ".join(case.reports)), ("As reported", case.told), ("Check", case.check.what),
            ("Due", case.check.due), ("Fault", found.wrong.text), ("Correction", found.right.text),
            *((name, number(value, 4)) for name, value in found.also.items()),
        ]), "",
        paragraph(f"Weaker tests, at {case.at:g}: how far off fault and correction are", width, "bold"),
        grid(["test", "fault", "correction", "verdict"], rows, right=("fault", "correction")), "",
    ]  # fmt: skip
    return blocks


def _text(words: str) -> Any:
    from rich.text import Text

    return Text(words)
