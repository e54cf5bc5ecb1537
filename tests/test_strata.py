"""Many strata: the chain over them against full tensor rules, simulation, 50-digit averages and leading terms."""

from __future__ import annotations

import functools
import itertools

import mpmath as mp
import numpy as np
import pytest
from oracles import textbook
from oracles.plain import parallel_midpoint, score_of, strata_rule
from scipy import stats

import rmverify as rm
from rmverify import schemes
from rmverify.claims.looks import parallel_steps as facts
from rmverify.claims.looks.measure import fitted
from rmverify.elementary import exp, prefix, total
from rmverify.laws.averages.strata import averages
from rmverify.numbers.quadrature import unit_rule
from rmverify.plans import footprint
from rmverify.readings.cells import read_chain

LAM, MEAN = np.array([0.05, 3.0, 1.0]), np.array([1.5, -1.0, 0.3])
TARGET = rm.Gaussian(MEAN, LAM)
GAIN = 0.2


def bias(t):
    return 0.3 * np.cos(3 * t)


def plain_score(t, x, estimated=False):
    return score_of(LAM, MEAN, *((GAIN, bias) if estimated else ()))(t, x)


def plain_step(x, t, h, alphas, rounds, score=plain_score):
    """The parallel step of the modes, alphas (R, n)."""
    return parallel_midpoint(x, t, h, alphas[..., None], score, rounds)


def tensor(t, h, strata, rounds, nodes, score=plain_score):
    """A and B (nodes^R, modes) of x' = A x + B at every choice of the nodes of Gauss's rule, and their weights."""
    alphas, weights = strata_rule(strata, nodes)
    at0, at1 = (plain_step(np.full(3, z), t, h, alphas, rounds, score) for z in (0.0, 1.0))
    return at1 - at0, at0, weights


# --- against the full tensor rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
@pytest.mark.parametrize("strata", [1, 2, 3])
def test_the_chain_is_the_tensor_rule(strata, rounds):
    t, h, nodes = 1.0, 0.3, 10
    A, B, w = tensor(t, h, strata, rounds, nodes)
    scheme = schemes.parallel_midpoint(strata=strata, rounds=rounds)
    x, weights = unit_rule(nodes)
    chain = read_chain(scheme, footprint(scheme), TARGET.modes, np.full((1, 1, 1), t), np.full((1, 1, 1), h), x)
    a, b = w @ A, w @ B
    dA, dB = A - a, B - b
    due = [a, b, *((w[:, None] * left).T @ right for left, right in ((dA, dA), (dA, dB), (dB, dB)))]
    both, own = averages(chain, weights, cross=True), averages(chain, weights)
    for found, value in zip(both, due, strict=True):
        assert np.abs(found[0] - value).max() <= 1e-13 * np.abs(value).max()
    for found, value in zip(own, due, strict=True):
        value = value if value.ndim == 1 else np.diagonal(value)
        assert np.abs(found[0] - value).max() <= 1e-13 * np.abs(value).max()


@pytest.mark.parametrize("estimated", [False, True])
def test_moments_of_four_strata_over_two_steps(estimated):
    """Mean and full covariance of the output, the modes correlated by the midpoints they share."""
    levels, rounds = [1.0, 0.8, 0.65], 2
    score = functools.partial(plain_score, estimated=estimated)
    mean, second = np.zeros(3), np.eye(3)  # E x, E x x^T of the start N(0, I)
    for t, end in itertools.pairwise(levels):
        A, B, w = tensor(t, t - end, 4, rounds, 8, score)
        W = w[:, None]
        ab = (W * A).T @ B * mean[:, None]
        second = (W * A).T @ A * second + ab + ab.T + (W * B).T @ B
        mean = (w @ A) * mean + w @ B
    target = rm.EstimatedScore(TARGET, gain=GAIN, bias=bias) if estimated else TARGET
    law = rm.output_law(rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=4, rounds=rounds), levels)]), target)
    assert np.abs(law.mean - mean).max() <= 1e-13 * np.abs(mean).max()
    assert np.abs(law.covariance - (second - np.outer(mean, mean))).max() <= 1e-13 * np.abs(second).max()
    assert law.correlated
    assert law.rounding.max() < 1e-13


def test_one_stratum_more_stages_and_correctors_go_together():
    """A plan of strata, a corrector and strata again, against the same plan with the tensor rule's moments."""
    many = schemes.parallel_midpoint(strata=4, rounds=1)
    plan = rm.Plan(
        [rm.Predict(many, [1.0, 0.8]), rm.Correct(schemes.overdamped, 0.8, 0.05, 1), rm.Predict(many, [0.8, 0.7])]
    )
    law = rm.output_law(plan, TARGET)
    v = 1 + (LAM - 1) * np.exp(-1.6)
    langevin = (1 - 0.05 / v)[None], (0.05 * np.exp(-0.8) * MEAN / v)[None], np.ones(1), 0.1
    steps = [(*tensor(1.0, 0.2, 4, 1, 8), 0), langevin, (*tensor(0.8, 0.1, 4, 1, 8), 0)]
    mean, second = np.zeros(3), np.eye(3)
    for A, B, w, noise in steps:
        W = w[:, None]
        ab = (W * A).T @ B * mean[:, None]
        second = (W * A).T @ A * second + ab + ab.T + (W * B).T @ B + noise * np.eye(3)
        mean = (w @ A) * mean + w @ B
    assert np.abs(law.mean - mean).max() <= 1e-13 * np.abs(mean).max()
    assert np.abs(law.covariance - (second - np.outer(mean, mean))).max() <= 1e-13 * np.abs(second).max()


def test_centred_modes_stay_uncorrelated():
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=16, rounds=2), [1.0, 0.8])])
    law = rm.output_law(plan, TARGET.with_modes(LAM, np.zeros(3)))
    assert not law.correlated
    assert (law.means == 0).all()
    shifted = rm.output_law(plan, TARGET)  # the start is centred: E A^2 is the same, and the spread of B comes on top
    assert (shifted.variances > law.variances).all()


# --- against simulation -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_strata_against_plain_simulation():
    """300000 particles of the printed formula. Whitened by the exact law each first and second moment is within its
    own standard error; the nine tests together fail by chance once in 10^6."""
    levels, n, rng = [1.2, 0.8, 0.6], 300_000, np.random.default_rng(21)
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=8, rounds=2), levels)])
    law = rm.output_law(plan, TARGET)
    x = rng.standard_normal((n, 3))
    for t, end in itertools.pairwise(levels):
        x = plain_step(x, t, t - end, (np.arange(8)[:, None] + rng.random((8, n))) / 8, 2)
    z = np.linalg.solve(np.linalg.cholesky(law.covariance), (x - law.mean).T)
    threshold = stats.norm.ppf(1 - 1e-6 / 18)
    for i in range(3):
        assert abs(z[i].mean()) * np.sqrt(n) < threshold
        for j in range(i + 1):
            products = z[i] * z[j]
            assert abs(products.mean() - (i == j)) / products.std() * np.sqrt(n) < threshold


# --- one step over balls ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_errors_of_four_strata_against_50_digits():
    """The textbook step at 5 Gauss nodes a stratum: strata of length 2^-8 lie 4 orders of magnitude from the pole."""
    lam, t, h, strata, rounds = 0.4, 1.0, 2.0**-6, 4, 1
    found = rm.local_error(schemes.parallel_midpoint(strata=strata, rounds=rounds), rm.Gaussian([1.0], [lam]), t, h)
    with mp.workdps(50):
        level, length, one = mp.mpf(t), mp.mpf(h), mp.mpf(1)
        score = textbook.gaussian_score(mp.mpf(lam), one)
        roots = [mp.findroot(lambda z: mp.legendre(5, z), z) for z in np.polynomial.legendre.leggauss(5)[0]]
        weights = [1 / ((1 - z * z) * mp.diff(lambda y: mp.legendre(5, y), z) ** 2) for z in roots]
        terms = []
        for choice in itertools.product(range(5), repeat=strata):
            alphas = [((1 + roots[k]) / 2 + i) / strata for i, k in enumerate(choice)]
            B, end = (
                textbook.parallel_midpoint(z, level, length, alphas, score, strata, rounds) for z in (0 * one, one)
            )
            terms.append((mp.fprod(weights[k] for k in choice), end - B, B))
        a, b = mp.fsum(w * A for w, A, _ in terms), mp.fsum(w * B for w, _, B in terms)

        def v(s):
            return 1 + (mp.mpf(lam) - 1) * mp.exp(-2 * s)

        slope = mp.sqrt(v(level - length) / v(level))
        m = mp.exp(-level)
        shift = mp.exp(-(level - length)) - slope * m
        due_bias = (a - slope) ** 2 * v(level) + ((a - slope) * m + b - shift) ** 2
        due_variance = mp.fsum(w * ((A - a) ** 2 * v(level) + ((A - a) * m + B - b) ** 2) for w, A, B in terms)
        assert abs(found.bias / due_bias - 1) < 1e-14
        assert abs(found.variance / due_variance - 1) < 1e-14


@pytest.mark.slow
@pytest.mark.parametrize("lam", [0.05, 1.0, 4.0])
def test_leading_terms_at_64_strata(lam):
    """bias -(v-1) h d^2 x/(6 v^3), variance (2v-1)^2 h^4/(12 v^3 R^3), d = h/R. The next terms are of relative order h
    and cancel in 2 ratio(h/2) - ratio(h), which leaves (C h)^2; C = 10^3 stands for the powers of 1/v and of R."""
    R, t, h = 64, 1.0, 2.0**-24
    v = 1 + (lam - 1) * np.exp(-2 * t)
    scheme = schemes.parallel_midpoint(strata=R, rounds=3)
    ratios = []
    for step in (h, h / 2):
        found = rm.local_error(scheme, rm.Gaussian([0.0], [lam]), t, step)
        due = (v - 1) * step * (step / R) ** 2 / (6 * v**3) * np.sqrt(v)
        due_variance = (2 * v - 1) ** 2 * step**4 / (12 * v**3 * R**3)
        ratios.append([np.sqrt(found.bias) / abs(due) if lam != 1 else 1.0, found.variance / due_variance])
    assert np.abs(2 * np.array(ratios[1]) - ratios[0] - 1).max() < (1e3 * h) ** 2 + 1e-13


# --- the facts ----------------------------------------------------------------------------------------------------


@functools.cache
def table(h):
    return facts.step_errors(schemes.parallel_midpoint, rm.Gaussian.isotropic(0.25, 1), 1.0, h)


@pytest.mark.slow
def test_without_rounds_strata_do_not_touch_the_bias():
    for h in (facts.SHORT, facts.LONG):
        first, *others = (table(h)["bias"][R, 0] for R in facts.STRATA)
        for bias in others:
            assert abs(bias / first - 1) <= (bias.error + first.error) / first < 1e-14


@pytest.mark.slow
def test_the_floor_of_the_bias_and_the_variance_fall_with_the_strata():
    names = ("1/R", "size")
    x = [1 / R for R in facts.STRATA]
    for what, power, counts in (("bias", 2, (3, 4)), ("variance", 3, facts.ROUNDS)):
        for K in counts:
            y = [float(table(facts.SHORT)[what][R, K]) for R in facts.STRATA]
            assert fitted(what, x, y, power, names=names).finding == "holds"


@pytest.mark.slow
def test_rounds_lower_the_bias_only_to_the_floor():
    """A floor of d^2 h leaves nothing to gain at R = 1; at R = 64 it is 4096 times lower."""
    alone, many = ([table(facts.LONG)["bias"][R, K] for K in facts.ROUNDS] for R in (1, 64))
    assert min(alone) > alone[0] / 2
    assert all(after < before for before, after in itertools.pairwise(many))
    assert many[-1] < many[0] / 1000
    short = table(facts.SHORT)["bias"]
    assert abs(short[64, 4] / short[64, 3] - 1) < 64 * facts.SHORT  # on the floor


@pytest.mark.slow
def test_many_strata_and_rounds_are_the_exact_flow():
    """The root mean square falls like R^{-3/2}, by 8 from one R = 4^K to the next, once the variance leads."""
    bias, variance = (table(facts.LONG)[what] for what in ("bias", "variance"))
    way = [float(np.sqrt(bias[size] ** 2 + variance[size])) for size in ((1, 0), (4, 1), (16, 2), (64, 3))]
    assert all(after < before / 4 for before, after in itertools.pairwise(way))


# --- refusals -----------------------------------------------------------------------------------------------------


def summed(x, t, h, score, draw):
    """Sums numbers of other strata's midpoints."""
    _, a = draw.strata(8)
    return x + h * total(prefix(exp(a * h)) * score(t, exp(a * h) * x))


def twice(x, t, h, score, draw):
    """Goes on after the sum over the strata."""
    _, a = draw.strata(8)
    end = x + h * total(score(t - a * h, exp(a * h) * x))
    return x + h * total(exp(a * h) * score(t, end))


def noisy(x, t, h, score, draw):
    _, a = draw.strata(8)
    (w,) = draw.normal([[h]])
    return x + h * total(score(t - a * h, exp(a * h) * x)) + w


def loose(x, t, h, score, draw):
    """Ends in a row over the strata."""
    _, a = draw.strata(8)
    return x + h * prefix(score(t - a * h, exp(a * h) * x))


def outside(x, t, h, score, draw):
    _, a = draw.strata(8)
    return x + h * total(score(t - a * h, exp(a * h) * x)) * total(exp(a * h))


@pytest.mark.parametrize("step", [summed, twice, noisy, loose, outside])
def test_steps_that_are_no_chain_are_refused(step):
    with pytest.raises(ValueError, match=r"^scheme: .*(strata|must return its state)"):
        _ = rm.output_law(rm.Plan([rm.Predict(step, [1.0, 0.9])]), TARGET).variances
    with pytest.raises((ValueError, TypeError), match=r"^scheme: .*(strata|must return its state|draws normal values)"):
        rm.local_error(step, TARGET, 1.0, 0.1)


def bent(x, t, h, score, draw):
    _, a = draw.strata(8)
    s = score(t, exp(a * h) * x)
    return x + h * total(s * s)


def test_steps_that_are_not_affine_are_a_type_error():
    with pytest.raises(TypeError, match="affine"):
        _ = rm.output_law(rm.Plan([rm.Predict(bent, [1.0, 0.9])]), TARGET).variances
