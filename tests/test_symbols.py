"""The symbols reading: series against textbook expansions, shipped steps against the printed formulas, refusals."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from rmverify import elementary, schemes
from rmverify.readings.symbols import Draws, Series, average, covariance, elementwise, flow, letters, local
from rmverify.schemes.langevin import kinetic_noise

H = sp.Symbol("h", positive=True)
A = sp.Symbol("a", positive=True)


def expansion(formula, order):
    """The coefficients of a textbook formula in h, by sympy's series."""
    taylor = sp.expand(sp.series(formula, H, 0, order).removeO())
    return [taylor.coeff(H, n) for n in range(order)]


def same(series, coefficients):
    found = series.coefficients(len(coefficients))
    named = [sp.sympify(c).subs({s: sp.Symbol(s.name) for s in sp.sympify(c).free_symbols}) for c in coefficients]
    return [sp.cancel(f - c) for f, c in zip(found, named, strict=True)] == [0] * len(named)


# --- series ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, coefficient",
    [
        ("exp", lambda n: Fraction(1, math.factorial(n))),
        ("expm1", lambda n: Fraction(1, math.factorial(n)) if n else 0),
        ("phi1", lambda n: Fraction(1, math.factorial(n + 1))),
        ("phi2", lambda n: Fraction(1, math.factorial(n + 2))),
        ("phi3", lambda n: Fraction(1, math.factorial(n + 3))),
        ("log1p", lambda n: Fraction((-1) ** (n + 1), n) if n else 0),
        ("log1p_minus", lambda n: Fraction((-1) ** (n + 1), n) if n > 1 else 0),
    ],
)
def test_elementary_functions_of_a_series_have_their_taylor_coefficients(name, coefficient):
    h, a = letters("a", order=7)
    letter = sp.Symbol("a")
    found = getattr(elementary, name)(-3 * a * h)
    assert same(found, [sp.Rational(coefficient(n)) * (-3 * letter) ** n for n in range(7)])


def test_the_root_squares_to_its_argument_and_starts_at_one():
    h, a, v = letters("a", units="v", order=6)
    argument = 1 + a * h / v - 5 * h * h
    root = elementary.sqrt(argument)
    assert root.coefficient(0) == 1
    assert not (root * root - argument).poly


def test_division_is_the_inverse_of_multiplication():
    h, a, v = letters("a", units="v", order=5)
    divisor = v * v - 2 + a * h + 3 * h**3
    quotient = (1 + a * h) / divisor
    assert not (quotient * divisor - (1 + a * h)).poly
    assert not (divisor**-2 * divisor**2 - 1).poly
    assert same(2 / (4 - h), [sp.Rational(2, 4 ** (n + 1)) for n in range(5)])


def test_products_are_cut_at_the_order():
    h, a = letters("a", order=3)
    assert not (h * h * h * a).poly
    assert (a + h).integrate().coefficients(3) == (0, sp.Symbol("a"), sp.Rational(1, 2))
    assert letters("", order=1)[0].coefficients(1) == (0,)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda h, a: elementary.exp(1 + h), "vanishes at h = 0"),
        (lambda h, a: elementary.sqrt(2 + h), "vanishes at h = 0"),
        (lambda h, a: h / a, "unit at h\\^0"),
        (lambda h, a: h / h, "unit at h\\^0"),
        (lambda h, a: h + letters("b", order=4)[1], "letters of one call"),
        (lambda h, a: h.coefficient(4), "power: expected 0 to 3, got 4"),
        (lambda h, a: letters("a", order=0), "order: expected at least 1, got 0"),
        (lambda h, a: Draws([a]).strata(2), "midpoints: expected one letter"),
        (lambda h, a: Draws().normal(((1,),)), "noises: expected one letter"),
    ],
)
def test_what_makes_no_sense_is_refused(spoil, message):
    with pytest.raises(ValueError, match=message):
        spoil(*letters("a", order=4))


def test_floats_are_refused():
    h, _ = letters("a", order=4)
    for spoil in (lambda: h + 0.5, lambda: 0.5 * h, lambda: h / 2.0, lambda: 1.0 - h):
        with pytest.raises(TypeError):
            spoil()


# --- draws and averages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_averages_over_strata_are_integrals(count):
    h, *a = letters(" ".join(f"a{i}" for i in range(count)), order=3)
    draws = Draws(a)
    lo, drawn = draws.strata(count)
    assert lo.tolist() == [sp.Rational(i, count) for i in range(count)]
    found = average(sum(drawn**3) * h, draws.intervals).coefficient(1)
    z = sp.Symbol("z")
    assert found == count * sp.integrate(z**3, (z, 0, 1))  # R int over each stratum, all strata together


def test_averages_are_products_over_independent_midpoints():
    h, a, b = letters("a b", order=2)
    intervals = [(a, 0, 1), (b, sp.Rational(1, 2), 1)]
    assert average(a * b * b + h, intervals).coefficients(2) == (sp.Rational(1, 2) * sp.Rational(7, 12), 1)


def test_normal_draws_are_correlated_within_a_copy_only():
    letters_ = sp.symbols("w0:6")
    draws = Draws(noises=letters_)
    v, x = draws.normal(((4, 2), (2, 3)), count=3)
    assert v.tolist() == list(letters_[0::2])
    assert x.tolist() == list(letters_[1::2])
    table = {(p, q): c for p, q, c in draws.covariances}
    assert table[letters_[2], letters_[3]] == table[letters_[3], letters_[2]] == 2
    assert (letters_[0], letters_[3]) not in table
    assert covariance(sum(v), sum(v) + sum(x), draws.covariances) == 3 * (4 + 2)


def test_elementwise_leaves_scalars_alone():
    add = elementwise(lambda p, q: p + q)
    assert add(1, 2) == 3
    assert add(np.array([[1], [2]], dtype=object), np.array([10, 20], dtype=object)).tolist() == [[11, 21], [12, 22]]


# --- shipped steps ------------------------------------------------------------------------------------------


def slope(level):
    """g of the score -g(t) x, t counted from the step's start."""
    return 2 + 3 * level - sp.S.Half * level**2


TEXTBOOK = {
    "exponential_integrator": sp.exp(H) - (sp.exp(H) - 1) * slope(0),
    "randomized_midpoint": sp.exp(H)
    - H * sp.exp((1 - A) * H) * slope(-A * H) * (sp.exp(A * H) - (sp.exp(A * H) - 1) * slope(0)),
    "importance_midpoint": sp.exp(H)
    - (sp.exp(H) - 1)
    * slope(sp.log(1 - A * (1 - sp.exp(-H))))
    * (1 - A * (1 - sp.exp(-H)) * slope(0))
    / (1 - A * (1 - sp.exp(-H))),
    "midpoint": sp.exp(H) - H * sp.exp(H / 2) * slope(-H / 2) * (sp.exp(H / 2) - (sp.exp(H / 2) - 1) * slope(0)),
    "heun": 1 + H / 2 * ((1 - slope(0)) + (1 - slope(-H)) * (1 + H * (1 - slope(0)))),
    "euler": 1 + H * (1 - slope(0)),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_predictors_are_the_textbook_formulas(name):
    h, x, a = letters("x a", order=5)
    step = getattr(schemes, name)(x, 0 * h, h, lambda level, y: -slope(level) * y, Draws([a]))
    assert same(step, [c * sp.Symbol("x") for c in expansion(TEXTBOOK[name], 5)])


def test_the_flow_is_the_exponential_of_the_integral():
    h, x = letters("x", order=6)
    found = flow(x, h, lambda level, y: -slope(level) * y)
    r = sp.Symbol("r")
    exact = sp.exp(H - sp.integrate(slope(-r), (r, 0, H)))
    assert same(found, [c * sp.Symbol("x") for c in expansion(exact, 6)])


def test_the_flow_of_a_nonlinear_score_solves_its_equation():
    h, x, c = letters("x c", order=6)

    def score(level, y):
        return c * y * y + level * y

    found = flow(x, h, score)
    assert not (found - (x + (found + score(-h, found)).integrate())).poly


def test_local_error_is_the_integral_over_the_midpoint():
    """Bias and variance of scheme 2 for a time-dependent score, by quadrature at 40 digits over a small step."""
    h, x, a = letters("x a", order=12)
    bias, variance = local(schemes.randomized_midpoint, x, h, lambda level, y: -slope(level) * y, [a])
    with mp.workdps(40):
        step = mp.mpf(1) / 1000

        def end(alpha):
            half = mp.exp(alpha * step) - mp.expm1(alpha * step) * 2
            b = alpha * step
            return mp.exp(step) - step * mp.exp((1 - alpha) * step) * (2 - 3 * b - b * b / 2) * half

        mean = mp.quad(end, [0, 1])
        exact = mp.exp(step - (2 * step - 3 * step**2 / 2 - step**3 / 6))
        spread = mp.quad(lambda alpha: (end(alpha) - mean) ** 2, [0, 1])
        for series, value in ((bias, mean - exact), (variance, spread)):
            total = sum(
                mp.mpf(c.p) / c.q * step**n
                for n, c in enumerate(sp.Rational(each.subs("x", 1)) for each in series.coefficients(12))
            )
            assert abs(total / value - 1) < mp.mpf(10) ** -20  # h^12 over h^4 is 1e-24


def test_strata_and_coordinates_go_through_the_parallel_step():
    """One stratum and no round is the randomized midpoint; the variance of two strata is an eighth to leading order."""
    h, x, a, b = letters("x a b", order=5)

    def score(level, y):
        return -3 * y + 0 * level

    one = local(schemes.parallel_midpoint(1, 0), x, h, score, [a])
    for found, expected in zip(one, local(schemes.randomized_midpoint, x, h, score, [a]), strict=True):
        assert not (found - expected).poly
    _, two = local(schemes.parallel_midpoint(2, 1), x, h, score, [a, b])
    assert two.coefficient(4) * 8 == one[1].coefficient(4)
    point = np.array([x, 2 * x], dtype=object)
    bias, _ = local(schemes.randomized_midpoint, point, h, score, [a])
    assert bias[1].coefficient(3) == 2 * one[0].coefficient(3)


@pytest.mark.slow
def test_kinetic_noise_of_a_series_is_its_printed_expansion():
    h, g, u = letters("g u", order=5)
    (v_v, v_x), (_, x_x) = kinetic_noise(h, g, u)
    G, U = sp.symbols("g u", positive=True)
    E = sp.exp(-G * H)
    assert same(v_v, expansion(U * (1 - E**2), 5))
    assert same(v_x, expansion(U * (1 - E) ** 2 / G, 5))
    assert same(x_x, expansion(U * (2 * H - (3 - 4 * E + E**2) / G) / G, 5))


@pytest.mark.parametrize("cells, rounds", [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_correctors_run_on_letters(cells, rounds):
    """With the score 0 the parallel corrector moves as free underdamped motion does."""
    h, x, v, *w = letters("x v w0 w1 w2 w3 w4 w5", order=4)
    step = schemes.parallel_underdamped(cells, rounds, friction=2)
    position, velocity = step((x, v), 0 * h, h, lambda _, y: 0 * y, Draws(noises=w))
    X, V = sp.symbols("x v")
    still = {f"w{i}": 0 for i in range(6)}
    free = [(X if n == 0 else 0) + c * V for n, c in enumerate(expansion((1 - sp.exp(-2 * H)) / 2, 4))]
    assert [c.subs(still) for c in position.coefficients(4)] == [sp.expand(c) for c in free]
    assert [c.subs(still) for c in velocity.coefficients(4)] == [c * V for c in expansion(sp.exp(-2 * H), 4)]


def test_a_series_prints_its_order():
    h, _ = letters("a", order=2)
    assert isinstance(h, Series)
    assert repr(0 * h) == "O(h**2)"


def test_choices_and_durations_in_symbols():
    """x' = x + b (1-g) h x with P(b = 1) = 1 - h, and the same with a duration of mean 1 for b."""
    h, x, g, b = letters("x g b", order=4)

    def chosen(x, t, h, score, draw):
        return x + draw.bernoulli(1 - h) * h * (x + score(t, x))

    def waited(x, t, h, score, draw):
        return x + draw.exponential() * h * (x + score(t, x))

    rate, start = sp.symbols("g x")
    slope = (1 - rate) * start
    bias, variance = local(chosen, x, h, lambda t, x: -g * x, [b])
    assert sp.expand(bias.coefficient(2) + slope + (1 - rate) * slope / 2) == 0  # -h^2 slope - h^2 slope'/2
    assert sp.expand(variance.coefficient(3) - slope**2) == 0  # h^2 slope^2 h (1 - h)
    bias, variance = local(waited, x, h, lambda t, x: -g * x, [b])
    assert sp.expand(bias.coefficient(2) + (1 - rate) * slope / 2) == 0
    assert sp.expand(variance.coefficient(2) - slope**2) == 0
