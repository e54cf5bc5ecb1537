r"""Plans: what is run, from noise level T down to the early-stopping level, and what it costs.

A plan is a sequence of stages. ``Predict`` moves the noise level down a list of times; ``Correct`` keeps the
level and runs Langevin steps, with a velocity drawn fresh at its start and kept inside it. Counts of score
evaluations and of sequential rounds are not declared but read off: each scheme is run once on a probe.

Symbols of the theorems: d dimension, L smoothness of the score along the path, eps accuracy in total variation,
T horizon, delta early-stopping level, tau = T_corr the corrector's time, g friction.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rmverify.schemes import (
    exponential_integrator,
    parallel_midpoint,
    parallel_underdamped,
    randomized_midpoint,
    underdamped,
)
from rmverify.schemes.contract import (
    Scheme,
    check_parameters,
    missing_parameters,
    parameters,
    unwrap,
    velocity_variance,
)
from rmverify.targets.checks import Array, finite_array, number

__all__ = [
    "Correct",
    "Footprint",
    "Plan",
    "Predict",
    "Stage",
    "dpum",
    "footprint",
    "parallel",
    "rounds_of",
    "sequential",
]

_LONGEST = 4096  # strata or cells that a probe holds as they are


# --- what a scheme costs and draws --------------------------------------------------------------------------


@dataclass(frozen=True)
class Footprint:
    """What one step asks for: score calls (rounds), score evaluations, and the uniforms it draws.

    `uniforms` lists, draw by draw, the number of strata of each (1 for a plain uniform); `width` is how many
    evaluations the widest round asks at once; `noises` how many copies of a normal draw it asks for at most.
    """

    rounds: int
    evaluations: int
    uniforms: tuple[int, ...]
    width: int = 1
    noises: int = field(default=1, repr=False, compare=False)

    @property
    def alphas(self) -> int:
        """How many uniform numbers one step uses."""
        return sum(self.uniforms)

    @property
    def stratum(self) -> Array:
        """Of each uniform, the stratum k that it lies in: [k/R, (k+1)/R], R its entry in `strata`."""
        return np.concatenate([np.arange(r, dtype=float) for r in self.uniforms] or [np.zeros(0)])

    @property
    def strata(self) -> Array:
        """Of each uniform, the number of strata."""
        return np.concatenate([np.full(r, float(r)) for r in self.uniforms] or [np.zeros(0)])


class _Probe:
    """A draw of zeros that remembers what was asked of it.

    More strata or cells than `_LONGEST` are stood in for by a shorter axis, each count by a length of its own.
    """

    def __init__(self) -> None:
        self.uniforms: list[int] = []
        self.counts: dict[int, int] = {}
        self.noises = 1

    def _length(self, count: int) -> int:
        if count <= _LONGEST:
            return count
        known = [length for length, meant in self.counts.items() if meant == count]
        length = known[0] if known else _LONGEST + 1 + len(self.counts)
        self.counts[length] = count
        return length

    def uniform(self) -> Any:
        self.uniforms.append(1)
        return np.full((1, 1), 0.5)

    def strata(self, count: int) -> Any:
        self.uniforms.append(count)
        length = self._length(count)
        lo = (np.arange(length) / length).reshape(length, 1, 1)
        return lo, lo + 0.5 / length

    def cells(self, count: int) -> Any:
        length = self._length(count)
        return np.arange(length, dtype=float).reshape(length, 1, 1)

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        self.noises = max(self.noises, count or 1)
        shape = (1, 1) if count is None else (self._length(count), 1, 1)
        return [np.zeros(shape) for _ in covariance]


def footprint(scheme: Scheme) -> Footprint:
    """Run one step of `scheme` on a single zero and count.

    Examples
    --------
    >>> from rmverify.schemes import parallel_midpoint
    >>> footprint(parallel_midpoint(strata=4, rounds=2))
    Footprint(rounds=4, evaluations=13, uniforms=(4,), width=4)
    """
    step, keywords = unwrap(scheme)
    try:
        return _footprint(step, tuple(sorted(keywords.items())))
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _footprint.__wrapped__(step, tuple(sorted(keywords.items())))


@functools.lru_cache(maxsize=256)
def _footprint(step: Any, keywords: tuple[tuple[str, Any], ...]) -> Footprint:
    probe, calls = _Probe(), []

    def score(t: Any, x: Any) -> Any:
        calls.append(math.prod(probe.counts.get(length, length) for length in np.shape(x)[:-2]))
        return np.zeros(np.shape(x))

    x = np.zeros((1, 1))
    state = (x, x) if getattr(step, "kinetic", False) else x
    step(state, 1.0, 2.0**-20, score, probe, **dict(keywords))  # short: no friction overflows
    return Footprint(len(calls), sum(calls), tuple(probe.uniforms), max(calls, default=1), probe.noises)


# --- stages -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
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
        return footprint(self.scheme)

    @property
    def configuration(self) -> dict[str, Any]:
        """The stage as plain data: its kind, the scheme's name and parameters, and its own numbers."""
        step, _ = unwrap(self.scheme)
        name = f"{step.__module__}.{step.__qualname__}"
        return {"stage": type(self).__name__, "scheme": name, **parameters(self.scheme)}

    @property
    def steps_(self) -> tuple[Array, Array]:
        """The noise level t and the length h of every step, each of shape (N,)."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.steps_[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.configuration == other.configuration

    def __hash__(self) -> int:
        plain = {name: tuple(v) if isinstance(v, list) else v for name, v in self.configuration.items()}
        return hash(tuple(sorted(plain.items())))


@dataclass(frozen=True, eq=False)
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
    >>> len(stage), stage.start, stage.end
    (2, 2.0, 0.5)
    """

    times: Array

    def __post_init__(self) -> None:
        _known(self.scheme)
        times = finite_array("times", self.times, ndim=1)
        if times.size < 2 or not (np.diff(times) < 0).all() or times[-1] < 0:
            raise ValueError(
                f"times: expected at least two strictly decreasing levels down to >= 0, got {_brief(times)}"
            )
        if velocity_variance(self.scheme) is not None:
            raise ValueError(f"scheme: a predictor moves x alone, got {_name(self.scheme)}, which carries a velocity")
        times.setflags(write=False)
        object.__setattr__(self, "times", times)

    @property
    def start(self) -> float:
        return float(self.times[0])

    @property
    def end(self) -> float:
        return float(self.times[-1])

    @property
    def steps_(self) -> tuple[Array, Array]:
        return self.times[:-1], -np.diff(self.times)

    @property
    def configuration(self) -> dict[str, Any]:
        return super().configuration | {"times": self.times.tolist()}


@dataclass(frozen=True, eq=False)
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
        count = number("steps", self.steps, least=1)
        if count != math.floor(count):
            raise ValueError(f"steps: expected an integer >= 1, got {self.steps!r}")
        object.__setattr__(self, "steps", int(count))

    @property
    def start(self) -> float:
        return self.time

    @property
    def end(self) -> float:
        return self.time

    @property
    def steps_(self) -> tuple[Array, Array]:
        return np.full(self.steps, self.time), np.full(self.steps, self.step)

    @property
    def configuration(self) -> dict[str, Any]:
        return super().configuration | {"time": self.time, "step": self.step, "steps": self.steps}


@dataclass(frozen=True, eq=False)
class Plan:
    """Stages, one after the other; each starts at the noise level where the one before ended.

    Examples
    --------
    >>> from rmverify import Plan, Predict, schemes
    >>> plan = Plan([Predict(schemes.randomized_midpoint, [2.0, 1.0, 0.5])])
    >>> plan.evaluations, plan.rounds, plan.start, plan.end
    (4, 4, 2.0, 0.5)
    """

    stages: tuple[Stage, ...] = field()

    def __init__(self, stages: Iterable[Stage]) -> None:
        if isinstance(stages, Stage):
            raise ValueError(
                f"stages: expected a sequence of stages, got one {type(stages).__name__}; put it in a list"
            )
        object.__setattr__(self, "stages", tuple(stages))
        if not self.stages:
            raise ValueError("stages: expected at least one stage, got none")
        for stage in self.stages:
            if not isinstance(stage, Predict | Correct):
                raise ValueError(f"stages: expected Predict or Correct, got {type(stage).__name__}")
        for before, after in itertools.pairwise(self.stages):
            if before.end != after.start:
                raise ValueError(f"stages: a stage at level {after.start!r} follows one that ends at {before.end!r}")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.stages)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.stages == other.stages

    def __hash__(self) -> int:
        return hash(self.stages)

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
        return sum(len(s) * s.footprint.evaluations for s in self.stages)

    @property
    def rounds(self) -> int:
        """Sequential rounds of score evaluations."""
        return sum(len(s) * s.footprint.rounds for s in self.stages)

    @property
    def drawing_steps(self) -> int:
        """How many steps draw a midpoint: the length of `alphas` in `output_law`."""
        return sum(len(s) for s in self.stages if s.footprint.alphas)

    @property
    def configuration(self) -> list[dict[str, Any]]:
        return [s.configuration for s in self.stages]


def _name(scheme: Scheme) -> str:
    step, _ = unwrap(scheme)
    return str(getattr(step, "__name__", step))


def _known(scheme: Scheme) -> None:
    if not callable(scheme):
        raise ValueError(f"scheme: expected a step function, got {type(scheme).__name__}")
    check_parameters(scheme)
    needed = missing_parameters(scheme)
    if needed:
        raise ValueError(f"scheme: {_name(scheme)} needs {', '.join(needed)}; give {_name(scheme)}({needed[0]}=...)")


def _brief(times: Array) -> str:
    return np.array2string(times, threshold=6, edgeitems=2)


# --- the theorems' plans ------------------------------------------------------------------------------------

_LENGTHS: Mapping[str, Callable[[float, float, float], tuple[float, float, float]]] = {
    "sequential": lambda d, L, eps: (
        L ** (-5 / 3) * d ** (-7 / 18) * eps ** (2 / 3),
        L ** (-3 / 2) * d ** (-17 / 36) * eps,
        1 / (math.sqrt(L) * d ** (1 / 18)),
    ),
    "dpum": lambda d, L, eps: (eps / (L**2 * math.sqrt(d)), eps / (L ** (3 / 2) * math.sqrt(d)), 1 / math.sqrt(L)),
}
"""h_pred, h_corr and T_corr of a theorem, every constant 1."""


def sequential(
    dim: int,
    smoothness: float,
    accuracy: float,
    *,
    second_moment: float | None = None,
    early_stop: float | None = None,
    horizon: float | None = None,
    horizon_constant: float = 1,
    window_constant: float = 1,
    predictor_constant: float = 1,
    corrector_constant: float = 1,
    corrector_time_constant: float = 1,
    friction_constant: float = 1,
    scheme: Scheme = randomized_midpoint,
) -> Plan:
    r"""The sequential algorithm: randomized midpoints, an underdamped corrector after every window of length 1/L.

    h_pred = c L^{-5/3} d^{-7/18} eps^{2/3}, h_corr = c L^{-3/2} d^{-17/36} eps, T_corr = c L^{-1/2} d^{-1/18},
    friction = c sqrt(L), T = c ln(max(d, m_2^2)/eps^2), every c an argument.

    Source: Gupta, Cai, Chen 2024, Algorithm 3 and its theorem's parameters [quoted; constants not given there].

    Parameters
    ----------
    dim : int
        d.
    smoothness : float >= 1
        L of the score along the whole path (`Gaussian.path_smoothness`).
    accuracy : float in (0, 1)
        eps, in total variation.
    second_moment : float, optional
        m_2 = sqrt(E|X_0|^2); sqrt(d) by default.
    early_stop : float, optional
        delta; by default eps^2/(L^2 max(d, m_2^2)).
    horizon : float, optional
        T itself, in place of the formula.
    *_constant : float
        The c of each formula.

    Returns
    -------
    Plan

    Examples
    --------
    >>> sequential(100, 4.0, 0.1).end == 0.1**2 / (16 * 100)
    True
    """
    d, L, eps = _theorem(dim, smoothness, accuracy)
    h_pred, h_corr, t_corr = _LENGTHS["sequential"](d, L, eps)
    return _Windows(
        scheme,
        _levels(d, L, eps, second_moment, early_stop, horizon, horizon_constant),
        window=_positive("window_constant", window_constant) / L,
        h_pred=_positive("predictor_constant", predictor_constant) * h_pred,
        h_corr=_positive("corrector_constant", corrector_constant) * h_corr,
        t_corr=_positive("corrector_time_constant", corrector_time_constant) * t_corr,
        friction=_positive("friction_constant", friction_constant) * math.sqrt(L),
    ).plan()


def dpum(
    dim: int,
    smoothness: float,
    accuracy: float,
    *,
    second_moment: float | None = None,
    early_stop: float | None = None,
    horizon: float | None = None,
    horizon_constant: float = 1,
    window_constant: float = 1,
    predictor_constant: float = 1,
    corrector_constant: float = 1,
    corrector_time_constant: float = 1,
    friction_constant: float = 1,
    scheme: Scheme = exponential_integrator,
) -> Plan:
    r"""The probability-flow predictor with underdamped corrector (DPUM) of Chen et al. 2023.

    h_pred = c eps/(L^2 sqrt(d)), h_corr = c eps/(L^{3/2} sqrt(d)), T_corr = c/sqrt(L), friction = c sqrt(L); the
    rest as in `sequential`, whose arguments these are.

    Source: Chen, Chewi, Lee, Li, Lu, Salim 2023 (arXiv 2305.11798), Theorem on DPUM [quoted].

    Examples
    --------
    >>> dpum(100, 4.0, 0.1).evaluations > sequential(100, 4.0, 0.1).evaluations / 10
    True
    """
    d, L, eps = _theorem(dim, smoothness, accuracy)
    h_pred, h_corr, t_corr = _LENGTHS["dpum"](d, L, eps)
    return _Windows(
        scheme,
        _levels(d, L, eps, second_moment, early_stop, horizon, horizon_constant),
        window=_positive("window_constant", window_constant) / L,
        h_pred=_positive("predictor_constant", predictor_constant) * h_pred,
        h_corr=_positive("corrector_constant", corrector_constant) * h_corr,
        t_corr=_positive("corrector_time_constant", corrector_time_constant) * t_corr,
        friction=_positive("friction_constant", friction_constant) * math.sqrt(L),
    ).plan()


def parallel(
    dim: int,
    smoothness: float,
    accuracy: float,
    *,
    second_moment: float | None = None,
    early_stop: float | None = None,
    horizon: float | None = None,
    horizon_constant: float = 1,
    predictor_constant: float = 0.5,
    strata_constant: float = 1,
    picard_constant: float = 1,
    corrector_constant: float = 1,
    corrector_time_constant: float = 1,
    friction_constant: float = 1,
    strata: int | None = None,
    rounds: int | None = None,
    cells: int | None = None,
    corrector_rounds: int | None = None,
) -> Plan:
    r"""The parallel algorithm: one sweep of parallel randomized midpoints from T to delta, then one parallel corrector.

    N steps of length h = c/L, halving the level below 2h, each with R strata and K Picard rounds. The corrector runs
    for T_corr = c/sqrt(L) with friction c sqrt(L), in S = ceil(sqrt(L) T_corr) steps of M cells and K_c rounds. Every
    count is the smallest that keeps its own error below eps:

    ====  ========================================================  ================================================
    R     c max((N d/eps^2)^{1/3}, (N sqrt(d)/eps)^{1/2})           variances sqrt(N d) (Lh)^2/R^{3/2} and the floor
                                                                    of the biases N sqrt(d) (Lh)^3/R^2 (claim B6)
    K     N sqrt(d) rho^K/K! <= c eps, rho = L(e^h - 1)             Picard, predictor: a round contracts by rho
    M     T_corr/(S M) <= c eps/sqrt(L d)                           discretization L^{3/4} T_corr^{1/2} sqrt(d) h_cell
    K_c   sqrt(d) z^{2(K_c-1)}/(2(K_c-1))! <= c eps,                Picard, corrector; at most M rounds, which are M
          z = sqrt(L) T_corr/S                                      underdamped steps exactly
    ====  ========================================================  ================================================

    The factors 1/sqrt(12) and 1/6 of R's two errors are left out, on the safe side. Smoothing over T_corr turns W_2
    into TV at the rate sqrt(L). Errors of different steps are added without amplification: on Gaussian targets the flow
    carries an error and the law's deviation alike; for other scores one sweep may amplify it by up to e^{LT}.
    N(K+2) + S K_c rounds in all, O(L log^2(L d/eps)).

    Source: Gupta, Cai, Chen 2024, Algorithm 6 [recalled: one sweep, one corrector, h = c/L, K logarithmic, R a power],
    its Õ(log^2 d) rounds [abstract] and Õ(L log^2(L d/eps)) [quoted]; the powers of R and both factorials [derived];
    the corrector's discretization Chen et al. 2023 [quoted].

    Parameters
    ----------
    dim, smoothness, accuracy, second_moment, early_stop, horizon
        As in `sequential`, whose T and delta these give.
    predictor_constant : float
        The c of h = c/L, at most L ln(1 + 1/L), where rho = 1.
    strata_constant, corrector_constant : float
        The c of R and of M.
    picard_constant : float
        The c of K and K_c.
    horizon_constant, corrector_time_constant, friction_constant : float
        The c of T, T_corr and the friction.
    strata, rounds, cells, corrector_rounds : int, optional
        R >= 1, K >= 0, M >= 1 (in each step) and K_c >= 1 themselves, in place of the formulas.

    Returns
    -------
    Plan
        Its `rounds` are sequential rounds of score evaluations, its `evaluations` the total work.

    Raises
    ------
    ValueError
        Where an argument makes no sense, or h exceeds ln(1 + 1/L), beyond which a Picard round need not contract.

    Examples
    --------
    >>> plan = parallel(10**6, 4.0, 0.1)
    >>> plan.rounds < sequential(10**6, 4.0, 0.1).rounds / 100, len(plan.stages)
    (True, 2)
    """
    d, L, eps = _theorem(dim, smoothness, accuracy)
    top, delta = _levels(d, L, eps, second_moment, early_stop, horizon, horizon_constant)
    c = _positive("predictor_constant", predictor_constant)
    most = L * math.log1p(1 / L)
    if c > most:
        raise ValueError(
            f"predictor_constant: expected c <= {most:.6g}, so that h = c/L <= ln(1 + 1/L) = {most / L:.6g} and a "
            f"Picard round contracts by L(e^h - 1) <= 1, got {c!r}"
        )
    t_corr = _positive("corrector_time_constant", corrector_time_constant) / math.sqrt(L)
    steps = math.ceil(t_corr * math.sqrt(L) - 1e-9)
    times = _final_levels(top, delta, c / L)
    goal = math.sqrt(d) / eps
    N, slack = len(times) - 1, _positive("picard_constant", picard_constant)
    R = _positive("strata_constant", strata_constant) * max((N * goal**2) ** (1 / 3), math.sqrt(N * goal))
    M = t_corr * math.sqrt(L) * goal / _positive("corrector_constant", corrector_constant) / steps
    M = _whole("cells", cells, 1, M)
    K = _picard_rounds(L * math.expm1(c / L), slack / (N * goal))
    K_c = 1 + -(-_picard_rounds(math.sqrt(L) * t_corr / steps, slack / goal) // 2)
    corrector = parallel_underdamped(
        cells=M,
        rounds=_whole("corrector_rounds", corrector_rounds, 1, min(K_c, M)),
        friction=_positive("friction_constant", friction_constant) * math.sqrt(L),
    )
    predictor = parallel_midpoint(strata=_whole("strata", strata, 1, R), rounds=_whole("rounds", rounds, 0, K))
    return Plan([Predict(predictor, times), Correct(corrector, delta, t_corr / steps, steps)])


def rounds_of(theorem: str, dim: float, smoothness: float, accuracy: float) -> int:
    """Sequential rounds of a theorem's plan with every constant 1, counted without making it: it may have 10^10 steps.

    Examples
    --------
    >>> rounds_of("sequential", 100, 4.0, 0.1) == sequential(100, 4.0, 0.1).rounds
    True
    >>> rounds_of("dpum", 10**12, 4.0, 0.1) > 10**9
    True
    """
    d, L, eps = _theorem(dim, smoothness, accuracy)
    if theorem == "parallel":
        return parallel(dim, smoothness, accuracy).rounds  # type: ignore[arg-type]
    if theorem not in _LENGTHS:
        raise ValueError(f"theorem: expected one of {', '.join(_LENGTHS)}, parallel, got {theorem!r}")
    scheme = {"sequential": randomized_midpoint, "dpum": exponential_integrator}[theorem]
    levels = _levels(d, L, eps, None, None, None, 1)
    return _Windows(scheme, levels, 1 / L, *_LENGTHS[theorem](d, L, eps), math.sqrt(L)).rounds


def _whole(name: str, given: Any, least: int, default: float) -> int:
    """The count given, or else the default rounded up."""
    if given is None:
        return max(least, math.ceil(default - 1e-9))
    count = number(name, given, least=least)
    if count != math.floor(count):
        raise ValueError(f"{name}: expected an integer >= {least}, got {given!r}")
    return int(count)


def _picard_rounds(rho: float, goal: float) -> int:
    """The least k with rho^k/k! <= goal."""
    k, term = 0, 1.0
    while term > goal:
        k += 1
        term *= rho / k
    return k


def _theorem(dim: Any, smoothness: Any, accuracy: Any) -> tuple[float, float, float]:
    d = number("dim", dim, least=1)
    if d != math.floor(d):
        raise ValueError(f"dim: expected an integer >= 1, got {dim!r}")
    L = number("smoothness", smoothness, least=1)
    eps = number("accuracy", accuracy, above=0)
    if not eps < 1:
        raise ValueError(f"accuracy: expected a number in (0, 1), got {eps!r}")
    return d, L, eps


def _positive(name: str, value: Any) -> float:
    return number(name, value, above=0)


def _levels(
    d: float, L: float, eps: float, second_moment: Any, early_stop: Any, horizon: Any, constant: float
) -> tuple[float, float]:
    m2 = math.sqrt(d) if second_moment is None else number("second_moment", second_moment, least=0)
    scale = max(d, m2**2)
    delta = eps**2 / (L**2 * scale) if early_stop is None else number("early_stop", early_stop, above=0)
    constant = _positive("horizon_constant", constant)
    top = constant * math.log(scale / eps**2) if horizon is None else number("horizon", horizon, above=0)
    if not top > max(1 / L, delta):
        raise ValueError(f"horizon: expected T > max(1/L, early_stop) = {max(1 / L, delta):g}, got {top!r}")
    return top, delta


@dataclass(frozen=True)
class _Windows:
    """Windows of equal steps from T down, then steps that halve t to delta; the corrector after every window."""

    scheme: Scheme
    levels: tuple[float, float]
    window: float
    h_pred: float
    h_corr: float
    t_corr: float
    friction: float

    @property
    def corrector_steps(self) -> int:
        return math.ceil(self.t_corr / self.h_corr - 1e-9)

    @property
    def windows(self) -> list[tuple[float, float, int]]:
        """(start, end, steps) of each, down to max(1/L, delta)."""
        top, delta = self.levels
        low = max(self.window, delta)
        edges = max(1, round((top - low) / self.window))
        ends = np.linspace(top, low, edges + 1) if top > low else np.array([top])
        counts = [math.ceil((start - end) / self.h_pred - 1e-9) for start, end in itertools.pairwise(ends)]
        return [(float(a), float(b), n) for (a, b), n in zip(itertools.pairwise(ends), counts, strict=True)]

    @property
    def rest(self) -> tuple[float, float, float]:
        """The level after the windows, delta and h_pred: what is left goes down by `_descent`."""
        return min(self.levels[0], max(self.window, self.levels[1])), self.levels[1], self.h_pred

    def plan(self) -> Plan:
        steps = self.corrector_steps
        corrector = functools.partial(
            Correct, underdamped(friction=self.friction), step=self.t_corr / steps, steps=steps
        )
        stages: list[Stage] = []
        for start, end, count in self.windows:
            stages += [Predict(self.scheme, np.linspace(start, end, count + 1)), corrector(time=end)]
        last = _final_levels(*self.rest)
        if len(last) > 1:
            stages += [Predict(self.scheme, last), corrector(time=self.levels[1])]
        return Plan(stages)

    @property
    def rounds(self) -> int:
        """Of the plan, which is not made: it may have 10^10 steps."""
        windows, (count, halved) = self.windows, _descent(*self.rest)
        last = count + len(halved)
        predictions = sum(count for *_, count in windows) + last
        corrections = (len(windows) + (last > 0)) * self.corrector_steps
        return footprint(self.scheme).rounds * predictions + corrections


def _final_levels(t: float, delta: float, h: float) -> Array:
    """Steps of length h while t >= 2h, then halving t until delta."""
    count, halved = _descent(t, delta, h)
    levels = np.concatenate([t - h * np.arange(count + 1), halved])
    return levels if levels[-1] == delta else np.append(levels[:-1], delta)


def _descent(t: float, delta: float, h: float) -> tuple[int, list[float]]:
    """How many steps of length h, and the levels after them, down to delta."""
    count = max(0, math.floor((t - max(h, delta)) / h + 1e-9))
    level, halved = t - count * h, []
    while level > delta * (1 + 1e-12):
        level = max(delta, level / 2)
        halved.append(level)
    return count, halved
