r"""Divergences of the law of a randomized plan, averaged over its midpoints, as numbers with a confidence interval.

The law is P = E_a P_a, Gaussian given the midpoints a, and nobody knows its density in closed form. But for r_A the
average of dP_a/dq over a random set A of midpoint paths, and for every convex f with D_f(P||q) = E_q f(r),

    E_q f(r_A)                                  >=  D_f   on average over A       (f is convex)
    E_q [f(r_B) + f'(r_B) (r_A - r_B)]          <=  D_f   on average over A       (a tangent of f lies below f)

for A independent of B, whatever A and B are: both ends are right, and their gap is of second order in what the sets of
paths miss. Both are sample means over points z, half of them from q and half from the P_a of the set, so that a point
has the weight 2/(1 + r_A) <= 2. The sets are those of `rmverify.laws.averages.paths`, of which a hundred paths leave
next to no gap. D_f of the Gaussian with P's moments is known exactly: a control variate. Every end is a confidence
limit from independent sets.

f                           D_f
|r - 1|/2                   TV(P, q)
r ln r - r + 1              KL(P||q)
r - 1 - ln r                KL(q||P)
|r^s - 1 - s (r - 1)|       |int P^s q^{1-s} - 1|: H^2 at s = 1/2, chi^2(P||q) at s = 2, chi^2(q||P) at s = -1

For s < 0 and s > 1, where r^s is not bounded by 1 + r, half of the points are from the laws P_a^s q^{1-s} as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from rmverify.elementary import phi1, phi2
from rmverify.numbers.checks import Array

LEVEL = 0.95
"""Confidence level of the interval; each of its ends misses with probability (1 - LEVEL)/2."""

_PILOT = (8, 64, 512)  # independent sets of paths, paths of a set, points of a set
_PILOT_POINTS = (1, 16, 256)  # times those of the pilot
_SETS = 16  # at least
_FEWEST, _LARGEST = 8, 4096  # paths of a set
_POINTS = (256, 1 << 15)  # of a set
_WORK = 4e7  # nanoseconds on one core, about, over the relative accuracy, that are spent to reach it
_LEAST_WORK, _MOST_WORK = 4e9, 1e11  # at least and at most
_AT_ONCE = 1 << 18  # numbers of all paths that are moved together
_MOST_PATHS = 1 << 13
_BLOCK = 1 << 18  # numbers per temporary array
_MORE = 3  # times that sets are added
_GAP = 0.15  # part of the half-width that the gap between the ends may take
_OUTWEIGHS = 0.1  # part of a sum from which one point in it says that the sum is not known
_OFF = 6  # standard errors from 0 at which the mean of a control says that not all of it was seen
_ROUNDING = 1e-14  # of a control
_ALIKE = 1e-3  # part of their correlation below which controls tell no more than others do
_FEW = 30  # points that count, from which a mean of bounded numbers is taken to have a normal error
_SMALL = 1e-3


# --- convex functions -----------------------------------------------------------------------------------------------


class Convex(NamedTuple):
    """A convex f of r = e^l, f(1) = 0 <= f.

    `over`: f(r)/max(r, 1) of l, which no r overflows. `tangent`: at l = a of dP_A/dq and b of dP_B/dq, the value at a
    of the tangent of f at b, or what has the same mean, times the weight; from a, b, f(r_A) times the weight, and the
    logarithm of the weight. `order`: s where the law P^s q^{1-s} is needed to sample it. `most`: the largest E_q f(r).
    """

    over: Callable[[Array], Array]
    tangent: Callable[[Array, Array, Array, Array], Array]
    order: float | None = None
    most: float = math.inf


def _exp(x: Array) -> Array:
    return np.asarray(np.exp(np.minimum(x, 700.0)))


def _touching(over: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Any:
    """f(r_B) + f'(r_B) (r_A - r_B), with `slope` r f'(r)/max(r, 1)."""

    def tangent(a: Array, b: Array, _: Array, log_weight: Array) -> Array:
        rise = np.expm1(np.minimum(a - b, 700.0))
        return np.asarray((over(b) + slope(b) * rise) * _exp(np.maximum(b, 0.0) + log_weight))

    return tangent


def _kl_over(l: Array) -> Array:
    """r ln r - r + 1 = l^2 (phi1(l) - phi2(l)), over r where that is larger: l^2 phi2(-l)."""
    low, high = np.minimum(l, 0.0), np.maximum(l, 0.0)
    return np.asarray(np.where(l < 0, low * low * (phi1(low) - phi2(low)), high * high * phi2(-high)))


ABSOLUTE = Convex(lambda l: -np.expm1(-np.abs(l)) / 2, lambda a, b, upper, _: np.sign(a) * np.sign(b) * upper, most=1.0)
ENTROPY = Convex(  # r_A ln r_B - r_B + 1, but with r_A for the lone r_B, which has the same mean and is bounded
    _kl_over, lambda a, b, upper, log_weight: upper + _exp(a + log_weight) * (b - a)
)
REVERSE = Convex(
    lambda l: _kl_over(-l),
    _touching(lambda l: _kl_over(-l), lambda l: np.where(l > 0, -np.expm1(-l), np.expm1(np.minimum(l, 0.0)))),
)


def power(s: float) -> Convex:
    """|r^s - 1 - s (r - 1)|, s not 0 or 1."""
    sign = 1.0 if s < 0 or s > 1 else -1.0

    def near(l: Array, s: float) -> Array:  # l <= 0
        x = np.minimum(s * l, 700.0)
        return np.asarray(sign * (x * x * phi2(x) - s * l * l * phi2(l)))

    def over(l: Array) -> Array:
        return np.where(l < 0, near(np.minimum(l, 0.0), s), near(-np.maximum(l, 0.0), 1 - s))

    def slope(l: Array) -> Array:
        return sign * s * np.exp(np.minimum(l, 0.0)) * np.expm1(np.minimum((s - 1) * l, 700.0))

    return Convex(over, _touching(over, slope), *((s, math.inf) if sign > 0 else (None, 1.0)))


# --- Gaussians given their paths ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """The laws given the paths of a set, N(c + sqrt(b) mu, b e^u) in blocks of n coordinates, beside q = N(c, b).

    With y = (z - c)/sqrt(b), ln dP_a/dq is linear in T = sum (y^2 - 1) and, off the centre, in S = sum y of the blocks:
    no large numbers cancel, so that n may be 10^12. u and mu: arrays (paths, modes); mu None where all means are c.
    """

    n: Array
    u: Array
    mu: Array | None

    @property
    def size(self) -> int:
        return len(self.u)

    def linear(self) -> tuple[Array, Array]:
        """ln dP_a/dq = features @ slopes + constants: (features, paths), (paths,)."""
        rise = np.expm1(-self.u)
        constant = -(self.u**2 * phi2(-self.u)) @ self.n / 2
        if self.mu is None:
            return np.ascontiguousarray(-rise.T / 2), constant
        tilt = self.mu * (1 + rise)
        return np.concatenate([-rise.T / 2, tilt.T]), constant - (tilt * self.mu) @ self.n / 2

    def draw(self, which: Array, rng: np.random.Generator) -> Array:
        """Features (points, features) of one point from each of the laws `which`."""
        n, u = self.n, self.u[which]
        w, more = np.exp(u), self.n > 1
        g = rng.standard_normal((which.size, n.size))
        square = g * g - n
        if more.any():
            square[:, more] += 2 * rng.standard_gamma((n[more] - 1) / 2, (which.size, int(more.sum())))
        if self.mu is None:
            return np.asarray(w * square + n * np.expm1(u))
        mu, along = self.mu[which], np.sqrt(w * n) * g
        return np.concatenate([w * square + n * np.expm1(u) + (2 * along + n * mu) * mu, n * mu + along], axis=1)

    def tilted(self, s: float) -> tuple[Given, Array]:
        """The laws P_a^s q^{1-s} and ln of their masses; masses are infinite where there are none."""
        w = s * np.exp(-self.u) + 1 - s
        proper = (w > 0).all(axis=1)
        v = -np.log(np.where(w > 0, w, 1.0))
        mass = (v - s * self.u) @ self.n / 2
        if self.mu is None:
            return Given(self.n, v, None), np.where(proper, mass, math.inf)
        pull = s * np.exp(-self.u) * self.mu
        mean = np.exp(v) * pull
        mass = mass + (mean * pull - s * self.mu * self.mu * np.exp(-self.u)) @ self.n / 2
        return Given(self.n, v, mean), np.where(proper, mass, math.inf)


class Ensemble(NamedTuple):
    """What is sampled: sets of laws given their paths, q among them, and what is known of it exactly.

    `make(sets, size, rng, aim)` yields one `Given` a set; `aim(givens)` says what these say of how to order paths.
    `single` is a law of known f-divergence beside q, a control variate. `steps`: nanoseconds, about, for each path.
    """

    make: Callable[[int, int, np.random.Generator, Any], Any]
    aim: Callable[[list[Any]], Any]
    q: Any
    single: Any
    steps: float
    analytic: bool = True


class Interval(NamedTuple):
    """Limits of E_q f(r), and whether the sums that they come from are dominated by single points."""

    lower: float
    upper: float
    reliable: bool = True


def interval(
    ensemble: Ensemble, f: Convex, known: float, accuracy: float, rng: Any, sup: float = math.inf,
    finish: Callable[[float], float] | None = None,
) -> Interval:  # fmt: skip
    """The confidence interval of E_q f(dP/dq).

    Parameters
    ----------
    known : float
        E_q f of the control; infinite where it is not used.
    accuracy : float
        The relative half-width that is worked towards, of the value or of what `finish` makes of it.
    sup : float
        The largest E_q f(dP_a/dq) of all that can be drawn, for steps of which no path may show what they do rarely.
    """

    def aimed(value: float) -> float:  # a half-width
        at = finish(max(value, 0.0)) if finish is not None else value
        slope = (at - finish(value * 0.999)) / (value * 1e-3) if finish is not None and value > 0 else 1.0
        return accuracy * at / slope if slope > 0 else math.inf

    work = min(max(_LEAST_WORK, _WORK / accuracy), _MOST_WORK)
    first, last = (np.random.default_rng(seed) for seed in seeds(rng))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        sets, size, points = _PILOT
        while size > _FEWEST and sets * size * ensemble.steps > _LEAST_WORK:
            size //= 2
        aim = ensemble.aim(list(ensemble.make(sets, size, first, None)))
        while True:
            for more in _PILOT_POINTS:  # few points may be what carries the value
                look = _Look.of(ensemble, f, known, aim, sets, size, more * points, first)
                if look.reliable or 16 * sets * _work(ensemble, size, more * points) > work:
                    break
            wanted = aimed(look.value)
            if not look.gap > max(2 * wanted, 0.1 * look.value) or size * 4 > _LARGEST:
                break
            if 4 * sets * _work(ensemble, size, points) > work:
                break
            size *= 4
        if not (look.reliable or f.most < math.inf):
            return Interval(0.0, math.inf, False)
        sets, size, points = look.plan(ensemble, size, wanted, work)
        found = _Look.of(ensemble, f, known, aim, sets, size, points, last, look.coefficients)
        for _ in range(_MORE):
            most = int(work / _work(ensemble, size, points)) - len(found.means)
            sure = (found.reliable or f is ABSOLUTE) and not found.unseen[1]
            again = min(found.missing(aimed(found.value)) if sure else 4 * len(found.means), most)
            if again <= 0:
                break
            found = found.joined(_Look.of(ensemble, f, known, aim, again, size, points, last, look.coefficients))
        rare = unshown(len(found.means) * size)
        lower, upper = found.limits()
        if not ensemble.analytic:
            lower, upper = lower - rare * (sup + found.value), upper + rare * (sup + found.value)
        if f.most < math.inf:
            lower, upper = lower - rare * found.unseen[0], upper + rare * found.unseen[1]
        reliable = (found.reliable or f is ABSOLUTE) and math.isfinite(lower) and math.isfinite(upper)
    return Interval(max(lower, 0.0), max(upper, 0.0), reliable)


def unshown(paths: int) -> float:
    """The largest probability of what none of so many paths shows; they come in pairs."""
    return math.log(2 / (1 - LEVEL)) * 2 / paths


def seeds(rng: Any) -> list[Any]:
    """Two independent seeds."""
    if isinstance(rng, np.random.Generator | np.random.SeedSequence):
        return list(rng.spawn(2))
    try:
        return list(np.random.SeedSequence(rng).spawn(2))
    except (TypeError, ValueError):
        raise ValueError(f"rng: expected a seed >= 0, a Generator or None, got {rng!r}") from None


@dataclass(frozen=True)
class _Look:
    """Of every set the mean of the upper and lower function and of the controls over its points, and of all points
    together their covariance, averaged over the sets.

    `unseen`: what a point may take from the lower end, and add to the upper one, of which there may be more than were
    seen; 0 where enough of them were.
    """

    means: Array
    spread: Array
    coefficients: Array
    points: int
    total: Array
    top: Array
    own: int
    unseen: tuple[float, float]

    @classmethod
    def of(
        cls, ensemble: Ensemble, f: Convex, known: float, aim: Any, sets: int, size: int, points: int,
        rng: np.random.Generator, coefficients: Array | None = None,
    ) -> _Look:  # fmt: skip
        single = ensemble.single.linear() if math.isfinite(known) and ensemble.single is not None else None
        means: list[Array] = []
        total, top = np.zeros(()), np.zeros(())
        spread: Array = np.zeros(())
        batch = max(1, min(_AT_ONCE // len(ensemble.q.linear()[0]), _MOST_PATHS) // size)
        other: Any = None
        for done in range(0, sets, batch):
            for given in ensemble.make(min(batch, sets - done) + (other is None), size, rng, aim):
                if other is None:  # the first one is B
                    other = given.linear()
                    continue
                rows = _values(f, given, other, ensemble.q, single, known, points, rng)
                means.append(rows.mean(axis=1))
                if coefficients is None:
                    spread = spread + _covariance(rows, f) / sets
                sizes = np.abs(rows)
                total, top = total + sizes.sum(axis=1), np.maximum(top, sizes.max(axis=1))
        table, shares = np.array(means), _shares(top, total)
        own = 1 if f.order is None else 2
        if coefficients is None:
            seen = np.append([True, True], _seen(table, shares, own))
            spread = np.where(np.outer(seen, seen), spread, 0.0)
            coefficients = _regression(spread)
        left = f.most - table[:, 0]  # of which each point has all or hardly anything
        few = points * float(left.sum()) < _FEW * f.most or _rare(left, 0.0)
        unseen = f.most if few else 0.0, min(f.most, 10 * float(top[0])) * _rare(table[:, 0], shares[0])
        return cls(table, spread, coefficients, points, total, top, own, unseen)

    @property
    def shares(self) -> Array:
        """Of the sums of sizes, what their largest term has."""
        return _shares(self.top, self.total)

    @property
    def ends(self) -> Array:
        """The two ends as every set sees them, controls subtracted: all, as their coefficients belong together."""
        missed = np.logical_and(self.coefficients.any(axis=0), np.logical_not(_seen(self.means, self.shares, self.own)))
        return np.asarray(self.means[:, :2] - (0 if missed.any() else self.means[:, 2:] @ self.coefficients.T))

    @property
    def value(self) -> float:
        return float(self.ends.mean())

    @property
    def gap(self) -> float:
        upper, lower = self.ends.mean(axis=0)
        return float(upper - lower)

    @property
    def reliable(self) -> bool:
        """Whether no point, and no few sets, outweigh all others in one of the two sums."""
        seen = _seen(self.means, self.shares, self.own)[: self.own]
        few = _rare(np.abs(self.means[:, 0]), 0.0) or (self.shares[:2] >= _OUTWEIGHS).any()
        return bool(np.isfinite(self.means[:, :2]).all() and not few and seen.all())

    def limits(self) -> tuple[float, float]:
        """Of the two means."""
        upper, lower = self.ends.T
        return -upper_limit(-lower), upper_limit(upper)

    def joined(self, other: _Look) -> _Look:
        """Both together, of the same coefficients and numbers of paths and points."""
        means, total, top = (
            np.concatenate([self.means, other.means]), self.total + other.total, np.maximum(self.top, other.top)
        )  # fmt: skip
        unseen = min(self.unseen[0], other.unseen[0]), min(self.unseen[1], other.unseen[1])
        return replace(self, means=means, total=total, top=top, unseen=unseen)

    def missing(self, wanted: float) -> int:
        """How many sets more, about, leave the half-width that is wanted."""
        lower, upper = self.limits()
        if not upper - lower > 2 * wanted > 0:
            return 0
        sets, half = len(self.means), max(wanted - self.gap / 2, 0.3 * wanted)
        enough = 1.1 * float(self.ends.var(axis=0, ddof=1).max()) * quantile(sets) ** 2 / max(half * half, 1e-300)
        return int(min(max(np.ceil(enough) - sets, 1), 1 << 62))

    def plan(self, ensemble: Ensemble, size: int, wanted: float, work: float) -> tuple[int, int, int]:
        """How many sets, of how many paths and points, leave the half-width that is wanted, by what was seen here."""
        if not (0 < wanted < math.inf and np.isfinite(self.spread).all()):
            return _SETS, size, _PILOT[2]
        gap, half = max(self.gap, 0.0) / 2, wanted / 1.05
        while gap > _GAP * wanted and size < _LARGEST:
            size, gap = 2 * size, gap / 2**1.5
        adjust = np.concatenate([np.eye(2), -self.coefficients], axis=1)
        each = float(np.diagonal(adjust @ self.spread @ adjust.T).max())  # variance of one point
        between = max(float(self.ends.var(axis=0, ddof=1).max()) - each / self.points, 0.0)
        move, look = size * ensemble.steps, _work(ensemble, size, 1) - size * ensemble.steps
        points = math.sqrt(max(each, 0.0) / max(between, 1e-300) * move / look)
        points = int(min(max(points, _POINTS[0], move / look), _POINTS[1])) // 4 * 4
        sets, half = _SETS, max(half - gap, half / 3)
        for _ in range(4):
            wide = quantile(sets)
            enough = (between + each / points) * wide * wide / max(half * half, 1e-300)
            sets = int(min(max(_SETS, np.ceil(enough)), max(_SETS, work // (move + look * points))))
        if sets == _SETS:  # fewer points may do
            left = sets * (half / wide) ** 2 - between
            points = int(min(points, max(_POINTS[0], each / left))) // 4 * 4 if left > 0 else points
        return sets, size, points


def _shares(top: Array, total: Array) -> Array:
    return np.asarray(top / np.maximum(total, 1e-300))


def _seen(means: Array, shares: Array, own: int) -> Array:
    """Which controls are known from the points that there are: no single one outweighs the others, and the mean is 0.

    `own` of them are bounded, the next one is that of B, and the last two, of the control variate, go together.
    """
    off = np.abs(means[:, 2:].mean(axis=0)) * math.sqrt(len(means))
    seen = (shares[2:] < _OUTWEIGHS) & (off <= _OFF * means[:, 2:].std(axis=0, ddof=1) + 1e-9)
    seen[own + 1 :] = seen[own + 1 :].all()
    return np.asarray(seen)


def _rare(each: Array, share: float) -> bool:
    """Whether numbers >= 0, of mean `each` in every set, come from so few points or sets that more may be unseen."""
    total = float(each.sum())
    return bool(share > 1 / _FEW or total * total < len(each) / 2 * float(each @ each))


def _work(ensemble: Ensemble, size: int, points: int) -> float:
    """What one set costs: an estimate in nanoseconds, which depends on nothing but these numbers."""
    features = len(ensemble.q.linear()[0])
    return size * ensemble.steps + points * (45.0 * features + 2 * size * (3 + 0.04 * features))


def quantile(sets: int) -> float:
    return float(stdtrit(sets - 1, (1 + LEVEL) / 2))


def upper_limit(values: Array) -> float:
    """Of the mean of independent values: Student's, and outwards what their skewness asks for (Johnson 1978)."""
    n, mean, spread = len(values), float(values.mean()), float(values.std(ddof=1))
    t = quantile(n)
    skewness = float(((values - values.mean()) ** 3).mean()) / spread**3 if spread > 0 else 0.0
    return mean + spread * (t / math.sqrt(n) + max(skewness, 0.0) * (1 + 2 * t * t) / (6 * n))


def _covariance(rows: Array, f: Convex) -> Array:
    """Of one point, of those from each law by themselves."""
    count = rows.shape[1]
    edges = [0, count // 2, count] if f.order is None else [0, count // 4, count // 2, count]
    parts = [(b - a) / count * np.cov(rows[:, a:b]) for a, b in itertools.pairwise(edges)]
    return np.asarray(sum(parts))


def _regression(spread: Array) -> Array:
    """The coefficients (2, controls) that leave the least variance of both ends."""
    if not np.isfinite(spread).all():
        return np.zeros((2, len(spread) - 2))
    scale = np.sqrt(np.diagonal(spread)[2:])
    scale = np.where(scale > _ROUNDING, scale, 1.0)
    inner = spread[2:, 2:] / np.outer(scale, scale)
    cross = spread[:2, 2:] / scale
    return np.asarray(np.linalg.lstsq(inner, cross.T, rcond=_ALIKE)[0].T / scale)


def _values(
    f: Convex, given: Any, other: Any, q: Any, single: Any, known: float, points: int, rng: np.random.Generator
) -> Array:
    """At every point, over the density it is from: f(r_A), its tangent's value, and the controls, whose means are 0."""
    own = given.linear()
    quarter = points // 4
    tilts = None
    if f.order is None:
        parts = [q.draw(np.zeros(2 * quarter, dtype=int), rng), given.draw(_even(given.size, 2 * quarter, rng), rng)]
    else:
        laws, masses = given.tilted(f.order)
        chance = np.where(np.isfinite(masses), np.exp(masses - masses[np.isfinite(masses)].max(initial=-np.inf)), 0.0)
        chance /= chance.sum()
        steps = (np.arange(2 * quarter) + rng.random()) / (2 * quarter)
        which = np.minimum(np.searchsorted(np.cumsum(chance), steps), len(chance) - 1)
        tilts = laws.linear()
        tilts = tilts[0], tilts[1] + np.log(chance * len(chance))
        parts = [
            q.draw(np.zeros(quarter, dtype=int), rng), given.draw(_even(given.size, quarter, rng), rng),
            laws.draw(which, rng),
        ]  # fmt: skip
    features = np.concatenate(parts)
    a, b = _log_mean(features, own), _log_mean(features, other)
    top = np.maximum(a, 0.0)
    if tilts is None:
        log_weight = -np.log((1 + np.exp(-np.abs(a))) / 2) - top  # 2/(1 + r)
    else:
        c = _log_mean(features, tilts)
        log_weight = -np.logaddexp(np.logaddexp(0.0, a) - math.log(4), c - math.log(2))
    upper = f.over(a) * np.exp(log_weight + top)
    rows = [upper, f.tangent(a, b, upper, log_weight), np.exp(log_weight) - 1]
    if tilts is not None:
        rows.append(_exp(a + log_weight) - 1)
    rows.append(_exp(a + log_weight) * np.expm1(np.minimum(b - a, 700.0)))
    if single is not None:
        g = _log_mean(features, single)
        rows += [f.over(g) * _exp(np.maximum(g, 0.0) + log_weight) - known, _exp(g + log_weight) - 1]
    return np.stack(rows)


def _even(size: int, count: int, rng: np.random.Generator) -> Array:
    """`count` indices below `size`, each as likely, as even as they can be."""
    return np.asarray((np.arange(count) + rng.random()) * (size / count), dtype=int) % size


def _log_mean(features: Array, linear: tuple[Array, Array]) -> Array:
    """ln of the mean over the paths of e^{features @ slopes + constants}."""
    slopes, constants = linear
    result = np.empty(len(features))
    rows = max(1, _BLOCK // max(1, len(constants)))
    for first in range(0, len(features), rows):
        x = features[first : first + rows] @ slopes
        x += constants
        top = x.max(axis=1)
        if np.abs(x).max() < _SMALL:
            result[first : first + rows] = np.log1p(np.expm1(x).mean(axis=1))
            continue
        x -= top[:, None]
        np.exp(x, out=x)
        result[first : first + rows] = np.log(x.mean(axis=1)) + top
    return result
