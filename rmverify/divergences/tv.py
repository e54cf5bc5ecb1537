r"""Total variation between product Gaussians, and the rules for all products, by integrals of the Chernoff transform.

With BC(s) = E_q e^{s l}, l = ln(p/q), and any contour that crosses the real axis inside (0, 1),

    TV = (1/2 pi i) int (1 - BC(s))/(s(1-s)) ds,      1 - TV = (1/2 pi i) int BC(s)/(s(1-s)) ds.

Crossing at the saddle c of BC keeps the relative accuracy of 1 - TV; whichever of TV and 1 - TV is expected below
one half is the one that is integrated. Three rules, the cheapest first, each with its error:

closed form   every r_i = 0: TV = erf(|mu|/sqrt 8).
trapezoid     s = c + ikh, when the loss has light tails (many modes, or mostly a shift of the mean). With
              Lambda = 2 pi/h its error is sum_{m>=1} e^{-(1-c)m Lambda} E_q(e^l - e^{m Lambda})_+ + e^{-cm Lambda}
              E_q(1 - e^{l + m Lambda})_+ (Poisson summation), below BC(s) e^{-|s-c| Lambda} for real s beyond
              either end of [0, 1]; h is chosen from this bound, a dozen nodes are usual. What the truncated sum
              lacks of the 1 in 1 - BC is a digamma function; the poles of BC/(s(1-s)) at 0 and 1 add
              1/(e^{(1-c) Lambda} - 1) + 1/(e^{c Lambda} - 1) to 1 - TV, and are subtracted.
broken line   otherwise: Gauss-Legendre along the path of steepest descent, to infinity through corners at heights
              that double, whatever the mixture of small and large r_i of both signs. Pieces are halved until
              their Legendre coefficients decay. What is left of the 1 is Im ln(1 - 1/s) at the last corner.

The error adds the quadrature error (a bound for the trapezoid, an estimate from the Legendre coefficients for the
broken line) to the rounding of ln BC, a few UNIT (|ln BC| + sum |s n_i L(r_i)|/2) |BC| summed along the contour. Laws
with very many modes are compressed first (see `rmverify.divergences.chernoff`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import psi

from rmverify.divergences.chernoff import (
    Modes,
    compress,
    log_transform,
    modes,
    saddle,
    steepest_path,
    tilted_variance,
)
from rmverify.numbers.quadrature import integrate_path
from rmverify.numbers.rounding import UNIT
from rmverify.numbers.values import Value

__all__ = [
    "Estimate", "Side", "Transform", "aliasing", "along_contours", "complex_expm1", "total_variation",
    "total_variation_many",
]  # fmt: skip

Array = NDArray[Any]

_MANY = 256  # modes above which compression is tried
_TARGET = 1e-17  # quadrature error that is aimed at, relative
_ENOUGH = 1e-14  # estimated relative error at which the trapezoid is kept
_VANISHES = -745.0  # e^-745 = 0, and 1 - TV <= BC(c)
_NODES = 200  # most nodes of the trapezoid
_DISTANCES = 2.0 ** np.linspace(-1, 5, 10)  # distances of s in the aliasing bound, in units of 1/sigma
_HEIGHTS = 4 * 1.25 ** np.arange(18)  # heights at which the trapezoid may stop, in units of 1/sigma


class Estimate(NamedTuple):
    """A number and its absolute error."""

    value: float
    error: float


class Transform(NamedTuple):
    """ln BC of two laws, at real or complex points s; the rounding error of its values log_s at s; and the ends of the
    real interval on which BC is finite."""

    log: Callable[[Array], Array]
    noise: Callable[[Array, Array], Array]
    left: float
    right: float


def _transform(law: Modes) -> Transform:
    ends = (-1 / law.highest if law.highest else -math.inf), (-1 / law.lowest if law.lowest else math.inf)
    return Transform(lambda s: log_transform(s, law), lambda s, log_s: _noise(s, log_s, law), *ends)


def total_variation(
    ratio: Array, shift: Array, count: Array, rounding: float = 0.0, log_ratio: Array | None = None
) -> Value:
    r"""TV(p, q) = (1/2) int |p - q| between product Gaussians.

    Parameters
    ----------
    ratio, shift, count : ndarray, shape (K,)
        r_i = (b_i - a_i)/a_i > -1, mu_i^2 = m_i^2/a_i and n_i of p = prod N(m_i, a_i)^{n_i}, q = prod N(0, b_i)^{n_i}.
    rounding : float
        Absolute error that the inputs bring along; it is added to the error of the result.
    log_ratio : ndarray, shape (K,), optional
        ln(b_i/a_i), by default ln(1 + r_i). Needed where b_i is much smaller than a_i, as a float64 r_i near -1 knows
        1 + r_i to few digits or (r_i = -1) to none; nothing else in the integrals is sensitive to this.

    Returns
    -------
    Value
        Of kind "exact", with the complement 1 - TV to its own relative accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> tv = total_variation(np.array([1.0, -0.5]), np.array([0.0, 0.25]), np.array([4.0, 1.0]))
    >>> print(f"{float(tv):.12f} {tv.complement:.12f}")
    0.428323175973 0.571676824027
    """
    ratio, shift = np.asarray(ratio, dtype=float), np.asarray(shift, dtype=float)
    if not ratio.any():
        mu = math.sqrt(float((count * shift).sum()) / 8)
        return Value.clipped(math.erf(mu), 4 * UNIT * math.erf(mu) + rounding, 0, 1, complement=math.erfc(mu))
    law, scale = _enlarge(modes(ratio, shift, count, log_ratio))
    many = law.r.size > _MANY
    reach = 1 + 16 / math.sqrt(tilted_variance(law, 0.5)) if many else math.inf
    light = compress(law, reach) if many else law
    c, sigma = saddle(light)

    def other(side: Side) -> Estimate:
        return _broken_line(compress(law) if many else law, c, sigma, side)

    return along_contours(_transform(light), c, sigma, other, _ENOUGH, rounding, reach, scale)


class Side(NamedTuple):
    """Which integral is taken: TV where that is expected below one half (`small`), else (1 - TV)/BC(c)."""

    small: bool
    log_bc: float

    @property
    def unit(self) -> float:
        """BC(c), in units of what is integrated."""
        return math.exp(self.log_bc) if self.small else 1.0

    def integrand(self, log_s: Array) -> Array:
        """What is integrated over s(1 - s), where ln BC is `log_s`."""
        return -complex_expm1(log_s) if self.small else np.exp(log_s - self.log_bc)

    def rest(self, nodes: int, c: float, period: float) -> float:
        """What equidistant nodes leave out: the ones beyond the last of them, or, to be subtracted, the poles."""
        if self.small:
            return tail_of_ones(nodes, c, 2 * math.pi / period)
        return -sum(math.exp(-self.log_bc - gap * period) / -math.expm1(-gap * period) for gap in (c, 1 - c))

    def value(self, found: Estimate, off: float, scale: float) -> Value:
        if self.small:
            value = min(max(scale * found.value, 0.0), 1.0)
            return Value.clipped(value, scale * found.error + UNIT * value + off, 0, 1, complement=1 - value)
        bc = math.exp(self.log_bc)
        rest = min(max(bc * found.value, 0.0), 1.0)
        return Value.clipped(1 - rest, bc * found.error + UNIT + off, 0, 1, complement=rest)


def along_contours(
    bc: Transform, c: float, sigma: float, other: Callable[[Side], Estimate], enough: float, off: float,
    reach: float = math.inf, scale: float = 1.0,
) -> Value:  # fmt: skip
    """TV by equidistant nodes on Re s = c, and by the `other` rule where those leave a relative error above `enough`.

    `off` is added to the error; `scale` times what is integrated is the TV that is meant, where that is small.
    """
    log_bc = float(bc.log(np.array([c]))[0])
    if log_bc < _VANISHES:
        return Value.clipped(1.0, UNIT + off, 0, 1, complement=0.0)
    side = Side(log_bc > -math.log(2), log_bc)
    best = trapezoid(bc, c, sigma, side, reach)
    if best is None or best.error > enough * best.value:
        second = other(side)
        best = second if best is None or second.error < best.error else best
    return side.value(best, off, scale)


def _enlarge(law: Modes) -> tuple[Modes, float]:
    """A law so close to q that squares underflow, and the factor of its TV; TV is then linear in (r, mu)."""
    size = max(float(np.abs(np.sqrt(law.n) * law.r).max()), math.sqrt(float(law.m.max())))
    if size > 1e-60:
        return law, 1.0
    scale = 2.0 ** math.floor(math.log2(size) + 100)
    grown = modes(law.r / scale, np.zeros_like(law.r), law.n)
    return grown._replace(m=law.m / scale / scale), scale


def trapezoid(bc: Transform, c: float, sigma: float, side: Side, reach: float = math.inf) -> Estimate | None:
    """By nodes c + ikh within `reach`; None where that needs too many."""
    log_bc = side.log_bc
    height = np.minimum(_HEIGHTS / sigma, reach)
    last = bc.log(c + 1j * height[-1:]).real - log_bc - np.log(height[-1])
    if last[0] >= _target(sigma):  # |BC| decays on the way up
        return None
    line = bc.log(c + 1j * height).real - log_bc
    low = np.flatnonzero(line - np.log(height) < _target(sigma))
    if not low.size:
        return None
    period, alias = aliasing(bc, c, sigma, log_bc, reach)
    if period <= 0:
        return None
    h = 2 * math.pi / period
    nodes = math.ceil(height[low[0]] / h)
    if nodes > _NODES:
        return None
    s = c + 1j * h * np.arange(nodes + 1)
    log_s = bc.log(s)
    weight = np.full(nodes + 1, h / math.pi)
    weight[0] /= 2
    kernel = weight / s / (1 - s)
    noise = float((bc.noise(s, log_s) * np.exp(log_s.real - log_bc) * np.abs(kernel)).sum())
    truncation = math.exp(line[low[0]]) * h * (nodes + 1) / (math.pi * nodes * nodes * h * h)
    terms = (side.integrand(log_s) * kernel).real
    rest = side.rest(nodes, c, period)
    error = side.unit * (alias + truncation + noise) + 4 * UNIT * (float(np.abs(terms).sum()) + abs(rest))
    return Estimate(float(terms.sum()) + rest, error)


def _target(sigma: float) -> float:
    return math.log(_TARGET * min(sigma, 1 / sigma) / 3)


def aliasing(bc: Transform, c: float, sigma: float, log_bc: float, reach: float = math.inf) -> tuple[float, float]:
    """The period Lambda = 2 pi/h at which the bound on the error of nodes c + ikh is as small as is aimed at (or <= 0
    where none is), and this bound, in units of BC(c)."""
    right = np.minimum(1 + _within(_DISTANCES / sigma, min(bc.right - 1, reach)), bc.right * (1 - 8 * UNIT))
    left = -_within(_DISTANCES / sigma, min(-bc.left, reach))
    tails = (bc.log(np.concatenate([right, left])) - log_bc).reshape(2, -1)
    distance = np.array([right - c, c - left])
    period = float(((tails - _target(sigma)) / distance).min(axis=1).max())
    if period <= 0:
        return period, math.inf
    log_alias = (tails - distance * period - np.log(-np.expm1(-distance * period))).min(axis=1)
    return period, float(np.exp(log_alias).sum())


def tail_of_ones(nodes: int, c: float, h: float) -> float:
    """What the nodes beyond the last one add of the 1 in 1 - BC."""
    return float((psi(nodes + 1 + 1j * c / h) + psi(nodes + 1 + 1j * (1 - c) / h)).imag) / math.pi


def _within(distance: Array, limit: float | Array) -> Array:
    """Distances that approach 9/10 of the limit instead of passing it."""
    return 1 / (1 / distance + 1 / np.maximum(0.9 * limit, 1e-305))


def _noise(s: Array, log_s: Array, law: Modes) -> Array:
    """Rounding error of ln BC at s."""
    return law.ulps * UNIT * (np.abs(log_s) + np.abs(s) * law.size)


def complex_expm1(z: Array) -> Array:
    """e^z - 1 for complex z."""
    value = np.empty_like(z)
    value.real = np.expm1(z.real) * np.cos(z.imag) - 2 * np.sin(z.imag / 2) ** 2
    value.imag = np.exp(z.real) * np.sin(z.imag)
    return value


def _broken_line(law: Modes, c: float, sigma: float, side: Side) -> Estimate:
    """Along the path of steepest descent."""
    small, log_bc = side
    first = 0.5 / sigma if small else min(0.5 / sigma, c / 2, (1 - c) / 2)

    def log_f(s: Array) -> Array:
        return log_transform(s, law) - log_bc

    def f(s: Array) -> tuple[Array, Array]:
        log_s = log_f(s)
        kernel = 1 / s / (1 - s)
        size = np.exp(log_s.real)
        values = (-complex_expm1(log_s + log_bc) if small else np.exp(log_s)) * kernel
        noise = _noise(s, log_s + log_bc, law) * side.unit * size * np.abs(kernel) + 4 * UNIT * np.abs(values)
        return values[None], noise[None]

    corners, remainder = steepest_path(log_f, c, first, math.log(_TARGET))
    halves = np.stack([corners[:-1], (corners[:-1] + corners[1:]) / 2], axis=1).ravel()  # few whole pieces suffice
    integral = integrate_path(f, np.append(halves, corners[-1]), _TARGET)
    end = corners[-1]
    value = float(integral.value[0].imag)
    ones = math.atan2((-1 / end).imag, 1 + (-1 / end).real) if small else 0.0
    error = float(integral.error[0] + integral.rounding[0]) + 2 * side.unit * math.exp(remainder) / abs(end)
    return Estimate((value + ones) / math.pi, (error + 4 * UNIT * ones) / math.pi)


def total_variation_many(ratio: Array, shift: Array, count: Array) -> tuple[Array, Array]:
    r"""TV(p_j, q) of many laws p_j against the same q, each an ordinary product Gaussian.

    The trapezoid on Re s = 1/2 is done for all rows at once in real arithmetic,

        ln |BC(1/2 + iu)| = -1/4 sum n [ln(1 + r^2/(4(1+r))) + ln(1 + u^2 k^2)] - (1/8 + u^2/2) sum n g,
        arg  BC(1/2 + iu) =  1/2 sum n [u ln(1+r) - arctan(u k)] + (1/8 + u^2/2) sum n g u k,

    k = r/(1 + r/2), g = mu^2/((1 + r/2)(1 + u^2 k^2)). Rows that it does not resolve, or of TV near 1, are left to
    `total_variation`.

    Parameters
    ----------
    ratio, shift : ndarray, shape (P, K)
    count : ndarray, shape (K,)

    Returns
    -------
    values, errors : ndarray, shape (P,)

    Examples
    --------
    >>> import numpy as np
    >>> values, errors = total_variation_many(np.full((2, 1), 0.01), np.array([[0.0], [1e-4]]), np.full(1, 100.0))
    >>> values.round(8), bool((errors < 1e-14).all())
    (array([0.02801684, 0.0486292 ]), True)
    """
    ratio, shift = np.asarray(ratio, dtype=float), np.asarray(shift, dtype=float)
    count = np.asarray(count, dtype=float)
    values, errors = np.zeros(len(ratio)), np.full(len(ratio), np.inf)
    rows = max(1, (1 << 12) // ratio.shape[1])
    if ratio.shape[1] <= 1 << 12:
        for j in range(0, len(ratio), rows):
            values[j : j + rows], errors[j : j + rows] = _trapezoids(ratio[j : j + rows], shift[j : j + rows], count)
    for row in np.flatnonzero(~(errors <= 1e-13 * values)):
        single = total_variation(ratio[row], shift[row], count)
        values[row], errors[row] = float(single), single.error
    return values, errors


def _trapezoids(ratio: Array, shift: Array, count: Array) -> tuple[Array, Array]:
    """TV of every row by equidistant nodes on Re s = 1/2, and its error (infinite where this rule is no use)."""
    middle = 1 + ratio / 2
    k, g, log1p_r = ratio / middle, shift / middle, np.log1p(ratio)
    sigma = np.sqrt((k * k / 2 + g * (1 + ratio) / middle**2) @ count)
    good = sigma > 1e-60
    sigma = np.where(good, sigma, 1.0)[:, None]
    base = -(np.log1p(ratio * k / (1 + ratio) * middle / 4) @ count)[:, None] / 4
    target = np.log(_TARGET * sigma / 3)

    def log_size(u: Array) -> tuple[Array, Array]:
        v = (u[:, :, None] * k[:, None, :]) ** 2
        return base - np.log1p(v) @ count / 4 - (u * u / 2 + 1 / 8) * ((g[:, None, :] / (1 + v)) @ count), v

    height = np.array([7.7, 8.6, 10.0, 12.5, 16.0, 25.0]) / sigma
    below = log_size(height)[0] - np.log(height) < target
    height = np.take_along_axis(height, np.argmax(below, axis=1)[:, None], axis=1)
    reach = np.array([1.5, 3.0, 5.0, 8.0, 12.0]) / sigma
    with np.errstate(divide="ignore"):
        end = 1 / np.maximum(-ratio.min(axis=1, keepdims=True), 0.0)
        right = np.minimum(1 + _within(reach, end - 1), end * (1 - 8 * UNIT))
        left = -_within(reach, 1 / np.maximum(ratio.max(axis=1, keepdims=True), 0.0))
    s = np.concatenate([right, left], axis=1)
    sr = s[:, :, None] * ratio[:, None, :]
    tails = (s * (log1p_r @ count)[:, None] - np.log1p(sr) @ count) / 2
    tails -= s * (1 - s) / 2 * ((shift[:, None, :] / (1 + sr)) @ count)
    distance = np.abs(s - 0.5)
    sides = ((tails - target) / distance).reshape(len(s), 2, -1)
    period = np.maximum(sides.min(axis=2).max(axis=1, keepdims=True), 1e-300)
    h = 2 * math.pi / period
    nodes = np.ceil(height / h)
    good &= below.any(axis=1) & (nodes[:, 0] <= _NODES) & (base[:, 0] - (g @ count) / 8 > -math.log(2))
    nodes = np.where(good[:, None], nodes, 1)
    most = int(nodes.max())
    log_alias = (tails - distance * period - np.log(-np.expm1(-distance * period))).reshape(sides.shape).min(axis=2)
    total, size = np.zeros_like(h), np.zeros_like(h)
    phase_slope = ((log1p_r - k) @ count)[:, None] / 2
    noise_slope = 4 * UNIT * (np.abs(k) @ count)[:, None]
    noise = np.zeros_like(h)
    block = max(1, (1 << 16) // ratio.size)
    for j in range(0, most + 1, block):
        u = h * np.arange(j, min(j + block, most + 1))
        log_bc, v = log_size(u)
        vk = u[:, :, None] * k[:, None, :]
        phase = u * phase_slope + (vk - np.arctan(vk)) @ count / 2
        phase += (u * u / 2 + 1 / 8) * ((g[:, None, :] * vk / (1 + v)) @ count)
        weight = h / math.pi * np.where(u > 0, 1.0, 0.5) * (u <= (nodes + 0.5) * h) / (u * u + 0.25)
        terms = weight * (2 * np.sin(phase / 2) ** 2 - np.expm1(log_bc) * np.cos(phase))
        shake = u * noise_slope
        noise += (weight * np.exp(log_bc) * (np.abs(np.sin(phase)) * shake + shake**2 - 8 * UNIT * log_bc)).sum(
            axis=1, keepdims=True
        )
        total += terms.sum(axis=1, keepdims=True)
        size += np.abs(terms).sum(axis=1, keepdims=True)
    ones = 2 / math.pi * psi(nodes + 1 + 0.5j / h).imag
    errors = np.exp(log_alias).sum(axis=1, keepdims=True) + np.exp(target) + noise + 4 * UNIT * (size + ones)
    return np.clip(total + ones, 0.0, 1.0)[:, 0], np.where(good, errors[:, 0], np.inf)
