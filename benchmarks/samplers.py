"""Reading somebody's sampler beside sampling it.

A 50-step Euler and a 50-step ancestral loop in plain NumPy on 64 modes, and, where it is installed, two schedulers of
diffusers in PyTorch, their import apart; the ladder of six N that an audit climbs. Monte Carlo is the same loop on n
particles: its `stated` error is one standard deviation of a variance, sqrt(2/n), and the note says how long it would
take to be as exact as the reading, whose `stated` error is the law's own rounding.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import rmverify as rm
from benchmarks.record import Record, measure

__all__ = ["run"]

_STEPS, _MODES = 50, 64
_LADDER = (5, 10, 20, 40, 80, 160)


def run(quick: bool) -> Iterator[Record]:
    """Three rows for each sampler."""
    n = 10_000 if quick else 100_000
    target = rm.Gaussian(np.linspace(-1, 1, _MODES), np.geomspace(0.01, 10, _MODES))
    makers: dict[str, Callable[[int], rm.Sampler]] = {"Euler, NumPy": _euler, "ancestral, NumPy": _ancestral}
    if importlib.util.find_spec("diffusers") is not None:
        import diffusers

        for name in ("HeunDiscreteScheduler", "EulerAncestralDiscreteScheduler"):
            makers[name] = rm.adapters.diffusers(getattr(diffusers, name))
    for name, make in makers.items():
        sampler, case = make(_STEPS), f"{name}, {_STEPS} steps, {_MODES} modes"
        read = measure(lambda sampler=sampler: sampler.read(target).law(), 5, 5.0)
        law = read.result
        exact = float(law.rounding.max())
        yield Record("samplers", case, "read", read.median, read.least, goal=1.0, stated=exact)
        drawn = measure(lambda sampler=sampler: rm.sample(sampler, target, n, rng=0), 3, 10.0)
        variances = np.asarray(drawn.result, dtype=float).var(axis=0)
        error = math.sqrt(2 / n)
        years = drawn.median * (error / exact) ** 2 / (365.25 * 86400)
        yield Record(
            "samplers", case, f"Monte Carlo, n = {n}", drawn.median, drawn.least, stated=error,
            relative=float(np.abs(variances / law.variances - 1).max()), note=f"as exact in {years:.1g} years",
        )  # fmt: skip
        ladder = measure(lambda make=make: [make(k).read(target).law() for k in _LADDER], 3, 10.0)
        case = f"{name}, the ladder N = {_LADDER[0]} to {_LADDER[-1]}"
        yield Record("samplers", case, "read", ladder.median, ladder.least, goal=10.0)


def _euler(steps: int) -> rm.Sampler:
    sigmas = np.append(np.geomspace(80, 0.002, steps), 0)

    def loop(model: Any, x: Any, noise: Any) -> Any:
        x = x * sigmas[0]
        for sigma, lower in itertools.pairwise(sigmas):
            x = x + (lower - sigma) * (x - model(x, sigma)) / sigma
        return x

    return rm.Sampler(loop, path=rm.paths.VE(), predicts="x0")


def _ancestral(steps: int) -> rm.Sampler:
    sigmas = np.append(np.geomspace(80, 0.002, steps), 0)

    def loop(model: Any, x: Any, noise: Any) -> Any:
        x = x * sigmas[0]
        for sigma, lower in itertools.pairwise(sigmas):
            share = (lower / sigma) ** 2
            x = model(x, sigma) * (1 - share) + x * share
            if lower:
                x = x + lower * math.sqrt(1 - share) * noise()
        return x

    return rm.Sampler(loop, path=rm.paths.VE(), predicts="x0")
