"""Gaussian scale mixtures: the unconditional law of x-only plans on centred isotropic targets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.laws.conditional import UNIT, pieces, stage_map
from rmverify.laws.midpoints import MOST_POINTS, averaged, node_count
from rmverify.plans import Plan, Stage
from rmverify.targets.checks import Array

NODES = 24


class Unresolved(ArithmeticError):
    """A scale mixture whose midpoints spread too far, or have too many strata, for a Gauss rule of few nodes."""


@dataclass(frozen=True)
class ScaleMixture:
    """The law int N(0, s^2 I_dim) dP(s^2), P a Gauss rule: variances s^2, shape (m,), and weights, shape (m,)."""

    variances: Array
    weights: Array
    dim: int
    rounding: float


def scale_mixture(plan: Plan, modes: Any, variance: float, dim: int, rounding: float, count: int) -> ScaleMixture:
    """P propagated as a Gauss rule in ln s^2: tensored with the rule in alpha, compressed after every step."""
    s2, weights = np.array([variance]), np.ones(1)
    for stage in plan:
        if not stage.footprint.alphas:
            (((a,),), _, ((c,),)), _ = stage_map(stage, modes)
            s2 = (np.ravel(a) ** 2) * s2 + np.ravel(c)
            continue
        nodes = _resolving(stage, modes, node_count(stage, modes)[0], dim, count)
        for _, t, h in pieces(stage, nodes):
            steps, rule = averaged(stage, modes, t, h, nodes)
            shape = (len(t), rule.size)
            slope = np.broadcast_to(steps.linear[0][0], (*shape, 1))[..., 0] ** 2
            noise = np.broadcast_to(np.asarray(steps.noise[0][0], float), (*shape, 1))[..., 0]
            for n in range(len(t)):
                spread = (slope[n][:, None] * s2 + noise[n][:, None]).ravel()
                s2, weights = _compress(spread, np.outer(rule, weights).ravel(), count)
    return ScaleMixture(s2, weights, dim, rounding)


def _resolving(stage: Stage, modes: Any, nodes: int, dim: int, count: int) -> int:
    """Nodes in alpha, at most `count`, for how far one step spreads ln s^2 on the scale sqrt(2/d) of the radius; they
    grow with `count`, so that doubling it tests them too."""
    needed = float(count)
    widest = 0.0
    for _, t, h in pieces(stage, nodes**stage.footprint.alphas):
        steps, rule = averaged(stage, modes, t, h, nodes)
        slope = np.abs(np.broadcast_to(steps.linear[0][0], (len(t), rule.size, 1)))
        if slope.min() == 0:
            break
        widest = max(widest, float(2 * np.log(slope.max(axis=1) / slope.min(axis=1)).max()))
    else:
        needed = min(needed, count / NODES * (6 + 1.5 * widest * math.sqrt(dim / 2)))
    result = max(nodes, math.ceil(needed))
    if result**stage.footprint.alphas > MOST_POINTS:
        raise Unresolved
    return result


def _compress(s2: Array, weights: Array, count: int) -> tuple[Array, Array]:
    """The Gauss rule with `count` nodes of a discrete measure, in the variable ln s^2, by Lanczos."""
    if s2.size <= count:
        return s2, weights
    logs = np.log(s2)
    center = float(weights @ logs)
    u = logs - center
    width = float(np.abs(u).max())
    if width < 4 * UNIT:
        return np.array([math.exp(center)]), np.ones(1)
    u = u / width
    basis = np.zeros((count, u.size))
    alpha, beta = np.zeros(count), np.zeros(count)
    q, previous = np.sqrt(weights), np.zeros(u.size)
    size = count
    for k in range(count):
        basis[k] = q
        r = u * q - (beta[k - 1] * previous if k else 0)
        alpha[k] = float(q @ r)
        r = r - alpha[k] * q
        r = r - basis[: k + 1].T @ (basis[: k + 1] @ r)
        beta[k] = float(np.linalg.norm(r))
        if beta[k] < 1e-14:
            size = k + 1
            break
        previous, q = q, r / beta[k]
    jacobi = np.diag(alpha[:size]) + np.diag(beta[: size - 1], 1) + np.diag(beta[: size - 1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    rule = vectors[0] ** 2
    keep = rule > 1e-40
    return np.exp(center + width * nodes[keep]), rule[keep] / rule[keep].sum()
