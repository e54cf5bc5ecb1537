"""How the condition number of a Gaussian slows its samplers: Langevin at the data, diffusion down the noise levels.

Perbost, Bach and Marion (2026) tune three samplers, each with Euler and Maruyama's steps: overdamped Langevin,
underdamped Langevin and the reverse of dX = dW. Their errors are sums over modes, which are known in closed form
(`rmverify.laws.closed`), so that N can be 10^12 or 10^300. Here are spectra, tunings and errors, over balls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from rmverify.laws.closed import bits, kinetic_variance, overdamped_variance, reverse_variance, wasserstein
from rmverify.readings.balls import precision

__all__ = [
    "Sampler", "Spectrum", "admissible", "blocks", "burn_in", "diffusion", "diffusion_of_largest", "error", "families",
    "geometric", "langevin", "power_law", "small_friction", "tuned", "tuned_error", "underdamped",
]  # fmt: skip


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues of a covariance, as exact floats, and how often each occurs.

    Examples
    --------
    >>> spectrum = blocks(1e4, 10, 1)
    >>> spectrum.dim, spectrum.condition, float(spectrum.trace(-1))
    (10, 10000.0, 90001.0)
    """

    name: str
    eigenvalues: tuple[float, ...]
    multiplicities: tuple[int, ...]

    @property
    def dim(self) -> int:
        return sum(self.multiplicities)

    @property
    def condition(self) -> float:
        """kappa, rounded."""
        return max(self.eigenvalues) / min(self.eigenvalues)

    @property
    def largest(self) -> Any:
        return arb(max(self.eigenvalues))

    @property
    def smallest(self) -> Any:
        return arb(min(self.eigenvalues))

    def trace(self, power: int = 1, shift: Any = 0) -> Any:
        """Tr (Sigma + shift)^power, a ball."""
        pairs = zip(self.eigenvalues, self.multiplicities, strict=True)
        return sum((n * (arb(v) + shift) ** power for v, n in pairs), arb(0))

    @property
    def effective(self) -> Any:
        """lambda_max sqrt(Tr Sigma^-1/Tr Sigma), by which Langevin's error exceeds diffusion's; sqrt(kappa) at most."""
        return self.largest * (self.trace(-1) / self.trace()).sqrt()


def geometric(condition: float, dim: int) -> Spectrum:
    """lambda_i = kappa^{-(i-1)/(d-1)}: as many eigenvalues in every decade."""
    values = condition ** (-np.arange(dim) / max(dim - 1, 1))
    return Spectrum("log-uniform", tuple(values.tolist()), (1,) * dim)


def power_law(condition: float, dim: int) -> Spectrum:
    """lambda_i = i^{-a}, a = ln kappa/ln d."""
    values = np.arange(1.0, dim + 1) ** -(math.log(condition) / math.log(dim))
    return Spectrum("power law", tuple(values.tolist()), (1,) * dim)


def blocks(condition: float, dim: int, large: int) -> Spectrum:
    """`large` eigenvalues 1, the others 1/kappa."""
    name = f"two blocks, {large} of {dim} equal to 1"
    return Spectrum(name, (1.0, 1 / condition), (large, dim - large))


def families(condition: float, dim: int) -> tuple[Spectrum, ...]:
    """The four of their Figure 2."""
    half, one = (blocks(condition, dim, large) for large in (dim // 2, 1))
    return geometric(condition, dim), power_law(condition, dim), half, one


class Sampler(NamedTuple):
    """A tuned sampler.

    `scheme` is the name of its step, `least` the least N/(kappa ln N) that its theorem asks for, `setting(spectrum, N)`
    what it is tuned to, and `variance(lambda, *setting, N)` the variance of a mode in closed form.
    """

    name: str
    scheme: str
    least: float
    setting: Callable[[Spectrum, int], tuple[Any, ...]]
    variance: Callable[..., Any]


def _overdamped(spectrum: Spectrum, steps: int) -> tuple[Any, ...]:
    """Theorem 1: h = lambda_max ln N/(2 N)."""
    return (spectrum.largest * arb(steps).log() / (2 * steps),)


def _underdamped(spectrum: Spectrum, steps: int) -> tuple[Any, ...]:
    """Theorem 1: h = sqrt(2 lambda_max kappa) ln N/N, g = sqrt(8/lambda_min)."""
    step = spectrum.largest * (2 / spectrum.smallest).sqrt() * arb(steps).log() / steps
    return step, (8 / spectrum.smallest).sqrt()


def _small_friction(spectrum: Spectrum, steps: int) -> tuple[Any, ...]:
    """Corollary B.13: h = sqrt(2 lambda_max) ln N/N, g = sqrt(2/lambda_max)."""
    return (2 * spectrum.largest).sqrt() * arb(steps).log() / steps, (2 / spectrum.largest).sqrt()


def _of_the_spectrum(spectrum: Spectrum, steps: int) -> tuple[Any, ...]:
    """Theorem 3: T = (Tr Sigma^5/Tr Sigma)^{1/4} sqrt(N) and delta = Tr Sigma/(d N^2)."""
    scale = (spectrum.trace(5) / spectrum.trace()).root(4)
    return scale * arb(steps).sqrt(), spectrum.trace() / (spectrum.dim * arb(steps) ** 2)


def _of_the_largest(spectrum: Spectrum, steps: int) -> tuple[Any, ...]:
    """Proposition 4: T = lambda_max sqrt(N) and delta = lambda_max/N^2."""
    return spectrum.largest * arb(steps).sqrt(), spectrum.largest / arb(steps) ** 2


langevin = Sampler("overdamped Langevin", "overdamped", 0.5, _overdamped, overdamped_variance)
underdamped = Sampler("underdamped Langevin", "underdamped_euler", 4.0, _underdamped, kinetic_variance)
small_friction = Sampler(
    "underdamped Langevin, small friction", "underdamped_euler", 2.0, _small_friction, kinetic_variance
)
diffusion = Sampler("reverse diffusion", "reverse_euler", 0.0, _of_the_spectrum, reverse_variance)
diffusion_of_largest = Sampler(
    "reverse diffusion, T and delta by lambda_max", "reverse_euler", 0.0, _of_the_largest, reverse_variance
)


def error(spectrum: Spectrum, variance: Callable[[Any], Any]) -> Any:
    """W_2 between the target and the law of these variances, a ball at the caller's precision."""
    given = [arb(v) for v in spectrum.eigenvalues]
    return wasserstein([variance(v) for v in given], given, spectrum.multiplicities)


def tuned_error(sampler: Sampler, spectrum: Spectrum, steps: int) -> Any:
    """W_2 of a tuned sampler after N steps, a ball at the caller's precision (`rmverify.laws.closed.bits`)."""
    setting = sampler.setting(spectrum, steps)
    return error(spectrum, lambda variance: sampler.variance(variance, *setting, steps))


def admissible(sampler: Sampler, spectrum: Spectrum, steps: int) -> bool:
    """Whether N >= least kappa ln N (and N >= 2 there), as far as balls can tell.

    Examples
    --------
    >>> spectrum = blocks(100.0, 10, 1)
    >>> [admissible(langevin, spectrum, n) for n in (100, 1000)]
    [False, True]
    """
    if sampler.least == 0:
        return steps >= 1
    with precision(bits(steps)):
        kappa = spectrum.largest / spectrum.smallest
        return bool(steps >= 2 and arb(steps) >= arb(sampler.least) * kappa * arb(steps).log())


def burn_in(sampler: Sampler, spectrum: Spectrum) -> int:
    """The least N >= 3 from which on the tuning is admissible (their Remark 2).

    Examples
    --------
    >>> burn_in(langevin, blocks(100.0, 10, 1)), burn_in(diffusion, blocks(100.0, 10, 1))
    (283, 3)
    """
    low, high = 2, 3
    while not admissible(sampler, spectrum, high):
        low, high = high, 2 * high
    while high - low > 1:  # N/ln N increases from e on
        middle = (low + high) // 2
        low, high = (low, middle) if admissible(sampler, spectrum, middle) else (middle, high)
    return high


def tuned(sampler: Sampler, spectrum: Spectrum, counts: tuple[int, ...]) -> Iterator[tuple[int, Any]]:
    """(N, W_2) for the numbers of steps that the theorem admits; the precision is chosen here."""
    for steps in counts:
        if admissible(sampler, spectrum, steps):
            with precision(bits(steps)):
                found = tuned_error(sampler, spectrum, steps)
            yield steps, found
