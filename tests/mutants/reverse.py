"""Mutants of the predictors with noise."""

from __future__ import annotations

from functools import partial

from mutants import patch

# --- ancestral sampling -------------------------------------------------------------------------------------------

ancestral = partial(patch, of="ddpm")
VARIANCE = "-expm1(-2 * h) * (expm1(-2 * (t - h)) / expm1(-2 * t))"
ancestral("ancestral_larger_variance", VARIANCE, "-expm1(-2 * h)", killed_by="reverse_variance")
ancestral("ancestral_levels_swapped", "expm1(-2 * (t - h)) / expm1(-2 * t)", "expm1(-2 * t) / expm1(-2 * (t - h))",
          killed_by="reverse_variance")  # fmt: skip
ancestral("ancestral_deviation_for_the_variance", VARIANCE, "expm1(-2 * h) ** 2", killed_by="reverse_variance")
ancestral("ancestral_score_of_the_flow", "(expm1(h) - expm1(-h)) * score", "expm1(h) * score", killed_by="reverse_mean")
ancestral("ancestral_score_frozen", "(expm1(h) - expm1(-h)) * score", "2 * expm1(h) * score", killed_by="reverse_mean")
ancestral("ancestral_mean_not_rescaled", "exp(h) * x", "x", killed_by="reverse_mean")

# --- exponential integrator -----------------------------------------------------------------------------------------

frozen = partial(patch, of="exponential_sde")
frozen("frozen_score_of_the_flow", "2 * expm1(h)", "expm1(h)", killed_by="reverse_drift")
frozen("frozen_weight_linear", "2 * expm1(h)", "2 * h", killed_by="reverse_drift")
frozen("frozen_weight_of_the_mean", "2 * expm1(h)", "(expm1(h) - expm1(-h))", killed_by="reverse_drift")
frozen("frozen_noise_linear", "expm1(2 * h)", "2 * h", killed_by="reverse_variance")
frozen("frozen_noise_of_the_forward_process", "expm1(2 * h)", "-expm1(-2 * h)", killed_by="reverse_variance")

# --- randomized midpoint --------------------------------------------------------------------------------------------

midpoint = partial(patch, of="randomized_midpoint_sde")
midpoint("noise_forgotten_at_the_midpoint", "score(t, x) + w)", "score(t, x))", killed_by="reverse_variance")
midpoint("noise_of_the_midpoint_not_carried_on", "exp(h) * (x + w)", "exp(h) * x", killed_by="reverse_variance")
midpoint("noise_at_the_end_over_the_whole_step", "rest * (2 + rest)", "expm1(2 * h)", killed_by="reverse_variance")
midpoint("noise_of_the_midpoint_linear", "gone * (1 + left)", "2 * gone", killed_by="reverse_variance")
midpoint("midpoint_score_of_the_flow", "2 * gone", "gone", killed_by="reverse_drift")
midpoint("output_score_of_the_flow", "2 * expm1(h)", "expm1(h)", killed_by="reverse_drift")
midpoint("output_score_of_the_start", "t - h + log1p(rest), half", "t, half", killed_by="score_calls")
midpoint("level_without_a_logarithm", "log1p(rest)", "rest", killed_by="reverse_step")
midpoint("level_of_a_uniform_midpoint", "log1p(rest)", "(1 - a) * h", killed_by="score_calls")
midpoint("level_of_the_complement", "log1p(rest)", "log1p(a * expm1(h))", killed_by="reverse_spread")
midpoint("midpoint_halfway", "a = draw.uniform()", "a = (0 * draw.uniform() + 1) / 2", killed_by="reverse_spread")

# --- a round of cells -----------------------------------------------------------------------------------------------

cells = partial(patch, of="jiao_li", killed_by="reverse_step")
cells("round_without_the_half_of_a_cell", "exp(2 * above) * a * whole * last", "exp(2 * above) * whole * last")
cells("round_that_forgets_the_midpoint_before", "exp(2 * above) * a * whole * last", "0 * last")
cells("round_with_the_weight_at_the_edge", "exp(-3 * depth)", "exp(-3 * above)")
cells("round_with_the_weight_of_the_flow", "exp(-3 * depth)", "exp(-depth)")
cells("round_without_noise", "-expm1(-2 * back)", "0 * h")
cells("round_with_the_noise_of_a_step", "-expm1(-2 * back)", "-expm1(-2 * h)")
cells("round_that_is_not_taken_back", "exp(cells * length - back)", "exp(cells * length)")
cells("round_of_half_the_length", "h * (2 - h / t) / cells", "h / cells")
cells("levels_uniform_in_a_cell", "log1p((1 - a) * expm1(-2 * length)) / 2", "(-(1 - a) * length)")
cells("level_of_the_cell_below", "(cells - 1 - i) * length", "(cells - 2 - i) * length")
