r"""What strata, cells and rounds do to a step of the parallel schemes, exactly: tables, and curves to fit.

Of one step from q_t of length h, d = h/R: without rounds the bias does not depend on R; each round takes it down until
it meets a floor d^2 h, the error of points that lie where their strata put them; the variance given x falls like R^-3
at every K. Both vanish as R and K grow: the limit is the exact flow.

Of the parallel corrector: K rounds over M cells against M rounds, which are M underdamped steps; hardly dependent on M,
and falling like a factorial of 2K.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from flint import ctx

from rmverify.divergences.pair import Pair
from rmverify.divergences.tv import total_variation
from rmverify.errors.local import local_error
from rmverify.numbers.values import Value
from rmverify.readings.affine import position
from rmverify.readings.balls import lift, lift_scheme
from rmverify.readings.cells import read_cells
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Gaussian

__all__ = ["ROUNDS", "STRATA", "picard_errors", "step_errors"]

STRATA = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = (0, 1, 2, 3, 4)
SHORT, LONG = 2.0**-10, 0.25  # steps: powers of R are fitted at the first, rounds are seen to work at the second


def step_errors(
    scheme: Callable[..., Any], target: Gaussian, t: float, h: float, *, strata: Iterable[int] = STRATA,
    rounds: Iterable[int] = ROUNDS,
) -> dict[str, dict[tuple[int, int], Value]]:  # fmt: skip
    r"""Bias and variance of one step from q_t at every (R, K), exact; the step is scheme(strata=R, rounds=K).

    bias = (E|E_alpha x^ - x*|^2)^{1/2}, a length; variance = E|x^ - E_alpha x^|^2, a squared length; x ~ q_t.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> target, sizes = Gaussian.isotropic(2.0, 1), {"strata": [1, 16], "rounds": [0, 2]}
    >>> bias = step_errors(schemes.parallel_midpoint, target, 1.0, 0.25, **sizes)["bias"]
    >>> [f"{bias[size] * 1e6:.0f}e-6" for size in ((1, 0), (1, 2), (16, 0), (16, 2))]
    ['305e-6', '287e-6', '305e-6', '1e-6']
    """
    found: dict[str, dict[tuple[int, int], Value]] = {"bias": {}, "variance": {}}
    for size in itertools.product(strata, rounds):
        error = local_error(scheme(strata=size[0], rounds=size[1]), target, t, h)
        root = math.sqrt(error.bias)
        slip = error.bias.error / (2 * root) if root else math.sqrt(error.bias.error)
        found["bias"][size], found["variance"][size] = Value(root, "exact", slip), error.variance
    return found


def picard_errors(
    scheme: Callable[..., Any], *, cells: Iterable[int], rounds: Iterable[int]
) -> list[Mapping[str, Any]]:
    r"""TV between the positions after one corrector step of length 1 with K rounds over M cells, and with M rounds.

    On the score -x (L = 1), friction 1, from N(0, 1) with a fresh velocity: rows {"M", "K", "TV"} for K < M. Over
    balls, so that nothing cancels.

    Parameters
    ----------
    scheme : callable
        scheme(cells=M, rounds=K, friction=1) is the step.

    Examples
    --------
    >>> from rmverify import schemes
    >>> rows = picard_errors(schemes.parallel_underdamped, cells=[16], rounds=[1, 2, 3])
    >>> [f"{row['TV']:.0e}" for row in rows]
    ['3e-02', '1e-03', '2e-05']
    """
    counts = list(rounds)
    result: list[Mapping[str, Any]] = []
    with ctx.workprec(192):
        one = lift(np.ones((1, 1, 1)))
        force = SimpleNamespace(lam=lift(np.ones(1)), score=lambda t, x: -x)

        def variance(M: int, K: int) -> Any:
            step = scheme(cells=M, rounds=K, friction=1)
            moved = position(read_cells(lift_scheme(step), force, one, one, lift), velocity_variance(step))
            return (moved.linear[0][0] ** 2 + moved.noise[0][0])[0, 0, 0]

        for M in cells:
            limit = variance(M, M)
            for K in counts:
                if K < M:
                    ratio = variance(M, K) / limit
                    u = np.array([float(ratio.log())])
                    pair = Pair.of_log_ratios(u, 1e-15 * np.abs(u), np.ones(1), np.ones(1))
                    parts = pair.ratio, pair.shift, pair.multiplicity, pair.distance_error, pair.log_ratio
                    result.append({"M": M, "K": K, "TV": total_variation(*parts)})
    return result
