"""The public strategies: what they draw is valid and covers its range; bad ranges are refused by name."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import rmverify as rm
from rmverify import schemes
from rmverify.claims.looks.oscillating import Oscillation
from rmverify.schemes.contract import unwrap
from rmverify.testing import strategies as ours

SEARCH = settings(max_examples=2000, derandomize=True, database=None, phases=[Phase.generate], deadline=None)


def some(strategy, condition):
    """A drawn value for which the condition holds; an error where none of two thousand does."""
    return find(strategy, condition, settings=SEARCH)


# --- what is drawn is valid -----------------------------------------------------------------------------------------


@given(ours.gaussians(variances=(0.5, 4.0), modes=3, multiplicities=7, means=2.0))
def test_gaussians_stay_in_their_ranges(q):
    assert isinstance(q, rm.Gaussian)
    assert 1 <= q.variances.size <= 3
    assert q.variances.min() >= 0.5
    assert q.variances.max() <= 4.0
    assert q.multiplicities.max() <= 7
    assert np.abs(q.means).max() <= 2.0


@given(ours.rotations(4))
def test_rotations_are_orthogonal(turn):
    np.testing.assert_allclose(turn.T @ turn, np.eye(4), rtol=0, atol=1e-14)


@given(ours.schedules(start=(1.0, 2.0), end=(0.1, 0.9), steps=5))
def test_schedules_are_levels_of_a_predictor(levels):
    stage = rm.Predict(schemes.heun, levels)
    assert 1 <= len(stage) <= 5
    assert 1.0 <= stage.start <= 2.0
    assert 0.1 <= stage.end <= 0.9


@given(st.floats(1, 1e4).flatmap(lambda L: st.tuples(st.just(L), ours.steps(L, levels=(1e-2, 5.0)))))
def test_steps_are_in_the_lemmas_range(drawn):
    L, (t, h) = drawn
    assert 1e-2 <= t <= 5.0
    assert 0 < h <= min(1 / L, t)


@given(ours.estimated_scores(ours.gaussians(modes=2, multiplicities=9), gain=0.25, bias=0.5))
def test_estimated_scores_have_the_error_that_was_asked_for(estimate):
    bound = 0.25**2 * (estimate.target.multiplicities / estimate.target.at(1.0).variances).sum() + 0.25 * estimate.dim
    assert 0 <= estimate.error(1.0) <= np.sqrt(bound) * (1 + 1e-12)


@given(st.data())
@pytest.mark.slow
def test_plans_have_laws_at_their_midpoints(data):
    plan = data.draw(ours.plans())
    midpoints = data.draw(ours.alphas(plan))
    assert len(midpoints) == plan.drawing_steps
    law = rm.output_law(plan, rm.Gaussian.isotropic(0.5, 3), alphas=midpoints)
    assert np.isfinite(law.variances).all()
    assert (law.variances >= 0).all()


@given(ours.plans(predictors=st.just(schemes.heun), correctors=st.nothing()))
def test_plans_without_a_corrector(plan):
    assert [stage.scheme for stage in plan] == [schemes.heun]


@given(ours.spectra(variances=(0.5, 4.0), modes=6))
def test_spectra_stay_in_their_range(lam):
    assert 1 <= lam.size <= 6
    assert lam.min() >= 0.5
    assert lam.max() <= 4.0


@given(ours.dense_gaussians(variances=(0.5, 4.0), dim=5, means=2.0))
def test_dense_gaussians_have_the_eigenvalues_that_were_asked_for(q):
    eigenvalues = np.linalg.eigvalsh(q.covariance)
    assert 0.5 * (1 - 1e-12) <= eigenvalues[0] <= eigenvalues[-1] <= 4.0 * (1 + 1e-12)
    assert np.linalg.norm(q.mean) <= 2 * np.sqrt(q.dim) * (1 + 1e-12)


@given(ours.paths(), st.floats(0, 1))
def test_paths_get_noisier(path, part):
    low, high = path.levels
    levels = low + np.sort([0.0, part, 1.0]) * (min(high, 1000.0) - low)
    if getattr(path, "interpolation", "") is None:
        levels = np.round(levels)
    alpha, sigma = path.at(levels)
    assert (np.diff(np.arctan2(sigma, alpha)) >= -1e-15).all()


@given(ours.sigmas(most=(10.0, 20.0), least=(0.1, 0.2), steps=5))
def test_sigmas_go_down_to_their_end(levels):
    assert 2 <= len(levels) <= 6
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert 10 * (1 - 1e-12) <= levels[0] <= 20 * (1 + 1e-12)
    assert levels[-1] == 0 or 0.1 * (1 - 1e-12) <= levels[-1] <= 0.2 * (1 + 1e-12)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), ours.timesteps(n, steps=20))))
def test_timesteps_are_whole_and_go_down(drawn):
    count, levels = drawn
    assert 1 <= len(levels) <= min(count, 20)
    assert all(isinstance(t, int) for t in levels)
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert 0 <= levels[-1] <= levels[0] < count


# --- and covers its range -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        lambda q: q.variances.size == 1,
        lambda q: q.variances.size == 4,
        lambda q: q.variances.min() < 1e-2,
        lambda q: q.variances.max() > 1e2,
        lambda q: q.dim > 10**5,
        lambda q: not q.means.any(),
        lambda q: np.ptp(q.means) > 5,
    ],
)
def test_gaussians_of_every_sort_come_up(condition):
    some(ours.gaussians(), condition)


@pytest.mark.parametrize(
    "condition",
    [
        lambda lam: lam.size > 2 and np.ptp(lam) == 0,
        lambda lam: lam.size == 4 and np.unique(lam).size == 2,
        lambda lam: lam.size == 4 and np.unique(lam).size == 4,
        lambda lam: lam.size > 2 and lam[0] > lam[1] and np.isclose(lam[2], lam[0] * (lam[1] / lam[0]) ** np.log2(3)),
    ],
)
def test_spectra_of_every_sort_come_up(condition):
    some(ours.spectra(), condition)


@pytest.mark.parametrize("kind", [rm.paths.OU, rm.paths.VE, rm.paths.Flow, rm.paths.VP])
def test_every_kind_of_path_comes_up(kind):
    some(ours.paths(), lambda path: type(path) is kind)


@pytest.mark.parametrize("interpolation", ["log_sigma", "alphas_cumprod", None])
@pytest.mark.parametrize("noise", [True, False])
def test_every_list_of_timesteps_comes_up(interpolation, noise):
    def listed(path):
        squares = getattr(path, "alphas_cumprod", None)
        return squares is not None and path.interpolation == interpolation and (squares[-1] == 0) == noise

    some(ours.paths(), listed)


def test_sigmas_and_timesteps_of_every_sort_come_up():
    some(ours.sigmas(), lambda levels: levels[-1] == 0 and len(levels) > 5)
    some(ours.sigmas(), lambda levels: levels[-1] > 0 and len(levels) > 5)
    some(ours.timesteps(), lambda levels: levels[-1] == 0 and 1000 % len(levels))
    some(ours.timesteps(), lambda levels: levels[0] == 999 and len(set(np.diff(levels))) == 2)
    some(ours.timesteps(), lambda levels: len(levels) == 1)
    some(ours.timesteps(), lambda levels: len(set(np.diff(levels))) > 2)


@pytest.mark.parametrize("name", ["euler", "exponential_integrator", "heun", "midpoint", "randomized_midpoint"])
def test_every_plain_predictor_comes_up(name):
    some(ours.predictors(), lambda scheme: unwrap(scheme)[0] is unwrap(getattr(schemes, name))[0])


@pytest.mark.parametrize("name", schemes.SHIPPED)
def test_every_shipped_scheme_comes_up(name):
    both = st.one_of(ours.predictors(), ours.correctors())
    assert some(both, lambda scheme: getattr(unwrap(scheme)[0], "__name__", "") == name)


@pytest.mark.parametrize("kind", [type(None), np.ndarray, Oscillation])
def test_every_kind_of_bias_comes_up(kind):
    some(ours.estimated_scores(), lambda estimate: isinstance(estimate.bias, kind))


def test_the_longest_step_comes_up():
    some(ours.steps(4.0), lambda step: step[1] == min(0.25, step[0]))
    some(ours.steps(4.0), lambda step: step[0] < 0.25)
    some(ours.steps(4.0), lambda step: step[0] > 1 and step[1] < 1e-2)


def test_midpoints_lie_in_their_strata_and_fill_them():
    plan = rm.Plan([rm.Predict(schemes.parallel_midpoint(strata=2, rounds=0), [1.0, 0.5])])
    some(ours.alphas(plan), lambda rows: rows[0][0] < 0.1 and rows[0][1] > 0.9)
    some(ours.alphas(plan), lambda rows: rows[0][0] > 0.4 and rows[0][1] < 0.6)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ours.gaussians(variances=(0, 1)), "variances: "),
        (lambda: ours.gaussians(variances=(2, 1)), "variances: expected .low, high. with low <= high"),
        (lambda: ours.gaussians(means=-1), "means: "),
        (lambda: ours.estimated_scores(gain=-0.1), "gain: "),
        (lambda: ours.estimated_scores(bias=float("nan")), "bias: "),
        (lambda: ours.spectra(variances=(0, 1)), "variances: "),
        (lambda: ours.spectra(modes=0), "modes: "),
        (lambda: ours.dense_gaussians(means=-1), "means: "),
        (lambda: ours.sigmas(most=(0.5, 1.0)), "most: expected levels above those of least"),
        (lambda: ours.sigmas(steps=0), "steps: "),
        (lambda: ours.timesteps(0), "count: "),
        (lambda: ours.steps(0), "smoothness: "),
        (lambda: ours.steps(1.0, levels=(-1, 1)), "levels: "),
        (lambda: ours.schedules(start=(0.5, 1.0), end=(0.1, 0.5)), "start: expected levels above those of end"),
    ],
)
def test_bad_ranges_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_every_strategy_is_listed():
    made = {name for name, value in vars(ours).items() if getattr(value, "__module__", "") == ours.__name__}
    assert {name for name in made if not name.startswith("_")} == set(ours.__all__)


@pytest.mark.slow
def test_without_hypothesis_the_import_says_what_to_install():
    code = "import sys; sys.modules['hypothesis'] = None; import rmverify.testing; import rmverify.testing.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: rmverify.testing.strategies needs hypothesis")
    assert "pip install 'rmverify[testing]'" in last


def test_nothing_but_the_strategies_imports_hypothesis():
    code = "import sys, rmverify.testing, rmverify.cli, rmverify.claims; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
