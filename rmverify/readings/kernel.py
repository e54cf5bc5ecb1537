r"""The kernel reading: a step that is Gaussian given where it starts, on the line, run on points and named noises.

A corrector that asks its score at the incoming x alone, not where a velocity or a noise has moved it, is

    x' = A(x) + a v + W_x,    v' = B(x) + b v + W_v,    (W_x, W_v) ~ N(0, C),

with numbers a, b and C that do not depend on x. Its own code, run on an affine form whose constant part is a point that
carries its derivative, yields A, A', B, B', a, b and C.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rmverify.readings.affine import ONE, AffineForm, V, gram
from rmverify.readings.duals import Dual
from rmverify.readings.transport import Law1D, Silent, score_along
from rmverify.schemes.contract import Scheme, velocity_variance

__all__ = ["Kernel", "kernel", "named"]

_SEVERAL = (
    "scheme: laws on the line are known for one noise a step, got one for each of {} {}; draw from it with "
    "rmverify.sample"
)
_ELSEWHERE = (
    "scheme: it asks the score at a point that a velocity or a noise has moved, so given (x, v) the step is not "
    "Gaussian; draw from it with rmverify.sample"
)


class Kernel(NamedTuple):
    """x' = moved[0] + coefficients[0] v + W_x and, where there is a velocity, v' in the same way; W ~ N(0, noise)."""

    moved: tuple[Dual, ...]
    coefficients: tuple[Any, ...]
    noise: tuple[tuple[Any, ...], ...]


class _Named(Silent):
    """Hands out given midpoints, and a named source for every normal draw."""

    def __init__(self, alphas: Any) -> None:
        super().__init__(alphas)
        self.draws: list[tuple[Any, int | None]] = []

    def cells(self, count: int) -> Any:
        raise TypeError(_SEVERAL.format(count, "cells"))

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        if count is not None:
            raise TypeError(_SEVERAL.format(count, "strata"))
        self.draws.append((covariance, None))
        return [AffineForm({(len(self.draws) - 1, i, 0): 1}) for i in range(len(covariance))]


def kernel(scheme: Scheme, law: Law1D, x: Dual, t: Any, h: Any, alphas: Any = None) -> Kernel:
    """Where one step takes the points, and the noise that it adds.

    Parameters
    ----------
    scheme : scheme on x or on (x, v)
    law, x, t, h, alphas
        As for `rmverify.readings.transport.carry`.

    Raises
    ------
    TypeError
        Where the scheme asks its score at a point that a velocity or a noise has moved.

    Examples
    --------
    >>> from rmverify.schemes import overdamped
    >>> from rmverify.targets import TwoGaussians
    >>> step = kernel(overdamped, TwoGaussians(0.0), Dual(np.array([2.0]), np.ones(1)), 0.0, 0.25)
    >>> step.moved[0].value, step.moved[0].slope, step.noise
    (array([1.5]), array([0.75]), ((0.5,),))
    """
    forms, draws = named(scheme, law, x, t, h, alphas)
    return Kernel(
        tuple(form.parts[ONE].spread() for form in forms),
        tuple(form.parts.get(V, 0) for form in forms),
        tuple(tuple(gram(a, b, draws) for b in forms) for a in forms),
    )


def named(
    scheme: Scheme, law: Law1D, x: Dual, t: Any, h: Any, alphas: Any = None
) -> tuple[tuple[AffineForm, ...], list[Any]]:
    """The same as affine forms whose constants are points that carry their derivatives, and the draws."""
    draw = _Named(alphas)
    kinetic = velocity_variance(scheme) is not None

    def score(t: Any, point: Any) -> Any:
        parts = point.parts if isinstance(point, AffineForm) else {ONE: point}
        if any(np.any(part) for source, part in parts.items() if source is not ONE):
            raise TypeError(_ELSEWHERE)
        found = score_along(law, t, parts[ONE])
        return AffineForm({ONE: found}) if isinstance(found, Dual) else found

    start = AffineForm({ONE: x})
    end = scheme((start, AffineForm({V: 1})) if kinetic else start, t, h, score, draw)
    forms = tuple(end) if kinetic else (end,)
    for form in forms:
        if not isinstance(form, AffineForm) or not isinstance(form.parts.get(ONE), Dual):
            raise TypeError(f"scheme: it returned {type(form).__name__} instead of points on the line")
    return forms, draw.draws
