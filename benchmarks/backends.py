"""Nanoseconds for each particle, step and dimension on JAX, PyTorch and CuPy, whichever are installed.

`rm.sample` in float64 on a Gaussian of distinct variances and on a mixture of ten, beside what one writes by hand for
the same scheme with the library's own random numbers: a jitted `lax.scan` on JAX, a loop on the others, on PyTorch also
with `torch.compile` of the step, and diffrax where it has the scheme or one that does as much. `ratio` is the time over
the first of these, least of runs that alternate; the goal on JAX is 1.2. Compiling is left out (the first call, which
is not timed), tracing is not. Where other programs run, believe the ratios of CPU time in the notes.
"""

from __future__ import annotations

import importlib.util
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import rmverify as rm
from benchmarks.record import Record, failure

__all__ = ["LIBRARIES", "SCHEMES", "TARGETS", "here", "rows", "run"]

LIBRARIES = ("jax", "torch", "cupy")
TARGETS = ("Gaussian", "mixture of ten")
SCHEMES = ("euler", "exponential_integrator", "randomized_midpoint", "underdamped")

_STEPS, _FRICTION, _COMPONENTS, _LEVEL, _TIME = 10, 2.0, 10, 1.0, 0.05
_TIMES = np.linspace(2.0, 1.0, _STEPS + 1)
_GOAL = 1.2


def run(quick: bool) -> Iterator[Record]:
    """For each library, target and scheme rm.sample and its peers."""
    n, d = (10_000, 100) if quick else (100_000, 100)
    for library in LIBRARIES:
        if not here(library):
            yield failure("backends", f"n={n:.0e}, d={d}", library, "not installed")
            continue
        for target in TARGETS:
            for scheme in SCHEMES:
                yield from rows(library, target, scheme, n, d, 2 if quick else 3)


def here(library: str) -> bool:
    """Whether a library is installed."""
    return importlib.util.find_spec(library) is not None


def rows(
    library: str, name: str, scheme: str, n: int, d: int, repeats: int, device: str | None = None,
    dtype: str = "float64", peers: bool = True,
) -> Iterator[Record]:  # fmt: skip
    """rm.sample of one scheme on one target, and with `peers` what it is compared with."""
    from rmverify.samplers.arrays import empty_on, quietly

    rng = np.random.default_rng(0)
    means, variances = rng.standard_normal((_COMPONENTS, d)), np.exp(rng.uniform(-2, 1, (_COMPONENTS, d)))
    weights = rng.dirichlet(np.ones(_COMPONENTS))
    target: Any = rm.Gaussian(means[0], variances[0])
    if name != TARGETS[0]:
        target = rm.GaussianMixture(weights, means, [np.diag(v) for v in variances])
    with quietly(library):
        like = empty_on(library, dtype, device)
        xp = like.__array_namespace__() if library == "jax" else importlib.import_module(library)
        x0 = _placed(library, rng.standard_normal((n, d)), like)
        moments = [_placed(library, values, like) for values in (weights, means, variances)]

        def score(t: Any, x: Any) -> Any:
            w, m, v = moments
            return _score(t, x, m[0], v[0], xp) if name == TARGETS[0] else _mixture_score(t, x, w, m, v, xp)

        plan = rm.Plan([_STAGES[scheme]])
        calls = {"rm.sample": lambda: rm.sample(plan, target, n, d, x0=x0, rng=1)}
        if peers:
            calls |= {"jax": _on_jax, "torch": _on_torch, "cupy": _on_cupy}[library](scheme, x0, score, xp)
        yield from _timed(f"{library} {dtype}, {scheme}, {name}, n={n:.0e}, d={d}", calls, library, n * d, repeats)


def _timed(
    case: str, calls: dict[str, Callable[[], Any]], library: str, size: int, repeats: int
) -> Iterator[Record]:  # fmt: skip
    times: dict[str, list[float]] = {method: [] for method in calls}
    spent: dict[str, list[float]] = {method: [] for method in calls}
    broken: dict[str, str] = {}
    for k in range(repeats + 1):
        for method, call in calls.items():
            if method in broken:
                continue
            begin, used = time.perf_counter(), time.process_time()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _finish(library, call())
            except Exception as error:
                broken[method] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:100]}"
                continue
            if k:  # the first compiles
                times[method].append(time.perf_counter() - begin)
                spent[method].append(time.process_time() - used)
    reference = next((method for method in list(calls)[1:] if times[method]), None)
    scale = 1e9 / (size * _STEPS)
    for method, found in times.items():
        if not found:
            yield failure("backends", case, method, broken[method])
            continue
        base = min(times[reference]) if reference else None
        ours = method == "rm.sample"
        note = f"CPU: {min(spent[method]) / min(spent[reference]):.2f}" if reference else ""
        yield Record(
            "backends", case, method, statistics.median(found) * scale, min(found) * scale,
            goal=_GOAL * base * scale if ours and base and library == "jax" else None, unit="ns",
            ratio=min(found) / base if base else None, note=note,
        )  # fmt: skip


def _placed(library: str, values: Any, like: Any) -> Any:
    """Values as an array of the library, of the dtype and on the device of `like`."""
    if library == "torch":
        import torch

        return torch.asarray(values, dtype=like.dtype, device=like.device)
    if library == "jax":
        import jax

        return jax.device_put(values.astype(str(like.dtype)), like.device)
    import cupy

    return cupy.asarray(values, dtype=like.dtype)


def _finish(library: str, values: Any) -> None:
    """Wait until they are there."""
    if library == "jax":
        import jax

        jax.block_until_ready(values)
    elif library == "cupy":
        import cupy

        cupy.cuda.get_current_stream().synchronize()
    elif getattr(values, "is_cuda", False):
        import torch

        torch.cuda.synchronize()


# --- by hand ----------------------------------------------------------------------------------------------------------


def _score(t: Any, x: Any, mean: Any, variances: Any, xp: Any) -> Any:
    e = _exp(-t, xp)
    return (e * mean - x) / (e * e * variances + (1 - e * e))


def _mixture_score(t: Any, x: Any, weights: Any, means: Any, variances: Any, xp: Any) -> Any:
    e = _exp(-t, xp)
    scores, heights = [], []
    for k in range(_COMPONENTS):
        v = e * e * variances[k] + (1 - e * e)
        scores.append((e * means[k] - x) / v)
        size = (scores[-1] ** 2 * v + xp.log(v)).sum(-1)[..., None]
        heights.append(xp.log(weights[k]) - size / 2)
    top = heights[0]
    for height in heights[1:]:
        top = xp.maximum(top, height)
    posterior = [xp.exp(height - top) for height in heights]
    return sum(p * s for p, s in zip(posterior, scores, strict=True)) / sum(posterior)


def _exp(z: Any, xp: Any) -> Any:
    return math.exp(z) if isinstance(z, float) else xp.exp(z)


def _expm1(z: Any, xp: Any) -> Any:
    return math.expm1(z) if isinstance(z, float) else xp.expm1(z)


def _flow(scheme: str, x: Any, t: Any, h: Any, score: Any, xp: Any, uniform: Callable[[], Any]) -> Any:
    """One step of a predictor."""
    if scheme == "euler":
        return x + h * (x + score(t, x))
    if scheme == "exponential_integrator":
        return _exp(h, xp) * x + _expm1(h, xp) * score(t, x)
    a = uniform()
    half = xp.exp(a * h) * x + xp.expm1(a * h) * score(t, x)
    return _exp(h, xp) * x + h * xp.exp((1 - a) * h) * score(t - a * h, half)


def _langevin(x: Any, v: Any, score: Any, normal: Callable[[], Any]) -> tuple[Any, Any]:
    """One step of underdamped Langevin with mass 1, by its textbook covariance."""
    g, h = _FRICTION, _TIME
    e = math.exp(-g * h)
    p = (1 - e) / g
    q = (h - p) / g
    v_v, v_x, x_x = 1 - e * e, (1 - e) ** 2 / g, (2 * g * h - 3 + 4 * e - e * e) / g**2
    slope, rest = v_x / math.sqrt(v_v), math.sqrt(x_x - v_x**2 / v_v)
    s, first, second = score(_LEVEL, x), normal(), normal()
    return x + p * v + q * s + (slope * first + rest * second), e * v + p * s + math.sqrt(v_v) * first


def _on_jax(scheme: str, x0: Any, score: Any, xp: Any) -> dict[str, Callable[[], Any]]:
    import jax

    @jax.jit
    def by_hand(x0: Any, key: Any) -> Any:
        if scheme == "underdamped":

            def turn(state: Any, key: Any) -> Any:
                keys = iter(jax.random.split(key))
                return _langevin(*state, score, lambda: jax.random.normal(next(keys), x0.shape, x0.dtype)), None

            first, *keys = jax.random.split(key, _STEPS + 1)
            v = jax.random.normal(first, x0.shape, x0.dtype)
            return jax.lax.scan(turn, (x0, v), xp.stack(keys))[0][0]

        def step(x: Any, row: Any) -> Any:
            t, h, key = row
            return _flow(
                scheme, x, t, h, score, xp, lambda: jax.random.uniform(key, (len(x), 1), x.dtype)
            ), None  # fmt: skip

        rows = xp.asarray(_TIMES[:-1], x0.dtype), xp.asarray(-np.diff(_TIMES), x0.dtype), jax.random.split(key, _STEPS)
        return jax.lax.scan(step, x0, rows)[0]

    key = jax.random.key(1)
    calls = {"lax.scan by hand": lambda: by_hand(x0, key)}
    if here("diffrax") and scheme in ("euler", "underdamped"):
        calls |= _on_diffrax(scheme, x0, score, key)
    return calls


def _on_diffrax(scheme: str, x0: Any, score: Any, key: Any) -> dict[str, Callable[[], Any]]:
    import diffrax
    import jax

    def solved(solver: Any, terms: Any, start: Any, length: float) -> Any:
        return diffrax.diffeqsolve(
            terms, solver, 0.0, length, length / _STEPS, start, adjoint=diffrax.DirectAdjoint(),
            stepsize_controller=diffrax.ConstantStepSize(), max_steps=_STEPS + 1,
        ).ys  # fmt: skip

    if scheme == "euler":
        first, last = _TIMES[0], _TIMES[-1]
        term = diffrax.ODETerm(lambda s, x, _: x + score(first - s, x))
        flow = jax.jit(lambda x: solved(diffrax.Euler(), term, x, float(first - last))[0])
        return {"diffrax.Euler": lambda: flow(x0)}

    @jax.jit
    def walk(x: Any, key: Any) -> Any:
        first, second = jax.random.split(key)
        path = diffrax.UnsafeBrownianPath(
            jax.ShapeDtypeStruct(x.shape, x.dtype), first, levy_area=diffrax.SpaceTimeLevyArea
        )
        drift = diffrax.UnderdampedLangevinDriftTerm(_FRICTION, 1.0, lambda x, _: -score(_LEVEL, x))
        terms = diffrax.MultiTerm(drift, diffrax.UnderdampedLangevinDiffusionTerm(_FRICTION, 1.0, path))
        start = x, jax.random.normal(second, x.shape, x.dtype)
        return solved(diffrax.ALIGN(0.1), terms, start, _TIME * _STEPS)[0][0]

    return {"diffrax.ALIGN, another scheme": lambda: walk(x0, key)}


def _on_torch(scheme: str, x0: Any, score: Any, xp: Any) -> dict[str, Callable[[], Any]]:
    import torch

    def flow(x: Any, t: Any, h: Any) -> Any:
        return _flow(scheme, x, t, h, score, xp, lambda: torch.rand((len(x), 1), dtype=x.dtype, device=x.device))

    def langevin(x: Any, v: Any) -> Any:
        return _langevin(x, v, score, lambda: torch.randn_like(x))

    def loop(flow: Any, langevin: Any) -> Callable[[], Any]:
        def call() -> Any:
            if scheme == "underdamped":
                state = x0, torch.randn_like(x0)
                for _ in range(_STEPS):
                    state = langevin(*state)
                return state[0]
            x = x0
            for t, h in zip(_TIMES[:-1].tolist(), -np.diff(_TIMES), strict=True):
                x = flow(x, *(torch.tensor(z, dtype=x.dtype, device=x.device) for z in (t, float(h))))
            return x

        return call

    return {
        "loop by hand": loop(flow, langevin),
        "torch.compile by hand": loop(torch.compile(flow), torch.compile(langevin)),
    }


def _on_cupy(scheme: str, x0: Any, score: Any, xp: Any) -> dict[str, Callable[[], Any]]:
    def call() -> Any:
        rng = xp.random.default_rng(1)
        if scheme == "underdamped":
            x, v = x0, rng.standard_normal(x0.shape, dtype=x0.dtype)
            for _ in range(_STEPS):
                x, v = _langevin(x, v, score, lambda: rng.standard_normal(x0.shape, dtype=x0.dtype))
            return x
        x = x0
        for t, h in zip(_TIMES[:-1].tolist(), (-np.diff(_TIMES)).tolist(), strict=True):
            x = _flow(scheme, x, t, h, score, xp, lambda: rng.random((len(x0), 1), dtype=x0.dtype))
        return x

    return {"loop by hand": call}


_STAGES: dict[str, Any] = {
    "euler": rm.Predict(rm.schemes.euler, _TIMES),
    "exponential_integrator": rm.Predict(rm.schemes.exponential_integrator, _TIMES),
    "randomized_midpoint": rm.Predict(rm.schemes.randomized_midpoint, _TIMES),
    "underdamped": rm.Correct(rm.schemes.underdamped(friction=_FRICTION), _LEVEL, _TIME, _STEPS),
}
