"""What every view shares: one table in each of its forms (terminal, CSV, Markdown, LaTeX), JSON, and pictures.

A view says which columns a result has and what there is to remark; how that is laid out is decided here, once.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from textwrap import fill
from typing import Any

from rmverify.numbers.values import Value

SCHEMA = 3
"""Version of the JSON documents."""

_STYLES = {"consistent": "green", "contradicts": "bold red", "claim not sharp here": "yellow"}
_WORDS = ("verdict", "note")


def number(x: float, digits: int = 3) -> str:
    """With at most so many digits; 1e8, not 1e+08."""
    mantissa, e, power = f"{x:.{digits}g}".partition("e")
    return mantissa + (f"e{int(power)}" if e else "")


def short(value: Value | None) -> str:
    """With three digits, or its distance from 1, and with its error where that counts; a dash for None."""
    return "-" if value is None else value.text(3)


# --- for programs and papers ----------------------------------------------------------------------------------------


def document(command: str, content: dict[str, Any]) -> str:
    """One JSON document: the schema's version, the package's, the command and its content."""
    from rmverify import __version__

    head = {"schema": SCHEMA, "rmverify": __version__, "command": command}
    return json.dumps(head | content, indent=2, allow_nan=False)


def csv_text(lines: Iterable[Sequence[Any]]) -> str:
    """The lines, the first of them the names of the columns."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
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


def grid(
    columns: Sequence[str], lines: Iterable[Sequence[Any]], *, least: Mapping[str, int] | None = None,
    right: Sequence[str] = (),
) -> Any:  # fmt: skip
    """One table of texts. What is too wide is folded, the widest column first, so that no digit is ever cut; with
    least widths, which align its columns to those of others, only words are."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Rich
    from rich.text import Text

    table = Rich(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold",
            min_width=least[column] if least else None, no_wrap=least is not None and column not in _WORDS,
        )  # fmt: skip
    for line in lines:
        cells = zip(columns, line, strict=True)
        table.add_row(*(
            cell if isinstance(cell, Text) else Text(cell, style=_STYLES.get(cell, "") if c == "verdict" else "")
            for c, cell in cells
        ))  # fmt: skip
    return table


def tabular(
    columns: Sequence[str], lines: Sequence[Sequence[str]], width: int | None, heads: Sequence[str] = (),
    drop: Sequence[str] = (), right: Sequence[str] = (),
) -> tuple[list[Any], list[str]]:  # fmt: skip
    """A table, and what was left out of it.

    Without a width everything in one. Otherwise the columns `heads` are the titles of groups, and those of `drop` go,
    one after the other, until the rest fits.
    """
    if width is None:
        return [grid(columns, lines, right=right), ""], []
    wide = {c: max(len(line[k]) for line in [columns, *lines]) for k, c in enumerate(columns)}
    wide |= {c: min(wide[c], 11) for c in _WORDS if c in wide}
    shown, dropped = [c for c in columns if c not in heads], []

    def fits() -> bool:
        return sum(wide[c] + 2 for c in shown) - 2 <= width

    for name in drop:
        if not fits() and name in shown:
            shown.remove(name)
            dropped.append(name)
    groups: dict[str, list[list[str]]] = {}
    for line in lines:
        cells = dict(zip(columns, line, strict=True))
        title = ", ".join(_titled(c, cells[c]) for c in heads if cells[c])
        groups.setdefault(title, []).append([cells[c] for c in shown])
    least = wide if fits() else None
    blocks: list[Any] = []
    for title, part in groups.items():
        blocks += [paragraph(title, width, "italic")] if title else []
        blocks += [grid(shown, part, least=least, right=right), ""]
    return blocks, dropped


def _titled(column: str, cell: str) -> str:
    return f"{cell} law" if column == "law" else f"{column} = {cell}" if column in ("d", "L", "eps") else cell


def paragraph(words: str, width: int | None, style: str = "") -> Any:
    """A paragraph."""
    from rich.text import Text

    return Text(fill(words, min(width or 116, 116)), style=style)


def omitted(dropped: Sequence[str], forms: str) -> list[str]:
    """Which columns a table lacks, and where they are."""
    return [f"Columns omitted to fit the terminal: {', '.join(dropped)} (see {forms})."] if dropped else []


def listed(lines: Iterable[tuple[str, str]]) -> Any:
    """Names and texts side by side."""
    from rich.table import Table
    from rich.text import Text

    side = Table.grid(padding=(0, 2))
    side.add_column(no_wrap=True)
    side.add_column(overflow="fold")
    for name, text in lines:
        side.add_row(Text(name, style="dim"), Text(text))
    return side


# --- tables of studies ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """One table of a study: its title, its columns and lines, and the remarks below it.

    `heads` and `drop` are those of `tabular`; `papers`: whether Markdown and LaTeX have it, with the notes `sources`.
    """

    columns: Sequence[str]
    lines: Sequence[Sequence[str]]
    title: str = ""
    remarks: Sequence[str] = ()
    heads: Sequence[str] = ()
    drop: Sequence[str] = ()
    papers: bool = True
    sources: Sequence[str] = ()

    @classmethod
    def of(cls, columns: Mapping[str, Callable[[Any], str]], records: Iterable[Any], **more: Any) -> Section:
        """A column for every function of a record."""
        return cls(list(columns), [[of(record) for of in columns.values()] for record in records], **more)


@dataclass(frozen=True)
class View:
    """A study's table in every form.

    Parameters
    ----------
    row : type
        Of the rows, which are the CSV.
    sections : callable
        The tables of a result.
    setting : callable
        What all of them are about, in words.
    picture : callable
        A result and a suffix to the bytes of a PNG, SVG or PDF.
    refuted : callable
        Whether a result contradicts what is claimed.
    unsettled : callable
        What it lacks without which the question is open.
    code : sequence of str
        Columns in which Markdown would see emphasis, written as code.
    """

    row: type
    sections: Callable[..., list[Section]]
    setting: Callable[[Any], str]
    picture: Callable[[Any, str], bytes]
    refuted: Callable[[Any], bool]
    unsettled: Callable[[Any], list[Any]]
    code: Sequence[str] = ()

    def as_csv(self, found: Any) -> str:
        """One line per row with everything that is known of it, a value with its ends, error and kind."""
        parts = {"": float} | {f"_{name}": attrgetter(name) for name in ("lower", "upper", "error", "kind")}
        values = {f.name for f in fields(self.row) if "Value" in str(f.type)}
        columns = [(f.name, part) for f in fields(self.row) for part in (parts if f.name in values else [""])]

        def cell(record: Any, name: str, part: str) -> Any:
            value = getattr(record, name)
            return value if value is None or name not in values else parts[part](value)

        head = [name + part for name, part in columns]
        return csv_text([head, *([cell(record, *column) for column in columns] for record in found.rows)])

    def as_markdown(self, found: Any) -> str:
        """The tables as Markdown."""

        def code(column: str, cell: str) -> str:
            return f"`{cell}`" if cell and column in self.code else cell

        return "\n".join(
            markdown(
                s.columns, [[code(c, cell) for c, cell in zip(s.columns, line, strict=True)] for line in s.lines],
                [code("source", text) for text in s.sources],
            )
            for s in self.sections(found) if s.papers
        )  # fmt: skip

    def as_latex(self, found: Any) -> str:
        """The same as LaTeX tabulars; needs the package booktabs."""
        return "".join(latex(s.columns, s.lines, s.sources) for s in self.sections(found) if s.papers)

    def shown(self, found: Any, width: int | None = None, **options: Any) -> list[Any]:
        """What a person reads, as rich renderables; without a width every line is as long as it needs."""
        blocks: list[Any] = [paragraph(self.setting(found), width)]
        for s in self.sections(found, **options):
            table, dropped = tabular(s.columns, s.lines, width, s.heads, s.drop) if s.lines else ([], [])
            blocks += ["", paragraph(s.title, width, "bold")] if s.title else [""]
            blocks += [*table, *(paragraph(note, width, "dim") for note in s.remarks)]
            blocks += [paragraph(note, width, "dim") for note in omitted(dropped, "--markdown or --json")]
        return blocks


# --- pictures -------------------------------------------------------------------------------------------------------


def drawn(figure: Any, suffix: str, salt: str = "rmverify", **options: Any) -> bytes:
    """The figure as PNG, SVG or PDF; from the same numbers always the same, with ids from the salt."""
    import matplotlib

    out = io.BytesIO()
    metadata: Any = {"svg": dict.fromkeys(("Date", "Creator", "Format", "Type")), "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format=suffix, dpi=150, metadata=metadata.get(suffix), **options)
    return out.getvalue()
