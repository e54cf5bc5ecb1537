"""A bound as one object: what is printed, evaluated, enclosed and put into exponent programs is one formula.

A theorem's right side used to be written once for the eye, once for the machine and once for the algebra, and nothing
compared them. Here it is one text in the paper's letters.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from rmverify.exponents.monomials import (
    Monomial,
    Terms,
    Text,
    added,
    called,
    multiplied,
    parts,
    powered,
    raised,
    read,
    written,
)

__all__ = ["Bound"]


class Bound:
    r"""A formula in named quantities, as theorems print it: sums, products, powers, max, min, exp, log.

    Parameters
    ----------
    text : str, Monomial, int or Fraction
        Such as ``"L^4 d h^6 max(L, 1/t) + h^2 eps_sc^2"`` or ``"0.764 W_2/T"``: factors side by side, a slash divides
        by the next factor only, exponents are rational ("d^{5/12}", "sqrt(d)"), numbers exact.

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

    def __init__(self, text: str | Monomial | int | Fraction | Bound) -> None:
        self.terms: Terms
        if isinstance(text, Bound):
            self.terms = text.terms
        elif isinstance(text, Monomial):
            self.terms = {text: Fraction(1)}
        elif isinstance(text, int | Fraction):
            self.terms = {Monomial(): Fraction(text)} if text else {}
        else:
            self.terms = read(text, "bound")

    def at(self, replaced: dict[str, Any] | None = None, /, **others: Any) -> Bound:
        """The bound with names, or whole factors such as "max(L, 1/t)", replaced by what `Bound` takes."""
        given = {str(Bound(name)): Bound(value).terms for name, value in ((replaced or {}) | others).items()}
        return _of(_replaced(self.terms, given))

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that occur."""
        return tuple(dict.fromkeys(_names(self.terms)))

    @property
    def monomials(self) -> tuple[Monomial, ...]:
        """The monomials whose sum the bound is up to constant factors: a maximum counts as a sum.

        Raises
        ------
        ValueError
            Where it is not such a sum: for differences, min, exp, log, and sums in a denominator.
        """
        return tuple(dict.fromkeys(_monomials(self.terms, str(self))))

    @property
    def latex(self) -> str:
        """The formula in LaTeX."""
        return _Latex().sum(self.terms)

    def __call__(self, *, one: Any = 1.0, **values: Any) -> Any:
        """The bound at numbers, in the world that `one` is the 1 of.

        Floats and NumPy arrays by default. ``one=arb(1)`` is for balls, and gives an enclosure; ``sympy.Integer(1)``
        for symbols.
        """
        if missing := [name for name in self.names if name not in values]:
            raise ValueError(f"{missing[0]}: {self} needs a value for it; got values for {', '.join(values) or 'none'}")
        return _value(self.terms, values, one)

    def __str__(self) -> str:
        return written(self.terms)

    def __repr__(self) -> str:
        return f"Bound({str(self)!r})"

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"

    def __eq__(self, other: object) -> bool:
        return self.terms == other.terms if isinstance(other, Bound) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))


def _of(terms: Terms) -> Bound:
    bound = Bound(0)
    bound.terms = terms
    return bound


def _replaced(terms: Terms, given: dict[str, Terms]) -> Terms:
    total: Terms = {}
    for monomial, coefficient in terms.items():
        term: Terms = {Monomial(): coefficient}
        for name, power in monomial.exponents.items():
            if name in given:
                factor = given[name]
            elif name.isidentifier():
                factor = {Monomial(**{name: 1}): Fraction(1)}
            else:
                function, arguments = parts(name)
                inside = [_replaced(a, given) for a in arguments]
                factor = called(function, inside) if function else inside[0]
            term = multiplied(term, powered(factor, power))
        total = added(total, term)
    return total


def _names(terms: Terms) -> Iterator[str]:
    for name in (name for monomial in terms for name in monomial.exponents):
        if name.isidentifier():
            yield name
        else:
            for argument in parts(name)[1]:
                yield from _names(argument)


def _monomials(terms: Terms, whole: str) -> Iterator[Monomial]:
    for monomial, coefficient in terms.items():
        if coefficient < 0:
            raise ValueError(f"bound: a difference has no monomials up to constants, got {whole!r}")
        products = [Monomial()]
        for name, power in monomial.exponents.items():
            function, arguments = ("", ()) if name.isidentifier() else parts(name)
            if function not in ("", "max"):
                raise ValueError(f"bound: {function} is no monomial, got {whole!r}")
            factors = [m for a in arguments for m in _monomials(a, whole)] or [Monomial(**{name: 1})]
            if power < 0 and len(factors) > 1:
                raise ValueError(f"bound: a sum in a denominator has no monomials, got {whole!r}")
            products = [p * factor**power for p in products for factor in factors]
        yield from products


def _value(terms: Terms, values: dict[str, Any], one: Any) -> Any:
    """What is above the line over what is below it, each as it is written, from left to right."""
    total = None
    for monomial, coefficient in terms.items():
        sides = [n if n != 1 else None for n in (coefficient.numerator, coefficient.denominator)]
        for name, power in monomial.exponents.items():
            base, p, side = values[name] if name in values else _called(name, values, one), abs(power), int(power < 0)
            if p != 1:
                base = base ** (int(p) if p.denominator == 1 else p.numerator * one / p.denominator)
            sides[side] = base if sides[side] is None else sides[side] * base
        above, below = sides
        above = one if above is None else above * one if isinstance(above, int) else above
        term = above if below is None else above / below
        total = term if total is None else total + term
    return 0 * one if total is None else total


def _called(name: str, values: dict[str, Any], one: Any) -> Any:
    function, arguments = parts(name)
    first, *rest = (_value(argument, values, one) for argument in arguments)
    if not function:
        return first
    if isinstance(one, float):
        import numpy as np

        shared = {"exp": np.exp, "log": np.log, "max": np.maximum, "min": np.minimum}[function]
        return functools.reduce(shared, rest, first) if rest else shared(first)
    return functools.reduce(lambda a, b: getattr(a, function)(b), rest, first) if rest else getattr(first, function)()


_GREEK = {"eps": r"\varepsilon"} | {name: rf"\{name}" for name in ("alpha", "delta", "gamma", "kappa", "lambda")}


class _Latex(Text):
    """A sum in LaTeX."""

    def name(self, name: str) -> str:
        if name.isidentifier():
            letter, _, index = name.partition("_")
            return _GREEK.get(letter, letter) + (f"_{{{index}}}" if len(index) > 1 else f"_{index}" if index else "")
        function, arguments = parts(name)
        inside = ", ".join(map(self.sum, arguments))
        if name.isdigit():
            return name
        if function == "exp":
            return f"e^{{{inside}}}"
        return (rf"\{function}" if function else "") + rf"\left({inside}\right)"

    def power(self, base: str, exponent: Fraction) -> str:
        return base if exponent == 1 else f"{base}^{{{raised(exponent).strip('^{}')}}}"

    def root(self, factors: list[str]) -> str:
        inside = " ".join(factors)
        if len(factors) == 1 and inside.startswith(r"\left("):
            inside = inside[len(r"\left(") : -len(r"\right)")]
        return rf"\sqrt{{{inside}}}"

    def fraction(self, above: str, below: list[str]) -> str:
        return rf"\frac{{{above}}}{{{' '.join(below)}}}"
