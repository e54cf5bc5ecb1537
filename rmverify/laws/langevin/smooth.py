r"""Underdamped Langevin in continuous time on any smooth force on the line: its law from a Gaussian start.

How fast underdamped Langevin smooths (claims C1 and C4) should not be known for Gaussians alone.

dx = v dt, dv = (u s(x) - g v) dt + sqrt(2gu) dB. The density is sought as

    f(x, v) = N(z; 0, I)/det B  sum_mn c_mn h_m(z_1) h_n(z_2),    (x, v) = mu + B z,  B lower triangular,

h_n the Hermite polynomials orthonormal under N(0, 1). The frame follows the force's best linear fit under its own
Gaussian, s(mu_x + B_xx y) ~ s_0 + s_1 y with s_0 = E s, s_1 = E s y (statistical linearization):

    mu_x' = mu_v,   mu_v' = u s_0 - g mu_v,
    B_xx' = B_vx,   B_vx' = u s_1 - g B_vx + B_vv^2/B_xx,   B_vv' = gu/B_vv - (g + B_vx/B_xx) B_vv.

On a linear force the law is the frame's Gaussian and c never moves. What is left, r(y) = s - s_0 - s_1 y, moves it:
with a_i, a_i* lowering and raising the degree in z_i,

    c' = (B_vv/B_xx) (a_1* a_2 - a_2* a_1) c - (gu/B_vv^2) a_2* a_2 c + (u/B_vv) a_2* r(z_1) c.

These are ordinary differential equations for some hundred numbers, whatever the width of the start, cut at a total
degree. The expansion converges in the norm of 1/(frame's density), for laws whose tails are no heavier than the square
root of the frame's: corrector times, up to 1/sqrt(L), are short enough. Where c does not decay the law is refused; how
exact it is says a run with twice the terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array, brief, number
from rmverify.numbers.quadrature import normal_rule

__all__ = ["KineticLaw", "kinetic_law"]

UNRESOLVED = 0.05  # a coefficient of the highest degrees, beside c_00 = 1


@dataclass(frozen=True, eq=False, repr=False)
class KineticLaw:
    """A law of (x, v): a Gaussian with covariance root root^T about `center`, times a sum of Hermite polynomials.

    Attributes
    ----------
    center : ndarray, shape (2,)
    root : ndarray, shape (2, 2)
        Lower triangular.
    coefficients : ndarray, shape (terms, terms)
        c_mn, zero from the degree m + n = terms on.
    """

    center: Array
    root: Array
    coefficients: Array

    def __repr__(self) -> str:
        deviations = np.sqrt((self.root**2).sum(axis=1))
        return (
            f"KineticLaw(center={brief(self.center)}, deviations={brief(deviations)}, terms={len(self.coefficients)})"
        )

    def position(self, x: Any) -> Array:
        """The density of x."""
        z = (np.asarray(x, dtype=float) - self.center[0]) / self.root[0, 0]
        polynomial = np.tensordot(self.coefficients[:, 0], hermite_values(z, len(self.coefficients)), 1)
        return np.asarray(_normal(z) * polynomial / self.root[0, 0])

    def joint(self, x: Any, v: Any) -> Array:
        """The density of (x, v) at every pair of a position and a velocity, shape (x.size, v.size)."""
        terms = len(self.coefficients)
        z = (np.asarray(x, dtype=float) - self.center[0]) / self.root[0, 0]
        y = (np.asarray(v, dtype=float) - self.center[1] - self.root[1, 0] * z[:, None]) / self.root[1, 1]
        inner = np.einsum("mn,mi->ni", self.coefficients, hermite_values(z, terms))
        density = np.einsum("ni,nij->ij", inner, hermite_values(y, terms)) * _normal(y) * _normal(z)[:, None]
        return np.asarray(density / (self.root[0, 0] * self.root[1, 1]))


def kinetic_law(
    force: Callable[[Array], Array], mean: float, deviation: float, time: float, friction: float, mass: float = 1.0, *,
    terms: int = 24, tolerance: float = 1e-11,
) -> KineticLaw:  # fmt: skip
    r"""The law of (x, v) after a time T, from x ~ N(mean, deviation^2) and v ~ N(0, u) independent of it.

    Of a mixture the law is the mixture of these; from a very narrow start it is that of a point.

    Parameters
    ----------
    force : callable
        s(x) on arrays.
    mean, deviation, time, friction, mass : number
        deviation, T, g, u > 0.
    terms : int
        Hermite polynomials of degree below this, >= 2.
    tolerance : float
        Relative local error of the integration in time.

    Raises
    ------
    ValueError
        Where an argument is out of range.
    ArithmeticError
        Where the expansion does not decay or the integration in time does not get through.

    Examples
    --------
    >>> import numpy as np
    >>> law = kinetic_law(lambda x: -x, 0.0, 1.0, 0.5, 2.0)  # N(0, 1) x N(0, 1) stays
    >>> np.round(law.root @ law.root.T, 9).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> x = np.linspace(-8, 8, 161)
    >>> float(kinetic_law(np.sin, 0.0, 0.01, 1.0, 1.0).position(x).sum() * 0.1)
    1.0
    """
    start = number("mean", mean), number("deviation", deviation, above=0)
    T, g, u = number("time", time, above=0), number("friction", friction, above=0), number("mass", mass, above=0)
    if number("terms", terms, least=2) != int(terms):
        raise ValueError(f"terms: expected an integer >= 2, got {terms!r}")
    from scipy.integrate import solve_ivp

    y, weights = normal_rule(2 * terms)
    values = hermite_values(y, terms)
    weighted = values * weights
    degree = np.arange(terms)
    root = np.sqrt(degree[1:])
    kept = degree[:, None] + degree < terms

    def speed(_: float, state: Array) -> Array:
        mu_x, mu_v, xx, vx, vv = state[:5]
        c = state[5:].reshape(terms, terms)
        s = np.asarray(force(mu_x + xx * y), dtype=float)
        s_0, s_1 = weighted[0] @ s, weighted[0] @ (s * y)
        rest = weighted @ ((s - s_0 - s_1 * y)[:, None] * (values.T @ c))
        rate = -g * u / (vv * vv) * degree * c
        rate[1:, :-1] += vv / xx * root[:, None] * (c[:-1, 1:] * root)
        rate[:-1, 1:] -= vv / xx * (root[:, None] * c[1:, :-1]) * root
        rate[:, 1:] += u / vv * rest[:, :-1] * root
        frame = [mu_v, u * s_0 - g * mu_v, vx, u * s_1 - g * vx + vv * vv / xx, g * u / vv - (g + vx / xx) * vv]
        return np.concatenate([frame, (rate * kept).ravel()])

    state = np.zeros(5 + terms * terms)
    state[[0, 2, 4, 5]] = start[0], start[1], math.sqrt(u), 1.0
    found = solve_ivp(speed, (0.0, T), state, method="DOP853", rtol=tolerance, atol=tolerance / 100, t_eval=[T])
    if not found.success or not np.isfinite(found.y).all():
        raise ArithmeticError(f"force: the law could not be followed up to time {T:g} ({found.message})")
    mu_x, mu_v, xx, vx, vv = found.y[:5, -1]
    c = found.y[5:, -1].reshape(terms, terms)
    last = float(np.abs(c[degree[:, None] + degree >= terms - (terms + 3) // 4]).max())
    if last > UNRESOLVED:
        raise ArithmeticError(
            f"terms: the expansion does not decay, the last of {terms} are {last:.2g}; use more, or a shorter time"
        )
    return KineticLaw(np.array([mu_x, mu_v]), np.array([[xx, 0.0], [vx, vv]]), c)


def _normal(z: Array) -> Array:
    return np.asarray(np.exp(-z * z / 2) / math.sqrt(2 * math.pi))


def hermite_values(z: Array, terms: int) -> Array:
    """h_0(z), h_1(z), ..., shape (terms, *z.shape)."""
    h = np.empty((terms, *z.shape))
    h[0], h[1:2] = 1.0, z
    for n in range(1, terms - 1):
        h[n + 1] = (z * h[n] - math.sqrt(n) * h[n - 1]) / math.sqrt(n + 1)
    return h
