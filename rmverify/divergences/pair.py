r"""Any two Gaussians as one product: the canonical pair that every divergence is computed from.

After one generalized eigen-decomposition p = N(m, A), q = N(0, B) become products with variances a_i, b_i, and only

    ratio r_i = (b_i - a_i)/a_i,    shift mu_i^2 = m_i^2/a_i,    count n_i

matter to a divergence; so do (a_i - b_i)/b_i and m_i^2/b_i, the same with p and q exchanged. Both are kept, since a
float64 r near -1 knows nothing of 1 + r any more.

Laws that share their eigenbasis (a law and the target it came from, diagonal laws, spectra) need no decomposition
and lose nothing; otherwise r are the eigenvalues of A^{-1/2} (B-A) A^{-1/2}, with B-A formed first, and the error
grows like eps cond(A).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rmverify.laws import StationaryLaw
from rmverify.targets import Gaussian
from rmverify.targets.checks import Array

__all__ = ["Pair", "canonical", "common_modes", "pair_of", "plain", "relative"]

SUPPORT = 1e-10  # relative tolerance at which two singular covariances have the same range
EPS = 2.0**-52


class Pair(NamedTuple):
    """The canonical form, with its `inverse_` parts for (q, p).

    `log_error` bounds each |d ln a|, |d ln b|; `shift_error` each |d m|/sqrt(a).

    `singular` is True where the laws live on different supports: TV is 1, KL infinite.
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

    @classmethod
    def of_log_ratios(cls, u: Array, error: Array, b: Array, multiplicity: Array) -> Pair:
        """Centred laws of variances b e^u and b, u = ln(a/b) known to its own relative accuracy."""
        zero = np.zeros_like(u)
        return cls(b * np.exp(u), b, np.expm1(-u), np.expm1(u), zero, zero, multiplicity, error, zero, singular=False)

    @property
    def distance_error(self) -> float:
        """How far in total variation the laws may be from the ones meant: Pinsker on both errors."""
        each = self.log_error**2 / 4 + self.shift_error**2 / 2
        return math.sqrt(float(self.multiplicity @ each) / 2) if each.any() else 0.0

    @property
    def log_ratio(self) -> Array:
        """ln(b/a), from whichever of the two ratios still knows it."""
        upper = self.ratio > -0.5
        if upper.all():
            return np.log1p(self.ratio)
        return np.where(
            upper, np.log1p(np.where(upper, self.ratio, 0.0)), -np.log1p(np.where(upper, 0.0, self.inverse_ratio))
        )

    @property
    def reverse(self) -> Pair:
        """The pair (q, p)."""
        return self._replace(
            a=self.b,
            b=self.a,
            ratio=self.inverse_ratio,
            inverse_ratio=self.ratio,
            shift=self.inverse_shift,
            inverse_shift=self.shift,
        )


_EMPTY = np.zeros(0)
_SAME = Pair(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, singular=False)
APART = _SAME._replace(singular=True)


def common_modes(p: Gaussian, q: Gaussian) -> tuple[Gaussian, Gaussian] | None:
    """Both laws in one eigenbasis with the same blocks, or None where they do not commute by construction.

    Laws that share the very eigenbasis of one decomposition share its error, which then does not separate them.
    """
    if p.basis is None and q.basis is None:
        if p.multiplicities is q.multiplicities or np.array_equal(p.multiplicities, q.multiplicities):
            return p, q
        return _refined(p, q)
    if p.basis is q.basis:
        return p, q
    if p.basis is not None and q.basis is not None:
        if p._matrix is None and q._matrix is None:
            same = np.array_equal(p.basis, q.basis)
        else:
            same = p._matrix is not None and q._matrix is not None and np.array_equal(p._matrix, q._matrix)
        return (_decomposed(p), _decomposed(q)) if same else None
    for one, other in ((p, q), (q, p)):
        scalar = one.basis is None and (one.variances == one.variances[0]).all()
        if scalar and other.basis is not None and other._matrix is None:  # c I is diagonal in every basis
            turned = Gaussian._raw(
                np.full(other.dim, one.variances[0]), one.mean @ other.basis, other.multiplicities, other.basis,
                np.full(other.dim, one.rounding.max()),
            )  # fmt: skip
            pair = turned, _decomposed(other)
            return pair if one is p else pair[::-1]
    return None


def _decomposed(law: Gaussian) -> Gaussian:
    """The law with the error of its eigen-decomposition in its rounding."""
    error = law.spectral_error / np.where(law.variances > 0, law.variances, np.inf)
    return Gaussian._raw(law.variances, law.means, law.multiplicities, law.basis, law.rounding + error)


def _refined(p: Gaussian, q: Gaussian) -> tuple[Gaussian, Gaussian]:
    edges = [np.cumsum(law.multiplicities) for law in (p, q)]
    cuts = np.union1d(*edges)
    counts = np.diff(np.concatenate([[0.0], cuts]))

    def cut(law: Gaussian, ends: Array) -> Gaussian:
        block = np.searchsorted(ends, cuts)
        return Gaussian._raw(law.variances[block], law.means[block], counts, None, law.rounding[block])

    return cut(p, edges[0]), cut(q, edges[1])


def canonical(p: Gaussian, q: Gaussian) -> Pair:
    """The canonical pair of two Gaussians of one dimension."""
    if p.dim != q.dim:
        raise ValueError(f"q: expected a law in dimension {p.dim} as p, got dimension {q.dim}")
    aligned = common_modes(p, q)
    return _dense(p, q) if aligned is None else _aligned(*aligned)


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
    aligned = common_modes(p.surrogate, plain(q)) if p.dim == q.dim else None
    if aligned is None or aligned[0].variances.shape != p.variances.shape or not (aligned[1].variances > 0).all():
        return None
    b = aligned[1].variances
    logs, same = np.log1p(p.excess), p.own == b
    u = logs + np.where(same, 0.0, np.log(p.own / b))
    error = 4 * EPS * (np.abs(logs) + ~same) + aligned[1].rounding
    off = p.means - aligned[1].means
    pair = Pair.of_log_ratios(u, error, b, aligned[1].multiplicities)
    return pair._replace(shift=off**2 / pair.a, inverse_shift=off**2 / b)


def _aligned(p: Gaussian, q: Gaussian) -> Pair:
    a, b, m = p.variances, q.variances, p.means - q.means
    means = np.abs(p.means).max() + np.abs(q.means).max()
    reach = 0.0 if p.basis is None else SUPPORT * (means + math.sqrt(float(a.max() + b.max())))
    if ((a == 0) != (b == 0)).any() or ((a == 0) & (np.abs(m) > reach)).any():
        return APART
    live = a > 0
    if not live.all():
        a, b, m = a[live], b[live], m[live]
    with np.errstate(over="ignore"):
        parts = (b - a) / a, (a - b) / b, (m / np.sqrt(a)) ** 2, (m / np.sqrt(b)) ** 2
    if not all(np.isfinite(part).all() for part in parts):
        return APART
    log_error = shift_error = np.zeros_like(a)
    if p.rounding.any() or q.rounding.any():
        log_error = p.rounding[live] + q.rounding[live]
        reach = p.rounding[live] * np.abs(p.means[live]) + q.rounding[live] * np.abs(q.means[live])
        shift_error = np.where((m == 0) & (reach == 0), 0.0, reach / np.sqrt(a) + log_error)
    return Pair(a, b, *parts, p.multiplicities[live], log_error, shift_error, singular=False)


def _dense(p: Gaussian, q: Gaussian) -> Pair:
    A, B = p.covariance, q.covariance
    m = p.mean - q.mean
    basis = np.eye(p.dim) if p.basis is None else p.basis
    variances = p.variances if p.basis is not None else np.repeat(p.variances, p.multiplicities.astype(int))
    live = variances > 0
    null = basis[:, ~live]
    size_b, size_a = float(np.abs(B).max()), float(variances.max(initial=0.0))
    rank_q = int((q.multiplicities * (q.variances > 0)).sum())
    reach = SUPPORT * (np.linalg.norm(p.mean) + np.linalg.norm(q.mean) + math.sqrt(size_a + size_b))
    if rank_q != live.sum() or (
        null.size and (np.abs(B @ null).max() > SUPPORT * size_b or np.abs(m @ null).max() > reach)
    ):
        return APART
    if not live.any():
        return _SAME
    scale = basis[:, live] / np.sqrt(variances[live])
    difference = B - A
    middle = scale.T @ difference @ scale
    ratio, turn = np.linalg.eigh((middle + middle.T) / 2)
    if ratio[0] <= -1:
        return APART
    shift = (m @ scale @ turn) ** 2
    least, cond = float(variances[live].min()), float(variances.max() / variances[live].min())
    floor = EPS * (math.sqrt(p.dim) * float(np.linalg.norm(difference, 2)) / least + cond * float(np.abs(ratio).max()))
    built = EPS * cond * _rebuilt(p) + EPS * size_b / least * _rebuilt(q)
    error = floor + built + float(p.rounding.max() + q.rounding.max())
    log_error = error / np.minimum(1.0, 1 + ratio)
    shift_error = (EPS * cond + error) * np.sqrt(shift)
    b = 1 + ratio
    parts = np.ones_like(ratio), b, ratio, -ratio / b, shift, shift / b, np.ones(ratio.size)
    return Pair(*parts, log_error, shift_error, singular=False)


def _rebuilt(law: Gaussian) -> bool:
    """Whether the covariance of the law is a product of its eigenvectors, with their rounding."""
    return law.basis is not None and law._matrix is None
