"""Mutants of divergences on the line and of the densities of Gaussian mixtures, and the facts of `test_together` that
refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.divergences import densities, line, quantiles

LINES = [
    Line("mass_the_wrong_way", line, "squared_distance", "rise, -fall)", "rise, fall)", "a_scale"),
    Line("no_further_than_a_panel", quantiles._Piecewise, "place", "lower, -1.0, 1.0)", "lower, 1.0, -1.0)",
         "the_quantiles"),
    Line("turns_of_the_map_between_nodes", line, "squared_distance", "np.clip(met, edges[0], edges[-1])", "edges",
         "narrow_in_both"),
    Line("weights_of_the_other_law", line, "squared_distance", "np.abs(p(k, y)), way", "np.abs(q(k, y)), way",
         "the_quantiles"),
    Line("the_map_of_the_plan_forgotten", densities.Beside, "places", "return x, np.exp(log_slope)",
         "return z, np.ones_like(z)", "given_a_plan"),
    Line("not_squared", line.OnTheLine, "w2", "value = math.sqrt(square)", "value = square", "a_scale"),
    Line("components_of_equal_weight", densities.Components, "__init__",
         "self.weights / (math.fsum(self.weights) * self.spreads)", "1 / (self.weights.size * self.spreads)",
         "squares"),
    Line("variances_for_deviations", densities.Components, "__init__", "np.sqrt(self.variances)", "self.variances",
         "the_quantiles"),
    Line("no_panel_ends_at_a_component", densities.Beside, "_cuts", "return law.cuts", "return np.zeros(0)",
         "narrow_components"),
    Line("a_mean_over_balls_forgotten", densities.Components, "log_density_balls", "x[:, None] - means",
         "x[:, None] - 0 * means", "moved_weight"),
    Line("tails_as_at_the_ends", line, "_outside", "float(np.nan_to_num(log + np.log(distance), nan=-math.inf).max())",
         "-math.inf", "a_peak_where_neither_law_is"),
    Line("tails_as_far_as_they_are_seen", line, "_outside", "rises = True if (rise > sure).any() else False",
         "rises = False", "heavier_tails"),
    Line("ends_are_far_enough_below_order_1", line.OnTheLine, "_log_transform", "if level < peak - _SLIGHT:",
         "if s < 1 or level < peak - _SLIGHT:", "unlike_scales"),
    Line("long_panels_beside_short_ones", densities, "_graded", "if not long.any()", "if long.size", "unlike_scales"),
    Line("not_scaled_back", line.OnTheLine, "_scaled", "(peak + math.log(whole))", "math.log(whole)",
         "a_peak_where_neither_law_is"),
]  # fmt: skip
