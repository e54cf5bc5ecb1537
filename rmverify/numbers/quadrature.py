r"""Integrals by Gauss-Legendre on pieces of a line or of a path, halved until their Legendre coefficients decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["NODES", "POINTS", "TO_LEGENDRE", "WEIGHTS", "Integral", "integrate_path"]

Array = NDArray[Any]

POINTS = 16  # nodes of a piece
_LEAST = 1e-300
NODES, WEIGHTS = np.polynomial.legendre.leggauss(POINTS)
TO_LEGENDRE = (np.polynomial.legendre.legvander(NODES, POINTS - 1) * WEIGHTS[:, None]) * (np.arange(POINTS) + 0.5)


class Integral(NamedTuple):
    """Integrals of the rows of f along a path, their quadrature errors, the sums of |f| times `rounding`, and where
    the pieces start that were integrated."""

    value: Array
    error: Array
    rounding: Array
    starts: Array


def integrate_path(
    f: Callable[[Array], tuple[Array, Array]], corners: Array, tolerance: float, pieces: int = 3000
) -> Integral:
    """Integrate f(s) ds along the broken line through the corners.

    Parameters
    ----------
    f : callable
        From points (n,) to values (P, n) and to the rounding errors of these values (P, n).
    corners : ndarray, real or complex
    tolerance : float
        Pieces are halved until their estimated errors are below tolerance/16 times the integral, for every row, or
        below their rounding error.
    pieces : int
        Most pieces that are looked at.

    Examples
    --------
    >>> done = integrate_path(lambda s: (np.exp(s)[None], 1e-16 * np.exp(s)[None]), np.array([0.0, 1.0]), 1e-14)
    >>> bool(abs(done.value[0] - np.expm1(1)) < 1e-15)
    True
    """
    a, b = corners[:-1], corners[1:]
    done: list[tuple[Array, Array, Array, Array]] = []
    seen, kept = 0, 0.0
    while True:
        half = (b - a) / 2
        s = ((a + b) / 2)[:, None] + half[:, None] * NODES
        values, noise = f(s.ravel())
        values = values.reshape(-1, *s.shape) * half[:, None]
        noise = (noise.reshape(values.shape) * np.abs(half)[:, None]) @ WEIGHTS
        coefficients = np.abs(values @ TO_LEGENDRE)
        tail = np.maximum(coefficients[..., -2], coefficients[..., -1])
        error = 2 * tail * np.sqrt(tail / np.maximum(coefficients.max(axis=2), _LEAST))
        integral = values @ WEIGHTS
        seen += a.size
        total = kept + integral.sum(axis=1)
        wide = (error > np.maximum(tolerance / 16 * np.abs(total)[:, None], noise)).any(axis=0)
        if seen > pieces or not wide.any():
            done.append((integral, error, noise, a))
            break
        fine = ~wide
        done.append((integral[:, fine], error[:, fine], noise[:, fine], a[fine]))
        kept = kept + done[-1][0].sum(axis=1)
        middle = ((a + b) / 2)[wide]
        a, b = np.concatenate([a[wide], middle]), np.concatenate([middle, b[wide]])
    value, error, noise = (np.concatenate([part[i] for part in done], axis=1).sum(axis=1) for i in range(3))
    return Integral(value, error, noise, np.concatenate([part[3] for part in done]))
