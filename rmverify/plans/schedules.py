"""Schedules: where a sampler's steps lie between the first noise level and the last, and where its corrector runs.

Small variances show only at small levels, and there the score is steep: levels in geometric progression shorten the
steps with the level, and a corrector comes back whenever the target's smoothness has changed. Practice spaces levels in
other clocks, in those of sigma/alpha = sqrt(e^{2t} - 1) mostly; they are here to be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from rmverify.numbers.checks import Array, number, positive_integer
from rmverify.paths import level_of, sigma_of
from rmverify.plans.stages import Correct, Plan, Predict, Stage
from rmverify.schemes import underdamped
from rmverify.schemes.contract import Scheme
from rmverify.targets import Gaussian
from rmverify.targets.process import mode_variance

__all__ = ["MOST_STEPS", "Grid", "Levels", "level_of", "schedule", "sigma_of"]

Grid = Literal["geometric", "uniform", "cosine", "karras", "kl_optimal"]
MOST_STEPS = 20_000_000
"""Steps of the longest plan that is made: the level of every step is held in memory."""


@dataclass(frozen=True)
class Levels:
    """The noise levels of a plan, however many steps it has.

    Parameters
    ----------
    early_stop, horizon : float
        delta and T: the last level and the first one, 0 <= delta < T; delta > 0 on a geometric grid.
    grid : {"geometric", "uniform", "cosine", "karras", "kl_optimal"}
        How the levels between are spaced: geometrically; evenly in t; evenly in the time of the cosine schedule, whose
        alphas_cumprod is e^{-2t} = cos^2(pi (u+s)/(2 (1+s)))/cos^2(pi s/(2 (1+s))), s = 0.008 (Nichol, Dhariwal 2021);
        evenly in sigma^{1/7} (Karras et al. 2022); evenly in arctan sigma, sigma = sqrt(e^{2t} - 1).

    Examples
    --------
    >>> Levels(0.25, 4.0).of(2), Levels(0.0, 3.0, "uniform").of(3)
    (array([4.  , 1.  , 0.25]), array([3., 2., 1., 0.]))
    >>> sigma_of(Levels(0.0, 4.0, "karras").of(2)).round(3)  # the one between: 54.6 at T, over 2^7
    array([54.589,  0.426,  0.   ])
    """

    early_stop: float
    horizon: float
    grid: Grid = "geometric"

    def __post_init__(self) -> None:
        if self.grid not in get_args(Grid):
            raise ValueError(f"grid: expected one of {', '.join(map(repr, get_args(Grid)))}, got {self.grid!r}")
        if not number("horizon", self.horizon, above=0) > number("early_stop", self.early_stop, least=0):
            raise ValueError(f"horizon: expected a level above the last one, {self.early_stop:g}, got {self.horizon!r}")
        if self.grid == "geometric" and self.early_stop == 0:
            raise ValueError("early_stop: a geometric grid cannot reach 0; choose a level above 0, or a uniform grid")

    def of(self, steps: int) -> Array:
        """Those of so many steps, both ends as given."""
        if positive_integer("steps", steps) > MOST_STEPS:
            raise ValueError(f"steps: a plan holds the level of every step, at most {MOST_STEPS}; got {steps}")
        if self.grid == "geometric":
            return np.geomspace(self.horizon, self.early_stop, steps + 1)
        there, back = _CLOCKS[self.grid]
        levels = np.asarray(back(np.linspace(there(self.horizon), there(self.early_stop), steps + 1)))
        levels[[0, -1]] = self.horizon, self.early_stop
        return levels


_OFFSET = 0.008  # s of the cosine schedule
_FIRST_ANGLE = math.pi * _OFFSET / (2 * (1 + _OFFSET))


def _same(t: Any) -> Any:
    return t


_CLOCKS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "uniform": (_same, _same),
    "cosine": (  # linear in u as the angle is
        lambda t: np.arccos(np.exp(-t) * math.cos(_FIRST_ANGLE)),
        lambda angle: (  # e^{2t} - 1 = cos^2(first)/cos^2(angle) - 1
            np.log1p(np.sin(angle - _FIRST_ANGLE) * np.sin(angle + _FIRST_ANGLE) / np.cos(angle) ** 2) / 2
        ),
    ),
    "karras": (lambda t: sigma_of(t) ** (1 / 7), lambda root: level_of(root**7)),
    "kl_optimal": (lambda t: np.arctan(sigma_of(t)), lambda angle: level_of(np.tan(angle))),
}
"""The clocks in which levels are evenly spaced: from t, and back."""


def schedule(
    target: Gaussian, scheme: Scheme, where: Levels, steps: int, *, corrector: bool = False, corrector_time: float = 1.0
) -> Plan:
    """N predictor steps from T to delta; with the corrector, underdamped Langevin at the end of every window.

    A window has the length 1/L(t), L(t) = max_i 1/v_i(t) at its start (at least 1), and at most halves t. It ends at
    the first level of the grid at or below; its corrector has as many steps as its predictor, friction sqrt(L) and
    T_corr = c/(sqrt(L) d^{1/18}), L at its own level.

    Parameters
    ----------
    target : Gaussian
        Its variances decide where the windows end.
    scheme : predictor
    where : Levels
        Such as `rmverify.studies.budget.setting` finds for an accuracy.
    steps : int
        N, at most 20 million.
    corrector : bool
    corrector_time : float
        c.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        For steps and levels that make no sense; with the corrector, where the target is singular at the last level.

    Examples
    --------
    >>> from rmverify import Gaussian, plans, schemes
    >>> plan = plans.schedule(Gaussian.isotropic(4.0, 3), schemes.heun, plans.Levels(0.01, 3.0), 20, corrector=True)
    >>> plan.evaluations  # two a step, and one corrector step for each
    60
    """
    if not isinstance(where, Levels):
        raise ValueError(f"where: expected Levels, got {type(where).__name__}")
    levels = where.of(steps)
    constant = number("corrector_time", corrector_time, above=0)
    if not corrector:
        return Plan([Predict(scheme, levels)])
    stages: list[Stage] = []
    first = 0
    for last in _window_ends(target, levels):
        level = float(levels[last])
        root = math.sqrt(_smoothness_at(target, level))
        count = last - first
        length = constant / (root * target.dim ** (1 / 18)) / count
        stages += [
            Predict(scheme, levels[first : last + 1]),
            Correct(underdamped(friction=root), level, length, count),
        ]
        first = last
    return Plan(stages)


def _smoothness_at(target: Gaussian, t: float) -> float:
    least = float(np.min(mode_variance(target.variances, t)))
    if least == 0:
        raise ValueError("where: the target is singular at level 0, so that no corrector can run there; stop above it")
    return max(1.0, 1 / least)


def _window_ends(target: Gaussian, levels: Array) -> list[int]:
    """Indices into `levels` at which a window ends; the last level always does."""
    ends: list[int] = []
    t, delta = float(levels[0]), float(levels[-1])
    while t > delta:
        edge = max(t - 1 / _smoothness_at(target, t), t / 2, delta)
        index = int(np.searchsorted(-levels, -edge * (1 + 1e-12)))
        index = min(max(index, (ends[-1] if ends else 0) + 1), levels.size - 1)
        ends.append(index)
        t = float(levels[index])
    return ends
