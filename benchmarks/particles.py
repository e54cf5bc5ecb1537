"""Nanoseconds for each particle, step and dimension.

`rm.sample` with NumPy in float64 on a Gaussian of distinct variances, 10^5 particles in dimension 100, beside a plain
NumPy loop of the same arithmetic and as many random numbers; `ratio` is rm.sample's time over the loop's. One more row:
the most memory that the parallel midpoint in 64 strata takes for 10^6 particles, cut into chunks.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rmverify as rm
from benchmarks.record import Record, measure

__all__ = ["run"]

Array = NDArray[Any]
Score = Callable[[Any, Array], Array]

_DIM, _STEPS, _FRICTION, _STRATA = 100, 5, 2.0, 64


def run(quick: bool) -> Iterator[Record]:
    """Two rows for each scheme, and one for the parallel midpoint's memory."""
    n = 10_000 if quick else 100_000
    rng = np.random.default_rng(0)
    target = rm.Gaussian(rng.standard_normal(_DIM), np.exp(rng.uniform(-2, 1, _DIM)))
    x0 = rng.standard_normal((n, _DIM))
    schemes = rm.schemes
    predict = {
        "exponential_integrator": (schemes.exponential_integrator, _exponential_integrator),
        "randomized_midpoint": (schemes.randomized_midpoint, _randomized_midpoint),
    }
    times = np.linspace(2.0, 1.0, _STEPS + 1)
    for name, (scheme, loop) in predict.items():
        plan = rm.Plan([rm.Predict(scheme, times)])
        yield from _pair(name, plan, target, x0, lambda score, loop=loop: loop(x0, times, score))
    plan = rm.Plan([rm.Correct(schemes.underdamped(friction=_FRICTION), 1.0, 0.05, _STEPS)])
    yield from _pair("underdamped", plan, target, x0, lambda score: _underdamped(x0, 1.0, 0.05, score))
    yield _wide(target, 10 * n)


def _pair(name: str, plan: rm.Plan, target: rm.Gaussian, x0: Array, loop: Callable[[Score], Array]) -> Iterator[Record]:
    n, d = x0.shape
    mean, variances = target.mean, target.variances

    def score(t: Any, x: Array) -> Array:
        e = np.exp(-t)
        return (e * mean - x) / (e * e * variances + (1 - e * e))

    own = measure(lambda: rm.sample(plan, target, n, d, x0=x0, rng=1), 5, 8.0)
    other = measure(lambda: loop(score), 5, 8.0)
    same = "same moments" if _alike(own.result, other.result) else "MOMENTS DIFFER"
    scale = 1e9 / (n * d * _STEPS)
    case = f"{name}, n={n:.0e}, d={d}"
    yield Record(
        "particles",
        case,
        "rm.sample",
        own.median * scale,
        own.least * scale,
        unit="ns",
        ratio=own.median / other.median,
        note=same,
    )
    yield Record("particles", case, "plain NumPy loop", other.median * scale, other.least * scale, unit="ns")


def _wide(target: rm.Gaussian, n: int) -> Record:
    """One step, from N(0, I) drawn inside: the arrays of a round alone would be 8 * 64 * n * 100 bytes."""
    plan = rm.Plan([rm.Predict(rm.schemes.parallel_midpoint(strata=_STRATA, rounds=0), [2.0, 1.8])])
    tracemalloc.start()
    own = measure(lambda: rm.sample(plan, target, n, _DIM, rng=1).shape, 1, 0.0)
    peak = tracemalloc.get_traced_memory()[1] / 2**30
    tracemalloc.stop()
    case = f"parallel_midpoint, R={_STRATA}, K=0, n={n:.0e}, d={_DIM}"
    scale = 1e9 / (n * _DIM)
    note = f"{own.median:.1f} s, peak {peak:.2f} GiB of arrays, {8 * n * _DIM / 2**30:.2f} GiB for the particles"
    return Record("particles", case, "rm.sample", own.median * scale, own.least * scale, unit="ns", note=note)


def _alike(a: Array, b: Array) -> bool:
    """Equal random numbers give equal arrays; else means and deviations within six standard errors."""
    if np.allclose(a, b, rtol=1e-9, atol=1e-9):
        return True
    spread = a.std(axis=0) / math.sqrt(len(a))
    means = np.abs(a.mean(axis=0) - b.mean(axis=0)) < 9 * spread
    return bool(means.all() and (np.abs(a.std(axis=0) - b.std(axis=0)) < 6 * spread).all())


def _exponential_integrator(x: Array, times: Array, score: Score) -> Array:
    for t, end in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        h = t - end
        x = math.exp(h) * x + math.expm1(h) * score(t, x)
    return x


def _randomized_midpoint(x: Array, times: Array, score: Score) -> Array:
    rng = np.random.default_rng(1)
    for t, end in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        h = t - end
        a = rng.random((len(x), 1))
        half = np.exp(a * h) * x + np.expm1(a * h) * score(t, x)
        x = math.exp(h) * x + h * np.exp((1 - a) * h) * score(t - a * h, half)
    return x


def _underdamped(x: Array, t: float, h: float, score: Score) -> Array:
    """The exponential integrator of underdamped Langevin with mass 1, by its textbook covariance."""
    rng = np.random.default_rng(1)
    g = _FRICTION
    e = math.exp(-g * h)
    p = (1 - e) / g
    q = (h - p) / g
    v_v, v_x = 1 - e * e, (1 - e) ** 2 / g
    x_x = (2 * g * h - 3 + 4 * e - e * e) / g**2
    slope, rest = v_x / math.sqrt(v_v), math.sqrt(x_x - v_x**2 / v_v)
    v = rng.standard_normal(x.shape)
    for _ in range(_STEPS):
        s = score(t, x)
        first, second = rng.standard_normal(x.shape), rng.standard_normal(x.shape)
        x, v = x + p * v + q * s + (slope * first + rest * second), e * v + p * s + math.sqrt(v_v) * first
    return x
