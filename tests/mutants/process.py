"""Mutants of the process and of the elementary functions that the schemes rest on."""

from __future__ import annotations

import math

import numpy as np

from mutants import mutant
from rmverify.elementary import exp, expm1, sqrt


def variance(lam, t):
    return exp(-2 * t) * lam - expm1(-2 * t)


@mutant(of="mode_mean", killed_by="marginal_equations")
def mean_not_decayed(mean, t):
    return mean


@mutant(of="mode_mean", killed_by="marginal_equations")
def mean_decayed_twice(mean, t):
    return exp(-2 * t) * mean


@mutant(of="mode_variance", killed_by="marginal_equations")
def variance_decays_like_the_mean(lam, t):
    return exp(-t) * lam - expm1(-t)


@mutant(of="mode_variance", killed_by="marginal_equations")
def variance_without_noise(lam, t):
    return exp(-2 * t) * lam


@mutant(of="mode_variance", killed_by="variance_in_floats")
def variance_by_cancellation(lam, t):
    return 1 + (lam - 1) * exp(-2 * t)


@mutant(of="mode_score", killed_by="score_is_a_gradient")
def score_sign(mean, lam, t, x):
    return (x - exp(-t) * mean) / variance(lam, t)


@mutant(of="mode_score", killed_by="score_is_a_gradient")
def score_over_the_deviation(mean, lam, t, x):
    return (exp(-t) * mean - x) / sqrt(variance(lam, t))


@mutant(of="mode_score", killed_by="score_is_a_gradient")
def score_around_the_first_mean(mean, lam, t, x):
    return (mean - x) / variance(lam, t)


@mutant(of="flow_slope", killed_by="flow_equation")
def flow_upside_down(lam, t, h):
    return sqrt(variance(lam, t) / variance(lam, t - h))


@mutant(of="flow_slope", killed_by="flow_equation")
def flow_without_root(lam, t, h):
    return variance(lam, t - h) / variance(lam, t)


@mutant(of="flow_slope", killed_by="flow_equation")
def flow_the_other_way(lam, t, h):
    return sqrt(variance(lam, t + h) / variance(lam, t))


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
