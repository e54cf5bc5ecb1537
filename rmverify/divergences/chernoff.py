r"""The Chernoff transform of two product Gaussians in the complex plane, and contours along which it decays.

Total variation in d dimensions is an integral over all of them; by this transform it is one along a line.

Laws and symbols. p = prod_i N(m_i, a_i)^{n_i} and q = prod_i N(0, b_i)^{n_i} enter only through

    ratio r_i = (b_i - a_i)/a_i > -1,    shift mu_i^2 = m_i^2/a_i,    count n_i,

and the transform BC(s) = int p^s q^{1-s} = E_q e^{s l}, with the loss l = ln(p/q), is

    ln BC(s) = sum_i n_i { [s ln(1+r_i) - ln(1+s r_i)]/2 - s(1-s) mu_i^2 / (2(1+s r_i)) }.

It is analytic off two cuts, Re s <= -1/max r (when some r > 0) and Re s >= -1/min r (when some r < 0); it is
convex on the real segment between them, with BC(0) = BC(1) = 1.

Writing L(z) = ln(1+z) - z, the first bracket is s L(r) - L(s r): no first-order terms are left to cancel.
Three tools make integrals of BC cheap and safe:

* `saddle`: the minimum c of BC on (0, 1). On Re s = c, |BC| is largest at c and decreases away from the axis.
* `compress`: a law with very many modes becomes one with few hundred. ln BC_i(s) is an analytic function of r_i,
  so on each of many short intervals of r it is replaced by its interpolant at 16 Chebyshev points, whose weights
  are moments of the counts. The result is exact to rounding within 45 degrees of the vertical through c.
* `steepest_path`: a broken line from c to infinity near the curve Im ln BC = 0, on which BC is almost real and decays
  (within 45 degrees of the vertical), for the Gauss-Legendre rule of `rmverify.numbers.quadrature`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmverify.elementary import log1p_array, log1p_minus_array

__all__ = [
    "Modes",
    "compress",
    "least",
    "log_transform",
    "modes",
    "reciprocal",
    "saddle",
    "steepest_path",
    "tilted_variance",
]

Array = NDArray[Any]

_BLOCK = 1 << 15  # entries of a temporary: half a megabyte of complex numbers
_POINTS = 16  # Chebyshev points of an interval
_BINS = 4  # intervals of r for every factor 2
_AT_ONCE = 8  # corners that are looked for together: few modes need no more
_TILTS = np.linspace(-1, 1, 9)  # slopes dx/dy that a path may take
_CHEBYSHEV = np.cos(np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)


class Modes(NamedTuple):
    """Weights of ln BC(s) = linear s - sum_j [n_j G_j(s) + m_j s(1-s)/(1+s r_j)]/2, m_j = n_j mu_j^2.

    G_j(s) = ln(1+s r_j) - s r_j, and ln(1+s r_j) for the `wide` last modes, those of ratio r_j >= 1, where the
    subtraction would only lose digits. `linear` is sum_j n_j G_j(1)/2 and `size` the same sum of absolute values.
    `lowest` and `highest` are the extreme ratios min(r, 0) and max(r, 0), which end the domain of BC;
    `ulps` is the relative rounding error of ln BC, in units of 2^-53.
    """

    r: Array
    n: Array
    m: Array
    wide: int
    linear: float
    size: float
    lowest: float
    highest: float
    ulps: float = 4.0


def modes(ratio: Array, shift: Array, count: Array, log_ratio: Array | None = None) -> Modes:
    """The weights of ln BC, with the modes of ratio 0 merged into one.

    `log_ratio` is ln(b_i/a_i) where ratios near -1 have lost it; by default ln(1 + r_i).
    """
    logs = np.log1p(ratio) if log_ratio is None else log_ratio
    r, n = ratio, np.broadcast_to(np.asarray(count, dtype=float), ratio.shape)
    m = n * shift
    flat = r == 0
    if flat.any():
        r, n, m = (np.append(x[~flat], y) for x, y in ((r, 0.0), (n, 0.0), (m, m[flat].sum())))
    r, n, m, wide = _narrow_first(r, n, m)
    near = np.abs(ratio) < 0.5
    less = log1p_minus_array(np.where(near, ratio, 0.0))
    terms = count * np.where(near, less, logs - np.where(ratio < 1, ratio, 0.0)) / 2
    lowest, highest = min(float(r.min()), 0.0), max(float(r.max()), 0.0)
    return Modes(r, n, m, wide, float(terms.sum()), float(np.abs(terms).sum()), lowest, highest)


def _narrow_first(r: Array, n: Array, m: Array) -> tuple[Array, Array, Array, int]:
    wide = r >= 1
    count = int(wide.sum())
    if 0 < count < r.size:
        r, n, m = (np.concatenate([x[~wide], x[wide]]) for x in (r, n, m))
    return r, n, m, count


def log_transform(s: Array, law: Modes) -> Array:
    """ln BC at real or complex points s, shape (n,), off the cuts."""
    value = law.linear * s
    rows = max(1, _BLOCK // max(s.size, 1))
    shifted = bool(law.m.any())
    total = np.zeros_like(value)
    narrow = law.r.size - law.wide
    for start, stop, log in ((0, narrow, log1p_minus_array), (narrow, law.r.size, log1p_array)):
        for j in range(start, stop, rows):
            k = slice(j, min(j + rows, stop))
            z = np.multiply.outer(s, law.r[k])
            total += log(z) @ law.n[k]
            if shifted:
                total += (s * (reciprocal(1 + z) @ law.m[k])) * (1 - s)
    return value - total / 2


def reciprocal(z: Array) -> Array:
    """1/z, faster than complex division."""
    if z.dtype.kind == "f":
        return 1 / z
    size = np.hypot(z.real, z.imag)
    inverse: Array = np.conj(z) / size / size
    return inverse


def saddle(law: Modes) -> tuple[float, float]:
    """(c, sigma): where BC is least on (0, 1), and sigma^2 = (ln BC)'' there, the variance of the tilted loss."""

    def slopes(c: float) -> tuple[float, float]:
        z = 1 + c * law.r
        logs = law.r / z * np.where(law.r < 1, c * law.r, -1.0)
        slope = law.linear + float(law.n @ logs - law.m @ ((1 - 2 * c - law.r * c * c) / z / z)) / 2
        return slope, tilted_variance(law, c)

    c, curvature = least(slopes)
    return c, math.sqrt(curvature)


def least(slopes: Callable[[float], tuple[float, float]]) -> tuple[float, float]:
    """Where a convex function is least on (0, 1), and its second derivative there, from its first two derivatives:
    Newton steps, replaced by bisection whenever they leave the bracket."""
    low, high, c, curvature = 0.0, 1.0, 0.5, 0.0
    for _ in range(200):
        slope, curvature = slopes(c)
        low, high = (low, c) if slope > 0 else (c, high)
        if curvature <= 0 or high - low < 1e-15:
            break
        if abs(slope) <= 1e-3 * math.sqrt(curvature) * min(1.0, math.sqrt(curvature)):
            break
        step = c - slope / curvature
        c = step if low < step < high else (low + high) / 2
    return c, curvature


def tilted_variance(law: Modes, c: float) -> float:
    """(ln BC)''(c), the variance of the loss under the law proportional to p^c q^{1-c}."""
    z = 1 + c * law.r
    return float(law.n @ (law.r / z) ** 2 / 2 + law.m @ ((1 + law.r) / z / z / z))


def compress(law: Modes, reach: float = math.inf) -> Modes:
    """The same ln BC from few modes: moments of the counts at Chebyshev points of short intervals of r.

    Intervals are quarters of [2^k, 2^{k+1}] in r, in -r (down to -1/2), and in 1+r (below 1/2). Where only |s| <= reach
    matters, all |r| below 1/(8 reach), but not above twice their root mean square, share one interval. Returned
    unchanged where this would not halve the number of modes.
    """
    r = law.r
    centre = min(1 / (8 * reach), 2 * math.sqrt(float(law.n @ (r * r)) / float(law.n.sum()))) if law.n.any() else 0.0
    small = np.abs(r) <= centre
    low = r < -0.5
    mantissa, exponent = np.frexp(np.where(small, 1.0, np.where(low, np.maximum(1 + r, 2.0**-60), np.abs(r))))
    position = (2 * mantissa - 1) * _BINS
    place = np.minimum(position.astype(int), _BINS - 1)
    lowest = int(exponent.min())
    span = (int(exponent.max()) - lowest + 1) * _BINS
    key = np.where(low, 2 * span, np.where(r < 0, span, 0)) + (exponent - lowest) * _BINS + place
    key[small] = 3 * span
    x = np.where(small, r / centre if centre else r, 2 * (position - place) - 1)
    occupied = np.flatnonzero(np.bincount(key, minlength=3 * span + 1))
    if 2 * occupied.size * _POINTS > r.size:
        return law
    index = np.zeros(3 * span + 1, dtype=np.int16)
    index[occupied] = np.arange(occupied.size)
    order = np.argsort(index[key], kind="stable")
    key, x, weights = index[key][order], x[order], np.array([law.n, law.m])[:, order]
    moments = np.zeros((2, _POINTS, occupied.size))
    rows = 2 if law.m.any() else 1
    for j in range(0, x.size, _BLOCK):
        k = slice(j, j + _BLOCK)
        powers = np.polynomial.chebyshev.chebvander(x[k], _POINTS - 1).T
        edges = np.flatnonzero(np.diff(key[k], prepend=-1, append=-1))
        for start, stop in itertools.pairwise(edges):
            part = weights[:rows, j + start : j + stop] @ powers[:, start:stop].T
            moments[:rows, :, key[j + start]] += part
    moments[:, 0] /= 2
    basis = np.cos(np.outer(np.arccos(_CHEBYSHEV), np.arange(_POINTS))) * (2 / _POINTS)
    n, m = (np.ravel((basis @ moment).T) for moment in moments)
    octave, place = np.divmod((occupied % span)[:, None], _BINS)
    size = np.ldexp(1 + (place + (_CHEBYSHEV + 1) / 2) / _BINS, octave + lowest - 1)
    kind = (occupied // span)[:, None]
    points = np.select([kind == 0, kind == 1, kind == 2], [size, -size, size - 1], centre * _CHEBYSHEV)
    r, n, m, wide = _narrow_first(points.ravel(), n, m)
    ends = min(law.lowest, float(r.min())), max(law.highest, float(r.max()))  # of the intervals
    return law._replace(r=r, n=n, m=m, wide=wide, lowest=ends[0], highest=ends[1], ulps=24.0)


def steepest_path(log_f: Callable[[Array], Array], c: float, first: float, floor: float) -> tuple[Array, float]:
    """Corners of a broken line from c upwards along which f is almost real and decays.

    At the heights y = first 2^k, of the points c + y(tilt + i) with |tilt| <= 1 and |f| at most its value at
    c + iy, the one with the smallest phase of f.

    Parameters
    ----------
    log_f : callable
        ln f on complex points, continuous in the upper half plane.
    c, first : float
        Starting point on the real axis, height of the first corner.
    floor : float
        The path ends once ln |f| - ln(y/first) is below it.

    Returns
    -------
    corners : ndarray, complex
    remainder : float
        ln |f| at the last corner.
    """
    corners = [np.array([complex(c)])]
    remainder = 0.0
    for start in range(0, 128, _AT_ONCE):
        y = first * 2.0 ** np.arange(start, start + _AT_ONCE)
        grid = c + np.multiply.outer(y, _TILTS + 1j)
        value = log_f(grid.ravel()).reshape(grid.shape)
        middle = value.real[:, [_TILTS.size // 2]]
        best = np.argmin(np.where(value.real <= middle, np.abs(value.imag), np.inf), axis=1)[:, None]
        size = np.take_along_axis(value.real, best, axis=1)[:, 0]
        corners.append(np.take_along_axis(grid, best, axis=1)[:, 0])
        over = np.flatnonzero(size - np.log(y / first) < floor)
        if over.size:
            corners[-1] = corners[-1][: over[0] + 1]
            remainder = float(size[over[0]])
            break
        remainder = float(size[-1])
    return np.concatenate(corners), remainder
