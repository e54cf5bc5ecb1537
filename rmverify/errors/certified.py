r"""Certified constants of the one-step lemmas on the Gaussian class: suprema over boxes, in ball arithmetic.

A constant that a search has seen is a lower bound; these are upper ones too, for every point of a class.

The class: N(m, Sigma) with eigenvalues in [0.01, 100], t >= 0.01, 0 < h <= min(1/(2L), t/2), L = 1/min(1, min lambda),
the score exact, x ~ q_t. The error of a step is linear in x - m(t) in every mode (e^{ah} m(t) = m(t - ah): a mean
moves with the flow itself), so that uncentred modes err as centred ones; a sum over modes with L = max L_i and bounds
that increase in L is at most the largest ratio of a single mode, and h <= 1/(2L) <= 1/(2 L_i). The isotropic laws
N(0, lambda I) therefore attain the supremum over the class.

The process is homogeneous in its noise levels: from level t on, a mode is known by its variance v = v(t), and
v(t-r) = 1 + (v-1) e^{2r}. A scheme is run with a level that can only be moved and asked for the score, and with a
midpoint a that can only be multiplied by the step: what does more is refused. So the step's coefficient A is a
function of v, h and ah. Its coefficient of h^k, from jets in h, is a polynomial in a of degree at most k, which
Gauss-Legendre over balls averages exactly, and a polynomial in w = 1/v. The orders below which they vanish for all w
are decided by running the scheme on symbols: bias/h^3 and variance/h^4 are finite down to h = 0.

What the truncated series leaves out is bounded by Cauchy's estimate on boxes [0, H] of h: the step runs on complex
balls that cover a disc of h and all a in [0, 1], where no denominator contains 0; on arcs around it |A| <= M, so that
|coefficient of h^k| <= M/radius^k.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
from flint import acb, arb, arb_poly, arb_series

from rmverify.elementary import exp, expm1
from rmverify.errors import EFFORT
from rmverify.errors.boxes import Box, Search, interval, supremum
from rmverify.laws.langevin.linear import unit_flow
from rmverify.numbers.quadrature import unit_balls
from rmverify.readings.affine import AffineDraw, X, forms
from rmverify.readings.balls import lift_scheme, precision
from rmverify.readings.duals import Dual
from rmverify.schemes.contract import Scheme, parameters, unwrap

__all__ = ["Certified", "certified_constant", "certified_smoothing", "certified_start"]

LEAST, MOST, EARLIEST = 0.01, 100.0, 0.01
TERMS = 18  # of the series in h
CELLS = 4  # of the midpoints, in Cauchy's estimate
ARCS = 24
DEPTH = 6  # halvings of the cells of its disc
GRID = 8  # intervals of w = 1/v for every factor e, in Cauchy's estimate
BITS = 96
NAMED = 8  # of the unresolved boxes
POINT_BITS = 512  # for the interpolation in w
DOMAIN = "lambda in [0.01, 100], t >= 0.01, 0 < h <= min(1/(2L), t/2), L = 1/min(1, lambda)"


@dataclass(frozen=True)
class Certified:
    """A supremum: lower <= sup <= upper, guaranteed; a place where the ratio is at least `lower`; what stayed open.

    `argmax` is (lambda, t, h), rounded, unless `domain` says otherwise. `unresolved` names the boxes, as text, that the
    effort did not suffice to bound to 5% above `lower`: the constant is then inconclusive, though the enclosure
    holds. A ratio that is unbounded as h -> 0 has lower = upper = inf.
    """

    lower: float
    upper: float
    argmax: tuple[float, ...] | None
    boxes: int
    unresolved: tuple[str, ...]
    domain: str = DOMAIN


class _Level:
    """A noise level relative to the step's start: it moves by balls, and the score takes it."""

    over_balls = True

    def __init__(self, offset: Any) -> None:
        self.offset = offset

    def __sub__(self, step: Any) -> _Level:
        return _Level(self.offset - step)

    def __add__(self, step: Any) -> _Level:
        return _Level(self.offset + step)


class _Midpoint:
    """scale a + shift as a fraction of the step: its product with the step is a number, and nothing else is."""

    over_balls = True

    def __init__(self, a: Any, step: Any) -> None:
        self._a, self._step = a, step

    def __rsub__(self, one: Any) -> Any:
        return _Midpoint(one - self._a, self._step)

    def __mul__(self, step: Any) -> Any:
        if step is not self._step:
            raise TypeError("scheme: certified constants need a midpoint that only multiplies the step h")
        return self._a * step

    __rmul__ = __mul__


class _OneMidpoint(AffineDraw):
    """The draws of a step: one uniform midpoint, no more and nothing else."""

    def __init__(self, a: Any, step: Any) -> None:
        super().__init__([_Midpoint(a, step)], np.asarray)

    def uniform(self) -> Any:
        return self._refused() if self._used else super().uniform()

    def _refused(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "scheme: certified constants are known for one uniform midpoint a step, got more or other draws"
        )

    strata = bernoulli = exponential = _refused


class _Modes:
    """The exact score of a mode of variance 1/w at the step's start, in a form that suits intervals of w."""

    def __init__(self, w: Any) -> None:
        self.w = w
        self.offsets: list[Any] = []

    def score(self, t: Any, x: Any) -> Any:
        self.offsets.append(t.offset)
        return -x * (self.w / _growth(self.w, t.offset))


def _growth(w: Any, t: Any) -> Any:
    """v(t)/v(0) = 1 + (1-w)(e^{-2t} - 1), w = 1/v(0)."""
    return 1 + (1 - w) * expm1(-2 * t)


def _coefficient(scheme: Scheme, modes: _Modes, h: Any, zero: Any, a: Any) -> Any:
    """A of x' = A x."""
    draw = _OneMidpoint(a, h)
    out = forms(scheme, modes, _Level(zero), h, draw)[0]
    if draw.draws:
        raise TypeError("scheme: certified constants are known for predictors, got one that draws noise")
    return out.parts.get(X, 0)


# --- orders, on symbols ---------------------------------------------------------------------------------------


def _orders(scheme: Scheme) -> tuple[int, int | None]:
    """The first orders in h at which E_a A - slope and A - E_a A do not vanish for all w (None: the latter is 0)."""
    import sympy as sp

    w, h, a = sp.symbols("w h a", positive=True)
    exact = {n: sp.Rational(x) if isinstance(x, int | float) else x for n, x in parameters(scheme).items()}
    A = sp.sympify(_coefficient(functools.partial(unwrap(scheme)[0], **exact), _Modes(w), h, sp.Integer(0), a))
    A = A.xreplace({x: sp.Rational(float(x)) for x in A.atoms(sp.Float)})
    slope = sp.sqrt(_growth(w, -h))
    bias = spread = None
    random = A.has(a)
    for k in range(TERMS):
        at = sp.expand(sp.diff(A, h, k).subs(h, 0)) / sp.factorial(k)
        mean = sp.integrate(sp.expand(at), (a, 0, 1))
        if bias is None and sp.cancel(mean - sp.diff(slope, h, k).subs(h, 0) / sp.factorial(k)) != 0:
            bias = k
        if spread is None and random and sp.cancel(at - mean) != 0:
            spread = k
        if bias is not None and (spread is not None or not random):
            return bias, spread
    raise ArithmeticError(f"scheme: its errors vanish up to order {TERMS}, so they have no leading constant")


# --- the error's profile over (v, h) ---------------------------------------------------------------------------


class _Tail(NamedTuple):
    """|f_k| <= size/radius^k for A(a) and the slope, and |df_k/dw| <= size_w/radius^k, on an interval of w."""

    radius: float
    A: float
    A_w: float
    flow: float
    flow_w: float

    def at(self, size: float, order: int, h: Any, first: int | None = None) -> tuple[Any, Any]:
        """sum_{k >= first} f_k h^{k-order} and its slope in h: balls around 0 that contain them; first is TERMS if not
        given."""
        n = (TERMS if first is None else first) - order
        x = h.abs_upper() / self.radius
        if not x < 1:
            return arb.nan(), arb.nan()
        scale = arb(size) / arb(self.radius) ** order
        slope = n * x ** max(n - 1, 0) / (1 - x) + x**n / (1 - x) ** 2
        return _around(scale * x**n / (1 - x)), _around(scale / self.radius * slope)


def _around(radius: Any) -> Any:
    return arb(0, radius.abs_upper())


@functools.lru_cache(maxsize=64)
def _polynomials(scheme: Scheme, random: bool) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The coefficients of E_a A - slope at h^k, k < TERMS, and of Var_a A's polynomial part at h^k, k <= 2 TERMS - 2.

    Each is a polynomial in w: a score brings w/(1 + (1-w)(e^{2r} - 1)), of degree j+1 at r^j, and a step can only add
    and scale scores, so that A at h^k has a degree of at most k plus the number of scores; the slope at most k. They
    are interpolated from that many exact points and one, in balls.
    """
    step = lift_scheme(scheme)
    h, zero = arb_series([0, 1], prec=TERMS), arb_series([0], prec=TERMS)

    with precision(POINT_BITS):
        points, weights = unit_balls(TERMS) if random else ([arb(0)], [arb(1)])
        counter = _Modes(arb(1))
        _coefficient(step, counter, h, zero, points[0])
        places = [arb(k + 1) / 8 for k in range(TERMS + len(counter.offsets))]

        if not all(offset[0].is_zero() for offset in counter.offsets):
            raise TypeError("scheme: certified constants need a score asked at levels t - O(h)")

        def fitted(function: Callable[[Any], Any]) -> list[Any]:
            rows = [function(w) + zero for w in places]
            return [arb_poly.interpolate(places, [row[k] for row in rows]) for k in range(TERMS)]

        nodes = [fitted(lambda w, a=a: _coefficient(step, _Modes(w), h, zero, a)) for a in points]  # type: ignore[misc]
        flow = fitted(lambda w: _growth(w, -h).sqrt())
        mean = [sum((c * row[k] for c, row in zip(weights, nodes, strict=True)), arb_poly([0])) for k in range(TERMS)]
        off = [[row[k] - mean[k] for k in range(TERMS)] for row in nodes]
        spread = [arb_poly([0])] * (2 * TERMS - 1)
        for c, row in zip(weights, off, strict=True):
            for i, j in itertools.product(range(TERMS), repeat=2):
                spread[i + j] = spread[i + j] + c * row[i] * row[j]
        return tuple(m - f for m, f in zip(mean, flow, strict=True)), tuple(spread)


def _over_interval(polynomials: Any, w: Any, h: Any) -> Dual:
    """sum p_k(w) h^k, with its slopes in w and h, p_k by its Taylor series at the middle of w."""
    shift, off = arb_poly([w.mid(), 1]), w - w.mid()
    value = slope = along = off * 0
    for k in range(len(polynomials) - 1, -1, -1):
        local = polynomials[k](shift)
        p = local(off)
        value, slope = value * h + p, slope * h + local.derivative()(off)
        if k:
            along = along * h + k * p
    return Dual(value, slope, along)


@functools.lru_cache(maxsize=512)
def _tail(scheme: Scheme, random: bool, cell: int) -> _Tail:
    """Cauchy's estimate for ln w in [cell, cell+1]/GRID, on the largest of a few discs |h| <= radius on which
    everything is certainly analytic: no denominator contains 0 on cells that cover it. The sizes are those on arcs that
    cover its boundary (maximum principle); the lower half plane mirrors the upper."""
    step = lift_scheme(scheme)
    w = interval((arb(cell) / GRID).exp(), (arb(cell + 1) / GRID).exp())
    parts = [interval(arb(k) / CELLS, arb(k + 1) / CELLS) for k in range(CELLS)] if random else [arb(0)]
    top = float(w.upper())
    pole = math.log(top / (top - 1)) / 2 if top > 1 else math.inf  # where v(t-h) = 0

    def coefficients(w: Any, h: Any) -> list[Any]:
        return [_coefficient(step, _Modes(w), h, acb(0), a) for a in parts]

    def analytic(x: float, y: float, side: float, radius: float, depth: int) -> bool:
        if math.hypot(max(x, -x - side, 0.0), y) > radius * (1 + 1e-9):
            return True
        h = acb(interval(x, x + side), interval(y, y + side))
        with contextlib.suppress(ValueError, ZeroDivisionError):
            square = _growth(acb(w), -h)
            if square.abs_lower() > 0 and all(acb(A).is_finite() for A in coefficients(acb(w), h)):
                return True
        half = side / 2
        corners = ((x, y), (x + half, y), (x, y + half), (x + half, y + half))
        return depth > 0 and all(analytic(*corner, half, radius, depth - 1) for corner in corners)

    for factor in (0.8, 0.6, 0.4, 0.2):
        radius = min(factor * pole, 1.5 * factor)
        squares = [(x, y) for x in (-radius, -radius / 2, 0.0, radius / 2) for y in (0.0, radius / 2)]
        if all(analytic(x, y, radius / 2, radius, DEPTH) for x, y in squares):
            break
    else:
        return _Tail(0.0, *[math.inf] * 4)
    found = []
    for k in range(ARCS):
        arc = radius * (acb(0, interval(arb(k) / ARCS, arb(k + 1) / ARCS)) * arb.pi()).exp()
        precision = Dual(acb(w), acb(1))
        A = [e if isinstance(e, Dual) else Dual(acb(e), acb(0)) for e in coefficients(precision, arc)]
        square = _growth(precision, -arc)
        root = square.value.abs_upper().sqrt(), square.slope.abs_upper() / (2 * square.value.abs_lower().sqrt())
        found.append([
            max(float(e.value.abs_upper()) for e in A), max(float(e.slope.abs_upper()) for e in A),
            *(float(r.abs_upper()) for r in root),
        ])  # fmt: skip
    sizes = [max(column) for column in zip(*found, strict=True)]
    return _Tail(radius, *(math.nextafter(x, math.inf) if math.isfinite(x) else math.inf for x in sizes))


def _bias(scheme: Scheme, random: bool, tail: _Tail, order: int, w: Any, h: Any) -> Dual:
    """((E_a A - slope)/h^order)^2 with its slopes in w and h."""
    g = _over_interval(_polynomials(scheme, random)[0][order:], w, h)
    rest, rest_h = tail.at(tail.A + tail.flow, order, h)
    rest_w, _ = tail.at(tail.A_w + tail.flow_w, order, h)
    square: Dual = Dual(g.value + rest, g.slopes[0] + rest_w, g.slopes[1] + rest_h) ** 2
    return square


def _variance(scheme: Scheme, random: bool, tail: _Tail, order: int, w: Any, h: Any) -> Dual:
    """E_a [((A - E_a A)/h^order)^2] with its slopes in w and h: the mean square of P + e, P the polynomial part.

    |E (P + e)^2 - E P^2| <= 2 |P| |e| + |e|^2 in root mean squares, and so for the slopes, those of P by Cauchy.
    """
    P = _over_interval(_polynomials(scheme, random)[1][2 * order :], w, h)
    e, e_h = tail.at(2 * tail.A, order, h)
    e_w, _ = tail.at(2 * tail.A_w, order, h)
    p = _around(P.value.abs_upper().sqrt())
    _, p_h = tail.at(2 * tail.A, order, h, order)
    p_w, _ = tail.at(2 * tail.A_w, order, h, order)
    return Dual(
        P.value + 2 * p * e + e * e,
        P.slopes[0] + 2 * (p * e_w + p_w * e + e * e_w),
        P.slopes[1] + 2 * (p * e_h + p_h * e + e * e_h),
    )


# --- the pieces of the domain ----------------------------------------------------------------------------------

# The error depends on v and h alone, the bound increases in L and L v 1/t, so that of all (lambda, t) of one v those
# with smaller L and larger t matter. For lambda < t, lambda <= 1, a smaller t (and the larger lambda that keeps v)
# lowers L and L v 1/t and admits the same h until lambda = t: `_early_narrow` is left. For lambda >= 1, L = 1: t >= 1
# is best, and possible for v <= 1 + 99 e^{-2}; for larger v the latest t is that of lambda = 100. Boxes: in [0, 1]^3.


class _Point(NamedTuple):
    """What the ratio needs of (lambda, t): v(t), L, L v 1/t and the longest h; and lambda and t themselves."""

    v: Dual
    L: Any
    M: Any
    longest: Dual
    lam: Dual
    t: Dual


def _early_narrow(x: Dual, z: Dual) -> _Point:
    """lambda = 0.01^x, 0.01 <= t = 0.01 (lambda/0.01)^z <= lambda."""
    low = _log(LEAST)
    lam, t = (x * low).exp(), (_log(EARLIEST) + z * (x * low - _log(EARLIEST))).exp()
    return _Point(1 - (1 - lam) * (-2 * t).exp(), 1 / lam, 1 / t, t / 2, lam, t)


def _late_wide(x: Dual, z: Dual) -> _Point:
    """lambda >= 1, t >= 1, of which only v = (1 + 99 e^{-2})^x matters: for instance t = 1."""
    one = x * 0 + 1
    decay = (-2 * one).exp()
    v = (x * (1 + (MOST - 1) * decay).log()).exp()
    return _Point(v, one, one, one / 2, 1 + (v - 1) / decay, one)


def _early_wide(x: Dual, z: Dual) -> _Point:
    """lambda = 100, t = 0.01^x."""
    t = (x * _log(EARLIEST)).exp()
    one = x * 0 + 1
    return _Point(1 + (MOST - 1) * (-2 * t).exp(), one, 1 / t, t / 2, one * MOST, t)


def _log(x: float) -> Any:
    return arb(x).log()


_PIECES = (_early_narrow, _late_wide, _early_wide)


# --- the constant ----------------------------------------------------------------------------------------------


def certified_constant(
    scheme: Scheme,
    which: Literal["bias", "variance", "mean_square"],
    bound: Callable[[Any, Any, Any], Any],
    *,
    effort: int = EFFORT,
    width: float = 0.01,
) -> Certified:
    r"""The supremum of a one-step error over its bound, on the class of this module, enclosed.

    Parameters
    ----------
    scheme : predictor
        With at most one uniform midpoint a step.
    which : {"bias", "variance", "mean_square"}
        Of `local_error`, per dimension, from x ~ q_t.
    bound : callable
        ``bound(L, M, h)`` with M = L v 1/t: a monomial in h with a positive coefficient, increasing in L and M.
    effort : int
        Boxes to look at.
    width : float
        Relative width of the enclosure at which the search ends before that.

    Raises
    ------
    TypeError
        For a scheme that draws noise, more than one midpoint, or uses them or t otherwise than this module states.
    ValueError
        For a bound that is not a monomial in h.

    Examples
    --------
    >>> from rmverify.schemes import exponential_integrator
    >>> c = certified_constant(exponential_integrator, "mean_square", lambda L, M, h: L**2 * h**4 * M, width=0.05)
    >>> 0.05 < c.lower <= c.upper < 0.055
    True
    """
    if which not in ("bias", "variance", "mean_square"):
        raise ValueError(f"which: expected 'bias', 'variance' or 'mean_square', got {which!r}")
    with precision(BITS, TERMS):
        return _constant(scheme, which, bound, effort, width)


def _constant(scheme: Scheme, which: str, bound: Callable[..., Any], effort: int, width: float) -> Certified:
    bias, spread = _orders(scheme)
    power = _power(bound)
    parts: list[tuple[Callable[..., Dual], int]] = []
    if which != "variance":
        parts.append((_bias, bias))
    if which != "bias" and spread is not None:
        parts.append((_variance, spread))
    if not parts:
        return Certified(0.0, 0.0, None, 0, ())
    if any(2 * order < power for _, order in parts):
        return Certified(math.inf, math.inf, None, 0, ())
    random = spread is not None

    def ratio(piece: Callable[[Dual, Dual], _Point], box: Box) -> Dual:
        x, z, rho = _sides(box)
        at = piece(x, z)
        w, h = 1 / at.v, rho * at.longest
        if not w.value > 0:
            return Dual(arb.nan(), *w.slopes)
        ends = (float(w.value.lower().log().mid()) * GRID, float(w.value.upper().log().mid()) * GRID)
        first, last = math.floor(ends[0] - 1e-6), math.floor(ends[1] + 1e-6)
        if last - first > GRID // 2:  # the interval of w is too wide; the slopes say which side to cut
            return Dual(arb.nan(), *w.log().slopes)
        tails = [_tail(scheme, random, cell) for cell in range(first, last + 1)]
        total: Any = 0
        for error, order in parts:
            e = _hull([error(scheme, random, each, order, w.value, h.value) for each in tails])
            slopes = [e.slopes[0] * a + e.slopes[1] * b for a, b in zip(w.slopes, h.slopes, strict=True)]
            total = total + Dual(e.value, *slopes) * h ** (2 * order - power)
        over = bound(at.L, at.M, 1) + 0 * at.L
        low, high = (bound(end(at.L.value), end(at.M.value), 1) for end in (arb.lower, arb.upper))  # it increases
        result: Dual = total / w / Dual(interval(low, high), *over.slopes)
        return result

    functions = [functools.partial(ratio, piece) for piece in _PIECES]
    found = supremum(functions, [((0.0, 1.0),) * 3] * len(functions), effort=effort, width=width)
    return _enclosed(found, _place, _named)


def _enclosed(
    found: Search, place: Callable[[int, Any], tuple[float, ...]], name: Callable[[int, Box], str], domain: str = DOMAIN
) -> Certified:
    """What a search found as a constant, the first few of the boxes left over by name."""
    left = [name(which, box) for which, box in found.unresolved[:NAMED]]
    if len(found.unresolved) > NAMED:
        left.append(f"and {len(found.unresolved) - NAMED} more")
    argmax = None if found.point is None else place(*found.point)
    return Certified(found.lower, found.upper, argmax, found.boxes, tuple(left), domain)


def _hull(duals: list[Dual]) -> Dual:
    """What contains all of them."""
    rows = zip(*((d.value, *d.slopes) for d in duals), strict=True)
    value, *slopes = (functools.reduce(lambda a, b: a.union(b), row) for row in rows)
    return Dual(value, *slopes)


def _sides(box: Box) -> list[Dual]:
    return [Dual(interval(a, b), *(arb(int(i == j)) for j in range(len(box)))) for i, (a, b) in enumerate(box)]


def _power(bound: Callable[..., Any]) -> int:
    """The degree in h of a monomial bound."""
    given = bound(arb(2), arb(3), arb_series([0, 1], prec=TERMS))
    powers = [k for k, c in enumerate(given.coeffs()) if not c.is_zero()] if isinstance(given, arb_series) else []
    if len(powers) != 1:
        raise ValueError(f"bound: expected a monomial c h^p with 0 < p < {TERMS}, got {given}")
    return powers[0]


def _place(which: int, point: tuple[float, ...]) -> tuple[float, ...]:
    """(lambda, t, h) at a point of a piece, rounded."""
    x, z, rho = _sides(tuple((c, c) for c in point))
    at = _PIECES[which](x, z)
    return tuple(float(n.value) for n in (at.lam, at.t, rho * at.longest))


def _named(which: int, box: Box) -> str:
    sides = " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in box)
    lam, t, h = _place(which, tuple(a / 2 + b / 2 for a, b in box))
    words = (_PIECES[which].__doc__ or "").rstrip(".")
    return f"{words}; h = y min(1/(2L), t/2); (x, z, y) in {sides}, about lambda = {lam:.4g}, t = {t:.4g}, h = {h:.4g}"


# --- the start --------------------------------------------------------------------------------------------------

START = "q_0 = N(0, lambda I_d), lambda in [0.01, 100], T >= 0.01, every d >= 1; argmax is (lambda, T, d)"


def certified_start(*, effort: int = EFFORT, width: float = 0.02) -> Certified:
    r"""The supremum of TV(q_T, N(0, I))/(e^{-T} (sqrt d + m_2)), m_2 = sqrt(E|X_0|^2), on centred isotropic Gaussians.

    For d = 1 and d = 2 the closed forms of TV, which increases away from v = 1, v = 1 + (lambda-1) e^{-2T}; for d >= 3
    at most min(1/sqrt 3, Pinsker's bound per sqrt d), and Pinsker's for all: with y = v - 1,
    TV <= sqrt(KL/2) = sqrt(d (y - ln(1+y)))/2 <= sqrt(d y^2/(8 min(1, v))).

    Examples
    --------
    >>> c = certified_start()
    >>> 0.6 < c.lower <= c.upper < 0.65, c.argmax[2]
    (True, 1)
    """

    def tv(d: int, v: Any) -> Any:
        square = v * v.log() / (v - 1)  # |x|^2/d where the densities are equal
        if d == 1:
            return abs((square / 2).sqrt().erf() - (square / v / 2).sqrt().erf())
        return abs((-square).exp() - (-square / v).exp())

    def ratio(d: int, box: Box) -> Dual:
        """From the ends of the box: v is monotone in lambda and in e^{-2T}, TV in |ln v|."""
        lam = [LEAST * (x * (_log(MOST) - _log(LEAST))).exp() for x in box[0]]
        decay = [(-2 * arb(EARLIEST)).exp() * z for z in box[1]]
        corners = [1 + (a - 1) * y for a in lam for y in decay]
        low, high = min(float(v.lower()) for v in corners), max(float(v.upper()) for v in corners)
        away = max(abs(float((a - 1).abs_upper())) for a in lam)
        above = [arb(away) * (decay[1].upper() / (8 * arb(min(low, 1.0)))).sqrt()]  # Pinsker
        below = arb(0)
        if d > 2 and decay[0] > 0:
            above.append(1 / (arb(d) * decay[0]).sqrt())
        elif d <= 2 and (high < 1 or low > 1):
            known = [tv(d, arb(v)) for v in (low, high)]
            below = min((k.lower() for k in known), key=float) / (arb(d) * decay[1]).sqrt()
            if decay[0] > 0:
                above.append(max((k.upper() for k in known), key=float) / (arb(d) * decay[0]).sqrt())
        top = min((b.upper() for b in above if b.is_finite()), key=float) / (1 + lam[0].sqrt())
        return Dual(interval(below / (1 + lam[1].sqrt()), top), arb.nan(), arb.nan())

    def place(which: int, point: Any) -> tuple[float, ...]:
        x, z = point
        return LEAST * (MOST / LEAST) ** x, EARLIEST - math.log(z) / 2, which + 1

    def name(which: int, box: Box) -> str:
        many = "=" if which < 2 else ">="
        return f"d {many} {which + 1}, lambda = 0.01 10000^x, e^(-2T) = e^(-0.02) z, (x, z) in {box}"

    found = supremum(
        [functools.partial(ratio, d) for d in (1, 2, 3)], [((0.0, 1.0),) * 2] * 3, effort=effort, width=width
    )
    return _enclosed(found, place, name, START)


# --- smoothing --------------------------------------------------------------------------------------------------

FLOW_TERMS, FLOW_NODES = 16, 12
LEFT_OUT = 1e-18
SMOOTHED = "friction sqrt(L), T <= 1/sqrt(L), forces -k x, any two starts in any dimension; argmax is (k/L, T sqrt(L))"


def certified_smoothing(joint: bool, lowest: float, *, effort: int = EFFORT, width: float = 0.001) -> Certified:
    r"""The supremum of TV(pP_T, qP_T), of (x, v) over W_2/(L^{1/4} T^{3/2}) or of x alone over W_2/T, on linear forces.

    P_T is underdamped Langevin of friction sqrt(L), k in [lowest L, L], T <= 1/sqrt(L). TV is at most W_2/sqrt(2 pi n),
    n of `start_noise`, and two points attain that as they come together. With L = 1, in units of time T, the noise
    2T c, e and f as there and q(w) = c_xx w_v^2 - 2 c_xv w_x w_v + c_vv w_x^2,

        ratio^2 = (e^{-2T} + 2T q(e))/(4 pi (2T det c + q(f)))  or  e_x^2/(2 pi (f_x^2 + 2T c_xx)).

    The series of the flow leave out 2 (5/4)^16/32! < 1e-33. The coefficients of G and G' are at most those of t e^{rt}
    and (1 + t/2) e^{rt}, r = (1 + sqrt 5)/2, so that 12 nodes leave out of the integrals less than
    (12!)^4/(25 (24!)^3) e^4 4^24 < 2e-22; a ratio moves by less than 1e-18.

    Examples
    --------
    >>> c = certified_smoothing(False, -1.0)
    >>> 0.571 < c.lower <= c.upper < 0.573, c.argmax[1]
    (True, 1.0)
    """
    x, weights = unit_balls(FLOW_NODES)

    def ratio(box: Box) -> Dual:
        k, T = _sides(box)
        K = k * T * T
        G, slope, _, xx, vv = unit_flow(K, T, x, weights, FLOW_TERMS)
        e_x, e_v, f_x, f_v = slope + T * G, -K * G, G, slope
        xv = G * G / 2
        if joint:
            above = exp(-2 * T) + 2 * T * (xx * e_v * e_v - 2 * xv * e_x * e_v + vv * e_x * e_x)
            below = 2 * (2 * T * (xx * vv - xv * xv) + xx * f_v * f_v - 2 * xv * f_x * f_v + vv * f_x * f_x)
        else:
            above, below = e_x * e_x, f_x * f_x + 2 * T * xx
        found: Dual = (above / (2 * arb.pi() * below)).sqrt() + arb(0, LEFT_OUT)
        return found

    with precision(BITS, TERMS):
        found = supremum([ratio], [((lowest, 1.0), (0.0, 1.0))], effort=effort, width=width)
    return _enclosed(found, lambda _, point: point, lambda _, box: f"(k/L, T sqrt(L)) in {box}", SMOOTHED)
