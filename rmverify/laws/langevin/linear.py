r"""Underdamped Langevin in continuous time on a linear force: the flow that correctors discretize, mode by mode.

Claims about correctors are held against this flow, not against the steps that approach it.

dx = v dt, dv = (u s(x) - g v) dt + sqrt(2gu) dB with s(x) = -k (x - c). With G the velocity's response, G'' + g G' +
u k G = 0, G(0) = 0, G'(0) = 1, and w = g^2/4 - u k,

    G(t) = t e^{-gt/2} S(w t^2),  S(y) = sinh(sqrt y)/sqrt y,    G'(t) = e^{-gt/2} (C(w t^2) - (gt/2) S(w t^2)),
    A = [[G' + g G, G], [-u k G, G']],    noise = 2gu [[int G^2, G^2/2], [G^2/2, int G'^2]].

S and C = cosh(sqrt y) are entire, so that critical damping (w = 0), k = 0 and k < 0 are ordinary. Over a short time the
two integrals are sums of squares with positive weights, and longer times are composed of equal short ones: no entry is
the difference of larger numbers, and the noise keeps its digits as T -> 0, where it is 2gu (T^3/3, T^2/2, T).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmverify.elementary import exp, total
from rmverify.numbers.checks import Array, finite_array
from rmverify.numbers.quadrature import unit_rule
from rmverify.readings.affine import Transition, compose

__all__ = ["kinetic_flow", "start_noise", "unit_flow"]

SHORT = 0.5  # the largest gT and sqrt(u|k|) T that is not halved: |w| <= 5/16, and the integrands grow below e^2
TERMS = 9  # of S and C: (5/16)^9/18! = 5e-21
NODES = 8  # of Gauss-Legendre: 1e-18


def unit_flow(k: Any, g: Any, x: Any, weights: Any, terms: int = TERMS) -> tuple[Any, Any, Any, Any, Any]:
    """(G, G', int G, int G^2, int G'^2) at time 1 and mass 1, by the rule (x, weights) of [0, 1].

    The nodes and weights lie along a leading axis that `k` and `g` broadcast with; floats, balls, `Dual` numbers.
    """
    w = g * g / 4 - k

    def response(t: Any) -> tuple[Any, Any]:
        y, decay = w * (t * t), exp(-g * t / 2)
        c, s = 1 + 0 * y, 1 + 0 * y
        for j in range(2 * terms - 2, 0, -2):
            c, s = 1 + y * c / (j * (j - 1)), 1 + y * s / (j * (j + 1))
        return decay * s * t, decay * (c - g * t / 2 * s)

    a, b = response(x)
    return *response(1), total(a * weights), total(a * a * weights), total(b * b * weights)


def kinetic_flow(curvature: Any, friction: Any, time: Any, mass: Any = 1.0, center: Any = 0.0) -> Transition:
    r"""The exact flow of underdamped Langevin for the force -k (x - c): (x, v)_T = A (x, v)_0 + b + N(0, noise).

    Parameters
    ----------
    curvature, friction, time, mass, center : array_like
        k of any sign, g > 0, T > 0, u > 0 and c of every mode; they broadcast.

    Returns
    -------
    Transition
        `linear`, `shift` and `noise` over (x, v), each entry an array of the common shape. Relative error below
        1e-14 (1 + T max(g, sqrt(u|k|))): of the noise's variances and of A as a whole.

    Raises
    ------
    ValueError
        Where an argument is not finite, or friction, time or mass is not positive.
    OverflowError
        Where k < 0 and the flow grows beyond floats.

    Examples
    --------
    >>> flow = kinetic_flow([1.0, 0.25], 1.0, 1e-6)  # 1/4 is critical
    >>> (flow.noise[0][0] / (2 * 1e-18 / 3)).round(6)
    array([0.999999, 0.999999])
    >>> flow = kinetic_flow(4.0, 1.0, 2.0)  # N(0, 1/k) x N(0, 1) stays
    >>> float(flow.linear[0][0] ** 2 / 4 + flow.linear[0][1] ** 2 + flow.noise[0][0])
    0.25
    """
    given = {"curvature": curvature, "friction": friction, "time": time, "mass": mass, "center": center}
    k, g, T, u, c = np.broadcast_arrays(*(finite_array(name, values) for name, values in given.items()))
    for name, array in (("friction", g), ("time", T), ("mass", u)):
        if not (array > 0).all():
            raise ValueError(f"{name}: expected numbers > 0, got {float(array.min())!r}")
    reach = float(np.maximum(g * T, np.sqrt(u * np.abs(k)) * T).max())
    halvings = max(0, math.ceil(math.log2(reach / SHORT)))
    t = T * 0.5**halvings
    K = u * k * t * t
    x, weights = (part.reshape(-1, *(1,) * k.ndim) for part in unit_rule(NODES))
    G, slope, displaced, in_x, in_v = unit_flow(K, g * t, x, weights)
    cross, power = g * u * (t * G) ** 2, 2 * g * u * t
    flow = Transition(
        ((slope + g * t * G, t * G), (-K * G / t, slope)),
        (c * K * displaced, c * K * G / t),
        ((power * t * t * in_x, cross), (cross, power * in_v)),
    )
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(halvings):
            flow = compose(flow, flow)
            cross = g * u * flow.linear[0][1] ** 2  # the same, without the cancellation of terms of both signs
            flow = flow._replace(noise=((flow.noise[0][0], cross), (cross, flow.noise[1][1])))
    if not all(np.isfinite(entry).all() for part in (*flow.linear, *flow.noise) for entry in part):
        raise OverflowError(f"time: too long: for k < 0 the flow grows like exp({reach:g}), beyond floats")
    return flow


def start_noise(curvature: Any, friction: Any, time: Any, mass: Any = 1.0) -> tuple[Array, Array]:
    r"""What hides x_0 at time T: of x_0, (x, v)_T tell what x_0 + N(0, n) tells, and x_T alone with a larger n.

    With e, f the columns of A for x_0 and v_0, v_0 ~ N(0, u), and N = u f f^T + noise: n = 1/(e^T N^{-1} e), and
    N_xx/e_x^2 for x_T alone. Hence for any laws p, q of x_0, D(pP_T, qP_T) = D(p * N(0, n), q * N(0, n)) in every
    divergence D that only processing of the data can lower. As T -> 0, n ~ 2guT^3/3 and u T^2.

    Parameters
    ----------
    curvature, friction, time, mass : array_like
        As for `kinetic_flow`.

    Returns
    -------
    joint, position : ndarray
        Relative error below 1e-14 for T up to 1/max(g, sqrt(u|k|)); beyond, where k < 0, the first loses digits as A
        grows. The second is infinite where x_T does not depend on x_0.

    Examples
    --------
    >>> joint, position = start_noise(0.0, 1.0, 1e-3)
    >>> round(float(joint / (2e-9 / 3)), 3), round(float(position / 1e-6), 3)
    (0.999, 1.0)
    """
    (e_x, f_x), (e_v, f_v) = (flow := kinetic_flow(curvature, friction, time, mass)).linear
    (c_x, c), (_, c_v) = flow.noise
    u = np.asarray(mass, dtype=float)
    area = np.exp(-2 * np.asarray(friction, dtype=float) * np.asarray(time, dtype=float))  # (det A)^2

    def across(x: Any, v: Any) -> Any:
        return c_x * v * v - 2 * c * x * v + c_v * x * x

    joint = (c_x * c_v - c * c + u * across(f_x, f_v)) / (u * area + across(e_x, e_v))
    with np.errstate(divide="ignore"):
        return joint, (c_x + u * f_x * f_x) / (e_x * e_x)
