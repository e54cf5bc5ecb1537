r"""Reference values of the total variation in ball arithmetic, independent of the package.

    1 - TV = (1/pi) Im int_P BC(s)/(s(1-s)) ds,
    ln BC(s) = sum_i n_i {[s ln(1+r_i) - ln(1+s r_i)]/2 - s(1-s) mu_i^2/(2(1+s r_i))},

along a broken line P from 1/2 to where BC vanishes, every segment by `acb.integral` at 256 bits. A `Grid` of very many
distinct modes costs as little as one: with r_ij = r + delta_ij and w = s/(1+sr),

    sum ln(1+s r_ij) = N ln(1+sr) - sum_k (-w)^k D_k/k,      D_k = sum delta_ij^k,

and as delta_ij = 2^-e (H_i + L_j) with integers, the power sums D_k are exact sums of products of those of H and L.
The remainder of the series is added to the ball.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import acb, acb_poly, arb, ctx, fmpq

__all__ = ["Grid", "Single", "total_variation"]

_BITS = 256
_FLOOR = -80.0  # ln |BC|/|s| at which the path ends
_TILTS = (0.0, -0.5, 0.5, -1.0, 1.0)


@dataclass(frozen=True)
class Single:
    """One mode `count` times: r, mu^2."""

    ratio: Fraction
    square: Fraction
    count: int

    def loss_variance(self) -> float:
        """Its part of (ln BC)''(1/2)."""
        r, middle = float(self.ratio), 1 + float(self.ratio) / 2
        return self.count * ((r / middle) ** 2 / 2 + float(self.square) * (1 + r) / middle**3)


@dataclass(frozen=True)
class Grid:
    """Modes r_ij = center + 2^-unit (high_i + low_j), mu_ij = 2^-scale mean_i, each `count` times."""

    center: Fraction
    high: Sequence[int]
    low: Sequence[int]
    unit: int
    mean: Sequence[int]
    scale: int
    count: int = 1

    def loss_variance(self) -> float:
        """Its part of (ln BC)''(1/2), to leading order in the ratios."""
        size = self.count * len(self.high) * len(self.low)
        spread = _variance(self.high) + _variance(self.low)
        middle = self.center + Fraction(_mean(self.high) + _mean(self.low)) / 2**self.unit
        mean = _mean([m * m for m in self.mean]) / 4**self.scale
        return size * (float(spread / 4**self.unit + middle**2) / 2 + float(mean))


def _mean(values: Sequence[int]) -> Fraction:
    return Fraction(sum(values), len(values))


def _variance(values: Sequence[int]) -> Fraction:
    return _mean([v * v for v in values]) - _mean(values) ** 2


def _ball(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))


class _SingleSum:
    def __init__(self, mode: Single) -> None:
        self.ratio, self.shift, self.count = _ball(mode.ratio), _ball(mode.square) * mode.count, mode.count

    def parts(self, s: acb, analytic: bool) -> tuple[acb, acb]:
        """sum n ln(1+s r) and sum n mu^2/(1+s r)."""
        below = 1 + s * self.ratio
        return below.log(analytic=analytic) * self.count, self.shift / below


class _GridSum:
    def __init__(self, grid: Grid, sigma: float) -> None:
        self.center = _ball(grid.center)
        self.number = grid.count * len(grid.high) * len(grid.low)
        self.width = arb(max(abs(h + e) for h in grid.high for e in (min(grid.low), max(grid.low)))) / arb(2**grid.unit)
        rho = float(self.width) * (1 / abs(float(grid.center)) if grid.center else 14 / sigma)
        if rho > 0.5:
            raise ValueError(f"reference: the modes of a grid spread too far, |w delta| up to {rho:.2g}")
        self.terms = math.ceil((65 + math.log(self.number)) / -math.log(rho))
        squares = [m * m for m in grid.mean]
        high, weighted, low = ([0] * (self.terms + 1) for _ in range(3))
        for k in range(self.terms + 1):
            high[k] = sum(h**k for h in grid.high)
            weighted[k] = sum(m * h**k for m, h in zip(squares, grid.high, strict=True))
            low[k] = sum(e**k for e in grid.low)
        logs, shifts = [acb(0)] * (self.terms + 1), [acb(0)] * (self.terms + 1)
        for k in range(self.terms + 1):
            scale = grid.count * (-1) ** k * arb(2) ** (-grid.unit * k)
            pairs = [math.comb(k, q) * low[k - q] for q in range(k + 1)]
            shifts[k] = acb(sum(p * w for p, w in zip(pairs, weighted, strict=False))) * scale / arb(4**grid.scale)
            if k > (0 if grid.center else 1):  # about 0 the linear terms of ln BC cancel
                logs[k] = acb(-sum(p * h for p, h in zip(pairs, high, strict=False))) * scale / k
        self.shifted = any(squares)
        self.total = arb(grid.count * len(grid.low) * sum(squares)) / arb(4**grid.scale)
        self.logs, self.shifts = acb_poly(logs), acb_poly(shifts)

    def parts(self, s: acb, analytic: bool) -> tuple[acb, acb]:
        """sum ln(1+s r) (less s sum r about 0) and sum mu^2/(1+s r)."""
        below = 1 + s * self.center
        w = s / below
        rho = abs(w).upper() * self.width
        if not rho < 0.95:
            return acb("nan"), acb("nan")
        rest = rho ** (self.terms + 1) / (1 - rho)
        log = self.logs(w) + _around(rest * self.number)
        if self.center:
            log += below.log(analytic=analytic) * self.number
        if not self.shifted:
            return log, acb(0)
        return log, self.shifts(w) / below + _around(rest * self.total / abs(below).lower())


def _around(radius: arb) -> acb:
    return acb(arb(0, radius.upper()), arb(0, radius.upper()))


class _Transform:
    def __init__(self, modes: Sequence[Single | Grid], sigma: float) -> None:
        self.sums: list[Any] = [_SingleSum(m) if isinstance(m, Single) else _GridSum(m, sigma) for m in modes]
        self.slope = sum((part.parts(acb(1), False)[0] for part in self.sums), acb(0)) / 2

    def log(self, s: acb, analytic: bool = False) -> acb:
        total, shift = acb(0), acb(0)
        for part in self.sums:
            log, mean = part.parts(s, analytic)
            total, shift = total + log, shift + mean
        return s * self.slope - (total + s * (1 - s) * shift) / 2

    def size(self, s: acb) -> float:
        """ln |BC(s)|, infinite where it is not known."""
        value = float(self.log(s).real.mid())
        return value if math.isfinite(value) else math.inf


def total_variation(modes: Sequence[Single | Grid]) -> arb:
    """TV of prod N(mu_i, 1)^{n_i} and prod N(0, 1+r_i)^{n_i} as a ball.

    Examples
    --------
    >>> print(total_variation([Single(Fraction(0), Fraction(1), 1)]).str(15, radius=False))
    0.382924922548026
    """
    sigma = math.sqrt(sum(m.loss_variance() for m in modes))
    with ctx.workprec(_BITS):
        f = _Transform(modes, sigma)
        knots, height = [acb(0.5)], 0.5 / sigma
        highest = f.size(knots[0])
        while len(knots) < 400:
            points = [acb(0.5 + tilt * height, height) for tilt in _TILTS]
            sizes = [f.size(s) for s in points]
            knots.append(points[sizes.index(min(sizes))])
            highest = max(highest, min(sizes))
            if min(sizes) - math.log(height) < _FLOOR:
                break
            height *= 1.5

        def integrand(s: acb, analytic: bool) -> acb:
            log = f.log(s, analytic)
            return log.exp() / (s * (1 - s)) if log.real < highest + 8 else acb("nan")

        tolerance = arb(10) ** -36
        total = acb(0)
        for a, b in itertools.pairwise(knots):
            total += acb.integral(
                integrand, a, b, rel_tol=tolerance, abs_tol=tolerance, eval_limit=100_000, use_heap=True
            )
        beyond = (4 * abs(f.log(knots[-1]).exp())).upper()  # what is left after the last knot, estimated
        return 1 - (total.imag + arb(0, beyond)) / arb.pi()
