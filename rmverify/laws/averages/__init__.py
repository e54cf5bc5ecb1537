"""Averages over what a step draws: rules in its midpoints, where it bends, many strata, and sets of paths."""
