"""``rmverify verify``: what is claimed about the samplers, and does it hold?"""

from __future__ import annotations

import argparse
import os
from typing import Any

from rmverify.cli.options import add_command, add_data, name_of, shape_of, target_of, whole
from rmverify.cli.output import Exit, progress, width, writable, write

KINDS = ("symbolic", "certified", "exact", "fitted", "monte-carlo")


def add(commands: Any) -> None:
    """The command and its options."""
    verify = add_command(
        commands, "verify", "every claim of the ledger, and what was found about it", run,
        "rmverify verify\n  rmverify verify B2 D1 --verbose\n  rmverify verify --all\n"
        "  rmverify verify --target digits --html digits.html",
    )  # fmt: skip
    verify.add_argument(
        "ids", nargs="*", metavar="IDS", help="such as B2 D1; default: those of the paper and what it rests on"
    )
    verify.add_argument("--all", action="store_true", help="also the theorems of the field's other papers")
    verify.add_argument(
        "--kind", action="append", choices=KINDS, metavar="KIND",
        help=f"restrict to this kind of evidence (repeatable); one of {', '.join(KINDS)}; default: all but certified",
    )  # fmt: skip
    verify.add_argument(
        "--certified", action="store_true", help="also prove bounds by ball arithmetic over boxes of parameters"
    )
    verify.add_argument(
        "--effort", type=whole(1), metavar="N",
        help="examine at most this many boxes for each certified bound; default: 4 times what the shipped claims need",
    )  # fmt: skip
    add_data(verify, "--target", "look for exact and fitted evidence on your DATA; default: each claim's own domain")
    verify.add_argument("--workers", type=whole(1), default=min(2, os.cpu_count() or 1), metavar="N", help="processes")
    verify.add_argument("-v", "--verbose", action="store_true", help="also print every piece of evidence")
    verify.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    verify.add_argument("--html", metavar="FILE", help="one self-contained page with formulas, tables and pictures")


def run(options: argparse.Namespace) -> int:
    from rmverify.claims import Report, verify
    from rmverify.errors import EFFORT
    from rmverify.io import atomic_write
    from rmverify.views import claims as view
    from rmverify.views.common import document

    if options.html is not None:
        writable("--html", options.html, ("html", "htm"))
    target = target_of(options)
    effort = options.effort or EFFORT
    kinds = options.kind or (None if target is None else ["exact", "fitted", "monte-carlo"])
    with progress(options) as tell:
        report = verify(
            [id.upper() for id in options.ids] or None,
            kinds=kinds,
            certified=options.certified,
            target=target,
            effort=effort,
            workers=options.workers,
            field=options.all,
            progress=tell,
        )
    left_out = []
    if kinds and not options.ids:  # the claims that have no such evidence are not in question
        left_out = [id for id, result in report.items() if not result.evidence]
        report = Report([result for result in report.values() if result.evidence])
    asked = view.Asked(
        None if target is None else f"{name_of(options)}: Gaussian in dimension {target.dim}",
        [] if options.data is None else ["--target", options.data, *shape_of(options)],
        effort if options.certified or "certified" in (kinds or ()) else None,
        left_out,
    )
    if options.html is not None:
        from rmverify.views.page import claims_page

        atomic_write(options.html, claims_page(report, asked))
    form = {"json": lambda: document("verify", view.as_record(report, asked))}
    write(options, form, lambda: view.shown(report, asked, width(), options.verbose))
    findings = {result.finding for result in report.values()} or {"inconclusive"}
    if findings & {"violated", "not implied"}:
        return Exit.REFUTED
    undecided = {"inconclusive", "not yet"} if options.ids else {"inconclusive"}
    return Exit.INCONCLUSIVE if findings & undecided else Exit.VERIFIED
