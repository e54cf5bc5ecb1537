"""What is measured: timing, the record of one row, and its printing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["SECTIONS", "THREADS", "Record", "Timing", "failure", "measure", "plain", "show"]

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

SECTIONS = {
    "tv": "Total variation of two Gaussians: rm.tv(p, q), laws built beforehand, validation and error estimate inside",
    "peers": "The same cases by what a user would pick instead, rm.tv measured again in this run",
    "laws": "Exact laws and errors",
    "averaged": "The law averaged over random midpoints: TV on the digits, time against half-width, beside brute force",
    "ledger": "The claims ledger: default, certified and mutated evidence, certified total variation",
    "soak": "Worst ratio of |value - truth| to the stated error: random hard pairs against balls, at most 1 everywhere",
    "commands": "The command line, start-up included",
    "rounds": "One step of the parallel midpoint against R, for a score of fixed cost: a round is one batched call",
    "samplers": "Somebody's sampler: its exact law by one reading, beside the same code on particles",
    "backends": "Particles on JAX, PyTorch and CuPy: rm.sample beside the same by hand (ns per particle-step-dim.)",
    "particles": "Particles: rm.sample on NumPy beside a plain loop of the same arithmetic (ns per particle-step-dim.)",
}


@dataclass(frozen=True)
class Timing:
    """Median and least seconds of a call, how often it ran, and what it returned."""

    median: float
    least: float
    runs: int
    result: Any


@dataclass(frozen=True)
class Record:
    """One row. `time` (the median) and `least` are in seconds, or in `unit`; `relative` is |value - reference| over
    the reference and `stated` the method's own error estimate, also relative."""

    section: str
    case: str
    method: str
    time: float | None = None
    least: float | None = None
    goal: float | None = None
    unit: str = "s"
    value: float | None = None
    relative: float | None = None
    stated: float | None = None
    ratio: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.goal is None or self.time is None else self.time < self.goal


def measure(call: Callable[[], Any], repeats: int, budget: float = 2.0) -> Timing:
    """The call's median time over at most `repeats` runs, begun within `budget` seconds.

    A first run that takes less than half the budget is a warm-up and is not counted.
    """
    times: list[float] = []
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start
    if first > budget / 2:
        times.append(first)
    while len(times) < repeats and time.perf_counter() - start < budget:
        begin = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - begin)
    return Timing(statistics.median(times), min(times), len(times), result)


def failure(section: str, case: str, method: str, why: str) -> Record:
    """The row of a method that gives no number."""
    return Record(section, case, method, note=why)


def plain(records: Iterable[Record]) -> list[dict[str, Any]]:
    """The records as data for JSON."""
    return [asdict(record) | {"met": record.met} for record in records]


def show(section: str, records: list[Record]) -> None:
    """Print one table; columns that no row fills are left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns: list[tuple[str, Callable[[Record], str]]] = [
        ("case", lambda r: r.case),
        ("method", lambda r: r.method),
        ("TV", lambda r: "" if r.value is None else f"{r.value:.3g}"),
        ("time", lambda r: _time(r.time, r.unit)),
        ("least", lambda r: _time(r.least, r.unit)),
        ("goal", lambda r: "" if r.goal is None else f"< {_time(r.goal, r.unit)}"),
        ("met", lambda r: "" if r.met is None else ("yes" if r.met else f"NO ({_times(r)})")),
        ("rel. error", lambda r: "" if r.relative is None else f"{r.relative:.1e}"),
        ("stated", lambda r: "" if r.stated is None else f"{r.stated:.1e}"),
        ("ratio", lambda r: "" if r.ratio is None else f"{r.ratio:.3g}"),
        ("", lambda r: r.note),
    ]
    table = Table(title=SECTIONS[section], title_justify="left", box=box.SIMPLE_HEAD)
    kept = [(name, cell) for name, cell in columns if name in ("case", "time") or any(map(cell, records))]
    for name, _ in kept:
        table.add_column(name, justify="left" if name in ("case", "method", "") else "right", no_wrap=name != "")
    before = None
    for record in records:
        if before is not None and section == "peers" and record.case != before:
            table.add_section()
        before = record.case
        table.add_row(*(cell(record) for _, cell in kept))
    console = Console()
    Console(width=None if console.is_terminal else 180).print(table)


def _times(record: Record) -> str:
    assert record.time is not None
    assert record.goal is not None
    return f"{record.time / record.goal:.3g}x"


def _time(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit != "s":
        return f"{value:.3g} {unit}"
    for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.1e} s"
