r"""F1, F2, F4, F6, F7: the algebra behind the bounds of W_2, small noises, noise in the score, and the strong error.

1. F1, F2: sqrt S >= 1 + d/2 - d^2/2 for S = 1 + d >= 0, since with s = sqrt S the difference is
   (s-1)^2 ((s+1)^2 - 1)/2. So E(sqrt S - 1)^2 <= (sqrt c - 1)^2 + Var S/c^{3/2}, c = E S.
2. F4: for V = +-b the coupling by quantiles of Z and Z + V moves z by u = b^2 z/2 + O(b^4), so that W_2^2 = b^4/4 +
   O(b^6). If V = beta with a chance that goes to 0, the density of Z + V moves by sum_k m_k He_k phi/k!, m_k = E V^k:
   (He_{k-1} phi)' = -He_k phi, so that u = sum_k m_k He_{k-1}/k!, and E u^2 = sum_k m_k^2/(k! k).
3. F6: what noise of variance 1 in every score adds to the variance, over h, is the integral from the end d to the start
   T of the squared coefficient times the squared slope of what follows, v(d)/v(t) for the probability flow and
   4 e^{2(t-d)} w(d)^2/w(t)^2 for the reverse diffusion, w = e^{2t} + lambda - 1, v = e^{-2t} w.
4. F7: given its Brownian path, what a midpoint changes of one step of randomized midpoint Langevin is
   u k h^2 (a - 1/2) (x, -g x - v) to leading order, from the shipped step.

Not algebra: that W_2 is bounded by the coupling given the midpoints, and that the chance's first order suffices.

Provenance: [derived].
"""

from functools import partial

import sympy as sp

from rmverify.schemes import randomized_midpoint_langevin

CLAIM = ("F1", "F2", "F4", "F6", "F7")

s, z, b, x, v = sp.symbols("s z b x v", real=True)
h, a, k, g, u, T, end, lam = sp.symbols("h a k g u T d lambda", positive=True)


def below_the_root(factor=1):
    d = s**2 - 1
    return sp.expand(s - (1 + d / 2 - factor * d**2 / 2) - (s - 1) ** 2 * ((s + 1) ** 2 - 1) / 2)


def normal(y):
    return (1 + sp.erf(y / sp.sqrt(2))) / 2


def two_points(times=1):
    """P(Z + V <= z + u) - P(Z <= z) to third order in b, and E u^2 - b^4/4."""
    moved = times * b**2 * z / 2
    change = (normal(z + moved - b) + normal(z + moved + b)) / 2 - normal(z)
    series = tuple(sp.simplify(sp.diff(change, b, n).subs(b, 0)) for n in range(4))
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    return (*series, sp.integrate(moved**2 * density, (z, -sp.oo, sp.oo)) - b**4 / 4)


def hermite(n):
    return sp.expand(2 ** (-sp.Rational(n, 2)) * sp.hermite(n, z / sp.sqrt(2)))


def rare_values(sign=-1):
    """(He_{k-1} phi)' + He_k phi, and E (He_{k-1}/k!)^2 - 1/(k! k), for k from 2 to 5."""
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    found = []
    for n in range(2, 6):
        found.append(sp.simplify(sp.diff(hermite(n - 1) * density, z) / density - sign * hermite(n)))
        square = sp.integrate(sp.expand(hermite(n - 1) ** 2) * density, (z, -sp.oo, sp.oo)) / sp.factorial(n) ** 2
        found.append(sp.simplify(square - 1 / (sp.factorial(n) * n)))
    return tuple(found)


def noise_in_scores(factor=2):
    """The derivatives in T of the closed forms, less the integrands."""
    w = lambda t: sp.exp(2 * t) + lam - 1  # noqa: E731
    flow = sp.exp(-2 * end) * w(end) * sp.log(w(T) / w(end)) / 2
    diffusion = factor * sp.exp(-2 * end) * w(end) ** 2 * (1 / w(end) - 1 / w(T))
    ratio = sp.exp(-2 * end) * w(end) / (sp.exp(-2 * T) * w(T))
    slope = sp.exp(T - end) * w(end) / w(T)
    return sp.simplify(sp.diff(flow, T) - ratio), sp.simplify(sp.diff(diffusion, T) - 4 * slope**2)


class Still:
    """A midpoint a, and no noise: it is smaller by h^{1/2} than what is looked at."""

    def uniform(self):
        return a

    def normal(self, covariance, count=None):
        return [sp.Integer(0)] * len(covariance)


def midpoint_given_the_path(friction=1):
    """Of (x', v') what depends on a, to second order in h, less u k h^2 (a - 1/2) (x, -g x - v)."""
    found = randomized_midpoint_langevin((x, v), 0, h, lambda t, y: -k * y, Still(), friction=g, mass=u)
    due = x, -friction * g * x - v
    result = []
    for entry, expected in zip(found, due, strict=True):
        second = sp.expand(sp.series(entry, h, 0, 3).removeO())
        spread = second - sp.integrate(second, (a, 0, 1))
        result.append(sp.simplify(spread - u * k * h**2 * (a - sp.Rational(1, 2)) * expected))
    return tuple(result)


IDENTITIES = {
    "the square root from below": below_the_root,
    "V = +-b": two_points,
    "rare values": rare_values,
    "noise in every score": noise_in_scores,
    "a midpoint given the path": midpoint_given_the_path,
}
MUTATED = {
    "the square root from below by more": partial(below_the_root, 2),
    "V = +-b moved twice as far": partial(two_points, 2),
    "rare values with the other sign": partial(rare_values, 1),
    "noise in every score counted twice": partial(noise_in_scores, 4),
    "a midpoint without friction": partial(midpoint_given_the_path, 0),
}
