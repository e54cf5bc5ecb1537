"""Plans: what they cost against a counting score, the theorems' parameters, what is refused, equality and data."""

from __future__ import annotations

import functools
import itertools
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmverify import Correct, Plan, Predict, plans, sample, schemes

LEVELS = [2.0, 1.25, 1.0, 0.25]
N, DIM = 3, 2

# score evaluations of one step, call by call, from the schemes' published descriptions
PREDICTORS = [
    (schemes.euler, [1]),
    (schemes.exponential_integrator, [1]),
    (schemes.midpoint, [1, 1]),
    (schemes.heun, [1, 1]),
    (schemes.randomized_midpoint, [1, 1]),
    (schemes.parallel_midpoint(strata=1, rounds=0), [1, 1]),
    (schemes.parallel_midpoint(strata=4, rounds=0), [1, 4]),
    (schemes.parallel_midpoint(strata=4, rounds=3), [1, 4, 4, 4, 4]),
    (schemes.parareal(blocks=3, fine=2, sweeps=2), [1, 1, 1, *(3, 3, 1, 1, 1) * 2]),
    (schemes.parallel_slices(slices=3, cells=4, rounds=2, inner=2), [1, 1, 1, 4, 4, 8, 8, 8, 8, 4, 4]),
]
CORRECTORS = [
    (schemes.overdamped, [1]),
    (schemes.overdamped_midpoint, [1, 1]),
    (schemes.poisson_midpoint(cells=3), [1, 1, 1]),
    (schemes.stochastic_runge_kutta, [1, 1, 1]),
    (schemes.stratified_hmc, [1]),
    (schemes.parallel_overdamped(strata=1, rounds=0), [1, 1]),
    (schemes.parallel_overdamped(strata=4, rounds=2), [1, 4, 4, 4]),
    (schemes.underdamped(friction=2), [1]),
    (schemes.randomized_midpoint_langevin(friction=2, mass=3), [1, 1]),
    (schemes.parallel_underdamped(cells=1, rounds=1, friction=2), [1]),
    (schemes.parallel_underdamped(cells=5, rounds=1, friction=2), [1]),
    (schemes.parallel_underdamped(cells=5, rounds=3, friction=2), [1, 5, 5]),
    (schemes.parallel_langevin(cells=5, rounds=3), [1, 5, 5]),
]


def label(value):
    """A test's name: the scheme and its parameters, without an address."""
    if not callable(value):
        return str(value)
    name = getattr(value, "func", value).__name__
    return "-".join([name, *(f"{k}={v}" for k, v in getattr(value, "keywords", {}).items())])


class CountingScore:
    """-x, remembering the shape and the levels of every call."""

    def __init__(self):
        self.shapes, self.levels = [], []

    def __call__(self, t, x):
        self.shapes.append(x.shape)
        self.levels.append(np.broadcast_to(np.asarray(t, dtype=float), (*x.shape[:-1], 1)))
        return -x

    @property
    def evaluations(self):
        """Per particle."""
        return sum(math.prod(shape[:-2]) for shape in self.shapes)


def run(plan):
    score = CountingScore()
    sample(plan, score, N, DIM, rng=0)
    return score


# ------------------------------------------------------------------- counts


@pytest.mark.parametrize("scheme, calls", PREDICTORS, ids=label)
def test_predictors_ask_as_often_as_published(scheme, calls):
    plan = Plan([Predict(scheme, LEVELS)])
    score = run(plan)
    steps = len(LEVELS) - 1
    # one evaluation per particle may or may not have the axis of strata
    expected = [(N, DIM) if len(s) == 2 else (r, N, DIM) for r, s in zip(calls * steps, score.shapes, strict=True)]
    assert score.shapes == expected
    assert [math.prod(s[:-2]) for s in score.shapes] == calls * steps
    assert plan.rounds == len(score.shapes) == steps * len(calls)
    assert plan.evaluations == score.evaluations == steps * sum(calls)


@pytest.mark.parametrize("scheme, calls", CORRECTORS, ids=label)
def test_correctors_ask_as_often_as_published(scheme, calls):
    plan = Plan([Correct(scheme, 0.5, 0.1, 7)])
    score = run(plan)
    assert plan.rounds == len(score.shapes) == 7 * len(calls)
    assert plan.evaluations == score.evaluations == 7 * sum(calls)
    assert all((levels == 0.5).all() for levels in score.levels)


@pytest.mark.parametrize("scheme, calls", PREDICTORS, ids=label)
def test_predictors_ask_inside_the_step(scheme, calls):
    """The first call at t itself; every later one at levels in [t-h, t]."""
    score = run(Plan([Predict(scheme, LEVELS)]))
    for k, levels in enumerate(score.levels):
        step, call = divmod(k, len(calls))
        t, end = LEVELS[step], LEVELS[step + 1]
        if call == 0:
            assert (levels == t).all()
        # t - a h is rounded once or twice
        assert (levels <= t).all()
        assert (levels >= end - 4 * np.finfo(float).eps * t).all()


def test_deterministic_predictors_ask_at_their_own_levels():
    for scheme, second in ((schemes.midpoint, 0.5), (schemes.heun, 1.0)):
        score = run(Plan([Predict(scheme, LEVELS)]))
        for k, (t, end) in enumerate(itertools.pairwise(LEVELS)):
            np.testing.assert_allclose(score.levels[2 * k + 1], t - second * (t - end), rtol=1e-15)


def test_strata_ask_one_level_in_each_cell_of_the_step():
    score = run(Plan([Predict(schemes.parallel_midpoint(strata=4, rounds=2), [2.0, 1.0])]))
    first, *batches = score.levels
    assert (first == 2.0).all()
    for levels in batches:
        assert levels.shape == (4, N, 1)
        np.testing.assert_array_equal(levels, batches[0])  # the same midpoints in every round
        for i in range(4):
            a = 2.0 - levels[i]
            assert ((a >= i / 4) & (a <= (i + 1) / 4)).all()


def test_a_plan_costs_what_its_stages_cost():
    stages = [
        Predict(schemes.randomized_midpoint, LEVELS),
        Correct(schemes.underdamped(friction=1), 0.25, 0.1, 4),
        Predict(schemes.parallel_midpoint(strata=3, rounds=1), [0.25, 0.1]),
        Correct(schemes.parallel_underdamped(cells=2, rounds=2, friction=1), 0.1, 0.1, 2),
    ]
    plan = Plan(stages)
    assert plan.rounds == 3 * 2 + 4 * 1 + 3 + 2 * 2
    assert plan.evaluations == 3 * 2 + 4 * 1 + (1 + 2 * 3) + 2 * (1 + 2)
    assert plan.drawing_steps == 3 + 1
    assert (plan.start, plan.end) == (2.0, 0.1)
    assert list(plan) == stages
    assert [len(s) for s in plan] == [3, 4, 1, 2]
    score = run(plan)
    assert (len(score.shapes), score.evaluations) == (plan.rounds, plan.evaluations)


def own_step(x, t, h, score, draw, *, power):
    """A user's scheme: `power` calls of the score, two draws."""
    a, b = draw.uniform(), draw.uniform()
    for _ in range(power):
        x = x + h / power * (a + b) * score(t, x)
    return x


def test_a_scheme_of_ones_own_is_counted_too():
    import functools

    stage = Predict(functools.partial(own_step, power=3), LEVELS)
    assert stage.footprint == plans.Footprint(rounds=3, evaluations=3, uniforms=(1, 1))
    score = run(Plan([stage]))
    assert len(score.shapes) == Plan([stage]).rounds == 9


def test_the_uniforms_of_a_step_lie_in_their_strata():
    footprint = plans.footprint(schemes.parallel_midpoint(strata=4, rounds=2))
    assert footprint.alphas == 4
    assert footprint.stratum.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert footprint.strata.tolist() == [4.0] * 4
    assert plans.footprint(schemes.heun).alphas == 0
    assert plans.footprint(schemes.heun).strata.size == 0
    assert plans.footprint(schemes.randomized_midpoint).strata.tolist() == [1.0]


# ------------------------------------------------------------------- the theorems' plans


def theorem(name, d, L, eps):
    """The published parameters: horizon, early stop, both step sizes, the corrector's time and friction."""
    common = {"T": math.log(d / eps**2), "delta": eps**2 / (L**2 * d), "friction": math.sqrt(L)}
    if name == "sequential":
        return common | {
            "h_pred": L ** (-5 / 3) * d ** (-7 / 18) * eps ** (2 / 3),
            "h_corr": L ** (-3 / 2) * d ** (-17 / 36) * eps,
            "T_corr": L ** (-1 / 2) * d ** (-1 / 18),
        }
    return common | {
        "h_pred": eps / (L**2 * d ** (1 / 2)),
        "h_corr": eps / (L ** (3 / 2) * d ** (1 / 2)),
        "T_corr": L ** (-1 / 2),
    }


BUILD = {"sequential": plans.sequential, "dpum": plans.dpum}
PREDICTOR = {"sequential": schemes.randomized_midpoint, "dpum": schemes.exponential_integrator}
CASES = st.tuples(st.sampled_from(sorted(BUILD)), st.integers(1, 10_000), st.floats(1, 8), st.floats(0.02, 0.9))


def split(plan):
    """The predictors, and the correctors that follow them one by one."""
    predictors, correctors = list(plan)[::2], list(plan)[1::2]
    assert all(type(s) is Predict for s in predictors)
    assert all(type(s) is Correct for s in correctors)
    assert len(predictors) == len(correctors)
    return predictors, correctors


@given(case=CASES)
def test_theorem_plans_alternate_from_the_horizon_to_the_early_stop(case):
    name, d, L, eps = case
    wanted = theorem(name, d, L, eps)
    if wanted["T"] <= max(1 / L, wanted["delta"]):
        with pytest.raises(ValueError, match="^horizon: expected"):
            BUILD[name](d, L, eps)
        return
    plan = BUILD[name](d, L, eps)
    predictors, correctors = split(plan)
    assert plan.start == pytest.approx(wanted["T"], rel=1e-12)
    assert plan.end == pytest.approx(wanted["delta"], rel=1e-12)
    for stage, after in zip(predictors, correctors, strict=True):
        assert stage.scheme is PREDICTOR[name]
        assert after.time == stage.end
        assert schemes.parameters(after.scheme) == {"friction": pytest.approx(wanted["friction"], rel=1e-12), "mass": 1}
        assert after.step * after.steps == pytest.approx(wanted["T_corr"], rel=1e-12)
        assert after.step <= wanted["h_corr"] * (1 + 1e-9)
        # one step less would be too long
        assert after.steps == 1 or wanted["T_corr"] / (after.steps - 1) > wanted["h_corr"] * (1 - 1e-9)
        assert after.configuration["scheme"].endswith(".underdamped")


@given(case=CASES)
def test_theorem_windows_have_length_one_over_L_and_equal_steps(case):
    name, d, L, eps = case
    wanted = theorem(name, d, L, eps)
    if wanted["T"] <= max(1 / L, wanted["delta"]):
        return
    predictors, _ = split(BUILD[name](d, L, eps))
    *windows, last = predictors
    top, bottom = wanted["T"], 1 / L
    # a whole number of equal windows, the one nearest to L (T - 1/L)
    assert len(windows) == max(1, round(L * (top - bottom)))
    for stage in windows:
        steps = -np.diff(stage.times)
        length = (top - bottom) / len(windows)
        assert stage.start - stage.end == pytest.approx(length, rel=1e-9)
        np.testing.assert_allclose(steps, length / steps.size, rtol=1e-6)
        assert steps.max() <= wanted["h_pred"] * (1 + 1e-6)
        assert steps.size == 1 or length / (steps.size - 1) > wanted["h_pred"] * (1 - 1e-9)
    assert last.start == pytest.approx(bottom, rel=1e-9)


@given(case=CASES)
def test_theorem_plans_end_in_steps_that_halve_the_level(case):
    """Constant steps down to a level in [h, 2h], then t, t/2, t/4, ... cut at the early stop."""
    name, d, L, eps = case
    wanted = theorem(name, d, L, eps)
    if wanted["T"] <= max(1 / L, wanted["delta"]):
        return
    times = split(BUILD[name](d, L, eps))[0][-1].times
    h, delta = wanted["h_pred"], wanted["delta"]
    constant = int(np.sum(np.abs(-np.diff(times) / h - 1) < 1e-6))
    halving = times[constant:]
    assert halving[0] <= max(2 * h, 1 / L if constant == 0 else 0) * (1 + 1e-6)
    np.testing.assert_allclose(-np.diff(times[: constant + 1]), h, rtol=1e-6)
    np.testing.assert_allclose(halving[1:-1], halving[0] / 2.0 ** np.arange(1, halving.size - 1), rtol=1e-12)
    assert halving[-1] == pytest.approx(delta, rel=1e-12)
    if halving.size > 1:
        assert halving[-2] / 2 <= delta * (1 + 1e-9) <= halving[-2] * (1 + 1e-9)
    # each halving step is at most its own start
    assert (times[:-1] >= -np.diff(times)).all()


ARGUMENTS = {"dim": 100, "smoothness": 4.0, "accuracy": 0.1}


@pytest.mark.parametrize("name", sorted(BUILD))
def test_every_constant_changes_what_it_should(name):
    wanted = theorem(name, 100, 4.0, 0.1)

    def build(**options):
        plan = BUILD[name](**ARGUMENTS, **options)
        predictors, correctors = split(plan)
        return plan, predictors, correctors

    plan, predictors, correctors = build()
    for factor in (0.5, 2.0):
        assert build(horizon_constant=factor)[0].start == pytest.approx(factor * wanted["T"], rel=1e-12)
        assert build(horizon_constant=factor)[0].end == plan.end

        _, narrow, _ = build(window_constant=factor)
        expected = round((wanted["T"] - factor / 4) / (factor / 4))
        assert len(narrow) == expected + 1
        assert narrow[-1].start == pytest.approx(factor / 4, rel=1e-9)

        _, finer, same = build(predictor_constant=factor)
        length = finer[0].start - finer[0].end
        assert len(finer[0]) == math.ceil(length / (factor * wanted["h_pred"]))
        assert same[0].steps == correctors[0].steps

        _, same, finer = build(corrector_constant=factor)
        assert finer[0].steps == math.ceil(wanted["T_corr"] / (factor * wanted["h_corr"]))
        assert finer[0].step * finer[0].steps == pytest.approx(wanted["T_corr"], rel=1e-12)
        assert [len(s) for s in same] == [len(s) for s in predictors]

        _, _, longer = build(corrector_time_constant=factor)
        assert longer[0].step * longer[0].steps == pytest.approx(factor * wanted["T_corr"], rel=1e-12)
        assert longer[0].steps == math.ceil(factor * wanted["T_corr"] / wanted["h_corr"])

        _, _, rubbed = build(friction_constant=factor)
        assert schemes.parameters(rubbed[0].scheme)["friction"] == pytest.approx(factor * 2.0, rel=1e-12)
        assert rubbed[0].steps == correctors[0].steps


@pytest.mark.parametrize("name", sorted(BUILD))
def test_the_other_arguments_change_what_they_should(name):
    build = BUILD[name]
    assert build(**ARGUMENTS, horizon=3.0).start == 3.0
    assert build(**ARGUMENTS, early_stop=1e-3).end == 1e-3
    # m_2^2 = 400 > d = 100: T = ln(400/eps^2), delta = eps^2/(L^2 400)
    heavy = build(**ARGUMENTS, second_moment=20.0)
    assert heavy.start == pytest.approx(math.log(400 / 0.01), rel=1e-12)
    assert heavy.end == pytest.approx(0.01 / (16 * 400), rel=1e-12)
    # m_2^2 < d changes nothing
    assert build(**ARGUMENTS, second_moment=5.0) == build(**ARGUMENTS)
    other = build(**ARGUMENTS, scheme=schemes.heun)
    assert all(s.scheme is schemes.heun for s in split(other)[0])
    # an early stop above 1/L: no final stage, the windows end there
    early = build(**ARGUMENTS, early_stop=0.5)
    assert early.end == 0.5
    assert all(len(set(np.round(np.diff(s.times), 9))) == 1 for s in split(early)[0])


@pytest.mark.parametrize("name", sorted(BUILD))
@pytest.mark.parametrize(
    "argument, bad",
    [
        *itertools.product(["dim"], [0, -1, 2.5, math.nan, math.inf, "many", None]),
        *itertools.product(["smoothness"], [0.5, 0, -1, math.nan, math.inf, "smooth"]),
        *itertools.product(["accuracy"], [0, 1, 1.5, -0.1, math.nan, "fine"]),
        *itertools.product(["early_stop", "horizon"], [0, -1, math.nan, math.inf, "late"]),
        *itertools.product(["second_moment"], [-1, math.nan, math.inf, "heavy"]),
        *itertools.product(
            [f"{c}_constant" for c in ("horizon", "window", "predictor", "corrector", "corrector_time", "friction")],
            [0, -1, math.nan, math.inf, "c"],
        ),
    ],
)
def test_theorem_parameters_that_make_no_sense_are_refused(name, argument, bad):
    with pytest.raises(ValueError, match=rf"^{argument}: .*expected .*got"):
        BUILD[name](**{**ARGUMENTS, argument: bad})


@pytest.mark.parametrize(
    "build", [plans.sequential, plans.dpum, plans.parallel, lambda *a: plans.log_concave(*a[:2], 1.0, a[2])]
)
@pytest.mark.parametrize(
    "argument, numbers",
    [
        ("accuracy", (10, 1e30, 0.1)),  # more steps than can be counted
        ("smoothness", (10, 1e300, 0.1)),
        ("dim", (10**300, 4.0, 0.1)),
        ("accuracy", (10, 4.0, 1e-200)),
    ],
)
def test_plans_beyond_any_computer_are_refused_at_once(build, argument, numbers):
    with pytest.raises(ValueError, match=rf"^{argument}: (expected .*got|this plan needs .* above the limit of)"):
        build(*numbers)


@pytest.mark.parametrize("build", [plans.sequential, plans.dpum])
def test_a_plan_of_more_levels_than_memory_holds_is_refused(build):
    with pytest.raises(
        ValueError, match=r"^accuracy: this plan needs .* steps, above the limit of 1.0e\+08; loosen accuracy"
    ):
        build(10**12, 4.0, 1e-12)


def test_a_horizon_below_the_early_stop_is_refused():
    with pytest.raises(ValueError, match="^horizon: expected a number > .*got 0.1"):
        plans.sequential(**ARGUMENTS, horizon=0.1)


# ------------------------------------------------------------------- what stages and plans refuse


@pytest.mark.parametrize(
    "times", [[1.0], [], [1.0, 1.0], [1.0, 2.0], [2.0, 1.0, 1.0], [1.0, -0.1], [[2.0, 1.0]], 1.0, None, "times"]
)
def test_times_that_do_not_descend_are_refused(times):
    with pytest.raises(ValueError, match="^times: expected .*got"):
        Predict(schemes.heun, times)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_times_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match=f"^times: expected finite n.*, got {bad} at index"):
        Predict(schemes.heun, [2.0, bad, 0.5])


@pytest.mark.parametrize(
    "name, bad",
    [
        *itertools.product(["time"], [-0.1, math.nan, math.inf, "t", None, [1.0]]),
        *itertools.product(["step"], [0, -0.1, math.nan, math.inf, "h", None]),
        *itertools.product(["steps"], [0, -1, 1.5, math.nan, math.inf, "n", None]),
    ],
)
def test_correctors_refuse_numbers_that_make_no_sense(name, bad):
    good = {"time": 0.5, "step": 0.1, "steps": 3}
    with pytest.raises(ValueError, match=f"^{name}: expected .*got"):
        Correct(schemes.overdamped, **{**good, name: bad})


@pytest.mark.parametrize("scheme", [None, "heun", 1.0, [schemes.heun]], ids=["none", "name", "number", "list"])
def test_what_is_no_scheme_is_refused(scheme):
    with pytest.raises(ValueError, match="^scheme: expected a step function, got"):
        Predict(scheme, LEVELS)
    with pytest.raises(ValueError, match="^scheme: expected a step function, got"):
        Correct(scheme, 0.5, 0.1, 3)


def test_a_scheme_without_its_parameters_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"^scheme: underdamped needs friction; pass underdamped\(friction=\.\.\.\)"):
        Correct(schemes.underdamped, 0.5, 0.1, 3)
    with pytest.raises(ValueError, match="^scheme: parallel_midpoint needs strata, rounds"):
        Predict(schemes.parallel_midpoint, LEVELS)
    with pytest.raises(TypeError, match="missing .*friction"):
        schemes.underdamped(mass=2)
    with pytest.raises(TypeError, match="unknown .*frction"):
        schemes.underdamped(frction=2)


def test_a_predictor_with_a_velocity_is_refused():
    with pytest.raises(ValueError, match="^scheme: underdamped carries a velocity.*Correct"):
        Predict(schemes.underdamped(friction=1), LEVELS)


WHOLE = {
    "strata": (lambda v: schemes.parallel_midpoint(strata=v, rounds=0), 1),
    "rounds": (lambda v: schemes.parallel_midpoint(strata=2, rounds=v), 0),
    "cells": (lambda v: schemes.parallel_underdamped(cells=v, rounds=1, friction=1), 1),
    "Picard rounds": (lambda v: schemes.parallel_underdamped(cells=2, rounds=v, friction=1), 1),
}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_counts_must_be_whole_and_large_enough(name):
    make, least = WHOLE[name]
    for good in (least, least + 3, np.int64(least + 1)):
        assert callable(make(good))
    for bad in (least - 1, -5, least + 0.5, float(least + 1), math.nan, math.inf, True):
        with pytest.raises(ValueError, match=rf"{name.split()[-1]} must be an integer >= {least}, got"):
            make(bad)


@pytest.mark.parametrize("name", ["rounds", "Picard rounds"])
def test_rounds_beyond_counting_are_refused(name):
    with pytest.raises(ValueError, match=rf"rounds must be at most 1000000, got {10**30}"):
        WHOLE[name][0](10**30)


@pytest.mark.parametrize("bad", [np.int64(-1), np.int32(-7)])
@pytest.mark.parametrize("name", sorted(WHOLE))
def test_numpy_counts_are_checked_too(name, bad):
    make, least = WHOLE[name]
    with pytest.raises(ValueError, match=rf"must be an integer >= {least}, got"):
        make(bad)


@pytest.mark.parametrize("name", ["friction", "mass"])
@pytest.mark.parametrize(
    "bad", [0, 0.0, -1, -1e-300, math.nan, math.inf, np.float64(-1), np.float32(-1), np.int64(0), 10**400]
)
def test_physical_parameters_must_be_positive(name, bad):
    good = {"friction": 1, "mass": 1}
    for make in (schemes.underdamped, schemes.randomized_midpoint_langevin):
        with pytest.raises(ValueError, match=f"{name} must be a finite number > 0, got"):
            make(**{**good, name: bad})


@pytest.mark.parametrize("bad", ["2", None, [2.0]], ids=repr)
def test_physical_parameters_must_be_numbers(bad):
    with pytest.raises((TypeError, ValueError), match="friction"):
        schemes.underdamped(friction=bad)


def test_stages_must_fit_together():
    first = Predict(schemes.heun, [2.0, 1.0])
    with pytest.raises(ValueError, match="^stages: each stage must start where .* at 0.5 after .* at 1.0"):
        Plan([first, Correct(schemes.overdamped, 0.5, 0.1, 1)])
    with pytest.raises(ValueError, match="^stages: each stage must start where .* at 2.0 after .* at 1.0"):
        Plan([first, first])
    with pytest.raises(ValueError, match="^stages: .*"):
        Plan([Correct(schemes.overdamped, 0.5, 0.1, 1), first])


def test_an_empty_plan_and_strangers_are_refused():
    with pytest.raises(ValueError, match="^stages: a plan needs at least one stage"):
        Plan([])
    for stranger in (None, "stage", schemes.heun, Plan([Predict(schemes.heun, LEVELS)])):
        with pytest.raises(ValueError, match=f"^stages: expected Predict or Correct, got {type(stranger).__name__}"):
            Plan([stranger])


def test_a_single_stage_is_no_plan():
    with pytest.raises((TypeError, ValueError)):
        Plan(Predict(schemes.heun, LEVELS))


# ------------------------------------------------------------------- equality, pickle, plain data


def everything():
    return Plan(
        [
            Predict(schemes.parallel_midpoint(strata=3, rounds=1), [2.0, 1.0]),
            Correct(schemes.underdamped(friction=2, mass=3), 1.0, 0.1, 4),
            Predict(schemes.randomized_midpoint, [1.0, 0.5]),
            Correct(schemes.overdamped, 0.5, 0.1, 2),
        ]
    )


def test_equal_plans_are_equal_and_hash_alike():
    assert everything() == everything()
    assert everything() is not everything()
    assert hash(everything()) == hash(everything())
    assert len({everything(), everything()}) == 1
    for one, two in zip(everything(), everything(), strict=True):
        assert one == two
        assert hash(one) == hash(two)


def test_plans_that_differ_anywhere_differ():
    step = {"time": 0.5, "step": 0.1, "steps": 2}
    stages = [
        Predict(schemes.heun, [2.0, 1.0]),
        Predict(schemes.midpoint, [2.0, 1.0]),
        Predict(schemes.heun, [2.0, 1.5, 1.0]),
        Predict(schemes.parallel_midpoint(strata=3, rounds=1), [2.0, 1.0]),
        Predict(schemes.parallel_midpoint(strata=3, rounds=2), [2.0, 1.0]),
        Correct(schemes.underdamped(friction=2), **step),
        Correct(schemes.underdamped(friction=3), **step),
        Correct(schemes.underdamped(friction=2, mass=2), **step),
        Correct(schemes.underdamped(friction=2), **{**step, "time": 0.6}),
        Correct(schemes.underdamped(friction=2), **{**step, "step": 0.2}),
        Correct(schemes.underdamped(friction=2), **{**step, "steps": 3}),
    ]
    for one, two in itertools.combinations(stages, 2):
        assert one != two
        assert Plan([one]) != Plan([two])
    assert stages[0] != "stage"
    assert Plan(stages[:1]) != stages[0]


@pytest.mark.parametrize(
    "one, two",
    [
        (schemes.underdamped(friction=2), schemes.underdamped(friction=2, mass=1)),
        (schemes.underdamped(2), schemes.underdamped(friction=2)),
        (schemes.underdamped(friction=2), schemes.underdamped(friction=2.0)),
        (schemes.underdamped(friction=2.0), schemes.underdamped(friction=np.float64(2.0))),
        (schemes.heun, schemes.heun()),
    ],
)
def test_stages_that_are_equal_hash_alike(one, two):
    """However the same parameters were written."""
    one, two = Correct(one, 0.5, 0.1, 2), Correct(two, 0.5, 0.1, 2)
    assert one == two
    assert hash(one) == hash(two)


def test_pickle_keeps_a_plan():
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(everything(), protocol))
        assert again == everything()
        assert again.configuration == everything().configuration
        np.testing.assert_array_equal(
            sample(again, CountingScore(), N, DIM, rng=1), sample(everything(), CountingScore(), N, DIM, rng=1)
        )


@pytest.mark.parametrize("number", [3, np.int64(3)], ids=["int", "numpy"])
def test_the_configuration_is_plain_data(number):
    plan = Plan(
        [
            Predict(schemes.parallel_midpoint(strata=number, rounds=1), np.array([2.0, 1.0])),
            Correct(schemes.underdamped(friction=np.float64(2)), np.float64(1.0), 0.1, number),
        ]
    )
    again = json.loads(json.dumps(plan.configuration, allow_nan=False))
    assert again == plan.configuration
    predict, correct = again
    assert predict["stage"] == "Predict"
    assert predict["scheme"].endswith("parallel_midpoint")
    assert (predict["strata"], predict["rounds"], predict["times"]) == (3, 1, [2.0, 1.0])
    assert correct["stage"] == "Correct"
    assert correct["scheme"].endswith("underdamped")
    assert [correct[k] for k in ("friction", "mass", "time", "step", "steps")] == [2, 1, 1.0, 0.1, 3]


def test_a_plan_does_not_follow_the_callers_times():
    times = np.array([2.0, 1.0])
    stage = Predict(schemes.heun, times)
    times[:] = 7.0
    assert stage.times.tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        stage.times[0] = 7.0
    with pytest.raises(AttributeError):
        stage.times = times
    with pytest.raises(AttributeError):
        Plan([stage]).stages = ()


@pytest.mark.parametrize("name, bad", [("friction", -1), ("friction", math.nan), ("mass", 0)])
def test_a_plain_partial_is_checked_by_its_stage(name, bad):
    scheme = functools.partial(schemes.underdamped, **({"friction": 2} | {name: bad}))
    with pytest.raises(ValueError, match=f"underdamped: {name} must be a finite number > 0, got"):
        Correct(scheme, 0.5, 0.1, 1)
