"""The parallel algorithm: its plan against the formulas, its cost against a counting score, its sampling in chunks."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import mpmath as mp
import mutants
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rmverify as rm
from rmverify import Correct, Gaussian, Plan, Predict, plans, sample, schemes
from rmverify.readings import particles as reading

ARGUMENTS = {"dim": 100, "smoothness": 4.0, "accuracy": 0.1}
CASES = st.tuples(st.integers(1, 10**12), st.floats(1, 8), st.floats(0.02, 0.9))


def formulas(d, L, eps):
    """Numbers of the plan with every constant 1 and h = 1/(2L), written out; None where T is too short."""
    T, delta, h = math.log(d / eps**2), eps**2 / (L**2 * d), 1 / (2 * L)
    if max(1 / L, delta) >= T:
        return None
    levels = [T]
    while levels[-1] >= 2 * h:
        levels.append(levels[-1] - h)
    while levels[-1] > delta:
        levels.append(levels[-1] / 2)
    N = len(levels) - 1
    R = math.ceil(max((N * d / eps**2) ** (1 / 3), (N * math.sqrt(d) / eps) ** (1 / 2)))
    rho = L * (math.exp(h) - 1)
    K = next(k for k in itertools.count() if N * math.sqrt(d) * rho**k / math.factorial(k) <= eps)
    M = math.ceil(math.sqrt(d) / eps - 1e-9)
    K_c = next(k for k in itertools.count(1) if math.sqrt(d) / math.factorial(2 * (k - 1)) <= eps)
    return {"T": T, "delta": delta, "h": h, "N": N, "R": R, "K": K, "M": M, "K_c": min(K_c, M)}


def counts(plan):
    """R, K, M, K_c."""
    predictor, corrector = (schemes.parameters(stage.scheme) for stage in plan)
    return predictor["strata"], predictor["rounds"], corrector["cells"], corrector["rounds"]


# ------------------------------------------------------------------- the plan


@given(case=CASES)
def test_the_plan_is_one_sweep_and_one_corrector_by_the_formulas(case):
    d, L, eps = case
    wanted = formulas(d, L, eps)
    if wanted is None:
        with pytest.raises(ValueError, match="^horizon: expected"):
            plans.parallel(d, L, eps)
        return
    plan = plans.parallel(d, L, eps)
    sweep, corrector = plan
    assert isinstance(sweep, Predict)
    assert isinstance(corrector, Correct)
    assert sweep.start == pytest.approx(wanted["T"], rel=1e-12)
    assert sweep.end == corrector.time == pytest.approx(wanted["delta"], rel=1e-12)
    t, h = sweep.grid
    assert h.max() <= wanted["h"] * (1 + 1e-9)
    # full steps, then halves, the last one cut
    assert all(a == pytest.approx(wanted["h"], rel=1e-6) or b / 2 == pytest.approx(a, rel=1e-9)
               for a, b in zip(h[:-1], t[:-1], strict=True))  # fmt: skip
    assert (h <= t / 2 * (1 + 1e-9)).all()
    # a level within a rounding of 2h or of delta may be halved once more or less
    assert abs(len(sweep) - wanted["N"]) <= 1
    if len(sweep) == wanted["N"]:
        assert counts(plan) == pytest.approx(tuple(wanted[name] for name in ("R", "K", "M", "K_c")), abs=1, rel=1e-9)
    assert (corrector.steps, corrector.step) == (1, pytest.approx(1 / math.sqrt(L), rel=1e-12))
    assert schemes.parameters(corrector.scheme)["friction"] == pytest.approx(math.sqrt(L), rel=1e-12)


def test_a_case_by_hand():
    """d = 100, L = 4, eps = 1/10: T = ln 10^4 = 9.21, h = 1/8: 72 steps to 0.2103, then 16 halvings to 6.25e-6 = delta.

    N = 88; R = (88e4)^{1/3} = 95.8 against (8800)^{1/2} = 93.8; 8800 rho^K/K! <= 1 with rho = 0.5326 first at K = 6
    (0.28, before it 3.1); M = 10/0.1; K_c: 100/720 is the first of 100/(2j)! below 1, j = 3.
    """
    plan = plans.parallel(**ARGUMENTS)
    assert len(plan.stages[0]) == 88
    assert counts(plan) == (96, 6, 100, 4)
    assert plan.rounds == 88 * (6 + 2) + 4
    assert plan.evaluations == 88 * (1 + 7 * 96) + 1 + 3 * 100


def test_every_constant_changes_what_it_should():
    def build(**options):
        return plans.parallel(**ARGUMENTS, **options)

    plan = build()
    R, K, M, K_c = counts(plan)
    exact = (88 * 100 / 0.01) ** (1 / 3)
    for c in (0.5, 2.0):
        assert build(horizon_constant=c).start == pytest.approx(c * plan.start, rel=1e-12)
        assert counts(build(strata_constant=c)) == (math.ceil(c * exact), K, M, K_c)
        assert counts(build(corrector_constant=c)) == (R, K, M / c, K_c)
        rubbed = build(friction_constant=c).stages[1]
        assert schemes.parameters(rubbed.scheme)["friction"] == pytest.approx(2 * c, rel=1e-12)
        longer = build(corrector_time_constant=c).stages[1]
        assert longer.step * longer.steps == pytest.approx(c / 2, rel=1e-12)
        assert longer.step <= 0.5 * (1 + 1e-12)  # 1/sqrt(L)
        assert longer.steps * schemes.parameters(longer.scheme)["cells"] == c * M
    assert build(predictor_constant=0.25).stages[0].grid[1].max() == pytest.approx(1 / 16, rel=1e-9)
    # 8800 rho^K/K! <= c
    rho = 4 * math.expm1(1 / 8)
    for c in (1e-6, 1e3):
        rounds = counts(build(picard_constant=c))[1]
        assert 8800 * rho**rounds / math.factorial(rounds) <= c
        assert 8800 * rho ** (rounds - 1) / math.factorial(rounds - 1) > c
    assert counts(build(picard_constant=1e-6))[3] > K_c > counts(build(picard_constant=10))[3]
    assert counts(build(strata=7, rounds=0, cells=3, corrector_rounds=2)) == (7, 0, 3, 2)
    assert build(early_stop=1e-3).end == 1e-3
    assert build(horizon=3.0).start == 3.0
    assert build(second_moment=20.0).start == pytest.approx(math.log(400 / 0.01), rel=1e-12)


class CountingScore:
    """-x, counting calls and rows."""

    def __init__(self):
        self.calls = self.rows = 0
        self.particles = []

    def __call__(self, t, x):
        self.calls += 1
        self.rows += math.prod(x.shape[:-1])
        self.particles.append(x.shape[-2])
        return -x


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strata": 3, "rounds": 0},
        {"cells": 1, "corrector_rounds": 1},
        {"corrector_time_constant": 3, "corrector_rounds": 2},
    ],
    ids=str,
)
def test_rounds_and_evaluations_are_what_a_score_counts(options):
    plan = plans.parallel(5, 2.0, 0.3, **options)
    score = CountingScore()
    sample(plan, score, 3, 5, rng=0)
    assert score.calls == plan.rounds
    assert score.rows == 3 * plan.evaluations
    sweep, corrector = plan
    R, K, M, K_c = counts(plan)
    assert plan.rounds == len(sweep) * (K + 2) + corrector.steps * K_c
    assert plan.evaluations == len(sweep) * (1 + (K + 1) * R) + corrector.steps * (1 + (K_c - 1) * M)


def test_counting_needs_no_memory():
    """10^8 cells and 10^6 strata are counted on short axes."""
    tracemalloc.start()
    plan = plans.parallel(10**12, 4.0, 0.01)
    R, K, M, K_c = counts(plan)
    assert M == 10**8
    assert R > 10**6
    assert plan.evaluations == len(plan.stages[0]) * (1 + (K + 1) * R) + 1 + (K_c - 1) * M
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


def two_widths(x, t, h, score, draw):
    """A user's scheme that asks 5000 levels, then 6000, then 5000 again."""
    for count in (5000, 6000, 5000):
        _, a = draw.strata(count)
        x = x + (h / count) * score(t - a * h, x + 0 * a).sum(axis=0)
    return x


def test_wide_rounds_of_different_counts_are_told_apart():
    assert plans.footprint(two_widths) == plans.Footprint(3, 16000, (5000, 6000, 5000), 6000)


def test_a_large_friction_is_counted_too():
    scheme = schemes.parallel_underdamped(cells=4, rounds=3, friction=1e4)
    assert plans.footprint(scheme) == plans.Footprint(rounds=3, evaluations=9, uniforms=(), width=4)


@pytest.mark.parametrize("d", [10, 10**3, 10**6, 10**12])
@pytest.mark.parametrize("L, eps", [(1.0, 0.1), (4.0, 0.01), (64.0, 0.1)])
def test_rounds_grow_like_L_times_the_square_of_a_logarithm(d, L, eps):
    """N <= 2LT + log2(h/delta) + 2 and, K! >= (K/e)^K, K <= max(e^2 rho, ln(N sqrt(d)/eps)) + 1, rho <= 0.65."""
    T, delta = math.log(d / eps**2), eps**2 / (L**2 * d)
    N = 2 * L * T + math.log2(1 / (L * delta)) + 2
    K = max(0.65 * math.e**2, math.log(N * math.sqrt(d) / eps)) + 1
    plan = plans.parallel(d, L, eps)
    assert plan.rounds <= (N + 1) * (K + 2) + K
    # to double every logarithm quadruples at most, where a power of d would multiply by itself
    assert plans.parallel(float(d) ** 2, L, eps**2).rounds <= 4 * plan.rounds


# ------------------------------------------------------------------- what the formulas promise


def midpoints(plan, rng):
    """One uniform in every stratum of every step that draws."""
    return [
        (stage.footprint.stratum + rng.random(stage.footprint.alphas)) / stage.footprint.strata
        for stage in plan
        if stage.footprint.alphas
        for _ in range(len(stage))
    ]


TARGETS = {
    "isotropic": lambda d: Gaussian.isotropic(0.25, d),
    "mixed": lambda d: Gaussian.from_spectrum([0.25, 1.0, 9.0], [d // 2, d // 4, d - d // 2 - d // 4]),
}


@pytest.mark.parametrize("d, eps", [(10, 0.1), (100, 0.1), (100, 0.02), (2500, 0.1)])
@pytest.mark.parametrize("name", TARGETS)
def test_the_plan_is_within_eps_on_gaussian_targets(name, d, eps):
    """Exact TV of the law given drawn midpoints, from N(0, I), of the law at the early stop."""
    target = TARGETS[name](d)
    moment = math.sqrt(float(target.variances @ target.multiplicities))
    rng = np.random.default_rng(0)
    plan = plans.parallel(d, target.path_smoothness(), eps, second_moment=moment)
    assert rm.tv(rm.output_law(plan, target, alphas=midpoints(plan, rng)), target.at(plan.end)) <= eps


@pytest.mark.parametrize("poor", [{"strata": 1}, {"corrector_rounds": 1}, {"cells": 1}], ids=str)
def test_without_its_strata_rounds_or_cells_it_is_not(poor):
    target = TARGETS["isotropic"](2500)
    plan = plans.parallel(2500, 4.0, 0.1, **poor)
    law = rm.output_law(plan, target, alphas=midpoints(plan, np.random.default_rng(0)))
    assert rm.tv(law, target.at(plan.end)) > 0.1


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "argument, bad",
    [
        *itertools.product(["dim"], [0, 2.5, math.nan, "many", None]),
        *itertools.product(["smoothness"], [0.5, -1, math.nan, math.inf]),
        *itertools.product(["accuracy"], [0, 1, math.nan]),
        *itertools.product(["early_stop", "horizon"], [0, -1, math.nan]),
        *itertools.product(["second_moment"], [-1, math.nan]),
        *itertools.product(
            [
                f"{name}_constant"
                for name in ("horizon", "predictor", "strata", "picard", "corrector", "corrector_time", "friction")
            ],
            [0, -1, math.nan, math.inf, "c"],
        ),
        *itertools.product(["strata", "cells", "corrector_rounds"], [0, -3, 1.5, math.nan, "few", True]),
        *itertools.product(["rounds"], [-1, 0.5, math.inf, True]),
    ],
)
def test_arguments_that_make_no_sense_are_refused(argument, bad):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .*got"):
        plans.parallel(**{**ARGUMENTS, argument: bad})


@pytest.mark.parametrize("L", [1.0, 4.0, 1000.0])
def test_a_step_too_long_to_contract_is_refused_with_the_bound(L):
    """L(e^h - 1) <= 1 up to h = ln(1 + 1/L)."""
    longest = L * math.log(1 + 1 / L)
    sweep = plans.parallel(100, L, 0.1, predictor_constant=longest * (1 - 1e-12)).stages[0]
    assert L * math.expm1(sweep.grid[1].max()) <= 1 + 1e-9
    with pytest.raises(
        ValueError, match=rf"^predictor_constant: expected at most {longest:.6g}, got .*{longest / L:.6g}"
    ):
        plans.parallel(100, L, 0.1, predictor_constant=longest * (1 + 1e-9))


def test_midpoints_of_another_shape_are_refused():
    target = Gaussian.isotropic(0.25, 3)
    plan = Plan([Predict(schemes.parallel_midpoint(strata=3, rounds=1), [1.0, 0.8, 0.6])])
    good = np.array([0.1, 0.5, 0.9])
    rm.output_law(plan, target, alphas=[good, good])
    for bad in (good[:2], np.append(good, 1.0), 0.5, good[:, None]):
        for rows in ([good, bad], [bad, good]):
            with pytest.raises(ValueError, match=r"^alphas: expected 3 value\(s\) per step, got shape"):
                rm.output_law(plan, target, alphas=rows)
    with pytest.raises(ValueError, match=r"^alphas: expected one entry per step that draws \(2\), got 1"):
        rm.output_law(plan, target, alphas=[good])
    with pytest.raises(ValueError, match="^alphas: expected each value inside its stratum"):
        rm.output_law(plan, target, alphas=[good, good[::-1]])


# ------------------------------------------------------------------- the steps


class Fixed:
    """Given midpoints, given standard normals: the first of each pair drives the velocity, the second the position."""

    def __init__(self, alphas=(), normals=None):
        self.alphas, self.normals, self.asked = np.asarray(alphas), normals, 0

    def strata(self, count):
        return np.arange(count).reshape(count, 1, 1) / count, self.alphas.reshape(count, 1, 1)

    def cells(self, count):
        return np.arange(count, dtype=float).reshape(count, 1, 1)

    def normal(self, covariance, count=None):
        self.asked += 1
        rows = self.normals if count is not None else self.normals[0]
        return [rows[..., 0], rows[..., 1]]


@pytest.mark.parametrize("h", [1e-12, 1e-8, 1e-4, 0.3])
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_weights_keep_their_relative_accuracy_for_short_steps(h, rounds):
    """From 0 with the score 1 every inner point is e^{ah} - 1, the end e^h - 1 up to the strata's quadrature."""
    R = 64
    alphas = (np.arange(R) + np.random.default_rng(0).random(R)) / R
    asked = []

    def score(t, x):
        asked.append(x)
        return np.ones_like(x)

    out = schemes.parallel_midpoint(strata=R, rounds=rounds)(np.zeros((1, 1)), 1.0, h, score, Fixed(alphas))
    with mp.workdps(40):
        due = np.array([float(mp.expm1(mp.mpf(float(a)) * mp.mpf(h))) for a in alphas])
        end = float(mp.mpf(h) / R * sum(mp.exp((1 - mp.mpf(float(a))) * mp.mpf(h)) for a in alphas))
    # sums of up to 64 terms, and a - lo exact to a unit of a, which a stratum is a 64th of
    for points in asked[1:]:
        np.testing.assert_allclose(points[:, 0, 0], due, rtol=4 * R * 2.0**-53)
    assert out[0, 0] == pytest.approx(end, rel=4 * R * 2.0**-53)


def test_a_round_takes_memory_in_proportion_to_the_strata():
    """20000 strata: a triangle of weights would be 1.6 GB."""
    R = 20_000
    scheme = schemes.parallel_midpoint(strata=R, rounds=2)
    draw = Fixed((np.arange(R) + 0.5) / R)
    tracemalloc.start()
    scheme(np.ones((1, 1)), 1.0, 0.1, lambda t, x: -x, draw)
    assert tracemalloc.get_traced_memory()[1] < 50 * 8 * R
    tracemalloc.stop()


M, G, U, H = 4, 1.5, 2.0, 0.8


def corrector(step, score, normals, draw=None):
    state = (np.full((1, 1), 1.2), np.full((1, 1), -0.4))
    return step(state, 1.0, H, score, draw or Fixed(normals=normals))


def test_as_many_rounds_as_cells_are_that_many_underdamped_steps_on_the_same_path():
    """Path by path, with a score that is not affine; one draw a step however many rounds; fresh noise is caught."""

    def score(t, x):
        return -np.tanh(2 * x)

    normals = np.random.default_rng(0).standard_normal((M, 1, 1, 2)) / 10
    state = (np.full((1, 1), 1.2), np.full((1, 1), -0.4))
    for row in normals:
        state = schemes.underdamped(friction=G, mass=U)(state, 1.0, H / M, score, Fixed(normals=row[None]))
    for rounds in (M, M + 3):
        draw = Fixed(normals=normals)
        step = schemes.parallel_underdamped(cells=M, rounds=rounds, friction=G, mass=U)
        np.testing.assert_allclose(corrector(step, score, normals, draw), state, rtol=1e-13)
        assert draw.asked == 1


class Fresh(Fixed):
    """Other normals at every call."""

    def normal(self, covariance, count=None):
        self.normals = np.random.default_rng(self.asked).standard_normal(self.normals.shape)
        return super().normal(covariance, count)


def test_fresh_noise_in_every_round_is_caught():
    """On draws that change from call to call the shipped corrector settles after M rounds; the mutant never does."""

    def after(make, rounds):
        normals = np.zeros((M, 1, 1, 2))
        return corrector(make(cells=M, rounds=rounds, friction=G, mass=U), lambda t, x: -x, normals, Fresh((), normals))

    for more in (1, 2, 5):
        np.testing.assert_allclose(
            after(schemes.parallel_underdamped, M + more), after(schemes.parallel_underdamped, M), rtol=1e-13
        )
    mutant = mutants.load()["parallel.fresh_noise_in_every_round"].step
    assert np.abs(np.subtract(after(mutant, M + 1), after(mutant, M))).max() > 0.01


def test_the_correctors_rounds_converge_like_a_factorial():
    """From rest without noise under -k x: error after K rounds at most (k h^2)^K/(2K)! of the first position's."""
    k, cells = 2.0, 64
    zeros = np.zeros((cells, 1, 1, 2))

    def end(rounds):
        step = schemes.parallel_underdamped(cells=cells, rounds=rounds, friction=G, mass=1)
        return step((np.ones((1, 1)), np.zeros((1, 1))), 1.0, H, lambda t, x: -k * x, Fixed(normals=zeros))[0][0, 0]

    limit = end(cells)
    for rounds in range(1, 7):
        assert abs(end(rounds) - limit) <= 2 * (k * H**2) ** (rounds + 1) / math.factorial(2 * (rounds + 1))


# ------------------------------------------------------------------- chunks


CHUNKED = {
    "predictor": Plan([Predict(schemes.parallel_midpoint(strata=5, rounds=2), [1.0, 0.8, 0.7])]),
    "corrector": Plan([Correct(schemes.parallel_underdamped(cells=3, rounds=2, friction=2, mass=3), 0.7, 0.2, 3)]),
    "both": plans.parallel(3, 1.0, 0.3),
}


def five_draws(x, t, h, score, draw):
    """A user's scheme: strata, uniforms and noises of both kinds in one step."""
    _, a = draw.strata(3)
    (first,) = draw.normal(((h,),))
    second, third = draw.normal(((h, h / 2), (h / 2, h)), count=3)
    b = draw.uniform()
    s = score(t - a * h, x + second + 0 * third)
    return x + (h / 3) * (s + third)[0, ...] + b * first + s[2, ...]


@pytest.mark.parametrize("per_chunk", [1, 2, 3, 10])
@pytest.mark.parametrize("name", CHUNKED)
def test_the_sample_does_not_depend_on_the_chunks(name, per_chunk, xp):
    n, dim, model = 7, 3, xp.asarray(np.zeros(1))
    plan = CHUNKED[name]
    widest = max(stage.footprint.width for stage in plan)
    one, many = CountingScore(), CountingScore()
    whole = sample(plan, one, n, dim, rng=5, like=model)
    told = []
    cut = sample(plan, many, n, dim, rng=5, like=model, memory=8 * widest * dim * 8 * per_chunk, progress=told.append)
    np.testing.assert_array_equal(np.asarray(cut), np.asarray(whole))
    assert type(cut) is type(whole)
    assert told == list(range(1, sum(map(len, plan)) + 1))
    assert one.calls == plan.rounds
    assert one.rows == many.rows == n * plan.evaluations
    if name != "both":
        assert many.calls == plan.rounds * math.ceil(n / per_chunk)
        assert max(many.particles) == min(per_chunk, n)


def test_steps_of_several_draws_do_not_depend_on_the_chunks_either():
    plan = Plan([Predict(five_draws, [1.0, 0.8, 0.7])])
    whole = sample(plan, lambda t, x: -x, 7, 2, rng=3)
    for memory in (1, 800, 1600):
        np.testing.assert_array_equal(sample(plan, lambda t, x: -x, 7, 2, rng=3, memory=memory), whole)


def test_steps_without_strata_are_not_cut():
    score = CountingScore()
    sample(Plan([Predict(schemes.randomized_midpoint, [1.0, 0.5])]), score, 7, 2, rng=0, memory=1)
    assert score.particles == [7, 7]


def test_a_bad_particle_is_named_by_its_place_among_all():
    def score(t, x):
        return -x * 1e200

    x0 = np.zeros((6, 2))
    x0[4] = 1.0
    plan = Plan([Predict(schemes.parallel_midpoint(strata=2, rounds=1), [1.0, 0.5])])
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="particle 4 .*step 1"):
        sample(plan, score, 6, 2, x0=x0, memory=1)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, "much", None])
def test_a_memory_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="^memory: expected"):
        sample(CHUNKED["predictor"], lambda t, x: -x, 3, 3, memory=bad)


def peak(n, scheme, **options):
    """Bytes at the most while one step is sampled in dimension 100, with the cheapest score."""
    tracemalloc.start()
    sample(Plan([Predict(scheme, [1.0, 0.9])]), lambda t, x: -x, n, 100, rng=0, **options)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


@pytest.mark.slow
def test_a_hundred_thousand_particles_stay_under_one_gibibyte():
    """One array of 64 x 10^5 x 100 numbers would be 5.1 GB."""
    assert peak(100_000, schemes.parallel_midpoint(strata=64, rounds=0)) < 2**30


@pytest.mark.slow
def test_the_budget_holds_and_uncut_arrays_would_exceed_it(monkeypatch):
    scheme, n = schemes.parallel_midpoint(strata=64, rounds=2), 1000
    state = 10 * 8 * n * 100
    assert peak(n, scheme, memory=2**40) < 2**24 + state  # NumPy's tiles fit a cache anyway
    monkeypatch.setattr(reading, "_TILE", 2**40)
    assert peak(n, scheme, memory=2**24) < 2**24 + state < peak(n, scheme, memory=2**40)
