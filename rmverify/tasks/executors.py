"""Executors: this process, processes of its own, a Dask cluster, or what the caller has, used in one way.

What takes long should be spread, and whoever stops it should find nothing still running.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

from rmverify.numbers.checks import positive_integer

__all__ = ["Gone", "Pool", "completed", "given", "pool"]

Key = TypeVar("Key")


class Gone(RuntimeError):
    """The workers are gone."""


def completed(
    where: Pool, tasks: Iterable[tuple[Key, Callable[..., Any], tuple[Any, ...]]]
) -> Generator[tuple[Key, Future[Any]], None, None]:
    """Run tasks (key, function, arguments) in their order, and give (key, future) as each is done.

    At most ``where.in_flight()`` are submitted and not yet given. Once the executor is broken no more are begun. Close
    the iterator (`contextlib.closing`) to take back what has not begun.

    Examples
    --------
    >>> with pool() as here:
    ...     [(key, future.result()) for key, future in completed(here, [("a", abs, (-1,)), ("b", abs, (2,))])]
    [('a', 1), ('b', 2)]
    """
    waiting = iter(tasks)
    pending: dict[Future[Any], Key] = {}
    try:
        while True:
            most = where.in_flight()
            while len(pending) < most and (task := next(waiting, None)) is not None:
                key, function, arguments = task
                try:
                    pending[where.submit(function, *arguments)] = key
                except BrokenExecutor as error:
                    broken: Future[Any] = Future()
                    broken.set_exception(error)
                    pending[broken], waiting = key, iter(())
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), future
    finally:
        if where.foreign:  # a pool of this module drops what is pending when it closes
            for future in pending:
                future.cancel()


@dataclass(frozen=True)
class Pool(Executor):
    """An executor that knows how many tasks it wants at a time; made by `pool`."""

    executor: Executor
    in_flight: Callable[[], int]
    foreign: bool = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`."""
        return self.executor.submit(fn, *args, **kwargs)


@contextmanager
def pool(workers: int = 1, dask: str | None = None) -> Iterator[Pool]:
    """Open the executor of one or several sweeps, samples or audits, and leave no process behind.

    Parameters
    ----------
    workers : int
        1: in this process. More: as many processes, started afresh (spawn); they end when this process does, however
        it does.
    dask : str, optional
        Address of a Dask scheduler, such as ``"tcp://127.0.0.1:8786"``; `workers` is then not used. The workers need
        this package, and one thread each where tasks use mpmath or python-flint, whose precision is global.

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
    ...     here.submit(abs, -2).result()
    2
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


def given(executor: Executor | None, workers: int, dask: str | None = None) -> AbstractContextManager[Pool]:
    """A pool: the caller's executor, which stays open, with so many workers; or one of its own."""
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
        raise Gone(f"the Dask scheduler is gone ({error})") from error
