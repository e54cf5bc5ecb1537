"""Where a command's answer goes: tables on stdout, progress and remarks on stderr, files, exit codes.

Programs read stdout and people read both, so that nothing but the answer may reach stdout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any


class Exit(IntEnum):
    """What an exit code says; `EXITS` explains them."""

    VERIFIED, REFUTED, USAGE, INCONCLUSIVE, INTERNAL = range(5)


EXITS = """exit codes:
  0  verified: everything asked for was found
  1  refuted: a stated claim does not hold, or is not implied
  2  usage: a bad argument, file or number
  3  inconclusive: the bounds do not decide, or the search reached its limit
  4  internal error: a fault of the package, or numbers beyond its arithmetic"""

DATA = """DATA is a CSV or NPY file, rows are samples; with --covariance it is a
covariance matrix, with --spectrum the variances, one a line, with how often
each occurs in a second column if not once. The name "digits" stands for the
covariance of the 8x8 handwritten digits that comes with the package."""


class Usage(ValueError):
    """A mistake in what the user asked for, which the message explains in one line."""


def complain(message: str, code: int) -> int:
    """Print one line on stderr, and return the exit code."""
    print(f"rmverify: {' '.join(message.split())}", file=sys.stderr)
    return code


def remark(options: argparse.Namespace, text: str) -> None:
    """A line on stderr, unless the user asked for quiet."""
    if not options.quiet:
        print(f"rmverify: {text}", file=sys.stderr)


@contextmanager
def progress(options: argparse.Namespace) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on stderr that says what is being computed; nothing where stderr is no terminal."""
    if options.quiet or options.no_progress or not sys.stderr.isatty():
        yield lambda text, fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=1.0)
        yield lambda text, fraction: shown.update(task, description=text, completed=fraction)


def width() -> int | None:
    """Columns of the terminal; None where there is none, and tables are as wide as they need."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show(blocks: list[Any]) -> None:
    """Tables and texts on stdout."""
    import io

    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=width() or 10_000, height=24, force_terminal=sys.stdout.isatty(), highlight=False,
        legacy_windows=False, no_color="NO_COLOR" in os.environ or None,
    )  # fmt: skip
    for block in blocks:
        console.print(block)
    encoding = sys.stdout.encoding or "utf-8"
    lines = "".join(line.rstrip(" ") + "\n" for line in out.getvalue().splitlines())
    print(lines.encode(encoding, "replace").decode(encoding), end="", flush=True)


def write(options: argparse.Namespace, forms: dict[str, Callable[[], str]], tables: Callable[[], list[Any]]) -> None:
    """The form that was asked for on stdout, or the tables."""
    for name, form in forms.items():
        if getattr(options, name):
            print(form().removesuffix("\n"))
            return
    show(tables())


def writable(option: str, path: str, known: tuple[str, ...]) -> str:
    """The ending of a file's name, one of those known; refused, before anything is computed, where its folder cannot be
    written to."""
    suffix, folder = Path(path).suffix.lower().lstrip("."), Path(path).absolute().parent
    if suffix not in known:
        raise Usage(f"{option}: expected a file ending in {', '.join('.' + k for k in known)}, got {path!r}")
    if not (folder.is_dir() and os.access(folder, os.W_OK)) or Path(path).is_dir():
        raise Usage(f"{option}: cannot write {path!r}: it is a folder, or its folder is missing or read-only")
    return suffix


def plottable(path: str | None) -> str | None:
    """The format of a picture, if one was asked for; refused before anything is computed where it could not be made."""
    if path is None:
        return None
    suffix = writable("--plot", path, ("png", "svg", "pdf"))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Usage("--plot needs matplotlib; install it with pip install 'rmverify[plot]'") from None
    return suffix
