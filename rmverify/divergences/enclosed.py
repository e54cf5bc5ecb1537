r"""Divergences between Gaussians as guaranteed enclosures, in ball arithmetic.

Floats come with an estimate of their error, balls with a proof.

The laws' floats stand for their exact binary values. With r = (b-a)/a, mu^2 = m^2/a of every mode and

    ln BC(s) = sum n { [s ln(1+r) - ln(1+s r)]/2 - s(1-s) mu^2/(2(1+s r)) },

    1 - TV = (1/pi) Im int_P BC(s)/(s(1-s)) ds

along any path P from (0, 1) to i inf in the upper half plane, where the integrand is analytic. P goes through the
corners that `chernoff.steepest_path` picks in floating point (they have no influence on the validity) and ends
vertically above the last of them, s_U = x + iU. There |1 + s r| increases, and so does Re s(1-s)/(1+s r) wherever
1 + x r > 0, since it is const - b Re 1/(1+s r), b = (1+r)/r^2; where 1 + x r < 0 it falls by at most
b |Re 1/(1+s_U r)|. So what is left out is at most |BC(s_U)| exp(sum n mu^2 b max(0, -Re 1/(1+s_U r))/2)/(pi U).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flint import acb, acb_mat, arb, arb_mat, ctx

from rmverify.divergences.chernoff import log_transform, modes, saddle, steepest_path
from rmverify.divergences.pair import common_modes
from rmverify.divergences.seen import Seen
from rmverify.divergences.tv import total_variation
from rmverify.numbers.values import Value
from rmverify.readings.balls import lift
from rmverify.targets import Gaussian

__all__ = ["Enclosed", "as_enclosure", "total_variation_ball"]

_RELATIVE = 2.0**-44  # radius that is asked for, below 1e-13
_BITS = (128, 256, 512, 1024)
_MOST_DENSE = 64
_EVALUATIONS = 4000  # of the integrand, on one piece of the path
_VANISHES = 1e-280  # complements below it are enclosed, not resolved
_HARD = "the enclosure did not reach a relative radius of 1e-13: the laws are too close, or too many digits apart"


class Pair(NamedTuple):
    """One entry per mode, balls: variances a, b, squared difference of the means, ratio r, ln(1+r), mu^2, count n."""

    a: Any
    b: Any
    square: Any
    ratio: Any
    log: Any
    shift: Any
    count: Any

    @classmethod
    def of(cls, a: Any, b: Any, square: Any, count: Any) -> Pair:
        ratio = (b - a) / a
        return cls(a, b, square, ratio, _each(lambda r: (1 + r).log(), ratio), square / a, count)


class Enclosed(Seen):
    """Two Gaussians given by their own numbers, whose divergences are enclosed to a relative radius below 1e-12.

    A dense covariance stands for its symmetrized floats. Laws in one and the same eigenbasis stand for their floats per
    mode, the basis for an orthogonal one.

    Raises
    ------
    TypeError, ValueError
        For laws that are no Gaussians given by their own numbers, and for dense covariances that do not commute by
        construction and are singular, of coinciding generalized eigenvalues, or larger than 64.
    ArithmeticError
        Where 1024 bits do not reach that radius.
    """

    def __init__(self, p: Any, q: Any) -> None:
        for name, law in (("p", p), ("q", q)):
            if not isinstance(law, Gaussian):
                raise TypeError(f"{name}: certified=True is for Gaussians, got {type(law).__name__}")
            if law.rounding.any():
                raise ValueError(
                    f"{name}: certified=True needs a law specified exactly; this one was computed in floating point "
                    f"(estimated error {law.rounding.max():.2g})"
                )
        super().__init__(p, q)

    def tv(self) -> Value:
        return self._resolved(partial(_fraction, divergence=total_variation_ball))

    def kl(self) -> Value:
        return self._resolved(_kl)

    def hellinger(self) -> Value:
        return self._resolved(partial(_fraction, divergence=_hellinger_ball))

    def w2(self) -> Value:
        return self._resolved(_w2)

    def _resolved(self, divergence: Callable[[Gaussian, Gaussian], Value | None]) -> Value:
        for bits in _BITS:
            with ctx.workprec(bits):
                try:
                    value = divergence(self.p, self.q)
                except _Unresolved:
                    continue
                if value is not None:
                    return value
        raise ArithmeticError(_HARD)


class _Unresolved(Exception):
    """More bits are needed."""


def _aligned(p: Gaussian, q: Gaussian) -> tuple[Gaussian, Gaussian] | None:
    """Both laws in one eigenbasis, or None where that basis, or a mean in it, would come from floating point."""
    exact = p._matrix is None and q._matrix is None and (p.basis is None) == (q.basis is None)
    return common_modes(p, q) if exact else None


def _canonical(p: Gaussian, q: Gaussian) -> Pair | None:
    """The pair of the modes of positive variance; None where the laws live on different supports."""
    aligned = _aligned(p, q)
    if aligned is None:
        return _dense(p, q)
    p, q = aligned
    a, b = p.variances, q.variances
    live = (a > 0) & (b > 0)
    if ((a != b) | (p.means != q.means))[~live].any():
        return None
    square = (lift(p.means[live]) - lift(q.means[live])) ** 2
    return Pair.of(lift(a[live]), lift(b[live]), square, lift(p.multiplicities[live]))


def _dense(p: Gaussian, q: Gaussian) -> Pair:
    """The canonical pair of two dense covariances: eigenvectors R of A^{-1} B, with R^T A R and R^T B R diagonal."""
    A, B = _matrix("p", p), _matrix("q", q)
    m = _column(p, q)
    one = lift(np.ones(p.dim))
    if (p.covariance == q.covariance).all():
        shift = (m.transpose() * A.solve(m))[0, 0]
        return Pair.of(one[:1], one[:1], lift(np.array([shift], dtype=object)), one[:1])
    product = acb_mat(A.solve(B))
    squares = [arb(0)] * p.dim
    if not (p.mean - q.mean).any():
        values = _eigen(product, "q", multiple=True)
    else:
        values, R = _eigen(product, "q", right=True)
        form, along = R.transpose() * acb_mat(A) * R, R.transpose() * acb_mat(m)
        squares = [(along[i, 0] ** 2 / form[i, i]).real for i in range(p.dim)]
    return Pair.of(one, _objects(e.real for e in values), _objects(squares), one)


def _matrix(name: str, law: Gaussian) -> Any:
    """The covariance as balls, of certainly positive eigenvalues."""
    if law.basis is not None and law._matrix is None:
        raise ValueError(f"{name}: expected a law given by its covariance, or both laws in one eigenbasis")
    if law.dim > _MOST_DENSE:
        raise ValueError(f"{name}: dense covariances are certified up to dimension {_MOST_DENSE}, got {law.dim}")
    matrix = arb_mat([[arb(x) for x in row] for row in law.covariance.tolist()])
    if not all(e.real > 0 for e in _eigen(acb_mat(matrix), name, multiple=True)):
        if _bits() < _BITS[-1]:
            raise _Unresolved
        raise ValueError(f"{name}: expected a covariance whose eigenvalues are certainly positive")
    return matrix


def _column(p: Gaussian, q: Gaussian) -> Any:
    return arb_mat([[x - y] for x, y in zip(lift(p.mean), lift(q.mean), strict=True)])


def _objects(values: Any) -> Any:
    return np.array(list(values), dtype=object)


def _each(function: Callable[[Any], Any], values: Any) -> Any:
    return _objects(map(function, values))


def _bits() -> int:
    return int(ctx.prec)


def _eigen(matrix: Any, name: str, **options: Any) -> Any:
    try:
        return matrix.eig(**options)
    except ValueError:
        if _bits() < _BITS[-1]:
            raise _Unresolved from None
        raise ValueError(
            f"{name}: covariances with coinciding generalized eigenvalues and different means are not certified; give "
            "both laws in one eigenbasis"
        ) from None


# --- what leaves ---------------------------------------------------------------------------------------------


def as_enclosure(ball: Any, *, least: float = -math.inf, most: float = math.inf, complement: Any = None) -> Value:
    """A ball as a Value of kind "enclosure", its ends rounded outward and cut to [least, most]."""
    lower = max(_rounded(ball.lower(), -math.inf), least)
    upper = min(_rounded(ball.upper(), math.inf), most)
    value = min(max(float(ball.mid()), lower), upper)
    error = math.nextafter(max(upper - value, value - lower), math.inf) if upper > lower else 0.0
    other = None if complement is None else float(complement.mid())
    return Value(value, "enclosure", error, lower=lower, upper=upper, complement=other)


def _rounded(end: Any, towards: float) -> float:
    """A point ball as a float on its side of `towards`."""
    nearest = float(end)
    inside = end >= nearest if towards < 0 else end <= nearest
    return nearest if inside else math.nextafter(nearest, towards)


def _tight(*balls: Any) -> bool:
    return all(ball.is_zero() or (ball.is_finite() and ball.rad() <= _RELATIVE * abs(ball.mid())) for ball in balls)


def _same(pair: Pair) -> bool:
    return all(r.is_zero() for r in pair.ratio) and all(s.is_zero() for s in pair.square)


# --- the divergences -----------------------------------------------------------------------------------------


def _kl(p: Gaussian, q: Gaussian) -> Value | None:
    """1/2 sum n [y - ln(1+y) + m^2/b], y = a/b - 1."""
    pair = _canonical(p, q)
    if pair is None:
        return Value(math.inf, "enclosure")
    terms = pair.count * (pair.log - pair.ratio / (1 + pair.ratio) + pair.square / pair.b)
    value = terms.sum() / 2 + arb(0)
    return as_enclosure(value, least=0.0) if _same(pair) or _tight(value) else None


def _w2(p: Gaussian, q: Gaussian) -> Value | None:
    """sqrt(sum n [(sqrt a - sqrt b)^2 + m^2]), or the Bures distance tr A + tr B - 2 tr (AB)^{1/2} + |m|^2."""
    aligned = _aligned(p, q)
    if aligned is not None:
        p, q = aligned
        a, b = p.variances, q.variances
        A, B = lift(a), lift(b)
        roots = _each(lambda x: x.sqrt(), A) + _each(lambda x: x.sqrt(), B)
        gaps = (A - B) / np.where((a > 0) | (b > 0), roots, lift(1.0))  # exactly 0 where a = b
        square = (lift(p.multiplicities) * (gaps**2 + (lift(p.means) - lift(q.means)) ** 2)).sum()
    else:
        m = _column(p, q)
        square = (m.transpose() * m)[0, 0]
        if not (p.covariance == q.covariance).all():
            A, B = _matrix("p", p), _matrix("q", q)
            roots = sum((e.real.sqrt() for e in _eigen(acb_mat(A * B), "q", multiple=True)), arb(0))
            square += A.trace() + B.trace() - 2 * roots
    value = square.sqrt()
    return as_enclosure(value, least=0.0) if _tight(value) else None


def _log_bc(s: Any, pair: Pair) -> Any:
    """ln BC(s) on a ball s, in the form f(mid) + f'(s)(s - mid), in which many modes do not blow the radius up; not
    finite where s touches a cut."""
    middle = s.mid()
    value = slope = s * 0
    for r, log, mu, n in zip(pair.ratio, pair.log, pair.shift, pair.count, strict=True):
        z, inner = 1 + s * r, 1 + middle * r
        if not (z.real > 0 or z.imag > 0 or z.imag < 0):
            return s / 0
        part, change = middle * log - inner.log(), log - r / z
        if not mu.is_zero():
            part -= middle * (1 - middle) * mu / inner
            change -= (1 - 2 * s - s * s * r) * mu / (z * z)
        value, slope = value + n * part / 2, slope + n * change / 2
    return value + slope * (s - middle)


def _fraction(p: Gaussian, q: Gaussian, divergence: Callable[[Pair], tuple[Any, Any]]) -> Value | None:
    """A divergence in [0, 1], of which `divergence` gives the ball and that of its complement."""
    pair = _canonical(p, q)
    if pair is None:
        return Value(1.0, "enclosure", complement=0.0)
    if _same(pair):
        return Value(0.0, "enclosure")
    value, complement = divergence(pair)
    if not (_tight(value) and (complement < _VANISHES or _tight(complement))):
        return None
    return as_enclosure(value, least=0.0, most=1.0, complement=complement)


def _hellinger_ball(pair: Pair) -> tuple[Any, Any]:
    """sqrt(1 - BC(1/2)) and its complement."""
    log_bc = _log_bc(acb(0.5), pair).real
    value = (-log_bc.expm1()).sqrt()
    return value, log_bc.exp() / (1 + value)


def total_variation_ball(pair: Pair) -> tuple[Any, Any]:
    """(TV, 1 - TV) of a pair of laws, as balls at the current precision."""
    if all(r.is_zero() for r in pair.ratio):
        mu = ((pair.count * pair.shift).sum() / 8).sqrt()
        return mu.erf(), mu.erfc()
    ratio, shift, count, log = (x.astype(float) for x in (pair.ratio, pair.shift, pair.count, pair.log))
    guess = total_variation(ratio, shift, count, log_ratio=log)
    least = min(float(guess), guess.complement)
    if least < _VANISHES and float(guess) > 0.5:  # 0 <= 1 - TV <= BC(1/2)
        complement = arb(0).union(_log_bc(acb(0.5), pair).real.exp())
        return 1 - complement, complement
    if not least > 0:
        raise ArithmeticError(_HARD)
    law = modes(ratio, shift, count, log)
    c, sigma = saddle(law)
    aim = least * _RELATIVE / 16
    first = min(0.5 / sigma, c / 2, (1 - c) / 2)
    corners, _ = steepest_path(lambda s: log_transform(s, law), c, first, math.log(aim * min(first, 1.0)))
    path = [acb(s.real, s.imag) for s in corners.tolist()]
    tolerance = arb(aim) / len(path)
    total = arb(0)
    for start, end in itertools.pairwise(path):
        piece = acb.integral(
            lambda s, _: _log_bc(s, pair).exp() / (s * (1 - s)), start, end, abs_tol=tolerance, rel_tol=tolerance,
            eval_limit=_EVALUATIONS,
        )  # fmt: skip
        if not piece.is_finite():
            break
        total += piece.imag
    complement = total / arb.pi() + arb(0, _tail(path[-1], pair)) if piece.is_finite() else piece.imag
    return 1 - complement, complement


def _tail(end: Any, pair: Pair) -> Any:
    """A bound of what lies above the last corner."""
    growth = _log_bc(end, pair).real
    for r, mu, n in zip(pair.ratio, pair.shift, pair.count, strict=True):
        if not mu.is_zero() and not 1 + end.real * r > 0:
            below = -(1 / (1 + end * r)).real
            growth += n * mu * (1 + r) / r**2 * below.max(arb(0)) / 2
    return (growth.exp() / (end.imag * type(growth).pi())).upper()
