r"""DDPM with fewer steps than it was trained with, whose previous timestep is t - 1 all the same.

    x_0 = (x - sqrt(1 - a) eps)/sqrt(a)
    x'  = sqrt(b) (1 - a/b)/(1 - a) x_0 + sqrt(a/b) (1 - b)/(1 - a) x
          + sqrt((1 - b) (1 - a/b)/(1 - a)) z

a at timestep t, and b where the next step starts, t - 1000/N: with b at t - 1 almost all of the noise stays.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.cases.ddpm_trailing import ddpm
from rmverify.gallery.checks import Bookkeeping
from rmverify.gallery.schedules import SD


def leading(n):
    return (np.arange(n) * (1000 // n))[::-1]


CASE = Case(
    title="DDPM: t - 1 for the previous timestep of a shorter list",
    reports=("diffusers#2076",),
    told="with fewer steps than in training the previous timestep was taken as t - 1; the image is just noise",
    wrong=lambda n: ddpm(leading(n), leading(n) - 1),
    right=lambda n: ddpm(leading(n), leading(n) - 1000 // n),
    check=Bookkeeping(100, SD.timestep),
    at=100,
)
