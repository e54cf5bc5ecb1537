"""One program of several commands: their parser, and the exit code and line of whatever goes wrong in one."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import NoReturn

from rmverify.cli import audit, budget, explain, exponents, gallery, law, rates, sample, schedule, verify
from rmverify.cli.output import DATA, EXITS, Exit, Usage, complain

_COMMANDS = (budget, law, schedule, sample, verify, rates, audit, explain, exponents, gallery)

_OPTIONS = {"accuracy": "--tv", "early_stop": "--early-stop", "early_stop_tv": "--early-stop-tv",
            "horizon": "--horizon", "grid": "--grid", "steps": "--steps", "precision": "--precision", "n": "-n",
            "predictors": "--scheme", "max_steps": "--max-steps", "data": "DATA", "covariance": "DATA",
            "target": "DATA", "ids": "IDS", "scales": "--scale", "store": "--store", "dask": "--dask",
            "workers": "--workers", "kinds": "--kind", "case": "CASE"}  # fmt: skip
"""What the package's arguments are called on the command line: a complaint about one of them is a usage error, and so
is one about a file by its name; anything else that fails is not the user's doing."""


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"rmverify: error: {message} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # before NumPy is imported: the products here are small, threads of the BLAS would only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has printed its line
        return int(stop.code or 0) if isinstance(stop.code, int | None) else Exit.USAGE
    try:
        _spare_inputs(options)
        return int(options.run(options))
    except Usage as error:
        return complain(str(error), Exit.USAGE)
    except (ValueError, TypeError) as error:
        return _refused(options, error)
    except OverflowError as error:
        from rmverify.schemes.contract import Unstable

        return complain(str(error), Exit.USAGE) if isinstance(error, Unstable) else _internal(error)
    except BrokenPipeError:  # whoever read the output has seen enough: no verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        return complain(f"cannot write: {error}", Exit.USAGE)
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    except Exception as error:
        return _internal(error)


def _parser() -> argparse.ArgumentParser:
    from rmverify import __version__

    parser = _Parser(
        "rmverify",
        description="Exact laws and errors of randomized-midpoint samplers, and claims about them.",
        epilog=f"{EXITS}\n\n{DATA}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rmverify {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser


def _spare_inputs(options: argparse.Namespace) -> None:
    """Refuse an output that is an input or another output, under whatever name."""
    taken = []
    for name in ("data", "file", "out", "plot", "html", "store"):
        path = getattr(options, name, None)
        if path is None:
            continue
        file = os.path.realpath(path)
        if os.path.exists(path):  # two hard links are one file
            about = os.stat(path)
            file = f"{about.st_dev} {about.st_ino}"
        if name not in ("data", "file") and file in taken:
            raise Usage(f"--{name}: {path!r} is a file that this command uses already; choose another name")
        taken.append(file)


def _refused(options: argparse.Namespace, error: Exception) -> int:
    """A complaint about an argument or a file, by its name first; or what the arithmetic says."""
    name, colon, rest = str(error).partition(": ")
    known = _OPTIONS.get(name, name if name.startswith(("'", '"')) else None)
    if not colon or known is None:
        return _internal(error)
    return complain((getattr(options, "data_option", known) if known == "DATA" else known) + colon + rest, Exit.USAGE)


def _internal(error: Exception) -> int:
    report = "please report it with the command that you gave"
    return complain(f"internal error: {type(error).__name__}: {error}; {report}", Exit.INTERNAL)
