"""Tables in every form: rich for a terminal, CSV, Markdown, LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from textwrap import fill
from typing import Any

from rmverify.numbers.values import Value

STYLES = {"consistent": "green", "contradicts": "bold red", "claim not sharp here": "yellow"}
_WRAPPED = ("verdict", "note")


def number(x: float, digits: int = 3) -> str:
    """With at most so many digits; 1e8, not 1e+08."""
    mantissa, e, power = f"{x:.{digits}g}".partition("e")
    return mantissa + (f"e{int(power)}" if e else "")


def short(value: Value) -> str:
    """With three digits, or its distance from 1, and with its error where that counts."""
    return value.text(3)


# --- for programs and papers ----------------------------------------------------------------------------------------


def records_csv(records: Sequence[Any], kind: type) -> str:
    """One line per record, a dataclass, with everything that is known of it; a value with its ends, error and kind."""
    names = [f.name for f in fields(kind)]
    values = [name for name in names if "Value" in str(next(f.type for f in fields(kind) if f.name == name))]
    parts: dict[str, Callable[[Value], Any]] = {
        "": float,
        "_lower": lambda v: v.lower,
        "_upper": lambda v: v.upper,
        "_error": lambda v: v.error,
        "_kind": lambda v: v.kind,
    }
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([name + part for name in names for part in (parts if name in values else [""])])
    for record in records:
        line: list[Any] = []
        for name in names:
            value = getattr(record, name)
            line += [value] if name not in values else [None if value is None else of(value) for of in parts.values()]
        writer.writerow(line)
    return out.getvalue()


def markdown(columns: Sequence[str], lines: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A Markdown table with a list of notes below."""

    def row(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    listed = [row(columns), row("---" for _ in columns), *map(row, lines)]
    listed += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(listed) + "\n"


def latex(columns: Sequence[str], lines: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A LaTeX tabular with paragraphs of notes below; needs the package booktabs."""
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in lines]
    listed = [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{'l' * len(columns)}}}",
        r"\toprule",
        " & ".join(map(_latex, columns)) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par {_latex(note)}" for note in notes),
    ]
    return "\n".join(listed) + "\n"


_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    | {"<": "$<$", ">": "$>$", "±": r"$\pm$"}
)


def _latex(text: str) -> str:
    return text.translate(_ESCAPES).replace("..", "--")


# --- for people -----------------------------------------------------------------------------------------------------


def tabular(
    columns: Sequence[str], lines: Sequence[Sequence[str]], width: int | None, heads: Sequence[str], drop: Sequence[str]
) -> tuple[list[Any], list[str]]:
    """A table, and what was left out of it.

    Without a width everything in one. Otherwise the columns `heads` are the titles of groups, and those of `drop` go,
    one after the other, until the rest fits.
    """
    if width is None:
        return [grid(columns, lines), ""], []
    wide = {c: max(len(line[k]) for line in [columns, *lines]) for k, c in enumerate(columns)}
    wide |= {c: min(wide[c], 11) for c in _WRAPPED if c in wide}
    shown, dropped = [c for c in columns if c not in heads], []
    for name in drop:
        if sum(wide[c] + 2 for c in shown) - 2 > width and name in shown:
            shown.remove(name)
            dropped.append(name)
    groups: dict[str, list[list[str]]] = {}
    for line in lines:
        cells = dict(zip(columns, line, strict=True))
        title = ", ".join(_titled(c, cells[c]) for c in heads if cells[c])
        groups.setdefault(title, []).append([cells[c] for c in shown])
    blocks: list[Any] = []
    for title, part in groups.items():
        blocks += [paragraph(title, width, "italic")] if title else []
        blocks += [grid(shown, part, [wide[c] for c in shown]), ""]
    return blocks, dropped


def _titled(column: str, cell: str) -> str:
    return f"{cell} law" if column == "law" else f"{column} = {cell}" if column in ("d", "L", "eps") else cell


def grid(columns: Sequence[str], lines: Iterable[Sequence[str]], least: Sequence[int] | None = None) -> Any:
    """One table; with least widths its columns are aligned to those of others."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Rich
    from rich.text import Text

    table = Rich(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for k, column in enumerate(columns):
        table.add_column(column, no_wrap=column not in _WRAPPED, min_width=least[k] if least else None, overflow="fold")
    for line in lines:
        cells = zip(columns, line, strict=True)
        table.add_row(*[Text(cell, style=STYLES.get(cell, "") if c == "verdict" else "") for c, cell in cells])
    return table


def paragraph(words: str, width: int | None, style: str = "") -> Any:
    """A paragraph."""
    from rich.text import Text

    return Text(fill(words, min(width or 116, 116)), style=style)
