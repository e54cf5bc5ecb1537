r"""Divergences between a Gaussian scale mixture and a centred isotropic Gaussian, as integrals over the radius.

In many dimensions a mixture of scales lies on a thin shell, and only the radius tells it from the target.

With q = N(0, b I_d), y = |x|^2/b = d e^tau and u_j = ln(s_j^2/b), the density of the mixture relative to q is

    e^{lam(tau)} = sum_j w_j e^{l_j},   l_j = (d/2) [-u_j - (e^{-u_j} - 1) e^tau],

and q's own density in tau is proportional to g(tau) = exp((d/2)(tau - e^tau)). Everything is written about tau = 0,
where the large terms cancel exactly, so that d = 10^12 costs and loses nothing.

From a lattice of u, the density in tau is the convolution of its weights with g, on the lattice: sums over it are
the integrals, but for rounding and what the lattice does not resolve, and a primitive is that of the interpolation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, logsumexp

from rmverify.elementary import log1p_minus, phi2
from rmverify.laws import ScaleMixture
from rmverify.laws.scale import MOST_CELLS, STENCIL, Lattice, Unresolved, lagrange
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value

__all__ = ["radial_hellinger", "radial_kl", "radial_reverse_kl", "radial_tv"]

Integrand = Callable[[Array, Array], Array]

_MOST_PANELS = 2000
_NOISE = 1e-15  # rounding of a density from a lattice, relative to its largest value
_NOTHING = -745.0  # e^-745 = 0
_DROP = 45.0  # nats below the peak at which the radius is cut: e^-45 < 2^-64
_X, _W = np.polynomial.legendre.leggauss(20)


def radial_tv(mixture: ScaleMixture | Lattice, variance: float) -> Value:
    """TV = 1/2 int |p - q|, split at the sign changes of p - q; error from halving the panels, and rounding."""

    def integrand(log_q: Array, lam: Array) -> Array:
        far = np.exp(np.minimum(log_q + lam, 700)) - np.exp(log_q)
        return np.where(lam > 30, far, np.exp(log_q) * np.expm1(np.minimum(lam, 30)))

    if _apart(mixture, variance):
        return Value(1.0, complement=0.0)
    value, error = _integrate(mixture, variance, integrand, signed=True)
    value = min(value / 2, 1.0)
    error = min(error / 2 + mixture.rounding * math.sqrt(mixture.dim / 8), 1.0)
    return Value.clipped(value, error, 0, 1)


def _apart(mixture: ScaleMixture | Lattice, variance: float) -> bool:
    """Whether 1 - TV <= sum_j sqrt(w_j) BC(u_j), BC(u) = cosh(u/2)^{-d/2}, is below every float: of a law that the
    nodes resolve, spread no further than the radius."""
    u = _shifts(mixture, variance)
    off = u - mixture.weights @ u
    if mixture.weights @ (off * off) * mixture.dim > 2:
        return False
    u = np.abs(u) / 2
    log_cosh = u + np.log1p(np.exp(-2 * u)) - math.log(2)
    bound = np.log(np.maximum(np.abs(mixture.weights), 1e-300)) / 2 - mixture.dim / 2 * log_cosh
    return float(logsumexp(bound)) < _NOTHING


def radial_kl(mixture: ScaleMixture | Lattice, variance: float) -> Value:
    """KL(p||q) = int q [(1+G) ln(1+G) - G], G = p/q - 1: nonnegative everywhere."""

    def integrand(log_q: Array, lam: Array) -> Array:
        G = np.expm1(np.minimum(lam, 0.4))
        near = G * G + (1 + G) * log1p_minus(np.maximum(G, -0.4))
        far = np.exp(np.minimum(log_q + lam, 700)) * (lam - 1) + np.exp(log_q)
        return np.where(np.abs(lam) < 0.3, np.exp(log_q) * near, far)

    return _unsigned(mixture, variance, integrand, 1.0)


def radial_reverse_kl(mixture: ScaleMixture | Lattice, variance: float) -> Value:
    """KL(q||p) = int q [G - ln(1+G)]."""

    def integrand(log_q: Array, lam: Array) -> Array:
        near = -log1p_minus(np.expm1(np.clip(lam, -0.4, 0.4)))
        far = np.exp(np.minimum(log_q + lam, 700)) - np.exp(log_q) * (1 + lam)
        return np.where(np.abs(lam) < 0.3, np.exp(log_q) * near, far)

    return _unsigned(mixture, variance, integrand, -1.0)


def _unsigned(mixture: ScaleMixture | Lattice, variance: float, integrand: Integrand, sign: float) -> Value:
    """A Kullback-Leibler divergence; it moves by (d/2) |e^{+-u} - 1| with each u, and, near 0, by at most sqrt(d/2)
    times the root of int q ln^2(p/q) = 2 KL + ..., by Cauchy and Schwarz."""
    value, error = _integrate(mixture, variance, integrand, signed=False)
    value = max(value, 0.0)
    u = _shifts(mixture, variance)
    slope = mixture.dim / 2 * float(np.abs(mixture.weights) @ np.abs(np.expm1(sign * u)))
    if value < 0.01:
        slope = min(slope, 2 * math.sqrt(mixture.dim * value))
    elif isinstance(mixture, Lattice):  # far atoms of no weight: twice the quotient for a common shift
        shift = 1e-3 * math.sqrt(2 / mixture.dim)
        moved = _integrate(mixture, variance * math.exp(shift), integrand, signed=False)[0]
        slope = min(slope, 2 * abs(moved - value) / shift)
    error += mixture.rounding * slope + mixture.dim * mixture.rounding**2 / 4
    return Value.clipped(value, error)


def radial_hellinger(mixture: ScaleMixture | Lattice, variance: float) -> Value:
    """H = sqrt(1/2 int (sqrt p - sqrt q)^2)."""

    def integrand(log_q: Array, lam: Array) -> Array:
        far = (np.exp(np.minimum(log_q + lam, 700) / 2) - np.exp(log_q / 2)) ** 2
        return np.where(lam > 30, far, np.exp(log_q) * np.expm1(np.minimum(lam, 30) / 2) ** 2)

    square, error = _integrate(mixture, variance, integrand, signed=False)
    value = min(math.sqrt(max(square, 0.0) / 2), 1.0)
    error = min((error / (4 * value) if value else 0.0) + mixture.rounding * math.sqrt(mixture.dim / 8), 1.0)
    return Value.clipped(value, error, 0, 1)


def _shifts(mixture: ScaleMixture | Lattice, variance: float) -> Array:
    """u_j = ln(s_j^2/variance)."""
    if mixture.logs is None or mixture.reference is None:
        assert isinstance(mixture, ScaleMixture)
        return _log_ratio(mixture.variances, variance)
    return mixture.logs + _log_ratio(np.array(mixture.reference), variance)


def _log_ratio(a: Array, b: float) -> Array:
    excess = (a - b) / b
    return np.where(np.abs(excess) < 0.5, np.log1p(np.maximum(excess, -0.5)), np.log(a) - math.log(b))


def _integrate(
    mixture: ScaleMixture | Lattice, variance: float, integrand: Integrand, *, signed: bool
) -> tuple[float, float]:
    half = mixture.dim / 2
    u = _shifts(mixture, variance)
    if isinstance(mixture, Lattice):
        return _on_lattice(mixture, float(u[0]), half, integrand, signed=signed)
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.weights)  # a weight may underflow
    slope = -np.expm1(-u)
    offset = -u * u * phi2(-u)  # 1 - e^{-u} - u
    density = _radial_density(half)

    def evaluate(tau: Array) -> Array:
        rise, log_q = density(tau)
        terms = half * (offset + np.multiply.outer(rise, slope))
        G = np.expm1(np.minimum(terms, 1.0)) @ mixture.weights
        near = (terms.max(axis=-1) < 1.0) & (np.abs(G) < 0.5)
        lam = np.where(near, np.log1p(np.where(near, G, 0.0)), logsumexp(terms + log_weights, axis=-1))
        return integrand(log_q, lam)

    low, high = _range(half)
    low, high = low + min(0.0, float(u.min())), high + max(0.0, float(u.max()))
    if not 2 * (high - low) * math.sqrt(half) <= _MOST_PANELS:
        raise Unresolved
    cuts = [low, *(_sign_changes(evaluate, low, high) if signed else []), high]
    least = max(48, 2 * math.ceil((high - low) * math.sqrt(half)))
    results = []
    for panels in (least, 2 * least):
        parts = []
        for a, b in itertools.pairwise(cuts):
            edges = np.linspace(a, b, max(4, math.ceil(panels * (b - a) / (high - low))) + 1)
            width = np.diff(edges) / 2
            tau = (edges[:-1] + width)[:, None] + width[:, None] * _X
            parts.append(float(((evaluate(tau.ravel()).reshape(tau.shape) @ _W) * width).sum()))
        results.append(sum(abs(p) for p in parts) if signed else sum(parts))
    return results[1], abs(results[1] - results[0]) + 1e-14 * abs(results[1])


def _radial_density(half: float) -> Callable[[Array], tuple[Array, Array]]:
    """tau -> (e^tau - 1, ln of q's density in tau)."""
    # ln of the normalization of exp(half (tau - e^tau + 1)): Stirling's remainder where half is large
    if half > 10:
        constant = 0.5 * math.log(half / (2 * math.pi)) - _stirling(half)
    else:
        constant = half * math.log(half) - half - float(gammaln(half))

    def density(tau: Array) -> tuple[Array, Array]:
        rise = np.expm1(np.minimum(tau, 700))
        return rise, half * np.where(np.abs(rise) < 0.5, log1p_minus(np.clip(rise, -0.6, 0.6)), tau - rise) + constant

    return density


def _on_lattice(law: Lattice, first: float, half: float, integrand: Integrand, *, signed: bool) -> tuple[float, float]:
    """Sums over tau = first + spacing * k; the second number is what rounding of the density may change."""
    step, density = law.spacing, _radial_density(half)
    low, high = (math.floor(end / step) for end in _range(half))
    start = min(low, low - math.ceil(first / step)) - STENCIL
    stop = max(law.weights.size + high, high - math.floor(first / step)) + STENCIL
    if stop - start > 2 * MOST_CELLS:
        raise Unresolved
    log_q = density(np.asarray(first + step * np.arange(start, stop), dtype=float))[1]
    p = np.zeros(stop - start)
    kernel = np.exp(density(np.asarray(step * np.arange(low, high + 1), dtype=float))[1])
    p[low - start : low - start + law.weights.size + kernel.size - 1] = np.convolve(law.weights, kernel)
    noise = _NOISE * float(p.max())

    def values(p: Array) -> Array:
        return integrand(log_q, np.log(np.maximum(p, 1e-300)) - log_q)

    f = values(p)
    if not signed:
        total = float(f.sum()) * step
        doubt = float(np.abs(values(np.maximum(p, 0) + noise) - f).sum()) * step
        return total, doubt + 1e-14 * abs(total)
    cells = np.convolve(f, _cell_weights(1.0)[::-1])[STENCIL - 1 : 1 - STENCIL]  # integrals over [k, k+1], k from 11
    before = np.concatenate([[0.0], np.cumsum(cells)])
    edge = STENCIL // 2 - 1
    live = np.flatnonzero(np.abs(f) > noise)
    marks = [0.0]
    for i, j in itertools.pairwise(live):
        if f[i] * f[j] < 0:
            if j != i + 1 or not edge <= i < f.size - edge - 1:
                raise Unresolved
            around = f[i - edge : i - edge + STENCIL]
            left, right = 0.0, 1.0
            for _ in range(50):
                middle = (left + right) / 2
                before_root = float(lagrange(np.asarray(middle, float)) @ around) * f[i] > 0
                left, right = (middle, right) if before_root else (left, middle)
            marks.append(float(before[i - edge]) + float(_cell_weights((left + right) / 2) @ around))
    marks.append(float(before[-1]))
    total = step * sum(abs(b - a) for a, b in itertools.pairwise(marks))
    return total, 1e-14 * total + noise * step * law.weights.size


def _cell_weights(x: float) -> Array:
    """Integral over [0, x], x <= 1, of the interpolation in the values at -11, ..., 12."""
    return np.asarray((_W * x / 2) @ lagrange(np.asarray(x * (_X + 1) / 2)))


def _stirling(x: float) -> float:
    """ln Gamma(x) - [(x-1/2) ln x - x + ln(2 pi)/2] for x > 10."""
    y = 1 / (x * x)
    return (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y * (1 / 1188 - y * 691 / 360360))))) / x


def _range(half: float) -> tuple[float, float]:
    """Where half (e^tau - 1 - tau) = DROP, on both sides."""

    def depth(tau: float) -> float:
        return half * (math.expm1(tau) - tau) - _DROP if abs(tau) > 1e-2 else half * tau * tau * (0.5 + tau / 6) - _DROP

    ends = []
    for side in (-1.0, 1.0):
        inner, outer = 0.0, side * math.sqrt(2 * _DROP / half)
        while depth(outer) < 0:
            inner, outer = outer, outer * 2
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if depth(middle) < 0 else (inner, middle)
        ends.append(outer)
    return ends[0], ends[1]


def _sign_changes(evaluate: Callable[[Array], Array], low: float, high: float) -> list[float]:
    """To a relative 1e-13 of the range: what is integrated vanishes there, so that the square of it counts."""
    grid = np.linspace(low, high, 4001)
    signs = np.sign(evaluate(grid))
    live = np.flatnonzero(signs)
    pairs = [(i, j) for i, j in itertools.pairwise(live) if signs[i] != signs[j]]
    if not pairs:
        return []
    a, b, left = (np.array(z) for z in zip(*((grid[i], grid[j], signs[i]) for i, j in pairs), strict=True))
    shares = np.arange(1, 17) / 17
    for _ in range(8):
        points = a[:, None] + (b - a)[:, None] * shares
        same = np.sign(evaluate(points.ravel()).reshape(points.shape)) == left[:, None]
        count = np.where(same.all(axis=1), 16, np.argmin(same, axis=1))  # how many from the left have the sign of a
        a, b = a + (b - a) * count / 17, a + (b - a) * (count + 1) / 17
    return list(map(float, (a + b) / 2))
