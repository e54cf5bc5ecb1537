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
  1  refuted: a stated claim does not hold
  2  usage: a bad argument, file or number
  3  inconclusive: the bounds do not decide, or the search reached its limit
  4  internal error

DATA is a CSV or NPY file, rows are samples; with --covariance it is a covariance matrix. The name "digits" stands
for the covariance of the 8x8 handwritten digits that comes with the package."""

_KINDS = ("symbolic", "certified", "exact", "fitted")
_PREDICTORS = ("euler", "exponential_integrator", "heun", "midpoint", "randomized_midpoint")


_OPTIONS = {"accuracy": "--tv", "early_stop": "--early-stop", "horizon": "--horizon", "paths": "--paths", "n": "-n",
            "max_steps": "--max-steps", "data": "DATA", "covariance": "DATA", "ids": "IDS",
            "scales": "--scale", "store": "--store", "dask": "--dask", "target": "--data"}  # fmt: skip
"""What the package's arguments are called on the command line."""


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


def _whole(least: int) -> Callable[[str], int]:
    """The type of an integer option of at least `least`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected an integer >= {least}, got {text!r}")
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
    budget.add_argument("--tv", type=float, default=0.1, metavar="EPS", help="total variation to q_delta asked for")
    _levels(budget)
    budget.add_argument(
        "--scheme", action="append", choices=_PREDICTORS, metavar="NAME",
        help=f"only these, repeatable; of {', '.join(_PREDICTORS)}",
    )  # fmt: skip
    budget.add_argument("--paths", type=_whole(2), default=32, metavar="P", help="random midpoint paths of a bracket")
    budget.add_argument("--seed", type=_whole(0), default=0, help="seed of the midpoint paths")
    budget.add_argument("--max-steps", type=_whole(1), default=1 << 17, metavar="N", help="where the search gives up")
    budget.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    budget.add_argument("--csv", action="store_true", help="the curves as CSV on stdout instead of the table")
    budget.add_argument("--plot", metavar="FILE", help="error against evaluations, as .png, .svg or .pdf")

    law = _command(
        commands, "law", "the exact law and errors of one plan on one target", _law,
        "rmverify law digits --scheme heun --steps 100\n  rmverify law digits --steps 300 --claim-tv 0.2",
    )  # fmt: skip
    _plan(law)
    law.add_argument("--tv", type=float, default=0.1, metavar="EPS", help="accuracy that sets the default horizon")
    law.add_argument("--start", choices=("normal", "exact"), default="normal", help="N(0, I), or the true q_T")
    law.add_argument("--claim-tv", type=float, metavar="X", help="check the claim TV <= X (exit code 0, 1 or 3)")
    law.add_argument("--paths", type=_whole(2), default=64, metavar="P", help="random midpoint paths of a bracket")
    law.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")

    sample = _command(
        commands, "sample", "run a sampler on the Gaussian fitted to the data", _sample,
        "rmverify sample digits --steps 200 -n 1000 --out digits-samples.npy",
    )  # fmt: skip
    _plan(sample)
    sample.add_argument("--tv", type=float, default=0.1, metavar="EPS", help="accuracy that sets the default horizon")
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
        help="boxes that each certified piece looks at, at most; default: 4 times what the shipped claims need",
    )  # fmt: skip
    verify.add_argument(
        "--target", dest="data", metavar="FILE",
        help="exact and fitted evidence on your DATA; default: the domain that each claim names",
    )  # fmt: skip
    verify.add_argument("--covariance", action="store_true", help="the target is a covariance matrix (mean 0)")
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
        "--scheme", action="append", choices=_PREDICTORS, metavar="NAME",
        help=f"only these, repeatable; of {', '.join(_PREDICTORS)}; default: all but euler",
    )  # fmt: skip
    rates.add_argument(
        "--data", metavar="DATA", help="also the exponent in d of your covariance, repeated 1 to 10^4 times"
    )
    rates.add_argument("--covariance", action="store_true", help="DATA is a covariance matrix (mean 0)")
    rates.add_argument("--max-steps", type=_whole(1), default=20_000_000, metavar="N", help="where a search gives up")
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
        parser.add_argument("--covariance", action="store_true", help="DATA is a covariance matrix (mean 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress and no remarks on stderr")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar on stderr")
    return parser


def _levels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--early-stop", type=float, metavar="DELTA",
        help="last noise level; default: the largest with W2(q_delta, q_0) <= 1%% of sqrt(tr Sigma)",
    )  # fmt: skip
    parser.add_argument(
        "--horizon", type=float, metavar="T",
        help="first noise level; default: the smallest with TV(q_T, N(0,I)) <= EPS/10",
    )  # fmt: skip
    parser.add_argument("--grid", choices=("geometric", "uniform"), default="geometric", help="noise levels between")


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scheme", choices=_PREDICTORS, default="randomized_midpoint", metavar="NAME",
                        help=f"one of {', '.join(_PREDICTORS)}")  # fmt: skip
    parser.add_argument("--steps", type=_whole(1), default=100, metavar="N", help="predictor steps")
    parser.add_argument("--corrector", action="store_true", help="underdamped Langevin after every window")
    _levels(parser)
    parser.add_argument("--seed", type=_whole(0), default=0, help="seed of the random numbers")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # before NumPy is imported: the products here are small, threads of the BLAS would only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has printed its line
        return int(stop.code or 0) if isinstance(stop.code, int | None) else USAGE
    try:
        return int(options.run(options))
    except (ValueError, TypeError) as error:
        name, colon, rest = str(error).partition(":")
        return _complain(_OPTIONS.get(name, name) + colon + rest, USAGE)
    except OverflowError as error:
        return _complain(f"{error}; take more steps", USAGE)
    except BrokenPipeError:  # whoever read the output has seen enough: no verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _complain(f"cannot write: {error}", USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except Exception as error:
        return _complain(f"internal error: {type(error).__name__}: {error}", INTERNAL)


def _complain(message: str, code: int) -> int:
    print(f"rmverify: {' '.join(message.split())}", file=sys.stderr)
    return code


def _target(options: argparse.Namespace) -> Any:
    import numpy as np

    from rmverify.io import BUILT_IN, read_covariance, read_data
    from rmverify.targets import Gaussian

    if options.covariance or options.data in BUILT_IN:
        covariance = read_covariance(options.data)
        return Gaussian(np.zeros(len(covariance)), covariance)
    return Gaussian.fit(read_data(options.data))


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
    from rmverify import schemes
    from rmverify.budget import PREDICTORS, budget
    from rmverify.io import atomic_write
    from rmverify.report import budget_csv, budget_picture, budget_record, budget_tables, document

    if options.json and options.csv:
        raise ValueError("--csv: expected at most one of --json and --csv")
    suffix = None if options.plot is None else _plottable(options.plot)
    target = _target(options)
    predictors = [getattr(schemes, name) for name in options.scheme] if options.scheme else PREDICTORS
    with _progress(options) as progress:
        answer = budget(
            target,
            options.tv,
            early_stop=options.early_stop,
            horizon=options.horizon,
            grid=options.grid,
            predictors=predictors,
            paths=options.paths,
            rng=options.seed,
            max_steps=options.max_steps,
            progress=progress,
        )
    if suffix is not None:
        atomic_write(options.plot, budget_picture(answer, _name(options), suffix))
    if options.json:
        print(document("budget", budget_record(answer, _name(options))))
    elif options.csv:
        print(budget_csv(answer), end="")
    else:
        _show(budget_tables(answer, _name(options), _width()))
    return VERIFIED if all(row.upper is not None for row in answer.rows) else INCONCLUSIVE


def _law(options: argparse.Namespace) -> int:
    from rmverify.budget import describe
    from rmverify.report import document, law_record, law_tables

    target, where, plan = _prepared(options)
    claim = options.claim_tv
    if claim is not None and not 0 <= claim <= 1:
        raise ValueError(f"--claim-tv: expected a number in [0, 1], got {claim!r}")
    found = describe(plan, target, where, start=options.start, paths=options.paths, rng=options.seed)
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
    target, _, plan = _prepared(options)
    shown = not (options.quiet or options.no_progress) and sys.stderr.isatty()
    x = sample(plan, target, options.n, target.dim, rng=options.seed, progress=shown)
    out = io.BytesIO()
    if suffix == "npy":
        np.save(out, x, allow_pickle=False)
    else:
        np.savetxt(out, x, delimiter=",", fmt="%.17g")
    atomic_write(options.out, out.getvalue())
    if not options.quiet:
        cost = f"{plan.evaluations} score evaluations each"
        print(f"{options.n} samples in dimension {target.dim}, {cost}: {options.out}", file=sys.stderr)
    return VERIFIED


def _verify(options: argparse.Namespace) -> int:
    from rmverify.claims import Report, verify
    from rmverify.io import atomic_write
    from rmverify.readings.boxes import EFFORT
    from rmverify.report import Asked, claims_record, claims_tables, document

    if options.covariance and options.data is None:
        raise ValueError("--covariance: expected --target FILE with it, got no target")
    if options.html is not None:
        _suffix("--html", options.html, ("html", "htm"))
        _writable("--html", options.html)
    target = None if options.data is None else _target(options)
    effort = options.effort or EFFORT
    kinds = options.kind or (None if target is None else ["exact", "fitted"])
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
        [] if options.data is None else ["--target", options.data] + ["--covariance"] * options.covariance,
        effort if options.certified or "certified" in (kinds or ()) else None,
        left_out,
    )
    if options.html is not None:
        from rmverify.pages import claims_page

        atomic_write(options.html, claims_page(report, asked))
    if options.json:
        print(document("verify", claims_record(report, asked)))
    else:
        # without a terminal one line each, however long
        width = _width() if sys.stdout.isatty() else 10_000
        _show(claims_tables(report, asked, width, options.verbose), width)
    findings = {result.finding for result in report.values()} or {"inconclusive"}
    if "violated" in findings:
        return REFUTED
    undecided = {"inconclusive", "not yet"} if options.ids else {"inconclusive"}
    return INCONCLUSIVE if findings & undecided else VERIFIED


def _rates(options: argparse.Namespace) -> int:
    from rmverify import rates, sweep
    from rmverify.io import atomic_write
    from rmverify.report import document
    from rmverify.tables import rates as tables

    if options.dask is not None and options.workers is not None:
        raise ValueError("--workers: expected at most one of --workers and --dask, got both")
    if options.parallel or options.log_concave:
        return _other_rates(options)
    if options.covariance and options.data is None:
        raise ValueError("--covariance: expected --data DATA with it, got no data")
    chosen = options.scheme or []
    if options.data is not None and set(chosen) == {"randomized_midpoint"}:
        raise ValueError("--data: expected a --scheme that draws no midpoints beside it, got randomized_midpoint alone")
    suffix = None if options.plot is None else _plottable(options.plot)
    target = None if options.data is None else _target(options)
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
    if suffix is not None:
        atomic_write(options.plot, tables.rates_picture(found, suffix))
    width = _width() if sys.stdout.isatty() else None
    _written(options, {
        "json": lambda: document("rates", tables.rates_record(found, theorems, options.data and _name(options))),
        "csv": lambda: tables.rates_csv(found),
        "markdown": lambda: tables.rates_markdown(found),
        "latex": lambda: tables.rates_latex(found),
    }, lambda: tables.rates_tables(found, theorems, width, options.rows), width)  # fmt: skip
    if any(fit.verdict == "contradicts" for fit in found.fits):
        return REFUTED
    return INCONCLUSIVE if tables.undecided(found) else VERIFIED


def _other_rates(options: argparse.Namespace) -> int:
    """The tables of --parallel and --log-concave."""
    from rmverify import sweep
    from rmverify.io import atomic_write
    from rmverify.report import document

    if options.parallel and options.log_concave:
        raise ValueError("--log-concave: expected at most one of --parallel and --log-concave, got both")
    asked = "--parallel" if options.parallel else "--log-concave"
    for name in ("full", "scheme", "data", "covariance", "rows"):
        if getattr(options, name):
            raise ValueError(f"--{name}: expected without {asked}, which has its own table")
    suffix = None if options.plot is None else _plottable(options.plot)
    room: Any
    tables: Any
    if options.parallel:
        from rmverify import rounds as room
        from rmverify.tables import rounds as tables
    else:
        from rmverify import concave as room
        from rmverify.tables import concave as tables
    try:
        with _sweeping(options) as (executor, progress):
            found = room.table(max_steps=options.max_steps, executor=executor, store=options.store, progress=progress)
    except sweep.SweepError as error:
        return _broken(options, error)
    if suffix is not None:
        atomic_write(options.plot, tables.picture(found, suffix))
    width = _width() if sys.stdout.isatty() else None
    _written(options, {
        "json": lambda: document(f"rates {asked}", found.as_dict()),
        "csv": lambda: tables.as_csv(found),
        "markdown": lambda: tables.as_markdown(found),
        "latex": lambda: tables.as_latex(found),
    }, lambda: tables.shown(found, width), width)  # fmt: skip
    if tables.refuted(found):
        return REFUTED
    return INCONCLUSIVE if tables.unsettled(found) else VERIFIED


@contextmanager
def _sweeping(options: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """The executor of the sweeps of a command, and what shows their progress."""
    from rmverify import sweep

    workers = options.workers or (1 if options.dask else min(2, os.cpu_count() or 1))
    with _progress(options) as show, sweep.pool(workers, options.dask) as executor:
        yield executor, lambda p: show(str(p), p.fraction)


def _broken(options: argparse.Namespace, error: Exception) -> int:
    more = "; the rest is in the store, the same command tries again" if options.store else ""
    return _complain(f"{error}{more}", INTERNAL)


def _written(
    options: argparse.Namespace, forms: dict[str, Callable[[], str]], shown: Callable[[], list[Any]], width: int | None
) -> None:
    """The form that was asked for on stdout, or the tables."""
    for name, form in forms.items():
        if getattr(options, name):
            print(form().removesuffix("\n"))
            return
    _show(shown(), width or 10_000)


def _explain(options: argparse.Namespace) -> int:
    from rmverify.claims.ledger import load
    from rmverify.report import explained

    claims = load()
    chosen = [id.upper() for id in options.ids]
    for id in chosen:
        if id not in claims:
            raise ValueError(f"IDS: expected some of {', '.join(claims)}, got {id!r}")
    _show([block for id in chosen for block in explained(claims[id])])
    return VERIFIED


def _exponents(options: argparse.Namespace) -> int:
    from rmverify.exponents import load
    from rmverify.report import document, exponents_record, exponents_tables

    answer = load(options.file).solve(options.scale)
    if options.json:
        print(document("exponents", exponents_record(answer)))
    else:
        _show(exponents_tables(answer))
    return VERIFIED


def _prepared(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    from rmverify import schemes
    from rmverify.budget import schedule, setting

    target = _target(options)
    where = setting(target, options.tv, early_stop=options.early_stop, horizon=options.horizon, grid=options.grid)
    scheme = getattr(schemes, options.scheme)
    return target, where, schedule(target, scheme, where, options.steps, corrector=options.corrector)


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


def _width() -> int:
    """Columns of the terminal; where there is none, as many as everything needs."""
    return shutil.get_terminal_size((132, 24)).columns if sys.stdout.isatty() else 132


def _show(blocks: list[Any], width: int | None = None) -> None:
    import io

    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=width or _width(), height=24, force_terminal=sys.stdout.isatty(), highlight=False,
        legacy_windows=False, no_color="NO_COLOR" in os.environ or None,
    )  # fmt: skip
    for block in blocks:
        console.print(block)
    encoding = sys.stdout.encoding or "utf-8"
    print(out.getvalue().encode(encoding, "replace").decode(encoding), end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
