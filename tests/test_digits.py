"""One line of the digits table by brute force: a sampler written here, its output counted on a test set."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve

from rmverify import Gaussian, output_law, schemes
from rmverify.io import read_covariance
from rmverify.plans import schedule
from rmverify.studies.budget import budget

DRAWS, CHUNK = 400_000, 50_000


def noised(covariance: np.ndarray, t: float) -> np.ndarray:
    """The covariance of e^{-t} X + sqrt(1 - e^{-2t}) Z."""
    return math.exp(-2 * t) * covariance - math.expm1(-2 * t) * np.eye(len(covariance))


def heun_images(covariance: np.ndarray, levels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The columns of x moved by x' = x + s_t(x) with Heun's rule, every score a linear solve."""
    factors = [cho_factor(noised(covariance, t)) for t in levels]

    def slope(k: int, y: np.ndarray) -> np.ndarray:
        return y - cho_solve(factors[k], y)

    for k, h in enumerate(-np.diff(levels)):
        first = slope(k, x)
        x = x + h / 2 * (first + slope(k + 1, x + h * first))
    return x


def test_the_packaged_covariance_is_that_of_the_digits():
    covariance = read_covariance("digits")
    assert covariance.shape == (64, 64)
    assert (covariance == covariance.T).all()
    constant = np.flatnonzero(np.diagonal(covariance) == 0)
    assert constant.tolist() == [0, 32, 39]
    assert not covariance[constant].any()
    assert np.diagonal(covariance).max() <= 64  # a pixel between 0 and 16 has at most the variance of two points
    values = np.linalg.eigvalsh(covariance)
    assert values[3] > 0
    assert (abs(values[:3]) < 64 * np.finfo(float).eps * values[-1]).all()


def test_the_packaged_covariance_is_that_of_the_origin():
    images = pytest.importorskip("sklearn.datasets").load_digits().data
    expected = np.cov(images.T, bias=True)
    assert abs(read_covariance("digits") - expected).max() <= 1e-12 * expected.max()  # roundings of 1797 terms


@pytest.mark.slow
def test_the_line_of_heun_by_simulation():
    """A step is linear: the law is N(0, A A^T) with A the image of the identity. TV = P(S) - Q(S) on the set S where
    its density exceeds q_delta's.

    Counting n draws of each law, sigma^2 = (P(S)(1-P(S)) + Q(S)(1-Q(S)))/n; they must agree within 4 sigma.
    """
    covariance = read_covariance("digits")
    target = Gaussian(np.zeros(64), covariance)
    answer = budget(target, 0.1, predictors=[schemes.heun], correctors=[False])
    (row,) = answer.rows
    where = answer.setting
    levels = np.geomspace(where.horizon, where.early_stop, row.upper.steps + 1)
    A = heun_images(covariance, levels, np.eye(64))
    p, q = A @ A.T, noised(covariance, where.early_stop)
    law = output_law(schedule(target, schemes.heun, where, row.upper.steps, corrector=False), target)
    np.testing.assert_allclose(law.covariance, p, rtol=0, atol=1e-11 * p.max())
    difference = np.linalg.inv(q) - np.linalg.inv(p)
    constant = np.linalg.slogdet(q)[1] - np.linalg.slogdet(p)[1]
    rng = np.random.default_rng(20240601)
    hits = np.zeros(2)
    for _ in range(DRAWS // CHUNK):
        pair = (root @ rng.standard_normal((64, CHUNK)) for root in (A, np.linalg.cholesky(q)))
        hits += [((z * (difference @ z)).sum(axis=0) + constant > 0).sum() for z in pair]
    inside, outside = hits / DRAWS
    sigma = math.sqrt((inside * (1 - inside) + outside * (1 - outside)) / DRAWS)
    assert sigma < 0.002
    assert abs(inside - outside - row.upper.tv) < 4 * sigma
