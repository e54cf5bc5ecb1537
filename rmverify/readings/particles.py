r"""The particles reading: a scheme run on arrays of random draws, in any namespace of the array API.

Each particle has its own midpoints: `uniform`, `bernoulli` and `exponential` are of shape (n, 1), `strata` of shape
(R, n, 1), shared by all coordinates of the particle and independent across particles and steps. Random numbers are
drawn by NumPy on the host, in float64, and moved to the dtype and device of x: the same seed gives the same run on
every backend. Every draw of every step has a stream of its own, filled particle by particle: particle i gets the same
numbers however many others there are.

A step whose rounds ask for R strata or cells at once holds arrays of R n d numbers: it is run on one chunk of particles
after the other, each small enough for `memory`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from rmverify.elementary import sqrt
from rmverify.numbers.checks import dimension, number, positive_integer
from rmverify.plans import Plan, Stage
from rmverify.samplers import Sampler
from rmverify.schemes.contract import Scheme, Score, check_covariance, name, velocity_variance
from rmverify.targets import Target

__all__ = ["sample"]


_BELOW_ONE = 1 - 2.0**-53
_LIVE = 8  # arrays of R x chunk x d numbers that a step and a plain score hold at once
_MEMORY = 2**27  # bytes; more is slower on a CPU, whose caches are small


class ParticleDraw:
    """Random numbers shaped for the particles x of shape (n, d) that `on` was last given."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._seed = rng.integers(1 << 63, size=4).tolist()
        self._step = 0
        self._streams: list[np.random.Generator] = []

    def next(self) -> None:
        """Go on to the next step, whose numbers are its own."""
        self._step += 1
        self._streams = []

    def on(self, x: Any) -> Self:
        self._x, self._xp, self._used = x, array_namespace(x), 0
        return self

    def _stream(self) -> np.random.Generator:
        if self._used == len(self._streams):
            self._streams.append(np.random.default_rng([*self._seed, self._step, self._used]))
        self._used += 1
        return self._streams[self._used - 1]

    def _lift(self, values: Any) -> Any:
        return self._xp.asarray(values, dtype=self._x.dtype, device=device(self._x))

    def uniform(self) -> Any:
        return self._lift(self._stream().random((self._x.shape[0], 1)))

    def strata(self, count: int) -> Any:
        lo = np.arange(count).reshape(count, 1, 1) / count
        return self._lift(lo), self._lift(lo + self._stream().random((self._x.shape[0], count)).T[..., None] / count)

    def bernoulli(self, p: Any) -> Any:
        p = p.item() if isinstance(p, np.generic) else p
        inside = (p >= 0) & (p <= 1)
        if not bool(self._xp.all(inside) if is_array_api_obj(inside) else inside):
            raise ValueError(f"p: expected a probability in [0, 1], got {p!r}")
        below = _BELOW_ONE * self._stream().random((self._x.shape[0], 1))
        if is_array_api_obj(p):
            return self._xp.astype(self._lift(below) < p, self._x.dtype)
        return self._lift(below < p)

    def exponential(self) -> Any:
        return self._lift(-np.log1p(-_BELOW_ONE * self._stream().random((self._x.shape[0], 1))))

    def cells(self, count: int) -> Any:
        return self._lift(np.arange(count).reshape(count, 1, 1))

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        check_covariance(covariance)
        first, *rest = [self._normal(count) for _ in covariance]
        if not rest:
            return [self._root(covariance[0][0]) * first]
        # Cholesky with the first entry as the pivot; where the pivot is 0 (an empty interval) so is all the rest
        (a, b), (_, c) = covariance
        slope = self._ratio(b, a)
        return [self._root(a) * first, self._root(a) * slope * first + self._root(c - b * slope) * rest[0]]

    def _normal(self, count: int | None) -> Any:
        n, d = self._x.shape
        if count is None:
            return self._lift(self._stream().standard_normal((n, d)))
        return self._lift(np.ascontiguousarray(self._stream().standard_normal((n, count, d)).transpose(1, 0, 2)))

    def _root(self, variance: Any) -> Any:
        if is_array_api_obj(variance):
            return sqrt(self._xp.where(variance > 0, variance, self._xp.zeros_like(variance)))
        return math.sqrt(max(variance, 0.0))

    def _ratio(self, numerator: Any, pivot: Any) -> Any:
        if is_array_api_obj(pivot):
            return self._xp.where(pivot > 0, numerator / self._xp.where(pivot > 0, pivot, self._xp.ones_like(pivot)), 0)
        return numerator / pivot if pivot > 0 else 0.0


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
        once per round, or once per round and chunk where the particles are cut (`memory`): each then sees its own m of
        the n particles, every particle `plan.evaluations` evaluations in `plan.rounds` rounds as before.
    n : int
    dim : int
        That of the target by default.
    x0 : array, shape (n, dim), optional
        The start, at noise level ``plan.start``; N(0, I) by default.
    rng : None, int or numpy.random.Generator
        As for `numpy.random.default_rng`.
    like : array, optional
        An array of the wanted namespace, dtype and device; NumPy float64 by default, or as `x0`.
    progress : bool or callable
        True for a progress bar on stderr; a callable is called after each step with the number of steps done.
    memory : number > 0
        Bytes for the arrays of a step that asks R strata or cells at once: it is run on chunks of m particles with
        8 R m dim numbers within it (the step holds five such arrays, a plain score the rest), m = 1 at the least. The
        particles themselves, n dim numbers a few times over, come on top. The sample does not depend on it, but for
        the rounding of a score whose arithmetic depends on how many particles it sees. A GPU wants more, to be full.

    Returns
    -------
    array, shape (n, dim)

    Raises
    ------
    ValueError
        Where n or dim is not a positive integer, memory not positive, x0 or a score has another shape, or a particle
        is not finite any more (with its index and the step).

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, sample, schemes
    >>> target = Gaussian.isotropic(0.25, 2)
    >>> sample(Plan([Predict(schemes.heun, [3.0, 1.0, 0.1])]), target, 5, 2, rng=0).shape
    (5, 2)
    """
    if isinstance(plan, Sampler):
        return plan.sample(score, n, rng=rng)  # type: ignore[arg-type]
    if not isinstance(plan, Plan):
        raise ValueError(f"plan: expected a Plan or a Sampler, got {type(plan).__name__}")
    if dim is None and not hasattr(score, "dim"):
        raise ValueError("dim: expected the dimension of x, got None, and a score function does not tell it")
    n, dim = positive_integer("n", n), dimension(getattr(score, "dim", None) if dim is None else dim)
    if hasattr(score, "score"):
        plan.admit(score)
        score = score.score
    if not callable(score):
        raise ValueError(f"score: expected a function score(t, x) or a target, got {type(score).__name__}")
    memory = number("memory", memory, above=0)
    draw = ParticleDraw(_generator(rng))
    x = _start(n, dim, x0, draw, like)
    xp = array_namespace(x)
    _finite(xp, x, "x0", "is not finite at the start")
    ask = _checked(score, dim)
    steps = sum(len(stage) for stage in plan)
    done = 0
    with _bar(progress, steps) as advance:
        for stage in plan:
            mass = velocity_variance(stage.scheme)
            draw.next()
            state = (x,) if mass is None else (x, draw.on(x).normal(((mass,),))[0])
            size = _chunk(stage, x, memory)
            for t, h in zip(*map(np.ndarray.tolist, stage.grid), strict=True):
                draw.next()
                state = _step(stage.scheme, state, size, t, h, ask, draw)
                done += 1
                _finite(xp, state[0], "score", f"became NaN or infinite in step {done}, at noise level t = {t:g}")
                advance(done)
            x = state[0]
    return x


def _generator(rng: Any) -> np.random.Generator:
    """The generator that `rng` stands for."""
    try:
        return np.random.default_rng(rng)
    except TypeError as error:
        raise ValueError(
            f"rng: expected None, an integer or a numpy.random.Generator, got {type(rng).__name__} ({error}); the "
            "numbers are drawn by NumPy on the host, for every backend"
        ) from None


def _chunk(stage: Stage, x: Any, memory: float) -> int:
    """How many particles a step may take at once, from how many evaluations its widest round asks of each."""
    n, d = x.shape
    try:
        width = stage.footprint.width
    except ValueError:  # it runs on x's own arrays alone, not on the NumPy ones that it is counted with
        return int(n)
    itemsize = array_namespace(x).finfo(x.dtype).bits // 8
    return int(n) if width == 1 else int(min(n, max(1, memory // (_LIVE * width * d * itemsize))))


def _step(
    scheme: Scheme, state: tuple[Any, ...], size: int, t: float, h: float, ask: Score, draw: ParticleDraw
) -> tuple[Any, ...]:
    """One step of the state (x,) or (x, v), `size` particles at a time."""
    n = state[0].shape[0]
    parts = []
    for k in range(0, n, size):
        piece = state if size == n else tuple(z[k : min(n, k + size), ...] for z in state)
        out = scheme(piece if len(piece) > 1 else piece[0], t, h, ask, draw.on(piece[0]))
        parts.append(state_of(scheme, out, piece))
    if len(parts) == 1:
        return parts[0]
    return tuple(array_namespace(column[0]).concat(column, axis=0) for column in zip(*parts, strict=True))


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
    return outs


def _start(n: int, dim: int, x0: Any, draw: ParticleDraw, like: Any) -> Any:
    model: Any = x0 if like is None else like
    if x0 is not None and tuple(np.shape(x0)) != (n, dim):
        raise ValueError(f"x0: expected shape ({n}, {dim}), got {tuple(np.shape(x0))}")
    values = draw.on(np.empty((n, dim)))._normal(None) if x0 is None else x0
    native = isinstance(model, type) or not is_array_api_obj(model)
    if like is not None and native:
        raise ValueError(f"like: expected an array, got {like!r}")
    if native:
        return np.array(values, dtype=float)  # a copy: a step might change it in place
    xp: Any = array_namespace(model)
    if not xp.isdtype(model.dtype, "real floating"):
        raise ValueError(f"{'x0' if like is None else 'like'}: expected a real floating dtype, got {model.dtype}")
    return xp.asarray(values, dtype=model.dtype, device=device(model), copy=True)


def _checked(score: Score, dim: int) -> Score:
    def ask(t: Any, x: Any) -> Any:
        s = score(t, x)
        if tuple(getattr(s, "shape", ())) != tuple(x.shape) or s.dtype != x.dtype:
            raise ValueError(
                f"score: expected the shape and dtype of x, {tuple(x.shape)} {x.dtype}, got "
                f"{tuple(getattr(s, 'shape', ()))} {getattr(s, 'dtype', type(s).__name__)}"
            )
        return s

    return ask


def _finite(xp: Any, x: Any, name: str, what: str) -> None:
    if bool(xp.all(xp.isfinite(x))):
        return
    bad = xp.any(~xp.isfinite(x), axis=-1)
    particle = int(xp.argmax(xp.astype(bad, xp.int64)))
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
