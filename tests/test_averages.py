"""Averages over what a step draws: narrow events, choices and durations, against closed forms and plain quadrature."""

from __future__ import annotations

import itertools
import math

import array_api_strict
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from mutants import averages as mutants
from oracles.plain import noised, randomized_midpoint, score_of, slope, unit_rule
from scipy import stats

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, expm1
from rmverify.errors.local import window_errors
from rmverify.laws.averages import bends, rules
from rmverify.plans import footprint
from rmverify.schemes import scheme
from rmverify.testing.strategies import alphas

NORMAL = rm.Gaussian.isotropic(1.0, 1)
H = 0.2
RNG = np.random.default_rng(12)
LIKELY = 1 - 1e-7  # of each test by simulation


def langevin(factor):
    """x' = x + h k s(x) + N(0, 2h), k = factor(draw)."""

    def step(x, t, h, score, draw):
        (z,) = draw.normal(((2 * h,),))
        return x + h * factor(draw) * score(t, x) + z

    return step


def variance(step, steps=1, h=H, target=NORMAL):
    return rm.output_law(rm.Plan([rm.Correct(step, 0.0, h, steps)]), target).variances[0]


def multiple(factor):
    """x' = f x, so that E f^2 is the variance after one step."""
    return lambda x, t, h, score, draw: x * factor(draw)


# --- events of a midpoint -----------------------------------------------------------------------------------------


def test_a_narrow_exponential_in_the_stationary_variance():
    w = 1e-4  # E(1 - hk)^2, k = 1 + 300 e^{-u/w}: .64 - 2 .8 .2 300 w + .2^2 300^2 w/2
    step = langevin(lambda draw: 1 + 300 * exp(-draw.uniform() / w))
    due = 2 * H / (1 - (0.64 - 96 * w + 1800 * w))
    assert rm.stationary_law(step, NORMAL, H).variances == pytest.approx(due, rel=1e-12)


@pytest.mark.parametrize("p", [0.3, 1e-3, 1e-6])
def test_indicators_in_the_stationary_variance(p):
    step = langevin(lambda draw: 1 + 4 * (draw.uniform() < p))
    square = (1 - p) * (1 - H) ** 2 + p * (1 - 5 * H) ** 2
    assert rm.stationary_law(step, NORMAL, H).variances == pytest.approx(2 * H / (1 - square), rel=1e-12)


def test_a_rare_large_event():
    step = langevin(lambda draw: 1 + 49 * (draw.uniform() < 0.001))
    due = 2 * H / (1 - 0.999 * 0.8**2 - 0.001 * 9**2)
    assert rm.stationary_law(step, NORMAL, H).variances == pytest.approx(due, rel=1e-12)
    step = langevin(lambda draw: 1 + 49 * (draw.uniform() < 0.004))
    v = 1.0
    for _ in range(3):
        v = (0.996 * 0.8**2 + 0.004 * 9**2) * v + 2 * H
    assert variance(step, 3) == pytest.approx(v, rel=1e-12)


def family(w, c, a):
    """f of u that depart from 1 by at most a on a width w, and E f^2."""

    def bell(k):
        return w * math.sqrt(math.pi / k) / 2 * (math.erf(math.sqrt(k) * (1 - c) / w) + math.erf(math.sqrt(k) * c / w))

    box = 1 + (2 * a + a * a) * w
    tail = 1 - 2 * a * w * math.expm1(-1 / w) - a * a * w / 2 * math.expm1(-2 / w)
    return {
        "inside": (lambda u: 1 + a * ((u > c) * (u < c + w)), box),
        "at 0": (lambda u: 1 + a * (u < w), box),
        "at 1": (lambda u: 1 + a * (u > 1 - w), box),
        "exponential": (lambda u: 1 + a * exp(-u / w), tail),
        "bell": (lambda u: 1 + a * exp(-((u - c) / w) * ((u - c) / w)), 1 + 2 * a * bell(1) + a * a * bell(2)),
    }


def worst_of_the_family():
    """The largest relative error over events of widths 0.3 to 1e-6; a refusal is none."""
    rng, worst = np.random.default_rng(5), 0.0
    for w, names in ((0.3, ("at 0", "exponential")), (1e-3, ("at 1",)), (1e-6, ("inside", "bell"))):
        found = family(w, rng.random() * (1 - w), 10 ** rng.uniform(0, 3))
        for name in names:
            f, due = found[name]
            try:
                worst = max(worst, abs(variance(multiple(lambda draw, f=f: f(draw.uniform()))) / due - 1))
            except bends.NotResolved:
                continue
    return worst


def test_events_down_to_one_in_a_million_are_found():
    assert worst_of_the_family() < 2e-9  # c + w is rounded by 1e-16, of w = 1e-6


@pytest.mark.parametrize("mutant", mutants.QUADRATURES, ids=lambda mutant: mutant.__name__)
def test_a_quadrature_that_misses_events_is_noticed(mutant, monkeypatch):
    monkeypatch.setattr(rules, "_known", type(rules._known)())
    mutant(monkeypatch)
    assert worst_of_the_family() > 1e-6


def test_events_of_two_midpoints_together():
    w, c, e, a = 1e-3, 0.2304115667847537, 0.0519692797633452, 16.0

    def factor(draw):
        u, v = draw.uniform(), draw.uniform()
        return 1 + a * ((u > c) * (u < c + w) * (v > e) * (v < e + w))

    assert variance(multiple(factor)) == pytest.approx(1 + (2 * a + a * a) * w * w, rel=1e-12)


def test_an_event_whose_place_depends_on_the_step():
    """x' = x (1 + [u < t/4]), step by step: E f^2 = 1 + 3 t/4."""
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x * (1 + (draw.uniform() < t / 4)), [2.0, 1.0, 0.5])])
    assert rm.output_law(plan, NORMAL).variances == pytest.approx((1 + 3 * 2 / 4) * (1 + 3 / 4), rel=1e-12)


@pytest.mark.parametrize(
    ("lam", "start"), [(1e-30, "exact"), (1.0, rm.Gaussian([0.0], [1e-30])), (0.0, rm.Gaussian([0.0], [1e-30]))]
)
def test_events_of_tiny_targets_and_starts(lam, start):
    """x' = x/2 + e [u < p]: the mean is e p and the variance v/4 + e^2 p (1 - p)."""
    e, p = 1e-15, 0.3
    plan = rm.Plan([rm.Correct(lambda x, t, h, score, draw: x / 2 + e * (draw.uniform() < p), 0.0, H, 1)])
    law = rm.output_law(plan, rm.Gaussian([0.0], [lam]), start=start)
    assert law.means == pytest.approx(e * p, rel=1e-14, abs=0)
    assert law.variances == pytest.approx(1e-30 / 4 + e * e * p * (1 - p), rel=1e-14, abs=0)


def moving(x, t, h, score, draw):
    """x -> 50 x with probability 1e-5, at a place that moves with t."""
    return x * np.where(abs(draw.uniform() - 17 * t % 1) < 5e-6, 50.0, 1.0)


def test_a_rare_event_whose_place_moves_with_the_level():
    levels, due = [2.0, 1.7, 1.1, 0.8], 1.0
    for t in levels[:-1]:
        low, high = max(0.0, 17 * t % 1 - 5e-6), min(1.0, 17 * t % 1 + 5e-6)
        due *= 1 + (50**2 - 1) * (high - low)
    assert rm.output_law(rm.Plan([rm.Predict(moving, levels)]), NORMAL).variances == pytest.approx(due, rel=1e-10)


def test_events_that_move_over_too_many_levels_are_refused(monkeypatch):
    monkeypatch.setattr(bends, "_SOME", (4, 6))
    monkeypatch.setattr(bends, "_MOST", 1 << 23)
    plan = rm.Plan([rm.Predict(moving, np.linspace(2.0, 0.5, 21))])
    with pytest.raises(
        ArithmeticError, match="did not converge: it bends at places that move from step to step, and 20 "
    ):
        rm.output_law(plan, NORMAL).variances  # noqa: B018


@pytest.mark.parametrize("p", [0.25, 1e-5])
@pytest.mark.slow
def test_events_at_one_place_over_many_levels(p, monkeypatch):
    """A few levels are looked at closely: E f^2 = 1 + p (2 a + a^2), a = t."""
    monkeypatch.setattr(bends, "_SOME", (4, 4))
    levels = np.linspace(2.0, 0.5, 21)
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x * (1 + t * (draw.uniform() < p)), levels)])
    due = np.prod(1 + p * (2 * levels[:-1] + levels[:-1] ** 2))
    assert rm.output_law(plan, NORMAL).variances == pytest.approx(due, rel=1e-12)


@pytest.mark.slow
def test_a_wide_event_that_moves_over_many_levels(monkeypatch):
    monkeypatch.setattr(bends, "_SOME", (4, 4))
    levels = np.linspace(2.0, 0.5, 21)
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x * (1 + (draw.uniform() < t / 4)), levels)])
    due = np.prod(1 + 3 * levels[:-1] / 4)
    assert rm.output_law(plan, NORMAL).variances == pytest.approx(due, rel=1e-12)


@pytest.mark.parametrize("dim", [2, 300, 1000])
def test_a_spike_of_a_bias_is_found_however_many_modes_there_are(dim):
    """The midpoint step of each mode, by quadrature over the pieces around the spike; N(0, 1) before."""
    lam, (t, h), spike = np.linspace(1, 4, dim), (2.0, 1.0), (1.2345, 1.23453)
    bias = lambda t: np.where((t > spike[0]) & (t < spike[1]), 10000.0, 0.0)  # noqa: E731
    target = rm.EstimatedScore(rm.Gaussian(np.zeros(dim), lam), bias=bias)
    law = rm.output_law(rm.Plan([rm.Predict(schemes.randomized_midpoint, [t, t - h])]), target)
    a, w = unit_rule(40, [0.0, t - spike[1], t - spike[0], 1.0])
    A, b = slope(lam[-1], t, h, a), h * np.exp((1 - a) * h) * bias(t - a * h)
    assert law.means[-1] == pytest.approx(w @ b, rel=1e-10)  # an edge is known to 2e-16, of 3e-5
    assert law.variances[-1] == pytest.approx(w @ (A * A + b * b) - (w @ b) ** 2, rel=1e-10)


@pytest.mark.parametrize(
    ("draw_", "first", "second"),
    [
        (lambda draw: draw.exponential(), 1.0, 2.0),
        (lambda draw: 1 + (draw.uniform() < 0.3), 1.3, 1.9),
        (lambda draw: 1 + draw.bernoulli(0.3), 1.3, 1.9),
    ],
    ids=["duration", "event", "choice"],
)
def test_coefficients_per_coordinate_with_all_that_is_drawn(draw_, first, second):
    """x' = x + h c k s(x) + N(0, 2h) on N(0, lam), a coordinate each: E(1 - r k)^2, r = h c/lam."""
    c, lam, h = np.array([1.0, 2.0, 3.0, 1.0]), np.array([1.0, 2.0, 4.0, 8.0]), 0.1

    def step(x, t, h, score, draw):
        (z,) = draw.normal(((2 * h,),))
        return x + h * c * draw_(draw) * score(t, x) + z

    square = 1 - 2 * first * h * c / lam + second * (h * c / lam) ** 2
    target = rm.Gaussian(np.zeros(4), lam)
    law = rm.output_law(rm.Plan([rm.Correct(step, 0.0, h, 1)]), target)
    assert law.variances == pytest.approx(square + 2 * h, rel=1e-12)
    assert rm.stationary_law(step, target, h).variances == pytest.approx(2 * h / (1 - square), rel=1e-12)


def test_the_rounding_of_an_edge_is_in_the_error():
    """E f^2 of f = 1 + 100 [c < u < e] is 1 + (100^2 + 200) (e - c), and e - c of floats is exact here."""
    c, e = 0.6153844960961423, 0.6153844960961423 + 1e-6
    plan = rm.Plan(
        [rm.Correct(multiple(lambda draw: (lambda u: 1 + 100 * ((u > c) * (u < e)))(draw.uniform())), 0.0, H, 1)]
    )
    law = rm.output_law(plan, NORMAL)
    assert abs(law.variances[0] / (1 + 10_200 * (e - c)) - 1) <= law.rounding[0]
    assert law.rounding[0] < 1e-9


def test_what_no_rule_resolves_is_refused_as_such():
    words = "^scheme: the average over what a step draws did not converge: "
    wild = multiple(lambda draw: np.sin(1e8 * draw.uniform()))
    heavy = multiple(lambda draw: draw.uniform() ** -0.6)  # E f^2 is infinite
    for law in (lambda: variance(wild), lambda: variance(heavy), lambda: rm.stationary_law(heavy, NORMAL, H)):
        with pytest.raises(ArithmeticError, match=words):
            law()


@pytest.mark.parametrize("power", [0.1, 0.25, 0.4])
def test_a_weak_singularity_is_within_its_error_or_refused(power):
    """E u^{-2p} = 1/(1 - 2p)."""
    law = rm.output_law(rm.Plan([rm.Correct(multiple(lambda draw: draw.uniform() ** -power), 0.0, H, 1)]), NORMAL)
    try:
        off = abs(law.variances[0] * (1 - 2 * power) - 1)
    except bends.NotResolved:
        assert power > 0.25
    else:
        assert off <= law.rounding[0]
        assert law.rounding[0] < 1e-8


def test_second_moments_that_do_grow_are_told_as_such():
    step = langevin(lambda draw: 1 + 49 * (draw.uniform() < 0.01))  # .99 .64 + .01 81 = 1.4436
    with pytest.raises(ValueError, match="^step: 0.2 is too long: a step multiplies second moments by 1.44"):
        rm.stationary_law(step, NORMAL, H)


def test_the_error_of_one_step_with_a_rare_event():
    """On N(0, 1) the flow stands still: x' = x (1 + c [u < w]) is off by c w x on average, variance c^2 w (1 - w)."""
    c, w = 3.0, 1e-4
    error = rm.local_error(lambda x, t, h, score, draw: x * (1 + c * (draw.uniform() < w)), NORMAL, 1.0, 0.5)
    assert (error.bias, error.variance) == pytest.approx((c * c * w * w, c * c * w * (1 - w)), rel=1e-12)
    assert abs(error.bias - c * c * w * w) <= error.bias.error
    assert abs(error.variance - c * c * w * (1 - w)) <= error.variance.error


def test_what_an_edge_is_off_is_in_the_error_of_one_step():
    """x' = x + h (x + [u < p]/p s(x)) is Euler's on average: off by h^2, of which an edge at p is known to 5e-17/h."""
    p, lam, t, h = 0.3, 4.0, 0.9, 1e-7
    error = rm.local_error(
        lambda x, t, h, score, draw: x + h * (x + (draw.uniform() < p) / p * score(t, x)),
        rm.Gaussian([0.0], [lam]),
        t,
        h,
    )
    with mp.workdps(60):
        v, w = (1 + (lam - 1) * mp.exp(-2 * mp.mpf(s)) for s in (t, mp.mpf(t) - mp.mpf(h)))
        due = (1 + h * (1 - 1 / v) - mp.sqrt(w / v)) ** 2 * v
        assert abs(error.bias - due) <= error.bias.error < 1e-7 * due


def test_a_step_of_this_package_is_averaged_as_before():
    stage = rm.Predict(schemes.randomized_midpoint, [2.0, 1.0])
    known = len(rules._known)
    assert rules.rules(stage, NORMAL.modes).simple
    assert len(rules._known) == known


# --- choices and durations ------------------------------------------------------------------------------------------


def andersen(choose):
    """Velocity Verlet, then a new velocity by chance. Verlet keeps v^2 + (1 - h^2/4) x^2, as the new velocities do."""

    @scheme(kinetic=True)
    def step(state, t, h, score, draw):
        x, v = state
        s = score(t, x)
        y = x + h * v + h * h / 2 * s
        (fresh,) = draw.normal(((1,),))
        b = choose(draw)
        return y, (1 - b) * (v + h / 2 * (s + score(t, y))) + b * fresh

    return step


@pytest.mark.parametrize("p", [0.3, 0.004, 1e-6])
def test_an_andersen_thermostat(p):
    h = 0.1
    for choose in (lambda draw: draw.bernoulli(p), lambda draw: 1 * (draw.uniform() < p)):
        law = rm.stationary_law(andersen(choose), NORMAL, h)
        assert law.variances == pytest.approx(1 / (1 - h * h / 4), rel=1e-9)
        assert law.velocity_variances == pytest.approx(1.0, rel=1e-9)


def overdamped_for(duration):
    def step(x, t, h, score, draw):
        s = h * duration(draw)
        (z,) = draw.normal(((2 * s,),))
        return x + s * score(t, x) + z

    return step


@pytest.mark.parametrize(
    "duration", [lambda draw: draw.exponential(), lambda draw: -np.log(draw.uniform())], ids=["drawn", "made"]
)
def test_random_durations(duration):
    """E(1 - h tau)^2 = 1 - 2h + 2h^2 and E 2 h tau = 2h: stationary variance 1/(1 - h)."""
    h, v = 0.1, 1.0
    step = overdamped_for(duration)
    assert rm.stationary_law(step, NORMAL, h).variances == pytest.approx(1 / (1 - h), rel=1e-12)
    for _ in range(50):
        v = (1 - 2 * h + 2 * h * h) * v + 2 * h
    assert variance(step, 50, h) == pytest.approx(v, rel=1e-12)


def test_exponentials_of_a_duration():
    grow = multiple(lambda draw: exp(draw.exponential() * 0.2))
    assert variance(grow) == pytest.approx(1 / (1 - 0.4), rel=1e-13)
    for rate in (0.5, 0.6):  # E e^{2 rate tau} is infinite
        with pytest.raises(ArithmeticError, match="did not converge"):
            variance(multiple(lambda draw, rate=rate: exp(draw.exponential() * rate)))


def test_a_choice_whose_probability_depends_on_the_step_and_on_a_midpoint():
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x * (1 + draw.bernoulli(t / 4)), [2.0, 1.0, 0.5])])
    assert rm.output_law(plan, NORMAL).variances == pytest.approx((1 + 3 * 2 / 4) * (1 + 3 / 4), rel=1e-13)

    def factor(draw):
        u = draw.uniform()
        return 1 + 2 * draw.bernoulli(u * u)

    assert variance(multiple(factor)) == pytest.approx(1 + 8 / 3, rel=1e-13)  # E u^2 = 1/3, 3^2 - 1 = 8


def test_local_errors_with_choices_and_durations():
    """x' = x (1 + h^2 b) and x' = x (1 + h^2 (tau - 1)), where the flow stands still."""
    h, p = 0.01, 0.3
    chosen = rm.local_error(lambda x, t, h, score, draw: x * (1 + h * h * draw.bernoulli(p)), NORMAL, 1.0, h)
    assert (chosen.bias, chosen.variance) == pytest.approx((h**4 * p * p, h**4 * p * (1 - p)), rel=1e-13)
    waited = rm.local_error(lambda x, t, h, score, draw: x * (1 + h * h * draw.exponential()), NORMAL, 1.0, h)
    assert (waited.bias, waited.variance) == pytest.approx((h**4, h**4), rel=1e-13)


def test_errors_of_many_settings_with_choices_and_durations():
    """The step above with a choice of probability t/4 and a duration: E f - 1 = h^2 t/4, E (f - 1)^2 = 2 h^4 t/4."""
    t, h = np.array([[1.0], [2.0]]), np.array([[0.1], [0.2]])

    def step(x, t, h, score, draw):
        return x * (1 + h * h * draw.bernoulli(t / 4) * draw.exponential())

    bias, spread = window_errors(step, np.ones((1, 1)), t, h)
    assert bias == pytest.approx(h**4 * t * t / 16, rel=1e-12)
    assert spread == pytest.approx(h**4 * (t / 2 - t * t / 16), rel=1e-12)


def mixed_tv(variances, weights, other):
    """TV of a centred mixture of normals and one more, by quadrature on a line where the pieces are smooth."""
    x, w = unit_rule(20, np.linspace(0, 40, 4001))
    p = sum(a * stats.norm.pdf(x, scale=math.sqrt(v)) for a, v in zip(weights, variances, strict=True))
    return float(w @ np.abs(p - stats.norm.pdf(x, scale=math.sqrt(other))))  # twice half of it


def test_the_law_after_a_few_choices_is_the_finite_mixture():
    p, v, weights = 0.3, np.array([3.0]), np.ones(1)
    step = langevin(lambda draw: 1 + draw.bernoulli(p))
    for _ in range(3):
        v = np.concatenate([(1 - H) ** 2 * v, (1 - 2 * H) ** 2 * v]) + 2 * H
        weights = np.concatenate([(1 - p) * weights, p * weights])
    law = rm.output_law(rm.Plan([rm.Correct(step, 0.0, H, 3)]), NORMAL, start=NORMAL.with_modes(3.0, 0.0))
    value = rm.tv(law, NORMAL)
    assert value.kind == "exact"
    assert value == pytest.approx(mixed_tv(v, weights, 1.0), abs=1e-6)  # the kink of |p - q| in a panel of 0.01


def mixed(x, t, h, score, draw):
    """All three kinds, and noise."""
    b, s, u = draw.bernoulli(0.3), draw.exponential(), draw.uniform()
    (z,) = draw.normal(((h * (1 + s),),))
    return x * (1 - h * s + u * b) + h * b + z


def test_footprints_tell_what_is_drawn():
    foot = footprint(mixed)
    assert foot.kinds == ("bernoulli", "exponential", "uniform")
    assert (foot.alphas, foot.plain) == (3, False)
    assert footprint(schemes.randomized_midpoint).plain


def test_conditional_laws_take_choices_and_durations():
    plan = rm.Plan([rm.Correct(mixed, 0.0, 0.5, 1)])
    law = rm.output_law(plan, NORMAL, alphas=[np.array([1.0, 2.0, 0.25])])
    assert (law.variances[0], law.means[0]) == pytest.approx(((1 - 1 + 0.25) ** 2 + 0.5 * 3, 0.5), rel=1e-14)
    for row, words in (
        ([0.5, 1.0, 0.5], "0 or 1"),
        ([1.0, -1.0, 0.5], "durations >= 0"),
        ([1.0, 1.0, 1.5], "inside its stratum"),
        ([1.0, 1.0], r"expected 3 value\(s\)"),
    ):
        with pytest.raises(ValueError, match=f"^alphas: .*{words}"):
            rm.output_law(plan, NORMAL, alphas=[np.array(row)])


def mixed_moments(h, m, v):
    """Of `mixed` from (m, v): a = 1 - h s + u b, E s = 1, E s^2 = 2, E b = .3, E u = 1/2, E u^2 = 1/3."""
    first = 1 - h + 0.15
    square = 1 - 2 * h + 2 * h * h + 2 * 0.15 * (1 - h) + 0.1
    with_b = 0.3 * (1 - h) + 0.15  # E a b
    mean = first * m + 0.3 * h
    return mean, square * (m * m + v) + 2 * h * with_b * m + 0.3 * h * h + 2 * h - mean * mean


def test_moments_paths_and_particles_agree_on_every_kind():
    n, h = 200_000, 0.25
    plan = rm.Plan([rm.Correct(mixed, 0.0, h, 2)])
    law = rm.output_law(plan, NORMAL)
    mean, spread = mixed_moments(h, *mixed_moments(h, 0.0, 1.0))
    assert (law.means[0], law.variances[0]) == pytest.approx((mean, spread), rel=1e-12)
    far = stats.norm.ppf(LIKELY)
    x = rm.sample(plan, NORMAL, n, 1, rng=3)[:, 0]
    assert abs(x.mean() - mean) < far * x.std() / math.sqrt(n)
    square = (x - mean) ** 2
    assert abs(square.mean() - spread) < far * square.std() / math.sqrt(n)
    rows = np.array([entry for path in law.paths(4000, rng=5) for entry in path])
    chosen, waited, midpoint = rows.T
    assert set(chosen) == {0.0, 1.0}
    assert abs(chosen.sum() - 0.3 * 8000) < far * math.sqrt(8000 * 0.21)
    assert stats.kstest(waited, "expon").pvalue > 1 - LIKELY
    assert stats.kstest(midpoint, "uniform").pvalue > 1 - LIKELY
    means, variances = law.conditionals(4000, rng=5)
    total = variances[:, 0] + (means[:, 0] - mean) ** 2
    assert abs(total.mean() - spread) < far * total.std() / math.sqrt(4000)


def test_paths_follow_probabilities_that_depend_on_a_midpoint():
    def step(x, t, h, score, draw):
        u = draw.uniform()
        return x * (1 + draw.bernoulli(u))

    rows = np.array(
        [path[0] for path in rm.output_law(rm.Plan([rm.Correct(step, 0.0, H, 1)]), NORMAL).paths(2000, rng=1)]
    )
    u, b = rows.T
    assert stats.kstest(u[b == 1] ** 2, "uniform").pvalue > 1 - LIKELY  # given b = 1 the density of u is 2u


@given(alphas(rm.Plan([rm.Correct(mixed, 0.0, 0.5, 2)])))
def test_strategies_draw_choices_and_durations(values):
    assert rm.output_law(rm.Plan([rm.Correct(mixed, 0.0, 0.5, 2)]), NORMAL, alphas=values).variances > 0


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_probabilities_beyond_zero_and_one_are_refused(p):
    plan = rm.Plan([rm.Correct(multiple(lambda draw: draw.bernoulli(p)), 0.0, H, 1)])
    with pytest.raises(ValueError, match=r"p: expected a probability in \[0, 1\]"):
        rm.sample(plan, NORMAL, 3, 1, rng=0)
    for law in (lambda: rm.output_law(plan, NORMAL, alphas=[1.0]), lambda: rm.output_law(plan, NORMAL).variances):
        with pytest.raises(ValueError, match=r"p: expected a probability in \[0, 1\]"):
            law()


def test_particles_keep_their_dtype():
    plan = rm.Plan([rm.Correct(mixed, 0.0, H, 2)])
    assert rm.sample(plan, NORMAL, 5, 2, rng=0, like=np.zeros(1, dtype=np.float32)).dtype == np.float32
    for p in (lambda draw: draw.uniform(), lambda draw: np.float64(0.5), lambda draw: 1):
        drawn = rm.Plan([rm.Correct(multiple(lambda draw, p=p: draw.bernoulli(p(draw))), 0.0, H, 1)])
        for namespace in (np, array_api_strict):
            like = namespace.zeros(1, dtype=namespace.float32)
            x = rm.sample(drawn, lambda t, x: -x, 5, 2, rng=0, like=like)
            assert x.dtype == namespace.float32


def test_maps_of_the_line_take_choices_and_durations():
    target = rm.targets.TwoGaussians(1.0)

    def step(x, t, h, score, draw):
        return x * (1 + draw.bernoulli(0.5)) * exp(draw.exponential())

    plan = rm.Plan([rm.Predict(step, [1.0, 0.5])])
    law = rm.output_law(plan, target, alphas=[np.array([1.0, 0.25])])
    start = stats.norm(scale=2 * math.exp(0.25))
    assert float(law.density(0.7)) == pytest.approx(start.pdf(0.7), rel=1e-12)
    with pytest.raises(ValueError, match=r"^scheme: expected only uniform midpoints, got bernoulli, exponential"):
        rm.output_law(plan, target)


def test_a_rare_event_on_the_line():
    """x -> 2x with probability p: the density is (1 - p) phi(x) + p phi(x/2)/2."""
    p = 1e-3
    plan = rm.Plan([rm.Predict(lambda x, t, h, score, draw: x * (1 + (draw.uniform() < p)), [1.0, 0.5])])
    law = rm.output_law(plan, rm.targets.TwoGaussians(1.0))
    x = np.array([-3.0, 0.5, 4.0, 6.0])
    due = (1 - p) * stats.norm.pdf(x) + p * stats.norm.pdf(x, scale=2)
    assert law.density(x) == pytest.approx(due, rel=1e-6)


@pytest.mark.parametrize("factor", [lambda u: 1 + (u < 0.03), lambda u: 1 + np.floor(4 * u) / 4], ids=["rare", "four"])
@pytest.mark.parametrize("noise", [0, 1])
def test_events_of_a_flow_on_the_line(factor, noise):
    """x -> x + h k (x + s(x)) + N(0, 2h) from N(0, 1), of which nothing is left on N(0, 1): by Gauss-Hermite in x."""
    target, t, h = rm.targets.TwoGaussians(2.0), 1.0, 0.1

    def step(x, t, h, score, draw):
        x = x + h * factor(draw.uniform()) * (x + score(t, x))
        return x + draw.normal(((2 * h,),))[0] if noise else x

    law = rm.output_law(rm.Plan([rm.Predict(step, [t, t - h])]), target)
    x, w = np.polynomial.hermite_e.hermegauss(120)
    mid = (np.arange(10_000) + 0.5) / 10_000  # the events are whole cells
    k, counts = np.unique(factor(mid), return_counts=True)
    squares = (x[:, None] + h * k * (x + target.score(t, x))[:, None]) ** 2
    due = w @ squares @ counts / counts.sum() / w.sum() + 2 * h * noise
    assert law.variance == pytest.approx(due, rel=1e-11)


# --- what is decided by probing -------------------------------------------------------------------------------------


def test_a_bias_that_vanishes_at_the_ends_is_not_overlooked():
    """Two midpoint steps of a score with a bias that is 0 at all levels of the plan, by tensor quadrature."""

    def bias(t):
        return 2 * abs(4 * t - np.round(4 * t))

    variance, levels = 0.5, [1.0, 0.75, 0.5]
    target = rm.Gaussian.isotropic(variance, 1)
    law = rm.output_law(
        rm.Plan([rm.Predict(schemes.randomized_midpoint, levels)]), rm.EstimatedScore(target, bias=bias), start="exact"
    )

    a, w = unit_rule(16, [0, 0.5, 1])  # the kink of the bias is at a = 1/2
    means, variances, weights = np.zeros(1), np.array([noised(variance, 1.0)]), np.ones(1)
    for t, end in itertools.pairwise(levels):
        b = randomized_midpoint(0.0, t, t - end, a, score_of(variance, bias=bias))
        A = slope(variance, t, t - end, a)
        means, variances = (A * means[:, None] + b).ravel(), (A * A * variances[:, None]).ravel()
        weights = np.outer(weights, w).ravel()
    grid = np.linspace(-8, 8, 4001)
    p = weights @ stats.norm.pdf(grid, means[:, None], np.sqrt(variances)[:, None])
    q = stats.norm.pdf(grid, scale=math.sqrt(noised(variance, 0.5)))
    step = grid[1] - grid[0]
    due_tv, due_kl = np.abs(p - q).sum() * step / 2, (p * np.log(p / q)).sum() * step
    tv, kl = rm.tv(law, target.at(0.5)), rm.kl(law, target.at(0.5))
    assert law.means == pytest.approx(weights @ means, rel=1e-9)
    assert due_tv == pytest.approx(0.12178, abs=1e-5)
    assert tv.lower - 1e-4 <= due_tv <= tv.upper + 1e-4
    assert kl.lower - 1e-4 <= due_kl <= kl.upper + 1e-4


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_the_moments_tell_whether_a_law_is_centred(size):
    target = rm.Gaussian.isotropic(0.5, 2)
    bias = lambda t: 4 * size * (t - np.floor(t)) * (np.ceil(t) - t)  # noqa: E731
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, [3.0, 2.0, 1.0])])
    law = rm.output_law(plan, rm.EstimatedScore(target, bias=bias), start="exact")
    exact = rm.output_law(plan, target, start="exact")
    assert law.is_scale_mixture == (size == 0)
    value, plain = rm.tv(law, target.at(1.0)), rm.tv(exact, target.at(1.0))
    if size:
        assert value.lower > plain + 0.1  # the mean is off by more than a deviation
    else:
        assert value == pytest.approx(plain, rel=1e-9)


def kicked(draw):
    """30 or -30, each with probability 1e-4."""
    u = draw.uniform()
    return 30.0 * ((u > 0.3) & (u < 0.3001)) - 30.0 * ((u > 0.3001) & (u < 0.3002))


def test_rare_shifts_that_cancel_are_no_scale_mixture():
    """x' = (1 - h/4) x + N(0, 2h) + k on N(0, 4), E k = 0 and E k^2 = 900 2e-4."""
    h, v, target = 0.1, 1.0, rm.Gaussian([0.0], [4.0])
    law = rm.output_law(
        rm.Plan([rm.Correct(lambda *step: langevin(lambda draw: 1)(*step) + kicked(step[4]), 0.0, h, 20)]), target
    )
    for _ in range(20):
        v = (1 - h / 4) ** 2 * v + 2 * h + 900 * 2e-4
    assert law.variances == pytest.approx(v, rel=1e-11)
    assert not law.is_scale_mixture
    assert rm.tv(law, target, accuracy=0.2).kind == "monte-carlo"
    with pytest.raises(ValueError, match="^scheme: the step shifts its state by what it draws"):
        rm.stationary_law(law.plan.stages[0].scheme, target, h)


def test_rare_shifts_of_a_velocity():
    """v' = e (v + h s(x) + k) + N(0, 1 - e^2), x' = x + h v' on N(0, 4), covariances step by step."""
    h, lam, steps = 0.1, 4.0, 20
    e = math.exp(-h)

    @scheme(kinetic=True)
    def step(state, t, h, score, draw):
        x, v = state
        v = exp(-h) * (v + h * score(t, x) + kicked(draw)) + draw.normal(((1 - exp(-2 * h),),))[0]
        return x + h * v, v

    law = rm.output_law(rm.Plan([rm.Correct(step, 0.0, h, steps)]), rm.Gaussian([0.0], [lam]))
    A, to = np.array([[1 - h * h * e / lam, h * e], [-h * e / lam, e]]), np.array([h, 1.0])
    S, noise = np.eye(2), np.outer(to, to) * (1 - e * e + e * e * 900 * 2e-4)
    for _ in range(steps):
        S = A @ S @ A.T + noise
    assert law.variances == pytest.approx(S[0, 0], rel=1e-11)


def radial_tv(dim, variances, weights):
    """TV of sum_j w_j N(0, v_j I) and N(0, I): int [q > p] (q - p) of the log radii, q's within 12 deviations."""
    z = np.linspace(-12, 12, 2001)[:, None] * math.sqrt(2 / dim)

    def density(u):
        """Of ln(r^2/d) at u, for r^2 chi-square with d degrees of freedom."""
        half = dim / 2
        return np.exp(half * (u - np.exp(u)) + half * math.log(half) - math.lgamma(half))

    q, p = density(z)[:, 0], density(z - np.log(variances)) @ weights
    return np.trapezoid(np.maximum(q - p, 0), z[:, 0])


@pytest.mark.parametrize(("dim", "start"), [(100, 4.0), (1000, 0.05), (20_000, 1.0), (20_000, 0.05)])
def test_two_steps_of_random_lengths(dim, start):
    """x' = (1 - k) x + N(0, 2k), k uniform on [.15, .45], twice: the radii by quadrature over both."""
    target = rm.Gaussian.isotropic(1.0, dim)

    def step(x, t, h, score, draw):
        k = h * (0.5 + draw.uniform())
        (z,) = draw.normal(((2 * k,),))
        return x + k * score(t, x) + z

    a, w = unit_rule(40)
    k, variances, weights = 0.3 * (0.5 + a), np.array([start]), np.ones(1)
    for _ in range(2):
        variances = ((1 - k) ** 2 * variances[:, None] + 2 * k).ravel()
        weights = np.outer(weights, w).ravel()
    law = rm.output_law(rm.Plan([rm.Correct(step, 0.0, 0.3, 2)]), target, start=target.with_modes(start, 0.0))
    value = rm.tv(law, target)
    assert value.kind == "exact"
    assert value == pytest.approx(radial_tv(dim, variances, weights), abs=1e-5)  # a kink in a grid of 0.012 deviations


def noisy(x, t, h, score, draw):
    a = draw.uniform()
    (w,) = draw.normal(((h,),))
    return exp(h) * x + expm1(h) * score(t, x) + (1 + 2 * a) * w


@pytest.mark.parametrize("dim", [10**3, 10**4, 10**5])
def test_noise_whose_variance_depends_on_the_midpoint(dim):
    """One step on N(0, I) from N(0, I/4): x' ~ N(0, (1/4 + (1 + 2a)^2 h) I) given a; the radii by quadrature."""
    h, target = 0.5, rm.Gaussian.isotropic(1.0, dim)
    law = rm.output_law(rm.Plan([rm.Predict(noisy, [1.0, h])]), target, start=target.with_modes(0.25, 0.0))
    a, w = unit_rule(1000)
    due = radial_tv(dim, 0.25 + (1 + 2 * a) ** 2 * h, w)
    value = rm.tv(law, target)
    assert law.scale_spread > 0.1 * math.sqrt(dim)
    assert value.lower - 1e-5 <= due <= value.upper + 1e-5
    assert due == pytest.approx({10**3: 0.89621, 10**4: 0.96278, 10**5: 0.98699}[dim], abs=1e-5)


def test_a_step_without_noise_has_a_point_as_its_law():
    law = rm.stationary_law(lambda x, t, h, score, draw: x + h * score(t, x), rm.Gaussian([3.0, -1.0], [2.0, 1.0]), 0.1)
    assert law.variances.tolist() == [0.0, 0.0]
    assert law.means == pytest.approx([3.0, -1.0], rel=1e-15)


def test_an_error_that_vanishes_in_leading_order_keeps_its_digits():
    """Heun at the mean is off by m h^3 (1/(4 v) - 1/6), nothing at v = 3/2: what is left, m h^4, in 80 digits."""
    lam, m, t, h = float(1 + mp.exp(2) / 2), 1e8, 1.0, 1e-8
    error = rm.local_error(schemes.heun, rm.Gaussian([m], [lam]), t, h)
    with mp.workdps(80):
        t, h, lam, m = map(mp.mpf, (t, h, lam, m))

        def v(s):
            return 1 + (lam - 1) * mp.exp(-2 * s)

        def off(x):
            score = lambda s, x: -(x - m * mp.exp(-s)) / v(s)  # noqa: E731
            k = x + score(t, x)
            y = x + h * k
            flow = m * mp.exp(h - t) + mp.sqrt(v(t - h) / v(t)) * (x - m * mp.exp(-t))
            return x + h / 2 * (k + y + score(t - h, y)) - flow

        mean = m * mp.exp(-t)
        b = off(mean)
        due = (off(mean + 1) - b) ** 2 * v(t) + b * b
        assert abs(error.bias / due - 1) < 1e-14
