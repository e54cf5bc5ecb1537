r"""B1: the randomized midpoint estimates the integral of the probability flow without bias.

Proved: for every g integrable on [0, h] (g is an undefined function below),

    E_a [h e^{(1-a)h} g(ah)] = int_0^h e^{h-r} g(r) dr,   a ~ U[0,1],

because r = ah turns the average over a into an integral over r whose integrand is the flow's own, a substitution by
an increasing linear map, valid for every integrable g. With R strata, a_i ~ U[(i-1)/R, i/R], the same for one generic
stratum of a symbolic R, each stratum giving its own piece of the integral; the pieces telescope to [0, h]. R = 1..6
are done outright besides. Hypotheses: the score along the step depends on the level alone (it is the integrand g),
and the midpoints are uniform on their strata; independence is not needed.

Provenance: schemes 2 [quoted] and 3 [recalled]; the identity is [derived] here by running the
shipped `randomized_midpoint` and `parallel_midpoint` on letters.
"""

from functools import partial

import numpy as np
import sympy as sp

from rmverify.elementary import exp, expm1
from rmverify.readings.symbols import Draws, elementwise
from rmverify.schemes import parallel_midpoint, randomized_midpoint

CLAIM = "B1"

x, t, h, r = sp.symbols("x t h r", positive=True)
i, R = sp.symbols("i R", positive=True)
g = sp.Function("g")
primitive = sp.Function("G")  # of e^{h-r} g(r)


def score(level, _):
    """The integrand: g(r) at the level t - r, whatever the point."""
    return elementwise(lambda each: g(t - each))(level) if isinstance(level, np.ndarray) else g(t - level)


class OneStratum(Draws):
    """Draws one midpoint only, from the stratum number i of a symbolic number of strata."""

    def strata(self, count):
        (a,) = self._midpoints
        self.intervals = [(a, (i - 1) / count, i / count)]
        return np.array([(i - 1) / count], dtype=object), np.array([a], dtype=object)


def pieces(scheme, draws):
    """What one step less e^h x is without midpoints, and for each midpoint (integrand in r, lower end, upper end)."""
    rest = sp.expand(scheme(x, t, h, score, draws) - exp(h) * x)
    found = []
    for a, lo, hi in draws.intervals:
        part = sum(term for term in sp.Add.make_args(rest) if term.has(a))
        rest -= part
        mean = sp.Integral(part / (hi - lo), (a, lo, hi)).transform(a * h, r)
        found.append((mean.function, mean.limits[0][1], mean.limits[0][2]))
    return rest, found


def unbiased(scheme, count=1):
    """Zero, entry by entry, where the pieces' integrand is e^{h-r} g(r) and their intervals tile [0, h]."""
    letters = sp.symbols(f"a1:{count + 1}", positive=True)
    rest, found = pieces(scheme, Draws(letters))
    integrands = [sp.simplify(f - exp(h - r) * g(r)) for f, _, _ in found]
    ends = [sp.Integer(0), *(upper for _, _, upper in found)]
    starts = [*(lower for _, lower, _ in found), h]
    return (rest, *integrands, *(sp.simplify(a - b) for a, b in zip(starts, ends, strict=True)))


def generic_stratum(scheme=parallel_midpoint):
    """Stratum i of R gives int e^{h-r} g(r) dr over ((i-1)h/R, ih/R)."""
    rest, ((f, lower, upper),) = pieces(scheme(strata=R, rounds=0), OneStratum([sp.Symbol("a", positive=True)]))
    return (
        rest,
        sp.simplify(f - exp(h - r) * g(r)),
        sp.simplify(lower - (i - 1) * h / R),
        sp.simplify(upper - i * h / R),
    )


def telescoping():
    """P(i) = G(ih/R) - G(0) is the sum of the first i pieces: by induction, and P(R) is the whole integral."""
    piece = primitive(i * h / R) - primitive((i - 1) * h / R)

    def partial_sum(n):
        return primitive(n * h / R) - primitive(0)

    return (
        partial_sum(sp.Integer(0)),
        partial_sum(i) - partial_sum(i - 1) - piece,
        partial_sum(R) - (primitive(h) - primitive(0)),
    )


def weight_of_the_other_side(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp(a * h) * score(t - a * h, half)


def score_at_the_start(x, t, h, score, draw):
    return randomized_midpoint(x, t, h, lambda _, y: score(t, y), draw)


def sum_for_the_mean(strata, rounds):
    """The parallel step with the weight h of one midpoint on every stratum."""

    def step(x, t, h, score, draw):
        mean = parallel_midpoint(strata, rounds)(x, t, h, score, draw)
        return exp(h) * x + strata * (mean - exp(h) * x)

    return step


IDENTITIES = {
    "one midpoint": partial(unbiased, randomized_midpoint),
    "one generic stratum": generic_stratum,
    "the strata telescope": telescoping,
    **{f"R = {n}": partial(unbiased, parallel_midpoint(n, 0), n) for n in range(1, 7)},
}
MUTATED = {
    "the weight of the other side": partial(unbiased, weight_of_the_other_side),
    "the score asked at the start": partial(unbiased, score_at_the_start),
    "the sum for the mean over strata": partial(unbiased, sum_for_the_mean(2, 0), 2),
    "the sum for the mean, one generic stratum": lambda: generic_stratum(sum_for_the_mean),
}
