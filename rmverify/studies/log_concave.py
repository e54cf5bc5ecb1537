"""Log-concave sampling: steps to accuracy of randomized midpoint Langevin, exactly, and what the corrector is for.

Targets are Gaussians of the class m I <= -grad^2 ln density <= L I, started at the minimum. The sampler runs at
friction 2 and mass 1/L, as its theorem has it; its step h is chosen best among those that are stable on the class. Two
errors are known exactly for any number of steps, from the moments of the covariance given the midpoints
(`rmverify.laws.invariant`):

* W_2 of the law given the midpoints, its root mean square over them, in units of sqrt(d/m), on half the coordinates of
  curvature m and half of L: the worst of both ends. It is an upper bound of W_2 of the unconditional law.
* TV of the unconditional law on an isotropic target of curvature m or L.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from rmverify import schemes
from rmverify.divergences import tv
from rmverify.divergences.radial import radial_tv
from rmverify.exponents import BOUNDS
from rmverify.laws import output_law
from rmverify.laws.invariant import Powers, contraction, marginal, spread, step_map
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

METRICS = ("w2", "tv")
TARGETS = ("both", "m", "L")
_NODES = (1, 2, 3, 4, 5, 6, 7, 8, 9)  # of the rule of the variance given the midpoints
_AGREE = 1e-9
_FINE = 0.02  # of ln h, where its search ends
VARIATION = BOUNDS["C4, variation, log-concave"](W_2=1.0, T=1.0)
SHEN_LEE = f"C3: {BOUNDS['C3']} [quoted]"
COROLLARY = (
    f"D3: d^{{5/12}} [abstract], {BOUNDS['D3']} [recalled] (since: {BOUNDS['D3, since']}, Altschuler, Chewi and Zhang "
    "2025 [found])"
)


# --- one step length --------------------------------------------------------------------------------------------------


class _Steps:
    """Errors after N steps of length h from the minimum, for curvatures k of the target's modes."""

    def __init__(self, scheme: Any, k: Array, L: float, h: float) -> None:
        target, scheme = Gaussian(np.zeros(k.size), 1 / k), scheme(friction=2, mass=1 / L)
        self.k, self.spread = k, spread(scheme, target.modes, target.variances, 0.0, h)
        self.powers: dict[int, Powers] = {}
        self.random = footprint(scheme).alphas > 0
        stiff = Gaussian([0.0], [1 / L])  # of the class: the step must be short enough for it too
        self.stable = contraction(step_map(spread(scheme, stiff.modes, stiff.variances, 0.0, h), 1)) > 0

    def rule(self, steps: int, nodes: int) -> tuple[Array, Array]:
        """k S_xx - 1 at the nodes (modes, nodes), and their weights."""
        nodes = nodes if self.random else 1
        if nodes not in self.powers:
            self.powers[nodes] = Powers(step_map(self.spread, 2 * nodes - 1), 3)
        y, weights = marginal(self.powers[nodes].after(steps, np.tile([-1.0, 0.0, 0.0], (self.k.size, 1))), 3, nodes)
        if not (y > -1).all():
            raise Unresolved
        return y, weights

    def settled(
        self, error: Callable[[Array, Array], Value], steps: int, nodes: Sequence[int], accuracy: float
    ) -> Value:
        """The error by more and more nodes until it is clear on which side of the accuracy it lies, or there are none:
        where the spread is but rounding. Two rules may agree by chance, but errors fall 16-fold in two nodes."""
        before: Value | None = None
        changes = [math.inf, math.inf]
        for count in nodes:
            try:
                found = error(*self.rule(steps, count))
            except (np.linalg.LinAlgError, Unresolved, OverflowError):
                break
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
    evaluations: int | None
    value: Value | None
    before: Value | None
    status: str

    brief = ("metric", "law", "target", "dim", "condition", "accuracy", "step", "steps", "value", "before", "status")
    scheme: ClassVar[str] = "randomized_midpoint_langevin"
    loose: ClassVar[None] = None
    crossing: ClassVar[None] = None


def steps_to(
    metric: str, accuracy: float, *, condition: float = 10.0, dim: int = 1, target: str | None = None,
    smoothness: float = 1.0, max_steps: int = 10**12, scheme: Any = schemes.randomized_midpoint_langevin,
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
    scheme : step function
        What takes the randomized midpoint's place; it has a friction and a mass.

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
    k = {"both": np.array([L / kappa, L]), "m": np.array([L / kappa]), "L": np.array([L])}[target]
    problem = _Problem(scheme, k, L, metric, accuracy, dim, most)
    best = lowest(problem.least, math.log(4.0), math.log(1e-7), _FINE)
    law = "expected" if metric == "w2" else "unconditional"
    shared = metric, law, target, dim, L, kappa, accuracy
    found = problem.exactly(best)
    if found is None or found.steps is None:
        return Row(*shared, None, None, None, None, None, "beyond max_steps")
    return Row(*shared, math.exp(best), found.steps, 2 * found.steps, found.value, found.before, found.status)


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
    of = _Steps(scheme, np.array([L / kappa, L]), L, number("step", step, above=0))
    if not of.stable:
        raise ArithmeticError(f"step: {step!r} is too long to be stable for curvature {L:g}; use a shorter step")
    return of.w2(positive_integer("steps", steps), _NODES, 0.0)


@dataclass
class _Problem:
    """The smallest number of steps as a function of ln h."""

    scheme: Any
    k: Array
    L: float
    metric: str
    accuracy: float
    dim: int
    most: int
    seen: dict[float, float | None] = field(default_factory=dict)

    def least(self, log_h: float) -> float:
        """ln N with a rule of three nodes, N between whole numbers as the error is; infinite where none is enough."""
        if log_h not in self.seen:
            near = [(abs(x - log_h), x, n) for x, n in self.seen.items() if n is not None]
            guess = 16 if not near else math.ceil(min(near)[2] * math.exp(min(near)[1] - log_h))
            found = self._search(log_h, (3,), guess)
            if found is None or found.steps is None or found.value is None:
                self.seen[log_h] = None
            elif found.before is None:
                self.seen[log_h] = float(found.value) / self.accuracy
            else:
                above, below = (math.log(value / self.accuracy) for value in (found.before, found.value))
                self.seen[log_h] = found.steps + below / (above - below)
        known = self.seen[log_h]
        return math.inf if known is None else math.log(known)

    def exactly(self, log_h: float) -> Found | None:
        """N at this length with rules that settle, and the errors there and one step before."""
        near = self.seen.get(log_h)
        return self._search(log_h, _NODES, 16 if near is None else math.ceil(near))

    def _search(self, log_h: float, nodes: Sequence[int], guess: int) -> Found | None:
        of = _Steps(self.scheme, self.k, self.L, math.exp(log_h))

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


def _of_dimension(row: Row) -> float:
    return math.log(row.dim / row.accuracy**2)


_W2 = {"metric": "w2", "target": "both"}
_TV = {"metric": "tv", "target": "m"}
_DIMS = tuple(10**k for k in (2, 4, 6, 8, 10))
_KAPPAS = tuple(4.0**k for k in range(1, 6))


def _claimed(name: str, scale: str) -> float:
    return float(BOUNDS[name].power(scale))


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
