"""The largest value of a function over a box of parameters: a global search, restarted and polished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmverify.numbers.checks import Array

__all__ = ["Axis", "Found", "largest"]

_SHRINK = 0.75


@dataclass(frozen=True)
class Axis:
    """A parameter from `low` to `high`, searched on a logarithmic scale where `log`, at integers where `whole`.

    `ends`: which ends, of "low" and "high", are the claim's own and not the search's.
    """

    name: str
    low: float
    high: float
    log: bool = True
    whole: bool = False
    ends: tuple[str, ...] = ()

    def at(self, unit: Array) -> Array:
        """The parameter at a position in [0, 1]."""
        if self.log:
            value = np.exp(np.log(self.low) * (1 - unit) + np.log(self.high) * unit)
        else:
            value = self.low * (1 - unit) + self.high * unit
        value = np.clip(np.round(value) if self.whole else value, self.low, self.high)
        return np.where(unit == 0, self.low, np.where(unit == 1, self.high, value))

    def unit(self, value: float) -> float:
        """The position of a parameter in [0, 1], at an end where it is beyond."""
        low, high, value = (np.log(x) if self.log else x for x in (self.low, self.high, value))
        return float(np.clip((value - low) / (high - low), 0, 1))

    def __str__(self) -> str:
        return (
            f"{self.name} = {self.low:g}" if self.low == self.high else f"{self.name} in [{self.low:g}, {self.high:g}]"
        )


@dataclass(frozen=True)
class Found:
    """The largest value, where it is, and by which power the value grows where that is the end of a log axis.

    `growth`: {axis: d ln value / d ln parameter, pointing out of the box}, for the axes at whose ends the largest
    value sits.
    """

    value: float
    where: Mapping[str, float]
    growth: Mapping[str, float]


def largest(
    function: Callable[..., Array], axes: Sequence[Axis], *, points: int = 4096, rounds: int = 40, keep: int = 8,
    around: int = 48, also: Sequence[Mapping[str, float]] = (),
) -> Found:  # fmt: skip
    """Search a box for the largest value of a vectorized function of the axes' parameters.

    The corners, the points in `also` (in the middle of what they do not name) and `points` of a Sobol sequence, then
    `rounds` of `around` points about each of the `keep` best, in boxes that shrink and are clipped at the ends, so that
    a maximum on the boundary is found there. NaN counts as absent.

    Examples
    --------
    >>> import numpy as np
    >>> found = largest(lambda x, y: -np.abs(np.log(x / 3)) - (y - 0.25) ** 2, [Axis("x", 0.1, 100),
    ...                 Axis("y", 0, 1, log=False)])
    >>> abs(found.where["x"] - 3) < 1e-3 and abs(found.where["y"] - 0.25) < 1e-2 and not found.growth
    True
    """
    from scipy.stats import qmc

    rng = np.random.default_rng(20240602)
    corners = np.indices((2,) * len(axes)).reshape(len(axes), -1).T.astype(float)
    given = np.array([[a.unit(p[a.name]) if a.name in p else 0.5 for a in axes] for p in also]).reshape(-1, len(axes))
    unit = np.concatenate([corners, given, qmc.Sobol(len(axes), rng=rng).random(points)])

    def values(u: Array) -> Array:
        with np.errstate(all="ignore"):
            found = function(**{axis.name: axis.at(u[:, k]) for k, axis in enumerate(axes)})
        return np.where(np.isfinite(found), found, -np.inf)

    found = values(unit)
    centres = unit[_apart(unit, found, keep)]
    best = values(centres)
    radius = 0.5
    for _ in range(rounds):
        cloud = centres[:, None, :] + radius * (2 * rng.random((len(centres), around, len(axes))) - 1)
        # half of the moves change one parameter only
        one = rng.integers(len(axes), size=(len(centres), around // 2))
        stay = np.arange(len(axes)) != one[..., None]
        cloud[:, : around // 2] = np.where(stay, centres[:, None, :], cloud[:, : around // 2])
        cloud = np.clip(cloud, 0, 1)
        new = values(cloud.reshape(-1, len(axes))).reshape(len(centres), around)
        pick = new.argmax(axis=1)
        better = new[np.arange(len(centres)), pick] > best
        centres[better] = cloud[np.arange(len(centres)), pick][better]
        best[better] = new[np.arange(len(centres)), pick][better]
        radius *= _SHRINK
    top = int(best.argmax())
    where = {axis.name: float(axis.at(centres[top, k])) for k, axis in enumerate(axes)}
    return Found(float(best[top]), where, _growth(values, centres[top], float(best[top]), axes))


def _apart(unit: Array, found: Array, keep: int) -> list[int]:
    """The best points, no two of them closer than a tenth of the box."""
    chosen: list[int] = []
    alive = np.isfinite(found)
    while alive.any() and len(chosen) < keep:
        chosen.append(int(np.where(alive, found, -np.inf).argmax()))
        alive &= np.abs(unit - unit[chosen[-1]]).max(axis=1) > 0.1
    return chosen or [0]


def _growth(values: Callable[[Array], Array], at: Array, best: float, axes: Sequence[Axis]) -> dict[str, float]:
    growth = {}
    for k, axis in enumerate(axes):
        if not (axis.log and axis.low < axis.high and best > 0):
            continue
        if at[k] not in (0.0, 1.0) or ("low", "high")[int(at[k])] in axis.ends:
            continue
        inside = at.copy()
        step = min(0.5, 1 / np.log(axis.high / axis.low)) / 2  # a factor e^{1/2}
        inside[k] += step if at[k] == 0 else -step
        value = float(values(inside[None, :])[0])
        if value > 0:
            growth[axis.name] = float(np.log(best / value) / (step * np.log(axis.high / axis.low)))
    return growth
