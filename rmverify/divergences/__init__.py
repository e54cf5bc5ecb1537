r"""Distances and divergences between laws. Every function returns a `Value`, which says what kind of number it is.

======================  =================================================================================
two Gaussians           exact, with an error that contains the laws' own rounding
a mixture, a Gaussian   exact by a radial integral where the mixture is a scale mixture, the Gaussian centred with
                        one variance, and the midpoints' spread resolved (tv, kl, hellinger); else `monte-carlo`, with
                        a confidence interval of 95 %, as narrow as `accuracy` asks for
laws on the line        exact, with an error that contains what quadrature and rounding lose: factors, products,
                        Gaussian mixtures, and the law of a plan on a factor or product, given its midpoints
                        (`TransportLaw`) or averaged over them (`LineLaw`)
a product, a plan on    `monte-carlo`, with a confidence interval of 95 %, where its coordinates share random midpoints
one                     (`SharedLaw`); tv, kl, hellinger and renyi of order at most 1
======================  =================================================================================

How two laws are compared is decided in `rmverify.divergences.together`.
"""

from __future__ import annotations

from typing import Any

from rmverify.divergences.averaged import ACCURACY
from rmverify.divergences.together import together
from rmverify.laws.law import Law
from rmverify.numbers.checks import number
from rmverify.numbers.values import Value

__all__ = ["chi2", "expected_tv", "hellinger", "kl", "renyi", "tv", "w2"]


def tv(p: Law, q: Law, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Total variation, TV(p, q) = 1/2 int |p - q| = sup_A |P(A) - Q(A)|.

    Between Gaussians by the Chernoff transform BC(s) = int p^s q^{1-s}:
    TV = (1/pi) int_0^inf (1 - Re BC(1/2+iu))/(u^2+1/4) du, on a contour that keeps relative accuracy both as TV -> 0
    and, in `.complement`, as TV -> 1.

    Parameters
    ----------
    p, q : Gaussian or MixtureLaw (at most one mixture); or laws on the line: a Factor, Product, GaussianMixture in one
        dimension, beside another, a Gaussian on the line, or a plan's law on a Factor or Product
    accuracy, rng : float, int or generator
        Of a law that is not known exactly: the half-width of the interval that is worked towards, relative to the
        value, as far as a set amount of work goes, and the seed, which is fixed unless given.
    certified : bool
        Between Gaussians (also for `kl`, `hellinger`, `w2`): a guaranteed enclosure in ball arithmetic, of relative
        radius below 1e-12. The laws' floats stand for their exact binary values, so that a law propagated in floats,
        of `rounding` > 0, is refused; so are mixtures, and dense covariances beyond dimension 64.

    Returns
    -------
    Value
        ``exact``, ``enclosure`` if `certified`, or for an average over midpoints ``monte-carlo``: ``.lower`` and
        ``.upper`` are the ends of a confidence interval at the level of 95 %, ``.error`` is its half-width (see
        `divergences.sampled`).

    Raises
    ------
    TypeError
        For laws that are none of these, or do not go together.
    ValueError
        For different dimensions, and where `certified` and the laws are not given exactly.
    ArithmeticError
        Where `certified` and 1024 bits do not resolve the difference; `laws.NotMonotone` where a plan's step folds the
        line.

    Examples
    --------
    >>> from rmverify import Gaussian, tv
    >>> value = tv(Gaussian([1.0], [1.0]), Gaussian([0.0], [1.0]))  # erf(1/sqrt 8)
    >>> f"{value:.15f}", value.kind
    ('0.382924922548026', 'exact')
    >>> value = tv(Gaussian([1.0], [1.0]), Gaussian([0.0], [1.0]), certified=True)
    >>> value.kind, value.upper - value.lower < 1e-15
    ('enclosure', True)
    """
    return together(p, q, accuracy, rng, certified=certified).tv()


def kl(p: Law, q: Law, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Kullback-Leibler divergence KL(p||q) = int p ln(p/q); infinite where p is not absolutely continuous.

    Examples
    --------
    >>> from rmverify import Gaussian, kl
    >>> float(kl(Gaussian([2.0], [1.0]), Gaussian([0.0], [1.0])))
    2.0
    """
    return together(p, q, accuracy, rng, certified=certified).kl()


def renyi(p: Law, q: Law, order: float, *, accuracy: float = ACCURACY, rng: Any = 0) -> Value:
    r"""Renyi divergence D_s(p||q) = ln(int p^s q^{1-s})/(s-1) of order s > 0; order 1 is KL.

    Examples
    --------
    >>> from rmverify import Gaussian, renyi
    >>> round(renyi(Gaussian([2.0], [1.0]), Gaussian([0.0], [1.0]), 3.0), 12)  # s m^2/2
    6.0
    """
    order, seen = number("order", order, above=0), together(p, q, accuracy, rng)
    return seen.kl() if order == 1 else seen.renyi(order)


def chi2(p: Law, q: Law, *, accuracy: float = ACCURACY, rng: Any = 0) -> Value:
    r"""Chi-squared divergence chi^2(p||q) = int p^2/q - 1.

    Examples
    --------
    >>> from rmverify import Gaussian, chi2
    >>> round(chi2(Gaussian([1.0], [1.0]), Gaussian([0.0], [1.0])), 12)  # e - 1
    1.718281828459
    """
    return together(p, q, accuracy, rng).chi2()


def hellinger(p: Law, q: Law, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Hellinger distance H = sqrt(1 - int sqrt(p q)) in [0, 1]; H^2 <= TV <= H sqrt(2 - H^2).

    Examples
    --------
    >>> from rmverify import Gaussian, hellinger
    >>> value = hellinger(Gaussian([2.0], [1.0]), Gaussian([0.0], [1.0]))
    >>> round(value**2, 12)  # 1 - e^{-1/2}
    0.393469340287
    """
    return together(p, q, accuracy, rng, certified=certified).hellinger()


def w2(p: Law, q: Law, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Wasserstein-2 distance, W_2^2 = min E|X - Y|^2 over couplings; between Gaussians the Bures distance.

    Between laws on the line, or products of them, one integral over their quantiles. For a mixture over midpoints a
    bracket: from Gelbrich's bound on its exact moments up to (E_a W_2^2(P_a, q))^{1/2}, the upper end a
    confidence limit at the level of 97.5 %.

    Examples
    --------
    >>> from rmverify import Gaussian, w2
    >>> float(w2(Gaussian([3.0, 0.0], [1.0, 4.0]), Gaussian([0.0, 0.0], [1.0, 36.0])))
    5.0
    """
    return together(p, q, accuracy, rng, certified=certified).w2()


def expected_tv(law: Law, q: Law, *, accuracy: float = ACCURACY, rng: Any = 0) -> Value:
    r"""E_alpha TV(P_alpha, q): the average over midpoints of the total variation of the law given them.

    It is what a sampler is off by whose midpoints are drawn once and shared by all particles, and an upper bound on the
    total variation of the unconditional law. Exact on centred isotropic targets, once enough steps were taken that the
    density of the log variance is smooth. Elsewhere `monte-carlo`, as for `tv`.

    Parameters
    ----------
    law : MixtureLaw
    q : Gaussian
    accuracy, rng : float, int or generator
        As for `tv`.

    Raises
    ------
    ValueError
        Where the law is no mixture over midpoints.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes
    >>> target = Gaussian.isotropic(0.25, 10_000)
    >>> plan = Plan([Predict(schemes.randomized_midpoint, np.linspace(3.0, 0.0, 101))])
    >>> value = expected_tv(output_law(plan, target, start="exact"), target)
    >>> bool(0.1 < value < 0.2), value.kind
    (True, 'exact')
    """
    return together(law, q, accuracy, rng).expected_tv()
