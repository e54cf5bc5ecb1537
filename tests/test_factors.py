"""Factors: densities, scores and slopes on the line against textbook formulas at 60 digits, and their constants."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.optimize
import sympy
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf
from oracles.densities import DENSITIES, noised, normal, tail

from rmverify import EstimatedScore, Plan, Predict, output_law, sample, schemes
from rmverify.numbers.mills import excess, hazard, log_tail
from rmverify.targets import (
    ExponentialGaussian,
    Gaussian,
    LaplaceGaussian,
    SkewNormal,
    TwoGaussians,
    UniformGaussian,
)

NAN, INF = math.nan, math.inf
ACCURACY, SLOPE_ACCURACY = 1e-13, 1e-12  # what the docstring promises
RATIOS = (1e-3, 0.1, 0.5, 0.95, 1.05, 3.0, 20.0, 1e3)
LAWS = {
    "two": (TwoGaussians, [(d, v) for d, v in zip((0, 0.1, 0.9, 1, 1.5, 4, 15, 50), (1, 0.3) * 4, strict=True)]),
    "skew": (SkewNormal, [(0, 1, 2), *((a * (-1) ** i, 0.7, 0.4) for i, a in enumerate(RATIOS)), (-1e3, 0, 1)]),
    "uniform": (UniformGaussian, [(b * math.sqrt(v), v) for b, v in zip(RATIOS, (1, 0.3) * 4, strict=True)]),
    "laplace": (LaplaceGaussian, [(b * math.sqrt(v), v) for b, v in zip(RATIOS, (0.3, 1) * 4, strict=True)]),
    "exponential": (ExponentialGaussian, [(b * math.sqrt(v), v) for b, v in zip(RATIOS, (1, 0.3) * 4, strict=True)]),
}
CASES = [(name, args) for name, (_, table) in LAWS.items() for args in table]
SMALL = {"two": (1.5, 0.5), "skew": (3, 0.5, 0.8), "uniform": (1, 0.25), "laplace": (1, 0.25), "exponential": (1, 0.25)}
SYMMETRIC = ("two", "uniform", "laplace")


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(60):
        yield


@pytest.fixture(params=sorted(LAWS))
def name(request):
    return request.param


def make(name, args=None):
    return LAWS[name][0](*(SMALL[name] if args is None else args))


def refused(name, *parts):
    """A ValueError that begins with the argument's name and says what was expected and what came."""
    return pytest.raises(ValueError, match=rf"^{name}: expected .*" + ".*".join(["got", *parts]))


# ------------------------------------------------------------------- the laws as the textbooks have them


def density(name, t, args):
    return DENSITIES[name](t, *map(mpf, args))


def log_derivatives(p, x):
    """ln p, its first and its second derivative at x."""
    log = lambda y: mpmath.log(p(y))  # noqa: E731
    return log(x), mpmath.diff(log, x), mpmath.diff(log, x, 2)


def moments(name, args):
    """Mean, variance, the length of the part that is not Gaussian and the variance of the part that is."""
    if name == "skew":
        shape, location, w = map(mpf, args)
        delta = shape / mpmath.sqrt(1 + shape**2)
        return (
            location + w * delta * mpmath.sqrt(2 / mpmath.pi),
            w**2 * (1 - 2 * delta**2 / mpmath.pi),
            w * delta,
            w**2 * (1 - delta**2),
        )
    l, v = map(mpf, args)
    if name == "two":
        l *= mpmath.sqrt(v)
    ratio = {"two": 1, "uniform": mpf(1) / 3, "laplace": 2, "exponential": 1}[name]
    return l * (name == "exponential"), ratio * l**2 + v, l, v


def points(name, args):
    """40 standard deviations to either side, the bulk, and both edges of what the Gaussian smoothes."""
    mean, variance, length, noise = (float(m) for m in moments(name, args))
    sd, s = math.sqrt(variance), math.sqrt(noise)
    away = np.array([0.3, 1.0, 2.5, 7.0, 15.0, 40.0]) * sd
    edges = [e + s * z for e in (-length, length, noise / abs(length or 1)) for z in (-8.0, -1.5, 0.5, 5.0, 30.0)]
    result = np.concatenate([[0.0, mean], mean + away, mean - away, edges])
    return result[np.abs(result - mean) <= 40 * sd]


# ------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("t", [0, 0.4])
@pytest.mark.parametrize("name, args", CASES, ids=str)
def test_log_density_score_and_slope_are_the_textbook_ones(name, args, t):
    """At t > 0 the parameters are rounded too: by 4 units, which phi(u), |u| < 40, enlarges by u^2."""
    q, p, x = make(name, args), density(name, t, args), points(name, args)
    rounding = 40**2 * 4 * 2.0**-53 * (t > 0)
    steepest = mpmath.sqrt(extreme_curvatures(name, t, args)[1])
    # a slope with zeros counts beside 1/s^2; 60 digits of ln p resolve one down to 1e-45
    least = 1 / noised(moments(name, args)[3], t) if name == "two" and args[0] > 1 else mpf(10) ** -30
    found = zip(q.log_density(t, x).tolist(), q.score(t, x).tolist(), q.slope(t, x).tolist(), strict=True)
    for y, (height, score, slope) in zip(x.tolist(), found, strict=True):
        height_, score_, slope_ = log_derivatives(p, mpf(y))
        assert abs(height - height_) <= (ACCURACY + rounding) * max(1, abs(height_)), y
        assert abs(score - score_) <= (ACCURACY + rounding) * max(steepest, abs(score_)), y
        assert abs(slope - slope_) <= (SLOPE_ACCURACY + rounding) * max(least, abs(slope_)), y


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, args, x",
    [
        ("uniform", (1000.0, 0.3), 980.3),
        ("uniform", (20.0, 0.3), 1.5),
        ("laplace", (1.0, 0.3), 20.0),
        ("laplace", (1e3, 1.0), 36.0),
        ("exponential", (1.0, 0.3), 19.0),
        ("exponential", (20.0, 1.0), 36.0),
    ],
)
def test_slopes_keep_their_accuracy_down_to_the_underflow(name, args, x):
    with mpmath.workdps(380):
        expected = log_derivatives(density(name, 0, args), mpf(x))[2]
        assert 1e-300 < -expected < 1e-150
        assert abs(make(name, args).slope(0, x) - expected) <= SLOPE_ACCURACY * abs(expected)


def test_the_gaussian_tail_is_accurate():
    u = np.concatenate([np.linspace(-37, 6, 200), np.geomspace(4, 1e8, 60), [4.0, math.nextafter(4, 5)]])
    for y, h, e, log in zip(u.tolist(), hazard(u).tolist(), excess(u).tolist(), log_tail(u).tolist(), strict=True):
        rounding = 1e-14 if y > -4 else 2 * (y * y + 4) * 2.0**-53  # of u in e^{u^2/2}
        with mpmath.workdps(80):
            Q = tail(mpf(y))
            lam = normal(mpf(y), 1) / Q
            assert abs(h - lam) <= rounding * lam
            assert abs(e - (lam - y)) <= 1e-14 * (lam - y)
            log_ = mpmath.log(Q) if y > 0 else mpmath.log1p(-tail(-mpf(y)))
            assert abs(log - log_) <= rounding * abs(log_)


@pytest.mark.parametrize("name, args", CASES, ids=str)
def test_single_precision_is_that_of_nearby_arguments(name, args):
    """The result for x and a length that are off by 32 roundings, and off by 32 roundings itself."""
    q = make(name, args)
    _, _, length, noise = map(abs, moments(name, args))
    x = points(name, args).astype(np.float32)
    heights, scores, slopes = q.log_density(0, x), q.score(0, x), q.slope(0, x)
    assert heights.dtype == scores.dtype == slopes.dtype == np.float32
    assert np.isfinite(slopes).all()
    unit = 32 * 2.0**-24
    for i, y in enumerate(x.tolist()):
        with mpmath.workdps(30):
            log, score, slope = log_derivatives(density(name, 0, args), mpf(y))
            span = abs(mpf(y)) + length + mpmath.sqrt(noise)
            assert abs(heights[i] - log) <= unit * (1 + abs(log) + span * abs(score))
            assert abs(scores[i] - score) <= unit * (abs(score) + span * abs(slope) + 1 / mpmath.sqrt(noise))


# ------------------------------------------------------------------- what the textbook formulas are


def parts(name, args):
    """The density of the part that is not Gaussian, its break points, and the variance of the Gaussian part."""
    _, _, l, v = moments(name, args)
    if name == "skew":
        m = mpf(args[1])
        return lambda y: 2 * normal(y - m, l * l), [m + l * k for k in range(0, 16, 3)], v
    if name == "uniform":
        return lambda y: 1 / (2 * l), [-l, 0, l], v
    two_sided = name == "laplace"
    return lambda y: mpmath.exp(-abs(y) / l) / l / (1 + two_sided), [l * k for k in range(-36 * two_sided, 37, 3)], v


@pytest.mark.parametrize("x", [-0.6, 1.3])
@pytest.mark.parametrize("name", sorted(set(LAWS) - {"two"}))
def test_a_factor_is_a_simple_law_convolved_with_a_gaussian(name, x):
    law, breaks, v = parts(name, SMALL[name])
    with mpmath.workdps(15):
        value = mpmath.quad(lambda y: law(y) * normal(x - y, v), breaks)
        assert abs(value - density(name, 0, SMALL[name])(mpf(x))) <= 1e-11


@pytest.mark.parametrize("t, x", [(0.2, -0.9), (1.1, 0.4)])
def test_marginals_are_the_process(name, t, x):
    """X_t = e^{-t} X_0 + sqrt(1 - e^{-2t}) Z, by integrating over X_0."""
    start = density(name, 0, SMALL[name])
    with mpmath.workdps(15):
        decay, spread = mpmath.exp(-mpf(t)), 1 - mpmath.exp(-2 * mpf(t))
        center = x / decay
        value = mpmath.quad(lambda y: start(y) * normal(x - decay * y, spread), [center + k for k in range(-24, 25, 6)])
        assert abs(value - density(name, t, SMALL[name])(mpf(x))) <= 1e-11
        assert abs(value - mpmath.exp(make(name).log_density(t, x))) <= 1e-11


@pytest.mark.parametrize("t, x", [(0.15, 0.8), (0.9, -1.1)])
def test_densities_solve_the_fokker_planck_equation(name, t, x):
    """d_t q = d_x(x q) + d_xx q."""
    with mpmath.workdps(30):
        q = lambda s, y: density(name, s, SMALL[name])(y)  # noqa: E731
        in_time = mpmath.diff(lambda s: q(s, mpf(x)), mpf(t))
        in_space = mpmath.diff(lambda y: y * q(mpf(t), y), mpf(x)) + mpmath.diff(lambda y: q(mpf(t), y), mpf(x), 2)
        assert abs(in_time - in_space) <= 1e-20 * abs(in_space)


@pytest.mark.parametrize("t", [0, 0.7])
def test_moments_and_fisher_information(name, t):
    """By the trapezoidal rule, which is exact to rounding where the step is half of s: e^{-8 pi^2} is left."""
    q = make(name).at(t)
    x = np.arange(-60, 60, math.sqrt(q.noise) / 2)
    p = np.exp(q.log_density(0, x)) * (x[1] - x[0])
    s = q.score(0, x)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p @ x == pytest.approx(q.mean, abs=1e-12)
    assert p @ (x - q.mean) ** 2 == pytest.approx(q.variance, rel=1e-12)
    assert p @ s == pytest.approx(0, abs=1e-12)
    assert p @ (x * s) == pytest.approx(-1, abs=1e-12)
    assert p @ s**2 == pytest.approx(-(p @ q.slope(0, x)), rel=1e-12)


@pytest.mark.parametrize("name, args", CASES, ids=str)
def test_mean_and_variance(name, args):
    q = make(name, args)
    mean, variance, length, noise = moments(name, args)
    assert q.dim == 1
    assert abs(q.mean - mean) <= 1e-15 * (abs(mean) + abs(length))
    for value, expected in ((q.variance, variance), (q.noise, noise)):
        assert abs(value - expected) <= 2e-15 * expected


def test_parameters_are_those_given():
    q = SkewNormal(-3, location=1, scale=0.5)
    assert (q.shape, q.location) == (-3.0, 1.0)
    assert q.scale == pytest.approx(0.5, rel=1e-15)
    assert TwoGaussians(1.5).separation == 1.5
    assert UniformGaussian(1.5, 1).half_width == 1.5
    assert LaplaceGaussian(1.5, 1).scale == ExponentialGaussian(1.5, 1).scale == 1.5
    assert repr(TwoGaussians(separation=1.5, variance=2)) == "TwoGaussians(separation=1.5, variance=2)"
    assert repr(UniformGaussian(half_width=1.5, variance=2)) == "UniformGaussian(half_width=1.5, variance=2)"
    assert repr(LaplaceGaussian(scale=1.5, variance=2)) == "LaplaceGaussian(scale=1.5, variance=2)"
    assert repr(ExponentialGaussian(scale=1.5, variance=2)) == "ExponentialGaussian(scale=1.5, variance=2)"
    assert repr(q) == "SkewNormal(shape=-3, location=1, scale=0.5)"


def test_a_factor_is_a_value(name):
    q = make(name)
    assert q == make(name) == q.at(0)
    assert hash(q) == hash(make(name))
    assert q != q.at(1)
    with pytest.raises(AttributeError):
        q.noise = 2.0
    with pytest.raises(AttributeError):
        q.variance = 2.0


@given(
    kind=st.sampled_from(sorted(LAWS)),
    size=st.floats(0.01, 20),
    noise=st.floats(0.01, 20),
    t=st.floats(0, 5),
    s=st.floats(0, 5),
)
def test_marginals_compose(kind, size, noise, t, s):
    q = LAWS[kind][0](size, noise)
    once, twice = q.at(t + s), q.at(t).at(s)
    for value, expected in ((twice.mean, once.mean), (twice.variance, once.variance), (twice.noise, once.noise)):
        assert value == pytest.approx(expected, rel=1e-14)
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(q.at(t).score(s, x), q.score(t + s, x), rtol=1e-12, atol=1e-12 / once.noise)


@pytest.mark.parametrize("t", [50.0, 700.0, 1e6])
def test_the_law_at_last_is_the_standard_normal(name, t):
    """Also where e^{-t} underflows."""
    q = make(name).at(t)
    x = np.array([-30.0, -1.0, 0.0, 2.0])
    for law, level in ((q, 0), (make(name), t)):
        np.testing.assert_allclose(law.score(level, x), -x, rtol=0, atol=1e-14)
        np.testing.assert_allclose(law.slope(level, x), -1, rtol=0, atol=1e-14)
        np.testing.assert_allclose(law.log_density(level, x), -(x**2) / 2 - math.log(2 * math.pi) / 2, rtol=1e-14)
    assert q.smoothness == pytest.approx(1, rel=1e-14)


@given(
    kind=st.sampled_from(sorted(LAWS)),
    size=st.floats(1e-3, 1e3),
    noise=st.floats(1e-3, 1e3),
    x=st.floats(-40, 40),
    t=st.floats(0, 3),
)
def test_mirror_images(kind, size, noise, x, t):
    q = LAWS[kind][0](size, noise)
    if kind in SYMMETRIC:
        assert q.log_density(t, -x) == q.log_density(t, x)
        assert q.score(t, -x) == -q.score(t, x)
        assert q.slope(t, -x) == q.slope(t, x)
    if kind == "skew":
        mirror = SkewNormal(-size, -noise)
        assert mirror.log_density(t, -x) == q.log_density(t, x)
        assert mirror.score(t, -x) == -q.score(t, x)
        assert mirror.mean == -q.mean


@given(
    kind=st.sampled_from(sorted(LAWS)),
    size=st.floats(1e-3, 1e3),
    noise=st.floats(1e-3, 1e3),
    ends=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
)
def test_scores_of_log_concave_laws_fall(kind, size, noise, ends):
    """To the rounding of the score."""
    q = LAWS[kind][0](size, noise)
    x = q.mean + math.sqrt(q.variance) * np.array(sorted(ends))
    left, right = q.score(0, x)
    slack = 1e-12 * max(abs(left), abs(right), math.sqrt(q.smoothness) * (1 + size * (kind == "two")))
    assert not q.is_log_concave or right <= left + slack
    assert q.is_log_concave == (kind != "two" or size <= 1)


# ------------------------------------------------------------------- smoothness and strong concavity


def extreme_curvatures(name, t, args):
    """The infimum and the supremum of -(ln q_t)''."""
    decay = mpmath.exp(-mpf(t))
    _, _, length, noise = moments(name, args)
    l, v = decay * abs(length), noised(noise, t)
    s = mpmath.sqrt(v)
    if name == "two":
        return (1 - l**2 / v) / v, 1 / v
    if name == "skew":  # 1/w^2 and (1 + alpha^2)/w^2
        return 1 / (v + l**2), 1 / v
    if name == "uniform":
        return 2 * l * normal(l, v) / mpmath.erf(l / s / mpmath.sqrt(2)) / v, 1 / v
    if name == "laplace":  # k (lam(k) - k)/s^2
        k = s / l
        return mpf(0), k * (normal(k, 1) / tail(k) - k) / v
    return mpf(0), 1 / v


@pytest.mark.parametrize("t", [0, 0.4])
@pytest.mark.parametrize("name, args", CASES, ids=str)
def test_smoothness_and_strong_concavity_are_the_extreme_curvatures(name, args, t):
    low, high = extreme_curvatures(name, t, args)
    q = make(name, args).at(t)
    assert abs(q.smoothness - high) <= 1e-14 * high
    assert abs(q.strong_concavity - low) <= SLOPE_ACCURACY * abs(low) + (1e-14 * high if name == "two" else 1e-290)


@pytest.mark.parametrize("name, args", CASES, ids=str)
def test_no_curvature_exceeds_them_and_some_come_near(name, args):
    q = make(name, args)
    low, high = q.strong_concavity, q.smoothness
    s = math.sqrt(q.noise)
    far = np.abs(q.length) + 1e6 * s * (1 + s / abs(q.length or s))
    grid = np.linspace(-60, 60, 4001)
    x = np.concatenate([[0.0, far, -far], q.length + s * grid, s * grid, q.mean + math.sqrt(q.variance) * grid])
    curvature = -q.slope(0, q.location + x)
    rounding = 1e-14 * max(abs(low), high)
    assert low - rounding <= curvature.min() <= low + 1e-9 * max(abs(low), high)
    assert high - 1e-9 * high <= curvature.max() <= high + rounding


@pytest.mark.parametrize("early_stop", [0, 0.2, 3])
@pytest.mark.parametrize(
    "name, args",
    [
        *CASES,
        ("two", (3.0, 3.0)),  # bends most between its modes, and most of all at a later time
        ("two", (50.0, 3.0)),
        ("two", (1.5, 0.02)),
        ("two", (2.1, 4.0)),
        ("skew", (0.5, 0, 3)),
        ("uniform", (1, 5)),
        ("laplace", (1, 0.01)),
        ("exponential", (1, 5)),
    ],
    ids=str,
)
def test_path_smoothness_is_the_supremum_along_the_path(name, args, early_stop):
    def largest(t):
        with mpmath.workdps(45):  # k (lam(k) - k) cancels by k^2, which comes to 1e18 at t = 12
            return float(max(map(abs, extreme_curvatures(name, t, args))))

    levels = early_stop + np.concatenate([[0.0], np.geomspace(1e-4, 12, 60)])
    values = [largest(t) for t in levels]
    k = int(np.argmax(values))
    around = levels[max(k - 1, 0)], levels[min(k + 1, 60)]
    best = scipy.optimize.minimize_scalar(lambda t: -largest(t), bounds=around, method="bounded")
    assert make(name, args).path_smoothness(early_stop) == pytest.approx(max(1, *values, -best.fun), rel=1e-9)


def test_the_bend_between_two_modes_can_grow_along_the_path():
    """The case that a look at the early stop alone would miss."""
    q = TwoGaussians(50, 3)
    assert -q.strong_concavity < 0.9 * q.path_smoothness()


def test_the_bend_of_two_gaussians_does_not_cancel():
    """-(1 - d^2 sech^2(d x)): at d = 1 near 0 it is -tanh^2(x), and at d = 10^6 the 1 counts beside d^2 = 10^12."""
    for d, x in ((1, 1e-6), (1e6, 15e-6)):
        expected = mpf(d) ** 2 * mpmath.sech(mpf(d) * mpf(x)) ** 2 - 1
        assert abs(TwoGaussians(d).slope(0, x) - expected) <= SLOPE_ACCURACY * abs(expected)


def test_separation_one_is_the_border_of_log_concavity():
    for variance in (0.3, 1.0, 7.0):
        assert TwoGaussians(1, variance).strong_concavity == 0
        assert TwoGaussians(1, variance).is_log_concave
        assert not TwoGaussians(math.nextafter(1, 2), variance).is_log_concave


# ------------------------------------------------------------------- arrays


FUNCTIONS = ("log_density", "score", "slope")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_namespace_gives_the_same_numbers(name, function, xp):
    call = getattr(make(name), function)
    values = np.linspace(-9, 9, 24).reshape(12, 2)
    levels = np.linspace(0.1, 2, 12).reshape(12, 1)
    for t in (0, 0.3, levels):
        # the special functions of the libraries differ by some roundings
        expected = call(t, values)
        ours = xp.asarray(t) if isinstance(t, np.ndarray) else t
        result = call(ours, xp.asarray(values))
        assert type(result) is type(xp.asarray(values))
        assert result.dtype == xp.float64
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-13, atol=1e-13)
        single = call(ours, xp.asarray(values.astype(np.float32)))
        assert single.dtype == xp.float32
        np.testing.assert_allclose(np.asarray(single), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_levels_broadcast_with_points(name, function):
    call = getattr(make(name), function)
    x = np.linspace(-2, 3, 5)
    levels = np.array([0.0, 0.2, 1.5]).reshape(3, 1, 1)
    value = call(levels, x.reshape(5, 1))
    assert value.shape == (3, 5, 1)
    for r, t in enumerate(levels.ravel().tolist()):
        for i, y in enumerate(x.tolist()):
            assert value[r, i, 0] == pytest.approx(call(t, y), rel=1e-14, abs=1e-14)
    np.testing.assert_array_equal(call(np.float64(0.2), x), call(0.2, x))


def test_numbers_are_points(name):
    q = make(name)
    for x in (1, 1.0, np.float64(1)):
        assert isinstance(q.score(0.3, x), float)
        assert q.score(0.3, x) == q.score(0.3, np.array([1.0]))[0]


@pytest.mark.slow
def test_a_factor_is_a_target(name):
    """Its score drives the samplers, one level for all particles or one for each."""
    q = make(name)
    for scheme in (schemes.randomized_midpoint, schemes.parallel_midpoint(strata=3, rounds=2)):
        plan = Plan([Predict(scheme, np.geomspace(4, 0.01, 60))])
        x = sample(plan, q, 4000, 1, rng=3)
        assert x.shape == (4000, 1)
        expected = q.at(0.01)
        sd = math.sqrt(expected.variance)
        # five standard errors, and 1% for the start and the steps; no law here has a kurtosis beyond 9
        assert abs(x.mean() - expected.mean) <= sd * (5 / math.sqrt(4000) + 0.01)
        assert x.var() == pytest.approx(expected.variance, rel=5 * math.sqrt(8 / 4000) + 0.02)
    estimate = EstimatedScore(q, gain=0.5, bias=1.0)
    np.testing.assert_allclose(estimate.score(0.3, x), 1.5 * q.score(0.3, x) + 1, rtol=1e-14)
    with pytest.raises(TypeError, match=f"^target: .* got EstimatedScore of a {type(q).__name__}; use rmverify.sample"):
        output_law(plan, estimate)


def test_draws_have_the_law(name):
    """Five standard errors; the kurtosis is at most 9, the exponential law's."""
    q = make(name)
    n = 200_000
    x = q.sample(n, rng=1)
    assert x.shape == (n, 1)
    assert abs(x.mean() - q.mean) <= 5 * math.sqrt(q.variance / n)
    assert x.var() == pytest.approx(q.variance, rel=5 * math.sqrt(8 / n))
    # E (s^2 + s') = 0 for the score s of the very law that was drawn from
    identity = q.score(0, x) ** 2 + q.slope(0, x)
    assert abs(identity.mean()) <= 5 * identity.std() / math.sqrt(n)
    np.testing.assert_array_equal(q.sample(5, rng=1), q.sample(5, rng=np.random.default_rng(1)))


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("bad", [NAN, INF, "text", None, [1.0], 1j], ids=repr)
def test_parameters_that_are_no_numbers_are_refused(bad):
    for call, name in (
        (lambda: TwoGaussians(bad), "separation"),
        (lambda: TwoGaussians(1, bad), "variance"),
        (lambda: SkewNormal(bad), "shape"),
        (lambda: SkewNormal(1, bad), "location"),
        (lambda: SkewNormal(1, 0, bad), "scale"),
        (lambda: UniformGaussian(bad, 1), "half_width"),
        (lambda: UniformGaussian(1, bad), "variance"),
        (lambda: LaplaceGaussian(bad, 1), "scale"),
        (lambda: LaplaceGaussian(1, bad), "variance"),
        (lambda: ExponentialGaussian(bad, 1), "scale"),
        (lambda: ExponentialGaussian(1, bad), "variance"),
    ):
        with refused(name):
            call()


@pytest.mark.parametrize("bad", [0, -1.0])
def test_laws_without_a_gaussian_part_are_refused(bad):
    for call, name in (
        (lambda: TwoGaussians(1, bad), "variance"),
        (lambda: SkewNormal(1, scale=bad), "scale"),
        (lambda: UniformGaussian(1, bad), "variance"),
        (lambda: UniformGaussian(bad, 1), "half_width"),
        (lambda: LaplaceGaussian(1, bad), "variance"),
        (lambda: LaplaceGaussian(bad, 1), "scale"),
        (lambda: ExponentialGaussian(1, bad), "variance"),
        (lambda: ExponentialGaussian(bad, 1), "scale"),
    ):
        with refused(name, str(bad)):
            call()
    with refused("separation"):
        TwoGaussians(-1e-9)


@pytest.mark.parametrize("bad", [-1e-9, NAN, INF, "1", None, [1.0]], ids=repr)
def test_noise_levels_that_make_no_sense_are_refused(name, bad):
    with refused("t"):
        make(name).at(bad)
    with refused("early_stop"):
        make(name).path_smoothness(bad)


@pytest.mark.parametrize("shape, scale", [(1e300, 1), (1, 1e-200), (0, 1e200)])
def test_skew_normals_beyond_floats_are_refused(shape, scale):
    with refused("scale"):
        SkewNormal(shape, scale=scale)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bad", [-1.0, NAN, INF, "x", None, np.array([[0.1], [-0.1]])], ids=str)
def test_functions_refuse_noise_levels_that_make_no_sense(function, bad):
    with refused("t"):
        getattr(make("laplace"), function)(bad, np.zeros((2, 1)))


def test_points_that_are_not_real_arrays_are_refused(name, xp):
    q = make(name)
    with refused("x", "int"):
        q.score(1.0, xp.asarray(np.arange(3)))
    with refused("x", "complex"):
        q.score(1.0, xp.asarray(np.ones(3, dtype=complex)))
    for x in (sympy.Symbol("x"), [1.0, 2.0], None):
        with pytest.raises(TypeError, match="not affine.*use rmverify.sample"):
            q.score(1.0, x)


def test_a_gaussian_is_what_is_left_without_the_rest():
    """Separation 0 and shape 0, against the package's other formula for the same law."""
    x = np.linspace(-4, 4, 9).reshape(-1, 1)
    for q, gaussian in (
        (TwoGaussians(0, 0.3), Gaussian([0.0], [0.3])),
        (SkewNormal(0, 1, 0.5), Gaussian([1.0], [0.25])),
    ):
        np.testing.assert_allclose(q.score(0.2, x), gaussian.score(0.2, x), rtol=1e-14, atol=1e-14)
        assert q.smoothness == pytest.approx(gaussian.smoothness, rel=1e-14)
        assert q.strong_concavity == pytest.approx(gaussian.strong_concavity, rel=1e-14)
        assert q.path_smoothness(0.1) == pytest.approx(gaussian.path_smoothness(0.1), rel=1e-14)
