r"""The exact model of a Gaussian target: what a perfectly trained network would answer, in whatever it predicts.

On x_t = alpha x_0 + sigma eps every prediction is an affine function of x, mode by mode: with variance lam and mean m
of the data and D = alpha^2 lam + sigma^2,

    score   -(x - alpha m)/D                            eps    sigma (x - alpha m)/D
    x0      (alpha lam x + sigma^2 m)/D                 v      alpha eps - sigma x0
    flow    eps - x0

An estimate with the score s + d predicts that plus w d, with the weight w that the score has in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.paths import Path
from rmverify.targets import EstimatedScore, Gaussian, Guided, Target

__all__ = ["PREDICTS", "exact_model", "marginal", "truth_of"]

PREDICTS = ("score", "eps", "x0", "v", "flow")

Model = Callable[[Any], tuple[Array, Array]]


def truth_of(target: Target) -> Gaussian:
    """The law that a target's model was trained on."""
    if isinstance(target, EstimatedScore):
        target = target.target
    if isinstance(target, Guided):
        target = target.conditional
    if not isinstance(target, Gaussian):
        raise TypeError(
            f"target: the law of code of your own needs a Gaussian, an EstimatedScore or a Guided, got "
            f"{type(target).__name__}; use rmverify.sample to draw with any score"
        )
    return target


def marginal(truth: Gaussian, path: Path, t: float | None) -> tuple[Array, Array]:
    """Means and variances of x_t, mode by mode; of the data themselves where t is None."""
    if t is None:
        return truth.means, truth.variances
    alpha, sigma = path.at(t)
    return alpha * truth.means, alpha**2 * truth.variances + sigma**2


def exact_model(target: Target, path: Path, predicts: str) -> Model:
    """The model as a function of the level t, an array (rows,) or a number: gains and shifts over (rows, modes)."""
    truth = truth_of(target)
    if isinstance(target, Guided):
        parts = [exact_model(part, path, predicts) for part in (target.unconditional, target.conditional)]

        def guided(t: Any) -> tuple[Array, Array]:
            (a, b), (c, d) = (part(t) for part in parts)
            return a + target.scale * (c - a), b + target.scale * (d - b)

        return guided
    lam, mean = truth.variances, truth.means

    def model(t: Any) -> tuple[Array, Array]:
        alpha, sigma = (np.asarray(z, dtype=float)[..., None] for z in path.at(t))
        gain, shift = _gaussian(predicts, lam, mean, alpha, sigma)
        if isinstance(target, EstimatedScore):
            with np.errstate(divide="ignore", invalid="ignore"):
                weight = _weight(predicts, alpha, sigma)
                a, b = _gaussian("score", lam, mean, alpha, sigma)
                size = np.hypot(alpha, sigma)
                bias = truth.to_modes("bias", target._bias(np.asarray(path.noise_level(t))[..., None]))
                more, off = target.gain * a, target.gain * b + bias / size  # a score of 0 more is none, at any weight
                gain = gain + np.where((weight == 0) | (more == 0), 0.0, weight * more)
                shift = shift + np.where((weight == 0) | (off == 0), 0.0, weight * off)
        if not (np.isfinite(gain).all() and np.isfinite(shift).all()):
            why = "the target is singular there, or nothing is left of the data"
            raise ValueError(f"t: the exact model has no {predicts} prediction at t = {t} of {path!r}: {why}")
        return gain, shift

    return model


def _gaussian(predicts: str, lam: Array, mean: Array, alpha: Array, sigma: Array) -> tuple[Array, Array]:
    scale = np.maximum(alpha, sigma)  # sigma = inf is a level like the others
    with np.errstate(invalid="ignore", divide="ignore"):
        a, s = np.where(np.isinf(scale), 0.0, alpha / scale), np.where(np.isinf(scale), 1.0, sigma / scale)
        D = a * a * lam + s * s
        if predicts == "score":
            return -1 / D / scale**2, a * mean / D / scale
        known = D == 0  # the data themselves, in a direction in which they do not vary: x0 is the mean, eps unseen
        D = np.where(known, 1.0, D)
        if predicts == "x0":
            return a * lam / D / scale, mean * np.where(known, 1.0, s * s / D)
        if predicts == "eps":
            return s / D / scale, -s * a * mean / D
        if predicts == "v":
            return a * s * (1 - lam) / D, -s * mean * (a * a + s * s) * scale / D
        return (s - a * lam) / D / scale, -mean * np.where(known, 1.0, s * (a + s) / D)


def _weight(predicts: str, alpha: Array, sigma: Array) -> Any:
    """What one more unit of score adds to the prediction."""
    if predicts == "score":
        return np.ones_like(sigma)
    if predicts == "eps":
        return -sigma
    if predicts == "x0":
        return sigma**2 / alpha
    if predicts == "v":
        return -sigma * (alpha**2 + sigma**2) / alpha
    return -sigma * (alpha + sigma) / alpha
