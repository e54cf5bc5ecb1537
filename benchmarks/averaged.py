"""The law of a randomized plan, averaged over its midpoints, on the digits: TV against time.

* `rm.tv(law, goal, accuracy=)` at the plans of `rmverify budget digits` with 60 to 320 steps: goals 1 % in 2 s and
  0.1 % in 60 s.
* Beside it brute force: independent midpoints, a fresh set of 1024 paths for each batch of points, written out plainly.
  It runs for a while; the time in the table is what the half-width of `rm.tv` would take it, in proportion to the
  square of its own. `ratio` is that time over the one of `rm.tv`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rmverify as rm
from benchmarks.record import Record, measure
from rmverify.io import read_covariance
from rmverify.plans import schedule
from rmverify.studies.budget import setting
from rmverify.targets.spectra import spectrum

__all__ = ["run"]

Array = NDArray[Any]
_PATHS, _POINTS = 1024, 2048


def run(quick: bool) -> Iterator[Record]:
    """All rows; `quick` leaves the half-width at 1 %."""
    covariance = read_covariance("digits")
    target = spectrum(rm.Gaussian(np.zeros(len(covariance)), covariance))
    where = setting(target, 0.1)
    goal = target.at(where.early_stop)
    for steps in (60, 120, 160, 320):
        plan = schedule(target, rm.schemes.randomized_midpoint, where, steps, corrector=False)
        law = rm.output_law(plan, target)
        brute, half, seconds = _brute(plan, target.variances, goal.variances, 3.0 if quick else 20.0)
        for accuracy, limit in ((0.01, 2.0),) if quick else ((0.01, 2.0), (0.001, 60.0)):
            found = measure(lambda law=law, accuracy=accuracy: rm.tv(law, goal, accuracy=accuracy), 3)  # type: ignore[misc]
            value = found.result
            case = f"digits, {steps} steps, asked {accuracy:.1%}"
            yield Record(
                "averaged", case, "rm.tv", found.median, found.least, limit, value=float(value),
                stated=value.error / value,
            )  # fmt: skip
            needed = seconds * (half / value.error) ** 2
            yield Record(
                "averaged", case, "independent paths", needed, value=brute, stated=half / brute,
                ratio=needed / found.median, note=f"scaled from {seconds:.0f} s",
            )  # fmt: skip


def _brute(plan: rm.Plan, variances: Array, goal: Array, least: float) -> tuple[float, float, float]:
    """TV by independent paths, the half-width of its interval of 95 %, and the seconds it took."""
    rng, ends, start = np.random.default_rng(0), [], time.perf_counter()
    while time.perf_counter() - start < least or len(ends) < 16:
        both = _ratios(plan, variances, goal, rng), _ratios(plan, variances, goal, rng)
        z = rng.standard_normal((_POINTS, goal.size)) ** 2
        z[: _POINTS // 2] *= both[0][rng.integers(0, _PATHS, _POINTS // 2)]
        first, second = (_log_ratio(z, ratio) for ratio in both)
        signed = np.tanh(first / 2)
        ends.append((np.abs(signed).mean(), (signed * np.sign(second)).mean()))
    seconds = time.perf_counter() - start
    upper, lower = np.array(ends).T
    wide = 1.96 / np.sqrt(len(ends))
    low, high = lower.mean() - wide * lower.std(ddof=1), upper.mean() + wide * upper.std(ddof=1)
    return float(low + high) / 2, float(high - low) / 2, seconds


def _ratios(plan: rm.Plan, variances: Array, goal: Array, rng: np.random.Generator) -> Array:
    """The variances over the goal's, given independent midpoints."""

    def level(t: Array) -> Array:
        return np.asarray(variances * np.exp(-2 * t) - np.expm1(-2 * t))

    slope = np.ones((_PATHS, goal.size))
    for t, h in zip(*plan.stages[0].grid, strict=True):
        a = rng.random((_PATHS, 1))
        half = np.exp(a * h) - np.expm1(a * h) / level(t)
        slope *= np.exp(h) - h * np.exp((1 - a) * h) * half / level(t - a * h)
    return np.asarray(slope * slope / goal)


def _log_ratio(squares: Array, ratio: Array) -> Array:
    """ln of the average over the paths of dP/dq."""
    x = squares @ ((1 - 1 / ratio) / 2).T - np.log(ratio).sum(axis=1) / 2
    top = x.max(axis=1)
    return np.asarray(top + np.log(np.exp(x - top[:, None]).mean(axis=1)))
