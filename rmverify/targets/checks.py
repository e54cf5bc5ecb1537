"""The checks that targets and plans share: each raises ValueError with the argument's name, what came, what was due."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "finite_array", "number"]

Array = NDArray[np.float64]


def finite_array(name: str, values: Any, ndim: int | None = None) -> Array:
    """`values` as a float64 array, refused unless real, finite, not empty and of the stated dimension."""
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "iuf":
            raise TypeError(f"dtype {given.dtype}")
        array = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected real numbers, got {_short(values)} ({error})") from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name}: expected an array of dimension {ndim}, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one number, got an empty array")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = f" at index {where}" if array.ndim else ""
        raise ValueError(f"{name}: expected finite numbers, got {array[where]}{place}")
    return array


def number(name: str, value: Any, *, above: float | None = None, least: float | None = None) -> float:
    """`value` as a float, refused unless finite and inside the stated range."""
    array = finite_array(name, value)
    if array.ndim != 0:
        raise ValueError(f"{name}: expected a number, got shape {array.shape}")
    result = float(array)
    if above is not None and not result > above:
        raise ValueError(f"{name}: expected a number > {above:g}, got {result!r}")
    if least is not None and not result >= least:
        raise ValueError(f"{name}: expected a number >= {least:g}, got {result!r}")
    return result


def _short(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 60 else text[:57] + "..."
