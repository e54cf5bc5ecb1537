"""Laws of steps that are not the package's own: each right, or refused with its cause."""

from __future__ import annotations

import functools
import itertools
import math
import types

import mpmath
import numpy as np
import pytest
from oracles.plain import noised

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, expm1
from rmverify.laws.conditional import split_target
from rmverify.readings.affine import AffineDraw, AffineForm
from rmverify.readings.concrete import BrokenContract
from rmverify.readings.witness import mixes

LEVELS = [1.0, 0.7, 0.45, 0.2, 0.1]
CORRELATED = rm.Gaussian([0.5, -2.0], [[1.5, 0.35], [0.35, 1.0]])
WEIGHTS = np.array([0.2, 2.0])


def strange(scheme, **parameters):
    """A copy of a shipped step that the package does not know as its own."""
    wrapped = scheme.__wrapped__
    code = types.FunctionType(wrapped.__code__, wrapped.__globals__, wrapped.__name__, None, wrapped.__closure__)
    code.__kwdefaults__ = wrapped.__kwdefaults__
    copy = schemes.scheme(kinetic=scheme.kinetic, **scheme.smallest)(code)
    return copy(**parameters) if parameters else copy


def preconditioned(x, t, h, score, draw):
    (w,) = draw.normal(((h * WEIGHTS,),))
    return x + h / 2 * WEIGHTS * score(t, x) + w


def lyapunov(A, C):
    """S = A S A^T + C, by the Kronecker product."""
    n = len(A)
    return np.linalg.solve(np.eye(n * n) - np.kron(A, A), C.ravel()).reshape(n, n)


# --- coefficients per coordinate --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", [CORRELATED, rm.Gaussian.isotropic(1.0, 2), rm.Gaussian([0.0, 1.0], [4.0, 0.25])], ids=repr
)
def test_a_preconditioner_leaves_the_law_of_its_lyapunov_equation(target):
    h, P = 0.1, np.linalg.inv(target.covariance)
    law = rm.stationary_law(preconditioned, target, h)
    A = np.eye(2) - h / 2 * WEIGHTS[:, None] * P
    np.testing.assert_allclose(law.covariance, lyapunov(A, np.diag(h * WEIGHTS)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(law.mean, target.mean, rtol=0, atol=1e-13)


def test_plans_with_a_preconditioner_have_their_law_in_full_coordinates():
    plan = rm.Plan([rm.Predict(schemes.heun, LEVELS), rm.Correct(preconditioned, 0.1, 0.05, 3)])
    law = rm.output_law(plan, CORRELATED, start="exact")
    before = rm.output_law(rm.Plan(plan.stages[:1]), CORRELATED, start="exact")
    q = CORRELATED.at(0.1)
    A = np.eye(2) - 0.025 * WEIGHTS[:, None] * np.linalg.inv(q.covariance)
    mean, covariance = before.mean, before.covariance
    for _ in range(3):
        mean, covariance = q.mean + A @ (mean - q.mean), A @ covariance @ A.T + np.diag(0.05 * WEIGHTS)
    np.testing.assert_allclose(law.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(law.covariance, covariance, rtol=1e-13)
    assert rm.tv(law, q).kind == "exact"


def test_the_error_of_a_law_in_full_coordinates_covers_its_distance_to_the_truth():
    """Against the same recursion at 60 digits."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        W = rng.uniform(0.2, 2, 3)
        root = rng.standard_normal((3, 3))
        target = rm.Gaussian(10.0 ** rng.uniform(0, 4, 3), root @ root.T + 0.1 * np.eye(3))

        def step(x, t, h, score, draw, W=W):
            (w,) = draw.normal(((h * W,),))
            return x + h / 2 * W * score(t, x) + w

        law = rm.output_law(rm.Plan([rm.Correct(step, 0.5, 0.05, 20)]), target)
        with mpmath.workdps(60):
            decay = mpmath.exp(mpmath.mpf(-0.5))
            C = mpmath.matrix(target.covariance.tolist()) * decay**2 + mpmath.eye(3) * (1 - decay**2)
            m, D = mpmath.matrix(target.mean.tolist()) * decay, mpmath.diag([mpmath.mpf(w) for w in W.tolist()])
            h = mpmath.mpf(0.05)
            A = mpmath.eye(3) - h / 2 * D * C**-1
            mean, S = mpmath.matrix(3, 1), mpmath.eye(3)
            for _ in range(20):
                mean, S = m + A * (mean - m), A * S * A.T + h * D
            truth = np.array(S.tolist(), dtype=float)
            far = np.array([float(mean[i] - mpmath.mpf(float(law.mean[i]))) for i in range(3)])
            apart = np.array(
                [[float(S[i, j] - mpmath.mpf(float(law.covariance[i, j]))) for j in range(3)] for i in range(3)]
            )
        spread = np.sqrt(np.linalg.eigvalsh(truth)[0])
        assert np.linalg.norm(apart, 2) / spread**2 <= law.rounding.max()
        assert np.linalg.norm(far) / spread <= law.rounding.max()


def test_steps_that_only_run_on_arrays_have_their_law():
    M = np.array([[0.5, 0.1], [-0.2, 0.75]])

    def arrays(x, t, h, score, draw):
        y = x.copy()
        return np.exp(h) * y + np.zeros_like(x) + np.expm1(h) * (score(t, y) @ M.T)

    law = rm.output_law(rm.Plan([rm.Predict(arrays, LEVELS)]), CORRELATED, start="exact")
    mean, covariance = CORRELATED.at(1.0).mean, CORRELATED.at(1.0).covariance
    for t, after in itertools.pairwise(LEVELS):
        h, q = t - after, CORRELATED.at(t)
        A = math.exp(h) * np.eye(2) - math.expm1(h) * M @ np.linalg.inv(q.covariance)
        mean, covariance = (
            math.exp(h) * mean - math.expm1(h) * M @ np.linalg.solve(q.covariance, mean - q.mean),
            A @ covariance @ A.T,
        )
    np.testing.assert_allclose(law.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(law.covariance, covariance, rtol=1e-12)


def test_random_midpoints_that_mix_coordinates_need_their_midpoints():
    def mixed(x, t, h, score, draw):
        a = draw.uniform()
        return exp(h) * x + WEIGHTS * h * exp((1 - a) * h) * score(t - a * h, x)

    plan = rm.Plan([rm.Predict(mixed, LEVELS)])
    with pytest.raises(TypeError, match="pass the midpoints"):
        rm.output_law(plan, CORRELATED)
    assert rm.output_law(plan, CORRELATED, alphas=[0.5] * 4).dim == 2


def test_in_thousands_of_dimensions_coefficients_per_coordinate_are_refused():
    target = rm.Gaussian(np.zeros(600), np.linspace(1, 2, 600))
    weights = np.linspace(0.5, 1, 600)
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x + h * weights * score(t, x), LEVELS)])
    assert rm.output_law(plan, target).dim == 600  # each coordinate is a mode here
    turned = rm.Gaussian(np.zeros(600), np.eye(600) + 0.5)
    with pytest.raises(TypeError, match="coefficients per coordinate"):
        rm.output_law(plan, turned)


# --- branches ---------------------------------------------------------------------------------------------------------


def branching(x, t, h, score, draw):
    s = score(t, x)
    if float(np.max(np.asarray(t))) < 0.5:
        s = (s + score(t - h, x)) / 2
    return exp(h) * x + expm1(h) * s


def test_a_branch_on_the_level_is_read_and_counted_at_every_level():
    def v(t):
        return noised(0.25, t)

    variance = v(1.0)
    for t, after in itertools.pairwise(LEVELS):
        slope = -1 / v(t) if t >= 0.5 else -(1 / v(t) + 1 / v(after)) / 2
        variance *= (math.exp(t - after) + math.expm1(t - after) * slope) ** 2
    plan = rm.Plan([rm.Predict(branching, LEVELS)])
    law = rm.output_law(plan, rm.Gaussian.isotropic(0.25, 1), start="exact")
    assert law.variances[0] == pytest.approx(variance, rel=1e-13)
    assert (plan.evaluations, plan.rounds) == (6, 6)


def test_steps_that_draw_midpoints_at_some_levels_only_are_refused():
    def sometimes(x, t, h, score, draw):
        return schemes.midpoint(x, t, h, score, draw) if t > 0.5 else schemes.randomized_midpoint(x, t, h, score, draw)

    with pytest.raises(ValueError, match="a stage of its own"):
        rm.output_law(rm.Plan([rm.Predict(sometimes, LEVELS)]), CORRELATED)


def bends(x, t, h, score, draw):
    s = score(t, x)
    return exp(h) * x + expm1(h) * np.where(np.abs(s) < 3, s, 3)


def cast(x, t, h, score, draw):
    return exp(h) * x + expm1(h) * np.asarray(score(t, x), dtype=np.float32).astype(float)


def by_type(x, t, h, score, draw):
    return exp(h) * x + expm1(h) * score(t, x) * (1 if isinstance(x, np.ndarray) else 2)


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (bends, "a function of it"),
        (lambda x, t, h, score, draw: x + h * score(t, x).clip(-3, 3), "a branch on a value"),
        (cast, "a cast"),
        (lambda x, t, h, score, draw: x * score(t, x), "product of two states"),
    ],
)
def test_steps_that_are_not_affine_are_refused(step, cause):
    for target in (CORRELATED, rm.Gaussian.isotropic(0.5, 3)):
        with pytest.raises(TypeError, match=cause):
            rm.output_law(rm.Plan([rm.Predict(step, LEVELS)]), target)


def test_a_branch_on_the_type_is_what_it_is_for_particles():
    plan, right = (rm.Plan([rm.Predict(s, LEVELS)]) for s in (by_type, schemes.exponential_integrator))
    np.testing.assert_allclose(
        rm.output_law(plan, CORRELATED).covariance, rm.output_law(right, CORRELATED).covariance, rtol=1e-12
    )


# --- the contract -----------------------------------------------------------------------------------------------------


GENERATOR = np.random.default_rng(3)


def own_numbers(x, t, h, score, draw):
    return x + h * score(t, x) + np.sqrt(2 * h) * GENERATOR.standard_normal()


def in_place(x, t, h, score, draw):
    half = x
    half *= exp(h / 2)
    return exp(h / 2) * half + expm1(h) * score(t, x)


@schemes.scheme(kinetic=True)
def adams_bashforth(state, t, h, score, draw):
    x, old = state
    s = score(t, x)
    return x + h * (3 * s - old) / 2, s


def in_place_at_some_levels(x, t, h, score, draw):
    return in_place(x, t, h, score, draw) if 0.4 < t < 0.5 else exp(h) * x + expm1(h) * score(t, x)


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (own_numbers, "random numbers of its own"),
        (in_place, "in place"),
        (in_place_at_some_levels, "in place"),
        (lambda x, t, h, score, draw: (x, {"calls": 1}), "nothing else; got tuple"),
        (lambda x, t, h, score, draw: x + h * score(x, t), "raised ValueError"),
        (lambda x, t, h, score, draw: x + draw.normal(h), "expected the rows of a covariance"),
        (lambda x, t, h, score, draw: math.exp(draw.uniform() * h) * x, "rmverify.elementary"),
    ],
)
@pytest.mark.parametrize("target", [CORRELATED, rm.targets.TwoGaussians(1.0)], ids=["gaussian", "line"])
def test_broken_contracts_are_refused_before_any_law(step, cause, target):
    with pytest.raises(ValueError, match=cause):
        rm.output_law(rm.Plan([rm.Predict(step, LEVELS)]), target)


def test_a_history_is_refused_as_a_velocity():
    for target in (CORRELATED, rm.targets.TwoGaussians(1.0)):
        with pytest.raises(BrokenContract, match="not a velocity"):
            rm.output_law(rm.Plan([rm.Correct(adams_bashforth, 0.5, 0.1, 3)]), target)
    with pytest.raises(BrokenContract, match="not a velocity"):
        rm.stationary_law(adams_bashforth, CORRELATED, 0.1)


def test_numbers_over_balls_need_steps_that_keep_every_digit():
    def floats(x, t, h, score, draw):
        return math.exp(h) * x + math.expm1(h) * score(t, x)

    target = rm.Gaussian.isotropic(0.25, 1)
    plans = [rm.Plan([rm.Predict(s, LEVELS)]) for s in (floats, schemes.exponential_integrator)]
    assert len({float(rm.output_law(plan, target).variances[0]) for plan in plans}) == 1
    for refused in (lambda: rm.local_error(floats, target, 1.0, 1e-6), lambda: rm.coupling_error(plans[0], target)):
        with pytest.raises(TypeError, match="rounds h to a float"):
            refused()
    for t in (1e-6, 1.0, 10.0):
        rm.local_error(strange(schemes.randomized_midpoint), target, t, t / 3)


def test_stationary_laws_of_steps_that_round_are_computed_in_floats():
    def floats(x, t, h, score, draw):
        (w,) = draw.normal(((2 * float(h),),))
        return x + math.sin(h) * score(t, x) + w

    law = rm.stationary_law(floats, rm.Gaussian.isotropic(2.0, 3), 0.25)
    assert law.variances == pytest.approx(0.5 / (1 - (1 - math.sin(0.25) / 2) ** 2), rel=1e-14)


# --- the package's own steps, as a stranger's -----------------------------------------------------------------------


STRANGERS = {
    "heun": strange(schemes.heun),
    "randomized_midpoint": strange(schemes.randomized_midpoint),
    "parallel_midpoint": strange(schemes.parallel_midpoint, strata=3, rounds=2),
    "underdamped": strange(schemes.underdamped, friction=2, mass=0.5),
    "randomized_midpoint_langevin": strange(schemes.randomized_midpoint_langevin, friction=2, mass=0.5),
    "parallel_underdamped": strange(schemes.parallel_underdamped, cells=3, rounds=2, friction=2),
}
TARGETS = [
    CORRELATED,
    rm.Gaussian.from_spectrum([0.25, 4.0], [10**12, 3], [1.0, -2.0]),
    rm.Gaussian.from_spectrum([1e-12, 3.0, 1e8], [1, 2, 1], [1e3, 0.0, -1e9]),
    rm.EstimatedScore(CORRELATED, gain=0.1, bias=lambda t: 0.1 * np.exp(-t)),
]


def stage(scheme):
    kinetic = schemes.velocity_variance(scheme) is not None
    return rm.Correct(scheme, 0.3, 0.1, 2) if kinetic else rm.Predict(scheme, LEVELS)


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("target", TARGETS, ids=["correlated", "huge", "scales", "estimated"])
def test_the_right_readings_of_right_steps_are_admitted(name, target):
    assert not schemes.contract.shipped(STRANGERS[name])
    assert mixes(stage(STRANGERS[name]), target, *split_target(target)) is None


def test_their_laws_are_the_same_numbers():
    for name, scheme in STRANGERS.items():
        keywords = scheme.keywords if isinstance(scheme, functools.partial) else {}
        own = getattr(schemes, name)(**keywords) if keywords else getattr(schemes, name)
        foot = stage(own).footprint
        alphas = [(foot.stratum + 0.3) / foot.strata] * len(stage(own)) if foot.alphas else None
        for each in (CORRELATED, TARGETS[1]):
            laws = [rm.output_law(rm.Plan([stage(s)]), each, alphas=alphas) for s in (own, scheme)]
            np.testing.assert_allclose(laws[1].variances, laws[0].variances, rtol=1e-13)
            np.testing.assert_allclose(laws[1].means, laws[0].means, rtol=1e-13)


# --- wrong readings ---------------------------------------------------------------------------------------------------


def subtracts(self, other):
    return self.__add__(other)


def forgets_the_constant(self, other):
    parts = dict(self.parts)
    for source, part in (other.parts if isinstance(other, AffineForm) else {}).items():
        parts[source] = parts[source] + part if source in parts else part
    return self.like(parts)


def divides_twice(self, divisor):
    return self.map(lambda part: part / divisor / divisor)


def swaps_its_midpoint(self):
    return 1 - self._take(1)[0]


def half_the_variance(self, covariance, count=None):
    halved = tuple(tuple(entry / 2 for entry in row) for row in covariance)
    return AffineDraw.__dict__["_whole"](self, halved, count)


def one_noise_for_all(self, covariance, count=None):
    which = 0
    self.draws.append((covariance, count))
    return [AffineForm({(which, i, 0): 1}) for i in range(len(covariance))]


@pytest.mark.parametrize(
    ("where", "what", "wrong", "scheme"),
    [
        (AffineForm, "__sub__", subtracts, "subtracting"),
        (AffineForm, "__add__", forgets_the_constant, "heun"),
        (AffineForm, "__truediv__", divides_twice, "dividing"),
        (AffineDraw, "uniform", swaps_its_midpoint, "randomized_midpoint"),
        (AffineDraw, "normal", half_the_variance, "underdamped"),
        (AffineDraw, "normal", one_noise_for_all, "randomized_midpoint_langevin"),
    ],
)
def test_readings_that_read_something_else_are_not_taken_for_the_step(monkeypatch, where, what, wrong, scheme):
    steps = STRANGERS | {
        "subtracting": lambda x, t, h, score, draw: x - h * (x - score(t, x)),
        "dividing": lambda x, t, h, score, draw: x + score(t, x) / (2 + h),
    }
    monkeypatch.setattr(AffineDraw, "_whole", AffineDraw.normal, raising=False)
    monkeypatch.setattr(where, what, wrong)
    assert mixes(stage(steps[scheme]), CORRELATED, *split_target(CORRELATED)) is not None


def test_a_budget_for_a_strangers_step_is_one_in_the_targets_own_coordinates():
    """A step with weights per coordinate does something else to the eigenvectors of the covariance."""
    from rmverify.studies.budget import budget, setting

    def weighted(x, t, h, score, draw):
        return exp(h) * x + expm1(h) * np.array([1.0, 0.98]) * score(t, x)

    row = budget(CORRELATED, 0.2, predictors=[weighted], correctors=[False], max_steps=64).rows[0]
    where = setting(CORRELATED, 0.2)
    steps = row.curve[-1].steps
    plan = rm.Plan([rm.Predict(weighted, np.geomspace(where.horizon, where.early_stop, steps + 1))])
    law = rm.output_law(plan, CORRELATED)
    assert row.curve[-1].tv == pytest.approx(rm.tv(law, CORRELATED.at(where.early_stop)), rel=1e-9)
    turned = rm.Gaussian.from_spectrum(CORRELATED.variances, [1, 1], CORRELATED.means)
    assert abs(rm.tv(rm.output_law(plan, turned), turned.at(where.early_stop)) / row.curve[-1].tv - 1) > 1e-3


# --- what a step can hide ---------------------------------------------------------------------------------------------


COUNT = [0]
TICKS = iter(range(10**9))


def every_fortieth(x, t, h, score, draw):
    COUNT[0] += 1
    y = x + h * score(t, x)
    return 3 * y if COUNT[0] % 40 == 0 else y


def every_fortieth_tick(x, t, h, score, draw):
    y = x + h * score(t, x)
    return 3 * y if next(TICKS) % 40 == 0 else y


@functools.wraps(schemes.overdamped)
def wrapped(x, t, h, score, draw):
    return every_fortieth(x, t, h, score, draw)


class Multistep:
    """Adams and Bashforth, with a slope kept from the step before."""

    def __init__(self):
        self.slope = self.level = None

    def __call__(self, x, t, h, score, draw):
        slope, old = x + score(t, x), self.slope
        follows = old is not None and self.level > t and np.shape(old) == np.shape(x)
        self.slope, self.level = slope, t
        return x + h * (3 * slope - old) / 2 if follows else x + h * slope


def rare_jumps_of_its_own(x, t, h, score, draw):
    return x + h * score(t, x) + (50.0 if GENERATOR.random() < 1e-9 else 0.0)


@functools.lru_cache
def coefficient(t):
    return GENERATOR.random()


def frozen_at_random(x, t, h, score, draw):
    return x + h * coefficient(t) * score(t, x)


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (every_fortieth, "keeps state between calls, in COUNT"),
        (every_fortieth_tick, "keeps state between calls, in TICKS"),
        (wrapped, "keeps state between calls, in COUNT"),
        (Multistep(), "Multistep keeps state between calls, in Multistep"),
        (rare_jumps_of_its_own, "random numbers of its own, from GENERATOR"),
        (frozen_at_random, "random numbers of its own, from GENERATOR"),
    ],
)
def test_what_shows_in_few_runs_only_is_seen_by_what_it_keeps(step, cause):
    with pytest.raises(BrokenContract, match=cause):
        rm.output_law(rm.Plan([rm.Predict(step, np.linspace(2, 0.2, 10))]), CORRELATED)


def test_a_history_that_no_name_shows_is_seen_in_two_levels_in_a_row():
    class Opaque(Multistep):
        def __getattribute__(self, name):
            return {} if name == "__dict__" else super().__getattribute__(name)

    with pytest.raises(BrokenContract, match="keeps state between calls"):
        rm.output_law(rm.Plan([rm.Predict(Opaque(), np.linspace(2, 0.2, 10))]), CORRELATED)


@pytest.mark.parametrize(
    ("covariance", "fault"),
    [
        (lambda t, u: ((-0.5,),), "a variance of -0.5"),
        (lambda t, u: ((t - 0.3,),), "a variance of -0.1"),
        (lambda t, u: ((u - 0.1,),), "a variance of -0.1"),
        (lambda t, u: ((1.0, 2.0), (2.0, 1.0)), "rows that are not positive semidefinite"),
        (lambda t, u: ((1.0, 0.9), (0.0, 1.0)), "rows that are not symmetric"),
    ],
)
@pytest.mark.parametrize("target", [CORRELATED, rm.targets.TwoGaussians(1.0)], ids=["gaussian", "line"])
def test_what_is_no_covariance_is_refused(covariance, fault, target):
    def step(x, t, h, score, draw):
        return x + sum(draw.normal(covariance(t, draw.uniform())))

    with pytest.raises(ValueError, match=f"expected a covariance, got {fault}"):
        rm.output_law(rm.Plan([rm.Predict(step, LEVELS)]), target)
    with pytest.raises(ValueError, match=f"expected a covariance, got {fault[:-4]}"):
        rm.sample(rm.Plan([rm.Predict(step, LEVELS)]), target, 500, target.dim, rng=1)


def test_draws_of_another_kind_at_other_levels_are_refused():
    def step(x, t, h, score, draw):
        return x + h * (draw.uniform() if t > 0.5 else draw.bernoulli(0.25)) * score(t, x)

    with pytest.raises(ValueError, match="1 uniform in some steps and 1 bernoulli in others"):
        rm.output_law(rm.Plan([rm.Predict(step, LEVELS)]), CORRELATED)


def test_a_window_of_levels_is_looked_at_however_narrow():
    def weighted(x, t, h, score, draw):
        y = x + h * (x + score(t, x))
        return y * np.array([1.0, 3.0]) if 0.50 < t < 0.52 else y

    levels, target = np.linspace(2, 0.2, 181), rm.Gaussian([0, 0], [[2, 1], [1, 2.0]])
    C = target.at(2.0).covariance
    for t, after in itertools.pairwise(levels):
        A = np.eye(2) + (t - after) * (np.eye(2) - np.linalg.inv(target.at(t).covariance))
        A = np.diag([1.0, 3.0]) @ A if 0.50 < t < 0.52 else A
        C = A @ C @ A.T
    law = rm.output_law(rm.Plan([rm.Predict(weighted, levels)]), target, start="exact")
    np.testing.assert_allclose(law.covariance, C, rtol=1e-11)


@pytest.mark.parametrize("variance", [4.0, 1e-22])
def test_bends_of_the_size_of_the_law_are_seen(variance):
    width = math.sqrt(variance)

    def bump(x, t, h, score, draw):
        assert x.shape[1] == 1  # it runs on arrays alone
        return x + 2 * width * ((x > 0.3 * width) & (x < 0.45 * width))

    with pytest.raises(TypeError, match="not affine"):
        rm.output_law(rm.Plan([rm.Correct(bump, 0, 0.1, 1)]), rm.Gaussian.isotropic(variance, 1), start="exact")


def test_steps_that_depend_on_the_dimension_are_not_read_in_another():
    def by_dimension(x, t, h, score, draw):
        d = np.shape(x)[-1] if np.ndim(x) else 1
        return x + h / d * (x + score(t, x))

    plan = rm.Plan([rm.Predict(by_dimension, LEVELS)])
    for target in (rm.Gaussian.isotropic(4.0, 10**6), rm.Product(rm.targets.TwoGaussians(1.0), 3)):
        with pytest.raises(TypeError, match="does not act on"):
            rm.output_law(plan, target)
    law = rm.output_law(plan, rm.Gaussian.isotropic(4.0, 4), start="exact")
    variance = 4 * math.exp(-2) - math.expm1(-2)
    for t, after in itertools.pairwise(LEVELS):
        variance *= (1 + (t - after) / 4 * (1 - 1 / (4 * math.exp(-2 * t) - math.expm1(-2 * t)))) ** 2
    np.testing.assert_allclose(law.covariance, variance * np.eye(4), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("h", [1e-3, 1e-6, 1e-9, 1e-11])
def test_rounding_is_seen_however_short_the_step(h):
    def by_math(x, t, h, score, draw):
        return math.exp(h) * x + (math.exp(h) - 1) * score(t, x)

    def single(x, t, h, score, draw):
        return exp(h) * x + expm1(h) * score(float(np.float32(float(t))), x)

    for step, what in ((by_math, "rounds h"), (single, "rounds t")):
        with pytest.raises(TypeError, match=what):
            rm.local_error(step, rm.Gaussian.isotropic(4.0, 1), 0.9, h)
    rm.local_error(strange(schemes.heun), rm.Gaussian.isotropic(4.0, 1), 0.9, h)


MATRIX = np.array([[0.5, 0.1], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("apply", "matrix"),
    [
        (lambda s: s @ MATRIX, MATRIX.T),
        (lambda s: np.matmul(s, MATRIX), MATRIX.T),
        (lambda s: np.dot(s, MATRIX), MATRIX.T),
        (lambda s: np.einsum("ij,nj->ni", MATRIX, s), MATRIX),
        (lambda s: np.multiply(0.5, s), np.eye(2) / 2),
        (lambda s: np.negative(s), -np.eye(2)),
    ],
)
def test_matrices_and_numpys_own_functions_have_their_law(apply, matrix):
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x + h * apply(score(t, x)), LEVELS)])
    law = rm.output_law(plan, CORRELATED, start="exact")
    C = CORRELATED.at(LEVELS[0]).covariance
    for t, after in itertools.pairwise(LEVELS):
        A = np.eye(2) - (t - after) * matrix @ np.linalg.inv(CORRELATED.at(t).covariance)
        C = A @ C @ A.T
    np.testing.assert_allclose(law.covariance, C, rtol=1e-12, atol=1e-14)


def test_noise_is_multiplied_by_matrices_too():
    """x' = x + h M s(x) + sqrt(2 h) L z with L L^T = M leaves A S A^T + 2 h M, A = I - h M P."""
    M, h = np.array([[2.1, 0.6], [0.6, 1.0]]), 0.1
    L = np.linalg.cholesky(M)

    def langevin(x, t, h, score, draw):
        (z,) = draw.normal(((1.0,),))
        return x + h * score(t, x) @ M + np.sqrt(2 * h) * z @ L.T

    A = np.eye(2) - h * M @ np.linalg.inv(CORRELATED.covariance)
    law = rm.stationary_law(langevin, CORRELATED, h)
    np.testing.assert_allclose(law.covariance, lyapunov(A, 2 * h * M), rtol=1e-12)


def test_midpoints_that_are_changed_in_place_stay_what_they_were_for_others():
    def in_its_place(x, t, h, score, draw):
        u = draw.uniform()
        u *= h
        return x + u * score(t, x)

    def aside(x, t, h, score, draw):
        return x + draw.uniform() * h * score(t, x)

    laws = [rm.output_law(rm.Plan([rm.Predict(s, LEVELS)]), CORRELATED) for s in (in_its_place, aside)]
    np.testing.assert_allclose(laws[0].variances, laws[1].variances, rtol=1e-13)


def test_noise_at_some_levels_only_is_in_the_law_on_the_line():
    """One Gaussian on the line, x' = (1 + h (1 - 1/v)) x, plus noise below t = 0.3."""

    def step(x, t, h, score, draw):
        y = x + h * (x + score(t, x))
        return y + draw.normal(((0.01,),))[0] if t < 0.3 else y

    target = rm.targets.TwoGaussians(0.0, variance=0.5)
    law = rm.output_law(rm.Plan([rm.Predict(step, LEVELS)]), target, start="exact")
    variance = 0.5 * math.exp(-2) - math.expm1(-2)
    for t, after in itertools.pairwise(LEVELS):
        v = 0.5 * math.exp(-2 * t) - math.expm1(-2 * t)
        variance = variance * (1 + (t - after) * (1 - 1 / v)) ** 2 + 0.01 * (t < 0.3)
    assert law.variance == pytest.approx(variance, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("target", [CORRELATED, rm.targets.TwoGaussians(1.0)], ids=["gaussian", "line"])
def test_no_level_of_a_long_stage_goes_unseen(target):
    """Of a thousand levels not all are looked at in every way, but at all the step is run, twice, and compared."""

    def by_type_at_one_level(x, t, h, score, draw):
        return exp(h) * x + expm1(h) * score(t, x) * (2 if 1.2015 < t < 1.2025 and isinstance(x, np.ndarray) else 1)

    def in_place_at_one_level(x, t, h, score, draw):
        if 1.2015 < t < 1.2025:
            x *= 2
        return exp(h) * x + expm1(h) * score(t, x)

    levels = np.linspace(2.0, 1.0, 1001)
    assert np.sum((levels > 1.2015) & (levels < 1.2025)) == 1
    with pytest.raises(BrokenContract, match="in place"):
        rm.output_law(rm.Plan([rm.Predict(in_place_at_one_level, levels)]), target)
    plan = rm.Plan([rm.Predict(by_type_at_one_level, levels)])
    if target is CORRELATED:  # the law of what it does to particles
        right = rm.output_law(rm.Plan([rm.Predict(schemes.exponential_integrator, levels)]), target)
        assert np.abs(rm.output_law(plan, target).covariance - right.covariance).max() > 1e-4
    else:
        with pytest.raises(TypeError, match="a branch on a value or a type"):
            rm.output_law(plan, target)
