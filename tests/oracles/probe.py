"""What a step does, found by running it on plain mpmath numbers with unit inputs: x' = A x + b + N(0, C).

The step is a black box here: every coefficient is a difference of two of its outputs. That is exact because an
affine score makes it affine, and independent of every reading that the package has.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np


class Refuted(AssertionError):
    """The step does not satisfy the fact."""


class UnitDraw:
    """Given midpoints, and choices of the probability `chance`; normal draws that are 0 except where `unit` =
    (draw, component, copy) asks for a 1."""

    def __init__(self, alphas, unit=None, chance=None):
        self._alphas, self._unit, self._chance = list(alphas), unit, chance
        self.covariances = []

    def uniform(self):
        return self._take(1)[0]

    def bernoulli(self, p):
        if self._chance is None or not abs(p - self._chance) <= mp.mpf(10) ** -15:
            raise Refuted(f"the step makes a choice of probability {p}, due {self._chance}")
        return self._take(1)[0]

    def _take(self, count):
        if len(self._alphas) < count:
            raise Refuted("the step draws more midpoints than its textbook")
        rows, self._alphas = self._alphas[:count], self._alphas[count:]
        return rows

    def strata(self, count):
        lo = [mp.mpf(i) / count for i in range(count)]
        return column(lo), column(self._take(count))

    def cells(self, count):
        return column([mp.mpf(i) for i in range(count)])

    def normal(self, covariance, count=None):
        which = len(self.covariances)
        self.covariances.append((covariance, count))

        def value(i, copy):
            return mp.mpf(int(self._unit == (which, i, copy)))

        if count is None:
            return [value(i, 0) for i in range(len(covariance))]
        return [column([value(i, copy) for copy in range(count)]) for i in range(len(covariance))]


def column(values):
    """Numbers along the leading axis, as strata and cells lie."""
    result = np.empty((len(values), 1, 1), dtype=object)
    result[:, 0, 0] = values
    return result


def elementwise(score):
    """A score of two numbers as one of broadcasting arrays of numbers."""
    return np.frompyfunc(score, 2, 1)


def plain(value):
    return value.item() if isinstance(value, np.ndarray) else value


def own(entry, copy):
    """Of a copy, where each has its own."""
    return entry[copy].item() if isinstance(entry, np.ndarray) and entry.size > 1 else plain(entry)


def transition(step, score, t, h, alphas=(), *, kinetic=False, chance=None):
    """(A, b, C) of one step as mpmath matrices, over (x,) or (x, v)."""
    size = 2 if kinetic else 1
    ask = elementwise(score)

    def run(state, unit=None):
        draw = UnitDraw(alphas, unit, chance)
        state = [mp.mpf(s) for s in state]
        out = step(tuple(state) if kinetic else state[0], t, h, ask, draw)
        return [plain(o) for o in (out if kinetic else (out,))], draw.covariances

    zero, covariances = run([0] * size)
    b = mp.matrix(zero)
    A = mp.matrix(size, size)
    for j in range(size):
        image, _ = run([int(i == j) for i in range(size)])
        for i in range(size):
            A[i, j] = image[i] - zero[i]
    C = mp.matrix(size, size)
    for which, (covariance, count) in enumerate(covariances):
        for copy in range(count or 1):
            width = len(covariance)
            L = mp.matrix(size, width)
            for j in range(width):
                image, _ = run([0] * size, (which, j, copy))
                for i in range(size):
                    L[i, j] = image[i] - zero[i]
            C += L * mp.matrix([[own(e, copy) for e in row] for row in covariance]) * L.T
    return A, b, C
