"""Mutants of how bounds are read, evaluated, replaced in and printed, and the facts of `test_bounds` that refute
them."""

from __future__ import annotations

from mutants import Line
from rmverify.exponents import formulas
from rmverify.exponents.formulas import Bound

LINES = [
    Line("a_slash_divides_by_all_that_follows", formulas._Reader, "product", "factor = self.factor()",
         'factor = self.product() if token == "/" else self.factor()', "constants"),
    Line("a_cube_root", formulas._Reader, "factor", "_HALF if root", "Fraction(1, 3) if root", "constants"),
    Line("a_minus_forgotten", formulas._Reader, "exponent", 'elif text == "-":\n        text += self.next()',
         'elif text == "-":\n        text = self.next()', "constants"),
    Line("equal_terms_not_added", Bound, "__add__", "self.terms.get(m, Fraction(0)) + other.terms.get(m, 0)",
         "(self.terms | other.terms)[m]", "constants"),
    Line("exp_for_log_over_balls", formulas, "_at", "getattr(first, function)()", "first.exp()", "constants"),
    Line("a_maximum_counted_as_a_sum", formulas, "_at", "getattr(a, function)(b)", "a + b", "exact"),
    Line("max_and_min_exchanged", formulas, "_at", '"max": np.maximum, "min": np.minimum',
         '"max": np.minimum, "min": np.maximum', "catalogue"),
    Line("a_constant_as_a_float", Bound, "__call__", "(coefficient.numerator, coefficient.denominator)",
         "(float(coefficient), 1)", "exact"),
    Line("a_power_as_a_float", Bound, "__call__", "p.numerator * one / p.denominator", "float(p)", "exact"),
    Line("a_power_of_what_is_replaced_forgotten", Bound, "at", "factor**power", "factor", "replaced"),
    Line("nothing_replaced_inside_a_maximum", Bound, "at", "[a.at(given) for a in arguments]", "arguments", "replaced"),
    Line("one_factor_below_the_line", formulas._Latex, "fraction", "' '.join(below)", "below[0]", "latex"),
    Line("a_power_of_exp_in_its_exponent", formulas._Latex, "power", 'base.startswith("e^")', "False", "latex"),
    Line("a_power_without_its_denominator", formulas._Latex, "power", "raised(exponent).strip('^{}')",
         "exponent.numerator", "latex"),
    Line("a_root_of_too_little", formulas._Latex, "root", 'r"\\right)")]', 'r"\\right)") - 1]', "latex"),
    Line("digits_of_a_decimal_lost", formulas._Text, "product", 'f"{whole}.{part:09}".rstrip("0")',
         'f"{float(coefficient):g}"', "constants"),
]  # fmt: skip
