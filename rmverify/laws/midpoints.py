"""Averages over the midpoints of a step: Gauss-Legendre in each, with as many nodes as the score's pole asks for."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from rmverify.laws.conditional import UNIT, column
from rmverify.plans import Footprint, Stage
from rmverify.readings.affine import Transition, read
from rmverify.readings.balls import legendre
from rmverify.targets.checks import Array
from rmverify.targets.estimated import EstimatedModes

MOST_NODES = 512
MOST_POINTS = 20_000
LEAST_NODES = 6  # in one midpoint


def rule(foot: Footprint, x: Any, w: Any, number: Any = np.asarray) -> tuple[Any, Any]:
    """The rule (x, w) of [0, 1] in every midpoint of a step, tensored: nodes (A, Q) inside the strata, weights (Q,).

    `number` lifts arrays of floats to the number type of x.
    """
    if len(x) ** foot.alphas > MOST_POINTS:
        raise ValueError(
            f"exact averages over {foot.alphas} strata need {len(x)}^{foot.alphas} points, beyond {MOST_POINTS}; "
            "give the midpoints (alphas=) or use fewer strata"
        )
    grid = np.meshgrid(*[x] * foot.alphas, indexing="ij")
    weights = np.meshgrid(*[w] * foot.alphas, indexing="ij")
    stratum, strata = number(foot.stratum).reshape(-1, 1), number(foot.strata).reshape(-1, 1)
    alphas = (np.stack([g.ravel() for g in grid]) + stratum) / strata
    return alphas, np.prod([g.ravel() for g in weights], axis=0)


@lru_cache
def unit_rule(nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre on [0, 1], rounded once: numpy's own rule is off by 1e-13 near the ends at a hundred nodes."""
    x, w = legendre(nodes)
    return x.astype(float), w.astype(float)


def averaged(stage: Stage, modes: Any, t: Any, h: Any, nodes: int) -> tuple[Transition, Array]:
    """The step maps at the nodes of the rule, entries (steps, Q, modes), and its weights (Q,)."""
    alphas, weights = rule(stage.footprint, *unit_rule(nodes))
    rows = np.broadcast_to(alphas[:, None, :, None], (alphas.shape[0], len(t), alphas.shape[1], 1))
    return read(stage.scheme, modes, t, h, rows), weights


def entry_averages(stage: Stage, modes: Any, t: Any, h: Any, nodes: int) -> Array:
    """The averages of A, A^2, b and b^2 over the rule."""
    step, weights = averaged(stage, modes, t, h, nodes)
    flat = [entry for row in step.linear for entry in row if np.ndim(entry)] + [e for e in step.shift if np.ndim(e)]
    parts = [np.broadcast_to(e, np.broadcast_shapes(np.shape(e), (1, len(weights), 1))) for e in flat]
    return np.concatenate([np.einsum("nqk,q->nk", e**p, weights).ravel() for e in parts for p in (1, 2)])


def node_count(
    stage: Stage, modes: Any, averages: Any = entry_averages, settled: float = 16 * UNIT
) -> tuple[int, float]:
    """A node count at which the averages of A and A^2 do not change any more, and the change that is left.

    A pole of the score at v(t - ah) = 0 comes close where h is close to t; the count is doubled until the averages
    at the steps with the largest h/t agree to rounding. A bias narrower in t than the nodes are apart goes unseen.
    """
    t, h = stage.steps_
    biased = isinstance(modes, EstimatedModes)  # its bias may be rough anywhere: every step counts, with more nodes
    if not biased:
        worst = np.unique([np.argmax(h / np.maximum(t, 1e-300)), np.argmax(h), 0, len(t) - 1])
        t, h = t[worst], h[worst]
    t, h = column(t), column(h)

    nodes = 16 if biased and stage.footprint.alphas == 1 else LEAST_NODES
    before, change = averages(stage, modes, t, h, nodes), math.inf
    while True:
        nodes = nodes * 3 // 2
        try:
            after = averages(stage, modes, t, h, nodes)
        except ValueError:
            return nodes * 2 // 3, change
        change = float(np.max(np.abs(after - before) / np.maximum(np.abs(after), 1e-3)))
        if change < settled or nodes > MOST_NODES:
            return nodes, change
        before = after
