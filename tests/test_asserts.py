"""Asserts for other people's suites: samplers that are wrong fail, with a text that shows it; right ones pass."""

from __future__ import annotations

import importlib
import itertools
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutants import asserts as mutants

import rmverify as rm
from rmverify import Gaussian, Kernel, Sampler, paths, schemes
from rmverify.numbers.values import Value
from rmverify.samplers import Unreadable, default_targets, defaults
from rmverify.testing import asserts, text
from rmverify.testing import strategies as ours

FACTS = {}


def fact(function):
    """A test by itself, and what mutants are put before."""
    FACTS[function.__name__.removeprefix("test_")] = function
    return function


def failure(call, *words):
    """The text with which an assert fails: narrow, and with these words in it."""
    try:
        call()
    except AssertionError as error:
        said = str(error)
    else:
        raise LookupError("it passed")
    assert max(map(len, said.splitlines())) <= 76, said
    flat = " ".join(said.split())
    for word in words:
        assert word in flat, said
    return said


# --- samplers that a README could have -------------------------------------------------------------------------------


def sigma_sampler(n, *, noise=0.0, late=0, heun=False, most=20.0, least=1e-5, scaled=1.0, **options):
    """Euler or Heun from sigma to sigma, ancestral where `noise`; `late` hands the model the level of a call before."""
    sigmas = [*np.geomspace(most, least, n), 0.0]

    def run(model, x, draw):
        x = x * sigmas[0]
        for i, (s, s_next) in enumerate(itertools.pairwise(sigmas)):
            up = math.sqrt(s_next**2 * (s**2 - s_next**2)) / s if noise else 0.0
            down = math.sqrt(s_next**2 - up**2)
            slope = (x - model(scaled * x if i else x, sigmas[max(i - late, 0)])) / s
            there = x + (down - s) * slope
            if heun and down > 0:
                slope = (slope + (there - model(there, down)) / down) / 2
            x = x + (down - s) * slope
            if up > 0:
                x = x + noise * up * draw()
        return x

    return Sampler(run, path=paths.VE(), predicts="x0", name=f"sigmas {n}", **options)


def fixed(scale, mean=0.0):
    """Asks its model for nothing and returns N(mean, scale^2)."""

    def run(model, x, noise):
        model(x, 1.0)
        return mean + scale * x

    return Sampler(run)


def langevin(h=0.05, *, power=0.5, single=False):
    """Euler for the overdamped equation; `power` 1 has the noise of a step that is taken for its variance."""

    def step(x, gradient, noise, size=h):
        return x + size * gradient(x) + math.sqrt(2) * size**power * noise()

    return Kernel(step, name="langevin", single=single)


def kinetic(h=0.3, *, friction=1.0, sign=1.0, damped=1.0):
    """Leapfrog with noise that position and velocity share."""

    def step(state, gradient, noise):
        x, v = state
        z = noise()
        v = math.exp(-friction * h) * v + h * gradient(x) + h * damped * z
        return x + h * v + sign * h**2 * z, v

    return Kernel(step, init=lambda x, noise: (x, 0 * x), name="kinetic")


def overlap(r):
    """TV of N(0, r^2) and N(0, 1), r > 1: they cross at c, c^2 (1 - 1/r^2) = 2 ln r."""
    c = math.sqrt(2 * math.log(r) / (1 - r**-2))
    return math.erf(c / math.sqrt(2)) - math.erf(c / r / math.sqrt(2))


# --- the law of the output ------------------------------------------------------------------------------------------


DISTANCES = {
    "tv": overlap(1.5),
    "kl": (1.5**2 - 1) / 2 - math.log(1.5),
    "hellinger": math.sqrt(1 - math.sqrt(2 * 1.5 / (1 + 1.5**2))),
    "w2": 0.5,  # of a standard deviation
}


@fact
def test_a_law_is_allowed_up_to_its_distance_and_no_farther():
    target = Gaussian([0.0], [4.0])
    for distance, value in DISTANCES.items():
        asserts.assert_law(fixed(3.0), target, value * (1 + 1e-9), distance=distance)
        said = failure(
            lambda d=distance, v=value: asserts.assert_law(fixed(3.0), target, v * (1 - 1e-9), distance=d),
            "assert_law: the output has not the law that it should have", "start N(0, I)", f"{value:.6g}",
        )  # fmt: skip
        assert said.splitlines()[-1].split() == ["0", "0", "0", "+0.0e+00", "9", "4", "+1.2e+00"]


@fact
def test_too_much_noise_is_too_wide_a_law():
    asserts.assert_law(sigma_sampler(96, noise=1.0, most=200.0), None, 0.15)
    said = failure(
        lambda: asserts.assert_law(sigma_sampler(96, noise=1.5, most=200.0), None, 0.15),
        "default_targets()['uneven']", "exact model in x0", "Path(VE", "variance",
    )  # fmt: skip
    assert "TV " in said


@fact
def test_a_law_beside_the_target_is_what_the_output_is_compared_with():
    target, law = Gaussian([0.0], [1.0]), Gaussian([0.0], [9.0])
    asserts.assert_law(fixed(3.0), law, 1e-12, target=target)
    failure(lambda: asserts.assert_law(fixed(3.0), target, 1e-12, target=law), "was allowed")
    half = Sampler(lambda model, x, noise: model(x, 1.0), path=paths.VE(), predicts="x0")  # x/2 on N(0, 1)
    asserts.assert_law(half, Gaussian([0.0], [0.25]), 1e-12, target=target)


@fact
@pytest.mark.slow
def test_a_law_that_is_known_too_vaguely_is_inconclusive():
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, [2.0, 1.0, 0.3])])
    target = Gaussian([1.0, 0.0], [0.5, 2.0])
    value = rm.tv(rm.output_law(plan, target), target.at(0.3))
    assert value.lower < value < value.upper
    failure(lambda: asserts.assert_law(plan, target, float(value)), "assert_law: inconclusive", "monte-carlo")
    asserts.assert_law(plan, target, value.upper)
    failure(lambda: asserts.assert_law(plan, target, value.lower * (1 - 1e-9)), "assert_law: the output has not")


def test_an_output_that_ends_at_a_level_is_compared_with_the_marginal_there():
    asserts.assert_law(Sampler(fixed(3.0).run, path=paths.VE(), end=2.0), Gaussian([0.0], [5.0]), 1e-9)
    kernel = Kernel(lambda x, gradient, noise: x, path=paths.VE(), level=2.0)
    asserts.assert_law(kernel, Gaussian([0.0], [5.0]), 1e-9, start="exact")
    asserts.assert_law(kernel, Gaussian([0.0], [5.0]), 1e-9, start=Gaussian([0.0], [9.0]), steps=3)


def test_a_table_shows_the_modes_that_differ_most():
    target = Gaussian.from_spectrum(np.linspace(1.0, 2.0, 1000), np.full(1000, 7))
    said = failure(lambda: asserts.assert_law(fixed(math.sqrt(2)), target, 1e-3), "992 more")
    rows = said.split("\n\n")[1].splitlines()[1:9]
    assert [row.split()[0] for row in rows] == [str(k) for k in range(8)]


# --- stationary laws ------------------------------------------------------------------------------------------------


@fact
def test_the_law_that_a_step_leaves_invariant():
    h, variance = 0.1, 0.5
    ratio = math.sqrt(2 * h / (1 - (1 - h / variance) ** 2) / variance)
    for kernel, size in ((langevin(h), None), (langevin(), h), (schemes.overdamped, h)):
        asserts.assert_stationary(kernel, Gaussian([1.0], [variance]), overlap(ratio) * (1 + 1e-9), size=size)
        failure(
            lambda k=kernel, s=size: asserts.assert_stationary(
                k, Gaussian([1.0], [variance]), overlap(ratio) * (1 - 1e-9), size=s
            ),
            "assert_stationary: the step leaves another law invariant than its target", "positions compared",
        )  # fmt: skip


def test_noise_of_the_size_of_the_step_and_not_of_its_root():
    asserts.assert_stationary(langevin(0.001), None, 0.02)
    said = failure(lambda: asserts.assert_stationary(langevin(0.001, power=1.0), None, 0.02))
    assert "variance" in said


@fact
def test_a_step_at_a_level_is_for_the_marginal_there():
    target = Gaussian([3.0], [0.5])

    def step(x, gradient, noise, h=0.3):  # exact for N(3, 0.5 + 4)
        a, v = math.exp(-h / 4.5), 4.5
        return x + (1 - a) * v * gradient(x) + math.sqrt((1 - a * a) * v) * noise()

    asserts.assert_stationary(Kernel(step, path=paths.VE(), level=2.0), target, 1e-9)
    asserts.assert_unbiased(Kernel(step, path=paths.VE(), level=2.0), target, sizes=[0.1, 5.0])


@fact
def test_an_unbiased_step_has_no_error_at_any_size():
    target = Gaussian([1.0, 2.0], [0.25, 0.25])

    def exact(x, gradient, noise, h):
        a = math.exp(-h)
        return x + (1 - a) * gradient(x) / 4 + math.sqrt((1 - a * a) / 4) * noise()

    asserts.assert_unbiased(Kernel(exact), target, sizes=[0.01, 10.0])
    asserts.assert_unbiased(
        lambda h: Kernel(lambda x, gradient, noise: exact(x, gradient, noise, h)), target, sizes=[1.0]
    )
    title = "assert_unbiased: there is an error of discretization"
    failure(lambda: asserts.assert_unbiased(langevin(), target), title, "0 up to rounding was due")
    failure(lambda: asserts.assert_unbiased(schemes.overdamped, target, sizes=[1e-5]), title, "step size 1e-05")
    said = failure(lambda: asserts.assert_unbiased(lambda h: langevin(h), sizes=[1e-3]), title, "made with 0.001")
    assert "default_targets()['uneven']" in said


@fact
def test_an_unbiased_sampler_keeps_an_exact_start():
    def run(model, x, noise):  # from N(0, 2) at sigma 1 to N(0, 1): (x - x0)/sigma = x/2
        return (x - model(x, 1.0) + x / 2) / math.sqrt(2)

    target = Gaussian([0.0], [1.0])
    asserts.assert_unbiased(Sampler(run, path=paths.VE(), predicts="x0"), target)
    failure(lambda: asserts.assert_unbiased(sigma_sampler(9), target), "start exact")
    asserts.assert_unbiased(Sampler(run, path=paths.VE(), predicts="x0", like=np.zeros(1, dtype="float32")), target)


def test_an_error_of_half_the_digits_is_inconclusive(monkeypatch):
    for error, words in ((1e-6, "inconclusive: rounding may hide a TV above 1.5e-08"), (1e-9, None)):
        monkeypatch.setitem(asserts._DISTANCES, "tv", lambda p, q, e=error: Value.clipped(e / 2, e, 0, 1))
        if words:
            failure(lambda: asserts.assert_unbiased(langevin()), words)
            asserts.assert_unbiased(langevin(), tol=1e-6)
        else:
            asserts.assert_unbiased(langevin())


# --- two samplers ---------------------------------------------------------------------------------------------------


@fact
def test_a_fused_step_is_the_one_that_it_fuses():
    def fused(x, t, h, score, draw, wrong=False):
        slope = x + score(t, x)
        there = x + h * slope
        return x + h / 2 * (slope + (x if wrong else there) + score(t - h, there))

    def faulty(x, t, h, score, draw):
        return fused(x, t, h, score, draw, wrong=True)

    asserts.assert_same_law(fused, schemes.heun)
    failure(
        lambda: asserts.assert_same_law(faulty, schemes.heun),
        "assert_same_law: a and b have different laws", "mean a", "variance b", "rounding in float64",
    )  # fmt: skip
    asserts.assert_same_law(faulty, schemes.heun, tol=2.0)
    failure(
        lambda: asserts.assert_same_law(faulty, schemes.heun, start="exact", target=Gaussian([1.0], [0.5])), "exact"
    )


@fact
def test_a_difference_of_a_billionth_shows():
    for scale, mean in ((1 + 1e-9, 0.0), (1.0, 1e-9)):
        said = failure(
            lambda s=scale, m=mean: asserts.assert_same_law(fixed(s, m), fixed(1.0)), "of the size of float32"
        )
        assert "1e-09" in said or "2e-09" in said
        asserts.assert_same_law(fixed(scale, mean), fixed(1.0), tol=2.1e-9)
    said = failure(lambda: asserts.assert_same_law(fixed(1.01), fixed(1.0)))
    assert "float32" not in said


@fact
def test_a_port_to_another_dtype_is_compared_in_its_rounding():
    single = np.zeros(1, dtype="float32")

    def port(off):
        def run(model, x, noise):
            scale = np.float32(20.0 * (1 + off))
            x = x * scale
            for s, s_next in ((np.float32(20), np.float32(5)), (np.float32(5), np.float32(1))):
                x = x + (s_next - s) / s * (x - model(x, s))
            return x

        return run

    reference = Sampler(port(0.0), path=paths.VE(), predicts="x0", like=single)
    double = sigma_like([20.0, 5.0, 1.0])
    asserts.assert_same_law(reference, double)
    asserts.assert_same_law(double, reference)
    wrong = Sampler(port(1e-4), path=paths.VE(), predicts="x0", like=single)
    failure(lambda: asserts.assert_same_law(wrong, double), "rounding in float32")
    failure(lambda: asserts.assert_same_law(double, wrong), "rounding in float32")


def sigma_like(sigmas):
    def run(model, x, noise):
        x = x * sigmas[0]
        for s, s_next in itertools.pairwise(sigmas):
            x = x + (s_next - s) / s * (x - model(x, s))
        return x

    return Sampler(run, path=paths.VE(), predicts="x0")


@pytest.mark.parametrize("dtype, off", [("float32", 1e-3), ("float64", 1e-10)])
def test_a_port_to_torch_is_the_loop_in_numpy_and_a_slip_of_its_noise_shows(dtype, off):
    torch = pytest.importorskip("torch", reason="a port to torch needs torch")
    sigmas = [20.0, 5.0, 1.0, 0.2]

    def ours(model, x, noise):
        x = x * sigmas[0]
        for s, s_next in itertools.pairwise(sigmas):
            x = model(x, s) + (s_next / s) ** 2 * (x - model(x, s))
            x = x + s_next * math.sqrt(1 - (s_next / s) ** 2) * noise()
        return x

    def port(wrong):
        def run(model, x, noise):
            levels = torch.tensor(sigmas, dtype=x.dtype)
            x = levels[0] * x
            for s, s_next in itertools.pairwise(levels):
                share = (s_next / s).square()
                x = torch.lerp(model(x, s), x, share)
                x = torch.addcmul(x, torch.randn_like(x), (1 + wrong) * s_next * (1 - share).sqrt())
            return x

        like = torch.empty(0, dtype=getattr(torch, dtype))
        return Sampler(run, path=paths.VE(), predicts="x0", like=like)

    reference = Sampler(ours, path=paths.VE(), predicts="x0")
    asserts.assert_same_law(port(0.0), reference)
    failure(lambda: asserts.assert_same_law(port(off), reference), f"rounding in {dtype}")


@fact
def test_every_component_of_a_state_is_compared_and_what_is_between_them():
    asserts.assert_same_law(kinetic(), kinetic(), steps=1)
    failure(lambda: asserts.assert_same_law(kinetic(damped=1.1), kinetic(), steps=1), "component")
    target = Gaussian([0.0], [1.0])

    def velocities(scale):
        return Kernel(lambda s, gradient, noise: (s[0] / 2, scale * noise()), init=lambda x, noise: (x, x), name="v")

    failure(lambda: asserts.assert_same_law(velocities(2.0), velocities(1.0), target=target), "1 of the state")

    def shared(sign):
        def step(state, gradient, noise):
            z = noise()
            return z, sign * z

        return Kernel(step, init=lambda x, noise: (x, x), name="shared")

    said = failure(
        lambda: asserts.assert_same_law(shared(1.0), shared(-1.0), target=target), "component between two of the state"
    )
    assert "largest 2 of" in " ".join(said.split())


@fact
def test_coordinates_that_are_mixed_are_compared_too():
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])

    def mixed(matrix):
        def run(model, x, noise):
            model(x, 1.0)
            return x @ matrix

        return Sampler(run, coordinates=True)

    target = Gaussian([0.5, 1.0], [2.0, 3.0])
    asserts.assert_same_law(mixed(turn), fixed(1.0), target=target)
    said = failure(
        lambda: asserts.assert_same_law(mixed(np.array([[1.0, 0.1], [0.0, np.sqrt(0.99)]])), fixed(1.0), target=target),
        "largest difference of a covariance, relative: 1.0e-01",
    )
    assert "axis" in said


def test_what_is_random_beside_noise_is_compared_given_it():
    randomized = schemes.randomized_midpoint
    with pytest.raises(TypeError, match="pass midpoints as alphas"):
        asserts.assert_same_law(randomized, randomized)
    asserts.assert_same_law(randomized, randomized, alphas=[0.25, 0.5, 0.75])
    failure(
        lambda: asserts.assert_same_law(
            randomized, lambda x, t, h, score, draw: randomized(x, t, h * (1 + 1e-6), score, draw), alphas=[0.3] * 3
        ),
        "given alphas",
    )


@pytest.mark.slow
@given(st.one_of(ours.gaussians(), ours.dense_gaussians()), ours.sigmas(), st.sampled_from([0.0, 0.5, 1.0]))
def test_two_ways_to_write_one_sampler_have_one_law(target, sigmas, eta):
    def slopes(model, x, noise):
        x = x * sigmas[0]
        for s, s_next in itertools.pairwise(sigmas):
            up = eta * s_next * math.sqrt(1 - (s_next / s) ** 2)
            x = x + (math.sqrt(s_next**2 - up**2) - s) * (x - model(x, s)) / s
            x = x + up * noise() if up else x
        return x

    def shares(model, x, noise):
        x = sigmas[0] * x
        for s, s_next in itertools.pairwise(sigmas):
            kept = (s - s_next) * (s + s_next) / s**2
            share = s_next * math.sqrt(1 - eta**2 * kept) / s
            x = share * x + (1 - share) * model(x, s)
            x = x + noise() * (eta * s_next * math.sqrt(kept)) if eta and s_next else x
        return x

    pair = [Sampler(run, path=paths.VE(), predicts="x0") for run in (slopes, shares)]
    asserts.assert_same_law(*pair, target=target)


# --- orders ---------------------------------------------------------------------------------------------------------


@fact
def test_a_first_order_method_is_not_of_second_order():
    asserts.assert_order(sigma_sampler, 1, target=Gaussian([1.0, 0.0], [0.5, 2.0]))

    def make(n):
        return sigma_sampler(n)

    make.assumed = ("a scheduler", "its clipping off")
    said = failure(
        lambda: asserts.assert_order(make, 2),
        "adapter a scheduler; its clipping off", "declared order 2", "local slope", "start exact", "evaluations",
    )  # fmt: skip
    assert said.startswith(("assert_order: the order is 0.9", "assert_order: the order is 1.0"))
    assert [line.split()[:2] for line in said.splitlines()[-5:]] == [[str(n)] * 2 for n in (16, 32, 64, 128, 256)]


@fact
def test_orders_of_schemes_and_of_stationary_laws():
    target = Gaussian([1.0, 0.0], [0.5, 2.0])
    asserts.assert_order(schemes.heun, 2, target=target)
    asserts.assert_order(schemes.heun, 1, target=target)
    failure(lambda: asserts.assert_order(schemes.heun, 2.5, target=target), "the order is 2.0")
    failure(lambda: asserts.assert_order(schemes.exponential_integrator, 2, target=target), "the order is 1.0")
    asserts.assert_order(lambda n: langevin(1 / n), 1, steps=[32, 64, 128], target=target)
    failure(lambda: asserts.assert_order(lambda n: langevin(1 / n), 2, steps=[32, 64, 128], target=target), "positions")


@fact
def test_a_floor_is_no_order_and_the_last_call_has_none():
    def make(n):
        return sigma_sampler(n, heun=True, least=0.05)

    failure(lambda: asserts.assert_order(make, 2), "the error stops falling", "at='last call'")
    asserts.assert_order(make, 2, at="last call", steps=[16, 32, 64, 128], target=Gaussian([1.0, 0.0], [0.5, 2.0]))


@fact
def test_slopes_that_still_change_are_inconclusive():
    target = Gaussian([1.0], [0.5])
    failure(
        lambda: asserts.assert_order(lambda n: sigma_sampler(n, most=200.0), 1, steps=[4, 8, 16], target=target),
        "inconclusive: the order has not settled", "try more steps",
    )  # fmt: skip


@fact
def test_errors_of_rounding_have_no_order():
    def exact(n):
        def run(model, x, noise):
            return (x - model(x, 1.0) + x / 2) / math.sqrt(2)

        return Sampler(run, path=paths.VE(), predicts="x0")

    failure(lambda: asserts.assert_order(exact, 1, target=Gaussian([0.0], [1.0])), "inconclusive", "too small")


@fact
def test_slopes_are_those_of_powers():
    for order in (0.5, 1.0, 3.0):
        errors = [Value(0.3 * n**-order, "exact", 1e-6 * n**-order) for n in (5, 35)]
        slope, vague = asserts._slope(5, errors[0], 35, errors[1])
        assert slope == pytest.approx(order, rel=1e-12)
        assert vague == pytest.approx(2 * 1e-6 / 0.3 / math.log(7), rel=1e-9)
    assert verdict(1, 1.0, 1.0) == ""
    assert verdict(1, 2.0, 2.0) == ""
    assert verdict(1, 0.76, 0.76) == ""
    assert verdict(1, 0.74, 0.74) == "the order is 0.74, not 1"
    assert "too vague" in asserts._judged([(1.0, 0.0), (1.0, 0.3)], 1, 0.25)
    assert "too vague" in asserts._judged([(1.0, 0.3), (1.0, 0.0)], 1, 0.25)
    assert asserts._judged([(1.0, 0.3), (1.0, 0.0), (1.0, 0.2)], 1, 0.25) == ""


def verdict(order, *slopes):
    return asserts._judged([(slope, 0.0) for slope in slopes], order, 0.25)


@fact
def test_slopes_that_rise_are_no_refutation_while_they_may_get_there():
    assert verdict(2, 1.78, 1.82, 1.863) == ""
    assert "not settled" in verdict(2, 1.4, 1.5, 1.6)
    assert "not settled" in verdict(2, 1.64, 1.7)
    assert "not settled" in verdict(2, 1.6, 1.8)
    assert "not settled" in verdict(2, 2.5, 2.3)
    assert verdict(2, 1.3, 1.4, 1.45) == "the order is 1.45, not 2"  # on its way to 1.5
    assert verdict(2, 0.9, 0.94) == "the order is 0.94, not 2"
    assert verdict(2, 1.7, 1.6, 1.55) == "the order is 1.55, not 2"
    assert "stops falling" in verdict(2, 2.0, 1.5, 0.9)
    assert "stops falling" not in verdict(2, 1.9, 1.5, 1.1)
    assert "stops falling" in verdict(2, 2.0, 0.1, 0.05)


# --- bookkeeping ----------------------------------------------------------------------------------------------------


@fact
def test_a_level_that_is_off_by_one_shows_at_its_call():
    asserts.assert_bookkeeping(lambda n: sigma_sampler(n))
    asserts.assert_bookkeeping(sigma_sampler(12))
    said = failure(
        lambda: asserts.assert_bookkeeping(lambda n: sigma_sampler(n, late=1)),
        "assert_bookkeeping: model call 1 is told level 20 and handed", "looks like", "default_targets()['uneven']",
    )  # fmt: skip
    [row] = [line.split() for line in said.splitlines() if line.endswith("<- here")]
    told, seen = 20.0, 20 * (1e-5 / 20) ** (1 / 15)
    assert row[:3] == ["1", f"{told:.5g}", f"{seen:.5g}"]


@fact
def test_a_forgotten_scaling_shows_at_its_call():
    make = lambda n: sigma_sampler(n, scaled=1.1)  # noqa: E731
    said = failure(lambda: asserts.assert_bookkeeping(make, Gaussian([1.0], [0.5])), "1.1 times", "Gaussian(dim=1")
    assert "default" not in said


@fact
def test_one_sampler_cannot_tell_a_slip_from_discretization():
    failure(lambda: asserts.assert_bookkeeping(sigma_sampler(16, late=1)), "inconclusive", "pass make(N)")
    failure(lambda: asserts.assert_bookkeeping(sigma_sampler(16, late=1), steps=5), "inconclusive", "pass make(N)")


# --- the rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: asserts.assert_law(fixed(1.0), None, -1), "tol: "),
        (lambda: asserts.assert_law(fixed(1.0), None, math.nan), "tol: "),
        (lambda: asserts.assert_law(fixed(1.0), "data", 1), "target: expected a Gaussian"),
        (lambda: asserts.assert_law(fixed(1.0), None, 1, target=Gaussian([0.0], [1.0])), "law: expected a Gaussian"),
        (lambda: asserts.assert_law(fixed(1.0), None, 1, distance="chi2"), "distance: expected one of tv, kl"),
        (lambda: asserts.assert_law(schemes.heun, None, 1), "sampler: expected a Sampler, a Kernel or a Plan"),
        (lambda: asserts.assert_stationary(fixed(1.0), None, 1), "kernel: expected a Kernel or a Langevin scheme"),
        (lambda: asserts.assert_stationary(langevin(9.0), None, 1), "step: it leaves no law invariant"),
        (lambda: asserts.assert_unbiased(schemes.overdamped), "sizes: expected step sizes"),
        (lambda: asserts.assert_same_law(fixed(1.0), 3), "sampler: expected"),
        (lambda: asserts.assert_same_law(fixed(1.0), fixed(1.0), tol=-1), "tol: "),
        (lambda: asserts.assert_order(schemes.heun, 0), "order: "),
        (lambda: asserts.assert_order(schemes.heun, 2, at="start"), "at: expected 'output' or 'last call'"),
        (lambda: asserts.assert_order(schemes.heun, 2, at="last call"), "at: expected a Sampler"),
        (lambda: asserts.assert_order(schemes.heun, 2, distance="kl"), "distance: expected 'tv'"),
        (lambda: asserts.assert_order(schemes.heun, 2, steps=[4, 8]), "steps: expected at least three"),
        (lambda: asserts.assert_order(schemes.heun, 2, steps=[4, 8, 8]), "steps: expected at least three"),
        (lambda: asserts.assert_order(lambda n: n, 2), "make: expected a function that returns"),
        (lambda: asserts.assert_order(sigma_sampler(5), 2), r"make: expected a function make\(N\), got the Sampler"),
        (lambda: asserts.assert_bookkeeping(fixed(1.0), rm.EstimatedScore(Gaussian([0.0], [1.0]))), "target: "),
        (lambda: asserts.assert_bookkeeping(lambda n: fixed(1.0), steps=0), "steps: "),
    ],
)
def test_what_is_no_argument_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_code_that_cannot_be_read_is_no_failed_assert():
    def clipped(model, x, noise):
        return np.clip(x - model(x, 1.0), -1, 1)

    with pytest.raises(Unreadable, match="clipped"):
        asserts.assert_law(Sampler(clipped), None, 0.1)


def test_estimated_and_guided_models_are_targets():
    target = Gaussian([1.0], [0.5])
    guided = rm.targets.Guided(target, Gaussian([0.0], [2.0]), 3.0)
    for model in (rm.EstimatedScore(target, gain=0.2), guided):
        asserts.assert_law(sigma_sampler(64, most=200.0), target, 0.1)
        said = failure(lambda m=model: asserts.assert_law(sigma_sampler(64, most=200.0), m, 0.05))
        assert type(model).__name__ in said


@fact
def test_default_targets_hide_nothing():
    for target in defaults.default_targets().values():
        assert target.variances.size > 1
        assert np.ptp(np.log(target.variances)) > 1
        assert (np.abs(np.log(target.variances)) > 0.1).all()
        assert (np.abs(target.means) > 0.1).all()
        assert np.unique(target.means).size == target.means.size
    assert [t.basis is not None for t in default_targets().values()].count(True) == 1


def test_the_names_of_the_room():
    testing = importlib.import_module("rmverify.testing")
    assert sorted(testing.__all__) == sorted(asserts.__all__) == dir(testing)
    for name in testing.__all__:
        assert getattr(testing, name) is getattr(asserts, name)
    with pytest.raises(AttributeError, match="no attribute 'assert_nothing'"):
        _ = testing.assert_nothing


def test_long_facts_are_wrapped():
    said = text.report("x" * 200, [("a", "y " * 90), ("longer", 1.5)], text.table(["N"], [[1], [20]]))
    assert max(map(len, said.splitlines())) <= 76
    assert said.endswith("\n\n   N\n   1\n  20")


# --- the plugin -----------------------------------------------------------------------------------------------------


HEAVY = ("numpy", "scipy", "sympy", "mpmath", "flint", "rich", "hypothesis", "array_api_compat", "rmverify.samplers")


def pytest_in(folder, *options):
    """A pytest run of somebody who has nothing but our plugin."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_plugin_imports_nothing_heavy(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\ndef test_light():\n"
        "    assert 'rmverify.testing.plugin' in sys.modules\n"
        f"    assert [name for name in {HEAVY!r} if name in sys.modules] == []\n"
    )
    done = pytest_in(tmp_path, "-p", "rmverify.testing.plugin", "--strict-markers")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_fixture_is_every_default_target(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef dim(rmverify_target):\n    return rmverify_target.dim\n\n"
        "def test_mine(dim):\n    assert dim > 1\n\ndef test_other():\n    pass\n"
    )
    done = pytest_in(tmp_path, "-vv", "-p", "rmverify.testing.plugin")
    assert f"{len(default_targets()) + 1} passed" in done.stdout, done.stdout + done.stderr
    for name in default_targets():
        assert f"test_mine[{name}]" in done.stdout


def test_the_plugin_that_is_declared_exists():
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
        [(name, module)] = tomllib.load(file)["project"]["entry-points"]["pytest11"].items()
    plugin = importlib.import_module(module)
    assert name == "rmverify"
    assert {n for n in vars(plugin) if n.startswith("pytest_")} == {"pytest_generate_tests"}


# --- mutants --------------------------------------------------------------------------------------------------------


def cases():
    """Those whose facts are slow."""
    for mutant in mutants.LINES:
        marks = [mark for mark in getattr(FACTS[mutant.killed_by], "pytestmark", []) if mark.name == "slow"]
        yield pytest.param(mutant, id=mutant.name, marks=marks)


@pytest.mark.parametrize("mutant", list(cases()))
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, LookupError, ValueError, TypeError, AttributeError)):
        FACTS[mutant.killed_by]()


def test_every_fact_has_its_mutants():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)
