"""Averages over what a step draws: Gauss-Legendre in each midpoint, with as many nodes as the score's pole asks for.

A randomized step is judged by averages over its midpoint, and these must not add an error of their own.

A scheme of this package on the score of a target itself is analytic in its midpoints: one panel each. Of any other one
it is looked up where it bends (`rmverify.laws.averages.bends`), and the rule goes on panels between those places.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmverify.elementary import exp
from rmverify.laws.averages.bends import DURATIONS, NotResolved, bends, callable_bias
from rmverify.laws.conditional import column
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import unit_rule
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Correct, Footprint, Stage
from rmverify.readings.affine import Transition, weighed
from rmverify.schemes.contract import shipped, unwrap
from rmverify.targets import Factor
from rmverify.targets.estimated import EstimatedModes
from rmverify.targets.gaussian import Modes

MOST_NODES = 512
MOST_POINTS = 20_000
LEAST_NODES = 6  # in one midpoint
_MOST_TOGETHER = 1 << 18  # points for several draws that are not strata of one
_BLOCK = 1 << 21  # numbers per temporary array
SCATTERED = np.random.default_rng(3).random(6)  # points of [0, 1] at which nothing vanishes by design
_REACH = 10.0  # the duration, times the nodes of a panel, up to which a rule follows it
_WIDEST = 8.0  # panel of a duration
_UNIT_EDGES = np.array([[0.0, 1.0]])
_RESOLVED = 1e-9  # change of the averages of a step that may go into an error
_SLOW = 16  # what is left of a rule that converges like a power of its nodes, in units of its last change
_MOST_IN_PANEL = 64  # nodes of a rule on a law of the line
_KNOWN = 64  # stages of which it is remembered where they bend


def anywhere(foot: Footprint) -> Array:
    """Values (A, n) of what a step draws, at which nothing vanishes by design: irrational ones, and the ends."""
    ends, inside = np.array([[0.0, 1.0]]), np.random.default_rng(foot.alphas).random((foot.alphas, SCATTERED.size))
    u = np.concatenate([np.repeat(ends, foot.alphas, axis=0), inside], axis=1)
    kinds = np.array(foot.slots)[:, None]
    durations = -np.log1p(-u * (1 - UNIT))
    return np.where(kinds == "bernoulli", u > 0.5, np.where(kinds == "exponential", durations, foot.placed(u)))


def plain_rule(foot: Footprint, x: Any, w: Any, number: Any = np.asarray) -> tuple[Any, Any]:
    """The rule (x, w) of [0, 1] in every midpoint of a step, tensored: nodes (A, Q) inside the strata, weights (Q,).

    `number` lifts arrays of floats to the number type of x.
    """
    if not foot.plain:
        raise ValueError(
            f"scheme: expected only uniform midpoints, got {', '.join(sorted(set(foot.slots)))}; pass them with alphas="
        )
    alphas, weights = _tensor(foot, [(x[None], w[None])] * foot.alphas, number)
    return alphas[:, 0], weights[0]


def _tensor(foot: Footprint, parts: list[tuple[Any, Any]], number: Any) -> tuple[Any, Any]:
    """Rules (steps, nodes) of every number drawn, tensored: alphas (A, steps, Q) and weights (steps, Q)."""
    sizes, strata = [x.shape[1] for x, _ in parts], foot.alphas != len(foot.uniforms)
    most = _MOST_TOGETHER if number is np.asarray and not strata else MOST_POINTS  # over balls they take their time
    if math.prod(sizes) > most:
        if strata:
            raise ValueError(
                f"scheme: averages over {foot.alphas} strata need {sizes[0]}^{foot.alphas} points, above the limit of "
                f"{MOST_POINTS}; use fewer strata, or pass the midpoints with alphas="
            )
        raise NotResolved(f"rules of {', '.join(map(str, sizes))} points have more than {most} together")
    steps = max(x.shape[0] for x, _ in parts)
    alphas, weights = [], 1
    for n, (x, w) in enumerate(parts):
        shape = (-1, *(size if m == n else 1 for m, size in enumerate(sizes)))
        alphas.append(np.broadcast_to(x.reshape(shape), (steps, *sizes)).reshape(steps, -1))
        weights = weights * w.reshape(shape)
    first, count = (number(z).reshape(-1, 1, 1) for z in (foot.stratum, foot.strata))
    whole = np.broadcast_to(weights, (steps, *sizes)).reshape(steps, -1)
    return (np.stack(alphas) + first) / count, whole


# --- the rules of a stage -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """Where the panels are over which the steps of a stage are averaged.

    `edges`: of every number that a step draws, (steps or 1, edges); None for a choice.
    """

    foot: Footprint
    edges: list[Array | None]

    @property
    def simple(self) -> bool:
        """Whether every step is averaged over one panel of each of its midpoints, and draws nothing else."""
        return self.foot.plain and all(e is not None and e.shape == (1, 2) for e in self.edges)

    @property
    def shared(self) -> bool:
        """Whether one rule serves all steps, but for the probabilities of choices."""
        return all(e is None or len(e) == 1 for e in self.edges)

    @property
    def slip(self) -> Array:
        """How far the inner edges of every step, or of all, are off: a jump is known to neighbouring floats."""
        each = [np.spacing(e[:, 1:-1]).sum(axis=1) for e in self.edges if e is not None and e.shape[1] > 2]
        return np.asarray(sum(each, np.zeros(1)))

    def at(self, part: Any, nodes: int, number: Any = np.asarray, unit: Any = unit_rule) -> tuple[Any, Any]:
        """Of the steps in `part`, with so many nodes in a panel: alphas (A, steps or 1, Q), weights (steps or 1, Q).

        The choices' own probabilities are not in the weights: `weighed` tells them.
        """
        if not self.edges:
            return None, None
        x, w = unit(nodes)
        parts = []
        for kind, edges in zip(self.foot.slots, self.edges, strict=True):
            if edges is None:
                parts.append((number(np.array([[0.0, 1.0]])), number(np.ones((1, 2)))))
                continue
            rows = edges if len(edges) == 1 else edges[part]
            if kind == "exponential":
                last = max(DURATIONS[-1], _REACH * nodes)
                beyond = np.arange(DURATIONS[-1] + _WIDEST, last + _WIDEST / 2, _WIDEST)
                rows = np.concatenate([rows, np.broadcast_to(beyond, (len(rows), beyond.size))], axis=1)
            low, wide = number(rows[:, :-1])[..., None], (number(rows[:, 1:]) - number(rows[:, :-1]))[..., None]
            points, weights = (z.reshape(len(rows), -1) for z in (low + wide * x, wide * w))
            if kind == "exponential":
                weights = weights * exp(-points)
            parts.append((points, weights))
        return _tensor(self.foot, parts, number)

    def together(self, nodes: int, number: Any = np.asarray, unit: Any = unit_rule) -> tuple[Any, Any]:
        """One rule of [0, 1] for every midpoint of every step, on the panels of all: nodes and weights (Q,)."""
        found = [e.ravel() for e in self.edges if e is not None]
        edges = number(np.unique(np.concatenate(found or [np.array([0.0, 1.0])])))
        x, w = unit(nodes)
        low, wide = edges[:-1, None], (edges[1:] - edges[:-1])[:, None]
        return (low + wide * x).ravel(), (wide * w).ravel()


def unbent(foot: Footprint) -> Rules:
    """The panels of a step that bends nowhere."""
    edges = {"uniform": _UNIT_EDGES, "exponential": DURATIONS[None], "bernoulli": None}
    return Rules(foot, [edges[kind] for kind in foot.slots])


_known: OrderedDict[Any, Rules] = OrderedDict()


def rules(stage: Stage, modes: Any) -> Rules:
    """The panels of a stage on these modes, or on a law of the line, looked up once."""
    foot = stage.footprint
    if not foot.alphas:
        return Rules(foot, [])
    if shipped(stage.scheme) and not callable_bias(modes):
        return unbent(foot)
    bias = getattr(modes, "bias", None)
    if isinstance(stage, Correct):
        stage = replace(stage, steps=1)  # they are all the same
    step, bound = unwrap(stage.scheme)
    what = (modes.lam, modes.mean, getattr(modes, "gain", 0)) if isinstance(modes, Modes) else ()
    numbers = (np.asarray(z, dtype=float).tobytes() for z in (*stage.grid, *what))
    key = (step, *sorted(bound.items()), *numbers, bias, type(modes) if what else modes)
    if not all(isinstance(value, Hashable) for value in (step, *bound.values())):
        return Rules(foot, bends(stage, modes))
    if key in _known:
        _known.move_to_end(key)
        return _known[key]
    found = _known[key] = Rules(foot, bends(stage, modes))
    if len(_known) > _KNOWN:
        _known.popitem(last=False)
    return found


def alone(stage: Stage, law: Factor, n: int, nodes: int) -> tuple[Array, Array]:
    """The midpoints (A, Q) of the n-th step of the stage and their weights (Q,), on panels where it bends on a law of
    the line."""
    if shipped(stage.scheme) or not stage.footprint.plain:
        return plain_rule(stage.footprint, *unit_rule(nodes))
    if nodes > _MOST_IN_PANEL:
        raise NotResolved(f"{nodes * 2 // 3} nodes in a panel are too few on the line")
    alphas, weights = rules(stage, law).at(slice(n, n + 1), nodes)
    return alphas[:, 0], weights[0]


def at_nodes(stage: Stage, modes: Any, t: Any, h: Any, nodes: int, part: Any = slice(None)) -> tuple[Transition, Array]:
    """The step maps at the nodes of the rule, entries (steps, Q, modes), and its weights (steps, Q).

    (t, h) are those of the stage's steps in `part`.
    """
    alphas, weights = rules(stage, modes).at(part, nodes)
    rows = np.broadcast_to(alphas[..., None], (len(alphas), len(t), alphas.shape[2], 1))
    step, chance = weighed(stage.scheme, modes, t, h, rows)
    weights = np.broadcast_to(weights, (len(t), weights.shape[1]))
    return step, weights if np.ndim(chance) == 0 else weights * np.asarray(chance)[..., 0]


def entry_averages(stage: Stage, modes: Any, t: Any, h: Any, nodes: int, part: Any) -> Array:
    """The averages over the rule of 1, of A, A^2, b and b^2, and the logarithms of those of the noise."""
    count = np.size(modes.lam) * rules(stage, modes).at(slice(0, 1), nodes)[1].size
    size, every = max(1, _BLOCK // count), np.arange(len(stage))[part]
    blocks = [slice(n, n + size) for n in range(0, len(t), size)]
    return np.concatenate([_entry_averages(stage, modes, t[b], h[b], nodes, every[b]) for b in blocks]).ravel()


def _slips(stage: Stage, modes: Any, t: Any, h: Any, nodes: int) -> float:
    """The relative error of the averages of A^2 and b^2, at most, for what the edges of panels are off."""
    slip = np.broadcast_to(rules(stage, modes).slip, len(t))
    worst = 0.0
    for n in np.unique(np.linspace(0, len(t) - 1, 32).astype(int)) if slip.any() else ():
        part = slice(n, n + 1)
        step, weights = at_nodes(stage, modes, t[part], h[part], nodes, part)
        for entry in step.entries:
            square = np.broadcast_to(entry, (1, weights.shape[1], np.size(modes.lam)))[0] ** 2
            mean = weights[0] @ square
            ratio = np.where(mean > 0, square.max(axis=0) / np.where(mean > 0, mean, 1), 0.0)
            worst = max(worst, float(slip[n] * ratio.max()))
    return worst


def _entry_averages(stage: Stage, modes: Any, t: Any, h: Any, nodes: int, part: Any) -> Array:
    """One row a step."""
    step, weights = at_nodes(stage, modes, t, h, nodes, part)

    def average(entry: Any, power: int = 1) -> Array:
        entry = np.broadcast_to(entry, np.broadcast_shapes(np.shape(entry), (*weights.shape, 1)))
        return np.asarray(np.einsum("nqk,nq->nk", entry**power, weights))

    linear = [entry for row in step.linear for entry in row if np.ndim(entry)]
    shifts = [entry for entry in step.shift if np.ndim(entry)]
    noise = [average(row[i]) for i, row in enumerate(step.noise) if np.ndim(row[i])]
    found = [weights.sum(axis=1, keepdims=True), *(average(e, p) for e in linear for p in (1, 2))]
    if shipped(stage.scheme):  # analytic, and of shifts that settle as the rest does
        found += [average(e, p) for e in shifts for p in (1, 2)]
    for square, entry in [] if shipped(stage.scheme) else [(average(e, 2), e) for e in shifts]:
        size = np.sqrt(square) + 1e-3 * np.abs(modes.mean)  # of which a shift may be the small difference
        found += [average(entry) / np.where(size > 0, size, 1), 2 * np.log(np.maximum(size, 1e-300))]
    return np.concatenate(found + [np.log(np.maximum(each, 1e-300)) for each in noise], axis=1)


def node_count(
    stage: Stage, modes: Any, averages: Any = entry_averages, settled: float = 16 * UNIT
) -> tuple[int, float]:
    """A node count at which the averages of A, A^2 and the rest do not change any more, and the change that is left.

    A pole of the score at v(t - ah) = 0 comes close where h is close to t; the count is raised until the averages
    at the steps with the largest h/t agree to rounding. Where a step bends it is on the edges of panels.
    """
    t, h = stage.grid
    biased = not shipped(stage.scheme) or isinstance(modes, EstimatedModes)  # every step counts, with more nodes
    part = slice(None) if biased else np.unique([np.argmax(h / np.maximum(t, 1e-300)), np.argmax(h), 0, len(t) - 1])
    t, h = column(t[part]), column(h[part])

    if not shipped(stage.scheme):
        settled = max(settled, 64 * UNIT)  # of sums over many panels
    nodes = 16 if biased and stage.footprint.alphas == 1 else LEAST_NODES
    before, change = averages(stage, modes, t, h, nodes, part), math.inf
    while True:
        nodes = nodes * 3 // 2
        try:
            after = averages(stage, modes, t, h, nodes, part)
        except (ValueError, NotResolved):
            nodes = nodes * 2 // 3
            break
        change = float(np.max(np.abs(after - before) / np.maximum(np.abs(after), 1e-3)))
        if change < settled or nodes > MOST_NODES:
            break
        before = after
    if shipped(stage.scheme) and not callable_bias(modes):
        return nodes, change
    if change < settled:
        return nodes, change + (_slips(stage, modes, t, h, nodes) if averages is entry_averages else 0.0)
    if not change < _RESOLVED:
        left = f"leave a change of {change:.1g}" if math.isfinite(change) else "give no number"
        raise NotResolved(f"{nodes} nodes in a panel {left}")
    return nodes, _SLOW * change
