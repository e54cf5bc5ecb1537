r"""One affine map, read off by running it: the rows of the batch are a basis of its sources.

A source is an input that a law is made of: the start, or a normal draw. Where the code treats every coordinate by
itself, all modes of the target are read at once, one column each, and the rows are

    0            the constant
    source j     1 in every column, 0 in all other sources

so that row j minus row 0 are the coefficients of source j. Whether that is the whole truth is seen on rows of random
combinations, some as large as draws are and some a thousand times larger, *with the modes in other columns*: they must
come out as the coefficients say. That refutes clipping and every other bend, rows or columns that influence each other,
and coefficients that belong to a column and not to its mode. Code that does mix columns is read in coordinates, with
one row for each coordinate of each source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from rmverify.elementary import like as like_array
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.samplers.arrays import compiling, from_host, host, is_array, named, precision_of
from rmverify.samplers.models import Model
from rmverify.samplers.noise import Foreign, Noise, intercepted
from rmverify.targets import Gaussian

__all__ = ["Affine", "Frame", "NotAffine", "NotFinite", "NotPerMode", "Unreadable", "read"]

_AMPLITUDES = (1.0, 1.0, 3.0, 3.0, 1e3, 1e3)  # of the rows of random combinations
_COLUMNS = 4  # at least, so that a mode can change its place
_MEMORY = 2**26  # bytes in one array of a run
_STRAIGHT = 64.0  # roundings of each operation, of its terms
MOST_COORDINATES = 512


class Unreadable(ValueError):
    """Code whose law cannot be read: it breaks the rules of `Sampler` or `Kernel`, and the message says which."""


class NotAffine(Unreadable):
    """Code that is not affine in its start and draws."""


class NotPerMode(NotAffine):
    """Code that is not affine mode by mode; it may be, in coordinates."""


class NotFinite(Unreadable):
    """Code that handed NaN or infinity to its model or returned it. `call` is the number of the model call, or None."""

    def __init__(self, message: str, call: int | None = None) -> None:
        super().__init__(message)
        self.call = call


@dataclass(frozen=True)
class Frame:
    """How columns and modes belong together.

    `modes` are how many; with a `basis` (d, d), or `full`, columns are coordinates, else column c is mode c % modes.
    `trail` is the template of what x's shape has after the rows, -1 for the columns; with `single` the code sees one
    row at a time, without an axis of rows.
    """

    modes: int
    basis: Array | None = None
    full: bool = False
    trail: tuple[int, ...] = (-1,)
    single: bool = False

    @classmethod
    def of(cls, truth: Gaussian, full: bool, trail: Sequence[int] = (-1,), single: bool = False) -> Frame:
        """The frame of a target, in coordinates where `full`."""
        if full and truth.dim > MOST_COORDINATES:
            most = f"up to dimension {MOST_COORDINATES}, the target has {truth.dim}"
            raise ValueError(f"coordinates: code is read in coordinates {most}")
        size = truth.dim if full else truth.variances.size
        return cls(size, truth.basis if full else None, full, tuple(trail), single)

    def spread(self, model: Model, truth: Gaussian) -> Model:
        """A model of modes, one value for each coordinate where columns are coordinates of blocks."""
        if not self.full or truth.variances.size == truth.dim:
            return model
        counts = truth.multiplicities.astype(int)

        def wide(t: Any) -> tuple[Array, Array]:
            gain, shift = model(t)
            return np.repeat(gain, counts, axis=-1), np.repeat(shift, counts, axis=-1)

        return wide

    def start(self, law: Any, truth: Gaussian) -> tuple[Array, Array]:
        """Means and variances of a start in the target's modes; its mean and covariance where columns are coordinates.

        Raises
        ------
        ValueError
            Where it is none.
        """
        if not isinstance(law, Gaussian) or law.dim != truth.dim:
            raise ValueError(f"start: expected 'normal', 'exact' or a Gaussian of dimension {truth.dim}, got {law!r}")
        if self.full:
            return law.mean, law.covariance
        if law.variances.size != self.modes or law.basis is not truth.basis:
            raise ValueError(f"start: expected a Gaussian in the target's modes (made by its with_modes), got {law!r}")
        return law.means, law.variances

    @property
    def columns(self) -> int:
        return self.modes if self.full else max(self.modes, _COLUMNS)

    @property
    def width(self) -> int:
        """Rows of one source."""
        return self.modes if self.full else 1

    def shape(self, rows: int) -> tuple[int, ...]:
        """Of x, in a batch of so many rows."""
        trail = tuple(self.columns if n == -1 else n for n in self.trail)
        return trail if self.single else (rows, *trail)

    def layout(self, shifts: Any) -> Any:
        """Which mode is where: (rows, columns), row r turned by shifts[r] places."""
        places = np.arange(self.columns)
        return (places[None, :] + shifts[:, None]) % self.columns % self.modes


@dataclass
class Seen:
    """What the model was handed in one call: rows of (rows, columns), and at which level."""

    level: Array
    rows: Array
    evaluations: int


@dataclass
class Affine:
    """out_a = shift_a + sum_b slope_ab x_b + sum_j C_aj z_j, mode by mode, or by matrices where the frame is full.

    shift (outputs, K), slopes (outputs, inputs, K) and noise (outputs, outputs, K), the sum over j of C_aj C_bj; or
    (outputs, d), (outputs, inputs, d, d) and (outputs, outputs, d, d). `residual` is the largest misfit of the random
    combinations, relative to their terms.
    """

    frame: Frame
    shift: Array
    slopes: Array
    noise: Array
    draws: int
    residual: float
    dtype: str
    steps: int
    calls: list[Any] = field(default_factory=list)
    evaluations: int = 0


Run = Callable[[Callable[[Any, Any], Any], list[Any], Any], list[Any]]
"""A run of the code: of a model(x, t), the inputs and the noise, to the outputs."""

Watch = Callable[[Frame, list[Seen], int, int, int, list[Any]], list[Any]]


class _Combinations:
    """Row 0 of zeros, and rows of random combinations of the sources, each input or draw one of them."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.rows = frame, 1 + len(_AMPLITUDES)
        self.layout = frame.layout(np.zeros(self.rows, dtype=int) if frame.full else np.arange(self.rows))
        self._known: dict[tuple[int, int], Array] = {}

    def source(self, kind: int, n: int) -> Array:
        """Input n (kind 0), draw n of the stream (1) or of a key (2), in all rows."""
        if (kind, n) not in self._known:
            z = np.random.default_rng([20240605, kind, n]).standard_normal((self.rows, self.frame.columns))
            self._known[kind, n] = z * np.array([0.0, *_AMPLITUDES])[:, None]
        return self._known[kind, n]


class _Basis:
    """Row 0 of zeros, and rows first, ..., last - 1 of the basis: inputs, draws of the stream, draws of keys."""

    def __init__(self, frame: Frame, sizes: tuple[int, int, int], first: int, last: int) -> None:
        self.frame, self.rows, self._sizes, self._first, self._last = frame, 1 + last - first, sizes, first, last
        self.layout = frame.layout(np.zeros(self.rows, dtype=int))

    def source(self, kind: int, n: int) -> Array:
        values, width = np.zeros((self.rows, self.frame.columns)), self.frame.width
        j = sum(self._sizes[:kind]) + n
        for row in range(max(j * width, self._first), min((j + 1) * width, self._last)):
            values[1 + row - self._first, slice(None) if width == 1 else row - j * width] = 1.0
        return values


@dataclass
class _Ran:
    """One run: what came out (outputs, rows, columns), how many draws it made, and what its model was handed."""

    outs: Array
    draws: tuple[int, int]
    dtype: str
    seen: list[Seen]
    steps: int


@dataclass
class _Setting:
    """What all runs of one reading share."""

    run: Run
    frame: Frame
    model: Model
    like: Any
    inputs: int
    most: int | None
    keys: dict[bytes, int] = field(default_factory=dict)

    def play(self, batch: _Combinations | _Basis, keep: bool) -> _Ran:
        frame, rows = self.frame, batch.rows
        pieces = [slice(r, r + 1) for r in range(rows)] if frame.single else [slice(0, rows)]
        shape = frame.shape(rows)
        now = pieces[0]

        def given(kind: int, n: int) -> Any:
            return like_array(batch.source(kind, n)[now].reshape(shape), self.like)

        noise = Noise(lambda n: given(1, n) if n >= 0 else given(2, -1 - n), shape, self.most, self.keys)
        seen: list[list[Seen]] = []
        found: list[list[Array]] = []
        kinds: set[str] = set()
        counts: set[int] = set()
        failed: list[Unreadable] = []
        with intercepted(noise), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for now in pieces:
                noise.restart()
                asked: list[Seen] = []
                answer = self._answering(batch.layout[now], asked, failed, keep)
                inputs = [given(0, n) for n in range(self.inputs)]
                try:
                    outs = self.run(answer, inputs, noise)
                except Exception:
                    if failed:
                        raise failed[0] from None
                    raise
                for n, x in enumerate(inputs):
                    if not np.array_equal(host(x), host(given(0, n))):
                        raise Unreadable("run: it changes x in place; let it work on a copy, as callers use x again")
                kinds |= {named(out) for out in outs if is_array(out)}
                found.append([self._checked(out, shape) for out in outs])
                if failed:
                    raise failed[0]
                seen.append(asked)
                counts.add(noise.plain)
        values = np.concatenate(found, axis=1)
        if len(kinds) > 1 or len(counts) > 1 or len({len(asked) for asked in seen}) > 1:
            raise NotAffine("run: rows differ in how often they draw or ask the model: it decides by values")
        kind = kinds.pop()
        if kind not in (named(self.like), "float32", "float64"):
            raise Unreadable(f"run: expected {named(self.like)}, the dtype of x, got {kind}")
        bad = ~np.isfinite(values).all(axis=(0, 2))
        if bad.any():
            row = int(np.argmax(bad))
            zero = " (that of zeros: is there a norm or a standard deviation in the code?)" if row == 0 else ""
            raise NotFinite(f"run: it returned NaN or infinity in row {row}{zero}, after {len(seen[0])} model calls")
        return _Ran(values, (noise.plain, len(self.keys)), kind, _joined(seen), len(seen[0]) + noise.count)

    def _checked(self, out: Any, shape: tuple[int, ...]) -> Array:
        like = self.like
        if not is_array(out) or tuple(out.shape) != shape:
            got = f"shape {tuple(out.shape)}" if is_array(out) else f"a {type(out).__name__}"
            raise Unreadable(f"run: expected what it returns to have the shape of x, {shape}, got {got}")
        if not isinstance(out, type(like)):
            raise Unreadable(f"run: expected a {type(like).__name__} like x, got a {type(out).__name__}")
        if getattr(out, "device", None) != getattr(like, "device", None):
            raise Unreadable(f"run: expected an array on the device of x, {like.device}, got one on {out.device}")
        return host(out).reshape(-1, self.frame.columns)

    def _answering(
        self, layout: Any, seen: list[Seen], failed: list[Unreadable], keep: bool
    ) -> Callable[[Any, Any], Any]:
        frame, rows = self.frame, len(layout)
        expected = frame.shape(rows)

        def answer(x: Any, t: Any) -> Any:
            if not is_array(x):
                raise Unreadable(f"run: expected the model to be handed an array like x, got a {type(x).__name__}")
            shape = tuple(x.shape)
            times = 1 if shape == expected else shape[0] // rows if shape and not frame.single else 0
            if (
                not times
                or (times > 1 and shape != (times * rows, *expected[1:]))
                or math.prod(shape) != times * math.prod(expected)
            ):
                raise Unreadable(
                    f"run: expected the model to be handed all rows of x at once, shape {expected}, got {shape}"
                )
            values = host(x).reshape(times * rows, frame.columns)
            call, level = len(seen), np.zeros(1) if t is None else np.ravel(host(t))
            if level.size not in (1, times * rows):
                raise Unreadable(
                    f"run: expected one level t, or one for each row, got {level.size} of them in model call {call}"
                )
            if np.isnan(level).any():
                raise NotFinite(f"run: model call {call} was at level NaN", call)
            if not np.isfinite(values).all():
                raise NotFinite(f"run: model call {call}, at level {level[0]:g}, was handed NaN or infinity", call)
            try:
                gain, shift = self.model(None if t is None else level)
            except ValueError as error:
                raise Unreadable(f"run: model call {call}: {error}") from None
            seen.append(Seen(level[:rows], values[: rows if keep else 0], times))
            if frame.full:
                turned = values if frame.basis is None else values @ frame.basis
                out = gain * turned + shift
                out = out if frame.basis is None else out @ frame.basis.T
            else:
                where = np.tile(layout, (times, 1))
                gain, shift = (np.array(np.broadcast_to(z, (len(where), frame.modes))) for z in (gain, shift))
                out = np.take_along_axis(gain, where, axis=1) * values + np.take_along_axis(shift, where, axis=1)
            return like_array(out.reshape(shape), x)

        def compiled(x: Any, t: Any) -> Any:
            try:
                return answer(x, t)
            except Unreadable as error:  # compiled code cannot raise it
                failed.append(error)
                return np.full_like(x, np.nan)

        return lambda x, t: from_host(compiled, x, t) if compiling(x) else answer(x, t)


def _joined(seen: list[list[Seen]]) -> list[Seen]:
    """The calls of all pieces as calls of the whole batch."""
    if len(seen) == 1:
        return seen[0]
    return [
        Seen(np.concatenate([c.level for c in calls]), np.concatenate([c.rows for c in calls]), calls[0].evaluations)
        for calls in zip(*seen, strict=True)
    ]


def read(
    run: Run, frame: Frame, model: Model, like: Any, *, inputs: int = 1, draws: int | None = None, hint: str = "",
    watch: Watch | None = None,
) -> Affine:  # fmt: skip
    """The affine map from the `inputs` and the draws to the outputs of a run.

    Raises
    ------
    Unreadable
        Where the code is no such map, or breaks a rule.
    """
    setting = _Setting(run, frame, model, like, inputs, draws)
    state: list[Any] = []
    try:
        test = _Combinations(frame)
        tested = setting.play(test, False)
        sizes = (inputs, *tested.draws)
        collected = _Collected(frame, test, tested, sizes)
        total = sum(sizes) * frame.width
        size = max(1, _MEMORY // (8 * frame.columns) - 1)
        for first in range(0, total, size):
            last = min(total, first + size)
            ran = setting.play(_Basis(frame, sizes, first, last), watch is not None)
            if ran.draws != tested.draws:
                raise Unreadable(
                    f"run: it made {sum(tested.draws)} draws in one run and {sum(ran.draws)} in the next; does it keep "
                    "state between runs, or decide by values?"
                )
            if not _close(ran.outs[:, 0], tested.outs[:, 0], tested.dtype):
                _blame(tested, setting.play(_Combinations(frame), False), frame)
            collected.add(ran.outs, first, last)
            if watch is not None:
                state = watch(frame, ran.seen, inputs, first, last, state)
    except Foreign as error:  # a complaint of the supply is one of the reading
        raise Unreadable(str(error)) from None
    affine = collected.done(hint)
    affine.calls, affine.evaluations = state, sum(seen.evaluations for seen in tested.seen)
    return affine


def _close(a: Array, b: Array, dtype: str) -> bool:
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    return bool((np.abs(a - b) <= 256 * precision_of(dtype) * size).all())


def _blame(tested: _Ran, again: _Ran, frame: Frame) -> None:
    """Why two runs differ in the row of zeros."""
    same = tested.draws == again.draws and np.array_equal(tested.outs, again.outs)
    if not same:
        raise Unreadable(
            "run: two runs on the same numbers differ: it draws random numbers of its own, or keeps state between "
            "runs; draw with the noise that it is handed"
        )
    if not frame.full:
        raise NotPerMode("run: the rows of its batch, or its columns, influence each other")
    raise NotAffine(
        "run: the rows of its batch influence each other: a norm, a mean or an adaptive step over all of x?"
    )


class _Collected:
    """The coefficients as they come, and what they say of the random combinations."""

    def __init__(self, frame: Frame, test: _Combinations, tested: _Ran, sizes: tuple[int, int, int]) -> None:
        self.frame, self.test, self.tested, self.sizes = frame, test, tested, sizes
        outputs, modes = len(tested.outs), frame.modes
        shape = (modes, modes) if frame.full else (modes,)
        self.slopes = np.zeros((outputs, sizes[0], *shape))
        self.noise = np.zeros((outputs, outputs, *shape))
        zero = tested.outs[:, 0]
        self.shift = zero[:, :modes].copy()
        self.predicted = np.array(
            np.broadcast_to(zero[:, None], tested.outs.shape) if frame.full else zero[:, test.layout]
        )
        self.terms = np.abs(self.predicted)

    def add(self, outs: Array, first: int, last: int) -> None:
        frame, (inputs, stream, _) = self.frame, self.sizes
        rows = outs[:, 1:] - outs[:, :1]
        for row in range(first, last):
            j, i = divmod(row, frame.width)
            kind, n = (0, j) if j < inputs else (1, j - inputs) if j < inputs + stream else (2, j - inputs - stream)
            z, c = self.test.source(kind, n), rows[:, row - first]
            if frame.full:
                part = z[:, i, None] * c[:, None]
                if kind == 0:
                    self.slopes[:, n, :, i] = c
                else:
                    self.noise += c[:, None, :, None] * c[None, :, None, :]
            else:
                part = z * c[:, self.test.layout]
                own = c[:, : frame.modes]
                if kind == 0:
                    self.slopes[:, n] = own
                else:
                    self.noise += own[:, None] * own[None, :]
            self.predicted += part
            self.terms += np.abs(part)

    def done(self, hint: str) -> Affine:
        tested, outs = self.tested, self.tested.outs
        off = np.abs(outs - self.predicted)
        # small coordinates are rounded beside the large ones that they are mixed with
        scale = (
            np.broadcast_to(self.terms.max(axis=(0, 2), keepdims=True), off.shape) if self.frame.full else self.terms
        )
        misfit = np.divide(off, scale, out=np.where(off > 0, np.inf, 0.0), where=scale > 0)
        residual = float(misfit.max())
        if residual > _STRAIGHT * (tested.steps + 8) * precision_of("float32"):
            _refuse(outs, misfit, self.frame, residual, hint)
        return Affine(
            self.frame, self.shift, self.slopes, self.noise, sum(tested.draws), residual, tested.dtype, tested.steps
        )


def _refuse(outs: Array, misfit: Array, frame: Frame, residual: float, hint: str) -> NoReturn:
    worst = misfit.max(axis=(0, 2))
    row = int(np.argmax(worst))
    what = f"a combination of start and draws came out with a relative misfit of {residual:.3g} in row {row}"
    ends, counts = np.unique(np.abs(outs[:, 1:]), return_counts=True)
    top = int(np.argmax(counts))
    if counts[top] >= 3 and ends[top] > 0:
        what = f"row {row} came back clipped at {ends[top]:.6g}"
    far = np.array([0.0, *_AMPLITUDES]) > 100
    beyond = "" if worst[~far].max() > 1e-3 * residual else ", though only for numbers a thousand times those of a draw"
    kind = NotAffine if frame.full else NotPerMode
    raise kind(f"run: not affine: {what}{beyond}" + (f"; {hint}" if hint else ""))


def slip_of(affine: Affine, shift: Array, variances: Array) -> Array:
    """What rounding leaves unknown of a law, relative to its variances and in units of its standard deviations."""
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(variances > 0, np.abs(shift) / np.sqrt(variances), 0.0)
    own = UNIT * 8 * (affine.steps + 4) if affine.dtype == "float64" else 0.0
    return np.asarray((own + 2 * affine.residual * math.sqrt(1 + affine.draws)) * (1 + far))
