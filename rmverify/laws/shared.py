r"""The law of a randomized plan on a product: coordinates that are independent given the midpoints, which they share.

The randomness of a midpoint does not average out over the coordinates of a particle, as they share it: this is what
that costs.

Given its midpoints a a plan without noise pushes its start through one map of the line, F_a, in every coordinate: the
law is an average of products, P = E_a (p_a)^{(x) d}, and no product itself. Here p_a is known on a grid: z_j equally
spaced in the start (in asinh of it, where its tails are long), x_j = F(z_j) with F the map whose midpoints are all in
the middle of their strata, and weights w_j = F'(z_j) dz. By the trapezoidal rule int p_a g = sum w_j p_a(x_j) g(x_j)
but for what is exponentially small in the spacing. F_a^{-1}(x_j) comes from F_a and F_a' at all z_j, by polynomials
through the nearest of them.

Sets of paths are moved together, as in `rmverify.laws.averages.paths`, ordered by where they are on the way to: what
moves all points x by e changes ln p_a by -(p e)'/p, whose part along a direction c is int c' e p. With c the direction
in which the laws given the midpoints differ most, and e carried on by the slopes of the middle map, that is a number
for each path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import comb

from rmverify.laws.averages.paths import points_by
from rmverify.laws.line.averaged import LineLaw, line_law
from rmverify.laws.line.given import TransportLaw, reach, risen, transport_law
from rmverify.numbers.checks import Array
from rmverify.plans import Plan
from rmverify.readings.duals import identity
from rmverify.schemes.contract import shipped
from rmverify.targets import Factor, Product

__all__ = ["Grid", "SharedLaw", "grid_of", "log_densities"]

_PLAIN = 12.0  # deviations of the start within which points are equally spaced
_DEPTH = 30.0  # nats at which the line is cut, and ln d more
_TAPS = 12  # of a local polynomial
_NEWTON = 3
_BLOCK = 1 << 15  # numbers that are moved at once


class SharedLaw:
    r"""The law P = E_a (p_a)^{(x) dim} of a plan on a product, whose coordinates share the random midpoints a.

    Made by `rmverify.output_law`. Its total variation, KL, Hellinger and Renyi divergences of order below 1 beside a
    `Product` are `monte-carlo` numbers with a confidence interval of 95 %.

    Parameters
    ----------
    plan : Plan
    target : Product
    start : {"normal", "exact"} or Factor

    Raises
    ------
    TypeError
        Where a step draws normal values, or something that is neither normal nor uniform.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Plan, Predict, Product, output_law, schemes, targets, tv
    >>> target, times = Product(targets.TwoGaussians(2.0), 100), np.linspace(3.0, 0.2, 11)
    >>> law = output_law(Plan([Predict(schemes.randomized_midpoint, times)]), target, start="exact")
    >>> law
    SharedLaw(dim=100, target=TwoGaussians(separation=2, variance=1), evaluations=20)
    >>> value = tv(law, target.at(0.2), accuracy=0.05)
    >>> value.kind, bool(0 < value.lower < value.upper < 1)
    ('monte-carlo', True)
    """

    def __init__(self, plan: Plan, target: Product, start: Any = "normal") -> None:
        for stage in plan:
            foot = stage.footprint
            what = "draws normal values" if foot.noises else "draws a choice or a duration" if not foot.plain else None
            if what is not None:
                raise TypeError(
                    f"plan: on a Product of dimension {target.dim}, whose coordinates share the midpoints, a step may "
                    f"draw uniform midpoints only, and this one {what}; use rmverify.sample"
                )
        self.plan, self.target, self.start = plan, target, start
        self.dim = int(target.dim)
        feet = [stage.footprint for stage in plan for _ in range(len(stage)) if stage.footprint.alphas]
        first, self.middle, last = (
            self.conditional([foot.placed(np.full(foot.alphas, share)) for foot in feet]) for share in (0.0, 0.5, 1.0)
        )
        self.ends = first, last

    def __repr__(self) -> str:
        return f"SharedLaw(dim={self.dim}, target={self.target.factor!r}, evaluations={self.plan.evaluations})"

    def conditional(self, alphas: Any) -> TransportLaw:
        """The law given the midpoints, one entry per step that draws."""
        return transport_law(self.plan, self.target, alphas, self.start)

    @cached_property
    def coordinate(self) -> LineLaw:
        """The law of one coordinate by itself, E_a p_a."""
        return line_law(self.plan, self.target.factor, self.start)

    @property
    def mean(self) -> float:
        """Of each coordinate."""
        return self.coordinate.mean

    @property
    def variance(self) -> float:
        """Of each coordinate."""
        return self.coordinate.variance

    @property
    def analytic(self) -> bool:
        """Whether every step is known to be analytic in what it draws."""
        return all(shipped(stage.scheme) for stage in self.plan)


# --- the grid -------------------------------------------------------------------------------------------------------


class Grid(NamedTuple):
    """Points z of the start, where the middle path takes them, ln of the weights of dx there, and the slopes: ln F' on
    the way of what is left of it before every step, (steps, points); ln dz/dj."""

    z: Array
    x: Array
    log_weights: Array
    ahead: Array
    log_spacing: Array


def grid_of(law: SharedLaw, q: Factor, halvings: int) -> Grid:
    """Points all over where p and q have mass, their distance 1/4 of a deviation of the start halved so often."""
    depth = _DEPTH + math.log(law.dim)
    start, middle = law.middle.start, law.middle
    ends = np.array([reach(start, depth), middle.around(*reach(q, depth))])
    center, spread = start.mean, math.sqrt(start.variance)
    low, high = ((end - center) / spread for end in (ends.min(), ends.max()))
    bend = _bend(max(-low, high))
    v_low, v_high = (math.asinh(bend * end) / bend if bend else end for end in (low, high))
    spacing = 0.25 / 2**halvings
    v = spacing * np.arange(math.floor(v_low / spacing), math.ceil(v_high / spacing) + 1)
    z = center + spread * (np.sinh(bend * v) / bend if bend else v)
    log_spacing = math.log(spread * spacing) + (np.log(np.cosh(bend * v)) if bend else np.zeros_like(v))
    for end in law.ends:  # folds that hardly any midpoint makes
        end.carry(z)
    points = identity(z)
    slopes = []
    for stage, t, h, alphas in middle.steps():
        slopes.append(np.log(points.slope))
        points = risen(stage, middle.factor, points, t, h, alphas)
    total = np.log(points.slope)
    return Grid(z, points.value, total + log_spacing, total - np.array(slopes), log_spacing)


def _bend(far: float) -> float:
    """b with sinh(b r)/b = far at r = _PLAIN, 0 where that is not needed."""
    if far <= _PLAIN:
        return 0.0
    return float(brentq(lambda b: math.sinh(b * _PLAIN) / b - far, 1e-6, 50.0 / _PLAIN))


# --- paths ----------------------------------------------------------------------------------------------------------


def log_densities(
    law: SharedLaw, grid: Grid, sets: int, size: int, rng: np.random.Generator, toward: Array | None = None
) -> Iterator[Array]:
    """ln p_a at the points x of the grid, (size, points), for the paths of so many independent sets.

    `toward`: what the paths are ordered by, c' at the points x of the grid; by default that of the variance.
    """
    log_p = law.middle.start.log_density(0, grid.z)
    mass = np.exp(log_p + grid.log_spacing)
    aim = mass * (grid.x - mass @ grid.x if toward is None else toward)
    x = np.broadcast_to(grid.z, (sets * size, grid.z.size)).copy()
    log_slope = np.zeros_like(x)
    step = 0
    for stage in law.plan:
        foot = stage.footprint
        for t, h in zip(*(part.tolist() for part in stage.grid), strict=True):
            rows = None
            if foot.alphas:
                key = (x @ (aim * np.exp(grid.ahead[step]))).reshape(sets, size)
                rows = foot.placed(points_by(key, foot.alphas, rng).reshape(foot.alphas, -1, 1))
            _move(stage, law.target.factor, t, h, rows, x, log_slope)
            step += 1
    block = max(1, _BLOCK // grid.z.size)
    found = np.concatenate([
        _inverted(grid, log_p, x[k : k + block], log_slope[k : k + block]) for k in range(0, len(x), block)
    ])  # fmt: skip
    yield from found.reshape(sets, size, -1)


def _move(stage: Any, factor: Factor, t: float, h: float, rows: Array | None, x: Array, log_slope: Array) -> None:
    """The step in place, on blocks of paths."""
    block = max(1, _BLOCK // x.shape[1] // stage.footprint.width)
    for first in range(0, len(x), block):
        part = slice(first, first + block)
        given = None if rows is None else rows[:, part]
        end = risen(stage, factor, identity(x[part]), t, h, given)
        x[part] = end.value
        log_slope[part] += np.log(end.slope)


# --- inverses -------------------------------------------------------------------------------------------------------


def _inverted(grid: Grid, log_start: Array, x: Array, log_slope: Array) -> Array:
    """ln p_a at the points of the grid, from where the paths take them, arrays (paths, points)."""
    count = grid.x.size
    place = np.array([np.interp(grid.x, row, np.arange(count)) for row in x])
    first = np.clip(place.astype(int) - _TAPS // 2 + 1, 0, count - _TAPS)
    values, slopes, logs = (
        np.take_along_axis(np.lib.stride_tricks.sliding_window_view(part, _TAPS, axis=1), first[..., None], axis=1)
        for part in (x, np.exp(log_slope + grid.log_spacing), log_start - log_slope)
    )
    place = place - first
    for _ in range(_NEWTON):
        weights = _weights(place)
        off, slope = (np.einsum("pjk,pjk->pj", weights, part) for part in (values, slopes))
        off -= grid.x * weights.sum(axis=-1)
        place = np.clip(place - off / slope, 0, _TAPS - 1)
    weights = _weights(place)
    return np.asarray(np.einsum("pjk,pjk->pj", weights, logs) / weights.sum(axis=-1))


_SIGNS = (-1.0) ** np.arange(_TAPS) * comb(_TAPS - 1, np.arange(_TAPS))


def _weights(place: Array) -> Array:
    """Of the polynomial through the points 0, .., _TAPS - 1 at `place`, along a last axis, up to their sum."""
    apart = place[..., None] - np.arange(_TAPS)
    apart[apart == 0] = 1e-300
    return np.asarray(np.divide(_SIGNS, apart, out=apart))
