"""Mutants of the noise: its scale, its covariance, and which draw is used where."""

from __future__ import annotations

from functools import partial

from mutants import patch
from rmverify.schemes.langevin import kinetic_noise

# --- scale ------------------------------------------------------------------------------------------------------

overdamped = partial(patch, of="overdamped", killed_by="langevin_noise")
overdamped("overdamped_deviation_as_the_step", "((2 * h,),)", "((2 * h * h,),)")
overdamped("overdamped_without_the_two", "((2 * h,),)", "((h,),)")

# --- the covariance of the kinetic noise ------------------------------------------------------------------------

covariance = partial(patch, of="underdamped", inside=kinetic_noise)
covariance(
    "variances_swapped",
    "((mass * v_v, mass * v_x), (mass * v_x, mass * x_x))",
    "((mass * x_x, mass * v_x), (mass * v_x, mass * v_v))",
    killed_by="free_motion",
)
covariance("cross_covariance_sign", "v_x = friction", "v_x = -friction", killed_by="free_motion")
covariance("cross_covariance_forgotten", "v_x = friction", "v_x = 0 * friction", killed_by="noise_schur")
covariance("cross_covariance_not_squared", "friction * p * p", "p", killed_by="free_motion")
covariance("cross_covariance_friction_forgotten", "friction * p * p", "p * p", killed_by="noise_schur")
covariance("position_variance_without_the_two", "x_x = h", "x_x = h / 2", killed_by="langevin_noise")
covariance("velocity_variance_linear", "-expm1(-2 * z)", "2 * z", killed_by="started_invariant")
covariance("velocity_decays_once", "-expm1(-2 * z)", "-expm1(-z)", killed_by="started_invariant")
# the closed form itself: right in exact arithmetic, lost to cancellation at small friction times h
covariance(
    "position_variance_as_printed",
    "h * h * z * (8 * phi3(-2 * z) - 4 * phi3(-z))",
    "(2 * h - (3 - 4 * exp(-z) + exp(-z) * exp(-z)) / friction) / friction",
    killed_by="noise_in_floats",
)

noisy = partial(patch, of="underdamped", killed_by="free_motion")
noisy("mass_forgotten", "kinetic_noise(h, friction, mass)", "kinetic_noise(h, friction, 1)")
noisy("mass_as_a_deviation", "kinetic_noise(h, friction, mass)", "kinetic_noise(h, friction, mass * mass)")
noisy("friction_forgotten", "kinetic_noise(h, friction, mass)", "kinetic_noise(h, 1, mass)")
noisy("components_swapped", "w_v, w_x =", "w_x, w_v =")

# --- which draw is used where: the randomized midpoint ----------------------------------------------------------

randomized = partial(patch, of="randomized_midpoint_langevin")
SECOND = "draw.normal(kinetic_noise(c, friction, mass))"
randomized("one_draw_for_both_intervals", SECOND, "v_1, x_1", killed_by="free_motion")
randomized(
    "both_noises_over_the_first_part", SECOND, "draw.normal(kinetic_noise(b, friction, mass))", killed_by="free_motion"
)
randomized(
    "fresh_noise_at_the_midpoint",
    "score(t, x) + x_1",
    "score(t, x) + draw.normal(kinetic_noise(b, friction, mass))[1]",
    killed_by="langevin_noise",
)
randomized("no_noise_at_the_midpoint", "score(t, x) + x_1", "score(t, x)", killed_by="started_invariant")
# Var W_2 with e^{-2g ah} where the integral over the whole step gives e^{-2gh}
randomized(
    "displacement_noise_decays_with_the_midpoint",
    f"v_2, x_2 = {SECOND}",
    """(v_v, v_x), (_, x_x) = kinetic_noise(c, friction, mass)
    wrong = mass * (exp(-2 * friction * b) - exp(-2 * friction * h)) / (friction * friction)
    v_2, x_2 = draw.normal(((v_v, v_x), (v_x, x_x - wrong)))""",
    killed_by="free_motion",
)
randomized("carried_velocity_noise_forgotten", "x_1 + p * v_1 + x_2", "x_1 + x_2", killed_by="free_motion")
randomized("first_velocity_noise_not_decayed", "decay * v_1", "v_1", killed_by="noise_schur")
# W_2 = (G_1 + G_2) - e^{-g ah} (H_1 + H_2) with e^{-g ah} where e^{-gh} belongs: as a published library has it
randomized(
    "displacement_decays_only_to_the_midpoint",
    "x_1 + p * v_1 + x_2",
    "x_1 + x_2 - c * phi1(friction * c) * v_2",
    killed_by="free_motion",
)
