"""A report on claims as one HTML page: formulas as MathML, tables and pictures inside. No script, no network."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from rmverify.claims.ledger import Evidence, Report, Result
from rmverify.claims.words import cell_text, finding_text, names_in
from rmverify.numbers.values import Value
from rmverify.views.claims import Asked, claim_lines, evidence_lines, kinds_of, points, seconds_text, tally
from rmverify.views.common import drawn

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --good: #1a7f37; --fair: #9a6700; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --fair: #d4a72c; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1, h2 { line-height: 1.25; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.all { width: 100%; }
table.evidence { width: 100%; border: 1px solid var(--line); margin-top: .75rem; }
table.evidence th[scope=row] { width: 7rem; font-weight: normal; opacity: .75; }
table.evidence td { overflow-wrap: anywhere; }
thead th, tbody th[colspan] { background: var(--soft); }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .25rem .6rem; }
dt { opacity: .75; }
dd { margin: 0; overflow-wrap: anywhere; }
math[display=block] { font-size: 1.25rem; margin: .75rem 0; }
code { font-size: .9em; overflow-wrap: anywhere; }
figure { margin: .75rem 0 1.5rem; }
figcaption { font-size: .9rem; }
svg { max-width: 100%; height: auto; }
.holds { color: var(--good); }
.fair { color: var(--fair); }
.violated { color: var(--bad); font-weight: 600; }
@media (max-width: 45rem) {
  dl { display: block; }
  dd { margin: 0 0 .5rem; }
  table.all thead { display: none; }
  table.all tr, table.all td { display: block; border: 0; padding: .1rem 0; text-align: left; }
  table.all tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
}
"""

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
"""

_LEGEND = {
    "symbolic": "a derivation in exact algebra that ends in identities which are zero",
    "certified": "ball arithmetic over boxes of parameters: true at every point of the box",
    "exact": "the exact law of the scheme in floating point, with its error",
    "fitted": "a power fitted to numbers with their errors",
    "monte-carlo": "a number found by drawing midpoint paths, with its interval at the level of 95 %",
    "holds with constant": "true with the constant C, attained at the point that is named",
    "not implied": "what is looked at does not follow from the forms on record; it is not refuted by that",
    "not yet": "this version does not look at it",
    "inconclusive": "the evidence does not decide",
    "violated": "false at the point that is named",
    "tight, upper, lower": "what C is to the smallest constant with which the claim is true on the domain: equal to it"
    " within the error, a bound above it, or the largest that a search found",
}


def claims_page(report: Report, asked: Asked) -> str:
    """The whole page.

    Parameters
    ----------
    report : Report
        What `rmverify.verify` found.
    asked : Asked
        What it was asked.

    Returns
    -------
    str
        HTML that refers to nothing outside itself and from the same report is always the same. Without matplotlib the
        pictures are replaced by their numbers.

    Examples
    --------
    >>> from rmverify.claims import Report
    >>> from rmverify.views.claims import Asked
    >>> claims_page(Report([]), Asked()).splitlines()[0]
    '<!DOCTYPE html>'
    """
    from rmverify import __version__

    body = [
        "<h1>Claims, and what was found about them</h1>",
        f"<p>{escaped(tally(report))}</p>",
        definitions(asked.lines()),
        _summary(report),
        *(_section(result, asked) for result in report.values()),
        "<h2>How to read this page</h2>",
        definitions([*_LEGEND.items(), *names_in(points(report))]),
        f"<p>Made by rmverify {escaped(__version__)}.</p>",
    ]
    return page("rmverify verify", body)


def page(title: str, body: Iterable[str]) -> str:
    """A page of these elements."""
    return _HEAD.format(style=_STYLE, title=title) + "<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"


def escaped(text: str) -> str:
    return escape(" ".join(text.split()))


def _summary(report: Report) -> str:
    rows = [
        f'<tr><td><a href="#{escaped(r.id)}">{escaped(r.id)}</a></td><td>{escaped(r.claim.statement)}</td>'
        f'<td class="{_class(r.finding)}">{escaped(finding_text(r))}</td><td>{escaped(", ".join(kinds_of(r)))}</td>'
        f'<td class="number">{seconds_text(r.seconds)}</td></tr>'
        for r in report.values()
    ]
    head = "<th>id</th><th>claim</th><th>finding</th><th>evidence</th><th>time</th>"
    return _scroll(f'<table class="all"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>')


def _class(finding: str) -> str:
    return {"holds": "holds", "holds with constant": "holds", "violated": "violated"}.get(finding, "fair")


def _scroll(table: str) -> str:
    return f'<div class="scroll">{table}</div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in pairs) + "</dl>"


def _section(result: Result, asked: Asked) -> str:
    claim = result.claim
    parts = [
        f'<section id="{escaped(result.id)}">',
        f"<h2>{escaped(result.id)}: {escaped(claim.statement)}</h2>",
        _scroll(formula(claim.latex)),
        f"<details><summary>LaTeX</summary><code>{escaped(claim.latex)}</code></details>",
        f'<p><strong class="{_class(result.finding)}">{escaped(finding_text(result))}</strong></p>',
        definitions((name, text.replace("\n", "; ")) for name, text in claim_lines(claim)),
        *(_evidence(e, asked, result.id, n) for n, e in enumerate(result.evidence, 1)),
        "</section>",
    ]
    return "\n".join(parts)


_LONG = 12
"""Rows from which on a table is folded."""


def _evidence(evidence: Evidence, asked: Asked, id: str, n: int) -> str:
    finding = f'<span class="{_class(evidence.finding)}">{escaped(evidence.finding)}</span>'
    rows = [f'<tr><th colspan="2">{escaped(evidence.kind)}: {escaped(evidence.what.rstrip("."))}: {finding}</th></tr>']
    for name, text in evidence_lines(evidence):
        rows.append(f'<tr><th scope="row">{escaped(name)}</th><td>{escaped(text)}</td></tr>')
    command = escaped(asked.command(id, evidence.kind))
    rows.append(f'<tr><th scope="row">command</th><td><code>{command}</code></td></tr>')
    parts = [f'<table class="evidence"><tbody>{"".join(rows)}</tbody></table>']
    if evidence.rows:
        table = tabulated(evidence.rows)
        folded = f"<details><summary>{len(evidence.rows)} rows</summary>{table}</details>"
        parts.append(folded if len(evidence.rows) > _LONG else table)
    if evidence.picture is not None:
        parts.append(pictured(evidence.picture, f"{id}-{n}"))
    return "\n".join(parts)


def tabulated(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of any columns; a column that a row lacks is empty there."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escaped(str(name))}</th>" for name in columns)
    body = ""
    for row in rows:
        body += "<tr>" + "".join(_cell(row[name]) if name in row else "<td></td>" for name in columns) + "</tr>"
    return _scroll(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _cell(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = cell_text(value)
    if isinstance(value, Value) and value.error:
        text += f" ± {value.error:.1g}"
    return f'<td class="number">{escaped(text)}</td>' if number else f"<td>{escaped(text)}</td>"


# --- formulas -----------------------------------------------------------------------------------------------


def formula(latex: str) -> str:
    r"""A formula in LaTeX as a MathML element.

    Letters of the mathematical alphabets are written as themselves, since browsers no longer read the attribute for
    them; a function's name is an operator, which browsers set apart from its argument.

    Raises
    ------
    ValueError
        ``latex: ...`` where a command is not known.

    Examples
    --------
    >>> formula(r"\mathbb E x")
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow><mi>&#x1D53C;</mi><mi>x</mi></mrow></math>'
    """
    from latex2mathml.converter import convert

    try:
        # only with braces does a letter come out as itself
        element: str = convert(re.sub(r"(\\math[a-z]+) (\w)", r"\1{\2}", latex), display="block")
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"latex: expected a formula, got {latex!r} ({reason})") from error
    unknown = re.search(r">(?:\\|&#x0005C;)\w+", element)
    if unknown:
        raise ValueError(f"latex: expected known commands, got {unknown[0].lstrip('>')!r} in {latex!r}")
    return re.sub(r"<mi>([a-z]{2,})</mi>(?=<m[a-np-z])", r'<mo lspace=".17em" rspace=".17em">\1</mo>', element)


# --- pictures -----------------------------------------------------------------------------------------------


def pictured(picture: Mapping[str, Any], id: str) -> str:
    """Curves on logarithmic axes with their numbers below."""
    x, y = str(picture["x"]), str(picture["y"])
    curves = {
        str(name): [(float(a), float(b)) for a, b in zip(*curve, strict=True)]
        for name, curve in picture["curves"].items()
    }
    rows = [{"curve": name, x: a, y: b} for name, points in curves.items() for a, b in points]
    numbers = f"<details><summary>The numbers</summary>{tabulated(rows)}</details>"
    if importlib.util.find_spec("matplotlib") is None:
        return f"<figure><figcaption>No picture: matplotlib is not installed.</figcaption>{numbers}</figure>"
    caption = f"{y} against {x}, logarithmic axes"
    shown = {name: [p for p in points if all(0 < c < math.inf for c in p)] for name, points in curves.items()}
    if shown != curves:
        caption += "; points at 0 or below, or infinite, are left out"
    drawing = f'<div role="img" aria-label="{escaped(caption)}">{_drawing(shown, x, y, id)}</div>'
    return f"<figure>{drawing}<figcaption>{escaped(caption)}</figcaption>{numbers}</figure>"


_INK = "#010203"
"""Stands for the colour of the page's text, whatever that is."""
_MARKERS = "os^vD*XP"


def _drawing(curves: Mapping[str, list[tuple[float, float]]], x: str, y: str, id: str) -> str:
    """The curves as an SVG element whose ids occur nowhere else on the page."""
    import matplotlib
    from matplotlib.figure import Figure

    inked: Any = "axes.edgecolor", "axes.labelcolor", "grid.color", "text.color", "xtick.color", "ytick.color"
    with matplotlib.rc_context(dict.fromkeys(inked, _INK)):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for k, (name, points) in enumerate(curves.items()):
            style = {"marker": _MARKERS[k % len(_MARKERS)], "markersize": 4, "label": _plain(name)}
            axes.loglog([a for a, _ in points], [b for _, b in points], **style)
        axes.set(xlabel=_plain(x), ylabel=_plain(y))
        axes.grid(alpha=0.2)
        axes.legend(frameon=False, fontsize="small")
        drawing = drawn(figure, "svg", id, transparent=True).decode()
    drawing = drawing[drawing.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{id}-", drawing)


def _plain(text: str) -> str:
    """Text that matplotlib is not to take for a formula."""
    return text.replace("$", r"\$")
