"""Mutants that are right at most places: wrong at some levels, parameters, midpoints or particles only, in floats only,
or in what they keep from one step to the next."""

from __future__ import annotations

import math

import numpy as np

from mutants import mutant
from rmverify.elementary import exp, expm1, phi1, phi2, prefix, sqrt, total
from rmverify.schemes.langevin import kinetic_noise

KEPT = {}
RNG = np.random.default_rng(7)


def midpoint_step(x, t, h, score, a, weight=1):
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + weight * h * exp((1 - a) * h) * score(t - a * h, half)


# --- particles, and what is kept between steps -------------------------------------------------------------------


@mutant(of="randomized_midpoint", killed_by="every_place")
def one_midpoint_for_all_particles(x, t, h, score, draw):
    return midpoint_step(x, t, h, score, draw.uniform()[:1])


@mutant(of="randomized_midpoint", killed_by="every_place")
def start_changed_in_place(x, t, h, score, draw):
    a = draw.uniform()
    s = score(t, x)
    half = x
    half *= exp(a * h)
    half += expm1(a * h) * s
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="every_place")
def midpoint_kept_in_the_module(x, t, h, score, draw):
    return midpoint_step(x, t, h, score, KEPT.setdefault(("once", len(x)), draw.uniform()))


@mutant(of="randomized_midpoint", killed_by="every_place")
def antithetic_to_the_step_before(x, t, h, score, draw):
    a, before = draw.uniform(), KEPT.pop(("last", len(x)), None)
    if before is None:
        KEPT["last", len(x)] = a
        return midpoint_step(x, t, h, score, a)
    return midpoint_step(x, t, h, score, 1 - before)


@mutant(of="randomized_midpoint", killed_by="every_place")
def midpoint_of_its_own(x, t, h, score, draw):
    draw.uniform()
    return midpoint_step(x, t, h, score, RNG.random((len(x), 1)))


@mutant(of="overdamped", killed_by="every_place")
def noise_of_its_own(x, t, h, score, draw):
    draw.normal(((2 * h,),))
    return x + h * score(t, x) + sqrt(2 * h) * RNG.standard_normal(x.shape)


@mutant(of="overdamped", killed_by="every_place")
def noise_correlated_between_steps(x, t, h, score, draw):
    (z,) = draw.normal(((1,),))
    w = 0.8 * z + 0.6 * KEPT.get(("noise", x.shape), z * 0)
    KEPT["noise", x.shape] = w
    return x + h * score(t, x) + sqrt(2 * h) * w


@mutant(of="underdamped", killed_by="every_place")
def kicks_correlated_between_steps(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    before = KEPT.get(("kick", x.shape), 0 * w_v)
    KEPT["kick", x.shape] = w_v
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + 0.6 * w_v + 0.8 * before


# --- levels and midpoints ----------------------------------------------------------------------------------------


@mutant(of="randomized_midpoint", killed_by="every_place")
def too_much_score_near_the_data(x, t, h, score, draw):
    return midpoint_step(x, t, h, score, draw.uniform(), weight=1.25 if t < 0.1 else 1)


@mutant(of="randomized_midpoint", killed_by="every_place")
def wrong_on_a_narrow_band_of_levels(x, t, h, score, draw):
    return midpoint_step(x, t, h, score, draw.uniform(), weight=1.25 if 0.0119 < t < 0.0125 else 1)


@mutant(of="randomized_midpoint", killed_by="every_place")
def wrong_for_late_midpoints(x, t, h, score, draw):
    a = draw.uniform()
    return midpoint_step(x, t, h, score, a, weight=1 + (np.asarray(a, dtype=float) > 0.99) / 4)


@mutant(of="randomized_midpoint", killed_by="every_place")
def single_precision_inside(x, t, h, score, draw):
    out = midpoint_step(x, t, h, score, draw.uniform())
    return np.asarray(out, dtype=np.float32).astype(np.float64)


@mutant(of="randomized_midpoint", killed_by="every_place")
def wrong_off_centre(x, t, h, score, draw):
    return midpoint_step(x, t, h, score, draw.uniform()) + h**3 * score(t, 0 * x)


@mutant(of="midpoint", killed_by="every_place")
def half_as_much_score_again_near_the_data(x, t, h, score, draw):
    return midpoint_step(x, t, h, score, 1 / 2, weight=1.5 if t < 0.1 else 1)


@mutant(of="midpoint", killed_by="every_place")
def score_of_the_start_far_out(x, t, h, score, draw):
    half = exp(h / 2) * x + expm1(h / 2) * score(t, x)
    return exp(h) * x + h * exp(h / 2) * score(t if t > 1.5 else t - h / 2, half)


@mutant(of="heun", killed_by="every_place")
def euler_near_the_data(x, t, h, score, draw):
    slope = x + score(t, x)
    y = x + h * slope
    last = y + score(t - h, y)
    return x + h * slope if t < 0.1 else x + h / 2 * (slope + last)


@mutant(of="exponential_integrator", killed_by="every_place")
def an_error_of_second_order_far_out(x, t, h, score, draw):
    return exp(h) * x + (expm1(h) + (h * h / 8 if t > 2 else 0)) * score(t, x)


@mutant(of="euler", killed_by="every_place")
def a_longer_step_at_high_levels(x, t, h, score, draw):
    return x + (h if t < 2 else h * 1.0001) * (x + score(t, x))


# --- parameters --------------------------------------------------------------------------------------------------


@mutant(of="underdamped", killed_by="every_place")
def heavy_mass_dropped_from_the_force(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    s = (mass if mass <= 2 else 1) * score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + h * phi1(-z) * v + h * h * phi2(-z) * s + w_x, exp(-z) * v + h * phi1(-z) * s + w_v


@mutant(of="underdamped", killed_by="every_place")
def decay_of_the_velocity_by_two_terms(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    s = mass * score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + h * phi1(-z) * v + h * h * phi2(-z) * s + w_x, (1 - z + z * z / 2) * v + h * phi1(-z) * s + w_v


@mutant(of="underdamped", killed_by="every_place")
def friction_capped(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    friction = friction if friction < 3 else 3
    z = friction * h
    s = mass * score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + h * phi1(-z) * v + h * h * phi2(-z) * s + w_x, exp(-z) * v + h * phi1(-z) * s + w_v


@mutant(of="underdamped", killed_by="every_place")
def phi2_of_six_terms(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    q = h * h * sum((-z) ** k / math.factorial(k + 2) for k in range(6))
    s = mass * score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + h * phi1(-z) * v + q * s + w_x, exp(-z) * v + h * phi1(-z) * s + w_v


@mutant(of="randomized_midpoint_langevin", killed_by="every_place")
def light_mass_forgotten(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    u = mass if mass > 1 / 8 else 1
    half = x + b * phi1(-friction * b) * v + u * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = mass * score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + h * decay * s + decay * v_1 + v_2,
    )


def strata_step(x, t, h, score, draw, strata, rounds, weight=1):
    lo, a = draw.strata(strata)
    w = -weight * exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - a * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


@mutant(of="parallel_midpoint", killed_by="every_place")
def three_rounds_at_most(x, t, h, score, draw, *, strata, rounds):
    return strata_step(x, t, h, score, draw, strata, min(rounds, 3))


@mutant(of="parallel_midpoint", killed_by="every_place")
def weight_of_many_strata(x, t, h, score, draw, *, strata, rounds):
    return strata_step(x, t, h, score, draw, strata, rounds, weight=1 if strata <= 64 else 65 / 64)


@mutant(of="parallel_underdamped", killed_by="every_place")
def three_rounds_over_the_cells_at_most(state, t, h, score, draw, *, cells, rounds, friction, mass=1):
    x, v = state
    j = draw.cells(cells)
    step = h / cells
    z = friction * step
    p, q = step * phi1(-z), step * step * phi2(-z)
    w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)
    s = score(t, x)
    for _ in range(min(rounds, 3) - 1):
        velocity = exp(-z * j) * (v + prefix(exp(z * (j + 1)) * (mass * p * s + w_v)))
        s = score(t, x + prefix(p * velocity + mass * q * s + w_x))
    push = exp(z * (j + 1)) * (mass * p * s + w_v)
    velocity = exp(-z * j) * (v + prefix(push))
    return x + total(p * velocity + mass * q * s + w_x), exp(-z * cells) * (v + total(push))
