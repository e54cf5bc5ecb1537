r"""The larger of DDPM's two variances, looked up at timestep t where timesteps are skipped.

    x' = sqrt(b) (1 - a/b)/(1 - a) x_0 + sqrt(a/b) (1 - b)/(1 - a) x
         + sqrt(v) z
    v  = 1 - a/b

A learned variance lies between (1 - b)/(1 - a) v and v. Where the data are N(0, 1), v is right and every marginal is
N(0, 1), at any N. The table's beta_t is v for b at t - 1 only.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.cases.ddpm_skipped_timesteps import leading
from rmverify.gallery.checks import Exact
from rmverify.gallery.schedules import SD
from rmverify.samplers import Sampler

SQUARES = SD.alphas_cumprod


def ddpm_large(n, variance):
    timesteps = leading(n)

    def run(model, x, noise):
        for t, t_next in pairwise(timesteps):
            a, b = SQUARES[t], SQUARES[t_next]
            x_0 = (x - np.sqrt(1 - a) * model(x, t)) / np.sqrt(a)
            x = np.sqrt(b) * (1 - a / b) / (1 - a) * x_0 + np.sqrt(a / b) * (1 - b) / (1 - a) * x
            x = x + np.sqrt(variance(t, a, b)) * noise()
        return x

    return Sampler(run, path=SD, predicts="eps", end=0)


CASE = Case(
    title="DDPM, learned variance: the wrong beta when timesteps are skipped",
    reports=("diffusers#3006",),
    told="when skipping timesteps, self.betas[t] is the wrong beta",
    wrong=lambda n: ddpm_large(n, lambda t, a, b: 1 - a / SQUARES[t - 1]),
    right=lambda n: ddpm_large(n, lambda t, a, b: 1 - a / b),
    check=Exact(25, "output variance on N(0, 1), N = 25"),
    at=25,
)
