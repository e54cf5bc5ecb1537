r"""One affine map, read off by running it: the rows of the batch are a basis of its sources.

A source is an input that a law is made of: the start, or a normal draw. Where the code treats every coordinate by
itself, all modes of the target are read at once, one column each, and the rows are

    0            the constant
    source j     1 in every column, 0 in all other sources

so that row j minus row 0 are the coefficients of source j. Whether that is the whole truth is seen on rows of random
combinations, thousands of numbers, some as large as draws are and some a thousand times larger, *with the modes in
other columns, and as many columns as the target has coordinates*: they must come out as the coefficients say. That
refutes clipping and every other bend that one draw in some hundreds meets, rows or columns that influence each other,
and coefficients that belong to a column or to the number of columns and not to a mode. Code that does mix columns is
read in coordinates, with one row for each coordinate of each source.
"""

from __future__ import annotations

import math
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.random import default_rng  # by a name of our own: a run must not make generators

from rmverify.elementary import like as like_array
from rmverify.numbers.checks import Array, positive_integer
from rmverify.numbers.rounding import UNIT
from rmverify.samplers.arrays import compiling, from_host, host, is_array, named, precision_of
from rmverify.samplers.models import Model
from rmverify.samplers.noise import Foreign, Noise, intercepted, restored
from rmverify.targets import Gaussian

__all__ = [
    "Affine",
    "Frame",
    "NotAffine",
    "NotFinite",
    "NotPerMode",
    "Unreadable",
    "attempts",
    "check_draws",
    "check_shape",
    "read",
    "refuse_lost",
    "roughness",
    "slip_of",
    "unknown",
]

_AMPLITUDES = (1.0, 1.0, 3.0, 3.0, 1e3, 1e3)  # of the rows of random combinations, over and over
_NUMBERS = 4096  # in the rows of random combinations, at least
_WIDE = 1024  # columns of random combinations, where the target has more coordinates than modes
_MOST_COLUMNS = 4096  # read mode by mode with one column for each coordinate
_MEMORY = 2**26  # bytes in one array of a run
STRAIGHT = 64.0  # roundings of each operation, of its terms
MOST_COORDINATES = 512


class Unreadable(ValueError):
    """Code whose law cannot be read: it breaks the rules of `Sampler` or `Kernel`, and the message says which."""


class NotAffine(Unreadable):
    """Code that is not affine in its start and draws."""


class NotPerMode(NotAffine):
    """Code that is not affine mode by mode; it may be, in coordinates."""


class Misplaced(Unreadable):
    """Code that breaks a rule with so many columns or rows, and may keep it with others."""


class NotFinite(Unreadable):
    """Code that handed NaN or infinity to its model or returned it. `call` is the number of the model call, or None."""

    def __init__(self, message: str, call: int | None = None) -> None:
        super().__init__(message)
        self.call = call


def check_shape(shape: Any) -> None:
    """What x's shape may have after its rows."""
    if not isinstance(shape, tuple | list) or list(shape).count(-1) != 1 or any(n not in (1, -1) for n in shape):
        raise ValueError(
            f"shape: expected a tuple of one -1, for the coordinates, and of 1s, such as (-1, 1, 1), got {shape!r}"
        )


def check_draws(draws: Any) -> None:
    """The most draws, if any are stated."""
    if draws is not None and (isinstance(draws, bool) or draws != 0):
        positive_integer("draws", draws)


@dataclass(frozen=True)
class Frame:
    """How columns and modes belong together.

    `modes` are how many; with a `basis` (d, d), or `full`, columns are coordinates, else column c is mode c % modes.
    The target has `dim` coordinates, and x so many `columns`. `trail` is the template of what x's shape has after the
    rows, -1 for the columns; with `single` the code sees one row at a time, without an axis of rows.
    """

    modes: int
    dim: int
    columns: int
    basis: Array | None = None
    full: bool = False
    trail: tuple[int, ...] = (-1,)
    single: bool = False

    @classmethod
    def of(cls, truth: Gaussian, full: bool, trail: Sequence[int] = (-1,), single: bool = False) -> Frame:
        """The frame of a target: of its coordinates where `full`, else with one column for each mode."""
        size = truth.dim if full else truth.variances.size
        return cls(size, truth.dim, size, truth.basis if full else None, full, tuple(trail), single)

    @property
    def tested(self) -> Frame:
        """The frame of random combinations: as wide as the target, or of another width at least."""
        if self.columns == self.dim:
            return self
        return replace(self, columns=min(self.dim, max(_WIDE, 2 * self.modes)))

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
class Affine:
    """out_a = shift_a + sum_b slope_ab x_b + sum_j C_aj z_j, mode by mode, or by matrices where the frame is full.

    shift (outputs, K), slopes (outputs, inputs, K) and noise (outputs, outputs, K), the sum over j of C_aj C_bj; or
    (outputs, d), (outputs, inputs, d, d) and (outputs, outputs, d, d). `residual` is the largest misfit of the random
    combinations, relative to their terms and to what the model was handed on the way, and `unsure` (outputs, K) the
    largest one of each mode in itself, for inputs and draws of size 1; `swallowed` is whether a model answered with a
    mean in whose rounding all else vanished. Misfits that are no rounding may be those of columns that are mixed: what
    each of them tells then adds up over all, to `together` times as much.
    """

    frame: Frame
    shift: Array
    slopes: Array
    noise: Array
    draws: int
    residual: float
    unsure: Array
    dtype: str
    steps: int
    calls: list[Any] = field(default_factory=list)
    evaluations: int = 0
    swallowed: bool = False
    together: float = 1.0


Run = Callable[[Callable[[Any, Any], Any], list[Any], Any], list[Any]]
"""A run of the code: of a model(x, t), the inputs and the noise, to the outputs."""

Watch = Callable[[Frame, int, int, int, list[Any], int, Array, Array, int], None]
"""Is told in turn what the model was handed: of the frame, the number of inputs, the first and last row of the basis
and what it noted so far, the number of the call, its levels, its rows (rows, columns), and how often it asks for each.
"""

Spot = tuple[Array, Array]
"""Means and standard deviations, column by column, of inputs as the code will meet them."""


class _Combinations:
    """Row 0 of zeros, and rows of random combinations of the sources, each input or draw one of them. With a `spot`
    every other row has its inputs there. The code meets them in another `order`: what it takes from its first or last
    row for all must not be that of zeros here too.
    """

    def __init__(self, frame: Frame, spot: Spot | None = None) -> None:
        self.frame, self.spot = frame, spot
        times = 1 if frame.single else -(-_NUMBERS // (len(_AMPLITUDES) * frame.columns))
        self.sizes = np.array([0.0, *_AMPLITUDES * times])
        self.rows = self.sizes.size
        self.order = np.insert(np.arange(1, self.rows), self.rows // 3, 0)
        self.layout = frame.layout(np.zeros(self.rows, dtype=int) if frame.full else np.arange(self.rows))

    def source(self, kind: int, n: int) -> Array:
        """Input n (kind 0), draw n of the stream (1) or of a key (2), in all rows; never the same array twice."""
        z: Array = (
            default_rng([20240605, kind, n]).standard_normal((self.rows, self.frame.columns)) * self.sizes[:, None]
        )
        if self.spot is not None and kind == 0:
            center, spread = (part[self.layout[2::2]] for part in self.spot)
            z[2::2] = center + spread * z[2::2]
        return z


class _Basis:
    """Row 0 of zeros, and rows first, ..., last - 1 of the basis: inputs, draws of the stream, draws of keys."""

    def __init__(self, frame: Frame, sizes: tuple[int, int, int], first: int, last: int) -> None:
        self.frame, self.rows, self._sizes, self._first, self._last = frame, 1 + last - first, sizes, first, last
        self.order, self.layout = np.arange(self.rows), frame.layout(np.zeros(1, dtype=int))

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
    asked: list[int]
    steps: int
    met: Array


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
    swallowed: bool = False
    single: bool = False  # whether the model is handed float32

    def play(self, batch: _Combinations | _Basis, note: Callable[..., None] | None = None) -> _Ran:
        frame, rows = batch.frame, batch.rows
        pieces = [slice(r, r + 1) for r in range(rows)] if frame.single else [slice(0, rows)]
        shape = frame.shape(rows)
        now = pieces[0]

        def given(kind: int, n: int) -> Any:
            return like_array(batch.source(kind, n)[batch.order[now]].reshape(shape), self.like)

        noise = Noise(lambda n: given(1, n) if n >= 0 else given(2, -1 - n), shape, self.most, self.keys)
        seen: list[list[int]] = []
        found: list[list[Array]] = []
        kinds: set[str] = set()
        met: list[Array] = []
        counts: set[int] = set()
        failed: list[Unreadable] = []
        with intercepted(noise), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for now in pieces:
                noise.restart()
                asked: list[int] = []
                layout = batch.layout[batch.order[now] if len(batch.layout) > 1 else slice(None)]
                size = len(range(rows)[now])
                answer = self._answering(frame, size, layout, asked, failed, met, note)
                inputs = [given(0, n) for n in range(self.inputs)]
                met.append(np.zeros((size, frame.columns if note is None else 0)))
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
                found.append([self._checked(out, shape).reshape(-1, frame.columns) for out in outs])
                if failed:
                    raise failed[0]
                seen.append(asked)
                counts.add(noise.plain)
        back = np.argsort(batch.order)
        values = np.concatenate(found, axis=1)[:, back]
        if len(kinds) > 1:
            raise Unreadable(f"run: expected arrays of one dtype, got {' and '.join(sorted(kinds))}")
        if len(counts) > 1 or any(asked != seen[0] for asked in seen):
            raise NotAffine("run: rows differ in how often they draw or ask the model: it decides by values")
        kind = kinds.pop()
        if kind not in (named(self.like), "float32", "float64"):
            raise Unreadable(f"run: expected {named(self.like)}, the dtype of x, got {kind}")
        bad = ~np.isfinite(values).all(axis=(0, 2))
        if bad.any():
            row = int(np.argmax(bad))
            where = "in every row" if bad.all() else f"in row {row}"
            if row == 0 and not bad.all():
                where += " (that of zeros: is there a norm or a standard deviation in the code?)"
            raise NotFinite(f"run: it returned NaN or infinity {where}, after {len(seen[0])} model calls")
        steps = len(seen[0]) + noise.count
        return _Ran(values, (noise.plain, len(self.keys)), kind, seen[0], steps, np.concatenate(met)[back])

    def _checked(self, out: Any, shape: tuple[int, ...]) -> Array:
        like = self.like
        if not is_array(out) or tuple(out.shape) != shape:
            got = f"shape {tuple(out.shape)}" if is_array(out) else f"a {type(out).__name__}"
            raise Misplaced(f"run: expected what it returns to have the shape of x, {shape}, got {got}")
        if not isinstance(out, type(like)):
            raise Unreadable(f"run: expected a {type(like).__name__} like x, got a {type(out).__name__}")
        if getattr(out, "device", None) != getattr(like, "device", None):
            raise Unreadable(f"run: expected an array on the device of x, {like.device}, got one on {out.device}")
        return host(out)

    def _answering(
        self, frame: Frame, rows: int, layout: Any, asked: list[int], failed: list[Unreadable], met: list[Array],
        note: Callable[..., None] | None,
    ) -> Callable[[Any, Any], Any]:  # fmt: skip
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
                raise Misplaced(
                    f"run: expected the model to be handed all rows of x at once, shape {expected}, got {shape}"
                )
            values = host(x).reshape(times * rows, frame.columns)
            call, level = len(asked), np.zeros(1) if t is None else np.ravel(host(t))
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
            asked.append(times)
            if note is None:
                self.single |= named(x) == "float32"
                np.maximum(met[-1], np.abs(values).reshape(times, rows, -1).max(axis=0), out=met[-1])
            else:
                note(call, level[:rows], values[:rows], times)
            if frame.full:
                turned = values if frame.basis is None else values @ frame.basis
                out = gain * turned + shift
                out = out if frame.basis is None else out @ frame.basis.T
            else:
                gain, shift = (_placed(z, layout, times) for z in (gain, shift))
                out = gain * values + shift
                if note is None:
                    told = np.abs(gain * values).max(axis=0)
                    least = precision_of(named(self.like)) * np.abs(shift).max(axis=0)
                    self.swallowed |= bool(((told > 0) & (told < least)).any())
            return like_array(out.reshape(shape), x)

        def compiled(x: Any, t: Any) -> Any:
            try:
                return answer(x, t)
            except Unreadable as error:  # compiled code cannot raise it
                failed.append(error)
                return np.full_like(x, np.nan)

        return lambda x, t: from_host(compiled, x, t) if compiling(x) else answer(x, t)


def _placed(values: Array, layout: Any, times: int) -> Array:
    """Values of modes, (rows, modes) or alike for all rows, in the columns where their modes are."""
    if len(layout) == 1:
        return np.atleast_2d(values)[:, layout[0]]
    where = np.tile(layout, (times, 1))
    wide: Array = np.take_along_axis(np.broadcast_to(values, (len(where), values.shape[-1])), where, axis=1)
    return wide


def read(
    run: Run, frame: Frame, model: Model, like: Any, *, inputs: int = 1, draws: int | None = None, hint: str = "",
    watch: Watch | None = None, spot: Spot | None = None,
) -> Affine:  # fmt: skip
    """The affine map from the `inputs` and the draws to the outputs of a run.

    Raises
    ------
    Unreadable
        Where the code is no such map, or breaks a rule.
    """
    setting = _Setting(run, frame, model, like, inputs, draws)
    state: list[Any] = []
    with restored():
        try:
            test = _Combinations(frame.tested, spot)
            tested = setting.play(test)
            sizes = (inputs, *tested.draws)
            collected = _Collected(frame, test, tested, sizes)
            total = sum(sizes) * frame.width
            size = max(1, _MEMORY // (8 * frame.columns) - 1)
            for first in range(0, total, size):
                last = min(total, first + size)
                note = None if watch is None else partial(watch, frame, inputs, first, last, state)
                try:
                    ran = setting.play(_Basis(frame, sizes, first, last), note)
                except (Unreadable, Foreign):
                    raise
                except Exception as error:
                    raise Misplaced(
                        f"run: it raised {type(error).__name__}: {error}; not so with another number of rows: does it "
                        "keep state between runs?"
                    ) from error
                if (ran.draws, ran.asked) != (tested.draws, tested.asked):
                    one, other = (f"{sum(r.draws)} draws and {sum(r.asked)} evaluations" for r in (tested, ran))
                    raise Unreadable(
                        f"run: it made {one} in one run, and {other} in the next; does it keep state between runs, or "
                        "decide by values?"
                    )
                if not _close(ran.outs[:, 0], tested.outs[:, 0, : frame.columns], tested.dtype):
                    _once_more(tested, setting.play(test))
                    _refuse_batches(frame)
                collected.add(ran.outs, first, last)
            affine = collected.done(hint, setting.single, lambda: _once_more(tested, setting.play(test)))
        except Foreign as error:  # a complaint of the supply is one of the reading
            raise Unreadable(str(error)) from None
    affine.calls, affine.evaluations = state, sum(tested.asked)
    affine.swallowed = setting.swallowed
    return affine


def attempts(
    truth: Gaussian, coordinates: bool | None, trail: Sequence[int], single: bool, once: Callable[[Frame], Any]
) -> Any:
    """What `once` reads in the first frame in which it can: mode by mode, with a column for each coordinate, and in
    coordinates.
    """
    modes = Frame.of(truth, False, trail, single)
    frames = [] if coordinates else [modes]
    if frames and modes.modes < truth.dim <= _MOST_COLUMNS:
        frames.append(replace(modes, columns=truth.dim))
    if coordinates and truth.dim > MOST_COORDINATES:
        raise ValueError(
            f"coordinates: expected a target of dimension up to {MOST_COORDINATES}, got one of {truth.dim}; leave it "
            "out where the code treats all coordinates alike"
        )
    if coordinates is not False and truth.dim <= MOST_COORDINATES:
        frames.append(Frame.of(truth, True, trail, single))
    for frame in frames:
        try:
            return once(frame)
        except Misplaced:
            if frame is frames[-1]:
                raise
        except NotPerMode as error:
            if frame is frames[-1]:
                raise NotPerMode(
                    f"{error}; if it mixes coordinates, or has a coefficient for each, it is read in coordinates, up "
                    f"to dimension {MOST_COORDINATES} (coordinates=True)"
                ) from None
        except Unreadable:
            raise
        except Exception as error:  # a stranger's: perhaps of so many columns
            if frame is frames[-1]:
                raise Unreadable(f"run: it raised {type(error).__name__}: {error}{_line(error)}") from error
    raise AssertionError("there is a frame")


def _line(error: Exception) -> str:
    """Of the stranger's code, the innermost that is no library's."""
    libraries = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"), "<")
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if not file.startswith(libraries) and "site-packages" not in file:
            return f" ({Path(file).name}, line {line})"
    return ""


def _close(a: Array, b: Array, dtype: str) -> bool:
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    return bool((np.abs(a - b) <= 256 * precision_of(dtype) * size).all())


def _once_more(tested: _Ran, again: _Ran) -> None:
    """Refused where two runs on the same numbers differ."""
    if tested.draws != again.draws or not np.array_equal(tested.outs, again.outs):
        raise Unreadable(
            "run: two runs on the same numbers differ: it draws random numbers of its own, or keeps state between "
            "runs; draw with the noise that it is handed, noise() or, as from a NumPy generator, "
            "noise.standard_normal(x.shape), and start afresh in every run"
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
            np.broadcast_to(zero[:, None], tested.outs.shape) if frame.full else self.shift[:, test.layout]
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

    def done(self, hint: str, single: bool, once_more: Callable[[], None]) -> Affine:
        """The map, if the random combinations are what it says."""
        tested, outs = self.tested, self.tested.outs
        off = np.abs(outs - self.predicted)
        terms, met = self.terms, tested.met[None]
        if self.frame.full:  # small coordinates are rounded beside the large ones that they are mixed with
            terms, met = (np.broadcast_to(z.max(axis=(0, 2), keepdims=True), off.shape) for z in (terms, met))
        fine = precision_of("float32" if single or tested.dtype == "float32" else "float64")
        straight = STRAIGHT * (tested.steps + 8) * precision_of("float32") * terms + 8 * fine * met
        if (off > straight).any():
            once_more()
            _refuse(outs, _ratio(off, terms), off > straight, self.frame, self.test.sizes, hint)
        one = off / np.maximum(self.test.sizes, 1.0)[:, None]
        unsure = np.zeros((len(outs), self.frame.modes))
        for out, mine in zip(one, unsure, strict=True):
            np.maximum.at(mine, self.test.layout, out)
        rounded = self.frame.full or (off <= STRAIGHT * (tested.steps + 8) * fine * (terms + met)).all()
        together = 1.0 if rounded else math.sqrt(self.frame.dim)
        return Affine(
            self.frame, self.shift, self.slopes, self.noise, sum(tested.draws), float(_ratio(off, terms + met).max()),
            unsure, tested.dtype, tested.steps, together=together,
        )  # fmt: skip


def _ratio(off: Array, scale: Array) -> Array:
    return np.asarray(np.divide(off, scale, out=np.where(off > 0, np.inf, 0.0), where=scale > 0))


def _refuse_batches(frame: Frame) -> NoReturn:
    if not frame.full:
        raise NotPerMode("run: not affine: the rows of its batch, or its columns, influence each other")
    raise NotAffine(
        "run: not affine: the rows of its batch influence each other: a norm, a mean or an adaptive step over all of "
        "x, or one row or draw for all?"
    )


def _refuse(outs: Array, misfit: Array, bent: Any, frame: Frame, sizes: Array, hint: str) -> NoReturn:
    worst = np.where(bent, misfit, 0.0).max(axis=(0, 2))
    row = int(np.argmax(worst))
    residual = worst[row]
    what = f"a combination of start and draws came out with a relative misfit of {residual:.3g} in row {row}"
    ends, counts = np.unique(np.abs(outs[:, 1:]), return_counts=True)
    top = int(np.argmax(counts))
    if counts[top] > outs.size // 8 and 0 < ends[top] == ends[-1]:
        what = f"row {row} came back clipped at {ends[top]:.6g}"
    far = sizes > 100
    beyond = "" if worst[~far].max() > 1e-3 * residual else ", though only for numbers a thousand times those of a draw"
    kind = NotAffine if frame.full else NotPerMode
    raise kind(f"run: not affine: {what}{beyond}" + (f"; {hint}" if hint else ""))


def slip_of(affine: Affine, shift: Array, variances: Array) -> Array:
    """What rounding leaves unknown of a law, relative to its variances and in units of its standard deviations."""
    return roughness(affine) * (1 + _in_spreads(shift, variances))


def roughness(affine: Affine) -> float:
    """What rounding leaves unknown of a number on the way, relative to it."""
    return _own(affine) + 2 * affine.together * affine.residual * math.sqrt(1 + affine.draws)


def unknown(affine: Affine, means: Array, variances: Array) -> Array:
    """What rounding leaves unknown of the numbers that come out, in themselves: of each mode, or coordinate."""
    most: Array = _own(affine) * (np.abs(means) + np.sqrt(variances)) + 4 * affine.together * affine.unsure[0]
    return most


def _own(affine: Affine) -> float:
    return UNIT * 8 * (affine.steps + 4) if affine.dtype == "float64" else 4 * precision_of("float32")


def _in_spreads(size: Array, variances: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(variances > 0, np.abs(size) / np.sqrt(variances), 0.0))


def refuse_lost(affine: Affine, means: Any, variances: Any, due: Any) -> None:
    """Refused where a law comes out as a point because its spread is less than the rounding of its mean."""
    unseen = (variances == 0) & (means != 0) & (due > 0)
    if unseen.any() and (affine.swallowed or affine.unsure.any()):
        worst = int(np.argmax(unseen))
        mean, sd = np.ravel(means)[worst], math.sqrt(np.ravel(np.broadcast_to(due, unseen.shape))[worst])
        raise Unreadable(
            f"run: in {affine.dtype} its spread is lost beside a mean of {mean:.3g}, where the target has {sd:.3g}; "
            "expected a target nearer to 0, for its spread"
        )
