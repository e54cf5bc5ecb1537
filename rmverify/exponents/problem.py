"""What a program is about: costs to be made small under errors and constraints at most 1, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

from rmverify.exponents.cones import LIMITS
from rmverify.exponents.monomials import Monomial


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
    """A printed cost: the largest of `cost`; with `scales`, a statement about those alone, the others constant.

    `about`: the id of the claim that prints it, where it is one of the package's.
    """

    cost: tuple[Monomial, ...]
    scales: tuple[str, ...] | None = None
    source: str = ""
    about: str = ""

    def __str__(self) -> str:
        return " + ".join(map(str, self.cost))


@dataclass(frozen=True)
class Problem:
    """What `Program` is given, checked."""

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
        bare, scales = [*map(_bare, self.scales)], ", ".join(self.scales)
        names, parameters = [*bare, *self.free], ", ".join([*self.free, *self.fix])
        terms = {"cost": self.costs, "error": self.errors, "constraint": self.constraints}
        used = {n for group in terms.values() for m in group.values() for n in m.exponents}
        rows = [name for group in terms.values() for name in group]
        counts = ("scales", "scales", len(bare)), ("free", "free", len(self.free)), ("errors", "rows", len(rows))
        what = {"rows": "costs, errors and constraints"}
        known = f"the scales {scales}" + (f" and the parameters {parameters}" if parameters else "")
        rules: list[tuple[str, str, list[str]]] = [  # argument, what is expected, offenders
            *((argument, f"names in {argument}", [repr(n) for n in group if not n.isidentifier()])
              for argument, group in (("scales", bare), ("free", self.free), ("fix", self.fix))),
            ("free", "every name once among scales and free parameters", _twice(names)),
            ("fix", "fixed parameters that are neither scales nor free", [repr(n) for n in self.fix if n in names]),
            *((argument, f"at most {LIMITS[k]} {what.get(k, k)}", [str(count)] if count > LIMITS[k] else [])
              for argument, k, count in counts),
            ("costs", "at least one cost", [] if self.costs else ["none"]),
            ("errors", "a name of its own for every cost, error and constraint", _twice(rows)),
            *((f"{kind}s", f"in {kind} {name!r} {known}", _outside(m.exponents, [*names, *self.fix]))
              for kind, group in terms.items() for name, m in group.items()),
            *(("fix", f"in the fixed parameter {k!r} the scales {scales}", _outside(m.exponents, bare))
              for k, m in self.fix.items()),
            *(("claimed", f"in the claim {c} the scales {scales}",
               _outside([*(n for m in c.cost for n in m.exponents), *map(_bare, c.scales or ())], bare))
              for c in self.claims),
            ("free", "parameters that some monomial contains", [repr(n) for n in self.free if n not in used]),
            ("scales", "at least one scale", [] if bare else ["none"]),
        ]  # fmt: skip
        for argument, expected, offenders in rules:
            if offenders:
                raise ValueError(self.complaint(argument, expected, offenders[0]))

    def complaint(self, argument: str, expected: str, found: str) -> str:
        """One line that begins with the file, or with the argument of `optimize`."""
        if self.name:
            return f"{self.name!r}: expected {expected}, found {found}"
        return f"{argument}: expected {expected}, got {found}"

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
    return [f"{n!r} twice" for n in names if names.count(n) > 1]


def _outside(names: Iterable[str], known: Sequence[str]) -> list[str]:
    return [repr(n) for n in names if n not in known]
