r"""Divergences between a Gaussian scale mixture and a centred isotropic Gaussian, as integrals over the radius.

With q = N(0, b I_d), y = |x|^2/b = d e^tau and u_j = ln(s_j^2/b), the density of the mixture relative to q is

    e^{lam(tau)} = sum_j w_j e^{l_j},   l_j = (d/2) [-u_j - (e^{-u_j} - 1) e^tau],

and q's own density in tau is proportional to exp((d/2)(tau - e^tau)). Everything is written about tau = 0, where
the large terms cancel exactly, so that d = 10^12 costs and loses nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, logsumexp

from rmverify.elementary import log1p_minus, phi2
from rmverify.laws import ScaleMixture
from rmverify.laws.scale import NODES, Unresolved
from rmverify.targets.checks import Array
from rmverify.values import Value

__all__ = ["radial_hellinger", "radial_kl", "radial_tv", "resolved"]

_AGREE = 1e-7  # relative, between one count of nodes and twice as many
_MOST_PANELS = 2000
_DROP = 45.0  # nats below the peak at which the radius is cut: e^-45 < 2^-64
_X, _W = np.polynomial.legendre.leggauss(20)


def resolved(
    radial: Callable[[ScaleMixture, float], Value], rule: Callable[[int], ScaleMixture | None], variance: float
) -> Value | None:
    """The divergence `radial` with 24, 48, ... nodes of `rule` until two agree, their difference in the error; None
    where 192 do not."""
    before: Value | None = None
    for nodes in (NODES, 2 * NODES, 4 * NODES, 8 * NODES):
        try:
            mixture = rule(nodes)
            if mixture is None or not (mixture.variances > 0).all():
                return None
            value = radial(mixture, variance)
        except Unresolved:
            return None
        if before is not None and abs(value - before) <= _AGREE * value:
            error = value.error + abs(value - before)
            top = math.inf if radial is radial_kl else 1.0
            return Value(value, "exact", error, lower=max(0.0, value - error), upper=min(top, value + error))
        before = value
    return None


def radial_tv(mixture: ScaleMixture, variance: float) -> Value:
    """TV = 1/2 int |p - q|, split at the sign changes of p - q; error from halving the panels, and rounding."""

    def integrand(log_q: Array, lam: Array) -> Array:
        far = np.exp(np.minimum(log_q + lam, 700)) - np.exp(log_q)
        return np.where(lam > 30, far, np.exp(log_q) * np.expm1(np.minimum(lam, 30)))

    value, error = _integrate(mixture, variance, integrand, signed=True)
    value = min(value / 2, 1.0)
    error = min(error / 2 + mixture.rounding * math.sqrt(mixture.dim / 8), 1.0)
    return Value(value, "exact", error, lower=max(0.0, value - error), upper=min(1.0, value + error))


def radial_kl(mixture: ScaleMixture, variance: float) -> Value:
    """KL(p||q) = int q [(1+G) ln(1+G) - G], G = p/q - 1: nonnegative everywhere."""

    def integrand(log_q: Array, lam: Array) -> Array:
        G = np.expm1(np.minimum(lam, 0.4))
        near = G * G + (1 + G) * log1p_minus(np.maximum(G, -0.4))
        far = np.exp(log_q + lam) * (lam - 1) + np.exp(log_q)
        return np.where(np.abs(lam) < 0.3, np.exp(log_q) * near, far)

    value, error = _integrate(mixture, variance, integrand, signed=False)
    u = np.log(mixture.variances / variance)
    slope = mixture.rounding * mixture.dim / 2 * float(mixture.weights @ np.abs(np.expm1(u)))
    value, error = max(value, 0.0), error + slope + mixture.dim * mixture.rounding**2 / 4
    return Value(value, "exact", error, lower=max(0.0, value - error))


def radial_hellinger(mixture: ScaleMixture, variance: float) -> Value:
    """H = sqrt(1/2 int (sqrt p - sqrt q)^2)."""

    def integrand(log_q: Array, lam: Array) -> Array:
        far = (np.exp((log_q + lam) / 2) - np.exp(log_q / 2)) ** 2
        return np.where(lam > 30, far, np.exp(log_q) * np.expm1(np.minimum(lam, 30) / 2) ** 2)

    square, error = _integrate(mixture, variance, integrand, signed=False)
    value = min(math.sqrt(max(square, 0.0) / 2), 1.0)
    error = min((error / (4 * value) if value else 0.0) + mixture.rounding * math.sqrt(mixture.dim / 8), 1.0)
    return Value(value, "exact", error, lower=max(0.0, value - error), upper=min(1.0, value + error))


def _integrate(
    mixture: ScaleMixture, variance: float, integrand: Callable[[Array, Array], Array], *, signed: bool
) -> tuple[float, float]:
    half = mixture.dim / 2
    excess = (mixture.variances - variance) / variance
    u = np.where(
        np.abs(excess) < 0.5, np.log1p(np.maximum(excess, -0.5)), np.log(mixture.variances) - math.log(variance)
    )
    log_weights = np.log(mixture.weights)
    slope = -np.expm1(-u)
    offset = -u * u * phi2(-u)  # 1 - e^{-u} - u
    # ln of the normalization of exp(half (tau - e^tau + 1)): Stirling's remainder where half is large
    if half > 10:
        constant = 0.5 * math.log(half / (2 * math.pi)) - _stirling(half)
    else:
        constant = half * math.log(half) - half - float(gammaln(half))

    def evaluate(tau: Array) -> Array:
        rise = np.expm1(tau)
        log_q = half * np.where(np.abs(rise) < 0.5, log1p_minus(np.maximum(rise, -0.6)), tau - rise) + constant
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
    grid = np.linspace(low, high, 4001)
    signs = np.sign(evaluate(grid))
    live = np.flatnonzero(signs)
    roots = []
    for i, j in itertools.pairwise(live):
        if signs[i] != signs[j]:
            a, b = grid[i], grid[j]
            for _ in range(60):
                c = (a + b) / 2
                if np.sign(evaluate(np.array([c]))[0]) == signs[i]:
                    a = c
                else:
                    b = c
            roots.append(float((a + b) / 2))
    return roots
