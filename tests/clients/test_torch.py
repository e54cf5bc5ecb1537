"""Loops in real PyTorch, as a README has them: their draws are ours by whatever name, and nothing of torch is left
changed."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from libraries import library

from rmverify import Gaussian, Kernel, Sampler, output_law, paths, sample, stationary_law
from rmverify.samplers import NotAffine, Unreadable

torch = library("torch")

LAM, MEAN = np.array([0.3, 1.5, 4.0]), np.array([0.5, -0.3, 0.0])
TARGET = Gaussian(MEAN, LAM)
SIGMAS = [10.0, 3.0, 1.0, 0.3, 0.0]


def moments(noise=1.0):
    """x -> x0 + s'/s (x - x0) + sqrt(s'^2 - (s'^2/s)^2) z: means and variances of ancestral Euler, written plainly."""
    mean, variance = 0 * LAM, SIGMAS[0] ** 2 + 0 * LAM
    for s, after in pairwise(SIGMAS):
        down = after**2 / s
        gain = LAM / (LAM + s**2)
        a = gain + down / s * (1 - gain)
        mean = a * mean + (1 - down / s) * (1 - gain) * MEAN
        variance = a**2 * variance + noise**2 * (after**2 - down**2)
    return mean, variance


def ancestral(draw):
    def run(model, x, noise):
        x = x * SIGMAS[0]
        for s, after in pairwise(SIGMAS):
            denoised = model(x, torch.full((x.shape[0],), s, dtype=x.dtype))
            down = after**2 / s
            x = denoised + down / s * (x - denoised)
            if after > 0:
                x = x + math.sqrt(after**2 - down**2) * draw(x)
        return x

    return run


GENERATOR = torch.Generator().manual_seed(0)
DRAWS = {
    "randn_like": torch.randn_like,
    "randn": lambda x: torch.randn(x.shape, dtype=x.dtype),
    "randn of sizes": lambda x: torch.randn(*x.shape, dtype=x.dtype, device=x.device),
    "randn of size=": lambda x: torch.randn(size=x.shape, dtype=x.dtype),
    "generator": lambda x: torch.randn(x.shape, generator=GENERATOR, dtype=x.dtype),
    "normal_": lambda x: torch.empty_like(x).normal_(),
    "normal_ of a generator": lambda x: torch.empty_like(x).normal_(0.0, 1.0, generator=GENERATOR),
    "normal of a mean": lambda x: torch.normal(torch.zeros_like(x), 1.0),
    "normal of a std": lambda x: torch.normal(0.0, torch.ones_like(x)),
    "normal of a size": lambda x: torch.normal(0.0, 1.0, size=tuple(x.shape), dtype=x.dtype),
    "normal of both": lambda x: torch.normal(mean=torch.zeros_like(x), std=torch.ones_like(x)),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_draws_by_any_name(draw):
    mean, variance = moments()
    reading = Sampler(ancestral(draw), paths.VE(), "x0", like="torch").read(TARGET)
    assert reading.draws == 3
    assert reading.dtype == "float64"
    law = reading.law()
    assert law.means == pytest.approx(mean, rel=1e-12, abs=1e-13)
    assert law.variances == pytest.approx(variance, rel=1e-12)


def test_a_draw_with_a_mean_and_a_standard_deviation():
    """normal_(1, 2) is 1 + 2 z."""
    shifted = Sampler(ancestral(lambda x: torch.empty_like(x).normal_(1.0, 2.0) - 1), paths.VE(), "x0", like="torch")
    mean, variance = moments(noise=2.0)
    law = output_law(shifted, TARGET)
    assert law.means == pytest.approx(mean, rel=1e-12, abs=1e-13)
    assert law.variances == pytest.approx(variance, rel=1e-12)


def test_a_generator_that_is_set_back_gives_the_same_draw():
    """Two equal draws of one generator: their sum has the variance 4, not 2."""

    def twice(x):
        state = GENERATOR.get_state()
        one = torch.randn(x.shape, generator=GENERATOR, dtype=x.dtype)
        GENERATOR.set_state(state)
        return one + torch.randn(x.shape, generator=GENERATOR, dtype=x.dtype)

    law = output_law(Sampler(ancestral(twice), paths.VE(), "x0", like="torch"), TARGET)
    assert law.variances == pytest.approx(moments(noise=2.0)[1], rel=1e-12)


def test_float32_is_read_in_float32():
    def run(model, x, noise):
        return ancestral(torch.randn_like)(model, x.float(), noise)

    mean, variance = moments()
    for sampler in (
        Sampler(run, paths.VE(), "x0", like="torch"),
        Sampler(ancestral(torch.randn_like), paths.VE(), "x0", like=torch.zeros(1)),
    ):
        reading = sampler.read(TARGET)
        assert reading.dtype == "float32"
        assert 0 < reading.residual < 1e-5
        assert reading.law().variances == pytest.approx(variance, rel=1e-5)
        assert reading.law().means == pytest.approx(mean, abs=1e-5)


def test_a_model_that_is_a_module_with_gradients():
    """A step that differentiates a value of x by autograd cannot be seen through, and says so."""

    def run(model, x, noise):
        x = x.clone().requires_grad_(True)
        with torch.enable_grad():
            loss = (x**2).sum() / 2
            (slope,) = torch.autograd.grad(loss, x)
        return (x + model(x, 1.0) - slope).detach()

    law = output_law(Sampler(run, paths.VE(), "x0", like="torch"), TARGET)
    gain = LAM / (LAM + 1)
    assert law.variances == pytest.approx(gain**2, rel=1e-12)  # x - x + gain x


def test_images_and_guidance_by_a_doubled_batch():
    def run(model, x, noise):
        assert x.shape[2:] == (1, 1)
        x = x * 2.0
        both = model(torch.cat([x, x]), 2.0)
        one, other = both.chunk(2)
        return one + 3.0 * (other - one)

    reading = Sampler(run, paths.VE(), "x0", like="torch", shape=(-1, 1, 1)).read(TARGET)
    assert reading.evaluations == 2
    assert reading.law().variances == pytest.approx((2 * LAM / (LAM + 4)) ** 2, rel=1e-12)


WRONG = {
    "not a tensor": (lambda model, x: model(x, 1.0).numpy(), "expected a Tensor like x, got a ndarray"),
    "a list": (lambda model, x: [model(x, 1.0)], "to have the shape of x, .* got a list"),
    "a sum": (lambda model, x: model(x, 1.0).sum(0), "to have the shape of x"),
    "float16": (lambda model, x: model(x, 1.0).half(), "expected .*float64, the dtype of x, got float16"),
    "in place": (lambda model, x: x.mul_(2) + model(x, 1.0), "changes x in place"),
    "uniform": (lambda model, x: model(x, 1.0) + torch.rand_like(x), "draws by torch.rand_like"),
    "bernoulli": (lambda model, x: model(x, 1.0) + torch.empty_like(x).bernoulli_(0.5), "draws by Tensor.bernoulli_"),
    "one for all": (lambda model, x: model(x, 1.0) + torch.randn(x.shape[1], dtype=x.dtype), "one draw for all"),
    "one row": (lambda model, x: model(x[:1], 1.0).expand_as(x), "handed all rows of x at once"),
    "levels": (lambda model, x: model(x, torch.ones(3)), "expected one level t, or one for each row, got 3"),
    "outside": (lambda model, x: model(x, -1.0), "expected a level of Path"),
    "nan": (lambda model, x: model(x / 0.0, 1.0), "was handed NaN or infinity"),
    "another device": (lambda model, x: model(x, 1.0).to("meta"), "on the device of x, cpu, got one on meta"),
    "no model": (lambda model, x: 2 * x, "never calls the model"),
    "own numbers": (lambda model, x: model(x, 1.0) + np.random.default_rng().normal(), "draws by numpy.random"),
}


@pytest.mark.parametrize("run, error", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(run, error):
    sampler = Sampler(lambda model, x, noise: run(model, x), paths.VE(), "x0", like="torch")
    with pytest.raises(Unreadable, match=error):
        sampler.read(TARGET)


@pytest.mark.parametrize(
    "bend",
    [lambda x: x.clamp(-1, 1), lambda x: x / x.std(), lambda x: torch.tanh(x), lambda x: torch.where(x > 0, x, 2 * x)],
)
def test_bends_are_refused(bend):
    sampler = Sampler(lambda model, x, noise: bend(model(2 * x, 2.0)), paths.VE(), "x0", like="torch")
    with pytest.raises(NotAffine):
        sampler.read(TARGET)


def test_nothing_of_torch_is_left_changed():
    before = torch.randn, torch.random.get_rng_state()
    Sampler(ancestral(torch.randn_like), paths.VE(), "x0", like="torch").read(TARGET)
    assert torch.randn is before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert torch.is_grad_enabled()
    assert not torch.equal(torch.randn(5), torch.zeros(5))


def test_particles_of_the_same_code():
    x = sample(Sampler(ancestral(torch.randn_like), paths.VE(), "x0", like="torch"), TARGET, 20_000, rng=1)
    assert isinstance(x, torch.Tensor)
    mean, variance = moments()
    error = np.sqrt(variance / 20_000)
    assert (np.abs(x.mean(0).numpy() - mean) < 5 * error).all()  # one in 6e5 for each of three
    assert x.var(0).numpy() == pytest.approx(variance, rel=5 * math.sqrt(2 / 20_000))


def test_unadjusted_langevin_in_torch():
    """Stationary variance lam/(1 - h/(2 lam)) of x + h score + sqrt(2h) z."""
    h = 0.1

    def step(x, gradient, noise):
        return x + h * gradient(x) + math.sqrt(2 * h) * torch.randn_like(x)

    law = stationary_law(Kernel(step, like="torch"), TARGET)
    assert law.variances == pytest.approx(LAM / (1 - h / (2 * LAM)), rel=1e-10)
    assert law.means == pytest.approx(MEAN, abs=1e-10)
