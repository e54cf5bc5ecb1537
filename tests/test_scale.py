"""Unconditional laws on centred isotropic targets, and variances relative to the exact flow: against nested quadrature
over the midpoints, 60-digit recursions, closed forms and simulation."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from oracles import textbook
from oracles.plain import at_every_midpoint, noised, parallel_midpoint, score_of, slope, unit_rule
from scipy import special, stats

import rmverify as rm
from rmverify import schemes
from rmverify.divergences.pair import Pair
from rmverify.divergences.tv import total_variation
from rmverify.laws.scale import lagrange, log_defect
from rmverify.schemes.contract import scheme

# --- nested quadrature --------------------------------------------------------------------------------------------


def nested(lam, levels, dim, nodes, panels):
    """TV, KL, reverse KL and squared Hellinger by sums over all midpoints and over tau = ln(|x|^2/(d v)).

    With x ~ N(0, e^u v I) the density of tau is g(tau - u), g(z) = k^k e^{k(z - e^z)}/Gamma(k), k = d/2. TV by
    distribution functions (regularized incomplete gamma) between the sign changes of p - q, found by bisection.
    """
    s2, weights = at_every_midpoint(lam, levels, unit_rule(nodes, np.linspace(0, 1, panels + 1)))
    u = np.log(s2 / noised(lam, levels[-1]))
    k = mp.mpf(dim) / 2
    constant = float(k * mp.log(k) - k - mp.loggamma(k))
    half, reach = dim / 2, 9.6 * math.sqrt(2 / dim) + 100 / dim

    def log_g(z):
        near = np.where(np.abs(z) < 0.3, z, 0.0)
        tail = sum(near**n / math.factorial(n) for n in range(2, 24))
        return half * np.where(np.abs(z) < 0.3, -tail, z - np.expm1(np.minimum(z, 50))) + constant

    def p(tau):
        return sum(np.exp(log_g(np.subtract.outer(tau, z))) @ w for z, w in cut)

    cut = [(u[i : i + 4000], weights[i : i + 4000]) for i in range(0, u.size, 4000)]
    ends = min(0.0, u.min()) - reach, max(0.0, u.max()) + 9.6 * math.sqrt(2 / dim)
    tau = np.linspace(*ends, math.ceil((ends[1] - ends[0]) * math.sqrt(dim / 2) / 0.2))
    step = tau[1] - tau[0]
    density, log_q = p(tau), log_g(tau)
    q = np.exp(log_q)
    with np.errstate(divide="ignore", invalid="ignore"):
        lam_ = np.log(density) - log_q
        kl = np.nansum(np.where(density > 0, density * lam_ - density + q, q)) * step
        reverse = np.nansum(np.where(q > 0, density - q - q * lam_, density)) * step
    squared = ((np.sqrt(density) - np.sqrt(q)) ** 2).sum() * step / 2
    live = np.flatnonzero(np.abs(density - q) > 1e-13 * q.max())
    marks = [0.0]
    for i, j in itertools.pairwise(live):
        if (density[i] - q[i]) * (density[j] - q[j]) < 0:
            low, high = tau[i], tau[j]
            for _ in range(60):
                middle = (low + high) / 2
                same = (p(np.array([middle]))[0] - np.exp(log_g(middle))) * (density[i] - q[i]) > 0
                low, high = (middle, high) if same else (low, middle)
            below = special.gammainc(half, half * np.exp(low - u)) @ weights
            marks.append(below - special.gammainc(half, half * math.exp(low)))
    marks.append(0.0)
    tv = sum(abs(b - a) for a, b in itertools.pairwise(marks)) / 2
    return {"tv": tv, "kl": kl, "reverse": reverse, "hellinger": math.sqrt(squared)}


def distances(lam, levels, dim, stages=None):
    target = rm.Gaussian.isotropic(lam, dim)
    plan = rm.Plan(stages or [rm.Predict(schemes.randomized_midpoint, levels)])
    law, goal = rm.output_law(plan, target, start="exact"), target.at(plan.end)
    pairs = {"tv": rm.tv(law, goal), "kl": rm.kl(law, goal), "reverse": rm.kl(goal, law)}
    return pairs | {"hellinger": rm.hellinger(law, goal)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lam", "levels", "dim", "nodes", "panels"),
    [
        (0.25, (1.0, 0.7), 1, 40, 1),  # one step
        (4.0, (1.0, 0.9, 0.8), 30, 24, 1),
        (0.25, (1.5, 1.2, 1.0), 10**3, 24, 2),  # ln s^2 spreads 1.5 times what the radius does
        (0.25, (1.5, 1.2, 1.0), 20_000, 24, 2),  # 7 times
        (0.25, (1.2, 1.1, 1.0, 0.9), 1000, 16, 1),  # three steps
        (0.5, (1.0, 0.6), 100_000, 24, 40),  # a single step spread over sixty widths of the radius
    ],
)
def test_against_nested_quadrature(lam, levels, dim, nodes, panels):
    found, due = distances(lam, levels, dim), nested(lam, levels, dim, nodes, panels)
    for name, value in found.items():
        assert value.kind == "exact"
        assert value.error < 2e-9 * value
        # the oracle: exponents of size d/2 times roundings, and p - q to the rounding of p
        assert value == pytest.approx(due[name], rel=1e-9 + 4e-16 * dim, abs=value.error + 2**-51), name


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 100])
def test_midpoints_that_annihilate_x(dim):
    """From t = 3 to 1 in one step, A(a) = 0 at some a: ln s^2 has a logarithmic singularity there."""
    levels = (3.0, 1.0)
    grid = slope(0.25, 3.0, 2.0, np.linspace(0, 1, 1001))
    assert (np.sign(grid[1:]) != np.sign(grid[:-1])).sum() == 1
    found = distances(0.25, levels, dim)
    target = rm.Gaussian.isotropic(0.25, dim)
    # P(|x|^2 <= r) = E_a gammainc(d/2, r/(2 s^2)), integrated adaptively about the singularity
    root = float(mp.findroot(lambda a: slope_mp(0.25, 3, 2, a), np.linspace(0, 1, 1001)[np.argmin(np.abs(grid))]))
    edges = np.concatenate([[0.0], *([root - root * 2.0**-k for k in range(1, 45)],), [root]])
    edges = np.concatenate([edges, root + (1 - root) * 2.0 ** -np.arange(45.0)[::-1]])
    a, weights = unit_rule(30, edges)
    b = float(target.at(1.0).variances[0])
    s2 = slope(0.25, 3.0, 2.0, a) ** 2 * float(target.at(3.0).variances[0])
    r = b * dim * np.exp(np.linspace(-12, 6, 8001))

    def gap(r):
        below = special.gammainc(dim / 2, np.divide.outer(r, 2 * np.maximum(s2, 1e-300))) @ weights
        return below - special.gammainc(dim / 2, r / (2 * b))

    coarse = np.concatenate([gap(part) for part in np.array_split(r, 40)])
    turns = np.flatnonzero(np.diff(np.sign(np.diff(coarse)))) + 1  # extrema of the gap are the sign changes of p - q
    due = 0.0
    marks = [0.0]
    for i in turns[np.abs(coarse[turns]) > 1e-9]:
        fit = np.polyfit(np.arange(-2, 3), coarse[i - 2 : i + 3], 4)
        inner = np.roots(np.polyder(fit))
        best = inner[np.argmin(np.abs(inner))].real
        marks.append(float(np.polyval(fit, best)))
    due = sum(abs(p - q) for p, q in itertools.pairwise([*marks, 0.0])) / 2
    assert found["tv"].kind == "exact"
    assert found["tv"] == pytest.approx(due, rel=1e-8)


def slope_mp(lam, t, h, a):
    return textbook.randomized_midpoint(mp.mpf(1), t, h, [a], textbook.gaussian_score(lam, 0))


# --- known values and scaling -------------------------------------------------------------------------------------


def uniform(steps, dim, step=schemes.randomized_midpoint, end=0.0):
    """lambda = 1/4 from t = 3, exact start, uniform steps."""
    target = rm.Gaussian.isotropic(0.25, dim)
    plan = rm.Plan([rm.Predict(step, np.linspace(3.0, end, steps + 1))])
    return rm.output_law(plan, target, start="exact"), target.at(end)


def test_the_values_of_the_design_page():
    law, goal = uniform(320, 10**4)
    assert float(f"{rm.tv(law, goal):.3g}") == 0.00335
    s2 = law.conditionals(4000, rng=1)[1][:, 0] / float(goal.variances[0])
    cut = 1e4 * np.log(s2) / (1 - 1 / s2)  # where N(0, s^2 I) and N(0, I) are equally dense: |x|^2
    given = np.abs(special.gammainc(5e3, cut / 2) - special.gammainc(5e3, cut / (2 * s2)))
    # the mean of 4000 draws beside 0.0256 +- 0.0001, at five standard errors
    assert abs(given.mean() - 0.0256) < 1e-4 + 5 * given.std() / math.sqrt(given.size)
    first, goal = uniform(320, 10**4, schemes.exponential_integrator)
    assert round(float(rm.tv(first, goal)), 6) == 0.380645


@pytest.mark.parametrize(("dim", "steps"), [(100, 400), (10**4, 4000), (10**10, 15_000)])
def test_the_two_regimes_of_the_unconditional_distance(dim, steps):
    """TV ~ max(0.355 sqrt(d) h^2, 0.187 d h^3): to first order the two effects add up in L^1, and the rest is a share
    of a few h and of TV; the constants are known to three digits."""
    h = 3 / steps
    bias, variance = 0.355 * math.sqrt(dim) * h**2, 0.187 * dim * h**3
    value = rm.tv(*uniform(steps, dim))
    assert value.kind == "exact"
    assert value.error < 1e-9 * value
    larger, smaller = max(bias, variance), min(bias, variance)
    assert smaller < 0.1 * larger
    assert abs(value - larger) < smaller + (0.005 + value + 3 * h) * larger


@pytest.mark.slow
def test_relative_accuracy_down_to_small_distances():
    """d = 1, 10^4 steps: TV ~ 2e-10. The mean of u by 50-digit recursion decides it: TV = |E u| max-gap."""
    steps = 400
    levels = np.linspace(3.0, 1.0, steps + 1)
    target = rm.Gaussian.isotropic(0.25, 1)
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)]), target, start="exact")
    x, w = np.polynomial.legendre.leggauss(16)
    with mp.workdps(40):
        lam, total, spread = mp.mpf(1) / 4, mp.mpf(0), mp.mpf(0)
        for t, end in itertools.pairwise(map(mp.mpf, levels.tolist())):
            h = t - end
            ratio = (1 + (lam - 1) * mp.exp(-2 * t)) / (1 + (lam - 1) * mp.exp(-2 * end))
            each = [mp.log(slope_mp(lam, t, h, (mp.mpf(z) + 1) / 2) ** 2 * ratio) for z in x]
            mean = sum(mp.mpf(c) / 2 * e for c, e in zip(w, each, strict=True))
            total += mean
            spread += sum(mp.mpf(c) / 2 * (e - mean) ** 2 for c, e in zip(w, each, strict=True))
    mixture = law.scale_mixture
    assert float(mixture.weights @ mixture.logs) == pytest.approx(float(total), rel=1e-9)
    # p - q to first order in the mean m and the variance s of u: q (tau-derivatives) -> -m g' + (s + m^2) g''/2
    m, s = float(total), float(spread)
    tau = np.linspace(-60, 6, 2_000_001)
    e = np.exp(tau)
    g = np.exp(0.5 * (tau - e)) / math.sqrt(2 * math.pi)
    g1 = g * (1 - e) / 2
    g2 = g * ((1 - e) ** 2 / 4 - e / 2)
    due = 0.5 * np.abs(-m * g1 + (s + m * m) / 2 * g2).sum() * (tau[1] - tau[0])
    value = rm.tv(law, target.at(1.0))
    assert value.error < 1e-9 * value
    # the next terms are E (u - m)^3 and m s, a share sqrt(s) of these
    assert value == pytest.approx(due, rel=10 * math.sqrt(s))
    assert value < 1e-6


@pytest.mark.slow
def test_few_long_steps_in_high_dimension():
    """The case in which 24 nodes gave 0.788: sixteen steps at d = 10^6, against 4 10^5 simulated midpoint paths."""
    law, goal = uniform(16, 10**6)
    value = rm.tv(law, goal)
    assert value.kind == "exact"
    rng = np.random.default_rng(5)
    levels = np.linspace(3.0, 0.0, 17)
    u = np.zeros(400_000)
    for t, end in itertools.pairwise(levels):
        v, after = (1 - 0.75 * np.exp(-2 * z) for z in (t, end))
        u += 2 * np.log(np.abs(slope(0.25, t, t - end, rng.random(u.size)))) + np.log(v / after)
    half = 5e5
    edges = np.linspace(-6, 6, 13) * math.sqrt(1 / half)
    # the best of a family of sets is a lower bound: |tau| <= c, by the normal approximation of tau, off by d^{-1/2}
    z = edges[:, None] - u[None, :]
    below = np.mean(stats.norm.cdf(z * math.sqrt(half)), axis=1)
    sets = [
        stats.norm.cdf(edges[12 - k] * math.sqrt(half)) - stats.norm.cdf(edges[k] * math.sqrt(half))
        - (below[12 - k] - below[k])
        for k in range(6)
    ]  # fmt: skip
    slack = 5 * 0.5 / math.sqrt(u.size) + 2e-3
    assert max(sets) - slack < value < 1
    # and the density of u near 0 is so flat there that these sets are optimal: TV from a histogram of tau
    tau = u + rng.standard_normal(u.size) / math.sqrt(half)
    fine = np.linspace(-8, 8, 81) / math.sqrt(half)
    counts, _ = np.histogram(tau, fine)
    q = np.diff(stats.norm.cdf(fine * math.sqrt(half)))
    overlap = np.minimum(counts / u.size, q).sum()
    assert value == pytest.approx(1 - overlap, abs=slack)


@pytest.mark.parametrize("fineness", [5.0, 7.0])
def test_a_lattice_keeps_the_moments(fineness):
    law, _ = uniform(16, 10**6)
    rule, lattice = law.scale_rule(24), law.scale_lattice(fineness)
    assert lattice.weights.sum() == pytest.approx(1, abs=1e-12)
    mean, due = lattice.weights @ lattice.logs, rule.weights @ rule.logs
    assert mean == pytest.approx(due, abs=1e-12)
    spread, due = lattice.weights @ (lattice.logs - mean) ** 2, rule.weights @ (rule.logs - due) ** 2
    assert spread == pytest.approx(due, rel=1e-9)


@pytest.mark.slow
def test_a_lattice_of_wide_steps_has_their_moments():
    """A hundred steps that spread over thousands of cells in d = 10^12: mean and variance of ln s^2 add up."""
    levels, lam = np.geomspace(3.0, 1.0, 101), 0.25
    target, plan = rm.Gaussian.isotropic(lam, 10**12), rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)])
    lattice = rm.output_law(plan, target, start="exact").scale_lattice(5.0)
    mean = variance = 0.0
    for pair in itertools.pairwise(levels):
        s2, w = at_every_midpoint(lam, pair, unit_rule(40, np.linspace(0, 1, 5)))
        u = np.log(s2 / noised(lam, pair[1]))
        mean, variance = mean + w @ u, variance + w @ (u - w @ u) ** 2
    found = lattice.weights @ lattice.logs
    assert lattice.weights.sum() == pytest.approx(1, abs=1e-12)
    assert found == pytest.approx(mean, abs=1e-9 * math.sqrt(variance))
    assert lattice.weights @ (lattice.logs - found) ** 2 == pytest.approx(variance, rel=1e-9)
    assert rm.tv(rm.output_law(plan, target, start="exact"), target.at(1.0)).kind == "exact"


def test_interpolation_on_the_lattice_is_exact_on_polynomials():
    x, points = np.array([0.0, 0.3, 0.5, 1.0]), np.arange(-11.0, 13.0)
    for degree in range(8):
        assert lagrange(x) @ points**degree == pytest.approx(x**degree, abs=1e-14 * 12.0**degree)


# --- correctors and other schemes ---------------------------------------------------------------------------------


def test_correctors_take_both_forms_through():
    """Two wide steps, an underdamped corrector, one more step, at d = 3000: nested sums with s^2 -> p s^2 + q."""
    dim, lam, friction = 3000, 0.25, 1.5
    before, after = (1.5, 1.2, 1.0), (1.0, 0.8)
    plan = [
        rm.Predict(schemes.randomized_midpoint, before),
        rm.Correct(schemes.underdamped(friction=friction), 1.0, 0.3, 1),
        rm.Predict(schemes.randomized_midpoint, after),
    ]
    a, w = unit_rule(28)
    level = [noised(lam, t) for t in (1.5, 1.0, 0.8)]
    s2, weights = np.array([level[0]]), np.ones(1)
    A, _, C = textbook.underdamped(0.3, [], 1 / level[1], 0.0, friction, 1)
    p, q = float(A[0, 0] ** 2), float(C[0, 0] + A[0, 1] ** 2)
    for t, end in ((1.5, 1.2), (1.2, 1.0), (1.0, 0.8)):
        if t == 1.0:
            s2 = p * s2 + q
        s2, weights = np.multiply.outer(slope(lam, t, t - end, a) ** 2, s2).ravel(), np.outer(w, weights).ravel()
    u = np.log(s2 / level[2])
    half = dim / 2
    tau = np.linspace(u.min() - 0.35, u.max() + 0.35, 1501)

    def density(z):
        return np.exp(half * (z - np.expm1(z)) + half * math.log(half) - half - math.lgamma(half))

    mixture = sum(density(np.subtract.outer(tau, u[i : i + 4000])) @ weights[i : i + 4000]
                  for i in range(0, u.size, 4000))  # fmt: skip
    gap = mixture - density(tau)
    due = 0.5 * np.abs(gap).sum() * (tau[1] - tau[0])
    found = distances(lam, None, dim, plan)
    assert found["tv"].kind == "exact"
    assert found["tv"] == pytest.approx(due, abs=2 * (tau[1] - tau[0]) ** 2 * np.abs(np.gradient(gap, tau)).max())
    due_h = math.sqrt(0.5 * ((np.sqrt(mixture) - np.sqrt(density(tau))) ** 2).sum() * (tau[1] - tau[0]))
    assert found["hellinger"] == pytest.approx(due_h, rel=1e-9)


@scheme
def noisy_midpoint(x, t, h, score, draw):
    """An overdamped step at a random time: x + 2 a h s(x) + N(0, 2 h)."""
    (noise,) = draw.normal([[2 * h]])
    return x + 2 * draw.uniform() * h * score(t, x) + noise


def test_random_steps_with_noise_follow_their_recursion():
    """E s^2 and E s^4 after 60 steps at one level: s^2 -> (1 - 2ah/v)^2 s^2 + 2h."""
    target, h, t = rm.Gaussian.isotropic(0.25, 3), 0.05, 1.0
    v = 1 - 0.75 * math.exp(-2 * t)
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, [1.2, t]), rm.Correct(noisy_midpoint, t, h, 60)])
    law = rm.output_law(plan, target, start="exact")
    a, w = unit_rule(20)
    s2 = slope(0.25, 1.2, 0.2, a) ** 2 * noised(0.25, 1.2)
    m1, m2 = w @ s2, w @ s2**2
    p = (1 - 2 * a * h / v) ** 2
    for _ in range(60):
        m1, m2 = (w @ p) * m1 + 2 * h, (w @ p**2) * m2 + 4 * h * (w @ p) * m1 + 4 * h * h
    rule, lattice = law.scale_rule(20), law.scale_lattice(6.0)
    assert rule.weights @ rule.variances == pytest.approx(m1, rel=1e-11)
    assert rule.weights @ rule.variances**2 == pytest.approx(m2, rel=1e-11)
    s2 = lattice.reference * np.exp(lattice.logs)
    assert lattice.weights @ s2 == pytest.approx(m1, rel=1e-8)
    assert lattice.weights @ s2**2 == pytest.approx(m2, rel=1e-7)


@pytest.mark.parametrize("strata", [2, 3, 5])
def test_strata_against_simulated_midpoints(strata):
    """One step over independent strata, without rounds of Picard, at d = 10^5: s^2 by its formula at 10^5 draws."""
    dim, t, h = 100_000, 1.0, 0.2
    target = rm.Gaussian.isotropic(0.25, dim)
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata, 0), [t, t - h])])
    value = rm.tv(rm.output_law(plan, target, start="exact"), target.at(t - h))
    v, w = (noised(0.25, z) for z in (t, t - h))
    a = (np.arange(strata) + np.random.default_rng(8).random((100_000, strata))) / strata
    A = parallel_midpoint(1.0, t, h, a.T, score_of(0.25), 0)
    u = np.log(A**2 * v / w)
    tau = np.linspace(u.min() - 0.045, u.max() + 0.045, 600)
    density = np.exp(dim / 2 * (tau - np.expm1(tau))) * math.sqrt(dim / (4 * math.pi))
    # the sample's u in bins a hundredth of the radius's width
    counts, edges = np.histogram(u, 4000)
    z = np.subtract.outer(tau, (edges[1:] + edges[:-1]) / 2)
    mixture = np.exp(dim / 2 * (z - np.expm1(z))) @ (counts / u.size) * math.sqrt(dim / (4 * math.pi))
    due = 0.5 * np.abs(mixture - density).sum() * (tau[1] - tau[0])
    # TV is a mean over draws of a function within [-1, 1] of each: five standard errors
    assert value.lower - 5 / math.sqrt(u.size) < due < value.upper + 5 / math.sqrt(u.size)
    assert value.kind == "exact"


# --- the defect of the variance -----------------------------------------------------------------------------------


def exact_defect(name, lam, times):
    """ln(variance/v(end)) of a deterministic predictor from the exact start, each step by its formula in 60 digits."""
    with mp.workdps(60):
        lam, total = mp.mpf(lam), mp.mpf(0)
        levels = [mp.mpf(float(t)) for t in times]
        for t, end in itertools.pairwise(levels):
            h = mp.mpf(float(t) - float(end))  # the step's own float
            v, w, m, last = (1 + (lam - 1) * mp.exp(-2 * z) for z in (t, end, t - h / 2, t - h))
            if name == "exponential_integrator":
                A = mp.exp(h) - mp.expm1(h) / v
            elif name == "midpoint":
                A = mp.exp(h) - h * mp.exp(h / 2) / m * (mp.exp(h / 2) - mp.expm1(h / 2) / v)
            else:
                first = 1 - 1 / v
                y = 1 + h * first
                A = 1 + h / 2 * (first + y - y / last)
            total += mp.log(A * A * v / w)
        return float(total)


GRIDS = {
    "uniform": np.linspace(3.0, 0.0, 3001),
    "geometric": np.geomspace(3.0, 0.01, 2001),
    "irregular": np.sort(np.random.default_rng(0).uniform(0.1, 3.0, 301))[::-1],
    "quadratic": 3 * np.linspace(1.0, 0.1, 1001) ** 2,
    "few": np.array([3.0, 1.0, 1e-7]),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", ["exponential_integrator", "midpoint", "heun"])
@pytest.mark.parametrize("lam", [0.25, 3.0])
@pytest.mark.slow
def test_the_defect_keeps_its_relative_accuracy(name, grid, lam):
    plan = rm.Plan([rm.Predict(getattr(schemes, name), GRIDS[grid])])
    (found,), (error,) = log_defect(plan, rm.Gaussian.isotropic(lam, 5), start="exact")
    due = exact_defect(name, lam, GRIDS[grid])
    assert abs(found / due - 1) < 1e-10
    assert abs(found - due) <= error + 1e-15 * abs(due)
    assert error < 1e-9 * abs(due)


def test_a_defect_below_the_rounding_of_one():
    """A hundred steps of 1e-6: the defect of the midpoint is 100 (4v-3) h^3/(12 v^2) (1 + O(h)), 3e-18."""
    h, t = 2.0**-20, 1.0
    times = t - h * np.arange(101)
    plan = rm.Plan([rm.Predict(schemes.midpoint, times)])
    (found,), (error,) = log_defect(plan, rm.Gaussian.isotropic(0.25, 1), start="exact")
    due = exact_defect("midpoint", 0.25, times)
    v = 1 - 0.75 * math.exp(-2)
    assert abs(due) < 1e-15
    assert found == pytest.approx(due, rel=1e-10)
    assert abs(due) == pytest.approx(100 * abs(4 * v - 3) * h**3 / (12 * v * v), rel=1e-2)
    assert error < 1e-9 * abs(due)


def test_many_steps_scale_as_their_order():
    """d = 10^12, scheme 1: u = c h (1 + O(h)), so that extrapolation from 10^4 and 2 10^4 steps predicts 10^6."""
    target = rm.Gaussian.isotropic(0.25, 10**12)
    one, two, many = (log_defect(plan_of(n), target, start="exact") for n in (10**4, 2 * 10**4, 10**6))
    c1, c2 = one[0][0] * 1e4, two[0][0] * 2e4  # c + b/N
    change = (c1 - c2) / (1 / 1e4 - 1 / 2e4)
    due = (c1 - change / 1e4 + change / 1e6) / 1e6
    assert many[0][0] == pytest.approx(due, rel=1e-6)
    assert many[1][0] < 1e-9 * many[0][0]
    pair = Pair.of_log_ratios(*many, np.ones(1), target.multiplicities)
    value = total_variation(pair.ratio, pair.shift, pair.multiplicity, pair.distance_error, pair.log_ratio)
    # ln r is nearly N(0, 2/d): shifting it by u is a Gaussian shift by u sqrt(d/2)
    assert value == pytest.approx(math.erf(many[0][0] * math.sqrt(0.5e12) / math.sqrt(8)), rel=1e-5)
    assert value.error < 1e-9 * value


def plan_of(steps):
    return rm.Plan([rm.Predict(schemes.exponential_integrator, np.linspace(3.0, 0.0, steps + 1))])


def test_the_defect_through_a_corrector_and_several_blocks():
    """e^u - 1 -> p v/v' (e^u - 1) + ..., against the law's own variances where those are good enough: 2^-53 a step."""
    target = rm.Gaussian.from_spectrum([0.25, 4.0], [3, 10])
    plan = rm.Plan(
        [
            rm.Predict(schemes.exponential_integrator, np.linspace(2.0, 1.0, 200)),
            rm.Correct(schemes.underdamped(friction=2.0), 1.0, 0.01, 300),
            rm.Correct(schemes.overdamped, 1.0, 0.01, 20),
            rm.Predict(schemes.heun, np.linspace(1.0, 0.5, 100)),
        ]
    )
    for start in ("exact", "normal", target.with_modes([0.5, 2.0], 0.0)):
        u, error = log_defect(plan, target, start=start)
        law = rm.output_law(plan, target, start=start)
        due = np.log(law.variances / target.at(0.5).variances)
        assert np.abs(u - due).max() < law.rounding.max() + 1e-15
        assert (error < 1e-9 * np.abs(u)).all()
        pair = Pair.of_log_ratios(u, error, target.at(0.5).variances, target.multiplicities)
        value = total_variation(pair.ratio, pair.shift, pair.multiplicity, pair.distance_error, pair.log_ratio)
        assert value == pytest.approx(rm.tv(law, target.at(0.5)), rel=1e-10)


def test_a_score_with_gain():
    target = rm.Gaussian.isotropic(0.25, 50)
    estimate = rm.EstimatedScore(target, gain=0.01)
    plan = rm.Plan([rm.Predict(schemes.exponential_integrator, np.linspace(2.0, 1.0, 100))])
    (u,), _ = log_defect(plan, estimate, start="exact")
    law = rm.output_law(plan, estimate, start="exact")
    assert u == pytest.approx(math.log(law.variances[0] / target.at(1.0).variances[0]), abs=1e-13)
    random = rm.Plan([rm.Predict(schemes.randomized_midpoint, np.linspace(2.0, 1.0, 100))])
    assert rm.tv(rm.output_law(random, estimate, start="exact"), target.at(1.0)).kind == "exact"


# --- refusals and intervals ---------------------------------------------------------------------------------------


def test_what_is_not_resolved_is_an_interval():
    """One long step at d = 10^12: the laws of fewer coordinates are closer."""
    value = rm.tv(*uniform(1, 10**12, end=1.0))
    assert value.kind == "monte-carlo"
    below = rm.tv(*uniform(1, 10**4, end=1.0))
    assert below.kind == "exact"
    assert below.lower <= value.upper <= 1


def test_projections_only_lose():
    values = [rm.tv(*uniform(40, d)) for d in (1, 100, 10**4, 10**6)]
    assert all(v.kind == "exact" for v in values)
    assert all(a < b for a, b in itertools.pairwise(values))


def test_defects_refuse_what_they_cannot_say():
    target = rm.Gaussian.isotropic(0.25, 3)
    with pytest.raises(ValueError, match="plan: expected a plan without random midpoints"):
        log_defect(rm.Plan([rm.Predict(schemes.randomized_midpoint, [1.0, 0.5])]), target)
    with pytest.raises(ArithmeticError):
        log_defect(rm.Plan([rm.Predict(schemes.midpoint, [1.0, 0.0])]), rm.Gaussian.isotropic(0.0, 3))


def test_forms_are_computed_once():
    law, _ = uniform(16, 100)
    assert law.scale_rule(12) is law.scale_rule(12)
    assert law.scale_lattice(5.0) is law.scale_lattice(5.0)
