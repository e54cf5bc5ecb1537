"""The answer to a program: the vertices of its dual, the parameters that reach them, and both proofs.

All vertices are found in exact integers, by eliminating the free parameters one after the other (the extreme
rays of a cone by double description). Both proofs are checked again by multiplying the monomials out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from rmverify.exponents import cones
from rmverify.exponents.cones import Ray, Vector, dot, minus, units
from rmverify.exponents.formulas import Monomial, along, product
from rmverify.exponents.problem import Infeasible, PrintedCost, Problem, Unbounded
from rmverify.numbers.html import html_table


@dataclass(frozen=True)
class Piece:
    """Parameters that reach a vertex's cost: `free` by name, in scales, where every monomial of `where` is <= 1.

    `directions` generate that part of the cone of scales: it is enough to check
    the rows and the costs along each of them.
    """

    free: dict[str, Monomial]
    where: tuple[Monomial, ...]
    directions: tuple[dict[str, Fraction], ...]

    def __repr__(self) -> str:
        return f"<Piece {', '.join(f'{name} = {monomial}' for name, monomial in self.free.items())}>"


@dataclass(frozen=True)
class Vertex:
    """One monomial `cost` of the answer, in the scales alone, with both of its proofs.

    The lower one: Π term^{multiplier} = cost, with positive `multipliers` by the names of the terms that bind
    (those of costs add up to 1). A further factor m in a term multiplies the cost by m^{multiplier}, exactly.
    The upper one: the parameters of `pieces`. The vertex is the largest where each monomial of `where` is <= 1,
    and larger than every other one along `direction`. A `dominated` vertex is nowhere the only largest one: kept
    for the record, without direction and pieces.
    """

    cost: Monomial
    multipliers: dict[str, Fraction]
    where: tuple[Monomial, ...] = ()
    direction: dict[str, Fraction] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    dominated: bool = False

    def __repr__(self) -> str:
        return f"<Vertex {self.cost} = {Monomial(**{f'({name})': power for name, power in self.multipliers.items()})}>"


@dataclass(frozen=True)
class Verdict:
    """What the program says of a claim: a `finding`, and where it holds.

    "implied": the cost is nowhere above the claim (`equal`: it is the claim); "implied where": in a full part of
    the cone of scales; "not implied": at most on its boundary. The cost is at most the claim exactly where, in one
    of the alternatives of `where`, every monomial is <= 1 (empty when implied). Along scale = t^`witness` the cost
    grows faster than the claim, by the factor t^`gap`.
    """

    claim: PrintedCost
    finding: str
    where: tuple[tuple[Monomial, ...], ...]
    witness: dict[str, Fraction] | None
    gap: Fraction
    equal: bool


@dataclass(frozen=True, repr=False)
class Optimum:
    """The smallest worst cost of a program: the largest of `cost`, up to constants.

    `vertices`: all vertices of the dual polyhedron with different monomials, those that make up the cost first;
    `claims`: the verdicts on the program's claims.
    """

    program: Problem
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

    def __repr__(self) -> str:
        return f"<Optimum of {self.program.name or 'a program'}: {', '.join(map(str, self.cost))}>"

    def _repr_html_(self) -> str:
        def parameters(vertex: Vertex) -> str:
            return ", ".join(f"{name} = {m}" for name, m in vertex.pieces[0].free.items())

        kept = [v for v in self.vertices if not v.dominated]
        rows = [(v.cost, " and ".join(map(self.condition, v.where)) or "everywhere", parameters(v)) for v in kept]
        return html_table(("smallest worst cost", "where", "reached with"), rows)

    @property
    def alone(self) -> dict[str, Monomial]:
        """The cost when one scale grows and the others are constants, for every scale of which that can be said."""
        p, found = self.program, {}
        for scale, name in zip(p.scales, p.signs, strict=True):
            axis = {s: Fraction(int(s == scale)) for s in p.scales}
            if all(p.growth(m, axis) <= 0 for m in p.assumptions.values()):
                largest = max(self.cost, key=lambda m: p.growth(m, axis))
                found[scale] = Monomial(**{name: largest[name]})
        return found

    def condition(self, m: Monomial) -> str:
        """The inequality m <= 1, solved for what grows: "L <= d^{1/8} eps^{-3/2}"."""
        signs = self.program.signs
        left = {k: e for k, e in m.exponents.items() if e * signs[k] > 0}
        right = {k: -e for k, e in m.exponents.items() if k not in left}
        sign = "<="
        if len(left) != 1 and len(right) == 1:
            left, right, sign = right, left, ">="
        exponents = [*left.values()] if len(left) == 1 else [*left.values(), *right.values()]
        unit = Fraction(math.gcd(*(e.numerator for e in exponents)), math.lcm(*(e.denominator for e in exponents)))
        power = 1 / unit if unit else 1
        return f"{Monomial(**left) ** power} {sign} {Monomial(**right) ** power}"

    def along(self, direction: Mapping[str, Fraction]) -> str:
        """A direction of scales in words: "d = t^2, 1/eps = t"."""
        return along(direction, direction.values())

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON; exponents and multipliers are strings such as "5/12"."""
        p = self.program

        def texts(values: Mapping[str, Any]) -> dict[str, str]:
            return {name: str(value) for name, value in values.items()}

        def conditions(where: Iterable[Monomial]) -> list[str]:
            return [self.condition(m) for m in where]

        return {
            "program": p.name, "title": p.title, "scales": list(p.scales), "free": list(p.free), "fix": texts(p.fix),
            "costs": texts(p.objectives), "rows": texts(p.rows), "assumptions": conditions(p.assumptions.values()),
            "cost": [str(m) for m in self.cost], "alone": texts(self.alone),
            "vertices": [{
                "cost": str(v.cost), "exponents": texts(v.cost.exponents), "dominated": v.dominated,
                "where": conditions(v.where), "direction": texts(v.direction), "multipliers": texts(v.multipliers),
                "parameters": [{
                    "where": conditions(piece.where), "values": texts(piece.free),
                    "directions": [texts(d) for d in piece.directions],
                } for piece in v.pieces],
            } for v in self.vertices],
            "claims": [{
                "claim": str(v.claim), "source": v.claim.source, "scales": list(v.claim.scales or p.scales),
                "finding": v.finding, "where": [conditions(part) for part in v.where],
                "witness": v.witness and texts(v.witness), "gap": str(v.gap), "equal": v.equal,
            } for v in self.claims],
        }  # fmt: skip


class _Scales:
    """The cone of scales of a program (`alone`: of some of them), and monomials as vectors of exponents on it."""

    def __init__(self, program: Problem, alone: Sequence[str] | None = None) -> None:
        self.program, self.signs, self.size = program, program.signs, len(program.scales)
        self.given = [self.vector(m) for m in program.assumptions.values()]
        if alone is not None:
            kept = {s.removeprefix("1/") for s in alone}
            self.given += [u for name, u in zip(self.signs, units(self.size), strict=True) if name not in kept]
        self.rays = self.part([])

    def vector(self, m: Monomial) -> Vector:
        return tuple(m[name] * sign for name, sign in self.signs.items())

    def monomial(self, v: Iterable[Fraction]) -> Monomial:
        return Monomial(**{name: sign * e for (name, sign), e in zip(self.signs.items(), v, strict=True)})

    def direction(self, x: Iterable[Fraction | int]) -> dict[str, Fraction]:
        return {s: Fraction(e) for s, e in zip(self.program.scales, x, strict=True)}

    def part(self, inequalities: Sequence[Vector]) -> list[Ray]:
        """Where every inequality·x <= 0, by extreme rays."""
        return cones.cone([*inequalities, *self.given], self.size)

    def where(self, inequalities: Sequence[Vector]) -> tuple[Monomial, ...]:
        return tuple(self.monomial(v) for v in cones.simplified(inequalities, self.given, self.size))

    def above(self, v: Vector, others: Sequence[Vector]) -> Ray | None:
        """A direction along which v grows faster than every one of the others, or None."""
        rays = self.part([minus(o, v) for o in others])
        x = cones.integers(sum(ray[k] for ray in rays) for k in range(self.size))
        return x if all(dot(v, x) > dot(o, x) for o in others) else None


def solve(program: Problem) -> Optimum:
    """All vertices of the dual, the maximum that they make up, and the verdicts on the claims."""
    costs, terms, scales = program.objectives, program.objectives | program.rows, _Scales(program)
    _require_growth(scales)
    equations = [[m[p] for m in terms.values()] for p in program.free]
    found: dict[Vector, dict[str, Fraction]] = {}
    for y in sorted(_rays(program, equations, len(terms)), key=lambda y: sum(map(bool, y))):  # shortest proofs first
        total = sum(y[: len(costs)])
        multipliers = {n: Fraction(v, total or 1) for n, v in zip(terms, y, strict=True) if v}
        cost = scales.vector(product(terms, multipliers))
        if total:
            found.setdefault(cost, multipliers)
        elif bad := [x for x in scales.rays if dot(cost, x) > 0]:
            free = f"whatever {', '.join(program.free)} may be, " if program.free else ""
            x = cones.simplest(bad)
            reason = f"{free}but it grows along {along(program.scales, x)}"
            raise _infeasible(program, multipliers, scales.direction(x), reason)
    if not found:
        raise _unbounded(program)
    kept = list(found)
    for v in sorted(found):  # the small ones first: of two that tie everywhere the larger one stays
        others = [o for o in kept if o != v]
        if scales.above(v, others) is None:
            kept = others
    vertices = [_vertex(scales, v, found[v], [o for o in kept if o != v]) for v in kept]
    vertices += [Vertex(scales.monomial(v), y, dominated=True) for v, y in found.items() if v not in kept]
    for vertex in vertices:
        _verify(scales, vertex)
    return Optimum(program, tuple(vertices), tuple(_judge(program, kept, claim) for claim in program.claims))


def _rays(program: Problem, equations: Sequence[Sequence[Fraction]], size: int) -> list[Ray]:
    return cones.extreme_rays(equations, size, repr(program.name) if program.name else "errors")


def _vertex(scales: _Scales, v: Vector, multipliers: dict[str, Fraction], others: Sequence[Vector]) -> Vertex:
    """The vertex, where it is larger than the others, and parameters that reach it there.

    Where the cost is reached, every term with a multiplier is tight, and some choice of F+1 independent tight
    terms satisfies all others; errors are tried first (they then use their whole allowance). Where no choice
    serves the whole region there is one for each edge of it, and what lies between is their geometric mean.
    """
    program, order = scales.program, len(scales.program.free)
    terms = program.rows | program.objectives
    heads = {n: [*(m[p] for p in program.free), Fraction(-(n in program.costs))] for n, m in terms.items()}
    loose: list[Vector] = []
    for unit in units(order + 1)[:order]:  # a combination of parameters that no term contains: put some of them to 1
        if cones.rank([*heads.values(), *loose, unit]) > cones.rank([*heads.values(), *loose]):
            loose.append(unit)

    def reach(rays: Sequence[Ray]) -> list[Vector] | None:
        """Parameters along the rays, one row for each, from one choice of tight terms."""
        rows = {n: [*heads[n], *(dot(scales.vector(m), x) for x in rays)] for n, m in terms.items()}
        base = [rows[name] for name in multipliers] + [[*unit, *[Fraction(0)] * len(rays)] for unit in loose]
        rest = [row for name, row in rows.items() if name not in multipliers]
        tight = cones.completion(base, rest, order + 1)
        if tight is None:
            return None
        return [tuple(-row[k] for row in tight[:order]) for k in range(order + 1, order + 1 + len(rays))]

    def piece(rays: Sequence[Ray], values: Sequence[Vector], where: Sequence[Vector]) -> Piece:
        free = zip(program.free, map(scales.monomial, cones.interpolated(rays, values)), strict=True)
        return Piece(dict(free), scales.where(where), tuple(scales.direction(x) for x in rays))

    inequalities = [minus(o, v) for o in others]
    region = scales.part(inequalities)
    if (values := reach(region)) is not None:
        pieces = [piece(region, values, inequalities)]
    else:
        edges = {x: (reach([x]) or [()])[0] for x in region}
        faces = [*inequalities, *scales.given, *units(scales.size)]
        pieces = []
        for rays in cones.simplices(region, faces):  # shares >= 0 of its rays describe the simplex
            shares = cones.interpolated(rays, [tuple(-e for e in unit) for unit in units(len(rays))])
            pieces.append(piece(rays, [edges[x] for x in rays], [*shares, *inequalities]))
    inside = scales.direction(scales.above(v, others) or ())
    return Vertex(scales.monomial(v), multipliers, scales.where(inequalities), inside, tuple(pieces))


def _judge(program: Problem, cost: Sequence[Vector], claim: PrintedCost) -> Verdict:
    """Where max(cost) <= max(claim): on the union over the claim's monomials m of {every cost <= m}."""
    scales = _Scales(program, claim.scales)
    printed = [scales.vector(m) for m in claim.cost]

    def gap(x: Ray) -> Fraction:
        return max(dot(v, x) for v in cost) - max(dot(m, x) for m in printed)

    witnesses = [x for v in cost if (x := scales.above(v, printed)) is not None]
    if not witnesses:
        return Verdict(claim, "implied", (), None, Fraction(0), all(scales.above(m, cost) is None for m in printed))
    witness = cones.simplest([*witnesses, *(x for x in scales.rays if gap(x) > 0)])  # best to read: on an axis
    parts: list[tuple[list[Vector], list[Ray]]] = []
    for m in printed:
        inequalities = [minus(v, m) for v in cost]
        edges = scales.part(inequalities)
        if not any(cones.within(edges, other) for other, _ in parts):
            parts = [(i, e) for i, e in parts if not cones.within(e, inequalities)] + [(inequalities, edges)]
    full = any(cones.rank(edges) == cones.rank(scales.rays) for _, edges in parts)
    finding = "implied where" if full else "not implied"
    where = tuple(scales.where(i) for i, edges in parts if edges)
    return Verdict(claim, finding, where, scales.direction(witness), gap(witness), equal=False)


# --- certificates -------------------------------------------------------------------------------------------


def _verify(scales: _Scales, vertex: Vertex) -> None:
    """Both proofs of a vertex, multiplied out; a failure is an error of this file, not of the program."""
    program, y = scales.program, vertex.multipliers
    costs, rows = program.objectives, program.rows

    def holds(terms: Iterable[Monomial], direction: Mapping[str, Fraction]) -> bool:
        return all(program.growth(m, direction) <= 0 for m in terms)

    lower = min(y.values()) > 0 and sum(y.get(name, 0) for name in costs) == 1
    lower &= product(costs | rows, y) == vertex.cost and not vertex.cost.exponents.keys() & {*program.free}
    upper = vertex.dominated or bool(vertex.pieces)
    for piece in vertex.pieces:
        terms = [m.at(**piece.free) for m in rows.values()]
        terms += [m.at(**piece.free) / vertex.cost for m in costs.values()]
        upper &= all(holds(terms, x) for x in piece.directions)
    if not vertex.dominated:  # the pieces reach every edge of the region, so by convexity all of it
        region = [scales.direction(x) for x in scales.part([scales.vector(m) for m in vertex.where])]
        upper &= all(any(holds(piece.where, x) for piece in vertex.pieces) for x in region)
    if not (lower and upper):
        raise ArithmeticError(f"the certificate of {vertex.cost} does not hold")


def _require_growth(scales: _Scales) -> None:
    """The assumptions must leave every scale free to grow."""
    program, size = scales.program, scales.size
    for k, unit in enumerate(units(size)):
        if any(x[k] for x in scales.rays):
            continue
        # s_k <= 0 follows: multipliers y, slacks u >= 0 with Σ y_i a_i - u = unit_k (scaled by the last variable)
        equations = [[*(a[j] for a in scales.given), *(-e for e in u), -unit[j]] for j, u in enumerate(units(size))]
        y = cones.simplest(y for y in _rays(program, equations, len(equations[0])) if y[-1])
        used = {n: Fraction(v, y[-1]) for n, v in zip(program.assumptions, y, strict=False) if v}
        raise _infeasible(program, used, scales.direction(unit), f"which keeps {program.scales[k]} constant")


def _infeasible(
    program: Problem, multipliers: dict[str, Fraction], direction: dict[str, Fraction], reason: str
) -> Infeasible:
    monomial = product(program.rows | program.assumptions, multipliers)
    used = {*monomial.exponents} & {*program.free}
    if used or min(multipliers.values()) < 0 or program.growth(monomial, direction) <= 0:
        raise ArithmeticError("the certificate of infeasibility does not hold")
    text = product({n: Monomial(**{f"({n})": 1}) for n in multipliers}, multipliers)
    wrong = f"the program is infeasible: {text} = {monomial} must be <= 1, {reason}"
    error = Infeasible(program.complaint("errors", wrong))
    error.multipliers, error.monomial, error.direction = multipliers, monomial, direction
    return error


def _unbounded(program: Problem) -> Unbounded:
    """A ray f with row·f <= 0 for every row and cost·f < 0 for every cost; f = p - q with p, q >= 0."""
    costs, order = len(program.costs), len(program.free)
    terms = [[m[p] for p in program.free] for m in (program.objectives | program.rows).values()]
    equations = [
        [*row, *(-e for e in row), Fraction(int(k < costs)), *slack]
        for k, (row, slack) in enumerate(zip(terms, units(len(terms)), strict=True))
    ]
    rays = [x for x in _rays(program, equations, 2 * order + 1 + len(terms)) if x[2 * order]]
    x = min(rays, key=lambda x: (sum(map(bool, x[: 2 * order])), sum(x)))
    f = [Fraction(p - q) for p, q in zip(x[:order], x[order : 2 * order], strict=True)]
    growth = [dot(row, f) for row in terms]
    if max(growth[:costs]) >= 0 or max(growth) > 0:
        raise ArithmeticError("the certificate of unboundedness does not hold")
    path = along(program.free, f)
    wrong = f"the program is unbounded: along {path}, t -> oo, every cost falls and nothing that must be <= 1 grows"
    error = Unbounded(program.complaint("costs", wrong))
    error.ray = {p: e for p, e in zip(program.free, f, strict=True) if e}
    return error
