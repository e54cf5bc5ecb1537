"""Spectra: a Gaussian up to rotations, which is all that counts where start, score and distances turn with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmverify.numbers.checks import Array, finite_array
from rmverify.targets.gaussian import Gaussian

__all__ = ["fit_spectrum", "spectrum"]


def spectrum(target: Gaussian) -> Gaussian:
    """The law in coordinates of its own: every variance once, with its multiplicity, and no basis.

    The coordinates of one variance are turned so that one of them, at most, has a mean.

    Examples
    --------
    >>> import numpy as np
    >>> found = spectrum(Gaussian([3.0, 4.0, 0.0], np.diag([2.0, 2.0, 1.0])))
    >>> found.variances, found.multiplicities, found.means
    (array([1., 2., 2.]), array([1., 1., 1.]), array([0., 5., 0.]))
    """
    return _gathered(target.variances, target.means, target.multiplicities)


def fit_spectrum(data: Any) -> Gaussian:
    """The spectrum of the Gaussian with the mean and covariance of the rows of `data` (divided by n).

    From the singular values of the deviations: a variance keeps its digits though another is 10^12 times larger, and
    d columns cost what n rows do where these are fewer. What is below max(n, d) 2^-52 of the largest standard deviation
    is 0, and so is all beyond the n - 1 directions that n rows can have.

    Parameters
    ----------
    data : array_like, shape (n, d), n >= 2

    Raises
    ------
    ValueError
        Where the data are not finite numbers in two rows or more, or the covariance overflows.

    Examples
    --------
    >>> found = fit_spectrum([[1.0, 2.0, 7.0], [3.0, 2.0, 7.0]])
    >>> found.variances, found.multiplicities
    (array([0., 0., 1.]), array([1., 1., 1.]))
    """
    rows = finite_array("data", data, ndim=2)
    n, d = rows.shape
    if n < 2:
        raise ValueError(f"data: expected at least two rows to fit a covariance, got {n}")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = rows.mean(axis=0)
        deviations = np.where(np.ptp(rows, axis=0) == 0, 0.0, rows - mean)
        deviations -= deviations.mean(axis=0)
        fits = np.isfinite(np.square(deviations).sum())
    if not fits:
        raise ValueError(f"data: the covariance overflows: values go up to {np.abs(rows).max():.3g}; rescale them")
    triangle = np.linalg.qr(deviations, mode="r") if n > d else deviations
    _, sizes, basis = np.linalg.svd(triangle, full_matrices=False)
    rank = min(n - 1, int((sizes > max(n, d) * np.finfo(float).eps * sizes[0]).sum()))
    along = basis[:rank] @ mean
    variances, means, counts = np.square(sizes[:rank]) / n, along, np.ones(rank)
    if rank < d:  # the directions in which nothing varies: one of them along what is left of the mean
        rest = float(np.linalg.norm(mean - along @ basis[:rank]))
        left = [1.0, d - rank - 1.0][: d - rank]
        variances, counts = np.append(variances, [0.0] * len(left)), np.append(counts, left)
        means = np.append(means, [rest, 0.0][: len(left)])
    return _gathered(variances, means, counts)


def _gathered(variances: Array, means: Array, counts: Array) -> Gaussian:
    """Blocks of one variance each; where its means differ, one coordinate with all of the mean and a block without."""
    values, which = np.unique(variances, return_inverse=True)
    sizes = np.bincount(which, weights=counts)
    same = np.ones(values.size, dtype=bool)
    common = np.zeros(values.size)
    common[which] = means
    np.logical_and.at(same, which, means == common[which])
    lengths = np.sqrt(np.bincount(which, weights=counts * means**2))
    blocks: list[tuple[float, float, float]] = []
    for value, size, equal, mean, length in zip(values, sizes, same, common, lengths, strict=True):
        if equal:
            blocks.append((value, size, mean))
        else:
            blocks += [(value, 1.0, length), (value, size - 1, 0.0)]
    return Gaussian.from_spectrum(*map(np.array, zip(*blocks, strict=True)))
