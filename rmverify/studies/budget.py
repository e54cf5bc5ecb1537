r"""How many score evaluations does a sampler need, on a given Gaussian target, for every scheme?

An exact count where no midpoints are drawn; where they are, the total variation of the averaged law has a confidence
interval (`divergences.sampled`), and so has the count, as narrow as is asked for.

The error against the data q_0 has three parts, each reported: the start (N(0, I) stands for q_T), the discretization
(the output against q_delta, what the steps are counted for) and the early stopping (q_delta stands for q_0).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import brentq

from rmverify import schemes
from rmverify.divergences import chi2, expected_tv, hellinger, kl, tv, w2
from rmverify.divergences.averaged import ACCURACY
from rmverify.laws import output_law
from rmverify.numbers.checks import number, positive_integer
from rmverify.numbers.values import Value
from rmverify.plans import Levels, Plan, Predict, footprint, schedule
from rmverify.plans.schedules import MOST_STEPS, Grid
from rmverify.schemes.contract import Scheme, Unstable, shipped, unwrap
from rmverify.studies.search import COARSE, PRECISION, Sampled, Search, half_width
from rmverify.studies.study import Record, html
from rmverify.targets import Gaussian
from rmverify.targets.spectra import spectrum
from rmverify.tasks import completed, given, outcome

__all__ = ["Budget", "Cost", "Description", "Point", "Row", "Setting", "budget", "describe", "setting"]

PREDICTORS: tuple[Scheme, ...] = (
    schemes.euler,
    schemes.exponential_integrator,
    schemes.heun,
    schemes.midpoint,
    schemes.randomized_midpoint,
    schemes.importance_midpoint,
    schemes.parallel_midpoint(strata=4, rounds=2),
    schemes.exponential_sde,
    schemes.ddpm,
    schemes.randomized_midpoint_sde,
)
_EARLY = 0.01  # W_2(q_delta, q_0) relative to sqrt(tr Sigma)
_START = 0.1  # exact TV of the start relative to the request
_WORK = 200_000_000  # of a row whose law is exact, spent on every number of steps from 1 up; see `_work`
_DRAWN = 40_000_000  # evaluations of one mode, of all plans of a row together, where midpoints are drawn
_FIRST = 8  # steps of the first plan tried where midpoints are drawn
_BEYOND = (1.5, 2.25, 3.375)  # times the steps of the answer, where a curve goes on
MOST_TIME = 350.0
"""The latest horizon that can be asked for: e^{2T} is a float, and e^{-2T} is nothing beside any variance below it."""


# --- the setting: where to stop and where to start ----------------------------------------------------------


@dataclass(frozen=True, repr=False, kw_only=True)
class Setting(Record, Levels):
    """Early-stopping level and horizon with the exact errors they cost, and the grid between them.

    `early_stop_error` is W_2(q_delta, q_0), `early_stop_tv` the total variation of the same two, 1 where the data are
    singular.
    """

    early_stop_error: Value
    early_stop_tv: Value
    start_error: Value
    smoothness: float
    data_smoothness: float

    brief = ("early_stop", "horizon", "grid", "early_stop_error", "early_stop_tv", "start_error", "smoothness")


def setting(
    target: Gaussian,
    accuracy: float,
    *,
    early_stop: float | None = None,
    early_stop_tv: float | None = None,
    horizon: float | None = None,
    grid: Grid = "geometric",
) -> Setting:
    """The defaults of a budget: delta the largest with W_2(q_delta, q_0) <= 1 % of sqrt(tr Sigma), T the smallest with
    TV(q_T, N(0, I)) <= accuracy/10; `smoothness` is the path's L from delta up, `data_smoothness` that of q_0.

    With `early_stop_tv` delta is the largest with TV(q_delta, q_0) at most that; of singular data there is none.

    Examples
    --------
    >>> from rmverify import Gaussian
    >>> where = setting(Gaussian.isotropic(4.0, 3), 0.1)
    >>> round(where.start_error, 6), round(where.early_stop_error / 12**0.5, 6)
    (0.01, 0.01)
    """
    accuracy = number("accuracy", accuracy, above=0, below=1)
    scale = math.sqrt(float(target.multiplicities @ target.variances))
    if scale == 0:
        raise ValueError("target: every variance is 0, a single point; give rows that differ, or a variance > 0")
    target = spectrum(target)
    delta = _early_stop(target, scale, early_stop, early_stop_tv)
    noise = target.with_modes(1.0, 0.0)
    if horizon is None:
        top = _crossing("horizon", lambda t: _START * accuracy - tv(target.at(t), noise), 1e-12, 1000.0)
        top = max(top * (1 + 1e-9), 2 * delta)
    else:
        top = number("horizon", horizon, above=0, most=MOST_TIME)
    if grid == "uniform" and not delta > 1e-15 * top:
        raise ValueError(f"early_stop: expected more than 1e-15 of the horizon on a uniform grid, got {delta!r}")
    return Setting(
        delta, top, grid, early_stop_error=w2(target.at(delta), target), early_stop_tv=tv(target.at(delta), target),
        start_error=tv(target.at(top), noise), smoothness=target.path_smoothness(delta),
        data_smoothness=target.path_smoothness(),
    )  # fmt: skip


def _early_stop(target: Gaussian, scale: float, early_stop: float | None, early_stop_tv: float | None) -> float:
    if early_stop is not None and early_stop_tv is not None:
        raise ValueError("early_stop_tv: cannot be combined with early_stop; give one of the two")
    if early_stop is not None:
        return number("early_stop", early_stop, above=0)
    if early_stop_tv is None:
        return _crossing("early_stop", lambda t: w2(target.at(t), target) - _EARLY * scale, 1e-300, 1.0)
    most = number("early_stop_tv", early_stop_tv, above=0, below=1)
    if target.variances.min() == 0:
        raise ValueError(
            "early_stop_tv: the data are singular (a variance is 0), so that TV(q_delta, q_0) = 1 for every delta; "
            "give delta itself"
        )
    # the root is found to 1e-10 in ln t, on either side
    return _crossing("early_stop", lambda t: tv(target.at(t), target) - most, 1e-300, 1.0) * (1 - 1e-9)


def _crossing(name: str, gap: Callable[[float], float], low: float, high: float) -> float:
    """The t in [low, high] at which the increasing `gap` becomes positive."""
    if gap(low) > 0 and name == "horizon":  # the target is as good as N(0, I) already
        return low
    if gap(high) <= 0 and name == "early_stop":
        return high
    if not gap(low) <= 0 <= gap(high):
        raise ValueError(f"{name}: no default between {low:g} and {high:g} for variances of this size; give one")
    return math.exp(brentq(lambda log_t: gap(math.exp(log_t)), math.log(low), math.log(high), xtol=1e-10))


SMALLEST = 1e-8
"""Smallest variance, relative to the largest, of a target that is taken as it is."""


def early_stopped(target: Gaussian) -> tuple[Gaussian, float]:
    """The target and 0, or where it has (nearly) singular directions, and so no useful L, its q_delta and delta."""
    if float(target.variances.min()) > SMALLEST * max(1.0, float(target.variances.max())):
        return target, 0.0
    delta = setting(target, 0.1).early_stop
    return target.at(delta), delta


# --- the search ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Cost(Record):
    """How long a plan is and what it costs."""

    steps: int
    evaluations: int
    rounds: int


@dataclass(frozen=True, repr=False)
class Point(Cost):
    """One plan on the curve: its cost, and the total variation of its output to q_delta."""

    tv: Value


@dataclass(frozen=True, repr=False)
class Row(Record):
    """One scheme: the fewest steps that reach the accuracy, with the whole curve that was looked at.

    Where the law is exact, `upper` is the first plan found whose TV is within the accuracy, and `lower` is the same.
    Every number of steps is looked at from 1 up, while a set amount of work lasts, then the search doubles and bisects.

    Where midpoints are drawn, TV has a confidence interval of 95 %. `upper` is the shortest plan that was looked at
    whose interval lies within the accuracy, `lower` has one step more than the longest shorter one whose interval lies
    above it. The search doubles, and goes on with finer intervals where the curve meets the accuracy, until the two are
    close, while a set amount of work lasts.

    Both are None where no plan up to the limit is known to reach. `proved` says whether `upper` has the least number of
    steps, `tried` up to where every one was looked at. `discretization` is the TV of `upper` started from the true q_T,
    `parameters` are those of the scheme.
    """

    scheme: str
    corrector: bool
    exact: bool
    lower: Cost | None
    upper: Point | None
    discretization: Value | None
    curve: tuple[Point, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    brief = ("scheme", "corrector", "evaluations", "tv", "discretization", "exact")

    @property
    def evaluations(self) -> tuple[int, int] | None:
        """The fewest that are not ruled out and the fewest known to be enough, the same where the law is exact."""
        return None if self.lower is None or self.upper is None else (self.lower.evaluations, self.upper.evaluations)

    @property
    def tv(self) -> Value:
        """That of the answer, or of the longest plan where there is none."""
        return (self.curve[-1] if self.upper is None else self.upper).tv

    @property
    def tried(self) -> int:
        """The largest n such that every number of steps from 1 to n was looked at."""
        return next((n for n, point in enumerate(self.curve) if point.steps > n + 1), len(self.curve))

    @property
    def proved(self) -> bool:
        """Whether every number of steps below the answer, or up to the limit, was looked at."""
        last = self.curve[-1].steps if self.upper is None else self.upper.steps
        return self.tried >= last

    @property
    def half_width(self) -> float:
        """That of the interval of the number of steps, relative to its middle; infinite where there is no answer."""
        if self.lower is None or self.upper is None:
            return math.inf
        return half_width(self.lower.steps, self.upper.steps)

    @property
    def monotone(self) -> bool:
        """Whether TV falls along the points that were looked at to the answer, up to their errors."""
        return all(b.tv.lower <= a.tv.upper for a, b in itertools.pairwise(self.searched))

    @property
    def searched(self) -> tuple[Point, ...]:
        """The curve up to the answer."""
        return tuple(p for p in self.curve if self.upper is None or p.steps <= self.upper.steps)


@dataclass(frozen=True, repr=False)
class Budget(Record):
    """The answer: one `Row` for every scheme, with and without the corrector.

    `precision` is the relative half-width of its intervals that was asked for, `seed` that of the random midpoints,
    None where no scheme draws any.
    """

    accuracy: float
    dim: int
    setting: Setting
    rows: tuple[Row, ...]
    seed: int | None = None
    precision: float = PRECISION

    brief = ("accuracy", "dim", "rows", "seed", "setting")

    def _repr_html_(self) -> str:
        return f"<p>{self.setting!r}</p>{html(self.rows)}"


def budget(
    target: Gaussian,
    accuracy: float = 0.1,
    *,
    early_stop: float | None = None,
    early_stop_tv: float | None = None,
    horizon: float | None = None,
    grid: Grid = "geometric",
    predictors: Sequence[Scheme] = PREDICTORS,
    correctors: Sequence[bool] = (False, True),
    precision: float = PRECISION,
    beyond: bool = False,
    rng: int = 0,
    max_steps: int = 1 << 17,
    progress: Callable[[str, float], None] | None = None,
    executor: Executor | None = None,
    workers: int = 1,
) -> Budget:
    """Score evaluations needed to be within `accuracy` of q_delta in total variation, for every scheme.

    Parameters
    ----------
    target : Gaussian
    accuracy : float in (0, 1)
    early_stop, horizon : float, optional
        delta and T; see `setting` for the defaults.
    early_stop_tv : float in (0, 1), optional
        In place of `early_stop`: delta is the largest with TV(q_delta, q_0) at most that.
    grid : {"geometric", "uniform", "cosine", "karras", "kl_optimal"}
    predictors : sequence of schemes on x
    correctors : sequence of bool
        Without, with the underdamped corrector after every window.
    precision : float in (0, 1)
        Of schemes that draw midpoints: half-width of the interval of the number of evaluations, relative to it, that
        is worked towards.
    beyond : bool
        Whether curves go on beyond the answer, to some three times its steps.
    rng : int
        Seed of the random midpoints.
    max_steps : int
        Where the search gives up.
    progress : callable, optional
        Called before each plan with a line of text and the fraction of the schemes that is done; with an executor,
        after each scheme.
    executor : concurrent.futures.Executor, optional
        Where the schemes are looked at, `workers` at once (a `sweep.pool` knows itself); by default here, one after
        the other. Processes must be able to import schemes of your own by their names.

    Returns
    -------
    Budget

    Raises
    ------
    ValueError
        For a number that makes no sense, or what cannot be sent to a worker.
    tasks.Gone
        Where a worker died.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> answer = budget(Gaussian.isotropic(0.25, 100), 0.1, predictors=[schemes.heun], correctors=[False])
    >>> answer.rows[0].upper.tv <= 0.1
    True
    """
    if not isinstance(target, Gaussian):
        raise TypeError(f"target: expected a Gaussian, got {type(target).__name__}")
    for scheme in predictors:
        if not callable(scheme):
            raise ValueError(f"predictors: expected schemes, got {scheme!r}")
    limit = positive_integer("max_steps", max_steps, MOST_STEPS)
    precision = number("precision", precision, above=0, below=1)
    where = setting(target, accuracy, early_stop=early_stop, early_stop_tv=early_stop_tv, horizon=horizon, grid=grid)
    if all(map(shipped, predictors)):  # they turn with their target; a stranger's step may not
        target = spectrum(target)
    asked = [(scheme, corrector) for corrector in correctors for scheme in dict.fromkeys(predictors)]

    tell = progress or (lambda text, fraction: None)

    def row(done: int, scheme: Scheme, corrector: bool) -> Row:
        def say(text: str) -> None:
            tell(text, done / len(asked))

        return _row(target, scheme, corrector, where, accuracy, precision, beyond, rng, limit, say)

    if executor is None:
        rows = [row(done, *which) for done, which in enumerate(asked)]
    else:
        found: dict[int, Row] = {}
        tasks = (
            (k, _row, (target, *which, where, accuracy, precision, beyond, rng, limit, _unsaid))
            for k, which in enumerate(asked)
        )
        with given(executor, workers) as pool, closing(completed(pool, tasks)) as finished:
            for k, future in finished:
                found[k] = outcome(future, "a target and schemes")
                tell(f"{len(found)} of {len(asked)} schemes", len(found) / len(asked))
        rows = [found[k] for k in range(len(asked))]
    seed = rng if any(footprint(s).alphas for s in predictors) else None
    return Budget(accuracy, target.dim, where, tuple(rows), seed, precision)


def _unsaid(text: str) -> None:
    """What a worker tells of its progress."""


def _row(
    target: Gaussian, scheme: Scheme, corrector: bool, where: Setting, accuracy: float, precision: float, beyond: bool,
    rng: int, max_steps: int, progress: Callable[[str], None],
) -> Row:  # fmt: skip
    step, parameters = unwrap(scheme)
    name = step.__name__
    goal = target.at(where.early_stop)

    def made(steps: int) -> Plan:
        return schedule(target, scheme, where, steps, corrector=corrector)

    def distance(plan: Plan, start: str, fine: float) -> Value:
        unknown = Value(1.0, "upper", 1.0, lower=0.0, upper=1.0)
        try:
            law = output_law(plan, target, start=start)
            if not np.isfinite(law.rounding).all():
                return unknown
            return tv(law, goal, accuracy=fine, rng=rng)
        except OverflowError:  # a Gaussian of infinite variance is at 1; of a mixture nothing is known
            return unknown if plan.drawing_steps else Value(1.0, complement=0.0)

    seen: dict[int, Point] = {}
    modes = target.variances.size
    done = 0

    def affords(steps: int) -> bool:
        return done + made(steps).evaluations * modes <= _DRAWN

    def look(steps: int, fine: float) -> Value:
        """The TV after so many steps, of this accuracy; kept."""
        nonlocal done
        progress(f"{name}{' + corrector' if corrector else ''}, {steps} steps")
        plan = made(steps)
        done += plan.evaluations * modes
        seen[steps] = Point(steps, plan.evaluations, plan.rounds, distance(plan, "normal", fine))
        return seen[steps].tv

    if footprint(scheme).alphas:
        found = Sampled(look, accuracy, precision, max_steps, affords).least(_FIRST)
    else:
        search = Search(lambda n: look(n, COARSE), accuracy, max_steps, doubling=True)
        search.scan(_WORK, lambda n: _work(made(n), modes))
        found = search.least()
    lower = upper = discretization = None
    if found.steps is not None:
        most = found.most or found.steps
        least = found.fewest or most
        plan = made(least)
        lower, upper = seen.get(least, Cost(least, plan.evaluations, plan.rounds)), seen[most]
        discretization = distance(made(most), "exact", COARSE)
        for further in (min(round(more * most), MOST_STEPS) for more in _BEYOND if beyond):
            look(further, COARSE)
    curve = tuple(seen[n] for n in sorted(seen))
    exact = all(p.tv.kind == "exact" for p in curve)
    return Row(name, corrector, exact, lower, upper, discretization, curve, parameters)


def _work(plan: Plan, modes: int) -> int:
    """What a plan without midpoints costs, about, in evaluations of one mode: it and each of its stages take time of
    their own, that of some ten thousands of them, and its TV that of some hundreds for every mode."""
    return (plan.evaluations + 400) * modes + 50_000 + 25_000 * len(plan.stages)


# --- one plan -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Description(Record):
    """One plan on one target: what it costs, and every distance of its output law to q_delta.

    Of a plan that draws midpoints they are those of the law averaged over them: every particle has its own midpoints.
    `expected_tv` is E_alpha TV(P_alpha, q_delta), for particles that share one set; None without midpoints.
    """

    setting: Setting
    dim: int
    scheme: str
    corrector: bool
    steps: int
    evaluations: int
    rounds: int
    start: str
    law: str
    rounding: float
    divergences: dict[str, Value]
    discretization: Value
    seed: int | None = None
    expected_tv: Value | None = None

    brief = ("scheme", "corrector", "steps", "evaluations", "law", "divergences", "discretization", "expected_tv")


def describe(
    plan: Plan, target: Gaussian, where: Setting, *, start: str = "normal", precision: float = ACCURACY, rng: int = 0
) -> Description:
    """The law and errors of one plan; `where` is the setting that it was made for.

    Of a plan that draws midpoints `precision` is the half-width, relative to a distance, that is worked towards.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> from rmverify.plans import schedule
    >>> target = Gaussian.isotropic(4.0, 3)
    >>> where = setting(target, 0.1)
    >>> found = describe(schedule(target, schemes.heun, where, 50, corrector=False), target, where)
    >>> found.law, found.divergences["tv"].kind
    ('Gaussian', 'exact')
    """
    goal = target.at(where.early_stop)
    law = output_law(plan, target, start=start)
    if not np.isfinite(law.rounding).all():
        raise Unstable("the law is lost in its rounding")
    mixture = not isinstance(law, Gaussian)
    draws: dict[str, Any] = {"accuracy": precision, "rng": rng} if mixture else {}
    found = {
        "tv": tv(law, goal, **draws),
        "kl": kl(law, goal, **draws),
        "kl_reverse": kl(goal, law, **draws),
        "chi2": chi2(law, goal, **draws),
        "hellinger": hellinger(law, goal, **draws),
        "w2": w2(law, goal, **draws),
    }
    exact = found["tv"] if start == "exact" else tv(output_law(plan, target, start="exact"), goal, **draws)
    predictors = [stage for stage in plan if isinstance(stage, Predict)]
    return Description(
        setting=where, dim=target.dim, scheme=unwrap(predictors[0].scheme)[0].__name__,
        corrector=len(predictors) < len(plan.stages), steps=sum(map(len, predictors)), evaluations=plan.evaluations,
        rounds=plan.rounds, start=start, law="mixture over the midpoints" if mixture else "Gaussian",
        rounding=float(np.max(law.rounding)), divergences=found, discretization=exact, seed=rng if mixture else None,
        expected_tv=expected_tv(law, goal, **draws) if mixture else None,
    )  # fmt: skip
