"""Mutants of what the claims G5 to G8 measure, and the facts of `test_neighbours` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.claims.looks import moreau, neighbours
from rmverify.claims.looks.moreau import Wells
from rmverify.claims.looks.neighbours import MonteCarloScore

LINES = [
    Line("a_crossing_of_its_own", moreau, "envelope_tv", "(low + 2 * K)", "(low + K)", "masses_on_a_grid"),
    Line("an_envelope_of_half_the_width", moreau, "_mass", "narrow = v * t / (v + t)", "narrow = v * t / (2 * v + t)",
         "masses_on_a_grid"),
    Line("one_tail_counted_twice", moreau, "_mass", "(mean, -mean)", "(mean, mean)", "masses_on_a_grid"),
    Line("the_constant_of_the_line_everywhere", moreau, "slope", "- half - math", "- 0.5 - math", "slopes"),
    Line("ten_percent_less_slope", moreau, "slope", "a * a / (f + a)", "0.9 * a * a / (f + a)", "slopes"),
    Line("a_push_twice_as_wide", Wells, "move", "np.clip(u / t,", "np.clip(u / (2 * t),", "chains_on_a_grid"),
    Line("wells_that_push_one_way", Wells, "move", "+ np.sign(x) * push", "+ push", "chains_on_a_grid"),
    Line("a_start_as_wide_as_the_first_noise", moreau, "_chained", "min(2 * tau, spread)", "2 * tau",
         "chains_on_a_grid"),
    Line("steps_one_off", moreau, "_chained", "here, tau, there.x", "here, steps[0], there.x", "chains_on_a_grid"),
    Line("a_noise_of_half_the_variance", moreau, "kernel", "2 * tau", "tau", "chains_on_a_grid"),
    Line("the_middle_term_of_de_moivre", neighbours, "from_data", "M // k + 1,", "M // k,", "binomials"),
    Line("both_halves_of_tv", neighbours, "from_data", "* k / M", "* 2 * k / M", "binomials"),
    Line("a_split_counted_once", neighbours, "langevin_from_data", "(1 if 2 * b == DATA else 2)", "1", "a_plateau"),
    Line("data_without_spread", neighbours, "langevin_from_data", "+ rng.standard_normal", "+ 3 * rng.standard_normal",
         "a_plateau"),
    Line("a_bias_the_other_way", MonteCarloScore, "at", "self.gain * rho * pull * a,", "-self.gain * rho * pull * a,",
         "moments_of_weights"),
    Line("the_square_of_the_gain_forgotten", MonteCarloScore, "at", "self.gain**2", "self.gain", "moments_of_weights"),
    Line("the_weights_counted_once", MonteCarloScore, "_parts", "lam * S / (lam + 2 * S)\n", "lam * S / (lam + S)\n",
         "moments_of_weights"),
    Line("a_second_moment_without_its_tilt", MonteCarloScore, "over", "pull**2 * A / rest", "pull**2 * A", "averages"),
    Line("pairs_counted_once", MonteCarloScore, "of", "(n - 1) * first**2", "n * first**2", "few_draws"),
    Line("a_second_moment_for_a_variance", MonteCarloScore, "of", "square - bias * bias", "square", "few_draws"),
    Line("a_bias_counted_once", neighbours, "response", "2 * A * B * pulled", "A * B * pulled", "a_predictor"),
    Line("errors_that_are_not_carried", neighbours, "response", "A * A * parts +", "parts +", "a_predictor"),
    Line("curvature_of_one_mode", neighbours, "bend", "(arb(a2) * w - v)", "arb(a2) * w", "the_path"),
]  # fmt: skip
