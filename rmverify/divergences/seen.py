"""What two laws seen together can be asked for: every divergence, each of which a kind of pair may lack."""

from __future__ import annotations

from typing import Any

from rmverify.numbers.values import Value

__all__ = ["Seen"]


class Seen:
    """Two laws p and q as one object that has their divergences. What a kind of pair does not define is not known."""

    def __init__(self, p: Any, q: Any) -> None:
        if p.dim != q.dim:
            raise ValueError(f"q: expected a law in dimension {p.dim} as p, got dimension {q.dim}")
        self.p, self.q = p, q

    def tv(self) -> Value:
        raise self._unknown("tv")

    def kl(self) -> Value:
        raise self._unknown("kl")

    def renyi(self, order: float) -> Value:
        """Of any order but 1."""
        raise self._unknown("renyi")

    def chi2(self) -> Value:
        raise self._unknown("chi2")

    def hellinger(self) -> Value:
        raise self._unknown("hellinger")

    def w2(self) -> Value:
        raise self._unknown("w2")

    def expected_tv(self) -> Value:
        """E_alpha TV(P_alpha, q) over the midpoints of p."""
        raise ValueError("law: needs the law of a plan averaged over its midpoints; this one draws none")

    def _unknown(self, name: str) -> TypeError:
        p, q = (type(law).__name__ for law in (self.p, self.q))
        return TypeError(f"{name} is not known between a {p} and a {q}; draw from them with rmverify.sample")
