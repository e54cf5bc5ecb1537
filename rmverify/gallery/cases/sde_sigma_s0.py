r"""A step over two levels whose first factor is that of one: s_0 where s_1 is due.

SDE-DPM-Solver++ (2S), from s_1 over s_0 to t, with h = log(s_1/t), x_0 and y_0 the data predicted at s_1 and s_0:

    x_t = (t/s_1) e^-h x_1 + (1 - e^-2h) D + t sqrt(1 - e^-2h) z
    D   = x_0 + (y_0 - x_0) h/(2 log(s_1/s_0))

With t/s_0 in its place the step does not become the identity as h -> 0, so that no number of steps is enough.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def sde_2s(n, factor):
    def run(model, x, noise):
        sigmas = geometric(2 * (n // 2))
        x = x * sigmas[0]
        for s_1, s_0, t in zip(sigmas[:-2:2], sigmas[1:-1:2], sigmas[2::2], strict=True):
            x_0, z_0 = model(x, s_1), noise()
            y = (s_0 / s_1) ** 2 * x + (1 - (s_0 / s_1) ** 2) * x_0 + s_0 * np.sqrt(1 - (s_0 / s_1) ** 2) * z_0
            y_0, ratio = model(y, s_0), t / s_1
            data = x_0 + (y_0 - x_0) * np.log(ratio) / (2 * np.log(s_0 / s_1))
            x = factor(t, s_0, s_1) * ratio * x + (1 - ratio**2) * data + t * np.sqrt(1 - ratio**2) * noise()
        return x

    return Sampler(run, path=VE(), predicts="x0", end=geometric(2)[-1])


CASE = Case(
    title="SDE-DPM-Solver++ singlestep: sigma_s0 or sigma_s1?",
    reports=("diffusers#8269", "diffusers#4251"),
    told="it was uncertain whether sigma_s0 or sigma_s1 belongs in the second-order update; both were tried, two "
    "images compared and sigma_s1 chosen, which the method's author confirmed",
    wrong=lambda n: sde_2s(n, lambda t, s_0, s_1: t / s_0),
    right=lambda n: sde_2s(n, lambda t, s_0, s_1: t / s_1),
    check=Order(1),
    at=40,
)
