r"""The law of a randomized plan, averaged over its midpoints, beside a Gaussian: every divergence as a number.

Where the mixture is a scale mixture that is resolved, its divergences are exact (`divergences.radial`). Elsewhere they
are `monte-carlo`: an interval at the level of 95 % (`divergences.sampled`), and what rounding may change added to it.
Whether a divergence is infinite is decided from the range of all variances that can be drawn. W_2 has a bracket.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np

from rmverify.divergences import sampled
from rmverify.divergences.closed_forms import (
    kullback_leibler,
    pair_tv,
    renyi_divergence,
    wasserstein,
)
from rmverify.divergences.pair import canonical, common_modes
from rmverify.divergences.sampled import Convex, Ensemble, Given
from rmverify.divergences.seen import Seen
from rmverify.divergences.tv import total_variation_many
from rmverify.laws import MixtureLaw
from rmverify.laws.averages.extremes import Range, extremes
from rmverify.laws.averages.paths import look_ahead, path_sets, principal_direction
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value
from rmverify.targets import Gaussian

__all__ = ["Sampled", "at_most", "hellinger_of_gap", "renyi_of_gap", "within"]

ACCURACY = 0.01
"""Relative half-width of the interval that is worked towards."""

_MOST_MIDPOINTS = 3 * 10**8  # of one path, beyond which nothing is drawn
_MOST_CORRELATED = 2000
"""Dimension beyond which the full covariance of correlated modes is not formed; the bounds from it are then 0."""
_SETS, _SIZE = 16, 64  # of the averages over paths alone
_MOST_SETS = 1 << 12
_AT_ONCE = 1 << 18  # numbers of all paths that are moved together
_UNKNOWN = Value(1.0, "upper", 0.0, lower=0.0, upper=1.0)


# --- the two laws together ------------------------------------------------------------------------------------------


class _Beside:
    """A mixture and a Gaussian in the modes of both, those left out in which neither has any spread.

    `singular` is 1 where the laws live on different supports, and nan where some paths do and some do not.
    """

    def __init__(self, mixture: MixtureLaw, q: Gaussian) -> None:
        q = q.at(0.0) if q is mixture.target else q
        model = mixture._truth.with_modes(mixture.variances, mixture.means, mixture.rounding)
        aligned = common_modes(model, q)
        if aligned is None:
            raise TypeError(
                "q: the law of a randomized plan is compared with laws in the target's own modes, such as "
                "target.at(t); got another basis"
            )
        self.mixture, self.ahead, (self.single, self.q) = mixture, look_ahead(mixture), aligned
        ends = np.cumsum(model.multiplicities)
        self.block = np.minimum(
            np.searchsorted(ends, np.cumsum(self.q.multiplicities) - 0.5 * self.q.multiplicities), ends.size - 1
        )
        v, b = self.single.variances, self.q.variances
        gone = (v == 0) & (b == 0) & (self.single.means == self.q.means)
        self.live = np.flatnonzero(~gone)
        self.singular = 0.0
        if ((v == 0) | (b == 0))[self.live].any():
            _, seen = next(self.laws(1, _SIZE, np.random.default_rng(0), None))
            mixed = (b[self.live] == 0) & (seen == 0).any(axis=0)
            self.singular = math.nan if mixed.any() and (seen > 0).any() else 1.0
        self.n = self.q.multiplicities[self.live]
        self.b, self.c = b[self.live], self.q.means[self.live]
        self.centred = not mixture.correlated and bool((self.single.means == self.q.means).all())
        self.rounding = (self.single.rounding + self.q.rounding)[self.live]

    @property
    def slip(self) -> float:
        """How far in total variation rounding may have moved the laws."""
        return float(np.sqrt(self.n @ self.rounding**2 / 8))

    def laws(self, sets: int, size: int, rng: np.random.Generator, aim: Any) -> Iterator[tuple[Array, Array]]:
        """Means and variances (size, modes) given the paths of each set."""
        keep = self.block[self.live]
        batch = max(1, _AT_ONCE // (size * self.mixture.variances.size))
        for done in range(0, sets, batch):
            means, variances = path_sets(self.mixture, min(batch, sets - done), size, rng, aim, self.ahead)
            for m, v in zip(means, variances, strict=True):
                yield m[:, keep], v[:, keep]

    def given(self, means: Array, variances: Array) -> Given:
        excess = (variances - self.b) / self.b
        near = np.abs(excess) < 0.5
        with np.errstate(divide="ignore"):
            u = np.where(near, np.log1p(np.where(near, excess, 0.0)), np.log(variances) - np.log(self.b))
        return Given(self.n, u, None if self.centred else (means - self.c) / np.sqrt(self.b))

    @property
    def ensemble(self) -> Ensemble:
        def make(sets: int, size: int, rng: np.random.Generator, aim: Any) -> Iterator[Given]:
            return (self.given(*law) for law in self.laws(sets, size, rng, aim))

        def aim(seen: list[Given]) -> Any:
            # the weights of a block that was cut are those of its parts together
            u = np.concatenate([g.u for g in seen])
            mu = np.zeros_like(u) if self.centred else np.concatenate([g.mu for g in seen if g.mu is not None])
            blocks, first = np.unique(self.block[self.live], return_index=True)
            counts = np.bincount(self.block[self.live], self.n)[blocks]
            part = Gaussian._raw(self.b[first], self.c[first], counts, None, np.zeros(first.size))
            shift = mu[:, first] * np.sqrt(self.b[first])
            found = principal_direction(part, shift, self.b[first] * np.exp(u[:, first]))
            return found.among(blocks, self.mixture.variances.size)

        single = self.given(self.single.means[None, self.live], self.single.variances[None, self.live])
        zero = np.zeros((1, self.n.size))
        own = Given(self.n, zero, None if self.centred else zero)
        draws = [(len(s), s.footprint.alphas) for s in self.mixture.plan if s.footprint.alphas]
        cost = sum(steps * (100 + (6 if each == 1 else 40 * each) * self.n.size) for steps, each in draws)
        return Ensemble(make, aim, own, single, float(cost), self.mixture._analytic)

    def largest(self, ends: Range | None, divergence: Callable[[Gaussian, Gaussian], float]) -> float:
        """The largest divergence of all laws that can be drawn, from q."""
        if not self._sure(ends):
            return math.inf
        return sum(divergence(p, self.q) for p in ends.far(self.q))

    def _sure(self, ends: Range | None) -> TypeGuard[Range]:
        return bool(ends is not None and len(ends.low) == self.q.variances.size)

    def finite(self, ends: Range | None, s: float) -> bool | None:
        """None where int P^s q^{1-s} is finite, True where it is infinite, and False where neither is known."""
        edge = self.b * s / (s - 1)  # v below it for s > 1, above it for s < 0
        if self._sure(ends):
            high, low = ends.high[self.live], ends.low[self.live]
            if (high < edge).all() if s > 1 else (low > edge).all():
                return None
            if s < 0 and (high <= edge).any():
                return True
        seen = np.concatenate([v for _, v in self.laws(8, _SIZE, np.random.default_rng(0), None)])
        if s < 0:
            return None if (seen > edge).all(axis=1).mean() > 0.1 else False
        return bool((seen > edge).any())


# --- divergences ----------------------------------------------------------------------------------------------------


class Sampled(Seen):
    """The law averaged over the midpoints of a plan beside a Gaussian, by sets of paths.

    `forward` says whether p is the average; `accuracy` and `rng` are as for `rmverify.divergences.tv`.
    """

    def __init__(self, p: Any, q: Any, accuracy: float = ACCURACY, rng: Any = 0) -> None:
        super().__init__(p, q)
        self.forward = isinstance(p, MixtureLaw)
        self.mixture, self.other = (p, q) if self.forward else (q, p)
        self.accuracy, self.rng = accuracy, rng

    @cached_property
    def beside(self) -> _Beside:
        return _Beside(self.mixture, self.other)

    @property
    def _drawn(self) -> bool:
        """Whether a path is short enough to be drawn."""
        return bool(self.mixture.midpoints <= _MOST_MIDPOINTS)

    def tv(self) -> Value:
        beside = self.beside
        if beside.singular or not beside.n.size:
            return _UNKNOWN if math.isnan(beside.singular) else Value(beside.singular, complement=1 - beside.singular)
        if not self._drawn:
            return _UNKNOWN
        known = float(pair_tv(canonical(beside.single, beside.q)))
        found = sampled.interval(beside.ensemble, sampled.ABSOLUTE, known, self.accuracy, self.rng, 1.0)
        return within(found.lower - beside.slip, found.upper + beside.slip, 1.0)

    def kl(self) -> Value:
        def divergence(p: Gaussian, q: Gaussian) -> float:
            return float(kullback_leibler(canonical(p, q) if self.forward else canonical(q, p)))

        f = sampled.ENTROPY if self.forward else sampled.REVERSE
        return self._of(f, divergence, lambda value: value, self._moment_kl)

    def renyi(self, order: float) -> Value:
        def finish(gap: float) -> float:
            return renyi_of_gap(gap, order)

        return self._power(order, finish, self._moment_kl if order > 1 else lambda: 0.0)

    def chi2(self) -> Value:
        def lower() -> float:  # ln(1 + chi^2) >= KL
            return math.expm1(min(self._moment_kl(), 700.0))

        return self._power(2.0, lambda gap: gap, lower)

    def hellinger(self) -> Value:
        return self._power(0.5, hellinger_of_gap, lambda: 0.0, 1.0)

    def w2(self) -> Value:
        """From that of the Gaussians with the same moments (Gelbrich) up to (E_a W_2^2(P_a, q))^{1/2}."""
        beside, mixture = self.beside, self.mixture
        least = 0.0
        if self._moments_known:
            value = wasserstein(mixture.surrogate, self.other)
            least = max(0.0, float(value) - value.error)
        if not self._drawn:
            return Value(math.inf, "upper", 0.0, lower=least, upper=math.inf)

        def squares(means: Array, variances: Array) -> Array:
            gap = np.sqrt(variances) - np.sqrt(beside.b)
            return np.asarray((gap**2 + (means - beside.c) ** 2) @ beside.n)

        _, upper = self._over_paths(squares)
        if not mixture._analytic:
            sup = beside.largest(extremes(mixture), lambda p, q: float(wasserstein(p, q)) ** 2)
            upper += sampled.unshown(_SETS * _SIZE) * sup
        scale = np.sqrt(np.maximum(beside.b, beside.single.variances[beside.live]))
        upper = math.sqrt(upper) + float(np.sqrt(beside.n @ (beside.rounding * scale) ** 2))
        return Value(max(upper, least), "upper", max(upper, least) - least, lower=least, upper=max(upper, least))

    def expected_tv(self) -> Value:
        """E_a TV(P_a, q), what a sampler is off by whose particles share one set of midpoints."""
        beside = self.beside
        if beside.singular or not beside.n.size or not self._drawn:
            return _UNKNOWN if beside.singular != 1 and beside.n.size else Value(beside.singular)

        def distances(means: Array, variances: Array) -> Array:
            ratio = (beside.b - variances) / variances
            return total_variation_many(ratio, (means - beside.c) ** 2 / variances, beside.n)[0]

        lower, upper = self._over_paths(distances)
        more = beside.slip + (0.0 if self.mixture._analytic else sampled.unshown(_SETS * _SIZE))
        return within(lower - more, upper + more, 1.0)

    # --- how ------------------------------------------------------------------------------------------------

    def _power(
        self, order: float, finish: Callable[[float], float], lower: Callable[[], float], top: float = math.inf
    ) -> Value:
        """`finish`, an increasing function, of |int p^s q^{1-s} - 1|, s = `order`; of the average P^s q^{1-s}."""
        s = order if self.forward else 1 - order

        def divergence(p: Gaussian, q: Gaussian) -> float:
            if s < 0:
                log = -s * float(renyi_divergence(canonical(q, p), 1 - s))
            else:
                log = (s - 1) * float(renyi_divergence(canonical(p, q), s))
            return abs(math.expm1(log)) if log < 700 else math.inf

        return self._of(sampled.power(s), divergence, finish, lower, s, top)

    def _of(
        self, f: Convex, divergence: Callable[[Gaussian, Gaussian], float], finish: Callable[[float], float],
        lower: Callable[[], float], s: float = 0.5, top: float = math.inf,
    ) -> Value:  # fmt: skip
        beside, mixture = self.beside, self.mixture
        if not beside.n.size:
            return Value(0.0)
        if beside.singular:
            return at_most(0.0, top) if math.isnan(beside.singular) else Value(top, complement=1 - top)
        if not self._drawn:
            return at_most(0.0, top)
        ends = extremes(mixture) if f.order is not None or not mixture._analytic else None
        if f.order is not None:
            verdict = beside.finite(ends, s)
            if verdict is not None:
                return Value(math.inf) if verdict else at_most(lower(), top)
        known = divergence(beside.single, beside.q)
        sup = 0.0 if mixture._analytic else beside.largest(ends, divergence)
        if math.isinf(sup):
            return at_most(lower(), top)

        found = sampled.interval(beside.ensemble, f, known, self.accuracy, self.rng, sup, finish)
        if not found.reliable:  # what is bounded has its upper end in any case
            return at_most(lower(), finish(min(found.upper, f.most)) if f.most < math.inf else top)
        more = (
            4 * beside.slip * (math.sqrt(found.upper) + beside.slip) * (1 + (found.upper if f.order is not None else 0))
        )
        return within(finish(max(found.lower - more, 0.0)), finish(min(found.upper + more, f.most)), top)

    @property
    def _moments_known(self) -> bool:
        return not self.mixture.correlated or self.mixture.dim <= _MOST_CORRELATED

    def _moment_kl(self) -> float:
        """KL(g||q) <= KL(p||q) for p the average and g the Gaussian with its moments: KL(p||q) = KL(p||g) + KL(g||q).
        0 where q is the average."""
        if not (self.forward and self._moments_known):
            return 0.0
        value = kullback_leibler(canonical(self.mixture.surrogate, self.other))
        return float(value) - value.error if math.isfinite(value) else 0.0

    def _over_paths(self, values: Callable[[Array, Array], Array]) -> tuple[float, float]:
        """Confidence limits of the mean over paths: sets are added while a first look says that they are needed."""
        beside = self.beside
        first, last = (np.random.default_rng(seed) for seed in sampled.seeds(self.rng))
        with np.errstate(divide="ignore", invalid="ignore"):  # of singular laws
            aim = beside.ensemble.aim([beside.given(*law) for law in beside.laws(8, _SIZE, first, None)])
        sets = _SETS
        for done in (False, True):
            means = np.array([values(*law).mean() for law in beside.laws(sets, _SIZE, last if done else first, aim)])
            if not done:
                wanted = max(self.accuracy * abs(float(means.mean())), 1e-300)
                off = sampled.quantile(sets) * float(means.std(ddof=1)) / wanted
                sets = int(min(max(_SETS, math.ceil(1.2 * off * off)), _MOST_SETS))
        return -sampled.upper_limit(-means), sampled.upper_limit(means)


def at_most(lower: float, top: float) -> Value:
    """The bracket [lower, top], lower at least 0."""
    return Value(top, "upper", 0.0, lower=min(max(lower, 0.0), top), upper=top)


def within(lower: float, upper: float, top: float) -> Value:
    """The middle of an interval, cut to [0, top]; a bound where it reaches 0."""
    lower, upper = min(max(lower, 0.0), top), min(max(upper, 0.0), top)
    if lower == 0 < upper:
        return at_most(0.0, upper)
    middle = (lower + upper) / 2
    return Value(middle, "monte-carlo", (upper - lower) / 2, lower=lower, upper=upper)


def renyi_of_gap(gap: float, order: float) -> float:
    """D_s from |int p^s q^{1-s} - 1|."""
    gap = gap if order > 1 else -min(gap, 1.0)
    return math.log1p(gap) / (order - 1) if gap > -1 else math.inf


def hellinger_of_gap(gap: float) -> float:
    """H from 1 - int sqrt(p q)."""
    return math.sqrt(min(gap, 1.0))
