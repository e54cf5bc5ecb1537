r"""N sigmas from 1 to 0 make N - 1 steps.

    x' = x + (t' - t) v(x, t),       t = 1, ..., 0

N evaluations need N + 1 levels.
"""

from itertools import pairwise

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Evaluations
from rmverify.paths import Flow
from rmverify.samplers import Sampler


def euler(levels):
    def run(model, x, noise):
        for t, t_next in pairwise(levels):
            x = x + (t_next - t) * model(x, t)
        return x

    return Sampler(run, path=Flow(), predicts="flow")


CASE = Case(
    title="Flow matching: N - 1 model calls where N are asked for",
    reports=("sglang#33552",),
    told="num_steps levels, ends included, give len(sigmas) - 1 model calls: one fewer than was asked for",
    wrong=lambda n: euler(np.linspace(1, 0, n)),
    right=lambda n: euler(np.linspace(1, 0, n + 1)),
    check=Evaluations(20),
)
