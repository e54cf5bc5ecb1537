"""Stages that JAX compiles as a whole: the same numbers, what falls back to the loop step by step, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rmverify import Correct, Gaussian, GaussianMixture, Plan, Predict, sample, schemes
from rmverify.elementary import sqrt
from rmverify.numbers import backends
from rmverify.samplers.arrays import host, quietly
from rmverify.schemes.contract import text

jax = pytest.importorskip("jax", reason="JAX is not installed")
LEAST_WORK = backends.LEAST_WORK
LEVELS = [1.5, 1.0, 0.7]
EULER = Plan([Predict(schemes.euler, LEVELS)])
DIAGONAL = Gaussian([0.5, -1.0, 0.25], [2.0, 0.5, 0.25])
TARGETS = {
    "diagonal": DIAGONAL,
    "dense": Gaussian([0.5, -1.0, 0.25], [[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]]),
    "blocks": Gaussian.from_spectrum([2.0, 0.5], [1, 2], [0.5, -1.0]),
    "mixture": GaussianMixture([0.3, 0.7], [np.zeros(3), np.ones(3)], [np.eye(3), np.diag([0.5, 1.0, 2.0])]),
}


def gambler(x, t, h, score, draw):
    """Every kind of draw that the shipped steps leave out, with a chance that depends on t and on what was drawn."""
    wait = draw.exponential()
    kept = draw.bernoulli(1 / (1 + t + wait))
    return x + h * kept * score(t, x) + sqrt(h * wait) * draw.normal(((1,),))[0]


STAGES = [
    Predict(scheme, LEVELS)
    for scheme in (
        schemes.euler, schemes.exponential_integrator, schemes.heun, schemes.midpoint, schemes.randomized_midpoint,
        schemes.parallel_midpoint(strata=4, rounds=2), gambler,
    )
] + [
    Correct(scheme, 0.7, 0.2, 3)
    for scheme in (
        schemes.overdamped, schemes.underdamped(friction=2, mass=3),
        schemes.randomized_midpoint_langevin(friction=2, mass=3),
        schemes.parallel_underdamped(cells=3, rounds=2, friction=2, mass=3),
    )
]  # fmt: skip


@pytest.fixture(autouse=True)
def built(monkeypatch):
    """Whether each stage that was seen was compiled, whatever its size; every test starts with nothing compiled."""
    found = []
    scanned = backends._scanned

    def spied(*arguments):
        found.append(scanned(*arguments))
        return found[-1]

    monkeypatch.setattr(backends, "_scanned", spied)
    monkeypatch.setattr(backends, "_COMPILED", backends._Compiled())
    monkeypatch.setattr(backends, "LEAST_WORK", 0)
    with quietly("jax"):
        yield found


def zeros(dtype="float64"):
    return jax.numpy.zeros(1, dtype=dtype)


def agrees(values, due, dtype="float64"):
    # numbers up to 10; a few hundred roundings, stretched by the condition (below 10) of the scores
    rounding = {"float64": 2.0**-53, "float32": 2.0**-24}[dtype]
    np.testing.assert_allclose(host(values), due, rtol=0, atol=10_000 * rounding)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: text(stage.scheme))
def test_every_scheme_gives_the_same_numbers(built, stage, dtype):
    plan = Plan([stage])
    values = sample(plan, TARGETS["dense"], 9, 3, rng=9, like=zeros(dtype))
    assert built[0] is not None
    assert values.dtype == dtype
    agrees(values, sample(plan, TARGETS["dense"], 9, 3, rng=9), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_every_target_gives_the_same_numbers(built, name):
    plan = Plan([STAGES[4], Correct(schemes.underdamped(friction=2), 0.7, 0.2, 2)])
    values = sample(plan, TARGETS[name], 9, 3, rng=9, like=zeros())
    assert len(built) == 2
    assert all(run is not None for run in built)
    agrees(values, sample(plan, TARGETS[name], 9, 3, rng=9))


@pytest.mark.slow
def test_tiles_and_fewer_particles_are_the_same(built):
    plan = Plan([Predict(schemes.parallel_midpoint(strata=4, rounds=0), [1.5, 1.0])])
    due = sample(plan, DIAGONAL, 5, 3, rng=9)
    agrees(sample(plan, DIAGONAL, 5, 3, rng=9, like=zeros(), memory=8 * 4 * 3 * 8 * 2), due)
    agrees(sample(plan, DIAGONAL, 2, 3, rng=9, like=zeros()), due[:2])
    assert [run is None for run in built] == [False, False, False]  # tiles of two particles and of one, and two alone


@pytest.mark.slow
def test_without_double_precision(built):
    with jax.enable_x64(False):
        for seed in range(3):
            values = sample(EULER, DIAGONAL, 4, 3, rng=seed, like=jax.numpy.zeros(1))
            assert values.dtype == np.float32
            agrees(values, sample(EULER, DIAGONAL, 4, 3, rng=seed), "float32")
    assert all(run is not None for run in built)


@pytest.mark.slow
def test_what_was_compiled_is_used_again(built):
    """Also for other seeds, starts, levels and stages; not for other constants, inside of a compiled score too."""
    plan = Plan([Predict(schemes.euler, [3.0, 2.0, 1.5]), *EULER])
    for seed in (1, 2):
        agrees(sample(plan, DIAGONAL, 4, 3, rng=seed, like=zeros()), sample(plan, DIAGONAL, 4, 3, rng=seed))
    assert len(built) == 2  # one for each call: both stages are the same but for numbers
    assert built[0] is built[1]
    before = len(built)
    for mean in (0.0, 1.0):
        center = jax.numpy.full(3, mean)
        score = jax.jit(lambda t, x, center=center: center - x)
        agrees(sample(EULER, score, 4, 3, rng=1, like=zeros()), sample(EULER, lambda t, x, m=mean: m - x, 4, 3, rng=1))
    assert built[before] is not built[before + 1]


class Model:
    """A score whose weights are changed from outside."""

    def __init__(self):
        self.weights = np.ones(3)

    def __call__(self, t, x):
        return -self.weights * x


def test_a_score_may_be_changed_between_calls():
    model = Model()
    for scale in (1.0, 2.0):
        model.weights = scale * np.ones(3)
        agrees(
            sample(EULER, model, 4, 3, rng=1, like=zeros()), sample(EULER, lambda t, x, s=scale: -s * x, 4, 3, rng=1)
        )


def in_numpy(t, x):
    return jax.numpy.asarray(-np.tanh(np.asarray(x)))


def by_value(t, x):
    return -x if t > 1.2 else -2 * x


@pytest.mark.parametrize("score", [in_numpy, by_value])
def test_a_score_that_cannot_be_traced_is_asked_step_by_step(built, score):
    values = sample(EULER, score, 4, 3, rng=1, like=zeros())
    assert built == [None]
    agrees(values, sample(EULER, lambda t, x: np.asarray(score(t, x)), 4, 3, rng=1))


def test_a_score_with_random_numbers_of_its_own_keeps_them(built):
    made = np.random.default_rng(5)
    drawn = []

    def score(t, x):
        drawn.append(made.normal())
        return drawn[-1] + 0 * x

    values = sample(EULER, score, 4, 3, rng=1, like=zeros())
    assert built == [None]
    asked = iter(drawn[-2:])  # the last two: those of the steps
    agrees(values, sample(EULER, lambda t, x: next(asked) + 0 * x, 4, 3, rng=1))


def test_a_bad_particle_is_named_with_its_step():
    plan = Plan([Predict(schemes.euler, [2.0, 1.5, 1.0, 0.5])])
    x0 = jax.numpy.asarray([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])

    def score(t, x):
        return jax.numpy.where((t == 1.5) & (x > 0), jax.numpy.inf, 0) - x

    with pytest.raises(ValueError, match="^score: particle 1 became NaN or infinite in step 2, at noise level t = 1.5"):
        sample(plan, score, 3, 2, x0=x0)


def test_a_particle_that_comes_back_is_refused_too():
    plan = Plan([Predict(lambda x, t, h, score, draw: score(t, x), [2.0, 1.5, 1.0])])

    def score(t, x):
        return jax.numpy.where(t == 2.0, jax.numpy.nan, 0 * jax.numpy.nan_to_num(x))

    with pytest.raises(ValueError, match="^score: particle 0 became NaN or infinite in step 1"):
        sample(plan, score, 3, 2, like=zeros())


def test_wrong_scores_and_steps_are_named_as_without_a_compiler():
    for score, cause in [
        (lambda t, x: x[:, :1], "score: expected the shape and dtype of x"),
        (lambda t, x: x.astype("float32"), "score: expected the shape and dtype of x"),
    ]:
        with pytest.raises(ValueError, match=f"^{cause}"):
            sample(EULER, score, 4, 3, like=zeros())
    with pytest.raises(ValueError, match="^scheme: .* must return its state x"):
        sample(Plan([Predict(lambda x, t, h, score, draw: x[:1], LEVELS)]), DIAGONAL, 4, 3, like=zeros())
    with pytest.raises(ValueError, match="^p: expected a probability in \\[0, 1\\], got 2"):
        sample(
            Plan([Predict(lambda x, t, h, score, draw: draw.bernoulli(2) * x, LEVELS)]), DIAGONAL, 4, 3, like=zeros()
        )
    singular = Gaussian([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="^t: expected t > 0 for a singular covariance"):
        sample(Plan([Predict(schemes.heun, [1.0, 0.0])]), singular, 4, 2, like=zeros())


def test_levels_that_single_precision_cannot_tell_are_numbers_of_python(built):
    """From t = 3 to 1e-7: the difference of the two is not the end of the step any more."""
    plan, seen = Plan([Predict(schemes.heun, [3.0, 1e-7])]), []

    def score(t, x):
        seen.append(t)
        return -x

    sample(plan, score, 4, 3, rng=1, like=zeros("float32"))
    assert built == []
    assert all(isinstance(t, float) for t in seen)


def test_what_is_done_sooner_than_compiled_is_not(built, monkeypatch):
    """By how many numbers there are, and how many steps: 2 steps of 12 numbers, or a million of them."""
    monkeypatch.setattr(backends, "LEAST_WORK", LEAST_WORK)
    sample(EULER, DIAGONAL, 4, 3, rng=1, like=zeros())
    assert built == []
    sample(EULER, lambda t, x: -x, 2**18, 2, rng=1, like=zeros("float32"))
    assert len(built) == 1


def test_progress_is_told_of_every_step():
    told = []
    sample(Plan([*EULER, *[Correct(schemes.euler, 0.7, 0.1, 2)]]), DIAGONAL, 4, 3, like=zeros(), progress=told.append)
    assert told == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["random", "standard_normal"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_numbers_compiled_alone(monkeypatch, kind, dtype):
    from array_api_compat import array_namespace, device

    from rmverify.readings.streams import Stream

    monkeypatch.setattr(backends, "LEAST_DRAWN", 0)
    key, like = (0xDEADBEEF, 0x0BADF00D), zeros(dtype)
    values = getattr(Stream(key, 2**31 - 2, array_namespace(like), like.dtype, device(like)), kind)((5, 7))
    due = getattr(Stream(key, 2**31 - 2, np, np.float64, "cpu"), kind)((5, 7))
    assert values.device == like.device
    np.testing.assert_allclose(host(values), due, rtol=0, atol=200 * {"float64": 2.0**-53, "float32": 2.0**-24}[dtype])
