r"""Total variation between products of laws on the line, in any dimension, by the Chernoff transform.

An error that nobody sees in one coordinate adds up over many, and how it does depends on more than its size.

With BC(s) = int p^s q^{1-s} of one coordinate, d of them have BC(s)^d, and the contour integrals of
`rmverify.divergences.tv` give TV and 1 - TV. BC is a sum over the nodes of the panels, with every first-order term
subtracted under the integral,

    BC(s) - 1 = int q [e^{sl} - 1 - sl - s (e^l - 1 - l)],

so that d = 10^12 coordinates with a loss of 1e-14 each cost and lose nothing. Two rules:

trapezoid     the one for Gaussians, where BC^d decays within some 200/sigma: d above 20 or so.
window        otherwise BC^d decays like u^{-d/2} or slower, as the law of the sum of d losses has singularities (where
              l has an extremum, and where it levels off). Multiplied by W(u) = erfc((u - U/2)/w)/2, which is 1 to
              rounding near 0 and 0 to rounding beyond U, the integral is that for the loss plus a noise that has no
              moments: it agrees with the TV up to rounding once U resolves the distance of those singularities from 0.
              U is doubled until the change from U/sqrt 2 to U settles. The changes are in the error: where they have
              not settled that from U/2 too, as two windows may agree by chance. BC at equidistant u is a nonuniform
              fast Fourier transform, as U may have to be large.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.special import erfc

from rmverify.divergences.chernoff import least
from rmverify.divergences.densities import Beside, nodes
from rmverify.divergences.tv import Estimate, Side, Transform, aliasing, along_contours
from rmverify.elementary import phi2
from rmverify.numbers.quadrature import NODES, POINTS, TO_LEGENDRE, WEIGHTS, integrate_path
from rmverify.numbers.rounding import UNIT
from rmverify.numbers.values import Value

__all__ = ["product_tv", "second_order"]

Array = NDArray[Any]

_ENOUGH = 1e-13  # relative error at which the windows stop
_FAR = 1.0  # losses above it are not expanded
_BLOCK = 1 << 17  # complex numbers of a temporary
_LOWEST, _HIGHEST = 25.0, 25_600.0  # U in units of 1/sigma
_EDGE = 5.5  # erfc(5.5) < 2^-46
_TURN = 12.0  # radians of e^{iul} on one piece of 16 nodes
_SPREAD, _SHARP = 16, 2.3 * 16  # points of the grid that a node is spread over, and beta
_SPREAD_NODES = 64  # of the kernel's own transform
_SPREADING = 4e-15  # what is lost by that, of the sum of all weights
_MOST_NODES = 1_000_000
_DROP = 1e-20
_SLOW = 100.0  # U sigma from which on what levels off at l = 0 is asked for
_RADIANS = 120.0
_OCTAVES = 36
_SLIGHT, _CLOSE = -30.0, 1.0  # logarithms of a mass that hardly matters, and of what may come of it at least


class _Coordinate:
    """BC of one coordinate: nodes, weights, and the points there."""

    def __init__(self, pair: Beside) -> None:
        self.dim, self.half = pair.dim, np.diff(pair.edges) / 2
        z, weight = nodes(pair.edges)
        self.points, self.z, self.weight = pair(z), z.ravel(), weight.ravel()
        self.log_p, self.log_q, self.l, rounding = (np.ravel(part) for part in self.points)
        self.p, self.q = self.weight * np.exp(self.log_p), self.weight * np.exp(self.log_q)
        largest = np.maximum(self.p, self.q)
        self.square = float(largest @ np.minimum(self.l**2, 1.0))
        self.shaken = float(largest @ ((np.minimum(np.abs(self.l), 1.0) + rounding) * rounding))
        self.loose = float(largest @ rounding)
        self.near = np.abs(self.l) < _FAR

    def excess(self, s: Array) -> Array:
        """BC(s) - 1 at real or complex points."""
        out = np.zeros_like(s)
        rows = max(1, _BLOCK // self.l.size)
        near, far = self.near, ~self.near
        l, q = self.l[near], self.q[near]
        second = second_order(l)
        with np.errstate(over="ignore", invalid="ignore"):
            log_q = self.log_q[far] + np.log(self.weight[far])
            for j in range(0, s.size, rows):
                t = s[j : j + rows, None]
                out[j : j + rows] = (second_order(t * l) - t * second) @ q
                tilted = np.exp(log_q + t * self.l[far])
                out[j : j + rows] += (tilted - t * self.p[far] - (1 - t) * self.q[far]).sum(axis=1)
        return out

    def slopes(self, c: float) -> tuple[float, float]:
        """(ln BC)' and (ln BC)'' at a real point of (0, 1)."""
        near, far = self.near, ~self.near
        l, m = self.l[near], self.l[far]
        tilted = np.exp(c * self.log_p[far] + (1 - c) * self.log_q[far]) * self.weight[far]
        first = float(
            self.q[near] @ (l * np.expm1(c * l) - second_order(l)) + (tilted @ m) - (self.p - self.q)[far].sum()
        )
        second = float(self.q[near] @ (l * l * np.exp(c * l)) + tilted @ (m * m))
        bc = 1 + float(self.excess(np.array([c]))[0])
        return first / bc, second / bc - (first / bc) ** 2

    def transform(self) -> Transform:
        """On the line that the panels cover BC is entire; the ends are where their outermost nodes begin to matter."""
        left, right = -math.inf, math.inf
        for k in (int(np.argmin(self.z)), int(np.argmax(self.z))):
            l, mass = float(self.l[k]), math.log(self.weight[k])
            if l < 0:
                left = max(left, min((_SLIGHT - mass - self.log_q[k]) / l, _CLOSE / l))
            if l > 0:
                right = min(right, 1 + max((_SLIGHT - mass - self.log_p[k]) / l, _CLOSE / l))
        return Transform(self.log, self.noise, left, right)

    def log(self, s: Array) -> Array:
        """d ln BC, with the relative accuracy of BC - 1."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            z = self.excess(s)
            if z.dtype.kind != "c":
                far = z < -0.5
                z = np.log1p(z)
            else:
                far = z.real < -0.5
                size, turn = z.real * (2 + z.real) + z.imag**2, np.arctan2(z.imag, 1 + z.real)
                z = np.log1p(size) / 2 + 1j * turn
            if far.any():
                z[far] = np.log(np.exp(np.multiply.outer(s[far], self.l) + self.log_q) @ self.weight)
            return np.asarray(self.dim * z)

    def noise(self, s: Array, log_s: Array) -> Array:
        size, other = np.abs(s), np.abs(1 - s)
        summed = 32 * UNIT * np.minimum(size * other * self.square, 2.0)
        moved = other * np.minimum(size * self.shaken, 2 * self.loose)
        return np.asarray(self.dim * (summed + moved) * np.exp(-log_s.real / self.dim))

    def finer(self, c: float, height: float, within: float = math.inf) -> tuple[Array, Array]:
        """l and the weights of p^c q^{1-c} at nodes that follow e^{iul} up to u = height, where |l| is below `within`;
        weights of no size are left out."""
        tilted = c * self.points.log_p + (1 - c) * self.points.log_q
        panel = np.flatnonzero((np.exp(tilted) * self.half[:, None]).max(axis=1) > _DROP)
        l, tilted = self.points.loss @ TO_LEGENDRE, tilted @ TO_LEGENDRE
        low, high = np.full(panel.size, -1.0), np.ones(panel.size)
        losses, weights = [np.zeros(0)], [np.zeros(0)]
        while panel.size:
            half = (high - low) / 2
            basis = np.polynomial.legendre.legvander(((low + high) / 2)[:, None] + half[:, None] * NODES, POINTS - 1)
            loss = np.einsum("kn,kin->ki", l[panel], basis)
            span = np.ptp(loss, axis=1)
            live = np.abs(loss).min(axis=1) - span / 32 < within
            done = live & (span * height <= _TURN)
            losses.append(np.ravel(loss[done]))
            weight = np.exp(np.einsum("kn,kin->ki", tilted[panel[done]], basis[done])) * WEIGHTS
            weights.append(np.ravel(weight * (half * self.half[panel])[done, None]))
            left = live & ~done
            panel, low, high, middle = panel[left], low[left], high[left], (low + high)[left] / 2
            panel, low, high = np.tile(panel, 2), np.concatenate([low, middle]), np.concatenate([middle, high])
        loss, weight = np.concatenate(losses), np.concatenate(weights)
        keep = weight > _DROP
        return loss[keep], weight[keep]

    def level(self, c: float, u: Array) -> Array:
        """What l = 0 contributes to int p^c q^{1-c} e^{iul}: losses of some hundred radians, the rest fading out."""
        out = np.zeros(u.size, dtype=complex)
        octave = np.floor(np.log2(u))
        for k in np.unique(octave):
            here = octave == k
            loss, weight = self.finer(c, 2.0 ** (k + 1), _RADIANS / 2.0**k)
            phase = np.multiply.outer(u[here], loss)
            out[here] = (np.exp(1j * phase) * _window(np.abs(phase), _RADIANS)) @ weight
        return out


def _window(u: Array, top: float) -> Array:
    """1 at 0, and to rounding much beyond; 0 to rounding from `top` on."""
    return np.asarray(erfc((u - top / 2) * (2 * _EDGE / top)) / erfc(-_EDGE))


def second_order(x: Array) -> Array:
    """e^x - 1 - x."""
    return np.asarray(x * x * phi2(x))


def product_tv(pair: Beside) -> Value:
    """TV between two laws of several independent coordinates."""
    law = _Coordinate(pair)
    if not law.l.any():
        return Value(0.0)
    c, curvature = least(law.slopes)
    sigma = math.sqrt(pair.dim * curvature)
    return along_contours(
        law.transform(), c, sigma, lambda side: _windowed(law, c, sigma, side), _ENOUGH, pair.dim * sum(pair.off) / 2
    )


def _windowed(law: _Coordinate, c: float, sigma: float, side: Side) -> Estimate:
    small, log_bc = side
    period, alias = aliasing(law.transform(), c, sigma, log_bc)
    h = 2 * math.pi / period
    best, reach = Estimate(0.0, math.inf), _LOWEST
    while reach <= _HIGHEST:
        height = reach / sigma
        loss, weight = law.finer(c, height)
        count = math.ceil(height / h)
        s = c + 1j * h * np.arange(count + 1)
        log_s = law.dim * np.log(_on_line(loss, weight, h, count) / weight.sum()) + log_bc
        log_s[0] = log_bc  # which is known better
        kernel = np.full(count + 1, h / math.pi) / s / (1 - s)
        kernel[0] /= 2
        size = np.abs(kernel) * np.exp(log_s.real - log_bc)
        steps = law.dim * (_SPREADING + 8 * UNIT * np.arange(count + 1)) * (s.imag > 0)
        steps *= np.exp((log_bc - log_s.real) / law.dim)
        tops = (height, height / math.sqrt(2), height / 2)
        values = []
        for top in tops:
            window = _window(s.imag, top)
            ones = 1 - window if small else 0.0
            terms = (ones + window * side.integrand(log_s)) * kernel
            values.append(float(terms.real.sum()) + side.rest(count, c, period))
        rounding = side.unit * (float(((law.noise(s, log_s) + steps) * size).sum()) + alias)
        rounding += 4 * UNIT * float(np.abs(terms).sum())
        goal = max(_ENOUGH * abs(values[0]), rounding)
        if abs(values[0] - values[1]) > goal and reach >= _SLOW:
            for k, top in enumerate(tops):
                tail, doubt = _beyond(law, c, top, float(weight.sum()), goal / side.unit)
                values[k] -= side.unit * tail if small else -tail
                rounding += side.unit * doubt
        moved = abs(values[0] - values[1])
        settled = moved <= goal
        if not settled:  # two windows may agree by chance
            moved = max(moved, abs(values[0] - values[2]))
        best = min(best, Estimate(values[0], 2 * moved + rounding), key=lambda each: each.error)
        if settled or 2 * loss.size > _MOST_NODES:
            break
        reach *= 2
    return best


def _beyond(law: _Coordinate, c: float, top: float, mass: float, goal: float) -> tuple[float, float]:
    """(1/pi) int (1 - W) Re [BC(s)/BC(c)]^d/(s(1-s)) du, but for what oscillates, and its error."""

    def rows(y: Array) -> tuple[Array, Array]:
        u = np.exp(y)
        s = c + 1j * u
        power = (law.level(c, u) / mass) ** law.dim
        values = (1 - _window(u, top)) * (power / s / (1 - s)).real * u / math.pi
        return values[None], np.full((1, u.size), goal / _OCTAVES)

    end = top * 2.0**_OCTAVES
    done = integrate_path(rows, np.linspace(math.log(top / 16), math.log(end), 2 * _OCTAVES), _ENOUGH)
    left = abs(float((np.abs(law.level(c, np.array([end])) / mass) ** law.dim)[0])) / end
    return float(done.value[0]), float(done.error[0] + done.rounding[0]) + left


def _on_line(loss: Array, weight: Array, h: float, count: int) -> Array:
    """sum weight e^{ikh loss}, k = 0 to count.

    A fast Fourier transform of the weights spread over a grid of twice as many points as there are k of both signs,
    with the kernel e^{beta (sqrt(1 - z^2) - 1)} of Barnett, Magland and af Klinteberg (2019). No phase is taken out
    first: its rounding would count at small k too.
    """
    size = next_fast_len(max(2 * (2 * count + 1), 2 * _SPREAD), real=True)
    place = np.remainder(loss * (h / (2 * math.pi)), 1.0) * size
    first = np.ceil(place - _SPREAD / 2).astype(int)
    grid = np.zeros(size)
    for j in range(_SPREAD):
        grid += np.bincount((first + j) % size, weight * _kernel((first + j - place) * (2 / _SPREAD)), size)
    k, (z, w) = np.arange(count + 1), np.polynomial.legendre.leggauss(_SPREAD_NODES)
    blur = np.cos(np.multiply.outer(k * (math.pi * _SPREAD / size), z)) @ (w * _kernel(z)) * (_SPREAD / 2)
    return np.asarray(rfft(grid)[: count + 1].conj() / blur)


def _kernel(z: Array) -> Array:
    return np.asarray(np.exp(_SHARP * (np.sqrt(np.maximum(1 - z * z, 0.0)) - 1)))
