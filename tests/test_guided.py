"""Guidance between two Gaussians: its score, its laws in plan and in black box, and pairs that are none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rmverify import Gaussian, Plan, Predict, Sampler, output_law, paths, schemes
from rmverify.targets import Guided

CONDITIONAL = Gaussian([1.0, -0.5], [1.0, 0.2])
PLAIN = Gaussian([0.0, 0.3], [4.0, 1.0])
SCALE = 2.5
TARGET = Guided(CONDITIONAL, PLAIN, SCALE)
LEVELS = [2.0, 1.0, 0.4, 0.1]


def guided(t, x):
    """s_u + scale (s_c - s_u), of the noised laws in full."""
    alpha, sigma = np.exp(-t), np.sqrt(1 - np.exp(-2 * t))
    c, u = (-(x - alpha * g.means) / (alpha**2 * g.variances + sigma**2) for g in (CONDITIONAL, PLAIN))
    return u + SCALE * (c - u)


def test_the_score():
    x = np.array([[0.3, -2.0], [1.0, 4.0]])
    for t in (0.1, 1.0):
        np.testing.assert_allclose(TARGET.score(t, x), guided(t, x), rtol=1e-13)
        np.testing.assert_allclose(TARGET.modes.score(t, x), guided(t, x), rtol=1e-13)


def test_a_scale_of_1_is_the_conditional_law_and_one_of_0_the_other():
    x = np.array([0.3, -2.0])
    np.testing.assert_allclose(Guided(CONDITIONAL, PLAIN, 1).score(0.5, x), CONDITIONAL.score(0.5, x), rtol=1e-14)
    np.testing.assert_allclose(Guided(CONDITIONAL, PLAIN, 0).score(0.5, x), PLAIN.score(0.5, x), rtol=1e-14)


def euler_by_hand():
    """Mean and variance of Euler's steps of x + s(x), from what the guided score does to 0 and to 1."""
    mean, spread = np.zeros(2), np.ones(2)
    for t, s in itertools.pairwise(LEVELS):
        shift = guided(t, np.zeros(2))
        gain = guided(t, np.ones(2)) - shift
        mean, spread = mean + (t - s) * (mean + gain * mean + shift), spread * (1 + (t - s) * (1 + gain))
    return mean, spread**2


def the_law_of_a_plan():
    mean, variance = euler_by_hand()
    law = output_law(Plan([Predict(schemes.euler, LEVELS)]), TARGET)
    np.testing.assert_allclose(law.variances, variance, rtol=1e-12)
    np.testing.assert_allclose(law.means, mean, rtol=1e-12)


def the_law_of_a_black_box():
    """With whatever is predicted: guidance is one formula in all of them."""
    mean, variance = euler_by_hand()
    for predicts in ("score", "eps", "x0", "v", "flow"):

        def run(model, x, noise, predicts=predicts):
            for t, s in itertools.pairwise(LEVELS):
                a, b = np.exp(-t), np.sqrt(1 - np.exp(-2 * t))
                answer = model(x, t)
                eps = {
                    "score": -b * answer,
                    "eps": answer,
                    "x0": (x - a * answer) / b,
                    "v": a * answer + b * x,
                    "flow": (x + a * answer) / (a + b),
                }[predicts]
                x = x + (t - s) * (x - eps / b)
            return x

        law = output_law(Sampler(run, path=paths.OU(), predicts=predicts), TARGET)
        np.testing.assert_allclose(law.variances, variance, rtol=1e-12)
        np.testing.assert_allclose(law.means, mean, rtol=1e-12)


FACTS = {f.__name__: f for f in (the_law_of_a_plan, the_law_of_a_black_box)}


@pytest.mark.parametrize("name", FACTS)
def test_guided(name):
    FACTS[name]()


def test_dense_laws_of_one_basis():
    dense = Gaussian([1.0, 0.0], [[2.0, 0.5], [0.5, 1.0]])
    target = Guided(dense, dense.with_modes(3.0, 0.0), 2.0)
    x, inverse = np.array([0.3, -1.0]), np.linalg.inv(dense.covariance)
    np.testing.assert_allclose(target.score(0.0, x), 2 * -inverse @ (x - dense.mean) + x / 3, rtol=1e-12)


def test_what_it_is_judged_by():
    assert TARGET.dim == 2
    np.testing.assert_allclose(TARGET.at(0.5).variances, CONDITIONAL.at(0.5).variances, rtol=1e-15)
    assert repr(TARGET) == f"Guided({CONDITIONAL!r}, {PLAIN!r}, scale=2.5)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Guided(CONDITIONAL, 3, 2), "unconditional: expected a Gaussian, got int"),
        (lambda: Guided(3, PLAIN, 2), "conditional: expected a Gaussian, got int"),
        (lambda: Guided(CONDITIONAL, Gaussian([0.0], [1.0]), 2), "with the modes of the conditional one"),
        (lambda: Guided(CONDITIONAL, Gaussian([0.0, 0.0], [[2.0, 0.5], [0.5, 1.0]]), 2), "with the modes of"),
        (lambda: Guided(CONDITIONAL, PLAIN, np.nan), "scale: expected finite numbers"),
    ],
)
def test_pairs_that_are_none(make, message):
    with pytest.raises(ValueError, match=message):
        make()
