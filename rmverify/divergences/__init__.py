r"""Distances and divergences between laws. Every function returns a `Value`, which says what kind of number it is.

======================  =================================================================================
two Gaussians           exact, with an error that contains the laws' own rounding
a mixture, a Gaussian   exact by a radial integral where the mixture is a scale mixture, the Gaussian centred with
                        one variance, and the midpoints' spread resolved (tv, kl, hellinger); else `monte-carlo`, with
                        a confidence interval of 95 %, as narrow as `accuracy` asks for
factors and products    exact, with an error that contains what quadrature and rounding lose; also the law of a plan on
                        one, given its midpoints (`TransportLaw`) or averaged over them on the line (`LineLaw`)
a product, a plan on    `monte-carlo`, with a confidence interval of 95 %, where its coordinates share random midpoints
one                     (`SharedLaw`); tv, kl, hellinger and renyi of order at most 1
======================  =================================================================================
"""

from __future__ import annotations

import math
from typing import Any

from rmverify.divergences import averaged
from rmverify.divergences.averaged import ACCURACY
from rmverify.divergences.closed_forms import (
    chi_squared,
    hellinger_distance,
    kullback_leibler,
    pair_tv,
    renyi_divergence,
    wasserstein,
    wasserstein_pair,
)
from rmverify.divergences.densities import line_chi2, line_hellinger, line_kl, line_renyi, on_the_line
from rmverify.divergences.pair import pair_of, plain, relative
from rmverify.divergences.products import product_tv
from rmverify.divergences.radial import radial_hellinger, radial_kl, radial_reverse_kl, radial_tv, resolved
from rmverify.divergences.shared import is_shared, shared_entropy, shared_power, shared_variation
from rmverify.laws import MixtureLaw, StationaryLaw
from rmverify.numbers.checks import number
from rmverify.numbers.values import Value
from rmverify.targets import Gaussian

__all__ = ["chi2", "hellinger", "kl", "renyi", "tv", "w2"]


def tv(p: Any, q: Any, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Total variation, TV(p, q) = 1/2 int |p - q| = sup_A |P(A) - Q(A)|.

    Between Gaussians by the Chernoff transform BC(s) = int p^s q^{1-s}:
    TV = (1/pi) int_0^inf (1 - Re BC(1/2+iu))/(u^2+1/4) du, on a contour that keeps relative accuracy both as TV -> 0
    and, in `.complement`, as TV -> 1.

    Parameters
    ----------
    p, q : Gaussian or MixtureLaw (at most one mixture); or a Factor or Product, beside another or a plan's law on one
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
    if certified:
        return _certified("tv", p, q)
    if is_shared(p, q):
        return shared_variation(p, q, _accuracy(accuracy), rng)
    if on_the_line(p, q):
        return product_tv(p, q)
    mixture, other = _split(p, q)
    if mixture is not None:
        exact = _radial(radial_tv, mixture, other)
        if exact is not None:
            return exact
        return averaged.variation(mixture, other, _accuracy(accuracy), rng)
    return pair_tv(pair_of(p, q))


def kl(p: Any, q: Any, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Kullback-Leibler divergence KL(p||q) = int p ln(p/q); infinite where p is not absolutely continuous.

    Examples
    --------
    >>> from rmverify import Gaussian, kl
    >>> float(kl(Gaussian([2.0], [1.0]), Gaussian([0.0], [1.0])))
    2.0
    """
    if certified:
        return _certified("kl", p, q)
    if is_shared(p, q):
        return shared_entropy(p, q, _accuracy(accuracy), rng)
    if on_the_line(p, q):
        return line_kl(p, q)
    mixture, other = _split(p, q)
    if mixture is None:
        return kullback_leibler(pair_of(p, q))
    exact = _radial(radial_kl if mixture is p else radial_reverse_kl, mixture, other)
    if exact is not None:
        return exact
    return averaged.entropy(mixture, other, _accuracy(accuracy), rng, mixture is q)


def renyi(p: Any, q: Any, order: float, *, accuracy: float = ACCURACY, rng: Any = 0) -> Value:
    r"""Renyi divergence D_s(p||q) = ln(int p^s q^{1-s})/(s-1) of order s > 0; order 1 is KL.

    Examples
    --------
    >>> from rmverify import Gaussian, renyi
    >>> round(renyi(Gaussian([2.0], [1.0]), Gaussian([0.0], [1.0]), 3.0), 12)  # s m^2/2
    6.0
    """
    order = number("order", order, above=0)
    if order == 1:
        return kl(p, q, accuracy=accuracy, rng=rng)

    def finish(gap: float) -> float:  # of |int p^s q^{1-s} - 1|
        gap = gap if order > 1 else -min(gap, 1.0)
        return math.log1p(gap) / (order - 1) if gap > -1 else math.inf

    if is_shared(p, q):
        if order > 1:
            raise ValueError(f"order: expected at most 1 beside a SharedLaw, got {order:g}")
        return shared_power(p, q, order, finish, _accuracy(accuracy), rng)
    if on_the_line(p, q):
        return line_renyi(p, q, order)
    mixture, other = _split(p, q)
    if mixture is None:
        return renyi_divergence(pair_of(p, q), order)

    own = mixture is p
    return averaged.power(
        mixture, other, order if own else 1 - order, finish, _accuracy(accuracy), rng,
        lower=lambda: averaged.moment_kl(mixture, other) if own and order > 1 else 0.0,
    )  # fmt: skip


def chi2(p: Any, q: Any, *, accuracy: float = ACCURACY, rng: Any = 0) -> Value:
    r"""Chi-squared divergence chi^2(p||q) = int p^2/q - 1.

    Examples
    --------
    >>> from rmverify import Gaussian, chi2
    >>> round(chi2(Gaussian([1.0], [1.0]), Gaussian([0.0], [1.0])), 12)  # e - 1
    1.718281828459
    """
    if on_the_line(p, q):
        return line_chi2(p, q)
    mixture, other = _split(p, q)
    if mixture is None:
        return chi_squared(pair_of(p, q))
    own = mixture is p

    def lower() -> float:  # ln(1 + chi^2) >= KL
        return math.expm1(min(averaged.moment_kl(mixture, other), 700.0)) if own else 0.0

    order = 2.0 if own else -1.0
    return averaged.power(mixture, other, order, lambda gap: gap, _accuracy(accuracy), rng, lower=lower)


def hellinger(p: Any, q: Any, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Hellinger distance H = sqrt(1 - int sqrt(p q)) in [0, 1]; H^2 <= TV <= H sqrt(2 - H^2).

    Examples
    --------
    >>> from rmverify import Gaussian, hellinger
    >>> value = hellinger(Gaussian([2.0], [1.0]), Gaussian([0.0], [1.0]))
    >>> round(value**2, 12)  # 1 - e^{-1/2}
    0.393469340287
    """
    if certified:
        return _certified("hellinger", p, q)

    def finish(gap: float) -> float:
        return math.sqrt(min(gap, 1.0))

    if is_shared(p, q):
        return shared_power(p, q, 0.5, finish, _accuracy(accuracy), rng, 1.0)
    if on_the_line(p, q):
        return line_hellinger(p, q)
    mixture, other = _split(p, q)
    if mixture is None:
        return hellinger_distance(pair_of(p, q))
    exact = _radial(radial_hellinger, mixture, other)
    if exact is not None:
        return exact
    return averaged.power(mixture, other, 0.5, finish, _accuracy(accuracy), rng, 1.0)


def w2(p: Any, q: Any, *, accuracy: float = ACCURACY, rng: Any = 0, certified: bool = False) -> Value:
    r"""Wasserstein-2 distance, W_2^2 = min E|X - Y|^2 over couplings; between Gaussians the Bures distance.

    For a mixture a bracket: from Gelbrich's bound on its exact moments up to (E_a W_2^2(P_a, q))^{1/2}, the upper end a
    confidence limit at the level of 97.5 %.

    Examples
    --------
    >>> from rmverify import Gaussian, w2
    >>> float(w2(Gaussian([3.0, 0.0], [1.0, 4.0]), Gaussian([0.0, 0.0], [1.0, 36.0])))
    5.0
    """
    if certified:
        return _certified("w2", p, q)
    mixture, other = _split(p, q)
    if mixture is None:
        if p.dim != q.dim:
            raise ValueError(f"q: expected a law in dimension {p.dim} as p, got dimension {q.dim}")
        known = relative(p, q)
        return wasserstein_pair(known) if known is not None else wasserstein(plain(p), plain(q))
    return averaged.w2_bracket(mixture, other, _accuracy(accuracy), rng)


def _certified(name: str, p: Any, q: Any) -> Value:
    """The enclosure of a divergence; ball arithmetic is imported for it alone."""
    from rmverify.divergences.enclosed import enclosure

    return enclosure(name, p, q)


def _split(p: Any, q: Any) -> tuple[Any, Any]:
    """(the mixture among the two, the other law), or (None, None) for two Gaussians."""
    for name, law in (("p", p), ("q", q)):
        if not isinstance(law, Gaussian | MixtureLaw):
            raise TypeError(f"{name}: expected a Gaussian or the law of a plan, got {type(law).__name__}")
    first, second = (isinstance(law, MixtureLaw) and not _gaussian(law) for law in (p, q))
    if first and second:
        raise TypeError("p, q: at most one of the laws may be a mixture")
    if p.dim != q.dim:
        raise ValueError(f"q: expected a law in dimension {p.dim} as p, got dimension {q.dim}")
    if first:
        return p, plain(q)
    if second:
        return q, plain(p)
    return None, None


def _gaussian(law: Any) -> bool:
    return isinstance(law, StationaryLaw) and law.is_gaussian


def _radial(radial: Any, mixture: MixtureLaw, q: Gaussian) -> Value | None:
    """The exact divergence where the mixture is a resolved scale mixture and q centred with one variance too."""
    if q.variances.size != 1 or q.means[0] != 0 or q.variances[0] == 0:
        return None
    return resolved(radial, mixture, float(q.variances[0]))


def _accuracy(accuracy: Any) -> float:
    return number("accuracy", accuracy, above=0)
