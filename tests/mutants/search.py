"""Mutants of the search for the least number of steps, and the facts of `test_search` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.studies import search
from rmverify.studies.search import Sampled, Search

LINES = [
    Line("one_short_of_the_end", search, "halved", "> 1:", "> 2:", "bisection"),
    Line("the_other_half", search, "halved", "(low, middle) if", "(low, middle) if not", "bisection"),
    Line("the_end_that_is_too_few", search, "halved", "return high", "return low", "bisection"),
    Line("fewest_one_less", Search, "least", '"found", high, high)', '"found", high - 1, high)', "both_sides"),
    Line("the_error_two_before", Search, "least", "seen.get(high - 1)", "seen.get(high - 2)", "both_sides"),
    Line("enough_without_its_error", Search, "at", "found.upper", "float(found)", "errors_count"),
    Line("too_few_without_its_error", Search, "least", "before.lower", "before", "errors_count"),
    Line("two_above_for_one", Search, "_between", "n + 1 if n + 1 < high and at(n + 1) <= goal else high", "n + 1",
         "curves_that_are_no_powers"),
    Line("two_below_for_one", Search, "_between", "n - 1 if n - 1 > low and at(n - 1) > goal else low", "n - 1",
         "curves_that_are_no_powers"),
    Line("neighbours_of_neighbours", Search, "_between", "while high - low > 1", "while high - low > 2",
         "curves_that_are_no_powers"),
    Line("tried_without_its_error", Search, "scan", "value.lower", "value.upper", "the_scan"),
    Line("tried_with_gaps", Search, "scan", "self.tried == n - 1 and ", "", "the_scan"),
    Line("past_what_is_enough", Search, "scan", "if small:", "if False:", "the_scan"),
    Line("what_was_seen_forgotten", Search, "least", "if low + 1 in seen:", "if False:", "the_scan"),
    Line("one_step_looked_at_twice", Search, "least", "guess, low + 1)", "guess, low)", "the_scan"),
    Line("a_crossing_missed", Search, "least", "if flip is not None and", "if False and", "a_zero_on_the_way"),
    Line("before_the_crossing_alone", Search, "least", "<= goal or at(flip) <= goal", "<= goal", "a_zero_on_the_way"),
    Line("behind_the_crossing_alone", Search, "least", "at(flip - 1) <= goal or ", "", "a_zero_on_the_way"),
    Line("no_crossing_in_the_scan", Search, "scan", "self.flip(n - 1, n)", "pass", "the_last_crossing"),
    Line("the_first_crossing", Search, "flip", "max(self.crossing or 0, found)", "self.crossing or found",
         "the_last_crossing"),
    Line("unknown_is_another_sign", Search, "flip", "self.sign(n) in (0, self.sign(low))",
         "self.sign(n) == self.sign(low)", "the_last_crossing"),
    Line("lost_now_and_then", Search, "least", "lost + 1 if seen[n] is None else 0", "lost + (seen[n] is None)",
         "laws_are_lost_and_found"),
    Line("enough_in_the_middle", Sampled, "ends", "value.upper <= self.goal", "value <= self.goal",
         "the_ends_of_an_interval"),
    Line("too_few_in_the_middle", Sampled, "ends", "value.lower > self.goal", "value > self.goal",
         "the_ends_of_an_interval"),
    Line("not_ruled_out_though_too_few", Sampled, "_found", "status, low + 1, high)", "status, low, high)",
         "the_ends_of_an_interval"),
    Line("an_interval_for_an_answer", Sampled, "_found", "told = high - low == 1 or ", "told = True or ",
         "the_ends_of_an_interval"),
    Line("its_end_for_a_guess", Sampled, "_found", "Found(min(max(steps, low + 1), high)", "Found(high",
         "the_ends_of_an_interval"),
    Line("the_value_elsewhere", Sampled, "_found", "self.seen[high], self.seen.get(low)",
         "self.seen[low], self.seen.get(high)", "the_ends_of_an_interval"),
]  # fmt: skip
