r"""A4: TV(q_T, N(0, I)) <= e^{-T} (sqrt(d) + m_2)/(2 sqrt(1 - e^{-2T})) for every start law with second moment m_2^2.

Proved, by a coupling: run the process from y ~ q_0 and from z ~ N(0, I), which it keeps. Given (y, z) the two laws at
T are Gaussians of one variance, and KL between them is e^{-2T}|y - z|^2/(2(1 - e^{-2T})), the sum of the
one-dimensional identity below over coordinates. KL is jointly convex and E|y - z|^2 <= (sqrt(d) + m_2)^2 for any
coupling (Minkowski); Pinsker's TV <= sqrt(KL/2) gives the line above. With TV <= 1 where the factor is large it
follows that TV <= (sqrt(5)/2) e^{-T} (sqrt(d) + m_2) for every T >= 0 and d >= 1.

The instrument too: for two Gaussians the Chernoff transform int p^s q^{1-s} is the printed closed form, in the form
free of cancellation that the package uses; and 1 - TV = (1/pi) int_0^oo Re BC(1/2 + iu)/(u^2 + 1/4) du for any two
densities, because min(p, q) = sqrt(pq) e^{-|l|/2}, l = ln(p/q), and e^{-|l|/2} is that integral of cos(ul) = Re
(p/q)^{iu}. (s is real in (0, 1) below; both sides are analytic in s, so the closed form holds on Re s = 1/2.)

Provenance: the claim is [quoted]; its constant, its proof and the two formulas are [derived] here.
"""

from functools import partial

import sympy as sp

from rmverify.elementary import log1p_minus
from rmverify.targets.process import mode_mean, mode_variance

CLAIM = "A4"

T, a, b, s, u, l = sp.symbols("T a b s u l", positive=True)
x, y, z, m = sp.symbols("x y z m", real=True)


def square_over(mean, variance):
    """-2 ln of a Gaussian density in x, less its constant."""
    return (x - mean) ** 2 / variance


def kernels(target=mode_mean):
    """KL of N(e^{-T} y, w) from N(e^{-T} z, w), w = 1 - e^{-2T}, by E x = e^{-T} y: ln p - ln q is linear in x."""
    w = mode_variance(sp.Integer(0), T)
    p, q = mode_mean(y, T), target(z, T)
    log_ratio = sp.expand((square_over(q, w) - square_over(p, w)) / 2)
    quadratic = sp.simplify(log_ratio.coeff(x, 2))
    kl = log_ratio.subs(x, p)
    return quadratic, sp.simplify(kl - sp.exp(-2 * T) * (y - z) ** 2 / (2 * (1 - sp.exp(-2 * T))))


def normal_is_kept():
    """mode_variance(1, T) = 1, so that z stays standard normal."""
    return sp.simplify(mode_variance(sp.Integer(1), T) - 1)


def constant_for_every_time():
    """1/(2 sqrt(1-e^{-2T})) falls with T; e^T, which makes the trivial bound 1, grows: both are sqrt(5)/2 at one T."""
    factor = 1 / (2 * sp.sqrt(mode_variance(sp.Integer(0), T)))
    crossing = sp.log(sp.Rational(5, 4)) / 2
    return (
        sp.simplify(factor.subs(T, crossing) - sp.sqrt(5) / 2),
        sp.simplify(sp.exp(crossing) - sp.sqrt(5) / 2),
        sp.simplify(sp.diff(factor, T) / factor + 1 / (sp.exp(2 * T) - 1)),
    )


def chernoff(sign=1):
    """p = N(m, a), q = N(0, b): by completing the square in s ln p + (1-s) ln q; r = (b-a)/a."""
    r = (b - a) / a
    closed = (s * log1p_minus(r) - log1p_minus(s * r)) / 2 - sign * s * (1 - s) * m**2 / (2 * a * (1 + s * r))
    exponent = sp.Poly(sp.expand(-(s * square_over(m, a) + (1 - s) * square_over(0, b)) / 2), x)
    curve, slope, rest = exponent.all_coeffs()
    constant = -(s * sp.log(2 * sp.pi * a) + (1 - s) * sp.log(2 * sp.pi * b)) / 2
    integral = constant + sp.log(-sp.pi / curve) / 2 + rest - slope**2 / (4 * curve)
    difference = sp.expand(integral - closed)
    logarithms = difference.subs(m, 0).replace(sp.log, lambda z: sp.expand_log(sp.log(sp.factor(z**2)), force=True) / 2)
    return sp.simplify(sp.diff(difference, m)), sp.simplify(sp.expand(logarithms))


def total_variation(weight=1):
    """(1/pi) int_0^oo cos(ul)/(u^2 + 1/4) du = e^{-l/2} for l > 0, and cos is even."""
    integral = sp.integrate(sp.cos(u * l) / (u**2 + sp.Rational(1, 4)), (u, 0, sp.oo)) / sp.pi
    return sp.simplify(weight * integral - sp.exp(-l / 2))


def mean_not_decayed(mean, t):
    return mean


IDENTITIES = {
    "KL of two kernels": kernels,
    "the normal law is kept": normal_is_kept,
    "the constant for every T": constant_for_every_time,
    "the Chernoff transform of two Gaussians": chernoff,
    "the integral for TV": total_variation,
}
MUTATED = {
    "a mean that does not decay": partial(kernels, mean_not_decayed),
    "the shift's sign": partial(chernoff, -1),
    "the integral for TV without its half": partial(total_variation, 2),
}
