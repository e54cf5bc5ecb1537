r"""Steps of very many strata or cells, from the same step with few of them.

The theorems' parallel plans ask for up to 10^7 cells a step, too many to run as they are.

What a step of R strata (or cells) does is a sum over them of smooth functions of i/R: by Euler and Maclaurin a smooth
function of 1/R, which a polynomial through R = 8, .., 96 continues to any larger R, down to 1/R = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Stage
from rmverify.schemes.contract import Scheme, parameters, unwrap

__all__ = ["COUNTS", "continued", "few", "recounted"]

COUNTS = (8, 12, 16, 24, 32, 48, 64, 96)
_NAMES = ("strata", "cells")


def recounted(scheme: Scheme, count: int) -> Scheme | None:
    """The scheme with so many strata, or cells, in place of more than `COUNTS`; None where it has no more, or they are
    no parameter of it."""
    step, bound = unwrap(scheme)
    name = next((n for n in _NAMES if parameters(scheme).get(n, 0) > COUNTS[-1]), None)
    changed: Scheme | None = None if name is None else step(**{**bound, name: count})
    return changed


def few(stage: Stage) -> Stage:
    """The stage itself, or with as many strata or cells as `COUNTS` has at most: for whether steps are smooth."""
    scheme = recounted(stage.scheme, COUNTS[-1])
    return stage if scheme is None else replace(stage, scheme=scheme)


def continued(
    evaluate: Callable[[Scheme], Sequence[Array]], scheme: Scheme, powers: Sequence[int]
) -> tuple[list[Array], Array]:
    """The arrays of evaluate(scheme), and the error of the first.

    Where the scheme has more than 96 strata (or cells) R it is evaluated at `COUNTS` of them, and R^power times each
    array is continued to the R asked for. The error is the change by the coarsest or the finest of them, and rounding.

    Examples
    --------
    >>> from rmverify.schemes import parallel_midpoint
    >>> def squares(scheme):  # the mean of ((i + 1/2)/R)^2: 1/3 - 1/(12 R^2)
    ...     R = parameters(scheme)["strata"]
    ...     return [np.mean(((np.arange(R) + 0.5) / R) ** 2)]
    >>> (value,), error = continued(squares, parallel_midpoint(strata=10**9, rounds=0), [0])
    >>> bool(abs(value - 1 / 3) < 1e-13 and error < 1e-13)
    True
    """
    if recounted(scheme, COUNTS[0]) is None:
        direct = [np.asarray(each) for each in evaluate(scheme)]
        return direct, UNIT * np.abs(direct[0])
    count = next(float(parameters(scheme)[n]) for n in _NAMES if n in parameters(scheme))
    found = [evaluate(recounted(scheme, size) or scheme) for size in COUNTS]
    x = 1 / np.array(COUNTS, dtype=float)
    weights = _lagrange(x, 1 / count)
    without = np.append(0, _lagrange(x[1:], 1 / count)), np.append(_lagrange(x[:-1], 1 / count), 0)
    results, known = [], np.zeros(())
    for power, values in zip(powers, zip(*found, strict=True), strict=True):
        scaled = np.stack([np.asarray(v) * (size / count) ** power for v, size in zip(values, COUNTS, strict=True)])
        results.append(np.tensordot(weights, scaled, 1))
        known = known if len(results) > 1 else scaled
    change = np.max([np.abs(np.tensordot(weights - fewer, known, 1)) for fewer in without], axis=0)
    return results, change + UNIT * np.tensordot(np.abs(weights), np.abs(known), 1)


def _lagrange(x: Array, at: float) -> Array:
    """The weights of values at x in the interpolating polynomial at a point."""
    gaps = x[:, None] - x + np.eye(x.size)
    return np.asarray([np.prod((at - np.delete(x, j)) / np.delete(gaps[j], j)) for j in range(x.size)])
