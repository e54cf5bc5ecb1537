r"""The law of the variance of a centred isotropic law over the midpoints of a plan, and of the error of a variance.

Where all coordinates are alike, the midpoints of a plan change one number only, the variance: whoever knows its law
knows every distance exactly.

Everything here is in u = ln(s^2/v(t)), v the target's own variance (`stage`). The law of u is a sum over the steps. A
test function of it varies on the scale sqrt(2/d) of the log radius. It has two forms:

* `ScaleMixture`, a Gauss rule, while u spreads no more than that (`gauss`);
* `Lattice`, signed weights on a uniform lattice finer than that scale, where u spreads more (`lattice`).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from rmverify.laws.conditional import initial, split_target
from rmverify.laws.scale.gauss import GaussRule, ScaleMixture
from rmverify.laws.scale.lattice import MOST_CELLS, STENCIL, Lattice, LatticeRule, lagrange
from rmverify.laws.scale.stage import (
    BITS,
    ScaleStage,
    Unresolved,
    Walker,
    floats,
    kept,
    logarithm,
    many_strata,
    moment_nodes,
    through,
)
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Plan
from rmverify.readings.balls import lift, precision
from rmverify.targets.process import mode_variance

__all__ = [
    "MOST_CELLS", "NODES", "STENCIL", "Lattice", "ScaleMixture", "Scales", "Unresolved", "kept", "lagrange",
    "log_defect", "many_strata", "moment_nodes",
]  # fmt: skip

NODES = 24


class Scales:
    """A plan as it acts on u, on a centred target."""

    def __init__(self, plan: Plan, target: Any, start: Any) -> None:
        truth, modes = split_target(target)
        self.dim, self.stages = truth.dim, [ScaleStage(stage, modes) for stage in plan]
        self.start = _start(plan, truth, start)
        self._end = float(mode_variance(truth.variances, plan.end)[0])
        self._rounding = 2 * UNIT * float(np.abs(self.start[np.isfinite(self.start)]).max(initial=0.0))

    def spread(self) -> float:
        """sd(u) sqrt(d/2), at most: as if no corrector contracted it. A step with noise spreads u by how its
        A^2 e^u + c varies with the midpoint, at the least and the largest u that it may meet."""
        return math.sqrt(_Spread(self).along(self.stages).total * self.dim / 2)

    def mixture(self, count: int) -> ScaleMixture:
        """P as a Gauss rule in u of so many nodes."""
        return GaussRule(self.start, self._rounding, self.dim, count).along(self.stages).found(self._end)

    def lattice(self, fineness: float) -> Lattice:
        """P on a lattice with `fineness` points to sqrt(2/d), the scale of the log radius."""
        rule = LatticeRule(float(self.start[0]), self._rounding, self.dim, fineness)
        return rule.along(self.stages).found(self._end)

    def met(self, stage: ScaleStage, alphas: Array) -> Array:
        """The range of u that a stage may meet; asked for where a step has both a midpoint and noise, or 0 instead."""
        if not stage.stage.footprint.noises:
            return np.zeros(1)
        before = itertools.takewhile(lambda other: other is not stage, self.stages)
        return stage.range(alphas, _Range(self.start[:1]).along(before).u)


class _Spread(Walker):
    """The sum of the variances that the stages add to u."""

    def __init__(self, scales: Scales) -> None:
        self._scales, self.total = scales, 0.0

    def velocity(self, stage: ScaleStage) -> None:
        y, weights, _ = stage.velocity_rule(np.zeros(1), 2)
        self.total += float(weights[0] @ (np.log1p(y[0]) - weights[0] @ np.log1p(y[0])) ** 2)

    def strata(self, stage: ScaleStage) -> None:
        self.total += float(stage.log_cumulants[1][0].sum())

    def steps(self, stage: ScaleStage) -> None:
        alphas, weights = stage.rule(stage.nodes)
        for images in stage.images(alphas, self._scales.met(stage, alphas)):
            mean = images @ weights
            self.total += float((((images - mean[..., None]) ** 2) @ weights).max(axis=0).sum())


class _Range(Walker):
    """The least and the largest u."""

    def __init__(self, u: Array) -> None:
        self.u = u

    def settled(self, stage: ScaleStage) -> None:
        eta, kappa, _ = stage.settled
        self.u = through(self.u, eta[0], None if kappa is None else kappa[0])

    def steps(self, stage: ScaleStage) -> None:
        self.u = stage.range(stage.rule(stage.nodes)[0], self.u)


def _start(plan: Plan, truth: Any, start: Any) -> Array:
    """u at the start: 0 from the exact law, without the rounding of its variance."""
    if isinstance(start, str) and start == "exact":
        return np.zeros(truth.variances.size)
    law = initial(truth, plan, start)
    with precision(BITS):
        live = law.variances > 0  # u = -inf for a point
        ratio = lift(np.where(live, law.variances, 1.0)) / mode_variance(lift(truth.variances), lift(plan.start))
        return np.where(live, floats(logarithm(ratio), (truth.variances.size,)), -np.inf)


def log_defect(plan: Plan, target: Any, *, start: Any = "normal") -> tuple[Array, Array]:
    """ln(variance of the output/variance of the target at the plan's end) of each mode, and its error.

    For plans that draw no midpoints: to about 1e-12 of the parts it is a sum of, one a step, where the law's own
    variances have absolute errors of about 2^-53 a step.

    Raises
    ------
    ValueError
        For plans that draw midpoints.
    ArithmeticError
        Where the target's variance vanishes at the end, or long stages have steps that are no smooth function of t.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, schemes
    >>> from rmverify.laws.scale import log_defect
    >>> plan = Plan([Predict(schemes.midpoint, np.linspace(3.0, 1.0, 200_001))])
    >>> u, error = log_defect(plan, Gaussian.isotropic(0.25, 1), start="exact")
    >>> bool(1e-13 < abs(u[0]) < 1e-10 and error[0] < 1e-9 * abs(u[0]))
    True
    """
    if plan.drawing_steps:
        raise ValueError("plan: expected a plan without random midpoints, got one that draws them")
    scales = Scales(plan, target, start)
    u = scales.start
    error = UNIT * np.abs(u)
    for stage in scales.stages:
        eta, kappa, slip = stage.settled
        error = error + slip
        u = through(u, eta, kappa)
        error = error + UNIT * np.abs(u)
    if not np.isfinite(u).all():
        raise ArithmeticError("plan: an output variance underflows to 0 or overflows")
    return u, error
