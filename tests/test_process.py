"""The Ornstein-Uhlenbeck process, mode by mode: against its equations and against 60 digits."""

from __future__ import annotations

import flint
import mpmath
import numpy as np
import pytest
import sympy
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance

LEVELS = st.floats(-12, 1.5).map(lambda e: 10.0**e)
VARIANCES = st.one_of(st.just(0.0), st.floats(-12, 6).map(lambda e: 10.0**e))
FRACTIONS = st.floats(0.01, 0.99)
MEANS = st.one_of(
    st.just(0.0), st.floats(1e-100, 100), st.floats(-100, -1e-100)
)  # no subnormals: they have fewer digits


def mean_at(mean, t):
    return mpmath.exp(-t) * mean


def variance_at(lam, t):
    """Var(e^{-t} X_0 + sqrt(1 - e^{-2t}) Z)."""
    return mpmath.exp(-2 * t) * lam + (1 - mpmath.exp(-2 * t))


def exactly(*numbers):
    return tuple(map(mpmath.mpf, numbers))


@given(lam=VARIANCES, t=LEVELS)
def test_variance_keeps_thirteen_digits(lam, t):
    with mpmath.workdps(60):
        expected = variance_at(*exactly(lam, t))
        assert abs(mode_variance(lam, t) - expected) <= 1e-13 * expected


@given(mean=MEANS, t=LEVELS)
def test_mean_keeps_thirteen_digits(mean, t):
    with mpmath.workdps(60):
        expected = mean_at(*exactly(mean, t))
        assert abs(mode_mean(mean, t) - expected) <= 1e-13 * abs(expected)


@given(mean=MEANS, lam=VARIANCES, t=LEVELS, x=MEANS)
def test_score_is_minus_the_distance_over_the_variance(mean, lam, t, x):
    with mpmath.workdps(60):
        m, v, t_, x_ = exactly(mean, lam, t, x)
        center, spread = mean_at(m, t_), variance_at(v, t_)
        expected = -(x_ - center) / spread
        # x - m(t) may cancel: its error is relative to its terms
        assert abs(mode_score(mean, lam, t, x) - expected) <= 1e-13 * (abs(x_) + abs(center)) / spread


@given(lam=VARIANCES, t=LEVELS, fraction=FRACTIONS)
def test_flow_slope_is_the_ratio_of_standard_deviations(lam, t, fraction):
    h = fraction * t
    with mpmath.workdps(60):
        v, t_, h_ = exactly(lam, t, h)
        expected = mpmath.sqrt(variance_at(v, t_ - h_) / variance_at(v, t_))
        # t - h is rounded to t 2^-53, which the variance may feel by a factor t/(t-h) <= 100
        assert abs(flow_slope(lam, t, h) - expected) <= 1e-13 * expected


@given(lam=st.floats(0.01, 100), t=st.floats(0.1, 3), first=FRACTIONS, second=FRACTIONS)
def test_flow_is_a_semigroup(lam, t, first, second):
    h_1 = first * t
    h_2 = second * (t - h_1)
    whole = flow_slope(lam, t, h_1 + h_2)
    assert flow_slope(lam, t, h_1) * flow_slope(lam, t - h_1, h_2) == pytest.approx(whole, rel=1e-12)


def test_moments_solve_the_equations_of_the_process():
    """dX = -X dt + sqrt(2) dB: m' = -m and v' = 2 - 2v, from (mean, lam)."""
    t, mean, lam = sympy.symbols("t mean lam", positive=True)
    m, v = mode_mean(mean, t), mode_variance(lam, t)
    assert sympy.simplify(sympy.diff(m, t) + m) == 0
    assert sympy.simplify(sympy.diff(v, t) - 2 + 2 * v) == 0
    assert m.subs(t, 0) == mean
    assert sympy.simplify(v.subs(t, 0)) == lam


def test_density_solves_the_fokker_planck_equation_and_its_gradient_is_the_score():
    t, lam = sympy.symbols("t lam", positive=True)
    x, mean = sympy.symbols("x mean", real=True)
    log_density = -((x - mode_mean(mean, t)) ** 2) / (2 * mode_variance(lam, t)) - sympy.log(mode_variance(lam, t)) / 2
    slope = sympy.diff(log_density, x)
    assert sympy.simplify(slope - mode_score(mean, lam, t, x)) == 0
    # d_t q = d_x (x q) + d_xx q, divided by q
    right = 1 + x * slope + sympy.diff(slope, x) + slope**2
    assert sympy.simplify(sympy.diff(log_density, t) - right) == 0


def test_flow_solves_the_reverse_equation():
    """d/dh x_{t-h} = x_{t-h} + s_{t-h}(x_{t-h}), from x at h = 0."""
    t, h, lam = sympy.symbols("t h lam", positive=True)
    x, mean = sympy.symbols("x mean", real=True)
    path = flow_slope(lam, t, h) * (x - mode_mean(mean, t)) + mode_mean(mean, t - h)
    residual = sympy.diff(path, h) - path - mode_score(mean, lam, t - h, path)
    assert sympy.simplify(residual) == 0
    assert sympy.simplify(path.subs(h, 0) - x) == 0


def test_flow_carries_each_marginal_to_the_next():
    t, h, lam = sympy.symbols("t h lam", positive=True)
    pushed = flow_slope(lam, t, h) ** 2 * mode_variance(lam, t)
    assert sympy.simplify(pushed - mode_variance(lam, t - h)) == 0


@pytest.mark.parametrize("t", ["0.001", "0.5", "4"])
@pytest.mark.parametrize("lam", ["0", "0.25", "7"])
def test_balls_contain_the_formulas(lam, t):
    flint.ctx.prec = 128
    with mpmath.workdps(60):
        v, t_, m, x = exactly(lam, t, "0.7", "-1.3")
        spread = variance_at(v, t_)
        expected = [spread, -(x - mean_at(m, t_)) / spread, mpmath.sqrt(variance_at(v, t_ / 2) / spread)]
        expected = [mpmath.nstr(e, 55) for e in expected]
    balls = [
        mode_variance(arb(lam), arb(t)),
        mode_score(arb("0.7"), arb(lam), arb(t), arb("-1.3")),
        flow_slope(arb(lam), arb(t), arb(t) / 2),
    ]
    flint.ctx.prec = 200
    for ball, text in zip(balls, expected, strict=True):
        assert ball.contains(arb(text))
        assert float(ball.rad()) <= 1e-25 * float(abs(ball.mid()))


def test_arrays_of_modes_and_of_levels_broadcast(xp):
    lam = xp.asarray(np.array([0.0, 0.25, 9.0]))
    t = xp.asarray(np.array([[0.01], [1.0]]))
    value = mode_variance(lam, t)
    assert value.shape == (2, 3)
    for i, level in enumerate((0.01, 1.0)):
        for j, v in enumerate((0.0, 0.25, 9.0)):
            with mpmath.workdps(60):
                expected = variance_at(*exactly(v, level))
                assert abs(float(value[i, j]) - expected) <= 1e-13 * expected
