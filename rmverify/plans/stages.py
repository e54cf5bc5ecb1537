r"""Plans: what is run, from noise level T down to the early-stopping level, and what it costs.

A plan is a sequence of stages. ``Predict`` moves the noise level down a list of times; ``Correct`` keeps the
level and runs Langevin steps, with a velocity drawn fresh at its start and kept inside it. Counts of score
evaluations and of sequential rounds are not declared but read off: each scheme is run once on a probe.

"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rmverify.elementary import like as like_array
from rmverify.numbers.checks import Array, brief, finite_array, number, positive_integer
from rmverify.schemes import contract
from rmverify.schemes.contract import Scheme

__all__ = ["Correct", "Footprint", "Plan", "Predict", "Stage", "footprint"]

_LONGEST = 4096  # strata or cells that a probe holds as they are
_DIMENSIONS = 64  # in which a step is tried that runs in one dimension only
_PROBED = 4096  # steps of a stage that are probed one by one, where a step may ask for something else at each level


# --- what a scheme costs and draws --------------------------------------------------------------------------


@dataclass(frozen=True)
class Footprint:
    """What one step asks for: score calls (rounds), score evaluations, and the numbers it draws that are not normal.

    `uniforms` lists, draw by draw, the number of strata of each (1 for a plain uniform, a choice or a duration), and
    `kinds` whether it was a "uniform", a "bernoulli" or an "exponential" one (all uniform where it is empty); `width`
    is how many evaluations the widest round asks at once; `noises` how many copies of a normal draw it asks for at
    most, 0 where it draws none.
    """

    rounds: int
    evaluations: int
    uniforms: tuple[int, ...]
    width: int = 1
    noises: int = field(default=0, repr=False, compare=False)
    kinds: tuple[str, ...] = field(default=(), repr=False)

    @property
    def alphas(self) -> int:
        """How many numbers one step draws that are not normal: midpoints, choices and durations."""
        return sum(self.uniforms)

    @property
    def plain(self) -> bool:
        """Whether all of them are uniform."""
        return not self.kinds

    @property
    def slots(self) -> list[str]:
        """The kind of each of them."""
        kinds = self.kinds or ("uniform",) * len(self.uniforms)
        return [kind for kind, count in zip(kinds, self.uniforms, strict=True) for _ in range(count)]

    @property
    def stratum(self) -> Array:
        """Of each uniform, the stratum k that it lies in: [k/R, (k+1)/R], R its entry in `strata`."""
        return np.concatenate([np.arange(r, dtype=float) for r in self.uniforms] or [np.zeros(0)])

    @property
    def strata(self) -> Array:
        """Of each uniform, the number of strata."""
        return np.concatenate([np.full(r, float(r)) for r in self.uniforms] or [np.zeros(0)])

    def placed(self, u: Array) -> Array:
        """Numbers of [0, 1], one of each draw along the first axis, inside their strata."""
        shape = (-1, *(1,) * (np.ndim(u) - 1))
        return np.asarray((u + self.stratum.reshape(shape)) / self.strata.reshape(shape))


class _Probe:
    """A draw of zeros that remembers what was asked of it.

    More strata or cells than `_LONGEST` are stood in for by a shorter axis, each count by a length of its own.
    """

    def __init__(self, dim: int, like: Any) -> None:
        self._dim, self._like = dim, like
        self.uniforms: list[int] = []
        self.kinds: list[str] = []
        self.counts: dict[int, int] = {}
        self.noises = 0

    def _length(self, count: int) -> int:
        if count <= _LONGEST:
            return count
        known = [length for length, meant in self.counts.items() if meant == count]
        length = known[0] if known else _LONGEST + 1 + len(self.counts)
        self.counts[length] = count
        return length

    def meant(self, length: int) -> int:
        """What a leading axis of this length stands for, also of several such axes joined."""
        return next((length // short * count for short, count in self.counts.items() if length % short == 0), length)

    def _note(self, kind: str, count: int = 1) -> Any:
        self.kinds.append(kind)
        self.uniforms.append(count)
        return self.lift(np.full((1, 1), 0.5 if kind == "uniform" else 1.0))

    def lift(self, values: Array) -> Any:
        return values if self._like is None else like_array(values, self._like)

    def uniform(self) -> Any:
        return self._note("uniform")

    def bernoulli(self, p: Any) -> Any:
        return self._note("bernoulli")

    def exponential(self) -> Any:
        return self._note("exponential")

    def strata(self, count: int) -> Any:
        self._note("uniform", count)
        length = self._length(count)
        lo = (np.arange(length) / length).reshape(length, 1, 1)
        return self.lift(lo), self.lift(lo + 0.5 / length)

    def cells(self, count: int) -> Any:
        length = self._length(count)
        return self.lift(np.arange(length, dtype=float).reshape(length, 1, 1))

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        contract.check_covariance(covariance, values=False)
        self.noises = max(self.noises, count or 1)
        shape = (1, self._dim) if count is None else (self._length(count), 1, self._dim)
        return [self.lift(np.zeros(shape)) for _ in covariance]


def footprint(scheme: Scheme, t: float = 1.0, h: float = 2.0**-20, *, like: Any = None) -> Footprint:
    """Run one step of `scheme` on a single zero and count.

    By default a short step from noise level 1, in which hardly any friction overflows. A step that only runs in one
    dimension (it holds a vector or a matrix) is run in the least one, up to 64, in which it does. It is run on arrays
    of the library, dtype and device of `like`, on NumPy's where there is none.

    Raises
    ------
    ValueError
        Where the step raises an error on these arrays.

    Examples
    --------
    >>> from rmverify.schemes import parallel_midpoint
    >>> footprint(parallel_midpoint(strata=4, rounds=2))
    Footprint(rounds=4, evaluations=13, uniforms=(4,), width=4)
    """
    _known(scheme)
    step, keywords = contract.unwrap(scheme)
    known = contract.shipped(scheme) and all(isinstance(value, Hashable) for value in keywords.values())
    if known and like is None:
        return _cached_footprint(step, tuple(sorted(keywords.items())), t, h)
    return _footprint(step, tuple(keywords.items()), t, h, like)


def _footprint(step: Any, keywords: tuple[tuple[str, Any], ...], t: float, h: float, like: Any = None) -> Footprint:
    first: Exception | None = None
    for dim in range(1, _DIMENSIONS + 1):
        try:
            return _probed(step, dict(keywords), t, h, dim, like)
        except Exception as error:  # such as shapes that do not fit; of the first dimension it is the one to tell
            first = first or error
    library = "NumPy" if like is None else array_namespace(like).__name__.removeprefix("array_api_compat.")
    raise ValueError(
        f"scheme: cannot count the score evaluations of {contract.name(step)}: on {library} arrays it raised "
        f"{type(first).__name__} ({first})"
    ) from first


_cached_footprint = functools.lru_cache(maxsize=256)(_footprint)


def _probed(step: Any, keywords: dict[str, Any], t: float, h: float, dim: int, like: Any) -> Footprint:
    probe, calls = _Probe(dim, like), []

    def score(t: Any, x: Any) -> Any:
        calls.append(math.prod(map(probe.meant, x.shape[:-2])))
        return probe.lift(np.zeros(x.shape))

    x, v = (probe.lift(np.zeros((1, dim))) for _ in range(2))
    state = (x, v) if getattr(step, "kinetic", False) else x
    with np.errstate(all="ignore"):
        step(state, t, h, score, probe, **keywords)
    kinds = tuple(probe.kinds) if {*probe.kinds} - {"uniform"} else ()
    return Footprint(len(calls), sum(calls), tuple(probe.uniforms), max(calls, default=1), probe.noises, kinds)


# --- stages -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Stage:
    """A run of steps of one scheme. Two stages are equal when their configurations are."""

    scheme: Scheme

    @property
    def start(self) -> float:
        """The noise level at which the stage starts."""
        raise NotImplementedError

    @property
    def end(self) -> float:
        """The noise level at which it ends."""
        raise NotImplementedError

    @property
    def footprint(self) -> Footprint:
        """What one step asks for; of a step that asks the score more often at some levels, the most."""
        return self._counted[0]

    @property
    def evaluations(self) -> int:
        """Score evaluations of the whole stage, each on one particle."""
        return self._counted[1]

    @property
    def rounds(self) -> int:
        """Sequential rounds of score evaluations of the whole stage."""
        return self._counted[2]

    @functools.cached_property
    def _counted(self) -> tuple[Footprint, int, int]:
        """The largest footprint of the steps, and the sums of their evaluations and rounds."""
        if contract.shipped(self.scheme):
            foot = footprint(self.scheme)
            return foot, len(self) * foot.evaluations, len(self) * foot.rounds
        each = self._footprints()
        largest = max(each, key=lambda foot: foot.evaluations)
        other = next((foot for foot in each if foot.slots != largest.slots), None)
        if other is not None:
            raise ValueError(
                f"scheme: {contract.name(self.scheme)} draws {_drawn(largest)} in some steps and {_drawn(other)} in "
                "others; put each kind of step into a stage of its own"
            )
        largest = replace(largest, noises=max(foot.noises for foot in each))
        share = len(self) / len(each)
        sums = (round(share * sum(getattr(foot, name) for foot in each)) for name in ("evaluations", "rounds"))
        return largest, *sums

    def widest(self, like: Any = None) -> int:
        """How many evaluations the widest round asks of a particle at once. A step that does not run on NumPy arrays
        is looked at on arrays like this one; 1 where it runs on neither, and so cannot be sampled."""
        try:
            return self.footprint.width
        except ValueError:
            try:
                return max(foot.width for foot in self._footprints(like))
            except ValueError:
                return 1

    def _footprints(self, like: Any = None) -> list[Footprint]:
        """What steps all over the stage ask for: every one, or of a long stage a few thousand where they agree."""
        if isinstance(self, Correct):
            return [footprint(self.scheme, self.time, self.step, like=like)]
        t, h = self.grid

        def told(t: Array, h: Array) -> list[Footprint]:
            return [footprint(self.scheme, *which, like=like) for which in zip(t.tolist(), h.tolist(), strict=True)]

        some = np.unique(np.linspace(0, len(t) - 1, min(len(t), _PROBED)).astype(int))
        found = told(t[some], h[some])
        return found if len(found) == len(t) or len(set(found)) == 1 else told(t, h)

    @property
    def configuration(self) -> dict[str, Any]:
        """The stage as plain data: its kind, the scheme's name and parameters, and its own numbers."""
        step, _ = contract.unwrap(self.scheme)
        name = f"{step.__module__}.{step.__qualname__}"
        return {"stage": type(self).__name__, "scheme": name, **contract.parameters(self.scheme)}

    @property
    def grid(self) -> tuple[Array, Array]:
        """The noise level t and the length h of every step, each of shape (N,)."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.grid[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.configuration == other.configuration

    def __hash__(self) -> int:
        plain = {name: tuple(v) if isinstance(v, list) else v for name, v in self.configuration.items()}
        return hash(tuple(sorted(plain.items())))


@dataclass(frozen=True, eq=False, repr=False)
class Predict(Stage):
    """Predictor steps down the noise levels `times`.

    Parameters
    ----------
    scheme : scheme on x
    times : array_like, shape (N+1,)
        Strictly decreasing, the last one >= 0.

    Examples
    --------
    >>> from rmverify import Predict, schemes
    >>> stage = Predict(schemes.heun, [2.0, 1.0, 0.5])
    >>> stage
    Predict(heun, levels 2 to 0.5, 2 steps)
    >>> len(stage), stage.start, stage.end
    (2, 2.0, 0.5)
    """

    times: Array

    def __post_init__(self) -> None:
        _known(self.scheme)
        given = np.asarray(self.times)
        if given.dtype.kind == "f" and np.isposinf(given).any():
            raise ValueError(
                f"times: expected finite noise levels, got inf at index {int(np.argmax(given))}; start at t = 20 "
                "instead, where a law of variance 1 is N(0, I) to every digit"
            )
        times = finite_array("times", self.times, ndim=1)
        if times.size < 2 or not (np.diff(times) < 0).all() or times[-1] < 0:
            raise ValueError(
                f"times: expected two or more strictly decreasing noise levels, all >= 0, got {brief(times)}"
            )
        if contract.velocity_variance(self.scheme) is not None:
            raise ValueError(
                f"scheme: {contract.name(self.scheme)} carries a velocity, so it is no predictor; use it in Correct"
            )
        times.setflags(write=False)
        object.__setattr__(self, "times", times)

    def __repr__(self) -> str:
        return f"Predict({contract.text(self.scheme)}, levels {self.start:.6g} to {self.end:.6g}, {_steps(len(self))})"

    @property
    def start(self) -> float:
        return float(self.times[0])

    @property
    def end(self) -> float:
        return float(self.times[-1])

    @property
    def grid(self) -> tuple[Array, Array]:
        return self.times[:-1], -np.diff(self.times)

    @property
    def configuration(self) -> dict[str, Any]:
        return super().configuration | {"times": self.times.tolist()}


@dataclass(frozen=True, eq=False, repr=False)
class Correct(Stage):
    """`steps` corrector steps of Langevin time `step` at the noise level `time`; T_corr = step * steps.

    Parameters
    ----------
    scheme : scheme on x or on (x, v)
    time : number >= 0
        The noise level, equal to the end of the stage before.
    step : number > 0
    steps : int >= 1

    Examples
    --------
    >>> from rmverify import Correct, schemes
    >>> stage = Correct(schemes.underdamped(friction=2), time=0.5, step=0.05, steps=4)
    >>> stage
    Correct(underdamped(friction=2), level 0.5, 4 steps of 0.05)
    >>> len(stage), stage.footprint.evaluations
    (4, 1)
    """

    time: float
    step: float
    steps: int

    def __post_init__(self) -> None:
        _known(self.scheme)
        object.__setattr__(self, "time", number("time", self.time, least=0))
        object.__setattr__(self, "step", number("step", self.step, above=0))
        object.__setattr__(self, "steps", positive_integer("steps", self.steps))

    def __repr__(self) -> str:
        return f"Correct({contract.text(self.scheme)}, level {self.time:.6g}, {_steps(self.steps)} of {self.step:.6g})"

    @property
    def start(self) -> float:
        return self.time

    @property
    def end(self) -> float:
        return self.time

    @property
    def grid(self) -> tuple[Array, Array]:
        return np.full(self.steps, self.time), np.full(self.steps, self.step)

    def __len__(self) -> int:
        return self.steps  # of a stage that is too long for arrays too

    @property
    def configuration(self) -> dict[str, Any]:
        return super().configuration | {"time": self.time, "step": self.step, "steps": self.steps}


@dataclass(frozen=True, repr=False)
class Plan:
    """Stages, one after the other; each starts at the noise level where the one before ended.

    Examples
    --------
    >>> from rmverify import Plan, Predict, schemes
    >>> plan = Plan([Predict(schemes.randomized_midpoint, [2.0, 1.0, 0.5])])
    >>> plan
    Plan([Predict(randomized_midpoint, levels 2 to 0.5, 2 steps)], evaluations=4)
    >>> plan.evaluations, plan.rounds, plan.start, plan.end
    (4, 4, 2.0, 0.5)
    """

    stages: tuple[Stage, ...]
    needs: tuple[float, float] | None = field(default=None, compare=False)
    """Strong concavity m and smoothness L of the targets that it is made for; None where it is for any."""

    def __init__(self, stages: Iterable[Stage], needs: tuple[float, float] | None = None) -> None:
        object.__setattr__(self, "needs", needs)
        if isinstance(stages, Stage):
            raise ValueError(
                f"stages: expected a sequence of stages, got one {type(stages).__name__}; put it in a list"
            )
        object.__setattr__(self, "stages", tuple(stages))
        if not self.stages:
            raise ValueError("stages: a plan needs at least one stage, got none")
        for stage in self.stages:
            if not isinstance(stage, Predict | Correct):
                raise ValueError(f"stages: expected Predict or Correct, got {type(stage).__name__}")
        for before, after in itertools.pairwise(self.stages):
            if before.end != after.start:
                raise ValueError(
                    "stages: each stage must start where the previous one ends; got a start at "
                    f"{after.start!r} after an end at {before.end!r}"
                )

    def __repr__(self) -> str:
        first, *rest = self.stages
        shown = [repr(first), *(["..."] if len(rest) > 1 else []), *(repr(stage) for stage in rest[-1:])]
        count = f", {len(self.stages)} stages" if len(rest) > 1 else ""
        try:
            cost = f", evaluations={self.evaluations}"
        except ValueError:  # a step that cannot be counted, which only its use has to refuse
            cost = ""
        return f"Plan([{', '.join(shown)}]{count}{cost})"

    def admit(self, target: object) -> None:
        """Refuse a target outside the class that the plan is made for, m I <= -grad^2 ln density <= L I.

        Raises
        ------
        ValueError
            With both constants of the class and of the target.
        """
        if self.needs is None:
            return
        m, L = self.needs
        law = getattr(target, "target", target)  # of an estimated score
        concave, smooth = (getattr(law, name, None) for name in ("strong_concavity", "smoothness"))
        if concave is None or smooth is None:
            raise ValueError(
                f"target: the plan needs strong concavity >= {m:g} and smoothness <= {L:g}, and "
                f"{type(law).__name__} does not state its own; pass its score function instead"
            )
        if not (concave >= m * (1 - 1e-9) and smooth <= L * (1 + 1e-9)):
            raise ValueError(
                f"target: the plan needs strong concavity >= {m:g} and smoothness <= {L:g}, got strong concavity "
                f"{concave:g} and smoothness {smooth:g}"
            )

    def __iter__(self) -> Iterator[Any]:
        return iter(self.stages)

    @property
    def start(self) -> float:
        """The noise level at which the plan starts, T."""
        return self.stages[0].start

    @property
    def end(self) -> float:
        """The noise level at which it ends, delta."""
        return self.stages[-1].end

    @property
    def evaluations(self) -> int:
        """Score evaluations in all, each on one particle."""
        return sum(s.evaluations for s in self.stages)

    @property
    def rounds(self) -> int:
        """Sequential rounds of score evaluations."""
        return sum(s.rounds for s in self.stages)

    @property
    def drawing_steps(self) -> int:
        """How many steps draw a midpoint: the length of `alphas` in `output_law`."""
        return sum(len(s) for s in self.stages if s.footprint.alphas)

    @property
    def configuration(self) -> list[dict[str, Any]]:
        return [s.configuration for s in self.stages]


def _drawn(foot: Footprint) -> str:
    return ", ".join(f"{foot.slots.count(kind)} {kind}" for kind in dict.fromkeys(foot.slots)) or "no midpoint"


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"


def _known(scheme: Scheme) -> None:
    if not callable(scheme):
        raise ValueError(f"scheme: expected a step function, got {type(scheme).__name__}")
    contract.check_parameters(scheme)
    if needed := contract.missing_parameters(scheme):
        name = contract.name(scheme)
        raise ValueError(f"scheme: {name} needs {', '.join(needed)}; pass {name}({needed[0]}=...)")
