"""What B measures: one step and one window of the predictors.

Here the order in h is decided, and with it everything that the theorems of D say.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import measure
from rmverify.claims.looks.constants import leading_constants
from rmverify.claims.looks.oscillating import MEAN, SETTING, beginning, resonance, smooth
from rmverify.claims.looks.parallel_steps import LONG, ROUNDS, SHORT, STRATA, step_errors
from rmverify.claims.looks.search import Axis
from rmverify.errors.jets import integral_jets
from rmverify.errors.local import coupling_error, window_errors
from rmverify.exponents import Bound
from rmverify.numbers.values import Value
from rmverify.plans import Plan, Predict
from rmverify.targets import Gaussian


def b1(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        for name in ("randomized_midpoint", "parallel_midpoint"):
            yield unbiased_on_powers(look, name)


def unbiased_on_powers(look: Look, name: str) -> Evidence:
    """Scores t -> (t - level)^p: the coefficients in h of both sides, over balls."""
    scheme = look.scheme(name)
    worst: dict[str, Any] | None = None
    count = 0
    for bound in ({"strata": 1, "rounds": 1}, {"strata": 3, "rounds": 1}) if name == "parallel_midpoint" else ({},):
        step = scheme(**bound) if bound else scheme
        for power in range(4):
            for n, difference in enumerate(integral_jets(step, power, 8)):
                count += 1
                if worst is None and not difference.contains(0):
                    worst = {"score": f"r^{power}", "power of h": n, "difference": float(difference.mid())} | bound
    what = f"{name} on scores that are powers of the time, as power series over balls"
    if worst is None:
        return Evidence("exact", what, "holds", computed=f"{count} coefficients agree", bound="0")
    value = Value(worst["difference"], "exact", 1e-15 * abs(worst["difference"]))
    return Evidence("exact", what, "violated", computed=f"difference {worst['difference']:.6g} h^{worst['power of h']}",
                    bound="0", constant=value, where=worst)  # fmt: skip


def _of_one_step(look: Look, name: str, which: str, bound: Bound, entries: tuple[str, ...] = ()) -> Iterator[Evidence]:
    """Leading constants, then the largest ratio with a perfect score and with an estimated one, then its enclosure."""
    if look.wants("exact"):
        yield leading_constants(look, name, entries)
        yield measure.one_step(look, name, which, bound)
        yield measure.one_step(look, name, which, bound, score=True)
    if look.wants("certified"):
        yield measure.certified(look, name, which, bound)


def b2(look: Look, bound: Bound) -> Iterator[Evidence]:
    return _of_one_step(look, "randomized_midpoint", "bias", bound, ("slope", "mean"))


def b3(look: Look, bound: Bound) -> Iterator[Evidence]:
    return _of_one_step(look, "randomized_midpoint", "variance", bound, ("variance", "variance_of_mean"))


def b4(look: Look, bound: Bound) -> Iterator[Evidence]:
    return _of_one_step(look, "exponential_integrator", "mean_square", bound)  # its variance is 0: the error is bias


def b5(look: Look, random: Bound, exponential: Bound) -> Iterator[Evidence]:
    for name, bound in (("randomized_midpoint", random), ("exponential_integrator", exponential)):
        perfect = bound.at(eps_sc=0)
        if look.wants("exact"):
            yield _window_ratio(look, name, perfect)
        if look.wants("fitted"):
            yield _window_slope(look, name, float(perfect.power("h")))


def _window_ratio(look: Look, name: str, bound: Bound) -> Evidence:
    scheme = look.scheme(name)
    axes = [*measure.class_axes(look), Axis("t L", 1, 100, ends=("low",))]
    best: Evidence | None = None
    for steps in (1, 2, 4, 8, 16, 32):

        def ratio(lam: Any, n: Any, L: Any, steps: int = steps, **p: Any) -> Any:
            h = 1 / (L * steps)
            errors = window_errors(scheme, lam, p["t L"] / L, h, steps=steps)
            return np.sqrt(sum(errors) @ n) / bound(L=L, d=n.sum(), h=h)[:, 0]

        def exact(where: Any, steps: int = steps) -> Value:
            target = measure.spectrum(look) or Gaussian.isotropic(where["lambda"], 1)
            L = 1 / min(1.0, float(target.variances.min()))
            error = _window(scheme, target.with_modes(target.variances, 0.0), where["t L"] / L, L, steps)
            value = error / bound(L=L, d=target.dim, h=1 / (L * steps))
            return Value(value, "exact", 1e-13 * value)

        found = measure.searched(
            f"the largest ratio of the coupling error of {name} over a window to its bound, perfect score",
            measure.over_class(look, ratio), axes, computed="root mean square of x' - x*", bound=str(bound),
            exact=exact, effort=measure.effort(look, 256, 16, 8, 48),
            domain="1 to 32 steps of h = 1/(L N), t - 1/L >= 0",
        )  # fmt: skip
        found = replace(found, where={**found.where, "steps": steps})
        if best is None or (found.constant or 0) > (best.constant or 0):
            best = found
    assert best is not None
    return best


def _window(scheme: Any, target: Gaussian, t: float, L: float, steps: int) -> float:
    times = t - np.linspace(0, 1 / L, steps + 1)
    times[-1] = max(times[-1], 0.0)
    return math.sqrt(coupling_error(Plan([Predict(scheme, times)]), target, start="exact").mean_square)


def _window_slope(look: Look, name: str, power: float) -> Evidence:
    target = measure.spectrum(look) or Gaussian.from_spectrum([0.25, 4.0], [3, 2])
    L = target.path_smoothness()
    t = 2 / L
    steps = [8, 16, 32, 64]
    y = [_window(look.scheme(name), target, t, L, n) for n in steps]
    return measure.fitted(
        f"coupling error of {name} over one window", [1 / (L * n) for n in steps], y, power, names=("h", "error"),
        domain="window from 2/L to 1/L" + ("" if look.target is not None else ", variances 1/4 (3 of them) and 4 (2)"),
    )  # fmt: skip


def b6(look: Look, floor: Bound, variance: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "parallel_midpoint")
    if look.wants("exact") or look.wants("fitted"):
        powers = {what: float(bound.power("1/R")) for what, bound in (("bias", floor), ("variance", variance))}
        yield from _strata(look, powers)


def _strata(look: Look, powers: Mapping[str, float]) -> Iterator[Evidence]:
    """The fall with K at a long step, the floor and the variance against R at a short one."""
    target = measure.spectrum(look) or Gaussian.isotropic(0.25, 1)
    target = target.with_modes(target.variances, 0.0)
    scheme, level = look.scheme("parallel_midpoint"), max(1.0, 2 * LONG)
    short = step_errors(scheme, target, level, SHORT)
    where = f"t = {level:g}, R from 1 to 64, h = "
    if look.wants("exact"):
        spread = max(abs(short["bias"][R, 0] / short["bias"][1, 0] - 1) for R in STRATA)
        yield Evidence(
            "exact", "the bias without Picard rounds does not depend on R", "holds" if spread <= 1e-12 else "violated",
            computed=f"relative spread over R {spread:.2g}", bound="0", domain=f"{where}{SHORT:g}"
        )  # fmt: skip
        long = step_errors(scheme, target, level, LONG, strata=(1, 8, 64))
        falls = {R: [float(long["bias"][R, K]) for K in ROUNDS] for R in (1, 8, 64)}
        floor = falls[64][-1]
        falling = floor < falls[64][0] and all(b < max(a, 1.01 * floor) for a, b in itertools.pairwise(falls[64]))
        stuck = falls[1][-1] > falls[64][-1]
        rows = tuple({"K": K} | {f"bias at R = {R}": falls[R][K] for R in falls} for K in ROUNDS)
        yield Evidence(
            "exact", "with many strata, not with one, the bias falls with the Picard rounds to a floor",
            "holds" if falling and stuck else "violated",
            computed=f"from {falls[64][0]:.3g} to {falls[64][-1]:.3g} at R = 64, {falls[1][-1]:.3g} at R = 1",
            bound="a floor that R sets", domain=f"{where}{LONG:g}, K from 0 to 4", rows=rows,
        )  # fmt: skip
    if look.wants("fitted"):
        for K, what in ((4, "bias"), *((K, "variance") for K in ROUNDS)):
            x, y = [1 / R for R in STRATA], [float(short[what][R, K]) for R in STRATA]
            yield measure.fitted(
                f"{'floor of the bias' if what == 'bias' else 'variance'} against 1/R at K = {K}", x, y, powers[what],
                names=("1/R", what), domain=f"{where}{SHORT:g}", relative=1e-10,
            )  # fmt: skip


def b7(look: Look, mean: Bound, spread: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        for name in ("midpoint", "heun", "euler"):
            yield leading_constants(look, name)
    target = measure.spectrum(look) or SETTING
    where = f"window from {beginning(target):g} down by 1/L{'' if look.target is not None else ', variance 1/4'}"
    if look.wants("fitted"):
        loud = 1e6 * math.sqrt(float(target.variances.max()))  # the step's own error does not count beside it
        rows = resonance(look.scheme, target.with_modes(target.variances, 0.0), amplitude=loud)
        h = [row.step for row in rows]
        of_mean, of_spread = (float(bound.power("h")) for bound in (mean, spread))
        for name, power in (("midpoint", 0.0), ("heun", 0.0), (MEAN, of_mean), ("randomized_midpoint", of_spread)):
            errors = [float(row.errors[name]) for row in rows]
            yield measure.fitted(
                f"error of {name} in units of eps_sc", h, errors, power, names=("h", "error"), domain=where,
                at_least=look.target is not None and power > 0, relative=1e-12 + 1e-15 / h[-1],  # of the phase 2 pi t/h
            )  # fmt: skip
    if look.wants("exact"):
        plain = smooth(look.scheme, target.with_modes(target.variances, 0.0))
        worst = max(row.errors["midpoint"] / row.errors["randomized_midpoint"] for row in plain)
        table = tuple({"evaluations": row.evaluations} | dict(row.errors) for row in plain)
        counts = [row.evaluations for row in plain]
        curves = {name: (counts, [float(row.errors[name]) for row in plain]) for name in plain[0].errors}
        picture = {"curves": curves, "x": "score evaluations", "y": "root mean square error"}
        yield Evidence(
            "exact", "without such an error the deterministic midpoint is as good or better on Gaussians",
            "holds" if worst <= 1 else "violated",
            computed=f"its error is at most {worst:.3g} times that of random midpoints", bound="1",
            constant=Value(worst, "exact", 1e-13 * worst), label="tight", rows=table, picture=picture,
            domain=f"{where}, exact score, equal numbers of evaluations",
        )  # fmt: skip
