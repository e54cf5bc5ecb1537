"""Functions of the steps of a long stage by interpolation: smooth in t and h, they are told by few values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array

__all__ = ["Surface"]

_BLOCK = 1 << 16  # points at once


class Surface:
    """Interpolation of `known` (parts, size, across, nodes, modes) in (x, y) at the steps' own points."""

    known: Array

    def __init__(self, x: Array, y: Array, size: int, across: int) -> None:
        self.points, self.x, self.y = (x, y), _Chebyshev(x, size), _Chebyshev(y, across)

    def values(self, part: Any) -> Array:
        rows = self.x.terms(self.points[0][part]) @ self.x.inverse
        columns = self.y.terms(self.points[1][part]) @ self.y.inverse
        middle = np.tensordot(rows, self.known, (1, 1)).swapaxes(0, 1)  # (parts, steps, across, nodes, modes)
        return np.asarray(np.einsum("nb,pnbqk->pnqk", columns, middle))

    def total(self) -> tuple[Array, Array]:
        count = len(self.points[0])
        sums = []
        for n in range(0, count, _BLOCK):
            x, y = (z[n : n + _BLOCK] for z in self.points)
            sums.append(self.x.terms(x).T @ self.y.terms(y))
        weights = self.x.inverse.T @ _exact_sum(sums) @ self.y.inverse
        eta = self.known[0]
        return np.einsum("ab,abqk->qk", weights, eta), count * np.abs(eta).max(axis=(0, 1))


def _exact_sum(arrays: list[Array]) -> Array:
    stacked = np.stack(arrays)
    return np.array([math.fsum(column) for column in stacked.reshape(len(stacked), -1).T]).reshape(stacked.shape[1:])


class _Chebyshev:
    """Interpolation on the range of `points` from `size` Chebyshev nodes: values = terms @ inverse @ known."""

    def __init__(self, points: Array, size: int) -> None:
        self.middle, self.half = (points.max() + points.min()) / 2, np.ptp(points) / 2
        angles = np.pi * (np.arange(size) + 0.5) / size
        self.nodes = self.middle + self.half * np.cos(angles)
        self.inverse = np.cos(np.outer(np.arange(size), angles)) * (2 / size)
        self.inverse[0] /= 2

    def terms(self, points: Array) -> Array:
        scaled = (points - self.middle) / self.half if self.half else points - self.middle
        return np.asarray(np.polynomial.chebyshev.chebvander(scaled, len(self.inverse) - 1))
