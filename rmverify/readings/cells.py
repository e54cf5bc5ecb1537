r"""The affine reading of steps with many strata or cells: a step as a Markov chain over them.

The strata, or cells, of a step meet only in `prefix` and `total`. Let both return fresh sources and remember what each
stratum adds to them: the scheme's own code then says how the row y = (1, x, v, C_1, .., C_m) of these running sums
moves on,

    y -> (I + G_i(alpha_i)) y + N_i xi_i,   i = 1, .., R,   state' = ends . y,

with its own midpoint or its own noise in every stratum. So R strata cost R, where a tensor rule over their midpoints
costs nodes^R and named noises of every cell cost R^2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rmverify.elementary import joined, part_of, prefix, total
from rmverify.numbers.checks import Array
from rmverify.plans import Footprint
from rmverify.readings.affine import ONE, AffineDraw, AffineForm, Transition, V, X, image, read
from rmverify.schemes.contract import Scheme, velocity_variance

__all__ = ["Chain", "ChainForm", "read_cells", "read_chain", "transition"]

MANY_CELLS = 16  # from here on named noises of every cell are the slower way
_SAME = 1e-12


class _Sums:
    """The running sums of a step: what each stratum adds to each, and whether only the last one may use it."""

    def __init__(self, number: Any) -> None:
        self.number = number
        self.added: list[ChainForm] = []
        self.last: set[int] = set()

    def add(self, form: ChainForm, last: bool) -> ChainForm:
        shapes = [np.shape(part) for part in form.parts.values()]
        count = max((shape[0] for shape in shapes if len(shape) > 3), default=0)
        if not count or not self.last.isdisjoint(form.parts):
            raise not_a_chain(
                "it sums something other than one value a stratum, or uses the strata again after a total over them"
            )
        source = len(self.added)
        self.added.append(form)
        if last:
            self.last.add(source)
        ones = np.ones((1, 1, 1) if last else (count, 1, 1, 1))
        return ChainForm({source: self.number(ones)}, self)


class ChainForm(AffineForm):
    """An affine form whose sums over the strata are sources of their own."""

    __slots__ = ("sums",)

    def __init__(self, parts: dict[Any, Any], sums: _Sums) -> None:
        super().__init__(parts)
        self.sums = sums

    def like(self, parts: dict[Any, Any]) -> ChainForm:
        return ChainForm(parts, self.sums)


total.register(ChainForm, lambda z: z.sums.add(z, last=True))
prefix.register(ChainForm, lambda z: z.sums.add(z, last=False))
for _cut in (joined, part_of):
    _cut.register(ChainForm, lambda *_: _refused())


def _refused() -> Any:
    raise not_a_chain("it cuts its strata or cells into parts")


def not_a_chain(why: str) -> ValueError:
    return ValueError(
        f"scheme: its law over so many strata or cells is not known exactly: {why}; use fewer of them, or pass the "
        "midpoints with alphas="
    )


# --- strata: a midpoint in each -------------------------------------------------------------------------------------


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
    out = image(scheme, ChainForm({X: 1}, sums), t, h, modes, draw)
    if not isinstance(out, ChainForm) or draw.draws:
        raise not_a_chain("it draws noise too" if draw.draws else "its state is not affine in x")
    names = [ONE, X, *range(len(sums.added))]
    dtype = np.asarray(nodes).dtype
    ends = [np.asarray(out.parts.get(name, 0), dtype=dtype) for name in names]
    if any(e.ndim > 3 or (e.ndim > 1 and e.shape[-2] > 1) for e in ends):
        raise not_a_chain("its end depends on a midpoint outside a total over the strata")
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
        raise not_a_chain("a stratum depends on another one's midpoint")
    flat = [np.broadcast_to(e, (width[0], 1, width[2]))[:, 0] for e in ends]
    return Chain(np.array(rows), np.array(columns), steps[..., :size], np.stack(flat, axis=-1))


def _differ(a: Any, b: Any) -> bool:
    if a.dtype == object:
        return not all(x.overlaps(y) for x, y in zip(a.ravel(), b.ravel(), strict=True))
    return bool((np.abs(a - b) > _SAME * np.abs(b).max()).any())


# --- cells: a noise in each -----------------------------------------------------------------------------------------


class _CellDraw(AffineDraw):
    """Noises of the cells are one source for all: each cell has its own copy, and uses no other."""

    def __init__(self, sums: _Sums) -> None:
        super().__init__(None, sums.number)
        self.sums = sums

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        which = len(self.draws)
        self.draws.append((covariance, count))
        ones = self._number(np.ones((1,) * 3 if count is None else (count, 1, 1, 1)))
        return [ChainForm({(which, i, 0): ones}, self.sums) for i in range(len(covariance))]


def transition(
    scheme: Scheme, foot: Footprint, modes: Any, t: Any, h: Any, alphas: Any = None, number: Any = np.asarray
) -> Transition:
    """`read`, by the chain over its cells where the step has many of them."""
    if foot.alphas or foot.noises <= MANY_CELLS:
        return read(scheme, modes, t, h, alphas, number)
    return read_cells(scheme, modes, t, h, number)


def read_cells(scheme: Scheme, modes: Any, t: Any, h: Any, number: Any = np.asarray) -> Transition:
    """What `scheme`, a step over cells that draws no midpoints, does: a `Transition` as from `read`.

    The means of y move by I + G_i and its covariance by Q -> (I + G_i) Q (I + G_i)^T + N_i N_i^T; all cells are
    composed in a balanced tree.

    Examples
    --------
    >>> from rmverify.readings.affine import read
    >>> from rmverify.schemes import parallel_underdamped
    >>> from rmverify.targets import Gaussian
    >>> scheme, modes = parallel_underdamped(cells=3, rounds=2, friction=2), Gaussian.isotropic(0.25, 1).modes
    >>> one, h = np.ones((1, 1, 1)), np.full((1, 1, 1), 0.3)
    >>> cells, named = read_cells(scheme, modes, one, h), read(scheme, modes, one, h)
    >>> bool(abs(cells.noise[0][1] - named.noise[0][1]) < 1e-16)
    True
    """
    kinetic = velocity_variance(scheme) is not None
    sums = _Sums(number)
    draw = _CellDraw(sums)
    inputs = (X, V) if kinetic else (X,)
    state = tuple(ChainForm({source: 1}, sums) for source in inputs)
    out = image(scheme, state if kinetic else state[0], t, h, modes, draw)
    outs = tuple(out) if kinetic else (out,)
    if not all(isinstance(form, ChainForm) for form in outs):
        raise not_a_chain("its state is not affine in x")
    names = [ONE, *inputs, *range(len(sums.added))]
    noises = [((which, i, 0), count) for which, (entry, count) in enumerate(draw.draws) for i in range(len(entry))]
    own, single = ([source for source, count in noises if bool(count) is each] for each in (True, False))
    counts = {count for _, count in draw.draws if count}
    if len(counts) != 1 or any(np.ndim(form.parts.get(n, 0)) > 3 for form in outs for n in [*names, *own, *single]):
        raise not_a_chain("its end depends on a cell outside a total over the cells")
    if any(source in form.parts for form in outs for source in own) or any(
        source in form.parts for form in sums.added for source in single
    ):
        raise not_a_chain("a cell uses another one's noise")
    (count,) = counts
    if any(np.ndim(entry) > 3 for covariance, _ in draw.draws for row in covariance for entry in row):
        raise not_a_chain("its cells do not share one covariance of their noise")
    parts = [part for form in (*sums.added, *outs) for part in form.parts.values()]
    width = np.broadcast_shapes(*(np.shape(p)[-3:] for p in parts), (np.shape(t)[0], 1, np.size(modes.lam)))
    dtype = np.result_type(*(np.asarray(p).dtype for p in parts), float)

    def table(rows: list[Any], columns: list[Any], lead: tuple[int, ...]) -> Any:
        """The coefficients of the forms `rows` in the sources `columns`: (*lead, *width, rows, columns)."""
        result = np.zeros((*lead, *width, len(rows), len(columns)), dtype=dtype)
        for a, form in enumerate(rows):
            for b, source in enumerate(columns):
                result[..., a, b] = form.parts.get(source, 0)
        return result

    first = len(names) - len(sums.added)
    covariance = _covariances(draw.draws, own, width, dtype)
    ends, extra = (table(list(outs), columns, ()) for columns in (names, single))
    moves, noise = table(sums.added, names, (count,)), table(sums.added, own, (count,))
    J = np.zeros((*moves.shape[:-2], len(names), len(names)), dtype=dtype)
    J[..., first:, :] = moves
    J = J + np.eye(len(names), dtype=int)
    Q = np.zeros_like(J)
    Q[..., first:, first:] = noise @ covariance @ noise.swapaxes(-1, -2)
    J, Q = _composed(J, Q)
    slope, spread = ends @ J, ends @ Q @ ends.swapaxes(-1, -2)
    spread = spread + extra @ _covariances(draw.draws, single, width, dtype) @ extra.swapaxes(-1, -2)
    span = range(len(outs))
    return Transition(
        tuple(tuple(slope[..., i, 1 + j] for j in span) for i in span),
        tuple(slope[..., i, 0] for i in span),
        tuple(tuple(spread[..., i, j] for j in span) for i in span),
    )


def _covariances(draws: Any, sources: list[Any], width: tuple[int, ...], dtype: Any) -> Any:
    """The covariance matrix of the sources, (*width, n, n)."""
    result = np.zeros((*width, len(sources), len(sources)), dtype=dtype)
    for a, (which, i, _) in enumerate(sources):
        for b, (other, j, _) in enumerate(sources):
            if which == other:
                result[..., a, b] = draws[which][0][i][j]
    return result


def _composed(J: Any, Q: Any) -> tuple[Any, Any]:
    """All cells along the first axis, in a balanced tree."""
    while len(J) > 1:
        even = len(J) // 2 * 2
        first, second, P = J[0:even:2], J[1:even:2], Q[0:even:2]
        joined = second @ first, second @ P @ second.swapaxes(-1, -2) + Q[1:even:2]
        J, Q = (np.concatenate([new, old[even:]]) for new, old in zip(joined, (J, Q), strict=True))
    return J[0], Q[0]
