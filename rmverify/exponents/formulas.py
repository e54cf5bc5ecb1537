"""Formulas: monomials with exact exponents, and bounds, which are sums of them as theorems print them.

A theorem's right side is looked at, computed with and put into programs. It is one text in the paper's letters, and
everything else is a reading of it, so that no two of them can differ.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from numbers import Rational
from typing import Any

__all__ = ["Bound", "Monomial", "along", "product", "raised"]

_HALF = Fraction(1, 2)


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
        terms = _Reader(text, "monomial").sum().terms
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


class Bound:
    r"""A formula in named quantities, as theorems print it: sums, products, powers, max, min, exp, log.

    Parameters
    ----------
    formula : str, Monomial, int or Fraction
        Such as ``"L^4 d h^6 max(L, 1/t) + h^2 eps_sc^2"`` or ``"0.764 W_2/T"``: factors side by side, a slash divides
        by the next factor only, exponents are rational ("d^{5/12}", "sqrt(d)"), numbers exact.

    Attributes
    ----------
    terms : dict of Monomial to Fraction
        The sum's coefficients. A name in a monomial may be a text that is read in its turn: "max(L, 1/t)", a sum
        "(a + b)", a number "2".

    Examples
    --------
    >>> from rmverify.exponents import Bound
    >>> bound = Bound("L^2 d h^4 max(L, 1/t) + h^2 eps_sc^2")
    >>> bound(L=2.0, d=3, h=0.5, t=0.25, eps_sc=0.1)
    3.0025
    >>> print(bound.at(eps_sc=0).latex)
    L^{2} d h^{4} \max\left(L, \frac{1}{t}\right)
    >>> bound.at({"max(L, 1/t)": "L"}, eps_sc="eps").monomials
    (Monomial(L='3', d='1', h='4'), Monomial(h='2', eps='2'))
    """

    __slots__ = ("terms",)
    terms: dict[Monomial, Fraction]

    def __init__(self, formula: str | Bound | Monomial | Mapping[Monomial, Fraction] | int | Fraction) -> None:
        terms: Mapping[Monomial, Fraction]
        if isinstance(formula, Mapping):
            terms = formula
        elif isinstance(formula, Monomial):
            terms = {formula: Fraction(1)}
        elif isinstance(formula, int | Fraction):
            terms = {Monomial(): Fraction(formula)}
        else:
            terms = (formula if isinstance(formula, Bound) else _Reader(formula, "bound").sum()).terms
        self.terms = {monomial: c for monomial, c in terms.items() if c}

    def at(self, replaced: Mapping[str, Any] | None = None, /, **others: Any) -> Bound:
        """The bound with names, or whole factors such as "max(L, 1/t)", replaced by what `Bound` takes."""
        given = {str(Bound(name)): Bound(value) for name, value in (dict(replaced or {}) | others).items()}
        total = Bound(0)
        for monomial, coefficient in self.terms.items():
            term = Bound(coefficient)
            for name, power in monomial.exponents.items():
                factor = given.get(name)
                if factor is None:
                    function, arguments = _parts(name)
                    factor = _called(function, [a.at(given) for a in arguments]) if arguments else _named(name)
                term = term * factor**power
            total = total + term
        return total

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that occur."""
        found = [
            inner
            for monomial in self.terms
            for name in monomial.exponents
            for inner in ([name] if name.isidentifier() else [n for a in _parts(name)[1] for n in a.names])
        ]
        return tuple(dict.fromkeys(found))

    @property
    def monomials(self) -> tuple[Monomial, ...]:
        """The monomials whose sum the bound is up to constant factors: a maximum counts as a sum.

        Raises
        ------
        ValueError
            Where it is not such a sum: for differences, min, exp, log, and sums in a denominator.
        """
        found: dict[Monomial, None] = {}
        for monomial, coefficient in self.terms.items():
            products, plain = [Monomial()], coefficient > 0
            for name, power in monomial.exponents.items():
                function, arguments = _parts(name)
                factors = [m for a in arguments for m in a.monomials] or [Monomial(**{name: 1})]
                plain &= function in ("", "max") and (power > 0 or len(factors) == 1)
                products = [p * factor**power for p in products for factor in factors]
            if not plain:
                raise ValueError(f"bound: not a sum of monomials up to constants: {self}")
            found |= dict.fromkeys(products)
        return tuple(found)

    def power(self, scale: str) -> Fraction:
        """The largest power of a scale such as "d" or "1/eps" in the bound's monomials.

        Examples
        --------
        >>> from rmverify.exponents import BOUNDS
        >>> print(BOUNDS["D1"].power("d"), BOUNDS["D1"].power("1/eps"))
        5/12 1
        """
        name = scale.removeprefix("1/")
        return max(m[name] if name == scale else -m[name] for m in self.monomials)

    @property
    def latex(self) -> str:
        """The formula in LaTeX."""
        return _Latex().sum(self)

    def __call__(self, *, one: Any = 1.0, **values: Any) -> Any:
        """The bound at numbers, in the world that `one` is the 1 of.

        Floats and NumPy arrays by default. ``one=arb(1)`` is for balls, and gives an enclosure; ``sympy.Integer(1)``
        for symbols, where the bound has no exp, log, max or min.
        """
        if missing := [name for name in self.names if name not in values]:
            raise ValueError(f"{missing[0]}: needs a value in {self}; got values for {', '.join(values) or 'nothing'}")
        total = None
        for monomial, coefficient in self.terms.items():  # above the line and below it, each from left to right
            sides: list[Any] = [n if n != 1 else None for n in (coefficient.numerator, coefficient.denominator)]
            for name, power in monomial.exponents.items():
                factor, p, side = values[name] if name in values else _at(name, values, one), abs(power), power < 0
                if p != 1:
                    factor = factor ** (int(p) if p.denominator == 1 else p.numerator * one / p.denominator)
                sides[side] = factor if sides[side] is None else sides[side] * factor
            above, below = sides
            above = one if above is None else above * one if isinstance(above, int) else above
            term = above if below is None else above / below
            total = term if total is None else total + term
        return 0 * one if total is None else total

    def __add__(self, other: Bound) -> Bound:
        return Bound({m: self.terms.get(m, Fraction(0)) + other.terms.get(m, 0) for m in self.terms | other.terms})

    def __mul__(self, other: Bound) -> Bound:
        (p, x), (q, y) = self._single(), other._single()
        return Bound({x * y: p * q})

    def __pow__(self, power: Fraction) -> Bound:
        if not self.terms and power < 0:
            raise ValueError("bound: division by 0")
        coefficient, monomial = self._single()
        if Fraction(power).denominator == 1 or coefficient in (0, 1):
            return Bound({monomial**power: coefficient ** int(power) if coefficient else Fraction(0)})
        number = f"({coefficient})" if coefficient.denominator > 1 or coefficient < 0 else str(coefficient)
        return Bound(Monomial(**{number: power}) * monomial**power)

    def _single(self) -> tuple[Fraction, Monomial]:
        """One coefficient and one monomial; several terms are the name of a factor."""
        if len(self.terms) > 1:
            return Fraction(1), Monomial(**{f"({self})": 1})
        return next(((c, m) for m, c in self.terms.items()), (Fraction(0), Monomial()))

    def __str__(self) -> str:
        return _Text().sum(self)

    def __repr__(self) -> str:
        return f"Bound({str(self)!r})"

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"

    def __eq__(self, other: object) -> bool:
        return self.terms == other.terms if isinstance(other, Bound) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))


def _named(name: str) -> Bound:
    return Bound(Monomial(**{name: 1}))


def _called(function: str, arguments: list[Bound]) -> Bound:
    return _named(f"{function}({', '.join(map(str, arguments))})") if function else arguments[0]


@functools.cache
def _parts(name: str) -> tuple[str, tuple[Bound, ...]]:
    """Function and arguments of a name that is a text: "max", (L, 1/t); "" for a sum or a number; none of a letter."""
    if name.isidentifier():
        return "", ()
    if name.isdigit():
        return "", (Bound(int(name)),)
    reader = _Reader(name, "bound")
    function = "" if name.startswith("(") else reader.next()
    reader.next()
    return function, tuple(reader.arguments())


def _at(name: str, values: Mapping[str, Any], one: Any) -> Any:
    """The value of a name that is a text."""
    function, arguments = _parts(name)
    first, *rest = (argument(one=one, **values) for argument in arguments)
    if not function:
        return first
    if isinstance(one, float):
        import numpy as np

        shared = {"exp": np.exp, "log": np.log, "max": np.maximum, "min": np.minimum}[function]
        value = functools.reduce(shared, rest, first) if rest else shared(first)
        return value if np.ndim(value) else float(value)
    return functools.reduce(lambda a, b: getattr(a, function)(b), rest, first) if rest else getattr(first, function)()


# --- how they are read ----------------------------------------------------------------------------------------

_FUNCTIONS = ("exp", "log", "max", "min", "sqrt")
_TOKEN = re.compile(r"\s*(?:(\*\*|[-+^*/(){},])|([^\W\d]\w*)|(\d+(?:\.\d+)?)|(\S))")


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

    def sum(self, *ends: str) -> Bound:
        """Up to one of the tokens `ends`, which is left; up to the end of the text where there are none."""
        result, sign = Bound(0), self.next() if self.peek() == "-" else "+"
        while sign in ("+", "-"):
            result = result + Bound(-1 if sign == "-" else 1) * self.product()
            sign = self.next() if self.peek() in ("+", "-") else ""
        if (found := self.peek()) not in (ends or ("",)):
            raise self.complaint(" or ".join(map(repr, ends)) or "a factor", found)
        return result

    def arguments(self) -> Iterator[Bound]:
        """The sums up to a closing parenthesis, which is taken."""
        yield self.sum(",", ")")
        while self.next() == ",":
            yield self.sum(",", ")")

    def product(self) -> Bound:
        result = self.factor()
        while (token := self.peek()) not in ("", "+", "-", ",", ")"):
            if token in ("*", "/"):
                self.next()
            factor = self.factor()
            result = result * (factor ** Fraction(-1) if token == "/" else factor)
        return result

    def factor(self) -> Bound:
        token = self.next()
        if token == "(" or (token in _FUNCTIONS and self.peek() == "("):
            if token != "(":
                self.next()
            inside = [*self.arguments()]
            if (len(inside) > 1) != (token in ("max", "min")):
                raise self.complaint(*("')'", ",") if len(inside) > 1 else ("','", ")"))
            root, plain = token == "sqrt", token in ("sqrt", "(")
            base = inside[0] ** (_HALF if root else Fraction(1)) if plain else _called(token, inside)
        elif token.isidentifier():
            base = _named(token)
        elif token[:1].isdigit():
            base = Bound(Fraction(token))
        else:
            raise self.complaint("a factor", token)
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
        return ValueError(f"{self.what}: expected {expected}, got {got} in {self.text!r}")


# --- how they are written -------------------------------------------------------------------------------------


class _Text:
    """As a line of text that can be read again."""

    def sum(self, bound: Bound) -> str:
        """Every term with its sign."""
        signed = "".join(f" {'-' if c < 0 else '+'} {self.product(abs(c), m)}" for m, c in bound.terms.items())
        return signed.removeprefix(" + ").replace(" - ", "-", signed.startswith(" - ")) or "0"

    def product(self, coefficient: Fraction, monomial: Monomial) -> str:
        """What grows over what falls, square roots under one sign, sums last."""
        exponents = monomial.exponents.items()
        roots = [[self.name(name) for name, e in exponents if e == half] for half in (_HALF, -_HALF)]
        above, below = ([str(n)] if n != 1 else [] for n in (coefficient.numerator, coefficient.denominator))
        if (
            coefficient.denominator >= 10 or coefficient.denominator == 5
        ) and 10**9 % coefficient.denominator == 0:  # a decimal fraction stays one
            whole, part = divmod(int(coefficient * 10**9), 10**9)
            above, below = [f"{whole}.{part:09}".rstrip("0")], []
        sums: list[str] = []
        for name, e in exponents:
            side = sums if name.startswith("(") and e > 0 and e != _HALF else above if e > 0 else below
            if abs(e) != _HALF:
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
        return name

    def power(self, base: str, exponent: Fraction) -> str:
        return base + raised(exponent)

    def root(self, factors: list[str]) -> str:
        inside = " ".join(factors)
        closes = next((k for k in range(len(inside)) if inside.count("(", 0, k + 1) == inside.count(")", 0, k + 1)), -1)
        return f"sqrt{inside}" if inside.startswith("(") and closes == len(inside) - 1 else f"sqrt({inside})"

    def fraction(self, above: str, below: list[str]) -> str:
        return f"{above}/{below[0]}" if len(below) == 1 else f"{above}/({' '.join(below)})"


_GREEK = {"eps": r"\varepsilon"} | {
    name: rf"\{name}" for name in ("alpha", "delta", "gamma", "kappa", "lambda", "nu", "sigma")
}


class _Latex(_Text):
    """In LaTeX."""

    def name(self, name: str) -> str:
        if name.isidentifier():
            letter, _, index = name.partition("_")
            return _GREEK.get(letter, letter) + (f"_{{{index}}}" if len(index) > 1 else f"_{index}" if index else "")
        function, arguments = _parts(name)
        inside = ", ".join(map(self.sum, arguments))
        if name.isdigit():
            return name
        if function == "exp":
            return f"e^{{{inside}}}"
        return (rf"\{function}" if function else "") + rf"\left({inside}\right)"

    def power(self, base: str, exponent: Fraction) -> str:
        if exponent == 1:
            return base
        whole = rf"\left({base}\right)" if base.startswith("e^") else base
        return f"{whole}^{{{raised(exponent).strip('^{}')}}}"

    def root(self, factors: list[str]) -> str:
        inside = " ".join(factors)
        if len(factors) == 1 and inside.startswith(r"\left("):
            inside = inside[len(r"\left(") : -len(r"\right)")]
        return rf"\sqrt{{{inside}}}"

    def fraction(self, above: str, below: list[str]) -> str:
        return rf"\frac{{{above}}}{{{' '.join(below)}}}"
