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
from collections.abc import Iterable
from typing import Any

import numpy as np

from rmverify.plans import Stage
from rmverify.readings.affine import ONE, V, X, forms
from rmverify.readings.balls import lift, lift_scheme
from rmverify.readings.concrete import BrokenContract, Played, Tape, close, examine, examine_velocity, matrices, name
from rmverify.schemes.contract import Scheme, shipped, velocity_variance
from rmverify.targets import Gaussian
from rmverify.targets.checks import Array

__all__ = ["MOST_FULL", "acts_by_modes", "per_mode"]

MOST_FULL = 512  # coordinates of a law in full
_MOST_RUN = 5000  # coordinates of a target in which its particles are run; of more, a few of its modes are
_ROWS = 8
_FEW = 6  # modes in place of more coordinates
_LEVELS = 24  # of a stage at which its step is looked at


def acts_by_modes(stage: Stage, target: Any, truth: Gaussian, modes: Any) -> bool:
    """Whether the stage's step does to every mode what it was read to do; False where only full coordinates tell.

    Raises
    ------
    BrokenContract
        Where the step is no function of its state, t, h, scores and draws.
    TypeError
        Where it is not affine, or mixes more than 512 coordinates.
    """
    if shipped(stage.scheme):
        return True
    t, h = (z.tolist() for z in stage.steps_) if len(stage) <= _LEVELS else _spread(stage)
    return all(_agrees(stage.scheme, target, truth, modes, *step) for step in dict.fromkeys(zip(t, h, strict=True)))


def per_mode(stages: Iterable[Stage], target: Any, truth: Gaussian, modes: Any, what: str) -> None:
    """Refuse steps that mix coordinates where only what happens per mode is known, and over balls what is no ball's.

    Raises
    ------
    TypeError
        Where a step mixes coordinates, or loses digits that balls keep (`math.exp(h)`, `float(h)`).
    """
    for stage in stages:
        if not acts_by_modes(stage, target, truth, modes):
            raise TypeError(
                f"scheme: {name(stage.scheme)} has coefficients per coordinate, or mixes coordinates; {what} known per "
                "mode only: use a target whose covariance is diagonal, or rmverify.output_law"
            )
        if not shipped(stage.scheme):
            t, h = (float(z[0]) for z in stage.steps_)
            _keeps_digits(stage.scheme, modes, t, h, stage.footprint.alphas)


def _spread(stage: Stage) -> tuple[list[float], list[float]]:
    t, h = stage.steps_
    some = np.unique(np.linspace(0, len(t) - 1, _LEVELS).astype(int))
    return t[some].tolist(), h[some].tolist()


def _agrees(scheme: Scheme, target: Any, truth: Gaussian, modes: Any, t: float, h: float) -> bool:
    mass = velocity_variance(scheme)
    look, score = truth, target.score
    if truth.dim > _MOST_RUN:
        look, modes = _few(truth, modes)
        score = modes.score
    z = np.random.default_rng(2).standard_normal((2, _ROWS, look.dim))
    at = look.at(t)
    x = look._rotate(at._columns(at.means, z) + at._columns(np.sqrt(at.variances), z) * z[0])
    state = (x,) if mass is None else (x, math.sqrt(float(mass)) * z[1])
    tape = Tape(_ROWS)
    played = examine(scheme, state, t, h, score, tape)
    examine_velocity(scheme, state, t, score, tape)
    try:
        due = _foreseen(scheme, look, modes, state, played, t, h)
        mixed = {"mixed": 0.0} if look.basis is None else {}
        if all(close(a, b, np.abs(z), **mixed) for z, a, b in zip(state, due, played.state, strict=True)):
            return True
        why = "the results differ: it has coefficients per coordinate, or a branch on a value or a type"
    except Exception as error:  # whatever a stranger's step raises on affine forms
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    if truth.dim > MOST_FULL:
        raise TypeError(
            f"scheme: {name(scheme)} does not do to affine forms, one column per mode, what it does to particles "
            f"({why}); beyond {MOST_FULL} dimensions its law is not computed, draw from it with rmverify.sample"
        )
    row = [np.asarray(a).reshape(-1, _ROWS)[:, -1] for a in played.script.alphas]
    try:
        matrices(scheme, truth.dim, t, h, score, np.concatenate(row or [np.zeros(0)]))
    except BrokenContract as error:
        raise TypeError(f"{error} (on affine forms: {why})") from None
    return False


def _few(truth: Gaussian, modes: Any) -> tuple[Gaussian, Any]:
    """A target of a few of the modes, and these, for one of more coordinates than particles are run in."""
    if truth.basis is not None:
        raise TypeError(
            f"scheme: a step that is not the package's own is checked on particles in the target's own coordinates, "
            f"which are more than {_MOST_RUN} here; use fewer, or the spectrum alone (Gaussian.from_spectrum)"
        )
    order = np.argsort(truth.variances)
    some = np.unique(order[np.linspace(0, order.size - 1, min(order.size, _FEW)).astype(int)])
    look = Gaussian.from_spectrum(truth.variances[some], np.ones(some.size), truth.means[some])
    return look, modes.some(some)


def _foreseen(
    scheme: Scheme, look: Gaussian, modes: Any, state: tuple[Array, ...], played: Played, t: float, h: float
) -> list[Array]:
    """What the affine reading says that became of the rows, with the midpoints and normal values that they had."""
    rows = [np.asarray(a).reshape(-1, 1, _ROWS, 1) for a in played.script.alphas]
    outs, _ = forms(scheme, modes, t, h, np.concatenate(rows) if rows else None)
    sources: dict[Any, Any] = {ONE: np.ones_like(state[0])}
    sources |= {source: look._rotate(z, back=True) for source, z in zip((X, V), state, strict=False)}
    for which, values in enumerate(played.script.noises):
        for i, w in enumerate(values):
            w = look._rotate(np.broadcast_to(w, state[0].shape) if np.ndim(w) < 2 else w, back=True)
            copies = w[None] if w.ndim == 2 else w
            sources |= {(which, i, copy): each for copy, each in enumerate(copies)}
    return [look._rotate(sum(_coefficients(look, part) * sources[source] for source, part in form.parts.items()))
            for form in outs]  # fmt: skip


def _coefficients(look: Gaussian, part: Any) -> Any:
    """Of the rows (n, d), from a coefficient over (steps, nodes, modes)."""
    part = np.asarray(part, dtype=float)
    part = part.reshape(part.shape[-2:]) if part.ndim > 2 else part
    if part.ndim and part.shape[-1] not in (1, look.variances.size):
        raise ValueError(f"it has {part.shape[-1]} coefficients, one per coordinate")
    if look.basis is None and part.ndim and part.shape[-1] == look.variances.size != look.dim:
        return np.repeat(part, look.multiplicities.astype(int), axis=-1)
    return part


# --- over balls -----------------------------------------------------------------------------------------------------


def _keeps_digits(scheme: Scheme, modes: Any, t: float, h: float, alphas: int) -> None:
    """Refuse a step that rounds t, h or a midpoint to a float on its way: its result over balls would not follow them.

    The change of the step's coefficients with each of them is compared for changes of 2^-40 and of 2^-120 of it.
    """
    from flint import arb, ctx

    with ctx.workprec(480):
        levels = [arb(t), arb(h)]
        points = [arb(2 * k + 1) / (2 * alphas + 1) for k in range(alphas)]

        def at(place: int, power: int) -> list[Any]:
            inputs = [z * (1 + arb(2) ** -power) if n == place else z for n, z in enumerate(levels + points)]
            rows = lift(inputs[2:]).reshape(-1, 1, 1, 1) if alphas else None
            outs, _ = forms(lift_scheme(scheme), modes.lift(lift), inputs[0], inputs[1], rows, lift)
            return [z for form in outs for part in form.parts.values() for z in np.ravel(np.asarray(lift(part)))]

        for place in range(2 + alphas):
            still, short, long = at(place, 10**6), at(place, 120), at(place, 40)
            for a, b, c in zip(still, short, long, strict=True):
                gap = abs(float((b - a) * arb(2) ** 120) - float((c - a) * arb(2) ** 40))
                if gap > 1e-9 * max(abs(float(a)), abs(float((c - a) * arb(2) ** 40))):
                    what = ("t", "h", "a midpoint")[min(place, 2)]
                    raise TypeError(
                        f"scheme: {name(scheme)} rounds {what} to a float on its way (math.exp, float(h), a cast): "
                        "this number is computed over balls, which keep every digit; use rmverify.elementary"
                    )
