"""Log-concave sampling: steps to accuracy of randomized midpoint Langevin and of other steps, exactly, and what the
corrector is for.

Targets are Gaussians of the class m I <= -grad^2 ln density <= L I, started at the minimum. Randomized midpoint
Langevin runs at friction 2 and mass 1/L, as its theorem has it, Hamiltonian Monte Carlo in trajectories of the time
1/sqrt(L); the step h is chosen best among those that are stable on the class. Two errors are known exactly for any
number of steps, from the moments of the covariance given the midpoints (`rmverify.laws.invariant`):

* W_2 of the law given the midpoints, its root mean square over them, in units of sqrt(d/m), on half the coordinates of
  curvature m and half of L: the worst of both ends. It is an upper bound of W_2 of the unconditional law.
* TV of the unconditional law on an isotropic target of curvature m or L.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from rmverify import schemes
from rmverify.divergences import tv
from rmverify.divergences.radial import radial_tv
from rmverify.exponents import BOUNDS
from rmverify.laws import output_law
from rmverify.laws.invariant import Powers, Spread, contraction, marginal, refreshed, spread, step_map
from rmverify.laws.scale import ScaleMixture, Unresolved
from rmverify.numbers.checks import Array, dimension, number, positive_integer
from rmverify.numbers.values import Value
from rmverify.plans import Correct, Plan, footprint, log_concave
from rmverify.studies.search import Found, Search, lowest
from rmverify.studies.study import Fit, Record, Records, Study, fitted, settled, swept
from rmverify.targets import Gaussian

__all__ = [
    "STUDIES", "Comb", "Row", "Study", "Table", "Theorem", "comb", "distance_after", "fitted", "steps_to", "table",
    "theorem",
]  # fmt: skip

KINETIC = "randomized_midpoint_langevin"
METRICS = ("w2", "tv")
TARGETS = ("both", "m", "L")
_NODES = (1, 2, 3, 4, 5, 6, 7, 8, 9)  # of the rule of the variance given the midpoints
_STILL = 1e-6  # of the square of a mean, a variance whose higher moments are rounding
_FEW = (3, 2, 1)  # where it is looked for the best step length
_AGREE = 1e-9
_FINE = 0.02  # of ln h, where its search ends
_SHORTER = (0, 1, 2, 3, 4, 6, 8, 12, 16)  # of ln h, in units of it, where no number of steps is known to be enough
VARIATION = BOUNDS["C4, variation, log-concave"](W_2=1.0, T=1.0)
SHEN_LEE = f"C3: {BOUNDS['C3']} [quoted]"
COROLLARY = (
    f"D3: d^{{5/12}} [abstract], {BOUNDS['D3']} [recalled] (since: {BOUNDS['D3, since']}, Altschuler, Chewi and Zhang "
    "2025 [found])"
)


# --- one step length --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sampler:
    """How a scheme samples a class: its parameters and the unit of its step length for smoothness L, the score
    evaluations of a step, on average where it may leave some out, and whether the velocity is drawn fresh, after such a
    unit of time."""

    given: Callable[[float], Mapping[str, Any]]
    unit: Callable[[float], float]
    evaluations: float
    fresh: bool = False

    def step(self, scheme: Any, L: float) -> Any:
        """The step of the scheme."""
        given = self.given(L)
        return scheme(**given) if given else scheme


CELLS = 4
"""Of the Poisson midpoint."""
SAMPLERS: Mapping[str, Sampler] = {
    KINETIC: Sampler(lambda L: {"friction": 2, "mass": 1 / L}, lambda L: 1.0, 2),
    "overdamped": Sampler(lambda L: {}, lambda L: 1 / L, 1),
    "overdamped_midpoint": Sampler(lambda L: {}, lambda L: 1 / L, 2),
    "parallel_overdamped": Sampler(lambda L: {"strata": 2, "rounds": 1}, lambda L: 1 / L, 5),
    "poisson_midpoint": Sampler(lambda L: {"cells": CELLS}, lambda L: 1 / L, 2 - 1 / CELLS),
    "stochastic_runge_kutta": Sampler(lambda L: {}, lambda L: 1 / L, 3),
    "stratified_hmc": Sampler(lambda L: {}, lambda L: 1 / math.sqrt(L), 1, fresh=True),
}
"""By the name of their scheme."""


class _Steps:
    """Errors after N steps of length h from the minimum, for curvatures k of the target's modes.

    With `fresh`, after N trajectories of about that time, each of `per` steps of about that length.
    """

    def __init__(self, scheme: Any, k: Array, L: float, h: float, fresh: float | None = None) -> None:
        target = Gaussian(np.zeros(k.size), 1 / k)
        self.per = 1 if fresh is None else max(1, round(fresh / h))
        self.h = h if fresh is None else fresh / self.per
        self.k, self.spread = k, spread(scheme, target.modes, target.variances, 0.0, self.h)
        self.size = self.spread.r.shape[-1] if fresh is None else 1
        self.fresh, self.powers = fresh is not None, dict[int, Powers]()
        self.random = footprint(scheme).alphas > 0
        stiff = Gaussian([0.0], [1 / L])  # of the class: the step must be short enough for it too
        self.stable = contraction(self.map(spread(scheme, stiff.modes, stiff.variances, 0.0, self.h), 1)) > 0

    def map(self, one: Spread, order: int) -> Array:
        """Of a step or a trajectory."""
        D = step_map(one, order)
        return refreshed(D, self.per) if self.fresh else D

    def rule(self, steps: int, nodes: int) -> tuple[Array, Array]:
        """k S_xx - 1 at the nodes (modes, nodes), and their weights."""
        nodes = nodes if self.random else 1
        if nodes not in self.powers:
            self.powers[nodes] = Powers(self.map(self.spread, 2 * nodes - 1), self.size)
        rest = np.tile(np.array([-1.0, 0.0, 0.0][: self.size]), (self.k.size, 1))
        m = self.powers[nodes].after(steps, rest)
        try:
            y, weights = marginal(m, self.size, nodes)
        except np.linalg.LinAlgError:
            y, weights = self._where_it_spreads(m, nodes)
        if not (y > -1).all():
            raise Unresolved
        return y, weights

    def _where_it_spreads(self, m: Array, nodes: int) -> tuple[Array, Array]:
        """The rule with two nodes alone in the modes whose spread is next to nothing beside their mean."""
        first, weights = marginal(m, self.size, min(2, nodes))
        mean = (weights * first).sum(axis=1)
        still = (weights * (first - mean[:, None]) ** 2).sum(axis=1) <= _STILL * mean**2
        if nodes <= 2 or still.all() or not still.any():
            raise Unresolved
        y, shares = np.zeros((len(m), nodes)), np.zeros((len(m), nodes))
        y[still, :2], shares[still, :2] = first[still], weights[still]
        y[~still], shares[~still] = marginal(m[~still], self.size, nodes)
        return y, shares

    def settled(
        self, error: Callable[[Array, Array], Value], steps: int, nodes: Sequence[int], accuracy: float
    ) -> Value:
        """The error by more and more nodes until it is clear on which side of the accuracy it lies, or there are none:
        where the spread is but rounding. Two rules may agree by chance, but errors fall 16-fold in two nodes. By fewer
        and fewer nodes the first error that there is."""
        before: Value | None = None
        changes = [math.inf, math.inf]
        for count in nodes:
            try:
                found = error(*self.rule(steps, count))
            except (np.linalg.LinAlgError, Unresolved, OverflowError):
                if nodes is _FEW:
                    continue
                break
            if nodes is _FEW:
                return found
            changes.append(math.inf if before is None else abs(found - before))
            doubt = max(changes[-1], changes[-2] / 16) if math.isfinite(changes[-2]) else changes[-1]
            before = Value(found, "exact", found.error + (doubt if math.isfinite(doubt) else 0.0))
            if 10 * doubt <= max(abs(found - accuracy), _AGREE * found):
                break
        return before or Value(math.inf, "lower")

    def w2(self, steps: int, nodes: Sequence[int], accuracy: float) -> Value:
        """The root mean square over midpoints of W_2(P_alpha, target)/sqrt(d/m), half the coordinates of each k."""

        def error(y: Array, weights: Array) -> Value:
            root = y / (np.sqrt(1 + y) + 1)
            square = float(((weights * root**2).sum(axis=1) * self.k.min() / self.k).mean())
            return Value(math.sqrt(square), "exact", 1e-13 * math.sqrt(square))

        return self.settled(error, steps, nodes, accuracy)

    def tv(self, steps: int, nodes: Sequence[int], accuracy: float, dim: int) -> Value:
        """TV of the unconditional law, one k for all coordinates."""

        def error(y: Array, weights: Array) -> Value:
            u = np.log1p(y[0])
            return radial_tv(ScaleMixture(np.exp(u), weights[0], dim, 1e-13 * float(np.abs(u).max()), 1.0, u), 1.0)

        return self.settled(error, steps, nodes, accuracy)


@dataclass(frozen=True, repr=False)
class Row(Record):
    """The smallest number N of sampler steps to an accuracy, over their length h too.

    `scheme`: one of `SAMPLERS`.
    `metric`: "w2", in units of sqrt(d/m), or "tv". `law`: "expected" (the root mean square over midpoints) or
    "unconditional". `target`: curvatures "both" m and L, or "m", "L" alone. `before`: the value at N - 1, the same h.
    """

    metric: str
    law: str
    target: str
    dim: int
    smoothness: float
    condition: float
    accuracy: float
    step: float | None
    steps: int | None
    evaluations: float | None
    value: Value | None
    before: Value | None
    status: str
    scheme: str = KINETIC

    brief = (
        "scheme",
        "metric",
        "law",
        "target",
        "dim",
        "condition",
        "accuracy",
        "step",
        "steps",
        "value",
        "before",
        "status",
    )
    loose: ClassVar[None] = None
    crossing: ClassVar[None] = None


def steps_to(
    metric: str, accuracy: float, *, condition: float = 10.0, dim: int = 1, target: str | None = None,
    smoothness: float = 1.0, max_steps: int = 10**12, scheme: Any = KINETIC,
) -> Row:  # fmt: skip
    """The smallest N with the error at most `accuracy`, the step length chosen best (golden section in ln h).

    Parameters
    ----------
    metric : {"w2", "tv"}
    accuracy : number > 0
        eps' of W_2 <= eps' sqrt(d/m), or eps < 1 of TV <= eps.
    condition : number >= 1
        kappa = L/m.
    dim : int
        d; W_2/sqrt(d/m) does not depend on it.
    target : {"both", "m", "L"}, optional
        Curvatures; "both" for "w2", "m" for "tv" by default.
    smoothness : number > 0
        L; only kappa matters.
    max_steps : int
        Where the search gives up.
    scheme : str or step function
        The name of one of `SAMPLERS`, or what takes the place of the first; it has a friction and a mass.

    Examples
    --------
    >>> row = steps_to("w2", 0.1, condition=4.0)
    >>> row.status, row.value <= 0.1 < row.before
    ('found', True)
    """
    if metric not in METRICS:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, got {metric!r}")
    target = target or ("both" if metric == "w2" else "m")
    if target not in TARGETS or (metric == "tv" and target == "both"):
        raise ValueError(f"target: expected {'m or L' if metric == 'tv' else 'both, m or L'}, got {target!r}")
    accuracy = number("accuracy", accuracy, above=0, below=1 if metric == "tv" else None)
    kappa = number("condition", condition, least=1)
    dim, most = dimension(dim), positive_integer("max_steps", max_steps)
    L = number("smoothness", smoothness, above=0)
    if isinstance(scheme, str) and scheme not in SAMPLERS:
        raise ValueError(f"scheme: expected one of {', '.join(SAMPLERS)}, got {scheme!r}")
    name = scheme if isinstance(scheme, str) else KINETIC
    sampler = SAMPLERS[name]
    step = sampler.step(getattr(schemes, name) if scheme is name else scheme, L)
    k = {"both": np.array([L / kappa, L]), "m": np.array([L / kappa]), "L": np.array([L])}[target]
    unit = sampler.unit(L)
    problem = _Problem(step, k, L, metric, accuracy, dim, most, unit if sampler.fresh else None)
    best = lowest(problem.least, math.log(4.0 * unit), math.log(1e-7 * unit), _FINE)
    if sampler.fresh:  # whole numbers of steps in a trajectory
        per = problem.steps(best).per
        best = min((math.log(unit / n) for n in range(max(1, per - 3), per + 4)), key=problem.least)
    law = "expected" if metric == "w2" else "unconditional"
    shared = metric, law, target, dim, L, kappa, accuracy
    found = None
    for shorter in _SHORTER:  # a rule of three nodes may have missed the goal by a little
        found = problem.exactly(best - shorter * _FINE)
        if found is not None and found.status == "found":
            best -= shorter * _FINE
            break
    if found is None or found.steps is None:
        return Row(*shared, None, None, None, None, None, "beyond max_steps", name)
    of = problem.steps(best)
    steps = of.per * found.steps
    cost = sampler.evaluations * steps
    return Row(*shared, of.h, steps, cost, found.value, found.before, found.status, name)


def distance_after(
    step: float, steps: int, *, condition: float, smoothness: float = 1.0,
    scheme: Any = schemes.randomized_midpoint_langevin,
) -> Value:  # fmt: skip
    """W_2/sqrt(d/m) after so many steps from the minimum: given the midpoints, its root mean square over them.

    Half the coordinates have curvature m and half L = smoothness, kappa = L/m = condition.

    Examples
    --------
    >>> few, many = (distance_after(0.1, n, condition=4.0) for n in (100, 1000))
    >>> many < few < 0.6, few.kind
    (True, 'exact')
    """
    kappa, L = number("condition", condition, least=1), number("smoothness", smoothness, above=0)
    made = SAMPLERS[KINETIC].step(scheme, L)
    of = _Steps(made, np.array([L / kappa, L]), L, number("step", step, above=0))
    if not of.stable:
        raise ArithmeticError(f"step: {step!r} is too long to be stable for curvature {L:g}; use a shorter step")
    return of.w2(positive_integer("steps", steps), _NODES, 0.0)


@dataclass
class _Problem:
    """The smallest number of steps, or of trajectories, as a function of ln h."""

    scheme: Any
    k: Array
    L: float
    metric: str
    accuracy: float
    dim: int
    most: int
    fresh: float | None = None
    seen: dict[float, float | None] = field(default_factory=dict)
    last: tuple[float, _Steps] | None = None

    def least(self, log_h: float) -> float:
        """ln N with a rule of three nodes, N between whole numbers as the error is; infinite where none is enough."""
        if log_h not in self.seen:
            near = [(abs(x - log_h), x, n) for x, n in self.seen.items() if n is not None]
            guess = 16 if not near else math.ceil(min(near)[2] * math.exp(min(near)[1] - log_h) / self.steps(log_h).per)
            found = self._search(log_h, _FEW, guess)
            if found is None or found.steps is None or found.value is None:
                self.seen[log_h] = None
            elif found.before is None:
                self.seen[log_h] = float(found.value) / self.accuracy * self.steps(log_h).per
            else:
                above, below = (math.log(value / self.accuracy) for value in (found.before, found.value))
                self.seen[log_h] = (found.steps + below / (above - below)) * self.steps(log_h).per
        known = self.seen[log_h]
        return math.inf if known is None else math.log(known)

    def exactly(self, log_h: float) -> Found | None:
        """N at this length with rules that settle, and the errors there and one step before."""
        near = self.seen.get(log_h)
        return self._search(log_h, _NODES, 16 if near is None else math.ceil(near / self.steps(log_h).per))

    def steps(self, log_h: float) -> _Steps:
        """Those of this length."""
        if self.last is None or self.last[0] != log_h:
            self.last = log_h, _Steps(self.scheme, self.k, self.L, math.exp(log_h), self.fresh)
        return self.last[1]

    def _search(self, log_h: float, nodes: Sequence[int], guess: int) -> Found | None:
        of = self.steps(log_h)

        def error(steps: int) -> Value:
            asked = steps, nodes, self.accuracy
            return of.w2(*asked) if self.metric == "w2" else of.tv(*asked, self.dim)

        if not of.stable or error(self.most).upper > self.accuracy:
            return None
        return Search(error, self.accuracy, self.most).least(guess)


# --- the theorem's plan, and what the corrector is for ----------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Theorem(Record):
    """The corollary's plan with every constant 1: its cost, and TV at its end on isotropic targets of the class.

    `value` is the larger of those for curvature m and L; started at the minimum.
    """

    parallel: bool
    dim: int
    condition: float
    accuracy: float
    evaluations: int
    rounds: int
    value: Value


def theorem(*, parallel: bool, dim: int, condition: float, accuracy: float) -> Theorem:
    """The plan on N(0, I/m) and N(0, I/L), L = kappa, m = 1.

    Examples
    --------
    >>> found = theorem(parallel=False, dim=10, condition=4.0, accuracy=0.1)
    >>> found.value < 0.1, found.value.kind
    (True, 'exact')
    """
    plan = log_concave(dim, condition, 1.0, accuracy, parallel=parallel)
    values = []
    for k in (1.0, condition):
        target = Gaussian.isotropic(1 / k, dim)
        values.append(tv(output_law(plan, target, start=target.with_modes(0.0, 0.0)), target))
    return Theorem(parallel, dim, condition, accuracy, plan.evaluations, plan.rounds, max(values))


@dataclass(frozen=True, repr=False)
class Comb(Record):
    """A start on the lattice of a spacing, the nearest point to a draw of N(0, 1): close in W_2, at TV 1; and the
    corrector, friction 1, for the time 1 = 1/sqrt(L) in so many steps.

    `bound` is C4's of the exact dynamics for log-concave targets, 0.646 W_2/T.
    """

    spacing: float
    steps: int
    distance: Value
    before: Value
    after: Value
    bound: float


def comb(spacing: float, steps: int) -> Comb:
    """The corrector on a start that is close in W_2 and far in TV, by the step's own law given each lattice point.

    Examples
    --------
    >>> found = comb(0.1, 64)
    >>> found.before == 1.0, found.after < found.bound < 0.03
    (True, True)
    """
    spacing, steps = number("spacing", spacing, above=0), positive_integer("steps", steps)
    j = np.arange(-math.ceil(9 / spacing), math.ceil(9 / spacing) + 1)
    ends = np.concatenate([[-np.inf], (j[:-1] + 0.5) * spacing, [np.inf]])
    mass = np.where(ends[:-1] < 0, np.diff(ndtr(ends)), -np.diff(ndtr(-ends)))
    phi = np.exp(-(ends**2) / 2) / math.sqrt(2 * math.pi)
    with np.errstate(invalid="ignore"):
        square = mass - np.diff(np.nan_to_num(ends * phi))  # int x^2
    point = j * spacing
    distance = math.sqrt(float((square + 2 * point * np.diff(phi) + point**2 * mass).sum()))
    # the law of x given the point: after all steps from (point, fresh velocity)
    one = Gaussian([0.0], [1.0])
    plan = Plan([Correct(schemes.underdamped(friction=1), 0.0, 1 / steps, steps)])
    shift, spread_ = (output_law(plan, one, start=one.with_modes(0.0, m)) for m in (1.0, 0.0))
    slope, sd = float(shift.means[0]), math.sqrt(float(spread_.variances[0]))
    x, w = np.polynomial.legendre.leggauss(20)

    def difference(panels: int) -> float:
        edges = np.linspace(-9, 9, panels + 1)
        at = ((edges[:-1] + edges[1:])[:, None] / 2 + 9 / panels * x).ravel()
        p = np.exp(-((at[:, None] - slope * point) ** 2) / (2 * sd**2)) @ mass / (sd * math.sqrt(2 * math.pi))
        q = np.exp(-(at**2) / 2) / math.sqrt(2 * math.pi)
        return float((np.abs(p - q).reshape(-1, 20) @ w).sum() * 9 / panels / 2)

    coarse, fine = difference(400), difference(800)
    error = 2 * abs(fine - coarse) + 1e-15  # |p - q| has kinks
    return Comb(
        spacing, steps, Value(distance, "exact", 1e-13 * distance), Value(1.0, complement=0.0),
        Value(fine, "exact", error), VARIATION * distance,
    )  # fmt: skip


# --- tables -----------------------------------------------------------------------------------------------------------


def _logarithms(row: Row) -> float:
    """Those of Shen and Lee's N = (2 kappa/h) ln(20/eps'^2), h ~ eps'^{2/3} ln^{-1/3} [recalled]."""
    return float(math.log(20 / row.accuracy**2) ** (4 / 3))


def _time(row: Row) -> float:
    return math.log(1 / row.accuracy)


def _of_dimension(row: Row) -> float:
    return math.log(row.dim / row.accuracy**2)


_W2 = {"metric": "w2", "target": "both", "scheme": KINETIC}
_TV = {"metric": "tv", "target": "m", "scheme": KINETIC}
_DIMS = tuple(10**k for k in (2, 4, 6, 8, 10))
_KAPPAS = tuple(4.0**k for k in range(1, 6))


def _claimed(name: str, scale: str) -> float:
    return float(BOUNDS[name].power(scale))


_PUBLISHED = {
    "overdamped_midpoint": ("K1, steps", "Yu, Karagulyan, Dalalyan 2024; found in a table of Kandasamy, Nagaraj 2026"),
    "stochastic_runge_kutta": ("K5, steps", "Li, Wu, Mackey, Erdogdu 2019; found"),
    "stratified_hmc": ("K4, steps", "Bou-Rabee, Marsden 2022; found"),
}
_DERIVED = {  # W2 in 1/eps and in kappa, TV in d and in 1/eps, where these studies look
    "overdamped": (1, 1 / 2, 1 / 2, 1),
    "overdamped_midpoint": (2 / 3, 2 / 3, 1 / 3, 1 / 3),
    "parallel_overdamped": (2 / 3, 2 / 3, 1 / 3, 1 / 2),
    "poisson_midpoint": (1, 1 / 2, 1 / 2, 1),
    "stochastic_runge_kutta": (1 / 2, 3 / 4, 1 / 4, 1 / 2),
    "stratified_hmc": (2 / 3, 2 / 3, 1 / 4, 1 / 2),
}


def _others(scheme: str) -> Iterator[Study]:
    """The studies of a scheme that no corollary of the paper is about: one curvature is one step length in TV, so that
    kappa has no effect there."""
    name, source = _PUBLISHED.get(scheme, (None, ""))
    source = f"{name.partition(',')[0]}: {BOUNDS[name]} [{source}]" if name else ""
    derived = _DERIVED[scheme]

    def claimed(scale: str) -> float | None:
        return (_claimed(name, scale) or None) if name else None

    at_w2: Mapping[str, Any] = {**_W2, "scheme": scheme}
    at_tv: Mapping[str, Any] = {**_TV, "scheme": scheme}
    yield Study({**at_w2, "condition": 16.0}, "accuracy", (1e-2, 1e-3, 1e-4, 1e-5), derived[0], claimed("1/eps_w"),
                source, _time, "N/ln(1/eps)")  # fmt: skip
    yield Study({**at_w2, "accuracy": 1e-4}, "condition", _KAPPAS[1:], derived[1], claimed("kappa"), source, note="N")
    yield Study({**at_tv, "condition": 16.0, "accuracy": 0.1}, "dim", _DIMS[1:], derived[2], None, "", _of_dimension,
                "N/ln(d/eps^2)")  # fmt: skip
    yield Study({**at_tv, "condition": 16.0, "dim": 10_000}, "accuracy", (0.03, 0.01, 3e-3, 1e-3), derived[3], None, "",
                _of_dimension, "N/ln(d/eps^2)")  # fmt: skip


STUDIES = (
    Study({**_W2, "condition": 16.0}, "accuracy", (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4),
          2 / 3, _claimed("C3", "1/eps_w"), SHEN_LEE, _logarithms, "N/ln^{4/3}(20/eps^2)"),
    Study({**_W2, "accuracy": 1e-4}, "condition", _KAPPAS, 2 / 3, _claimed("C3", "kappa"), SHEN_LEE, note="N"),
    Study({**_TV, "condition": 16.0, "accuracy": 0.1}, "dim", _DIMS,
          1 / 3, _claimed("D3", "d"), COROLLARY, _of_dimension, "N/ln(d/eps^2)"),
    Study({**_TV, "target": "L", "condition": 16.0, "accuracy": 0.1}, "dim", _DIMS,
          1 / 3, _claimed("D3", "d"), COROLLARY, _of_dimension, "N/ln(d/eps^2)"),
    Study({**_TV, "condition": 16.0, "dim": 10_000}, "accuracy", (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3),
          1 / 3, _claimed("D3", "1/eps"), COROLLARY, _of_dimension, "N/ln(d/eps^2)"),
    Study({**_TV, "accuracy": 0.1, "dim": 10**10}, "condition", _KAPPAS,
          1 / 3, _claimed("D3", "kappa"), COROLLARY, note="N"),
    *itertools.chain.from_iterable(map(_others, _DERIVED)),
)  # fmt: skip
PLANS = tuple(
    {"parallel": parallel, "dim": dim, "condition": kappa, "accuracy": eps}
    for parallel in (False, True)
    for dim, kappa, eps in ((10, 4.0, 0.1), (10_000, 4.0, 0.1), (10**8, 4.0, 0.1), (100, 16.0, 0.1), (100, 4.0, 0.01))
)
COMBS = tuple({"spacing": spacing, "steps": steps} for spacing in (1.0, 0.3, 0.1, 0.03) for steps in (1, 4, 16, 64))


@dataclass(frozen=True, repr=False)
class Table(Records):
    """The rows, the exponents fitted to them, the theorem's plans and the combs."""

    rows: tuple[Row, ...]
    fits: tuple[Fit, ...]
    theorems: tuple[Theorem, ...]
    combs: tuple[Comb, ...]

    def of(self, study: Study) -> list[Row]:
        """The rows of one study that have a number of steps, in the order that they are fitted in."""
        cells = study.cells
        rows = [r for r in self.rows if any(all(getattr(r, k) == v for k, v in cell.items()) for cell in cells)]
        return sorted(settled(rows), key=study.against_of)


def table(
    *, studies: Sequence[Study] = STUDIES, plans: Sequence[Mapping[str, Any]] = PLANS,
    combs: Sequence[Mapping[str, Any]] = COMBS, max_steps: int = 10**12, **sweeping: Any,
) -> Table:  # fmt: skip
    """Run the studies and fit their exponents.

    Parameters
    ----------
    studies : sequence of Study
    plans, combs : sequence of dict
        Arguments of `theorem` and of `comb`.
    max_steps : int
        Where a search gives up, and its row says so.
    **sweeping
        `workers`, `dask`, `store`, `executor`, `progress` of `rmverify.studies.sweep.run`.

    Examples
    --------
    >>> table(studies=[], plans=[], combs=[{"spacing": 0.3, "steps": 16}]).combs[0].after < 0.01
    True
    """
    rows, theorems, found = swept({
        "log_concave.steps_to": [{"max_steps": max_steps, **cell} for study in studies for cell in study.cells],
        "log_concave.theorem": plans,
        "log_concave.comb": combs,
    }, **sweeping)  # fmt: skip
    records = Table(tuple(dict.fromkeys(rows)), (), theorems, found)  # studies cross
    fits = [fitted(study, records.of(study)) for study in studies if len(records.of(study)) > 2]
    return replace(records, fits=tuple(fits))
