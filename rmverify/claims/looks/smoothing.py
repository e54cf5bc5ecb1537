r"""What underdamped Langevin makes of two laws (C1, C4): on linear forces exactly, on others by expansion.

On the force -k x the process tells of x_0 what x_0 + N(0, n) tells (`rmverify.laws.langevin.linear.start_noise`), so
that two Gaussian starts N(m, a) and N(0, b) become N(m, a + n) and N(0, b + n) in every divergence. With D = |x_0 -
y_0| of a coupling, TV <= E erf(D/sqrt(8n)) <= W_2/sqrt(2 pi n) and KL <= W_2^2/(2n) for any two starts: two points
attain the first as they come together, and the second always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmverify.claims.evidence import Evidence, Finding, Look, worst
from rmverify.claims.looks.measure import Axis, enclosed, searched, searched_pointwise, times
from rmverify.divergences.closed_forms import kullback_leibler
from rmverify.divergences.pair import Pair
from rmverify.divergences.tv import total_variation
from rmverify.errors.certified import certified_smoothing
from rmverify.exponents import Bound
from rmverify.laws.langevin.linear import start_noise
from rmverify.laws.langevin.smooth import KineticLaw, kinetic_law
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value

__all__ = [
    "CASES", "Case", "certified_ratio", "entropy_ratio", "hidden", "joint_variations", "of_potentials",
    "variation_ratio", "verdict", "within",
]  # fmt: skip

ROUNDING = 1e-14  # relative, of `start_noise`
POINT = 1e-8  # the variance, in units of 1/L, that stands for a point
SPREAD = 1e4
TIMES = Axis("T sqrt(L)", 0.01, 1, ends=("high",))


def hidden(starts: Mapping[str, Any], noise: Any) -> Pair:
    """The pair N(shift, a + noise)^n and N(0, b + noise)^n; a difference of a and b keeps its digits."""
    a, b, m, n = (np.atleast_1d(np.asarray(starts[name], dtype=float)) for name in ("a", "b", "shift", "n"))
    A, B, zero = a + noise, b + noise, np.zeros_like(a)
    return Pair(A, B, (b - a) / A, (a - b) / B, m * m / A, m * m / B, n, zero, zero, singular=False)


def _distance(starts: Mapping[str, Any]) -> Any:
    """W_2."""
    a, b, m = starts["a"], starts["b"], starts["shift"]
    gap = (a - b) / (np.sqrt(a) + np.sqrt(b))
    return np.sqrt(starts["n"] * (m * m + gap * gap))


def _axes(look: Look, lowest: float, dimension: bool) -> list[Axis]:
    """Of the class curvature and starts; of a target the mode in which a start differs from it, and how."""
    if look.target is not None:
        return [
            Axis("mode", 1, look.target.variances.size, whole=True, ends=("low", "high")),
            Axis("W_2/deviation", 1e-6, 1e2, ends=("low",)),
            Axis("spread's share", -1, 1, log=False),  # of W_2, with its sign; the rest is a shift
        ]
    axes = [
        Axis("k/L", lowest, 1, log=False),
        Axis("a L", POINT, SPREAD, ends=("low",)),  # towards points that come together: the limit is known
        Axis("b L", POINT, SPREAD, ends=("low",)),
        Axis("shift sqrt(L)", 1e-6, 1e2, ends=("low",)),
    ]
    return [*axes, Axis("d", 1, 1e6, whole=True, ends=("low",))] if dimension else axes


def _settings(look: Look, p: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(k/L, starts) in units where L = 1."""
    if look.target is None:
        starts = {"a": p["a L"], "b": p["b L"], "shift": p["shift sqrt(L)"], "n": p.get("d", 0 * p["a L"] + 1)}
        return p["k/L"], starts
    order = np.argsort(look.target.variances)
    mode = order[np.asarray(p["mode"], dtype=int) - 1]
    k = look.target.variances[order[0]] / look.target.variances[mode]
    size, share = p["W_2/deviation"], p["spread's share"]
    starts = {
        "a": np.maximum(1 + size * share, 0.0) ** 2 / k,  # down to a point
        "b": 1 / k,
        "shift": size * np.sqrt((1 - share * share) / k),
        "n": look.target.multiplicities[mode],
    }
    return k, starts


def variation_ratio(look: Look, joint: bool, bound: Bound, *, lowest: float) -> Evidence:
    """The largest TV over its bound in W_2 and T, L = 1 and friction 1, of (x, v) or of x alone, curvatures from
    `lowest` L to L."""

    def noise(k: Any, T: Any) -> Any:
        return start_noise(k, 1.0, T)[0 if joint else 1]

    def one(**p: float) -> Value:
        k, starts = _settings(look, p)
        T = p[TIMES.name]
        pair = hidden(starts, noise(k, T))
        value = total_variation(pair.ratio, pair.shift, pair.multiplicity, 0.0, pair.log_ratio)
        value = Value(value, "exact", value.error + ROUNDING * value)
        return times(value, 1 / float(bound(W_2=_distance(starts), L=1.0, T=T)))

    what = "(x, v)" if joint else "x alone"
    found = searched_pointwise(
        f"the largest ratio of TV of {what} to its bound over Gaussians, {_curvatures(look, lowest)}",
        one, [TIMES, *_axes(look, lowest, dimension=True)],
        computed=f"TV of {what}", bound=str(bound), domain=_domain(look),
        effort={"points": 128, "rounds": 12, "keep": 3, "around": 12},
    )  # fmt: skip
    T, (k, _) = found.where[TIMES.name], _settings(look, found.where)
    limit = 1 / (bound(W_2=1.0, L=1.0, T=T) * math.sqrt(2 * math.pi * float(noise(k, T))))
    share = f"TV of {what}; two points that come together attain {limit:.6g} there, the most of any two starts"
    return replace(found, computed=share)


def entropy_ratio(look: Look, bound: Bound, *, lowest: float) -> Evidence:
    """The largest KL of the positions over its bound in W_2, T and gamma, L = 1."""
    friction = Axis("g/sqrt(L)", 0.01, 100)

    def setting(p: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        (k, starts), T, g = _settings(look, p), p["T sqrt(L)"], p[friction.name]
        return starts, start_noise(k, g, T)[1], bound(W_2=_distance(starts), L=1.0, T=T, gamma=g)

    def ratio(**p: Array) -> Array:
        starts, noise, due = setting(p)
        pair = hidden(starts, noise)
        y, r = pair.inverse_ratio, pair.ratio
        logs = np.where(r > -0.5, np.log1p(np.maximum(r, -0.5)), -np.log1p(np.maximum(y, -0.5)))
        return np.asarray(starts["n"] * (y + logs + pair.inverse_shift) / 2 / due)

    def exact(p: Mapping[str, Any]) -> Value:
        starts, noise, due = setting(p)
        value = kullback_leibler(hidden(starts, noise))
        reach = p["T sqrt(L)"] * max(1.0, p[friction.name])
        value = Value(value, "exact", value.error + ROUNDING * (1 + reach) * value)
        return times(value, 1 / float(due))

    return searched(
        f"the largest ratio of KL of x alone to its bound over Gaussians, {_curvatures(look, lowest)}",
        ratio, [Axis("T sqrt(L)", 0.01, 10), friction, *_axes(look, lowest, dimension=False)], exact=exact,
        computed="KL of x alone", bound=str(bound), domain=_domain(look),
        effort={"points": 1024, "rounds": 24, "keep": 4, "around": 32},
    )  # fmt: skip


def _curvatures(look: Look, lowest: float) -> str:
    return "the target's curvatures" if look.target is not None else f"curvatures in [{'-L' if lowest < 0 else '0'}, L]"


def _domain(look: Look) -> str:
    if look.target is None:
        return "N(shift, a)^d against N(0, b)^d, linear force, L = 1 by scaling"
    return "the target against a Gaussian that differs in one mode, modes from the steepest, linear force"


def certified_ratio(look: Look, joint: bool, bound: Bound, *, lowest: float) -> Evidence:
    """The enclosure of the supremum over curvatures, times and all starts, in ball arithmetic."""
    found = certified_smoothing(joint, float(lowest), effort=look.effort)
    words = f"the smallest constant for all starts on linear forces, curvatures in [{'-L' if lowest < 0 else '0'}, L]"
    return enclosed(words, found, ("k/L", "T sqrt(L)"), str(bound), member=look.target is not None)


def verdict(found: Value, bound: float) -> Finding:
    """Whether a number is at most a bound, its error taken in."""
    return "holds" if found.upper <= bound else "violated" if found.lower > bound else "inconclusive"


def within(evidence: Evidence, bound: float, text: str) -> Evidence:
    """A claim with its constant: the largest ratio that was seen is held against it."""
    found = evidence.constant
    if found is None:
        return evidence
    share = f"{evidence.computed}; {found / bound:.4g} of what is claimed"
    return replace(evidence, finding=verdict(found, bound), computed=share, bound=text)


# --- forces that are not linear ---------------------------------------------------------------------------------

ROOT2 = math.sqrt(2)
FORCES: Mapping[str, Callable[[Array], Array]] = {
    "cos x": np.sin,
    "-ln cosh x": np.tanh,
    "x^2/2 - ln cosh(sqrt(2) x)": lambda x: ROOT2 * np.tanh(ROOT2 * x) - x,
    "0.15 x^2 + 0.7 cos(3x)/9": lambda x: 0.7 * np.sin(3 * x) / 3 - 0.3 * x,
    "ln cosh x": lambda x: -np.tanh(x),
}
"""Potentials with |f''| <= 1 on the line, by their forces -f'."""
CONVEX = ("ln cosh x",)
NARROW = 0.02


@dataclass(frozen=True)
class Case:
    """A potential, a time, a friction, and two starts: N(0, deviation^2)/2 about each of `centers`, the second start
    shifted by `shift` and of deviation `other`."""

    potential: str
    time: float
    friction: float = 1.0
    centers: tuple[float, ...] = (0.0,)
    shift: float = 0.2
    deviation: float = NARROW
    other: float = NARROW

    @property
    def distance(self) -> float:
        """W_2: of two Gaussians, or of a law and itself shifted."""
        if len(self.centers) > 1 and self.deviation != self.other:
            raise ValueError(f"other: expected {self.deviation} for a start of several bumps, got {self.other}")
        return math.hypot(self.shift, self.deviation - self.other)

    def laws(self, terms: int) -> tuple[list[KineticLaw], list[KineticLaw]]:
        """Both laws at the end, one part for each bump."""
        moved = ((-self.shift / 2, self.deviation), (self.shift / 2, self.other))
        force, T, g = FORCES[self.potential], self.time, self.friction
        p, q = (
            [kinetic_law(force, c + by, width, T, g, terms=terms, tolerance=1e-9) for c in self.centers]
            for by, width in moved
        )
        return p, q


CASES = (
    Case("cos x", 1.0),
    Case("-ln cosh x", 1.0),
    Case("x^2/2 - ln cosh(sqrt(2) x)", 1.0, centers=(-0.7, 0.7)),
    Case("0.15 x^2 + 0.7 cos(3x)/9", 1.0, shift=0.5),
    Case("ln cosh x", 1.0, centers=(1.5,)),
    Case("ln cosh x", 0.3),
    Case("cos x", 0.1, friction=0.3),
    Case("x^2/2 - ln cosh(sqrt(2) x)", 1.0, friction=0.5, shift=0.1, other=0.5),
)


def of_potentials(entropies: Mapping[str, Bound], claimed: float, monotone: float) -> Evidence:
    """KL and TV of the positions on potentials that are not quadratic, against every bound of KL and those of TV."""
    rows, most, where = [], Value(0.0), {}
    verdicts: list[Finding] = []
    for case in CASES:
        (tv, kl), W, convex = _distances(case), case.distance, case.potential in CONVEX
        row: dict[str, Any] = {"potential": case.potential, "T": case.time, "g": case.friction, "W_2": W}
        ratio = row["TV T/W_2"] = times(tv, case.time / W)
        for name, bound in entropies.items():
            if name != "log-concave" or convex:
                due = bound(W_2=W, L=1.0, T=case.time, gamma=case.friction)
                found = row[f"KL, {name}"] = times(kl, 1 / due)
                verdicts.append(verdict(found, 1))
        if case.friction == 1:
            verdicts.append(verdict(ratio, monotone if convex else claimed))
            if ratio > most:
                most, where = ratio, {"potential": case.potential, "T sqrt(L)": case.time, "W_2 sqrt(L)": W}
        rows.append(row)
    linear = 1 / math.sqrt(2 * math.pi * float(start_noise(-1.0, 1.0, 1.0)[1]))
    return Evidence(
        "exact", "TV and KL of x alone on potentials that are not quadratic", worst(verdicts),
        computed=f"TV at most {most:.4g} W_2/T, on the force L x it is {linear:.4g} W_2/T at T = 1/sqrt(L)",
        bound=f"{claimed} W_2/T, {monotone} W_2/T where log-concave; of KL the bounds above", label="lower",
        constant=most, where=where, rows=tuple(rows),
        domain=f"{len(rows)} cases, |f''| <= L = 1, starts of deviation {NARROW} and more; by a Hermite expansion, the "
        "error by doubling it",
    )  # fmt: skip


GRIDS = ((18, 150), (36, 300))
"""Terms of the expansion, points to a side: two runs, whose difference is the error."""
FLOOR = 1e-14  # of a density: below it there is rounding alone


def _distances(case: Case) -> tuple[Value, Value]:
    """TV and KL of the positions."""
    coarse, fine = (_on_a_grid(*case.laws(terms), 7 * points) for terms, points in GRIDS)
    tv, kl = (Value(b, "exact", 2 * abs(a - b) + 1e-9) for a, b in zip(coarse, fine, strict=True))
    return tv, kl


def _on_a_grid(p: list[KineticLaw], q: list[KineticLaw], points: int) -> tuple[float, float]:
    from scipy.interpolate import CubicSpline
    from scipy.special import kl_div

    ends = [law.center[0] + side * 9 * law.root[0, 0] for law in p + q for side in (-1, 1)]
    x = np.linspace(min(ends), max(ends), points)
    left, right = (np.mean([law.position(x) for law in laws], axis=0) for laws in (p, q))
    gap = CubicSpline(x, left - right)
    zeros = np.concatenate([[x[0]], gap.roots(extrapolate=False), [x[-1]]])
    tv = float(np.abs(np.diff(gap.antiderivative()(zeros))).sum()) / 2
    kl = kl_div(np.maximum(left, 0.0), np.maximum(right, FLOOR))
    return tv, float(kl.sum() * (x[1] - x[0]))


def joint_variations(cases: tuple[Case, ...], bound: Bound) -> Evidence:
    """TV of (x, v) on potentials that are not quadratic, over its bound."""
    rows: list[Mapping[str, Any]] = []
    most, where = Value(0.0), {}
    for case in cases:
        coarse, fine = (_joint(*case.laws(terms), points) for terms, points in GRIDS)
        due = bound(W_2=case.distance, L=1.0, T=case.time)
        ratio = times(Value(fine, "exact", 2 * abs(fine - coarse)), 1 / due)
        if ratio > most:
            most, where = ratio, {"potential": case.potential, "T sqrt(L)": case.time, "W_2 sqrt(L)": case.distance}
        rows.append({"potential": case.potential, "T": case.time, "W_2": case.distance, "ratio": ratio})
    return Evidence(
        "exact", "TV of (x, v) on potentials that are not quadratic, over its bound", "holds with constant",
        computed="TV of (x, v)", bound=str(bound), label="lower", constant=most, where=where,
        domain=f"{len(rows)} cases, |f''| <= L = 1, friction sqrt(L), two starts of deviation {NARROW}; by a Hermite "
        "expansion on a grid, the error by doubling both", rows=tuple(rows),
    )  # fmt: skip


def _joint(p: list[KineticLaw], q: list[KineticLaw], points: int) -> float:
    axes = []
    for k in (0, 1):
        spread = [(law.center[k], 7 * float(np.linalg.norm(law.root[k]))) for law in p + q]
        axes.append(np.linspace(min(c - s for c, s in spread), max(c + s for c, s in spread), points))
    left, right = (np.mean([law.joint(*axes) for law in laws], axis=0) for laws in (p, q))
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    return float(np.abs(left - right).sum() * cell / 2)
