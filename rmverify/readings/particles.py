r"""The particles reading: a scheme run on arrays of random draws, in any namespace of the array API.

Each particle has its own midpoints: `uniform`, `bernoulli` and `exponential` are of shape (n, 1), `strata` of shape
(R, n, 1), shared by all coordinates of the particle and independent across particles and steps. Random numbers are
made on the device of x and in its dtype by counting (`readings.streams`): those of a particle are a function of the
seed, the step, the draw and the particle's number alone, so the same seed gives the same run on every backend, and
particle i the same numbers among 10 and among 10^6.

So the particles may be cut in any way. They are run in tiles, all steps of a tile at once: on NumPy tiles that stay in
a core's cache, on several threads, each coordinate's particles side by side; on other backends all particles at once,
but for steps whose rounds ask for R strata or cells, which hold arrays of R n d numbers: tiles small enough for
`memory`.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import math
import os
import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_numpy_namespace

from rmverify.elementary import sqrt
from rmverify.numbers.backends import Loop, all_finite, copied, is_traced, settled
from rmverify.numbers.checks import Array, dimension, number, positive_integer
from rmverify.plans import Plan
from rmverify.readings import tiles
from rmverify.readings.streams import MOST_PARTICLES, Stream, key_of, seed_words
from rmverify.samplers import Sampler
from rmverify.samplers.arrays import empty_on, host, named, place_of, quietly
from rmverify.schemes.contract import Scheme, Score, check_covariance, name, shipped, unwrap, velocity_variance
from rmverify.targets import Target
from rmverify.tasks import executors

__all__ = ["sample"]


_BELOW_ONE = 1 - 2.0**-53
_LIVE = 8  # arrays of R x tile x d numbers that a step and a plain score hold at once
_MEMORY = 2**27  # bytes
_TASK = 1 << 20  # numbers of x in a task that is sent to a worker: 0.1 s and more of work for 8 MB to send back
_TILE = 1 << 17  # numbers of x in a tile of NumPy's: measured, fewer cost more calls and more leave the cache


class ParticleDraw:
    """Random numbers shaped for the particles x of shape (n, d) that `on` was last given.

    Parameters
    ----------
    seed : pair of int
        The key of all numbers (`streams.seed_words`).
    """

    def __init__(self, seed: tuple[Any, Any]) -> None:
        self._seed, self._step = seed, 0

    def at(self, step: Any) -> Self:
        """Go on to a step, an integer or an array without axes, whose numbers are its own."""
        self._step = step
        return self

    def on(self, x: Any, first: int = 0) -> Self:
        """Make the next draws for x, whose first particle has this number."""
        self._x, self._xp, self._first, self._used = x, array_namespace(x), first, 0
        return self

    def _stream(self) -> Any:
        self._used += 1
        key = key_of(self._seed, self._step, self._used - 1)
        return Stream(key, self._first, self._xp, self._x.dtype, device(self._x))

    def _lift(self, values: Any) -> Any:
        return self._xp.asarray(values, dtype=self._x.dtype, device=device(self._x))

    def uniform(self) -> Any:
        return self._stream().random((self._x.shape[0], 1))

    def strata(self, count: int) -> Any:
        lo = self._lift(np.arange(count).reshape(count, 1, 1) / count)
        within = self._xp.permute_dims(self._stream().random((self._x.shape[0], count, 1)), (1, 0, 2))
        return lo, lo + within / count

    def bernoulli(self, p: Any) -> Any:
        p = p.item() if isinstance(p, np.generic) else p
        inside = (p >= 0) & (p <= 1)
        if not is_traced(p) and not bool(self._xp.all(inside) if is_array_api_obj(inside) else inside):
            raise ValueError(f"p: expected a probability in [0, 1], got {p!r}")
        below = _BELOW_ONE * self._stream().random((self._x.shape[0], 1))
        return self._xp.astype(below < p, self._x.dtype)

    def exponential(self) -> Any:
        return self._stream().standard_exponential((self._x.shape[0], 1))

    def cells(self, count: int) -> Any:
        return self._lift(np.arange(count).reshape(count, 1, 1))

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        check_covariance(covariance)
        first, *rest = [self._normal(count) for _ in covariance]
        if not rest:
            return [_scaled(first, self._root(covariance[0][0]))]
        # Cholesky with the first entry as the pivot; where the pivot is 0 (an empty interval) so is all the rest
        (a, b), (_, c) = covariance
        slope = self._ratio(b, a)
        first, second = _scaled(first, self._root(a)), _scaled(rest[0], self._root(c - b * slope))
        return [first, slope * first + second]

    def _normal(self, count: int | None) -> Any:
        n, d = self._x.shape
        shape = (n, d) if count is None else (n, count, d)
        values = self._stream().standard_normal(shape)
        if count is not None:
            values = self._xp.permute_dims(values, (1, 0, 2))
        return values if _by_coordinate(self._x) else np.ascontiguousarray(values)

    def _root(self, variance: Any) -> Any:
        if is_array_api_obj(variance):
            return sqrt(self._xp.where(variance > 0, variance, self._xp.zeros_like(variance)))
        return math.sqrt(max(variance, 0.0))

    def _ratio(self, numerator: Any, pivot: Any) -> Any:
        if is_array_api_obj(pivot):
            return self._xp.where(pivot > 0, numerator / self._xp.where(pivot > 0, pivot, self._xp.ones_like(pivot)), 0)
        return numerator / pivot if pivot > 0 else 0.0


def _scaled(values: Any, factor: Any) -> Any:
    """New values times a factor."""
    if not isinstance(factor, float):
        return factor * values
    values *= factor  # in place where the library has it
    return values


def _by_coordinate(x: Any) -> bool:
    """Whether NumPy's numbers are to lie coordinate by coordinate, as x does; other backends choose themselves."""
    return not isinstance(x, np.ndarray) or x.flags.f_contiguous


def sample(
    plan: Plan | Sampler,
    score: Score | Target,
    n: int,
    dim: int | None = None,
    *,
    x0: Any = None,
    rng: Any = None,
    like: Any = None,
    progress: Any = False,
    memory: float = _MEMORY,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | os.PathLike[str] | None = None,
) -> Any:
    """Run a plan, or code of your own, on n particles.

    Parameters
    ----------
    plan : Plan or Sampler
        A Sampler is run with the exact model of a target; of the options it takes `rng` alone.
    score : callable or target
        ``score(t, x)`` for x of shape (n, dim), or (R, n, dim) where a round asks R strata at once; t is a number at
        the levels of the plan, and an array (n, 1) or (R, n, 1) in x's namespace at midpoints, one for each particle.
        Returns x's shape, dtype and device (a network should see the leading axes as one: NumPy takes
        (R, n, dim) @ (dim, m) as R products). A target or `EstimatedScore` stands for its own score. It is called
        once per round and tile: it sees some m of the n particles, every particle `plan.evaluations` evaluations in
        `plan.rounds` rounds. On JAX long stages are compiled: the score is called while it is traced, t too being an
        array without numbers yet; one that cannot be traced, or is another function each time, is called step by step.
        On NumPy the particles of a tile may lie coordinate by coordinate (Fortran order).
    n : int
        At most 2^32.
    dim : int
        That of the target by default.
    x0 : array, shape (n, dim), optional
        The start, at noise level ``plan.start``; N(0, I) by default.
    rng : None, int or numpy.random.Generator
        As for `numpy.random.default_rng`; it tells the key of the random numbers. The same one gives the same sample
        on every backend, but for rounding, and particle i is the same for every n.
    like : array, optional
        An array of the wanted namespace, dtype and device; NumPy float64 by default, or as `x0`.
    progress : bool or callable
        True for a progress bar on stderr; a callable is called with 1, 2, .. up to the number of steps, each as soon
        as that many steps are done, of all particles together; with several workers, from their threads; where a
        stage is compiled, when it is done.
    memory : number > 0
        Bytes for the arrays of steps that ask R strata or cells at once, those of all threads together, or of each
        worker of an executor: they are run on tiles of m particles with 8 R m dim numbers within it (a step holds five
        such arrays, a plain score the rest), m = 1 at the least; on NumPy on smaller ones still, where these are
        faster. The particles themselves, n dim numbers a few times over, come on top. The sample does not depend on
        it, but for the rounding of a score whose arithmetic depends on how many particles it sees. A GPU wants more,
        to be full.
    workers : int, optional
        Threads that NumPy's tiles are spread over: by default one for code of yours, which may not be ready for more,
        and as many as there are cores for a target of this package. The sample does not depend on it.
    executor : concurrent.futures.Executor, optional
        Where tiles of particles are run instead: threads, processes, or those of a Dask client
        (``client.get_executor(pure=False)``), `workers` of them at once (as many as there are cores here by default;
        a `sweep.pool` knows itself). Plan, score and start are sent there with each tile. The sample does not
        depend on it.
    store : path, optional
        A folder for ``samples.npy`` and what tells which of its tiles are there. Particles are written as they come,
        and no more of them are held than a few tiles; a run that was killed is continued by the same call. It needs
        an `rng` that is the same again. ``samples.npy`` is called ``samples.part`` until all particles are in it.

    Returns
    -------
    array, shape (n, dim)
        With a store, on the host: ``samples.npy``, read where it is looked at (a `numpy.memmap`).

    Raises
    ------
    ValueError
        Where n or dim is not a positive integer, memory or workers not positive, x0 or a score has another shape,
        dtype, library or device, or a particle is not finite any more (with its index and the step); where a store is
        that of another run, by what differs, and is not touched; where a plan or a score cannot be sent to workers.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, sample, schemes
    >>> target = Gaussian.isotropic(0.25, 2)
    >>> sample(Plan([Predict(schemes.heun, [3.0, 1.0, 0.1])]), target, 5, 2, rng=0).shape
    (5, 2)
    """
    if executor is not None and not isinstance(executor, Executor):
        raise ValueError(f"executor: expected a concurrent.futures.Executor, got {type(executor).__name__}")
    if store is not None and rng is None:
        raise ValueError("rng: expected a seed where there is a store, whose run is to be continued; got None")
    if isinstance(plan, Sampler) and (store is not None or executor is not None):
        raise ValueError("plan: expected a Plan where there is a store or an executor; a Sampler is run as a whole")
    if isinstance(plan, Sampler):
        return plan.sample(score, n, rng=rng)  # type: ignore[arg-type]
    if not isinstance(plan, Plan):
        raise ValueError(f"plan: expected a Plan or a Sampler, got {type(plan).__name__}")
    if dim is None and not hasattr(score, "dim"):
        raise ValueError("dim: expected the dimension of x, got None, and a score function does not tell it")
    n, dim = positive_integer("n", n), dimension(getattr(score, "dim", None) if dim is None else dim)
    if n > MOST_PARTICLES:
        raise ValueError(f"n: expected at most 2^32 = {MOST_PARTICLES} particles, got {n}")
    threads = _cores() if type(score).__module__.partition(".")[0] == __name__.partition(".")[0] else 1
    target = score
    if hasattr(score, "score"):
        plan.admit(score)
        score = score.score
    if not callable(score):
        raise ValueError(f"score: expected a function score(t, x) or a target, got {type(score).__name__}")
    memory = number("memory", memory, above=0)
    if workers is not None:
        threads = positive_integer("workers", workers)
    start = _Start(n, dim, x0, like)
    seed = seed_words(_generator(rng))
    with _bar(progress, sum(len(stage) for stage in plan)) as advance:
        told = _Told(advance, n)
        if executor is None and store is None:
            return _run(plan, score, seed, start, memory, threads, told)
        if executor is not None and workers is None:
            threads = _cores()
        return _apart(plan, target, score, seed, start, memory, threads, executor, store, told)


def _run(
    plan: Plan, score: Score, seed: tuple[int, int], start: _Start, memory: float, threads: int,
    told: Callable[[int], None],
) -> Any:  # fmt: skip
    """All particles of a start, after all steps."""
    threads = threads if start.native else 1
    rows, n, ask = _rows(plan, start, memory / threads), start.n, _checked(score)
    tiles = [(first, min(rows, n - first)) for first in range(0, n, rows)]
    loop = Loop(start.xp)
    start.reserve()

    def run(first: int, count: int) -> Any:
        x = start.tile(first, count, ParticleDraw(seed))
        return start.keep(first, _moved(plan, ask, seed, x, start.first + first, loop, told))

    return start.whole(_spread(run, tiles, threads))


def _apart(
    plan: Plan, target: Any, score: Score, seed: tuple[int, int], start: _Start, memory: float, workers: int,
    executor: Executor | None, store: str | os.PathLike[str] | None, told: Callable[[int], None],
) -> Any:  # fmt: skip
    """All particles, tile by tile, by an executor or from a store."""
    n, dim, dtype, steps = start.n, start.dim, start.dtype, sum(len(stage) for stage in plan)
    size = _together(start, memory)
    each = [(first, min(size, n - first)) for first in range(0, n, size)]
    threads = workers if executor is None and start.native else 1

    def task(first: int, count: int) -> tuple[Any, ...]:
        return _tile, plan, score, seed, start.place, dim, first, count, start.part(first, count), memory / threads

    with contextlib.ExitStack() as opened:

        def compute(some: list[tiles.Tile], keep: Callable[[tiles.Tile, Array], None]) -> None:
            def kept(tile: tiles.Tile, values: Array) -> None:
                keep(tile, values)
                told(tile[1] * steps)

            where = opened.enter_context(tiles.Threads(threads)) if threads > 1 else executor
            pool = opened.enter_context(executors.given(where, 1 if where is None else workers))
            tiles.gathered(pool, some, task, kept)

        if store is None:
            out = np.empty((n, dim), dtype=dtype)
            compute(each, lambda tile, values: out.__setitem__(slice(tile[0], sum(tile)), values))
            return out if start.native else start.converted(out)
        about = tiles.identity(
            plan, target, n=n, dim=dim, seed=list(seed), x0=start.digest(each), library=start.place[0], dtype=dtype,
            tile=size,
        )  # fmt: skip
        there = opened.enter_context(tiles.kept(store, about, each, (n, dim), dtype))
        there.check(lambda first: _tile(*task(first, 1)[1:]))
        told(sum(count for _, count in there.done) * steps)
        compute(there.todo, there.keep)
        return there.finish()


def _tile(
    plan: Plan, score: Score, seed: tuple[int, int], place: Any, dim: int, first: int, count: int, x0: Any,
    memory: float,
) -> Array:  # fmt: skip
    """Some particles on the host, wherever this is called."""
    with quietly(place[0]) if place[:2] == ("jax", "float64") else contextlib.nullcontext():
        start = _Start(count, dim, x0, empty_on(*place), first)
        x = _run(plan, score, seed, start, memory, 1, _Told(lambda done: None, count))
        return np.asarray(x) if start.native else host(x).astype(start.dtype)


def _generator(rng: Any) -> np.random.Generator:
    """The generator that `rng` stands for."""
    try:
        return np.random.default_rng(rng)
    except TypeError as error:
        raise ValueError(
            f"rng: expected None, an integer or a numpy.random.Generator, got {type(rng).__name__} ({error}); it "
            "tells the seed, the same for every backend, whose own generators are not used"
        ) from None


def _moved(
    plan: Plan, ask: Score, seed: tuple[int, int], x: Any, first: int, loop: Loop, told: Callable[[int], None]
) -> Any:
    """Particles x, the first of which has this number, after all steps."""
    xp, n = array_namespace(x), x.shape[0]
    number = done = 0
    for stage in plan:
        walk = _Walk(stage.scheme, ask)
        number += 1
        after = loop(walk, x, seed, first, number, *stage.grid)
        if after is not None:
            x, number, done = after, number + len(stage), done + len(stage)
            for _ in range(len(stage)):
                told(n)
            continue
        if not done:
            _finite(xp, x, first, "x0", "is not finite at the start")
        state = walk.begin(x, seed, first, number)
        for t, h in zip(*map(np.ndarray.tolist, stage.grid), strict=True):
            number, done = number + 1, done + 1
            state = walk.step(state, seed, first, number, t, h)
            x = state[0]
            _finite(xp, x, first, "score", f"became NaN or infinite in step {done}, at noise level t = {t:g}")
            told(n)
    return x


class _Walk:
    """A scheme with a score, as functions of nothing but numbers and arrays; two are equal when their schemes are."""

    def __init__(self, scheme: Scheme, ask: Score) -> None:
        self._scheme, self._ask, self._mass = scheme, ask, velocity_variance(scheme)
        step, keywords = unwrap(scheme)
        self.keeps = shipped(scheme)  # each adds to a multiple of x
        plain = all(isinstance(value, Hashable) for value in keywords.values())
        self._known = (step, tuple(sorted(keywords.items()))) if plain else scheme

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Walk) and self._known == other._known

    def __hash__(self) -> int:
        return hash(self._known)

    def begin(self, x: Any, seed: Any, first: Any, number: Any) -> tuple[Any, ...]:
        """The state, with a velocity where the scheme carries one, whose draw has this number."""
        if self._mass is None:
            return (x,)
        return x, ParticleDraw(seed).at(number).on(x, first).normal(((self._mass,),))[0]

    def step(self, state: tuple[Any, ...], seed: Any, first: Any, number: Any, t: Any, h: Any) -> tuple[Any, ...]:
        """The state after the step of this number."""
        draw = ParticleDraw(seed).at(number).on(state[0], first)
        out = self._scheme(state if len(state) > 1 else state[0], t, h, self._ask, draw)
        return state_of(self._scheme, out, state)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spread(run: Callable[[int, int], Any], tiles: list[tuple[int, int]], workers: int) -> list[Any]:
    """What `run` returns of every tile, on so many threads; of several errors that of the first tile."""
    if min(workers, len(tiles)) == 1:
        return [run(*tile) for tile in tiles]
    with ThreadPoolExecutor(min(workers, len(tiles))) as pool:
        try:
            # np.errstate is of the context
            futures = [pool.submit(contextvars.copy_context().run, lambda tile=tile: run(*tile)) for tile in tiles]
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class _Told:
    """Tells how many steps are done, where tiles are at different ones: those that all particles could have done."""

    def __init__(self, tell: Callable[[int], Any], n: int) -> None:
        self._tell, self._n = tell, n
        self._moved = self._told = 0
        self._lock = threading.Lock()

    def __call__(self, particles: int) -> None:
        with self._lock:
            self._moved += particles
            while self._told < self._moved // self._n:
                self._told += 1
                self._tell(self._told)


def _together(start: _Start, memory: float) -> int:
    """How many particles make a task of their own, on any number of workers: whole tiles of NumPy's, or what the memory
    holds on a device."""
    if start.native:
        return min(start.n, _TASK // _TILE * max(1, _TILE // start.dim))
    return max(1, min(start.n, int(memory // (_LIVE * start.dim * start.xp.finfo(start.model.dtype).bits // 8))))


def _rows(plan: Plan, start: _Start, memory: float) -> int:
    """How many particles a tile has, from how many evaluations the rounds ask of each: the widest are to fit into the
    memory, and of NumPy's the narrowest into a cache."""
    model = start.model
    widths = [stage.widest(None if start.native else model) for stage in plan]
    itemsize = start.xp.finfo(model.dtype).bits // 8
    rows = start.n if max(widths) == 1 else int(memory // (_LIVE * max(widths) * start.dim * itemsize))
    return max(1, min(start.n, rows, _TILE // (min(widths) * start.dim) if start.native else rows))


def state_of(scheme: Scheme, out: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a step returned as a tuple of arrays, refused unless it is a state like the one it got.

    Raises
    ------
    ValueError
        Where it is not x, or (x, v), of the same shape and dtype.
    """
    outs = tuple(out) if len(state) > 1 and isinstance(out, tuple | list) else (out,)
    shape, dtype = tuple(state[0].shape), state[0].dtype
    if len(outs) != len(state) or any(tuple(getattr(z, "shape", (None,))) != shape for z in outs):
        due = "(x, v)" if len(state) > 1 else "x"
        got = [
            f"{type(z).__name__} of shape {tuple(z.shape)}" if hasattr(z, "shape") else type(z).__name__ for z in outs
        ]
        raise ValueError(
            f"scheme: {name(scheme)} must return its state {due} of shape {shape}, nothing else; got {', '.join(got)}"
        )
    other = next((z.dtype for z in outs if z.dtype != dtype), None)
    if other is not None:
        raise ValueError(
            f"scheme: {name(scheme)} returned {other} for a state of {dtype}; a step must keep the dtype of its state"
        )
    elsewhere = next((where for z in outs if (where := _elsewhere(z, state[0]))), None)
    if elsewhere is not None:
        raise ValueError(f"scheme: {name(scheme)} must return its state as it got it, {elsewhere}")
    return outs


def _elsewhere(z: Any, x: Any) -> str | None:
    """Where an array is of another library, or on another device, than x: what was expected and what came."""
    if isinstance(x, np.ndarray) and isinstance(z, np.ndarray):
        return None
    here, there = (array_namespace(y).__name__.removeprefix("array_api_compat.") for y in (x, z))
    if here != there:
        return f"an array of {here}, got one of {there}"
    if device(z) != device(x):
        return f"an array on {device(x)}, got one on {device(z)}"
    return None


class _Start:
    """The particles before the first step, tile by tile, and where those after the last one go."""

    def __init__(self, n: int, dim: int, x0: Any, like: Any, first: int = 0) -> None:
        model: Any = x0 if like is None else like
        if x0 is not None and tuple(np.shape(x0)) != (n, dim):
            raise ValueError(f"x0: expected shape ({n}, {dim}), got {tuple(np.shape(x0))}")
        plain = isinstance(model, type) or not is_array_api_obj(model)
        if like is not None and plain:
            raise ValueError(f"like: expected an array, got {like!r}")
        model = np.empty(0) if plain else model
        xp: Any = array_namespace(model)
        for argument, given in (("like", like), ("x0", x0)):
            if is_array_api_obj(given) and not array_namespace(given).isdtype(given.dtype, "real floating"):
                raise ValueError(f"{argument}: expected a real floating dtype, got {given.dtype}")
        self.n, self.dim, self.model, self.xp, self.native = n, dim, model, xp, is_numpy_namespace(xp)
        self.first = first
        self._out: Any = None
        self._values: Any = None
        if x0 is not None:
            self._values = self.converted(x0)

    @property
    def dtype(self) -> str:
        """That of NumPy."""
        found = named(self.model)
        if found not in ("float64", "float32", "float16"):
            raise ValueError(f"like: expected float64, float32 or float16 where tiles are sent or kept, got {found}")
        return found

    @property
    def place(self) -> Any:
        """What `empty_on` makes an array like those here of."""
        return place_of(self.model)

    def part(self, first: int, count: int) -> Any:
        """Some of the start on the host, None where it is drawn."""
        if self._values is None:
            return None
        part = self._values[first : first + count, ...]
        return np.asarray(part) if self.native else host(part)

    def digest(self, each: list[tuple[int, int]]) -> str | None:
        """A checksum of the start, None where it is drawn."""
        if self._values is None:
            return None
        found = hashlib.sha256()
        for first, count in each:
            found.update(np.ascontiguousarray(self.part(first, count), dtype=self.dtype).tobytes())
        return found.hexdigest()[:32]

    def reserve(self) -> None:
        """Make room for all particles, where those of a tile can be put into it."""
        self._out = np.empty((self.n, self.dim), dtype=self.model.dtype) if self.native else None

    def converted(self, x0: Any) -> Any:
        try:
            return self.xp.asarray(x0, dtype=self.model.dtype, device=device(self.model))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"x0: expected what can be made an array of {self.xp.__name__} on {device(self.model)}, got "
                f"{type(x0).__name__}: {error}"
            ) from error

    def tile(self, first: int, count: int, draw: ParticleDraw) -> Any:
        """So many particles from this number on: N(0, I), or a copy, as a step might change them in place."""
        if self._values is not None:
            part = self._values[first : first + count, ...]
            if self.native:
                return np.array(part, order="F" if count >= self.dim else "C")
            return copied(part)
        return draw.at(0).on(self._empty(count), self.first + first)._normal(None)

    def _empty(self, count: int) -> Any:
        if self.native:
            return np.empty((count, self.dim), dtype=self.model.dtype, order="F" if count >= self.dim else "C")
        return self.xp.empty((count, self.dim), dtype=self.model.dtype, device=device(self.model))

    def keep(self, first: int, x: Any) -> Any:
        """Put the particles of a tile into their place."""
        if self._out is None:
            return x
        self._out[first : first + len(x)] = x
        return None

    def whole(self, tiles: list[Any]) -> Any:
        """All particles."""
        if self._out is not None:
            return self._out
        return tiles[0] if len(tiles) == 1 else self.xp.concat(tiles, axis=0)


def _checked(score: Score) -> Score:
    def ask(t: Any, x: Any) -> Any:
        s = score(t, x)
        if tuple(getattr(s, "shape", ())) != tuple(x.shape) or s.dtype != x.dtype:
            raise ValueError(
                f"score: expected the shape and dtype of x, {tuple(x.shape)} {x.dtype}, got "
                f"{tuple(getattr(s, 'shape', ()))} {getattr(s, 'dtype', type(s).__name__)}"
            )
        elsewhere = _elsewhere(s, x)
        if elsewhere is not None:
            raise ValueError(f"score: expected, as for x, {elsewhere}")
        return settled(s)

    return ask


def _finite(xp: Any, x: Any, first: int, name: str, what: str) -> None:
    if all_finite(x):
        return
    bad = xp.any(~xp.isfinite(x), axis=-1)
    particle = first + int(xp.argmax(xp.astype(bad, xp.int64)))
    raise ValueError(f"{name}: particle {particle} {what}")


@contextlib.contextmanager
def _bar(progress: Any, steps: int) -> Iterator[Callable[[int], Any]]:
    """A progress bar on stderr, a user's callable, or nothing."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda done: None
    else:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as shown:
            task = shown.add_task("sampling", total=steps)
            yield lambda done: shown.update(task, completed=done)
