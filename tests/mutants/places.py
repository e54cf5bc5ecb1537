"""Mutants that are right at most places: wrong at some levels, parameters, midpoints or particles only, in floats only,
or in what they keep from one step to the next."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from mutants import mutant, patch
from rmverify.elementary import exp, expm1, phi1, phi2, sqrt
from rmverify.schemes.langevin import kinetic_noise

KEPT = {}
RNG = np.random.default_rng(7)
somewhere = partial(patch, killed_by="every_place")
randomized = partial(somewhere, of="randomized_midpoint")
kinetic = partial(somewhere, of="underdamped")

# --- particles, and what is kept between steps -------------------------------------------------------------------

randomized("one_midpoint_for_all_particles", "draw.uniform()", "draw.uniform()[:1]")
randomized(
    "midpoint_kept_in_the_module", "draw.uniform()", 'KEPT.setdefault(("once", len(x)), draw.uniform())', KEPT=KEPT
)
randomized("midpoint_of_its_own", "draw.uniform()", "(draw.uniform(), RNG.random((len(x), 1)))[1]", RNG=RNG)
somewhere(
    "noise_of_its_own", "x) + w", "x) + sqrt(2 * h) * RNG.standard_normal(x.shape)", of="overdamped", sqrt=sqrt, RNG=RNG
)


@mutant(of="randomized_midpoint", killed_by="every_place")
def start_changed_in_place(x, t, h, score, draw):
    a = draw.uniform()
    s = score(t, x)
    half = x
    half *= exp(a * h)
    half += expm1(a * h) * s
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="every_place")
def antithetic_to_the_step_before(x, t, h, score, draw):
    a, before = draw.uniform(), KEPT.pop(("last", len(x)), None)
    if before is None:
        KEPT["last", len(x)] = a
    else:
        a = 1 - before
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


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

randomized("too_much_score_near_the_data", "+ h * exp", "+ (1.25 if t < 0.1 else 1) * h * exp")
randomized("wrong_on_a_narrow_band_of_levels", "+ h * exp", "+ (1.25 if 0.0119 < t < 0.0125 else 1) * h * exp")
randomized("wrong_for_late_midpoints", "+ h * exp", "+ (1 + (np.asarray(a, dtype=float) > 0.99) / 4) * h * exp", np=np)
randomized(
    "single_precision_inside",
    "return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)",
    "out = exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)\n"
    "    return np.asarray(out, dtype=np.float32).astype(np.float64)",
    np=np,
)
randomized("wrong_off_centre", "score(t - a * h, half)", "score(t - a * h, half) + h**3 * score(t, 0 * x)")
somewhere("half_as_much_score_again_near_the_data", "+ h * exp", "+ (1.5 if t < 0.1 else 1) * h * exp", of="midpoint")
somewhere("score_of_the_start_far_out", "t - h / 2", "t if t > 1.5 else t - h / 2", of="midpoint")
somewhere(
    "euler_near_the_data",
    "return x + h / 2 * (slope + y + score(t - h, y))",
    "last = y + score(t - h, y)\n    return x + h * slope if t < 0.1 else x + h / 2 * (slope + last)",
    of="heun",
)
somewhere(
    "an_error_of_second_order_far_out",
    "expm1(h)",
    "(expm1(h) + (h * h / 8 if t > 2 else 0))",
    of="exponential_integrator",
)
somewhere("a_longer_step_at_high_levels", "h * (x + score", "(h if t < 2 else h * 1.0001) * (x + score", of="euler")

# --- parameters --------------------------------------------------------------------------------------------------

kinetic(
    "heavy_mass_dropped_from_the_force",
    "w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))",
    "w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))\n    mass = mass if mass <= 2 else 1",
)
kinetic("decay_of_the_velocity_by_two_terms", "exp(-z) * v", "(1 - z + z * z / 2) * v")
kinetic("friction_capped", "x, v = state", "x, v = state\n    friction = friction if friction < 3 else 3")
kinetic("phi2_of_six_terms", "phi2(-z)", "sum((-z) ** k / math.factorial(k + 2) for k in range(6))", math=math)
somewhere(
    "light_mass_forgotten", "mass * b * b", "(mass if mass > 1 / 8 else 1) * b * b", of="randomized_midpoint_langevin"
)
somewhere("three_rounds_at_most", "range(rounds)", "range(min(rounds, 3))", of="parallel_midpoint")
somewhere("heavy_mass_of_a_trajectory", "x, v = state", "x, v = state\n    mass = min(mass, 2)", of="stratified_hmc")
somewhere("noise_far_out", "+ w / 2 + away + u", "+ w / 2 + away + u + h * h * (x > 1)", of="stochastic_runge_kutta")
somewhere("cells_beyond_the_fourth_left_out", "range(1, cells)", "range(1, min(cells, 4))", of="poisson_midpoint")
somewhere("three_rounds_of_the_path_at_most", "range(rounds)", "range(min(rounds, 3))", of="parallel_overdamped")
somewhere("weight_of_many_strata", "w = -exp", "w = -(1 if strata <= 64 else 65 / 64) * exp", of="parallel_midpoint")
somewhere(
    "three_rounds_over_the_cells_at_most", "range(rounds - 1)", "range(min(rounds, 3) - 1)", of="parallel_underdamped"
)
