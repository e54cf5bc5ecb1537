"""Particles on several machines, or more of them than memory holds: cut into tiles, each computed anywhere, any time.

The numbers of a particle do not depend on the others (`readings.streams`), so that a tile can be a task of its own for
threads, processes or a cluster, and be kept in a store when it comes.

A store is a folder with two files. ``samples.npy`` is one matrix: NumPy and whatever else reads NPY opens it as it is,
in parts where it is larger than memory, which a file for each tile would need a reader of our own for. It is called
``samples.part`` until its last tile is there, so that nobody takes rows that are not written yet, and are 0, for
particles. ``tiles.jsonl`` says in its first line which run this is, and in one more line for each tile that it is
there, with the checksum of its bytes: a tile that did not reach the disk, or was changed, is computed again.
"""

from __future__ import annotations

import contextvars
import hashlib
import io
import os
import pickle
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.plans import Plan
from rmverify.tasks import Gone, Pool, completed, opened

__all__ = ["SCHEMA", "Threads", "Tile", "gathered", "identity", "kept"]

SCHEMA = "rmverify.sample/1"
"""Version of the store's lines."""

Tile = tuple[int, int]
"""The number of the first particle, and how many there are."""

_SAMPLES, _PART, _LOG = "samples.npy", "samples.part", "tiles.jsonl"


class Threads(ThreadPoolExecutor):
    """Threads that know `numpy.errstate` of whoever hands them a task."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)


def gathered(
    where: Pool, tiles: Iterable[Tile], task: Callable[[int, int], tuple[Any, ...]], keep: Callable[[Tile, Array], None]
) -> None:
    """Compute the tiles, as function and arguments that `task` names, and hand each over as it comes.

    Raises
    ------
    tasks.Gone
        If a worker process, or the Dask scheduler, died.
    """

    def tasks() -> Iterator[tuple[Tile, Callable[..., Any], tuple[Any, ...]]]:
        for tile in tiles:
            function, *arguments = task(*tile)
            yield tile, function, tuple(arguments)

    with closing(completed(where, tasks())) as done:
        for tile, future in done:
            try:
                values = future.result()
            except (BrokenExecutor, CancelledError) as error:
                raise Gone(
                    f"the workers are gone ({type(error).__name__}{f': {error}' if str(error) else ''})"
                ) from error
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                if "pickle" not in str(error).lower():
                    raise
                raise ValueError(
                    f"executor: expected a plan, a score and a start that can be sent to a worker, got {error}; define "
                    "them at the top level of a module"
                ) from error
            keep(tile, values)


def identity(plan: Plan, score: Any, **more: Any) -> dict[str, Any]:
    """What tells one run from another, as plain data.

    Examples
    --------
    >>> from rmverify import Plan, Predict, schemes
    >>> said = identity(Plan([Predict(schemes.heun, [1.0, 0.5])]), max, n=3)
    >>> said["plan"][:-17], said["score"], said["n"]
    ('Plan([Predict(heun, levels 1 to 0.5, 1 step)], evaluations=2)', 'max', 3)
    """
    from importlib.metadata import version

    steps = hashlib.sha256()
    for stage in plan:
        steps.update(repr(stage).encode())
        for part in stage.grid:
            steps.update(part.tobytes())
    told = re.sub(r" at 0x[0-9a-fA-F]+", "", getattr(score, "__qualname__", repr(score)))
    return {
        "schema": SCHEMA, "version": version("rmverify"), "plan": f"{plan!r} {steps.hexdigest()[:16]}", "score": told,
        **more,
    }  # fmt: skip


@contextmanager
def kept(
    store: str | os.PathLike[str], about: Mapping[str, Any], tiles: Sequence[Tile], shape: tuple[int, int], dtype: str
) -> Iterator[Store]:
    """Open a store, new or left by a run that was killed, for this run alone.

    Raises
    ------
    ValueError
        Where it is the store of another run, which is not touched, or cannot be written.
    """
    folder = Path(store)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(f"store: expected a folder that can be made, got {str(store)!r} ({error.strerror})") from error
    there = [name for name in (_SAMPLES, _PART) if (folder / name).exists()]
    if there and not (folder / _LOG).exists():
        raise ValueError(f"store: expected {_LOG} beside {there[0]} in {str(store)!r}, got none; choose another folder")
    todo = {str(first): {"first": first, "count": count} for first, count in tiles}
    with opened(folder / _LOG, about, todo) as (found, note), _matrix(folder, shape, dtype) as (file, start):
        yield Store(folder, tiles, shape, np.dtype(dtype), found, note, file, start)


@contextmanager
def _matrix(folder: Path, shape: tuple[int, int], dtype: str) -> Iterator[tuple[Any, int]]:
    """The file of a matrix, and where its numbers begin."""
    head = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, about)
    size = len(head.getvalue()) + shape[0] * shape[1] * np.dtype(dtype).itemsize
    path = _file(folder)
    with open(path, "r+b" if path.exists() else "w+b") as file:
        if os.fstat(file.fileno()).st_size == 0:
            file.write(head.getvalue())
            file.truncate(size)
        file.seek(0)
        if file.read(len(head.getvalue())) != head.getvalue() or os.fstat(file.fileno()).st_size != size:
            raise ValueError(
                f"store: expected {path.name} to be a matrix of shape {shape} and {dtype} in {str(folder)!r}"
            )
        yield file, len(head.getvalue())


def _file(folder: Path) -> Path:
    return folder / (_SAMPLES if (folder / _SAMPLES).exists() else _PART)


class Store:
    """The tiles that there are, and those to come; made by `kept`."""

    def __init__(
        self, folder: Path, tiles: Sequence[Tile], shape: tuple[int, int], dtype: Any, found: Mapping[str, Any],
        note: Callable[[str, Any], None], file: Any, start: int,
    ) -> None:  # fmt: skip
        self._folder, self._shape, self._dtype, self._note = folder, shape, dtype, note
        self._file, self._start = file, start
        known = [tile for tile in tiles if str(tile[0]) in found]
        self.done = [tile for tile in known if found[str(tile[0])] == zlib.crc32(self._bytes(tile))]
        self.todo = sorted(set(tiles) - set(self.done))

    def _place(self, first: int) -> int:
        return int(self._start + first * self._shape[1] * self._dtype.itemsize)

    def _bytes(self, tile: Tile) -> bytes:
        first, count = tile
        self._file.seek(self._place(first))
        read: bytes = self._file.read(self._place(count) - self._start)
        return read

    def rows(self, tile: Tile) -> Array:
        """The particles of a tile that is there."""
        return np.frombuffer(self._bytes(tile), dtype=self._dtype).reshape(tile[1], self._shape[1])

    def keep(self, tile: Tile, values: Array) -> None:
        """Write a tile, and then that it is there."""
        data = np.ascontiguousarray(values, dtype=self._dtype).tobytes()
        self._file.seek(self._place(tile[0]))
        self._file.write(data)
        self._file.flush()
        self._note(str(tile[0]), zlib.crc32(data))

    def check(self, again: Callable[[int], Array]) -> None:
        """Refuse a store whose first particle is not what it is when it is computed again, to half of its digits."""
        if not self.done:
            return
        tile = self.done[0]
        due, got = again(tile[0]).reshape(-1), self.rows(tile)[0]
        far = np.abs(got - due) > np.sqrt(np.finfo(self._dtype).eps) * (1 + np.abs(due))
        if far.any():
            k = int(np.argmax(far))
            raise ValueError(
                f"store: expected {due[k]:.6g} in coordinate {k} of particle {tile[0]}, which this plan, score and "
                f"start make of the seed, got {got[k]:.6g} in {str(self._folder)!r}: it is the store of another run"
            )

    def finish(self) -> Array:
        """The matrix, once all tiles are there, read from its file where it is looked at."""
        os.fsync(self._file.fileno())
        if (self._folder / _PART).exists():
            os.replace(self._folder / _PART, self._folder / _SAMPLES)
        found: Array = np.load(self._folder / _SAMPLES, mmap_mode="r")
        return found
