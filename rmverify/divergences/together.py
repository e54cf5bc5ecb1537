"""How two laws are compared: one place decides, and refuses what it cannot compare."""

from __future__ import annotations

import math
from typing import Any

from rmverify.divergences.averaged import ACCURACY
from rmverify.divergences.closed_forms import Gaussians
from rmverify.divergences.densities import Components
from rmverify.divergences.line import OnTheLine
from rmverify.divergences.mixture import Averaged
from rmverify.divergences.pair import plain
from rmverify.divergences.seen import Seen
from rmverify.divergences.shared import Shared
from rmverify.laws import LineLaw, MixtureLaw, SharedLaw, StationaryLaw, TransportLaw
from rmverify.numbers.checks import number
from rmverify.targets import Factor, Gaussian, GaussianMixture, Product, SkewNormal

__all__ = ["together"]

_LINE = Factor | Product | GaussianMixture | TransportLaw | LineLaw
_ON_THE_LINE = "a Factor, a Product, a 1-dimensional Gaussian or GaussianMixture, or a plan's output on one of these"


def together(p: Any, q: Any, accuracy: float = ACCURACY, rng: Any = 0, *, certified: bool = False) -> Seen:
    """The two laws seen together, an object that has their divergences.

    ================================================  ================
    two Gaussians                                     `Gaussians`, or over balls where `certified`
    laws known pointwise on the line, their products  `OnTheLine`
    a law averaged over midpoints, a Gaussian         `Averaged`
    a plan's law on a Product, a Product              `Shared`
    ================================================  ================

    Raises
    ------
    TypeError, ValueError
        For laws that are not compared, of different dimensions, or not given exactly where `certified`.

    Examples
    --------
    >>> from rmverify import targets
    >>> seen = together(targets.TwoGaussians(2.0), targets.TwoGaussians(1.0))
    >>> type(seen).__name__, round(seen.w2(), 3)
    ('OnTheLine', 0.878)
    """
    if certified:
        from rmverify.divergences.enclosed import Enclosed  # ball arithmetic, imported for it alone

        return Enclosed(p, q)
    for name, law in (("p", p), ("q", q)):
        if not isinstance(law, Gaussian | MixtureLaw | SharedLaw | _LINE):
            raise TypeError(f"{name}: expected a Gaussian, a law on the line or of a plan, got {type(law).__name__}")
    if isinstance(p, SharedLaw) or isinstance(q, SharedLaw):
        for name, law, other in (("q", q, p), ("p", p, q)):
            if isinstance(other, SharedLaw) and not isinstance(law, Product):
                raise TypeError(f"{name}: expected a Product beside a SharedLaw, got {type(law).__name__}")
        return Shared(p, q, number("accuracy", accuracy, above=0), rng)
    if isinstance(p, _LINE) or isinstance(q, _LINE):
        return _on_the_line(p, q)
    averaged = [
        isinstance(law, MixtureLaw) and not (isinstance(law, StationaryLaw) and law.is_gaussian) for law in (p, q)
    ]
    if not any(averaged):
        return Gaussians(p, q)
    if all(averaged):
        raise TypeError(
            "p, q: two laws averaged over their midpoints cannot be compared; at most one may be such a law"
        )
    accuracy = number("accuracy", accuracy, above=0)
    return Averaged(p, plain(q), accuracy, rng) if averaged[0] else Averaged(plain(p), q, accuracy, rng)


def _on_the_line(p: Any, q: Any) -> OnTheLine:
    for name, law, other in (("p", p, q), ("q", q, p)):
        flat = isinstance(law, Gaussian | GaussianMixture) and law.dim == 1
        if not (flat or (isinstance(law, _LINE) and not isinstance(law, GaussianMixture))):
            what = f"{law.dim}-dimensional {type(law).__name__}"
            raise TypeError(f"{name}: cannot compare a {type(other).__name__} with a {what}; expected {_ON_THE_LINE}")
        if isinstance(law, Gaussian) and not law.variances[0] > 0:
            raise TypeError(f"{name}: a Gaussian of variance 0 has no density beside a {type(other).__name__}")
    given = [isinstance(law, TransportLaw) for law in (p, q)]
    if all(given) or (any(given) and any(isinstance(law, LineLaw) for law in (p, q))):
        raise TypeError(
            "p, q: at most one of the laws may be the output of a plan given its midpoints; compare it with a Factor, "
            "a Product or a Gaussian"
        )
    return OnTheLine(p, q, _coordinate("p", p, q), _coordinate("q", q, p))


def _coordinate(name: str, law: Any, other: Any) -> Any:
    """The law of a coordinate."""
    if isinstance(law, GaussianMixture):
        return Components(name, law)
    if isinstance(law, Gaussian) and isinstance(other, GaussianMixture):
        return Components(name, GaussianMixture([1.0], [law.mean], [law.variances]))
    if isinstance(law, Gaussian):
        return SkewNormal(0.0, float(law.mean[0]), math.sqrt(law.variances[0]))
    return law.factor if isinstance(law, Product) else law
