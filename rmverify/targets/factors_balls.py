r"""Factors over balls: ln q_t, its score and its slope to any number of digits, by the textbook densities.

Where two laws differ by less than float64 resolves, what is needed of them is run over balls and rounded once. With z
the distance from the location, s^2 the variance of the Gaussian part and Q the Gaussian tail, the densities are

======================  ====================================================================================
TwoGaussians            [phi(z/s - d) + phi(z/s + d)]/(2 s), d the separation
SkewNormal              2 phi(z/w) Q(-alpha z/w)/w, alpha the shape and w^2 = (1 + alpha^2) s^2
UniformGaussian         [Q((|z| - b)/s) - Q((|z| + b)/s)]/(2 b), b the half width
ExponentialGaussian     e^{k (k/2 - z/s)} Q(k - z/s)/scale, k = s/scale
LaplaceGaussian         half the sum of the last at z and at -z
======================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify.elementary import sqrt
from rmverify.targets import factors

__all__ = ["BallFactor"]


class BallFactor:
    """A factor whose log density, score and slope take and return balls, or object arrays of balls.

    The parameters are the factor's floats, exactly, and so are those at level t: nothing is rounded on the way.

    Examples
    --------
    >>> import numpy as np
    >>> from flint import arb, ctx
    >>> from rmverify.targets import TwoGaussians
    >>> with ctx.workprec(128):
    ...     x = arb(1) / 3
    ...     score = BallFactor(TwoGaussians(0.0)).score(arb(0), np.array([x], dtype=object))[0]
    ...     (score + x).contains(0), float(score.rad()) < 1e-35
    (True, True)
    """

    def __init__(self, factor: factors.Factor) -> None:
        self.factor = factor
        self._density = _DENSITIES[type(factor)]
        self._last: tuple[Any, Any, Any] = (None, None, None)

    def log_density(self, t: Any, x: Any) -> Any:
        """ln q_t(x)."""
        return self._curve(t, x)[0]

    def score(self, t: Any, x: Any) -> Any:
        """(ln q_t)'(x)."""
        return self._curve(t, x)[1]

    def slope(self, t: Any, x: Any) -> Any:
        """(ln q_t)''(x)."""
        return 2 * self._curve(t, x)[2]

    def rate(self, t: Any, x: Any) -> Any:
        """d/dt ln q_t(x), for balls t and x."""
        from flint import arb_series

        size, noise, location = self.factor._marginal(arb_series([t, 1], prec=2))
        return self._density(x - location, size, sqrt(noise)).log()[1]

    def _curve(self, t: Any, x: Any) -> Any:
        """The first coefficients of ln q_t about x; a scheme asks at the same points for the score and its slope."""
        if self._last[0] is not t or self._last[1] is not x:
            size, noise, location = self.factor._marginal(t)
            self._last = t, x, np.frompyfunc(self._point, 4, 3)(x, size, sqrt(noise), location)
        return self._last[2]

    def _point(self, x: Any, size: Any, s: Any, location: Any) -> tuple[Any, Any, Any]:
        from flint import arb_series

        log = self._density(arb_series([x - location, 1], prec=3), size, s).log()
        return log[0], log[1], log[2]


def _phi(z: Any) -> Any:
    from flint import arb

    return (-z * z / 2).exp() / (2 * arb.pi()).sqrt()


def _tail(u: Any) -> Any:
    from flint import arb

    return (u / arb(2).sqrt()).erfc() / 2


def _two(z: Any, d: Any, s: Any) -> Any:
    return (_phi(z / s - d) + _phi(z / s + d)) / (2 * s)


def _skew(z: Any, alpha: Any, s: Any) -> Any:
    w = s * (1 + alpha * alpha).sqrt()
    return 2 * _phi(z / w) * _tail(-alpha * z / w) / w


def _uniform(z: Any, b: Any, s: Any) -> Any:
    r = -z if z[0] < 0 else z
    return (_tail((r - b) / s) - _tail((r + b) / s)) / (2 * b)


def _exponential(z: Any, scale: Any, s: Any) -> Any:
    k = s / scale
    return (k * (k / 2 - z / s)).exp() * _tail(k - z / s) / scale


def _laplace(z: Any, scale: Any, s: Any) -> Any:
    return (_exponential(z, scale, s) + _exponential(-z, scale, s)) / 2


_DENSITIES: dict[type[factors.Factor], Callable[[Any, Any, Any], Any]] = {
    factors.TwoGaussians: _two,
    factors.SkewNormal: _skew,
    factors.UniformGaussian: _uniform,
    factors.LaplaceGaussian: _laplace,
    factors.ExponentialGaussian: _exponential,
}
