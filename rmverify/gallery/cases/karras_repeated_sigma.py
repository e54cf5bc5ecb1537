r"""The list of sigmas repeats its last one where it should end at 0, so that the last step has no length.

    dx/ds = (x - D(x, s))/s,       x' = x + (s' - s) (x - D)/s

with s from 14.6 to 0.029 and then to 0. Euler's steps are exact where the data do not vary: with a last sigma of 0.029
the variance 0.029^2 stays, at any N. Where the data vary much more the corrected last step is off by as much, the
other way: it shrinks a variance of 1 by 0.029^2.
"""

from itertools import pairwise

import numpy as np

from rmverify.divergences import tv
from rmverify.gallery.case import Case, moments
from rmverify.gallery.checks import Left
from rmverify.gallery.schedules import karras
from rmverify.paths import VE
from rmverify.samplers import Sampler
from rmverify.targets import Gaussian


def euler(n, last):
    def run(model, x, noise):
        sigmas = karras(n)
        sigmas = np.append(sigmas, last(sigmas))
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            x = x + (s_next - s) * (x - model(x, s)) / s
        return x

    return Sampler(run, path=VE(), predicts="x0")


def repeated(n):
    return euler(n, lambda sigmas: sigmas[-1])


def far():
    """What is left is the same at every N, and adds up over dimensions: an exact flow ends at N(0, 1 + 0.029^2)."""
    point = Gaussian([0.0], [0.0])
    left = {f"left at N = {n}": float(moments(repeated(n), point, start="exact")[1][0]) for n in (10, 100)}
    for d in (1, 16384):
        end = Gaussian.isotropic(1 + left["left at N = 100"], d)
        left[f"TV there, d = {d}"] = float(tv(end, Gaussian.isotropic(1.0, d)))
    return left


CASE = Case(
    title="Karras schedule: the last sigma twice, and never 0",
    reports=("diffusers#6477", "diffusers#5689"),
    told="repeating the last sigma makes the last step a dummy of no length; residual noise in SDXL images",
    wrong=repeated,
    right=lambda n: euler(n, lambda sigmas: 0.0),
    check=Left(),
    at=25,
    also=far,
)
