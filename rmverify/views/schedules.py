"""The best noise levels beside the named grids: as a table, as lists to paste into a sampler, as JSON and a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmverify.paths import VP
from rmverify.plans import sigma_of
from rmverify.studies.schedules import Row, Schedule
from rmverify.views.budget import setting_lines, setting_record
from rmverify.views.common import drawn, omitted, paragraph, tabular

BETAS = {"linear": (1e-4, 0.02, 1.0), "scaled_linear": (0.00085, 0.012, 0.5)}
"""First and last beta and the power in which they are evenly spaced, of 1000 timesteps: diffusers' default, and Stable
Diffusion's."""
_METRICS = {"kl": "KL", "tv": "TV", "w2": "W2"}


def timesteps_of(betas: str) -> VP:
    """The path of a list of 1000 alphas_cumprod.

    Examples
    --------
    >>> float(timesteps_of("linear").alphas_cumprod[0])
    0.9999
    """
    first, last, power = BETAS[betas]
    return VP(np.cumprod(1 - np.linspace(first**power, last**power, 1000) ** (1 / power)))


def as_record(found: Schedule, data: str, betas: str) -> dict[str, Any]:
    """A schedule as plain data, with the lists."""
    plain = found.as_dict()
    rows, place = plain.pop("rows"), plain.pop("setting")
    place.pop("grid")
    path = timesteps_of(betas)
    return {
        "data": data,
        **plain,
        **setting_record(place),
        "grids": rows,
        "t": found.levels.tolist(),
        "sigmas": found.sigmas.tolist(),
        "timesteps": found.timesteps(path).tolist(),
        "betas": betas,
        "timesteps_clipped": bool(_clipped(found, path).any()),
    }


def _clipped(found: Schedule, path: VP) -> Any:
    ends = np.sqrt((1 - path.alphas_cumprod) / path.alphas_cumprod)
    return (found.sigmas < ends.min()) | (found.sigmas > ends.max())


def shown(found: Schedule, data: str, betas: str, width: int | None = None) -> list[Any]:
    """What a person reads, as rich renderables."""
    from rich.text import Text

    lines = setting_lines(found.setting, data, found.dim)[:-1]  # the last is its grid
    one = found.evaluations_per_step
    lines += [
        f"Scheme        {found.scheme}: {one} evaluation{'s' * (one > 1)} a step, "
        f"start {'N(0,I)' if found.start == 'normal' else 'q_T'}",
        f"Search        {found.agreed} of {found.starts} starts ended at the least {_METRICS[found.metric]}",
    ]
    metric = _METRICS[found.metric]
    count = f"{found.steps} step{'s' * (found.steps > 1)}"
    goal = count if found.accuracy is None else f"the fewest steps to {metric} <= {found.accuracy:g}"
    title = f"Output against q_delta: {goal}, levels best in {metric}"
    used = ("KL", "W2") if found.given_midpoints else ("KL", "TV", "W2")
    columns = ("grid", "steps", "evaluations", *used, "to match")
    cells = [_cells(found, row) for row in found.rows]
    table, dropped = tabular(columns, cells, width, drop=("steps",), right=columns[1:])
    notes = [
        "to match: the fewest evaluations at which a named grid is as close as the best one is at its own; "
        f">: none of the numbers of steps up to {found.limit}."
    ]
    if found.agreed == 1 < found.starts:
        notes.append(
            "No two starts ended at the least error: there are many minima, a better one may exist, and these levels "
            "may fit this spectrum only. More steps or --restarts help."
        )
    if found.given_midpoints:
        notes.append("KL and the square of W2 are those given the random midpoints, averaged over them.")
    notes += omitted(dropped, "--json")
    path = timesteps_of(betas)
    lists = [
        ("noise levels t", found.levels), ("sigmas = sqrt(e^{2t} - 1)", found.sigmas),
        (f"timesteps of {betas} betas", found.timesteps(path)),
    ]  # fmt: skip
    blocks: list[Any] = [Text("\n".join(lines)), Text(title, style="bold"), table[0]]
    blocks += [paragraph(note, width, "dim") for note in notes]
    for name, values in lists:
        blocks += ["", paragraph(name, width, "bold"), _list(values, width)]
    if _clipped(found, path).any():
        blocks.append(paragraph("Some levels lie beyond the timesteps, and are clipped to their ends.", width, "dim"))
    return blocks


def _cells(found: Schedule, row: Row) -> list[str]:
    def text(value: Any) -> str:
        return "-" if value is None else value.text()

    distances = [row.kl, row.w2] if found.given_midpoints else [row.kl, row.tv, row.w2]
    cost, beyond = found.evaluations_per_step, f"> {found.limit * found.evaluations_per_step}"
    reached = [f"> {found.limit}", beyond] if row.steps is None else [str(row.steps), str(row.evaluations)]
    needed = beyond if row.needed is None else str(row.needed * cost)
    return [row.grid, *reached, *map(text, distances), needed]


def _list(values: Any, width: int | None) -> Any:
    return paragraph("[" + ", ".join(f"{value:.7g}" for value in values) + "]", width)


def picture(found: Schedule, data: str, suffix: str) -> bytes:
    """sigma against the part of the steps that is done, one line a grid, as PNG, SVG or PDF."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 5.5), layout="constrained")
    axes = figure.subplots()
    for row in found.rows:
        if not row.levels:
            continue
        done = np.linspace(0, 1, len(row.levels))
        value = getattr(row, found.metric)
        label = f"{row.grid}: {row.steps} steps, {_METRICS[found.metric]} {value.text(3)}"
        marker = {"marker": "o", "markersize": 3, "linewidth": 2} if row.grid == "best" else {"linewidth": 1}
        axes.semilogy(done, sigma_of(row.levels), label=label, **marker)
    title = f"{data}: dimension {found.dim}, {found.scheme}"
    axes.set(xlabel="part of the steps that is done", ylabel=r"$\sigma = \sqrt{e^{2t} - 1}$", title=title)
    axes.legend(fontsize="small", loc="lower left")
    axes.grid(alpha=0.3, which="both")
    return drawn(figure, suffix)
