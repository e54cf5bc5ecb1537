r"""Laws in full coordinates, of steps that are affine but mix coordinates or treat each in its own way.

A preconditioner, a matrix in front of the score, or a step that only runs on arrays has no form per mode. Run on the
rows of a basis (`rmverify.readings.concrete.matrices`) it still tells its matrices: state' = A state + b + R z, so that
mean and covariance move as m -> A m + b and S -> A S A^T + R R^T, in d (or 2 d, with a velocity) coordinates.

Rounding is carried along as what it is, a small covariance added in every step: E -> A E A^T + e I.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmverify.laws.conditional import initial, split_target, stage_alphas
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Correct, Plan
from rmverify.readings.concrete import Matrices, matrices
from rmverify.schemes.contract import Scheme, Unstable, name, velocity_variance
from rmverify.targets import Gaussian, Target

__all__ = ["full_law", "full_stationary"]

_ULPS = 16  # of the sizes that a step works with: what one step rounds
_DOUBLINGS = 60
_ROWS = 8


def full_law(plan: Plan, target: Target, alphas: Any, start: Any) -> Gaussian:
    """The law of a plan's output given its midpoints, in the target's own coordinates.

    Raises
    ------
    BrokenContract
        Where a step is not affine.
    OverflowError
        Where the moments overflow.
    """
    truth, _ = split_target(target)
    law = initial(truth, plan, start)
    mean, covariance = law.mean, law.covariance
    d = truth.dim
    lost: Array = np.zeros((2, d, d))  # of the covariance, and of the mean times its transpose
    for stage, rows in zip(plan, stage_alphas(plan, alphas), strict=True):
        mass = velocity_variance(stage.scheme)
        if mass is not None:
            mean = np.concatenate([mean, np.zeros(d)])
            covariance, lost = _beside(covariance, mass), np.stack([_beside(z, 0.0) for z in lost])
        same: Matrices | None = None
        for n, (t, h) in enumerate(zip(*map(np.ndarray.tolist, stage.grid), strict=True)):
            given = None if rows is None else rows[:, n, 0, 0]
            if same is None:
                step = matrices(stage.scheme, _near(mean, covariance, d), t, h, target.score, given)
            same = step if given is None and isinstance(stage, Correct) else None
            mean, covariance, lost = _through(step, mean, covariance, lost)
        mean, covariance, lost = mean[:d], covariance[:d, :d], lost[:, :d, :d]
    return _law(mean, covariance, lost[0], sum(map(len, plan)) * lost[1])


def _near(mean: Array, covariance: Array, d: int) -> tuple[Array, ...]:
    """A few states of the size that the law has, as x or (x, v)."""
    z = np.random.default_rng(4).standard_normal((_ROWS, len(mean)))
    rows = mean + np.sqrt(np.maximum(np.diagonal(covariance), 0.0)) * z
    return tuple(rows[:, n : n + d] for n in range(0, len(mean), d))


def _beside(matrix: Array, variance: float) -> Array:
    """The covariance of (x, v), v fresh."""
    size = len(matrix)
    both = np.zeros((2 * size, 2 * size))
    both[:size, :size], both[size:, size:] = matrix, variance * np.eye(size)
    return both


def _through(step: Matrices, mean: Array, covariance: Array, lost: Array) -> tuple[Array, Array, Array]:
    A, noise = step.linear, step.root @ step.root.T
    slip = _slip(A, noise, covariance, step.shift, mean)
    lost = A @ lost @ A.T + slip[:, None, None] * np.eye(len(A))
    return A @ mean + step.shift, A @ covariance @ A.T + noise, lost


def _slip(A: Array, noise: Array, covariance: Array, shift: Array, mean: Array) -> Array:
    """What one step rounds: of the covariance, and of the mean, squared."""
    gain = max(1.0, float(np.abs(A).max()))
    size = gain**2 * float(np.linalg.norm(covariance)) + float(np.linalg.norm(noise))
    far = gain * float(np.linalg.norm(mean)) + float(np.linalg.norm(shift))
    return np.array([_ULPS * UNIT * size, (_ULPS * UNIT * far) ** 2])


def _law(mean: Array, covariance: Array, lost: Array, missed: Array) -> Gaussian:
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise Unstable
    law = Gaussian(mean, (covariance + covariance.T) / 2)
    spread, off = float(np.linalg.norm(lost, 2)), math.sqrt(float(np.linalg.norm(missed, 2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.maximum(spread / law.variances, off / np.sqrt(law.variances))
    rounding = np.where(law.variances > 0, relative, 0.0)
    return Gaussian._raw(law.variances, law.means, law.multiplicities, law.basis, rounding)


def full_stationary(scheme: Scheme, target: Target, t: float, h: float) -> Gaussian:
    """The law that steps without midpoints leave invariant: m = A m + b, S = A S A^T + R R^T, by doubling.

    Raises
    ------
    ValueError
        Where no such law exists: an eigenvalue of A is of size 1 or more.
    """
    truth, _ = split_target(target)
    law, mass = truth.at(t), velocity_variance(scheme)
    near = _near(law.mean, law.covariance, truth.dim)
    if mass is not None:
        near = *near, np.sqrt(float(mass)) * np.random.default_rng(5).standard_normal(near[0].shape)
    step = matrices(scheme, near, t, h, target.score)
    A, size = step.linear, len(step.linear)
    radius = float(np.abs(np.linalg.eigvals(A)).max())
    if not radius < 1:
        raise ValueError(
            f"step: {h!r} is too long: a step of {name(scheme)} has an eigenvalue of size {radius:.6g}, so no "
            "stationary law exists; use a shorter step"
        )
    noise = step.root @ step.root.T
    S, E = noise, np.eye(size)
    for _ in range(_DOUBLINGS):
        if not np.abs(A).max() > 1e-20:
            break
        S, E, A = S + A @ S @ A.T, E + A @ E @ A.T, A @ A
    mean = np.asarray(np.linalg.solve(np.eye(size) - step.linear, step.shift), dtype=float)
    slip = _slip(step.linear, noise, S, step.shift, mean)
    d = truth.dim
    return _law(mean[:d], S[:d, :d], slip[0] * E[:d, :d], np.asarray(slip[1] * size * (E @ E)[:d, :d], dtype=float))
