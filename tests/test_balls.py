"""The border to ball arithmetic: everything that crosses it is exact or refused."""

from __future__ import annotations

import functools
from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest
from flint import arb, arb_series

import rmverify as rm
from rmverify import schemes
from rmverify.readings.balls import lift, lift_scheme
from rmverify.schemes.contract import scheme


class Fixed:
    """Hands out given floats."""

    def __init__(self, alpha=0.0, noise=(0.0, 0.0)):
        self.alpha, self.noise = alpha, noise

    def uniform(self):
        return self.alpha

    def normal(self, covariance, count=None):
        return self.noise


def score(t, x):
    return -x / (1 + t)


def contains(ball, exact):
    """Whether the ball contains an mpmath number, and is no wider than a few hundred roundings."""
    assert ball.rad() <= 1e-35 * (1 + abs(float(exact)))
    with mpmath.workdps(60):
        low, high = (mpmath.mpf(end.str(50, radius=False)) for end in (ball.lower(), ball.upper()))
        slack = mpmath.mpf(10) ** -45
        return low - slack <= exact <= high + slack


def test_a_kinetic_scheme_with_float_parameters_encloses_the_textbook_step():
    """x' = x + p v + u q s, v' = E v + u p s at the exact binary values of 0.3, 0.1, 0.7."""
    with flint.ctx.workprec(160), mpmath.workdps(60):
        step = lift_scheme(schemes.underdamped(friction=0.3, mass=0.1))
        x, v = step((0.7, 0.2), 0.5, 0.1, score, Fixed())
        g, u, h, x0, v0, t = map(mpmath.mpf, (0.3, 0.1, 0.1, 0.7, 0.2, 0.5))
        E = mpmath.exp(-g * h)
        p = (1 - E) / g
        q = (h - p) / g
        s = -x0 / (1 + t)
        assert contains(x, x0 + p * v0 + u * q * s)
        assert contains(v, E * v0 + u * p * s)


@scheme
def stubborn(x, t, h, score, draw, *, theta=0.1, order=3):
    """Every pair of numbers that could meet as floats does: parameters, state, draws, levels and the score."""
    a = draw.uniform()
    return (
        theta * theta * x
        + 1 / order * x
        + (1 - a) * (theta + a)
        + t * t
        + h * h
        + score(t, x) * theta
        + x / (1 + order)
    )


def test_no_float_meets_a_float():
    constant = 0.3
    with flint.ctx.workprec(160), mpmath.workdps(60):
        ball = lift_scheme(stubborn)(0.1, 0.2, 0.7, lambda t, x: constant, Fixed(0.6))
        theta, x, t, h, a, s = map(mpmath.mpf, (0.1, 0.1, 0.2, 0.7, 0.6, 0.3))
        exact = theta**2 * x + x / 3 + (1 - a) * (theta + a) + t * t + h * h + s * theta + x / 4
        assert contains(ball, exact)
        assert not contains(ball, mpmath.mpf(stubborn(0.1, 0.2, 0.7, lambda t, x: constant, Fixed(0.6))))


def test_a_partial_is_lifted_like_bound_parameters():
    with flint.ctx.workprec(160):
        one = lift_scheme(stubborn(theta=0.2))(0.1, 0.2, 0.7, score, Fixed(0.6))
        other = lift_scheme(functools.partial(stubborn, theta=0.2))(0.1, 0.2, 0.7, score, Fixed(0.6))
        assert one.mid() == other.mid()
        assert one.rad() == other.rad()


def test_jets_and_balls_pass():
    h = arb_series([0, 1], prec=6)
    step = lift_scheme(schemes.exponential_integrator)(1.0, 2.0, h, lambda t, x: -0.5 * x, None)
    for k in range(6):  # e^h - (e^h - 1)/2
        assert float(step[k]) == pytest.approx(
            [1, *(0.5 / float(mpmath.factorial(j)) for j in range(1, 6))][k], rel=1e-14
        )
    assert lift_scheme(schemes.euler)(arb(2), 1, arb(1) / 3, lambda t, x: -x, None).contains(2)


@pytest.mark.parametrize(
    "value", [Fraction(1, 3), "0.3", None, float("nan"), float("inf"), np.longdouble(0.1), True, mpmath.mpf(1)],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_lifted_is_refused_by_name(value):
    with pytest.raises(TypeError, match="theta"):
        lift_scheme(functools.partial(stubborn, theta=value))
    with pytest.raises(TypeError, match="state"):
        lift_scheme(schemes.euler)(value, 1.0, 0.1, score, None)
    with pytest.raises(TypeError, match="h: only finite floats, integers and balls"):
        lift_scheme(schemes.euler)(1.0, 1.0, value, score, None)


def test_missing_parameters_are_named():
    with pytest.raises(TypeError, match="friction"):
        lift_scheme(schemes.underdamped)


def test_large_integers_are_exact():
    assert lift(np.array([2**53 + 1]))[0] == 2**53 + 1


def test_local_errors_see_exact_parameters():
    """A scheme whose float parameters cancel: 10 theta - 1 = 5.55e-17 at theta = 0.1 is its whole bias."""

    @scheme
    def shifted(x, t, h, score, draw, *, theta):
        return schemes.exponential_integrator(x, t, h, score, draw) + (10 * theta - 1) * x

    target = rm.Gaussian.isotropic(1.0, 1)  # on which the exponential integrator is exact
    with mpmath.workdps(40):
        exact = (10 * mpmath.mpf(0.1) - 1) ** 2
    assert rm.local_error(functools.partial(shifted, theta=0.1), target, 1.0, 0.5).bias == pytest.approx(
        float(exact), rel=1e-13
    )
