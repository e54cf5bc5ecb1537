r"""G5, G6, G7, G8: the closed forms of the neighbours: envelopes, de Moivre, weights on Gaussians, two modes on a path.

Hypotheses: those of the claims. G = |x| and a x^2/2 stand for the envelopes; N(0, lam) and N(a, S), S = e^{2t} - 1, for
target and draws; modes N(+-a, s^2) with c = s^2 - 1 for the path.

Proved:

1. Envelopes M solve d/dt M = -(M')^2/2, on each piece. From U^t - U shifted by t/2, the mass that |x| moves to leading
   order is pi(0) times the integral of (|x| - t)^2/(2t) over |x| < t, t^2/3. A Gaussian's precision has the slope
   -a^2/(f + a) relative to itself at t = 0; E|chi^2_d - d| integrates to 4 (d/2)^{d/2} e^{-d/2}/Gamma(d/2), since
   (x - d) x^{d/2-1} e^{-x/2} is the derivative of -2 x^{d/2} e^{-x/2}.
2. (b - M w) P(b) = T(b) - T(b + 1) for T(b) = b (1 - w) P(b), P(b+1)/P(b) = (M - b) w/((b + 1)(1 - w)): the sum over
   b >= nu telescopes to de Moivre's T(nu).
3. Under W^j, W = e^{-y^2/(2 lam)}, the law of Y ~ N(a, S) has precision 1/S + j/lam and mean a/S over that;
   E W^2/(E W)^2 = (lam + S)/sqrt(lam (lam + 2S)) e^{c a^2}. Averaged over z ~ q_t, that is a ~ N(0, lam + S), the
   variance is S, rho is 1 + S/lam, and E[a rho (m - m_2)] is S (1 + S/lam).
4. The bend (w a^2 - v)/v^2, v = 1 + c w, has slope 0 at w = (a^2 + c)/(c (a^2 - c)), where it is (a^2 - c)^2/(4 a^2 c);
   at w = 1 it is 1 for a^2 = (1 + c)(2 + c); then w = 1 is the peak at c^2 = 2, and the bend over a tends to 1/4.

Provenance: derived in this project; de Moivre's formula is his.
"""

from functools import partial

import sympy as sp

CLAIM = ("G5", "G6", "G7", "G8")

a, b, c, d, f, lam, M, S, t, w, x = sp.symbols("a b c d f lam M S t w x", positive=True)
y = sp.Symbol("y", real=True)


def envelopes(parts=2):
    pieces = (x**2 / (2 * t), x - t / 2, a * x**2 / (2 * (1 + a * t)))
    return tuple(sp.simplify(sp.diff(piece, t) + sp.diff(piece, x) ** 2 / parts) for piece in pieces)


def mass_at_a_kink(parts=3):
    gap = sp.expand(x**2 / (2 * t) - (x - t / 2) - (x - t) ** 2 / (2 * t))
    return gap, sp.integrate(sp.expand((x - t) ** 2), (x, 0, t)) / t - t**2 / parts


def gaussian_slope(power=2):
    precision = f + a / (1 + a * t)
    return sp.simplify((sp.diff(precision, t) / precision).subs(t, 0) + a**power / (f + a))


def deviation_of_chi_squared(factor=2):
    primitive = -factor * x ** (d / 2) * sp.exp(-x / 2)
    return sp.simplify(sp.diff(primitive, x) / (x ** (d / 2 - 1) * sp.exp(-x / 2)) - (x - d))


def telescoping(shift=1):
    T, after = b * (1 - w), (b + shift) * (1 - w) * (M - b) * w / ((b + 1) * (1 - w))
    return sp.simplify(T - after - (b - M * w))


def tilted(power):
    """ln of the integral of W^power against N(a, S), and mean and variance under it, by completing the square."""
    precision = 1 / S + power / lam
    mean = a / S / precision
    log = mean**2 * precision / 2 - a**2 / (2 * S) - sp.log(S * precision) / 2
    return log, mean, 1 / precision


def square_completed():
    checks = []
    for power in (1, 2):
        log, mean, variance = tilted(power)
        exponent = -((y - a) ** 2) / (2 * S) - power * y**2 / (2 * lam)
        level = log + sp.log(S / variance) / 2
        checks.append(sp.simplify(exponent - level + (y - mean) ** 2 / (2 * variance)))
    return tuple(checks)


C = S / ((lam + S) * (lam + 2 * S))


def weight_ratio(rate=C):
    """The square of rho, less its logarithm's terms in a."""
    rho = sp.expand(tilted(2)[0] - 2 * tilted(1)[0])
    in_a = sp.simplify(rho.coeff(a, 2) - rate)
    at_0 = sp.simplify(sp.exp(2 * rho.subs(a, 0)) - (lam + S) ** 2 / (lam * (lam + 2 * S)))
    return in_a, at_0


def averages(moment=1):
    """E e^{C a^2} = (1 - 2 C A)^{-1/2} and E a^2 e^{C a^2} = A (1 - 2 C A)^{-3/2} for a ~ N(0, A), A = lam + S."""
    A = lam + S
    rest = 1 - 2 * C * A
    rho = (lam + S) / sp.sqrt(lam * (lam + 2 * S)) / sp.sqrt(rest)
    (_, m, _), (_, m_2, p_2) = tilted(1), tilted(2)
    pull = sp.simplify((m - m_2) / a)
    return (
        sp.simplify(rho - (1 + S / lam)),
        sp.simplify(rho * (p_2 + moment * pull**2 * A / rest) - S),
        sp.simplify(rho * pull * A / rest - S * (1 + S / lam)),
    )


def peak(sign=1):
    v = 1 + c * w
    bend = (w * a**2 - v) / v**2
    at = (a**2 + sign * c) / (c * (a**2 - c))
    return (
        sp.simplify(sp.diff(bend, w).subs(w, at)),
        sp.simplify(bend.subs(w, at) - (a**2 - c) ** 2 / (4 * a**2 * c)),
    )


def unit_start(parts=4):
    square = (1 + c) * (2 + c)
    start = (square - 1 - c) / (1 + c) ** 2
    at = (square + c) / (c * (square - c))
    path = (square - c) ** 2 / (4 * square * c)
    return (
        sp.simplify(start - 1),
        sp.simplify(at.subs(c, sp.sqrt(2)) - 1),
        sp.limit(path / sp.sqrt(square), c, sp.oo) - sp.Rational(1, parts),
    )


IDENTITIES = {
    "the envelopes' equation": envelopes,
    "the mass that a kink moves": mass_at_a_kink,
    "a Gaussian's slope": gaussian_slope,
    "the deviation of chi squared": deviation_of_chi_squared,
    "de Moivre's sum": telescoping,
    "the weights' laws": square_completed,
    "the weights' second moment": weight_ratio,
    "the averages over z": averages,
    "the peak of the bend": peak,
    "L = 1 at the start": unit_start,
}
MUTATED = {
    "the square of the gradient whole": partial(envelopes, 1),
    "half of the mass": partial(mass_at_a_kink, 6),
    "a for its square": partial(gaussian_slope, 1),
    "half of the deviation": partial(deviation_of_chi_squared, 1),
    "no shift in the sum": partial(telescoping, 0),
    "the rate of one weight": partial(weight_ratio, S / (lam + S) ** 2),
    "the bias left out of the variance": partial(averages, 0),
    "the peak elsewhere": partial(peak, -1),
    "a half of the distance": partial(unit_start, 2),
}
