"""Mutants of what is compiled, and the facts of `test_array_backends` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.numbers import backends, checks
from rmverify.readings.streams import Stream

LINES = [
    Line("sines_for_cosines", Stream, "_by_element", "places < half, 1 << 30, 0", "places < half, 0, 1 << 30",
         "by_element"),
    Line("the_middle_is_a_sine", Stream, "_by_element", "places < half, 1 << 30", "places < half - 1, 1 << 30",
         "by_element"),
    Line("words_not_of_their_pair", Stream, "_by_element", "places % half", "places", "by_element"),
    Line("without_the_cosine_of_half", Stream, "_sine", " * (1 - square)", "", "by_element"),
    Line("half_the_angle", Stream, "_sine", "* 2.0**-31", "* 2.0**-32", "by_element"),
    Line("half_precision_is_fine", backends, "_fine_enough", 'not in ("float32", "float64")', 'in ("int32",)',
         "levels_of_single_precision"),
    Line("the_end_not_looked_at", backends, "_fine_enough", "2.0**-17 * abs(end)", "2.0**-17",
         "levels_of_single_precision"),
    Line("levels_alone", backends, "_fine_enough", "levels - lengths", "levels", "levels_of_single_precision"),
    Line("constants_not_looked_at", backends, "_equal", "_bits(a) == _bits(b)", "True", "compiled_code"),
    Line("as_many_constants_as_there_are", backends, "_equal", "len(one[1]) != len(other[1])", "False",
         "compiled_code"),
    Line("bits_of_any_type", backends, "_bits", "return str(array.dtype)", 'return ""', "compiled_code"),
    Line("kept_for_ever", backends._Compiled, "put", "len(self._kept) > _KEPT", "False", "compiled_code"),
    Line("the_oldest_goes", backends._Compiled, "get", "self._kept.move_to_end(code[0])", "pass", "compiled_code"),
    Line("constants_of_the_whole_alone", backends, "_code", "rest.append(part.jaxpr)", "pass",
         "arrays_of_inner_functions"),
    Line("branches_passed_by", backends, "_code", "rest += part\n", "pass\n", "arrays_of_inner_functions"),
    Line("arrays_in_place_passed_by", backends, "_code", 'if hasattr(one, "val")', "if False",
         "arrays_of_inner_functions"),
    Line("no_level_is_looked_at", checks, "least_level", "if not 0 <= low < math.inf", "if False", "untraceable"),
]  # fmt: skip
