"""Many strata and many cells: chains of cells, laws of steps of many strata, and counts too large to run through."""

from __future__ import annotations

import functools
import itertools
import math

import flint
import mpmath as mp
import numpy as np
import pytest
from oracles import textbook
from oracles.plain import parallel_midpoint, score_of, strata_rule
from scipy import special

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, prefix, total
from rmverify.laws.averages.counts import COUNTS, continued, few
from rmverify.laws.averages.strata import cumulants
from rmverify.numbers.quadrature import gauss, unit_rule
from rmverify.plans import footprint
from rmverify.readings.balls import lift, lift_scheme
from rmverify.readings.cells import read_cells, read_chain
from rmverify.schemes.contract import scheme

FORCE, CENTRE, G, U, H = np.array([1.7, 0.4]), np.array([0.6, -1.2]), 1.5, 0.7, 0.8


class Forces:
    """-k (x - m) on every mode, over floats or balls."""

    def __init__(self, number=np.asarray):
        self.k, self.m, self.lam = number(FORCE), number(CENTRE), number(np.ones(2))

    def score(self, t, x):
        return self.k * (self.m - x)


def plain_corrector(cells, rounds, k, m):
    """A, b and C of Picard rounds over the cells for one force: coefficients on (1, x, v, noises) by plain loops."""
    n = H / cells
    E = math.exp(-G * n)
    phi = (1 - E) / G
    q = (n - phi) / G
    size = 3 + 2 * cells
    unit = np.eye(size)
    previous = np.tile(unit[1], (cells, 1))
    for _ in range(rounds):
        x, v, places = unit[1], unit[2], []
        for j in range(cells):
            places.append(x)
            s = k * (m * unit[0] - previous[j])
            x, v = x + phi * v + U * q * s + unit[3 + 2 * j], E * v + U * phi * s + unit[4 + 2 * j]
        previous = np.array(places)
    out = np.array([x, v])
    # Var W_x by its series, where the closed form cancels: 2 g u n^3 sum (-2 z)^j 2(2 - 2^-j)/(j+3)!, z = g n
    z = G * n
    rise = 2 * G * U * n**3 * sum((-1) ** j * (2 ** (j + 2) - 2) / math.factorial(j + 3) * z**j for j in range(30))
    S = np.array([[rise, U * (1 - E) ** 2 / G], [U * (1 - E) ** 2 / G, U * (1 - E**2)]])
    noise = out[:, 3:].reshape(2, cells, 2)
    return out[:, 1:3], out[:, 0], np.einsum("ajc,cd,bjd->ab", noise, S, noise)


def moved(found, mode):
    """A, b and C of a transition, of one mode."""

    def entry(part):
        return float(np.broadcast_to(part, (1, 1, 2))[0, 0, mode])

    A, C = (np.array([[entry(e) for e in row] for row in part]) for part in (found.linear, found.noise))
    return A, np.array([entry(e) for e in found.shift]), C


ONE, STEP = np.ones((1, 1, 1)), np.full((1, 1, 1), H)


@pytest.mark.parametrize("cells, rounds", [(1, 1), (2, 3), (5, 2), (40, 1), (40, 2), (60, 5)])
def test_a_chain_of_cells_is_every_coefficient_written_out(cells, rounds):
    step = schemes.parallel_underdamped(cells=cells, rounds=rounds, friction=G, mass=U)
    found = read_cells(step, Forces(), ONE, STEP)
    for mode, (k, m) in enumerate(zip(FORCE, CENTRE, strict=True)):
        for part, due in zip(moved(found, mode), plain_corrector(cells, rounds, k, m), strict=True):
            assert np.abs(part - due).max() <= 8 * cells * 2.0**-53 * np.abs(due).max()


def test_a_chain_of_cells_over_balls_holds_50_digits():
    cells, rounds = 3, 2
    with flint.ctx.workprec(200):
        step = lift_scheme(schemes.parallel_underdamped(cells=cells, rounds=rounds, friction=G, mass=U))
        found = read_cells(step, Forces(lift), lift(ONE), lift(STEP), lift)
        with mp.workdps(50):
            k, m, g, u, h = (mp.mpf(float(z)) for z in (FORCE[0], CENTRE[0], G, U, H))
            A, b, C = textbook.parallel_underdamped(h, [], k, m, g, u, cells, rounds)
            for part, due in ((found.linear, A), (found.noise, C), ([[e] for e in found.shift], b)):
                for i, row in enumerate(part):
                    for j, entry in enumerate(row):
                        ball = np.broadcast_to(entry, (1, 1, 2))[0, 0, 0]
                        assert ball.rad() < 1e-50
                        assert abs(mp.mpf(ball.mid().str(60, radius=False)) - due[i, j]) < mp.mpf(10) ** -48


def test_laws_of_plans_with_many_cells_are_those_of_the_loops():
    """300 cells, beyond those that are run through: the position's law from a fresh velocity."""
    target = rm.Gaussian([1.5, -0.5], [0.3, 2.0])
    t, cells, rounds = 0.4, 300, 3
    plan = rm.Plan([rm.Correct(schemes.parallel_underdamped(cells=cells, rounds=rounds, friction=G, mass=U), t, H, 2)])
    law = rm.output_law(plan, target)
    for mode in range(2):
        v = 1 + (target.variances[mode] - 1) * math.exp(-2 * t)
        A, b, C = plain_corrector(cells, rounds, 1 / v, math.exp(-t) * target.means[mode])
        mean, spread = np.zeros(2), np.diag([1.0, U])
        for _ in range(2):
            mean, spread = A @ mean + b, A @ spread @ A.T + C
        assert abs(law.variances[mode] / spread[0, 0] - 1) <= law.rounding[mode] < 1e-12
        assert abs(law.means[mode] - mean[0]) <= 1e-13


def test_the_noise_of_a_chain_is_not_that_of_one_draw_for_all_cells():
    """A corrector whose cells share one noise is another law, and is refused as a chain or told apart."""

    @scheme(kinetic=True)
    def shared(state, t, h, score, draw, *, cells):
        x, v = state
        j = draw.cells(cells)
        (w,) = draw.normal(((h / cells,),))
        return x + total(exp(-j) * (v + w)), v + w

    @scheme(kinetic=True)
    def own(state, t, h, score, draw, *, cells):
        x, v = state
        j = draw.cells(cells)
        (w,) = draw.normal(((h / cells,),), count=cells)
        return x + total(exp(-j) * (v + w)), v + total(w)

    found = moved(read_cells(own(cells=20), Forces(), ONE, STEP), 0)[2]
    weights = np.exp(-np.arange(20.0))
    np.testing.assert_allclose(found, H / 20 * np.array([[weights @ weights, weights.sum()], [weights.sum(), 20]]))
    with pytest.raises(ValueError, match="^scheme: .*not known exactly: .*cell"):
        read_cells(shared(cells=20), Forces(), ONE, STEP)


def prefix_of_noise(state, t, h, score, draw):
    x, v = state
    (w,) = draw.normal(((h,),), count=20)
    return x + prefix(w), v


def own_noise_at_the_end(state, t, h, score, draw):
    x, v = state
    (w,) = draw.normal(((h,),), count=20)
    return x + w, v + total(w)


@pytest.mark.parametrize("step", [prefix_of_noise, own_noise_at_the_end])
def test_steps_that_end_in_a_row_over_the_cells_are_refused(step):
    with pytest.raises(ValueError, match="^scheme: .*not known exactly: .*cell"):
        read_cells(scheme(kinetic=True)(step), Forces(), ONE, STEP)


# --- the law of one step --------------------------------------------------------------------------------------------


def plain_slope(lam, t, h, alphas, rounds):
    """A of the parallel step for the score -x/v(t): alphas (R, n)."""
    return parallel_midpoint(1.0, t, h, alphas, score_of(lam), rounds)


@functools.cache
def tensor(lam, t, h, strata, rounds, nodes):
    """A at every choice of the nodes of Gauss's rule, and the weights."""
    alphas, weights = strata_rule(strata, nodes)
    return plain_slope(lam, t, h, alphas, rounds), weights


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("lam, t, h", [(0.25, 1.0, 0.3), (4.0, 0.5, 0.3), (0.25, 0.31, 0.125)])
def test_cumulants_of_a_step(lam, t, h, rounds):
    """Mean and variance to rounding; the others up to the share of the variance that is not first order."""
    A, w = tensor(lam, t, h, 4, rounds, 9)
    step = schemes.parallel_midpoint(strata=4, rounds=rounds)
    x, weights = unit_rule(12)
    modes = rm.Gaussian.isotropic(lam, 1).modes
    chain = read_chain(step, footprint(step), modes, np.full((1, 1, 1), t), np.full((1, 1, 1), h), x)
    mean, *k, share = cumulants(chain, weights, 4)[:, 0, 0]
    off = A - w @ A
    second = w @ off**2
    assert mean == pytest.approx(w @ A, rel=1e-14)
    assert k[0] == pytest.approx(second, rel=1e-11)
    third, fourth = w @ off**3 / second**1.5, w @ off**4 / second**2 - 3
    assert abs(k[1] / second**1.5 - third) <= share + 1e-9
    assert abs(k[2] / second**2 - fourth) <= 2 * math.sqrt(share) * abs(fourth) + 1e-9
    if rounds == 0:
        assert share == 0
    assert share < 1e-3


@pytest.mark.parametrize("nodes", [2, 3, 6])
def test_gauss_rules_have_the_cumulants_they_were_made_of(nodes):
    """Of a sum of three different uniforms, whose cumulants are b_n w^n/n with Bernoulli's numbers."""
    widths = np.array([[1.0, 0.3, 2.0], [1e-9, 2e-9, 1e-8]])
    bernoulli = special.bernoulli(2 * nodes)
    due = np.array([(bernoulli[n] / n * widths**n).sum(axis=1) for n in range(2, 2 * nodes)])
    x, w = gauss(due, nodes)
    assert (w > 0).all()
    moments = [(w * x**n).sum(axis=1) for n in range(2 * nodes)]
    np.testing.assert_allclose(moments[0], 1, rtol=1e-13)
    np.testing.assert_allclose(moments[1], 0, atol=1e-13 * np.sqrt(due[0]).max())
    np.testing.assert_allclose(moments[2], due[0], rtol=1e-12)
    if nodes > 2:
        np.testing.assert_allclose(moments[4] - 3 * moments[2] ** 2, due[2], rtol=1e-9)


def test_a_law_of_no_spread_is_one_point():
    x, w = gauss(np.zeros((4, 2)), 3)
    assert (x == 0).all()
    np.testing.assert_allclose(w.sum(axis=1), 1)


def radial_tv(u, weights, dim):
    """TV of sum_j w_j N(0, e^{u_j} I) and N(0, I): one half of the integral of |p - q| over tau = ln(|x|^2/d)."""
    k = dim / 2
    tau = np.linspace(-14, 14, 4001) / math.sqrt(k)
    constant = k * math.log(k) - k - special.gammaln(k)

    def density(z):
        return np.exp(k * (z - np.expm1(z)) + constant)

    p = np.zeros_like(tau)
    for n in range(0, len(u), 500):
        p += density(tau[:, None] - u[n : n + 500]) @ weights[n : n + 500]
    return float(np.abs(p - density(tau)).sum() * (tau[1] - tau[0]) / 2)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [100, 100_000])
def test_one_step_of_six_strata_against_every_combination_of_midpoints(dim):
    """5^6 combinations. A sum of 4001 points, 28/4000 standard deviations apart, over the kinks of |p - q| is off by
    (28/4000)^2/8 of the slope there. At d = 10^5 the one step spreads ln s^2 as far as a Gaussian's radius: that its
    cumulants are not all exact is seen, and stated."""
    lam, t, h, rounds = 0.25, 0.8, 0.3, 2
    A, w = tensor(lam, t, h, 6, rounds, 5)
    v, end = (1 + (lam - 1) * math.exp(-2 * s) for s in (t, t - h))
    target = rm.Gaussian.isotropic(lam, dim)
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=6, rounds=rounds), [t, t - h])])
    law = rm.output_law(plan, target, start="exact")
    found = rm.tv(law, target.at(t - h))
    assert found.kind == "exact"
    assert abs(found - radial_tv(np.log(A**2 * v / end), w, dim)) <= found.error + 6e-6 * found
    assert found.error < {100: 1e-6, 100_000: 1e-3}[dim] * found


def test_many_steps_of_many_strata_against_simulation():
    """16 strata, 8 steps, d = 10^5: the mean of the densities of 4000 simulated midpoint paths, in 20 batches whose
    spread gives the standard error of their bias-corrected mean; six of them are allowed."""
    lam, dim, rounds = 0.25, 10**5, 1
    levels = np.linspace(2.0, 0.0, 9)
    target = rm.Gaussian.isotropic(lam, dim)
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=16, rounds=rounds), levels)])
    found = rm.tv(rm.output_law(plan, target, start="exact"), target)
    rng, paths = np.random.default_rng(5), 4000
    u = np.full(paths, math.log((1 + (lam - 1) * math.exp(-4.0)) / lam))
    for t, end in itertools.pairwise(levels):
        alphas = (np.arange(16)[:, None] + rng.random((16, paths))) / 16
        u += 2 * np.log(plain_slope(lam, t, t - end, alphas, rounds))
    whole = radial_tv(u, np.full(paths, 1 / paths), dim)
    parts = [radial_tv(z, np.full(len(z), 1 / len(z)), dim) for z in np.split(u, 20)]
    assert found.kind == "exact"
    assert abs(found - whole) < 6 * np.std(parts, ddof=1) / math.sqrt(20)
    assert found.error < 1e-5 * found


# --- counts beyond those that are run through -----------------------------------------------------------------------


def test_a_count_in_range_is_evaluated_as_it_is():
    step = schemes.parallel_midpoint(strata=COUNTS[-1], rounds=1)
    asked = []
    continued(lambda s: asked.append(schemes.parameters(s)["strata"]) or [np.ones(1)], step, [0])
    assert asked == [COUNTS[-1]]
    assert few(rm.Predict(step, [1.0, 0.5])).scheme is step


@pytest.mark.parametrize("power", [0, 3])
def test_sums_of_smooth_functions_are_continued(power):
    """The midpoint rule for e^x on [0, 1], times R^-power."""

    def rule(s):
        R = schemes.parameters(s)["strata"]
        return [np.array([np.exp((np.arange(R) + 0.5) / R).mean()]) / float(R) ** power]

    for R in (100, 1000):
        (found,), error = continued(rule, schemes.parallel_midpoint(strata=R, rounds=0), [power])
        due = rule(schemes.parallel_midpoint(strata=R, rounds=0))[0]
        assert abs(found - due) <= error
        assert abs(found / due - 1) < 1e-13


def test_an_error_is_stated_where_the_counts_do_not_settle():
    """|i/R - 1/3| has a kink that the strata meet in another place each time."""

    def kink(s):
        R = schemes.parameters(s)["strata"]
        return [np.array([np.abs((np.arange(R) + 0.5) / R - 1 / 3).mean()])]

    (found,), error = continued(kink, schemes.parallel_midpoint(strata=500, rounds=0), [0])
    assert abs(found - kink(schemes.parallel_midpoint(strata=500, rounds=0))[0]) <= error
    assert error > 1e-6


def test_moments_of_many_strata_are_those_of_the_chain_over_all():
    """100 strata, beyond `COUNTS`, against the chain over all of them and the leading term of the variance."""
    assert COUNTS[-1] < 100
    t, h, lam = 1.0, 2.0**-8, 0.4
    target = rm.Gaussian([0.7, 0.0], [lam, 3.0])
    step = schemes.parallel_midpoint(strata=100, rounds=2)
    law = rm.output_law(rm.Plan([rm.Predict(step, [t, t - h])]), target)
    rng = np.random.default_rng(0)
    given = law.conditional([(np.arange(100) + rng.random(100)) / 100])
    v = 1 + (lam - 1) * math.exp(-2 * t)
    spread = (2 * v - 1) ** 2 * h**4 / (12 * v**4 * 100**3)  # of A, given x
    assert law.means[0] == pytest.approx(given.means[0], abs=8 * math.sqrt(spread))
    assert law.rounding.max() < 1e-12
    exact = rm.local_error(step, rm.Gaussian([0.0], [lam]), t, h)
    single = rm.output_law(rm.Plan([rm.Predict(step, [t, t - h])]), rm.Gaussian([0.0], [lam]), start="exact")
    slope = math.sqrt((1 + (lam - 1) * math.exp(-2 * (t - h))) / v)
    due = (slope + math.copysign(math.sqrt(exact.bias / v), 1 - v)) ** 2 * v + exact.variance
    assert single.variances[0] == pytest.approx(due, rel=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [100, 10**6, 10**12])
def test_the_theorems_plan_is_within_eps_at_any_dimension(dim):
    """Up to 3 10^5 strata and 10^7 cells; exact, from N(0, I)."""
    target = rm.Gaussian.isotropic(0.25, dim)
    plan = rm.plans.parallel(dim, 4.0, 0.1)
    found = rm.tv(rm.output_law(plan, target), target.at(plan.end))
    assert found.kind == "exact"
    assert found.error < 0.01 * found
    assert found < 0.1
