"""How laws are compared: W_2 on the line and Gaussian mixtures against textbook formulas, and what is refused."""

from __future__ import annotations

import functools
import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from mutants import quantiles as mutants
from scipy import integrate, special

import rmverify as rm
from rmverify import Gaussian, GaussianMixture, Plan, Predict, Product, schemes
from rmverify.targets import ExponentialGaussian, LaplaceGaussian, SkewNormal, TwoGaussians, UniformGaussian


def mixture(weights, means, deviations):
    return GaussianMixture(weights, [[m] for m in means], [[s * s] for s in deviations])


def close(found, due, rel=1e-11):
    assert found.kind == "exact"
    assert abs(found - due) <= rel * due
    assert abs(found - due) <= found.error + 4e-16 * due
    assert found.error <= 100 * rel * due


# --- W_2 ------------------------------------------------------------------------------------------------------------


def a_shift():
    """Whatever the law, W_2 to its own shift is the shift."""
    for law in (SkewNormal(3.0), SkewNormal(0.0)):
        for shift in (2.0**-30, 1e-3, 1.0, 300.0):
            close(rm.w2(law, SkewNormal(law.shape, shift)), shift)
    bimodal = [0.3, 0.7], [0.1, 2.0]
    close(rm.w2(mixture(bimodal[0], [-3.0, 5.0], bimodal[1]), mixture(bimodal[0], [-2.5, 5.5], bimodal[1])), 0.5)


def a_scale():
    """W_2 to a multiple of a centred law: (c - 1) standard deviations."""
    for c in (1 + 2.0**-20, 2.0, 100.0):
        close(rm.w2(SkewNormal(0.0), SkewNormal(0.0, 0.0, c)), c - 1)
        close(rm.w2(LaplaceGaussian(c, 0.25 * c * c), LaplaceGaussian(1.0, 0.25)), (c - 1) * math.sqrt(2.25), 1e-10)


def quantiles(cdf, sf, w):
    """Of levels Phi(w), by bisection, from the side of the nearer tail."""
    low, high = np.full_like(w, -64.0), np.full_like(w, 64.0)
    for _ in range(60):
        x = (low + high) / 2
        below = np.where(w < 0, cdf(x) < special.ndtr(w), sf(x) > special.ndtr(-w))
        low, high = np.where(below, x, low), np.where(below, high, x)
    return (low + high) / 2


def sums(weights, means, deviations):
    """The mass to the left and to the right."""
    parts = list(zip(weights, means, deviations, strict=True))
    return tuple(
        lambda x, side=side: sum(w * special.ndtr(side * (x - m) / s) for w, m, s in parts) for side in (1, -1)
    )


MIXTURES = [
    ([0.5, 0.5], [-2.0, 2.0], [1.0, 1.0]),
    ([0.3, 0.7], [-2.0, 2.0], [1.0, 0.5]),
    ([0.2, 0.5, 0.3], [-1.0, 0.5, 4.0], [0.3, 1.5, 0.8]),
    ([1.0], [0.5], [1.7]),
]


def the_quantiles():
    """int (F^-1 - G^-1)^2 by the trapezoidal rule in the probit of the level."""
    w = np.linspace(-9.0, 9.0, 9001)
    for one, other in itertools.combinations(MIXTURES, 2):
        gap = quantiles(*sums(*one), w) - quantiles(*sums(*other), w)
        due = math.sqrt(float(gap * gap @ np.exp(-w * w / 2)) * 2e-3 / math.sqrt(2 * math.pi))
        close(rm.w2(mixture(*one), mixture(*other)), due, 1e-9)
        assert rm.w2(mixture(*other), mixture(*one)) == pytest.approx(due, rel=1e-9)


def modes_far_apart():
    """Mass between modes goes all the way: for 1/2, 1/2 and 1/2 + e, 1/2 - e at -m and m, e (2m)^2 as m grows."""
    for m, e in ((1e3, 0.25), (1e3, 2.0**-30)):
        found = rm.w2(mixture([0.5, 0.5], [-m, m], [1.0, 1.0]), mixture([0.5 + e, 0.5 - e], [-m, m], [1.0, 1.0]))
        assert found == pytest.approx(2 * m * math.sqrt(e), rel=1e-2)
        assert found.error < 1e-8 * found
    narrow = (mixture([0.5, 0.5], [-100.0, 100.0], [s, 1.0]) for s in (1.0, 2.0))  # in the left mode alone
    close(rm.w2(*narrow), math.sqrt(0.5))


def narrow_in_both():
    """What is nearly an atom at 0 in both laws: the map turns sharply. W_2 is symmetric, and near its limit."""
    p, q = (mixture([0.5, 0.5], [0.0, m], [1e-4, 1.0]) for m in (1.0, 2.0))
    there, back = rm.w2(p, q), rm.w2(q, p)
    assert abs(there - back) <= there.error + back.error < 1e-12
    w = np.linspace(-2.0, -1.0, 2001)  # where one of the two is at 0
    one = integrate.simpson(((1 + w) ** 2 + (2 + w) ** 2) * np.exp(-w * w / 2), x=w) / math.sqrt(2 * math.pi)
    assert there**2 == pytest.approx((special.ndtr(-2.0) + one + special.ndtr(1.0)) / 2, rel=1e-4)


@pytest.mark.parametrize("d", [2, 10**12])
def test_w2_of_products_adds_up(d):
    one, other = UniformGaussian(1.0, 0.04), ExponentialGaussian(1.0, 0.25)
    assert rm.w2(Product(one, d), Product(other, d)) == pytest.approx(math.sqrt(d) * rm.w2(one, other), rel=1e-13)


def given_a_plan():
    """Euler steps multiply a centred Gaussian by 1 + h (1 - 1/v(t)): W_2 is the difference of the deviations."""
    levels = np.linspace(2.0, 0.5, 7)
    law, factor = TwoGaussians(0.0, 0.25), 1.0
    for t, end in itertools.pairwise(levels):
        factor *= 1 + (t - end) * (1 - 1 / (1 - 0.75 * math.exp(-2 * t)))
    output = rm.output_law(Plan([Predict(schemes.euler, levels)]), law)
    due = abs(factor - math.sqrt(1 - 0.75 * math.exp(-1.0)))
    variance = law.at(0.5).noise
    for q in (law.at(0.5), Gaussian([0.0], [variance]), GaussianMixture([1.0], [[0.0]], [[variance]])):
        found = rm.w2(output, q)
        assert found == pytest.approx(rm.w2(q, output), rel=1e-12)
        assert abs(found - due) <= found.error + 1e-13 * due
        assert found.error < 1e-8 * due


def test_w2_averaged_over_midpoints():
    """By the cumulative sums of both densities on a grid."""
    law = rm.output_law(Plan([Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.0, 0.6])]), TwoGaussians(2.0))
    q = SkewNormal(2.0, -0.5, 1.5)
    x = np.linspace(-14.0, 14.0, 400_001)
    F, G = (np.cumsum(f) * (x[1] - x[0]) for f in (law.density(x), np.exp(q.log_density(0, x))))
    levels = (np.arange(200_000) + 0.5) / 200_000
    due = math.sqrt(float(((np.interp(levels, F, x) - np.interp(levels, G, x)) ** 2).mean()))
    found = rm.w2(law, q)
    assert found == pytest.approx(due, rel=1e-4)
    assert found.error < 1e-8 * found
    assert rm.w2(law, law) == 0


# --- Gaussian mixtures ----------------------------------------------------------------------------------------------


def two_against_one():
    """(N(a, 1) + N(-a, 1))/2 beside N(0, 1): they cross where cosh(a x) = e^{a^2/2}."""
    for a in (1e-3, 0.5, 3.0):
        x = math.acosh(math.exp(a * a / 2)) / a
        with mp.workdps(40):
            due = float(mp.ncdf(-x - a) + mp.ncdf(a - x) - 2 * mp.ncdf(-x)) if a > 0.1 else None
        found = rm.tv(mixture([0.5, 0.5], [-a, a], [1.0, 1.0]), Gaussian([0.0], [1.0]))
        if due is None:  # a^2/2 times int |He_2| phi/2 = 2 phi(1), to leading order
            due = a * a / 2 * 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
            assert found == pytest.approx(due, rel=a * a)
        else:
            close(found, due)


def moved_weight():
    """Of two components at -m and m of deviation 1, e moves from one to the other: TV = e erf(m/sqrt 2)."""
    for e in (2.0**-40, 1e-3, 0.25):
        p, q = (mixture([0.5 + w, 0.5 - w], [-2.0, 2.0], [1.0, 1.0]) for w in (e, 0.0))
        close(rm.tv(p, q), (0.5 + e - 0.5) * math.erf(math.sqrt(2.0)))


def squares():
    """chi^2 of sum w_i N(m_i, 1) to N(0, 1) is sum w_i w_j e^{m_i m_j} - 1."""
    w, m = np.array([0.3, 0.7]), np.array([-0.5, 1.0])
    close(rm.chi2(mixture(w, m, [1.0, 1.0]), Gaussian([0.0], [1.0])), float(w @ np.exp(np.outer(m, m)) @ w) - 1)


def narrow_components():
    """A component a million times narrower than what is around it is not missed."""
    p, q = (mixture([0.9, 0.1], [0.0, c], [100.0, 1e-4]) for c in (0.25, 0.5))
    found = rm.tv(p, q)
    assert found == pytest.approx(0.1, rel=1e-6)
    assert abs(found - 0.1) <= found.error + 1e-15
    beside = rm.tv(p, SkewNormal(0.0, 0.0, 100.0))
    assert beside == pytest.approx(0.1, rel=1e-4)  # the wide one is 1e-5 of it where it is narrow
    assert rm.tv(p, Gaussian([0.25], [1e-8])) == pytest.approx(0.9, rel=1e-4)


def heavier_tails():
    """int p^2/q is infinite for q = N(0, 1.4) and p with a component of variance 3, of however little weight, and
    finite where q has one above 1/2 beside p = N(0, 1), which is not resolved. So is the exponential tail of a
    LaplaceGaussian beyond 10 deviations, and beyond 100."""
    for w in (1e-5, 1e-20, 1e-100):
        p, q = mixture([1 - w, w], [0.0, 0.0], [1.0, math.sqrt(3.0)]), Gaussian([0.0], [1.4])
        assert rm.chi2(p, q) == rm.renyi(p, q, 2) == math.inf
        with pytest.raises(ArithmeticError, match="^order: the tails"):
            rm.chi2(Gaussian([0.0], [1.0]), GaussianMixture([1 - w, w], [[0.0], [0.0]], [[0.499], [0.51]]))
    for scale in (0.1, 0.01):
        assert rm.chi2(LaplaceGaussian(scale, 1.0), SkewNormal(0.0)) == math.inf
        assert math.isfinite(rm.chi2(SkewNormal(0.0), LaplaceGaussian(scale, 1.0)))


def a_peak_where_neither_law_is():
    """p = w N(m, 1), beside other components, and q = N(0, 1) make p^2/q a peak of mass w^2 e^{m^2} at 2m."""
    found = rm.renyi(mixture([1.0, 1e-180], [0.0, 30.0], [1.0, 1.0]), Gaussian([0.0], [1.0]), 2)
    close(found, 900 + 2 * math.log(1e-180))
    wide = 1e-250, 1e4
    p, q = (mixture([1.0, wide[0]], [m, 0.0], [1.0, wide[1]]) for m in (14.0, 0.0))
    assert rm.renyi(p, q, 2) == pytest.approx(196, abs=1e-7)
    for top in (30.0, 34.0):  # beyond the largest float
        p, q = mixture([0.5, 0.5], [0.0, top], [1.0, 1.0]), Gaussian([0.0], [1.0])
        close(rm.renyi(p, q, 2), top * top - 2 * math.log(2))
        assert (rm.chi2(p, q).kind, rm.chi2(p, q).upper) == ("upper", math.inf)
        assert rm.chi2(p, q).lower > 1e307


def unlike_scales():
    """D_s of N(0, 1) from N(m, v) is {s ln v - ln z - s (1-s) m^2/z}/(2 (s - 1)), z = s v + 1 - s."""
    for m, v, s in ((0.0, 1e6, 0.3), (3.0, 1e6, 0.3), (3.0, 1e-6, 0.3), (20.0, 1e-6, 0.9), (100.0, 1.0, 0.5)):
        z = s * v + 1 - s
        due = (s * math.log(v) - math.log(z) - s * (1 - s) * m * m / z) / (2 * (s - 1))
        close(rm.renyi(mixture([1.0], [0.0], [1.0]), mixture([1.0], [m], [math.sqrt(v)]), s), due)


@pytest.mark.slow
def test_divergences_of_mixtures_are_the_integrals():
    """By Gauss-Legendre on many pieces in 30 digits, beside another mixture, a factor and a Gaussian."""
    p = MIXTURES[2]
    others = [
        (mixture(*MIXTURES[1]), lambda x: normals(x, *MIXTURES[1])),
        (TwoGaussians(2.0), lambda x: normals(x, [0.5, 0.5], [-2, 2], [1, 1])),
        (Gaussian([0.5], [6.0]), lambda x: normals(x, [1.0], [0.5], [mp.sqrt(6)])),
    ]
    with mp.workdps(30):
        rule = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(3, 110)
        for q, Q in others:
            kl = half = quarter = mp.mpf(0)
            for k in range(-60, 60):
                for x, w in rule:
                    f, g = normals((k + 0.5 + x / 2) / 2, *p), Q((k + 0.5 + x / 2) / 2)
                    kl += w / 4 * (f * mp.log(f / g) - f + g)
                    half += w / 4 * (mp.sqrt(f) - mp.sqrt(g)) ** 2 / 2
                    quarter += w / 4 * f ** mp.mpf(0.25) * g ** mp.mpf(0.75)
            close(rm.kl(mixture(*p), q), float(kl))
            close(rm.hellinger(mixture(*p), q), float(mp.sqrt(half)))
            close(rm.renyi(mixture(*p), q, 0.25), float(mp.log(quarter) / mp.mpf(-0.75)))


def normals(x, weights, means, deviations):
    return sum(
        mp.mpf(w) * mp.exp(-(((x - m) / mp.mpf(s)) ** 2) / 2) / (mp.mpf(s) * mp.sqrt(2 * mp.pi))
        for w, m, s in zip(weights, means, deviations, strict=True)
    )


@pytest.mark.parametrize("s", [1e-20, 1e-75])
def test_a_density_of_large_logarithms(s):
    """KL of 1/2 N(0, s^2) + 1/2 N(0, 1) from N(0, 1), but for terms of the order of s: each half by itself."""
    found = rm.kl(mixture([0.5, 0.5], [0.0, 0.0], [s, 1.0]), mixture([1.0], [0.0], [1.0]))
    due = -math.log(2) - math.log(s) / 2 - 0.25
    assert abs(found - due) <= found.error + 2e-16 * due
    assert found.error < 1e-13 * due


@pytest.mark.parametrize("m", [0.5, 3.0, 10.0])
@pytest.mark.parametrize("order", [1e-8, 1e-3, 1 - 1e-6, 1 - 1e-10, 1 + 1e-6])
def test_orders_near_0_and_1(order, m):
    """D_s = s m^2/2 between N(0, 1) and N(m, 1)."""
    for p, q in ((SkewNormal(0.0), SkewNormal(0.0, m)), (mixture([1.0], [0.0], [1.0]), mixture([1.0], [m], [1.0]))):
        close(rm.renyi(p, q, order), order * m * m / 2)


def test_a_mixture_beside_the_factor_that_it_is():
    p, q = mixture([0.5, 0.5], [-2.0, 2.0], [1.0, 1.0]), TwoGaussians(2.0)
    for divergence in (rm.tv, rm.kl, rm.hellinger, rm.chi2, rm.w2):
        value = divergence(p.at(0.3), q.at(0.3))
        assert value <= value.error + 1e-15
        assert value.error < 1e-7


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p, q, error, words", [
    (GaussianMixture([1.0], [[0.0, 0.0]], [[1.0, 1.0]]), Gaussian.isotropic(1.0, 2), TypeError,
     "^p: cannot compare a Gaussian with a 2-dimensional GaussianMixture; expected a Factor"),
    (mixture([0.5, 0.5], [0.0, 1.0], [0.0, 1.0]), Gaussian([0.0], [1.0]), ValueError,
     "^p: a component of variance 0 has no density"),
    (SkewNormal(0.0), mixture([1.0], [1e9], [1.0]), ArithmeticError, "^q: a component is too narrow for floats"),
    (mixture([1.0], [0.0], [1.0]), mixture([1.0], [0.0], [1e100]), ArithmeticError,
     "^p, q: one of the laws is too narrow beside the other"),
    (SkewNormal(0.0), Gaussian([0.0], [0.0]), TypeError, "^q: a Gaussian of variance 0 has no density beside a Skew"),
    (SkewNormal(0.0), SkewNormal(0.0, 0.0, 1e-9), ArithmeticError, "^p, q: 12288 panels do not resolve the two dens"),
])  # fmt: skip
def test_what_has_no_density_is_refused(p, q, error, words):
    for divergence in (rm.tv, rm.w2):
        with pytest.raises(error, match=words):
            divergence(p, q)


# --- mutants --------------------------------------------------------------------------------------------------------

FACTS = {fact.__name__: fact for fact in (
    a_shift, a_scale, the_quantiles, modes_far_apart, given_a_plan, two_against_one, moved_weight, squares,
    narrow_components, narrow_in_both, heavier_tails, a_peak_where_neither_law_is, unlike_scales,
)}  # fmt: skip


@functools.cache
def holds(name):
    FACTS[name]()
    return True


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    assert holds(name)


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    assert holds(mutant.killed_by)
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, ArithmeticError)):
        FACTS[mutant.killed_by]()
