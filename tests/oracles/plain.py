"""Gaussian data in NumPy: the formulas that many tests need, each written as its source prints it.

`oracles.textbook` has every scheme in mpmath, one number at a time; these take arrays of modes, midpoints or particles.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from scipy.stats import chi2


def noised(lam, t):
    """v(t) = 1 + (lam - 1) e^{-2t}, the variance of e^{-t} X + sqrt(1 - e^{-2t}) Z."""
    return lam * np.exp(-2 * t) - np.expm1(-2 * t)


def score_of(lam, mean=0.0, gain=0.0, bias=0.0):
    """(1 + gain) s_t(x) + bias with s_t(x) = -(x - e^{-t} m)/v(t)."""
    return lambda t, x: -(1 + gain) * (x - np.exp(-t) * mean) / noised(lam, t) + (bias(t) if callable(bias) else bias)


# --- predictors: x', or the factor of x where the score is linear ---------------------------------------------------


def euler(x, t, h, score):
    return x + h * (x + score(t, x))


def exponential_integrator(x, t, h, score):
    return np.exp(h) * x + np.expm1(h) * score(t, x)


def heun(x, t, h, score):
    y = x + h * (x + score(t, x))
    return x + h / 2 * (x + score(t, x) + y + score(t - h, y))


def randomized_midpoint(x, t, h, a, score):
    half = np.exp(a * h) * x + np.expm1(a * h) * score(t, x)
    return np.exp(h) * x + h * np.exp((1 - a) * h) * score(t - a * h, half)


def importance_midpoint(x, t, h, a, score):
    r = -np.log(1 - a * (1 - np.exp(-h)))
    half = np.exp(r) * x + np.expm1(r) * score(t, x)
    return np.exp(h) * x + np.expm1(h) * score(t - r, half)


def parallel_midpoint(x, t, h, alphas, score, rounds):
    """A midpoint of `alphas` (R, ...) in every stratum."""
    R = len(alphas)
    points = [np.exp(a * h) * x + np.expm1(a * h) * score(t, x) for a in alphas]
    for _ in range(rounds):
        seen = [score(t - a * h, y) for a, y in zip(alphas, points, strict=True)]
        points = [
            np.exp(a * h) * x
            + sum((np.exp(a * h - j * h / R) - np.maximum(np.exp(a * h - (j + 1) * h / R), 1)) * seen[j]
                  for j in range(i + 1))
            for i, a in enumerate(alphas)
        ]  # fmt: skip
    ends = (np.exp((1 - a) * h) * score(t - a * h, y) for a, y in zip(alphas, points, strict=True))
    return np.exp(h) * x + h / R * sum(ends)


def slope(lam, t, h, a):
    """A(a) of the randomized midpoint on a mode of mean 0."""
    return randomized_midpoint(1.0, t, h, a, score_of(lam))


def langevin(k, friction, h):
    """The matrix and the noise of an underdamped step of mass 1 on (x, v), for the force -k x, as rows."""
    decay = math.exp(-friction * h)
    p = (1 - decay) / friction
    q = (h - p) / friction
    x_x, x_v = (2 * h - (3 - 4 * decay + decay**2) / friction) / friction, (1 - decay) ** 2 / friction
    return ((1 - q * k, p), (-p * k, decay)), ((x_x, x_v), (x_v, 1 - decay**2))


# --- averages over midpoints ----------------------------------------------------------------------------------------


def unit_rule(nodes, edges=(0.0, 1.0)):
    """Gauss-Legendre on every panel between the edges: nodes and weights."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    width = np.diff(edges)
    return (np.asarray(edges)[:-1, None] + np.outer(width, (1 + x) / 2)).ravel(), np.outer(width, w / 2).ravel()


@functools.cache
def strata_rule(strata, nodes):
    """A Gauss rule in every stratum, all nested: midpoints (strata, n) and weights (n,)."""
    a, w = unit_rule(nodes)
    choice = np.array(list(itertools.product(range(nodes), repeat=strata))).T
    return (a[choice] + np.arange(strata)[:, None]) / strata, np.prod(w[choice], axis=0)


def at_every_midpoint(lam, levels, rule):
    """Variances of the randomized midpoint from the exact start at every combination of midpoints, and weights."""
    a, w = rule
    v, weights = np.array([noised(lam, levels[0])]), np.ones(1)
    for t, end in itertools.pairwise(levels):
        v = np.multiply.outer(slope(lam, t, t - end, a) ** 2, v).ravel()
        weights = np.outer(w, weights).ravel()
    return v, weights


# --- total variation ------------------------------------------------------------------------------------------------


def isotropic_tv(a, b, dim):
    """TV(N(0, a I), N(0, b I)): both laws of the ball in which one density is the larger, by chi-square."""
    if a == b:
        return 0.0
    radius = dim * math.log(b / a) / (1 / a - 1 / b)
    return float(abs(chi2.cdf(radius / a, dim) - chi2.cdf(radius / b, dim)))
