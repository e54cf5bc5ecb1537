"""rmverify: is this claim about my sampler true, how tight is it, and is my code the algorithm I think it is?

Numerical-analysis verification of randomized-midpoint sampling (Gupta, Cai, Chen 2024, arXiv 2406.00924). A scheme
is written once as a short pure function; samples, exact laws and exact errors are readings of that same function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Audit": "studies.audit",
    "Correct": "plans",
    "EstimatedScore": "targets",
    "Gaussian": "targets",
    "GaussianMixture": "targets",
    "LineLaw": "laws",
    "LocalError": "errors.local",
    "MixtureLaw": "laws",
    "Plan": "plans",
    "Predict": "plans",
    "Product": "targets",
    "Kernel": "samplers",
    "Report": "claims",
    "Sampler": "samplers",
    "SharedLaw": "laws",
    "StationaryLaw": "laws",
    "TransportLaw": "laws",
    "Value": "numbers.values",
    "audit": "studies.audit",
    "chi2": "divergences",
    "coupling_error": "errors.local",
    "hellinger": "divergences",
    "kl": "divergences",
    "local_error": "errors.local",
    "output_law": "laws",
    "renyi": "divergences",
    "sample": "readings.particles",
    "stationary_law": "laws",
    "tv": "divergences",
    "verify": "claims",
    "w2": "divergences",
}
_ROOMS = {
    "adapters": "adapters",
    "budget": "studies.budget",
    "claims": "claims",
    "elementary": "elementary",
    "exponents": "exponents",
    "gallery": "gallery",
    "laws": "laws",
    "log_concave": "studies.log_concave",
    "paths": "paths",
    "plans": "plans",
    "rates": "studies.rates",
    "rounds": "studies.rounds",
    "samplers": "samplers",
    "schedules": "studies.schedules",
    "schemes": "schemes",
    "sweep": "studies.sweep",
    "targets": "targets",
}

__all__ = [
    "Audit",
    "Correct",
    "EstimatedScore",
    "Gaussian",
    "GaussianMixture",
    "Kernel",
    "LineLaw",
    "LocalError",
    "MixtureLaw",
    "Plan",
    "Predict",
    "Product",
    "Report",
    "Sampler",
    "SharedLaw",
    "StationaryLaw",
    "TransportLaw",
    "Value",
    "__version__",
    "adapters",
    "audit",
    "budget",
    "chi2",
    "claims",
    "coupling_error",
    "elementary",
    "exponents",
    "gallery",
    "hellinger",
    "kl",
    "laws",
    "local_error",
    "log_concave",
    "output_law",
    "paths",
    "plans",
    "rates",
    "renyi",
    "rounds",
    "sample",
    "samplers",
    "schedules",
    "schemes",
    "stationary_law",
    "sweep",
    "targets",
    "tv",
    "verify",
    "w2",
]

if TYPE_CHECKING:
    from rmverify import (
        adapters,
        claims,
        elementary,
        exponents,
        laws,
        paths,
        plans,
        samplers,
        schemes,
        targets,
    )
    from rmverify.claims import Report, verify
    from rmverify.divergences import chi2, hellinger, kl, renyi, tv, w2
    from rmverify.errors.local import LocalError, coupling_error, local_error
    from rmverify.laws import (
        LineLaw,
        MixtureLaw,
        SharedLaw,
        StationaryLaw,
        TransportLaw,
        output_law,
        stationary_law,
    )
    from rmverify.numbers.values import Value
    from rmverify.plans import Correct, Plan, Predict
    from rmverify.readings.particles import sample
    from rmverify.samplers import Kernel, Sampler
    from rmverify.studies import budget, log_concave, rates, rounds, schedules, sweep
    from rmverify.studies.audit import Audit, audit
    from rmverify.targets import EstimatedScore, Gaussian, GaussianMixture, Product


def __getattr__(name: str) -> Any:
    """Import on first use, so that `rmverify --help` imports nothing heavy."""
    if name in _ROOMS:
        return importlib.import_module(f"rmverify.{_ROOMS[name]}")
    if name in _WHERE:
        value = getattr(importlib.import_module(f"rmverify.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'rmverify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
