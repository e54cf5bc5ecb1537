"""Why randomize: errors in step with the steps, against the textbook's steps in mpmath, one number at a time."""

from __future__ import annotations

import functools
import math

import mpmath as mp
import numpy as np
import pytest
from oracles import textbook

import rmverify as rm
from rmverify import schemes
from rmverify.claims.looks import oscillating
from rmverify.claims.looks.oscillating import MEAN, SCHEMES, Oscillation, resonance, smooth


@functools.cache
def rows():
    return resonance(steps=(4, 8, 32))


@functools.cache
def smooth_rows():
    return smooth(evaluations=(16, 64, 256))


def plain_errors(name, lam, end, count, b):
    """(E|x^ - x*|^2, E|E_a x^ - x*|^2, eps_sc^2) for N(0, lam) from t = 1 down, with 30 digits.

    Each step is affine, x -> p x + q, and its a is independent of x; 24 Gauss nodes in a are exact to all digits.
    """
    lam, end = mp.mpf(lam), mp.mpf(end)
    h = (1 - end) / count
    exact = textbook.gaussian_score(lam, 0)

    def score(t, x):
        return exact(t, x) + b * mp.cos(2 * mp.pi * (t - 1) / h)

    drawn = name.startswith("randomized")
    nodes, weights = np.polynomial.legendre.leggauss(24) if drawn else ([0.0], [2.0])
    start = 1 + (lam - 1) * mp.exp(-2)
    mean = [mp.mpf(1), mp.mpf(0)]  # E_a x^ as coefficients of x_0 and 1
    square = [mp.mpf(1), mp.mpf(0), mp.mpf(0)]  # E_a x^^2 as coefficients of x_0^2, x_0, 1
    for n in range(count):
        t = 1 - n * h
        maps = []
        for a in nodes:
            args = (t, h, [(1 + mp.mpf(a)) / 2], score)
            q = textbook.PREDICTORS[name](mp.mpf(0), *args)
            maps.append((textbook.PREDICTORS[name](mp.mpf(1), *args) - q, q))
        w = [mp.mpf(each) / 2 for each in weights]
        p, q, pp, pq, qq = (
            mp.fsum(c * f for c, f in zip(w, products, strict=True))
            for products in zip(*((p, q, p * p, p * q, q * q) for p, q in maps), strict=True)
        )
        square = [
            pp * square[0],
            pp * square[1] + 2 * pq * mean[0],
            pp * square[2] + 2 * pq * mean[1] + qq,
        ]
        mean = [p * mean[0], p * mean[1] + q]
    flow = mp.sqrt((1 + (lam - 1) * mp.exp(-2 * end)) / start)
    bias = (mean[0] - flow) ** 2 * start + mean[1] ** 2
    total = square[0] * start + square[2] - 2 * flow * mean[0] * start + flow**2 * start
    return total, bias, mp.mpf(b) ** 2 / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
def test_the_rows_are_the_textbook_s_steps(name):
    """The nodes of leggauss carry 1e-16 and enter differences of 1e-5 of the state: hence 1e-10."""
    with mp.workdps(30):
        total, bias, eps = plain_errors(name, 0.25, 0.75, 4, 1.0)
        assert float(mp.sqrt(eps)) == pytest.approx(float(rows()[0].eps_sc), rel=1e-14)
        assert float(rows()[0].errors[name]) == pytest.approx(float(mp.sqrt(total / eps)), rel=1e-10)
        if name == "randomized_midpoint":
            assert float(rows()[0].errors[MEAN]) == pytest.approx(float(mp.sqrt(bias / eps)), rel=1e-10)


@pytest.mark.parametrize("name", SCHEMES)
def test_without_the_error_in_the_score_too(name):
    with mp.workdps(30):
        count = 16 if name == "exponential_integrator" else 8
        total, _, _ = plain_errors(name, 0.25, 0.75, count, 0)
        assert float(smooth_rows()[0].errors[name]) == pytest.approx(float(mp.sqrt(total)), rel=1e-9)


def test_eps_sc_is_the_root_mean_square_over_t():
    target = rm.Gaussian.from_spectrum([0.5, 3.0], [2, 5])
    (row,) = resonance(target=target, steps=[3], amplitude=0.7)
    assert row.step == pytest.approx(0.5 / 3, rel=1e-15)
    estimate = rm.EstimatedScore(target, bias=Oscillation(0.7, period=row.step, origin=1.0))
    with mp.workdps(20):
        mean = mp.quad(lambda t: float(estimate.error(float(t))) ** 2, [0.5, 0.75, 1.0]) / mp.mpf("0.5")
        assert float(row.eps_sc) == pytest.approx(float(mp.sqrt(mean)), rel=1e-12)


@functools.cache
def leading_terms(steps):
    """By name, the leading terms in units of eps_sc on N(0, 1/4) from 1 down by 1/4, b = 1: the integrals."""
    end, h = mp.mpf("0.75"), mp.mpf("0.25") / steps

    def v(t):
        return 1 - mp.mpf("0.75") * mp.exp(-2 * t)

    power_half, power_three, inverse = (mp.quad(lambda t, p=p: v(t) ** -p, [end, 1]) for p in (0.5, 1.5, 1))
    mean, spread = (h / 2 * power_three) ** 2, h / 2 * inverse
    squares = dict.fromkeys(SCHEMES[:3], power_half**2) | {"randomized_midpoint": mean + spread, MEAN: mean}
    return {name: float(mp.sqrt(2 * v(end) * square)) for name, square in squares.items()}  # eps_sc^2 = b^2/2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SCHEMES, MEAN])
def test_the_errors_approach_their_leading_terms(name):
    """What is left is of relative size h L; at four times the steps a quarter of it, or less."""
    coarse, fine = (abs(row.errors[name] / leading_terms(row.steps)[name] - 1) for row in rows()[1:])
    assert coarse < 1 / rows()[1].steps
    assert fine < coarse / 3


@pytest.mark.slow
def test_only_the_random_midpoint_loses_the_oscillation():
    """+-h b per step for the others: their error does not fall with N, that of the mean like 1/N, the spread like
    1/sqrt(N)."""
    few, many = rows()[1], rows()[2]
    for name in SCHEMES[:3]:
        assert many.errors[name] > 0.9 * few.errors[name]
    assert few.errors[MEAN] / many.errors[MEAN] == pytest.approx(4, rel=0.1)
    assert few.errors["randomized_midpoint"] / many.errors["randomized_midpoint"] == pytest.approx(2, rel=0.1)


def test_on_a_smooth_score_the_deterministic_midpoint_is_better():
    """(4v-3)h^3/(24v^2) against a spread of (2v-1)h^2/sqrt(12v^3) per step."""
    for row in smooth_rows():
        assert row.errors["midpoint"] < row.errors["randomized_midpoint"] / 10


def test_mutants_stand_in_by_name():
    """A midpoint that is not random at all collects the error under the randomized one's name."""

    def named(name):
        return schemes.midpoint if name == "randomized_midpoint" else getattr(schemes, name)

    (row,) = resonance(named, steps=[8])
    assert row.errors["randomized_midpoint"] == row.errors["midpoint"] > 50 * leading_terms(8)[MEAN]


def test_an_oscillation_of_balls_and_of_arrays():
    import flint

    wave = Oscillation((0.5, -2.0), period=0.3, origin=0.1)
    t = np.array([[0.2], [0.7]])
    balls = wave(np.vectorize(flint.arb, otypes=[object])(t))
    with mp.workdps(30):
        plain = [[b * mp.cos(2 * math.pi / 0.3 * (mp.mpf(s) - mp.mpf(0.1))) for b in (0.5, -2.0)] for s in t[:, 0]]
    np.testing.assert_allclose(wave(t), np.array(plain, float), rtol=1e-13)
    np.testing.assert_allclose(balls.astype(float), np.array(plain, float), rtol=1e-13)


@pytest.mark.slow
def test_errors_are_exact_values():
    for row in (*rows(), *smooth_rows()):
        for value in row.errors.values():
            assert value.kind == "exact"
            assert 0 < value.error < 1e-13 * value
    assert oscillating.SETTING.path_smoothness() == 4


@pytest.mark.parametrize("measure", [resonance, smooth])
def test_a_singular_target_has_no_window(measure):
    with pytest.raises(ValueError, match="^target: a variance of 0"):
        measure(target=rm.Gaussian([0.0, 0.0], [1.0, 0.0]))
