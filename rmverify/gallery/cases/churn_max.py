r"""max for min in the amount of churn: noise is added and removed in every step, where none was asked for.

    g = min(churn/N, sqrt(2) - 1),     u = s (1 + g)
    y = x + sqrt(u^2 - s^2) z
    x' = y + (s' - u) (y - x_0)/u

With max every step goes from 1.41 s to s', however many there are: the steps never become short.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def euler(n, bound, churn=0.0):
    def run(model, x, noise):
        sigmas = geometric(n)
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            up = s * (1 + bound(churn / n, np.sqrt(2) - 1))
            if up > s:
                x = x + np.sqrt(up**2 - s**2) * noise()
            x = x + (s_next - up) * (x - model(x, up)) / up
        return x

    return Sampler(run, path=VE(), predicts="x0", end=geometric(2)[-1])


CASE = Case(
    title="Euler with churn: max for min",
    reports=("ComfyUI#13820", "Euler-Smea-Dyn-Sampler#11"),
    told="gamma = max(s_churn/N, sqrt(2) - 1), where all other samplers have min; striped noise in images",
    wrong=lambda n: euler(n, max),
    right=lambda n: euler(n, min),
    check=Order(1),
    at=40,
)
