"""The claims ledger.

* All claims with their default evidence, `rmverify verify` as a command with its two processes: goal < 60 s.
* The certified constants of A4, B2, B3 and B4, with the relative widths of their enclosures.
* `rm.tv(p, q, certified=True)`, with the relative radius: goal 1e-12 in seconds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import rmverify as rm
from benchmarks.record import Record, failure, measure

__all__ = ["run"]


def run(quick: bool) -> Iterator[Record]:
    """All rows."""
    yield _command(quick)
    yield from _certified(quick)
    yield from _enclosures(quick)


def _command(quick: bool) -> Record:
    command = [sys.executable, "-m", "rmverify", "verify", "--no-progress"]

    def call() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)

    timing = measure(call, 1 if quick else 3, 1.0)
    if timing.result.returncode not in (0, 1):  # 1: of some claims the printed form is not implied
        return failure("ledger", "rmverify verify", "2 processes", f"exit code {timing.result.returncode}")
    summary = next((line for line in timing.result.stdout.splitlines() if " claims: " in line), "")
    return Record("ledger", "rmverify verify", "2 processes", timing.median, timing.least, 60.0, note=summary)


def _certified(quick: bool) -> Iterator[Record]:
    for id in ("A4", "B3", "B4") if quick else ("A4", "B2", "B3", "B4"):
        timing = measure(lambda id=id: rm.verify([id], kinds=["certified"]), 1, 1.0)
        constant = timing.result[id].constant
        if constant is None:
            yield failure("ledger", f"certified constant of {id}", "balls", timing.result[id].finding)
            continue
        width = constant.upper / constant.lower - 1
        note = f"[{constant.lower:.6g}, {constant.upper:.6g}], relative width {width:.2g}"
        yield Record("ledger", f"certified constant of {id}", "balls", timing.median, timing.least, 20.0, note=note)


def _enclosures(quick: bool) -> Iterator[Record]:
    for dim, variance in ((1, 1.1), (10, 1.01), (1000, 1.0001), (10**6, 1.00001)):
        p, q = rm.Gaussian.isotropic(variance, dim), rm.Gaussian.isotropic(1.0, dim)
        timing = measure(lambda p=p, q=q: rm.tv(p, q, certified=True), 1 if quick else 3, 1.0)
        value = timing.result
        note = f"TV {float(value):.6g}, relative radius {(value.upper - value.lower) / 2 / value:.1g}"
        case = f"certified TV, d = {dim}"
        yield Record("ledger", case, "balls", timing.median, timing.least, 5.0, note=note)
