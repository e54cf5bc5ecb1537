"""What D measures: the theorems: steps, rounds and exponents.

Twice each: what the lemmas imply, by the exact programs, and what the theorem's own plan does, by its exact law.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rmverify import exponents, plans, schemes
from rmverify.claims.d import LOGARITHMS
from rmverify.claims.evidence import Evidence, Kind, Look
from rmverify.claims.looks import parallel_steps
from rmverify.claims.looks.constants import leading_constants, noise_in_floats
from rmverify.claims.looks.measure import Axis, fitted, searched_pointwise, spectrum, studied, times
from rmverify.divergences import tv
from rmverify.exponents import Bound, Monomial
from rmverify.laws import output_law
from rmverify.numbers.values import Value
from rmverify.plans import Plan, footprint
from rmverify.schemes.contract import Scheme, name, parameters
from rmverify.studies import rates, rounds
from rmverify.targets import EstimatedScore, Gaussian


def calculus(look: Look, about: str, *programs: str) -> Iterator[Evidence]:
    """What the lemmas of the ledger imply, by the programs of these names, and their verdicts on the costs that the
    claim `about` prints. No scheme enters."""
    if look.wants("symbolic") and not look.schemes:
        for program in programs:
            yield from _verdicts(program, about)


def _verdicts(program: str, about: str) -> Iterator[Evidence]:
    found = exponents.load(program).solve()
    cost = "max(" + ", ".join(map(str, found.cost)) + ")" if len(found.cost) > 1 else str(found.cost[0])
    rows = tuple(
        {"cost": str(v.cost), "dual multipliers": ", ".join(f"{k} {m}" for k, m in v.multipliers.items())}
        for v in found.vertices
        if not v.dominated
    )
    for verdict in found.claims:
        if verdict.claim.about != about:
            continue
        conditions = " or ".join(" and ".join(map(found.condition, part)) for part in verdict.where)
        text = f"the lemmas imply {cost}"
        if verdict.finding == "implied where":
            text += f"; it is at most the printed one where {conditions}"
        elif verdict.finding == "not implied":
            text += f"; it is at most the printed one only where {conditions}"
        yield Evidence(
            "symbolic", f"exponents of {program}, with exact primal and dual certificates",
            "holds" if verdict.finding == "implied" else "not implied", computed=text,
            bound=f"{verdict.claim} ({verdict.claim.source})",
            where={f"power of {scale}": float(power) for scale, power in (verdict.witness or {}).items()},
            domain=f"scales {', '.join(verdict.claim.scales or found.program.scales)} >= 1; {LOGARITHMS}",
            source=f"rmverify exponents {program}", rows=rows,
        )  # fmt: skip


MOST = 3_000_000  # steps (up to a logarithm) times modes of a plan on a target of one's own
MOST_SAMPLED = 10_000_000  # the same where its law is sampled, for modes and 16 more, which a step costs in any case
_LONG = 150_000  # from here on the largest eps alone is looked at
_SAMPLED = 0.03  # relative half-width of a total variation that is sampled


def theorem_plan(look: Look, make: Any, name: str, *, score: Bound | None = None) -> Iterator[Evidence]:
    """The theorem's own plan on isotropic Gaussians: TV at the end against eps, start from N(0, I).

    `score`: the accuracy of an estimated one; the exact score by default.

    On a target of one's own only where the plan is of a bearable length; where it draws midpoints there, the total
    variation is sampled and the constant has an interval.
    """
    axes = [Axis("eps", 0.2, 0.5), Axis("L", 1, 2.5, ends=("low",)), Axis("d", 1, 100, whole=True, ends=("low",))]
    kind: Kind = "exact"
    effort, skipped = {"points": 4, "rounds": 1, "keep": 1, "around": 4}, ""
    if look.target is not None:
        axes = axes[:1]
        steps_to = functools.partial(exponents.BOUNDS["D0"], L=look.target.path_smoothness(), d=look.target.dim)
        modes, most = look.target.variances.size, MOST
        if footprint(look.scheme(name)).alphas and modes > 1:
            kind, effort = "monte-carlo", {"points": 1, "rounds": 0, "keep": 1, "around": 0}
            modes, most = modes + 16, MOST_SAMPLED
            if steps_to(eps=axes[0].low) * modes > _LONG:
                axes = [Axis("eps", axes[0].high, axes[0].high)]
            skipped = "the law of your own step is not sampled" if name in look.schemes else ""
        if (steps := steps_to(eps=axes[0].low)) * modes > most:
            skipped = f"the plan has some {steps:.1g} steps, more than the {most / modes:.1g} that are looked at"
    if not look.wants(kind):
        return
    if skipped:
        yield Evidence(kind, f"the theorem's plan with all constants 1, {name}", "not yet", computed=skipped)
        return

    @functools.cache
    def one(**p: float) -> Value:
        target, L = _setting(look, p)
        plan = _with_schemes(look, make(target.dim, max(1.0, L), p["eps"]))
        handed: Any = target
        if score is not None:  # a relative error of the score that is within it under every q_t
            allowed = score(eps=p["eps"], d=target.dim, L=L)
            handed = EstimatedScore(target, gain=allowed / math.sqrt(target.dim * L))
        return times(tv(output_law(plan, handed), target.at(plan.end), accuracy=_SAMPLED), 1 / p["eps"])

    extra = "" if score is None else ", score off by the eps_sc of D4"
    yield searched_pointwise(
        f"the theorem's plan with all constants 1, {name}: TV/eps at its end{extra}",
        one, axes, computed="TV(output, q_delta)", bound="eps",
        domain="isotropic, variance 1/L, start N(0, I)" if look.target is None else "start N(0, I)",
        effort=effort,
    )  # fmt: skip


def _setting(look: Look, p: Any) -> tuple[Gaussian, float]:
    target = spectrum(look)
    if target is not None:
        target = target.with_modes(target.variances, 0.0)
        return target, target.path_smoothness()
    return Gaussian.isotropic(1 / p["L"], int(p["d"])), p["L"]


def d0(look: Look, printed: Bound) -> Iterator[Evidence]:
    yield from calculus(look, "D0", "d0")
    yield from theorem_plan(look, plans.dpum, "exponential_integrator")


def d1(look: Look, dimension: Bound, printed: Bound) -> Iterator[Evidence]:
    yield from calculus(look, "D1", "d1", "d5", "d7")
    yield from theorem_plan(look, plans.sequential, "randomized_midpoint")
    if look.wants("fitted") and look.target is None and not look.schemes:
        yield powers_on("two-block")


def d2(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "parallel_underdamped")
        yield noise_in_floats(look, "parallel_underdamped")
        yield _picard(look)
        if look.target is None:
            yield _plan_within_eps(look)
            yield _error_against_rounds(look)
    if look.wants("fitted") and look.target is None:
        yield _growth_of_rounds(bound)


def _picard(look: Look) -> Evidence:
    """The corrector's error after K rounds against z^{2K}/(2K)!, z = sqrt(L) h = 1."""
    rows = parallel_steps.picard_errors(look.scheme("parallel_underdamped"), cells=(8, 16), rounds=range(1, 7))
    ratios = [float(row["TV"]) * math.factorial(2 * row["K"]) for row in rows]
    worst = max(range(len(rows)), key=ratios.__getitem__)
    curves = {f"M = {M}": ([2 * r["K"] for r in rows if r["M"] == M], [float(r["TV"]) for r in rows if r["M"] == M])
              for M in (8, 16)}  # fmt: skip
    return Evidence(
        "exact", "the corrector's Picard error after K rounds over M cells", "holds with constant", label="lower",
        computed="TV of the positions after K rounds and after M", bound="z^{2K}/(2K)!, z = sqrt(L) h",
        constant=Value(ratios[worst], "exact", 1e-12 * ratios[worst]), where={k: rows[worst][k] for k in ("M", "K")},
        rows=tuple(rows), picture={"curves": curves, "x": "2K", "y": "TV"},
        domain="score -L x, z = 1, friction sqrt(L), from the invariant law, K from 1 to 6",
    )  # fmt: skip


def _with_schemes(look: Look, plan: Plan) -> Plan:
    """The plan with the schemes that are looked at, under the parameters that it gives them."""

    def standing_in(shipped: Scheme) -> Scheme:
        return functools.partial(look.scheme(name(shipped)), **parameters(shipped))

    return Plan([replace(stage, scheme=standing_in(stage.scheme)) for stage in plan])


def _tv_of(look: Look, target: Gaussian, plan: Plan, start: Any) -> Value:
    plan = _with_schemes(look, plan)
    return tv(output_law(plan, target, start=start), target.at(plan.end))


def _plan_within_eps(look: Look) -> Evidence:
    settings = [({"d": d, "L": L}, plans.parallel(d, L, 0.1), Gaussian.isotropic(1 / L, d), "normal")
                for d, L in ((10, 4.0), (10**3, 1.0), (10**6, 4.0))]  # fmt: skip
    domain = "isotropic, variance 1/L, start N(0, I); `rmverify rates --parallel` has d to 10^12"
    return _within_eps(look, settings, "q_delta", domain)


def _within_eps(look: Look, settings: Iterable[tuple[Any, Plan, Gaussian, Any]], goal: str, domain: str) -> Evidence:
    """The plans of settings (their names, plan, target, start) for eps = 0.1, by exact laws."""
    rows: list[dict[str, Any]] = []
    for names, plan, target, start in settings:
        share = times(_tv_of(look, target, plan, start), 10)
        rows.append(names | {"rounds": plan.rounds, "evaluations": plan.evaluations, "TV/eps": share})
    worst = max(rows, key=lambda row: float(row["TV/eps"]))
    return Evidence(
        "exact", "the theorem's plan with all constants 1: TV/eps at its end", "holds with constant", label="lower",
        computed=f"TV(output, {goal}) of the unconditional law", bound="eps = 0.1", constant=worst["TV/eps"],
        where={name: worst[name] for name in names}, rows=tuple(rows), domain=domain,
    )  # fmt: skip


def _error_against_rounds(look: Look) -> Evidence:
    """TV of the whole plan against K: down by the Picard factor to what strata and cells leave."""
    target, rows = Gaussian.isotropic(0.25, 10**4), []
    for K in (0, 1, 2, 4):
        plan = plans.parallel(10**4, 4.0, 0.1, rounds=K, horizon=3.0, early_stop=1e-3, strata=32)
        rows.append({"K": K, "rounds": plan.rounds, "TV": _tv_of(look, target, plan, start="exact")})
    values = [float(row["TV"]) for row in rows]
    falls = all(b < a for a, b in itertools.pairwise(values[:3])) and values[-1] < values[0] / 10
    return Evidence(
        "exact", "the whole plan's error against its rounds", "holds" if falls else "violated",
        computed=f"TV from {values[0]:.3g} at K = 0 to {values[-1]:.3g} at K = 4",
        bound="falls with K, down to the error of strata and cells", rows=tuple(rows),
        picture={"curves": {"TV": ([float(r["rounds"]) for r in rows], values)}, "x": "rounds", "y": "TV"},
        domain="d = 10^4, variance 1/4, T = 3, delta = 0.001, start q_T, R = 32, M by the theorem's formula",
    )  # fmt: skip


def _growth_of_rounds(bound: Bound) -> Evidence:
    """The plan's own rounds, d from 10 to 10^24: the power of ln d, and logarithms against a power of d."""
    dims = [10.0**k for k in range(1, 25)]
    counted = [float(plans.rounds_of("parallel", d, 4.0, 0.1)) for d in dims]
    law = rounds.fit("parallel", "theorem", dims, counted)
    scale = [n / float(bound(L=4.0, d=d, eps=0.1)) for d, n in zip(dims, counted, strict=True)]
    holds = law.better == "logarithms" and law.squares <= 2
    return Evidence(
        "fitted", "rounds of the theorem's plan against d", "holds" if holds else "violated",
        computed=f"{law.a:.3g} ln^2 d {law.b:+.3g} ln d {law.c:+.3g} within {law.residual:.1%}, a power within "
        f"{law.power_residual:.0%}; power of ln d {law.squares:.2f}",
        bound=f"at most 2; {bound} times {min(scale):.3g} to {max(scale):.3g}",
        constant=Value(law.squares, "exact", abs(law.squares) * law.residual),
        rows=tuple(
            {"d": d, "rounds": n, f"rounds/({bound})": c} for d, n, c in zip(dims, counted, scale, strict=True)
        ),
        picture={"curves": {"rounds": (dims, counted)}, "x": "d", "y": "rounds"},
        domain="L = 4, eps = 0.1, all constants 1, counted; measured ones by `rmverify rates --parallel`",
    )  # fmt: skip


def d3(look: Look, dimension: Bound, printed: Bound) -> Iterator[Evidence]:
    yield from calculus(look, "D3", "d3", "d5-log-concave", "d7-log-concave")
    if look.wants("exact") and look.target is None:
        yield _log_concave_within_eps(look)
    if look.wants("fitted") and look.target is None:
        yield studied(look, "tv", "dim", at=(1e2, 1e4, 1e6))


def _log_concave_within_eps(look: Look) -> Evidence:
    settings = []
    for together, (d, kappa) in itertools.product((False, True), ((10, 4.0), (10**4, 4.0), (100, 16.0))):
        plan = plans.log_concave(d, kappa, 1.0, 0.1, parallel=together)
        for k in (1.0, kappa):
            names = {"plan": "parallel" if together else "sequential", "d": d, "kappa": kappa, "curvature": k}
            target = Gaussian.isotropic(1 / k, d)
            settings.append((names, plan, target, target.with_modes(0.0, 0.0)))
    domain = "isotropic, curvature m = 1 or L, started at the minimum; `rmverify rates --log-concave` has more"
    return _within_eps(look, settings, "target", domain)


def d4(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.wants("symbolic") and not look.schemes:
        yield _allowed_score_error(bound)
    yield from theorem_plan(look, plans.sequential, "randomized_midpoint", score=bound)


def _allowed_score_error(bound: Bound) -> Evidence:
    """1/eps_sc as the only cost of D1's program: the smallest possible is what the theorem needs."""
    needed = {"1/eps_sc": Monomial(eps_sc=-1)}
    found = replace(exponents.load("d1"), costs=needed, claims=(), name="d4", title="").solve()
    allowed = tuple(1 / m for m in found.cost)
    return Evidence(
        "symbolic", "the largest eps_sc under the lemmas, with exact primal and dual certificates",
        "holds" if allowed == bound.monomials else "not implied",
        computed=f"eps_sc <= {' and '.join(map(str, allowed))}",
        bound=f"{bound} [recalled]", domain=LOGARITHMS, source="rmverify exponents d1",
    )  # fmt: skip


def d5(look: Look, printed: Bound, time: Bound) -> Iterator[Evidence]:
    yield from calculus(look, "D5", "d5", "d5-log-concave")


def d6(look: Look, exponential: Bound, expected: Bound, unconditional: Bound) -> Iterator[Evidence]:
    if look.wants("fitted") and look.target is None:
        name = "exponential_integrator"
        (power,) = exponential.monomials
        yield _rate(look, name, "exact", "dim", (1e2, 1e4, 1e6, 1e8), {"accuracy": 0.1}, power)
        yield _rate(look, name, "exact", "accuracy", (0.1, 0.03, 0.01, 0.003), {"dim": 1e4}, power)
        name = "randomized_midpoint"
        (power,), (below, above) = expected.monomials, unconditional.monomials
        yield _rate(look, name, "expected", "dim", (1e3, 1e4, 1e5, 1e6), {"accuracy": 0.1}, power)
        law, side = "unconditional", "the crossover d eps^2 ~ 1"
        yield _rate(look, name, law, "dim", (1e4, 1e5, 1e6, 1e7), {"accuracy": 0.1}, above, f", above {side}")
        yield _rate(look, name, law, "dim", (1e1, 1e2, 1e3, 1e4), {"accuracy": 1e-3}, below, f", below {side}")
        yield _rate(look, name, law, "accuracy", (1e-2, 1e-3, 1e-4, 1e-5), {"dim": 10.0}, below, f", below {side}")
        if not look.schemes:  # sampling the law of a step of one's own takes minutes
            yield powers_on("power-law")


def powers_on(family: str) -> Evidence:
    """The powers of d of both errors of random midpoints on spectra of several variances, from sampled N."""
    dims, kinds = (10**3, 10**4, 10**5), {"unconditional": "TV of the unconditional law", "expected": "E_alpha TV"}
    found = {
        law: [rates.steps_to(schemes.randomized_midpoint, rates.family(family, d, 4.0, 16.0), 0.1, law=law)
              for d in dims] for law in kinds
    }  # fmt: skip
    title = f"steps of randomized_midpoint to TV <= 0.1 against d on {family} spectra, of both errors"
    if any(row.status != "found" for rows in found.values() for row in rows):
        return Evidence("fitted", title, "inconclusive", computed="a number of steps was not found")
    fits = {
        law: rates.fit(dims, [float(row.steps or 1) for row in rows], [row.loose for row in rows])
        for law, rows in found.items()
    }
    texts = [f"{fits[law]['exponent']:.2f} +- {fits[law]['error']:.2f} of {text}" for law, text in kinds.items()]
    share = found["unconditional"][-1].steps / found["expected"][-1].steps  # type: ignore[operator]
    most = exponents.BOUNDS["D1"].power("d")
    above = any(fit["exponent"] - fit["error"] > most for fit in fits.values())
    below = all(fit["exponent"] + fit["error"] <= most for fit in fits.values())
    power, error = fits["unconditional"]["exponent"], fits["unconditional"]["error"]
    return Evidence(
        "fitted", title, "violated" if above else "holds" if below else "inconclusive",
        computed=f"powers {' and '.join(texts)}; at d = {dims[-1]} the first needs {share:.2f} times the steps",
        bound=f"at most {most}, D1's; 1/3 is derived on isotropic targets", where={"d": dims[-1]},
        constant=Value(power, "monte-carlo", error),
        domain=f"least variance 1/4, largest 4, T = 3, uniform steps to 0, start q_T; d from {dims[0]} to {dims[-1]}, "
        "each N within 2 %, at the level of 95 %",
        rows=tuple(
            {"d": d, **{f"{law}: {name}": getattr(row, name) for law, row in zip(kinds, pair, strict=True)
                        for name in ("steps", "fewest", "most")}}
            for d, *pair in zip(dims, *found.values(), strict=True)
        ),
        picture={"curves": {text: (list(map(float, dims)), [float(row.steps or 1) for row in found[law]])
                            for law, text in kinds.items()}, "x": "d", "y": "steps"},
    )  # fmt: skip


def _rate(
    look: Look, name: str, law: str, against: str, points: tuple[float, ...], fixed: Mapping[str, float],
    claimed: Monomial, side: str = "",
) -> Evidence:  # fmt: skip
    """N against a parameter on the isotropic Gaussian of variance 1/4, each N found exactly."""
    rows = []
    for point in points:
        p = {**fixed, against: point}
        target = Gaussian.isotropic(0.25, int(p["dim"]))
        rows.append(rates.steps_to(look.scheme(name), target, p["accuracy"], law=None if law == "exact" else law))
    what = {"exact": "TV", "expected": "E_alpha TV", "unconditional": "TV of the unconditional law"}[law]
    steps = [row.steps for row in rows if row.steps is not None and row.status == "found"]
    letter = {"dim": "d", "accuracy": "eps"}[against]
    title = f"steps of {name} to {what} <= eps against {letter}{side}"
    if len(steps) < len(rows):
        return Evidence("fitted", title, "inconclusive", computed="a number of steps was not found")
    return fitted(
        title, points, [float(n) for n in steps], float(claimed[letter]), names=(letter, "steps"),
        domain="variance 1/4, T = 3, uniform steps to 0, start q_T; "
        + ", ".join(f"{k} = {v:g}" for k, v in fixed.items()), relative=0.5 / min(steps[-2:]),
    )  # fmt: skip


def d7(look: Look, printed: Bound, time: Bound) -> Iterator[Evidence]:
    yield from calculus(look, "D7", "d7", "d7-log-concave")
