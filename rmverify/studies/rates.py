"""Rate tables: the smallest number of steps to an accuracy, and exponents fitted to such numbers.

A plan without random midpoints has a Gaussian law, known through ln(variance of the output/variance of the target) of
every mode. A randomized plan has two errors, that of its unconditional law and E_alpha TV. On a centred isotropic
target both are exact: a fitted exponent carries no noise, and what is left is how far the asymptotic regime is away,
which the local slopes show. On targets of several variances both are intervals at the level of 95 %, and so is N.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from rmverify import schemes
from rmverify.divergences import expected_tv, kl, tv
from rmverify.divergences.averaged import ACCURACY
from rmverify.divergences.closed_forms import kullback_leibler
from rmverify.divergences.pair import Pair
from rmverify.divergences.tv import total_variation
from rmverify.exponents import BOUNDS
from rmverify.laws import output_law
from rmverify.laws.scale import Unresolved, log_defect
from rmverify.numbers.checks import Array, dimension, number, positive_integer
from rmverify.numbers.values import Value
from rmverify.plans import Levels, Plan, dpum, footprint, schedule, sequential
from rmverify.plans.schedules import MOST_STEPS, Grid
from rmverify.schemes.contract import Scheme, unwrap
from rmverify.studies.budget import early_stopped
from rmverify.studies.search import PRECISION, Sampled, Search
from rmverify.studies.study import Fit, Record, Records, Study, fit, fitted, settled, swept
from rmverify.targets import EstimatedScore, Gaussian

__all__ = ["FAMILIES", "Fit", "Row", "Table", "family", "fit", "steps_to", "table"]

METRICS = ("tv", "kl", "w2")
LAWS = ("exact", "expected", "unconditional")
_LOOK = 4096
_EVERY = {False: 5_000, True: 60_000}  # work of a row, without and with a corrector, spent on every N from 1 up
_STILL = 0.03  # accuracy that tells whether a sampled error has come to rest


# --- one number of steps ------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Row(Record):
    """The smallest N found with metric <= accuracy, and what was found at N and at N - 1.

    Where the metric is sampled, N is in [`fewest`, `most`] at the level of 95 %, and `value` and `before` are what was
    found at `most` and at `fewest` - 1: an interval at most the accuracy, and one above it. Otherwise both are N.

    `metric`: "tv"; "kl" for sqrt(KL(output||target)); "w2". `law`: "exact" where no midpoint is random, otherwise
    "expected" (E_alpha of the metric) or "unconditional". `status`: "found"; "beyond max_steps"; "cannot tell" where
    rounding or too few steps leave N - 1 undecided; "floor" where the score's error keeps the metric above the
    accuracy. `score_error`: the gain of the score that was handed over. `start_error`: TV(q_T, N(0, I)), which a start
    from N(0, I) would add; the rows start from q_T. `crossing`: the largest N seen, up to 16 times
    `steps`, at which the error of an isotropic law changes its sign: it is not monotone there. `tried`: every number
    of steps up to this was tried and found to be too few; where it is N - 1 (`proved`), no smaller one is enough.
    """

    scheme: str
    corrector: str | None
    law: str
    metric: str
    family: str
    dim: int
    smoothness: float
    condition: float
    accuracy: float
    score_error: float
    grid: str
    steps: int | None
    evaluations: int | None
    rounds: int | None
    value: Value | None
    before: Value | None
    status: str
    start_error: Value | None
    crossing: int | None = None
    tried: int = 0
    fewest: int | None = None
    most: int | None = None

    brief = ("scheme", "law", "metric", "dim", "accuracy", "steps", "value", "before", "status")

    @property
    def proved(self) -> bool:
        """Whether every smaller number of steps was tried."""
        return self.steps is not None and self.tried == self.steps - 1

    @property
    def loose(self) -> float:
        """By how much of it N may be off: N is a whole number, and has an interval where the metric is sampled."""
        if self.steps is None:
            return math.inf
        off = 0 if self.fewest is None or self.most is None else max(self.most - self.steps, self.steps - self.fewest)
        return (off + 0.5) / self.steps


def steps_to(
    scheme: Scheme,
    target: Gaussian,
    accuracy: float,
    metric: str = "tv",
    *,
    law: str | None = None,
    corrector: bool = False,
    score_error: float = 0.0,
    horizon: float = 3.0,
    early_stop: float | None = None,
    grid: Grid = "uniform",
    max_steps: int = MOST_STEPS,
    guess: int | None = None,
    family: str = "user",
    width: float = PRECISION,
    rng: Any = 0,
) -> Row:
    r"""The least number N of predictor steps with metric(output, q_delta) <= accuracy, started from the true q_T.

    Parameters
    ----------
    scheme : predictor
    target : Gaussian
        Centred.
    accuracy : float
        In (0, 1) for "tv" (a total variation of 1 is reached by anything), > 0 for the others.
    metric : {"tv", "kl", "w2"}
        "kl" is sqrt(KL(output||target)).
    law : {"expected", "unconditional"}, optional
        Of a scheme that draws midpoints: E_alpha TV, or the distance of the law averaged over them (default).
    corrector : bool
        Underdamped Langevin after every window, as in `budget`.
    score_error : float
        The score handed over is (1 + score_error) s_t.
    horizon, early_stop : float
        T and delta, in the process's time; delta is 0 by default, and 0.001 of T with a corrector or a geometric grid.
    grid : {"uniform", "geometric", "cosine", "karras", "kl_optimal"}
        Of the noise levels.
    max_steps : int
        Where the search gives up, and says so.
    guess : int, optional
        Where it begins; by default at 1, or at 16 for random midpoints.
    width : float
        The relative half-width of the interval of N that is worked towards where the metric is sampled: for a scheme
        that draws midpoints on a target of several variances, or with so few steps that the law is not resolved.
    rng : seed or Generator
        Of those samples.

    Returns
    -------
    Row
        Where no midpoint is random every N is tried from 1 up, while a set amount of work lasts (about N = 60 for one
        mode, 100 with a corrector). Beyond, N is bracketed: the metric is above the accuracy at N - 1 and at most the
        accuracy at N, and between the last N tried and N - 1 it is taken to be monotone, except where the error of an
        isotropic law changes its sign: that is looked for. `Row.proved` says which. Where the metric is sampled, it is
        taken to be monotone in N.

    Raises
    ------
    ValueError
        For an accuracy out of range, an unknown metric or law, and a metric that is infinite for the pair or not
        known for the law.

    Examples
    --------
    >>> from rmverify import Gaussian, rates, schemes
    >>> row = rates.steps_to(schemes.exponential_integrator, Gaussian.isotropic(0.25, 10_000), 0.1)
    >>> row.steps, row.value <= 0.1 < row.before, row.status
    (1266, True, 'found')
    """
    if metric not in METRICS:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, got {metric!r}")
    accuracy = number("accuracy", accuracy, above=0, below=1 if metric == "tv" else None)
    if not isinstance(target, Gaussian) or np.any(target.means != 0):
        raise ValueError(f"target: expected a centred Gaussian, got {target!r}")
    random = footprint(scheme).alphas > 0
    law = law or ("unconditional" if random else "exact")
    if law not in LAWS or (law == "exact") == random:
        raise ValueError(
            f"law: expected {'expected or unconditional' if random else 'exact'} for this scheme, got {law!r}"
        )
    known = ("tv",) if law == "expected" else ("tv", "kl")
    if random and metric not in known:
        raise ValueError(f"metric: expected one of {', '.join(known)} for the {law} law, got {metric!r}")
    max_steps = positive_integer("max_steps", max_steps, MOST_STEPS)
    guess = positive_integer("guess", (16 if random else 1) if guess is None else guess)
    if early_stop is None:
        early_stop = horizon / 1000 if corrector or grid == "geometric" else 0.0
    levels = Levels(early_stop, horizon, grid)
    if not (target.at(early_stop).variances > 0).all():
        raise ValueError(f"metric: {metric} has no value at noise level {early_stop!r}, where the target is singular")
    width = number("width", width, above=0)
    problem = _Problem(scheme, target, metric, law, corrector, score_error, levels)
    search = Search(problem.value, accuracy, max_steps, sign=problem.sign)
    if law == "exact":
        search.scan(_EVERY[corrector], lambda n: n * target.variances.size + (500 if corrector else 50))
    found = None if random and target.variances.size > 1 else search.least(guess)
    if found is None or (random and found.status == "cannot tell"):
        look = partial(problem.sampled, rng=rng)
        found = Sampled(look, accuracy, width, max_steps, bounded=metric == "tv").least(guess)
    if found.status == "beyond max_steps" and score_error and problem.floored(max_steps, accuracy):
        found = replace(found, status="floor")
    steps = found.steps
    if steps is not None and steps <= _LOOK:
        search.flip(steps, 16 * steps)  # a sign change further on: the slope is not yet that of the limit
    plan = None if steps is None else problem.plan(steps)
    return Row(
        scheme=unwrap(scheme)[0].__name__, corrector="underdamped" if corrector else None, law=law, metric=metric,
        family=family, dim=target.dim, smoothness=target.path_smoothness(early_stop),
        condition=float(target.variances.max() / target.variances.min()), accuracy=accuracy, score_error=score_error,
        grid=grid, evaluations=None if plan is None else plan.evaluations, rounds=None if plan is None else plan.rounds,
        start_error=tv(target.at(horizon), target.with_modes(1.0, 0.0)), crossing=search.crossing, tried=search.tried,
        **vars(found),
    )  # fmt: skip


@dataclass(frozen=True)
class _Problem:
    """The error as a function of the number of steps."""

    scheme: Scheme
    target: Gaussian
    metric: str
    law: str
    corrector: bool
    score_error: float
    where: Levels

    @cached_property
    def goal(self) -> Gaussian:
        return self.target.at(self.where.early_stop)

    def plan(self, steps: int) -> Plan:
        return schedule(self.target, self.scheme, self.where, steps, corrector=self.corrector)

    def floored(self, steps: int, accuracy: float) -> bool:
        """Whether the metric has come to rest above the accuracy: it, and its distance from 1, over two doublings."""
        look = self.sampled if self.law != "exact" and self.target.variances.size > 1 else self.value
        last = [value for k in (4, 2, 1) if (value := look(max(1, steps // k))) is not None]
        pairs: list[tuple[float, float]] = [*itertools.pairwise(last)]
        if self.metric == "tv":  # 1 - TV says more where TV is near 1
            pairs += itertools.pairwise(value.complement for value in last)
        return len(last) == 3 and all(abs(x - y) <= 0.1 * y for x, y in pairs) and last[-1] > accuracy

    def sign(self, steps: int) -> int:
        """Whether the output is too wide or too narrow, where that is the whole error; 0 otherwise."""
        if self.law != "exact" or self.target.variances.size > 1:
            return 0
        try:
            return int(np.sign(self._defect(steps)[0][0]))
        except ArithmeticError:
            return 0

    def value(self, steps: int) -> Value | None:
        """The metric after so many steps; infinite or 1 where the law overflows, None where it is not resolved."""
        try:
            if self.law == "exact":
                return _distance(self.metric, self.goal, *self._defect(steps))
            found = self.sampled(steps, ACCURACY)
            return found if found.kind == "exact" or self.law == "expected" else None
        except OverflowError:
            return Value(1.0 if self.metric == "tv" else math.inf, "lower")
        except (Unresolved, ArithmeticError):
            return None

    def sampled(self, steps: int, accuracy: float = _STILL, rng: Any = 0) -> Value:
        """The metric of a plan that draws midpoints: an interval about `accuracy` wide, relatively."""
        law = output_law(self.plan(steps), _handed(self.target, self.score_error), start="exact")
        if self.law == "expected":
            return expected_tv(law, self.goal, accuracy=accuracy, rng=rng)
        if self.metric == "tv":
            return tv(law, self.goal, accuracy=accuracy, rng=rng)
        return _root(kl(law, self.goal, accuracy=2 * accuracy, rng=rng))

    def _defect(self, steps: int) -> tuple[Array, Array]:
        counts = map(int, self.target.multiplicities if self.corrector else np.ones(self.target.variances.size))
        modes = tuple(map(float, self.target.variances)), tuple(counts)
        return _defect(self.scheme, *modes, self.score_error, self.where, self.corrector, steps)


def _handed(target: Gaussian, score_error: float) -> Any:
    """The target with the score that the plan is handed."""
    return EstimatedScore(target, gain=score_error) if score_error else target


@lru_cache(maxsize=4096)
def _defect(
    scheme: Scheme, variances: tuple[float, ...], multiplicities: tuple[int, ...], score_error: float, where: Levels,
    corrector: bool, steps: int,
) -> tuple[Array, Array]:  # fmt: skip
    """ln(variance of the output/variance of the target) of every mode, and its error; remembered, for studies ask the
    same of many dimensions. Only the corrector's time depends on the multiplicities."""
    target = Gaussian.from_spectrum(variances, multiplicities)
    plan = schedule(target, scheme, where, steps, corrector=corrector)
    return log_defect(plan, _handed(target, score_error), start="exact")


def _distance(metric: str, goal: Gaussian, u: Array, error: Array) -> Value:
    """Between the law of variances v e^u and the goal, of variances v, both centred."""
    v, n = goal.variances, goal.multiplicities.astype(float)
    if metric == "w2":  # sum n v (e^{u/2} - 1)^2
        value = math.sqrt(float(n @ (v * np.expm1(u / 2) ** 2)))
        slip = math.sqrt(float(n @ (v * (np.exp(u / 2) * error / 2) ** 2)))
        return Value(value, "exact", slip + 1e-14 * value)
    pair = Pair.of_log_ratios(u, error, v, n)
    if metric == "kl":
        return _root(kullback_leibler(pair))
    return total_variation(pair.ratio, pair.shift, pair.multiplicity, pair.distance_error, -u)


def _root(value: Value) -> Value:
    if value.kind == "exact":
        root = math.sqrt(max(value, 0.0))
        return Value(root, "exact", value.error / root if root > 0 else math.sqrt(value.error))
    lower, upper = (math.sqrt(max(end, 0.0)) for end in (value.lower, value.upper))
    if math.isinf(upper):
        return Value(upper, value.kind, lower=lower, upper=upper)
    return Value((lower + upper) / 2, value.kind, (upper - lower) / 2, lower=lower, upper=upper)


# --- families -----------------------------------------------------------------------------------------------


def family(name: str, dim: int, smoothness: float = 4.0, condition: float = 1.0) -> Gaussian:
    """A centred spectrum with least variance 1/smoothness and largest condition/smoothness.

    "isotropic" (condition 1), "two-block" (halves), "geometric" (eight blocks in geometric progression), "power-law"
    (eight blocks, variances like k^-2 between the ends). Blocks are as equal as they can be.

    Examples
    --------
    >>> family("two-block", 5, 4.0, 16.0).variances, family("two-block", 5, 4.0, 16.0).multiplicities
    (array([0.25, 4.  ]), array([3., 2.]))
    """
    if name not in FAMILIES:
        raise ValueError(f"family: expected one of {', '.join(FAMILIES)}, got {name!r}")
    low, high = 1 / number("smoothness", smoothness, above=0), number("condition", condition, least=1) / smoothness
    dim = dimension(dim)
    blocks = min({"isotropic": 1, "two-block": 2}.get(name, 8), dim) if condition > 1 else 1
    k = np.arange(blocks) / max(blocks - 1, 1)
    variances = low * (high / low) ** k
    if name == "power-law" and blocks > 1:
        decay = (1 / np.arange(1, blocks + 1) ** 2 - 1 / blocks**2) / (1 - 1 / blocks**2)
        variances = np.sort(low + (high - low) * decay)
    counts = [dim // blocks + (i < dim % blocks) for i in range(blocks)]
    return Gaussian.from_spectrum(variances, counts)


FAMILIES = ("isotropic", "two-block", "geometric", "power-law")


# --- studies ------------------------------------------------------------------------------------------------


_CLAIMED = {
    (scheme, parameter): (float(bound.power(parameter)), source)
    for scheme, bound, source in (
        ("exponential_integrator", BOUNDS["D0"], f"D0: {BOUNDS['D0']} [quoted]"),
        (
            "randomized_midpoint",
            BOUNDS["D1"],
            f"D1: d^{{5/12}} [abstract], {BOUNDS['D1']} [quoted] "
            f"(since, for another sampler: {BOUNDS['D1, since']}, Li and Jiao 2024 [found])",
        ),
    )
    for parameter in ("d", "1/eps", "L")
}
VARIANCE, BIAS = "d eps^2 > 1: the variance term d h^3", "d eps^2 < 1: the bias term sqrt(d) h^2"
_PREDICTED = {
    ("exponential_integrator", "exact", ""): {"d": 1 / 2, "1/eps": 1.0},
    ("exponential_sde", "exact", ""): {"d": 1 / 2, "1/eps": 1.0},
    ("heun", "exact", ""): {"d": 1 / 4, "1/eps": 1 / 2},
    ("midpoint", "exact", ""): {"d": 1 / 4, "1/eps": 1 / 2},
    ("randomized_midpoint", "expected", ""): {"d": 1 / 3, "1/eps": 2 / 3},
    ("randomized_midpoint", "unconditional", VARIANCE): {"d": 1 / 3, "1/eps": 1 / 3},
    ("randomized_midpoint", "unconditional", BIAS): {"d": 1 / 4, "1/eps": 1 / 2},
}
_PREDICTED |= {
    ("importance_midpoint", law, regime): powers
    for (name, law, regime), powers in _PREDICTED.items()
    if name == "randomized_midpoint"
}
"""Exponents that this project derives on isotropic Gaussians, by scheme, law and regime."""
_LAW = dict.fromkeys(("randomized_midpoint", "importance_midpoint"), ("expected", "unconditional"))
_SEQUENTIAL = (
    "euler", "heun", "midpoint", "exponential_integrator", "randomized_midpoint", "importance_midpoint",
    "exponential_sde",
)  # fmt: skip


def studies(full: bool = False, predictors: Iterable[str] = ()) -> list[Study]:
    """The default experiments: exponents in d, 1/eps, L and kappa, where they are known exactly.

    Isotropic targets of variance 1/4 unless another parameter varies; T = 3, uniform steps to 0, started from q_T.
    Random midpoints on spectra of several variances too, of condition 16, where N has an interval.
    The unconditional error of random midpoints has two terms, sqrt(d) h^2 and d h^3, that cross at d eps^2 of order 1:
    each side has its own study, for a slope fitted across would mean nothing.
    """
    dims = _powers(0, 13 if full else 9, 1 if full else 2)
    levels = (0.3, 0.1, 0.03, 0.01, 0.003) if full else (0.3, 0.1, 0.03, 0.01)
    smooth, spread = tuple(2.0**k for k in range(1, 8 if full else 7)), tuple(4.0**k for k in range(1, 6))
    result = []
    for name in list(predictors) or ["exponential_integrator", "midpoint", "heun", "randomized_midpoint"]:
        laws = _LAW.get(name, ("exact",))
        for law in laws[:1]:  # of random midpoints the expected law, whose error has one term
            for metric in ("tv",) if len(laws) > 1 else METRICS:
                result.append(_study(name, law, metric, "dim", dims, accuracy=0.1))
                if metric == "tv":
                    result.append(_study(name, law, metric, "dim", dims, "variance 4", accuracy=0.1, smoothness=0.25))
                result.append(_study(name, law, metric, "accuracy", levels, dim=10_000))
        if len(laws) > 1:
            result += _both_terms(name, full)
        result.append(_study(name, laws[0], "tv", "smoothness", smooth, dim=10_000, accuracy=0.1))
        for law in laws:
            for shape in FAMILIES[1:] if full else FAMILIES[1:2]:
                result.append(_study(name, law, "tv", "condition", spread, dim=10_000, accuracy=0.1, family=shape))
    return result


def _both_terms(name: str, full: bool) -> list[Study]:
    """Either side of the crossover, on isotropic targets and on spectra of several variances."""
    large, tiny = _powers(4, 13 if full else 9), (1e-2, 1e-3, 1e-4, 1e-5)
    result = [
        _study(name, "unconditional", "tv", "dim", large, VARIANCE, accuracy=0.1),
        _study(name, "unconditional", "tv", "dim", _powers(1, 6), BIAS, accuracy=1e-4),
        _study(name, "unconditional", "tv", "accuracy", (0.1, 0.03, 0.01, 0.003), VARIANCE, dim=10**8),
        _study(name, "unconditional", "tv", "accuracy", tiny, BIAS, dim=10),
    ]
    for shape in FAMILIES[1:] if full else FAMILIES[1::2]:
        held: dict[str, Any] = {"family": shape, "condition": 16.0}
        more = 5 if full else 3
        result.append(_study(name, "expected", "tv", "dim", _powers(3, 3 + more), accuracy=0.1, **held))
        result.append(_study(name, "unconditional", "tv", "dim", _powers(4, 4 + more), VARIANCE, accuracy=0.1, **held))
        if full or shape == FAMILIES[1]:
            few = _powers(1, 5 if full else 4)
            result.append(_study(name, "unconditional", "tv", "dim", few, BIAS, accuracy=1e-3, **held))
    return result


def _powers(first: int, end: int, stride: int = 1) -> tuple[int, ...]:
    return tuple(10**k for k in range(first, end, stride))


def _study(
    name: str, law: str, metric: str, varied: str, at: tuple[Any, ...], note: str = "", **held: Any
) -> Study:  # fmt: skip
    study = Study({"scheme": name, "law": law, "metric": metric, **held}, varied, at, note=note)
    claimed, source = _CLAIMED.get((name, study.against), (None, "")) if metric == "tv" else (None, "")
    predicted = None if "family" in held else _PREDICTED.get((name, law, note), {}).get(study.against)
    return replace(study, claimed=claimed, source=source, predicted=predicted)


def _scaled_up(target: Gaussian, predictors: Iterable[tuple[str, str]]) -> list[Study]:
    """The exponent in d of the user's own target, repeated."""
    target, delta = early_stopped(target)
    singular = f", singular, at its early stop {delta:.3g}" if delta else ""
    note = f"the user's covariance{singular}, repeated"
    spectrum: dict[str, Any] = {"family": "user", "variances": tuple(map(float, target.variances)),
                                "multiplicities": tuple(map(int, target.multiplicities))}  # fmt: skip
    return [
        _study(name, law, "tv", "copies", _powers(0, 5 if law == "exact" else 4), note, accuracy=0.1, **spectrum)
        for name, law in dict.fromkeys(predictors)
    ]


def cell(
    *, scheme: str, law: str, metric: str, accuracy: float, dim: int = 1, smoothness: float = 4.0,
    condition: float = 1.0, variances: Sequence[float] = (), multiplicities: Sequence[int] = (), copies: int = 1,
    **options: Any,
) -> Row:  # fmt: skip
    """The row of a study: its scheme and its family by their names, or a spectrum that is repeated."""
    options = {"family": "isotropic"} | options
    if len(variances):
        target = Gaussian.from_spectrum(variances, [copies * n for n in multiplicities])
    else:
        target = family(options["family"], dim, smoothness, condition)
    return steps_to(getattr(schemes, scheme), target, accuracy, metric, law=law, **options)


def extras(full: bool = False, predictors: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Single rows beside the exponents: with the corrector, with an estimated score.

    Each row with a corrector stands beside the same without one, on a narrow target and on a wide one: what it costs
    and where it helps. A score off by a relative 1/100 and less has a floor below which no number of steps helps.
    """
    chosen = list(predictors) or ["exponential_integrator", "midpoint", "randomized_midpoint"]
    result = []
    for name in chosen:
        law = _LAW.get(name, ("exact", "exact"))[-1]
        base = {"scheme": name, "law": law, "metric": "tv", "dim": 100, "accuracy": 0.1, "max_steps": 1 << 14}
        for smoothness in (4.0, 0.25):
            for corrector in (False, True):
                result.append(base | {"smoothness": smoothness, "corrector": corrector, "grid": "geometric"})
        result += [base | {"score_error": gain} for gain in ((0.0, 1e-3, 1e-2, 0.1) if full else (0.0, 1e-3, 0.1))]
    return result


@dataclass(frozen=True, repr=False)
class Theorem(Record):
    """A theorem's own plan, every constant 1: what it costs, and the total variation that it reaches from N(0, I)."""

    plan: str
    dim: int
    smoothness: float
    accuracy: float
    evaluations: int
    rounds: int
    value: Value


_PLANS = {"dpum": (dpum, "exponential_integrator"), "sequential": (sequential, "randomized_midpoint")}


def theorem(*, plan: str, dim: int, smoothness: float, accuracy: float) -> Theorem:
    """DPUM's or the sequential algorithm's plan on N(0, I/smoothness)."""
    made = _PLANS[plan][0](dim, smoothness, accuracy)
    target = Gaussian.isotropic(1 / smoothness, dim)
    value = tv(output_law(made, target), target.at(made.end))
    return Theorem(plan, dim, smoothness, accuracy, made.evaluations, made.rounds, value)


def _theorem_cells(full: bool, predictors: Sequence[str]) -> list[dict[str, Any]]:
    """The plans whose predictor is among those of a table."""
    points = [(100, 0.1), (100, 0.01), (10_000, 0.1)] + ([(100, 0.001), (1_000_000, 0.1)] if full else [])
    return [
        {"plan": plan, "dim": dim, "smoothness": 4.0, "accuracy": accuracy}
        for plan, (_, predictor) in _PLANS.items() if not predictors or predictor in predictors
        for dim, accuracy in points
    ]  # fmt: skip


@dataclass(frozen=True, repr=False)
class Table(Records):
    """The rows, the exponents fitted to them, and the theorems' plans beside them."""

    rows: tuple[Row, ...]
    fits: tuple[Fit, ...]
    theorems: tuple[Theorem, ...] = ()


def table(
    *,
    full: bool = False,
    predictors: Iterable[str] = (),
    target: Gaussian | None = None,
    max_steps: int = MOST_STEPS,
    theorems: bool = True,
    store: Any = None,
    **sweeping: Any,
) -> Table:
    """Run the default experiments, or the large ones, and fit their exponents.

    Parameters
    ----------
    full : bool
        d up to 10^12 and finer grids.
    predictors : iterable of str
        Names of shipped predictors; those of the default table otherwise.
    target : Gaussian, optional
        Another study beside the default ones: this spectrum repeated 1, 10, 100, ... times.
    max_steps : int
        Where a search gives up, and its row says so.
    theorems : bool
        Whether to add what the theorems' own plans cost and reach.
    store, **sweeping
        `store`, `workers`, `dask`, `executor`, `progress` of `rmverify.studies.sweep.run`; the rows are stored.

    Raises
    ------
    ValueError
        For an unknown predictor; for a store of another grid or version, which is not touched.

    Examples
    --------
    >>> from rmverify import rates
    >>> found = rates.table(predictors=["euler"])
    >>> [(f.against, round(f.exponent, 1)) for f in found.fits if f.metric == "tv" and not f.note][:2]
    [('d', 0.5), ('1/eps', 1.0)]
    """
    chosen = list(predictors)
    for name in chosen:
        if name not in _SEQUENTIAL:
            raise ValueError(f"predictors: expected some of {', '.join(_SEQUENTIAL)}, got {name!r}")
    asked = studies(full, chosen)
    if target is not None:
        asked += _scaled_up(target, [(study.held["scheme"], study.held["law"]) for study in asked])
    cells = [c for study in asked for c in study.cells] + extras(full, chosen)
    cells = [c | {"max_steps": min(max_steps, c.get("max_steps", max_steps))} for c in cells]
    order = sorted(range(len(cells)), key=lambda k: -_cost(cells[k]))  # the longest begin first
    [found] = swept({"rates.cell": [cells[k] for k in order]}, store=store, **sweeping)
    rows = [row for _, row in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]
    [plans] = swept({"rates.theorem": _theorem_cells(full, chosen) if theorems else []}, **sweeping)
    fits, first = [], 0
    for study in asked:
        usable = settled(rows[first : first + len(study.at)])
        first += len(study.at)
        fits += [fitted(study, usable)] if len(usable) > 2 else []
    return Table(tuple(dict.fromkeys(rows)), tuple(fits), plans)


def _cost(c: Mapping[str, Any]) -> float:
    """Roughly how long a cell takes."""
    random = 100.0 if c["law"] != "exact" else 1.0
    dim = c.get("dim") or c["copies"] * sum(c["multiplicities"])
    return float(random * (dim / c["accuracy"]) ** (1 / 3) * (10 if c.get("corrector") else 1))
