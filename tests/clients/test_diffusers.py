"""The real schedulers of diffusers, against formulas of their papers written plainly."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
from libraries import library
from mutants.clients import DIFFUSERS

from rmverify import Gaussian, adapters, audit, paths, schedules
from rmverify.samplers import NotAffine

torch = library("torch")
diffusers = library("diffusers")
library("diffusers.schedulers")

LAM, MEAN = np.array([0.3, 1.5, 4.0, 0.01]), np.array([0.5, -0.3, 0.0, 1.0])
TARGET = Gaussian(MEAN, LAM)
FLOAT32 = 2.0**-23
pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")


@pytest.fixture(autouse=True)
def quiet():
    """Warnings that diffusers logs are not of the test."""
    level = diffusers.utils.logging.get_verbosity()
    diffusers.utils.logging.set_verbosity_error()
    yield
    diffusers.utils.logging.set_verbosity(level)


def cosines(ratios):
    """DDIM, and Euler in the clock of sigma or of a flow: one step from sigma/alpha = r to r' multiplies the standard
    deviation relative to the exact one by cos(theta - theta'), theta = arctan(r/sqrt(lam))."""
    theta = np.arctan(np.asarray(ratios)[:, None] / np.sqrt(LAM))
    return np.prod(np.cos(theta[:-1] - theta[1:]), axis=0)


def assert_close(law, mean, variance, N):
    """Coefficients of N steps are rounded to float32 a few times in each."""
    size = 64 * N * FLOAT32
    assert law.means == pytest.approx(mean, rel=size, abs=size * math.sqrt(LAM.max()))
    assert law.variances == pytest.approx(variance, rel=2 * size)


@pytest.mark.parametrize("N", [7, 10, 50])
@pytest.mark.parametrize("says", ["epsilon", "sample", "v_prediction"])
def test_ddim_is_a_product_of_cosines(N, says):
    family = adapters.diffusers(diffusers.DDIMScheduler, prediction_type=says, timestep_spacing="leading")
    law = family(N).read(TARGET).law()
    squares = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    times = np.arange(N)[::-1] * (1000 // N)
    a = np.append(squares[times], 1.0)
    exact = np.sqrt(a[0] * LAM + 1 - a[0])
    factor = cosines(np.sqrt((1 - a) / a)) / exact * np.sqrt(LAM)
    # float32 alphas_cumprod are products of 1000 factors
    size = 1000 * FLOAT32 + 64 * N * FLOAT32
    assert law.means == pytest.approx(MEAN - factor * math.sqrt(a[0]) * MEAN, abs=size)
    assert law.variances == pytest.approx(factor**2, rel=4 * size)


@pytest.mark.parametrize("options", [{}, {"use_karras_sigmas": True}, {"timestep_spacing": "trailing"}], ids=str)
@pytest.mark.parametrize("says", ["epsilon", "sample", "v_prediction"])
def test_euler_is_a_product_of_cosines(options, says):
    made = diffusers.EulerDiscreteScheduler(prediction_type=says, **options)
    made.set_timesteps(12)
    sigmas, start = made.sigmas.double().numpy(), float(made.init_noise_sigma)
    reading = adapters.diffusers(made)(12).read(TARGET)
    factor = cosines(sigmas) / np.sqrt(LAM + sigmas[0] ** 2) * np.sqrt(LAM)
    assert_close(reading.law(), MEAN - factor * MEAN, (start * factor) ** 2, 12)


def test_euler_of_edm_is_a_product_of_cosines():
    made = diffusers.EDMEulerScheduler()
    made.set_timesteps(15)
    sigmas = made.sigmas.double().numpy()
    factor = cosines(sigmas) / np.sqrt(LAM + sigmas[0] ** 2) * np.sqrt(LAM)
    for says in ("epsilon", "v_prediction"):
        law = adapters.diffusers(diffusers.EDMEulerScheduler, prediction_type=says)(15).read(TARGET).law()
        assert_close(law, MEAN - factor * MEAN, (80.0**2 + 1) * factor**2, 15)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_matching_euler_is_a_product_of_cosines(shift):
    made = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    made.set_timesteps(9)
    t = made.sigmas.double().numpy()
    assert t[0] == 1.0
    ratios = np.append(np.inf, t[1:] / (1 - t[1:]))
    factor = cosines(ratios) * np.sqrt(LAM)
    reading = adapters.diffusers(diffusers.FlowMatchEulerDiscreteScheduler, shift=shift)(9).read(TARGET)
    assert_close(reading.law(), MEAN, factor**2, 9)
    assert [call.level for call in reading.calls] == pytest.approx(list(1000 * t[:-1]))


def ancestral(a, variance, last_is_noisy=False):
    """Moments of x -> c_0 x0 + c_t x + sqrt(variance) z (Ho et al. 2020, eq. 7) with the exact x0, from N(0, 1)."""
    mean, spread = 0 * LAM, 1 + 0 * LAM
    for n, (now, then) in enumerate(pairwise(a)):
        beta = 1 - now / then
        gain = math.sqrt(now) * LAM / (now * LAM + 1 - now)
        shift = MEAN * (1 - now) / (now * LAM + 1 - now)
        c_0, c_t = math.sqrt(then) * beta / (1 - now), math.sqrt(now / then) * (1 - then) / (1 - now)
        mean, spread = c_0 * (gain * mean + shift) + c_t * mean, (c_0 * gain + c_t) ** 2 * spread
        if n < len(a) - 2 or last_is_noisy:
            spread = spread + variance(now, then, beta)
    return mean, spread


def tilde(now, then, beta):
    return (1 - then) / (1 - now) * beta


@pytest.mark.parametrize("kind", ["fixed_small", "fixed_large"])
def test_ddpm_is_the_recursion_of_its_paper(kind):
    N = 13
    made = diffusers.DDPMScheduler(variance_type=kind)
    made.set_timesteps(N)
    times = made.timesteps.numpy()
    assert (np.diff(times) == -(1000 // N)).all()
    squares = made.alphas_cumprod.double().numpy()
    mean, variance = ancestral(
        np.append(squares[times], 1.0), tilde if kind == "fixed_small" else lambda now, then, beta: beta
    )
    law = adapters.diffusers(diffusers.DDPMScheduler, variance_type=kind)(N).read(TARGET).law()
    assert_close(law, mean, variance, N)


def test_ddim_with_eta_1_is_ddpm():
    """Song, Meng and Ermon 2021, Section 4.1."""
    one = adapters.diffusers(diffusers.DDIMScheduler, eta=1.0)(20)
    reading = one.read(TARGET)
    other = adapters.diffusers(diffusers.DDPMScheduler)(20).read(TARGET)
    assert_close(reading.law(), other.law().means, other.law().variances, 20)
    assert "eta=1.0" in one.name


def test_unclip_is_told_the_timestep_before():
    family = adapters.diffusers(diffusers.UnCLIPScheduler)
    made = diffusers.UnCLIPScheduler()
    made.set_timesteps(11)
    squares = made.alphas_cumprod.double().numpy()
    a = np.append(squares[made.timesteps.numpy()], 1.0)
    mean, variance = ancestral(a, tilde)
    lost = 1 / (64 * math.sqrt(a[0]))  # (x - sigma eps)/alpha, its sigma in float32, alpha = 5e-5
    assert_close(family(11).read(TARGET).law(), mean, variance, 11 + lost)


def test_wuerstchen_is_the_recursion_on_its_own_cosine():
    def square(t):
        ratio = math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
        return min(max(ratio, 0.0001), 0.9999)

    N = 10
    mean, variance = ancestral([square(1 - n / N) for n in range(N + 1)], tilde)
    law = adapters.diffusers(diffusers.DDPMWuerstchenScheduler)(N).read(TARGET).law()
    assert law.means == pytest.approx(mean, abs=1e5 * FLOAT32)  # 1 - 0.9999 in float32 has 10 bits
    assert law.variances == pytest.approx(variance, rel=1e5 * FLOAT32)


@pytest.mark.parametrize(
    "name, says, order, evaluations",
    [
        ("FlowMatchHeunDiscreteScheduler", None, 2, 79),
        ("HeunDiscreteScheduler", "epsilon", 2, 79),
        ("HeunDiscreteScheduler", "sample", 2, 79),
        ("HeunDiscreteScheduler", "v_prediction", 2, 79),
        ("EDMDPMSolverMultistepScheduler", "epsilon", 2, 40),
        ("FlowMatchEulerDiscreteScheduler", None, 1, 40),
    ],
)
def test_orders_and_evaluations(name, says, order, evaluations):
    """Of the discretization alone: the last step, from sigma/alpha = r to the data, multiplies the standard deviation
    by cos(arctan(r/sqrt(lam))), whatever N."""
    options = {} if says is None else {"prediction_type": says}
    if name == "HeunDiscreteScheduler":
        options["use_karras_sigmas"] = True
    family = adapters.diffusers(getattr(diffusers, name), **options)
    wide = Gaussian([0.0, 0.0], [0.3, 4.0])
    errors = []
    for N in (40, 80, 160):
        reading = family(N).read(wide)
        if N == 40:
            assert reading.evaluations == evaluations
        alpha, sigma = reading.sampler.path.at(reading.calls[-1].level)
        last = np.cos(np.arctan(sigma / alpha / np.sqrt(wide.variances)))
        errors.append(np.abs(np.sqrt(reading.law("exact").variances / wide.variances) / last - 1).max())
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(order - 0.25 < slope < order + 0.35 for slope in slopes), slopes


def names():
    """Every scheduler that this version has."""
    found = [name for name in dir(diffusers) if name.endswith("Scheduler") and not name.startswith("_")]
    assert len(found) > 30
    return sorted(found)


READ = {
    "CogVideoXDDIMScheduler", "CogVideoXDPMScheduler", "DDIMInverseScheduler", "DDIMParallelScheduler",
    "DDIMScheduler", "DDPMParallelScheduler", "DDPMScheduler", "DDPMWuerstchenScheduler", "DEISMultistepScheduler",
    "DPMSolverMultistepInverseScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
    "EDMDPMSolverMultistepScheduler", "EDMEulerScheduler", "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "HeunDiscreteScheduler", "IPNDMScheduler",
    "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "LMSDiscreteScheduler", "PNDMScheduler",
    "SASolverScheduler", "UnCLIPScheduler", "UniPCMultistepScheduler", "DPMSolverSDEScheduler",
    "CosineDPMSolverMultistepScheduler", "LTXEulerAncestralRFScheduler", "MiniMaxH3Scheduler",
}  # fmt: skip


def refusal(name):
    try:
        adapters.diffusers(getattr(diffusers, name))
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", names())
def test_every_scheduler_is_read_or_refused_in_one_line(name):
    """Read twice with the same numbers, with a smaller error for more steps; and nothing is left in the object."""
    if name not in READ and (why := refusal(name)):
        assert why.startswith("sampler: ")
        assert "\n" not in why
        return
    if name in ("CosineDPMSolverMultistepScheduler", "DPMSolverSDEScheduler"):
        library("torchsde")
    family = adapters.diffusers(getattr(diffusers, name))
    errors = []
    for N in (12, 96):
        sampler = family(N)
        start = "exact" if sampler.end is not None else "normal"
        one, two = sampler.read(TARGET), sampler.read(TARGET)
        assert (one.law(start).variances == two.law(start).variances).all()
        assert one.evaluations >= N - 1
        errors.append(np.abs(np.sqrt(one.law(start).variances / one.wanted.variances) - 1).max())
    assert errors[1] < errors[0]


@pytest.mark.parametrize("option", ["clip_sample", "thresholding"])
def test_options_that_bend_are_off_unless_asked_for(option):
    family = adapters.diffusers(diffusers.DDIMScheduler)
    assert any("clip_sample=False" in text for text in family.assumed)
    asked = adapters.diffusers(diffusers.DDIMScheduler, **{"clip_sample": False, option: True})
    assert not any("clip_sample=False" in text for text in asked.assumed)
    for made in (asked, adapters.diffusers(diffusers.DDIMScheduler(**{"clip_sample": False, option: True}))):
        with pytest.raises(NotAffine, match=f"{option}=True"):
            made(10).read(TARGET)


def test_an_object_is_copied_with_its_options_and_left_as_it_is():
    made = diffusers.DPMSolverMultistepScheduler(solver_order=3, use_karras_sigmas=True)
    made.set_timesteps(5)
    before = copy.deepcopy(vars(made))
    family = adapters.diffusers(made)
    law = family(9).read(TARGET).law()
    same = adapters.diffusers(diffusers.DPMSolverMultistepScheduler, solver_order=3, use_karras_sigmas=True)
    assert (law.variances == same(9).read(TARGET).law().variances).all()
    other = adapters.diffusers(made, solver_order=1)(9).read(TARGET).law()
    assert not np.allclose(other.variances, law.variances, rtol=1e-6)
    for key, value in vars(made).items():
        same = torch.equal(value, before[key]) if isinstance(value, torch.Tensor) else value == before[key]
        assert same, key


def test_variants_are_what_the_object_offers():
    found = adapters.diffusers(diffusers.DPMSolverMultistepScheduler).variants
    assert {
        "prediction_type=sample", "prediction_type=v_prediction", "timestep_spacing=trailing",
        "use_karras_sigmas=True", "use_flow_sigmas=True", "solver_order=1", "solver_order=3", "solver_type=heun",
        "algorithm_type=sde-dpmsolver++",
    } <= set(found)  # fmt: skip
    assert "solver_type=bh1" not in found  # taken, and quietly changed
    assert "prediction_type=epsilon" not in found
    assert found["use_flow_sigmas=True"](8).path.name == "flow of 1000"
    assert "use_karras_sigmas=True" in adapters.diffusers(diffusers.HeunDiscreteScheduler).variants
    assert "eta=1.0" in adapters.diffusers(diffusers.DDIMScheduler).variants


def test_all_predictions_are_one_method():
    """The exact network answers the same question in other words."""
    base = adapters.diffusers(diffusers.UniPCMultistepScheduler)
    law = base(10).read(TARGET).law()
    for says in ("prediction_type=sample", "prediction_type=v_prediction"):
        other = base.variants[says](10).read(TARGET).law()
        assert_close(other, law.means, law.variances, 10)


@pytest.mark.parametrize("options", [{}, {"use_karras_sigmas": True}], ids=str)
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_timesteps_between_whole_ones_are_as_noisy_as_the_scheduler_says(name, options):
    made = getattr(diffusers, name)(**options)
    made.set_timesteps(50)
    reading = adapters.diffusers(made)(50).read(TARGET)
    alpha, sigma = reading.sampler.path.at([call.level for call in reading.calls])
    assert sigma / alpha == pytest.approx(made.sigmas[:-1].numpy(), rel=32 * FLOAT32)


def test_a_path_of_the_users_own():
    from rmverify import paths

    family = adapters.diffusers(diffusers.FlowMatchEulerDiscreteScheduler, path=paths.Flow(scale=1000), predicts="flow")
    plain = adapters.diffusers(diffusers.FlowMatchEulerDiscreteScheduler)
    assert (family(6).read(TARGET).law().variances == plain(6).read(TARGET).law().variances).all()
    assert "as given" in family.assumed[0]


@pytest.mark.parametrize(
    "options, error",
    [
        ({"solver_orders": 3}, "DDIMScheduler has no option solver_orders; expected one of num_train_timesteps"),
        ({"beta_schedule": "nothing"}, "DDIMScheduler cannot be made with these options"),
        ({"prediction_type": "score"}, "DDIMScheduler predicts 'score', expected one of epsilon"),
    ],
)
def test_options_that_it_has_not(options, error):
    with pytest.raises(ValueError, match=error):
        adapters.diffusers(diffusers.DDIMScheduler, **options)


def test_names():
    assert adapters.named("diffusers:HeunDiscreteScheduler").name == "HeunDiscreteScheduler"
    with pytest.raises(ValueError, match=r"did you mean HeunDiscreteScheduler\?"):
        adapters.named("diffusers:HeunDiscretScheduler")


def test_a_brownian_tree_is_one_brownian_motion():
    library("torchsde")
    family = adapters.diffusers(diffusers.DPMSolverSDEScheduler)
    assert any("Brownian" in text for text in family.assumed)
    reading = family(6).read(TARGET)
    assert reading.evaluations == 11
    assert reading.draws == 10  # two for each of five steps, none in the last


FACTS = {
    "ddim": lambda: test_ddim_is_a_product_of_cosines(7, "epsilon"),
    "eta": test_ddim_with_eta_1_is_ddpm,
    "euler": lambda: test_euler_is_a_product_of_cosines({}, "epsilon"),
    "unclip": test_unclip_is_told_the_timestep_before,
}


@pytest.mark.parametrize("mutant", DIFFUSERS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_refuted(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, NotAffine)):
        FACTS[mutant.killed_by]()


@pytest.mark.parametrize(
    ("scheduler", "scheme", "config"),
    [("EulerDiscreteScheduler", "ddim", {}), ("HeunDiscreteScheduler", "edm_heun", {"beta_end": 0.02})],
)
def test_the_best_levels_have_the_promised_error(scheduler, scheme, config):
    """Pasted into the scheduler, from an exact start, they have at the last level the total variation that was found;
    one step more, from there to 0, is the scheduler's own."""
    found = schedules.schedule(TARGET, schedules.SCHEMES[scheme], 12, start="exact", metric="tv", restarts=0)
    if scheme == "ddim":
        pasted = {"sigmas": [*found.sigmas.tolist(), 0.0]}
    else:  # betas of its own, 0.00085 to 0.012, do not reach far enough
        squares = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
        pasted = {"timesteps": found.timesteps(paths.VP(squares)).tolist(), "beta_start": 1e-4}
    family = adapters.diffusers(getattr(diffusers, scheduler), **pasted, **config)
    (rung,) = audit(family, TARGET, steps=[13], odd=(), variants=False).rungs
    assert rung.discretization == pytest.approx(found.rows[0].tv, rel=1e-3)
    with pytest.raises(ValueError, match="N: expected 13, as .* are given, got 12"):
        family(12).read(TARGET)
