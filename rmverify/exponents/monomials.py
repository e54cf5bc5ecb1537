"""Monomials: products of named quantities to exact rational powers; how they and sums of them are read and written.

What a theorem says is a short formula, and everything the package does with it starts from that text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from numbers import Rational
from typing import Any, TypeAlias


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
        terms = read(text, "monomial")
        if [*terms.values()] != [1]:
            found = "a sum" if len(terms) > 1 else f"the constant {next(iter(terms.values()), 0)}"
            raise ValueError(f"monomial: expected a product of powers without constants, got {found} in {text!r}")
        return next(iter(terms))

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


# --- sums of monomials --------------------------------------------------------------------------------------

Terms: TypeAlias = "dict[Monomial, Fraction]"
"""A sum of monomials with rational coefficients. A name in them may be a text that is read in its turn: "max(L, 1/t)",
a sum "(a + b)", a number "2"."""

FUNCTIONS = ("exp", "log", "max", "min")
_TOKEN = re.compile(r"\s*(?:(\*\*|[-+^*/(){},])|([^\W\d]\w*)|(\d+(?:\.\d+)?)|(\S))")


def single(terms: Terms) -> tuple[Fraction, Monomial]:
    """A sum as one coefficient and one monomial: several terms become the name of a factor."""
    if not terms:
        return Fraction(0), Monomial()
    if len(terms) > 1:
        return Fraction(1), Monomial(**{f"({written(terms)})": 1})
    ((monomial, coefficient),) = terms.items()
    return coefficient, monomial


def multiplied(a: Terms, b: Terms) -> Terms:
    """The product of two sums; one of several terms stays a factor."""
    (p, x), (q, y) = single(a), single(b)
    return {x * y: p * q} if p * q else {}


def powered(terms: Terms, power: Fraction) -> Terms:
    """The power of a sum; that of a coefficient stays a factor where it is not rational."""
    if not terms and power < 0:
        raise ValueError("bound: division by 0")
    coefficient, monomial = single(terms)
    if power.denominator == 1:
        return {monomial**power: coefficient ** int(power)} if coefficient else {}
    number = str(coefficient) if coefficient.denominator == 1 else f"({coefficient})"
    root = Monomial() if coefficient == 1 else Monomial(**{number: power})
    return {root * monomial**power: Fraction(1)} if coefficient else {}


def added(a: Terms, b: Terms, sign: int = 1) -> Terms:
    """The sum or the difference of two sums."""
    total = {m: a.get(m, Fraction(0)) + sign * b.get(m, Fraction(0)) for m in a | b}
    return {m: c for m, c in total.items() if c}


def called(function: str, arguments: Iterable[Terms]) -> Terms:
    """A function of sums, as the name of a factor."""
    return {Monomial(**{f"{function}({', '.join(map(written, arguments))})": 1}): Fraction(1)}


@cache
def parts(name: str) -> tuple[str, tuple[Terms, ...]]:
    """Function and arguments of a name that is a text: "max", (L, 1/t); "" where it is a sum or a number."""
    if name.isdigit():
        return "", ({Monomial(): Fraction(name)},)
    reader = _Reader(name, "bound")
    function = reader.next() if reader.peek() in FUNCTIONS else ""
    reader.next()
    return function, tuple(reader.arguments())


def read(text: str, what: str) -> Terms:
    """The sum that a text says; `what` it is, for complaints."""
    return _Reader(text, what).whole()


class _Reader:
    """Recursive descent: factors side by side or with `*`, `/` binding the next factor only."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what = text, what
        if not isinstance(text, str):
            raise ValueError(f"{what}: expected text, got {text!r}")
        self.tokens = [next(filter(None, found)) for found in _TOKEN.findall(text.strip())]

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def next(self) -> str:
        return self.tokens.pop(0) if self.tokens else ""

    def whole(self, *ends: str) -> Terms:
        """A sum up to one of the tokens `ends`, which is left; up to the end of the text where there are none."""
        result: Terms = {}
        sign = "-" if self.peek() == "-" else "+"
        if sign == "-":
            self.next()
        while True:
            result = added(result, self.product(), -1 if sign == "-" else 1)
            if self.peek() not in ("+", "-"):
                break
            sign = self.next()
        if (found := self.peek()) not in (ends or ("",)):
            raise self.complaint(" or ".join(map(repr, ends)) or "a factor", found)
        return result

    def arguments(self) -> Iterator[Terms]:
        """The sums up to a closing parenthesis, which is taken."""
        yield self.whole(",", ")")
        while self.next() == ",":
            yield self.whole(",", ")")

    def product(self) -> Terms:
        result = self.factor()
        while (token := self.peek()) not in ("", "+", "-", ",", ")"):
            if token in ("*", "/"):
                self.next()
            factor = self.factor()
            result = multiplied(result, powered(factor, Fraction(-1)) if token == "/" else factor)
        return result

    def factor(self) -> Terms:
        token = self.next()
        if token == "(":
            base = self.whole(")")
            self.next()
        elif token == "sqrt" and self.peek() == "(":
            self.next()
            base = powered(self.whole(")"), Fraction(1, 2))
            self.next()
        elif token in FUNCTIONS and self.peek() == "(":
            self.next()
            base = called(token, [*self.arguments()])
        elif token.isidentifier():
            base = {Monomial(**{token: 1}): Fraction(1)}
        elif token[:1].isdigit():
            base = {Monomial(): Fraction(token)} if Fraction(token) else {}
        else:
            raise self.complaint("a factor", token)
        if self.peek() in ("^", "**"):
            self.next()
            return powered(base, self.exponent())
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
        return ValueError(f"{self.what}: expected {expected}, got {got} in {self.text!r}")


# --- how they are written -----------------------------------------------------------------------------------


class Text:
    """A sum as a line of text that can be read again."""

    def sum(self, terms: Terms) -> str:
        """Every term with its sign."""
        signed = "".join(f" {'-' if c < 0 else '+'} {self.product(abs(c), m)}" for m, c in terms.items())
        return signed.removeprefix(" + ").replace(" - ", "-", signed.startswith(" - ")) or "0"

    def product(self, coefficient: Fraction, monomial: Monomial) -> str:
        """A term: what grows over what falls, square roots under one sign, sums last."""
        half = Fraction(1, 2)
        roots = [[self.name(name) for name, e in monomial.exponents.items() if e == sign * half] for sign in (1, -1)]
        above, below = ([str(n)] if n != 1 else [] for n in (coefficient.numerator, coefficient.denominator))
        if coefficient.denominator >= 10 and 10**9 % coefficient.denominator == 0:  # a decimal fraction stays one
            above, below = [f"{float(coefficient):g}"], []
        sums = []
        for name, e in monomial.exponents.items():
            side = sums if name.startswith("(") and e > 0 and e != half else above if e > 0 else below
            if abs(e) != half:
                side.append(self.power(self.name(name), abs(e)))
            elif all(roots):
                above.append(self.root([self.fraction(" ".join(roots[0]), roots[1])]))
                roots = [[], []]
            elif roots[e < 0]:
                side.append(self.root(roots[e < 0]))
                roots = [[], []]
        if not above:
            above, sums = sums or ["1"], []
        text = " ".join(above)
        return " ".join([self.fraction(text, below) if below else text, *sums])

    def name(self, name: str) -> str:
        """A letter, or a text in its place."""
        return name

    def power(self, base: str, exponent: Fraction) -> str:
        """A factor."""
        return base + raised(exponent)

    def root(self, factors: list[str]) -> str:
        """A square root."""
        inside = " ".join(factors)
        return f"sqrt{inside}" if len(factors) == 1 and inside.startswith("(") else f"sqrt({inside})"

    def fraction(self, above: str, below: list[str]) -> str:
        """A quotient."""
        return f"{above}/{below[0]}" if len(below) == 1 else f"{above}/({' '.join(below)})"


def written(terms: Terms) -> str:
    """A sum as text."""
    return Text().sum(terms)
