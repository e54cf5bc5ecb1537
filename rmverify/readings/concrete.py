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
import pickle
import random
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from rmverify.readings.particles import ParticleDraw
from rmverify.schemes.contract import Scheme, unwrap, velocity_variance
from rmverify.targets.checks import Array

__all__ = ["BrokenContract", "Matrices", "Played", "Script", "Tape", "examine", "matrices", "play"]

ENDS = (0.0, 1.0, 1e-12, 1 - 1e-12)  # midpoints of the first rows of a tape; the others are random
_SAME = 1e-10  # relative to the largest number: rows alone and among others differ by the rounding of products
_CHECKS = 3  # rows of a basis's run on which it is checked
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

    def __init__(self, tape: Tape, draw: int, read: list[tuple[str, tuple[int, ...]]]) -> None:
        self._tape, self._draw, self._read = tape, draw, read

    def random(self, shape: Any) -> Array:
        self._read.append(("uniform", tuple(shape)))
        return self._tape.uniform(self._draw, shape)

    def standard_normal(self, shape: Any) -> Array:
        self._read.append(("normal", tuple(shape)))
        return self._tape.normal(self._draw, shape)


class Script(ParticleDraw):
    """The draws of particles, read from a tape; remembers what was asked, and the values that were handed out.

    `read` lists the streams in order, each with its kind, "uniform" or "normal", and the shape of what it gave;
    `alphas` has the midpoints, (n, 1) each or (R, n, 1), and `noises` the normal values, one array a component.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.read: list[tuple[str, tuple[int, ...]]] = []
        self.alphas: list[Array] = []
        self.noises: list[list[Array]] = []

    def _stream(self) -> Any:
        self._used += 1
        return _Stream(self._tape, self._used - 1, self.read)

    def uniform(self) -> Any:
        self.alphas.append(super().uniform())
        return self.alphas[-1]

    def strata(self, count: int) -> Any:
        lo, alphas = super().strata(count)
        self.alphas.append(alphas)
        return lo, alphas

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        self.noises.append(super().normal(covariance, count))
        return self.noises[-1]


class Played(NamedTuple):
    """What came out of a run: the state, one array (n, d) or two, and the script with what was drawn."""

    state: tuple[Array, ...]
    script: Script


def play(scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Any, tape: Tape) -> Played:
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
    return _played(scheme, tuple(z.copy() for z in state), t, h, score, tape)


def _played(scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Any, tape: Tape) -> Played:
    script = Script(tape).on(state[0])
    assert isinstance(script, Script)
    try:
        with np.errstate(all="ignore"):
            out = scheme(state if len(state) > 1 else state[0], t, h, score, script)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise BrokenContract(
            f"scheme: {name(scheme)} raised {type(error).__name__} ({_line(error)}) on an array of "
            f"{len(state[0])} particles; x has shape (n, d), a midpoint (n, 1), t and h are numbers: "
            "use the functions of rmverify.elementary, which take each of them"
        ) from error
    outs = tuple(out) if len(state) > 1 and isinstance(out, tuple | list) else (out,)
    shape, dtype = state[0].shape, state[0].dtype
    if len(outs) != len(state) or any(getattr(z, "shape", None) != shape or not hasattr(z, "dtype") for z in outs):
        due = "(x, v)" if len(state) > 1 else "x"
        got = [f"{type(z).__name__} of shape {z.shape}" if hasattr(z, "shape") else type(z).__name__ for z in outs]
        raise BrokenContract(
            f"scheme: {name(scheme)} must return its state {due} of shape {shape}, nothing else; got {', '.join(got)}"
        )
    for z in outs:
        if z.dtype != dtype:
            raise BrokenContract(
                f"scheme: {name(scheme)} got {dtype} and returned {z.dtype}; a step keeps the dtype of its state"
            )
    return Played(outs, script)


def name(scheme: Scheme) -> str:
    """What a scheme is called in messages."""
    step, _ = unwrap(scheme)
    return str(getattr(step, "__name__", step))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def close(a: Any, b: Any, within: float = _SAME) -> bool:
    """Equal up to `within` of the largest number of either, infinities and NaN in the same places."""
    a, b = np.asarray(a), np.asarray(b)
    if np.array_equal(a, b, equal_nan=True):
        return True
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    size = max(np.abs(a[finite]).max(initial=0.0), np.abs(b[finite]).max(initial=0.0))
    return bool((np.abs(a[finite] - b[finite]) <= within * size).all())


# --- what a step may not do -----------------------------------------------------------------------------------------


def examine(scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Any, tape: Tape) -> Played:
    """`play`, and the same again in ways that must make no difference.

    Raises
    ------
    BrokenContract
        Where they do: the message says what kind of thing the step does.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def noisy(x, t, h, score, draw):
    ...     return x + h * score(t, x) + h * rng.standard_normal(x.shape)
    >>> examine(noisy, (np.ones((6, 1)),), 1.0, 0.5, lambda t, x: -x, Tape(6))
    Traceback (most recent call last):
    rmverify.readings.concrete.BrokenContract: scheme: noisy draws random numbers of its own, from rng; use draw.normal and draw.uniform, so that its law can be known
    """  # noqa: E501
    before = _reach(scheme)
    copies = tuple(z.copy() for z in state)
    first = _played(scheme, copies, t, h, score, tape)
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(copies, state, strict=True)):
        raise BrokenContract(
            f"scheme: {name(scheme)} changes its state x in place (such as x += ...); make a new array (x = x + ...)"
        )
    changed = [what for what, pickled in _reach(scheme).items() if before.get(what, pickled) != pickled]
    other = Tape(tape.rows, tape.seed + 1)
    runs = [play(scheme, state, t, h, score, use) for use in (tape, other, tape)]
    if any(not _equal(first, run) for run in (runs[0], runs[2])):
        raise BrokenContract(_differs(scheme, changed))
    if any(run.script.read != first.script.read for run in runs):
        raise BrokenContract(_keeps(scheme, changed))
    _without_effect(scheme, state, t, h, score, tape, first, changed)
    rows = len(state[0])
    for k in sorted({0, rows // 2, rows - 1}):
        row = slice(k, k + 1)
        alone = play(scheme, tuple(z[row] for z in state), t, h, score, tape.only(row))
        if not all(close(a[row], b) for a, b in zip(first.state, alone.state, strict=True)):
            raise BrokenContract(
                f"scheme: {name(scheme)} gives a particle another result among others than alone: its particles share "
                "a midpoint, or look at each other; each must have its own"
            )
    return first


def _equal(a: Played, b: Played) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a.state, b.state, strict=True))


def _without_effect(
    scheme: Scheme, state: tuple[Array, ...], t: float, h: float, score: Any, tape: Tape, first: Played, changed: Any
) -> None:
    """A midpoint that was drawn, but makes no difference: an earlier call's is used in its place."""
    for k in [k for k, (kind, _) in enumerate(first.script.read) if kind == "uniform"]:

        def moved(draw: int, shape: Any, k: int = k) -> Array:
            values = Tape(tape.rows, tape.seed).uniform(draw, shape)
            return np.asarray((values + 0.375) % 1.0 if draw == k else values)

        if _equal(first, play(scheme, state, t, h, score, Tape(tape.rows, tape.seed, uniforms=moved))):
            raise BrokenContract(
                f"scheme: {name(scheme)} draws a midpoint that makes no difference to its result: it keeps one from an "
                f"earlier call{_in(changed)}, or does not use it; use each midpoint in the step that draws it"
            )


def _differs(scheme: Scheme, changed: list[str]) -> str:
    random_ones = [what for what in changed if _is_random(scheme, what)]
    if random_ones:
        return (
            f"scheme: {name(scheme)} draws random numbers of its own, from {', '.join(random_ones)}; use draw.normal "
            "and draw.uniform, so that its law can be known"
        )
    if changed:
        return _keeps(scheme, changed)
    return (
        f"scheme: {name(scheme)} gives another result when it is run again on the same state and draws: it draws "
        "random numbers of its own, or keeps state between calls"
    )


def _keeps(scheme: Scheme, changed: list[str]) -> str:
    return (
        f"scheme: {name(scheme)} keeps state between calls{_in(changed)}; a step may depend on its state, t, h, its "
        "scores and its draws only"
    )


def _in(changed: list[str]) -> str:
    return f", in {', '.join(changed)}" if changed else ""


def _named(function: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """What a function reaches by name and may change: its globals, cells, defaults and attributes."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType) or id(function) in seen:
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
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            yield from _named(value, seen)
        elif isinstance(value, type):
            yield n, {k: v for k, v in vars(value).items() if not k.startswith("__") and not callable(v)}
        elif not isinstance(value, ModuleType) and not callable(value):
            yield n, value
        elif hasattr(value, "__self__") and not isinstance(value.__self__, ModuleType):
            yield n, value.__self__  # the bound method of a generator
    if function.__dict__:
        yield f"{function.__name__}.__dict__", {k: v for k, v in function.__dict__.items() if not callable(v)}


def _reachable(scheme: Scheme) -> Iterator[tuple[str, Any]]:
    yield "numpy.random", np.random.get_state()  # noqa: NPY002 - a step may use it, and must not
    yield "random", random.getstate()
    yield from _named(unwrap(scheme)[0], set())


def _reach(scheme: Scheme) -> dict[str, bytes]:
    found = {}
    for what, value in _reachable(scheme):
        try:
            found[what] = pickle.dumps(value)
        except Exception:  # cannot be pickled: not looked at, runs that differ still show it
            continue
    return found


def _is_random(scheme: Scheme, what: str) -> bool:
    kinds = np.random.Generator | np.random.RandomState | np.random.BitGenerator | random.Random
    if what in ("numpy.random", "random"):
        return True
    return any(n == what and isinstance(value, kinds) for n, value in _reachable(scheme))


def examine_velocity(scheme: Scheme, state: tuple[Array, ...], t: float, score: Any, tape: Tape) -> None:
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
            f"scheme: the second part of the state of {name(scheme)} is not a velocity: in a step of no length it "
            "follows x instead of staying as it is; what is kept from earlier steps has no law N(0, mass) to start from"
        )


# --- what an affine step is -----------------------------------------------------------------------------------------


class Matrices(NamedTuple):
    """state' = linear state + shift + root z, z standard normal: in full coordinates, x first, then v.

    linear (s, s), shift (s,), root (s, number of normal values).
    """

    linear: Array
    shift: Array
    root: Array


def matrices(scheme: Scheme, dim: int, t: float, h: float, score: Any, alphas: Array | None = None) -> Matrices:
    """One step of an affine scheme in full coordinates, given its midpoints: run on the rows of a basis.

    Parameters
    ----------
    scheme : scheme on x or (x, v)
    dim : int
        d: s = d, or 2 d with a velocity.
    t, h : number
    score : callable
    alphas : array, shape (A,), optional
        The uniforms of the step, each in its stratum's own units: in [0, 1].

    Raises
    ------
    BrokenContract
        Where the step is not affine in its state and its normal values.

    Examples
    --------
    >>> from rmverify.schemes import overdamped
    >>> step = matrices(overdamped, 2, 0.0, 0.5, lambda t, x: -x)
    >>> step.linear.tolist(), step.root.tolist()
    ([[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 1.0]])
    """
    parts = 1 if velocity_variance(scheme) is None else 2
    s = parts * dim
    given = np.zeros(0) if alphas is None else np.asarray(alphas, dtype=float)
    probe = play(scheme, (np.zeros((1, dim)),) * parts, t, h, score, _basis_tape(1, given, {}))
    size = 2.0 ** np.ceil(np.log2(max(1.0, *(float(np.abs(z).max()) for z in probe.state))))
    drawn = {k: shape[1:] for k, (kind, shape) in enumerate(probe.script.read) if kind == "normal"}
    count = sum(int(np.prod(shape)) for shape in drawn.values())
    inputs = np.zeros((1 + s + count + _CHECKS, s + count))  # the state and the normal values of every row
    inputs[1 : 1 + s + count] = size * np.eye(s + count)
    inputs[-_CHECKS:] = size * np.random.default_rng(0).standard_normal((_CHECKS, s + count))
    normals, first = {}, s
    for k, shape in drawn.items():
        width = int(np.prod(shape))
        normals[k] = inputs[:, first : first + width].reshape(-1, *shape)
        first += width
    state = tuple(inputs[:, k * dim : (k + 1) * dim] for k in range(parts))
    image = np.concatenate(play(scheme, state, t, h, score, _basis_tape(len(inputs), given, normals)).state, axis=1)
    if not np.isfinite(image).all():
        raise OverflowError(f"the law overflows in a step at level {t:g}: the scheme is unstable")
    whole = (image[1:-_CHECKS] - image[0]).T / size
    due = image[0] + inputs[-_CHECKS:] @ whole.T
    if np.abs(due - image[-_CHECKS:]).max() > _SAME * max(np.abs(image).max(), np.abs(due).max()):
        raise BrokenContract(
            f"scheme: {name(scheme)} is not affine in its state and its normal values (a product of states, a branch "
            "on a value, a cast): its law is not Gaussian; draw from it with rmverify.sample"
        )
    return Matrices(whole[:, :s], image[0], whole[:, s:])


def _basis_tape(rows: int, alphas: Array, normals: dict[int, Array]) -> Tape:
    left = iter(alphas)

    def uniforms(k: int, shape: Any) -> Array:
        values = np.array([next(left) for _ in range(int(np.prod(shape[1:])))])
        return np.broadcast_to(values.reshape(1, *shape[1:]), shape)

    return Tape(rows, uniforms=uniforms, normals=lambda k, shape: normals.get(k, np.zeros(shape)))
