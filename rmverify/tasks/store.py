"""A store that only grows: a text file, one JSON line a task behind a header that says what all of them belong to.

A run of hours gets killed. Every line is on the disk before the next task is counted, so that a killed run loses at
most the tasks in flight, and the same call continues it; a store of another run is refused by what differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

__all__ = ["opened"]


@contextmanager
def opened(
    path: str | os.PathLike[str] | None, header: Mapping[str, Any], todo: Mapping[str, Any]
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


def _read(content: bytes, header: Mapping[str, Any], todo: Mapping[str, Any], path: str) -> tuple[dict[str, Any], int]:
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


def _require_header(line: bytes, header: Mapping[str, Any], path: str) -> None:
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
