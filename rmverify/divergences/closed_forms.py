r"""KL, Renyi, chi-squared, Hellinger and W_2 between Gaussians, each without cancellation at small differences."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from rmverify.divergences.chernoff import log_transform, modes
from rmverify.divergences.pair import EPS, Pair, common_modes
from rmverify.elementary import log1p_minus
from rmverify.targets import Gaussian
from rmverify.targets.checks import Array
from rmverify.values import Value

__all__ = [
    "chi_squared",
    "hellinger_distance",
    "kullback_leibler",
    "renyi_divergence",
    "wasserstein",
    "wasserstein_pair",
]


def kullback_leibler(pair: Pair) -> Value:
    """KL(p||q) = 1/2 sum n [y - ln(1+y) + m^2/b], y = a/b - 1 the inverse ratio, ln(1+y) = -ln(1+r)."""
    if pair.singular:
        return Value(math.inf)
    r, y, n = pair.ratio, pair.inverse_ratio, pair.multiplicity
    terms = np.where(r > 1, y + np.log1p(np.maximum(r, 0)), -log1p_minus(np.where(r > 1, 0.0, y)))
    terms = terms + pair.inverse_shift
    value = float(n @ terms) / 2
    slope = np.abs(y) * pair.log_error + pair.log_error**2 / 2
    slope = slope + (2 * np.sqrt(pair.shift) + pair.shift_error) * pair.shift_error * (1 + y)
    error = 8 * EPS * value + float(n @ slope) / 2
    return Value(value, "exact", error, lower=max(0.0, value - error))


def renyi_divergence(pair: Pair, order: float) -> Value:
    """D_s(p||q) = ln BC(s)/(s-1), BC(s) = int p^s q^{1-s}; infinite where 1 + s r_i <= 0."""
    if order == 1:
        return kullback_leibler(pair)
    if pair.singular or (_tilted(pair, order) <= 0).any():
        return Value(math.inf)
    value, error = _log_transform(pair, order)
    return Value(max(value / (order - 1), 0.0), "exact", error / abs(order - 1))


def chi_squared(pair: Pair) -> Value:
    """chi^2(p||q) = int p^2/q - 1 = e^{ln BC(2)} - 1; infinite where b_i <= a_i/2."""
    if pair.singular or (_tilted(pair, 2.0) <= 0).any():
        return Value(math.inf)
    value, error = _log_transform(pair, 2.0)
    if value > 700:
        return Value(math.inf)
    return Value(math.expm1(value), "exact", math.exp(value) * error)


def hellinger_distance(pair: Pair) -> Value:
    """H(p, q) = sqrt(1 - BC(1/2)) in [0, 1], so that H^2 <= TV <= H sqrt(2 - H^2)."""
    if pair.singular:
        return Value(1.0, complement=0.0)
    value, error = _log_transform(pair, 0.5)
    square = -math.expm1(min(value, 0.0))
    distance = math.sqrt(square)
    absolute = pair.distance_error + (math.exp(min(value, 0.0)) * error / (2 * distance) if distance else 0.0)
    absolute = min(absolute, 1.0)
    return Value(
        distance, "exact", absolute, lower=max(0.0, distance - absolute), upper=min(1.0, distance + absolute),
        complement=math.exp(value) / (1 + distance),
    )  # fmt: skip


def _log_transform(pair: Pair, s: float) -> tuple[float, float]:
    """ln BC(s) and its absolute error: rounding, and the first order of the errors of the laws.

    Modes with z = s b/a + 1 - s below 1/2, near the end of the domain, are taken from a and b themselves.
    """
    if not pair.ratio.size:
        return 0.0, 0.0
    r, n, mu2 = pair.ratio, pair.multiplicity, pair.shift
    z = _tilted(pair, s)
    edge = z < 0.5
    direct = n * (s * pair.log_ratio - np.log(z) - s * (1 - s) * mu2 / z) / 2
    value = float(direct[edge].sum())
    if not edge.all():
        # with p and q exchanged where s > 1/2, so that nothing is lost as s -> 1
        one, point = (pair, s) if s <= 0.5 else (pair.reverse, 1 - s)
        rest = ~edge
        law = modes(one.ratio[rest], one.shift[rest], n[rest], one.log_ratio[rest])
        value += float(log_transform(np.array([point]), law)[0])
    factor = abs(s * (1 - s)) / 2
    slope = (np.abs(r) / z + abs(1 - s) * mu2 / z**2 + pair.log_error) * pair.log_error
    slope = slope + (2 * np.sqrt(mu2) + pair.shift_error) * pair.shift_error / z
    lost = EPS * np.where(edge, 2 + abs(s) * (1 + np.abs(pair.log_ratio)) + factor * mu2 / z, 0.0)
    return value, 8 * EPS * abs(value) + factor * float(n @ slope) + float(n @ lost)


def _tilted(pair: Pair, s: float) -> Array:
    """z = (s b + (1-s) a)/a, positive where int p^s q^{1-s} is finite; exact before rounding near that edge."""
    z = np.asarray((s * pair.b + (1 - s) * pair.a) / pair.a)
    order = Fraction(s)
    for k in np.flatnonzero(z < 0.5):
        a, b = Fraction(pair.a[k]), Fraction(pair.b[k])
        z[k] = float((order * b + (1 - order) * a) / a)
    return z


def wasserstein(p: Gaussian, q: Gaussian) -> Value:
    r"""W_2(p, q), the Bures distance: sum n [(a-b)/(sqrt a + sqrt b)]^2 + |m|^2 where the laws commute; else
    ||A^{1/2} - B^{1/2} U||_F with U the polar factor, a sum of squares in which nothing cancels."""
    with np.errstate(over="ignore"):
        return _wasserstein(p, q)


def _wasserstein(p: Gaussian, q: Gaussian) -> Value:
    aligned = common_modes(p, q)
    if aligned is not None:
        p, q = aligned
        root_p, root_q = np.sqrt(p.variances), np.sqrt(q.variances)
        both = np.where(root_p + root_q > 0, root_p + root_q, 1.0)
        gap = (p.variances - q.variances) / both
        value = math.sqrt(float(p.multiplicities @ (gap**2 + (p.means - q.means) ** 2)))
        spread = (p.rounding * p.variances + q.rounding * q.variances) / both
        means = p.rounding * np.abs(p.means) + q.rounding * np.abs(q.means)
        error = math.sqrt(float(p.multiplicities @ (spread**2 + means**2)))
        return Value(value, "exact", 8 * EPS * value + error, lower=max(0.0, value - error))
    X, Y = _root(p), _root(q)
    left, _, right = np.linalg.svd(X @ Y)
    difference = X - Y @ right.T @ left.T
    value = math.hypot(float(np.linalg.norm(difference)), float(np.linalg.norm(p.mean - q.mean)))
    size = float(np.linalg.norm(X) + np.linalg.norm(Y) + np.linalg.norm(p.mean) + np.linalg.norm(q.mean))
    error = (EPS * p.dim + float(p.rounding.max() + q.rounding.max())) * size + _root_error(p) + _root_error(q)
    return Value(value, "exact", error, lower=max(0.0, value - error))


def wasserstein_pair(pair: Pair) -> Value:
    """W_2 of a canonical pair, whose ratios know more of a - b than a and b."""
    if not pair.a.size:
        return Value(0.0)
    gap = pair.a * pair.ratio / (np.sqrt(pair.a) + np.sqrt(pair.b))
    value = math.sqrt(float(pair.multiplicity @ (gap**2 + pair.shift * pair.a)))
    spread = (pair.log_error**2 / 4 + pair.shift_error**2) * pair.a
    error = 8 * EPS * value + math.sqrt(float(pair.multiplicity @ spread))
    return Value(value, "exact", error, lower=max(0.0, value - error))


def _root_error(law: Gaussian) -> float:
    """How far the square root of a dense covariance moves with its eigenvalues: e/(sqrt v + sqrt e) each."""
    error = law.spectral_error
    if not error:
        return 0.0
    return float(np.linalg.norm(error / (np.sqrt(law.variances) + math.sqrt(error))))


def _root(law: Gaussian) -> np.ndarray:
    if law.basis is None:
        return np.diag(np.sqrt(np.repeat(law.variances, law.multiplicities.astype(int))))
    return (law.basis * np.sqrt(law.variances)) @ law.basis.T
