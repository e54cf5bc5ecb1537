"""``rmverify exponents``: which cost do error terms imply at worst, and what proves it?"""

from __future__ import annotations

import argparse
from typing import Any

from rmverify.cli.options import add_command
from rmverify.cli.output import Exit, write


def add(commands: Any) -> None:
    """The command and its options."""
    exponents = add_command(
        commands, "exponents", "the smallest worst cost that error terms imply, with certificates", run,
        "rmverify exponents d5\n  rmverify exponents d1 --scale d\n  rmverify exponents my.toml --json", data=False,
    )  # fmt: skip
    exponents.add_argument("file", metavar="FILE", help="a TOML file, or d0, d1, d3, d5, d7 (also d5-log-concave, ...)")
    exponents.add_argument("--scale", action="append", metavar="NAME", help="let only this parameter grow (repeatable)")
    exponents.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")


def run(options: argparse.Namespace) -> int:
    from rmverify.exponents import load
    from rmverify.views import exponents as view
    from rmverify.views.common import document

    answer = load(options.file).solve(options.scale)
    write(options, {"json": lambda: document("exponents", answer.as_dict())}, lambda: view.shown(answer))
    return Exit.REFUTED if any(verdict.finding == "not implied" for verdict in answer.claims) else Exit.VERIFIED
