r"""H1: the midpoint of density e^{h-r}/(e^h-1): the bias of the randomized midpoint, and a variance of its own.

Proved: the shipped step asks the score at the level t - r and at the point e^r x + (e^r-1) s_t(x), r the inverse of its
uniform number a = (1-e^{-r})/(1-e^{-h}), which increases from 0 to 1 over [0, h] with the derivative e^{h-r}/(e^h-1).
So its average is e^h x + int_0^h e^{h-r} s_{t-r}(e^r x + (e^r-1) s_t(x)) dr for every score for which the integral
exists, which is the average of the randomized midpoint (B1's substitution r = ah): the two have one bias, not only its
leading term. For s_t(x) = -g(t) x, g three times continuously differentiable,

    bias  g0 D x h^3/6,  variance  D^2 x^2 h^4/12,  D = g0^2 - g0 + g1,

and D x is the score's derivative along the reverse flow: no spread in leading order where the score stands still along
the flow (g0^2 + g1 takes the place of D in the randomized midpoint's variance, which is not 0 there). Gaussian targets:
(v-1) (x-m) h^3/(6v^3) and (v-1)^2 (x-m)^2 h^4/(12v^4), over x ~ N(m, v) the variance (v-1)^2 h^4/(12v^3). On N(0, I)
the step is the identity.

Provenance: the density from public code [found]; all of this is [derived], by running the shipped step on letters.
"""

from functools import partial

import sympy as sp

from rmverify.elementary import exp, expm1, log1p
from rmverify.readings.symbols import Draws, letters, local
from rmverify.schemes import importance_midpoint, randomized_midpoint
from rmverify.targets.process import mode_score

CLAIM = "H1"

x, t, h, r = sp.symbols("x t h r", positive=True)
m, v, g0, g1 = sp.symbols("m v g0 g1")
s, other = sp.symbols("s other")
D = g0**2 - g0 + g1


def substituted(scheme):
    """What the step asks and returns where its uniform number is that of r, less the flow's own terms."""
    asked = []

    def score(level, point):
        asked.append((level, point))
        return (s, other)[len(asked) - 1]

    out = scheme(x, t, h, score, Draws([(1 - exp(-r)) / (1 - exp(-h))]))
    (start, first), (level, point) = asked
    return (
        start - t,
        first - x,
        sp.simplify(exp(level) - exp(t - r)),
        sp.simplify(point - exp(r) * x - (exp(r) - 1) * s),
        sp.simplify(out - exp(h) * x - expm1(h) * other),
    )


def density():
    """a(r) runs from 0 to 1 with the derivative e^{h-r}/(e^h-1)."""
    a = (1 - exp(-r)) / (1 - exp(-h))
    return a.subs(r, 0), sp.simplify(a.subs(r, h) - 1), sp.simplify(sp.diff(a, r) - exp(h - r) / expm1(h))


def generic(scheme, spread):
    """For s = -(g0 + g1 l + g2 l^2/2 + g3 l^3/6) x: the constants of bias and variance."""
    h, y, c0, c1, c2, c3, a = letters("x g0 g1 g2 g3 a", order=5)
    bias, variance = local(scheme, y, h, lambda l, y: -(c0 + c1 * l + c2 * l * l / 2 + c3 * l * l * l / 6) * y, [a])
    return (
        *bias.coefficients(3),
        sp.cancel(bias.coefficient(3) - g0 * D * x_(y) / 6),
        *variance.coefficients(4),
        sp.cancel(variance.coefficient(4) - spread**2 * x_(y) ** 2 / 12),
    )


def x_(series):
    return series.coefficient(0)


def same_bias(scheme):
    """The series of the two biases agree to h^5, on Gaussian targets."""
    return tuple(
        sp.cancel(a - b) for a, b in zip(*(gaussian_parts(z)[0] for z in (scheme, randomized_midpoint)), strict=True)
    )


def gaussian_parts(scheme):
    h, y, mean, a, unit = letters("x m a", units="v", order=6)
    bias, variance = local(scheme, y, h, lambda level, y: mode_score(mean, unit, level, y), [a])
    return bias.coefficients(6), variance.coefficients(6)


def gaussian(scheme):
    bias, variance = gaussian_parts(scheme)
    w = sp.Symbol("x") - m
    return (
        *bias[:3],
        sp.cancel(bias[3] - (v - 1) * w / (6 * v**3)),
        sp.cancel(bias[4] + (v - 1) * (5 * v - 9) * w / (24 * v**4)),
        *variance[:4],
        sp.cancel(variance[4] - (v - 1) ** 2 * w**2 / (12 * v**4)),
    )


def standard_normal(scheme):
    """s = -x for every level and midpoint: x' = x."""
    a = sp.Symbol("a", positive=True)
    return sp.simplify(scheme(x, t, h, lambda _, y: -y, Draws([a])) - x)


def density_of_the_other_side(x, t, h, score, draw):
    a = draw.uniform()
    half = (x + (exp(h) - 1) * a * score(t, x)) * (1 + a * expm1(h))
    return exp(h) * x + expm1(h) * score(t - log1p(a * expm1(h)), half)


def uniform_level(x, t, h, score, draw):
    a = draw.uniform()
    half = (x - a * expm1(-h) * score(t, x)) / (1 - a + a * exp(-h))
    return exp(h) * x + expm1(h) * score(t - a * h, half)


IDENTITIES = {
    "what is asked at the uniform number of r": partial(substituted, importance_midpoint),
    "the density of r": density,
    "generic": partial(generic, importance_midpoint, D),
    "the randomized midpoint beside it, generic": partial(generic, randomized_midpoint, g0**2 + g1),
    "one bias, Gaussian": partial(same_bias, importance_midpoint),
    "Gaussian": partial(gaussian, importance_midpoint),
    "the standard normal stands still": partial(standard_normal, importance_midpoint),
}
MUTATED = {
    "the density of the other side": partial(gaussian, density_of_the_other_side),
    "a uniform level": partial(generic, uniform_level, D),
    "a uniform level, substituted": partial(substituted, uniform_level),
    "the spread of a uniform midpoint": partial(generic, importance_midpoint, g0**2 + g1),
    "the randomized midpoint on the standard normal": partial(standard_normal, randomized_midpoint),
}
