r"""Langevin noise with the standard deviation h where its variance is h.

    x' = x + h/2 grad ln p(x) + sqrt(h) z

is stochastic gradient Langevin dynamics with an exact gradient; on N(0, 1) it keeps the variance 1/(1 - h/4). With h z
it keeps h times that, a walk that has almost stopped at the mode.
"""

import numpy as np

from rmverify.gallery.case import Case, moments
from rmverify.gallery.checks import Order
from rmverify.samplers import Kernel
from rmverify.targets import Gaussian

STANDARD = Gaussian([0.0], [1.0])


def langevin(h, deviation):
    def step(x, gradient, noise):
        return x + h / 2 * gradient(x) + deviation(h) * noise()

    return Kernel(step)


def as_reported(h):
    return langevin(h, lambda h: h)


def corrected(h):
    return langevin(h, np.sqrt)


def variances():
    pair = {"fault": as_reported, "correction": corrected}
    return {f"variance, {name}": float(moments(of(0.01), STANDARD)[1][0]) for name, of in pair.items()}


CASE = Case(
    title="SGLD: the noise is h z, not sqrt(h) z",
    reports=("edward#722", "edward#731"),
    told="the variance of the injected noise should be the learning rate, and the scale that is given is a standard "
    "deviation",
    wrong=as_reported,
    right=corrected,
    check=Order(1, 0.01, 0.005, STANDARD),
    at=0.01,
    also=variances,
)
