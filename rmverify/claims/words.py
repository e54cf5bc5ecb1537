"""Findings in words: a constant with its side, the point where it is attained or where a claim fails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any

from rmverify.claims.evidence import Evidence, Result
from rmverify.numbers.values import Value

__all__ = ["NAMES", "cell_text", "constant_text", "finding_text", "names_in", "where_text"]

NAMES: Mapping[str, str] = {
    "lambda": "the variance of an isotropic target",
    "t": "the noise level at which a step starts",
    "h": "the length of a step",
    "h/limit": "h in units of the longest step of the hypotheses, min(1/L, t)",
    "L/least": "L in units of the smallest Lipschitz constant of the target and its estimated score",
    "gain": "the relative error of an estimated score (1 + gain) s + bias; the search looks for the worst",
    "bias sqrt(v)": "the constant error of that score in units of 1/sqrt(v), where v is the largest variance at t",
    "t L": "the noise level in units of 1/L",
    "steps": "the number of steps",
    "T sqrt(L)": "the Langevin time in units of 1/sqrt(L)",
    "g/sqrt(L)": "the friction in units of sqrt(L)",
    "k/L": "the curvature of the potential in units of L",
    "a L": "the variance of one start, in units of 1/L",
    "b L": "the variance of the other start, in units of 1/L",
    "shift sqrt(L)": "the distance between the means of the starts, in units of 1/sqrt(L)",
    "|k| E x^2": "the second moment of the start, in units of 1/|k|",
    "mean's share": "the share of the mean in that second moment",
    "h/most": "h in units of the longest step that the hypotheses allow",
    "ln(k/m)/ln kappa": "where the curvature of the mode lies between m and M",
    "gamma/M": "the friction in units of M",
    "chance": "the probability that V is not 0",
    "mode": "the mode in which the start differs from the target; the steepest is the first",
    "W_2/deviation": "W_2 between that start and the target, in standard deviations of the mode",
    "spread's share": "the signed share of W_2 that changes the deviation; the rest is a shift",
}
"""What the names of a point's parameters mean, where the formulas do not say."""


def names_in(points: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The names that occur in some points, with their meanings.

    Examples
    --------
    >>> names_in([{"d": 3, "t L": 1.0}])
    [('t L', 'the noise level in units of 1/L')]
    """
    used = {name for point in points for name in point}
    return [(name, text) for name, text in NAMES.items() if name in used]


def finding_text(result: Result) -> str:
    """The finding with its constants or its witness."""
    if not result.evidence:
        return f"{result.finding}: no such evidence"
    e = result.decisive
    if e is None or result.finding == "holds":
        return result.finding
    if result.finding == "not yet":
        others = [other for other in result.evidence if other.finding != "not yet"]
        rest = bool(others) and all(other.finding.startswith("holds") for other in others)
        why = f": {e.computed}" if e.computed else ""
        return f"not yet: {e.what}{why}" + (f"; the rest holds {constants_text(result)}" if rest else "").rstrip()
    if result.finding == "holds with constant":
        return f"holds {constants_text(result)}".rstrip()
    if result.finding == "not implied":
        return f"not implied: {e.bound or e.what}" + (f"; {e.computed}" if e.computed else "")
    sides = (f"{e.computed} against {e.bound}" if e.bound else e.computed) if e.computed else e.what
    return f"{result.finding}{where_text(e.where)}: {sides}"


def constants_text(result: Result) -> str:
    """The largest constant, and those of the other cases that were looked at."""
    largest = result.largest
    if largest is None:
        return ""
    shown = [largest, *(e for e in result.evidence if e.case and e.constant is not None and e is not largest)]
    texts = [
        constant_text(e) + where_text(e.where) + "".join(f" ({text})" for text in (e.case, e.remark) if text)
        for e in shown
        if e.finding == "holds with constant" and e.constant is not None
    ]
    return f"with constant {'; '.join(texts)}" if texts else "with constant"


_SIDES = {"tight": "=", "upper": "<=", "lower": ">="}
"""How the smallest constant with which a claim holds compares to the one that is printed."""


def constant_text(evidence: Evidence) -> str:
    """A constant on its side: an upper bound is rounded up, a lower one down, an enclosure outwards."""
    C = evidence.constant
    assert C is not None
    if C.kind == "enclosure" and math.isfinite(C.upper):
        return f"C in [{_rounded(C.lower, ROUND_FLOOR)}, {_rounded(C.upper, ROUND_CEILING)}]"
    text = C.text()
    if evidence.label != "tight" and math.isfinite(C):
        up = evidence.label == "upper"
        text = _rounded(float(C) + (C.error if up else -C.error), ROUND_CEILING if up else ROUND_FLOOR)
    return f"C {_SIDES[evidence.label]} {text}"


def _rounded(number: float, how: str) -> str:
    return f"{Context(prec=4, rounding=how).create_decimal(number):.4g}"


def where_text(where: Mapping[str, Any]) -> str:
    """The parameters of a point, each with at most six digits."""
    point = ", ".join(f"{name}={cell_text(value)}" for name, value in where.items())
    return f" at {point}" if point else ""


def cell_text(value: Any) -> str:
    """A number of a table with at most six digits, a value with those it has; anything else in words."""
    if isinstance(value, Value):
        return value.text()
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return f"{value + 0.0:.6g}" if isinstance(value, float) else str(value)
