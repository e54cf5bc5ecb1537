"""rmverify: is this claim about my sampler true, how tight is it, and is my code the algorithm I think it is?

Numerical-analysis verification of randomized-midpoint sampling (Gupta, Cai, Chen 2024, arXiv 2406.00924). A scheme
is written once as a short pure function; samples, exact laws and exact errors are readings of that same function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Correct": "plans",
    "EstimatedScore": "targets",
    "Gaussian": "targets",
    "GaussianMixture": "targets",
    "LocalError": "laws",
    "MixtureLaw": "laws",
    "Plan": "plans",
    "Predict": "plans",
    "Product": "targets",
    "Value": "values",
    "chi2": "divergences",
    "coupling_error": "laws",
    "hellinger": "divergences",
    "kl": "divergences",
    "local_error": "laws",
    "output_law": "laws",
    "renyi": "divergences",
    "sample": "readings.particles",
    "stationary_law": "laws",
    "tv": "divergences",
    "verify": "claims",
    "w2": "divergences",
}
_ROOMS = ("budget", "concave", "elementary", "exponents", "plans", "rates", "rounds", "schemes", "sweep", "targets")

__all__ = [
    "Correct",
    "EstimatedScore",
    "Gaussian",
    "GaussianMixture",
    "LocalError",
    "MixtureLaw",
    "Plan",
    "Predict",
    "Product",
    "Value",
    "__version__",
    "budget",
    "chi2",
    "concave",
    "coupling_error",
    "elementary",
    "exponents",
    "hellinger",
    "kl",
    "local_error",
    "output_law",
    "plans",
    "rates",
    "renyi",
    "rounds",
    "sample",
    "schemes",
    "stationary_law",
    "sweep",
    "targets",
    "tv",
    "verify",
    "w2",
]

if TYPE_CHECKING:
    from rmverify import budget, concave, elementary, exponents, plans, rates, rounds, schemes, sweep, targets
    from rmverify.claims import verify
    from rmverify.divergences import chi2, hellinger, kl, renyi, tv, w2
    from rmverify.laws import LocalError, MixtureLaw, coupling_error, local_error, output_law, stationary_law
    from rmverify.plans import Correct, Plan, Predict
    from rmverify.readings.particles import sample
    from rmverify.targets import EstimatedScore, Gaussian, GaussianMixture, Product
    from rmverify.values import Value


def __getattr__(name: str) -> Any:
    """Import on first use, so that `rmverify --help` imports nothing heavy."""
    if name in _ROOMS:
        return importlib.import_module(f"rmverify.{name}")
    if name in _WHERE:
        value = getattr(importlib.import_module(f"rmverify.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'rmverify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
