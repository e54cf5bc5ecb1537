"""Mutants of what averages a law over its midpoints: each ONE line of the source written wrongly, and the fact of
`test_averaged` that refutes it."""

from __future__ import annotations

from mutants import Line
from rmverify.divergences import averaged, sampled
from rmverify.laws.averages import paths

LINES = [
    Line("lower_end_of_the_same_set", sampled, "_values", "_log_mean(features, other)", "_log_mean(features, own)",
         "ends_around_the_truth"),
    Line("ends_exchanged", sampled, "_values", "rows = [upper, f.tangent(a, b, upper, log_weight),",
         "rows = [f.tangent(a, b, upper, log_weight), upper,",
         "ends_around_the_truth"),
    Line("weight_forgotten", sampled, "_values", "-np.log((1 + np.exp(-np.abs(a))) / 2) - top", "-top",
         "ends_around_the_truth"),
    Line("an_error_of_the_wrong_root", sampled, "quantile", "stdtrit(", "0.25 * stdtrit(", "few_misses"),
    Line("tilts_equally_likely", sampled, "_values", "tilts[1] + np.log(chance * len(chance))", "tilts[1]",
         "controls_of_mean_0"),
    Line("all_points_of_one_path", sampled, "_even", "(size / count)", "0", "controls_of_mean_0"),
    Line("a_ratio_to_first_order", sampled, "_values", "np.expm1(np.minimum(b - a, 700.0))", "(b - a)",
         "controls_of_mean_0"),
    Line("kl_the_other_way", averaged.Sampled, "kl", "ENTROPY if self.forward", "ENTROPY if not self.forward",
         "off_the_centre"),
    Line("means_alone", averaged._Beside, "given", "(means - self.c) / np.sqrt(self.b)", "0 * means",
         "off_the_centre"),
    Line("one_coordinate_too_many", sampled.Given, "draw", "(n[more] - 1) / 2", "n[more] / 2", "block_sums"),
    Line("a_mean_of_one_coordinate", sampled.Given, "draw", "n * mu + along]", "mu + along]", "block_sums"),
    Line("sums_that_are_not_of_the_same_points", sampled.Given, "draw", "(2 * along + n * mu)", "(along + n * mu)",
         "block_sums"),
    Line("a_mean_counted_once", sampled.Given, "linear", "(tilt * self.mu) @ self.n / 2",
         "(tilt * self.mu).sum(axis=1) / 2", "one_law_in_blocks"),
    Line("a_tilt_at_the_other_variance", sampled.Given, "linear", "self.mu * (1 + rise)", "self.mu",
         "one_law_in_blocks"),
    Line("a_net_that_is_not_shifted", paths, "ranked_points", "net[:, None, :] ^ shift",
         "net[:, None, :] ^ (0 * shift)", "uniform_midpoints"),
    Line("midpoints_in_the_middle_of_cells", paths, "ranked_points", "rng.random((alphas, sets, pairs))", "0.5",
         "uniform_midpoints"),
    Line("one_net_for_all_midpoints", paths, "ranked_points", "net[:, None, :] ^ shift", "net[:1, None, :] ^ shift[:1]",
         "uniform_midpoints"),
    Line("means_that_do_not_move", paths, "_moved", "[a * means[0] + b[0]]", "[a * means[0]]", "as_given"),
    Line("a_velocity_turned_round", paths, "_moved", "half[i][k] * L[j][k]", "half[i][k] * L[k][j]", "kept_velocity"),
    Line("a_velocity_without_noise", paths, "_through", "none + float(mass)", "none", "kept_velocity"),
]  # fmt: skip
