"""Exact laws and errors.

* The conditional law of 1000 steps of the randomized midpoint on 1000 distinct modes, midpoints given: goal < 0.5 s,
  with its accuracy against the plain recursion in extended precision, and beside that recursion in NumPy.
* The same on 10 distinct modes in dimension 10, 10^6 and 10^12: the cost is that of the modes, whatever d.
* The exact unconditional law where all variances are equal, a scale mixture: time per step at 320 steps.
* Exact moments of the mixture over midpoints: 1000 centred modes, and 64 modes with means, whose conditional means are
  correlated.
* One-step errors over balls, rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rmverify as rm
from benchmarks.record import Record, measure

__all__ = ["run"]

Array = NDArray[Any]


def run(quick: bool) -> Iterator[Record]:
    """All rows; `quick` only lowers the repeats."""
    repeats = 3 if quick else 11
    yield from _conditional(repeats)
    yield from _dimensions(repeats)
    yield from _averaged(repeats)
    yield from _local(repeats)


def _plan(steps: int, start: float = 5.0, end: float = 0.01) -> rm.Plan:
    return rm.Plan([rm.Predict(rm.schemes.randomized_midpoint, np.geomspace(start, end, steps + 1))])


def _recursion(plan: rm.Plan, variances: Array, alphas: Array) -> Array:
    """The variances of the output given the midpoints by the plain recursion, in the dtype of `variances`."""
    kind = variances.dtype.type
    times = plan.stages[0].steps_[0].astype(kind), plan.stages[0].steps_[1].astype(kind)

    def level(t: Any) -> Array:
        return variances * np.exp(-2 * t) - np.expm1(-2 * t)

    result = np.ones_like(variances)
    for t, h, a in zip(*times, alphas.astype(kind), strict=True):
        half = np.exp(a * h) - np.expm1(a * h) / level(t)
        slope = np.exp(h) - h * np.exp((1 - a) * h) * half / level(t - a * h)
        result = slope * slope * result
    return result


def _conditional(repeats: int) -> Iterator[Record]:
    rng = np.random.default_rng(1)
    variances = np.exp(rng.uniform(-4, 2, 1000))
    target, plan, alphas = rm.Gaussian(np.zeros(1000), variances), _plan(1000), rng.random(1000)
    case = "law given midpoints, 1000 steps x 1000 modes"
    own = measure(lambda: rm.output_law(plan, target, alphas=alphas), repeats)
    other = measure(lambda: _recursion(plan, variances, alphas), repeats)
    extended = _recursion(plan, variances.astype(np.longdouble), alphas)

    def worst(values: Array) -> float:
        return float(np.max(np.abs(values / extended - 1)))

    yield Record(
        "laws",
        case,
        "rm.output_law",
        own.median,
        own.least,
        0.5,
        relative=worst(own.result.variances),
        stated=float(own.result.rounding.max()),
        ratio=own.median / other.median,
    )
    yield Record("laws", case, "plain recursion, NumPy", other.median, other.least, relative=worst(other.result))


def _dimensions(repeats: int) -> Iterator[Record]:
    variances = np.geomspace(0.1, 10, 10)
    plan, alphas = _plan(1000), np.random.default_rng(2).random(1000)
    first = None
    for exponent in (0, 5, 11):
        target = rm.Gaussian.from_spectrum(variances, np.full(10, 10.0**exponent))
        end = target.at(plan.end)
        timing = measure(lambda target=target: rm.output_law(plan, target, alphas=alphas), repeats)
        tv = measure(lambda law=timing.result, end=end: rm.tv(law, end), repeats)
        total = timing.median + tv.median
        first = first or total
        yield Record(
            "laws",
            f"the same, 10 modes, d=1e{exponent + 1}, over d=10",
            "rm.output_law + rm.tv",
            total,
            timing.least + tv.least,
            ratio=total / first,
            note=f"TV {float(tv.result):.3g}",
        )


def _averaged(repeats: int) -> Iterator[Record]:
    target, plan = rm.Gaussian.isotropic(0.25, 100), _plan(320)
    mixture = measure(lambda: rm.output_law(plan, target).scale_mixture, repeats)
    yield Record(
        "laws",
        "scale mixture, equal variances, 320 steps",
        ".scale_mixture",
        mixture.median,
        mixture.least,
        note=f"{mixture.median / 320 * 1e6:.0f} us a step",
    )
    law, end = rm.output_law(plan, target), target.at(plan.end)
    tv = measure(lambda: rm.tv(law, end), repeats)
    yield Record("laws", "its TV to the target, d=100", "rm.tv", tv.median, tv.least, note=f"TV {float(tv.result):.3g}")
    rng = np.random.default_rng(4)
    for modes, steps, shifted in ((1000, 300, False), (64, 300, True)):
        mean = rng.standard_normal(modes) if shifted else np.zeros(modes)
        target, plan = rm.Gaussian(mean, np.exp(rng.uniform(-4, 2, modes))), _plan(steps)
        timing = measure(lambda plan=plan, target=target: rm.output_law(plan, target).variances, repeats)
        kind = "with means" if shifted else "centred"
        yield Record(
            "laws",
            f"moments of the mixture, {modes} modes, {kind}, {steps} steps",
            ".variances",
            timing.median,
            timing.least,
            note=f"{timing.median / steps * 1e6:.0f} us a step",
        )


def _local(repeats: int) -> Iterator[Record]:
    for modes in (1, 64):
        target = rm.Gaussian(np.zeros(modes), np.geomspace(0.05, 4.0, modes) if modes > 1 else np.array([0.25]))
        timing = measure(
            lambda target=target: rm.local_error(rm.schemes.randomized_midpoint, target, 1.0, 1e-3), repeats
        )
        error = timing.result.mean_square
        yield Record(
            "laws",
            f"one-step error over balls, {modes} mode(s), h=1e-3",
            "rm.local_error",
            timing.median,
            timing.least,
            stated=error.error / error,
            note=f"E|x-x*|^2 = {float(error):.3g}",
        )
