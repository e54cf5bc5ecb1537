"""Results for people and for programs: tables, JSON, CSV and pictures. No mathematics."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from rmverify.budget import Budget, Description, Point, Row, Setting
from rmverify.values import Value

__all__ = [
    "SCHEMA",
    "budget_csv",
    "budget_picture",
    "budget_record",
    "budget_tables",
    "document",
    "law_record",
    "law_tables",
    "value_text",
]

SCHEMA = 1
"""Version of the JSON documents."""


def document(command: str, content: dict[str, Any]) -> str:
    """One JSON document: the schema's version, the package's, the command and its content."""
    from rmverify import __version__

    head = {"schema": SCHEMA, "rmverify": __version__, "command": command}
    return json.dumps(head | content, indent=2, allow_nan=False)


def value_text(value: Value) -> str:
    """A value with as many digits as its error leaves, at most six; a bracket as its two ends."""
    if value.kind in ("upper", "lower") and value.lower < value.upper:
        return f"{value.lower:.4g} to {value.upper:.4g}"
    if 0 < value.complement < 1e-3:
        return f"1 - {value.complement:.3g}"
    if not math.isfinite(value) or not value or value.error == 0:
        return f"{float(value) + 0.0:.6g}"
    digits = max(1, min(6, math.floor(math.log10(abs(value) / value.error)))) if value.error < abs(value) else 1
    return f"{float(value):.{digits}g}"


# --- budgets ------------------------------------------------------------------------------------------------


def budget_record(answer: Budget, data: str) -> dict[str, Any]:
    """A budget as plain data."""
    return {
        "data": data,
        "dim": answer.dim,
        "accuracy": answer.accuracy,
        "metric": "tv",
        **_setting_record(answer.setting),
        "schemes": [_row_record(row) for row in answer.rows],
    }


def _setting_record(where: Setting) -> dict[str, Any]:
    return {
        "early_stop": where.early_stop,
        "early_stop_error_w2": where.early_stop_error.as_dict(),
        "horizon": where.horizon,
        "start_error_tv": where.start_error.as_dict(),
        "grid": where.grid,
        "smoothness_from_early_stop": where.smoothness,
        "smoothness_of_data": where.data_smoothness if math.isfinite(where.data_smoothness) else "inf",
    }


def _row_record(row: Row) -> dict[str, Any]:
    return {
        "scheme": row.scheme,
        "corrector": "underdamped" if row.corrector else None,
        "law": "exact" if row.exact else "bracket",
        "evaluations_lower": None if row.lower is None else row.lower.evaluations,
        "evaluations_upper": None if row.upper is None else row.upper.evaluations,
        "at_upper": None if row.upper is None else _point_record(row.upper),
        "discretization_tv": None if row.discretization is None else row.discretization.as_dict(),
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
            mark = "+".join(name for name, end in (("lower", row.lower), ("upper", row.upper)) if p == end)
            head = [row.scheme, "underdamped" if row.corrector else "", "exact" if row.exact else "bracket"]
            numbers = [p.steps, p.evaluations, p.rounds, repr(float(p.tv)), p.tv.lower, p.tv.upper, p.tv.error]
            writer.writerow([*head, *numbers, mark])
    return out.getvalue()


_WIDE = 130
"""Columns of a terminal that the whole budget table needs; a narrower one gets fewer columns of it."""


def budget_tables(answer: Budget, data: str, width: int = _WIDE) -> list[Any]:
    """What a person reads: the setting, the table, and the curves that are not monotone, as rich renderables."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    lines = _setting_lines(answer.setting, data, answer.dim)
    lines.append("Corrector     underdamped Langevin after every window, its evaluations counted")
    title = Text(f"Score evaluations to TV(output, q_delta) <= {answer.accuracy:g}", style="bold")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown = [k for k in range(len(_COLUMNS)) if width >= _WIDE or _COLUMNS[k] not in _DROPPED]
    for k in shown:
        table.add_column(_COLUMNS[k], justify="left" if k in (0, 1, len(_COLUMNS) - 1) else "right", no_wrap=True)
    for row in answer.rows:
        cells = _row_cells(row)
        table.add_row(*[cells[k] for k in shown])
    notes = [
        "law: exact = the output is Gaussian and its TV computed; bracket = random midpoints, the output is a mixture:",
        "  from the first plan that the test-set bound does not refute to the first with E_alpha TV + 2 se <= goal.",
        "discretization: the same plan started from the true q_T."
        if len(shown) == len(_COLUMNS)
        else f"A terminal of {_WIDE} columns shows {', '.join(_DROPPED)} too; so does --json.",
        "Every number of steps up to 16 was tried where the law is exact, beyond by doubling and bisection.",
    ]
    blocks: list[Any] = [Text("\n".join(lines)), title, table, Text("\n".join(notes), style="dim")]
    for row in answer.rows:
        if not row.monotone:
            name = row.scheme + (" + underdamped" if row.corrector else "")
            blocks += [Text(f"{name}: not monotone, every plan that was looked at", style="bold"), _curve_table(row)]
    return blocks


_COLUMNS = ("scheme", "corrector", "evaluations", "steps", "rounds", "TV there", "discretization", "law")
_DROPPED = ("steps", "rounds", "discretization")


def _setting_lines(where: Setting, data: str, dim: int) -> list[str]:
    singular = not math.isfinite(where.data_smoothness)
    whose = "that of q_delta: the data are singular" if singular else f"{where.data_smoothness:.6g} from 0 up"
    return [
        f"Target        {data}: Gaussian in dimension {dim}",
        f"Early stop    delta = {where.early_stop:.6g}, W2(q_delta, q_0) = {value_text(where.early_stop_error)}",
        f"Horizon       T = {where.horizon:.6g}, TV(q_T, N(0,I)) = {value_text(where.start_error)} (start error)",
        f"Smoothness    L = {where.smoothness:.6g} from delta up ({whose})",
        f"Grid          {where.grid}",
    ]


def _row_cells(row: Row) -> list[str]:
    head = [row.scheme, "underdamped" if row.corrector else "-"]
    law = "exact" if row.exact else "bracket"
    if row.upper is None:
        last = row.curve[-1]
        return [*head, f"> {last.evaluations}", f"> {last.steps}", f"> {last.rounds}", value_text(last.tv), "-", law]
    evaluations = f"{row.upper.evaluations}"
    steps = f"{row.upper.steps}"
    rounds = f"{row.upper.rounds}"
    if not row.exact and row.lower is not None and row.lower != row.upper:
        evaluations = f"{row.lower.evaluations} to {evaluations}"
        steps = f"{row.lower.steps} to {steps}"
        rounds = f"{row.lower.rounds} to {rounds}"
    split = "-" if row.discretization is None else value_text(row.discretization)
    return [*head, evaluations, steps, rounds, value_text(row.upper.tv), split, law]


def _curve_table(row: Row) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("steps", "evaluations", "TV"):
        table.add_column(column, justify="right", no_wrap=True)
    for p in row.curve:
        table.add_row(str(p.steps), str(p.evaluations), value_text(p.tv))
    return table


def budget_picture(answer: Budget, data: str, suffix: str) -> bytes:
    """Error against evaluations, log-log, one line a scheme (a band where the law is a bracket), as PNG, SVG or PDF."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rmverify"  # the same picture from the same numbers
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.5, 5.5), layout="constrained")
    names = list(dict.fromkeys(row.scheme for row in answer.rows))
    colors = {name: f"C{k}" for k, name in enumerate(names)}
    for row in answer.rows:
        points = [p for p in row.curve if p.tv.upper > 0]
        x = [p.evaluations for p in points]
        style = "--" if row.corrector else "-"
        label = row.scheme + (" + underdamped" if row.corrector else "")
        axes.loglog(x, [p.tv.upper for p in points], style, marker=".", color=colors[row.scheme], label=label)
        if not row.exact:
            low = [max(p.tv.lower, 1e-6) for p in points]
            axes.fill_between(x, low, [p.tv.upper for p in points], color=colors[row.scheme], alpha=0.15, linewidth=0)
    axes.axhline(answer.accuracy, color="black", linewidth=0.8)
    start = float(answer.setting.start_error)
    if start > 0:
        axes.axhline(start, color="gray", linewidth=0.8, linestyle=":")
        axes.annotate("start error", (0.995, start), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.annotate("request", (0.995, answer.accuracy), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set_ylim(bottom=max(answer.setting.start_error, answer.accuracy / 100) / 10, top=1.5)
    axes.set_xlabel("score evaluations")
    axes.set_ylabel(r"TV(output, $q_\delta$); bands: brackets of random midpoints")
    where = answer.setting
    axes.set_title(f"{data}: dimension {answer.dim}, $\\delta$ = {where.early_stop:.3g}, {where.grid} grid")
    axes.legend(fontsize="small", loc="lower left")
    axes.grid(alpha=0.3, which="both")
    out = io.BytesIO()
    metadata = {"Date": None} if suffix == "svg" else ({"CreationDate": None} if suffix == "pdf" else {})
    figure.savefig(out, format=suffix, dpi=150, metadata=metadata)
    plt.close(figure)
    return out.getvalue()


# --- one law ------------------------------------------------------------------------------------------------

_NAMES = {
    "tv": "TV",
    "kl": "KL(output || q_delta)",
    "kl_reverse": "KL(q_delta || output)",
    "chi2": "chi^2(output || q_delta)",
    "hellinger": "Hellinger",
    "w2": "W2",
}


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
        "law": found.law,
        "rounding": found.rounding,
        "divergences": {name: value.as_dict() for name, value in found.divergences.items()},
        "discretization_tv": found.discretization.as_dict(),
        "claim": None if claim is None else {"tv": claim, "verdict": verdict},
    }


def law_tables(found: Description, data: str, claim: float | None, verdict: str | None) -> list[Any]:
    """What a person reads of one law, as rich renderables."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    name = found.scheme + (" + underdamped corrector" if found.corrector else "")
    lines = [
        *_setting_lines(found.setting, data, found.dim),
        f"Plan          {name}: {found.steps} steps, {found.evaluations} evaluations, {found.rounds} rounds",
        f"Law           {found.law}, start {'N(0,I)' if found.start == 'normal' else 'q_T'}; "
        f"relative rounding of its variances {found.rounding:.1g}",
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("distance", "value", "kind", "error"):
        table.add_column(column, no_wrap=True)
    rows = {_NAMES[key]: value for key, value in found.divergences.items()}
    rows["TV, started from q_T"] = found.discretization
    for label, value in rows.items():
        kind = "bracket" if value.kind == "upper" else value.kind
        table.add_row(label, value_text(value), kind, f"{value.error:.1g}")
    blocks: list[Any] = [Text("\n".join(lines)), Text("Output against q_delta", style="bold"), table]
    if claim is not None:
        blocks.append(Text(f"claim TV <= {claim:g}: {verdict}"))
    return blocks
