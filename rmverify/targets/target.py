"""What every target answers, whatever its law: a sampler needs its score, and a verdict on one its noised marginals."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Target"]


class Target(Protocol):
    """A law on R^dim with a score at every noise level; those shipped are in `rmverify.targets`."""

    @property
    def dim(self) -> int:
        """How many coordinates it has."""

    def at(self, t: float) -> Any:
        """The marginal q_t of the Ornstein-Uhlenbeck process started in it."""

    def score(self, t: Any, x: Any) -> Any:
        """s_t(x) = grad ln q_t(x), or an estimate of it, for x of shape (..., dim)."""
