"""Underdamped Langevin in continuous time: against matrix exponentials with 50 digits, quadrature, another expansion,
and plain simulation."""

from __future__ import annotations

import functools
import itertools
import math

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from oracles import kinetic, textbook
from scipy import stats

import rmverify as rm
from rmverify.laws.langevin.linear import kinetic_flow, start_noise
from rmverify.laws.langevin.smooth import kinetic_law
from rmverify.readings.affine import compose

# --- linear forces: the flow --------------------------------------------------------------------------------------

SETTINGS = [
    (k, g, T, 1.0)
    for T, g in itertools.product((1e-8, 1e-4, 0.3, 1.0, 10.0), (1e-3, 1.0, 7.0))
    for k in (-9.0, -1.0, -1e-3, 0.0, 0.3, 1.0, 100.0, g * g / 4, g * g / 4 * (1 + 1e-9), g * g / 4 * (1 - 1e-9))
] + [(0.7, 2.0, 1.0, 0.25), (4.0, 2.0, 0.9, 0.25), (-0.5, 0.3, 3.0, 9.0), (2.0, 100.0, 0.5, 0.1)]


def deviation(flow, setting):
    """The largest relative error of an entry, relative to the growth that the entry has room for."""
    k, g, T, u = setting
    A, C = kinetic.flow(*setting)
    reach = 1 + T * max(g, math.sqrt(u * abs(k)))
    found = flow(*setting)
    worst = 0.0
    # units in which the entries of A are of one size: x in those of v times the shorter of T and 1/sqrt(uk)
    unit = mp.mpf(min(T, 1 / math.sqrt(u * abs(k)) if k else math.inf, 1 / g))
    size = max(abs(A[0, 0]), abs(A[1, 1]), abs(A[0, 1]) / unit, abs(A[1, 0]) * unit)
    for i, j in itertools.product((0, 1), repeat=2):
        units = unit ** (i - j)
        worst = max(worst, abs(mp.mpf(float(found.linear[i][j])) - A[i, j]) * units / size / reach)
        room = mp.sqrt(C[i, i] * C[j, j])
        worst = max(worst, abs(mp.mpf(float(found.noise[i][j])) - C[i, j]) / room / reach)
    return float(worst)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_flow_is_the_matrix_exponential(setting):
    with mp.workdps(50):
        assert deviation(kinetic_flow, setting) < 1e-14


@pytest.mark.parametrize("setting", [(0.7, 1.0, 1.0, 1.0), (-1.0, 0.5, 1e-3, 1.0), (5.0, 2.0, 0.7, 0.3)])
def test_the_noise_is_the_integral(setting):
    with mp.workdps(40):
        C, found = kinetic.covariance_by_quadrature(*setting), kinetic_flow(*setting).noise
        for i, j in itertools.product((0, 1), repeat=2):
            assert abs(mp.mpf(float(found[i][j])) / C[i, j] - 1) < 1e-14


@pytest.mark.parametrize("T", [1e-8, 1e-3, 0.7, 4.0])
def test_without_force_the_noise_is_the_correctors(T):
    with mp.workdps(60):
        due = textbook.kinetic_covariance(mp.mpf(T), mp.mpf(1.5), mp.mpf(0.5))
        found = kinetic_flow(0.0, 1.5, T, 0.5).noise
        for i, j in itertools.product((0, 1), repeat=2):
            assert abs(mp.mpf(float(found[i][j])) / due[i, j] - 1) < 2e-14


def mutated(**change):
    """The flow with one thing wrong."""

    def flow(k, g, T, u):
        right = kinetic_flow(k, g, T, u)
        (x_x, c), (_, v_v) = right.noise
        if change.get("noise"):
            right = right._replace(noise=((x_x / 2, c / 2), (c / 2, v_v / 2)))
        if change.get("friction"):  # e^{MT} with -g, in the drift alone
            A = scipy.linalg.expm(T * np.array([[0.0, 1.0], [-u * k, g]]))
            right = right._replace(linear=tuple(map(tuple, A)))
        if change.get("force"):  # mass forgotten in the force
            right = right._replace(linear=kinetic_flow(k / u, g, T, u).linear)
        if change.get("cross"):
            right = right._replace(noise=((x_x, -c), (-c, v_v)))
        if change.get("frozen"):  # the corrector's own step: the force frozen at the start
            q, p = (T - (1 - math.exp(-g * T)) / g) / g, (1 - math.exp(-g * T)) / g
            right = right._replace(linear=((1 - u * k * q, p), (-u * k * p, math.exp(-g * T))))
        return right

    return flow


@pytest.mark.parametrize("change", ["noise", "friction", "force", "cross", "frozen"])
def test_wrong_flows_are_refused(change):
    with mp.workdps(50):
        assert deviation(mutated(**{change: True}), (0.7, 2.0, 1.0, 0.25)) > 1e-3


@given(st.floats(-1, 4), st.floats(0.1, 3), st.floats(1e-3, 3), st.floats(0.2, 2), st.floats(0.01, 0.99))
def test_the_flow_is_a_semigroup(k, g, T, u, share):
    whole = kinetic_flow(k, g, T, u, 1.5)
    parts = compose(kinetic_flow(k, g, (1 - share) * T, u, 1.5), kinetic_flow(k, g, share * T, u, 1.5))
    for a, b in zip(
        itertools.chain(*whole.linear, whole.shift), itertools.chain(*parts.linear, parts.shift), strict=True
    ):
        assert abs(a - b) < 1e-12 * (1 + abs(a) + math.exp(2 * T))
    for a, b in zip(itertools.chain(*whole.noise), itertools.chain(*parts.noise), strict=True):
        assert abs(a - b) < 1e-12 * (abs(a) + u * T * math.exp(4 * T))


def test_the_zero_of_the_force_stays():
    flow = kinetic_flow(np.array([-1.0, 0.0, 2.0]), 1.0, 0.8, center=3.0)
    assert np.allclose(flow.linear[0][0] * 3.0 + flow.shift[0], 3.0, rtol=1e-14)
    assert np.allclose(flow.linear[1][0] * 3.0 + flow.shift[1], 0.0, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.0, 0.0, 1.0), ValueError, "friction: expected numbers > 0, got 0.0"),
        ((1.0, 1.0, -2.0), ValueError, "time: expected numbers > 0, got -2.0"),
        ((1.0, 1.0, 1.0, 0.0), ValueError, "mass: expected numbers > 0, got 0.0"),
        ((math.nan, 1.0, 1.0), ValueError, "curvature: expected finite numbers, got nan"),
        ((-1e8, 1.0, 10.0), OverflowError, "time: too long: for k < 0 the flow grows like exp"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        kinetic_flow(*arguments)


# --- what the process tells of its start --------------------------------------------------------------------------


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    ("k", "g", "T", "u"),
    [(k, 1.0, T, 1.0) for k in (-1.0, 0.0, 0.25, 1.0) for T in (1e-8, 1e-4, 0.1, 1.0)] + [(-0.3, 3.0, 0.2, 0.5)],
)
def test_the_hidden_noise_is_that_of_least_squares(joint, k, g, T, u):
    with mp.workdps(40):
        due = kinetic.hidden_noise(k, g, T, u, joint)
        found = start_noise(k, g, T, u)[0 if joint else 1]
        assert abs(mp.mpf(float(found)) / due - 1) < 1e-14


def dense_pair(k, T, a, b, m):
    """The joint laws of (x, v) of every mode, friction 1, as dense Gaussians."""
    means, left, right = [], [], []
    for each in zip(k, a, b, m, strict=True):
        A, C = (np.array(M.tolist(), dtype=float) for M in kinetic.flow(each[0], 1.0, T, 1.0))
        means.append(A[:, 0] * each[3])
        left.append(A @ np.diag([each[1], 1]) @ A.T + C)
        right.append(A @ np.diag([each[2], 1]) @ A.T + C)
    blocks = [scipy.linalg.block_diag(*part) for part in (left, right)]
    return rm.Gaussian(np.concatenate(means), blocks[0]), rm.Gaussian(np.zeros(2 * len(k)), blocks[1])


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 3), st.floats(0, 3), st.floats(-2, 2)), min_size=1, max_size=3),
    st.floats(0.2, 1),
)
def test_the_joint_law_of_two_starts_is_one_of_their_noised_positions(modes, T):
    """TV, KL and Hellinger of the dense laws of (x, v) are those of N(m, a + n) and N(0, b + n), mode by mode."""
    k, a, b, m = np.array(modes).T
    p, q = dense_pair(k, T, a, b, m)
    hidden = start_noise(k, 1.0, T)[0]
    for name in ("tv", "kl", "hellinger"):
        dense = getattr(rm, name)(p, q)
        flat = getattr(rm, name)(rm.Gaussian(m, a + hidden), rm.Gaussian(np.zeros_like(m), b + hidden))
        assert abs(dense - flat) <= dense.error + flat.error + 1e-9 * (1 + flat), name


def test_short_times():
    """n ~ 2gT^3/3 and T^2: the constants sqrt(3/(4 pi)) and 1/sqrt(2 pi) at g = sqrt(L) as T -> 0."""
    joint, position = start_noise(np.array([-1.0, 0.0, 1.0]), 1.0, 1e-6)
    assert 1e-6**1.5 / np.sqrt(2 * np.pi * joint) == pytest.approx(np.full(3, math.sqrt(3 / (4 * math.pi))), rel=1e-6)
    assert 1e-6 / np.sqrt(2 * np.pi * position) == pytest.approx(np.full(3, 1 / math.sqrt(2 * math.pi)), rel=1e-6)


# --- forces that are not linear -----------------------------------------------------------------------------------


def normal(x, mean, deviation):
    return np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


@pytest.mark.parametrize(("k", "g", "T", "u"), [(1.0, 1.0, 1.0, 1.0), (-1.0, 0.5, 0.7, 1.0), (0.25, 2.0, 2.0, 0.5)])
def test_on_a_linear_force_the_law_is_the_flows(k, g, T, u):
    law = kinetic_law(lambda x: -k * (x - 0.3), 1.0, 0.4, T, g, u, terms=6)
    flow = kinetic_flow(k, g, T, u, 0.3)
    A, C = np.array(flow.linear, dtype=float), np.array(flow.noise, dtype=float)
    assert law.center == pytest.approx(A[:, 0] * 1.0 + np.array(flow.shift, dtype=float), abs=1e-9)
    assert law.root @ law.root.T == pytest.approx(A @ np.diag([0.16, u]) @ A.T + C, abs=1e-9)
    rest = law.coefficients.copy()
    rest[0, 0] -= 1
    assert np.abs(rest).max() < 1e-9


@pytest.mark.parametrize("u", [0.25, 3.0])
def test_the_mass_is_a_unit(u):
    """x = sqrt(u) y makes of the mass u and the force s the mass 1 and the force sqrt(u) s(sqrt(u) y)."""
    root, y = math.sqrt(u), np.linspace(-3, 3, 61)
    law = kinetic_law(lambda x: np.sin(x) - x / 2, 0.4 * root, 0.3 * root, 0.8, 0.7, u)
    same = kinetic_law(lambda z: root * (np.sin(root * z) - root * z / 2), 0.4, 0.3, 0.8, 0.7)
    assert root * law.position(root * y) == pytest.approx(same.position(y), abs=1e-8)


FORCES = {
    "hill": np.sin,
    "two wells": lambda x: math.sqrt(2) * np.tanh(math.sqrt(2) * x) - x,
    "ripples": lambda x: 0.7 * np.sin(3 * x) / 3 - 0.3 * x,
    "convex": lambda x: -np.tanh(x),
}


@functools.cache
def expanded(name, T):
    """Two narrow starts on a force, by Fourier series in x and Hermite functions about v = 0."""
    x = np.linspace(-7, 7, 160, endpoint=False) if T == 1 else np.linspace(-3, 3, 120, endpoint=False)
    starts = [normal(x, -0.1, 0.25), normal(x, 0.4, 0.25)]
    return x, kinetic.position_densities(FORCES[name], starts, T, 1.0, x, 70)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "T", "accuracy"), [
    ("hill", 1.0, 1e-9), ("two wells", 1.0, 4e-6), ("ripples", 1.0, 4e-6), ("convex", 1.0, 1e-6),
    ("hill", 0.3, 1e-9), ("two wells", 0.3, 1e-9), ("ripples", 0.3, 1e-9), ("convex", 0.3, 1e-9),
])  # fmt: skip
def test_the_density_is_that_of_another_expansion(name, T, accuracy):
    x, densities = expanded(name, T)
    for mean, due in zip((-0.1, 0.4), densities, strict=True):
        laws = [kinetic_law(FORCES[name], mean, 0.25, T, 1.0, terms=terms) for terms in (24, 54)]
        coarse, fine = (np.abs(law.position(x) - due).max() for law in laws)
        assert fine < accuracy
        assert fine < coarse + 1e-9


@pytest.mark.parametrize(
    "wrong",
    [
        {"friction": 0.5},  # noise and friction of sqrt(g) for sqrt(2g) ...
        {"mass": 0.5},
        {"time": 1.05},
        {"force": lambda x: -np.sin(x)},
    ],
)
def test_wrong_laws_are_refused(wrong):
    x, densities = expanded("hill", 1.0)
    given = {"force": np.sin, "mean": -0.1, "deviation": 0.25, "time": 1.0, "friction": 1.0} | wrong
    assert np.abs(kinetic_law(**given).position(x) - densities[0]).max() > 1e-3


@pytest.mark.slow
def test_the_law_is_that_of_simulated_particles():
    """Kolmogorov's statistic of x and of v after T = 1 from 200 000 particles, small steps of the plain scheme."""
    n, steps, g, u = 200_000, 100, 0.8, 0.6
    rng = np.random.default_rng(7)
    x, v, h = 0.5 + 0.3 * rng.standard_normal(n), math.sqrt(u) * rng.standard_normal(n), 1.0 / 100
    for _ in range(steps):  # half a drift, kick, friction and noise, half a drift: of second order
        x = x + h / 2 * v
        v = v + h / 2 * u * np.sin(2 * x) / 2
        v = math.exp(-g * h) * v + math.sqrt(u * -math.expm1(-2 * g * h)) * rng.standard_normal(n)
        v = v + h / 2 * u * np.sin(2 * x) / 2
        x = x + h / 2 * v
    law = kinetic_law(lambda x: np.sin(2 * x) / 2, 0.5, 0.3, 1.0, g, u, terms=40)
    grid = np.linspace(-7, 7, 1401)
    joint = law.joint(grid, grid)
    assert law.position(grid) == pytest.approx(joint.sum(axis=1) * 0.01, abs=1e-9)
    for sample, density in ((x, joint.sum(axis=1) * 0.01), (v, joint.sum(axis=0) * 0.01)):
        distribution = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2) * 0.01])
        found = stats.kstest(sample, lambda z, d=distribution: np.interp(z, grid, d))
        assert found.pvalue > 1e-6


def test_an_expansion_that_does_not_decay_is_refused():
    with pytest.raises(ArithmeticError, match="terms: the expansion does not decay"):
        kinetic_law(lambda x: -np.sin(0.43 * x + 4.4) / 0.43, 0.0, 0.02, 2.0, 0.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deviation": 0.0}, "deviation: expected a number > 0, got 0.0"),
        ({"time": -1.0}, "time: expected a number > 0, got -1.0"),
        ({"friction": 0.0}, "friction: expected a number > 0, got 0.0"),
        ({"terms": 1}, "terms: expected a number >= 2, got 1.0"),
        ({"terms": 2.5}, "terms: expected an integer >= 2, got 2.5"),
    ],
)
def test_bad_settings_of_a_law_are_named(change, message):
    given = {"force": np.sin, "mean": 0.0, "deviation": 0.1, "time": 1.0, "friction": 1.0} | change
    with pytest.raises(ValueError, match=message):
        kinetic_law(**given)
