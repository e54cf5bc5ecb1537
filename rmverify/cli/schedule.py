"""``rmverify schedule``: which noise levels should my sampler use on my data?"""

from __future__ import annotations

import argparse
import contextlib
import math
from typing import Any

from rmverify.cli.options import add_command, add_data, add_ends, name_of, real, target_of, whole
from rmverify.cli.output import Exit, Usage, plottable, progress, width, write

SCHEMES = (
    "ddim", "ddpm", "edm_heun", "euler", "exponential_integrator", "exponential_sde", "heun", "importance_midpoint",
    "midpoint", "randomized_midpoint",
)  # fmt: skip
"""`rmverify.studies.schedules.SCHEMES`."""


def add(commands: Any) -> None:
    """The command and its options."""
    schedule = add_command(
        commands, "schedule", "the noise levels with the least error on my data, for a scheme", run,
        "rmverify schedule digits --scheme heun --steps 20\n"
        "  rmverify schedule data.csv --scheme ddim --accuracy 0.1 --metric tv",
    )  # fmt: skip
    add_data(schedule)
    schedule.add_argument(
        "--scheme", choices=SCHEMES, default="heun", metavar="NAME", help=f"one of {', '.join(SCHEMES)}"
    )
    goal = schedule.add_mutually_exclusive_group()
    goal.add_argument("--steps", type=whole(1, 200), metavar="N", help="steps of the grid; default: 20")
    goal.add_argument(
        "--accuracy", type=real(0, math.inf), metavar="X", help="instead: the fewest steps whose error is at most X"
    )
    schedule.add_argument(
        "--metric", choices=("kl", "tv", "w2"), default="kl", help="the error, of the output against q_delta"
    )
    schedule.add_argument(
        "--tv", type=real(0, 1), metavar="EPS",
        help="sets the default horizon; default: the accuracy in total variation if there is one, and 0.1",
    )  # fmt: skip
    add_ends(schedule)
    schedule.add_argument("--start", choices=("normal", "exact"), default="normal", help="N(0, I), or the true q_T")
    schedule.add_argument("--restarts", type=whole(0, 100), default=3, metavar="N", help="random starts of the search")
    schedule.add_argument(
        "--betas", choices=("linear", "scaled_linear"), default="linear",
        help="whose 1000 timesteps are listed: diffusers' default, or Stable Diffusion's",
    )  # fmt: skip
    schedule.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    schedule.add_argument("--plot", metavar="FILE", help="sigma against steps, as .png, .svg or .pdf")


def run(options: argparse.Namespace) -> int:
    from rmverify.io import atomic_write
    from rmverify.studies import schedules
    from rmverify.studies.budget import setting
    from rmverify.views import schedules as view
    from rmverify.views.common import document

    suffix = plottable(options.plot)
    if options.scheme == "randomized_midpoint" and options.metric == "tv":
        raise Usage("--metric: the total variation given a random midpoint has no closed form; use kl or w2")
    target = target_of(options, turned=True)
    ends = {name: getattr(options, name) for name in ("early_stop", "early_stop_tv", "horizon")}
    accuracy = options.accuracy if options.metric == "tv" else None
    within = options.tv or (accuracy if accuracy is not None and accuracy < 1 else 0.1)
    steps = 20 if options.steps is None and options.accuracy is None else options.steps
    with progress(options) as tell, _named():
        found = schedules.schedule(
            target, schedules.SCHEMES[options.scheme], steps, accuracy=options.accuracy, metric=options.metric,
            where=setting(target, within, **ends), start=options.start, restarts=options.restarts, progress=tell,
        )  # fmt: skip
    about = found, name_of(options), options.betas
    form = {"json": lambda: document("schedule", view.as_record(*about))}
    write(options, form, lambda: view.shown(*about, width()))
    if suffix:
        atomic_write(options.plot, view.picture(found, name_of(options), suffix))
    reached = found.accuracy is None or getattr(found.rows[0], found.metric).upper <= found.accuracy
    return Exit.VERIFIED if reached else Exit.INCONCLUSIVE


@contextlib.contextmanager
def _named() -> Any:
    """Here the accuracy has an option of its own."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith("accuracy: "):
            raise Usage(f"--{error}") from None
        raise
