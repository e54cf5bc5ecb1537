"""What a claim, a look at it, a piece of evidence and a result are.

A claim is a statement with its source and its bound; what was computed about it is kept beside it, with its domain and
its kind, so that a reader can tell a proof from a search and a search from a fit.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rmverify.errors import EFFORT
from rmverify.exponents import Bound
from rmverify.numbers.values import Value
from rmverify.schemes.contract import Scheme

__all__ = ["PAPER", "Claim", "Evidence", "Finding", "Kind", "Look", "Result", "worst"]

PAPER = "Gupta, Cai, Chen 2024, and what it rests on"
"""Whose claims are asked by default."""

Kind = Literal["symbolic", "certified", "exact", "fitted", "monte-carlo"]
Finding = Literal["holds", "holds with constant", "not implied", "not yet", "inconclusive", "violated"]
_ORDER = get_args(Finding)
"""From best to worst; a claim's finding is the worst of its evidence, but `holds with constant` says more than
`holds`."""


@dataclass(frozen=True, repr=False)
class Evidence:
    """One thing that was looked at.

    Parameters
    ----------
    kind : {"symbolic", "certified", "exact", "fitted", "monte-carlo"}
    what : str
        What was computed, in words.
    finding : str
        One of `Finding`.
    computed, bound : str
        The two sides, as formulas or numbers in words.
    label : {"tight", "upper", "lower"}
        What `constant` is to the smallest constant with which the claim holds on `domain`: equal to it within its
        error, a bound on it, or the largest ratio that a search saw.
    constant : Value, optional
    where : mapping
        The parameters at which the constant is attained or the claim fails: the witness.
    domain : str
        The parameters over which all of this was looked at.
    rows : tuple of mappings
        A table behind the finding.
    picture : mapping, optional
        Curves {name: (x, y)} under "curves", and "x", "y" the names of the axes; log-log.
    case : str
        Which of the cases of the claim the constant is about, where the claim's finding names several.
    remark : str
        What a reader of the constant has to know, printed beside it.
    """

    kind: Kind
    what: str
    finding: Finding
    computed: str = ""
    bound: str = ""
    label: Literal["tight", "upper", "lower"] = "tight"
    constant: Value | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""
    source: str = ""
    rows: tuple[Mapping[str, Any], ...] = ()
    picture: Mapping[str, Any] | None = None
    case: str = ""
    remark: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        constant = _number(self.constant)
        return plain | {"constant": constant, "where": _plain(self.where), "rows": [_plain(row) for row in self.rows]}

    def __repr__(self) -> str:
        constant = "" if self.constant is None else f", constant {self.constant:.6g}"
        return f"<{self.kind} evidence: {self.what.rstrip('.')}: {self.finding}{constant}>"


@dataclass(frozen=True, repr=False, kw_only=True)
class Claim:
    """A quantitative statement with its source.

    Parameters
    ----------
    id : str
        A letter and a number.
    statement : str
    formula : str
        LaTeX, with %s where the bounds stand, in their order.
    source : str
    provenance : str
        With one of the marks abstract, found, quoted, derived, recalled.
    paper : str
        The paper whose theorems it is reported among; by default that which this package is about.
    left : str
        What is measured, in words.
    bounds : tuple of Bound
        What it is held against.
    right_text : str
        The right side in words, with %s for the bounds; by default the bounds.
    hypotheses : tuple of str
    kinds : tuple of str
        Of the evidence that there can be; "symbolic" brings what proofs_checks/ has of this claim.
    schemes : tuple of str
        The schemes that it is about.
    remarks : tuple of str
        What else is known of it: what other texts say, and what has been shown since.
    measure : callable, optional
        measure(look, *bounds) yields the evidence. By default the function in `rmverify.claims.looks` that has the
        claim's id for a name: it is loaded when the claim is asked, not when it is printed.
    """

    id: str
    statement: str
    formula: str
    source: str
    provenance: str
    left: str
    bounds: tuple[Bound, ...] = ()
    right_text: str = ""
    hypotheses: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    schemes: tuple[str, ...] = ()
    measure: Callable[..., Iterator[Evidence]] | None = None
    paper: str = PAPER
    remarks: tuple[str, ...] = ()

    @property
    def latex(self) -> str:
        """The whole statement in LaTeX."""
        return self._filled(self.formula, [bound.latex for bound in self.bounds])

    @property
    def right(self) -> str:
        """What is measured is held against this."""
        texts = [str(bound) for bound in self.bounds]
        return self._filled(self.right_text or " and ".join(["%s"] * len(texts)), texts)

    def _filled(self, text: str, bounds: list[str]) -> str:
        return text % tuple(bounds[: text.count("%s")])

    def check(self, look: Look) -> Iterator[Evidence]:
        """The evidence that the look asks for."""
        measure = self.measure
        if measure is None:
            name = self.id.lower()
            measure = getattr(importlib.import_module(f"rmverify.claims.looks.{name[0]}"), name)
        return measure(look, *self.bounds)

    def as_dict(self) -> dict[str, Any]:
        """As plain data, without the function."""
        plain = {
            name: getattr(self, name) for name in ("id", "paper", "statement", "latex", "source", "provenance", "left")
        }
        return plain | {"right": self.right, "hypotheses": self.hypotheses, "remarks": self.remarks}

    def __repr__(self) -> str:
        return f"<Claim {self.id}: {self.statement}>"


@dataclass(frozen=True)
class Look:
    """What a claim is asked: the kinds of evidence, the target and the schemes to look at.

    Parameters
    ----------
    kinds : frozenset of str
    target : Gaussian, optional
        Instead of the Gaussian class.
    schemes : mapping
        Schemes that stand in for shipped ones of that name: a claim about the randomized midpoint is then asked of
        them.
    effort : int
        The most boxes examined for each piece of certified evidence.
    first_violation : bool
        Stop asking a claim that is violated.
    note : str
        What `target` is, added to the domain of exact and fitted evidence.
    levels : tuple of float
        Noise levels at which one step is looked at for certain.
    places : mapping
        By scheme, a point at which a scheme that stands in for a shipped one differs from it: claims look there too.
    """

    kinds: frozenset[str] = frozenset({"symbolic", "exact", "fitted", "monte-carlo"})
    target: Any = None
    schemes: Mapping[str, Scheme] = field(default_factory=dict)
    effort: int = EFFORT
    first_violation: bool = False
    note: str = ""
    levels: tuple[float, ...] = ()
    places: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def wants(self, kind: str) -> bool:
        """Whether this kind of evidence is asked for."""
        return kind in self.kinds

    def scheme(self, name: str) -> Callable[..., Any]:
        """The scheme that goes by this name."""
        from rmverify import schemes

        return self.schemes[name] if name in self.schemes else getattr(schemes, name)


def worst(findings: Iterable[Finding]) -> Finding:
    """The worst of several findings; inconclusive where there are none.

    Examples
    --------
    >>> worst(["holds", "violated", "inconclusive"])
    'violated'
    """
    return max(findings, key=_ORDER.index, default="inconclusive")


@dataclass(frozen=True, repr=False)
class Result:
    """What was found about one claim."""

    claim: Claim
    evidence: tuple[Evidence, ...]
    seconds: float

    @property
    def id(self) -> str:
        return self.claim.id

    @property
    def finding(self) -> str:
        """The worst finding; `holds` only where everything that was looked at does."""
        return worst([e.finding for e in self.evidence])

    @property
    def decisive(self) -> Evidence | None:
        """The evidence that the finding comes from; of several constants the largest."""
        if self.finding == "holds with constant":
            return self.largest
        return next((e for e in self.evidence if e.finding == self.finding), None)

    @property
    def largest(self) -> Evidence | None:
        """That of the largest constant with which the claim holds, a search's before an enclosure's on a smaller
        class."""
        found = [e for e in self.evidence if e.finding == "holds with constant"]
        return max(found, key=lambda e: (e.kind != "certified", e.constant or 0.0), default=None)

    @property
    def constant(self) -> Value | None:
        """The largest constant that the claim needs on what was looked at, or else the first number there is."""
        decisive = self.decisive
        if decisive is not None and decisive.constant is not None:
            return decisive.constant
        return next((e.constant for e in self.evidence if e.constant is not None), None)

    @property
    def witness(self) -> Mapping[str, Any]:
        """Where the claim fails, or else where its constant is attained."""
        decisive = self.decisive
        if decisive is not None and decisive.where:
            return decisive.where
        return next((e.where for e in self.evidence if e.where), {})

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        constant = _number(self.constant)
        return {
            **self.claim.as_dict(),
            "finding": self.finding,
            "constant": constant,
            "witness": _plain(self.witness),
            "evidence": [e.as_dict() for e in self.evidence],
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        kinds = ", ".join(dict.fromkeys(e.kind for e in self.evidence)) or "no"
        return f"<Result {self.id}: {self.finding}, by {kinds} evidence>"


def _number(constant: Value | None) -> dict[str, Any] | None:
    """A constant as plain data; it has no complement."""
    return None if constant is None else {k: v for k, v in constant.as_dict().items() if k != "complement"}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Value):
        return value.as_dict()
    value = value.item() if hasattr(value, "item") else value  # NumPy's scalars
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return value
