r"""A list of N times from 0 to 1, and steps of 1/N.

Rectified flow goes from t = 1 down to the data at 0:

    x_t = (1 - t) x_0 + t eps,      dx/dt = v(x, t),      x' = x - d v(x, t).

N times that include both ends are 1/(N - 1) apart. With d = 1/N code and model soon speak of different times.
"""

import numpy as np

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Bookkeeping
from rmverify.paths import Flow
from rmverify.samplers import Sampler


def euler(times, length):
    def run(model, x, noise):
        for t in times:
            x = x - length * model(x, t)
        return x

    return Sampler(run, path=Flow(), predicts="flow")


CASE = Case(
    title="Rectified flow: 1/steps for 1/(steps - 1)",
    reports=("rectified-flow-pytorch#14",),
    told="delta is 1/steps where it should be 1/(steps - 1); its author then found a larger fault, in the direction",
    wrong=lambda n: euler(np.linspace(1, 0, n), 1 / n),
    right=lambda n: euler(np.linspace(1, 0, n)[:-1], 1 / (n - 1)),
    check=Bookkeeping(10, lambda ratio: 1 / (1 + 1 / ratio)),
)
