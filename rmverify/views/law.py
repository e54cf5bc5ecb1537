"""The law of one plan: its setting, and every distance of its output to the target, as a table and JSON."""

from __future__ import annotations

from typing import Any

from rmverify.studies.budget import Description
from rmverify.views.budget import setting_lines, setting_record
from rmverify.views.common import grid

_NAMES = {
    "tv": "TV",
    "kl": "KL(output || q_delta)",
    "kl_reverse": "KL(q_delta || output)",
    "chi2": "chi^2(output || q_delta)",
    "hellinger": "Hellinger",
    "w2": "W2",
}

_KINDS = {"upper": "bracket", "monte-carlo": "95 % interval"}


def as_record(found: Description, data: str, claim: float | None, verdict: str | None) -> dict[str, Any]:
    """A law as plain data."""
    plain = found.as_dict()
    setting, discretization = plain.pop("setting"), plain.pop("discretization")
    return {
        "data": data,
        **setting_record(setting),
        **plain,
        "corrector": "underdamped" if found.corrector else None,
        "discretization_tv": discretization,
        "claim": None if claim is None else {"tv": claim, "verdict": verdict},
    }


def shown(found: Description, data: str, claim: float | None, verdict: str | None) -> list[Any]:
    """What a person reads of one law, as rich renderables."""
    from rich.text import Text

    name = found.scheme + (" + underdamped corrector" if found.corrector else "")
    lines = [
        *setting_lines(found.setting, data, found.dim),
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
    table = grid(("distance", "value", "kind", "error"), rows, right=("value", "error"))
    blocks: list[Any] = [Text("\n".join(lines)), Text("Output against q_delta", style="bold"), table]
    if claim is not None:
        tv = found.divergences["tv"]
        at = f" (95 %: {tv.lower:.4g} to {tv.upper:.4g})" if tv.kind == "monte-carlo" else ""
        blocks.append(Text(f"claim TV <= {claim:g}{at}: {verdict}"))
    return blocks
