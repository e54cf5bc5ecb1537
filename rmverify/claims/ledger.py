"""The ledger: all claims, how they are asked, and the report on what was found.

A statement stands in the file of its letter, what is measured in the function of its id in `rmverify.claims.looks`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rmverify.claims import a, b, c, d, e, f, g, h, k
from rmverify.claims.evidence import Claim, Evidence, Look, Result
from rmverify.claims.words import finding_text
from rmverify.numbers.html import html_table

__all__ = ["Claim", "Evidence", "Look", "Report", "Result", "load", "run"]

SCHEMA = 3


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

    def _repr_html_(self) -> str:
        rows = [(result.id, result.claim.statement, finding_text(result)) for result in self.values()]
        return html_table(("id", "claim", "finding"), rows)

    def as_dict(self) -> dict[str, Any]:
        """As plain data: schema version, claims in order."""
        return {"schema": SCHEMA, "claims": [result.as_dict() for result in self.values()]}


def load() -> dict[str, Claim]:
    """Every claim, in order: those of the paper and what it rests on, and then those of others."""
    return {claim.id: claim for letter in (a, b, c, d, e, f, g, h, k) for claim in letter.CLAIMS}


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
    from rmverify.claims.looks.offered import same_step
    from rmverify.claims.looks.proofs import symbolic

    try:
        places = {}
        for name in claim.schemes:
            if name in look.schemes:
                found = same_step(look.schemes[name], name)
                yield found
                if found.finding == "violated":
                    places[name] = found.where
        if "symbolic" in claim.kinds:
            yield from symbolic(look, claim.id)
        yield from claim.check(replace(look, places=places) if places else look)
    except Exception as error:
        yield Evidence("exact", "stopped by an error", "inconclusive", computed=f"{type(error).__name__}: {error}")
