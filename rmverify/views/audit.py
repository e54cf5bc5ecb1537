"""An audit of somebody's sampler: its rungs, curves, variants, verdicts and remarks, as tables, JSON and a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rmverify.studies.audit import PARTS, Audit, Curve
from rmverify.views.common import grid, listed, number, paragraph, tabular
from rmverify.views.page import definitions, escaped, page, pictured, tabulated

_DROP = ("TV to q", "KL", "shared q")
_NAMES = {
    "error": "the output from N(0, I) against the data",
    "start": "the start, as it changes the output",
    "discretization": "the last input of the model, from an exact start",
    "shared": "the input at the lowest level that all N share",
    "last": "the output from an exact start, with the last step",
}
_LEGEND = {
    "start": "what N(0, I) in place of the exact start changes in the output",
    "discret.": "from an exact start: the last input of the model against the exact marginal of its level",
    "shared q": "the same of the input at the lowest level that all N share",
    "exact start": "from an exact start: the output against the data, with the last step",
    "TV, KL, W2": "from N(0, I): the output against the data",
    "TV to q": "from N(0, I): the output against the exact marginal at the level of the last call",
    "levels": "whether every model call is at the level that it names",
}
_KERNEL_LEGEND = {
    "stationary": "TV of the law that steps leave invariant to the target",
    "TV, KL, W2": "from N(0, I): the law after N steps against the target",
}
_STYLES = {"holds": "green", "refuted": "bold red", "inconclusive": "bold yellow"}


def as_record(found: Audit, data: str) -> dict[str, Any]:
    """An audit as plain data."""
    return {"data": data, **found.as_dict(), "verdict": found.verdict if found.findings else None}


def shown(found: Audit, data: str = "", width: int | None = None) -> list[Any]:
    """What a person reads, as rich renderables."""
    from rich.text import Text

    columns, lines = found.table()
    tables, dropped = tabular(columns, lines, width, drop=_DROP)
    blocks: list[Any] = [listed(_head(found, data)), ""]
    if not all(r.failure for r in (*found.rungs, *found.odd)):
        legend = [(name, text) for name, text in _legend(found).items() if name not in dropped]
        blocks += [*tables, listed(legend), ""]
    blocks += [_title("How the errors fall with N"), grid(*_curves(found)), ""] if _some(found) else []
    if found.variants:
        blocks += [_title("Variants"), *tabular(*_variants(found), width)[0]]
    if found.findings:
        blocks.append(_title("Declared"))
        for f in found.findings:
            text = paragraph(f"{f.declared}: {f.verdict}; {f.why}", width)
            text.highlight_words([f": {f.verdict};"], _STYLES[f.verdict])
            blocks.append(text)
        blocks.append("")
    if found.remarks:
        blocks += [_title("Remarks"), *(paragraph(f"- {text}", width) for text in found.remarks), ""]
    if found.assumed:
        blocks += [_title("Assumed"), *(paragraph(f"- {text}", width, "dim") for text in found.assumed)]
    if dropped:
        blocks.append(Text(f"Columns omitted to fit the terminal: {', '.join(dropped)} (see --json).", style="dim"))
    return blocks


def html_page(found: Audit, data: str) -> str:
    """One page that refers to nothing outside itself.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Sampler, audit
    >>> def half(model, x, noise):
    ...     return x / 2 + model(x, np.log(2)) * 0
    >>> html_page(audit(Sampler(half), Gaussian([0.0], [1.0])), "N(0, 1)").splitlines()[0]
    '<!DOCTYPE html>'
    """
    from rmverify import __version__

    columns, lines = found.table()
    body = [
        f"<h1>Audit of {escaped(found.name)}</h1>",
        definitions(_head(found, data)),
        _findings(found),
        "<h2>Errors at each number of steps N</h2>",
        tabulated([dict(zip(columns, line, strict=True)) for line in lines]),
        definitions(_legend(found).items()),
    ]
    if _some(found):
        head, rows = _curves(found)
        body += [
            "<h2>How they fall</h2>",
            tabulated([dict(zip(head, row, strict=True)) for row in rows]),
            pictured(_picture(found), "errors"),
        ]
    if found.variants:
        head, rows = _variants(found)
        body += ["<h2>Variants</h2>", tabulated([dict(zip(head, row, strict=True)) for row in rows])]
    body += [_list("Remarks", found.remarks), _list("Assumed", found.assumed)]
    body.append(f"<p>Made by rmverify {escaped(__version__)}.</p>")
    return page(f"Audit of {escaped(found.name)}", body)


def _title(text: str) -> Any:
    from rich.text import Text

    return Text(text, style="bold")


def _head(found: Audit, data: str) -> list[tuple[str, str]]:
    head = [("Sampler", found.name), ("Target", data or f"Gaussian in dimension {found.dim}")]
    if found.kind == "sampler":
        if reason := _unread(found):
            return [*head, ("Not read", reason)]
        head.append(("Evaluations", found.evaluations))
        if found.shared is not None:
            head.append(("Shared level", f"{found.shared:.6g}"))
        exact = (
            f"{number(found.rounding, 2)} of a standard deviation, {found.rounded}"
            if found.rounding is not None
            else ""
        )
        head.append(("float32", exact or found.rounded))
        if found.metric != "TV":
            head.append(("Distance", "W2 in place of TV for the parts of the error: the data are singular"))
    return head


def _unread(found: Audit) -> str:
    """Why, where there is no number of steps at which it could be read."""
    failures = [rung.failure for rung in (*found.rungs, *found.odd)]
    return failures[-1] if all(failures) else ""


def _legend(found: Audit) -> dict[str, str]:
    return _LEGEND if found.kind == "sampler" else _KERNEL_LEGEND


def _some(found: Audit) -> bool:
    return any(len(c.steps) > 1 for c in found.curves.values())


def _curves(found: Audit) -> tuple[list[str], list[list[str]]]:
    names = _NAMES if found.kind == "sampler" else {"last": "the stationary law", "error": "the law after N steps"}
    rows = []
    for key in PARTS:
        c = found.curves[key]
        if key in names and len(c.steps) > 1:
            rows.append([names[key], ", ".join(_slope(s) for s in c.slopes), _order(c)])
    return ["error of", "local slopes", "order"], rows


def _slope(slope: float) -> str:
    return f"{slope + 0.0:.2f}".replace("-0.00", "0.00") if math.isfinite(slope) else "-"


def _order(c: Curve) -> str:
    if c.floor is not None:
        return f"floor {number(c.floor)}"
    if not math.isfinite(c.order):
        return "-"
    return _slope(c.order) if c.settled else f"{_slope(c.order)}, not settled"


def _variants(found: Audit) -> tuple[list[str], list[list[str]]]:
    pair = [str(r.steps) for r in found.variants[0].rungs]
    rows = []
    for v in found.variants:
        failed = next((r for r in v.rungs if r.failure), None)
        errors = ["-" if r.tv is None else r.tv.text(2) for r in v.rungs]
        levels = "; ".join(dict.fromkeys(r.bookkeeping for r in v.rungs if r.bookkeeping))
        note = f"failed: {failed.failure}" if failed else levels
        rows.append([v.name, ", ".join(str(r.evaluations) for r in v.rungs), *errors, _slope(v.order), note])
    return ["variant", "evals", *(f"TV at N = {n}" for n in pair), "slope", "levels"], rows


def _findings(found: Audit) -> str:
    classes = {"holds": "holds", "refuted": "violated", "inconclusive": "fair"}
    lines = []
    for f in found.findings:
        verdict = f'<strong class="{classes[f.verdict]}">{escaped(f.verdict)}</strong>'
        lines.append(f"<p>{escaped(f.declared)}: {verdict}; {escaped(f.why)}</p>")
    return "".join(lines)


def _list(title: str, texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escaped(text)}</li>" for text in texts)
    return f"<h2>{title}</h2><ul>{items}</ul>" if items else ""


def _picture(found: Audit) -> dict[str, Any]:
    curves: dict[str, tuple[Sequence[float], Sequence[float]]] = {
        _NAMES[key]: (c.steps, c.errors) for key, c in found.curves.items() if c.steps
    }
    return {"x": "N", "y": "W2" if found.metric == "W2" else "TV", "curves": curves}
