"""The command line, start-up of Python included.

Goals: `rmverify budget digits --tv 0.1`, the package's main job, < 10 s on two cores; `rmverify --help` < 0.4 s;
`rmverify explain B2`, which computes nothing, < 1 s;
`rmverify rates`, d up to 10^8, < 60 s on two cores.
With as many threads as the libraries choose, and the main job with one thread too: on a busy machine threads of BLAS
that wait for each other cost more than they save.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.record import THREADS, Record, failure, measure

__all__ = ["run"]

_BUDGET = ["budget", "digits", "--tv", "0.1", "--seed", "0"]


def run(quick: bool) -> Iterator[Record]:
    """The commands."""
    repeats, budget = (3, 2.0) if quick else (5, 40.0)
    yield _command(["--help"], 0.4, 11, budget)
    yield _command(["explain", "B2"], 1.0, 11, budget)
    yield _command(_BUDGET, 10.0, repeats, budget)
    if not quick:
        yield _command(["rates", "--no-progress"], 60.0, 1, 1.0, threads=1)
        yield _command(["rates", "--parallel", "--no-progress"], None, 1, 1.0, threads=1)
        yield _command(["rates", "--log-concave", "--no-progress"], None, 1, 1.0, threads=1)
        yield _command(_BUDGET, None, repeats, budget, threads=1)


def _command(
    arguments: list[str], goal: float | None, repeats: int, budget: float, threads: int | None = None
) -> Record:
    environment = {key: value for key, value in os.environ.items() if key not in THREADS}
    if threads is not None:
        environment |= dict.fromkeys(THREADS, str(threads))
    command = [sys.executable, "-m", "rmverify", *arguments]

    def call() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    timing = measure(call, repeats, budget)
    case, method = " ".join(["rmverify", *arguments]), "default threads" if threads is None else f"{threads} thread"
    if timing.result.returncode:
        last = (timing.result.stderr.strip().splitlines() or [""])[-1]
        return failure("commands", case, method, f"exit code {timing.result.returncode}: {last}"[:120])
    note = f"{timing.runs} run(s), {os.cpu_count()} cores seen"
    return Record("commands", case, method, timing.median, timing.least, goal, note=note)
