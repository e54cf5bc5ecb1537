"""A bound is one object: its readings agree with each other and with the formula written out here."""

from __future__ import annotations

import math
import re
from fractions import Fraction as F

import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from mutants.formulas import LINES

from rmverify.claims.ledger import load
from rmverify.exponents import BOUNDS, Bound, Monomial, formulas
from rmverify.exponents import load as program

LETTERS = ["L", "d", "h", "t", "eps_sc", "W_2", "gamma"]
AT = dict(zip(LETTERS, (2.0, 3.0, 0.5, 0.25, 0.1, 0.7, 1.5), strict=True))
EXPONENTS = st.fractions(-2, 2, max_denominator=4).filter(bool)


@st.composite
def written(draw, depth=2):
    """(text, value at AT by plain floats)."""
    kind = draw(st.sampled_from(["name", "number", "power", "product", "quotient", "sum", "max", "min", "sqrt"]))
    if depth == 0 or kind == "name":
        name = draw(st.sampled_from(LETTERS))
        return name, AT[name]
    if kind == "number":
        number = draw(st.sampled_from(["2", "0.764", "12", "7", "0.00001", "1234567.89"]))
        return number, float(number)
    text, value = draw(written(depth - 1))
    if kind == "power":
        e = draw(EXPONENTS)
        return f"({text})^{{{e}}}", value ** float(e)
    if kind == "sqrt":
        return f"sqrt({text})", math.sqrt(value)
    other, b = draw(written(depth - 1))
    return {
        "product": (f"({text}) ({other})", value * b),
        "quotient": (f"({text})/({other})", value / b),
        "sum": (f"{text} + {other}", value + b),
        "max": (f"max({text}, {other})", max(value, b)),
        "min": (f"min({text}, {other})", min(value, b)),
    }[kind]


@given(written())
def test_a_bound_says_the_same_in_every_reading(formula):
    text, value = formula
    bound = Bound(text)
    assert bound(**AT) == pytest.approx(value, rel=1e-12)
    assert Bound(str(bound)) == bound == eval(repr(bound), {"Bound": Bound})
    ball = bound(one=arb(1), **{name: arb(x) for name, x in AT.items()})
    assert abs(float(ball) - value) <= 1e-12 * value
    assert float(ball.rad()) <= 1e-12 * value
    arrays = bound(**{name: np.array([[x], [x]]) for name, x in AT.items()})
    np.testing.assert_array_equal(np.broadcast_to(arrays, (2, 1)), np.full((2, 1), bound(**AT)))
    assert read_back(bound.latex) == pytest.approx(value, rel=1e-12)


def read_back(latex):
    """The value at AT of a formula in LaTeX, as an expression of Python."""
    text = latex.replace(r"\varepsilon_{sc}", "eps_sc").replace(r"\left", "").replace(r"\right", "")
    for pattern, plain in (
        (r"\^\{([^{}]*)\}", r"**(\1)"),
        (r"\\sqrt\{([^{}]*)\}", r"((\1)**0.5)"),
        (r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
    ) * 8:  # from the inside
        text = re.sub(pattern, plain, text)
    text = re.sub(r"(?<=[\w)]) (?=[\w(\\])", "*", text).replace("\\", "")
    return eval(text, {"max": max, "min": min, "log": math.log, "e": math.e}, AT)


def test_functions_in_latex():
    assert Bound("exp(-2 h)^2 log(d/t)^2 L").latex == (r"\left(e^{-2 h}\right)^{2} \log\left(\frac{d}{t}\right)^{2} L")
    assert Bound("d sqrt(L + 1/t)").latex == r"d \sqrt{L + \frac{1}{t}}"
    assert Bound("L/(T^{3/2} d)").latex == r"\frac{L}{T^{3/2} d}"
    assert read_back(Bound("L/exp(-2 h)^2").latex) == pytest.approx(2 * math.exp(2))
    assert Bound("sqrt(kappa/eps) m_2").latex == r"\sqrt{\frac{\kappa}{\varepsilon}} m_2"


def test_numbers_and_powers_are_exact_over_balls():
    """No float stands between a formula and its enclosure: 0.764 is 191/250, and a third is a third."""
    with ctx.workprec(256):
        found = Bound("0.764 h^{1/3} max(d, t)/min(d, t)")(one=arb(1), h=arb(2), d=arb(3), t=arb(5))
        exact = arb(191) / 250 * arb(2).root(3) * 5 / 3
        assert found.overlaps(exact)
        assert float(found.rad()) < 1e-70


def test_constants_functions_and_symbols():
    bracket = Bound("W_2^2/T^2 (1/2 + L^2 T^3/(6 gamma) + gamma T/2)")
    W, T, L, g = sp.symbols("W T L g")
    found = bracket(one=sp.Integer(1), W_2=W, T=T, L=L, gamma=g)
    assert sp.expand(found - W**2 / T**2 * (sp.Rational(1, 2) + L**2 * T**3 / (6 * g) + g * T / 2)) == 0
    assert Bound("exp(-T) log(d/eps)^2")(T=2.0, d=5.0, eps=0.1) == math.exp(-2) * math.log(50) ** 2
    over_balls = Bound("exp(-T) log(d/eps)^2")(one=arb(1), T=arb(2), d=arb(50), eps=arb(1))
    assert over_balls.overlaps(arb(-2).exp() * arb(50).log() ** 2)
    assert Bound("h + 2 h - d/2 - d/2") == Bound("3 h - d")
    assert Bound("5/2 h^2 + 1/3 sqrt(h)")(h=4.0) == 40 + 2 / 3
    assert Bound("1/3")(one=arb(1)).contains(arb(1) / 3)
    assert Bound("2 h^-1/3")(h=4.0) == 1 / 6
    assert str(Bound("0.1 h + T/12 - d/4 + 1234567.89")) == "0.1 h + T/12 - d/4 + 1234567.89"
    for text in ("sqrt((k - 1)/M)/2", "sqrt(k - 1)", "sqrt((k + 1) (k - 1))"):
        assert str(Bound(text)) == text


def test_names_and_whole_factors_are_replaced():
    bound = Bound("L^2 d h^4 max(L, 1/t) + h^2 eps_sc^2")
    assert bound.names == ("L", "d", "h", "t", "eps_sc")
    assert str(bound.at(eps_sc=0)) == "L^2 d h^4 max(L, 1/t)"
    assert str(bound.at(eps_sc="sqrt(E)", L="1/m")) == "d h^4 max(1/m, 1/t)/m^2 + h^2 E"
    assert bound.at({"max(L, 1/t)": "L"}, eps_sc=0).monomials == (Monomial(L=3, d=1, h=4),)
    assert Bound("W_2/T").at(W_2=Bound("2 a h^2 + b sqrt(h)")).monomials == (
        Monomial(a=1, h=2, T=-1),
        Monomial(b=1, h="1/2", T=-1),
    )
    assert Bound("3 max(a, b)^{1/2} (c + d)").monomials == tuple(
        Monomial(**{x: "1/2", y: 1}) for x in "ab" for y in "cd"
    )


def test_the_power_of_a_sum_is_its_largest():
    assert [BOUNDS["C3"].power(scale) for scale in ("kappa", "1/eps_w")] == [F(7, 6), F(2, 3)]
    assert [BOUNDS["D3"].power(scale) for scale in ("kappa", "d", "1/eps")] == [F(4, 3), F(5, 12), 1]


@pytest.mark.parametrize("text", ["a - b", "a - 1", "max(a, -b)", "min(a, b)", "exp(a)", "1/(a + b)"])
def test_what_is_no_sum_of_monomials_is_refused(text):
    with pytest.raises(ValueError, match="^bound: "):
        _ = Bound(text).monomials


@pytest.mark.parametrize("text", ["", "2 +", "a^b", "max(", "max(a", "max(a)", "a/0", "(a", "a)", "d // L", "a,b", 3.5])
def test_a_text_that_is_no_formula_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="^bound: ") as error:
        Bound(text)
    assert "\n" not in str(error.value)


def test_a_value_that_is_missing_is_named():
    with pytest.raises(ValueError, match="^T: needs a value in W_2/T; got values for W_2$"):
        Bound("W_2/T")(W_2=1.0)


def catalogue(L, d, h, T, e, W, g, m, k):
    """Every bound, written out."""
    return {
        "B5, randomized midpoint": L * d**0.5 * h**1.5 + e / L,
        "B5, exponential integrator": (L * d) ** 0.5 * h + e / L,
        "C1": W / (L**0.25 * T**1.5),
        "C2": L**0.75 * T**0.5 * d**0.5 * h + e * T**0.5 / L**0.25,
        "C3": k ** (7 / 6) * e ** (-1 / 3) + k * e ** (-2 / 3),
        "C3, reached": e * (d / m) ** 0.5,
        "C4": W**2 / T**2 * (1 / 2 + L**2 * T**3 / (6 * g) + g * T / 2),
        "C4, sharper": W**2 / T**2 * (1 / 2 + L**2 * T**3 / (12 * g) + L * T**2 / 4 + g * T / 4),
        "C4, log-concave": W**2 / T**2 * (1 / 2 + L**2 * T**3 / (12 * g) + g * T / 4),
        "C4, variation": 0.764 * W / T,
        "C4, variation, sharper": 0.737 * W / T,
        "C4, variation, log-concave": 0.646 * W / T,
        "D0": L**2 * d**0.5 / e,
        "D1": L ** (5 / 3) * d ** (5 / 12) / e,
        "D3": k ** (4 / 3) * d ** (5 / 12) * e ** (-2 / 3) + k * d ** (5 / 12) / e,
        "D4": e / (d ** (1 / 12) * L**0.5),
        "D5": max(L ** (9 / 5) * d ** (2 / 5) * e ** (-4 / 5), L ** (5 / 3) * d ** (1 / 3) * e ** (-2 / 3)),
        "D5, log-concave": max(
            k ** (4 / 5) * d ** (2 / 5) * e ** (-4 / 5), k ** (4 / 3) * d ** (1 / 3) * e ** (-2 / 3)
        ),
        "D7": L ** (23 / 13) * d ** (5 / 13) * e ** (-10 / 13),
        "D7, log-concave": max(
            k ** (12 / 13) * d ** (5 / 13) * e ** (-10 / 13), k ** (4 / 3) * d ** (1 / 3) * e ** (-2 / 3)
        ),
        "D1, since": L * d ** (1 / 3) * e ** (-2 / 3),
        "D3, since": k ** (5 / 6) * d ** (1 / 3) * e ** (-2 / 3),
        "F1": 1.11 * math.exp(-3 * m * h / 2) * W + (2.4 * (k * L * h) ** 0.5 + 1.77) * L * h * (d / m) ** 0.5,
        "F2": 1.6 * math.exp(-3 * m * h) * W
        + 0.1 * (math.exp(-3 * m * h) * e / m) ** 0.5
        + 0.2 * (g * h) ** 3 * (k * d / m) ** 0.5
        + 10 * (g * h) ** 1.5 * (d / m) ** 0.5,
        "F3": 2 * math.exp(-3 * m * h) * W
        + 0.05 * (math.exp(-3 * m * h) * e / m) ** 0.5
        + 0.9 * g * h * (k * d / m) ** 0.5,
        "F4": 5.5 * e**2 + 15 * 2 * e,
        "F5": 2 * L * W,
        "F6": e * (d * h) ** 0.5,
        "F7, strong": d**0.5 * T**-1.5,
        "F7, weak": T**-3,
        "F9": (L * h / 3) ** 1.5 * (d / m) ** 0.5,
        "F8": k * math.log(1 / e),
        "K1": (L * h) ** 3 / 6,
        "K1, overdamped": L * h / 2,
        "K2": (L * h) ** 2 / (3 * 3**2),
        "K2, no rounds": (L * h) ** 2 * (3**-2 - 1) / 6,
        "K3": L * h / (2 * L),
        "K3, many cells": (L * h) ** 2 / 3,
        "K4": -L * k * h**2 / 4,
        "K5": -((L * h) ** 2) / 6,
        "K1, steps": k ** (4 / 3) / e ** (2 / 3) + k / e,
        "K4, steps": k ** (5 / 3) / e ** (2 / 3),
        "K5, steps": (d / e) ** (2 / 3),
        "D1, time": L ** (-1 / 2) * d ** (-1 / 18),
        "D5, time": L ** (-19 / 30) * d ** (-1 / 15) * e ** (2 / 15),
        "D7, time": L ** (-17 / 26) * d ** (-1 / 13) * e ** (2 / 13),
    }


# of a maximum the one entry is larger at the first of these, the other at the second
POINTS = ((2.0, 3.0, 0.5, 0.25, 0.1, 0.7, 1.5, 0.3, 5.0), (0.05, 0.2, 0.5, 0.25, 0.9, 0.7, 1.5, 0.3, 0.5))


@pytest.mark.parametrize("name", BOUNDS)
def test_the_catalogue_against_formulas_written_out(name):
    for point in POINTS:
        L, d, h, T, e, W, g, m, k = point
        values = {"L": L, "d": d, "h": h, "T": T, "W_2": W, "gamma": g, "m": m, "kappa": k}
        values |= dict.fromkeys(("eps", "eps_sc", "eps_w", "f_0", "nu", "sigma"), e)
        values |= {"n": 3, "W_0": W, "M": L, "p": d, "D": d, "r": W, "beyond": 1, "N": T, "R": 3, "k": L, "u": k}
        assert BOUNDS[name](**values) == pytest.approx(catalogue(*point)[name], rel=1e-14)


@pytest.mark.parametrize(
    ("name", "claim", "wrong", "names", "error", "power"),
    [
        ("B5, randomized midpoint", "B5", "L sqrt(d) h^2 + eps_sc/L", ("d1", "d5", "d7"), "predictor", ("h_pred", 2)),
        ("C1", "C1", "W_2/(L^{1/4} T^2)", ("d0", "d1", "d3", "d5"), "predictor", ("T_corr", -2)),
        ("C2", "C2", "L^{3/4} T d^{1/2} h + eps_sc T", ("d0", "d3", "d7"), "corrector", ("T_corr", 1)),
    ],
)
def test_claim_and_programs_change_with_the_one_bound(monkeypatch, name, claim, wrong, names, error, power):
    before = load()[claim].latex, load()[claim].right
    assert all(program(n).errors[error][power[0]] != power[1] for n in names)
    monkeypatch.setattr(BOUNDS[name], "terms", Bound(wrong).terms)
    found = load()[claim]
    assert found.latex != before[0]
    assert found.right != before[1]
    assert Bound(wrong).latex in found.latex
    assert str(Bound(wrong)) in found.right
    assert all(program(n).errors[error][power[0]] == F(power[1]) for n in names)


# --- deliberate mutants -----------------------------------------------------------------------------------------

FACTS = {
    "constants": test_constants_functions_and_symbols,
    "exact": test_numbers_and_powers_are_exact_over_balls,
    "replaced": test_names_and_whole_factors_are_replaced,
    "latex": test_functions_in_latex,
    "catalogue": lambda: test_the_catalogue_against_formulas_written_out("D5"),
}


@pytest.mark.parametrize("mutant", LINES, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    fact = FACTS[mutant.killed_by]
    fact()
    formulas._parts.cache_clear()
    mutant.write(monkeypatch)
    try:
        with pytest.raises(AssertionError):
            fact()
    finally:
        formulas._parts.cache_clear()
