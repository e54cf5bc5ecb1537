r"""A factor of 2 in the speed of the noise level.

On x_t = c(t) (x_0 + s(t) eps), the flow to the data is dx/dt = (c'/c) x - c^2 s s' score. In VP, with B' = beta,

    c = e^(-B/2),   s = sqrt(e^B - 1),   c'/c = -beta/2,  s' = beta e^B/(2 s).

Without the 2 noise goes twice as fast as the clock says. (The report has a factor of 2, and not on which side.)
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.paths import VP
from rmverify.samplers import Sampler


def euler(n, factor):
    def run(model, x, noise):
        times = np.linspace(1, 0.05, n + 1)
        for t, t_next in pairwise(times):
            beta, B = 0.1 + 19.9 * t, 0.1 * t + 19.9 * t**2 / 2
            c, s = np.exp(-B / 2), np.sqrt(np.expm1(B))
            speed = factor * beta * np.exp(B) / s
            x = x + (t_next - t) * (-beta / 2 * x - c**2 * s * speed * model(x, t))
        return x

    return Sampler(run, path=VP(beta=(0.1, 20.0)), predicts="score", end=0.05)


CASE = Case(
    title="VP diffusion: a factor of 2 in sigma'",
    reports=("deepinv#1343",),
    told="sigma_prime_t was incorrect for VP, missing a factor of 2; unconditional sampling never converges",
    wrong=lambda n: euler(n, 1.0),
    right=lambda n: euler(n, 0.5),
    check=Order(1),
    at=100,
)
