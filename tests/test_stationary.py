"""Laws that Langevin steps leave invariant, and laws after many steps that keep a velocity: against 40-digit linear
algebra, nested quadrature over the midpoints, simulation and published numbers."""

from __future__ import annotations

import functools
import itertools
import math

import mpmath as mp
import mutants
import numpy as np
import pytest
from oracles import textbook
from oracles.midpoints import nested, plain_step
from oracles.plain import unit_rule
from scipy import special

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, phi1, phi2
from rmverify.laws.invariant import Powers, invariant, marginal, spread, step_map
from rmverify.schemes.langevin import kinetic_noise

# ------------------------------------------------------------------- moments


def lyapunov(steps, k, u):
    """(k S_xx - 1, sqrt(k/u) S_xv, S_vv/u - 1) of S = E[A S A^T + C], from weighted (A, C), in mpmath.

    Written for the deviation from diag(1/k, u), whose right hand side is formed at the working precision.
    """
    flat = [mp.mpf(1) / k, mp.mpf(0), mp.mpf(u)]
    M, rhs = mp.matrix(3, 3), mp.matrix(3, 1)
    for weight, A, C in steps:
        a, b, c, d = A[0, 0], A[0, 1], A[1, 0], A[1, 1]
        L = mp.matrix([[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]])
        M += weight * L
        rhs += weight * (L * mp.matrix(flat) + mp.matrix([C[0, 0], C[0, 1], C[1, 1]]))
    rhs -= mp.matrix(flat)
    x = mp.lu_solve(mp.eye(3) - M, rhs)
    return k * x[0], mp.sqrt(k / u) * x[1], x[2] / u


@functools.cache
def gauss_nodes(count):
    with mp.workdps(60):
        roots = [mp.findroot(lambda z: mp.legendre(count, z), z) for z in np.polynomial.legendre.leggauss(count)[0]]
        weights = [1 / ((1 - z * z) * mp.diff(lambda y: mp.legendre(count, y), z) ** 2) for z in roots]
    return [(1 + z) / 2 for z in roots], weights


CASES = [
    (1.0, 2.0, 1.0, 0.2236),
    (0.3, 2.0, 1.0, 1.3),
    (4.0, 2.0, 0.25, 0.05),
    (0.02, 1.0, 2.0, 1e-3),
    (7.0, 5.0, 1.5, 1e-6),
]


@pytest.mark.parametrize("k, g, u, h", CASES)
def test_invariant_moments_hold_forty_digits(k, g, u, h):
    """Each deviation from the target to a relative 1e-13, however short the step; h = 1e-6 loses 30 digits underway."""
    target, names = rm.Gaussian([0.0], [1 / k]), ("randomized_midpoint_langevin", "underdamped")
    with mp.workdps(90):
        K, G, U, H = (mp.mpf(z) for z in (1 / mp.mpf(1 / k), g, u, h))
        for name in names:
            alphas = gauss_nodes(14) if name == names[0] else ([None], [mp.mpf(1)])
            steps = []
            for a, w in zip(*alphas, strict=True):
                A, _, C = getattr(textbook, name)(H, [a], K, mp.mpf(0), G, U)
                steps.append((w, A, C))
            due = lyapunov(steps, K, U)
            law = rm.stationary_law(getattr(schemes, name)(friction=g, mass=u), target, h)
            v = float(1 / K)
            found = law.excess[0], law.covariances[0] / math.sqrt(u * v), law.velocity_variances[0] / u - 1
            assert found[0] == pytest.approx(float(due[0]), rel=1e-13)
            assert found[1] == pytest.approx(float(due[1]), rel=1e-13)
            assert found[2] == pytest.approx(float(due[2]), rel=1e-13, abs=4e-16)
            assert law.variances[0] == pytest.approx(v * (1 + float(due[0])), rel=1e-15)


@pytest.mark.parametrize("h", [0.5, 1e-3, 1e-9])
def test_unadjusted_langevin_has_variance_1_over_k_1_minus_hk_over_2(h):
    k = np.array([0.25, 1.0, 3.0])
    law = rm.stationary_law(schemes.overdamped, rm.Gaussian([1.0, 0.0, -2.0], 1 / k), h)
    np.testing.assert_allclose(law.excess, h * k / (2 - h * k), rtol=1e-14)
    np.testing.assert_allclose(law.means, [1.0, 0.0, -2.0], rtol=1e-15)
    assert law.velocity_variances is None
    assert law.covariances is None
    assert law.is_gaussian


def test_an_estimated_score_moves_the_law():
    """Score -(1+g)(x-m)/v + b: centre m + v b/(1+g), precision (1+g)/v."""
    target = rm.Gaussian([1.0], [2.0])
    law = rm.stationary_law(schemes.overdamped, rm.EstimatedScore(target, gain=0.5, bias=0.3), 0.1)
    k = 1.5 / 2
    assert law.means[0] == pytest.approx(1 + 2 * 0.3 / 1.5, rel=1e-14)
    assert law.variances[0] == pytest.approx(1 / (k * (1 - 0.1 * k / 2)), rel=1e-14)
    assert law.mean[0] == law.means[0]


def test_at_a_noise_level_the_marginal_is_kept():
    target = rm.Gaussian([1.0], [4.0])
    t = 0.7
    v = 1 + 3 * math.exp(-2 * t)
    law = rm.stationary_law(schemes.overdamped, target, 0.1, time=t)
    assert law.means[0] == pytest.approx(math.exp(-t), rel=1e-14)
    assert law.variances[0] == pytest.approx(v / (1 - 0.1 / v / 2), rel=1e-14)


# ------------------------------------------------------------------- published numbers

NORMAL = rm.Gaussian([0.0], [1.0])


def deviation(step, h):
    return float(rm.stationary_law(step(friction=2, mass=1), NORMAL, h).excess[0])


def order(step, h=0.05):
    return math.log2(deviation(step, h) / deviation(step, h / 2))


@schemes.scheme(kinetic=True)
def both_mistakes(state, t, h, score, draw, *, friction, mass=1):
    """The sign of the midpoint's gradient, and W_2's decay e^{-g ah}: as a published library has them."""
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v - mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    # (G_1 + G_2) - e^{-g ah}(H_1 + H_2) in the noises of the two parts
    noise = x_1 + x_2 - c * phi1(friction * c) * v_2
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + noise,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


def test_the_correct_step_is_off_by_23_in_10000_of_a_percent_and_of_third_order():
    """+0.023 % at h = 0.2236 on N(0, 1), g = 2, u = 1."""
    step = schemes.randomized_midpoint_langevin
    assert round(100 * deviation(step, 0.2236), 3) == 0.023
    assert order(step) == pytest.approx(3, abs=0.02)
    assert deviation(step, 1e-4) / 1e-12 == pytest.approx(1 / 48, rel=1e-3)


@pytest.mark.slow
def test_the_mistakes_of_a_published_library_are_seen():
    """Var(x) = 0.631 at h = 0.2236, 0.816 at 0.1 and 0.894 at 0.05 in runs of the library itself of 3 10^6 steps, whose
    square is correlated over a time of about 1: three standard errors sqrt(4/(3e6 h)). The sign alone is of order 2,
    the decay alone of order 1."""
    for h, seen in ((0.2236, 0.631), (0.1, 0.816), (0.05, 0.894)):
        assert 1 + deviation(both_mistakes, h) == pytest.approx(seen, abs=3 * math.sqrt(4 / (3e6 * h)))
    assert 100 * deviation(both_mistakes, 0.2) == pytest.approx(-33.7, abs=0.06)
    known = mutants.load()
    sign = known["langevin.midpoint_gradient_sign"].step
    decay = known["noise.displacement_decays_only_to_the_midpoint"].step
    assert order(sign, 0.01) == pytest.approx(2, abs=0.03)
    assert order(decay, 0.01) == pytest.approx(1, abs=0.03)
    right = rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2), NORMAL, 0.2236)
    for wrong in (sign, decay, both_mistakes):
        law = rm.stationary_law(wrong(friction=2), NORMAL, 0.2236)
        assert rm.tv(law, NORMAL).lower > 10 * rm.tv(right, NORMAL).upper


def test_tiny_steps_keep_their_order_in_total_variation():
    """Of third order in h as far as rounding lets see, down to 1e-9, where a start takes 2 10^10 steps to forget."""
    step = schemes.randomized_midpoint_langevin(friction=2)

    def distance(h):
        return rm.tv(rm.stationary_law(step, NORMAL, h), NORMAL)

    leading = distance(1e-3) / 1e-9
    for h, within in ((1e-4, 1e-5), (1e-5, 1e-4), (1e-6, 1e-2), (1e-9, 10)):
        value = distance(h)
        assert value.kind == "exact"
        assert abs(value - leading * h**3) <= value.error + 1e-5 * leading * h**3
        assert value.error <= within * leading * h**3


def test_paths_that_are_too_long_are_not_simulated():
    """Of 8 10^10 steps: the moments are known, of divergences only what they bound."""
    target = rm.Gaussian([0.0, 0.0], [1.0, 2.0])
    law = rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2), target, 1e-9)
    assert (law.excess > 0).all()
    for value, most in ((rm.tv(law, target), 1.0), (rm.hellinger(law, target), 1.0), (rm.kl(law, target), math.inf)):
        assert (value.kind, value.upper) == ("upper", most)
        assert 0 <= value.lower < 1e-20


@pytest.mark.slow
def test_the_target_itself_is_in_its_own_modes():
    target = rm.Gaussian(np.zeros(2), np.array([[2.0, 0.3], [0.3, 0.5]]))
    law = rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2), target, 0.1)
    assert rm.tv(law, target, accuracy=0.2) == rm.tv(law, target.at(0), accuracy=0.2)


@pytest.mark.parametrize("h, excess", [(0.8, 0.080), (0.4, 0.013), (0.2, 0.0017)])
def test_the_excess_kurtosis_of_the_mixture(h, excess):
    """3 E s^4/(E s^2)^2 - 3, published to two digits."""
    law = rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2), NORMAL, h)
    rule = law.scale_rule(18)
    s = rule.variances
    found = 3 * (rule.weights @ s**2) / (rule.weights @ s) ** 2 - 3
    assert found == pytest.approx(excess, rel=0.02)


# ------------------------------------------------------------------- after N steps


K, G, U, H = 0.5, 2.0, 0.8, 0.7
RML = schemes.randomized_midpoint_langevin(friction=G, mass=U)


@pytest.mark.parametrize("s2", [0.0, 2.0, 7.0])
def test_moments_after_three_steps_are_those_of_all_midpoints(s2):
    S, w = nested(K, G, U, H, 3, s2)
    target = rm.Gaussian([0.0], [1 / K])
    D = step_map(spread(RML, target.modes, target.variances, 0.0, H), 5)
    m = Powers(D, 3).after(3, np.array([[K * s2 - 1, 0.0, 0.0]]))
    y, weights = marginal(m, 3, 3)
    for n in range(1, 6):
        assert weights[0] @ y[0] ** n == pytest.approx(w @ (K * S - 1) ** n, rel=1e-11)


def test_a_plan_with_a_corrector_against_all_midpoints():
    """Two random steps with a kept velocity, then two of the underdamped corrector from a fresh one; TV in d = 50."""
    target = rm.Gaussian.isotropic(1 / K, 50)
    plan = rm.Plan([rm.Correct(RML, 0.0, H, 2), rm.Correct(schemes.underdamped(friction=1.5), 0.0, 0.3, 2)])
    found = rm.tv(rm.output_law(plan, target), target)
    assert found.kind == "exact"
    S, w = nested(K, G, U, H, 2, 1.0, nodes=12)
    with mp.workdps(30):
        A, _, C = textbook.underdamped(mp.mpf(0.3), [], mp.mpf(K), mp.mpf(0), mp.mpf(1.5), mp.mpf(1))
        A, C = (np.array(z.tolist(), dtype=float) for z in (A, C))
    both = A @ A
    noise = A @ C @ A.T + C
    s = both[0, 0] ** 2 * S + both[0, 1] ** 2 + noise[0, 0]
    half = 25.0
    tau = np.linspace(-12, 12, 20001) / math.sqrt(half)
    constant = half * math.log(half) - half - special.gammaln(half)

    def density(z):
        return np.exp(half * (z - np.expm1(z)) + constant)

    p = sum(weight * density(tau - math.log(K * each)) for each, weight in zip(s, w, strict=True))
    due = np.abs(p - density(tau)).sum() * (tau[1] - tau[0]) / 2
    assert found == pytest.approx(due, rel=1e-6)


def test_averaged_moments_of_many_steps_need_no_loop_and_are_the_loops():
    """Variances after 400 steps of an anisotropic target, against the plain recursion of E S."""
    variances = np.array([0.5, 2.0, 5.0])
    target = rm.Gaussian(np.zeros(3), variances)
    law = rm.output_law(rm.Plan([rm.Correct(RML, 0.0, 0.1, 400)]), target)
    a, w = unit_rule(12)
    for mode, v in enumerate(variances):
        A, C = plain_step(1 / v, G, U, 0.1, a)
        S = np.diag([1.0, U])
        for _ in range(400):
            S = np.einsum("q,qij->ij", w, A @ S @ np.swapaxes(A, -1, -2) + C)
        assert law.variances[mode] == pytest.approx(S[0, 0], rel=1e-12)
    assert law.rounding.max() < 1e-12


@pytest.mark.slow
def test_the_invariant_mixture_against_simulated_covariances():
    """d = 3, h = 0.8: 40000 chains of midpoints, 60 steps each; the mean of their densities, in 20 batches whose
    spread gives a standard error; six of them are allowed."""
    k, d, h = 1.0, 3, 0.8
    target = rm.Gaussian.isotropic(1.0, d)
    found = rm.tv(rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2), target, h), target)
    rng = np.random.default_rng(11)
    S = np.broadcast_to(np.eye(2), (40_000, 2, 2))
    for _ in range(60):
        A, C = plain_step(k, 2.0, 1.0, h, rng.random(40_000))
        S = A @ S @ np.swapaxes(A, -1, -2) + C
    r = np.linspace(1e-3, 9, 1500)

    def tv_of(s):
        p = np.mean([math.sqrt(2 / math.pi) * r**2 / each**1.5 * np.exp(-(r**2) / (2 * each)) for each in s], axis=0)
        q = math.sqrt(2 / math.pi) * r**2 * np.exp(-(r**2) / 2)
        return float(np.abs(p - q).sum() * (r[1] - r[0]) / 2)

    parts = [tv_of(s[:1000]) for s in np.split(S[:, 0, 0], 20)]
    assert found.kind == "exact"
    assert abs(found - np.mean(parts)) < 6 * np.std(parts, ddof=1) / math.sqrt(20)


@pytest.mark.parametrize("divergence", [rm.tv, rm.kl, rm.hellinger, rm.w2])
def test_small_distances_of_a_gaussian_invariant_law_keep_their_digits(divergence):
    """Unadjusted Langevin with h = 1e-9: variances 1/(k(1 - hk/2)), d = 10^6 of two kinds."""
    k, n, h = [0.5, 2.0], [10**6, 3], 1e-9
    target = rm.Gaussian.from_spectrum([1 / z for z in k], n)
    found = divergence(rm.stationary_law(schemes.overdamped, target, h), target)
    with mp.workdps(40):
        e = [mp.mpf(h) * z / (2 - mp.mpf(h) * z) for z in k]
        due = {
            "kl": mp.fsum(m * (y - mp.log(1 + y)) / 2 for m, y in zip(n, e, strict=True)),
            "w2": mp.sqrt(mp.fsum(m / z * (mp.sqrt(1 + y) - 1) ** 2 for m, y, z in zip(n, e, k, strict=True))),
            "hellinger": mp.sqrt(
                1 - mp.exp(mp.fsum(m * (mp.log(1 + y) / 4 - mp.log(1 + y / 2) / 2) for m, y in zip(n, e, strict=True)))
            ),
        }
        # TV of so small a difference is linear in it: E|sum n (z^2 - 1) e/4| of a million terms, Gaussian to 1e-4
        due["tv"] = mp.sqrt(mp.fsum(m * y * y / 2 for m, y in zip(n, e, strict=True)) / (2 * mp.pi))
        due = float(due[divergence.__name__])
    assert found == pytest.approx(due, rel=1e-3 if divergence is rm.tv else 1e-12)
    assert found.kind == "exact"
    reverse = divergence(target, rm.stationary_law(schemes.overdamped, target, h))
    assert reverse == pytest.approx(float(found), rel=1e-6)


def test_other_laws_than_the_target_too():
    law = rm.stationary_law(schemes.overdamped, rm.Gaussian([0.0, 1.0], [1.0, 2.0]), 0.1)
    plain = rm.Gaussian([0.0, 1.0], [1 / (1 - 0.05), 2 / (1 - 0.025)])
    other = rm.Gaussian([0.2, 1.0], [1.5, 2.0])
    dense = rm.Gaussian([0.2, 1.0], [[1.5, 0.2], [0.2, 2.0]])
    for q in (other, dense):
        for f in (rm.tv, rm.kl, rm.w2):
            assert f(law, q) == pytest.approx(f(plain, q), rel=1e-12)
            assert f(q, law) == pytest.approx(f(q, plain), rel=1e-12)


@pytest.mark.slow
def test_random_steps_on_anisotropic_targets_tell_more_than_one_coordinate():
    target = rm.Gaussian(np.zeros(2), [1.0, 3.0])
    law = rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2, mass=1), target, 0.9)
    found = rm.tv(law, target, accuracy=0.1)
    assert found.kind == "monte-carlo"
    one = rm.Gaussian.isotropic(1.0, 1)
    alone = rm.tv(rm.stationary_law(schemes.randomized_midpoint_langevin(friction=2), one, 0.9), one)
    assert found.upper >= alone.lower


# ------------------------------------------------------------------- refusals


SINGULAR = rm.Gaussian([0.0, 0.0], [1.0, 0.0])


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ((schemes.overdamped, NORMAL, 0), ValueError, "^step: expected"),
        ((schemes.overdamped, NORMAL, 2.1), ValueError, "^step: 2.1 is too long: "),
        ((schemes.overdamped, NORMAL, math.nan), ValueError, "^step: expected"),
        ((schemes.overdamped, NORMAL, 1e300), ValueError, r"^step: 1e\+300 is too long: "),
        (
            (schemes.randomized_midpoint_langevin(friction=2), NORMAL, 1e300),
            ArithmeticError,
            "^step: .*not resolved by",
        ),
        (
            (schemes.underdamped(friction=2), rm.Gaussian([0.0, 0.0], [1.0, 0.0]), 0.1),
            ValueError,
            "^target: expected pos",
        ),
        ((schemes.overdamped, "normal", 0.1), TypeError, "^target: "),
        ((schemes.overdamped, rm.GaussianMixture([1.0], [[0.0]], [[1.0]]), 0.1), TypeError, "^target: "),
    ],
)
def test_what_has_no_invariant_law_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        rm.stationary_law(*arguments)
    with pytest.raises(ValueError, match="^time: expected"):
        rm.stationary_law(schemes.overdamped, NORMAL, 0.1, time=-1)


@schemes.scheme
def drifting(x, t, h, score, draw):
    a = draw.uniform()
    return x + h * score(t, x) + a * h


def test_a_step_that_drifts_is_refused():
    with pytest.raises(ValueError, match="^scheme: the step shifts its state by what it draws"):
        rm.stationary_law(drifting, NORMAL, 0.1)


def test_an_unstable_map_has_no_invariant_averages():
    found = spread(schemes.overdamped, NORMAL.modes, NORMAL.variances, 0.0, 2.5)
    assert invariant(step_map(found, 1), 1) is None
    with pytest.raises(OverflowError, match="unstable"):
        Powers(step_map(found, 1), 1).after(10**6, np.ones((1, 1)))


def test_the_pieces_of_a_power_are_the_steps():
    found = spread(RML, NORMAL.modes, NORMAL.variances, 0.0, 0.3)
    D = step_map(found, 3)
    m = Powers(D, 3).after(1, np.array([[0.4, -0.1, 0.2]]))
    for steps in range(2, 7):
        m = m + (D @ m[..., None])[..., 0]
        np.testing.assert_allclose(Powers(D, 3).after(steps, np.array([[0.4, -0.1, 0.2]])), m, rtol=1e-13, atol=1e-16)
    assert list(itertools.islice(m.shape, 2)) == [1, 20]


# --- steps of other papers, and trajectories ------------------------------------------------------------------------


def poisson_excess(z, M):
    """E A^2 and the noise over independent choices of probability 1/M, by their means and variances."""
    q = 1 - 1 / M
    square = (1 - z + z * z * q / 2) ** 2 + z**4 * q * (M - 1) * (2 * M - 1) / (6 * M * M)
    noise = 2 * z * (1 - z * q + z * z * (q * q / 2 + q * (2 - 1 / M) / 6))
    return (square + noise - 1) / (1 - square)


EXCESSES = {
    "overdamped_midpoint": ({}, lambda z: z**3 / (6 - 6 * z + 3 * z**2 - z**3)),
    "stochastic_runge_kutta": ({}, lambda z: (-(z**2) / 3 + z**3 / 4) / (2 - 2 * z + z**2 - z**3 / 4)),
    "poisson_midpoint": ({"cells": 4}, lambda z: poisson_excess(z, 4)),
}


@pytest.mark.parametrize("name", EXCESSES)
@pytest.mark.parametrize("h", [0.2, 1e-2])
def test_the_excess_of_other_steps_is_its_closed_form(name, h):
    given, due = EXCESSES[name]
    scheme, k = getattr(schemes, name), np.array([0.5, 2.0])
    law = rm.stationary_law(scheme(**given) if given else scheme, rm.Gaussian([0.3, -1.0], 1 / k), h)
    np.testing.assert_allclose(law.excess, due(k * h), rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 7])
def test_trajectories_from_fresh_velocities(steps):
    """The variance after one, from 0 and from 1, is a line whose fixed point is left invariant."""
    h, k, u = 0.2, 1.5, 0.5

    def after(variance):
        xx, xv, vv = variance, 0.0, u
        for _ in range(steps):  # x' = p x + q v, v' = r x + s v with a ~ U[0, 1]: E a = 1/2, Var a = 1/12
            p, r, s = 1 - u * k * h**2 / 2, -u * k * h, 1 - u * k * h**2 / 2
            q, dq, ds = h - u * k * h**3 / 4, u * k * h**3 / 2, u * k * h**2
            xx, xv, vv = (
                p * p * xx + 2 * p * q * xv + (q * q + dq * dq / 12) * vv,
                p * r * xx + (p * s + q * r) * xv + (q * s + dq * ds / 12) * vv,
                r * r * xx + 2 * r * s * xv + (s * s + ds * ds / 12) * vv,
            )
        return xx

    law = rm.stationary_law(schemes.stratified_hmc(mass=u), rm.Gaussian([0.7], [1 / k]), h, fresh=steps)
    start, slope = after(0.0), after(1.0) - after(0.0)
    assert law.variances[0] == pytest.approx(start / (1 - slope), rel=1e-13)
    assert law.means[0] == pytest.approx(0.7, rel=1e-15)
    assert (law.velocity_variances, law.covariances) == (None, None)


@pytest.mark.parametrize(
    ("scheme", "fresh", "message"),
    [
        (schemes.overdamped, 5, "^fresh: expected a scheme with a velocity"),
        (schemes.stratified_hmc, 0, "^fresh: expected"),
        (schemes.stratified_hmc, None, r"draw the velocity fresh="),
    ],
)
def test_velocities_that_cannot_be_drawn_fresh(scheme, fresh, message):
    with pytest.raises(ValueError, match=message):
        rm.stationary_law(scheme, NORMAL, 0.1, fresh=fresh)
