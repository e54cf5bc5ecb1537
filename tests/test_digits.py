"""One line of the digits table by brute force: a sampler written here, its output counted on a test set."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2

from rmverify import Gaussian, output_law, schemes
from rmverify.io import read_covariance
from rmverify.studies.budget import budget, schedule

PARTICLES, CHUNK = 400_000, 50_000


def noised(covariance: np.ndarray, t: float) -> np.ndarray:
    """The covariance of e^{-t} X + sqrt(1 - e^{-2t}) Z."""
    return math.exp(-2 * t) * covariance - math.expm1(-2 * t) * np.eye(len(covariance))


def heun_particles(covariance: np.ndarray, levels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n columns started from N(0, I) and moved by x' = x + s_t(x) with Heun's rule, every score a linear solve."""
    x = rng.standard_normal((len(covariance), n))
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
    """TV = P(A) - Q(A) on the set A where the output's density exceeds q_delta's.

    Counting n draws of each law, sigma^2 = (P(A)(1-P(A)) + Q(A)(1-Q(A)))/n; they must agree within 4 sigma. Whitened
    by the exact law the second moments M of n particles have n M_ij^2 (i<j) and n (M_ii-1)^2/2 chi-square with one
    degree each.
    """
    covariance = read_covariance("digits")
    target = Gaussian(np.zeros(64), covariance)
    answer = budget(target, 0.1, predictors=[schemes.heun], correctors=[False])
    (row,) = answer.rows
    where = answer.setting
    law = output_law(schedule(target, schemes.heun, where, row.upper.steps, corrector=False), target)
    p, q = law.covariance, noised(covariance, where.early_stop)
    difference = np.linalg.inv(q) - np.linalg.inv(p)
    constant = np.linalg.slogdet(q)[1] - np.linalg.slogdet(p)[1]

    levels = np.geomspace(where.horizon, where.early_stop, row.upper.steps + 1)
    rng = np.random.default_rng(20240601)
    root_q, root_p = np.linalg.cholesky(q), np.linalg.cholesky(p)
    hits = np.zeros(2)
    moments = np.zeros((64, 64))
    for _ in range(PARTICLES // CHUNK):
        x = heun_particles(covariance, levels, CHUNK, rng)
        y = root_q @ rng.standard_normal((64, CHUNK))
        hits += [(np.einsum("in,in->n", z, difference @ z) + constant > 0).sum() for z in (x, y)]
        white = np.linalg.solve(root_p, x)
        moments += white @ white.T / PARTICLES
    inside, outside = hits / PARTICLES
    sigma = math.sqrt((inside * (1 - inside) + outside * (1 - outside)) / PARTICLES)
    assert sigma < 0.002
    assert abs(inside - outside - row.upper.tv) < 4 * sigma
    upper = moments[np.triu_indices(64, 1)]
    statistic = PARTICLES * ((upper**2).sum() + ((np.diagonal(moments) - 1) ** 2).sum() / 2)
    degrees = 64 * 65 // 2
    assert chi2.ppf(1e-6, degrees) < statistic < chi2.isf(1e-6, degrees)
