r"""KL, Renyi, chi-squared, Hellinger and W_2 between Gaussians, each without cancellation at small differences.

An error is that of the arithmetic, some units of 2^-52, plus what the errors of the pair move the divergence by: its
derivatives in ln(b/a) and in the shift at their largest between the pair and the laws meant.
"""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from functools import cached_property

import numpy as np

from rmverify.divergences.chernoff import log_transform, modes
from rmverify.divergences.pair import Pair, modewise, pair_of, plain, relative
from rmverify.divergences.seen import Seen
from rmverify.divergences.tv import total_variation
from rmverify.elementary import log1p_minus
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import EPS
from rmverify.numbers.values import Value
from rmverify.targets import Gaussian

__all__ = ["Gaussians", "kullback_leibler", "overflow", "pair_tv", "renyi_divergence", "wasserstein"]

_COARSE = 1e-12  # errors of the laws from which on a large TV is looked at more closely
_HUGE = 1e300  # a ratio is not larger where TV is integrated: 1 - TV is below 1e-75
_LARGEST = sys.float_info.max
_LEAST = 5e-324


class Gaussians(Seen):
    """Two Gaussians, of which one or both may be what Langevin steps leave invariant."""

    @cached_property
    def pair(self) -> Pair:
        return pair_of(self.p, self.q)

    def tv(self) -> Value:
        return pair_tv(self.pair)

    def kl(self) -> Value:
        return kullback_leibler(self.pair)

    def renyi(self, order: float) -> Value:
        return renyi_divergence(self.pair, order)

    def chi2(self) -> Value:
        return chi_squared(self.pair)

    def hellinger(self) -> Value:
        return hellinger_distance(self.pair)

    def w2(self) -> Value:
        known = relative(self.p, self.q)
        return wasserstein_pair(known) if known is not None else wasserstein(plain(self.p), plain(self.q))


def _apart(pair: Pair, most: float) -> Value:
    """The divergence of laws on different supports: `most`, unless rounding decided that they are different."""
    if pair.doubtful:
        return Value(most, "upper", lower=0.0, upper=most)
    return Value(most, complement=1 - most)


def _law_of(pair: Pair, value: Value, most: float = math.inf) -> Value:
    """The divergence where rounding decided that two singular laws have one support: if not, it is `most`."""
    if not pair.doubtful:
        return value
    return Value(value, "lower", value.error, lower=value.lower, upper=most, complement=value.complement)


@np.errstate(over="ignore", under="ignore")
def pair_tv(pair: Pair) -> Value:
    """TV(p, q), by `rmverify.divergences.tv`; the laws meant are within `distance_error`, and 1 - TV <= BC(1/2)."""
    if pair.singular:
        return _apart(pair, 1.0)
    if not pair.ratio.size:
        return _law_of(pair, Value(0.0), 1.0)
    off = pair.distance_error
    if off > _COARSE:
        off = min(off, math.exp(min(sum(_log_transform(pair, 0.5)), 0.0)))
    one = pair
    if pair.ratio.max() > _HUGE and pair.inverse_ratio.max() < pair.ratio.max():
        one = pair.reverse
    ratio, shift = one.ratio, one.shift
    if max(float(ratio.max()), float(shift.max())) > _HUGE:
        ratio, shift = np.minimum(ratio, _HUGE), np.minimum(shift, _HUGE)
    if pair.scale == 1:
        return _law_of(pair, total_variation(ratio, shift, pair.multiplicity, off, one.log_ratio), 1.0)
    value = total_variation(ratio, shift, pair.multiplicity, 0.0, one.log_ratio)
    return _law_of(pair, Value.clipped(value * pair.scale, value.error * pair.scale + off + _LEAST, 0, 1), 1.0)


@np.errstate(over="ignore", under="ignore", invalid="ignore")
def kullback_leibler(pair: Pair) -> Value:
    """KL(p||q) = 1/2 sum n [y - ln(1+y) + m^2/b], y = a/b - 1 the inverse ratio, ln(1+y) = -ln(1+r)."""
    if pair.singular:
        return _apart(pair, math.inf)
    y, n, square = pair.inverse_ratio, pair.multiplicity, pair.scale**2
    if max(float(y.max(initial=0.0)), float(pair.inverse_shift.max(initial=0.0))) > _HUGE:
        return _law_of(pair, overflow(float((y + pair.inverse_shift).max()) / 4))
    wide = y < -0.5
    terms = -log1p_minus(np.where(wide, 0.0, y))
    if wide.any():
        terms = np.where(wide, y + pair.log_ratio, terms)
    value = float(n @ (terms + pair.inverse_shift)) / 2 * square
    error = EPS * (8 + math.sqrt(n.size)) * value + _LEAST * (value > 0 or square < 1)
    if pair.log_error.any() or pair.shift_error.any():
        e, off = pair.log_error, pair.shift_error
        grown = np.expm1(e)
        slope = np.abs(y) * e + (1 + y) * (grown - e) + pair.inverse_shift * grown
        slope = slope + (2 * np.sqrt(pair.shift) + off) * off * (1 + y) * (1 + grown)
        error += _finite(float(n @ slope) / 2 * square)
    return _law_of(pair, Value.clipped(value, error))


def renyi_divergence(pair: Pair, order: float) -> Value:
    """D_s(p||q) = ln BC(s)/(s-1), BC(s) = int p^s q^{1-s}; infinite where 1 + s r_i <= 0."""
    if order == 1:
        return kullback_leibler(pair)
    if pair.singular:
        return _apart(pair, math.inf)
    value, *errors = _log_transform(pair, order)
    if math.isinf(value):
        return _infinite(pair, errors[1])
    gap = abs(order - 1)
    return _law_of(pair, Value.clipped(value / (order - 1), sum(errors) / gap))


def chi_squared(pair: Pair) -> Value:
    """chi^2(p||q) = int p^2/q - 1 = e^{ln BC(2)} - 1; infinite where b_i <= a_i/2."""
    if pair.singular:
        return _apart(pair, math.inf)
    value, *errors = _log_transform(pair, 2.0)
    if value == math.inf:
        return _infinite(pair, errors[1])
    if value > 709:
        return overflow(math.exp(min(max(value - sum(errors), 0.0), 709.0)))
    error = sum(errors)
    moved = math.exp(value) * math.expm1(error) if value + error < 709 else math.inf
    return _law_of(pair, Value.clipped(math.expm1(value), moved + 2 * EPS * math.expm1(value)))


def _infinite(pair: Pair, doubt: float) -> Value:
    """Infinite; a bound where the errors of the laws, or the size of the numbers, leave that open."""
    return overflow(0.0) if doubt else _law_of(pair, Value(math.inf))


def overflow(least: float) -> Value:
    """A divergence close to the largest float or beyond."""
    return Value(math.inf, "upper", lower=min(least, _LARGEST / 4), upper=math.inf)


def hellinger_distance(pair: Pair) -> Value:
    """H(p, q) = sqrt(1 - BC(1/2)) in [0, 1], so that H^2 <= TV <= H sqrt(2 - H^2)."""
    if pair.singular:
        return _apart(pair, 1.0)
    if pair.scale != 1:  # to leading order, exact to rounding here
        n, square = pair.multiplicity, pair.ratio**2 / 16 + pair.shift / 8
        value = math.sqrt(float(n @ square)) * pair.scale
        error = 8 * EPS * value + _LEAST + pair.distance_error
        return _law_of(pair, Value.clipped(value, error, 0, 1), 1.0)
    log_bc, rounding, moved = _log_transform(pair, 0.5)
    if log_bc == -math.inf:
        return _law_of(pair, Value.clipped(1.0, EPS, 0, 1, complement=0.0), 1.0)
    log_bc = min(log_bc, 0.0)
    value = _root(log_bc)
    error = _spread(log_bc, rounding) + min(_spread(log_bc, moved), pair.distance_error) + 4 * EPS * value
    complement = math.exp(log_bc) / (1 + value)
    return _law_of(pair, Value.clipped(value, error, 0, 1, complement=complement), 1.0)


def _root(log_bc: float) -> float:
    return math.sqrt(-math.expm1(min(log_bc, 0.0)))


def _spread(log_bc: float, error: float) -> float:
    """What an error of ln BC(1/2) does to sqrt(1 - BC(1/2))."""
    value = _root(log_bc)
    if error < 1e-3 * -log_bc:  # the difference of the roots would be all rounding
        return 1.01 * math.exp(log_bc) * error / (2 * value)
    return max(_root(log_bc - error) - value, value - _root(log_bc + error))


@np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")
def _log_transform(pair: Pair, s: float) -> tuple[float, float, float]:
    """ln BC(s), its rounding, and what the errors of the laws move it by; infinite where int p^s q^{1-s} is.

    Modes with 1 + s r (after the exchange) below 1/2, near the end of the domain, are taken from a and b themselves.
    """
    if not pair.ratio.size:
        return 0.0, 0.0, 0.0
    # with p and q exchanged where s > 1/2, so that nothing is lost as s -> 1
    one, point = (pair, s) if s <= 0.5 else (pair.reverse, 1 - s)
    n, mu2, square = pair.multiplicity, one.shift, pair.scale**2
    z = 1 + point * one.ratio
    edge = (z < 0.5) | (one.ratio > _HUGE)
    value = rounding = 0.0
    if edge.any():
        z = _tilted(one, point, z)
        if (z <= 0).any():
            # z = 1 - s + s b/a, largest at the end of b/a's error, stays at most 0
            side = one.log_error if point > 0 else -one.log_error
            sure = 1 - point + point * (1 + one.ratio) * np.exp(side) < 0
            return math.inf, 0.0, float(pair.log_error.any() and not sure.any())
    if float(mu2.max()) > _HUGE:
        return (-math.inf if 0 < point < 1 else math.inf), 0.0, 1.0
    if edge.any():
        logs = one.log_ratio[edge]
        log_z = np.where(z[edge] > _HUGE, logs + math.log(abs(point)), np.log(z[edge]))
        direct = point * logs - log_z - point * (1 - point) * mu2[edge] / z[edge]
        value = float(n[edge] @ direct) / 2
        parts = (
            4 + abs(point) * (1 + np.abs(logs)) + 2 * np.abs(log_z) + 4 * abs(point * (1 - point)) * mu2[edge] / z[edge]
        )
        rounding = EPS * float(n[edge] @ parts)
    if not edge.all():
        rest = slice(None) if not edge.any() else ~edge
        law = modes(one.ratio[rest], one.shift[rest], n[rest], one.log_ratio[rest])
        part = float(log_transform(np.array([point]), law)[0])
        value += part
        rounding += EPS * ((8 + math.sqrt(n.size)) * abs(part) + 2 * abs(point) * law.size)
    value, rounding, moved = value * square, rounding * square + _LEAST * (value != 0 or square < 1), 0.0
    e, off = one.log_error, one.shift_error
    if e.any() or off.any():
        # ln BC has the derivatives s(1-s) {-r/z + s mu^2 (1+r)/z^2}/2 in ln(1+r), z = 1 + s r, and -s(1-s) mu/z in mu
        grown, wide = np.expm1(e), np.exp(-pair.log_ratio if one is not pair else pair.log_ratio)
        drop = abs(point) * wide * grown / z
        if (drop >= 1).any():
            return value, rounding, math.inf
        low = z * (1 - drop)
        far = (np.sqrt(mu2) + off) / low
        slope = (np.abs(one.ratio) + wide * grown) / low + abs(point) * far * far * wide * (1 + grown)
        slope = slope * e + (2 * np.sqrt(mu2) + off) * off / low
        moved = _finite(abs(point * (1 - point)) / 2 * float(n @ slope) * square)
    return value, rounding, moved


def _tilted(pair: Pair, s: float, z: Array) -> Array:
    """z = (s b + (1-s) a)/a, positive where int p^s q^{1-s} is finite; exact before rounding near that edge."""
    order, z = Fraction(s), z.copy()
    for k in np.flatnonzero(z < 0.5):
        a, b = Fraction(pair.a[k]), Fraction(pair.b[k])
        tilted = order * b + (1 - order) * a
        z[k] = float(tilted / a) if tilted > 0 else 0.0
    return z


def _finite(error: float) -> float:
    """An error that overflowed, or met an infinite one, is infinite."""
    return error if error >= 0 else math.inf


@np.errstate(over="ignore", under="ignore")
def wasserstein(p: Gaussian, q: Gaussian) -> Value:
    r"""W_2(p, q), the Bures distance: sum n [(a-b)/(sqrt a + sqrt b)]^2 + |m|^2 where the laws commute; else
    ||A^{1/2} - B^{1/2} U||_F with U the polar factor, a sum of squares in which nothing cancels."""
    laws = modewise(p, q)
    if laws is not None:
        a, b, m, n, log_error, level_error, mean_error = laws
        root = np.sqrt(a) + np.sqrt(b)
        both = np.where(root > 0, root, 1.0)
        gap = (a - b) / both
        value = _root_sum(n, gap, m)
        spread = np.abs(gap) * level_error / 2 + np.minimum(np.sqrt(a), np.sqrt(b)) * log_error / 2
        most = math.sqrt(max(p.spectral_error, q.spectral_error))  # no root moves further with the eigenvalue
        spread = np.minimum(spread, np.abs(gap) + 2 * most) if most else spread
        spread = spread + np.abs(p.rounding.max() + q.rounding.max()) * np.maximum(a, b) / both * (level_error > 0)
        error = 8 * EPS * value + _root_sum(n, spread, mean_error)
        return Value.clipped(value, error + _LEAST * (value > 0))
    X, Y = _square_root(p), _square_root(q)
    left, _, right = np.linalg.svd(X @ Y)
    difference = X - Y @ right.T @ left.T
    value = math.hypot(float(np.linalg.norm(difference)), float(np.linalg.norm(p.mean - q.mean)))
    size = float(np.linalg.norm(X) + np.linalg.norm(Y) + np.linalg.norm(p.mean) + np.linalg.norm(q.mean))
    relative = EPS * (4 + 2 * p.dim) + float(p.rounding.max() + q.rounding.max())
    return Value.clipped(value, relative * size + _root_error(p) + _root_error(q))


def _root_sum(n: Array, *columns: Array) -> float:
    """(sum n (x^2 + y^2 + ...))^{1/2}, whatever the size of the numbers."""
    size = max(float(np.abs(column).max(initial=0.0)) for column in columns)
    if not 0 < size < math.inf:
        return size
    return size * math.sqrt(sum(float(n @ (column / size) ** 2) for column in columns))


def wasserstein_pair(pair: Pair) -> Value:
    """W_2 of a canonical pair, whose ratios know more of a - b than a and b."""
    if not pair.a.size:
        return Value(0.0)
    gap = pair.a * pair.ratio / (np.sqrt(pair.a) + np.sqrt(pair.b))
    value = math.sqrt(float(pair.multiplicity @ (gap**2 + pair.shift * pair.a)))
    spread = (pair.log_error**2 / 4 + pair.shift_error**2) * pair.a
    error = 8 * EPS * value + math.sqrt(float(pair.multiplicity @ spread))
    return Value.clipped(value, error)


def _root_error(law: Gaussian) -> float:
    """How far the square root of a dense covariance moves with its eigenvalues: e/(sqrt v + sqrt e) each."""
    error = law.spectral_error
    if not error:
        return 0.0
    return float(np.linalg.norm(error / (np.sqrt(law.variances) + math.sqrt(error))))


def _square_root(law: Gaussian) -> np.ndarray:
    if law.basis is None:
        return np.diag(np.sqrt(np.repeat(law.variances, law.multiplicities.astype(int))))
    return (law.basis * np.sqrt(law.variances)) @ law.basis.T
