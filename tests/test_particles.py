"""Particles: one alpha per particle, the same numbers on every backend, exact laws of one step, what is refused."""

from __future__ import annotations

import itertools
import math

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from oracles import plain

from rmverify import Correct, EstimatedScore, Gaussian, GaussianMixture, Plan, Predict, sample, schemes

TARGET = Gaussian([0.5, -1.0, 0.25], [[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]])
LEVELS = [1.5, 1.0, 0.7]
PREDICTORS = {
    "euler": schemes.euler,
    "exponential_integrator": schemes.exponential_integrator,
    "heun": schemes.heun,
    "midpoint": schemes.midpoint,
    "randomized_midpoint": schemes.randomized_midpoint,
    "parallel_midpoint": schemes.parallel_midpoint(strata=4, rounds=2),
    "importance_midpoint": schemes.importance_midpoint,
    "reverse_euler": schemes.reverse_euler,
    "ddpm": schemes.ddpm,
    "exponential_sde": schemes.exponential_sde,
    "randomized_midpoint_sde": schemes.randomized_midpoint_sde,
    "jiao_li": schemes.jiao_li(cells=3),
    "ddim": schemes.ddim,
    "parareal": schemes.parareal(blocks=3, fine=2, sweeps=2),
    "parallel_slices": schemes.parallel_slices(slices=2, cells=2, rounds=2, inner=2),
}
CORRECTORS = {
    "overdamped": schemes.overdamped,
    "overdamped_midpoint": schemes.overdamped_midpoint,
    "stochastic_runge_kutta": schemes.stochastic_runge_kutta,
    "stratified_hmc": schemes.stratified_hmc(mass=3),
    "poisson_midpoint": schemes.poisson_midpoint(cells=3),
    "parallel_overdamped": schemes.parallel_overdamped(strata=4, rounds=2),
    "underdamped": schemes.underdamped(friction=2, mass=3),
    "underdamped_euler": schemes.underdamped_euler(friction=2, mass=3),
    "randomized_midpoint_langevin": schemes.randomized_midpoint_langevin(friction=2, mass=3),
    "parallel_underdamped": schemes.parallel_underdamped(cells=3, rounds=2, friction=2, mass=3),
    "parallel_langevin": schemes.parallel_langevin(cells=3, rounds=2),
}
PLANS = {name: Plan([Predict(s, LEVELS)]) for name, s in PREDICTORS.items()} | {
    name: Plan([Correct(s, 0.7, 0.2, 3)]) for name, s in CORRECTORS.items()
}
ONE_STEP = Plan([Predict(schemes.randomized_midpoint, [1.5, 1.0])])


@pytest.fixture(params=sorted(PLANS))
def plan(request):
    return PLANS[request.param]


# ------------------------------------------------------------------- backends


def test_every_backend_gives_the_same_numbers(plan, xp):
    start = np.random.default_rng(0).standard_normal((5, 3))
    expected = sample(plan, TARGET, 5, 3, rng=9)
    value = sample(plan, TARGET, 5, 3, rng=9, like=xp.asarray(np.zeros(1)))
    assert type(value) is type(xp.asarray(np.zeros(1)))
    assert value.dtype == xp.float64
    # the sums may be taken in another order: about 100 roundings
    np.testing.assert_allclose(np.asarray(value), expected, rtol=0, atol=100 * 2.0**-53 * 10)
    begun = sample(plan, TARGET, 5, 3, rng=9, x0=xp.asarray(start))
    assert type(begun) is type(value)
    np.testing.assert_allclose(np.asarray(begun), sample(plan, TARGET, 5, 3, rng=9, x0=start), rtol=0, atol=1e-13)


def test_single_precision_stays_single_and_is_the_same_run(plan, xp):
    expected = sample(plan, TARGET, 5, 3, rng=9)
    value = sample(plan, TARGET, 5, 3, rng=9, like=xp.asarray(np.zeros(1, dtype=np.float32)))
    assert value.dtype == xp.float32
    # 3 steps of about 100 roundings, stretched by the condition (below 10) of the scores
    np.testing.assert_allclose(np.asarray(value), expected, rtol=0, atol=1000 * 2.0**-24 * 10)
    start = xp.asarray(np.ones((5, 3), dtype=np.float32))
    assert sample(plan, TARGET, 5, 3, rng=9, x0=start).dtype == xp.float32


def test_scores_are_asked_in_the_particles_dtype(plan, xp):
    seen = set()

    def score(t, x):
        seen.add(x.dtype)
        if hasattr(t, "dtype"):
            seen.add(t.dtype)
        return -x

    sample(plan, score, 4, 3, rng=0, like=xp.asarray(np.zeros(1, dtype=np.float32)))
    assert seen == {xp.asarray(np.zeros(1, dtype=np.float32)).dtype}


def test_like_decides_over_the_start():
    x0 = np.ones((4, 3))
    assert sample(ONE_STEP, TARGET, 4, 3, x0=x0, rng=0, like=np.zeros(1, dtype=np.float32)).dtype == np.float32
    strict = sample(ONE_STEP, TARGET, 4, 3, x0=x0, rng=0, like=array_api_strict.zeros(1))
    assert isinstance(strict, type(array_api_strict.zeros(1)))


def test_numpy_in_double_precision_is_the_default():
    value = sample(ONE_STEP, TARGET, 4, 3)
    assert type(value) is np.ndarray
    assert value.dtype == np.float64
    value = sample(ONE_STEP, TARGET, 2, 3, x0=[[0, 1, 2], [3, 4, 5]], rng=0)
    np.testing.assert_array_equal(value, sample(ONE_STEP, TARGET, 2, 3, x0=np.arange(6.0).reshape(2, 3), rng=0))


@pytest.mark.parametrize(
    "target",
    [
        EstimatedScore(TARGET, gain=0.1, bias=[0.1, 0.2, 0.3]),
        EstimatedScore(TARGET, bias=lambda t: 0.1 * t),
        GaussianMixture([0.5, 0.5], [np.zeros(3), np.ones(3)], [np.eye(3), np.diag([0.5, 1.0, 2.0])]),
    ],
    ids=["gain and bias", "moving bias", "mixture"],
)
def test_every_target_stands_for_its_score(plan, target, xp):
    for dtype in (np.float64, np.float32):
        like = xp.asarray(np.zeros(1, dtype=dtype))
        value = sample(plan, target, 4, 3, rng=2, like=like)
        assert value.dtype == like.dtype
        np.testing.assert_array_equal(np.asarray(value), np.asarray(sample(plan, target.score, 4, 3, rng=2, like=like)))


# ------------------------------------------------------------------- random numbers and the start


def test_a_seed_is_a_generator(plan):
    seeded = sample(plan, TARGET, 6, 3, rng=4)
    np.testing.assert_array_equal(seeded, sample(plan, TARGET, 6, 3, rng=4))
    np.testing.assert_array_equal(seeded, sample(plan, TARGET, 6, 3, rng=np.random.default_rng(4)))
    assert not np.array_equal(seeded, sample(plan, TARGET, 6, 3, rng=5))


def test_a_generator_moves_on_and_no_seed_is_a_fresh_one(plan):
    generator = np.random.default_rng(4)
    assert not np.array_equal(sample(plan, TARGET, 6, 3, rng=generator), sample(plan, TARGET, 6, 3, rng=generator))
    assert not np.array_equal(sample(plan, TARGET, 6, 3), sample(plan, TARGET, 6, 3, rng=None))


def test_the_global_generator_is_left_alone(plan):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sample(plan, TARGET, 6, 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_start_is_not_modified(plan, xp):
    values = np.random.default_rng(1).standard_normal((5, 3))
    x0 = xp.asarray(values)
    result = sample(plan, TARGET, 5, 3, x0=x0, rng=0)
    np.testing.assert_array_equal(np.asarray(x0), values)
    assert not np.shares_memory(np.asarray(result), np.asarray(x0))


# ------------------------------------------------------------------- one alpha per particle


class Recorder:
    """A target's score that remembers the levels of every call."""

    def __init__(self, target):
        self.target, self.levels = target, []

    def __call__(self, t, x):
        self.levels.append(t)
        return self.target.score(t, x)


def test_one_alpha_per_particle_shared_by_its_coordinates():
    n, steps = 400, 5
    levels = np.linspace(2.0, 1.0, steps + 1)
    score = Recorder(TARGET)
    sample(Plan([Predict(schemes.randomized_midpoint, levels)]), score, n, 3, rng=0)
    midpoints = score.levels[1::2]
    assert [t.shape for t in midpoints] == [(n, 1)] * steps
    alphas = np.array([(levels[k] - t[:, 0]) / (levels[k] - levels[k + 1]) for k, t in enumerate(midpoints)])
    assert alphas.shape == (steps, n)
    assert (alphas > -1e-14).all()
    assert (alphas < 1 + 1e-14).all()
    assert np.unique(np.round(alphas, 12)).size == steps * n  # no two are the same


def test_alphas_are_uniform_and_independent_across_particles_and_steps():
    """Cells of (alpha of a step, alpha of the next), and of neighbouring particles: chi^2 with 99 degrees each."""
    n, steps = 2000, 6
    levels = np.linspace(2.0, 0.8, steps + 1)
    score = Recorder(TARGET)
    sample(Plan([Predict(schemes.randomized_midpoint, levels)]), score, n, 3, rng=1)
    alphas = np.array([(levels[k] - t[:, 0]) / (levels[k] - levels[k + 1]) for k, t in enumerate(score.levels[1::2])])
    cells = np.clip((10 * alphas).astype(int), 0, 9)
    # disjoint pairs, so that the counts are multinomial under the hypothesis
    across_steps = 10 * cells[0::2].ravel() + cells[1::2].ravel()
    across_particles = 10 * cells[:, 0::2].ravel() + cells[:, 1::2].ravel()
    for pairs in (across_steps, across_particles):
        expected = pairs.size / 100
        statistic = ((np.bincount(pairs, minlength=100) - expected) ** 2 / expected).sum()
        assert statistic < scipy.stats.chi2.isf(1e-6 / 2, 99)


def test_strata_are_one_alpha_per_particle_and_cell():
    n, strata = 500, 4
    score = Recorder(TARGET)
    sample(Plan([Predict(schemes.parallel_midpoint(strata=strata, rounds=1), [2.0, 1.2])]), score, n, 3, rng=0)
    _, first, second = score.levels
    assert first.shape == (strata, n, 1)
    np.testing.assert_array_equal(first, second)
    alphas = (2.0 - first[..., 0]) / 0.8
    for i in range(strata):
        within = alphas[i] * strata - i
        assert (within > -1e-13).all()
        assert (within < 1 + 1e-13).all()
    assert np.unique(np.round(alphas, 12)).size == strata * n
    cells = np.clip((5 * (alphas * strata - np.arange(strata)[:, None])).astype(int), 0, 4)
    pairs = (5 * cells[0::2] + cells[1::2]).ravel()
    expected = pairs.size / 25
    assert ((np.bincount(pairs, minlength=25) - expected) ** 2 / expected).sum() < scipy.stats.chi2.isf(1e-6, 24)


def textbook_score(t, x):
    """Of TARGET, the covariance inverted as it stands; t of shape (n, 1)."""
    rows = []
    for level, row in zip(np.broadcast_to(t, (*x.shape[:-1], 1)).reshape(-1), x.reshape(-1, 3), strict=True):
        decay = math.exp(-level)
        covariance = decay**2 * np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]])
        covariance += (1 - decay**2) * np.eye(3)
        rows.append(-np.linalg.solve(covariance, row - decay * np.array([0.5, -1.0, 0.25])))
    return np.array(rows).reshape(x.shape)


def test_randomized_midpoint_is_the_published_step_at_the_alphas_drawn():
    """x_half = e^{ah} x + (e^{ah}-1) s_t(x);  x' = e^h x + h e^{(1-a)h} s_{t-ah}(x_half)."""
    x = np.random.default_rng(3).standard_normal((7, 3))
    t, h = 1.5, 0.5
    score = Recorder(TARGET)
    value = sample(ONE_STEP, score, 7, 3, x0=x, rng=8)
    a = (t - score.levels[1]) / h
    expected = plain.randomized_midpoint(x, t, h, a, textbook_score)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("strata, rounds", [(1, 0), (1, 2), (3, 0), (3, 1), (4, 3)])
def test_parallel_midpoint_is_the_published_step_at_the_alphas_drawn(strata, rounds):
    """x_i^k = e^{a_i h} x + sum_{j<=i} (e^{a_i h - (j-1)d} - max(e^{a_i h - jd}, 1)) s_j(x_j^{k-1}), d = h/R."""
    x = np.random.default_rng(3).standard_normal((5, 3))
    t, h = 1.5, 0.5
    score = Recorder(TARGET)
    plan = Plan([Predict(schemes.parallel_midpoint(strata=strata, rounds=rounds), [t, t - h])])
    value = sample(plan, score, 5, 3, x0=x, rng=8)
    a = [np.reshape((t - level) / h, (5, 1)) for level in score.levels[1]]
    expected = plain.parallel_midpoint(x, t, h, a, textbook_score, rounds)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["euler", "exponential_integrator", "heun", "midpoint"])
def test_deterministic_predictors_are_the_published_steps(name):
    x = np.random.default_rng(3).standard_normal((5, 3))
    t, h = 1.5, 0.5
    s = textbook_score(t, x)
    half = math.exp(h / 2) * x + (math.exp(h / 2) - 1) * s
    y = x + h * (x + s)
    expected = {
        "euler": y,
        "exponential_integrator": math.exp(h) * x + (math.exp(h) - 1) * s,
        "heun": x + h / 2 * (x + s + y + textbook_score(t - h, y)),
        "midpoint": math.exp(h) * x + h * math.exp(h / 2) * textbook_score(t - h / 2, half),
    }[name]
    value = sample(Plan([Predict(PREDICTORS[name], [t, t - h])]), TARGET, 5, 3, x0=x, rng=0)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)


# ------------------------------------------------------------------- the exact law of the output

N = 20_000
CELLS = 20
TESTS = 20  # statistics in this section, each at level 1e-6/TESTS
K = 1.75  # the score is -K x, so that every step is linear
START = 1.2  # every particle starts here: a Langevin step from a point mass
GAMMA, MASS, H = 1.5, 2.0, 0.8


def langevin_score(t, x):
    return -K * x


def assert_cells(values, cdf):
    """The values, counted in cells that `cdf` says are equally likely: chi^2 with CELLS - 1 degrees of freedom."""
    uniform = cdf(values)
    counts = np.bincount(np.minimum((uniform * CELLS).astype(int), CELLS - 1), minlength=CELLS)
    statistic = ((counts - values.size / CELLS) ** 2 / (values.size / CELLS)).sum()
    assert statistic < scipy.stats.chi2.isf(1e-6 / TESTS, CELLS - 1)


def assert_another_law_would_fail(values, cdf):
    """The test has the power to tell: under the neighbouring law it must refuse."""
    with pytest.raises(AssertionError):
        assert_cells(values, cdf)


def run_corrector(scheme, steps=1, step=H, stages=1, dim=1):
    plan = Plan([Correct(scheme, 1.0, step, steps)] * stages)
    return sample(plan, langevin_score, N // dim, dim, x0=np.full((N // dim, dim), START), rng=17)


def kinetic_drift(time):
    """(x, v) -> (x, v) of dx = v dt, dv = -g v dt, and what a constant force u s adds, by the matrix exponential."""
    generator = np.array([[0.0, 1.0, 0.0], [0.0, -GAMMA, 1.0], [0.0, 0.0, 0.0]])
    flow = scipy.linalg.expm(generator * time)
    return flow[:2, :2], MASS * flow[:2, 2]


def kinetic_noise(time):
    """Covariance of (W_x, W_v) by Van Loan's block exponential of dx = v dt, dv = -g v dt + sqrt(2 g u) dB."""
    drift = np.array([[0.0, 1.0], [0.0, -GAMMA]])
    source = np.diag([0.0, 2 * GAMMA * MASS])
    block = scipy.linalg.expm(np.block([[-drift, source], [np.zeros((2, 2)), drift.T]]) * time)
    return block[2:, 2:].T @ block[:2, 2:]


def after_underdamped(mean, covariance, time):
    flow, push = kinetic_drift(time)
    step = flow + np.outer(push, [-K, 0.0])
    return step @ mean, step @ covariance @ step.T + kinetic_noise(time)


FRESH = (np.array([START, 0.0]), np.diag([0.0, MASS]))


def gaussian_cdf(mean, covariance):
    return lambda x: scipy.stats.norm.cdf(x, mean[0], math.sqrt(covariance[0, 0]))


def test_the_start_is_standard_normal():
    """Undone exactly: an Euler step of length h with the score zero multiplies by 1 + h."""
    plan = Plan([Predict(schemes.euler, [1.0, 0.5])])
    values = sample(plan, lambda t, x: 0 * x, N, 1, rng=17)[:, 0] / 1.5
    assert_cells(values, scipy.stats.norm.cdf)
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, 0, 1.1))


def test_overdamped_has_its_law():
    values = run_corrector(schemes.overdamped, step=0.2)[:, 0]
    assert_cells(values, lambda x: scipy.stats.norm.cdf(x, START * (1 - 0.2 * K), math.sqrt(0.4)))
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, START * (1 - 0.2 * K), math.sqrt(0.2)))


def test_overdamped_midpoint_has_its_law():
    """Given a it is Gaussian; the law is its mixture over a, and not that of the midpoint at 1/2."""
    h, (nodes, weights) = 0.2, plain.unit_rule(40)

    def law(a):
        early = (1 - h * K) ** 2 * 2 * a * h
        return START * (1 - h * K * (1 - a * h * K)), math.sqrt(early + 2 * (1 - a) * h)

    values = run_corrector(schemes.overdamped_midpoint, step=h)[:, 0]
    assert_cells(values, lambda x: weights @ [scipy.stats.norm.cdf(x, *law(a)) for a in nodes])
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, *law(1.0)))


@pytest.mark.parametrize("rounds", [0, 2])
def test_parallel_overdamped_has_its_law(rounds):
    """Given the midpoints it is Gaussian: Picard's rounds on the increments of the path from one midpoint to the next,
    averaged over two strata by a rule."""
    h, R, (nodes, weights) = 0.4, 2, plain.unit_rule(6)

    def law(a):
        times = np.array([0.0, *a, 1.0])
        path = np.tril(np.ones((R + 1, R + 1))) * np.sqrt(2 * h * np.diff(times))  # row i: B at the i-th midpoint
        points = np.zeros((R, R + 2))
        points[:, 0] = START
        start = points[0].copy()
        for _ in range(rounds + 1):
            s = -K * points
            points = np.array([
                start + h / R * s[:i].sum(axis=0) + (a[i] - i / R) * h * s[i] + np.array([0, *path[i]])
                for i in range(R)
            ])  # fmt: skip
        out = start - h / R * K * points.sum(axis=0) + np.array([0, *path[R]])
        return out[0], math.sqrt((out[1:] ** 2).sum())

    values = run_corrector(schemes.parallel_overdamped(strata=R, rounds=rounds), step=h)[:, 0]
    pairs = [(law([a / 2, (1 + b) / 2]), v * w) for a, v in zip(nodes, weights, strict=True)
             for b, w in zip(nodes, weights, strict=True)]  # fmt: skip
    (means, roots), shares = np.array([p for p, _ in pairs]).T, np.array([w for _, w in pairs])
    assert_cells(values, lambda x: scipy.stats.norm.cdf(x[:, None], means, roots) @ shares)


def test_poisson_midpoint_has_its_law():
    """Given the choices it is Gaussian: A = 1 - z + z^2 sum_i H_i i/M and noises w_j (1 - z sum_{i>j} H_i), z = Kh."""
    h, M = 0.4, 3
    z = h * K

    def law(chosen):
        spread = 2 * h / M * sum((1 - z * sum(chosen[j:])) ** 2 for j in range(M))
        return START * (1 - z + z * z * (chosen[0] + 2 * chosen[1]) / M), math.sqrt(spread)

    values = run_corrector(schemes.poisson_midpoint(cells=M), step=h)[:, 0]
    choices = list(itertools.product((0, 1), repeat=M - 1))
    shares = np.array([(1 / M) ** sum(c) * (1 - 1 / M) ** (M - 1 - sum(c)) for c in choices])
    means, roots = np.array([law(c) for c in choices]).T
    assert_cells(values, lambda x: scipy.stats.norm.cdf(x[:, None], means, roots) @ shares)
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, *law((0, 0))))


def test_stochastic_runge_kutta_has_its_law():
    """x (1 - z + z^2/2) + (1 - z/2) w - z u with Var w = 2h, Var u = h/6, z = Kh."""
    h, z = 0.4, 0.4 * K
    spread = math.sqrt(2 * h * (1 - z / 2) ** 2 + h / 6 * z**2)
    values = run_corrector(schemes.stochastic_runge_kutta, step=h)[:, 0]
    assert_cells(values, lambda x: scipy.stats.norm.cdf(x, START * (1 - z + z * z / 2), spread))
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, START * (1 - z), spread))


def test_stratified_hmc_has_its_law():
    """Given a, x' is Gaussian in the fresh velocity alone: x (1 - u K h^2/2) + (h - u K a h^3/2) v."""
    nodes, weights = plain.unit_rule(40)
    h, push = 0.4, MASS * K * 0.4**2 / 2

    def spread(a):
        return math.sqrt(MASS) * (h - push * a * h)

    values = run_corrector(schemes.stratified_hmc(mass=MASS), step=h)[:, 0]
    assert_cells(values, lambda x: weights @ [scipy.stats.norm.cdf(x, START * (1 - push), spread(a)) for a in nodes])
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, START * (1 - push), spread(0.0)))


def test_underdamped_has_its_law():
    values = run_corrector(schemes.underdamped(friction=GAMMA, mass=MASS))[:, 0]
    assert_cells(values, gaussian_cdf(*after_underdamped(*FRESH, H)))


def test_the_velocity_is_kept_inside_a_stage_and_fresh_at_its_start():
    """Two steps in one stage, and two stages of one step: two laws."""
    once = after_underdamped(*FRESH, H)
    kept = after_underdamped(*once, H)
    refreshed = (np.array([once[0][0], 0.0]), np.diag([once[1][0, 0], MASS]))
    renewed = after_underdamped(*refreshed, H)
    scheme = schemes.underdamped(friction=GAMMA, mass=MASS)
    one_stage, two_stages = run_corrector(scheme, steps=2)[:, 0], run_corrector(scheme, stages=2)[:, 0]
    assert_cells(one_stage, gaussian_cdf(*kept))
    assert_cells(two_stages, gaussian_cdf(*renewed))
    assert_another_law_would_fail(one_stage, gaussian_cdf(*renewed))
    assert_another_law_would_fail(two_stages, gaussian_cdf(*kept))


@pytest.mark.parametrize("cells, rounds", [(1, 1), (3, 1), (3, 3), (2, 4)])
def test_parallel_underdamped_has_its_law(cells, rounds):
    """With rounds >= cells it is that many underdamped steps; with one round the score is frozen over all cells."""
    scheme = schemes.parallel_underdamped(cells=cells, rounds=rounds, friction=GAMMA, mass=MASS)
    values = run_corrector(scheme)[:, 0]
    if rounds >= cells:
        law = FRESH
        for _ in range(cells):
            law = after_underdamped(*law, H / cells)
    else:
        law = after_underdamped(*FRESH, H)
    assert_cells(values, gaussian_cdf(*law))


def test_parallel_underdamped_with_two_rounds_has_its_law():
    """Two cells are exact after two rounds; three cells are not, and their law is a linear map of the noises."""
    cells, eta = 3, H / 3
    flow, push = kinetic_drift(eta)
    noise = kinetic_noise(eta)
    # columns: 1, v_0, then (W_x, W_v) of every cell
    size = 2 + 2 * cells

    def scan(slopes):
        x, v = START * np.eye(size)[0], np.eye(size)[1]
        visited = []
        for j in range(cells):
            visited.append(x)
            w_x, w_v = np.eye(size)[2 + 2 * j], np.eye(size)[3 + 2 * j]
            x, v = (
                flow[0, 0] * x + flow[0, 1] * v + push[0] * slopes[j] + w_x,
                flow[1, 1] * v + push[1] * slopes[j] + w_v,
            )
        return visited, x

    visited, _ = scan([-K * START * np.eye(size)[0]] * cells)
    _, x = scan([-K * p for p in visited])
    sources = scipy.linalg.block_diag([[0.0]], [[MASS]], *[noise] * cells)
    scheme = schemes.parallel_underdamped(cells=cells, rounds=2, friction=GAMMA, mass=MASS)
    assert_cells(
        run_corrector(scheme)[:, 0], lambda value: scipy.stats.norm.cdf(value, x[0], math.sqrt(x @ sources @ x))
    )


def test_randomized_midpoint_langevin_has_its_law():
    """Given a the output is Gaussian, from Shen and Lee's step and 3x3 noise; the law is its mixture over a."""
    g, u, h = GAMMA, MASS, H

    def given(a):
        b = a * h
        p_b, p_h = (1 - math.exp(-g * b)) / g, (1 - math.exp(-g * h)) / g
        q_b = (b - p_b) / g
        weight = u * h / g * (1 - math.exp(-g * (h - b)))
        # x_half = mean_half + p_b v + W_1;  x' = x + p_h v - weight K x_half + W_2
        mean = START - weight * K * (START - u * q_b * K * START)
        slope_v = p_h - weight * K * p_b
        w_11 = u * (2 * b / g - (3 - 4 * math.exp(-g * b) + math.exp(-2 * g * b)) / g**2)
        w_22 = u * (2 * h / g - (3 - 4 * math.exp(-g * h) + math.exp(-2 * g * h)) / g**2)
        # 2 g u int_0^b (1 - e^{-g(b-s)})(1 - e^{-g(h-s)})/g^2 ds
        c = h - b
        w_12 = 2 * u / g * (b - (1 - math.exp(-g * b)) / g - (math.exp(-g * c) - math.exp(-g * h)) / g)
        w_12 += 2 * u / g * math.exp(-g * c) * (1 - math.exp(-2 * g * b)) / (2 * g)
        variance = u * slope_v**2 + (weight * K) ** 2 * w_11 - 2 * weight * K * w_12 + w_22
        return mean, math.sqrt(variance)

    nodes, weights = plain.unit_rule(40)
    pairs = [given(a) for a in nodes]

    def cdf(x):
        return sum(w * scipy.stats.norm.cdf(x, m, s) for w, (m, s) in zip(weights, pairs, strict=True))

    values = run_corrector(schemes.randomized_midpoint_langevin(friction=GAMMA, mass=MASS))[:, 0]
    assert_cells(values, cdf)
    mean, deviation = given(0.0)  # the midpoint never moved
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, mean, deviation))


def test_randomized_midpoint_has_its_law():
    """x' = A(a) x from x ~ N(0, 1), target N(0, lam): the law is the mixture over a."""
    lam, t, h = 0.1, 0.6, 0.5
    nodes, weights = plain.unit_rule(60)
    slopes = np.abs(plain.slope(lam, t, h, nodes))

    def cdf(x):
        return sum(w * scipy.stats.norm.cdf(x, 0, s) for w, s in zip(weights, slopes, strict=True))

    plan = Plan([Predict(schemes.randomized_midpoint, [t, t - h])])
    values = sample(plan, Gaussian.isotropic(lam, 1), N, 1, rng=17)[:, 0]
    assert_cells(values, cdf)
    assert_another_law_would_fail(values, lambda x: scipy.stats.norm.cdf(x, 0, abs(plain.slope(lam, t, h, 0.5))))


class Silent:
    """A draw without noise, at one alpha."""

    def __init__(self, alpha):
        self.alpha = alpha

    def uniform(self):
        return self.alpha

    def normal(self, covariance, count=None):
        return [0.0 for _ in covariance]


@pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
def test_randomized_midpoint_langevin_without_noise_is_the_published_step(a):
    """Small terms, such as the mass at the midpoint, which the cells above do not resolve."""
    g, u, h, x, v = GAMMA, MASS, H, START, -0.7
    p_b, p_h = (1 - math.exp(-g * a * h)) / g, (1 - math.exp(-g * h)) / g
    half = x + p_b * v + u / g * (a * h - p_b) * (-K * x)
    force = -K * half
    expected_x = x + p_h * v + u * h / g * (1 - math.exp(-g * (h - a * h))) * force
    expected_v = math.exp(-g * h) * v + u * h * math.exp(-g * (h - a * h)) * force
    scheme = schemes.randomized_midpoint_langevin(friction=g, mass=u)
    assert scheme((x, v), 1.0, h, langevin_score, Silent(a)) == pytest.approx((expected_x, expected_v), rel=1e-13)


@pytest.mark.parametrize("name", sorted(CORRECTORS))
def test_noises_of_the_coordinates_are_independent(name):
    """Ranks of two coordinates in 10 x 10 cells; every coordinate of a Langevin step from a point has its own noise."""
    scheme = CORRECTORS[name]
    values = sample(Plan([Correct(scheme, 1.0, 0.05, 1)]), lambda t, x: 0 * x, N, 2, x0=np.zeros((N, 2)), rng=17)
    ranks = np.argsort(np.argsort(values, axis=0), axis=0)
    cells = (10 * ranks) // N
    counts = np.bincount(10 * cells[:, 0] + cells[:, 1], minlength=100)
    # margins fixed by the ranks: 81 degrees of freedom
    assert ((counts - N / 100) ** 2 / (N / 100)).sum() < scipy.stats.chi2.isf(1e-6 / TESTS, 81)


# ------------------------------------------------------------------- progress


def test_a_callable_is_told_every_step():
    told = []
    plan = Plan([Predict(schemes.heun, LEVELS), Correct(schemes.overdamped, 0.7, 0.1, 3)])
    value = sample(plan, TARGET, 4, 3, rng=0, progress=told.append)
    assert told == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(value, sample(plan, TARGET, 4, 3, rng=0))


def test_the_bar_goes_to_stderr_and_silence_is_silent(capsys):
    value = sample(ONE_STEP, TARGET, 4, 3, rng=0, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "sampling" in shown.err
    np.testing.assert_array_equal(value, sample(ONE_STEP, TARGET, 4, 3, rng=0, progress=False))
    assert capsys.readouterr() == ("", "")


def test_the_bar_is_taken_down_after_an_error(capsys):
    def broken(t, x):
        raise KeyError("mine")

    for _ in range(2):  # a bar left standing would refuse the second one
        with pytest.raises(KeyError, match="mine"):
            sample(ONE_STEP, broken, 4, 3, rng=0, progress=True)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "name, bad", list(itertools.product(["n", "dim"], [0, -1, 1.5, math.nan, math.inf, "3", None, [3]])), ids=str
)
def test_counts_that_make_no_sense_are_refused(name, bad):
    arguments = {"n": 4, "dim": 3, name: bad}
    with pytest.raises(ValueError, match=f"^{name}: expected .*got"):
        sample(ONE_STEP, TARGET.score, **arguments)


def test_a_target_says_its_dimension():
    assert sample(ONE_STEP, TARGET, 4, rng=0).shape == (4, TARGET.dim)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (4, 2), (5, 3), (1, 4, 3), (), (0, 3)])
def test_a_start_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"^x0: expected shape \(4, 3\), got \("):
        sample(ONE_STEP, TARGET, 4, 3, x0=np.zeros(shape))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_start_that_is_not_finite_is_refused_with_its_particle(bad):
    x0 = np.zeros((4, 3))
    x0[2, 1] = bad
    with pytest.raises(ValueError, match="^x0: particle 2 is not finite at the start"):
        sample(ONE_STEP, TARGET, 4, 3, x0=x0)


@pytest.mark.parametrize("dtype", [np.int64, np.complex128, np.bool_])
def test_a_start_or_model_that_is_not_real_floating_is_refused_by_its_name(dtype):
    for like in (None, np.zeros(1), array_api_strict.zeros(1)):
        with pytest.raises(ValueError, match="^x0: expected a real floating dtype, got"):
            sample(ONE_STEP, TARGET, 4, 3, x0=np.ones((4, 3), dtype=dtype), like=like)
    with pytest.raises(ValueError, match="^like: expected a real floating dtype"):
        sample(ONE_STEP, TARGET, 4, 3, like=np.ones(1, dtype=dtype))


@pytest.mark.parametrize("like", ["torch", np, 1.0, np.float32], ids=["name", "module", "number", "dtype"])
def test_a_model_that_is_no_array_is_refused(like):
    with pytest.raises(ValueError, match="^like: expected"):
        sample(ONE_STEP, TARGET, 4, 3, like=like)


def test_a_particle_does_not_depend_on_how_many_others_there_are():
    """Its start, midpoints, velocities and noises are its own."""
    plan = Plan(
        [
            Predict(schemes.parallel_midpoint(strata=3, rounds=1), [2.0, 1.0, 0.5]),
            Correct(schemes.randomized_midpoint_langevin(friction=2), 0.5, 0.1, 3),
        ]
    )
    few, many = (sample(plan, TARGET, n, 3, rng=4) for n in (2, 50))
    np.testing.assert_allclose(many[:2], few, rtol=1e-12)
    assert len(np.unique(many)) == many.size


def test_steps_use_numbers_of_their_own():
    def noise(x, t, h, score, draw):
        (w,) = draw.normal(((1.0,),))
        return x + w if t == 2.0 else x - w  # 0 where the second is the first

    ends = sample(Plan([Predict(noise, [2.0, 1.0, 0.0])]), lambda t, x: -x, 200, 1, x0=np.zeros((200, 1)), rng=1)
    assert np.abs(ends).min() > 1e-6


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (
            lambda x, t, h, score, draw: (x, {"calls": 1}),
            "must return its state x of shape .4, 3., nothing else; got tuple",
        ),
        (lambda x, t, h, score, draw: x[0], r"nothing else; got ndarray of shape \(3,\)"),
        (lambda x, t, h, score, draw: x.astype(np.float32), "returned float32 for a state of float64"),
        (lambda x, t, h, score, draw: x + draw.normal(h), "draw.normal: expected the rows of a covariance"),
    ],
)
def test_what_is_no_state_is_refused(step, cause):
    with pytest.raises((ValueError, TypeError), match=cause):
        sample(Plan([Predict(step, [1.0, 0.5])]), TARGET, 4, 3)


def test_a_start_is_not_changed_in_place():
    def step(x, t, h, score, draw):
        x *= 2
        return x

    x0 = np.ones((4, 3))
    sample(Plan([Predict(step, [1.0, 0.5])]), TARGET, 4, 3, x0=x0)
    assert (x0 == 1).all()


def test_a_step_that_runs_on_one_backend_only_is_sampled_there():
    import array_api_strict as strict

    def step(x, t, h, score, draw):
        assert type(x).__module__.startswith("array_api_strict")
        return strict.multiply(x, strict.asarray(0.5, dtype=x.dtype))

    plan = Plan([Predict(step, [1.0, 0.5])])
    x0 = strict.ones((4, 3), dtype=strict.float64)
    assert bool(strict.all(sample(plan, lambda t, x: -x, 4, 3, x0=x0) == 0.5))
    with pytest.raises(
        ValueError, match="cannot count the score evaluations of step: on NumPy arrays it raised AssertionError"
    ):
        _ = plan.evaluations


@pytest.mark.parametrize("rng", ["seed", object(), 1.5])
def test_what_is_no_generator_is_refused(rng):
    with pytest.raises(ValueError, match="^rng: expected None, an integer or a numpy.random.Generator"):
        sample(ONE_STEP, TARGET, 4, 3, rng=rng)


@pytest.mark.parametrize("score", [None, 1.0, "score", np.zeros((4, 3))], ids=["none", "number", "text", "array"])
def test_what_is_no_score_is_refused(score):
    with pytest.raises(ValueError, match=f"^score: expected a function .* got {type(score).__name__}"):
        sample(ONE_STEP, score, 4, 3)


def test_what_is_no_plan_is_refused():
    for stranger in (None, [1.0], Predict(schemes.heun, LEVELS)):
        with pytest.raises((TypeError, ValueError)):
            sample(stranger, TARGET, 4, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t, x: x[:1],
        lambda t, x: x[:, :1],
        lambda t, x: x[None],
        lambda t, x: x.sum(),
        lambda t, x: x.tolist(),
        lambda t, x: None,
        lambda t, x: 0.0,
        lambda t, x: x.astype(np.float32),
        lambda t, x: x.astype(complex),
        lambda t, x: x.astype(int),
    ],
)
def test_scores_of_another_shape_or_dtype_are_refused(wrong):
    with pytest.raises(ValueError, match=r"^score: expected the shape and dtype of x, \(4, 3\) float64, got"):
        sample(ONE_STEP, wrong, 4, 3, rng=0)


def test_scores_that_drop_the_axis_of_strata_are_refused():
    plan = Plan([Predict(schemes.parallel_midpoint(strata=2, rounds=0), LEVELS)])
    with pytest.raises(
        ValueError, match=r"^score: expected the shape and dtype of x, \(2, 4, 3\) float64, got \(4, 3\)"
    ):
        sample(plan, lambda t, x: -x if x.ndim == 2 else -x[0], 4, 3, rng=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_particles_that_are_not_finite_are_named_with_their_step(plan, bad, xp):
    """The score goes wrong at the second step, for the particle of index 2 alone; Euler's underdamped step takes it to
    the velocity, which moves the particle in the third."""
    seen = 3 if "underdamped_euler" in repr(plan) else 2
    first_calls = plan.rounds // sum(len(s) for s in plan)
    calls = []

    def score(t, x):
        calls.append(t)
        wrong = np.zeros(x.shape)
        if len(calls) > first_calls:
            wrong[..., 2, 1] = bad
        return -x + xp.asarray(wrong)

    with np.errstate(all="ignore"), pytest.raises(ValueError, match=f"particle 2 .*step {seen}"):
        sample(plan, score, 4, 3, rng=0, like=xp.asarray(np.zeros(1)))


def test_a_score_that_overflows_is_refused_not_returned():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"particle 0 .*step 2"):
        sample(Plan([Predict(schemes.euler, LEVELS)]), lambda t, x: 1e300 * x, 1, 1, x0=np.ones((1, 1)))


def test_a_target_of_another_dimension_is_refused():
    with pytest.raises(ValueError, match="expected .*3.*got"):
        sample(ONE_STEP, TARGET, 4, 2, rng=0)
