"""What a person reads of tables and texts, for tests of the views."""

from __future__ import annotations

import io

from rich.console import Console


def text_of(blocks, width: int = 10_000) -> str:
    """Without a width as where there is no terminal: every line as long as it needs."""
    console = Console(file=io.StringIO(), width=width)
    for block in blocks:
        console.print(block)
    return console.file.getvalue()
