"""Mutants of the noise: its scale, its covariance, and which draw is used where."""

from __future__ import annotations

from mutants import mutant
from rmverify.elementary import exp, phi1, phi2
from rmverify.schemes.langevin import kinetic_noise

# --- scale ------------------------------------------------------------------------------------------------------


@mutant(of="overdamped", killed_by="langevin_noise")
def overdamped_deviation_as_the_step(x, t, h, score, draw):
    (w,) = draw.normal(((2 * h * h,),))
    return x + h * score(t, x) + w


@mutant(of="overdamped", killed_by="langevin_noise")
def overdamped_without_the_two(x, t, h, score, draw):
    (w,) = draw.normal(((h,),))
    return x + h * score(t, x) + w


# --- the covariance of the kinetic noise ------------------------------------------------------------------------


def underdamped_with(noise):
    """The underdamped step with another covariance of (W_v, W_x); its name is the noise's."""

    def step(state, t, h, score, draw, *, friction, mass=1):
        x, v = state
        z = friction * h
        p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
        w_v, w_x = draw.normal(noise(h, friction, mass))
        return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v

    step.__name__ = step.__qualname__ = noise.__name__
    step.__code__ = step.__code__.replace(co_firstlineno=noise.__code__.co_firstlineno)
    return step


def noise_mutant(killed_by):
    def register(noise):
        return mutant(of="underdamped", killed_by=killed_by)(underdamped_with(noise))

    return register


@noise_mutant("free_motion")
def variances_swapped(h, friction, mass):
    (v_v, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((x_x, v_x), (v_x, v_v))


@noise_mutant("free_motion")
def cross_covariance_sign(h, friction, mass):
    (v_v, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((v_v, -v_x), (-v_x, x_x))


@noise_mutant("noise_schur")
def cross_covariance_forgotten(h, friction, mass):
    (v_v, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((v_v, 0 * v_x), (0 * v_x, x_x))


@noise_mutant("free_motion")
def cross_covariance_not_squared(h, friction, mass):
    (v_v, _), (_, x_x) = kinetic_noise(h, friction, mass)
    p = mass * h * phi1(-friction * h)
    return ((v_v, p), (p, x_x))


@noise_mutant("noise_schur")
def cross_covariance_friction_forgotten(h, friction, mass):
    (v_v, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((v_v, v_x / friction), (v_x / friction, x_x))


@noise_mutant("langevin_noise")
def position_variance_without_the_two(h, friction, mass):
    (v_v, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((v_v, v_x), (v_x, x_x / 2))


@noise_mutant("started_invariant")
def velocity_variance_linear(h, friction, mass):
    (_, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((2 * mass * friction * h, v_x), (v_x, x_x))


@noise_mutant("started_invariant")
def velocity_decays_once(h, friction, mass):
    (_, v_x), (_, x_x) = kinetic_noise(h, friction, mass)
    return ((mass * friction * h * phi1(-friction * h), v_x), (v_x, x_x))


@noise_mutant("free_motion")
def mass_forgotten(h, friction, mass):
    return kinetic_noise(h, friction, 1)


@noise_mutant("free_motion")
def mass_as_a_deviation(h, friction, mass):
    return kinetic_noise(h, friction, mass * mass)


@noise_mutant("free_motion")
def friction_forgotten(h, friction, mass):
    return kinetic_noise(h, 1, mass)


@noise_mutant("noise_in_floats")
def position_variance_as_printed(h, friction, mass):
    """The closed form itself: right in exact arithmetic, lost to cancellation at small friction times h."""
    (v_v, v_x), _ = kinetic_noise(h, friction, mass)
    E = exp(-friction * h)
    return ((v_v, v_x), (v_x, mass * (2 * h - (3 - 4 * E + E * E) / friction) / friction))


@mutant(of="underdamped", killed_by="free_motion")
def components_swapped(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    z = friction * h
    p, q, s = h * phi1(-z), h * h * phi2(-z), score(t, x)
    w_x, w_v = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v


# --- which draw is used where: the randomized midpoint ----------------------------------------------------------


@mutant(of="randomized_midpoint_langevin", killed_by="free_motion")
def one_draw_for_both_intervals(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_1,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_1,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="langevin_noise")
def fresh_noise_at_the_midpoint(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    _, fresh = draw.normal(kinetic_noise(b, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + fresh
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="started_invariant")
def no_noise_at_the_midpoint(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x)
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="free_motion")
def displacement_noise_decays_with_the_midpoint(state, t, h, score, draw, *, friction, mass=1):
    """Var W_2 with e^{-2g ah} where the integral over the whole step gives e^{-2gh}."""
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    (v_v, v_x), (_, x_x) = kinetic_noise(c, friction, mass)
    wrong = mass * (exp(-2 * friction * b) - exp(-2 * friction * h)) / (friction * friction)
    v_2, x_2 = draw.normal(((v_v, v_x), (v_x, x_x - wrong)))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="free_motion")
def both_noises_over_the_first_part(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(b, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="free_motion")
def carried_velocity_noise_forgotten(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="noise_schur")
def first_velocity_noise_not_decayed(state, t, h, score, draw, *, friction, mass=1):
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
        exp(-friction * h) * v + mass * h * decay * s + v_1 + v_2,
    )


@mutant(of="randomized_midpoint_langevin", killed_by="free_motion")
def displacement_decays_only_to_the_midpoint(state, t, h, score, draw, *, friction, mass=1):
    """W_2 = (G_1 + G_2) - e^{-g ah} (H_1 + H_2) with e^{-g ah} where e^{-gh} belongs: as a published library has it."""
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + x_2 - c * phi1(friction * c) * v_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )
