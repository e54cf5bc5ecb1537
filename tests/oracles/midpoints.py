"""Randomized midpoint Langevin on a quadratic potential at every combination of midpoints, in floats."""

from __future__ import annotations

import numpy as np

from oracles.plain import unit_rule


def plain_step(k, g, u, h, a):
    """A and C at midpoints a (n,), for the force -k x: floats of the printed lines with two independent noises."""
    b, c = a * h, (1 - a) * h
    one = np.ones_like(a)

    def noise(s):
        E = np.exp(-g * s)
        return u * (1 - E**2), u * (1 - E) ** 2 / g, u * (2 * s - (3 - 4 * E + E**2) / g) / g

    phi_b, phi_c, phi_h = ((1 - np.exp(-g * s)) / g for s in (b, c, h * one))
    q = u * (b - phi_b) / g
    half = np.stack([1 - k * q, phi_b], -1)  # on (x, v)
    p, r = u * h * phi_c, u * h * np.exp(-g * c)
    A = np.stack([np.stack([one, phi_h], -1) - k * p[:, None] * half,
                  np.stack([0 * one, np.exp(-g * h) * one], -1) - k * r[:, None] * half], -2)  # fmt: skip
    C = np.zeros_like(A)
    first = np.stack([np.stack([phi_c, 1 - k * p], -1), np.stack([np.exp(-g * c), -k * r], -1)], -2)  # (v_1, x_1)
    for (vv, vx, xx), B in ((noise(b), first), (noise(c), np.array([[0.0, 1.0], [1.0, 0.0]]))):
        S = np.stack([np.stack([vv, vx], -1), np.stack([vx, xx], -1)], -2)
        C = C + B @ S @ np.swapaxes(np.broadcast_to(B, S.shape), -1, -2)
    return A, C


def nested(k, g, u, h, steps, s2, nodes=10):
    """Sigma_xx after so many steps from N(0, s2) x N(0, u) at every combination of midpoints, and weights."""
    a, w = unit_rule(nodes)
    A, C = plain_step(k, g, u, h, a)
    S, weights = np.diag([s2, u])[None], np.ones(1)
    for _ in range(steps):
        S = (A @ S[:, None] @ np.swapaxes(A, -1, -2) + C).reshape(-1, 2, 2)
        weights = np.outer(weights, w).ravel()
    return S[:, 0, 0], weights
