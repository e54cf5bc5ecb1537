r"""A model of variance-preserving inputs that is handed the variance-exploding state.

The state is x = x_0 + s eps, the model was trained on x/sqrt(1 + s^2):

    x' = x + (s' - s) eps(x/sqrt(1 + s^2), s).
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import FirstInput
from rmverify.gallery.schedules import VP_BY_SIGMA, karras
from rmverify.samplers import Sampler


def euler(n, scale):
    def run(model, x, noise):
        sigmas = np.append(karras(n), 0.0)
        x = x * np.sqrt(1 + sigmas[0] ** 2)
        for s, s_next in pairwise(sigmas):
            x = x + (s_next - s) * model(x / scale(s), s)
        return x

    return Sampler(run, path=VP_BY_SIGMA, predicts="eps")


CASE = Case(
    title="Euler: the input of the model is not scaled",
    reports=("diffusers#3544",),
    told="one of a pipeline's two networks got latents without scale_model_input; not noticed before, as the default "
    "schedulers do not scale",
    wrong=lambda n: euler(n, lambda s: 1.0),
    right=lambda n: euler(n, lambda s: np.sqrt(1 + s**2)),
    check=FirstInput(),
    at=50,
)
