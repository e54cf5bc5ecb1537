"""Guidance: the score of a conditional law pushed away from that of the unconditional one.

Classifier-free guidance follows a score that belongs to no noised law at all; between two Gaussians what comes out is
Gaussian all the same, and how far it is from the conditional law is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.numbers.checks import number
from rmverify.targets.gaussian import Gaussian, Modes

__all__ = ["Guided"]


@dataclass(frozen=True, eq=False, repr=False)
class GuidedModes(Modes):
    """The modes of the conditional law, with the guided score."""

    plain: Modes
    scale: Any

    def score(self, t: Any, x: Any) -> Any:
        return self.scale * super().score(t, x) + (1 - self.scale) * self.plain.score(t, x)

    def lift(self, number: Any) -> GuidedModes:
        return GuidedModes(number(self.lam), number(self.mean), self.plain.lift(number), number(self.scale))

    def some(self, which: Any) -> GuidedModes:
        few = super().some(which)
        return GuidedModes(few.lam, few.mean, self.plain.some(which), self.scale)


class Guided:
    r"""The score s_u + scale (s_c - s_u) of classifier-free guidance between two Gaussians.

    Parameters
    ----------
    conditional, unconditional : Gaussian
        Of the same modes: both diagonal, or the one `with_modes` of the other. Samplers are judged against the
        conditional law.
    scale : number
        1 is the conditional score itself, 0 the unconditional one.

    Raises
    ------
    ValueError
        Where the two laws do not have the same modes.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes, targets
    >>> plain = Gaussian([0.0], [4.0])
    >>> target = targets.Guided(Gaussian([1.0], [1.0]), plain, scale=2.0)
    >>> law = output_law(Plan([Predict(schemes.heun, np.linspace(3.0, 0.1, 50))]), target)
    >>> bool(law.mean[0] > 1.2), bool(law.variances[0] < 0.9)  # farther out, and narrower
    (True, True)
    """

    def __init__(self, conditional: Gaussian, unconditional: Gaussian, scale: Any) -> None:
        for name, law in (("conditional", conditional), ("unconditional", unconditional)):
            if not isinstance(law, Gaussian):
                raise ValueError(f"{name}: expected a Gaussian, got {type(law).__name__}")
        one, other = conditional, unconditional
        same = one.basis is other.basis or (
            one.basis is not None and other.basis is not None and np.array_equal(one.basis, other.basis)
        )
        if not same or not np.array_equal(one.multiplicities, other.multiplicities):
            raise ValueError(
                "unconditional: expected a Gaussian with the modes of the conditional one (both diagonal, or made by "
                f"with_modes), got {unconditional!r} beside {conditional!r}"
            )
        self.conditional, self.unconditional, self.scale = conditional, unconditional, number("scale", scale)

    def __repr__(self) -> str:
        return f"Guided({self.conditional!r}, {self.unconditional!r}, scale={self.scale:.6g})"

    @property
    def dim(self) -> int:
        return self.conditional.dim

    @property
    def modes(self) -> Modes:
        one, other = self.conditional.modes, self.unconditional.modes
        return GuidedModes(one.lam, one.mean, other, self.scale)

    def at(self, t: float) -> Gaussian:
        """The marginal of the conditional law."""
        return self.conditional.at(t)

    def score(self, t: Any, x: Any) -> Any:
        """The guided score, for x of shape (..., d) in any namespace."""
        return self.scale * self.conditional.score(t, x) + (1 - self.scale) * self.unconditional.score(t, x)
