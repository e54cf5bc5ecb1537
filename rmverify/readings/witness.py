r"""Whether what was read of a step is what it does to particles: checked before any law is made of a stranger's step.

A law is computed from a reading of the step on affine forms, one column per mode. That is the law of the sampler only
if the step, run on particles in the target's own coordinates, does the same with the same midpoints and normal values.
So a step that is not the package's own is first run on a few particles (`rmverify.readings.concrete`), at levels all
over the stage, and held against its reading:

* what breaks the contract (own random numbers, state kept between calls, x changed in place, ..) is refused by name;
* where both agree the law is computed per mode;
* where they do not, or the step cannot run on affine forms (it asks for x.shape, or multiplies by a matrix), but is
  affine all the same, the law is computed in full coordinates (`rmverify.laws.full`);
* what is left is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.plans import Correct, Stage
from rmverify.readings.affine import ONE, AffineDraw, NotAffine, V, X, forms
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.readings.concrete import (
    ENDS,
    MIXED,
    BrokenContract,
    Played,
    Reach,
    Tape,
    close,
    examine,
    examine_velocity,
    matrices,
    one_line,
    play,
    steady,
)
from rmverify.readings.duals import identity
from rmverify.readings.kernel import named
from rmverify.readings.transport import carry
from rmverify.schemes.contract import Scheme, Score, name, shipped, velocity_variance
from rmverify.targets import Factor, Gaussian, Target

__all__ = ["MOST_FULL", "acts_on_line", "mixes", "per_mode", "rounds_to_floats"]

MOST_FULL = 512  # coordinates of a law in full
_MOST_RUN = 5000  # coordinates of a target in which its particles are run; of more, a few of its modes are
_ROWS = 8
_BESIDE, _SLOPE = 1e-5, 1e-4  # difference quotients, in standard deviations, and what they are off by at most
_FEW, _EACH = 6, 3  # modes, and coordinates of each at most, in place of more coordinates
_LEVELS = 256  # of a stage at which its step is looked at in every way; at all others it is run and compared
_CHECKS = 1 << 16  # numbers, rows times coordinates, on which it is seen whether a step is affine


def mixes(stage: Stage, target: Target, truth: Gaussian, modes: Any) -> str | None:
    """Why the stage's step does not act on each mode as it was read to do, so that only full coordinates tell; None
    where it does.

    Raises
    ------
    BrokenContract
        Where the step is no function of its state, t, h, scores and draws.
    TypeError
        Where it is not affine, or mixes more than 512 coordinates.
    """
    if shipped(stage.scheme):
        return None
    ground = (truth, target.score, modes) if truth.dim <= _MOST_RUN else _few(truth, modes)
    why: str | None = None
    reach = Reach(stage.scheme)
    for level in _levels(stage):
        found = _differs(stage.scheme, *ground, level)
        if found is not None:
            _is_affine(stage.scheme, truth, target, level, found, many=why is None)
        why = why or found
    reach.refuse()
    return why


def per_mode(stages: Iterable[Stage], target: Target, truth: Gaussian, modes: Any, what: str) -> None:
    """Refuse steps that mix coordinates where only what happens per mode is known, and over balls what is no ball's.

    Raises
    ------
    TypeError
        Where a step mixes coordinates, or loses digits that balls keep (`math.exp(h)`, `float(h)`).
    """
    for stage in stages:
        why = mixes(stage, target, truth, modes)
        if why is not None:
            raise TypeError(
                f"scheme: {name(stage.scheme)} does not act on each mode by itself ({why}); {what} computed per mode "
                "only; use a target whose covariance is diagonal, or rmverify.output_law"
            )
        if not shipped(stage.scheme):
            lost = rounds_to_floats(stage, modes)
            if lost is not None:
                raise TypeError(
                    f"scheme: {name(stage.scheme)} rounds {lost} to a float on its way (math.exp, float(h), a cast); "
                    f"{what} computed over balls, which keep every digit; use the functions of rmverify.elementary"
                )


class _Level(NamedTuple):
    """One step: t, h, those of the step before it, and whether it is one of those that are looked at in every way."""

    t: float
    h: float
    before: tuple[float, float] | None
    wholly: bool


def _levels(stage: Stage) -> Iterator[_Level]:
    most = 2 if isinstance(stage, Correct) else None  # they are all the same
    steps = list(zip(*(part[:most].tolist() for part in stage.grid), strict=True))
    some = set(np.unique(np.linspace(0, len(steps) - 1, _LEVELS).astype(int)).tolist())
    for n, (t, h) in enumerate(steps):
        yield _Level(t, h, steps[n - 1] if n else None, n in some)


def _run(scheme: Scheme, state: tuple[Array, ...], level: _Level, score: Score) -> Played:
    """What the step does to the rows, refused where it breaks the contract."""
    tape = Tape(_ROWS)
    if not level.wholly:
        return steady(scheme, state, level.t, level.h, score, tape)
    played = examine(scheme, state, level.t, level.h, score, tape, before=level.before)
    examine_velocity(scheme, state, level.t, score, tape)
    return played


def _differs(scheme: Scheme, look: Gaussian, score: Score, modes: Any, level: _Level) -> str | None:
    """How the step and its reading differ at one level, on particles of `look`; None where they agree."""
    state = _states(scheme, look, level.t)
    played = _run(scheme, state, level, score)
    rows = _finite(played)
    try:
        with np.errstate(all="ignore"):
            due = _foreseen(scheme, look, modes, state, played, level.t, level.h)
    except NotAffine as error:
        raise NotAffine(f"scheme: {name(scheme)}: {error}") from error
    except Exception as error:  # whatever a stranger's step raises on affine forms
        return f"on affine forms, one column per mode, it raised {type(error).__name__}: {one_line(error)}"
    mixed = 0.0 if look.basis is None else MIXED
    if all(close(a[rows], b[rows], np.abs(z[rows]), mixed) for z, a, b in zip(state, due, played.state, strict=True)):
        return None
    return "it has coefficients per coordinate, or a branch on a value or a type"


def _states(scheme: Scheme, look: Gaussian, t: float) -> tuple[Array, ...]:
    """A few rows from the law at level t, and velocities."""
    z = np.random.default_rng(2).standard_normal((2, _ROWS, look.dim))
    at, mass = look.at(t), velocity_variance(scheme)
    x = look._rotate(at._columns(at.means, z) + at._columns(np.sqrt(at.variances), z) * z[0])
    return (x,) if mass is None else (x, math.sqrt(float(mass)) * z[1])


def _is_affine(scheme: Scheme, truth: Gaussian, target: Target, level: _Level, why: str, many: bool) -> None:
    """Refuse a step that is not affine in full coordinates either, or has too many of them."""
    if truth.dim > MOST_FULL:
        raise TypeError(
            f"scheme: {name(scheme)} does not act on modes as it acts on particles ({why}); its law is then computed "
            f"in at most {MOST_FULL} dimensions, got {truth.dim}; draw from it with rmverify.sample"
        )
    t, h = level.t, level.h
    near = _states(scheme, truth, t)
    played = play(scheme, near, t, h, target.score, Tape(_ROWS))
    row = [np.asarray(a).reshape(-1, _ROWS)[:, -1] for a in played.script.alphas]
    try:
        checks = max(64, _CHECKS // truth.dim) if many else 64
        matrices(scheme, near, t, h, target.score, np.concatenate(row or [np.zeros(0)]), checks)
    except BrokenContract as error:
        raise TypeError(f"{error} ({why})") from None


def _finite(played: Played) -> Any:
    """The rows that are compared: a midpoint of exactly 0 or 1, of probability 0, may take a step to infinity."""
    finite = np.array([np.isfinite(row).all() for row in np.concatenate(played.state, axis=1)])
    finite[len(ENDS) :] = True
    return finite


def _few(truth: Gaussian, modes: Any) -> tuple[Gaussian, Score, Any]:
    """A target of a few of the modes, its score, and these, for one of more coordinates than particles are run in."""
    if truth.basis is not None:
        raise TypeError(
            "scheme: a step that is not the package's own is checked on particles in the target's coordinates, at most "
            f"{_MOST_RUN}, got {truth.dim}; use fewer, or the spectrum alone (Gaussian.from_spectrum)"
        )
    order = np.argsort(truth.variances)
    some = np.unique(order[np.linspace(0, order.size - 1, min(order.size, _FEW)).astype(int)])
    counts = np.minimum(truth.multiplicities[some], _EACH)
    look = Gaussian.from_spectrum(truth.variances[some], counts, truth.means[some])
    return look, modes.some(np.repeat(some, counts.astype(int))).score, modes.some(some)


def _foreseen(
    scheme: Scheme, look: Gaussian, modes: Any, state: tuple[Array, ...], played: Played, t: float, h: float
) -> list[Array]:
    """What the affine reading says that became of the rows, with the midpoints and normal values that they had."""
    rows = [np.asarray(a).reshape(-1, 1, _ROWS, 1) for a in played.script.alphas]
    draw = AffineDraw(np.concatenate(rows) if rows else None, np.asarray)
    outs = forms(scheme, modes, t, h, draw)
    for (read, count), run in zip(draw.draws, played.script.covariances, strict=True):
        for a, b in zip((z for row in read for z in row), (z for row in run for z in row), strict=True):
            if not np.allclose(_one_step(a), b, 1e-12, 0.0):
                raise ValueError(f"it draws normal values of another variance, {'in each cell' if count else a}")
    sources: dict[Any, Any] = {ONE: np.ones_like(state[0])}
    sources |= {source: look._rotate(z, back=True) for source, z in zip((X, V), state, strict=False)}
    for which, values in enumerate(played.script.noises):
        for i, w in enumerate(values):
            w = look._rotate(np.broadcast_to(w, state[0].shape) if np.ndim(w) < 2 else w, back=True)
            copies = w[None] if w.ndim == 2 else w
            sources |= {(which, i, copy): each for copy, each in enumerate(copies)}
    return [look._rotate(sum(_coefficients(look, part) * sources[source] for source, part in form.parts.items()))
            for form in outs]  # fmt: skip


def _one_step(part: Any) -> Array:
    """Without the axis of steps, the third from the end."""
    part = np.asarray(part, dtype=float)
    return np.reshape(part, (*part.shape[:-3], *part.shape[-2:])) if part.ndim > 2 else part


def _coefficients(look: Gaussian, part: Any) -> Any:
    """Of the rows (n, d), from a coefficient over (steps, nodes, modes)."""
    part = _one_step(part)
    if part.ndim and part.shape[-1] not in (1, look.variances.size):
        raise ValueError(f"it has {part.shape[-1]} coefficients, one per coordinate")
    if look.basis is None and part.ndim and part.shape[-1] == look.variances.size != look.dim:
        return np.repeat(part, look.multiplicities.astype(int), axis=-1)
    return part


# --- over balls -----------------------------------------------------------------------------------------------------


_LADDER = (6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45, 48, 51, 54, 57, 60, 120)


def rounds_to_floats(stage: Stage, modes: Any) -> str | None:
    """Which of "t", "h" and "a midpoint" the step rounds to a float on its way, so that over balls it loses digits.

    The slopes of the step's coefficients in each of them are taken over changes of 2^-6 to 2^-120 of it. Where two
    neighbours agree with each other, but not with the last, the slope has changed as the change fell below a float.
    """
    alphas = stage.footprint.alphas
    t, h = stage.grid
    for n in np.unique(np.linspace(0, len(t) - 1, 4).astype(int)):
        slopes = _slopes(stage.scheme, modes, float(t[n]), float(h[n]), alphas)
        for place, (size, ladder) in enumerate(slopes):
            steady = np.abs(np.diff(ladder, axis=0)) <= 1e-3 * np.abs(ladder[1:])
            moved = np.abs(ladder[1:] - ladder[-1]) > 1e-2 * np.abs(ladder[1:]) + 1e-30 * size
            if (steady & moved).any():
                return ("t", "h", "a midpoint")[min(place, 2)]
    return None


def _slopes(scheme: Scheme, modes: Any, t: float, h: float, alphas: int) -> Iterator[tuple[Array, Array]]:
    """For t, h and every midpoint: the coefficients of the step, and their slopes (changes, coefficients)."""
    from flint import arb

    with precision(480):
        levels = [arb(t), arb(h)]
        points = [arb(2 * k + 1) / (2 * alphas + 1) for k in range(alphas)]
        balls, over = modes.lift(lift), lift_scheme(scheme)

        def at(place: int, change: Any) -> list[Any]:
            inputs = [z * (1 + change) if n == place else z for n, z in enumerate(levels + points)]
            draw = AffineDraw(lift(inputs[2:]).reshape(-1, 1, 1, 1) if alphas else None, lift)
            outs = forms(over, balls, inputs[0], inputs[1], draw)
            parts = [part for form in outs for part in form.parts.values()]
            parts += [entry for covariance, _ in draw.draws for row in covariance for entry in row]
            return [z for part in parts for z in np.ravel(np.asarray(lift(part)))]

        for place in range(2 + alphas):
            still = at(place, arb(0))
            changes = [-(arb(2) ** -k) for k in _LADDER]
            ladder = [
                [float((b - a) / change) for a, b in zip(still, at(place, change), strict=True)] for change in changes
            ]
            yield np.abs([float(a) for a in still]), np.array(ladder)


# --- on the line ----------------------------------------------------------------------------------------------------


def acts_on_line(stage: Stage, law: Factor, dim: int = 1) -> None:
    """Refuse a stranger's step that does not do to points with a derivative, on the line, what it does to particles.

    Raises
    ------
    BrokenContract
        Where the step is no function of its state, t, h, scores and draws.
    TypeError
        Where it cannot run on points with a derivative, or they end elsewhere than particles do.
    """
    if shipped(stage.scheme):
        return
    scheme, mass = stage.scheme, velocity_variance(stage.scheme)
    reach = Reach(scheme)
    for level in _levels(stage):
        t, h, at = level.t, level.h, law.at(level.t)
        z = np.random.default_rng(2).standard_normal((2, _ROWS, min(dim, _EACH)))
        x = at.mean + math.sqrt(at.variance) * z[0]
        state = (x,) if mass is None else (x, math.sqrt(float(mass)) * z[1])
        played = _run(scheme, state, level, law.score)
        try:
            due, slope = _carried(stage, law, state, played, t, h)
        except Exception as error:
            raise TypeError(
                f"scheme: {name(scheme)} cannot run on points of the line that carry their derivative "
                f"({type(error).__name__}: {one_line(error)}); draw from it with rmverify.sample"
            ) from error
        beside = [(x + side * _BESIDE * x.std(), *state[1:]) for side in (-1, 1)]
        low, high = (play(scheme, each, t, h, law.score, Tape(_ROWS)).state[0] for each in beside)
        turned = (high - low) / (2 * _BESIDE * x.std())
        rows = _finite(played)
        same = all(close(a[rows], b[rows], np.abs(z[rows])) for z, a, b in zip(state, due, played.state, strict=True))
        if not same or np.abs(turned - slope).max() > _SLOPE * max(1.0, float(np.abs(slope).max())):
            raise TypeError(
                f"scheme: {name(scheme)} does not act on points that carry their derivative as it acts on particles: "
                "it has a branch on a value or a type; draw from it with rmverify.sample"
            )
    reach.refuse()


def _carried(
    stage: Stage, law: Factor, state: tuple[Array, ...], played: Played, t: float, h: float
) -> tuple[list[Array], Array]:
    """Where the reading says that the rows go, with their midpoints and normal values, and dx'/dx."""
    width = state[0].shape[1]
    rows = [np.repeat(np.asarray(a).reshape(-1, _ROWS), width, axis=1) for a in played.script.alphas]
    alphas = np.concatenate(rows) if rows else None
    points = identity(state[0].ravel())
    if len(state) == 1 and not played.script.noises:
        end = carry(stage.scheme, law, points, t, h, alphas)
        return [end.value.reshape(_ROWS, width)], end.slope.reshape(_ROWS, width)
    outs, _ = named(stage.scheme, law, points, t, h, alphas)
    values: dict[Any, Array] = {V: state[1].ravel()} if len(state) > 1 else {}
    for which, noises in enumerate(played.script.noises):
        values |= {(which, i, 0): w.ravel() for i, w in enumerate(noises)}
    due = [
        form.parts[ONE].value + sum(part * values[source] for source, part in form.parts.items() if source != ONE)
        for form in outs
    ]
    return [z.reshape(_ROWS, width) for z in due], outs[0].parts[ONE].slope.reshape(_ROWS, width)
