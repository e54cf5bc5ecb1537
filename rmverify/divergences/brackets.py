r"""Brackets for the law of a randomized plan, a mixture over its midpoints, against a Gaussian.

Upper bounds are means over random paths of midpoints of the exact conditional divergence (joint convexity). Lower
bounds are exact where they come from the mixture's exact moments, and means over the same paths where they come from a
test set. Each end that comes from paths is a confidence limit of its own at the level of 95 %:

bounded, or light tails   mean +- max(2, t) standard errors, t Student's quantile at 97.5 %, and for the upper end what
                          the skewness asks for (Johnson 1978): by the normal approximation, so that the level has to
                          spare what skewness costs. TV, Hellinger, int p^s q^{1-s} with s < 1; KL and W_2 while the
                          variances given the paths spread by less than a quarter of their mean
heavy tails               of KL and W_2: what is linear in the variances and squared means of the paths is taken from
                          the mixture's exact moments, and only the rest, ln v or sqrt v, from the paths
powers s > 1, chi^2       the bound of Maurer and Pontil (2009), mean + (2 var ln(2/0.05)/n)^{1/2} + 7 R ln(2/0.05)/
                          (3 (n-1)), R the largest value that any midpoints give; infinite where none is known
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from rmverify.divergences.closed_forms import kullback_leibler, renyi_divergence, wasserstein
from rmverify.divergences.pair import Pair, canonical, common_modes
from rmverify.divergences.tv import set_gap, total_variation_many
from rmverify.laws import MixtureLaw
from rmverify.laws.conditional import initial, pieces, split_target, stage_map
from rmverify.readings.chain import transition
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Gaussian
from rmverify.targets.checks import Array
from rmverify.values import Value

__all__ = ["bracket", "power_bracket", "tv_bracket"]


LEVEL = 0.95
_HEAVY = 0.25  # relative standard deviation of a variance over the paths from which its exact mean is used
_GRID = np.linspace(0.0, 1.0, 33)


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


def bounded_mean(values: Array, least: float, most: float) -> float:
    """The upper confidence limit of a mean whose values lie in [least, most] (Maurer and Pontil)."""
    if not (math.isfinite(most) and np.isfinite(values).all()):
        return math.inf
    log, n = math.log(2 / (1 - LEVEL)), values.size
    spread = math.sqrt(2 * float(values.var(ddof=1)) * log / n)
    return min(float(values.mean()) + spread + 7 * (most - least) * log / (3 * (n - 1)), most)


def extremes(mixture: MixtureLaw) -> tuple[Array, Array, Array] | None:
    """The least and the largest variance, and the largest |mean|, of each mode over all midpoints; None where a step
    draws several or keeps a velocity.

    Step by step, each at the worst of a grid of its midpoint, and what a parabola may rise between the points.
    """
    truth, modes = split_target(mixture.target)
    start = initial(truth, mixture.plan, mixture.start)
    low, high, mean = start.variances, start.variances, np.abs(start.means)
    for stage in mixture.plan:
        foot = stage.footprint
        if not foot.alphas:
            (((a,),), (b,), ((c,),)), _ = stage_map(stage, modes)
            low, high, mean = (np.ravel(x) for x in (a * a * low + c, a * a * high + c, np.abs(a) * mean + np.abs(b)))
            continue
        if foot.alphas > 1 or np.max(foot.strata) > 1 or velocity_variance(stage.scheme) is not None:
            return None
        for _, t, h in pieces(stage, _GRID.size * modes.lam.size):
            rows = np.broadcast_to(_GRID[:, None], (1, len(t), _GRID.size, 1))
            step = transition(stage.scheme, foot, modes, t, h, rows)
            shape = (len(t), _GRID.size, modes.lam.size)
            linear, shift, noise = (
                np.broadcast_to(x, shape) for x in (step.linear[0][0], step.shift[0], step.noise[0][0])
            )
            for a, b, c in zip(linear, shift, noise, strict=True):
                low = np.maximum(_most(-(a * a * low + c)) * -1, 0.0)
                high, mean = _most(a * a * high + c), _most(np.abs(a) * mean + np.abs(b))
    return low, high, mean


def _most(values: Array) -> Array:
    """The largest of each column."""
    return np.asarray(values.max(axis=0) + np.abs(np.diff(values, 2, axis=0)).max(axis=0))


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
    means, variances = mixture.conditionals(paths, rng=rng)
    live = q.variances > 0
    if (variances[:, ~live] != 0).any() or (means[:, ~live] != q.means[~live]).any():
        return Value(1.0, "upper", 0.0, lower=0.0, upper=1.0)
    means, variances, count = means[:, live], variances[:, live], q.multiplicities[live]
    b, center = q.variances[live], q.means[live]
    ratio = (b - variances) / variances
    tv, errors = total_variation_many(ratio, (means - center) ** 2 / variances, count)
    spread = float(np.sqrt(count @ (mixture.rounding + q.rounding)[live] ** 2 / 8))
    top = _mean(tv)
    upper = min(1.0, top.mean + top.error + float(errors.mean()) + spread)
    g = (mixture.means[live], mixture.variances[live])
    gaps, gap_errors = set_gap(g, (center, b), (means, variances), count)
    gap = _mean(gaps)
    lower = max(0.0, abs(gap.mean) - gap.error - float(gap_errors.mean()) - spread)
    return Value(upper, "upper", top.error + float(errors.mean()) + spread, lower=min(lower, upper), upper=upper)


def bracket(
    mixture: MixtureLaw,
    q: Gaussian,
    divergence: Callable[[Pair], Value],
    lower: Callable[[], float],
    paths: int,
    rng: object,
    *,
    reverse: bool = False,
    most: float = math.inf,
    average: Callable[[Array], _Mean] = _mean,
    moments: Callable[[Gaussian, Array], tuple[float, Array]] | None = None,
) -> Value:
    """upper = mean of the conditional `divergence` over paths; `lower` as given (a bound from the exact moments).

    `moments(q, variances)`: the mean of what is linear in the moments of the paths, and the rest on each path, for
    heavy tails.
    """
    q = _modes_of(mixture, q)
    if mixture.midpoints * paths > _MOST_MIDPOINTS:
        return Value(most, "upper", 0.0, lower=min(max(0.0, lower()), most), upper=most)
    means, variances = mixture.conditionals(paths, rng=rng)

    def given(mean: Array, variance: Array) -> Value:
        law = q.with_modes(variance, mean, mixture.rounding)
        return divergence(canonical(q, law) if reverse else canonical(law, q))

    values = list(map(given, means, variances))
    rounding = max((v.error for v in values if math.isfinite(v)), default=0.0)
    if moments is not None and _heavy(variances):
        exact, rest = moments(q, variances)
        part = _mean(rest)
        top = _Mean(exact + part.mean, part.error + 1e-12 * exact)
    else:
        top = average(np.array(values, dtype=float))
    bound = min(top.mean + top.error + rounding, most)
    if not math.isfinite(bound):
        return Value(most, "upper", 0.0, lower=min(max(0.0, lower()), most), upper=most)
    return Value(bound, "upper", min(top.error + rounding, most), lower=min(max(0.0, lower()), bound), upper=bound)


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
    low, high, mean = ends

    def log_power(law: Gaussian) -> float:
        value = renyi_divergence(canonical(law, q), order)
        return (order - 1) * (float(value) + value.error)

    off = mean + np.abs(q.means)
    far = q.with_modes(high, q.means + off), q.with_modes(low, q.means + off)
    most = sum(max(0.0, log_power(law)) for law in far)
    if not most < 700:
        return nothing
    means, variances = mixture.conditionals(paths, rng=rng)
    laws = (q.with_modes(v, m, mixture.rounding) for m, v in zip(means, variances, strict=True))
    powers = np.exp([log_power(law) for law in laws])
    bound = finish(math.log(bounded_mean(powers, 1.0, math.exp(most))))
    middle = finish(math.log(float(powers.mean())))
    return Value(bound, "upper", max(bound - middle, 0.0), lower=min(least, bound), upper=bound)


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
