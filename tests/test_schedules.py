"""The best noise levels: named grids, the search and its gradient, closed forms, counts, and other data."""

from __future__ import annotations

import itertools
import json
import math
import re

import numpy as np
import pytest
from mutants.schedules import LINES
from oracles.plain import euler, exponential_integrator, heun, noised, randomized_midpoint, score_of
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from rmverify import Gaussian, Plan, Predict, Value, output_law, schedules, schemes, targets, tv
from rmverify.cli import main
from rmverify.plans import Levels, level_of, sigma_of

LAM, MEAN, COUNTS = np.array([0.04, 0.7, 5.0]), np.array([0.5, -0.2, 1.5]), np.array([2.0, 1.0, 3.0])
TARGET = Gaussian.from_spectrum(LAM, COUNTS)
SHIFTED = Gaussian(MEAN, LAM)
WHERE = Levels(0.01, 3.0)


# --- textbook formulas ------------------------------------------------------------------------------------------------


def ddim(x, t, h, score):
    """Euler's rule for dX/dsigma = eps in X = e^t x."""
    sigma, after = np.sqrt(np.expm1(2 * t)), np.sqrt(np.expm1(2 * (t - h)))
    eps = -np.sqrt(1 - np.exp(-2 * t)) * score(t, x)
    return np.exp(-(t - h)) * (np.exp(t) * x + (after - sigma) * eps)


def edm_heun(x, t, h, score):
    """Algorithm 1 of Karras et al. without churn, in X = x_0 + sigma eps, d = (X - D)/sigma."""

    def slope(X, t):
        sigma = np.sqrt(np.expm1(2 * t))
        D = X + sigma**2 * np.exp(-t) * score(t, np.exp(-t) * X)  # Tweedie; grad ln p(X) = e^{-t} s_t(e^{-t} X)
        return (X - D) / sigma

    sigma, after = np.sqrt(np.expm1(2 * t)), np.sqrt(np.expm1(2 * (t - h)))
    X = np.exp(t) * x
    d = slope(X, t)
    Y = X + (after - sigma) * d
    return np.exp(-(t - h)) * (X + (after - sigma) * (d + slope(Y, t - h)) / 2)


def midpoint(x, t, h, score):
    return randomized_midpoint(x, t, h, 0.5, score)


PLAIN = {
    "ddim": ddim, "edm_heun": edm_heun, "euler": euler, "exponential_integrator": exponential_integrator,
    "heun": heun, "midpoint": midpoint,
}  # fmt: skip


def law(step, levels, lam, mean, start):
    """Mean and variance of every mode at the end."""
    score = score_of(lam, mean)
    T = levels[0]
    m, v = (0 * lam, 0 * lam + 1) if start == "normal" else (np.exp(-T) * mean, noised(lam, T))
    for t, after in itertools.pairwise(levels):
        ends = step(m, t, t - after, score), step(m + 1, t, t - after, score)
        m, v = ends[0], v * (ends[1] - ends[0]) ** 2
    return m, v


def distance(metric, m, v, mean, lam, t, counts=1.0):
    """KL or W2 of N(m, v) to N(e^{-t} mean, v(t)); TV on one centred mode."""
    off, goal = (m - np.exp(-t) * mean) ** 2, noised(lam, t)
    if metric == "kl":
        return float(np.sum(counts * (v / goal - 1 - np.log(v / goal) + off / goal)) / 2)
    if metric == "w2":
        return math.sqrt(np.sum(counts * ((np.sqrt(v) - np.sqrt(goal)) ** 2 + off)))
    wide, narrow = math.sqrt(max(v[0], goal[0])), math.sqrt(min(v[0], goal[0]))
    cut = math.sqrt(2 * math.log(wide / narrow) / (1 / narrow**2 - 1 / wide**2))
    return math.erf(cut / narrow / math.sqrt(2)) - math.erf(cut / wide / math.sqrt(2))


# --- facts that mutants fail ------------------------------------------------------------------------------------------


def named_grids():
    """Each written as its source has it, between the same ends."""
    low, high, N = 0.02, 2.5, 7
    part = np.arange(N + 1) / N
    first, last = math.sqrt(math.expm1(2 * high)), math.sqrt(math.expm1(2 * low))
    karras = (first ** (1 / 7) + part * (last ** (1 / 7) - first ** (1 / 7))) ** 7
    optimal = np.tan(part * np.arctan(last) + (1 - part) * np.arctan(first))

    def squares(u):  # alphas_cumprod of the cosine schedule
        f = [math.cos((w + 0.008) / 1.008 * math.pi / 2) ** 2 for w in (u, 0)]
        return f[0] / f[1]

    def time_of(t):
        u = minimize_scalar(lambda u: (squares(u) - math.exp(-2 * t)) ** 2, bounds=(0, 1), options={"xatol": 1e-13}).x
        return u if 0 < u < 1 else math.nan

    cosine = [-math.log(squares((1 - p) * time_of(high) + p * time_of(low))) / 2 for p in part]
    due = {
        "geometric": high * (low / high) ** part, "uniform": high + part * (low - high), "cosine": cosine,
        "karras": np.log(1 + karras**2) / 2, "kl_optimal": np.log(1 + optimal**2) / 2,
    }  # fmt: skip
    assert set(due) == set(schedules.GRIDS)
    for grid, levels in due.items():
        found = Levels(low, high, grid).of(N)
        assert found == pytest.approx(levels, rel=1e-6 if grid == "cosine" else 1e-12), grid
        assert (found[0], found[-1]) == (high, low)


def steps_of_practice():
    """A step of `ddim` and `edm_heun` in the clock of sigma, on modes with means."""
    score, x = score_of(LAM, MEAN), np.array([0.3, -1.0, 2.0])
    for name in ("ddim", "edm_heun"):
        found = schedules.SCHEMES[name](x, 1.3, 0.4, score, None)
        assert found == pytest.approx(PLAIN[name](x, 1.3, 0.4, score), rel=1e-13), name


def errors_of_a_list():
    """KL and W2 of every scheme on modes with means and on repeated ones, TV on one mode."""
    levels = Levels(0.05, 2.0).of(9)
    for (name, step), start in itertools.product(PLAIN.items(), ("normal", "exact")):
        for target, mean, counts in ((SHIFTED, MEAN, 1.0), (TARGET, 0 * LAM, COUNTS)):
            m, v = law(step, levels, LAM, mean, start)
            for metric in ("kl", "w2"):
                due = distance(metric, m, v, mean, LAM, 0.05, counts)
                known = schedules._checked(target, schedules.SCHEMES[name], metric, start, Levels(0.05, 2.0))
                assert known.value(levels) == pytest.approx(due, rel=1e-10, abs=1e-14), (name, metric, start)
        one = np.array([0.2])
        due = distance("tv", *law(step, levels, one, 0.0, start), 0.0, one, 0.05)
        known = schedules._checked(Gaussian([0.0], one), schedules.SCHEMES[name], "tv", start, Levels(0.05, 2.0))
        assert known.gradient(levels)[0] == pytest.approx(due, rel=1e-3), (name, start)
        assert known.exact(levels) == pytest.approx(due, rel=1e-9), (name, start)
        value = schedules.error(levels, Gaussian([0.0], one), schedules.SCHEMES[name], metric="tv", start=start)
        assert value == pytest.approx(due, rel=1e-9)


def slopes_of_the_error():
    """Against differences of the error, with a mean on the way and with a random midpoint."""
    levels = np.array([2.0, 1.3, 0.6, 0.3, 0.1])
    for name, metric, start in itertools.product(
        ("ddim", "heun", "randomized_midpoint"), ("kl", "tv", "w2"), ("normal", "exact")
    ):
        if (name, metric) == ("randomized_midpoint", "tv"):
            continue
        known = schedules._checked(SHIFTED, schedules.SCHEMES[name], metric, start, WHERE)
        found, slopes = known.gradient(levels)
        assert found == pytest.approx(known.value(levels), rel=1e-12)
        for k in range(1, 4):
            up, down = levels.copy(), levels.copy()
            up[k], down[k] = levels[k] * (1 + 1e-5), levels[k] * (1 - 1e-5)
            due = (known.value(up) - known.value(down)) / (2e-5 * levels[k])
            assert slopes[k] == pytest.approx(due, rel=1e-5, abs=1e-7), (name, metric, start, k)


def given_the_midpoint():
    """E_a KL and (E_a W2^2)^{1/2} over one midpoint by quadrature, on modes with means."""
    levels = np.array([0.8, 0.5])
    for metric in ("kl", "w2"):
        power = 1 if metric == "kl" else 2

        def of(a, metric=metric, power=power):
            end = law(lambda x, t, h, s: randomized_midpoint(x, t, h, a, s), levels, LAM, MEAN, "normal")
            return distance(metric, *end, MEAN, LAM, 0.5) ** power

        due = quad(of, 0, 1, epsabs=1e-13, epsrel=1e-12)[0] ** (1 / power)
        value = schedules.error(levels, SHIFTED, schemes.randomized_midpoint, metric=metric)
        assert value == pytest.approx(due, rel=1e-10)
        assert value.kind == "exact"
        assert value.error < 1e-9 * value


def two_midpoints():
    """Over two steps the midpoints are independent: a double sum over Gauss-Legendre nodes of them."""
    levels = np.array([0.9, 0.6, 0.4])
    nodes, weights = np.polynomial.legendre.leggauss(12)
    total = 0.0
    for (a, p), (b, q) in itertools.product(zip((nodes + 1) / 2, weights / 2, strict=True), repeat=2):
        which = iter((a, a, b, b))  # each step of `law` is asked twice
        end = law(lambda x, t, h, s, w=which: randomized_midpoint(x, t, h, next(w), s), levels, LAM, MEAN, "normal")
        total += p * q * distance("kl", *end, MEAN, LAM, 0.4)
    value = schedules.error(levels, SHIFTED, schemes.randomized_midpoint)
    assert value == pytest.approx(total, rel=1e-10)


def equal_angles():
    """On one variance DDIM is best at equal angles arctan(sigma/sqrt(lam)), whatever is measured, for every N."""
    for lam, N, metric in ((4.0, 2, "kl"), (1.0, 3, "w2"), (0.1, 5, "tv"), (9.0, 11, "kl"), (1.0, 40, "kl")):
        levels = schedules.best(Gaussian.isotropic(lam, 5), schedules.ddim, WHERE, N, metric=metric, start="exact")
        angles = np.arctan(np.sqrt(np.expm1(2 * levels)) / math.sqrt(lam))
        assert np.diff(angles) == pytest.approx((angles[-1] - angles[0]) / N, rel=2e-2)
        least = math.cos((angles[0] - angles[-1]) / N) ** N
        reached = np.prod(np.cos(np.diff(angles)))
        assert -1e-14 <= least - reached <= 1e-6 * (1 - least)
    optimal = Levels(0.01, 3.0, "kl_optimal").of(40)  # of variance 1
    assert levels == pytest.approx(optimal, rel=2e-2)


def one_level_between():
    """The least error of two steps, by a scan over the level between and a search about its least point."""
    for name, metric in (("heun", "kl"), ("ddim", "w2"), ("edm_heun", "kl")):
        step = PLAIN[name]

        def of(log_t, step=step, metric=metric):
            levels = np.array([3.0, math.exp(log_t), 0.01])
            with np.errstate(all="ignore"):
                found = distance(metric, *law(step, levels, LAM, 0 * LAM, "normal"), 0 * LAM, LAM, 0.01, COUNTS)
            return found if math.isfinite(found) else 1e300

        scan = np.linspace(math.log(0.01), math.log(3.0), 801)[1:-1]
        middle = scan[np.argmin([of(y) for y in scan])]
        due = minimize_scalar(of, bounds=(middle - 0.01, middle + 0.01), method="bounded").fun
        levels = schedules.best(TARGET, schedules.SCHEMES[name], WHERE, 2, metric=metric)
        assert of(math.log(levels[1])) == pytest.approx(due, rel=1e-6), (name, metric)


def counts():
    """The fewest steps of every grid that are as good as the best, and those within an accuracy."""
    found = schedules.schedule(TARGET, schedules.ddim, 6, where=WHERE)
    assert [row.grid for row in found.rows] == ["best", *schedules.GRIDS]

    def of(grid, n):
        levels = Levels(0.01, 3.0, grid).of(n)
        return distance("kl", *law(ddim, levels, LAM, 0 * LAM, "normal"), 0 * LAM, LAM, 0.01, COUNTS)

    best = float(found.rows[0].kl)
    assert found.rows[0].needed == 6
    assert found.limit == 60
    for row in found.rows[1:]:
        due = next((n for n in range(1, found.limit + 1) if of(row.grid, n) <= best), None)
        assert (row.needed, row.steps, row.evaluations) == (due, 6, 6)
        assert row.kl == pytest.approx(of(row.grid, 6), rel=1e-10)
        assert row.kl >= best
    accuracy = 0.15
    within = schedules.schedule(TARGET, schedules.ddim, accuracy=accuracy, where=WHERE)
    assert within.rows[0].kl <= accuracy
    shorter = schedules.best(TARGET, schedules.ddim, WHERE, within.steps - 1, restarts=10, rng=5)
    assert schedules.error(shorter, TARGET, schedules.ddim) > accuracy
    for row in within.rows[1:]:
        due = next((n for n in range(1, within.limit + 1) if of(row.grid, n) <= accuracy), None)
        assert row.steps == due
        assert due is None or due >= within.steps


def close_to_a_goal():
    """A total variation on one mode that differs from the goal by 1e-7 of it is above or below."""
    levels, one = Levels(0.05, 2.0).of(9), np.array([0.2])
    due = distance("tv", *law(ddim, levels, one, 0.0, "normal"), 0.0, one, 0.05)
    known = schedules._checked(Gaussian([0.0], one), schedules.ddim, "tv", "normal", Levels(0.05, 2.0))
    assert known.within(levels, due * (1 + 1e-7))
    assert not known.within(levels, due * (1 - 1e-7))


def other_spectra():
    """Of two variances: equal angles of the one on the other, by the product of cosines."""
    found = schedules.transferred(
        {name: Gaussian.isotropic(lam, 1) for name, lam in {"a": 1.0, "b": 9.0}.items()}, schedules.ddim, 5, WHERE,
        start="exact",
    )  # fmt: skip
    first, last = np.sqrt(np.expm1(2 * np.array([3.0, 0.01])))

    def kl(lam, own):
        sigmas = math.sqrt(own) * np.tan(np.linspace(*np.arctan(np.array([first, last]) / math.sqrt(own)), 6))
        factor = np.prod(np.cos(np.diff(np.arctan(sigmas / math.sqrt(lam)))))
        return (factor**2 - 1) / 2 - math.log(factor)

    for each in found:
        lam, own = (1.0, 9.0) if each.on == "a" else (9.0, 1.0)
        assert each.error == pytest.approx(kl(lam, own), rel=1e-3)
        assert each.own == pytest.approx(kl(lam, lam), rel=1e-5)
        assert each.lost > 1.05


def laws_of_the_line():
    """The least error that is found on two Gaussians with one level between is that of a scan over it."""
    factor, where = targets.TwoGaussians(1.5), Levels(0.05, 2.0)
    found = schedules.lost(factor, schedules.ddim, 2, where)

    def of(t):
        out = output_law(Plan([Predict(schedules.ddim, [2.0, t, 0.05])]), factor, start="exact")
        return float(tv(out, factor.at(0.05)))

    scan = min(of(t) for t in np.geomspace(0.06, 1.9, 80))
    assert scan * (1 - 1e-2) <= found[0].own <= scan
    assert [each.grid for each in found] == ["gaussian", *schedules.GRIDS]
    for each in found[1:]:
        assert each.error == pytest.approx(of(Levels(0.05, 2.0, each.grid).of(2)[1]), rel=1e-9)
    assert found[0].lost >= 1


SLOW = equal_angles, one_level_between, counts, laws_of_the_line


def folds_of_the_line():
    """A midpoint step from level 1 to 0.2 on modes at -6 and 6: the slope of its map is negative between them."""
    for metric, most in (("tv", 1.0), ("kl", math.inf)):
        found = schedules.lost(targets.TwoGaussians(6.0), schemes.midpoint, 1, Levels(0.2, 1.0), metric=metric)
        assert {(each.error.kind, each.error.lower, each.error.upper) for each in found} == {("upper", 0.0, most)}


FACTS = {
    fact.__name__: fact
    for fact in (
        named_grids, steps_of_practice, errors_of_a_list, slopes_of_the_error, given_the_midpoint, two_midpoints,
        equal_angles, one_level_between, counts,
        close_to_a_goal, other_spectra, laws_of_the_line, folds_of_the_line,
    )
}  # fmt: skip


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(f, marks=pytest.mark.slow if f in (one_level_between, counts, laws_of_the_line) else ())
        for f in FACTS.values()
    ],
    ids=FACTS,
)
def test_facts(fact):
    fact()


@pytest.mark.slow
@pytest.mark.parametrize("mutant", LINES, ids=lambda mutant: mutant.name)
def test_its_fact_refutes_the_mutant(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        FACTS[mutant.killed_by]()


def test_every_fact_kills_something():
    assert {mutant.killed_by for mutant in LINES} == set(FACTS)


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_the_search_repeats_and_starts_agree():
    found = [schedules.schedule(TARGET, schemes.heun, 8, where=WHERE, restarts=4) for _ in range(2)]
    assert found[0].rows[0].levels == found[1].rows[0].levels
    assert found[0].starts == 9
    assert found[0].agreed >= 2


@pytest.mark.slow
def test_the_first_try_on_digits_is_reproduced():
    """DDIM in 40 steps from N(0, I) at the default T to the default delta, TV: computed elsewhere, to three digits."""
    from rmverify.io import read_covariance

    covariance = read_covariance("digits")
    found = schedules.schedule(
        Gaussian(np.zeros(len(covariance)), covariance), schedules.ddim, 40, metric="tv", restarts=0
    )
    errors = {row.grid: round(float(row.tv), 3) for row in found.rows}
    assert errors["geometric"] == 0.249
    assert errors["karras"] == pytest.approx(0.194, abs=0.0011)
    assert errors["best"] == 0.152


def test_one_step_has_no_levels_to_choose():
    assert schedules.best(TARGET, schemes.heun, WHERE, 1).tolist() == [3.0, 0.01]


def test_sigmas_and_timesteps_are_the_levels():
    from rmverify.paths import VP

    found = schedules.schedule(TARGET, schemes.heun, 4, where=WHERE)
    squares = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    assert found.sigmas == pytest.approx(np.sqrt(np.exp(2 * found.levels) - 1), rel=1e-12)
    assert level_of(sigma_of(found.levels)) == pytest.approx(found.levels, rel=1e-12)
    at = found.timesteps(VP(squares))
    logs = np.interp(at, np.arange(1000), np.log((1 - squares) / squares) / 2)
    assert np.exp(logs) == pytest.approx(found.sigmas, rel=1e-9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "steps: expected"),
        ({"steps": 201}, "steps: expected"),
        ({"metric": "chi2"}, "metric: expected one of kl, tv, w2, got 'chi2'"),
        ({"start": "zero"}, "start: expected 'normal' or 'exact', got 'zero'"),
        ({"where": Levels(0.0, 1.0, "uniform")}, "where: expected Levels with an early stop above 0"),
        ({"scheme": schemes.randomized_midpoint_sde}, "scheme: expected one that draws at most one uniform midpoint"),
        (
            {"scheme": schemes.parallel_midpoint(strata=2, rounds=1)},
            "scheme: expected one that draws at most one uniform",
        ),
        ({"scheme": schemes.underdamped(friction=1)}, "scheme: expected a predictor on x"),
        ({"scheme": schemes.randomized_midpoint, "metric": "tv"}, "metric: the total variation given"),
        ({"restarts": -1}, "restarts: expected an integer >= 0"),
    ],
)
def test_what_makes_no_sense_is_refused(changed, message):
    asked = {"target": TARGET, "scheme": schemes.heun, "where": WHERE, "steps": 3} | changed
    with pytest.raises(ValueError, match=re.escape(message)):
        schedules.best(**asked)


def test_other_refusals():
    with pytest.raises(TypeError, match="target: expected a Gaussian"):
        schedules.best(targets.TwoGaussians(1.0), schemes.heun, WHERE, 3)
    with pytest.raises(ValueError, match="steps: expected either steps or accuracy"):
        schedules.schedule(TARGET, schemes.heun)
    with pytest.raises(ValueError, match="accuracy: not reached in 200 steps"):
        schedules.schedule(Gaussian.isotropic(4.0, 10), schedules.ddim, accuracy=1e-9, where=WHERE)
    with pytest.raises(ValueError, match="levels: expected at least two that fall"):
        schedules.error([1.0, 2.0], TARGET, schemes.heun)
    with pytest.raises(ValueError, match="grid: expected one of 'geometric', 'uniform', 'cosine'"):
        Levels(0.1, 1.0, "sine")


def test_an_average_that_is_not_resolved_says_so():
    """In one long step some midpoint makes a narrow mode vanish."""
    value = schedules.error([3.0, 0.001], Gaussian([0.0], [0.01]), schemes.randomized_midpoint)
    assert value.kind == "surrogate"
    assert value.error > 1e-6 * value


# --- other data -------------------------------------------------------------------------------------------------------


FIVE = (
    targets.TwoGaussians(1.5), targets.SkewNormal(3.0), targets.UniformGaussian(1.0, 0.1),
    targets.LaplaceGaussian(1.0, 0.1), targets.ExponentialGaussian(1.0, 0.1),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("factor", FIVE, ids=lambda factor: type(factor).__name__)
def test_the_gaussians_grid_on_the_five_laws_of_the_line(factor):
    """The levels of the Gaussian of the same variance are the best of the table."""
    found = schedules.lost(factor, schedules.ddim, 4, Levels(0.05, 2.0), search=False)
    assert [each.grid for each in found] == ["gaussian", *schedules.GRIDS]
    assert found[0].lost < 1.1
    assert all(each.error >= each.own for each in found)


def test_nothing_is_lost_beside_nothing():
    """The standard normal law stays itself under Heun's rule, whatever the levels."""
    unit = {"a": Gaussian.isotropic(1.0, 2), "b": Gaussian.isotropic(1.0, 3)}
    assert [each.lost for each in schedules.transferred(unit, schemes.heun, 3, WHERE)] == [1.0, 1.0]
    assert schedules.Carried("a", "b", Value(0.5), Value(0.0)).lost == math.inf


def test_data_that_are_no_law_of_the_line_are_refused():
    with pytest.raises(TypeError, match="factor: expected a law on the line"):
        schedules.lost(TARGET, schedules.ddim, 3, WHERE)
    with pytest.raises(ValueError, match="scheme: expected one that draws nothing"):
        schedules.lost(FIVE[0], schemes.randomized_midpoint, 3, WHERE)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in a folder with a spectrum: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    np.savetxt("spectrum.csv", np.array([0.04, 0.7, 5.0]))

    def call(*arguments):
        return main(["schedule", *map(str, arguments)]), *capsys.readouterr()

    return call


SPECTRUM = ("spectrum.csv", "--spectrum")


def test_the_json_is_the_study(run):
    code, out, err = run(*SPECTRUM, "--scheme", "ddim", "--steps", 5, "--early-stop", 0.01, "--horizon", 3, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    due = schedules.schedule(Gaussian.from_spectrum([0.04, 0.7, 5.0], [1, 1, 1]), schedules.ddim, 5, where=WHERE)
    assert found["t"] == due.levels.tolist()
    assert found["sigmas"] == due.sigmas.tolist()
    assert [row["grid"] for row in found["grids"]] == ["best", *schedules.GRIDS]
    assert found["grids"][0]["kl"]["value"] == float(due.rows[0].kl)
    assert (found["command"], found["scheme"], found["horizon"], found["early_stop"]) == ("schedule", "ddim", 3, 0.01)
    assert len(found["timesteps"]) == 6
    assert not found["timesteps_clipped"]


def test_the_tables_fit_a_terminal_and_lists_can_be_pasted(run, monkeypatch):
    monkeypatch.setattr("rmverify.cli.output.width", lambda: 80)
    monkeypatch.setattr("rmverify.cli.schedule.width", lambda: 80)
    code, out, _ = run(*SPECTRUM, "--steps", 12, "--start", "exact", "--betas", "scaled_linear")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    lists = [json.loads(text) for text in re.findall(r"^\[[^\]]*\]", out, re.MULTILINE)]
    assert [len(each) for each in lists] == [13, 13, 13]
    assert sigma_of(lists[0]) == pytest.approx(lists[1], rel=1e-5)
    assert all(grid in out for grid in schedules.GRIDS)


@pytest.mark.slow
def test_an_accuracy_and_a_random_midpoint(run):
    code, out, _ = run(*SPECTRUM, "--scheme", "ddim", "--accuracy", 0.3, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["accuracy"] == 0.3
    assert found["grids"][0]["kl"]["value"] <= 0.3
    code, out, _ = run(*SPECTRUM, "--scheme", "randomized_midpoint", "--steps", 6)
    assert code == 0
    assert "given the random midpoints" in out
    assert "TV " not in out.split("Output against")[1].splitlines()[1]


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (("missing.csv",), "missing.csv"),
        ((*SPECTRUM, "--steps", 0), "--steps"),
        ((*SPECTRUM, "--steps", "many"), "--steps"),
        ((*SPECTRUM, "--steps", 201), "--steps"),
        ((*SPECTRUM, "--accuracy", -1), "--accuracy"),
        ((*SPECTRUM, "--accuracy", 0.1, "--steps", 3), "not allowed"),
        ((*SPECTRUM, "--accuracy", 1e-12, "--scheme", "ddim"), "--accuracy: not reached in 200 steps"),
        ((*SPECTRUM, "--scheme", "rk4"), "--scheme"),
        ((*SPECTRUM, "--metric", "tv", "--scheme", "randomized_midpoint"), "--metric"),
        ((*SPECTRUM, "--early-stop", 2, "--horizon", 1), "--horizon"),
        ((*SPECTRUM, "--plot", "levels.txt"), "--plot"),
    ],
)
def test_bad_options_are_refused_in_one_line(run, options, fragment):
    code, out, err = run(*options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert fragment in err


def test_the_picture(run):
    pytest.importorskip("matplotlib")
    code, _, _ = run(*SPECTRUM, "--steps", 4, "--plot", "levels.svg")
    assert code == 0
    with open("levels.svg", encoding="utf-8") as file:
        assert file.read().count("<path") > 20
