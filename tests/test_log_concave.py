"""The log-concave plan: its formulas by hand, what it costs, which targets it refuses, and what it samples."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import rmverify as rm
from rmverify import plans, sample, schemes, targets

# ------------------------------------------------------------------- formulas


def rounds_until(z, goal):
    """The least K with z^{2(K-1)}/(2(K-1))! <= goal."""
    K = 1
    while z ** (2 * (K - 1)) / math.factorial(2 * (K - 1)) > goal:
        K += 1
    return K


def up(count):
    """Rounded up, from 1 on; what is a whole number but for rounding is that."""
    return max(1, math.ceil(count - 1e-9))


def by_hand(d, L, m, eps, parallel, **c):
    """(scheme, parameters, total time, least steps) of both stages, from the docstring's formulas."""
    c = {"horizon": 1, "step": 1, "corrector": 1, "corrector_time": 1, "friction": 1, "picard": 1} | c
    kappa = L / m
    tau = c["corrector_time"] * L**-0.5 * (1 if parallel else d ** (-1 / 18))
    far = eps * L**0.25 * tau**1.5 * math.sqrt(m / d)
    friction = c["friction"] * math.sqrt(L)
    if not parallel:
        h = c["step"] * min(far ** (1 / 3) * kappa ** (-1 / 6), far ** (2 / 3))
        h_corr = c["corrector"] * eps / (L**0.75 * tau**0.5 * math.sqrt(d))
        return (
            (schemes.randomized_midpoint_langevin, {"friction": 2, "mass": 1 / L},
             c["horizon"] * 2 * kappa * math.log(20 / far**2), h),
            (schemes.underdamped, {"friction": friction, "mass": 1}, tau, h_corr),
        )  # fmt: skip
    cells = up(1 / (c["step"] * far))
    steps = up(math.sqrt(L) * tau)
    fine = up(tau / steps * math.sqrt(L * d) / (c["corrector"] * eps))
    first = min(cells, rounds_until(1.0, c["picard"] * far / kappa))
    second = min(fine, rounds_until(math.sqrt(L) * tau / steps, c["picard"] * eps / math.sqrt(d)))
    return (
        (schemes.parallel_underdamped, {"cells": cells, "rounds": first, "friction": 2 * math.sqrt(L), "mass": 1},
         c["horizon"] * kappa * math.log(20 / far**2) / math.sqrt(L), 1 / math.sqrt(L)),
        (schemes.parallel_underdamped, {"cells": fine, "rounds": second, "friction": friction, "mass": 1}, tau,
         tau / steps),
    )  # fmt: skip


def is_as_by_hand(plan, wanted):
    assert plan.start == plan.end == 0.0
    for place, (stage, (step, parameters, time, longest)) in enumerate(zip(plan, wanted, strict=True)):
        assert isinstance(stage, rm.Correct)
        assert stage.scheme.func is getattr(step, "func", step)
        assert schemes.parameters(stage.scheme) == pytest.approx(parameters, rel=1e-12)
        assert stage.step <= longest * (1 + 1e-9)
        if place == 0:  # the first stage's steps have the length, the corrector's the total time
            assert stage.step == pytest.approx(longest, rel=1e-12)
            assert time / longest * (1 - 1e-9) <= stage.steps <= time / longest * (1 + 1e-9) + 1
        else:
            assert stage.step * stage.steps == pytest.approx(time, rel=1e-12)
            assert stage.steps == 1 or time / (stage.steps - 1) > longest * (1 - 1e-9)


CASES = st.tuples(st.integers(1, 10**6), st.floats(0.01, 100), st.floats(1, 100), st.floats(0.01, 0.9), st.booleans())


@given(case=CASES)
def test_both_stages_are_as_the_formulas_have_it(case):
    d, L, kappa, eps, parallel = case
    is_as_by_hand(plans.log_concave(d, L, L / kappa, eps, parallel=parallel), by_hand(d, L, L / kappa, eps, parallel))


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("name", ["horizon", "step", "corrector", "corrector_time", "friction", "picard"])
@pytest.mark.parametrize("factor", [0.37, 2.3])
def test_every_constant_is_where_the_formulas_have_it(name, factor, parallel):
    factor = factor**10 if name == "picard" else factor  # a round or two
    plan = plans.log_concave(50, 3.0, 0.5, 0.05, parallel=parallel, **{f"{name}_constant": factor})
    is_as_by_hand(plan, by_hand(50, 3.0, 0.5, 0.05, parallel, **{name: factor}))
    usual = plans.log_concave(50, 3.0, 0.5, 0.05, parallel=parallel)
    assert (plan == usual) == (name == "picard" and not parallel)


def test_units_of_length_change_nothing_but_lengths():
    """x -> x/3: L and m grow ninefold, times of position and velocity shrink with sqrt(L)."""
    one, three = plans.log_concave(20, 4.0, 1.0, 0.1), plans.log_concave(20, 36.0, 9.0, 0.1)
    assert [s.steps for s in one] == [s.steps for s in three]
    assert three.stages[0].step == pytest.approx(one.stages[0].step)  # at mass 1/L
    assert three.stages[1].step == pytest.approx(one.stages[1].step / 3)


@pytest.mark.parametrize("parallel", [False, True])
def test_costs_are_what_a_counting_score_sees(parallel):
    plan = plans.log_concave(2, 1.0, 1.0, 0.7, parallel=parallel)
    calls, evaluations = 0, 0

    def score(t, x):
        nonlocal calls, evaluations
        calls, evaluations = calls + 1, evaluations + math.prod(x.shape[:-2])
        assert np.all(np.asarray(t) == 0)
        return -x

    sample(plan, score, 3, 2, rng=0)
    assert (calls, evaluations) == (plan.rounds, plan.evaluations)
    assert parallel == (plan.rounds < plan.evaluations)


def test_plans_too_long_for_arrays_are_counted():
    """kappa = 10^6: some 10^11 evaluations, as the formulas have it; and steep laws make no noise."""
    (_, _, time, h), (_, _, tau, fine) = by_hand(10, 1e6, 1.0, 0.1, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = plans.log_concave(10, 1e6, 1.0, 0.1)
        assert plan.evaluations == pytest.approx(2 * time / h + tau / fine, rel=1e-6)
        assert plans.log_concave(10, 1e6, 1.0, 0.1, parallel=True).rounds < plan.rounds


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("m", [0, -1.0, 4.000001, math.inf, math.nan, "m"])
def test_a_strong_concavity_that_makes_no_sense_is_refused(m):
    with pytest.raises(ValueError, match=r"^strong_concavity: expected .*got"):
        plans.log_concave(10, 4.0, m, 0.1)


@pytest.mark.parametrize("argument, bad", [
    *itertools.product(["dim"], [0, -1, 2.5, math.nan, None]),
    *itertools.product(["smoothness"], [0, -1, math.nan, math.inf, "L"]),
    *itertools.product(["accuracy"], [0, 1, 1.5, math.nan, "fine"]),
    *itertools.product([f"{c}_constant" for c in
                        ("horizon", "step", "corrector", "corrector_time", "friction", "picard")],
                       [0, -1, math.nan, math.inf, "c"]),
])  # fmt: skip
def test_other_parameters_that_make_no_sense_are_refused(argument, bad):
    given = {"dim": 10, "smoothness": 4.0, "strong_concavity": 1.0, "accuracy": 0.1}
    with pytest.raises(ValueError, match=rf"^{argument}: .*expected .*got"):
        plans.log_concave(**{**given, argument: bad})


PLAN = plans.log_concave(1, 4.0, 1.0, 0.5)
BIMODAL = targets.TwoGaussians(1.5)  # a^2 > 1: the density has two peaks, the slope between them is a^2 - 1
OUTSIDE = [
    (rm.Gaussian.isotropic(0.2, 1), 5.0, 5.0),  # more curved than L
    (rm.Gaussian.isotropic(2.0, 1), 0.5, 0.5),  # flatter than m
    (rm.EstimatedScore(rm.Gaussian.isotropic(2.0, 1), 0.1, 0.0), 0.5, 0.5),
    (BIMODAL, 1 - 1.5**2, 1.0),
    (rm.Product(BIMODAL, 1), 1 - 1.5**2, 1.0),
]


@pytest.mark.parametrize("use", [lambda target: sample(PLAN, target, 3, 1), lambda target: rm.output_law(PLAN, target)],
                         ids=["sample", "output_law"])  # fmt: skip
@pytest.mark.parametrize("target, concave, smooth", OUTSIDE, ids=["steep", "flat", "estimated", "factor", "product"])
def test_targets_outside_the_class_are_refused_with_both_constants(target, concave, smooth, use):
    words = (
        f"^target: the plan needs strong concavity >= 1 and smoothness <= 4, "
        f"got strong concavity {concave:g} and smoothness {smooth:g}$"
    )
    with pytest.raises(ValueError, match=words):
        use(target)


def test_a_target_that_does_not_know_its_constants_is_refused_but_not_its_score():
    mixture = rm.GaussianMixture([0.5, 0.5], [[-0.1], [0.1]], [[0.9], [0.9]])
    with pytest.raises(ValueError, match="^target: the plan needs strong concavity >= 1 .*GaussianMixture.* score"):
        sample(PLAN, mixture, 3, 1)
    assert sample(PLAN, mixture.score, 3, 1, rng=0).shape == (3, 1)


def test_targets_at_the_edge_of_the_class_are_taken():
    for variance in (0.25, 1.0):
        assert rm.output_law(PLAN, rm.Gaussian.isotropic(variance, 1)).dim == 1


def test_a_plan_for_any_target_takes_any():
    assert sample(rm.Plan(PLAN.stages), BIMODAL, 3, 1, rng=0).shape == (3, 1)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_stop_it_with_particle_and_step(bad, parallel):
    plan = plans.log_concave(2, 1.0, 1.0, 0.7, parallel=parallel)
    per_step, calls = plan.stages[0].footprint.rounds, 0

    def score(t, x):
        nonlocal calls
        calls += 1
        wrong = np.zeros(x.shape[-2:])
        if calls > 2 * per_step:
            wrong[1, 0] = bad
        return -x + wrong

    with np.errstate(all="ignore"), pytest.raises(ValueError, match="particle 1 .*step 3"):
        sample(plan, score, 4, 2, rng=0)


# ------------------------------------------------------------------- what it samples


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [False, True])
def test_a_target_that_is_no_gaussian_is_sampled(parallel):
    """Two peaks so close that they are one; TV of each coordinate <= eps, so that the largest gap of the distribution
    functions is within eps and what n draws leave, at one in 10^4."""
    eps, n, factor = 0.02, 20_000, targets.TwoGaussians(0.7)
    plan = plans.log_concave(2, factor.smoothness, factor.strong_concavity, eps, parallel=parallel, step_constant=4)
    x = sample(plan, rm.Product(factor, 2), n, 2, rng=3)

    def cdf(z):
        return (special.ndtr(z - 0.7) + special.ndtr(z + 0.7)) / 2

    chance = math.sqrt(math.log(2 / 1e-4) / (2 * n))  # Dvoretzky, Kiefer, Wolfowitz, Massart
    for k in range(2):
        assert stats.kstest(x[:, k], cdf).statistic < eps + chance
