"""One file for each case: its formulas first, then fault and correction, then the check."""
