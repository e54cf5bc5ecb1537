r"""Any two Gaussians as one product: the canonical pair that every divergence is computed from.

After one generalized eigen-decomposition p = N(m, A), q = N(0, B) become products with variances a_i, b_i, and only

    ratio r_i = (b_i - a_i)/a_i,    shift mu_i^2 = m_i^2/a_i,    count n_i

matter to a divergence; so do (a_i - b_i)/b_i and m_i^2/b_i, the same with p and q exchanged. Both are kept, since a
float64 r near -1 knows nothing of 1 + r any more.

Laws that share their eigenbasis (a law and its marginals, laws of plans on it, diagonal laws, spectra) need no
decomposition; otherwise r are the eigenvalues of A^{-1/2} (B-A) A^{-1/2}, with B-A formed first, A the better
conditioned of the two.

What the errors are of. The law that a user gives by a dense matrix is that of its floats: an eigen-decomposition in
floats is that of A + E, |E| <= `Gaussian.spectral_error`. p and q in one decomposition move by functions of one E. The
shift is m rotated, off by d EPS |m|, beside what the means carry along. To first order E and these errors move a
divergence by no more than errors of each mode's own do: |d ln(b/a)| <= `log_error`, |d m/sqrt(a)| <= `shift_error`,
since what couples two modes enters through both of their means, or squared.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rmverify.laws import StationaryLaw
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import EPS
from rmverify.targets import Gaussian

__all__ = ["Modewise", "Pair", "canonical", "common_modes", "modewise", "pair_of", "plain", "relative"]

_SMALL = 1e-100  # differences below it are scaled up, as their squares may underflow
_GROWN = 2.0**-300
_HUGE = 1e300  # ratios above it are not what ln(b/a) is taken from


class Pair(NamedTuple):
    """The canonical form, with its `inverse_` parts for (q, p).

    `log_error` bounds each |d ln(b/a)|; `shift_error` each |d m/sqrt(a)|.

    `singular` is True where the laws live on different supports: TV is 1, KL infinite. `doubtful` is True where
    rounding decided whether they do. `scale`: the differences r and mu of the laws meant are those here times it.
    """

    a: Array
    b: Array
    ratio: Array
    inverse_ratio: Array
    shift: Array
    inverse_shift: Array
    multiplicity: Array
    log_error: Array
    shift_error: Array
    singular: bool
    doubtful: bool = False
    scale: float = 1.0

    @classmethod
    def of_log_ratios(cls, u: Array, error: Array, b: Array, multiplicity: Array) -> Pair:
        """Centred laws of variances b e^u and b, u = ln(a/b) known to its own relative accuracy."""
        zero = np.zeros_like(u)
        return cls(b * np.exp(u), b, np.expm1(-u), np.expm1(u), zero, zero, multiplicity, error, zero, singular=False)

    @property
    def distance_error(self) -> float:
        """How far in total variation the laws may be from the ones meant: Pinsker on both errors."""
        if not (self.log_error.any() or self.shift_error.any()):
            return 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            log_error, shift_error = self.scale * self.log_error, self.scale * self.shift_error
            grown = np.expm1(log_error)
            each = (grown - log_error) / 2 + shift_error**2 * (1 + grown) / 2
            each = np.maximum(each, log_error**2 / 4)
            return float(np.nan_to_num(math.sqrt(float(self.multiplicity @ each) / 2), nan=math.inf))

    @property
    def log_ratio(self) -> Array:
        """ln(b/a), from whichever of the two ratios still knows it."""
        r, y = self.ratio, self.inverse_ratio
        upper = r > -0.5
        if upper.all() and r.max(initial=0.0) < _HUGE:
            return np.log1p(r)
        logs = np.where(upper, np.log1p(np.where(upper, r, 0.0)), -np.log1p(np.where(upper, 0.0, y)))
        far = (r > _HUGE) | (y > _HUGE)
        logs[far] = np.log(self.b[far]) - np.log(self.a[far])
        return logs

    @property
    def reverse(self) -> Pair:
        """The pair (q, p)."""
        off = self.shift_error
        if off.any() or self.log_error.any():  # d (m/sqrt b) = sqrt(a/b) d (m/sqrt a) + m/sqrt b d ln(a/b)/2
            off = off * np.exp(-self.log_ratio / 2) + np.sqrt(self.inverse_shift) * self.log_error / 2
        return self._replace(
            a=self.b,
            b=self.a,
            ratio=self.inverse_ratio,
            inverse_ratio=self.ratio,
            shift=self.inverse_shift,
            inverse_shift=self.shift,
            shift_error=off,
        )


_EMPTY = np.zeros(0)
_SAME = Pair(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, singular=False)
_APART = _SAME._replace(singular=True)


class Modewise(NamedTuple):
    """Two laws in one eigenbasis, one entry for each mode: variances a and b, difference m of the means, count n.

    `log_error` bounds |d ln(b/a)|, `level_error` |d ln a| and |d ln b| (not of one another's), `mean_error` |d m|.
    """

    a: Array
    b: Array
    m: Array
    n: Array
    log_error: Array
    level_error: Array
    mean_error: Array


def common_modes(p: Gaussian, q: Gaussian) -> tuple[Gaussian, Gaussian] | None:
    """Both laws in one eigenbasis with the same blocks, or None where they do not commute by construction."""
    if p.basis is q.basis:
        if p.basis is not None or p.multiplicities is q.multiplicities:
            return p, q
        return (p, q) if np.array_equal(p.multiplicities, q.multiplicities) else _refined(p, q)
    if p.basis is not None and q.basis is not None:
        return (p, q) if np.array_equal(p.basis, q.basis) else None
    for one, other in ((p, q), (q, p)):
        if one.basis is None and other.basis is not None and (one.variances == one.variances[0]).all():
            turned = Gaussian._raw(  # c I is diagonal in every basis
                np.full(other.dim, one.variances[0]), one.mean @ other.basis, other.multiplicities, other.basis,
                np.full(other.dim, one.rounding.max()),
            )  # fmt: skip
            turned._center, turned._origin = one.mean, turned.means
            return (turned, other) if one is p else (other, turned)
    return None


def _refined(p: Gaussian, q: Gaussian) -> tuple[Gaussian, Gaussian]:
    edges = [np.cumsum(law.multiplicities) for law in (p, q)]
    cuts = np.union1d(*edges)
    counts = np.diff(np.concatenate([[0.0], cuts]))

    def cut(law: Gaussian, ends: Array) -> Gaussian:
        block = np.searchsorted(ends, cuts)
        return Gaussian._raw(law.variances[block], law.means[block], counts, None, law.rounding[block])

    return cut(p, edges[0]), cut(q, edges[1])


def modewise(p: Gaussian, q: Gaussian) -> Modewise | None:
    """The two laws mode by mode with their errors, or None where they do not commute by construction."""
    aligned = common_modes(p, q)
    if aligned is None:
        return None
    p, q = aligned
    a, b, m = p.variances, q.variances, p.means - q.means
    zero = np.zeros_like(a)
    if p.basis is None and not (p.rounding.any() or q.rounding.any()):
        return Modewise(a, b, m, p.multiplicities, zero, zero, zero)
    off = p.rounding * (np.abs(p.means) + np.sqrt(a)) * (p.means != 0)
    off = off + q.rounding * (np.abs(q.means) + np.sqrt(b)) * (q.means != 0)
    log_error = level_error = p.rounding + q.rounding
    if p.basis is not None:
        m, turned = _turned(p, q)
        off = off + turned
        apart, level = _spectral_errors(p, q)
        log_error, level_error = log_error + apart, level_error + level
    return Modewise(a, b, m, p.multiplicities, log_error, level_error, off)


def _turned(p: Gaussian, q: Gaussian) -> tuple[Array, float]:
    """The difference of the means in the eigenbasis, and what rotating loses: of the difference, where it is formed
    before the rotation or the means of both are one rotated vector times numbers."""
    assert p.basis is not None
    turns = 2 * p.dim * EPS
    if p._center is not None and q._center is not None:
        m = p._center - q._center
        return m @ p.basis, turns * _norm(m)
    m = p.means - q.means
    apart = p._origin is not None and q._origin is not None and p._origin is not q._origin
    return m, turns * (_norm(p.means) + _norm(q.means) if apart else _norm(m))


def _spectral_errors(p: Gaussian, q: Gaussian) -> tuple[Array, Array]:
    """What the error of the eigen-decomposition makes of ln(b/a), and of ln a and ln b.

    Both laws are functions of one decomposition, so that its error acts on both: by its size times the slope of the
    variance where the law and its marginals are compared. The slope of a plan's law is unknown: such a law counts as
    that for the eigenvalues as they are, except that ln(b/a) is no better known, relative to its largest, than they.
    """
    a, b = np.where(p.variances > 0, p.variances, math.inf), np.where(q.variances > 0, q.variances, math.inf)
    one, other = p.spectral_error / a, q.spectral_error / b
    cut = (p.variances == 0) | (q.variances == 0)  # taken as 0, which is exact
    level = np.where(cut & (p.basis is q.basis), 0.0, np.maximum(one, other))
    A, B = p._matrix, q._matrix
    if p.basis is not q.basis and (A is None or B is None or not np.array_equal(A, B)):
        return one + other, level
    if p.spectral_error and q.spectral_error:
        return np.where(cut, 0.0, np.abs(one - other)) + 2 * EPS * level, level
    derived = p if not p.spectral_error else q
    if (derived.variances == derived.variances[0]).all():
        return level, level
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(np.log(q.variances / p.variances))
    return min(1.0, float(np.nan_to_num(size, nan=0.0, posinf=1.0).max())) * level, level


def _norm(x: Array) -> float:
    """|x|, whatever its size."""
    size = float(np.abs(x).max(initial=0.0))
    return size * float(np.linalg.norm(x / size)) if 0 < size < math.inf else size


def canonical(p: Gaussian, q: Gaussian) -> Pair:
    """The canonical pair of two Gaussians of one dimension."""
    with np.errstate(over="ignore", under="ignore"):
        aligned = modewise(p, q)
        return _dense(p, q) if aligned is None else _aligned(aligned)


def pair_of(p: Gaussian | StationaryLaw, q: Gaussian | StationaryLaw) -> Pair:
    """`canonical`, also of a Gaussian law that Langevin steps leave invariant."""
    known = relative(p, q)
    return known if known is not None else canonical(plain(p), plain(q))


def plain(law: Gaussian | StationaryLaw) -> Gaussian:
    """The law as a Gaussian."""
    return law.surrogate if isinstance(law, StationaryLaw) else law


def relative(p: Gaussian | StationaryLaw, q: Gaussian | StationaryLaw) -> Pair | None:
    """The pair with ln(variance/target's) as an invariant law knows it; None where none is, or the modes differ."""
    if not isinstance(p, StationaryLaw):
        known = relative(q, p) if isinstance(q, StationaryLaw) else None
        return None if known is None else known.reverse
    aligned = modewise(p.surrogate, plain(q))
    if aligned is None or aligned.a.shape != p.variances.shape or not (aligned.b > 0).all():
        return None
    if not (p.excess > -1).all():  # a step without noise
        return None
    a, b, m, n, log_error, level_error, mean_error = aligned
    logs, same = np.log1p(p.excess), p.own == b
    u = logs + np.where(same, 0.0, np.log(p.own / b))
    error = 4 * EPS * (np.abs(logs) + ~same) + np.where(same, np.minimum(log_error, level_error * np.abs(u)), log_error)
    pair = Pair.of_log_ratios(u, error, b, n)
    shift_error = np.where((m == 0) & (mean_error == 0), 0.0, (mean_error + level_error * np.abs(m)) / np.sqrt(a))
    return pair._replace(shift=m**2 / pair.a, inverse_shift=m**2 / b, shift_error=shift_error)


def _aligned(laws: Modewise) -> Pair:
    a, b, m, n, log_error, level_error, mean_error = laws
    doubtful = False
    live = (a > 0) & (b > 0)
    if not live.all():
        null = ~live
        lone = (a > 0) != (b > 0)
        if (np.abs(m) > mean_error)[null].any():
            return _APART
        if lone.any():  # unless rounding is all that tells a variance from 0
            return _APART._replace(doubtful=bool((level_error[lone] >= 1).all()))
        doubtful = bool(mean_error[null].any())
        a, b, m, n, log_error, level_error, mean_error = (each[live] for each in laws)
        if not a.size:
            return _SAME._replace(doubtful=doubtful)
    root = np.sqrt(a)
    ratio, inverse, mean, other = (b - a) / a, (a - b) / b, m / root, m / np.sqrt(b)
    shift_error = log_error
    if level_error.any() or mean_error.any():
        shift_error = mean_error / root + np.abs(mean) * level_error / 2
    scale = 1.0
    size = max(float(np.abs(ratio).max()), float(np.abs(mean).max()), float(np.abs(inverse).max()))
    if 0 < size < _SMALL and not (log_error.any() or shift_error.any()):  # such errors are larger anyway
        scale = 2.0 ** math.floor(math.log2(size)) / _GROWN
        ratio, inverse, mean, other = ratio / scale, inverse / scale, mean / scale, other / scale
    return Pair(
        a, b, ratio, inverse, mean**2, other**2, n, log_error, shift_error, singular=False, doubtful=doubtful,
        scale=scale,
    )  # fmt: skip


def _dense(p: Gaussian, q: Gaussian) -> Pair:
    """By the eigenvalues of one covariance relative to the better conditioned one."""
    return _whitened(p, q) if _condition(p) <= _condition(q) else _whitened(q, p).reverse


def _condition(law: Gaussian) -> float:
    live = law.variances[law.variances > 0]
    return float(live.max() / live.min()) if live.size else 1.0


def _whitened(p: Gaussian, q: Gaussian) -> Pair:
    A, B = p.covariance, q.covariance
    m = p.mean - q.mean
    basis = np.eye(p.dim) if p.basis is None else p.basis
    variances = p.variances if p.basis is not None else np.repeat(p.variances, p.multiplicities.astype(int))
    live = variances > 0
    turns, size_a, size_b = 2 * p.dim * EPS, float(variances.max(initial=0.0)), float(q.variances.max())
    rank_q = int((q.multiplicities * (q.variances > 0)).sum())
    mean_error = sum(_mean_error(law) for law in (p, q)) + EPS * _norm(m)
    if not live.any() or not rank_q:
        return _APART if rank_q or live.any() or _norm(m) > mean_error else _SAME._replace(doubtful=mean_error > 0)
    least, least_b = float(variances[live].min()), float(q.variances[q.variances > 0].min())
    if rank_q != live.sum():  # which the smallest eigenvalue that was kept may have decided
        return _APART._replace(doubtful=least <= 8 * p.spectral_error or least_b <= 8 * q.spectral_error)
    null = basis[:, ~live]
    if null.size:  # the two ranges are known to their rounding only
        tilt = turns * (size_a / least + size_b / least_b)
        if np.abs(B @ null).max() > tilt * size_b or np.abs(m @ null).max() > mean_error + tilt * _norm(m):
            return _APART
    scale = basis[:, live] / np.sqrt(variances[live])
    difference = B - A
    middle = scale.T @ difference @ scale
    ratio, turn = np.linalg.eigh((middle + middle.T) / 2)
    w = m @ scale @ turn
    # errors of A's whitening, relative; of the matrix `middle`, absolute in the norm; of w, in the norm
    kappa = (p.spectral_error if p.spectral_error else turns * size_a * (p.basis is not None)) / least
    moved = turns * float(np.linalg.norm(difference)) + sum(_rebuilt(law) for law in (p, q))
    error = moved / least + (kappa + turns) * float(np.abs(ratio).max())
    rounding = float(p.rounding.max() + q.rounding.max())
    low = np.maximum(max(least_b - q.spectral_error, 0.0) / size_a, 1 + ratio - error)  # from q's own eigenvalues
    b = np.maximum(1 + ratio, np.maximum(low, error))
    ratio = np.where(b > 1 + ratio, b - 1, ratio)
    with np.errstate(divide="ignore"):
        log_error = np.maximum(np.log(b / low), np.log1p(error / b)) + rounding
    off = (kappa + turns * (1 + math.sqrt(size_a / least)) + rounding) * _norm(w) + mean_error / math.sqrt(least)
    shift_error = np.full(b.size, off)
    parts = np.ones_like(ratio), b, ratio, -ratio / b, w**2, w**2 / b, np.ones(ratio.size)
    return Pair(*parts, log_error, shift_error, singular=False, doubtful=bool(null.size))


def _mean_error(law: Gaussian) -> float:
    """Of the mean in the coordinates given, in the norm."""
    if law._center is not None:
        return 0.0
    size, rounding = _norm(law.means), float(law.rounding.max())
    return ((2 * law.dim * EPS if law.basis is not None else 0.0) + rounding) * size + (
        rounding * math.sqrt(float(law.variances.max())) if size else 0.0
    )


def _rebuilt(law: Gaussian) -> float:
    """What the covariance of a law in an eigenbasis is off by, in the norm; 0 where it was given."""
    if law.basis is None or law._matrix is not None:
        return 0.0
    return 2 * law.dim * EPS * float(law.variances.max()) + law.spectral_error
