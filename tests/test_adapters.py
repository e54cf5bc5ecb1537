"""Adapters without their libraries: Brownian motion from draws, grids, flows, preconditioning, and what names name."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from mutants import adapters as mutants

from rmverify import Gaussian, Sampler, adapters, paths
from rmverify.adapters import Family, equations, family, functions, names, schedulers

LAM, MEAN = np.array([0.3, 1.5, 4.0]), np.array([0.5, -0.3, 0.0])
TARGET = Gaussian(MEAN, LAM)


# --- facts that mutants fail ------------------------------------------------------------------------------------------


def brownian():
    """Cov of (W_b - W_a)/sqrt|b - a| and (W_d - W_c)/sqrt|d - c| is the signed overlap over the roots, asked in any
    order, backwards, inside and outside of what is known."""
    intervals = [(4.0, 2.0), (4.0, 3.0), (3.5, 1.0), (9.0, 0.5), (0.5, 4.0), (2.2, 2.1), (0.25, 0.0), (12.0, 3.2)]
    draws = list(np.eye(40))
    W = family.Brownian(lambda: draws.pop())
    found = np.array([W(a, b) for a, b in intervals])
    assert 40 - len(draws) == len({time for ends in intervals for time in ends}) - 1
    for (a, b), row in zip(intervals, found, strict=True):
        for (c, d), other in zip(intervals, found, strict=True):
            overlap = max(0.0, min(max(a, b), max(c, d)) - max(min(a, b), min(c, d)))
            sign = np.sign(b - a) * np.sign(d - c)
            expected = sign * overlap / math.sqrt(abs(b - a) * abs(d - c))
            assert row @ other == pytest.approx(expected, abs=1e-12)


def the_sigmas_of_karras():
    sigmas = functions.karras(5, low=0.01, high=40.0, rho=3.0)
    for i in range(5):
        root = 40.0 ** (1 / 3) + i / 4 * (0.01 ** (1 / 3) - 40.0 ** (1 / 3))
        assert sigmas[i] == pytest.approx(root**3, rel=1e-13)
    assert sigmas[5] == 0.0
    assert sigmas.size == 6
    assert functions.karras(1, high=7.0).tolist() == [pytest.approx(7.0), 0.0]


def euler(f, x, levels):
    for t, s in pairwise(levels):
        x = x + (s - t) * f(t, x)
    return x


def flows():
    """Euler along dx/dt of each path, beside the recursion of x - alpha m written plainly."""
    beta = (0.2, 3.0)

    def rate(t):
        return beta[0] + (beta[1] - beta[0]) * t

    def squares(t):  # alpha^2 of VP
        return np.exp(-(beta[0] * t + (beta[1] - beta[0]) * t**2 / 2))

    clocks = {
        "OU": (paths.OU(), 3.0, lambda t, x: -x + (x - math.exp(-t) * MEAN) / (1 + math.exp(-2 * t) * (LAM - 1))),
        "VP": (
            paths.VP(beta=beta), 1.0,
            lambda t, x: -rate(t) / 2 * (x - (x - np.sqrt(squares(t)) * MEAN) / (1 + squares(t) * (LAM - 1))),
        ),
        "VE": (paths.VE(), 5.0, lambda t, x: t * (x - MEAN) / (LAM + t**2)),
        "flow": (
            paths.Flow(scale=10), 10.0,
            lambda t, x: (
                -MEAN + (t / 10 - (1 - t / 10) * LAM) * (x - (1 - t / 10) * MEAN)
                / ((1 - t / 10) ** 2 * LAM + (t / 10) ** 2)
            ) / 10,
        ),
    }  # fmt: skip
    starts = {"OU": math.sqrt(-math.expm1(-6)), "VP": math.sqrt(1 - squares(1.0)), "VE": 5.0, "flow": 1.0}
    for name, (path, high, slope) in clocks.items():
        made = equations.ode(euler, path, levels=lambda N, high=high: np.linspace(high, 0.05 * high, N + 1))
        sampler = made(7)
        assert sampler.end == pytest.approx(0.05 * high)
        law = sampler.read(TARGET).law()
        ends = [0.0 * LAM, starts[name] + 0.0 * LAM]
        for t, s in pairwise(np.linspace(high, 0.05 * high, 8)):
            ends = [x + (s - t) * slope(t, x) for x in ends]
        assert law.means == pytest.approx(ends[0], rel=1e-11, abs=1e-12), name
        assert law.variances == pytest.approx((ends[1] - ends[0]) ** 2, rel=1e-10), name


def preconditioning():
    """F at (c_in x, c_noise) gives back D(x, sigma) = c_skip x + c_out F, with EDM's coefficients (Table 1)."""
    x, data = np.array([0.7, -2.0]), 0.5

    def denoiser(x, sigma):
        return (x + 3.0 * sigma) / (1 + sigma)

    for name, noise in (
        ("EDMEulerScheduler", lambda s: math.log(s) / 4),
        ("CosineX", lambda s: 2 * math.atan(s) / math.pi),
    ):
        for says, sign in (("epsilon", 1), ("v_prediction", -1)):
            scheduler = named_object(name, config={"sigma_data": data, "prediction_type": says})
            reads = schedulers._read(scheduler, None, None)
            assert (reads.path.name, reads.predicts) == ("VE", "x0")
            for sigma in (0.03, 2.0, 70.0):
                size = math.sqrt(sigma**2 + data**2)
                F = reads.ask(denoiser, x / size, noise(sigma))
                found = data**2 / size**2 * x + sign * sigma * data / size * F
                assert found == pytest.approx(denoiser(x, sigma), rel=1e-9)


def named_object(name, **attributes):
    return type(name, (), attributes)()


def what_schedulers_mean():
    squares = np.array([0.99, 0.5, 0.1])

    def of(name="X", **config):
        table = config.pop("alphas_cumprod", squares)
        return schedulers._read(named_object(name, alphas_cumprod=table, config=config), None, None)

    plain = of(prediction_type="epsilon")
    assert plain.path.alphas_cumprod.tolist() == squares.tolist()
    assert (plain.predicts, plain.path.interpolation) == ("eps", "sigma")
    assert of(prediction_type="sample", use_karras_sigmas=True).path.interpolation == "log_sigma"
    for name in ("KDPM2X", "DPMSolverSDEScheduler"):
        assert of(name, prediction_type="epsilon").path.interpolation == "log_sigma"
    assert [of(prediction_type=says).predicts for says in ("sample", "v_prediction")] == ["x0", "v"]
    flow = of("FlowX", num_train_timesteps=500)
    assert (flow.path.name, flow.predicts) == ("flow of 500", "flow")
    assert of(use_flow_sigmas=True, prediction_type="epsilon").path.name == "flow of 1000"
    upward = of("MiniMaxH3Scheduler")
    assert upward.ask(lambda x, t: x * t, 3.0, 0.75) == -3.0 * 0.25
    ending = of(prediction_type="epsilon", alphas_cumprod=np.array([0.9, 1e-9, 2.0**-24])).path
    assert [ending.at(t)[0] ** 2 for t in (0, 1, 2)] == pytest.approx([0.9, 1e-9, 2.0**-24])
    assert ending.at(2)[1] ** 2 == pytest.approx(1 - 2.0**-24, rel=1e-15)
    cosine = of("DDPMWuerstchenScheduler", s=0.008, scaler=1.0).path
    for t in (0.1, 0.6):
        ratio = math.cos((t + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)
        assert cosine.at(t)[0] == pytest.approx(ratio, rel=1e-12)
    continuous = of(prediction_type="v_prediction", timestep_type="continuous").path
    alpha, sigma = continuous.at(math.log(3.0) / 4)
    assert sigma / alpha == pytest.approx(3.0)
    assert alpha**2 + sigma**2 == pytest.approx(1.0)
    circle = of("IPNDMScheduler").path
    assert circle.at(0.25) == pytest.approx((math.cos(math.pi / 8), math.sin(math.pi / 8)))


def timesteps_between():
    """Linear in sigma/alpha where diffusers goes from a timestep to its sigma."""
    path = paths.VP([0.9, 0.5, 0.1], interpolation="sigma")
    alpha, sigma = path.at(0.25)
    assert sigma / alpha == pytest.approx(0.75 * math.sqrt(0.1 / 0.9) + 0.25 * 1.0)
    assert alpha**2 + sigma**2 == pytest.approx(1.0)
    ended = paths.VP([0.5, 0.0], interpolation="sigma")  # no ratio at pure noise: linear in alphas_cumprod
    with np.errstate(invalid="ignore"):
        assert ended._square(np.array(0.5)) == pytest.approx((0.25, 0.75))


FACTS = {
    fact.__name__: fact
    for fact in (
        brownian, the_sigmas_of_karras, flows, preconditioning, what_schedulers_mean, timesteps_between
    )
}  # fmt: skip


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_fact(fact):
    fact()


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_its_fact_refutes_the_mutant(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises(AssertionError):
        FACTS[mutant.killed_by]()


def test_every_fact_kills_something():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)


# --- families ---------------------------------------------------------------------------------------------------------


def test_a_family_makes_samplers_of_n_steps():
    made = adapters.ode(euler, paths.Flow(), levels=lambda N: np.linspace(1, 0, N + 1), name="flow Euler")
    assert made.variants == {}
    assert "probability flow" in made.assumed[0]
    assert made(5).name == "flow Euler, N=5"
    assert made(5).end is None
    assert made(5).read(TARGET).evaluations == 5
    with pytest.raises(ValueError, match=r"N: expected an integer >= 1, got 0"):
        made(0)
    with pytest.raises(ValueError, match=r"sampler: expected wrong\(3\) to be a Sampler or a Kernel, got a int"):
        Family(lambda N: N, "wrong")(3)


def test_a_step_that_depends_on_x_is_refused():
    def adaptive(f, x, levels):
        return euler(f, x, levels[:: 2 if np.abs(x).max() < 2 else 1])

    made = adapters.ode(adaptive, paths.Flow(), levels=lambda N: np.linspace(1, 0, N + 1))
    with pytest.raises(ValueError, match="adaptive step|not affine|decide by values"):
        made(8).read(TARGET)


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: adapters.ode(3, levels=np.linspace), "solve: expected a function"),
        (lambda: adapters.ode(euler, paths.VP([0.9, 0.1]), levels=np.linspace), "path: expected OU"),
        (lambda: adapters.ode(euler, levels=lambda N: [0.1, 1.0])(1), "levels: expected at least two, going down"),
        (lambda: adapters.k_diffusion(euler), r"sampler: expected a function euler\(model, x, sigmas"),
        (lambda: adapters.k_diffusion(sample_euler, eta=1.0), "sample_euler has no option eta"),
        (lambda: adapters.k_diffusion(sample_euler, [1.0, 0.0])(3), "N: expected 1, as 2 sigmas are given, got 3"),
        (lambda: adapters.k_diffusion(sample_euler, [0.0, 1.0])(1), "sigmas: expected at least two"),
        (lambda: adapters.k_diffusion(sample_euler, brownian=True), "brownian: expected a function with the argument"),
        (lambda: adapters.blackjax(3), "build: expected a function"),
        (lambda: adapters.diffusers(int), "expected a scheduler with set_timesteps and step, got int"),
        (lambda: family.Brownian(lambda: 1.0)(2.0, 2.0), "two different times"),
    ],
)
def test_what_is_not_accepted(make, error):
    with pytest.raises(ValueError, match=error):
        make()


def sample_euler(model, x, sigmas, callback=None):
    return x


# --- names ------------------------------------------------------------------------------------------------------------

SOURCE = """
import numpy as np
from beside import N0
from rmverify import Kernel, Sampler, adapters

def run(model, x, noise):
    return x + model(x, 1.0)

def make(N):
    return Sampler(run)

sampler = Sampler(run)
kernel = Kernel(lambda x, gradient, noise: x + gradient(x))

class box:
    inner = make

def sample_x(model, x, sigmas):
    return x

class Foreign:
    def set_timesteps(self, N): ...
    def step(self, model_output, timestep, sample, mask): ...

class CMStochasticIterativeScheduler(Foreign):
    pass

class Pathless(Foreign):
    config = {}
    def step(self, model_output, timestep, sample): ...

number = N0
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("N0 = 3\n")
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path / "mine.py"


def test_names_of_a_file(file):
    made = names.named(f"{file}:make")
    assert isinstance(made, Family)
    assert made(4).name == "make, N=4"
    assert isinstance(names.named(f"{file}:box.inner"), Family)
    assert isinstance(names.named(f"{file}:sampler"), Sampler)
    assert isinstance(names.named(f"{file}:kernel"), adapters.named(f"{file}:kernel").__class__)
    assert names.named(f"{file}:sample_x").name == "sample_x"


def test_names_of_a_module_beside(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    monkeypatch.delitem(names.sys.modules, "mine", raising=False)
    before = list(names.sys.path)
    assert isinstance(names.named("mine:make"), Family)
    assert before == names.sys.path
    monkeypatch.delitem(names.sys.modules, "mine")
    monkeypatch.delitem(names.sys.modules, "beside")


@pytest.mark.parametrize(
    "name, error",
    [
        ("{file}", "expected module:name or file.py:name"),
        ("{file}:", "expected module:name or file.py:name"),
        ("{file}:mak", "has no mak; did you mean make"),
        ("{file}:number", "mine.py:number is a int; expected a function make"),
        ("{file}:run", "mine.py:run is a function; expected"),
        ("{file}:box", "is the class box"),
        ("{file}:Foreign", "Foreign is not read: its step wants mask beside"),
        ("{file}:CMStochasticIterativeScheduler", "not a denoiser but distilled"),
        ("{file}:Pathless", "the path of Pathless is not known"),
        ("nowhere.py:make", "there is no file nowhere.py"),
        ("no_such_module_at_all:make", "there is no module no_such_module_at_all$"),
        ("math.nothing:make", "there is no module math.nothing"),
    ],
)
def test_names_that_name_nothing(file, name, error):
    with pytest.raises(ValueError, match=error) as caught:
        names.named(name.format(file=file))
    assert str(caught.value).startswith("sampler: ")
    assert "\n" not in str(caught.value)


def test_a_library_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setitem(names.sys.modules, "diffusers", None)
    with pytest.raises(ValueError, match=r"^sampler: there is no module diffusers; pip install diffusers$"):
        names.named("diffusers:HeunDiscreteScheduler")


def test_a_file_that_fails_is_one_line(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=r"running .*broken.py raised ZeroDivisionError: division by zero"):
        names.named(f"{tmp_path / 'broken.py'}:make")


def test_what_a_library_has_in_place_of_classes_that_it_cannot_import(monkeypatch):
    class Dummy:
        _backends = ("no_such_library",)

    Dummy._backends = ["no_such_library"]
    monkeypatch.setitem(names.sys.modules, "placeholders", SimpleNamespace(Dummy=Dummy))
    with pytest.raises(ValueError, match="needs no_such_library; pip install no_such_library"):
        names.named("placeholders:Dummy")
