"""Enclosures: that they contain the truth, known independently and better, and that they are narrow."""

from __future__ import annotations

import functools
import itertools
import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from mutants import probability_flow as mutants

import rmverify as rm
from rmverify import schemes
from rmverify.claims.ledger import load
from rmverify.errors import certified as laws
from rmverify.errors.boxes import interval, supremum
from rmverify.errors.certified import certified_constant, certified_start
from rmverify.readings.balls import precision
from rmverify.readings.duals import Dual
from rmverify.schemes.contract import scheme

REFERENCE = Path(__file__).parent / "reference"
CASES = [case for name in ("tv.json", "tv_more.json") for case in json.loads((REFERENCE / name).read_text())]
RADIUS = 1e-12


def spectra(case):
    p = rm.Gaussian.from_spectrum(case["var_p"], case["mult"], case["mean"])
    return p, rm.Gaussian.from_spectrum(case["var_q"], case["mult"])


def encloses(value, exact, digits=20):
    """The exact number, known to that many digits, lies inside; the radius is small; the float is the middle."""
    with mpmath.workdps(50):
        slack = abs(exact) * mpmath.mpf(10) ** -digits
        assert value.kind == "enclosure"
        assert mpmath.mpf(value.lower) - slack <= exact <= mpmath.mpf(value.upper) + slack
        assert mpmath.mpf(value.upper) - mpmath.mpf(value.lower) <= 2 * RADIUS * exact
        assert value.lower <= value <= value.upper
        assert value - value.error <= value.lower
        assert value.upper <= value + value.error
        assert value.error <= RADIUS * exact
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.slow
def test_tv_contains_the_references(case):
    value = rm.tv(*spectra(case), certified=True)
    with mpmath.workdps(50):
        assert encloses(value, mpmath.mpf(case["tv"]), 18)
        if "complement" in case:
            exact = mpmath.mpf(case["complement"])
            assert abs(mpmath.mpf(value.complement) - exact) <= RADIUS * exact


@pytest.mark.slow
@pytest.mark.parametrize("tv", [1e-9, 1 - 1e-9])
@pytest.mark.parametrize("d", [1, 2, 10, 10**6])
def test_tv_of_isotropic_laws_contains_a_difference_of_chi_squared_functions(tv, d):
    """N(0, I) and N(0, b I): TV = P(d/2, d c/2) - P(d/2, d c/(2b)), c = b ln b/(b-1), at a b of about this TV."""
    q, b = rm.Gaussian.isotropic(1.0, d), 1.0  # only the choice of b is the package's
    rise = 2.0**-40
    while tv > rm.tv(q, rm.Gaussian.isotropic(b, d)) or 1 - tv < rm.tv(q, rm.Gaussian.isotropic(b, d)).complement:
        b, rise = 1 + rise, 1.05 * rise
    with mpmath.workdps(60):
        exact_b = mpmath.mpf(b)
        c = exact_b * mpmath.log(exact_b) / (exact_b - 1)
        half = mpmath.mpf(d) / 2
        if d <= 10:
            ends = [mpmath.gammainc(half, 0, half * x, regularized=True) for x in (c, c / exact_b)]
        else:  # by its own integral near the mode, in pieces

            def density(x):
                return mpmath.exp((half - 1) * mpmath.log(x) - x - mpmath.loggamma(half))

            grid = mpmath.linspace(half * c / exact_b, half * c, 40)
            ends = [mpmath.quad(density, grid), mpmath.mpf(0)]
        exact = ends[0] - ends[1]
    value = rm.tv(q, rm.Gaussian.isotropic(b, d), certified=True)
    assert encloses(value, exact)
    assert 0.1 * min(tv, 1 - tv) < min(exact, 1 - exact) < 10 * min(tv, 1 - tv)


A = [0.75, 3.0, 1.0, 2.0**-40]
B = [0.5, 3.0, 1.0 + 2.0**-30, 2.0**-41]
M = [0.25, 1.0, 0.0, 2.0**-22]
N = [3, 1, 10**9, 2]


def closed_forms(a, b, m, n):
    """KL, Hellinger and W_2 of products, as in any textbook, at 60 digits."""
    with mpmath.workdps(60):
        rows = [tuple(map(mpmath.mpf, row)) for row in zip(a, b, m, n, strict=True)]
        kl = sum(n * (a / b - 1 - mpmath.log(a / b) + m * m / b) for a, b, m, n in rows) / 2
        log_bc = sum(n * (mpmath.log(4 * a * b / (a + b) ** 2) / 4 - m * m / (4 * (a + b))) for a, b, m, n in rows)
        w2 = mpmath.sqrt(sum(n * ((mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 + m * m) for a, b, m, n in rows))
        return {"kl": kl, "hellinger": mpmath.sqrt(-mpmath.expm1(log_bc)), "w2": w2}


@pytest.mark.parametrize("name", ["kl", "hellinger", "w2"])
def test_closed_forms_of_products(name):
    p, q = rm.Gaussian.from_spectrum(A, N, M), rm.Gaussian.from_spectrum(B, N)
    assert encloses(getattr(rm, name)(p, q, certified=True), closed_forms(A, B, M, N)[name], 40)


@pytest.mark.parametrize("name", ["kl", "hellinger", "w2"])
def test_laws_a_last_bit_apart(name):
    a, b = [1.0], [1.0 + 2.0**-52]
    p, q = rm.Gaussian.from_spectrum(a, [1]), rm.Gaussian.from_spectrum(b, [1])
    assert encloses(getattr(rm, name)(p, q, certified=True), closed_forms(a, b, [0.0], [1])[name], 20)


MIX = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 0.0, 4.0]])  # products with it are exact in floats


def dense(variances, mean):
    return rm.Gaussian(MIX @ np.asarray(mean), MIX @ np.diag(variances) @ MIX.T)


@pytest.mark.parametrize("mean", [[0.0, 0.0, 0.0], [0.5, -0.25, 1.0]])
def test_dense_covariances(mean):
    a, b = [0.5, 1.0, 4.0], [0.75, 0.25, 8.0]
    p, q = dense(a, mean), dense(b, [0.0] * 3)
    products = rm.Gaussian(mean, a), rm.Gaussian([0.0] * 3, b)  # a linear map changes none of these three
    exact = closed_forms(a, b, mean, [1] * 3)
    for name in ("kl", "hellinger"):
        assert encloses(getattr(rm, name)(p, q, certified=True), exact[name], 40)
    value, other = rm.tv(p, q, certified=True), rm.tv(*products, certified=True)
    assert value.error <= RADIUS * value
    assert max(value.lower, other.lower) <= min(value.upper, other.upper)


def test_dense_bures_distance():
    a, b = [0.5, 1.0, 4.0], [0.75, 0.25, 8.0]
    p, q = dense(a, [0.5, -0.25, 1.0]), rm.Gaussian([0.0] * 3, b)
    with mpmath.workdps(50):
        covariance, roots = mpmath.matrix(p.covariance.tolist()), mpmath.diag([mpmath.sqrt(x) for x in b])
        inner, _ = mpmath.eigsy(roots * covariance * roots)
        square = sum(mpmath.mpf(x) ** 2 for x in p.mean.tolist()) + sum(covariance[i, i] + b[i] for i in range(3))
        exact = mpmath.sqrt(square - 2 * sum(mpmath.sqrt(x) for x in inner))
    assert encloses(rm.w2(p, q, certified=True), exact, 35)


def test_equal_dense_covariances_are_a_shift():
    p, q = dense([0.5, 1.0, 4.0], [0.5, -1.0, 2.0]), dense([0.5, 1.0, 4.0], [0.0] * 3)
    with mpmath.workdps(50):
        exact = mpmath.erf(mpmath.sqrt(mpmath.mpf(0.5 + 1.0 + 1.0) / 8))
    assert encloses(rm.tv(p, q, certified=True), exact, 35)


NAMES = ["tv", "kl", "hellinger", "w2"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_law_twice(name):
    p = rm.Gaussian.from_spectrum([0.5, 0.0], [3, 2], [1.0, 2.0])
    value = getattr(rm, name)(p, p, certified=True)
    assert value == value.lower == value.upper == value.error == 0


def test_laws_on_different_supports():
    p, q = rm.Gaussian([0.0, 0.0], [1.0, 0.0]), rm.Gaussian([0.0, 0.0], [1.0, 4.0])
    assert rm.tv(p, q, certified=True) == rm.hellinger(p, q, certified=True) == 1
    assert rm.kl(p, q, certified=True) == math.inf
    assert rm.w2(p, q, certified=True) == 2


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_certified_is_refused(name):
    divergence = functools.partial(getattr(rm, name), certified=True)
    q = rm.Gaussian([0.0], [2.0])
    with pytest.raises(ValueError, match="p: certified=True needs a law specified exactly"):
        divergence(q.at(0.5), q)
    with pytest.raises(ValueError, match="q: expected a law in dimension 1"):
        divergence(q, rm.Gaussian.isotropic(1.0, 2))
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, [1.0, 0.5])]), q)
    with pytest.raises(TypeError, match="p: certified=True is for Gaussians"):
        divergence(law, q)
    singular = rm.Gaussian([0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="certainly positive"):
        divergence(singular, rm.Gaussian([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]]))


def test_laws_far_apart_are_enclosed_all_the_same():
    """1 - TV <= BC(1/2) = e^{-m^2/12} (8/9)^{1/4}, which no float can hold here."""
    p, q = rm.Gaussian([1e3], [1.0]), rm.Gaussian([0.0], [2.0])
    value = rm.tv(p, q, certified=True)
    assert value.upper == 1
    assert 1 - 1e-15 <= value.lower <= value
    assert 0 <= value.complement < 1e-300


# --- boxes ----------------------------------------------------------------------------------------------------------


def test_supremum_of_a_known_function():
    """x y (1 - x - y) has the supremum 1/27 on [0, 1]^2, at x = y = 1/3."""

    def function(box):
        x, y = (Dual(interval(a, b), *(float(i == j) for j in range(2))) for i, (a, b) in enumerate(box))
        return x * y * (1 - x - y)

    found = supremum([function], [((0.0, 1.0), (0.0, 1.0))], effort=10_000, width=1e-4)
    assert found.lower <= 1 / 27 <= found.upper <= found.lower * (1 + 1e-4)
    assert np.allclose(found.point[1], 1 / 3, atol=0.02)


BOUNDS = {
    "B2": (schemes.randomized_midpoint, "bias", lambda L, M, h: L**4 * h**6 * M),
    "B3": (schemes.randomized_midpoint, "variance", lambda L, M, h: L**2 * h**4 * M),
    "B4": (schemes.exponential_integrator, "mean_square", lambda L, M, h: L**2 * h**4 * M),
}


@functools.cache
def constant(claim):
    return certified_constant(*BOUNDS[claim])


def ratio(claim, lam, t, h):
    step, which, bound = BOUNDS[claim]
    L = 1 / min(1.0, lam)
    return getattr(rm.local_error(step, rm.Gaussian.isotropic(lam, 1), t, h), which) / bound(L, max(L, 1 / t), h)


@pytest.mark.slow
@pytest.mark.parametrize("claim", BOUNDS)
def test_certified_constants_are_narrow_and_attained(claim):
    c = constant(claim)
    assert not c.unresolved
    assert 0 < c.lower <= c.upper <= 1.05 * c.lower
    assert ratio(claim, *c.argmax) >= c.lower * (1 - 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("claim", BOUNDS)
def test_no_point_of_the_class_exceeds_the_certified_constant(claim):
    c = constant(claim)
    rng = np.random.default_rng(0)
    points = list(
        itertools.product((0.01, 0.05, 0.3, 1.0, 1.5, 3.0, 12.0, 100.0), (0.01, 0.03, 0.3, 1.0, 3.0), (1e-6, 1.0))
    )
    points += list(
        zip(np.exp(rng.uniform(-4.6, 4.6, 60)), np.exp(rng.uniform(-4.6, 1.5, 60)), rng.random(60), strict=True)
    )
    values = [ratio(claim, lam, t, rho * min(0.5 * min(1.0, lam), t / 2)) for lam, t, rho in points]
    assert max(values) <= c.upper * (1 + 1e-12)
    assert max(values) >= 0.5 * c.lower  # the points do come close


@pytest.mark.parametrize("claim", BOUNDS)
def test_errors_over_small_boxes_contain_points_and_difference_quotients(claim):
    """What the search evaluates: error/h^(2 order) over intervals of w = 1/v and h, and its slope in h."""
    step, which, _ = BOUNDS[claim]
    error, order = (laws._variance, 2) if which == "variance" else (laws._bias, 3 if which == "bias" else 2)
    random = step is schemes.randomized_midpoint
    for lam, t in ((0.02, 0.01), (0.3, 0.4), (1.5, 2.0), (100.0, 0.3), (7.0, 0.02)):
        v = 1 + (lam - 1) * math.exp(-2 * t)
        cell = math.floor(-8 * math.log(v))
        for rho in (1e-5, 0.2, 0.5, 1.0):
            h = rho * min(0.5 * min(1.0, lam), t / 2)

            def exact(h, lam=lam, t=t):
                mean_square = getattr(rm.local_error(step, rm.Gaussian.isotropic(lam, 1), t, h), which)
                return mean_square / h ** (2 * order) / (1 + (lam - 1) * math.exp(-2 * t))

            with precision(laws.BITS, laws.TERMS):
                tail = laws._tail(step, random, cell)
                w = interval(1 / v * (1 - 1e-13), 1 / v * (1 + 1e-13))
                point = error(step, random, tail, order, w, interval(h, h))
                box = error(step, random, tail, order, w, interval(h, h * 1.01))
            assert abs(float(point.value.mid()) - exact(h)) <= float(point.value.rad()) + 1e-10 * exact(h)
            if rho <= 0.5:  # the series ends like (h/radius)^18
                assert point.value.rad() <= 1e-2 * exact(h)
            quotient = (exact(h * 1.01) - exact(h)) / (0.01 * h)
            noise = 1e-9 * exact(h) / (0.01 * h)
            assert abs(quotient - float(box.slopes[1].mid())) <= float(box.slopes[1].rad()) + noise


@pytest.mark.slow
def test_two_blocks_with_means_are_no_worse_than_one():
    c, target = constant("B3"), rm.Gaussian.from_spectrum([0.3, 3.0], [2, 5], [4.0, -2.0])
    L, t, h = 1 / 0.3, 1.0, 0.15
    assert rm.local_error(schemes.randomized_midpoint, target, t, h).variance / (7 * L**2 * h**4 * L) <= c.upper


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "mutant"),
    [("B2", mutants.output_weight_of_the_other_side), ("B3", mutants.midpoint_complemented)],
    ids=["B2", "B3"],
)
def test_a_wrong_constant_is_told_apart(claim, mutant):
    _, which, bound = BOUNDS[claim]
    wrong = certified_constant(mutant, which, bound, effort=1000)
    assert wrong.lower > constant(claim).upper or wrong.upper < constant(claim).lower


def test_a_lost_order_has_no_constant():
    _, which, bound = BOUNDS["B2"]
    wrong = certified_constant(mutants.output_weight_forgotten, which, bound)
    assert wrong.lower == wrong.upper == math.inf


def test_a_scheme_without_midpoints_has_no_variance():
    c = certified_constant(schemes.midpoint, "variance", BOUNDS["B3"][2])
    assert c.lower == c.upper == 0


@pytest.mark.slow
def test_a_tiny_effort_is_inconclusive_and_names_a_box():
    c = certified_constant(*BOUNDS["B2"], effort=5)
    assert c.unresolved
    assert c.lower <= constant("B2").upper
    assert c.upper >= constant("B2").lower
    assert "lambda" in c.unresolved[0]
    assert "[" in c.unresolved[0]


def test_a_scheme_that_asks_too_much_is_refused():
    @scheme
    def clock(x, t, h, score, draw):
        return x + h * t * score(t, x)

    @scheme
    def power(x, t, h, score, draw):
        a = draw.uniform()
        return x + h * a * a * score(t, x)

    bound = BOUNDS["B4"][2]
    with pytest.raises(TypeError):
        certified_constant(clock, "bias", bound)
    with pytest.raises(TypeError):
        certified_constant(power, "variance", bound)
    for strata in (1, 2):
        with pytest.raises(TypeError, match="one uniform midpoint"):
            certified_constant(schemes.parallel_midpoint(strata=strata, rounds=0), "bias", bound)

    @scheme
    def late(x, t, h, score, draw):
        return x + h * score(t - 0.5, x)

    with pytest.raises(TypeError, match="levels"):
        certified_constant(late, "bias", lambda L, M, h: h**2)

    @scheme
    def twice(x, t, h, score, draw):
        return x + h * score(t - draw.uniform() * h, x) + h * score(t - draw.uniform() * h, x)

    with pytest.raises(TypeError, match="one uniform midpoint"):
        certified_constant(twice, "bias", bound)
    with pytest.raises(TypeError, match="draws noise"):
        certified_constant(schemes.overdamped, "bias", bound)
    with pytest.raises(ValueError, match="which: expected"):
        certified_constant(schemes.euler, "error", bound)
    with pytest.raises(ValueError, match="bound: expected a monomial"):
        certified_constant(schemes.euler, "bias", lambda L, M, h: h**2 + h**3)


def test_the_start_is_certified():
    c = certified_start()
    assert not c.unresolved
    assert c.lower <= c.upper <= 1.02 * c.lower
    (printed,) = load()["A4"].bounds
    worst = 0.0
    for lam, T, d in itertools.product((0.01, 0.1, 0.9, 4.0, 100.0), (0.01, 0.1, 0.7, 3.0), (1, 2, 3, 10, 1000)):
        v = 1 + (lam - 1) * math.exp(-2 * T)
        tv = rm.tv(rm.Gaussian.isotropic(v, d), rm.Gaussian.isotropic(1.0, d))
        due = math.exp(-T) * math.sqrt(d) * (1 + math.sqrt(lam))
        assert printed(T=T, d=d, m_2=math.sqrt(d * lam)) == pytest.approx(due, rel=1e-14)
        worst = max(worst, tv / due)
    assert 0.98 * c.lower <= worst <= c.upper * (1 + 1e-12)
    assert certified_start(effort=2).unresolved
