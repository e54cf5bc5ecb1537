"""Rounds against the dimension, the curves fitted to them, and the trade-off between rounds and work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rmverify.studies import neighbours
from rmverify.studies.rounds import PLANS, Curve, Row, Table, Trade, frontier
from rmverify.views.common import Section, View, drawn, number, short

_NAMES = {
    "parallel": "parallel (D2)", "sequential": "sequential (D1)", "dpum": "DPUM (D0)", "slices": "slices (G2)",
    "srds": "SRDS (G1)", "langevin": "parallel LMC (G4)", "underdamped": "parallel ULMC (G4)",
}  # fmt: skip


def refuted(found: Table) -> bool:
    """Whether the parallel plan's rounds are not like logarithms."""
    return next(c for c in found.curves if c.plan == "parallel").better != "logarithms"


def unsettled(found: Table) -> list[Row]:
    """What the question cannot do without."""
    return [row for row in found.rows if row.plan == "parallel" and row.status != "found"]


def undecided(found: Table) -> list[Row | Trade | neighbours.Row]:
    """What has no number where there should be one."""
    every: list[Row | Trade | neighbours.Row] = [*found.rows, *found.trades, *found.others]
    return [r for r in every if r.status != "found"]


def _large(value: int | None) -> str:
    return "-" if value is None else str(value) if value < 10**7 else number(value)


def _against(found: Table) -> tuple[list[str], list[list[str]]]:
    """One line for every dimension."""
    rows = {(row.plan, row.dim): row for row in found.rows}
    lines = []
    for dim in sorted({row.dim for row in found.rows}):
        p, s, d = (rows[plan, dim] for plan in PLANS)
        counts = (
            _large(n) for n in (p.steps, p.picard, p.strata, p.cells, p.corrector_rounds, p.rounds, p.evaluations)
        )
        theirs = (_large(r.theorem) for r in (p, s, d))
        lines.append([number(dim), f"{p.horizon:.1f}", *counts, short(p.value), _beyond(s), _beyond(d), *theirs])
    columns = ["d", "T", "N", "K", "R", "M", "K_c", "rounds", "evaluations", "TV", "sequential", "DPUM",
               "its theorem's", "sequential's", "DPUM's"]  # fmt: skip
    return columns, lines


def _others(found: Table) -> tuple[list[str], list[list[str]]]:
    """One line for every dimension: of each sampler its rounds, and how they come about."""
    rows = {(row.plan, row.dim): row for row in found.others}
    lines = []
    for dim in sorted({row.dim for row in found.others}):
        line = [number(dim)]
        for plan in neighbours.PLANS:
            row = rows[plan, dim]
            line += [_beyond(row), _large(row.outer), _large(row.sweeps), _large(row.evaluations)]
        lines.append([*line, _large(rows["srds", dim].unpipelined), _large(rows["langevin", dim].theorem)])
    columns = ["d", "slices", "S", "J", "its work", "SRDS", "sqrt N", "K", "its work ", "LMC", "N", "K ", "its work  ",
               "ULMC", "N ", "K  ", "its work   ", "SRDS unpipelined", "LMC's theorem"]  # fmt: skip
    return columns, lines


def _beyond(row: Row | neighbours.Row) -> str:
    return _large(row.rounds) if row.status == "found" else row.status


_CURVES: Mapping[str, Callable[[Curve], str]] = {
    "plan": lambda c: _NAMES[c.plan],
    "rounds": lambda c: {"rounds": "found here", "theorem": "the theorem's plan"}[c.counted],
    "a ln^2 d + b ln d + c": lambda c: f"{c.a:.3g} ln^2 d {c.b:+.3g} ln d {c.c:+.3g}",
    "off by": lambda c: f"{c.residual:.1%}",
    "d^p": lambda c: f"d^{c.power:.3f}",
    "off by ": lambda c: f"{c.power_residual:.1%}",
    "local powers of d": lambda c: " ".join(f"{slope:.3f}" for slope in c.slopes),
    "power of ln d": lambda c: f"{c.squares:.2f}",
    "closer": lambda c: c.better,
}

_SETTING = (
    "Rounds of score evaluations, one after the other, to TV <= eps = {eps:g} on N(0, I/L), L = {L:g}, started from"
    " N(0, I), exactly. parallel: N steps of R strata and K Picard rounds, then one corrector of M cells and K_c"
    " rounds; the least N (K + 2) + K_c over N and K, the rest by the theorem's formulas with constants 1. sequential,"
    " DPUM: their predictors alone, the fewest uniform steps between the same levels (two rounds a step, and one). The"
    " last three columns count the theorems' own plans, every constant 1."
)
_SAYS = (
    "Where rounds grow like ln^2 d the local powers of d fall like 2/ln d, and the power of ln d is 2 at the most;"
    " where they grow like a power they stay. D2 says Õ(log^2 d) [abstract], Õ(L log^2(L d/eps)) [quoted]; D1 d^{5/12}"
    " [abstract] and D0 sqrt(d) [quoted] are about steps."
)
_OTHERS = (
    "Other parallel samplers, to the same accuracy from N(0, I), the fewest rounds. slices (Zhou, Sugiyama, on the"
    " probability flow): S slices no longer than ln(1 + 1/L), J visits of 2 Picard rounds each along anti-diagonals, S"
    " + 2 (S + J - 1) rounds. SRDS (Selvam, Merchant, Ermon): parareal of DDIM on sqrt(N) blocks of sqrt(N) steps, t"
    " quadratic in the step, K sweeps, blocks going on as soon as they can. LMC, ULMC (Anari, Chewi, Vuong): Langevin"
    " on the target itself, N steps of 1/L, and of 1/sqrt(L) at friction 2 sqrt(L), K Picard rounds each; cells of"
    " eps/sqrt(d) steps in slices, LMC and ULMC. No corrector in any."
)
_TRADING = (
    "Rounds against work at d = {d}: R strata and K rounds a step, the smallest number of steps N to TV <= eps (T = 3,"
    " uniform steps to 0, variance 1/4, started from q_T, the unconditional law). * = no other has fewer rounds and"
    " less work; R = 1, K = 0 is the sequential randomized midpoint."
)


_DROPPED = (
    "its work   ",
    "its work  ",
    "its work ",
    "its work",
    "LMC's theorem",
    "SRDS unpipelined",
    "K  ",
    "N ",
    "K ",
    "N",
)


def _sections(found: Table) -> list[Section]:
    best, left = frontier(found.trades), undecided(found)
    trades: Mapping[str, Callable[[Trade], str]] = {
        "R": lambda t: str(t.strata),
        "K": lambda t: str(t.picard),
        "N": lambda t: _large(t.steps),
        "rounds": lambda t: _large(t.rounds),
        "evaluations": lambda t: "-" if t.evaluations is None else str(t.evaluations),
        "TV": lambda t: short(t.value),
        "best": lambda t: "*" if t in best else "",
        "status": lambda t: "" if t.status == "found" else t.status,
    }
    open_ = f"Entries that are undecided or exceed --max-steps, left out of the fits: {len(left)}."
    return [
        Section(*_against(found), drop=("T", "K_c", "M", "R", "evaluations")),
        *((Section(*_others(found), title=_OTHERS, drop=_DROPPED),) if found.others else ()),
        Section.of(_CURVES, found.curves, title="Logarithms or a power", remarks=[_SAYS], heads=("plan",),
                   drop=("local powers of d", "power of ln d")),
        Section.of(trades, found.trades, title=_TRADING.format(d=number(found.trades[0].dim)), papers=False,
                   remarks=[open_] if left else ()),
    ]  # fmt: skip


def _picture(found: Table, suffix: str) -> bytes:
    """Rounds against d with the fitted curves, and work against rounds, as PNG, SVG or PDF."""
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure = Figure(figsize=(12, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, plan in enumerate([*PLANS, *dict.fromkeys(row.plan for row in found.others)]):
        every: list[Any] = [*found.rows, *found.others]
        rows = [row for row in every if row.plan == plan]
        done = [row for row in rows if row.rounds is not None and row.status == "found"]
        left.loglog([r.dim for r in done], [r.rounds for r in done], "o", color=f"C{k}", label=_NAMES[plan])
        if plan in PLANS:
            left.loglog([r.dim for r in rows], [r.theorem for r in rows], "x", color=f"C{k}", alpha=0.6)
        for c in found.curves:
            if c.plan == plan:
                of = done if c.counted == "rounds" else rows
                d = np.geomspace(min(r.dim for r in of), max(r.dim for r in of), 100)
                x = np.log(d)
                y = c.a * x**2 + c.b * x + c.c if c.better == "logarithms" else None
                if y is None:
                    ends = [(r.dim, float(getattr(r, c.counted) or 0)) for r in of]
                    constant = np.mean([np.log(n) - c.power * np.log(z) for z, n in ends])
                    y = np.exp(constant + c.power * x)
                left.loglog(d, y, "-" if c.counted == "rounds" else ":", color=f"C{k}", alpha=0.7)
    title = "dots: found here; crosses: the theorems' plans;\nlines: logarithms or a power, the closer one"
    left.set(xlabel="dimension $d$", ylabel=r"rounds to TV $\leq\varepsilon$", title=title)
    left.legend()
    left.grid(alpha=0.3)
    for k, K in enumerate(sorted({t.picard for t in found.trades})):
        line = [t for t in found.trades if t.picard == K and t.rounds is not None]
        right.loglog([t.rounds for t in line], [t.evaluations for t in line], "o-", color=f"C{k}", label=f"K = {K}")
        for t in line:
            place = t.rounds or 1, t.evaluations or 1
            right.annotate(f"{t.strata}", place, xytext=(3, 3), textcoords="offset points", fontsize="x-small")
    best = frontier(found.trades)
    right.loglog([t.rounds for t in best], [t.evaluations for t in best], "k--", alpha=0.5, label="no other is better")
    title = f"R strata (written beside) and K rounds a step,\nd = {number(found.trades[0].dim)}"
    right.set(xlabel="rounds", ylabel="evaluations", title=title)
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    right.legend()
    right.grid(alpha=0.3)
    return drawn(figure, suffix)


VIEW = View(
    Row, _sections, lambda found: _SETTING.format(eps=found.rows[0].accuracy, L=found.rows[0].smoothness), _picture,
    refuted, unsettled,
)  # fmt: skip
