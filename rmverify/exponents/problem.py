"""What a program is about: costs to be made small under errors and constraints at most 1, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

from rmverify.exponents.cones import LIMITS
from rmverify.exponents.formulas import Monomial


class Infeasible(ValueError):
    """No parameters satisfy all rows: Π row^{multiplier} = `monomial` is free of them and grows along `direction`."""

    multipliers: dict[str, Fraction]
    monomial: Monomial
    direction: dict[str, Fraction]


class Unbounded(ValueError):
    """Every cost falls without limit: along parameter = t^{ray}, t → ∞, no row grows and every cost falls."""

    ray: dict[str, Fraction]


@dataclass(frozen=True, repr=False)
class PrintedCost:
    """A printed cost: the largest of `cost`; with `scales`, a statement about those alone, the others constant.

    `about`: the id of the claim that prints it, where it is one of the package's.
    """

    cost: tuple[Monomial, ...]
    scales: tuple[str, ...] | None = None
    source: str = ""
    about: str = ""

    def __str__(self) -> str:
        return " + ".join(map(str, self.cost))

    def __repr__(self) -> str:
        return f"<PrintedCost {self}{f' ({self.source})' if self.source else ''}>"


@dataclass(frozen=True)
class Problem:
    """What `Program` is given, checked."""

    scales: tuple[str, ...]
    free: tuple[str, ...]
    costs: dict[str, Monomial]
    errors: dict[str, Monomial]
    constraints: dict[str, Monomial] = field(default_factory=dict)
    fix: dict[str, Monomial] = field(default_factory=dict)
    claims: tuple[PrintedCost, ...] = ()
    name: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        for argument, wrong in self._faults():
            raise ValueError(self.complaint(argument, wrong))

    def _faults(self) -> Iterator[tuple[str, str]]:
        """(argument, what is wrong with it); what comes later may take for granted that the earlier is right."""
        bare, scales = [*map(_bare, self.scales)], ", ".join(self.scales)
        names, parameters = [*bare, *self.free], ", ".join([*self.free, *self.fix])
        terms = {"cost": self.costs, "error": self.errors, "constraint": self.constraints}
        rows = [name for group in terms.values() for name in group]
        for argument, group in (("scales", bare), ("free", self.free), ("fix", self.fix)):
            yield from ((argument, f"{n!r} is not a name") for n in group if not n.isidentifier())
        for n in _twice(names):
            yield "free", f"a name may stand once among scales and free parameters; {n!r} stands twice"
        yield from (("fix", f"{n!r} is a scale or free, so it cannot be fixed") for n in self.fix if n in names)
        for argument, what, limit, count in (
            ("scales", "scales", LIMITS["scales"], len(bare)),
            ("free", "free parameters", LIMITS["free"], len(self.free)),
            ("errors", "costs, errors and constraints", LIMITS["rows"], len(rows)),
        ):
            if count > limit:
                yield argument, f"there can be at most {limit} {what}, got {count}"
        if not self.costs:
            yield "costs", "a program needs at least one cost"
        for n in _twice(rows):
            yield "errors", f"every cost, error and constraint needs a name of its own; {n!r} stands twice"
        known = f"one of the scales {scales}" + (f" or of the parameters {parameters}" if parameters else "")
        for kind, group in terms.items():
            for name, m in group.items():
                for n in _outside(m.exponents, [*names, *self.fix]):
                    yield f"{kind}s", f"{kind} {name!r} contains {n!r}, which is not {known}"
        for name, m in self.fix.items():
            for n in _outside(m.exponents, bare):
                yield "fix", f"the fixed parameter {name!r} contains {n!r}, which is not one of the scales {scales}"
        for claim in self.claims:
            for n in _outside([*(n for m in claim.cost for n in m.exponents), *map(_bare, claim.scales or ())], bare):
                yield "claimed", f"the claim {claim} contains {n!r}, which is not one of the scales {scales}"
        used = {n for group in terms.values() for m in group.values() for n in m.exponents}
        yield from (("free", f"no cost, error or constraint contains {n!r}") for n in self.free if n not in used)
        if not bare:
            yield "scales", "a program needs at least one scale"

    def complaint(self, argument: str, wrong: str) -> str:
        """One line that begins with the file, or with the argument of `optimize`."""
        return f"{repr(self.name) if self.name else argument}: {wrong}"

    @property
    def signs(self) -> dict[str, int]:
        """The name of every scale, and -1 if it goes to 0."""
        return {_bare(scale): -1 if scale.startswith("1/") else 1 for scale in self.scales}

    @property
    def assumptions(self) -> dict[str, Monomial]:
        """Constraints without any parameter."""
        parameters = {*self.free, *self.fix}
        return {k: m for k, m in self.constraints.items() if not parameters & m.exponents.keys()}

    @property
    def rows(self) -> dict[str, Monomial]:
        """What must be at most 1, with the fixed parameters put in: the errors and the constraints that have any."""
        given = self.errors | {k: m for k, m in self.constraints.items() if k not in self.assumptions}
        return {name: m.at(**self.fix) for name, m in given.items()}

    @property
    def objectives(self) -> dict[str, Monomial]:
        """The costs, with the fixed parameters put in."""
        return {name: m.at(**self.fix) for name, m in self.costs.items()}

    def growth(self, m: Monomial, direction: Mapping[str, Any]) -> Fraction:
        """The power of t in m along scale = t^direction, such as d = t^2, 1/eps = t."""
        return sum((m[n] * sign * direction[s] for s, (n, sign) in zip(self.scales, self.signs.items(), strict=True)),
                   Fraction(0))  # fmt: skip

    def within(self, scales: Sequence[str]) -> Self:
        """The same in some of the scales, the others constant."""
        if isinstance(scales, str) or not (kept := {*map(_bare, scales)}) or kept - self.signs.keys():
            got = repr(scales) if isinstance(scales, str) else ", ".join(scales)
            raise ValueError(f"scales: expected some of {', '.join(self.scales)}, got {got}")
        one = {name: Monomial() for name in self.signs if name not in kept}
        kinds = (self.costs, self.errors, self.constraints, self.fix)
        costs, errors, limits, fix = ({name: m.at(**one) for name, m in group.items()} for group in kinds)
        left = [(c, tuple(s for s in c.scales or self.scales if _bare(s) in kept)) for c in self.claims]
        claims = [replace(c, cost=tuple(m.at(**one) for m in c.cost), scales=c.scales and s) for c, s in left if s]
        growing = tuple(s for s in self.scales if _bare(s) in kept)
        return replace(
            self, scales=growing, costs=costs, errors=errors, constraints=limits, fix=fix, claims=tuple(claims)
        )


def _bare(scale: str) -> str:
    return scale.removeprefix("1/").strip()


def _twice(names: Sequence[str]) -> list[str]:
    return [n for n in names if names.count(n) > 1]


def _outside(names: Iterable[str], known: Sequence[str]) -> list[str]:
    return [n for n in names if n not in known]
