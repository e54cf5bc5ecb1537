"""Laws given their midpoints, where the target is not Gaussian: against the map of the textbook's steps, 30 digits."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import mutants
import numpy as np
import pytest
from oracles import plain, textbook
from oracles.densities import DENSITIES
from scipy import special

import rmverify as rm
from rmverify import Correct, Plan, Predict, Product, output_law, schemes, targets
from rmverify.laws import NotMonotone
from rmverify.laws.line.given import transport_law

FACTORS = {
    "two": targets.TwoGaussians(1.5, 0.5),
    "skew": targets.SkewNormal(3.0, 0.5, 0.8),
    "uniform": targets.UniformGaussian(1.0, 0.25),
    "laplace": targets.LaplaceGaussian(1.0, 0.25),
    "exponential": targets.ExponentialGaussian(1.0, 0.25),
}
ARGUMENTS = {"two": (1.5, 0.5), "skew": (3.0, 0.5, 0.8), "uniform": (1.0, 0.25), "laplace": (1.0, 0.25),
             "exponential": (1.0, 0.25)}  # fmt: skip
TIMES = [1.25, 0.75, 0.5]
PARALLEL = schemes.parallel_midpoint(strata=2, rounds=1)
STEPS = {
    "euler": (schemes.euler, {}, None),
    "heun": (schemes.heun, {}, None),
    "midpoint": (schemes.midpoint, {}, None),
    "exponential_integrator": (schemes.exponential_integrator, {}, None),
    "randomized_midpoint": (schemes.randomized_midpoint, {}, [0.25, 0.875]),
    "importance_midpoint": (schemes.importance_midpoint, {}, [0.25, 0.875]),
    "parallel_midpoint": (PARALLEL, {"strata": 2, "rounds": 1}, [[0.125, 0.75], [0.5, 0.625]]),
}


def plain_map(step, parameters, alphas, name, times=TIMES):
    """x -> F(x) by the textbook's steps on the textbook's density."""
    density = {t: DENSITIES[name](t, *map(mp.mpf, ARGUMENTS[name])) for t in ()}

    def score(t, x):
        key = mp.nstr(t, 25)
        if key not in density:
            density[key] = DENSITIES[name](t, *map(mp.mpf, ARGUMENTS[name]))
        p = density[key]
        if name == "two":  # closed form: mpmath's differences would take most of the time
            decay = mp.exp(-t)
            v = decay**2 * mp.mpf("0.5") + 1 - decay**2
            a = decay * mp.mpf("1.5") * mp.sqrt(mp.mpf("0.5"))
            return (a * mp.tanh(a * x / v) - x) / v
        return mp.diff(lambda y: mp.log(p(y)), x)

    def F(x):
        for k, (t, end) in enumerate(itertools.pairwise(map(mp.mpf, times))):
            drawn = [] if alphas is None else [mp.mpf(a) for a in np.ravel(alphas[k])]
            x = step(x, t, t - end, drawn, score, **parameters)
        return x

    return F


def law_of(name, scheme, start="normal", times=TIMES):
    step, _, alphas = STEPS[scheme]
    return output_law(Plan([Predict(step, times)]), FACTORS[name], alphas=alphas, start=start)


@pytest.mark.parametrize("scheme", STEPS)
@pytest.mark.parametrize("name", FACTORS)
def test_points_go_where_the_textbook_takes_them(name, scheme):
    _, parameters, alphas = STEPS[scheme]
    z = np.array([-3.0, -0.4, 0.25, 2.5])
    found = law_of(name, scheme).carry(z)
    with mp.workdps(30):
        F = plain_map(textbook.PREDICTORS[scheme], parameters, alphas, name)
        for k, point in enumerate(z.tolist()):
            assert found.x[k] == pytest.approx(float(F(mp.mpf(point))), abs=1e-13)
            slope = mp.diff(F, mp.mpf(point), h=mp.mpf(10) ** -9)
            assert found.log_slope[k] == pytest.approx(float(mp.log(slope)), abs=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["normal", "exact"])
@pytest.mark.parametrize("scheme", ["heun", "randomized_midpoint"])
def test_densities_and_distances_by_plain_quadrature(scheme, start):
    """p(F(z)) = p_0(z)/F'(z), and int of |p_0 - q(F) F'| and its like over z, cut where they change sign."""
    _, parameters, alphas = STEPS[scheme]
    law, q = law_of("two", scheme, start), FACTORS["two"].at(TIMES[-1])
    with mp.workdps(25):
        F = plain_map(textbook.PREDICTORS[scheme], parameters, alphas, "two")
        begin = DENSITIES["two"](TIMES[0], *map(mp.mpf, ARGUMENTS["two"])) if start == "exact" else mp.npdf
        end = DENSITIES["two"](TIMES[-1], *map(mp.mpf, ARGUMENTS["two"]))

        def parts(z):
            return begin(z), end(F(z)) * mp.diff(F, z, h=mp.mpf(10) ** -8)

        z = mp.mpf("0.3")
        due = mp.log(begin(z) / mp.diff(F, z, h=mp.mpf(10) ** -8))
        assert law.log_density(float(F(z))) == pytest.approx(float(due), abs=1e-12)
        grid = [mp.mpf(k) / 2 for k in range(-19, 20)]
        gaps = [p - r for p, r in map(parts, grid)]
        cuts = list(grid)
        for a, b, left, right in zip(grid, grid[1:], gaps, gaps[1:], strict=False):
            if left * right < 0:
                cuts.append(mp.findroot(lambda y: parts(y)[0] - parts(y)[1], (a, b), solver="anderson", tol=1e-30))
        cuts = sorted(cuts)
        tv, kl, square = mp.mpf(0), mp.mpf(0), mp.mpf(0)
        nodes = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(3, 90)
        for a, b in itertools.pairwise(cuts):
            values = [(w * (b - a) / 2, *parts((a + b) / 2 + x * (b - a) / 2)) for x, w in nodes]
            tv += abs(sum(w * (p - r) for w, p, r in values)) / 2
            kl += sum(w * (p * mp.log(p / r) - p + r) for w, p, r in values)
            square += sum(w * (mp.sqrt(p) - mp.sqrt(r)) ** 2 for w, p, r in values) / 2
        found = rm.tv(law, q), rm.kl(law, q), rm.hellinger(law, q)
        for value, exact in zip(found, (tv, kl, mp.sqrt(square)), strict=True):
            assert value.kind == "exact"
            assert abs(value - float(exact)) <= 1e-10 * float(exact)
            assert value.error <= 1e-10 * value
            assert abs(value - float(exact)) <= value.error + 1e-15
        assert rm.kl(q, law).kind == "exact"


def test_a_gaussian_in_disguise():
    """Both peaks in one place: N(0, v) with v = 0.25, where a step multiplies x by a number."""
    plan, alphas = Plan([Predict(schemes.randomized_midpoint, TIMES)]), [0.25, 0.875]
    law = output_law(plan, targets.TwoGaussians(0.0, 0.25), alphas=alphas)
    slope = 1.0
    for (t, end), a in zip(itertools.pairwise(TIMES), alphas, strict=True):
        slope *= plain.slope(0.25, t, t - end, a)
    assert law.mean == pytest.approx(0, abs=1e-14)
    assert law.variance == pytest.approx(slope**2, rel=1e-13)
    x = np.array([-1.0, 0.0, 2.0])
    due = -(x**2) / (2 * slope**2) - math.log(2 * math.pi * slope**2) / 2
    np.testing.assert_allclose(law.log_density(x), due, atol=1e-13)
    np.testing.assert_allclose(law.inverse(x), x / slope, rtol=1e-13, atol=1e-16)


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTORS)
def test_densities_integrate_to_one(name):
    """By equidistant points, to rounding for an analytic density; so do the moments."""
    law, x = law_of(name, "randomized_midpoint"), np.linspace(-20, 20, 4001)
    mass = law.density(x) * (x[1] - x[0])
    assert mass.sum() == pytest.approx(1, abs=1e-12)
    assert law.mean == pytest.approx(mass @ x, abs=1e-11)
    assert law.variance == pytest.approx(mass @ (x - mass @ x) ** 2, rel=1e-11)


def test_inverses_are_inverses():
    law = law_of("laplace", "heun")
    z = np.linspace(-6, 6, 41)
    np.testing.assert_allclose(law.inverse(law.carry(z).x), z, atol=1e-13)
    assert float(np.exp(law.log_density(0.3))) == float(law.density(0.3))


def test_rounding_is_what_balls_say():
    """ln F' and x in float64 against the same steps over balls, over many steps."""
    import flint

    plan = Plan([Predict(schemes.randomized_midpoint, np.geomspace(3, 0.01, 40))])
    law = output_law(plan, FACTORS["two"], alphas=[((7 * k) % 10 + 0.5) / 10 for k in range(39)])
    z = np.array([-2.0, -0.1, 0.5, 3.0])
    found = law.carry(z)
    with flint.ctx.workprec(200):
        x, log_slope = law.carry_balls(z)
    for k in range(z.size):
        assert abs(found.log_slope[k] - float(log_slope[k])) <= 4 * found.rounding[k] * (1 + z[k] ** 2)
        assert abs(found.x[k] - float(x[k])) <= 4 * found.rounding[k] * (1 + abs(found.x[k]))


@pytest.mark.slow
def test_laws_nearly_right_keep_their_digits():
    """Where the loss is small the steps run over balls: Heun's error is of second order to all digits."""
    times = np.geomspace(0.6, 0.5, 13)
    law = output_law(Plan([Predict(schemes.heun, times)]), FACTORS["two"], start="exact")
    q = FACTORS["two"].at(0.5)
    fine = rm.tv(law, q)
    assert 0 < fine < 1e-4
    assert fine.error <= 1e-9 * fine
    coarse = rm.tv(output_law(Plan([Predict(schemes.heun, times[::2])]), FACTORS["two"], start="exact"), q)
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.02)  # of second order


# ------------------------------------------------------------------- products


def test_coordinates_share_their_midpoints():
    plan, alphas = Plan([Predict(schemes.randomized_midpoint, TIMES)]), [0.25, 0.875]
    one, many = (output_law(plan, t, alphas=alphas) for t in (FACTORS["skew"], Product(FACTORS["skew"], 10**12)))
    assert (one.dim, many.dim) == (1, 10**12)
    assert (one.mean, one.variance) == (many.mean, many.variance)
    assert rm.kl(many, Product(FACTORS["skew"], 10**12).at(0.5)) == pytest.approx(
        1e12 * float(rm.kl(one, FACTORS["skew"].at(0.5))), rel=1e-13
    )


@pytest.mark.slow
def test_draws_have_the_law():
    """Kolmogorov's distance of 2 10^4 draws to the density's integral, at one in 10^4."""
    law = output_law(Plan([Predict(schemes.heun, TIMES)]), Product(FACTORS["exponential"], 2))
    x = np.sort(law.sample(10_000, rng=5).ravel())
    assert law.sample(3, rng=5).shape == (3, 2)
    rank = special.ndtr(law.inverse(x))  # the start is N(0, 1)
    gap = np.abs(rank - (np.arange(x.size) + 0.5) / x.size).max()
    assert gap < math.sqrt(math.log(2 / 1e-4) / (2 * x.size)) + 0.5 / x.size
    assert rank[0] < 0.001
    assert rank[-1] > 0.999
    with pytest.raises(ValueError, match=r"^dim: expected at most .* coordinates to draw, got 1000000000000"):
        output_law(Plan([Predict(schemes.heun, TIMES)]), Product(FACTORS["two"], 10**12)).sample(1)


# ------------------------------------------------------------------- what is refused


def test_a_map_that_turns_over_is_reported_not_integrated_through():
    """x + 4 h s from level 0.5: the slope 1 + 4 h s' of the second step is negative where the density falls steeply."""
    target = targets.TwoGaussians(1.5, 0.05)

    @schemes.scheme
    def eager(x, t, h, score, draw):
        return x + 4 * h * score(t, x)

    law = output_law(Plan([Predict(eager, [0.51, 0.5, 0.1])]), target)
    assert 1 + 1.6 * target.slope(0.5, 3.0) < 0 < 1 + 0.04 * target.slope(0.51, 0.0)
    for ask in (lambda: rm.tv(law, target.at(0.1)), lambda: rm.kl(law, target.at(0.1)), lambda: law.density(0.0)):
        with pytest.raises(
            NotMonotone,
            match=r"^plan: the step of .* from level 0\.5 is too long: its map has slope -.* folds the line",
        ):
            ask()


def test_noise_beside_given_midpoints_is_refused():
    plan = Plan([Predict(schemes.randomized_midpoint, TIMES), Correct(schemes.overdamped, 0.5, 0.1, 2)])
    with pytest.raises(TypeError, match="rmverify.sample"):
        output_law(plan, FACTORS["two"], alphas=[0.25, 0.75])


@pytest.mark.parametrize("alphas", [[0.5], [0.5, 0.5, 0.5], [0.5, 1.5], [0.5, math.nan], "ab"])
def test_midpoints_that_do_not_fit_are_refused(alphas):
    with pytest.raises((ValueError, TypeError), match="alphas: expected"):
        output_law(Plan([Predict(schemes.randomized_midpoint, TIMES)]), FACTORS["two"], alphas=alphas)


def test_laws_without_midpoints_are_refused_where_steps_draw_them():
    with pytest.raises(ValueError, match=r"^alphas: expected an entry for each of 2 steps that draw, got None; "):
        transport_law(Plan([Predict(schemes.randomized_midpoint, TIMES)]), Product(FACTORS["two"], 3), None, "normal")


def test_any_factor_may_start():
    """A normal law of another variance: p(F(z)) = p_0(z)/F'(z)."""
    plan, z = Plan([Predict(schemes.heun, TIMES)]), np.array([-0.7, 0.0, 1.1])
    law = output_law(plan, FACTORS["skew"], start=targets.TwoGaussians(0.0, 2.25))
    usual = output_law(plan, FACTORS["skew"]).carry(z)
    due = -(z**2) / 4.5 - math.log(2 * math.pi * 2.25) / 2 - usual.log_slope
    np.testing.assert_allclose(law.log_density(usual.x), due, atol=1e-12)
    again = output_law(plan, FACTORS["skew"], start=FACTORS["skew"].at(TIMES[0]))
    exact = output_law(plan, FACTORS["skew"], start="exact")
    assert rm.tv(again, FACTORS["skew"].at(0.5)) == pytest.approx(
        float(rm.tv(exact, FACTORS["skew"].at(0.5))), rel=1e-9
    )


@pytest.mark.parametrize("start", ["uniform", None, 3.0])
def test_other_starts_are_refused(start):
    with pytest.raises(ValueError, match=r"^start: expected .*got"):
        output_law(Plan([Predict(schemes.heun, TIMES)]), FACTORS["two"], start=start)


def test_two_outputs_are_not_compared():
    law = law_of("two", "heun")
    with pytest.raises(TypeError, match="at most one of the laws"):
        rm.tv(law, law)


def test_an_unstable_plan_is_refused():
    @schemes.scheme
    def exploding(x, t, h, score, draw):
        return 1e200 * x + score(t, x)

    with pytest.raises(
        OverflowError, match=r"^scheme: unstable: the law overflows in the stage that ends at level 0\.5"
    ):
        rm.tv(output_law(Plan([Predict(exploding, TIMES)]), FACTORS["two"]), FACTORS["two"].at(0.5))


# ------------------------------------------------------------------- mutants

WRONG = {
    name: m
    for name, m in mutants.load().items()
    if m.of == "randomized_midpoint" and m.killed_by != "every_place"  # these are refused, or wrong elsewhere
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_midpoints_move_the_density(name):
    """Each by far more than the law's own error, on a target that is neither symmetric nor Gaussian."""
    plan, z = Plan([Predict(WRONG[name].step, TIMES)]), np.array([-1.0, 0.5, 1.5])
    drawn = {0: None, 1: [0.25, 0.875], 2: [[0.25, 0.6], [0.875, 0.4]]}[plan.stages[0].footprint.alphas]
    wrong = output_law(plan, FACTORS["skew"], alphas=drawn)
    right = law_of("skew", "randomized_midpoint").carry(z)
    try:
        assert np.abs(wrong.carry(z).x - right.x).max() > 1e-4
    except NotMonotone:
        assert (right.log_slope > -1).all()  # the right one is far from folding
