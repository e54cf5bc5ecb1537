"""``rmverify law``: what exactly comes out of one plan on my data, and how far is it from the truth?"""

from __future__ import annotations

import argparse
from typing import Any

from rmverify.cli.options import add_command, add_plan, name_of, plan_of, real, seeded
from rmverify.cli.output import Exit, remark, write


def add(commands: Any) -> None:
    """The command and its options."""
    law = add_command(
        commands, "law", "the exact law and errors of one plan on one target", run,
        "rmverify law digits --scheme heun --steps 100\n  rmverify law digits --steps 300 --claim-tv 0.2",
    )  # fmt: skip
    add_plan(law)
    law.add_argument("--start", choices=("normal", "exact"), default="normal", help="N(0, I), or the true q_T")
    law.add_argument(
        "--claim-tv", type=real(0, 1, or_at=True), metavar="X", help="check the claim TV <= X (exit code 0, 1 or 3)"
    )
    law.add_argument(
        "--precision", type=real(0, 1), default=0.01, metavar="X",
        help="with random midpoints: half-width of the intervals to aim for, relative to the distance",
    )  # fmt: skip
    law.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")


def run(options: argparse.Namespace) -> int:
    from rmverify.studies.budget import describe
    from rmverify.views import law as view
    from rmverify.views.common import document

    target, where, plan = plan_of(options, turned=True)
    claim = options.claim_tv
    seed = seeded(options, plan.drawing_steps > 0)
    found = describe(plan, target, where, start=options.start, precision=options.precision, rng=options.seed)
    if seed is not None:
        remark(options, seed)
    value = found.divergences["tv"]
    code = Exit.INCONCLUSIVE if (value.lower, value.upper) == (0, 1) else Exit.VERIFIED
    if claim is not None:
        code = Exit.VERIFIED if value.upper <= claim else Exit.REFUTED if value.lower > claim else Exit.INCONCLUSIVE
    about = found, name_of(options), claim, code.name.lower()
    write(options, {"json": lambda: document("law", view.as_record(*about))}, lambda: view.shown(*about))
    return code
