r"""Friction per step where noise is per unit of time: stochastic gradient HMC with one h too few.

    v' = v + h grad ln p(x) - h C v + sqrt(2 C h) z,       x' = x + h v'.

With -C v the friction is 1/h times what the noise balances, and the variance of v about h: the temperature, and with
it that of x.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.samplers import Kernel
from rmverify.targets import Gaussian


def sghmc(h, friction, C=0.5):
    def step(state, gradient, noise):
        x, v = state
        v = v + h * gradient(x) - friction(h) * C * v + np.sqrt(2 * C * h) * noise()
        return x + h * v, v

    return Kernel(step, init=lambda x, noise: (x, 0 * x))


CASE = Case(
    title="SGHMC: friction without the step",
    reports=("pybnn#4",),
    told="a learning rate is missing in the friction term of the momentum, and a factor of the friction in the noise",
    wrong=lambda h: sghmc(h, lambda h: 1.0),
    right=lambda h: sghmc(h, lambda h: h),
    check=Order(1, 0.01, 0.005, Gaussian([0.0], [1.0])),
    at=0.01,
)
