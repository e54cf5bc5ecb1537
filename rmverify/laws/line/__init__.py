"""Laws on the line that are not Gaussian: given the midpoints, and averaged over midpoints and noises."""
