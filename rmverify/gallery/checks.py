"""What tells a fault from its correction: orders, bookkeeping, what is left over, NaN, evaluations; all of exact laws.

A direction in which the data do not vary is the sharpest probe of bookkeeping: there the model knows x_0, every
honest step is exact whatever its length, and what is off is no discretization error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.gallery.case import TARGET, Finding, Make, moments
from rmverify.samplers import Kernel, NotFinite, Sampler
from rmverify.targets import Gaussian

__all__ = ["ROUNDING", "Bookkeeping", "Changes", "Evaluations", "Exact", "Finite", "FirstInput", "Left", "Order"]

ROUNDING = 1e-9
"""More than double precision leaves of these runs, and less than any fault of the gallery."""

POINT = 1e-20
"""The variance of data that do not vary: 0, but for models that divide by it at the level of the data."""


def _error(make: Make, at: Any, target: Gaussian = TARGET) -> float:
    """The largest error of a variance, relative, or of a mean, in standard deviations; from the exact start."""
    mean, variance, due_mean, due = moments(make(at), target, start="exact")
    off = np.concatenate([variance / due - 1, (mean - due_mean) / np.sqrt(due)])
    return float(off[np.argmax(np.abs(off))])


@dataclass(frozen=True)
class Order:
    """The order to which the error vanishes where the work doubles from `coarse` to `fine` (N, or h)."""

    order: int
    coarse: float = 80
    fine: float = 160
    target: Gaussian = TARGET

    @property
    def what(self) -> str:
        letter = "N" if self.coarse < self.fine else "h"
        return f"order of the error, {letter} = {self.coarse:g} to {self.fine:g}"

    @property
    def due(self) -> str:
        return str(self.order)

    def __call__(self, make: Make) -> Finding:
        a, b = (_error(make, at, self.target) for at in (self.coarse, self.fine))
        slope = math.log2(abs(a / b))
        return Finding(slope, f"order {slope:.2f}", slope > self.order - 0.5)


@dataclass(frozen=True)
class Left:
    """The variance that is left at the end where the data do not vary."""

    n: int = 20
    what = "variance left where the data do not vary"
    due = "0"

    def __call__(self, make: Make) -> Finding:
        value = float(moments(make(self.n), Gaussian([1.0], [0.0]), start="exact")[1][0])
        return Finding(value, f"variance {value:.3g} left" if value > ROUNDING else "nothing left", value <= ROUNDING)


@dataclass(frozen=True)
class Bookkeeping:
    """The level that a model call names, and the one that its input is at.

    On data that are one point m, x = alpha m + sigma z: mean and variance of the input tell alpha and sigma, and
    `level` of sigma/alpha tells which level that is. It shows the first call at which they disagree.
    """

    n: int
    level: Callable[[float], float] = float
    what = "level that the model is told, and that of its input"
    due = "the same"

    def __call__(self, make: Make) -> Finding:
        subject = make(self.n)
        assert isinstance(subject, Sampler)
        reading = subject.read(Gaussian([1.0], [POINT]))
        start, worst = reading.start("exact"), 0.0
        for number, call in enumerate(reading.calls):
            mean, variance = (float(z[0]) for z in call.moments(start))
            alpha, sigma = subject.path.at(call.level)
            misfit = max(abs(mean - alpha), abs(math.sqrt(variance) - sigma)) / math.hypot(alpha, sigma)
            if misfit > ROUNDING:
                there = self.level(math.sqrt(variance) / mean if mean > 0 else math.inf)
                return Finding(misfit, f"call {number}: told {call.level:.4g}, is {there:.4g}", False)
            worst = max(worst, misfit)
        return Finding(worst, f"same in {len(reading.calls)} calls", True)


@dataclass(frozen=True)
class Finite:
    """The numbers of steps at which the output is not finite."""

    steps: Sequence[int]
    due = "none"

    @property
    def what(self) -> str:
        return f"N of {self.steps[0]} to {self.steps[-1]} that give NaN"

    def __call__(self, make: Make) -> Finding:
        bad = [n for n in self.steps if not self._finite(make(n))]
        return Finding(float(len(bad)), "NaN at N = " + ", ".join(map(str, bad)) if bad else "no NaN", not bad)

    @staticmethod
    def _finite(subject: Any) -> bool:
        try:
            subject.read(TARGET)
        except NotFinite:
            return False
        return True


@dataclass(frozen=True)
class Evaluations:
    """Model evaluations, one for each of n steps."""

    n: int
    what = "model evaluations"

    @property
    def due(self) -> str:
        return str(self.n)

    def __call__(self, make: Make) -> Finding:
        subject = make(self.n)
        assert isinstance(subject, Sampler)
        count = subject.read(TARGET).evaluations
        return Finding(float(count), f"{count} evaluations", count == self.n)


@dataclass(frozen=True)
class Exact:
    """A variance that has no discretization error, of `component` of a Markov step's state, or of a sampler's output,
    where the data are N(0, 1)."""

    at: Any
    what: str
    component: int = 0
    due = "1"

    def __call__(self, make: Make) -> Finding:
        target, subject = Gaussian([0.0], [1.0]), make(self.at)
        if isinstance(subject, Kernel):
            value = float(subject.stationary(target).component(self.component).variances[0])
        else:
            value = float(moments(subject, target)[1][0])
        return Finding(value, f"variance {value:.4g}", abs(value - 1) <= ROUNDING)


@dataclass(frozen=True)
class FirstInput:
    """The variance of what the model is handed first, where the data are N(0, 1): 1 on every path that preserves it."""

    n: int = 20
    what = "variance of the model's first input"
    due = "1"

    def __call__(self, make: Make) -> Finding:
        subject = make(self.n)
        assert isinstance(subject, Sampler)
        value = float(subject.read(Gaussian([0.0], [1.0])).calls[0].moments()[1][0])
        return Finding(value, f"variance {value:.4g}", abs(value - 1) <= ROUNDING)


@dataclass(frozen=True)
class Changes:
    """How much an option, the second argument of `make`, changes the variances of the output at n steps."""

    n: int
    what: str
    due = "not 0"

    def __call__(self, make: Any) -> Finding:
        (_, with_it, _, due), (_, without, _, _) = (moments(make(self.n, option), TARGET) for option in (True, False))
        value = float((np.abs(with_it - without) / due).max())
        return Finding(value, f"changed by {value:.2g}", value > ROUNDING)
