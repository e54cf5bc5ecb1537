"""``rmverify gallery``: would my tests have found the faults that others published?"""

from __future__ import annotations

import argparse
from typing import Any

from rmverify.cli.options import add_command
from rmverify.cli.output import Exit, width, write


def add(commands: Any) -> None:
    """The command and its options."""
    gallery = add_command(
        commands, "gallery", "published faults of samplers, refuted by their exact laws", run,
        "rmverify gallery\n  rmverify gallery heun_v_prediction sgld_noise\n  rmverify gallery --list", data=False,
    )  # fmt: skip
    gallery.add_argument("cases", metavar="CASE", nargs="*", help="cases to show in full; default: a table of all")
    gallery.add_argument("--list", action="store_true", help="only name the cases, with their public reports")
    gallery.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")


def run(options: argparse.Namespace) -> int:
    from rmverify import gallery
    from rmverify.views import gallery as view
    from rmverify.views.common import document

    names, columns = options.cases or gallery.CASES, width()
    cases = [(name, gallery.load(name)) for name in names]
    if options.list:
        about = {"cases": [{"name": n, "title": c.title, "reports": list(c.reports), "told": c.told} for n, c in cases]}
        write(options, {"json": lambda: document("gallery", about)}, lambda: view.names(cases))
        return Exit.VERIFIED
    found = gallery.run(names)
    write(options, {"json": lambda: document("gallery", view.as_record(found))}, lambda: (
        [block for one in found for block in view.page(one, columns)] if options.cases else view.shown(found, columns)
    ))  # fmt: skip
    return Exit.VERIFIED if all(one.holds for one in found) else Exit.REFUTED
