"""What F measures: theorems on Langevin samplers with their own constants, and what errors of the score cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from rmverify import plans
from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import scores, strong
from rmverify.claims.looks.chains import Bracket, distances, invariant_distances
from rmverify.claims.looks.measure import Axis, effort, fitted, of_its_own, searched
from rmverify.claims.looks.shifted import rare, squared_distance, squared_distance_of_scales
from rmverify.exponents import Bound
from rmverify.laws.conditional import split_target
from rmverify.laws.invariant import Powers, Spread, first_moments, invariant, marginal, spread, step_map
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value
from rmverify.plans import footprint
from rmverify.readings.affine import compose
from rmverify.readings.cells import transition
from rmverify.schemes.contract import parameters
from rmverify.targets import Gaussian

# --- W_2 with the printed constants -----------------------------------------------------------------------------------

KAPPA, STEPS = Axis("kappa", 1, 1e3, ends=("low",)), Axis("steps", 1, 1e5, whole=True, ends=("low",))
CURVATURE = Axis("ln(k/m)/ln kappa", 0, 1, log=False)
START = (Axis("W_2/deviation", 1e-3, 1e4), Axis("spread's share", -1, 1, log=False))
FRICTION = Axis("gamma/M", 5, 50, ends=("low",))
LENGTH = Axis("h/most", 1e-2, 1, ends=("high",))
HALVES = "half the coordinates of curvature m, half of L, started at the minimum"
REACHED = "W2/(eps_w sqrt(d/m))"
EFFORT, FEW = (1024, 20, 4, 32), (128, 10, 3, 24)


def f1(look: Look, bound: Bound) -> Iterator[Evidence]:
    def setting(p: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        return p["h/most"] * longest(p["kappa"]) / p["kappa"], {}

    scheme = look.scheme("overdamped_midpoint")
    yield from _explicit(
        look, scheme, bound, [KAPPA, LENGTH, CURVATURE], setting, "M h + sqrt(kappa) (M h)^{3/2} <= 1/4"
    )


def longest(kappa: Array) -> Array:
    """The largest M h with M h + sqrt(kappa) (M h)^{3/2} <= 1/4: s + sqrt(kappa) s^{3/2} grows, Newton from above."""
    s = np.full_like(kappa, 0.25)
    for _ in range(60):
        s = s - (s + np.sqrt(kappa) * s**1.5 - 0.25) / (1 + 1.5 * np.sqrt(kappa * s))
    return s * (1 - 1e-15)


def f2(look: Look, bound: Bound) -> Iterator[Evidence]:
    scheme = look.scheme("randomized_midpoint_langevin")
    yield from _kinetic(
        look, scheme, bound, lambda kappa: np.cbrt(0.1 / kappa), "gamma >= 5M, kappa (gamma h)^3 <= 0.1"
    )


def f3(look: Look, bound: Bound) -> Iterator[Evidence]:
    scheme = look.scheme("underdamped")
    yield from _kinetic(
        look, scheme, bound, lambda kappa: 0.1 / np.sqrt(kappa), "gamma >= 5M, sqrt(kappa) gamma h <= 0.1"
    )


def _kinetic(
    look: Look, scheme: Any, bound: Bound, most: Callable[[Array], Array], hypotheses: str
) -> Iterator[Evidence]:
    def setting(p: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        friction = p["gamma/M"] * p["kappa"]
        return p["h/most"] * most(p["kappa"]) / friction, {"friction": friction, "mass": friction}

    yield from _explicit(look, scheme, bound, [KAPPA, LENGTH, CURVATURE, FRICTION], setting, hypotheses)


def _explicit(
    look: Look, scheme: Any, bound: Bound, axes: list[Axis], setting: Any, hypotheses: str
) -> Iterator[Evidence]:
    """The largest ratio of W_2 to a bound with its own constants, after n steps from Gaussian starts, and as n goes to
    infinity. m = 1 by scaling; one mode suffices, as every term is a Euclidean norm over modes (Minkowski)."""
    if not look.wants("exact"):
        return
    if look.target is not None:  # its condition number; every curvature between its smallest and its largest
        kappa = float(look.target.variances.max() / look.target.variances.min())
        axes = [Axis("kappa", kappa, kappa), *axes[1:]]

    def sides(p: Mapping[str, Array]) -> tuple[Bracket, Array]:
        kappa = p["kappa"]
        k = kappa ** p["ln(k/m)/ln kappa"]
        h, given = setting(p)
        n, far = p.get("steps"), p.get("W_2/deviation", 0 * kappa)
        share = np.maximum(p.get("spread's share", 0 * kappa), -1 / np.maximum(far, 1e-300))
        start = far * np.sqrt(1 - share**2), 1 + share * far
        f_0 = (start[0] ** 2 + start[1] ** 2) / 2
        if n is None:
            found, n, f_0 = invariant_distances(scheme, k, h, **given), np.full_like(kappa, np.inf), 0 * kappa
        else:
            found = distances(scheme, k, h, n, start, **given)
        right = bound(m=1.0, n=n, h=h, W_0=far / np.sqrt(k), M=kappa, kappa=kappa, p=1.0, f_0=f_0, **_named(given))
        return found, right * np.sqrt(k)

    def largest(what: str, more: list[Axis], tries: tuple[int, int, int, int], reading: str) -> Evidence:
        def ratio(**p: Array) -> Array:
            found, right = sides(p)
            return np.asarray(getattr(found, reading) / right)

        return searched(
            f"the largest ratio of {WORDS[reading]} {what} to the printed bound", ratio, [*axes, *more],
            computed=f"{WORDS[reading]} of the position, unconditional", bound=str(bound),
            domain=f"{hypotheses}; m = 1 by scaling, one mode of curvature k (the worst: Minkowski)",
            effort=effort(look, *tries),
        )  # fmt: skip

    yield _judged(
        largest("after n steps from Gaussian starts", [STEPS, *START], EFFORT, "upper"), sides, scheme, setting
    )
    law = "of the invariant law"
    found = _judged(largest(law, [], FEW, "upper"), sides, scheme, setting)
    yield found
    if found.finding == "holds":  # the readings differ: how large W_2 is for certain
        found = largest(law, [], FEW, "lower")
        p, right = _at(found, sides)
        near, off = (z / right for z in _of_mixture(p, scheme, setting))
        text = f"{found.computed}; {near:.4g} of the bound there by a mixture of three normal laws with its moments"
        yield replace(found, computed=f"{text}, within {off:.1g} of one of two")


WORDS = {"upper": "W_2, by coupling given midpoints,", "lower": "W_2, by moments,"}


def _at(found: Evidence, sides: Any) -> tuple[dict[str, Array], float]:
    """The point of a search, and the bound there."""
    p = {name: np.array([float(value)]) for name, value in found.where.items()}
    return p, float(sides(p)[1][0])


def _named(given: Mapping[str, Array]) -> dict[str, Array]:
    return {"gamma": given["friction"]} if "friction" in given else {}


def _judged(found: Evidence, sides: Any, scheme: Any, setting: Any) -> Evidence:
    """A constant where both readings of W_2 agree within 1 %; `violated` only where balls agree."""
    p, _ = _at(found, sides)
    bracket, right = sides(p)
    low, high = float(bracket.lower[0] / right[0]), float(bracket.upper[0] / right[0])
    middle = Value((low + high) / 2, "exact", max(high - low, 0.0) / 2 + 1e-13 * high)
    if low > 1:
        sure = _by_balls(p, scheme, setting) / float(right[0])
        return replace(
            found, finding="violated" if sure > 1 else "inconclusive", constant=middle,
            computed=f"W_2 is {low:.4g} of the bound at least; {sure:.4g} by second moments over balls",
        )  # fmt: skip
    if high > 1:
        return replace(found, finding="inconclusive", constant=None, computed=f"W_2 is {low:.4g} to {high:.4g} of it")
    if high - low <= 0.01 * high:
        text = "W_2 of the position, unconditional: by moments and by coupling given midpoints, which agree there"
        return replace(found, finding="holds with constant", constant=middle, computed=text)
    return replace(
        found, finding="holds", constant=None, computed=f"{found.computed} at most {high:.3g} of the bound", remark=""
    )


def _of_mixture(p: Mapping[str, Array], scheme: Any, setting: Any) -> tuple[float, float]:
    """W_2 of the invariant law by the Gauss rule of its variance given midpoints, and what one node less changes."""
    step, _ = _over_balls(p, scheme, setting)
    size = step.r.shape[-1]
    m = invariant(step_map(step, 5), size)
    if m is None:
        return math.nan, math.inf
    y = float(first_moments(step)[0, 0])
    rules = [marginal(m, size, nodes) for nodes in (2, 3)]
    fewer, near = (math.sqrt(squared_distance_of_scales(z[0] - z[0] @ w[0] + y, w[0])) for z, w in rules)
    return near, abs(near - fewer)


def _by_balls(p: Mapping[str, Array], scheme: Any, setting: Any) -> float:
    """|sqrt(E x^2) - 1| in the target's deviations, at most W_2, from the step's code over balls."""
    step, _ = _over_balls(p, scheme, setting)
    if "steps" not in p:
        return abs(math.sqrt(1 + float(first_moments(step)[0, 0])) - 1)
    far = float(p["W_2/deviation"][0])
    share = max(float(p["spread's share"][0]), -1 / far)
    y = np.zeros((1, step.r.shape[-1]))
    y[0, 0] = far**2 * (1 - share**2) + (1 + share * far) ** 2 - 1
    after = Powers(step_map(step, 1), y.shape[-1]).after(int(p["steps"][0]), y)
    return abs(math.sqrt(1 + float(after[0, 1])) - 1)


def _over_balls(p: Mapping[str, Array], scheme: Any, setting: Any) -> tuple[Spread, float]:
    """One step at a point, by `rmverify.laws.invariant`, and the curvature there."""
    k = float((p["kappa"] ** p["ln(k/m)/ln kappa"])[0])
    h, given = setting(p)
    bound = {name: float(value[0]) for name, value in given.items()}
    truth, modes = split_target(Gaussian.from_spectrum([1 / k], [1]))
    return spread(scheme(**bound) if bound else scheme, modes, truth.variances, 0.0, float(h[0])), k


# --- a small independent noise ----------------------------------------------------------------------------------------


@of_its_own
def f4(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        small = bound.at(beyond=0)
        yield _of_shifts(small)
        yield _rare_shifts(small)
        yield _other_shifts(small)


def two_sided(a: Array, other: Array, chance: Array) -> tuple[Array, Array]:
    """V = a or -b, centred, with this probability, and 0 otherwise: values and probabilities (K, 3)."""
    b = a * other
    return np.stack([a, -b, 0 * a], axis=1), np.stack([chance * b / (a + b), chance * a / (a + b), 1 - chance], axis=1)


def _of_shifts(bound: Bound) -> Evidence:
    axes = [Axis("a", 1e-3, 1, ends=("high",)), Axis("b/a", 1e-7, 1, ends=("high",)),
            Axis("chance", 1e-6, 1, ends=("high",))]  # fmt: skip

    def sides(p: Mapping[str, Any]) -> tuple[Array, Array]:
        a, other, chance = (np.atleast_1d(np.asarray(p[name], dtype=float)) for name in ("a", "b/a", "chance"))
        values, chances = two_sided(a, other, chance)
        return squared_distance(values, chances), bound(nu=(chances * values**2).sum(axis=1))

    def ratio(**p: Array) -> Array:
        found = [sides({name: z[n : n + 64] for name, z in p.items()}) for n in range(0, p["a"].size, 64)]
        return np.concatenate([left / right for left, right in found])

    def exact(where: Mapping[str, Any]) -> Value:
        left, right = sides(where)
        values, chances = two_sided(*(np.array([where[name]]) for name in ("a", "b/a", "chance")))
        finer = squared_distance(values, chances, 0.0625)
        value = float(left[0] / right[0])
        return Value(value, "exact", (abs(float(finer[0] / left[0]) - 1) + 1e-12) * value)

    found = searched(
        "the largest ratio of the two sides, beta <= 1", ratio, axes, computed="W_2^2(Z, Z + V) by quantiles",
        bound=str(bound), exact=exact, case="beta <= 1",
        domain="V = a or -b, centred, with this chance, else 0; beta = a >= b",
        effort={"points": 64, "rounds": 6, "keep": 2, "around": 12},
    )  # fmt: skip
    if found.constant is None or found.constant - found.constant.error <= 1:
        return found
    limit = rare(found.where["a"] ** 2) / bound(nu=1.0)  # by another route: its limit as the chance goes to 0
    text = f"{found.computed}: {found.constant:.4g} of the bound there, {limit:.4g} for rare values in closed form"
    return replace(found, finding="violated" if limit > 1 else "inconclusive", computed=text)


def _rare_shifts(bound: Bound) -> Evidence:
    """W_2^2/nu^2 as the chance of V = beta goes to 0: its limit in closed form, beside a chance of 1e-7."""
    betas = (0.01, 0.5, 1.0, 2.0, 2.5, 3.0)
    one = np.ones(len(betas))

    def ratios(rare_one: float) -> Array:
        values, chances = two_sided(np.array(betas), rare_one * one, one)
        return np.asarray(squared_distance(values, chances) / (chances * values**2).sum(axis=1) ** 2)

    common, seen = ratios(1e-5), ratios(1e-7)
    constant = float(bound(nu=1.0))
    rows = tuple({"beta": b, "limit of W_2^2/nu^2": rare(b * b), "at b/a = 1e-7": float(s)}
                 for b, s in zip(betas, seen, strict=True))  # fmt: skip
    low, high = 1.0, 64.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if rare(middle) < constant else (low, middle)
    limits = np.array([rare(b * b) for b in betas])
    agree = bool((np.abs(seen - limits) <= np.abs(common - seen)).all())  # the rest is linear in the chance
    return Evidence(
        "exact", "what is sharp: rare values beta of one sign",
        "holds" if agree and rare(1.0) < constant else "violated",
        computed=f"W_2^2/nu^2 tends to 1/4 for small V and to Ei(1) - gamma - 1 = {rare(1.0):.6g} for beta = 1; it "
        f"reaches {constant:g} at beta = {math.sqrt(low):.4g}",
        bound=f"{bound} for beta <= 1; beyond, Z coupled to itself gives W_2^2 <= nu, 30 times less than the second "
        "term",
        rows=rows, domain="V = beta with a chance that goes to 0, and its balance",
    )  # fmt: skip


def _other_shifts(bound: Bound) -> Evidence:
    """The same for continuous V in [-1, 1], by Gauss rules: P(z + V <= y) is analytic in V, so that they are exact."""
    x, w = np.polynomial.legendre.leggauss(24)
    laws = {
        "uniform": np.ones(x.size),
        "N(0, 1/4) cut at 1": np.exp(-2 * x**2),
        "density 3(1 - v^2)/4": 1 - x**2,
        "density (1 - v^2)^9, scaled": (1 - x**2) ** 9,
        "-1 or 1": None,
    }
    rows: list[dict[str, Any]] = []
    for name, density in laws.items():
        values, chances = (np.array([-1.0, 1.0]), np.array([0.5, 0.5])) if density is None else (x, w * density)
        chances = chances / chances.sum()
        nu = float(chances @ values**2)
        square = float(squared_distance(values[None], chances[None])[0])
        rows.append({"V": name, "nu": nu, "W_2^2/nu^2": square / nu**2, "of the bound": square / float(bound(nu=nu))})
    worst = max(rows, key=lambda row: row["of the bound"])
    return Evidence(
        "exact", "other laws of V with beta = 1", "holds" if worst["of the bound"] <= 1 else "violated",
        computed=f"at most {worst['of the bound']:.4g} of the bound, for the law: {worst['V']}", bound=str(bound),
        rows=tuple(rows),
    )  # fmt: skip


# --- errors of the score ----------------------------------------------------------------------------------------------


def f5(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.target is not None:
        return
    scheme = look.scheme("randomized_midpoint")
    if look.wants("exact"):
        yield scores.lipschitz(look, scheme, bound)
        yield scores.witness(scheme)
    if look.wants("monte-carlo"):
        yield scores.witness_by_particles(scheme)


def f6(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.target is None:
        yield from scores.fresh_noise(look, float(bound.power("h")))


# --- against the exact dynamics, and in parallel ----------------------------------------------------------------------


def f7(look: Look, strong_error: Bound, weak_error: Bound) -> Iterator[Evidence]:
    if look.target is None:
        scheme = look.scheme("randomized_midpoint_langevin")
        yield from strong.strong_and_weak(look, scheme, *(float(-b.power("N")) for b in (strong_error, weak_error)))


def f8(look: Look, reached: Bound, printed: Bound) -> Iterator[Evidence]:
    if look.target is not None or not (look.wants("exact") + look.wants("fitted")):
        return
    kappa, near, kappas, fars = 16.0, 1e-3, [4.0, 16.0, 64.0, 256.0], [10 ** (-n / 2) for n in range(4, 9)]
    conditions = [_parallel_steps(look, k, near) for k in kappas]
    accuracies = [_parallel_steps(look, kappa, far) for far in fars]
    rows = tuple(conditions + accuracies)
    if look.wants("exact"):
        worst = max(rows, key=lambda row: row[REACHED])
        yield Evidence(
            "exact", "the parallel plan's first stage, all constants 1: W_2 at its end", "holds with constant",
            computed="W_2, exact: no midpoints", bound=str(reached), label="lower", rows=rows,
            constant=Value(worst[REACHED], "exact", 1e-9 * worst[REACHED]),
            where={k: worst[k] for k in ("kappa", "eps_w")},
            domain=f"{HALVES}; kappa from {kappas[0]:g} to {kappas[-1]:g}, eps_w from {fars[-1]:g} to {fars[0]:g}",
        )  # fmt: skip
    if look.wants("fitted"):
        least = [float(row["fewest"]) for row in conditions]
        power = float(printed.at({"log(1/eps_w)": 1}).power("kappa"))
        yield fitted("fewest parallel steps against kappa", kappas, least, power, names=("kappa", "steps"),
                     domain=f"{HALVES}; eps_w = {near:g}", relative=0.5 / min(least[-2:]))  # fmt: skip
        least = [float(row["fewest"]) for row in accuracies]
        each = [
            (b - a) / math.log(x / y) / kappa for (a, b), (x, y) in zip(pairwise(least), pairwise(fars), strict=True)
        ]
        off = 1 / (math.log(fars[0] / fars[1]) * kappa)  # of one step in a difference of two counts
        yield Evidence(
            "fitted", "fewest parallel steps against ln(1/eps_w)",
            "holds" if max(each) - min(each) <= 2 * off else "violated",
            computed=f"{min(each):.4f} to {max(each):.4f} kappa for each unit of it",
            bound=f"the same within {2 * off:.2g}",
            rows=tuple(accuracies), domain=f"{HALVES}; kappa = {kappa:g}; the Picard rounds of a step grow too, slower",
        )  # fmt: skip


def _parallel_steps(look: Look, kappa: float, far: float) -> dict[str, Any]:
    """The theorem's own number of parallel steps with W_2 at their end, and the fewest that reach `far` sqrt(d/m)."""
    stage = plans.log_concave(1, kappa, 1.0, far * math.sqrt(kappa), parallel=True).stages[0]
    scheme = look.scheme("parallel_underdamped")(**parameters(stage.scheme))
    h, k = np.asarray(stage.grid[1][:1]).reshape(1, 1, 1), np.array([1.0, kappa])
    _, modes = split_target(Gaussian.from_spectrum(1 / k, [1, 1]))
    powers = [transition(scheme, footprint(scheme), modes, 0 * h, h, None)]

    def distance(steps: int) -> float:
        """W_2/sqrt(d/m) from the minimum, the velocity fresh."""
        whole = None
        for bit in range(steps.bit_length()):
            if bit == len(powers):
                powers.append(compose(powers[-1], powers[-1]))
            if steps >> bit & 1:
                whole = powers[bit] if whole is None else compose(powers[bit], whole)
        assert whole is not None
        variance = np.ravel(whole.linear[0][1] ** 2 + whole.noise[0][0]) / modes.lam
        return math.sqrt(float((((variance - 1) / (1 + np.sqrt(variance))) ** 2 * modes.lam).sum()) / 2)

    low, high = 0, len(stage)
    end = distance(high)
    while high - low > 1 and end <= far:
        middle = (low + high) // 2
        low, high = (low, middle) if distance(middle) <= far else (middle, high)
    rounds = parameters(scheme)["rounds"]
    return {"kappa": kappa, "eps_w": far, "steps": len(stage), "Picard rounds": rounds, "rounds": len(stage) * rounds,
            REACHED: end / far, "fewest": high}  # fmt: skip


# --- parallel midpoints -----------------------------------------------------------------------------------------------


def f9(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.target is not None or not (look.wants("exact") + look.wants("fitted")):
        return
    scheme, due, constant = look.scheme("parallel_overdamped"), float(bound.power("h")), 1 / math.sqrt(12)

    def reading(strata: int, rounds: int, *steps: float) -> list[float]:
        z = np.array(steps)
        return [float(y) for y in invariant_distances(scheme(strata=strata, rounds=rounds), 1 + 0 * z, z).upper]

    domain = "one mode of curvature M = m"
    if look.wants("fitted"):
        h, widths = [0.2, 0.1, 0.05, 0.025], (1, 2, 3, 4)
        yield fitted("the bound on W_2 of the invariant law by coupling given midpoints, against h, R = 2, K = 2", h,
                     reading(2, 2, *h), due, names=("M h", "W_2"), domain=domain, relative=1e-9)  # fmt: skip
        values = [reading(R, 2, 0.01)[0] for R in widths]
        yield fitted("the same against 1/R, K = 2", [1 / R for R in widths], values, due, names=("1/R", "W_2"),
                     domain=f"{domain}, M h = 0.01", relative=1e-9)  # fmt: skip
    if look.wants("exact"):
        sizes = (0.2, 0.1, 0.05)
        table = {(R, K): [y / (z / R) ** due / constant for z, y in zip(sizes, reading(R, K, *sizes), strict=True)]
                 for R in (1, 2, 4) for K in (0, 1, 2)}  # fmt: skip
        coarse, middle, fine = table[2, 2]
        limit, slack = 2 * fine - middle, abs(2 * fine - 3 * middle + coarse)
        yield Evidence(
            "exact", "the same over its leading term: more rounds change little, more strata all",
            "holds" if abs(limit - 1) <= slack else "violated", computed=f"{limit:.4f} as h -> 0, within {slack:.1g}",
            bound="(M h/R)^{3/2}/sqrt(12): the deviation of the variance given the midpoints; W_2 by that coupling is "
            "half of it",
            rows=tuple({"R": R, "K": K} | {f"M h = {z:g}": y for z, y in zip(sizes, found, strict=True)}
                       for (R, K), found in table.items()),
            constant=Value(constant, "exact", 1e-16), domain=domain,
        )  # fmt: skip
