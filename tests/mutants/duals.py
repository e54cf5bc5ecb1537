"""Mutants of the numbers that carry their slopes, and the facts of `test_duals` that refute them."""

from __future__ import annotations

from mutants import Line
from rmverify.readings.duals import Dual

LINES = [
    Line("power_without_its_factor", Dual, "__pow__", "power * self.value", "self.value", "cubed"),
    Line("no_chain_rule", Dual, "apply", "derivative * s for s", "derivative for s", "chain_rule"),
    Line("a_function_without_its_derivative", Dual, "apply", "derivative * s for s", "s for s", "stretched"),
    Line("quotient_of_slopes", Dual, "__rtruediv__", "-value / self.value", "value / self.value", "divided"),
    Line("product_with_one_slope", Dual, "__mul__", "a * other.value + self.value * b", "a * other.value", "divided"),
    Line("a_form_inside_a_value", Dual, "__mul__", "NotImplemented if isinstance(other, AffineForm) else ", "",
         "coefficient"),
    Line("a_form_added_to_a_value", Dual, "__add__", "NotImplemented if isinstance(other, AffineForm) else ", "",
         "coefficient"),
]  # fmt: skip
