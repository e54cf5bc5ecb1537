"""Mutants of the parallel schemes: strata, cells, Picard rounds and their weights."""

from __future__ import annotations

from functools import partial

from mutants import mutant, patch
from rmverify.elementary import exp, expm1, phi1, phi2, prefix, total
from rmverify.schemes.langevin import kinetic_noise

# --- parallel midpoints -----------------------------------------------------------------------------------------

strata = partial(patch, of="parallel_midpoint")
# the cut max(e^{a_i h - jd}, 1) omitted: the weight of the own stratum runs past the midpoint
strata("own_stratum_counted_whole", "expm1((a - lo) * h) * s", "exp(a * h) * w * s", killed_by="points_on_the_flow")
strata("own_stratum_missing", " + expm1((a - lo) * h) * s", "", killed_by="points_on_the_flow")
strata("prefix_inclusive", "prefix(w * s)", "prefix(w * s) + w * s", killed_by="bias_constant")
strata("output_weight_of_the_left_end", "exp((1 - a) * h)", "exp((1 - lo) * h)", killed_by="unbiased")
strata("output_of_one_stratum_more", "h / strata * total", "h / (strata + 1) * total", killed_by="unbiased")
strata(
    "stratum_weight_not_placed",
    "-exp(-lo * h) * expm1(-h / strata)",
    "0 * lo - expm1(-h / strata)",
    killed_by="points_on_the_flow",
)
strata(
    "stratum_weight_by_the_length",
    "-exp(-lo * h) * expm1(-h / strata)",
    "exp(-lo * h) * h / strata",
    killed_by="points_on_the_flow",
)
strata("one_round_missing", "range(rounds)", "range(rounds - 1)", killed_by="bias_constant")
strata("midpoints_without_growth", "half = exp(a * h) * x +", "half = 0 * a + x +", killed_by="reduces")


@mutant(of="parallel_midpoint", killed_by="score_calls")
def asked_at_the_left_end(x, t, h, score, draw, *, strata, rounds):
    lo, a = draw.strata(strata)
    w = -exp(-lo * h) * expm1(-h / strata)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        s = score(t - lo * h, half)
        half = exp(a * h) * (x + prefix(w * s)) + expm1((a - lo) * h) * s
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - lo * h, half))


@mutant(of="parallel_midpoint", killed_by="variance_constant")
def strata_forgotten(x, t, h, score, draw, *, strata, rounds):
    """All midpoints spread over the first stratum's image of the whole step: a_i -> R (a_i - lo_i)."""
    lo, a = draw.strata(strata)
    a = strata * (a - lo)
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    for _ in range(rounds):
        half = exp(a * h) * x + expm1(a * h) * score(t - a * h, half)
    return exp(h) * x + h / strata * total(exp((1 - a) * h) * score(t - a * h, half))


# --- parallel overdamped ----------------------------------------------------------------------------------------

path = partial(patch, of="parallel_overdamped")
path("path_without_the_strata_before", "path = prefix(w) + w_half", "path = w_half", killed_by="langevin_noise")
path("path_to_the_end_of_its_stratum", "path = prefix(w) + w_half", "path = prefix(w) + w", killed_by="kept_variance")
path("path_forgotten_in_the_rounds", "h * s + path", "h * s", killed_by="langevin_noise")
path("path_of_the_whole_midpoint", "(a - lo) * h), count", "a * h / strata), count", killed_by="langevin_noise")
path("end_without_the_last_stratum", "+ total(w)", "+ total(w) - total(w - w_half) / strata", killed_by="kept_variance")
path("own_stratum_missing_in_the_rounds", "(a - lo) * h * s", "0 * s", killed_by="langevin_drift")
path("own_stratum_whole_in_the_rounds", "(a - lo) * h * s", "h / strata * s", killed_by="langevin_drift")
path("overdamped_round_missing", "range(rounds)", "range(rounds - 1)", killed_by="score_calls")
path("first_points_not_moved", "half = x + a * h * score(t, x) + path", "half = x + 0 * a + path", killed_by="reduces")
path("end_by_one_stratum_more", "h / strata * total", "h / (strata + 1) * total", killed_by="langevin_drift")

# --- parallel underdamped ---------------------------------------------------------------------------------------

cells = partial(patch, of="parallel_underdamped")
cells(
    "fresh_noise_in_every_round",
    "w_x))",
    "w_x))\n        w_v, w_x = draw.normal(kinetic_noise(step, friction, mass), count=cells)",
    killed_by="langevin_noise",
)
cells("one_cell_missing", "step = h / cells", "step = h / (cells + 1)", killed_by="free_motion")
cells("picard_round_missing", "range(rounds - 1)", "range(rounds - 2)", killed_by="score_calls")
cells("score_after_the_cell", "w_x))", "w_x) + p * velocity + mass * q * s + w_x)", killed_by="reduces")
cells(
    "position_by_the_velocity_after_the_cell",
    "exp(-z * j) * (v + prefix(push))",
    "exp(-z * (j + 1)) * (v + prefix(push) + push)",
    killed_by="free_motion",
)


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


# --- parallel Langevin, parareal, slices ------------------------------------------------------------------------

langevin = partial(patch, of="parallel_langevin")
langevin("noise_of_the_whole_step", "((2 * step,),)", "((2 * h,),)", killed_by="langevin_noise")
langevin("langevin_round_missing", "range(rounds - 1)", "range(rounds - 2)", killed_by="score_calls")
langevin("langevin_cell_counted_too_early", "step * s + w))", "step * s + w) + step * s + w)", killed_by="reduces")
langevin("points_without_noise", "prefix(step * s + w)", "prefix(step * s + 0 * w)", killed_by="langevin_noise")

sweeps = partial(patch, of="parareal")
sweeps("change_not_added", " + (f - g)", " + 0 * (f - g)", killed_by="reduces")
sweeps("change_added_half", " + (f - g)", " + (f - g) / 2", killed_by="bias_constant")
sweeps("fine_steps_alone", "coarse[-1] + (f - g)", "f + 0 * g", killed_by="flow_step")
sweeps("sweep_missing", "range(sweeps)", "range(sweeps - 1)", killed_by="score_calls")
sweeps("fine_levels_of_the_block", "end + level * unit", "end + togo**power * unit", killed_by="score_calls")

slices = partial(patch, of="parallel_slices")
slices("end_of_the_slice_before_too_new", "points[n] = grown * (old[n]", "points[n] = grown * (starts[n]",
       killed_by="flow_step")  # fmt: skip
slices("inner_rounds_only_once", "range(inner)", "range(1)", killed_by="score_calls")
slices("weights_without_decay", "exp(-(m + 1) * c) * expm1(c)", "expm1(c) + 0 * m", killed_by="bias_constant")
slices("starts_never_renewed", "old[n] + total(weight * s)", "starts[n] + 0 * total(weight * s)", killed_by="reduces")
slices("levels_of_the_slice", " - m * c) for", " - 0 * m * c) for", killed_by="score_calls")
