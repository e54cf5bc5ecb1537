"""Exact laws and errors.

* The conditional law of 1000 steps of the randomized midpoint on 1000 distinct modes, midpoints given: goal < 0.5 s,
  with its accuracy against the plain recursion in extended precision, and beside that recursion in NumPy.
* The same on 10 distinct modes in dimension 10, 10^6 and 10^12: the cost is that of the modes, whatever d.
* The exact unconditional law where all variances are equal, a scale mixture: time per step at 320 and 10^4 steps, as a
  Gauss rule and as a lattice, and its TV to the target from d = 100 to 10^12.
* The variance of 10^6 deterministic steps relative to the exact flow, to its own relative accuracy.
* Exact moments of the mixture over midpoints: 1000 centred modes, and 64 modes with means, whose conditional means are
  correlated.
* Exact averages of one step of 64 strata and 4 rounds, as a chain over its strata: goal 15 ms.
* One-step errors over balls, rounded once.
* Beyond Gaussians: TV of a product given its midpoints from d = 1 to 10^12, and on the line the law averaged over
  midpoints, without and with the underdamped corrector: goals 1e-8 stated, and one minute.
* The law that a Langevin step leaves invariant, and its TV to the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rmverify as rm
from benchmarks.record import Record, measure
from rmverify.laws.averages.strata import averages
from rmverify.laws.scale import log_defect
from rmverify.numbers.quadrature import unit_rule
from rmverify.plans import footprint
from rmverify.readings.cells import read_chain

__all__ = ["run"]

Array = NDArray[Any]
MANY = rm.schemes.parallel_midpoint(strata=64, rounds=4)


def run(quick: bool) -> Iterator[Record]:
    """All rows; `quick` only lowers the repeats."""
    repeats = 3 if quick else 11
    yield from _conditional(repeats)
    yield from _dimensions(repeats)
    yield from _averaged(repeats)
    yield from _local(repeats)
    yield from _beyond(3)


def _plan(steps: int, start: float = 5.0, end: float = 0.01) -> rm.Plan:
    return rm.Plan([rm.Predict(rm.schemes.randomized_midpoint, np.geomspace(start, end, steps + 1))])


def _recursion(plan: rm.Plan, variances: Array, alphas: Array) -> Array:
    """The variances of the output given the midpoints by the plain recursion, in the dtype of `variances`."""
    kind = variances.dtype.type
    times = plan.stages[0].grid[0].astype(kind), plan.stages[0].grid[1].astype(kind)

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
    for steps in (320, 10_000):
        target, plan = rm.Gaussian.isotropic(0.25, 100), _plan(steps)
        for form, size in (("scale_rule", 24), ("scale_rule", 12), ("scale_lattice", 6.0)):
            timing = measure(
                lambda form=form, size=size, plan=plan, target=target: getattr(rm.output_law(plan, target), form)(size),
                repeats,
            )
            yield Record(
                "laws",
                f"scale mixture, equal variances, {steps} steps",
                f".{form}({size})",
                timing.median,
                timing.least,
                note=f"{timing.median / steps * 1e6:.0f} us a step",
            )
    for dim, steps in ((100, 320), (10**6, 100), (10**6, 3000), (10**12, 100), (10**12, 10_000)):
        target, plan = rm.Gaussian.isotropic(0.25, dim), _plan(steps, 3.0, 1.0)
        end = target.at(plan.end)
        tv = measure(
            lambda plan=plan, target=target, end=end: rm.tv(rm.output_law(plan, target, start="exact"), end), repeats
        )
        yield Record(
            "laws",
            f"unconditional TV to the target, d={dim:.0e}, {steps} steps",
            "rm.tv",
            tv.median,
            tv.least,
            stated=tv.result.error / tv.result,
            note=f"TV {float(tv.result):.3g}",
        )
    steps = 10**6
    target, plan = rm.Gaussian.isotropic(0.25, 10**12), rm.Plan([
        rm.Predict(rm.schemes.midpoint, np.linspace(3.0, 0.0, steps + 1))
    ])  # fmt: skip
    timing = measure(lambda: log_defect(plan, target, start="exact"), repeats)
    (u,), (error,) = timing.result
    yield Record(
        "laws",
        f"variance relative to the exact flow, {steps:.0e} deterministic steps",
        "log_defect",
        timing.median,
        timing.least,
        stated=float(error / abs(u)),
        note=f"{u:.3g}; {timing.median / steps * 1e6:.2f} us a step",
    )
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

    foot, t, h = footprint(MANY), np.full((1, 1, 1), 1.0), np.full((1, 1, 1), 0.1)
    for target, kind in ((rm.Gaussian([0.0], [0.25]), "centred"), (rm.Gaussian([1.0], [0.25]), "with a mean")):
        timing = measure(
            lambda target=target: averages(
                read_chain(MANY, foot, target.modes, t, h, unit_rule(12)[0]), unit_rule(12)[1]
            ),
            repeats,
        )
        yield Record(
            "laws",
            f"averages of a step, 64 strata, 4 rounds, {kind}",
            "strata.averages",
            timing.median,
            timing.least,
            0.015,
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


def _beyond(repeats: int) -> Iterator[Record]:
    peaks, times = rm.targets.TwoGaussians(2.0), np.linspace(3.0, 0.2, 15)
    predict = rm.Predict(rm.schemes.randomized_midpoint, times)
    for exponent in (0, 3, 12):
        target = rm.Product(peaks, 10**exponent)
        law = rm.output_law(rm.Plan([predict]), target, alphas=[0.4] * 14, start="exact")
        timing = measure(lambda law=law, target=target: rm.tv(law, target.at(0.2)), repeats)
        yield Record(
            "laws", f"two peaks, 14 steps given their midpoints, d=1e{exponent}", "rm.tv", timing.median, timing.least,
            stated=timing.result.error / timing.result, note=f"TV {float(timing.result):.3g}",
        )  # fmt: skip
    kicks = rm.Correct(rm.schemes.underdamped(friction=2.0), 0.2, 0.05, 4)
    for plan, words in ((rm.Plan([predict]), ""), (rm.Plan([predict, kicks]), " and 4 of the underdamped corrector")):
        timing = measure(lambda plan=plan: rm.output_law(plan, peaks, start="exact"), repeats)
        yield Record(
            "laws", f"two peaks, 14 steps{words}, averaged", "rm.output_law", timing.median, timing.least, 60.0,
            stated=timing.result.error, note=f"TV {float(rm.tv(timing.result, peaks.at(0.2))):.3g}",
        )  # fmt: skip
    target = rm.Gaussian.isotropic(1.0, 10**6)
    step = rm.schemes.randomized_midpoint_langevin(friction=2)
    timing = measure(lambda: rm.tv(rm.stationary_law(step, target, 0.01), target), repeats)
    yield Record(
        "laws", "invariant law of randomized midpoint Langevin, h = 0.01, d=1e6", "rm.stationary_law + rm.tv",
        timing.median, timing.least, stated=timing.result.error / timing.result, note=f"TV {float(timing.result):.3g}",
    )  # fmt: skip
