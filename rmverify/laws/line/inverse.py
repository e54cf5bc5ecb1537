r"""Inverses of rising maps of the line, all midpoints of a step at once.

The density after a step at a point is known from where that point comes from.

A step given its midpoint is a map x -> T(x) whose value and slope its own code yields. Where the slope is positive on a
grid the map is tabulated there; T^{-1}(y) starts from cubic interpolation in the table and goes on by Newton steps that
never leave the cell of the table. Beyond the grid the map counts as the line that it ends with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.readings.duals import Dual, identity
from rmverify.schemes.contract import Unstable

__all__ = ["Rising", "rising"]

_FLAT = 1e-9  # beside the map's largest slope: less counts as a fold
_NO_MASS = 1e-15  # what may lie beyond a fold
_STEPS = 60
_SETTLED = 1e-9  # of a Newton step beside the cell: the one after it is below rounding

Map = Callable[[Dual], Dual]


def rising(
    step: Map, x: Array, mass: Array, name: Callable[[int, float], str], besides: Map | None = None
) -> tuple[Rising, float]:
    """The maps on the part of the points x where all of them rise, and the mass beyond.

    Parameters
    ----------
    step : callable
        Takes points x, a `Dual` whose parts broadcast to (Q, n), to all T_j(x_j).
    x, mass : ndarray, shape (n,)
        Rising points, and the mass of the law about each.
    name : callable
        Says of (j, x) where that is, for the complaint.
    besides : callable, optional
        Further maps that may not fall either, numbered after the others.

    Raises
    ------
    ArithmeticError
        Where a map falls, and there is mass there.
    OverflowError
        Where it is not finite.

    Examples
    --------
    >>> x = np.linspace(-8.0, 8.0, 65)
    >>> maps, lost = rising(lambda z: z * z, x, 0.25 * np.exp(-((x - 6.5) ** 2)), lambda j, x: f"at {x}")
    >>> maps.inverse(np.array([4.0])).value.round(12), lost < 1e-15
    (array([[2.]]), True)
    """
    ends = [each(identity(x[None, :])) for each in (step, besides) if each is not None]
    values, slopes = np.atleast_2d(ends[0].value), np.concatenate([np.atleast_2d(end.slope) for end in ends])
    if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
        raise Unstable(f"the law overflows {name(0, float(x[0]))}")
    center = int(np.searchsorted(np.cumsum(mass), mass.sum() / 2))
    falls = np.flatnonzero((slopes <= _FLAT * slopes.max(axis=1, keepdims=True)).any(axis=0))
    first = int(falls[falls <= center].max(initial=-1)) + 1
    last = int(falls[falls >= center].min(initial=x.size))
    lost = float(mass[:first].sum() + mass[last:].sum())
    if lost > _NO_MASS or last - first < 2:
        worst = int(falls[np.argmax(mass[falls])])
        j = int(np.argmin(slopes[:, worst]))
        raise _fold(slopes[j, worst], name(j, float(x[worst])))
    return Rising(step, x[first:last], values[:, first:last], slopes[: len(values), first:last], name), lost


def _fold(slope: float, where: str) -> ArithmeticError:
    return ArithmeticError(
        f"plan: a step is too long: its map has slope {slope:.3g} {where} and folds the line; use shorter steps, or "
        "rmverify.sample"
    )


class Rising:
    """Maps T_1, .., T_Q of the line: values and slopes (Q, n) on rising points x (n,)."""

    def __init__(self, step: Map, x: Array, values: Array, slopes: Array, name: Callable[[int, float], str]) -> None:
        self._step, self._name = step, name
        self.x, self.values, self.slopes = x, values, slopes

    def inverse(self, y: Array) -> Dual:
        """x = T_j^{-1}(y) and T_j'(x), shape (Q, n), for y of shape (n,) or (Q, n)."""
        count, size = self.values.shape
        y = np.broadcast_to(y, (count, y.shape[-1]))
        inner = np.clip(y, self.values[:, :1], self.values[:, -1:])
        cell = np.stack([np.searchsorted(row, z) for row, z in zip(self.values, inner, strict=True)]) - 1
        cell = np.clip(cell, 0, size - 2)
        low, high = self.x[cell], self.x[cell + 1]
        (y_0, y_1), (d_0, d_1) = (
            tuple(np.take_along_axis(table, cell + k, axis=1) for k in (0, 1)) for table in (self.values, self.slopes)
        )
        width, rise = high - low, y_1 - y_0
        s = np.clip((inner - y_0) / rise, 0.0, 1.0)
        x = low + width * s * s * (3 - 2 * s) + rise * s * (1 - s) * ((1 - s) / d_0 - s / d_1)
        x = np.clip(x, low, high)
        for _ in range(_STEPS):
            end = self._step(identity(x))
            off = end.value - inner
            low, high = np.where(off < 0, x, low), np.where(off > 0, x, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                ahead = x - off / end.slope
            ahead = np.where((ahead >= low) & (ahead <= high), ahead, (low + high) / 2)
            moved = float((np.abs(ahead - x) / width).max())
            x = ahead
            if moved < _SETTLED:
                break
        slope = np.broadcast_to(self._step(identity(x)).slope, x.shape)
        if not (slope > 0).all():
            j, i = np.unravel_index(np.argmin(slope), slope.shape)
            raise _fold(float(slope[j, i]), self._name(int(j), float(x[j, i])))
        return Dual(x + (y - inner) / slope, slope)
