"""Mutants of the audit: each one line written wrongly, and the fact of `test_audit` that refutes it."""

from __future__ import annotations

from mutants import Line
from rmverify.studies import audit

LINES = [
    Line("the_start_is_exact", audit, "_parts", "tv(reading.input_law(0), ", 'tv(reading.input_law(0, "exact"), ',
         "parts_of_the_error"),
    Line("the_effect_on_the_data", audit, "_parts", "away(out, exact)", "away(out, wanted)", "parts_of_the_error"),
    Line("a_discretization_with_the_start", audit, "_parts", 'len(reading.calls) - 1, "exact")',
         "len(reading.calls) - 1)", "parts_of_the_error"),
    Line("a_last_step_with_the_start", audit, "_parts", "away(exact, wanted)", "away(out, wanted)",
         "parts_of_the_error"),
    Line("the_first_level_as_the_last", audit, "_parts", "reading.calls[-1].level", "reading.calls[0].level",
         "parts_of_the_error"),
    Line("slopes_of_the_wrong_sign", audit, "curve", "-np.diff(np.log(e))", "np.diff(np.log(e))", "orders_and_floors"),
    Line("slopes_in_n", audit, "curve", "np.diff(np.log(N))", "np.diff(N)", "orders_and_floors"),
    Line("always_settled", audit, "curve", "changes[-1] <= _SETTLED", "changes[-1] <= 1", "orders_and_floors"),
    Line("a_floor_of_anything", audit, "_floor", "best[1] > late[-1] / 2", "best[1] > 0", "orders_and_floors"),
    Line("no_floor_that_is_flat", audit, "_floor", "late.max() <= 1.02 * late.min()", "False", "orders_and_floors"),
    Line("a_floor_of_the_power", audit, "_floor", "best = misfit, float(f)", "best = misfit, float(c)",
         "orders_and_floors"),
    Line("a_line_of_two_points", audit, "_line", "e != slope * k + shift", "False", "evaluations_as_a_function_of_n"),
    Line("minus_is_plus", audit, "_line", "'+' if shift > 0 else '-'", "'+'", "evaluations_as_a_function_of_n"),
    Line("any_order_holds", audit, "_of_order", "c.order >= order - reach", "True", "orders_that_are_declared"),
    Line("an_order_of_two_points", audit, "_of_order", "len(c.slopes) < 2", "len(c.slopes) < 1",
         "orders_that_are_declared"),
    Line("the_highest_shared_level", audit, "_shared", "min(common", "max(common", "orders_that_are_declared"),
    Line("the_data_are_a_shared_level", audit, "_shared", "if 0 < path", "if 0 <= path",
         "orders_beside_cheap_guesses"),
    Line("no_level_below_infinity", audit, "_shared", "default=math.inf", "default=0.0",
         "first_calls_at_infinite_noise"),
    Line("the_output_is_not_enough", audit, "_ordered", "return output if output", "return found if output",
         "orders_beside_cheap_guesses"),
    Line("a_wrong_model_is_not_said", audit, "_remarks", "if target is not truth:", "if False:",
         "models_with_an_error_of_their_own"),
    Line("a_wrong_model_is_exact", audit, "_assumed", "if target is truth_of(target)", "if True",
         "models_with_an_error_of_their_own"),
    Line("biased_is_unbiased", audit, "_same", "worst - worst.error > 0", "False", "kernels"),
    Line("the_bias_after_n_steps", audit, "_kernel_rung", "kernel.stationary(target).x", "kernel.law(target, steps).x",
         "kernels"),
    Line("one_step_too_many", audit, "_kernel_rung", "kernel.law(target, steps)", "kernel.law(target, steps + 1)",
         "kernels"),
    Line("the_last_step_for_the_start", audit, "_causes", '"start": "the start"', '"start": "the last step"',
         "causes_of_a_floor"),
    Line("all_that_is_large", audit, "_causes", "and flat", "", "causes_of_a_floor"),
]  # fmt: skip
