"""Random numbers by counting: known answers, the formulas, independence; and particles cut in any way."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
import scipy.stats
from array_api_compat import device
from mutants import streams as mutants
from oracles import plain

from rmverify import Correct, Gaussian, GaussianMixture, Plan, Predict, output_law, sample, schemes
from rmverify.plans import footprint
from rmverify.readings import particles, streams
from rmverify.readings.streams import Stream, seed_words

KEY = (0x12345678, 0x9ABCDEF0)
TESTS = 60  # statistics in this file, each at level 1e-6/TESTS
LEVEL = 1e-6 / TESTS
Z = scipy.stats.norm.isf(LEVEL / 2)
NUMPY, STRICT = (np, "cpu"), (array_api_strict, array_api_strict.Device("CPU_DEVICE"))

# Random123's kat_vectors for threefry2x32 with 20 rounds: key, counter, answer
ANSWERS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


def encrypted(key, x):
    """Threefry-2x32-20 as Salmon et al. print it, on Python's integers."""
    keys = [*key, 0x1BD11BDA ^ key[0] ^ key[1]]
    a, b = ((word + k) % 2**32 for word, k in zip(x, key, strict=True))
    for n, r in enumerate([13, 15, 26, 6, 17, 29, 16, 24] * 2 + [13, 15, 26, 6], 1):
        a = (a + b) % 2**32
        b = ((b << r) % 2**32 | b >> (32 - r)) ^ a
        if n % 4 == 0:
            a, b = (a + keys[n // 4 % 3]) % 2**32, (b + keys[(n // 4 + 1) % 3] + n // 4) % 2**32
    return a, b


def expected(first, count, per):
    """Uniform, exponential and normal values of the particles first, ..., each (count, per), one at a time."""
    half = (per + 1) // 2
    uniform, normal = np.empty((count, per)), np.empty((count, 2 * half))
    for i in range(count):
        for j in range(per):
            uniform[i, j] = (encrypted(KEY, (first + i, j))[0] + 0.5) / 2**32
        for j in range(half):
            a, b = encrypted(KEY, (first + i, j))
            radius, angle = math.sqrt(-2 * math.log((a + 0.5) / 2**32)), 2 * math.pi * b / 2**32
            normal[i, j], normal[i, half + j] = radius * math.cos(angle), radius * math.sin(angle)
    return uniform, -np.log(uniform), normal[:, :per]


def stream(first=0, where=NUMPY, dtype=None, key=KEY):
    xp, place = where
    return Stream(key, first, xp, dtype or xp.float64, place)


# --- facts, each of which refutes some mutants ------------------------------------------------------------------------


def known_answers():
    for key, counter, answer in ANSWERS:
        assert streams.threefry(key, counter) == answer
        for xp in (np, array_api_strict):
            arrays = [xp.asarray([word], dtype=xp.uint32) for word in (*key, *counter)]
            for made in (
                streams.threefry(key, tuple(arrays[2:])),
                streams.threefry(tuple(arrays[:2]), tuple(arrays[2:])),
            ):
                assert tuple(int(word[0]) for word in made) == answer
    for word in (0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1):
        for x in (0, 1, 2**31, 2**32 - 1):
            for xp in (np, array_api_strict):
                added = streams._plus(xp.asarray([x], dtype=xp.uint32), word, True)
                assert int(added[0]) == (x + word) % 2**32
    for key, (first, place), answer in ANSWERS[:1] + ANSWERS[2:]:
        a, b = streams._encrypted(key, first, slice(place, place + 1), slice(0, 1))
        assert (int(a[0]), int(b[0])) == answer


def the_formulas():
    """A few roundings of numbers up to 6.8, and of the angle 2 pi."""
    for first, count, per in [(0, 3, 1), (5, 4, 7), (2**32 - 3, 3, 4)]:
        due = expected(first, count, per)
        for where in (NUMPY, STRICT):
            one = stream(first, where)
            shape = (count, per)
            for kind, value in zip(("random", "standard_exponential", "standard_normal"), due, strict=True):
                np.testing.assert_allclose(np.asarray(getattr(one, kind)(shape)), value, rtol=1e-15, atol=1e-14)


def pieces():
    """Also where the particles, or the places, take several of what is made at once."""
    edge = streams._PIECE
    for count, per in [(edge + 5, 3), (40, 2 * edge)]:
        whole = stream().standard_normal((count, per)), stream().random((count, per))
        for first in (0, 7, count - 2):
            part = stream(first)
            np.testing.assert_array_equal(whole[0][first : first + 2], part.standard_normal((2, per)))
            np.testing.assert_array_equal(whole[1][first : first + 2], part.random((2, per)))


class Words(Stream):
    """A stream whose words are given."""

    def _words(self, count, places):
        words = [0, 1, 2**31 - 1, 2**31, 2**32 - 129, 2**32 - 2, 2**32 - 1]
        values = self._xp.asarray([words], dtype=self._xp.uint32)
        return values, 0 * values


def single_precision():
    one = Words(KEY, 0, array_api_strict, array_api_strict.float32, STRICT[1])
    words = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 129, 2**32 - 2, 2**32 - 1]) + 0.5
    uniform, exponential, normal = (
        np.asarray(getattr(one, kind)((1, size)))[0].astype(float)
        for kind, size in (("random", 7), ("standard_exponential", 7), ("standard_normal", 14))
    )
    assert ((uniform > 0) & (uniform < 1)).all()
    np.testing.assert_allclose(uniform, words / 2**32, rtol=2.0**-22)
    durations = -np.log1p((words - 2**32) / 2**32)  # to the last digit near 1
    np.testing.assert_allclose(exponential, durations, rtol=2.0**-21)
    np.testing.assert_allclose(normal[:7], np.sqrt(2 * durations), rtol=2.0**-21)
    for count, per in ((50, 4),):
        due = expected(0, count, per)
        for where in (NUMPY, STRICT):
            made = stream(0, where, where[0].float32)
            for kind, value in zip(("random", "standard_exponential", "standard_normal"), due, strict=True):
                values = getattr(made, kind)((count, per))
                assert values.dtype == where[0].float32
                np.testing.assert_allclose(np.asarray(values), value, rtol=1e-6, atol=4e-6)


def keys():
    """The key of a draw is the pair (step, draw) under the seed's, also where the step is an array without axes."""
    xp, where = STRICT
    due = encrypted(KEY, (3, 7))
    assert streams.key_of(KEY, 3, 7) == due
    with np.errstate(over="ignore"):  # NumPy warns of numbers, not of arrays
        key = streams.key_of(KEY, xp.asarray(3, dtype=xp.uint32), 7)
        assert tuple(map(int, key)) == due
        one, other = (Stream(each, 2, xp, xp.float64, where).standard_normal((5, 3)) for each in (key, due))
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert len({seed_words(np.random.default_rng(seed)) for seed in range(100)}) == 100
    generator = np.random.default_rng(1)
    assert seed_words(generator) != seed_words(generator)


def numbers_of_their_own():
    """Of the start, two draws in each of two steps, and the same in a second stage; and of fresh velocities."""
    seen = []

    def step(x, t, h, score, draw):
        seen.extend(draw.normal(((1.0,),))[0] for _ in range(2))
        seen.append(draw.normal(((1.0, 0.0), (0.0, 1.0)))[1])
        return x

    plan = Plan([Predict(step, [2.0, 1.5, 1.0]), Predict(step, [1.0, 0.8, 0.5])])
    start = sample(plan, lambda t, x: -x, 4, 2, rng=1)
    seen = [values for values in seen if len(values) == 4]  # the others were looked at beforehand
    assert len(seen) == 12
    assert np.unique([start, *seen]).size == 13 * 8

    @schemes.scheme(kinetic=True)
    def still(state, t, h, score, draw):
        seen.append(state[1])
        return state

    sample(Plan([Correct(still, 1.0, 0.1, 1)] * 2), lambda t, x: -x, 4, 2, rng=2)
    assert np.unique([start, *(values for values in seen if len(values) == 4)]).size == 15 * 8


def both():
    return Plan(
        [
            Predict(schemes.parallel_midpoint(strata=3, rounds=1), [2.0, 1.0, 0.5]),
            Predict(schemes.randomized_midpoint, [0.5, 0.4]),
            Correct(schemes.randomized_midpoint_langevin(friction=2), 0.4, 0.1, 2),
            Correct(schemes.parallel_underdamped(cells=3, rounds=2, friction=2), 0.4, 0.1, 2),
        ]
    )


DIAGONAL = Gaussian([0.5, -1.0, 0.25], [2.0, 0.5, 0.25])
DENSE = Gaussian([0.5, -1.0, 0.25], [[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]])
MIXTURE = GaussianMixture([0.3, 0.7], [np.zeros(3), np.ones(3)], [np.eye(3), np.diag([0.5, 1.0, 2.0])])


def tiles():
    """Whatever tiles of however many particles, on however many threads: 1000 roundings."""
    for target in (DIAGONAL, DENSE, MIXTURE):
        whole = sample(both(), target, 20, 3, rng=4, workers=1)
        assert np.unique(whole).size == whole.size
        for numbers, memory, workers in [(3, 2**27, 1), (6, 2**27, 3), (21, 2**27, 2), (10**6, 8 * 3 * 3 * 8 * 2, 2)]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(particles, "_TILE", numbers)
                cut = sample(both(), target, 20, 3, rng=4, memory=memory, workers=workers)
            np.testing.assert_allclose(cut, whole, rtol=0, atol=1000 * 2.0**-53 * 10)
        np.testing.assert_allclose(sample(both(), target, 7, 3, rng=4), whole[:7], rtol=0, atol=1e-12)


def in_tiles(call):
    """The call where each tile has two particles of dimension 1."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(particles, "_TILE", 2)
        return call()


EULER = Plan([Predict(schemes.euler, [3.0, 2.0, 1.0])])


def bad(which):
    x0 = np.zeros((9, 1))
    x0[which] = 1e300
    return x0


def the_place_of_a_bad_particle():
    for workers in (1, 3):
        with pytest.raises(
            ValueError, match="score: particle 5 became NaN or infinite in step 1, at noise level t = 3"
        ):
            in_tiles(lambda workers=workers: sample(EULER, lambda t, x: x * 1e300, 9, 1, x0=bad(5), workers=workers))


def the_first_error():
    """Of all tiles, whichever thread is the first."""
    with pytest.raises(ValueError, match="particle 2 "):
        in_tiles(lambda: sample(EULER, lambda t, x: x * 1e300, 9, 1, x0=bad([2, 5, 8]), workers=3))


def progress():
    for workers in (1, 3):
        told = []
        in_tiles(lambda told=told, w=workers: sample(both(), lambda t, x: -x, 9, 1, progress=told.append, workers=w))
        assert told == list(range(1, 8))


def devices():
    """A score, or a step, that leaves the device of x."""
    other = array_api_strict.Device("device1")
    like = array_api_strict.zeros(1, device=other)
    assert device(sample(both(), DIAGONAL, 4, 3, rng=4, like=like)) == other

    def moved(t, x):
        return array_api_strict.asarray(-x, device=STRICT[1], copy=True)

    with pytest.raises(ValueError, match=r"score: expected, as for x, an array on .*device1.*, got one on .*CPU"):
        sample(EULER, lambda t, x: moved(t, x), 4, 3, like=like)

    def moving(x, t, h, score, draw):
        return moved(t, x)

    with pytest.raises(ValueError, match=r"scheme: moving must return its state as it got it, an array on .*device1"):
        sample(Plan([Predict(moving, [1.0, 0.5])]), lambda t, x: -x, 4, 3, like=like)


def libraries():
    class Strange:
        """Looks like x, and is of another library."""

        def __init__(self, x):
            self.shape, self.dtype, self.device = x.shape, x.dtype, "cpu"

        def __array_namespace__(self, api_version=None):
            return array_api_strict

    with pytest.raises(ValueError, match=r"score: expected, as for x, an array of numpy, got one of array_api_strict"):
        sample(EULER, lambda t, x: Strange(x), 4, 3)


def own_backend():
    """A step with functions of one library alone is looked at on its arrays: how much it asks at once is known."""

    def step(x, t, h, score, draw):
        assert type(x).__module__.startswith("array_api_strict")
        _, a = draw.strata(4)
        s = score(t - a * h, array_api_strict.stack([x] * 4))
        return (
            x + h * array_api_strict.mean(s, axis=0) + draw.bernoulli(0.5) * draw.exponential() + draw.cells(2)[0, ...]
        )

    sizes = []

    def score(t, x):
        sizes.append(x.shape)
        return -x

    plan = Plan([Predict(step, [1.0, 0.5])])
    like = array_api_strict.zeros(1)
    whole = sample(plan, score, 5, 2, rng=3, like=like)
    assert sizes == [(4, 5, 2)]
    cut = sample(plan, score, 5, 2, rng=3, like=like, memory=8 * 4 * 2 * 8 * 2)
    assert sizes[1:] == [(4, 2, 2), (4, 2, 2), (4, 1, 2)]
    np.testing.assert_array_equal(np.asarray(cut), np.asarray(whole))
    assert footprint(step, like=like).evaluations == 4
    assert plan.stages[0].widest() == 1  # it runs on NumPy's arrays nowhere
    with pytest.raises(ValueError, match=r"on array_api_strict arrays it raised TypeError"):
        footprint(lambda x, t, h, score, draw: score(t), like=like)


def memory_of_all_workers():
    """Two workers have tiles of half the size; and no tile has more particles than there are."""
    plan, sizes = Plan([Predict(schemes.parallel_midpoint(strata=4, rounds=0), [1.0, 0.5])]), set()

    def score(t, x):
        sizes.add(x.shape[-2])
        return -x

    for workers, largest in [(1, 4), (2, 2), (3, 1)]:
        sizes.clear()
        particles.sample(plan, score, 9, 2, memory=8 * 4 * 2 * 8 * 4, workers=workers)
        assert max(sizes) == largest


def mixture_score():
    """sum_j r_j C_j(t)^{-1} (m_j(t) - x) with r_j = w_j q_j / sum w_j q_j, also at levels of the particles' own."""
    weights = [0.2, 0.0, 0.5, 0.3]
    means = np.array([[0.5, -1.0], [9.0, 9.0], [3.0, 0.0], [-2.0, 4.0]])
    covariances = np.array([[[2.0, 0.5], [0.5, 1.0]], np.eye(2), [[0.3, -0.1], [-0.1, 0.2]], [[1.5, 0.0], [0.0, 0.5]]])
    x = np.random.default_rng(0).normal(size=(8, 2)) * 4
    for t in (0.3, np.linspace(0.1, 2, 8)[:, None]):
        due = np.zeros_like(x)
        for row, level, out in zip(x, np.broadcast_to(t, (8, 1))[:, 0], due, strict=True):
            e = math.exp(-level)
            laws = [(e * m, e * e * c + (1 - e * e) * np.eye(2)) for m, c in zip(means, covariances, strict=True)]
            q = [w * scipy.stats.multivariate_normal(*law).pdf(row) for w, law in zip(weights, laws, strict=True)]
            out += sum(r * np.linalg.solve(c, m - row) for r, (m, c) in zip(q, laws, strict=True)) / sum(q)
        for xp in (np, array_api_strict):
            level = t if isinstance(t, float) else xp.asarray(t)
            found = GaussianMixture(weights, means, covariances).score(level, xp.asarray(x))
            np.testing.assert_allclose(np.asarray(found), due, rtol=1e-9)
    # far out, where every density underflows, and blocks of one variance
    far = GaussianMixture([0.5, 0.5], [[0.0] * 3, [1.0] * 3], [[2.0] * 3, [1.0] * 3]).score(0.0, np.full((1, 3), 1e4))
    np.testing.assert_allclose(far, -0.5e4, rtol=1e-12)


FACTS = {
    fact.__name__: fact
    for fact in (
        known_answers, the_formulas, pieces, single_precision, keys, numbers_of_their_own, tiles,
        the_place_of_a_bad_particle, the_first_error, progress, devices, libraries, own_backend, memory_of_all_workers,
        mixture_score,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_fact(name):
    FACTS[name]()


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    fact = FACTS[mutant.killed_by]
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, TypeError)):
        fact()


def test_every_fact_has_its_mutants():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)


# --- statistics -------------------------------------------------------------------------------------------------------

MANY = 200_000


def drawn(kind, first=0, key=KEY, shape=(MANY, 2)):
    return getattr(stream(first, key=key), kind)(shape)


@pytest.mark.parametrize(
    ("kind", "law"),
    [("random", scipy.stats.uniform()), ("standard_normal", scipy.stats.norm()),
     ("standard_exponential", scipy.stats.expon())],
)  # fmt: skip
def test_each_kind_has_its_law(kind, law):
    """Kolmogorov's statistic, and the first four moments by their standard errors."""
    values = drawn(kind).ravel()
    assert scipy.stats.kstest(values, law.cdf).pvalue > LEVEL
    for power in range(1, 5):
        mean, spread = law.moment(power), math.sqrt(law.moment(2 * power) - law.moment(power) ** 2)
        assert abs((values**power).mean() - mean) < Z * spread / math.sqrt(values.size)
    assert scipy.stats.kstest(values, lambda x: law.cdf(1.02 * x)).pvalue < LEVEL  # it could tell


def uncorrelated(a, b):
    """Normal values, their squares, and the one's with the other's squares: correlations by their standard errors."""
    a, b = np.ravel(a), np.ravel(b)
    for f, g in ((a, b), (a**2 - 1, b**2 - 1), (a, b**2 - 1), (a**2 - 1, b)):
        assert abs((f * g).sum()) < Z * math.sqrt((f**2).mean() * (g**2).mean() * a.size)


def test_neighbours_are_uncorrelated():
    """Particles, places, the two values of a counter, draws, steps, bits of the seed."""
    values = drawn("standard_normal", shape=(MANY, 4))
    uncorrelated(values[:-1], values[1:])
    uncorrelated(values[:, 0], values[:, 1])
    uncorrelated(values[:, 0], values[:, 2])  # one counter
    for key in [
        streams.key_of(KEY, 0, 1),
        streams.key_of(KEY, 1, 0),
        streams.key_of((KEY[0] ^ 1, KEY[1]), 0, 0),
        (KEY[0], KEY[1] ^ 2**31),
    ]:
        uncorrelated(drawn("standard_normal", key=key), drawn("standard_normal", key=streams.key_of(KEY, 0, 0)))
    with pytest.raises(AssertionError):
        uncorrelated(values[:, 0], values[:, 0] + 40 * values[:, 1])


def test_tiles_steps_and_draws_are_independent():
    """What sample hands out: numbers of two steps and two draws, in tiles, as cells of their pairs: chi^2."""
    seen = {}

    def step(x, t, h, score, draw):
        for k in range(2):
            a = draw.uniform()[:, 0]
            if len(a) > 1:  # more than is looked at beforehand
                seen.setdefault((t, k), []).append(a)
        return x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(particles, "_TILE", 1 << 13)
        sample(Plan([Predict(step, [2.0, 1.5, 1.0])]), lambda t, x: -x, 1 << 17, 1, rng=5)
    numbers = {place: np.concatenate(parts) for place, parts in seen.items()}
    a, *others = numbers.values()
    assert len(others) == 3
    assert len(seen[2.0, 0]) == 16
    across = a.reshape(16, -1)
    pairs = [(a, b) for b in others] + [(across[0::2], across[1::2])]
    for one, other in pairs:
        cells = np.bincount((np.floor(20 * one) * 20 + np.floor(20 * other)).astype(int).ravel(), minlength=400)
        assert scipy.stats.chisquare(cells).pvalue > LEVEL


def test_choices_and_durations_have_their_laws():
    seen = []

    def step(x, t, h, score, draw):
        seen.append((draw.bernoulli(0.3), draw.bernoulli(0.0), draw.bernoulli(1.0), draw.exponential()))
        return x

    for like in (np.zeros(1), array_api_strict.zeros(1, dtype=array_api_strict.float32)):
        sample(Plan([Predict(step, [1.0, 0.5])]), lambda t, x: -x, 100_000, 1, rng=5, like=like)
        choice, never, always, duration = (np.asarray(values).astype(float) for values in seen.pop())
        assert set(np.unique(choice)) == {0.0, 1.0}
        assert scipy.stats.binomtest(int(choice.sum()), choice.size, 0.3).pvalue > LEVEL
        assert (never == 0).all()
        assert (always == 1).all()
        assert scipy.stats.kstest(duration.ravel(), scipy.stats.expon.cdf).pvalue > LEVEL


def test_second_moments_of_a_million_particles():
    """Underdamped: the textbook's step and noise; x'x whitened by the exact covariance is chi^2 with n d degrees."""
    n, d, h, friction = 1_000_000, 2, 0.3, 1.5
    variances = np.array([0.25, 2.0])
    target = Gaussian(np.zeros(d), variances)
    x = sample(Plan([Correct(schemes.underdamped(friction=friction), 0.0, h, 3)]), target, n, d, rng=6)
    for k, variance in enumerate(variances):
        step, noise = (np.array(rows) for rows in plain.langevin(1 / variance, friction, h))
        law = np.eye(2)
        for _ in range(3):
            law = step @ law @ step.T + noise
        assert scipy.stats.chi2.isf(1 - LEVEL, n) < x[:, k] @ x[:, k] / law[0, 0] < scipy.stats.chi2.isf(LEVEL, n)
    assert abs(x[:, 0] @ x[:, 1]) < Z * math.sqrt(n) * x[:, 0].std() * x[:, 1].std()


def test_second_moments_of_a_million_random_midpoints():
    """E A(a)^2 per step by a Gauss rule, and the fourth moment for its error."""
    lam, levels, n = 0.1, [0.8, 0.5, 0.3], 1_000_000
    v, weights = plain.at_every_midpoint(lam, levels, plain.unit_rule(40))
    start = plain.noised(lam, levels[0])
    square, fourth = weights @ v / start, 3 * (weights @ v**2) / start**2
    x = sample(Plan([Predict(schemes.randomized_midpoint, levels)]), Gaussian.isotropic(lam, 1), n, 1, rng=7)
    assert abs((x**2).mean() - square) < Z * math.sqrt((fourth - square**2) / n)


def test_a_particle_is_the_same_among_ten_and_among_a_million():
    plan = Plan([Predict(schemes.randomized_midpoint, [2.0, 1.0])])
    few, many = (sample(plan, DIAGONAL, n, 3, rng=4) for n in (10, 1_000_000))
    np.testing.assert_allclose(many[:10], few, rtol=0, atol=1e-13)
    assert output_law(plan, DIAGONAL, alphas=[0.5]).dim == 3


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, -1, 1.5, "two"])
def test_workers_that_make_no_sense_are_refused(workers):
    with pytest.raises(ValueError, match="^workers: expected"):
        sample(EULER, DIAGONAL, 4, 3, workers=workers)


def test_more_particles_than_there_are_numbers_are_refused():
    with pytest.raises(ValueError, match=r"^n: expected at most 2\^32"):
        sample(EULER, DIAGONAL, 2**32 + 1, 3)


def test_a_start_that_cannot_be_moved_is_refused_by_its_name():
    with pytest.raises(ValueError, match="^x0: expected what can be made an array of array_api_strict"):
        sample(EULER, DIAGONAL, 2, 3, x0=[["a"] * 3] * 2, like=array_api_strict.zeros(1))


def test_a_function_of_yours_has_one_thread_and_a_target_several():
    import threading

    threads = set()

    class Watched(Gaussian):
        def score(self, t, x):
            threads.add(threading.get_ident())
            return super().score(t, x)

    target = Watched([0.0], [1.0])
    in_tiles(lambda: sample(EULER, target, 64, rng=1))
    assert threads == {threading.get_ident()}  # a class of yours
    threads.clear()
    in_tiles(lambda: sample(EULER, target.score, 64, 1, rng=1))
    assert threads == {threading.get_ident()}
    in_tiles(lambda: sample(EULER, target, 64, rng=1, workers=2))
    assert threading.get_ident() not in threads - {threading.get_ident()}
    assert len(threads) > 1
