"""Regenerate tv_more.json: total variation of product Gaussians in ball arithmetic.

    python tests/reference/make_tv_more.py [output.json]

Needs python-flint only, imports nothing from the package, and is
deterministic. README.md of this folder states the formulas and the tail bound.
A case is a list of blocks ``(mean, var_p, var_q, count)`` of float64, taken as
exact binary numbers. Every case is computed by a contour integral and again by
an independent closed form or, where there is none, along a second contour; the
script stops if two balls do not overlap or are not narrow enough.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from flint import acb, arb, ctx, fmpq

DIGITS = 24  # significant digits certified and written
LN10 = math.log(10)
TINY = arb(2) ** -10000  # no relative tolerance


def lift(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))


def exact_modes(blocks):
    """(r, mu, n) as fractions: r = (var_q - var_p)/var_p, mu = mean^2/var_p."""
    modes = []
    for mean, var_p, var_q, count in blocks:
        m, a, b = Fraction(mean), Fraction(var_p), Fraction(var_q)
        modes.append(((b - a) / a, m * m / a, int(count)))
    return modes


def log1p_less(z, analytic=False):
    """ln(1+z) - z; by its series for small z, so that balls keep their width."""
    z = acb(z)
    size = abs(z).upper()
    if not size < 2.0**-8:
        return (1 + z).log(analytic=analytic) - z
    if size == 0:
        return acb(0)
    power = max(8.0, -float(size.log() / arb(2).log()))
    terms = int(ctx.prec / power) + 2
    total = acb(0)
    for k in range(terms, 1, -1):
        total = total * z + (arb(-1) / k if k % 2 == 0 else arb(1) / k)
    rest = (size ** (terms + 1) / (1 - size)).upper()
    return total * z * z + acb(arb(0, rest), arb(0, rest))


# ---------------------------------------------------------------- contour


class Transform:
    """ln BC(s) = sum n { [s ln(1+r) - ln(1+sr)]/2 - s(1-s) mu / (2(1+sr)) }."""

    def __init__(self, modes):
        self.modes = [(lift(r), lift(mu), n, r == 0, mu == 0) for r, mu, n in modes]
        self.slope = arb(0)  # of s; for small r, ln(1+r) - r beside ln(1+sr) - sr
        for r, _, n, _, _ in self.modes:
            self.slope += n * (log1p_less(r).real if self.light(r) else (1 + r).log()) / 2

    @staticmethod
    def light(r):
        return abs(r) < 2.0**-8

    def log(self, s, analytic=False):
        total = s * self.slope
        for r, mu, n, _, still in self.modes:
            if self.light(r):
                total -= log1p_less(s * r, analytic) * n / 2
            else:
                total -= (1 + s * r).log(analytic=analytic) * n / 2
            if not still:
                total -= s * (1 - s) * mu * n / (2 * (1 + s * r))
        return total

    def integrand(self, cap):
        """BC(s)/(s(1-s)) for acb.integral, indeterminate where the ball exceeds e^cap.

        acb.integral relaxes its tolerance by the first bound it meets: a wide
        ball must be bisected, not bounded by e^1000.
        """

        def f(s, analytic):
            log = self.log(s, analytic)
            if not log.real < cap:
                return acb("nan")
            return log.exp() / (s * (1 - s))

        return f

    def slope_curvature(self, s):
        """First and second derivative of ln BC at real s."""
        d1, d2 = self.slope, arb(0)
        for r, mu, n, _, _ in self.modes:
            z = 1 + s * r
            d1 += n * s * r * r / (2 * z) if self.light(r) else -n * r / (2 * z)
            d2 += n * r * r / (2 * z * z)
            d1 -= n * mu * ((1 - 2 * s) * z - r * s * (1 - s)) / (2 * z * z)
            d2 += n * mu * (1 + r) / (z * z * z)
        return d1, d2

    def saddle(self):
        """Minimum of BC(s)/(s(1-s)) on (0, 1), to float accuracy."""
        low, high = Fraction(0), Fraction(1)
        for _ in range(50):
            mid = (low + high) / 2
            s = lift(mid)
            if self.slope_curvature(s)[0] - 1 / s + 1 / (1 - s) > 0:
                high = mid
            else:
                low = mid
        return (low + high) / 2


def height(x) -> float:
    """Real part of the midpoint as a float (for choosing the path only)."""
    return float(acb(x).real.mid())


def contour(modes, second=False, extra=0):
    """Complement 1 - TV = (1/pi) Im int_P BC(s)/(s(1-s)) ds as a ball.

    P starts at c on (0, 1), runs through straight segments in the upper half
    plane and ends with a vertical half line bounded by `tail`. The path decides
    the cost, never the result.
    """
    ctx.prec = 400
    f = Transform(modes)
    c = f.saddle()
    curvature = f.slope_curvature(lift(c))[1]
    cf = float(c)
    sigma = float(curvature.mid().sqrt()) if curvature.mid() > 0 else 0.0
    width = 1 / (1 / cf + 1 / (1 - cf) + sigma)
    if second:
        c -= Fraction(0.35 * width)
    start = acb(lift(c))
    top = height(f.log(start)) / LN10
    small = math.log10(min(1.0, sigma)) if sigma else 0
    goal = min(top, small) - 32 - extra - max(0, math.log10(sigma + 1))
    goal = math.floor(goal)
    ctx.prec = int(-goal * 3.33) + 200
    f = Transform(modes)
    start = acb(lift(c))
    step = width * (0.7 if second else 1.0)
    growth = 0.62 if second else 0.9
    turns = (0.0, 0.4, -0.4, 0.8, -0.8, 1.1, -1.1) if second else (0.0, 0.5, -0.5, 1.0, -1.0)
    up = arb.pi() / 2
    knots, here = [start], start
    highest = level = height(f.log(here))
    while True:
        if len(knots) > 3000:
            raise RuntimeError("no path found")
        if len(knots) > 1 and (level - float(here.imag.mid().log())) / LN10 < goal - 2:
            break
        best = None
        for turn in turns:
            move = acb(0, up + arb(turn)).exp() * arb(step)
            ends = [height(f.log(here + move * arb(t) / 4)) for t in (1, 2, 3, 4)]
            hump = max(0.0, max(ends) - max(level, ends[-1]))
            score = ends[-1] + 20 * hump + 1e-3 * abs(turn)
            if best is None or score < best[0]:
                best = (score, move, ends[-1], max(ends))
        here, level, highest = here + best[1], best[2], max(highest, best[3])
        here = acb(here.real.mid(), here.imag.mid())
        knots.append(here)
        step = max(step, growth * float(abs(here - start).mid()))
    tolerance = arb(10) ** goal
    total = acb(0)
    for a, b in pairwise(knots):
        total += acb.integral(
            f.integrand(highest + 8), a, b, rel_tol=TINY, abs_tol=tolerance / 100, eval_limit=200000, use_heap=True
        )
    bound = tail(f, knots[-1])
    value = (total.imag + arb(0, bound.upper())) / arb.pi()
    return value, f"contour at {cf:.6g}{' shifted' if second else ''}, {len(knots) - 1} segments"


def tail(f, s):
    """Upper bound of |int BC/(s(1-s)) ds| over the vertical half line above s.

    |1+sr| increases with Im s. With b = (1+r)/r^2 the mean term is
    Re s(1-s)/(1+sr) = -Re s/r + b(1 - Re 1/(1+sr)) and increases too where
    1 + r Re s > 0; elsewhere it loses at most b |Re 1/(1+sr)|. 1/|s(1-s)| <= 1/u^2.
    """
    log = f.log(s).real
    for r, mu, n, flat, _ in f.modes:
        z = 1 + s * r
        if not flat and not z.real > 0:
            log += n * mu / 2 * (1 + r) / (r * r) * abs((1 / z).real)
    return log.exp() / s.imag


# ---------------------------------------------------------------- second methods
# Each returns (tv, complement) as balls, or None where it does not apply.


def chi2_density(n):
    """Density of chi-square with n degrees, analytic off the cut x <= 0."""
    h = arb(n) / 2
    if n < 10:
        constant = h.lgamma() + arb(2).log()

        def density(x, analytic):
            return ((h - 1) * (x / 2).log(analytic=analytic) - x / 2 - constant).exp()

    else:
        k = h - 1
        constant = k * k.log() - k - h.lgamma() - arb(2).log()

        def density(x, analytic):
            return (k * log1p_less((x - 2 * k) / (2 * k), analytic) + constant).exp()

    return density


def normal_shift(modes):
    """All variances equal: TV = erf(delta / sqrt 8), delta^2 = sum n mu."""
    if any(r for r, _, _ in modes):
        return None
    z = (lift(sum((mu * n for _, mu, n in modes), Fraction(0))) / 8).sqrt()
    return z.erf(), z.erfc()


def one_scale(modes):
    """One block, no mean: chi-square density between and outside its two thresholds."""
    if len(modes) != 1 or modes[0][1] or not modes[0][0]:
        return None
    r, _, n = modes[0]
    rr = lift(r)
    threshold = n * (1 + rr).log() / rr  # of the chi-square under q
    ends = sorted([threshold, threshold * (1 + rr)], key=lambda t: float(t.mid()))
    if n <= 2000:
        h = arb(n) / 2
        lower = [(t / 2).gamma_lower(h, regularized=1) for t in ends]
        upper = [(t / 2).gamma_upper(h, regularized=1) for t in ends]
        return upper[0] - upper[1], lower[0] + upper[1]

    density = chi2_density(n)
    spread = (2 * arb(n)).sqrt()
    reach = 2 * (arb(ctx.prec) * 0.7).sqrt()
    tv = panels(density, ends[0], ends[1], spread / 2)
    # outside: out to `far` spreads, beyond it geometric decay of the density
    low = ends[0].min(arb(n)) - (reach * spread)
    high = ends[1].max(arb(n)) + 2 * reach * spread + 4 * reach * reach
    low = low if low > 0 else arb(0)
    outside = arb(0)
    if low > 0:
        # density d log = h-1 over x - 1/2 > 0 there: increasing, mass below <= low * density
        outside += arb(0, (low * density(acb(low), False).real).upper())
        outside += panels(density, low, ends[0], spread / 2)
    else:
        h = arb(n) / 2
        outside += (ends[0] / 2).gamma_lower(h, regularized=1)
    rate = arb(1) / 2 - (arb(n) / 2 - 1) / high
    outside += arb(0, (density(acb(high), False).real / rate).upper())
    outside += panels(density, ends[1], high, spread / 2)
    return tv, outside


def panels(density, a, b, width):
    """Integral over [a, b] in equal panels."""
    total = acb(0)
    count = int(float(((b - a) / width).mid())) + 1
    count = min(count, 400)
    cuts = [a + (b - a) * k / count for k in range(count + 1)]
    for x, y in pairwise(cuts):
        total += acb.integral(density, x, y, rel_tol=arb(2) ** (-ctx.prec + 40), abs_tol=arb(2) ** (-ctx.prec + 40))
    return total.real


def one_line(modes):
    """d = 1 with mean and scale: roots of the log ratio, normal distribution."""
    if len(modes) != 1 or modes[0][2] != 1 or not modes[0][0] or not modes[0][1]:
        return None
    r, mu, _ = modes[0]
    r, mu = lift(r), lift(mu)
    b = 1 + r
    centre = mu.sqrt() * b / r  # of the square in the log ratio, with var_p = 1
    half = (2 * b / r * (b.log() / 2 + mu / (2 * r))).sqrt()
    p_in = inside((centre - half) - mu.sqrt(), (centre + half) - mu.sqrt())
    q_in = inside((centre - half) / b.sqrt(), (centre + half) / b.sqrt())
    # p is larger inside when r > 0, outside when r < 0; *_in = (mass inside, outside)
    tv = p_in[0] - q_in[0]
    if r > 0:
        return tv, p_in[1] + q_in[0]
    return -tv, p_in[0] + q_in[1]


def inside(low, high):
    root = arb(2).sqrt()
    outside = ((-low / root).erfc() + (high / root).erfc()) / 2
    if low > 0:
        return ((low / root).erfc() - (high / root).erfc()) / 2, outside
    if high < 0:
        return ((-high / root).erfc() - (-low / root).erfc()) / 2, outside
    return ((high / root).erf() - (low / root).erf()) / 2, outside


def poisson_mixture(modes):
    """One block with mean and scale: noncentral chi-square as a Poisson mixture."""
    if len(modes) != 1 or not modes[0][0] or not modes[0][1] or modes[0][2] == 1:
        return None
    r, mu, n = modes[0]
    if n * mu * (1 + r) / r**2 > 4000 or n > 3000:
        return None
    r, mu = lift(r), lift(mu)
    b = 1 + r
    level = 2 * b / r * n * (b.log() / 2 + mu / (2 * r))
    p = noncentral(level, n, n * mu / (r * r))
    q = noncentral(level / b, n, n * mu * b / (r * r))
    if r > 0:
        return p[0] - q[0], p[1] + q[0]
    return q[0] - p[0], q[1] + p[0]


def noncentral(t, n, shift):
    """Distribution and survival function at t, by Poisson weights."""
    h, lam, x = arb(n) / 2, shift / 2, t / 2
    count = int(float(lam.mid()) + 40 * float(lam.mid()) ** 0.5 + 400)
    # P(h+1, x) = P(h, x) - x^h e^-x / Gamma(h+1): run from the top down for P, from 0 up for Q
    weight = (-lam).exp()
    lower = x.gamma_lower(h, regularized=1)
    upper = x.gamma_upper(h, regularized=1)
    drop = (h * x.log() - x - (h + 1).lgamma()).exp()
    below, above = arb(0), arb(0)
    for k in range(count):
        below += weight * lower
        above += weight * upper
        lower -= drop
        upper += drop
        drop *= x / (h + k + 1)
        weight *= lam / (k + 1)
    # Poisson mass left over: at most weight / (1 - lam / (count + 1))
    rest = arb(0, (weight / (1 - lam / (count + 1))).upper())
    return below + rest, above + rest


def pairs(modes):
    """Every block has n = 2 and no mean: signed sums of exponentials, partial fractions."""
    if len(modes) < 2 or any(n != 2 or mu or not r for r, mu, n in modes):
        return None
    if len({r for r, _, _ in modes}) < len(modes):
        return None
    level = arb(0)
    for r, _, _ in modes:
        level += (1 + lift(r)).log()
    q = exponentials([r for r, _, _ in modes], level)
    p = exponentials([r / (1 + r) for r, _, _ in modes], level)
    return p[0] - q[0], p[1] + q[0]


def exponentials(weights, t):
    """P(sum w_i E_i < t) and P(> t) for distinct w_i and standard exponentials E_i."""
    part = arb(0)
    for i, w in enumerate(weights):
        if (w > 0) != bool(t > 0):
            continue
        factor = Fraction(1)
        for j, v in enumerate(weights):
            if j != i:
                factor *= w / (w - v)
        part += lift(factor) * (-t / lift(w)).exp()
    return (1 - part, part) if t > 0 else (part, 1 - part)


def scale_and_shift(modes):
    """One scale block beside equal variances: normal distribution averaged over chi-square."""
    scales = [m for m in modes if m[0]]
    if len(scales) != 1 or len(modes) < 2 or scales[0][1]:
        return None
    r, _, n = scales[0]
    if n > 10**6:
        return None
    ctx.prec = 240
    r = lift(r)
    energy = lift(sum((mu * k for rr, mu, k in modes if not rr), Fraction(0)))
    constant = n * (1 + r).log() / 2
    density_constant = log_constant(n)

    def mass(weight, sign, half):
        # P(constant - weight X/2 + sign energy/2 + sqrt(energy) Z  sign'ed > 0)
        def f(y, analytic):
            x = y * y
            z = half * (constant - weight * x / 2 + sign * energy / 2) / (2 * energy).sqrt()
            power = y ** (n - 1) if n < 50 else ((n - 1) * y.log(analytic=analytic)).exp()
            return power * 2 * (-x / 2 - density_constant).exp() * (-z).erfc() / 2

        top = (arb(n) + 4 * (arb(n) * ctx.prec).sqrt() + 4 * arb(ctx.prec)).sqrt()
        bottom = arb(n).sqrt() - (2 * arb(ctx.prec)).sqrt()
        bottom = bottom.mid() if bottom > 0 else arb(0)
        cuts = [bottom + (top - bottom) * k / 24 for k in range(25)]
        total = acb(0)
        for a, b in pairwise(cuts):
            total += acb.integral(f, a, b, abs_tol=arb(2) ** (-ctx.prec // 2), rel_tol=TINY)
        # outside: far below 2^-(prec/2), not proved
        return total.real + arb(0, arb(2) ** (-ctx.prec // 2))

    p = mass(r / (1 + r), 1, -1)
    q = mass(r, -1, 1)
    complement = p + q  # P(l < 0) + Q(l > 0)
    return 1 - complement, complement


def two_scales(modes):
    """Two scale blocks: one distribution averaged over the other's chi-square."""
    if len(modes) != 2 or any(mu or not r for r, mu, _ in modes):
        return None
    (r1, _, n1), (r2, _, n2) = sorted(modes, key=lambda m: -m[2])
    if n2 > 20 or n1 > 10**13:
        return None
    ctx.prec = 240
    level = n1 * (1 + lift(r1)).log() + n2 * (1 + lift(r2)).log()
    q = nested(r1, n1, r2, n2, level)
    p = nested(r1 / (1 + r1), n1, r2 / (1 + r2), n2, level)
    return p - q, 1 - p + q


def nested(w1, n1, w2, n2, level):
    """P(w1 X + w2 Y < level) for independent chi-squares with n1 and n2 degrees.

    E P(Y < t(X)), t(x) = alpha + beta x, over the x with t(x) > 0. Substitutions
    x = y^2 and t = +-beta y^2 remove the square roots at the ends.
    """
    alpha, beta = level / lift(w2), lift(-w1 / w2)
    reach = (ctx.prec * 0.7) ** 0.5
    far = arb(n1 + 2 * reach * (2.0 * n1) ** 0.5 + 4 * reach * reach)
    slack = arb(2) ** (-ctx.prec // 2)
    grid = [n1 + (2.0 * n1) ** 0.5 * k for k in range(-16, 18, 2)]
    density, constant = chi2_density(n1), log_constant(n1)

    def below(root):  # P(Y < 2 root^2), elementary for whole n2
        x = root * root
        if n2 % 2 == 0:
            term, total = acb(1), acb(0)
            for k in range(n2 // 2):
                total += term
                term *= x / (k + 1)
            return 1 - (-x).exp() * total
        term, total = root / arb(1.5).gamma(), acb(0)
        for k in range(n2 // 2):
            total += term
            term *= x / (arb(k) + 1.5)
        return root.erf() - (-x).exp() * total

    def from_zero(y, analytic):  # x = y^2
        x = y * y
        root = ((alpha + beta * x) / 2).sqrt(analytic=analytic)
        power = y ** (n1 - 1) if n1 < 50 else ((n1 - 1) * y.log(analytic=analytic)).exp()
        return 2 * power * (-x / 2 - constant).exp() * below(root)

    def from_edge(y, analytic):  # x = zero +- y^2 with t = |beta| y^2
        x = zero + y * y * (1 if beta > 0 else -1)
        return 2 * y * density(x, analytic) * below(y * (abs(beta) / 2).sqrt())

    def integral(f, a, b, points):
        cuts = [a] + [arb(x) for x in sorted(points) if arb(x) > a and arb(x) < b] + [b]
        total = acb(0)
        for x, y in pairwise(cuts):
            total += acb.integral(f, x, y, abs_tol=slack, rel_tol=TINY, eval_limit=100000)
        return total.real

    zero = -alpha / beta
    edge = float(zero.mid())
    total = arb(0, slack)
    if beta > 0 and zero > 0:
        if far > zero:
            points = [(x - edge) ** 0.5 for x in grid if x > edge]
            total += integral(from_edge, arb(0), (far - zero).sqrt(), points)
    elif beta > 0:
        total += integral(from_zero, arb(0), far.sqrt(), [x**0.5 for x in grid if x > 0])
    elif zero > 0:
        half = (zero / 2).mid()
        total += integral(from_zero, arb(0), half.sqrt().min(far.sqrt()), [x**0.5 for x in grid if x > 0])
        if far > half:
            start = arb(0) if far > zero else (zero - far).sqrt()
            points = [(edge - x) ** 0.5 for x in grid if x < edge]
            total += integral(from_edge, start, (zero - half).sqrt(), points)
    return total if w2 > 0 else 1 - total


def log_constant(n):
    return arb(n) / 2 * arb(2).log() + (arb(n) / 2).lgamma()


SECOND = (
    (normal_shift, "erf of the mean distance"),
    (one_scale, "chi-square between its thresholds"),
    (one_line, "roots of the log ratio, erf"),
    (poisson_mixture, "noncentral chi-square, Poisson mixture"),
    (pairs, "signed exponentials, partial fractions"),
    (scale_and_shift, "normal distribution averaged over chi-square"),
    (two_scales, "chi-square distribution averaged over chi-square"),
)


# ---------------------------------------------------------------- one case


def width(x):
    """Relative radius as a float, 1 where the ball meets zero."""
    if not x.is_finite() or x.contains(0):
        return 1.0
    return float(x.rad() / abs(x.mid()))


def decide(modes):
    """(tv, complement, origin); raises where two methods disagree."""
    modes = [m for m in modes if m[0] or m[1]]
    extra = 0
    while True:
        first, how = contour(modes, extra=extra)
        precision = ctx.prec
        tv = 1 - first
        if max(width(tv), width(first)) < 10.0 ** (-DIGITS - 2):
            break
        extra += 15
        if extra > 400:
            raise RuntimeError("contour did not converge")
    for method, label in SECOND:
        ctx.prec = precision + 100
        other, name = method(modes), label
        if other is not None and max(width(other[0]), width(other[1])) < 1e-18:
            break
    else:
        second, name = contour(modes, second=True, extra=extra)
        other = (1 - second, second)
        if max(width(other[0]), width(other[1])) > 1e-20:
            raise RuntimeError("second contour too wide")
    ctx.prec = precision
    if not (tv.overlaps(other[0]) and first.overlaps(other[1])):
        raise RuntimeError(f"{name}: {other[0].str(30)} against {tv.str(30)}")
    agree = max(width(other[0]), width(other[1]), width(tv), width(first))
    origin = f"ball arithmetic, {how}; confirmed by {name}; both to {agree:.0e} relative"
    return decimal(tv), decimal(first), origin


def decimal(x):
    return x.str(DIGITS, radius=False)


# ---------------------------------------------------------------- cases


def named_cases():
    """Name -> blocks (mean, var_p, var_q, count)."""
    cases = {}

    def add(name, *blocks):
        assert name not in cases, name
        cases[name] = [(*map(float, b[:3]), int(b[3])) for b in blocks]

    # witnesses on which simple contours fail
    add("witness_opposite_dominant", (0, 1, 1e-6, 1), (0, 1, 1.001, 20000))
    add("witness_opposite_strong", (0, 1, 1e-4, 2), (0, 1, 1.01, 2000))
    add("witness_one_beside_minus_1e-3", (0, 1, 2, 4), (0, 1, 0.999, 4000))
    add("witness_one_beside_minus_1e-4", (0, 1, 2, 4), (0, 1, 0.9999, 40000))
    add("witness_half_beside_shift_1e-6", (0, 1, 0.5, 4), (1e-3, 1, 1 + 1e-9, 1))
    add("witness_half_beside_shift_1e-2", (0, 1, 0.5, 4), (0.1, 1, 1.001, 1))
    add("witness_flat_shift_1e-4", (0, 1, 2, 2), (1e-2, 1, 1, 1))
    add("witness_flat_shift_1e-6", (0, 1, 2, 1), (1e-3, 1, 1, 1))
    add("witness_light_single", (0, 1, 1.001, 1))
    # mean only
    for e in (-30, -15, -12, -8, -3):
        add(f"shift_tv_1e{e}", (2.5 * 10.0**e, 1, 1, 1))
    add("shift_d1e12_tv_1e-12", (2e-18, 0.7, 0.7, 10**12))
    add("shift_d1e8_moderate", (1e-4, 1.3, 1.3, 10**8))
    add("shift_complement_1e-12", (14.3, 1, 1, 1))
    add("shift_complement_1e-20", (1.87, 1.01, 1.01, 100))
    add("shift_complement_1e-100", (0.0426, 1, 1, 10**6))
    add("shift_three_blocks", (0.3, 1, 1, 2), (-0.02, 0.4, 0.4, 50), (1.1, 7, 7, 1))
    # scale only, one block
    add("scale_d1_last_bit", (0, 1, 1 + 2.0**-52, 1))
    add("scale_d1_1e-12", (0, 1, 1 + 2.0**-38, 1))
    add("scale_d1_ratio_1e12", (0, 1, 1e12, 1))
    add("scale_d1_ratio_1e-12", (0, 1, 1e-12, 1))
    add("scale_d2_ratio_1e12", (0, 1e-6, 1e6, 2))
    add("scale_d2_half", (0, 1, 0.5, 2))
    add("scale_d3_ratio_1e-12", (0, 1e6, 1e-6, 3))
    add("scale_d5", (0, 0.3, 0.42, 5))
    add("scale_d10_small", (0, 1, 1 + 2.0**-40, 10))
    add("scale_d10_complement_1e-20", (0, 1, 2e5, 10))
    add("scale_d100_complement_1e-12", (0, 1, 8.5, 100))
    add("scale_d100_complement_1e-100", (0, 1, 0.0005, 100))
    add("scale_d1e4", (0, 2, 2.01, 10**4))
    add("scale_d1e4_complement_1e-20", (0, 1, 1.3, 10**4))
    add("scale_d1e6", (0, 1, 0.999, 10**6))
    add("scale_d1e6_tiny", (0, 1, 1 + 2.0**-44, 10**6))
    add("scale_d1e8", (0, 1, 1.0001, 10**8))
    add("scale_d1e8_complement_1e-12", (0, 1, 0.998, 10**8))
    add("scale_d1e12", (0, 1, 1 + 1e-6, 10**12))
    add("scale_d1e12_tiny", (0, 1, 1 - 1e-15, 10**12))
    add("scale_d1e12_complement_1e-20", (0, 1, 1 + 2.6e-5, 10**12))
    # d = 1 with both
    add("line_both_tiny", (1e-16, 1, 1 + 2.0**-52, 1))
    add("line_both_1e-12", (3e-12, 1, 1 + 2.0**-38, 1))
    add("line_both_moderate", (0.4, 1.5, 0.9, 1))
    add("line_wide_far", (50, 1, 1e4, 1))
    add("line_narrow_far", (50, 1e4, 1, 1))
    add("line_ratio_1e12_off_centre", (3e5, 1, 1e12, 1))
    add("line_ratio_1e-12_off_centre", (0.5, 1, 1e-12, 1))
    add("line_complement_1e-20", (27.8, 1, 4, 1))
    add("line_complement_1e-100", (63.7, 4, 1, 1))
    # one block with both
    add("ball_d2", (0.3, 1, 1.5, 2))
    add("ball_d10", (-0.2, 0.8, 0.6, 10))
    add("ball_d100", (0.01, 1, 1.02, 100))
    add("ball_d3_small", (1e-7, 1, 1 + 1e-7, 3))
    add("ball_d5_off_centre", (2, 1, 9, 5))
    add("ball_d1e6", (1e-4, 1, 1.0005, 10**6))
    add("ball_d1e12", (1e-7, 1, 1 - 5e-7, 10**12))
    add("ball_d1e4_complement_1e-20", (0.157, 1, 1.15, 10**4))
    # opposite signs, very different sizes
    add("opposite_1e6_beside_1e10", (0, 1, 1 + 1e6, 1), (0, 1, 1 - 1e-6, 10**10))
    add("opposite_1e6_beside_1e12", (0, 1, 1 + 1e6, 1), (0, 1, 1 - 1e-6, 10**12))
    add("opposite_1e-6_beside_1e8", (0, 1, 1e-6, 1), (0, 1, 1 + 1e-4, 10**8))
    add("opposite_two_lines", (0, 1, 3, 1), (0, 1, 0.4, 1))
    add("opposite_lines_1e3", (0, 1, 1e3, 1), (0, 1, 0.999, 1))
    add("opposite_lines_1e-6", (0, 1, 1e-6, 1), (0, 1, 1.001, 3))
    add("same_sign_1e12", (0, 1, 1e12, 1), (0, 1, 1 + 1e-6, 2))
    add("opposite_nearly_singular", (0, 1, 1e-12, 1), (0, 1, 1e12, 1))
    add("opposite_cancelling", (0, 1, 2, 4), (0, 1, 0.5, 4))
    add("opposite_odd", (0, 1, 1.7, 3), (0, 2, 1.1, 1))
    add("opposite_tiny", (0, 1, 1 + 2.0**-30, 2), (0, 1, 1 - 2.0**-40, 3000))
    add("opposite_three_scales", (0, 1, 1e-4, 1), (0, 1, 1.05, 300), (0, 1, 1 - 1e-4, 10**6))
    add("opposite_with_means", (0.5, 1, 0.01, 1), (1e-3, 1, 1.01, 5000))
    # equal variances with a mean beside others
    add("flat_small_shift", (1e-8, 1, 1, 1), (0, 1, 1.5, 1))
    add("flat_large_shift", (6, 1, 1, 1), (0, 1, 1.5, 3))
    add("flat_beside_narrow", (0.5, 1, 1, 1), (0, 1, 1e-8, 1))
    add("flat_beside_two", (0.05, 1, 1, 10), (0, 1, 0.2, 1), (0, 1, 1.01, 100))
    add("flat_1e-12", (1e-12, 1, 1, 1), (0, 1, 1 + 2.0**-40, 1))
    add("flat_beside_d1e4", (0.2, 1, 1, 4), (0, 1, 1.005, 10**4))
    # tilt far off the middle
    add("tilt_wide", (0, 1, 1e8, 3), (0.1, 1, 1.2, 5))
    add("tilt_narrow", (0, 1, 1e-8, 3), (1e-3, 1, 0.9, 5))
    add("tilt_narrow_shift", (3, 1, 1e-4, 2), (0, 1, 1.1, 20))
    add("tilt_many_wide", (0, 1, 1e4, 50))
    # distinct n = 2 blocks: exact by partial fractions
    add("pairs_5", *[(0, 1, v, 2) for v in (0.25, 0.8, 1.3, 2.5, 7)])
    add("pairs_tiny", *[(0, 1, 1 + k * 2.0**-42, 2) for k in (-5, -2, 1, 3, 4, 7)])
    rng = random.Random(20240607)
    drawn = [round(2 ** rng.uniform(-1, 1), 3) for _ in range(40)]
    add("pairs_40", *[(0, 1, v, 2) for v in sorted(set(drawn))])
    drawn = [round(1 + rng.gauss(0, 0.02), 5) for _ in range(40)]
    add("pairs_40_close", *[(0, 1, v, 2) for v in sorted(set(drawn))])

    # random distinct modes
    def random_case(name, size, spread, shift, counts, wide=0.0):
        blocks = []
        for _ in range(size):
            a = float(f"{2 ** rng.uniform(-2, 2):.4g}")
            ratio = 1 + rng.gauss(0, spread) if not wide else 10 ** rng.uniform(-wide, wide)
            b = float(f"{a * abs(ratio):.15g}") if spread < 1e-3 else float(f"{a * abs(ratio):.5g}")
            blocks.append((float(f"{rng.gauss(0, shift) * a**0.5:.4g}"), a, b, rng.choice(counts)))
        add(name, *blocks)

    random_case("random_30_tv_small", 30, 1e-9, 1e-9, (1, 2, 3))
    random_case("random_30_1e-12", 30, 1e-13, 3e-13, (1,))
    random_case("random_30_moderate", 30, 0.1, 0.05, (1, 2, 5))
    random_case("random_40_single", 40, 0.05, 0.1, (1,))
    random_case("random_40_scale", 40, 0.05, 0.0, (1, 3))
    random_case("random_40_wide", 40, 1, 0.1, (1,), wide=1.5)
    random_case("random_50_many", 50, 0.003, 0.002, (1, 10, 1000))
    random_case("random_50_large", 50, 1e-4, 1e-4, (10**4, 10**6, 10**7))
    random_case("random_30_complement_small", 30, 1, 0.5, (1, 4), wide=1.0)
    random_case("random_35_complement_tiny", 35, 1, 1.0, (2, 6), wide=1.3)
    random_case("random_8_wide", 8, 1, 0.2, (1,), wide=3)
    random_case("random_4_wide", 4, 1, 0.1, (1,), wide=4)
    random_case("random_3_mixed", 3, 0.4, 0.3, (1,))
    random_case("random_6_counts", 6, 1e-3, 1e-4, (1, 1000, 10**5))
    return cases


def main(path):
    done = []
    if "--keep" in sys.argv and path.exists():
        done = json.loads(path.read_text())
    known = {(c["name"], json.dumps([c["mean"], c["var_p"], c["var_q"], c["mult"]])): c for c in done}
    cases, out, failed = named_cases(), [], []
    for name, blocks in cases.items():
        mean, var_p, var_q, mult = map(list, zip(*blocks, strict=True))
        key = (name, json.dumps([mean, var_p, var_q, mult]))
        if key in known:
            out.append(known[key])
            continue
        start = time.time()
        try:
            tv, complement, origin = decide(exact_modes(blocks))
        except Exception as error:  # reported at the end, never written
            failed.append((name, repr(error)))
            print(f"{name}: FAILED {error!r}", flush=True)
            continue
        out.append(
            {
                "name": name,
                "mean": mean,
                "var_p": var_p,
                "var_q": var_q,
                "mult": mult,
                "tv": tv,
                "complement": complement,
                "origin": origin,
            }
        )
        print(f"{name}: {tv} {complement} {time.time() - start:.1f}s {origin}", flush=True)
        write(path, out)
    write(path, out)
    if failed:
        raise SystemExit(f"not decided: {failed}")


def write(path, out):
    lines = ",\n".join(json.dumps(case) for case in out)
    path.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    main(Path(names[0]) if names else Path(__file__).with_name("tv_more.json"))
