r"""Brackets for the law of a randomized plan, a mixture over its midpoints, against a Gaussian.

Upper bounds are means over random paths of midpoints of the exact conditional divergence (joint convexity), plus two
standard errors. Lower bounds are exact where they come from the mixture's exact moments, and means over the same
paths, minus two standard errors, where they come from a test set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rmverify.divergences.closed_forms import kullback_leibler, wasserstein
from rmverify.divergences.pair import Pair, canonical, common_modes
from rmverify.divergences.tv import set_gap, total_variation_many
from rmverify.laws import MixtureLaw
from rmverify.targets import Gaussian
from rmverify.targets.checks import Array
from rmverify.values import Value

__all__ = ["bracket", "tv_bracket"]


class _Mean(NamedTuple):
    """A mean over paths, and two standard errors."""

    mean: float
    error: float


def _mean(values: Array) -> _Mean:
    if values.size == 1 or not np.isfinite(values).all():
        return _Mean(float(values.mean()), 0.0 if values.size == 1 else math.inf)
    return _Mean(float(values.mean()), 2 * float(values.std(ddof=1)) / math.sqrt(values.size))


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
) -> Value:
    """upper = mean of the conditional `divergence` over paths; `lower` as given (a bound from the exact moments)."""
    q = _modes_of(mixture, q)
    if mixture.midpoints * paths > _MOST_MIDPOINTS:
        return Value(most, "upper", 0.0, lower=min(max(0.0, lower()), most), upper=most)
    means, variances = mixture.conditionals(paths, rng=rng)

    def given(mean: Array, variance: Array) -> Value:
        law = q.with_modes(variance, mean, mixture.rounding)
        return divergence(canonical(q, law) if reverse else canonical(law, q))

    values = list(map(given, means, variances))
    if any(map(math.isinf, map(given, *mixture.corners()))):  # so it is for midpoints nearby: the mean is infinite
        return Value(math.inf, "upper", 0.0, lower=max(0.0, lower()), upper=math.inf)
    top = average(np.array(values, dtype=float))
    rounding = max((v.error for v in values if math.isfinite(v)), default=0.0)
    bound = min(top.mean + top.error + rounding, most)
    return Value(bound, "upper", min(top.error + rounding, most), lower=min(max(0.0, lower()), bound), upper=bound)


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
