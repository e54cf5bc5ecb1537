r"""DDIM whose last step ends at alpha^2 of the first timestep, and not at 1.

    x' = sqrt(b) x_0 + sqrt(1 - b) eps,       b = alpha^2 where the step ends

The data are at b = 1; as reported the list ends with alphas_cumprod[0] = 0.99915.

Where the data do not vary, 1 - b is what stays. (Some models are configured so on purpose, `set_alpha_to_one=False`.)
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Left
from rmverify.gallery.schedules import SD
from rmverify.samplers import Sampler


def ddim(n, last):
    def run(model, x, noise):
        timesteps = (np.arange(n) * (1000 // n) + 1)[::-1]
        squares = np.append(SD.alphas_cumprod[timesteps], last)
        for t, a, b in zip(timesteps, squares[:-1], squares[1:], strict=True):
            eps = model(x, t)
            x = np.sqrt(b) * (x - np.sqrt(1 - a) * eps) / np.sqrt(a) + np.sqrt(1 - b) * eps
        return x

    return Sampler(run, path=SD, predicts="eps")


CASE = Case(
    title="DDIM: alphas_prev starts at alphas_cumprod[0], not at 1",
    reports=("ControlNet#587", "stablediffusion#345"),
    told="alphas_prev should start with 1; it starts with alphacums[0], which leaves noise in the output",
    wrong=lambda n: ddim(n, SD.alphas_cumprod[0]),
    right=lambda n: ddim(n, 1.0),
    check=Left(50),
    at=50,
)
