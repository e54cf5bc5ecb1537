"""Spectra: what of a Gaussian survives rotations, from dense covariances and from rows of any number of columns."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from rmverify import Gaussian
from rmverify.targets.spectra import fit_spectrum, spectrum


def invariants(mean, covariance, powers=(0, 1, 2, 3)):
    """Traces of powers of the covariance, and m^T Sigma^k m: what rotations leave alone."""
    steps = [np.linalg.matrix_power(covariance, k) for k in powers]
    return np.array([[np.trace(S), mean @ S @ mean] for S in steps])


def invariants_of(law: Gaussian, powers=(0, 1, 2, 3)):
    n, v, m = law.multiplicities, law.variances, law.means
    return np.array([[(n * v**k).sum(), (n * v**k * m**2).sum()] for k in powers])


@pytest.mark.parametrize("rows, columns", [(60, 4), (5, 5), (4, 9), (2, 3), (2, 1), (7, 6)])
def test_the_spectrum_of_rows_is_that_of_their_covariance(rows, columns):
    x = np.random.default_rng(rows).standard_normal((rows, columns)) * np.arange(1, columns + 1) + 2.0
    found = fit_spectrum(x)
    deviations = x - x.mean(axis=0)
    expected = invariants(x.mean(axis=0), deviations.T @ deviations / rows)
    assert invariants_of(found) == pytest.approx(expected, rel=1e-12)
    zeros = found.multiplicities[found.variances == 0].sum()
    assert zeros == max(0, columns - (rows - 1))
    assert found.basis is None


def signs(rows: int) -> np.ndarray:
    """Columns of +1 and -1 of mean 0, orthogonal to one another (Walsh functions)."""
    H = np.ones((1, 1))
    while len(H) < rows:
        H = np.block([[H, H], [H, -H]])
    return H[:, 1:]


def test_variances_twelve_orders_apart_keep_their_digits():
    sizes = 10.0 ** np.arange(-6, 7)
    found = fit_spectrum(signs(16)[:, :13] * sizes)
    assert found.variances == pytest.approx(sizes**2, rel=1e-12)
    assert (found.means == 0).all()


def test_what_does_not_vary_has_variance_zero_however_large():
    x = np.column_stack([signs(8)[:, :2], np.full(8, 1e12 / 3), signs(8)[:, 0] + signs(8)[:, 1]])
    found = fit_spectrum(x)  # the last column is the sum of the first two: variances 1 and 3 (1 + sqrt 2, 1 in pairs)
    assert found.multiplicities[found.variances == 0].sum() == 2
    assert found.variances[found.variances > 0] == pytest.approx([1.0, 3.0], rel=1e-12)
    assert (found.multiplicities * found.means**2).sum() == pytest.approx((1e12 / 3) ** 2, rel=1e-12)


def test_a_hundred_rows_of_thousands_of_columns_need_no_square_matrix():
    x = np.random.default_rng(0).standard_normal((100, 5000))
    tracemalloc.start()
    found = fit_spectrum(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5000 * 5000 * 8 / 4
    assert (found.dim, found.variances.size) == (5000, 101)
    assert found.multiplicities[found.variances == 0].sum() == 5000 - 99
    deviations = x - x.mean(axis=0)
    gram = np.linalg.eigvalsh(deviations @ deviations.T / 100)[1:]
    assert found.variances[found.variances > 0] == pytest.approx(gram, rel=1e-11)


def test_a_dense_covariance_is_turned_and_gathered():
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))
    covariance = (turn * [0.0, 0.0, 0.0, 0.5, 2.0, 2.0]) @ turn.T
    mean = np.arange(6.0)
    found = spectrum(Gaussian(mean, covariance))
    assert invariants_of(found) == pytest.approx(invariants(mean, covariance), rel=1e-12)
    assert found.multiplicities[found.variances == 0].tolist() == [1, 2]
    plain = spectrum(Gaussian(np.zeros(3), np.diag([2.0, 1.0, 2.0])))
    assert (plain.variances.tolist(), plain.multiplicities.tolist()) == ([1.0, 2.0], [1.0, 2.0])


@pytest.mark.parametrize(
    "data, message",
    [
        ([[1.0, 2.0]], "data: expected at least two rows"),
        ([[1.0, np.nan], [0.0, 1.0]], "data: expected finite numbers"),
        ([[1e160, 0.0], [-1e160, 1.0]], "data: the covariance overflows"),
        ([1.0, 2.0], "data: expected an array of dimension 2"),
    ],
)
def test_rows_that_have_no_covariance_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        fit_spectrum(data)
