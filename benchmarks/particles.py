"""Nanoseconds for each particle, step and dimension.

`rm.sample` with NumPy in float64 on a Gaussian of distinct variances and on a mixture of ten, 10^5 particles in
dimension 100 and 10^6 in dimension 10, beside a plain NumPy loop of the same arithmetic and as many random numbers of
NumPy's own generator. `ratio` is the time over that loop's, least of runs that alternate; the goal is a third of it, on
all cores. The ratios of CPU time in the notes are those to believe where other programs run too.

Two floors: the random numbers alone (the same tiles, a step that draws and does nothing else), and a step that reads
its state from memory once and writes it once, at the bandwidth of a copy of as many bytes on one core. Tiles, whose
steps are all done while they are in a core's cache, may be below the latter. One more row: the most memory that the
parallel midpoint in 64 strata takes for 10^6 particles, cut into tiles.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
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

_STEPS, _FRICTION, _STRATA, _COMPONENTS = 5, 2.0, 64, 10
_TIMES = np.linspace(2.0, 1.0, _STEPS + 1)


def run(quick: bool) -> Iterator[Record]:
    """For each size, target and scheme rm.sample on all cores and on one, the loop, and the floors."""
    rng = np.random.default_rng(0)
    for n, d in ((10_000, 100), (100_000, 10)) if quick else ((100_000, 100), (1_000_000, 10)):
        means, variances = rng.standard_normal((_COMPONENTS, d)), np.exp(rng.uniform(-2, 1, (_COMPONENTS, d)))
        weights = rng.dirichlet(np.ones(_COMPONENTS))
        x0 = rng.standard_normal((n, d))
        targets = {
            "Gaussian": (
                rm.Gaussian(means[0], variances[0]),
                lambda t, x, m=means[0], v=variances[0]: _score(t, x, m, v),
            ),
            "mixture of ten": (
                rm.GaussianMixture(weights, means, [np.diag(v) for v in variances]),
                lambda t, x, w=weights, m=means, v=variances: _mixture_score(t, x, w, m, v),
            ),
        }  # fmt: skip
        for name, (target, score) in targets.items():
            for scheme in _SCHEMES:
                yield from _rows(f"{scheme}, {name}, n={n:.0e}, d={d}", scheme, target, score, x0, 2 if quick else 3)
    n = 10_000 if quick else 100_000
    yield _wide(rm.Gaussian(rng.standard_normal(100), np.exp(rng.uniform(-2, 1, 100))), 10 * n)


def _rows(case: str, scheme: str, target: Any, score: Score, x0: Array, repeats: int) -> Iterator[Record]:
    plan, draws, loop, arrays = _SCHEMES[scheme]
    n, d = x0.shape
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def ours(plan: rm.Plan, workers: int) -> Callable[[], Array]:
        return lambda: rm.sample(plan, target, n, d, x0=x0, rng=1, workers=workers)

    calls: dict[str, Callable[[], Any]] = {
        f"rm.sample, {cores} cores": ours(plan, cores), "rm.sample, one core": ours(plan, 1),
        "plain NumPy loop": lambda: loop(x0, score),
        "floor: its random numbers, one core": ours(draws, 1),
        "floor: its state through memory, one core": lambda: [x0.copy() for _ in range(arrays * _STEPS)],
    }  # fmt: skip
    times: dict[str, list[float]] = {method: [] for method in calls}
    spent: dict[str, list[float]] = {method: [] for method in calls}
    results = {}
    for _ in range(repeats):
        for method, call in calls.items():
            begin, used = time.perf_counter(), time.process_time()
            results[method] = call()
            times[method].append(time.perf_counter() - begin)
            spent[method].append(time.process_time() - used)
    own, other, random = (min(spent[method]) for method in list(calls)[1:4])
    same = "same moments" if _alike(*[results[method] for method in list(calls)[1:3]]) else "MOMENTS DIFFER"
    notes = {0: same, 1: f"CPU: {own / other:.2f} of the loop" + f", {own / random:.2f} of draws" * (arrays > 1)}
    plain, scale = min(times["plain NumPy loop"]), 1e9 / (n * d * _STEPS)
    for k, (method, found) in enumerate(times.items()):
        yield Record(
            "particles",
            case,
            method,
            statistics.median(found) * scale,
            min(found) * scale,
            goal=plain / 3 * scale if k == 0 else None,
            unit="ns",
            ratio=min(found) / plain,
            note=notes.get(k, ""),
        )


def _wide(target: rm.Gaussian, n: int) -> Record:
    """One step, from N(0, I) drawn inside: the arrays of a round alone would be 8 * 64 * n * 100 bytes."""
    plan = rm.Plan([rm.Predict(rm.schemes.parallel_midpoint(strata=_STRATA, rounds=0), [2.0, 1.8])])
    tracemalloc.start()
    own = measure(lambda: rm.sample(plan, target, n, 100, rng=1).shape, 1, 0.0)
    peak = tracemalloc.get_traced_memory()[1] / 2**30
    tracemalloc.stop()
    case = f"parallel_midpoint, R={_STRATA}, K=0, n={n:.0e}, d={100}"
    scale = 1e9 / (n * 100)
    note = f"{own.median:.1f} s, peak {peak:.2f} GiB of arrays, {8 * n * 100 / 2**30:.2f} GiB for the particles"
    return Record("particles", case, "rm.sample", own.median * scale, own.least * scale, unit="ns", note=note)


def _alike(a: Array, b: Array) -> bool:
    """Equal random numbers give equal arrays; else means and deviations within six standard errors."""
    if np.allclose(a, b, rtol=1e-9, atol=1e-9):
        return True
    spread = a.std(axis=0) / math.sqrt(len(a))
    means = np.abs(a.mean(axis=0) - b.mean(axis=0)) < 9 * spread
    return bool(means.all() and (np.abs(a.std(axis=0) - b.std(axis=0)) < 6 * spread).all())


def _score(t: Any, x: Array, mean: Array, variances: Array) -> Array:
    e = np.exp(-t)
    return np.asarray((e * mean - x) / (e * e * variances + (1 - e * e)))


def _mixture_score(t: Any, x: Array, weights: Array, means: Array, variances: Array) -> Array:
    """The scores of the components, weighted by how likely each is to have x."""
    e = np.exp(-t)
    scores, heights = [], []
    for w, mean, lam in zip(weights, means, variances, strict=True):
        v = e * e * lam + (1 - e * e)
        scores.append((e * mean - x) / v)
        heights.append(math.log(w) - (scores[-1] ** 2 * v + np.log(v)).sum(axis=-1, keepdims=True) / 2)
    top = np.maximum.reduce(heights)
    posterior = [np.exp(height - top) for height in heights]
    return np.asarray(sum(p * s for p, s in zip(posterior, scores, strict=True)) / sum(posterior))


def _exponential_integrator(x: Array, score: Score) -> Array:
    for t, end in itertools.pairwise(_TIMES.tolist()):
        h = t - end
        x = math.exp(h) * x + math.expm1(h) * score(t, x)
    return x


def _randomized_midpoint(x: Array, score: Score) -> Array:
    rng = np.random.default_rng(1)
    for t, end in itertools.pairwise(_TIMES.tolist()):
        h = t - end
        a = rng.random((len(x), 1))
        half = np.exp(a * h) * x + np.expm1(a * h) * score(t, x)
        x = math.exp(h) * x + h * np.exp((1 - a) * h) * score(t - a * h, half)
    return x


def _underdamped(x: Array, score: Score, t: float = 1.0, h: float = 0.05) -> Array:
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


def _one_uniform(x: Any, t: Any, h: Any, score: Any, draw: Any) -> Any:
    draw.uniform()
    return x


@rm.schemes.scheme(kinetic=True)
def _two_normals(state: Any, t: Any, h: Any, score: Any, draw: Any) -> Any:
    for _ in range(2):
        draw.normal(((1.0,),))
    return state


def _still(x: Any, t: Any, h: Any, score: Any, draw: Any) -> Any:
    return x


# the plan, one that draws as much, the loop, and how many arrays the state has
_SCHEMES = {
    "exponential_integrator": (
        rm.Plan([rm.Predict(rm.schemes.exponential_integrator, _TIMES)]),
        rm.Plan([rm.Predict(_still, _TIMES)]),
        _exponential_integrator,
        1,
    ),
    "randomized_midpoint": (
        rm.Plan([rm.Predict(rm.schemes.randomized_midpoint, _TIMES)]),
        rm.Plan([rm.Predict(_one_uniform, _TIMES)]),
        _randomized_midpoint,
        1,
    ),
    "underdamped": (
        rm.Plan([rm.Correct(rm.schemes.underdamped(friction=_FRICTION), 1.0, 0.05, _STEPS)]),
        rm.Plan([rm.Correct(_two_normals, 1.0, 0.05, _STEPS)]),
        _underdamped,
        2,
    ),
}
