"""Deliberate mutants: each a scheme (or a function that schemes rest on) with ONE change, and the fact that refutes it.

    @mutant(of="randomized_midpoint", killed_by="bias_constant")
    def weight_of_the_other_side(x, t, h, score, draw): ...

Add one whenever a way to get a scheme wrong comes to mind; importing its file registers it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from rmverify import elementary, schemes
from rmverify.targets import process

KINETIC = ("underdamped", "randomized_midpoint_langevin", "parallel_underdamped")
FAMILIES = ("probability_flow", "langevin", "noise", "parallel", "places", "process")
FUNCTIONS = {
    "mode_mean": process,
    "mode_variance": process,
    "mode_score": process,
    "flow_slope": process,
    "phi2": elementary,
    "prefix": elementary,
    "log1p_minus": elementary,
}
CLAIMS = {
    "randomized_midpoint": "B2",
    "exponential_integrator": "B4",
    "parallel_midpoint": "B6",
    "midpoint": "B7",
    "heun": "B7",
    "euler": "B7",
    "underdamped": "C2",
    "overdamped": "C2",
    "randomized_midpoint_langevin": "C3",
    "parallel_underdamped": "D2",
}
"""The claim of the ledger that is about a scheme; for its mutants that bias the integral B1, the variance B3."""
MUTANTS: dict[str, Mutant] = {}


@dataclass(frozen=True)
class Mutant:
    """A wrong scheme, the name of the right one, and the fact that tells them apart."""

    name: str
    step: Any
    of: str
    killed_by: str
    line: int

    @property
    def claim(self) -> str | None:
        """The claim of the ledger that must catch it."""
        if self.of == "randomized_midpoint" and self.killed_by in ("unbiased", "variance_constant"):
            return {"unbiased": "B1", "variance_constant": "B3"}[self.killed_by]
        return "B1" if (self.of, self.killed_by) == ("parallel_midpoint", "unbiased") else CLAIMS.get(self.of)


def mutant(*, of: str, killed_by: str) -> Any:
    """Register the decorated step as a mutant of the shipped scheme (or function) `of`, with the same parameters."""

    def register(step: Any) -> Any:
        name = f"{step.__module__.rsplit('.', 1)[-1]}.{step.__name__}"
        if name in MUTANTS and MUTANTS[name].line != step.__code__.co_firstlineno:
            raise ValueError(f"two mutants are called {name}")
        call = step if of in FUNCTIONS else schemes.scheme(kinetic=of in KINETIC)(step)
        MUTANTS[name] = Mutant(name, call, of, killed_by, step.__code__.co_firstlineno)
        return call

    return register


def load() -> dict[str, Mutant]:
    """Every mutant, by name."""
    for family in FAMILIES:
        importlib.import_module(f"mutants.{family}")
    return MUTANTS


def original(of: str) -> Any:
    """What the mutants of this name are mutants of."""
    return getattr(FUNCTIONS.get(of, schemes), of)
