r"""Somebody's sampler as a law: from noise to data with a model, in any array library, without a word of ours in it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import default_rng

from rmverify.elementary import like as like_array
from rmverify.numbers.checks import Array, positive_integer
from rmverify.paths import OU, Path
from rmverify.samplers.arrays import example, host, named, quietly
from rmverify.samplers.bookkeeping import Booked, booked
from rmverify.samplers.models import PREDICTS, exact_model, marginal, truth_of
from rmverify.samplers.noise import Noise, intercepted
from rmverify.samplers.probe import (
    Affine,
    Frame,
    NotFinite,
    Unreadable,
    attempts,
    check_draws,
    check_shape,
    read,
    refuse_lost,
    roughness,
    slip_of,
    unknown,
)
from rmverify.targets import Gaussian, Target

__all__ = ["Call", "Reading", "Sampler"]


@dataclass(frozen=True, repr=False)
class Sampler:
    r"""Code that takes noise to data by asking a model, read as it is.

    Parameters
    ----------
    run : callable
        ``run(model, x, noise)`` returns the output, an array like x. x is standard normal, of shape (n, ...): what the
        code starts from, before any scaling of its own. ``model(x, t)`` answers what `predicts` says, at the level t of
        `path`: a number, or one level for each row. ``noise()`` is a standard normal draw like x. The normal draws of
        PyTorch and JAX, by whatever generator or key, are answered by us too.
    path : Path
        The clock of t and the scale of x, such as ``paths.VE()``; by default `paths.OU`.
    predicts : {"score", "eps", "x0", "v", "flow"}
    like : {"numpy", "torch", "jax"} or array
        The library, dtype and device of x; float64 by name.
    end : number, optional
        The level of the output, where it is not that of the data.
    shape : tuple
        What x's shape has after its rows: -1 for the coordinates, and 1s; (-1, 1, 1) for code that wants images.
    coordinates : bool, optional
        Whether columns of x must be coordinates, as where the code has a matrix or a coefficient for each. By default
        it is read mode by mode, and in coordinates (up to 512) where that fails.
    draws : int, optional
        The most draws that it may make.
    name, hint : str
        What reports call it, and what they add where it is not affine.

    Raises
    ------
    ValueError
        For an argument that is none of these.

    Notes
    -----
    The code is run on the rows of a basis, and on thousands of random numbers that must come out as the basis says:
    some as large as draws are, some 3 and 1000 times as large, with the modes in other columns and in as many columns
    as the target has coordinates (up to 1024). Rounding, and bends of its size, are in the `rounding` of the law. What
    a reading cannot see, and you have to know:

    - a bend that fewer than about one draw in a thousand meets, or that only batches of thousands of rows meet;
    - coordinates of their own beyond the first 1024, where the target has more of them than different variances;
    - what happens in a run but not in the first three, such as a state that wakes up late;
    - that numbers from a source that is neither handed in nor PyTorch's, JAX's or NumPy's are random at all, if they
      are the same for all particles and in every run: they are read as constants;
    - whether the keys or seeds of two runs are the same: what is drawn is taken to be new in every run.

    Examples
    --------
    A loop with a denoiser, as a README has it:

    >>> import numpy as np
    >>> from rmverify import Gaussian, Sampler, output_law, paths, tv
    >>> def run(model, x, noise):
    ...     sigmas = np.append(np.geomspace(80, 0.002, 40), 0)
    ...     x = x * sigmas[0]
    ...     for s, s_next in zip(sigmas[:-1], sigmas[1:]):
    ...         x = x + (s_next - s) * (x - model(x, s)) / s
    ...     return x
    >>> target = Gaussian([0.5, 0.0], [1.0, 0.1])
    >>> law = output_law(Sampler(run, path=paths.VE(), predicts="x0"), target)
    >>> law.dim, round(tv(law, target), 4)
    (2, 0.05)
    """

    run: Callable[..., Any]
    path: Path = OU()  # noqa: RUF009
    predicts: str = "score"
    like: Any = "numpy"
    end: float | None = None
    shape: tuple[int, ...] = (-1,)
    coordinates: bool | None = None
    draws: int | None = None
    name: str = ""
    hint: str = ""

    def __post_init__(self) -> None:
        if not callable(self.run):
            raise ValueError(f"run: expected a function run(model, x, noise), got {type(self.run).__name__}")
        if not isinstance(self.path, Path):
            raise ValueError(f"path: expected a Path such as rmverify.paths.VE(), got {self.path!r}")
        if self.predicts not in PREDICTS:
            raise ValueError(f"predicts: expected one of {', '.join(PREDICTS)}, got {self.predicts!r}")
        check_shape(self.shape)
        if self.end is not None:
            self.path.at(self.end)
        check_draws(self.draws)

    def __repr__(self) -> str:
        name = self.name or getattr(self.run, "__name__", type(self.run).__name__)
        return f"Sampler({name}, {self.path!r}, predicts={self.predicts!r})"

    def read(self, target: Target, *, dtype: str | None = None) -> Reading:
        """The affine map from start and draws to output, and what every model call was handed, on one target.

        Parameters
        ----------
        target : Gaussian, EstimatedScore of one, or Guided
        dtype : {"float64", "float32"}, optional
            Of x; by default that of `like`.

        Raises
        ------
        samplers.Unreadable
            Where the code is not affine (`samplers.NotAffine`), hands NaN to its model (`samplers.NotFinite`), draws
            what is not seen, or breaks a rule of `run`.
        """
        truth = truth_of(target)
        example(self.like, dtype)
        reading: Reading = attempts(
            truth, self.coordinates, self.shape, False, lambda frame: self._read(target, truth, frame, dtype)
        )
        return reading

    def _read(self, target: Target, truth: Gaussian, frame: Frame, dtype: str | None) -> Reading:
        like = example(self.like, dtype)
        exact = frame.spread(exact_model(target, self.path, self.predicts), truth)

        def run(answer: Any, inputs: list[Any], noise: Any) -> list[Any]:
            def model(x: Any, t: Any) -> Any:
                if t is None:
                    raise Unreadable("run: expected the model to be asked at a level of its path, got None")
                return answer(x, t)

            return [self.run(model, inputs[0], noise)]

        with quietly(like if not isinstance(self.like, str) else self.like):
            affine = read(run, frame, exact, like, draws=self.draws, hint=self.hint, watch=_watch)
        if not affine.calls:
            raise Unreadable("run: it never calls the model")
        if affine.dtype != named(like):
            if dtype is None and affine.dtype == "float32":
                return self._read(target, truth, frame, "float32")
            raise Unreadable(f"run: expected {named(like)}, the dtype of x, got {affine.dtype}")
        return Reading(self, target, affine)

    def sample(self, target: Target, n: int, *, rng: Any = None) -> Any:
        """n real draws with the exact model: what `rmverify.sample` does with a Sampler."""
        truth = truth_of(target)
        n, seed = positive_integer("n", n), int(default_rng(rng).integers(2**63))
        like = example(self.like)
        frame = Frame.of(truth, True, self.shape)
        inner = frame.spread(exact_model(target, self.path, self.predicts), truth)

        def model(x: Any, t: Any) -> Any:
            values = host(x).reshape(-1, frame.columns)
            gain, shift = inner(None if t is None else np.ravel(host(t)))
            turned = values if truth.basis is None else values @ truth.basis
            out = gain * turned + shift
            return like_array((out if truth.basis is None else out @ truth.basis.T).reshape(tuple(x.shape)), x)

        def drawn(number: int) -> Any:  # of a generator in an old state or of a known key, the old one
            kind = [0, number] if number >= 0 else [1, -number]
            return like_array(default_rng([seed, *kind]).standard_normal(frame.shape(n)), like)

        noise = Noise(lambda number: drawn(number + 1 if number >= 0 else number), frame.shape(n), self.draws)
        with quietly(self.like), intercepted(noise):
            return self.run(model, drawn(0), noise)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the model: the level that the code named, and means and variances of what it handed over.

    x = shift + slope x_T + draws, mode by mode, with variance `noise` of the draws.

    Attributes
    ----------
    level : float
        nan where rows had levels of their own.
    shift, slope, noise : ndarray, shape (K,)
        In coordinates, `slope` is a matrix whose rows are modes, and `noise` the covariance of them.
    evaluations : int
        How often the model is asked of each row, 2 where the code doubles its batch.
    """

    level: float
    shift: Array
    slope: Array
    noise: Array
    evaluations: int = 1

    def moments(self, start: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
        """Means and variances, mode by mode, from a start of these means and variances, or of this mean and covariance
        in coordinates (N(0, I) by default)."""
        if self.slope.ndim == 2:
            center, covariance = self.together(start)
            return center, np.diagonal(covariance)
        mean, variance = (0.0, 1.0) if start is None else start
        return self.shift + self.slope * mean, self.slope**2 * variance + self.noise

    def together(self, start: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
        """In coordinates: the means of the modes, and their covariance."""
        if start is None:
            return self.shift, self.slope @ self.slope.T + self.noise
        center, covariance = start
        return self.shift + self.slope @ center, self.slope @ covariance @ self.slope.T + self.noise


def _watch(
    frame: Frame, inputs: int, first: int, last: int, known: list[Any], call: int, level: Array, rows: Array, times: int
) -> None:
    """What one call was handed, as far as rows first..last - 1 of the basis tell."""
    d, width = frame.modes, frame.width
    if frame.full and frame.basis is not None:
        rows = rows @ frame.basis
    rows = rows[:, :d]
    if call == len(known):
        levels = np.unique(level)
        shape = (d, d) if frame.full else (d,)
        told = float(levels[0]) if levels.size == 1 else math.nan
        known.append(Call(told, rows[0].copy(), np.zeros(shape), np.zeros(shape), times))
    this, parts = known[call], rows[1:] - rows[0]
    cut = max(0, min(inputs * width, last) - first)
    if frame.full:
        this.slope[:, first : first + cut] = parts[:cut].T
    elif cut:
        this.slope[:] = parts[0]
    drawn = parts[cut:]
    if len(drawn):
        this.noise[:] += drawn.T @ drawn if frame.full else (drawn**2).sum(axis=0)


@dataclass(frozen=True, eq=False)
class Reading:
    """A sampler read on a target: its law from any start, its model calls, and how affine it was.

    Attributes
    ----------
    calls : list of Call
    evaluations : int
        Model evaluations of each row.
    draws : int
    residual : float
        The largest relative misfit of random combinations of start and draws: rounding, where the code is affine.
    dtype : str
        In which it was read.
    in_coordinates : bool
        Whether it was read in coordinates, as it mixes them.
    """

    sampler: Sampler
    target: Target
    affine: Affine

    def __repr__(self) -> str:
        return (
            f"Reading({self.sampler!r}, evaluations={self.evaluations}, draws={self.draws}, "
            f"residual={self.residual:.1g}, {self.dtype})"
        )

    @property
    def calls(self) -> list[Call]:
        return self.affine.calls

    @property
    def evaluations(self) -> int:
        return self.affine.evaluations

    @property
    def draws(self) -> int:
        return self.affine.draws

    @property
    def residual(self) -> float:
        return self.affine.residual

    @property
    def dtype(self) -> str:
        return self.affine.dtype

    @property
    def in_coordinates(self) -> bool:
        return self.affine.frame.full

    @functools.cached_property
    def truth(self) -> Gaussian:
        """The law of the data."""
        return truth_of(self.target)

    def marginal(self, t: float | None) -> Gaussian:
        """The exact law of x_t; of the data where t is None."""
        means, variances = marginal(self.truth, self.sampler.path, t)
        return self.truth.with_modes(variances, means, 4 * 2.0**-53 if t is not None else 0.0)

    @property
    def wanted(self) -> Gaussian:
        """The law that the output should have: the data, or their marginal at the sampler's `end`."""
        return self.marginal(self.sampler.end)

    def start(self, start: Any = "normal") -> tuple[Array, Array]:
        """Means and variances of the start, or mean and covariance in coordinates.

        "exact" is the law of x_T with which the first model call gets the exact marginal of its level.

        Raises
        ------
        ValueError
            For another word, a Gaussian of other modes, or where no start makes the first call exact.
        """
        frame, full = self.affine.frame, self.in_coordinates
        if not isinstance(start, str):
            return frame.start(start, self.truth)
        if start == "normal":
            return frame.start(self.truth.with_modes(1.0, 0.0), self.truth)
        if start != "exact":
            raise ValueError(f"start: expected 'normal', 'exact' or a Gaussian, got {start!r}")
        first = self.calls[0]
        mean, variance = marginal(self.truth, self.sampler.path, first.level)
        if full:
            if self.truth.basis is None:
                counts = self.truth.multiplicities.astype(int)
                mean, variance = np.repeat(mean, counts), np.repeat(variance, counts)
            if first.noise.any() or np.linalg.matrix_rank(first.slope) < len(first.slope):
                raise ValueError(
                    "start: no start is known to make the first model call exact, in coordinates and after draws, or "
                    "where not all of x_T reaches it"
                )
            back = np.linalg.inv(first.slope)
            left = variance - first.noise
            covariance = (back * left) @ back.T
            center = back @ (mean - first.shift)
        else:
            left = variance - first.noise
            with np.errstate(divide="ignore", invalid="ignore"):
                covariance, center = left / first.slope**2, (mean - first.shift) / first.slope
        if not (left >= 0).all() or not np.isfinite(covariance).all() or not np.isfinite(center).all():
            raise ValueError("start: no start makes the first model call exact")
        return center, covariance

    def law(self, start: Any = "normal") -> Gaussian:
        """The exact law of the output: from x_T ~ N(0, I), from the start with which the first model call is exact
        ("exact"), or from a Gaussian in the target's modes."""
        center, spread = self.start(start)
        a, slope = self.affine, self.affine.slopes[0, 0]
        if self.in_coordinates:
            return coordinate_law(a, self.wanted, a.shift[0] + slope @ center, slope @ spread @ slope.T + a.noise[0, 0])
        return mode_law(a, self.wanted, a.shift[0] + slope * center, slope**2 * spread + a.noise[0, 0])

    def bookkeeping(self, start: Any = "exact") -> list[Booked]:
        """What every model call was told and handed: its level, the moments of its input beside those of the exact
        marginal, and the level that it looks like. From the start with which the first call is exact, where there is
        one, so that what is seen is not the start's error.

        Examples
        --------
        >>> import numpy as np
        >>> from rmverify import Gaussian, paths
        >>> def euler(model, x, noise):  # of the probability flow, twice
        ...     x = 8 * x
        ...     for s, s_next in ((8.0, 4.0), (4.0, 2.0)):
        ...         x = x + (s_next - s) * (x - model(x, s)) / s
        ...     return x
        >>> first, second = Sampler(euler, path=paths.VE(), predicts="x0").read(Gaussian([0.0], [4.0])).bookkeeping()
        >>> first.misfit, second.level, second.due_variance, second.variance.round(2)
        (0.0, 4.0, array([20.]), array([19.06]))
        >>> round(second.apparent, 3), round(float(np.cos(np.arctan(8 / 2) - np.arctan(4 / 2)) ** 2 * 20), 2)
        (3.88, 19.06)
        """
        return booked(self, start)

    def input_law(self, call: int, start: Any = "normal") -> Gaussian:
        """The law of what the model was handed in one call."""
        found = self.calls[call]
        given = None if isinstance(start, str) and start == "normal" else self.start(start)
        if not self.in_coordinates:
            mean, variance = found.moments(given)
            return self.truth.with_modes(variance, mean, slip_of(self.affine, mean, variance))
        mean, covariance = found.together(given)
        if self.truth.basis is not None:
            mean, covariance = self.truth.basis @ mean, self.truth.basis @ covariance @ self.truth.basis.T
        size = float((np.abs(mean) + np.sqrt(np.diagonal(covariance))).max())
        return _in_coordinates(mean, covariance, roughness(self.affine) * size)


def mode_law(affine: Affine, wanted: Gaussian, means: Array, variances: Array) -> Gaussian:
    """The law of these means and variances of modes, with what rounding leaves unknown of it."""
    _refuse_overflow(means, variances)
    refuse_lost(affine, means, variances, wanted.variances)
    most = unknown(affine, means, variances)
    flat = (wanted.variances == 0) & (variances <= most**2)  # as flat as the data, as far as can be seen
    spread = np.sqrt(np.where(flat, 0.0, variances))
    rounding = np.divide(most, spread, out=np.zeros_like(most), where=spread > 0)
    rounding[flat & ((affine.unsure[0] > 0) | (means != wanted.means))] = roughness(affine)
    return wanted.with_modes(np.where(flat, 0.0, variances), means, rounding)


def coordinate_law(affine: Affine, wanted: Gaussian, mean: Array, covariance: Array) -> Gaussian:
    """The same in coordinates."""
    _refuse_overflow(mean, covariance)
    law = _in_coordinates(mean, covariance, float(unknown(affine, mean, np.diagonal(covariance)).max()))
    refuse_lost(affine, np.abs(mean).max(), law.variances.min(), float(wanted.variances.min()))
    return law


def _in_coordinates(mean: Array, covariance: Array, unsure: float) -> Gaussian:
    """The law of these moments, whose numbers are known to `unsure`."""
    law = Gaussian(mean, (covariance + covariance.T) / 2)
    most = unsure * float(np.sqrt(law.variances.max()))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(law.variances > 0, most / law.variances, 0.0)
    return Gaussian._raw(law.variances, law.means, law.multiplicities, law.basis, relative)


def _refuse_overflow(means: Array, variances: Array) -> None:
    if not (np.isfinite(means).all() and np.isfinite(variances).all()):
        raise NotFinite("run: the law of its output overflows")
