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

from rmverify import schemes
from rmverify.divergences import tv
from rmverify.laws import output_law
from rmverify.laws.closed import bits, kinetic_variance, overdamped_variance, reverse_variance, wasserstein
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import unit_balls
from rmverify.plans import Plan, Predict, footprint
from rmverify.readings.affine import read
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Gaussian

__all__ = [
    "OTHERS", "PAPER", "Other", "Sampler", "Spectrum", "admissible", "blocks", "burn_in", "constant_steps", "diffusion",
    "diffusion_of_largest", "error", "families", "geometric", "langevin", "power_law", "relative_error",
    "small_friction", "steps_to", "tuned", "tuned_error", "underdamped", "variation",
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

    @property
    def evaluations(self) -> int:
        """Of the score, for each step."""
        return 1

    def deviations(self, spectrum: Spectrum, steps: int) -> Array:
        """v/lambda - 1 of every mode, v the variance after N steps; where the theorem does not admit N, Langevin with
        the longest step that it would (their Figure 1): lambda_min, or 1/gamma."""
        with precision(bits(steps)):
            setting = self.setting(spectrum, steps)
            if not admissible(self, spectrum, steps):
                longest = spectrum.smallest if len(setting) == 1 else 1 / setting[1]
                setting = longest, *setting[1:]
            each = map(arb, spectrum.eigenvalues)
            return np.array([float(self.variance(v, *setting, steps) / v - 1) for v in each])


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


# --- samplers beyond the paper's: other steps on the same targets ---------------------------------------------------

NODES = 12  # of Gauss and Legendre, over a random midpoint
_BITS = 160


class Other(NamedTuple):
    """A sampler by another step, tuned to an error of order N^-order up to logarithms.

    Down the noise levels (`friction` is None) the grid is the paper's geometric one, from T to delta: an error
    lambda/T of the start remains of the flow where the reverse diffusion keeps (lambda/T)^2, so that
    T = lambda_max N^order and delta = lambda_max N^(-2 order). Langevin runs for sqrt(lambda_max) order ln N at the
    friction that damps the slowest mode critically, 2/sqrt(lambda_max).
    """

    name: str
    scheme: str
    order: int
    friction: float | None = None

    @property
    def evaluations(self) -> int:
        """Of the score, for each step."""
        return footprint(self._bound(1.0)).evaluations

    def _bound(self, largest: float) -> Any:
        step = getattr(schemes, self.scheme)
        return step if self.friction is None else step(friction=self.friction / math.sqrt(largest))

    def deviations(self, spectrum: Spectrum, steps: int) -> Array:
        """v/lambda - 1 of every mode, v the variance after N steps, averaged over random midpoints; infinite where the
        scheme is not stable."""
        values = np.array(spectrum.eigenvalues)
        largest, step = float(values.max()), self._bound(float(values.max()))
        if self.friction is not None:
            time = math.sqrt(largest) * self.order * math.log(steps)
            return constant_steps(step, values, time / steps, steps)
        T, delta = largest * float(steps) ** self.order, largest * float(steps) ** (-2 * self.order)
        tau = T * (delta / T) ** (np.arange(steps + 1) / steps)
        target = Gaussian.from_spectrum(values, np.array(spectrum.multiplicities))
        plan = Plan([Predict(step, np.log1p(tau) / 2)])
        law = output_law(plan, target, start=target.with_modes(T / (1 + T), 0.0))
        return np.asarray(law.variances * (1 + delta) / values - 1)


def constant_steps(scheme: Any, variances: Array, step: float, steps: int) -> Array:
    """v/lambda - 1 after N equal Langevin steps from x = 0 and a fresh velocity, averaged over random midpoints.

    What one step does to the invariant moments is taken over balls, where it cancels: with D the difference of the
    moments from them and M the step's map of moments, D' = M D + (M S + C - S). N steps are done by doubling.
    """
    foot, mass = footprint(scheme), velocity_variance(scheme)
    size = 1 if mass is None else 2
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    with precision(_BITS):
        nodes, weights = unit_balls(NODES) if foot.alphas else ([arb(0)], [arb(1)])
        alphas = lift(np.asarray(nodes, dtype=object)).reshape(1, 1, -1, 1) if foot.alphas else None
        lam = lift(variances)
        one = lift(np.ones((1, 1, 1)))
        read_off = read(lift_scheme(scheme), _Still(lam), 0 * one, step * one, alphas, lift)
        shape = (len(weights), len(variances))

        def entry(part: Any) -> Any:
            return np.broadcast_to(lift(part), (1, *shape))[0]

        A = [[entry(part) for part in row] for row in read_off.linear]
        C = [[entry(part) for part in row] for row in read_off.noise]
        w = np.asarray(weights, dtype=object)
        invariant = {(0, 0): lam, (0, 1): 0 * lam, (1, 1): 0 * lam + (mass or 0)}
        moved = np.empty((len(variances), len(pairs), len(pairs)))
        kept = np.empty((len(variances), len(pairs)))
        for row, (i, j) in enumerate(pairs):
            image = w @ C[i][j] - invariant[i, j]
            for column, (k, m) in enumerate(pairs):
                factor = A[i][k] * A[j][m] + (A[i][m] * A[j][k] if k != m else 0)
                mean = w @ factor
                moved[:, row, column] = np.vectorize(float, otypes=[float])(mean)
                image = image + mean * invariant[k, m]
            kept[:, row] = np.vectorize(float, otypes=[float])(image)
    start = np.zeros((len(variances), len(pairs)))
    start[:, 0] = -variances
    with np.errstate(all="ignore"):
        power, left = moved, kept
        for bit in bin(steps)[3:]:
            left = left + (power @ left[..., None])[..., 0]
            power = power @ power
            if bit == "1":
                left, power = (moved @ left[..., None])[..., 0] + kept, power @ moved
        found = ((power @ start[..., None])[..., 0] + left)[:, 0] / variances
    return np.where(np.isfinite(found), found, np.inf)


class _Still:
    """Centred modes of these variances, at every level."""

    def __init__(self, variances: Any) -> None:
        self.variances = variances

    def score(self, t: Any, x: Any) -> Any:
        return -x * (1 / self.variances)


PAPER = (langevin, underdamped, diffusion_of_largest)
OTHERS = (
    Other("probability flow, Euler", "euler", 1),
    Other("probability flow, exponential integrator", "exponential_integrator", 1),
    Other("probability flow, Heun", "heun", 2),
    Other("probability flow, randomized midpoint", "randomized_midpoint", 2),
    Other("underdamped Langevin, exponential integrator", "underdamped", 1, 2.0),
    Other("underdamped Langevin, randomized midpoint", "randomized_midpoint_langevin", 2, 2.0),
)


def relative_error(spectrum: Spectrum, deviations: Array) -> float:
    """W_2/sqrt(Tr Sigma) from v/lambda - 1, without cancellation."""
    values, counts = np.array(spectrum.eigenvalues), np.array(spectrum.multiplicities)
    if not np.isfinite(deviations).all():
        return math.inf
    apart = deviations / (1 + np.sqrt(1 + deviations))
    return math.sqrt(float(counts @ (values * apart**2)) / float(counts @ values))


def steps_to(
    sampler: Sampler | Other, spectrum: Spectrum, most: int, measure: Callable[[Spectrum, Array], float], eps: float
) -> int | None:
    """The least N with an error of at most eps, to 2 % by bisection; None where that is above `most`. The paper's
    samplers are tuned as their theorems say, and those admit N.

    Examples
    --------
    >>> steps_to(OTHERS[3], blocks(100.0, 10, 1), 1000, relative_error, 1e-2) < 50
    True
    """

    def reached(steps: int) -> bool:
        given = not isinstance(sampler, Sampler) or admissible(sampler, spectrum, steps)
        return given and measure(spectrum, sampler.deviations(spectrum, steps)) <= eps

    low, high = 1, 4
    while not reached(high):
        low, high = high, 4 * high
        if high > most:
            return None
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def variation(spectrum: Spectrum, deviations: Array) -> float:
    """Total variation of the centred Gaussian of these variances to the target."""
    if not np.isfinite(deviations).all():
        return 1.0
    target = Gaussian.from_spectrum(np.array(spectrum.eigenvalues), np.array(spectrum.multiplicities))
    return float(tv(target.with_modes(target.variances * (1 + deviations), 0.0), target))
