"""``rmverify budget``: what does each scheme have to pay for a total variation on my data?"""

from __future__ import annotations

import argparse
from typing import Any

from rmverify.cli.options import (
    PREDICTORS,
    add_command,
    add_search,
    add_setting,
    levels_of,
    name_of,
    predictor,
    real,
    seeded,
    target_of,
    whole,
)
from rmverify.cli.output import Exit, complain, plottable, progress, remark, width, write


def add(commands: Any) -> None:
    """The command and its options."""
    budget = add_command(
        commands, "budget", "score evaluations that each scheme needs for a total variation", run,
        "rmverify budget digits --tv 0.1\n  rmverify budget data.csv --tv 0.01 --plot budget.png",
    )  # fmt: skip
    add_setting(budget, "total variation to q_delta to reach")
    add_search(budget, PREDICTORS, 1 << 17)
    budget.add_argument(
        "--precision", type=real(0, 1), default=0.02, metavar="X",
        help="with random midpoints: half-width of the interval of N to aim for, relative to N",
    )  # fmt: skip
    budget.add_argument("--workers", type=whole(1), default=1, metavar="N", help="processes")
    budget.add_argument("--curves", action="store_true", help="also print every plan that was tried")
    form = budget.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    form.add_argument("--csv", action="store_true", help="the curves as CSV on stdout instead of the table")
    budget.add_argument("--plot", metavar="FILE", help="error against evaluations, as .png, .svg or .pdf")


def run(options: argparse.Namespace) -> int:
    from rmverify.io import atomic_write
    from rmverify.plans import footprint
    from rmverify.studies.budget import budget
    from rmverify.tasks import Gone, pool
    from rmverify.views import budget as view
    from rmverify.views.common import document

    suffix = plottable(options.plot)
    predictors = [predictor(name) for name in options.scheme or PREDICTORS]
    target = target_of(options, turned=True)
    seed = seeded(options, any(footprint(scheme).alphas for scheme in predictors))
    try:
        with progress(options) as tell, pool(options.workers) as workers:
            answer = budget(
                target, options.tv, **levels_of(options), predictors=predictors, precision=options.precision,
                beyond=suffix is not None, rng=options.seed, max_steps=options.max_steps, progress=tell,
                executor=None if options.workers == 1 else workers,
            )  # fmt: skip
    except Gone as error:
        return complain(str(error), Exit.INTERNAL)
    if seed is not None:
        remark(options, seed)
    name = name_of(options)
    write(options, {
        "json": lambda: document("budget", view.as_record(answer, name)),
        "csv": lambda: view.as_csv(answer),
    }, lambda: view.shown(answer, name, width(), options.curves))  # fmt: skip
    if suffix:
        atomic_write(options.plot, view.picture(answer, name, suffix))
    return Exit.VERIFIED if all(row.upper is not None for row in answer.rows) else Exit.INCONCLUSIVE
