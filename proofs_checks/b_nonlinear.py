r"""B2, B3, B4: local orders and leading constants for every C^2 score, linear or not, in every dimension.

Proved, for a step from (t, x) with a score s(t, x) that is twice continuously differentiable near (t, x):

    bias of scheme 2:      E_a x' - x* = -(1/6) s_x D h^3 + o(h^3),
    its variance, in coordinate i:      (1/12) (D - s)_i^2 h^4 + o(h^4),
    scheme 1:              x' - x* = -(1/2) D h^2 + O(h^3), without variance,

where s_x is the Jacobian and D = s_x (x + s) - s_t the derivative of the score along the reverse flow; D - s is that
of e^{-r} s. Second derivatives of the score cancel from both constants of scheme 2 (its integral is unbiased, B1),
not from the baselines': with f = x + s and Q = s_tt - 2 s_tx f + s_xx[f, f],

    midpoint    -(1/24) (Q + s_x f + 4 s_x D - 2 D + s) h^3 + o(h^3),
    Heun        (1/12) (Q - 2 f_x (D + f)) h^3 + o(h^3),  f_x = 1 + s_x.

Taylor's remainder of a C^2 score is o(h^2) at a distance O(h), and it enters multiplied by h; so the second-order jet,
whose letters are free below, gives the coefficients of h^3. Dimensions 1, 2 and 3 are done outright; they give every
d, because no term of these coefficients couples more than three coordinates and the coordinates may be permuted.

What this implies: |bias|^2 = O(h^6) and variance = O(h^4) (B2, B3), and scheme 1's square error O(h^4) is bias (B4).
The inequalities' uniform constants are not in here.

Provenance: the orders of B2, B3 are [derived], B4's is [quoted]; the constants are derived here.
"""

from functools import cache, partial
from typing import NamedTuple

import numpy as np
import sympy as sp

from rmverify.elementary import exp, expm1
from rmverify.readings.symbols import elementwise, letters, local
from rmverify.schemes import exponential_integrator, heun, midpoint, randomized_midpoint

CLAIM = ("B2", "B3", "B4")


class Jet(NamedTuple):
    """Position and the score's derivatives up to the second, of letters: s, s_t, s_tt, s_x, s_tx, s_xx."""

    x: np.ndarray
    s: np.ndarray
    t: np.ndarray
    tt: np.ndarray
    j: np.ndarray
    tj: np.ndarray
    jj: np.ndarray


def names(d):
    """The jet's letters; those of s_xx are symmetric."""
    one = range(d)
    vector = {k: np.array([f"{k}{i}" for i in one]) for k in ("x", "s", "t", "tt")}
    matrix = {k: np.array([[f"{k}{i}{k_}" for k_ in one] for i in one]) for k in ("j", "tj")}
    second = np.array([[[f"jj{i}{min(k, l)}{max(k, l)}" for l in one] for k in one] for i in one])
    return Jet(*vector.values(), *matrix.values(), second)


def taylor(jet, x, level, y):
    """The score at (t + level, y) by its jet at (t, x)."""
    u = y - x
    return (
        jet.s
        + (jet.t * level + jet.tt * (level * level / 2))
        + (jet.j @ u + jet.tj @ u * level)
        + (jet.jj @ u) @ u * sp.Rational(1, 2)
    )


@cache
def expansion(scheme, d, order=5):
    """Bias and variance, by coordinate."""
    table = names(d)
    flat = sorted({name for part in table for name in part.ravel()})
    h, a, *free = letters(" ".join(["a", *flat]), order=order)
    find = dict(zip(flat, free, strict=True)).__getitem__
    jet = Jet(*(elementwise(find)(part.astype(object)) for part in table))
    return local(scheme, jet.x, h, partial(taylor, jet, jet.x), [a])


def constants(d):
    """x, s, J, D, Q as sympy vectors and matrices (arrays of symbols)."""
    jet = Jet(*(elementwise(sp.Symbol)(part.astype(object)) for part in names(d)))
    f = jet.x + jet.s
    return jet.s, f, jet.j, jet.j @ f - jet.t, jet.tt - 2 * jet.tj @ f + (jet.jj @ f) @ f


def zeros(scheme, d, power, expected, variance=False):
    """The coefficients below h^power, and that of h^power less the expected one, for every coordinate."""
    found = expansion(scheme, d)[int(variance)]
    return tuple(
        sp.expand(c - (e if n == power else 0))
        for series, e in zip(found, expected, strict=True)
        for n, c in enumerate(series.coefficients(power + 1))
    )


def bias_of_scheme_2(d, scheme=randomized_midpoint):
    _, _, J, D, _ = constants(d)
    return zeros(scheme, d, 3, J @ D * sp.Rational(-1, 6))


def variance_of_scheme_2(d, scheme=randomized_midpoint):
    s, _, _, D, _ = constants(d)
    return zeros(scheme, d, 4, (D - s) ** 2 * sp.Rational(1, 12), variance=True)


def bias_of_scheme_1(d):
    _, _, _, D, _ = constants(d)
    nothing = zeros(exponential_integrator, d, 4, 0 * D, variance=True)
    return (*zeros(exponential_integrator, d, 2, D * sp.Rational(-1, 2)), *nothing)


def bias_of_midpoint(d):
    s, f, J, D, Q = constants(d)
    return zeros(midpoint, d, 3, (Q + J @ f + 4 * (J @ D) - 2 * D + s) * sp.Rational(-1, 24))


def bias_of_heun(d):
    _, f, J, D, Q = constants(d)
    return zeros(heun, d, 3, (Q - 2 * ((D + f) + J @ (D + f))) * sp.Rational(1, 12))


def euler_midpoint(x, t, h, score, draw):
    a = draw.uniform()
    half = x + a * h * (x + score(t, x))
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


def time_of_the_other_side(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - (1 - a) * h, half)


DIMENSIONS = (1, 2, 3)
IDENTITIES = {
    f"{name}, d = {d}": partial(check, d)
    for name, check in {
        "bias of scheme 2": bias_of_scheme_2,
        "variance of scheme 2": variance_of_scheme_2,
        "bias of scheme 1": bias_of_scheme_1,
        "bias of the midpoint": bias_of_midpoint,
        "bias of Heun": bias_of_heun,
    }.items()
    for d in DIMENSIONS
}
MUTATED = {
    "an Euler midpoint": partial(bias_of_scheme_2, 2, euler_midpoint),
    "the time of the other side": partial(bias_of_scheme_2, 2, time_of_the_other_side),
    "the time of the other side, variance": partial(variance_of_scheme_2, 1, time_of_the_other_side),
    "the deterministic midpoint's bias": partial(bias_of_scheme_2, 1, midpoint),
}
