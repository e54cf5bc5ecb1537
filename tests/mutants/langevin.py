"""Mutants of the correctors' drift: coefficients, mass, friction, signs."""

from __future__ import annotations

from functools import partial

from mutants import patch

# --- underdamped ------------------------------------------------------------------------------------------------

kinetic = partial(patch, of="underdamped")
kinetic("velocity_decay_missing", "exp(-z) * v", "v", killed_by="free_motion")
kinetic("position_by_the_undamped_velocity", "x + p * v", "x + h * v", killed_by="free_motion")
kinetic(
    "position_by_the_new_velocity",
    "return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v",
    "new = exp(-z) * v + mass * p * s + w_v\n    return x + h * new + w_x, new",
    killed_by="langevin_noise",
)
kinetic("p_for_q", "mass * q * s", "mass * p * s", killed_by="langevin_drift")
kinetic("q_for_p", "mass * p * s", "mass * q * s", killed_by="started_invariant")
kinetic("mass_forgotten_in_the_position", "mass * q * s", "q * s", killed_by="started_invariant")
kinetic("mass_forgotten_in_the_velocity", "mass * p * s", "p * s", killed_by="langevin_drift")
kinetic("friction_forgotten_in_the_push", "phi2(-z)", "phi2(-h)", killed_by="langevin_drift")
kinetic("push_without_damping", "mass * p * s", "mass * h * s", killed_by="started_invariant")
kinetic("gradient_for_score", "s = score(t, x)", "s = -score(t, x)", killed_by="langevin_drift")

# --- overdamped -------------------------------------------------------------------------------------------------

patch("overdamped_half_drift", "h * score", "h / 2 * score", of="overdamped", killed_by="langevin_drift")

# --- overdamped randomized midpoint ----------------------------------------------------------------------------

midpoint = partial(patch, of="overdamped_midpoint")
midpoint("overdamped_midpoint_without_noise", " + w_half", "", killed_by="kept_variance")
midpoint(
    "overdamped_midpoint_with_a_noise_of_its_own",
    "+ w_half",
    "+ draw.normal(((2 * a * h,),))[0]",
    killed_by="langevin_noise",
)
midpoint(
    "overdamped_midpoint_moved_by_the_whole_step", "x + a * h * score", "x + h * score", killed_by="langevin_drift"
)
midpoint("overdamped_midpoint_halved", "x + a * h * score", "x + a * h / 2 * score", killed_by="kept_variance")
midpoint("overdamped_midpoint_noise_of_the_end", "path_noise(h, a * h)", "path_noise(h, h)", killed_by="langevin_noise")
midpoint(
    "overdamped_midpoint_score_by_the_midpoint",
    "h * score(t, half)",
    "a * h * score(t, half)",
    killed_by="langevin_drift",
)
midpoint(
    "overdamped_midpoint_kept_from_the_ends",
    "a = draw.uniform()",
    "a = 0.99 * draw.uniform()",
    killed_by="langevin_drift",
)

# --- Poisson midpoint -------------------------------------------------------------------------------------------

poisson = partial(patch, of="poisson_midpoint")
poisson("chosen_twice_as_often", "1 / (cells", "2 / (cells", killed_by="langevin_drift")
poisson("correction_of_one_cell", "push + draw", "push + 1 / cells * draw", killed_by="langevin_drift")
poisson("correction_without_the_start", "+ path) - s)", "+ path))", killed_by="langevin_drift")
poisson("points_without_their_path", "* s + path)", "* s)", killed_by="langevin_noise")
poisson("points_a_cell_late", "x + i * h", "x + (i + 1) * h", killed_by="kept_variance")
poisson("points_at_the_start", "x + i * h / cells * s + path", "x + path", killed_by="kept_variance")
poisson("path_of_whole_steps", "2 * h / cells", "2 * h", killed_by="langevin_noise")
poisson("choices_between_all_and_nothing", "(score(t, x +", "cells * (score(t, x +", killed_by="langevin_drift")

# --- stochastic Runge-Kutta and Hamiltonian Monte Carlo ---------------------------------------------------------

runge = partial(patch, of="stochastic_runge_kutta")
runge("runge_kutta_without_the_second_noise", "h / 6", "0 * h", killed_by="kept_variance")
runge("runge_kutta_second_noise_of_twelve", "h / 6", "h / 12", killed_by="kept_variance")
runge("runge_kutta_noises_on_one_side", "w / 2 - away", "w / 2 + away", killed_by="langevin_noise")
runge("runge_kutta_second_point_at_the_start", "x + h * score(t, x) + w", "x + w", killed_by="langevin_drift")
runge("runge_kutta_whole_noise_inside", "x + w / 2 + away", "x + w + away", killed_by="langevin_noise")
runge("runge_kutta_one_point_twice", "score(t, second)", "score(t, first)", killed_by="langevin_drift")

hmc = partial(patch, of="stratified_hmc")
hmc("force_at_the_start", "x + a * h * v", "x + 0 * a * h * v", killed_by="kept_moments")
hmc("force_at_the_end", "x + a * h * v", "x + (1 + 0 * a) * h * v", killed_by="langevin_drift")
hmc("force_in_the_middle", "draw.uniform()", "(1 + 0 * draw.uniform()) / 2", killed_by="kept_moments")
hmc("position_pushed_twice", "h * h / 2 * force", "h * h * force", killed_by="langevin_drift")
hmc("position_pushed_by_the_midpoint", "h * h / 2 * force", "a * h * h * force", killed_by="kept_moments")
hmc("force_without_its_mass", "mass * score", "score", killed_by="langevin_drift")

# --- randomized midpoint ----------------------------------------------------------------------------------------

randomized = partial(patch, of="randomized_midpoint_langevin")
randomized("midpoint_gradient_sign", "+ mass * b * b", "- mass * b * b", killed_by="started_invariant")
randomized("midpoint_mass_forgotten", "mass * b * b", "b * b", killed_by="langevin_drift")
randomized(
    "midpoint_moved_by_the_whole_step",
    "x + b * phi1(-friction * b) * v",
    "x + h * phi1(-friction * h) * v",
    killed_by="langevin_drift",
)
randomized(
    "midpoint_score_of_the_start",
    "x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1",
    "x",
    killed_by="started_invariant",
)
randomized(
    "output_weight_over_the_first_part",
    "mass * h * p",
    "mass * h * b * phi1(-friction * b)",
    killed_by="langevin_drift",
)
randomized("velocity_push_not_decayed", "mass * h * decay", "mass * h", killed_by="started_invariant")

# --- Euler and Maruyama ------------------------------------------------------------------------------------------

plain = partial(patch, of="underdamped_euler")
plain("euler_position_by_the_new_velocity",
      "return x + h * v, (1 - friction * h) * v + mass * h * score(t, x) + w",
      "new = (1 - friction * h) * v + mass * h * score(t, x) + w\n    return x + h * new, new",
      killed_by="langevin_drift")  # fmt: skip
plain("euler_mass_forgotten_in_the_force", "+ mass * h * score", "+ h * score", killed_by="langevin_drift")
plain("euler_friction_missing", "(1 - friction * h) * v", "v", killed_by="langevin_drift")
plain("euler_friction_implicit", "(1 - friction * h) * v", "v / (1 + friction * h)", killed_by="langevin_drift")
plain("euler_gradient_for_score", "+ mass * h * score", "- mass * h * score", killed_by="langevin_drift")
plain("euler_mass_forgotten_in_the_noise", "2 * friction * mass * h", "2 * friction * h", killed_by="langevin_noise")
plain("euler_noise_without_the_two", "2 * friction * mass * h", "friction * mass * h", killed_by="langevin_noise")
plain("euler_noise_without_friction", "2 * friction * mass * h", "2 * mass * h", killed_by="langevin_noise")
