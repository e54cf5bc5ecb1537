"""Readings of a step: its own code, run on forms, slopes, letters and balls in place of arrays of random numbers."""
