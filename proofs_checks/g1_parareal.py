r"""G1: what k sweeps of parareal give, for every score that is linear in x and any dependence on the level.

Proved on the shipped step, with a score -c(t) x, c an undefined function, so that every level has its own letter:

1. as many sweeps as blocks are the N sequential DDIM steps;
2. after k sweeps the output is the sum over at most k blocks of the products of F_n - G_n, over these, and of G_n, over
   the others (B = 2, m = 2);
3. one more sweep than blocks changes nothing.

For a nonlinear score 1 and 3 hold as they stand: x_n^k is F_n..F_1 x_0 for n <= k, by induction, where G_n(x_{n-1}^k) -
G_n(x_{n-1}^{k-1}) cancels.

Provenance: the algorithm [found in summaries]; the sum over subsets is derived here.
"""

from functools import cache, partial
from itertools import combinations

import sympy as sp

from rmverify.readings.symbols import Draws, elementwise
from rmverify.schemes import parareal
from rmverify.schemes.probability_flow import ddim

CLAIM = "G1"
BLOCKS, FINE = 2, 2
T, H = sp.Integer(3), sp.Integer(1)
c = sp.Function("c")
SCORE = elementwise(lambda t, x: -c(t) * x)


@cache
def swept(sweeps, scheme=parareal):
    """The multiple of x after so many sweeps."""
    out = scheme(sp.Integer(1), T, H, SCORE, Draws(), blocks=BLOCKS, fine=FINE, sweeps=sweeps)
    return sp.expand(out)


@cache
def slopes(n):
    """G_n and F_n."""
    step = H / (BLOCKS * FINE)
    start = T - n * FINE * step
    fine = sp.Integer(1)
    for i in range(FINE):
        fine = ddim(fine, start - i * step, step, SCORE, None)
    return ddim(sp.Integer(1), start, FINE * step, SCORE, None), fine


def product(chosen):
    result = sp.Integer(1)
    for n in range(BLOCKS):
        coarse, fine = slopes(n)
        result *= fine - coarse if n in chosen else coarse
    return result


def subsets(sweeps, most=None):
    sizes = range((sweeps if most is None else most) + 1)
    due = sum(product(chosen) for size in sizes for chosen in combinations(range(BLOCKS), size))
    return sp.expand(swept(sweeps) - due)


def sequential(sweeps=BLOCKS):
    due = sp.Integer(1)
    for n in range(BLOCKS):
        due *= slopes(n)[1]
    return sp.expand(swept(sweeps) - due)


IDENTITIES = {
    "as many sweeps as blocks": sequential,
    "one more": partial(sequential, BLOCKS + 1),
    **{f"{k} sweeps are sums over subsets": partial(subsets, k) for k in range(BLOCKS)},
}
MUTATED = {
    "one sweep less": partial(sequential, BLOCKS - 1),
    "subsets of one block more": partial(subsets, 0, 1),
}
