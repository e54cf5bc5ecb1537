"""The command line: budgets, laws and samples. No mathematics; everything heavy is imported inside the commands."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

VERIFIED, REFUTED, USAGE, INCONCLUSIVE, INTERNAL = range(5)

_EXITS = """exit codes:
  0  verified: everything asked for was found
  1  refuted: a stated claim does not hold, or is not implied
  2  usage: a bad argument, file or number
  3  inconclusive: the bounds do not decide, or the search reached its limit
  4  internal error: a fault of the package, or numbers outside the range of its arithmetic

DATA is a CSV or NPY file, rows are samples; with --covariance it is a covariance matrix, with --spectrum the variances,
one a line, with how often each occurs in a second column if not once. The name "digits" stands for the covariance of
the 8x8 handwritten digits that comes with the package."""

_KINDS = ("symbolic", "certified", "exact", "fitted", "monte-carlo")
_SEQUENTIAL = ("euler", "exponential_integrator", "heun", "midpoint", "randomized_midpoint")
_PREDICTORS = (*_SEQUENTIAL, "parallel_midpoint")


_OPTIONS = {"accuracy": "--tv", "early_stop": "--early-stop", "early_stop_tv": "--early-stop-tv",
            "horizon": "--horizon", "grid": "--grid", "steps": "--steps", "precision": "--precision", "n": "-n",
            "predictors": "--scheme", "max_steps": "--max-steps", "data": "DATA", "covariance": "DATA",
            "target": "DATA", "ids": "IDS", "scales": "--scale", "store": "--store", "dask": "--dask",
            "workers": "--workers", "kinds": "--kind"}  # fmt: skip
"""What the package's arguments are called on the command line: a complaint about one of them is a usage error, and so
is one about an option or a file by its name; anything else that fails is not the user's doing."""

_DATA = {"verify": "--target", "rates": "--data"}
"""What DATA is called by the commands that have it as an option."""

_LONGEST = 20_000_000
"""Steps of the longest plan, whose levels are held in memory: `rmverify.studies.budget.MOST_STEPS`."""

MOST_NUMBERS = 10**9
"""Numbers in the largest table of samples, 8 GB."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Says the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        plain = action.default in (None, False, argparse.SUPPRESS) or "default" in text
        return text if plain else f"{text} (default: %(default)s)"


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"rmverify: error: {message} (see {self.prog} --help)\n")


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an integer option of at least `least`, and at most `most`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            bounded = f">= {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"expected an integer {bounded}, got {text!r}")
        return value

    return convert


def _real(above: float, below: float, or_at: bool = False) -> Callable[[str], float]:
    """The type of an option that is a number between the two, at them too if `or_at`."""
    low, high = ("[", "]") if or_at else ("(", ")")
    bounded = f"in {low}{above:g}, {below:g}{high}" if below < float("inf") else f"> {above:g}"

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (above < value < below or (or_at and value in (above, below))):
            raise argparse.ArgumentTypeError(f"expected a number {bounded}, got {text!r}")
        return value

    return convert


def _parser() -> argparse.ArgumentParser:
    from rmverify import __version__

    parser = _Parser(
        "rmverify",
        description="Exact laws and errors of randomized-midpoint diffusion samplers on Gaussian data.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rmverify {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    budget = _command(
        commands, "budget", "score evaluations that each scheme needs for a total variation", _budget,
        "rmverify budget digits --tv 0.1\n  rmverify budget data.csv --tv 0.01 --plot budget.png",
    )  # fmt: skip
    budget.add_argument(
        "--tv", type=_real(0, 1), default=0.1, metavar="EPS", help="total variation to q_delta asked for"
    )
    _levels(budget)
    budget.add_argument(
        "--scheme", action="append", choices=_PREDICTORS, metavar="NAME",
        help=f"only these, repeatable; of {', '.join(_PREDICTORS)}",
    )  # fmt: skip
    budget.add_argument(
        "--precision", type=_real(0, 1), default=0.02, metavar="X",
        help="where midpoints are drawn: half-width of the interval of N, relative to N",
    )  # fmt: skip
    budget.add_argument("--seed", type=_whole(0), help="seed of the midpoint paths; default: drawn and printed")
    budget.add_argument(
        "--max-steps", type=_whole(1, _LONGEST), default=1 << 17, metavar="N", help="where the search gives up"
    )
    budget.add_argument("--curves", action="store_true", help="every plan that was looked at too")
    budget.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    budget.add_argument("--csv", action="store_true", help="the curves as CSV on stdout instead of the table")
    budget.add_argument("--plot", metavar="FILE", help="error against evaluations, as .png, .svg or .pdf")

    law = _command(
        commands, "law", "the exact law and errors of one plan on one target", _law,
        "rmverify law digits --scheme heun --steps 100\n  rmverify law digits --steps 300 --claim-tv 0.2",
    )  # fmt: skip
    _plan(law)
    law.add_argument(
        "--tv", type=_real(0, 1), default=0.1, metavar="EPS", help="accuracy that sets the default horizon"
    )  # fmt: skip
    law.add_argument("--start", choices=("normal", "exact"), default="normal", help="N(0, I), or the true q_T")
    law.add_argument(
        "--claim-tv", type=_real(0, 1, or_at=True), metavar="X", help="check the claim TV <= X (exit code 0, 1 or 3)"
    )
    law.add_argument(
        "--precision", type=_real(0, 1), default=0.01, metavar="X",
        help="where midpoints are drawn: half-width of the intervals, relative to the distance, that is worked towards",
    )  # fmt: skip
    law.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")

    sample = _command(
        commands, "sample", "run a sampler on the Gaussian fitted to the data", _sample,
        "rmverify sample digits --steps 200 -n 1000 --out digits-samples.npy",
    )  # fmt: skip
    _plan(sample)
    sample.add_argument(
        "--tv", type=_real(0, 1), default=0.1, metavar="EPS", help="accuracy that sets the default horizon"
    )  # fmt: skip
    sample.add_argument("-n", type=_whole(1), default=1000, help="number of samples")
    sample.add_argument("--out", required=True, metavar="FILE", help="where they go, as .npy or .csv")

    verify = _command(
        commands, "verify", "every claim of the ledger, and what was found about it", _verify,
        "rmverify verify\n  rmverify verify B2 D1 --verbose\n  rmverify verify --target digits --html digits.html",
        data=False,
    )  # fmt: skip
    verify.add_argument("ids", nargs="*", metavar="IDS", help="such as B2 D1; default: all of them")
    verify.add_argument(
        "--kind", action="append", choices=_KINDS, metavar="KIND",
        help=f"only this evidence, repeatable; of {', '.join(_KINDS)}; default: all but certified",
    )  # fmt: skip
    verify.add_argument("--certified", action="store_true", help="ball arithmetic over boxes of parameters too")
    verify.add_argument(
        "--effort", type=_whole(1), metavar="N",
        help="the most boxes examined for each certified piece; default: 4 times what the shipped claims need",
    )  # fmt: skip
    verify.add_argument(
        "--target", dest="data", metavar="FILE",
        help="exact and fitted evidence on your DATA; default: the domain that each claim names",
    )  # fmt: skip
    _shapes(verify, "the target")
    workers = min(2, os.cpu_count() or 1)
    verify.add_argument("--workers", type=_whole(1), default=workers, metavar="N", help="processes")
    verify.add_argument("-v", "--verbose", action="store_true", help="every piece of evidence too")
    verify.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    verify.add_argument("--html", metavar="FILE", help="one self-contained page with formulas, tables and pictures")

    rates = _command(
        commands, "rates", "steps to an accuracy and their exponents in d, 1/eps, L and kappa, beside the claimed ones",
        _rates, "rmverify rates --store rates.jsonl\n  rmverify rates --full --workers 8 --plot rates.png\n"
        "  rmverify rates --parallel --plot rounds.png\n  rmverify rates --log-concave --json", data=False,
    )  # fmt: skip
    rates.add_argument(
        "--parallel", action="store_true",
        help="rounds against d of the parallel plan, the sequential one and DPUM, and rounds against work instead",
    )  # fmt: skip
    rates.add_argument(
        "--log-concave", action="store_true",
        help="steps of the log-concave sampler against kappa, d and the accuracy, and its corrector instead",
    )  # fmt: skip
    rates.add_argument("--full", action="store_true", help="d up to 10^12 and finer grids")
    rates.add_argument(
        "--scheme", action="append", choices=_SEQUENTIAL, metavar="NAME",
        help=f"only these, repeatable; of {', '.join(_SEQUENTIAL)}; default: all but euler",
    )  # fmt: skip
    rates.add_argument(
        "--data",
        metavar="DATA",
        help="also the exponent in d of your covariance, repeated 1 to 10^4 times (10^3 with random midpoints)",
    )
    _shapes(rates, "DATA")
    rates.add_argument(
        "--max-steps", type=_whole(1, _LONGEST), default=_LONGEST, metavar="N", help="where a search gives up"
    )
    rates.add_argument("--workers", type=_whole(1), metavar="N", help=f"processes (default: {workers})")
    rates.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers compute instead")
    rates.add_argument("--store", metavar="FILE", help="keep what was computed; the same command continues from it")
    rates.add_argument("--rows", action="store_true", help="every row of the table too")
    form = rates.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")
    form.add_argument("--csv", action="store_true", help="every row as CSV on stdout")
    form.add_argument("--markdown", action="store_true", help="the exponents as a Markdown table on stdout")
    form.add_argument("--latex", action="store_true", help="the exponents as a LaTeX table (booktabs) on stdout")
    rates.add_argument("--plot", metavar="FILE", help="N against d and against 1/eps, as .png, .svg or .pdf")

    explain = _command(
        commands, "explain", "what a claim says, where it is from, and the commands that check it", _explain,
        "rmverify explain B2", data=False,
    )  # fmt: skip
    explain.add_argument("ids", nargs="+", metavar="IDS", help="such as B2")

    exponents = _command(
        commands, "exponents", "the smallest worst cost that error terms imply, with certificates", _exponents,
        "rmverify exponents d5\n  rmverify exponents d1 --scale d\n  rmverify exponents my.toml --json", data=False,
    )  # fmt: skip
    exponents.add_argument("file", metavar="FILE", help="a TOML file, or d0, d1, d3, d5, d7 (also d5-log-concave, ...)")
    exponents.add_argument("--scale", action="append", metavar="NAME", help="only this grows; repeatable")
    exponents.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")
    return parser


def _command(
    commands: Any, name: str, help: str, run: Callable[[argparse.Namespace], int], examples: str, data: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".",
        epilog=f"examples:\n  {examples}\n\n{_EXITS}", formatter_class=_Formatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    if data:
        parser.add_argument("data", metavar="DATA", help="CSV or NPY file, or the name digits")
        _shapes(parser, "DATA")
    parser.add_argument("--quiet", action="store_true", help="no progress and no remarks on stderr")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar on stderr")
    return parser


def _shapes(parser: argparse.ArgumentParser, what: str) -> None:
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--samples", action="store_true", help=f"{what} is samples, a row each; default where clear")
    shape.add_argument("--covariance", action="store_true", help=f"{what} is a covariance matrix (mean 0)")
    shape.add_argument(
        "--spectrum", action="store_true", help=f"{what} is variances (mean 0), a second column how often each occurs"
    )  # fmt: skip


def _shape(options: argparse.Namespace) -> list[str]:
    """The options that say what DATA is."""
    return [f"--{name}" for name in ("samples", "covariance", "spectrum") if getattr(options, name)]


def _levels(parser: argparse.ArgumentParser) -> None:

    stop = parser.add_mutually_exclusive_group()
    stop.add_argument(
        "--early-stop", type=_real(0, 350), metavar="DELTA",
        help="last noise level; default: the largest with W2(q_delta, q_0) <= 1%% of sqrt(tr Sigma)",
    )  # fmt: skip
    stop.add_argument(
        "--early-stop-tv", type=_real(0, 1), metavar="X",
        help="instead of --early-stop: the largest level with TV(q_delta, q_0) <= X, where the data are not singular",
    )  # fmt: skip
    parser.add_argument(
        "--horizon", type=_real(0, 350), metavar="T",
        help="first noise level; default: the smallest with TV(q_T, N(0,I)) <= EPS/10",
    )  # fmt: skip
    parser.add_argument("--grid", choices=("geometric", "uniform"), default="geometric", help="noise levels between")


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scheme", choices=_PREDICTORS, default="randomized_midpoint", metavar="NAME",
                        help=f"one of {', '.join(_PREDICTORS)}")  # fmt: skip
    parser.add_argument("--steps", type=_whole(1, _LONGEST), default=100, metavar="N", help="predictor steps")
    parser.add_argument("--corrector", action="store_true", help="underdamped Langevin after every window")
    _levels(parser)
    parser.add_argument("--seed", type=_whole(0), help="seed of the random numbers; default: drawn and printed")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # before NumPy is imported: the products here are small, threads of the BLAS would only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has printed its line
        return int(stop.code or 0) if isinstance(stop.code, int | None) else USAGE
    try:
        _spare_inputs(options)
        return int(options.run(options))
    except (ValueError, TypeError) as error:
        return _refused(options, error)
    except OverflowError as error:
        if "unstable" in str(error):
            return _complain(f"{error}; take more steps", USAGE)
        return _internal(error)
    except BrokenPipeError:  # whoever read the output has seen enough: no verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _complain(f"cannot write: {error}", USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except Exception as error:
        return _internal(error)


def _refused(options: argparse.Namespace, error: Exception) -> int:
    """A complaint about an argument, an option or a file, by its name first; or what the arithmetic says."""
    name, colon, rest = str(error).partition(": ")
    known = _OPTIONS.get(name, name if name.startswith(("-", "'", '"')) or name.isupper() else None)
    if not colon or known is None:
        return _internal(error)
    return _complain((_DATA.get(options.command, known) if known == "DATA" else known) + colon + rest, USAGE)


def _internal(error: Exception) -> int:
    report = "please report it with the command that you gave"
    return _complain(f"internal error: {type(error).__name__}: {error}; {report}", INTERNAL)


def _complain(message: str, code: int) -> int:
    print(f"rmverify: {' '.join(message.split())}", file=sys.stderr)
    return code


def _remark(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(f"rmverify: {text}", file=sys.stderr)


def _spare_inputs(options: argparse.Namespace) -> None:
    """Refuse an output that is an input or another output, under whatever name."""
    taken = [path for path in (getattr(options, "data", None), getattr(options, "file", None)) if path is not None]
    for name in ("out", "plot", "html", "store"):
        path = getattr(options, name, None)
        if path is None:
            continue
        for other in taken:
            if os.path.realpath(path) == os.path.realpath(other) or (
                os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)
            ):
                raise ValueError(f"--{name}: {path!r} is a file that this command uses already; choose another name")
        taken.append(path)


def _seeded(options: argparse.Namespace, needed: bool) -> str | None:
    """Draw a seed where one is needed and none was given, and say so."""
    if options.seed is not None:
        return None
    import secrets

    options.seed = secrets.randbelow(1 << 32) if needed else 0
    return f"drew the seed {options.seed}; repeat this run with --seed {options.seed}" if needed else None


def _target(options: argparse.Namespace, turned: bool = False) -> Any:
    """The Gaussian that DATA tells; if `turned`, up to a rotation."""
    import numpy as np

    from rmverify.io import BUILT_IN, ambiguity, read_covariance, read_data, read_spectrum, remarks
    from rmverify.targets import Gaussian
    from rmverify.targets.spectra import fit_spectrum, spectrum

    if options.spectrum:
        target = Gaussian.from_spectrum(*read_spectrum(options.data))
        return spectrum(target) if turned else target
    if options.covariance or (options.data in BUILT_IN and not options.samples):
        covariance = read_covariance(options.data)
        target = Gaussian(np.zeros(len(covariance)), covariance)
        return spectrum(target) if turned else target
    rows = read_data(options.data)
    doubt = None if options.samples else ambiguity(rows)
    if doubt is not None:
        raise ValueError(f"{options.data!r}: {doubt}")
    for text in remarks(rows):
        _remark(options, f"{options.data!r}: {text}")
    return fit_spectrum(rows) if turned else Gaussian.fit(rows)


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Callable[[str, float], None]]:
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


def _budget(options: argparse.Namespace) -> int:
    from rmverify.io import atomic_write
    from rmverify.plans import footprint
    from rmverify.studies.budget import budget
    from rmverify.views.report import budget_csv, budget_picture, budget_record, budget_tables, document

    if options.json and options.csv:
        raise ValueError("--csv: expected at most one of --json and --csv")
    suffix = None if options.plot is None else _plottable(options.plot)
    predictors = [_predictor(name) for name in options.scheme or _PREDICTORS]
    target = _target(options, turned=True)
    seed = _seeded(options, any(footprint(scheme).alphas for scheme in predictors))
    with _progress(options) as progress:
        answer = budget(
            target,
            options.tv,
            early_stop=options.early_stop,
            early_stop_tv=options.early_stop_tv,
            horizon=options.horizon,
            grid=options.grid,
            predictors=predictors,
            precision=options.precision,
            beyond=suffix is not None,
            rng=options.seed,
            max_steps=options.max_steps,
            progress=progress,
        )
    if seed is not None:
        _remark(options, seed)
    if options.json:
        print(document("budget", budget_record(answer, _name(options))))
    elif options.csv:
        print(budget_csv(answer), end="")
    else:
        _show(budget_tables(answer, _name(options), _width(), options.curves))
    if suffix is not None:
        atomic_write(options.plot, budget_picture(answer, _name(options), suffix))
    return VERIFIED if all(row.upper is not None for row in answer.rows) else INCONCLUSIVE


def _law(options: argparse.Namespace) -> int:
    from rmverify.studies.budget import describe
    from rmverify.views.report import document, law_record, law_tables

    target, where, plan = _prepared(options, turned=True)
    claim = options.claim_tv
    seed = _seeded(options, plan.drawing_steps > 0)
    found = describe(plan, target, where, start=options.start, precision=options.precision, rng=options.seed)
    if seed is not None:
        _remark(options, seed)
    value = found.divergences["tv"]
    verdict, code = None, INCONCLUSIVE if (value.lower, value.upper) == (0, 1) else VERIFIED
    if claim is not None:
        if value.upper <= claim:
            verdict, code = "verified", VERIFIED
        elif value.lower > claim:
            verdict, code = "refuted", REFUTED
        else:
            verdict, code = "inconclusive", INCONCLUSIVE
    if options.json:
        print(document("law", law_record(found, _name(options), claim, verdict)))
    else:
        _show(law_tables(found, _name(options), claim, verdict))
    return code


def _sample(options: argparse.Namespace) -> int:
    import io

    import numpy as np

    from rmverify.io import atomic_write
    from rmverify.readings.particles import sample

    suffix = _suffix("--out", options.out, ("npy", "csv"))
    _writable("--out", options.out)
    target, _, plan = _prepared(options)
    if options.n * target.dim > MOST_NUMBERS:
        most = f"{MOST_NUMBERS // target.dim} samples in dimension {target.dim} ({8e-9 * MOST_NUMBERS:g} GB)"
        raise ValueError(f"-n: expected at most {most}, got {options.n}")
    _seeded(options, True)
    shown = not (options.quiet or options.no_progress) and sys.stderr.isatty()
    x = sample(plan, target, options.n, target.dim, rng=options.seed, progress=shown)
    out = io.BytesIO()
    if suffix == "npy":
        np.save(out, x, allow_pickle=False)
    else:
        np.savetxt(out, x, delimiter=",", fmt="%.17g")
    atomic_write(options.out, out.getvalue())
    if not options.quiet:
        cost = f"{plan.evaluations} score evaluations each, seed {options.seed}"
        print(f"{options.n} samples in dimension {target.dim}, {cost}: {options.out}", file=sys.stderr)
    return VERIFIED


def _verify(options: argparse.Namespace) -> int:
    from rmverify.claims import Report, verify
    from rmverify.errors.boxes import EFFORT
    from rmverify.io import atomic_write
    from rmverify.views.report import Asked, claims_record, claims_tables, document

    if _shape(options) and options.data is None:
        raise ValueError(f"{_shape(options)[0]}: expected --target FILE with it, got no target")
    if options.html is not None:
        _suffix("--html", options.html, ("html", "htm"))
        _writable("--html", options.html)
    target = None if options.data is None else _target(options)
    effort = options.effort or EFFORT
    kinds = options.kind or (None if target is None else ["exact", "fitted", "monte-carlo"])
    with _progress(options) as progress:
        report = verify(
            [id.upper() for id in options.ids] or None,
            kinds=kinds,
            certified=options.certified,
            target=target,
            effort=effort,
            workers=options.workers,
            progress=progress,
        )
    left_out = []
    if kinds and not options.ids:  # the claims that have no such evidence are not in question
        left_out = [id for id, result in report.items() if not result.evidence]
        report = Report([result for result in report.values() if result.evidence])
    asked = Asked(
        None if target is None else f"{_name(options)}: Gaussian in dimension {target.dim}",
        [] if options.data is None else ["--target", options.data, *_shape(options)],
        effort if options.certified or "certified" in (kinds or ()) else None,
        left_out,
    )
    if options.html is not None:
        from rmverify.views.page import claims_page

        atomic_write(options.html, claims_page(report, asked))
    if options.json:
        print(document("verify", claims_record(report, asked)))
    else:
        _show(claims_tables(report, asked, _width() or _ENDLESS, options.verbose))
    findings = {result.finding for result in report.values()} or {"inconclusive"}
    if findings & {"violated", "not implied"}:
        return REFUTED
    undecided = {"inconclusive", "not yet"} if options.ids else {"inconclusive"}
    return INCONCLUSIVE if findings & undecided else VERIFIED


def _rates(options: argparse.Namespace) -> int:
    from rmverify.io import atomic_write
    from rmverify.studies import rates, sweep
    from rmverify.views import rates as tables
    from rmverify.views.report import document

    if options.dask is not None and options.workers is not None:
        raise ValueError("--workers: expected at most one of --workers and --dask, got both")
    if options.parallel or options.log_concave:
        return _other_rates(options)
    if _shape(options) and options.data is None:
        raise ValueError(f"{_shape(options)[0]}: expected --data DATA with it, got no data")
    chosen = options.scheme or []
    suffix = None if options.plot is None else _plottable(options.plot)
    target = None if options.data is None else _target(options, turned=True)
    plans = [] if options.csv or options.markdown or options.latex else tables.theorem_cells(options.full, chosen)
    try:
        with _sweeping(options) as (executor, progress):
            found = rates.table(
                full=options.full,
                predictors=chosen,
                target=target,
                max_steps=options.max_steps,
                executor=executor,
                store=options.store,
                progress=progress,
            )
            answers = sweep.run(rates.theorem, plans, executor=executor, progress=progress) if plans else []
    except sweep.SweepError as error:
        return _broken(options, error)
    theorems = [rates.Theorem(**answer) for answer in answers]
    width = _width()
    _written(options, {
        "json": lambda: document("rates", tables.rates_record(found, theorems, options.data and _name(options))),
        "csv": lambda: tables.rates_csv(found),
        "markdown": lambda: tables.rates_markdown(found),
        "latex": lambda: tables.rates_latex(found),
    }, lambda: tables.rates_tables(found, theorems, width, options.rows))  # fmt: skip
    if suffix is not None:
        atomic_write(options.plot, tables.rates_picture(found, suffix))
    if any(fit.verdict == "contradicts" for fit in found.fits):
        return REFUTED
    return INCONCLUSIVE if tables.undecided(found) else VERIFIED


def _other_rates(options: argparse.Namespace) -> int:
    """The tables of --parallel and --log-concave."""
    from rmverify.io import atomic_write
    from rmverify.studies import sweep
    from rmverify.views.report import document

    if options.parallel and options.log_concave:
        raise ValueError("--log-concave: expected at most one of --parallel and --log-concave, got both")
    asked = "--parallel" if options.parallel else "--log-concave"
    for name in ("full", "scheme", "data", "samples", "covariance", "spectrum", "rows"):
        if getattr(options, name):
            raise ValueError(f"--{name}: expected without {asked}, which has its own table")
    suffix = None if options.plot is None else _plottable(options.plot)
    room: Any
    tables: Any
    if options.parallel:
        from rmverify.studies import rounds as room
        from rmverify.views import rounds as tables
    else:
        from rmverify.studies import log_concave as room
        from rmverify.views import log_concave as tables
    try:
        with _sweeping(options) as (executor, progress):
            found = room.table(max_steps=options.max_steps, executor=executor, store=options.store, progress=progress)
    except sweep.SweepError as error:
        return _broken(options, error)
    width = _width()
    _written(options, {
        "json": lambda: document(f"rates {asked}", found.as_dict()),
        "csv": lambda: tables.as_csv(found),
        "markdown": lambda: tables.as_markdown(found),
        "latex": lambda: tables.as_latex(found),
    }, lambda: tables.shown(found, width))  # fmt: skip
    if suffix is not None:
        atomic_write(options.plot, tables.picture(found, suffix))
    if tables.refuted(found):
        return REFUTED
    return INCONCLUSIVE if tables.unsettled(found) else VERIFIED


@contextmanager
def _sweeping(options: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """The executor of the sweeps of a command, and what shows their progress."""
    from rmverify.studies import sweep

    workers = options.workers or (1 if options.dask else min(2, os.cpu_count() or 1))
    with _progress(options) as show, sweep.pool(workers, options.dask) as executor:
        yield executor, lambda p: show(str(p), p.fraction)


def _broken(options: argparse.Namespace, error: Exception) -> int:
    more = "; the rest is in the store, the same command tries again" if options.store else ""
    return _complain(f"{error}{more}", INTERNAL)


def _written(options: argparse.Namespace, forms: dict[str, Callable[[], str]], shown: Callable[[], list[Any]]) -> None:
    """The form that was asked for on stdout, or the tables."""
    for name, form in forms.items():
        if getattr(options, name):
            print(form().removesuffix("\n"))
            return
    _show(shown())


def _explain(options: argparse.Namespace) -> int:
    from rmverify.claims.ledger import load
    from rmverify.views.report import explained

    claims = load()
    chosen = [id.upper() for id in options.ids]
    for id in chosen:
        if id not in claims:
            raise ValueError(f"IDS: expected some of {', '.join(claims)}, got {id!r}")
    _show([block for id in chosen for block in explained(claims[id])])
    return VERIFIED


def _exponents(options: argparse.Namespace) -> int:
    from rmverify.exponents import load
    from rmverify.views.report import document, exponents_record, exponents_tables

    answer = load(options.file).solve(options.scale)
    if options.json:
        print(document("exponents", exponents_record(answer)))
    else:
        _show(exponents_tables(answer))
    return REFUTED if any(verdict.finding == "not implied" for verdict in answer.claims) else VERIFIED


def _prepared(options: argparse.Namespace, turned: bool = False) -> tuple[Any, Any, Any]:
    from rmverify.studies.budget import schedule, setting

    target = _target(options, turned)
    where = setting(
        target, options.tv, early_stop=options.early_stop, early_stop_tv=options.early_stop_tv,
        horizon=options.horizon, grid=options.grid,
    )  # fmt: skip
    scheme = _predictor(options.scheme)
    return target, where, schedule(target, scheme, where, options.steps, corrector=options.corrector)


def _predictor(name: str) -> Any:
    """The scheme of a name, with the parameters that it has in budgets."""
    from rmverify.schemes.contract import unwrap
    from rmverify.studies.budget import PREDICTORS

    return next(scheme for scheme in PREDICTORS if unwrap(scheme)[0].__name__ == name)


def _name(options: argparse.Namespace) -> str:
    return str(options.data) if options.data == "digits" else Path(options.data).name


def _suffix(option: str, path: str, known: tuple[str, ...]) -> str:
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in known:
        raise ValueError(f"{option}: expected a file ending in {', '.join('.' + k for k in known)}, got {path!r}")
    return suffix


def _plottable(path: str) -> str:
    """The format of a picture, refused before anything is computed where it could not be made."""
    suffix = _suffix("--plot", path, ("png", "svg", "pdf"))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError("--plot: expected matplotlib to be installed; pip install 'rmverify[plot]'") from None
    _writable("--plot", path)
    return suffix


def _writable(option: str, path: str) -> None:
    folder = Path(path).absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)) or Path(path).is_dir():
        raise ValueError(f"{option}: expected a file in a folder that can be written to, got {path!r}")


_ENDLESS = 10_000


def _width() -> int | None:
    """Columns of the terminal; None where there is none, and tables are as wide as they need."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _show(blocks: list[Any]) -> None:
    import io

    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=_width() or _ENDLESS, height=24, force_terminal=sys.stdout.isatty(), highlight=False,
        legacy_windows=False, no_color="NO_COLOR" in os.environ or None,
    )  # fmt: skip
    for block in blocks:
        console.print(block)
    encoding = sys.stdout.encoding or "utf-8"
    lines = "".join(line.rstrip(" ") + "\n" for line in out.getvalue().splitlines())
    print(lines.encode(encoding, "replace").decode(encoding), end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
