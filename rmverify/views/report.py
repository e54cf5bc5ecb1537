"""Results for people and for programs: tables, JSON, CSV and pictures. No mathematics."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmverify.claims.words import constant_text, finding_text, names_in, where_text

if TYPE_CHECKING:  # only their names: explaining a claim needs no budgets
    from rmverify.claims.ledger import Claim, Evidence, Report, Result
    from rmverify.exponents import Optimum, Verdict, Vertex
    from rmverify.studies.budget import Budget, Description, Point, Row, Setting

__all__ = [
    "SCHEMA",
    "Asked",
    "budget_csv",
    "budget_picture",
    "budget_record",
    "budget_tables",
    "claims_record",
    "claims_tables",
    "document",
    "explained",
    "exponents_record",
    "exponents_tables",
    "law_record",
    "law_tables",
]

SCHEMA = 3
"""Version of the JSON documents."""


def document(command: str, content: dict[str, Any]) -> str:
    """One JSON document: the schema's version, the package's, the command and its content."""
    from rmverify import __version__

    head = {"schema": SCHEMA, "rmverify": __version__, "command": command}
    return json.dumps(head | content, indent=2, allow_nan=False)


# --- budgets ------------------------------------------------------------------------------------------------


def budget_record(answer: Budget, data: str) -> dict[str, Any]:
    """A budget as plain data."""
    return {
        "data": data,
        "dim": answer.dim,
        "accuracy": answer.accuracy,
        "precision": answer.precision,
        "metric": "tv",
        "seed": answer.seed,
        **_setting_record(answer.setting),
        "early_stop_within_accuracy": bool(answer.setting.early_stop_tv.upper <= answer.accuracy),
        "schemes": [_row_record(row) for row in answer.rows],
    }


def _setting_record(where: Setting) -> dict[str, Any]:
    return {
        "early_stop": where.early_stop,
        "early_stop_error_w2": where.early_stop_error.as_dict(),
        "early_stop_error_tv": where.early_stop_tv.as_dict(),
        "horizon": where.horizon,
        "start_error_tv": where.start_error.as_dict(),
        "grid": where.grid,
        "smoothness_from_early_stop": where.smoothness,
        "smoothness_of_data": where.data_smoothness if math.isfinite(where.data_smoothness) else "inf",
    }


def _row_record(row: Row) -> dict[str, Any]:
    return {
        "scheme": row.scheme,
        "parameters": dict(row.parameters),
        "corrector": "underdamped" if row.corrector else None,
        "law": "exact" if row.exact else "monte-carlo",
        "evaluations_lower": None if row.lower is None else row.lower.evaluations,
        "evaluations_upper": None if row.upper is None else row.upper.evaluations,
        "at_upper": None if row.upper is None else _point_record(row.upper),
        "discretization_tv": None if row.discretization is None else row.discretization.as_dict(),
        "every_number_tried_up_to": row.tried,
        "proved_least": row.proved,
        "monotone": row.monotone,
        "curve": [_point_record(point) for point in row.curve],
    }


def _point_record(point: Point) -> dict[str, Any]:
    return {
        "steps": point.steps,
        "evaluations": point.evaluations,
        "rounds": point.rounds,
        "tv": point.tv.as_dict(),
    }


def budget_csv(answer: Budget) -> str:
    """One line per plan that was looked at, with the summary of its scheme."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ["steps", "evaluations", "rounds", "tv", "tv_lower", "tv_upper", "tv_error"]
    writer.writerow(["scheme", "corrector", "law", *columns, "answer"])
    for row in answer.rows:
        for p in row.curve:
            ends = {"lower": row.lower, "upper": row.upper}
            mark = "+".join(name for name, end in ends.items() if end and p.steps == end.steps)
            head = [row.scheme, "underdamped" if row.corrector else "", "exact" if row.exact else "monte-carlo"]
            numbers = [p.steps, p.evaluations, p.rounds, repr(float(p.tv)), p.tv.lower, p.tv.upper, p.tv.error]
            writer.writerow([*head, *numbers, mark])
    return out.getvalue()


def budget_tables(answer: Budget, data: str, width: int | None = None, curves: bool = False) -> list[Any]:
    """What a person reads: the setting, the table and remarks on it, as rich renderables.

    Without a width as wide as everything needs; otherwise the least important columns go first. With `curves` every
    plan that was looked at too.
    """
    from rich.text import Text

    where = answer.setting
    lines = _setting_lines(where, data, answer.dim)
    lines.append("Corrector     underdamped Langevin after every window, its evaluations counted")
    if answer.seed is not None:
        lines.append(f"Seed          {answer.seed} (random midpoints)")
    remarks = []
    if where.early_stop_tv.lower > answer.accuracy and math.isfinite(where.data_smoothness):
        remarks.append(
            f"TV(q_delta, q_0) = {where.early_stop_tv.text()} is above the request: the output is close to q_delta, "
            "not to the data; --early-stop-tv X chooses delta by it."
        )
    title = Text(f"Score evaluations to TV(output, q_delta) <= {answer.accuracy:g}", style="bold")
    table, dropped = _fitted(_COLUMNS, [_row_cells(row) for row in answer.rows], width, _DROPPED)
    notes = []
    if any(not row.exact for row in answer.rows):
        notes += [
            "Random midpoints: TV has a confidence interval of 95 %; in brackets evaluations",
            "from the first not known to be too few to the first known to be enough.",
        ]
    for scheme, parameters in {row.scheme: row.parameters for row in answer.rows if row.parameters}.items():
        notes.append(f"{scheme}: {', '.join(f'{name} = {value}' for name, value in parameters.items())}.")
    if "discretization" not in dropped:
        notes.append("discretization: the same plan started from the true q_T.")
    if dropped:
        notes.append(f"Not shown: {', '.join(dropped)}; --json and a pipe have them.")
    blocks: list[Any] = [Text("\n".join(lines))]
    blocks += [Text("\n".join(remarks), style="yellow")] if remarks else []
    blocks += [title, table, Text("\n".join([*notes, *_least_lines(answer)]), style="dim")]
    if curves:
        for row in answer.rows:
            blocks += [Text(f"{_row_name(row)}: every plan that was looked at", style="bold"), _curve_table(row)]
    return blocks


_COLUMNS = ("scheme", "corrector", "evaluations", "steps", "rounds", "TV there", "discretization", "law")
_DROPPED = ("discretization", "law", "steps", "rounds")


def _row_name(row: Row) -> str:
    return row.scheme + (" + underdamped" if row.corrector else "")


def _least_lines(answer: Budget) -> list[str]:
    """Which answers are not known to be the least, or as precise as was asked, and which curves rise, a line each."""
    left = [row for row in answer.rows if not row.proved]
    lines = ["Every smaller number of steps was tried and is too few" + (", but for" if left else ".")]
    if left:
        lines += [f"  {_row_name(row)} ({f'up to {row.tried}' if row.tried else 'few of them'});" for row in left]
        lines.append("  there the search goes on in jumps, and can pass over a shorter plan.")
    for row in answer.rows:
        if row.lower is not None and row.upper is not None and row.half_width > answer.precision:
            unsure = f"{row.lower.steps} to {row.upper.steps} steps"
            lines.append(f"{_row_name(row)}: it is not known whether less than the last of {unsure} is enough.")
        if not row.monotone:
            a, b = max(itertools.pairwise(row.searched), key=lambda pair: pair[1].tv.lower - pair[0].tv.upper)
            rise = f"{a.tv.text(3)} at {a.steps} steps to {b.tv.text(3)} at {b.steps}"
            lines.append(f"{_row_name(row)}: not monotone, TV rises from {rise}; --curves prints all.")
    return lines


def _fitted(
    columns: Sequence[str], lines: Sequence[Sequence[str]], width: int | None, drop: Sequence[str]
) -> tuple[Any, list[str]]:
    """A table, and the columns of `drop` that were left out of it so that the rest fits the width.

    What is too wide still is folded: no digit is lost.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    wide = {c: max(len(line[k]) for line in [columns, *lines]) for k, c in enumerate(columns)}
    dropped: list[str] = []
    for name in drop:
        if width is not None and sum(wide[c] + 2 for c in columns if c not in dropped) > width:
            dropped.append(name)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [k for k, c in enumerate(columns) if c not in dropped]
    for k in shown:
        left = columns[k] in ("scheme", "corrector", "law", "distance", "kind")
        table.add_column(columns[k], justify="left" if left else "right", overflow="fold")
    for line in lines:
        table.add_row(*[Text(line[k]) for k in shown])
    return table, dropped


def _setting_lines(where: Setting, data: str, dim: int) -> list[str]:
    singular = not math.isfinite(where.data_smoothness)
    whose = "that of q_delta: the data are singular" if singular else f"{where.data_smoothness:.6g} from 0 up"
    stopped = where.early_stop_tv.text() + (": the data are singular" if singular else "")
    return [
        f"Target        {data}: Gaussian in dimension {dim}",
        f"Early stop    delta = {where.early_stop:.6g}, W2(q_delta, q_0) = {where.early_stop_error.text()}",
        f"              TV(q_delta, q_0) = {stopped}",
        f"Horizon       T = {where.horizon:.6g}, TV(q_T, N(0,I)) = {where.start_error.text()} (start error)",
        f"Smoothness    L = {where.smoothness:.6g} from delta up ({whose})",
        f"Grid          {where.grid}",
    ]


def _row_cells(row: Row) -> list[str]:
    head = [row.scheme, "underdamped" if row.corrector else "-"]
    law = "exact" if row.exact else "95 %"
    if row.lower is None or row.upper is None:
        last = row.curve[-1]
        return [*head, f"> {last.evaluations}", f"> {last.steps}", f"> {last.rounds}", last.tv.text(), "-", law]
    evaluations = f"{row.upper.evaluations}"
    if row.lower.evaluations < row.upper.evaluations:
        evaluations += f" ({row.lower.evaluations} to {row.upper.evaluations})"
    split = "-" if row.discretization is None else row.discretization.text()
    return [*head, evaluations, f"{row.upper.steps}", f"{row.upper.rounds}", row.upper.tv.text(), split, law]


def _curve_table(row: Row) -> Any:
    points = [[str(p.steps), str(p.evaluations), p.tv.text()] for p in row.curve]
    return _fitted(("steps", "evaluations", "TV"), points, None, ())[0]


def pyplot() -> Any:
    """matplotlib.pyplot, to draw the same picture from the same numbers."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rmverify"
    import matplotlib.pyplot as plt

    return plt


def drawn(figure: Any, suffix: str) -> bytes:
    """The figure as PNG, SVG or PDF; closed."""
    import matplotlib.pyplot as plt

    out = io.BytesIO()
    metadata: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
    figure.savefig(out, format=suffix, dpi=150, metadata=metadata)
    plt.close(figure)
    return out.getvalue()


def budget_picture(answer: Budget, data: str, suffix: str) -> bytes:
    """Error against evaluations, log-log, one line a scheme, intervals as error bars, as PNG, SVG or PDF."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(8.5, 5.5), layout="constrained")
    names = list(dict.fromkeys(row.scheme for row in answer.rows))
    colors = {name: f"C{k}" for k, name in enumerate(names)}
    for row in answer.rows:
        points = [p for p in row.curve if p.tv.upper > 0]
        x = [p.evaluations for p in points]
        y = [float(p.tv) for p in points]
        style = {"color": colors[row.scheme], "linewidth": 1.2, "linestyle": "--" if row.corrector else "-"}
        axes.loglog(x, y, label=_row_name(row), **style)
        if not row.exact:
            off = [[float(p.tv) - p.tv.lower for p in points], [p.tv.upper - float(p.tv) for p in points]]
            axes.errorbar(x, y, off, fmt="none", ecolor=colors[row.scheme], elinewidth=1, capsize=2.5)
        if row.upper is not None:
            axes.plot(row.upper.evaluations, float(row.upper.tv), "o", color=colors[row.scheme], markersize=5)
    axes.axhline(answer.accuracy, color="black", linewidth=0.8)
    start = float(answer.setting.start_error)
    if start > 0:
        axes.axhline(start, color="gray", linewidth=0.8, linestyle=":")
        axes.annotate("start error", (0.995, start), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.annotate("request", (0.995, answer.accuracy), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set_ylim(bottom=max(start, answer.accuracy / 100) / 2, top=1.5)
    axes.set_xlabel("score evaluations")
    axes.set_ylabel(r"TV(output, $q_\delta$); bars: 95 % intervals; dots: the answers")
    where = answer.setting
    axes.set_title(f"{data}: dimension {answer.dim}, $\\delta$ = {where.early_stop:.3g}, {where.grid} grid")
    axes.legend(fontsize="small", loc="lower left")
    axes.grid(alpha=0.3, which="both")
    return drawn(figure, suffix)


# --- one law ------------------------------------------------------------------------------------------------

_NAMES = {
    "tv": "TV",
    "kl": "KL(output || q_delta)",
    "kl_reverse": "KL(q_delta || output)",
    "chi2": "chi^2(output || q_delta)",
    "hellinger": "Hellinger",
    "w2": "W2",
}

_KINDS = {"upper": "bracket", "monte-carlo": "95 % interval"}


def law_record(found: Description, data: str, claim: float | None, verdict: str | None) -> dict[str, Any]:
    """A law as plain data."""
    return {
        "data": data,
        "dim": found.dim,
        **_setting_record(found.setting),
        "scheme": found.scheme,
        "corrector": "underdamped" if found.corrector else None,
        "steps": found.steps,
        "evaluations": found.evaluations,
        "rounds": found.rounds,
        "start": found.start,
        "seed": found.seed,
        "law": found.law,
        "rounding": found.rounding,
        "divergences": {name: value.as_dict() for name, value in found.divergences.items()},
        "expected_tv": None if found.expected_tv is None else found.expected_tv.as_dict(),
        "discretization_tv": found.discretization.as_dict(),
        "claim": None if claim is None else {"tv": claim, "verdict": verdict},
    }


def law_tables(found: Description, data: str, claim: float | None, verdict: str | None) -> list[Any]:
    """What a person reads of one law, as rich renderables."""
    from rich.text import Text

    name = found.scheme + (" + underdamped corrector" if found.corrector else "")
    lines = [
        *_setting_lines(found.setting, data, found.dim),
        f"Plan          {name}: {found.steps} steps, {found.evaluations} evaluations, {found.rounds} rounds",
        f"Law           {found.law}, start {'N(0,I)' if found.start == 'normal' else 'q_T'}; "
        f"relative rounding of its variances {found.rounding:.1g}",
    ]
    if found.seed is not None:
        lines.append(f"Seed          {found.seed} (random midpoints)")
    values = {_NAMES[key]: value for key, value in found.divergences.items()}
    if found.expected_tv is not None:
        own = {"TV, every particle its own midpoints": values.pop("TV")}
        values = own | {"TV, one set of midpoints shared by all": found.expected_tv} | values
    values["TV, started from q_T"] = found.discretization
    rows = [[name, v.text(), _KINDS.get(v.kind, v.kind), f"{v.error:.1g}"] for name, v in values.items()]
    table, _ = _fitted(("distance", "value", "kind", "error"), rows, None, ())
    blocks: list[Any] = [Text("\n".join(lines)), Text("Output against q_delta", style="bold"), table]
    if claim is not None:
        tv = found.divergences["tv"]
        at = f" (95 %: {tv.lower:.4g} to {tv.upper:.4g})" if tv.kind == "monte-carlo" else ""
        blocks.append(Text(f"claim TV <= {claim:g}{at}: {verdict}"))
    return blocks


# --- claims -------------------------------------------------------------------------------------------------

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
    "quoted": "from its source, by later papers or public reviews",
    "derived": "in this project",
    "recalled": "the published form from memory",
}
_ROOMY = 110
"""Columns of a terminal from which on the kinds of evidence are spelled out."""


@dataclass(frozen=True)
class Asked:
    """What a report on claims was asked for.

    Parameters
    ----------
    target : str, optional
        What the evidence was looked for on, in words; by default what each claim names.
    options : sequence of str
        Of the command line that asks for the same.
    effort : int, optional
        Boxes for each certified piece; None where none were asked for.
    left_out : sequence of str
        Claims that are not reported, since there is no such evidence of them.
    """

    target: str | None = None
    options: Sequence[str] = ()
    effort: int | None = None
    left_out: Sequence[str] = ()

    def lines(self) -> list[tuple[str, str]]:
        """What was asked, for a person, under names."""
        lines = [("Target", self.target or "none: the domain that each claim names")]
        if self.effort is not None:
            lines.append(("Certified", f"up to {self.effort} boxes for each piece"))
        if self.left_out:
            lines.append(("Left out", f"{', '.join(self.left_out)}: no such evidence"))
        return lines

    def command(self, id: str, kind: str) -> str:
        """The command that reproduces a claim's evidence of one kind."""
        effort = ["--effort", f"{self.effort}"] if kind == "certified" and self.effort is not None else []
        return shlex.join(["rmverify", "verify", id, "--kind", kind, *effort, *self.options])


def claims_record(report: Report, asked: Asked) -> dict[str, Any]:
    """A report on claims as plain data."""
    told = {"target": asked.target, "certified_effort": asked.effort, "left_out": list(asked.left_out)}
    return told | {"names": dict(names_in(points(report)))} | report.as_dict()


def claims_tables(report: Report, asked: Asked, width: int = 130, verbose: bool = False) -> list[Any]:
    """What a person reads: a line for every claim and, if asked for, its evidence, as rich renderables."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("id", "claim", "finding", "evidence", "time"):
        wraps = column in ("claim", "finding")
        table.add_column(column, justify="right" if column == "time" else "left", no_wrap=not wraps)
    for result in report.values():
        kinds = [kind if width >= _ROOMY else kind[0] for kind in kinds_of(result)]
        finding = Text(finding_text(result), style=_STYLES[result.finding])
        table.add_row(result.id, Text(result.claim.statement), finding, " ".join(kinds), seconds_text(result.seconds))
    blocks: list[Any] = [_listed(asked.lines()), table]
    if verbose:
        blocks += [block for result in report.values() for block in _evidence_blocks(result, asked)]
    notes = [tally(report)]
    if width < _ROOMY:
        notes.append("evidence: s symbolic, c certified, e exact, f fitted, m monte-carlo.")
    notes.append("C is the smallest constant with which the claim holds on the domain of its evidence:")
    notes.append(">= the largest ratio that a search found, <= a bound on it, = both within its error.")
    notes += [f"{name}: {text}." for name, text in names_in(points(report))]
    return [*blocks, Text("\n".join(notes), style="dim")]


def points(report: Report) -> list[Mapping[str, Any]]:
    """Where constants are attained or claims fail: the points whose parameters a report names."""
    return [e.where for result in report.values() for e in result.evidence]


def tally(report: Report) -> str:
    """How many claims there are of every finding, and the time they took together."""
    found = [result.finding for result in report.values()]
    parts = [f"{found.count(name)} {name}" for name in _STYLES if name in found]
    whole = "1 claim" if len(report) == 1 else f"{len(report)} claims"
    return f"{whole}: {', '.join(parts) or 'none with evidence of this kind'}."


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
        blocks += [Padding(block, (0, 0, 0, n), expand=False) for block, n in ((head, 4), (_listed(lines), 6))]
    return [*blocks, ""]


def _listed(lines: Iterable[tuple[str, str]]) -> Any:
    """Names and texts side by side."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(Text(name, style="dim"), Text(text))
    return grid


def explained(claim: Claim) -> list[Any]:
    """A claim in LaTeX and words, where it is from and how it is looked at, as rich renderables; computes nothing."""
    from rich.text import Text

    lines = [
        ("formula", claim.latex),
        ("source", claim.source),
        ("provenance", provenance_text(claim)),
        ("hypotheses", "\n".join(claim.hypotheses)),
        ("left side", claim.left),
        ("right side", claim.right),
        ("evidence", "\n".join(Asked().command(claim.id, kind) for kind in claim.kinds)),
    ]
    head = Text(f"{claim.id}  {claim.statement}", style="bold")
    return [head, _listed((name, text or "-") for name, text in lines), ""]


def provenance_text(claim: Claim) -> str:
    """The mark of a claim's provenance and what it means."""
    meanings = [meaning for mark, meaning in _PROVENANCE.items() if mark in claim.provenance]
    return f"{claim.provenance} ({'; '.join(meanings)})" if meanings else claim.provenance


# --- exponents ----------------------------------------------------------------------------------------------


def exponents_record(answer: Optimum) -> dict[str, Any]:
    """The smallest worst cost of a program, with its certificates, as plain data."""
    return answer.as_dict()


def exponents_tables(answer: Optimum) -> list[Any]:
    """What a person reads of it, as rich renderables."""
    from rich.text import Text

    p = answer.program
    kept = [v for v in answer.vertices if not v.dominated]
    setting = {
        "program": p.name + (f": {p.title}" if p.title else ""),
        "growing": ", ".join(p.scales),
        "free": ", ".join(p.free),
        "fixed": "\n".join(f"{name} = {m}" for name, m in p.fix.items()),
        "assuming": "\n".join(map(answer.condition, p.assumptions.values())),
    }
    about = {f"{scale} alone": str(m) for scale, m in answer.alone.items()} if len(p.scales) > 1 else {}
    about["never larger"] = "\n".join(str(v.cost) for v in answer.vertices if v.dominated)
    head = "Smallest worst cost, up to constants: " + ("the largest of" if len(kept) > 1 else str(kept[0].cost))
    blocks: list[Any] = [_listed(line for line in setting.items() if line[1]), "", Text(head, style="bold")]
    if len(kept) > 1:
        blocks += [Text(f"  {v.cost}, where {_all_of(answer, v.where)}") for v in kept]
    blocks += [_listed(line for line in about.items() if line[1]), ""]
    for vertex in kept:
        blocks += _vertex_blocks(answer, vertex)
    if answer.claims:
        blocks += [Text("Printed costs", style="bold"), *(_verdict_block(answer, v) for v in answer.claims), ""]
    note = "Exact: the binding terms multiply to the cost, so nothing is better; the parameters reach it. Both checked."
    return [*blocks, Text(note, style="dim")]


def _all_of(answer: Optimum, where: Iterable[Any]) -> str:
    return " and ".join(map(answer.condition, where)) or "everywhere"


def _vertex_blocks(answer: Optimum, vertex: Vertex) -> list[Any]:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    p = answer.program
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("binding term", "kind", "multiplier", "a factor m more in it"):
        table.add_column(column)
    for name, power in vertex.multipliers.items():
        kind = "cost" if name in p.costs else "error <= 1" if name in p.errors else "constraint <= 1"
        table.add_row(Text(name), kind, str(power), f"costs {'m' if power == 1 else f'm^{{{power}}}'} more")
    blocks: list[Any] = [Text(f"{vertex.cost} is the product of these terms, to these powers", style="bold"), table]
    for piece in vertex.pieces:
        where = f", where {_all_of(answer, piece.where)}" if piece.where else ""
        blocks += [Text(f"reached with{where}"), _listed((f"  {n}", f"= {m}") for n, m in piece.free.items()), ""]
    return blocks


def _verdict_block(answer: Optimum, verdict: Verdict) -> Any:
    from rich.text import Text

    about = [f"in {', '.join(verdict.claim.scales)} alone"] if verdict.claim.scales else []
    about += [verdict.claim.source] if verdict.claim.source else []
    parts = " or ".join(_all_of(answer, part) for part in verdict.where)
    text = verdict.finding
    if verdict.finding == "implied":
        text += ": it is the cost" if verdict.equal else ", and somewhere larger than the cost"
    else:
        text += f" {parts}" if verdict.finding == "implied where" else f"; it holds only where {parts}" if parts else ""
        power = "" if verdict.gap == 1 else f"^{{{verdict.gap}}}"
        text += f"\n  along {answer.along(verdict.witness or {})} the cost is larger by the factor t{power}"
    head = f"{verdict.claim}" + (f"  ({', '.join(about)})" if about else "")
    return Text.assemble((head, ""), "\n  ", (text, ""))
