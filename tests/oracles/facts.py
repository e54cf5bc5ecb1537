"""Exact statements about the schemes. `FACTS[name](step, of)` raises Refuted where `step` does not satisfy it.

`step` is a scheme as users call it (without a state it binds its parameters); `of` is the name of the textbook scheme
that it claims to be, a key of the tables in `oracles.textbook`. No tolerance is chosen by looking at an output: where
a statement is an identity, it is asked of 50-digit numbers to 40 digits, and where it is a limit, the bound is the
next term of the series, known exactly.
"""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import mpmath as mp
import numpy as np
from sympy import QQ

import rmverify as rm
from oracles import series, textbook
from oracles.probe import Refuted, UnitDraw, elementwise, plain, transition

DIGITS = 50
CLOSE = mp.mpf(10) ** -40
UNIT = 2.0**-53

PREDICTORS = tuple(textbook.PREDICTORS)
RANDOM = ("randomized_midpoint", "parallel_midpoint", "importance_midpoint")
CORRECTORS = tuple(textbook.CORRECTORS)
REVERSE = tuple(textbook.REVERSE)
OVERDAMPED, KINETIC = tuple(textbook.OVERDAMPED), tuple(textbook.KINETIC)
EXACT = tuple(of for of in KINETIC if of not in ("underdamped_euler", "stratified_hmc"))  # without a score


FACTS = {}
APPLIES = {}


def fact(*applies):
    """Register a fact and the textbook schemes that it speaks about; run at 50 digits."""

    def register(check):
        @functools.wraps(check)
        def at_precision(step, of):
            with mp.workdps(DIGITS):
                check(step, of)

        FACTS[check.__name__] = at_precision
        APPLIES[check.__name__] = applies
        return at_precision

    return register


def same(found, due, what, bound=CLOSE):
    """|found - due| <= bound max(1, |due|), entry by entry; NaN is never the same."""
    for f, d in zip(flat(found), flat(due), strict=True):
        if not abs(f - d) <= bound * max(1, abs(d)):
            raise Refuted(f"{what}: found {mp.nstr(f, 17)}, due {mp.nstr(d, 17)}")


def flat(values):
    if isinstance(values, mp.matrix | list | tuple):
        return [x for v in values for x in flat(v)]
    return list(values.ravel()) if isinstance(values, np.ndarray) else [values]


def rational(a, b):
    return mp.mpf(int(a)) / int(b)


def variants(of):
    """Parameters to try, exact in mpmath: friction and mass away from 1, more than one stratum, cell and round."""
    motion = {"friction": rational(3, 2), "mass": rational(1, 3)}
    return {
        "parallel_midpoint": [{"strata": 2, "rounds": 2}, {"strata": 3, "rounds": 1}, {"strata": 1, "rounds": 0}],
        "parallel_overdamped": [
            {"strata": 2, "rounds": 2},
            {"strata": 3, "rounds": 1},
            {"strata": 1, "rounds": 0},
            {"strata": 3, "rounds": 0},
        ],
        "stratified_hmc": [{"mass": rational(1, 3)}],
        "poisson_midpoint": [{"cells": 3}, {"cells": 2}, {"cells": 1}],
        "jiao_li": [{"cells": 3}, {"cells": 1}],
        "underdamped": [motion],
        "underdamped_euler": [motion],
        "randomized_midpoint_langevin": [motion],
        "parallel_underdamped": [
            motion | {"cells": 3, "rounds": 2},
            motion | {"cells": 2, "rounds": 3},
            motion | {"cells": 1, "rounds": 1},
        ],
        "parallel_langevin": [{"cells": 3, "rounds": 2}, {"cells": 4, "rounds": 3}, {"cells": 2, "rounds": 1}],
        "parareal": [
            {"blocks": 2, "fine": 2, "sweeps": 1},
            {"blocks": 3, "fine": 2, "sweeps": 2, "power": 2},
            {"blocks": 2, "fine": 1, "sweeps": 0},
        ],
        "parallel_slices": [
            {"slices": 2, "cells": 2, "rounds": 1, "inner": 2},
            {"slices": 3, "cells": 2, "rounds": 2, "inner": 1},
            {"slices": 1, "cells": 3, "rounds": 2, "inner": 1},
        ],
    }.get(of, [{}])


def bound(step, parameters):
    return step(**parameters) if parameters else step


def drawn(of, parameters):
    """Midpoints away from 1/2, one per uniform, inside their strata."""
    if of.startswith(("randomized_midpoint", "importance_midpoint", "overdamped_midpoint", "stratified_hmc")):
        return [rational(3, 10)]
    if of == "poisson_midpoint":
        return [mp.mpf(i % 2) for i in range(1, parameters["cells"])]
    if of == "jiao_li":
        return [rational(3 + 2 * (i % 3), 10) for i in range(parameters["cells"])]
    strata = parameters.get("strata", 0)
    return [(i + rational(3 + 2 * (i % 3), 10)) / strata for i in range(strata)]


# --- one step, coefficient by coefficient -----------------------------------------------------------------------


@fact(*PREDICTORS)
def flow_step(step, of):
    """x' = A x + b against the printed formulas, on modes of variance below and above 1, off centre."""
    t, h = rational(7, 10), rational(3, 10)
    for parameters in variants(of):
        for lam, mean in ((rational(1, 4), rational(3, 2)), (mp.mpf(3), mp.mpf(-1))):
            score, alphas = textbook.gaussian_score(lam, mean), drawn(of, parameters)
            A, b, C = transition(bound(step, parameters), score, t, h, alphas)
            image = [textbook.PREDICTORS[of](mp.mpf(x), t, h, alphas, score, **parameters) for x in (0, 1)]
            same([A, b, C], [image[1] - image[0], image[0], 0], f"{of} {parameters}")


@fact(*REVERSE)
def reverse_step(step, of):
    """A, b and C against the printed formula in the coordinates of dY = dW, on both sides of variance 1, off centre."""
    t, h = rational(7, 10), rational(3, 10)
    for lam, mean in ((rational(1, 4), rational(3, 2)), (mp.mpf(3), mp.mpf(-1))):
        for parameters in variants(of):
            alphas = drawn(of, parameters)
            found = transition(bound(step, parameters), textbook.gaussian_score(lam, mean), t, h, alphas)
            same(found, textbook.REVERSE[of](t, h, lam, mean, *alphas, **parameters), f"{of} {parameters}")


@fact("reverse_euler", "ddpm")
def reverse_mean(step, of):
    """On a Gaussian the step has the mean of x_{t-h} given x_t, of the process run backwards, exactly."""
    t, h = rational(7, 10), rational(3, 10)
    for lam, mean in ((rational(1, 4), rational(3, 2)), (mp.mpf(3), mp.mpf(-1))):
        A, b, _ = transition(step, textbook.gaussian_score(lam, mean), t, h)
        before, after = (1 + (lam - 1) * mp.exp(-2 * s) for s in (t, t - h))
        slope = mp.exp(-h) * after / before  # Cov(x_{t-h}, x_t)/Var x_t
        same([A, b], [slope, mp.exp(-(t - h)) * mean - slope * mp.exp(-t) * mean], of)


@fact("exponential_sde", "randomized_midpoint_sde")
def reverse_drift(step, of):
    """E_a A - e^{-h} v'/v over h to its power: the error of the mean of x_{t-h} given x_t."""
    due = {"exponential_sde": (2, lambda v: -1 / v), "randomized_midpoint_sde": (3, lambda v: 2 / (3 * v**2))}
    power, constant = due[of]
    for v, h, nodes in reverse_settings(step, of):
        slope = mp.exp(-h) * (1 + (v - 1) * mp.exp(2 * h)) / v
        found = mp.fsum(w * A for w, A, _ in nodes) - slope
        same(found / h**power, constant(v), f"{of} slope at v = {mp.nstr(v, 3)}", mp.mpf(10) ** -9)


@fact("ddpm", "exponential_sde", "randomized_midpoint_sde")
def reverse_variance(step, of):
    """E_a(A^2 v + C) - v' over h to its power, what one step makes of the variance of q_t."""
    due = {
        "ddpm": (2, lambda v: -4 * (v - NOISED) / (v * NOISED)),
        "exponential_sde": (2, lambda v: -2 * (v - 2) / v),
        "randomized_midpoint_sde": (3, lambda v: 4 * (v - 1) / (3 * v**2)),
    }
    power, constant = due[of]
    for v, h, nodes in reverse_settings(step, of):
        found = mp.fsum(w * (A * A * v + C) for w, A, C in nodes) - (1 + (v - 1) * mp.exp(2 * h))
        same(found / h**power, constant(v), f"{of} variance at v = {mp.nstr(v, 3)}", mp.mpf(10) ** -9)


@fact("randomized_midpoint_sde")
def reverse_spread(step, of):
    """Var_a(A^2 v + C) over h^4."""
    for v, h, nodes in reverse_settings(step, of):
        values = [(w, A * A * v + C) for w, A, C in nodes]
        mean = mp.fsum(w * y for w, y in values)
        found = mp.fsum(w * (y - mean) ** 2 for w, y in values)
        same(found / h**4, 4 * (v - 2) ** 2 / (3 * v**2), f"{of} spread at v = {mp.nstr(v, 3)}", mp.mpf(10) ** -9)


NOISED = 1 - mp.exp(-1)  # at the level 1/2


def reverse_settings(step, of):
    """(v, h, [(weight, A, C)]) of a short step from the level 1/2: so short that the next term is below 10^-9."""
    t, h = rational(1, 2), mp.mpf(10) ** -11
    rule = legendre(4) if drawn(of, {}) else [(None, mp.mpf(1))]
    for lam in (rational(1, 4), mp.mpf(3)):
        score, nodes = textbook.gaussian_score(lam, mp.mpf(0)), []
        for a, w in rule:
            A, _, C = transition(step, score, t, h, [] if a is None else [a])
            nodes.append((w, A[0, 0], C[0, 0]))
        yield 1 + (lam - 1) * mp.exp(-2 * t), h, nodes


def langevin(step, of, parameters, alphas, h=None, score=True):
    """(A, b, C) of the step and of the textbook, for a score -k (x - m)."""
    h = rational(2, 5) if h is None else h
    k, m = (rational(5, 4), rational(-2, 3)) if score else (mp.mpf(0), mp.mpf(0))
    found = transition(
        bound(step, parameters), lambda t, x: -k * (x - m), mp.mpf(1), h, alphas,
        kinetic=of in KINETIC, chance=textbook.chance(of, parameters),
    )  # fmt: skip
    return found, textbook.CORRECTORS[of](h, alphas, k, m, **parameters)


@fact(*CORRECTORS)
def langevin_drift(step, of):
    """A and b against the hand-composed matrices."""
    for parameters in variants(of):
        (A, b, _), (A_due, b_due, _) = langevin(step, of, parameters, drawn(of, parameters))
        same([A, b], [A_due, b_due], f"{of} {parameters}")


@fact(*CORRECTORS)
def langevin_noise(step, of):
    """C against the hand-composed covariance (the six of Shen and Lee for the randomized midpoint)."""
    for parameters in variants(of):
        (_, _, C), (_, _, due) = langevin(step, of, parameters, drawn(of, parameters))
        same(C, due, f"{of} {parameters}")


@fact(*EXACT)
def free_motion(step, of):
    """Without a score every kinetic step is the exact free motion over h, whatever its midpoint, cells and rounds."""
    for parameters in variants(of):
        h, g, u = rational(2, 5), parameters["friction"], parameters["mass"]
        (A, b, C), _ = langevin(step, of, parameters, drawn(of, parameters), h, score=False)
        E = mp.exp(-g * h)
        same([A, b], [1, (1 - E) / g, 0, E, 0, 0], f"{of} {parameters}: free drift")
        same(C, textbook.kinetic_covariance(h, g, u), f"{of} {parameters}: free noise")


@fact(*EXACT)
def noise_schur(step, of):
    """Var W_x - Cov^2/Var W_v = (2/g^2)(gh - 2 tanh(gh/2)) u, positive at every h, and in floats down to gh = 1e-12."""
    for parameters in variants(of):
        g, u = parameters["friction"], parameters["mass"]
        for h in (mp.mpf(2), rational(1, 10), mp.mpf(10) ** -4):
            (_, _, C), _ = langevin(step, of, parameters, drawn(of, parameters), h, score=False)
            due = 2 * u / g**2 * (g * h - 2 * mp.tanh(g * h / 2))
            same((C[0, 0] - C[0, 1] ** 2 / C[1, 1]) / due, 1, f"{of} {parameters} h={h}", mp.mpf(10) ** -30)


@fact(*EXACT)
def noise_in_floats(step, of):
    """The noise of the free motion in float64: relative accuracy 1e-13 in every entry down to gh = 1e-12."""
    for parameters in variants(of):
        floats = {k: float(p) if isinstance(p, mp.mpf) else p for k, p in parameters.items()}
        g, u = floats["friction"], floats["mass"]
        for exponent in range(-12, 2):
            h = 10.0**exponent / g
            alphas = [float(a) for a in drawn(of, parameters)]
            C = transition_floats(bound(step, floats), h, alphas)
            with mp.workdps(100):
                due = textbook.kinetic_covariance(mp.mpf(h), mp.mpf(g), mp.mpf(u))
            for i in range(2):
                for j in range(2):
                    same(C[i][j] / due[i, j], 1, f"{of} {parameters} h={h} entry {i}{j}", 1e-13)


def transition_floats(step, h, alphas):
    """The noise covariance of a kinetic step without score, by unit draws, in float64."""
    first = FloatDraw(alphas)
    step((0.0, 0.0), 1.0, h, lambda t, x: 0 * x, first)
    C = [[0.0, 0.0], [0.0, 0.0]]
    for which, (covariance, count) in enumerate(first.covariances):
        for copy in range(count or 1):
            L = []
            for j in range(len(covariance)):
                out = step((0.0, 0.0), 1.0, h, lambda t, x: 0 * x, FloatDraw(alphas, (which, j, copy)))
                L.append([float(plain(o)) for o in out])
            for i in range(2):
                for j in range(2):
                    C[i][j] += sum(
                        L[p][i] * float(plain(covariance[p][q])) * L[q][j] for p in range(len(L)) for q in range(len(L))
                    )
    return C


class FloatDraw(UnitDraw):
    """UnitDraw over floats."""

    def normal(self, covariance, count=None):
        return [
            float(v) if not isinstance(v, np.ndarray) else v.astype(float) for v in super().normal(covariance, count)
        ]

    def cells(self, count):
        return super().cells(count).astype(float)

    def strata(self, count):
        return tuple(v.astype(float) for v in super().strata(count))


# --- leading constants ------------------------------------------------------------------------------------------

LAMBDAS, MEANS, COUNTS, LEVEL = (0.125, 5.0), (0.75, -1.25), (2, 1), 0.5


@functools.cache
def target():
    """Anisotropic, off centre, variances on both sides of 1 at the level asked."""
    return rm.Gaussian.from_spectrum(LAMBDAS, COUNTS, MEANS)


@functools.cache
def error_series(of, strata, rounds, more=()):
    """(bias, variance) of one step summed over coordinates, as coefficient lists in h."""
    bias, variance = [], []
    for lam, mean, count in zip(LAMBDAS, MEANS, COUNTS, strict=True):
        with mp.workdps(30):
            v = float(1 + (mp.mpf(lam) - 1) * mp.exp(-2 * mp.mpf(LEVEL)))
            m = float(mp.exp(-mp.mpf(LEVEL)) * mean)
        v, m = (QQ(*Fraction(value).as_integer_ratio()) for value in (v, m))
        for part, new in zip((bias, variance), series.expected(of, v, m, strata, rounds, more), strict=True):
            part.append([count * float(c) for c in new])
    return tuple([sum(column) for column in zip(*part, strict=True)] for part in (bias, variance))


def leading(of, step, which):
    """The limit of error / h^p and the slope in h, by one Richardson step; the bound is what is left of the series."""
    for parameters in variants(of):
        more = tuple(parameters.items()) if of in textbook.PLANS_IN_ONE else ()
        due = error_series(of, parameters.get("strata", 1), parameters.get("rounds", 0), more)[which == "variance"]
        power = next(n for n, c in enumerate(due) if c)
        P = due[power:]
        h = 2.0**-7
        F = [float(getattr(one_error(step, parameters, size), which)) / size**power for size in (h, h / 2)]
        for part, allowed in (
            (2 * F[1] - F[0] - P[0], 2 * (abs(P[2]) * h**2 + abs(P[3]) * h**3)),
            ((F[0] - F[1]) / (h / 2) - P[1], 2 * (1.5 * abs(P[2]) * h + 1.75 * abs(P[3]) * h**2)),
        ):
            if not abs(part) <= allowed + 1e-12 * abs(P[0]):
                raise Refuted(f"{of} {parameters} {which}: off by {part:.6g} where {allowed:.6g} is left of the series")


def one_error(step, parameters, h):
    return rm.local_error(bound(step, parameters), target(), LEVEL, h)


@fact(*PREDICTORS)
def bias_constant(step, of):
    """E|E_a x' - x*|^2: the leading constant and the next, on an anisotropic target with a mean."""
    leading(of, step, "bias")


@fact(*RANDOM)
def variance_constant(step, of):
    """E|x' - E_a x'|^2: the leading constant and the next."""
    leading(of, step, "variance")


@fact("underdamped", "randomized_midpoint_langevin")
def started_invariant(step, of):
    """E_a(A S A^T + C) - S for S = diag(1/k, u): the leading h-term of xx, xv and vv and the one after."""
    g, u, k = Fraction(3, 2), Fraction(1, 3), Fraction(5, 4)
    due = invariance(of, g, u, k)
    stepped = bound(step, {"friction": rational(3, 2), "mass": rational(1, 3)})
    S = mp.diag([rational(4, 5), rational(1, 3)])
    rule = legendre(12) if of == "randomized_midpoint_langevin" else [(mp.mpf(0), mp.mpf(1))]
    sizes = [mp.mpf(2) ** -6, mp.mpf(2) ** -7]
    F = []
    for h in sizes:
        residual = -S
        for a, w in rule:
            alphas = [a] if of == "randomized_midpoint_langevin" else []
            A, _, C = transition(stepped, lambda t, x: -rational(5, 4) * x, mp.mpf(1), h, alphas, kinetic=True)
            residual = residual + w * (A * S * A.T + C)
        F.append(residual)
    h = sizes[0]
    for (i, j), coefficients in zip(((0, 0), (0, 1), (1, 1)), due, strict=True):
        power = next(n for n, c in enumerate(coefficients) if c)
        P = [rational(c.numerator, c.denominator) for c in coefficients[power:]]
        one, half = (R[i, j] / size**power for R, size in zip(F, sizes, strict=True))
        left = 2 * (abs(P[2]) * h**2 + abs(P[3]) * h**3)
        if not abs(2 * half - one - P[0]) <= left:
            raise Refuted(f"{of} entry {i}{j}: constant {mp.nstr(2 * half - one, 12)}, due {mp.nstr(P[0], 12)}")


@fact("overdamped_midpoint", "parallel_overdamped", "poisson_midpoint", "stochastic_runge_kutta")
def kept_variance(step, of):
    """E_a(A^2)/k + C - 1/k, what one step does to the invariant variance: a polynomial in h, whole."""
    h, k = rational(2, 5), rational(5, 4)
    for parameters in variants(of):
        if parameters.get("rounds"):
            continue
        residual = -1 / k
        for alphas, weight in rule(of, parameters, 4):
            A, _, C = transition(
                bound(step, parameters), lambda t, x: -k * x, mp.mpf(1), h, alphas,
                chance=textbook.chance(of, parameters),
            )  # fmt: skip
            residual += weight * (A[0, 0] ** 2 / k + C[0, 0])
        same(residual, KEPT[of](k, h, **parameters), f"{of} {parameters}", mp.mpf(10) ** -25)


def kept_without_rounds(k, h, strata=1, rounds=0):
    R = mp.mpf(strata)
    return -(1 - R**-2) * k**2 * h**3 / 3 + (1 + R**-3 / 3) * k**3 * h**4 / 4


def kept_by_choices(k, h, cells):
    """Of A = 1 - z + z^2 sum_i H_i i/M and of noises w_j (1 - z sum_{i>j} H_i), z = kh, variances and means of H."""
    M, z = cells, k * h
    mean = 1 - z + z**2 * rational(M - 1, 2 * M)
    spread = z**4 * rational(M - 1, M**2) * mp.fsum(rational(i * i, M * M) for i in range(M))
    noise = mp.fsum((1 - z * rational(j, M)) ** 2 + z**2 * j * rational(M - 1, M**2) for j in range(M))
    return (mean**2 + spread - 1) / k + 2 * h / M * noise


@fact("stratified_hmc")
def kept_moments(step, of):
    """E_a(A S A^T) - S for S = diag(1/k, u), z = u k h^2: whole, -z^2/4 + z^3/12 in xx, in units of S, and so on."""
    h, k, u = rational(2, 5), rational(5, 4), rational(1, 3)
    S, z, residual = mp.diag([1 / k, u]), u * k * h**2, mp.zeros(2)
    for a, weight in legendre(4):
        A, _, C = transition(step(mass=u), lambda t, x: -k * x, mp.mpf(1), h, [a], kinetic=True)
        residual += weight * (A * S * A.T + C - S)
    due = (-(z**2) / 4 + z**3 / 12) / k, u * h * (-z / 4 + z**2 / 6), u * z**2 / 3
    same([residual[0, 0], residual[0, 1], residual[1, 1]], due, of, mp.mpf(10) ** -25)


def kept_by_two(k, h):
    return (-((k * h) ** 3) / 3 + (k * h) ** 4 / 4) / k


KEPT = {
    "stochastic_runge_kutta": kept_by_two,
    "poisson_midpoint": kept_by_choices,
    "overdamped_midpoint": kept_without_rounds,
    "parallel_overdamped": kept_without_rounds,
}


def rule(of, parameters, count):
    """(midpoints or choices, weight) pairs that average polynomials of degree 2 count - 1 in each of them."""
    number, p = len(drawn(of, parameters)), textbook.chance(of, parameters)
    if p is not None:
        points = itertools.product((0, 1), repeat=number)
        return [([mp.mpf(a) for a in point], mp.fprod(p if a else 1 - p for a in point)) for point in points]
    each = [[((i + a) / number, w) for a, w in legendre(count)] for i in range(number)]
    return [([a for a, _ in point], mp.fprod(w for _, w in point)) for point in itertools.product(*each)]


@functools.cache
def invariance(of, g, u, k):
    convert = [QQ(x.numerator, x.denominator) for x in (g, u, k)]
    return series.invariance_residual(of, *convert)


def legendre(count):
    """Gauss-Legendre on [0, 1] as (node, weight) pairs, at the caller's precision."""
    return _legendre(count, mp.mp.prec)


@functools.cache
def _legendre(count, bits):
    """By Newton's method on the recursion."""
    result = []
    for i in range(count):
        x = mp.cos(mp.pi * (i + rational(3, 4)) / (count + rational(1, 2)))
        for _ in range(12):
            p0, p1 = mp.mpf(1), x
            for n in range(2, count + 1):
                p0, p1 = p1, ((2 * n - 1) * x * p1 - (n - 1) * p0) / n
            slope = count * (x * p1 - p0) / (x * x - 1)
            x -= p1 / slope
        result.append(((1 + x) / 2, 1 / ((1 - x * x) * slope**2)))
    return result


# --- what the algorithm does, seen from outside -----------------------------------------------------------------


@fact(*RANDOM)
def unbiased(step, of):
    """For a score b(t) of the time alone, E_a x' = e^h x + int_0^h e^{h-r} b(t-r) dr: the integral without bias."""
    t, h, x = rational(7, 10), rational(1, 2), rational(-3, 4)

    def b(time):
        return mp.cos(3 * time) + time

    due = mp.exp(h) * x + mp.quad(lambda r: mp.exp(h - r) * b(t - r), [0, h])
    for parameters in variants(of):
        strata = parameters.get("strata", 1)
        rule = legendre(20)
        # the output is a sum over strata, so each midpoint is averaged with the others held where they are
        held = drawn(of, parameters)
        base = out(step, parameters, x, t, h, held, lambda time, y: b(time))
        mean = base
        for i in range(strata):
            for a, w in rule:
                alphas = [*held[:i], (i + a) / strata, *held[i + 1 :]]
                mean += w * (out(step, parameters, x, t, h, alphas, lambda time, y: b(time)) - base)
        same(mean, due, f"{of} {parameters}", mp.mpf(10) ** -25)


def out(step, parameters, x, t, h, alphas, score):
    return plain(bound(step, parameters)(x, t, h, elementwise(score), UnitDraw(alphas)))


@fact("midpoint", "randomized_midpoint", "importance_midpoint", "parallel_midpoint", "heun")
def points_on_the_flow(step, of):
    """Where the score is the constant 1 the exact flow is e^r (x + 1) - 1, and each inner point lies on it at its own
    level (Heun's: on its Euler step): the Picard weights of every round telescope."""
    t, h, x = mp.mpf(1), rational(2, 5), rational(-3, 4)
    for parameters in variants(of):
        alphas = drawn(of, parameters)
        asked = []

        def ask(time, y, asked=asked):
            asked.append(flat(y))
            return 1 + 0 * y

        bound(step, parameters)(x, t, h, ask, UnitDraw(alphas))
        inner = {"midpoint": [rational(1, 2)]}.get(of, alphas)
        if of == "importance_midpoint":
            inner = [textbook.tilted(a, h) / h for a in alphas]
        due = [mp.exp(a * h) * (x + 1) - 1 for a in inner] if of != "heun" else [x + h * (x + 1)]
        same(asked[0], [x], f"{of} {parameters}: first point")
        for k, points in enumerate(asked[1:]):
            if len(points) != len(due):
                raise Refuted(f"{of} {parameters}: {len(points)} points asked in round {k + 1}, due {len(due)}")
            same(points, due, f"{of} {parameters}: round {k + 1}")
        if len(asked) != 2 + parameters.get("rounds", 0):
            raise Refuted(f"{of} {parameters}: {len(asked)} rounds, due {2 + parameters.get('rounds', 0)}")


@fact(*PREDICTORS, *REVERSE, *CORRECTORS)
def score_calls(step, of):
    """One call of the score per round, with the textbook's noise levels, on arrays of the stated shapes."""
    n, d, t, h = 3, 2, 0.75, 0.25
    for parameters in variants(of):
        floats = {k: float(p) if isinstance(p, mp.mpf) else p for k, p in parameters.items()}
        strata, cells = parameters.get("strata"), parameters.get("cells")
        draw = ArrayDraw(n, d)
        calls = []

        def ask(time, x, calls=calls):
            calls.append((np.asarray(time, dtype=float), x.shape))
            return np.zeros(x.shape)

        x = np.ones((n, d))
        bound(step, floats)((x, x) if of in KINETIC else x, t, h, ask, draw)
        alphas = list(draw.alphas) if strata else draw.alphas
        expected_times = textbook.score_times(of, t, h, alphas, parameters)
        if len(calls) != len(expected_times):
            raise Refuted(f"{of} {parameters}: {len(calls)} calls of the score, due {len(expected_times)}")
        for k, ((time, shape), levels) in enumerate(zip(calls, expected_times, strict=True)):
            wide = strata or (cells if of in ("parallel_underdamped", "parallel_langevin") else None)
            due = (n, d) if k == 0 or wide is None else (wide, n, d)
            due = (len(levels), n, d) if isinstance(levels, tuple) else due
            if shape != due:
                raise Refuted(f"{of} {parameters} call {k}: score asked on {shape}, due {due}")
            stacked = isinstance(levels, tuple) or (k and wide and strata)
            level = np.stack([np.broadcast_to(v, (n, 1)) for v in levels]) if stacked else levels[0]
            # t - a h takes two roundings of numbers below 1
            if not (
                np.abs(np.broadcast_to(time, np.broadcast_shapes(time.shape, np.shape(level))) - level) <= 2 * UNIT
            ).all():
                raise Refuted(f"{of} {parameters} call {k}: score asked at {time.ravel()}, due {np.ravel(level)}")


class ArrayDraw:
    """Fixed uneven midpoints per particle and zero noise, in the shapes of the particles' contract."""

    def __init__(self, n, d):
        self.n, self.d, self.alphas = n, d, []

    def uniform(self):
        self.alphas.append(np.linspace(0.1, 0.7, self.n).reshape(self.n, 1))
        return self.alphas[-1]

    def bernoulli(self, p):
        return np.ones((self.n, 1))

    def strata(self, count):
        lo = np.arange(count).reshape(count, 1, 1) / count
        self.alphas = lo + np.linspace(0.1, 0.7, self.n).reshape(1, self.n, 1) / count
        return lo, self.alphas

    def cells(self, count):
        return np.arange(count, dtype=float).reshape(count, 1, 1)

    def normal(self, covariance, count=None):
        shape = (self.n, self.d) if count is None else (count, self.n, self.d)
        return [np.zeros(shape) for _ in covariance]


# --- particles, at many places and twice in a row ------------------------------------------------------------------


class RowsDraw:
    """Midpoints and normal values of four particles, others at every step."""

    def __init__(self, step, quiet):
        self.z = np.sin(np.arange(1.0, 9.0).reshape(2, 4, 1) + step) * (not quiet)
        self.chosen = []
        self.u = np.array([[0.2], [0.997], [0.5], [0.81]]) if step == 0 else np.array([[0.7], [0.3], [0.998], [0.05]])

    def bernoulli(self, p):
        self.chosen.append(np.roll([[1.0], [0.0], [0.0], [1.0]], len(self.chosen), axis=0))
        return self.chosen[-1]

    def uniform(self):
        return self.u

    def strata(self, count):
        lo = np.arange(count).reshape(count, 1, 1) / count
        return lo, lo + self.u / count

    def cells(self, count):
        return np.arange(count, dtype=float).reshape(count, 1, 1)

    def normal(self, covariance, count=None):
        if count is not None:
            return [np.zeros((count, 4, 1)) for _ in covariance]
        if len(covariance) == 1:
            return [np.sqrt(np.asarray(covariance[0][0], dtype=float)) * self.z[0]]
        (a, b), (_, c) = np.asarray(np.broadcast_arrays(*(e for row in covariance for e in row))).reshape(2, 2, -1, 1)
        slope = b / a
        return [np.sqrt(a) * self.z[0], np.sqrt(a) * slope * self.z[0] + np.sqrt(c - b * slope) * self.z[1]]


def places(of):
    """(t, h, parameters) where a step may be wrong though it is right elsewhere."""
    motions = [{"friction": 0.5, "mass": 3.0}, {"friction": 7.0, "mass": 0.05}]
    if of == "poisson_midpoint":
        return [(1.0, 0.3, {"cells": 5})]
    if of == "parallel_overdamped":
        return [(1.0, 0.3, {"strata": 2, "rounds": 5}), (1.0, 0.3, {"strata": 9, "rounds": 1})]
    if of == "parallel_langevin":
        return [(1.0, 0.4, {"cells": 4, "rounds": 5})]
    if of in OVERDAMPED:
        return [(1.0, 0.3, {})]
    if of == "stratified_hmc":
        return [(1.0, 0.4, {"mass": 3.0}), (1.0, 0.4, {"mass": 0.05})]
    if of in KINETIC:
        more = {"cells": 4, "rounds": 5} if of == "parallel_underdamped" else {}
        return [(1.0, 0.4, motion | more) for motion in motions]
    if of == "parallel_midpoint":
        return [(0.7, 0.35, {"strata": 2, "rounds": 5}), (0.7, 0.35, {"strata": 66, "rounds": 1})]
    if of == "parareal":
        return [(t, t / 2, {"blocks": 4, "fine": 3, "sweeps": 3}) for t in (0.0122, 2.5)]
    if of == "parallel_slices":
        return [(t, t / 2, {"slices": 3, "cells": 4, "rounds": 4, "inner": 3}) for t in (0.0122, 2.5)]
    more = {"cells": 4} if of == "jiao_li" else {}
    return [(t, t / 2, more) for t in (0.0122, 0.05, 0.7, 2.5, 16.0)]


@fact(*PREDICTORS, *REVERSE, *CORRECTORS)
def every_place(step, of):
    """Each of four particles is moved as the textbook moves it alone, in one step and in the one after it, and the
    state that is handed over is left as it is."""
    lam, mean, k = 0.25, 1.5, 1.25
    quiet = of not in (
        "overdamped",
        "underdamped",
        "underdamped_euler",
        "reverse_euler",
        "ddpm",
        "exponential_sde",
        "jiao_li",
    )
    for t, h, parameters in places(of):
        stepped = bound(step, parameters)
        for number in range(2):
            x, v = np.array([[0.3], [-1.0], [2.0], [0.7]]), np.array([[0.4], [0.1], [-0.6], [1.1]])
            draw, state = RowsDraw(number, quiet), ((x, v) if of in KINETIC else x)
            kept = x.copy()
            if of in PREDICTORS + REVERSE:
                found = stepped(
                    state, t, h, lambda s, y: (np.exp(-s) * mean - y) / (1 + (lam - 1) * np.exp(-2 * s)), draw
                )
            else:
                found = stepped(state, t, h, lambda s, y: -k * (y - mean), draw)
            if not np.array_equal(x, kept):
                raise Refuted(f"{of} {parameters}: the state is changed in place")
            for row in range(4):
                due = textbook_row(of, t, h, parameters, kept[row, 0], v[row, 0], draw, row, lam, mean, k)
                mine = [mp.mpf(float(z[row, 0])) for z in (found if of in KINETIC else (found,))]
                same(mine, due, f"{of} {parameters} t = {t} step {number} particle {row}", mp.mpf(10) ** -9)


def textbook_row(of, t, h, parameters, x, v, draw, row, lam, mean, k):
    """What a particle should become."""
    t, h, x, v = map(mp.mpf, (t, h, x, v))
    u, count = mp.mpf(float(draw.u[row, 0])), parameters.get("strata")
    alphas = [u] if count is None else [(i + u) / count for i in range(count)]
    if of == "poisson_midpoint":
        if len(draw.chosen) != parameters["cells"] - 1:
            raise Refuted(f"{of}: {len(draw.chosen)} choices, due {parameters['cells'] - 1}")
        alphas = [mp.mpf(float(c[row, 0])) for c in draw.chosen]
    if of in PREDICTORS:
        return [textbook.PREDICTORS[of](x, t, h, alphas, textbook.gaussian_score(lam, mean), **parameters)]
    z = [mp.mpf(float(each[row, 0])) for each in draw.z]
    if of in REVERSE:
        alphas = [u] * len(drawn(of, parameters))
        A, b, C = textbook.REVERSE[of](t, h, mp.mpf(lam), mp.mpf(mean), *alphas, **parameters)
        return [A[0, 0] * x + b[0] + mp.sqrt(C[0, 0]) * z[0]]
    A, b, C = textbook.CORRECTORS[of](h, alphas, k, mean, **parameters)
    if of in OVERDAMPED:
        return [A[0, 0] * x + b[0] + mp.sqrt(C[0, 0]) * z[0]]
    if of == "stratified_hmc":
        return list(A * mp.matrix([x, v]) + b)
    w_v = mp.sqrt(C[1, 1]) * z[0]
    w_x = C[0, 1] / mp.sqrt(C[1, 1]) * z[0] + mp.sqrt(abs(C[0, 0] - C[0, 1] ** 2 / C[1, 1])) * z[1]
    return [A[0, 0] * x + A[0, 1] * v + b[0] + w_x, A[1, 0] * x + A[1, 1] * v + b[1] + w_v]


# --- reductions -------------------------------------------------------------------------------------------------


@fact(
    "midpoint", "parallel_midpoint", "parallel_underdamped", "parallel_overdamped", "parallel_langevin", "parareal",
    "parallel_slices",
)  # fmt: skip
def reduces(step, of):
    """The special cases: one stratum and no round, as many rounds as cells, as many sweeps as blocks, the midpoint at
    1/2."""
    t, h = rational(7, 10), rational(3, 10)
    g, u, k, m = rational(3, 2), rational(1, 3), rational(5, 4), rational(-2, 3)
    if of == "parallel_underdamped":
        for cells, rounds in ((1, 1), (2, 2), (3, 4)):
            stepped = bound(step, {"cells": cells, "rounds": rounds, "friction": g, "mass": u})
            A, b, C = transition(stepped, lambda s, x: -k * (x - m), t, h, kinetic=True)
            one = textbook.underdamped(h / cells, [], k, m, g, u)
            A_due, b_due, C_due = mp.eye(2), mp.matrix([0, 0]), mp.matrix(2, 2)
            for _ in range(cells):
                A_due, b_due, C_due = one[0] * A_due, one[0] * b_due + one[1], one[0] * C_due * one[0].T + one[2]
            same([A, b, C], [A_due, b_due, C_due], f"{of}: {cells} cells, {rounds} rounds")
        return
    if of == "parallel_overdamped":
        for a in (mp.mpf(0), rational(3, 10), mp.mpf(1)):
            stepped = bound(step, {"strata": 1, "rounds": 0})
            found = transition(stepped, lambda s, x: -k * (x - m), t, h, [a])
            same(found, textbook.overdamped_midpoint(h, [a], k, m), f"{of} as the overdamped randomized midpoint")
        return
    if of == "parallel_langevin":
        for cells, rounds in ((1, 1), (2, 2), (3, 4)):
            stepped = bound(step, {"cells": cells, "rounds": rounds})
            found = transition(stepped, lambda s, x: -k * (x - m), t, h)
            A, b, C = textbook.overdamped(h / cells, [], k, m)
            a = A[0, 0]
            powers = mp.fsum(a**i for i in range(cells))
            same(
                found, [a**cells, b[0] * powers, C[0, 0] * mp.fsum(a ** (2 * i) for i in range(cells))], f"{of} {cells}"
            )
        return
    score = textbook.gaussian_score(rational(1, 4), rational(3, 2))
    if of in textbook.PLANS_IN_ONE:
        for parameters in {
            "parareal": [{"blocks": 3, "fine": 2, "sweeps": 3}, {"blocks": 1, "fine": 1, "sweeps": 0}],
            "parallel_slices": [
                {"slices": 2, "cells": 3, "rounds": 6, "inner": 1},
                {"slices": 3, "cells": 2, "rounds": 1, "inner": 3},
            ],
        }[of]:
            count = parameters.get("blocks", 1) * parameters.get("fine", 1)
            count *= parameters.get("slices", 1) * parameters.get("cells", 1)
            A, b, _ = transition(bound(step, parameters), score, t, h)
            image = [mp.mpf(0), mp.mpf(1)]
            for i in range(count):
                level = t - i * h / count
                image = [
                    textbook.ddim(x, level, h / count, score)
                    if of == "parareal"
                    else textbook.exponential_integrator(x, level, h / count, [], score)
                    for x in image
                ]
            same([A, b], [image[1] - image[0], image[0]], f"{of} {parameters} as {count} steps")
        return
    parameters = {"strata": 1, "rounds": 0} if of == "parallel_midpoint" else {}
    for a in (rational(1, 2),) if of == "midpoint" else (mp.mpf(0), rational(3, 10), mp.mpf(1)):
        A, b, _ = transition(bound(step, parameters), score, t, h, [a] if parameters else [])
        image = [textbook.randomized_midpoint(mp.mpf(x), t, h, [a], score) for x in (0, 1)]
        same([A, b], [image[1] - image[0], image[0]], f"{of} as the randomized midpoint at {a}")


# --- the process and the elementary functions under the schemes ---------------------------------------------------

SETTINGS = tuple((rational(a, 4), rational(b, 5), rational(c, 3)) for a, b, c in ((1, 2, 5), (10, 3, -2), (0, 1, 1)))


@fact("mode_mean", "mode_variance")
def marginal_equations(function, of):
    """m' = -m and v' = 2 - 2v of dX = -X dt + sqrt(2) dB, from what the target has at t = 0."""
    for lam, t, mean in SETTINGS:
        start = mean if of == "mode_mean" else lam
        value = function(start, t)
        due = -value if of == "mode_mean" else 2 - 2 * value
        same(mp.diff(lambda s, start=start: function(start, s), t), due, of, mp.mpf(10) ** -15)
        same(function(start, mp.mpf(0)), start, f"{of} at 0")


@fact("mode_variance")
def variance_in_floats(function, of):
    """Relative accuracy 1e-15 at any level, also of a point mass."""
    for lam in (0.0, 1e-12, 0.25, 4.0):
        for t in (1e-15, 1e-9, 1e-3, 1.0, 10.0):
            due = mp.mpf(lam) * mp.exp(-2 * mp.mpf(t)) - mp.expm1(-2 * mp.mpf(t))
            same(mp.mpf(function(lam, t)) / due, 1, f"{of} {lam} {t}", mp.mpf(10) ** -15)


@fact("mode_score")
def score_is_a_gradient(function, of):
    """The derivative of -(x - m(t))^2/(2 v(t))."""
    for lam, t, mean in SETTINGS:
        v, m = 1 + (lam - 1) * mp.exp(-2 * t), mp.exp(-t) * mean
        for x in (mp.mpf(-1), rational(5, 2)):
            due = mp.diff(lambda y, m=m, v=v: -((y - m) ** 2) / (2 * v), x)
            same(function(mean, lam, t, x), due, of, mp.mpf(10) ** -15)


@fact("flow_slope")
def flow_equation(function, of):
    """d/dh slope = (1 - 1/v(t-h)) slope, slope 1 at h = 0: the flow x' = x + s of the distance from the mean."""
    for lam, t, _ in SETTINGS:
        for h in (mp.mpf(0), t / 3):
            v = 1 + (lam - 1) * mp.exp(-2 * (t - h))
            slope = mp.diff(lambda r, lam=lam, t=t: function(lam, t, r), h)
            same(slope, (1 - 1 / v) * function(lam, t, h), of, mp.mpf(10) ** -15)
        same(function(lam, t, mp.mpf(0)), 1, f"{of} at 0")


@fact("phi2")
def phi2_values(function, of):
    """(e^z - 1 - z)/z^2 and 1/2 at 0."""
    for z in (rational(-7, 2), rational(1, 3), mp.mpf(2)):
        same(function(z), (mp.exp(z) - 1 - z) / z**2, f"{of} {z}")
    same(function(mp.mpf(0)), rational(1, 2), f"{of} 0")


SMALL_AND_LARGE = [s * 10.0**k for k in range(-16, 2) for s in (-0.7, 0.3)]


@fact("phi2")
def phi2_in_floats(function, of):
    """Relative accuracy 1e-14 at every size."""
    for z in SMALL_AND_LARGE:
        with mp.workdps(80):
            due = (mp.exp(mp.mpf(z)) - 1 - mp.mpf(z)) / mp.mpf(z) ** 2
        same(mp.mpf(function(z)) / due, 1, f"{of} {z}", mp.mpf(10) ** -14)


@fact("log1p_minus")
def log1p_minus_in_floats(function, of):
    """Relative accuracy 1e-14 at every size where it is defined."""
    for z in SMALL_AND_LARGE:
        if z > -1:
            with mp.workdps(80):
                due = mp.log(1 + mp.mpf(z)) - mp.mpf(z)
            same(mp.mpf(function(z)) / due, 1, f"{of} {z}", mp.mpf(10) ** -14)


@fact("prefix")
def prefix_sums(function, of):
    """Entry i is the sum of the entries before i along the leading axis."""
    z = np.arange(1.0, 13.0).reshape(4, 3) ** 2
    found = function(z)
    for i in range(4):
        same(found[i], z[:i].sum(axis=0), f"{of} entry {i}", 0)


__all__ = ["APPLIES", "FACTS", "PREDICTORS", "Refuted", "legendre"]
