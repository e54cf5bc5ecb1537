r"""Where a step bends in a midpoint: panels on each of which its entries are all but a polynomial of degree 15.

An average over a midpoint is right only where its rule sees the integrand, and an indicator of probability 1e-4 falls
between the nodes of any rule of a few points. So the entries of a step are looked at themselves: on a grid of 2^20
points, on points that close in on both ends like 2^-k, and on random ones. A panel whose interpolant misses one of them
is halved, down to neighbouring floats; where panels pile up there is a jump or a kink, which becomes an edge.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rmverify.laws.conditional import column
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import NODES, POINTS, TO_LEGENDRE
from rmverify.plans import Predict, Stage
from rmverify.readings.affine import weighed
from rmverify.readings.duals import identity
from rmverify.readings.kernel import kernel
from rmverify.schemes.contract import shipped
from rmverify.targets.estimated import EstimatedModes
from rmverify.targets.gaussian import Modes
from rmverify.targets.process import mode_variance

__all__ = ["DURATIONS", "NotResolved", "bends", "callable_bias"]

MOST_PANELS = 2000  # of a step
MOST_SLOTS = 8
DURATIONS = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 40.0])  # edges of panels of a duration
_GRID = 1 << 20  # points of a close look along one number: what is wider than 1e-6 is met
_TOTAL = 1 << 21  # points of a step that draws several
_FEWEST = 1 << 12
_MOST = 1 << 27  # numbers, points times modes, of all close looks at a stage
_SAMPLE = 1 << 25  # of those at some of its steps
_SOME = 4, 32  # how many these are
_REST = 1 << 23  # of those at all others, together
_BIASES = 1 << 25  # as _REST, where the bias of a score may be rough
_CLOSE = 1 << 16
_TOLERANCE = 1e-10  # of the size of the entries
_NOISE = 16.0  # median changes of a bias between neighbouring floats that are no bend
_DEPTH = 50
_NARROW = 2.0**-10
_RANDOM = np.random.default_rng(20)
_SHIFTS = _RANDOM.random(64)
_PLACES = np.array([-1.3713, 0.8371])  # deviations from the mean, of points on a line
_SCATTERED = np.sort(_RANDOM.random(1024))
_MIXING = 1 + _RANDOM.random(997)
_CHUNK = 1 << 17
_BLOCK = 1 << 14
_AROUND = 16  # widths on both sides of a narrowest panel: a jump may be in a neighbour


class NotResolved(ArithmeticError):
    """An average over what a step draws that no rule within reach resolves."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"scheme: the average over what a step draws did not converge: {why}; pass what it draws with alphas=, or "
            "draw choices and durations with draw.bernoulli and draw.exponential"
        )


def bends(stage: Stage, modes: Any) -> list[Array | None]:
    """Of each number that a step draws, on a target's modes or a law of the line, the edges of panels (steps or 1,
    edges); None for a choice.

    Rows of fewer panels end in edges that are repeated. Of more than `MOST_SLOTS` numbers, strata then, only the first,
    one in the middle and the last are looked at, and all share their edges.

    Up to 32 of the different steps of a stage are looked at closely, those at its ends and of the largest h/t among
    them. Where they bend nowhere within less than 2^-10, or all at the same places, the others are looked at there and
    on a coarser grid. Where such narrow places move with t or h every step is looked at closely, or none is trusted.
    A bias that is a function of t is looked at on a grid over all levels of the stage.

    Raises
    ------
    NotResolved
        Where a step bends in more places than a rule can follow, or steps that bend at narrow places, each at its own,
        are too many.
    """
    pairs, which = np.unique(np.stack(stage.grid, axis=1), axis=0, return_inverse=True)
    order = np.random.default_rng(len(pairs)).permutation(len(pairs))
    longest = int(np.argmax(pairs[:, 1] / np.maximum(pairs[:, 0], 1e-300)))
    first = [*dict.fromkeys([longest, 0, len(pairs) - 1])]  # by t, as they are sorted
    order = np.array([*first, *order[~np.isin(order, first)]])
    pairs, which = pairs[order], np.argsort(order)[np.ravel(which)]

    def each(rows: list[Array]) -> Array:
        """The edges of every step, one row where they are all the same."""
        size = max(row.size for row in rows)
        table = np.stack([np.pad(row, (0, size - row.size), mode="edge") for row in rows])
        return table[:1] if (table == table[0]).all() else table[which]

    foot, rough = stage.footprint, callable_bias(modes)
    # a bias that is a function of t is one number for all modes, or one for each
    width = max(1, np.size(modes.bias(pairs[0, 0].reshape(1, 1, 1)))) if rough else 1
    if shipped(stage.scheme):
        count = max(_FEWEST, min(_GRID, _BIASES // (len(pairs) * width)))
        edges = _along([_biases(stage, modes, *pair) for pair in pairs.tolist()], count)
        own = zip(foot.stratum, foot.strata, strict=True)
        return [each([np.unique((row * size - k).clip(0, 1)) for row in edges]) for k, size in own]
    random = [slot for slot, kind in enumerate(foot.slots) if kind != "bernoulli"]
    few = _enough(stage, modes, pairs[0])
    kind = _Step if isinstance(modes, Modes) else _OnLine
    steps = [kind(stage, few, t, h, width) for t, h in pairs[:, :, None]]
    found: list[Array | None] = [None] * foot.alphas
    some = random if len(random) <= MOST_SLOTS else [random[n] for n in (0, len(random) // 2, -1)]
    for slot in some:
        found[slot] = each(_looked(steps, slot, len(some), rough=rough))
    if len(some) < len(random):
        together = np.unique(np.concatenate([edges.ravel() for edges in found if edges is not None]))[None]
        for slot in random:
            found[slot] = together
    return found


def callable_bias(modes: Any) -> bool:
    """Whether the score has a bias that is a function of t, and may be rough anywhere."""
    return isinstance(modes, EstimatedModes) and modes.varies


def _looked(steps: list[_Step], slot: int, slots: int, *, rough: bool) -> list[Array]:
    """The edges along one number of every step, from close looks at all of them or at some."""
    count, cost = len(steps), steps[0].cost * slots
    some = min(count, int(np.clip(_SAMPLE // cost, *_SOME)))
    if some * cost > _MOST:
        raise NotResolved(f"{steps[0].work} modes with coefficients of their own are too many to search for bends")
    if some < count:
        share = (_BIASES if rough else _REST) // (count * cost // steps[0].probes)
        found = _sampled(steps, slot, some, max(_FEWEST, min(_GRID, share)))
        if found is not None:
            return found
        if count * cost > _MOST:
            raise NotResolved(
                f"it bends at places that move from step to step, and {count} different steps are too many to search"
            )
    return _along([step.along(slot) for step in steps], steps[0].probes, steps[0].kinds[slot])


def _sampled(steps: list[_Step], slot: int, some: int, fewer: int) -> list[Array] | None:
    """The edges along one number of every step, from close looks at some; None where narrow panels move."""
    kind = steps[0].kinds[slot]
    start = _start(kind)

    def look(n: int, count: int, start: Array) -> Array:
        if n >= some:
            steps[n].contexts = steps[0].contexts
        return _edges(steps[n].along(slot), _probes(count, n, kind), start)

    found = [look(n, steps[n].probes, start) for n in range(some)]
    common = start
    if any(_marks(edges).size for edges in found):
        edges = np.unique(np.concatenate(found[: some // 2]))
        common = edges[np.diff(edges, prepend=-1.0) > 4 * np.spacing(edges)]  # one of those that are the same
        if any(_moves(edges, common) for edges in found[some // 2 :]):
            return None
    for n in range(some, len(steps)):
        found.append(look(n, fewer, common))
        if _moves(found[-1], common):
            return None
    return [common if _within(edges, common).all() else edges for edges in found]


def _within(edges: Array, common: Array) -> Array:
    """Which edges are among the common ones, up to rounding."""
    after = np.searchsorted(common, edges).clip(1, common.size - 1)
    near = np.minimum(np.abs(common[after] - edges), np.abs(common[after - 1] - edges))
    return np.asarray(near <= 4 * np.spacing(edges))


def _moves(edges: Array, common: Array) -> bool:
    """Whether there are narrow panels that the common edges do not have."""
    there = _within(edges, common)
    return not np.minimum(there[:-1], there[1:])[np.diff(edges) < _NARROW].all()


def _biases(stage: Stage, modes: Any, t: float, h: float) -> Callable[[Array], Array]:
    """(Q,) places in a step of a scheme of this package -> (1, Q): the bias of the score there, over the modes mixed.

    It is all that may be rough in such a step, which asks its scores at t - ah, or at t.
    """
    length = h if isinstance(stage, Predict) else 0.0
    scale: list[Array] = []

    def at(values: Array) -> Array:
        size = max(1, _CHUNK // np.size(modes.lam))
        return np.concatenate([part(t - values[n : n + size] * length) for n in range(0, len(values), size)])[None]

    def part(levels: Array) -> Array:
        found = np.asarray(modes.bias(levels.reshape(-1, 1, 1)), dtype=float)
        rows = np.broadcast_to(found, np.broadcast_shapes(found.shape, (len(levels), 1, 1)))[:, 0]
        if not np.isfinite(rows).all():
            raise NotResolved("the bias of the score is not finite everywhere")
        if not scale:
            scale.append(np.median(np.abs(rows), axis=0) + 1e-6)
        return np.asarray(rows @ (np.resize(_MIXING, rows.shape[1]) / scale[0]))

    # in a step as short as a few floats the levels themselves are rounded, and the bias moves with them
    levels = t - _SCATTERED * length
    moved = np.median(np.abs(part(np.nextafter(levels, np.inf)) - part(levels)))
    at.floor = _NOISE * float(moved)  # type: ignore[attr-defined]
    return at


def _enough(stage: Stage, modes: Any, pair: Array) -> Any:
    """`_some` of the modes, where the step takes them: it may have a coefficient for each."""
    few = _some(modes)
    if few is not modes:
        step = _Step(stage, few, pair[:1], pair[1:], 1)
        try:
            step.entries(step.anywhere)
        except NotResolved:
            return few
        except Exception:  # whatever a stranger's step raises on fewer columns
            return modes
    return few


def _some(modes: Any) -> Any:
    """The modes of the smallest and the largest variance, and one with all of a bias that differs over the modes."""
    if not isinstance(modes, Modes) or np.size(modes.lam) <= 3:
        return modes
    ends = np.unique([int(np.argmin(modes.lam)), int(np.argmax(modes.lam))])
    lam, mean = (np.broadcast_to(z, np.shape(modes.lam))[ends] for z in (modes.lam, modes.mean))
    if not isinstance(modes, EstimatedModes):
        return Modes(lam, mean)
    mixing = np.resize(_MIXING, np.size(modes.lam)) / np.size(modes.lam)

    def bias(t: Any) -> Any:
        whole = np.asarray(modes.bias(t))
        if whole.ndim == 0 or whole.shape[-1] == 1:
            return whole
        return np.concatenate([whole[..., ends], (whole @ mixing)[..., None]], axis=-1)

    lam, mean = (np.append(z, z[0]) for z in (lam, mean))
    return EstimatedModes(lam, mean, modes.gain, bias, modes.varies)


def _along(entries: list[Callable[[Array], Array]], count: int, kind: str = "uniform") -> list[Array]:
    """The edges along one number of every step, looked at on so many points of a grid."""
    start = _start(kind)
    found = [_edges(f, _probes(count, n, kind), start) for n, f in enumerate(entries)]
    if len(entries) > 1:  # what one step shows is looked for in all of them
        marks = np.unique(np.concatenate([_marks(edges) for edges in found]))
        for n, f in enumerate(entries if marks.size else []):
            if _halved(f, marks, f(marks), found[n]).size > found[n].size:
                found[n] = _edges(f, np.unique(np.concatenate([_probes(count, n, kind), marks])), start)
    return found


def _start(kind: str) -> Array:
    return DURATIONS if kind == "exponential" else np.array([0.0, 1.0])


def _probes(count: int, seed: int, kind: str) -> Array:
    grid = (np.arange(count) + _SHIFTS[seed % _SHIFTS.size]) / count
    graded = 2.0 ** -np.arange(1, _DEPTH + 1)
    others = np.unique(np.concatenate([graded, 1 - graded, _SCATTERED]))
    u = np.insert(grid, np.searchsorted(grid, others), others)
    return -np.log(u[::-1]) if kind == "exponential" else u


def _marks(edges: Array) -> Array:
    """The middles of the narrow panels."""
    width = np.diff(edges)
    return np.asarray((edges[:-1] + width / 2)[width < _NARROW])


def _root(slots: int) -> float:
    """The root above 1 of x^(slots+1) = x + 1, whose powers make a sequence of low dispersion in so many numbers."""
    x = 1.5
    for _ in range(64):
        x = (1 + x) ** (1 / (slots + 1))
    return x


class _Step:
    """The entries of one step as functions of one of its draws, in units of their own size, mixed into one."""

    def __init__(self, stage: Stage, modes: Any, t: Array, h: Array, work: int) -> None:
        self._stage, self._modes, self._time, self._length = stage, modes, column(t), column(h)
        self._foot, self.kinds = stage.footprint, stage.footprint.slots
        self.width = self._columns()
        self.work = max(work, self.width)

    def _columns(self) -> int:
        return int(np.size(self._modes.lam))

    @functools.cached_property
    def contexts(self) -> list[Array]:
        """Values of all that is drawn: at random, choices all made or none, and where the step is most unlike itself
        among many values drawn together, half of them close to ends."""
        kinds = np.array(self.kinds)[:, None]
        if len(kinds) == 1:
            return [np.zeros(1)]
        first = self.anywhere
        found = [np.where(kinds[:, 0] == "bernoulli", chosen, first[:, 0]) for chosen in (1.0, 0.0)]
        scales: Array | None = None
        best, values = [-np.inf, -np.inf], [first[:, 0], first[:, 0]]
        for u, choices in self._together(max(1, _CHUNK // (self.work * len(kinds)))):
            every = self._drawn(u, choices)
            rows = self.entries(every)
            scales = self._scales(rows) if scales is None else scales
            mixed = (np.resize(_MIXING, len(rows)) / scales) @ rows
            for k, signed in enumerate((mixed, -mixed)):
                place = int(np.argmax(signed))
                if signed[place] > best[k]:
                    best[k], values[k] = float(signed[place]), every[:, place]
        return [*found, *values]

    @property
    def anywhere(self) -> Array:
        """Values (A, 1) of what it draws."""
        return self._drawn(*next(self._together(1)))

    def _drawn(self, u: Array, choices: Any) -> Array:
        kinds = np.array(self.kinds)[:, None]
        return np.where(kinds == "bernoulli", choices, np.where(kinds == "exponential", -np.log(u), u))

    def _together(self, part: int) -> Iterator[tuple[Array, Any]]:
        """Points (A, n) of the unit cube and choices: a lattice, which meets every box that is not much smaller than
        one over their number, and random ones close to the ends."""
        slots, count = self._foot.alphas, _TOTAL // max(1, self._foot.alphas // 2)
        root = _root(slots)
        slopes = root ** -np.arange(1.0, slots + 1)
        rng = np.random.default_rng(7)
        for n in range(0, count, part):
            place = np.arange(n, min(n + part, count))
            yield (0.5 + place * slopes[:, None]) % 1.0, rng.random((slots, place.size)) < 0.5
        close = np.where(rng.random((slots, _CLOSE)) < 0.5, 0.5, 1.0) * 2.0 ** -rng.integers(1, 21, (slots, _CLOSE))
        close = np.where(rng.random(close.shape) < 0.5, close, 1 - close)
        for n in range(0, _CLOSE, part):
            piece = close[:, n : n + part]
            yield piece, rng.random(piece.shape) < 0.5

    @property
    def probes(self) -> int:
        """How many along one number in a close look."""
        alphas = self._foot.alphas
        return _GRID if alphas == 1 else max(_FEWEST, min(_GRID, _TOTAL // (4 * max(1, alphas // 2))))

    @property
    def cost(self) -> int:
        """How many numbers a close look along one number takes."""
        return self.work * self.probes * (1 if self._foot.alphas == 1 else 4)

    def along(self, slot: int) -> Callable[[Array], Array]:
        """(Q,) values of one draw -> (contexts, Q): the others as in `contexts`."""
        scales: dict[int, Array] = {}

        def at(values: Array) -> Array:
            size = max(1, _CHUNK // (self.work * self._foot.alphas))
            parts = [values[n : n + size] for n in range(0, len(values), size)]
            return np.stack([np.concatenate([mixed(k, part) for part in parts]) for k in range(len(self.contexts))])

        def given(k: int, values: Array) -> Array:
            drawn = np.repeat(self.contexts[k][:, None], values.size, axis=1)
            drawn[slot] = values
            return self.entries(drawn)

        def mixed(k: int, values: Array) -> Array:
            if k not in scales:
                scales[k] = self._scales(given(k, _probes(64, 0, self.kinds[slot])))
            rows = given(k, values)
            return np.asarray((np.resize(_MIXING, len(rows)) / scales[k]) @ rows)

        return at

    def entries(self, drawn: Array) -> Array:
        """The entries of the step, one row each, at values (A, Q) of what it draws."""
        with np.errstate(all="ignore"):
            parts = self._read(self._foot.placed(drawn))
        shape = (1, drawn.shape[1], self.width)
        found = np.concatenate([np.broadcast_to(np.asarray(e, float), shape)[0].T for e in parts])
        if not np.isfinite(found).all():
            raise NotResolved("it is not finite everywhere")
        return found

    def _read(self, rows: Array) -> list[Any]:
        step, weight = weighed(self._stage.scheme, self._modes, self._time, self._length, rows[:, None, :, None])
        return [*step.entries, weight]

    def _scales(self, rows: Array) -> Array:
        """Of every entry its size, with what it may be the small difference of."""
        size = np.median(np.abs(rows), axis=1).reshape(-1, self.width)
        inputs = 1 if len(size) == 4 else 2  # s^2 + s + s^2 + 1 entries
        linear = inputs * inputs
        size[:linear] += 1e-4
        size[linear : linear + inputs] += self._least(rows[linear * self.width : (linear + inputs) * self.width])
        noise = size[linear + inputs : -1]
        noise += 1e-3 * noise.max() + 1e-300
        size[-1] += 1e-4
        return np.asarray(size.ravel())

    def _least(self, shifts: Array) -> Array:
        """Of the shifts what counts at least: 1e-4 of the largest that is seen, or of the law's deviation where that
        is less, and all of the mean, which they may be the small difference of."""
        least = 1e-4 * np.sqrt(mode_variance(self._modes.lam, float(self._time[0, 0, 0])))
        seen = 1e-4 * np.abs(shifts).max(axis=1).reshape(-1, self.width)
        if not callable_bias(self._modes):  # of such a bias as well
            least = np.where(seen > 0, np.where(least > 0, np.minimum(seen, least), seen), least)
        return np.asarray(np.where(least > 0, least, 1e-4) + np.abs(self._modes.mean))


class _OnLine(_Step):
    """The same of a step on a law of the line: where it takes two points, its slope there, and its noise."""

    def _columns(self) -> int:
        law = self._modes.at(float(self._time[0, 0, 0]))
        self._deviation = math.sqrt(law.variance)
        self._points = law.mean + self._deviation * _PLACES
        return _PLACES.size

    def _read(self, rows: Array) -> list[Any]:
        t, h = float(self._time[0, 0, 0]), float(self._length[0, 0, 0])
        end = kernel(self._stage.scheme, self._modes, identity(self._points[None]), t, h, rows[..., None])
        return [end.moved[0].value, end.moved[0].slope, end.noise[0][0]]

    def _scales(self, rows: Array) -> Array:
        size = np.median(np.abs(rows), axis=1).reshape(-1, self.width)
        size[0] += 1e-4 * self._deviation
        size[1] += 1e-4
        size[2] += 1e-300
        return np.asarray(size.ravel())


def _edges(f: Callable[[Array], Array], probes: Array, start: Array) -> Array:
    """Edges of panels from start[0] to start[-1] on which f is resolved at the probes."""
    due = f(probes)
    found = _halved(f, probes, due, start)
    width = np.diff(found)
    before, after = np.append(np.inf, width[:-1]), np.append(width[1:], np.inf)
    special = np.flatnonzero((width < _NARROW**2) & (width <= before) & (width < after)).tolist()
    places = _located(f, start, *((found[n], found[n + 1]) for n in special if n > 0))
    if places.size:
        after = np.searchsorted(places, probes).clip(0, places.size - 1)
        nearest = np.minimum(np.abs(places[after] - probes), np.abs(places[np.maximum(after - 1, 0)] - probes))
        clear = nearest > 4 * np.spacing(probes)
        fewer = _halved(f, probes[clear], due[:, clear], np.unique(np.concatenate([start, places])))
        if fewer.size < found.size:
            return fewer
    return found


def _located(f: Callable[[Array], Array], start: Array, *around: tuple[float, float]) -> Array:
    """The float at which f has jumped, in each of these intervals: of the two halves always the one it changes in."""
    if not around:
        return np.zeros(0)
    low, high = np.array(around).T
    low, high = (
        np.clip(z, 2.0**-_DEPTH, start[-1]) for z in (low - _AROUND * (high - low), high + _AROUND * (high - low))
    )
    before, after = f(low), f(high)
    while ((high - low) > np.spacing(high)).any():
        middle = (low + high) / 2
        now = f(middle)
        left = np.abs(now - before).sum(axis=0) > np.abs(after - now).sum(axis=0)
        high, after = np.where(left, middle, high), np.where(left, now, after)
        low, before = np.where(left, low, middle), np.where(left, before, now)
    return np.asarray(high)


def _points(a: Any, b: Any) -> Any:
    """Which panels are as good as points: in units of their place, or less likely than anything that counts."""
    return (b - a <= 4 * np.spacing(b)) | (b <= 2.0**-_DEPTH)


def _halved(f: Callable[[Array], Array], probes: Array, due: Array, start: Array) -> Array:
    a, b = start[:-1], start[1:]
    done = [start]
    count = len(a)
    while a.size:
        x = (a + b)[:, None] / 2 + (b - a)[:, None] / 2 * NODES
        ends = np.stack([a + 8 * np.spacing(a), b - 8 * np.spacing(b)], axis=1)
        values = f(np.concatenate([x, ends], axis=1).ravel())
        values = values.reshape(len(values), len(a), -1)
        values, at_ends = values[..., :POINTS], values[..., POINTS:]
        terms = values @ TO_LEGENDRE
        low, high = np.searchsorted(probes, a, side="right"), np.searchsorted(probes, b, side="left")
        top = np.abs(values).max(axis=2)
        size = _TOLERANCE * (1 + top) + 4 * np.spacing(b) / (b - a) * top  # a node is rounded itself
        size = size + getattr(f, "floor", 0.0)
        there = np.polynomial.legendre.legvander((2 * ends - (a + b)[:, None]) / (b - a)[:, None], POINTS - 1)
        off = np.einsum("cpk,pek->cpe", terms, there) - at_ends
        missed = (np.abs(off).max(axis=2) > size).any(axis=0) | (np.abs(terms[..., -2:]).max(axis=2) > size).any(axis=0)
        missed |= [
            not bad and _misses(terms[:, n], size[:, n], probes[low[n] : high[n]], due[:, low[n] : high[n]], l, r)
            for n, (bad, l, r) in enumerate(zip(missed, a, b, strict=True))
        ]
        missed &= ~_points(a, b)
        middle = ((a + b) / 2)[missed]
        done.append(middle)
        count += middle.size
        if count > MOST_PANELS:
            raise NotResolved(f"it bends in more than {MOST_PANELS} places")
        a, b = np.concatenate([a[missed], middle]), np.concatenate([middle, b[missed]])
    return np.unique(np.concatenate(done))


def _misses(terms: Array, size: Array, probes: Array, due: Array, a: float, b: float) -> bool:
    """Whether the interpolant on a panel, by its Legendre coefficients, misses a value at a probe by more than size."""
    rest = np.cumsum(np.abs(terms[:, ::-1]), axis=1)[:, ::-1]  # of every term, it and those beyond
    terms = terms[:, : max(1, int((rest > 1e-4 * size[:, None]).any(axis=0).sum()))]
    for at, known in ((probes[::64], due[:, ::64]), (probes, due)):
        for n in range(0, at.size, _BLOCK):
            z = (2 * at[n : n + _BLOCK] - a - b) / (b - a)
            off = np.polynomial.legendre.legval(z, terms.T) - known[:, n : n + _BLOCK]
            if (np.abs(off).max(axis=1) > size).any():
                return True
    return False
