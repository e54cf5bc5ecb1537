"""Claims and what was found about them: a line for each, their evidence, and what a claim says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmverify.claims.words import constant_text, finding_text, names_in, where_text
from rmverify.views.common import grid, listed

if TYPE_CHECKING:  # only their names: explaining a claim needs no measurements
    from rmverify.claims.ledger import Claim, Evidence, Report, Result

_STYLES = {
    "holds": "green",
    "holds with constant": "green",
    "not implied": "yellow",
    "not yet": "dim",
    "inconclusive": "bold yellow",
    "violated": "bold red",
}
_PROVENANCE = {
    "abstract": "stated in the paper's abstract",
    "found": "read in a public copy",
    "quoted": "from its source, by later papers or public reviews",
    "derived": "in this project",
    "recalled": "the published form from memory",
}
_ROOMY = 110
"""Columns of a terminal from which on the kinds of evidence are spelled out."""


@dataclass(frozen=True)
class Asked:
    """What a report on claims was asked for.

    `target`: what the evidence was looked for on, in words, by default what each claim names; `options`: of the command
    line that asks for the same; `effort`: boxes for each certified piece, None where none were asked for; `left_out`:
    claims that are not reported, since there is no such evidence of them.
    """

    target: str | None = None
    options: Sequence[str] = ()
    effort: int | None = None
    left_out: Sequence[str] = ()

    def lines(self) -> list[tuple[str, str]]:
        """What was asked, for a person, under names."""
        lines = [("Target", self.target or "default: each claim's own domain")]
        if self.effort is not None:
            lines.append(("Certified", f"up to {self.effort} boxes for each piece"))
        if self.left_out:
            lines.append(("Left out", f"{', '.join(self.left_out)}: no such evidence"))
        return lines

    def command(self, id: str, kind: str) -> str:
        """The command that reproduces a claim's evidence of one kind."""
        effort = ["--effort", f"{self.effort}"] if kind == "certified" and self.effort is not None else []
        return shlex.join(["rmverify", "verify", id, "--kind", kind, *effort, *self.options])


def as_record(report: Report, asked: Asked) -> dict[str, Any]:
    """A report on claims as plain data."""
    told = {"target": asked.target, "certified_effort": asked.effort, "left_out": list(asked.left_out)}
    return told | {"names": dict(names_in(points(report)))} | report.as_dict()


def shown(report: Report, asked: Asked, width: int | None = None, verbose: bool = False) -> list[Any]:
    """What a person reads: a line for every claim and, if asked for, its evidence, as rich renderables."""
    from rich.text import Text

    roomy, lines = width is None or width >= _ROOMY, dict[str, list[Any]]()
    for result in report.values():
        kinds = [kind if roomy else kind[0] for kind in kinds_of(result)]
        finding = Text(finding_text(result), style=_STYLES[result.finding])
        line = [result.id, result.claim.statement, finding, " ".join(kinds), seconds_text(result.seconds)]
        lines.setdefault(result.claim.paper, []).append(line)
    blocks: list[Any] = [listed(asked.lines()), ""]
    for paper, rows in lines.items():
        heads = [Text(paper, style="bold")] if len(lines) > 1 else []
        blocks += [*heads, grid(("id", "claim", "finding", "evidence", "time"), rows, right=["time"]), ""]
    if verbose:
        blocks += [block for result in report.values() for block in _evidence_blocks(result, asked)]
    notes = [tally(report)]
    if not roomy:
        notes.append("evidence: s symbolic, c certified, e exact, f fitted, m monte-carlo.")
    notes.append("C is the smallest constant with which the claim holds on the domain of its evidence:")
    notes.append(">= the largest ratio that a search found, <= a bound on it, = both within its error.")
    notes += [f"{name}: {text}." for name, text in names_in(points(report))]
    return [*blocks, Text("\n".join(notes), style="dim")]


def points(report: Report) -> list[Mapping[str, Any]]:
    """Where constants are attained or claims fail: the points whose parameters a report names."""
    return [e.where for result in report.values() for e in result.evidence]


def tally(report: Report) -> str:
    """How many claims there are of every finding."""
    found = [result.finding for result in report.values()]
    parts = [f"{name}: {found.count(name)}" for name in _STYLES if name in found]
    whole = "1 claim" if len(report) == 1 else f"{len(report)} claims"
    return f"{whole} ({', '.join(parts) or 'none with evidence of this kind'})."


def kinds_of(result: Result) -> list[str]:
    """The kinds of evidence that were gathered, each once."""
    return list(dict.fromkeys(e.kind for e in result.evidence))


def seconds_text(seconds: float) -> str:
    """A time with two digits or more."""
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s" if seconds >= 0.995 else f"{seconds:.2f} s"


def evidence_lines(evidence: Evidence) -> list[tuple[str, str]]:
    """What there is to say of one piece of evidence, under names."""
    name, number = "value", ""
    if evidence.constant is not None:
        number, label = evidence.constant.text(), ""
        if evidence.finding == "holds with constant":
            name, number, label = "constant", constant_text(evidence), f"{evidence.label}; "
        number += f" ({label}{evidence.constant.kind}, error {evidence.constant.error:.1g})"
    lines = [
        ("computed", evidence.computed),
        ("bound", evidence.bound),
        (name, number),
        ("where", where_text(evidence.where).removeprefix(" at ")),
        ("remark", evidence.remark),
        ("domain", evidence.domain),
        ("source", evidence.source),
        ("time", seconds_text(evidence.seconds)),
    ]
    return [(name, text) for name, text in lines if text]


def _evidence_blocks(result: Result, asked: Asked) -> list[Any]:
    from rich.padding import Padding
    from rich.text import Text

    blocks: list[Any] = [Text.assemble((f"{result.id}  ", "bold"), (result.claim.statement, "bold"))]
    for e in result.evidence:
        head = Text.assemble(f"{e.kind}: {e.what.rstrip('.')}: ", (e.finding, _STYLES[e.finding]))
        lines = [*evidence_lines(e), ("command", asked.command(result.id, e.kind))]
        blocks += [Padding(block, (0, 0, 0, n), expand=False) for block, n in ((head, 4), (listed(lines), 6))]
    return [*blocks, ""]


def explained(claim: Claim) -> list[Any]:
    """A claim in LaTeX and words, where it is from and how it is looked at, as rich renderables; computes nothing."""
    from rich.text import Text

    commands = "\n".join(Asked().command(claim.id, kind) for kind in claim.kinds) or "-"
    lines = [("formula", claim.latex), *claim_lines(claim), ("evidence", commands)]
    return [Text(f"{claim.id}  {claim.statement}", style="bold"), listed(lines), ""]


def claim_lines(claim: Claim) -> list[tuple[str, str]]:
    """Where a claim is from, what it assumes and what it compares, under names."""
    meanings = "; ".join(meaning for mark, meaning in _PROVENANCE.items() if mark in claim.provenance)
    lines = [
        ("paper", claim.paper),
        ("source", claim.source),
        ("provenance", claim.provenance + (f" ({meanings})" if meanings else "")),
        ("hypotheses", "\n".join(claim.hypotheses)),
        ("left side", claim.left),
        ("right side", claim.right),
    ]
    remarks = [("remarks", "\n".join(claim.remarks))] if claim.remarks else []
    return [*((name, text or "-") for name, text in lines), *remarks]
