"""What H measures: one step of other predictors.

A predictor is told from another by what its one step does, before any schedule or sampler is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from flint import arb

from rmverify import schemes
from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import measure
from rmverify.claims.looks.b import unbiased_on_powers
from rmverify.claims.looks.constants import leading_constants
from rmverify.elementary import log1p_minus
from rmverify.errors.local import local_error
from rmverify.exponents import Bound
from rmverify.laws.averages.rules import at_nodes, node_count
from rmverify.laws.conditional import column
from rmverify.numbers.values import Value
from rmverify.plans import Predict
from rmverify.readings.affine import read
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.schemes.contract import Scheme
from rmverify.targets import Gaussian
from rmverify.targets.gaussian import Modes
from rmverify.targets.process import mode_mean, mode_variance

TOP, BOTTOM = 3.0, 0.0625  # T and delta, where a whole run is looked at
RUNS = (0.25, 2.0, 9.0)  # variances of the data there; at 1 the closed forms are limits
COUNTS = tuple(2**k for k in range(4, 11))  # of steps
DIGITS = 1e-6
"""Relative deviation of a limit from its closed form that is no deviation."""


def h1(look: Look, bias: Bound, variance: Bound) -> Iterator[Evidence]:
    if not look.wants("exact"):
        return
    name = "importance_midpoint"
    yield unbiased_on_powers(look, name)
    yield leading_constants(look, name)
    yield _beside_the_uniform_midpoint(look, name)
    for which, bound in (("bias", bias), ("variance", variance)):
        yield measure.one_step(look, name, which, bound)
        yield measure.one_step(look, name, which, bound, score=True)


def _beside_the_uniform_midpoint(look: Look, name: str) -> Evidence:
    """The same bias at every mode, level and step; the two variances in a table."""
    rows: list[dict[str, Any]] = []
    worst, where = 0.0, {}
    for lam, mean in measure.modes_of(look):
        target = Gaussian.isotropic(lam, 1).with_modes(lam, mean)
        for t in measure.LEVELS:
            for part in (0.5, 1 / 64):
                place = {"lambda": lam, "m": mean, "t": t, "h": part * t}
                mine, plain = (
                    local_error(step, target, t, part * t) for step in (look.scheme(name), schemes.randomized_midpoint)
                )
                off = abs(mine.bias - plain.bias) - mine.bias.error - plain.bias.error
                if off > worst:
                    worst, where = off, place
                rows.append(place | {"its variance": mine.variance, "of a uniform midpoint": plain.variance})
    return Evidence(
        "exact", "its bias is that of the randomized midpoint at every step, and not its variance",
        "violated" if worst > 0 else "holds", computed=f"biases differ by at most {worst:.3g} beyond their errors",
        bound="0", where=where, rows=tuple(rows), domain="h = t/2 and t/64, perfect score",
        constant=Value(worst, "exact", 1e-15 * worst) if worst > 0 else None,
    )  # fmt: skip


# --- the reverse diffusion ----------------------------------------------------------------------------------------


def h2(look: Look) -> Iterator[Evidence]:
    if not look.wants("exact"):
        return
    for name in ("ddpm", "reverse_euler"):
        yield leading_constants(look, name)
    yield measure.residuals(
        "the mean of an ancestral step, and how far its variances are from that of x_{t-h} given x_t",
        _against_the_conditional(look),
    )


def _against_the_conditional(look: Look) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """What is left of the closed forms, over balls."""
    with precision(256):
        for lam, mean in measure.modes_of(look):
            for t in measure.LEVELS:
                for h in (t / 2, t / 64):
                    L, M, level, step = (arb(z) for z in (lam, mean, t, h))
                    before, after = mode_variance(L, level), mode_variance(L, level - step)
                    less, noised = -(-2 * step).expm1(), -(-2 * level).expm1()
                    slope, variance = (-step).exp() * after / before, less * after / before
                    shift = mode_mean(M, level - step) - slope * mode_mean(M, level)
                    left = L * (-2 * (level - step)).exp() * less**2 / (before * noised)
                    over = (2 * step).expm1() * less / before
                    place = {"lambda": lam, "m": mean, "t": t, "h": h}
                    for name, due in (("ddpm", variance - left), ("reverse_euler", variance + over)):
                        A, b, c = _one_step(look.scheme(name), Modes(*_row(L, M)), level, step)
                        for what, found in (("slope", A - slope), ("shift", b - shift), ("variance", c - due)):
                            yield {"scheme": name, "of": what} | place, found


def _one_step(scheme: Scheme, modes: Modes, t: Any, h: Any) -> list[Any]:
    """a, b and c of one step on one mode, as balls."""
    t, h = (_row(z)[0].reshape(1, 1, 1) for z in (t, h))
    return [np.ravel(part)[0] for part in read(lift_scheme(scheme), modes, t, h, None, lift).scalar]


def _row(*values: Any) -> list[Any]:
    return [np.array([value], dtype=object) for value in values]


def _moments(scheme: Scheme, lam: float, steps: int) -> tuple[float, float]:
    """E V/v - 1 and Var V/v^2 over the midpoints of the run of so many uniform steps, V the variance given them.

    Given its midpoint a step takes V to A^2 V + C, so that E V goes to E A^2 E V + E C, and Var V to E A^4 Var V + the
    variance over the midpoint of A^2 E V + C: nothing cancels.
    """
    stage = Predict(scheme, np.linspace(TOP, BOTTOM, steps + 1))
    modes, (t, h) = Modes(np.array([lam]), np.array([0.0])), map(column, stage.grid)
    if stage.footprint.alphas:
        step, weights = at_nodes(stage, modes, t, h, 2 * node_count(stage, modes)[0])
    else:
        step, weights = read(scheme, modes, t, h), np.ones((steps, 1))
    a, _, c = (np.broadcast_to(part, (*weights.shape, 1))[..., 0] for part in step.scalar)
    mean, variance = float(mode_variance(lam, TOP)), 0.0
    for A2, C, w in zip(a * a, c, weights, strict=True):
        given = A2 * mean + C
        mean = float(w @ given)
        variance = float(w @ (A2 * A2)) * variance + float(w @ (given - mean) ** 2)
    end = float(mode_variance(lam, BOTTOM))
    return mean / end - 1, variance / end**2


def _limit(values: list[float], length: list[float], power: int) -> float:
    """Of values/h^power as h goes to 0, by Romberg's table of runs whose number of steps doubles."""
    (limit,) = measure.romberg([value / h**power for value, h in zip(values, length, strict=True)])[-1]
    return float(limit)


def _whole_runs(
    look: Look, name: str, what: str, which: int, power: int, constant: Callable[[float, float, float], float]
) -> Evidence:
    """The leading constant of a moment of the variance after a whole run, against its closed form in v at both ends."""
    rows, worst, where = [], 0.0, {}
    for lam in RUNS:
        length = [(TOP - BOTTOM) / n for n in COUNTS]
        found = _limit([_moments(look.scheme(name), lam, n)[which] for n in COUNTS], length, power)
        due = constant(lam, *(float(mode_variance(lam, z)) for z in (TOP, BOTTOM)))
        off = abs(found / due - 1)
        rows.append({"lambda": lam, "limit": found, "closed form": due})
        if off >= worst:
            worst, where = off, {"lambda": lam, "limit": found, "closed form": due}
    return Evidence(
        "exact", f"{what} after a run of {name}, over h^{power}, as h goes to 0",
        "holds" if worst <= DIGITS else "violated", computed=f"relative deviation at most {worst:.2g}",
        bound=f"{DIGITS:g} of the closed form", where=where if worst > DIGITS else {}, rows=tuple(rows),
        domain=f"T = {TOP:g}, delta = {BOTTOM:g}, lambda in {RUNS}, {COUNTS[0]} to {COUNTS[-1]} steps, extrapolated",
        source="derived, proofs_checks",
    )  # fmt: skip


def _powers(
    look: Look, name: str, what: str, values: Callable[[float, float], float], power: float, **said: Any
) -> Evidence:
    length = [(TOP - BOTTOM) / n for n in COUNTS[2:]]
    y = [values(*_moments(look.scheme(name), RUNS[0], n)) for n in COUNTS[2:]]
    domain = f"T = {TOP:g}, delta = {BOTTOM:g}, lambda = {RUNS[0]:g}"
    return measure.fitted(what, length, y, power, names=("h", "error"), domain=domain, relative=1e-9, **said)


def h3(look: Look, bound: Bound) -> Iterator[Evidence]:
    name = "exponential_sde"
    if look.wants("exact"):
        yield leading_constants(look, name)
        yield _whole_runs(look, name, "V/v - 1", 0, 1, _frozen)
    if look.wants("fitted"):
        yield _powers(look, name, f"the variance of {name} off by", lambda off, _: abs(off), float(bound.power("h")))


def _frozen(lam: float, top: float, end: float) -> float:
    return 1 / end - end * math.exp(-2 * (TOP - BOTTOM)) / top**2


def h4(look: Look, steps: Bound, bias: Bound, spread: Bound) -> Iterator[Evidence]:
    name = "randomized_midpoint_sde"
    if look.wants("exact"):
        yield leading_constants(look, name)
        yield _whole_runs(look, name, "E V/v - 1", 0, 2, _bias)
        yield _whole_runs(look, name, "Var V/v^2", 1, 3, _spread)
    if look.wants("fitted"):
        claimed = 1 / float(steps.power("1/eps"))  # N ~ (sqrt(d)/eps)^p reaches eps ~ sqrt(d) N^(-1/p)
        yield _powers(
            look, name, "sqrt(KL) given the midpoints, in leading order, per coordinate",
            lambda off, variance: math.sqrt(off * off + variance) / 2, claimed, at_least=True,
        )  # fmt: skip
        yield _powers(look, name, "E V/v - 1", lambda off, _: abs(off), float(bias.power("h")))
        yield _powers(look, name, "sd V/v", lambda _, variance: math.sqrt(variance), float(spread.power("h")))


def _bias(lam: float, top: float, end: float) -> float:
    """int g 4(v-1)/(3v^3) dt, g = e^{-2(t-delta)} v_delta/v what is left at delta of a relative error at t."""

    def primitive(v: float) -> float:
        return -1 / (2 * v**2) + 1 / (3 * v**3)

    return 2 * end * math.exp(2 * BOTTOM) / (3 * (lam - 1)) * (primitive(end) - primitive(top))


def _spread(lam: float, top: float, end: float) -> float:
    """int g^2 4(v-2)^2/(3v^4) dt."""

    def primitive(v: float) -> float:
        return -1 / (2 * v**2) + 5 / (3 * v**3) - 2 / v**4 + 4 / (5 * v**5)

    return 2 * end**2 * math.exp(4 * BOTTOM) / (3 * (lam - 1) ** 2) * (primitive(end) - primitive(top))


ROUNDS, CELLS = 24, (8, 16, 32, 64, 128)
SAMPLES = 2000  # of all random levels of a run


def h5(look: Look, bound: Bound) -> Iterator[Evidence]:
    name = "jiao_li"
    if look.wants("exact"):
        yield leading_constants(look, name)
    if look.wants("monte-carlo"):
        kl, noise = zip(*(_expected_kl(look.scheme(name)(cells=n)) for n in CELLS), strict=True)
        found = measure.fitted(
            f"KL given the levels, mean over {SAMPLES} of them", [1 / (ROUNDS * n) for n in CELLS], kl,
            float(bound.power("1/T")), names=("1/T", "KL"), at_least=True, relative=max(noise),
            domain=f"{ROUNDS} geometric rounds from {TOP:g} to {BOTTOM:g}, lambda = {RUNS[0]:g}",
        )  # fmt: skip
        yield replace(found, kind="monte-carlo")


def _expected_kl(scheme: Scheme) -> tuple[float, float]:
    """E KL(N(0, V), N(0, v)) after a run, V the variance given the levels, and its relative standard error."""
    stage, lam = Predict(scheme, np.geomspace(TOP, BOTTOM, ROUNDS + 1)), RUNS[0]
    t, h = map(column, stage.grid)
    alphas = np.random.default_rng(0).random((stage.footprint.alphas, ROUNDS, SAMPLES, 1))
    a, _, c = read(scheme, Modes(np.array([lam]), np.array([0.0])), t, h, alphas).scalar
    a, c = (np.broadcast_to(part, (ROUNDS, SAMPLES, 1))[..., 0] for part in (a, c))
    variance = np.full(SAMPLES, float(mode_variance(lam, TOP)))
    for A, C in zip(a, c, strict=True):
        variance = A * A * variance + C
    off = variance / float(mode_variance(lam, BOTTOM)) - 1
    each = -log1p_minus(off) / 2
    return float(each.mean()), float(each.std() / each.mean() / math.sqrt(SAMPLES))
