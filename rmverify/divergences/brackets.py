r"""Brackets for the law of a randomized plan, a mixture over its midpoints, against a Gaussian.

Upper bounds are means over random paths of midpoints of the exact conditional divergence (joint convexity). Lower
bounds are exact where they come from the mixture's exact moments, and means over the same paths where they come from a
test set. Each end that comes from paths is a confidence limit of its own at the level of 95 %:

steps that are known to be analytic in their midpoints: this package's, on scores without a bias that is a function
    bounded, or light tails   mean + max(2, t) standard errors, t Student's quantile at 97.5 %, and what the skewness
                              asks for (Johnson 1978): by the normal approximation, so that the level has to spare what
                              skewness costs. TV, Hellinger, int p^s q^{1-s} with s < 1; KL and W_2 while the variances
                              given the paths spread by less than a quarter of their mean
    heavy tails               of KL and W_2: what is linear in the variances and squared means of the paths is taken
                              from the mixture's exact moments, and only the rest, ln v or sqrt v, from the paths
any other step, which may do rarely what no path shows, with 16 times as many paths; and powers s > 1, chi^2 of all
    the bound of Maurer and Pontil (2009), mean + (2 var ln(2/0.05)/n)^{1/2} + 7 R ln(2/0.05)/(3 (n-1)), R the range
    over all that can be drawn, or what is natural (1 for TV) where none is known; of KL and W_2 of the rest alone
    where that has the shorter range; and never above what the exact moments and the range say

Where the lower end, of exact moments, is above an upper end from paths, these have missed something: the upper end is
then the largest value that the moments and the range allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from rmverify.divergences.closed_forms import hellinger_distance, kullback_leibler, renyi_divergence, wasserstein
from rmverify.divergences.pair import canonical, common_modes
from rmverify.divergences.tv import set_gap, total_variation_many
from rmverify.laws import MixtureLaw
from rmverify.laws.bends import NotResolved
from rmverify.laws.conditional import initial, pieces, split_target, stage_map
from rmverify.laws.midpoints import rules
from rmverify.plans import Correct, Stage
from rmverify.readings.chain import transition
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Gaussian
from rmverify.targets.checks import Array
from rmverify.values import Value

__all__ = ["bracket", "power_bracket", "tv_bracket"]


LEVEL = 0.95
_HEAVY = 0.25  # relative standard deviation of a variance over the paths from which its exact mean is used
_NODES = (33, 17, 9, 5)  # of a panel of every draw, where a step has 1, 2, 3 or more of them
_MOST_POINTS = 1 << 13  # of a step
_WIDER = 64  # part of a range of one step by which it is taken to be wider than its grid shows


class _Mean(NamedTuple):
    """A mean over paths, and how far above or below it the confidence limit lies."""

    mean: float
    error: float


def _mean(values: Array) -> _Mean:
    if values.size == 1 or not np.isfinite(values).all():
        return _Mean(float(values.mean()), 0.0 if values.size == 1 else math.inf)
    n, mean, spread = values.size, float(values.mean()), float(values.std(ddof=1))
    if not spread > 0:
        return _Mean(mean, 0.0)
    t = max(2.0, float(stdtrit(n - 1, 0.975)))
    skewness = max(0.0, float((((values - mean) / spread) ** 3).mean()))
    return _Mean(mean, spread * (t / math.sqrt(n) + skewness * (1 + 2 * t * t) / (6 * n)))


def bounded_mean(values: Array, least: float, most: float, level: float = LEVEL) -> float:
    """The upper confidence limit of a mean whose values lie in [least, most] (Maurer and Pontil)."""
    if not (math.isfinite(most - least) and np.isfinite(values).all()):
        return most
    log, n = math.log(2 / (1 - level)), values.size
    spread = math.sqrt(2 * float(values.var(ddof=1)) * log / n)
    return min(float(values.mean()) + spread + 7 * (most - least) * log / (3 * (n - 1)), most)


class _Range(NamedTuple):
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


def extremes(mixture: MixtureLaw) -> _Range | None:
    """The range of the conditional laws; None where a step keeps a velocity, or draws too many numbers for a grid.

    Step by step, each at the worst of a grid of what it draws, on the panels between which it bends.
    """
    truth, modes = split_target(mixture.target)
    start = initial(truth, mixture.plan, mixture.start)
    found = _Range(start.variances, start.variances, start.means, start.means)
    with np.errstate(all="ignore"):
        for stage in mixture.plan:
            if not stage.footprint.alphas:
                (((a,),), (b,), ((c,),)), _ = stage_map(stage, modes)
                found = _stepped(found, *np.broadcast_arrays(a, b, c))
                continue
            if velocity_variance(stage.scheme) is not None:
                return None
            try:
                found = _through(stage, modes, found)
            except (ValueError, NotResolved):
                return None
    return found if all(map(_finite, found)) else None


def _finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


def _through(stage: Stage, modes: Any, found: _Range) -> _Range:
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
        for entries in zip(
            *(np.broadcast_to(x, shape) for x in (step.linear[0][0], step.shift[0], step.noise[0][0])), strict=True
        ):
            for _ in range(many):
                before, found = found, _stepped(found, *entries)
                if all(np.array_equal(x, y) for x, y in zip(before, found, strict=True)):
                    break
    return found


def _closed(nodes: int) -> tuple[Array, Array]:
    """Chebyshev points of [0, 1] with both ends."""
    return (1 - np.cos(np.pi * np.arange(nodes) / (nodes - 1))) / 2, np.ones(nodes)


def _stepped(found: _Range, a: Array, b: Array, c: Array) -> _Range:
    """The range after x' = a x + b + N(0, c) with any of the rows of a, b and c."""
    low, high = (a * a * found.low + c).min(axis=0), (a * a * found.high + c).max(axis=0)
    alone = (a * a * found.high + c).min(axis=0)  # of a law of known variance nothing is added where no row differs
    wider = np.where(low > 0, (high / np.maximum(alone, 1e-300)) ** (1 / _WIDER), 1.0)
    left = np.minimum(a * found.left, a * found.right) + b
    right = np.maximum(a * found.left, a * found.right) + b
    more = (np.ptp(left, axis=0) + np.ptp(right, axis=0)) / _WIDER
    return _Range(low / wider, high * wider, left.min(axis=0) - more, right.max(axis=0) + more)


def _modes_of(mixture: MixtureLaw, q: Gaussian) -> Gaussian:
    """q in the mixture's own modes."""
    q = q.at(0.0) if q is mixture.target else q
    model = mixture._truth.with_modes(mixture.variances, mixture.means, mixture.rounding)
    aligned = common_modes(model, q)
    if aligned is None or aligned[0].variances.shape != model.variances.shape:
        raise TypeError(
            "q: the bracket of a mixture needs a law in the target's own modes, such as target.at(t); got another basis"
        )
    return aligned[1]


def tv_bracket(mixture: MixtureLaw, q: Gaussian, paths: int, rng: object) -> Value:
    r"""lower = |E_a P_a(A) - Q(A)| with A = {moment-matched Gaussian > q}; upper = E_a TV(P_a, q)."""
    if mixture.midpoints * paths > _MOST_MIDPOINTS:
        return Value(1.0, "upper", 0.0, lower=0.0, upper=1.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return _tv_bracket(mixture, _modes_of(mixture, q), paths, rng)


def _tv_bracket(mixture: MixtureLaw, q: Gaussian, paths: int, rng: object) -> Value:
    means, variances = mixture.conditionals(_count(mixture, paths), rng=rng)
    live = q.variances > 0
    if (variances[:, ~live] != 0).any() or (means[:, ~live] != q.means[~live]).any():
        return Value(1.0, "upper", 0.0, lower=0.0, upper=1.0)
    means, variances, count = means[:, live], variances[:, live], q.multiplicities[live]
    b, center = q.variances[live], q.means[live]
    ratio = (b - variances) / variances
    tv, errors = total_variation_many(ratio, (means - center) ** 2 / variances, count)
    spread = float(np.sqrt(count @ (mixture.rounding + q.rounding)[live] ** 2 / 8))
    g = (mixture.means[live], mixture.variances[live])
    gaps, gap_errors = set_gap(g, (center, b), (means, variances), count)
    slack, gap = float(errors.mean()) + spread, float(abs(gaps.mean()))
    if mixture._analytic:
        top = _mean(tv)
        limit, below = top.mean + top.error, gap - _mean(gaps).error
    else:
        ends = extremes(mixture)
        square = 1.0 if ends is None else min(1.0, sum(hellinger_distance(canonical(p, q)) ** 2 for p in ends.far(q)))
        most = math.sqrt(square * (2 - square))  # TV <= H (2 - H^2)^{1/2}
        sign = 1.0 if gaps.mean() < 0 else -1.0
        limit, below = bounded_mean(tv, 0.0, most), -bounded_mean(sign * gaps, -most, most, (1 + LEVEL) / 2)
    upper = min(1.0, limit + slack)
    lower = max(0.0, below - float(gap_errors.mean()) - spread)
    upper = upper if lower <= upper else 1.0
    return Value(upper, "upper", max(upper - float(tv.mean()), 0.0), lower=lower, upper=upper)


def _same(value: float) -> float:
    return value


def bracket(
    mixture: MixtureLaw,
    q: Gaussian,
    divergence: Callable[[Any], Value],
    lower: Callable[[], float],
    paths: int,
    rng: object,
    *,
    between: Callable[[Gaussian, Gaussian], Any] = canonical,
    reverse: bool = False,
    most: float = math.inf,
    scale: tuple[Callable[[float], float], Callable[[float], float]] = (_same, _same),
    moments: Callable[[Gaussian, Array], tuple[float, Array]] | None = None,
) -> Value:
    """upper = mean of the conditional `divergence` over paths; `lower` as given (a bound from the exact moments).

    `between(p, q)` is what `divergence` is of. `scale`: the increasing function of it that is convex in the law, so
    that its mean is a bound, and the inverse. `moments(q, variances)`: the mean of what is linear in the moments of the
    paths, and the rest on each path, a falling function of the variances.
    """
    q = _modes_of(mixture, q)
    forward, back = scale
    least = min(max(0.0, lower()), most)
    ends = None if mixture._analytic else extremes(mixture)

    def given(mean: Array, variance: Array) -> Value:
        law = q.with_modes(variance, mean, mixture.rounding)
        return divergence(between(q, law) if reverse else between(law, q))

    def scaled(value: float) -> float:
        return forward(min(value, most))

    reach = scaled(most)
    if ends is not None:
        reach = min(reach, sum(scaled(v + v.error) for v in (given(law.means, law.variances) for law in ends.far(q))))
    exact, floor, top, cap = 0.0, -math.inf, math.inf, reach
    if moments is not None:
        low, high = (np.zeros_like(q.variances), np.full_like(q.variances, np.inf)) if ends is None else ends[:2]
        with np.errstate(all="ignore"):
            exact, top = (float(x) for x in moments(q, low))
            floor = float(moments(q, high)[1])
        exact += 1e-12 * exact
        cap = min(reach, exact + top) if not math.isnan(exact + top) else reach

    def end(limit: float, middle: float, rounding: float) -> Value:
        bound = min(back(limit) + rounding, most)
        if not bound >= least:
            bound = max(min(back(cap) + rounding, most), least)
        return Value(bound, "upper", bound - min(middle, bound) if bound < most else 0.0, lower=least, upper=bound)

    if mixture.midpoints * paths > _MOST_MIDPOINTS:
        return end(cap, 0.0, 0.0)
    means, variances = mixture.conditionals(_count(mixture, paths), rng=rng)
    values = list(map(given, means, variances))
    rounding = max((v.error for v in values if math.isfinite(v)), default=0.0)
    direct = np.array([scaled(v) for v in values])
    split = moments is not None and (_heavy(variances) if mixture._analytic else top - floor < reach)
    shift, part = 0.0, direct
    if split and moments is not None:
        shift, part = exact, moments(q, variances)[1]
    if mixture._analytic:
        mean = _mean(part)
        limit = shift + mean.mean + mean.error
    else:
        limit = shift + (bounded_mean(part, floor, top) if split else bounded_mean(direct, 0.0, reach))
    middle = shift + float(part.mean())
    return end(max(min(limit, cap), 0.0), back(min(max(middle, 0.0), reach)), rounding)


def _heavy(variances: Array) -> bool:
    mean = variances.mean(axis=0)
    return bool((variances.std(axis=0, ddof=1) > _HEAVY * mean).any())


def kl_moments(mixture: MixtureLaw) -> Callable[[Gaussian, Array], tuple[float, Array]]:
    """E KL(P_a||q) = 1/2 sum n [V/b - 1 + (M - m)^2/b - E ln(v_a/b)], V and M the mixture's own moments."""

    def of(q: Gaussian, variances: Array) -> tuple[float, Array]:
        n, b = mixture.multiplicities, q.variances
        exact = float(n @ (mixture.variances / b - 1 + (mixture.means - q.means) ** 2 / b)) / 2
        return exact, -np.log(variances / b) @ n / 2

    return of


def w2_moments(mixture: MixtureLaw) -> Callable[[Gaussian, Array], tuple[float, Array]]:
    """E W_2^2(P_a, q) = sum n [V + b + (M - m)^2 - 2 sqrt(b) E sqrt(v_a)]."""

    def of(q: Gaussian, variances: Array) -> tuple[float, Array]:
        n, b = mixture.multiplicities, q.variances
        exact = float(n @ (mixture.variances + b + (mixture.means - q.means) ** 2))
        return exact, -2 * np.sqrt(variances * b) @ n

    return of


def power_bracket(
    mixture: MixtureLaw,
    q: Gaussian,
    order: float,
    lower: Callable[[], float],
    paths: int,
    rng: object,
    finish: Callable[[float], float],
) -> Value:
    """upper = finish(ln of the mean of int P_a^s q^{1-s}), s = `order` > 1."""
    q = _modes_of(mixture, q)
    least = max(0.0, lower())
    nothing = Value(math.inf, "upper", 0.0, lower=least, upper=math.inf)
    ends = extremes(mixture)
    if mixture.midpoints * paths > _MOST_MIDPOINTS or ends is None:
        return nothing

    def log_power(law: Gaussian) -> float:
        value = renyi_divergence(canonical(law, q), order)
        return (order - 1) * (float(value) + value.error)

    most = sum(max(0.0, log_power(law)) for law in ends.far(q))
    if not most < 700:
        return nothing
    means, variances = mixture.conditionals(_count(mixture, paths), rng=rng)
    laws = (q.with_modes(v, m, mixture.rounding) for m, v in zip(means, variances, strict=True))
    powers = np.exp([log_power(law) for law in laws])
    bound = finish(math.log(bounded_mean(powers, 1.0, math.exp(most))))
    bound = bound if least <= bound else max(finish(most), least)
    middle = finish(math.log(float(powers.mean())))
    return Value(bound, "upper", max(bound - middle, 0.0), lower=least, upper=bound)


def _count(mixture: MixtureLaw, paths: int) -> int:
    """How many paths are drawn: more where the ends must also hold for what few of them show."""
    within = _MOST_MIDPOINTS // max(1, mixture.midpoints)
    return paths if mixture._analytic else max(paths, min(_MORE * paths, within))


_MORE = 16
_MOST_MIDPOINTS = 3 * 10**8
"""Midpoints of all paths beyond which nothing is simulated, and no upper end is known."""

_MOST_CORRELATED = 2000
"""Dimension beyond which the full covariance of correlated modes is not formed; the bounds from it are then 0."""


def moment_kl(mixture: MixtureLaw, q: Gaussian) -> float:
    """KL(g||q) <= KL(p||q) for Gaussian q and g the Gaussian with p's moments: KL(p||q) = KL(p||g) + KL(g||q)."""
    if mixture.correlated and mixture.dim > _MOST_CORRELATED:
        return 0.0
    value = kullback_leibler(canonical(mixture.surrogate, q))
    return float(value) - value.error if math.isfinite(value) else 0.0


def moment_w2(mixture: MixtureLaw, q: Gaussian) -> float:
    """W_2 between the moment-matched Gaussians, a lower bound of W_2 (Gelbrich)."""
    if mixture.correlated and mixture.dim > _MOST_CORRELATED:
        return 0.0
    value = wasserstein(mixture.surrogate, q)
    return float(value) - value.error
