r"""Two stages of one step that do not share their Brownian motion: the second order is gone, and no image shows it.

The reverse process from s to t is x_t = (t/s)^2 x_s + ... + noise of variance t^2 (1 - t^2/s^2). The stage at s_0,
between s_1 and t, has a part of that noise: with W(s) of variance s^-2, stage and step are

    s_0^2 (W(s_0) - W(s_1)),       t^2 (W(t) - W(s_1)).

Drawn from one W the scheme has order 2 in law; with a fresh draw for each, the marginal of either is right and the
order is 1.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def sde_2s(n, shared):
    def run(model, x, noise):
        sigmas = geometric(2 * (n // 2))
        x = x * sigmas[0]
        for s_1, s_0, t in zip(sigmas[:-2:2], sigmas[1:-1:2], sigmas[2::2], strict=True):
            first = np.sqrt(s_0**-2 - s_1**-2) * noise()
            if shared:
                whole = first + np.sqrt(t**-2 - s_0**-2) * noise()
            else:
                whole = np.sqrt(t**-2 - s_1**-2) * noise()
            x_0 = model(x, s_1)
            y = (s_0 / s_1) ** 2 * x + (1 - (s_0 / s_1) ** 2) * x_0 + s_0**2 * first
            y_0, ratio = model(y, s_0), t / s_1
            data = x_0 + (y_0 - x_0) * np.log(ratio) / (2 * np.log(s_0 / s_1))
            x = ratio**2 * x + (1 - ratio**2) * data + t**2 * whole
        return x

    return Sampler(run, path=VE(), predicts="x0", end=geometric(2)[-1])


CASE = Case(
    title="SDE-DPM-Solver++ singlestep: independent noise in its two stages",
    reports=("diffusers#8269",),
    told="the variant was accepted by comparing images; that its stages draw separately is read from the code of "
    "diffusers at 0648ee2, and is no report",
    wrong=lambda n: sde_2s(n, shared=False),
    right=lambda n: sde_2s(n, shared=True),
    check=Order(2),
    at=40,
)
