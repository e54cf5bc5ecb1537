"""The same seed on PyTorch and JAX: the same numbers, to rounding, whoever computes them; what only they run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rmverify import Correct, Gaussian, GaussianMixture, Plan, Predict, sample, schemes
from rmverify.readings.streams import Stream, key_of, threefry
from rmverify.samplers.arrays import example, host, named, quietly
from rmverify.schemes.contract import text
from rmverify.tasks import pool

KEY = (0xDEADBEEF, 0x0BADF00D)
TARGETS = {
    "diagonal": Gaussian([0.5, -1.0, 0.25], [2.0, 0.5, 0.25]),
    "dense": Gaussian([0.5, -1.0, 0.25], [[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]]),
    "mixture": GaussianMixture([0.3, 0.7], [np.zeros(3), np.ones(3)], [np.eye(3), np.diag([0.5, 1.0, 2.0])]),
}
LEVELS = [1.5, 1.0, 0.7]
PREDICTORS = [
    schemes.euler, schemes.exponential_integrator, schemes.heun, schemes.midpoint, schemes.randomized_midpoint,
    schemes.parallel_midpoint(strata=4, rounds=2),
]  # fmt: skip
CORRECTORS = [
    schemes.overdamped, schemes.underdamped(friction=2, mass=3),
    schemes.randomized_midpoint_langevin(friction=2, mass=3),
    schemes.parallel_underdamped(cells=3, rounds=2, friction=2, mass=3),
]  # fmt: skip


@pytest.fixture(params=["torch", "jax"])
def library(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(params=["float64", "float32"])
def like(request, library):
    with quietly(library):
        yield example(library, request.param)


def namespace(like):
    from array_api_compat import array_namespace, device

    return array_namespace(like), like.dtype, device(like)


def tolerance(like):
    """Numbers up to 10: 20 roundings, and of single precision those of an angle too."""
    return 200 * {"float64": 2.0**-53, "float32": 2.0**-24}[named(like)]


@pytest.mark.parametrize("first", [0, 2**31 - 2, 2**32 - 5])
@pytest.mark.parametrize("kind", ["random", "standard_exponential", "standard_normal"])
def test_a_stream_is_the_same(like, kind, first):
    shape = 5, 3, 7
    due = getattr(Stream(KEY, first, np, np.float64, "cpu"), kind)(shape)
    values = getattr(Stream(KEY, first, *namespace(like)), kind)(shape)
    assert named(values) == named(like)
    assert tuple(values.shape) == shape
    np.testing.assert_allclose(host(values), due, rtol=0, atol=tolerance(like))


@pytest.mark.parametrize("scheme", PREDICTORS + CORRECTORS, ids=text)
def test_a_sample_is_the_same(library, scheme):
    stage = Predict(scheme, LEVELS) if scheme in PREDICTORS else Correct(scheme, 0.7, 0.2, 3)
    with quietly(library):
        agrees(Plan([stage]), "dense", example(library, "float64"), 9)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_the_same_in_both_precisions(like, name):
    plan = Plan([Predict(schemes.randomized_midpoint, LEVELS), Correct(CORRECTORS[2], 0.7, 0.2, 2)])
    for n in (9, 4):
        agrees(plan, name, like, n)


def agrees(plan, name, like, n):
    """So many of nine particles, on NumPy and there."""
    due = sample(plan, TARGETS[name], 9, 3, rng=9)[:n]
    values = sample(plan, TARGETS[name], n, 3, rng=9, like=like)
    assert type(values) is type(like)
    assert named(values) == named(like)
    # 3 steps of a few hundred roundings, stretched by the condition (below 10) of the scores
    np.testing.assert_allclose(host(values), due, rtol=0, atol=50 * tolerance(like))


def test_wide_rounds_are_cut_there_too(like):
    plan = Plan([Predict(schemes.parallel_midpoint(strata=4, rounds=0), [1.5, 1.0])])
    sizes = []

    def score(t, x):
        sizes.append(tuple(x.shape))
        return -x

    whole = sample(plan, score, 5, 3, rng=9, like=like)
    cut = sample(plan, score, 5, 3, rng=9, like=like, memory=8 * 4 * 3 * 8 * 2)
    assert sizes[0] == (5, 3)
    assert max(size[-2] for size in sizes[2:]) == (2 if named(like) == "float64" else 4)
    np.testing.assert_allclose(host(cut), host(whole), rtol=0, atol=50 * tolerance(like))


def test_a_step_of_pytorch_alone_is_looked_at_and_sampled():
    torch = pytest.importorskip("torch")

    def step(x, t, h, score, draw):
        _, a = draw.strata(4)
        s = score(t - a * h, torch.stack([x] * 4))
        return torch.add(x, h * torch.mean(s, dim=0)) + torch.sqrt(draw.exponential()) * draw.normal(((h,),))[0]

    sizes = []

    def score(t, x):
        sizes.append(tuple(x.shape))
        return -x

    x = sample(Plan([Predict(step, [1.0, 0.5])]), score, 10, 2, rng=0, like=torch.zeros(1), memory=8 * 4 * 2 * 4 * 3)
    assert x.shape == (10, 2)
    assert sizes == [(4, 3, 2)] * 3 + [(4, 1, 2)]


def test_a_score_of_another_library_device_or_dtype_is_refused():
    torch = pytest.importorskip("torch")
    plan, like = Plan([Predict(schemes.heun, [1.0, 0.5])]), torch.zeros(1)
    for score, cause in [
        (lambda t, x: x.double(), "expected the shape and dtype of x, .* got .* torch.float64"),
        (lambda t, x: x.numpy(), "expected the shape and dtype of x, .* got .* float32"),
        (lambda t, x: x.to("meta"), "expected, as for x, an array on cpu, got one on meta"),
        (lambda t, x: x + torch.nan, "particle 0 became NaN or infinite in step 1"),
    ]:
        with pytest.raises(ValueError, match=f"^score: .*{cause}"):
            sample(plan, score, 4, 2, like=like)
    with pytest.raises(ValueError, match="^like: expected a real floating dtype, got torch.int64"):
        sample(plan, lambda t, x: -x, 4, 2, like=torch.zeros(1, dtype=torch.int64))


def test_a_step_of_a_number_that_is_traced():
    """The keys, and the particles' numbers, of a step that is known only when the compiled code runs."""
    jax = pytest.importorskip("jax")
    with quietly("jax"):
        jnp = jax.numpy

        @jax.jit
        def numbers(step):
            key = key_of(KEY, step, 1)
            return key, Stream(key, 3, jnp, jnp.float64, None).standard_normal((5, 4))

        for step in (0, 7, 2**32 - 1):
            key, values = numbers(jnp.asarray(step, dtype=jnp.uint32))
            assert tuple(map(int, key)) == threefry(KEY, (step, 1))
            due = Stream(key_of(KEY, step, 1), 3, np, np.float64, "cpu").standard_normal((5, 4))
            np.testing.assert_allclose(host(values), due, rtol=0, atol=200 * 2.0**-53)


def test_jax_needs_no_double_precision():
    jax = pytest.importorskip("jax")
    plan = Plan([Predict(schemes.randomized_midpoint, [1.0, 0.5]), Correct(CORRECTORS[1], 0.5, 0.2, 1)])
    for seed in range(4):  # keys of 32 bits
        with jax.enable_x64(False):
            x = sample(plan, TARGETS["diagonal"], 5, 3, rng=seed, like=jax.numpy.zeros(1))
        assert x.dtype == np.float32
        due = sample(plan, TARGETS["diagonal"], 5, 3, rng=seed)
        np.testing.assert_allclose(host(x), due, rtol=0, atol=50 * 200 * 2.0**-24)


def test_the_command_samples_there(library, tmp_path, monkeypatch):
    from rmverify.cli.main import main

    monkeypatch.chdir(tmp_path)
    np.savetxt("covariance.csv", np.diag([2.0, 0.5]), delimiter=",")
    for dtype in ("float64", "float32"):
        for backend in ("numpy", library):
            options = ["--covariance", "-n", "4", "--steps", "2", "--seed", "3", "--quiet", "--dtype", dtype]
            place = ["--backend", backend, "--device", "cpu", "--out", f"{backend}.npy"]
            assert main(["sample", "covariance.csv", *options, *place]) == 0
        due, x = np.load("numpy.npy"), np.load(f"{library}.npy")
        assert due.dtype == x.dtype == np.dtype(dtype)
        np.testing.assert_allclose(x, due, rtol=0, atol=1000 * np.finfo(dtype).eps)
    assert main(["sample", "covariance.csv", "--covariance", "--backend", library, "--device", "cuda:63", "--out",
                 "no.npy"]) == 2  # fmt: skip


@pytest.mark.slow
def test_tiles_are_the_same_there(like, tmp_path):
    """By threads, and through a store, which has them on the host."""
    plan = Plan([Predict(schemes.randomized_midpoint, LEVELS)])
    memory = 8 * 3 * 20 * np.dtype(named(like)).itemsize  # 20 particles in a tile
    due = sample(plan, TARGETS["dense"], 40, 3, rng=9)
    with ThreadPoolExecutor(2) as executor:
        x = sample(plan, TARGETS["dense"], 40, 3, rng=9, like=like, executor=executor, memory=memory)
        options = {"rng": 9, "like": like, "store": tmp_path / "store", "memory": memory}
        there = sample(plan, TARGETS["dense"], 40, 3, executor=executor, **options)
    assert type(x) is type(like)
    assert named(x) == named(like)
    assert type(there) is np.memmap
    assert named(there) == named(like)
    for values in (host(x), there, sample(plan, TARGETS["dense"], 40, 3, **options)):
        np.testing.assert_allclose(values, due, rtol=0, atol=50 * tolerance(like))
    assert len((tmp_path / "store" / "tiles.jsonl").read_text().splitlines()) == 1 + 2
    with pytest.raises(ValueError, match="store: expected library 'numpy', got '(torch|jax)'"):
        sample(plan, TARGETS["dense"], 40, 3, **options | {"like": np.zeros(1, dtype=named(like))})
    begun = sample(plan, TARGETS["dense"], 40, 3, rng=9, x0=x, memory=memory, store=tmp_path / "begun")
    whole = sample(plan, TARGETS["dense"], 40, 3, rng=9, x0=host(x))
    np.testing.assert_allclose(begun, whole, rtol=0, atol=50 * tolerance(like))


@pytest.mark.slow
def test_processes_have_the_library_and_its_precision(like):
    plan = Plan([Predict(schemes.randomized_midpoint, LEVELS)])
    memory = 8 * 3 * 20 * np.dtype(named(like)).itemsize
    with pool(2) as executor:
        x = sample(plan, TARGETS["dense"], 40, 3, rng=9, like=like, executor=executor, memory=memory)
    assert type(x) is type(like)
    assert named(x) == named(like)
    due = sample(plan, TARGETS["dense"], 40, 3, rng=9)
    np.testing.assert_allclose(host(x), due, rtol=0, atol=50 * tolerance(like))
