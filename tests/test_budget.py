"""Budgets against plain loops over the textbook's formulas: the setting, the plans, the search, one law."""

from __future__ import annotations

import functools
import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from oracles import plain
from oracles.plain import isotropic_tv, noised, unit_rule

from rmverify import Gaussian, output_law, sample, schemes, tv
from rmverify.divergences import expected_tv
from rmverify.io import read_covariance
from rmverify.plans import Correct, Predict, schedule
from rmverify.plans.schedules import MOST_STEPS, Levels
from rmverify.schemes.contract import name as name_of
from rmverify.studies.budget import PREDICTORS, budget, describe, setting
from rmverify.tasks import pool

DETERMINISTIC = ("euler", "exponential_integrator", "heun", "midpoint")


# --- the textbook -----------------------------------------------------------------------------------------------


def step(scheme: str, lam, mean, t: float, h: float, a: float = 0.5):
    """(A, b): the step x' = A x + b of a scheme with midpoint a, on the score -(x - e^{-t} mean)/v(t)."""
    midpoints = (a,) if scheme.endswith("midpoint") else ()
    move = plain.randomized_midpoint if midpoints else getattr(plain, scheme)
    b, top = (move(x, t, h, *midpoints, plain.score_of(lam, mean)) for x in (0.0, 1.0))
    return top - b, b


def corrected(lam, mean, t: float, h: float, friction: float, n: int, m, v):
    """Mean and variance after n exponential-integrator steps of underdamped Langevin from a fresh velocity."""
    k = 1 / noised(lam, t)
    ((a, b), (c, d)), ((x_x, x_v), (_, v_v)) = plain.langevin(k, friction, h)
    center = math.exp(-t) * mean
    m, w = m - center, np.zeros_like(lam)
    c_xx, c_xv, c_vv = v, np.zeros_like(lam), np.ones_like(lam)
    for _ in range(n):
        m, w = a * m + b * w, c * m + d * w
        c_xx, c_xv, c_vv = (
            a * a * c_xx + 2 * a * b * c_xv + b * b * c_vv + x_x,
            a * c * c_xx + (a * d + b * c) * c_xv + b * d * c_vv + x_v,
            c * c * c_xx + 2 * c * d * c_xv + d * d * c_vv + v_v,
        )
    return m + center, c_xx


def windows(lam, levels):
    """Indices at which a window ends: the first level at or below max(t - 1/L(t), t/2, delta)."""
    first, delta = 0, levels[-1]
    while first < len(levels) - 1:
        t = levels[first]
        smoothness = max(1.0, float((1 / noised(lam, t)).max()))
        edge = max(t - 1 / smoothness, t / 2, delta)
        last = next(k for k in range(first + 1, len(levels)) if levels[k] <= edge or k == len(levels) - 1)
        yield first, last
        first = last


def output(scheme, corrector, lam, mean, dim, where, steps, *, exact_start=False, alphas=None):
    """Mean and variance of every mode after a plan, and what one run of it costs; a path of midpoints for every row."""
    space = np.geomspace if where.grid == "geometric" else np.linspace
    levels = space(where.horizon, where.early_stop, steps + 1)
    levels[0], levels[-1] = where.horizon, where.early_stop
    alphas = np.full(steps, 0.5) if alphas is None else alphas
    top = where.horizon
    m, v = (math.exp(-top) * mean, noised(lam, top)) if exact_start else (0 * lam, 1 + 0 * lam)
    evaluations = 0
    for first, last in windows(lam, levels) if corrector else [(0, steps)]:
        for k in range(first, last):
            a, b = step(scheme, lam, mean, levels[k], levels[k] - levels[k + 1], alphas[k])
            m, v = a * m + b, a * a * v
            evaluations += 1 if scheme in ("euler", "exponential_integrator") else 2
        if corrector:
            t, count = levels[last], last - first
            root = math.sqrt(max(1.0, float((1 / noised(lam, t)).max())))
            m, v = corrected(lam, mean, t, 1 / (root * dim ** (1 / 18)) / count, root, count, m, v)
            evaluations += count
    return m, v, evaluations


def planar_tv(a, b, rays: int = 1 << 14) -> float:
    """TV of two centred Gaussians of two modes: along every ray p - q changes its sign at most once."""
    theta = (np.arange(rays) + 0.5) * (math.pi / 2 / rays)  # one quadrant stands for all
    cos, sin = np.cos(theta) ** 2, np.sin(theta) ** 2
    A, B = cos / a[0] + sin / a[1], cos / b[0] + sin / b[1]
    P, Q = 1 / (2 * math.pi * math.sqrt(a[0] * a[1])), 1 / (2 * math.pi * math.sqrt(b[0] * b[1]))
    with np.errstate(divide="ignore"):
        square = np.maximum(2 * math.log(P / Q) / (A - B), 0.0)

    def mass(height, rate, r2):  # the integral of height e^{-rate r^2/2} r from 0 to r
        return height / rate * -np.expm1(-rate * r2 / 2)

    inside = mass(P, A, square) - mass(Q, B, square)
    beyond = P / A - Q / B - inside
    return float(4 * (np.abs(inside) + np.abs(beyond)).mean() * (math.pi / 2) / 2)


# kinks of the integrand in the angle leave the midpoint rule an error of the order of 1/rays^2
PLANAR_ERROR = 1e-7


# --- setting ----------------------------------------------------------------------------------------------------

TARGETS = [
    ([0.25], [1], [0.0]),
    ([4.0], [3], [0.0]),
    ([0.01, 1.0, 9.0], [1, 1, 1], [0.0, 0.0, 0.0]),
    ([0.0, 2.0], [1, 1], [0.0, 0.0]),
    ([0.5, 1.0, 16.0], [2, 5, 1], [1.0, -2.0, 0.5]),
]


@pytest.mark.parametrize("variances, counts, means", TARGETS)
def test_the_early_stop_costs_one_percent_of_the_spread(variances, counts, means):
    with mp.workdps(40):
        modes = [(mp.mpf(v), n, mp.mpf(m)) for v, n, m in zip(variances, counts, means, strict=True)]
        scale = mp.sqrt(mp.fsum(n * v for v, n, _ in modes))

        def distance(t):
            parts = [
                n * ((mp.sqrt(v * mp.exp(-2 * t) - mp.expm1(-2 * t)) - mp.sqrt(v)) ** 2 + (m * mp.expm1(-t)) ** 2)
                for v, n, m in modes
            ]
            return mp.sqrt(mp.fsum(parts))

        low, high = mp.mpf("1e-10"), mp.mpf(40)
        assert distance(low) < scale / 100 < distance(high)
        for _ in range(200):
            middle = mp.sqrt(low * high)
            low, high = (middle, high) if distance(middle) < scale / 100 else (low, middle)
        expected, error = float(low), float(scale / 100)
    where = setting(Gaussian.from_spectrum(variances, counts, means), 0.1)
    assert where.early_stop == pytest.approx(expected, rel=1e-8)  # the root is found to 1e-10 in ln t
    assert where.early_stop_error == pytest.approx(error, rel=1e-8)


@pytest.mark.parametrize("accuracy", [0.5, 0.1, 1e-4, 1e-8])
@pytest.mark.parametrize("variance, dim", [(0.25, 1), (0.25, 100), (4.0, 3), (1e6, 2)])
def test_the_start_costs_a_tenth_of_the_request(variance, dim, accuracy):
    with mp.workdps(40):

        def law(x):  # the chi-square law
            return mp.gammainc(mp.mpf(dim) / 2, 0, x / 2, regularized=True)

        def distance(t):
            v = 1 + (mp.mpf(variance) - 1) * mp.exp(-2 * t)
            radius = dim * mp.log(v) / (1 - 1 / v)
            return abs(law(radius) - law(radius / v))

        low, high = mp.mpf("1e-6"), mp.mpf(40)
        assert distance(high) < mp.mpf(accuracy) / 10 < distance(low)
        for _ in range(120):
            middle = mp.sqrt(low * high)
            low, high = (middle, high) if distance(middle) > mp.mpf(accuracy) / 10 else (low, middle)
        expected = float(high)
    where = setting(Gaussian.isotropic(variance, dim), accuracy, early_stop=1e-7)
    assert where.horizon == pytest.approx(expected, rel=1e-7)  # 1e-10 in ln t, rounding of TV, and a margin of 1e-9
    assert where.start_error == pytest.approx(accuracy / 10, rel=1e-6)
    # the variance that is compared with 1 is rounded
    slack = 2**-52 / abs(float(noised(variance, where.horizon)) - 1)
    assert where.start_error <= accuracy / 10 * (1 + slack)


def test_the_error_of_the_start_holds_its_rounding():
    target = Gaussian.isotropic(0.25, 1)
    for horizon in (8.0, 9.5, 12.0):
        found = setting(target, 0.1, horizon=horizon).start_error
        with mp.workdps(40):
            v = 1 - mp.mpf(3) / 4 * mp.exp(-2 * mp.mpf(horizon))
            radius = mp.log(v) / (1 - 1 / v)
            truth = mp.erf(mp.sqrt(radius / v / 2)) - mp.erf(mp.sqrt(radius / 2))
            assert abs(truth - float(found)) <= found.error


def test_the_start_of_a_shifted_law_is_an_error_function():
    """Of N(m, 1): TV(N(e^{-T} m, 1), N(0, 1)) = erf(e^{-T} |m|/sqrt 8)."""
    where = setting(Gaussian([3.0], [1.0]), 0.1)
    assert math.erf(math.exp(-where.horizon) * 3 / math.sqrt(8)) == pytest.approx(0.01, rel=1e-7)


def test_levels_that_are_given_are_kept_and_their_errors_reported():
    where = setting(Gaussian.isotropic(4.0, 3), 0.1, early_stop=0.125, horizon=0.5, grid="uniform")
    assert (where.early_stop, where.horizon, where.grid) == (0.125, 0.5, "uniform")
    stopped, top = (float(noised(4.0, t)) for t in (0.125, 0.5))
    assert where.early_stop_error == pytest.approx(math.sqrt(3) * (2 - math.sqrt(stopped)), rel=1e-12)
    assert where.start_error == pytest.approx(isotropic_tv(top, 1.0, 3), rel=1e-10)
    assert (where.smoothness, where.data_smoothness) == (1.0, 1.0)  # no mode is narrower than the noise


@pytest.mark.parametrize("variance, dim", [(0.25, 3), (4.0, 50), (1e-6, 2), (1e6, 1000)])
def test_the_early_stop_costs_a_total_variation_too(variance, dim):
    where = setting(Gaussian.isotropic(variance, dim), 0.1)
    truth = isotropic_tv(float(noised(variance, where.early_stop)), variance, dim)
    assert where.early_stop_tv == pytest.approx(truth, rel=1e-7)  # chi-square laws that differ by little
    for most in (0.3, 0.02):
        delta = setting(Gaussian.isotropic(variance, dim), 0.1, early_stop_tv=most).early_stop
        truth = isotropic_tv(float(noised(variance, delta)), variance, dim)
        assert most * (1 - 1e-6) < truth <= most * (1 + 1e-9)


def test_singular_data_are_at_total_variation_one_from_every_level():
    target = Gaussian([0.0, 0.0], [0.0, 2.0])
    assert setting(target, 0.1).early_stop_tv == 1
    with pytest.raises(ValueError, match="early_stop_tv: the data are singular"):
        setting(target, 0.1, early_stop_tv=0.1)


def test_the_smoothness_is_that_of_the_narrowest_mode():
    where = setting(Gaussian([0.0, 0.0], [0.0, 2.0]), 0.1, early_stop=0.01)
    assert where.smoothness == pytest.approx(1 / -math.expm1(-0.02), rel=1e-13)
    assert where.data_smoothness == math.inf


def test_the_horizon_is_above_the_early_stop():
    where = setting(Gaussian.isotropic(1.0, 3), 0.1, early_stop=2.0)  # every level of N(0, I) is N(0, I)
    assert where.horizon > where.early_stop == 2.0


@pytest.mark.parametrize("variance", [1e-12, 1e-16, 1e90])
def test_the_defaults_keep_their_promise_on_every_scale(variance):
    where = setting(Gaussian.isotropic(variance, 2), 0.1)
    assert where.early_stop_error <= 0.01 * math.sqrt(2 * variance) * (1 + 1e-8)
    assert where.start_error <= 0.01 * (1 + 1e-8)


@pytest.mark.parametrize(
    "options",
    [
        {"accuracy": 0},
        {"accuracy": 1},
        {"accuracy": -0.1},
        {"accuracy": math.nan},
        {"early_stop": 0},
        {"early_stop": math.nan},
        {"early_stop": math.inf},
        {"horizon": 0},
        {"horizon": math.inf},
        {"horizon": 1e6},
        {"early_stop_tv": 0},
        {"early_stop_tv": 1},
        {"early_stop_tv": math.nan},
        {"early_stop_tv": 0.1, "early_stop": 0.1},
        {"early_stop": 1, "horizon": 1},
        {"early_stop": 2, "horizon": 1},
        {"grid": "sine"},
        {"target": Gaussian([1.0], [0.0])},
    ],
)
def test_settings_that_make_no_sense_are_refused(options):
    arguments = {"target": Gaussian.isotropic(4.0, 3), "accuracy": 0.1} | options
    with pytest.raises(ValueError, match=rf"^({'|'.join(options)}): "):
        setting(arguments.pop("target"), arguments.pop("accuracy"), **arguments)


# --- schedule ---------------------------------------------------------------------------------------------------

THREE = np.array([0.01, 0.5, 9.0])


@pytest.mark.parametrize("grid, space", [("geometric", np.geomspace), ("uniform", np.linspace)])
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_a_plan_without_a_corrector_goes_down_the_grid(grid, space, steps):
    target = Gaussian(np.zeros(3), THREE)
    where = setting(target, 0.1, grid=grid)
    (stage,) = schedule(target, schemes.heun, where, steps, corrector=False)
    assert (stage.times[0], stage.times[-1]) == (where.horizon, where.early_stop)
    expected = space(where.horizon, where.early_stop, steps + 1)
    assert stage.times == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("grid", ["geometric", "uniform"])
@pytest.mark.parametrize("steps", [1, 3, 10, 101])
@pytest.mark.parametrize("constant", [1.0, 0.3])
def test_the_corrector_ends_every_window(grid, steps, constant):
    target = Gaussian(np.zeros(3), THREE)
    where = setting(target, 0.1, grid=grid)
    plan = schedule(target, schemes.midpoint, where, steps, corrector=True, corrector_time=constant)
    predictors, correctors = plan.stages[::2], plan.stages[1::2]
    assert all(isinstance(stage, Predict) for stage in predictors)
    assert all(isinstance(stage, Correct) for stage in correctors)
    levels = np.concatenate([predictors[0].times[:1], *(stage.times[1:] for stage in predictors)])
    assert levels.size == steps + 1
    ends = list(windows(THREE, levels))
    assert [len(stage) for stage in predictors] == [last - first for first, last in ends]
    for stage, before, (_, last) in zip(correctors, predictors, ends, strict=True):
        root = math.sqrt(max(1.0, (1 / noised(THREE, levels[last])).max()))
        assert stage.time == levels[last]
        assert len(stage) == len(before)
        assert stage.scheme.keywords["friction"] == pytest.approx(root, rel=1e-12)
        assert stage.step * len(stage) == pytest.approx(constant / (root * 3 ** (1 / 18)), rel=1e-12)


@pytest.mark.parametrize("variance", [1.0, 4.0])
def test_a_window_that_ends_at_a_level_ends_there_however_that_is_rounded(variance):
    """L = 1, the least there is, and levels from 2 down, ten to each half: every window, which halves the level, has
    ten steps."""
    plan = schedule(Gaussian.isotropic(variance, 3), schemes.heun, Levels(2.0**-11, 2.0), 120, corrector=True)
    assert [len(stage) for stage in plan] == [10] * 24
    for stage in plan.stages[1::2]:
        assert stage.scheme.keywords["friction"] == 1.0
        assert stage.step * len(stage) == pytest.approx(3 ** (-1 / 18), rel=1e-12)


def test_schedules_that_make_no_sense_are_refused():
    target, where = Gaussian.from_spectrum([0.0, 1.0], [1, 2]), Levels(0.0, 3.0, "uniform")
    with pytest.raises(ValueError, match="^where: expected Levels, got NoneType"):
        schedule(target, schemes.heun, None, 10)
    with pytest.raises(ValueError, match="^corrector_time: expected a number > 0, got 0"):
        schedule(target, schemes.heun, where, 10, corrector=True, corrector_time=0)
    with pytest.raises(ValueError, match="^where: the target is singular at level 0, so that no corrector"):
        schedule(target, schemes.heun, where, 10, corrector=True)
    assert schedule(target, schemes.heun, where, 10).end == 0


@pytest.mark.parametrize("corrector", [False, True])
def test_plans_that_no_memory_holds_are_refused_with_the_count(corrector):
    target = Gaussian.isotropic(4.0, 3)
    with pytest.raises(ValueError, match=f"steps: .* at most {MOST_STEPS}; got 1000000000"):
        schedule(target, schemes.heun, setting(target, 0.1), 10**9, corrector=corrector)
    with pytest.raises(ValueError, match=f"steps: .* at most {MOST_STEPS}; got {MOST_STEPS + 1}"):
        Levels(0.01, 3.0).of(MOST_STEPS + 1)
    with pytest.raises(ValueError, match="max_steps: expected"):
        budget(target, max_steps=MOST_STEPS + 1)


@pytest.mark.parametrize("corrector", [False, True])
@pytest.mark.parametrize("scheme", PREDICTORS, ids=name_of)
def test_evaluations_are_those_that_a_score_counts(scheme, corrector):
    target = Gaussian(np.zeros(3), THREE)
    plan = schedule(target, scheme, setting(target, 0.3), 9, corrector=corrector)
    asked = []

    def score(t, x):
        asked.append(x.size // 3)
        return target.score(t, x)

    sample(plan, score, 5, 3, rng=0)
    once = (schemes.euler, schemes.exponential_integrator, schemes.exponential_sde, schemes.ddpm)
    cost = corrector + (1 if scheme in once else 13 if name_of(scheme) == "parallel_midpoint" else 2)
    assert sum(asked) == 5 * plan.evaluations == 5 * 9 * cost
    assert len(asked) == plan.rounds


# --- budget -----------------------------------------------------------------------------------------------------


def check_row(row, distance, accuracy, margin):
    """The plan reported reaches the accuracy and the one with a step less does not, by an independent distance."""
    assert row.exact
    assert row.lower == row.upper
    value, evaluations = distance(row.upper.steps)
    assert row.upper.tv == pytest.approx(value, abs=margin)
    assert value <= accuracy + margin
    assert row.upper.evaluations == evaluations
    if row.upper.steps > 1:
        assert distance(row.upper.steps - 1)[0] > accuracy - margin
    resolved = 0
    for point in row.curve:
        value = distance(point.steps)[0]
        if not math.isnan(value):
            assert point.tv == pytest.approx(value, abs=margin)
            resolved += 1
    assert 2 * resolved >= len(row.curve)
    assert row.discretization == pytest.approx(distance(row.upper.steps, exact_start=True)[0], abs=margin)
    steps = [point.steps for point in row.curve]
    assert steps == sorted(set(steps))
    assert {row.upper.steps, row.upper.steps - 1} - {0} <= set(steps)


@pytest.mark.slow
@pytest.mark.parametrize("grid", ["geometric", "uniform"])
@pytest.mark.parametrize("variance, dim, accuracy", [(0.25, 3, 0.1), (4.0, 50, 0.1), (0.01, 2, 0.3)])
def test_isotropic_budgets_by_the_chi_square_law(variance, dim, accuracy, grid):
    answer = budget(
        Gaussian.isotropic(variance, dim),
        accuracy,
        predictors=[getattr(schemes, name) for name in DETERMINISTIC],
        grid=grid,
    )
    lam, mean = np.array([variance]), np.zeros(1)
    names = [(row.scheme, row.corrector) for row in answer.rows]
    assert names == [(name, corrector) for corrector in (False, True) for name in DETERMINISTIC]
    for row in answer.rows:

        def distance(steps, exact_start=False, row=row):
            m, v, cost = output(
                row.scheme, row.corrector, lam, mean, dim, answer.setting, steps, exact_start=exact_start
            )
            assert m[0] == 0
            return isotropic_tv(float(v[0]), float(noised(variance, answer.setting.early_stop)), dim), cost

        check_row(row, distance, accuracy, 1e-10)  # chi-square laws to 1e-12, textbook formulas that cancel to 1e-11


@pytest.mark.slow
@pytest.mark.parametrize("variances", [[0.02, 3.0], [0.0, 0.5], [0.3, 0.7]])
def test_budgets_of_two_modes_by_integrals_along_rays(variances):
    lam, accuracy = np.array(variances), 0.05
    answer = budget(Gaussian(np.zeros(2), lam), accuracy, predictors=[getattr(schemes, n) for n in DETERMINISTIC])
    goal = noised(lam, answer.setting.early_stop)
    for row in answer.rows:

        def distance(steps, exact_start=False, row=row):
            _, v, cost = output(
                row.scheme, row.corrector, lam, np.zeros(2), 2, answer.setting, steps, exact_start=exact_start
            )
            thin = max((v / goal).max(), (goal / v).max()) > 1e4  # narrower than the rays are apart
            return (math.nan if thin else planar_tv(v, goal)), cost

        check_row(row, distance, accuracy, PLANAR_ERROR)


@pytest.mark.parametrize("variances, accuracy", [([0.004, 4.0], 0.1), ([0.002, 7.5], 0.2), ([0.0015, 1.0], 0.1)])
def test_the_answer_is_the_first_plan_that_reaches(variances, accuracy):
    lam = np.array(variances)
    answer = budget(Gaussian(np.zeros(2), lam), accuracy, predictors=[schemes.heun], correctors=[False])
    (row,) = answer.rows
    goal = noised(lam, answer.setting.early_stop)
    for steps in range(1, row.upper.steps):
        _, v, _ = output("heun", False, lam, np.zeros(2), 2, answer.setting, steps)
        assert planar_tv(v, goal) > accuracy, steps


def quadratic_tail(weights, level, points=6000, reach=60.0):
    """P(sum w z^2 > level), z standard normal, by the inversion formula of Gil-Pelaez on a grid."""
    size = math.sqrt(2 * float((weights**2).sum()))
    u = (np.arange(points) + 0.5) * (reach / size / points)
    z = np.multiply.outer(u, 2 * weights)
    phase = np.arctan(z).sum(axis=1) / 2 - u * level
    envelope = np.exp(-np.log1p(z**2).sum(axis=1) / 4)
    return 0.5 + float((np.sin(phase) * envelope / u).sum()) * reach / size / points / math.pi


def dense_tv(v, w):
    """TV of two centred Gaussians of variances v and w: P(l > 0) - Q(l > 0), l = ln(p/q) a quadratic form."""
    level = float(np.log(v / w).sum())  # l > 0: sum x^2 (1/w - 1/v) > sum ln(v/w)
    return quadratic_tail(v / w - 1, level) - quadratic_tail(1 - w / v, level)


@pytest.fixture(scope="module")
def digits():
    return np.maximum(np.linalg.eigvalsh(read_covariance("digits")), 0.0)


def test_the_inversion_formula_agrees_with_chi_square_laws():
    for a, b, dim in ((1.3, 1.0, 5), (0.9, 1.0, 64), (1.01, 1.0, 1000)):
        assert dense_tv(np.full(dim, a), np.full(dim, b)) == pytest.approx(isotropic_tv(a, b, dim), abs=1e-6)


@pytest.mark.slow
def test_the_least_number_of_steps_is_the_least_although_the_next_ones_fail(digits):
    """The exponential integrator with corrector on the digits: 51 steps are enough, 53 to 57 are not."""
    target = Gaussian(np.zeros(64), read_covariance("digits"))
    answer = budget(target, 0.1, predictors=[schemes.exponential_integrator], correctors=[True])
    (row,) = answer.rows
    goal = noised(digits, answer.setting.early_stop)

    def distance(steps):
        plan = "exponential_integrator", True, digits, np.zeros(64), 64, answer.setting, steps
        _, v, cost = output(*plan)
        return dense_tv(v, goal), cost

    assert (row.upper.steps, row.upper.evaluations, distance(51)[1]) == (51, 102, 102)
    assert row.upper.tv == pytest.approx(distance(51)[0], abs=1e-6)
    assert row.upper.tv == pytest.approx(0.0982, abs=5e-5)
    assert all(distance(steps)[0] > 0.1 for steps in (*range(20, 51), *range(53, 58)))
    assert row.proved
    assert (row.tried, row.lower) == (51, row.upper)


def test_a_turned_covariance_has_the_same_budget():
    lam, mean = np.array([0.0, 0.0, 0.3, 2.0]), np.array([1.0, 2.0, -1.0, 0.5])
    turn, _ = np.linalg.qr(np.random.default_rng(4).standard_normal((4, 4)))
    straight, turned = (
        budget(Gaussian(m, C), 0.2, predictors=[schemes.heun])
        for m, C in ((mean, lam), (turn @ mean, (turn * lam) @ turn.T))
    )
    assert turned.setting.early_stop == pytest.approx(straight.setting.early_stop, rel=1e-9)
    for one, other in zip(straight.rows, turned.rows, strict=True):
        assert one.upper.steps == other.upper.steps
        assert float(one.upper.tv) == pytest.approx(float(other.upper.tv), rel=1e-9)


def smooth_images():
    """A smooth kernel on 28 x 28 whose border is dark."""
    x = np.stack(np.meshgrid(np.arange(28.0), np.arange(28.0)), axis=-1).reshape(-1, 2) - 13.5
    kernel = np.exp(-((x[:, None] - x) ** 2).sum(axis=-1) / 18)
    mask = np.exp(-(x**2).sum(axis=-1) / 50) * (np.abs(x).max(axis=1) < 10)
    return np.maximum(np.linalg.eigvalsh(kernel * np.outer(mask, mask)), 0.0)


INDEX = np.arange(1.0, 785.0)
SPECTRA = {
    "i^-1": lambda: 1 / INDEX,
    "i^-1.5": lambda: INDEX**-1.5,
    "i^-2": lambda: INDEX**-2.0,
    "exponential": lambda: np.exp(-INDEX[:300] / 8),
    "images": smooth_images,
    "rank": lambda: np.concatenate([np.zeros(700), np.linspace(0.5, 4, 84)]),
    "one huge": lambda: np.array([1e8] + [0.3] * 20),
    "equal": lambda: np.full(100, 2.0),
    "units": lambda: 10.0 ** np.arange(-12, 13),
}


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.9, 0.001])
@pytest.mark.parametrize("name", SPECTRA)
def test_every_spectrum_has_a_budget(name, accuracy):
    """Between Hellinger's bounds of the textbook's laws, 1 - BC <= TV <= sqrt(1 - BC^2); no NaN, and no warning."""
    lam = SPECTRA[name]()
    target = Gaussian(np.zeros(lam.size), lam)
    answer = budget(
        target, accuracy, predictors=[getattr(schemes, n) for n in DETERMINISTIC], correctors=[False], max_steps=20
    )
    goal = noised(lam, answer.setting.early_stop)
    zero = np.zeros_like(lam)
    for row in answer.rows:
        assert row.proved
        for point in row.curve:
            _, v, _ = output(row.scheme, False, lam, zero, lam.size, answer.setting, point.steps)
            log_bc = float(np.log(2 / (np.sqrt(v / goal) + np.sqrt(goal / v))).sum()) / 2
            assert point.tv.complement <= math.exp(log_bc) * (1 + 1e-6)
            assert -math.expm1(log_bc) * (1 - 1e-6) <= point.tv <= math.sqrt(-math.expm1(2 * log_bc)) * (1 + 1e-6)
            assert point.tv.error < 1e-3
        if row.upper is not None:
            assert row.upper.tv <= accuracy


def test_an_answer_beyond_the_work_says_up_to_where_every_number_was_tried(monkeypatch):
    monkeypatch.setattr("rmverify.studies.budget._WORK", 3 * 75_000)
    answer = budget(Gaussian.isotropic(0.25, 100), 0.1, predictors=[schemes.euler], correctors=[False])
    (row,) = answer.rows
    assert (row.tried, row.proved) == (3, False)
    assert row.upper.tv <= 0.1 < next(p for p in row.curve if p.steps == row.upper.steps - 1).tv


def test_a_curve_that_is_not_monotone_is_marked():
    """Heun on one mode of variance 4: two steps are by luck better than four, but not good enough."""
    answer = budget(Gaussian([0.0], [4.0]), 0.02, predictors=[schemes.heun], correctors=[False])
    (row,) = answer.rows
    goal = float(noised(4.0, answer.setting.early_stop))
    values = []
    for point in row.curve:
        _, v, _ = output("heun", False, np.array([4.0]), np.zeros(1), 1, answer.setting, point.steps)
        values.append(isotropic_tv(float(v[0]), goal, 1))
        assert point.tv == pytest.approx(values[-1], abs=1e-10)
    assert any(b > a for a, b in itertools.pairwise(values))
    assert not row.monotone


@pytest.mark.slow
def test_random_midpoints_by_the_density_of_the_mixture():
    """In one dimension: the density is an average over paths, its distance from q_delta an integral on a grid."""
    lam, mean, accuracy, paths = np.array([0.1]), np.array([3.0]), 0.1, 1000
    target = Gaussian(mean, lam)
    answer = budget(target, accuracy, predictors=[schemes.randomized_midpoint], correctors=[False], rng=3)
    (row,) = answer.rows
    rng, goal = np.random.default_rng(2), answer.setting.early_stop
    m_q, v_q = float(math.exp(-goal) * mean[0]), float(noised(lam, goal)[0])
    x = m_q + 0.1 * np.sinh(np.linspace(-10, 10, 8001))  # fine in the middle, as far as 1000

    def normal(m, v):
        return np.exp(-((x - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)

    def distance(steps):
        """The value and four standard errors of it: half the integrated one of p is at least that of TV."""
        plan = "randomized_midpoint", False, lam, mean, 1, answer.setting, steps
        means, variances, cost = output(*plan, alphas=rng.random((steps, paths, 1)))
        density = np.array([normal(m, v) for m, v in zip(means[:, 0], variances[:, 0], strict=True)])
        p = density.mean(axis=0)
        lost = abs(np.trapezoid(p, x) - 1)  # of the few paths that end where the grid is coarse
        assert lost < 0.01
        noise = np.trapezoid(density.std(axis=0) / math.sqrt(paths), x) / 2
        return np.trapezoid(np.abs(p - normal(m_q, v_q)), x) / 2, 4 * noise + lost, cost

    assert not row.exact
    for point in row.curve:
        value, noise, cost = distance(point.steps)
        assert point.tv.kind == "monte-carlo"
        assert point.tv.lower - point.tv.error - noise <= value <= point.tv.upper + point.tv.error + noise
        assert point.evaluations == cost
    assert row.upper in row.curve
    assert row.upper.tv.upper <= accuracy
    assert row.lower.evaluations == 2 * row.lower.steps
    assert row.lower.steps == 1 or distance(row.lower.steps - 1)[0] + noise > accuracy
    assert row.half_width <= answer.precision or row.lower.steps == row.upper.steps


@pytest.mark.slow
@pytest.mark.parametrize("corrector", [False, True])
def test_random_midpoints_on_the_digits_have_one_number(digits, corrector):
    target = Gaussian(np.zeros(64), digits)
    answer = budget(target, 0.1, predictors=[schemes.randomized_midpoint], correctors=[corrector])
    (row,) = answer.rows
    assert {point.tv.kind for point in row.curve} == {"monte-carlo"}
    assert row.half_width <= 0.02
    assert 2 * row.lower.steps * (1.5 if corrector else 1) == row.lower.evaluations
    assert row.upper.tv.upper <= 0.1
    before = next(point for point in row.curve if point.steps == row.lower.steps - 1)
    assert before.tv.lower > 0.1


def test_a_coarser_precision_costs_less_and_holds_the_finer_interval():
    target = Gaussian(np.zeros(2), [0.05, 2.0])

    def row(precision):
        answer = budget(
            target, 0.02, predictors=[schemes.randomized_midpoint], correctors=[False], precision=precision, rng=1
        )
        return answer.rows[0]

    fine, coarse = row(0.02), row(0.2)
    assert fine.half_width <= 0.02 or fine.upper.steps == fine.lower.steps
    assert coarse.half_width <= 0.2
    assert len(coarse.curve) <= len(fine.curve)
    assert coarse.lower.steps <= fine.upper.steps
    assert fine.lower.steps <= coarse.upper.steps


def test_an_exact_law_of_random_midpoints_has_an_exact_number():
    answer = budget(Gaussian.isotropic(0.25, 100), 0.1, predictors=[schemes.randomized_midpoint], correctors=[False])
    (row,) = answer.rows
    exact = [point for point in row.curve if point.tv.kind == "exact"]
    assert row.upper in exact
    assert row.lower == row.upper
    assert row.upper.tv <= 0.1 < next(p for p in exact if p.steps == row.upper.steps - 1).tv


def test_parallel_midpoints_have_their_rounds_and_parameters():
    (scheme,) = (s for s in PREDICTORS if name_of(s) == "parallel_midpoint")
    target = Gaussian(np.zeros(2), [0.05, 2.0])
    answer = budget(target, 0.2, predictors=[scheme, schemes.randomized_midpoint], correctors=[False])
    parallel, one = answer.rows
    R, K = parallel.parameters["strata"], parallel.parameters["rounds"]
    assert one.parameters == {}
    for point in parallel.curve:
        assert (point.evaluations, point.rounds) == ((1 + (K + 1) * R) * point.steps, (K + 2) * point.steps)
    assert parallel.upper.steps < one.upper.steps  # a step of strata is the better one


@pytest.mark.slow
def test_curves_go_on_beyond_the_answer_on_request():
    target = Gaussian.isotropic(0.25, 100)
    options = {"predictors": [schemes.heun, schemes.randomized_midpoint], "correctors": [False]}
    for short, long in zip(budget(target, **options).rows, budget(target, beyond=True, **options).rows, strict=True):
        assert (long.lower, long.upper, long.tried) == (short.lower, short.upper, short.tried)
        assert set(long.curve) >= set(short.curve)
        assert long.curve[-1].steps > 3 * long.upper.steps


def test_a_seed_fixes_the_intervals_and_another_moves_them():
    target = Gaussian(np.zeros(2), [0.05, 2.0])

    def ends(seed):
        (row,) = budget(target, 0.3, predictors=[schemes.randomized_midpoint], correctors=[False], rng=seed).rows
        return [(p.tv.lower, p.tv.upper) for p in row.curve]

    assert ends(1) == ends(1)
    assert ends(1)[0] != ends(2)[0]


@pytest.mark.slow
def test_a_search_that_reaches_its_limit_has_no_answer():
    answer = budget(Gaussian.isotropic(0.25, 3), 1e-4, predictors=[schemes.euler], max_steps=100)
    for row in answer.rows:
        assert row.upper is row.lower is row.discretization is None
        assert [p.steps for p in row.curve] == [*range(1, 101)]
        assert row.proved
        assert row.curve[-1].tv > 1e-4


def exploding(x, t, h, score, draw):
    """A step whose fourth power is beyond all floats."""
    return 1e100 * x + h * score(t, x)


@pytest.mark.parametrize("variances", [[1.0], [0.0, 1.0]])
def test_an_unstable_plan_is_at_distance_one(variances):
    target = Gaussian(np.zeros(len(variances)), variances)
    answer = budget(target, 0.1, early_stop=0.1, predictors=[exploding], correctors=[False], max_steps=16)
    (row,) = answer.rows
    assert row.upper is None
    assert [p.steps for p in row.curve] == list(range(1, 17))
    assert all(p.tv == 1 and p.tv.complement < 1e-90 for p in row.curve)  # one step is finite yet, 1e100 wide


@pytest.mark.slow
@pytest.mark.parametrize("scheme", DETERMINISTIC)
def test_plans_far_too_coarse_have_a_total_variation_below_one(scheme):
    """One mode of 10^-6 and a uniform grid: what is left of 1 is small, and is no NaN."""
    target = Gaussian(np.zeros(2), [1e-6, 1.0])
    answer = budget(target, 0.1, early_stop=1e-8, predictors=[getattr(schemes, scheme)], grid="uniform", max_steps=32)
    for row in answer.rows:
        assert row.upper is None
        for point in row.curve:
            assert 0.5 < point.tv <= 1
            assert 0 <= point.tv.complement < 0.5


@pytest.mark.slow
def test_a_trillion_coordinates_have_a_budget():
    target = Gaussian.from_spectrum([0.5, 2.0, 1e-3], [10**12, 3, 10**6])
    answer = budget(target, 0.1, predictors=[schemes.heun], correctors=[False])
    (row,) = answer.rows
    assert answer.dim == 10**12 + 3 + 10**6
    assert row.upper.tv <= 0.1
    assert next(p for p in row.curve if p.steps == row.upper.steps - 1).tv > 0.1


@pytest.mark.slow
def test_a_trillion_equal_coordinates_by_the_normal_law():
    """Of d equal modes, d = 10^12: ln of the likelihood ratio is normal, TV = erf(sqrt(d) |r|/4) up to O(1/sqrt d)."""
    lam, dim = np.array([0.5]), 10**12
    answer = budget(Gaussian.isotropic(0.5, dim), 0.1, predictors=[schemes.heun], correctors=[False])
    (row,) = answer.rows
    for steps, reached in ((row.upper.steps, True), (row.upper.steps - 1, False)):
        _, v, _ = output("heun", False, lam, np.zeros(1), dim, answer.setting, steps)
        ratio = math.log(float(v[0] / noised(lam, answer.setting.early_stop)[0]))
        assert (math.erf(math.sqrt(dim) * abs(ratio) / 4) < 0.1) is reached


def test_every_plan_is_announced():
    said, fractions = [], []

    def progress(text, fraction):
        said.append(text)
        fractions.append(fraction)

    answer = budget(Gaussian.isotropic(4.0, 3), predictors=[schemes.euler], progress=progress)
    assert fractions == sorted(fractions)
    assert set(fractions) == {0.0, 0.5}
    assert len(said) == sum(len(row.curve) for row in answer.rows)
    assert "euler, 4 steps" in said
    assert "euler + corrector, 4 steps" in said


@pytest.mark.parametrize(
    "arguments, options, error",
    [
        ((np.eye(3),), {}, TypeError),
        (("digits",), {}, TypeError),
        ((Gaussian.isotropic(4.0, 3), 0.0), {}, ValueError),
        ((Gaussian.isotropic(4.0, 3), math.nan), {}, ValueError),
        ((Gaussian.isotropic(4.0, 3),), {"grid": "sine"}, ValueError),
        ((Gaussian.isotropic(4.0, 3),), {"early_stop": -1}, ValueError),
        ((Gaussian.isotropic(4.0, 3),), {"precision": 0}, ValueError),
        ((Gaussian.isotropic(4.0, 3),), {"precision": 1}, ValueError),
        ((Gaussian.isotropic(4.0, 3),), {"precision": math.nan}, ValueError),
        ((Gaussian.isotropic(4.0, 3),), {"predictors": [schemes.underdamped(friction=2)]}, ValueError),
    ],
)
def test_budgets_that_make_no_sense_are_refused(arguments, options, error):
    with pytest.raises(error, match="expected|predictor"):
        budget(*arguments, **options)


# --- describe ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("corrector", [False, True])
@pytest.mark.parametrize("scheme", DETERMINISTIC)
def test_a_description_holds_the_textbooks_distances(scheme, corrector):
    lam, mean, steps = np.array([0.2, 1.0, 3.0]), np.array([1.0, -1.0, 0.5]), 30
    target = Gaussian(mean, lam)
    where = setting(target, 0.1)
    plan = schedule(target, getattr(schemes, scheme), where, steps, corrector=corrector)
    found = describe(plan, target, where)
    m, v, evaluations = output(scheme, corrector, lam, mean, 3, where, steps)
    c, w = math.exp(-where.early_stop) * mean, noised(lam, where.early_stop)
    gap = (m - c) ** 2
    affinity = np.sqrt(np.sqrt(v * w) / ((v + w) / 2)) * np.exp(-gap / (4 * (v + w)))
    quotient = w / np.sqrt(v * (2 * w - v)) * np.exp(gap / (2 * w - v))
    assert (2 * w > v).all()
    expected = {
        "kl": (v / w - 1 - np.log(v / w) + gap / w).sum() / 2,
        "kl_reverse": (w / v - 1 - np.log(w / v) + gap / v).sum() / 2,
        "chi2": quotient.prod() - 1,
        "hellinger": math.sqrt(1 - affinity.prod()),
        "w2": math.sqrt((gap + (np.sqrt(v) - np.sqrt(w)) ** 2).sum()),
    }
    for name, value in expected.items():
        assert found.divergences[name] == pytest.approx(value, rel=1e-8)  # these formulas cancel, to some 1e-12/value
    low = expected["hellinger"] ** 2
    assert low <= found.divergences["tv"] <= math.sqrt(low * (2 - low))
    assert (found.scheme, found.corrector, found.steps, found.dim) == (scheme, corrector, steps, 3)
    assert (found.evaluations, found.rounds) == (evaluations, evaluations)
    assert (found.law, found.start, found.setting) == ("Gaussian", "normal", where)
    assert found.discretization == tv(output_law(plan, target, start="exact"), target.at(where.early_stop))


def test_a_description_from_the_true_start_has_no_start_error():
    target = Gaussian.isotropic(4.0, 3)
    where = setting(target, 0.1)
    found = describe(schedule(target, schemes.heun, where, 20, corrector=False), target, where, start="exact")
    _, v, _ = output("heun", False, np.array([4.0]), np.zeros(1), 3, where, 20, exact_start=True)
    truth = isotropic_tv(float(v[0]), float(noised(4.0, where.early_stop)), 3)
    assert found.divergences["tv"] == pytest.approx(truth, abs=1e-10)
    assert found.discretization == found.divergences["tv"]


@pytest.mark.slow
def test_a_description_of_random_midpoints_has_intervals():
    """E_alpha TV against a plain mean over paths, within four standard errors and an error of each."""
    lam, steps, paths = np.array([0.2, 3.0]), 30, 400
    target = Gaussian(np.zeros(2), lam)
    where = setting(target, 0.1)
    made = schedule(target, schemes.randomized_midpoint, where, steps, corrector=False)
    found = describe(made, target, where, precision=0.05)
    assert found.law.startswith("mixture")
    for name, value in found.divergences.items():
        assert value.kind == ("upper" if name == "w2" else "monte-carlo")
        assert value.lower <= value <= value.upper
        assert name == "w2" or value.error < 0.06 * value
    plan = "randomized_midpoint", False, lam, np.zeros(2), 2, where, steps
    _, variances, _ = output(*plan, alphas=np.random.default_rng(11).random((steps, paths, 1)))
    goal = noised(lam, where.early_stop)
    squares = [((np.sqrt(v) - np.sqrt(goal)) ** 2).sum() for v in variances]  # the coupling of one and the same normal
    assert found.divergences["w2"].upper == pytest.approx(math.sqrt(np.mean(squares)), rel=0.15)
    values = [planar_tv(v, goal, 1 << 10) for v in variances]
    assert found.expected_tv.kind == "monte-carlo"
    noise = 4 * np.std(values) / math.sqrt(paths)
    assert abs(found.expected_tv - np.mean(values)) < noise + 2 * found.expected_tv.error
    assert found.divergences["tv"].lower < found.expected_tv.upper  # the mixture is closer than its parts


def test_a_description_without_midpoints_has_no_mean_over_them():
    target = Gaussian.isotropic(4.0, 3)
    where = setting(target, 0.1)
    assert describe(schedule(target, schemes.heun, where, 5, corrector=False), target, where).expected_tv is None


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2])
def test_the_mean_over_few_midpoints_by_a_product_rule(steps):
    """Of one mode: the average of chi-square laws over the midpoints of a step or two, by Gauss's rule."""
    lam, dim = np.array([0.3]), 5
    target = Gaussian.isotropic(0.3, dim)
    where = setting(target, 0.1, horizon=1.0, early_stop=0.2)
    plan = schedule(target, schemes.randomized_midpoint, where, steps, corrector=False)
    nodes, weights = unit_rule(60)
    grid = np.stack(np.meshgrid(*[nodes] * steps, indexing="ij")).reshape(steps, -1, 1)
    mass = functools.reduce(np.multiply.outer, [weights] * steps).ravel()
    _, v, _ = output("randomized_midpoint", False, lam, np.zeros(1), dim, where, steps, alphas=grid)
    goal = float(noised(lam, where.early_stop)[0])
    truth = float(mass @ [isotropic_tv(float(one), goal, dim) for one in v[:, 0]])
    found = expected_tv(output_law(plan, target), target.at(where.early_stop), accuracy=0.003, rng=1)
    assert found.error < 0.004 * truth
    assert abs(found - truth) < 2 * found.error + 1e-3 * truth  # the rule, where TV has a kink


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_schemes_that_others_look_at_have_the_same_budget(processes):
    """In any order."""
    target = Gaussian.isotropic(0.25, 3)
    asked = {"predictors": [schemes.randomized_midpoint, schemes.heun], "correctors": [False, True], "rng": 3}
    due, seen = budget(target, 0.2, **asked), []
    with pool(processes) as executor:
        found = budget(target, 0.2, **asked, executor=executor, progress=lambda text, done: seen.append((text, done)))
    assert found == due
    assert seen == [(f"{n} of 4 schemes", n / 4) for n in (1, 2, 3, 4)]
