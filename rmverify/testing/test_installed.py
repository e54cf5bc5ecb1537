"""The self-test of an installed package, ``pytest --pyargs rmverify``: seconds, and nothing but the closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rmverify import (
    Correct,
    Gaussian,
    Kernel,
    Plan,
    Predict,
    Sampler,
    output_law,
    paths,
    sample,
    schemes,
    stationary_law,
)
from rmverify.divergences import hellinger, kl, tv, w2
from rmverify.testing import assert_law, assert_order, assert_same_law, assert_stationary, assert_unbiased


def _close(value: object, due: object, relative: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(value, dtype=float), np.asarray(due, dtype=float), rtol=relative, atol=0)


@pytest.mark.parametrize("shift", [1e-6, 0.5, 3.0])
def test_distances_of_two_shifted_gaussians(shift: float) -> None:
    p, q = Gaussian([shift, 0.0], [4.0, 1.0]), Gaussian([0.0, 0.0], [4.0, 1.0])
    _close(tv(p, q), math.erf(shift / 2 / math.sqrt(8)))
    _close(kl(p, q), shift**2 / 8)
    _close(w2(p, q), shift)
    _close(hellinger(p, q) ** 2, -math.expm1(-(shift**2) / 32))


def test_distances_of_two_scales() -> None:
    s = 1.5  # N(0, s^2) and N(0, 1) cross at +-c
    p, q = Gaussian([0.0], [s * s]), Gaussian([0.0], [1.0])
    c = math.sqrt(2 * math.log(s) / (1 - 1 / s**2))
    _close(tv(p, q), math.erf(c / math.sqrt(2)) - math.erf(c / s / math.sqrt(2)))
    _close(kl(p, q), (s * s - 1) / 2 - math.log(s))
    _close(w2(p, q), s - 1)
    _close(tv(p, q, certified=True), float(tv(p, q)))


def test_one_step_on_the_circle() -> None:
    """A step of DDIM from theta to theta' multiplies a mode's relative standard deviation by cos(theta - theta')."""
    variances, mean = np.array([0.25, 4.0]), np.array([1.0, -2.0])
    target, s, s_next = Gaussian(mean, variances), 3.0, 0.5

    def run(model, x, noise):  # type: ignore[no-untyped-def]
        x = s * x
        return x + (s_next - s) * (x - model(x, s)) / s

    code = Sampler(run, path=paths.VE(), predicts="x0", end=s_next)
    law = code.read(target).law("exact")
    theta, later = np.arctan(s / np.sqrt(variances)), np.arctan(s_next / np.sqrt(variances))
    _close(law.variances, np.cos(theta - later) ** 2 * (variances + s_next**2))
    _close(law.means, mean)


def test_one_euler_step_of_a_plan() -> None:
    variance, mean, t, h = 0.5, 2.0, 1.0, 0.25
    law = output_law(Plan([Predict(schemes.euler, np.array([t, t - h]))]), Gaussian([mean], [variance]))
    v = 1 + (variance - 1) * math.exp(-2 * t)
    slope = 1 + h - h / v
    _close(law.variances, [slope**2])  # from N(0, 1)
    _close(law.means, [h * math.exp(-t) * mean / v])


def test_stationary_laws() -> None:
    variances, h = np.array([0.5, 2.0]), 0.1
    target = Gaussian([1.0, 0.0], variances)
    _close(stationary_law(schemes.overdamped, target, h).variances, 2 * h / (1 - (1 - h / variances) ** 2))

    def baoab(state, gradient, noise):  # type: ignore[no-untyped-def]
        x, v = state
        v = v + h / 2 * gradient(x)
        x = x + h / 2 * v
        v = math.exp(-h) * v + math.sqrt(1 - math.exp(-2 * h)) * noise()
        x = x + h / 2 * v
        return x, v + h / 2 * gradient(x)

    kernel = Kernel(baoab, init=lambda x, noise: (x, 0 * x))
    _close(kernel.stationary(target).component(1).variances, 1 - h * h / (4 * variances), 1e-11)
    assert_unbiased(kernel, target)
    assert_stationary(kernel, target, 1e-9)


def test_midpoints_are_averaged() -> None:
    """One step x -> x + h (1 + a/2) s(x) of N(0, 1): the mean of its slope over a in [0, 1], and of its square."""
    h = 0.5

    def step(x, t, h, score, draw):  # type: ignore[no-untyped-def]
        return x + h * (1 + draw.uniform() / 2) * score(t, x)

    law = output_law(Plan([Predict(step, np.array([1.0, 1.0 - h]))]), Gaussian.isotropic(1.0, 3))
    _close(law.variances, ((1 - h) ** 3 - (1 - 1.5 * h) ** 3) / (1.5 * h))


def test_particles() -> None:
    plan = Plan([Predict(schemes.heun, np.linspace(3.0, 0.1, 9)), Correct(schemes.overdamped, 0.1, 0.05, 4)])
    target = Gaussian([1.0], [0.5])
    law = output_law(plan, target)
    x = sample(plan, target.score, n=20_000, dim=1, rng=1)
    assert abs(x.mean() - law.means[0]) < 6 * math.sqrt(law.variances[0] / x.size)
    assert abs(x.var() / law.variances[0] - 1) < 6 * math.sqrt(2 / x.size)


def test_asserts() -> None:
    assert_order(schemes.heun, 2)
    assert_law(Plan([Predict(schemes.heun, np.linspace(5.0, 0.0, 201))]), None, 0.05)
    assert_same_law(schemes.heun, lambda x, t, h, score, draw: schemes.heun(x, t, h, score, draw))
    with pytest.raises(AssertionError, match="the order is"):
        assert_order(schemes.euler, 2)
