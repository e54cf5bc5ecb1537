"""Every shipped scheme satisfies every exact fact that speaks about it, and the printed constants are the series'."""

from __future__ import annotations

import mpmath as mp
import pytest
from mutants import FUNCTIONS, original
from oracles import plain, series, textbook
from oracles.facts import APPLIES, FACTS
from sympy import QQ, Rational, symbols
from sympy.polys.fields import field

import rmverify as rm

SCHEMES = {name for names in APPLIES.values() for name in names} - set(FUNCTIONS)
CASES = [(name, of) for name, applies in APPLIES.items() for of in applies]


@pytest.mark.parametrize("name, of", CASES, ids=[f"{name}-{of}" for name, of in CASES])
def test_shipped_schemes_satisfy_the_facts(name, of):
    FACTS[name](original(of), of)


def test_every_shipped_scheme_is_spoken_about():
    assert set(rm.schemes.SHIPPED) == SCHEMES


# --- the series that the facts use, against the constants printed in the literature of this package ----------------

v = symbols("v")


@pytest.mark.parametrize(
    "name, which, power, constant",
    [
        ("exponential_integrator", "mean_x", 2, -(v - 1) / (2 * v**2)),
        ("randomized_midpoint", "mean_x", 3, (v - 1) / (6 * v**3)),
        ("randomized_midpoint", "mean_x", 4, -(v - 1) * (5 * v - 9) / (24 * v**4)),
        ("randomized_midpoint", "var_x", 4, (2 * v - 1) ** 2 / (12 * v**4)),
        ("importance_midpoint", "mean_x", 3, (v - 1) / (6 * v**3)),
        ("importance_midpoint", "var_x", 4, (v - 1) ** 2 / (12 * v**4)),
        ("midpoint", "mean_x", 3, (4 * v - 3) / (24 * v**2)),
        ("euler", "mean_x", 2, -(v - 1) * (v + 1) / (2 * v**2)),
        ("heun", "mean_x", 3, -(v - 1) * (v**2 - 3) / (6 * v**3)),
    ],
)
def test_leading_constants_of_the_predictors(name, which, power, constant):
    K, symbol = field("v", QQ)
    coefficients = series.predictor(name, symbol, domain=K.to_domain())[which]
    assert not any(coefficients[: power if (name, power) != ("randomized_midpoint", 4) or which == "var_x" else 3])
    assert (coefficients[power].as_expr() - constant).simplify() == 0


@pytest.mark.parametrize("value", [Rational(3, 7), Rational(11, 4)])
@pytest.mark.parametrize("strata, rounds", [(1, 0), (2, 2), (2, 3), (3, 2)])
def test_leading_constants_of_the_parallel_predictor(value, strata, rounds):
    """From two rounds on: bias -(v-1) h d^2 x/(6 v^3) with d = h/R, variance (2v-1)^2 h^4/(12 v^3 R^3)."""
    w = QQ(value.p, value.q)
    s = series.predictor("parallel_midpoint", w, strata, rounds)
    if rounds >= 2:
        assert s["mean_x"][3] == -(w - 1) / (6 * w**3 * strata**2)
    assert s["var_x"][4] == (2 * w - 1) ** 2 / (12 * w**4 * strata**3)
    assert not any(s["mean_x"][:3])
    assert not any(s["var_x"][:4])


def test_residuals_of_started_invariant_langevin_steps():
    """Scheme by scheme for Hessian k, friction g, mass u: the h^4 terms of one step from the invariant law."""
    g, u, k = QQ(7, 3), QQ(2, 5), QQ(9, 4)
    xx, xv, vv = series.invariance_residual("randomized_midpoint_langevin", g, u, k)
    assert (xx[4], xv[4], vv[4]) == (k * u**2 / 12, -g * k * u**2 / 12, g**2 * k * u**2 / 12)
    assert not any(xx[:4] + xv[:4] + vv[:4])
    xx, xv, vv = series.invariance_residual("underdamped", g, u, k)
    assert (xx[4], xx[5]) == (k * u**2 / 4, -g * k * u**2 / 6)
    assert (xv[3], vv[2]) == (k * u**2 / 2, k * u**2)
    assert not any(xx[:4] + xv[:3] + vv[:2])


# --- the oracles themselves -----------------------------------------------------------------------------------------


def test_the_six_shen_lee_covariances_are_ito_integrals():
    """W_1, W_2 = displacements by b = ah and h, W_3 = velocity at h, of dv = -g v ds + sqrt(2g) dB from rest."""
    with mp.workdps(30):
        g, h, a = mp.mpf(2), mp.mpf("0.7"), mp.mpf("0.3")
        b = a * h

        def displacement(end):
            return lambda s: (1 - mp.exp(-g * (end - s))) / g if s <= end else mp.mpf(0)

        kernels = [displacement(b), displacement(h), lambda s: mp.exp(-g * (h - s))]
        S = textbook.shen_lee_covariance(h, a, g)
        for i in range(3):
            for j in range(3):
                due = 2 * g * mp.quad(lambda s, i=i, j=j: kernels[i](s) * kernels[j](s), [0, b, h])
                assert abs(S[i, j] - due) < mp.mpf(10) ** -25


def test_kinetic_covariance_is_an_ito_integral():
    with mp.workdps(30):
        g, u, h = mp.mpf("1.3"), mp.mpf("0.4"), mp.mpf("0.9")
        kernels = [lambda s: (1 - mp.exp(-g * (h - s))) / g, lambda s: mp.exp(-g * (h - s))]
        S = textbook.kinetic_covariance(h, g, u)
        for i in range(2):
            for j in range(2):
                due = 2 * g * u * mp.quad(lambda s, i=i, j=j: kernels[i](s) * kernels[j](s), [0, h])
                assert abs(S[i, j] - due) < mp.mpf(10) ** -25


@pytest.mark.parametrize("name", [name for name in textbook.PREDICTORS if name not in textbook.PLANS_IN_ONE])
def test_the_predictors_in_numpy_are_those_in_mpmath(name):
    lam, mean, x, t, h = 0.3, 1.7, 0.6, 1.1, 0.25
    alphas = {"randomized_midpoint": [0.3], "importance_midpoint": [0.3], "parallel_midpoint": [0.2, 0.9]}.get(name, [])
    more = [2, 3] if name == "parallel_midpoint" else []
    due = textbook.PREDICTORS[name](*map(mp.mpf, (x, t, h)), alphas, textbook.gaussian_score(lam, mean), *more)
    score = plain.score_of(lam, mean)
    if name == "parallel_midpoint":
        found = plain.parallel_midpoint(x, t, h, alphas, score, 3)
    elif name == "importance_midpoint":
        found = plain.importance_midpoint(x, t, h, *alphas, score)
    elif name.endswith("midpoint"):
        found = plain.randomized_midpoint(x, t, h, *(alphas or [0.5]), score)
    else:
        found = getattr(plain, name)(x, t, h, score)
    assert found == pytest.approx(float(due), rel=1e-14)


def test_the_langevin_step_in_numpy_is_that_in_mpmath():
    k, friction, h = 0.7, 1.6, 0.3
    A, _, C = textbook.underdamped(h, [], k, 0.0, friction, 1)
    for found, due in zip(plain.langevin(k, friction, h), (A, C), strict=True):
        assert [list(row) for row in found] == [
            pytest.approx([float(z) for z in row], rel=1e-13) for row in due.tolist()
        ]
