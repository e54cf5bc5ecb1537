"""Bookkeeping sees wrong timesteps, wrong levels and missing scalings where they happen, and nothing in sound loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
from mutants import bookkeeping as mutants

from rmverify import Gaussian, Sampler, paths
from rmverify.samplers import bookkept

TARGET = Gaussian([1.0, -0.5, 0.0], [4.0, 0.5, 0.02])
CUMULATIVE = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)


def karras(n, high=14.6, low=0.03, rho=7):
    return (high ** (1 / rho) + np.arange(n) / max(n - 1, 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def geometric(n):
    return np.geomspace(14.6, 0.03, n)


def euler(sigmas, told=None, start=1.0):
    told = sigmas if told is None else told

    def run(model, x, noise):
        x = x * sigmas[0] * start
        for s, s_next, t in zip(sigmas, np.append(sigmas[1:], 0), told, strict=True):
            x = x + (s_next - s) * model(x, t)
        return x

    return Sampler(run, path=paths.VE(), predicts="eps")


def heun(sigmas):
    def run(model, x, noise):
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            d = model(x, s)
            x = x + (s_next - s) * (d + model(x + (s_next - s) * d, s_next)) / 2
        return x

    return Sampler(run, path=paths.VE(), predicts="eps", end=sigmas[-1])


def ancestral(sigmas):
    def run(model, x, noise):
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            up = s_next * np.sqrt(1 - s_next**2 / s**2)
            x = x + (np.sqrt(s_next**2 - up**2) - s) * model(x, s) + up * noise()
        return x

    return Sampler(run, path=paths.VE(), predicts="eps", end=sigmas[-1])


def maruyama(sigmas):
    """Not exact on a point: its noise has the variance of the forward process."""

    def run(model, x, noise):
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            gap = s**2 - s_next**2
            x = x - gap / s * model(x, s) + np.sqrt(gap) * noise()
        return x

    return Sampler(run, path=paths.VE(), predicts="eps", end=sigmas[-1])


def ddim(timesteps, stride=None):
    """Steps go to the next timestep, or `stride` down from where they are, whatever the model is told next."""

    def run(model, x, noise):
        for i, t in enumerate(timesteps):
            following = timesteps[i + 1] if stride is None and i + 1 < len(timesteps) else t - (stride or t + 1)
            a, b = CUMULATIVE[t], CUMULATIVE[following] if following >= 0 else 1.0
            e = model(x, int(t))
            x = np.sqrt(b / a) * (x - np.sqrt(1 - a) * e) + np.sqrt(1 - b) * e
        return x

    return Sampler(run, path=paths.VP(CUMULATIVE, interpolation=None), predicts="eps")


def wide(n):
    """DDPM's steps with the variance of the forward process: sound, and not exact on a point."""
    timesteps = np.arange(n)[::-1] * (1000 // n)

    def run(model, x, noise):
        for t, following in pairwise([*timesteps, -1]):
            a, b = CUMULATIVE[t], CUMULATIVE[following] if following >= 0 else 1.0
            data = (x - np.sqrt(1 - a) * model(x, int(t))) / np.sqrt(a)
            x = np.sqrt(b) * (1 - a / b) / (1 - a) * data + np.sqrt(a / b) * (1 - b) / (1 - a) * x
            x = x + np.sqrt(1 - a / b) * noise() if following >= 0 else x
        return x

    return Sampler(run, path=paths.VP(CUMULATIVE, interpolation=None), predicts="eps")


def trailing(n):
    """The timesteps 999, 922, ... of n steps that do not divide 1000."""
    return np.round(np.arange(1000, 0, -1000 / n)).astype(int) - 1


def flow(n):
    times = np.linspace(1, 0, n + 1)

    def run(model, x, noise):
        for t, t_next in pairwise(times):
            x = x + (t_next - t) * model(x, t)
        return x

    return Sampler(run, path=paths.Flow(), predicts="flow")


@pytest.mark.parametrize("schedule", [karras, geometric])
def test_inputs_are_those_of_the_closed_form(schedule):
    # one Euler step multiplies the standard deviation of a mode, relative to the exact one, by cos(theta - theta')
    sigmas = schedule(8)
    calls = euler(sigmas).read(TARGET).bookkeeping()
    theta = np.arctan(sigmas[:, None] / np.sqrt(TARGET.variances))
    factors = np.cumprod(np.cos(np.diff(theta, axis=0)), axis=0)
    assert len(calls) == 8
    assert calls[0].misfit == pytest.approx(0, abs=1e-13)
    for call, factor, sigma in zip(calls[1:], factors, sigmas[1:], strict=True):
        due = TARGET.variances + sigma**2
        np.testing.assert_allclose(call.due_variance, due, rtol=1e-14)
        np.testing.assert_allclose(call.variance, due * factor**2, rtol=1e-11)
        expected = np.abs(factor**2 - 1).max()
        assert call.misfit == pytest.approx(expected, rel=1e-9)


def test_the_start_error_is_left_in_from_a_normal_start():
    first = euler(karras(5)).read(TARGET).bookkeeping("normal")[0]
    np.testing.assert_allclose(first.variance, 14.6**2)
    assert first.misfit == pytest.approx(max(4 / (4 + 14.6**2), 1 / np.sqrt(4 + 14.6**2)))


SOUND = {
    "euler": lambda schedule: lambda n: euler(schedule(n)),
    "heun": lambda schedule: lambda n: heun(schedule(n)),
    "ancestral": lambda schedule: lambda n: ancestral(schedule(n)),
    "maruyama": lambda schedule: lambda n: maruyama(schedule(n)),
}


@pytest.mark.parametrize("n", [5, 7, 10, 20, 40, 80, 160])
@pytest.mark.parametrize("schedule", [karras, geometric])
@pytest.mark.parametrize("name", SOUND)
def test_no_alarm_in_sound_loops(name, schedule, n):
    found = bookkept(SOUND[name](schedule), n, TARGET)
    assert found.verdict in (("holds", "inconclusive") if name == "maruyama" else ("holds",)), found.why
    assert found.kind == ("discretization" if name == "maruyama" else "none") or found.verdict == "inconclusive"


@pytest.mark.parametrize("n", [5, 6, 13, 40, 100])
@pytest.mark.parametrize("make", [lambda n: ddim(trailing(n)), flow])
def test_no_alarm_in_other_clocks(make, n):
    found = bookkept(make, n, TARGET)
    assert (found.verdict, found.kind) == ("holds", "none"), found.why


@pytest.mark.parametrize("n", [10, 20, 50])
def test_no_alarm_where_noise_is_too_wide(n):
    found = bookkept(wide, n, TARGET)
    assert (found.verdict, found.kind) == ("holds", "discretization"), found.why


def between(high, low, kind):
    """A schedule of n steps."""
    if kind == "linear":
        return lambda n: np.linspace(high, low, n + 1)
    return lambda n: np.geomspace(high, low, n + 1)


def stepping(step, path, predicts, levels, size=1.0):
    """A loop of such steps, for every number of them."""

    def make(n):
        def run(model, x, noise):
            x = x * size
            for t, s in pairwise(levels(n)):
                x = step(lambda x, t: model(x, float(t)), x, t, s, noise)
            return x

        return Sampler(run, path=path, predicts=predicts, end=float(levels(n)[-1]))

    return make


def probability_flow(model, x, t, s, noise):
    return x - (s - t) * (0.1 + 19.9 * t) / 2 * (x + model(x, t))


def runge_kutta(model, x, t, s, noise):
    def f(x, t):
        return -(0.1 + 19.9 * t) / 2 * (x + model(x, t))

    h = s - t
    a = f(x, t)
    b = f(x + h / 2 * a, t + h / 2)
    c = f(x + h / 2 * b, t + h / 2)
    return x + h / 6 * (a + 2 * b + 2 * c + f(x + h * c, s))


def exponential(model, x, t, s, noise):
    return np.exp(t - s) * x + np.expm1(t - s) * model(x, t)


def reverse(model, x, t, s, noise):
    return np.exp(t - s) * x + 2 * np.expm1(t - s) * model(x, t) + np.sqrt(np.expm1(2 * (t - s))) * noise()


def noisy_flow(model, x, t, s, noise):
    v = model(x, t)
    return x - (t - s) * (v + (x + (1 - t) * v) / 2) + np.sqrt((t - s) * t) * noise()


def reverse_in_sigma(model, x, t, s, noise):
    return x - (t**2 - s**2) / t * model(x, t) + np.sqrt(t**2 - s**2) * noise()


LINEAR = paths.VP(beta=(0.1, 20.0))


@pytest.mark.parametrize(
    "make, n",
    [
        (stepping(probability_flow, LINEAR, "score", between(1, 1e-3, "linear")), 80),
        (stepping(runge_kutta, LINEAR, "score", between(1, 1e-3, "linear")), 40),
        (stepping(exponential, paths.OU(), "score", between(5, 0.01, "geometric")), 40),
        (stepping(reverse, paths.OU(), "score", between(5, 0.01, "geometric")), 5),
        (stepping(noisy_flow, paths.Flow(), "flow", between(0.99, 0.02, "linear")), 40),
        (stepping(reverse_in_sigma, paths.VE(), "eps", between(10, 0.05, "linear"), 10.0), 80),
    ],
)
def test_no_alarm_where_steps_are_not_exact_on_a_point(make, n):
    found = bookkept(make, n, TARGET)
    assert (found.verdict, found.kind) == ("holds", "discretization"), found.why


def test_a_previous_timestep_that_is_off_by_one():
    # 13 steps: 999, 922, 845, ...; the step goes down by 1000 // 13 = 76 to 923, and the model is told 922
    found = bookkept(lambda n: ddim(trailing(n), 1000 // n), 13, TARGET)
    assert (found.verdict, found.kind, found.call) == ("refuted", "level", 1), found.why
    assert found.point[1].level == 922
    assert found.point[1].apparent == pytest.approx(923, abs=1e-3)
    assert "told level 922 and handed the input of level 923" in found.why


def test_whole_timesteps_need_no_more_steps():
    def make(n):
        if n > 1000:
            raise ValueError("there are 1000 timesteps")
        return ddim(trailing(n), 1000 // n)

    found = bookkept(make, 150, TARGET)
    assert (found.verdict, found.kind) == ("refuted", "level"), found.why


@pytest.mark.parametrize("n", [10, 20, 50])
def test_the_same_steps_are_sound_where_they_divide(n):
    assert bookkept(lambda n: ddim(trailing(n), 1000 // n), n, TARGET).verdict == "holds"


@pytest.mark.parametrize("n", [6, 20, 80])
@pytest.mark.parametrize("schedule", [karras, geometric])
def test_a_level_that_is_told_one_step_late_or_early(schedule, n):
    def late(n):
        sigmas = schedule(n)
        return euler(sigmas, [sigmas[0], *sigmas[2:], sigmas[-1] / 2])

    found = bookkept(late, n, TARGET)
    assert (found.verdict, found.kind, found.call) == ("refuted", "level", 1), found.why
    assert found.point[1].apparent == pytest.approx(schedule(n)[1], rel=1e-6)

    def early(n):
        sigmas = schedule(n)
        return euler(sigmas, [sigmas[0], sigmas[0], *sigmas[1:-1]])

    found = bookkept(early, n, TARGET)
    assert (found.verdict, found.kind, found.call) == ("refuted", "level", 1), found.why
    assert found.point[1].apparent == pytest.approx(schedule(n)[1], rel=1e-6)


def vp_euler(n, scaled, started=True):
    """Euler in sigma with a model of a VP path, whose input is x/sqrt(1 + sigma^2)."""
    path = paths.VP(CUMULATIVE)
    timesteps = np.linspace(999, 0, n)
    sigmas = np.append([np.divide(*path.at(t)[::-1]) for t in timesteps], 0)

    def run(model, x, noise):
        x = x * np.sqrt(1 + sigmas[0] ** 2) if started else x
        for i, t in enumerate(timesteps):
            size = np.sqrt(1 + sigmas[i] ** 2) if scaled(i) else 1
            x = x + (sigmas[i + 1] - sigmas[i]) * model(x / size, t)
        return x

    return Sampler(run, path=path, predicts="eps")


@pytest.mark.parametrize("n", [5, 50])
def test_a_missing_scaling_of_inputs(n):
    assert bookkept(lambda n: vp_euler(n, lambda i: True), n, TARGET).verdict == "holds"
    found = bookkept(lambda n: vp_euler(n, lambda i: False), n, TARGET)
    assert (found.verdict, found.kind, found.call) == ("refuted", "start", 0), found.why
    found = bookkept(lambda n: vp_euler(n, lambda i: i != 2), n, TARGET)
    assert (found.verdict, found.kind, found.call) == ("refuted", "scale", 2), found.why
    assert "times what is due" in found.why
    path = paths.VP(CUMULATIVE)
    alpha, sigma = path.at(np.linspace(999, 0, n)[2])
    assert found.point[2].scale == pytest.approx(np.sqrt(1 + (sigma / alpha) ** 2))


def test_a_missing_scaling_of_the_start():
    found = bookkept(lambda n: vp_euler(n, lambda i: True, started=False), 20, TARGET)
    assert (found.verdict, found.kind, found.call) == ("refuted", "start", 0)


def test_pure_noise_in_place_of_the_first_level():
    def late(n):  # from t = 0.99 of a flow, whose sigma^2 + alpha^2 is less than 1
        times = np.linspace(0.99, 0, n + 1)

        def run(model, x, noise):
            for t, t_next in pairwise(times):
                x = x + (t_next - t) * model(x, t)
            return x

        return Sampler(run, path=paths.Flow(), predicts="flow")

    assert bookkept(late, 10, TARGET).verdict == "holds"


def test_timesteps_of_a_flow_are_rounded_too():
    def make(n):
        times = np.linspace(1000, 0, n + 1)

        def run(model, x, noise):
            for t, t_next in pairwise(times):
                x = x + (t_next - t) / 1000 * model(x, round(t))
            return x

        return Sampler(run, path=paths.Flow(1000), predicts="flow")

    found = bookkept(make, 7, TARGET)
    assert (found.verdict, found.kind) == ("holds", "rounded"), found.why


@pytest.mark.parametrize("whole", [np.round, np.floor])
def test_levels_rounded_to_whole_timesteps(whole):
    def rounded(n):
        path = paths.VP(CUMULATIVE)
        exact = np.linspace(999, 0, n)
        sigmas = np.append([np.divide(*path.at(t)[::-1]) for t in exact], 0)

        def run(model, x, noise):
            x = x * np.sqrt(1 + sigmas[0] ** 2)
            for i, t in enumerate(whole(exact)):
                x = x + (sigmas[i + 1] - sigmas[i]) * model(x / np.sqrt(1 + sigmas[i] ** 2), t)
            return x

        return Sampler(run, path=path, predicts="eps")

    found = bookkept(rounded, 8, TARGET)
    assert (found.verdict, found.kind) == ("holds", "rounded"), found.why


def test_a_slip_of_a_method_that_is_not_exact_on_a_point():
    def make(n):
        sound = maruyama(karras(n))

        def run(model, x, noise):
            return sound.run(lambda x, t: model(x / 2 if t < 1 else x, t), x, noise)

        return Sampler(run, path=paths.VE(), predicts="eps", end=0.03)

    found = bookkept(make, 80, TARGET)
    assert found.verdict == "refuted", found.why


@pytest.mark.parametrize("start", ["normal", "exact"])
def test_read_in_coordinates(start):
    turned = Gaussian([1.0, 0.5], [[2.0, 0.7], [0.7, 0.5]])
    sampler = euler(karras(6))
    mixed = Sampler(sampler.run, path=paths.VE(), predicts="eps", coordinates=True)
    for target in (TARGET, turned):
        one, other = sampler.read(target).bookkeeping(start), mixed.read(target).bookkeeping(start)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.mean, b.mean, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(a.variance, b.variance, rtol=1e-9)
            np.testing.assert_allclose(a.due_mean, b.due_mean)


# --- what mutants fail ------------------------------------------------------------------------------------------------


def test_infinite_noise_is_due():
    """A finite input at sigma = infinity is off by all of its variance, though nothing divides."""

    def run(model, x, noise):
        return model(5 * x, 5.0) + 0 * model(x, math.inf)

    first, second = Sampler(run, path=paths.VE(), predicts="x0").read(TARGET).bookkeeping()
    assert first.misfit == pytest.approx(0, abs=1e-13)
    assert (second.level, second.misfit) == (math.inf, 1.0)


def inputs():
    test_infinite_noise_is_due()
    test_inputs_are_those_of_the_closed_form(karras)
    test_the_start_error_is_left_in_from_a_normal_start()
    for call in flow(4).read(TARGET).bookkeeping():
        t = call.level
        np.testing.assert_allclose(call.due_mean, (1 - t) * TARGET.means)
        np.testing.assert_allclose(call.due_variance, (1 - t) ** 2 * TARGET.variances + t**2)
    test_read_in_coordinates("exact")
    test_read_in_coordinates("normal")


def sound_loops():
    for n in (5, 20):
        for name in SOUND:
            test_no_alarm_in_sound_loops(name, geometric, n)
        test_no_alarm_in_other_clocks(lambda n: ddim(trailing(n)), n)
        test_no_alarm_in_other_clocks(flow, n)
    test_levels_rounded_to_whole_timesteps(np.round)
    test_levels_rounded_to_whole_timesteps(np.floor)
    test_pure_noise_in_place_of_the_first_level()
    test_no_alarm_where_noise_is_too_wide(50)
    for make, n in (
        (stepping(probability_flow, LINEAR, "score", between(1, 1e-3, "linear")), 80),
        (stepping(exponential, paths.OU(), "score", between(5, 0.01, "geometric")), 40),
        (stepping(reverse, paths.OU(), "score", between(5, 0.01, "geometric")), 5),
        (stepping(reverse_in_sigma, paths.VE(), "eps", between(10, 0.05, "linear"), 10.0), 80),
    ):
        test_no_alarm_where_steps_are_not_exact_on_a_point(make, n)


def slips():
    test_a_previous_timestep_that_is_off_by_one()
    test_whole_timesteps_need_no_more_steps()
    for schedule in (karras, geometric):
        test_a_level_that_is_told_one_step_late_or_early(schedule, 20)


def what_does_not_fall():
    test_a_slip_of_a_method_that_is_not_exact_on_a_point()


def scalings():
    test_a_missing_scaling_of_inputs(5)
    test_a_missing_scaling_of_the_start()


def kinds():
    """A misfit is one of the level, of the scale, of both alike where they are the same, or of another kind."""
    target = Gaussian([1.0, -0.5, 0.0], [4.0, 0.5, 0.02])

    def exact(told, factor, shift=0.0):
        """The input is the marginal of sigma = 4, whatever is told."""

        def run(model, x, noise):
            x = 4 * x
            return x + 0 * model(x, 4.0) + 0 * model(factor * x + shift, told)

        return Sampler(run, path=paths.VE(), predicts="eps", end=4.0).read(target).bookkeeping()[1]

    assert exact(4.0, 1.0).kind == "none"
    level, scale = exact(3.0, 1.0), exact(4.0, 1.1)
    assert (level.kind, scale.kind) == ("level", "scale")
    assert level.apparent == pytest.approx(4.0)
    assert scale.scale == pytest.approx(1.1)
    # from 3 to 4 are as many steps as the other way
    assert level.steps == pytest.approx(1.0)
    assert exact(4.0, 1.0, shift=20.0).kind == "other"


def hidden():
    """At level 0 of a flow data of one point have no spread: whatever arrives there is within rounding of the mean."""

    def run(model, x, noise):
        levels = np.linspace(1.0, 0.0, 9)
        for t, after in pairwise(levels):
            x = x + (after - t) * model(x, t)
        model(x, 0.0)
        return x

    sampler = Sampler(run, path=paths.Flow(), predicts="flow")
    found = bookkept(lambda n: sampler, 8, Gaussian([1.0], [0.5]))
    assert found.verdict == "holds"
    assert "the 8 inputs that show it" in found.why


FACTS = {fact.__name__: fact for fact in (inputs, sound_loops, slips, what_does_not_fall, scalings, kinds, hidden)}


def test_misfits_have_kinds():
    kinds()


def test_inputs_that_roundings_hide_are_not_told():
    hidden()


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_its_fact_refutes_the_mutant(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        FACTS[mutant.killed_by]()


def test_every_fact_kills_something():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)
