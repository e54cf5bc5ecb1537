r"""The particles reading: a scheme run on arrays of random draws, in any namespace of the array API.

Each particle has its own midpoints: `uniform` is of shape (n, 1), `strata` of shape (R, n, 1), shared by all
coordinates of the particle and independent across particles and steps. Random numbers are drawn by NumPy on the
host, in float64, and moved to the dtype and device of x: the same seed gives the same run on every backend.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from rmverify.elementary import sqrt
from rmverify.plans import Plan
from rmverify.schemes.contract import velocity_variance
from rmverify.targets.checks import number

__all__ = ["sample"]


class ParticleDraw:
    """Random numbers shaped for particles x of shape (n, d)."""

    def __init__(self, x: Any, rng: np.random.Generator) -> None:
        self._x, self._rng = x, rng
        self._xp = array_namespace(x)

    def _lift(self, values: Any) -> Any:
        return self._xp.asarray(values, dtype=self._x.dtype, device=device(self._x))

    def uniform(self) -> Any:
        return self._lift(self._rng.random((self._x.shape[0], 1)))

    def strata(self, count: int) -> Any:
        lo = np.arange(count).reshape(count, 1, 1) / count
        return self._lift(lo), self._lift(lo + self._rng.random((count, self._x.shape[0], 1)) / count)

    def cells(self, count: int) -> Any:
        return self._lift(np.arange(count).reshape(count, 1, 1))

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        shape = tuple(self._x.shape) if count is None else (count, *self._x.shape)
        first, *rest = [self._lift(self._rng.standard_normal(shape)) for _ in covariance]
        if not rest:
            return [self._root(covariance[0][0]) * first]
        # Cholesky with the first entry as the pivot; where the pivot is 0 (an empty interval) so is all the rest
        (a, b), (_, c) = covariance
        slope = self._ratio(b, a)
        return [self._root(a) * first, self._root(a) * slope * first + self._root(c - b * slope) * rest[0]]

    def _root(self, variance: Any) -> Any:
        if is_array_api_obj(variance):
            return sqrt(self._xp.where(variance > 0, variance, self._xp.zeros_like(variance)))
        return math.sqrt(max(variance, 0.0))

    def _ratio(self, numerator: Any, pivot: Any) -> Any:
        if is_array_api_obj(pivot):
            return self._xp.where(pivot > 0, numerator / self._xp.where(pivot > 0, pivot, self._xp.ones_like(pivot)), 0)
        return numerator / pivot if pivot > 0 else 0.0


def sample(
    plan: Plan,
    score: Any,
    n: int,
    dim: int,
    *,
    x0: Any = None,
    rng: Any = None,
    like: Any = None,
    progress: Any = False,
) -> Any:
    """Run a plan on n particles.

    Parameters
    ----------
    plan : Plan
    score : callable or target
        ``score(t, x)`` for x of shape (n, dim), or (R, n, dim) with t broadcasting where a round asks R strata at
        once; returns x's shape, dtype and device. A target or `EstimatedScore` stands for its own score.
    n, dim : int
    x0 : array, shape (n, dim), optional
        The start, at noise level ``plan.start``; N(0, I) by default.
    rng : None, int or numpy.random.Generator
        As for `numpy.random.default_rng`.
    like : array, optional
        An array of the wanted namespace, dtype and device; NumPy float64 by default, or as `x0`.
    progress : bool or callable
        True for a progress bar on stderr; a callable is called after each step with the number of steps done.

    Returns
    -------
    array, shape (n, dim)

    Raises
    ------
    ValueError
        Where n or dim is not a positive integer, x0 or a score has another shape, or a particle is not finite any
        more (with its index and the step).

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, sample, schemes
    >>> target = Gaussian.isotropic(0.25, 2)
    >>> sample(Plan([Predict(schemes.heun, [3.0, 1.0, 0.1])]), target, 5, 2, rng=0).shape
    (5, 2)
    """
    if not isinstance(plan, Plan):
        raise ValueError(f"plan: expected a Plan, got {type(plan).__name__}")
    n, dim = _count("n", n), _count("dim", dim)
    if not callable(getattr(score, "score", score)):
        raise ValueError(f"score: expected a function score(t, x) or a target, got {type(score).__name__}")
    rng = np.random.default_rng(rng)
    x = _start(n, dim, x0, rng, like)
    xp = array_namespace(x)
    ask = _checked(getattr(score, "score", score), dim)
    steps = sum(len(stage) for stage in plan)
    done = 0
    with _bar(progress, steps) as advance:
        for stage in plan:
            mass = velocity_variance(stage.scheme)
            draw = ParticleDraw(x, rng)
            state = x if mass is None else (x, draw.normal(((mass,),))[0])
            for t, h in zip(*map(np.ndarray.tolist, stage.steps_), strict=True):
                state = stage.scheme(state, t, h, ask, draw)
                done += 1
                _finite(xp, state if mass is None else state[0], done, t)
                advance(done)
            x = state if mass is None else state[0]
    return x


def _start(n: int, dim: int, x0: Any, rng: np.random.Generator, like: Any) -> Any:
    model: Any = x0 if like is None else like
    if x0 is not None and tuple(np.shape(x0)) != (n, dim):
        raise ValueError(f"x0: expected shape ({n}, {dim}), got {tuple(np.shape(x0))}")
    values = rng.standard_normal((n, dim)) if x0 is None else x0
    native = isinstance(model, type) or not is_array_api_obj(model)
    if like is not None and native:
        raise ValueError(f"like: expected an array, got {like!r}")
    if native:
        return np.asarray(values, dtype=float)
    xp: Any = array_namespace(model)
    if not xp.isdtype(model.dtype, "real floating"):
        raise ValueError(f"{'x0' if like is None else 'like'}: expected a real floating dtype, got {model.dtype}")
    return xp.asarray(values, dtype=model.dtype, device=device(model))


def _checked(score: Any, dim: int) -> Any:
    def ask(t: Any, x: Any) -> Any:
        s = score(t, x)
        if tuple(getattr(s, "shape", ())) != tuple(x.shape) or s.dtype != x.dtype:
            raise ValueError(
                f"score: expected the shape and dtype of x, {tuple(x.shape)} {x.dtype}, got "
                f"{tuple(getattr(s, 'shape', ()))} {getattr(s, 'dtype', type(s).__name__)}"
            )
        return s

    return ask


def _finite(xp: Any, x: Any, step: int, t: float) -> None:
    if bool(xp.all(xp.isfinite(x))):
        return
    bad = xp.any(~xp.isfinite(x), axis=-1)
    particle = int(xp.argmax(xp.astype(bad, xp.int64)))
    raise ValueError(f"score: particle {particle} is not finite any more after step {step} (noise level {t:g})")


def _count(name: str, value: Any) -> int:
    count = number(name, value, least=1)
    if count != math.floor(count):
        raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
    return int(count)


class _bar:
    """A progress bar on stderr, a user's callable, or nothing."""

    def __init__(self, progress: Any, steps: int) -> None:
        self._progress, self._steps = progress, steps
        self._shown: Any = None

    def __enter__(self) -> Any:
        if callable(self._progress):
            return self._progress
        if not self._progress:
            return lambda done: None
        from rich.console import Console
        from rich.progress import Progress

        self._shown = Progress(console=Console(stderr=True))
        self._shown.start()
        task = self._shown.add_task("sampling", total=self._steps)
        return lambda done: self._shown.update(task, completed=done)

    def __exit__(self, *error: Any) -> None:
        if self._shown is not None:
            self._shown.stop()
