r"""W_2 of two laws on the line: (int p (T - x)^2)^{1/2}, with T the map that takes p to q in order.

T(x) is where q has as much mass to its left as p has to the left of x. Between x and T(x) q has the mass
F(x) - G(x) = int_{-inf}^x (p - q), which is integrated as the difference that it is: laws that are close keep relative
accuracy, and in the tails the integral comes from the side of the tail. All functions are polynomials on the panels of
`rmverify.divergences.densities`, and those of the integral end where T meets an edge of theirs as well: it may turn
sharply there. T jumps where q has a gap: the panels of the integral are halved around the jump.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import legendre

from rmverify.divergences.densities import BESIDE, MOST_PANELS, TOLERANCE, Beside, nodes
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import POINTS, TO_LEGENDRE, integrate_path
from rmverify.numbers.rounding import UNIT

__all__ = ["squared_distance"]

_STEPS = 40
_NATS, _DEPTH = 6.0, 60.0  # by which a density may vary on a panel, as far as so much below its peak
_X, _W = legendre.leggauss(POINTS // 2)  # exact for the polynomials of a panel


class _Piecewise:
    """A density as a polynomial on every panel, and its mass up to and from the edges."""

    def __init__(self, values: Array, half: Array) -> None:
        self.half, self.coefficients = half, values @ TO_LEGENDRE
        self._primitive = legendre.legint(self.coefficients, lbnd=-1, axis=1)
        masses = 2 * half * self.coefficients[:, 0]
        self.before = np.concatenate([[0.0], np.cumsum(masses)])
        self.after = np.concatenate([np.cumsum(masses[::-1])[::-1], [0.0]])

    def __call__(self, k: Any, y: Array) -> Array:
        """At places y of [-1, 1] in the panels k."""
        return np.asarray((legendre.legvander(y, POINTS - 1) * self.coefficients[k]).sum(axis=-1))

    def sides(self, k: Any, y: Array) -> tuple[Array, Array]:
        """The mass to the left and to the right of a place."""
        part = self.half[k] * (legendre.legvander(y, POINTS) * self._primitive[k]).sum(axis=-1)
        whole = 2 * self.half[k] * self.coefficients[k, 0]
        return self.before[k] + part, self.after[k + 1] + (whole - part)

    def between(self, k: Any, y: Array, step: Array) -> Array:
        """The mass from y to y + step, in one panel: nothing cancels."""
        points = y[:, None] + step[:, None] * ((1 + _X) / 2)
        values = np.einsum("nij,nj->ni", legendre.legvander(points, POINTS - 1), self.coefficients[k])
        return np.asarray(self.half[k] * step / 2 * (values @ _W))

    def place(self, left: Array, right: Array) -> tuple[Any, Array, Array]:
        """Where so much mass lies on the two sides, from that of the nearer tail: panel, its end, and how much mass is
        left to go from there."""
        lower = left < right
        k = np.where(lower, np.searchsorted(self.before, left, "right") - 1,
                     self.half.size - np.searchsorted(self.after[::-1], right, "right"))  # fmt: skip
        k = np.clip(k, 0, self.half.size - 1)
        due = np.where(lower, left - self.before[k], self.after[k + 1] - right)
        return k, np.where(lower, -1.0, 1.0), due

    def step(self, k: Any, y: Array, mass: Array) -> Array:
        """How far from y, in panel k, so much mass lies between; the end of the panel where there is less."""
        low, high = np.where(mass < 0, -1 - y, 0.0), np.where(mass < 0, 0.0, 1 - y)
        step, live = np.zeros_like(y), np.arange(y.size)
        for _ in range(_STEPS):
            j, here = k[live], step[live]
            off = self.between(j, y[live], here) - mass[live]
            low[live], high[live] = np.where(off < 0, here, low[live]), np.where(off > 0, here, high[live])
            with np.errstate(divide="ignore", invalid="ignore"):
                ahead = here - off / (self.half[j] * self(j, y[live] + here))
            inside = (ahead >= low[live]) & (ahead <= high[live])
            step[live] = np.where(inside, ahead, (low[live] + high[live]) / 2)
            live = live[np.abs(step[live] - here) > 2 * UNIT * np.abs(here)]
            if not live.size:
                break
        return step


def _gentle(pair: Beside) -> Array:
    """Panels halved until neither density varies much on one, so that each is known relative to itself."""
    edges = pair.edges
    while True:
        z, _ = nodes(edges)
        points = pair(z.ravel())
        wild = np.zeros(len(z), dtype=bool)
        for log in (points.log_p, points.log_q):
            wild |= np.ptp(np.maximum(log, log.max() - _DEPTH).reshape(z.shape), axis=1) > _NATS
        if not wild.any() or edges.size > MOST_PANELS:
            return edges
        edges = np.sort(np.concatenate([edges, ((edges[:-1] + edges[1:]) / 2)[wild]]))


def squared_distance(pair: Beside) -> tuple[float, float]:
    """W_2^2 of a coordinate, and its error."""
    edges = _gentle(pair)
    half, (z, weights) = np.diff(edges) / 2, nodes(edges)
    points = pair(z.ravel())
    p, q, gap = (_Piecewise(values.reshape(z.shape), half) for values in (points.p, points.q, points.difference))
    x, slope = pair.places(z.ravel())
    where, speed = _Piecewise(x.reshape(z.shape), half), _Piecewise(slope.reshape(z.shape), half)
    tails = half * np.abs(gap.coefficients[:, -2:]).max(axis=1)
    noise = points.shaken + (4 * UNIT + pair.grain) * np.abs(points.difference)
    shaken = (weights * noise.reshape(z.shape)).sum(axis=1) + tails
    doubt = np.minimum(np.cumsum(shaken), np.cumsum(shaken[::-1])[::-1])

    def moved(k: Any, y: Array, mass: Array, far: tuple[Array, Array]) -> Array:
        """T(x) - x: within a panel by the mass between, further by the mass on the side of the nearer tail."""
        ahead, behind = q.between(k, y, 1 - y), -q.between(k, y, -1 - y)
        inside = (mass <= ahead) & (-mass <= behind)
        there, base, due = q.place(*far)
        there, base = np.where(inside, k, there), np.where(inside, y, base)
        step = q.step(there, base, np.where(inside, mass, due))
        return np.where(inside, speed.between(there, base, step), where(there, base + step) - where(k, y))

    def order(s: Array) -> tuple[Array, Array, Array]:
        """p, T(x) - x and the error of that, at points of the line."""
        k = np.clip(np.searchsorted(edges, s, "right") - 1, 0, half.size - 1)
        y = np.clip((s - (edges[k] + edges[k + 1]) / 2) / half[k], -1, 1)
        (left, right), (rise, fall) = p.sides(k, y), gap.sides(k, y)
        mass = np.where(left < right, rise, -fall)
        off = np.concatenate([np.zeros_like(y), -doubt[k], doubt[k]])
        k3, y3, mass, left, right = (np.tile(part, 3) for part in (k, y, mass, left, right))
        way, *ends = moved(k3, y3, mass + off, (left + off, right - off)).reshape(3, -1)
        return np.abs(p(k, y)), way, np.abs(np.array(ends) - way).max(axis=0)

    def rows(s: Array) -> tuple[Array, Array]:
        density, way, off = order(s)
        noise = density * (2 * np.abs(way) + off) * off + (16 * UNIT + pair.grain) * density * way * way
        return (density * way * way)[None], noise[None]

    j, base, due = p.place(q.before, q.after)  # where T meets an edge, however sharply it turns there
    met = (edges[j] + edges[j + 1]) / 2 + half[j] * (base + p.step(j, base, due))
    done = integrate_path(rows, np.union1d(edges, np.clip(met, edges[0], edges[-1])), TOLERANCE, MOST_PANELS)
    error, lost = float(done.error[0] + done.rounding[0]), sum(pair.off)
    if lost:  # to first order by the potential int 2 (T - x), and where T - x vanishes by the range
        heavy = weights.ravel() * points.most > BESIDE * lost
        error += lost * float((weights.ravel() * slope * np.abs(order(z.ravel())[1]))[heavy].sum())
        error += (lost * float(np.ptp(x[heavy]))) ** 2
    return max(float(done.value[0]), 0.0), error
