"""Rounds to accuracy of other parallel samplers, on the same target, to the same accuracy, from the same start.

The parallel plan that this package is about cuts [0, T] into steps and lets each converge before the next begins.
Others let slices overlap (Zhou and Sugiyama), sweep over all of them (SRDS), or leave the diffusion and run Langevin
steps on the target itself (Anari, Chewi and Vuong). How long their slices, cells and steps are follows formulas with
constants 1; how often they are gone over is searched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rmverify import schemes
from rmverify.divergences import tv
from rmverify.laws import output_law
from rmverify.numbers.checks import number
from rmverify.numbers.values import Value
from rmverify.plans import Correct, Plan, Predict, parallel
from rmverify.schemes.contract import Unstable
from rmverify.studies.search import Search
from rmverify.studies.study import Record
from rmverify.targets import Gaussian

__all__ = ["PLANS", "Row", "rounds_to"]

PLANS = ("slices", "srds", "langevin", "underdamped")
INNER = 2
"""Picard rounds of a visit to a slice: more of them never pay; with one it is Picard's iteration over all of [0, T]."""
SWEEPS = (1, 2, 3)
MOST_FINE = 2_000_000
"""Fine steps of SRDS."""
_MOST_VISITS, _MOST_PICARD = 64, 40


@dataclass(frozen=True, repr=False)
class Row(Record):
    """The least rounds with TV(output, target) <= eps on N(0, I/L) from N(0, I), and what was found with one less.

    ===========  ==================================  ========================  =====================  =================
    plan         outer                               cells                     sweeps                 one less of
    ===========  ==================================  ========================  =====================  =================
    slices       slices no longer than ln(1+1/L)     in each, of eps/sqrt(d)   visits to each         visits
    srds         blocks, sqrt(N)                     fine steps of a block     sweeps of parareal     blocks
    langevin     steps of length 1/L                 in each, of eps/sqrt(d)   Picard rounds          steps
    underdamped  steps of length 1/sqrt(L)           the same                  Picard rounds          steps
    ===========  ==================================  ========================  =====================  =================

    `rounds` of "srds" counts its blocks as going on as soon as they can, `unpipelined` sweep after sweep. `theorem`:
    of "srds" N, after which it is exact; of "langevin" the N K of Theorem 13 of its paper. `status`: "found"; "beyond
    max_steps"; "cannot tell".
    """

    plan: str
    dim: int
    smoothness: float
    accuracy: float
    horizon: float
    early_stop: float
    outer: int | None
    cells: int | None
    sweeps: int | None
    rounds: int | None
    unpipelined: int | None
    evaluations: int | None
    value: Value | None
    before: Value | None
    status: str
    theorem: int | None

    brief = ("plan", "dim", "accuracy", "outer", "cells", "sweeps", "rounds", "evaluations", "value", "status")


def rounds_to(plan: str, dim: int, smoothness: float, accuracy: float, *, max_steps: int = MOST_FINE) -> Row:
    """The least rounds of score evaluations with which one of these samplers reaches the accuracy in total variation.

    Parameters
    ----------
    plan : {"slices", "srds", "langevin", "underdamped"}
    dim : int
    smoothness : float >= 1
        L: the target is N(0, I/L); of "slices" and "srds" it is q_delta, delta and the horizon as the parallel plan
        has them.
    accuracy : float in (0, 1)
    max_steps : int
        The most fine steps of SRDS.

    Examples
    --------
    >>> row = rounds_to("slices", 1000, 4.0, 0.1)
    >>> row.rounds, row.value <= 0.1
    (158, True)
    """
    if plan not in PLANS:
        raise ValueError(f"plan: expected one of {', '.join(PLANS)}, got {plan!r}")
    L = number("smoothness", smoothness, least=1)
    whole = parallel(dim, L, accuracy, rounds=0, strata=1, cells=1)
    target = Gaussian.isotropic(1 / L, dim)
    diffuses = plan in ("slices", "srds")
    levels = (whole.start, whole.end) if diffuses else (0.0, 0.0)
    search: dict[str, Callable[..., dict[str, Any]]] = {
        "slices": _slices, "srds": partial(_srds, most=min(max_steps, MOST_FINE)), "langevin": _langevin,
        "underdamped": partial(_langevin, kinetic=True),
    }  # fmt: skip
    found = search[plan](target, L, accuracy, *levels)
    names = "outer", "cells", "sweeps", "rounds", "unpipelined", "evaluations", "value", "before", "theorem"
    blank: dict[str, Any] = dict.fromkeys(names)
    return Row(plan=plan, dim=dim, smoothness=L, accuracy=accuracy, horizon=levels[0], early_stop=levels[1],
               **(blank | found))  # fmt: skip


def _told(value: Value, before: Value | None, accuracy: float) -> str:
    return "found" if value.upper <= accuracy and (before is None or before.lower > accuracy) else "cannot tell"


def _off(make: Callable[[int], Plan], target: Gaussian, count: int) -> Value | None:
    """The total variation of a plan; None where its law overflows."""
    plan = make(count)
    try:
        return tv(output_law(plan, target), target.at(plan.end))
    except Unstable:
        return None


def _slices(target: Gaussian, L: float, accuracy: float, top: float, delta: float) -> dict[str, Any]:
    """Visits are added until they are enough."""
    slices = math.ceil((top - delta) / math.log1p(1 / L))
    cells = max(1, math.ceil((top - delta) / slices * math.sqrt(target.dim) / accuracy))

    def make(visits: int) -> Plan:
        scheme = schemes.parallel_slices(slices=slices, cells=cells, rounds=visits, inner=INNER)
        return Plan([Predict(scheme, np.array([top, delta]))])

    before: Value | None = None
    for visits in range(1, _MOST_VISITS + 1):
        value = _off(make, target, visits)
        if value is not None and value.upper <= accuracy:
            break
        before = value
    if value is None:
        return {"status": "cannot tell"}
    plan = make(visits)
    return {"outer": slices, "cells": cells, "sweeps": visits, "rounds": plan.rounds, "evaluations": plan.evaluations,
            "value": value, "before": before, "status": _told(value, before, accuracy)}  # fmt: skip


def _srds(target: Gaussian, L: float, accuracy: float, top: float, delta: float, most: int) -> dict[str, Any]:
    """For each number of sweeps the fewest blocks."""
    best: dict[str, Any] = {"status": "beyond max_steps"}
    guess = max(2, math.isqrt(math.ceil(0.2 * math.sqrt(target.dim) / accuracy * top)))
    for sweeps in SWEEPS:

        def plan(blocks: int, sweeps: int = sweeps) -> Plan:
            scheme = schemes.parareal(blocks=blocks, fine=blocks, sweeps=sweeps, power=2)
            return Plan([Predict(scheme, np.array([top, delta]))])

        def cost(blocks: int, sweeps: int = sweeps) -> int:
            return blocks + sweeps * (blocks - 1)

        known = best.get("rounds")
        largest = math.isqrt(most) if known is None else min(math.isqrt(most), (known + sweeps - 1) // (1 + sweeps))
        search = Search(partial(_off, plan, target), accuracy, largest)
        found = search.least(min(guess, largest))
        if found.steps is None or found.value is None:
            continue
        blocks, whole = found.steps, plan(found.steps)
        guess = blocks
        if known is None or cost(blocks) < known:
            best = {"outer": blocks, "cells": blocks, "sweeps": sweeps, "rounds": cost(blocks),
                    "unpipelined": whole.rounds, "evaluations": whole.evaluations, "value": found.value,
                    "before": found.before, "status": found.status, "theorem": blocks**2}  # fmt: skip
    return best


def _langevin(
    target: Gaussian, L: float, accuracy: float, top: float, delta: float, kinetic: bool = False
) -> dict[str, Any]:
    """For each number of Picard rounds the fewest steps, until more Picard rounds save none."""
    d, time = target.dim, 1 / math.sqrt(L) if kinetic else 1 / L
    cells = math.ceil(math.sqrt(d) / accuracy)
    bound: dict[str, Any] = {"friction": 2 * math.sqrt(L)} if kinetic else {}
    make = schemes.parallel_underdamped if kinetic else schemes.parallel_langevin
    forget = math.ceil(math.log(L * math.sqrt(d) / accuracy))
    best: dict[str, Any] = {"status": "cannot tell"}
    fewest = 1
    for K in range(1, _MOST_PICARD):
        if "rounds" in best and K * fewest >= best["rounds"]:
            break

        def plan(steps: int, K: int = K) -> Plan:
            return Plan([Correct(make(cells=cells, rounds=K, **bound), 0.0, time, steps)])

        most = 4 * forget + 8 if "rounds" not in best else (best["rounds"] - 1) // K
        search = Search(partial(_off, plan, target), accuracy, most)
        found = search.least(min(forget, most))
        if found.steps is None or found.value is None:
            continue
        whole, fewest = plan(found.steps), max(1, found.steps // 2)
        best = {"outer": found.steps, "cells": cells, "sweeps": K, "rounds": whole.rounds,
                "evaluations": whole.evaluations, "value": found.value, "before": found.before,
                "status": found.status}  # fmt: skip
    return best | ({} if kinetic else {"theorem": _theorem(d, L, accuracy)})


def _theorem(d: int, L: float, accuracy: float) -> int:
    """N K of Theorem 13 [found: L h <= 0.1, M >= 7 max(kappa d/eps^2, kappa^2), K >= 2 + ln M] at kappa = 1, with
    e^{-h L N} KL(N(0, I), target) <= eps^2 [recalled]."""
    goal = accuracy**2
    cells = math.ceil(7 * max(d / goal, 1.0))
    start = d / 2 * (L - 1 - math.log(L))
    return math.ceil(max(1.0, math.log(start / goal) / 0.1)) * math.ceil(2 + math.log(cells))
