"""A resumable map of a pure function over a grid, on any executor.

The results go to a store, if one is named: a text file that only grows, one JSON line a
cell behind a header. Every line is on the disk before the next cell is counted, so a sweep
that was killed loses at most the cells in flight, and the same call continues it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from numbers import Integral
from typing import Any, BinaryIO

from rmverify.numbers.checks import positive_integer
from rmverify.numbers.values import Value

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

    Cells start in the order of the grid, and at most ``2 * workers`` are in flight: that many a
    kill or an interrupt may lose. A cell that raises does not stop the others: they are computed
    and stored first, and a rerun tries only the failed ones. A worker process that dies ends the
    sweep; a Dask worker that dies does not, its cells go to the others.

    Parameters
    ----------
    function : callable
        Pure, and importable by name: workers look it up. It returns plain data, see `encode`.
    cells : iterable of mappings
        The grid: keyword arguments of `function`, plain data too.
    store : path, optional
        File for the results; results found in it are not computed again.
    executor : Executor, optional
        Where the cells run: a `pool`, or any other with `workers` naming how many run at once.
        By default ``pool(workers, dask)``.
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
        For an empty grid, a function without a name, or a store of another grid, function,
        version, precision or backend, damaged, or being written. Such a store is not touched.
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
    with _given(executor, workers, dask) as where, _opened(store, header, todo) as (found, keep):
        failed = _compute(where, function, todo, found, keep, progress or (lambda _: None))
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
    waiting: Iterator[str] = iter([key for key in todo if key not in found])
    pending: dict[Future[Any], str] = {}
    failed: dict[str, Exception] = {}

    def tell() -> None:
        progress(Progress(len(found), len(todo), reused, len(failed), time.monotonic() - start))

    tell()
    try:
        while True:
            most = where.in_flight()
            while len(pending) < most and (key := next(waiting, None)) is not None:
                try:
                    pending[where.submit(_call, function, decode(todo[key]))] = key
                except BrokenExecutor as error:
                    failed[key], waiting = error, iter(())
            if not pending:
                return failed
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                key = pending.pop(future)
                try:
                    result = encode(future.result())
                except Exception as error:
                    failed[key] = error
                else:
                    keep(key, result)
                tell()
    finally:
        if where.foreign:  # a pool of this module drops what is pending when it closes
            for future in pending:
                future.cancel()


def _call(function: Callable[..., Any], cell: dict[str, Any]) -> Any:
    return function(**cell)


def _plain_cell(cell: Mapping[str, Any]) -> Any:
    try:
        return encode(dict(cell))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cells: expected mappings of names to plain data, got {cell!r} ({error})") from error


# ------------------------------------------------------------------ executors


@dataclass(frozen=True)
class Pool(Executor):
    """An executor that knows how many cells it wants at a time; made by `pool`."""

    executor: Executor
    in_flight: Callable[[], int]
    foreign: bool = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`."""
        return self.executor.submit(fn, *args, **kwargs)


@contextmanager
def pool(workers: int = 1, dask: str | None = None) -> Iterator[Pool]:
    """Open the executor of one or several sweeps, and leave no process behind.

    Parameters
    ----------
    workers : int
        1: in this process. More: as many processes, started afresh (spawn); they end when
        this process does, however it does.
    dask : str, optional
        Address of a Dask scheduler, such as ``"tcp://127.0.0.1:8786"``; `workers` is then not
        used. The workers need this package, and one thread each where cells use mpmath or
        python-flint, whose precision is global.

    Yields
    ------
    Pool

    Raises
    ------
    ValueError
        If `workers` is not an integer >= 1, or nothing answers at the address.

    Examples
    --------
    >>> with pool() as here:
    ...     run(math.isclose, [{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 2.0}], executor=here)
    [False, True]
    """
    positive_integer("workers", workers)
    if dask is not None:
        with _client(dask) as client:
            yield Pool(client.get_executor(pure=False), lambda: 2 * max(1, _threads(client)))
    elif workers == 1:
        yield Pool(_Serial(), lambda: 1)
    else:
        with _processes(workers) as executor:
            yield Pool(executor, lambda: 2 * workers)


def _given(executor: Executor | None, workers: int, dask: str | None) -> AbstractContextManager[Pool]:
    """The pool of a sweep: the caller's, which stays open, or one of its own."""
    if executor is None:
        return pool(workers, dask)
    if dask is not None:
        raise ValueError(f"dask: cannot be combined with an executor, got {dask!r}")
    positive_integer("workers", workers)
    return nullcontext(executor if isinstance(executor, Pool) else Pool(executor, lambda: 2 * workers, foreign=True))


class _Serial(Executor):
    """Computes in this process, at once; an interrupt passes through."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """Processes that hold one end of a pipe and exit at once when the other end, which is here, is closed."""
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with theirs, ours:
        executor = _Processes(workers, mp_context=context, initializer=_follow, initargs=(theirs,))
        try:
            yield executor
            executor.shutdown()
        finally:
            ours.close()
            executor.shutdown()  # nothing is cancelled: before Python 3.12 a pool that loses its workers trips over it


class _Processes(ProcessPoolExecutor):
    """Starts its processes with SIGINT blocked: an interrupt from the terminal is for this process alone."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not hasattr(signal, "pthread_sigmask"):
            return super().submit(fn, *args, **kwargs)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(lifeline: Any) -> None:
    threading.Thread(target=_outlive, args=(lifeline,), daemon=True).start()


def _outlive(lifeline: Any) -> None:
    try:
        lifeline.poll(None)
    finally:
        os._exit(1)


def _client(address: str) -> Any:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ValueError("dask: needs the package distributed: pip install 'rmverify[cluster]'") from error
    expected = "the address of a running scheduler, such as tcp://127.0.0.1:8786"
    if not re.fullmatch(r"(\w+://)?[^\s/]+:\d+", address):
        raise ValueError(f"dask: expected {expected}, got {address!r}")
    try:
        return distributed.Client(address, set_as_default=False, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(f"dask: expected {expected}, got {address!r} ({error})") from error


def _threads(client: Any) -> int:
    """Of all workers there are now: they come and go."""
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise SweepError(f"the Dask scheduler is gone ({error})") from error


# ------------------------------------------------------------------ the store


@contextmanager
def _opened(
    path: str | os.PathLike[str] | None, header: dict[str, str], todo: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], Callable[[str, Any], None]]]:
    """What the store has, and the function that adds to it."""
    if path is None:
        found: dict[str, Any] = {}
        yield found, found.__setitem__
        return
    path = os.fspath(path)
    try:
        file = open(path, "a+b")  # noqa: SIM115
    except OSError as error:
        raise ValueError(f"store: expected a file that can be written, got {path!r} ({error.strerror})") from error
    with file:
        _lock(file, path)
        file.seek(0)
        content = file.read()
        found, sound = _read(content, header, todo, path)
        if sound < len(content):
            file.truncate(sound)
        if not sound:
            _append(file, header)

        def keep(key: str, result: Any) -> None:
            _append(file, {"key": key, "cell": todo[key], "result": result})
            found[key] = result

        yield found, keep


def _append(file: BinaryIO, record: Mapping[str, Any]) -> None:
    file.write(_line(record))
    file.flush()
    os.fsync(file.fileno())


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _read(content: bytes, header: dict[str, str], todo: Mapping[str, Any], path: str) -> tuple[dict[str, Any], int]:
    """The results in a store, and how many of its bytes are sound: all but a torn last line."""
    *lines, torn = content.splitlines(keepends=True) or [b""]
    if torn.endswith(b"\n"):
        lines, torn = [*lines, torn], b""
    if not lines:
        if _line(header).startswith(torn):
            return {}, 0
        raise _refusal(path, "a store of this package", repr(torn[:40]))
    _require_header(lines[0], header, path)
    found: dict[str, Any] = {}
    sound = len(lines[0])
    for number, line in enumerate(lines[1:], 2):
        try:
            record = json.loads(line)
        except ValueError:
            if number == len(lines) and not torn:  # blocks of the last line that never reached the disk
                break
            record = None
        if not (isinstance(record, dict) and record.keys() == {"key", "cell", "result"} and record["key"] in todo):
            raise _refusal(path, f"a cell of the grid in line {number}", repr(line[:40]))
        found[record["key"]] = record["result"]
        sound += len(line)
    return found, sound


def _require_header(line: bytes, header: dict[str, str], path: str) -> None:
    try:
        there = json.loads(line)
        differs = next((name for name in header if there.get(name) != header[name]), None)
    except (AttributeError, ValueError) as error:
        raise _refusal(path, "a store of this package", repr(line[:40])) from error
    if differs is not None:
        what = " (other cells or options: one store keeps one grid)" if differs == "grid" else ""
        raise _refusal(path, f"{differs} {header[differs]!r}", f"{there.get(differs)!r}{what}")


def _refusal(path: str, expected: str, got: str) -> ValueError:
    return ValueError(f"store: expected {expected}, got {got} in {path!r}")


def _lock(file: BinaryIO, path: str) -> None:
    """Refuse a second writer, where the system has locks; they end with the process."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(f"store: {path!r} is being written by {_holder(file)}") from error


def _holder(file: BinaryIO) -> str:
    """Who holds the lock, where Linux tells."""
    about = os.fstat(file.fileno())
    other = "another process"
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            return next((f"process {f[4]}" for f in map(str.split, locks) if f[1] == "FLOCK" and f[5] == place), other)
    except OSError:
        return other


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
