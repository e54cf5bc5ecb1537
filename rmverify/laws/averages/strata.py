r"""Averages over many strata, from the step as a Markov chain over them, where a tensor rule has too many points.

With y -> (I + G_i(alpha_i)) y over the strata (`rmverify.readings.cells`) and independent alpha_i, the mean and the
covariance of y given x follow from the averages of G_i and of G_i (x) G_i, one Gauss rule a stratum. Work: R (m^2 +
rounds), exact up to rounding and the rule. Covariances are carried as such, never as differences of second moments.

The law of x' = A x itself, of one mode: A - E A is a sum of martingale differences D_i = b_{i+1} G~_i y_i, G~ = G - E G
and b the mean maps that follow. Its cumulants are those of the first-order parts b_{i+1} G~_i E y_i, which are
independent, and what the covariance of y_i adds: exact in the second, its leading part in the third. Of the others
about a share of h^2/R^{3/2} is left out, the square root of the share of the second that is not first order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rmverify.laws.averages.counts import continued, few
from rmverify.laws.averages.rules import MOST_POINTS, SCATTERED, node_count, rules
from rmverify.laws.conditional import column
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import from_moments, unit_rule
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Footprint, Stage, footprint
from rmverify.readings.cells import Chain, read_chain
from rmverify.schemes.contract import Scheme, shipped, velocity_variance

__all__ = ["Averages", "averages", "chainable", "cumulants", "settled", "step_averages", "strata_rule"]

_LEAST = 16  # nodes that it takes at least to see a rule settle
_SETTLED = 64 * UNIT  # the sums over the strata round more often than those over a tensor rule
_BLOCK = 1 << 20  # numbers per temporary array
_FORMS = ((1, 1), (1, 0), (0, 0))  # of the covariance given x: x^2, x and 1


class Averages(NamedTuple):
    """Of x' = A x + B: E A and E B, and Cov(A, A), Cov(A, B), Cov(B, B) of a mode, or of any two (left, right)."""

    a: Any
    b: Any
    aa: Any
    ab: Any
    bb: Any


def chainable(scheme: Scheme, foot: Footprint, nodes: int = _LEAST) -> bool:
    """Whether the step draws strata, once, moves x alone, and has too many of them for a tensor rule."""
    drawn = len(foot.uniforms) == 1 and foot.plain and velocity_variance(scheme) is None
    return drawn and max(nodes, _LEAST) ** foot.alphas > MOST_POINTS


def strata_rule(
    stage: Stage, modes: Any, nodes: int, number: Any = np.asarray, unit: Any = unit_rule
) -> tuple[Any, Any]:
    """One rule (Q,) of [0, 1] for every stratum of a stage that is a chain over them.

    Raises
    ------
    ValueError
        Where it is none.
    """
    near = few(stage)
    if not shipped(near.scheme):
        t, h = (column(z[:1]) for z in near.grid)
        read_chain(near.scheme, near.footprint, modes, t, h, SCATTERED)
    return rules(near, modes).together(nodes, number, unit)


def averages(chain: Chain, weights: Any, *, cross: bool = False) -> Averages:
    """The averages over all midpoints of the step maps: (steps, modes), and covariances (steps, modes) of one mode
    with itself or, with `cross`, (steps, modes, modes) of any two."""
    if not cross:
        return _averages(chain, chain, weights, lambda z: z, lambda z: z)
    count, modes, entries, _ = chain.steps.shape[1:]
    size = max(1, _BLOCK // (count * modes * entries**2))
    found = [
        _averages(
            chain._replace(steps=chain.steps[:, :, i : i + size], ends=chain.ends[:, i : i + size]),
            chain,
            weights,
            lambda z: z[:, :, None],
            lambda z: z[:, None],
        )
        for i in range(0, modes, size)
    ]
    return Averages(*(np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)))


def _averages(left: Chain, right: Chain, weights: Any, on_left: Any, on_right: Any) -> Averages:
    """Moments of y = Y (1, x) + noise given x: Y (.., size, 2), and of the noise of left and right the covariances of
    `_FORMS`, (forms, .., sums, sums)."""
    rows, columns = right.rows, right.columns
    first = np.flatnonzero(np.diff(rows, prepend=-1))  # of each sum, its first entry
    sums = len(first)
    forms = _FORMS if (columns == 0).any() else _FORMS[:1]
    sides = [_Side(left)] if left is right else [_Side(left), _Side(right)]
    batch = np.broadcast_shapes(on_left(sides[0].Y).shape[:-2], on_right(sides[-1].Y).shape[:-2])
    dtype = right.steps.dtype
    G = np.zeros((len(forms), *batch, sums + 2, sums + 2), dtype=dtype)
    for i in range(len(right.steps)):
        for side in sides:
            side.at(i, weights)
        p, q = sides[0], sides[-1]
        T = on_left(p.off * weights) @ on_right(q.off).swapaxes(-1, -2)
        P, Q = on_left(p.Y), on_right(q.Y)
        M = G + np.stack([P[..., :, None, e] * Q[..., None, :, f] for e, f in forms])
        fresh = T * M[..., columns[:, None], columns]
        fresh = np.add.reduceat(np.add.reduceat(fresh, first, axis=-2), first, axis=-1)
        G[..., 2:, 2:] = on_left(p.map) @ G[..., 2:, 2:] @ on_right(q.map).swapaxes(-1, -2) + fresh
        for side in sides:
            side.step()
    l, r = on_left(left.ends[..., None, 2:]), on_right(right.ends[..., 2:, None])
    second = [(l @ g @ r)[..., 0, 0] for g in G[..., 2:, 2:]]
    if len(forms) == 1:
        second += [0 * second[0]] * 2
    a, b = ((left.ends[..., None, :] @ sides[0].Y[..., :, e, None])[..., 0, 0] for e in (1, 0))
    return Averages(a, b, *second)


class _Side:
    """The mean Y of y as a map of (1, x), stratum after stratum, and the deviations of one stratum's entries."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        size = chain.ends.shape[-1]
        self.Y = np.zeros((*chain.steps.shape[1:3], size, 2), dtype=chain.steps.dtype)
        self.Y[..., 0, 0] = self.Y[..., 1, 1] = 1
        self.J = np.zeros((*chain.steps.shape[1:3], size - 2, size), dtype=chain.steps.dtype)

    def at(self, i: int, weights: Any) -> None:
        entries = self.chain.steps[i]
        mean = entries @ weights
        self.off = entries - mean[..., None]
        self.J[..., self.chain.rows, self.chain.columns] = mean
        self.map = self.J[..., 2:] + np.eye(self.J.shape[-2], dtype=int)

    def step(self) -> None:
        self.Y[..., 2:, :] = self.Y[..., 2:, :] + self.J @ self.Y


def cumulants(chain: Chain, weights: Array, order: int) -> Array:
    """Of A in x' = A x, of every mode: E A, its cumulants 2 to `order`, and the share of the second that is not first
    order: (order + 1, steps, modes). For steps that do not move x = 0."""
    rows, columns = chain.rows, chain.columns
    strata, steps, modes, entries, _ = chain.steps.shape
    size = chain.ends.shape[-1]
    mean = chain.steps @ weights
    J = np.zeros((strata, steps, modes, size - 2, size))
    J[..., rows, columns] = mean
    Y, b = np.zeros((strata + 1, steps, modes, size)), np.zeros((strata + 1, steps, modes, size))
    Y[0, ..., 1], b[strata] = 1, chain.ends
    for i in range(strata):
        Y[i + 1] = Y[i]
        Y[i + 1, ..., 2:] += (J[i] @ Y[i, ..., None])[..., 0]
    for i in reversed(range(strata)):
        b[i] = b[i + 1] + (b[i + 1, ..., None, 2:] @ J[i])[..., 0, :]
    placed = np.zeros((entries, size))
    placed[np.arange(entries), columns] = 1
    lasting = bool((columns > 1).any())  # whether a stratum sees the ones before it
    C = np.zeros((steps, modes, size, size))
    result = np.zeros((order + 1, steps, modes))
    first = np.zeros((steps, modes))
    for i in range(strata):
        off = chain.steps[i] - mean[i, ..., None]
        g = (b[i + 1][..., rows + 2, None] * off).swapaxes(-1, -2) @ placed
        d = (g @ Y[i, ..., None])[..., 0]
        moments = [(d**k) @ weights for k in range(1, order + 1)]
        result[1:order] += from_moments(moments)[1:]
        first += moments[1]
        if not lasting:
            continue
        gC = g @ C
        spread, lean = (gC * g).sum(axis=-1), (gC @ b[i][..., None])[..., 0]
        result[1] += spread @ weights
        if order > 2:
            result[2] += (3 * d * (spread + 2 * lean)) @ weights
        G = np.zeros((steps, modes, weights.size, size - 2, size))
        G[..., rows, columns] = off.swapaxes(-1, -2)
        M = C + Y[i][..., :, None] * Y[i][..., None, :]
        fresh = ((G @ M[:, :, None] @ G.swapaxes(-1, -2)) * weights[:, None, None]).sum(axis=2)
        move = J[i][..., 2:] + np.eye(size - 2)
        C[..., 2:, 2:] = move @ C[..., 2:, 2:] @ move.swapaxes(-1, -2) + fresh
    result[0] = (chain.ends * Y[strata]).sum(axis=-1)
    result[order] = np.abs(result[1] - first) / np.where(result[1] > 0, result[1], 1.0)
    return result


def step_cumulants(stage: Stage, modes: Any, order: int) -> tuple[Array, Array]:
    """`cumulants` of every step of the stage, for any number of strata, and the error of E A."""
    nodes, change = settled(stage, modes)
    x, w = strata_rule(stage, modes, nodes)
    t, h = (column(z) for z in stage.grid)
    size = max(1, _BLOCK // (few(stage).footprint.alphas * x.size * np.size(modes.lam) * 16))

    def of(scheme: Scheme) -> list[Array]:
        foot = footprint(scheme)
        parts = [
            cumulants(read_chain(scheme, foot, modes, t[n : n + size], h[n : n + size], x), w, order)
            for n in range(0, len(t), size)
        ]
        return list(np.concatenate(parts, axis=1))

    # strata of length h/R, each of order (h/R)^2; what they do together is of a relative order h^4/R^3
    found, off = continued(of, stage.scheme, [0, *(2 * n - 1 for n in range(2, order + 1)), 3])
    return np.stack(found), off + change


def step_averages(stage: Stage, modes: Any, t: Any, h: Any, nodes: int, *, cross: bool) -> tuple[Averages, Array]:
    """`averages` of the steps (t, h), for any number of strata, and the error of E A."""
    x, w = strata_rule(stage, modes, nodes)

    def of(scheme: Scheme) -> Averages:
        return averages(read_chain(scheme, footprint(scheme), modes, t, h, x), w, cross=cross)

    found, error = continued(of, stage.scheme, [0, 0, 3, 3, 3])
    return Averages(*found), error


def settled(stage: Stage, modes: Any) -> tuple[int, float]:
    """`node_count` of the chain: nodes a stratum, and the change of the averages that is left."""
    return node_count(stage, modes, _watched, _SETTLED)


def _watched(stage: Stage, modes: Any, t: Any, h: Any, nodes: int, part: Any) -> Array:
    stage = few(stage)
    x, w = strata_rule(stage, modes, nodes)
    numbers = stage.footprint.alphas * x.size * np.size(modes.lam)
    if nodes > _LEAST and numbers > 2 * _BLOCK:
        raise ValueError(f"modes: {np.size(modes.lam)} are too many for {nodes} nodes in every stratum")
    size = max(1, _BLOCK // numbers)
    parts = []
    for n in range(0, len(t), size):
        part = slice(n, n + size)
        found = averages(read_chain(stage.scheme, stage.footprint, modes, t[part], h[part], x), w)
        parts += [found.a, found.a**2 + found.aa, found.b, found.b**2 + found.bb]
    return np.concatenate(parts, axis=None)
