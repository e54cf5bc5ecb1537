r"""A correction that is none: one more learning rate in the friction of stochastic gradient HMC.

    v' = (1 - a) v + h grad ln p(x) + sqrt(2 a h) z,       x' = x + v'

(Chen, Fox and Guestrin 2014, equation 15) has the displacement of a step for its v, of variance h, so that friction a
balances noise 2 a h. With friction h a, which is right for a velocity, the noise is 1/h times too much for it.
"""

import numpy as np

from rmverify.gallery.case import Case, moments
from rmverify.gallery.checks import Order
from rmverify.samplers import Kernel
from rmverify.targets import Gaussian

STANDARD = Gaussian([0.0], [1.0])


def sghmc(h, friction, a=0.05):
    def step(state, gradient, noise):
        x, v = state
        v = v - friction(h, a) * v + h * gradient(x) + np.sqrt(2 * a * h) * noise()
        return x + v, v

    return Kernel(step, init=lambda x, noise: (x, 0 * x))


def as_proposed(h):
    return sghmc(h, lambda h, a: h * a)


def as_it_was(h):
    return sghmc(h, lambda h, a: a)


def variances():
    pair = {"proposal": as_proposed, "code": as_it_was}
    return {f"variance, {name}": float(moments(of(0.01), STANDARD)[1][0]) for name, of in pair.items()}


CASE = Case(
    title="SGHMC: a learning rate that is not missing in the friction",
    reports=("pybnn#4",),
    told="is a learning rate missing in the friction term of the momentum? the answer is yes; as read at 626062d the "
    "code has no learning rate in x' = x + v' either",
    wrong=as_proposed,
    right=as_it_was,
    check=Order(1, 0.01, 0.005, STANDARD),
    at=0.01,
    also=variances,
)
