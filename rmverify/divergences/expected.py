r"""E_alpha TV: the average over midpoints of the total variation of the law given them.

It is what a sampler is off by whose midpoints are drawn once and shared by all particles, and an upper bound on the
total variation of the unconditional law. It is sampled (`averaged.expected`), but exact where one scale is all that the
midpoints change. On a centred isotropic target it is int TV(N(0, e^u I), N(0, I)) dP(u), with P
the law of the log variance: a smooth density once a few steps have been taken, where TV has a kink at u = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmverify.divergences.averaged import ACCURACY, expected
from rmverify.divergences.tv import total_variation_many
from rmverify.laws import MixtureLaw
from rmverify.laws.scale import STENCIL, Lattice, Unresolved, lagrange
from rmverify.numbers.checks import Array, number
from rmverify.numbers.values import Value
from rmverify.targets import Gaussian

__all__ = ["expected_tv"]

_POINTS = (10.0, 15.0)  # lattice points to a standard deviation of u: two counts, whose difference is the error
_AGREE = 1e-5
_X, _W = np.polynomial.legendre.leggauss(16)


def expected_tv(law: Any, q: Gaussian, *, accuracy: float = ACCURACY, rng: Any = 0) -> Value:
    """E_alpha TV(P_alpha, q) of a mixture over midpoints.

    Exact on centred isotropic targets, once enough steps were taken that the density of u is smooth. Elsewhere
    `monte-carlo`, as for `tv`.

    Parameters
    ----------
    law : MixtureLaw
    q : Gaussian
    accuracy, rng : float, int or generator
        As for `tv`.

    Raises
    ------
    ValueError
        Where the law is no mixture over midpoints.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes
    >>> from rmverify.divergences.expected import expected_tv
    >>> target = Gaussian.isotropic(0.25, 10_000)
    >>> plan = Plan([Predict(schemes.randomized_midpoint, np.linspace(3.0, 0.0, 101))])
    >>> value = expected_tv(output_law(plan, target, start="exact"), target)
    >>> bool(0.1 < value < 0.2), value.kind
    (True, 'exact')
    """
    if not isinstance(law, MixtureLaw):
        raise ValueError("law: expected the mixture over the midpoints of a plan, got a law without any")
    if law.is_scale_mixture and q.variances.size == 1 and q.means[0] == 0 and law.scale_spread > 0:
        exact = _exact(law, q)
        if exact is not None:
            return exact
    return expected(law, q, number("accuracy", accuracy, above=0), rng)


def _exact(law: MixtureLaw, q: Gaussian) -> Value | None:
    """None where the density of the log variance is not resolved, or not smooth after so few steps."""
    try:
        found = [law.scale_lattice(points / law.scale_spread) for points in _POINTS]
    except Unresolved:
        return None
    lattices = [lattice for lattice in found if lattice is not None]
    coarse, fine = (_average(lattice, q) for lattice in lattices)
    change = abs(fine - coarse)
    if not change <= _AGREE * fine:
        return None
    error = change + lattices[1].rounding * math.sqrt(law.dim / 8) + 1e-13 * fine
    return Value.clipped(fine, error, 0, 1)


def _average(lattice: Lattice, q: Gaussian) -> float:
    """int TV(u) p(u) du, p interpolated from the weights, split where u = 0."""
    shift = math.log(lattice.reference / float(q.variances[0]))
    pad = STENCIL
    density = np.pad(lattice.weights, pad) / lattice.spacing
    low = lattice.first - pad * lattice.spacing
    ends = low + lattice.spacing * np.array([STENCIL // 2, density.size - 1 - STENCIL // 2])
    total = 0.0
    for a, b in ((ends[0], min(max(-shift, ends[0]), ends[1])), (min(max(-shift, ends[0]), ends[1]), ends[1])):
        panels = math.ceil((b - a) / (4 * lattice.spacing))
        if not panels:
            continue
        edges = np.linspace(a, b, panels + 1)
        half = np.diff(edges) / 2
        u = ((edges[:-1] + half)[:, None] + half[:, None] * _X).ravel()
        weights = (half[:, None] * _W).ravel()
        place = (u - low) / lattice.spacing
        cell = np.floor(place).astype(int)
        stencil = cell[:, None] + np.arange(1 - STENCIL // 2, STENCIL // 2 + 1)
        p = (lagrange(place - cell) * density[stencil]).sum(axis=1)
        keep = np.abs(p * weights) > 1e-18
        total += float((p * weights)[keep] @ _distances(u[keep] + shift, lattice.dim))
    return total


def _distances(u: Array, dim: int) -> Array:
    """TV(N(0, e^u I), N(0, I))."""
    values, _ = total_variation_many(np.expm1(-u)[:, None], np.zeros((u.size, 1)), np.array([float(dim)]))
    return values
