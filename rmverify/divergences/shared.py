r"""The law of a randomized plan on a product beside another product: numbers with a confidence interval.

Given its midpoints the law is a product of laws p_a of the line. On the points of a grid that integrates p_a and q to
all digits (`laws.shared`) d coordinates are d independent choices of a point: all that counts of them is how often each
point was chosen, a multinomial vector, in which ln dP_a/dq is linear. So a dimension of 10^12 costs no more than ten,
and `divergences.sampled` does the rest.

Three errors are added to the interval: ln p_a is off by what another grid of half the distance says; the masses are not
quite 1; and |r - 1| has a kink, which a grid sees as it sees the one in two dimensions, where all pairs of points are
summed on both grids: in d dimensions that relative error is to the power of d/2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmverify.divergences import sampled
from rmverify.divergences.averaged import at_most, hellinger_of_gap, renyi_of_gap, within
from rmverify.divergences.sampled import Convex, Ensemble
from rmverify.divergences.seen import Seen
from rmverify.laws.shared import Grid, SharedLaw, grid_of, log_densities
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value
from rmverify.targets import Factor

__all__ = ["Shared"]

_FINEST = 4  # halvings of the grid
_PATHS = 8  # on which grids are compared
_OFF = 1e-3  # of what the interval is to be narrowed to, relative: what a grid may lose
_KINKED = 0.1
_LARGEST = 10**18
_MOST = 30_000  # evaluations of the score for one path, beyond which nothing is drawn
_EACH = 40.0  # multiplications that an evaluation is worth


@dataclass(frozen=True, eq=False)
class Chosen:
    """Products of laws on points, of probabilities e^{log_p}, arrays (paths, points), beside one of e^{log_q}."""

    dim: int
    log_q: Array
    log_p: Array

    @property
    def size(self) -> int:
        return len(self.log_p)

    def linear(self) -> tuple[Array, Array]:
        """ln dP_a/dq = features @ slopes + constants: (features, paths), (paths,)."""
        return np.ascontiguousarray((self.log_p - self.log_q).T), np.zeros(self.size)

    def draw(self, which: Array, rng: np.random.Generator) -> Array:
        """How often each point is chosen, for one draw from each of the laws `which`."""
        return rng.multinomial(self.dim, self._chances[which]).astype(float)

    @cached_property
    def _chances(self) -> Array:
        return np.asarray(np.exp(self.log_p))


@dataclass(frozen=True, eq=False)
class _Beside:
    """The law and a factor on one grid; `slip`: how far in total variation that may move them; `kink`: relative."""

    law: SharedLaw
    grid: Grid
    log_q: Array
    order: Any
    slip: float
    kink: float

    def chosen(self, log_p: Array) -> Chosen:
        """Points of little mass first: what rounding leaves over when points are chosen goes to the last."""
        log_q = self.log_q[self.order]
        return Chosen(self.law.dim, log_q, _normal(log_p + self.grid.log_weights)[:, self.order])

    @property
    def ensemble(self) -> Ensemble:
        law, grid = self.law, self.grid

        def make(sets: int, size: int, rng: np.random.Generator, aim: Any) -> Iterator[Chosen]:
            return (self.chosen(log_p) for log_p in log_densities(law, grid, sets, size, rng, aim))

        def aim(seen: list[Chosen]) -> Array:
            logs = np.empty((sum(given.size for given in seen), grid.x.size))
            logs[:, self.order] = np.concatenate([given.log_p for given in seen])
            spread = (logs - logs.mean(axis=0)) * np.exp(self.log_q / 2)
            top = np.linalg.svd(spread, full_matrices=False)[2][0]
            return np.asarray(np.gradient(top * np.exp(-self.log_q / 2), grid.x))

        q = Chosen(law.dim, self.log_q[self.order], self.log_q[None, self.order])
        return Ensemble(make, aim, q, None, _EACH * law.plan.evaluations * grid.x.size, law.analytic)


def _normal(logs: Array) -> Array:
    """Logarithms of probabilities, of sum 1 over the last axis."""
    return np.asarray(logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True)))


# --- which grid -----------------------------------------------------------------------------------------------------


def _beside(law: SharedLaw, q: Factor, accuracy: float) -> _Beside:
    accuracy = min(accuracy, 0.1)
    coarse, seen = _seen(law, q, 0)
    for halvings in range(1, _FINEST + 1):
        fine, better = _seen(law, q, halvings)
        slip, kink, size = _lost(law.dim, (coarse, *seen), (fine, *better))
        if slip <= _OFF * accuracy * min(1.0, size) and kink <= _KINKED * accuracy:
            log_q = _normal(seen[0])
            return _Beside(law, coarse, log_q, np.argsort(log_q), slip, kink)
        coarse, seen = fine, better
    raise ArithmeticError(
        f"plan: {coarse.x.size} points do not resolve the laws given the midpoints in dimension {law.dim}: they are "
        f"off by {slip:.1g} in total variation; use rmverify.sample, or more and shorter steps"
    )


def _seen(law: SharedLaw, q: Factor, halvings: int) -> tuple[Grid, tuple[Array, Array]]:
    """ln of the weighted densities q and, of some paths that do not depend on the grid, p_a."""
    grid = grid_of(law, q, halvings)
    none = np.zeros(grid.x.size)
    log_p = next(iter(log_densities(law, grid, 1, _PATHS, np.random.default_rng(0), none)))
    return grid, (np.asarray(q.log_density(0, grid.x)) + grid.log_weights, log_p + grid.log_weights)


def _lost(dim: int, coarse: tuple[Grid, Array, Array], fine: tuple[Grid, Array, Array]) -> tuple[float, float, float]:
    """What the coarse grid loses, absolute and relative, and the scale of ln dP_a/dq."""
    _, here, there = np.intersect1d(coarse[0].z, fine[0].z, return_indices=True)
    p, q = np.exp(coarse[2]), np.exp(coarse[1])
    losses, finer = coarse[2] - coarse[1], fine[2] - fine[1]
    off = np.sqrt((p[:, here] * (losses[:, here] - finer[:, there]) ** 2).sum(axis=1))
    loss = np.sqrt((p * losses**2).sum(axis=1))
    masses = np.abs(p.sum(axis=1) - 1) + abs(q.sum() - 1)
    slip = float((math.sqrt(dim) * off / 2 + dim * masses * np.minimum(loss, 1.0)).max())
    some = slice(None), slice(_PATHS // 2), slice(_PATHS // 2, None)
    pairs = np.array([[_of_two(_normal(q), _normal(p[part])) for part in some] for _, q, p in (coarse, fine)])
    kink = float((np.abs(pairs[0] - pairs[1]) / np.maximum(pairs[1], 1e-300)).max())
    return slip, kink ** min(dim / 2, 2.0), math.sqrt(dim) * float(loss.max())


def _of_two(log_q: Array, log_p: Array) -> float:
    """The total variation in two dimensions, of the average of these paths."""
    q, p = np.exp(log_q), np.exp(log_p)
    return float(np.abs(np.outer(q, q) - p.T @ p / len(p)).sum()) / 2


# --- divergences ----------------------------------------------------------------------------------------------------


class Shared(Seen):
    """The law of a randomized plan on a product beside a product; `accuracy` and `rng` as for `rmverify.tv`."""

    def __init__(self, p: Any, q: Any, accuracy: float, rng: Any) -> None:
        super().__init__(p, q)
        self.forward, self.accuracy, self.rng = isinstance(p, SharedLaw), accuracy, rng
        self.law, other = (p, q) if self.forward else (q, p)
        if self.law.dim > _LARGEST:
            raise ValueError(
                f"{'p' if self.forward else 'q'}: expected a dimension of at most 10^18, for counts that are integers, "
                f"got {self.law.dim}"
            )
        self.factor: Factor = other.factor

    def tv(self) -> Value:
        return self._found(sampled.ABSOLUTE, lambda value: value, 1.0, 1.0)

    def kl(self) -> Value:
        f = sampled.ENTROPY if self.forward else sampled.REVERSE
        return self._found(f, lambda value: value, math.inf, math.inf)

    def renyi(self, order: float) -> Value:
        if order > 1:
            raise ValueError(f"order: expected at most 1 beside a SharedLaw, got {order:g}")
        f = sampled.power(order if self.forward else 1 - order)
        return self._found(f, lambda gap: renyi_of_gap(gap, order), 1.0, math.inf)

    def hellinger(self) -> Value:
        return self._found(sampled.power(0.5), hellinger_of_gap, 1.0, 1.0)

    def _found(self, f: Convex, finish: Callable[[float], float], most: float, top: float) -> Value:
        """`finish`, an increasing function, of E_q f, which is `most` at most."""
        law = self.law
        rare = 0.0 if law.analytic else most  # what steps may do that no path shows
        if law.plan.evaluations > _MOST or math.isinf(rare):
            return at_most(0.0, top)
        beside = _beside(law, self.factor, self.accuracy)
        found = sampled.interval(beside.ensemble, f, math.inf, self.accuracy, self.rng, rare, finish)
        if not found.reliable:
            return at_most(0.0, top)
        if f is sampled.ABSOLUTE:
            more = beside.slip + beside.kink * found.upper
        else:
            more = 4 * beside.slip * (math.sqrt(found.upper) + beside.slip)
        return within(finish(max(found.lower - more, 0.0)), finish(min(found.upper + more, most)), top)
