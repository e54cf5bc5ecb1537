"""Gaussian mixtures: closed-form marginals and scores at every noise level (their sampler laws are not affine).

The simplest laws of several modes, to be sampled from and to be handed over as a score.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from rmverify.elementary import exp
from rmverify.numbers.checks import Array, brief, finite_array
from rmverify.targets.gaussian import Gaussian
from rmverify.targets.process import mode_mean, mode_variance

__all__ = ["GaussianMixture"]


class GaussianMixture:
    r"""The mixture sum_j w_j N(m_j, C_j), whose Ornstein-Uhlenbeck marginals are mixtures again.

    Parameters
    ----------
    weights : array_like, shape (J,)
        Nonnegative, summing to 1 within 1e-9.
    means : array_like, shape (J, d)
    covariances : array_like, shape (J, d, d) or (J, d)

    Examples
    --------
    >>> import numpy as np
    >>> q = GaussianMixture([0.5, 0.5], [[-2.0], [2.0]], [[1.0], [1.0]])
    >>> q.covariance
    array([[5.]])
    >>> float(q.score(0.0, np.zeros((1, 1)))[0, 0]) + 0.0
    0.0
    """

    def __init__(self, weights: Any, means: Any, covariances: Any) -> None:
        self.weights: Array = finite_array("weights", weights, ndim=1)
        centers = finite_array("means", means, ndim=2)
        matrices = finite_array("covariances", covariances)
        if matrices.ndim not in (2, 3):
            raise ValueError(f"covariances: expected shape (J, d, d) or (J, d), got {matrices.shape}")
        if (self.weights < 0).any() or abs(math.fsum(self.weights) - 1) > 1e-9:
            raise ValueError(f"weights: expected numbers >= 0 that sum to 1, got {brief(self.weights)}")
        if not len(self.weights) == len(centers) == len(matrices):
            found = f"{len(centers)} and {len(matrices)}"
            raise ValueError(f"means, covariances: expected one for each of {len(self.weights)} weights, got {found}")
        self.components = tuple(Gaussian(m, c) for m, c in zip(centers, matrices, strict=True))

    @classmethod
    def _raw(cls, weights: Array, components: tuple[Gaussian, ...]) -> GaussianMixture:
        self = cls.__new__(cls)
        self.weights, self.components = weights, components
        return self

    def __repr__(self) -> str:
        return f"GaussianMixture(dim={self.dim}, weights={brief(self.weights)})"

    @property
    def dim(self) -> int:
        return self.components[0].dim

    @property
    def mean(self) -> Array:
        return np.asarray(sum(w * c.mean for w, c in zip(self.weights, self.components, strict=True)))

    @property
    def covariance(self) -> Array:
        center = self.mean
        return np.asarray(
            sum(
                w * (c.covariance + np.outer(c.mean - center, c.mean - center))
                for w, c in zip(self.weights, self.components, strict=True)
            )
        )

    def at(self, t: float) -> GaussianMixture:
        """The marginal q_t: every component noised."""
        return GaussianMixture._raw(self.weights, tuple(c.at(t) for c in self.components))

    def score(self, t: Any, x: Any) -> Any:
        """grad ln q_t(x) = sum_j r_j(x) s_{j,t}(x), r_j the posterior weights, for x of shape (..., d)."""
        if not is_array_api_obj(x):
            raise TypeError(
                f"x: expected an array, got {type(x).__name__}; the score of a Gaussian mixture is not affine, so the "
                "exact Gaussian laws do not apply: use rmverify.sample"
            )
        xp = array_namespace(x)
        seen = [(w, c) for w, c in zip(self.weights.tolist(), self.components, strict=True) if w > 0]
        # sums over the components so far, relative to the highest of them: each is looked at once
        top, pulled = _height_and_score(*seen[0], t, x)
        total = xp.ones_like(top)
        for weight, component in seen[1:]:
            height, score = _height_and_score(weight, component, t, x)
            higher, one = xp.maximum(top, height), xp.ones_like(top)
            lower = exp(-xp.abs(top - height))  # one of the two is 1
            before, here = xp.where(top < height, lower, one), xp.where(top < height, one, lower)
            top, total, pulled = higher, before * total + here, before * pulled + here * score
        return pulled / total

    def sample(self, n: int, *, rng: Any = None) -> Array:
        """n independent draws, shape (n, d)."""
        rng = np.random.default_rng(rng)
        counts = rng.multinomial(n, self.weights / self.weights.sum())
        rows = np.concatenate([c.sample(k, rng=rng) for c, k in zip(self.components, counts, strict=True)])
        return np.asarray(rng.permutation(rows))


def _height_and_score(weight: float, component: Gaussian, t: Any, x: Any) -> tuple[Any, Any]:
    """ln(w_j q_{j,t}(x)), shape (..., 1), up to a constant that all components share, and grad ln q_{j,t}(x)."""
    component._admit(t, x)
    xp = array_namespace(x)
    spread = mode_variance(component._columns(component.variances, x), t)
    away = mode_mean(component._columns(component.means, x), t) - component._rotate(x, back=True)
    slope = away / spread
    size = xp.sum(xp.log(spread), axis=-1, keepdims=True) * (component.dim // spread.shape[-1])
    return math.log(weight) - (xp.sum(away * slope, axis=-1, keepdims=True) + size) / 2, component._rotate(slope)
