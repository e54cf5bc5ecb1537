r"""DDIM with "linspace" timesteps steps by 1000//N where the list steps by 999/(N-1).

With a = alpha^2 at t and b = alpha^2 where the step ends,

    x_0 = (x - sqrt(1 - a) eps)/sqrt(a),   x' = sqrt(b) x_0 + sqrt(1 - b) eps.

The corrected code has the larger error at the end: longer steps. Only the bookkeeping tells which one is wrong.
"""

import numpy as np

from rmverify.gallery.case import Case, moments
from rmverify.gallery.checks import Bookkeeping
from rmverify.gallery.schedules import SD
from rmverify.samplers import Sampler
from rmverify.targets import Gaussian

SQUARES = SD.alphas_cumprod


def ddim(timesteps, previous):
    def run(model, x, noise):
        for t, t_next in zip(timesteps, previous, strict=True):
            a, b = SQUARES[t], SQUARES[t_next] if t_next >= 0 else 1.0
            eps = model(x, t)
            x = np.sqrt(b) * (x - np.sqrt(1 - a) * eps) / np.sqrt(a) + np.sqrt(1 - b) * eps
        return x

    return Sampler(run, path=SD, predicts="eps")


def linspace(n):
    return np.linspace(0, 999, n).round()[::-1].astype(int)


def wrong(n):
    return ddim(linspace(n), linspace(n) - 1000 // n)


def right(n):
    return ddim(linspace(n), np.append(linspace(n)[1:], -1))


def at_the_end():
    target = Gaussian([0.0], [0.25])
    pair = {"fault": wrong, "correction": right}
    return {f"variance error, {name}": float(moments(of(10), target)[1][0]) / 0.25 - 1 for name, of in pair.items()}


CASE = Case(
    title='DDIM: the previous timestep of "linspace" spacing',
    reports=("diffusers#12633", "diffusers#11347"),
    told="step() computes prev_timestep = timestep - 1000//N, which does not match the list of set_timesteps",
    wrong=wrong,
    right=right,
    check=Bookkeeping(10, SD.timestep),
    at=10,
    also=at_the_end,
)
