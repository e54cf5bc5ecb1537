r"""An option that has no effect: "lower order at the last step", where the number of steps is even.

DPM-Solver++ in data prediction, lambda = -log s. Steps of order 1 and 2, the second from the level r before the last,

    x' = (s'/s) x + (1 - s'/s) x_0
    x' = (s'/r) x_r + (1 - s'/r) D
    D  = x_0(r) + (x_0(s) - x_0(r)) log(r/s')/(2 log(r/s))

take turns. With an even N the last has order 2 unless it is replaced.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Changes
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def singlestep(n, orders):
    def run(model, x, noise):
        sigmas = geometric(n)
        x = x * sigmas[0]
        for s, s_next, order in zip(sigmas[:-1], sigmas[1:], orders, strict=True):
            x_0 = model(x, s)
            if order == 1:
                r, x_r, x_0_r = s, x, x_0
                x = s_next / s * x + (1 - s_next / s) * x_0
            else:
                slope = (x_0 - x_0_r) * np.log(r / s_next) / (2 * np.log(r / s))
                x = s_next / r * x_r + (1 - s_next / r) * (x_0_r + slope)
        return x

    return Sampler(run, path=VE(), predicts="x0", end=geometric(n)[-1])


def as_reported(n, option=True):
    return singlestep(n, [1, 2] * (n // 2) + [1] * (n % 2))


def corrected(n, option=True):
    orders = [1, 2] * (n // 2) + [1] * (n % 2)
    return singlestep(n, [*orders[:-1], 1] if option else orders)


CASE = Case(
    title="DPM-Solver++ singlestep: lower_order_final does nothing for even N",
    reports=("diffusers#6953",),
    told="lower_order_final=True and lower_order_final=False have exactly the same result for an even number of steps",
    wrong=as_reported,
    right=corrected,
    check=Changes(20, "what the option changes of the variances"),
)
