"""What every law answers, whatever comes out of a plan: the least that two laws need to be compared."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Law"]


class Law(Protocol):
    """A law on R^dim."""

    @property
    def dim(self) -> int:
        """How many coordinates it has."""

    @property
    def mean(self) -> Any:
        """The vector of means, or a number where it is that of every coordinate."""
