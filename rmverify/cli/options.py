"""Options that several commands share, and what they stand for: data, a scheme, noise levels, a seed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rmverify.cli.output import DATA, EXITS, Usage, remark

SEQUENTIAL = (
    "euler", "exponential_integrator", "heun", "midpoint", "randomized_midpoint", "importance_midpoint",
)  # fmt: skip
PREDICTORS = (*SEQUENTIAL, "parallel_midpoint", "exponential_sde", "ddpm", "randomized_midpoint_sde")

GRIDS = ("geometric", "uniform", "cosine", "karras", "kl_optimal")
"""`rmverify.plans.schedules.Grid`."""
MOST_STEPS = 20_000_000
"""Steps of the longest plan, whose levels are held in memory: `rmverify.plans.schedules.MOST_STEPS`."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Says the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        plain = action.default in (None, False, argparse.SUPPRESS) or "default:" in text
        return text if plain else f"{text} (default: %(default)s)"


def add_command(
    commands: Any, name: str, help: str, run: Callable[[argparse.Namespace], int], examples: str, data: bool = True
) -> argparse.ArgumentParser:
    """A command with the options that all have; `data`: whether it takes DATA."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".",
        epilog="\n\n".join([f"examples:\n  {examples}", EXITS, *([DATA] if data else [])]), formatter_class=_Formatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    parser.add_argument("--quiet", action="store_true", help="no progress and no remarks on stderr")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar on stderr")
    return parser


def whole(least: int, most: float = math.inf) -> Callable[[str], Any]:
    """The type of an integer option of at least `least`, and at most `most`."""
    bounded = f">= {least}" if most == math.inf else f"from {least} to {most}"
    return _checked(int, lambda value: least <= value <= most, f"an integer {bounded}")


def real(above: float, below: float, or_at: bool = False) -> Callable[[str], Any]:
    """The type of an option that is a number between the two, at them too if `or_at`."""
    low, high = ("[", "]") if or_at else ("(", ")")
    bounded = f"in {low}{above:g}, {below:g}{high}"
    return _checked(
        float, lambda value: above < value < below or (or_at and value in (above, below)), f"a number {bounded}"
    )


def _checked(kind: Callable[[str], Any], fits: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return convert


# ---------------------------------------------------------------------------- data


def add_data(
    parser: argparse.ArgumentParser, option: str = "", help: str = "CSV or NPY file, or the name digits",
    needed: bool = True,
) -> None:  # fmt: skip
    """DATA, in their place or under an option of their own, and what they are."""
    name: dict[str, Any] = {"dest": "data"} if option else {} if needed else {"nargs": "?"}
    parser.add_argument(option or "data", metavar="DATA", help=help, **name)
    parser.set_defaults(data_option=option or "DATA")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--samples", action="store_true", help="DATA are samples, one a row; default unless ambiguous")
    shape.add_argument("--covariance", action="store_true", help="DATA is a covariance matrix (mean 0)")
    shape.add_argument(
        "--spectrum", action="store_true", help="DATA are variances (mean 0); a second column counts each"
    )


def shape_of(options: argparse.Namespace) -> list[str]:
    """The options that say what DATA is."""
    return [f"--{name}" for name in ("samples", "covariance", "spectrum") if getattr(options, name)]


def name_of(options: argparse.Namespace) -> str:
    """What tables call the data."""
    return str(options.data) if options.data == "digits" else Path(options.data).name


def target_of(options: argparse.Namespace, turned: bool = False) -> Any:
    """The Gaussian that DATA tells, None without DATA; if `turned`, up to a rotation."""
    if options.data is None:
        if shape_of(options):
            raise Usage(f"{shape_of(options)[0]} needs {options.data_option} DATA")
        return None
    import numpy as np

    from rmverify.io import BUILT_IN, ambiguity, read_covariance, read_data, read_spectrum, remarks
    from rmverify.targets import Gaussian
    from rmverify.targets.spectra import fit_spectrum, spectrum

    if options.spectrum:
        target = Gaussian.from_spectrum(*read_spectrum(options.data))
    elif options.covariance or (options.data in BUILT_IN and not options.samples):
        covariance = read_covariance(options.data)
        target = Gaussian(np.zeros(len(covariance)), covariance)
    else:
        rows = read_data(options.data)
        doubt = None if options.samples else ambiguity(rows)
        if doubt is not None:
            raise Usage(f"{options.data!r}: {doubt}")
        for text in remarks(rows):
            remark(options, f"{options.data!r}: {text}")
        return fit_spectrum(rows) if turned else Gaussian.fit(rows)
    return spectrum(target) if turned else target


# --------------------------------------------------------------------------- plans


def add_setting(parser: argparse.ArgumentParser, accuracy: str) -> None:
    """DATA, where a plan for it starts and stops, the accuracy that this is for, and the seed."""
    add_data(parser)
    parser.add_argument("--tv", type=real(0, 1), default=0.1, metavar="EPS", help=accuracy)
    add_ends(parser)
    parser.add_argument("--grid", choices=GRIDS, default="geometric", help="noise levels between")
    parser.add_argument("--seed", type=whole(0), help="seed of the random numbers; default: drawn and printed")


def add_ends(parser: argparse.ArgumentParser) -> None:
    """The last noise level and the first."""
    stop = parser.add_mutually_exclusive_group()
    stop.add_argument(
        "--early-stop", type=real(0, 350), metavar="DELTA",
        help="last noise level; default: the largest with W2(q_delta, q_0) <= 1%% of sqrt(tr Sigma)",
    )  # fmt: skip
    stop.add_argument(
        "--early-stop-tv", type=real(0, 1), metavar="X",
        help="instead of --early-stop: the largest level with TV(q_delta, q_0) <= X, where the data are not singular",
    )  # fmt: skip
    parser.add_argument(
        "--horizon", type=real(0, 350), metavar="T",
        help="first noise level; default: the smallest with TV(q_T, N(0,I)) <= EPS/10",
    )  # fmt: skip


def levels_of(options: argparse.Namespace) -> dict[str, Any]:
    """The noise levels as `rmverify.studies.budget.setting` takes them."""
    return {name: getattr(options, name) for name in ("early_stop", "early_stop_tv", "horizon", "grid")}


def add_search(parser: argparse.ArgumentParser, schemes: Sequence[str], most: int = MOST_STEPS, note: str = "") -> None:
    """What a search for the least number of steps tries."""
    parser.add_argument(
        "--scheme", action="append", choices=schemes, metavar="NAME",
        help=f"restrict to this scheme (repeatable); one of {', '.join(schemes)}{note}",
    )  # fmt: skip
    parser.add_argument(
        "--max-steps", type=whole(1, MOST_STEPS), default=most, metavar="N", help="the most steps that are tried"
    )


def add_plan(parser: argparse.ArgumentParser) -> None:
    """One plan: its setting, scheme, steps and corrector."""
    add_setting(parser, "accuracy that sets the default horizon")
    parser.add_argument("--scheme", choices=PREDICTORS, default="randomized_midpoint", metavar="NAME",
                        help=f"one of {', '.join(PREDICTORS)}")  # fmt: skip
    parser.add_argument("--steps", type=whole(1, MOST_STEPS), default=100, metavar="N", help="predictor steps")
    parser.add_argument("--corrector", action="store_true", help="underdamped Langevin after every window")


def plan_of(options: argparse.Namespace, turned: bool = False) -> tuple[Any, Any, Any]:
    """The target, the setting and the plan of the options."""
    from rmverify.plans import schedule
    from rmverify.studies.budget import setting

    target = target_of(options, turned)
    where = setting(target, options.tv, **levels_of(options))
    plan = schedule(target, predictor(options.scheme), where, options.steps, corrector=options.corrector)
    return target, where, plan


def predictor(name: str) -> Any:
    """The scheme of a name, with the parameters that it has in budgets."""
    from rmverify.schemes.contract import unwrap
    from rmverify.studies.budget import PREDICTORS

    return next(scheme for scheme in PREDICTORS if unwrap(scheme)[0].__name__ == name)


def seeded(options: argparse.Namespace, needed: bool) -> str | None:
    """Draw a seed where one is needed and none was given, and say so."""
    if options.seed is not None:
        return None
    import secrets

    options.seed = secrets.randbelow(1 << 32) if needed else 0
    return f"drew the seed {options.seed}; repeat this run with --seed {options.seed}" if needed else None
