"""What G measures: the neighbours of the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import moreau, neighbours
from rmverify.exponents import Bound

# --- G5 to G8: neighbours that are not parallel -------------------------------------------------------------------

Measure = Callable[..., Iterator[Evidence]]


def of_its_own(measure: Measure) -> Measure:
    """A claim about laws of its own: of a target it says nothing."""

    def measured(look: Look, *bounds: Bound) -> Iterator[Evidence]:
        if look.target is None:
            yield from measure(look, *bounds)
        else:
            yield Evidence("exact", "the claim is about laws of its own: ask it without a target", "not yet")

    return measured


g5, g6 = of_its_own(moreau.g5), of_its_own(neighbours.g6)
g7, g8 = of_its_own(neighbours.g7), of_its_own(neighbours.g8)
