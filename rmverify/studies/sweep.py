"""A resumable map of a pure function over a grid, on any executor.

The results go to a store, if one is named: a text file that only grows, one JSON line a cell behind a header. Every
line is on the disk before the next cell is counted, so a sweep that was killed loses at most the cells in flight, and
the same call continues it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from numbers import Integral
from typing import Any

from rmverify.numbers.values import Value
from rmverify.tasks import Gone, Pool, completed, given, opened, pool

__all__ = ["SCHEMA", "Pool", "Progress", "SweepError", "decode", "encode", "pool", "run"]

SCHEMA = "rmverify.sweep/1"
"""Version of the store's lines."""


class SweepError(RuntimeError):
    """A cell raised, or the workers are gone; the cause is what was raised, the message names the first such cell."""


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    done, total, reused, failed : int
        Different cells with a result, all of them, those found in the store, those that raised.
    seconds : float
        Since the sweep began.

    Examples
    --------
    >>> progress = Progress(done=30, total=50, reused=10, failed=0, seconds=4.0)
    >>> print(progress, progress.fraction, progress.eta)
    30 of 50 cells, 5 a second, 4 s left 0.6 4.0
    """

    done: int
    total: int
    reused: int
    failed: int
    seconds: float

    @property
    def fraction(self) -> float:
        """Of the cells that are finished, from 0 to 1."""
        return (self.done + self.failed) / self.total

    @property
    def rate(self) -> float:
        """Cells computed in a second; 0 before the first one."""
        return (self.done - self.reused + self.failed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta(self) -> float:
        """Seconds left at this rate; infinite before the first cell."""
        left = self.total - self.done - self.failed
        return left / self.rate if self.rate > 0 else (math.inf if left else 0.0)

    def __str__(self) -> str:
        pace = f", {self.rate:.3g} a second, {self.eta:.0f} s left" if self.rate > 0 else ""
        return f"{self.done} of {self.total} cells{f', {self.failed} failed' if self.failed else ''}{pace}"


def run(
    function: Callable[..., Any],
    cells: Iterable[Mapping[str, Any]],
    *,
    store: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    dask: str | None = None,
    precision: str = "float64",
    backend: str = "numpy",
    progress: Callable[[Progress], None] | None = None,
) -> list[Any]:
    """Compute ``[function(**cell) for cell in cells]``, each different cell once, and never again.

    Cells start in the order of the grid, and at most ``2 * workers`` are in flight: that many a kill or an interrupt
    may lose. A cell that raises does not stop the others: they are computed and stored first, and a rerun tries only
    the failed ones. A worker process that dies ends the sweep; a Dask worker that dies does not, its cells go to the
    others.

    Parameters
    ----------
    function : callable
        Pure, and importable by name: workers look it up. It returns plain data, see `encode`.
    cells : iterable of mappings
        The grid: keyword arguments of `function`, plain data too.
    store : path, optional
        File for the results; results found in it are not computed again.
    executor : Executor, optional
        Where the cells run: a `pool`, or any other with `workers` naming how many run at once; by default
        ``pool(workers, dask)``.
    workers, dask
        See `pool`.
    precision, backend : str
        Of the computation; part of the store's header and of every cell's key.
    progress : callable, optional
        Called with a `Progress` at the start and after every cell.

    Returns
    -------
    list
        In the order of `cells`; the same data whether computed or reused.

    Raises
    ------
    ValueError
        For an empty grid, a function without a name, or a store of another grid, function, version, precision or
        backend, damaged, or being written. Such a store is not touched.
    SweepError
        If a cell raised, or the workers are gone; the results that came are in the store.

    Examples
    --------
    >>> def area(width, height):
    ...     return {"area": width * height}
    >>> run(area, [{"width": 2, "height": 1.5}, {"width": 2, "height": math.inf}])
    [{'area': 3.0}, {'area': inf}]
    """
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '<unnamed>')}"
    if "<" in name:
        raise ValueError(f"function: expected a function at the top level of a module, got {function!r}")
    identity = {
        "schema": SCHEMA,
        "version": version("rmverify"),
        "function": name,
        "precision": precision,
        "backend": backend,
    }
    grid = [_plain_cell(cell) for cell in cells]
    keys = [_digest([identity, cell]) for cell in grid]
    if not keys:
        raise ValueError("cells: expected at least one cell, got none")
    todo = dict(zip(keys, grid, strict=True))
    header = {**identity, "grid": _digest(sorted(todo))}
    with given(executor, workers, dask) as where, opened(store, header, todo) as (found, keep):
        try:
            failed = _compute(where, function, todo, found, keep, progress or (lambda _: None))
        except Gone as gone:
            raise SweepError(str(gone)) from gone
    if failed:
        key = next(key for key in keys if key in failed)
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        error = failed[key]
        raise SweepError(f"cell {decode(todo[key])!r}: {type(error).__name__}: {error}{more}") from error
    return [decode(found[key]) for key in keys]


def _compute(
    where: Pool,
    function: Callable[..., Any],
    todo: Mapping[str, Any],
    found: dict[str, Any],
    keep: Callable[[str, Any], None],
    progress: Callable[[Progress], None],
) -> dict[str, Exception]:
    """Compute what was not found, keep each result as it comes, and return what was raised."""
    start, reused = time.monotonic(), len(found)
    failed: dict[str, Exception] = {}

    def tell() -> None:
        progress(Progress(len(found), len(todo), reused, len(failed), time.monotonic() - start))

    tell()
    tasks = ((key, _call, (function, decode(todo[key]))) for key in todo if key not in found)
    with closing(completed(where, tasks)) as done:
        for key, future in done:
            try:
                result = encode(future.result())
            except Exception as error:
                failed[key] = error
            else:
                keep(key, result)
            tell()
    return failed


def _call(function: Callable[..., Any], cell: dict[str, Any]) -> Any:
    return function(**cell)


def _plain_cell(cell: Mapping[str, Any]) -> Any:
    try:
        return encode(dict(cell))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cells: expected mappings of names to plain data, got {cell!r} ({error})") from error


# ------------------------------------------------------------------ plain data


def encode(data: Any) -> Any:
    """Data as JSON can hold it, without losing a bit.

    Parameters
    ----------
    data : None, bool, int, float, str, Value, or lists, tuples and dicts of them
        NumPy's integers and float64 become int and float. The names in a dict are strings.

    Returns
    -------
    object
        What `json.dumps` writes as valid JSON and `decode` turns back.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> encode({"tv": Value(0.25), "range": (0.1, math.inf)})["range"]
    {'$tuple': [0.1, {'$float': 'inf'}]}
    >>> decode(encode({"tv": Value(0.25, "upper"), "range": (0.1, math.inf)}))
    {'tv': Value(0.25, kind='upper', error=0, in [0.25, 0.25]), 'range': (0.1, inf)}
    """
    if data is None or isinstance(data, bool | str):
        return data
    if isinstance(data, Value):
        return {"$value": data.as_dict()}
    if isinstance(data, Integral):
        return int(data)
    if isinstance(data, float):
        return float(data) if math.isfinite(data) else {"$float": repr(float(data))}
    if isinstance(data, tuple):
        return {"$tuple": [encode(item) for item in data]}
    if isinstance(data, list):
        return [encode(item) for item in data]
    if isinstance(data, Mapping) and all(isinstance(name, str) for name in data):
        plain = {name: encode(item) for name, item in data.items()}
        return {"$dict": plain} if any(name.startswith("$") for name in plain) else plain
    raise ValueError(f"data: expected None, bool, int, float, str, Value, list, tuple or dict, got {data!r:.80}")


def decode(plain: Any) -> Any:
    """Turn what `encode` returned back into the data.

    Examples
    --------
    >>> decode(encode({"pole": float("inf"), "pair": (1, 2.5)}))
    {'pole': inf, 'pair': (1, 2.5)}
    """
    match plain:
        case list():
            return [decode(item) for item in plain]
        case {"$float": text}:
            return float(text)
        case {"$tuple": items}:
            return tuple(decode(item) for item in items)
        case {"$value": fields}:
            ends = {name: float(fields[name]) for name in ("lower", "upper", "complement")}
            return Value(float(fields["value"]), fields["kind"], float(fields["error"]), **ends)
        case {"$dict": names}:
            return {name: decode(item) for name, item in names.items()}
        case dict():
            return {name: decode(item) for name, item in plain.items()}
    return plain


def _digest(data: Any) -> str:
    """Hash of plain data in canonical form: names sorted, floats in the shortest form that gives them back."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
