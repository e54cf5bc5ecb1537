"""Mutants of the random numbers and of how particles are cut, and the facts of `test_streams` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.readings import particles, streams
from rmverify.readings.particles import ParticleDraw
from rmverify.readings.streams import Stream
from rmverify.targets import GaussianMixture, gaussian_mixture

LINES = [
    Line("a_round_less", streams, "threefry", "range(_ROUNDS)", "range(_ROUNDS - 1)", "known_answers"),
    Line("another_key_is_added", streams, "threefry", "keys[j % 3]", "keys[(j + 2) % 3]", "known_answers"),
    Line("turned_the_other_way", streams, "threefry", "cut(z << r)", "cut(z << (32 - r))", "known_answers"),
    Line("a_bit_lost", streams, "_plus", "x + (1 << 30) + (1 << 30)", "x + (1 << 30)", "known_answers"),
    Line("a_large_number_one_off", streams, "_plus", "x - ((1 << 32) - word)", "x - ((1 << 32) - word - 1)",
         "known_answers"),
    Line("no_parity_in_place", streams, "_encrypted", " ^ _PARITY", "", "known_answers"),
    Line("no_count_of_keys_in_place", streams, "_encrypted", "] + j) & _MASK", "]) & _MASK", "known_answers"),
    Line("half_a_turn", Stream, "_gaussian", "2 * math.pi", "math.pi", "the_formulas"),
    Line("sines_first", Stream, "_gaussian", "[radius * xp.cos(turn), radius * xp.sin(turn)]",
         "[radius * xp.sin(turn), radius * xp.cos(turn)]", "the_formulas"),
    Line("not_in_the_middle_in_place", streams, "_unit", "np.add(out, _HALF, out)", "pass", "the_formulas"),
    Line("not_in_the_middle", Stream, "_unit", " + 2.0**-33", "", "the_formulas"),
    Line("places_are_particles", Stream, "_particles", "_plus(number,", "_plus(0 * number,", "the_formulas"),
    Line("not_from_the_first", streams, "_encrypted", "first + columns.start", "columns.start", "the_formulas"),
    Line("a_wrong_sign_in_place", streams, "_normal", "subtract(_HALF, turn, turn)", "subtract(turn, _HALF, turn)",
         "the_formulas"),
    Line("every_piece_is_the_first", streams, "_encrypted", "first + columns.start", "first", "pieces"),
    Line("one_is_reached", Stream, "_random", "values * (1 - 2.0**-24)", "values", "single_precision"),
    Line("rounded_before_the_logarithm", Stream, "_surprise", "-xp.where(below, xp.log(near), xp.log1p(-near))",
         "-xp.log(self._unit(words))", "single_precision"),
    Line("step_and_draw_swapped", streams, "_traced_key", "(step, 0 * step + draw)", "(0 * step + draw, step)", "keys"),
    Line("a_wide_step_on_numpy_alone", particles, "_rows", "None if start.native else model", "None", "own_backend"),
    Line("every_draw_the_same", ParticleDraw, "_stream", "self._used - 1)", "0)", "numbers_of_their_own"),
    Line("every_step_the_same", ParticleDraw, "at", "self._step = step", "self._step = 0", "numbers_of_their_own"),
    Line("every_tile_the_same", ParticleDraw, "on", "first, 0", "0, 0", "tiles"),
    Line("every_stage_the_same", particles, "_moved", "number += 1", "number = 0", "numbers_of_their_own"),
    Line("counted_in_its_tile", particles, "_finite", "first + int", "int", "the_place_of_a_bad_particle"),
    Line("the_last_error", particles, "_spread", "for future in futures]", "for future in futures[::-1]]",
         "the_first_error"),
    Line("told_of_every_tile", particles._Told, "__call__", "self._moved // self._n", "self._moved", "progress"),
    Line("device_not_looked_at", particles, "_elsewhere", "device(z) != device(x)", "False", "devices"),
    Line("library_not_looked_at", particles, "_elsewhere", "here != there", "False", "libraries"),
    Line("wide_rounds_not_cut", particles, "_rows", "start.n if max(widths) == 1 else", "start.n if True else",
         "own_backend"),
    Line("every_worker_has_all_the_memory", particles, "_run", "memory / threads)", "memory)",
         "memory_of_all_workers"),
    Line("weights_without_the_densities_size", gaussian_mixture, "_height_and_score", " + size) / 2", ") / 2",
         "mixture_score"),
    Line("the_first_stays_the_highest", GaussianMixture, "score", "top, total, pulled = higher,",
         "_, total, pulled = top,", "mixture_score"),
    Line("empty_components_count", GaussianMixture, "score", " if w > 0]", "]", "mixture_score"),
    Line("pull_not_rescaled", GaussianMixture, "score", "before * pulled +", "pulled +", "mixture_score"),
]  # fmt: skip
