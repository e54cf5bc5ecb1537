r"""W_2 to a Gaussian target after n equal Langevin steps, or infinitely many, for many settings at once.

A theorem that holds for every n, step and start is looked at in thousands of places. On one mode, in units where the
target is N(0, 1) (and the velocity's law too), the law given the midpoints is N(m, S). The averages over midpoints of
m, m^2, S and S^2 follow in closed form from the step's own code (`rmverify.laws.invariant`), and they bracket W_2 of
the unconditional law:

    (E m)^2 + (sqrt(E S + Var m) - 1)^2  <=  W_2^2  <=  E m^2 + (sqrt(E S) - 1)^2 + Var S/(E S)^{3/2},

the first by moments (Gelbrich), the second by coupling given the midpoints, W_2^2 <= E[m^2 + (sqrt S - 1)^2], and
sqrt S >= sqrt c (1 + d/2 - d^2/2) for S = c (1 + d), c = E S; or sqrt S >= 0, which gives 2 sqrt c in the last term's
place where c is tiny.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from rmverify.laws.invariant import BITS, Spread, first_moments, invariant, squared, step_map
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import unit_balls, unit_rule
from rmverify.numbers.rounding import EPS
from rmverify.plans import Footprint, footprint
from rmverify.readings.affine import read
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.schemes.contract import velocity_variance

__all__ = ["Bracket", "distances", "invariant_distances"]

NODES = 16  # of Gauss-Legendre in a midpoint: the entries of a step are polynomials in it times e^{gh a}, g h <= 1
MOST, FEWER = 4, 6  # midpoints of a step, and the nodes in each of several
_ROUNDED = 32 * EPS  # what one step rounds of a squared distance, in units of what it works with


class Bracket(NamedTuple):
    """Bounds on W_2 in units of the target's deviation, rounding inside."""

    lower: Array
    upper: Array


def distances(scheme: Any, k: Array, h: Array, steps: Array, start: tuple[Array, Array], **bound: Array) -> Bracket:
    """W_2 between the position after so many steps and N(0, 1/k), of every setting (K,), in float64.

    Parameters
    ----------
    scheme : scheme
        On x or (x, v), its parameters not bound where `bound` has them.
    k, h : ndarray, shape (K,)
        The force is -k x.
    steps : ndarray of int, shape (K,)
    start : (mean, deviation)
        Of x_0 in units of the target's deviation; v_0 is fresh.
    **bound : ndarray, shape (K,)
        Parameters of the scheme, one for each setting.

    Examples
    --------
    >>> from rmverify.schemes import overdamped
    >>> one = np.ones(1)
    >>> found = distances(overdamped, one, 0.5 * one, np.array([1]), (2 * one, 0 * one))  # N(1, 1)
    >>> bool(abs(found.lower[0] - 1) < 1e-12), bool(abs(found.upper[0] - 1) < 1e-12)
    (True, True)
    """
    found, slope = _one_step(scheme, k, h, bound)
    D, size = step_map(found, 2), found.r.shape[-1]
    limit = invariant(D, size)
    mean, deviation = start
    y = np.zeros((k.size, size))
    y[:, 0] = (deviation - 1) * (deviation + 1)
    first = np.concatenate([np.ones((k.size, 1)), y, np.zeros((k.size, D.shape[-1] - 1 - size))], axis=1)
    first[:, 1 + size] = y[:, 0] ** 2
    at = np.zeros_like(first) if limit is None else limit
    averages = at + _powers(np.eye(D.shape[-1]) + D, steps, first - at)
    moved = np.zeros((k.size, slope.shape[-1]))
    moved[:, 0] = mean
    shift = _powers(slope, steps, moved)[:, 0]
    moved = np.zeros((k.size, size))
    moved[:, 0] = mean**2
    square = _powers(np.eye(size) + found.mean_l, steps, moved)[:, 0]
    slip = _ROUNDED * np.minimum(steps, 1 / _gap(found))
    return _bracket(averages[:, 1], averages[:, 1 + size], shift, square, slip)


def invariant_distances(scheme: Any, k: Array, h: Array, **bound: Array) -> Bracket:
    """The same of the law that the steps leave invariant, from one step over balls; NaN where there is none.

    Examples
    --------
    >>> from rmverify.schemes import overdamped
    >>> one = np.ones(1)
    >>> found = invariant_distances(overdamped, one, 0.5 * one)  # variance 1/(1 - h/2)
    >>> bool(abs(found.lower[0] - ((4 / 3) ** 0.5 - 1)) < 1e-12), bool(abs(found.upper[0] - found.lower[0]) < 1e-12)
    (True, True)
    """
    with precision(BITS):
        found, _ = _one_step(scheme, lift(k), lift(h), {name: lift(z) for name, z in bound.items()}, lift)
        D = step_map(found, 2)
        m = invariant(D, found.r.shape[-1])
        if m is None:
            return Bracket(*np.full((2, k.size), np.nan))
        Y = first_moments(found)[:, 0]
    return _bracket(Y, np.maximum(m[:, 1 + found.r.shape[-1]], Y**2), 0 * Y, 0 * Y, 0 * Y)


def _bracket(Y: Array, YY: Array, shift: Array, square: Array, slip: Array) -> Bracket:
    """From E Y and E Y^2 of Y = S - 1, E m and E m^2; `slip`: the rounding of a squared distance in units of 1 + it."""
    S = 1 + Y
    total = S + np.maximum(square - shift**2, 0.0)
    upper = square + (Y / (1 + np.sqrt(S))) ** 2 + np.minimum(np.maximum(YY - Y**2, 0.0) / S**1.5, 2 * np.sqrt(S))
    lower = shift**2 + ((total - 1) / (1 + np.sqrt(total))) ** 2
    slip = slip * (1 + upper)
    upper, lower = np.sqrt(upper + slip), np.sqrt(np.maximum(lower - slip, 0.0))
    return Bracket(lower * (1 - 64 * EPS), upper * (1 + 64 * EPS))


def _gap(found: Spread) -> Array:
    """By how much a step shrinks second moments, at least the rounding."""
    size = np.abs(np.linalg.eigvals(np.eye(found.r.shape[-1]) + found.mean_l)).max(axis=-1)
    return np.asarray(np.maximum(1 - size, EPS))


def _powers(P: Array, steps: Array, v: Array) -> Array:
    """P^n v of every setting with its own n."""
    n, v = steps.astype(np.int64), v.copy()
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        while n.any():
            odd = n % 2 == 1
            v[odd] = (P[odd] @ v[odd][..., None])[..., 0]
            P, n = P @ P, n // 2
    return v


def _rule(foot: Footprint, settings: int, number: Any) -> tuple[Any, Any]:
    """Midpoints (A, settings, nodes, 1) and weights (nodes,): a tensor rule over at most MOST of them."""
    if not foot.alphas:
        return None, number(np.ones(1))
    if foot.alphas > MOST or not foot.plain:
        raise ValueError(f"scheme: expected at most {MOST} midpoints in a step and no choices, got {foot.uniforms}")
    nodes, weights = (unit_rule if number is np.asarray else unit_balls)(NODES if foot.alphas == 1 else FEWER)
    grid = np.indices((nodes.size,) * foot.alphas).reshape(foot.alphas, -1)
    rows = foot.placed(nodes[grid])
    return np.broadcast_to(rows[:, None, :, None], (foot.alphas, settings, grid.shape[1], 1)), weights[grid].prod(
        axis=0
    )


def _one_step(scheme: Any, k: Any, h: Any, bound: dict[str, Any], number: Any = np.asarray) -> tuple[Spread, Any]:
    """What a step does to Y = S - 1, and E A on the means, in units where the target's laws are N(0, 1)."""
    columns = {name: values[:, None, None] for name, values in bound.items()}
    plain = scheme(**dict.fromkeys(bound, 1.0)) if bound else scheme
    step_of = functools.partial(plain if number is np.asarray else lift_scheme(plain), **columns)
    rows, weights = _rule(footprint(plain), k.size, number)
    forces = SimpleNamespace(score=lambda t, x: x * -k[:, None, None])
    step = read(step_of, forces, number(np.zeros((k.size, 1, 1))), h[:, None, None], rows)
    scale = [np.sqrt(k)]
    if (mass := velocity_variance(plain)) is not None:
        scale.append(1 / np.sqrt(np.broadcast_to(bound.get("mass", number(np.asarray(float(mass)))), k.shape)))
    size, shape = range(len(scale)), (k.size, weights.size)

    def table(part: Any, unit: Any) -> Array:
        entries = [
            [np.broadcast_to(number(np.asarray(part[i][j])), (*shape, 1))[..., 0] * unit(i, j)[:, None] for j in size]
            for i in size
        ]
        return np.moveaxis(np.array(entries), (0, 1), (-2, -1)).swapaxes(0, 1)  # (nodes, settings, i, j)

    A = table(step.linear, lambda i, j: scale[i] / scale[j])
    C = table(step.noise, lambda i, j: scale[i] * scale[j])
    count = 1 if len(scale) == 1 else 3
    l = squared(A) - np.eye(count, dtype=int)
    flat = np.array([1] if count == 1 else [1, 0, 1])
    noise = C[..., 0] if count == 1 else np.stack([C[..., 0, 0], C[..., 0, 1], C[..., 1, 1]], axis=-1)
    r = (l * flat).sum(axis=-1) + noise
    means = [(weights.reshape(-1, *(1,) * (z.ndim - 1)) * z).sum(axis=0) for z in (l, r, A)]
    at_nodes = l.astype(float), r.astype(float), weights.astype(float)
    return Spread(*at_nodes, means[0], means[1], np.zeros(k.size)), means[2]
