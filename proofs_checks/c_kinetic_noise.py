r"""C2, C3: the noises of underdamped Langevin are their Ito integrals; what schemes 4 and 5 do to the invariant law.

Proved, for friction g > 0, mass u > 0, step h > 0:

1. `kinetic_noise(h)` is the covariance of W_v = sqrt(2gu) int_0^h e^{-g(h-s)} dB and W_x = sqrt(2gu)
   int_0^h (1-e^{-g(h-s)})/g dB (Ito's isometry), and the Schur complement of W_v is (2u/g^2)(gh - 2 tanh(gh/2)).
2. Scheme 5 draws two independent kinetic noises, on [0, ah] and [ah, h]. Run on letters with no force, they give the
   noises W_1 of its midpoint and W_2, W_3 of its end whose six covariances are the Ito integrals over one Brownian
   path, for every a in [0, 1], and the closed forms printed for them.
3. Two steps of scheme 4 without force, and M cells of the parallel corrector, have the noise and the drift of one;
   and M Picard rounds over M cells are M steps of scheme 4 on the same noise, for a quadratic score of free
   coefficients, in every coefficient up to h^4 (M = 2, 3).
4. Invariance, per mode with the score -k x (k > 0) and x ~ N(0, 1/k), v ~ N(0, u) independent: the second moments
   after one step of scheme 5, averaged over a, exceed those of before by
       xx  k u^2 h^4/12,   xv  -g k u^2 h^4/12,   vv  g^2 k u^2 h^4/12      (+ O(h^5)),
   and after one step of scheme 4 by
       xx  k u^2 h^4 (3 - 2gh)/12 + O(h^6),   xv  k u^2 h^3/2 + O(h^4),   vv  k u^2 h^2 + O(h^3).

Provenance: scheme 4 (Chen et al. 2023) and scheme 5 (Shen and Lee 2019) [quoted]; scheme 6 is [recalled].
Covariances and residuals are [derived] by running the shipped `underdamped`, `randomized_midpoint_langevin`,
`parallel_underdamped`.
"""

from functools import partial

import sympy as sp

from rmverify.readings.symbols import Draws, average, covariance, letters
from rmverify.schemes import parallel_underdamped, randomized_midpoint_langevin, underdamped
from rmverify.schemes.langevin import kinetic_noise

CLAIM = ("C2", "C3")

g, u, h, s, tau = sp.symbols("g u h s tau", positive=True)
a = sp.Symbol("a", positive=True)
NOISES = sp.symbols("w0:8")


def zero(expression):
    """A sum of exponentials, expanded: zero where it vanishes identically."""
    return sp.factor(sp.expand(sp.expand(expression.rewrite(sp.exp)), power_exp=True))


def ito(first, second, end):
    """The covariance of two integrals of sqrt(2gu) dB over [0, end]."""
    return sp.integrate(sp.expand(2 * g * u * first * second), (s, 0, end))


def displacement(end):
    """What dB at the time s has moved x by at the end."""
    return (1 - sp.exp(-g * (end - s))) / g


def decay(end):
    return sp.exp(-g * (end - s))


def noise_of_scheme_4(noise=kinetic_noise):
    (v_v, v_x), (_, x_x) = noise(h, g, u)
    return (
        zero(v_v - ito(decay(h), decay(h), h)),
        zero(v_x - ito(decay(h), displacement(h), h)),
        zero(x_x - ito(displacement(h), displacement(h), h)),
    )


def schur_complement():
    (v_v, v_x), (_, x_x) = kinetic_noise(h, g, u)
    half = (1 - sp.exp(-g * h)) / (1 + sp.exp(-g * h))  # tanh(gh/2)
    return (
        sp.simplify(half - sp.tanh(g * h / 2).rewrite(sp.exp)),
        zero((x_x - 2 * u / g**2 * (g * h - 2 * half)) * v_v - v_x**2),
    )


def noises_of_scheme_5(scheme=randomized_midpoint_langevin):
    """W_1, W_2, W_3 as forms in the draws, read off from a step without force and start, and the draws' covariances."""
    points = []

    def no_force(_, x):
        points.append(x)
        return sp.Integer(0)

    draws = Draws([a], NOISES)
    nothing = (sp.Integer(0), sp.Integer(0))
    end = scheme(nothing, sp.Integer(0), h, no_force, draws, friction=g, mass=u)
    return (points[1], *end), draws.covariances


def covariances_of_scheme_5(scheme=randomized_midpoint_langevin):
    """The six against Ito's isometry: W_1 lives on [0, ah], W_2 and W_3 on [0, h]."""
    found, covariances = noises_of_scheme_5(scheme)
    b = a * h
    weights = (displacement(b), displacement(h), decay(h))
    return tuple(
        zero(covariance(found[i], found[j], covariances) - ito(weights[i], weights[j], b if i == 0 else h))
        for i in range(3)
        for j in range(i, 3)
    )


def closed_forms_of_scheme_5():
    """The closed forms of scheme 5 as printed, which leave sqrt(u) outside."""
    (w1, w2, w3), covariances = noises_of_scheme_5()
    b = a * h

    def spread(time):
        return 2 * time / g - (3 - 4 * sp.exp(-g * time) + sp.exp(-2 * g * time)) / g**2

    printed = {
        (w1, w1): spread(b),
        (w2, w2): spread(h),
        (w3, w3): 1 - sp.exp(-2 * g * h),
        (w1, w3): sp.exp(-g * (h - b)) * (1 - sp.exp(-g * b)) ** 2 / g,
        (w2, w3): (1 - sp.exp(-g * h)) ** 2 / g,
    }
    return tuple(zero(covariance(p, q, covariances) - u * value) for (p, q), value in printed.items())


def in_pieces(pieces, parallel=False):
    """Mean and covariance of `pieces` steps of scheme 4 without force, or of that many cells, against those of one."""
    x, v = sp.symbols("x v")
    draws = Draws((), NOISES)
    state = (x, v)

    def no_force(_, x):
        return 0 * x

    if parallel:
        state = parallel_underdamped(cells=pieces, rounds=1, friction=g, mass=u)(state, 0, h, no_force, draws)
    else:
        for _ in range(pieces):
            state = underdamped(state, 0, h / pieces, no_force, draws, friction=g, mass=u)
    (v_v, v_x), (_, x_x) = kinetic_noise(h, g, u)
    one = (x + (1 - sp.exp(-g * h)) / g * v, sp.exp(-g * h) * v)
    mean = [p.subs(dict.fromkeys(NOISES, 0)) - q for p, q in zip(state, one, strict=True)]
    spread = {(0, 0): x_x, (0, 1): v_x, (1, 1): v_v}
    return (
        *(zero(each) for each in mean),
        *(zero(covariance(state[i], state[j], draws.covariances) - c) for (i, j), c in spread.items()),
    )


def picard(cells, scheme=parallel_underdamped):
    """As many Picard rounds as cells against as many steps of scheme 4 on the same noise, for a nonlinear score."""
    noises = [f"w{n}" for n in range(2 * cells)]
    step, x, v, c1, c2, *w, friction, mass = letters(" ".join(["x v c1 c2", *noises]), units="g u", order=5)

    def score(_, y):
        return c1 * y + c2 * y * y

    together = scheme(
        (x, v), 0 * step, step, score, Draws((), w), cells=cells, rounds=cells, friction=friction, mass=mass
    )
    draws, state = Draws((), w), (x, v)
    for _ in range(cells):
        state = underdamped(state, 0 * step, step / cells, score, draws, friction=friction, mass=mass)
    return tuple(c for p, q in zip(together, state, strict=True) for c in (p - q).coefficients(5))


def invariance(scheme, expected):
    """The residual of the second moments: (power of h, coefficient) pairs, every lower power zero, per xx, xv, vv."""
    step, x, v, w0, w1, w2, w3, a, friction, mass, k = letters("x v w0 w1 w2 w3 a", units="g u k", order=6)
    draws = Draws([a], [w0, w1, w2, w3])
    after = scheme((x, v), 0 * step, step, lambda _, y: -k * y, draws, friction=friction, mass=mass)
    covariances = [(x, x, 1 / k), (v, v, mass), *draws.covariances]
    before = {(0, 0): 1 / k, (0, 1): 0 * k, (1, 1): mass}
    result = []
    for ((i, j), start), terms in zip(before.items(), expected, strict=True):
        residual = average(covariance(after[i], after[j], covariances) - start, draws.intervals)
        found = residual.coefficients(max(terms) + 1)
        result += [sp.cancel(c - terms.get(n, 0)) for n, c in enumerate(found)]
    return tuple(result)


K = sp.Symbol("k")
G, U = sp.symbols("g u")  # as the series name them, without the assumption
SCHEME_4 = ({4: K * U**2 / 4, 5: -G * K * U**2 / 6}, {3: K * U**2 / 2}, {2: K * U**2})
SCHEME_5 = ({4: K * U**2 / 12}, {4: -G * K * U**2 / 12}, {4: G**2 * K * U**2 / 12})


def independent_velocity_and_position(h, friction, mass):
    (v_v, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return (v_v, 0 * v_x), (0 * v_x, x_x)


def first_noise_not_carried(state, t, h, score, draw, *, friction, mass=1):
    """Scheme 5 whose end forgets what the velocity noise of [0, ah] does to the position afterwards."""

    class Forgetful(Draws):
        def __init__(self):
            self.intervals, self.covariances, self.first = draw.intervals, draw.covariances, True

        def uniform(self):
            return draw.uniform()

        def normal(self, covariance):
            first, self.first = self.first, False
            if first:
                (v_v, v_x), (_, x_x) = covariance
                covariance = ((0 * v_v, 0 * v_x), (0 * v_x, x_x))
            return draw.normal(covariance)

    return randomized_midpoint_langevin(state, t, h, score, Forgetful(), friction=friction, mass=mass)


def midpoint_not_random(state, t, h, score, draw, *, friction, mass=1):
    class Half(Draws):
        def uniform(self):
            return 0 * h + sp.S.Half

    half = Half()
    half.normal = draw.normal
    return randomized_midpoint_langevin(state, t, h, score, half, friction=friction, mass=mass)


def a_round_too_few(state, t, h, score, draw, *, rounds, **parameters):
    return parallel_underdamped(state, t, h, score, draw, rounds=rounds - 1, **parameters)


IDENTITIES = {
    "the noise of scheme 4": noise_of_scheme_4,
    "its Schur complement": schur_complement,
    "the six covariances of scheme 5": covariances_of_scheme_5,
    "their closed forms": closed_forms_of_scheme_5,
    "two steps without force are one": partial(in_pieces, 2),
    "two cells without force are one": partial(in_pieces, 2, True),
    "three cells without force are one": partial(in_pieces, 3, True),
    "two Picard rounds over two cells": partial(picard, 2),
    "three Picard rounds over three cells": partial(picard, 3),
    "what scheme 4 does to the invariant law": partial(invariance, underdamped, SCHEME_4),
    "what scheme 5 does to the invariant law": partial(invariance, randomized_midpoint_langevin, SCHEME_5),
}
MUTATED = {
    "velocity and position noise uncorrelated": partial(noise_of_scheme_4, independent_velocity_and_position),
    "the first noise forgotten": partial(covariances_of_scheme_5, first_noise_not_carried),
    "a Picard round too few": partial(picard, 2, a_round_too_few),
    "the deterministic midpoint": partial(invariance, midpoint_not_random, SCHEME_5),
    "scheme 4 in place of scheme 5": partial(invariance, underdamped, SCHEME_5),
}
