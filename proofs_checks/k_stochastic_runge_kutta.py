r"""K5: the stochastic Runge-Kutta step of Langevin has the moments of strong order 3/2, and leaves 1 - (kh)^2/6 behind.

Proved, for any h > 0, B a Brownian path on [0, h]:

1. Its two inner noises G_1, G_2 have, on average over the two, the covariance with sqrt(2) B_h, the variance and the
   mean square of the path's own: Cov(mean G, w) = h = Cov((1/h) int sqrt(2) B, sqrt(2) B_h), Var(mean G) = 2h/3 and
   mean of E G^2 = h = (1/h) int E 2 B_s^2 ds.
2. For the score -k x, k > 0, z = kh: A = 1 - z + z^2/2, the noise's variance is 2h (1 - z + z^2/3), so that one step
   from N(0, 1/k) adds (-z^3/3 + z^4/4)/k and the excess k v - 1 left invariant is
   (-z^2/3 + z^3/4)/(2 - 2z + z^2 - z^3/4), -z^2/6 to leading order.

Provenance: the scheme is [recalled] (Li, Wu, Mackey, Erdogdu 2019, SRK-LD); the moments are [derived] by running the
shipped `stochastic_runge_kutta` on letters.
"""

from functools import partial

import sympy as sp

from rmverify.readings.symbols import Draws, covariance
from rmverify.schemes import stochastic_runge_kutta

CLAIM = "K5"

k, h = sp.symbols("k h", positive=True)
x, *NOISES = sp.symbols("x w0 w1")
z = k * h


def run(scheme, score):
    draws = Draws([], NOISES)
    return sp.expand(scheme(x, sp.Integer(0), h, score, draws)), draws.covariances


def inner_noises(scheme=stochastic_runge_kutta):
    points = []

    def score(_, y):
        points.append(y)
        return sp.Integer(0)

    end, covariances = run(scheme, score)
    _, first, second = sorted(points, key=lambda y: sp.sympify(y) != x)  # where it starts, and the two
    noise, (one, two) = end - x, (first - x, second - x)
    middle = (one + two) / 2
    squares = (covariance(one, one, covariances) + covariance(two, two, covariances)) / 2
    return (
        sp.simplify(covariance(noise, noise, covariances) - 2 * h),
        sp.simplify(covariance(middle, noise, covariances) - h),
        sp.simplify(covariance(middle, middle, covariances) - 2 * h / 3),
        sp.simplify(squares - h),
    )


def linear(scheme=stochastic_runge_kutta):
    end, covariances = run(scheme, lambda _, y: -k * y)
    A, C = end.diff(x), sp.expand(covariance(end, end, covariances))
    return (
        sp.simplify(A - (1 - z + z**2 / 2)),
        sp.simplify(C - 2 * h * (1 - z + z**2 / 3)),
        sp.simplify(A**2 / k + C - 1 / k - (-(z**3) / 3 + z**4 / 4) / k),
        sp.simplify(k * C / (1 - A**2) - 1 - (-(z**2) / 3 + z**3 / 4) / (2 - 2 * z + z**2 - z**3 / 4)),
    )


def one_noise(x, t, h, score, draw):
    """Both points moved by the same noise: right on average, and not in its square."""
    w, u = draw.normal(((2 * h, 0 * h), (0 * h, h / 6)))
    first, second = x + w / 2 + u, x + h * score(t, x) + w / 2 + u
    return x + h / 2 * (score(t, first) + score(t, second)) + w


def no_second_noise(x, t, h, score, draw):
    (w,) = draw.normal(((2 * h,),))
    first, second = x + w / 2, x + h * score(t, x) + w / 2
    return x + h / 2 * (score(t, first) + score(t, second)) + w


IDENTITIES = {"the inner noises": inner_noises, "on a linear score": linear}
MUTATED = {
    "one noise for both points": partial(inner_noises, one_noise),
    "no second noise": partial(linear, no_second_noise),
}
