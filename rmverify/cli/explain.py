"""``rmverify explain``: what does a claim say, and how do I check it?"""

from __future__ import annotations

import argparse
from typing import Any

from rmverify.cli.options import add_command
from rmverify.cli.output import Exit, Usage, show


def add(commands: Any) -> None:
    """The command and its options."""
    explain = add_command(
        commands, "explain", "what a claim says, where it is from, and the commands that check it", run,
        "rmverify explain B2", data=False,
    )  # fmt: skip
    explain.add_argument("ids", nargs="+", metavar="IDS", help="such as B2; rmverify verify --all lists them")


def run(options: argparse.Namespace) -> int:
    from rmverify.claims.ledger import load
    from rmverify.views.claims import explained

    claims = load()
    chosen = [id.upper() for id in options.ids]
    for id in chosen:
        if id not in claims:
            raise Usage(f"IDS: expected some of {', '.join(claims)}, got {id!r}")
    show([block for id in chosen for block in explained(claims[id])])
    return Exit.VERIFIED
