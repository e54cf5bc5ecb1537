"""Numbers that know their error, the checks of arguments, and rules of quadrature: what every room may use."""
