"""Laws on the line as the textbooks have them, at noise level t, in mpmath at the caller's precision."""

from __future__ import annotations

import mpmath
from mpmath import mpf


def normal(x, variance):
    return mpmath.exp(-x * x / (2 * variance)) / mpmath.sqrt(2 * mpmath.pi * variance)


def tail(u):
    return mpmath.erfc(u / mpmath.sqrt(2)) / 2


def noised(variance, t):
    return mpmath.exp(-2 * mpf(t)) * variance + 1 - mpmath.exp(-2 * mpf(t))


def two(t, separation, variance=1):
    a, v = mpmath.exp(-mpf(t)) * separation * mpmath.sqrt(variance), noised(variance, t)
    return lambda x: (normal(x - a, v) + normal(x + a, v)) / 2


def skew(t, shape, location=0, scale=1):
    """(2/w) phi(z) Phi(alpha z), delta = alpha/sqrt(1 + alpha^2): w^2 is noised, w delta and the location decay."""
    decay, delta = mpmath.exp(-mpf(t)), shape / mpmath.sqrt(1 + mpf(shape) ** 2)
    w = mpmath.sqrt(noised(mpf(scale) ** 2, t))
    delta = decay * scale * delta / w
    alpha = delta / mpmath.sqrt(1 - delta**2)
    return lambda x: 2 * normal(x - decay * location, w**2) * tail(-alpha * (x - decay * location) / w)


def uniform(t, half_width, variance):
    b, s = mpmath.exp(-mpf(t)) * half_width, mpmath.sqrt(noised(variance, t))
    return lambda x: (tail((abs(x) - b) / s) - tail((abs(x) + b) / s)) / (2 * b)


def exponential(t, scale, variance):
    """(1/beta) e^{s^2/(2 beta^2) - x/beta} Phi(x/s - s/beta)."""
    beta, v = mpmath.exp(-mpf(t)) * scale, noised(variance, t)
    s = mpmath.sqrt(v)
    return lambda x: mpmath.exp(v / (2 * beta**2) - x / beta) * tail(s / beta - x / s) / beta


def laplace(t, scale, variance):
    half = exponential(t, scale, variance)
    return lambda x: (half(x) + half(-x)) / 2


DENSITIES = {"two": two, "skew": skew, "uniform": uniform, "laplace": laplace, "exponential": exponential}
