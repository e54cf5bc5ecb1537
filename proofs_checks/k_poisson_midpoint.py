r"""K3: the Poisson midpoint method in M cells leaves (1/k)(1 + kh/(2M)) behind, and (1/k)(1 + (kh)^2/3) for many cells.

Proved, for the score -k x, k > 0, z = kh, H_i independent, 1 with probability 1/M, and any h > 0:

1. E A^2 = (1 - z + z^2 q/2)^2 + z^4 q (M-1)(2M-1)/(6 M^2) and k times the noise's variance is on average
   2z (1 - zq + z^2 (q^2/2 + q (2 - 1/M)/6)), q = 1 - 1/M: for M = 1..5, by running the shipped step. Both sides are
   polynomials in 1/M of degree 4 at most (sums of 1, i, i^2 over the cells, divided by M, M^2, M^3, times 1 - 1/M or
   (M-1)/M), so that five values of M tell all.
2. From these: the excess k Var - 1 left invariant is z/(2M) + O(z^2) for every M, and z^2/3 + O(z^3) for M = infinity.
3. One cell is unadjusted Langevin.

Provenance: Kandasamy and Nagaraj 2024 [found], the inner points [recalled]; the constants are [derived] by running the
shipped `poisson_midpoint` on letters.
"""

from functools import partial

import sympy as sp

from rmverify.readings.symbols import Draws, covariance
from rmverify.schemes import overdamped, poisson_midpoint

CLAIM = "K3"

k, h, z = sp.symbols("k h z", positive=True)
x = sp.Symbol("x")
MOST = 5


def one_step(scheme, cells):
    """E A^2 and k E C over the choices, as functions of z."""
    chosen, noises = sp.symbols(f"H0:{cells}"), sp.symbols(f"w0:{cells}")
    draws = Draws(chosen, noises)
    out = sp.expand(scheme(x, sp.Integer(0), h, lambda _, y: -k * y, draws))
    parts = out.diff(x) ** 2, k * covariance(out, out, draws.covariances)
    return tuple(sp.expand(mean(sp.expand(part), draws.chances).subs(k, z / h)) for part in parts)


def mean(expression, chances):
    """A choice is its own square."""
    for letter, p in chances:
        poly = sp.Poly(expression, letter)
        expression = sp.expand(sum(c * (p if n else 1) for (n,), c in poly.terms()))
    return expression


def closed(M):
    q = 1 - 1 / sp.sympify(M)
    square = (1 - z + z**2 * q / 2) ** 2 + z**4 * q * (M - 1) * (2 * M - 1) / (6 * sp.sympify(M) ** 2)
    return square, 2 * z * (1 - z * q + z**2 * (q**2 / 2 + q * (2 - 1 / sp.sympify(M)) / 6))


def moments(cells, scheme=poisson_midpoint):
    found, due = one_step(scheme(cells=cells), cells), closed(sp.Integer(cells))
    return tuple(sp.expand(a - b) for a, b in zip(found, due, strict=True))


def excess(M):
    square, noise = closed(M)
    return noise / (1 - square) - 1


def left_invariant():
    M = sp.Symbol("M", positive=True)
    many = sp.limit(sp.cancel(excess(M)), M, sp.oo)
    return (
        sp.simplify(sp.limit(sp.cancel(excess(M) / z), z, 0) - 1 / (2 * M)),
        sp.limit(sp.cancel(many / z**2), z, 0) - sp.Rational(1, 3),
    )


def one_cell(scheme=poisson_midpoint):
    w = sp.Symbol("w")

    def run(step):
        return step(x, sp.Integer(0), h, lambda _, y: -k * y, Draws([], [w]))

    return sp.expand(run(scheme(cells=1)) - run(overdamped))


def chosen_twice_as_often(cells):
    def step(x, t, h, score, draw):
        class Often(Draws):
            def __init__(self):
                self.chances, self.covariances = draw.chances, draw.covariances

            def bernoulli(self, p):
                return draw.bernoulli(2 * p)

            def normal(self, covariance):
                return draw.normal(covariance)

        return poisson_midpoint(x, t, h, score, Often(), cells=cells)

    return step


def without_the_path(cells):
    """The inner points without their noise."""

    def step(x, t, h, score, draw):
        letters = []

        def still(_, y):
            return score(t, y.subs(dict.fromkeys(letters, 0)))

        class Noted(Draws):
            def __init__(self):
                self.chances, self.covariances = draw.chances, draw.covariances

            def bernoulli(self, p):
                return draw.bernoulli(p)

            def normal(self, covariance):
                letters.extend(draw.normal(covariance))
                return letters[-1:]

        return poisson_midpoint(x, t, h, still, Noted(), cells=cells)

    return step


IDENTITIES = {
    **{f"both averages, M = {M}": partial(moments, M) for M in range(1, MOST + 1)},
    "what is left invariant": left_invariant,
    "one cell is unadjusted Langevin": one_cell,
}
MUTATED = {
    "chosen twice as often": partial(moments, 3, chosen_twice_as_often),
    "inner points without their path": partial(moments, 3, without_the_path),
}
