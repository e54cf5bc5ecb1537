"""Divergences against references with 20 digits, textbook formulas at higher precision, and their own laws."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.plain import (
    at_every_midpoint,
    noised,
    parallel_midpoint,
    randomized_midpoint,
    score_of,
    strata_rule,
    unit_rule,
)
from scipy import stats

import rmverify as rm
from rmverify import schemes

REFERENCE = Path(__file__).parent / "reference"
CASES = [case for name in ("tv.json", "tv_more.json") for case in json.loads((REFERENCE / name).read_text())]
EPS = 2.0**-52


def laws(case):
    p = rm.Gaussian.from_spectrum(case["var_p"], case["mult"], case["mean"])
    return p, rm.Gaussian.from_spectrum(case["var_q"], case["mult"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_tv_against_references(case):
    p, q = laws(case)
    with mpmath.workdps(40):
        exact = mpmath.mpf(case["tv"])
        complement = mpmath.mpf(case.get("complement", 1 - exact))
        for value in (rm.tv(p, q), rm.tv(q, p)):
            gap = abs(mpmath.mpf(float(value)) - exact)
            assert gap <= exact * mpmath.mpf("1e-12")
            assert gap <= value.error + EPS * float(exact)
            assert value.kind == "exact"
            assert value.lower <= value <= value.upper
            if complement < 0.5 and "complement" in case:
                assert abs(mpmath.mpf(value.complement) - complement) <= complement * mpmath.mpf("1e-12")


@pytest.mark.parametrize("mahalanobis", [1e-12, 1e-6, 0.3, 2.0, 9.0])
def test_tv_of_a_dense_shift_is_an_error_function(mahalanobis):
    """Equal covariances: TV = erf(D/(2 sqrt 2)), D^2 = m^T C^{-1} m, in non-commuting coordinates."""
    mix = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 0.0, 3.0]])
    covariance = mix @ np.diag([0.5, 1.0, 4.0]) @ mix.T
    shift = mix @ (np.sqrt([0.5, 1.0, 4.0]) * np.array([2.0, -1.0, 2.0]) / 3.0) * mahalanobis
    value = rm.tv(rm.Gaussian(shift, covariance), rm.Gaussian(np.zeros(3), covariance))
    exact = math.erf(mahalanobis / math.sqrt(8))
    condition = np.linalg.cond(covariance)
    assert abs(value - exact) <= 40 * EPS * condition * exact
    assert abs(value - exact) <= value.error + 4 * EPS * exact


@pytest.mark.parametrize(("d", "r"), [(1, 0.5), (3, -0.375), (3, 2.0**-30), (7, 3.0)])
def test_tv_of_dense_multiples(d, r):
    """B = (1+r) A: TV is a difference of two chi-squared distribution functions."""
    rng = np.random.default_rng(d)
    root = rng.integers(-3, 4, (d, d)) + 4 * np.eye(d)
    A = root @ root.T
    B = (1 + r) * A  # exact: small integers times a short binary number
    value = rm.tv(rm.Gaussian(np.zeros(d), A), rm.Gaussian(np.zeros(d), B))
    with mpmath.workdps(40):
        ratio = mpmath.mpf(1 + r)
        edge = d * mpmath.log(ratio) / (1 - 1 / ratio)  # |x|^2 in A's metric at which the densities agree
        inner, outer = (mpmath.gammainc(mpmath.mpf(d) / 2, 0, e / 2, regularized=True) for e in (edge, edge / ratio))
        exact = float(abs(inner - outer))
    assert abs(value - exact) <= 100 * EPS * np.linalg.cond(A) * max(exact, abs(r))
    assert abs(value - exact) <= value.error + 50 * EPS * np.linalg.cond(A) * abs(r)


def textbook_kl(m, A, B):
    """1/2 [tr(B^-1 A) - d + m^T B^-1 m + ln det B - ln det A] at 60 digits."""
    with mpmath.workdps(60):
        A, B, m = mpmath.matrix(A.tolist()), mpmath.matrix(B.tolist()), mpmath.matrix(m.tolist())
        inverse = B**-1
        trace = sum((inverse * A)[i, i] for i in range(A.rows))
        return float((trace - A.rows + (m.T * inverse * m)[0] + mpmath.log(mpmath.det(B) / mpmath.det(A))) / 2)


def dense_pair(seed, d=3, closeness=1.0):
    rng = np.random.default_rng(seed)
    one, two = rng.standard_normal((2, d, d))
    A = one @ one.T + np.eye(d)
    B = A + closeness * (two @ two.T)
    return rng.standard_normal(d) * closeness, A, B


@pytest.mark.parametrize("closeness", [1.0, 1e-4, 1e-8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kl_both_ways_between_dense_laws(seed, closeness):
    m, A, B = dense_pair(seed, closeness=closeness)
    p, q = rm.Gaussian(m, A), rm.Gaussian(np.zeros(3), B)
    for value, exact in ((rm.kl(p, q), textbook_kl(m, A, B)), (rm.kl(q, p), textbook_kl(-m, B, A))):
        # the eigenvalues r of A^{-1/2}(B-A)A^{-1/2} are relative to eps cond, and KL is quadratic in them
        assert abs(value - exact) <= 200 * EPS * np.linalg.cond(A) * exact
        assert abs(value - exact) <= value.error + 8 * EPS * exact


@pytest.mark.slow
@pytest.mark.parametrize("order", [0.25, 0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize(("m", "a", "b"), [(0.7, 1.3, 2.1), (0.0, 0.4, 1.0), (1e-6, 2.0, 2.0 + 1e-7)])
def test_renyi_and_chi2_in_one_dimension(m, a, b, order):
    """ln int p^s q^{1-s} /(s-1), the integral by quadrature at 50 digits."""
    with mpmath.workdps(50):
        a_, b_, m_ = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(m)

        def log_p(x):
            return -((x - m_) ** 2) / (2 * a_) - mpmath.log(2 * mpmath.pi * a_) / 2

        def log_q(x):
            return -(x**2) / (2 * b_) - mpmath.log(2 * mpmath.pi * b_) / 2

        def moment(s):
            points = [-60, -20, -8, -3, 0, 3, 8, 20, 60]
            return mpmath.quad(lambda x: mpmath.exp(s * log_p(x) + (1 - s) * log_q(x)), points)

        if order == 1:
            exact = mpmath.quad(
                lambda x: mpmath.exp(log_p(x)) * (log_p(x) - log_q(x)), [-60, -20, -8, -3, 0, 3, 8, 20, 60]
            )
        else:
            exact = mpmath.log(moment(mpmath.mpf(order))) / (mpmath.mpf(order) - 1)
        chi2, hellinger = moment(2) - 1, mpmath.sqrt(1 - moment(mpmath.mpf(1) / 2))
    p, q = rm.Gaussian([m], [a]), rm.Gaussian([0.0], [b])
    assert rm.renyi(p, q, order) == pytest.approx(float(exact), rel=1e-12)
    assert rm.chi2(p, q) == pytest.approx(float(chi2), rel=1e-12)
    assert rm.hellinger(p, q) == pytest.approx(float(hellinger), rel=1e-12)


def test_infinite_divergences():
    wide, narrow = rm.Gaussian([0.0], [4.0]), rm.Gaussian([0.0], [1.0])
    assert rm.chi2(wide, narrow) == math.inf
    assert rm.renyi(wide, narrow, 3.0) == math.inf
    assert math.isfinite(rm.renyi(narrow, wide, 3.0))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w2_between_dense_laws(seed):
    """|m|^2 + tr A + tr B - 2 tr (A^{1/2} B A^{1/2})^{1/2} at 60 digits."""
    m, A, B = dense_pair(seed)
    with mpmath.workdps(60):
        A_, B_ = mpmath.matrix(A.tolist()), mpmath.matrix(B.tolist())
        product = mpmath.eig(A_ * B_, left=False, right=False)
        cross = sum(mpmath.sqrt(mpmath.re(e)) for e in product)
        trace = sum(A_[i, i] + B_[i, i] for i in range(3))
        exact = float(mpmath.sqrt(sum(mpmath.mpf(x) ** 2 for x in m.tolist()) + trace - 2 * cross))
    value = rm.w2(rm.Gaussian(m, A), rm.Gaussian(np.zeros(3), B))
    assert abs(value - exact) <= value.error
    assert value.error <= 1e-13 * (np.sqrt(np.trace(A)) + np.sqrt(np.trace(B)) + np.linalg.norm(m)) * 10


@pytest.mark.parametrize("gap", [1e-12, 1e-6, 1.0])
def test_w2_keeps_small_differences(gap):
    value = rm.w2(rm.Gaussian([0.0, 0.0], [1.0, 9.0]), rm.Gaussian([0.0, 0.0], [(1 + gap) ** 2, 9.0]))
    assert value == pytest.approx(abs(math.sqrt((1 + gap) ** 2) - 1), rel=1e-3 if gap == 1e-12 else 1e-9)


# --- their own laws -----------------------------------------------------------------------------------------

variances = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5)


@st.composite
def pairs(draw, dense=False):
    a = np.array(draw(variances))
    ratio = np.array(draw(st.lists(st.floats(-3, 3), min_size=a.size, max_size=a.size)))
    m = np.array(draw(st.lists(st.floats(-3, 3), min_size=a.size, max_size=a.size)))
    return m * np.sqrt(a), a, a * np.exp(ratio)


def build(pair):
    m, a, b = pair
    return rm.Gaussian(m, a), rm.Gaussian(np.zeros_like(m), b)


@given(pairs())
def test_symmetric_distances(pair):
    p, q = build(pair)
    for distance in (rm.tv, rm.hellinger, rm.w2):
        one, other = distance(p, q), distance(q, p)
        assert abs(one - other) <= one.error + other.error + 1e-13 * one


@given(pairs())
def test_orders_between_divergences(pair):
    """H^2 <= TV <= H sqrt(2-H^2), Pinsker, Bretagnolle-Huber, KL <= ln(1+chi^2), Renyi increases with the order."""
    p, q = build(pair)
    tv, kl, h, chi2 = rm.tv(p, q), rm.kl(p, q), rm.hellinger(p, q), rm.chi2(p, q)
    slack = 1 + 1e-12
    assert h * h <= tv * slack + 1e-300
    assert tv <= h * math.sqrt(2 - h * h) * slack + 1e-300
    assert tv <= math.sqrt(kl / 2) * slack + 1e-300
    assert tv <= math.sqrt(-math.expm1(-kl)) * slack + 1e-300
    assert kl <= math.log1p(chi2) * slack + 1e-300
    orders = [rm.renyi(p, q, s) for s in (0.1, 0.5, 0.9, 1.0, 1.1, 2.0)]
    assert all(x <= y * (1 + 1e-10) + 1e-300 for x, y in itertools.pairwise(orders))


@given(pairs())
def test_dropping_a_coordinate_loses_information(pair):
    m, a, b = pair
    if m.size == 1:
        return
    p, q = build(pair)
    p_, q_ = build((m[1:], a[1:], b[1:]))
    for divergence in (rm.tv, rm.kl, rm.chi2, rm.hellinger, rm.w2):
        whole, part = divergence(p, q), divergence(p_, q_)
        assert part <= whole * (1 + 1e-12) + whole.error + part.error


@given(pairs(), st.integers(0, 2**32 - 1))
def test_invariance_under_joint_affine_maps(pair, seed):
    """x -> T x + c leaves every f-divergence; T is a rotation times a scaling of condition number at most 10."""
    m, a, b = pair
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((m.size, m.size)))
    right, _ = np.linalg.qr(rng.standard_normal((m.size, m.size)))
    T = left @ np.diag(rng.uniform(1, 10, m.size)) @ right
    c = rng.standard_normal(m.size)
    p, q = build(pair)

    def moved(law):
        image = T @ np.diag(law.variances) @ T.T
        return rm.Gaussian(T @ law.mean + c, (image + image.T) / 2)

    condition = 100 * max(a.max() / a.min(), b.max() / b.min())
    for divergence in (rm.tv, rm.kl, rm.hellinger):
        plain, image = divergence(p, q), divergence(moved(p), moved(q))
        allowed = (
            1e3 * EPS * m.size * condition * (1 + abs(plain)) * (1 + np.abs(m @ (m / a)) ** 0.5 + b.max() / b.min())
        )
        assert abs(plain - image) <= allowed


@given(pairs(), st.floats(1.01, 3.0))
def test_monotone_in_the_shift(pair, factor):
    m, a, b = pair
    if not m.any():
        return
    near, far = rm.tv(*build(pair)), rm.tv(*build((factor * m, a, b)))
    assert near <= far * (1 + 1e-12) + near.error + far.error


@given(pairs(), st.integers(1, 4))
def test_multiplicities_are_repeated_coordinates(pair, times):
    m, a, b = pair
    counts = [times] * m.size
    p, q = rm.Gaussian.from_spectrum(a, counts, m), rm.Gaussian.from_spectrum(b, counts)
    p_, q_ = build(tuple(np.repeat(v, times) for v in pair))
    for divergence in (rm.tv, rm.kl, rm.hellinger, rm.w2):
        assert divergence(p, q) == pytest.approx(divergence(p_, q_), rel=1e-12, abs=1e-300)


def test_different_layouts_of_one_law():
    blocks = rm.Gaussian.from_spectrum([2.0, 3.0], [3, 1])
    other = rm.Gaussian([0.5, 0.0, 0.0, 1.0], [1.0, 2.0, 2.0, 3.0])
    plain = rm.Gaussian(np.zeros(4), [2.0, 2.0, 2.0, 3.0])
    assert rm.tv(blocks, other) == pytest.approx(rm.tv(plain, other), rel=1e-13)


def test_identical_laws():
    p = rm.Gaussian([1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]])
    for divergence in (rm.tv, rm.kl, rm.hellinger, rm.w2, rm.chi2):
        assert divergence(p, p) == 0


# --- singular laws ------------------------------------------------------------------------------------------


def test_singular_laws_on_one_support():
    flat = rm.Gaussian([1.0, 0.0], [2.0, 0.0]), rm.Gaussian([0.0, 0.0], [3.0, 0.0])
    line = rm.Gaussian([1.0], [2.0]), rm.Gaussian([0.0], [3.0])
    for divergence in (rm.tv, rm.kl, rm.hellinger, rm.chi2, rm.w2):
        assert divergence(*flat) == divergence(*line)


def test_singular_dense_laws():
    direction = np.array([3.0, 4.0]) / 5
    line = np.outer(direction, direction)
    same = rm.tv(rm.Gaussian(direction, 2 * line), rm.Gaussian([0.0, 0.0], 3 * line))
    assert same == pytest.approx(rm.tv(rm.Gaussian([1.0], [2.0]), rm.Gaussian([0.0], [3.0])), rel=1e-12)
    for q in (
        rm.Gaussian([0.0, 0.0], [[3.0, 0.0], [0.0, 0.0]]),  # another line
        rm.Gaussian([0.0, 0.0], np.eye(2)),  # the whole plane
        rm.Gaussian([4.0, -3.0], 3 * line),  # a parallel line
    ):
        p = rm.Gaussian(direction, 2 * line)
        assert rm.tv(p, q) == 1
        assert rm.tv(p, q).complement == 0
        assert rm.kl(p, q) == rm.kl(q, p) == rm.chi2(p, q) == math.inf
        assert rm.hellinger(p, q) == 1
        assert 0 < rm.w2(p, q) < math.inf


def test_bad_input():
    p = rm.Gaussian([0.0], [1.0])
    with pytest.raises(ValueError, match=r"q: expected a law in dimension 1.*got dimension 2"):
        rm.tv(p, rm.Gaussian([0.0, 0.0], [1.0, 1.0]))
    with pytest.raises(TypeError, match="q: expected a Gaussian, a law on the line or of a plan, got float"):
        rm.kl(p, 1.0)
    with pytest.raises(ValueError, match="order: expected a number > 0"):
        rm.renyi(p, p, -1)


# --- mixtures -----------------------------------------------------------------------------------------------


def scale_law(dim, levels=(1.5, 0.9, 0.6)):
    target = rm.Gaussian.isotropic(0.2, dim)
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)])
    return rm.output_law(plan, target, start="exact"), target.at(levels[-1])


def by_the_trapezoid(dim, s2, weights, b, points):
    """TV, KL, Hellinger and chi^2 of sum w N(0, s^2 I) and N(0, b I), in ln r."""
    log_r = np.linspace(math.log(1e-9), math.log(60.0), points)
    r = np.exp(log_r)
    volume = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2) * r**dim  # r^(d-1) dr = r^d d ln r

    def density(variance):
        return np.exp(-r * r / (2 * variance)) / (2 * math.pi * variance) ** (dim / 2)

    p_r = sum(w * density(v) for v, w in zip(s2, weights, strict=True))
    q_r = density(b)
    step = log_r[1] - log_r[0]
    tv = 0.5 * float((volume * np.abs(p_r - q_r)).sum()) * step
    hellinger = math.sqrt(0.5 * float((volume * (np.sqrt(p_r) - np.sqrt(q_r)) ** 2).sum()) * step)
    live = (p_r > 1e-290) & (q_r > 1e-290)
    volume, p_r, q_r = volume[live], p_r[live], q_r[live]
    kl = float((volume * p_r * np.log(p_r / q_r)).sum()) * step
    return tv, kl, hellinger, float((volume * (p_r - q_r) ** 2 / q_r).sum()) * step


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_scale_mixture_against_nested_quadrature(dim):
    """TV, KL and Hellinger of the two-step law by direct sums over both midpoints."""
    law, q = scale_law(dim)
    mixture = at_every_midpoint(0.2, (1.5, 0.9, 0.6), unit_rule(20))
    tv, kl, hellinger, _ = by_the_trapezoid(dim, *mixture, float(q.variances[0]), 100_001)
    # the trapezoid's error at the kinks of |p - q| is O(step^2)
    assert rm.tv(law, q) == pytest.approx(tv, rel=1e-7)
    assert rm.kl(law, q) == pytest.approx(kl, rel=1e-6)
    assert rm.hellinger(law, q) == pytest.approx(hellinger, rel=1e-8)
    assert rm.tv(law, q).kind == "exact"
    assert rm.tv(q, law) == rm.tv(law, q)


@pytest.mark.parametrize("dim", [1, 30, 10**4, 10**12])
def test_a_degenerate_scale_mixture_is_a_gaussian(dim):
    """One node: the radial integrals must give the Gaussian values."""
    from rmverify.divergences.radial import radial_hellinger, radial_kl, radial_tv
    from rmverify.laws import ScaleMixture

    excess = 0.7 / math.sqrt(dim)
    mixture = ScaleMixture(np.array([1 + excess]), np.ones(1), dim, 0.0)
    p, q = rm.Gaussian.isotropic(1 + excess, dim), rm.Gaussian.isotropic(1.0, dim)
    u = math.log1p(excess) / 2 * dim
    kl = dim / 2 * float(mpmath.mpf(excess) - mpmath.log1p(mpmath.mpf(excess))) if dim < 10**6 else dim * excess**2 / 4
    assert u > 0
    assert radial_kl(mixture, 1.0) == pytest.approx(kl, rel=1e-9 if dim < 10**6 else 2 * excess)
    assert radial_tv(mixture, 1.0) == pytest.approx(rm.tv(p, q), rel=1e-9)
    assert radial_hellinger(mixture, 1.0) == pytest.approx(rm.hellinger(p, q), rel=1e-9)


@pytest.mark.parametrize("dim", [3, 400])
def test_w2_of_a_mixture_is_a_bracket(dim):
    """From |E s - sqrt(b)| sqrt(d) up, as the law of |x| is no closer, to (E (s - sqrt(b))^2 d)^{1/2}."""
    law, q = scale_law(dim)
    s2, weights = at_every_midpoint(0.2, (1.5, 0.9, 0.6), unit_rule(20))
    value = rm.w2(law, q)
    most = math.sqrt(dim * float(weights @ (np.sqrt(s2) - math.sqrt(float(q.variances[0]))) ** 2))
    assert value.kind == "upper"
    assert 0 <= value.lower <= most <= value.upper <= 1.1 * most


def test_moment_bound_of_kl_is_pythagoras():
    """KL(p||q) = KL(p||g) + KL(g||q) for Gaussian q and g with p's moments, on an exactly known scale mixture."""
    from rmverify.divergences.averaged import Sampled

    law, q = scale_law(2)
    s2, weights = at_every_midpoint(0.2, (1.5, 0.9, 0.6), unit_rule(40))
    ratio = float(weights @ s2) / float(q.variances[0])
    bound = ratio - 1 - math.log(ratio)  # d/2 (ratio - 1 - ln ratio) with d = 2
    assert rm.kl(law, q) >= bound
    assert Sampled(law, q)._moment_kl() == pytest.approx(bound, rel=1e-9)


def test_a_mixture_needs_its_own_modes():
    target = rm.Gaussian([0.0, 0.0], [[1.0, 0.3], [0.3, 2.0]])
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, [1.0, 0.5])]), target)
    with pytest.raises(TypeError, match="target's own modes"):
        rm.tv(law, rm.Gaussian([0.0, 0.0], [[1.0, -0.3], [-0.3, 2.0]]))
    with pytest.raises(TypeError, match="at most one"):
        rm.tv(law, law)


# --- where it is hard ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.1, 0.2, 3.3, 1e-9])
def test_a_shift_inside_a_singular_support(shift):
    """N(0, C) and N(m, C) on the line C = u u^T, m = shift u/|u|^2 u: erf(D/(2 sqrt 2)), D = shift."""
    u = np.array([2.0, 1.0])
    value = rm.tv(rm.Gaussian([0.0, 0.0], np.outer(u, u)), rm.Gaussian(shift * u, np.outer(u, u)))
    assert value == pytest.approx(math.erf(shift / math.sqrt(8)), rel=1e-6)
    assert abs(value - math.erf(shift / math.sqrt(8))) <= value.error + 1e-15


@pytest.mark.parametrize("order", [1.5, 2.0, 7.3])
def test_renyi_at_the_edge_of_its_domain(order):
    """z = s b/a + 1 - s down to a few units of the last place: the textbook sum at 60 digits."""
    edge = (order - 1) / order
    b = np.array([edge * (1 + 1e-15), edge * (1 + 1e-9), edge * 1.4, 0.9])
    a, m = np.array([1.0, 1.0, 1.0, 1.0]), np.array([1e-9, 1e-5, 0.1, 0.3])
    with mpmath.workdps(60):
        total, s = mpmath.mpf(0), mpmath.mpf(order)
        for x, y, c in zip(a.tolist(), b.tolist(), m.tolist(), strict=True):
            z = s * mpmath.mpf(y) + (1 - s) * mpmath.mpf(x)
            total += (s * mpmath.log(mpmath.mpf(y)) - mpmath.log(z) - s * (1 - s) * mpmath.mpf(c) ** 2 / z) / 2
        exact = float(total / (s - 1))
    value = rm.renyi(rm.Gaussian(m, a), rm.Gaussian(np.zeros(4), b), order)
    assert value == pytest.approx(exact, rel=1e-12)
    assert abs(value - exact) <= value.error + 4 * EPS * exact


def test_kl_between_a_multiple_of_the_identity_and_a_dense_law():
    """B = I + e 1 1^T: the eigenvalue 1 + 3e alone matters; (ln(1+y) - y/(1+y))/2 with y = 3e."""
    e = 2.0**-27  # so that the entries of B are exact
    with mpmath.workdps(60):
        y = 3 * mpmath.mpf(e)
        exact = float((mpmath.log1p(y) - y / (1 + y)) / 2)
    value = rm.kl(rm.Gaussian.isotropic(1, 3), rm.Gaussian(np.zeros(3), np.eye(3) + e * np.ones((3, 3))))
    assert abs(value - exact) <= value.error + 8 * EPS * exact
    assert value == pytest.approx(exact, rel=1e-12)


def test_the_error_of_an_ill_conditioned_w2_says_so():
    A = np.array([[1.0, 1 - 2.0**-47], [1 - 2.0**-47, 1.0]])
    B = np.array([[1.0, -0.5], [-0.5, 2.0]])
    with mpmath.workdps(60):
        product = mpmath.matrix(A.tolist()) * mpmath.matrix(B.tolist())
        root = mpmath.sqrt(product[0, 0] + product[1, 1] + 2 * mpmath.sqrt(mpmath.det(product)))
        exact = float(mpmath.sqrt(5 - 2 * root))  # tr A + tr B - 2 tr (A^{1/2} B A^{1/2})^{1/2}
    value = rm.w2(rm.Gaussian([0.0, 0.0], A), rm.Gaussian([0.0, 0.0], B))
    assert abs(value - exact) <= value.error < 1e-6


def binned_mixture_tv(variance, levels, dim):
    """TV of the unconditional law of two steps, midpoint by midpoint, by the trapezoid over the radius."""
    s2, weights = at_every_midpoint(variance, levels, unit_rule(150))
    u = np.log(s2 / noised(variance, levels[-1]))
    tau = np.linspace(u.min() - 12 / math.sqrt(dim), u.max() + 12 / math.sqrt(dim), 4001)
    log_q = dim / 2 * (tau - np.expm1(tau)) + dim / 2 * math.log(dim / 2) - dim / 2 - math.lgamma(dim / 2)
    log_p = dim / 2 * (np.subtract.outer(tau, u) - np.expm1(np.subtract.outer(tau, u)))
    log_p += dim / 2 * math.log(dim / 2) - dim / 2 - math.lgamma(dim / 2)
    p = np.exp(log_p) @ weights
    return float(np.abs(p - np.exp(log_q)).sum() * (tau[1] - tau[0]) / 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels", "dim"), [((3.0, 2.2, 1.4), 100), ((3.0, 2.2, 1.4), 10_000), ((1.0, 0.6, 0.3), 2000)]
)
def test_a_wide_spread_of_midpoints_is_resolved_or_an_interval(levels, dim):
    """Where the Gauss rule cannot resolve the spread of ln s^2, the answer must not call itself exact."""
    target = rm.Gaussian.isotropic(0.25, dim)
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)]), target, start="exact")
    value, truth = rm.tv(law, target.at(levels[-1])), binned_mixture_tv(0.25, levels, dim)
    if value.kind == "exact":
        assert abs(value - truth) <= value.error + 1e-5  # the trapezoid's own error at its kinks
    assert value.lower - 1e-5 <= truth <= value.upper + 1e-5


def test_an_infinite_average_is_not_a_number_of_paths():
    """chi^2 of a mixture is infinite as soon as a midpoint has a variance beyond twice the target's."""
    target = rm.Gaussian([1.0], [0.0])
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, [1.0, 0.1])]), target)
    right = float(law.conditional([1.0]).variances[0])
    assert right > 2 * float(target.at(0.1).variances[0])
    for seed in range(5):
        assert rm.chi2(law, target.at(0.1), rng=seed) == math.inf
    # 1 - H^2 = int sqrt(p q) of the mixture of normals around the mean 1, at every midpoint
    a, w = unit_rule(40)
    move = [randomized_midpoint(x, 1.0, 0.9, a, score_of(0.0, 1.0)) for x in (0.0, 1.0)]
    x = np.linspace(-4, 4, 4001)[:, None]
    p = stats.norm.pdf(x, move[0], np.abs(move[1] - move[0])) @ w
    q = stats.norm.pdf(x[:, 0], math.exp(-0.1), math.sqrt(noised(0.0, 0.1)))
    value = rm.hellinger(law, target.at(0.1))
    assert value.lower <= math.sqrt(1 - np.trapezoid(np.sqrt(p * q), x[:, 0])) <= value.upper


@pytest.mark.slow
@pytest.mark.parametrize("strata", [1, 2, 3])
def test_strata_on_an_isotropic_target(strata):
    """All distances of two steps, by sums over the midpoints of every stratum and over the radius."""
    lam, dim, levels = 0.25, 5, [1.5, 1.2, 1.0]
    target = rm.Gaussian.isotropic(lam, dim)
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata, 0), levels)])
    law, goal = rm.output_law(plan, target, start="exact"), target.at(1.0)
    alphas, w = strata_rule(strata, 5)
    s2, weights = noised(lam, 1.5), np.ones(1)
    for t, end in itertools.pairwise(levels):
        slope = parallel_midpoint(1.0, t, t - end, alphas, score_of(lam), 0)
        s2, weights = np.multiply.outer(s2, slope**2).ravel(), np.outer(weights, w).ravel()
    tv, kl, hellinger, chi2 = by_the_trapezoid(dim, s2, weights, noised(lam, 1.0), 1001)
    for value, due, rel in ((rm.tv(law, goal), tv, 1e-3), (rm.kl(law, goal), kl, 1e-6),
                            (rm.hellinger(law, goal), hellinger, 1e-6)):  # fmt: skip
        assert value.kind == "exact"
        assert value == pytest.approx(due, rel=rel)  # |p - q| has kinks
    for value, due in ((rm.chi2(law, goal, accuracy=0.1), chi2), (rm.renyi(law, goal, 2.0, accuracy=0.1), chi2)):
        assert value.kind == "monte-carlo"
        assert abs(value - due) <= 2 * value.error + chi2**2
    most = math.sqrt(dim * float(weights @ (np.sqrt(s2) - math.sqrt(noised(lam, 1.0))) ** 2))
    assert rm.w2(law, goal).lower <= most <= rm.w2(law, goal).upper <= 1.02 * most


@pytest.mark.slow
@pytest.mark.parametrize("means", [None, [1.0, -1.0]])
def test_mixtures_in_very_high_dimension(means):
    """KL is its average over the midpoints but for the nats that they are worth; s^2 spreads far beyond the radius."""
    lam, dim, levels = 0.25, 10**12, [2.0, 1.9, 1.8]
    target = rm.Gaussian.from_spectrum([lam, 4.0], [dim, 3], means)
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)]), target)
    goal = target.at(1.8)
    assert law.correlated == (means is not None)
    s2, weights = at_every_midpoint(lam, levels, unit_rule(20))
    ratio = s2 / noised(lam, 2.0) / noised(lam, 1.8)  # from N(0, 1)
    off = 0.0 if means is None else math.exp(-4.0)  # the start's mean is off by e^{-2}
    value, due = rm.kl(law, goal, accuracy=0.05), dim / 2 * float(weights @ ((1 + off) * ratio - 1 - np.log(ratio)))
    assert abs(value - due) <= 2 * value.error + 1e-6 * due
    for distance in (rm.tv, rm.hellinger):
        assert distance(law, goal, accuracy=0.2).lower > 0.7
        assert distance(law, goal, accuracy=0.2).upper == 1
    assert rm.chi2(law, goal, accuracy=0.2).upper == math.inf


def test_mixtures_far_apart():
    """Variances ten decades apart and three steps: TV is next to 1, and no rule of quadrature may overflow on it."""
    target = rm.Gaussian.from_spectrum([1e-9, 0.3], [10, 10])
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, np.geomspace(4.5, 1e-9, 4))])
    for distance in (rm.tv, rm.hellinger):
        value = distance(rm.output_law(plan, target), target.at(1e-9))
        assert 0.9 < value.lower <= value.upper == 1


def test_a_variance_that_rounding_does_not_tell_from_0_is_no_other_support():
    target = rm.Gaussian([0.0, 0.0], [1.0, 0.0])
    for rounding, kind, least in ((0.5, "exact", 1.0), (1.5, "upper", 0.0)):  # of a variance of 1e-30
        value = rm.tv(target.with_modes([1.0, 1e-30], 0.0, [0.0, rounding]), target)
        assert (value.kind, value.lower, value.upper) == (kind, least, 1.0)
