"""Products: independent coordinates that all have the law of one factor.

The theorems are about growth with the dimension: these laws have as many coordinates as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rmverify.numbers.checks import Array, dimension
from rmverify.targets.factors import Factor
from rmverify.targets.gaussian import MOST_COORDINATES

__all__ = ["Product"]


@dataclass(frozen=True)
class Product:
    r"""The law of `dim` independent coordinates, each of the factor's law: ln q_t(x) = sum_i ln q_t(x_i).

    No array of `dim` numbers is formed but those that `sample` returns or that are passed in.

    Parameters
    ----------
    factor : Factor
        The law of a coordinate, such as `targets.LaplaceGaussian`.
    dim : int

    Raises
    ------
    ValueError
        Where factor is no factor, or dim not an integer >= 1.

    Examples
    --------
    >>> from rmverify import Product, targets
    >>> q = Product(targets.LaplaceGaussian(1.0, variance=0.25), 10**12)
    >>> q.dim, q.variance, q.strong_concavity, round(q.path_smoothness(), 12)
    (1000000000000, 2.25, 0.0, 1.282155540736)
    >>> q.at(1.0).factor
    LaplaceGaussian(scale=0.367879, variance=0.898499)
    """

    factor: Factor
    dim: int

    def __post_init__(self) -> None:
        if not isinstance(self.factor, Factor):
            raise ValueError(
                f"factor: expected a law on the line such as LaplaceGaussian, got {type(self.factor).__name__}"
            )
        object.__setattr__(self, "dim", dimension(self.dim))

    @property
    def mean(self) -> float:
        """Of each coordinate."""
        return self.factor.mean

    @property
    def variance(self) -> float:
        """Of each coordinate; the covariance is this times I."""
        return self.factor.variance

    @property
    def smoothness(self) -> float:
        """The supremum of the eigenvalues of -grad^2 ln density: the factor's."""
        return self.factor.smoothness

    @property
    def strong_concavity(self) -> float:
        """The infimum of the eigenvalues of -grad^2 ln density: the factor's."""
        return self.factor.strong_concavity

    @property
    def is_log_concave(self) -> bool:
        return self.factor.is_log_concave

    def path_smoothness(self, early_stop: float = 0) -> float:
        """The paper's L: the Lipschitz constant of the score over all t >= early_stop, at least 1."""
        return self.factor.path_smoothness(early_stop)

    def at(self, t: float) -> Product:
        """The marginal q_t of the Ornstein-Uhlenbeck process started here; t >= 0 in its own time units."""
        return Product(self.factor.at(t), self.dim)

    def log_density(self, t: Any, x: Any) -> Any:
        """ln q_t(x) for x of shape (..., dim), summed over the last axis; t broadcasts with x."""
        self._admit(x)
        return array_namespace(x).sum(self.factor.log_density(t, x), axis=-1)

    def score(self, t: Any, x: Any) -> Any:
        """s_t(x) = grad ln q_t(x) for x of shape (..., dim), an array of any namespace; t broadcasts with x.

        Raises
        ------
        ValueError
            Where the last axis of x is not dim, x is not real and floating, or t not finite and >= 0.
        """
        self._admit(x)
        return self.factor.score(t, x)

    def sample(self, n: int, *, rng: Any = None) -> Array:
        """n independent draws, shape (n, dim); `rng` as for `numpy.random.default_rng`."""
        if self.dim > MOST_COORDINATES:
            raise ValueError(f"dim: expected at most {MOST_COORDINATES} coordinates to draw, got {self.dim}")
        return self.factor.draws((n, self.dim), np.random.default_rng(rng))

    def _admit(self, x: Any) -> None:
        shape = getattr(x, "shape", ())
        if not shape or shape[-1] != self.dim:
            raise ValueError(f"x: expected an array of shape (..., {self.dim}), got {tuple(shape)}")
