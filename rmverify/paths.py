r"""The ways from data to noise that samplers take, each in its own clock: x_t = alpha(t) x_0 + sigma(t) eps.

Papers and libraries count noise levels differently (a time, a timestep of 1000, a sigma) and scale x differently. Only
the ratio sigma/alpha says how noisy x_t is: whatever the clock, x_t/sqrt(alpha^2 + sigma^2) is the Ornstein-Uhlenbeck
process at noise level log(1 + (sigma/alpha)^2)/2. Pure noise, alpha = 0, is a level like the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array, finite_array, number

__all__ = ["OU", "VE", "VP", "Flow", "Path", "level_of", "sigma_of"]

Coefficient = Callable[[Array], Any]


def sigma_of(t: Any) -> Any:
    """sigma/alpha = sqrt(e^{2t} - 1) at noise level t: the sigma of EDM, k-diffusion and diffusers.

    Examples
    --------
    >>> float(sigma_of(np.log(2) / 2))
    1.0
    """
    return np.sqrt(np.expm1(2 * np.asarray(t, dtype=float)))


def level_of(sigma: Any) -> Any:
    """The noise level log(1 + sigma^2)/2 of sigma/alpha.

    Examples
    --------
    >>> float(level_of(sigma_of(0.25)))
    0.25
    """
    return np.log1p(np.square(np.asarray(sigma, dtype=float))) / 2


class Path:
    r"""x_t = alpha(t) x_0 + sigma(t) eps, for t in `levels`.

    Parameters
    ----------
    alpha, sigma : callable
        Of an array of levels t, in the user's own clock; alpha >= 0, sigma >= 0, not both 0.
    levels : (low, high)
        Where the path is defined. A model that is asked anywhere else is refused.
    name : str
        What reports call it.

    Raises
    ------
    ValueError
        Where `levels` are not low < high, and later for a level outside them, or coefficients that are none.

    Examples
    --------
    >>> import numpy as np
    >>> circle = Path(lambda t: np.cos(t), lambda t: np.sin(t), levels=(0, np.pi / 2), name="circle")
    >>> circle.at(np.pi / 4)
    (0.7071067811865476, 0.7071067811865475)
    """

    def __init__(
        self, alpha: Coefficient, sigma: Coefficient, *, levels: tuple[float, float], name: str = "path"
    ) -> None:
        low, high = (float(end) for end in levels)
        if not low < high:
            raise ValueError(f"levels: expected (low, high) with low < high, got {levels!r}")
        self._alpha, self._sigma, self.levels, self.name = alpha, sigma, (low, high), name

    def __repr__(self) -> str:
        return f"Path({self.name}, levels {self.levels[0]:g} to {self.levels[1]:g})"

    def at(self, t: Any) -> tuple[Any, Any]:
        """alpha(t) and sigma(t), of a number or an array of levels; None is the data, (1, 0)."""
        if t is None:
            return 1.0, 0.0
        levels = self.admit(t)
        with np.errstate(over="ignore"):
            found = [np.asarray(of(levels), dtype=float) for of in (self._alpha, self._sigma)]
        alpha, sigma = np.broadcast_arrays(*found)
        good = (alpha >= 0) & (sigma >= 0) & (alpha + sigma > 0) & (alpha < np.inf)
        if not good.all():
            worst = tuple(float(part[~good].flat[0]) for part in (alpha, sigma, np.broadcast_to(levels, good.shape)))
            raise ValueError(
                "path: expected alpha(t) >= 0 and sigma(t) >= 0, not both 0, got {:g} and {:g} at t = {:g}".format(
                    *worst
                )
            )
        return (float(alpha), float(sigma)) if alpha.ndim == 0 else (alpha, sigma)

    def admit(self, t: Any) -> Array:
        """The levels as an array of floats, refused unless the path is defined there."""
        levels, (low, high) = np.asarray(t, dtype=float), self.levels
        inside = (levels >= low) & (levels <= high)
        if not inside.all():
            worst = float(levels[~inside].flat[0])
            raise ValueError(f"t: expected a level of {self!r}, got {worst:g}")
        return levels

    def noise_level(self, t: Any) -> Any:
        """The Ornstein-Uhlenbeck noise level log(1 + (sigma/alpha)^2)/2, in which rmverify's own plans count.

        Examples
        --------
        >>> float(VE().noise_level(1.0)) == float(np.log(2) / 2)
        True
        """
        alpha, sigma = self.at(t)
        with np.errstate(divide="ignore", over="ignore"):
            return level_of(np.divide(sigma, alpha))


class OU(Path):
    """The Ornstein-Uhlenbeck process of rmverify's own plans: alpha = e^-t, sigma = sqrt(1 - e^-2t), t in [0, inf].

    Examples
    --------
    >>> OU().at(float("inf"))
    (0.0, 1.0)
    """

    def __init__(self) -> None:
        super().__init__(lambda t: np.exp(-t), lambda t: np.sqrt(-np.expm1(-2 * t)), levels=(0, math.inf), name="OU")


class VE(Path):
    """Variance exploding, the clock of EDM and k-diffusion: x = x_0 + sigma eps, the level is sigma in [0, inf].

    At sigma = inf a model knows the mean of the data and nothing else.

    Examples
    --------
    >>> VE().at(14.6)
    (1.0, 14.6)
    """

    def __init__(self) -> None:
        super().__init__(np.ones_like, lambda sigma: sigma, levels=(0, math.inf), name="VE")


class Flow(Path):
    """Rectified flow: x_t = (1-t) x_0 + t eps, t in [0, 1]; `scale` where the clock counts 0 to 1000.

    Examples
    --------
    >>> Flow().at(0.25), Flow(scale=1000).at(250)
    ((0.75, 0.25), (0.75, 0.25))
    """

    def __init__(self, scale: float = 1.0) -> None:
        scale = number("scale", scale, above=0)
        name = "flow" if scale == 1 else f"flow of {scale:g}"
        super().__init__(lambda t: 1 - t / scale, lambda t: t / scale, levels=(0, scale), name=name)


class VP(Path):
    r"""Variance preserving: alpha^2 + sigma^2 = 1, by a rate beta(t) or a list of alphas_cumprod.

    Parameters
    ----------
    alphas_cumprod : array_like, shape (N,), optional
        alpha^2 at the timesteps 0, 1, ..., N-1, not increasing, in [0, 1] (0 is pure noise).
    interpolation : {"log_sigma", "sigma", "alphas_cumprod", None}
        Between timesteps: linear in log(sigma/alpha), as k-diffusion and diffusers do from a sigma to its timestep, in
        sigma/alpha, as diffusers does from a timestep to its sigma, or in alphas_cumprod; with None a timestep that is
        not whole is refused. The last interval before pure noise is linear in alphas_cumprod always.
    beta : (number, number), optional
        Instead: dx = -beta x dt/2 + sqrt(beta) dB with beta(t) from the first at t = 0 linearly to the second at
        t = 1, and alpha = exp(-int beta/2).

    Raises
    ------
    ValueError
        Where not exactly one of the two is given, or the list is not in [0, 1] or increases.

    Examples
    --------
    >>> path = VP(beta=(0.1, 20.0))
    >>> round(path.at(1.0)[0] ** 2, 9)  # exp(-10.05)
    4.3186e-05
    >>> VP([0.9, 0.5, 0.0]).at([0, 2])
    (array([0.9486833, 0.       ]), array([0.31622777, 1.        ]))
    """

    def __init__(
        self, alphas_cumprod: Any = None, *, interpolation: str | None = "log_sigma", beta: Any = None
    ) -> None:
        if (alphas_cumprod is None) == (beta is None):
            raise ValueError("alphas_cumprod: expected either alphas_cumprod or beta=(first, last)")
        if beta is not None:
            first, last = self.beta = tuple(number("beta", b, least=0) for b in beta)

            def exponent(t: Array) -> Any:
                return first * t + (last - first) * t * t / 2

            super().__init__(
                lambda t: np.exp(-exponent(t) / 2), lambda t: np.sqrt(-np.expm1(-exponent(t))), levels=(0, 1),
                name=f"VP, beta {first:g} to {last:g}",
            )  # fmt: skip
            return
        if interpolation not in ("log_sigma", "sigma", "alphas_cumprod", None):
            expected = "'log_sigma', 'sigma', 'alphas_cumprod' or None"
            raise ValueError(f"interpolation: expected {expected}, got {interpolation!r}")
        squares = finite_array("alphas_cumprod", alphas_cumprod, ndim=1)
        expected = "expected numbers of [0, 1] that do not increase, the products of 1 - beta from timestep 0 on"
        if squares.size < 2:
            raise ValueError(f"alphas_cumprod: {expected}, two at least, got {squares.size}")
        wrong = (squares < 0) | (squares > 1) | (np.diff(squares, prepend=np.inf) > 0)
        if wrong.any():
            i = int(np.argmax(wrong))
            before = f" after {squares[i - 1]:.6g}" if i else ""
            raise ValueError(f"alphas_cumprod: {expected}, got {squares[i]:.6g}{before} at timestep {i}")
        self.alphas_cumprod, self.interpolation = squares, interpolation
        super().__init__(
            lambda t: np.sqrt(self._square(t)[0]), lambda t: np.sqrt(self._square(t)[1]),
            levels=(0, squares.size - 1), name=f"VP of {squares.size} timesteps",
        )  # fmt: skip

    def _square(self, t: Array) -> tuple[Array, Array]:
        """alpha^2 and sigma^2."""
        squares = self.alphas_cumprod
        low = np.floor(t).astype(int)
        high, part = np.minimum(low + 1, squares.size - 1), t - low
        if self.interpolation is None and part.any():
            raise ValueError(
                f"t: expected whole timesteps (interpolation=None), got {float(np.ravel(t)[np.argmax(part > 0)])!r}"
            )
        a, b = squares[low], squares[high]
        between = (1 - part) * a + part * b
        if self.interpolation not in ("log_sigma", "sigma") or not part.any():
            return between, 1 - between
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.interpolation == "sigma":
                ratio = ((1 - part) * np.sqrt((1 - a) / a) + part * np.sqrt((1 - b) / b)) ** 2
            else:
                ratio = np.exp((1 - part) * np.log((1 - a) / a) + part * np.log((1 - b) / b))
        plain = (part == 0) | (ratio == 0) | ~np.isfinite(ratio)
        ratio = np.where(plain, 1.0, ratio)
        return np.where(plain, between, 1 / (1 + ratio)), np.where(plain, 1 - between, ratio / (1 + ratio))

    def timestep(self, sigma: Any) -> Any:
        """The fractional timestep at which sigma/alpha is `sigma`, linear in log sigma; clipped to the list's ends.

        Examples
        --------
        >>> path = VP([0.9, 0.5, 0.1])
        >>> path.timestep([1 / 3, 1.0, 3.0])
        array([0., 1., 2.])
        """
        wanted = np.asarray(sigma, dtype=float)
        if not (wanted >= 0).all():
            raise ValueError(f"sigma: expected numbers >= 0, got {sigma}")
        with np.errstate(divide="ignore"):
            logs = np.log((1 - self.alphas_cumprod) / self.alphas_cumprod) / 2
            known = np.isfinite(logs)
            return np.interp(np.log(wanted), logs[known], np.flatnonzero(known).astype(float))
