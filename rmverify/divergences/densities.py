r"""Two laws of independent coordinates that are known pointwise on the line, evaluated together.

A factor or a Gaussian mixture beside another, or the output of a plan (`TransportLaw`, `LineLaw`) beside one. With F
the map of the plan, the identity for all others, the densities in the coordinate z of its start are p = p_0 and
q = q(F)F'.
Divergences (`rmverify.divergences.line`) are made of these and of the loss l = ln(p/q).

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
from scipy.special import logsumexp

from rmverify.elementary import exp, sqrt
from rmverify.laws import LineLaw
from rmverify.laws.line.given import DEPTH, TransportLaw, reach
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import NODES, POINTS, TO_LEGENDRE, WEIGHTS, Integral, integrate_path
from rmverify.numbers.rounding import UNIT
from rmverify.readings.balls import lift
from rmverify.targets import Factor, GaussianMixture
from rmverify.targets.factors_balls import BallFactor

__all__ = ["BESIDE", "MOST_PANELS", "TOLERANCE", "Beside", "Components", "Points", "nodes"]

Integrand = Callable[["Points"], tuple[Array, Array]]

_PANELS = 16  # to begin with
MOST_PANELS = 3 * 2**12
_GRADE = 8.0  # of the lengths of neighbouring panels
TOLERANCE = 1e-15
_MASS = 1e-9  # what a density may miss of its mass before it counts as not resolved
_DOUBT = 1e-10  # relative rounding of the loss from which on balls are worth their time
_MOST_WORK = 50_000  # evaluations of a score over balls: some seconds
_BITS = (192, 384, 768)
_HELD = 5  # points
BESIDE = 2.0**-10  # of the error of a law: less mass than that does not count
_NOTHING = np.zeros(0), np.zeros((4, 0))
_ROOT = math.log(2 * math.pi) / 2
_CUTS = np.array([-11.0, -6.0, -3.0, 0.0, 3.0, 6.0, 11.0])  # of panels about a component, in its deviations
_BLOCK = 1 << 20  # numbers of a temporary
_FARTHEST = 1e100  # largest logarithm of a density whose square is integrated
_GRAIN = 1e-7  # largest distance of neighbouring floats, in deviations of a component
_OUTWARDS = np.geomspace(1.0, 1e18, 850)  # distances at which tails are looked at


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
    def most(self) -> Array:
        """max(p, q)."""
        return np.asarray(np.exp(np.maximum(self.log_p, self.log_q)))

    @property
    def difference(self) -> Array:
        """p - q."""
        return np.asarray(-self.most * np.expm1(-np.abs(self.loss)) * np.sign(self.loss))

    @property
    def shaken(self) -> Array:
        """What the rounding of l moves p or q by."""
        return np.asarray(self.most * np.minimum(self.rounding, 1.0))

    @property
    def reverse(self) -> Points:
        return Points(self.log_q, self.log_p, -self.loss, self.rounding)


class Components:
    """A Gaussian mixture sum w_j N(m_j, s_j^2) on the line, asked as a factor is.

    `cuts`: where panels end, so that no component falls between their nodes. `grain`: a relative error of integrals,
    for nodes that are rounded to floats.
    """

    dim = 1

    def __init__(self, name: str, law: GaussianMixture) -> None:
        live = law.weights > 0
        self.weights = law.weights[live]
        each = [component for component, kept in zip(law.components, live, strict=True) if kept]
        self.means, self.variances = (np.array([getattr(c, part)[0] for c in each]) for part in ("means", "variances"))
        if not (self.variances > 0).all():
            raise ValueError(f"{name}: a component of variance 0 has no density; give every component a variance > 0")
        self.spreads = np.sqrt(self.variances)
        self.grain = 8 * UNIT * float((np.abs(self.means) / self.spreads).max())
        if self.grain > _GRAIN:
            raise ArithmeticError(
                f"{name}: a component is too narrow for floats so far from 0 (its mean is up to "
                f"{self.grain / (8 * UNIT):.2g} of its deviations); shift both laws towards 0"
            )
        self._logs = np.log(self.weights / (math.fsum(self.weights) * self.spreads)) - _ROOT

    @property
    def height(self) -> float:
        """The largest |ln| of a component's peak."""
        return float(np.abs(self._logs).max())

    @property
    def cuts(self) -> Array:
        return np.ravel(self.means[:, None] + self.spreads[:, None] * _CUTS)

    def reach(self, depth: float) -> tuple[float, float]:
        """Ends beyond which every component is below e^-depth of its peak."""
        far = math.sqrt(2 * depth) * self.spreads
        return float((self.means - far).min()), float((self.means + far).max())

    def log_density(self, t: float, x: Array) -> Array:
        """ln p(x); `t` is always 0."""
        rows = max(1, _BLOCK // self.means.size)
        return np.concatenate([
            logsumexp(self._logs - ((x[k : k + rows, None] - self.means) / self.spreads) ** 2 / 2, axis=1)
            for k in range(0, x.size, rows)
        ])  # fmt: skip

    def log_density_balls(self, x: Any) -> Any:
        """ln p at balls x."""
        weights, means, variances = (lift(part) for part in (self.weights, self.means, self.variances))
        pi = variances[0].pi()
        heights = weights / (weights.sum() * sqrt(2 * pi * variances))
        return _log((heights * exp(-((x[:, None] - means) ** 2) / (2 * variances))).sum(axis=1))


_log = np.frompyfunc(lambda ball: ball.log(), 1, 1)
Density = Factor | Components | LineLaw


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

    def __init__(self, p: Density | TransportLaw, q: Density | TransportLaw, dim: int, depth: float = DEPTH) -> None:
        """`depth` as in `rmverify.laws.line.given.reach`; at most one law is a `TransportLaw`, beside no `LineLaw`."""
        swapped = isinstance(q, TransportLaw) or (isinstance(q, LineLaw) and not isinstance(p, LineLaw))
        carrier, other = (q, p) if swapped else (p, q)
        assert not isinstance(other, TransportLaw)
        self.dim, self._swapped = dim, swapped
        first, second = (law.error if isinstance(law, LineLaw) else 0.0 for law in (carrier, other))
        self.off = (second, first) if swapped else (first, second)
        self._carrier, self._other = carrier, other
        self._balls = False
        self._mixtures = [law for law in (carrier, other) if isinstance(law, Components)]
        self._height = max((law.height for law in self._mixtures), default=0.0)
        self.grain = max((law.grain + 4 * UNIT * law.height for law in self._mixtures), default=0.0)
        low, high = _reach(other, depth)
        if isinstance(carrier, TransportLaw):
            low, high = carrier.around(low, high)
        ends = _reach(carrier.start if isinstance(carrier, TransportLaw) else carrier, depth)
        self.ends = min(low, ends[0]), max(high, ends[1])
        cuts = [self._cuts(carrier), self._cuts(other)]
        if isinstance(carrier, TransportLaw) and cuts[1].size:
            cuts[1] = carrier.inverse(cuts[1])
        breaks = np.concatenate(cuts)
        self._breaks = breaks[(self.ends[0] < breaks) & (breaks < self.ends[1])]
        self._known: tuple[Array, Array] = _NOTHING
        with np.errstate(over="ignore"):
            if not np.abs(self._evaluate(np.array(self.ends))).max() < _FARTHEST:
                raise ArithmeticError(
                    "p, q: one of the laws is too narrow beside the other; compare laws of like scales"
                )
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

    def beyond(self) -> tuple[Array, Array, Array] | None:
        """ln p and ln q from the ends outwards, each (2, distances) for the two sides, and the distances, in units of
        the range; None for the law of a plan, which is known between the ends alone."""
        laws = (self._other, self._carrier) if self._swapped else (self._carrier, self._other)
        if any(isinstance(law, TransportLaw | LineLaw) for law in laws):
            return None
        low, high = self.ends
        x = np.concatenate([low - (high - low) * (_OUTWARDS - 1), high + (high - low) * (_OUTWARDS - 1)])
        with np.errstate(over="ignore", invalid="ignore"):
            log_p, log_q = (_log_density(law, x) for law in laws)  # type: ignore[arg-type]
        return log_p.reshape(2, -1), log_q.reshape(2, -1), _OUTWARDS

    def places(self, z: Array) -> tuple[Array, Array]:
        """The points x of the line where the laws live, and dx/dz."""
        if not isinstance(self._carrier, TransportLaw):
            return z, np.ones_like(z)
        x, log_slope, _ = self._carrier.carry(z)
        return x, np.exp(log_slope)

    def influence(self, of_p: Callable[[Array], Array], of_q: Callable[[Array], Array]) -> float:
        """What the errors of the laws move an integral by, at most: by functions of the loss, where there is mass."""
        total = 0.0
        for off, of in zip(self.off, (of_p, of_q), strict=True):
            if off:
                z, weights = nodes(self.edges)
                points = self(z.ravel())
                mass = weights.ravel() * points.most
                total += off * float(np.abs(of(points.loss[mass > BESIDE * off])).max(initial=0.0))
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
        rounding = (rounding + 8 * UNIT) * (1 + np.abs(log_p) + np.abs(log_q) + self._height)
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
            return _ball_log_density(start, arb(top), lift(z)) - log_slope - _ball_log_density(other, arb(level), x)

    # --- panels ---------------------------------------------------------------------------------------------

    def _cuts(self, law: Density | TransportLaw) -> Array:
        """Where panels must end for what one of the laws has there."""
        if isinstance(law, LineLaw):
            return law.panels.breaks
        if isinstance(law, Components):
            return law.cuts
        one = law.start if isinstance(law, TransportLaw) else law
        return np.asarray(one.mean + math.sqrt(one.variance) * _CUTS) if self._mixtures else np.zeros(0)

    def _resolved(self) -> Array:
        count = _PANELS
        while count <= MOST_PANELS:
            edges, mass = self._settled(np.union1d(np.linspace(*self.ends, count + 1), self._breaks))
            if (np.abs(mass - 1) <= _MASS).all():
                return edges
            count *= 8
        raise ArithmeticError(
            f"p, q: {MOST_PANELS} panels do not resolve the two densities (they find masses of {mass[0]:.9g} and "
            f"{mass[1]:.9g}, instead of 1): one of the laws is too narrow beside the other"
        )

    def _settled(self, edges: Array) -> tuple[Array, Array]:
        """Panels on which p, q, sqrt(pq) and sqrt(pq) l^2 are polynomials to rounding, and the masses of p and q."""

        def rows(z: Array) -> tuple[Array, Array]:
            points = self(z)
            middle = np.exp((points.log_p + points.log_q) / 2)
            values = np.array([points.p, points.q, middle, middle * points.loss**2])
            noise = (8 * UNIT + self.grain) * values
            noise[3] += middle * (2 * np.abs(points.loss) + points.rounding) * points.rounding
            return values, noise

        done = integrate_path(rows, edges, TOLERANCE, MOST_PANELS)
        return _graded(np.append(np.sort(done.starts), edges[-1])), done.value[:2]

    def _refine(self) -> None:
        """Over to balls, where the loss is small beside its rounding and the work is bearable."""
        points = self(self._known[0])
        if isinstance(self._carrier, LineLaw) or not points.loss.any():
            return
        size = points.most
        doubts = [
            float(size @ points.rounding**k) / max(float(size @ np.abs(points.loss) ** k), 1e-300) for k in (1, 2)
        ]
        doubt = max(doubts[0], math.sqrt(doubts[1]))
        evaluations = self._carrier.plan.evaluations if isinstance(self._carrier, TransportLaw) else 1
        evaluations += sum(law.means.size for law in self._mixtures)
        if doubt > _DOUBT and evaluations * self.edges.size * POINTS <= _MOST_WORK:
            self._balls, self._known = True, _NOTHING
            self.edges = self._settled(self.edges)[0]

    def integral(self, integrand: Integrand, edges: Array | None = None) -> Integral:
        """Of rows of values with their rounding, each to its own relative accuracy."""

        def rows(z: Array) -> tuple[Array, Array]:
            values, noise = integrand(self(z))
            return values, noise + self.grain * np.abs(values)

        return integrate_path(rows, self.edges if edges is None else edges, TOLERANCE, MOST_PANELS)

    def sign_changes(self) -> Array:
        """Where p = q, between the edges."""
        a, b = self.edges[:-1], self.edges[1:]
        half, z = (b - a) / 2, nodes(self.edges)[0]
        points = self(z.ravel())
        gap = points.difference.reshape(z.shape)
        clear = (np.abs(gap) > points.shaken.reshape(z.shape)).any(axis=1)
        gap = gap @ TO_LEGENDRE
        roots: list[float] = []
        for k in np.flatnonzero(clear & (np.abs(gap[:, 0]) <= np.abs(gap[:, 1:]).sum(axis=1))):
            found = np.polynomial.legendre.legroots(np.trim_zeros(gap[k], "b"))
            found = found.real[(np.abs(found.imag) < 1e-8) & (np.abs(found.real) < 1)]
            roots += ((a[k] + b[k]) / 2 + half[k] * found).tolist()
        return np.array(sorted(roots))


def _graded(edges: Array) -> Array:
    """Halved until no panel is much longer than a neighbour, so that no power p^s q^{1-s} falls between an edge, where
    p and q have gone, and the first node."""
    while True:
        widths = np.diff(edges)
        long = np.zeros(widths.size, dtype=bool)
        long[1:] |= widths[1:] > _GRADE * widths[:-1]
        long[:-1] |= widths[:-1] > _GRADE * widths[1:]
        if not long.any() or edges.size > MOST_PANELS:
            return edges
        edges = np.sort(np.concatenate([edges, ((edges[:-1] + edges[1:]) / 2)[long]]))


def nodes(edges: Array) -> tuple[Array, Array]:
    """Of every panel the nodes and weights, both (panels, POINTS)."""
    a, b = edges[:-1], edges[1:]
    half = ((b - a) / 2)[:, None]
    return ((a + b) / 2)[:, None] + half * NODES, half * WEIGHTS


def _on_panels(law: LineLaw, other: Density, x: Array) -> Array:
    """What is relative to the same density keeps its digits."""
    log_p, log_q = law.log_density(x), _log_density(other, x)
    ratios = law.log_ratio(x), other.log_ratio(x) if isinstance(other, LineLaw) else np.zeros_like(x)
    if law.reference == (other.reference if isinstance(other, LineLaw) else other):
        loss, size = ratios[0] - ratios[1], np.abs(ratios).max(axis=0)
    else:
        loss, size = log_p - log_q, 1 + np.abs(log_p) + np.abs(log_q)
    return np.array([log_p, log_q, loss, 16 * UNIT * (UNIT + size)])


def _log_density(law: Density, x: Array) -> Array:
    return np.asarray(law.log_density(x) if isinstance(law, LineLaw) else law.log_density(0, x))


def _ball_log_density(law: Factor | Components, t: Any, x: Any) -> Any:
    return law.log_density_balls(x) if isinstance(law, Components) else BallFactor(law).log_density(t, x)


def _reach(law: Density, depth: float) -> tuple[float, float]:
    if isinstance(law, LineLaw):
        return float(law.panels.breaks[0]), float(law.panels.breaks[-1])
    return law.reach(depth) if isinstance(law, Components) else reach(law, depth)
