"""The real functions of k-diffusion, against closed forms; others of the same signature are read without it.

Importing the package runs all of it, with what its training needs (wandb, clip, kornia, ...). Its samplers are one file
that needs torch, torchsde and torchdiffeq, and it is that file, as installed, that is imported here.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import types
import warnings
from itertools import pairwise

import numpy as np
import pytest
from libraries import library
from mutants.clients import FUNCTIONS

from rmverify import Gaussian
from rmverify.adapters import functions, named
from rmverify.samplers import Unreadable

torch = library("torch")

LAM, MEAN = np.array([0.3, 1.5, 4.0, 0.01]), np.array([0.5, -0.3, 0.0, 1.0])
TARGET = Gaussian(MEAN, LAM)


@pytest.fixture(scope="module")
def sampling():
    if "k_diffusion.sampling" in sys.modules:
        return sys.modules["k_diffusion.sampling"]
    found = importlib.util.find_spec("k_diffusion")
    if found is None:
        pytest.skip("needs k_diffusion: pip install --no-deps k-diffusion")
    for name in ("torchsde", "torchdiffeq"):
        library(name)
    package = types.ModuleType("k_diffusion")
    package.__path__ = list(found.submodule_search_locations)
    images = types.ModuleType("torchvision.transforms")
    images.functional = types.ModuleType("torchvision.transforms.functional")
    stands = {
        "k_diffusion": package, "torchvision": types.ModuleType("torchvision"), "torchvision.transforms": images,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, module in stands.items():
            patch.setitem(sys.modules, name, module)
        return importlib.import_module("k_diffusion.sampling")


def cosines(sigmas):
    """One Euler step multiplies the relative standard deviation by cos(theta - theta'), theta = arctan(s/sqrt(lam))."""
    theta = np.arctan(sigmas[:, None] / np.sqrt(LAM))
    return np.prod(np.cos(theta[:-1] - theta[1:]), axis=0)


def karras(N):
    """Karras et al. 2022, eq. 5."""
    ends = 80 ** (1 / 7), 0.002 ** (1 / 7)
    return np.append([(ends[0] + i / (N - 1) * (ends[1] - ends[0])) ** 7 for i in range(N)], 0.0)


def sample_mine(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """Euler, as a library of somebody else has it."""
    ones = x.new_ones([x.shape[0]])
    for s, after in pairwise(sigmas):
        denoised = model(x, s * ones, **(extra_args or {}))
        x = denoised + after / s * (x - denoised)
    return x


def test_a_function_of_ones_own_is_a_product_of_cosines():
    family = functions.k_diffusion(sample_mine, extra_args={"cond": 3, "seed": None})
    reading = family(20).read(TARGET)
    sigmas = karras(20)
    factor = cosines(sigmas) * np.sqrt(LAM / (LAM + sigmas[0] ** 2))
    assert reading.law().means == pytest.approx(MEAN - factor * MEAN, rel=1e-10)
    assert reading.law().variances == pytest.approx((80 * factor) ** 2, rel=1e-10)
    assert [call.level for call in reading.calls] == pytest.approx(sigmas[:-1].tolist())


def test_sigmas_of_ones_own():
    given = functions.k_diffusion(sample_mine, [5.0, 1.0, 0.3])
    assert given(2).end == 0.3
    law = given(2).read(TARGET).law()
    factor = cosines(np.array([5.0, 1.0, 0.3])) * np.sqrt((LAM + 0.09) / (LAM + 25))
    assert law.variances == pytest.approx((5 * factor) ** 2, rel=1e-12)
    spaced = functions.k_diffusion(sample_mine, lambda N: np.append(np.geomspace(9, 0.1, N), 0))
    assert spaced(7).read(TARGET).evaluations == 7


def test_a_noise_sampler_of_its_own_is_not_replaced():
    """Two requests over one interval are two draws of randn_like, and one increment of Brownian motion."""

    def sample_twice(model, x, sigmas, noise_sampler=None):
        noise = noise_sampler or (lambda s, after: torch.randn_like(x))
        return model(x, sigmas[0]) + noise(2.0, 1.0) + noise(2.0, 1.0)

    base = (80 * LAM / (LAM + 6400)) ** 2
    own = functions.k_diffusion(sample_twice)(1).read(TARGET)
    assert own.law().variances == pytest.approx(base + 2, rel=1e-12)
    brownian = functions.k_diffusion(sample_twice, brownian=True)
    assert any("Brownian" in text for text in brownian.assumed)
    assert brownian(1).read(TARGET).law().variances == pytest.approx(base + 4, rel=1e-12)


def test_euler_of_k_diffusion(sampling):
    reading = functions.k_diffusion(sampling.sample_euler)(20).read(TARGET)
    sigmas = karras(20)
    factor = cosines(sigmas) * np.sqrt(LAM / (LAM + sigmas[0] ** 2))
    assert reading.law().variances == pytest.approx((80 * factor) ** 2, rel=1e-10)


def test_ancestral_euler_of_k_diffusion(sampling):
    """x -> x + (down - s)(x - D)/s + up z, up^2 = s'^2 (s^2 - s'^2)/s^2, down^2 = s'^2 - up^2."""
    sigmas = karras(15)
    mean, variance = 0 * LAM, sigmas[0] ** 2 + 0 * LAM
    for s, after in pairwise(sigmas):
        up = math.sqrt(after**2 * (s**2 - after**2) / s**2)
        down = math.sqrt(after**2 - up**2)
        a = 1 + (down - s) / s * s**2 / (LAM + s**2)
        mean, variance = a * mean + (1 - a) * MEAN, a**2 * variance + up**2
    law = functions.k_diffusion(sampling.sample_euler_ancestral)(15).read(TARGET).law()
    assert law.means == pytest.approx(mean, rel=1e-10)
    assert law.variances == pytest.approx(variance, rel=1e-10)


@pytest.mark.parametrize(
    "name, evaluations, order",
    [
        ("sample_euler", 40, 1), ("sample_heun", 79, 2), ("sample_dpm_2", 79, 2), ("sample_dpmpp_2m", 40, 2),
        ("sample_dpmpp_sde", 79, 2), ("sample_dpmpp_2s_ancestral", 79, 2), ("sample_dpmpp_2m_sde", 40, 2),
        ("sample_dpm_2_ancestral", 79, 2),
    ],
)  # fmt: skip
def test_orders_of_k_diffusion(sampling, name, evaluations, order):
    wide = Gaussian([0.0], [1.5])
    family = functions.k_diffusion(getattr(sampling, name))
    errors = []
    for N in (40, 80, 160):
        reading = family(N).read(wide)
        assert N > 40 or reading.evaluations == evaluations
        errors.append(abs(math.sqrt(reading.law("exact").variances[0] / 1.5) - 1))
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(order - 0.3 < slope < order + 0.3 for slope in slopes), slopes


def test_a_brownian_tree_is_replaced_or_refused(sampling):
    """Stages over overlapping intervals share one Brownian motion: two draws in a step, not one for each request."""
    reading = functions.k_diffusion(sampling.sample_dpmpp_sde)(10).read(TARGET)
    assert reading.draws == 2 * 9
    with pytest.raises(Unreadable, match="draws by torch.randint"):
        functions.k_diffusion(sampling.sample_dpmpp_sde, brownian=False)(10).read(TARGET)
    swapped = functions.k_diffusion(
        sampling.sample_dpmpp_sde, noise_sampler=lambda s, after: torch.randn(10, 1, dtype=torch.float64)
    )
    with pytest.raises(Unreadable, match="expected that of x"):
        swapped(10).read(TARGET)


def test_adaptive_steps_are_refused(sampling):
    with pytest.raises(ValueError, match=r"expected a function sample_dpm_adaptive\(model, x, sigmas"):
        functions.k_diffusion(sampling.sample_dpm_adaptive)

    def sample_adaptive(model, x, sigmas, disable=None):
        return sampling.sample_dpm_adaptive(model, x, float(sigmas[-2]), float(sigmas[0]), disable=True)

    with pytest.raises(Unreadable):
        functions.k_diffusion(sample_adaptive)(10).read(TARGET)


def test_a_name(sampling):
    assert named("k_diffusion.sampling:sample_heun").name == "sample_heun"


FACTS = {
    "noise_sampler": test_a_noise_sampler_of_its_own_is_not_replaced,
    "own": test_a_function_of_ones_own_is_a_product_of_cosines,
    "sigmas": test_sigmas_of_ones_own,
}


@pytest.mark.parametrize("mutant", FUNCTIONS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_refuted(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        FACTS[mutant.killed_by]()
