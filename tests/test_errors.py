"""Stated errors cover the distance to the truth: hard pairs of Gaussians against balls of 150 digits."""

from __future__ import annotations

import itertools
import math
import statistics

import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st
from oracles import gaussians
from oracles.gaussians import KINDS, Law, Reference, pairs, precise, ratio, references

import rmverify as rm
from rmverify import schemes
from rmverify.divergences import closed_forms, pair

FUNCTIONS = ("tv", "kl", "chi2", "hellinger", "w2")
_THINNED = {"foreign": 60, "far": 40, "marginals": 60}


def ratios(kind, count, seed=0):
    """|value - truth|/error of every divergence of `count` pairs, by name."""
    found = {}
    for p, q in pairs(kind, count, seed):
        laws = p.build(rm.Gaussian), q.build(rm.Gaussian)
        for name, reference in precise(lambda p=p, q=q: references(p, q)).items():
            truth = precise(reference)
            if name == "tv" and truth is None:
                continue
            function, *order = name.split()
            value = getattr(rm, function)(*laws, *map(float, order))
            found.setdefault(name, []).append(precise(lambda value=value, truth=truth: ratio(value, truth)))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_thinned_soak(kind):
    for name, found in ratios(kind, _THINNED.get(kind, 80)).items():
        assert max(found) <= 1, f"{name}: {max(found):.3g} at pair {found.index(max(found))}"


def marginals_far_out(mean, level):
    """A dense law far from the origin and its own marginal."""
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    return Law(np.array(mean), covariance), Law(np.array(mean), covariance, level=level)


@pytest.mark.parametrize(
    ("mean", "level", "tv"),
    [
        # by balls at 60 digits
        ((1e3, 2e3), 1e-6, "0.00079788411753397787"),
        ((1e3, 2e3), 1e-9, "7.978846490577531e-07"),
        ((1e6, 2e6), 1e-9, "0.000797884427423271792"),
        ((1e8, -1e8), 1e-9, "0.07965567447466746"),
    ],
)
def test_a_law_far_from_the_origin_and_its_own_marginal(mean, level, tv):
    p, q = marginals_far_out(mean, level)
    P, Q = p.build(rm.Gaussian), q.build(rm.Gaussian)
    truth = precise(lambda: gaussians.integrated_tv(p, q))
    assert float(truth) == pytest.approx(float(tv), rel=1e-14)
    for one, other in ((P, Q), (Q, P)):
        value = rm.tv(one, other)
        assert precise(lambda value=value: ratio(value, truth)) <= 1
        assert value.error <= 64 * 2.0**-52 * math.hypot(*mean)  # no more than the rounding of such means
    for name, reference in precise(lambda: references(p, q)).items():
        function, *order = name.split()
        if function != "tv":
            value = getattr(rm, function)(P, Q, *map(float, order))
            assert precise(lambda value=value, reference=reference: ratio(value, reference())) <= 1, name


def test_a_nearly_singular_covariance_far_away():
    """m = (100, 7), A = [[1, .7], [.7, 1]], B with 1 - 1e-10 off the diagonal: KL = 2.1624e13, ill-conditioned."""
    p = Law(np.array([100.0, 7.0]), np.array([[1.0, 0.7], [0.7, 1.0]]))
    q = Law(np.zeros(2), np.array([[1.0, 1 - 1e-10], [1 - 1e-10, 1.0]]))
    truth = precise(lambda: Reference(p, q).kl())
    assert float(truth) == pytest.approx(2.16239982e13, rel=1e-8)
    value = rm.kl(p.build(rm.Gaussian), q.build(rm.Gaussian))
    assert precise(lambda: ratio(value, truth)) <= 1
    assert value.error < 1e-3 * value


@pytest.mark.parametrize(
    ("a", "b"), [(4.9e-324, 1.0), (1.0, 4.9e-324), (1e-300, 1e10), (1e10, 1e-300), (1e308, 1e-308), (1e-308, 1e308)]
)
def test_variances_hundreds_of_orders_apart(a, b):
    """1/2 [a/b - 1 - ln(a/b)], finite or beyond the largest float, and everything else without a warning."""
    p, q = rm.Gaussian([0.0], [a]), rm.Gaussian([0.0], [b])
    with mpmath.workdps(60):
        quotient = mpmath.mpf(a) / mpmath.mpf(b)
        kl = (quotient - 1 - mpmath.log(quotient)) / 2
    value = rm.kl(p, q)
    if kl < 1e300:
        assert abs(mpmath.mpf(float(value)) - kl) <= value.error <= 1e-13 * kl
    else:
        assert value.kind == "upper"
        assert value.lower <= kl <= value.upper == math.inf
    assert rm.tv(p, q) == rm.hellinger(p, q) == 1
    assert 0 <= rm.tv(p, q).complement < 1e-70
    assert float(rm.w2(p, q)) == pytest.approx(abs(math.sqrt(a) - math.sqrt(b)), rel=1e-12)


def test_the_smallest_variance_that_there_is():
    """1/2 [-1 - ln(2^-1074)]."""
    value = rm.kl(rm.Gaussian([0.0], [4.9e-324]), rm.Gaussian([0.0], [1.0]))
    assert abs(value - (1074 * math.log(2) - 1) / 2) <= value.error + 1e-13
    assert f"{value:.10f}" == "371.7200359607"


@pytest.mark.parametrize("gap", [1e-200, 1e-160, 1e-30, 1e-17])
def test_shifts_whose_squares_underflow(gap):
    """N(gap, 1) against N(0, 1): gap/sqrt(2 pi), gap/sqrt 8 and gap."""
    p, q = rm.Gaussian([gap], [1.0]), rm.Gaussian([0.0], [1.0])
    for function, slope in ((rm.tv, 1 / math.sqrt(2 * math.pi)), (rm.hellinger, 1 / math.sqrt(8)), (rm.w2, 1.0)):
        value = function(p, q)
        assert float(value) == pytest.approx(slope * gap, rel=1e-13)
        assert value.error <= 1e-13 * value
    assert abs(rm.kl(p, q) - gap * gap / 2) <= rm.kl(p, q).error


@pytest.mark.parametrize("level", [30.0, 300.0, 700.0])
def test_a_marginal_next_to_the_normal_law(level):
    """N(e^{-t} m, 1) against N(0, 1): erf(e^{-t} |m|/sqrt 8), to the rounding of the marginal."""
    value = rm.tv(rm.Gaussian([3.0], [1.0]).at(level), rm.Gaussian([0.0], [1.0]))
    assert abs(value - math.erf(math.exp(-level) * 3 / math.sqrt(8))) <= value.error < 1e-14
    assert value.kind == "exact"


# --- one eigenbasis -----------------------------------------------------------------------------------------


@pytest.fixture
def dense():
    rng = np.random.default_rng(3)
    root = rng.standard_normal((6, 6))
    return rm.Gaussian(rng.standard_normal(6), root @ root.T + np.eye(6))


def test_laws_of_one_eigenbasis_share_it(dense):
    for law in (dense.at(0.5), dense.at(0.5).at(0.1), dense.with_modes(1.0, 0.0), dense.with_modes(1.0, 0.0).at(1.0)):
        assert law.basis is dense.basis


def test_laws_of_one_eigenbasis_need_no_decomposition(dense, monkeypatch):
    laws = [dense, dense.at(0.5), dense.with_modes(2.0 * dense.variances, dense.means)]

    def refuse(*_args, **_options):
        raise AssertionError("a decomposition")

    for name in ("eigh", "svd", "eigvalsh", "qr", "cholesky"):
        monkeypatch.setattr(np.linalg, name, refuse)
    for p, q in itertools.permutations(laws, 2):
        for function in FUNCTIONS:
            assert getattr(rm, function)(p, q) >= 0


# --- decisions by rank --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tilt", [1e-13, 1e-11, 1e-6, 0.1])
def test_two_lines_that_are_tilted_are_apart(tilt):
    one, other = (np.array([math.cos(a), math.sin(a)]) for a in (0.3, 0.3 + tilt))
    p, q = (rm.Gaussian([0.0, 0.0], np.outer(u, u)) for u in (one, other))
    for x, y in ((p, q), (q, p)):
        assert rm.tv(x, y) == rm.hellinger(x, y) == 1
        assert rm.kl(x, y) == rm.chi2(x, y) == rm.renyi(x, y, 0.5) == math.inf


def test_one_line_is_a_matter_of_rounding():
    """Two matrices on one line as far as floats can tell: what follows is a lower bound, as the lines may differ."""
    u = np.array([3.0, 4.0]) / 5
    p, q = rm.Gaussian(u, 2 * np.outer(u, u)), rm.Gaussian([0.0, 0.0], 3 * np.outer(u, u))
    line = rm.Gaussian([1.0], [2.0]), rm.Gaussian([0.0], [3.0])
    for name, most in (("tv", 1.0), ("hellinger", 1.0), ("kl", math.inf), ("chi2", math.inf)):
        value = getattr(rm, name)(p, q)
        assert (value.kind, value.upper) == ("lower", most)
        assert float(value) == pytest.approx(float(getattr(rm, name)(*line)), rel=1e-12)


def test_a_stationary_point():
    """x + h s(x) without noise: all mass ends up in the mean."""

    def still(x, t, h, score, draw):
        return x + h * score(t, x)

    target = rm.Gaussian([0.0], [1.0])
    law = rm.stationary_law(still, target, 0.5)
    for p, q in ((law, target), (target, law)):
        assert rm.tv(p, q) == rm.hellinger(p, q) == rm.w2(p, q) == 1
        assert rm.kl(p, q) == rm.chi2(p, q) == math.inf


@pytest.mark.parametrize("step", [0.1, 1.0])
def test_a_step_without_noise_leaves_a_point(step):
    """Variance 0 against positive variance: TV 1, Hellinger 1, KL infinite, W2 the deviation and the distance."""
    point, law = rm.Gaussian([0.5], [0.0]), rm.Gaussian([0.0], [step])
    for p, q in ((point, law), (law, point)):
        assert rm.tv(p, q) == rm.hellinger(p, q) == 1
        assert rm.tv(p, q).complement == rm.hellinger(p, q).complement == 0
        assert rm.kl(p, q) == rm.chi2(p, q) == rm.renyi(p, q, 2.0) == rm.renyi(p, q, 0.5) == math.inf
        assert float(rm.w2(p, q)) == pytest.approx(math.hypot(0.5, math.sqrt(step)), rel=1e-14)


# --- spectra ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [8, 10, 13])
@pytest.mark.parametrize("scheme", [schemes.euler, schemes.midpoint])
def test_spectra_of_images(scheme, steps):
    """Variances i^-2, too few steps: 1 - TV <= int sqrt(p q), in logarithms."""
    target = rm.Gaussian(np.zeros(784), np.arange(1, 785) ** -2.0)
    levels = np.geomspace(5.0, 1e-4, steps + 1)
    law = rm.output_law(rm.Plan([rm.Predict(scheme, levels)]), target)
    goal = target.at(levels[-1])
    a, b = law.variances, goal.variances
    log_bc = float(np.sum(np.log(a * b) / 4 - np.log((a + b) / 2) / 2))
    for value in (rm.tv(law, goal), rm.tv(goal, law)):
        assert 0 <= value.complement <= math.exp(log_bc) * (1 + 1e-9)
        assert value.error < 1e-9


def exponents(size):
    return st.lists(st.floats(-323.0, 307.9), min_size=size, max_size=size)


@st.composite
def extreme_pairs(draw):
    size = draw(st.sampled_from([1, 2, 3, 300]))
    base = [draw(exponents(3)) for _ in range(2)]
    a, b = (10.0 ** np.resize(part, size) for part in base)
    if draw(st.booleans()):
        a, b = np.minimum(a, 1e300) * np.linspace(0.5, 2.0, size), np.minimum(b, 1e300)
    m = np.resize(draw(st.lists(st.floats(-10, 10), min_size=1, max_size=3)), size) * np.sqrt(a)
    return rm.Gaussian(m, a), rm.Gaussian(np.zeros(size), b)


@given(extreme_pairs(), st.sampled_from([1e-9, 0.5, 1 - 1e-9, 1 + 1e-9, 3.0]))
def test_no_finite_variances_give_nan_or_a_warning(pair, order):
    for p, q in (pair, pair[::-1]):
        for value in (*(getattr(rm, name)(p, q) for name in FUNCTIONS), rm.renyi(p, q, order)):
            assert 0 <= value.lower <= value <= value.upper
            assert value.error >= 0


# --- mixtures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_midpoint_between_the_corners_makes_chi_squared_infinite(seed):
    """A factor 1 + c a (1 - a) of the noise is 1 at both ends: at a = 1/2 the variance is beyond twice the target's."""

    def bulging(x, t, h, score, draw):
        a = draw.uniform()
        (w,) = draw.normal(((h,),))
        return x + h * score(t, x) + (1 + 12 * a * (1 - a)) * w

    target = rm.Gaussian.from_spectrum([1.0, 2.0], [1, 1])
    law = rm.output_law(rm.Plan([rm.Predict(bulging, [1.0, 0.5])]), target, start="exact")
    most = law.conditional([0.5]).variances
    assert (most > 2 * target.at(0.5).variances).any()
    assert rm.chi2(law, target.at(0.5), rng=seed).upper == math.inf
    assert rm.renyi(law, target.at(0.5), 3.0, rng=seed).upper == math.inf


# --- errors that are too small are found --------------------------------------------------------------------


def test_errors_are_not_needlessly_large():
    """The median of |value - truth|/error: within 10^4 of what the error allows, and above 1/100 off singularity."""
    for kind in ("diagonal", "near", "spectra"):
        assert statistics.median(ratios(kind, 60)["kl"]) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("part", ["log_error", "level_error", "mean_error"])
def test_an_error_without_one_of_its_terms_is_caught(monkeypatch, part):
    """Of laws in one eigenbasis: the rounding of turned means, and that of the decomposition."""
    plain = pair.modewise

    def lacking(p, q):
        found = plain(p, q)
        return None if found is None else found._replace(**{part: np.zeros_like(found.a)})

    for module in (pair, closed_forms):
        monkeypatch.setattr(module, "modewise", lacking)
    assert max(max(found) for kind in ("marginals", "shifted") for found in ratios(kind, 60).values()) > 1


@pytest.mark.slow
@pytest.mark.parametrize("part", ["log_error", "shift_error"])
def test_an_error_of_foreign_laws_without_one_of_its_terms_is_caught(monkeypatch, part):
    plain = pair._whitened

    def lacking(p, q):
        found = plain(p, q)
        return found._replace(**{part: np.zeros_like(found.a)})

    monkeypatch.setattr(pair, "_whitened", lacking)
    assert max(max(found) for kind in ("foreign", "far") for found in ratios(kind, 60).values()) > 1


def test_the_reference_knows_textbook_values():
    """N(1, 1) against N(0, 1): KL 1/2, chi^2 e - 1, H^2 1 - e^{-1/8}, TV erf(1/sqrt 8); and one law in two forms."""
    p, q = Law(np.array([1.0]), np.array([1.0])), Law(np.array([0.0]), np.array([1.0]))
    of = precise(lambda: Reference(p, q))
    found = [float(precise(x)) for x in (of.kl, of.chi2, of.hellinger, of.tv, of.w2)]
    assert found == pytest.approx([0.5, math.e - 1, math.sqrt(-math.expm1(-1 / 8)), math.erf(8**-0.5), 1.0], rel=1e-14)
    a, b, m = np.array([1.0, 3.0, 0.2]), np.array([2.0, 1.0, 0.5]), np.array([1.0, -2.0, 0.5])
    flat, full = ((Law(m, f(a)), Law(0 * m, f(b))) for f in (np.array, np.diag))
    for one, other in zip(*(precise(lambda x=x: references(*x)).items() for x in (flat, full)), strict=True):
        values = [precise(one[1]), precise(other[1])]
        if one[0] != "tv":
            assert (values[0] is None) == (values[1] is None)
            assert values[0] is None or abs(values[0] - values[1]) < 1e-100


def test_the_ratio_of_a_bracket_is_whether_it_holds():
    assert gaussians.ratio(rm.tv(rm.Gaussian([1.0], [1.0]), rm.Gaussian([0.0], [1.0])), arb(0)) > 1
    assert gaussians.ratio(rm.Value(1.0, "upper", lower=0.0, upper=1.0), arb(0.5)) == 0
    assert gaussians.ratio(rm.Value(0.25, "upper", lower=0.0, upper=0.25), arb(0.5)) == math.inf


# --- what few paths show --------------------------------------------------------------------------------------------


def rarely_fifty_times(x, t, h, score, draw):
    return x * (1 + 49 * draw.bernoulli(1e-3))


@pytest.mark.slow
def test_intervals_hold_for_what_hardly_a_path_shows():
    """(1 - p) N(0, S) + p N(0, 2500 S), S = diag(1, 4): what it differs by is p times the difference of two Gaussians
    that are radial in units of S."""
    target, p, scale = rm.Gaussian([0.0, 0.0], [1.0, 4.0]), 1e-3, 2500.0
    law = rm.output_law(rm.Plan([rm.Correct(rarely_fifty_times, 0, 0.1, 1)]), target, start="exact")
    np.testing.assert_allclose(law.variances, [1 + p * (scale - 1), 4 * (1 + p * (scale - 1))], rtol=1e-12)
    equal = 2 * math.log(scale) * scale / (scale - 1)  # r^2 at which the two densities are the same
    total = p * (math.exp(-equal / (2 * scale)) - math.exp(-equal / 2))
    r = np.linspace(0, 600, 2_000_001)
    q = np.exp(-(r**2) / 2)
    mixed = (1 - p) * q + p * np.exp(-(r**2) / (2 * scale)) / scale
    square = 1 - np.trapezoid(np.sqrt(mixed * q) * r, r)
    kullback = np.trapezoid(
        np.where(mixed > 0, mixed * np.log(np.maximum(mixed, 1e-300) / np.maximum(q, 1e-300)), 0) * r, r
    )
    deviations = math.sqrt(1 + p * (scale - 1)) - 1
    least, most = deviations * math.sqrt(5.0), 4 * math.sqrt(p * 49**2 * 5.0)  # by the coupling x -> 50 x
    for seed in range(2):
        ask = {"accuracy": 0.2, "rng": seed}
        tv, hellinger, distance = (distance(law, target, **ask) for distance in (rm.tv, rm.hellinger, rm.w2))
        assert tv.lower <= total <= tv.upper < 0.05
        assert hellinger.lower <= math.sqrt(square) <= hellinger.upper
        assert distance.lower == pytest.approx(least, rel=1e-9)  # of the moments alone
        assert least <= distance.upper <= most
        assert rm.kl(law, target, **ask).upper >= kullback
        assert math.isinf(rm.chi2(law, target, **ask))  # 2500 > 2


@pytest.mark.slow
def test_exact_moments_that_disprove_an_end_raise_it():
    """A bias in one part of 10^4 of a step, which shipped midpoints seldom meet."""
    target = rm.Gaussian([0.0, 0.0], [1.0, 4.0])
    estimate = rm.EstimatedScore(target, bias=lambda t: np.where((t > 1.2345) & (t < 1.2346), 3000.0, 0.0))
    plan = rm.Plan([rm.Predict(rm.schemes.randomized_midpoint, np.linspace(2, 1, 11))])
    law, q = rm.output_law(plan, estimate, start="exact"), target.at(1.0)
    gelbrich = math.sqrt(
        sum((math.sqrt(v) - math.sqrt(w)) ** 2 for v, w in zip(law.variances, q.variances, strict=True))
    )
    assert gelbrich > 12
    for seed in range(3):
        assert rm.w2(law, q, accuracy=0.2, rng=seed).upper >= gelbrich
        # a midpoint falls there with probability 10^-3 in one step
        assert rm.tv(law, q, accuracy=0.2, rng=seed).upper >= 1e-3 / 2
