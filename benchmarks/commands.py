"""The command line, start-up of Python included.

Goals: `rmverify budget digits --tv 0.1`, the package's main job, < 10 s on two cores; `rmverify --help` < 0.4 s.
The commands run with as many threads as their libraries choose.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.record import THREADS, Record, failure, measure

__all__ = ["run"]


def run(quick: bool) -> Iterator[Record]:
    """Both commands."""
    for arguments, goal, repeats in ((["--help"], 0.4, 11), (["budget", "digits", "--tv", "0.1"], 10.0, 3)):
        yield _command(arguments, goal, min(repeats, 3) if quick else repeats, 2.0 if quick else 60.0)


def _command(arguments: list[str], goal: float, repeats: int, budget: float) -> Record:
    environment = {key: value for key, value in os.environ.items() if key not in THREADS}
    command = [sys.executable, "-m", "rmverify", *arguments]

    def call() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    timing = measure(call, repeats, budget)
    case = " ".join(["rmverify", *arguments])
    if timing.result.returncode:
        last = (timing.result.stderr.strip().splitlines() or [""])[-1]
        return failure("commands", case, "", f"exit code {timing.result.returncode}: {last}"[:120])
    return Record(
        "commands",
        case,
        "",
        timing.median,
        timing.least,
        goal,
        note=f"{timing.runs} run(s), {os.cpu_count()} cores seen",
    )
