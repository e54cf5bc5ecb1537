"""The law of a randomized plan on a product, whose coordinates share the midpoints: against closed forms for normal
factors, against quadrature over midpoints and coordinates with steps written out here, and against laws given the
midpoints."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from oracles.plain import at_every_midpoint, noised, unit_rule
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

import rmverify as rm
from rmverify import Correct, Gaussian, Plan, Predict, Product, schemes, targets
from rmverify.laws import NotMonotone, SharedLaw
from rmverify.laws.shared import grid_of, log_densities

CHANCE = 1.6  # half-widths: at one in 600
NORMAL, TWO, SKEW = targets.TwoGaussians(0.0, 0.25), targets.TwoGaussians(2.0), targets.SkewNormal(3.0)


def plan_of(times, scheme=schemes.randomized_midpoint):
    return Plan([Predict(scheme, times)])


def close(value, exact):
    assert value.kind == "monte-carlo"
    assert abs(float(value) - exact) <= CHANCE * value.error
    return True


# --- normal factors: the law given the midpoints is N(0, s^2 I), and all is an integral over the radius ---------------


def radial(v, times, d):
    """Densities of |x| of the law averaged over midpoints and of q, and weights."""
    s2, weights = at_every_midpoint(v, times, unit_rule(24))
    s, b = np.sqrt(s2), math.sqrt(noised(v, times[-1]))
    width = 12 / math.sqrt(2 * d)
    r = b * math.sqrt(d) * np.linspace(max(1e-9, 1 - width), 1 + width, 4001)

    def chi(s):  # of the radius of N(0, s^2 I)
        return np.exp(
            (d - 1) * np.log(r) - d * np.log(s) - r * r / (2 * s * s) - (d / 2 - 1) * math.log(2) - gammaln(d / 2)
        )

    return sum(w * chi(each) for w, each in zip(weights, s, strict=True)), chi(b), r[1] - r[0]


@pytest.mark.slow
@pytest.mark.parametrize("d, times", [(2, [1.0, 0.8, 0.6]), (1000, [1.0, 0.8, 0.6]), (10**6, [1.0, 0.995, 0.99])])
def test_normal_factors_are_the_isotropic_gaussian(d, times):
    p, q, dr = radial(0.25, times, d)
    law = rm.output_law(plan_of(times), Product(NORMAL, d), start="exact")
    other = Product(NORMAL, d).at(times[-1])
    inside = (p > 1e-200) & (q > 1e-200)
    p, q = p[inside], q[inside]
    log, square = np.log(p / q), dr * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2  # sums of terms of one sign
    for found, exact in (
        (rm.tv(law, other, accuracy=0.05), dr * np.abs(p - q).sum() / 2),
        (rm.tv(other, law, accuracy=0.05, rng=1), dr * np.abs(p - q).sum() / 2),
        (rm.kl(law, other, accuracy=0.05), dr * (p * log - p + q).sum()),
        (rm.kl(other, law, accuracy=0.05), dr * (p - q - q * log).sum()),
        (rm.hellinger(law, other, accuracy=0.05), math.sqrt(square)),
        (rm.renyi(law, other, 0.5, accuracy=0.05), -2 * math.log1p(-square)),
    ):
        assert close(found, exact)
        assert found.error <= 0.1 * exact


@pytest.mark.slow
def test_the_interval_covers_at_its_level():
    """Of 20 intervals at 95 %, fewer than 15 cover with a probability of 1 in 3000."""
    times, d = [1.0, 0.8], 10
    p, q, dr = radial(0.25, times, d)
    exact = dr * np.abs(p - q).sum() / 2
    law, other = rm.output_law(plan_of(times), Product(NORMAL, d), start="exact"), Product(NORMAL, d).at(0.8)
    found = [rm.tv(law, other, accuracy=0.1, rng=seed) for seed in range(20)]
    assert sum(value.lower <= exact <= value.upper for value in found) >= 15


# --- one step on factors that are not normal, by quadrature -----------------------------------------------------------


def two(t):
    """Log density, score and slope of two Gaussians at +-2 of variance 1."""
    m = 2 * math.exp(-t)
    return (
        lambda x: np.logaddexp(-((x - m) ** 2) / 2, -((x + m) ** 2) / 2) - math.log(8 * math.pi) / 2,
        lambda x: m * np.tanh(m * x) - x,
        lambda x: (m / np.cosh(m * x)) ** 2 - 1,
    )


@functools.cache
def one_step(t, h):
    """Grid x, its weights, the densities p_a at the nodes a of a rule, (nodes, points), the rule's weights, and q."""
    a, weights = unit_rule(20)
    z = np.linspace(-11.0, 11.0, 4001)
    x = np.linspace(-9.0, 9.0, 901)
    log_density, score, slope = two(t)
    rows = []
    for each in a:
        half, grown = (
            np.exp(each * h) * z + np.expm1(each * h) * score(z),
            np.exp(each * h) + np.expm1(each * h) * slope(z),
        )
        _, later, later_slope = two(t - each * h)
        weight = h * math.exp((1 - each) * h)
        end, end_slope = math.exp(h) * z + weight * later(half), math.exp(h) + weight * later_slope(half) * grown
        assert (end_slope > 0).all()
        rows.append(np.exp(CubicSpline(end, log_density(z) - np.log(end_slope))(x)))
    return x, x[1] - x[0], np.array(rows), weights, np.exp(two(t - h)[0](x))


@pytest.mark.slow
def test_two_coordinates_by_nested_quadrature():
    _, dx, p, weights, q = one_step(1.0, 0.4)
    np.testing.assert_allclose(dx * p.sum(axis=1), 1, rtol=1e-6)
    both, apart = (p.T * weights) @ p, np.multiply.outer(q, q)
    inside = (both > 1e-200) & (apart > 1e-200)
    p, q = both[inside], apart[inside]
    log, square = np.log(p / q), dx * dx * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2
    quarter = dx * dx * (p**0.25 * q**0.75 - p / 4 - 3 * q / 4).sum()
    law, other = rm.output_law(plan_of([1.0, 0.6]), Product(TWO, 2), start="exact"), Product(TWO, 2).at(0.6)
    assert close(rm.tv(law, other, accuracy=0.01), dx * dx * np.abs(p - q).sum() / 2)
    assert close(rm.kl(law, other, accuracy=0.1), dx * dx * (p * log - p + q).sum())
    assert close(rm.kl(other, law, accuracy=0.1), dx * dx * (p - q - q * log).sum())
    assert close(rm.hellinger(law, other, accuracy=0.02), math.sqrt(square))
    assert close(rm.renyi(law, other, 0.25, accuracy=0.02), math.log1p(quarter) / -0.75)


def test_three_coordinates_by_nested_quadrature():
    _, dx, p, weights, q = one_step(1.0, 0.4)
    p, q, dx = p[:, ::6], q[::6], 6 * dx
    three = np.einsum("a,ai,aj,ak->ijk", weights, p, p, p, optimize=True)
    exact = dx**3 * np.abs(three - np.einsum("i,j,k->ijk", q, q, q)).sum() / 2
    law = rm.output_law(plan_of([1.0, 0.6]), Product(TWO, 3), start="exact")
    assert close(rm.tv(law, Product(TWO, 3).at(0.6), accuracy=0.02), exact)


@pytest.mark.slow
def test_thirty_coordinates_by_plain_simulation():
    """TV = E |r - 1|/(r + 1) over draws from the equal mixture of both, r by the rule over the midpoint."""
    x, dx, p, weights, q = one_step(1.0, 0.4)
    rng, d, n = np.random.default_rng(0), 30, 3000
    row = np.where(np.arange(n) % 2 == 0, len(p), rng.choice(len(p), n, p=weights))
    z = np.empty((n, d))
    for k, density in enumerate([*p, q]):
        here = row == k
        z[here] = np.interp(rng.random((here.sum(), d)), np.cumsum(density) * dx, x + dx / 2)
    logs = CubicSpline(x, np.log(p / q), axis=1)(z).sum(axis=2)
    values = np.abs(np.tanh(np.log(weights @ np.exp(logs)) / 2))
    found = rm.tv(rm.output_law(plan_of([1.0, 0.6]), Product(TWO, d), start="exact"), Product(TWO, d).at(0.6))
    assert abs(found - values.mean()) <= found.error + 3.5 * values.std() / math.sqrt(n)
    assert found.error < 0.02 * found


def test_laws_given_the_midpoints_average_to_that_of_a_coordinate():
    law = SharedLaw(plan_of([1.0, 0.6]), Product(TWO, 2), "exact")
    x, _, p, weights, _ = one_step(1.0, 0.4)
    grid = grid_of(law, TWO.at(0.6), 1)
    inside = np.abs(grid.x) < 4
    means = np.array([np.exp(each).mean(axis=0) for each in log_densities(law, grid, 8, 256, np.random.default_rng(0))])
    error = means.std(axis=0, ddof=1) / math.sqrt(8)
    due = CubicSpline(x, weights @ p)(grid.x)
    assert (np.abs(means.mean(axis=0) - due)[inside] <= (9 * error + 1e-7)[inside]).all()  # of 7 degrees of freedom
    assert error[inside].max() < 1e-4


def test_a_coordinate_by_itself_has_the_average_law():
    x, dx, p, weights, _ = one_step(1.0, 0.4)
    law = rm.output_law(plan_of([1.0, 0.6]), Product(TWO, 7), start="exact")
    assert law.mean == pytest.approx(0, abs=1e-9)
    assert law.variance == pytest.approx(dx * (x * x * (weights @ p)).sum(), rel=1e-8)


@pytest.mark.slow
def test_several_strata():
    """Of a parallel midpoint with two of them, laws given midpoints by a product rule."""
    scheme, x = schemes.parallel_midpoint(strata=2, rounds=1), np.array([-1.5, 0.0, 0.7])
    law = rm.output_law(plan_of([1.0, 0.5], scheme), Product(SKEW, 2), start="exact")
    a, w = unit_rule(6)
    due = sum(
        u * v * law.conditional([[b / 2, (1 + c) / 2]]).density(x)
        for b, u in zip(a, w, strict=True)
        for c, v in zip(a, w, strict=True)
    )
    grid = grid_of(law, SKEW.at(0.5), 1)
    means = np.array([
        np.exp(CubicSpline(grid.x, each, axis=1)(x)).mean(axis=0)
        for each in log_densities(law, grid, 8, 256, np.random.default_rng(0))
    ])  # fmt: skip
    assert (np.abs(means.mean(axis=0) - due) <= 9 * means.std(axis=0, ddof=1) / math.sqrt(8) + 1e-4 * due).all()


# --- what must hold ---------------------------------------------------------------------------------------------------


@functools.cache
def some_law(d, factor=SKEW):
    return rm.output_law(plan_of(np.linspace(2.0, 0.2, 7)), Product(factor, d)), Product(factor, d).at(0.2)


@pytest.mark.slow
def test_more_coordinates_are_further_apart():
    values = [rm.tv(*some_law(d), accuracy=0.1) for d in (2, 6, 30, 10**12)]
    assert all(a.upper < b.lower for a, b in itertools.pairwise(values))
    assert values[-1].upper == 1


@pytest.mark.slow
def test_averaging_over_midpoints_brings_laws_closer():
    (law, q), rng = some_law(20, TWO), np.random.default_rng(0)
    given = [float(rm.tv(law.conditional(list(rng.random(6))), q)) for _ in range(20)]
    assert rm.tv(law, q, accuracy=0.1).upper < np.mean(given) - 3 * np.std(given) / math.sqrt(20)


@pytest.mark.slow
def test_distances_fit_together():
    law, q = some_law(6)
    tv, kl, reverse, h = (
        rm.tv(law, q, accuracy=0.1), rm.kl(law, q, accuracy=0.1), rm.kl(q, law, accuracy=0.1),
        rm.hellinger(law, q, accuracy=0.1),
    )  # fmt: skip
    assert max(2 * tv.lower**2, h.lower**2) <= min(kl.upper, reverse.upper)
    assert h.lower**2 <= tv.upper
    assert tv.lower <= h.upper * math.sqrt(2 - h.upper**2)


@pytest.mark.slow
def test_numbers_are_reproducible():
    law, q = some_law(6)
    first, again, other = (rm.tv(law, q, accuracy=0.1, rng=seed) for seed in (3, 3, 4))
    assert first == again != other
    assert max(first.lower, other.lower) < min(first.upper, other.upper)
    assert rm.tv(law, q, accuracy=0.04).error < first.error


def test_a_step_of_a_stranger_may_do_rarely_what_is_not_seen():
    @schemes.scheme
    def mine(x, t, h, score, draw):
        a = draw.uniform()
        return x + h * (x + score(t - a * h, x))

    law = rm.output_law(plan_of([1.0, 0.8], mine), Product(NORMAL, 5), start="exact")
    q = Product(NORMAL, 5).at(0.8)
    value = rm.tv(law, q, accuracy=0.1)
    assert value.upper < 0.05
    assert rm.kl(law, q).kind == "upper"


@pytest.mark.slow
def test_of_very_long_plans_nothing_is_said():
    law = rm.output_law(plan_of(np.linspace(3.0, 0.1, 20_001)), Product(TWO, 3))
    value = rm.tv(law, Product(TWO, 3).at(0.1))
    assert (value.kind, value.lower, value.upper) == ("upper", 0, 1)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_noise_beside_shared_midpoints_is_refused():
    plan = Plan([Predict(schemes.randomized_midpoint, [1.0, 0.5]), Correct(schemes.overdamped, 0.5, 0.1, 1)])
    with pytest.raises(TypeError, match=r"^plan: .* uniform midpoints only, and this one draws normal values"):
        rm.output_law(plan, Product(TWO, 3))


def test_choices_are_refused():
    @schemes.scheme
    def lazy(x, t, h, score, draw):
        return x + draw.bernoulli(h) * (x + score(t, x)) / 8

    with pytest.raises(TypeError, match=r"^plan: .* uniform midpoints only, and this one draws a choice or a duration"):
        rm.output_law(plan_of([1.0, 0.5], lazy), Product(TWO, 3))


@pytest.mark.parametrize("other", [TWO, Gaussian.isotropic(1.0, 6), some_law])
def test_other_laws_are_refused(other):
    law, _ = some_law(6)
    other = law if other is some_law else other
    with pytest.raises(TypeError, match=r"^q: expected a Product beside a SharedLaw, got "):
        rm.tv(law, other)
    if other is not law:
        with pytest.raises(TypeError, match=r"^p: expected a Product beside a SharedLaw, got "):
            rm.kl(other, law)


def test_other_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"^q: expected a law in dimension 6 as p, got dimension 7"):
        rm.tv(some_law(6)[0], Product(SKEW, 7))


def test_other_distances_are_refused():
    law, q = some_law(6)
    with pytest.raises(ValueError, match=r"^order: expected at most 1 beside a SharedLaw, got 2"):
        rm.renyi(law, q, 2.0)
    for ask in (rm.chi2, rm.w2):
        with pytest.raises(TypeError, match=r"SharedLaw"):
            ask(law, q)
    with pytest.raises((TypeError, ValueError)):
        rm.tv(law, q, certified=True)


@pytest.mark.parametrize("start", ["uniform", 1.0, Gaussian.isotropic(1.0, 1)])
def test_starts_are_checked(start):
    with pytest.raises(ValueError, match=r"^start: expected 'normal', 'exact' or a"):
        rm.output_law(plan_of([1.0, 0.5]), Product(TWO, 2), start=start)


def test_folds_are_refused():
    law = rm.output_law(plan_of([3.0, 1.8, 0.5]), Product(NORMAL, 2))
    with pytest.raises(NotMonotone, match=r"^plan: the step of .* is too long: .* folds the line"):
        rm.tv(law, Product(NORMAL, 2).at(0.5))


def test_what_is_not_resolved_is_refused():
    narrow = targets.TwoGaussians(40.0)
    law = rm.output_law(plan_of([3.0, 2.0, 1.0]), Product(narrow, 10**6), start="exact")
    with pytest.raises(ArithmeticError, match="plan: the step of .* is too long"):
        rm.tv(law, Product(narrow, 10**6).at(1.0))
