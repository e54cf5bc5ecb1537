r"""K1: the overdamped randomized midpoint keeps the variance 1/k up to k^3 h^4/3, and leaves (1 + (kh)^3/6)/k behind.

Proved, for the score -k x, k > 0, any h > 0, over the draws of one step (a ~ U[0,1] and Brownian values):

1. E_a A^2 = 1 - 2kh + 2(kh)^2 - (kh)^3 + (kh)^4/3 for the step x -> A x + noise, and the noise has the variance
   2h - 2kh^2 + k^2 h^3 on average: one step from N(0, 1/k) has the variance 1/k + k^3 h^4/3, exactly.
2. So the variance v that is left invariant, v = E A^2 v + noise, has
   k v - 1 = z^3/(6 - 6z + 3z^2 - z^3), z = kh; Euler-Maruyama's is z/(2 - z).
3. The mean of the midpoint over a is the exact one to h^2: A - e^{-kh} is k^3 h^3/6 on average, and the noise, of which
   the step shifts the variance by 4 k^2 h^4/3 over a, is k^2 h^3/3 too small.

Provenance: the scheme is [recalled] (He, Balasubramanian, Erdogdu 2020; Yu, Karagulyan, Dalalyan 2024); its constants
are [derived] by running the shipped `overdamped_midpoint` and `overdamped` on letters.
"""

from functools import partial

import sympy as sp

from rmverify.readings.symbols import Draws, covariance
from rmverify.schemes import overdamped, overdamped_midpoint

CLAIM = "K1"

k, h = sp.symbols("k h", positive=True)
x, a, *NOISES = sp.symbols("x a w0 w1 w2")
z = k * h


def one_step(scheme):
    """A and the variance of the noise, given a."""
    draws = Draws([a], NOISES)
    out = sp.expand(scheme(x, sp.Integer(0), h, lambda _, y: -k * y, draws))
    return out.diff(x), sp.expand(covariance(out, out, draws.covariances))


def mean(expression):
    return sp.integrate(sp.expand(expression), (a, 0, 1))


def second_moments(scheme=overdamped_midpoint):
    A, C = one_step(scheme)
    return (
        sp.expand(mean(A**2) - (1 - 2 * z + 2 * z**2 - z**3 + z**4 / 3)),
        sp.expand(mean(C) - (2 * h - 2 * k * h**2 + k**2 * h**3)),
        sp.expand(mean(A**2) / k + mean(C) - 1 / k - k**3 * h**4 / 3),
    )


def left_invariant(scheme, excess):
    A, C = one_step(scheme)
    return sp.cancel(k * mean(C) / (1 - mean(A**2)) - 1 - excess)


def short_steps(scheme=overdamped_midpoint):
    A, C = one_step(scheme)
    flow, noise = (sp.series(e, h, 0, 4).removeO() for e in (sp.exp(-z), (1 - sp.exp(-2 * z)) / k))
    spread = mean(C**2) - mean(C) ** 2
    return (
        sp.expand(mean(A) - flow - z**3 / 6),
        sp.expand(mean(C) - noise + k**2 * h**3 / 3),
        sp.limit(spread / h**4, h, 0) - 4 * k**2 / 3,
    )


def noise_of_its_own(x, t, h, score, draw):
    """The midpoint sees another Brownian path than the end."""
    b = draw.uniform()
    (w,) = draw.normal(((2 * h,),))
    (w_half,) = draw.normal(((2 * b * h,),))
    return x + h * score(t, x + b * h * score(t, x) + w_half) + w


IDENTITIES = {
    "one step from the invariant law": second_moments,
    "what the midpoint leaves invariant": partial(
        left_invariant, overdamped_midpoint, z**3 / (6 - 6 * z + 3 * z**2 - z**3)
    ),
    "what Euler-Maruyama leaves invariant": partial(left_invariant, overdamped, z / (2 - z)),
    "the mean step and its noise": short_steps,
}
MUTATED = {
    "a noise of its own at the midpoint": partial(second_moments, noise_of_its_own),
    "its variance left invariant": partial(left_invariant, noise_of_its_own, z**3 / (6 - 6 * z + 3 * z**2 - z**3)),
    "Euler-Maruyama in its place": partial(short_steps, overdamped),
}
