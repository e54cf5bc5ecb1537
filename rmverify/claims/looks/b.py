"""B: one step and one window of the predictors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rmverify.claims.ledger import Evidence, Look, claim
from rmverify.claims.looks import parallel_steps
from rmverify.claims.looks.constants import leading_constants
from rmverify.claims.looks.measure import (
    Axis,
    certified,
    class_axes,
    effort,
    fitted,
    one_step,
    over_class,
    searched,
    spectrum,
)
from rmverify.claims.looks.oscillating import MEAN, SETTING, beginning, picture, resonance, smooth
from rmverify.claims.looks.proofs import symbolic
from rmverify.errors.local import coupling_error, window_errors
from rmverify.numbers.values import Value
from rmverify.plans import Plan, Predict
from rmverify.targets import Gaussian

LEMMA = (
    "0 < h <= min(1/L, t), x ~ q_t",
    "the score handed over is L-Lipschitz; eps_sc is its largest L2(q) error over the levels of the step",
    "t in (L or 1/t) is the step's start",
    "alpha is shared by all coordinates of a particle, independent across particles and steps",
)


@claim(
    "B1",
    statement="the randomized midpoint estimates the flow's integral without bias, and so do strata",
    latex=r"\mathbb{E}_\alpha\!\left[h\,e^{(1-\alpha)h}g(\alpha h)\right] = \int_0^h e^{h-r}g(r)\,dr"
    r"\quad\text{for every integrable } g",
    source="Gupta, Cai, Chen 2024, Algorithms 1 and 4",
    provenance="derived",
    left="E over the midpoints of the step's own output, for a score of the time alone",
    right="e^h x + the integral",
    hypotheses=("g integrable on [0, h]", "alpha ~ U[0, 1], or alpha_i ~ U[(i-1)/R, i/R]"),
    schemes=("randomized_midpoint", "parallel_midpoint"),
)
def unbiased(look: Look) -> Iterator[Evidence]:
    yield from symbolic(look, "B1")
    if look.wants("exact"):
        for name in ("randomized_midpoint", "parallel_midpoint"):
            yield unbiased_on_powers(look, name)


def unbiased_on_powers(look: Look, name: str) -> Evidence:
    """Scores t -> (t - level)^p: the coefficients in h of both sides, over balls."""
    from rmverify.errors.jets import integral_jets

    scheme = look.scheme(name)
    worst: dict[str, Any] | None = None
    count = 0
    for bound in ({},) if name == "randomized_midpoint" else ({"strata": 1, "rounds": 1}, {"strata": 3, "rounds": 1}):
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


@claim(
    "B2",
    statement="one step of the randomized midpoint: squared bias of order h^6",
    latex=r"\mathbb{E}\,\|\mathbb{E}_\alpha\hat x - x^*\|^2 \lesssim L^4 d\,h^6\,(L\vee\tfrac1t)"
    r" + h^2\varepsilon_{sc}^2",
    source="Gupta, Cai, Chen 2024, the one-step lemma behind Theorem 1",
    provenance="derived",
    left="E|E_alpha x' - x*|^2, exact by balls",
    right="L^4 d h^6 (L or 1/t) + h^2 eps_sc^2",
    hypotheses=LEMMA,
    schemes=("randomized_midpoint",),
)
def bias_of_one_step(look: Look) -> Iterator[Evidence]:
    yield from symbolic(look, "B2")
    if look.wants("exact"):
        yield leading_constants(look, "randomized_midpoint", ("slope", "mean"))
        text = "L^4 d h^6 (L or 1/t)"
        yield one_step(look, "randomized_midpoint", "bias", _bias_bound, text=text)
        yield one_step(look, "randomized_midpoint", "bias", _bias_bound, text=text, score=True)
    yield from certified(look, "randomized_midpoint", "bias", lambda L, M, h: L**4 * h**6 * M, "L^4 d h^6 (L or 1/t)")


def _bias_bound(L: Any, t: Any, h: Any) -> Any:
    return L**4 * h**6 * np.maximum(L, 1 / t)


def _variance_bound(L: Any, t: Any, h: Any) -> Any:
    return L**2 * h**4 * np.maximum(L, 1 / t)


@claim(
    "B3",
    statement="one step of the randomized midpoint: variance of order h^4",
    latex=r"\mathbb{E}\,\|\hat x - \mathbb{E}_\alpha\hat x\|^2 \lesssim L^2 d\,h^4\,(L\vee\tfrac1t)"
    r" + h^2\varepsilon_{sc}^2",
    source="Gupta, Cai, Chen 2024, the one-step lemma behind Theorem 1",
    provenance="derived",
    left="E|x' - E_alpha x'|^2, exact by balls",
    right="L^2 d h^4 (L or 1/t) + h^2 eps_sc^2",
    hypotheses=LEMMA,
    schemes=("randomized_midpoint",),
)
def variance_of_one_step(look: Look) -> Iterator[Evidence]:
    yield from symbolic(look, "B3")
    if look.wants("exact"):
        yield leading_constants(look, "randomized_midpoint", ("variance", "variance_of_mean"))
        text = "L^2 d h^4 (L or 1/t)"
        yield one_step(look, "randomized_midpoint", "variance", _variance_bound, text=text)
        yield one_step(look, "randomized_midpoint", "variance", _variance_bound, text=text, score=True)
    yield from certified(
        look, "randomized_midpoint", "variance", lambda L, M, h: L**2 * h**4 * M, "L^2 d h^4 (L or 1/t)"
    )


@claim(
    "B4",
    statement="one step of the exponential integrator: squared error of order h^4, all of it bias",
    latex=r"\mathbb{E}\,\|\hat x - x^*\|^2 \lesssim L^2 d\,h^4\,(L\vee\tfrac1t) + h^2\varepsilon_{sc}^2",
    source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
    provenance="quoted",
    left="E|x' - x*|^2, exact by balls",
    right="L^2 d h^4 (L or 1/t) + h^2 eps_sc^2",
    hypotheses=LEMMA[:3],
    schemes=("exponential_integrator",),
)
def one_step_of_the_exponential_integrator(look: Look) -> Iterator[Evidence]:
    yield from symbolic(look, "B4")
    if look.wants("exact"):
        yield leading_constants(look, "exponential_integrator")  # its variance is 0: the error is bias
        text = "L^2 d h^4 (L or 1/t)"
        yield one_step(look, "exponential_integrator", "mean_square", _variance_bound, text=text)
        yield one_step(look, "exponential_integrator", "mean_square", _variance_bound, text=text, score=True)
    yield from certified(
        look, "exponential_integrator", "mean_square", lambda L, M, h: L**2 * h**4 * M, "L^2 d h^4 (L or 1/t)"
    )


WINDOWS = {
    "randomized_midpoint": (1.5, "L sqrt(d) h^(3/2)", lambda L, h: L * h**1.5),
    "exponential_integrator": (1.0, "sqrt(L d) h", lambda L, h: L**0.5 * h),
}


@claim(
    "B5",
    statement="over a window 1/L the randomized midpoint is off by h^(3/2) in W2, the exponential integrator by h",
    latex=r"W_2 \lesssim L\sqrt d\,h^{3/2} + \varepsilon_{sc}/L \quad\text{(scheme 2)},\qquad"
    r" W_2 \lesssim \sqrt{L d}\,h + \varepsilon_{sc}/L \quad\text{(scheme 1)}",
    source="Gupta, Cai, Chen 2024, the window lemma behind Theorem 1",
    provenance="derived",
    left="the root mean square of x' - x* after the window, exact by balls",
    right="L sqrt(d) h^(3/2) and sqrt(L d) h",
    hypotheses=(*LEMMA, "W_2 by the coupling through the same start; that of the unconditional law is smaller"),
    schemes=("randomized_midpoint", "exponential_integrator"),
)
def one_window(look: Look) -> Iterator[Evidence]:
    for name, (power, text, bound) in WINDOWS.items():
        if look.wants("exact"):
            yield _window_ratio(look, name, bound, text)
        if look.wants("fitted"):
            yield _window_slope(look, name, power)


def _window_ratio(look: Look, name: str, bound: Any, text: str) -> Evidence:
    scheme = look.scheme(name)
    axes = [*class_axes(look), Axis("t L", 1, 100, ends=("low",))]
    best: Evidence | None = None
    for steps in (1, 2, 4, 8, 16, 32):

        def ratio(lam: Any, n: Any, L: Any, steps: int = steps, **p: Any) -> Any:
            h = 1 / (L * steps)
            errors = window_errors(scheme, lam, p["t L"] / L, h, steps=steps)
            return np.sqrt(sum(errors) @ n) / (np.sqrt(n.sum()) * bound(L, h)[:, 0])

        def exact(where: Any, steps: int = steps) -> Value:
            target = spectrum(look) or Gaussian.isotropic(where["lambda"], 1)
            L = 1 / min(1.0, float(target.variances.min()))
            error = _window(scheme, target.with_modes(target.variances, 0.0), where["t L"] / L, L, steps)
            value = error / (target.dim**0.5 * float(bound(L, 1 / (L * steps))))
            return Value(value, "exact", 1e-13 * value)

        found = searched(
            f"the largest ratio of the coupling error of {name} over a window to its bound, perfect score",
            over_class(look, ratio), axes, computed="root mean square of x' - x*", bound=text, exact=exact,
            effort=effort(look, 256, 16, 8, 48),
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
    target = spectrum(look) or Gaussian.from_spectrum([0.25, 4.0], [3, 2])
    L = target.path_smoothness()
    t = 2 / L
    steps = [8, 16, 32, 64]
    y = [_window(look.scheme(name), target, t, L, n) for n in steps]
    return fitted(
        f"coupling error of {name} over one window", [1 / (L * n) for n in steps], y, power, names=("h", "error"),
        domain="window from 2/L to 1/L" + ("" if look.target is not None else ", variances 1/4 (3 of them) and 4 (2)"),
    )  # fmt: skip


@claim(
    "B6",
    statement="parallel midpoints: the bias falls with K to a floor in R, the variance like 1/R^3",
    latex=r"\text{bias} \sim (Lh)^K/K! \text{ down to a floor} \propto R^{-2}, \qquad \text{variance} \propto R^{-3}",
    source="Gupta, Cai, Chen 2024, Algorithm 4 [recalled]; this project's derivation",
    provenance="derived",
    left="bias and variance of one step of R strata and K rounds, exact",
    right="the powers stated",
    hypotheses=(*LEMMA,),
    schemes=("parallel_midpoint",),
)
def parallel_predictor(look: Look) -> Iterator[Evidence]:
    yield from symbolic(look, "B6")
    if look.wants("exact"):
        yield leading_constants(look, "parallel_midpoint")
    if look.wants("exact") or look.wants("fitted"):
        yield from _strata(look)


def _strata(look: Look) -> Iterator[Evidence]:
    """The fall with K at a long step, the floor and the variance against R at a short one."""
    target = spectrum(look) or Gaussian.isotropic(0.25, 1)
    target = target.with_modes(target.variances, 0.0)
    scheme, level = look.scheme("parallel_midpoint"), max(1.0, 2 * parallel_steps.LONG)
    short = parallel_steps.step_errors(scheme, target, level, parallel_steps.SHORT)
    where = f"t = {level:g}, R from 1 to 64, h = "
    if look.wants("exact"):
        spread = parallel_steps.spread_without_rounds(short)
        yield Evidence(
            "exact", "the bias without Picard rounds does not depend on R", "holds" if spread <= 1e-12 else "violated",
            computed=f"relative spread over R {float(spread):.2g}", bound="0", domain=f"{where}{parallel_steps.SHORT:g}"
        )  # fmt: skip
        long = parallel_steps.step_errors(scheme, target, level, parallel_steps.LONG, strata=(1, 8, 64))
        falls = {R: [float(b) for b in parallel_steps.against_rounds(long, R)] for R in (1, 8, 64)}
        floor = falls[64][-1]
        falling = floor < falls[64][0] and all(b < max(a, 1.01 * floor) for a, b in itertools.pairwise(falls[64]))
        stuck = falls[1][-1] > falls[64][-1]
        rows = tuple({"K": K} | {f"bias at R = {R}": falls[R][K] for R in falls} for K in parallel_steps.ROUNDS)
        yield Evidence(
            "exact", "with many strata, not with one, the bias falls with the Picard rounds to a floor",
            "holds" if falling and stuck else "violated",
            computed=f"from {falls[64][0]:.3g} to {falls[64][-1]:.3g} at R = 64, {falls[1][-1]:.3g} at R = 1",
            bound="a floor that R sets", domain=f"{where}{parallel_steps.LONG:g}, K from 0 to 4", rows=rows,
        )  # fmt: skip
    if look.wants("fitted"):
        for K, what, power in ((4, "bias", 2.0), *((K, "variance", 3.0) for K in parallel_steps.ROUNDS)):
            x, y = parallel_steps.against_strata(short, K, what)
            yield fitted(
                f"{'floor of the bias' if what == 'bias' else 'variance'} against 1/R at K = {K}", x, y, power,
                names=("1/R", what), domain=f"{where}{parallel_steps.SHORT:g}", relative=1e-10,
            )  # fmt: skip


@claim(
    "B7",
    statement="why randomize: against a score error that oscillates with the step, only random midpoints average",
    latex=r"b_t = b\cos(2\pi t/h):\quad \text{fixed times: } \approx 0.35\,\varepsilon_{sc} \text{ for every } h,\qquad"
    r" \text{random: } \mathbb{E}_\alpha \text{ off by } O(Lh)\,\varepsilon_{sc},\;"
    r" \text{spread } O(\sqrt{Lh})\,\varepsilon_{sc}",
    source="this project",
    provenance="derived",
    left="the exact coupling error over a window 1/L with an estimated score whose error oscillates in t, phase 0",
    right="the powers 0, 1 and 1/2 of h",
    hypotheses=(
        "the error of the score depends on the time alone, has the step's own period and its crest at the steps",
        "eps_sc is the root mean square of its L2 error over time; another phase can hide it from fixed times",
    ),
    schemes=("midpoint", "heun", "euler", "exponential_integrator", "randomized_midpoint"),
)
def why_randomize(look: Look) -> Iterator[Evidence]:
    yield from symbolic(look, "B7")
    if look.wants("exact"):
        for name in ("midpoint", "heun", "euler"):
            yield leading_constants(look, name)
    target = spectrum(look) or SETTING
    where = f"window from {beginning(target):g} down by 1/L{'' if look.target is not None else ', variance 1/4'}"
    if look.wants("fitted"):
        loud = 1e6 * math.sqrt(float(target.variances.max()))  # the step's own error does not count beside it
        rows = resonance(look.scheme, target.with_modes(target.variances, 0.0), amplitude=loud)
        h = [row.step for row in rows]
        for name, power in (("midpoint", 0.0), ("heun", 0.0), (MEAN, 1.0), ("randomized_midpoint", 0.5)):
            errors = [float(row.errors[name]) for row in rows]
            yield fitted(
                f"error of {name} in units of eps_sc", h, errors, power, names=("h", "error"), domain=where,
                at_least=look.target is not None and power > 0, relative=1e-12 + 1e-15 / h[-1],  # of the phase 2 pi t/h
            )  # fmt: skip
    if look.wants("exact"):
        plain = smooth(look.scheme, target.with_modes(target.variances, 0.0))
        worst = max(row.errors["midpoint"] / row.errors["randomized_midpoint"] for row in plain)
        table = tuple({"evaluations": row.evaluations} | dict(row.errors) for row in plain)
        yield Evidence(
            "exact", "without such an error the deterministic midpoint is as good or better on Gaussians",
            "holds" if worst <= 1 else "violated",
            computed=f"its error is at most {worst:.3g} times that of random midpoints", bound="1",
            constant=Value(worst, "exact", 1e-13 * worst), label="tight", rows=table, picture=picture(plain),
            domain=f"{where}, exact score, equal numbers of evaluations",
        )  # fmt: skip
