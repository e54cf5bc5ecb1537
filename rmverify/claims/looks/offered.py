r"""Whether a scheme that is offered under a shipped name is the shipped step.

Both run on the same rows of plain numbers, with the same midpoints and normal values, over noise levels from 1e-6 to 20
less than 2.5 % apart, at each a long step and a short one, with every parameter spread over its range, off centre, on
scores that are not linear, and several steps in a row. The same algorithm written otherwise differs by rounding: what
is allowed is 1e-9 of what the step moves, and what rounding makes of the shipped step's own state, step and scores.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify import schemes
from rmverify.claims.evidence import Evidence
from rmverify.claims.looks.constants import KINETIC
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import EPS
from rmverify.numbers.values import Value
from rmverify.readings.concrete import BrokenContract, Tape, examine, matrices, play
from rmverify.schemes.contract import Scheme, missing_parameters, parameters, unwrap, velocity_variance
from rmverify.targets.process import mode_variance

__all__ = ["SCHEMES", "same_step"]

SCHEMES = tuple(schemes.SHIPPED)
"""The names under which a scheme may be offered."""

LEVELS = 720  # noise levels, from LOW to HIGH
LOW, HIGH = 1e-6, 20.0
LONG, SHORT = (0.03, 1.0), (1e-5, 0.03)  # of a step, in units of the longest
ROWS = 16
RANGES: Mapping[str, tuple[float, float]] = {"friction": (1e-2, 1e3), "mass": (1e-3, 1e3)}
COUNTS: Mapping[str, tuple[int, int]] = {
    "strata": (1, 200), "cells": (1, 40), "rounds": (0, 8), "blocks": (1, 6), "fine": (1, 6), "sweeps": (0, 4),
    "slices": (1, 6), "inner": (1, 4), "power": (1, 3),
}  # fmt: skip
VARIANCES, MEANS = np.array([0.0, 0.7, 30.0, 1.0]), np.array([2.0, -30.0, 0.0, 0.5])
DAMPED = 50.0  # friction times the longest step of a corrector
SAME = 1e-9  # of the move of a step, what another way of writing it may differ by
NUDGE = 2.0**-36
CHAIN, CHAINED = 3, 9  # every ninth place goes on for three more steps
EXAMINED = 29  # every so many places the step is looked at alone
MANY = 100  # differences, from which on one place in eight is enough
POOL = 1 << 17


@dataclass(frozen=True)
class Place:
    """Where a step is taken: the noise level, its length, its parameters, and which random numbers."""

    t: float
    h: float
    given: Mapping[str, Any]
    seed: int
    rows: int = ROWS
    kinetic: bool = False

    @property
    def variances(self) -> Array:
        """Of the target: one as small as the level, others above and below 1."""
        return np.where(VARIANCES > 0, VARIANCES, 0.3 * min(self.t, 1.0))

    @property
    def means(self) -> Array:
        """Of the target, now and then far out."""
        return MEANS * (40 if self.seed % 7 == 3 else 1)

    def score(self, t: Any, x: Any, bend: float = 0.3) -> Any:
        """That of a mode N(m, v) where `bend` is 0; else with a slope that varies by 60 %."""
        v = mode_variance(self.variances, t)
        y = (x - np.exp(-np.asarray(t)) * self.means) / np.sqrt(v)
        return -(y + bend * np.sin(2 * y)) / np.sqrt(v)

    def state(self, step: int = 0) -> tuple[Array, ...]:
        """x, and v where the step has one."""
        spread = np.sqrt(mode_variance(self.variances, self.t))
        z = _pool(1)[_slice(self.seed, 7 + step, 2 * self.rows * MEANS.size)].reshape(2, self.rows, -1)
        x = math.exp(-self.t) * self.means + spread * z[0]
        return (x,) if not self.kinetic else (x, math.sqrt(self.given.get("mass", 1)) * z[1])

    def tape(self, step: int = 0, turned: bool = False) -> Tape:
        """Midpoints at the ends, near them and between, and normal values; `turned`: 1 - alpha for alpha."""

        def uniforms(draw: int, shape: Any) -> Array:
            values = _pool(0)[_slice(self.seed, 100 * step + draw, math.prod(shape))].reshape(shape).copy()
            for row, end in enumerate((0.0, 1.0, 1e-12, 1 - 1e-12)[: self.rows - 1]):
                values[row] = end
            values[4:5] = 0.995 + 0.005 * values[4:5]
            values[5:6] = 10 ** (-8 * values[5:6])
            values[6:7] = 1 - 10 ** (-8 * values[6:7])
            return np.asarray(1 - values if turned else values)

        def normals(draw: int, shape: Any) -> Array:
            return _pool(1)[_slice(self.seed, 100 * step + draw, math.prod(shape))].reshape(shape)

        return Tape(self.rows, uniforms=uniforms, normals=normals)


@functools.cache
def _pool(kind: int) -> Array:
    rng = np.random.default_rng(20240602 + kind)
    return rng.standard_normal(POOL) if kind else rng.random(POOL)


def _slice(seed: int, draw: int, size: int) -> slice:
    first = (seed * 7919 + draw * 104729) % (POOL - size)
    return slice(first, first + size)


def _places(offered: Scheme, name: str, predictor: bool) -> Iterator[Place]:
    """Levels on a logarithmic grid; everything else by an additive recurrence, so that each parameter is spread
    evenly, and any two together; every fifth with the defaults, where both steps have them."""
    shipped = getattr(schemes, name)
    names = list(parameters(shipped)) + missing_parameters(shipped)
    needed = {*missing_parameters(shipped), *missing_parameters(offered)}
    root = 2.0
    for _ in range(40):  # the root of x^(k+1) = x + 1
        root = (1 + root) ** (1 / (len(names) + 3))
    for n in range(2 * LEVELS):
        at = [(0.5 + n * root ** -(k + 1)) % 1 for k in range(len(names) + 2)]
        t = LOW * (HIGH / LOW) ** ((n // 2 + at[0]) / LEVELS)
        given: dict[str, Any] = {}
        for key, unit in zip(names, at[2:], strict=True):
            if key in RANGES:
                low, high = RANGES[key]
                given[key] = low * (high / low) ** unit
            else:
                least, most = COUNTS[key]
                least = max(least, getattr(shipped, "smallest", {}).get(key, least))
                given[key] = least + int(unit**4 * (most + 1 - least))  # more of the small ones
        if n % 5 == 4:
            given = {key: value for key, value in given.items() if key in needed}
        low, high = SHORT if n % 2 else LONG
        part = 1.0 if n % 40 == 0 else low * (high / low) ** at[1]
        rows, kinetic = 1 if n % 50 == 3 else 2 if n % 50 == 13 else ROWS, velocity_variance(shipped) is not None
        longest = t if predictor else _longest(Place(t, 1.0, given, n, rows, kinetic))
        yield Place(t, part * longest, given, n, rows, kinetic)


def _longest(place: Place) -> float:
    """Of a corrector's steps: a few units of its own time, for the steepest mode."""
    slope = 1.6 / float(mode_variance(place.variances, place.t).min())
    if not place.kinetic:
        return 2 / slope
    return float(min(DAMPED / place.given.get("friction", 1), 3 / math.sqrt(place.given.get("mass", 1) * slope)))


@functools.lru_cache(maxsize=64)
def same_step(offered: Scheme, name: str) -> Evidence:
    """Evidence that a scheme is the shipped one of this name, or where it is not and by how much.

    The same law from other numbers (another use of the normal values, 1 - alpha for alpha) is said and holds.

    Examples
    --------
    >>> from rmverify.elementary import exp
    >>> def late(x, t, h, score, draw):
    ...     return exp(h) * x + (h if t < 0.1 else exp(h) - 1) * score(t, x)
    >>> found = same_step(late, "exponential_integrator")
    >>> found.finding, found.where["t"] < 0.1
    ('violated', True)
    """
    shipped = getattr(schemes, name)
    what = f"the step given as {name} against the shipped one, on the same states, midpoints and normal values"
    step, bound = unwrap(offered)
    if step is unwrap(shipped)[0] and not bound:
        return Evidence("exact", what, "holds", computed="it is the shipped one", bound="equal")
    predictor = name not in KINETIC
    places = list(_places(offered, name, predictor))
    domain = (
        f"{len(places)} places: t from {LOW:g} to {HIGH:g}, h up to {'t' if predictor else 'a few units of its time'}, "
        f"every parameter over its range, {ROWS} particles, up to {CHAIN + 1} steps in a row"
    )

    def violated(why: str, where: Mapping[str, Any], **more: Any) -> Evidence:
        return Evidence("exact", what, "violated", computed=why, where=where, domain=domain, **more)

    found: list[tuple[Place, dict[str, Any]]] = []
    place, looked = places[0], 0
    try:
        for place in places:
            if len(found) > MANY and place.seed % 16 > 1:
                continue  # what is left is to see how far it goes
            looked += 1
            rows = list(_apart(shipped, offered, place, predictor))
            found += [(place, row) for row in rows]
            if not rows and place.seed % EXAMINED == 0 and place.rows == ROWS:
                _examined(offered, place)
        if not found:
            return Evidence("exact", what, "holds", computed="equal up to rounding", bound="equal", domain=domain)
        found.sort(key=lambda each: -each[1]["relative difference"])
        # why, if that can be seen: in a long step, on whose result a midpoint has an effect
        place = next((each for each, _ in found if each.seed % 2 == 0 and each.rows == ROWS), place)
        _examined(offered, place)
    except BrokenContract as error:
        if error.__cause__ is None:
            return violated(str(error), _where(place))
        return Evidence("exact", what, "inconclusive", computed=str(error), where=_where(place))
    how = _same_law(shipped, offered, list({each.seed: each for each, _ in found}.values()))
    if how:
        return Evidence("exact", what, "holds", computed=how, bound="equal in law", domain=domain)
    table = [row for _, row in found]
    size = table[0]["relative difference"]
    text = f"differs by {size:.2g} of the step's move at {len({p.seed for p, _ in found})} of {looked} places: "
    spans = {key: [row[key] for row in table if key in row] for key in ("t", *found[0][0].given)}
    text += ", ".join(f"{key} from {min(v):.3g} to {max(v):.3g}" for key, v in spans.items())
    where = {key: value for key, value in table[0].items() if key != "relative difference"}
    constant = Value(size, "exact", SAME * size)
    return violated(text, where, label="lower", rows=tuple(table[:12]), source="the shipped step", constant=constant)


def _where(place: Place) -> dict[str, Any]:
    return {"t": place.t, "h": place.h} | dict(place.given)


def _bind(scheme: Scheme, place: Place) -> Scheme:
    return functools.partial(scheme, **place.given) if place.given else scheme


def _examined(offered: Scheme, place: Place) -> None:
    step = _bind(offered, place)
    examine(step, place.state(), place.t, place.h, place.score, Tape(place.rows, place.seed))


def _apart(shipped: Scheme, offered: Scheme, place: Place, predictor: bool) -> Iterator[dict[str, Any]]:
    """Where the two differ from one state, and in the steps that follow it."""
    mine, theirs = _bind(offered, place), _bind(shipped, place)
    state, t, h = place.state(), place.t, place.h
    for step in range(1 + CHAIN * (place.seed % CHAINED == 0)):
        a = play(theirs, state, t, h, place.score, place.tape(step)).state
        if not all(np.isfinite(z).all() for z in a):
            return
        played = play(mine, state, t, h, place.score, place.tape(step))
        b = played.state
        if any(not np.array_equal(y, z) for y, z in zip(a, b, strict=True)):
            yield from _row(theirs, place, state, t, h, step, a, b, played.script.alphas)
        state = b
        if predictor:
            t -= h
            h = min(h, t / 2)
        if not t > 0 or not all(np.isfinite(z).all() for z in b):
            return


def _row(
    theirs: Scheme, place: Place, state: tuple[Array, ...], t: float, h: float, step: int, a: Any, b: Any, alphas: Any
) -> Iterator[dict[str, Any]]:
    seen = [0.0]

    def score(t: Any, x: Any) -> Any:
        found = place.score(t, x)
        seen[0] = max(seen[0], float(np.abs(found).max()))
        return found

    signs = np.where(_pool(0)[: state[0].size].reshape(state[0].shape) < 0.5, -1.0, 1.0)
    moved = tuple(z * (1 + NUDGE * signs) for z in state)
    nudged = play(theirs, moved, t, h * (1 + NUDGE), score, place.tape(step)).state
    floors = [EPS * seen[0]]  # of (e^h - 1) s, and of p = (1 - e^{-gh})/g and (h - p)/g, written as they are printed
    if "friction" in place.given:
        g, push = place.given["friction"], place.given.get("mass", 1) * seen[0]
        floors = [EPS * (np.abs(state[1]).max() + h * push + push / g) / g, EPS * push / g]
    most: tuple[float, int, int, str] | None = None
    for part, x, y, z, n, floor in zip("xv", a, b, state, nudged, floors, strict=False):
        gap = np.where(np.isfinite(y), np.abs(y - x), np.inf)
        move = np.abs(x - z).max(axis=0)
        allowed = SAME * move + 64 * (EPS * np.abs(x).max(axis=0) + floor)
        allowed = allowed + 2 * (EPS / NUDGE) * 32 * np.abs(n - x).max(axis=0)
        if (gap > allowed).any():
            relative = gap / np.maximum(move, 1e-300)
            row, column = divmod(int(np.argmax(np.where(gap > allowed, relative, -1.0))), gap.shape[1])
            if most is None or relative[row, column] > most[0]:
                most = float(relative[row, column]), row, column, part
    if most is not None:
        size, row, column, part = most
        alpha = {"alpha": float(alphas[0].reshape(-1, len(a[0]))[0, row])} if alphas else {}
        yield {"t": t, "h": h, **place.given, **alpha, "relative difference": size, "of": part, "particle": row,
               "mean": float(place.means[column]), "step": step}  # fmt: skip


def _same_law(shipped: Scheme, offered: Scheme, places: list[Place]) -> str:
    """In words, where the same law comes out of other numbers, at all of these places."""
    try:
        if all(_turned(shipped, offered, place) for place in places):
            return "equal with 1 - alpha for alpha: the same law"
        if all(_law(shipped, offered, place) for place in places):
            return "another use of the normal values: the same law given the midpoints"
    except (BrokenContract, OverflowError):
        pass
    return ""


def _turned(shipped: Scheme, offered: Scheme, place: Place) -> bool:
    state, mine, theirs = place.state(), _bind(offered, place), _bind(shipped, place)
    a = play(theirs, state, place.t, place.h, place.score, place.tape())
    b = play(mine, state, place.t, place.h, place.score, place.tape(turned=True)).state
    return bool(a.script.alphas) and not any(_row(theirs, place, state, place.t, place.h, 0, a.state, b, []))


def _law(shipped: Scheme, offered: Scheme, place: Place) -> bool:
    """The matrices of one step, in units of the deviations of position and velocity, block by block."""
    if not play(_bind(shipped, place), place.state(), place.t, place.h, place.score, place.tape()).script.noises:
        return False
    dim = MEANS.size
    score = functools.partial(place.score, bend=0.0)
    alphas = _pool(0)[_slice(place.seed, 3, 512)]
    units = [np.sqrt(mode_variance(place.variances, place.t))]
    if velocity_variance(shipped) is not None:
        units.append(np.full(dim, math.sqrt(place.given.get("mass", 1))))
    scale = np.concatenate(units)
    found = []
    for scheme in (shipped, offered):
        m = matrices(_bind(scheme, place), place.state(), place.t, place.h, score, alphas)
        rest = (m.linear - np.eye(len(scale))) * scale / scale[:, None]
        noise = m.root @ m.root.T / scale / scale[:, None]
        found.append([*_blocks(rest, dim), *_blocks(noise, dim), m.shift / scale])
    return all(np.abs(a - b).max() <= 1e-8 * np.abs(a).max() + 1e-12 for a, b in zip(*found, strict=True))


def _blocks(matrix: Array, dim: int) -> list[Array]:
    parts = range(0, len(matrix), dim)
    return [matrix[i : i + dim, j : j + dim] for i in parts for j in parts]
