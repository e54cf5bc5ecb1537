r"""Positions exact, temperature far off: it depends on where in the step the velocity is read, and is no fault.

    B: v += h/2 s(x)      A: x += h/2 v      O: v = e^-h v + sqrt(1 - e^-2h) z

in the order B A O A B. On N(0, 1) the variance of x is 1 at every h, and that of v at the end 1 - h^2/4. Before the
last half-kick it is 1: the same positions, read as a leapfrog, have the right temperature.
"""

import numpy as np

from rmverify.gallery.case import Case, moments
from rmverify.gallery.checks import Exact
from rmverify.samplers import Kernel
from rmverify.targets import Gaussian


def middle(x, v, h, noise):
    x = x + h / 2 * v
    v = np.exp(-h) * v + np.sqrt(1 - np.exp(-2 * h)) * noise()
    return x + h / 2 * v, v


def baoab(h):
    def step(state, gradient, noise):
        x, v = state
        x, v = middle(x, v + h / 2 * gradient(x), h, noise)
        return x, v + h / 2 * gradient(x)

    return Kernel(step, init=lambda x, noise: (x, 0 * x))


def leapfrog(h):
    def step(state, gradient, noise):
        x, v = state
        return middle(x, v + h * gradient(x), h, noise)

    return Kernel(step, init=lambda x, noise: (x, 0 * x))


def positions():
    standard = Gaussian([0.0], [1.0])
    return {f"variance of x, h = 1, {of.__name__}": float(moments(of(1.0), standard)[1][0]) for of in (baoab, leapfrog)}


CASE = Case(
    title="BAOAB: positions excellent, kinetic energy terrible",
    reports=("openmm#2532", "openmm#2561"),
    told="potential energies are excellent even at large steps, but kinetic energies are terrible; the integrator "
    "became LangevinMiddleIntegrator, with velocities at half-steps",
    wrong=baoab,
    right=leapfrog,
    check=Exact(1.0, "variance of v on N(0, 1), h = 1", component=1),
    at=0.5,
    also=positions,
)
