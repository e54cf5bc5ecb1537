"""Mutants of the sequential predictors."""

from __future__ import annotations

from mutants import mutant
from rmverify.elementary import exp, expm1

# --- randomized midpoint ----------------------------------------------------------------------------------------


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def output_weight_of_the_other_side(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp(a * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="unbiased")
def output_weight_at_one_half(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp(h / 2) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="unbiased")
def output_weight_forgotten(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="unbiased")
def output_weight_expm1(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + expm1(h) * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="score_calls")
def midpoint_time_not_moved(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t, half)


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def midpoint_time_complemented(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - (1 - a) * h, half)


@mutant(of="randomized_midpoint", killed_by="variance_constant")
def midpoint_complemented(x, t, h, score, draw):
    a = draw.uniform()
    half = exp((1 - a) * h) * x + expm1((1 - a) * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def midpoint_expm1_over_the_whole_step(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def midpoint_expm1_missing(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + a * h * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def midpoint_expm1_to_second_order(x, t, h, score, draw):
    """Leading bias and variance are right: the next term of the bias is not."""
    a = draw.uniform()
    half = exp(a * h) * x + (a * h + a * a * h * h / 2) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="points_on_the_flow")
def midpoint_sign(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x - expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="variance_constant")
def midpoint_ignored(x, t, h, score, draw):
    a = draw.uniform()
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, x)


@mutant(of="randomized_midpoint", killed_by="score_calls")
def score_of_the_start_twice(x, t, h, score, draw):
    a = draw.uniform()
    half = score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * half


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def midpoint_by_an_euler_step(x, t, h, score, draw):
    a = draw.uniform()
    half = x + a * h * (x + score(t, x))
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="bias_constant")
def midpoint_redrawn_for_the_output(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - draw.uniform()) * h) * score(t - a * h, half)


@mutant(of="randomized_midpoint", killed_by="variance_constant")
def midpoint_not_random(x, t, h, score, draw):
    a = 0 * draw.uniform() + 1
    half = exp(a * h / 2) * x + expm1(a * h / 2) * score(t, x)
    return exp(h) * x + h * exp(h / 2) * score(t - a * h / 2, half)


@mutant(of="randomized_midpoint", killed_by="flow_step")
def drift_of_the_forward_process(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(-h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


# --- exponential integrator -------------------------------------------------------------------------------------


@mutant(of="exponential_integrator", killed_by="bias_constant")
def integral_expm1_missing(x, t, h, score, draw):
    return exp(h) * x + h * score(t, x)


@mutant(of="exponential_integrator", killed_by="bias_constant")
def integral_expm1_to_second_order(x, t, h, score, draw):
    return exp(h) * x + (h + h * h / 2) * score(t, x)


@mutant(of="exponential_integrator", killed_by="bias_constant")
def score_at_the_end(x, t, h, score, draw):
    return exp(h) * x + expm1(h) * score(t - h, x)


@mutant(of="exponential_integrator", killed_by="flow_step")
def integral_of_the_decay(x, t, h, score, draw):
    return exp(h) * x - expm1(-h) * score(t, x)


@mutant(of="exponential_integrator", killed_by="bias_constant")
def score_of_the_reverse_diffusion(x, t, h, score, draw):
    return exp(h) * x + expm1(h) * 2 * score(t, x)


# --- deterministic midpoint -------------------------------------------------------------------------------------


@mutant(of="midpoint", killed_by="bias_constant")
def midpoint_weight_whole_step(x, t, h, score, draw):
    half = exp(h / 2) * x + expm1(h / 2) * score(t, x)
    return exp(h) * x + h * exp(h) * score(t - h / 2, half)


@mutant(of="midpoint", killed_by="score_calls")
def midpoint_score_at_the_start(x, t, h, score, draw):
    half = exp(h / 2) * x + expm1(h / 2) * score(t, x)
    return exp(h) * x + h * exp(h / 2) * score(t, half)


@mutant(of="midpoint", killed_by="reduces")
def midpoint_at_one_third(x, t, h, score, draw):
    half = exp(h / 3) * x + expm1(h / 3) * score(t, x)
    return exp(h) * x + h * exp(h / 2) * score(t - h / 2, half)


# --- Heun and Euler ---------------------------------------------------------------------------------------------


@mutant(of="heun", killed_by="bias_constant")
def heun_end_score_at_the_start_level(x, t, h, score, draw):
    slope = x + score(t, x)
    y = x + h * slope
    return x + h / 2 * (slope + y + score(t, y))


@mutant(of="heun", killed_by="points_on_the_flow")
def heun_end_score_at_the_start_point(x, t, h, score, draw):
    slope = x + score(t, x)
    y = x + h * slope
    return x + h / 2 * (slope + y + score(t - h, x))


@mutant(of="heun", killed_by="bias_constant")
def heun_end_drift_at_the_start_point(x, t, h, score, draw):
    slope = x + score(t, x)
    y = x + h * slope
    return x + h / 2 * (slope + x + score(t - h, y))


@mutant(of="heun", killed_by="bias_constant")
def heun_without_the_half(x, t, h, score, draw):
    slope = x + score(t, x)
    y = x + h * slope
    return x + h * (slope + y + score(t - h, y))


@mutant(of="euler", killed_by="bias_constant")
def euler_without_drift(x, t, h, score, draw):
    return x + h * score(t, x)


@mutant(of="euler", killed_by="bias_constant")
def euler_half_exponential(x, t, h, score, draw):
    return exp(h) * x + h * score(t, x)


@mutant(of="euler", killed_by="flow_step")
def euler_score_at_the_end(x, t, h, score, draw):
    return x + h * (x + score(t - h, x))
