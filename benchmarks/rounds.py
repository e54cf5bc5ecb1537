"""Wall time of one step of the parallel midpoint against R, for a score of fixed cost: a batch of R is one call.

One particle in dimension 256 and a score like a small neural network's, x -> W2 max(W1 x, 0), hidden width 4096 (17 MB
of weights, 4 Mflop an evaluation): with few strata a round reads the weights and waits for memory, so that its time is
flat in R until the arithmetic fills the cores. `ratio` is the time of a step over that with R = 1. NumPy with one
thread and with two, in processes of their own; CuPy or PyTorch on a GPU where there is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.record import THREADS, Record, failure, measure

__all__ = ["run"]

_DIM, _HIDDEN, _ROUNDS = 256, 4096, 2
_STRATA = (1, 4, 16, 64, 256, 1024)


def run(quick: bool) -> Iterator[Record]:
    """A row for every R and backend."""
    strata = _STRATA[:4] if quick else _STRATA
    for backend, threads in (("numpy", 1), ("numpy", 2), ("cupy", None), ("torch", None)):
        method = backend if threads is None else f"{backend}, {threads} thread(s)"
        environment = {k: v for k, v in os.environ.items() if k not in THREADS}
        environment |= {} if threads is None else dict.fromkeys(THREADS, str(threads))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.rounds", backend, *map(str, strata)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            yield failure("rounds", f"d={_DIM}", method, last[:120])
            continue
        found = json.loads(done.stdout)
        for R, (median, least) in zip(strata, found, strict=True):
            rounds = _ROUNDS + 2
            case = f"parallel_midpoint, R={R}, K={_ROUNDS}, n=1, d={_DIM}"
            note = (
                f"{median / rounds * 1e3:.3g} ms a round, {median / (1 + (_ROUNDS + 1) * R) * 1e6:.3g} us an evaluation"
            )
            yield Record("rounds", case, method, median, least, ratio=median / found[0][0], note=note)


def _measured(backend: str, strata: list[int]) -> list[tuple[float, float]]:
    """Median and least seconds of one step for every R."""
    import numpy as np

    import rmverify as rm

    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((_DIM, _HIDDEN)) / 16, rng.standard_normal((_HIDDEN, _DIM)) / 64]
    xp, wait = _backend(backend)
    first, second = (xp.asarray(w) if backend != "torch" else xp.asarray(w, device="cuda") for w in weights)
    model: Any = first[:1, :1]

    def score(t: Any, x: Any) -> Any:
        rows = xp.reshape(x, (-1, _DIM))  # one product of matrices: NumPy takes (R, 1, d) @ (d, m) as R products
        hidden = rows @ first
        hidden *= hidden > 0
        return xp.reshape(hidden @ second, x.shape) - x

    result = []
    for R in strata:
        plan = rm.Plan([rm.Predict(rm.schemes.parallel_midpoint(strata=R, rounds=_ROUNDS), [1.0, 0.9])])

        def step(plan: Any = plan) -> None:
            rm.sample(plan, score, 1, _DIM, rng=0, like=model)
            wait()

        timing = measure(step, 30, 2.0)
        result.append((timing.median, timing.least))
    return result


def _backend(name: str) -> tuple[Any, Any]:
    """The namespace, and what waits for its device."""
    if name == "numpy":
        import numpy as np

        return np, lambda: None
    if name == "cupy":
        import array_api_compat.cupy as xp
        import cupy

        cupy.cuda.runtime.getDeviceCount()
        return xp, cupy.cuda.Device().synchronize
    import array_api_compat.torch as xp
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("torch: no GPU")
    return xp, torch.cuda.synchronize


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], [int(R) for R in sys.argv[2:]])))
