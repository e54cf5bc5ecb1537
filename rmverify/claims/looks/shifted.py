r"""How far a small independent noise V takes N(0, 1) in W_2: exactly, for V of a few values.

A step whose drift is random given the state adds such a V to its Gaussian noise, and W_2 feels V's variance, not its
deviation: that is what makes random midpoints cheap. Of a centred V with values v_i, the coupling by quantiles
moves z to z + u(z), where

    u + sum_i p_i w_i^2 Q(z, w_i) = 0,   w_i = u - v_i,   Q(z, w) = -int_0^1 (1-r)(z + w r) exp(-z w r - w^2 r^2/2) dr,

which is P(z + V' <= z + u) = P(Z <= z) with the terms of first order cancelled by hand, so that a tiny V keeps its
digits. W_2^2 = E u(Z)^2.
"""

from __future__ import annotations

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import unit_rule

__all__ = ["rare", "squared_distance", "squared_distance_of_scales"]

FAR = 9.0  # beyond it lies 2e-19 of N(0, 1)
NODES = 32  # of Gauss-Legendre in r: exponents up to FAR times twice the largest value
ROUNDS = 60


def squared_distance(values: Array, chances: Array, spacing: float = 0.125) -> Array:
    """W_2^2 between N(0, 1) and N(0, 1) * law of V, of every row (K, J) of values with their probabilities.

    By the trapezoid rule of this spacing on [-9, 9], which converges faster than any power of it.

    Examples
    --------
    >>> found = squared_distance(np.array([[1e-3, -1e-3]]), np.array([[0.5, 0.5]]))  # b^4/4
    >>> bool(abs(found[0] / (1e-12 / 4) - 1) < 1e-5)
    True
    """
    z = np.arange(-FAR, FAR + spacing / 2, spacing)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray((_moved(z, values, chances) ** 2 * density).sum(axis=-1) * spacing)


def squared_distance_of_scales(excess: Array, chances: Array, spacing: float = 0.125) -> float:
    """The same of a mixture of N(0, 1 + excess), (J,): W_2^2 to N(0, 1).

    Examples
    --------
    >>> found = squared_distance_of_scales(np.array([0.21]), np.array([1.0]))  # of N(0, 1.1^2)
    >>> bool(abs(found / 0.01 - 1) < 1e-12)
    True
    """
    z = np.arange(-FAR, FAR + spacing / 2, spacing)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    s = np.sqrt(1 + excess)
    less = -excess / (1 + s)  # 1 - s
    r, weights = unit_rule(NODES)
    x, u = z[:, None], 0 * z
    for _ in range(ROUNDS):
        w = (u[:, None] + x * less) / s
        grown = np.exp(-x[..., None] * w[..., None] * r - (w[..., None] * r) ** 2 / 2)
        inner = ((x[..., None] + w[..., None] * r) * grown) @ (weights * (1 - r))
        off = (chances * (w - w**2 * inner)).sum(axis=-1)
        new = u - off / (chances / s * np.exp(-x * w - w**2 / 2)).sum(axis=-1)
        done, u = np.abs(new - u) <= 1e-15 * np.abs(new).max(), new
        if done.all():
            break
    return float((u**2 * density).sum() * spacing)


def _moved(z: Array, values: Array, chances: Array) -> Array:
    """u(z), (K, Z): Newton's method, by halves where it leaves what is known."""
    r, weights = unit_rule(NODES)
    v, p, x = values[:, None, :], chances[:, None, :], z[None, :, None]
    low = np.broadcast_to(values.min(axis=1)[:, None], (len(values), z.size)).copy()
    high = np.broadcast_to(values.max(axis=1)[:, None], low.shape).copy()
    u = np.zeros_like(low)
    for _ in range(ROUNDS):
        w = u[..., None] - v
        grown = np.exp(-x[..., None] * w[..., None] * r - (w[..., None] * r) ** 2 / 2)
        inner = ((x[..., None] + w[..., None] * r) * grown) @ (weights * (1 - r))
        off = u - (p * w**2 * inner).sum(axis=-1)
        slope = (p * np.exp(-x * w - w**2 / 2)).sum(axis=-1)
        high, low = np.where(off > 0, np.minimum(high, u), high), np.where(off < 0, np.maximum(low, u), low)
        new = u - off / slope
        new = np.where((new > high) | (new < low), (low + high) / 2, new)
        done = np.abs(new - u) <= 4e-16 * np.abs(new)
        u = new
        if done.all():
            break
    return u


def rare(square: float) -> float:
    """The limit of W_2^2/nu^2 for V of one value beta with a probability that goes to 0, and its balance.

    sum_{k >= 2} beta^{2(k-2)}/(k! k): to first order in the probability the density moves by sum_k E V^k He_k phi/k!,
    and W_2^2 is its squared norm in H^{-1}, sum_k (E V^k)^2/(k! k) with E V^k = beta^{k-2} nu.

    Parameters
    ----------
    square : float
        beta^2.

    Examples
    --------
    >>> rare(0.0)
    0.25
    """
    total, term, k = 0.0, 0.5, 2
    while term / k > 1e-18 * total:
        total, k = total + term / k, k + 1
        term *= square / k
    return total
