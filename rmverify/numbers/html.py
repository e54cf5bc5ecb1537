"""A plain HTML table: what a notebook shows of a result, with nothing to install."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["html_table"]


def html_table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Cells as text, escaped.

    Examples
    --------
    >>> html_table(["a"], [["b < c"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b &lt; c</td></tr></tbody></table>'
    """

    def row(cells: Iterable[object], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>"
