"""What an error of the score costs where a step asks for it, and what fresh noise in every answer costs.

An estimated score is judged under the law q of the exact process; a step asks for it elsewhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks.measure import Axis, effort, fitted, romberg, searched
from rmverify.elementary import exp, expm1
from rmverify.exponents import Bound
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import unit_rule
from rmverify.numbers.values import Value
from rmverify.plans import footprint
from rmverify.readings.affine import AffineDraw, forms, read
from rmverify.schemes.contract import Draw, Score
from rmverify.targets.process import mode_variance

__all__ = ["carried", "fresh_noise", "lipschitz", "witness", "witness_by_particles"]

# --- at x_half --------------------------------------------------------------------------------------------------------


def halfway(scheme: Any, lam: Array, t: Array, h: Array, a: Array, gain: Any = 0.0, bias: Any = 0.0) -> tuple[Any, Any]:
    """x_half = A x + c of a step, with the score (1 + gain) s + bias, as the step itself hands it to its score."""
    asked: list[Any] = []

    def score(level: Any, x: Any) -> Any:
        asked.append(x)
        return x * (-(1 + gain) / mode_variance(lam, level)) + bias

    forms(scheme, SimpleNamespace(score=score), t, h, AffineDraw(a[None], np.asarray))
    return asked[-1].parts["x"], asked[-1].parts.get("1", 0 * t)


def lipschitz(look: Look, scheme: Any, bound: Bound) -> Evidence:
    """How much more of an error of the score is met at x_half than under q, an L-Lipschitz estimate."""

    def ratio(**p: Array) -> Array:
        lam, t, gain = p["lambda"], p["t"], p["gain"]
        L = np.maximum(1, np.abs(1 + gain)) / np.minimum(1, lam)
        h = p["h/limit"] * np.minimum(1 / L, t)
        level = t - p["alpha"] * h
        v, v_half = mode_variance(lam, t), mode_variance(lam, level)
        bias = p["bias sqrt(v)"] / np.sqrt(np.maximum(v, v_half))
        A, c = halfway(scheme, lam, t, h, p["alpha"], gain, bias)
        F = np.sqrt(v_half / v)
        at_half = np.sqrt((gain / v_half * A) ** 2 * v + (bias - gain / v_half * c) ** 2)
        under_q = np.sqrt((gain / v_half * F) ** 2 * v + bias**2)
        far = np.sqrt((A - F) ** 2 * v + c**2)
        return np.asarray((at_half - under_q) / bound(L=L, r=far))

    found = searched(
        "the largest ratio of what the score's error gains at x_half to its bound, estimated score Lipschitz", ratio,
        [Axis("lambda", 1e-3, 1e3), Axis("t", 1e-3, 10), Axis("h/limit", 0.03, 1, ends=("high",)),
         Axis("alpha", 0.01, 1, log=False, ends=("high",)), Axis("gain", -3, 3, log=False),
         Axis("bias sqrt(v)", 1e-3, 1e3)],
        computed="|e(x_half)| - |e(x*)| in L2, e = (1 + gain) s + bias - s", bound=str(bound),
        domain="limit = min(1/L, t)",
        effort=effort(look, 1024, 24, 4, 32),
    )  # fmt: skip
    assert found.constant is not None
    # by another route: e is Lipschitz with |gain|/v, and 2 max(1, |1 + gain|) >= |gain| with equality at -2
    sharp = float(2.0 / bound(L=1.0, r=1.0))
    if found.constant - found.constant.error > 1:
        text = f"{found.computed}: {found.constant:.4g} of the bound there, {sharp:.4g} where gain = -2 and v = 1/L"
        return replace(found, finding="violated" if sharp > 1 else "inconclusive", computed=text)
    reached = found.constant > 0.999
    return replace(found, remark="the bound is sharp" if reached else "the bound is not reached")


WITNESS = {"lambda": 0.25, "t": 0.25, "h": 0.25}
_LEVELS = 65


def _witness_at(scheme: Any, d: float, levels: int = _LEVELS) -> tuple[Array, Array, Array, Array]:
    """Over midpoints a in [1/2, 1]: a, the radius^2 between where x_half lands and where q is, the share of particles
    on x_half's side of it and that of q's, all in closed form."""
    from scipy.stats import chi2

    lam, t, h = WITNESS.values()
    a = np.linspace(0.5, 1, levels)
    A, _ = halfway(scheme, np.full(levels, lam), np.full(levels, t), np.full(levels, h), a)
    ours, theirs = A**2 * mode_variance(lam, t), mode_variance(lam, t - a * h)
    middle = d * np.sqrt(ours * theirs)
    beyond = ours > theirs
    landed, kept = (np.where(beyond, chi2.sf(middle / z, d), chi2.cdf(middle / z, d)) for z in (ours, theirs))
    return a, middle, landed, kept


def witness(scheme: Any) -> Evidence:
    """An error of the score that q does not see, and a step does: both in closed form."""
    h, rows = WITNESS["h"], []
    for d in (10**4, 10**5, 10**6):
        a, _, landed, kept = _witness_at(scheme, d)
        push = np.exp((1 - a) * h) * landed
        moved = float(((push[1:] + push[:-1]) / 2).mean() / 2)
        rows.append({"d": d, "eps_sc": float(np.sqrt(kept.max()) / h), "the mean moves by": moved})
    last = rows[-1]
    broken = last["eps_sc"] < 1e-6 and last["the mean moves by"] > 0.4
    return Evidence(
        "exact", "without that: an error where x_half lands and q does not", "holds" if broken else "violated",
        computed=f"at d = {last['d']}: eps_sc = {last['eps_sc']:.3g} under q, and one step moves its mean by "
        f"{last['the mean moves by']:.3g}, the target's deviation being 0.5",
        bound="no function of eps_sc", rows=tuple(rows), where={"d": last["d"]} | WITNESS,
        domain="variance 1/4, t = h = 1/L; e = 1/h in one direction on one side of a sphere, at levels below t - h/2; "
        "chi-square tails, trapezoid rule in the midpoint",
    )  # fmt: skip


def witness_by_particles(scheme: Any, d: int = 10**5, count: int = 64) -> Evidence:
    """The same step run on particles with that score: how many of those with a >= 1/2 are moved."""
    lam, t, h = WITNESS.values()
    rng = np.random.default_rng(6)
    a, middle, landed, _ = _witness_at(scheme, d)
    moved, due, spread_ = 0, 0.0, 0.0
    for _ in range(count):
        alpha = 0.5 + rng.random() / 2
        x = math.sqrt(mode_variance(lam, t)) * rng.standard_normal((1, d))
        beyond = landed[0] > 0 and _outward(scheme)

        def score(level: Any, y: Any, alpha: float = alpha, beyond: bool = beyond, error: bool = True) -> Any:
            result = -y / mode_variance(lam, level)
            inside = float((y**2).sum()) < np.interp(alpha, a, middle)
            if error and level < t - h / 2 and inside != beyond:
                result[0, 0] += 1 / h
            return result

        draw = SimpleNamespace(uniform=lambda alpha=alpha: alpha)
        plain = scheme(x, t, h, functools.partial(score, error=False), draw)
        moved += bool((scheme(x, t, h, score, draw) - plain)[0, 0] > 0.5)
        chance = float(np.interp(alpha, a, landed))
        due, spread_ = due + chance, spread_ + chance * (1 - chance)
    slack = 4 * math.sqrt(spread_) + 1
    return Evidence(
        "monte-carlo", f"the same step on {count} particles in dimension {d}, midpoints in [1/2, 1]",
        "holds" if abs(moved - due) <= slack else "violated", computed=f"{moved} of {count} are moved by 1 and more",
        bound=f"{due:.2f} by the chi-square law, within {slack:.2g} (four deviations and one)",
    )  # fmt: skip


def _outward(scheme: Any) -> bool:
    """Whether x_half lands outside of where q is."""
    lam, t, h = (np.array([z]) for z in WITNESS.values())
    A, _ = halfway(scheme, lam, t, h, np.ones(1))
    return bool(A[0] ** 2 * mode_variance(lam, t)[0] > mode_variance(lam, t - h)[0])


# --- noise in every answer --------------------------------------------------------------------------------------------

VARIANCE, HORIZON, END = 0.25, 1.0, 0.25
COUNTS = (16, 32, 64, 128)


def ancestral(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """x' = e^h x + 2 (e^h - 1) s_t(x) + sqrt(e^{2h} - 1) W: the reverse diffusion, its score frozen over the step."""
    (w,) = draw.normal(((expm1(2 * h),),))
    return exp(h) * x + 2 * expm1(h) * score(t, x) + w


def with_noise(scheme: Any, size: float) -> Any:
    """The step, with a fresh N(0, size^2 I) in every answer of its score."""

    def step(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
        def noisy(level: Any, y: Any) -> Any:
            (w,) = draw.normal(((1,),))
            return score(level, y) + size * w

        return scheme(x, t, h, noisy, draw)

    return step


def carried(scheme: Any, steps: int, bias: float = 0.0) -> tuple[float, float, float]:
    """After equal steps from HORIZON down to END, started from q: the variance; what noise of variance 1 in every score
    adds to it; the mean that a constant error of the score leaves."""
    h = (HORIZON - END) / steps
    t = HORIZON - h * np.arange(steps)
    x, w = unit_rule(16)
    random = footprint(scheme).alphas > 0
    nodes, weights = (x, w) if random else (x[:1], np.ones(1))
    rows = np.broadcast_to(nodes[:, None], (1, steps, nodes.size, 1)) if random else None
    level, length = t[:, None, None], np.full((steps, 1, 1), h)
    forces = SimpleNamespace(score=lambda s, y: y * (-1 / mode_variance(VARIANCE, s)) + bias)

    def entries(size: float) -> list[Array]:
        parts = read(with_noise(scheme, size), forces, level, length, rows).scalar
        return [np.broadcast_to(part, (steps, nodes.size, 1))[..., 0] for part in parts]

    (a, b, c), noisy = entries(0.0), entries(1.0)[2]
    kept, slope, pushed, own, added = ((z @ weights) for z in (a * a, a, b, c, noisy - c))
    variance, excess, mean = float(mode_variance(VARIANCE, HORIZON)), 0.0, 0.0
    for n in range(steps):
        variance, excess, mean = kept[n] * variance + own[n], kept[n] * excess + added[n], slope[n] * mean + pushed[n]
    return variance, excess, mean


def limit(name: str) -> float:
    """What noise of variance 1 in every score adds to the variance, over h, as h -> 0: the integral over levels of the
    squared coefficient times the squared slope of what follows, with w(t) = e^{2t} + lambda - 1, v = e^{-2t} w."""
    w = [math.exp(2 * t) + VARIANCE - 1 for t in (END, HORIZON)]
    if name == "ancestral":  # 4 int (e^{t - end} w(end)/w(t))^2 dt
        return 2 * math.exp(-2 * END) * w[0] ** 2 * (1 / w[0] - 1 / w[1])
    return math.exp(-2 * END) * w[0] * math.log(w[1] / w[0]) / 2  # int v(end)/v(t) dt


def fresh_noise(look: Look, power: float) -> Iterator[Evidence]:
    """Of each sampler: the power of h in what noise costs, its leading constant, and what a fixed error costs."""
    samplers = {name: look.scheme(name) for name in ("exponential_integrator", "randomized_midpoint")}
    samplers["ancestral"] = ancestral
    h = [(HORIZON - END) / n for n in COUNTS]
    domain = f"variance {VARIANCE:g}, equal steps from t = {HORIZON:g} to {END:g}, started from q_t"
    rows: list[dict[str, Any]] = []
    for name, scheme in samplers.items():
        found = [carried(scheme, n, bias=1.0) for n in COUNTS]
        clean = [carried(scheme, n)[2] for n in COUNTS]
        cost = [math.sqrt(excess) for _, excess, _ in found]
        fixed = [abs(mean - zero) for (_, _, mean), zero in zip(found, clean, strict=True)]
        if look.wants("fitted"):
            yield fitted(f"{name}: W_2 over sigma sqrt(D) that fresh noise adds, by coupling", h, cost, power,
                         names=("h", "error"), domain=domain)  # fmt: skip
            yield fitted(f"{name}: W_2 over |error| of a fixed error in the score", h, fixed, 0.0,
                         names=("h", "error"), domain=domain)  # fmt: skip
        ratios = [excess / (step * limit(name)) for (_, excess, _), step in zip(found, h, strict=True)]
        _, (first, second), (last,) = romberg(ratios[-3:])
        slack = abs(second - first)
        variance, excess, _ = found[-1]
        law = math.sqrt(variance + excess) - math.sqrt(variance)
        rows.append({"sampler": name, "c": math.sqrt(limit(name)), "measured/c": math.sqrt(last), "+-": slack,
                     "W_2 of the laws, sigma = 1": law, "by coupling": math.sqrt(excess),
                     "fixed error 1": fixed[-1]})  # fmt: skip
    if look.wants("exact"):
        off = max(abs(row["measured/c"] ** 2 - 1) - row["+-"] for row in rows)
        text = ", ".join(f"{row['sampler']} {row['c']:.4g}" for row in rows)
        yield Evidence(
            "exact", "the leading constant c of c sigma sqrt(D h), in closed form and from the steps",
            "holds" if off <= 0 else "violated", computed=f"c = {text}, each reached as h -> 0",
            bound="the square root of the integral of squared coefficients times what the flow makes of them",
            rows=tuple(rows), domain=f"{domain}; {COUNTS[-1]} steps in the last columns",
            constant=Value(max(row["c"] for row in rows), "exact", 1e-14), label="tight",
        )  # fmt: skip
