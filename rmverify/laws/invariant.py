r"""Langevin steps many times over: moments after N equal steps, and of the law that they leave invariant.

A corrector takes thousands of equal steps; what they leave is found from one of them, without taking them all.

On a centred Gaussian law of precision k (a mode) and for a score -k' x, one step takes the covariance of (x, v) given
the midpoints to A S A^T + C. In units of the law's own, Y = (k S_xx - 1, sqrt(k/u) S_xv, S_vv/u - 1) is 0 for N(0, 1/k)
x N(0, u), and

    Y -> Y + l(alpha) Y + r(alpha),

l and r from the step's own code over balls, so that they keep their digits where h is small (r ~ h^2, and E r ~ h^4 for
a randomized midpoint). The averages of the monomials of Y up to a degree are a linear map of themselves: N steps are a
power of it, by doubling D -> 2 D + D^2 of what it is beyond 1, and what is left invariant solves D m = 0.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmverify.laws.averages.bends import NotResolved
from rmverify.laws.averages.rules import rules
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import from_moments, gauss, unit_balls
from rmverify.plans import Correct, Stage
from rmverify.readings.affine import Transition, weighed
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.readings.cells import transition
from rmverify.schemes.contract import Scheme, Unstable, shipped, velocity_variance
from rmverify.targets.process import mode_variance

__all__ = [
    "Powers", "Spread", "contraction", "first_moments", "invariant", "marginal", "refreshed", "spread", "squared",
    "step_map",
]  # fmt: skip

BITS = 192
_LEAST, _MOST = 8, 64  # Gauss-Legendre nodes in a midpoint
_SETTLED = 1e-15
_STEADY = 1e-9  # change of averages of monomials by more nodes
_SMALL = 0.1
_FORGOTTEN = 800.0  # e^-800 = 0


# --- one step ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """What a step does to Y, of m = 3 components for (x, v) and m = 1 for x alone.

    l (nodes, modes, m, m), r (nodes, modes, m) and the weights of the nodes; the averages `mean_l`, `mean_r` as balls;
    `center` (modes,): the x that every such step from rest leaves where it is, the zero of the score. `coarser` is the
    same on fewer nodes, where a scheme is not known to be analytic in what it draws, and `slip` the relative error of
    the averages, at most, for what the edges of its panels are off.
    """

    l: Array
    r: Array
    weights: Array
    mean_l: Any
    mean_r: Any
    center: Array
    coarser: Spread | None = None
    slip: float = 0.0


def spread(scheme: Scheme, modes: Any, lam: Array, t: float, h: float) -> Spread:
    """One step of length h at noise level t, on the modes of a target with variances lam at time 0.

    Raises
    ------
    ArithmeticError
        Where the averages over what it draws do not settle.
    """
    stage, nodes = Correct(scheme, t, h, 1), _LEAST
    before: Spread | None = None
    with precision(BITS):
        while True:
            found = _units(stage, modes, lam, nodes)
            if not stage.footprint.alphas:
                return found
            if before is not None and _same(before, found):
                if shipped(scheme):
                    return found
                return replace(found, coarser=before, slip=float(rules(stage, modes).slip[0]) * _lean(found))
            before, nodes = found, nodes * 3 // 2
            if nodes > _MOST:
                if shipped(scheme):
                    raise ArithmeticError(
                        f"step: the averages over the midpoint of a step of {h!r} are not resolved by "
                        f"{nodes * 2 // 3} nodes; use a shorter step"
                    )
                raise NotResolved(f"{nodes * 2 // 3} nodes in a panel do not settle it")


def _lean(found: Spread) -> float:
    """How much larger than its average the largest l, or r, is."""
    parts = ((found.l, found.mean_l.astype(float)), (found.r, found.mean_r.astype(float)))
    return max((float(np.abs(z).max() / np.abs(mean).max()) for z, mean in parts if mean.any()), default=0.0)


def _units(stage: Stage, modes: Any, lam: Array, nodes: int) -> Spread:
    scheme, foot, u = stage.scheme, stage.footprint, velocity_variance(stage.scheme)
    t, h = stage.grid
    time, length = (lift(z.reshape(1, 1, 1)) for z in (t, h))
    if foot.alphas:
        rows, weights = rules(stage, modes).at(slice(0, 1), nodes, lift, unit_balls)
        step, chance = weighed(lift_scheme(scheme), modes.lift(lift), time, length, rows[..., None], lift)
        weights = (weights if np.ndim(chance) == 0 else weights * chance[..., 0])[0]
    else:
        weights = lift(np.ones(1))
        step = transition(lift_scheme(scheme), foot, modes.lift(lift), time, length, None, lift)
    k = 1 / mode_variance(lift(lam), lift(t))
    scale = [np.sqrt(k)] if u is None else [np.sqrt(k), 1 / np.sqrt(lift([u]))]
    A, C = _scaled(step, scale, weights.size, lam.size)
    l = squared(A) - np.eye(1 if u is None else 3, dtype=int)
    flat = lift([1] if u is None else [1, 0, 1])
    noise = C[..., :1, 0] if u is None else np.stack([C[..., 0, 0], C[..., 0, 1], C[..., 1, 1]], axis=-1)
    r = (l * flat).sum(axis=-1) + noise
    means = [(weights.reshape(-1, *(1,) * (z.ndim - 1)) * z).sum(axis=0) for z in (l, r)]
    return Spread(
        l.astype(float), r.astype(float), weights.astype(float), means[0], means[1], _center(step, weights, lam.size)
    )


def _center(step: Transition, weights: Any, modes: int) -> Array:
    """x with A (x, 0) + b = (x, 0), whatever is drawn."""
    shape = (weights.size, modes)
    slopes, shifts = (
        [np.broadcast_to(lift(np.asarray(z)), (1, *shape))[0] for z in rows]
        for rows in ([row[0] for row in step.linear], step.shift)
    )
    gap, pull = 1 - slopes[0], shifts[0]
    whole = weights @ gap
    held = np.array([bool(g != 0) for g in whole])
    found = np.where(held, weights @ pull / np.where(held, whole, 1), 0)
    moves = [pull - gap * found, *(a * found + b for a, b in zip(slopes[1:], shifts[1:], strict=True))]
    size = max(1.0, *(float(np.abs(z.astype(float)).max()) for z in (found, pull, gap * found)))
    moves = [z.astype(float) for z in moves]
    if max(float(np.abs(z).max()) for z in moves) > 1e-12 * size:
        if max(float(np.ptp(z, axis=0).max()) for z in moves) > 1e-12 * size:
            raise ValueError(
                "scheme: the step shifts its state by what it draws, not by normal values alone; what such steps leave "
                "invariant is not computed: take rmverify.output_law after many of them"
            )
        raise ValueError("scheme: a step started at rest at the zero of the score must stay there; this one moves away")
    return found.astype(float)


def _scaled(step: Transition, scale: list[Any], nodes: int, modes: int) -> tuple[Any, Any]:
    """A and C (nodes, modes, s, s) of the state times `scale`."""
    span = range(len(scale))

    def table(entry: Any) -> Any:
        rows = [[np.broadcast_to(lift(np.asarray(entry(i, j))), (1, nodes, modes))[0] for j in span] for i in span]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    A = table(lambda i, j: step.linear[i][j] * (scale[i] / scale[j]))
    return A, table(lambda i, j: step.noise[i][j] * (scale[i] * scale[j]))


def squared(A: Any) -> Any:
    """S -> A S A^T on the components (xx), or (xx, xv, vv)."""
    if A.shape[-1] == 1:
        return A * A
    a, b, c, d = A[..., 0, 0], A[..., 0, 1], A[..., 1, 0], A[..., 1, 1]
    rows = [[a * a, 2 * a * b, b * b], [a * c, a * d + b * c, b * d], [c * c, 2 * c * d, d * d]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _same(a: Spread, b: Spread) -> bool:
    pairs = ((x.astype(float), y.astype(float)) for x, y in ((a.mean_l, b.mean_l), (a.mean_r, b.mean_r)))
    with np.errstate(invalid="ignore"):  # infinite ones never settle
        return all(bool((np.abs(x - y) <= _SETTLED * np.abs(y).max()).all()) for x, y in pairs)


# --- its monomials ----------------------------------------------------------------------------------------------------


def _exponents(size: int, order: int) -> list[tuple[int, ...]]:
    """Of the monomials up to a degree, by degree: 1 first, then the components."""
    every = itertools.product(range(order + 1), repeat=size)
    return sorted((e for e in every if sum(e) <= order), key=lambda e: (sum(e), tuple(-n for n in e)))


def first_moments(found: Spread) -> Array:
    """E Y of the law left invariant, (modes, m), solved over balls and rounded once."""
    from flint import arb_mat

    size = found.mean_r.shape[1]
    with precision(BITS):
        solved = [
            arb_mat(size, size, list(l.ravel())).solve(arb_mat(size, 1, [-z for z in r]))
            for l, r in zip(found.mean_l, found.mean_r, strict=True)
        ]
        return np.array([[float(y[i, 0]) for i in range(size)] for y in solved])


def step_map(found: Spread, order: int) -> Array:
    """D (modes, n, n): one step takes the averages m of the monomials of Y up to degree `order` to m + D m.

    Raises NotResolved where it is not the same on fewer nodes, for a scheme of which that is asked.

    Of Y^e with Y' = Y + q the change Q_e follows Q_{e+i} = Q_e Y_i + (Y^e + Q_e) q_i, so that nothing small is the
    difference of what is not.
    """
    nodes, modes, size = found.r.shape
    exponents = _exponents(size, order)
    place = {e: n for n, e in enumerate(exponents)}
    count = len(exponents)
    shifts = []  # of a polynomial times Y_i: where each coefficient goes
    for i in range(size):
        up = [place.get((*e[:i], e[i] + 1, *e[i + 1 :])) for e in exponents]
        shifts.append(np.array([(n, to) for n, to in enumerate(up) if to is not None]).reshape(-1, 2).T)

    def times(polynomial: Array, i: int) -> Array:
        result = np.zeros_like(polynomial)
        source, to = shifts[i]
        result[..., to] = polynomial[..., source]
        return result

    change = np.zeros((count, nodes, modes, count))
    for n, e in enumerate(exponents[1:], 1):
        i = next(i for i in range(size) if e[i])
        less = place[(*e[:i], e[i] - 1, *e[i + 1 :])]
        whole = change[less].copy()
        whole[..., less] += 1
        change[n] = times(change[less], i) + found.r[..., i, None] * whole
        for j in range(size):
            change[n] += found.l[..., i, j, None] * times(whole, j)
    D: Array = np.einsum("nqmc,q->mnc", change, found.weights)
    D[:, 1 : 1 + size, 0] = found.mean_r.astype(float)
    D[:, 1 : 1 + size, 1 : 1 + size] = found.mean_l.astype(float)
    if found.coarser is not None:
        with np.errstate(invalid="ignore"):
            off = np.abs(D - step_map(found.coarser, order))
        if not (off <= _STEADY * (np.abs(D) + 1e-6 * np.abs(D).max())).all():
            raise NotResolved(f"its moments of degree {order} are not")
    return D


def refreshed(D: Array, steps: int) -> Array:
    """D of a trajectory: `steps` steps of (x, v) from a fresh velocity, which is 0 in units of Y, then left.

    On the averages of the powers of Y_xx alone; those with other components are 0 at its start.
    """
    size, total, left = 3, np.zeros_like(D), steps
    with np.errstate(over="ignore", invalid="ignore"):
        while left:
            if left & 1:
                total = total + D + D @ total
            D, left = 2 * D + D @ D, left >> 1
    pure = [n for n, e in enumerate(_exponents(size, _order(D.shape[-1], size))) if not any(e[1:])]
    return np.asarray(total[:, pure][:, :, pure])


class Powers:
    """What 1, 2, 4, 8, .. steps do to averages of the monomials, as they are asked for.

    To how far they are from those that a step leaves invariant, where there are such: moments of a high degree shrink
    to nothing, and must not be what is left of a difference. D of many steps is carried while it is small, then 1 + D.
    """

    def __init__(self, D: Array, size: int) -> None:
        self.gap, self.limit = contraction(D), invariant(D, size)
        self.found: list[tuple[bool, Array]] = [(True, D)]

    def _next(self) -> tuple[bool, Array]:
        less, D = self.found[-1]
        if less and np.abs(D).max() < _SMALL:
            return True, 2 * D + D @ D
        P = D + np.eye(D.shape[-1]) if less else D
        return False, P @ P

    def after(self, steps: int, y: Array) -> Array:
        """The averages of the monomials (modes, n) after so many steps from Y = y (modes, m), known.

        Raises
        ------
        OverflowError
            Where they grow beyond floats.
        """
        size = y.shape[-1]
        if self.limit is not None and steps * self.gap > _FORGOTTEN:
            return np.broadcast_to(self.limit, (max(len(y), len(self.limit)), self.limit.shape[-1]))
        exponents = _exponents(size, _order(self.found[0][1].shape[-1], size))
        m = np.stack([np.prod(y ** np.array(e), axis=-1) for e in exponents], axis=-1)
        off = m if self.limit is None else m - self.limit
        with np.errstate(over="ignore", invalid="ignore"):
            for bit in range(steps.bit_length()):
                if bit == len(self.found):
                    self.found.append(self._next())
                if steps >> bit & 1:
                    less, D = self.found[bit]
                    moved = (D @ off[..., None])[..., 0]
                    off = off + moved if less else moved
        if not np.isfinite(off).all():
            raise Unstable
        return off if self.limit is None else off + self.limit


def contraction(D: Array) -> float:
    """1 - the largest factor by which a step shrinks the averages of degree up to D's; not positive where one grows."""
    return float(1 - np.abs(1 + np.linalg.eigvals(D[:, 1:, 1:])).max())


def invariant(D: Array, size: int) -> Array | None:
    """The averages that a step of Y, of so many components, leaves as they are, (modes, n); None where there are none.

    Degree by degree, for each is smaller than the one before by a factor of its own.
    """
    if not contraction(D) > 0:
        return None
    m = np.zeros(D.shape[:2])
    m[:, 0] = 1
    for degree in range(1, _order(D.shape[-1], size) + 1):
        first, last = (math.comb(p + size, size) for p in (degree - 1, degree))
        due = -(D[:, first:last, :first] @ m[:, :first, None])
        m[:, first:last] = np.linalg.solve(D[:, first:last, first:last], due)[..., 0]
    return m


def _order(count: int, size: int) -> int:
    """The degree up to which there are so many monomials."""
    return next(p for p in itertools.count() if math.comb(p + size, size) >= count)


def marginal(m: Array, size: int, nodes: int) -> tuple[Array, Array]:
    """A Gauss rule (modes, nodes) of Y_xx and its weights, from its moments up to 2 nodes - 1 among m."""
    exponents = _exponents(size, _order(m.shape[-1], size))
    pure = [exponents.index((n, *(0,) * (size - 1))) for n in range(1, 2 * nodes)]
    k = from_moments([m[:, n] for n in pure])
    if nodes == 1:
        return k[0][:, None], np.ones((len(m), 1))
    around, weights = gauss(k[1:], nodes)
    return k[0][:, None] + around, weights
