r"""B1: the randomized midpoint estimates the integral of the probability flow without bias.

E_a [h e^{(1-a)h} g(ah)] = int_0^h e^{h-r} g(r) dr for every integrable g, a ~ U[0,1] (substitute r = ah); with strata
likewise. Derived here by running the package's own steps on sympy symbols, for g(r) = e^{kr} with symbolic k: these
exponentials determine the identity for every g.

The second derivation expands one step on a Gaussian mode: mean defect and variance over a, with their constants.
"""

import numpy as np
import sympy as sp

from rmverify.schemes import parallel_midpoint, randomized_midpoint

x, t, h, a, k = sp.symbols("x t h a k", positive=True)


class Midpoints:
    """Hands out symbols: one for `uniform`, one per stratum for `strata`."""

    def __init__(self, *alphas):
        self.alphas = alphas

    def uniform(self):
        return self.alphas[0]

    def strata(self, count):
        lo = [sp.Rational(i, count) for i in range(count)]
        return np.array(lo, dtype=object), np.array(self.alphas, dtype=object)


def rough_score(level, _):
    """A score that is e^{k r} at the level t - r, the integrand g of the flow; strata come as an array of levels."""
    if isinstance(level, np.ndarray):
        return np.array([rough_score(each, None) for each in level], dtype=object)
    return sp.exp(k * (t - level))


def flow_of_rough_score():
    r = sp.Symbol("r", positive=True)
    return sp.exp(h) * x + sp.integrate(sp.exp(h - r) * sp.exp(k * r), (r, 0, h), conds="none")


def test_one_midpoint_is_unbiased():
    step = randomized_midpoint(x, t, h, rough_score, Midpoints(a))
    mean = sp.integrate(sp.expand(step), (a, 0, 1), conds="none")
    difference = (mean - flow_of_rough_score()).rewrite(sp.exp)
    assert sp.simplify(difference.subs(k, k + 1)) == 0  # k + 1 > 1: off the removable point k = 1


def test_strata_are_unbiased():
    first, second = sp.symbols("a_1 a_2", positive=True)
    step = parallel_midpoint(2, 0)(x, t, h, rough_score, Midpoints(first, second))
    mean = sp.integrate(sp.expand(step), (first, 0, sp.Rational(1, 2)), conds="none") * 2
    mean = sp.integrate(sp.expand(mean), (second, sp.Rational(1, 2), 1), conds="none") * 2
    assert sp.simplify((mean - flow_of_rough_score()).subs(k, k + 1)) == 0


def test_leading_constants_on_a_gaussian_mode():
    """E_a x' - x* = (v-1) h^3 x/(6 v^3) + O(h^4) and Var_a x' = (2v-1)^2 h^4 x^2/(12 v^3 v) + O(h^5), v = v(t)."""
    v = sp.Symbol("v", positive=True)

    def variance(r):
        return 1 + (v - 1) * sp.exp(2 * r)  # v(t - r), from v(t) = v

    def score(level, y):
        return -y / variance(t - level)

    step = randomized_midpoint(x, t, h, score, Midpoints(a))
    series = sp.series(step, h, 0, 5).removeO()
    mean = sp.integrate(sp.expand(series), (a, 0, 1))
    flow = sp.series(sp.sqrt(variance(h) / v) * x, h, 0, 5).removeO()
    defect = sp.expand(mean - flow)
    assert [sp.simplify(defect.coeff(h, n)) for n in (0, 1, 2)] == [0, 0, 0]
    assert sp.simplify(defect.coeff(h, 3) - (v - 1) * x / (6 * v**3)) == 0
    assert sp.simplify(defect.coeff(h, 4) + (v - 1) * (5 * v - 9) * x / (24 * v**4)) == 0
    spread = sp.expand(series - mean)
    second = sp.integrate(sp.expand(spread**2), (a, 0, 1))
    assert [sp.simplify(sp.expand(second).coeff(h, n)) for n in (0, 1, 2, 3)] == [0, 0, 0, 0]
    assert sp.simplify(sp.expand(second).coeff(h, 4) - (2 * v - 1) ** 2 * x**2 / (12 * v**4)) == 0
