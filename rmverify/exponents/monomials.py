"""Monomials: products of named quantities to exact rational powers, and how they are read and printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from numbers import Rational
from typing import Any


class Monomial:
    """A product of named quantities to rational powers, such as L^{5/3} d^{5/12} / eps.

    Parameters
    ----------
    **exponents : int, Fraction, str or integral float
        The exponent of each name: ``2``, ``Fraction(5, 12)``, ``"5/12"``.
        Other floats are refused (ValueError): 0.1 is not 1/10.

    Examples
    --------
    >>> from rmverify.exponents import Monomial
    >>> m = Monomial(d="1/2", eps=-1) * Monomial(L=2)
    >>> print(m)
    d^{1/2} eps^{-1} L^2
    >>> m["d"], m["h"], m**2 == Monomial.parse("L^4 d / eps^2")
    (Fraction(1, 2), Fraction(0, 1), True)
    """

    __slots__ = ("_exponents",)

    def __init__(self, **exponents: Any) -> None:
        exact = {name: _rational(name, value) for name, value in exponents.items()}
        self._exponents = {name: value for name, value in exact.items() if value}

    @classmethod
    def parse(cls, text: str) -> Monomial:
        """Read "L^{3/4} sqrt(d) h_c / (eps T^2)"; a fraction in an exponent takes braces or parentheses."""
        return _Parser(text).product()

    @property
    def exponents(self) -> dict[str, Fraction]:
        """The exponents that are not 0, by name."""
        return dict(self._exponents)

    def at(self, **values: Monomial) -> Monomial:
        """The monomial with some of its names replaced by monomials."""
        result = Monomial(**{name: e for name, e in self._exponents.items() if name not in values})
        for name, value in values.items():
            result = result * value ** self[name]
        return result

    def __getitem__(self, name: str) -> Fraction:
        return self._exponents.get(name, Fraction(0))

    def __mul__(self, other: Any) -> Monomial:
        if not isinstance(other, Monomial):
            return self if other == 1 else NotImplemented
        return Monomial(**{name: self[name] + other[name] for name in self._exponents | other._exponents})

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Monomial:
        return self * other**-1 if isinstance(other, Monomial) else self * other

    def __rtruediv__(self, other: Any) -> Monomial:
        return (self**-1).__mul__(other)

    def __pow__(self, power: Any) -> Monomial:
        p = _rational("power", power)
        return Monomial(**{name: e * p for name, e in self._exponents.items()})

    def __eq__(self, other: object) -> bool:
        return self._exponents == other._exponents if isinstance(other, Monomial) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._exponents.items()))

    def __str__(self) -> str:
        return " ".join(name + raised(e) for name, e in self._exponents.items()) or "1"

    def __repr__(self) -> str:
        return f"Monomial({', '.join(f'{name}={str(e)!r}' for name, e in self._exponents.items())})"


def _rational(name: str, value: Any) -> Fraction:
    try:
        if isinstance(value, Rational | str) and not isinstance(value, bool):
            return Fraction(value)
        if isinstance(value, float) and value.is_integer():
            return Fraction(value)
    except (ValueError, ZeroDivisionError):
        pass
    expected = "an exact rational exponent (an int, a Fraction or a string such as '5/12')"
    raise ValueError(f"{name}: expected {expected}, got {value!r}")


def raised(exponent: Fraction) -> str:
    """The exponent as it is printed: nothing for 1, "^2", "^{5/12}"."""
    if exponent == 1:
        return ""
    return f"^{exponent}" if exponent.denominator == 1 and exponent > 0 else f"^{{{exponent}}}"


def product(terms: Mapping[str, Monomial], powers: Mapping[str, Fraction]) -> Monomial:
    """Π term^power over the names of `powers`."""
    result = Monomial()
    for name, power in powers.items():
        result = result * terms[name] ** power
    return result


def along(names: Iterable[str], powers: Iterable[Fraction | int]) -> str:
    """A direction in words: "d = t^2, 1/eps = t"."""
    return ", ".join(f"{n} = t{raised(Fraction(e))}" for n, e in zip(names, powers, strict=True) if e)


_TOKEN = re.compile(r"\s*(?:(\*\*|\^|[*/(){}])|([^\W\d]\w*)|(\d+(?:\.\d+)?)|(-)|(\S))")


class _Parser:
    """Recursive descent: factors side by side or with `*`, `/` binding the next factor only."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError(f"monomial: expected text, got {text!r}")
        self.text = text
        self.tokens = [next(filter(None, found)) for found in _TOKEN.findall(text.strip())]

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def next(self) -> str:
        return self.tokens.pop(0) if self.tokens else ""

    def product(self, end: str = "") -> Monomial:
        """Factors up to the token `end`, which is taken."""
        result = self.factor()
        while (token := self.peek()) != end:
            if not token:
                raise self.complaint(repr(end), token)
            if token in ("*", "/"):
                self.next()
            factor = self.factor()
            result = result / factor if token == "/" else result * factor
        self.next()
        return result

    def factor(self) -> Monomial:
        token = self.next()
        if token == "(":
            base = self.product(")")
        elif token == "sqrt" and self.peek() == "(":
            self.next()
            base = self.product(")") ** Fraction(1, 2)
        elif token.isidentifier():
            base = Monomial(**{token: 1})
        elif token == "1":
            base = Monomial()
        else:
            constant = "no constant but 1 (and braces around a fraction: d^{5/12})"
            raise self.complaint(constant if token[:1].isdigit() else "a factor", token)
        if self.peek() in ("^", "**"):
            self.next()
            return base ** self.exponent()
        return base

    def exponent(self) -> Fraction:
        text = self.next()
        if close := {"{": "}", "(": ")"}.get(text):
            text = ""
            while (token := self.next()) != close:
                if not token:
                    raise self.complaint(repr(close), token)
                text += token
        elif text == "-":
            text += self.next()
        try:
            return Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise self.complaint("a rational exponent", text) from None

    def complaint(self, expected: str, found: str) -> ValueError:
        got = repr(found) if found else "nothing"
        return ValueError(f"monomial: expected {expected}, got {got} in {self.text!r}")
