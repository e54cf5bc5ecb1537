r"""The law of u = ln(variance/the target's) as signed weights on a lattice, however far it spreads.

An atom becomes the weights of Lagrange's interpolation at the 24 lattice points about it, and a step a convolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rmverify.laws.averages.rules import MOST_POINTS
from rmverify.laws.scale.gauss import grouped
from rmverify.laws.scale.stage import BLOCK, MOST_READ, MOST_STEP_NODES, ScaleStage, Unresolved, Walker, through
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import unit_rule
from rmverify.numbers.rounding import UNIT

__all__ = ["MOST_CELLS", "STENCIL", "Lattice", "LatticeRule", "lagrange"]

STENCIL = 24  # points of the interpolation on the lattice
MOST_CELLS = 1 << 21
_PANEL = 16  # nodes in each panel of midpoints


@dataclass(frozen=True)
class Lattice:
    """The same law with signed weights at u = first + spacing * (0, 1, ...), u = ln(s^2/reference).

    They integrate what varies on the scale sqrt(2/dim); the single weights mean nothing.
    """

    first: float
    spacing: float
    weights: Array
    dim: int
    rounding: float
    reference: float

    def __repr__(self) -> str:
        return f"Lattice(dim={self.dim}, points={self.weights.size}, spacing={self.spacing:.3g})"

    @property
    def logs(self) -> Array:
        return np.asarray(self.first + self.spacing * np.arange(self.weights.size))


class LatticeRule(Walker):
    """Weights of u on a lattice of `fineness` points to sqrt(2/d), as the stages of a plan change them."""

    def __init__(self, u: float, rounding: float, dim: int, fineness: float) -> None:
        self.first, self.weights, self.rounding = u, np.ones(1), rounding
        self.dim, self.fineness = dim, fineness
        self.spacing = math.sqrt(2 / dim) / fineness
        self.moment_nodes = int(fineness) - 2  # of rules from moments: more of them on finer lattices

    def found(self, end: float) -> Lattice:
        """The law, of a target of variance `end`."""
        return Lattice(self.first, self.spacing, self.weights, self.dim, self.rounding, end)

    @property
    def u(self) -> Array:
        return np.asarray(self.first + self.spacing * np.arange(self.weights.size), dtype=float)

    def settled(self, stage: ScaleStage) -> None:
        shift, inflow, error = stage.settled
        self.rounding += float(error[0])
        if inflow is None:
            self.first += float(shift[0])
        else:
            self._set(through(self.u, shift, inflow), self.weights)

    def velocity(self, stage: ScaleStage) -> None:
        if self.weights.size > MOST_READ:
            raise Unresolved
        y, each, slip = stage.velocity_rule(self.u, self.moment_nodes)
        self._set(np.log1p(y).ravel(), (self.weights[:, None] * each).ravel())
        self.rounding += slip

    def strata(self, stage: ScaleStage) -> None:
        self.require_finite(self.first)
        eta, weights, slip = stage.strata_rules(self.dim, min(MOST_STEP_NODES, self.moment_nodes))
        self.require_finite(eta)
        self.rounding += slip
        self._add(_kernels(*grouped(eta, weights, self.spacing / 2), self.spacing))

    def steps(self, stage: ScaleStage) -> None:
        self.require_finite(self.first)
        kernels: list[tuple[float, Array]] = []
        met = np.array([self.first, self.first + self.spacing * (self.weights.size - 1)])
        for eta, kappa, rule_weights, slip in self._blocks(stage, met):
            self.require_finite(eta)
            self.rounding += slip
            if kappa is None:
                kernels += _kernels(*grouped(eta, rule_weights, self.spacing / 2), self.spacing)
                continue
            for each, noise in zip(eta, kappa, strict=True):
                if self.weights.size * each.size > MOST_CELLS:
                    raise Unresolved
                image = through(self.u, each[:, None], noise[:, None]).ravel()
                self._set(image, np.outer(rule_weights, self.weights).ravel())
        self._add(kernels)

    def _set(self, u: Array, weights: Array) -> None:
        self.first, self.weights = _relaid(u, weights, self.spacing)

    def _add(self, kernels: list[tuple[float, Array]]) -> None:
        """Independent variables, each with a law on a lattice of its own."""
        while len(kernels) > 1:
            odd = kernels[-1:] if len(kernels) % 2 else []
            pairs = zip(kernels[0::2], kernels[1::2], strict=False)
            kernels = [_convolved(one, two, self.spacing) for one, two in pairs] + odd
        for kernel in kernels:
            self.first, self.weights = _convolved((self.first, self.weights), kernel, self.spacing)

    # --- midpoints ------------------------------------------------------------------------------------------

    def _blocks(self, stage: ScaleStage, u: Array) -> Iterator[tuple[Array, Array | None, Array, float]]:
        """(eta, kappa, weights, rounding) of blocks of steps with a rule in alpha that follows e^{i omega u'}, u' what
        any of `u` becomes, for all omega that the radius sees: one Gauss rule, or (for one midpoint a step) panels of
        16 nodes, with eta interpolated from a Gauss rule or, where that is not smooth, in floats."""
        count = len(stage)
        single = stage.alphas == 1
        if not stage.rules.simple:
            raise Unresolved
        nodes = stage.nodes
        nodes = max(2 * nodes, _PANEL) if single else max(nodes, math.ceil(self.fineness * _PANEL / 5))
        if nodes**stage.alphas > MOST_POINTS:
            raise Unresolved
        alphas, weights = stage.rule(nodes)
        u = stage.range(alphas, u)
        steps = stage.steps(alphas, weights)
        noisy = steps.read(slice(0, 1))[1] is not None
        x, w = unit_rule(_PANEL)
        size = max(1, math.ceil(count / 16))
        for n in range(0, count, size):
            part = slice(n, n + size)
            onto, fine, rule_weights, smooth = None, alphas, weights, True
            edges = self._panels(stage, part, u) if single else np.array([0.0, 1.0])
            if (edges.size - 1) * _PANEL > nodes:
                fine = (edges[:-1, None] + np.diff(edges)[:, None] * x).reshape(1, -1)
                rule_weights = np.outer(np.diff(edges), w).ravel()
                onto = _legendre_matrix(nodes, fine[0])
                smooth = _smooth(stage, part, u, alphas, onto, fine)
                if noisy and not smooth:
                    raise Unresolved
            inner = max(1, (BLOCK << 3) // rule_weights.size)
            for m in range(n, min(n + size, count), inner):
                block = slice(m, min(m + inner, n + size))
                if not smooth:
                    yield stage.in_floats(block, fine)[0], None, rule_weights, 8.0 * UNIT * inner
                    continue
                eta, kappa = (part if part is None else part[..., 0] for part in steps.read(block))
                assert eta is not None
                if onto is not None:
                    eta, kappa = eta @ onto.T, None if kappa is None else kappa @ onto.T
                slip = steps.error * len(eta) / count + 4 * UNIT * float(np.abs(eta).max(axis=1).sum())
                yield eta, kappa, rule_weights, slip

    def _panels(self, stage: ScaleStage, part: slice, u: Array) -> Array:
        """Edges of panels of [0, 1] on each of which what u becomes varies by a few sqrt(2/d) and by ln 8 at most: they
        close in on midpoints at which the step annihilates x."""
        most = min(2.0, 32 / self.fineness * math.sqrt(2 / self.dim))
        lower, width = np.zeros(1), 1.0
        done: list[Array] = []
        shares = np.linspace(0, 1, 5)
        while lower.size and width > 2.0**-50:
            if (lower.size + sum(d.size for d in done)) * _PANEL > MOST_CELLS:
                raise Unresolved
            points = np.clip((lower[:, None] + width * shares).reshape(1, -1), 0, 1)
            images = stage.float_images(part, points, u).reshape(-1, lower.size, shares.size)
            wide = np.ptp(images, axis=2).max(axis=0) > most
            done.append(lower[~wide])
            lower = np.concatenate([lower[wide], lower[wide] + width / 2])
            width /= 2
        return np.append(np.sort(np.concatenate([*done, lower])), 1.0)


def _kernels(eta: Array, rule_weights: Array, spacing: float) -> list[tuple[float, Array]]:
    """The law of each row of eta and its weights, (steps, Q) both, as (first, weights) of a lattice of its own."""
    mean = (eta * rule_weights).sum(axis=1)
    off = (eta - mean[:, None]) / spacing
    low = math.floor(off.min()) - STENCIL // 2 + 1
    width = math.floor(off.max()) + STENCIL // 2 - low + 1
    if width > MOST_CELLS:
        raise Unresolved
    result = []
    size = max(1, BLOCK // width)
    for n in range(0, len(off), size):
        rows = off[n : n + size]
        found = _scatter(rows - low, rule_weights[n : n + size], width)
        result += [
            _trimmed(float(m) + low * spacing, w, spacing) for m, w in zip(mean[n : n + size], found, strict=True)
        ]
    return result


def _legendre_matrix(nodes: int, points: Array) -> Array:
    """Values at `points` of [0, 1] of the polynomial through given values at the Gauss nodes."""
    x, w = unit_rule(nodes)
    orders = np.arange(nodes)
    there, here = (np.polynomial.legendre.legvander(2 * z - 1, nodes - 1) for z in (points, x))
    return np.asarray((there * (2 * orders + 1)) @ (here * w[:, None]).T)


def _smooth(stage: ScaleStage, part: slice, u: Array, alphas: Array, onto: Array, fine: Array) -> bool:
    """Whether eta, and what u becomes, at the fine nodes is interpolated from the rule to rounding, at the steps that
    may be worst."""
    t, h = (z[part] for z in stage.stage.grid)
    some = np.unique([int(np.argmax(h / np.maximum(t, 1e-300))), int(np.argmax(h)), 0, len(t) - 1]) + part.start
    rows = slice(None, None, max(1, fine.shape[1] // 64))
    both = alphas, fine[:, rows]
    pairs = [[stage.in_floats(some, a)[0] for a in both], [stage.float_images(some, a, u) for a in both]]
    return all(
        float(np.abs(known @ onto[rows].T - due).max()) <= 1e-13 * max(1.0, float(np.abs(due).max()))
        for known, due in pairs
    )


_OFFSETS = np.arange(1 - STENCIL // 2, STENCIL // 2 + 1)
_BARYCENTRIC = np.array([(-1.0) ** k * math.comb(STENCIL - 1, k) for k in range(STENCIL)])


def lagrange(x: Array) -> Array:
    """Weights (..., 24) of the values at -11, ..., 12 in the interpolation at x in [0, 1]."""
    terms = np.asarray(np.clip(x, 1e-200, 1 - UNIT))[..., None] - _OFFSETS
    np.divide(_BARYCENTRIC, terms, out=terms)
    return np.asarray(terms / terms.sum(axis=-1, keepdims=True))


def _scatter(places: Array, weights: Array, width: int) -> Array:
    """Atoms at `places` (rows, M), in lattice units and 11 or more, on rows of lattices of `width` points."""
    rows = len(places)
    result = np.zeros(rows * width)
    base = (np.arange(rows) * width)[:, None]
    columns = max(1, BLOCK // rows)
    for n in range(0, places.shape[1], columns):
        place = places[:, n : n + columns]
        cell = np.floor(place)
        spread = lagrange(place - cell) * weights[:, n : n + columns, None]
        where = (base + cell.astype(int))[..., None] + _OFFSETS
        result += np.bincount(where.ravel(), spread.ravel(), minlength=result.size)
    return result.reshape(rows, width)


def _relaid(u: Array, weights: Array, spacing: float) -> tuple[float, Array]:
    """Atoms anywhere, put on a lattice."""
    if not np.isfinite(u).all() or np.ptp(u) / spacing > MOST_CELLS:
        raise Unresolved
    first = float(u.min()) - (STENCIL // 2 - 1) * spacing
    places = (u - first) / spacing
    width = math.floor(places.max()) + STENCIL // 2 + 1
    return _trimmed(first, _scatter(np.maximum(places, STENCIL // 2 - 1)[None, :], weights[None, :], width)[0], spacing)


def _convolved(one: tuple[float, Array], other: tuple[float, Array], spacing: float) -> tuple[float, Array]:
    (first, a), (second, b) = one, other
    size = a.size + b.size - 1
    if size > 2 * MOST_CELLS:
        raise Unresolved
    if min(a.size, b.size) < 256:
        both = np.convolve(a, b)
    else:
        full = 1 << (size - 1).bit_length()
        both = np.fft.irfft(np.fft.rfft(a, full) * np.fft.rfft(b, full), full)[:size]
    return _trimmed(first + second, both, spacing)


def _trimmed(first: float, weights: Array, spacing: float) -> tuple[float, Array]:
    """Without the ends, which together hold less than 1e-18."""
    size = np.abs(weights)
    low = int(np.searchsorted(np.cumsum(size), 1e-18))
    high = size.size - int(np.searchsorted(np.cumsum(size[::-1]), 1e-18))
    return first + low * spacing, weights[low:high]
