r"""The concrete reading: a step run on a few rows of plain numbers, with random numbers that can be played again.

Every other reading says what a step does to particles; this one does it, on NumPy arrays, as `rmverify.sample` would.
So it is what the others are held against: the same states, midpoints and normal values go to both. Played twice, one
row at a time, or after other numbers, it also shows what no reading can see in a step: random numbers of its own, state
that is kept between calls, a state that is changed in place, particles that do not keep to themselves.

A step that is affine in its state and normal values but mixes coordinates (a preconditioner, a matrix) has no form per
mode; run on the rows of a basis it tells its matrices (`matrices`).
"""

from __future__ import annotations

import inspect
import math
import pickle
import random
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.readings.particles import ParticleDraw, state_of
from rmverify.schemes.contract import NoCovariance, Scheme, Score, Unstable, name, unwrap, velocity_variance

__all__ = ["BrokenContract", "Matrices", "Played", "Reach", "Script", "Tape", "examine", "matrices", "play", "steady"]

ENDS = (0.0, 1.0, 1e-12, 1 - 1e-12)  # midpoints of the first rows of a tape; the others are random
_SAME = 1e-10  # of its terms: how far from affine rounding may be
MIXED = 1e-13  # of the largest coordinate: what products of coordinates and matrices round
_CHECKS = 64  # rows on which it is seen whether a step is affine
_CONTRACT = "rmverify.schemes.contract"
_BELOW_ONE = 1 - 2.0**-53  # a duration is finite, though the uniform value that it is made of is 1
_SHORT = 1e-9  # a step after which a velocity is still what it was


class BrokenContract(ValueError):
    """A step that is not a function of its state, t, h, its scores and its draws, one particle at a time."""


class Tape:
    """Random numbers that can be played again: draw k of row i is the same whenever it is asked for.

    Parameters
    ----------
    rows : int
        Particles. The first four have their uniforms at 0, 1, 1e-12 and 1 - 1e-12.
    seed : int
    uniforms, normals : callable, optional
        ``uniforms(k, shape)`` and ``normals(k, shape)`` for draw k, particles along the first axis, instead.
    """

    def __init__(
        self,
        rows: int,
        seed: int = 0,
        *,
        uniforms: Callable[[int, Any], Any] | None = None,
        normals: Callable[[int, Any], Any] | None = None,
    ) -> None:
        self.rows, self.seed = rows, seed
        self._uniforms, self._normals = uniforms, normals
        self._only: Any = slice(None)

    def only(self, rows: Any) -> Tape:
        """The same numbers for some of the rows."""
        tape = Tape(self.rows, self.seed, uniforms=self._uniforms, normals=self._normals)
        tape._only = rows
        return tape

    def uniform(self, draw: int, shape: Any) -> Array:
        """The uniforms of draw number `draw` of a step: one row a particle, and the rest of the shape."""
        whole = (self.rows, *shape[1:])
        if self._uniforms is not None:
            return np.asarray(self._uniforms(draw, whole)[self._only])
        values = np.random.default_rng([self.seed, draw, 0]).random(whole)
        values[: len(ENDS)] = np.reshape(ENDS, (-1, *(1,) * (len(whole) - 1)))[: len(values)]
        return np.asarray(values[self._only])

    def normal(self, draw: int, shape: Any) -> Array:
        """The standard normal values, in the same way."""
        whole = (self.rows, *shape[1:])
        if self._normals is not None:
            return np.asarray(self._normals(draw, whole)[self._only])
        return np.asarray(np.random.default_rng([self.seed, draw, 1]).standard_normal(whole)[self._only])


class _Stream:
    """One draw's numbers, by the names that `numpy.random.Generator` gives them; it notes what is read."""

    def __init__(self, script: Script, draw: int) -> None:
        self._script, self._draw = script, draw

    def random(self, shape: Any) -> Array:
        self._script.uniforms[self._draw] = tuple(shape)
        return self._script._tape.uniform(self._draw, shape)

    def standard_exponential(self, shape: Any) -> Array:
        return np.asarray(-np.log1p(-_BELOW_ONE * self.random(shape)))

    def standard_normal(self, shape: Any) -> Array:
        self._script.normals[self._draw] = tuple(shape)
        return self._script._tape.normal(self._draw, shape).copy()  # those that are asked for are scaled in place


class Script(ParticleDraw):
    """The draws of particles, read from a tape; remembers what was asked, and the values that were handed out.

    `uniforms` and `normals` have the shapes of what was read of the tape, by the number of the draw, and `midpoints`
    the numbers of those that are midpoints; `alphas` these, the choices and the durations in their order, (n, 1) each
    or (R, n, 1), and `noises` the normal values, one array a component, with the `covariances` that were asked for.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.uniforms: dict[int, tuple[int, ...]] = {}
        self.normals: dict[int, tuple[int, ...]] = {}
        self.midpoints: list[int] = []
        self.alphas: list[Array] = []
        self.noises: list[list[Array]] = []
        self.covariances: list[Any] = []

    def _stream(self) -> Any:
        self._used += 1
        return _Stream(self, self._used - 1)

    def _kept(self, values: Any) -> Any:
        self.alphas.append(values.copy())  # the step may change its own in place
        return values

    def uniform(self) -> Any:
        self.midpoints.append(self._used)
        return self._kept(super().uniform())

    def bernoulli(self, p: Any) -> Any:
        return self._kept(super().bernoulli(p))

    def exponential(self) -> Any:
        return self._kept(super().exponential())

    def strata(self, count: int) -> Any:
        self.midpoints.append(self._used)
        lo, alphas = super().strata(count)
        return lo, self._kept(alphas)

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        self.covariances.append(covariance)
        values = super().normal(covariance, count)
        self.noises.append([np.array(each) for each in values])
        return values


class Played(NamedTuple):
    """What came out of a run: the state, one array (n, d) or two, and the script with what was drawn."""

    state: tuple[Array, ...]
    script: Script


def play(scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Score, tape: Tape) -> Played:
    """Run one step on the rows of `state`, copies of which it may do with as it likes.

    Raises
    ------
    BrokenContract
        Where the step raises an error on arrays, or returns something that is no state of the shape and dtype it got.

    Examples
    --------
    >>> from rmverify.schemes import exponential_integrator
    >>> play(exponential_integrator, (np.ones((2, 1)),), 1.0, 0.5, lambda t, x: -x, Tape(2)).state[0].tolist()
    [[1.0], [1.0]]
    """
    return _played(scheme, tuple(z.copy() for z in state), t, h, score, Script(tape))


def _played(scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Score, script: Script) -> Played:
    try:
        with np.errstate(all="ignore"):
            out = scheme(state if len(state) > 1 else state[0], t, h, score, script.on(state[0]))
    except (MemoryError, RecursionError):
        raise
    except NoCovariance as error:
        raise BrokenContract(f"scheme: {name(scheme)} asks for impossible noise; {error}") from None
    except Exception as error:
        advice = ": use the functions of rmverify.elementary, which take each of them"
        raise BrokenContract(
            f"scheme: {name(scheme)} raised {type(error).__name__} ({one_line(error)}) on an array of "
            f"{len(state[0])} particles at t = {t:g}; x has shape (n, d), a midpoint (n, 1), t and h are numbers"
            f"{advice if isinstance(error, TypeError) else ''}"
        ) from error
    try:
        return Played(state_of(scheme, out, state), script)
    except ValueError as error:
        raise BrokenContract(str(error)) from None


def one_line(error: BaseException) -> str:
    """What an error says, in one line that is not too long."""
    return " ".join(str(error).split())[:200]


def close(a: Any, b: Any, scale: Any = 0.0, mixed: float = MIXED) -> bool:
    """Whether rows are equal but for rounding: 1e-9 of how far a column's rows are apart, 1e-12 of its largest number
    or `scale`, and `mixed` of the largest number of all; infinities and NaN in the same places."""
    a, b = np.asarray(a), np.asarray(b)
    if np.array_equal(a, b, equal_nan=True):
        return True
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    a, b = np.where(finite, a, 0), np.where(finite, b, 0)
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), scale).max(axis=0)
    return bool((np.abs(a - b) <= 1e-9 * np.ptp(a, axis=0) + 1e-12 * size + mixed * size.max(initial=0.0)).all())


# --- what a step may not do -----------------------------------------------------------------------------------------


def examine(
    scheme: Scheme,
    state: tuple[Array, ...],
    t: float,
    h: float,
    score: Score,
    tape: Tape,
    *,
    before: tuple[float, float] | None = None,
) -> Played:
    """`play`, and the same again in ways that must make no difference; also after another step, from level and of length
    `before`, with one result and with another.

    Raises
    ------
    BrokenContract
        Where they do, or where something that the step can reach by name changes: the message says what kind of thing
        the step does.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def noisy(x, t, h, score, draw):
    ...     return x + h * score(t, x) + h * rng.standard_normal(x.shape)
    >>> examine(noisy, (np.ones((6, 1)),), 1.0, 0.5, lambda t, x: -x, Tape(6))
    Traceback (most recent call last):
    rmverify.readings.concrete.BrokenContract: scheme: noisy draws random numbers of its own, from rng; use draw.normal
    and draw.uniform instead
    """  # noqa: E501
    reach = Reach(scheme)
    first = steady(scheme, state, t, h, score, tape, reach)
    other = Tape(tape.rows, tape.seed + 1)
    sequence = [(t, h, other), (t, h, tape)]
    if before is not None:
        sequence += [(*before, tape), (t, h, tape), (*before, other), (t, h, tape)]
    for level, length, use in sequence:
        run = play(scheme, state, level, length, score, use)
        if (level, length) == (t, h) and (_asked(run) != _asked(first) or (use is tape and not _equal(first, run))):
            raise BrokenContract(_differs(scheme, reach.changed()))
    reach.refuse()
    _without_effect(scheme, state, t, h, score, tape, first)
    some = sorted({0, len(state[0]) // 2, len(state[0]) - 1})
    alone = [
        play(scheme, tuple(z[k : k + 1] for z in state), t, h, score, tape.only(slice(k, k + 1))).state for k in some
    ]
    for z, single in zip(first.state, zip(*alone, strict=True), strict=True):
        if not close(z[some], np.concatenate(single)):
            raise BrokenContract(
                f"scheme: {name(scheme)} gives a particle another result among others than alone: the particles share "
                "a midpoint, or the step depends on how many they are; move each by itself, with its own draws"
            )
    return first


def steady(
    scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Score, tape: Tape, reach: Reach | None = None
) -> Played:
    """`play` twice, for what shows at once: a state that is changed in place, or two results.

    Raises
    ------
    BrokenContract
        Where it shows.
    """
    copies = tuple(z.copy() for z in state)
    first = _played(scheme, copies, t, h, score, Script(tape))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(copies, state, strict=True)):
        raise BrokenContract(
            f"scheme: {name(scheme)} changes its state x in place (such as x += ...); make a new array (x = x + ...)"
        )
    again = play(scheme, state, t, h, score, tape)
    if not _equal(first, again) or _asked(first) != _asked(again):
        raise BrokenContract(_differs(scheme, reach.changed() if reach is not None else []))
    return first


def _asked(run: Played) -> tuple[Any, Any]:
    return run.script.uniforms, run.script.normals


def _equal(a: Played, b: Played) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a.state, b.state, strict=True))


def _without_effect(
    scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Score, tape: Tape, first: Played
) -> None:
    """A midpoint that was drawn, but makes no difference, in a step that holds an earlier one."""
    places = [what for what, value in _named(unwrap(scheme)[0], set()) if _holds_midpoint(value)]
    for k in first.script.midpoints if places else ():

        def moved(draw: int, shape: Any, k: int = k) -> Array:
            values = Tape(tape.rows, tape.seed).uniform(draw, shape)
            return np.asarray((values + 0.375) % 1.0 if draw == k else values)

        if _equal(first, play(scheme, state, t, h, score, Tape(tape.rows, tape.seed, uniforms=moved))):
            raise BrokenContract(
                f"scheme: {name(scheme)} ignores a midpoint that it draws and uses one kept from an earlier call, in "
                f"{', '.join(places)}; use each midpoint in the step that draws it"
            )


def _holds_midpoint(value: Any, depth: int = 3) -> bool:
    """Whether there is an array of one number a particle in it."""
    if isinstance(value, np.ndarray):
        return bool(value.ndim > 1 and value.shape[-1] == 1)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return depth > 0 and any(_holds_midpoint(each, depth - 1) for each in inside)


def _differs(scheme: Scheme, changed: list[str]) -> str:
    random_ones = [what for what in changed if _is_random(scheme, what)]
    if random_ones:
        return (
            f"scheme: {name(scheme)} draws random numbers of its own, from {', '.join(random_ones)}; use draw.normal "
            "and draw.uniform instead"
        )
    if changed:
        return _keeps(scheme, changed)
    return (
        f"scheme: {name(scheme)} gives another result when it is run again on the same state and draws: it draws "
        "random numbers of its own, or keeps state between calls"
    )


def _keeps(scheme: Scheme, changed: list[str]) -> str:
    return (
        f"scheme: {name(scheme)} keeps state between calls, in {', '.join(changed)}; a step may depend on its state, "
        "t, h, its scores and its draws only (functools.cache is allowed, counters and other stores are not)"
    )


class Reach:
    """What a step can reach by name, as it is now, to be compared with what it is later."""

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        running = [what for what, value in _reachable(scheme) if hasattr(value, "__next__")]
        if running:
            raise BrokenContract(_keeps(scheme, running))
        self._before = self._pickled()

    def _pickled(self) -> dict[str, bytes]:
        found = {}
        for what, value in _reachable(self._scheme):
            try:
                found[what] = pickle.dumps(value)
            except Exception:  # cannot be pickled: not looked at, runs that differ still show it
                continue
        return found

    def changed(self) -> list[str]:
        """The names whose values are others."""
        return [what for what, pickled in self._pickled().items() if self._before.get(what, pickled) != pickled]

    def refuse(self) -> None:
        """Raise BrokenContract where there are any."""
        changed = self.changed()
        if changed:
            raise BrokenContract(_differs(self._scheme, changed))


def _named(function: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """What a function reaches by name and may change: its globals, cells, defaults and attributes."""
    while hasattr(function, "__wrapped__"):
        if isinstance(function, FunctionType):
            yield from _own(function, seen)
        function = function.__wrapped__
    if isinstance(function, FunctionType):
        yield from _own(function, seen)
    else:
        yield type(function).__name__, getattr(function, "__dict__", None)


def _own(function: FunctionType, seen: set[int]) -> Iterator[tuple[str, Any]]:
    home = function.__globals__  # __module__ may be copied from another function
    if id(function) in seen or home.get("__name__") == _CONTRACT:  # the wrapper that binds parameters
        return
    seen.add(id(function))
    names = [(n, function.__globals__[n]) for n in function.__code__.co_names if n in function.__globals__]
    for n, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            names.append((n, cell.cell_contents))
        except ValueError:  # not set yet
            continue
    names += list((function.__kwdefaults__ or {}).items())
    names += [(f"{function.__name__}'s defaults", value) for value in function.__defaults__ or ()]
    for n, value in names:
        inner = inspect.unwrap(value) if hasattr(value, "__wrapped__") else value
        if isinstance(inner, FunctionType) and inner.__globals__ is home:
            yield from _named(value, seen)
        elif isinstance(value, type):
            yield n, {k: v for k, v in vars(value).items() if not k.startswith("__") and not callable(v)}
        elif not isinstance(value, ModuleType) and not callable(value):
            yield n, value
        elif hasattr(value, "__self__") and not isinstance(value.__self__, ModuleType):
            yield n, value.__self__  # the bound method of a generator
    if function.__dict__:
        kept = {k: v for k, v in function.__dict__.items() if not callable(v)}
        yield f"{function.__name__}.__dict__", kept


def _reachable(scheme: Scheme) -> Iterator[tuple[str, Any]]:
    yield "numpy.random", np.random.get_state()  # noqa: NPY002 - a step may use it, and must not
    yield "random", random.getstate()
    yield from _named(unwrap(scheme)[0], set())


def _is_random(scheme: Scheme, what: str) -> bool:
    kinds = np.random.Generator | np.random.RandomState | np.random.BitGenerator | random.Random
    if what in ("numpy.random", "random"):
        return True
    return any(n == what and isinstance(value, kinds) for n, value in _reachable(scheme))


def examine_velocity(scheme: Scheme, state: tuple[Array, ...], t: float, score: Score, tape: Tape) -> None:
    """Refuse a second component that is no velocity: it must be left as it is by a step of no length, whatever x is.

    Raises
    ------
    BrokenContract
        Where it follows x instead (the slope of an earlier step, a history).
    """
    if len(state) == 1:
        return
    x, v = state
    mass = float(velocity_variance(scheme) or 1.0)
    h = _SHORT * min(1.0, 1 / mass)
    here, there = (play(scheme, (z, v), t, h, score, tape).state[1] for z in (x, x[::-1] + 1.0))
    if np.abs(here - there).max() > 1e-4 * np.sqrt(mass):
        raise BrokenContract(
            f"scheme: the second part of the state of {name(scheme)} is not a velocity: in a step of almost no length "
            "it follows x instead of staying as it is; a step may keep a velocity of law N(0, mass) beside x, no more"
        )


# --- what an affine step is -----------------------------------------------------------------------------------------


class Matrices(NamedTuple):
    """state' = linear state + shift + root z, z standard normal: in full coordinates, x first, then v.

    linear (s, s), shift (s,), root (s, number of normal values).
    """

    linear: Array
    shift: Array
    root: Array


def matrices(
    scheme: Scheme,
    near: tuple[Array, ...],
    t: float,
    h: float,
    score: Score,
    alphas: Array | None = None,
    checks: int = _CHECKS,
) -> Matrices:
    """One step of an affine scheme in full coordinates, given its midpoints: run on the rows of a basis.

    Parameters
    ----------
    scheme : scheme on x or (x, v)
    near : arrays, shape (n, d)
        States (x, or x and v) of the size that the step is used at: what is read is checked around them.
    t, h : number
    score : callable
    alphas : array, shape (A,), optional
        The midpoints of the step, in the order in which it draws them.
    checks : int
        Rows on which it is seen whether the step is affine: combinations of those of `near` and of normal values, as
        they are and from 1e-6 to 1e6 times as large.

    Raises
    ------
    BrokenContract
        Where the step is not affine in its state and its normal values.

    Examples
    --------
    >>> from rmverify.schemes import overdamped
    >>> step = matrices(overdamped, (np.ones((2, 2)),), 0.0, 0.5, lambda t, x: -x)
    >>> step.linear.tolist(), step.root.tolist()
    ([[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 1.0]])
    """
    parts, dim = len(near), near[0].shape[1]
    s = parts * dim
    given = np.zeros(0) if alphas is None else np.asarray(alphas, dtype=float)
    probe = _played(scheme, tuple(np.zeros((parts, 1, dim))), t, h, score, _Basis(1, given, {}))
    known = np.concatenate(near, axis=1)
    largest = max(float(np.abs(known).max()), *(float(np.abs(z).max()) for z in probe.state))
    size = 2.0 ** np.ceil(np.log2(largest)) if 0 < largest < np.inf else 1.0
    drawn = {k: shape[1:] for k, shape in probe.script.normals.items()}
    widths = [math.prod(shape) for shape in drawn.values()]
    count = sum(widths)
    inputs = np.zeros((1 + s + count + checks, s + count))  # the state and the normal values of every row
    inputs[1 : 1 + s + count] = size * np.eye(s + count)
    rng = np.random.default_rng(0)
    far = np.where(np.arange(checks) % 4 == 3, 10.0 ** rng.uniform(-6, 6, checks), 1.0)[:, None]
    center, spread = known.mean(axis=0), known.std(axis=0)
    inputs[-checks:, :s] = far * (center + spread * rng.standard_normal((checks, s)))
    inputs[-checks:, s:] = far * rng.standard_normal((checks, count))
    columns = np.split(inputs[:, s:], np.cumsum(widths, dtype=int)[:-1], axis=1)
    normals = {k: part.reshape(-1, *drawn[k]) for k, part in zip(drawn, columns, strict=False)}
    state = tuple(inputs[:, k * dim : (k + 1) * dim].copy() for k in range(parts))
    image = np.concatenate(_played(scheme, state, t, h, score, _Basis(len(inputs), given, normals)).state, axis=1)
    if not np.isfinite(image).all():
        raise Unstable(f"the law overflows in a step at level {t:g}")
    whole = (image[1:-checks] - image[0]).T / size
    terms = np.abs(inputs[-checks:]) @ np.abs(whole).T + np.abs(image[0])
    off = np.abs(image[0] + inputs[-checks:] @ whole.T - image[-checks:])
    if (off > _SAME * terms + MIXED * terms.max(axis=1, keepdims=True)).any():
        raise BrokenContract(
            f"scheme: the step {name(scheme)} is not affine in its state and its normal values (a function of them, a "
            "cast or a branch on a value), so its law cannot be computed exactly; draw from it with rmverify.sample"
        )
    return Matrices(whole[:, :s], image[0], whole[:, s:])


class _Basis(Script):
    """Hands out given midpoints, the same to every row, and rows of a basis as standard normal values."""

    def __init__(self, rows: int, alphas: Array, normals: dict[int, Array]) -> None:
        super().__init__(Tape(rows, normals=lambda k, shape: normals.get(k, np.zeros(shape))))
        self._left = iter(alphas.tolist())

    def _take(self, count: int) -> Array:
        self._used += count
        values = np.array([next(self._left, np.nan) for _ in range(count)])
        return np.repeat(values[:, None, None], self._x.shape[0], axis=1)

    def uniform(self) -> Any:
        return self._take(1)[0]

    def bernoulli(self, p: Any) -> Any:
        return self.uniform()

    exponential = uniform

    def strata(self, count: int) -> Any:
        return np.arange(count).reshape(count, 1, 1) / count, self._take(count)
