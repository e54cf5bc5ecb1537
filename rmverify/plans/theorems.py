r"""The theorems' plans: their parameters from the dimension, the constants of the target and the accuracy.

A theorem about a sampler is a statement about the plan with these numbers; with the plan at hand it can be tried.

Symbols: d dimension, L smoothness of the score along the path, eps accuracy in total variation, T horizon, delta
early-stopping level, tau = T_corr the corrector's time, g friction; for log-concave targets m strong concavity, kappa =
L/m. What the papers hide in constants is an argument, 1 unless its formula says otherwise.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array, dimension, number
from rmverify.plans.stages import Correct, Plan, Predict, Stage, footprint
from rmverify.schemes import (
    exponential_integrator,
    parallel_midpoint,
    parallel_underdamped,
    randomized_midpoint,
    randomized_midpoint_langevin,
    underdamped,
)
from rmverify.schemes.contract import Scheme

__all__ = ["dpum", "log_concave", "parallel", "rounds_of", "sequential"]

_LENGTHS: Mapping[str, Callable[[float, float, float], tuple[float, float, float]]] = {
    "sequential": lambda d, L, eps: (
        L ** (-5 / 3) * d ** (-7 / 18) * eps ** (2 / 3),
        L ** (-3 / 2) * d ** (-17 / 36) * eps,
        1 / (math.sqrt(L) * d ** (1 / 18)),
    ),
    "dpum": lambda d, L, eps: (eps / (L**2 * math.sqrt(d)), eps / (L ** (3 / 2) * math.sqrt(d)), 1 / math.sqrt(L)),
}
"""h_pred, h_corr and T_corr of a theorem, every constant 1."""

_HUGE = 1e50  # d, L, 1/m and 1/eps beyond it would leave the floats in the formulas
_MOST = 10**8  # predictor steps of a plan, which holds their noise levels
_MOST_WINDOWS = 10**6  # of a plan, each a stage
_MOST_EQUAL = 2**62  # equal steps, which are only counted


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

    Source: Gupta, Cai, Chen 2024, Algorithm 3 and its theorem's parameters [quoted; the power 17/36 of h_corr
    confirmed by a public review; constants not given there].

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
    return _in_windows("sequential", **locals())


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
    return _in_windows("dpum", **locals())


def _in_windows(
    theorem: str, dim: Any, smoothness: Any, accuracy: Any, second_moment: Any, early_stop: Any, horizon: Any,
    horizon_constant: Any, scheme: Scheme, **constants: Any,
) -> Plan:  # fmt: skip
    """The plan of `sequential` or `dpum` from all of its arguments."""
    d, L, eps = _theorem(dim, smoothness, accuracy)
    levels = _levels(d, L, eps, second_moment, early_stop, horizon, horizon_constant)
    h_pred, h_corr, t_corr = _LENGTHS[theorem](d, L, eps)
    c = {name.removesuffix("_constant"): _positive(name, value) for name, value in constants.items()}
    sizes = c["window"] / L, c["predictor"] * h_pred, c["corrector"] * h_corr, c["corrector_time"] * t_corr
    return _Windows(scheme, levels, *sizes, c["friction"] * math.sqrt(L)).plan()


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

    Source: Gupta, Cai, Chen 2024, the parallel algorithm: one sweep and one corrector [confirmed by a public review],
    h = c/L, K logarithmic, R a power [recalled],
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
            f"predictor_constant: expected at most {most:.6g}, got {c!r}: a step h = c/L above ln(1 + 1/L) = "
            f"{most / L:.6g} is too long, as its Picard rounds need not contract"
        )
    t_corr = _positive("corrector_time_constant", corrector_time_constant) / math.sqrt(L)
    times = _final_levels(top, delta, c / L)
    goal = math.sqrt(d) / eps
    N, slack = len(times) - 1, _positive("picard_constant", picard_constant)
    R = _positive("strata_constant", strata_constant) * max((N * goal**2) ** (1 / 3), math.sqrt(N * goal))
    K = _picard_rounds(L * math.expm1(c / L), slack / (N * goal))
    predictor = parallel_midpoint(strata=_whole("strata", strata, 1, R), rounds=_whole("rounds", rounds, 0, K))
    friction = _positive("friction_constant", friction_constant) * math.sqrt(L)
    constant = _positive("corrector_constant", corrector_constant)
    corrector = _parallel_corrector(d, L, eps, t_corr, friction, constant, slack, delta, cells, corrector_rounds)
    return Plan([Predict(predictor, times), corrector])


def log_concave(
    dim: int,
    smoothness: float,
    strong_concavity: float,
    accuracy: float,
    *,
    parallel: bool = False,
    horizon_constant: float = 1,
    step_constant: float = 1,
    corrector_constant: float = 1,
    corrector_time_constant: float = 1,
    friction_constant: float = 1,
    picard_constant: float = 1,
) -> Plan:
    r"""Log-concave sampling in total variation: a sampler to Wasserstein accuracy, then the underdamped corrector.

    The corrector runs for T_corr = c L^{-1/2} d^{-1/18} with friction c sqrt(L) and turns W_2 <= eps' sqrt(d/m), eps' =
    eps L^{1/4} T_corr^{3/2} sqrt(m/d), into TV <= eps (claim C1), in steps of h = c eps/(L^{3/4} T_corr^{1/2} sqrt(d))
    (claim C2). Before it, at friction 2 and mass 1/L, randomized midpoints of h = c min(eps'^{1/3} kappa^{-1/6},
    eps'^{2/3}) for the time c 2 kappa ln(20/eps'^2).

    In parallel both stages are parallel underdamped Langevin: T_corr = c L^{-1/2}; the first in c kappa ln(20/eps'^2)
    steps of length L^{-1/2} at friction 2 sqrt(L), of c/eps' cells; Picard rounds until z^{2(K-1)}/(2(K-1))! <= c
    eps'/kappa, and cells and rounds of the corrector as in `parallel`.

    The score handed to it is -grad f of the target e^{-f}, whatever t; start near its minimum, W_2(start, target) of
    the order of sqrt(d/m).

    Source: Shen and Lee 2019, Theorem 3, for the first stage [recalled; without its logarithms]; Gupta, Cai, Chen 2024,
    corollary on log-concave sampling [abstract]; its parallel form after Anari, Chewi, Vuong 2024 [recalled].

    Parameters
    ----------
    dim : int
    smoothness, strong_concavity : float > 0
        L >= m: m I <= grad^2 f <= L I.
    accuracy : float in (0, 1)
        eps, in total variation.
    parallel : bool
    *_constant : float
        The c of the first stage's time, of its step (its cells), of the corrector's step (its cells), time and
        friction, and of the Picard rounds.

    Returns
    -------
    Plan
        At noise level 0. It refuses targets that are known to be outside the class.

    Raises
    ------
    ValueError
        Where an argument makes no sense; strong_concavity is not in (0, smoothness].

    Examples
    --------
    >>> plan = log_concave(100, 4.0, 1.0, 0.1)
    >>> len(plan.stages), plan.start, plan.rounds > log_concave(100, 4.0, 1.0, 0.1, parallel=True).rounds
    (2, 0.0, True)
    """
    d, eps = number("dim", dimension(dim), most=_HUGE), _accuracy(accuracy)
    L = number("smoothness", smoothness, above=0, most=_HUGE)
    m = number("strong_concavity", strong_concavity)
    if not 0 < m <= L:
        raise ValueError(
            f"strong_concavity: expected a number in (0, smoothness] = (0, {L:g}], got {strong_concavity!r}"
        )
    number("strong_concavity", m, least=1 / _HUGE)
    kappa, root = L / m, math.sqrt(L)
    horizon, c = _positive("horizon_constant", horizon_constant), _positive("step_constant", step_constant)
    c_corr, slack = _positive("corrector_constant", corrector_constant), _positive("picard_constant", picard_constant)
    t_corr = _positive("corrector_time_constant", corrector_time_constant) / root
    t_corr = t_corr if parallel else t_corr / d ** (1 / 18)
    friction = _positive("friction_constant", friction_constant) * root
    small = eps * L ** (1 / 4) * t_corr ** (3 / 2) * math.sqrt(m / d)
    forgetting = horizon * kappa * math.log(20 / small**2)
    if parallel:
        steps = _steps(forgetting, _MOST_EQUAL)
        cells = _whole("cells", None, 1, 1 / (c * small))
        rounds = min(cells, _picard_twice(1.0, slack * small / kappa))
        first = Correct(parallel_underdamped(cells=cells, rounds=rounds, friction=2 * root), 0.0, 1 / root, steps)
        return Plan([first, _parallel_corrector(d, L, eps, t_corr, friction, c_corr, slack, 0.0)], (m, L))
    h = c * min(small ** (1 / 3) * kappa ** (-1 / 6), small ** (2 / 3))
    steps = _steps(2 * forgetting / h, _MOST_EQUAL)
    first = Correct(randomized_midpoint_langevin(friction=2, mass=1 / L), 0.0, h, steps)
    count = _steps(t_corr * L ** (3 / 4) * math.sqrt(t_corr * d) / (c_corr * eps), _MOST_EQUAL)
    return Plan([first, Correct(underdamped(friction=friction), 0.0, t_corr / count, count)], (m, L))


def _parallel_corrector(
    d: float, L: float, eps: float, t_corr: float, friction: float, constant: float, slack: float, level: float,
    cells: Any = None, rounds: Any = None,
) -> Correct:  # fmt: skip
    """S = ceil(sqrt(L) T_corr) steps of M cells, T_corr/(S M) <= c eps/sqrt(L d), and K rounds."""
    goal, z = math.sqrt(d) / eps, math.sqrt(L) * t_corr
    steps = _steps(z, _MOST_EQUAL)
    M = _whole("cells", cells, 1, z * goal / constant / steps)
    K = _whole("corrector_rounds", rounds, 1, min(_picard_twice(z / steps, slack / goal), M))
    return Correct(parallel_underdamped(cells=M, rounds=K, friction=friction), level, t_corr / steps, steps)


def _picard_twice(z: float, goal: float) -> int:
    """The least K with z^{2(K-1)}/(2(K-1))! <= goal."""
    return 1 + -(-_picard_rounds(z, goal) // 2)


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


def _steps(length: float, most: int, what: str = "steps") -> int:
    """How many steps of length 1 cover it, refused beyond `most`."""
    if not length <= most:
        raise ValueError(
            f"accuracy: this plan needs {length:.3g} {what}, above the limit of {most:.1e}; loosen accuracy, or lower "
            "dim or smoothness"
        )
    return math.ceil(length - 1e-9)


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
    d = number("dim", dimension(dim), most=_HUGE)
    return d, number("smoothness", smoothness, least=1, most=_HUGE), _accuracy(accuracy)


def _accuracy(accuracy: Any) -> float:
    eps = number("accuracy", accuracy, above=0)
    if not 1 / _HUGE <= eps < 1:
        raise ValueError(f"accuracy: expected a number from {1 / _HUGE:g} to below 1, got {accuracy!r}")
    return eps


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
        raise ValueError(f"horizon: expected a number > max(1/L, early_stop) = {max(1 / L, delta):g}, got {top!r}")
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
        _steps(edges, _MOST_WINDOWS, "windows")
        ends = np.linspace(top, low, edges + 1) if top > low else np.array([top])
        counts = [math.ceil((start - end) / self.h_pred - 1e-9) for start, end in itertools.pairwise(ends)]
        return [(float(a), float(b), n) for (a, b), n in zip(itertools.pairwise(ends), counts, strict=True)]

    @property
    def rest(self) -> tuple[float, float, float]:
        """The level after the windows, delta and h_pred: what is left goes down by `_descent`."""
        return min(self.levels[0], max(self.window, self.levels[1])), self.levels[1], self.h_pred

    def plan(self) -> Plan:
        steps = _steps(self.corrector_steps, _MOST_EQUAL)
        _steps(sum(count for *_, count in self.windows), _MOST)
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
    _steps((t - delta) / h, _MOST)
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
