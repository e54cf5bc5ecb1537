"""Mutants of how tiles are spread, kept and found again, and the facts of `test_tiles` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.readings import particles, tiles
from rmverify.readings.particles import _Start
from rmverify.readings.tiles import Store
from rmverify.tasks import store

LINES = [
    Line("the_last_tile_skipped", particles, "_apart", "range(0, n, size)", "range(0, n - size, size)",
         "the_serial_result"),
    Line("a_tile_twice", particles, "_apart", "range(0, n, size)", "[0, *range(0, n, size)]",
         "a_run_that_is_continued"),
    Line("the_numbers_of_the_first_tile", particles, "_tile", "empty_on(*place), first)", "empty_on(*place))",
         "the_serial_result"),
    Line("the_start_of_the_first_tile", particles, "_apart", "start.part(first, count)", "start.part(0, count)",
         "the_serial_result"),
    Line("every_tile_in_the_first_place", Store, "_place", "first * self", "0 * self", "the_serial_result"),
    Line("a_tile_that_is_there_is_computed", Store, "__init__", "set(tiles) - set(self.done)", "set(tiles)",
         "a_run_that_is_continued"),
    Line("a_tile_that_is_not_there_is_not", Store, "__init__", "set(tiles) - set(self.done)",
         "list(set(tiles) - set(self.done))[1:]", "the_serial_result"),
    Line("whole_from_the_beginning", tiles, "_file", "else _PART", "else _SAMPLES", "a_run_that_is_continued"),
    Line("never_whole", Store, "finish", "os.replace(self._folder / _PART, self._folder / _SAMPLES)", "pass",
         "a_run_that_is_continued"),
    Line("bytes_not_looked_at", Store, "__init__", "== zlib.crc32(self._bytes(tile))", "is not None",
         "tiles_that_were_lost_or_changed"),
    Line("whole_while_it_is_mended", Store, "__init__", "if self.todo and", "if False and",
         "tiles_that_were_lost_or_changed"),
    Line("header_not_compared", store, "_require_header", "there.get(name) != header[name]", "False",
         "stores_of_other_runs"),
    Line("particles_not_compared", Store, "check", "if far.any()", "if False", "stores_of_other_runs"),
    Line("levels_not_compared", tiles, "identity", "steps.update(part.tobytes())", "pass", "stores_of_other_runs"),
    Line("start_not_compared", _Start, "digest", "found.update(", "(", "stores_of_other_runs"),
    Line("all_at_once", particles, "_apart", "1 if where is None else workers", "1000", "few_tiles_are_held"),
    Line("nothing_taken_back", tiles, "completed", "if where.foreign:", "if False:",
         "what_has_not_begun_is_taken_back"),
    Line("what_was_there_is_not_told", particles, "_apart", "told(sum(count for _, count in there.done) * steps)",
         "pass", "steps_are_told"),
    Line("a_tile_is_a_step", particles, "_apart", "told(tile[1] * steps)", "told(tile[1])", "steps_are_told"),
    Line("counted_in_its_tile", particles, "_run", "start.first + first, loop, told", "first, loop, told",
         "the_place_of_a_bad_particle"),
]  # fmt: skip
