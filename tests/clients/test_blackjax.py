"""Kernels of the real blackjax against closed forms; those that accept and reject are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from libraries import library
from mutants.clients import KERNELS

from rmverify import Gaussian, stationary_law
from rmverify.adapters import kernels
from rmverify.samplers import Unreadable

jax = library("jax")
bj = library("blackjax")
diffusions = library("blackjax.mcmc.diffusions")

LAM, MEAN = np.array([0.3, 1.5]), np.array([0.5, -0.3])
TARGET = Gaussian(MEAN, LAM)
H = 0.1


def sgld(logdensity):
    return bj.sgld(lambda x, batch: jax.grad(logdensity)(x))


def overdamped(logdensity):
    both = jax.value_and_grad(logdensity)
    return (lambda x: diffusions.DiffusionState(x, *both(x))), diffusions.overdamped_langevin(both)


def test_sgld_with_the_full_gradient():
    """x + h s(x) + sqrt(2h) z has the stationary variance lam/(1 - h/(2 lam))."""
    law = stationary_law(kernels.blackjax(sgld, None, H), TARGET)
    assert law.variances == pytest.approx(LAM / (1 - H / (2 * LAM)), rel=1e-10)
    assert law.means == pytest.approx(MEAN, abs=1e-10)


def test_a_temperature():
    law = stationary_law(kernels.blackjax(sgld, None, H, 0.25), TARGET)
    assert law.variances == pytest.approx(0.25 * LAM / (1 - H / (2 * LAM)), rel=1e-10)


def test_overdamped_langevin_keeps_its_gradient_in_its_state():
    kernel = kernels.blackjax(overdamped, H, name="overdamped")
    mean, variance = 0 * LAM, 1 + 0 * LAM
    for _ in range(3):
        mean, variance = mean - H / LAM * (mean - MEAN), (1 - H / LAM) ** 2 * variance + 2 * H
    joint = kernel.law(TARGET, 3)
    assert joint.components == 2
    assert joint.x.means == pytest.approx(mean, rel=1e-10)
    assert joint.x.variances == pytest.approx(variance, rel=1e-10)
    gradient = joint.component(1)
    assert gradient.variances == pytest.approx(variance / LAM**2, rel=1e-10)


def test_sghmc_is_its_recursion():
    """p ~ N(0, 1), then five times (x, p) -> (x + h p, (1 - alpha h) p + h s(x) + sqrt(2 alpha h) z); x is kept."""
    alpha = 0.3

    def sghmc(logdensity):
        return bj.sghmc(lambda x, batch: jax.grad(logdensity)(x), 5, alpha=alpha)

    law = stationary_law(kernels.blackjax(sghmc, None, H), TARGET)
    for n, lam in enumerate(LAM):
        one = np.array([[1.0, H], [-H / lam, 1 - alpha * H]])
        covariance = np.diag([0.0, 1.0])
        for _ in range(5):
            covariance = one @ covariance @ one.T + np.diag([0.0, 2 * alpha * H])
        slope = np.linalg.matrix_power(one, 5)[0, 0]
        assert law.variances[n] == pytest.approx(covariance[0, 0] / (1 - slope**2), rel=1e-9)
    assert law.means == pytest.approx(MEAN, abs=1e-9)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_a_pair_of_ones_own(wrap):
    """BAOAB, compiled or not: its positions are exact."""

    def build(logdensity):
        gradient = jax.grad(logdensity)

        def step(key, state):
            x, v = state
            v = v + H / 2 * gradient(x)
            x = x + H / 2 * v
            v = np.exp(-H) * v + np.sqrt(1 - np.exp(-2 * H)) * jax.random.normal(key, x.shape)
            x = x + H / 2 * v
            return x, v + H / 2 * gradient(x)

        return (lambda x: (x, 0 * x)), wrap(step)

    kernel = kernels.blackjax(build)
    joint = kernel.stationary(TARGET)
    assert joint.x.variances == pytest.approx(LAM, rel=1e-9)
    assert joint.component(1).variances == pytest.approx(1 - H**2 / (4 * LAM), rel=1e-9)


def hmc(logdensity):
    def step(key, state):
        return bj.hmc(logdensity, H, np.ones(state.position.size), 3).step(key, state)

    return (lambda x: bj.hmc.init(x, logdensity)), step


REFUSED = {
    "mala": lambda logdensity: bj.mala(logdensity, H),
    "hmc": hmc,
    "random walk": lambda logdensity: bj.normal_random_walk(logdensity, H),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED.keys())
def test_steps_that_accept_or_reject_are_refused(build):
    with pytest.raises(Unreadable, match="accept"):
        stationary_law(kernels.blackjax(build), TARGET)


def test_what_is_no_kernel():
    with pytest.raises(ValueError, match="expected an object with init and step"):
        stationary_law(kernels.blackjax(lambda logdensity: 3), TARGET)


FACTS = {"sgld": test_sgld_with_the_full_gradient, "temperature": test_a_temperature}


@pytest.mark.parametrize("mutant", KERNELS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_refuted(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises(AssertionError):
        FACTS[mutant.killed_by]()
