"""The border between floats and balls: what crosses it crosses here, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["legendre", "lift"]


def lift(values: Any) -> Any:
    """An array of exact floats as an object array of balls of radius 0."""
    from flint import arb

    array = np.asarray(values)
    if array.dtype == object:
        return array
    return np.asarray(np.frompyfunc(lambda x: arb(float(x)), 1, 1)(array), dtype=object)


def legendre(nodes: int) -> tuple[Any, Any]:
    from flint import arb

    pairs = [arb.legendre_p_root(nodes, k, weight=True) for k in range(nodes)]
    return np.array([(1 + x) / 2 for x, _ in pairs], dtype=object), np.array([w / 2 for _, w in pairs], dtype=object)
