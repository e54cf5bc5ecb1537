"""Mutants of the process and of the elementary functions that the schemes rest on."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from mutants import mutant, patch
from rmverify.elementary import expm1

patch("mean_not_decayed", "exp(-t) * mean", "mean", of="mode_mean", killed_by="marginal_equations")
patch("mean_decayed_twice", "exp(-t) * mean", "exp(-2 * t) * mean", of="mode_mean", killed_by="marginal_equations")

LEVEL = "exp(-2 * t) * lam - expm1(-2 * t)"
patch(
    "variance_decays_like_the_mean",
    LEVEL,
    "exp(-t) * lam - expm1(-t)",
    of="mode_variance",
    killed_by="marginal_equations",
)
patch("variance_without_noise", LEVEL, "exp(-2 * t) * lam", of="mode_variance", killed_by="marginal_equations")
patch(
    "variance_by_cancellation", LEVEL, "1 + (lam - 1) * exp(-2 * t)", of="mode_variance", killed_by="variance_in_floats"
)

gradient = partial(patch, of="mode_score", killed_by="score_is_a_gradient")
gradient("score_sign", "(mode_mean(mean, t) - x)", "(x - mode_mean(mean, t))")
gradient("score_over_the_deviation", "mode_variance(lam, t)", "sqrt(mode_variance(lam, t))")
gradient("score_around_the_first_mean", "mode_mean(mean, t) - x", "mean - x")

slope = partial(patch, of="flow_slope", killed_by="flow_equation")
slope(
    "flow_upside_down",
    "mode_variance(lam, t - h) / mode_variance(lam, t)",
    "mode_variance(lam, t) / mode_variance(lam, t - h)",
)
slope("flow_without_root", "return sqrt", "return ")
slope("flow_the_other_way", "t - h", "t + h")


@mutant(of="phi2", killed_by="phi2_values")
def phi2_wrong_factorial(z):
    return (expm1(z) - z) / z**2 * 2 if z != 0 else z * 0 + 1


@mutant(of="phi2", killed_by="phi2_in_floats")
def phi2_as_printed(z):
    return (expm1(z) - z) / (z * z)


@mutant(of="log1p_minus", killed_by="log1p_minus_in_floats")
def log1p_minus_as_printed(z):
    return math.log1p(z) - z


@mutant(of="prefix", killed_by="prefix_sums")
def prefix_inclusive(z):
    return np.add.accumulate(z, axis=0)


@mutant(of="prefix", killed_by="prefix_sums")
def prefix_shifted_the_other_way(z):
    return np.concatenate([np.add.accumulate(z, axis=0)[1:], 0 * z[:1]])


@mutant(of="prefix", killed_by="prefix_sums")
def prefix_along_the_last_axis(z):
    return np.add.accumulate(z, axis=-1) - z
