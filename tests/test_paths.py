"""The ways from data to noise: their closed forms, what is refused, and that all are one process in other clocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mutants import samplers as mutants

from rmverify import paths

ROOT_HALF = math.sqrt(0.5)
CUMPROD = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def the_ornstein_uhlenbeck_path():
    for t in (0.0, 0.3, 2.0, 40.0):
        alpha, sigma = paths.OU().at(t)
        assert alpha == pytest.approx(math.exp(-t), rel=1e-15)
        assert sigma == pytest.approx(math.sqrt(1 - math.exp(-2 * t)), rel=1e-14)
    assert paths.OU().at(1e-12)[1] == pytest.approx(math.sqrt(2e-12), rel=1e-11)  # no cancellation
    assert paths.OU().at(math.inf) == (0.0, 1.0)


def variance_exploding():
    assert paths.VE().at(0.0) == (1.0, 0.0)
    assert paths.VE().at(math.inf) == (1.0, math.inf)
    alpha, sigma = paths.VE().at([1.0, 80.0])
    assert alpha.tolist() == [1.0, 1.0]
    assert sigma.tolist() == [1.0, 80.0]


def the_straight_path():
    assert paths.Flow().at(0.25) == (0.75, 0.25)
    assert paths.Flow().at(1.0) == (0.0, 1.0)
    assert paths.Flow(scale=1000).at(250) == (0.75, 0.25)
    assert paths.Flow(scale=1000).at(1000) == (0.0, 1.0)


def variance_preserving_with_a_rate():
    """alpha = exp(-(b0 t + (b1 - b0) t^2/2)/2)."""
    for t in (0.0, 0.2, 1.0):
        alpha, sigma = paths.VP(beta=(0.1, 20)).at(t)
        assert alpha == pytest.approx(math.exp(-(0.1 * t + 19.9 * t * t / 2) / 2), rel=1e-14)
        assert alpha**2 + sigma**2 == pytest.approx(1.0, rel=1e-15)


def whole_timesteps_are_those_of_the_list():
    path = paths.VP(CUMPROD)
    for t in (0, 1, 500, 999):
        assert path.at(t)[0] == math.sqrt(CUMPROD[t])
        assert path.at(t)[1] == math.sqrt(1 - CUMPROD[t])


def between_timesteps_log_sigma_is_linear():
    path, sigmas = paths.VP(CUMPROD), np.sqrt((1 - CUMPROD) / CUMPROD)
    for t, part in ((10, 0.25), (700, 0.5)):
        alpha, sigma = path.at(t + part)
        ratio = math.exp((1 - part) * math.log(sigmas[t]) + part * math.log(sigmas[t + 1]))
        assert sigma / alpha == pytest.approx(ratio, rel=1e-13)
        assert alpha**2 + sigma**2 == pytest.approx(1.0, rel=1e-15)


def between_timesteps_sigma_is_linear():
    path, sigmas = paths.VP(CUMPROD, interpolation="sigma"), np.sqrt((1 - CUMPROD) / CUMPROD)
    alpha, sigma = path.at(700.25)
    assert sigma / alpha == pytest.approx(0.75 * sigmas[700] + 0.25 * sigmas[701], rel=1e-13)
    clean, half = paths.VP([1.0, 0.5, 0.0], interpolation="sigma"), math.sqrt(0.8)
    assert clean.at(0.5) == pytest.approx((half, half / 2), rel=1e-14)  # sigma/alpha is 0, 1 and infinite
    assert clean.at(1.5)[0] ** 2 == pytest.approx(0.25)


def between_timesteps_alphas_cumprod_is_linear():
    path = paths.VP(CUMPROD, interpolation="alphas_cumprod")
    assert path.at(10.25)[0] ** 2 == pytest.approx(0.75 * CUMPROD[10] + 0.25 * CUMPROD[11], rel=1e-14)


def pure_noise_is_a_level_like_the_others():
    path = paths.VP([1.0, 0.5, 0.0])
    assert path.at(2) == (0.0, 1.0)
    assert path.at(0) == (1.0, 0.0)
    assert path.at(1.5)[0] ** 2 == pytest.approx(0.25)  # linear in alphas_cumprod: log sigma is infinite at the end
    assert path.at(0.5)[0] ** 2 == pytest.approx(0.75)
    assert path.noise_level(2) == math.inf


def the_timestep_of_a_sigma():
    """As far between the neighbours in the list as its logarithm is."""
    path, logs = paths.VP(CUMPROD), np.log((1 - CUMPROD) / CUMPROD) / 2
    sigma = math.exp(0.3 * logs[70] + 0.7 * logs[71])
    assert path.timestep(sigma) == pytest.approx(70.7, abs=1e-9)
    alpha, ends = path.at(path.timestep(sigma)), path.timestep([0.0, 1e9])
    assert alpha[1] / alpha[0] == pytest.approx(sigma, rel=1e-12)
    assert ends.tolist() == [0.0, 999.0]
    assert paths.VP([0.9, 0.5, 0.0]).timestep(1e9) == 1.0  # the last with a finite sigma


def all_clocks_count_the_same_noise():
    """sigma/alpha = r is the noise level log(1 + r^2)/2, whoever counts it."""
    r = 0.7
    level = math.log(1 + r * r) / 2
    clocks = [
        (paths.OU(), level),
        (paths.VE(), r),
        (paths.Flow(), r / (1 + r)),
        (paths.VP(beta=(0.1, 20)), (-0.1 + math.sqrt(0.01 + 4 * 19.9 / 2 * 2 * level)) / 19.9),
        (paths.VP(CUMPROD), paths.VP(CUMPROD).timestep(r)),
    ]
    for path, t in clocks:
        alpha, sigma = path.at(t)
        assert sigma / alpha == pytest.approx(r, rel=1e-12)
        assert path.noise_level(t) == pytest.approx(level, rel=1e-12)


def a_level_outside_the_path_is_refused():
    for path, t in (
        (paths.OU(), -1e-9),
        (paths.VE(), -1.0),
        (paths.Flow(), 1.0000001),
        (paths.VP(CUMPROD), 999.5),
        (paths.VP(beta=(0.1, 20)), [0.5, 1.5]),
        (paths.Flow(), math.nan),
    ):
        with pytest.raises(ValueError, match=r"t: expected a level of Path\(.*got"):
            path.at(t)


FACTS = {
    f.__name__: f
    for f in (
        the_ornstein_uhlenbeck_path,
        variance_exploding,
        the_straight_path,
        variance_preserving_with_a_rate,
        whole_timesteps_are_those_of_the_list,
        between_timesteps_log_sigma_is_linear,
        between_timesteps_sigma_is_linear,
        between_timesteps_alphas_cumprod_is_linear,
        pure_noise_is_a_level_like_the_others,
        the_timestep_of_a_sigma,
        all_clocks_count_the_same_noise,
        a_level_outside_the_path_is_refused,
    )
}


@pytest.mark.parametrize("name", FACTS)
def test_paths(name):
    FACTS[name]()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: paths.VP(), "either alphas_cumprod or beta"),
        (lambda: paths.VP(CUMPROD, beta=(0.1, 20)), "either alphas_cumprod or beta"),
        (lambda: paths.VP(CUMPROD[::-1]), "that do not increase"),
        (lambda: paths.VP([1.5, 0.5]), "got 1.5 at timestep 0$"),
        (lambda: paths.VP([0.9, 0.5, 0.6]), "got 0.6 after 0.5 at timestep 2$"),
        (lambda: paths.VP([0.5]), "numbers of"),
        (lambda: paths.VP([0.5, math.nan]), "expected finite numbers"),
        (lambda: paths.VP(CUMPROD, interpolation="cubic"), "interpolation: expected"),
        (lambda: paths.VP(CUMPROD, interpolation=None).at(0.5), "whole timesteps"),
        (lambda: paths.VP(CUMPROD).timestep(-1.0), "sigma: expected numbers >= 0"),
        (lambda: paths.VP(beta=(-1, 1)), "beta: expected a number >= 0"),
        (lambda: paths.Flow(scale=0), "scale: expected a number > 0"),
        (lambda: paths.Path(np.cos, np.sin, levels=(1, 1)), "low < high"),
        (lambda: paths.Path(np.cos, np.sin, levels=(0, 7)).at([0.0, 3.0]), "got -0.989992 and 0.14112 at t = 3"),
        (lambda: paths.Path(np.sin, np.sin, levels=(0, 1)).at(0.0), "not both 0"),
        (lambda: paths.Path(np.ones_like, lambda t: t * math.nan, levels=(0, 1)).at(0.5), "sigma"),
    ],
)
def test_what_is_no_path_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_path_of_ones_own_and_its_shapes():
    circle = paths.Path(np.cos, np.sin, levels=(0, math.pi / 2), name="circle")
    assert circle.at(math.pi / 4) == pytest.approx((ROOT_HALF, ROOT_HALF))
    assert circle.at(None) == (1.0, 0.0)
    assert repr(circle) == "Path(circle, levels 0 to 1.5708)"
    alpha, sigma = circle.at(np.zeros((2, 1)))
    assert alpha.shape == sigma.shape == (2, 1)


@pytest.mark.parametrize("mutant", mutants.PATHS, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    fact = FACTS[mutant.killed_by]
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, LookupError, TypeError, ValueError, Warning, pytest.fail.Exception)):
        fact()
