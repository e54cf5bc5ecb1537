r"""Averages over many strata: a step read as a Markov chain over its strata, where a tensor rule has too many points.

The strata of a step meet only in `prefix` and `total`. Let both return fresh sources and remember what each stratum
adds to them: the scheme's own code then says how the row y = (1, x, C_1, .., C_m) of these running sums moves on,

    y -> (I + G_i(alpha_i)) y,   i = 1, .., R,   x' = l . y,

with independent alpha_i, so that the mean and the covariance of y given x follow from the averages of G_i and of
G_i (x) G_i, one Gauss rule a stratum. Work: R (m^2 + rounds), exact up to rounding and the rule. Covariances are
carried as such, never as differences of second moments.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rmverify.elementary import prefix, total
from rmverify.laws.conditional import UNIT
from rmverify.laws.midpoints import MOST_POINTS, node_count, unit_rule
from rmverify.plans import Footprint, Stage
from rmverify.readings.affine import ONE, AffineDraw, AffineForm, X, moved
from rmverify.schemes.contract import Scheme, velocity_variance
from rmverify.targets.checks import Array

__all__ = ["Averages", "Chain", "averages", "chainable", "read_chain", "settled"]

_LEAST = 16  # nodes that it takes at least to see a rule settle
_SAME = 1e-12
_SETTLED = 64 * UNIT  # the sums over the strata round more often than those over a tensor rule
_BLOCK = 1 << 20  # numbers per temporary array
_FORMS = ((1, 1), (1, 0), (0, 0))  # of the covariance given x: x^2, x and 1


class _Sums:
    """The running sums of a step: what each stratum adds to each, and whether only the last one may use it."""

    def __init__(self, number: Any) -> None:
        self.number = number
        self.added: list[StrataForm] = []
        self.last: set[int] = set()

    def add(self, form: StrataForm, last: bool) -> StrataForm:
        shapes = [np.shape(part) for part in form.parts.values()]
        count = max((shape[0] for shape in shapes if len(shape) > 3), default=0)
        if not count or not self.last.isdisjoint(form.parts):
            raise _not_a_chain("it sums what is no row over the strata, or goes on after a total over them")
        source = len(self.added)
        self.added.append(form)
        if last:
            self.last.add(source)
        ones = np.ones((1, 1, 1) if last else (count, 1, 1, 1))
        return StrataForm({source: self.number(ones)}, self)


class StrataForm(AffineForm):
    """An affine form whose sums over the strata are sources of their own."""

    __slots__ = ("sums",)

    def __init__(self, parts: dict[Any, Any], sums: _Sums) -> None:
        super().__init__(parts)
        self.sums = sums

    def like(self, parts: dict[Any, Any]) -> StrataForm:
        return StrataForm(parts, self.sums)


total.register(StrataForm, lambda z: z.sums.add(z, last=True))
prefix.register(StrataForm, lambda z: z.sums.add(z, last=False))


def _not_a_chain(why: str) -> ValueError:
    return ValueError(
        f"scheme: exact averages over its strata need a step that is a chain over them, but {why}; "
        "give the midpoints (alphas=) or use fewer strata"
    )


class Chain(NamedTuple):
    """y -> (I + G_i) y over the strata, y = (1, x, sums), and x' = ends . y.

    Entry e of G_i stands in row `rows[e]` (a sum) and column `columns[e]` (of y): `steps[i]` has shape
    (steps, modes, entries, nodes); `ends` has shape (steps, modes, size of y).
    """

    rows: Array
    columns: Array
    steps: Any
    ends: Any

    @property
    def shifts(self) -> bool:
        """Whether the step moves x = 0."""
        return bool((self.columns == 0).any()) or not np.all(self.ends[..., 0] == 0)


class Averages(NamedTuple):
    """Of x' = A x + B: E A and E B, and Cov(A, A), Cov(A, B), Cov(B, B) of a mode, or of any two (left, right)."""

    a: Any
    b: Any
    aa: Any
    ab: Any
    bb: Any


def chainable(scheme: Scheme, foot: Footprint, nodes: int = _LEAST) -> bool:
    """Whether the step draws strata, once, moves x alone, and has too many of them for a tensor rule."""
    drawn = len(foot.uniforms) == 1 and velocity_variance(scheme) is None
    return drawn and max(nodes, _LEAST) ** foot.alphas > MOST_POINTS


def read_chain(
    scheme: Scheme, foot: Footprint, modes: Any, t: Any, h: Any, nodes: Any, number: Any = np.asarray
) -> Chain:
    """Run `scheme` once, with the nodes of [0, 1] in every stratum, and read off the chain.

    Two more columns of midpoints mix the first two nodes over the strata: what a stratum adds may depend on its own
    midpoint only.

    Raises
    ------
    ValueError
        Where the step is no chain over its strata.
    TypeError
        Where the scheme or the score is not affine in x.
    """
    count, size = foot.alphas, len(nodes)
    odd = np.arange(count) % 2
    pick = np.concatenate([np.tile(np.arange(size), (count, 1)), odd[:, None], 1 - odd[:, None]], axis=1)
    stratum, strata = number(foot.stratum).reshape(-1, 1), number(foot.strata).reshape(-1, 1)
    draw = AffineDraw(((nodes[pick] + stratum) / strata)[:, None, :, None], number)
    sums = _Sums(number)
    out = moved(scheme, StrataForm({X: 1}, sums), t, h, modes, draw)
    if not isinstance(out, StrataForm) or draw.draws:
        raise _not_a_chain("it draws noise too" if draw.draws else "its state is not affine in x")
    names = [ONE, X, *range(len(sums.added))]
    dtype = np.asarray(nodes).dtype
    ends = [np.asarray(out.parts.get(name, 0), dtype=dtype) for name in names]
    if any(e.ndim > 3 or (e.ndim > 1 and e.shape[-2] > 1) for e in ends):
        raise _not_a_chain("its end depends on a midpoint outside a total over the strata")
    rows, columns, parts = [], [], []
    for row, form in enumerate(sums.added):
        kept = [name for name in names if name in form.parts and not np.all(form.parts[name] == 0)] or [X]
        rows += [row] * len(kept)
        columns += [names.index(name) for name in kept]
        parts += [np.asarray(form.parts.get(name, 0), dtype=dtype) for name in kept]
    width = np.broadcast_shapes(
        *(p.shape[-3:] for p in parts), *(e.shape for e in ends), (1, size + 2, np.size(modes.lam))
    )
    steps = np.stack([np.broadcast_to(p, (count, *width)) for p in parts], axis=-1).transpose(0, 1, 3, 4, 2)
    mixed = np.take_along_axis(steps[..., :2], np.stack([odd, 1 - odd], 1).reshape(-1, 1, 1, 1, 2), axis=-1)
    if _differ(steps[..., size:], mixed):
        raise _not_a_chain("a stratum depends on another one's midpoint")
    flat = [np.broadcast_to(e, (width[0], 1, width[2]))[:, 0] for e in ends]
    return Chain(np.array(rows), np.array(columns), steps[..., :size], np.stack(flat, axis=-1))


def _differ(a: Any, b: Any) -> bool:
    if a.dtype == object:
        return not all(x.overlaps(y) for x, y in zip(a.ravel(), b.ravel(), strict=True))
    return bool((np.abs(a - b) > _SAME * np.abs(b).max()).any())


def averages(chain: Chain, weights: Any, *, cross: bool = False) -> Averages:
    """The averages over all midpoints of the step maps: (steps, modes), and covariances (steps, modes) of one mode
    with itself or, with `cross`, (steps, modes, modes) of any two."""
    if not cross:
        return _averages(chain, chain, weights, lambda z: z, lambda z: z)
    count, modes, entries, _ = chain.steps.shape[1:]
    size = max(1, _BLOCK // (count * modes * entries**2))
    found = [
        _averages(
            chain._replace(steps=chain.steps[:, :, i : i + size], ends=chain.ends[:, i : i + size]),
            chain,
            weights,
            lambda z: z[:, :, None],
            lambda z: z[:, None],
        )
        for i in range(0, modes, size)
    ]
    return Averages(*(np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)))


def _averages(left: Chain, right: Chain, weights: Any, on_left: Any, on_right: Any) -> Averages:
    """Moments of y = Y (1, x) + noise given x: Y (.., size, 2), and of the noise of left and right the covariances of
    `_FORMS`, (forms, .., sums, sums)."""
    rows, columns = right.rows, right.columns
    first = np.flatnonzero(np.diff(rows, prepend=-1))  # of each sum, its first entry
    sums = len(first)
    forms = _FORMS if (columns == 0).any() else _FORMS[:1]
    same = left is right
    sides = [_Side(left)] if same else [_Side(left), _Side(right)]
    batch = np.broadcast_shapes(on_left(sides[0].Y).shape[:-2], on_right(sides[-1].Y).shape[:-2])
    dtype = right.steps.dtype
    G = np.zeros((len(forms), *batch, sums + 2, sums + 2), dtype=dtype)
    for i in range(len(right.steps)):
        for side in sides:
            side.at(i, weights)
        p, q = sides[0], sides[-1]
        T = on_left(p.off * weights) @ on_right(q.off).swapaxes(-1, -2)
        P, Q = on_left(p.Y), on_right(q.Y)
        M = G + np.stack([P[..., :, None, e] * Q[..., None, :, f] for e, f in forms])
        fresh = T * M[..., columns[:, None], columns]
        fresh = np.add.reduceat(np.add.reduceat(fresh, first, axis=-2), first, axis=-1)
        G[..., 2:, 2:] = on_left(p.map) @ G[..., 2:, 2:] @ on_right(q.map).swapaxes(-1, -2) + fresh
        for side in sides:
            side.step()
    l, r = on_left(left.ends[..., None, 2:]), on_right(right.ends[..., 2:, None])
    second = [(l @ g @ r)[..., 0, 0] for g in G[..., 2:, 2:]]
    if len(forms) == 1:
        second += [0 * second[0]] * 2
    a, b = ((left.ends[..., None, :] @ sides[0].Y[..., :, e, None])[..., 0, 0] for e in (1, 0))
    return Averages(a, b, *second)


class _Side:
    """The mean Y of y as a map of (1, x), stratum after stratum, and the deviations of one stratum's entries."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        size = chain.ends.shape[-1]
        self.Y = np.zeros((*chain.steps.shape[1:3], size, 2), dtype=chain.steps.dtype)
        self.Y[..., 0, 0] = self.Y[..., 1, 1] = 1
        self.J = np.zeros((*chain.steps.shape[1:3], size - 2, size), dtype=chain.steps.dtype)

    def at(self, i: int, weights: Any) -> None:
        entries = self.chain.steps[i]
        mean = entries @ weights
        self.off = entries - mean[..., None]
        self.J[..., self.chain.rows, self.chain.columns] = mean
        self.map = self.J[..., 2:] + np.eye(self.J.shape[-2], dtype=int)

    def step(self) -> None:
        self.Y[..., 2:, :] = self.Y[..., 2:, :] + self.J @ self.Y


def settled(stage: Stage, modes: Any) -> tuple[int, float]:
    """`node_count` of the chain: nodes a stratum, and the change of the averages that is left."""
    return node_count(stage, modes, _watched, _SETTLED)


def _watched(stage: Stage, modes: Any, t: Any, h: Any, nodes: int) -> Array:
    x, w = unit_rule(nodes)
    numbers = stage.footprint.alphas * nodes * np.size(modes.lam)
    if nodes > _LEAST and numbers > 2 * _BLOCK:
        raise ValueError(f"modes: expected fewer for {nodes} nodes in every stratum, got {np.size(modes.lam)}")
    size = max(1, _BLOCK // numbers)
    parts = []
    for n in range(0, len(t), size):
        part = slice(n, n + size)
        found = averages(read_chain(stage.scheme, stage.footprint, modes, t[part], h[part], x), w)
        parts += [found.a, found.a**2 + found.aa, found.b, found.b**2 + found.bb]
    return np.concatenate(parts, axis=None)
