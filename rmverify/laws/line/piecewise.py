r"""Functions on the line as polynomials on panels, as fine as the mass there asks.

A density relative to the target's varies slowly where there is mass, so that few polynomials keep many digits of it.

On every panel a function is kept by its values at 16 Gauss-Legendre nodes, so that integrals against a density are sums
over the nodes. It may be a row of functions f_1, .., f_V that share the panels, each with a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy.special import logsumexp

from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import NODES, POINTS, TO_LEGENDRE, WEIGHTS, on_panels
from rmverify.numbers.rounding import UNIT
from rmverify.schemes.contract import Unstable

__all__ = ["Panels", "interpolated", "live", "log_mean", "split"]

_COARSEST = 8  # panels to begin with
_DEEPEST = 14  # halvings of one of them
_MOST = 4096  # panels
_WHOLE = 1e-9  # of the mass
_HIGHEST = 700.0  # ln of a density
_BASIS = legendre.legvander(NODES, POINTS - 1)  # P_k at the nodes
_LEFT = (-1.0) ** np.arange(POINTS)  # P_k(-1)


def split(breaks: Array, parts: Any) -> Array:
    """The breaks of every panel cut into its number of parts."""
    parts = np.broadcast_to(np.asarray(parts, dtype=int), breaks.size - 1)
    place = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    return np.append(np.repeat(breaks[:-1], parts) + place * np.repeat(np.diff(breaks) / parts, parts), breaks[-1])


class Panels(NamedTuple):
    """Functions on the line; beyond the panels what they are at the ends.

    Attributes
    ----------
    breaks : ndarray, shape (panels + 1,)
    coefficients : ndarray, shape (panels, POINTS, V)
        In Legendre polynomials on each panel.
    """

    breaks: Array
    coefficients: Array

    @property
    def nodes(self) -> tuple[Array, Array]:
        """Nodes and weights (panels, POINTS)."""
        return on_panels(self.breaks)

    @property
    def values(self) -> Array:
        """At the nodes, (panels, POINTS, V)."""
        return np.asarray(np.einsum("ik,pkv->piv", _BASIS, self.coefficients))

    def __call__(self, x: Array) -> Array:
        """The functions at points, shape (*x.shape, V)."""
        flat = np.clip(x.ravel(), self.breaks[0], self.breaks[-1])
        which = np.clip(np.searchsorted(self.breaks, flat, side="right") - 1, 0, len(self.breaks) - 2)
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(len(self.breaks)))
        z = (2 * flat - self.breaks[which] - self.breaks[which + 1]) / np.diff(self.breaks)[which]
        basis = legendre.legvander(z[order], POINTS - 1)
        found = np.empty((flat.size, self.coefficients.shape[2]))
        for k in range(len(self.breaks) - 1):
            found[ends[k] : ends[k + 1]] = basis[ends[k] : ends[k + 1]] @ self.coefficients[k]
        result = np.empty_like(found)
        result[order] = found
        return result.reshape(*x.shape, -1)


def interpolated(
    logs: Callable[[Array], Array], log_q: Callable[[Array], Array], low: float, high: float, weights: Array,
    tolerance: float, mass: float = 1.0,
) -> tuple[Panels, float]:  # fmt: skip
    r"""The functions l_1, .., l_V on panels, for a density q of mass 1 and q sum_v w_v e^{l_v} of a given mass.

    A panel is halved until what its polynomials miss at its ends, and their last coefficients, times the mass of the
    two densities, and what is missed of the densities themselves, is below `tolerance`. Where one of the two lacks
    mass, a narrow part of it may have lain between all nodes: finer panels are tried from the start, while they help.

    Parameters
    ----------
    logs : callable
        (n,) points to (n, V) values.
    log_q : callable
        ln q at points.
    low, high : float
    weights : ndarray, shape (V,)
    tolerance, mass : float

    Returns
    -------
    panels : Panels
    error : float
        An estimate of int q sum_v w_v |e^{l_v} - e^{found}|.

    Raises
    ------
    OverflowError
        Where a value is not finite.
    ArithmeticError
        Where too many panels are needed.

    Examples
    --------
    >>> log_q = lambda x: -x * x / 2 - np.log(2 * np.pi) / 2
    >>> panels, error = interpolated(lambda x: x[:, None] - 0.5, log_q, -10.0, 10.0, np.ones(1), 1e-12)  # N(1, 1)
    >>> error < 1e-10, bool(abs(panels(np.array([0.25]))[0, 0] + 0.25) < 1e-14)
    (True, True)
    """
    count, before = _COARSEST, 2.0
    while True:
        panels, error = _halved(logs, log_q, np.linspace(low, high, count + 1), weights, tolerance)
        x, w = panels.nodes
        q = log_q(x)
        p = np.exp(q[..., None] + panels.values) @ weights
        off = max(abs(float((w * np.exp(q)).sum()) - 1), abs(float((w * p).sum()) - mass))
        if off <= _WHOLE or off > before / 2 or 8 * count > _MOST:
            return panels, error
        count, before = 8 * count, off


def _halved(
    logs: Callable[[Array], Array], log_q: Callable[[Array], Array], edges: Array, weights: Array, tolerance: float
) -> tuple[Panels, float]:
    left, right = edges[:-1], edges[1:]
    kept: list[tuple[Array, Array]] = []
    total = 0.0
    for depth in range(_DEEPEST + 1):
        if left.size > _MOST:
            raise ArithmeticError(
                f"plan: the output density needs more than {_MOST} panels; use rmverify.sample, or fewer steps"
            )
        half = (right - left)[:, None] / 2
        x = np.concatenate([left[:, None] + half * (1 + NODES), left[:, None], right[:, None]], axis=1)
        found = logs(x.ravel()).reshape(*x.shape, -1)
        q = log_q(x.ravel()).reshape(x.shape)
        if not (np.isfinite(found).all() and float((found + q[..., None]).max()) < _HIGHEST):
            raise Unstable
        coefficients = np.einsum("ik,piv->pkv", TO_LEGENDRE, found[:, :POINTS])
        errors, settled = _errors(found, q, coefficients, half, weights)
        done = (errors <= tolerance) | settled | (depth == _DEEPEST)
        kept.append((left[done], coefficients[done]))
        total += float(errors[done].sum())
        if done.all():
            break
        middle = (left + right)[~done] / 2
        left, right = np.concatenate([left[~done], middle]), np.concatenate([middle, right[~done]])
    starts = np.concatenate([part[0] for part in kept])
    order = np.argsort(starts)
    return Panels(np.append(starts[order], edges[-1]), np.concatenate([part[1] for part in kept])[order]), total


def _errors(found: Array, q: Array, coefficients: Array, half: Array, weights: Array) -> tuple[Array, Any]:
    """Of each panel, the error, and whether all that is left of it is rounding."""
    ends = np.stack([np.einsum("pkv,k->pv", coefficients, _LEFT), coefficients.sum(axis=1)], axis=1)
    missed = np.maximum(np.abs(found[:, POINTS:] - ends).max(axis=1), np.abs(coefficients[:, -2:]).sum(axis=1))
    inner, base = found[:, :POINTS], np.exp(q[:, :POINTS])
    densities = np.exp(inner + q[:, :POINTS, None])
    mass = np.einsum("piv,i->pv", np.maximum(densities, base[:, :, None]), WEIGHTS) * half * weights
    errors = (mass * missed).sum(axis=1)
    for density in (densities @ weights, base):
        errors = errors + 2 * half[:, 0] * np.abs(density @ TO_LEGENDRE[:, -2:]).sum(axis=1)
    rounding = 64 * UNIT * (1 + np.abs(inner).max(axis=(1, 2)) + np.abs(q).max(axis=1))
    peak = (densities @ weights).max(axis=1) + base.max(axis=1)
    return errors, np.asarray(errors <= rounding * peak * 2 * half[:, 0])


def live(x: Array, logs: Array, least: float) -> tuple[float, float]:
    """The range of the grid x on which the logarithms are above `least`, one cell more on both sides."""
    inside = np.flatnonzero(logs > least)
    return float(x[max(inside[0] - 1, 0)]), float(x[min(inside[-1] + 1, x.size - 1)])


def log_mean(logs: Array, log_weights: Array, axis: int) -> Any:
    """ln sum w e^l, with sum w = 1, keeping the digits of what is near 0."""
    if np.abs(logs).max() < 1:
        return np.log1p((np.exp(log_weights) * np.expm1(logs)).sum(axis=axis))
    return logsumexp(logs + log_weights, axis=axis)
