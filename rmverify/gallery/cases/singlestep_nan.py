r"""Third order, 3n - 1 steps, and the last one to sigma = 0: a second-order update with log 0 in it.

Steps of order 1, 2, 3 take turns, all from the level q at which the turn began (h = log(q/s')):

    x' = (s'/q) x_q + (1 - s'/q) x_0(q) + c D
    D  = (x_0(s) - x_0(q)) h/log(q/s)
    c  = (1 - s'/q)/2 for order 2, 1 - (1 - s'/q)/h for order 3

With s' = 0, h is infinite: only order 1 can end there. The list of orders allowed for it at N = 3n and 3n + 1 alone.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Finite
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def singlestep(n, orders):
    def run(model, x, noise):
        sigmas = np.append(geometric(n - 1), 0.0)
        x = x * sigmas[0]
        for s, s_next, order in zip(sigmas[:-1], sigmas[1:], orders, strict=True):
            x_0 = model(x, s)
            if order == 1:
                q, x_q, x_0_q = s, x, x_0
            ratio = s_next / q
            x = ratio * x_q + (1 - ratio) * x_0_q
            if order > 1:
                h = -np.log(ratio)
                D = (x_0 - x_0_q) * h / np.log(q / s)
                x = x + ((1 - ratio) / 2 if order == 2 else 1 - (1 - ratio) / h) * D
        return x

    return Sampler(run, path=VE(), predicts="x0")


def as_reported(n):
    turns = [1, 2, 3] * (n // 3)
    return singlestep(n, ([*turns[:-2], 2, 1], [*turns, 1], [*turns, 1, 2])[n % 3])


def corrected(n):
    turns = [1, 2, 3] * (n // 3)
    return singlestep(n, ([*turns[:-2], 2, 1], [*turns, 1], [*turns, 1, 1])[n % 3])


CASE = Case(
    title="DPM-Solver++ singlestep, order 3: NaN for N = 3n - 1",
    reports=("diffusers#9007", "diffusers#9104"),
    told="with solver_order=3 and 3n - 1 steps the last step is a second-order update at sigma = 0: NaN, black images",
    wrong=as_reported,
    right=corrected,
    check=Finite(range(6, 16)),
    at=12,
)
