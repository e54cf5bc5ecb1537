"""The checks that targets and plans share: each raises ValueError with the argument's name, what came, what was due.

A wrong argument is refused where it comes in, not where it later breaks something else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from numpy.typing import NDArray

from rmverify.numbers.backends import is_traced

__all__ = ["Array", "brief", "dimension", "finite_array", "least_level", "number", "positive_integer"]

Array = NDArray[np.float64]


def finite_array(name: str, values: Any, ndim: int | None = None) -> Array:
    """`values` as a float64 array, refused unless real, finite, not empty and of the stated dimension."""
    try:
        given = np.asarray(float(values) if type(values) is int else values)  # an int of any length
        if given.dtype.kind not in "iuf":
            raise TypeError(f"dtype {given.dtype}")
        array = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
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


def number(
    name: str, value: Any, *, above: float | None = None, least: float | None = None, most: float | None = None,
    below: float | None = None,
) -> float:  # fmt: skip
    """`value` as a float, refused unless finite and inside the stated range."""
    array = finite_array(name, value)
    if array.ndim != 0:
        raise ValueError(f"{name}: expected a number, got shape {array.shape}")
    result = float(array)
    inside = f"in ({above:g}, {below:g})" if above is not None and below is not None else ""
    if above is not None and not result > above:
        raise ValueError(f"{name}: expected a number {inside or f'> {above:g}'}, got {result!r}")
    if least is not None and not result >= least:
        raise ValueError(f"{name}: expected a number >= {least:g}, got {result!r}")
    if most is not None and not result <= most:
        raise ValueError(f"{name}: expected a number <= {most:g}, got {result!r}")
    if below is not None and not result < below:
        raise ValueError(f"{name}: expected a number {inside or f'< {below:g}'}, got {result!r}")
    return result


def positive_integer(name: str, value: Any, most: float = math.inf) -> int:
    """`value` as an integer >= 1, and at most `most`."""
    found = number(name, value)
    if found != math.floor(found) or not 1 <= found <= most:
        expected = ">= 1" if most == math.inf else f"from 1 to {most}"
        raise ValueError(f"{name}: expected an integer {expected}, got {value!r}")
    return int(found)


def dimension(dim: Any) -> int:
    """`dim` as an integer >= 1."""
    return positive_integer("dim", dim)


def least_level(t: Any) -> float:
    """The least of the noise levels t, a number or an array of any namespace, refused unless finite and >= 0.

    Arrays that are traced to be compiled have no numbers yet: theirs is NaN.
    """
    try:
        low = float(array_namespace(t).min(t)) if is_array_api_obj(t) else float(t)
    except (TypeError, ValueError):
        if is_traced(t):
            return math.nan
        raise ValueError(f"t: expected finite noise levels >= 0, got {_short(t)}") from None
    if not 0 <= low < math.inf:
        raise ValueError(f"t: expected finite noise levels >= 0, got {low!r}")
    return low


def brief(values: Array) -> str:
    """An array as a message or a repr shows it: six digits, and of a long one the first and the last two entries."""
    return np.array2string(values, threshold=6, edgeitems=2, separator=", ", formatter={"float_kind": "{:.6g}".format})


def _short(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 60 else text[:57] + "..."
