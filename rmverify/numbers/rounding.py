"""How far floats are apart."""

__all__ = ["EPS", "UNIT"]

EPS = 2.0**-52
"""The distance from 1 to the next float."""

UNIT = 2.0**-53
"""The unit roundoff: the largest relative error of one rounding."""
