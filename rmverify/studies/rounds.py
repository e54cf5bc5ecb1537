"""Rounds to accuracy: how many rounds of score evaluations, one after the other, total variation eps takes against d.

Everything is exact, as in `rmverify.studies.rates`. Of the parallel plan the steps N and the Picard rounds K are
searched, the least rounds over both; strata, cells and the corrector's rounds follow the theorem's formulas
(`plans.parallel`), with the constants 1. The sequential algorithm and DPUM stand beside it in two ways: as their
predictors alone, on as few uniform steps between the same levels as reach eps, and as the theorems' own plans, every
constant 1, counted only. Other parallel samplers are in `rmverify.studies.neighbours`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rmverify import schemes
from rmverify.divergences import tv
from rmverify.laws import output_law
from rmverify.numbers.checks import number
from rmverify.numbers.values import Value
from rmverify.plans import Plan, parallel, rounds_of
from rmverify.plans.schedules import MOST_STEPS
from rmverify.schemes.contract import parameters
from rmverify.studies import neighbours
from rmverify.studies.rates import steps_to
from rmverify.studies.search import halved
from rmverify.studies.study import Record, Records, settled, swept
from rmverify.targets import Gaussian

__all__ = ["Curve", "Row", "Table", "Trade", "fit", "rounds_to", "table", "trade"]

DIMS = tuple(10**k for k in range(1, 13))
PLANS = ("parallel", "sequential", "dpum")
STRATA, PICARD = (1, 4, 8, 16, 32, 64), (0, 1, 2, 3, 4)
_PREDICTORS = {"sequential": schemes.randomized_midpoint, "dpum": schemes.exponential_integrator}


@dataclass(frozen=True, repr=False)
class Row(Record):
    """The least rounds with TV(output, q_delta) <= eps on N(0, I/L), and what was found with one step less.

    `rounds` of "parallel" is N (K + 2) and the corrector's, the least over N and K: `before` is the value with one step
    less, or where a longer step would not contract with one Picard round less, None where there is neither. Of
    "sequential" and "dpum" it is that of the predictor alone. `theorem` counts the theorem's own plan. `status`:
    "found"; "beyond max_steps"; "cannot tell".
    """

    plan: str
    dim: int
    smoothness: float
    accuracy: float
    horizon: float
    early_stop: float
    steps: int | None
    picard: int | None
    strata: int | None
    cells: int | None
    corrector_rounds: int | None
    rounds: int | None
    evaluations: int | None
    value: Value | None
    before: Value | None
    status: str
    theorem: int

    brief = ("plan", "dim", "accuracy", "steps", "picard", "rounds", "evaluations", "value", "status", "theorem")


def rounds_to(plan: str, dim: int, smoothness: float, accuracy: float, *, max_steps: int = MOST_STEPS) -> Row:
    """The least rounds of score evaluations with which a plan reaches the accuracy in total variation.

    Parameters
    ----------
    plan : {"parallel", "sequential", "dpum"}
    dim : int
    smoothness : float >= 1
        L: the target is N(0, I/L).
    accuracy : float in (0, 1)
        eps. The horizon is ln(d/eps^2) and the early stop eps^2/(L^2 d), as the theorem has them.
    max_steps : int
        Where the search for a predictor's steps gives up.

    Examples
    --------
    >>> row = rounds_to("sequential", 1000, 4.0, 0.1)
    >>> row.rounds, row.value <= 0.1 < row.before
    (396, True)
    >>> rounds_to("parallel", 1000, 4.0, 0.1).rounds  # 70 steps without Picard rounds, and the corrector
    144
    """
    if plan not in PLANS:
        raise ValueError(f"plan: expected one of {', '.join(PLANS)}, got {plan!r}")
    target = Gaussian.isotropic(1 / number("smoothness", smoothness, least=1), dim)
    counted = rounds_of(plan, dim, smoothness, accuracy)
    whole = parallel(dim, smoothness, accuracy, rounds=0, strata=1, cells=1)
    top, delta = whole.start, whole.end
    shared: dict[str, Any] = {"plan": plan, "dim": dim, "smoothness": float(smoothness), "accuracy": accuracy,
                              "horizon": top, "early_stop": delta, "theorem": counted}  # fmt: skip
    if plan == "parallel":
        return Row(**shared, **_parallel(target, smoothness, accuracy))
    size = 0.9 * (dim / accuracy) ** (1 / 3) if plan == "sequential" else 0.4 * math.sqrt(dim) / accuracy
    found = steps_to(
        _PREDICTORS[plan], target, accuracy, horizon=top, early_stop=delta, max_steps=max_steps,
        guess=max(1, math.ceil(size * top)),
    )  # fmt: skip
    return Row(
        **shared, steps=found.steps, picard=None, strata=None, cells=None, corrector_rounds=None, rounds=found.rounds,
        evaluations=found.evaluations, value=found.value, before=found.before, status=found.status,
    )  # fmt: skip


def _parallel(target: Gaussian, L: float, accuracy: float) -> dict[str, Any]:
    """The least N (K + 2) + K_c: the fewest steps that contract with the least K that they take, then fewer Picard
    rounds on more steps, while these do not cost more rounds."""
    seen: dict[tuple[int, int], tuple[Plan, Value]] = {}

    def at(steps: int, K: int) -> tuple[Plan, Value]:
        if (steps, K) not in seen:
            c = _constant(target.dim, L, accuracy, steps)
            plan = parallel(target.dim, L, accuracy, rounds=K, predictor_constant=c)
            seen[steps, K] = plan, tv(output_law(plan, target), target.at(plan.end))
        return seen[steps, K]

    def reaches(steps: int, K: int) -> bool:
        return at(steps, K)[1].upper <= accuracy

    fewest = _count(target.dim, L, accuracy, L * math.log1p(1 / L))
    K = 0
    while not reaches(fewest, K):
        K += 1
    best = fewest, K
    for fewer in reversed(range(K)):
        low, high = fewest, (at(*best)[0].rounds - 1) // (fewer + 2)
        if high > low and reaches(high, fewer):
            high = halved(partial(reaches, K=fewer), low, high)
            if at(high, fewer)[0].rounds < at(*best)[0].rounds:
                best = high, fewer
    plan, value = at(*best)
    steps, K = best
    before = at(steps - 1, K)[1] if steps > fewest else at(steps, K - 1)[1] if K else None
    predictor, corrector = (parameters(stage.scheme) for stage in plan)
    told = before is None or before.lower > accuracy
    return {"steps": len(plan.stages[0]), "picard": K, "strata": predictor["strata"], "cells": corrector["cells"],
            "corrector_rounds": corrector["rounds"], "rounds": plan.rounds, "evaluations": plan.evaluations,
            "value": value, "before": before, "status": "found" if told else "cannot tell"}  # fmt: skip


def _count(dim: int, L: float, accuracy: float, c: float) -> int:
    plan = parallel(dim, L, accuracy, predictor_constant=c, strata=1, rounds=0, cells=1, corrector_rounds=1)
    return len(plan.stages[0])


def _constant(dim: int, L: float, accuracy: float, steps: int) -> float:
    """The least c of h = c/L with at most so many steps, which are the shortest then."""
    high = L * math.log1p(1 / L)
    low = high / 64
    while _count(dim, L, accuracy, low) <= steps:
        low /= 64
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (low, middle) if _count(dim, L, accuracy, middle) <= steps else (middle, high)
    return high


# --- what more rounds save in work ----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Trade(Record):
    """R strata and K Picard rounds a step: the smallest number of steps to TV <= eps, its rounds and its work.

    On N(0, I/4), T = 3, uniform steps to 0 without a corrector, started from q_T; the unconditional law. R = 1, K = 0
    is the sequential randomized midpoint.
    """

    strata: int
    picard: int
    dim: int
    accuracy: float
    steps: int | None
    rounds: int | None
    evaluations: int | None
    value: Value | None
    before: Value | None
    status: str


def trade(strata: int, picard: int, dim: int, accuracy: float, *, max_steps: int = MOST_STEPS) -> Trade:
    """One point of the trade-off between rounds and work.

    Examples
    --------
    >>> few, many = (trade(R, 1, 10_000, 0.1) for R in (1, 16))
    >>> few.rounds > many.rounds, few.evaluations < many.evaluations
    (True, True)
    """
    scheme = schemes.parallel_midpoint(strata=strata, rounds=picard)
    row = steps_to(scheme, Gaussian.isotropic(0.25, dim), accuracy, law="unconditional", max_steps=max_steps)
    return Trade(
        strata, picard, dim, accuracy, row.steps, row.rounds, row.evaluations, row.value, row.before, row.status
    )


def frontier(trades: Sequence[Trade]) -> list[Trade]:
    """Those that no other beats in rounds and work, by rounds."""
    found = [t for t in trades if t.rounds is not None and t.evaluations is not None]
    least: list[Trade] = []
    for t in sorted(found, key=lambda t: (t.rounds, t.evaluations)):
        if not least or (t.evaluations or 0) < (least[-1].evaluations or 0):
            least.append(t)
    return least


# --- logarithms or a power ------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Curve(Record):
    """Rounds against d: a ln^2 d + b ln d + c, and beside it C d^power, each fitted to relative deviations.

    `residual` and `power_residual` are the largest relative deviations; `slopes` the local powers of d between every
    fourth point: of a ln^2 d they fall like 2/ln d, of a power they stay. `squares` is the power of ln d between the
    first and the last third.
    """

    plan: str
    counted: str
    a: float
    b: float
    c: float
    residual: float
    power: float
    power_residual: float
    slopes: tuple[float, ...]
    squares: float

    brief = ("plan", "counted", "a", "b", "c", "residual", "power", "power_residual", "better")

    @property
    def better(self) -> str:
        """Which of the two is closer."""
        return "logarithms" if self.residual < self.power_residual else "power"


def fit(plan: str, counted: str, dims: Sequence[float], rounds: Sequence[float]) -> Curve:
    """Both curves, fitted.

    Examples
    --------
    >>> d = [10.0**k for k in range(1, 13)]
    >>> found = fit("parallel", "rounds", d, [2 * np.log(x) ** 2 + 3 for x in d])
    >>> round(found.a, 9), found.better, 1.5 < found.squares < 2
    (2.0, 'logarithms', True)
    """
    if len(dims) < 4:
        raise ValueError(f"dims: expected at least four to tell logarithms from a power, got {len(dims)}")
    x, y = np.log(np.asarray(dims, dtype=float)), np.asarray(rounds, dtype=float)
    a, b, c = np.polyfit(x, y, 2, w=1 / y)
    power, constant = np.polyfit(x, np.log(y), 1)
    third = max(1, len(x) // 3)
    ends = [np.exp(np.log(z[k]).mean()) for z in (x, y) for k in (slice(third), slice(-third, None))]
    apart = range(0, len(x) - 3, 3)
    return Curve(
        plan, counted, float(a), float(b), float(c),
        float(np.abs((a * x**2 + b * x + c) / y - 1).max()), float(power),
        float(np.abs(np.exp(constant + power * x) / y - 1).max()),
        tuple(float(np.log(y[i + 3] / y[i]) / (x[i + 3] - x[i])) for i in apart),
        float(np.log(ends[3] / ends[2]) / np.log(ends[1] / ends[0])),
    )  # fmt: skip


# --- the table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Table(Records):
    """The rows against d, the curves fitted to them, the trade-off between rounds and work, and other samplers."""

    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]
    trades: tuple[Trade, ...]
    others: tuple[neighbours.Row, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON; the curves are "laws" there."""
        best = frontier(self.trades)
        return {
            "rows": [row.as_dict() for row in self.rows],
            "laws": [curve.as_dict() | {"better": curve.better} for curve in self.curves],
            "trades": [t.as_dict() | {"best": t in best} for t in self.trades],
            "others": [row.as_dict() for row in self.others],
        }


def table(
    *,
    dims: Sequence[int] = DIMS,
    smoothness: float = 4.0,
    accuracy: float = 0.1,
    trade_dim: int = 10_000,
    strata: Sequence[int] = STRATA,
    picard: Sequence[int] = PICARD,
    max_steps: int = MOST_STEPS,
    **sweeping: Any,
) -> Table:
    """Rounds against d for the three plans and for other samplers, and the trade-off at one dimension.

    Parameters
    ----------
    dims : sequence of int
    smoothness, accuracy : float
        L and eps.
    trade_dim : int
        d of the trade-off.
    strata, picard : sequence of int
        R and K of the trade-off.
    max_steps : int
        Where a predictor's search gives up, and its row says so.
    **sweeping
        `workers`, `dask`, `store`, `executor`, `progress` of `rmverify.studies.sweep.run`.

    Examples
    --------
    >>> found = table(dims=[2, 4, 8, 16], trade_dim=10, strata=[1, 4], picard=[0])
    >>> [curve.plan for curve in found.curves if curve.counted == "rounds"]
    ['parallel', 'sequential', 'dpum', 'slices', 'srds', 'langevin', 'underdamped']
    """
    shared = {"accuracy": accuracy, "max_steps": max_steps}
    asked = {
        room: [
            {"plan": plan, "dim": int(d), "smoothness": smoothness, **shared}
            for d in sorted(dims, reverse=True) for plan in plans
        ]
        for room, plans in (("rounds", PLANS), ("neighbours", neighbours.PLANS))
    }  # fmt: skip
    found, others, trades = swept({
        **{f"{room}.rounds_to": each for room, each in asked.items()},
        "rounds.trade": [{"strata": R, "picard": K, "dim": trade_dim, **shared} for R in strata for K in picard],
    }, **sweeping)  # fmt: skip
    rows = sorted(found, key=lambda row: (PLANS.index(row.plan), row.dim))
    curves = []
    for plan in PLANS:
        of = [row for row in rows if row.plan == plan]
        for counted, points in (("rounds", settled(of)), ("theorem", of)):
            if len(points) >= 4:
                curves.append(fit(plan, counted, [r.dim for r in points], [float(getattr(r, counted)) for r in points]))
    others = tuple(sorted(others, key=lambda row: (neighbours.PLANS.index(row.plan), row.dim)))
    for plan in neighbours.PLANS:
        known = [(row.dim, row.rounds) for row in others if row.plan == plan and row.status == "found" and row.rounds]
        if len(known) >= 4:
            curves.append(fit(plan, "rounds", *zip(*known, strict=True)))
    return Table(tuple(rows), tuple(curves), trades, others)
