r"""Factors: laws on the line, each of them something simple convolved with a Gaussian.

A Gaussian's score is linear and hides what a step does to others; these are the simplest laws whose scores bend.

A factor is the law of X_0 = m + l Y + s Z with Z standard normal and Y one of five:

======================  ==========================  ============================================
TwoGaussians            Y = +1 or -1                l = separation s
SkewNormal              Y half-normal, |N(0, 1)|    l = shape s, scale^2 = l^2 + s^2
UniformGaussian         Y uniform on [-1, 1]        l = half_width
LaplaceGaussian         Y Laplace, e^{-|y|}/2       l = scale
ExponentialGaussian     Y exponential, e^{-y}       l = scale
======================  ==========================  ============================================

so its Ornstein-Uhlenbeck marginal X_t = e^{-t} X_0 + sqrt(1 - e^{-2t}) Z is in the same family: m and l shrink by
e^{-t}, and s^2 becomes v(t) = e^{-2t} s^2 + 1 - e^{-2t}. With p the density of X_t, and s, l, m those at t,

    score(x) = -(x - m - E[l Y|x])/s^2,        slope(x) = score'(x) = -(1 - Var(l Y|x)/s^2)/s^2,

so that -(ln p)'' <= 1/s^2 everywhere. Where 1 - Var(l Y|x)/s^2 would cancel it is written as a sum of positive terms
of the inverse Mills ratio lam(u) = phi(u)/Q(u) and the mean excess e(u) = lam(u) - u (see `mills`).

Accuracy in float64 for the parameters as given (t = 0), held against 60 digits at |x - mean| <= 40 standard deviations
for separations up to 50 and |shape|, half_width/s, scale/s from 1e-3 to 1e3: relative 1e-13 for the score (of
sqrt(smoothness) near its zero) and the log density (of 1 near its zero), and 1e-12 for the slope down to its underflow
(of 1/s^2 where a bimodal law's has zeros). At t > 0 the rounded parameters count too, by a few 2^-53 of each.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from rmverify.elementary import sqrt
from rmverify.numbers.checks import Array, least_level, number
from rmverify.numbers.mills import excess, hazard, log_tail
from rmverify.targets.process import mode_mean, mode_variance

__all__ = [
    "ExponentialGaussian",
    "Factor",
    "LaplaceGaussian",
    "SkewNormal",
    "TwoGaussians",
    "UniformGaussian",
]

_LOG_ROOT = math.log(2 * math.pi) / 2  # ln sqrt(2 pi)
_NEGLIGIBLE = 1e-30  # l/s below it changes nothing: keeps s/l finite, in single precision too
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)  # exact to rounding for e^{a y - b y^2}, |a| <= 1, b <= 1/2


@dataclass(frozen=True, repr=False)
class Factor(ABC):
    """The law of m + l Y + s Z on the line.

    Attributes
    ----------
    size : float
        l, or l/s where that is what the law is named by (`TwoGaussians`, `SkewNormal`).
    noise : float
        s^2, the variance of the Gaussian part.
    location : float
        m.
    """

    size: float
    noise: float
    location: float = 0.0

    dim: ClassVar[int] = 1
    _name: ClassVar[str]  # of the size
    _moments: ClassVar[tuple[float, float]]  # the mean and variance of Y

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def length(self) -> float:
        """l."""
        return self.size

    @property
    def mean(self) -> float:
        return self.location + self.length * self._moments[0]

    @property
    def variance(self) -> float:
        return self.length**2 * self._moments[1] + self.noise

    @property
    def smoothness(self) -> float:
        """sup of -(ln density)'': 1/s^2, unless the law says otherwise."""
        return 1 / self.noise

    @property
    @abstractmethod
    def strong_concavity(self) -> float:
        """inf of -(ln density)''; negative where the density is not log-concave."""

    @property
    def is_log_concave(self) -> bool:
        return self.strong_concavity >= 0

    def path_smoothness(self, early_stop: float = 0) -> float:
        """The Lipschitz constant of the score along the path: sup over t >= early_stop of |(ln q_t)''|, at least 1.

        It is max(1, L) with L the smoothness at early_stop, where the law is log-concave: the posterior of e^{-h} X_t
        given X_{t+h} has a curvature of at most e^{2h} L_t + 1/(1 - e^{-2h}), so by Cramer-Rao a variance of at least
        the inverse, and L_{t+h} <= 1/(e^{-2h}/L_t + 1 - e^{-2h}) <= max(1, L_t).
        """
        return max(1.0, self.at(number("early_stop", early_stop, least=0)).smoothness)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}={self.size:.6g}, variance={self.noise:.6g})"

    # --- the process ----------------------------------------------------------------------------------------

    def at(self, t: float) -> Self:
        """The marginal q_t, a factor of the same kind; t >= 0 in its own time units."""
        law = object.__new__(type(self))
        Factor.__init__(law, *self._marginal(number("t", t, least=0)))
        return law

    def _marginal(self, t: Any) -> tuple[Any, Any, Any]:
        """Size, noise and location at noise levels t."""
        return mode_mean(self.size, t), mode_variance(self.noise, t), mode_mean(self.location, t)

    def log_density(self, t: Any, x: Any) -> Any:
        """ln q_t(x), elementwise; x a number or an array of any namespace, t a number or an array, broadcasting."""
        return self._evaluate(self._log_density, t, x)

    def score(self, t: Any, x: Any) -> Any:
        """s_t(x) = (ln q_t)'(x), elementwise; x a number or an array of any namespace, t broadcasts with x.

        Raises
        ------
        ValueError
            Where x is not real and floating, or t not finite and >= 0.
        """
        return self._evaluate(self._score, t, x)

    def slope(self, t: Any, x: Any) -> Any:
        """(ln q_t)''(x), elementwise: the derivative of the score, <= 0 where q_t is log-concave."""
        return self._evaluate(self._slope, t, x)

    def sample(self, n: int, *, rng: Any = None) -> Array:
        """n independent draws, shape (n, 1); `rng` as for `numpy.random.default_rng`."""
        return self.draws((n, 1), np.random.default_rng(rng))

    def draws(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Independent draws in an array of that shape."""
        return self.location + self.length * self._draw(shape, rng) + math.sqrt(self.noise) * rng.standard_normal(shape)

    def _evaluate(self, formula: Callable[[Any, Any, Any], Any], t: Any, x: Any) -> Any:
        """The formula of (x - m(t), size(t), s(t)), all of them arrays like x."""
        if isinstance(x, int | float):
            return self._evaluate(formula, t, np.asarray(x, dtype=float))[()]
        if not is_array_api_obj(x):
            raise TypeError(
                f"x: expected a number or an array, got {type(x).__name__}; the score of {type(self).__name__} is not "
                "affine, so the exact Gaussian laws do not apply: use rmverify.sample"
            )
        xp: Any = array_namespace(x)
        if not xp.isdtype(x.dtype, "real floating"):
            raise ValueError(f"x: expected a real floating dtype, got {x.dtype}")
        least_level(t)
        if is_array_api_obj(t):
            t = xp.asarray(t, dtype=x.dtype, device=device(x))
        size, noise, location = (xp.asarray(p, dtype=x.dtype, device=device(x)) for p in self._marginal(t))
        return formula(x - location, size, sqrt(noise))

    # --- what each law says: x counts from m, size as `Factor.size` ------------------------------------------

    @abstractmethod
    def _log_density(self, x: Any, size: Any, s: Any) -> Any: ...

    @abstractmethod
    def _score(self, x: Any, size: Any, s: Any) -> Any: ...

    @abstractmethod
    def _slope(self, x: Any, size: Any, s: Any) -> Any: ...

    @abstractmethod
    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Draws of Y."""


class _Relative(Factor):
    """A factor whose size is l/s."""

    @property
    def length(self) -> float:
        return self.size * math.sqrt(self.noise)

    def _marginal(self, t: Any) -> tuple[Any, Any, Any]:
        size, noise, location = super()._marginal(t)
        return size * sqrt(self.noise / noise), noise, location


class TwoGaussians(_Relative):
    r"""(N(a, s^2) + N(-a, s^2))/2 with a = separation s: bimodal where separation > 1.

    With z = x/s and d = separation: ln p = -(|z| - d)^2/2 + ln(1 + e^{-2d|z|}) - ln(2 s sqrt(2 pi)), the score is
    (d tanh(d z) - z)/s, and -(ln p)'' = (1 - d^2 sech^2(d z))/s^2 rises from (1 - d^2)/s^2 at 0 to 1/s^2.

    Parameters
    ----------
    separation : number >= 0
        Half the distance of the two means, in standard deviations s.
    variance : number > 0
        s^2, of each of the two.

    Examples
    --------
    >>> q = TwoGaussians(2.0, variance=0.25)
    >>> q.variance, q.smoothness, q.strong_concavity, q.is_log_concave
    (1.25, 4.0, -12.0, False)
    """

    _name, _moments = "separation", (0.0, 1.0)

    def __init__(self, separation: Any, variance: Any = 1) -> None:
        super().__init__(number("separation", separation, least=0), number("variance", variance, above=0))

    @property
    def separation(self) -> float:
        return self.size

    @property
    def strong_concavity(self) -> float:
        """(1 - separation^2)/s^2, the curvature at 0."""
        return -float(self.slope(0, 0.0))

    def path_smoothness(self, early_stop: float = 0) -> float:
        """sup over t >= early_stop of the largest of 1, 1/v(t) and (a^2 e^{-2t} - v(t))/v(t)^2.

        The last, the bend between the modes, is (w (a^2 - c) - 1)/(1 + w c)^2 with w = e^{-2t} and c = s^2 - 1. Where
        it is positive it rises with w, but for c > 0 only up to w = (a^2 + c)/(c (a^2 - c)).
        """
        stop = number("early_stop", early_stop, least=0)
        square, c = self.length**2, self.noise - 1
        worst = math.log(c * (square - c) / (square + c)) / 2 if 0 < c < square else 0.0
        return max(super().path_smoothness(stop), -self.at(max(stop, worst)).strong_concavity)

    def _log_density(self, x: Any, d: Any, s: Any) -> Any:
        xp = array_namespace(x)
        z = xp.abs(x) / s
        return xp.log1p(xp.exp(-2 * d * z)) - (z - d) ** 2 / 2 - xp.log(2 * s) - _LOG_ROOT

    def _score(self, x: Any, d: Any, s: Any) -> Any:
        z = x / s
        return (d * array_namespace(x).tanh(d * z) - z) / s

    def _slope(self, x: Any, d: Any, s: Any) -> Any:
        xp = array_namespace(x)
        w = xp.exp(-2 * d * xp.abs(x) / s)
        tanh2, sech2 = xp.tanh(d * x / s) ** 2, 4 * w / (1 + w) ** 2
        return -xp.where(tanh2 < sech2, (1 - d) * (1 + d) + d**2 * tanh2, 1 - d**2 * sech2) / s**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.choice([-1.0, 1.0], shape)


class SkewNormal(_Relative):
    r"""The skew normal law, of density (2/w) phi(z) Phi(alpha z) with z = (x - location)/w.

    With u = -alpha z: the score is (alpha lam(u) - z)/w, and -(ln p)'' = (1 + alpha^2 lam(u) e(u))/w^2 lies between
    1/w^2 and (1 + alpha^2)/w^2, the limits of the two tails, since lam e rises from 0 to 1 in u.

    Parameters
    ----------
    shape : number
        alpha, of either sign; 0 is the Gaussian.
    location : number
    scale : number > 0
        w.

    Examples
    --------
    >>> q = SkewNormal(3.0, location=1.0)
    >>> round(q.smoothness, 12), round(q.strong_concavity, 12)
    (10.0, 1.0)
    """

    _name, _moments = "shape", (math.sqrt(2 / math.pi), 1 - 2 / math.pi)

    def __init__(self, shape: Any, location: Any = 0, scale: Any = 1) -> None:
        alpha = number("shape", shape)
        s = number("scale", scale, above=0) / math.hypot(1, alpha)
        if not 0 < s * s < math.inf:
            raise ValueError(f"scale: expected (scale/hypot(1, shape))^2 within floats, got {s!r}^2")
        super().__init__(alpha, s * s, number("location", location))

    @property
    def shape(self) -> float:
        return self.size

    @property
    def scale(self) -> float:
        return math.sqrt(self.noise) * math.hypot(1, self.shape)

    @property
    def strong_concavity(self) -> float:
        """1/w^2, the limit in the heavier tail."""
        return 1 / self.scale**2

    def __repr__(self) -> str:
        return f"SkewNormal(shape={self.shape:.6g}, location={self.location:.6g}, scale={self.scale:.6g})"

    def _standard(self, x: Any, alpha: Any, s: Any) -> tuple[Any, Any, Any]:
        """w, z and u."""
        xp = array_namespace(x)
        w = s * xp.hypot(xp.ones_like(alpha), alpha)
        return w, x / w, -alpha * x / w

    def _log_density(self, x: Any, alpha: Any, s: Any) -> Any:
        w, z, u = self._standard(x, alpha, s)
        return log_tail(u) - z * z / 2 - array_namespace(x).log(w / 2) - _LOG_ROOT

    def _score(self, x: Any, alpha: Any, s: Any) -> Any:
        w, z, u = self._standard(x, alpha, s)
        return (alpha * hazard(u) - z) / w

    def _slope(self, x: Any, alpha: Any, s: Any) -> Any:
        w, _, u = self._standard(x, alpha, s)
        return -(1 + alpha**2 * hazard(u) * excess(u)) / w**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.abs(rng.standard_normal(shape))


class UniformGaussian(Factor):
    r"""The uniform law on [-b, b] convolved with N(0, s^2).

    With h = b/s, u, v = (|x| -+ b)/s the ends of the noise given x, w = e^{-(v^2 - u^2)/2}, A = phi(u)/(Q(u) - Q(v))
    and E = A (1 - w), the mean of a normal truncated to [u, v]: ln p = ln((Q(u) - Q(v))/(2b)), the score is
    -sign(x) E/s and -(ln p)'' = (E (E - u) + 2h A w)/s^2. It rises from its least value at 0 to 1/s^2 in the tails,
    because Var(b Y|x) falls in |x|: its derivative is the third central moment over s^2, and at x > 0 the density of
    b Y given x is heavier on the right of its mean M up to b - M, and 0 beyond.

    Parameters
    ----------
    half_width : number > 0
        b.
    variance : number > 0
        s^2, of the Gaussian.

    Examples
    --------
    >>> q = UniformGaussian(1.0, variance=0.25)
    >>> q.smoothness, round(q.strong_concavity, 12)  # 2h phi(h)/(1 - 2Q(h)) 1/s^2 at h = 2
    (4.0, 0.9050347858)
    """

    _name, _moments = "half_width", (0.0, 1 / 3)

    def __init__(self, half_width: Any, variance: Any) -> None:
        super().__init__(number("half_width", half_width, above=0), number("variance", variance, above=0))

    @property
    def half_width(self) -> float:
        return self.size

    @property
    def strong_concavity(self) -> float:
        """(1/s^2) 2h phi(h)/(1 - 2Q(h)), h = b/s: the curvature at 0."""
        return -float(self.slope(0, 0.0))

    def _ends(self, x: Any, b: Any, s: Any) -> tuple[Any, ...]:
        """h, u, v, c, Q(v)/Q(u), and where [u, v] is so short that Q(u) - Q(v) would cancel (the ratio is 0 there)."""
        xp = array_namespace(x)
        r = xp.abs(x)
        h, u, v = b / s, (r - b) / s, (r + b) / s
        c = 2 * h * (r / s)
        short = (h < 1) & (c < 2)
        return h, u, v, c, xp.where(short, xp.zeros_like(c), xp.exp(-c) * hazard(u) / hazard(v)), short

    def _short(self, short: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
        """The mass, mean and variance of e^{c y/2 - h^2 y^2/2} dy/2 on [-1, 1], where short."""
        xp = array_namespace(c)
        h, c = xp.where(short, h, xp.zeros_like(c)), xp.where(short, c, xp.zeros_like(c))
        mass, first, second = 0, 0, 0
        for y, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            part = weight / 2 * xp.exp((c - h**2 * y) * y / 2)
            mass, first, second = mass + part, first + y * part, second + y**2 * part
        mean = first / mass
        return mass, mean, second / mass - mean**2

    def _log_density(self, x: Any, b: Any, s: Any) -> Any:
        xp = array_namespace(x)
        h, u, _, c, ratio, short = self._ends(x, b, s)
        mass, _, _ = self._short(short, h, c)
        inside = xp.log(mass) - (x / s) ** 2 / 2 - xp.log(s) - _LOG_ROOT
        wide = log_tail(u) + xp.log1p(-ratio) - xp.log(2 * xp.where(short, s, b))
        return xp.where(short, inside, wide)

    def _score(self, x: Any, b: Any, s: Any) -> Any:
        xp = array_namespace(x)
        h, u, _, c, ratio, short = self._ends(x, b, s)
        _, mean, _ = self._short(short, h, c)
        E = xp.where(short, xp.abs(x) / s - h * mean, -hazard(u) * xp.expm1(-c) / (1 - ratio))
        return -xp.sign(x) * E / s

    def _slope(self, x: Any, b: Any, s: Any) -> Any:
        xp = array_namespace(x)
        h, u, v, c, ratio, short = self._ends(x, b, s)
        _, _, variance = self._short(short, h, c)
        A = hazard(u) / (1 - ratio)
        above = (excess(u) - ratio * (excess(v) + 2 * h)) / (1 - ratio)  # E - u
        wide = above * A * -xp.expm1(-c) + 2 * h * A * xp.exp(-c)
        return -xp.where(short, 1 - h**2 * variance, wide) / s**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(-1, 1, shape)


class _Exponential(Factor):
    """A factor with an exponential tail, whose size is a scale."""

    _name = "scale"

    def __init__(self, scale: Any, variance: Any) -> None:
        super().__init__(number("scale", scale, above=0), number("variance", variance, above=0))

    @property
    def scale(self) -> float:
        return self.size

    @property
    def strong_concavity(self) -> float:
        """0, the limit in the exponential tail."""
        return 0.0

    def _log_density(self, x: Any, scale: Any, s: Any) -> Any:
        """That of `ExponentialGaussian`, of which a side of `LaplaceGaussian` is a part."""
        xp = array_namespace(x)
        z, k = x / s, _rate(scale, s)
        left = k > z
        zero = xp.zeros_like(z)
        near = -z * z / 2 - _LOG_ROOT - xp.log(hazard(xp.where(left, k - z, zero)))
        k_, z_ = xp.where(left, zero, k), xp.where(left, zero, z)
        return xp.where(left, near, k_ * (k_ / 2 - z_) + log_tail(k_ - z_)) - xp.log(s / k)


class LaplaceGaussian(_Exponential):
    r"""The Laplace law of density e^{-|y|/scale}/(2 scale) convolved with N(0, s^2).

    With z = |x|/s, k = s/scale, u = k - z, v = k + z, rho = lam(u)/lam(v): p is phi(z) (1/lam(u) + 1/lam(v))/(2 scale),
    the score is -sign(x) k (1 - rho)/(1 + rho)/s and -(ln p)'' = 2k rho (e(u) + e(v))/(1 + rho)^2/s^2. The law is a
    mixture of centred Gaussians, of precisions T, so -(ln p)'' = E[T|x] - x^2 Var(T|x) <= E[T|x] <= E[T|0]: it is
    largest at 0. It is positive and falls to 0 in the tails.

    Parameters
    ----------
    scale : number > 0
        The mean of |Y|.
    variance : number > 0
        s^2, of the Gaussian.

    Examples
    --------
    >>> q = LaplaceGaussian(1.0, variance=0.25)
    >>> round(q.smoothness, 12), q.strong_concavity  # k (lam(k) - k)/s^2 at k = 1/2
    (1.282155540736, 0.0)
    """

    _moments = (0.0, 2.0)

    @property
    def smoothness(self) -> float:
        """k (lam(k) - k)/s^2, k = s/scale: the curvature at 0."""
        return -float(self.slope(0, 0.0))

    def _sides(self, x: Any, scale: Any, s: Any) -> tuple[Any, ...]:
        """z, k, u, v and rho."""
        z, k = array_namespace(x).abs(x) / s, _rate(scale, s)
        u, v = k - z, k + z
        return z, k, u, v, hazard(u) / hazard(v)

    def _log_density(self, x: Any, scale: Any, s: Any) -> Any:
        xp = array_namespace(x)
        *_, rho = self._sides(x, scale, s)
        return super()._log_density(xp.abs(x), scale, s) + xp.log1p(rho) - math.log(2)

    def _score(self, x: Any, scale: Any, s: Any) -> Any:
        xp = array_namespace(x)
        z, k, u, v, rho = self._sides(x, scale, s)
        near = (k > 1) & (z < k)  # where 1 - rho cancels by more than the posterior mean of Y does
        mean = (excess(u) - rho * excess(v)) / (1 + rho)
        return -xp.sign(x) * xp.where(near, z - mean, k * (1 - rho) / (1 + rho)) / s

    def _slope(self, x: Any, scale: Any, s: Any) -> Any:
        _, k, u, v, rho = self._sides(x, scale, s)
        return -2 * k * rho * (excess(u) + excess(v)) / (1 + rho) ** 2 / s**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.laplace(size=shape)


class ExponentialGaussian(_Exponential):
    r"""The exponential law of mean `scale` convolved with N(0, s^2): the exponentially modified Gaussian.

    With z = x/s, k = s/scale and u = k - z: p is phi(z)/lam(u)/scale = e^{k (k/2 - z)} Q(u)/scale, the score is
    (lam(u) - k)/s = (e(u) - z)/s, and -(ln p)'' = lam(u) e(u)/s^2 falls from 1/s^2 to 0, the limits of the tails.

    Parameters
    ----------
    scale : number > 0
        The mean of Y.
    variance : number > 0
        s^2, of the Gaussian.

    Examples
    --------
    >>> q = ExponentialGaussian(2.0, variance=0.25)
    >>> q.mean, q.variance, q.smoothness, q.strong_concavity
    (2.0, 4.25, 4.0, 0.0)
    """

    _moments = (1.0, 1.0)

    def _score(self, x: Any, scale: Any, s: Any) -> Any:
        z, k = x / s, _rate(scale, s)
        u = k - z
        return array_namespace(x).where(u > 0, excess(u) - z, hazard(u) - k) / s

    def _slope(self, x: Any, scale: Any, s: Any) -> Any:
        u = _rate(scale, s) - x / s
        return -hazard(u) * excess(u) / s**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.exponential(size=shape)


def _rate(scale: Any, s: Any) -> Any:
    """k = s/scale."""
    xp = array_namespace(s)
    least = _NEGLIGIBLE * s
    return s / xp.where(scale > least, scale, least)
