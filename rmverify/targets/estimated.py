"""Imperfect scores: a gain and a bias that may oscillate in t, with their exact L2 error.

No sampler has the exact score. Theorems carry its error along as one number, which is known exactly here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.elementary import like
from rmverify.numbers.checks import brief, finite_array, number
from rmverify.numbers.values import Value
from rmverify.targets.gaussian import Gaussian, Modes
from rmverify.targets.process import mode_variance
from rmverify.targets.target import Target

__all__ = ["EstimatedScore"]


@dataclass(frozen=True, eq=False, repr=False)
class EstimatedModes(Modes):
    """The modes of a target whose score is known only up to a gain and a bias."""

    gain: Any
    bias: Callable[[Any], Any]
    varies: bool = True  # whether the bias is a function of t

    def score(self, t: Any, x: Any) -> Any:
        return (1 + self.gain) * super().score(t, x) + self.bias(t)

    def lift(self, number: Any) -> EstimatedModes:
        lam, mean, gain = (number(z) for z in (self.lam, self.mean, self.gain))
        return EstimatedModes(lam, mean, gain, lambda t: number(self.bias(t)), self.varies)

    def some(self, which: Any) -> EstimatedModes:
        def bias(t: Any) -> Any:
            values = np.asarray(self.bias(t))
            return values[..., which] if values.ndim and values.shape[-1] == self.lam.size > 1 else values

        few = super().some(which)
        return EstimatedModes(few.lam, few.mean, self.gain, bias)


class EstimatedScore:
    r"""The score (1 + gain) s_t(x) + bias(t) of a target, an estimate with an exactly known error.

    Parameters
    ----------
    target : Gaussian or GaussianMixture
        The law whose score is estimated; samplers start from it and are judged against it.
    gain : number
    bias : array_like or callable, optional
        A vector (one value per coordinate, or one for all), or a function of t that broadcasts with x.

    Examples
    --------
    >>> from rmverify import EstimatedScore, Gaussian
    >>> estimate = EstimatedScore(Gaussian.isotropic(1.0, 4), gain=0.1, bias=0.3)
    >>> estimate
    EstimatedScore(Gaussian(dim=4, modes=1, variances in [1, 1]), gain=0.1, bias=0.3)
    >>> round(float(estimate.error(1.0)), 12)  # sqrt(0.1^2 * 4 + 4 * 0.3^2)
    0.632455532034
    """

    def __init__(self, target: Target, gain: Any = 0, bias: Any = None) -> None:
        if not hasattr(target, "score") or not hasattr(target, "at"):
            raise ValueError(f"target: expected a target such as Gaussian, got {type(target).__name__}")
        self.target = target
        self.gain = number("gain", gain)
        if bias is not None and not callable(bias):
            vector = finite_array("bias", bias)
            sizes = 1, target.dim, np.size(getattr(target, "multiplicities", 1))
            if vector.ndim > 1 or vector.size not in sizes:
                raise ValueError(
                    f"bias: expected a number, ({target.dim},) values or a function of t, got {vector.shape}"
                )
            bias = vector
        self.bias = bias

    def __repr__(self) -> str:
        bias = "a function of t" if callable(self.bias) else brief(np.asarray(self._bias(0)))
        return f"EstimatedScore({self.target!r}, gain={self.gain:.6g}, bias={bias})"

    @property
    def dim(self) -> int:
        return int(self.target.dim)

    def _bias(self, t: Any) -> Any:
        if self.bias is None:
            return 0
        return self.bias(t) if callable(self.bias) else self.bias

    def score(self, t: Any, x: Any) -> Any:
        """(1 + gain) s_t(x) + bias(t), for x of shape (..., d) in any namespace."""
        bias = self._bias(t)
        if isinstance(bias, np.ndarray | np.generic):
            bias = like(self._coordinates(np.asarray(bias)), x)
        return (1 + self.gain) * self.target.score(t, x) + bias

    def _coordinates(self, bias: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """One value per coordinate, where a spectrum's blocks have one each."""
        blocks = getattr(self.target, "multiplicities", np.ones(1))
        if bias.ndim == 0 or bias.shape[-1] != blocks.size or blocks.size in (1, self.dim):
            return bias
        return np.repeat(bias, blocks.astype(int), axis=-1)

    def at(self, t: float) -> Any:
        """The true marginal q_t."""
        return self.target.at(t)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "modes"}  # they hold functions

    @functools.cached_property
    def modes(self) -> Modes:
        target, varies = _gaussian(self.target), callable(self.bias)
        return EstimatedModes(
            target.variances, target.means, self.gain, lambda t: target.to_modes("bias", self._bias(t)), varies
        )

    def error(self, t: float) -> Value:
        r"""The exact ||s^ - s||_{L2(q_t)} = sqrt(gain^2 sum_i 1/v_i(t) + |bias(t)|^2) on a Gaussian target."""
        target = _gaussian(self.target)
        t = number("t", t, least=0)
        counts = target.multiplicities
        bias = np.ravel(np.asarray(self._bias(t), dtype=float))
        if bias.size not in (1, counts.size, self.dim):
            raise ValueError(f"bias: expected 1, {counts.size} or {self.dim} values, got {bias.size}")
        repeated = self.dim if bias.size == 1 else counts if bias.size == counts.size else 1
        variances = mode_variance(target.variances, t)
        if self.gain and (variances == 0).any():
            return Value(math.inf, "exact")
        spread = self.gain**2 * math.fsum(counts / variances) if self.gain else 0.0
        result = math.sqrt(spread + math.fsum(repeated * bias**2))
        return Value(result, "exact", 8 * np.finfo(float).eps * result)


def _gaussian(target: Any) -> Gaussian:
    if not isinstance(target, Gaussian):
        raise TypeError(
            f"target: the exact laws and L2 error of an estimated score need a Gaussian, got {type(target).__name__}"
        )
    return target
