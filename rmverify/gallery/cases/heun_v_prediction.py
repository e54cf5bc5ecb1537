r"""Heun's second stage converts the model's answer with the level it came from, not the one it is at.

With v = alpha eps - sigma x_0 and s = sigma/alpha, data and slope of dx/ds = (x - x_0)/s are

    x_0 = x/(1 + s^2) - v s/sqrt(1 + s^2),    x' = x + (s' - s)/2 (d_1 + d_2),

with d_1 at (x, s) and d_2 at (x + (s' - s) d_1, s'). Where the model predicts eps, d = eps whatever s says.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.gallery.schedules import VP_BY_SIGMA, geometric
from rmverify.samplers import Sampler


def heun(n, second_level):
    def slope(v, x, s):
        x_0 = x / (1 + s**2) - v * s / np.sqrt(1 + s**2)
        return (x - x_0) / s

    def run(model, x, noise):
        sigmas = geometric(n)
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            d_1 = slope(model(x / np.sqrt(1 + s**2), s), x, s)
            x_2 = x + (s_next - s) * d_1
            d_2 = slope(model(x_2 / np.sqrt(1 + s_next**2), s_next), x_2, second_level(s, s_next))
            x = x + (s_next - s) * (d_1 + d_2) / 2
        return x / np.sqrt(1 + s_next**2)

    return Sampler(run, path=VP_BY_SIGMA, predicts="v", end=geometric(n)[-1])


CASE = Case(
    title="Heun: the second stage uses the first stage's sigma",
    reports=("diffusers#1512",),
    told="the second stage should use sigma_next and used sigma_hat; epsilon prediction does not show it, v-prediction "
    "gives noisy images",
    wrong=lambda n: heun(n, lambda s, s_next: s),
    right=lambda n: heun(n, lambda s, s_next: s_next),
    check=Order(2),
    at=40,
)
