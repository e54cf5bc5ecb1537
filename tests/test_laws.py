"""The laws: against plain simulation, nested quadrature, closed recursions and 60-digit integration."""

from __future__ import annotations

import functools
import itertools
import pickle

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import textbook
from oracles.facts import legendre
from oracles.plain import heun, parallel_midpoint, randomized_midpoint, score_of, unit_rule
from scipy import stats

import rmverify as rm
from rmverify import schemes
from rmverify.readings.particles import ParticleDraw
from rmverify.targets import process

UNIT = 2.0**-53
PARTICLES = 2_000_000
SIMULATIONS = 12  # tests by simulation in this file; together they fail by chance once in 10^6
LIKELY = 1 - 1e-6 / SIMULATIONS


# --- against simulation -------------------------------------------------------------------------------------------


def assert_whitened(x, mean, covariance):
    """n |z|^2 and n/2 |Z^T Z/n - I|^2 of the whitened sample have chi-square laws where x ~ N(mean, covariance).

    At two million particles a variance wrong by one percent, however small it is, adds n/2 * 1e-4 = 100.
    """
    n, d = x.shape
    z = np.linalg.solve(np.linalg.cholesky(covariance), (x - mean).T)
    center, spread = z.mean(axis=1), z @ z.T / n - np.eye(d)
    assert n * (center @ center) < stats.chi2.ppf(LIKELY, d)
    assert n / 2 * (spread**2).sum() < stats.chi2.ppf(LIKELY, d * (d + 1) // 2)


LAM, MEAN = np.array([0.05, 3.0]), np.array([1.5, -1.0])
TARGET = rm.Gaussian(MEAN, LAM)
FRICTION, MASS = 1.7, 0.4
plain_score = score_of(LAM, MEAN)


def simulate(alphas, rng):
    """Three randomized midpoints from 2 to 1, two underdamped steps, two steps of Shen and Lee, in plain NumPy."""
    x = rng.standard_normal((PARTICLES, 2))
    levels = [2.0, 1.6, 1.3, 1.0]
    for a, t, end in zip(alphas[:3], levels, levels[1:], strict=False):
        x = randomized_midpoint(x, t, t - end, a, plain_score)
    g, u, h = FRICTION, MASS, 0.3
    E = np.exp(-g * h)
    v = np.sqrt(u) * rng.standard_normal(x.shape)
    root = np.linalg.cholesky(np.array(textbook.kinetic_covariance(h, g, u).tolist(), float))
    for _ in range(2):
        z = rng.standard_normal((2, *x.shape))
        s, p = plain_score(1.0, x), (1 - E) / g
        x = x + p * v + u * (h - p) / g * s + root[0, 0] * z[0]
        v = E * v + u * p * s + root[1, 0] * z[0] + root[1, 1] * z[1]
    h = 0.5
    v = np.sqrt(u) * rng.standard_normal(x.shape)
    for a in alphas[3:]:
        W = np.linalg.cholesky(np.array(textbook.shen_lee_covariance(h, a, g).tolist(), float))
        z = rng.standard_normal((3, *x.shape))
        w1, w2, w3 = (np.sqrt(u) * sum(W[i, j] * z[j] for j in range(i + 1)) for i in range(3))
        p = (1 - np.exp(-g * a * h)) / g
        half = x + p * v + u / g * (a * h - p) * plain_score(1.0, x) + w1
        s, c = plain_score(1.0, half), (1 - a) * h
        x = x + (1 - np.exp(-g * h)) / g * v + u * h / g * (1 - np.exp(-g * c)) * s + w2
        v = np.exp(-g * h) * v + u * h * np.exp(-g * c) * s + w3
    return x


def mixed_plan():
    return rm.Plan(
        [
            rm.Predict(schemes.randomized_midpoint, [2.0, 1.6, 1.3, 1.0]),
            rm.Correct(schemes.underdamped(friction=FRICTION, mass=MASS), 1.0, 0.3, 2),
            rm.Correct(schemes.randomized_midpoint_langevin(friction=FRICTION, mass=MASS), 1.0, 0.5, 2),
        ]
    )


@pytest.mark.slow
def test_the_conditional_law_is_that_of_simulated_particles():
    alphas = [0.3, 0.9, 0.15, 0.7, 0.2]
    law = rm.output_law(mixed_plan(), TARGET, alphas=alphas)
    assert_whitened(simulate(alphas, np.random.default_rng(11)), law.mean, law.covariance)


@pytest.mark.slow
def test_samples_of_a_plan_without_midpoints_have_its_law():
    """The package's own particles, in coordinates turned against the modes."""
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    target = rm.Gaussian(turn @ MEAN, (turn * LAM) @ turn.T)
    plan = rm.Plan(
        [
            rm.Predict(schemes.heun, [2.0, 1.5, 1.0]),
            rm.Correct(schemes.parallel_underdamped(cells=2, rounds=2, friction=FRICTION, mass=MASS), 1.0, 0.6, 1),
            rm.Correct(schemes.overdamped, 1.0, 0.05, 2),
        ]
    )
    law = rm.output_law(plan, target)
    x = rm.sample(plan, target, PARTICLES // 2, 2, rng=12)
    assert_whitened(x, law.mean, law.covariance)


@pytest.mark.slow
def test_samples_with_midpoints_have_the_mixture_s_moments():
    """Not Gaussian, so by the central limit theorem: each whitened second moment over its own standard error."""
    law = rm.output_law(mixed_plan(), TARGET)
    n = PARTICLES // 2
    x = rm.sample(mixed_plan(), TARGET, n, 2, rng=13)
    z = np.linalg.solve(np.linalg.cholesky(law.covariance), (x - law.mean).T)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        products = z[i] * z[j]
        error = (products.mean() - (i == j)) / (products.std() / np.sqrt(n))
        assert abs(error) < stats.norm.ppf(1 - (1 - LIKELY) / 6)
    assert n * (z.mean(axis=1) ** 2).sum() < stats.chi2.ppf(LIKELY, 2)


def test_samples_of_strata_have_the_mixture_s_moments():
    """Two strata over a long step; half a step further down the score is still tame, so that a midpoint outside its
    stratum moves the moments and does not hide in heavy tails."""
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=2, rounds=1), [1.8, 1.0])])
    law, n = rm.output_law(plan, TARGET), PARTICLES // 4
    z = np.linalg.solve(np.linalg.cholesky(law.covariance), (rm.sample(plan, TARGET, n, 2, rng=14) - law.mean).T)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        products = z[i] * z[j]
        error = (products.mean() - (i == j)) / (products.std() / np.sqrt(n))
        assert abs(error) < stats.norm.ppf(1 - (1 - LIKELY) / 6)


# --- the averaged law against nested quadrature -------------------------------------------------------------------


def quadrature(steps, count, mean, covariance):
    """Every midpoint of every step by its own Gauss rule, all nested: mean and covariance of the position.

    `steps[n](a)` gives (A, b, C) of step n per mode for its tuple of midpoints (A: (modes, s, s) and so on).
    """
    x, w = unit_rule(count)
    modes = mean.shape[0]
    total_mean, second = np.zeros(modes), np.zeros((modes, modes))
    for choice in itertools.product(range(count), repeat=len(steps)):
        weight = np.prod(w[list(choice)])
        m, S = mean.copy(), covariance.copy()
        for k, step in zip(choice, steps, strict=True):
            A, b, C = step(k, x[k])
            m = np.einsum("kij,kj->ki", A, m) + b
            S = A @ S @ A.transpose(0, 2, 1) + C
        total_mean += weight * m[:, 0]
        second += weight * (np.diag(S[:, 0, 0]) + np.outer(m[:, 0], m[:, 0]))
    return total_mean, second - np.outer(total_mean, total_mean)


def predictor_step(t, h, lam=LAM, mean=MEAN, gain=0.0, bias=0.0):
    """The randomized midpoint as (A, b, 0) for the score (1 + gain) s_t + bias, plainly."""

    def step(k, a):
        score = score_of(lam, mean, gain, bias)
        b, top = (randomized_midpoint(x, t, h, a, score) for x in (np.zeros_like(lam), np.ones_like(lam)))
        return (top - b)[:, None, None], b[:, None], np.zeros((lam.size, 1, 1))

    return step


def langevin_step(t, h):
    """Shen and Lee's step as 2x2 matrices per mode, from the textbook, tabulated per node."""

    @functools.cache
    def step(k, a):
        parts = []
        for lam, mean in zip(LAM, MEAN, strict=True):
            v, m = 1 + (lam - 1) * np.exp(-2 * t), np.exp(-t) * mean
            A, b, C = textbook.randomized_midpoint_langevin(h, [a], 1 / v, m, FRICTION, MASS)
            parts.append((np.array(A.tolist(), float), np.array(b.tolist(), float)[:, 0], np.array(C.tolist(), float)))
        return tuple(np.array(p) for p in zip(*parts, strict=True))

    return step


def widen(mean, variance):
    """Position with a fresh velocity per mode."""
    S = np.zeros((mean.size, 2, 2))
    S[:, 0, 0], S[:, 1, 1] = variance, MASS
    return np.stack([mean, 0 * mean], axis=1), S


def assert_moments(law, mean, covariance, allowed=1e-13):
    """Sums of a few thousand positive terms of at most size one."""
    assert np.abs(law.mean - mean).max() <= allowed
    assert np.abs(law.covariance - covariance).max() <= allowed * np.abs(covariance).max()


@pytest.mark.slow
@pytest.mark.parametrize("start", ["normal", "exact"])
def test_mixture_moments_of_three_random_steps(start):
    levels = [2.0, 1.6, 1.3, 1.0]
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)]), TARGET, start=start)
    steps = [predictor_step(t, t - end) for t, end in itertools.pairwise(levels)]
    normal = start == "normal"
    mean = np.zeros(2) if normal else np.exp(-2.0) * MEAN
    variance = np.ones(2) if normal else 1 + (LAM - 1) * np.exp(-4.0)
    due = quadrature(steps, 16, mean[:, None], variance[:, None, None])
    assert_moments(law, *due)
    if normal:  # one midpoint moves all modes of a particle, so their means go together
        assert abs(due[1][0, 1]) > 1e-8
        assert abs(law.covariance[0, 1] / due[1][0, 1] - 1) < 1e-5


def test_mixture_moments_with_a_velocity_kept_between_random_steps():
    plan = rm.Plan([rm.Correct(schemes.randomized_midpoint_langevin(friction=FRICTION, mass=MASS), 1.0, 0.9, 3)])
    law = rm.output_law(plan, TARGET)
    step = langevin_step(1.0, 0.9)
    mean, covariance = quadrature([step] * 3, 14, *widen(np.zeros(2), np.ones(2)))
    assert_moments(law, mean, covariance)
    assert abs(covariance[0, 1]) > 1e-8
    assert abs(law.covariance[0, 1] / covariance[0, 1] - 1) < 1e-5


def test_mixture_moments_across_a_corrector_without_midpoints():
    """Random predictor, deterministic kinetic corrector, random predictor: `between` passes through all three."""
    plan = rm.Plan(
        [
            rm.Predict(schemes.randomized_midpoint, [2.0, 1.4]),
            rm.Correct(schemes.underdamped(friction=FRICTION, mass=MASS), 1.4, 0.5, 1),
            rm.Predict(schemes.randomized_midpoint, [1.4, 0.9]),
        ]
    )
    v, m = 1 + (LAM - 1) * np.exp(-2.8), np.exp(-1.4) * MEAN
    slope, shift, noise = [], [], []
    for k in range(2):
        A, b, C = textbook.underdamped(0.5, [], 1 / v[k], m[k], FRICTION, MASS)
        slope.append(float(A[0, 0]))
        shift.append(float(b[0]))
        noise.append(float(C[0, 0] + A[0, 1] ** 2 * MASS))
    fixed = (np.array(slope)[:, None, None], np.array(shift)[:, None], np.array(noise)[:, None, None])
    steps = [predictor_step(2.0, 0.6), lambda k, a: fixed, predictor_step(1.4, 0.5)]
    due = quadrature(steps, 16, np.zeros((2, 1)), np.ones((2, 1, 1)))
    assert_moments(rm.output_law(plan, TARGET), *due)


def test_mixture_moments_of_parallel_strata():
    """Two steps of two strata, one Picard round: a 4-fold integral."""
    levels, count = [2.0, 1.5, 1.0], 10
    scheme = schemes.parallel_midpoint(strata=2, rounds=1)
    law = rm.output_law(rm.Plan([rm.Predict(scheme, levels)]), TARGET)
    x, w = unit_rule(count)
    # E over independent steps of affine maps: the moments of (1, x) move linearly
    first, second = np.zeros(2), np.eye(2)
    for t, end in itertools.pairwise(levels):
        new_first, new_second = np.zeros(2), np.zeros((2, 2))
        for i, j in itertools.product(range(count), repeat=2):
            a = np.array([x[i] / 2, (1 + x[j]) / 2])
            b, top = (parallel_midpoint(np.full(2, y), t, t - end, a, plain_score, 1) for y in (0.0, 1.0))
            A, weight = top - b, w[i] * w[j]
            new_first += weight * (A * first + b)
            new_second += weight * (
                np.outer(A, A) * second + np.outer(A * first, b) + np.outer(b, A * first) + np.outer(b, b)
            )
        first, second = new_first, new_second
    mean, covariance = first, second - np.outer(first, first)
    assert_moments(law, mean, covariance, 1e-12)  # the second moments cancel against the mean here


def test_mixture_moments_in_turned_coordinates_and_in_blocks():
    levels = [2.0, 1.6, 1.3]
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)])
    steps = [predictor_step(t, t - end) for t, end in itertools.pairwise(levels)]
    mean, covariance = quadrature(steps, 16, np.zeros((2, 1)), np.ones((2, 1, 1)))
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    law = rm.output_law(plan, rm.Gaussian(turn @ MEAN, (turn * LAM) @ turn.T))
    assert_moments(law, turn @ mean, turn @ covariance @ turn.T, 1e-12)
    law = rm.output_law(plan, rm.Gaussian.from_spectrum(LAM, [2, 1], MEAN))
    # two coordinates of one mode share their midpoints but not their Gaussian part
    within = quadrature_within(steps, 16)
    pick = [0, 0, 1]
    due = covariance[np.ix_(pick, pick)].copy()
    due[0, 1] = due[1, 0] = covariance[0, 0] - within[0]
    assert_moments(law, mean[pick], due)


def quadrature_within(steps, count):
    """E of the conditional variance of each mode."""
    x, w = unit_rule(count)
    result = np.ones(2)
    for step in steps:
        result = result * sum(w[k] * step(k, x[k])[0][:, 0, 0] ** 2 for k in range(count))
    return result


def test_paths_average_to_the_mixture():
    """The law of total covariance over 20,000 paths, each term over its own standard error."""
    law = rm.output_law(mixed_plan(), TARGET)
    means, variances = law.conditionals(20_000, rng=5)
    second = variances + (means - law.means) ** 2
    for values, due in [(second[:, k], law.variances[k]) for k in (0, 1)] + [
        (means[:, k], law.means[k]) for k in (0, 1)
    ]:
        error = (values.mean() - due) / (values.std() / np.sqrt(len(values)))
        assert abs(error) < stats.norm.ppf(1 - (1 - LIKELY) / 8)


def test_paths_are_what_conditional_takes_and_share_their_beginnings():
    plan = rm.Plan(
        [
            rm.Predict(schemes.parallel_midpoint(strata=3, rounds=1), [2.0, 1.5, 1.0]),
            rm.Predict(schemes.randomized_midpoint, [1.0, 0.8]),
        ]
    )
    law = rm.output_law(plan, TARGET)
    paths = law.paths(4, rng=3)
    means, variances = law.conditionals(4, rng=3)
    for k, path in enumerate(paths):
        assert [np.size(entry) for entry in path] == [3, 3, 1]
        assert all((np.arange(3) / 3 <= e).all() and (e <= (1 + np.arange(3)) / 3).all() for e in path[:2])
        given_path = law.conditional(path)
        assert np.allclose(given_path.variances, variances[k], rtol=1e-14, atol=0)
        assert np.allclose(given_path.means, means[k], rtol=1e-13, atol=1e-15)
    for a, b in zip(law.paths(2, rng=3), paths, strict=False):
        assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def test_paths_of_a_longer_plan_begin_with_those_of_the_shorter():
    """Common random numbers: the same seed gives path k the same first midpoints, however many steps follow."""
    levels = [2.0, 1.5, 1.0, 0.8, 0.7]
    short, long = (
        rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, levels[:n])]), TARGET).paths(5, rng=2)
        for n in (3, 5)
    )
    assert [path[:2] for path in long] == short
    assert len({path[0] for path in long}) == 5


# --- scale mixtures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.25, 4.0])
def test_scale_mixture_moments_follow_their_recursions(lam):
    """x' = A(a) x: E s^2k = prod E A^2k; an underdamped corrector s^2 -> p s^2 + q in between.

    Bound: 25 compressions to 24 nodes, each exact to rounding.
    """
    levels, after = np.linspace(2.0, 1.0, 16), np.linspace(1.0, 0.5, 11)
    plan = rm.Plan(
        [
            rm.Predict(schemes.randomized_midpoint, levels),
            rm.Correct(schemes.underdamped(friction=FRICTION, mass=MASS), 1.0, 0.2, 1),
            rm.Predict(schemes.randomized_midpoint, after),
        ]
    )
    found = rm.output_law(plan, rm.Gaussian.isotropic(lam, 7)).scale_mixture
    x, w = unit_rule(40)

    def random(moments, levels):
        for t, end in itertools.pairwise(levels):
            h = t - end
            v = [1 + (lam - 1) * np.exp(-2 * level) for level in (t, t - x * h)]
            slope = np.exp(h) - h * np.exp((1 - x) * h) / v[1] * (np.exp(x * h) - (np.exp(x * h) - 1) / v[0])
            moments = [m * (w @ slope ** (2 * k)) for k, m in enumerate(moments)]
        return moments

    m0, m1, m2 = random([1.0, 1.0, 1.0], levels)
    v = 1 + (lam - 1) * np.exp(-2)
    A, _, C = textbook.underdamped(0.2, [], 1 / v, 0.0, FRICTION, MASS)
    p, q = float(A[0, 0] ** 2), float(C[0, 0] + A[0, 1] ** 2 * MASS)
    m0, m1, m2 = random([m0, p * m1 + q * m0, p * p * m2 + 2 * p * q * m1 + q * q * m0], after)
    assert found.dim == 7
    assert abs(found.weights.sum() - 1) < 1e-13
    assert (found.weights > 0).all()
    assert abs(found.weights @ found.variances / m1 - 1) < 1e-12
    assert abs(found.weights @ found.variances**2 / m2 - 1) < 1e-12
    # the spread itself, E s^4 - (E s^2)^2, is a small difference of these
    assert (
        abs((found.weights @ found.variances**2 - (found.weights @ found.variances) ** 2) - (m2 - m1**2)) < 1e-12 * m2
    )


def test_scale_mixtures_are_only_claimed_where_the_law_is_one():
    predict = rm.Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.0])
    kept = rm.Correct(schemes.randomized_midpoint_langevin(friction=1.0), 1.0, 0.2, 2)
    isotropic = rm.Gaussian.isotropic(0.5, 3)
    assert rm.output_law(rm.Plan([predict]), isotropic).scale_mixture is not None
    assert rm.output_law(rm.Plan([predict, kept]), isotropic).scale_mixture is not None
    assert rm.output_law(rm.Plan([predict, kept]), TARGET).scale_mixture is None
    assert rm.output_law(rm.Plan([predict]), TARGET).scale_mixture is None
    assert rm.output_law(rm.Plan([predict]), rm.Gaussian.from_spectrum([0.5], [3], [1.0])).scale_mixture is None


# --- local and coupling errors in 60 digits and more --------------------------------------------------------------


def by_hand(step, lam, mean, t, h, averages, start):
    """(bias, variance) of one coordinate: x ~ start, x* by the flow; `averages(f)` is E f(alphas)."""
    lam, mean, t, h = (mp.mpf(z) for z in (lam, mean, t, h))
    score = textbook.gaussian_score(lam, mean)

    def affine(alphas):
        zero = step(mp.mpf(0), t, h, alphas, score)
        return step(mp.mpf(1), t, h, alphas, score) - zero, zero

    v = [1 + (lam - 1) * mp.exp(-2 * level) for level in (t, t - h)]
    m = [mp.exp(-level) * mean for level in (t, t - h)]
    slope = mp.sqrt(v[1] / v[0])
    shift = m[1] - slope * m[0]
    A, b, AA, Ab, bb = averages(lambda a: (lambda p, q: (p, q, p * p, p * q, q * q))(*affine(a)))
    mu, var = (m[0], v[0]) if start == "exact" else (mp.mpf(0), mp.mpf(1))
    bias = (A - slope) ** 2 * var + ((A - slope) * mu + b - shift) ** 2
    return bias, (AA - A * A) * (var + mu * mu) + 2 * (Ab - A * b) * mu + bb - b * b


def one_midpoint(f):
    """Pieces that halve towards alpha = 1, 30 Gauss nodes each: 40 digits and more wherever the pole lies beyond 1."""
    edges = [1 - mp.mpf(2) ** -k for k in range(9)] + [mp.mpf(1)]
    total = [mp.mpf(0)] * 5
    for a, b in itertools.pairwise(edges):
        for x, w in legendre(30):
            values = f([a + (b - a) * x])
            total = [s + (b - a) * w * value for s, value in zip(total, values, strict=True)]
    return total


def two_strata(f):
    nodes = legendre(24)
    total = [mp.mpf(0)] * 5
    for (x, p), (y, q) in itertools.product(nodes, repeat=2):
        total = [s + p * q * value for s, value in zip(total, f([x / 2, (1 + y) / 2]), strict=True)]
    return total


ERROR_CASES = [
    (schemes.randomized_midpoint, textbook.randomized_midpoint, one_midpoint),
    (schemes.importance_midpoint, textbook.importance_midpoint, one_midpoint),
    (schemes.euler, textbook.euler, lambda f: f([])),
    (schemes.heun, textbook.heun, lambda f: f([])),
    (schemes.exponential_integrator, textbook.exponential_integrator, lambda f: f([])),
    (schemes.midpoint, textbook.midpoint, lambda f: f([])),
]


@pytest.mark.parametrize("start", ["exact", "normal"])
@pytest.mark.parametrize("h", [0.35, 1e-2, 1e-5, 1e-12])
@pytest.mark.parametrize("scheme, step, averages", ERROR_CASES, ids=[s.__name__ for s, _, _ in ERROR_CASES])
def test_local_errors_in_ninety_digits(scheme, step, averages, h, start):
    """Bias of the size h^6 and variance of the size h^4 are differences of numbers near 1: to 1e-14 all the same."""
    t = 0.5
    target = rm.Gaussian.from_spectrum([0.2, 3.0], [2, 1], [1.5, -1.0])
    found = rm.local_error(scheme, target, t, h, start=start)
    with mp.workdps(100):
        parts = [by_hand(step, lam, mean, t, h, averages, start) for lam, mean in ((0.2, 1.5), (3.0, -1.0))]
        bias, variance = (2 * p + q for p, q in zip(*parts, strict=True))
        assert abs(found.bias / bias - 1) < 1e-14
        assert abs(found.bias - bias) <= found.bias.error
        if averages is one_midpoint:
            assert abs(found.variance / variance - 1) < 1e-14
            assert abs(found.variance - variance) <= found.variance.error
        else:
            assert found.variance == 0
        assert abs(found.mean_square / (bias + variance) - 1) < 1e-14


@pytest.mark.parametrize("h", [0.2, 1e-8])
@pytest.mark.slow
def test_local_errors_of_parallel_strata(h):
    found = rm.local_error(schemes.parallel_midpoint(strata=2, rounds=1), rm.Gaussian([1.0], [0.4]), 1.0, h)
    step = functools.partial(textbook.parallel_midpoint, strata=2, rounds=1)
    with mp.workdps(80):
        bias, variance = by_hand(step, 0.4, 1.0, 1.0, h, two_strata, "exact")
        assert abs(found.bias / bias - 1) < 1e-14
        assert abs(found.variance / variance - 1) < 1e-14


@pytest.mark.parametrize("lam", [0.0, 0.5])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_local_errors_next_to_the_pole(lam, share):
    """A step to (1-share) t: at variance 0 the score grows like 1/(t - ah) and plain Gauss rules are slow."""
    t = 0.25
    h = share * t
    found = rm.local_error(schemes.randomized_midpoint, rm.Gaussian([0.0], [lam]), t, h)
    with mp.workdps(60):
        bias, variance = by_hand(textbook.randomized_midpoint, lam, 0.0, t, h, one_midpoint, "exact")
        assert abs(found.bias / bias - 1) < 1e-14
        assert abs(found.variance / variance - 1) < 1e-14


@pytest.mark.parametrize("lam", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_mixture_moments_next_to_the_pole(lam, share):
    """One step to (1-share) t from N(0, 1): the rule's own error is inside the error that the law states."""
    t, end = 0.25, (1 - share) * 0.25
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, [t, end])]), rm.Gaussian([1.0], [lam]))
    with mp.workdps(40):
        level, h = mp.mpf(t), mp.mpf(t) - mp.mpf(end)
        score = textbook.gaussian_score(mp.mpf(lam), mp.mpf(1))

        def affine(alphas):
            zero = textbook.randomized_midpoint(mp.mpf(0), level, h, alphas, score)
            A = textbook.randomized_midpoint(mp.mpf(1), level, h, alphas, score) - zero
            return A, zero, A * A, A * zero, zero * zero

        _, b, AA, _, bb = one_midpoint(affine)
        due = AA + bb - b * b
        assert law.rounding < 1e-10
        assert abs(law.variances[0] / due - 1) <= law.rounding
        assert abs(law.means[0] - b) <= law.rounding * mp.sqrt(due)


@pytest.mark.slow
def test_a_step_onto_a_singular_target_is_refused_and_not_nan():
    """At variance 0 and h = t the variance over the midpoints is infinite."""
    with pytest.raises((ArithmeticError, ValueError)):
        rm.local_error(schemes.randomized_midpoint, rm.Gaussian([0.0], [0.0]), 0.25, 0.25)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_coupling_errors_of_three_steps_by_nested_integration(scale):
    levels = [1.0, 1.0 - 0.1 * scale, 1.0 - 0.3 * scale]
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)])
    found = rm.coupling_error(plan, rm.Gaussian([1.5, -1.0], [0.2, 3.0]))
    with mp.workdps(60):
        bias = variance = mp.mpf(0)
        exact = [mp.mpf(level) for level in levels]
        for lam, mean in ((mp.mpf(0.2), mp.mpf(1.5)), (mp.mpf(3), mp.mpf(-1))):
            score = textbook.gaussian_score(lam, mean)
            v = [1 + (lam - 1) * mp.exp(-2 * level) for level in exact]
            m = [mp.exp(-level) * mean for level in exact]
            slope = mp.sqrt(v[2] / v[0])
            A, b, AA, Ab, bb = (mp.mpf(0) for _ in range(5))
            for (x, p), (y, q) in itertools.product(legendre(16), repeat=2):
                ends = []
                for point in (mp.mpf(0), mp.mpf(1)):
                    for t, end, a in zip(exact, exact[1:], (x, y), strict=False):
                        point = textbook.randomized_midpoint(point, t, t - end, [a], score)
                    ends.append(point)
                P, Q = ends[1] - ends[0], ends[0]
                A, b = A + p * q * P, b + p * q * Q
                AA, Ab, bb = AA + p * q * P * P, Ab + p * q * P * Q, bb + p * q * Q * Q
            off = (A - slope) * m[0] + b - (m[2] - slope * m[0])
            bias += (A - slope) ** 2 * v[0] + off**2
            variance += (AA - A * A) * (v[0] + m[0] ** 2) + 2 * (Ab - A * b) * m[0] + bb - b * b
        assert abs(found.bias / bias - 1) < 1e-14
        assert abs(found.variance / variance - 1) < 1e-14


def test_coupling_errors_refuse_correctors():
    plan = rm.Plan([rm.Correct(schemes.overdamped, 1.0, 0.1, 1)])
    with pytest.raises(TypeError, match="Predict"):
        rm.coupling_error(plan, TARGET)


@pytest.mark.parametrize(
    "t, h", [(1.0, 1.5), (1.0, 0.0), (1.0, -0.5), (0.0, 0.5), (float("nan"), 0.5), (1.0, float("inf"))]
)
def test_local_error_refuses_steps_that_make_no_sense(t, h):
    with pytest.raises(ValueError, match="[th]: expected"):
        rm.local_error(schemes.euler, TARGET, t, h)


# --- estimated scores ---------------------------------------------------------------------------------------------


def oscillating(t):
    return 0.3 * np.cos(5 * t)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.3, oscillating], ids=["constant", "oscillating"])
def test_laws_under_an_estimated_score(bias):
    levels = [2.0, 1.6, 1.3, 1.0]
    estimate = rm.EstimatedScore(TARGET, gain=0.1, bias=bias)
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)])
    steps = [predictor_step(t, t - e, gain=0.1, bias=bias) for t, e in itertools.pairwise(levels)]
    assert_moments(rm.output_law(plan, estimate), *quadrature(steps, 20, np.zeros((2, 1)), np.ones((2, 1, 1))))
    alphas = [0.2, 0.9, 0.4]
    law = rm.output_law(plan, estimate, alphas=alphas)
    m, V = np.zeros(2), np.ones(2)
    for step, a in zip(steps, alphas, strict=True):
        A, b, _ = step(0, a)
        m, V = A[:, 0, 0] * m + b[:, 0], A[:, 0, 0] ** 2 * V
    assert np.abs(law.means - m).max() < 1e-14
    assert np.abs(law.variances / V - 1).max() < 1e-13


@pytest.mark.parametrize("bias", [0.3, oscillating], ids=["constant", "oscillating"])
def test_local_errors_under_an_estimated_score(bias):
    t, h = 1.0, 1e-3
    found = rm.local_error(schemes.exponential_integrator, rm.EstimatedScore(TARGET, gain=0.1, bias=bias), t, h)
    with mp.workdps(50):
        due = mp.mpf(0)
        for lam, mean in zip(LAM, MEAN, strict=True):
            lam, mean = mp.mpf(float(lam)), mp.mpf(float(mean))
            offset = mp.mpf(0.3) * (mp.cos(5 * mp.mpf(t)) if callable(bias) else 1)
            score = textbook.gaussian_score(lam, mean)
            v = [1 + (lam - 1) * mp.exp(-2 * level) for level in (mp.mpf(t), mp.mpf(t) - mp.mpf(h))]
            m = [mp.exp(-level) * mean for level in (mp.mpf(t), mp.mpf(t) - mp.mpf(h))]
            slope = mp.sqrt(v[1] / v[0])

            def end(x, score=score, offset=offset):
                s = (1 + mp.mpf(0.1)) * score(mp.mpf(t), x) + offset
                return mp.exp(mp.mpf(h)) * x + mp.expm1(mp.mpf(h)) * s

            A = end(mp.mpf(1)) - end(mp.mpf(0))
            due += (A - slope) ** 2 * v[0] + (A * m[0] + end(mp.mpf(0)) - m[1]) ** 2
        assert abs(found.bias / due - 1) < 1e-14


# --- edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0, 1, 0.0, 1.0])
def test_midpoints_at_the_ends_of_the_step(a):
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, [2.0, 1.5])])
    law = rm.output_law(plan, TARGET, alphas=[a])
    A, b, _ = predictor_step(2.0, 0.5)(0, float(a))
    assert np.abs(law.variances / A[:, 0, 0] ** 2 - 1).max() < 1e-14
    assert np.abs(law.means - b[:, 0]).max() < 1e-15
    corrector = schemes.randomized_midpoint_langevin(friction=FRICTION, mass=MASS)
    law = rm.output_law(rm.Plan([rm.Correct(corrector, 1.0, 0.5, 1)]), TARGET, alphas=[a])
    A, b, C = langevin_step(1.0, 0.5)(0, float(a))
    due = (A @ np.diag([1.0, MASS]) @ A.transpose(0, 2, 1) + C)[:, 0, 0]
    assert np.abs(law.variances / due - 1).max() < 1e-14


@pytest.mark.parametrize("a", [0.0, 1.0])
def test_particles_at_the_ends_of_the_step(a, monkeypatch):
    """An empty interval has no noise: the Cholesky factor of a zero covariance must be zero and not NaN."""
    drawn = ParticleDraw.uniform
    monkeypatch.setattr(ParticleDraw, "uniform", lambda self: 0 * drawn(self) + a)
    corrector = schemes.randomized_midpoint_langevin(friction=FRICTION, mass=MASS)
    plan = rm.Plan([rm.Correct(corrector, 1.0, 0.5, 1)])
    law = rm.output_law(plan, TARGET, alphas=[a])
    x = rm.sample(plan, TARGET, PARTICLES // 4, 2, rng=3)
    assert_whitened(x, law.mean, law.covariance)


@pytest.mark.parametrize("h", [1e-3, 1e-6, 1e-12])
def test_short_kinetic_steps_keep_relative_accuracy(h):
    """From a point mass, what one step leaves is the velocity's u h^2 and the noise's 2 g u h^3/3."""
    start = TARGET.with_modes([0.0, 0.0], np.exp(-1.0) * MEAN)
    for scheme, alphas in (
        (schemes.underdamped(friction=FRICTION, mass=MASS), None),
        (schemes.randomized_midpoint_langevin(friction=FRICTION, mass=MASS), [0.3]),
        (schemes.parallel_underdamped(cells=3, rounds=2, friction=FRICTION, mass=MASS), None),
    ):
        law = rm.output_law(rm.Plan([rm.Correct(scheme, 1.0, h, 1)]), TARGET, alphas=alphas, start=start)
        with mp.workdps(80):
            g, u, length = mp.mpf(FRICTION), mp.mpf(MASS), mp.mpf(h)
            for k in range(2):
                curvature = 1 / (1 + (mp.mpf(float(LAM[k])) - 1) * mp.exp(-2))
                name, given_alphas, extra = scheme.func.__name__, [mp.mpf(0.3)], {}
                if name == "parallel_underdamped":
                    extra = {"cells": 3, "rounds": 2}
                A, _, C = textbook.CORRECTORS[name](length, given_alphas, curvature, mp.mpf(0), g, u, **extra)
                due = C[0, 0] + A[0, 1] ** 2 * u
                assert abs(law.variances[k] / due - 1) < 1e-13


def test_steps_of_no_length_are_refused_and_the_shortest_are_taken():
    with pytest.raises(ValueError, match="times"):
        rm.Predict(schemes.euler, [1.0, 1.0])
    with pytest.raises(ValueError, match="step"):
        rm.Correct(schemes.overdamped, 1.0, 0.0, 1)
    shortest = np.nextafter(1.0, 0.0)
    for name in ("euler", "heun", "exponential_integrator", "midpoint"):
        law = rm.output_law(rm.Plan([rm.Predict(getattr(schemes, name), [1.0, shortest])]), TARGET)
        # h = 2^-53: the slope 1 + h (1 - 1/v) is within two roundings of 1
        assert np.abs(law.variances - 1).max() <= 4 * UNIT * (1 + 1 / (1 + (LAM.min() - 1) * np.exp(-2)))


def test_one_step_to_level_zero():
    law = rm.output_law(rm.Plan([rm.Predict(schemes.heun, [0.2, 0.0])]), TARGET)
    x = np.array([0.0, 1.0])[:, None]
    image = heun(x, 0.2, 0.2, plain_score)
    assert np.abs(law.means - image[0]).max() < 1e-13
    assert np.abs(law.variances / (image[1] - image[0]) ** 2 - 1).max() < 1e-12


# --- the process and its exact flow -------------------------------------------------------------------------------

spectra = st.floats(0.01, 100)
levels = st.floats(0.05, 3)


@given(spectra, levels, st.floats(0, 1), st.floats(0, 1), st.floats(-3, 3))
def test_the_flow_is_a_semigroup(lam, t, share, split, x):
    """Down by h in one go or in two. Bound: a root and a quotient of v's, each known to a few units."""
    target = rm.Gaussian([0.7], [lam])
    h = 0.9 * share * t
    first = split * h
    at_once = target.flow(t, h, np.array([[x]]))
    in_two = target.flow(t - first, (t - first) - (t - h), target.flow(t, first, np.array([[x]])))
    condition = 1 + t / (t - h)  # v(t-h) of a level that is a difference
    assert np.abs(at_once - in_two).max() <= 64 * UNIT * condition * (1 + np.abs(at_once).max())


@given(spectra, levels, st.floats(0, 0.9))
def test_the_flow_back_undoes_the_flow(lam, t, share):
    h = share * t
    there, back = process.flow_slope(lam, t, h), process.flow_slope(lam, t - h, -h)
    assert abs(there * back - 1) <= 64 * UNIT * (1 + t / (t - h))


@given(spectra, levels, st.floats(0, 0.9), st.floats(-2, 2))
def test_the_flow_carries_the_marginals(lam, t, share, mean):
    target = rm.Gaussian([mean], [lam])
    h = share * t
    start, end = target.at(t), target.at(t - h)
    images = target.flow(t, h, np.array([[0.0], [1.0]]))[:, 0]
    slope = images[1] - images[0]
    allowed = 64 * UNIT * (1 + t / (t - h)) * (1 + abs(slope)) ** 2 * (1 + abs(mean))
    assert abs(slope**2 * start.variances[0] - end.variances[0]) <= allowed * (1 + end.variances[0])
    assert abs(images[0] + slope * start.means[0] - end.means[0]) <= allowed * (1 + start.variances[0])


@given(spectra, st.floats(0, 2), st.floats(0, 2))
def test_marginals_are_a_semigroup(lam, s, t):
    target = rm.Gaussian([1.3], [lam])
    one, two = target.at(s + t), target.at(s).at(t)
    assert abs(one.variances[0] / two.variances[0] - 1) <= 64 * UNIT
    assert abs(one.means[0] - two.means[0]) <= 8 * UNIT


def test_the_flow_solves_its_equation():
    """d/dh x_{t-h} = x + s_{t-h}(x), by 40-digit central differences of the closed form that the package uses."""
    with mp.workdps(40):
        lam, mean, t, x = mp.mpf(5) / 2, mp.mpf(-1), mp.mpf(4) / 5, mp.mpf(2)

        def flow(h):
            return process.flow_slope(lam, t, h) * (x - process.mode_mean(mean, t)) + process.mode_mean(mean, t - h)

        score = textbook.gaussian_score(lam, mean)
        for h in (mp.mpf(0), mp.mpf(1) / 3):
            assert abs(mp.diff(flow, h) - (flow(h) + score(t - h, flow(h)))) < mp.mpf(10) ** -15


# --- refusals -----------------------------------------------------------------------------------------------------


def two_steps():
    return rm.Plan([rm.Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.0])])


@pytest.mark.parametrize(
    "alphas, words",
    [
        ([0.5], r"alphas: expected one entry per step that draws \(2\), got 1"),
        ([0.5] * 3, r"\(2\), got 3"),
        ([0.5, 1.5], "inside its stratum"),
        ([-0.1, 0.5], "inside its stratum"),
        ([0.5, float("nan")], "alphas"),
        ([0.5, [0.2, 0.3]], r"alphas: expected 1 value\(s\) per step"),
        ([0.5, "half"], "alphas"),
    ],
)
def test_bad_midpoints_are_refused(alphas, words):
    with pytest.raises(ValueError, match=words):
        rm.output_law(two_steps(), TARGET, alphas=alphas)


@pytest.mark.parametrize("row", [[0.6, 0.4], [0.6, 0.7], [0.2, 0.3], [0.2], [0.1, 0.6, 0.9]])
def test_midpoints_outside_their_strata_are_refused(row):
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=2, rounds=1), [2.0, 1.5])])
    with pytest.raises(ValueError, match="alphas"):
        rm.output_law(plan, TARGET, alphas=[row])


def test_midpoints_for_a_plan_that_draws_none_are_refused():
    plan = rm.Plan([rm.Predict(schemes.euler, [2.0, 1.5])])
    with pytest.raises(ValueError, match="alphas"):
        rm.output_law(plan, TARGET, alphas=[0.5])
    assert rm.output_law(plan, TARGET, alphas=[]).dim == 2


@pytest.mark.parametrize("start", ["cold", None, 3, rm.Gaussian.isotropic(1.0, 5)])
def test_unknown_starts_are_refused(start):
    for plan in (two_steps(), rm.Plan([rm.Predict(schemes.euler, [2.0, 1.5])])):
        with pytest.raises(ValueError, match="start"):
            rm.output_law(plan, TARGET, start=start)


def test_targets_without_affine_scores_are_a_type_error():
    mixture = rm.GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [np.eye(2), np.eye(2)])
    for target in (mixture, rm.EstimatedScore(mixture, gain=0.1)):
        with pytest.raises(TypeError, match="Gaussian"):
            rm.output_law(two_steps(), target)
        with pytest.raises(TypeError, match="Gaussian"):
            rm.local_error(schemes.euler, target, 1.0, 0.1)
    with pytest.raises(ValueError, match="plan"):
        rm.output_law([1.0], TARGET)


def test_unstable_plans_overflow_and_never_become_nan():
    stiff = rm.Gaussian([1.0, 0.0], [1e-6, 1.0])
    with pytest.raises(OverflowError, match="unstable"):
        rm.output_law(rm.Plan([rm.Correct(schemes.overdamped, 0.0, 1.0, 400)]), stiff)
    kinetic = schemes.randomized_midpoint_langevin(friction=1.0)
    law = rm.output_law(rm.Plan([rm.Correct(kinetic, 0.0, 10.0, 400)]), stiff)
    for read in (lambda: law.variances, lambda: law.covariance, lambda: law.surrogate, lambda: law.conditionals(3)):
        with pytest.raises(OverflowError, match="unstable"):
            read()
    with pytest.raises(OverflowError, match="unstable"):
        law.conditional([0.5] * 400)


def test_singular_targets_have_laws_down_to_a_positive_level():
    """Zero variance in one mode: finite laws while the level stays above 0."""
    flat = rm.Gaussian([0.0, 0.0], [0.0, 1.0])
    law = rm.output_law(rm.Plan([rm.Predict(schemes.heun, [2.0, 1.0, 0.5])]), flat)
    assert np.isfinite(law.variances).all()
    assert (law.variances > 0).all()


# --- plans as data, particles' dtype ------------------------------------------------------------------------------


def every_stage():
    """One stage of each shipped scheme, chained."""
    motion = {"friction": 1.5, "mass": 0.5}
    predictors = [
        schemes.euler,
        schemes.heun,
        schemes.exponential_integrator,
        schemes.midpoint,
        schemes.randomized_midpoint,
        schemes.parallel_midpoint(strata=2, rounds=1),
        schemes.importance_midpoint,
    ]
    edges = np.linspace(2.0, 0.8, len(predictors) + 1)
    stages = [rm.Predict(p, [a, b]) for p, a, b in zip(predictors, edges, edges[1:], strict=False)]
    end = stages[-1].end
    correctors = [
        schemes.overdamped,
        schemes.underdamped(**motion),
        schemes.randomized_midpoint_langevin(**motion),
        schemes.parallel_underdamped(cells=2, rounds=2, **motion),
    ]
    return stages + [rm.Correct(c, end, 0.1, 1) for c in correctors]


@pytest.mark.parametrize("stage", every_stage(), ids=lambda s: s.configuration["scheme"].rsplit(".", 1)[-1])
def test_pickled_plans_are_the_same_plans(stage):
    plan = rm.Plan([stage])
    copy = pickle.loads(pickle.dumps(plan))
    assert copy == plan
    assert hash(copy) == hash(plan)
    assert copy.configuration == plan.configuration
    a, b = rm.output_law(plan, TARGET), rm.output_law(copy, TARGET)
    assert np.array_equal(a.variances, b.variances)
    assert np.array_equal(a.means, b.means)


@pytest.mark.parametrize("stage", every_stage(), ids=lambda s: s.configuration["scheme"].rsplit(".", 1)[-1])
def test_float32_particles_stay_float32(stage):
    """Through every score call too, and close to the float64 run of the same seed: 1000 roundings of 2^-24."""
    plan = rm.Plan([stage])
    seen = []

    def score(t, x):
        seen.append(x.dtype)
        return TARGET.score(t, x)

    x = rm.sample(plan, score, 50, 2, rng=4, like=np.zeros(1, np.float32))
    assert x.dtype == np.float32
    assert set(seen) == {np.dtype(np.float32)}
    double = rm.sample(plan, TARGET, 50, 2, rng=4)
    assert double.dtype == np.float64
    assert np.abs(x - double).max() <= 1000 * 2.0**-24 * (1 + np.abs(double).max())


def test_the_same_seed_is_the_same_sample_and_another_is_not():
    plan = rm.Plan(every_stage())
    a, b, c = (rm.sample(plan, TARGET, 20, 2, rng=seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
