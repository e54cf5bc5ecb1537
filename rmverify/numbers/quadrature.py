r"""The rules of quadrature that know nothing of steps: Gauss-Legendre, Gauss-Hermite, and rules made of cumulants.

An average over a midpoint is one over [0, 1], an average over a noise one over N(0, 1). Where an integrand has poles
close by, `integrate_path` halves the pieces of a line, or of a path beside it, until their Legendre coefficients decay.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NODES", "POINTS", "TO_LEGENDRE", "WEIGHTS", "Integral", "from_moments", "gauss", "integrate_path", "normal_rule",
    "on_panels", "unit_balls", "unit_rule",
]  # fmt: skip

Array = NDArray[Any]

POINTS = 16  # nodes of a piece
_LEAST = 1e-300
NODES, WEIGHTS = np.polynomial.legendre.leggauss(POINTS)
TO_LEGENDRE = (np.polynomial.legendre.legvander(NODES, POINTS - 1) * WEIGHTS[:, None]) * (np.arange(POINTS) + 0.5)


def unit_balls(nodes: int) -> tuple[Any, Any]:
    """Gauss-Legendre on [0, 1]: nodes and weights as balls of flint's precision."""
    from flint import arb

    pairs = [arb.legendre_p_root(nodes, k, weight=True) for k in range(nodes)]
    return np.array([(1 + x) / 2 for x, _ in pairs], dtype=object), np.array([w / 2 for _, w in pairs], dtype=object)


@functools.lru_cache
def unit_rule(nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre on [0, 1], rounded once: numpy's own rule is off by 1e-13 near the ends at a hundred nodes."""
    x, w = unit_balls(nodes)
    return x.astype(float), w.astype(float)


def normal_rule(nodes: int) -> tuple[Array, Array]:
    """The Gauss rule of N(0, 1)."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return x, w / w.sum()


def on_panels(breaks: Array) -> tuple[Array, Array]:
    """Nodes and weights (panels, POINTS) between the breaks."""
    half = np.diff(breaks)[:, None] / 2
    return breaks[:-1, None] + half * (1 + NODES), half * WEIGHTS


# --- rules made of cumulants ------------------------------------------------------------------------------------


def from_moments(moments: Any) -> Array:
    """The cumulants of the moments of order 1, 2, .. (the first 0)."""
    found: list[Any] = []
    for n, moment in enumerate(moments, 1):
        found.append(moment - sum(math.comb(n - 1, k - 1) * found[k - 1] * moments[n - k - 1] for k in range(1, n)))
    return np.stack(found)


def _moments(cumulants: Any) -> list[Any]:
    """The moments of order 0, 1, 2, .. of the cumulants of order 1, 2, .."""
    found: list[Any] = [np.ones_like(cumulants[0])]
    for n in range(1, len(cumulants) + 1):
        found.append(sum(math.comb(n - 1, k - 1) * cumulants[k - 1] * found[n - k] for k in range(1, n + 1)))
    return found


def gauss(cumulants: Array, nodes: int) -> tuple[Array, Array]:
    """Gauss rules (.., nodes) of centred laws from their cumulants of order 2 to 2 nodes - 1, the first axis.

    Examples
    --------
    >>> x, w = gauss(np.array([[1.0], [0.0]]), 2)  # variance 1 and no skewness: +-1, each with 1/2
    >>> x.round(12).tolist(), w.round(12).tolist()
    ([[-1.0, 1.0]], [[0.5, 0.5]])
    """
    root = np.sqrt(np.maximum(cumulants[0], 0.0))
    unit = np.where(root > 0, root, 1.0)
    standard = [0 * root, np.ones_like(root), *(k / unit**n for n, k in enumerate(cumulants[1:], 3))]
    m = _moments(standard)
    top = range(nodes)
    hankel = np.stack([np.stack([m[i + j] for j in range(nodes + 1)], axis=-1) for i in top], axis=-2)
    R = np.linalg.cholesky(hankel[..., :nodes]).swapaxes(-1, -2)
    last = np.linalg.solve(R.swapaxes(-1, -2), hankel[..., nodes:])[..., 0]
    R = np.concatenate([R, last[..., None]], axis=-1)
    jacobi = np.zeros((*root.shape, nodes, nodes))
    for k in top:
        jacobi[..., k, k] = R[..., k, k + 1] / R[..., k, k] - (R[..., k - 1, k] / R[..., k - 1, k - 1] if k else 0)
        if k + 1 < nodes:
            jacobi[..., k, k + 1] = jacobi[..., k + 1, k] = R[..., k + 1, k + 1] / R[..., k, k]
    x, vectors = np.linalg.eigh(jacobi)
    return root[..., None] * x, vectors[..., 0, :] ** 2


# --- along a path -----------------------------------------------------------------------------------------------


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
