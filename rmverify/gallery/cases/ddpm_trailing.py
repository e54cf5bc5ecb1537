r"""DDPM with "trailing" timesteps steps to t - 1000//N, and asks the model next at another timestep.

With a = alpha^2 at t, b = alpha^2 at the previous timestep of the list, and a model of eps,

    x_0 = (x - sqrt(1 - a) eps)/sqrt(a)
    x'  = sqrt(b) (1 - a/b)/(1 - a) x_0 + sqrt(a/b) (1 - b)/(1 - a) x
          + sqrt((1 - b) (1 - a/b)/(1 - a)) z
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Bookkeeping
from rmverify.gallery.schedules import SD
from rmverify.samplers import Sampler

SQUARES = SD.alphas_cumprod


def ddpm(timesteps, previous):
    def run(model, x, noise):
        for t, t_next in zip(timesteps, previous, strict=True):
            a, b = SQUARES[t], SQUARES[t_next] if t_next >= 0 else 1.0
            x_0 = (x - np.sqrt(1 - a) * model(x, t)) / np.sqrt(a)
            mean = np.sqrt(b) * (1 - a / b) / (1 - a) * x_0 + np.sqrt(a / b) * (1 - b) / (1 - a) * x
            x = mean + np.sqrt((1 - b) * (1 - a / b) / (1 - a)) * noise()
        return x

    return Sampler(run, path=SD, predicts="eps")


def trailing(n):
    return np.round(np.arange(1000, 0, -1000 / n)).astype(int) - 1


CASE = Case(
    title='DDPM: the previous timestep of "trailing" spacing',
    reports=("diffusers#9261", "diffusers#9384"),
    told="previous_timestep is t - 1000//N, which is not the next of the list unless N divides 1000: with N = 13 it is "
    "923 where the model is asked at 922",
    wrong=lambda n: ddpm(trailing(n), trailing(n) - 1000 // n),
    right=lambda n: ddpm(trailing(n), np.append(trailing(n)[1:], -1)),
    check=Bookkeeping(13, SD.timestep),
    at=13,
)
