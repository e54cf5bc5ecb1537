r"""What strata, cells and rounds do to a step of the parallel schemes, exactly: tables, and curves to fit.

Of one step from q_t of length h, d = h/R: without rounds the bias does not depend on R; each round takes it down until
it meets a floor d^2 h, the error of points that lie where their strata put them; the variance given x falls like R^-3
at every K. Both vanish as R and K grow: the limit is the exact flow.

Of the parallel corrector: K rounds over M cells against M rounds, which are M underdamped steps; hardly dependent on M,
and falling like a factorial of 2K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rmverify.divergences.pair import Pair
from rmverify.divergences.tv import total_variation
from rmverify.errors.local import local_error
from rmverify.numbers.values import Value
from rmverify.readings.affine import position
from rmverify.readings.balls import lift, lift_scheme
from rmverify.readings.cells import read_cells
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Gaussian

__all__ = [
    "ROUNDS",
    "STRATA",
    "against_rounds",
    "against_strata",
    "picard_errors",
    "spread_without_rounds",
    "step_errors",
    "towards_flow",
]

STRATA = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = (0, 1, 2, 3, 4)
SHORT, LONG = 2.0**-10, 0.25  # steps: powers of R are fitted at the first, rounds are seen to work at the second

Row = Mapping[str, Any]


def step_errors(
    scheme: Callable[..., Any], target: Gaussian, t: float, h: float, *, strata: Iterable[int] = STRATA,
    rounds: Iterable[int] = ROUNDS,
) -> list[Row]:  # fmt: skip
    r"""Bias and variance of one step for every R and K, exact: rows {"R", "K", "bias", "variance"}.

    bias = (E|E_alpha x^ - x*|^2)^{1/2}, a length; variance = E|x^ - E_alpha x^|^2, a squared length; x ~ q_t.

    Parameters
    ----------
    scheme : callable
        scheme(strata=R, rounds=K) is the step.
    target : Gaussian
    t, h : number
        0 < h <= t, in the process's time.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> target, sizes = Gaussian.isotropic(2.0, 1), {"strata": [1, 16], "rounds": [0, 2]}
    >>> rows = step_errors(schemes.parallel_midpoint, target, 1.0, 0.25, **sizes)
    >>> [f"{row['bias'] * 1e6:.0f}e-6" for row in rows]
    ['305e-6', '287e-6', '305e-6', '1e-6']
    """
    counts = list(rounds)
    rows: list[Row] = []
    for R in strata:
        for K in counts:
            found = local_error(scheme(strata=R, rounds=K), target, t, h)
            rows.append({"R": R, "K": K, "bias": _root(found.bias), "variance": found.variance})
    return rows


def _root(square: Value) -> Value:
    root = math.sqrt(square)
    return Value(root, "exact", square.error / (2 * root) if root else math.sqrt(square.error))


def spread_without_rounds(rows: Sequence[Row]) -> Value:
    """The largest relative difference between the biases at K = 0: 0 up to rounding."""
    biases = [row["bias"] for row in rows if row["K"] == 0]
    first = biases[0]
    return Value(max(abs(b / first - 1) for b in biases), "exact", max((b.error + first.error) / first for b in biases))


def against_strata(rows: Sequence[Row], K: int, what: str) -> tuple[list[float], list[float]]:
    """(1/R, bias or variance) at K rounds, R rising: a curve for `fitted`, of power 2 (bias, K >= 3
    and short steps) or 3 (variance)."""
    chosen = [row for row in rows if row["K"] == K]
    return [1 / row["R"] for row in chosen], [float(row[what]) for row in chosen]


def against_rounds(rows: Sequence[Row], R: int) -> list[Value]:
    """The bias at R strata for K = 0, 1, ..."""
    return [row["bias"] for row in rows if row["R"] == R]


def towards_flow(rows: Sequence[Row]) -> list[tuple[int, int, float]]:
    """(R, K, root mean square error) with R = 4^K, K = 0, 1, ..: the way on which the step becomes the exact flow."""
    return [
        (row["R"], row["K"], math.sqrt(row["bias"] ** 2 + row["variance"])) for row in rows if row["R"] == 4 ** row["K"]
    ]


class _Force:
    """The score -x."""

    def __init__(self) -> None:
        self.lam = lift(np.ones(1))

    def score(self, t: Any, x: Any) -> Any:
        return -x


def picard_errors(scheme: Callable[..., Any], *, cells: Iterable[int], rounds: Iterable[int]) -> list[Row]:
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
    from flint import ctx

    counts = list(rounds)
    one = np.ones((1, 1, 1))
    result: list[Row] = []
    with ctx.workprec(192):

        def variance(M: int, K: int) -> Any:
            step = scheme(cells=M, rounds=K, friction=1)
            moved = position(
                read_cells(lift_scheme(step), _Force(), lift(one), lift(one), lift), velocity_variance(step)
            )
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
