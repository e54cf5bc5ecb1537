"""The pairs of Gaussians whose total variation is measured, each with its reference value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

import rmverify as rm
from benchmarks.reference import Grid, Single, total_variation

__all__ = ["Case", "peer_cases", "tv_cases"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """p = prod N(mean_i, var_p_i)^{n_i} against q = prod N(0, var_q_i)^{n_i}.

    `grids` are the same modes for the reference; without them it takes them one by one as exact fractions.
    """

    name: str
    mean: Array
    var_p: Array
    var_q: Array
    count: Array
    goal: float | None = None
    grids: tuple[Single | Grid, ...] = ()

    @cached_property
    def ratio(self) -> Array:
        """r = (var_q - var_p)/var_p."""
        return np.asarray((self.var_q - self.var_p) / self.var_p)

    @cached_property
    def shift(self) -> Array:
        """mu = mean/sqrt(var_p)."""
        return np.asarray(self.mean / np.sqrt(self.var_p))

    @cached_property
    def laws(self) -> tuple[rm.Gaussian, rm.Gaussian]:
        """p and q as a user builds them."""
        if (self.count == 1).all():
            return rm.Gaussian(self.mean, self.var_p), rm.Gaussian(np.zeros_like(self.mean), self.var_q)
        return (
            rm.Gaussian.from_spectrum(self.var_p, self.count, self.mean),
            rm.Gaussian.from_spectrum(self.var_q, self.count),
        )

    @cached_property
    def reference(self) -> Any:
        """TV as a ball, tight to at least 17 digits."""
        ball = total_variation(self.grids or self._singles())
        if not float(ball.rad()) < 1e-17 * float(ball.mid()):
            raise ValueError(f"{self.name}: the reference is not tight enough: {ball}")
        return ball

    def _singles(self) -> list[Single]:
        columns = (self.mean, self.var_p, self.var_q, self.count)
        rows = zip(*([Fraction(x) for x in column.tolist()] for column in columns), strict=True)
        return [Single((b - a) / a, m * m / a, int(n)) for m, a, b, n in rows]

    def relative(self, value: float) -> float:
        """|value - TV|/TV, the difference taken in ball arithmetic."""
        with ctx.workprec(120):
            return abs(float(((arb(float(value)) - self.reference) / self.reference).mid()))


def _few(name: str, dim: int, size: float, goal: float | None) -> Case:
    """`dim` distinct modes with ratios of both signs and means; TV is about proportional to `size`."""
    rng = np.random.default_rng(dim)
    ratio = size * rng.uniform(0.4, 1.0, dim) * (-1.0) ** np.arange(dim)
    mean = 0.6 * size * rng.uniform(-1.0, 1.0, dim)
    var_p = rng.uniform(0.3, 3.0, dim)
    return Case(name, mean * np.sqrt(var_p), var_p, var_p * (1 + ratio), np.ones(dim), goal)


def _from_grids(name: str, grids: Sequence[Grid], goal: float | None, seed: int = 0) -> Case:
    """The modes of the grids in random order, var_p in powers of 4 so that var_q and the means hold them exactly."""
    rng = np.random.default_rng(seed)
    parts = []
    for grid in grids:
        steps = np.add.outer(np.array(grid.high, float), np.array(grid.low, float))
        ratio = float(grid.center) + np.ldexp(steps, -grid.unit)
        mean = np.ldexp(np.array(grid.mean, float), -grid.scale)[:, None] + 0 * ratio
        parts.append(np.stack([ratio.ravel(), mean.ravel(), np.full(ratio.size, float(grid.count))]))
    ratio, mean, count = _shuffled(parts, rng)
    root = np.ldexp(1.0, rng.integers(-2, 2, ratio.size))
    return Case(name, mean * root, root**2, root**2 * (1 + ratio), count, goal, tuple(grids))


def _shuffled(parts: list[Array], rng: np.random.Generator) -> Array:
    columns = np.concatenate(parts, axis=1)
    return columns[:, rng.permutation(columns.shape[1])]


def _many(name: str, side: int, halvings: int, goal: float) -> Case:
    """side^2 distinct modes with nearly uniform ratios of both signs and with means; TV is 0.3 / 2^halvings."""
    rng = np.random.default_rng(side)
    bits = side.bit_length()  # low < 2^bits and steps of 2^bits in high keep all sums distinct
    low = rng.choice(2**bits, side, replace=False)
    unit, reach, top = {100: (19 + halvings, 60, 150), 1000: (29 + halvings, 800, 200)}[side]
    high = 2**bits * rng.choice(np.arange(-reach, reach), side, replace=False)
    mean = rng.integers(-top, top + 1, side)
    scale = unit - 2 * bits + 9
    return _from_grids(name, [Grid(Fraction(0), high.tolist(), low.tolist(), unit, mean.tolist(), scale)], goal)


def _beside(name: str, goal: float) -> Case:
    """One mode of ratio -0.99 beside 10^4 distinct modes of ratio 1e-2, spread by a twentieth; centred."""
    rng = np.random.default_rng(7)
    center = Fraction(round(0.01 * 2**40), 2**40)
    low = rng.choice(128, 100, replace=False)
    high = 128 * rng.choice(np.arange(-100, 100), 100, replace=False)
    lone = Fraction(-round(0.99 * 2**40), 2**40)
    grid = Grid(center, high.tolist(), low.tolist(), 24, [0] * 100, 0)
    many = _from_grids(name, [grid], goal)
    return Case(
        name,
        np.append(many.mean, 0.0),
        np.append(many.var_p, 1.0),
        np.append(many.var_q, 1 + float(lone)),
        np.append(many.count, 1.0),
        goal,
        (grid, Single(lone, Fraction(0), 1)),
    )


def _blocks(name: str, halvings: int) -> Case:
    """d = 10^12: ten blocks of 10^11 coordinates, ratios of both signs, one of them with a mean."""
    rng = np.random.default_rng(3)
    high = rng.choice(np.arange(-100, 100), 10, replace=False)
    mean = [0] * 9 + [100]
    return _from_grids(name, [Grid(Fraction(0), high.tolist(), [0], 26 + halvings, mean, 26 + halvings, 10**11)], 1e-3)


def tv_cases() -> Iterator[Case]:
    """The cases with goals."""
    for dim, size in ((1, 1.6), (10, 0.38)):
        for label, scale in (("0.3", 1.0), ("1e-3", 3e-3), ("1e-8", 3e-8)):
            yield _few(f"d={dim}, TV {label}", dim, scale * size, 1e-3)
    for label, halvings in (("0.3", 0), ("1e-8", 25)):
        yield _blocks(f"d=1e12 in 10 blocks, TV {label}", halvings)
    for label, halvings in (("0.3", 0), ("1e-3", 8), ("1e-8", 25)):
        yield _many(f"1e4 modes, light tails, TV {label}", 100, halvings, 3e-3)
    yield _beside("1e4 modes beside one of r=-0.99", 0.4)
    for label, halvings in (("0.3", 0), ("1e-3", 8)):
        yield _many(f"1e6 modes, light tails, TV {label}", 1000, halvings, 0.3)


def peer_cases() -> Iterator[Case]:
    """The same, and pairs that are products of equal one-dimensional ones."""
    one = np.ones(1)
    for label, mean in (("0.3", 0.077), ("1e-3", 2.5e-4), ("1e-8", 2.5e-9)):
        yield Case(f"100 equal shifts, TV {label}", mean * one, one, one, 100 * one)
    for label, ratio in (("0.3", 0.1), ("1e-3", 3.5e-4)):
        yield Case(f"100 equal scales, TV {label}", 0 * one, one, (1 + ratio) * one, 100 * one)
    yield from tv_cases()
