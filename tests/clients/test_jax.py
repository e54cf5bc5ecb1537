"""Loops in real JAX, compiled or not: their keys are ours, and models are asked from within compiled code."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from libraries import library

from rmverify import Gaussian, Kernel, Sampler, output_law, paths, stationary_law
from rmverify.samplers import NotAffine, NotFinite, Unreadable

jax = library("jax")
jnp = library("jax.numpy")

LAM, MEAN = np.array([0.3, 1.5, 4.0]), np.array([0.5, -0.3, 0.0])
TARGET = Gaussian(MEAN, LAM)
H = 0.1
SIGMAS = np.array([10.0, 3.0, 1.0, 0.3, 0.1])


def moments():
    """x -> x + (s' - s)(x - D)/s + s'/2 z of four steps, written plainly."""
    mean, variance = 0 * LAM, SIGMAS[0] ** 2 + 0 * LAM
    for s, after in pairwise(SIGMAS):
        gain = LAM / (LAM + s**2)
        a = 1 + (after - s) / s * (1 - gain)
        mean, variance = a * mean + (1 - a) * MEAN, a**2 * variance + (after / 2) ** 2
    return mean, variance


def step(model, x, s, after, key):
    x = x + (after - s) * (x - model(x, s)) / s
    return x + after / 2 * jax.random.normal(key, x.shape, x.dtype)


def plain(model, x, noise):
    sigmas = SIGMAS.tolist()
    x = x * sigmas[0]
    for s, after, key in zip(sigmas[:-1], sigmas[1:], jax.random.split(jax.random.key(0), 4), strict=True):
        x = step(model, x, s, after, key)
    return x


def compiled(model, x, noise):
    return jax.jit(lambda x: plain(model, x, noise))(x)


def scanned(model, x, noise):
    """A loop that is compiled once, its levels and keys only known when it runs."""

    def body(x, given):
        s, after, key = given
        return step(model, x, s, after, key), None

    keys = jax.random.split(jax.random.PRNGKey(3), 4)
    return jax.lax.scan(body, x * SIGMAS[0], (jnp.asarray(SIGMAS[:-1]), jnp.asarray(SIGMAS[1:]), keys))[0]


@pytest.mark.parametrize("run", [plain, compiled, scanned])
def test_keys_in_loops(run):
    mean, variance = moments()
    reading = Sampler(run, paths.VE(), "x0", like="jax", end=SIGMAS[-1]).read(TARGET)
    assert (reading.evaluations, reading.draws, reading.dtype) == (4, 4, "float64")
    assert [call.level for call in reading.calls] == pytest.approx(SIGMAS[:-1].tolist())
    law = reading.law()
    assert law.means == pytest.approx(mean, rel=1e-12, abs=1e-13)
    assert law.variances == pytest.approx(variance, rel=1e-12)


def test_a_key_that_is_used_twice_is_one_draw():
    """The variance of z + z is 4."""

    def run(model, x, noise):
        key = jax.random.key(1)
        return model(x, 1.0) + jax.random.normal(key, x.shape) + jax.random.normal(key, x.shape)

    law = output_law(Sampler(run, paths.VE(), "x0", like="jax"), TARGET)
    assert law.variances == pytest.approx((LAM / (LAM + 1)) ** 2 + 4, rel=1e-12)


def test_float32():
    sampler = Sampler(plain, paths.VE(), "x0", like=jnp.zeros(1, jnp.float32))
    reading = sampler.read(TARGET)
    assert reading.dtype == "float32"
    assert reading.law().variances == pytest.approx(moments()[1], rel=1e-5)


def test_a_complaint_from_within_compiled_code_is_the_same():
    for run, error, kind in (
        (lambda model, x, noise: jax.jit(lambda x: model(x, -1.0))(x), "expected a level of Path", Unreadable),
        (lambda model, x, noise: jax.jit(lambda x: model(x / 0.0, 1.0))(x), "handed NaN or infinity", NotFinite),
        (lambda model, x, noise: jax.jit(lambda x: model(x[:1], 1.0) + x)(x), "all rows of x at once", Unreadable),
    ):
        with pytest.raises(kind, match=error):
            Sampler(run, paths.VE(), "x0", like="jax").read(TARGET)


@pytest.mark.parametrize("name", ["uniform", "bernoulli", "rademacher"])
def test_draws_of_another_kind_are_refused(name):
    def run(model, x, noise):
        return model(x, 1.0) + getattr(jax.random, name)(jax.random.key(0), shape=x.shape)

    with pytest.raises(Unreadable, match=f"draws by jax.random.{name}"):
        Sampler(run, paths.VE(), "x0", like="jax").read(TARGET)


@pytest.mark.parametrize("bend", [jnp.tanh, lambda x: jnp.clip(x, -1, 1), lambda x: x / jnp.linalg.norm(x)])
def test_bends_are_refused(bend):
    with pytest.raises((NotAffine, NotFinite)):
        Sampler(lambda model, x, noise: bend(model(2 * x, 2.0)), paths.VE(), "x0", like="jax").read(TARGET)


def test_nothing_of_jax_is_left_changed():
    before = jax.random.normal
    Sampler(plain, paths.VE(), "x0", like="jax").read(TARGET)
    assert jax.random.normal is before
    assert jnp.zeros(1).dtype == jnp.float32
    assert float(jnp.abs(jax.jit(lambda key: jax.random.normal(key, (4,)))(jax.random.key(0))).min()) > 0


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_unadjusted_langevin_one_state_at_a_time(wrap):
    """Stationary variance lam/(1 - h/(2 lam)) of x + h score + sqrt(2h) z."""

    def langevin(x, gradient, noise):
        return wrap(lambda x: x + H * gradient(x) + math.sqrt(2 * H) * jax.random.normal(jax.random.key(0), x.shape))(x)

    law = stationary_law(Kernel(langevin, like="jax", single=True), TARGET)
    assert law.variances == pytest.approx(LAM / (1 - H / (2 * LAM)), rel=1e-10)
    assert law.means == pytest.approx(MEAN, abs=1e-10)
