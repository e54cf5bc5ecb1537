"""What a failed assert shows: facts and a table, narrow enough for a terminal beside pytest's margin."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

__all__ = ["report", "table"]

_WIDTH = 76  # pytest puts four characters before each line


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they must be, numbers to the right.

    Examples
    --------
    >>> print(table(["N", "TV"], [[8, 0.25], [16, "exact"]]))
     N     TV
     8   0.25
    16  exact
    """
    cells = [list(heads), *([f"{z:.5g}" if isinstance(z, float) else str(z) for z in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(n) for cell, n in zip(line, widths, strict=True)).rstrip() for line in cells)


def report(title: str, facts: Sequence[tuple[str, object]], *tables: str) -> str:
    """A sentence, what it is about, and the tables behind it.

    Examples
    --------
    >>> print(report("it is not", [("target", "N(0, 1)")], table(["TV"], [[0.5]])))
    it is not
      target  N(0, 1)
    <BLANKLINE>
       TV
      0.5
    """
    margin = max(len(name) for name, _ in facts) + 4
    lines = textwrap.wrap(title, _WIDTH)
    for name, value in facts:
        first = f"  {name}".ljust(margin)
        lines += textwrap.wrap(str(value), _WIDTH, initial_indent=first, subsequent_indent=" " * margin)
    return "\n\n".join(["\n".join(lines), *(textwrap.indent(part, "  ") for part in tables)])
