r"""A sampler for every number of steps, and the Brownian motion that some of them draw from.

An order of convergence belongs to a ladder of step counts, so what adapters return is a function of N.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmverify.numbers.checks import positive_integer
from rmverify.samplers import Kernel, Sampler
from rmverify.samplers.arrays import host

__all__ = ["Brownian", "Family"]


@dataclass(frozen=True, eq=False, repr=False)
class Family:
    """``family(N)`` is the sampler of N steps.

    Attributes
    ----------
    name : str
    variants : dict of str to Family
        The same object with one option changed.
    assumed : tuple of str
        What the code itself does not say: path, start, options that were switched off.

    Examples
    --------
    >>> from rmverify import Sampler
    >>> from rmverify.adapters import Family
    >>> def make(N):
    ...     def run(model, x, noise):
    ...         for n in range(N):
    ...             x = x + (x + 2 * model(x, 1 - n / N)) / N
    ...         return x
    ...     return Sampler(run)
    >>> family = Family(make, "reverse Euler")
    >>> family(4).name
    'reverse Euler, N=4'
    """

    make: Callable[[int], Sampler | Kernel]
    name: str
    assumed: tuple[str, ...] = ()
    vary: Callable[[], Mapping[str, Family]] = dict

    def __repr__(self) -> str:
        return f"Family({self.name})"

    def __call__(self, N: int) -> Sampler | Kernel:
        """The sampler of N steps, or the kernel where `make` returns such.

        Raises
        ------
        ValueError
            Where N is no positive integer, or `make` returns neither.
        """
        made = self.make(positive_integer("N", N))
        if not isinstance(made, Sampler | Kernel):
            got = f"got a {type(made).__name__}"
            raise ValueError(f"sampler: expected {self.name}({N}) to be a Sampler or a Kernel, {got}")
        return made if made.name else replace(made, name=f"{self.name}, N={N}")

    @functools.cached_property
    def variants(self) -> dict[str, Family]:
        return dict(self.vary())


class Brownian:
    r"""Brownian motion as a noise sampler: ``(t, s)`` gives (W_s - W_t)/sqrt(|s - t|), made of normal draws.

    Code with several stages in a step asks for increments over intervals that overlap. Each new time costs one draw:
    beyond all earlier times W goes on by sqrt(step) z, between two of them it is the Brownian bridge, linear plus
    sqrt((t - a)(b - t)/(b - a)) z. So the increments have the joint law of Brownian motion, whatever is asked.

    Parameters
    ----------
    noise : callable
        ``noise()`` is a standard normal draw.

    Examples
    --------
    >>> draws = iter([1.0, -1.0])
    >>> W = Brownian(lambda: next(draws))
    >>> W(0.0, 4.0)  # W_4 = 2
    1.0
    >>> W(0.0, 1.0), W(1.0, 0.0)  # W_1 = 2/4 - sqrt(3/4)
    (-0.3660254037844386, 0.3660254037844386)
    """

    def __init__(self, noise: Callable[[], Any]) -> None:
        self._noise = noise
        self._times: list[float] = []
        self._values: list[Any] = []

    def __call__(self, t: Any, s: Any) -> Any:
        t, s = (float(np.ravel(host(time))[0]) for time in (t, s))
        if t == s:
            raise ValueError(f"noise_sampler: expected two different times, got {t:g} twice")
        first, second = self._at(t), self._at(s)
        return (second - first) / math.sqrt(abs(s - t))

    def _at(self, t: float) -> Any:
        times, values = self._times, self._values
        n = bisect_left(times, t)
        if n < len(times) and times[n] == t:
            return values[n]
        if not times:
            value: Any = 0.0
        elif n == 0:
            value = values[0] - math.sqrt(times[0] - t) * self._noise()
        elif n == len(times):
            value = values[-1] + math.sqrt(t - times[-1]) * self._noise()
        else:
            a, b = times[n - 1], times[n]
            part = (t - a) / (b - a)
            value = (1 - part) * values[n - 1] + part * values[n]
            value = value + math.sqrt(part * (b - t)) * self._noise()
        times.insert(n, t)
        values.insert(n, value)
        return value
