r"""A law on the line pushed through one step, whatever the step: panels for it, and rules that are fine enough.

Whoever adds a kind of step says what it does to a density, and nothing about panels or rules.

A step is an `Averaged`: the logarithms of the density after it, relative to the process, by rules of given counts. Each
rule is compared with one of more nodes, and raised until the law does not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rmverify.laws.averages.bends import NotResolved
from rmverify.laws.line.given import reach
from rmverify.laws.line.piecewise import Panels, interpolated, live, log_mean
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import POINTS, normal_rule
from rmverify.targets import Factor

__all__ = ["Averaged", "Counts", "Level", "pushed"]

LOCAL = 1e-14  # of the L1 distance: what a panel, and a rule over midpoints or noises, may miss in a step
ONCE = 1e-15  # rounding of a step, on the same scale
_FAINT = -48.0  # ln of a density, in its own units, beyond which nothing is left of it
_MARGIN = 10.0  # standard deviations of a noise
_SCAN = 129  # points on which the range is found, at least
_TOLERATED = 1e-8  # of a rule, where it can have no more nodes or rounding is all that is left
_SEVERAL = 1e-11  # as LOCAL, of the rule over several midpoints
_BLOCK = 1 << 19  # numbers at once
_MOST = 200  # nodes of a rule over a noise or a velocity

Logs = Callable[[Array], Array]


class Level(NamedTuple):
    """A law between steps: l relative to q_t, and its error."""

    panels: Panels
    t: float
    error: float


class Counts(NamedTuple):
    """Nodes of the rules over a midpoint, over a noise, over what a noise hides of a velocity, and over velocities."""

    midpoint: int = 4
    noise: int = 6
    hidden: int = 6
    velocity: int = 12

    def more(self, name: str, alphas: int = 0) -> Counts:
        """Half as many again in one rule; one more in each of several midpoints, which cost their product."""
        count = getattr(self, name)
        return self._replace(**{name: count + 1 if name == "midpoint" and alphas > 1 else count * 3 // 2})


class Averaged(NamedTuple):
    """The logarithms l_v after a step, their weights, where maps (Q, n) take points, the deviation of the noise about
    these, the rules that made them, the mass of the law before, and what of it is lost."""

    logs: Logs
    weights: Array
    arrived: Array
    deviation: float
    rules: tuple[str, ...]
    mass: float
    lost: float


def pushed(
    averaged: Callable[[Counts], Averaged], counts: Counts, log_q: Logs, span: tuple[float, float], *, alphas: int = 0,
    across: Callable[[Array, int], Array] = lambda values, count: values, tolerance: float = LOCAL,
) -> tuple[Panels, float, Counts]:  # fmt: skip
    """The law after a step on panels, what it misses, and counts with which it does not change any more.

    `across` takes values (n, V) at the nodes of one rule over velocities to those of another.
    """
    now = averaged(counts)
    margin = _MARGIN * now.deviation
    low, high = now.arrived.min() - margin, now.arrived.max() + margin
    scan = np.linspace(min(low, span[0]), max(high, span[1]), _SCAN)
    y = np.unique(np.concatenate([now.arrived[len(now.arrived) // 2], [low, high], scan]))
    l = log_mean(now.logs(y), np.log(now.weights), 1)
    low, high = live(y, log_q(y) + np.maximum(l, 0) + math.log(y[-1] - y[0]), _FAINT)
    before = dict.fromkeys(now.rules, math.inf)
    while True:
        finer = {}
        for name in now.rules:
            try:
                finer[name] = averaged(counts.more(name, alphas))
            except (ValueError, NotResolved):
                if not before[name] <= _TOLERATED:
                    raise
        panels, unresolved = interpolated(now.logs, log_q, low, high, now.weights, tolerance, now.mass)
        y, cell = (part[:, :: POINTS // 4].ravel() for part in panels.nodes)
        values = panels.values[:, :: POINTS // 4].reshape(y.size, -1)
        changes, raised = dict(before), counts
        for name, more in finer.items():
            old, new = across(values, more.weights.size), more.logs(y)
            density = np.exp(np.maximum(np.maximum(new, old), 0) + log_q(y)[:, None]) * more.weights
            changes[name] = float((POINTS / 4 * cell[:, None] * density * np.abs(new - old)).sum())
            enough = max(tolerance, _SEVERAL) if name == "midpoint" and alphas > 1 else tolerance
            if changes[name] > enough and not before[name] / 4 < changes[name] < _TOLERATED:
                raised = raised._replace(**{name: getattr(counts.more(name, alphas), name)})
        if raised == counts:
            return panels, sum(changes.values()) + unresolved + now.lost + ONCE, counts
        counts, before = raised, changes
        now = averaged(counts)


def ends(law: Factor) -> tuple[float, float]:
    """Beyond which nothing is left of a law."""
    return reach(law, -_FAINT)


def table(panels: Panels, log_p: Logs) -> tuple[Array, Array]:
    """Points on which to tabulate maps, beyond the panels too, and the mass about each."""
    (x, w), breaks = (part[:, 1::3] for part in panels.nodes), panels.breaks
    beyond = (breaks[-1] - breaks[0]) * np.arange(1, 9) / 16
    x, mass = x.ravel(), (w * np.exp(log_p(x)) * POINTS / 5).ravel()
    grid = np.concatenate([breaks[0] - beyond[::-1], x, breaks[-1] + beyond])
    return grid, np.concatenate([np.zeros(8), mass, np.zeros(8)])


def in_blocks(logs: Logs, size: int) -> Logs:
    """The same, on so few points at once that `size` numbers for each take no more than a block."""
    block = max(1, _BLOCK // size)
    return lambda y: np.concatenate([logs(y[k : k + block]) for k in range(0, y.size, block)])


def noise_rule(count: int) -> tuple[Array, Array]:
    """The Gauss rule of N(0, 1), refused where it would have too many nodes."""
    if count > _MOST:
        raise ValueError(
            f"plan: the average over a noise or a velocity needs more than {_MOST} nodes; use rmverify.sample, or "
            "fewer steps in the stage"
        )
    return normal_rule(count)
