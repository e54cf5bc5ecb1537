r"""K2: what parallel midpoints of overdamped Langevin in R strata leave invariant, with and without Picard rounds.

Proved, for the score -k x, k > 0, any h > 0, the midpoints a_i ~ U[(i-1)/R, i/R] and one Brownian path:

1. One stratum without rounds is the overdamped randomized midpoint, draw by draw.
2. Without rounds (K = 0), for R = 1..4: one step takes N(0, 1/k) to the variance
   1/k - (1 - R^{-2}) k^2 h^3/3 + (1 + R^{-3}/3) k^3 h^4/4, exactly: R^{-2} - 1 is 0 for one stratum only, so that more
   strata leave an excess of the variance of (R^{-2} - 1)(kh)^2/6, and one of (kh)^3/6.
3. With one round and with two, for R = 1, 2, 3: the step adds 2 k^2 h^3/(3 R^2) + O(h^4), leaving (kh)^2/(3 R^2).
4. Given x, midpoints spread the variance of the noise by 4 k^2 h^4/(3 R^3) + O(h^5), at every K.

Provenance: the scheme is [recalled] (Yu, Dalalyan 2024); its constants are [derived] by running the shipped
`parallel_overdamped` on letters.
"""

from functools import partial

import sympy as sp

from rmverify.readings.symbols import Draws, average, covariance, elementwise, letters
from rmverify.schemes import overdamped_midpoint, parallel_overdamped

CLAIM = "K2"

K, H = sp.symbols("k h")


def one_step(scheme, strata, order=6):
    """A, the noise's variance, k, h as series, and the intervals of the midpoints."""
    noises = [f"w{n}" for n in range(2 * strata)]
    h, x, *rest = letters(" ".join(["x", *noises, *(f"a{n}" for n in range(strata)), "k"]), order=order)
    k = rest.pop()
    draws = Draws(rest[2 * strata :], rest[: 2 * strata])
    out = scheme(x, 0 * h, h, elementwise(lambda _, y: -k * y), draws)
    return out.diff(x), covariance(out, out, draws.covariances), k, h, draws.intervals


def kept(scheme, strata, order=6):
    """k times what one step from N(0, 1/k) adds to its variance, averaged over the midpoints: coefficients in h."""
    A, C, k, _, intervals = one_step(scheme, strata, order)
    return average(A * A + k * C - 1, intervals).coefficients(order)


def without_rounds(strata, scheme=parallel_overdamped):
    R = sp.Rational(strata)
    due = {3: -(1 - R**-2) * K**3 / 3, 4: (1 + R**-3 / 3) * K**4 / 4}
    found = kept(scheme(strata=strata, rounds=0), strata)
    return tuple(sp.expand(c - due.get(n, 0)) for n, c in enumerate(found))


def with_rounds(strata, rounds, scheme=parallel_overdamped):
    found = kept(scheme(strata=strata, rounds=rounds), strata, 4)
    due = {3: sp.Rational(2, 3 * strata**2) * K**3}
    return tuple(sp.expand(c - due.get(n, 0)) for n, c in enumerate(found))


def spread(strata, rounds):
    _, C, _, _, intervals = one_step(parallel_overdamped(strata=strata, rounds=rounds), strata, 5)
    off = C - average(C, intervals)
    found = average(off * off, intervals).coefficients(5)
    due = {4: sp.Rational(4, 3 * strata**3) * K**2}
    return tuple(sp.expand(c - due.get(n, 0)) for n, c in enumerate(found))


def one_stratum():
    """Both on the same letters."""
    h, x, w, u, a, k = letters("x w u a k", order=4)

    def run(scheme):
        return scheme(x, 0 * h, h, elementwise(lambda _, y: -k * y), Draws([a], [w, u]))

    return (run(parallel_overdamped(strata=1, rounds=0)) - run(overdamped_midpoint)).coefficients(4)


def first_round(strata, rounds):
    """One round fewer than it is asked for."""
    return parallel_overdamped(strata=strata, rounds=max(rounds - 1, 0))


IDENTITIES = {
    "one stratum without rounds is the overdamped midpoint": one_stratum,
    **{f"without rounds, R = {R}": partial(without_rounds, R) for R in (1, 2, 3, 4)},
    **{f"with {k} rounds, R = {R}": partial(with_rounds, R, k) for R, k in ((1, 1), (2, 1), (3, 1), (2, 2))},
    **{f"the spread of the noise, R = {R}, K = {k}": partial(spread, R, k) for R, k in ((1, 0), (2, 0), (2, 1))},
}
MUTATED = {
    "a round too few": partial(with_rounds, 2, 1, first_round),
    "one stratum fewer": partial(
        without_rounds, 2, lambda strata, rounds: parallel_overdamped(strata=1, rounds=rounds)
    ),
}
