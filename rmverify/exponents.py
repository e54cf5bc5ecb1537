"""Exponents: the smallest worst cost under error terms that are monomials, exactly and with certificates.

Error terms and costs are monomials in scales (d, L, κ, 1/ε), which grow, and in free parameters (step sizes,
times), which may be chosen. In logarithms, "every error at most 1, the largest cost as small as possible" is
a linear program whose right side moves with the scales s:

    V(s) = min over f of max_k cost_k(s, f)   subject to   row_i(s, f) <= 1.

By duality V is the maximum of finitely many monomials, one for each vertex (w, y) of the dual polyhedron
w, y >= 0, Σw = 1, "the free parameters cancel in Π cost_k^{w_k} Π row_i^{y_i}": since every row is at most 1
and the largest cost is at least the geometric mean with weights w,

    max_k cost_k  >=  Π cost_k^{w_k} Π row_i^{y_i}  =  the vertex's monomial,

which is the whole proof of the lower bound; parameters that reach it are the proof of the upper one.

All vertices are found in exact integers, by eliminating the free parameters one after the other (the extreme
rays of a cone by double description). No floating point, no solver. Both proofs of every answer are checked
again by multiplying the monomials out. Programs above `LIMITS` are refused.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import resources
from numbers import Rational
from pathlib import Path
from typing import Any, TypeAlias

__all__ = [
    "BUILT_IN",
    "LIMITS",
    "Claim",
    "Infeasible",
    "Monomial",
    "Optimum",
    "Piece",
    "Program",
    "Unbounded",
    "Verdict",
    "Vertex",
    "load",
    "optimize",
]

BUILT_IN = ("d0", "d1", "d3", "d5", "d5-log-concave", "d7", "d7-log-concave")
"""Programs that come with the package, by the names of their claims."""

LIMITS = {"scales": 5, "free": 6, "rows": 20, "rays": 4000}
"""The largest program: scales, free parameters, rows (costs, errors and constraints), rays during elimination."""

Vector: TypeAlias = tuple[Fraction, ...]
Ray: TypeAlias = tuple[int, ...]
Terms: TypeAlias = "Mapping[str, Monomial | str] | Sequence[Monomial | str]"


# --- monomials ----------------------------------------------------------------------------------------------


class Monomial:
    """A product of named quantities to rational powers, such as L^{5/3} d^{5/12} / eps.

    Parameters
    ----------
    **exponents : int, Fraction, str or integral float
        The exponent of each name: ``2``, ``Fraction(5, 12)``, ``"5/12"``.
        Other floats are refused: 0.1 is not 1/10.

    Raises
    ------
    ValueError
        For an exponent that is not an exact rational number.

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
        return _Parser(text).monomial()

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
        names = dict.fromkeys([*self._exponents, *other._exponents])
        return Monomial(**{name: self[name] + other[name] for name in names})

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
        return " ".join(name + _power(e) for name, e in self._exponents.items()) or "1"

    def __repr__(self) -> str:
        return f"Monomial({', '.join(f'{name}={str(e)!r}' for name, e in self._exponents.items())})"


def _rational(name: str, value: Any) -> Fraction:
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        if not isinstance(value, Rational | str | float):
            raise ValueError
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        expected = "an exact rational exponent (an int, a Fraction or a string such as '5/12')"
        raise ValueError(f"{name}: expected {expected}, got {value!r}") from None


def _power(exponent: Fraction) -> str:
    if exponent == 1:
        return ""
    return f"^{exponent}" if exponent.denominator == 1 and exponent > 0 else f"^{{{exponent}}}"


_TOKEN = re.compile(r"\s*(?:(\*\*|\^|[*/(){}])|([^\W\d]\w*)|(\d+(?:\.\d+)?)|(-)|(\S))")


class _Parser:
    """Monomials by recursive descent: factors side by side or with `*`, `/` binding the next factor only."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError(f"monomial: expected text, got {text!r}")
        self.text = text
        self.tokens = [next(filter(None, found)) for found in _TOKEN.findall(text.strip())]

    def monomial(self) -> Monomial:
        result = self.product("a factor")
        if self.tokens:
            raise self.complaint("a factor", self.tokens[0])
        return result

    def product(self, first: str) -> Monomial:
        result = self.factor(first)
        while self.tokens and self.tokens[0] not in (")", "}"):
            if self.tokens[0] in ("*", "/"):
                divides = self.tokens.pop(0) == "/"
                factor = self.factor("a factor")
                result = result / factor if divides else result * factor
            else:
                result = result * self.factor("a factor")
        return result

    def factor(self, expected: str) -> Monomial:
        token = self.tokens.pop(0) if self.tokens else ""
        if token == "(":
            base = self.product("a factor")
            self.take(")")
        elif token == "sqrt" and self.tokens[:1] == ["("]:
            self.take("(")
            base = self.product("a factor") ** Fraction(1, 2)
            self.take(")")
        elif token.isidentifier():
            base = Monomial(**{token: 1})
        elif token == "1":
            base = Monomial()
        elif token[:1].isdigit():
            raise self.complaint("no constant but 1 (and braces around a fraction: d^{5/12})", token)
        else:
            raise self.complaint(expected, token)
        if self.tokens[:1] in (["^"], ["**"]):
            self.tokens.pop(0)
            return base ** self.exponent()
        return base

    def exponent(self) -> Fraction:
        close = {"{": "}", "(": ")"}.get(self.tokens[0] if self.tokens else "")
        if close is None:
            sign = self.tokens.pop(0) if self.tokens[:1] == ["-"] else ""
            text = sign + (self.tokens.pop(0) if self.tokens else "")
        else:
            self.tokens.pop(0)
            end = self.tokens.index(close) if close in self.tokens else len(self.tokens)
            text = "".join(self.tokens[:end])
            del self.tokens[:end]
            self.take(close)
        try:
            return Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise self.complaint("a rational exponent", text) from None

    def take(self, token: str) -> None:
        found = self.tokens.pop(0) if self.tokens else ""
        if found != token:
            raise self.complaint(repr(token), found)

    def complaint(self, expected: str, found: str) -> ValueError:
        got = repr(found) if found else "nothing"
        return ValueError(f"monomial: expected {expected}, got {got} in {self.text!r}")


def _bound(text: str) -> Monomial:
    """The monomial that "left <= right", or a monomial alone, asks to be at most 1."""
    left, found, right = text.partition("<=") if isinstance(text, str) else (text, "", "")
    return Monomial.parse(left) / Monomial.parse(right) if found else Monomial.parse(text)


# --- programs -----------------------------------------------------------------------------------------------


class Infeasible(ValueError):
    """No parameters satisfy all rows: Π row^{multiplier} = `monomial` is free of them and grows along `direction`."""

    multipliers: dict[str, Fraction]
    monomial: Monomial
    direction: dict[str, Fraction]


class Unbounded(ValueError):
    """Every cost falls without limit: along parameter = t^{ray}, t → ∞, no row grows and every cost falls."""

    ray: dict[str, Fraction]


@dataclass(frozen=True)
class Claim:
    """A printed cost: the largest of `cost`; with `scales`, a statement about those alone, the others constant."""

    cost: tuple[Monomial, ...]
    scales: tuple[str, ...] | None = None
    source: str = ""

    def __str__(self) -> str:
        return " + ".join(map(str, self.cost))


@dataclass(frozen=True)
class Program:
    """Costs to be made small under errors and constraints at most 1; all of them monomials.

    Attributes
    ----------
    scales : tuple of str
        What grows, such as ``("d", "L", "1/eps")``.
    free : tuple of str
        Parameters to be chosen.
    costs, errors, constraints : dict of str to Monomial
        By name. A constraint without any parameter, such as L <= d, is an
        assumption about the scales.
    fix : dict of str to Monomial
        Parameters that are not free but given, in terms of scales.
    claims : tuple of Claim
        Printed costs to be judged.
    name, title : str
        Where the program comes from (complaints begin with it), and what it is.

    Examples
    --------
    >>> from rmverify import exponents
    >>> [str(cost) for cost in exponents.load("d0").solve().cost]
    ['L^2 d^{1/2} eps^{-1}']
    """

    scales: tuple[str, ...]
    free: tuple[str, ...]
    costs: dict[str, Monomial]
    errors: dict[str, Monomial]
    constraints: dict[str, Monomial] = field(default_factory=dict)
    fix: dict[str, Monomial] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    name: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def _signs(self) -> dict[str, int]:
        return {_bare(scale): -1 if scale.startswith("1/") else 1 for scale in self.scales}

    @property
    def _given(self) -> dict[str, Monomial]:
        """Errors and constraints, before anything is fixed, but for the assumptions about scales."""
        parameters = {*self.free, *self.fix}
        return self.errors | {k: m for k, m in self.constraints.items() if parameters & m.exponents.keys()}

    @property
    def assumptions(self) -> dict[str, Monomial]:
        """Constraints without any parameter."""
        return {k: m for k, m in self.constraints.items() if k not in self._given}

    @property
    def rows(self) -> dict[str, Monomial]:
        """What must be at most 1, with the fixed parameters put in: the errors and the constraints that have any."""
        return {name: m.at(**self.fix) for name, m in self._given.items()}

    @property
    def objectives(self) -> dict[str, Monomial]:
        """The costs, with the fixed parameters put in."""
        return {name: m.at(**self.fix) for name, m in self.costs.items()}

    def growth(self, m: Monomial, direction: Mapping[str, Any]) -> Fraction:
        """The power of t in m along scale = t^direction, such as d = t^2, 1/eps = t."""
        return sum((m[_bare(s)] * self._signs[_bare(s)] * direction[s] for s in self.scales), Fraction(0))

    def solve(self, scales: Sequence[str] | None = None) -> Optimum:
        """The smallest worst cost, exactly.

        Parameters
        ----------
        scales : sequence of str, optional
            Only these grow, the others are constants: ``["d"]``.

        Returns
        -------
        Optimum

        Raises
        ------
        Infeasible, Unbounded
            ValueErrors with a certificate in the program's own names. A
            program must be feasible wherever the scales may go; to look at a
            part, add an assumption about the scales as a constraint.
        ValueError
            For an unknown scale, and for a program above `LIMITS`.

        Examples
        --------
        >>> from rmverify import exponents
        >>> program = exponents.load("d1")
        >>> print(*program.solve().cost)
        L^2 d^{5/12} eps^{-1}
        >>> print(*program.solve(["d"]).cost)
        d^{5/12}
        """
        return _solve(self if scales is None else self._with_constant_others("scales", scales))

    def _with_constant_others(self, argument: str, scales: Sequence[str]) -> Program:
        if isinstance(scales, str) or not (kept := {_bare(str(s)) for s in scales}) or kept - self._signs.keys():
            raise ValueError(f"{argument}: expected some of {', '.join(self.scales)}, got {_listed(scales)}")
        one = {name: Monomial() for name in self._signs if name not in kept}

        def put(terms: dict[str, Monomial]) -> dict[str, Monomial]:
            return {name: m.at(**one) for name, m in terms.items()}

        return replace(
            self,
            scales=tuple(s for s in self.scales if _bare(s) in kept),
            costs=put(self.costs), errors=put(self.errors), constraints=put(self.constraints), fix=put(self.fix),
            claims=tuple(
                Claim(tuple(m.at(**one) for m in c.cost), c.scales and kept_scales, c.source)
                for c in self.claims
                if (kept_scales := tuple(s for s in c.scales or self.scales if _bare(s) in kept))
            ),
        )  # fmt: skip


def _bare(scale: str) -> str:
    return scale.removeprefix("1/").strip()


def _listed(names: Any) -> str:
    return repr(names) if isinstance(names, str) or not isinstance(names, Iterable) else ", ".join(map(str, names))


def _complaint(program: Program, argument: str, expected: str, found: str) -> str:
    """One line that begins with the file, or with the argument of `optimize`."""
    return f"{program.name!r}: expected {expected}, found {found}" if program.name else (
        f"{argument}: expected {expected}, got {found}")  # fmt: skip


def _check(p: Program) -> None:
    def refuse(argument: str, expected: str, found: str) -> None:
        raise ValueError(_complaint(p, argument, expected, found))

    names = [*map(_bare, p.scales), *p.free]
    for argument, group in (("scales", [_bare(s) for s in p.scales]), ("free", p.free), ("fix", p.fix)):
        for name in group:
            if not name.isidentifier():
                refuse(argument, f"names in {argument}", repr(name))
    if repeated := [n for n in names if names.count(n) > 1]:
        refuse("free", "every name once among scales and free parameters", f"{repeated[0]!r} twice")
    if both := p.fix.keys() & set(names):
        refuse("fix", "fixed parameters that are neither scales nor free", repr(min(both)))
    for argument, count, limit in (
        ("scales", len(p.scales), LIMITS["scales"]),
        ("free", len(p.free), LIMITS["free"]),
        ("errors", len(p.costs) + len(p.errors) + len(p.constraints), LIMITS["rows"]),
    ):
        if count > limit:
            what = "costs, errors and constraints" if argument == "errors" else argument
            refuse(argument, f"at most {limit} {what}", str(count))
    if not p.costs:
        refuse("costs", "at least one cost", "none")
    if twice := p.errors.keys() & p.constraints.keys() | p.costs.keys() & (p.errors.keys() | p.constraints.keys()):
        refuse("errors", "a name of its own for every cost, error and constraint", f"{min(twice)!r} twice")
    known = {*names, *p.fix}
    terms = [("costs", "cost", p.costs), ("errors", "error", p.errors), ("constraints", "constraint", p.constraints)]
    for argument, kind, group in terms:
        for name, m in group.items():
            if unknown := m.exponents.keys() - known:
                refuse(argument, f"in {kind} {name!r} the scales {', '.join(p.scales)}"
                       + (f" and the parameters {_listed([*p.free, *p.fix])}" if p.free or p.fix else ""),
                       repr(min(unknown)))  # fmt: skip
    scales = set(map(_bare, p.scales))
    for argument, kind, found in [
        *(("fix", f"the fixed parameter {k!r}", m) for k, m in p.fix.items()),
        *(("claimed", f"the claim {c}", m) for c in p.claims for m in c.cost),
    ]:
        if unknown := found.exponents.keys() - scales:
            refuse(argument, f"in {kind} the scales {', '.join(p.scales)}", repr(min(unknown)))
    for claim in p.claims:
        if unknown := set(map(_bare, claim.scales or ())) - scales:
            refuse("claimed", f"in the claim {claim} the scales {', '.join(p.scales)}", repr(min(unknown)))
    used = {n for _, _, group in terms for m in group.values() for n in m.exponents}
    if idle := [n for n in p.free if n not in used]:
        refuse("free", "parameters that some monomial contains", repr(idle[0]))
    if not p.scales:
        refuse("scales", "at least one scale", "none")


# --- answers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """Parameters that reach a vertex's cost: `free` by name, in scales, where every monomial of `where` is <= 1.

    `directions` generate that part of the cone of scales: it is enough to check
    the rows and the costs along each of them.
    """

    free: dict[str, Monomial]
    where: tuple[Monomial, ...]
    directions: tuple[dict[str, Fraction], ...]


@dataclass(frozen=True)
class Vertex:
    """One monomial of the answer, with both of its proofs.

    Attributes
    ----------
    cost : Monomial
        In the scales alone.
    multipliers : dict of str to Fraction
        The positive dual multipliers, by the names of costs (they add up to
        1), errors and constraints. Π term^{multiplier} = `cost`. They are the
        sensitivities: a further factor m in that term multiplies `cost` by
        m^{multiplier}, exactly. The names are the terms that bind.
    where : tuple of Monomial
        The vertex is the largest where each of these is <= 1.
    direction : dict of str to Fraction
        A direction of scales along which it is larger than every other one
        (empty for a dominated vertex).
    pieces : tuple of Piece
        Parameters that reach it there (none for a dominated vertex).
    dominated : bool
        Nowhere the only largest one: kept for the record, not part of the cost.
    """

    cost: Monomial
    multipliers: dict[str, Fraction]
    where: tuple[Monomial, ...] = ()
    direction: dict[str, Fraction] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    dominated: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the program says of a claim.

    Attributes
    ----------
    claim : Claim
    finding : {"implied", "implied where", "not implied"}
        ``implied``: the cost is nowhere above the claim. ``implied where``:
        in a full part of the cone of scales. ``not implied``: at most on its
        boundary.
    where : tuple of tuple of Monomial
        The cost is at most the claim exactly where, in one of these
        alternatives, every monomial is <= 1; empty when implied.
    witness : dict of str to Fraction or None
        A direction of scales along which the cost grows faster than the claim.
    gap : Fraction
        By how much along `witness`, as a power of t; 0 when implied.
    equal : bool
        The claim is the cost, in every direction of scales.
    """

    claim: Claim
    finding: str
    where: tuple[tuple[Monomial, ...], ...]
    witness: dict[str, Fraction] | None
    gap: Fraction
    equal: bool


@dataclass(frozen=True)
class Optimum:
    """The smallest worst cost of a program: the largest of `cost`, up to constants.

    Attributes
    ----------
    program : Program
    vertices : tuple of Vertex
        All vertices of the dual polyhedron with different monomials, those
        that make up the cost first.
    claims : tuple of Verdict
    """

    program: Program
    vertices: tuple[Vertex, ...]
    claims: tuple[Verdict, ...]

    @property
    def cost(self) -> tuple[Monomial, ...]:
        """The monomials whose maximum is the cost; none can be left out."""
        return tuple(v.cost for v in self.vertices if not v.dominated)

    @property
    def free(self) -> tuple[dict[str, Monomial], ...]:
        """Optimal parameters for each of `cost` (of its first piece, where one choice does not reach it everywhere)."""
        return tuple(v.pieces[0].free for v in self.vertices if not v.dominated)

    @property
    def alone(self) -> dict[str, Monomial]:
        """The cost when one scale grows and the others are constants, for every scale of which that can be said."""
        p, found = self.program, {}
        for scale, name in zip(p.scales, p._signs, strict=True):
            axis = {s: Fraction(int(s == scale)) for s in p.scales}
            if all(p.growth(m, axis) <= 0 for m in p.assumptions.values()):
                largest = max(self.cost, key=lambda m: p.growth(m, axis))
                found[scale] = Monomial(**{name: largest[name]})
        return found

    def condition(self, m: Monomial) -> str:
        """The inequality m <= 1, solved for what grows: "L <= d^{1/8} eps^{-3/2}"."""
        return _condition(self.program, m)

    def along(self, direction: Mapping[str, Fraction]) -> str:
        """A direction of scales in words: "d = t^2, 1/eps = t"."""
        return _along(direction, direction.values())

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON; exponents and multipliers are strings such as "5/12"."""
        p = self.program
        return {
            "program": p.name,
            "title": p.title,
            "scales": list(p.scales),
            "free": list(p.free),
            "fix": {k: str(m) for k, m in p.fix.items()},
            "costs": {k: str(m) for k, m in p.objectives.items()},
            "rows": {k: str(m) for k, m in p.rows.items()},
            "assumptions": [self.condition(m) for m in p.assumptions.values()],
            "cost": [str(m) for m in self.cost],
            "alone": {scale: str(m) for scale, m in self.alone.items()},
            "vertices": [self._vertex_record(v) for v in self.vertices],
            "claims": [self._claim_record(v) for v in self.claims],
        }

    def _vertex_record(self, v: Vertex) -> dict[str, Any]:
        return {
            "cost": str(v.cost),
            "exponents": _plain(v.cost.exponents),
            "dominated": v.dominated,
            "where": [self.condition(m) for m in v.where],
            "direction": _plain(v.direction),
            "multipliers": _plain(v.multipliers),
            "parameters": [
                {
                    "where": [self.condition(m) for m in piece.where],
                    "values": {k: str(m) for k, m in piece.free.items()},
                    "directions": [_plain(d) for d in piece.directions],
                }
                for piece in v.pieces
            ],
        }

    def _claim_record(self, v: Verdict) -> dict[str, Any]:
        return {
            "claim": str(v.claim),
            "source": v.claim.source,
            "scales": list(v.claim.scales or self.program.scales),
            "finding": v.finding,
            "where": [[self.condition(m) for m in conditions] for conditions in v.where],
            "witness": v.witness and _plain(v.witness),
            "gap": str(v.gap),
            "equal": v.equal,
        }


def _plain(numbers: Mapping[str, Fraction]) -> dict[str, str]:
    return {name: str(value) for name, value in numbers.items()}


def _condition(program: Program, m: Monomial) -> str:
    signs = program._signs
    left = {k: e for k, e in m.exponents.items() if e * signs[k] > 0}
    right = {k: -e for k, e in m.exponents.items() if k not in left}
    sign = "<="
    if len(left) != 1 and len(right) == 1:
        left, right, sign = right, left, ">="
    exponents = [*left.values()] if len(left) == 1 else [*left.values(), *right.values()]
    unit = Fraction(math.gcd(*(e.numerator for e in exponents)), math.lcm(*(e.denominator for e in exponents)))
    power = 1 / abs(unit) if unit else 1
    return f"{Monomial(**left) ** power} {sign} {Monomial(**right) ** power}"


# --- entry points -------------------------------------------------------------------------------------------


def optimize(
    errors: Terms,
    costs: Terms,
    free: Sequence[str],
    constraints: Terms = (),
    *,
    scales: Sequence[str] | None = None,
    fix: Mapping[str, Monomial | str] | None = None,
    claimed: Sequence[Monomial | str] = (),
) -> Optimum:
    """Minimize the largest cost over the free parameters, exactly.

    Parameters
    ----------
    errors, costs, constraints : sequence, or mapping by name, of Monomial or str
        Errors and constraints must be at most 1; put 1/eps in yourself, or
        write "left <= right". A constraint without any parameter is an
        assumption about the scales.
    free : sequence of str
        Parameters to be chosen.
    scales : sequence of str, optional
        What grows; "1/eps" for an eps that goes to 0. By default every name
        that is neither free nor fixed, `eps` as "1/eps".
    fix : mapping of str to Monomial or str, optional
        Parameters that are given.
    claimed : sequence of Monomial or str, optional
        Printed costs to be judged, "a + b" for a sum.

    Returns
    -------
    Optimum
        ``.cost``, ``.vertices`` with certificates, ``.free``, ``.claims``.

    Raises
    ------
    Infeasible, Unbounded
        ValueErrors with a certificate.
    ValueError
        For names that do not fit and for a program above `LIMITS`.

    Examples
    --------
    An error d h^2 / eps and a cost 1/h:

    >>> import rmverify as rm
    >>> best = rm.exponents.optimize(["d h^2 / eps"], ["1/h"], ["h"])
    >>> best.cost, best.free
    ((Monomial(d='1/2', eps='-1/2'),), ({'h': Monomial(d='-1/2', eps='1/2')},))
    >>> best.vertices[0].multipliers
    {'cost 1': Fraction(1, 1), 'error 1': Fraction(1, 2)}
    """
    parameters = _names("free", free)
    fixed = {name: _monomial("fix", m) for name, m in (fix or {}).items()}
    named = _terms("costs", "cost", costs), _terms("errors", "error", errors)
    limits = _terms("constraints", "constraint", constraints)
    found = [m for group in (*named, limits, fixed) for m in group.values()]
    bare = dict.fromkeys(name for m in found for name in m.exponents)
    grown = [f"1/{n}" if n == "eps" else n for n in bare if n not in parameters and n not in fixed]
    return Program(
        tuple(grown) if scales is None else _names("scales", scales),
        parameters, *named, constraints=limits, fix=fixed, claims=tuple(_claim(c) for c in claimed),
    ).solve()  # fmt: skip


def _names(argument: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{argument}: expected a list of names, got {names!r}")
    return tuple("1/" + _bare(n) if n.startswith("1/") else n.strip() for n in names)


def _monomial(argument: str, given: Any) -> Monomial:
    if isinstance(given, Monomial):
        return given
    try:
        return _bound(given)
    except ValueError as error:
        raise ValueError(f"{argument}: {str(error).partition(': ')[2]}") from None


def _terms(argument: str, kind: str, given: Terms) -> dict[str, Monomial]:
    if isinstance(given, str | Monomial) or not isinstance(given, Iterable):
        raise ValueError(f"{argument}: expected a list of monomials, or a mapping by name, got {given!r}")
    named = given.items() if isinstance(given, Mapping) else ((f"{kind} {k}", m) for k, m in enumerate(given, 1))
    return {str(name): _monomial(argument, m) for name, m in named}


def _claim(given: Any, scales: Any = None, source: str = "") -> Claim:
    parts = [given] if isinstance(given, Monomial) else [_monomial("claimed", s) for s in _summands(given)]
    return Claim(tuple(parts), None if scales is None else _names("claimed", scales), source)


def _summands(text: Any) -> list[str]:
    if not isinstance(text, str) or "<" in text:
        raise ValueError(f"claimed: expected a monomial or a sum of monomials, got {text!r}")
    return text.split("+")


def load(path: str | os.PathLike[str]) -> Program:
    """Read a program from a TOML file, or one of those that come with the package.

    Parameters
    ----------
    path : str or path-like
        A file, or a name in `BUILT_IN` (``"./d1"`` is a file).

    Returns
    -------
    Program

    Raises
    ------
    ValueError
        One line naming the file, what was expected and what was found.

    Notes
    -----
    The file lists ``scales`` (what grows: "d", "1/eps") and ``free``
    parameters, then ``[[cost]]``, ``[[error]]`` and ``[[constraint]]`` tables
    with a ``monomial`` and perhaps a ``name``; errors and constraints are
    "left <= right", or <= 1. ``[fix]`` gives parameters a value instead of
    leaving them free, ``claimed`` lists printed costs: texts, or tables with
    ``cost``, ``scales`` (the others constant) and ``source``.

    Examples
    --------
    >>> from rmverify import exponents
    >>> best = exponents.load("d5").solve()
    >>> print(best.cost[0], "at T_corr =", best.free[0]["T_corr"])
    L^{9/5} d^{2/5} eps^{-4/5} at T_corr = L^{-19/30} d^{-1/15} eps^{2/15}
    """
    name = os.fspath(path)
    try:
        built_in = resources.files("rmverify") / "data" / "exponents" / f"{name}.toml"
        file = built_in if isinstance(path, str) and path in BUILT_IN else Path(path)
        content = tomllib.loads(file.read_bytes().decode())
    except FileNotFoundError:
        known = f"a TOML file (or a built-in program: {', '.join(BUILT_IN)})"
        raise ValueError(f"{name!r}: expected {known}, found no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
        raise ValueError(f"{name!r}: expected a TOML file, found: {reason}") from None
    try:
        return _program(name, content)
    except ValueError as error:
        line = str(error)
        raise ValueError(line if line.startswith(f"{name!r}: ") else f"{name!r}: {line}") from None


_KEYS = {"title", "scales", "free", "fix", "claimed", "cost", "error", "constraint"}


def _program(name: str, content: dict[str, Any]) -> Program:
    _require_keys("the file", content, _KEYS, {"scales", "cost"})
    title, fix = content.get("title", ""), content.get("fix", {})
    if not isinstance(title, str):
        raise ValueError(f"title: expected text, got {title!r}")
    if not isinstance(fix, dict):
        raise ValueError(f"fix: expected a table, got {fix!r}")
    fixed = {key: _monomial(f"fix {key!r}", m) for key, m in fix.items()}
    costs, errors, limits = (_table(kind, content.get(kind, [])) for kind in ("cost", "error", "constraint"))
    free = tuple(n for n in _names("free", content.get("free", [])) if n not in fixed)
    claims = content.get("claimed", [])
    if not isinstance(claims, list):
        raise ValueError(f"claimed: expected a list, got {claims!r}")
    found = []
    for claim in claims:
        table = {"cost": claim} if isinstance(claim, str) else claim
        _require_keys("claimed", table, {"cost", "scales", "source"}, {"cost"})
        if not isinstance(table.get("source", ""), str):
            raise ValueError(f"claimed: expected a text as source, got {table['source']!r}")
        found.append(_claim(table["cost"], table.get("scales"), table.get("source", "")))
    scales = _names("scales", content["scales"])
    return Program(scales, free, costs, errors, limits, fixed, tuple(found), name, title)


def _require_keys(where: str, table: Any, known: set[str], needed: set[str]) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a table, got {table!r}")
    for key in table:
        if key not in known:
            raise ValueError(f"{where}: expected the keys {', '.join(sorted(known))}, got {key!r}")
    if missing := needed - table.keys():
        raise ValueError(f"{where}: expected the key {min(missing)!r}, got none")


def _table(kind: str, tables: Any) -> dict[str, Monomial]:
    if not isinstance(tables, list):
        raise ValueError(f"{kind}: expected tables headed [[{kind}]], got {tables!r}")
    terms: dict[str, Monomial] = {}
    for number, table in enumerate(tables, 1):
        _require_keys(f"{kind} {number}", table, {"name", "monomial"}, {"monomial"})
        name = table.get("name", f"{kind} {number}")
        if not isinstance(name, str) or name in terms:
            raise ValueError(f"{kind} {number}: expected a name of its own, got {name!r}")
        if kind == "cost" and "<" in str(table["monomial"]):
            raise ValueError(f"{kind} {name!r}: expected a monomial, got {table['monomial']!r}")
        terms[name] = _monomial(f"{kind} {name!r}", table["monomial"])
    return terms


# --- cones, in exact integers -------------------------------------------------------------------------------


def _rays(equations: Sequence[Sequence[Fraction]], size: int, name: str = "") -> list[Ray]:
    """Extreme rays of {x >= 0 : every equation·x = 0} as coprime integers: double description.

    Two rays on opposite sides of the next equation give a new one if they are adjacent: no third ray lives on
    the union of their supports (supports are bit sets).
    """
    left = [_integers(equation) for equation in equations]
    rays = {1 << i: tuple(int(i == j) for j in range(size)) for i in range(size)}
    done = 0
    while left:
        signs = [[sum(a * b for a, b in zip(e, x, strict=True)) for x in rays.values()] for e in left]
        pairs = [sum(v > 0 for v in row) * sum(v < 0 for v in row) for row in signs]
        k = pairs.index(min(pairs))
        done += 1
        del left[k]
        sides = [(mask, x, value) for (mask, x), value in zip(rays.items(), signs[k], strict=True)]
        masks = list(rays)
        rays = {mask: x for mask, x, value in sides if value == 0}
        for mask, x, value in (side for side in sides if side[2] > 0):
            for other, y, against in (side for side in sides if side[2] < 0):
                union = mask | other
                if union.bit_count() > done + 1 or any(m | union == union for m in masks if m not in (mask, other)):
                    continue
                rays[union] = _integers([value * b - against * a for a, b in zip(x, y, strict=True)])
                if len(rays) > LIMITS["rays"]:
                    where = repr(name) if name else "errors"
                    found = "more at once while the parameters were eliminated"
                    raise ValueError(f"{where}: expected at most {LIMITS['rays']} combinations of rows, got {found}")
    return list(rays.values())


def _integers(numbers: Iterable[Fraction | int]) -> Ray:
    """The positive multiple in coprime integers."""
    values = [Fraction(n) for n in numbers]
    scale = math.lcm(*(v.denominator for v in values))
    whole = [int(v * scale) for v in values]
    return tuple(w // (math.gcd(*whole) or 1) for w in whole)


def _cone(inequalities: Sequence[Vector], size: int) -> list[Ray]:
    """Extreme rays of {x >= 0 : every inequality·x <= 0}."""
    slack = [[Fraction(int(i == j)) for j in range(len(inequalities))] for i in range(len(inequalities))]
    return [_integers(x[:size]) for x in _rays([[*r, *s] for r, s in zip(inequalities, slack, strict=True)],
                                               size + len(inequalities))]  # fmt: skip


def _dot(a: Iterable[Fraction | int], b: Iterable[Fraction | int]) -> Fraction:
    return sum((Fraction(x) * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _minus(a: Vector, b: Vector) -> Vector:
    return tuple(x - y for x, y in zip(a, b, strict=True))


def _inside(rays: Sequence[Ray]) -> Ray:
    """A point in the relative interior of the cone of these rays."""
    return _integers([sum(column) for column in zip(*rays, strict=True)]) if rays else ()


def _rank(rows: Sequence[Sequence[Fraction | int]]) -> int:
    return len(_echelon(rows)[1])


def _echelon(rows: Sequence[Sequence[Fraction | int]]) -> tuple[list[list[Fraction]], list[int]]:
    """Reduced row echelon form and its pivot columns."""
    m = [[Fraction(x) for x in row] for row in rows]
    pivots: list[int] = []
    for column in range(len(m[0]) if m else 0):
        top = len(pivots)
        found = next((i for i in range(top, len(m)) if m[i][column]), None)
        if found is None:
            continue
        m[top], m[found] = m[found], m[top]
        m[top] = [x / m[top][column] for x in m[top]]
        for i in range(len(m)):
            if i != top and m[i][column]:
                m[i] = [x - m[i][column] * y for x, y in zip(m[i], m[top], strict=True)]
        pivots.append(column)
    return m, pivots


def _simplified(inequalities: Sequence[Vector], given: Sequence[Vector], size: int) -> list[Vector]:
    """Without those that follow from the others, from the given ones and from x >= 0."""
    kept = list(dict.fromkeys(inequalities))
    for row in list(kept):
        others = [r for r in kept if r != row]
        if all(_dot(row, x) <= 0 for x in _cone([*others, *given], size)):
            kept = others
    return kept


# --- the solution -------------------------------------------------------------------------------------------


class _Scales:
    """The cone of scales of a program, and the way between monomials and vectors of log-scales."""

    def __init__(self, program: Program, assumptions: Iterable[Monomial], alone: Sequence[str] | None = None) -> None:
        self.program = program
        self.names = program._signs
        self.size = len(self.names)
        self.given = [self.vector(m) for m in assumptions]
        kept = self.names if alone is None else set(map(_bare, alone))
        units = [tuple(Fraction(int(i == j)) for j in range(self.size)) for i in range(self.size)]
        self.given += [unit for name, unit in zip(self.names, units, strict=True) if name not in kept]
        self.rays = _cone(self.given, self.size)

    def vector(self, m: Monomial) -> Vector:
        return tuple(m[name] * sign for name, sign in self.names.items())

    def monomial(self, v: Iterable[Fraction | int]) -> Monomial:
        return Monomial(**{name: sign * e for (name, sign), e in zip(self.names.items(), v, strict=True)})

    def direction(self, x: Iterable[Fraction | int]) -> dict[str, Fraction]:
        return {s: Fraction(e) for s, e in zip(self.program.scales, x, strict=True)}

    def part(self, inequalities: Sequence[Vector]) -> list[Ray]:
        return _cone([*inequalities, *self.given], self.size)

    def where(self, inequalities: Sequence[Vector]) -> tuple[Monomial, ...]:
        return tuple(self.monomial(v) for v in _simplified(inequalities, self.given, self.size))

    def above(self, v: Vector, others: Sequence[Vector]) -> Ray | None:
        """A direction along which v grows faster than every one of the others, or None."""
        x = _inside(self.part([_minus(o, v) for o in others])) or (0,) * self.size
        return x if all(_dot(v, x) > _dot(o, x) for o in others) else None


def _solve(program: Program) -> Optimum:
    costs, rows = program.objectives, program.rows
    scales = _Scales(program, program.assumptions.values())
    _require_growth(program, scales)
    terms = [*costs.values(), *rows.values()]
    names = [*costs, *rows]
    dual = _rays([[m[p] for m in terms] for p in program.free], len(terms), program.name)
    for y in (y for y in dual if not any(y[: len(costs)])):
        _require_feasible(program, scales, dict(zip(rows, y[len(costs) :], strict=True)))
    corners = [y for y in dual if any(y[: len(costs)])]
    if not corners:
        raise _unbounded(program)
    found: dict[Vector, dict[str, Fraction]] = {}
    for y in sorted(corners, key=lambda y: sum(map(bool, y))):  # of equal monomials the shortest proof
        multipliers = {n: Fraction(v, sum(y[: len(costs)])) for n, v in zip(names, y, strict=True) if v}
        found.setdefault(scales.vector(_product(program, multipliers)), multipliers)
    vertices = _vertices(program, scales, found)
    for vertex in vertices:
        _verify(program, scales, vertex)
    kept = [scales.vector(v.cost) for v in vertices if not v.dominated]
    return Optimum(program, tuple(vertices), tuple(_judge(program, kept, claim) for claim in program.claims))


def _product(program: Program, multipliers: Mapping[str, Fraction]) -> Monomial:
    terms = program.objectives | program.rows | program.assumptions
    result = Monomial()
    for name, power in multipliers.items():
        result = result * terms[name] ** power
    return result


def _vertices(program: Program, scales: _Scales, found: dict[Vector, dict[str, Fraction]]) -> list[Vertex]:
    """The dual vertices; first those that make up the maximum, with the place where each is the largest."""
    kept = list(found)
    for v in sorted(found):  # the small ones first: of two that tie everywhere the larger one stays
        others = [o for o in kept if o != v]
        if others and scales.above(v, others) is None:
            kept = others
    vertices = []
    for v in kept:
        others = [o for o in kept if o != v]
        inequalities = [_minus(o, v) for o in others]
        region = scales.part(inequalities)
        inside = scales.above(v, others) or (0,) * scales.size
        pieces = _pieces(program, scales, found[v], inequalities, region)
        where = scales.where(inequalities)
        vertices.append(Vertex(scales.monomial(v), found[v], where, scales.direction(inside), tuple(pieces)))
    rest = [Vertex(scales.monomial(v), m, dominated=True) for v, m in found.items() if v not in kept]
    return vertices + rest


def _pieces(
    program: Program,
    scales: _Scales,
    multipliers: Mapping[str, Fraction],
    inequalities: Sequence[Vector],
    region: Sequence[Ray],
) -> list[Piece]:
    """Parameters, as monomials, that reach the vertex's cost in its region: one piece where one suffices.

    Where the cost is reached, every term with a multiplier is tight, and some choice of F+1 independent tight
    terms satisfies all others; errors are tried first (they then use their whole allowance). Where no choice
    serves the whole region there is one for each edge of it, and what lies between is their geometric mean.
    """
    order = len(program.free)
    terms = program.rows | program.objectives
    heads = {n: [*(m[p] for p in program.free), Fraction(-(n in program.costs))] for n, m in terms.items()}
    loose: list[list[Fraction]] = []
    for k in range(order):  # a combination of parameters that no term contains: put some of them to 1
        unit = [Fraction(int(k == j)) for j in range(order + 1)]
        if _rank([*heads.values(), *loose, unit]) > _rank([*heads.values(), *loose]):
            loose.append(unit)

    def reach(rays: Sequence[Ray]) -> list[Vector] | None:
        """Parameters along the rays, one row for each, from one choice of tight terms."""
        rows = {n: [*heads[n], *(_dot(scales.vector(m), x) for x in rays)] for n, m in terms.items()}
        base = [rows[name] for name in multipliers] + [unit + [Fraction(0)] * len(rays) for unit in loose]
        rest = [row for name, row in rows.items() if name not in multipliers]
        tight = _completion(base, rest, order + 1)
        if tight is None:
            return None
        return [tuple(-row[k] for row in tight[:order]) for k in range(order + 1, order + 1 + len(rays))]

    def piece(values: Sequence[Vector], where: tuple[Monomial, ...], rays: Sequence[Ray]) -> Piece:
        forms = _interpolated(rays, values)
        free = {p: scales.monomial(v) for p, v in zip(program.free, forms, strict=True)}
        return Piece(free, where, tuple(scales.direction(x) for x in rays))

    if (values := reach(region)) is not None:
        return [piece(values, scales.where(inequalities), region)]
    edges = {x: (reach([x]) or [()])[0] for x in region}
    units = [tuple(Fraction(-int(i == j)) for j in range(scales.size)) for i in range(scales.size)]
    pieces = []
    for rays in _simplices(region, [*inequalities, *scales.given, *units]):
        shares = _interpolated(rays, [tuple(Fraction(-int(x == y)) for y in rays) for x in rays])
        pieces.append(piece([edges[x] for x in rays], scales.where([*shares, *inequalities]), rays))
    return pieces


def _completion(base: list[list[Fraction]], rest: list[list[Fraction]], size: int) -> list[list[Fraction]] | None:
    """`base` completed to `size` independent rows, solved, such that no row of `rest` is then above 0 anywhere."""

    def search(chosen: list[list[Fraction]], rest: list[list[Fraction]], start: int) -> list[list[Fraction]] | None:
        """The rows of `rest` come with the chosen ones eliminated; those before `start` are only checked."""
        if any(not any(row[:size]) and max(row[size:], default=0) > 0 for row in rest):
            return None
        if len(chosen) == size:
            return _echelon(chosen)[0]
        for k in range(start, len(rest)):
            if any(rest[k][:size]):
                found = search([*chosen, rest[k]], _eliminated(rest, rest[k]), k + 1)
                if found is not None:
                    return found
        return None

    for row in _echelon(base)[0]:
        rest = _eliminated(rest, row)
    return search(base, rest, 0)


def _eliminated(rows: list[list[Fraction]], pivot: list[Fraction]) -> list[list[Fraction]]:
    """The rows, minus multiples of `pivot` that cancel its first entry."""
    k = next(j for j, x in enumerate(pivot) if x)
    return [[x - row[k] / pivot[k] * y for x, y in zip(row, pivot, strict=True)] if row[k] else row for row in rows]


def _simplices(rays: Sequence[Ray], faces: Sequence[Vector]) -> list[list[Ray]]:
    """The cone of the rays, cut into cones of independent ones: the first ray joined to every facet without it."""
    rank = _rank(rays)
    if len(rays) == rank:
        return [list(rays)]
    facets = {tuple(x for x in rays if _dot(face, x) == 0) for face in faces}
    far = [f for f in facets if rays[0] not in f and _rank(f) == rank - 1]
    return [[rays[0], *simplex] for facet in sorted(far) for simplex in _simplices(facet, faces)]


def _interpolated(rays: Sequence[Ray], values: Sequence[Vector]) -> list[Vector]:
    """Linear forms with the given values (one row for each ray) along independent rays."""
    reduced, pivots = _echelon([[*x, *v] for x, v in zip(rays, values, strict=True)])
    size = len(rays[0])
    forms = []
    for k in range(size, size + len(values[0])):
        form = dict(zip(pivots, (row[k] for row in reduced), strict=False))
        forms.append(tuple(form.get(j, Fraction(0)) for j in range(size)))
    return forms


def _judge(program: Program, cost: Sequence[Vector], claim: Claim) -> Verdict:
    """Where max(cost) <= max(claim): on the union over the claim's monomials m of {every cost <= m}."""
    scales = _Scales(program, program.assumptions.values(), claim.scales)
    printed = [scales.vector(m) for m in claim.cost]
    witnesses = [x for v in cost if (x := scales.above(v, printed)) is not None]
    equal = not witnesses and all(scales.above(m, cost) is None for m in printed)
    if not witnesses:
        return Verdict(claim, "implied", (), None, Fraction(0), equal)
    simplest = min(witnesses, key=lambda x: (sum(map(bool, x)), sum(x)))
    for ray in scales.rays:  # a witness on an axis is easier to read
        if max(_dot(v, ray) for v in cost) > max(_dot(m, ray) for m in printed):
            simplest = min(simplest, ray, key=lambda x: (sum(map(bool, x)), sum(x)))
    gap = max(_dot(v, simplest) for v in cost) - max(_dot(m, simplest) for m in printed)
    parts: list[tuple[list[Vector], list[Ray]]] = []
    for inequalities in ([_minus(v, m) for v in cost] for m in printed):
        edges = scales.part(inequalities)
        if not any(_within(edges, other) for other, _ in parts):
            parts = [(i, e) for i, e in parts if not _within(e, inequalities)] + [(inequalities, edges)]
    full = any(_rank(edges) == _rank(scales.rays) for _, edges in parts)
    where = tuple(scales.where(i) for i, edges in parts if edges)
    return Verdict(claim, "implied where" if full else "not implied", where, scales.direction(simplest), gap, equal)


def _within(rays: Iterable[Ray], inequalities: Sequence[Vector]) -> bool:
    return all(_dot(v, x) <= 0 for x in rays for v in inequalities)


# --- certificates -------------------------------------------------------------------------------------------


def _verify(program: Program, scales: _Scales, vertex: Vertex) -> None:
    """Both proofs of a vertex, multiplied out; a failure is an error of this file, not of the program."""
    costs, rows, multipliers = program.objectives, program.rows, vertex.multipliers
    lower = (
        all(y > 0 for y in multipliers.values())
        and sum(multipliers.get(name, 0) for name in costs) == 1
        and _product(program, multipliers) == vertex.cost
        and not vertex.cost.exponents.keys() & set(program.free)
    )
    upper = vertex.dominated or bool(vertex.pieces)
    for piece in vertex.pieces:
        terms = [m.at(**piece.free) for m in rows.values()]
        terms += [m.at(**piece.free) / vertex.cost for m in costs.values()]
        upper &= all(program.growth(m, x) <= 0 for m in terms for x in piece.directions)
    if not vertex.dominated:  # the pieces reach every edge of the region, so by convexity all of it
        region = [scales.direction(x) for x in scales.part([scales.vector(m) for m in vertex.where])]
        upper &= all(any(_holds(program, p.where, x) for p in vertex.pieces) for x in region)
    if not (lower and upper):
        raise ArithmeticError(f"the certificate of {vertex.cost} does not hold")


def _holds(program: Program, where: Iterable[Monomial], direction: Mapping[str, Fraction]) -> bool:
    return all(program.growth(m, direction) <= 0 for m in where)


def _along(names: Iterable[str], powers: Iterable[Fraction | int]) -> str:
    return ", ".join(f"{n} = t{_power(Fraction(e))}" for n, e in zip(names, powers, strict=True) if e)


def _require_growth(program: Program, scales: _Scales) -> None:
    """The assumptions must leave every scale free to grow."""
    for k, name in enumerate(program.scales):
        if any(x[k] for x in scales.rays):
            continue
        # s_k <= 0 follows: multipliers y, slacks u >= 0 with Σ y_i a_i - u = unit_k (scaled by the last variable)
        unit = [Fraction(int(j == k)) for j in range(scales.size)]
        equations = [
            [*(a[j] for a in scales.given), *(Fraction(-int(i == j)) for i in range(scales.size)), -unit[j]]
            for j in range(scales.size)
        ]
        y = min((y for y in _rays(equations, len(equations[0])) if y[-1]), key=lambda y: sum(map(bool, y)))
        used = {n: Fraction(v, y[-1]) for n, v in zip(program.assumptions, y, strict=False) if v}
        raise _infeasible(program, used, {s: unit[j] for j, s in enumerate(program.scales)}, f"keeps {name} constant")


def _require_feasible(program: Program, scales: _Scales, weights: Mapping[str, int]) -> None:
    multipliers = {name: Fraction(v) for name, v in weights.items() if v}
    product = scales.vector(_product(program, multipliers))
    bad = [x for x in scales.rays if _dot(product, x) > 0]
    if bad:
        x = min(bad, key=lambda x: (sum(map(bool, x)), sum(x)))
        free = f"whatever {', '.join(program.free)} may be, " if program.free else ""
        raise _infeasible(
            program, multipliers, scales.direction(x), f"{free}but grows along {_along(program.scales, x)}"
        )


def _infeasible(
    program: Program, multipliers: dict[str, Fraction], direction: dict[str, Fraction], reason: str
) -> Infeasible:
    product = _product(program, multipliers)
    if any(y < 0 for y in multipliers.values()) or program.growth(product, direction) <= 0:
        raise ArithmeticError("the certificate of infeasibility does not hold")
    text = " ".join(f"({name}){_power(y)}" for name, y in multipliers.items())
    found = f"an infeasible one: {text} = {product} must be <= 1, {reason}"
    error = Infeasible(_complaint(program, "errors", "a feasible program", found))
    error.multipliers, error.monomial, error.direction = multipliers, product, direction
    return error


def _unbounded(program: Program) -> Unbounded:
    """A ray f with row·f <= 0 for every row and cost·f < 0 for every cost; f = p - q with p, q >= 0."""
    costs, rows = list(program.objectives.values()), list(program.rows.values())
    terms, order = costs + rows, len(program.free)
    equations = [
        [*(m[p] for p in program.free), *(-m[p] for p in program.free), Fraction(int(k < len(costs))),
         *(Fraction(int(k == j)) for j in range(len(terms)))]
        for k, m in enumerate(terms)
    ]  # fmt: skip
    rays = [x for x in _rays(equations, 2 * order + 1 + len(terms), program.name) if x[2 * order]]
    ray = min(rays, key=lambda x: (sum(map(bool, x[: 2 * order])), sum(x)))
    f = {p: Fraction(ray[k] - ray[order + k]) for k, p in enumerate(program.free)}
    along = [_dot([m[p] for p in f], f.values()) for m in terms]
    if max(along[: len(costs)]) >= 0 or max(along) > 0:
        raise ArithmeticError("the certificate of unboundedness does not hold")
    path = _along(f, f.values())
    found = f"an unbounded one: along {path}, t -> oo, nothing that must be <= 1 grows and every cost falls"
    error = Unbounded(_complaint(program, "costs", "a program whose cost is bounded below", found))
    error.ray = {p: e for p, e in f.items() if e}
    return error
