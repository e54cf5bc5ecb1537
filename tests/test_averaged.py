"""The law of a randomized plan averaged over its midpoints, as intervals: against the radial integral, sums by hand,
simulated particles, and what divergences satisfy whatever the laws are."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from mutants import paths as mutants
from oracles import midpoints
from oracles.plain import noised, parallel_midpoint, score_of, slope, strata_rule
from scipy import stats

import rmverify as rm
from rmverify import schemes
from rmverify.divergences import averaged, sampled
from rmverify.laws import MixtureLaw
from rmverify.laws.averages import paths as paths_module
from rmverify.laws.averages.paths import path_sets

RANDOM = schemes.randomized_midpoint
BOTH_KL = {"kl": rm.kl, "reverse kl": lambda p, q, **options: rm.kl(q, p, **options)}


def predicted(target, levels, *, scheme=RANDOM, start="exact"):
    """The law after steps between these levels, and what it should be."""
    truth = getattr(target, "target", target)
    return rm.output_law(rm.Plan([rm.Predict(scheme, levels)]), target, start=start), truth.at(levels[-1])


def close(value, truth):
    """Within twice the half-width, about four standard errors: 60 numbers are all within but for a chance of 0.4 %."""
    assert value.kind == "monte-carlo"
    assert value.lower <= value <= value.upper
    assert abs(value - truth) <= 2 * value.error, f"{value} and {truth}"


# --- against the radial integral ------------------------------------------------------------------------------------


def isotropic(name):
    if name == "corrected":
        target = rm.Gaussian.isotropic(0.25, 50)
        plan = rm.Plan([rm.Correct(schemes.randomized_midpoint_langevin(friction=2), 0.5, 0.4, 5)])
        return rm.output_law(plan, target), target.at(0.5)
    if name == "strata":
        return predicted(
            rm.Gaussian.isotropic(0.25, 50), np.linspace(3, 0.5, 6), scheme=schemes.parallel_midpoint(3, 1)
        )
    dim, variance, levels = {
        "one step": (1, 0.1, [1.0, 0.3]),
        "two steps": (3, 0.2, [1.5, 0.9, 0.5]),
        "a few steps": (40, 0.25, np.linspace(3, 0.2, 9)),
        "many steps": (1000, 0.25, np.linspace(3, 0.1, 61)),
        "a wide target": (10**4, 4.0, np.linspace(2, 0.1, 31)),
        "far off": (10**4, 0.25, np.linspace(2, 0.2, 7)),
        "a huge dimension": (10**12, 0.25, np.linspace(1, 0.99, 11)),
    }[name]
    return predicted(rm.Gaussian.isotropic(variance, dim), levels)


CASES = (
    "one step", "two steps", "a few steps", "many steps", "a wide target", "far off", "a huge dimension", "strata"
)  # fmt: skip


def squared_root(gap):
    return math.sqrt(min(gap, 1.0))


@functools.cache
def radial(name, which):
    law, q = isotropic(name)
    value = {"tv": rm.tv, "hellinger": rm.hellinger, **BOTH_KL}[which](law, q)
    assert value.kind == "exact"
    return law, q, value


def sampled_as(which, law, q, accuracy, seed):
    if which == "tv":
        return averaged.Sampled(law, q, accuracy, seed).tv()
    if which == "hellinger":
        return averaged.Sampled(law, q, accuracy, seed).hellinger()
    return averaged.Sampled(*((q, law) if which == "reverse kl" else (law, q)), accuracy, seed).kl()


def missed(which, names, seeds, accuracy=0.03):
    count = 0
    for name, seed in itertools.product(names, range(seeds)):
        law, q, truth = radial(name, which)
        value = sampled_as(which, law, q, accuracy, seed)
        assert value.kind == "monte-carlo"
        if which == "tv":
            assert value.error <= accuracy * value.upper, name
        count += not value.lower - truth.error <= truth <= value.upper + truth.error
    assert count <= stats.binom.ppf(0.999, len(names) * seeds, 0.05), f"{count} missed"


@pytest.mark.slow
def test_intervals_of_tv_miss_the_radial_integral_no_more_than_they_say():
    missed("tv", CASES, 7)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["kl", "reverse kl", "hellinger"])
def test_intervals_miss_the_radial_integral_no_more_than_they_say(which):
    names = ("a few steps", "many steps", "a wide target", *(["corrected"] if which == "kl" else []))
    missed(which, names, 4, 0.1)


@pytest.mark.parametrize("name", ["many steps", "a few steps"])
def test_a_higher_accuracy_is_reached(name):
    law, q, truth = radial(name, "tv")
    wide, narrow = (averaged.Sampled(law, q, accuracy).tv() for accuracy in (0.03, 0.006))
    assert narrow.error <= 0.006 * narrow.upper < wide.error
    close(narrow, truth)


def test_a_tiny_distance_keeps_its_relative_accuracy():
    """Of small steps on two coordinates: TV of 10^-6."""
    law, q = predicted(rm.Gaussian.isotropic(0.5, 2), np.linspace(1, 0.9, 301))
    truth = rm.tv(law, q)
    assert truth.kind == "exact"
    assert truth < 3e-6
    value = averaged.Sampled(law, q, 0.03).tv()
    assert value.error <= 0.03 * value.upper
    close(value, truth)


def test_a_distance_next_to_one_stays_below_it():
    law, q, truth = radial("far off", "tv")
    assert truth > 0.8
    value = averaged.Sampled(law, q).tv()
    assert value.upper <= 1
    close(value, truth)


# --- against nested quadrature --------------------------------------------------------------------------------------


def nested(lams, means, levels, *, strata=1, rounds=0, nodes=12, start="normal", **score):
    """Means and variances (paths, modes) given every combination of nodes, and weights."""
    alphas, each = strata_rule(strata, nodes)
    lams, means = np.asarray(lams), np.asarray(means)
    m, v, weights = np.zeros((1, lams.size)), np.ones((1, lams.size)), np.ones(1)
    if start == "exact":
        m, v = means[None] * np.exp(-levels[0]), noised(lams, levels[0])[None]
    for t, end in itertools.pairwise(levels):
        columns = [a[:, None] for a in alphas]
        b, top = (parallel_midpoint(y, t, t - end, columns, score_of(lams, means, **score), rounds) for y in (0.0, 1.0))
        m = ((top - b) * m[:, None] + b).reshape(-1, lams.size)
        v = ((top - b) ** 2 * v[:, None]).reshape(-1, lams.size)
        weights = np.outer(weights, each).ravel()
    return m, v, weights


def on_a_grid(law, q, points):
    """Divergences of sum w_j N(m_j, v_j) and N(means, variances) by sums over a product grid: (value, weight) pairs."""
    (m, v, w), (means, variances) = law, q
    axes = [np.linspace(c - 9 * s, c + 9 * s, points) for c, s in zip(
        means, np.sqrt(np.maximum(v.max(axis=0), variances)) + np.abs(m - means).max(axis=0), strict=True)]  # fmt: skip
    cell = math.prod(x[1] - x[0] for x in axes)
    parts = [stats.norm.pdf(x, m[:, [k]], np.sqrt(v[:, [k]])) for k, x in enumerate(axes)]
    rest = functools.reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).reshape(len(w), -1), parts[1:])
    p = (parts[0] * w[:, None]).T @ rest
    ones = [stats.norm.pdf(x, c, math.sqrt(b)) for x, c, b in zip(axes, means, variances, strict=True)]
    q = np.multiply.outer(ones[0], functools.reduce(np.multiply.outer, ones[1:]).ravel())
    p, q = p[(p > 1e-280) & (q > 1e-280)], q[(p > 1e-280) & (q > 1e-280)]
    log = np.log(p / q)
    return {
        "tv": np.abs(p - q).sum() * cell / 2,
        "kl": (p * log).sum() * cell,
        "reverse kl": -(q * log).sum() * cell,
        "hellinger": math.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() * cell / 2),
        "chi2": (np.expm1(log) ** 2 * q).sum() * cell,
        "renyi": math.log((np.exp(3 * log) * q).sum() * cell) / 2,
    }


FUNCTIONS = {
    "tv": rm.tv,
    **BOTH_KL,
    "hellinger": rm.hellinger,
    "chi2": rm.chi2,
    "renyi": lambda p, q, **options: rm.renyi(p, q, 3.0, **options),
}
TWO, THREE = (0.2, 1.5), (0.2, 0.6, 2.0)
PLANS = {
    "one step": (TWO, (0.0, 0.0), [1.0, 0.5], {"start": "exact"}),
    "two steps": (TWO, (0.0, 0.0), [1.5, 1.0, 0.6], {"start": "exact"}),
    "one step off the centre": (TWO, (2.0, -1.5), [1.0, 0.5], {}),
    "two steps off the centre": (TWO, (2.0, -1.5), [1.5, 1.0, 0.6], {}),
    "three modes": (THREE, (0.0, 1.0, -3.0), [1.5, 1.0, 0.6], {}),
    "two strata": (TWO, (1.0, 0.0), [1.5, 0.7], {"strata": 2, "rounds": 1}),
    "an estimated score": (TWO, (0.0, 0.0), [1.5, 1.0, 0.6], {"gain": 0.1, "bias": 0.2}),
    "a point": ((0.0, 2.0), (1.0, -1.0), [1.5, 1.0, 0.6], {}),
}


def planned(name):
    lams, means, levels, options = PLANS[name]
    score = {key: options[key] for key in ("gain", "bias") if key in options}
    scheme = schemes.parallel_midpoint(options["strata"], options["rounds"]) if "strata" in options else RANDOM
    target = rm.Gaussian(means, lams)
    target = rm.EstimatedScore(target, **score) if score else target
    law, q = predicted(target, levels, scheme=scheme, start=options.get("start", "normal"))
    return law, q, nested(lams, means, levels, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_divergences_against_nested_quadrature(name):
    law, q, plain = planned(name)
    sizes = (61, 121) if q.dim == 3 else (301, 601)
    coarse, fine = (on_a_grid(plain, (q.means, q.variances), size) for size in sizes)
    for which, truth in fine.items():
        if which in ("chi2", "renyi") and (plain[1] > (2 if which == "chi2" else 1.5) * q.variances).any():
            continue  # infinite
        accuracy = 0.01 if which == "tv" else 0.05
        value, slack = FUNCTIONS[which](law, q, accuracy=accuracy), 2 * abs(truth - coarse[which])
        if value.kind == "upper":  # the range of variances, taken wider than it is, leaves it open
            assert which == "renyi"
            assert value.lower <= truth
            continue
        assert value.kind == "monte-carlo", which
        assert abs(value - truth) <= 2 * value.error + slack, which
        assert value.error <= 2 * accuracy * value, which
        assert slack <= accuracy * truth, which


def test_blocks_of_several_coordinates_are_their_coordinates():
    """Three coordinates one by one, of which two share a block."""
    lams, means, levels = (0.2, 0.2, 1.5), (1.0, 1.0, -2.0), [1.5, 1.0, 0.6]
    law, q = predicted(rm.Gaussian.from_spectrum([0.2, 1.5], [2, 1], [1.0, -2.0]), levels, start="normal")
    truth = on_a_grid(nested(lams, means, levels), (q.means[[0, 0, 1]], q.variances[[0, 0, 1]]), 121)
    for which in ("tv", "kl", "reverse kl"):
        close(FUNCTIONS[which](law, q, accuracy=0.03), truth[which])


def langevin_by_hand():
    """Two steps of randomized midpoint Langevin on N(0, diag(1, 3)) from N(0, I), a velocity kept between them."""
    lams = (1.0, 3.0)
    each = [midpoints.nested(1 / lam, 2.0, 1.0, 0.9, 2, 1.0) for lam in lams]
    variances = np.stack([v for v, _ in each], axis=1)
    return on_a_grid((np.zeros_like(variances), variances, each[0][1]), (np.zeros(2), np.array(lams)), 601)


def kept_velocity():
    target = rm.Gaussian([0.0, 0.0], [1.0, 3.0])
    plan = rm.Plan([rm.Correct(schemes.randomized_midpoint_langevin(friction=2, mass=1), 0.0, 0.9, 2)])
    law, truth = rm.output_law(plan, target), langevin_by_hand()
    for which in ("tv", "kl", "reverse kl"):
        close(FUNCTIONS[which](law, target, accuracy=0.03), truth[which])


def test_a_kept_velocity_against_nested_quadrature():
    kept_velocity()


def test_an_offered_step_with_other_draws():
    """x' = (1 - d h/v) x with d of 0 or 1: two Gaussians."""
    lams, t, h, p = np.array([0.5, 2.0]), 1.0, 0.25, 0.3
    v = noised(lams, t) * (1 - np.arange(2)[:, None] * h / noised(lams, t)) ** 2
    law, q = predicted(
        rm.Gaussian([0.0, 0.0], lams), [t, t - h],
        scheme=lambda x, t, h, score, draw: x + draw.bernoulli(p) * h * score(t, x),
    )  # fmt: skip
    truth = on_a_grid((np.zeros_like(v), v, np.array([1 - p, p])), (np.zeros(2), q.variances), 601)
    for which in ("tv", "hellinger"):
        value = FUNCTIONS[which](law, q)
        assert value.lower <= truth[which] <= value.upper
        assert value.error < 0.3 * truth[which]


# --- against particles ----------------------------------------------------------------------------------------------


def test_particles_do_not_tell_more_than_total_variation_and_kl():
    """On A = {r > 1}, r from 200 random paths: P(A) - Q(A) <= TV, and E_P ln r <= KL as E_Q r = 1, up to 4 standard
    errors; both are nearly attained."""
    lams, n = np.array([0.05, 0.5, 2.0, 4.0]), 10_000
    target, levels = rm.Gaussian(np.array([1.0, 0.0, 0.0, -1.0]), lams), np.linspace(2.0, 0.2, 9)
    law, q = predicted(target, levels, start="normal")
    m, v = law.conditionals(200, rng=1)

    def log_ratio(x):
        p = stats.norm.logpdf(x[:, None, :], m, np.sqrt(v)).sum(axis=2)
        q_x = stats.norm.logpdf(x, q.means, np.sqrt(q.variances)).sum(axis=1)
        return np.logaddexp.reduce(p, axis=1) - math.log(len(m)) - q_x

    def in_pieces(x):
        return np.concatenate([log_ratio(part) for part in np.split(x, 40)])

    moved = in_pieces(rm.sample(law.plan, target, n, 4, rng=2))
    plain = in_pieces(q.means + np.sqrt(q.variances) * np.random.default_rng(3).standard_normal((n, 4)))
    tv, kl = rm.tv(law, q), rm.kl(law, q, accuracy=0.05)
    gap, off = (moved > 0).mean() - (plain > 0).mean(), 4 * math.sqrt(2 * 0.25 / n)
    assert 0.9 * tv.lower - off <= gap <= tv.upper + off
    off = 4 * moved.std() / math.sqrt(n)
    assert 0.8 * kl.lower - off <= moved.mean() <= kl.upper + off


# --- invariance -----------------------------------------------------------------------------------------------------


def overlap(*values):
    """At the level of 95 % all hold the same number; widened to four standard errors."""
    assert max(v - 2 * v.error for v in values) <= min(v + 2 * v.error for v in values)


def test_rotations_permutations_and_splits_change_nothing():
    levels, lams, means = np.linspace(2.0, 0.3, 7), np.array([0.1, 0.5, 2.0]), np.array([1.0, 0.0, -1.0])
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    targets = [
        rm.Gaussian(means, lams),
        rm.Gaussian(turn @ means, (turn * lams) @ turn.T),
        rm.Gaussian(means[::-1], lams[::-1]),
    ]
    for function in (rm.tv, rm.kl):
        overlap(*(function(*predicted(target, levels, start="normal"), accuracy=0.03) for target in targets))


def test_a_block_may_be_split():
    levels = np.linspace(2.0, 0.3, 7)
    whole, parts = (
        predicted(rm.Gaussian.from_spectrum(*spectrum), levels)
        for spectrum in (([0.2, 1.5], [40, 7], [0.1, 0.0]), ([0.2, 0.2, 1.5], [39, 1, 7], [0.1, 0.1, 0.0]))
    )
    other = rm.Gaussian.from_spectrum(parts[1].variances, [39, 1, 7], parts[1].means)  # only q's block is in two
    for function in (rm.tv, rm.kl, rm.hellinger):
        overlap(*(function(*pair, accuracy=0.1) for pair in (whole, parts, (whole[0], other))))


@pytest.mark.parametrize("which", ["tv", "hellinger", "kl", "reverse kl"])
def test_two_equal_blocks_are_one_scale_mixture(which):
    """Huge multiplicities: the sums over 10^12 coordinates against the radial integral."""
    levels, truth = np.linspace(1, 0.99, 11), radial("a huge dimension", which)[2]
    law, q = predicted(rm.Gaussian.from_spectrum([0.25, 0.25], [10**12 - 10**6, 10**6]), levels)
    assert law.scale_mixture is None
    close(FUNCTIONS[which](law, q, accuracy=0.1), truth)


# --- what divergences satisfy ---------------------------------------------------------------------------------------


def test_fewer_coordinates_tell_less():
    levels, lams, means = np.linspace(2.0, 0.3, 7), np.array([0.1, 0.5, 2.0]), np.array([1.0, 0.0, -1.0])
    for function in (rm.tv, rm.kl, rm.hellinger):
        whole = function(*predicted(rm.Gaussian(means, lams), levels, start="normal"), accuracy=0.05)
        for keep in ([0], [0, 1], [1, 2]):
            part = predicted(rm.Gaussian(means[keep], lams[keep]), levels, start="normal")
            assert function(*part, accuracy=0.05).lower <= whole.upper


@pytest.mark.slow
@pytest.mark.parametrize("means", [(0.0, 0.0), (1.0, -2.0)])
def test_inequalities_between_divergences(means):
    target = rm.Gaussian.from_spectrum([0.1, 1.5], [20, 2], means)
    law, q = predicted(target, np.linspace(2.0, 0.3, 13), start="normal")
    tv, h, kl, back = (FUNCTIONS[name](law, q, accuracy=0.2) for name in ("tv", "hellinger", "kl", "reverse kl"))
    shared = averaged.Sampled(law, q, 0.05).expected_tv()
    assert shared.upper >= tv.lower
    assert kl.upper >= 2 * tv.lower**2
    assert back.upper >= 2 * tv.lower**2
    assert h.lower**2 <= tv.upper
    assert tv.lower <= h.upper * math.sqrt(2 - h.upper**2)
    assert rm.chi2(law, q, accuracy=0.2).upper >= math.expm1(kl.lower)
    assert rm.renyi(law, q, 0.5, accuracy=0.05).upper >= -2 * math.log1p(-(h.lower**2)) * (1 - 1e-9)


@pytest.mark.slow
def test_the_average_over_shared_midpoints_by_hand():
    """E_a TV(P_a, q), one step: a sum over 12 nodes of the total variation of two Gaussians."""
    law, q, (m, v, w) = planned("one step off the centre")
    truth = sum(weight * rm.tv(rm.Gaussian(a, b), q) for a, b, weight in zip(m, v, w, strict=True))
    close(averaged.Sampled(law, q, 0.1).expected_tv(), truth)


def test_a_law_without_midpoints_is_a_gaussian():
    target = rm.Gaussian([0.3, 0.0], [0.2, 1.5])
    plan = rm.Plan([rm.Predict(schemes.midpoint, [1.5, 1.0, 0.6])])
    law, q = rm.output_law(plan, target, start="exact"), target.at(0.6)
    for which in ("tv", "kl", "hellinger", "chi2"):
        exact = FUNCTIONS[which](law, q)
        assert exact.kind == "exact"
        mixed = FUNCTIONS[which](MixtureLaw(plan, target, "exact"), q)
        assert mixed.lower - 1e-12 <= exact <= mixed.upper + 1e-12


# --- accuracy and seeds ---------------------------------------------------------------------------------------------


def test_seeds_fix_the_numbers():
    law, q, _ = planned("two steps off the centre")
    one, again, other = (rm.tv(law, q, rng=seed) for seed in (1, 1, 2))
    assert (one, one.lower, one.upper) == (again, again.lower, again.upper)
    assert (one.lower, one.upper) != (other.lower, other.upper)
    overlap(one, other)
    assert rm.tv(law, q, rng=np.random.default_rng(1)) == rm.tv(law, q, rng=np.random.default_rng(1))


@pytest.mark.slow
def test_accuracy_is_what_is_asked_for():
    law, q = predicted(rm.Gaussian.from_spectrum([0.1, 1.5], [200, 20]), np.linspace(2.0, 0.3, 13))
    values = [rm.tv(law, q, accuracy=accuracy) for accuracy in (0.1, 0.01, 0.002)]
    assert all(a.error > b.error for a, b in itertools.pairwise(values))
    assert all(v.error <= accuracy * v.upper for v, accuracy in zip(values, (0.1, 0.01, 0.002), strict=True))
    overlap(*values)


@pytest.mark.parametrize("accuracy", [0, -0.1, math.nan, math.inf, "1"])
@pytest.mark.parametrize("which", FUNCTIONS)
def test_an_accuracy_that_is_none_is_refused(which, accuracy):
    law, q, _ = planned("one step")
    with pytest.raises((ValueError, TypeError), match="^accuracy: expected"):
        FUNCTIONS[which](law, q, accuracy=accuracy)


def test_laws_that_do_not_go_together_are_refused():
    law, _, _ = planned("one step")
    with pytest.raises(ValueError, match="^q: expected a law in dimension 2"):
        rm.tv(law, rm.Gaussian([0.0], [1.0]))
    with pytest.raises(TypeError, match="^q: the law of a randomized plan is compared with laws in the target's own"):
        rm.kl(law, rm.Gaussian([0.0, 0.0], [[1.0, 0.3], [0.3, 1.0]]))


# --- infinite, singular ---------------------------------------------------------------------------------------------


def worst(lams, levels):
    """The largest and least v(a)/b of one step from the exact start, over a."""
    a = np.linspace(0, 1, 1001)
    t, h = levels[0], levels[0] - levels[1]
    ratio = slope(lams, t, h, a[:, None]) ** 2 * noised(lams, t) / noised(lams, levels[1])
    return ratio.min(), ratio.max()


@pytest.mark.parametrize(
    ("lam", "levels"),
    [(0.1, [1.0, 0.5]), (0.01, [1.0, 0.2]), (0.02, [1.0, 0.02]), (0.25, [3.0, 0.5]), (4.0, [2.0, 0.1])],
)
def test_powers_are_infinite_where_a_midpoint_makes_them_so(lam, levels):
    """int p^s q^{1-s} of N(0, v) and N(0, b): finite where s b > (s - 1) v. Of a mixture with a density of v: of all v
    for s > 1, and of some v for s < 0."""
    law, q = predicted(rm.Gaussian([0.0, 0.0], [lam, 1.0]), levels)
    least, most = worst(np.array([lam, 1.0]), levels)
    for order in (2.0, 8.0):
        value = rm.renyi(law, q, order, accuracy=0.2)
        assert most <= order / (order - 1) or math.isinf(value.lower)
        assert most > 0.95 * order / (order - 1) or math.isfinite(value.upper), (order, most)
    assert math.isinf(rm.chi2(law, q, accuracy=0.2).lower) == (most > 2)
    if least > 0.5:
        assert math.isfinite(rm.chi2(q, law, accuracy=0.2).upper)


def test_supports_that_are_not_the_same():
    """A coordinate without any spread: the laws live on other supports at the level 0."""
    law, _ = predicted(rm.Gaussian([1.0, 0.0], [0.0, 1.0]), [1.0, 0.5, 0.0])
    q = rm.Gaussian([1.0, 0.0], [0.0, 1.0])
    assert law.variances[0] > 0
    assert rm.tv(law, q) == rm.hellinger(law, q) == averaged.Sampled(law, q).expected_tv() == 1
    assert rm.kl(law, q) == math.inf


@pytest.mark.slow
def test_a_control_that_points_do_not_show_is_left_out():
    """The law's moments are those of rare paths, on which all of the control's ratio lies: Hellinger's upper end would
    be beyond 1, and total variation's anything."""
    target = rm.Gaussian.from_spectrum([1e-9, 0.3], [10, 10])
    law, q = predicted(target, np.geomspace(4.5, 1e-9, 4), start="normal")
    for seed in range(3):
        value = averaged.Sampled(law, q, 0.01, seed).tv()
        assert 0.98 <= value.lower <= value.upper <= 1
        assert rm.hellinger(law, q, rng=seed).upper >= 0.98


# --- sets of paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two steps off the centre", "two strata", "an estimated score"])
def test_every_path_of_a_set_is_a_random_path(name):
    """E m and E (v + m^2), path by path, within 5 standard errors of the exact moments; and the sets' averages vary far
    less than those of as many independent paths."""
    law, _, _ = planned(name)
    m, v = (np.asarray(part) for part in path_sets(law, 1000, 16, np.random.default_rng(0)))
    for found, truth in ((m, law.means), (v + m * m, law.variances + law.means**2)):
        off = np.abs(found.mean(axis=0) - truth)
        assert (off <= 5 * found.std(axis=0) / math.sqrt(1000) + 1e-12).all()
        assert (found.mean(axis=1).var(axis=0) <= 0.3 * found.var(axis=(0, 1)) / 16 + 1e-20).all()


def uniform_midpoints():
    """Each path's numbers are uniform on [0, 1] and uncorrelated: Kolmogorov and Smirnov at 10^-6 each."""
    u = paths_module.ranked_points(3, (4000, 16), np.random.default_rng(0))
    assert u.shape == (3, 4000, 16)
    for one, i in itertools.product(range(3), (0, 1, 7, 14)):
        assert stats.kstest(u[one, :, i], "uniform").pvalue > 1e-6
        for other in range(one):
            assert abs(np.corrcoef(u[one, :, i], u[other, :, i])[0, 1]) < 5 / math.sqrt(4000)


def test_the_numbers_of_a_path_are_uniform():
    uniform_midpoints()


def as_given():
    """Where all paths are given the same midpoints, their laws are those given these."""
    patch = pytest.MonkeyPatch()
    alphas = np.random.default_rng(4).random(10)
    lams, means = [0.1, 0.7, 3.0], [1.0, 0.0, -2.0]
    plan = rm.Plan(
        [rm.Predict(RANDOM, np.linspace(3.0, 0.2, 9)),
         rm.Correct(schemes.randomized_midpoint_langevin(friction=2), 0.2, 0.3, 2)]
    )  # fmt: skip
    law, given = rm.output_law(plan, rm.Gaussian(means, lams)), iter(alphas)
    with patch.context() as within:
        within.setattr(paths_module, "ranked_points", lambda count, shape, rng: np.full((count, *shape), next(given)))
        m, v = (np.asarray(part) for part in path_sets(law, 2, 4, np.random.default_rng(0)))
    truth = law.conditional(list(alphas))
    np.testing.assert_allclose(m, np.broadcast_to(truth.means, m.shape), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(v, np.broadcast_to(truth.variances, v.shape), rtol=1e-11)


def test_paths_of_given_midpoints():
    as_given()


# --- facts that mutants fail ----------------------------------------------------------------------------------------


def ends_around_the_truth():
    """Sets of four paths, so few that both ends are far off: the upper above, the lower below."""
    law, q, truth = radial("a huge dimension", "tv")
    ensemble, rng, sets = averaged._Beside(law, q).ensemble, np.random.default_rng(0), 1600
    look = sampled._Look.of(ensemble, sampled.ABSOLUTE, math.inf, None, sets, 4, 512, rng)
    upper, lower = look.ends.T
    assert upper.mean() >= truth - 4 * upper.std() / math.sqrt(sets)
    assert lower.mean() <= truth + 4 * lower.std() / math.sqrt(sets)


def few_misses():
    missed("tv", ("many steps", "a few steps"), 10, 0.1)


def block_sums():
    """T = sum (y^2 - 1) and S = sum y of n coordinates y ~ N(mu, e^u): means and variances of the normal law."""
    n, u, mu, count = np.array([1.0, 7.0]), np.array([[0.3, -0.4]]), np.array([[0.5, -1.0]]), 20_000
    draws = sampled.Given(n, u, mu).draw(np.zeros(count, dtype=int), np.random.default_rng(0))
    w = np.exp(u[0])
    means = np.concatenate([n * (w + mu[0] ** 2 - 1), n * mu[0]])
    spreads = np.concatenate([n * (2 * w * w + 4 * w * mu[0] ** 2), n * w])
    assert (np.abs(draws.mean(axis=0) - means) <= 5 * np.sqrt(spreads / count)).all()
    assert (np.abs(draws.var(axis=0) / spreads - 1) <= 5 * math.sqrt(12 / count)).all()
    rows = np.stack([draws[:, 0], draws[:, 2]])
    assert abs(np.cov(rows)[0, 1] - 2 * w[0] * mu[0, 0]) < 0.1


def test_sums_over_a_block():
    block_sums()


def off_the_centre():
    """Two modes whose means move together, by nested quadrature."""
    law, q, plain = planned("an estimated score")
    truth = on_a_grid(plain, (q.means, q.variances), 301)
    for which in ("tv", "kl", "reverse kl"):
        close(FUNCTIONS[which](law, q, accuracy=0.01), truth[which])


def one_law_in_blocks():
    """ln dP_a/dq of a block of n, by its formula."""
    n, u, mu = np.array([3.0]), np.array([[0.3]]), np.array([[0.5]])
    slopes, constant = sampled.Given(n, u, mu).linear()
    y = np.array([0.2, -1.0, 0.7])
    features = np.array([[(y * y - 1).sum(), y.sum()]])
    due = (stats.norm.logpdf(y, 0.5, math.exp(0.15)) - stats.norm.logpdf(y)).sum()
    assert float((features @ slopes + constant)[0, 0]) == pytest.approx(due, rel=1e-12)


def test_the_ratio_of_a_block():
    one_law_in_blocks()


def controls_of_mean_0():
    """E_g w = E_g w r_A = 1, E_g w (r_B - r_A) = 0 and E_g w f(r_G) = D_f(G||q), for paths of unequal masses."""
    n, zero = np.array([1.0, 3.0]), np.zeros((1, 2))
    given = sampled.Given(
        n, np.array([[0.5, 0.3], [-0.5, -0.2], [0.1, -0.4]]), np.array([[0.0, 0.8], [0.3, 0], [0, 0]])
    )
    other = sampled.Given(n, np.array([[0.2, 0.1], [-0.3, 0.2]]), np.zeros((2, 2)))
    u, mu = np.array([[0.1, 0.05]]), np.array([[0.1, 0.2]])
    kullback = float(n @ (np.expm1(u) - u + mu * mu)[0]) / 2
    single, count = sampled.Given(n, u, mu).linear(), 200_000
    for f, known in ((sampled.ENTROPY, kullback), (sampled.power(2.0), None)):
        q, rng = sampled.Given(n, zero, zero), np.random.default_rng(0)
        rows = sampled._values(f, given, other.linear(), q, single, known or 0.0, count, rng)
        kept = rows[2:] if known else np.delete(rows, -2, axis=0)[2:]
        assert (np.abs(kept.mean(axis=1)) <= 5 * kept.std(axis=1) / math.sqrt(count)).all()


def test_controls_have_mean_0():
    controls_of_mean_0()


FACTS = {
    "controls_of_mean_0": controls_of_mean_0,
    "ends_around_the_truth": ends_around_the_truth,
    "few_misses": few_misses,
    "block_sums": block_sums,
    "one_law_in_blocks": one_law_in_blocks,
    "off_the_centre": off_the_centre,
    "uniform_midpoints": uniform_midpoints,
    "as_given": as_given,
    "kept_velocity": kept_velocity,
}


@functools.cache
def holds(name):
    FACTS[name]()
    return True


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
@pytest.mark.slow
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    assert holds(mutant.killed_by)
    mutant.write(monkeypatch)
    with pytest.raises(AssertionError):
        FACTS[mutant.killed_by]()


def test_every_fact_notices_something():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)
