"""Mutants of the best noise levels, and the facts of `test_schedules` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.plans import schedules as grids
from rmverify.plans.schedules import Levels
from rmverify.studies import schedules
from rmverify.studies.schedules import _Error

LINES = [
    Line("levels_the_other_way_round", Levels, "of", "there(self.horizon), there(self.early_stop)",
         "there(self.early_stop), there(self.horizon)", "named_grids"),
    Line("sigma_without_its_root", grids, "sigma_of", "np.sqrt(np.expm1(2", "(np.expm1(2", "named_grids"),
    Line("sigma_of_the_half_level", schedules, "sigma_step", "sqrt(-expm1(-2 * (t - h)))", "sqrt(-expm1(-t + h))",
         "steps_of_practice"),
    Line("a_start_that_is_exact", _Error, "_summed", 'self.start == "exact"', "True", "errors_of_a_list"),
    Line("a_start_without_its_mean", _Error, "_summed", "-mode_mean(target.means, levels[0])", "0 * goal",
         "errors_of_a_list"),
    Line("every_mode_once", schedules, "_kl", "float(counts @ each)", "float(each.sum())", "errors_of_a_list"),
    Line("the_mean_forgotten", schedules, "_kl", "(log_v - mean_log) + square", "(log_v - mean_log)",
         "errors_of_a_list"),
    Line("variances_for_deviations", schedules, "_w2", "np.expm1(log_s)", "np.expm1(2 * log_s)", "errors_of_a_list"),
    Line("twice_the_total_variation", schedules, "_tv", "return float(np.sum(rule", "return 2 * float(np.sum(rule",
         "errors_of_a_list"),
    Line("the_slope_of_the_first_level_alone", _Error, "gradient", "np.append(0.0, last)", "0", "slopes_of_the_error"),
    Line("no_slope_through_the_mean", _Error, "_found", "2 * to_second * (a_n * second + b_n * first)", "0",
         "slopes_of_the_error"),
    Line("no_slope_of_the_shift", _Error, "_found", "2 * to_second * (b_n + a_n * first)", "0", "slopes_of_the_error"),
    Line("the_adjoint_without_the_cross_term", _Error, "_found", "A1 * to_first + 2 * AB * to_second",
         "A1 * to_first", "slopes_of_the_error"),
    Line("no_slope_of_the_mean_logarithm", _Error, "_found", "2 * by.mean_log / a", "0 * a", "slopes_of_the_error"),
    Line("a_total_variation_of_fixed_means", schedules, "_tv", "0 * square, slopes[1])", "0 * square, 0 * square)",
         "slopes_of_the_error"),
    Line("the_logarithm_of_the_mean", schedules, "_kl", "+ (log_v - mean_log)", "", "given_the_midpoint"),
    Line("deviations_of_the_mean_variance", schedules, "_w2", "ratio * ratio + between + square",
         "ratio * ratio + square", "given_the_midpoint"),
    Line("a_square_of_means", _Error, "_summed", 'mean["A2"][n] * second',
         'mean["A1"][n] ** 2 * second', "two_midpoints"),
    Line("no_cross_term", _Error, "_summed", '2 * mean["AB"][n] * first', "0", "errors_of_a_list"),
    Line("no_way_downhill", schedules, "_searched", "levels_of(done.x)[0] if", "levels_of(z)[0] if", "equal_angles"),
    Line("a_slope_uphill", schedules, "_searched", "math.log(start[-1] / start[0])", "math.log(start[0] / start[-1])",
         "equal_angles"),
    Line("the_worst_start", schedules, "_best", "least, levels = min(", "least, levels = max(", "one_level_between"),
    Line("as_good_is_not_enough", schedules, "_first", "of(n), goal)", "of(n), goal / 2)", "counts"),
    Line("counted_from_two", schedules, "_first", "range(1, most + 1)", "range(2, most + 1, 2)", "counts"),
    Line("one_step_too_many", schedules, "_fewest", "return find(high)", "return find(high + 1)", "counts"),
    Line("rough_near_a_goal", _Error, "within", 'self.metric == "tv" and', "False and", "close_to_a_goal"),
    Line("grid_and_data_swapped", schedules, "transferred", "error(levels[grid], targets[name]",
         "error(levels[name], targets[grid]", "other_spectra"),
    Line("no_search_on_the_line", schedules, "lost", "if search and", "if False and", "laws_of_the_line"),
    Line("the_normal_start_on_the_line", schedules, "lost", 'factor, start="exact"), goal', 'factor), goal',
         "laws_of_the_line"),
    Line("a_fold_called_exact", schedules, "lost", 'Value(most, "upper", lower=0.0, upper=most)', "Value(most)",
         "folds_of_the_line"),
]  # fmt: skip
