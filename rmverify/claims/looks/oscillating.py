r"""Why randomize (B7): a score error that oscillates in t with the step's own period.

The estimated score is s_t(x) + b cos(2 pi (t - T)/h), steps of length h start at T. Every step of a deterministic
scheme meets the error in one phase, and the pieces add up; a random midpoint meets it in all phases, and they cancel
in the mean. What does not cancel is the spread over the midpoints, of order sqrt(h): without b the deterministic
midpoint is the better scheme, and `smooth` measures that too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rmverify import schemes
from rmverify.errors.local import coupling_error
from rmverify.numbers.values import Value
from rmverify.plans import Plan, Predict, footprint
from rmverify.schemes.contract import Scheme
from rmverify.targets import EstimatedScore, Gaussian

__all__ = ["Oscillation", "Resonance", "Smooth", "beginning", "resonance", "smooth"]

SCHEMES = ("exponential_integrator", "heun", "midpoint", "randomized_midpoint")
MEAN = "randomized_midpoint, mean"
"""E_alpha of the scheme: what is left of the error when the midpoints are averaged out."""

SHIPPED: Callable[[str], Scheme] = functools.partial(getattr, schemes)
SETTING = Gaussian.isotropic(0.25, 1)
REACH = 100.0  # windows: from further up, floats round an error that oscillates within a step


@dataclass(frozen=True)
class Oscillation:
    """b cos(2 pi (t - origin)/period) as a function of t: numbers, arrays or balls.

    Parameters
    ----------
    amplitude : number or tuple of numbers
        b, one for all modes or one for each.
    period, origin : number
        In the process's time.

    Examples
    --------
    >>> float(Oscillation(0.5, period=0.25, origin=1.0)(0.75))
    0.5
    """

    amplitude: Any
    period: float
    origin: float = 0.0

    def __call__(self, t: Any) -> Any:
        return np.asarray(self.amplitude)[()] * np.cos(2 * math.pi / self.period * (t - self.origin))


class Resonance(NamedTuple):
    """Exact errors after `steps` steps of length `step`: sqrt(E|x^ - x*|^2)/eps_sc by scheme, under `MEAN`
    sqrt(E|E_alpha x^ - x*|^2)/eps_sc; eps_sc is the root mean square over t of the exact |s^ - s|_{L2(q_t)}."""

    steps: int
    step: float
    eps_sc: Value
    errors: Mapping[str, Value]


class Smooth(NamedTuple):
    """Errors sqrt(E|x^ - x*|^2/d) with the exact score, of plans that cost the same number of evaluations."""

    evaluations: int
    errors: Mapping[str, Value]


def resonance(
    scheme: Callable[[str], Scheme] = SHIPPED, target: Gaussian = SETTING,
    steps: Sequence[int] = (8, 16, 32, 64, 128), amplitude: float = 1.0,
) -> tuple[Resonance, ...]:  # fmt: skip
    r"""The error that schemes collect over a window 1/L from `beginning` down, b_t = `amplitude` cos in step with them.

    Leading terms, per mode and with v_1 the variance at the window's end:
    +-b sqrt(v_1) int v^{-1/2} dt for a scheme that meets one phase, whatever N;
    (bh/2) sqrt(v_1) int v^{-3/2} dt for the mean of the randomized midpoint, from b in its first stage;
    sqrt(h/2) b sqrt(v_1 int v^{-1} dt) for its spread, from cos(2 pi alpha) in its second.

    Examples
    --------
    >>> (row,) = resonance(steps=[32])
    >>> row.errors["midpoint"] > 200 * row.errors["randomized_midpoint, mean"]
    True
    """
    L, top = _smoothness(target), beginning(target)
    rows = []
    for count in steps:
        levels = np.linspace(top, top - 1 / L, count + 1)
        h = 1 / (L * count)
        estimate = EstimatedScore(target, bias=Oscillation(amplitude, period=h, origin=top))
        eps_sc = _root_mean_square([estimate.error(top - h * k / 8) for k in range(8)])  # exact for cos^2
        errors = {}
        for name in SCHEMES:
            error = coupling_error(Plan([Predict(scheme(name), levels)]), estimate, start="exact")
            errors[name] = _root(error.mean_square, eps_sc)
        errors[MEAN] = _root(error.bias, eps_sc)
        rows.append(Resonance(count, h, eps_sc, errors))
    return tuple(rows)


def smooth(
    scheme: Callable[[str], Scheme] = SHIPPED, target: Gaussian = SETTING,
    evaluations: Sequence[int] = (16, 32, 64, 128, 256),
) -> tuple[Smooth, ...]:  # fmt: skip
    """The same window with the exact score, at equal numbers of evaluations.

    Examples
    --------
    >>> (row,) = smooth(evaluations=[16])
    >>> row.errors["midpoint"] < row.errors["randomized_midpoint"] / 100
    True
    """
    top = beginning(target)
    end = top - 1 / _smoothness(target)
    rows = []
    for count in evaluations:
        errors = {}
        for name in SCHEMES:
            levels = np.linspace(top, end, count // footprint(scheme(name)).evaluations + 1)
            error = coupling_error(Plan([Predict(scheme(name), levels)]), target)
            errors[name] = _root(error.mean_square, math.sqrt(target.dim))
        rows.append(Smooth(count, errors))
    return tuple(rows)


def beginning(target: Gaussian) -> float:
    """The level from which the window goes down: 1, or lower where 1/L is tiny.

    Examples
    --------
    >>> beginning(SETTING), beginning(Gaussian.isotropic(2.0**-40, 1)) == 100 * 2.0**-40
    (1.0, True)
    """
    return min(1.0, REACH / _smoothness(target))


def _smoothness(target: Gaussian) -> float:
    L = target.path_smoothness()
    if math.isinf(L):
        raise ValueError(f"target: a variance of 0 leaves no window of length 1/L: {target!r}")
    return L


def _root_mean_square(values: Sequence[Value]) -> Value:
    result = math.hypot(*values) / math.sqrt(len(values))
    return Value(result, "exact", max(value.error for value in values) + 4 * np.finfo(float).eps * result)


def _root(square: Value, unit: float) -> Value:
    result = math.sqrt(square) / unit
    relative = square.error / (2 * square) if square else 0.0
    relative += unit.error / unit if isinstance(unit, Value) else 0.0
    return Value(result, "exact", result * (relative + 4 * np.finfo(float).eps))
