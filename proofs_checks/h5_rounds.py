r"""H5: a round of n random cells of the probability flow and noise back (Jiao and Li's sampler).

Proved, by running the shipped step on letters. In u = e^{-d} x, d the depth below the round's level, the flow is
du/dd = e^{-d} s. A cell of depths [D, D + l] adds e^{2D-3d} (e^{2l}-1)/2 s with e^{2d} = e^{2D} (1 + a (e^{2l}-1)), and
that is int_D^{D+l} e^{-d} s dd on average over a ~ U[0,1], for every integrable s of the level alone. Of Gaussian data

    E V - v' = (20n-12)(4v-1) h^3/(3 n^3 v^2),    Var V = 16 (4v-1)^2 h^4/(3 n^3 v^2)

in leading order, V what a round makes of the variance v of q_t given its levels: errors of cells add up, n of order l^3
and of variance l^4, all alike but the first, whose midpoint is predicted from the edge; so two values of n fix them,
and n = 1, 2 and 4 are done. A round is 2h long, l = 2h/n: over T cells Var V adds up to T^{-3}, and E KL = E(V/v-1)^2/4
with it.

Provenance: equations (8)-(11) [found]; identities and constants are [derived] here.
"""

from functools import partial

import sympy as sp

from rmverify.elementary import exp, log1p
from rmverify.readings.symbols import Draws, average, covariance, letters
from rmverify.schemes import jiao_li
from rmverify.targets.process import mode_score, mode_variance

CLAIM = "H5"

v = sp.Symbol("v")
x, t, h = sp.symbols("x t h", positive=True)
d, D, l = sp.symbols("d D l", positive=True)
g = sp.Function("g")


def cell(weight=3):
    """The integrand over the depth of one cell's average, less the flow's, and the range of a."""
    a = expm1_(2 * (d - D)) / expm1_(2 * l)
    added = exp(2 * D - weight * d) * expm1_(2 * l) / 2 * g(d)
    return (
        a.subs(d, D),
        sp.simplify(a.subs(d, D + l) - 1),
        sp.simplify(added * sp.diff(a, d) - exp(-d) * g(d)),
    )


def expm1_(z):
    return exp(z) - 1


def one_cell(scheme=None):
    """The shipped step with one cell, its score a symbol at each call: where it asks, and what it returns."""
    first, second, w, a = sp.symbols("s0 s1 w a", positive=True)
    asked = []

    def score(level, point):
        asked.append((level, point))
        return (first, second)[len(asked) - 1]

    out = (scheme or jiao_li)(cells=1)(x, t, h, score, Draws([a], [w]))
    length, back = h * (2 - h / t), h * (1 - h / t)
    depth = log1p(a * expm1_(2 * length)) / 2
    half = exp(depth) * (x + a * expm1_(2 * length) / 2 * first)
    end = x + exp(-3 * depth) * expm1_(2 * length) / 2 * second
    (_, _), (level, point) = asked
    return (
        sp.simplify(exp(2 * (level - t)) - exp(-2 * depth)),
        sp.simplify(point - half),
        sp.simplify(out - w - exp(length - back) * end),
    )


def constants(cells, mean=20, offset=12, spread=16):
    names = " ".join(f"a{i}" for i in range(cells))
    r, y, w, *rest = letters(f"x w {names}", units="v t", order=5)
    midpoints, (unit, level) = rest[:cells], rest[cells:]
    draws = Draws(midpoints, [w])
    out = jiao_li(cells=cells)(y, level, r, lambda s, z: mode_score(0 * r, unit, s - level, z), draws)
    A = out.diff(y)
    given = A * A * unit + covariance(out, out, draws.covariances)

    def over(z):
        return average(z, draws.intervals)

    error, square = over(given) - mode_variance(unit, -r), over(given * given) - over(given) * over(given)
    n = cells
    return (
        *error.coefficients(3),
        sp.cancel(error.coefficient(3) - (mean * n - offset) * (4 * v - 1) / (3 * n**3 * v**2)),
        *square.coefficients(4),
        sp.cancel(square.coefficient(4) - spread * (4 * v - 1) ** 2 / (3 * n**3 * v**2)),
    )


IDENTITIES = {
    "a cell is unbiased": cell,
    "one cell": one_cell,
    **{f"n = {n}": partial(constants, n) for n in (1, 2, 4)},
}
MUTATED = {
    "a cell with the weight of the level before": partial(cell, 2),
    "the mean of rounds that add up": partial(constants, 2, 8, 0),
    "the spread of one midpoint": partial(constants, 2, spread=2),
}
