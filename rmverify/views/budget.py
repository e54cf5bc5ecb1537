"""A budget: what each scheme needs, with the setting it was found in, as a table, JSON, CSV and a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from rmverify.studies.budget import Budget, Row, Setting
from rmverify.views.common import csv_text, drawn, grid, omitted, tabular


def as_record(answer: Budget, data: str) -> dict[str, Any]:
    """A budget as plain data."""
    return {
        "data": data,
        "dim": answer.dim,
        "accuracy": answer.accuracy,
        "precision": answer.precision,
        "metric": "tv",
        "seed": answer.seed,
        **setting_record(answer.setting.as_dict()),
        "early_stop_within_accuracy": bool(answer.setting.early_stop_tv.upper <= answer.accuracy),
        "schemes": [_row_record(row) for row in answer.rows],
    }


_NAMES = {
    "early_stop_error": "early_stop_error_w2",
    "early_stop_tv": "early_stop_error_tv",
    "start_error": "start_error_tv",
    "smoothness": "smoothness_from_early_stop",
    "data_smoothness": "smoothness_of_data",
}


def setting_record(plain: dict[str, Any]) -> dict[str, Any]:
    """A setting under the names that documents have for it."""
    return {_NAMES.get(name, name): value for name, value in plain.items()}


def _row_record(row: Row) -> dict[str, Any]:
    plain = row.as_dict()
    return {
        "scheme": row.scheme,
        "parameters": plain["parameters"],
        "corrector": "underdamped" if row.corrector else None,
        "law": "exact" if row.exact else "monte-carlo",
        "evaluations_lower": None if row.lower is None else row.lower.evaluations,
        "evaluations_upper": None if row.upper is None else row.upper.evaluations,
        "at_upper": plain["upper"],
        "discretization_tv": plain["discretization"],
        "every_number_tried_up_to": row.tried,
        "proved_least": row.proved,
        "monotone": row.monotone,
        "curve": plain["curve"],
    }


def as_csv(answer: Budget) -> str:
    """One line per plan that was looked at, with the summary of its scheme."""
    columns = ["steps", "evaluations", "rounds", "tv", "tv_lower", "tv_upper", "tv_error"]
    lines: list[Sequence[Any]] = [["scheme", "corrector", "law", *columns, "answer"]]
    for row in answer.rows:
        for p in row.curve:
            ends = {"lower": row.lower, "upper": row.upper}
            mark = "+".join(name for name, end in ends.items() if end and p.steps == end.steps)
            head = [row.scheme, "underdamped" if row.corrector else "", "exact" if row.exact else "monte-carlo"]
            numbers = [p.steps, p.evaluations, p.rounds, repr(float(p.tv)), p.tv.lower, p.tv.upper, p.tv.error]
            lines.append([*head, *numbers, mark])
    return csv_text(lines)


def shown(answer: Budget, data: str, width: int | None = None, curves: bool = False) -> list[Any]:
    """What a person reads: the setting, the table and remarks on it, as rich renderables.

    Without a width as wide as everything needs; otherwise the least important columns go first. With `curves` every
    plan that was looked at too.
    """
    from rich.text import Text

    where = answer.setting
    lines = setting_lines(where, data, answer.dim)
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
    table, dropped = tabular(_COLUMNS, [*map(_row_cells, answer.rows)], width, drop=_DROPPED, right=_COLUMNS[2:7])
    notes = []
    if any(not row.exact for row in answer.rows):
        notes += [
            "Random midpoints: TV has a 95 % confidence interval. In brackets: the fewest",
            "evaluations that are not ruled out, and the fewest that are known to be enough.",
        ]
    for scheme, parameters in {row.scheme: row.parameters for row in answer.rows if row.parameters}.items():
        notes.append(f"{scheme}: {', '.join(f'{name} = {value}' for name, value in parameters.items())}.")
    if "discretization" not in dropped:
        notes.append("discretization: the same plan started from the true q_T.")
    notes += omitted(dropped, "--json")
    blocks: list[Any] = [Text("\n".join(lines))]
    blocks += [Text("\n".join(remarks), style="yellow")] if remarks else []
    blocks += [title, table[0], Text("\n".join([*notes, *_least_lines(answer)]), style="dim")]
    columns = "steps", "evaluations", "TV"
    for row in answer.rows if curves else ():
        points = [[str(p.steps), str(p.evaluations), p.tv.text()] for p in row.curve]
        blocks.append(Text(f"{_row_name(row)}: every plan that was looked at", style="bold"))
        blocks.append(grid(columns, points, right=columns))
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


def setting_lines(where: Setting, data: str, dim: int) -> list[str]:
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


_TEN = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
"""Colours that the colour-blind tell apart (Petroff 2021)."""


def picture(answer: Budget, data: str, suffix: str) -> bytes:
    """Error against evaluations, log-log, one line a scheme, intervals as error bars, as PNG, SVG or PDF; plans with a
    corrector in a panel of their own."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(row.corrector for row in answer.rows))
    figure = Figure(figsize=(11.0 if len(panels) > 1 else 7.5, 5.8), layout="constrained")
    names = list(dict.fromkeys(row.scheme for row in answer.rows))
    colors = {name: _TEN[k % len(_TEN)] for k, name in enumerate(names)}
    each = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, corrector in zip(each, panels, strict=True):
        for row in answer.rows:
            if row.corrector == corrector:
                _draw(axes, row, colors[row.scheme])
        axes.axhline(answer.accuracy, color="black", linewidth=0.8)
        start = float(answer.setting.start_error)
        if start > 0:
            axes.axhline(start, color="gray", linewidth=0.8, linestyle=":")
            axes.annotate("start error", (0.005, start), xycoords=("axes fraction", "data"), va="bottom", fontsize=12)
        axes.annotate("request", (0.005, answer.accuracy), xycoords=("axes fraction", "data"), va="bottom", fontsize=12)
        axes.set_ylim(bottom=max(start, answer.accuracy / 100) / 2, top=1.5)
        axes.set_title("with an underdamped corrector" if corrector else "without a corrector", fontsize=14)
        axes.set_xlabel("score evaluations", fontsize=13)
        axes.tick_params(labelsize=12)
        axes.grid(alpha=0.3)
    each[0].set_ylabel(r"TV(output, $q_\delta$)", fontsize=13)
    lines = {name: line for axes in each for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        lines.values(), lines.keys(), loc="outside lower center", ncols=3 if len(panels) > 1 else 2, fontsize=12
    )
    where = answer.setting
    title = f"{data}: dimension {answer.dim}, $\\delta$ = {where.early_stop:.3g}, {where.grid} grid"
    figure.suptitle(f"{title}; bars: 95 % intervals, dots: the answers", fontsize=14)
    return drawn(figure, suffix)


def _draw(axes: Any, row: Row, color: str) -> None:
    points = [p for p in row.curve if p.tv.upper > 0]
    x = [p.evaluations for p in points]
    y = [float(p.tv) for p in points]
    axes.loglog(x, y, label=row.scheme, color=color, linewidth=2)
    if not row.exact:
        off = [[float(p.tv) - p.tv.lower for p in points], [p.tv.upper - float(p.tv) for p in points]]
        axes.errorbar(x, y, off, fmt="none", ecolor=color, elinewidth=1, capsize=2.5)
    if row.upper is not None:
        axes.plot(row.upper.evaluations, float(row.upper.tv), "o", color=color, markersize=7)
