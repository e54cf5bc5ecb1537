"""``rmverify rates``: how does the number of steps grow with dimension and accuracy, and is it what was claimed?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rmverify.cli.options import MOST_STEPS, SEQUENTIAL, add_command, add_shapes, name_of, shape_of, target_of, whole
from rmverify.cli.output import (
    INCONCLUSIVE,
    INTERNAL,
    REFUTED,
    VERIFIED,
    Usage,
    complain,
    plottable,
    progress,
    width,
    write,
)

__all__ = ["add"]


def add(commands: Any) -> None:
    """The command and its options."""
    rates = add_command(
        commands, "rates", "steps to an accuracy and their exponents in d, 1/eps, L and kappa, beside the claimed ones",
        run, "rmverify rates --store rates.jsonl\n  rmverify rates --full --workers 8 --plot rates.png\n"
        "  rmverify rates --parallel --plot rounds.png\n  rmverify rates --log-concave --json", data=False,
    )  # fmt: skip
    other = rates.add_mutually_exclusive_group()
    other.add_argument(
        "--parallel", action="store_true",
        help="rounds against d of the parallel plan, the sequential one and DPUM, and rounds against work instead",
    )  # fmt: skip
    other.add_argument(
        "--log-concave", action="store_true",
        help="steps of the log-concave sampler against kappa, d and the accuracy, and its corrector instead",
    )  # fmt: skip
    rates.add_argument("--full", action="store_true", help="d up to 10^12 and finer grids")
    rates.add_argument(
        "--scheme", action="append", choices=SEQUENTIAL, metavar="NAME",
        help=f"restrict to this scheme (repeatable); one of {', '.join(SEQUENTIAL)}; default: all but euler",
    )  # fmt: skip
    rates.add_argument(
        "--data",
        metavar="DATA",
        help="also the exponent in d of your covariance, repeated 1 to 10^4 times (10^3 with random midpoints)",
    )
    add_shapes(rates, "DATA")
    rates.add_argument(
        "--max-steps", type=whole(1, MOST_STEPS), default=MOST_STEPS, metavar="N", help="the most steps that are tried"
    )
    workers = min(2, os.cpu_count() or 1)
    where = rates.add_mutually_exclusive_group()
    where.add_argument("--workers", type=whole(1), metavar="N", help=f"processes (default: {workers})")
    where.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers compute instead")
    rates.add_argument("--store", metavar="FILE", help="keep what was computed; the same command continues from it")
    rates.add_argument("--rows", action="store_true", help="also print every row of the table")
    form = rates.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")
    form.add_argument("--csv", action="store_true", help="every row as CSV on stdout")
    form.add_argument("--markdown", action="store_true", help="the exponents as a Markdown table on stdout")
    form.add_argument("--latex", action="store_true", help="the exponents as a LaTeX table (booktabs) on stdout")
    rates.add_argument("--plot", metavar="FILE", help="N against d and against 1/eps, as .png, .svg or .pdf")


def run(options: argparse.Namespace) -> int:
    from rmverify.studies import rates
    from rmverify.views.rates import VIEW

    if options.parallel or options.log_concave:
        return _other_table(options)
    if shape_of(options) and options.data is None:
        raise Usage(f"{shape_of(options)[0]} needs --data DATA")
    target = None if options.data is None else target_of(options, turned=True)
    asked = {
        "full": options.full, "predictors": options.scheme or [], "target": target,
        "theorems": not (options.csv or options.markdown or options.latex),
    }  # fmt: skip
    data = {"data": options.data and name_of(options)}
    return _table(options, "rates", rates, VIEW, asked, data, rows=options.rows)


def _other_table(options: argparse.Namespace) -> int:
    """The tables of --parallel and --log-concave."""
    asked = "--parallel" if options.parallel else "--log-concave"
    for name in ("full", "scheme", "data", "samples", "covariance", "spectrum", "rows"):
        if getattr(options, name):
            raise Usage(f"--{name} cannot be combined with {asked}")
    if options.parallel:
        from rmverify.studies import rounds as parallel
        from rmverify.views.rounds import VIEW

        return _table(options, f"rates {asked}", parallel, VIEW)
    from rmverify.studies import log_concave
    from rmverify.views.log_concave import VIEW

    return _table(options, f"rates {asked}", log_concave, VIEW)


def _table(
    options: argparse.Namespace, command: str, room: Any, view: Any, asked: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None, **shown: Any,
) -> int:  # fmt: skip
    """Compute the table of a study, print it in the form that was asked for, and judge it."""
    from rmverify.io import atomic_write
    from rmverify.studies import sweep
    from rmverify.views.common import document

    suffix = None if options.plot is None else plottable(options.plot)
    try:
        with _sweeping(options) as (executor, tell):
            found = room.table(
                max_steps=options.max_steps, executor=executor, store=options.store, progress=tell, **(asked or {})
            )
    except sweep.SweepError as error:
        return _broken(options, error)
    columns = width()
    write(options, {
        "json": lambda: document(command, (data or {}) | found.as_dict()),
        "csv": lambda: view.as_csv(found),
        "markdown": lambda: view.as_markdown(found),
        "latex": lambda: view.as_latex(found),
    }, lambda: view.shown(found, columns, **shown))  # fmt: skip
    if suffix is not None:
        atomic_write(options.plot, view.picture(found, suffix))
    if view.refuted(found):
        return REFUTED
    return INCONCLUSIVE if view.unsettled(found) else VERIFIED


@contextmanager
def _sweeping(options: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """The executor of the sweeps of a command, and what shows their progress."""
    from rmverify.studies import sweep

    workers = options.workers or (1 if options.dask else min(2, os.cpu_count() or 1))
    with progress(options) as show, sweep.pool(workers, options.dask) as executor:
        yield executor, lambda p: show(str(p), p.fraction)


def _broken(options: argparse.Namespace, error: Exception) -> int:
    more = "; what was computed is in the store: run the same command to try again" if options.store else ""
    return complain(f"{error}{more}", INTERNAL)
