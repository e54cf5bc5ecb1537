"""Programs from text: the arguments of `optimize`, and TOML files."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rmverify.exponents.formulas import Monomial
from rmverify.exponents.problem import PrintedCost
from rmverify.exponents.program import Program
from rmverify.exponents.programs import PROGRAMS
from rmverify.exponents.solution import Optimum

BUILT_IN = tuple(PROGRAMS)
"""Programs that come with the package, by the names of their claims."""

Terms: TypeAlias = "Mapping[str, Monomial | str] | Sequence[Monomial | str]"


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
    named = _terms("costs", costs), _terms("errors", errors), _terms("constraints", constraints)
    bare = dict.fromkeys(name for group in (*named, fixed) for m in group.values() for name in m.exponents)
    grown = tuple(f"1/{n}" if n == "eps" else n for n in bare if n not in parameters and n not in fixed)
    given = grown if scales is None else _names("scales", scales)
    return Program(given, parameters, *named, fix=fixed, claims=tuple(map(_claim, claimed))).solve()


def load(path: str | os.PathLike[str]) -> Program:
    """Read a program from a TOML file, or one of those that come with the package.

    Parameters
    ----------
    path : str or path-like
        A file, or a name in `BUILT_IN` (``"./d1"`` is a file).

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
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path: expected the name of a file or of a program, got {path!r}")
    if isinstance(path, str) and path in PROGRAMS:
        return PROGRAMS[path]()
    name = os.fspath(path)
    try:
        content = tomllib.loads(Path(path).read_bytes().decode())
    except FileNotFoundError:
        raise ValueError(f"{name!r}: no such file; the built-in programs are {', '.join(BUILT_IN)}") from None
    except (OSError, ValueError) as error:  # a bad encoding and bad TOML are ValueErrors
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
        raise ValueError(f"{name!r}: cannot be read as TOML: {reason}") from None
    try:
        return _program(name, content)
    except ValueError as error:
        line = str(error)
        raise ValueError(line if line.startswith(f"{name!r}: ") else f"{name!r}: {line}") from None


def _program(name: str, content: dict[str, Any]) -> Program:
    _table("top level", content, {"title", "scales", "free", "fix", "claimed", "cost", "error", "constraint"},
           {"scales", "cost"})  # fmt: skip
    fix = _given("fix", content.get("fix", {}), dict, "a table")
    fixed = {key: _monomial(f"fix {key!r}", m) for key, m in fix.items()}
    claims = []
    for claim in _given("claimed", content.get("claimed", []), list, "a list"):
        table = {"cost": claim} if isinstance(claim, str) else claim
        _table("claimed", table, {"cost", "scales", "source"}, {"cost"})
        source = _given("claimed", table.get("source", ""), str, "a text as source")
        claims.append(_claim(table["cost"], table.get("scales"), source))
    costs, errors, limits = (_tables(kind, content.get(kind, [])) for kind in ("cost", "error", "constraint"))
    free = tuple(n for n in _names("free", content.get("free", [])) if n not in fixed)
    title = _given("title", content.get("title", ""), str, "text")
    scales = _names("scales", content["scales"])
    return Program(scales, free, costs, errors, limits, fixed, tuple(claims), name, title)


def _tables(kind: str, tables: Any) -> dict[str, Monomial]:
    terms: dict[str, Monomial] = {}
    for number, table in enumerate(_given(kind, tables, list, f"tables headed [[{kind}]]"), 1):
        _table(f"{kind} {number}", table, {"name", "monomial"}, {"monomial"})
        name = table.get("name", f"{kind} {number}")
        if not isinstance(name, str) or name in terms:
            raise ValueError(f"{kind} {number}: the name must be a text of its own, got {name!r}")
        if kind == "cost" and "<" in str(table["monomial"]):
            raise ValueError(f"{kind} {name!r}: expected a monomial, got {table['monomial']!r}")
        terms[name] = _monomial(f"{kind} {name!r}", table["monomial"])
    return terms


def _given(argument: str, value: Any, kind: type, expected: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{argument}: expected {expected}, got {value!r}")
    return value


def _table(argument: str, table: Any, known: set[str], needed: set[str]) -> None:
    _given(argument, table, dict, "a table")
    if unknown := [key for key in table if key not in known]:
        raise ValueError(f"{argument}: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
    if missing := needed - table.keys():
        raise ValueError(f"{argument}: the key {min(missing)!r} is missing")


def _names(argument: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{argument}: expected a list of names, got {names!r}")
    return tuple("1/" + n[2:].strip() if n.startswith("1/") else n.strip() for n in names)


def _monomial(argument: str, given: Any) -> Monomial:
    """The monomial that "left <= right", or a monomial alone, asks to be at most 1."""
    if isinstance(given, Monomial):
        return given
    try:
        sides = [Monomial.parse(side) for side in (given.split("<=", 1) if isinstance(given, str) else [given])]
    except ValueError as error:
        raise ValueError(f"{argument}: {str(error).partition(': ')[2]}") from None
    return sides[0] / sides[1] if len(sides) > 1 else sides[0]


def _terms(argument: str, given: Terms) -> dict[str, Monomial]:
    if isinstance(given, str | Monomial) or not isinstance(given, Iterable):
        raise ValueError(f"{argument}: expected a list of monomials, or a mapping by name, got {given!r}")
    kind = argument.removesuffix("s")
    named = given.items() if isinstance(given, Mapping) else ((f"{kind} {k}", m) for k, m in enumerate(given, 1))
    return {str(name): _monomial(argument, m) for name, m in named}


def _claim(given: Any, scales: Any = None, source: str = "") -> PrintedCost:
    if not isinstance(given, str | Monomial) or "<" in str(given):
        raise ValueError(f"claimed: expected a monomial or a sum of monomials, got {given!r}")
    parts = [given] if isinstance(given, Monomial) else given.split("+")
    cost = tuple(_monomial("claimed", m) for m in parts)
    return PrintedCost(cost, None if scales is None else _names("claimed", scales), source)
