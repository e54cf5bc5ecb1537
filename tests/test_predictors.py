"""Predictors of other papers: their claims by numbers of their own, and what a predictor with noise is refused."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from oracles import textbook
from oracles.facts import drawn, legendre
from oracles.plain import noised

import rmverify as rm
from rmverify import schemes
from rmverify.claims import verify
from rmverify.claims.ledger import Look, load
from rmverify.claims.looks import h as looks
from rmverify.claims.looks.constants import REVERSE, _expected
from rmverify.errors.jets import predictor_jets, reverse_jets
from rmverify.errors.local import window_errors
from rmverify.studies.schedules import _Error

NOISY = ("ddpm", "exponential_sde", "randomized_midpoint_sde", "reverse_euler")
IDS = [id for id in load() if id.startswith("H")]


def every_midpoint(name, given):
    """(midpoints, weight) of a rule of 4 nodes in each."""
    points = itertools.product(legendre(4), repeat=len(drawn(name, given)))
    return [([a for a, _ in point], mp.fprod(w for _, w in point)) for point in points]


# --- constants ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.25, 3.0])
@pytest.mark.parametrize(("name", "given"), [(name, dict(given)) for name in REVERSE for given in REVERSE[name]])
def test_constants_against_the_reverse_diffusion_are_those_of_the_textbook(name, given, lam):
    """The first term of each coefficient in a step of length 1e-11, at 50 digits from the printed formulas."""
    t, size = 0.5, 1e-11
    with mp.workdps(50):
        T, h, L = mp.mpf(t), mp.mpf(size), mp.mpf(lam)
        v, after = (1 + (L - 1) * mp.exp(-2 * s) for s in (T, T - h))
        found = [(w, *textbook.REVERSE[name](T, h, L, mp.mpf(0), *a, **given)) for a, w in every_midpoint(name, given)]
        nodes = [(w, A[0, 0], C[0, 0]) for w, A, _, C in found]
        A, C, V = (mp.fsum(w * f(a, c) for w, a, c in nodes) for f in (
            lambda a, c: a, lambda a, c: c, lambda a, c: a * a * v + c))  # fmt: skip
        due = {
            "slope": A - mp.exp(-h) * after / v,
            "noise": C - (1 - mp.exp(-2 * h)) * after / v,
            "kept": V - after,
            "variance": mp.fsum(w * (a - A) ** 2 for w, a, _ in nodes),
            "spread": mp.fsum(w * (a * a * v + c - V) ** 2 for w, a, c in nodes),
        }
        table = REVERSE[name][tuple(given.items())]
        stated = {entry: _expected(table[entry], {"v": float(v), "t": t}) for entry in due if entry in table}
        for entry, coefficients in stated.items():
            power = next((n for n, c in enumerate(coefficients) if not c.is_zero()), None)
            if power is None:
                assert abs(due[entry]) < h**4 * mp.mpf(10) ** -3, entry
            else:
                assert float(due[entry] / h**power) == pytest.approx(float(coefficients[power]), rel=1e-9), entry


@pytest.mark.parametrize("lam", looks.RUNS)
def test_whole_runs_sum_the_errors_of_their_steps(lam):
    """The closed forms are int g k(v) dt with g = e^{-2(t-delta)} v_delta/v, by quadrature."""
    top, end = noised(lam, looks.TOP), noised(lam, looks.BOTTOM)

    def g(t):
        return mp.exp(-2 * (t - looks.BOTTOM)) * end / v(t)

    def v(t):
        return 1 + (lam - 1) * mp.exp(-2 * t)

    for closed, integrand in (
        (looks._frozen, lambda t: -2 * g(t) * (v(t) - 2) / v(t) ** 2),
        (looks._bias, lambda t: 4 * g(t) * (v(t) - 1) / (3 * v(t) ** 3)),
        (looks._spread, lambda t: 4 * g(t) ** 2 * (v(t) - 2) ** 2 / (3 * v(t) ** 4)),
    ):
        due = mp.quad(integrand, np.linspace(looks.BOTTOM, looks.TOP, 9).tolist())
        assert closed(lam, top, end) == pytest.approx(float(due), rel=1e-10)


def test_moments_over_the_midpoints_are_those_of_every_combination(monkeypatch):
    """Two long steps: E V and Var V over 40 x 40 midpoints, from the textbook's A and C."""
    monkeypatch.setattr(looks, "TOP", 1.0)
    lam, steps = 0.25, 2
    levels = np.linspace(looks.TOP, looks.BOTTOM, steps + 1)
    x, w = np.polynomial.legendre.leggauss(40)
    values, weights = np.array([noised(lam, levels[0])]), np.ones(1)
    for t, s in itertools.pairwise(levels):
        maps = [textbook.REVERSE["randomized_midpoint_sde"](mp.mpf(t), mp.mpf(t - s), lam, 0, a) for a in (1 + x) / 2]
        A, C = (np.array([float(part[0, 0]) for part in parts]) for parts in list(zip(*maps, strict=True))[::2])
        values = (np.multiply.outer(A**2, values) + C[:, None]).ravel()
        weights = np.multiply.outer(w / 2, weights).ravel()
    end = noised(lam, looks.BOTTOM)
    mean, variance = looks._moments(schemes.randomized_midpoint_sde, lam, steps)
    due = float(weights @ values)
    assert mean == pytest.approx(due / end - 1, rel=1e-9)
    assert variance == pytest.approx(float(weights @ (values - due) ** 2) / end**2, rel=1e-9)


def test_the_ancestral_step_is_exact_where_the_data_are_a_point():
    target = rm.Gaussian.isotropic(0.0, 3).with_modes(0.0, 0.5)
    law = rm.output_law(rm.Plan([rm.Predict(schemes.ddpm, [2.0, 0.7, 0.25])]), target, start="exact")
    np.testing.assert_allclose(law.variances, target.at(0.25).variances, rtol=1e-13)
    np.testing.assert_allclose(law.mean, target.at(0.25).mean, rtol=1e-13)


def test_midpoints_of_the_flows_weight_do_not_move_the_standard_normal():
    error = rm.local_error(schemes.importance_midpoint, rm.Gaussian.isotropic(1.0, 2), 0.5, 0.25)
    assert error.bias == error.variance == 0
    assert rm.local_error(schemes.randomized_midpoint, rm.Gaussian.isotropic(1.0, 2), 0.5, 0.25).variance > 0


# --- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", IDS)
def test_claims_hold_and_ask_for_the_schemes_they_name(id, monkeypatch):
    asked = set()

    def noted(look, name):
        asked.add(name)
        return getattr(schemes, name)

    monkeypatch.setattr(Look, "scheme", noted)
    found = verify([id], kinds=["exact", "fitted"])[id]
    assert found.finding.startswith("holds")
    assert asked == set(found.claim.schemes)


WRONG = {
    "H1": ("leading_constants", "importance_midpoint"),
    "H2": ("leading_constants", "ddpm"),
    "H3": ("_frozen", 1.1),
    "H4": ("_bias", 0.9),
    "H4, spread": ("_spread", 1.1),
}


@pytest.mark.parametrize("case", ["H3", "H4", "H4, spread"])
def test_a_constant_that_is_off_by_a_tenth_is_refuted(case, monkeypatch):
    name, factor = WRONG[case]
    right = getattr(looks, name)
    monkeypatch.setattr(looks, name, lambda *where: factor * right(*where))
    found = verify([case[:2]], kinds=["exact"])[case[:2]]
    assert found.finding == "violated"
    assert "closed form" in found.witness


@pytest.mark.parametrize(
    ("id", "scheme"), [("H2", "ddpm"), ("H3", "exponential_sde"), ("H4", "randomized_midpoint_sde")]
)
def test_another_step_in_the_place_of_one_is_refuted(id, scheme):
    other = schemes.reverse_euler if scheme != "randomized_midpoint_sde" else schemes.exponential_sde
    evidence = load()[id].check(Look(frozenset({"exact"}), schemes={scheme: other}))
    assert any(e.finding == "violated" and e.where for e in evidence)


# --- laws and particles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOISY)
def test_the_law_after_a_run_is_that_of_the_textbooks_steps(name):
    """Mean and variance averaged over the midpoints, two modes off centre."""
    lam, means, levels = [0.25, 3.0], [0.75, -1.25], [2.0, 1.0, 0.5, 0.25]
    target = rm.Gaussian.from_spectrum(lam, [1, 1], means)
    law = rm.output_law(rm.Plan([rm.Predict(getattr(schemes, name), levels)]), target)
    rule = legendre(30) if name == "randomized_midpoint_sde" else [(None, mp.mpf(1))]
    for k in range(2):
        mean, square = mp.mpf(0), mp.mpf(1)
        for t, s in itertools.pairwise(levels):
            T, h = mp.mpf(t), mp.mpf(t) - mp.mpf(s)
            found = [(w, textbook.REVERSE[name](T, h, mp.mpf(lam[k]), mp.mpf(means[k]), *([] if a is None else [a])))
                     for a, w in rule]  # fmt: skip
            parts = [(w, A[0, 0], b[0], C[0, 0]) for w, (A, b, C) in found]
            square = mp.fsum(w * (A * A * square + 2 * A * b * mean + b * b + C) for w, A, b, C in parts)
            mean = mp.fsum(w * (A * mean + b) for w, A, b, _ in parts)
        assert law.mean[k] == pytest.approx(float(mean), rel=1e-12)
        found = law.covariance[k, k] if hasattr(law, "covariance") else law.variances[k]
        assert found == pytest.approx(float(square - mean**2), rel=1e-12)


def test_rounds_of_cells_given_their_levels_are_those_of_the_textbook():
    """Three rounds of four cells; the textbook counts in tau = 1 - e^{-2t}."""
    levels, rng = [2.0, 1.0, 0.5, 0.25], np.random.default_rng(5)
    alphas = [rng.random(4) for _ in range(3)]
    target = rm.Gaussian([1.5], [0.25])
    law = rm.output_law(rm.Plan([rm.Predict(schemes.jiao_li(cells=4), levels)]), target, alphas=alphas)
    mean, variance = mp.mpf(0), mp.mpf(1)
    for t, s, row in zip(levels, levels[1:], alphas, strict=False):
        given = [mp.mpf(a) for a in row]
        A, b, C = textbook.jiao_li(mp.mpf(t), mp.mpf(t - s), mp.mpf("0.25"), mp.mpf("1.5"), *given, cells=4)
        mean, variance = A[0, 0] * mean + b[0], A[0, 0] ** 2 * variance + C[0, 0]
    assert law.mean[0] == pytest.approx(float(mean), rel=1e-12)
    assert law.variances[0] == pytest.approx(float(variance), rel=1e-12)


@pytest.mark.parametrize("scheme", [*map(schemes.SHIPPED.get, NOISY), schemes.jiao_li(cells=2)])
def test_a_step_with_noise_is_not_held_against_the_flow(scheme):
    target, one = rm.Gaussian.isotropic(0.5, 2), np.ones((1, 1))
    plan = rm.Plan([rm.Predict(scheme, [1.0, 0.5, 0.25])])
    for call in (
        lambda: rm.local_error(scheme, target, 1.0, 0.1),
        lambda: rm.coupling_error(plan, target),
        lambda: window_errors(scheme, one, one, one / 10),
        lambda: predictor_jets(scheme, 2.0, 0.0, 1.0, 3),
    ):
        with pytest.raises(TypeError, match="draws normal values"):
            call()


@pytest.mark.parametrize("name", ["heun", "importance_midpoint"])
def test_a_step_without_noise_has_none_beside_the_reverse_diffusion(name):
    """Its noise lacks all of c = (1-e^{-2h}) v'/v = 2h + O(h^2)."""
    jets = reverse_jets(getattr(schemes, name), 2.0, 0.5, 1.0, 2)
    assert [float(c) for c in jets["noise"]][:2] == [0.0, -2.0]


@pytest.mark.parametrize("seed", range(2))
def test_particles_of_the_reverse_midpoint_have_its_law(seed):
    """Second moments of 40 000 particles within 5 standard errors of the exact ones; the law is nearly normal."""
    target, n = rm.Gaussian.from_spectrum([0.25, 3.0], [1, 1], [0.75, -1.25]), 40_000
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint_sde, [2.0, 1.0, 0.5])])
    x = rm.sample(plan, target, n, 2, rng=seed)
    law = rm.output_law(plan, target)
    for k in range(2):
        spread = math.sqrt(law.covariance[k, k])
        assert abs(x[:, k].mean() - law.mean[k]) < 5 * spread / math.sqrt(n)
        assert abs(x[:, k].var() - spread**2) < 5 * spread**2 * math.sqrt(2.2 / n)


# --- noise levels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["normal", "exact"])
@pytest.mark.parametrize("name", ["ddpm", "exponential_sde"])
def test_the_error_of_levels_is_that_of_the_textbooks_variances(name, start):
    """KL of two modes off centre, from A, b and C of every step."""
    lam, means, levels = [0.25, 3.0], [1.0, -0.5], np.geomspace(3.0, 0.05, 7)
    target = rm.Gaussian.from_spectrum(lam, [3, 2], means)
    found = rm.schedules.error(levels, target, getattr(schemes, name), start=start)
    due = mp.mpf(0)
    for spread, centre, count in zip(lam, means, (3, 2), strict=True):
        L, m = mp.mpf(spread), mp.mpf(centre)
        ends = [(mp.exp(-mp.mpf(z)) * m, 1 + (L - 1) * mp.exp(-2 * mp.mpf(z))) for z in (levels[0], levels[-1])]
        mean, variance = ends[0] if start == "exact" else (mp.mpf(0), mp.mpf(1))
        for t, s in itertools.pairwise(levels):
            A, b, C = textbook.REVERSE[name](mp.mpf(t), mp.mpf(t) - mp.mpf(s), L, m)
            mean, variance = A[0, 0] * mean + b[0], A[0, 0] ** 2 * variance + C[0, 0]
        ratio = variance / ends[1][1]
        due += count * (ratio - 1 - mp.log(ratio) + (mean - ends[1][0]) ** 2 / ends[1][1]) / 2
    assert found == pytest.approx(float(due), rel=1e-10)


@pytest.mark.parametrize("metric", ["kl", "w2", "tv"])
@pytest.mark.parametrize("name", ["ddpm", "exponential_sde"])
def test_the_slopes_in_the_levels_are_those_of_differences(name, metric):
    """Central differences, whose own error is of order 1e-12 of the third derivative and 1e-16/1e-6 of the value."""
    target, levels = rm.Gaussian.from_spectrum([0.25, 3.0], [3, 2], [1.0, -0.5]), np.geomspace(3.0, 0.05, 6)
    error = _Error(target, getattr(schemes, name), metric, "normal")
    value, slopes = error.gradient(levels)
    for k in range(1, 5):
        up, down = levels.copy(), levels.copy()
        up[k] += 1e-6
        down[k] -= 1e-6
        assert slopes[k] == pytest.approx((error.value(up) - error.value(down)) / 2e-6, abs=1e-6 * (1 + value))


def test_levels_for_a_step_that_draws_more_are_refused():
    target, levels = rm.Gaussian.isotropic(0.5, 2), [2.0, 1.0, 0.5]
    for scheme in (schemes.randomized_midpoint_sde, schemes.jiao_li(cells=2)):
        with pytest.raises(ValueError, match="at most one uniform midpoint, or one normal value"):
            rm.schedules.error(levels, target, scheme)
