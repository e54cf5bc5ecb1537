"""Properties of the claims on drawn targets, noise levels, midpoints and scores: what must hold holds everywhere.

The constants of the inequalities are the largest ratios that searches have seen, rounded up in the last digit. Left
sides are exact up to rounding of 1e-13 and less; SLACK leaves room for that and for nothing else.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, example, given, settings, target
from hypothesis import strategies as st
from oracles.plain import unit_rule

import rmverify as rm
from rmverify import schemes
from rmverify.readings.affine import chain, read
from rmverify.targets import Gaussian
from rmverify.targets.gaussian import Modes
from rmverify.testing.strategies import (
    alphas,
    estimated_scores,
    gaussians,
    plans,
    rotations,
    schedules,
    steps,
)

SLACK = 1 + 1e-10
C = {
    "B2": 0.0023,
    "B3": 0.307,
    "B4": 0.0719,
    "B5 randomized_midpoint": 0.555,
    "B5 exponential_integrator": 0.278,
    "C1": 0.689,
    "C1 with hills": 0.745,
    "C4": 0.466,
    "C4 with hills": 0.572,
    "C2": 0.152,
}
FEWER = settings(max_examples=settings.default.max_examples // 2)  # of whatever profile is loaded
RANDOMIZED, EXPONENTIAL = schemes.randomized_midpoint, schemes.exponential_integrator


# --- B1: no bias ----------------------------------------------------------------------------------------------------


class Nodes:
    """Every midpoint at every node of Gauss-Legendre: an average over the last axis is E_alpha."""

    a, w = unit_rule(48)

    def uniform(self):
        return self.a

    def strata(self, count):
        lo = np.arange(count)[:, None] / count
        return lo, lo + self.a / count


@given(
    t=st.floats(0.1, 3),
    share=st.floats(0, 1),
    frequency=st.floats(-20, 20),
    phase=st.floats(0, 7),
    strata=st.one_of(st.none(), st.integers(1, 8)),
)
def test_the_weights_integrate_without_bias(t, share, frequency, phase, strata):
    """E_a[h e^{(1-a)h} g(ah)] = int_0^h e^{h-r} g(r) dr for g(r) = cos(w r + c), with strata and without."""
    h = share * t
    scheme = RANDOMIZED if strata is None else schemes.parallel_midpoint(strata=strata, rounds=1)
    out = scheme(np.zeros(48), t, h, lambda level, x: np.cos(frequency * (t - level) + phase) + 0 * x, Nodes())
    pole = 1j * frequency - 1
    integral = (cmath.exp(1j * phase) * math.exp(h) * (cmath.exp(pole * h) - 1) / pole).real
    rounding = 2.0**-53 * math.exp(h) * (64 + 8 * abs(frequency) * t)  # t - level carries an ulp of t into the phase
    assert out @ Nodes.w == pytest.approx(integral, rel=0, abs=rounding)


# --- B2 to B4: one step ---------------------------------------------------------------------------------------------


def right_sides(q, t, h):
    """Main terms of B2, B3 and B4: L^4 d h^6 M, L^2 d h^4 M with M = L v 1/t."""
    L = max(1.0, 1 / q.variances.min())
    third = L**2 * q.dim * h**4 * max(L, 1 / t)
    return {"B2": third * L**2 * h**2, "B3": third, "B4": third}


def left_sides(q, t, h):
    randomized = rm.local_error(RANDOMIZED, q, t, h)
    return {
        "B2": randomized.bias,
        "B3": randomized.variance,
        "B4": rm.local_error(EXPONENTIAL, q, t, h).mean_square,
    }


def with_step(targets):
    """(target, (t, h)) with h <= min(1/L, t)."""

    def of(q):
        truth = q if isinstance(q, Gaussian) else q.target
        return st.tuples(st.just(q), steps(max(1.0, 1 / truth.variances.min())))

    return targets.flatmap(of)


@example((Gaussian.isotropic(0.00123429, 1), (0.000317929, 0.000317929)))
@example((Gaussian.isotropic(741.056, 3), (4.13123, 1.0)))
@example((Gaussian.isotropic(40.1533, 1), (1.76876, 1.0)))
@given(with_step(gaussians()))
def test_one_step_is_within_the_lemmas(case):
    q, (t, h) = case
    bounds = right_sides(q, t, h)
    for name, error in left_sides(q, t, h).items():
        target(math.log(max(error / bounds[name], 1e-300)), label=name)
        assert error <= C[name] * bounds[name] * SLACK


@pytest.mark.slow
@given(with_step(estimated_scores()))
def test_one_step_with_an_estimated_score_is_within_the_lemmas(case):
    """sqrt(left) <= sqrt(C main) + K h eps_sc, where K comes from the step itself and not from a search.

    Scheme 1 moves by (e^h - 1) e_t, so K = e - 1. Scheme 2 moves by h e^{(1-a)h} times e_{t'}(x_half) and
    (1+|gain|)(e^{ah} - 1) e_t/v'; with h <= 1/L <= v' the first is at most e^{ah} sqrt(3) eps_sc, because
    v <= (1+2a) v', and the second (1+|gain|)(e^a - 1) eps_sc: K = sqrt(3) e + (1+|gain|)(e-1).
    """
    estimate, (t, h) = case
    q = estimate.target
    counts, bias = q.multiplicities, estimate.bias
    amplitude = 0.0 if bias is None else bias.amplitude if callable(bias) else bias
    v = [1 + (q.variances - 1) * math.exp(-2 * level) for level in (t, t - h)]
    gain = max(float(estimate.gain**2 * (counts / each).sum()) for each in v)
    eps = math.sqrt(gain + float((counts * np.asarray(amplitude) ** 2).sum()))
    factor = {
        "B2": math.sqrt(3) * math.e + (1 + abs(estimate.gain)) * (math.e - 1),
        "B4": math.e - 1,
    }
    factor["B3"] = factor["B2"]
    main = right_sides(q, t, h)
    for name, error in left_sides(estimate, t, h).items():
        assert math.sqrt(error) <= (math.sqrt(C[name] * main[name]) + factor[name] * h * eps) * SLACK


@pytest.mark.slow
@given(with_step(gaussians()), st.floats(0.01, 1))
def test_errors_grow_with_the_step(case, share):
    """Bias and variance of the randomized midpoint, and the error of scheme 1, from one noise level."""
    q, (t, h) = case
    short, long = (left_sides(q, t, each) for each in (share * h, h))
    for name in short:
        assert short[name] <= long[name] * SLACK


def test_the_error_of_the_deterministic_midpoint_does_not_grow_with_the_step():
    """It changes sign inside h <= min(1/L, t): growing with the step belongs to the randomized scheme and scheme 1."""
    q, t = Gaussian.isotropic(0.3, 1), 0.2
    errors = [rm.local_error(schemes.midpoint, q, t, h).bias for h in np.linspace(0.02, 0.2, 10)]
    assert errors != sorted(errors)


@given(with_step(gaussians()))
def test_on_a_smooth_score_the_deterministic_midpoint_is_better(case):
    """The honest line of B7: no target and no step on which the random midpoint pays, the score being exact."""
    q, (t, h) = case
    midpoint, randomized = (rm.local_error(each, q, t, h).mean_square for each in (schemes.midpoint, RANDOMIZED))
    assert midpoint <= randomized


# --- B5: a window ---------------------------------------------------------------------------------------------------


@FEWER
@example(Gaussian.isotropic(1e3, 1), 1.0, 1)
@given(gaussians(modes=2), st.floats(0, 10), st.integers(1, 6))
def test_a_window_is_within_the_lemma(q, end, count):
    L = max(1.0, 1 / q.variances.min())
    levels = np.linspace(end + 1 / L, end, count + 1)
    h = 1 / (L * count)
    for scheme, bound in ((RANDOMIZED, L * h**1.5), (EXPONENTIAL, math.sqrt(L) * h)):
        found = rm.coupling_error(rm.Plan([rm.Predict(scheme, levels)]), q).mean_square
        name = f"B5 {scheme.__name__}"
        ratio = math.sqrt(found / q.dim) / bound
        target(ratio, label=name)
        assert ratio <= C[name] * SLACK


# --- invariances ----------------------------------------------------------------------------------------------------


DIAGONAL = gaussians(variances=(0.05, 20.0), modes=3, multiplicities=1, means=3)


@FEWER
@given(DIAGONAL.flatmap(lambda q: st.tuples(st.just(q), rotations(q.dim), steps(20.0))), st.lists(st.floats(-1, 1)))
def test_a_rotation_changes_nothing(case, bias):
    """A dense covariance and its spectrum. Eigenvalues come back within a few 2^-52 of the largest, 1e-12 relative to
    the smallest; the gain and the bias keep the errors away from 0, so that they depend on them as on h: 1e-7."""
    q, turn, (t, h) = case
    b = np.array(([*bias, 0.3, -0.2, 0.1])[: q.dim])
    dense = Gaussian(turn @ q.means, (turn * q.variances) @ turn.T)
    pairs = zip(
        left_sides(rm.EstimatedScore(q, gain=0.1, bias=b), t, h).values(),
        left_sides(rm.EstimatedScore(dense, gain=0.1, bias=turn @ b), t, h).values(),
        strict=True,
    )
    for plain, turned in pairs:
        assert turned == pytest.approx(plain, rel=1e-7)


@FEWER
@given(st.data())
def test_a_rotation_turns_the_output_law(data):
    q = data.draw(DIAGONAL)
    turn = data.draw(rotations(q.dim))
    plan = data.draw(plans(levels=schedules(steps=4)))
    midpoints = data.draw(alphas(plan))
    dense = Gaussian(turn @ q.means, (turn * q.variances) @ turn.T)
    plain, turned = (rm.output_law(plan, each, alphas=midpoints) for each in (q, dense))
    scale = float(plain.variances.max())
    assert turned.covariance == pytest.approx((turn * plain.variances) @ turn.T, rel=0, abs=1e-10 * scale)
    size = math.sqrt(scale) + float(np.abs(plain.means).max())
    assert turned.mean == pytest.approx(turn @ plain.means, rel=0, abs=1e-10 * size)


def split(q, parts):
    """Every block with two coordinates or more as two blocks, the first a `part` of it."""
    rows = []
    for lam, n, m, part in zip(q.variances, q.multiplicities, q.means, parts, strict=False):
        first = max(1.0, math.floor(part * (n - 1)))
        rows += [(lam, first, m), (lam, n - first, m)] if n > 1 else [(lam, n, m)]
    return Gaussian.from_spectrum(*map(list, zip(*rows, strict=True)))


PARTS = st.tuples(*[st.floats(0, 1)] * 4)


@FEWER
@given(with_step(gaussians()), PARTS)
@pytest.mark.slow
def test_splitting_a_spectrum_changes_no_error(case, parts):
    q, (t, h) = case
    whole, pieces = (left_sides(each, t, h) for each in (q, split(q, parts)))
    for name in whole:
        assert pieces[name] == pytest.approx(whole[name], rel=1e-13)


@FEWER
@given(st.data(), PARTS)
def test_splitting_a_spectrum_changes_no_distance(data, parts):
    q = data.draw(gaussians(variances=(0.1, 10.0), multiplicities=1000, means=1.0))
    plan = data.draw(plans(levels=schedules(steps=4), correctors=st.just(schemes.underdamped(friction=2))))
    midpoints = data.draw(alphas(plan))
    found = []
    for each in (q, split(q, parts)):
        law = rm.output_law(plan, each, alphas=midpoints)
        found.append((rm.tv(law, each.at(plan.end)), rm.kl(law, each.at(plan.end))))
    for whole, piece in zip(*found, strict=True):
        assert abs(whole - piece) <= whole.error + piece.error


# --- C1, C2: the underdamped corrector ------------------------------------------------------------------------------


def kinetic_flow(k, friction, time):
    """exp and covariance of dx = v dt, dv = (-k x - g v) dt + sqrt(2g) dB by Van Loan's block exponential."""
    drift = np.array([[0.0, 1.0], [-k, -friction]])
    noise = np.diag([0.0, 2 * friction])
    block = scipy.linalg.expm(time * np.block([[-drift, noise], [np.zeros((2, 2)), drift.T]]))
    A = block[2:, 2:].T
    covariance = A @ block[:2, 2:]
    return A, (covariance + covariance.T) / 2


@given(st.floats(0.01, 1), st.floats(0.1, 3), st.floats(0.01, 1))
def test_the_exact_flow_keeps_its_stationary_law(k, friction, time):
    A, covariance = kinetic_flow(k, friction, time)
    stationary = np.diag([1 / k, 1.0])
    assert A @ stationary @ A.T + covariance == pytest.approx(stationary, rel=1e-10, abs=1e-10 / k)


SHARES = st.integers(0, 1000).map(lambda n: n / 1000)  # squares of what is drawn must not underflow


@st.composite
def kinetic_pairs(draw):
    """(L, T, [(k, shift, s_p, s_q)]): curvatures in [0, L], or from -L on, T <= 1/sqrt(L), laws of x in units of
    1/sqrt(L)."""
    L = 10 ** draw(st.floats(0, 4))
    shift = st.integers(-2000, 2000).map(lambda n: n / 1000)
    curvature = st.one_of(SHARES, st.integers(-1000, 1000).map(lambda n: n / 1000))
    modes = draw(st.lists(st.tuples(curvature, shift, SHARES, SHARES), min_size=1, max_size=3))
    root = math.sqrt(L)
    return L, draw(st.floats(0.1, 1)) / root, [(k * L, m / root, p / root, q / root) for k, m, p, q in modes]


def smoothing_constant(name, modes):
    return C[name if min(k for k, *_ in modes) >= 0 else f"{name} with hills"]


@FEWER
@example((1.0, 1.0, [(0.0, 1e-3, 0.0, 0.0)]))
@example((1.0, 1.0, [(-1.0, 1e-3, 0.0, 0.0)]))
@given(kinetic_pairs())
def test_kinetic_smoothing_is_within_the_lemma(case):
    """TV(p P_T, q P_T) <= C W_2(p, q)/(L^{1/4} T^{3/2}) in x and v jointly, for the exact flow with g = sqrt(L)."""
    L, time, modes = case
    distance = math.sqrt(sum(m * m + (s_p - s_q) ** 2 for _, m, s_p, s_q in modes))
    assume(distance > 0)
    means, left, right = [], [], []
    for k, m, s_p, s_q in modes:
        A, noise = kinetic_flow(k, math.sqrt(L), time)
        means.append(A[:, 0] * m)
        left.append(A @ np.diag([s_p**2, 1]) @ A.T + noise)
        right.append(A @ np.diag([s_q**2, 1]) @ A.T + noise)
    units = np.tile([math.sqrt(L), 1.0], len(modes))  # x in units of 1/sqrt(L): TV does not see units
    p = Gaussian(np.concatenate(means) * units, scipy.linalg.block_diag(*left) * np.outer(units, units))
    q = Gaussian(np.zeros(2 * len(modes)), scipy.linalg.block_diag(*right) * np.outer(units, units))
    bound = distance / (L**0.25 * time**1.5)
    found = rm.tv(p, q)
    target(found / bound)
    assert found <= smoothing_constant("C1", modes) * bound * SLACK + found.error


@FEWER
@example((1.0, 1.0, [(0.0, 1e-3, 0.0, 0.0)]))
@example((1.0, 1.0, [(-1.0, 1e-3, 0.0, 0.0)]))
@given(kinetic_pairs())
def test_kinetic_smoothing_of_the_position_is_within_c4(case):
    """TV and KL of x alone against W_2/T and the sharper bracket, for the exact flow with g = sqrt(L)."""
    L, time, modes = case
    distance = math.sqrt(sum(m * m + (s_p - s_q) ** 2 for _, m, s_p, s_q in modes))
    assume(distance > 0)
    means, left, right = [], [], []
    for k, m, s_p, s_q in modes:
        A, noise = kinetic_flow(k, math.sqrt(L), time)
        means.append(A[0, 0] * m)
        left.append(A[0, 0] ** 2 * s_p**2 + A[0, 1] ** 2 + noise[0, 0])
        right.append(A[0, 0] ** 2 * s_q**2 + A[0, 1] ** 2 + noise[0, 0])
    p, q = Gaussian(np.array(means), np.array(left)), Gaussian(np.zeros(len(modes)), np.array(right))
    found = rm.tv(p, q)
    target(found * time / distance)
    assert found <= smoothing_constant("C4", modes) * distance / time * (1 + 1e-7) + found.error
    z = math.sqrt(L) * time
    assert rm.kl(p, q) <= (distance / time) ** 2 * (1 / 2 + z**3 / 12 + z**2 / 4 + z / 4) * (1 + 1e-9)


@given(kinetic_pairs())
def test_kinetic_smoothing_of_a_shift_in_closed_form(case):
    """p and q differ by a shift: TV = erf(|S^{-1/2} m|/(2 sqrt 2)), without the package."""
    L, time, modes = case
    square = distance = 0.0
    for k, m, s, _ in modes:
        A, noise = kinetic_flow(k, math.sqrt(L), time)
        mean = A[:, 0] * m
        square += mean @ np.linalg.solve(A @ np.diag([s**2, 1]) @ A.T + noise, mean)
        distance += m * m
    bound = math.sqrt(distance) / (L**0.25 * time**1.5)
    assert math.erf(math.sqrt(square / 8)) <= smoothing_constant("C1", modes) * bound * (1 + 1e-7)


def joint_law(k, friction, h, count):
    """Covariance of (sqrt(k) x, v) after `count` steps of scheme 4 from stationarity."""
    modes = Modes(np.array([1 / k]), np.zeros(1))
    step = read(schemes.underdamped(friction=friction), modes, np.zeros((count, 1, 1)), np.full((count, 1, 1), h))
    whole = chain(step, count)
    A, noise = (
        np.array([[float(np.ravel(e)[0]) for e in row] for row in part]) for part in (whole.linear, whole.noise)
    )
    units = np.diag([math.sqrt(k), 1.0])
    return units @ (A @ np.diag([1 / k, 1]) @ A.T + noise) @ units


@FEWER
@example(1.0, 1.0, 0.7, 64, 10_000)
@given(
    st.floats(0, 4).map(lambda e: 10**e),
    st.floats(0.01, 1),
    st.floats(0.05, 1),
    st.integers(1, 64),
    st.floats(0, 8).map(lambda e: round(10**e)),
)
def test_kinetic_discretization_is_within_the_lemma(L, curvature, time, count, dim):
    """TV(scheme 4, exact flow) <= C L^{3/4} T^{1/2} d^{1/2} h from stationarity, jointly and so for x alone."""
    k, time = curvature * L, time / math.sqrt(L)
    h = time / count
    spread = np.linalg.eigvalsh(joint_law(k, math.sqrt(L), h, count))
    joint = rm.tv(Gaussian.from_spectrum(spread, [dim, dim]), Gaussian.from_spectrum([1.0, 1.0], [dim, dim]))
    bound = L**0.75 * math.sqrt(time * dim) * h
    target(joint / bound)
    assert joint <= C["C2"] * bound * SLACK + joint.error
    q = Gaussian.isotropic(1 / k, dim)
    plan = rm.Plan([rm.Correct(schemes.underdamped(friction=math.sqrt(L)), time=0.0, step=h, steps=count)])
    position = rm.tv(rm.output_law(plan, q, start="exact"), q)
    assert position <= joint + position.error + joint.error + 1e-9
