r"""The variance of one mode after N steps in closed form, over balls: for N of any size, where stepping cannot go.

In float64 a chain of 10^10 steps errs by more than what is asked: 1 - q^(2N) with q next to 1 keeps six digits. Here a
mode N(0, lambda) of the target is followed through

=====================  =================================================================================================
overdamped             x' = (1 - h/lambda) x + sqrt(2 h) z: a geometric series
kinetic, Euler         x' = x + h v, v' = (1 - g h) v - h x/lambda + sqrt(2 g h) z: three of them
reverse diffusion      y' = y - (eta/(lambda + tau)) y + sqrt(eta) z down a geometric grid tau_k = T (delta/T)^(k/N),
                       eta = tau - tau': in v_k/(lambda + tau_k)^2 the steps telescope, and what remains is a sum of
                       the logistic density f over equal steps of ln tau, which is taken by Euler and Maclaurin
=====================  =================================================================================================

Numbers are balls of flint at the precision of the caller; `bits` says how many N asks for.

Source: Perbost, Bach, Marion 2026, Lemmas B.2, B.9 and C.2; the sum and its remainder are derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import acb, arb, arb_series, ctx

from rmverify.readings.balls import precision

__all__ = ["bits", "kinetic_variance", "overdamped_variance", "reverse_variance", "wasserstein"]

DIRECT = 400  # steps up to which the sum is taken term by term
TERMS = 12  # of Euler and Maclaurin
_RADIUS = 3  # below pi, where the logistic density has its poles


def bits(steps: int) -> int:
    """The precision at which what is left of 1 after cancelling at the scale 1/N^2 has more than 30 digits.

    Examples
    --------
    >>> bits(10**12)
    208
    """
    return 128 + 2 * int(steps).bit_length()


def overdamped_variance(variance: Any, step: Any, steps: int) -> Any:
    r"""2 h (1 - q^{2N})/(1 - q^2) with q = 1 - h/lambda, from x = 0.

    Parameters
    ----------
    variance, step : arb
        lambda and h, 0 < h < 2 lambda.
    steps : int

    Examples
    --------
    >>> from rmverify.readings.balls import precision
    >>> with precision(bits(2)):
    ...     float(overdamped_variance(arb(1), arb("0.5"), 2))  # 1, and (1/2)^2 1 + 1
    1.25
    """
    x = step / variance
    q = (1 - x) * (1 - x)
    left = arb(0).union(q.abs_upper() ** steps) if q.contains(0) else q**steps  # of a power flint makes no number there
    return variance * (1 - left) / (1 - x / 2)


def kinetic_variance(variance: Any, step: Any, friction: Any, steps: int, velocity: Any = 0) -> Any:
    r"""Of the position after N steps from x = 0 and v ~ N(0, `velocity`).

    With r_+-, the roots of r^2 - (2 - g h) r + 1 - g h + h^2/lambda, the kick of step j has moved the position by
    beta_j = h (r_+^j - r_-^j)/(r_+ - r_-), and the variance is 2 g h sum_{j<N} beta_j^2, three geometric series.

    Parameters
    ----------
    variance, step, friction : arb
        lambda, h and g, g^2 != 4/lambda.
    steps : int
    velocity : arb
        The variance of the first velocity.

    Examples
    --------
    >>> from rmverify.readings.balls import precision
    >>> with precision(bits(2)):
    ...     float(kinetic_variance(arb(1), arb("0.5"), arb(1), 2))  # h^2 times the first kick's variance, 2 g h
    0.25
    """
    root = acb(friction * friction - 4 / variance).sqrt()
    plus, minus = (1 - step * (friction + sign * root) / 2 for sign in (-1, 1))
    apart = step * root
    series = sum(
        weight * (1 - r**steps) / (1 - r) for weight, r in ((1, plus * plus), (-2, plus * minus), (1, minus * minus))
    )
    last = step * (plus**steps - minus**steps) / apart
    return (2 * friction * step**3 / apart**2 * series + velocity * last**2).real


def reverse_variance(variance: Any, horizon: Any, stop: Any, steps: int) -> Any:
    r"""(lambda+delta)^2 (T/(lambda+T)^2 + sum_k eta_k/(lambda+tau_k)^2) from N(0, T).

    eta_k = (e^w - 1) tau_k with w = ln(T/delta)/N, and tau/(lambda+tau)^2 = f(ln(tau/lambda))/lambda, f = s (1-s) the
    logistic density, s the logistic function. With c_n the Taylor coefficients of s,

        sum_{k=1}^N f(y_k) = (s(y_0) - s(y_N))/w + (f(y_N) - f(y_0))/2
                             + sum_{k=1}^m B_2k w^{2k-1} (c_2k(y_0) - c_2k(y_N)) + R,
        |R| <= 2 zeta(2m)/(2 pi)^{2m} w^{2m-1} (r/sin r) (2m)!/r^{2m} for every r < pi:

    |f(y + i a)| = 1/(2 (cosh y + cos a)) integrates to a/sin a, and Cauchy's formula on circles of radius r bounds the
    integral of |f^(2m)|.

    Parameters
    ----------
    variance, horizon, stop : arb
        lambda, T and delta, T >= delta > 0.
    steps : int

    Examples
    --------
    >>> from rmverify.readings.balls import precision
    >>> with precision(bits(1)):
    ...     float(reverse_variance(arb(1), arb(3), arb(1), 1))  # 3 (1 - 2/4)^2 + 2
    2.75
    """
    width = (horizon / stop).log() / steps
    if steps <= DIRECT:
        ratio = (-width).exp()
        tau, total = horizon, arb(0)
        for _ in range(steps):
            tau = tau * ratio
            total += tau / (variance + tau) ** 2
    else:
        total = _logistic_sum((horizon / variance).log(), (stop / variance).log(), width) / variance
    return (variance + stop) ** 2 * (horizon / (variance + horizon) ** 2 + width.expm1() * total)


def _logistic_sum(first: Any, last: Any, width: Any) -> Any:
    """The sum of the logistic density over first - width, first - 2 width, .., last."""
    order = 2 * TERMS
    with precision(ctx.prec, order + 1):
        above, below = (1 / (1 + (-arb_series([y, 1])).exp()) for y in (first, last))
    density_above, density_below = (s[0] * (1 - s[0]) for s in (above, below))
    total = (above[0] - below[0]) / width + (density_below - density_above) / 2
    for k in range(1, TERMS + 1):
        total += arb.bernoulli(2 * k) * width ** (2 * k - 1) * (above[2 * k] - below[2 * k])
    r = arb(_RADIUS)
    left = 2 * arb(order).zeta() / (2 * arb.pi()) ** order * width ** (order - 1) * r / r.sin()
    left *= arb.fac_ui(order) / r**order
    return total + arb(0, left.abs_upper())


def wasserstein(variances: Sequence[Any], given: Sequence[Any], multiplicities: Sequence[int]) -> Any:
    """W_2 between centred Gaussians of one eigenbasis: the root of sum n (sqrt(a) - sqrt(b))^2.

    Examples
    --------
    >>> float(wasserstein([arb(4)], [arb(1)], [9]))
    3.0
    """
    apart = [a.sqrt() - b.sqrt() for a, b in zip(variances, given, strict=True)]
    return sum((n * z * z for z, n in zip(apart, multiplicities, strict=True)), arb(0)).nonnegative_part().sqrt()
