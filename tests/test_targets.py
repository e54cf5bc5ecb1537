"""Targets: what is refused, and marginals, scores, flows and errors against textbook formulas."""

from __future__ import annotations

import math
import pickle

import array_api_strict
import mpmath
import numpy as np
import pytest
import scipy.stats
import sympy
from hypothesis import given
from hypothesis import strategies as st

from rmverify import EstimatedScore, Gaussian, GaussianMixture, Value

NAN, INF = math.nan, math.inf
LEVELS = (0.0, 1e-6, 0.3, 1.0, 5.0)
SPD = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]])  # diagonally dominant enough: minors > 0
MEAN = np.array([1.0, -2.0, 0.5])
RNG = np.random.default_rng(7)
POINTS = RNG.standard_normal((6, 3)) * 2

# a Gaussian, and the mean and covariance that it stands for
LAYOUTS = {
    "dense": (Gaussian(MEAN, SPD), MEAN, SPD),
    "diagonal": (Gaussian(MEAN, [2.0, 1.0, 0.25]), MEAN, np.diag([2.0, 1.0, 0.25])),
    "isotropic": (Gaussian.isotropic(0.25, 3), np.zeros(3), 0.25 * np.eye(3)),
    "spectrum": (Gaussian.from_spectrum([4.0, 0.5], [1, 2], [1.0, -1.0]), [1.0, -1.0, -1.0], np.diag([4.0, 0.5, 0.5])),
}
WEIGHTS = np.array([0.2, 0.5, 0.3])
CENTERS = np.array([[-2.0, 0.0], [1.0, 1.5], [0.5, -3.0]])
COVARIANCES = np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.2, 0.0], [0.0, 2.0]], [[1.5, -0.9], [-0.9, 0.7]]])
MIXTURE = GaussianMixture(WEIGHTS, CENTERS, COVARIANCES)


@pytest.fixture(params=sorted(LAYOUTS))
def law(request):
    """A Gaussian with its mean and covariance."""
    gaussian, mean, covariance = LAYOUTS[request.param]
    return gaussian, np.asarray(mean, dtype=float), covariance


def marginal(mean, covariance, t):
    """X_t = e^{-t} X_0 + sqrt(1 - e^{-2t}) Z."""
    decay = math.exp(-2 * t)
    return math.exp(-t) * mean, decay * covariance + (1 - decay) * np.eye(len(mean))


def textbook_score(mean, covariance, t, x):
    m, c = marginal(mean, covariance, t)
    return -np.linalg.solve(c, (x - m).T).T


def refused(name, *parts):
    """A ValueError that begins with the argument's name and says what was expected and what came."""
    return pytest.raises(ValueError, match=rf"^{name}: expected .*" + ".*".join(["got", *parts]))


# ------------------------------------------------------------------- Gaussian: what is refused


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_gaussian_refuses_what_is_not_finite(bad):
    with refused("mean", str(bad), "index"):
        Gaussian([0.0, bad], np.eye(2))
    with refused("covariance", str(bad), "index"):
        Gaussian([0.0, 0.0], [[1.0, bad], [bad, 1.0]])
    with refused("covariance", str(bad), "index"):
        Gaussian([0.0, 0.0], [1.0, bad])
    with refused("variances", str(bad)):
        Gaussian.from_spectrum([1.0, bad], [1, 1])
    with refused("means", str(bad)):
        Gaussian.from_spectrum([1.0, 1.0], [1, 1], [0.0, bad])
    with refused("multiplicities", str(bad)):
        Gaussian.from_spectrum([1.0, 1.0], [1, bad])
    with refused("variance", str(bad)):
        Gaussian.isotropic(bad, 2)
    with refused("dim", str(bad)):
        Gaussian.isotropic(1.0, bad)
    with refused("data", str(bad)):
        Gaussian.fit([[0.0, bad], [1.0, 2.0]])


@pytest.mark.parametrize("bad", ["text", None, [1j], [[1.0], [1.0, 2.0]], [True]], ids=repr)
def test_gaussian_refuses_what_is_not_real(bad):
    with refused("mean"):
        Gaussian(bad, [1.0])
    with refused("covariance"):
        Gaussian([0.0], bad)
    with refused("variances"):
        Gaussian.from_spectrum(bad, [1])
    with refused("data"):
        Gaussian.fit(bad)


def test_gaussian_refuses_empty_input():
    for call, name in (
        (lambda: Gaussian([], np.zeros((0, 0))), "mean"),
        (lambda: Gaussian([1.0], np.zeros((0, 0))), "covariance"),
        (lambda: Gaussian.from_spectrum([], []), "variances"),
        (lambda: Gaussian.fit(np.zeros((0, 3))), "data"),
        (lambda: Gaussian.fit(np.zeros((3, 0))), "data"),
    ):
        with refused(name, "empty"):
            call()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (3, 2), (3, 3), (2, 2, 2), (1, 1)])
def test_gaussian_refuses_covariances_of_another_shape(shape):
    with refused("covariance", r"\(.*\)"):
        Gaussian([0.0, 0.0], np.ones(shape))


@pytest.mark.parametrize("shape", [(), (1, 2), (2, 1, 1)])
def test_gaussian_refuses_means_of_another_dimension(shape):
    with refused("mean", "shape"):
        Gaussian(np.zeros(shape), np.eye(2))


@given(size=st.floats(1e-9, 10), scale=st.floats(-100, 100).map(lambda e: 10.0**e))
def test_gaussian_refuses_an_asymmetric_covariance(size, scale):
    with refused("covariance", "up to"):
        Gaussian([0.0, 0.0], scale * np.array([[1.0, 0.25 + size], [0.25, 1.0]]))


@given(excess=st.floats(1e-9, 10), scale=st.floats(-100, 100).map(lambda e: 10.0**e))
def test_gaussian_refuses_a_covariance_that_is_not_positive(excess, scale):
    """[[1, c], [c, 1]] has the eigenvalue 1 - c."""
    with refused("covariance", "eigenvalue"):
        Gaussian([0.0, 0.0], scale * np.array([[1.0, 1 + excess], [1 + excess, 1.0]]))


@pytest.mark.parametrize("negative", [-1e-30, -1.0])
def test_gaussian_refuses_negative_variances(negative):
    for call, name in (
        (lambda: Gaussian([0.0, 0.0], [1.0, negative]), "covariance"),
        (lambda: Gaussian([0.0, 0.0], np.diag([1.0, negative])), "covariance"),
        (lambda: Gaussian.from_spectrum([1.0, negative], [1, 1]), "variances"),
        (lambda: Gaussian.isotropic(negative, 1), "variance"),
    ):
        with refused(name, str(negative)):
            call()


@pytest.mark.parametrize("counts", [[1, 0], [1, -1], [1, 1.5], [0.5, 1]])
def test_spectrum_refuses_multiplicities_that_do_not_count(counts):
    with refused("multiplicities"):
        Gaussian.from_spectrum([1.0, 2.0], counts)


def test_spectrum_refuses_mismatched_lengths():
    with refused("multiplicities", "3"):
        Gaussian.from_spectrum([1.0, 2.0], [1, 1, 1])
    with refused("means", "1"):
        Gaussian.from_spectrum([1.0, 2.0], [1, 1], [0.0])


@pytest.mark.parametrize("dim", [0, -1, 1.5])
def test_isotropic_refuses_a_dimension_that_does_not_count(dim):
    with refused("dim", str(dim)):
        Gaussian.isotropic(1.0, dim)


def test_fit_refuses_one_row_and_a_vector():
    with refused("data", "1"):
        Gaussian.fit([[1.0, 2.0]])
    with refused("data", "shape"):
        Gaussian.fit([1.0, 2.0])


@pytest.mark.parametrize("bad", [-1e-9, NAN, INF, "1", None, [1.0]], ids=repr)
def test_noise_levels_that_make_no_sense_are_refused(bad):
    q = Gaussian.isotropic(0.25, 2)
    for call, name in (
        (lambda: q.at(bad), "t"),
        (lambda: q.flow(bad, 0.0, np.zeros((1, 2))), "t"),
        (lambda: q.flow(1.0, bad, np.zeros((1, 2))), "h"),
        (lambda: q.path_smoothness(bad), "early_stop"),
        (lambda: EstimatedScore(q).error(bad), "t"),
    ):
        with refused(name):
            call()


@pytest.mark.parametrize("bad", [-1.0, NAN, INF, "x", None])
def test_score_refuses_noise_levels_that_make_no_sense(bad):
    with pytest.raises(ValueError, match="^t: "):
        Gaussian.isotropic(0.25, 2).score(bad, np.zeros((1, 2)))


def test_flow_refuses_to_go_below_zero():
    with refused("h", "1.0"):
        Gaussian.isotropic(0.25, 2).flow(0.5, 1.0, np.zeros((1, 2)))


@pytest.mark.parametrize("shape", [(3,), (4, 1), (2, 3), ()])
def test_points_of_another_dimension_are_refused(shape):
    q = Gaussian.isotropic(0.25, 2)
    for call in (lambda x: q.score(1.0, x), lambda x: q.flow(1.0, 0.5, x), lambda x: EstimatedScore(q).score(1.0, x)):
        with refused("x", r"\("):
            call(np.zeros(shape))


# ------------------------------------------------------------------- Gaussian: the law


def test_mean_and_covariance_are_those_given(law):
    q, mean, covariance = law
    assert q.dim == 3
    np.testing.assert_allclose(q.mean, mean, rtol=0, atol=1e-14 * 3)
    np.testing.assert_allclose(q.covariance, covariance, rtol=0, atol=1e-14 * 3)


@pytest.mark.parametrize("t", LEVELS)
def test_marginals_are_those_of_the_process(law, t):
    q, mean, covariance = law
    m, c = marginal(mean, covariance, t)
    np.testing.assert_allclose(q.at(t).mean, m, rtol=0, atol=1e-13)
    np.testing.assert_allclose(q.at(t).covariance, c, rtol=0, atol=1e-13)


@given(t=st.floats(0, 5), s=st.floats(0, 5))
def test_marginals_compose(t, s):
    q = LAYOUTS["dense"][0]
    np.testing.assert_allclose(q.at(t).at(s).covariance, q.at(t + s).covariance, rtol=0, atol=1e-13)
    np.testing.assert_allclose(q.at(t).at(s).mean, q.at(t + s).mean, rtol=0, atol=1e-13)


def test_the_laws_do_not_follow_the_callers_arrays(law):
    mean, covariance = np.array([1.0, 2.0]), np.array([[1.0, 0.2], [0.2, 1.0]])
    q = Gaussian(mean, covariance)
    before = q.mean, q.covariance
    mean[:], covariance[:] = 7.0, 7.0
    np.testing.assert_array_equal(q.mean, before[0])
    np.testing.assert_array_equal(q.covariance, before[1])
    for array in (law[0].variances, law[0].means, law[0].multiplicities):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_smoothness_and_concavity_are_the_extreme_curvatures(law):
    q, _, covariance = law
    eigenvalues = np.linalg.eigvalsh(np.linalg.inv(covariance))
    assert q.smoothness == pytest.approx(eigenvalues[-1], rel=1e-12)
    assert q.strong_concavity == pytest.approx(eigenvalues[0], rel=1e-12)


@pytest.mark.parametrize("variances", [[0.25, 4.0], [2.0, 3.0], [1.0], [0.0, 1.0], [0.9, 1.1]])
@pytest.mark.parametrize("early_stop", [0.0, 1e-3, 2.0])
def test_path_smoothness_is_the_supremum_along_the_path(variances, early_stop):
    """sup over t >= early_stop of 1/min v(t): approached at early_stop, or at infinity where v -> 1."""
    q = Gaussian.from_spectrum(variances, [1] * len(variances))
    levels = [early_stop, *np.geomspace(early_stop + 1e-6, 40, 200)]
    least = min(math.exp(-2 * t) * v + (1 - math.exp(-2 * t)) for t in levels for v in variances)
    # the grid ends at t = 40, where v(t) = 1 to rounding
    assert q.path_smoothness(early_stop) == (INF if least == 0 else pytest.approx(1 / least, rel=1e-12))


def test_a_trillion_dimensions_need_no_array_of_that_length():
    q = Gaussian.from_spectrum([0.25, 4.0], [10**12, 3], [0.5, -1.0])
    p = q.at(1.0)
    assert q.dim == 10**12 + 3
    assert (q.smoothness, q.strong_concavity, q.path_smoothness()) == (4.0, 0.25, 4.0)
    np.testing.assert_allclose(p.means, [0.5 / math.e, -1 / math.e], rtol=1e-14)
    np.testing.assert_allclose(p.variances, [1 - 0.75 * math.exp(-2), 1 + 3 * math.exp(-2)], rtol=1e-14)
    # sqrt(gain^2 sum_i 1/v_i + d b^2)
    expected = math.sqrt(0.25 * (1e12 / p.variances[0] + 3 / p.variances[1]) + (1e12 + 3) * 0.01)
    assert EstimatedScore(q, gain=0.5, bias=0.1).error(1.0) == pytest.approx(expected, rel=1e-13)
    for call in (lambda: q.mean, lambda: q.covariance, lambda: q.sample(1)):
        with pytest.raises(ValueError, match=str(q.dim)):
            call()


def test_counts_beyond_floating_point_are_added_exactly():
    assert Gaussian.from_spectrum([1.0, 2.0], [2**53, 1]).dim == 2**53 + 1


def test_fit_is_the_empirical_mean_and_covariance():
    rows = RNG.standard_normal((50, 4)) @ RNG.standard_normal((4, 4)) + 3
    q = Gaussian.fit(rows)
    mean = sum(rows) / 50
    np.testing.assert_allclose(q.mean, mean, rtol=1e-13)
    covariance = sum(np.outer(r - mean, r - mean) for r in rows) / 50
    np.testing.assert_allclose(q.covariance, covariance, rtol=0, atol=1e-13 * np.abs(covariance).max())


# ------------------------------------------------------------------- Gaussian: degenerate laws


def test_low_rank_covariances_are_singular_laws():
    factor = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [-1.0, 1.0]])
    q = Gaussian(np.zeros(4), factor @ factor.T)
    assert np.count_nonzero(q.variances) == 2
    assert (q.smoothness, q.path_smoothness()) == (INF, INF)
    np.testing.assert_allclose(q.covariance, factor @ factor.T, rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        q.score(0.3, POINTS[:, [0, 1, 2, 0]]),
        textbook_score(np.zeros(4), factor @ factor.T, 0.3, POINTS[:, [0, 1, 2, 0]]),
        rtol=0,
        atol=1e-11,
    )


def test_fit_on_fewer_rows_than_dimensions_is_a_singular_law():
    q = Gaussian.fit(RNG.standard_normal((3, 5)))
    assert np.count_nonzero(q.variances) == 2
    assert q.smoothness == INF


def test_a_point_mass_is_a_law():
    q = Gaussian([1.0, -1.0], [0.0, 0.0])
    assert (q.smoothness, q.strong_concavity) == (INF, INF)
    np.testing.assert_array_equal(q.sample(3, rng=0), [[1.0, -1.0]] * 3)
    # v(t) = 1 - e^{-2t}: nothing is lost at small t
    for t in (1e-12, 1e-3, 2.0):
        x = np.array([[0.5, 0.5]])
        with mpmath.workdps(50):
            v = 1 - mpmath.exp(-2 * mpmath.mpf(t))
            expected = [-(mpmath.mpf(0.5) - m * mpmath.exp(-mpmath.mpf(t))) / v for m in (1, -1)]
            assert all(abs(g - e) <= 1e-13 * abs(e) for g, e in zip(q.score(t, x)[0].tolist(), expected, strict=True))


@pytest.mark.parametrize(
    "zero", [0, 0.0, np.float64(0), np.float32(0), np.zeros((3, 1)), np.array([[1.0], [0.0], [1.0]])]
)
def test_the_score_of_a_singular_law_at_zero_is_refused(zero):
    q = Gaussian([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="^t: expected t > 0 .*singular"):
        q.score(zero, np.ones((3, 2)))


def test_the_flow_reaches_a_singular_law():
    q = Gaussian([1.0, 1.0], [4.0, 0.0])
    x = np.array([[3.0, 3.0]])
    t = 0.5
    m, slope = math.exp(-t), math.sqrt(4 / (1 + 3 * math.exp(-2 * t)))
    np.testing.assert_allclose(q.flow(t, t, x), [[1 + slope * (3 - m), 1.0]], rtol=1e-14)


@pytest.mark.parametrize("lam", [1e-300, 1e-12, 1e12, 1e300])
def test_extreme_variances_keep_their_accuracy(lam):
    q = Gaussian.isotropic(lam, 1)
    for t in (1e-9, 0.5, 3.0):
        with mpmath.workdps(60):
            t_ = mpmath.mpf(t)
            v = mpmath.exp(-2 * t_) * mpmath.mpf(lam) + 1 - mpmath.exp(-2 * t_)
            assert abs(q.at(t).variances[0] - v) <= 1e-13 * v
            assert abs(float(q.score(t, np.ones((1, 1)))[0, 0]) + 1 / v) <= 1e-13 / v


# ------------------------------------------------------------------- Gaussian: the score


@pytest.mark.parametrize("t", LEVELS)
def test_score_is_the_textbook_score(law, t):
    q, mean, covariance = law
    expected = textbook_score(mean, covariance, t, POINTS)
    np.testing.assert_allclose(q.score(t, POINTS), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("t", [0, sympy.Rational(1, 3), 2])
def test_score_is_the_gradient_of_the_log_density(t):
    """The density is written in symbols and differentiated by sympy."""
    mean, covariance = sympy.Matrix([1, -2]), sympy.Matrix([[2, sympy.Rational(1, 2)], [sympy.Rational(1, 2), 1]])
    x = sympy.Matrix(sympy.symbols("x y"))
    c = sympy.exp(-2 * t) * covariance + (1 - sympy.exp(-2 * t)) * sympy.eye(2)
    off = x - sympy.exp(-t) * mean
    log_density = -(off.T * c.inv() * off)[0] / 2
    gradient = [sympy.diff(log_density, z) for z in x]
    at = {x[0]: sympy.Rational(3, 7), x[1]: -4}
    expected = [float(g.subs(at).evalf(30)) for g in gradient]
    q = Gaussian([1.0, -2.0], [[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(q.score(float(t), np.array([3 / 7, -4.0])), expected, rtol=1e-13)


def test_score_in_every_namespace(law, xp):
    q, mean, covariance = law
    x = xp.asarray(POINTS)
    value = q.score(0.4, x)
    assert type(value) is type(x)
    assert value.dtype == x.dtype
    np.testing.assert_allclose(np.asarray(value), textbook_score(mean, covariance, 0.4, POINTS), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(np.asarray(x), POINTS)


def test_flow_in_every_namespace(law, xp):
    q, mean, covariance = law
    x = xp.asarray(POINTS)
    value = q.flow(0.9, 0.4, x)
    assert type(value) is type(x)
    assert value.dtype == x.dtype
    np.testing.assert_allclose(np.asarray(value), textbook_flow(mean, covariance, 0.9, 0.4, POINTS), rtol=0, atol=1e-12)


def test_single_precision_in_single_precision_out(law, xp):
    q, mean, covariance = law
    x = xp.asarray(POINTS.astype(np.float32))
    t = xp.asarray(np.full((6, 1), 0.4, dtype=np.float32))
    expected = textbook_score(mean, covariance, float(np.float32(0.4)), POINTS.astype(np.float32).astype(float))
    for level in (0.4, t):
        value = q.score(level, x)
        assert value.dtype == xp.float32
        # float32 rounding, magnified by the condition of the covariance at t = 0.4 (below 10) and sums of 3
        np.testing.assert_allclose(np.asarray(value), expected, rtol=0, atol=300 * 2.0**-24 * np.abs(expected).max())
    assert q.flow(0.4, 0.1, x).dtype == xp.float32


def test_score_with_a_level_per_particle_and_stratum(law, xp):
    q, mean, covariance = law
    levels = np.array([[0.1, 0.2, 0.3], [0.5, 1.0, 2.0]]).reshape(2, 3, 1)
    points = RNG.standard_normal((2, 3, 3))
    value = q.score(xp.asarray(levels), xp.asarray(points))
    assert value.shape == (2, 3, 3)
    for r in range(2):
        for i in range(3):
            expected = textbook_score(mean, covariance, levels[r, i, 0], points[r, i : i + 1])
            np.testing.assert_allclose(np.asarray(value)[r, i : i + 1], expected, rtol=0, atol=1e-12)


def test_score_of_one_point_and_of_none(law):
    q, mean, covariance = law
    np.testing.assert_allclose(
        q.score(0.4, POINTS[0]), textbook_score(mean, covariance, 0.4, POINTS[:1])[0], atol=1e-12
    )
    assert q.score(0.4, np.zeros((0, 3))).shape == (0, 3)


def test_integer_points_are_not_rounded_into():
    """Whole coordinates are the same points, whatever their dtype; a refusal is as good."""
    q = Gaussian.isotropic(0.25, 2)
    whole, real = np.array([[1, 2]]), np.array([[1.0, 2.0]])
    for call in (lambda x: q.score(0.5, x), lambda x: q.flow(0.5, 0.2, x)):
        try:
            value = call(whole)
        except (TypeError, ValueError):
            continue
        np.testing.assert_allclose(value, call(real), rtol=1e-14)


# ------------------------------------------------------------------- Gaussian: the flow


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


def textbook_flow(mean, covariance, t, h, x):
    """m(t-h) + C(t-h)^{1/2} C(t)^{-1/2} (x - m(t)); the two commute."""
    m, c = marginal(mean, covariance, t)
    m_next, c_next = marginal(mean, covariance, t - h)
    return m_next + (x - m) @ np.linalg.inv(root(c)) @ root(c_next)


@pytest.mark.parametrize("t, h", [(0.5, 0.0), (0.5, 0.2), (0.5, 0.5), (3.0, 2.9), (1e-3, 5e-4)])
def test_flow_is_the_textbook_flow(law, t, h):
    q, mean, covariance = law
    np.testing.assert_allclose(q.flow(t, h, POINTS), textbook_flow(mean, covariance, t, h, POINTS), rtol=0, atol=1e-12)


@given(t=st.floats(0.1, 3), first=st.floats(0, 1), second=st.floats(0, 1), name=st.sampled_from(sorted(LAYOUTS)))
def test_flow_is_a_semigroup(t, first, second, name):
    q = LAYOUTS[name][0]
    h_1 = first * t
    h_2 = second * (t - h_1)
    twice = q.flow(t - h_1, h_2, q.flow(t, h_1, POINTS))
    # h_1 + h_2 and t - h_1 are rounded; the path moves by at most 1/v_min = 1/0.1 times that, and more
    h = min(h_1 + h_2, t)
    np.testing.assert_allclose(twice, q.flow(t, h, POINTS), rtol=0, atol=1e-11)


@given(t=st.floats(0.1, 3), fraction=st.floats(0, 1), name=st.sampled_from(sorted(LAYOUTS)))
def test_flow_pushes_each_marginal_to_the_next(t, fraction, name):
    """An affine map x -> A x + b sends N(m, C) to N(A m + b, A C A^T)."""
    q, mean, covariance = LAYOUTS[name]
    h = fraction * t
    m, c = marginal(np.asarray(mean), covariance, t)
    m_next, c_next = marginal(np.asarray(mean), covariance, t - h)
    b = q.flow(t, h, np.zeros((1, 3)))[0]
    a = (q.flow(t, h, np.eye(3)) - b).T
    np.testing.assert_allclose(a @ m + b, m_next, rtol=0, atol=1e-12)
    np.testing.assert_allclose(a @ c @ a.T, c_next, rtol=0, atol=1e-12)


def test_flow_solves_the_reverse_equation(law):
    """The central difference in h is off by h^2/6 times the third derivative, here below 1e-3 |x| / v^3 <= 10."""
    q, mean, covariance = law
    t, h = 0.8, 1e-5
    slope = (q.flow(t, 0.3 + h, POINTS) - q.flow(t, 0.3 - h, POINTS)) / (2 * h)
    y = textbook_flow(mean, covariance, t, 0.3, POINTS)
    np.testing.assert_allclose(slope, y + textbook_score(mean, covariance, t - 0.3, y), rtol=0, atol=1e-7)


# ------------------------------------------------------------------- draws


def assert_moments(rows, mean, covariance, tests):
    """n (m - mean)^T C^{-1} (m - mean) is chi^2_d; each variance times (n-1)/C_ii is chi^2_{n-1}."""
    n, d = rows.shape
    level = 1e-6 / tests
    off = rows.mean(axis=0) - mean
    assert n * off @ np.linalg.solve(covariance, off) < scipy.stats.chi2.isf(level, d)
    whitened = (rows - rows.mean(axis=0)) @ np.linalg.inv(root(covariance))
    for statistic in (whitened**2).sum(axis=0):
        assert scipy.stats.chi2.isf(1 - level, n - 1) < statistic < scipy.stats.chi2.isf(level, n - 1)
    for i in range(d):
        for j in range(i):  # (a + b)/sqrt(2) of two independent normals is normal again
            statistic = ((whitened[:, i] + whitened[:, j]) ** 2).sum() / 2
            assert scipy.stats.chi2.isf(1 - level, n - 1) < statistic < scipy.stats.chi2.isf(level, n - 1)


def test_draws_have_the_moments(law):
    q, mean, covariance = law
    assert_moments(q.sample(20_000, rng=3), mean, covariance, tests=40)


def test_draws_follow_numpys_conventions_for_generators():
    q = LAYOUTS["dense"][0]
    np.testing.assert_array_equal(q.sample(4, rng=5), q.sample(4, rng=np.random.default_rng(5)))
    assert not np.array_equal(q.sample(4), q.sample(4))
    generator = np.random.default_rng(5)
    assert not np.array_equal(q.sample(4, rng=generator), q.sample(4, rng=generator))
    np.testing.assert_array_equal(MIXTURE.sample(9, rng=5), MIXTURE.sample(9, rng=np.random.default_rng(5)))


def test_draws_of_a_mixture_fall_into_cells_as_often_as_they_should():
    """In one dimension: 20 cells of probabilities sum_j w_j (Phi - Phi), a chi^2 with 19 degrees of freedom."""
    weights, centers, variances = [0.2, 0.5, 0.3], [-2.0, 0.0, 3.0], [0.25, 1.0, 4.0]
    q = GaussianMixture(weights, [[m] for m in centers], [[v] for v in variances])
    n = 20_000
    rows = q.sample(n, rng=11)
    assert rows.shape == (n, 1)
    edges = np.linspace(-4, 6, 19)
    cdf = sum(
        w * scipy.stats.norm.cdf(edges, m, math.sqrt(v)) for w, m, v in zip(weights, centers, variances, strict=True)
    )
    probabilities = np.diff([0.0, *cdf, 1.0])
    counts = np.bincount(np.searchsorted(edges, rows[:, 0]), minlength=20)
    statistic = ((counts - n * probabilities) ** 2 / (n * probabilities)).sum()
    assert statistic < scipy.stats.chi2.isf(1e-6, 19)
    # the rows come in no order: the first half has the same law
    half = np.bincount(np.searchsorted(edges, rows[: n // 2, 0]), minlength=20)
    assert ((half - n / 2 * probabilities) ** 2 / (n / 2 * probabilities)).sum() < scipy.stats.chi2.isf(1e-6, 19)


# ------------------------------------------------------------------- mixtures


@pytest.mark.parametrize("weights", [[0.5, 0.6], [0.5, 0.5 - 1e-6], [1.5, -0.5], [0.0, 0.0]])
def test_mixture_refuses_weights_that_are_no_probabilities(weights):
    with refused("weights"):
        GaussianMixture(weights, [[0.0], [1.0]], [[1.0], [1.0]])


def test_mixture_refuses_what_is_not_finite_or_empty():
    good = ([1.0], [[0.0]], [[1.0]])
    for k, (name, bad) in enumerate([("weights", [NAN]), ("means", [[INF]]), ("covariances", [[NAN]])]):
        for value in (bad, [], "text", None):
            arguments = list(good)
            arguments[k] = value
            with pytest.raises(ValueError, match=f"^{name}: expected .*got"):
                GaussianMixture(*arguments)


@pytest.mark.parametrize(
    "means, covariances",
    [
        ([[0.0]], [[1.0], [1.0]]),
        ([[0.0], [1.0]], [[1.0]]),
        ([[0.0], [1.0]], [[1.0, 2.0], [1.0, 2.0]]),
        ([0.0, 1.0], [[1.0], [1.0]]),
        ([[0.0], [1.0]], [1.0, 1.0]),
        ([[0.0], [1.0]], 1.0),
        ([[0.0], [1.0]], [[-1.0], [1.0]]),
        ([[0.0, 0.0], [1.0, 1.0]], [[[1.0, 2.0], [2.0, 1.0]], np.eye(2)]),
        ([[0.0, 0.0], [1.0, 1.0]], [[[1.0, 2.0], [0.0, 1.0]], np.eye(2)]),
    ],
)
def test_mixture_refuses_components_that_make_no_sense(means, covariances):
    with pytest.raises(ValueError, match=r"(mean|covariance).*got|expected as many means and covariances.*got"):
        GaussianMixture([0.5, 0.5], means, covariances)


def test_mixture_moments_are_the_textbook_ones():
    mean = WEIGHTS @ CENTERS
    second = sum(w * (c + np.outer(m, m)) for w, m, c in zip(WEIGHTS, CENTERS, COVARIANCES, strict=True))
    assert MIXTURE.dim == 2
    np.testing.assert_allclose(MIXTURE.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(MIXTURE.covariance, second - np.outer(mean, mean), rtol=0, atol=1e-13)
    for t in (0.1, 2.0):
        m, c = marginal(mean, second - np.outer(mean, mean), t)
        np.testing.assert_allclose(MIXTURE.at(t).mean, m, rtol=0, atol=1e-13)
        np.testing.assert_allclose(MIXTURE.at(t).covariance, c, rtol=0, atol=1e-13)


def gradient_of_the_log_of_the_sum(t, point, digits=60):
    """d/dx ln sum_j w_j exp(-q_j(x)/2)/sqrt(det C_j) at `digits`, every term written out (it may underflow doubles)."""
    with mpmath.workdps(digits):
        decay = mpmath.exp(-2 * mpmath.mpf(t))
        height, slope = mpmath.mpf(0), [mpmath.mpf(0), mpmath.mpf(0)]
        x = [mpmath.mpf(float(z)) for z in point]
        for w, m, c in zip(WEIGHTS, CENTERS, COVARIANCES, strict=True):
            (a, b), (_, d) = [[decay * mpmath.mpf(float(z)) for z in row] for row in c]
            a, d = a + 1 - decay, d + 1 - decay
            det = a * d - b * b
            off = [z - mpmath.sqrt(decay) * mpmath.mpf(float(k)) for z, k in zip(x, m, strict=True)]
            s = [-(d * off[0] - b * off[1]) / det, -(a * off[1] - b * off[0]) / det]
            term = mpmath.mpf(float(w)) / mpmath.sqrt(det) * mpmath.exp((off[0] * s[0] + off[1] * s[1]) / 2)
            height += term
            slope = [total + term * part for total, part in zip(slope, s, strict=True)]
        return [float(total / height) for total in slope]


SPREAD = [[0.0, 0.0], [0.7, -1.2], [-2.0, 0.1], [30.0, -5.0], [1e4, 3e3], [-1e4, 1e4], [0.0, -1e4]]


@pytest.mark.parametrize("t", [0.0, 1e-3, 0.4, 3.0])
def test_mixture_score_is_the_gradient_of_the_log_of_the_sum(t, xp):
    points = np.array(SPREAD)
    value = MIXTURE.score(t, xp.asarray(points))
    expected = np.array([gradient_of_the_log_of_the_sum(t, p) for p in points])
    # the posterior weights feel the exponents' rounding: 1e-12 relative to the largest entry of each score
    scale = np.maximum(1.0, np.abs(expected).max(axis=1, keepdims=True))
    assert (np.abs(np.asarray(value) - expected) <= 1e-12 * scale).all()


def test_mixture_score_of_strata_in_single_precision(xp):
    levels = np.array([[0.1, 0.2], [0.5, 2.0]], dtype=np.float32).reshape(2, 2, 1)
    points = RNG.standard_normal((2, 2, 2)).astype(np.float32)
    value = MIXTURE.score(xp.asarray(levels), xp.asarray(points))
    assert value.dtype == xp.float32
    for r in range(2):
        for i in range(2):
            expected = gradient_of_the_log_of_the_sum(float(levels[r, i, 0]), points[r, i])
            np.testing.assert_allclose(np.asarray(value)[r, i], expected, rtol=0, atol=1e-3)


def test_mixture_with_an_empty_component_is_the_rest():
    q = GaussianMixture([1.0, 0.0], [[0.5], [9.0]], [[2.0], [1.0]])
    x = np.array([[0.0], [9.0], [-1e4]])
    np.testing.assert_allclose(q.score(0.3, x), textbook_score(np.array([0.5]), np.array([[2.0]]), 0.3, x), rtol=1e-13)
    assert np.abs(q.sample(1000, rng=1) - 0.5).max() < 9


def test_mixture_of_one_is_the_gaussian():
    q = GaussianMixture([1.0], [MEAN], [SPD])
    np.testing.assert_allclose(q.score(0.3, POINTS), textbook_score(MEAN, SPD, 0.3, POINTS), rtol=0, atol=1e-12)


def test_mixture_score_refuses_singular_components_at_zero_and_other_states():
    q = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [[0.0], [1.0]])
    with pytest.raises(ValueError, match="^t: .*singular"):
        q.score(0.0, np.zeros((1, 1)))
    assert np.isfinite(q.score(1e-6, np.array([[0.0], [1.0], [1e4]]))).all()
    with pytest.raises(TypeError, match="not affine.*use rmverify.sample"):
        q.score(1.0, sympy.Symbol("x"))
    with refused("x"):
        q.score(1.0, np.zeros((1, 2)))


# ------------------------------------------------------------------- estimated scores


@pytest.mark.parametrize("gain, bias", [(NAN, None), (INF, None), ("x", None), ([1.0], None)])
def test_estimate_refuses_a_gain_that_is_no_number(gain, bias):
    with refused("gain"):
        EstimatedScore(LAYOUTS["dense"][0], gain=gain, bias=bias)


@pytest.mark.parametrize("bias", [[NAN, 0.0, 0.0], [1.0, 2.0], [[1.0, 2.0, 3.0]], [], "text"], ids=repr)
def test_estimate_refuses_a_bias_that_makes_no_sense(bias):
    with refused("bias"):
        EstimatedScore(LAYOUTS["dense"][0], bias=bias)


@pytest.mark.parametrize("target", [None, 1.0, "gaussian", np.eye(2)], ids=["none", "number", "name", "matrix"])
def test_estimate_refuses_what_is_no_target(target):
    with refused("target", type(target).__name__):
        EstimatedScore(target)


def test_estimate_refuses_an_exact_error_without_a_gaussian():
    with pytest.raises(TypeError, match="need a Gaussian, got GaussianMixture"):
        EstimatedScore(MIXTURE, gain=0.1).error(1.0)


@pytest.mark.parametrize("bias", [None, 0.3, [0.3], [0.1, -0.2, 0.4]], ids=repr)
def test_estimated_score_is_gain_and_bias(law, bias, xp):
    q, mean, covariance = law
    estimate = EstimatedScore(q, gain=-0.2, bias=bias)
    value = estimate.score(0.7, xp.asarray(POINTS))
    expected = 0.8 * textbook_score(mean, covariance, 0.7, POINTS) + (0 if bias is None else np.asarray(bias))
    np.testing.assert_allclose(np.asarray(value), expected, rtol=0, atol=1e-12)
    assert estimate.dim == 3
    assert estimate.score(0.7, xp.asarray(POINTS.astype(np.float32))).dtype == xp.float32


def test_a_bias_that_moves_with_the_level(xp):
    """A level per particle: the bias follows each, also on the axis of strata."""
    q, mean, covariance = LAYOUTS["diagonal"]
    estimate = EstimatedScore(q, bias=lambda t: 2 * t)
    levels = np.array([[0.1, 0.2], [0.5, 1.0]]).reshape(2, 2, 1)
    points = RNG.standard_normal((2, 2, 3))
    value = np.asarray(estimate.score(xp.asarray(levels), xp.asarray(points)))
    for r in range(2):
        for i in range(2):
            t = levels[r, i, 0]
            expected = textbook_score(np.asarray(mean), covariance, t, points[r, i : i + 1])[0] + 2 * t
            np.testing.assert_allclose(value[r, i], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("module", [np, array_api_strict])
def test_a_bias_by_numpys_functions_keeps_single_precision(module):
    """np.sin of a Python number is a NumPy float64, which must not decide the dtype."""
    estimate = EstimatedScore(Gaussian.isotropic(0.25, 2), bias=lambda t: np.sin(t))
    x = module.asarray(np.ones((4, 2), dtype=np.float32))
    assert estimate.score(1.0, x).dtype == module.float32


def test_a_bias_per_block_is_shared_by_its_coordinates():
    """A spectrum's own vectors have one value per block; the error takes them, so must the score."""
    estimate = EstimatedScore(Gaussian.from_spectrum([0.25, 4.0], [2, 3]), bias=[1.0, -1.0])
    assert estimate.error(1.0) == pytest.approx(math.sqrt(5), rel=1e-14)
    np.testing.assert_allclose(estimate.score(1.0, np.zeros((1, 5))), [[1.0, 1.0, -1.0, -1.0, -1.0]], rtol=1e-14)


@pytest.mark.parametrize("gain", [0.0, 0.3, -1.0])
@pytest.mark.parametrize("bias", [None, 0.3], ids=repr)
@pytest.mark.parametrize("t", [0.0, 0.2, 3.0])
def test_error_is_the_trace_formula(law, gain, bias, t):
    """E|gain s + b|^2 = gain^2 tr C_t^{-1} + |b|^2, since E s = 0."""
    q, mean, covariance = law
    _, c = marginal(mean, covariance, t)
    b = np.broadcast_to(0.0 if bias is None else np.asarray(bias), (3,))
    expected = math.sqrt(gain**2 * np.trace(np.linalg.inv(c)) + b @ b)
    value = EstimatedScore(q, gain=gain, bias=bias).error(t)
    assert isinstance(value, Value)
    assert value.kind == "exact"
    assert value == pytest.approx(expected, rel=1e-12)


def test_error_with_one_bias_per_coordinate(law):
    """Only |b|^2 enters, so it does not matter which coordinates have the same variance."""
    q, mean, covariance = law
    _, c = marginal(mean, covariance, 0.2)
    expected = math.sqrt(0.09 * np.trace(np.linalg.inv(c)) + 0.1**2 + 0.2**2 + 0.2**2)
    assert EstimatedScore(q, gain=0.3, bias=[0.1, -0.2, -0.2]).error(0.2) == pytest.approx(expected, rel=1e-12)


def test_error_in_one_dimension_is_the_integral():
    lam, mean, t, gain = 0.3, 1.2, 0.6, 0.4
    estimate = EstimatedScore(Gaussian([mean], [lam]), gain=gain, bias=lambda t: np.sin(5 * t))
    with mpmath.workdps(30):
        m = mpmath.exp(-mpmath.mpf(t)) * mpmath.mpf(mean)
        v = 1 + (mpmath.mpf(lam) - 1) * mpmath.exp(-2 * mpmath.mpf(t))
        b = mpmath.sin(5 * mpmath.mpf(t))
        density = lambda x: mpmath.exp(-((x - m) ** 2) / (2 * v)) / mpmath.sqrt(2 * mpmath.pi * v)  # noqa: E731
        square = mpmath.quad(
            lambda x: (-mpmath.mpf(gain) * (x - m) / v + b) ** 2 * density(x), [m - 15, m - 4, m, m + 4, m + 15]
        )
        value = estimate.error(t)
        assert abs(value - mpmath.sqrt(square)) <= 1e-13 * mpmath.sqrt(square)


def test_error_of_a_singular_law_at_zero_is_infinite_only_with_a_gain():
    q = Gaussian([0.0, 0.0], [1.0, 0.0])
    assert EstimatedScore(q, gain=0.1).error(0.0) == INF
    assert EstimatedScore(q, bias=0.5).error(0.0) == pytest.approx(math.sqrt(0.5), rel=1e-14)


def test_the_marginals_of_an_estimate_are_the_true_ones():
    q, mean, covariance = LAYOUTS["dense"]
    np.testing.assert_allclose(
        EstimatedScore(q, gain=0.5, bias=1.0).at(0.3).covariance, marginal(mean, covariance, 0.3)[1], rtol=0, atol=1e-13
    )


def test_an_estimate_of_a_mixture_is_gain_and_bias():
    value = EstimatedScore(MIXTURE, gain=0.5, bias=[1.0, -1.0]).score(0.4, np.array(SPREAD))
    expected = [gradient_of_the_log_of_the_sum(0.4, p) for p in SPREAD]
    np.testing.assert_allclose(value, 1.5 * np.array(expected) + [1.0, -1.0], rtol=1e-11, atol=1e-11)


def test_an_estimated_score_is_pickled_after_its_laws_were_asked_for():
    estimate = EstimatedScore(Gaussian.isotropic(0.5, 3), gain=0.1, bias=np.cos)
    assert estimate.modes is estimate.modes
    again = pickle.loads(pickle.dumps(estimate))
    assert again.error(0.7) == estimate.error(0.7)
    assert again.modes.bias(0.7) == estimate.modes.bias(0.7)
