r"""H2, H3, H4: one step, and a run, of the predictors with noise, against the reverse diffusion.

Proved, for the shipped steps run on letters. For data N(0, lambda) (a mean moves with the process and adds nothing) x_t
has the variance v = v(t), x_{t-h} given x_t the mean f x_t and the variance c, f = e^{-h} v'/v, c = (1-e^{-2h}) v'/v.

H2  The ancestral mean is that of x_{t-h} given x_t for every law of the data, by Tweedie's E(x_0|x_t) = e^t (x_t +
    (1-e^{-2t}) s_t); it is what libraries print in terms of the noise eps = -sqrt(1-e^{-2t}) s_t. The smaller variance
    lacks lambda e^{-2(t-h)} (1-e^{-2h})^2/(v (1-e^{-2t})) of c, the larger exceeds it by (e^{2h}-1)(1-e^{-2h})/v.
H3  The exponential integrator: A - f = -h^2/v, C - c = 4h^2/v, and A^2 v + C - v' = -2(v-2)h^2/v.
H4  The randomized midpoint: over its midpoint E A - f = 2h^3/(3v^2), E C - c = -4h^3/(3v^2), E(A^2 v + C) - v' =
    4(v-1)h^3/(3v^2), Var A = h^4/(3v^2) and Var(A^2 v + C) = 4(v-2)^2 h^4/(3v^2).

A relative error of the variance at t is worth g(t) = e^{-2(t-delta)} v_delta/v(t) of it at delta (f^2 v/v' = e^{-2h}
v'/v telescopes), so that after uniform steps from q_T to delta, in leading order,
    H3  V/v_delta - 1      = h int g (-2(v-2)/v^2) dt  = h (1/v_delta - v_delta e^{-2(T-delta)}/v_T^2)
    H4  E V/v_delta - 1    = h^2 int g 4(v-1)/(3v^3) dt = h^2 (2 v_delta e^{2 delta}/(3(lambda-1))) [B]
        Var V/v_delta^2    = h^3 int g^2 4(v-2)^2/(3v^4) dt = h^3 (2 v_delta^2 e^{4 delta}/(3(lambda-1)^2)) [S]
with B = -1/(2v^2) + 1/(3v^3) and S = -1/(2v^2) + 5/(3v^3) - 2/v^4 + 4/(5v^5), from v_T to v_delta, lambda not 1.

Provenance: steps [recalled] (H2, H3) and [found] (H4); all constants are [derived] here.
"""

from functools import partial

import sympy as sp

from rmverify.elementary import exp, expm1, log1p
from rmverify.readings.symbols import Draws, average, covariance, letters
from rmverify.schemes import ddpm, exponential_sde, randomized_midpoint_sde, reverse_euler
from rmverify.targets.process import mode_score, mode_variance

CLAIM = ("H2", "H3", "H4")

x, t, h, lam, delta = sp.symbols("x t h lambda delta", positive=True)
s, v, w = sp.symbols("s v w")
NOISED = 1 - exp(-2 * t)


def step(scheme):
    """(mean, variance of the noise) of a step that asks the score once, for the value s of it."""
    draws = Draws(noises=[w])
    out = scheme(x, t, h, lambda level, y: s, draws)
    ((_, _, variance),) = draws.covariances
    return sp.expand(out - w), variance


def conditional_mean(scheme):
    """Less the mean of x_{t-h} given x_t, by that given x_t and x_0, which is linear in x_0."""
    before = 1 - exp(-2 * (t - h))
    data = exp(t) * (x + NOISED * s)
    due = exp(-(t - h)) * -expm1(-2 * h) / NOISED * data + exp(-h) * before / NOISED * x
    return sp.simplify(step(scheme)[0] - due)


def as_printed(scheme):
    """Less the mean in terms of the noise: (x - (1-alpha)/sqrt(1-abar) eps)/sqrt(alpha)."""
    alpha, eps = exp(-2 * h), -sp.sqrt(NOISED) * s
    return sp.simplify(step(scheme)[0] - (x - (1 - alpha) / sp.sqrt(NOISED) * eps) / sp.sqrt(alpha))


def variances(smaller, larger):
    before, after = 1 + (lam - 1) * exp(-2 * t), 1 + (lam - 1) * exp(-2 * (t - h))
    exact = -expm1(-2 * h) * after / before
    lacks = lam * exp(-2 * (t - h)) * expm1(-2 * h) ** 2 / (before * NOISED)
    exceeds = expm1(2 * h) * -expm1(-2 * h) / before
    return sp.simplify(exact - step(smaller)[1] - lacks), sp.simplify(step(larger)[1] - exact - exceeds)


def constants(scheme, slope, noise, kept, spread_slope=0, spread=0):
    """Of E A - f, E C - c, E(A^2 v + C) - v' and the two variances over the midpoint, {power: constant}."""
    r, y, first, second, a, unit = letters("x w1 w2 a", units="v", order=5)
    draws = Draws([a], [first, second])
    out = scheme(y, 0 * r, r, lambda level, z: mode_score(0 * r, unit, level, z), draws)
    A, C = out.diff(y), covariance(out, out, draws.covariances)
    after = mode_variance(unit, -r)

    def mean(z):
        return average(z, draws.intervals)

    given = A * A * unit + C
    found = (
        mean(A) - exp(-r) * after / unit,
        mean(C) + expm1(-2 * r) * after / unit,
        mean(given) - after,
        mean(A * A) - mean(A) * mean(A),
        mean(given * given) - mean(given) * mean(given),
    )
    pairs = zip(found, (slope, noise, kept, spread_slope, spread), strict=True)
    return tuple(
        sp.cancel(sp.sympify(c) - d)
        for series, expected in pairs
        for c, d in zip(series.coefficients(5), expected or [0] * 5, strict=True)
    )


FROZEN = ([0, 0, -1 / v, 0, -1 / (12 * v)], [0, 0, 4 / v, 0, 4 / (3 * v)],
          [0, 0, -2 * (v - 2) / v, -2 * (v - 2) / v, -7 * (v - 2) / (6 * v)])  # fmt: skip
DDRAM = ([0, 0, 0, 2 / (3 * v**2), -(5 * v - 6) / (6 * v**3)],
         [0, 0, 0, -4 / (3 * v**2), 2 * (v + 4) / (3 * v**3)],
         [0, 0, 0, 4 * (v - 1) / (3 * v**2), 8 / (3 * v**3)],
         [0, 0, 0, 0, 1 / (3 * v**2)], [0, 0, 0, 0, 4 * (v - 2) ** 2 / (3 * v**2)])  # fmt: skip


def at(level):
    return 1 + (lam - 1) * exp(-2 * level)


def weight(power=1):
    """g, and that f^2 v/v' of a step is g(t)/g(t-h)."""
    g = exp(-2 * (t - delta)) * at(delta) / at(t)
    f = exp(-h) * at(t - h) / at(t)
    return g**power, sp.simplify(f**2 * at(t) / at(t - h) - g / g.subs(t, t - h))


def run(closed, integrand, power=1):
    """The closed form vanishes at T = delta, and its derivative in T = t is g^power times the integrand."""
    g, telescopes = weight(power)
    return (
        telescopes,
        sp.simplify(closed.subs(t, delta)),
        sp.simplify(sp.diff(closed, t) - g * integrand(at(t))),
    )


def bias_primitive(z):
    return -1 / (2 * z**2) + 1 / (3 * z**3)


def spread_primitive(z):
    return -1 / (2 * z**2) + 5 / (3 * z**3) - 2 / z**4 + sp.Rational(4, 5) / z**5


FROZEN_RUN = 1 / at(delta) - at(delta) * exp(-2 * (t - delta)) / at(t) ** 2
BIAS_RUN = 2 * at(delta) * exp(2 * delta) / (3 * (lam - 1)) * (bias_primitive(at(delta)) - bias_primitive(at(t)))
SPREAD_RUN = (
    2 * at(delta) ** 2 * exp(4 * delta) / (3 * (lam - 1) ** 2) * (spread_primitive(at(delta)) - spread_primitive(at(t)))
)


def spread_of_a_step(z):
    return 4 * (z - 2) ** 2 / (3 * z**4)


def noise_of_its_own_at_the_end(x, t, h, score, draw):
    """The noise of the midpoint is drawn anew for the output."""
    a = draw.uniform()
    gone, left = -a * expm1(-h), 1 - a + a * exp(-h)
    rest = (1 - a) * expm1(h)
    (w,) = draw.normal(((gone * (1 + left),),))
    (end,) = draw.normal(((expm1(2 * h),),))
    half = (x + 2 * gone * score(t, x) + w) / left
    return exp(h) * x + 2 * expm1(h) * score(t - h + log1p(rest), half) + end


IDENTITIES = {
    "the ancestral mean, for every law of the data": partial(conditional_mean, ddpm),
    "the ancestral mean with the larger variance": partial(conditional_mean, reverse_euler),
    "the ancestral mean as printed": partial(as_printed, ddpm),
    "the two variances": partial(variances, ddpm, reverse_euler),
    "exponential integrator": partial(constants, exponential_sde, *FROZEN),
    "randomized midpoint": partial(constants, randomized_midpoint_sde, *DDRAM),
    "a run of the exponential integrator": partial(run, FROZEN_RUN, lambda z: -2 * (z - 2) / z**2),
    "a run of the randomized midpoint, on average": partial(run, BIAS_RUN, lambda z: 4 * (z - 1) / (3 * z**3)),
    "a run of the randomized midpoint, its spread": partial(run, SPREAD_RUN, spread_of_a_step, 2),
}
MUTATED = {
    "the mean of the exponential integrator": partial(conditional_mean, exponential_sde),
    "the two variances exchanged": partial(variances, reverse_euler, ddpm),
    "noise drawn anew": partial(constants, noise_of_its_own_at_the_end, *DDRAM),
    "the exponential integrator's constants": partial(constants, randomized_midpoint_sde, *FROZEN),
    "the spread with the weight of a mean": partial(run, SPREAD_RUN, spread_of_a_step, 1),
}
