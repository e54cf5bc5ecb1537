"""Exponents: the numbers of the ledger from forms written out here, both certificates multiplied out here."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize_scalar

from rmverify.cli import main
from rmverify.exponents import BUILT_IN, Infeasible, Monomial, Unbounded, load, optimize
from rmverify.exponents.solution import _Scales, _verify

RATIONALS = st.fractions(-3, 3, max_denominator=6)
NAMES = st.sampled_from(["d", "L", "kappa", "eps", "h_c", "τ"])
EXPONENTS = st.dictionaries(NAMES, RATIONALS, max_size=4)


def m(text):
    return Monomial.parse(text)


# ------------------------------------------------------------------- monomials


@given(EXPONENTS, EXPONENTS, RATIONALS)
def test_monomials_add_and_scale_their_exponents(a, b, p):
    x, y = Monomial(**a), Monomial(**b)
    names = {*a, *b}
    assert all((x * y)[n] == a.get(n, 0) + b.get(n, 0) for n in names)
    assert all((x / y)[n] == a.get(n, 0) - b.get(n, 0) for n in names)
    assert all((x**p)[n] == a.get(n, 0) * p for n in names)
    assert x * y == y * x
    assert hash(x * y) == hash(y * x)
    assert 1 / x == x**-1
    assert Monomial.parse(str(x)) == x == eval(repr(x), {"Monomial": Monomial})


@pytest.mark.parametrize(
    "text, exponents",
    [
        ("L^{5/3} d^{5/12} / eps", {"L": F(5, 3), "d": F(5, 12), "eps": -1}),
        ("L**2*sqrt(d)/(eps T^2)", {"L": 2, "d": F(1, 2), "eps": -1, "T": -2}),
        ("1 / h^-1", {"h": 1}),
        ("a / b c", {"a": 1, "b": -1, "c": 1}),  # a slash divides by the next factor only
        ("(a b^{-1/2})^{2/3} sqrt", {"a": F(2, 3), "b": F(-1, 3), "sqrt": 1}),
        ("d^0.5 κ^(3/4)", {"d": F(1, 2), "κ": F(3, 4)}),
        ("d / d", {}),
    ],
)
def test_parser(text, exponents):
    assert m(text).exponents == exponents


@pytest.mark.parametrize(
    "text", ["", "2 d", "d^5/12", "d^", "d^{1/0}", "d^{a}", "(d", "d)", "d +", "-d", "d // L", "/ d"]
)
def test_parser_complains_in_one_line(text):
    with pytest.raises(ValueError, match="^monomial: expected .*, got .* in ") as error:
        m(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [0.1, math.nan, math.inf, True, None, "1/0", "x", 1j, "0,5"])
def test_exponents_are_exact(value):
    with pytest.raises(ValueError, match="^d: expected an exact rational"):
        Monomial(d=value)


def test_exact_numbers_are_exponents():
    assert Monomial(a=2.0, b=np.int64(3), c="-5/12", d=F(1, 3), e=0).exponents == {
        "a": 2,
        "b": 3,
        "c": F(-5, 12),
        "d": F(1, 3),
    }


# ------------------------------------------------------------------- certificates, checked here


def vector(monomial, names):
    return [monomial.exponents.get(n, F(0)) for n in names]


def check(optimum, rng, tries=20):
    """Both proofs of every vertex from the exponents alone, and the optimum against HiGHS, at random scales."""
    p = optimum.program
    names = [s.removeprefix("1/") for s in p.scales]
    signs = {n: 1 if n == s else -1 for n, s in zip(names, p.scales, strict=True)}
    costs, rows = p.objectives, p.rows
    for v in optimum.vertices:
        assert all(y > 0 for y in v.multipliers.values())
        assert sum(y for n, y in v.multipliers.items() if n in costs) == 1
        for name in [*names, *p.free]:
            total = sum(y * (costs | rows)[n].exponents.get(name, 0) for n, y in v.multipliers.items())
            assert total == v.cost.exponents.get(name, 0)
            assert name not in p.free or total == 0
    kept = [v for v in optimum.vertices if not v.dominated]
    for v in kept:  # none can be left out
        s = {n: v.direction[scale] * signs[n] for n, scale in zip(names, p.scales, strict=True)}
        along = {w.cost: sum(e * s[n] for n, e in w.cost.exponents.items()) for w in kept}
        assert all(along[v.cost] > x for cost, x in along.items() if cost != v.cost)
    for _ in range(tries):
        s = {n: F(rng.randint(0, 12)) * sign for n, sign in signs.items()}

        def log(monomial, f=None, s=s):
            return sum((e * (s[n] if n in s else f[n]) for n, e in monomial.exponents.items()), F(0))

        if any(log(a) > 0 for a in p.assumptions.values()):
            continue
        best = max(log(c) for c in optimum.cost)
        assert best == max(log(v.cost) for v in optimum.vertices)
        assert any(log(v.cost) == best and all(log(w) <= 0 for w in v.where) for v in kept)
        for v in kept:
            if log(v.cost) < best:
                assert any(log(w) > 0 for w in v.where)
                continue
            here = [piece for piece in v.pieces if all(log(w) <= 0 for w in piece.where)]
            assert here
            for piece in here:  # feasible, and no dearer than the lower bound
                f = {n: log(value) for n, value in piece.free.items()}
                assert all(log(row, f) <= 0 for row in rows.values())
                assert max(log(cost, f) for cost in costs.values()) == best
        terms = [(c, -1) for c in costs.values()] + [(r, 0) for r in rows.values()]
        found = linprog(
            [0] * len(p.free) + [1],
            A_ub=[[*map(float, vector(t, p.free)), z] for t, z in terms],
            b_ub=[-float(sum((e * s[n] for n, e in t.exponents.items() if n in s), F(0))) for t, _ in terms],
            bounds=(None, None),
        )
        assert found.status == 0
        assert found.fun == pytest.approx(float(best), abs=1e-6)  # HiGHS's own tolerance is 1e-7 a row


@st.composite
def programs(draw, scales=3, free=3):
    """Errors that grow with the parameters and costs that fall, mostly: feasible and bounded about half of the time."""
    names = [f"s{k}" for k in range(draw(st.integers(1, scales)))]
    parameters = [f"f{k}" for k in range(draw(st.integers(0, free)))]
    small = st.integers(-3, 3).flatmap(lambda n: st.integers(1, 3).map(lambda d: F(n, d)))
    towards = st.sampled_from([1, 1, 1, 1, -1])

    def term(sign):
        exponents = {n: draw(small) for n in names}
        exponents |= {n: sign * draw(towards) * abs(draw(small)) for n in parameters}
        return Monomial(**exponents)

    costs = [term(-1) for _ in range(draw(st.integers(1, 3)))]
    errors = [term(1) for _ in range(draw(st.integers(0, 5)))]
    used = {n for t in costs + errors for n in t.exponents}
    return errors, costs, [n for n in parameters if n in used], names


@given(programs(), st.integers(0, 2**32))
def test_random_programs(program, seed):
    errors, costs, free, names = program
    try:
        optimum = optimize(errors, costs, free, scales=names)
    except (Infeasible, Unbounded) as error:
        refused = error
    else:
        check(optimum, random.Random(seed), tries=3)
        return
    if isinstance(refused, Infeasible):  # a product of rows that must be <= 1 is free of parameters and grows
        assert all(y >= 0 for y in refused.multipliers.values())
        rows = {f"error {k}": e for k, e in enumerate(errors, 1)}
        total = {n: sum(y * rows[k][n] for k, y in refused.multipliers.items()) for n in [*free, *names]}
        assert not any(total[n] for n in free)
        assert all(x >= 0 for x in refused.direction.values())
        assert sum(total[n] * refused.direction[n] for n in names) > 0
        assert {n: e for n, e in total.items() if e} == refused.monomial.exponents
    else:
        assert refused.ray.keys() <= set(free)
        along = [sum(t[n] * x for n, x in refused.ray.items()) for t in [*costs, *errors]]
        assert max(along[: len(costs)]) < 0
        assert max(along[len(costs) :], default=0) <= 0


def test_a_region_that_no_single_choice_of_parameters_serves():
    """The cone c <= a b has the edges a, b, ac, bc, where max(1, c/a) <= h <= min(b, c) leaves only 1, 1, 1, t.

    A monomial would give h(a) h(bc) = h(b) h(ac) there, that is t = 1: the cone must be cut in two.
    """
    optimum = optimize(["1/h", "c / (a h)", "h/b", "h/c"], ["a b c"], ["h"], ["c <= a b"], scales=["a", "b", "c"])
    assert optimum.cost == (m("a b c"),)
    assert len(optimum.vertices[0].pieces) == 2
    check(optimum, random.Random(0), tries=100)


# ------------------------------------------------------------------- the ledger's programs


def forms(smoothing, scheme):
    """D0, D1, D5, D7 as in the ledger, in (L, d, eps, tau, h_p, h_c, eps_sc): every error over eps."""
    per_window = {"randomized": m("L d^{1/2} h_p^{3/2}"), "exponential": m("L^{1/2} d^{1/2} h_p")}[scheme]
    smooth = {"C1": m("L^{1/4} tau^{3/2}"), "C4": m("tau")}[smoothing]
    errors = [m("L") * per_window / smooth, m("L L^{3/4} tau^{1/2} d^{1/2} h_c"),
              m("L") * m("eps_sc / L") / smooth, m("L eps_sc tau^{1/2} / L^{1/4}")]  # fmt: skip
    return [e / m("eps") for e in errors], [m("1/h_p"), m("L tau / h_c")], [m("tau L^{1/2}")]


LOG_CONCAVE_COSTS = [m("kappa^{7/6} e^{-1/3}"), m("kappa e^{-2/3}"), m("tau / h_c")]


def log_concave(smoothing):
    smooth = {"C1": m("tau^{3/2}"), "C4": m("tau")}[smoothing]
    errors = [m("e sqrt(d kappa)") / smooth, m("tau^{1/2} d^{1/2} h_c")]
    return [e / m("eps") for e in errors], LOG_CONCAVE_COSTS, [m("tau")]


ALIAS = {"T_corr": m("tau"), "h_pred": m("h_p"), "h_corr": m("h_c"), "eps_w": m("e")}
SHIPPED = {
    "d0": forms("C1", "exponential"),
    "d1": forms("C1", "randomized"),
    "d5": forms("C1", "randomized"),
    "d7": forms("C4", "randomized"),
    "d3": log_concave("C1"),
    "d5-log-concave": log_concave("C1"),
    "d7-log-concave": log_concave("C4"),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_shipped_files_hold_the_ledgers_forms(name):
    p = load(name)
    errors, costs, constraints = SHIPPED[name]
    assert [e.at(**ALIAS) for e in p.errors.values()] == errors
    assert [c.at(**ALIAS) for c in p.costs.values()] == costs
    assert [c.at(**ALIAS) for c in p.constraints.values()] == constraints


JUDGED = {
    "d0": ["D0", "D0: d^{1/2} in d"],
    "d1": ["D1", "D1: d^{5/12} in d"],
    "d3": ["D3", "D3: d^{5/12} in d"],
    "d5": ["D5", "D1", "D1: d^{5/12} in d"],
    "d5-log-concave": ["D5", "D3"],
    "d7": ["D7", "D1"],
    "d7-log-concave": ["D7", "D3"],
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_shipped_programs_judge_what_claims_print(name):
    found = [c.about + (f": {c} in {', '.join(c.scales)}" if c.scales else "") for c in load(name).claims]
    assert found == JUDGED[name]


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("alone", [None, "d", "1/eps"])
def test_the_shipped_programs_have_both_certificates(name, alone):
    check(load(name).solve(None if alone is None else [alone]), random.Random(0))


def texts(monomials):
    return {m(t) for t in monomials}


# T_corr is L^{-1/2} d^{-1/18} in d1 and d^{-1/18} in d3 (where L = 1); elsewhere it is free.
@pytest.mark.parametrize(
    "name, cost, dominated",
    [
        ("d0", ["L^2 d^{1/2} / eps"], []),
        ("d1", ["L^2 d^{5/12} / eps"], ["L^{5/3} d^{7/18} eps^{-2/3}"]),
        ("d5", ["L^{9/5} d^{2/5} eps^{-4/5}"], ["L^{5/3} d^{1/3} eps^{-2/3}"]),
        ("d7", ["L^{23/13} d^{5/13} eps^{-10/13}"], ["L^{5/3} d^{1/3} eps^{-2/3}"]),
        ("d3", ["kappa^{4/3} d^{7/18} eps^{-2/3}", "d^{5/12} / eps"], ["kappa^{4/3} d^{7/36} eps^{-1/3}"]),
        ("d5-log-concave", ["kappa^{4/5} d^{2/5} eps^{-4/5}", "kappa^{4/3} d^{1/3} eps^{-2/3}"], None),
        ("d7-log-concave", ["kappa^{12/13} d^{5/13} eps^{-10/13}", "kappa^{4/3} d^{1/3} eps^{-2/3}"], None),
    ],
)
def test_costs_of_the_ledger(name, cost, dominated):
    optimum = load(name).solve()
    assert set(optimum.cost) == texts(cost)
    if dominated is not None:
        assert {v.cost for v in optimum.vertices if v.dominated} == texts(dominated)


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("d0", {"T_corr": "L^{-1/2}"}),
        ("d1", {"h_pred": "L^{-5/3} d^{-7/18} eps^{2/3}", "h_corr": "L^{-3/2} d^{-17/36} eps",
                "eps_sc": "eps / (d^{1/12} sqrt(L))"}),
        ("d5", {"T_corr": "L^{-19/30} d^{-1/15} eps^{2/15}", "eps_sc": "L^{-7/10} d^{-1/10} eps^{6/5}"}),
        ("d7", {"T_corr": "L^{-17/26} d^{-1/13} eps^{2/13}"}),
    ],
)  # fmt: skip
def test_parameters_of_the_ledger(name, parameters):
    optimum = load(name).solve()
    (free,) = optimum.free
    assert {k: free[k] for k in parameters} == {k: m(t) for k, t in parameters.items()}


@pytest.mark.parametrize("name, d", [("d0", "1/2"), ("d1", "5/12"), ("d3", "5/12"), ("d5", "2/5"), ("d7", "5/13")])
def test_powers_of_the_dimension_alone(name, d):
    assert load(name).solve(["d"]).cost == (Monomial(d=d),)
    assert load(name).solve().alone["d"] == Monomial(d=d)


def test_the_dimension_alone_at_the_two_corrector_times():
    """min over h of the cost at a given tau = d^-x: predictor d^{1/3+x}, corrector d^{1/2-3x/2}; equal at x = 1/15."""
    errors = ["d^{1/2} h_p^{3/2} tau^{-3/2}", "tau^{1/2} d^{1/2} h_c"]
    costs = ["1/h_p", "tau / h_c"]
    for x in (F(1, 18), F(1, 15), F(0), F(1, 3)):
        best = optimize(errors, costs, ["h_p", "h_c"], fix={"tau": Monomial(d=-x)}, scales=["d"])
        assert best.cost == (Monomial(d=max(F(1, 3) + x, F(1, 2) - F(3, 2) * x)),)
    best = optimize(errors, costs, ["h_p", "h_c", "tau"], ["tau"])
    assert best.cost == (Monomial(d="2/5"),)
    assert best.free[0]["tau"] == Monomial(d="-1/15")


@pytest.mark.parametrize(
    "name, smoothing", [("d5", 1.5), ("d7", 1.0), ("d5-log-concave", 1.5), ("d7-log-concave", 1.0)]
)
def test_the_monomials_are_the_numerical_minimum(name, smoothing):
    """With h and e solved from their errors by hand, the worst cost is minimized over ln tau by bounded search."""
    rng = np.random.default_rng(0)
    optimum, concave = load(name).solve(), name.endswith("log-concave")
    for x, d, e in rng.uniform(0.1, 12, (20, 3)):  # logarithms of L or kappa, of d and of 1/eps

        def worst(tau, x=x, d=d, e=e):
            if concave:  # e_w = eps tau^p / sqrt(d kappa); corrector tau/h_c = tau^{3/2} sqrt(d)/eps
                accuracy = -e + smoothing * tau - (d + x) / 2
                return max(7 / 6 * x - accuracy / 3, x - 2 / 3 * accuracy, 1.5 * tau + d / 2 + e)
            strength = x / 4 if smoothing == 1.5 else 0
            step = 2 / 3 * (-e + strength + smoothing * tau - 2 * x - d / 2)
            return max(-step, x + tau + (7 / 4 * x + tau / 2 + d / 2 + e))

        top = 0 if concave else -x / 2
        found = minimize_scalar(worst, bounds=(-60, top), method="bounded", options={"xatol": 1e-9})
        numerical = min(found.fun, worst(top))
        logs = {"kappa": x, "L": x, "d": d, "eps": -e}
        exact = max(sum(float(p) * logs[k] for k, p in c.exponents.items()) for c in optimum.cost)
        # the search stops at 3 sqrt(2^-52) |ln tau|, with |ln tau| < 20 here; slopes in ln tau are at most 3/2
        assert numerical == pytest.approx(exact, abs=1.5 * 3 * 20 * 2**-26)


def test_sensitivity_is_the_multiplier():
    """A further factor in one term moves the cost by that factor to the multiplier."""
    program = load("d5")
    (vertex,) = (v for v in program.solve().vertices if not v.dominated)
    factor = m("L^{1/9} d^{1/10} eps^{-1/7}")
    for kind in ("costs", "errors", "constraints"):
        for name, term in getattr(program, kind).items():
            changed = replace(program, **{kind: getattr(program, kind) | {name: term * factor}})
            cost = vertex.cost * factor ** vertex.multipliers.get(name, 0)
            assert cost in {v.cost for v in changed.solve().vertices}


# ------------------------------------------------------------------- printed costs


def verdicts(name):
    optimum = load(name).solve()
    return {str(v.claim): (v, [[optimum.condition(w) for w in part] for part in v.where]) for v in optimum.claims}


def test_the_printed_prefactor_of_d1():
    """At T_corr = L^{-1/2} d^{-1/18} the corrector costs L^2 d^{5/12}/eps: above the printed form as L grows."""
    printed = "L^{5/3} d^{5/12} eps^{-1}"
    verdict, where = verdicts("d1")[printed]
    assert (verdict.finding, where) == ("not implied", [["L <= 1"]])
    assert (verdict.witness, verdict.gap) == ({"L": 1, "d": 0, "1/eps": 0}, F(1, 3))
    verdict, where = verdicts("d5")[printed]
    assert (verdict.finding, where) == ("implied where", [["L <= d^{1/8} eps^{-3/2}"]])
    assert verdicts("d1")["d^{5/12}"][0].finding == "implied"


def test_printed_costs_of_the_other_programs():
    for name in BUILT_IN:
        for text, (verdict, where) in verdicts(name).items():
            if (name[:2] in ("d5", "d7") and verdict.claim.source == "[derived]") or name == "d0":
                assert verdict.finding == "implied", text
                assert verdict.equal
                assert not where
    (verdict, _) = verdicts("d3")["kappa^{4/3} d^{5/12} eps^{-2/3} + kappa d^{5/12} eps^{-1}"]
    assert (verdict.finding, verdict.equal, verdict.witness) == ("implied", False, None)


@pytest.mark.slow
@given(st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=3),
       st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=3))  # fmt: skip
def test_verdicts_hold_in_every_direction(costs, claimed):
    """Two scales: a finding is a statement about all directions (x, y) >= 0; try those with small entries."""
    claim = " + ".join(str(Monomial(d=a, L=b)) for a, b in claimed)
    optimum = optimize([], [Monomial(d=a, L=b) for a, b in costs], [], scales=["d", "L"], claimed=[claim])
    (verdict,) = optimum.claims
    directions = [(x, y) for x in range(30) for y in range(30) if x + y]
    gaps = {
        (x, y): max(a * x + b * y for a, b in costs) - max(a * x + b * y for a, b in claimed) for x, y in directions
    }
    holds = {xy: gap <= 0 for xy, gap in gaps.items()}
    for (x, y), implied in holds.items():
        said = verdict.finding == "implied" or any(
            all(w["d"] * x + w["L"] * y <= 0 for w in part) for part in verdict.where
        )
        assert said == implied
    # slopes at which two of these lines cross have terms up to 6: the grid sees every full cone
    if verdict.finding == "implied":
        assert all(holds.values())
        assert verdict.equal == (not any(gaps.values()))
    else:
        x, y = verdict.witness["d"], verdict.witness["L"]
        assert max(a * x + b * y for a, b in costs) - max(a * x + b * y for a, b in claimed) == verdict.gap > 0
        assert (verdict.finding == "implied where") == any(
            holds[a] and holds[b] and a[0] * b[1] != a[1] * b[0] and holds[a[0] + b[0], a[1] + b[1]]
            for a in directions for b in directions if max(*a, *b) < 15
        )  # fmt: skip


# ------------------------------------------------------------------- assumptions, limits, refusals


def test_an_assumption_about_scales_restricts_the_answer():
    free = optimize(["h L / eps"], ["1/h", "d / eps"], ["h"])
    assert set(free.cost) == texts(["L / eps", "d / eps"])
    assumed = optimize(["h L / eps"], ["1/h", "d / eps"], ["h"], ["L <= d^{1/2}"])
    assert assumed.cost == (m("d / eps"),)
    assert assumed.alone == {"d": m("d"), "1/eps": m("1/eps")}  # L alone cannot grow


def test_ties_and_programs_without_parameters():
    assert optimize([], ["d", "d L", "d"], []).cost == (m("d L"),)
    assert optimize(["h"], ["1/h"], ["h"], scales=["d"]).cost == (Monomial(),)
    tie = optimize([], ["d", "L"], [], ["d <= L", "L <= d"])
    assert len(tie.cost) == 1


def test_infeasible_programs_come_with_multipliers():
    with pytest.raises(Infeasible, match=r"^errors: .*\(small\)\^2 \(large\) = d must be <= 1, whatever h") as error:
        optimize({"small": "h d", "large": "1 / (h^2 d)"}, ["1/h"], ["h"])
    assert error.value.multipliers == {"small": 2, "large": 1}
    with pytest.raises(Infeasible, match=r"^errors: .*\(error 1\) = d\^\{1/2\} must be <= 1.*grows along d = t"):
        optimize(["sqrt(d)"], ["L"], [])
    with pytest.raises(Infeasible, match="keeps d constant") as error:
        optimize(["h d"], ["1/h"], ["h"], {"a": "d L <= 1"})
    assert error.value.multipliers == {"a": 1}


def test_unbounded_programs_come_with_a_ray():
    with pytest.raises(Unbounded, match="^costs: the program is unbounded: along h = t, tau = t, t -> oo") as error:
        optimize(["h d / tau"], ["1/h"], ["h", "tau"])
    assert error.value.ray == {"h": 1, "tau": 1}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((["h"], ["1/h"], "h"), "^free: expected a list of names, got 'h'"),
        ((["h"], ["1/h"], ["h", "x"]), "^free: no cost, error or constraint contains 'x'"),
        ((["h"], ["1/h"], ["h", "h"]), "^free: a name may stand once .*; 'h' stands twice"),
        ((["h"], [], ["h"]), "^costs: a program needs at least one cost"),
        (("h", ["1/h"], ["h"]), "^errors: expected a list of monomials"),
        ((["h^"], ["1/h"], ["h"]), "^errors: expected a rational exponent, got nothing in 'h\\^'"),
        ((["h"], ["1/h"], ["h"]), "^scales: a program needs at least one scale"),
        (([3], ["1/h"], ["h"]), "^errors: expected text, got 3"),
        ((["h"] * 20, ["1/h"], ["h"]), "^errors: there can be at most 20 costs, errors and constraints, got 21"),
        ((["a b c d e f g"], ["1/a"], []), "^scales: there can be at most 5 scales, got 7"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimize(*arguments)


def test_refusals_of_options():
    with pytest.raises(
        ValueError,
        match="^errors: error 'error 1' contains 'L', which is not one of the scales d or",
    ):
        optimize(["h L"], ["1/h"], ["h"], scales=["d"])
    with pytest.raises(ValueError, match="^claimed: the claim x contains 'x', which is not one of the scales 1/eps"):
        optimize(["h / eps"], ["1/h"], ["h"], claimed=["x"])
    with pytest.raises(ValueError, match="^fix: the fixed parameter 'tau' contains 'h', which is not"):
        optimize(["h tau d"], ["1/h"], ["h"], fix={"tau": "h"})
    with pytest.raises(ValueError, match="^scales: expected some of L, d, 1/eps, got q"):
        load("d5").solve(["q"])
    with pytest.raises(ValueError, match="^path: expected the name of a file or of a program, got 3"):
        load(3)


def test_a_wrong_certificate_is_noticed():
    optimum = load("d5").solve()
    scales = _Scales(optimum.program)
    vertex, piece = optimum.vertices[0], optimum.vertices[0].pieces[0]
    y = vertex.multipliers
    _verify(scales, vertex)
    for wrong in (
        replace(vertex, cost=vertex.cost * m("d^{1/100}")),
        replace(vertex, multipliers=y | {"predictor": y["predictor"] + F(1, 9)}),
        replace(vertex, multipliers={k: 2 * v for k, v in y.items()}, cost=vertex.cost**2),
        replace(vertex, pieces=()),
        replace(vertex, pieces=(replace(piece, free=piece.free | {"h_corr": piece.free["h_corr"] * m("L")}),)),
        replace(vertex, pieces=(replace(piece, free=piece.free | {"h_corr": piece.free["h_corr"] / m("L")}),)),
        replace(vertex, pieces=(replace(piece, where=(m("L"),), directions=piece.directions[:1]),)),
    ):
        with pytest.raises(ArithmeticError, match="does not hold"):
            _verify(scales, wrong)


def test_what_is_shown_is_short():
    program = load("d5-log-concave")
    best = program.solve()
    assert repr(program).startswith("<Program d5-log-concave: kappa^{7/6} eps_w^{-1/3}, ")
    assert repr(best) == ("<Optimum of d5-log-concave: kappa^{4/3} d^{1/3} eps^{-2/3}, kappa^{4/5} d^{2/5} eps^{-4/5}>")
    assert repr(program.claims[0]) == f"<PrintedCost {program.claims[0]} ([derived])>"
    table = best._repr_html_()
    assert table.count("<tr>") == 3
    assert all(str(cost) in table and best.condition(v.where[0]).replace("<", "&lt;").replace(">", "&gt;") in table
               for cost, v in zip(best.cost, best.vertices, strict=False))  # fmt: skip


# ------------------------------------------------------------------- files and the command


GOOD = """
scales = ["d", "1/eps"]
free = ["h"]
claimed = ["d + 1/eps", { cost = "d^{1/2}", scales = ["d"], source = "here" }]
[[cost]]
name = "steps"
monomial = "1/h"
[[error]]
name = "bias"
monomial = "d h^2 <= eps"
"""


@pytest.fixture
def run(capsys, tmp_path):
    def call(text, *options):
        path = tmp_path / "my.toml"
        path.write_text(text)
        code = main(["exponents", str(path), *options])
        return code, *capsys.readouterr()

    return call


def test_a_file_of_ones_own(run):
    code, out, err = run(GOOD)
    assert (code, err) == (0, "")
    assert "Smallest worst cost, up to constants: d^{1/2} eps^{-1/2}" in out
    assert "d + eps^{-1}\n  implied, and somewhere larger than the cost" in out
    assert "d^{1/2}  (in d alone, here)\n  implied: it is the cost" in out
    code, out, _ = run(GOOD, "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["schema"], record["command"], record["cost"]) == (3, "exponents", ["d^{1/2} eps^{-1/2}"])
    assert record["vertices"][0]["multipliers"] == {"steps": "1", "bias": "1/2"}
    assert [c["finding"] for c in record["claims"]] == ["implied", "implied"]
    assert json.loads(run(GOOD, "--json", "--scale", "eps")[1])["cost"] == ["eps^{-1/2}"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_programs_on_the_command_line(name, capsys):
    code = 1 if name == "d1" else 0  # its printed form is not implied
    assert main(["exponents", name]) == code
    assert load(name).title in capsys.readouterr().out
    assert main(["exponents", name, "--json"]) == code
    record = json.loads(capsys.readouterr().out)
    assert record["cost"] == [str(c) for c in load(name).solve().cost]


def test_the_command_says_what_is_not_implied(capsys):
    assert main(["exponents", "d1"]) == 1
    out = capsys.readouterr().out
    assert "not implied; it holds only where L <= 1" in out
    assert "along L = t the cost is larger by the factor t^{1/3}" in out


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "d h^2",
            "kapa h^2",
            "error 'bias' contains 'kapa', which is not one of the scales d, 1/eps or of",
        ),
        ("scales = [", "scales = ", "cannot be read as TOML: "),
        ('"d h^2 <= eps"', '"d h^{2"', "error 'bias': expected '}', got nothing in 'd h^{2'"),
        ('"d h^2 <= eps"', "3", "error 'bias': expected text, got 3"),
        ('free = ["h"]', 'free = "h"', "free: expected a list of names, got 'h'"),
        ('name = "bias"', 'nom = "bias"', "error 1: unknown key 'nom'; the keys are monomial, name"),
        (
            'name = "bias"',
            'name = "steps"',
            "needs a name of its own; 'steps' stands twice",
        ),
        ('monomial = "1/h"', "", "cost 1: the key 'monomial' is missing"),
        ("[[error]]", "[[mistake]]", "top level: unknown key 'mistake'; the keys are"),
        ('"1/h"', '"1/h <= d"', "cost 'steps': expected a monomial, got '1/h <= d'"),
        ('"d h^2 <= eps"', '"1/(d h) <= eps"', "the program is unbounded: along h = t, t -> oo"),
        (
            '"d h^2 <= eps"',
            '"d <= eps"',
            "the program is infeasible: (bias) = d eps^{-1} must be <= 1, whatever h may be",
        ),
        ('"d + 1/eps"', '"d + q"', "the claim d + q contains 'q', which is not one of the scales d, 1/eps"),
        ('"d + 1/eps"', "7", "claimed: expected a table, got 7"),
        ('"d", "1/eps"', '"d", "2/eps"', "'2/eps' is not a name"),
    ],
)
def test_bad_files_are_refused_in_one_line(run, old, new, message):
    assert old in GOOD
    code, out, err = run(GOOD.replace(old, new, 1))
    assert (code, out) == (2, "")
    assert message in err
    assert "my.toml" in err
    assert err.count("\n") == 1


def test_files_that_cannot_be_read(tmp_path, capsys):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path, message in (("nowhere.toml", "no such file"), (".", "directory"), ("binary.toml", "decode")):
        assert main(["exponents", str(tmp_path / path)]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
    assert main(["exponents", "d5", "--scale", "q"]) == 2
    assert capsys.readouterr().err == "rmverify: --scale: expected some of L, d, 1/eps, got q\n"
