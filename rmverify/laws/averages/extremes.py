"""The range of the laws given the midpoints: which variances and means can be drawn at all.

An interval for a distance has to hold for paths that were never drawn, so it must be known how far any path can go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rmverify.laws.averages.bends import NotResolved
from rmverify.laws.averages.rules import rules
from rmverify.laws.conditional import initial, pieces, split_target, stage_map
from rmverify.laws.mixture import MixtureLaw
from rmverify.numbers.checks import Array
from rmverify.plans import Correct, Stage
from rmverify.readings.cells import transition
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Gaussian

__all__ = ["Range", "extremes"]

_NODES = (33, 17, 9, 5)  # of a panel of every draw, where a step has 1, 2, 3 or more of them
_MOST_POINTS = 1 << 13  # of a step
_WIDER = 64  # part of a range of one step by which it is taken to be wider than its grid shows


class Range(NamedTuple):
    """The least and the largest variance and mean of each mode over all that can be drawn."""

    low: Array
    high: Array
    left: Array
    right: Array

    def far(self, q: Gaussian) -> tuple[Gaussian, Gaussian]:
        """Two laws of which a sum over modes of functions that fall up to q and rise beyond it is nowhere more than the
        sum of both, as KL either way, Renyi's divergences and W_2^2 are."""
        off = np.maximum(np.abs(self.left - q.means), np.abs(self.right - q.means))
        return q.with_modes(self.high, q.means + off), q.with_modes(self.low, q.means + off)


def extremes(mixture: MixtureLaw) -> Range | None:
    """The range of the conditional laws; None where a step keeps a velocity, or draws too many numbers for a grid.

    Step by step, each at the worst of a grid of what it draws, on the panels between which it bends.
    """
    truth, modes = split_target(mixture.target)
    start = initial(truth, mixture.plan, mixture.start)
    found = Range(start.variances, start.variances, start.means, start.means)
    with np.errstate(all="ignore"):
        for stage in mixture.plan:
            if not stage.footprint.alphas:
                found = _stepped(found, *np.broadcast_arrays(*stage_map(stage, modes)[0].scalar))
                continue
            if velocity_variance(stage.scheme) is not None:
                return None
            try:
                found = _through(stage, modes, found)
            except (ValueError, NotResolved):
                return None
    return found if np.isfinite(found).all() else None


def _through(stage: Stage, modes: Any, found: Range) -> Range:
    many = len(stage) if isinstance(stage, Correct) else 1
    panels, foot = rules(stage, modes), stage.footprint
    stage = replace(stage, steps=1) if isinstance(stage, Correct) else stage
    nodes = _NODES[min(foot.alphas, len(_NODES)) - 1]
    count = panels.at(slice(0, 1), nodes, unit=_closed)[1].shape[1]
    if count > _MOST_POINTS:
        raise NotResolved("its range has too many points")
    for first, t, h in pieces(stage, count * modes.lam.size):
        alphas, _ = panels.at(slice(first, first + len(t)), nodes, unit=_closed)
        rows = np.broadcast_to(alphas[..., None], (len(alphas), len(t), count, 1))
        step = transition(stage.scheme, foot, modes, t, h, rows)
        shape = (len(t), count, modes.lam.size)
        for entries in zip(*(np.broadcast_to(x, shape) for x in step.scalar), strict=True):
            for _ in range(many):
                before, found = found, _stepped(found, *entries)
                if all(np.array_equal(x, y) for x, y in zip(before, found, strict=True)):
                    break
    return found


def _closed(nodes: int) -> tuple[Array, Array]:
    """Chebyshev points of [0, 1] with both ends."""
    return (1 - np.cos(np.pi * np.arange(nodes) / (nodes - 1))) / 2, np.ones(nodes)


def _stepped(found: Range, a: Array, b: Array, c: Array) -> Range:
    """The range after x' = a x + b + N(0, c) with any of the rows of a, b and c."""
    low, high = (a * a * found.low + c).min(axis=0), (a * a * found.high + c).max(axis=0)
    alone = (a * a * found.high + c).min(axis=0)  # of a law of known variance nothing is added where no row differs
    wider = np.where(low > 0, (high / np.maximum(alone, 1e-300)) ** (1 / _WIDER), 1.0)
    left = np.minimum(a * found.left, a * found.right) + b
    right = np.maximum(a * found.left, a * found.right) + b
    more = (np.ptp(left, axis=0) + np.ptp(right, axis=0)) / _WIDER
    return Range(low / wider, high * wider, left.min(axis=0) - more, right.max(axis=0) + more)
