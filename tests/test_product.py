"""Products of one factor: sums and coordinates against a density written out, shapes, namespaces, what is refused."""

from __future__ import annotations

import math
import subprocess
import sys

import mpmath
import numpy as np
import pytest

from rmverify import EstimatedScore, Gaussian, Plan, Predict, Product, sample, schemes
from rmverify.targets import ExponentialGaussian, LaplaceGaussian, SkewNormal, TwoGaussians, UniformGaussian

FACTORS = {
    "two": TwoGaussians(2.0, variance=0.25),
    "skew": SkewNormal(3.0, location=0.5),
    "uniform": UniformGaussian(1.0, variance=0.25),
    "laplace": LaplaceGaussian(1.0, variance=0.25),
    "exponential": ExponentialGaussian(1.0, variance=0.25),
}


@pytest.fixture(params=sorted(FACTORS))
def factor(request):
    return FACTORS[request.param]


def refused(name, *parts):
    """A ValueError that begins with the argument's name and says what was expected and what came."""
    return pytest.raises(ValueError, match=rf"^{name}: expected .*" + ".*".join(["got", *parts]))


def density(t, x, y):
    """prod_i (2/w) phi(z_i) Phi(alpha_t z_i) for shape 3, location 1/2 and scale 1: w = 1, delta_t = e^{-t} delta."""
    decay = mpmath.exp(-mpmath.mpf(t))
    delta = decay * 3 / mpmath.sqrt(10)
    alpha = delta / mpmath.sqrt(1 - delta**2)
    z = [p - decay / 2 for p in (x, y)]
    return mpmath.fprod(2 * mpmath.npdf(p) * mpmath.ncdf(alpha * p) for p in z)


@pytest.mark.parametrize("t", [0, 0.8])
def test_the_density_is_the_product_and_the_score_its_gradient(t):
    q = Product(FACTORS["skew"], 2)
    points = np.array([[0.3, -1.2], [2.0, 0.7], [-0.5, 4.0]])
    with mpmath.workdps(40):
        log = lambda x, y: mpmath.log(density(t, x, y))  # noqa: E731
        for point, height, score in zip(points.tolist(), q.log_density(t, points), q.score(t, points), strict=True):
            x, y = map(mpmath.mpf, point)
            assert abs(height - log(x, y)) <= 1e-14 * abs(log(x, y))
            for i, order in enumerate([(1, 0), (0, 1)]):
                assert abs(score[i] - mpmath.diff(log, (x, y), order)) <= 1e-14 * 10


def test_a_coordinate_has_the_factors_law(factor):
    q = Product(factor, 5)
    assert (q.dim, q.factor) == (5, factor)
    for name in ("mean", "variance", "smoothness", "strong_concavity", "is_log_concave"):
        assert getattr(q, name) == getattr(factor, name)
    assert q.path_smoothness(0.1) == factor.path_smoothness(0.1)
    assert q.at(0.3) == Product(factor.at(0.3), 5) != q
    x = np.random.default_rng(0).standard_normal((4, 5))
    np.testing.assert_array_equal(q.at(0.3).score(0.2, x), q.factor.at(0.3).score(0.2, x))
    np.testing.assert_allclose(q.log_density(0.2, x), [sum(factor.log_density(0.2, r)) for r in x], rtol=1e-14)


def test_a_product_of_gaussians_is_a_gaussian():
    q, gaussian = Product(TwoGaussians(0, 0.3), 3), Gaussian.isotropic(0.3, 3)
    x = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_allclose(q.score(0.2, x), gaussian.score(0.2, x), rtol=1e-14)
    v = 1 - 0.7 * math.exp(-0.4)
    expected = -(x**2).sum(axis=1) / (2 * v) - 3 * math.log(2 * math.pi * v) / 2
    np.testing.assert_allclose(q.log_density(0.2, x), expected, rtol=1e-14)


def test_every_namespace_gives_the_same_numbers(factor, xp):
    q = Product(factor, 3)
    values = np.random.default_rng(0).standard_normal((2, 4, 3)) * 3
    levels = np.linspace(0.1, 2, 8).reshape(2, 4, 1)
    for t in (0.3, levels):
        ours = xp.asarray(t) if isinstance(t, np.ndarray) else t
        for function in ("score", "log_density"):
            expected = getattr(q, function)(t, values)
            assert expected.shape == ((2, 4, 3) if function == "score" else (2, 4))
            result = getattr(q, function)(ours, xp.asarray(values))
            assert type(result) is type(xp.asarray(values))
            assert result.dtype == xp.float64
            # the special functions of the libraries differ by some roundings
            np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-13, atol=1e-13)
            single = getattr(q, function)(ours, xp.asarray(values.astype(np.float32)))
            assert single.dtype == xp.float32
            np.testing.assert_allclose(np.asarray(single), expected, rtol=1e-4, atol=1e-4)


def test_a_trillion_dimensions_need_no_array_of_that_length(factor):
    q = Product(factor, 10**12)
    assert q.dim == q.at(0.5).dim == 10**12
    assert q.smoothness == factor.smoothness
    assert q.path_smoothness(0.1) == factor.path_smoothness(0.1)
    with refused("dim", str(q.dim)):
        q.sample(1)


def test_draws_are_independent(factor):
    """Five standard errors; the kurtosis is at most 9, the exponential law's."""
    n = 40_000
    x = Product(factor, 3).sample(n, rng=2)
    assert x.shape == (n, 3)
    np.testing.assert_allclose(x.mean(axis=0), factor.mean, rtol=0, atol=5 * math.sqrt(factor.variance / n))
    off = np.abs(np.cov(x.T) / factor.variance - np.eye(3))
    assert (off <= 5 * np.where(np.eye(3), math.sqrt(8), 1) / math.sqrt(n)).all()
    np.testing.assert_array_equal(x, Product(factor, 3).sample(n, rng=np.random.default_rng(2)))


def test_a_product_is_a_target(factor, xp):
    """A rough plan, every backend the same numbers."""
    q = Product(factor, 3)
    plan = Plan([Predict(schemes.parallel_midpoint(strata=3, rounds=2), [1.5, 0.8, 0.3])])
    expected = sample(plan, q, 6, 3, rng=5)
    result = sample(plan, q, 6, 3, rng=5, like=xp.asarray(np.zeros(1)))
    assert type(result) is type(xp.asarray(np.zeros(1)))
    np.testing.assert_allclose(np.asarray(result), expected, rtol=0, atol=1e-11)
    assert sample(plan, q, 6, 3, rng=5, like=xp.asarray(np.zeros(1, dtype=np.float32))).dtype == xp.float32
    estimate = EstimatedScore(q, gain=-0.2, bias=[0.1, 0.2, 0.3])
    np.testing.assert_allclose(
        estimate.score(0.7, expected), 0.8 * q.score(0.7, expected) + [0.1, 0.2, 0.3], rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("bad", [0, -1, 1.5, math.nan, math.inf, "2", None, [2]], ids=repr)
def test_dimensions_that_do_not_count_are_refused(bad):
    with refused("dim"):
        Product(FACTORS["two"], bad)


@pytest.mark.parametrize(
    "bad", [Gaussian.isotropic(1.0, 1), TwoGaussians, None, 1.0], ids=["law", "class", "none", "1"]
)
def test_what_is_no_factor_is_refused(bad):
    with refused("factor", type(bad).__name__):
        Product(bad, 2)


@pytest.mark.parametrize("shape", [(3,), (4, 1), (2, 3), ()])
def test_points_of_another_dimension_are_refused(shape):
    q = Product(FACTORS["two"], 2)
    for call in (q.score, q.log_density):
        with refused("x", r"\("):
            call(1.0, np.zeros(shape))


def test_levels_and_points_that_make_no_sense_are_refused():
    q = Product(FACTORS["two"], 2)
    for call in (q.score, q.log_density):
        with refused("t", "-1.0"):
            call(-1.0, np.zeros((1, 2)))
        with refused("x", "int64"):
            call(1.0, np.zeros((1, 2), dtype=np.int64))
    for call in (q.at, q.path_smoothness):
        with refused(r"\w+", "-1.0"):
            call(-1.0)
    with pytest.raises(AttributeError):
        q.dim = 3


def test_scipy_comes_with_the_first_score():
    code = (
        "import sys\n"
        "from rmverify import Product, targets\n"
        "q = Product(targets.TwoGaussians(2.0), 3)\n"
        "q.score(0.1, q.sample(2)), q.path_smoothness(), Product(targets.LaplaceGaussian(1.0, 1.0), 3).at(1.0)\n"
        "print([m for m in ('flint', 'mpmath', 'scipy', 'sympy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
