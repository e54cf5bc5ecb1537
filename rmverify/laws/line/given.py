r"""The law of a plan on the line, given its midpoints: the start pushed through one monotone map.

Without noise a plan is a map F of the line. Where F' > 0 the output has the density p(F(z)) = p_0(z)/F'(z), known at
every z, and its loss beside a density q is l(z) = ln p_0(z) - ln q(F(z)) - ln F'(z). On a `Product` every coordinate
goes through the same map, since a particle has one midpoint for all of its coordinates: given the midpoints the output
is a product too.

In float64 ln F' carries half of the rounding that `rmverify.laws.conditional` gives to the logarithm of a variance; and
so does x, which counts by |x (ln p)'|, in the tails twice |ln p|. An estimate, tested against balls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rmverify.laws.conditional import CANCEL, ONCE, QUIET, STEP, require_finite, stage_alphas
from rmverify.numbers.checks import Array, finite_array
from rmverify.numbers.quadrature import integrate_path
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Plan, Predict, Stage
from rmverify.readings.balls import lift, lift_scheme
from rmverify.readings.duals import Dual, identity
from rmverify.readings.transport import carry
from rmverify.targets import Factor, Product, TwoGaussians
from rmverify.targets.factors_balls import BallFactor
from rmverify.targets.gaussian import MOST_COORDINATES

__all__ = ["DEPTH", "Carry", "NotMonotone", "TransportLaw", "reach", "transport_law"]

DEPTH = 60.0  # nats below a density's typical height at which the line is cut: e^-60 < 2^-86
_BLOCK = 1 << 17  # points carried at once
_TABLE = 257  # points between which an inverse is looked for


class NotMonotone(ArithmeticError):
    """A step turns the line over somewhere: its density there is a sum over several points, which is not taken."""


class Carry(NamedTuple):
    """Where points go: x = F(z) and ln F'(z), arrays of one shape, and the relative rounding of F'."""

    x: Array
    log_slope: Array
    rounding: Array


class TransportLaw:
    r"""The law of F(Z), Z from the start law, on the line or for each of `dim` independent coordinates.

    Made by `rmverify.output_law`. Nothing is computed until it is asked for.

    Attributes
    ----------
    plan : Plan
    target : Factor or Product
    start : Factor
        The law of Z, per coordinate: N(0, 1), q_T, or any other.
    origin : (Factor, float)
        The same before its parameters are rounded: a law and the noise level at which it is taken.
    dim : int

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Plan, Predict, output_law, schemes
    >>> from rmverify.targets import TwoGaussians
    >>> plan = Plan([Predict(schemes.midpoint, np.linspace(2.0, 0.1, 20))])
    >>> law = output_law(plan, TwoGaussians(1.5), start="exact")
    >>> law.dim, round(law.variance, 3), round(TwoGaussians(1.5).at(0.1).variance, 3)
    (1, 2.847, 2.842)
    >>> round(float(law.density(0.0)), 4)
    0.159
    """

    def __init__(self, plan: Plan, target: Factor | Product, start: tuple[Factor, float], rows: list[Any]) -> None:
        self.plan, self.target = plan, target
        self.dim = int(target.dim)
        self.origin = start
        self.start = start[0].at(start[1])
        self._rows = rows

    @property
    def factor(self) -> Factor:
        """The target's law of a coordinate."""
        return self.target.factor if isinstance(self.target, Product) else self.target

    def __repr__(self) -> str:
        return f"TransportLaw(dim={self.dim}, target={self.factor!r}, evaluations={self.plan.evaluations})"

    # --- the map --------------------------------------------------------------------------------------------

    def carry(self, z: Any) -> Carry:
        """Where points of the start go, one coordinate at a time: arrays of the shape of z.

        Raises
        ------
        NotMonotone
            Where a step's slope is not positive at one of the points.
        OverflowError
            Where the scheme is so unstable that a point overflows.
        """
        points = finite_array("z", z)
        flat = points.ravel()
        widest = max(stage.footprint.width for stage in self.plan)
        size = max(1, _BLOCK // widest)
        parts = [self._carry(flat[j : j + size]) for j in range(0, flat.size, size)]
        return Carry(*(np.concatenate(part).reshape(points.shape) for part in zip(*parts, strict=True)))

    def _carry(self, z: Array) -> Carry:
        x, log_slope, rounding = z, np.zeros_like(z), np.full_like(z, ONCE / 2)
        for stage, t, h, alphas in self.steps():
            end = risen(stage, self.factor, identity(x), t, h, alphas)
            x, slope = np.asarray(end.value), np.asarray(end.slope)
            log_slope = log_slope + np.log(slope)
            grown = math.exp(2 * h) if isinstance(stage, Predict) else 1.0
            rounding = rounding + (STEP + CANCEL * np.abs(grown / slope - 1)) / 2
        return Carry(x, log_slope, UNIT * rounding)

    def steps(self) -> Iterator[tuple[Stage, float, float, Any]]:
        """Every step's stage, noise level, length and midpoints (A, 1)."""
        for stage, rows in zip(self.plan, self._rows, strict=True):
            for k, (t, h) in enumerate(zip(*stage.grid, strict=True)):
                yield stage, float(t), float(h), None if rows is None else rows[:, k, :, 0]

    def carry_balls(self, z: Any) -> tuple[Any, Any]:
        """F and ln F' at the floats z, object arrays, rounded to the precision of the context after every step.

        The levels and midpoints are the plan's floats, exactly; a step's length is the difference of two levels. What a
        rounding grows to is not in the radii: balls of all of it would grow by the square of |x|/s in every step.
        """
        factor, points = BallFactor(self.factor), Dual(lift(z), lift(np.ones(np.shape(z))))
        for stage, rows in zip(self.plan, self._rows, strict=True):
            scheme = lift_scheme(stage.scheme)
            t, h = (lift(each) for each in stage.grid)
            if isinstance(stage, Predict):
                h = lift(stage.times[:-1]) - lift(stage.times[1:])
            for k in range(len(stage)):
                alphas = None if rows is None else lift(rows[:, k, :, 0])
                points = carry(scheme, factor, points, t[k], h[k], alphas).map(_middle)
        return points.value, np.log(points.slope)

    def inverse(self, x: Any) -> Array:
        """The z with F(z) = x, elementwise: Newton steps inside a bracket."""
        goal = finite_array("x", x)
        flat = goal.ravel()
        low, high = self.around(float(flat.min()), float(flat.max()))
        table = np.linspace(low, high, _TABLE)
        place = np.clip(np.searchsorted(self.carry(table).x, flat) - 1, 0, _TABLE - 2)
        left, right = table[place], table[place + 1]
        z = (left + right) / 2
        for _ in range(100):
            here = self.carry(z)
            gap = here.x - flat
            left, right = np.where(gap < 0, z, left), np.where(gap > 0, z, right)
            step = z - gap * np.exp(-here.log_slope)
            step = np.where((step >= left) & (step <= right), step, (left + right) / 2)
            moved = np.abs(step - z)
            z = step
            if (moved <= 4 * UNIT * (1 + np.abs(z))).all():
                break
        return z.reshape(goal.shape)

    def around(self, least: float, most: float) -> tuple[float, float]:
        """Ends of an interval of the start line that F maps onto a superset of [least, most]."""
        low, high = reach(self.start)
        centre = (low + high) / 2
        ends = []
        for end, goal, side in ((low, least, -1), (high, most, 1)):
            for _ in range(60):
                if side * (float(self.carry(np.array([end])).x[0]) - goal) >= 0:
                    break
                end = centre + 2 * (end - centre)
            ends.append(end)
        return ends[0], ends[1]

    # --- the law --------------------------------------------------------------------------------------------

    def log_density(self, x: Any) -> Array:
        """ln p(x) of a coordinate, elementwise."""
        z = self.inverse(x)
        return np.asarray(self.start.log_density(0, z) - self.carry(z).log_slope)

    def density(self, x: Any) -> Array:
        """p(x) of a coordinate, elementwise."""
        return np.asarray(np.exp(self.log_density(x)))

    @property
    def mean(self) -> float:
        """Of each coordinate."""
        return self._moments[0]

    @property
    def variance(self) -> float:
        """Of each coordinate; the covariance is this times I."""
        return self._moments[1]

    @property
    def _moments(self) -> tuple[float, float]:
        low, high = reach(self.start)
        centre = float(self.carry(np.array([self.start.mean])).x[0])

        def moments(z: Array) -> tuple[Array, Array]:
            p, x = np.exp(self.start.log_density(0, z)), self.carry(z).x - centre
            rows = np.array([p, p * x, p * x * x])
            return rows, 8 * UNIT * np.abs(rows)

        _, first, second = integrate_path(moments, np.linspace(low, high, 33), 1e-15).value.tolist()
        return centre + first, second - first * first

    def sample(self, n: int, *, rng: Any = None) -> Array:
        """n independent draws, shape (n, dim), all with the law's midpoints; `rng` as for `default_rng`."""
        if self.dim > MOST_COORDINATES:
            raise ValueError(f"dim: expected at most {MOST_COORDINATES} coordinates to draw, got {self.dim}")
        return self.carry(self.start.draws((n, self.dim), np.random.default_rng(rng))).x


def risen(stage: Stage, factor: Factor, points: Dual, t: float, h: float, alphas: Any) -> Dual:
    """Where a step takes points that have kept their order.

    Raises
    ------
    NotMonotone
        Where they lose it.
    OverflowError
        Where one of them overflows.
    """
    with QUIET():
        end = carry(stage.scheme, factor, points, t, h, alphas)
    require_finite(stage, end.value, end.slope)
    if not (end.slope > 0).all():
        worst = np.unravel_index(np.argmin(end.slope), end.slope.shape)
        raise NotMonotone(
            f"plan: the step of length {h:.3g} from level {t:.6g} is too long: its map has slope "
            f"{end.slope[worst]:.3g} at x = {points.value[worst]:.6g} and folds the line; use shorter steps"
        )
    return end


_middle = np.frompyfunc(lambda ball: ball.mid(), 1, 1)


def reach(law: Factor, depth: float = DEPTH) -> tuple[float, float]:
    """Where ln density + ln (standard deviation) falls to -depth, on both sides."""
    spread = math.sqrt(law.variance)

    def inside(x: float) -> bool:
        return float(law.log_density(0, x)) + math.log(spread) > -depth

    ends = []
    for side in (-spread, spread):
        inner, outer = 1.0, 2.0
        while inside(law.mean + side * outer):
            inner, outer = outer, 2 * outer
        for _ in range(20):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if inside(law.mean + side * middle) else (inner, middle)
        ends.append(law.mean + side * outer)
    return ends[0], ends[1]


def origin_of(plan: Plan, factor: Factor, start: Any) -> tuple[Factor, float]:
    """The law of a coordinate at the start, as a law and the noise level at which it is taken."""
    if isinstance(start, Factor):
        return start, 0.0
    if isinstance(start, str) and start in ("normal", "exact"):
        return (TwoGaussians(0.0), 0.0) if start == "normal" else (factor, plan.start)
    raise ValueError(f"start: expected 'normal', 'exact' or a law on the line, got {start!r}")


def transport_law(plan: Plan, target: Factor | Product, alphas: Any, start: Any) -> TransportLaw:
    """The law of the plan's output on the line or on a product, given its midpoints.

    Raises
    ------
    ValueError
        Where the plan draws midpoints and none are given, and for another start.
    TypeError
        Where a stage draws normals or carries a velocity.
    """
    factor = target.factor if isinstance(target, Product) else target
    origin = origin_of(plan, factor, start)
    if alphas is None and plan.drawing_steps:
        raise ValueError(
            f"alphas: expected an entry for each of {plan.drawing_steps} steps that draw, got None; "
            "rmverify.output_law averages over what they draw"
        )
    rows = stage_alphas(plan, () if alphas is None else alphas)
    law = TransportLaw(plan, target, origin, rows)
    for stage, given in zip(plan, rows, strict=True):
        t, h = (each[0] for each in stage.grid)
        carry(stage.scheme, factor, identity(np.zeros(1)), t, h, None if given is None else given[:, 0, :, 0])
    return law
