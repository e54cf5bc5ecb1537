"""States of any shape: an array, or tuples, lists, dicts and dataclasses of arrays and of anything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from rmverify.samplers.arrays import is_array

__all__ = ["leaves", "others", "replaced"]


def leaves(state: Any) -> list[Any]:
    """All arrays in a state, in order.

    Examples
    --------
    >>> import numpy as np
    >>> [z.shape for z in leaves((np.zeros(2), {"v": np.ones(3), "count": 4}))]
    [(2,), (3,)]
    """
    found: list[Any] = []

    def note(z: Any) -> Any:
        found.append(z)
        return z

    _mapped(state, note)
    return found


def others(state: Any) -> list[Any]:
    """All that is no array in a state, in order.

    Examples
    --------
    >>> import numpy as np
    >>> others((np.zeros(2), {"v": np.ones(3), "count": 4}))
    [4]
    """
    found: list[Any] = []
    _mapped(state, lambda z: z, lambda z: found.append(z))
    return found


def replaced(state: Any, arrays: Iterator[Any], which: Callable[[Any], bool]) -> Any:
    """The state with the arrays that are `which` replaced, one after the other."""
    return _mapped(state, lambda z: next(arrays) if which(z) else z)


def _mapped(state: Any, of: Callable[[Any], Any], rest: Callable[[Any], Any] = lambda z: z) -> Any:
    if is_array(state):
        return of(state)
    if isinstance(state, tuple):
        parts = [_mapped(part, of, rest) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    if isinstance(state, list):
        return [_mapped(part, of, rest) for part in state]
    if isinstance(state, dict):
        return {key: _mapped(part, of, rest) for key, part in state.items()}
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        names = [f.name for f in dataclasses.fields(state) if f.init]
        return dataclasses.replace(state, **{name: _mapped(getattr(state, name), of, rest) for name in names})
    rest(state)
    return state
