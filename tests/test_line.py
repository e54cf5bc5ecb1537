"""Laws on the line, midpoints and noises averaged out: against closed forms, against quadrature over all midpoints with
steps written out here, and against plain simulation."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from oracles.plain import unit_rule

import rmverify as rm
from rmverify import Correct, Gaussian, Plan, Predict, Product, schemes
from rmverify.laws import LineLaw
from rmverify.laws.line import averaged as line
from rmverify.laws.line import inverse, piecewise, pushing, velocity
from rmverify.laws.line.averaged import line_law
from rmverify.laws.line.piecewise import interpolated
from rmverify.numbers.quadrature import on_panels
from rmverify.schemes.contract import scheme
from rmverify.targets import (
    ExponentialGaussian,
    LaplaceGaussian,
    SkewNormal,
    TwoGaussians,
    UniformGaussian,
)

TIMES = np.linspace(3.0, 0.2, 13)
KICKED = schemes.underdamped(friction=2.0)
WITH_VELOCITY = 1e-8  # so that errors stated as a hundred times that are the 1e-6 asked of correctors with one
REFUSED = (AssertionError, ArithmeticError, ValueError)  # the last where no number of nodes settles

# --- what the textbooks have: two Gaussians, skew normals, and steps on them, each with its derivative --------------


class Two:
    """(N(a, s^2) + N(-a, s^2))/2 of variance v = s^2 and a = d s at time 0."""

    def __init__(self, d, v=1.0):
        self.a, self.v = d * math.sqrt(v), v

    def at(self, t):
        return np.exp(-t) * self.a, self.v * np.exp(-2 * t) + 1 - np.exp(-2 * t)

    def density(self, t, x):
        a, v = self.at(t)
        return (np.exp(-((x - a) ** 2) / (2 * v)) + np.exp(-((x + a) ** 2) / (2 * v))) / np.sqrt(8 * np.pi * v)

    def score(self, t, x):
        a, v = self.at(t)
        return (a * np.tanh(a * x / v) - x) / v

    def slope(self, t, x):
        a, v = self.at(t)
        return (a * a / v / np.cosh(a * x / v) ** 2 - 1) / v

    def draws(self, t, n, rng):
        a, v = self.at(t)
        return a * rng.choice([-1.0, 1.0], n) + np.sqrt(v) * rng.standard_normal(n)


class Skew:
    """delta |N| + sqrt(1 - delta^2) N, delta = alpha/sqrt(1 + alpha^2): density 2 phi(z) Phi(alpha z)."""

    def __init__(self, alpha):
        self.delta = alpha / math.sqrt(1 + alpha * alpha)

    def alpha(self, t):
        delta = np.exp(-t) * self.delta
        return delta / np.sqrt(1 - delta * delta)

    def density(self, t, x):
        return 2 * scipy.stats.norm.pdf(x) * scipy.stats.norm.cdf(self.alpha(t) * x)

    def ratio(self, t, x):
        z = self.alpha(t) * x
        return np.exp(scipy.stats.norm.logpdf(z) - scipy.stats.norm.logcdf(z))

    def score(self, t, x):
        return self.alpha(t) * self.ratio(t, x) - x

    def slope(self, t, x):
        alpha, r = self.alpha(t), self.ratio(t, x)
        return -1 - alpha**2 * r * (alpha * x + r)

    def draws(self, t, n, rng):
        delta = np.exp(-t) * self.delta
        return delta * np.abs(rng.standard_normal(n)) + np.sqrt(1 - delta**2) * rng.standard_normal(n)


def randomized_midpoint(law, t, h, a, x):
    """x' and dx'/dx."""
    half = np.exp(a * h) * x + np.expm1(a * h) * law.score(t, x)
    in_half = np.exp(a * h) + np.expm1(a * h) * law.slope(t, x)
    out, weight = t - a * h, h * np.exp((1 - a) * h)
    return np.exp(h) * x + weight * law.score(out, half), np.exp(h) + weight * law.slope(out, half) * in_half


def exponential_integrator(law, t, h, a, x):
    return np.exp(h) * x + np.expm1(h) * law.score(t, x), np.exp(h) + np.expm1(h) * law.slope(t, x)


def midpoint(law, t, h, a, x):
    return randomized_midpoint(law, t, h, 0.5, x)


def heun(law, t, h, a, x):
    drift, in_drift = x + law.score(t, x), 1 + law.slope(t, x)
    y, in_y = x + h * drift, 1 + h * in_drift
    return (
        x + h / 2 * (drift + y + law.score(t - h, y)),
        1 + h / 2 * (in_drift + in_y + law.slope(t - h, y) * in_y),
    )


def plan_of(scheme, times):
    return Plan([Predict(scheme, times)])


def law_of(scheme, times, target, start="exact"):
    return line_law(plan_of(scheme, times), target, start)


# --- closed forms: on a Gaussian factor the law is a mixture of scales ----------------------------------------------


def correctors(scheme, h, steps):
    levels = [3.0, 1.2, 0.4]
    stages = []
    for a, b in itertools.pairwise(levels):
        stages += [Predict(schemes.randomized_midpoint, np.linspace(a, b, 5)), Correct(scheme, b, h, steps)]
    return Plan(stages)


PLANS = {
    "randomized": plan_of(schemes.randomized_midpoint, TIMES),
    "to zero": plan_of(schemes.randomized_midpoint, [3.0, 2.5, 2.0, 1.5, 1.0, 0.6, 0.3, 0.1, 0.0]),
    "two strata": plan_of(schemes.parallel_midpoint(strata=2, rounds=1), TIMES[::3]),
    "heun": plan_of(schemes.heun, TIMES),
    "overdamped": correctors(schemes.overdamped, 0.2, 2),
    "overdamped, short": correctors(schemes.overdamped, 1e-4, 2),
    "underdamped": correctors(KICKED, 0.05, 3),
    "underdamped, one": correctors(schemes.underdamped(friction=1.0, mass=0.5), 0.3, 1),
}


def agrees(plan, v, start, within=1e-11):
    """Total variation, KL, Hellinger distance and variance with those of the mixture of scales."""
    law, mixture = line_law(plan, TwoGaussians(0, v), start), gaussian(plan, v, start)
    q, exact = TwoGaussians(0, v).at(plan.end), Gaussian.isotropic(v, 1).at(plan.end)
    for divergence in (rm.tv, rm.kl, rm.hellinger):
        found, expected = divergence(law, q), divergence(mixture, exact)
        assert found.kind == expected.kind == "exact"
        assert abs(found - expected) <= found.error + expected.error
        assert abs(found - expected) <= within + expected.error
        assert found.error <= 100 * within
    assert rm.tv(law, q).error <= 10 * within
    variance = float(np.ravel(mixture.variances)[0])
    assert abs(law.variance - variance) <= within * variance
    assert abs(law.mass - 1) <= law.error <= 10 * within


@functools.cache
def gaussian(plan, v, start):
    return rm.output_law(plan, Gaussian.isotropic(v, 1), start=start)


@pytest.mark.slow
@pytest.mark.parametrize("v, start", [(0.25, "normal"), (4.0, "exact")])
@pytest.mark.parametrize("name", PLANS)
def test_on_a_gaussian_it_is_the_mixture_of_scales(name, v, start):
    agrees(PLANS[name], v, start, WITH_VELOCITY if name.startswith("underdamped") else 1e-11)


@pytest.mark.slow
def test_small_distances_keep_their_digits():
    """TV of some 1e-5 to a relative 1e-9, KL of some 1e-10 too: the logarithm of the ratio is what is carried."""
    plan = plan_of(schemes.randomized_midpoint, np.linspace(2.0, 0.5, 61))
    law, mixture = rm.output_law(plan, TwoGaussians(0, 0.5), start="exact"), gaussian(plan, 0.5, "exact")
    q, exact = TwoGaussians(0, 0.5).at(0.5), Gaussian.isotropic(0.5, 1).at(0.5)
    assert rm.tv(mixture, exact) < 5e-5
    for divergence in (rm.tv, rm.kl, rm.hellinger):
        assert float(divergence(law, q)) == pytest.approx(float(divergence(mixture, exact)), rel=3e-9)


@pytest.mark.slow
def test_a_gaussian_that_is_not_centred():
    """A skew normal of shape 0: no mixture of scales, but mean and variance are exact."""
    target = SkewNormal(0, location=0.7, scale=0.6)
    for plan, within in ((PLANS["randomized"], 1e-11), (PLANS["underdamped"], WITH_VELOCITY)):
        law, mixture = rm.output_law(plan, target), rm.output_law(plan, Gaussian([0.7], [0.36]))
        assert law.mean == pytest.approx(float(mixture.means[0]), rel=within)
        assert law.variance == pytest.approx(float(mixture.variances[0]), rel=within)


@pytest.mark.slow
@pytest.mark.parametrize("plan", [PLANS["randomized"], PLANS["underdamped"]], ids=["steps", "correctors"])
def test_any_law_may_start(plan):
    """The standard normal, by name and as a factor."""
    target = TwoGaussians(2.0)
    x = np.linspace(-7, 7, 29)
    one, other = (rm.output_law(plan, target, start=start) for start in ("normal", SkewNormal(0)))
    np.testing.assert_allclose(one.log_density(x), other.log_density(x), rtol=0, atol=1e-9)


# --- quadrature over all midpoints ----------------------------------------------------------------------------------


def gaussian_density(v, times, x, shared=False):
    """By Gauss-Legendre in every midpoint (or in one that all steps share): N(0, v_T prod A^2) averaged."""
    a, w = unit_rule(24)
    steps = [randomized_midpoint(Two(0.0, v), t, t - u, a, np.zeros_like(a))[1] for t, u in itertools.pairwise(times)]
    if shared:
        scales, weights = np.prod(steps, axis=0), w
    else:
        scales = functools.reduce(np.multiply.outer, steps).ravel()
        weights = functools.reduce(np.multiply.outer, [w] * len(steps)).ravel()
    variances = Two(0.0, v).at(times[0])[1] * scales**2
    return (weights * np.exp(-(x[:, None] ** 2) / (2 * variances)) / np.sqrt(2 * np.pi * variances)).sum(axis=1)


COARSE = [1.6, 1.1, 0.6, 0.2]


def averages_midpoints(law_of):
    """The density, to a relative 1e-10 or what 1e-16 is there."""
    x = np.linspace(-7, 7, 41)
    law = law_of(schemes.randomized_midpoint, COARSE, TwoGaussians(0, 0.5))
    expected = gaussian_density(0.5, COARSE, x)
    assert expected.min() < 1e-10
    np.testing.assert_allclose(law.density(x), expected, rtol=1e-10, atol=1e-16)


def test_every_step_has_its_own_midpoint():
    averages_midpoints(law_of)


def test_total_variation_by_quadrature_over_all_midpoints():
    """A trapezoidal rule between the two places where the densities cross, found here."""
    v, q = 0.5, Two(0.0, 0.5)
    difference = lambda x: gaussian_density(v, COARSE, np.atleast_1d(x)) - q.density(0.2, np.atleast_1d(x))  # noqa: E731
    grid = np.linspace(0, 8, 400)
    signs = np.sign(difference(grid))
    cuts = [grid[i] for i in np.flatnonzero(signs[1:] * signs[:-1] < 0)]
    roots = [scipy.optimize.brentq(lambda x: float(difference(x)[0]), c, c + grid[1], xtol=1e-14) for c in cuts]
    assert roots
    total = 0.0
    for a, b in itertools.pairwise([0.0, *roots, 8.0]):
        y, w = unit_rule(60)
        total += abs((b - a) * (w * difference(a + (b - a) * y)).sum())
    value = rm.tv(law_of(schemes.randomized_midpoint, COARSE, TwoGaussians(0, 0.5)), TwoGaussians(0, 0.5).at(0.2))
    assert abs(value - total) <= 1e-12


def nested_density(step, law, times, y, nodes):
    """p(y) = sum over all tuples of midpoints of w p_T(x)/|F'(x)|, F(x) = y by bisection through the steps above."""
    a, w = unit_rule(nodes)
    count = len(times) - 1
    rows = np.stack([g.ravel() for g in np.meshgrid(*[a] * count, indexing="ij")])
    weights = functools.reduce(np.multiply.outer, [w] * count).ravel()

    def through(x):
        slope = np.ones_like(x)
        for k, (t, u) in enumerate(itertools.pairwise(times)):
            x, more = step(law, t, t - u, rows[k][:, None], x)
            slope = slope * more
        return x, slope

    shape = (rows.shape[1], y.size)
    low, high = np.full(shape, -30.0), np.full(shape, 30.0)
    for _ in range(70):
        middle = (low + high) / 2
        below = through(middle)[0] < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    x = (low + high) / 2
    return weights @ (law.density(times[0], x) / through(x)[1])


NESTED = {
    "bimodal": (TwoGaussians(2.0), Two(2.0)),
    "narrow": (TwoGaussians(1.5, 0.25), Two(1.5, 0.25)),
    "skew": (SkewNormal(3.0), Skew(3.0)),
}


@pytest.mark.parametrize("name", NESTED)
def test_two_steps_by_quadrature_over_both_midpoints(name):
    target, law = NESTED[name]
    y = np.array([-4.5, -2.0, -0.9, -0.1, 0.4, 1.3, 2.4, 4.5])
    times = [1.4, 0.9, 0.5]
    found = law_of(schemes.randomized_midpoint, times, target).density(y)
    np.testing.assert_allclose(found, nested_density(randomized_midpoint, law, times, y, 20), rtol=1e-9)


def test_strata_by_quadrature_over_all_midpoints():
    """Two strata without improvement: the sum of two scores, each at the Euler point of its own midpoint."""

    law, (t, u) = Two(2.0), (1.0, 0.5)
    h = t - u
    a, w = unit_rule(16)
    first, second = (g.ravel()[:, None] for g in np.meshgrid(a / 2, (1 + a) / 2, indexing="ij"))
    weights = np.multiply.outer(w, w).ravel()
    y = np.array([-3.0, -0.5, 0.2, 1.8])

    def through(x):
        out, slope = np.exp(h) * x, np.exp(h)
        for b in (first, second):
            half = np.exp(b * h) * x + np.expm1(b * h) * law.score(t, x)
            inner = np.exp(b * h) + np.expm1(b * h) * law.slope(t, x)
            out = out + h / 2 * np.exp((1 - b) * h) * law.score(t - b * h, half)
            slope = slope + h / 2 * np.exp((1 - b) * h) * law.slope(t - b * h, half) * inner
        return out, slope

    low, high = np.full((weights.size, y.size), -30.0), np.full((weights.size, y.size), 30.0)
    for _ in range(70):
        middle = (low + high) / 2
        below = through(middle)[0] < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    x = (low + high) / 2
    expected = weights @ (law.density(t, x) / through(x)[1])
    found = law_of(schemes.parallel_midpoint(strata=2, rounds=0), [t, u], TwoGaussians(2.0))
    np.testing.assert_allclose(found.density(y), expected, rtol=1e-9)


# --- without midpoints: pure transport of the density ---------------------------------------------------------------


@pytest.mark.parametrize("step", [heun, midpoint, exponential_integrator])
@pytest.mark.parametrize("name", NESTED)
def test_without_midpoints_the_density_is_carried(step, name):
    """p(F(z)) F'(z) = p_T(z), which is known where points go."""
    target, law = NESTED[name]
    z = np.linspace(-5, 5, 41)
    x, slope = z, np.ones_like(z)
    for t, u in itertools.pairwise(TIMES):
        x, more = step(law, t, t - u, None, x)
        slope = slope * more
    found = law_of(getattr(schemes, step.__name__), TIMES, target)
    np.testing.assert_allclose(found.density(x) * slope, law.density(3.0, z), rtol=1e-9)


# --- correctors with noise on a law that is not Gaussian: two steps by quadrature over what is between ----------------


def trapezoid(low, high, count):
    x = np.linspace(low, high, count)
    return x, np.full(count, x[1] - x[0])


def normal(x, variance):
    return np.exp(-x * x / (2 * variance)) / np.sqrt(2 * np.pi * variance)


@pytest.mark.slow
def test_two_overdamped_steps_by_quadrature():
    law, t, h = Two(2.0), 0.3, 0.1
    x, w = trapezoid(-12, 12, 4001)
    y = np.array([-3.0, -1.0, 0.0, 0.6, 2.5])
    drift = x + h * law.score(t, x)
    p = law.density(1.0, x)
    once = normal(x[:, None] - drift, 2 * h) @ (w * p)
    expected = normal(y[:, None] - drift, 2 * h) @ (w * once)
    plan = Plan([Correct(schemes.overdamped, t, h, 2)])
    found = rm.output_law(plan, TwoGaussians(2.0), start=TwoGaussians(2.0).at(1.0))
    np.testing.assert_allclose(found.density(y), expected, rtol=1e-10)


def kicked_twice(law, t, h, g, u, p, x, w, y):
    """x_2 given x_0 and x_1 is Gaussian: v_0 and the first noise meet in x_1 - A(x_0), which tells of v_1."""
    E = np.exp(-g * h)
    a, q = (1 - E) / g, (h - (1 - E) / g) / g
    C = u * np.array([[(2 * h - (3 - 4 * E + E * E) / g) / g, (1 - E) ** 2 / g], [(1 - E) ** 2 / g, 1 - E * E]])
    A, B = x + u * q * law.score(t, x), u * a * law.score(t, x)
    spread = a * a * u + C[0, 0]  # of x_1
    told = (a * E * u + C[0, 1]) / spread  # of v_1 by x_1
    left = E * E * u + C[1, 1] - told**2 * spread
    result = []
    d = x[:, None] - A  # x_1 in rows, x_0 in columns
    first = normal(d, spread) * (w * p)
    mean = A[:, None] + a * (B + told * d)
    for each in y:
        result.append(w @ (first * normal(each - mean, a * a * left + C[0, 0])).sum(axis=1))
    return np.array(result)


@pytest.mark.slow
@pytest.mark.parametrize("g, u", [(2.0, 1.0), (1.0, 0.5)])
def test_two_underdamped_steps_by_quadrature(g, u):
    law, t, h = Two(2.0), 0.3, 0.2
    x, w = trapezoid(-9, 9, 1801)
    y = np.array([-3.0, -1.0, 0.0, 0.6, 2.5])
    expected = kicked_twice(law, t, h, g, u, law.density(1.0, x), x, w, y)
    plan = Plan([Correct(schemes.underdamped(friction=g, mass=u), t, h, 2)])
    found = rm.output_law(plan, TwoGaussians(2.0), start=TwoGaussians(2.0).at(1.0))
    np.testing.assert_allclose(found.density(y), expected, rtol=WITH_VELOCITY)
    assert found.error < 10 * WITH_VELOCITY


@pytest.mark.slow
def test_a_velocity_is_fresh_in_every_stage():
    """Two stages of one step are not one stage of two."""
    twice = Plan([Correct(KICKED, 0.3, 0.2, 1)] * 2)
    once = Plan([Correct(KICKED, 0.3, 0.2, 2)])
    start = TwoGaussians(2.0).at(1.0)
    one, other = (rm.output_law(plan, TwoGaussians(2.0), start=start) for plan in (once, twice))
    assert rm.tv(one, other) > 1e-3


# --- plain simulation -----------------------------------------------------------------------------------------------


def simulated(law, n, rng):
    """Particles by steps written out here: 5 predictor steps and an overdamped corrector of two."""
    x = law.draws(LEVELS[0], n, rng)
    for t, u in itertools.pairwise(LEVELS):
        x = randomized_midpoint(law, t, t - u, rng.random(n), x)[0]
    for _ in range(2):
        x = x + 0.2 * law.score(LEVELS[-1], x) + math.sqrt(0.4) * rng.standard_normal(n)
    return x


def chi_squared(law, x):
    """The p-value of the particles in 60 bins of about equal mass."""
    edges = np.quantile(x, np.linspace(0, 1, 61)[1:-1])
    nodes, weights = unit_rule(32)
    width = np.diff(edges)[:, None]
    inner = (law.density(edges[:-1, None] + width * nodes) * weights * width).sum(axis=1)
    tails = [
        scipy.integrate.quad(lambda z: float(law.density(z)), *ends, limit=200)[0]
        for ends in ((-12, edges[0]), (edges[-1], 12))
    ]
    expected = np.array([tails[0], *inner, tails[1]]) * x.size
    counts = np.histogram(x, [-np.inf, *edges, np.inf])[0]
    return float(scipy.stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


SIMULATED = [(TwoGaussians(2.0), Two(2.0)), (SkewNormal(3.0), Skew(3.0))]
LEVELS = np.linspace(2.5, 0.3, 6)


@pytest.mark.slow
@pytest.mark.parametrize("target, law", SIMULATED, ids=["bimodal", "skew"])
def test_particles_have_that_law(target, law):
    """Half a million; what is asked is one in a million, and that other plans are refused by as much."""
    x = simulated(law, 500_000, np.random.default_rng(3))
    corrector = Correct(schemes.overdamped, 0.3, 0.2, 2)

    def chance(*stages):
        return chi_squared(rm.output_law(Plan(stages), target, start="exact"), x)

    assert chance(Predict(schemes.randomized_midpoint, LEVELS), corrector) > 1e-6
    assert chance(Predict(schemes.exponential_integrator, LEVELS), corrector) < 1e-6
    assert chance(Predict(schemes.randomized_midpoint, LEVELS), Correct(schemes.overdamped, 0.3, 0.4, 1)) < 1e-6


@pytest.mark.slow
def test_particles_have_the_law_of_a_long_corrector():
    """Forty steps in one stage: what is kept where no mass is must not grow over them until no rule resolves it."""
    law, t, h, g, steps, n = Two(2.0), 0.3, 0.05, 2.0, 40, 200_000
    rng, E = np.random.default_rng(5), math.exp(-g * h)
    a = (1 - E) / g
    root = np.linalg.cholesky([
        [(2 * h - (3 - 4 * E + E * E) / g) / g, (1 - E) ** 2 / g], [(1 - E) ** 2 / g, 1 - E * E],
    ])  # fmt: skip
    x, v = law.draws(1.0, n, rng), rng.standard_normal(n)
    for _ in range(steps):
        score, noise = law.score(t, x), root @ rng.standard_normal((2, n))
        x, v = x + a * v + (h - a) / g * score + noise[0], E * v + a * score + noise[1]

    def found(steps):
        return rm.output_law(Plan([Correct(KICKED, t, h, steps)]), TwoGaussians(2.0), start=TwoGaussians(2.0).at(1.0))

    whole = found(steps)
    assert whole.error < 1e-6
    assert chi_squared(whole, x) > 1e-6
    assert chi_squared(found(10), x) < 1e-6


# --- mutants of the computation -------------------------------------------------------------------------------------


def halved_jacobian(monkeypatch):
    whole = inverse.Rising.inverse

    def wrong(self, y):
        x = whole(self, y)
        return type(x)(x.value, np.sqrt(x.slope))

    monkeypatch.setattr(inverse.Rising, "inverse", wrong)


def no_jacobian(monkeypatch):
    whole = inverse.Rising.inverse
    monkeypatch.setattr(
        inverse.Rising, "inverse", lambda self, y: type(x := whole(self, y))(x.value, np.ones_like(x.slope))
    )


def jacobian_elsewhere(monkeypatch):
    """That of the next midpoint."""
    whole = inverse.Rising.inverse

    def wrong(self, y):
        x = whole(self, y)
        return type(x)(x.value, np.roll(x.slope, 1, axis=0))

    monkeypatch.setattr(inverse.Rising, "inverse", wrong)


def middle_only(monkeypatch):
    """The midpoint 1/2 in place of an average."""
    monkeypatch.setattr(line, "alone", lambda *step: (np.full((1, 1), 0.5), np.ones(1)))


def unweighted(monkeypatch):
    whole = line.alone
    monkeypatch.setattr(
        line, "alone", lambda *given: (rows := whole(*given)[0], np.full(rows.shape[1], 1 / rows.shape[1]))
    )


MUTANTS = [halved_jacobian, no_jacobian, jacobian_elsewhere, middle_only, unweighted]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_are_refused_by_quadrature_over_all_midpoints(mutant, monkeypatch):
    averages_midpoints(law_of)
    monkeypatch.setattr(line, "_MOST_NODES", 64)
    mutant(monkeypatch)
    with pytest.raises(REFUSED):
        averages_midpoints(law_of)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_are_refused_by_the_mixture_of_scales(mutant, monkeypatch):
    plan = plan_of(schemes.randomized_midpoint, COARSE)
    agrees(plan, 0.5, "exact")
    monkeypatch.setattr(line, "_MOST_NODES", 64)
    mutant(monkeypatch)
    with pytest.raises(REFUSED):
        agrees(plan, 0.5, "exact")


class Shared:
    """The law with one midpoint that all steps share, from laws given it."""

    def __init__(self, times, target):
        @scheme
        def given(x, t, h, score, draw, *, a):
            half = np.exp(a * h) * x + np.expm1(a * h) * score(t, x)
            return np.exp(h) * x + h * np.exp((1 - a) * h) * score(t - a * h, half)

        a, self.weights = unit_rule(16)
        self.laws = [law_of(given(a=float(each)), times, target) for each in a]

    def density(self, x):
        return sum(w * law.density(x) for w, law in zip(self.weights, self.laws, strict=True))


@pytest.mark.slow
def test_a_midpoint_that_steps_share_is_refused():
    x = np.linspace(-6, 6, 41)
    shared = Shared(COARSE, TwoGaussians(0, 0.5))
    np.testing.assert_allclose(shared.density(x), gaussian_density(0.5, COARSE, x, shared=True), rtol=1e-9)
    with pytest.raises(AssertionError):
        averages_midpoints(lambda scheme, times, target: Shared(times, target))


def too_much_noise(monkeypatch):
    """Half as much variance again in the noise of x."""
    whole = velocity.kernel

    def wrong(*given):
        read = whole(*given)
        (c_x, c), (_, c_v) = read.noise
        return read._replace(noise=((c_x * 1.5, c), (c, c_v)))

    monkeypatch.setattr(velocity, "kernel", wrong)


def no_shear(monkeypatch):
    """The map of x alone in place of the one that velocity and noise share."""
    whole = velocity.rising
    monkeypatch.setattr(velocity, "rising", lambda step, *rest: whole(lambda x: velocity_free(step, x), *rest))


def velocity_free(step, x):
    moved = step(x)
    return type(moved)(x.value + 0.5 * (moved.value - x.value), x.slope + 0.5 * (moved.slope - x.slope))


@pytest.mark.parametrize("mutant", [too_much_noise, no_shear])
@pytest.mark.slow
def test_mutants_of_the_corrector_are_refused(mutant, monkeypatch):
    plan = Plan([Correct(KICKED, 0.3, 0.3, 2)])
    agrees(plan, 0.5, "normal", WITH_VELOCITY)
    mutant(monkeypatch)
    with pytest.raises(REFUSED):
        agrees(plan, 0.5, "normal", WITH_VELOCITY)


# --- mass, errors, speed --------------------------------------------------------------------------------------------

TARGETS = {
    "two": TwoGaussians(3.0, 0.25),
    "skew": SkewNormal(-5.0, 1.0, 0.5),
    "uniform": UniformGaussian(1.0, 0.05),
    "laplace": LaplaceGaussian(1.0, 0.05),
    "exponential": ExponentialGaussian(1.0, 0.05),
}


@pytest.mark.slow
@pytest.mark.parametrize("start", ["exact", "normal"])
@pytest.mark.parametrize("name", TARGETS)
def test_mass_is_kept_and_errors_are_small(name, start):
    law = law_of(schemes.randomized_midpoint, np.linspace(2.5, 0.1, 16), TARGETS[name], start)
    assert abs(law.mass - 1) <= 1e-13
    assert law.error <= 1e-11
    q = TARGETS[name].at(0.1)
    value, other = rm.tv(law, q), rm.tv(q, law)
    assert value.kind == "exact"
    assert value.error <= 1e-11
    assert value == pytest.approx(float(other), abs=1e-13)
    assert rm.hellinger(law, q) ** 2 <= value <= math.sqrt(2) * rm.hellinger(law, q)
    assert 2 * value**2 <= min(rm.kl(law, q), rm.kl(q, law))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two", "laplace"])
def test_the_error_covers_coarser_work(name, monkeypatch):
    """With a thousand times the tolerance the law moves by less than it says."""
    times = np.linspace(2.5, 0.1, 11)
    fine = law_of(schemes.randomized_midpoint, times, TARGETS[name])
    for tolerance in (1e-9, 1e-6):
        monkeypatch.setitem(pushing.pushed.__kwdefaults__, "tolerance", tolerance)
        rough = law_of(schemes.randomized_midpoint, times, TARGETS[name])
        assert 2 * rm.tv(rough, fine) <= rough.error + fine.error
        assert rough.error > 10 * fine.error


def test_components_that_panels_might_miss():
    """Two of width 1e-3, 1000 widths from the middle."""
    target = TwoGaussians(1000.0, 1e-6)
    law = law_of(schemes.exponential_integrator, [1e-3, 9e-4], target)
    assert abs(law.mass - 1) < 1e-12
    assert law.error < 1e-11
    assert 0 < rm.tv(law, target.at(9e-4)) < 0.1


def test_tails_keep_relative_accuracy():
    """p against quadrature over both midpoints where it is 1e-12."""
    y = np.array([-9.5, 9.5])
    found = law_of(schemes.randomized_midpoint, [1.4, 0.9, 0.5], TwoGaussians(2.0)).density(y)
    expected = nested_density(randomized_midpoint, Two(2.0), [1.4, 0.9, 0.5], y, 20)
    assert expected.max() < 1e-12
    np.testing.assert_allclose(found, expected, rtol=1e-7)


# --- divergences ----------------------------------------------------------------------------------------------------


@functools.cache
def some_law():
    return law_of(schemes.randomized_midpoint, [2.0, 1.5, 1.0, 0.6], TwoGaussians(2.0))


def integral(f, low=-14.0, high=14.0):
    x, w = trapezoid(low, high, 200_001)
    return float((w * f(x)).sum())


@pytest.mark.parametrize("other", ["reference", "factor", "gaussian", "law"])
def test_divergences_are_the_integrals(other):
    """On a fine grid; TV there is off by the square of its step."""
    law = some_law()
    q = {
        "reference": TwoGaussians(2.0).at(0.6),
        "factor": SkewNormal(2.0, -0.5, 1.5),
        "gaussian": Gaussian([0.3], [2.0]),
        "law": law_of(schemes.heun, [2.0, 1.0, 0.6], TwoGaussians(2.0)),
    }[other]
    gauss = lambda x: -((x - 0.3) ** 2) / 4 - math.log(4 * math.pi) / 2  # noqa: E731
    log_q = gauss if other == "gaussian" else q.log_density if other == "law" else functools.partial(q.log_density, 0)
    for first, second, ln_p, ln_q in ((law, q, law.log_density, log_q), (q, law, log_q, law.log_density)):
        x, w = trapezoid(-14.0, 14.0, 200_001)
        a, b = ln_p(x), ln_q(x)
        assert rm.tv(first, second) == pytest.approx(float(w @ np.abs(np.exp(a) - np.exp(b))) / 2, abs=1e-8)
        assert rm.kl(first, second) == pytest.approx(float(w @ (np.exp(a) * (a - b))), abs=1e-10)
        assert rm.hellinger(first, second) ** 2 == pytest.approx(1 - float(w @ np.exp((a + b) / 2)), abs=1e-10)
        assert rm.tv(first, second).complement == pytest.approx(1 - rm.tv(first, second), abs=1e-12)


def test_a_law_is_no_distance_from_itself():
    law = some_law()
    assert rm.tv(law, law) == rm.kl(law, law) == rm.hellinger(law, law) == 0
    exact = Plan([Predict(schemes.heun, [2.0, 1.999])])
    value = rm.tv(rm.output_law(exact, TwoGaussians(0.0), start="exact"), TwoGaussians(0.0).at(1.999))
    assert value <= value.error < 1e-12  # the standard normal stays


def test_far_laws_have_a_complement():
    far = rm.output_law(Plan([Correct(schemes.overdamped, 0, 1e-3, 1)]), TwoGaussians(0.0), start=SkewNormal(0, 20.0))
    value = rm.tv(far, TwoGaussians(0.0))
    expected = 2 * scipy.stats.norm.sf((far.mean) / (1 + math.sqrt(far.variance)))
    assert value.complement == pytest.approx(expected, rel=0.05)
    assert value.complement < 1e-20


@pytest.mark.parametrize("other, error", [
    (1.0, TypeError), (Gaussian.isotropic(1.0, 2), TypeError), (Product(TwoGaussians(1.0), 3), ValueError),
])  # fmt: skip
def test_divergences_refuse_what_is_not_on_the_line(other, error):
    for divergence in (rm.tv, rm.kl, rm.hellinger, rm.chi2, rm.w2):
        with pytest.raises(error, match=r"^q: (expected a .*, got |cannot compare a LineLaw with a 2-dimensional)"):
            divergence(some_law(), other)
        with pytest.raises(error, match=r"^[pq]: (expected a .*, got |cannot compare a LineLaw with a 2-dimensional)"):
            divergence(other, some_law())


def test_other_distances_are_refused():
    with pytest.raises(TypeError):
        rm.tv(some_law(), TwoGaussians(2.0), certified=True)
    given = rm.output_law(plan_of(schemes.heun, [2.0, 1.0, 0.6]), TwoGaussians(2.0))
    with pytest.raises(TypeError, match=r"at most one of the laws may be the output of a plan given its midpoints"):
        rm.tv(some_law(), given)


def test_powers_of_the_ratio():
    law, q = some_law(), SkewNormal(0.0, -0.5, 2.5)
    for s in (0.25, 2.0, 3.0):
        moment = integral(lambda x, s=s: np.exp(s * law.log_density(x) + (1 - s) * q.log_density(0, x)), -40.0, 40.0)
        assert rm.renyi(law, q, s) == pytest.approx(math.log(moment) / (s - 1), abs=1e-10)
    x, w = trapezoid(-40.0, 40.0, 400_001)
    square = w @ ((law.density(x) - np.exp(q.log_density(0, x))) ** 2 / np.exp(q.log_density(0, x)))
    assert rm.chi2(law, q) == pytest.approx(float(square), rel=1e-9)


def test_coordinates_with_noise_but_no_midpoint_are_a_product():
    """Two Heun steps and an overdamped one, d = 1000: KL adds up, TV is at most the sum."""
    plan = Plan([Predict(schemes.heun, [2.0, 1.0, 0.6]), Correct(schemes.overdamped, 0.6, 0.1, 1)])
    one = rm.output_law(plan, TwoGaussians(2.0))
    many = rm.output_law(plan, Product(TwoGaussians(2.0), 1000))
    assert (one.dim, many.dim) == (1, 1000)
    q = TwoGaussians(2.0).at(0.6)
    assert rm.kl(many, Product(q, 1000)) == pytest.approx(1000 * float(rm.kl(one, q)), rel=1e-12)
    assert rm.tv(one, q) < rm.tv(many, Product(q, 1000)) < 1000 * rm.tv(one, q)


def test_a_product_of_dimension_one_is_its_factor():
    plan = plan_of(schemes.randomized_midpoint, [2.0, 1.5, 1.0, 0.6])
    law = rm.output_law(plan, Product(TwoGaussians(2.0), 1), start="exact")
    assert rm.tv(law, Product(TwoGaussians(2.0), 1).at(0.6)) == rm.tv(some_law(), TwoGaussians(2.0).at(0.6))


# --- refusals -------------------------------------------------------------------------------------------------------


def test_products_share_their_midpoints():
    with pytest.raises(TypeError, match=r"^target: expected a law on the line, got a Product of dimension 7: the coor"):
        line_law(plan_of(schemes.randomized_midpoint, [1.0, 0.5]), Product(TwoGaussians(2.0), 7))


@pytest.mark.parametrize(
    "step, times",
    [(schemes.randomized_midpoint, [3.0, 1.8, 0.5]), (schemes.parallel_midpoint(strata=1, rounds=2), [3.0, 0.5])],
)
def test_folds_are_refused(step, times):
    with pytest.raises(ArithmeticError, match=r"^plan: a step is too long: its map has slope -"):
        law_of(step, times, TwoGaussians(0.0, 0.25))


def test_a_fold_for_some_midpoints_only_is_refused():
    """x' = (e^h - h e^h) x + ... at a = 0: rising for most midpoints, not for all."""
    v = Two(0.0, 1.0)
    h = 1.05
    slopes = randomized_midpoint(v, 1.5, h, np.linspace(0, 1, 101), 0.0)[1]
    assert slopes.min() < 0 < np.quantile(slopes, 0.1)
    with pytest.raises(ArithmeticError, match=r"with midpoint \[0"):
        law_of(schemes.randomized_midpoint, [1.5, 1.5 - h], TwoGaussians(0.0))


def test_folds_where_there_is_no_mass_are_cut_off():
    """x^3 - 3x falls between -1 and 1: refused with mass there, and with none the branch that has it all is kept."""
    x = np.linspace(-6.0, 8.0, 141)
    for center, kept in ((5.0, True), (2.0, False)):
        mass = np.exp(-8 * (x - center) ** 2)
        if kept:
            maps, lost = inverse.rising(lambda z: z * z * z - 3 * z, x, mass, lambda j, x: f"at {x}")
            assert maps.x[0] > 1
            assert 0 <= lost < 1e-15
            np.testing.assert_allclose(maps.inverse(np.array([110.0])).value, [[5.0]], rtol=1e-13)
        else:
            with pytest.raises(ArithmeticError, match=r"its map has slope .* at .* folds the line"):
                inverse.rising(lambda z: z * z * z - 3 * z, x, mass, lambda j, x: f"at {x}")


def test_a_noise_may_fold():
    """An overdamped step of h > 2/L, by quadrature here."""
    law, t, h = Two(0.5, 0.25), 0.1, 1.2
    x, w = trapezoid(-12, 12, 6001)
    y = np.array([-4.0, -1.0, 0.2, 3.0])
    assert (1 + h * law.slope(t, x)).min() < 0
    expected = normal(y[:, None] - (x + h * law.score(t, x)), 2 * h) @ (w * law.density(t, x))
    found = rm.output_law(Plan([Correct(schemes.overdamped, t, h, 1)]), TwoGaussians(0.5, 0.25), start="exact")
    np.testing.assert_allclose(found.density(y), expected, rtol=1e-10)


def test_many_strata_are_refused_at_once():
    with pytest.raises(ValueError, match=r"^plan: averages over 8 strata of at least 5 points .*pass the midpoints"):
        law_of(schemes.parallel_midpoint(strata=8, rounds=1), TIMES, TwoGaussians(2.0))


@pytest.mark.parametrize(
    "step",
    [
        schemes.randomized_midpoint_langevin(friction=2.0),
        schemes.parallel_underdamped(cells=2, rounds=2, friction=2.0),
        schemes.parallel_overdamped(strata=2, rounds=1),
        schemes.overdamped_midpoint,
    ],
)
def test_steps_that_ask_where_noise_has_moved_x_are_refused(step):
    with pytest.raises(TypeError, match=r"^scheme: .*rmverify.sample"):
        rm.output_law(Plan([Correct(step, 0.3, 0.1, 1)]), TwoGaussians(2.0))


@pytest.mark.parametrize("start", ["uniform", 1.0, Gaussian.isotropic(1.0, 1)])
def test_starts_are_checked(start):
    with pytest.raises(ValueError, match=r"^start: expected 'normal', 'exact' or a law on the line, got "):
        law_of(schemes.heun, [1.0, 0.5], TwoGaussians(2.0), start)


def test_an_unstable_scheme_is_refused():
    plan = Plan([Correct(schemes.overdamped, 0.0, 100.0, 200)])
    with pytest.raises((OverflowError, ArithmeticError)):
        rm.output_law(plan, TwoGaussians(0.0, 0.01))


# --- what is seen ---------------------------------------------------------------------------------------------------


def conditional(law, times, paths, rng):
    """E_alpha TV over random midpoints: the density given them, carried from points of the start."""
    z, w = trapezoid(-12, 12, 4001)
    x, slope = np.broadcast_to(z, (paths, z.size)), np.ones((paths, z.size))
    for t, u in itertools.pairwise(times):
        x, more = randomized_midpoint(law, t, t - u, rng.random((paths, 1)), x)
        slope = slope * more
    values = (np.abs(law.density(times[0], z) - law.density(times[-1], x) * slope) * w).sum(axis=1) / 2
    return values.mean(), 2 * values.std() / math.sqrt(paths)


@pytest.mark.slow
def test_who_wins_on_two_gaussians_at_equal_evaluations():
    """Two Gaussians two deviations from the middle, from T = 3 to 0.1, 64 evaluations: the law of the randomized
    midpoint is the closest, closer than its laws given the midpoints are on average, and its distance falls like
    h^2."""
    q = TwoGaussians(2.0).at(0.1)

    def of(step, n):
        return float(rm.tv(law_of(step, np.linspace(3.0, 0.1, n + 1), TwoGaussians(2.0)), q))

    names = ("randomized_midpoint", "heun", "midpoint", "exponential_integrator")
    random, heun, middle, frozen = (of(getattr(schemes, n), 64 if n.startswith("exp") else 32) for n in names)
    assert random < heun < middle < frozen
    given, error = conditional(Two(2.0), np.linspace(3.0, 0.1, 33), 150, np.random.default_rng(0))
    assert given - 3 * error > random
    assert 3.5 < random / of(schemes.randomized_midpoint, 64) < 4.5


@pytest.mark.slow
def test_who_wins_depends_on_the_target():
    """On a skew normal the deterministic midpoint is ahead."""
    q, times = SkewNormal(3.0).at(0.1), np.linspace(3.0, 0.1, 33)
    random, middle = (
        rm.tv(law_of(s, times, SkewNormal(3.0)), q) for s in (schemes.randomized_midpoint, schemes.midpoint)
    )
    assert middle < random


# --- parts ----------------------------------------------------------------------------------------------------------


def test_panels_are_as_fine_as_the_mass_asks():
    """A kink in the bulk is resolved, and none where there is no mass."""
    log_q = lambda x: -x * x / 2 - math.log(2 * math.pi) / 2  # noqa: E731
    found, error = interpolated(lambda x: 0.2 * np.maximum(x - 9, 0)[:, None], log_q, -10, 10, np.ones(1), 1e-12)
    assert len(found.breaks) < 30
    found, error = interpolated(lambda x: 0.2 * np.maximum(x - 4, 0)[:, None], log_q, -10, 10, np.ones(1), 1e-12)
    assert len(found.breaks) > 30
    x, w = trapezoid(3.99, 4.01, 40_001)
    assert (w * np.abs(found(x)[:, 0] - 0.2 * np.maximum(x - 4, 0)) * np.exp(log_q(x))).sum() <= error < 1e-12


def test_panels_split_as_told():
    np.testing.assert_allclose(piecewise.split(np.array([0.0, 1.0, 4.0]), [2, 3]), [0, 0.5, 1, 2, 3, 4])
    x, w = on_panels(np.array([0.0, 1.0, 4.0]))
    assert (w * x**31).sum() == pytest.approx(4**32 / 32, rel=1e-13)


def test_inverses_are_inverses():
    grid = np.linspace(-4, 4, 33)
    step = lambda z: z * z * z + z * np.array([[0.5], [2.0]])  # noqa: E731
    maps, lost = inverse.rising(step, grid, np.ones(33), lambda j, x: "")
    y = np.linspace(-60, 60, 101)
    x = maps.inverse(y)
    assert lost == 0
    c = np.array([[0.5], [2.0]])
    np.testing.assert_allclose(x.value**3 + c * x.value, np.broadcast_to(y, (2, 101)), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(x.slope, 3 * x.value**2 + c, rtol=1e-13)


def test_beyond_the_points_a_map_is_a_line():
    maps, _ = inverse.rising(lambda z: z * z * z, np.linspace(1, 2, 9), np.ones(9), lambda j, x: "")
    x = maps.inverse(np.array([-2.0, 20.0]))
    np.testing.assert_allclose(x.value, [[1 - 3 / 3, 2 + 12 / 12]])
    np.testing.assert_allclose(x.slope, [[3.0, 12.0]])


def test_the_law_knows_its_parts():
    law = some_law()
    assert isinstance(law, LineLaw)
    assert (law.dim, law.reference) == (1, TwoGaussians(2.0).at(0.6))
    x = np.array([[-1.0, 0.5]])
    np.testing.assert_allclose(law.log_ratio(x), law.log_density(x) - law.reference.log_density(0, x), atol=1e-14)
    assert law.density(0.3).shape == ()
    assert law.mean == pytest.approx(0, abs=1e-13)
    assert law.variance == pytest.approx(integral(lambda y: y * y * law.density(y)), rel=1e-10)
    with pytest.raises(AttributeError):
        law.error = 0.0
    assert (
        line_law(plan_of(schemes.randomized_midpoint, [2.0, 1.5, 1.0, 0.6]), TwoGaussians(2.0), "exact").error
        == law.error
    )
