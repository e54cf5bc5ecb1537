r"""The law on the line of what a plan outputs, its midpoints and noises averaged out, where the target is not Gaussian.

What randomness buys where a score is not linear cannot be seen on a Gaussian; here it can, to many digits.

Given its midpoint a a step takes x to T_a(x), and the law from p to p'(y) = E_a p(T_a^{-1}(y))/T_a'(T_a^{-1}(y)). In
logarithms relative to the process, p = q_t e^l and p' = q_{t-h} e^{l'},

    l'(y) = ln E_a exp(l(x) + ln q_t(x) - ln q_{t-h}(y) - ln T_a'(x)),    x = T_a^{-1}(y):

a sum of positive terms, which keeps relative accuracy in the tails and where l is near 0. T_a and T_a' are the scheme's
own code, inverted by Newton steps; E_a is Gauss-Legendre in every midpoint; l is kept as polynomials on panels. A noise
is one more average over maps, by Gauss-Hermite, or, where it is wide enough, a sum of Gaussians about T_a(x) over the
panels' nodes x, for which T_a may fold. A step lowers the L1 distance of two densities or keeps it, so that what every
step misses, judged by rules of more nodes and at points between the nodes, adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from rmverify.laws.averages.rules import alone
from rmverify.laws.line.given import origin_of
from rmverify.laws.line.inverse import Map, Rising, rising
from rmverify.laws.line.piecewise import Panels, interpolated, log_mean, split
from rmverify.laws.line.pushing import LOCAL, Averaged, Counts, Level, Logs, ends, in_blocks, noise_rule, pushed, table
from rmverify.laws.line.velocity import after_corrector
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import on_panels
from rmverify.plans import Plan, Stage
from rmverify.readings.duals import identity
from rmverify.readings.kernel import kernel
from rmverify.readings.transport import carry
from rmverify.schemes.contract import Unstable, velocity_variance
from rmverify.targets import Factor, Product

__all__ = ["LineLaw", "line_law"]

_MOST_NODES = 4096  # over all midpoints of a step
_MOST_PARTS = 128  # of panels, for a sum over all points that a noise smears
_GRAIN = 12.0  # nodes of a rule over a noise to a deviation of it


@dataclass(frozen=True, eq=False, repr=False)
class LineLaw:
    r"""A law on the line, of density q(x) e^{l(x)} with q the target's marginal at the end of the plan.

    Attributes
    ----------
    reference : Factor
        q, of a coordinate.
    panels : Panels
        l.
    error : float
        An estimate of int |p - exact p|: what the panels and the rules over midpoints and noises miss in every step,
        and |int p - 1|.
    dim : int
        How many independent coordinates have this law.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Plan, Predict, output_law, schemes, targets, tv
    >>> target, times = targets.TwoGaussians(2.0), np.linspace(3.0, 0.2, 15)
    >>> law = output_law(Plan([Predict(schemes.randomized_midpoint, times)]), target, start="exact")
    >>> law
    LineLaw(dim=1, reference=TwoGaussians(separation=..., variance=...), panels=..., error=...)
    >>> round(law.variance, 6), round(target.at(0.2).variance, 6), law.error < 1e-12
    (3.693537, 3.68128, True)
    >>> tv(law, target.at(0.2))
    Value(0.001..., kind='exact', error=..., in [...])
    """

    reference: Factor
    panels: Panels
    error: float
    dim: int = 1

    def __repr__(self) -> str:
        panels = len(self.panels.breaks) - 1
        return f"LineLaw(dim={self.dim}, reference={self.reference!r}, panels={panels}, error={self.error:.2g})"

    def log_ratio(self, x: Any) -> Array:
        """l(x) = ln(p/q)(x); beyond the range where either has mass, its value at the end of that."""
        return np.asarray(self.panels(np.asarray(x, dtype=float))[..., 0])

    def log_density(self, x: Any) -> Array:
        """ln p(x)."""
        x = np.asarray(x, dtype=float)
        return np.asarray(self.log_ratio(x) + self.reference.log_density(0, x))

    def density(self, x: Any) -> Array:
        """p(x)."""
        return np.asarray(np.exp(self.log_density(x)))

    @property
    def mass(self) -> float:
        """int p, which is 1 up to the error."""
        return float(self._weights.sum())

    @property
    def mean(self) -> float:
        return float((self._weights * self.panels.nodes[0]).sum() / self.mass)

    @property
    def variance(self) -> float:
        return float((self._weights * (self.panels.nodes[0] - self.mean) ** 2).sum() / self.mass)

    @property
    def _weights(self) -> Array:
        x, weights = self.panels.nodes
        return np.asarray(weights * np.exp(self.panels.values[..., 0] + self.reference.log_density(0, x)))


def line_law(plan: Plan, target: Factor | Product, start: Any = "normal") -> LineLaw:
    """The law of what the plan outputs, midpoints and noises averaged out.

    Parameters
    ----------
    plan : Plan
        Predictors, overdamped correctors, and correctors with a velocity that ask their score at x alone.
    target : Factor or Product
    start : {"normal", "exact"} or Factor
        N(0, 1), the true q_T, or any law of x at noise level T.

    Raises
    ------
    TypeError
        For random midpoints on a product of dimension > 1: its coordinates share them, and are not independent any
        more. Where a step is neither a map given its midpoints nor Gaussian given where it starts.
    ValueError
        Where the rule over the midpoints of many strata is too large.
    ArithmeticError
        Where a step without noise folds the line.
    OverflowError
        Where the scheme is unstable.

    Examples
    --------
    >>> from rmverify import Plan, Predict, schemes, targets
    >>> law = line_law(Plan([Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.2])]), targets.SkewNormal(3.0))
    >>> abs(law.mass - 1) < 1e-12
    True
    """
    if plan.drawing_steps and target.dim > 1:
        raise TypeError(
            f"target: expected a law on the line, got a Product of dimension {target.dim}: the coordinates share their "
            "midpoints, so the averaged law is not a product; pass the midpoints with alphas="
        )
    factor = target.factor if isinstance(target, Product) else target
    level = _started(plan, factor, start)
    for stage in plan:
        level = _through(level, factor, stage)
    law = LineLaw(factor.at(plan.end), level.panels, level.error, int(target.dim))
    return replace(law, error=law.error + abs(law.mass - 1))


def _started(plan: Plan, target: Factor, start: Any) -> Level:
    q, (whole, t) = target.at(plan.start), origin_of(plan, target, start)
    law = whole.at(t)

    def log_q(x: Array) -> Array:
        return np.asarray(q.log_density(0, x))

    def logs(x: Array) -> Array:
        return np.asarray(law.log_density(0, x) - log_q(x))[:, None]

    span = np.array([ends(q), ends(law)])
    panels, error = interpolated(logs, log_q, span.min(), span.max(), np.ones(1), LOCAL)
    return Level(panels, plan.start, error)


def _through(level: Level, target: Factor, stage: Stage) -> Level:
    if velocity_variance(stage.scheme) is not None:
        return after_corrector(level, target, stage)
    counts, alphas = Counts(), stage.footprint.alphas
    least = counts.more("midpoint", alphas).midpoint
    if least**alphas > _MOST_NODES:
        raise ValueError(
            f"plan: averages over {alphas} strata of at least {least} points each are above the limit of "
            f"{_MOST_NODES} points; use fewer strata, or pass the midpoints with alphas="
        )
    levels, lengths = stage.grid
    for n, (h, after) in enumerate(zip(lengths.tolist(), [*levels[1:].tolist(), stage.end], strict=True)):
        level, counts = _moved(level, target, stage, n, h, after, counts)
    return level


# --- a step of x alone ----------------------------------------------------------------------------------------------


def _moved(
    level: Level, target: Factor, stage: Stage, n: int, h: float, after: float, counts: Counts
) -> tuple[Level, Counts]:
    def log_q(x: Array) -> Array:
        return np.asarray(target.log_density(after, x))

    def averaged(counts: Counts) -> Averaged:
        return _averaged(level, target, stage, n, h, log_q, counts)

    span, alphas = ends(target.at(after)), stage.footprint.alphas
    panels, missed, counts = pushed(averaged, counts, log_q, span, alphas=alphas)
    return Level(panels, after, level.error + missed), counts


def _averaged(level: Level, target: Factor, stage: Stage, n: int, h: float, log_q: Logs, counts: Counts) -> Averaged:
    t, foot, breaks = level.t, stage.footprint, level.panels.breaks
    alphas, weights = alone(stage, target, n, counts.midpoint) if foot.alphas else (None, np.ones(1))
    if weights.size > _MOST_NODES:
        raise ValueError(
            f"plan: the average over the midpoints of a step needs {weights.size} nodes, above the limit of "
            f"{_MOST_NODES}; pass the midpoints with alphas="
        )
    rows = None if alphas is None else alphas[:, :, None]

    def log_p(x: Array) -> Array:
        return np.asarray(level.panels(x)[..., 0] + target.log_density(t, x))

    x, w = on_panels(breaks)
    mass = float((w * np.exp(log_p(x))).sum())
    end = kernel(stage.scheme, target, identity(x.reshape(1, -1)), t, h, rows)
    spread = np.broadcast_to(np.sqrt(np.asarray(end.noise[0][0], dtype=float)), (weights.size, 1))
    values, slopes = (
        np.broadcast_to(part, (weights.size, x.size)) for part in (end.moved[0].value, end.moved[0].slope)
    )
    if not np.isfinite(values).all():
        raise Unstable(f"the law overflows in the step from level {t:g}")
    noisy = bool(spread.any())
    steep = np.abs(slopes).max(axis=0).reshape(x.shape).max(axis=1) * np.diff(breaks)
    parts, lost = np.ceil(steep * counts.noise / _GRAIN / np.maximum(spread.min(), 1e-300)), 0.0
    if parts.sum() <= _MOST_PARTS:
        x, w = (part.ravel() for part in on_panels(split(breaks, parts)))
        arrived = kernel(stage.scheme, target, identity(x[None, :]), t, h, rows).moved[0].value / spread
        log_weights = np.log(weights[:, None] / spread) + np.log(w) + log_p(x) - math.log(2 * math.pi) / 2
        logs = _smeared(arrived, spread, log_weights, log_q)
    else:
        maps, lost = _maps(stage, target, t, h, alphas, table(level.panels, log_p), noisy)
        logs = _mapped(maps, weights, spread, counts.noise if noisy else 1, log_p, log_q)
    rules = ("midpoint",) * (alphas is not None) + ("noise",) * noisy
    return Averaged(logs, np.ones(1), values, float(spread.max()), rules, mass, lost)


def _smeared(arrived: Array, spread: Array, log_weights: Array, log_q: Logs) -> Logs:
    """Gaussians of deviations `spread` about the points that have arrived, in units of them; arrays (Q, n)."""

    def logs(y: Array) -> Array:
        far = y[:, None, None] / spread - arrived
        return np.asarray(logsumexp(log_weights - far * far / 2, axis=(1, 2)) - log_q(y))[:, None]

    return in_blocks(logs, arrived.size)


def _mapped(maps: Rising, weights: Array, spread: Array, noises: int, log_p: Logs, log_q: Logs) -> Logs:
    """The average over the maps and over so many shifts by a noise of deviations `spread`."""
    e, e_weights = noise_rule(noises)
    log_weights = np.log(np.multiply.outer(weights, e_weights)).reshape(-1, 1)

    def logs(y: Array) -> Array:
        before = y - (spread * e)[:, :, None]
        x = maps.inverse(before.reshape(weights.size, -1))
        terms = (log_p(x.value) - np.log(x.slope)).reshape(-1, y.size)
        return np.asarray(log_mean(terms - log_q(y), log_weights, 0))[:, None]

    return in_blocks(logs, log_weights.size)


def _maps(
    stage: Stage, target: Factor, t: float, h: float, alphas: Array | None, grid: tuple[Array, Array], noisy: bool
) -> tuple[Rising, float]:
    """The maps of a step given its midpoints (A, Q), and the mass where they, or those at the ends of strata, fold."""

    def given(alphas: Array | None) -> Map:
        rows = None if alphas is None else alphas[:, :, None]
        if noisy:
            return lambda x: kernel(stage.scheme, target, x, t, h, rows).moved[0]
        return lambda x: carry(stage.scheme, target, x, t, h, rows)

    where = f"in the step from level {t:g}"
    if alphas is None:
        return rising(given(None), *grid, lambda _, x: f"at x = {x:.3g} {where}")
    foot = stage.footprint
    ends = np.stack([foot.stratum, foot.stratum + 1], axis=1) / foot.strata[:, None]
    every = np.concatenate([alphas, ends], axis=1)

    def name(j: int, x: float) -> str:
        return f"at x = {x:.3g} {where} with midpoint {np.array2string(every[:, j], precision=3)}"

    return rising(given(alphas), *grid, name, given(ends))
