"""Mutants of the parallel schemes: strata, cells, Picard rounds and their weights."""

from __future__ import annotations

from mutants import mutant
from rmverify.elementary import exp, expm1, phi1, phi2, prefix, total
from rmverify.schemes.langevin import kinetic_noise

# --- parallel midpoints -----------------------------------------------------------------------------------------


@mutant(of="parallel_midpoint", killed_by="points_on_the_flow")
def own_stratum_counted_whole(x, t, h, score, draw, *, strata, rounds):
    """The cut max(e^{a_i h - jd}, 1) omitted: the weight of the own stratum runs past the midpoint."""
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + exp(a * h) * w * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="points_on_the_flow")
def own_stratum_missing(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        half = exp(a * h) * (x + prefix(w * score(t - a * h, half)))
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="bias_constant")
def prefix_inclusive(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s) + w * s) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="score_calls")
def asked_at_the_left_end(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - lo * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - lo * h, half))


@mutant(of="parallel_midpoint", killed_by="unbiased")
def output_weight_of_the_left_end(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - lo) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="unbiased")
def output_of_one_stratum_more(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / (strata + 1) * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="points_on_the_flow")
def stratum_weight_not_placed(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = 0 * lo - expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="points_on_the_flow")
def stratum_weight_by_the_length(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = exp(-lo * h) * h / strata
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="bias_constant")
def one_round_missing(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds - 1):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="variance_constant")
def strata_forgotten(x, t, h, score, draw, *, strata, rounds):
    """All midpoints spread over the first stratum's image of the whole step: a_i -> R (a_i - lo_i)."""
    lo, a = draw.strata(strata)
    a = strata * (a - lo)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        half = exp(a * h) * x + expm1(a * h) * score(t - a * h, half)
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="reduces")
def midpoints_without_growth(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = 0 * a + x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


# --- parallel underdamped ---------------------------------------------------------------------------------------


@mutant(of="parallel_underdamped", killed_by="langevin_noise")
def fresh_noise_in_every_round(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
        w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))


@mutant(of="parallel_underdamped", killed_by="free_motion")
def one_cell_missing(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / (cells + 1)
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))


@mutant(of="parallel_underdamped", killed_by="score_calls")
def picard_round_missing(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 2):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))


@mutant(of="parallel_underdamped", killed_by="reduces")
def score_after_the_cell(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        moved = p * velocity + mass * q * s + w_x
        s = score(t, x + prefix(moved) + moved)
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))


@mutant(of="parallel_underdamped", killed_by="free_motion")
def position_by_the_velocity_after_the_cell(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * (j + 1)) * (v + prefix(push) + push)
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))


@mutant(of="parallel_underdamped", killed_by="free_motion")
def cell_noise_decays_once_more(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * j) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * j) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))


@mutant(of="parallel_underdamped", killed_by="langevin_drift")
def cells_pushed_by_the_first_score(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    first = s = score(t, x)
    for _ in range(rounds - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * first + w_x), exp(-z * cells) * (v + total(push))
