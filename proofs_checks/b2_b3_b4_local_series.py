r"""B2, B3, B4: local series of bias and variance, for every linear score that may depend on time.

Proved, in one mode, for a step of length h from x: with the score s_t(x) = -g(t) x, g twice continuously
differentiable (g0, g1, g2, g3: its value and derivatives at the step's start; what is left of g moves the step by
o(h^3), and by o(h^4) where g is three times differentiable):

    bias of scheme 1        -D x h^2/2                                   variance 0          (B4: bias, not variance)
    bias of scheme 2        g0 D x h^3/6                                 variance (g0^2+g1)^2 x^2 h^4/12    (B2, B3)
    bias of scheme 3, K>=1  -g0 D x h d^2/6, d = h/R (K = 0: scheme 2's)  variance (g0^2+g1)^2 x^2 h^4/(12 R^3)

with D = g0^2 - g0 + g1 (D x is the score's derivative along the reverse flow), and the baselines' constants in the
same way. Bias is the step's mean over its midpoints less the exact flow, variance is over the midpoints. At constant
g, D = g0(g0-1). The scores of Gaussian targets, -(x-m)/v(t), are done once more with the shipped
`process.mode_score` and `process.flow_slope`, one order further.

Scheme 3 for every R: R^3 times the coefficient of h^3 (R^4 times that of h^4) is a sum over nested strata of
polynomials in the strata's numbers, of total degree 3 (4): a polynomial in R of degree 3 (4) at most, fixed by R = 1..4
(1..5), which are done outright. One Picard round moves the points x_i by one order more each time, so the rounds K > 1
leave h^3 and K > 2 leave h^4 as they are; K = 1, 2, 3 are done outright. From K = 2 on the coefficient of h^4 too is
O(R^{-2}); at K = 1 it is not.

What this implies for B2-B4: |bias|^2 = O(h^6), variance = O(h^4), and scheme 1's square error O(h^4), with these
leading constants. The inequalities' uniform constants are not in here.

Provenance: the local forms and the orders of B2, B3 are [derived], B4's order is [quoted].
"""

from functools import partial

import sympy as sp

from rmverify.elementary import exp, expm1
from rmverify.readings.symbols import flow, letters, local
from rmverify.schemes import (
    euler,
    exponential_integrator,
    heun,
    midpoint,
    parallel_midpoint,
    randomized_midpoint,
)
from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance

CLAIM = ("B2", "B3", "B4")

x, m, v, g0, g1, g2 = sp.symbols("x m v g0 g1 g2")
D = g0**2 - g0 + g1
STRATA = 5
MIDPOINTS = [f"a{i}" for i in range(STRATA)]


def zeros(series, *constants):
    """The series' coefficients less the constants, from h^0 on: zero where they agree."""
    return tuple(
        sp.cancel(sp.sympify(c) - d) for c, d in zip(series.coefficients(len(constants)), constants, strict=True)
    )


def generic(scheme, bias, variance=0, strata=0):
    """For s = -(g0 + g1 l + g2 l^2/2 + g3 l^3/6) x, l the level from the step's start."""
    h, y, c0, c1, c2, c3, *a = letters(" ".join(["x g0 g1 g2 g3", *MIDPOINTS[:strata]]), order=5)
    found = local(scheme, y, h, lambda l, y: -(c0 + c1 * l + c2 * l * l / 2 + c3 * l * l * l / 6) * y, a)
    return (*zeros(found[0], *bias), *zeros(found[1], 0, 0, 0, 0, variance))


def generic_parallel(strata, rounds):
    """The h^3 of one round is that of all; the h^4 of two rounds is."""
    d = sp.Rational(1, strata)
    bias = [0, 0, 0, -g0 * D * x * d**2 / 6 if rounds else g0 * D * x / 6]
    if rounds >= 2:
        R = strata
        frozen_part = (4 * R + 1) * g0**4 - (9 * R + 1) * g0**3 + 5 * R * g0**2
        moving_part = (10 * R + 2) * g0**2 * g1 - (9 * R + 1) * g0 * g1 + 2 * R * g0 * g2 + (2 * R + 1) * g1**2
        bias.append((frozen_part + moving_part) * x * d**3 / 24)
    return generic(parallel_midpoint(strata, rounds), bias, (g0**2 + g1) ** 2 * x**2 * d**3 / 12, strata)


def gaussian(scheme, bias, variance=0, strata=0):
    """For s = -(x - m(t))/v(t) as shipped: the constants as functions of x - m."""
    h, y, mean, *a, unit = letters(" ".join(["x m", *MIDPOINTS[:strata]]), units="v", order=6)
    found = local(scheme, y, h, lambda level, y: mode_score(mean, unit, level, y), a)
    return (*zeros(found[0], *bias), *zeros(found[1], 0, 0, 0, 0, variance))


def gaussian_flow():
    """Picard's rounds agree with the shipped closed form of the Gaussian flow, and v' with -2(v - 1)."""
    h, y, mean, unit = letters("x m", units="v", order=6)
    exact = mode_mean(mean, -h) + flow_slope(unit, 0 * h, h) * (y - mean)
    found = flow(y, h, lambda level, y: mode_score(mean, unit, level, y)) - exact
    return (*zeros(found, *[0] * 6), *zeros(mode_variance(unit, -h), v, 2 * (v - 1)))


def over_the_start():
    """With x ~ N(m, v): the mean square of scheme 1 is (v-1)^2 h^4/(4v^3), scheme 2's variance (2v-1)^2 h^4/(12v^3)."""
    h, y, mean, a, unit = letters("x m a", units="v", order=5)

    def score(level, y):
        return mode_score(mean, unit, level, y)

    first, _ = local(exponential_integrator, y, h, score)
    _, second = local(randomized_midpoint, y, h, score, [a])
    moments = {0: 1, 1: 0, 2: v}  # of x - m
    z = sp.Symbol("z")

    def average(quadratic):
        return sum(c * moments[k] for (k,), c in sp.Poly(quadratic.subs(x, m + z), z).terms())

    return (
        sp.cancel(average((first * first).coefficient(4)) - (v - 1) ** 2 / (4 * v**3)),
        sp.cancel(average(second.coefficient(4)) - (2 * v - 1) ** 2 / (12 * v**3)),
    )


def frozen(scheme):
    """A score constant in time: g0^2 (g0-1) h^3/6 and g0^4 h^4/12."""
    h, y, c, a = letters("x g0 a", order=5)
    bias, variance = local(scheme, y, h, lambda _, y: -c * y, [a])
    return (*zeros(bias, 0, 0, 0, g0**2 * (g0 - 1) * x / 6), *zeros(variance, 0, 0, 0, 0, g0**4 * x**2 / 12))


w = x - m
RANDOMIZED = (
    [0, 0, 0, (v - 1) * w / (6 * v**3), -(v - 1) * (5 * v - 9) * w / (24 * v**4)],
    (2 * v - 1) ** 2 * w**2 / (12 * v**4),
    1,
)
GENERIC_RANDOMIZED = ([0, 0, 0, g0 * D * x / 6], (g0**2 + g1) ** 2 * x**2 / 12, 1)


def gaussian_parallel(strata, rounds):
    d = sp.Rational(1, strata)
    return gaussian(
        parallel_midpoint(strata, rounds),
        [0, 0, 0, -(v - 1) * w * d**2 / (6 * v**3)],
        (2 * v - 1) ** 2 * w**2 * d**3 / (12 * v**4),
        strata,
    )


def euler_midpoint(x, t, h, score, draw):
    """The point x_half by Euler's step: orders (3, 4) as they should be, the bias's constant not."""
    a = draw.uniform()
    half = x + a * h * (x + score(t, x))
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


def weight_of_the_other_side(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp(a * h) * score(t - a * h, half)


def time_of_the_other_side(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - (1 - a) * h, half)


IDENTITIES = {
    "scheme 1, generic": partial(generic, exponential_integrator, [0, 0, -D * x / 2]),
    "scheme 2, generic": partial(generic, randomized_midpoint, *GENERIC_RANDOMIZED),
    "scheme 2, frozen in time": partial(frozen, randomized_midpoint),
    "midpoint, generic": partial(generic, midpoint, [0, 0, 0, (4 * g0**3 - 3 * g0**2 + 6 * g0 * g1 + g2) * x / 24]),
    "Heun, generic": partial(generic, heun, [0, 0, 0, (2 * (g0 - 1) ** 3 - g2) * x / 12]),
    "Euler, generic": partial(generic, euler, [0, 0, -((g0 - 1) ** 2 + g1) * x / 2]),
    **{
        f"scheme 3, generic, R = {R}, K = {K}": partial(generic_parallel, R, K)
        for R in range(1, STRATA + 1)
        for K in range(4)
    },
    "the Gaussian flow": gaussian_flow,
    "scheme 1, Gaussian": partial(
        gaussian, exponential_integrator, [0, 0, -(v - 1) * w / (2 * v**2), -(v - 1) * w / (2 * v**3)]
    ),
    "schemes 1 and 2, Gaussian, over the start": over_the_start,
    "scheme 2, Gaussian": partial(gaussian, randomized_midpoint, *RANDOMIZED),
    "midpoint, Gaussian": partial(gaussian, midpoint, [0, 0, 0, (4 * v - 3) * w / (24 * v**2)]),
    "Heun, Gaussian": partial(
        gaussian, heun, [0, 0, 0, -(v - 1) * (v**2 - 3) * w / (6 * v**3) - (2 * v - 3) * m / (12 * v)]
    ),
    "Euler, Gaussian": partial(gaussian, euler, [0, 0, -(v**2 - 1) * w / (2 * v**2) - m / 2]),
    **{f"scheme 3, Gaussian, R = {R}, K = {K}": partial(gaussian_parallel, R, K) for R, K in ((2, 2), (3, 2), (2, 3))},
}
MUTATED = {
    "an Euler midpoint": partial(frozen, euler_midpoint),
    "the weight of the other side": partial(generic, weight_of_the_other_side, *GENERIC_RANDOMIZED),
    "the time of the other side": partial(generic, time_of_the_other_side, *GENERIC_RANDOMIZED),
    "the time of the other side, Gaussian": partial(gaussian, time_of_the_other_side, *RANDOMIZED),
    "scheme 3 without Picard rounds": partial(gaussian_parallel, 2, 0),
}
