"""Rate tables: steps found against plain recursions and chi-squared probabilities, exponents against exact powers."""

from __future__ import annotations

import json
import math

import mpmath as mp
import numpy as np
import pytest
from oracles.plain import exponential_integrator, heun, isotropic_tv, langevin, noised, score_of, slope
from scipy.stats import chi2

import rmverify as rm
from rmverify import schemes
from rmverify.divergences import expected_tv
from rmverify.studies import rates, sweep
from rmverify.studies.study import fitted, judge

LAM, T = 0.25, 3.0


def output_variance(scheme, steps):
    """The plain recursion of one mode of variance 1/4, from q_T, uniform steps to 0."""
    t, h = T - np.arange(steps) * (T / steps), T / steps
    A = slope(LAM, t, h, 0.5) if scheme == "midpoint" else exponential_integrator(1.0, t, h, score_of(LAM))
    return noised(LAM, T) * np.prod(A**2)


def distance(dim, v, metric="tv"):
    """Between N(0, v I) and N(0, I/4)."""
    r = v / LAM
    if metric == "kl":
        return math.sqrt(dim / 2 * (r - 1 - math.log(r)))
    if metric == "w2":
        return math.sqrt(dim * LAM) * abs(math.sqrt(r) - 1)
    return isotropic_tv(v, LAM, dim)


@pytest.mark.parametrize("name", ["exponential_integrator", "midpoint"])
@pytest.mark.parametrize(("dim", "accuracy"), [(1, 0.2), (1, 0.01), (100, 0.1), (10_000, 0.3), (10_000, 0.05)])
@pytest.mark.parametrize("metric", ["tv", "kl", "w2"])
def test_steps_of_a_plan_without_midpoints(name, dim, accuracy, metric):
    row = rates.steps_to(getattr(schemes, name), rm.Gaussian.isotropic(LAM, dim), accuracy, metric)
    found = (
        next(n for n in range(1, 10**6) if distance(dim, output_variance(name, n), metric) <= accuracy)
        if (name == "midpoint")
        else None
    )
    if found is not None:
        assert row.steps == found
    assert row.status == "found"
    assert float(row.value) == pytest.approx(distance(dim, output_variance(name, row.steps), metric), rel=1e-7)
    if row.steps > 1:
        assert float(row.before) == pytest.approx(distance(dim, output_variance(name, row.steps - 1), metric), rel=1e-7)
        assert row.value <= accuracy < row.before


def test_an_error_that_changes_its_sign_is_met_before_it_does():
    """The deterministic midpoint is too wide for N <= 85 and too narrow beyond: at d = 10^12 the least N is at the
    crossing, far below the 1259 where the error has become small again."""
    signs = [output_variance("midpoint", n) > LAM for n in range(2, 120)]
    crossing = 2 + signs.index(False)
    row = rates.steps_to(schemes.midpoint, rm.Gaussian.isotropic(LAM, 10**12), 0.1)
    assert row.crossing == crossing
    assert row.steps in (crossing - 1, crossing)
    far = rates.steps_to(schemes.midpoint, rm.Gaussian.isotropic(LAM, 10**12), 0.1, guess=20 * crossing)
    assert far.steps == row.steps or not far.proved  # from beyond the crossing, and it says so


@pytest.mark.slow
def test_expected_total_variation_is_the_mean_over_paths():
    target = rm.Gaussian.isotropic(LAM, 10_000)
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, np.linspace(T, 0, 41))])
    law = rm.output_law(plan, target, start="exact")
    value = expected_tv(law, target)
    _, variances = law.conditionals(2000, rng=7)
    sample = np.array([distance(10_000, v) for v in np.ravel(variances)])
    assert abs(sample.mean() - value) < 4 * sample.std() / math.sqrt(sample.size)
    assert rm.tv(law, target) < value


def test_expected_total_variation_of_another_law_is_refused():
    target = rm.Gaussian.isotropic(LAM, 10)
    still = rm.output_law(rm.Plan([rm.Predict(schemes.midpoint, [1.0, 0.5])]), target)
    with pytest.raises(ValueError, match="law: needs the law of a plan averaged over its midpoints"):
        expected_tv(still, target)


@pytest.mark.slow
def test_random_midpoints_are_bracketed_in_both_senses():
    target = rm.Gaussian.isotropic(LAM, 100)
    for law, distance_of in (("expected", expected_tv), ("unconditional", rm.tv)):
        row = rates.steps_to(schemes.randomized_midpoint, target, 0.1, law=law)
        for steps, value in ((row.steps, row.value), (row.steps - 1, row.before)):
            plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, np.linspace(T, 0, steps + 1))])
            assert distance_of(rm.output_law(plan, target, start="exact"), target) == pytest.approx(
                float(value), rel=1e-6
            )
        assert row.value <= 0.1 < row.before
        assert row.evaluations == 2 * row.steps


CURVES = [
    (schemes.exponential_integrator, [1.6907969522165047, 3.7036701862605557], [534, 14], 0.1439425456554297, "tv",
     2.0, 0.002, "geometric"),
    (schemes.heun, [0.04310198101167774, 1.593524776436663], [20, 2], 0.045014888491143684, "tv",
     2.0, 0.002, "geometric"),
    (schemes.heun, [0.09200476477404179], [644], 0.010986582532385974, "kl", 1.0, 0.001, "uniform"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("scheme, variances, counts, accuracy, metric, horizon, early_stop, grid", CURVES)
def test_the_least_number_is_found_on_a_curve_that_is_not_monotone(
    scheme, variances, counts, accuracy, metric, horizon, early_stop, grid
):
    """The windows of the corrector move with N; the textbook's own recursion, and the integral of |p - q| over the
    two radii or the closed form of KL, say of every N whether it is enough."""
    lam, n = np.array(variances), np.array(counts)
    target = rm.Gaussian.from_spectrum(lam, n)
    space = np.geomspace if grid == "geometric" else np.linspace
    goal = noised(lam, early_stop)

    def error(steps):
        levels = space(horizon, early_stop, steps + 1)
        levels[0], levels[-1] = horizon, early_stop
        v = corrected_variance(scheme.__name__, lam, int(n.sum()), levels)
        if metric == "kl":
            return math.sqrt((n * (v / goal - 1 - np.log(v / goal))).sum() / 2)
        return radial_tv(v, goal, n)

    row = rates.steps_to(scheme, target, accuracy, metric, corrector=True, horizon=horizon, early_stop=early_stop,
                         grid=grid)  # fmt: skip
    known = [error(steps) for steps in range(1, row.steps + 1)]
    assert min(known[:-1]) > accuracy > known[-1]
    assert float(row.value) == pytest.approx(known[-1], rel=1e-5)  # a grid of radii, and formulas that cancel
    assert row.proved
    assert (row.status, row.tried) == ("found", row.steps - 1)
    rises = [error(steps) for steps in range(row.steps + 1, 2 * row.steps + 8)]
    assert max(rises) > accuracy  # more steps fail again


def radial_tv(v, w, counts, points=1500):
    """1/2 int |p - q| over the squared radii of one or two blocks, chi-square each; p, q have variances v and w."""
    cuts = [np.quantile([chi2.ppf(s, k) * x for s in (1e-13, 1 - 1e-13) for x in (a, b)], [0, 1])
            for k, a, b in zip(counts, v, w, strict=True)]  # fmt: skip
    axes = [np.exp(np.linspace(*np.log(cut), points)) for cut in cuts]
    masses = [[chi2.logpdf(r / x, k) - np.log(x) + np.log(r) for x in pair]
              for r, k, *pair in zip(axes, counts, v, w, strict=True)]  # fmt: skip
    p, q = (np.exp(np.add.outer(masses[0][i], masses[1][i])) for i in (0, 1))
    cell = math.prod(math.log(high / low) / (points - 1) for low, high in cuts)
    return float(np.abs(p - q).sum() * cell / 2)


def corrected_variance(name, lam, dim, levels):
    """Variances after the steps of a scheme from q_T, underdamped Langevin at the end of every window."""
    v, first = noised(lam, levels[0]), 0
    while first < len(levels) - 1:
        edge = max(levels[first] - 1 / max(1.0, (1 / noised(lam, levels[first])).max()), levels[first] / 2, levels[-1])
        last = next(k for k in range(first + 1, len(levels)) if levels[k] <= edge * (1 + 1e-12))
        for t, s in zip(levels[first:last], levels[first + 1 : last + 1], strict=True):
            step = exponential_integrator if name == "exponential_integrator" else heun
            v = step(1.0, t, t - s, score_of(lam)) ** 2 * v
        k = 1 / noised(lam, levels[last])
        friction = math.sqrt(max(1.0, k.max()))
        h = 1 / (friction * dim ** (1 / 18)) / (last - first)
        for i, curvature in enumerate(k):
            step, noise = np.array(langevin(curvature, friction, h))
            C = np.diag([v[i], 1.0])
            for _ in range(last - first):
                C = step @ C @ step.T + noise
            v[i] = C[0, 0]
        first = last
    return v


# --- floors and sign changes ---------------------------------------------------------------------------------------


def test_a_floor_is_a_metric_that_has_come_to_rest():
    """A relative error of the score of 1/10 is a wrong variance for good; one of 1e-6 nothing that five steps show."""
    target = rm.Gaussian.isotropic(LAM, 100)
    for gain, most, status in ((0.1, 4096, "floor"), (1e-6, 5, "beyond max_steps"), (1e-3, 5, "beyond max_steps")):
        row = rates.steps_to(schemes.exponential_integrator, target, 0.1, score_error=gain, max_steps=most)
        assert row.status == status, gain


def test_an_exponent_before_a_sign_change_is_not_settled():
    """N of the deterministic midpoint approaches the zero of its error at N = 86: slopes fall to 0, not to 1/2."""
    rows = [rates.steps_to(schemes.midpoint, rm.Gaussian.isotropic(LAM, 10_000), e) for e in (0.3, 0.1, 0.03, 0.01)]
    assert all(row.crossing == 86 for row in rows)
    study = next(s for s in rates.studies(False, ["midpoint"]) if s.against == "1/eps" and s.held["metric"] == "tv")
    found = fitted(study, rows)
    assert not found.asymptotic
    assert "86" in found.note


def test_a_sign_change_beyond_the_last_point_is_seen_too():
    """Heun's error at variance 4 changes its sign where its exponent in d has fallen to 0.16."""
    rows = [rates.steps_to(schemes.heun, rm.Gaussian.isotropic(4.0, d), 0.1) for d in (10**4, 10**6, 10**8)]
    assert rows[-1].crossing is not None
    assert rows[-1].crossing > rows[-1].steps


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"accuracy": 0.0}, "accuracy: expected"),
        ({"accuracy": 1.0}, r"accuracy: expected a number in \(0, 1\), got 1.0"),
        ({"metric": "chi2"}, "metric: expected one of tv, kl, w2, got 'chi2'"),
        ({"law": "expected"}, "law: expected exact for this scheme"),
        ({"max_steps": 0}, "max_steps: expected an integer from 1 to 20000000, got 0"),
        ({"grid": "log"}, "grid: expected one of 'geometric', 'uniform', 'cosine', 'karras', 'kl_optimal', got 'log'"),
        ({"early_stop": 3.0}, "horizon: expected a level above the last one, 3, got 3.0"),
        ({"early_stop": 0.0, "grid": "geometric"}, "early_stop: a geometric grid cannot reach 0"),
        ({"guess": 2.5}, "guess: expected an integer >= 1, got 2.5"),
        ({"max_steps": True}, "max_steps: expected real numbers, got True"),
        ({"target": rm.Gaussian.isotropic(0.0, 3)}, "metric: tv has no value at noise level 0.0"),
        ({"target": rm.Gaussian([1.0], [2.0])}, "target: expected a centred Gaussian"),
        (
            {"scheme": schemes.randomized_midpoint, "metric": "w2"},
            "metric: expected one of tv, kl for the unconditional",
        ),
        ({"scheme": schemes.randomized_midpoint, "law": "exact"}, "law: expected expected or unconditional"),
        ({"scheme": schemes.randomized_midpoint, "width": 0.0}, "width: expected a number > 0"),
    ],
)
def test_bad_arguments_are_named(keywords, message):
    given = {"scheme": schemes.midpoint, "target": rm.Gaussian.isotropic(LAM, 3), "accuracy": 0.1} | keywords
    with pytest.raises(ValueError, match=message):
        rates.steps_to(given.pop("scheme"), given.pop("target"), given.pop("accuracy"), **given)


# --- random midpoints on targets of several variances -----------------------------------------------------------

TWO = rates.family("two-block", 100, 4.0, 16.0)


def shared_midpoints(target, steps, count=200_000):
    """E_alpha TV = E (1 - p/q)_+ at points of q, a path of midpoints for each, and its standard error."""
    rng = np.random.default_rng(3)
    lam, n, h = target.variances, target.multiplicities, T / steps
    gain = np.ones((count, lam.size))
    for k in range(steps):
        gain *= slope(lam, T - k * h, h, rng.random((count, 1)))
    ratio = gain**2 * noised(lam, T) / lam
    log = ((rng.chisquare(n, (count, lam.size)) * (1 - 1 / ratio) - n * np.log(ratio)) / 2).sum(axis=1)
    missing = -np.expm1(np.minimum(log, 0.0))
    return missing.mean(), missing.std() / math.sqrt(count)


@pytest.mark.slow
def test_the_interval_of_shared_midpoints_is_where_simulated_particles_cross():
    row = rates.steps_to(schemes.randomized_midpoint, TWO, 0.1, law="expected")
    assert row.status == "found"
    assert row.fewest <= row.steps <= row.most <= math.ceil(1.05 * row.fewest) + 1
    (high, off), (low, slip) = (shared_midpoints(TWO, n) for n in (int(0.9 * row.fewest), math.ceil(1.1 * row.most)))
    assert low + 4 * slip < 0.1 < high - 4 * off
    assert row.value.kind == row.before.kind == "monte-carlo"
    assert row.value.upper <= 0.1 < row.before.lower
    assert rates.steps_to(schemes.randomized_midpoint, TWO, 0.1).most < row.fewest  # each particle its own midpoints


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "metric", "accuracy"),
    [
        ("expected", "tv", 0.1),
        ("unconditional", "tv", 0.1),
        ("unconditional", "tv", 1e-3),
        ("unconditional", "kl", 0.1),
    ],
)
def test_blocks_of_one_variance_are_the_isotropic_target(law, metric, accuracy):
    blocks = rm.Gaussian.from_spectrum([LAM, LAM * (1 + 1e-13)], [30, 70])
    exact, found = (rates.steps_to(schemes.randomized_midpoint, target, accuracy, metric, law=law)
                    for target in (rm.Gaussian.isotropic(LAM, 100), blocks))  # fmt: skip
    assert exact.fewest == exact.steps == exact.most
    assert found.value.kind == "monte-carlo"
    assert found.fewest <= exact.steps <= found.most


@pytest.mark.slow
def test_a_finer_search_ends_within_the_interval():
    rough, fine = (rates.steps_to(schemes.randomized_midpoint, TWO, 1e-3, width=width) for width in (0.03, 0.003))
    assert rough.fewest <= fine.fewest <= fine.steps <= fine.most <= rough.most
    assert fine.most - fine.fewest < rough.most - rough.fewest


@pytest.mark.slow
def test_one_step_is_enough_where_everything_is_and_a_wrong_score_is_a_floor():
    row = rates.steps_to(schemes.randomized_midpoint, TWO, 0.99999)
    assert (row.steps, row.fewest, row.most, row.before, row.status) == (1, 1, 1, None, "found")
    row = rates.steps_to(schemes.randomized_midpoint, TWO, 0.1, score_error=0.1, max_steps=256)
    assert row.status == "floor"


@pytest.mark.slow
def test_powers_on_two_blocks_are_those_of_one_within_their_error():
    """The error's two terms are sqrt(d) h^2 and d h^3 for every centred Gaussian."""
    asked = rates.studies(False, ["randomized_midpoint"])
    asked = [s for s in asked if s.held.get("family") == "two-block" and s.against == "d"]
    for study, power in zip([s for s in asked if s.held["law"] == "unconditional"], (1 / 3, 1 / 4), strict=True):
        rows = [rates.cell(**c) for c in study.cells]
        found = fitted(study, rows)
        assert abs(found.exponent - power) <= found.error <= 0.05
        assert found.verdict == "claim not sharp here"


def test_what_is_open_of_the_steps_is_open_of_their_power():
    x = [10.0**k for k in range(2, 7)]
    steps = [1000 * z**0.5 for z in x]
    assert rates.fit(x, steps, [0.02] * 5)["error"] >= 0.04 / math.log(10) * (1 - 1e-12)
    assert rates.fit(x, steps)["error"] < 1e-3


# --- families, fits, verdicts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", rates.FAMILIES)
@pytest.mark.parametrize("dim", [1, 2, 9, 10**12])
def test_families_have_the_smoothness_condition_and_dimension_asked_for(name, dim):
    target = rates.family(name, dim, 4.0, 16.0)
    assert target.dim == dim
    assert target.variances.min() == pytest.approx(0.25)
    if name != "isotropic" and dim > 1:
        assert target.variances.max() == pytest.approx(4.0)
        assert np.ptp(target.multiplicities) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("square", 3), "family: expected one of isotropic"),
        (("isotropic", 0), "dim: expected an integer >= 1, got 0"),
        (("isotropic", 3, -1.0), "smoothness: expected"),
        (("isotropic", 3, 1.0, 0.5), "condition: expected a number >= 1, got 0.5"),
    ],
)
def test_bad_families_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        rates.family(*arguments)


@pytest.mark.parametrize("power", [0.25, 1 / 3, 1.0])
def test_a_power_is_fitted_and_a_crossover_is_left_out(power):
    x = [10.0**k for k in range(1, 11)]
    pure = rates.fit(x, [math.ceil(1000 * z**power) for z in x])
    assert pure["exponent"] == pytest.approx(power, abs=2e-3)
    assert pure["asymptotic"]
    bent = rates.fit(x, [math.ceil(1000 * max(z**power, 1e5 ** (0.75 * power) * z ** (power / 4))) for z in x])
    assert bent["slopes"][0] == pytest.approx(power / 4, abs=0.01)
    assert bent["asymptotic"]
    assert bent["low"] >= 1e4
    assert bent["exponent"] == pytest.approx(power, abs=0.01)


def test_slopes_that_still_move_are_not_asymptotic():
    x = [10.0**k for k in range(1, 6)]
    found = rates.fit(x, [math.ceil(1000 * math.exp(0.05 * math.log(z) ** 2)) for z in x])
    assert not found["asymptotic"]
    assert list(found["slopes"]) == sorted(found["slopes"])


def test_two_points_are_no_exponent():
    with pytest.raises(ValueError, match="x: expected at least three points"):
        rates.fit([1.0, 2.0], [1, 2])


@pytest.mark.parametrize(
    ("measured", "claimed", "verdict"),
    [
        (0.5, 0.5, "consistent"),
        (0.505, 0.5, "consistent"),
        (0.53, 0.5, "contradicts"),
        (0.33, 5 / 12, "claim not sharp here"),
        (0.3, None, "no claim"),
    ],
)
def test_verdicts(measured, claimed, verdict):
    assert judge(measured, 0.001, claimed) == verdict


# --- tables -----------------------------------------------------------------------------------------------------


@pytest.fixture
def few_studies(monkeypatch):
    """The first two of those of a table, and nothing besides."""
    whole = rates.studies
    monkeypatch.setattr(rates, "studies", lambda *asked: whole(*asked)[:2])
    monkeypatch.setattr(rates, "extras", lambda *asked: [])


@pytest.mark.slow
def test_a_table_is_resumed_from_its_store_and_refuses_another(tmp_path, few_studies):
    store = tmp_path / "rates.jsonl"
    first = rates.table(predictors=["euler"], store=store)
    before = store.read_bytes()
    seen = []
    again = rates.table(predictors=["euler"], store=store, progress=seen.append)
    assert seen[0].reused == seen[0].total
    assert again == first
    assert store.read_bytes() == before
    with pytest.raises(ValueError, match="store: expected"):
        rates.table(predictors=["heun"], store=store)
    assert store.read_bytes() == before
    json.dumps(first.as_dict(), allow_nan=False)


@pytest.mark.slow
def test_a_spectrum_of_ones_own_is_scaled_up(few_studies):
    target = rm.Gaussian.from_spectrum([0.2, 1.5, 3.0], [2, 1, 4])
    found = rates.table(predictors=["exponential_integrator"], target=target, theorems=False)
    mine = next(f for f in found.fits if f.note == "the user's covariance, repeated")
    assert mine.exponent == pytest.approx(0.5, abs=0.01)
    assert {row.dim for row in found.rows if row.family == "user"} == {7 * 10**k for k in range(5)}


def test_a_spectrum_of_ones_own_is_scaled_up_for_random_midpoints_too():
    target = rm.Gaussian.from_spectrum([0.2, 1.5, 3.0], [2, 1, 4])
    asked = rates._scaled_up(target, [("randomized_midpoint", law) for law in ("expected", "unconditional")])
    assert [(s.held["law"], s.at) for s in asked] == [
        (law, (1, 10, 100, 1000)) for law in ("expected", "unconditional")
    ]
    row = rates.cell(**asked[1].cells[1])
    assert (row.family, row.dim, row.status, row.value.kind) == ("user", 70, "found", "monte-carlo")


def test_unknown_predictors_are_named():
    with pytest.raises(ValueError, match="predictors: expected some of .*, got 'rk4'"):
        rates.table(predictors=["rk4"])


def test_every_cell_of_the_default_table_is_plain_data_for_a_sweep():
    cells = [c for study in rates.studies() for c in study.cells] + rates.extras()
    assert len(cells) > 80
    for c in cells:
        assert sweep.decode(sweep.encode(dict(c))) == c


def test_a_theorems_plan_reaches_its_accuracy():
    found = rates.theorem(plan="dpum", dim=100, smoothness=2.0, accuracy=0.3)
    plan = rm.plans.dpum(100, 2.0, 0.3)
    assert found.evaluations == plan.evaluations
    assert found.value <= 0.3


def test_kl_and_w2_of_the_ledger_form_keep_relative_accuracy_at_tiny_defects():
    goal = rm.Gaussian.isotropic(2.0, 10)
    u = np.array([1e-9])
    for metric, due in (("kl", mp.sqrt(5 * (mp.expm1(u[0]) - mp.mpf(u[0])))), ("w2", mp.sqrt(20) * mp.expm1(u[0] / 2))):
        with mp.workdps(60):
            exact = {"kl": mp.sqrt(5 * (mp.exp(mp.mpf(u[0])) - 1 - mp.mpf(u[0]))),
                     "w2": mp.sqrt(20) * (mp.exp(mp.mpf(u[0]) / 2) - 1)}[metric]  # fmt: skip
        assert float(rates._distance(metric, goal, u, np.array([1e-22]))) == pytest.approx(float(exact), rel=1e-13)
        assert float(due) == pytest.approx(float(exact), rel=1e-6)
