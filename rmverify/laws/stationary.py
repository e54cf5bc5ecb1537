"""The law that equal Langevin steps leave invariant on a Gaussian target: exact moments, and its distances.

A corrector that runs for long ends here and not at its target: the distance between the two is its bias.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rmverify.laws.averages.bends import NotResolved
from rmverify.laws.conditional import split_target
from rmverify.laws.full import full_stationary
from rmverify.laws.invariant import Spread, contraction, first_moments, invariant, marginal, refreshed, spread, step_map
from rmverify.laws.mixture import MixtureLaw, Moments
from rmverify.laws.scale import ScaleMixture, Unresolved, moment_nodes
from rmverify.numbers.checks import Array, number, positive_integer
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Correct, Plan
from rmverify.readings.witness import MOST_FULL, mixes, rounds_to_floats
from rmverify.samplers import Kernel
from rmverify.schemes.contract import Scheme, shipped, velocity_variance
from rmverify.targets import EstimatedScore, Gaussian
from rmverify.targets.process import mode_variance

__all__ = ["StationaryLaw", "stationary_law"]

_MOST = 9
_FORGOTTEN = 45.0  # e^-45 < 2^-64 of the start is left


@dataclass(frozen=True, eq=False)
class StationaryLaw(MixtureLaw):
    """The law of the position that a Langevin scheme leaves invariant; made by `stationary_law`.

    Gaussian where the scheme draws no midpoints. Otherwise a mixture over all midpoints of the past, of which the
    moments are exact; it is the law after `plan`, of so many steps that nothing is left of the start. `fresh`: the
    steps between two draws of the velocity.

    Attributes
    ----------
    means, variances : ndarray, shape (K,)
        Of the position, one for each mode in the order of the target's.
    excess : ndarray, shape (K,)
        variance/(the target's) - 1, to its own relative accuracy.
    velocity_variances, covariances : ndarray, shape (K,), or None
        Of the velocity, and of position and velocity, where the scheme has one that it keeps.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes, stationary_law
    >>> law = stationary_law(schemes.overdamped, Gaussian.isotropic(1.0, 3), 0.5)
    >>> law.is_gaussian, law.variances.round(12)  # 2h/(1 - (1-h)^2)
    (True, array([1.33333333]))
    """

    one_step: Spread = field(default=None, repr=False, kw_only=True)  # type: ignore[assignment]
    level: float = field(default=0.0, kw_only=True)
    fresh: int | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        step, worst = float(self.plan.stages[0].grid[1][0]), float(np.abs(self.excess).max())
        return f"StationaryLaw(dim={self.dim}, step={step:g}, largest excess of a variance={worst:.3g})"

    @cached_property
    def _excesses(self) -> Array:
        if self.fresh is None:
            return first_moments(self.one_step)
        D = refreshed(step_map(self.one_step, 1), self.fresh)
        return np.asarray(-D[:, 1:, 0] / D[:, 1:, 1])

    @property
    def is_gaussian(self) -> bool:
        """Whether the law is Gaussian."""
        return not self.plan.drawing_steps

    @property
    def excess(self) -> Array:
        return self._excesses[:, 0]

    @property
    def own(self) -> Array:
        """The target's variances at the noise level."""
        return np.asarray(mode_variance(self._truth.variances, self.level))

    @cached_property
    def _moments(self) -> Moments:
        rounding = np.full(self.own.size, 4 * UNIT + 2 * self.one_step.slip)
        return Moments(self.one_step.center, self.own * (1 + self.excess), None, rounding)

    @property
    def velocity_variances(self) -> Array | None:
        mass = velocity_variance(self.plan.stages[0].scheme)
        return None if mass is None or self.fresh else float(mass) * (1 + self._excesses[:, 2])

    @property
    def covariances(self) -> Array | None:
        mass = velocity_variance(self.plan.stages[0].scheme)
        return None if mass is None or self.fresh else np.sqrt(float(mass) * self.own) * self._excesses[:, 1]

    @cached_property
    def scale_spread(self) -> float:
        y, weights = self._rule(2)
        u = np.log1p(y)
        return math.sqrt(float(weights @ (u - weights @ u) ** 2) * self.dim / 2)

    def scale_rule(self, nodes: int) -> ScaleMixture | None:
        """The law as a Gauss rule, of so many nodes or fewer, from the moments that are left invariant."""
        if not self.is_scale_mixture:
            return None
        y, weights = self._rule(min(moment_nodes(nodes), _MOST))
        own = float(self.own[0])
        return ScaleMixture(own * (1 + y), weights, self.dim, 64 * UNIT * float(np.abs(y).max()), own, np.log1p(y))

    def scale_lattice(self, fineness: float) -> Any:
        raise Unresolved

    def _rule(self, nodes: int) -> tuple[Array, Array]:
        if nodes > _MOST:
            raise Unresolved
        size = self.one_step.r.shape[-1] if self.fresh is None else 1
        with contextlib.suppress(NotResolved, np.linalg.LinAlgError):
            with np.errstate(over="ignore", invalid="ignore"):
                D = step_map(self.one_step, 2 * nodes - 1)
                m = invariant(D if self.fresh is None else refreshed(D, self.fresh), size)
            if m is not None:  # otherwise the tails are too heavy for such moments
                y, weights = marginal(m, size, nodes)
                if (y > -1).all():
                    return y[0], weights[0]
        raise Unresolved


def stationary_law(
    scheme: Scheme | Kernel,
    target: Gaussian | EstimatedScore,
    step: Any = None,
    *,
    time: float = 0.0,
    fresh: int | None = None,
) -> StationaryLaw | Gaussian:
    r"""The law that repeated steps of a Langevin scheme leave invariant, on a Gaussian target.

    Parameters
    ----------
    scheme : Langevin scheme
        On x or on (x, v), such as `schemes.randomized_midpoint_langevin(friction=2, mass=1)`; or a Kernel.
    target : Gaussian or EstimatedScore of a Gaussian
        Of positive variances.
    step : number > 0
        h, in Langevin time. Of a Kernel, what its step is handed beside its noise, if anything.
    time : number >= 0
        The noise level at which the score is asked; 0 for the target itself.
    fresh : int, optional
        The steps from one draw of the velocity to the next, of a scheme that has one: a trajectory of Hamiltonian
        Monte Carlo. By default the velocity is kept.

    Returns
    -------
    StationaryLaw
        Exact moments; `rm.tv(law, target)` and its neighbours are exact where the scheme draws no midpoints or the
        target is centred with one variance, with confidence intervals elsewhere. A `Gaussian` of the
        position of a Kernel, and in full coordinates for steps without midpoints that mix coordinates (a
        preconditioner), or round t or h to floats.

    Raises
    ------
    TypeError
        Where the target is not Gaussian or the scheme not affine in its state.
    ValueError
        Where no such law exists, as second moments do not shrink (a step that is too long, a random walk), or where the
        step shifts its state by what it draws.
    ArithmeticError
        Where the averages over what a step draws are not resolved.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes, stationary_law, tv
    >>> target = Gaussian([0.0], [1.0])
    >>> law = stationary_law(schemes.randomized_midpoint_langevin(friction=2), target, 0.2236)
    >>> f"{law.excess[0]:.3e}", tv(law, target).kind
    ('2.341e-04', 'exact')
    >>> law = stationary_law(schemes.overdamped, target, 0.1)  # 1/(1 - h/2)
    >>> round(float(law.variances[0]), 12)
    1.052631578947
    >>> law = stationary_law(schemes.stratified_hmc, target, 0.01, fresh=100)  # trajectories of length 1
    >>> round(float(law.excess[0] / 0.01**2), 3)
    -0.25
    """
    if fresh is not None:
        fresh = positive_integer("fresh", fresh)
        if isinstance(scheme, Kernel) or velocity_variance(scheme) is None:
            raise ValueError("fresh: expected a scheme with a velocity, got one without")
    if isinstance(scheme, Kernel):
        return scheme.stationary(target, step).x
    truth, modes = split_target(target)
    h, level = number("step", step, above=0), number("time", time, least=0)
    if not (mode_variance(truth.variances, level) > 0).all():
        raise ValueError(f"target: expected positive variances at noise level {level:g}, got a singular law")
    stage = Correct(scheme, level, h, 1)
    why = mixes(stage, target, truth, modes)
    if why is None and not shipped(scheme) and truth.dim <= MOST_FULL:
        lost = rounds_to_floats(stage, modes)
        why = None if lost is None else f"it rounds {lost} to a float, such as by math.exp"
    if why is not None:
        if stage.footprint.alphas:
            raise TypeError(
                f"scheme: the step does not act on each mode by itself ({why}); what it leaves invariant, averaged "
                "over its midpoints, is not computed"
            )
        if fresh is not None:
            raise TypeError(
                f"scheme: the step does not act on each mode by itself ({why}), with a velocity drawn fresh"
            )
        return full_stationary(scheme, target, level, h)
    found = spread(scheme, modes, truth.variances, level, h)
    with np.errstate(over="ignore", invalid="ignore"):
        change = step_map(found, 1)
        change = change if fresh is None else refreshed(change, fresh)
    gap = contraction(change) if np.isfinite(change).all() else -math.inf
    if not gap > 0:
        raise ValueError(
            f"step: {h!r} is too long: a {'step' if fresh is None else 'trajectory'} multiplies second moments by "
            f"{1 - gap:.6g}, so no stationary law exists; use a shorter step, where the dynamics itself contracts"
            + (
                ""
                if fresh or velocity_variance(scheme) is None
                else ", or draw the velocity fresh= every so many steps"
            )
        )
    count = math.ceil(_FORGOTTEN / gap)
    plan = Plan([Correct(scheme, level, h, count)] if fresh is None else [Correct(scheme, level, h, fresh)] * count)
    return StationaryLaw(plan, target, "exact", one_step=found, level=level, fresh=fresh)
