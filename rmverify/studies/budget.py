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
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfinv

from rmverify import schemes
from rmverify.divergences import chi2, expected_tv, hellinger, kl, tv, w2
from rmverify.divergences.averaged import ACCURACY
from rmverify.laws import output_law
from rmverify.numbers.checks import Array, number, positive_integer
from rmverify.numbers.values import Value
from rmverify.plans import Correct, Plan, Predict, Stage, footprint
from rmverify.schemes.contract import Scheme, Unstable, shipped, unwrap
from rmverify.targets import Gaussian
from rmverify.targets.process import mode_variance
from rmverify.targets.spectra import spectrum

__all__ = ["Budget", "Cost", "Description", "Point", "Row", "Setting", "budget", "describe", "schedule", "setting"]

Grid = Literal["geometric", "uniform"]

PREDICTORS: tuple[Scheme, ...] = (
    schemes.euler,
    schemes.exponential_integrator,
    schemes.heun,
    schemes.midpoint,
    schemes.randomized_midpoint,
    schemes.parallel_midpoint(strata=4, rounds=2),
)
PRECISION = 0.02
"""Half-width of the interval of a number of evaluations, relative to it."""
_EARLY = 0.01  # W_2(q_delta, q_0) relative to sqrt(tr Sigma)
_START = 0.1  # exact TV of the start relative to the request
_WORK = 200_000_000  # of a row whose law is exact, spent on every number of steps from 1 up; see `_work`
_DRAWN = 40_000_000  # evaluations of one mode, of all plans of a row together, where midpoints are drawn
_FIRST = 8  # steps of the first plan tried where midpoints are drawn
_COARSE, _FINE = 0.1, 0.003  # accuracy of a total variation far from the request, and the finest one near it
_LOOKS = 24, 6  # at most, once the request lies between two plans; and of the finest accuracy
_BEYOND = (1.5, 2.25, 3.375)  # times the steps of the answer, where a curve goes on
MOST_STEPS = 20_000_000
"""Steps of the longest plan that is made."""
MOST_TIME = 350.0
"""The latest horizon that can be asked for: e^{2T} is a float, and e^{-2T} is nothing beside any variance below it."""


# --- the setting: where to stop, where to start, which levels in between ------------------------------------


@dataclass(frozen=True)
class Setting:
    """Early-stopping level and horizon with the exact errors they cost, and the grid between them.

    `early_stop_error` is W_2(q_delta, q_0), `early_stop_tv` the total variation of the same two, 1 where the data are
    singular.
    """

    early_stop: float
    horizon: float
    grid: Grid
    early_stop_error: Value
    early_stop_tv: Value
    start_error: Value
    smoothness: float
    data_smoothness: float


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
    accuracy = number("accuracy", accuracy, above=0)
    if not accuracy < 1:
        raise ValueError(f"accuracy: expected a number in (0, 1), got {accuracy!r}")
    if grid not in ("geometric", "uniform"):
        raise ValueError(f"grid: expected 'geometric' or 'uniform', got {grid!r}")
    scale = math.sqrt(float(target.multiplicities @ target.variances))
    if scale == 0:
        raise ValueError("target: expected rows that differ, or a variance > 0, got a point: every variance is 0")
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
    if not top > delta:
        raise ValueError(f"horizon: expected a level above the last one, {delta:g}, got {top!r}")
    return Setting(
        delta,
        top,
        grid,
        w2(target.at(delta), target),
        tv(target.at(delta), target),
        tv(target.at(top), noise),
        target.path_smoothness(delta),
        target.path_smoothness(),
    )


def _early_stop(target: Gaussian, scale: float, early_stop: float | None, early_stop_tv: float | None) -> float:
    if early_stop is not None and early_stop_tv is not None:
        raise ValueError("early_stop_tv: expected at most one of early_stop and early_stop_tv, got both")
    if early_stop is not None:
        return number("early_stop", early_stop, above=0)
    if early_stop_tv is None:
        return _crossing("early_stop", lambda t: w2(target.at(t), target) - _EARLY * scale, 1e-300, 1.0)
    most = number("early_stop_tv", early_stop_tv, above=0)
    if not most < 1:
        raise ValueError(f"early_stop_tv: expected a number in (0, 1), got {early_stop_tv!r}")
    if target.variances.min() == 0:
        raise ValueError(
            "early_stop_tv: expected data that are not singular, got a variance of 0: TV(q_delta, q_0) = 1 for every "
            "delta; choose delta itself"
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


def noise_levels(grid: str, horizon: float, early_stop: float, steps: int) -> Array:
    """The levels from T to delta, both ends as given, of N steps, at most `MOST_STEPS` of them."""
    if positive_integer("steps", steps) > MOST_STEPS:
        raise ValueError(f"steps: expected at most {MOST_STEPS}, for a plan holds the level of every step, got {steps}")
    levels = (np.geomspace if grid == "geometric" else np.linspace)(horizon, early_stop, steps + 1)
    levels[0], levels[-1] = horizon, early_stop
    return levels


def schedule(
    target: Gaussian, scheme: Scheme, where: Setting, steps: int, *, corrector: bool, corrector_time: float = 1.0
) -> Plan:
    """N predictor steps from T to delta; with the corrector, underdamped Langevin at the end of every window.

    A window has the length 1/L(t), L(t) = max_i 1/v_i(t) at its start (at least 1), and at most halves t. It ends at
    the first level of the grid at or below; its corrector has as many steps as its predictor, friction sqrt(L) and
    T_corr = c/(sqrt(L) d^{1/18}), L at its own level.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> target = Gaussian.isotropic(4.0, 3)
    >>> plan = schedule(target, schemes.heun, setting(target, 0.1), 20, corrector=True)
    >>> plan.evaluations  # two a step, and one corrector step for each
    60
    """
    levels = noise_levels(where.grid, where.horizon, where.early_stop, steps)
    if not corrector:
        return Plan([Predict(scheme, levels)])
    stages: list[Stage] = []
    first = 0
    for last in _window_ends(target, levels):
        level = float(levels[last])
        root = math.sqrt(_smoothness_at(target, level))
        count = last - first
        length = corrector_time / (root * target.dim ** (1 / 18)) / count
        stages += [
            Predict(scheme, levels[first : last + 1]),
            Correct(schemes.underdamped(friction=root), level, length, count),
        ]
        first = last
    return Plan(stages)


def _smoothness_at(target: Gaussian, t: float) -> float:
    return max(1.0, 1 / float(np.min(mode_variance(target.variances, t))))


def _window_ends(target: Gaussian, levels: Array) -> list[int]:
    """Indices into `levels` at which a window ends; the last level always does."""
    ends: list[int] = []
    t, delta = float(levels[0]), float(levels[-1])
    while t > delta:
        edge = max(t - 1 / _smoothness_at(target, t), t / 2, delta)
        index = int(np.searchsorted(-levels, -edge * (1 + 1e-12)))
        index = min(max(index, (ends[-1] if ends else 0) + 1), levels.size - 1)
        ends.append(index)
        t = float(levels[index])
    return ends


# --- the search ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """How long a plan is and what it costs."""

    steps: int
    evaluations: int
    rounds: int


@dataclass(frozen=True)
class Point(Cost):
    """One plan on the curve: its cost, and the total variation of its output to q_delta."""

    tv: Value


@dataclass(frozen=True)
class Row:
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
        return _half_width(self.lower.steps, self.upper.steps)

    @property
    def monotone(self) -> bool:
        """Whether TV falls along the points that were looked at to the answer, up to their errors."""
        return all(b.tv.lower <= a.tv.upper for a, b in itertools.pairwise(self.searched))

    @property
    def searched(self) -> tuple[Point, ...]:
        """The curve up to the answer."""
        return tuple(p for p in self.curve if self.upper is None or p.steps <= self.upper.steps)


def _half_width(low: int, high: int) -> float:
    return (high - low) / (high + low)


@dataclass(frozen=True)
class Budget:
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
    grid : {"geometric", "uniform"}
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
        Called before each plan with a line of text and the fraction of the schemes that is done.

    Returns
    -------
    Budget

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> from rmverify.studies.budget import budget
    >>> answer = budget(Gaussian.isotropic(0.25, 100), 0.1, predictors=[schemes.heun], correctors=[False])
    >>> answer.rows[0].upper.tv <= 0.1
    True
    """
    if not isinstance(target, Gaussian):
        raise TypeError(f"target: expected a Gaussian, got {type(target).__name__}")
    for scheme in predictors:
        if not callable(scheme):
            raise ValueError(f"predictors: expected schemes, got {scheme!r}")
    limit = int(number("max_steps", max_steps, least=1, most=MOST_STEPS))
    if not number("precision", precision, above=0) < 1:
        raise ValueError(f"precision: expected a number in (0, 1), got {precision!r}")
    where = setting(target, accuracy, early_stop=early_stop, early_stop_tv=early_stop_tv, horizon=horizon, grid=grid)
    if all(map(shipped, predictors)):  # they turn with their target; a stranger's step may not
        target = spectrum(target)
    asked = [(scheme, corrector) for corrector in correctors for scheme in dict.fromkeys(predictors)]

    def row(done: int, scheme: Scheme, corrector: bool) -> Row:
        def say(text: str) -> None:
            if progress is not None:
                progress(text, done / len(asked))

        return _row(target, scheme, corrector, where, accuracy, precision, beyond, rng, limit, say)

    rows = tuple(row(done, *which) for done, which in enumerate(asked))
    seed = rng if any(footprint(s).alphas for s in predictors) else None
    return Budget(accuracy, target.dim, where, rows, seed, precision)


def _row(
    target: Gaussian,
    scheme: Scheme,
    corrector: bool,
    where: Setting,
    accuracy: float,
    precision: float,
    beyond: bool,
    rng: int,
    max_steps: int,
    progress: Callable[[str], None],
) -> Row:
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
        least, steps = _between(look, affords, accuracy, precision, max_steps)
    else:
        least = steps = _least(lambda n: look(n, _COARSE).upper <= accuracy, lambda n: _work(made(n), modes), max_steps)
    lower = upper = discretization = None
    if steps:
        plan = made(least)
        lower, upper = seen.get(least, Cost(least, plan.evaluations, plan.rounds)), seen[steps]
        discretization = distance(made(steps), "exact", _COARSE)
        for further in (min(round(more * steps), MOST_STEPS) for more in _BEYOND if beyond):
            look(further, _COARSE)
    curve = tuple(seen[n] for n in sorted(seen))
    exact = all(p.tv.kind == "exact" for p in curve)
    return Row(name, corrector, exact, lower, upper, discretization, curve, parameters)


def _least(reaches: Callable[[int], bool], work: Callable[[int], int], most: int) -> int:
    """The fewest steps found that reach, 0 if none: from 1 up while the work lasts, then by doubling and bisection."""
    last, done = 0, 0
    while last < most and done <= _WORK:
        last += 1
        if reaches(last):
            return last
        done += work(last)
    if last == most:
        return 0
    steps = min(2 * last, most)
    while not reaches(steps):
        if steps >= most:
            return 0
        last, steps = steps, min(2 * steps, most)
    while steps - last > 1:
        middle = (last + steps) // 2
        last, steps = (last, middle) if reaches(middle) else (middle, steps)
    return steps


def _between(
    look: Callable[[int, float], Value], affords: Callable[[int], bool], accuracy: float, precision: float, most: int
) -> tuple[int, int]:
    """The least number of steps that is not known to be too few, and the least seen that is enough; 0 for none."""
    curve = _Curve(accuracy)

    def see(steps: int, fine: float) -> None:
        curve.seen[steps], curve.asked[steps] = look(steps, fine), fine

    steps = min(_FIRST, most)
    see(steps, _COARSE)
    while curve.seen[steps].upper > accuracy and steps < most:
        steps = min(max(steps + 1, math.ceil(1.05 * curve.crossing(steps, 2 * steps))), 2 * steps, most)
        if not affords(steps):
            return curve.ends[0] + 1, 0
        see(steps, _COARSE)
    looks, finest = _LOOKS
    for _ in range(looks):
        if sum(asked <= _FINE for asked in curve.asked.values()) >= finest:
            break
        low, high = curve.ends
        if high:
            sampled = any(curve.seen[n].kind == "monte-carlo" for n in (low, high) if n)
            if high - low == 1 or (sampled and _half_width(low + 1, high) <= precision):
                break
            wanted = curve.closer(low, high, precision)
        else:
            wanted = curve.finer(most) if low < most else None
        if wanted is None or not affords(wanted[0]):
            break
        see(*wanted)
    low, high = curve.ends
    return low + 1, high


@dataclass(frozen=True)
class _Curve:
    """Total variations by numbers of steps, and the accuracy that was asked of each."""

    goal: float
    seen: dict[int, Value] = field(default_factory=dict)
    asked: dict[int, float] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[int, int]:
        """The longest plan known to be too short, and the shortest known to reach; 0 where there is none."""
        high = min((n for n, value in self.seen.items() if value.upper <= self.goal), default=0)
        short = (n for n, value in self.seen.items() if value.lower > self.goal and (n < high or not high))
        return max(short, default=0), high

    def level(self, steps: int) -> float:
        """ln x, TV = erf(x), over that of the goal: a power of N is a line in it up to where TV is close to 1."""
        x = erfinv(np.clip([float(self.seen[steps]), self.goal], 1e-300, 1 - 1e-12))
        return float(np.log(x[0] / x[1]))

    def parabola(self, low: int, high: int) -> Array:
        """Of the level in ln N, through both ends and the next one beyond them; a line where only `low` was seen."""
        beyond = sorted((n for n in self.seen if not low <= n <= high), key=lambda n: abs(math.log(n / low)))
        near = [n for n in (low, high) if n in self.seen] + [n for n in beyond if not 0.7 < n / low < 1.4]
        near = near[: 3 if high in self.seen else 2]
        found: Array = np.polyfit(np.log(near), [self.level(n) for n in near], len(near) - 1)
        return found

    def crossing(self, low: int, high: int) -> float:
        """Where the parabola meets the goal; `high` where it does not before."""
        along = self.parabola(low, high)
        ends = math.log(low), math.log(high)
        if not np.polyval(along, ends[0]) > 0 > np.polyval(along, ends[1]):
            return float(high)
        return math.exp(brentq(lambda x: np.polyval(along, x), *ends))

    def closer(self, low: int, high: int, precision: float) -> tuple[int, float] | None:
        """A plan near the crossing, on the side whose end is farther from it, and an accuracy that tells on which."""
        if not low:
            return high // 2, _COARSE
        at, along = self.crossing(low, high), self.parabola(low, high)
        off = 0.8 * precision
        sides = [(at / low, math.floor(at * (1 - off))), (high / at, math.ceil(at * (1 + off)))]
        for _, steps in sorted(sides, reverse=True):
            steps = min(max(steps, low + 1), high - 1)
            if steps not in self.seen:
                x = float(erfinv(self.goal)) * math.exp(np.polyval(along, math.log(steps)))
                return steps, self._telling(math.erf(x), _COARSE)
            again = self.finer(steps)
            if again is not None:
                return again
        return None

    def finer(self, steps: int) -> tuple[int, float] | None:
        """The same plan with a finer interval, where there is one."""
        if self.seen[steps].kind != "monte-carlo" or self.asked[steps] <= _FINE:
            return None
        return steps, self._telling(float(self.seen[steps]), self.asked[steps] / 2)

    def _telling(self, value: float, most: float) -> float:
        """A relative half-width that tells such a value from the goal."""
        return max(min(abs(value / self.goal - 1) / 2, most), _FINE)


def _work(plan: Plan, modes: int) -> int:
    """What a plan without midpoints costs, about, in evaluations of one mode: it and each of its stages take time of
    their own, that of some ten thousands of them, and its TV that of some hundreds for every mode."""
    return (plan.evaluations + 400) * modes + 50_000 + 25_000 * len(plan.stages)


# --- one plan -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Description:
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


def describe(
    plan: Plan, target: Gaussian, where: Setting, *, start: str = "normal", precision: float = ACCURACY, rng: int = 0
) -> Description:
    """The law and errors of one plan; `where` is the setting that it was made for.

    Of a plan that draws midpoints `precision` is the half-width, relative to a distance, that is worked towards.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> from rmverify.studies.budget import describe, schedule, setting
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
        where,
        target.dim,
        unwrap(predictors[0].scheme)[0].__name__,
        len(predictors) < len(plan.stages),
        sum(map(len, predictors)),
        plan.evaluations,
        plan.rounds,
        start,
        "mixture over the midpoints" if mixture else "Gaussian",
        float(np.max(law.rounding)),
        found,
        exact,
        rng if mixture else None,
        expected_tv(law, goal, **draws) if mixture else None,
    )
