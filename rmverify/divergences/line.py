r"""Divergences of laws that are known pointwise on the line, or products of such laws.

    TV    = 1/2 int |p - q|,    1 - TV = int min(p, q),    in one dimension, split where l = ln(p/q) changes sign
    KL    = d int p (e^{-l} - 1 + l)
    BC(s) = int p^s q^{1-s} = 1 + int [p^s q^{1-s} - s p - (1-s) q],    per coordinate
    W_2   = (d int p (T - x)^2)^{1/2},    T the map that takes p to q in order.

Hellinger, Renyi and chi-squared are BC(1/2)^d, BC(s)^d and BC(2)^d, TV between products is a matter of its own
(`rmverify.divergences.products`). Nothing that integrates to zero is left in an integrand, which is of the order of l^2
where l is small, so that a small divergence keeps its relative accuracy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmverify.divergences.closed_forms import overflow
from rmverify.divergences.densities import Beside, Points, nodes
from rmverify.divergences.products import product_tv, second_order
from rmverify.divergences.quantiles import squared_distance
from rmverify.divergences.seen import Seen
from rmverify.laws.line.given import DEPTH
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.numbers.values import Value

__all__ = ["OnTheLine"]

_SLIGHT = 40.0  # nats below its largest value at which an integrand may be cut
_EXPONENT = 700.0  # of what is still a float
_SCALED = 600.0  # |logarithm| of an integrand from which on it is divided by its largest value
_DEEPEST = 16 * DEPTH  # the same for moments of order above 1


class OnTheLine(Seen):
    """Two laws of `dim` independent coordinates, each with a law `one` and `other` of the line."""

    def __init__(self, p: Any, q: Any, one: Any, other: Any) -> None:
        super().__init__(p, q)
        self._laws = one, other, int(p.dim)
        self.pair = Beside(*self._laws)

    def tv(self) -> Value:
        """In one dimension on panels where l has one sign."""
        pair = self.pair
        if pair.dim > 1:
            return product_tv(pair)

        def rows(points: Points) -> tuple[Array, Array]:
            gap, shaken, size = points.difference, points.shaken, points.most
            least = np.exp(np.minimum(points.log_p, points.log_q))
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

    def kl(self) -> Value:
        """d times the one of a coordinate."""
        pair = self.pair

        def rows(points: Points) -> tuple[Array, Array]:
            p, l = points.p, points.loss
            near = np.abs(l) < 1
            far = points.q - p + p * np.where(p > 0, l, 0.0)
            values = np.where(near, p * second_order(np.where(near, -l, 0.0)), far)
            shaken = (np.abs(points.difference) + points.shaken) * points.rounding
            return values[None], (shaken + 8 * UNIT * values)[None]

        done = pair.integral(rows)
        moved = pair.influence(lambda l: l, lambda l: np.expm1(np.minimum(l, _EXPONENT)))
        error = pair.dim * (float(done.error[0] + done.rounding[0]) + moved)
        return Value.clipped(pair.dim * max(float(done.value[0]), 0.0), error)

    def hellinger(self) -> Value:
        """H = sqrt(1 - BC(1/2)^d)."""
        log_bc, error = self._log_transform(0.5)
        square = -math.expm1(min(log_bc, 0.0))
        value = math.sqrt(square)
        absolute = min(1.0, math.exp(min(log_bc, 0.0)) * error / (2 * value) if value else math.sqrt(error))
        return Value.clipped(value, absolute, 0, 1, complement=math.exp(log_bc) / (1 + value))

    def renyi(self, order: float) -> Value:
        """D_s(p||q) = d ln BC(s)/(s-1); infinite where the integrand grows far out, of a plan's law where
        p is below e^-960."""
        log_bc, error = self._log_transform(order)
        return Value.clipped(log_bc / (order - 1), error / abs(order - 1) if math.isfinite(log_bc) else 0.0)

    def chi2(self) -> Value:
        """chi^2(p||q) = BC(2)^d - 1."""
        log_bc, error = self._log_transform(2.0)
        if log_bc == math.inf:
            return Value(math.inf)
        if log_bc > 709:
            return overflow(math.exp(min(max(log_bc - error, 0.0), 709.0)))
        return Value.clipped(math.expm1(log_bc), math.exp(log_bc) * error)

    def w2(self) -> Value:
        """sqrt(d) times the one of a coordinate."""
        square, error = squared_distance(self.pair)
        value = math.sqrt(square)
        far, near = math.sqrt(square + error) - value, value - math.sqrt(max(square - error, 0.0))
        off = error / (2 * value) if error < 1e-6 * square else max(far, near)
        scale = math.sqrt(self.pair.dim)
        return Value.clipped(scale * value, scale * off)

    def _log_transform(self, s: float) -> tuple[float, float]:
        """ln BC(s)^d and its absolute error."""
        pair, depth, lost = self.pair, DEPTH, 0.0
        while True:
            places = pair.edges, nodes(pair.edges)[0].ravel()
            log, inside = (s * points.log_p + (1 - s) * points.log_q for points in map(pair, places))
            peak = float(inside.max())
            rises, level = _outside(pair, s)
            level = max(level, float(log[0]), float(log[-1]))
            if rises:
                return math.inf, 0.0
            if level < peak - _SLIGHT:
                break
            if depth >= _DEEPEST:
                if s < 1:
                    lost = math.exp(level - peak) * float(np.ptp(pair.edges))
                    break
                if rises is None and (log[0] > log[1] or log[-1] > log[-2]):
                    return math.inf, 0.0
                raise ArithmeticError(f"order: the tails of int p^s q^(1-s) at s = {s:g} are too heavy to be resolved")
            depth *= 2
            pair = Beside(*self._laws, depth)
        if abs(peak) > _SCALED or lost:
            return self._scaled(pair, s, peak, lost)

        def rows(points: Points) -> tuple[Array, Array]:
            one, t = (points.reverse, 1 - s) if s > 0.5 else (points, s)  # so that nothing is lost as s -> 1
            l = one.loss
            near = np.abs(l) < 1
            inside = np.where(near, l, 0.0)
            whole = np.exp(t * one.log_p + (1 - t) * one.log_q)
            close = one.q * (second_order(t * inside) - t * second_order(inside))
            risen = one.q * np.expm1(np.clip(t * l, -1, 1)) - t * one.difference  # keeps its digits as t -> 0
            far = np.where(np.abs(t * l) < 0.5, risen, whole - t * one.p - (1 - t) * one.q)
            excess = np.where(near, close, far)
            size = np.maximum(whole, np.maximum(one.p, one.q))
            shaken = abs(s * (1 - s)) * (np.abs(l) + points.rounding) * points.rounding * size
            each = (abs(s) + abs(1 - s)) * points.rounding  # of each part by itself, less where |l| is large
            noise = [np.minimum(shaken, each * (whole + one.p + one.q)), each * whole]
            noise = [part + 8 * UNIT * np.abs(value) for part, value in zip(noise, (excess, whole), strict=True)]
            return np.array([excess, whole]), np.array(noise)

        done = pair.integral(rows)
        excess, whole = done.value.tolist()
        moved = pair.influence(
            lambda l: s * np.expm1(np.minimum((s - 1) * l, _EXPONENT)),
            lambda l: (1 - s) * np.expm1(np.minimum(s * l, _EXPONENT)),
        )
        errors = (done.error + done.rounding + moved).tolist()
        if excess > -0.5:
            return pair.dim * math.log1p(excess), pair.dim * errors[0] / (1 + excess)
        return pair.dim * math.log(whole), pair.dim * errors[1] / whole

    def _scaled(self, pair: Beside, s: float, peak: float, lost: float) -> tuple[float, float]:
        """ln BC(s)^d and its error from e^-peak times the integrand, of which `lost` may be missing."""

        def rows(points: Points) -> tuple[Array, Array]:
            whole = np.exp(s * points.log_p + (1 - s) * points.log_q - peak)
            return whole[None], (whole * (8 * UNIT + (s + abs(1 - s)) * points.rounding))[None]

        done = pair.integral(rows)
        whole = float(done.value[0])
        error = math.inf if any(pair.off) else (float(done.error[0] + done.rounding[0]) + lost) / whole
        return pair.dim * (peak + math.log(whole)), pair.dim * error


def _outside(pair: Beside, s: float) -> tuple[bool | None, float]:
    """Whether int p^s q^{1-s} rises far out, None where that is not known, and ln of the largest that its integrand
    times the distance is beyond the ends: a component of little weight may have the heavier tail."""
    known = pair.beyond()
    if known is None:
        return (None if s > 1 else False), -math.inf
    log_p, log_q, distance = known
    with np.errstate(invalid="ignore"):
        log = s * log_p + (1 - s) * log_q
        rise = log[:, -1] - log[:, -2]
    sure = 32 * UNIT * (s * np.abs(log_p[:, -1]) + abs(1 - s) * np.abs(log_q[:, -1]))
    rises = True if (rise > sure).any() else False if (rise < -sure).all() else None
    return rises, float(np.nan_to_num(log + np.log(distance), nan=-math.inf).max())
