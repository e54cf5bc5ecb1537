"""The audit takes errors apart as closed forms say, measures their orders and floors, and judges what is declared."""

import json
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from mutants import audit as mutants

from rmverify import EstimatedScore, Gaussian, Kernel, Sampler, audit, output_law, paths
from rmverify import tv as distance
from rmverify.cli import main
from rmverify.studies import audit as studies
from rmverify.targets import Guided
from rmverify.tasks import pool
from rmverify.views import audit as view

LEVELS = (14.0, 0.05)
LADDER = (10, 20, 40, 80)


# --- textbook formulas ------------------------------------------------------------------------------------------------


def normal(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def tv(p, q):
    """Total variation of two Gaussians on the line, (mean, variance): their densities cross twice, or once."""
    (m, v), (n, w) = p, q
    if v == w:
        return 2 * normal(abs(m - n) / math.sqrt(v) / 2) - 1
    a, b = 1 / v - 1 / w, -2 * (m / v - n / w)
    c = m * m / v - n * n / w + math.log(v / w)
    root = math.sqrt(b * b - 4 * a * c)
    low, high = sorted(((-b - root) / (2 * a), (-b + root) / (2 * a)))
    inside = [normal((high - x) / math.sqrt(y)) - normal((low - x) / math.sqrt(y)) for x, y in (p, q)]
    return abs(inside[0] - inside[1])


def kl(p, q):
    (m, v), (n, w) = p, q
    return (v / w - 1 - math.log(v / w) + (m - n) ** 2 / w) / 2


def w2(p, q):
    return math.hypot(p[0] - q[0], math.sqrt(p[1]) - math.sqrt(q[1]))


# --- samplers ---------------------------------------------------------------------------------------------------------


def sigmas(n, high=LEVELS[0], low=LEVELS[1]):
    return np.geomspace(high, low, n)


def euler(n, levels=sigmas, end=False, dtype=np.float64):
    at = levels(n)

    def run(model, x, noise):
        x = x * float(at[0])
        for s, lower in pairwise(at if end else [*at, 0.0]):
            x = x + float(lower - s) * model(x, float(s))
        return x

    return Sampler(run, path=paths.VE(), predicts="eps", end=float(at[-1]) if end else None)


def heun(n):
    at = sigmas(n + 1)

    def run(model, x, noise):
        x = x * at[0]
        for s, lower in pairwise([*at, 0.0]):
            d = model(x, s)
            if lower:
                d = (d + model(x + (lower - s) * d, lower)) / 2
            x = x + (lower - s) * d
        return x

    return Sampler(run, path=paths.VE(), predicts="eps")


def kutta(n, least=0.0):
    """Kutta's third order: its last stage is an Euler-like guess, of lower order, at the level where the step ends."""
    times = np.linspace(1, 0, n + 1)

    def run(model, x, noise):
        for t, later in pairwise(times):
            h = later - t
            first = model(x, t)
            second = model(x + h / 2 * first, t + h / 2)
            third = model(x + h * (2 * second - first), max(later, least))
            x = x + h / 6 * (first + 4 * second + third)
        return x

    return Sampler(run, path=paths.Flow(), predicts="flow")


def ula(n):
    h = 0.03 / n

    def step(x, gradient, noise):
        return x + h * gradient(x) + np.sqrt(2 * h) * noise()

    return Kernel(step, name="Langevin")


def baoab(n):
    h = 0.3 / n

    def step(state, gradient, noise):
        x, v = state
        v = v + h / 2 * gradient(x)
        x = x + h / 2 * v
        v = np.exp(-h) * v + np.sqrt(1 - np.exp(-2 * h)) * noise()
        x = x + h / 2 * v
        return x, v + h / 2 * gradient(x)

    return Kernel(step, init=lambda x, noise: (x, 0 * x))


# --- facts that mutants fail ------------------------------------------------------------------------------------------


def parts_of_the_error():
    """Each part of Euler's error on one mode: relative to the exact flow a step multiplies the standard deviation by
    cos(theta - theta'), theta = arctan(sigma/sqrt(lam)), and the mean is x0's."""
    mean, lam = 0.7, 2.0
    found = audit(euler, Gaussian([mean], [lam]), steps=[6], odd=())
    (rung,) = found.rungs
    at = sigmas(6)
    theta = np.arctan(np.append(at, 0) / math.sqrt(lam))
    factor = np.cumprod(np.cos(np.diff(theta)))
    due = [(mean, lam + s * s) for s in at]
    data = (mean, lam)
    # the flow of a mode from level s to level t: (x - m) sqrt((lam + t^2)/(lam + s^2))
    last = (mean, due[-1][1] * factor[-2] ** 2)
    out = (mean, lam * factor[-1] ** 2)
    slope = math.sqrt(lam / (lam + at[0] ** 2)) * factor[-1]
    real = (mean - slope * mean, slope**2 * at[0] ** 2)
    expected = {
        "start": tv((0.0, at[0] ** 2), due[0]),
        "effect": tv(real, out),
        "discretization": tv(last, due[-1]),
        "last": tv(out, data),
        "tv": tv(real, data),
        "kl": kl(real, data),
        "w2": w2(real, data),
        "at_last": tv(real, due[-1]),
    }
    for name, value in expected.items():
        assert float(getattr(rung, name)) == pytest.approx(value, rel=1e-9), name
    assert rung.level == pytest.approx(at[-1])
    assert (rung.evaluations, rung.draws) == (6, 0)


def orders_and_floors():
    steps = np.array([10, 20, 50, 100, 200, 400])
    for p in (0.5, 1.0, 2.0, 4.0):
        found = studies.curve(steps, 3 * steps**-p)
        np.testing.assert_allclose(found.slopes, p)
        assert found.order == pytest.approx(p)
        assert found.settled
        assert found.floor is None
        floor = 3 * 200.0**-p
        found = studies.curve(steps, 3 * steps**-p + floor)
        assert found.floor == pytest.approx(floor, rel=0.2), p
        assert not found.settled
    assert studies.curve(steps, [0.2] * 6).floor == 0.2
    assert studies.curve(steps, [0.19, 0.195, 0.2, 0.201, 0.2015, 0.202]).floor == 0.202
    assert studies.curve([200, 201, 202, 203], [1 / n for n in (200, 201, 202, 203)]).floor is None
    # local slopes 1, 1.5, 2, 2.5 never settle
    assert not studies.curve([1, 2, 4, 8, 16], [1, 2**-1.0, 2**-2.5, 2**-4.5, 2**-7.0]).settled
    # nor do 1, 1.1, 1.25
    assert not studies.curve([1, 2, 4, 8], [1, 2**-1.0, 2**-2.1, 2**-3.35]).settled
    # an error that only begins to flatten has no floor yet
    assert studies.curve([10, 20, 40, 80], [n**-1.0 + 1e-4 for n in (10, 20, 40, 80)]).floor is None


def evaluations_as_a_function_of_n():
    def taking(calls):
        return studies._evaluations([studies.Rung(n, calls(n)) for n in (4, 5, 6, 7, 8, 9, 11)])

    assert taking(lambda n: n) == "N"
    assert taking(lambda n: 2 * n - 1) == "2N - 1"
    assert taking(lambda n: 3 * n + 2) == "3N + 2"
    assert taking(lambda n: 2 * (n // 2)) == "N where N = 0 mod 2, N - 1 where N = 1 mod 2"
    assert taking(lambda n: 2) == "2"
    assert taking(lambda n: n * n) == "on no line in N"


def orders_that_are_declared():
    target = Gaussian([1.0, -0.5], [4.0, 0.5])
    first = audit(lambda n: euler(n, end=True), target, steps=LADDER, odd=(), order=1)
    assert [f.verdict for f in first.findings] == ["holds"], first
    second = audit(lambda n: euler(n, end=True), target, steps=LADDER, odd=(), order=2)
    assert [f.verdict for f in second.findings] == ["refuted"], second
    found = audit(heun, target, steps=(20, 40, 80), odd=(), order=2)
    assert [f.verdict for f in found.findings] == ["holds"], found
    assert found.shared == pytest.approx(LEVELS[1])
    assert found.curves["shared"].order == pytest.approx(2, abs=0.1)
    few = audit(heun, target, steps=(20, 40), odd=(), order=2)
    assert few.findings[0].verdict == "inconclusive"
    assert "can be told at 2 N; 3 are needed" in few.findings[0].why


def orders_beside_cheap_guesses():
    """What the model is asked in a last step, at the data or just before them, is no state of the method."""
    target = Gaussian([1.0, -0.5], [4.0, 0.5])
    for least in (0.0, 1e-9):
        steps = (20, 40, 80) if least else (10, 20, 40, 80, 160)
        found = audit(lambda n, least=least: kutta(n, least), target, steps=steps, odd=(), order=3)
        assert [f.verdict for f in found.findings] == ["holds"], found
        assert found.shared == pytest.approx(least or 0.05)
        assert ("the output" in found.findings[0].why) == (least > 0), found
    more = audit(kutta, target, steps=(20, 40, 80), odd=(), order=4)
    assert [f.verdict for f in more.findings] != ["holds"], more


def models_with_an_error_of_their_own():
    """All numbers are then against the data, and hold the model's error: it is said, and which data."""
    data = Gaussian([0.7], [2.0])
    for target in (EstimatedScore(data, gain=0.5), Guided(data, Gaussian([0.0], [4.0]), scale=3.0)):
        found = audit(euler, target, steps=[6], odd=())
        assert repr(target) in found.remarks[0]
        assert found.remarks[0].endswith(f"against {data!r}")
        assert not any("exactly" in text for text in found.assumed)
        assert float(found.rungs[0].tv) == pytest.approx(float(distance(output_law(euler(6), target), data)), rel=1e-9)
    assert any("predicts eps, exactly" in text for text in audit(euler, data, steps=[6], odd=()).assumed)


def first_calls_at_infinite_noise():
    """Pure noise is a level like others, t = infinity of Ornstein and Uhlenbeck, where x is eps."""

    def make(n):
        times = np.array([math.inf, *np.linspace(3, 0.1, n), 0.0])

        def run(model, x, noise):
            for t, later in pairwise(times):
                data = model(x, t)
                eps = (x - math.exp(-t) * data) / math.sqrt(-math.expm1(-2 * t))
                x = math.exp(-later) * data + math.sqrt(-math.expm1(-2 * later)) * eps
            return x

        return Sampler(run, path=paths.OU(), predicts="x0")

    found = audit(make, Gaussian([1.0, -0.5], [4.0, 0.5]), steps=(10, 20, 40), odd=(), bookkeeping=True)
    assert found.shared == pytest.approx(0.1)
    assert found.findings[0].verdict == "holds", found


def float32_beside_float64():
    """By modes, however often each occurs."""
    target = Gaussian.from_spectrum([4.0, 0.5], [10**12, 3])
    found = audit(lambda n: euler(n, end=True), target, steps=(5,), odd=())
    laws = [euler(5, end=True).read(target, dtype=dtype).law() for dtype in ("float32", "float64")]
    off = np.abs(np.sqrt(laws[0].variances / laws[1].variances) - 1).max()
    assert 0 < found.rounding < 1e-5
    assert found.rounding == pytest.approx(off, rel=1e-6)


def kernels():
    """One step x' = (1 - h/lam) x + sqrt(2h) z leaves the variance lam/(1 - h/(2 lam)) invariant; BAOAB leaves lam."""
    target = Gaussian([0.5, 0.0], [1.0, 0.25])
    biased = audit(ula, target, steps=(1, 2, 4, 8), odd=(), unbiased=True, order=1)
    assert [f.verdict for f in biased.findings] == ["holds", "refuted"], biased
    one = audit(ula, Gaussian([0.5], [0.25]), steps=(1, 2), odd=())
    for rung in one.rungs:
        h = 0.03 / rung.steps
        assert float(rung.last) == pytest.approx(tv((0.5, 0.25 / (1 - h / 0.5)), (0.5, 0.25)), rel=1e-8)
        mean, variance = 0.0, 1.0
        for _ in range(rung.steps):
            mean, variance = mean + h * (0.5 - mean) / 0.25, (1 - h / 0.25) ** 2 * variance + 2 * h
        assert float(rung.tv) == pytest.approx(tv((mean, variance), (0.5, 0.25)), rel=1e-9)
        assert float(rung.w2) == pytest.approx(w2((mean, variance), (0.5, 0.25)), rel=1e-9)
    many = audit(ula, Gaussian.from_spectrum([0.25], [10**8]), steps=(1, 2, 4, 8), odd=(), order=1)
    assert float(many.rungs[-1].last) > 0.98  # of so many coordinates all that falls looks flat
    assert [f.verdict for f in many.findings] == ["inconclusive"], many
    exact = audit(baoab, target, steps=(1, 2, 4), odd=(), unbiased=True, stationary=target)
    assert [f.verdict for f in exact.findings] == ["holds", "holds"], exact
    wrong = audit(
        baoab, target, steps=(1, 2), odd=(), stationary=target.with_modes(target.variances * 1.0001, target.means)
    )
    assert [f.verdict for f in wrong.findings] == ["refuted"], wrong


def causes_of_a_floor():
    n = np.array([10, 20, 40, 80])

    def cause(**parts):
        named = {"start": 0 * n, "discretization": 0 * n, "last": 0 * n, **parts}
        curves = {name: studies.curve(n, values) for name, values in named.items()}
        return studies._causes(curves | {"error": studies.curve(n, 0.1 + 10 / n**2)})

    assert cause(start=0.1 + 0 * n, discretization=4 / n, last=4 / n) == "the start"
    assert cause(start=1e-3 + 0 * n, discretization=4 / n, last=0.1 + 1 / n**2) == "the last step"
    assert cause(discretization=0.1 + 1 / n**2, last=0.1 + 1 / n**2) == "the discretization"
    assert cause(start=4 / n) == "no part alone"


FACTS = {
    fact.__name__: fact
    for fact in (
        parts_of_the_error, orders_and_floors, evaluations_as_a_function_of_n, orders_that_are_declared,
        orders_beside_cheap_guesses, first_calls_at_infinite_noise, models_with_an_error_of_their_own, kernels,
        causes_of_a_floor, float32_beside_float64,
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


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_default_target_is_no_easy_one():
    target = studies.default_target()
    assert target.variances.max() / target.variances.min() > 100
    assert not np.isclose(target.variances, 1).any()
    assert (target.means != 0).all()


@pytest.mark.slow
def test_floors_of_real_samplers():
    target = Gaussian([1.0, -0.5], [4.0, 0.5])

    def short(n):  # from sigma = 2 the start is far from the marginal
        return euler(n, lambda n: sigmas(n, high=2.0))

    found = audit(short, target, steps=(20, 40, 80, 160), odd=())
    assert found.curves["error"].floor is not None
    assert found.causes == "the start"

    def far(n):  # the last step is from sigma = 0.7 to the data
        return euler(n, lambda n: sigmas(n, high=2000.0, low=0.7))

    found = audit(far, target, steps=(40, 80, 160, 320), odd=())
    assert found.curves["error"].floor is not None
    assert found.causes == "the last step"
    assert any("the last step" in text and "floor" in text for text in found.remarks)


def test_nothing_declared_nothing_judged():
    found = audit(euler, steps=LADDER, odd=())
    assert found.findings == ()
    assert found.verdict == "holds"


def failing(n):
    def run(model, x, noise):
        if n == 40:
            raise RuntimeError("no such table")
        for s, lower in pairwise([*sigmas(n), 0.0]):
            d = model(x, s)
            x = x + (lower - s) * d / (0.0 if n == 7 and s < 1 else 1.0)
        return x

    return Sampler(run, path=paths.VE(), predicts="eps")


def test_failures_are_said_with_their_n_and_call():
    found = audit(failing, steps=(10, 20, 40), odd=(7,))
    assert [bool(r.failure) for r in found.rungs] == [False, False, True]
    (odd,) = found.odd
    below = int(np.argmax(sigmas(7) < 1))
    assert odd.call == below + 1
    assert any(text.startswith("not known at N = 7: ") and f"model call {below + 1}" in text for text in found.remarks)
    assert any(text.startswith("not known at N = 40: ") and "no such table" in text for text in found.remarks)


def test_a_sampler_that_cannot_be_read_says_why_at_its_head():
    found = audit(lambda n: Sampler(lambda model, x, noise: x / {}["missing"], predicts="x0"), steps=(10, 20), odd=())
    (name, _), (why, text) = [pair for pair in view._head(found, "") if pair[0] != "Target"]
    assert (name, why) == ("Sampler", "Not read")
    assert text.startswith("run: it raised KeyError: 'missing' (test_audit.py, line ")


def test_bookkeeping_is_judged_where_it_is_declared():
    def late(n):
        at = sigmas(n)

        def run(model, x, noise):
            x = x * at[0]
            for i in range(n - 1):
                x = x + (at[i + 1] - at[i]) * model(x, at[i + 1] if i else at[0])
            return x

        return Sampler(run, path=paths.VE(), predicts="eps", end=LEVELS[1])

    found = audit(late, steps=(10, 20), odd=(), bookkeeping=True)
    assert [f.verdict for f in found.findings] == ["refuted"]
    assert found.verdict == "refuted"
    assert audit(late, steps=(10, 20), odd=()).findings == ()
    right = audit(euler, steps=(10, 20), odd=(), bookkeeping=True)
    assert right.verdict == "holds"
    assert "to rounding" in right.findings[0].why


@pytest.mark.parametrize("size, verdict", [(1.0, "holds"), (1.0001, "refuted")])
def test_a_sampler_that_is_unbiased(size, verdict):
    """x_T of variance 5 makes the first input, at sigma = 1, that of N(0, 4): times sqrt(4/5) it is N(0, 4)."""

    def make(n):
        return Sampler(lambda model, x, noise: size * math.sqrt(4 / 5) * (x + 0 * model(x, 1.0)), path=paths.VE())

    found = audit(make, Gaussian([0.0], [4.0]), steps=(2, 4), odd=(), unbiased=True)
    assert [f.verdict for f in found.findings] == [verdict], found


def test_a_wrong_score_is_no_slip_of_the_loop():
    score = EstimatedScore(Gaussian([1.0, -0.5], [4.0, 0.5]), gain=1.1)
    found = audit(euler, score, steps=(10, 20), odd=(), bookkeeping=True)
    assert [f.verdict for f in found.findings] == ["holds"], found
    exact = audit(euler, score.target, steps=(10, 20), odd=())
    assert float(found.rungs[1].last) != float(exact.rungs[1].last)


def test_float32_is_told():
    def single(n):
        at = sigmas(n).astype(np.float32)

        def run(model, x, noise):
            x = x * at[0]
            for s, lower in pairwise(at):
                x = x + (lower - s) * model(x, s)
            return x

        return Sampler(run, path=paths.VE(), predicts="eps", end=float(at[-1]))

    found = audit(single, steps=(10, 20), odd=())
    assert 1e-9 < found.rounding < 1e-4
    assert "20 steps" in found.rounded


def test_singular_data_are_measured_in_w2():
    found = audit(euler, Gaussian([0.0, 0.0], [1.0, 0.0]), steps=(10, 20), odd=())
    assert found.metric == "W2"
    assert float(found.rungs[0].last) == pytest.approx(float(found.rungs[0].w2), rel=0.5)


class Offering:
    name = "two ways"
    assumed = ("that it is Euler's",)

    def __init__(self):
        self.variants = {"Heun": heun}

    def __call__(self, n):
        return euler(n)


def test_variants_and_assumptions_are_said():
    found = audit(Offering(), steps=(10, 20, 40), odd=())
    assert found.name == "two ways"
    assert [v.name for v in found.variants] == ["Heun"]
    assert [r.steps for r in found.variants[0].rungs] == [10, 20]
    assert [r.evaluations for r in found.variants[0].rungs] == [21, 41]
    assert "that it is Euler's" in found.assumed
    assert audit(Offering(), steps=(10, 20), odd=(), variants=False).variants == ()


def ladder_of_euler(n):
    """At the top level, where worker processes find it."""
    return euler(n)


@pytest.mark.parametrize(
    "workers", [pytest.param(1, id="threads"), pytest.param(2, id="processes", marks=pytest.mark.slow)]
)
def test_rungs_that_others_look_at_are_the_same(workers):
    """In any order; what is sent of a sampler whose code is a function inside another is its reading."""
    target = Gaussian([1.0, 0.0], [4.0, 0.25])
    due = audit(ladder_of_euler, target, steps=(5, 10, 20), odd=(7,), order=1)
    with ThreadPoolExecutor(2) if workers == 1 else pool(2) as executor:
        found = audit(ladder_of_euler, target, steps=(5, 10, 20), odd=(7,), order=1, executor=executor)
        if workers == 2:
            with pytest.raises(
                ValueError, match=r"executor: expected make, and a target, that can be sent to a worker"
            ):
                audit(lambda n: euler(n), target, steps=(5, 10), executor=executor)
    assert str(found) == str(due)
    assert found.shared == due.shared is not None
    assert found == due


def test_a_single_sampler_is_one_rung():
    found = audit(euler(12))
    assert [(r.steps, r.evaluations) for r in found.rungs] == [(12, 12)]
    assert found.rungs[0].bookkeeping == "holds"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"steps": ()}, "steps: expected at least one"),
        ({"steps": 10}, r"steps: expected numbers of steps such as \(10, 20, 40\), got 10"),
        ({"steps": (0,)}, "steps: expected an integer >= 1"),
        ({"order": -1}, "order: expected a number > 0"),
        ({"order": math.inf}, "order: expected a number > 0"),
        ({"stationary": Gaussian([0.0], [1.0])}, "stationary: expected make\\(N\\) to be a Kernel"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        audit(euler, **{"steps": (5,), "odd": (), **arguments})


def test_what_is_no_sampler_is_refused():
    with pytest.raises(TypeError, match="make: expected a function"):
        audit(3)
    with pytest.raises(TypeError, match="to be a Sampler or a Kernel, got int"):
        audit(lambda n: n)
    with pytest.raises(TypeError, match="target: "):
        audit(euler, "digits")


# --- the command line -------------------------------------------------------------------------------------------------

SOURCE = """
import numpy as np
from rmverify import Sampler, paths

def make(n):
    t = np.linspace(1, 0, n + 1)
    def run(model, x, noise):
        print("a library that prints")
        for a, b in zip(t[:-1], t[1:]):
            x = x + (b - a) * model(x, a)
        return x
    return Sampler(run, path=paths.Flow(), predicts="flow")

def clipped(n):
    return Sampler(lambda model, x, noise: np.clip(model(x, 0.5), -1, 1), path=paths.Flow(), predicts="flow")
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*arguments):
        code = main(["audit", *arguments])
        return code, *capsys.readouterr()

    return call


QUICK = "--steps", "5", "10", "20", "--odd"


def test_exit_codes(run):
    assert run("mine.py:make", *QUICK)[0] == 0
    assert run("mine.py:make", *QUICK, "--order", "1")[0] == 0
    assert run("mine.py:make", *QUICK, "--order", "2")[0] == 1
    assert run("mine.py:make", "--steps", "5", "10", "--odd", "--order", "2")[0] == 3
    assert run("mine.py:clipped", *QUICK)[0] == 3


@pytest.mark.parametrize(
    "arguments, fragment",
    [
        (["mine.py:nothing"], "mine.py has no nothing"),
        (["nothing.py:make"], "no file nothing.py"),
        (["no_such_module:make"], "no module no_such_module"),
        (["mine.py:make", "nothing.csv"], "nothing.csv"),
        (["mine.py:make", "--order", "0"], "--order"),
        (["mine.py:make", "--steps", "none"], "--steps"),
        (["mine.py:make", "--html", "a.png"], "--html"),
    ],
)
def test_mistakes_are_said_in_one_line(run, arguments, fragment):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert fragment in err


def test_stdout_is_the_answer_alone(run):
    code, out, _ = run("mine.py:make", *QUICK, "--json")
    found = json.loads(out)
    assert (code, found["command"], found["verdict"]) == (0, "audit", None)
    assert [r["steps"] for r in found["rungs"]] == [5, 10, 20]
    assert "a library that prints" not in out
    _, out, _ = run("mine.py:make", "digits", *QUICK, "--order", "1")
    assert "order 1: " in out
    assert "digits" in out
    assert "a library that prints" not in out


@pytest.mark.slow
def test_processes_look_at_what_is_named(run):
    code, out, _ = run("mine.py:make", *QUICK, "--order", "1", "--json")
    assert run("mine.py:make", *QUICK, "--order", "1", "--json", "--workers", "2")[:2] == (code, out)


def test_a_page_has_everything(run, tmp_path):
    assert run("mine.py:make", *QUICK, "--order", "2", "--html", "a.html")[0] == 1
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for text in ("Audit of make", "refuted", "Assumed", "local slopes", "http-equiv"):
        assert text in page
    assert "<script" not in page


def test_what_is_shown_fits_a_terminal():
    from io import StringIO

    from rich.console import Console

    found = audit(Offering(), steps=(10, 20, 40), odd=(7,), order=2)
    out = StringIO()
    console = Console(file=out, width=80)
    for block in view.shown(found, "data", 80):
        console.print(block)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "Columns omitted to fit the terminal: " in text
    assert "order 2: " in text
    assert "two ways" in str(found)
