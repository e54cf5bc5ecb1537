r"""The symbols reading: a scheme run on letters, which yields identities and exact local expansions.

Two kinds of letters go through the shipped steps. Plain sympy expressions: what comes out is a formula. `Series`:
power series in the step h, cut at an order, whose coefficients are polynomials in the other letters; what comes out
is the Taylor expansion of the step, exactly, over the rationals.

A series has no room for e^{-t}: time is counted from the step's start, where t = 0*h, and a score is asked at the
levels 0, -ah or -h. The Ornstein-Uhlenbeck process may start anywhere, so `process.mode_score(m, v, level, x)` with
the mean m and the variance v of the step's start is the score there.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from sympy.polys.ring_series import rs_mul
from sympy.polys.rings import ring

from rmverify import elementary
from rmverify.schemes.contract import Scheme, Score

__all__ = ["Draws", "Series", "average", "covariance", "elementwise", "flow", "letters", "local"]


class Series:
    """A power series in h, cut at h^order, with polynomials in other letters as coefficients.

    It takes part in sums, products and integer powers with rational numbers and with series; division needs a
    divisor whose coefficient at h^0 is a number or a unit (see `letters`). Floats are refused: they are not exact.

    Examples
    --------
    >>> from rmverify.elementary import exp
    >>> h, a = letters("a", order=4)
    >>> exp(a * h)
    1 + a*h + a**2*h**2/2 + a**3*h**3/6 + O(h**4)
    >>> (1 / (1 - h)).coefficient(3)
    1
    """

    __slots__ = ("order", "poly")

    def __init__(self, poly: Any, order: int) -> None:
        self.poly = poly
        self.order = order

    def _with(self, poly: Any) -> Series:
        return Series(poly, self.order)

    def _read(self, other: Any) -> Any:
        """The other operand as a polynomial of the same ring, None where it is neither exact nor a series."""
        if isinstance(other, Series):
            if (other.poly.ring, other.order) != (self.poly.ring, self.order):
                raise ValueError("series: expected letters of one call of `letters`, got letters of two")
            return other.poly
        if isinstance(other, numbers.Rational):
            exact = sp.Rational(other.numerator, other.denominator)
            return self.poly.ring.ground_new(self.poly.ring.domain.from_sympy(exact))
        return None

    def __add__(self, other: Any) -> Any:
        poly = self._read(other)
        return NotImplemented if poly is None else self._with(self.poly + poly)

    __radd__ = __add__

    def __neg__(self) -> Series:
        return self._with(-self.poly)

    def __sub__(self, other: Any) -> Any:
        poly = self._read(other)
        return NotImplemented if poly is None else self._with(self.poly - poly)

    def __rsub__(self, other: Any) -> Any:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Any:
        poly = self._read(other)
        if poly is None:
            return NotImplemented
        return self._with(rs_mul(self.poly, poly, self.poly.ring.gens[0], self.order))

    __rmul__ = __mul__

    def __pow__(self, power: int) -> Series:
        base = self if power >= 0 else self._inverse()
        value = self._with(self.poly.ring.one)
        for _ in range(abs(power)):
            value = base * value
        return value

    def __truediv__(self, other: Any) -> Any:
        poly = self._read(other)
        return NotImplemented if poly is None else self * self._with(poly)._inverse()

    def __rtruediv__(self, other: Any) -> Any:
        return self._inverse() * other

    def _inverse(self) -> Series:
        first = self.poly.coeff(1)
        if not first:
            raise ValueError(f"series: expected a divisor that is a number or a unit at h^0, got {self}")
        unit = self._with(self.poly.ring.ground_new(self.poly.ring.domain.one / first))
        value: Series = unit * (1 - unit * self).substitute([1] * self.order)
        return value

    def substitute(self, coefficients: Sequence[Any]) -> Series:
        """The sum of coefficients[n] z^n for z = this series, which must vanish at h = 0.

        Examples
        --------
        >>> h, = letters("", order=3)
        >>> (h + h**2).substitute([1, 1, 1])
        1 + h + 2*h**2 + O(h**3)
        """
        if any(powers[0] == 0 for powers in self.poly):
            raise ValueError(f"series: expected one that vanishes at h = 0, got {self}")
        value: Series = 0 * self
        for c in reversed(coefficients[: self.order]):
            value = value * self + c
        return value

    def coefficient(self, power: int) -> Any:
        """The coefficient of h^power, as a sympy expression in the other letters.

        Examples
        --------
        >>> h, a = letters("a", order=4)
        >>> (3 * a * h**2 + h).coefficient(2)
        3*a
        """
        if not 0 <= power < self.order:
            raise ValueError(f"power: expected 0 to {self.order - 1}, got {power!r}")
        terms = {(0, *powers[1:]): c for powers, c in self.poly.items() if powers[0] == power}
        return self.poly.ring.from_dict(terms).as_expr()

    def coefficients(self, stop: int) -> tuple[Any, ...]:
        """The coefficients of h^0 to h^(stop-1)."""
        return tuple(self.coefficient(n) for n in range(stop))

    def diff(self, letter: Series) -> Series:
        """The derivative in a letter other than h."""
        return self._with(self.poly.diff(letter.poly))

    def integrate(self) -> Series:
        """The integral from 0 to h.

        Examples
        --------
        >>> h, a = letters("a", order=4)
        >>> (a + h).integrate()
        a*h + h**2/2 + O(h**4)
        """
        terms = {(n + 1, *rest): c / (n + 1) for (n, *rest), c in self.poly.items() if n + 1 < self.order}
        return self._with(self.poly.ring.from_dict(terms))

    def __repr__(self) -> str:
        h = self.poly.ring.symbols[0]
        parts = [str(sp.factor(c) * h**n) for n, c in enumerate(self.coefficients(self.order)) if c != 0]
        return " + ".join([*parts, f"O({h}**{self.order})"])


def letters(names: str, *, order: int, units: str = "") -> tuple[Series, ...]:
    """h, the letters named, and the units named (letters that may be divided by), as series cut at h^order.

    Examples
    --------
    >>> h, x, v = letters("x", units="v", order=3)
    >>> x / (v + h)
    x/v + -h*x/v**2 + h**2*x/v**3 + O(h**3)
    """
    if order < 1:
        raise ValueError(f"order: expected at least 1, got {order!r}")
    domain = sp.QQ.frac_field(*sp.symbols(units.split())) if units else sp.QQ
    space, *generators = ring(["h", *names.split()], domain)
    constants = [space.ground_new(unit) for unit in domain.gens] if units else []
    return tuple(
        Series(poly if i else rs_mul(space.one, poly, poly, order), order) for i, poly in enumerate(generators)
    ) + tuple(Series(poly, order) for poly in constants)


def _phi(k: int, z: Series) -> Series:
    return z.substitute([sp.Rational(1, math.factorial(n + k)) for n in range(z.order)])


elementary.exp.register(Series, partial(_phi, 0))
elementary.expm1.register(Series, lambda z: z * _phi(1, z))
for _k, _function in ((1, elementary.phi1), (2, elementary.phi2), (3, elementary.phi3)):
    _function.register(Series, partial(_phi, _k))
elementary.sqrt.register(Series, lambda z: (z - 1).substitute([sp.binomial(sp.S.Half, n) for n in range(z.order)]))


def _log1p(first: int, z: Series) -> Series:
    """ln(1+z) from the power `first` on."""
    return z.substitute([0] * first + [sp.Rational((-1) ** (n + 1), n) for n in range(first, z.order)])


elementary.log1p.register(Series, partial(_log1p, 1))
elementary.log1p_minus.register(Series, partial(_log1p, 2))


class Draws:
    """Hands out given letters where a scheme draws, and keeps what is known of them.

    Attributes
    ----------
    intervals : list of (letter, lower end, upper end)
        Each midpoint and the interval on which it is uniform.
    chances : list of (letter, p)
        Each choice and its probability, and each duration and None.
    covariances : list of (letter, letter, value)
        Of the normal draws, each ordered pair that is correlated.

    Examples
    --------
    >>> from rmverify.schemes import overdamped
    >>> x, h, w = sp.symbols("x h w")
    >>> draws = Draws(noises=[w])
    >>> overdamped(x, 0, h, lambda t, x: -x, draws), draws.covariances
    (-h*x + w + x, [(w, w, 2*h)])
    """

    def __init__(self, midpoints: Iterable[Any] = (), noises: Iterable[Any] = ()) -> None:
        self._midpoints = iter(midpoints)
        self._noises = iter(noises)
        self.intervals: list[tuple[Any, Any, Any]] = []
        self.chances: list[tuple[Any, Any]] = []
        self.covariances: list[tuple[Any, Any, Any]] = []

    def uniform(self) -> Any:
        (letter,) = self._strata(1)
        return letter

    def bernoulli(self, p: Any) -> Any:
        letter = self._next(self._midpoints, "midpoints")
        self.chances.append((letter, p))
        return letter

    def exponential(self) -> Any:
        letter = self._next(self._midpoints, "midpoints")
        self.chances.append((letter, None))
        return letter

    def strata(self, count: int) -> tuple[Any, Any]:
        lo = np.array([sp.Rational(i, count) for i in range(count)], dtype=object)
        return lo, np.array(self._strata(count), dtype=object)

    def _strata(self, count: int) -> list[Any]:
        drawn = [self._next(self._midpoints, "midpoints") for _ in range(count)]
        self.intervals += [(a, sp.Rational(i, count), sp.Rational(i + 1, count)) for i, a in enumerate(drawn)]
        return drawn

    def cells(self, count: int) -> Any:
        return np.arange(count).astype(object)

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        copies = []
        for copy in range(1 if count is None else count):
            drawn = [self._next(self._noises, "noises") for _ in covariance]
            for i, row in enumerate(covariance):
                own = [each[copy] if isinstance(each, np.ndarray) else each for each in row]
                self.covariances += [(drawn[i], drawn[j], value) for j, value in enumerate(own)]
            copies.append(drawn)
        if count is None:
            return tuple(copies[0])
        return tuple(np.array(copies, dtype=object).T)

    @staticmethod
    def _next(letters: Any, name: str) -> Any:
        for letter in letters:
            return letter
        raise ValueError(f"{name}: expected one letter for each draw of the scheme, got fewer")


def average(series: Any, intervals: Iterable[tuple[Any, Any, Any]], chances: Iterable[tuple[Any, Any]] = ()) -> Any:
    """The mean over independent midpoints, each uniform on its interval, and over choices and durations (`Draws`);
    over an array, entry by entry.

    Examples
    --------
    >>> h, a, b = letters("a b", order=3)
    >>> average(a**2 * h, [(a, 0, 1)])
    h/3 + O(h**3)
    >>> average(b**2, [], [(b, h / 2)]), average(b**3, [], [(b, None)])  # a choice of probability h/2; a duration
    (h/2 + O(h**3), 6 + O(h**3))
    """
    if isinstance(series, np.ndarray):
        return elementwise(lambda each: average(each, intervals, chances))(series)
    poly, order = series.poly, series.order
    number = poly.ring.domain.from_sympy

    def on(lower: Any, upper: Any) -> Callable[[int], Any]:
        lo, hi = sp.Rational(lower), sp.Rational(upper)
        return lambda k: number((hi ** (k + 1) - lo ** (k + 1)) / ((k + 1) * (hi - lo)))

    def of(p: Any) -> Callable[[int], Any]:
        if p is None:
            return lambda k: number(sp.factorial(k))
        return lambda k: (0 * series + (p if k else 1)).poly

    moments = [(letter, of(p)) for letter, p in reversed(list(chances))]  # p may depend on what was drawn before
    for letter, moment in [*moments, *((letter, on(lo, hi)) for letter, lo, hi in intervals)]:
        i = poly.ring.gens.index(letter.poly)
        mean = poly.ring.zero
        for powers, c in poly.items():
            rest = poly.ring.from_dict({(*powers[:i], 0, *powers[i + 1 :]): c})
            mean += rs_mul(rest, poly.ring.one * moment(powers[i]), poly.ring.gens[0], order)
        poly = mean
    return Series(poly, order)


def covariance(first: Any, second: Any, covariances: Iterable[tuple[Any, Any, Any]]) -> Any:
    """Of two forms linear in the letters whose covariances are listed: sum_ij (d_i first)(d_j second) C_ij.

    Both may be series or sympy expressions.

    Examples
    --------
    >>> w, c = sp.symbols("w c")
    >>> covariance(3 * w, w, [(w, w, c)])
    3*c
    """
    return sum(first.diff(i) * second.diff(j) * value for i, j, value in covariances)


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function over arrays of letters too (strata, coordinates), entry by entry.

    Examples
    --------
    >>> elementwise(lambda t, x: t * x)(np.array([1, 2], dtype=object), 3).tolist()
    [3, 6]
    """

    def over(*arguments: Any) -> Any:
        if not any(isinstance(each, np.ndarray) for each in arguments):
            return function(*arguments)
        return np.asarray(np.frompyfunc(function, len(arguments), 1)(*arguments), dtype=object)

    return over


def flow(x: Any, h: Series, score: Score) -> Any:
    """The exact reverse flow over the step, as a series: X(r) = x + int_0^r (X + s_{t-r}(X)) by Picard's rounds.

    Examples
    --------
    >>> h, x = letters("x", order=4)
    >>> flow(x, h, lambda t, x: -3 * x)
    x + -2*h*x + 2*h**2*x + -4*h**3*x/3 + O(h**4)
    """
    point = x + 0 * h
    for _ in range(h.order - 1):
        point = x + elementwise(lambda slope: slope.integrate())(point + score(-h, point))
    return point


def local(scheme: Scheme, x: Any, h: Series, score: Score, midpoints: Iterable[Any] = ()) -> tuple[Any, Any]:
    """The mean of one step over its midpoints minus the exact flow, and its variance, as series.

    Parameters
    ----------
    scheme : a predictor
        Run as it is shipped, at the noise level 0 from which levels are counted.
    x : Series, or an array of them
        The state; the series keep its shape (the variance entry by entry).
    score : callable
        Of the level (a series: 0, -ah, -h) and the point.
    midpoints : letters
        One for each midpoint that the scheme draws.

    Examples
    --------
    >>> from rmverify.schemes import randomized_midpoint
    >>> h, x, a, g = letters("x a g", order=5)
    >>> bias, variance = local(randomized_midpoint, x, h, lambda t, x: -g * x, [a])
    >>> bias.coefficient(3), variance
    (g**3*x/6 - g**2*x/6, g**4*h**4*x**2/12 + O(h**5))
    """
    draws = Draws(midpoints)
    step = scheme(x, 0 * h, h, score, draws)
    mean = average(step, draws.intervals, draws.chances)
    spread = step - mean
    return mean - flow(x, h, score), average(spread * spread, draws.intervals, draws.chances)
