r"""One sampler, two sources of noise: its order is 2 with increments of one Brownian motion, and 1 with fresh draws.

DPM++ SDE of k-diffusion takes an ancestral half-step to r = sqrt(s t) and an ancestral step from s to t with the data
predicted at r. Ancestral means, with up^2 = t^2 (1 - t^2/s^2) and down = t^2/s,

    x' = (down/s) x + (1 - down/s) x_0 + up z,

and the z of half-step and step are increments of one W over [r, s] and [t, s], divided by their standard deviations.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def dpmpp_sde(n, brownian):
    def ancestral(x, x_0, s, t, z):
        return (t / s) ** 2 * x + (1 - (t / s) ** 2) * x_0 + t * np.sqrt(1 - (t / s) ** 2) * z

    def run(model, x, noise):
        sigmas = geometric(n)
        x = x * sigmas[0]
        for s, t in pairwise(sigmas):
            r, half, rest = np.sqrt(s * t), noise(), noise()
            both = (np.sqrt(s - r) * half + np.sqrt(r - t) * rest) / np.sqrt(s - t)
            y = ancestral(x, model(x, s), s, r, half)
            x = ancestral(x, model(y, r), s, t, both if brownian else rest)
        return x

    return Sampler(run, path=VE(), predicts="x0", end=geometric(2)[-1])


CASE = Case(
    title="DPM++ SDE with plain draws for the Brownian tree",
    reports=("diffusers#1889", "k-diffusion#59"),
    told='"theoretically speaking" the SDE variant in k-diffusion is not correct, says the author of DPM-Solver; here '
    "its marginals are right, and with the Brownian tree its order is 2",
    wrong=lambda n: dpmpp_sde(n, brownian=False),
    right=lambda n: dpmpp_sde(n, brownian=True),
    check=Order(2),
    at=40,
)
