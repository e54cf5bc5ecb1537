"""Solvers of diffrax and SciPy along the probability flow: fixed steps are read, adaptive ones refused."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from libraries import library
from scipy.integrate import solve_ivp

from rmverify import Gaussian, adapters, paths
from rmverify.samplers import Unreadable

LAM, MEAN = np.array([0.3, 1.5, 4.0]), np.array([0.5, -0.3, 0.0])
TARGET = Gaussian(MEAN, LAM)


def flow(N):
    return np.linspace(1, 0, N + 1)


def relative(levels):
    """An Euler step of rectified flow multiplies the relative standard deviation by cos(theta - theta')."""
    theta = np.arctan2(levels[:, None], (1 - levels[:, None]) * np.sqrt(LAM))
    return np.prod(np.cos(theta[:-1] - theta[1:]), axis=0)


@pytest.fixture(scope="module")
def diffrax():
    library("jax")
    return library("diffrax")


def of(diffrax, solver, **options):
    def solve(f, x, levels):
        step = (levels[-1] - levels[0]) / (len(levels) - 1)
        term = diffrax.ODETerm(lambda t, y, args: f(t, y))
        return diffrax.diffeqsolve(term, solver, levels[0], levels[-1], step, x, **options).ys[-1]

    return adapters.ode(solve, paths.Flow(), levels=flow, like="jax", name=type(solver).__name__)


def test_euler_of_diffrax_is_a_product_of_cosines(diffrax):
    reading = of(diffrax, diffrax.Euler())(8).read(TARGET)
    assert reading.law().variances == pytest.approx(relative(flow(8)) ** 2 * LAM, rel=1e-10)
    assert [call.level for call in reading.calls] == pytest.approx(flow(8)[:-1].tolist())


@pytest.mark.slow
@pytest.mark.parametrize("name, order, evaluations", [("Heun", 2, 16), ("Bosh3", 3, 25)])
def test_orders_of_diffrax(diffrax, name, order, evaluations):
    family = of(diffrax, getattr(diffrax, name)())
    errors = []
    for N in (8, 16):
        reading = family(N).read(Gaussian([0.0], [1.5]))
        assert N > 8 or reading.evaluations == evaluations
        errors.append(abs(reading.law().variances[0] / 1.5 - 1))
    assert all(order - 0.4 < math.log2(a / b) < order + 0.6 for a, b in pairwise(errors)), errors


@pytest.mark.slow
def test_adaptive_steps_of_diffrax_are_refused(diffrax):
    adaptive = of(diffrax, diffrax.Heun(), stepsize_controller=diffrax.PIDController(rtol=1e-2, atol=1e-2))
    with pytest.raises(Unreadable):
        adaptive(8).read(TARGET)


def of_scipy(method, fixed):
    def solve(f, x, levels):
        h = abs(levels[1] - levels[0])
        options = {"first_step": h, "max_step": h, "rtol": 1.0, "atol": 1e200} if fixed else {}
        found = solve_ivp(
            lambda t, y: f(t, y.reshape(x.shape)).ravel(), levels[[0, -1]], x.ravel(), method=method, **options
        )
        return found.y[:, -1].reshape(x.shape)

    return solve


def test_scipy_with_fixed_steps_is_of_its_order():
    family = adapters.ode(of_scipy("RK23", True), paths.OU(), levels=lambda N: np.linspace(3, 1, N + 1))
    errors = []
    for N in (16, 32, 64):
        reading = family(N).read(TARGET)
        assert reading.evaluations == pytest.approx(3 * N + 1, abs=3)  # the last step may be a rounding's
        after = np.exp(-2 * 3.0) * LAM - np.expm1(-2 * 3.0)
        start = -np.expm1(-2 * 3.0) / after
        errors.append(np.abs(reading.law().variances / (start * reading.wanted.variances) - 1).max())
    assert all(2.6 < math.log2(a / b) < 3.4 for a, b in pairwise(errors)), errors


@pytest.mark.parametrize("method", ["RK23", "RK45"])
def test_scipy_with_steps_of_its_own_is_refused(method):
    family = adapters.ode(of_scipy(method, False), paths.OU(), levels=lambda N: np.linspace(3, 0.01, N + 1))
    with pytest.raises(Unreadable):
        family(8).read(TARGET)
