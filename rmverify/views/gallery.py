"""The gallery of published faults: what betrays each and what weaker tests say, as tables, one page of a case, JSON."""

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
_UNITS = {"mean": "mean, in standard deviations", "one N": "variance, relative", "golden": "golden value, absolute"}

_VERDICTS = {
    (True, True): "the fault is refuted, its correction accepted",
    (True, False): "the fault is refuted, and so is its correction",
    (False, True): "the fault is not seen",
    (False, False): "the fault is not seen, and its correction refuted",
}


def as_record(results: Sequence[Result]) -> dict[str, Any]:
    """Results as plain data."""
    return {"cases": [found.as_dict() for found in results], "weaker_tests": _TESTS}


def names(cases: Sequence[tuple[str, Case]]) -> list[Any]:
    """The cases that there are."""
    return [listed((name, f"{case.title} ({', '.join(case.reports)})") for name, case in cases)]


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
            "blind: fault and correction pass; fails both: neither has steps enough; prefers fault: it passes, and its "
            "correction fails.", width, "dim",
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
    rows = [[_UNITS[weak.name], number(weak.wrong), number(weak.right), weak.verdict] for weak in found.weaker]
    letter = "N" if isinstance(case.at, int) else "h"
    return [
        paragraph(f"{found.name}: {case.title}", width, "bold"), "", *_story(found.story, width),
        listed([
            ("Read, not run", "\n".join(case.links)), ("As reported", case.told), ("Check", case.check.what),
            ("Due", case.check.due), ("Fault", found.wrong.text), ("Correction", found.right.text),
            *((name, number(value, 4)) for name, value in found.also.items()),
            ("Verdict", _VERDICTS[not found.wrong.holds, found.right.holds]),
        ]), "",
        paragraph(f"How far off weaker tests find them, at {letter} = {case.at:g}", width, "bold"),
        grid(["test", "fault", "correction", "verdict"], rows, right=("fault", "correction")), "",
    ]  # fmt: skip


def _story(words: str, width: int | None) -> list[Any]:
    """Paragraphs filled anew, formulas as they are."""
    from rich.text import Text

    blocks: list[Any] = []
    for part in words.split("\n\n"):
        blocks += [Text(part) if part.startswith(" ") else paragraph(" ".join(part.split()), width), ""]
    return blocks
