"""Mutants of the correctors' drift: coefficients, mass, friction, signs."""

from __future__ import annotations

from mutants import mutant
from rmverify.elementary import exp, phi1, phi2
from rmverify.schemes.langevin import kinetic_noise

# --- underdamped ------------------------------------------------------------------------------------------------


@mutant(of="underdamped", killed_by="free_motion")
def velocity_decay_missing(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, v + mass * p * s + w_v


@mutant(of="underdamped", killed_by="free_motion")
def position_by_the_undamped_velocity(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + h * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v


@mutant(of="underdamped", killed_by="langevin_noise")
def position_by_the_new_velocity(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, s = h * phi1(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    new = exp(-z) * v + mass * p * s + w_v
    return x + h * new + w_x, new


@mutant(of="underdamped", killed_by="langevin_drift")
def p_for_q(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, s = h * phi1(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * p * s + w_x, exp(-z) * v + mass * p * s + w_v


@mutant(of="underdamped", killed_by="started_invariant")
def q_for_p(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * q * s + w_v


@mutant(of="underdamped", killed_by="started_invariant")
def mass_forgotten_in_the_position(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + q * s + w_x, exp(-z) * v + mass * p * s + w_v


@mutant(of="underdamped", killed_by="langevin_drift")
def mass_forgotten_in_the_velocity(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + p * s + w_v


@mutant(of="underdamped", killed_by="langevin_drift")
def friction_forgotten_in_the_push(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-h), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v


@mutant(of="underdamped", killed_by="started_invariant")
def push_without_damping(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * h * s + w_v


@mutant(of="underdamped", killed_by="langevin_drift")
def gradient_for_score(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), -score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v


# --- overdamped -------------------------------------------------------------------------------------------------


@mutant(of="overdamped", killed_by="langevin_drift")
def overdamped_half_drift(x, t, h, score, draw):
    (w,) = draw.normal(((2 * h,),))
    return x + h / 2 * score(t, x) + w


# --- randomized midpoint ----------------------------------------------------------------------------------------


@mutant(of="randomized_midpoint_langevin", killed_by="started_invariant")
def midpoint_gradient_sign(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v - mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="langevin_drift")
def midpoint_mass_forgotten(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="langevin_drift")
def midpoint_moved_by_the_whole_step(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + h * phi1(-friction * h) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="started_invariant")
def midpoint_score_of_the_start(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    s = score(t, x)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="langevin_drift")
def output_weight_over_the_first_part(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * b * phi1(-friction * b) * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="started_invariant")
def velocity_push_not_decayed(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * s + decay * v_1 + v_2,
    )
