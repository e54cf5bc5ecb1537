r"""Divergences between laws of independent coordinates that are known pointwise on the line.

A factor beside a factor, or the output of a plan (`TransportLaw`, `LineLaw`) beside a factor. With F the map of the
plan, the identity for all others, the densities in the coordinate z of its start are p = p_0 and q = q(F)F'. All is
made of these and of the loss l = ln(p/q):

    TV    = 1/2 int |p - q|,    1 - TV = int min(p, q),    in one dimension, split where l changes sign
    KL    = d int p (e^{-l} - 1 + l)
    BC(s) = int p^s q^{1-s} = 1 + int [p^s q^{1-s} - s p - (1-s) q],    per coordinate;

Hellinger, Renyi and chi-squared are BC(1/2)^d, BC(s)^d and BC(2)^d, TV between products is a matter of its own
(`rmverify.divergences.products`). Nothing that integrates to zero is left in an integrand, which is of the order of l^2
where l is small, so that a small divergence keeps its relative accuracy.

The loss of laws that are close is a difference of numbers of the order of 1: in float64 it carries some 2^-50, and in a
plan's law some 2^-51 more for every step. Where that is above 1e-10 of it, and the work bearable, it is computed over
balls and rounded once; else the error says so. A `LineLaw` is off by some e in int |p - exact p|, and the integral of a
function g(l) of its loss by e times the largest |g'|, up to constants, where there is mass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rmverify.elementary import phi2
from rmverify.laws import LineLaw
from rmverify.laws.conditional import UNIT
from rmverify.laws.line.given import DEPTH, TransportLaw, reach
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import NODES, POINTS, TO_LEGENDRE, WEIGHTS, Integral, integrate_path
from rmverify.numbers.values import Value
from rmverify.readings.balls import lift
from rmverify.targets import Factor, Gaussian, Product, SkewNormal
from rmverify.targets.factors_balls import BallFactor

__all__ = [
    "Beside", "beside", "line_chi2", "line_hellinger", "line_kl", "line_renyi", "line_tv", "on_the_line",
    "second_order",
]  # fmt: skip

LINE = Factor | Product | TransportLaw | LineLaw
Integrand = Callable[["Points"], tuple[Array, Array]]

_PANELS = 16  # to begin with
_MOST_PANELS = 3 * 2**12
_TOLERANCE = 1e-15
_MASS = 1e-9  # what a density may miss of its mass before it counts as not resolved
_DOUBT = 1e-10  # relative rounding of the loss from which on balls are worth their time
_MOST_WORK = 50_000  # evaluations of a score over balls: some seconds
_BITS = (192, 384, 768)
_HELD = 5  # points
_SLIGHT = 40.0  # nats below its largest value at which an integrand may be cut
_EXPONENT = 700.0  # of what is still a float
_DEEPEST = 16 * DEPTH  # the same for moments of order above 1
_BESIDE = 2.0**-10  # of the error of a law: less mass than that does not count
_NOTHING = np.zeros(0), np.zeros((4, 0))


class Points(NamedTuple):
    """ln p, ln q, their difference l and its absolute rounding, at the same points."""

    log_p: Array
    log_q: Array
    loss: Array
    rounding: Array

    @property
    def p(self) -> Array:
        return np.asarray(np.exp(self.log_p))

    @property
    def q(self) -> Array:
        return np.asarray(np.exp(self.log_q))

    @property
    def reverse(self) -> Points:
        return Points(self.log_q, self.log_p, -self.loss, self.rounding)


class Beside:
    """Two densities on one line, evaluated where they are asked for and remembered.

    Attributes
    ----------
    dim : int
        How many independent coordinates have these laws.
    edges : ndarray
        Of panels on which both densities and the loss are resolved.
    off : (float, float)
        int |p - exact p| and the same of q: estimates, 0 but for laws that are known by panels.
    """

    def __init__(
        self, carrier: Factor | TransportLaw | LineLaw, other: Factor | LineLaw, dim: int, *, swapped: bool,
        depth: float,
    ) -> None:  # fmt: skip
        self.dim, self._swapped = dim, swapped
        first, second = (law.error if isinstance(law, LineLaw) else 0.0 for law in (carrier, other))
        self.off = (second, first) if swapped else (first, second)
        self._carrier, self._other = carrier, other
        self._balls = False
        panels = [law.panels.breaks for law in (carrier, other) if isinstance(law, LineLaw)]
        self._breaks: Array = np.concatenate(panels) if panels else np.zeros(0)
        low, high = _reach(other, depth)
        if isinstance(carrier, TransportLaw):
            low, high = carrier.around(low, high)
        ends = _reach(carrier.start if isinstance(carrier, TransportLaw) else carrier, depth)
        self.ends = min(low, ends[0]), max(high, ends[1])
        self._known: tuple[Array, Array] = _NOTHING
        self.edges = self._resolved()
        self._refine()

    # --- evaluation -----------------------------------------------------------------------------------------

    def __call__(self, z: Array) -> Points:
        known, _ = self._known
        new = np.setdiff1d(z, known)
        if new.size:
            z_all = np.concatenate([known, new])
            order = np.argsort(z_all)
            values = np.concatenate([self._known[1], self._evaluate(new)], axis=1)
            self._known = z_all[order], values[:, order]
        known, values = self._known
        points = Points(*values[:, np.searchsorted(known, z)])
        return points.reverse if self._swapped else points

    def influence(self, of_p: Callable[[Array], Array], of_q: Callable[[Array], Array]) -> float:
        """What the errors of the laws move an integral by, at most: by functions of the loss, where there is mass."""
        total = 0.0
        for off, of in zip(self.off, (of_p, of_q), strict=True):
            if off:
                half = np.diff(self.edges)[:, None] / 2
                points = self((self.edges[:-1, None] + half * (1 + NODES)).ravel())
                mass = (half * WEIGHTS).ravel() * np.exp(np.maximum(points.log_p, points.log_q))
                total += off * float(np.abs(of(points.loss[mass > _BESIDE * off])).max(initial=0.0))
        return total

    def _evaluate(self, z: Array) -> Array:
        if isinstance(self._carrier, LineLaw):
            return _on_panels(self._carrier, self._other, z)
        if isinstance(self._carrier, TransportLaw):
            x, log_slope, rounding = self._carrier.carry(z)
            log_p = self._carrier.start.log_density(0, z)
        else:
            x, log_slope, rounding, log_p = z, np.zeros_like(z), np.zeros_like(z), self._carrier.log_density(0, z)
        log_q = _log_density(self._other, x) + log_slope
        loss = log_p - log_q
        rounding = (rounding + 8 * UNIT) * (1 + np.abs(log_p) + np.abs(log_q))
        if self._balls:
            loss, rounding = self._over_balls(z)
        return np.array([log_p, log_q, loss, rounding])

    def _over_balls(self, z: Array) -> tuple[Array, Array]:
        """The loss and its rounding, held at a few points against twice the bits."""
        few = np.unique(np.linspace(0, z.size - 1, _HELD).astype(int))
        for bits in _BITS:
            values, held = self._loss(z, bits), self._loss(z[few], 2 * bits)
            loss = np.array([float(ball) for ball in values])
            gap = max((abs(float(a - b)) for a, b in zip(values[few], held, strict=True)), default=0.0)
            if gap <= 2.0**-80 * max(2.0**-40, float(np.abs(loss).max(initial=0.0))):
                return loss, gap + UNIT * np.abs(loss)
        raise ArithmeticError(f"{_BITS[-1]} bits do not resolve the loss: the steps amplify rounding too much")

    def _loss(self, z: Array, bits: int) -> Any:
        import flint
        from flint import arb

        carrier: Any = self._carrier
        other: Any = self._other
        level = 0.0
        with flint.ctx.workprec(bits):
            if isinstance(carrier, TransportLaw):
                (x, log_slope), (start, top) = carrier.carry_balls(z), carrier.origin
                if carrier.factor.at(carrier.plan.end) == other:  # before its parameters are rounded
                    other, level = carrier.factor, carrier.plan.end
            else:
                x, log_slope, start, top = lift(z), 0, carrier, 0.0
            log_p = BallFactor(start).log_density(arb(top), lift(z))
            return log_p - log_slope - BallFactor(other).log_density(arb(level), x)

    # --- panels ---------------------------------------------------------------------------------------------

    def _resolved(self) -> Array:
        count = _PANELS
        while count <= _MOST_PANELS:
            edges, mass = self._settled(np.union1d(np.linspace(*self.ends, count + 1), self._breaks))
            if (np.abs(mass - 1) <= _MASS).all():
                return edges
            count *= 8
        raise ArithmeticError(f"the densities are not resolved: their masses are {mass[0]:.9g} and {mass[1]:.9g}")

    def _settled(self, edges: Array) -> tuple[Array, Array]:
        """Panels on which p, q, sqrt(pq) and sqrt(pq) l^2 are polynomials to rounding, and the masses of p and q."""

        def rows(z: Array) -> tuple[Array, Array]:
            points = self(z)
            middle = np.exp((points.log_p + points.log_q) / 2)
            values = np.array([points.p, points.q, middle, middle * points.loss**2])
            noise = 8 * UNIT * values
            noise[3] += middle * (2 * np.abs(points.loss) + points.rounding) * points.rounding
            return values, noise

        done = integrate_path(rows, edges, _TOLERANCE, _MOST_PANELS)
        return np.append(np.sort(done.starts), edges[-1]), done.value[:2]

    def _refine(self) -> None:
        """Over to balls, where the loss is small beside its rounding and the work is bearable."""
        points = self(self._known[0])
        if isinstance(self._carrier, LineLaw) or not points.loss.any():
            return
        size = np.exp(np.maximum(points.log_p, points.log_q))
        doubts = [
            float(size @ points.rounding**k) / max(float(size @ np.abs(points.loss) ** k), 1e-300) for k in (1, 2)
        ]
        doubt = max(doubts[0], math.sqrt(doubts[1]))
        evaluations = self._carrier.plan.evaluations if isinstance(self._carrier, TransportLaw) else 1
        if doubt > _DOUBT and evaluations * self.edges.size * POINTS <= _MOST_WORK:
            self._balls, self._known = True, _NOTHING
            self.edges = self._settled(self.edges)[0]

    def integral(self, integrand: Integrand, edges: Array | None = None) -> Integral:
        """Of rows of values with their rounding, each to its own relative accuracy."""
        return integrate_path(
            lambda z: integrand(self(z)), self.edges if edges is None else edges, _TOLERANCE, _MOST_PANELS
        )

    def sign_changes(self) -> Array:
        """Where p = q, between the edges."""
        a, b = self.edges[:-1], self.edges[1:]
        half = (b - a) / 2
        z = ((a + b) / 2)[:, None] + half[:, None] * NODES
        points = self(z.ravel())
        gap = _difference(points).reshape(z.shape)
        clear = (np.abs(gap) > _shaken(points).reshape(z.shape)).any(axis=1)
        gap = gap @ TO_LEGENDRE
        roots: list[float] = []
        for k in np.flatnonzero(clear & (np.abs(gap[:, 0]) <= np.abs(gap[:, 1:]).sum(axis=1))):
            found = np.polynomial.legendre.legroots(np.trim_zeros(gap[k], "b"))
            found = found.real[(np.abs(found.imag) < 1e-8) & (np.abs(found.real) < 1)]
            roots += ((a[k] + b[k]) / 2 + half[k] * found).tolist()
        return np.array(sorted(roots))


def _on_panels(law: LineLaw, other: Factor | LineLaw, x: Array) -> Array:
    """What is relative to the same density keeps its digits."""
    log_p, log_q = law.log_density(x), _log_density(other, x)
    ratios = law.log_ratio(x), other.log_ratio(x) if isinstance(other, LineLaw) else np.zeros_like(x)
    if law.reference == (other.reference if isinstance(other, LineLaw) else other):
        loss, size = ratios[0] - ratios[1], np.abs(ratios).max(axis=0)
    else:
        loss, size = log_p - log_q, 1 + np.abs(log_p) + np.abs(log_q)
    return np.array([log_p, log_q, loss, 16 * UNIT * (UNIT + size)])


def _log_density(law: Factor | LineLaw, x: Array) -> Array:
    return np.asarray(law.log_density(0, x) if isinstance(law, Factor) else law.log_density(x))


def _reach(law: Factor | LineLaw, depth: float) -> tuple[float, float]:
    if isinstance(law, LineLaw):
        return float(law.panels.breaks[0]), float(law.panels.breaks[-1])
    return reach(law, depth)


def on_the_line(p: Any, q: Any) -> bool:
    """Whether one of the laws is known pointwise on the line, so that this room is asked."""
    return isinstance(p, LINE) or isinstance(q, LINE)


def beside(p: Any, q: Any, depth: float = DEPTH) -> Beside:
    """The two laws on one line; depth as in `rmverify.laws.line.given.reach`."""
    p, q = map(_as_factor, (p, q))
    for name, law, beside in (("p", p, q), ("q", q, p)):
        if not isinstance(law, LINE):
            raise TypeError(
                f"{name}: expected a Factor or Product, a Gaussian on the line, or the law of a plan on one, beside a "
                f"{type(beside).__name__}, got {type(law).__name__}"
            )
    if p.dim != q.dim:
        raise ValueError(f"q: expected a law in dimension {p.dim} as p, got dimension {q.dim}")
    one, other = (law.factor if isinstance(law, Product) else law for law in (p, q))
    swapped = isinstance(other, TransportLaw) or (isinstance(other, LineLaw) and isinstance(one, Factor))
    if swapped:
        one, other = other, one
    if isinstance(one, TransportLaw) and not isinstance(other, Factor):
        raise TypeError(
            "p, q: at most one of the laws may be the output of a plan given its midpoints, beside a Factor or Product"
        )
    return Beside(one, other, p.dim, swapped=swapped, depth=depth)


def _as_factor(law: Any) -> Any:
    """A Gaussian on the line is one."""
    if isinstance(law, Gaussian) and law.dim == 1 and law.variances[0] > 0:
        return SkewNormal(0.0, float(law.mean[0]), math.sqrt(law.variances[0]))
    return law


# --- divergences --------------------------------------------------------------------------------------------


def second_order(x: Array) -> Array:
    """e^x - 1 - x."""
    return np.asarray(x * x * phi2(x))


def _difference(points: Points) -> Array:
    """p - q."""
    size = np.exp(np.maximum(points.log_p, points.log_q))
    return np.asarray(-size * np.expm1(-np.abs(points.loss)) * np.sign(points.loss))


def _shaken(points: Points) -> Array:
    """What the rounding of l moves p or q by."""
    return np.asarray(np.exp(np.maximum(points.log_p, points.log_q)) * np.minimum(points.rounding, 1.0))


def line_tv(pair: Beside) -> Value:
    """TV in one dimension, on panels where l has one sign."""

    def rows(points: Points) -> tuple[Array, Array]:
        gap, shaken = _difference(points), _shaken(points)
        least = np.exp(np.minimum(points.log_p, points.log_q))
        size = np.exp(np.maximum(points.log_p, points.log_q))
        noise = [shaken / 2 + 4 * UNIT * np.abs(gap), least * (points.rounding + 8 * UNIT), 8 * UNIT * size]
        return np.array([np.abs(gap) / 2, least, gap]), np.array(noise)

    done = pair.integral(rows, np.unique(np.concatenate([pair.edges, pair.sign_changes()])))
    value, complement, defect = done.value.tolist()
    errors = (done.error + done.rounding).tolist()
    small = value <= complement
    error = min((errors[0] if small else errors[1]) + (abs(defect) + sum(pair.off)) / 2, 1.0)
    value, complement = (value, 1 - value) if small else (1 - complement, complement)
    value, complement = min(max(value, 0.0), 1.0), min(max(complement, 0.0), 1.0)
    return Value.clipped(value, error, 0, 1, complement=complement)


def line_kl(p: Any, q: Any) -> Value:
    """KL(p||q), d times the one of a coordinate."""
    pair = beside(p, q)

    def rows(points: Points) -> tuple[Array, Array]:
        p, l = points.p, points.loss
        near = np.abs(l) < 1
        values = np.where(near, p * second_order(np.where(near, -l, 0.0)), points.q - p + p * np.where(p > 0, l, 0.0))
        shaken = (np.abs(_difference(points)) + _shaken(points)) * points.rounding
        return values[None], (shaken + 8 * UNIT * values)[None]

    done = pair.integral(rows)
    value = pair.dim * max(float(done.value[0]), 0.0)
    moved = pair.influence(lambda l: l, lambda l: np.expm1(np.minimum(l, _EXPONENT)))
    error = pair.dim * (float(done.error[0] + done.rounding[0]) + moved)
    return Value.clipped(value, error)


def line_hellinger(p: Any, q: Any) -> Value:
    """H = sqrt(1 - BC(1/2)^d)."""
    log_bc, error = _log_transform(p, q, 0.5)
    square = -math.expm1(min(log_bc, 0.0))
    value = math.sqrt(square)
    absolute = min(math.exp(min(log_bc, 0.0)) * error / (2 * value) if value else math.sqrt(error), 1.0)
    return Value.clipped(value, absolute, 0, 1, complement=math.exp(log_bc) / (1 + value))


def line_renyi(p: Any, q: Any, order: float) -> Value:
    """D_s(p||q) = d ln BC(s)/(s-1); infinite where the integrand still grows where p is below e^-960."""
    log_bc, error = _log_transform(p, q, order)
    return Value.clipped(log_bc / (order - 1), error / abs(order - 1) if math.isfinite(log_bc) else 0.0)


def line_chi2(p: Any, q: Any) -> Value:
    """chi^2(p||q) = BC(2)^d - 1."""
    log_bc, error = _log_transform(p, q, 2.0)
    if log_bc > 700:
        return Value(math.inf)
    return Value.clipped(math.expm1(log_bc), math.exp(log_bc) * error)


def _log_transform(p: Any, q: Any, s: float) -> tuple[float, float]:
    """ln BC(s)^d and its absolute error."""
    pair, depth = beside(p, q), DEPTH
    while s > 1:
        ends = pair(pair.edges)
        log: Array = s * ends.log_p + (1 - s) * ends.log_q
        if max(log[0], log[-1]) < log.max() - _SLIGHT:
            break
        if depth >= _DEEPEST:
            if log[0] > log[1] or log[-1] > log[-2]:
                return math.inf, 0.0
            raise ArithmeticError(f"order: int p^s q^(1-s) at s = {s:g} has tails too heavy to be resolved")
        depth *= 2
        pair = beside(p, q, depth)

    def rows(points: Points) -> tuple[Array, Array]:
        one, t = (points.reverse, 1 - s) if s > 0.5 else (points, s)  # so that nothing is lost as s -> 1
        l = one.loss
        near = np.abs(l) < 1
        inside = np.where(near, l, 0.0)
        whole = np.exp(t * one.log_p + (1 - t) * one.log_q)
        excess = np.where(
            near, one.q * (second_order(t * inside) - t * second_order(inside)), whole - t * one.p - (1 - t) * one.q
        )
        shaken = (
            abs(1 - s) * (np.abs(l) + points.rounding) * points.rounding * np.maximum(whole, np.maximum(one.p, one.q))
        )
        return np.array([excess, whole]), np.array(
            [abs(s) * shaken + 8 * UNIT * np.abs(excess), 8 * UNIT * whole + shaken]
        )

    with np.errstate(over="ignore", invalid="ignore"):
        done = pair.integral(rows)
    excess, whole = done.value.tolist()
    if not math.isfinite(whole):
        return math.inf, 0.0
    moved = pair.influence(
        lambda l: s * np.expm1(np.minimum((s - 1) * l, _EXPONENT)),
        lambda l: (1 - s) * np.expm1(np.minimum(s * l, _EXPONENT)),
    )
    errors = (done.error + done.rounding + moved).tolist()
    if excess > -0.5:
        return pair.dim * math.log1p(excess), pair.dim * errors[0] / (1 + excess)
    return pair.dim * math.log(whole), pair.dim * errors[1] / whole
