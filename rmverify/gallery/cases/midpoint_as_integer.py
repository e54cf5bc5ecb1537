r"""The midpoint 1/2, cast to an integer: 0, and the midpoint method is Euler's.

With s = sigma/alpha on levels whose ratio is fixed, and the midpoint m = s (s'/s)^a, a = 1/2,

    y = x + (m - s) eps(x, s),       x' = x + (s' - s) eps(y, m).
"""

from itertools import pairwise

from rmverify.gallery.case import Case
from rmverify.gallery.checks import Order
from rmverify.gallery.schedules import geometric
from rmverify.paths import VE
from rmverify.samplers import Sampler


def midpoint(n, a):
    def run(model, x, noise):
        sigmas = geometric(n)
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            m = s * (s_next / s) ** a
            y = x + (m - s) * model(x, s)
            x = x + (s_next - s) * model(y, m)
        return x

    return Sampler(run, path=VE(), predicts="eps", end=geometric(n)[-1])


CASE = Case(
    title="Midpoint method: 0.5 cast to an integer",
    reports=("randomized-midpoint@bcaab48",),
    told="no report: the deterministic branch of the scheduler is read to take (0.5).long(), which is 0",
    wrong=lambda n: midpoint(n, int(0.5)),
    right=lambda n: midpoint(n, 0.5),
    check=Order(2),
    at=40,
)
