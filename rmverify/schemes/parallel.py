"""Parallel schemes: each round asks the score once, on an array with a new leading axis of strata or cells.

On parallel hardware the number of rounds takes time, and not what is asked in each of them.
"""

from __future__ import annotations

from typing import Any

from rmverify.elementary import exp, expm1, joined, phi1, phi2, prefix, split, total
from rmverify.schemes.contract import Draw, Score, scheme
from rmverify.schemes.langevin import kinetic_noise, path_noise
from rmverify.schemes.probability_flow import ddim

__all__ = [
    "parallel_langevin",
    "parallel_midpoint",
    "parallel_overdamped",
    "parallel_slices",
    "parallel_underdamped",
    "parareal",
]


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


@scheme
def parallel_langevin(x: Any, t: Any, h: Any, score: Score, draw: Draw, *, cells: Any, rounds: Any) -> Any:
    r"""Unadjusted Langevin over M cells of a step, by K Picard rounds on one Brownian path.

    With n = h/M and one draw W_j ~ N(0, 2n) per cell, x_j = x + sum_{i<j} (n s_i + W_i) in every round, s_i the score
    at the last round's x_i; the first round sees x on every cell.

    Source: Anari, Chewi, Vuong 2024, Algorithm 1 [recalled; its step, cells and rounds found]. ``rounds=1`` is the
    overdamped step; rounds >= cells is that many overdamped steps of length n. K rounds (K >= 1), 1+(K-1)M evaluations.

    Examples
    --------
    >>> from rmverify.plans import footprint
    >>> footprint(parallel_langevin(cells=8, rounds=3)).evaluations
    17
    """
    step = h / cells
    (w,) = draw.normal(((2 * step,),), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        s = score(t, x + prefix(step * s + w))
    return x + total(step * s + w)


@scheme
def parareal(
    x: Any, t: Any, h: Any, score: Score, draw: Draw, *, blocks: Any, fine: Any, sweeps: Any, power: Any = 1
) -> Any:
    r"""SRDS: DDIM over all of [t-h, t] in B blocks of m fine steps, by parareal.

    The levels are t - h + h (i/N)^power, i = N..0, N = B m. G is one DDIM step over a block, F its m fine ones. First
    x_{n+1} = G(x_n), n = 0..B-1; then K times, with the fine steps of all blocks at once, x_{n+1}^{k+1} =
    G(x_n^{k+1}) + F(x_n^k) - G(x_n^k).

    Source: Selvam, Merchant, Ermon 2024, Algorithm 1 [found in summaries], with sqrt(N) blocks of sqrt(N) steps. After
    k sweeps the first k blocks, after B all of them, are the N sequential steps. B + K (m + B) rounds; where each
    block goes on as soon as it can (pipelined) B + K (m - 1).

    Parameters
    ----------
    x : array, shape (..., d)
        The state at noise level t.
    blocks, fine : int
        B, m >= 1.
    sweeps : int
        K >= 0.
    power : int
        1 for equal steps in t; 2 for those of timesteps on a schedule with beta linear in the time.

    Examples
    --------
    >>> from rmverify.plans import footprint
    >>> foot = footprint(parareal(blocks=4, fine=4, sweeps=2))
    >>> foot.rounds, foot.evaluations
    (20, 44)
    """
    end, unit = t - h, h / (blocks * fine) ** power
    one = draw.cells(1) + 1
    left = [(blocks - n) * fine for n in range(blocks)]  # steps to go
    coarse_steps = [(end + i**power * unit, (i**power - (i - fine) ** power) * unit) for i in left]
    togo = joined(*(i * one for i in left))
    points, coarse = [one * x], []
    for step in coarse_steps:
        coarse.append(ddim(points[-1], *step, score, draw))
        points.append(coarse[-1])
    for _ in range(sweeps):
        y = joined(*points[:-1])
        for m in range(fine):
            level = (togo - m) ** power
            y = ddim(y, end + level * unit, (level - (togo - (m + 1)) ** power) * unit, score, draw)
        last, coarse, points = coarse, [], points[:1]
        for step, f, g in zip(coarse_steps, split(y, blocks), last, strict=True):
            coarse.append(ddim(points[-1], *step, score, draw))
            points.append(coarse[-1] + (f - g))
    return total(points[-1])


@scheme(rounds=1)
def parallel_slices(
    x: Any, t: Any, h: Any, score: Score, draw: Draw, *, slices: Any, cells: Any, rounds: Any, inner: Any = 1
) -> Any:
    r"""The probability flow over all of [t-h, t] in S slices of M cells, by Picard rounds along anti-diagonals.

    A slice starts where the slice before it ends: x^{n,m} = e^{mc} (x^n + sum_{i<m} e^{-(i+1)c} (e^c-1) s^{n,i}), c the
    length of a cell, and x^{n+1} the same at m = M. First one score in each slice, one slice after the other; then the
    j-th visit to slice n, at the same time as the (j+1)-th to slice n-1, does P Picard rounds on it, from the end of
    slice n-1 after its j-th visit; J visits to each.

    Source: Zhou, Sugiyama 2024, Algorithm 2 [its schedule and its S + (S+J-1) P rounds found in a summary]; theirs
    follows the reverse SDE, this one its probability flow. S + J S P M evaluations.

    Parameters
    ----------
    x : array, shape (..., d)
        The state at noise level t.
    slices, cells : int
        S, M >= 1, of equal length in t.
    rounds, inner : int
        J, P >= 1.

    Examples
    --------
    >>> from rmverify.plans import footprint
    >>> foot = footprint(parallel_slices(slices=4, cells=8, rounds=3, inner=2))
    >>> foot.rounds, foot.evaluations
    (16, 196)
    """
    end, length = t - h, h / slices
    c = length / cells
    m = draw.cells(cells)
    grown, weight, whole = exp(m * c), exp(-(m + 1) * c) * expm1(c), exp(length)
    levels = [end + (length * (slices - n) - m * c) for n in range(slices)]
    starts, points = [x], []
    for n in range(slices):
        s = score(end + length * (slices - n), starts[n])
        points.append(grown * starts[n] + expm1(m * c) * s)
        starts.append(whole * starts[n] + expm1(length) * s)
    for wave in range(slices + rounds - 1):
        active = range(max(0, wave - rounds + 1), min(slices, wave + 1))
        old = list(starts)
        for p in range(inner):
            asked = score(joined(*(levels[n] for n in active)), joined(*(points[n] for n in active)))
            for n, s in zip(active, split(asked, len(active)), strict=True):
                points[n] = grown * (old[n] + prefix(weight * s))
                if p == inner - 1:
                    starts[n + 1] = whole * (old[n] + total(weight * s))
    return starts[slices]
