"""The smallest worst cost that error terms imply: the terms that bind, how it is reached, and the printed claims."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rmverify.exponents import Optimum, Verdict, Vertex
from rmverify.views.common import grid, listed


def shown(answer: Optimum) -> list[Any]:
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
    blocks: list[Any] = [listed(line for line in setting.items() if line[1]), "", Text(head, style="bold")]
    if len(kept) > 1:
        blocks += [Text(f"  {v.cost}, where {_all_of(answer, v.where)}") for v in kept]
    blocks += [listed(line for line in about.items() if line[1]), ""]
    for vertex in kept:
        blocks += _vertex_blocks(answer, vertex)
    if answer.claims:
        blocks += [Text("Printed costs", style="bold"), *(_verdict_block(answer, v) for v in answer.claims), ""]
    note = "Exact: the binding terms multiply to the cost, so nothing is better; the parameters reach it. Both checked."
    return [*blocks, Text(note, style="dim")]


def _all_of(answer: Optimum, where: Iterable[Any]) -> str:
    return " and ".join(map(answer.condition, where)) or "everywhere"


def _vertex_blocks(answer: Optimum, vertex: Vertex) -> list[Any]:
    from rich.text import Text

    p = answer.program
    lines = []
    for name, power in vertex.multipliers.items():
        kind = "cost" if name in p.costs else "error <= 1" if name in p.errors else "constraint <= 1"
        lines.append([name, kind, str(power), f"cost x {'m' if power == 1 else f'm^{{{power}}}'}"])
    table = grid(("binding term", "kind", "power", "effect of scaling the term by m"), lines)
    title = Text(f"{vertex.cost} is the product of these terms, to these powers", style="bold")
    blocks: list[Any] = [title, table, ""]
    for piece in vertex.pieces:
        where = f", where {_all_of(answer, piece.where)}" if piece.where else ""
        blocks += [Text(f"reached with{where}"), listed((f"  {n}", f"= {m}") for n, m in piece.free.items()), ""]
    return blocks


def _verdict_block(answer: Optimum, verdict: Verdict) -> Any:
    from rich.text import Text

    about = [f"in {', '.join(verdict.claim.scales)} alone"] if verdict.claim.scales else []
    about += [verdict.claim.source] if verdict.claim.source else []
    parts = " or ".join(_all_of(answer, part) for part in verdict.where)
    if verdict.finding == "implied":
        text = "implied: it is the cost" if verdict.equal else "implied, and somewhere larger than the cost"
    else:
        only = f"; it holds only where {parts}" if parts else ""
        text = f"implied where {parts}" if verdict.finding == "implied where" else verdict.finding + only
        factor = "t" if verdict.gap == 1 else f"t^{{{verdict.gap}}}"
        text += f"\n  along {answer.along(verdict.witness or {})} the cost is larger by the factor {factor}"
    head = f"{verdict.claim}" + (f"  ({', '.join(about)})" if about else "")
    return Text.assemble((head, ""), "\n  ", (text, ""))
