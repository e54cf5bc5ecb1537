"""What a claim, a piece of evidence and a report are; how claims are registered and run.

A claim is one function that yields pieces of evidence. Adding one is writing that function under `@claim` in the
file of its letter:

    @claim("B4", statement="...", latex="...", source="...", provenance="quoted", left="...", right="...")
    def one_step_of_the_exponential_integrator(look):
        if look.wants("exact"):
            yield Evidence("exact", "what was computed", finding=HOLDS, ...)
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from rmverify.claims.words import finding_text
from rmverify.errors.boxes import EFFORT
from rmverify.numbers.values import Value
from rmverify.schemes.contract import Scheme

__all__ = ["CLAIMS", "Claim", "Evidence", "Look", "Report", "Result", "claim", "load", "run", "worst"]

Kind = Literal["symbolic", "certified", "exact", "fitted", "monte-carlo"]
Finding = Literal["holds", "holds with constant", "not implied", "not yet", "inconclusive", "violated"]
_ORDER = get_args(Finding)
"""From best to worst; a claim's finding is the worst of its evidence, but `holds with constant` says more than
`holds`."""

SCHEMA = 3
CLAIMS: dict[str, Claim] = {}
_LETTERS = "abcd"


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Claim:
    """A quantitative statement with its source; `check` yields the evidence, `schemes` are those that it asks for."""

    id: str
    statement: str
    latex: str
    source: str
    provenance: str
    left: str
    right: str
    hypotheses: tuple[str, ...]
    check: Callable[[Look], Iterator[Evidence]]
    schemes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain data, without the function."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("check", "schemes")}


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

    def scheme(self, name: str) -> Scheme:
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


@dataclass(frozen=True)
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


class Report(Mapping[str, Result]):
    """The results by claim id.

    Examples
    --------
    >>> import rmverify as rm
    >>> report = rm.verify(["A2"], kinds=["exact"])
    >>> report["A2"].finding
    'holds'
    """

    def __init__(self, results: list[Result]) -> None:
        self._results = {result.id: result for result in results}

    def __getitem__(self, id: str) -> Result:
        return self._results[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return "\n".join(f"{result.id}  {finding_text(result)}" for result in self.values())

    def as_dict(self) -> dict[str, Any]:
        """As plain data: schema version, claims in order."""
        return {"schema": SCHEMA, "claims": [result.as_dict() for result in self.values()]}


def claim(id: str, *, statement: str, latex: str, source: str, provenance: str, left: str, right: str,
          hypotheses: tuple[str, ...] = (), schemes: tuple[str, ...] = ()) -> Any:  # fmt: skip
    """Register the decorated function as what is asked of a claim, about these schemes."""

    def register(check: Callable[[Look], Iterator[Evidence]]) -> Callable[[Look], Iterator[Evidence]]:
        CLAIMS[id] = Claim(id, statement, latex, source, provenance, left, right, hypotheses, check, schemes)
        return check

    return register


def load() -> dict[str, Claim]:
    """Every claim, in the ledger's order."""
    for letter in _LETTERS:
        importlib.import_module(f"rmverify.claims.looks.{letter}")
    return dict(sorted(CLAIMS.items()))


def run(claim: Claim, look: Look) -> Result:
    """Ask a claim everything that was asked for."""
    start = before = time.perf_counter()
    found = []
    for evidence in _guarded(claim, look):
        now = time.perf_counter()
        domain = evidence.domain
        if look.note and evidence.kind in ("exact", "fitted", "monte-carlo"):
            domain = f"{look.note}; {domain}" if domain else look.note
        found.append(replace(evidence, seconds=now - before, domain=domain))
        before = now
        if look.first_violation and evidence.finding == "violated":
            break
    return Result(claim, tuple(found), time.perf_counter() - start)


def _guarded(claim: Claim, look: Look) -> Iterator[Evidence]:
    """The evidence up to what a scheme or a target raises: that decides nothing, and is said."""
    try:
        places = {}
        for name in claim.schemes:
            if name in look.schemes:
                from rmverify.claims.looks.offered import same_step

                found = same_step(look.schemes[name], name)
                yield found
                if found.finding == "violated":
                    places[name] = found.where
        yield from claim.check(replace(look, places=places) if places else look)
    except Exception as error:
        yield Evidence("exact", "stopped by an error", "inconclusive", computed=f"{type(error).__name__}: {error}")


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
