r"""The law of u = ln(variance/the target's) as a Gauss rule, while u spreads no more than the log radius.

The rules in the midpoints of neighbouring steps are tensored and compressed by Lanczos, in a balanced tree.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from rmverify.laws.scale.stage import BLOCK, MOST_STEP_NODES, ScaleStage, Walker, moment_nodes, through
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import from_moments, gauss
from rmverify.numbers.rounding import UNIT

__all__ = ["GaussRule", "ScaleMixture", "grouped"]

_NARROW = 0.1  # of sqrt(2/d): six nodes are off by (0.1)^12 / 12! of what varies on that scale


@dataclass(frozen=True)
class ScaleMixture:
    """The law int N(0, s^2 I_dim) dP(s^2), P a Gauss rule: variances s^2, shape (m,), and weights, shape (m,).

    `logs` are ln(s^2/reference) to their own relative accuracy, where they are known better than the variances tell;
    `rounding` is their absolute error.
    """

    variances: Array
    weights: Array
    dim: int
    rounding: float
    reference: float | None = None
    logs: Array | None = None

    def __repr__(self) -> str:
        return f"ScaleMixture(dim={self.dim}, nodes={self.weights.size}, variance={self.weights @ self.variances:.6g})"


class GaussRule(Walker):
    """Nodes and weights of u, `count` of them at most, as the stages of a plan change them."""

    def __init__(self, u: Array, rounding: float, dim: int, count: int) -> None:
        self.u, self.weights, self.rounding = u, np.ones(1), rounding
        self.dim, self.count = dim, count

    def found(self, end: float) -> ScaleMixture:
        """The law, of a target of variance `end`."""
        keep = self.weights > 0
        u, weights = self.u[keep], self.weights[keep] / self.weights[keep].sum()
        return ScaleMixture(end * np.exp(u), weights, self.dim, self.rounding, end, u)

    def settled(self, stage: ScaleStage) -> None:
        eta, kappa, slip = stage.settled
        self.u, self.rounding = through(self.u, eta, kappa), self.rounding + float(slip[0])

    def velocity(self, stage: ScaleStage) -> None:
        y, each, error = stage.velocity_rule(self.u, moment_nodes(self.count))
        self._set(np.log1p(y).ravel(), (self.weights[:, None] * each).ravel())
        self.rounding += error

    def strata(self, stage: ScaleStage) -> None:
        self.require_finite(self.u)
        eta, weights, error = stage.strata_rules(self.dim, min(MOST_STEP_NODES, moment_nodes(self.count)))
        self._add(eta, weights)
        self.rounding += error

    def steps(self, stage: ScaleStage) -> None:
        self.require_finite(self.u)
        alphas, rule_weights = stage.rule(stage.resolving(self.u, self.dim, self.count))
        steps = stage.steps(alphas, rule_weights)
        self.rounding += steps.error
        size = max(1, (BLOCK << 3) // rule_weights.size)
        for n in range(0, len(stage), size):
            eta, kappa = steps.read(slice(n, n + size))
            self.require_finite(eta)
            self.rounding += 4 * UNIT * float(np.abs(eta).max(axis=1).sum())
            if kappa is None:
                self._add(*grouped(eta[..., 0], rule_weights, _NARROW * math.sqrt(2 / self.dim)))
                continue
            for each, noise in zip(eta[..., 0], kappa[..., 0], strict=True):
                image = through(self.u, each[:, None], noise[:, None]).ravel()
                self._set(image, np.outer(rule_weights, self.weights).ravel())

    def _set(self, u: Array, weights: Array) -> None:
        self.u, self.weights = _compress(u, weights, self.count)

    def _add(self, eta: Array, weights: Array) -> None:
        """Independent variables with a rule in each row (steps, Q)."""
        self.u, self.weights = _tensored(self.u, self.weights, *_tree(eta, weights, self.count), self.count)


def grouped(eta: Array, rule_weights: Array, width: float) -> tuple[Array, Array]:
    """Fewer rows with the same law of their sum, all but exactly: neighbours that spread less than `width` together
    become one Gauss rule of six nodes with the cumulants that they have together, up to the eleventh."""
    weights = np.broadcast_to(rule_weights, eta.shape)
    mean = (eta * weights).sum(axis=1)
    off = (eta - mean[:, None]) / width
    order = 2 * MOST_STEP_NODES - 1
    powers = itertools.accumulate([off] * order, np.multiply)
    moments = [np.einsum("nq,nq->n", power, weights) for power in powers]
    place = np.floor(np.cumsum(moments[1]) * 2).astype(int)
    edges = np.flatnonzero(np.diff(place, prepend=-1))
    if 2 * edges.size > len(eta) or eta.shape[1] < MOST_STEP_NODES:
        return eta, weights
    found = np.add.reduceat(from_moments(moments), edges, axis=1)
    try:
        nodes, together = gauss(found[1:], MOST_STEP_NODES)
    except np.linalg.LinAlgError:
        return eta, weights
    return np.add.reduceat(mean, edges)[:, None] + width * nodes, together


def _tree(eta: Array, rule_weights: Array, count: int) -> tuple[Array, Array]:
    """The rule of the sum of the rows of eta (steps, Q)."""
    u, weights = _compress(eta, np.broadcast_to(rule_weights, eta.shape), count)
    while len(u) > 1:
        if len(u) % 2:
            still = np.zeros((1, weights.shape[1]))
            u, weights = np.concatenate([u, still]), np.concatenate([weights, still])
            weights[-1, 0] = 1.0
        u, weights = _tensored(u[0::2], weights[0::2], u[1::2], weights[1::2], count)
    return u[0], weights[0]


def _tensored(u: Array, a: Array, v: Array, b: Array, count: int) -> tuple[Array, Array]:
    """The rule of the sum of two independent variables, batched over the leading axes."""
    shape = (*u.shape[:-1], u.shape[-1] * v.shape[-1])
    both = (u[..., :, None] + v[..., None, :]).reshape(shape)
    return _compress(both, (a[..., :, None] * b[..., None, :]).reshape(shape), count)


def _compress(u: Array, weights: Array, count: int) -> tuple[Array, Array]:
    """The Gauss rules with `count` nodes of discrete measures (..., M), by Lanczos; nodes not needed have weight 0."""
    if u.shape[-1] <= count:
        return np.asarray(u), np.array(weights)
    if u.ndim == 2 and u.size * count > 4 * BLOCK and len(u) > 1:
        half = len(u) // 2
        parts = [_compress(u[k], weights[k], count) for k in (slice(half), slice(half, None))]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    center = (weights * u).sum(axis=-1, keepdims=True)
    x = u - center
    width = np.abs(np.where(weights > 0, x, 0.0)).max(axis=-1, keepdims=True)
    x = np.where(weights > 0, x, 0.0) / np.where(width > 0, width, 1.0)
    q = np.sqrt(weights)
    basis = np.zeros((*u.shape[:-1], count, u.shape[-1]))
    jacobi = np.zeros((*u.shape[:-1], count, count))
    previous, beta = np.zeros_like(q), np.zeros_like(width)
    for k in range(count):
        basis[..., k, :] = q
        r = x * q - beta * previous
        alpha = (q * r).sum(axis=-1, keepdims=True)
        r = r - alpha * q
        seen = basis[..., : k + 1, :]
        r = r - (seen.swapaxes(-1, -2) @ (seen @ r[..., None]))[..., 0]
        jacobi[..., k, k] = alpha[..., 0]
        beta = np.sqrt((r * r).sum(axis=-1, keepdims=True))
        beta = np.where(beta < 1e-14, 0.0, beta)
        if k + 1 < count:
            jacobi[..., k, k + 1] = jacobi[..., k + 1, k] = beta[..., 0]
        previous, q = q, np.where(beta > 0, r / np.where(beta > 0, beta, 1.0), 0.0)
    nodes, vectors = np.linalg.eigh(jacobi)
    found = vectors[..., 0, :] ** 2
    found = np.where(found > 1e-40, found, 0.0)
    return center + width * nodes, found / found.sum(axis=-1, keepdims=True)
