r"""The law given the midpoints: one affine map of x per stage, pushed through the Gaussian start.

Every other law of a Gaussian target is made of these: a randomized plan's output is a mixture of such Gaussians.

Every law carries a rounding estimate in the logarithm of each variance, in units of 2^-53: `STEP` per step (on a
uniform grid every step repeats the same rounding), `CANCEL` for every multiple by which the parts of a step, e^h x and
the score's, exceed their sum (a few long steps), and what the level t - h loses where it is far below t. It is an
estimate, not a bound.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from rmverify.laws.averages.counts import continued, recounted
from rmverify.numbers.checks import Array, finite_array
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Plan, Predict, Stage
from rmverify.readings.affine import Transition, chain, compose, each, position
from rmverify.readings.cells import transition
from rmverify.schemes.contract import Scheme, Unstable, velocity_variance
from rmverify.targets import EstimatedScore, Gaussian, Guided, Target
from rmverify.targets.process import mode_variance

STEP, CANCEL, ONCE = 4, 16, 16  # units of 2^-53 in log variance: per step, per multiple, per law; tested against balls
NUDGED, _NUDGE = 16, 2.0**-24  # units per relative change of the scores inside a step that is a whole plan
_BLOCK = 1 << 20  # numbers per temporary array
QUIET = functools.partial(np.errstate, over="ignore", invalid="ignore")  # an overflowing law is refused by name


def split_target(target: Target) -> tuple[Gaussian, Any]:
    """The true Gaussian and the modes of the score that the scheme is handed."""
    if isinstance(target, Gaussian):
        return target, target.modes
    if isinstance(target, EstimatedScore) and isinstance(target.target, Gaussian):
        return target.target, target.modes
    if isinstance(target, Guided):
        return target.conditional, target.modes
    got = type(target).__name__
    if isinstance(target, EstimatedScore):
        got += f" of a {type(target.target).__name__}"
    raise TypeError(
        "target: expected a Gaussian, an EstimatedScore of one or a Guided (output_law also takes a Factor or a "
        f"Product), got {got}; use rmverify.sample to draw with any score"
    )


def initial(truth: Gaussian, plan: Plan, start: Any) -> Gaussian:
    """The law that a plan starts from; ValueError where `start` is none."""
    if start == "exact":
        return truth.at(plan.start)
    if start == "normal":
        return truth.with_modes(1.0, 0.0)
    if isinstance(start, Gaussian) and start.variances.shape == truth.variances.shape and start.basis is truth.basis:
        return start
    raise ValueError(f"start: expected 'normal', 'exact' or a Gaussian in the target's modes, got {start!r}")


def column(values: Array) -> Array:
    return values.reshape(-1, 1, 1)


def pieces(stage: Stage, width: int) -> Any:
    """The stage's steps in blocks small enough that steps x nodes x modes (`width` a step) fits a temporary."""
    t, h = stage.grid
    size = max(1, _BLOCK // max(1, width * max(1, stage.footprint.alphas)))
    for first in range(0, len(t), size):
        yield first, column(t[first : first + size]), column(h[first : first + size])


def stage_map(stage: Stage, modes: Any, alphas: Any = None) -> tuple[Transition, Array]:
    """One stage as a map of x alone: x' = A x + b + N(0, C), entries over (paths, modes), and its rounding (modes,).

    `alphas`: array (A, steps, paths, 1), the midpoints of the stage.
    """
    if not stage.footprint.alphas and recounted(stage.scheme, 1) is not None:
        return _many_cells(stage, modes)
    paths = 1 if alphas is None else alphas.shape[2]
    found = []
    rounding = np.zeros((1, np.size(modes.lam)))
    for first, t, h in pieces(stage, paths * np.size(modes.lam)):
        rows = None if alphas is None else alphas[:, first : first + len(t)]
        if _inside(stage) > 1:
            both = transition(stage.scheme, stage.footprint, _Nudged(modes), t, h)
            steps, moved = (each(both, lambda part, k=k: part[:, k : k + 1]) for k in range(2))
            change = np.abs(moved.linear[0][0] / steps.linear[0][0] - 1)
            rounding = rounding + NUDGED * UNIT / _NUDGE * change.sum(axis=0)
        else:
            steps = transition(stage.scheme, stage.footprint, modes, t, h, rows)
        rounding = rounding + rounding_of(stage, steps.linear[0][0], h, modes.lam, first)
        found.append(chain(steps, len(t)))
    result = functools.reduce(lambda first, second: compose(second, first), found)
    return position(result, velocity_variance(stage.scheme)), rounding.max(axis=0)


def _many_cells(stage: Stage, modes: Any) -> tuple[Transition, Array]:
    slips: list[Array] = []

    def of(scheme: Scheme) -> list[Any]:
        step, slip = stage_map(replace(stage, scheme=scheme), modes)
        slips.append(slip)
        a, b, c = step.scalar
        return [a, c, b]

    (a, c, b), error = continued(of, stage.scheme, [0, 0, 0])
    return Transition(((a,),), (b,), ((c,),)), np.max(slips, axis=0) + 2 * error.max(axis=0)


def rounding_of(stage: Stage, slope: Any, h: Array, lam: Array, first: int = 0) -> Array:
    """The rounding estimate of the steps from `first` on with these coefficients of x (steps, paths, modes): over
    (paths, modes)."""
    inside = _inside(stage)
    grown = np.exp(2 * h / inside) if isinstance(stage, Predict) else 1.0  # e^h in the midpoint, and again in the step
    excess = np.abs(grown / np.maximum(np.abs(slope), 1e-300) - 1)
    count = stage.footprint.evaluations if inside > 1 else 1
    found = STEP * count * len(h) + CANCEL * excess.sum(axis=0)
    if isinstance(stage, Predict):
        score, noise = _lost(stage, h, lam, first)
        found = found + (2 * score * (1 + 2 * excess) + noise).sum(axis=0)
    return np.asarray(UNIT * found)


def _lost(stage: Predict, h: Array, lam: Array, first: int) -> tuple[Any, Any]:
    """By how much the relative error of h is larger in what a step makes of the level t - h: in the variance there, if
    scores are asked below t, and in the level itself, if the step has noise."""
    low = stage.times[first + 1 : first + 1 + len(h)].reshape(h.shape)
    low, h = np.where(low > 0, low, 1.0), np.where(low > 0, h, 0.0)  # at level 0 h is t
    moved = 2 * h * np.exp(-2 * low) * np.abs(1 - lam) / mode_variance(lam, low)
    return (moved if stage.footprint.evaluations > 1 else 0.0), (h / low if stage.footprint.noises else 0.0)


def _inside(stage: Stage) -> int:
    """How many steps are within one that is a whole plan: one that draws nothing, and asks scores at many points."""
    foot = stage.footprint
    return 1 if foot.uniforms or foot.noises else foot.width


class _Nudged:
    """Modes that answer twice, along the nodes: as they are, and off by +-2^-24 of each score. What the second answer
    changes is what rounding can: Picard rounds over long intervals may enlarge it before they make it small."""

    def __init__(self, modes: Any) -> None:
        self._modes, self.lam, self._calls = modes, modes.lam, 0

    def score(self, t: Any, x: Any) -> Any:
        found = self._modes.score(t, x)
        count = max((np.shape(part)[0] for part in found.parts.values() if np.ndim(part) > 3), default=0)
        self._calls += 1
        signs = np.where(np.sin(2.4 * np.arange(max(count, 1)) + self._calls**2) < 0, -_NUDGE, _NUDGE)
        factor = np.stack([np.ones_like(signs), 1 + signs], axis=1)[:, None, :, None]
        return (factor if count else factor[0]) * found


def moments_after(plan: Plan, modes: Any, law: tuple[Any, Any], alphas: list[Any]) -> tuple[Any, Any, Array]:
    """The means and variances (paths, modes) that the plan makes of the starting ones, and their rounding (modes,)."""
    mean, variance = law
    rounding = np.full(np.size(modes.lam), ONCE * UNIT)
    with QUIET():
        for stage, rows in zip(plan, alphas, strict=True):
            step, slip = stage_map(stage, modes, rows)
            a, b, c = step.scalar
            mean, variance, rounding = a * mean + b, a * a * variance + c, rounding + slip
            require_finite(stage, mean, variance)
    return mean, variance, rounding


def require_finite(stage: Stage, *moments: Any) -> None:
    if not all(np.isfinite(moment).all() for moment in moments):
        raise Unstable(f"the law overflows in the stage that ends at level {stage.end:g}")


def stage_alphas(plan: Plan, alphas: Any) -> list[Any]:
    """The user's list, one entry per step that draws, as one array (A, steps, 1, 1) per stage; checked."""
    given = list(alphas)
    if len(given) != plan.drawing_steps:
        raise ValueError(f"alphas: expected one entry per step that draws ({plan.drawing_steps}), got {len(given)}")
    left = iter(given)
    result: list[Any] = []
    for stage in plan:
        foot = stage.footprint
        if not foot.alphas:
            result.append(None)
            continue
        rows = [np.atleast_1d(finite_array("alphas", entry)) for entry in itertools.islice(left, len(stage))]
        for row in rows:
            if row.shape != (foot.alphas,):
                raise ValueError(f"alphas: expected {foot.alphas} value(s) per step, got shape {row.shape}")
            kinds = np.array(foot.slots)
            inside = np.abs(row * foot.strata - foot.stratum - 0.5) <= 0.5 + 1e-12
            if not inside[kinds == "uniform"].all():
                raise ValueError(f"alphas: expected each value inside its stratum of [0, 1], got {row}")
            if not np.isin(row[kinds == "bernoulli"], (0, 1)).all():
                raise ValueError(f"alphas: expected 0 or 1 for each choice, got {row}")
            if (row[kinds == "exponential"] < 0).any():
                raise ValueError(f"alphas: expected durations >= 0, got {row}")
        result.append(np.stack(rows, axis=1)[:, :, None, None])
    return result


def conditional(plan: Plan, target: Target, alphas: Any, start: Any) -> Gaussian:
    truth, modes = split_target(target)
    law = initial(truth, plan, start)
    rows = stage_alphas(plan, () if alphas is None else alphas)
    mean, variance, rounding = moments_after(plan, modes, (law.means, law.variances), rows)
    return truth.with_modes(np.ravel(variance), np.ravel(mean), rounding)
