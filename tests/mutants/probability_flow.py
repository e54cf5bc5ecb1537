"""Mutants of the sequential predictors."""

from __future__ import annotations

from functools import partial

from mutants import mutant, patch
from rmverify.elementary import exp

# --- randomized midpoint ----------------------------------------------------------------------------------------

randomized = partial(patch, of="randomized_midpoint")
randomized("output_weight_of_the_other_side", "exp((1 - a) * h)", "exp(a * h)", killed_by="bias_constant")
randomized("output_weight_at_one_half", "exp((1 - a) * h)", "exp(h / 2)", killed_by="unbiased")
randomized("output_weight_forgotten", " * exp((1 - a) * h)", "", killed_by="unbiased")
randomized("output_weight_expm1", "+ h * exp", "+ expm1(h) * exp", killed_by="unbiased")
randomized("midpoint_time_not_moved", "t - a * h", "t", killed_by="score_calls")
randomized("midpoint_time_complemented", "t - a * h", "t - (1 - a) * h", killed_by="bias_constant")
randomized(
    "midpoint_complemented",
    "exp(a * h) * x + expm1(a * h)",
    "exp((1 - a) * h) * x + expm1((1 - a) * h)",
    killed_by="variance_constant",
)
randomized("midpoint_expm1_over_the_whole_step", "expm1(a * h)", "expm1(h)", killed_by="bias_constant")
randomized("midpoint_expm1_missing", "expm1(a * h)", "a * h", killed_by="bias_constant")
# leading bias and variance are right: the next term of the bias is not
randomized("midpoint_expm1_to_second_order", "expm1(a * h)", "(a * h + a * a * h * h / 2)", killed_by="bias_constant")
randomized("midpoint_sign", "+ expm1(a * h)", "- expm1(a * h)", killed_by="points_on_the_flow")
randomized("midpoint_ignored", "exp(a * h) * x + expm1(a * h) * score(t, x)", "x", killed_by="variance_constant")
randomized(
    "midpoint_by_an_euler_step",
    "exp(a * h) * x + expm1(a * h) * score(t, x)",
    "x + a * h * (x + score(t, x))",
    killed_by="bias_constant",
)
randomized("midpoint_redrawn_for_the_output", "exp((1 - a)", "exp((1 - draw.uniform())", killed_by="bias_constant")
randomized(
    "midpoint_not_random", "a = draw.uniform()", "a = (0 * draw.uniform() + 1) / 2", killed_by="variance_constant"
)
randomized("drift_of_the_forward_process", "return exp(h)", "return exp(-h)", killed_by="flow_step")


@mutant(of="randomized_midpoint", killed_by="score_calls")
def score_of_the_start_twice(x, t, h, score, draw):
    a = draw.uniform()
    half = score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * half


# --- importance-sampled midpoint --------------------------------------------------------------------------------

tilted = partial(patch, of="importance_midpoint")
tilted("level_of_a_plain_uniform", "log1p((1 - a) * expm1(h))", "(1 - a) * h", killed_by="score_calls")
tilted("point_of_a_plain_uniform", "(x - a * expm1(-h) * score(t, x)) / (1 - a + a * exp(-h))",
       "exp(a * h) * x + expm1(a * h) * score(t, x)", killed_by="points_on_the_flow")  # fmt: skip
tilted("density_the_other_way_round", "a = draw.uniform()", "a = draw.uniform()\n    a = a / (a + (1 - a) * exp(h))",
       killed_by="unbiased")  # fmt: skip
tilted("weight_of_the_randomized_midpoint", "+ expm1(h) *", "+ h *", killed_by="bias_constant")
tilted("midpoint_in_logarithms_complemented", "(1 - a + a * exp(-h))", "(a + (1 - a) * exp(-h))", killed_by="flow_step")
tilted("midpoint_score_counted_twice", "x - a * expm1(-h)", "x - 2 * a * expm1(-h)", killed_by="bias_constant")
tilted("midpoint_always_in_the_middle", "a = draw.uniform()", "a = (0 * draw.uniform() + 1) / 2",
       killed_by="variance_constant")  # fmt: skip
tilted("point_complemented_in_the_level", "log1p((1 - a) *", "log1p(a *", killed_by="variance_constant")

# --- exponential integrator -------------------------------------------------------------------------------------

integrator = partial(patch, of="exponential_integrator")
integrator("integral_expm1_missing", "expm1(h)", "h", killed_by="bias_constant")
integrator("integral_expm1_to_second_order", "expm1(h)", "(h + h * h / 2)", killed_by="bias_constant")
integrator("score_at_the_end", "score(t, x)", "score(t - h, x)", killed_by="bias_constant")
integrator("integral_of_the_decay", "+ expm1(h)", "- expm1(-h)", killed_by="flow_step")
integrator("score_of_the_reverse_diffusion", "score(t, x)", "2 * score(t, x)", killed_by="bias_constant")

# --- deterministic midpoint -------------------------------------------------------------------------------------

deterministic = partial(patch, of="midpoint")
deterministic("midpoint_weight_whole_step", "h * exp(h / 2)", "h * exp(h)", killed_by="bias_constant")
deterministic("midpoint_score_at_the_start", "t - h / 2", "t", killed_by="score_calls")
deterministic(
    "midpoint_at_one_third", "exp(h / 2) * x + expm1(h / 2)", "exp(h / 3) * x + expm1(h / 3)", killed_by="reduces"
)

# --- Heun and Euler ---------------------------------------------------------------------------------------------

trapezoid = partial(patch, of="heun")
trapezoid("heun_end_score_at_the_start_level", "score(t - h, y)", "score(t, y)", killed_by="bias_constant")
trapezoid("heun_end_score_at_the_start_point", "score(t - h, y)", "score(t - h, x)", killed_by="points_on_the_flow")
trapezoid("heun_end_drift_at_the_start_point", "slope + y", "slope + x", killed_by="bias_constant")
trapezoid("heun_without_the_half", "h / 2 * (slope", "h * (slope", killed_by="bias_constant")

explicit = partial(patch, of="euler")
explicit("euler_without_drift", "(x + score(t, x))", "score(t, x)", killed_by="bias_constant")
explicit(
    "euler_half_exponential", "x + h * (x + score(t, x))", "exp(h) * x + h * score(t, x)", killed_by="bias_constant"
)
explicit("euler_score_at_the_end", "score(t, x)", "score(t - h, x)", killed_by="flow_step")

# --- the reverse diffusion --------------------------------------------------------------------------------------

reverse = partial(patch, of="reverse_euler")
reverse("reverse_score_of_the_flow", "(expm1(h) - expm1(-h)) * score", "expm1(h) * score", killed_by="reverse_mean")
reverse("reverse_weight_linear", "(expm1(h) - expm1(-h)) * score", "2 * h * score", killed_by="reverse_mean")
reverse("reverse_weight_as_exponential_integrator", "(expm1(h) - expm1(-h)) * score", "2 * expm1(h) * score",
        killed_by="reverse_mean")  # fmt: skip
reverse("reverse_score_of_the_end", "score(t, x)", "score(t - h, x)", killed_by="reverse_mean")
reverse("reverse_drift_linear", "exp(h) * x", "(1 + h) * x", killed_by="reverse_mean")
reverse("reverse_noise_linear", "expm1(2 * h)", "2 * h", killed_by="reverse_step")
reverse("reverse_noise_forward", "expm1(2 * h)", "-expm1(-2 * h)", killed_by="reverse_step")
reverse("reverse_noise_of_half_the_step", "expm1(2 * h)", "expm1(h)", killed_by="reverse_step")

# --- DDIM -------------------------------------------------------------------------------------------------------

implicit = partial(patch, of="ddim")
implicit(
    "noise_of_the_end", "sqrt(-expm1(-2 * t)) * score", "sqrt(-expm1(-2 * (t - h))) * score", killed_by="bias_constant"
)
implicit("noise_of_the_variance", "-sqrt(-expm1(-2 * t))", "expm1(-2 * t)", killed_by="flow_step")
