"""rmverify: is this claim about my sampler true, how tight is it, and is my code the algorithm I think it is?

Numerical-analysis verification of randomized-midpoint sampling (Gupta, Cai, Chen 2024, arXiv 2406.00924). A scheme
is written once as a short pure function; samples, exact laws and exact errors are readings of that same function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Correct": "rmverify.plans",
    "EstimatedScore": "rmverify.targets",
    "Gaussian": "rmverify.targets",
    "GaussianMixture": "rmverify.targets",
    "LocalError": "rmverify.laws",
    "MixtureLaw": "rmverify.laws",
    "Plan": "rmverify.plans",
    "Predict": "rmverify.plans",
    "Value": "rmverify.values",
    "budget": "rmverify.budget",
    "chi2": "rmverify.divergences",
    "coupling_error": "rmverify.laws",
    "hellinger": "rmverify.divergences",
    "kl": "rmverify.divergences",
    "local_error": "rmverify.laws",
    "output_law": "rmverify.laws",
    "renyi": "rmverify.divergences",
    "sample": "rmverify.readings.particles",
    "tv": "rmverify.divergences",
    "w2": "rmverify.divergences",
}
_ROOMS = ("elementary", "plans", "schemes", "targets")

__all__ = sorted([*_WHERE, *_ROOMS, "__version__"])

if TYPE_CHECKING:
    from rmverify import elementary, plans, schemes, targets
    from rmverify.budget import budget
    from rmverify.divergences import chi2, hellinger, kl, renyi, tv, w2
    from rmverify.laws import LocalError, MixtureLaw, coupling_error, local_error, output_law
    from rmverify.plans import Correct, Plan, Predict
    from rmverify.readings.particles import sample
    from rmverify.targets import EstimatedScore, Gaussian, GaussianMixture
    from rmverify.values import Value


def __getattr__(name: str) -> Any:
    """Import on first use, so that `rmverify --help` imports nothing heavy."""
    if name in _ROOMS:
        return importlib.import_module(f"rmverify.{name}")
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'rmverify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
