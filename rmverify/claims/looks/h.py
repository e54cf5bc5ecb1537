"""What H measures: one step of other predictors.

A predictor is told from another by what its one step does, before any schedule or sampler is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rmverify import schemes
from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import measure
from rmverify.claims.looks.b import unbiased_on_powers
from rmverify.claims.looks.constants import leading_constants
from rmverify.errors.local import local_error
from rmverify.exponents import Bound
from rmverify.numbers.values import Value
from rmverify.targets import Gaussian


def h1(look: Look, bias: Bound, variance: Bound) -> Iterator[Evidence]:
    if not look.wants("exact"):
        return
    name = "importance_midpoint"
    yield unbiased_on_powers(look, name)
    yield leading_constants(look, name)
    yield _beside_the_uniform_midpoint(look, name)
    for which, bound in (("bias", bias), ("variance", variance)):
        yield measure.one_step(look, name, which, bound)
        yield measure.one_step(look, name, which, bound, score=True)


def _beside_the_uniform_midpoint(look: Look, name: str) -> Evidence:
    """The same bias at every mode, level and step; the two variances in a table."""
    rows: list[dict[str, Any]] = []
    worst, where = 0.0, {}
    for lam, mean in measure.modes_of(look):
        target = Gaussian.isotropic(lam, 1).with_modes(lam, mean)
        for t in measure.LEVELS:
            for part in (0.5, 1 / 64):
                place = {"lambda": lam, "m": mean, "t": t, "h": part * t}
                mine, plain = (
                    local_error(step, target, t, part * t) for step in (look.scheme(name), schemes.randomized_midpoint)
                )
                off = abs(mine.bias - plain.bias) - mine.bias.error - plain.bias.error
                if off > worst:
                    worst, where = off, place
                rows.append(place | {"its variance": mine.variance, "of a uniform midpoint": plain.variance})
    return Evidence(
        "exact", "its bias is that of the randomized midpoint at every step, and not its variance",
        "violated" if worst > 0 else "holds", computed=f"biases differ by at most {worst:.3g} beyond their errors",
        bound="0", where=where, rows=tuple(rows), domain="h = t/2 and t/64, perfect score",
        constant=Value(worst, "exact", 1e-15 * worst) if worst > 0 else None,
    )  # fmt: skip
