r"""Noise that is removed and noise that is added, computed so that rounding makes the first negative.

    up^2 = t^2 (s^2 - t^2)/s^2,       down^2 = t^2 - up^2
    x' = x + (down - s) (x - x_0)/s + up z                  from s to t

In exact arithmetic down = t^2/s. In float32, with s = 2e4 and t far below, up can come out larger than t: at which N
depends on the last bits of the schedule.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Finite
from rmverify.paths import VE
from rmverify.samplers import Sampler


def cosine_sigmas(n):
    """Of the cosine schedule with beta at most 0.999, at n timesteps, in float32, with 0 at the end."""
    ends = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    betas = np.minimum(1 - ends[1:] / ends[:-1], 0.999).astype(np.float32)
    squares = np.cumprod(1 - betas, dtype=float).astype(np.float32)
    sigmas = np.interp(np.linspace(999, 0, n), np.arange(1000), np.sqrt((1 - squares) / squares))
    return np.append(sigmas, 0.0).astype(np.float32)


def ancestral(n, down_of):
    def run(model, x, noise):
        sigmas = cosine_sigmas(n)
        x = x * float(sigmas[0])
        for s, t in pairwise(sigmas):
            up = np.sqrt(t**2 * (s**2 - t**2) / s**2)
            down = down_of(s, t, up)
            x = x + float((down - s) / s) * (x - model(x, float(s))) + float(up) * noise()
        return x

    return Sampler(run, path=VE(), predicts="x0")


CASE = Case(
    title="Euler ancestral: NaN in float32 on the cosine schedule",
    reports=("diffusers#14213",),
    told="in float32 sigma_up comes out fractionally larger than sigma_to, and the square root of "
    "sigma_to^2 - sigma_up^2 is NaN",
    wrong=lambda n: ancestral(n, lambda s, t, up: np.sqrt(t**2 - up**2)),
    right=lambda n: ancestral(n, lambda s, t, up: t**2 / s),
    check=Finite(range(4, 16)),
    at=50,
)
