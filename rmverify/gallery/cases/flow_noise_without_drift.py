r"""Noise in every step of a flow, without the drift that takes it out again.

The processes dx = (v - w score/2) dt + sqrt(w) dB, in the direction of falling t, all have the marginals of the flow.
With w = t and score = -eps/t, eps = x + (1 - t) v,

    x' = x - d v - d eps/2 + sqrt(t d) z.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.paths import Flow
from rmverify.samplers import Sampler


def stochastic(n, drift):
    def run(model, x, noise):
        levels = np.linspace(1, 0.02, n + 1)
        for t, t_next in pairwise(levels):
            d, v = t - t_next, model(x, t)
            x = x - d * v - d * drift * (x + (1 - t) * v) / 2 + np.sqrt(t * d) * noise()
        return x

    return Sampler(run, path=Flow(), predicts="flow", end=0.02)


CASE = Case(
    title="Flow matching: noise without its drift",
    reports=("zea#551",),
    told="Langevin noise was added on top of the Euler step without the matching drift correction, so that the sampler "
    "did not share the marginals of the flow",
    wrong=lambda n: stochastic(n, 0),
    right=lambda n: stochastic(n, 1),
    check=Order(1),
    at=100,
)
