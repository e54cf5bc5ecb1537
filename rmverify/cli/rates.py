"""``rmverify rates``: how does the number of steps grow with dimension and accuracy, and is it what was claimed?"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import Any

from rmverify.cli.options import SEQUENTIAL, add_command, add_data, add_search, name_of, target_of, whole
from rmverify.cli.output import Exit, Usage, complain, plottable, progress, width, write


def add(commands: Any) -> None:
    """The command and its options."""
    rates = add_command(
        commands, "rates", "steps to an accuracy; exponents in d, 1/eps, L, kappa beside those claimed",
        run, "rmverify rates --store rates.jsonl\n  rmverify rates --full --workers 8 --plot rates.png\n"
        "  rmverify rates --parallel --plot rounds.png\n  rmverify rates --log-concave --json",
    )  # fmt: skip
    other = rates.add_mutually_exclusive_group()
    other.add_argument(
        "--parallel", action="store_true",
        help="rounds against d of the parallel plan, the sequential one, DPUM and others, and against work instead",
    )  # fmt: skip
    other.add_argument(
        "--log-concave", action="store_true",
        help="steps of the log-concave sampler against kappa, d and the accuracy, and its corrector instead",
    )  # fmt: skip
    rates.add_argument("--full", action="store_true", help="d up to 10^12 and finer grids")
    add_search(rates, SEQUENTIAL, note="; default: exponential_integrator, midpoint, heun, randomized_midpoint")
    add_data(
        rates, "--data",
        "also the exponent in d of your covariance, repeated 1 to 10^4 times (10^3 with random midpoints)",
    )  # fmt: skip
    where = rates.add_mutually_exclusive_group()
    where.add_argument("--workers", type=whole(1), default=min(2, os.cpu_count() or 1), metavar="N", help="processes")
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
    from rmverify.io import atomic_write
    from rmverify.studies import sweep
    from rmverify.views.common import document

    name = "rounds" if options.parallel else "log_concave" if options.log_concave else "rates"
    room, view = import_module(f"rmverify.studies.{name}"), import_module(f"rmverify.views.{name}").VIEW
    command, about, asked, shown = "rates", {}, {}, {}
    if name == "rates":
        asked = {
            "full": options.full, "predictors": options.scheme or [], "target": target_of(options, turned=True),
            "theorems": not (options.csv or options.markdown or options.latex),
        }  # fmt: skip
        about, shown = {"data": options.data and name_of(options)}, {"rows": options.rows}
    else:
        other = "--parallel" if options.parallel else "--log-concave"
        command += f" {other}"
        for own in ("full", "scheme", "data", "samples", "covariance", "spectrum", "rows"):
            if getattr(options, own):
                raise Usage(f"--{own} cannot be combined with {other}")
    suffix = plottable(options.plot)
    try:
        with progress(options) as tell, sweep.pool(options.workers, options.dask) as executor:
            found = room.table(
                max_steps=options.max_steps, executor=executor, store=options.store,
                progress=lambda p: tell(str(p), p.fraction), **asked,
            )  # fmt: skip
    except sweep.SweepError as error:
        more = "; what was computed is in the store: run the same command to try again" if options.store else ""
        return complain(f"{error}{more}", Exit.INTERNAL)
    columns = width()
    write(options, {
        "json": lambda: document(command, about | found.as_dict()),
        "csv": lambda: view.as_csv(found),
        "markdown": lambda: view.as_markdown(found),
        "latex": lambda: view.as_latex(found),
    }, lambda: view.shown(found, columns, **shown))  # fmt: skip
    if suffix:
        atomic_write(options.plot, view.picture(found, suffix))
    if view.refuted(found):
        return Exit.REFUTED
    return Exit.INCONCLUSIVE if view.unsettled(found) else Exit.VERIFIED
