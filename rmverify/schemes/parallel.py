"""Parallel schemes: each round asks the score once, on an array with a new leading axis of strata or cells.

On parallel hardware the number of rounds takes time, and not what is asked in each of them.
"""

from __future__ import annotations

from typing import Any

from rmverify.elementary import exp, expm1, phi1, phi2, prefix, total
from rmverify.schemes.contract import Draw, Score, scheme
from rmverify.schemes.langevin import kinetic_noise, path_noise

__all__ = ["parallel_midpoint", "parallel_overdamped", "parallel_underdamped"]


@scheme
def parallel_midpoint(x: Any, t: Any, h: Any, score: Score, draw: Draw, *, strata: Any, rounds: Any) -> Any:
    r"""Randomized midpoints in R strata, all at once, improved by K Picard rounds.

    With d = h/R and a_i ~ U[(i-1)/R, i/R]: x_i^0 = e^{a_i h} x + (e^{a_i h}-1) s_t(x), then K times
    x_i^k = e^{a_i h} (x + sum_{j<i} w_j s_j) + (e^{(a_i - lo_i) h} - 1) s_i with s_j = s_{t-a_j h}(x_j^{k-1}),
    w_j = e^{-lo_j h}(1 - e^{-d}), lo_j = (j-1)/R; finally x' = e^h x + d sum_i e^{(1-a_i)h} s_{t-a_i h}(x_i^K).
    A round costs O(R), by prefix sums.

    Source: Gupta, Cai, Chen 2024, the parallel predictor [recalled; the number that the paper gives it is not known].
    ``strata=1, rounds=0`` is the randomized midpoint. K+2 rounds, 1+(K+1)R evaluations.

    Parameters
    ----------
    x : array, shape (..., d)
        The state at noise level t.
    strata, rounds : int
        R >= 1 and K >= 0.

    Examples
    --------
    >>> from rmverify.plans import footprint
    >>> footprint(parallel_midpoint(strata=8, rounds=2)).evaluations
    25
    """
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@scheme
def parallel_overdamped(x: Any, t: Any, h: Any, score: Score, draw: Draw, *, strata: Any, rounds: Any) -> Any:
    r"""Randomized midpoints of overdamped Langevin in R strata, all at once, improved by K Picard rounds.

    With a_i ~ U[(i-1)/R, i/R], lo_i = (i-1)/R and one Brownian path B: x_i^0 = x + a_i h s_t(x) + sqrt(2) B_{a_i h},
    then K times x_i^k = x + (h/R) sum_{j<i} s_j + (a_i - lo_i) h s_i + sqrt(2) B_{a_i h} with s_j = s_t(x_j^{k-1});
    finally x' = x + (h/R) sum_i s_t(x_i^K) + sqrt(2) B_h.

    Source: Yu and Dalalyan 2024 [recalled], their Q is K + 2. ``strata=1, rounds=0`` is the overdamped randomized
    midpoint. K+2 rounds, 1+(K+1)R evaluations.

    Parameters
    ----------
    x : array, shape (..., d)
    t : number
        The noise level, kept.
    h : number
        Langevin time.
    strata, rounds : int
        R >= 1 and K >= 0.

    Examples
    --------
    >>> from rmverify.plans import footprint
    >>> footprint(parallel_overdamped(strata=8, rounds=2)).evaluations
    25
    """
    lo, a = draw.strata(strata)
    w, w_half = draw.normal(path_noise(h / strata, (a - lo) * h), count=strata)
    path = prefix(w) + w_half
    half = x + a * h * score(t, x) + path
    for _ in range(rounds):
        s = score(t, half)
        half = x + h / strata * prefix(s) + (a - lo) * h * s + path
    return x + h / strata * total(score(t, half)) + total(w)


@scheme(kinetic=True, rounds=1)
def parallel_underdamped(
    state: Any, t: Any, h: Any, score: Score, draw: Draw, *, cells: Any, rounds: Any, friction: Any, mass: Any = 1
) -> Any:
    r"""Underdamped Langevin over M cells of a step, by K Picard rounds on one Brownian path.

    With n = h/M, E = e^{-gn}, p = (1-E)/g, q = (n-p)/g and one draw (W_v,j, W_x,j) per cell, every round scans
    v_{j+1} = E v_j + u p s_j + W_v,j and x_{j+1} = x_j + p v_j + u q s_j + W_x,j from (x, v), with s_j the score at
    the last round's x_j; the first round sees x on every cell.

    Source: Anari, Chewi, Vuong 2024 [recalled]. ``cells=1, rounds=1`` is the underdamped step; rounds >= cells is
    that many underdamped steps of length n. K rounds (K >= 1), 1+(K-1)M evaluations. The scans are
    prefix sums weighted by e^{gn(j+1)}: g h must stay below 700 (88 in single precision).

    Examples
    --------
    >>> from rmverify.plans import footprint
    >>> footprint(parallel_underdamped(cells=8, rounds=3, friction=2)).evaluations
    17
    """
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p = step * phi1(-z)
    q = step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))
