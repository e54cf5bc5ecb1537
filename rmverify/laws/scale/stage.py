r"""What one stage does to u = ln(s^2/v(t)), the variance of a centred mode in units of the target's own.

A step without noise adds

    eta(a) = ln(A(a)^2 v(t)/v(t-h)),

which the scheme's own code over balls gives to full relative accuracy however small it is (h^2, against 1 for the
variances themselves), and one with noise c takes u to ln(1 + rho (e^u - 1) + kappa), rho = A^2 v(t)/v(t-h), kappa =
rho + c/v(t-h) - 1. Along a long stage eta is a smooth function of (t, h): it is interpolated from Chebyshev nodes and
compared with the balls themselves on a few steps.

A step of many strata comes as a Gauss rule of its own from the cumulants of A (`rmverify.laws.averages.strata`), a
stage of random steps that keep a velocity as one from moments of its covariance (`rmverify.laws.invariant`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from rmverify.laws.averages.bends import NotResolved
from rmverify.laws.averages.counts import continued
from rmverify.laws.averages.rules import LEAST_NODES, MOST_POINTS, Rules, node_count, rules
from rmverify.laws.averages.strata import chainable, step_cumulants
from rmverify.laws.conditional import column
from rmverify.laws.invariant import Powers, Spread, marginal, spread, step_map
from rmverify.laws.scale.interpolation import Surface
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import gauss
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Correct, Predict, Stage, footprint
from rmverify.readings.affine import Transition, chain, compose, position, read, weighed
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.readings.cells import transition
from rmverify.schemes.contract import Scheme, velocity_variance
from rmverify.targets.process import mode_variance

__all__ = [
    "BITS", "BLOCK", "MOST_READ", "MOST_STEP_NODES", "ScaleStage", "Unresolved", "Walker", "floats", "kept",
    "logarithm", "many_strata", "moment_nodes", "through",
]  # fmt: skip

BITS = 192
BLOCK = 1 << 16  # numbers per temporary array, times 24
MOST_READ = 20_000  # steps x nodes read over balls where the grid is not smooth
MOST_STEP_NODES = 6  # of the rule of a step of many strata, or of many steps
_FEW = 48  # steps that are all read over balls
_KEPT_NODES = 7  # most nodes of the rule of a stage that keeps a velocity: moments of degree 13


class Unresolved(ArithmeticError):
    """A scale mixture whose midpoints spread too far, or have too many strata, for the form at hand."""


def many_strata(stage: Stage) -> bool:
    """Whether a step has too many strata for a rule in all midpoints at once."""
    foot = stage.footprint
    return chainable(stage.scheme, foot) or bool(LEAST_NODES**foot.alphas > MOST_POINTS)


def kept(stage: Stage) -> bool:
    """Whether the stage is one of equal random steps that keep a velocity."""
    return isinstance(stage, Correct) and stage.footprint.alphas > 0 and velocity_variance(stage.scheme) is not None


def moment_nodes(count: int) -> int:
    """The nodes of a rule made from moments that a rule of `count` nodes goes with: moments of a high degree are known
    to fewer digits, and more nodes on one side show what is missing on the other."""
    return 2 + count // 6


def through(u: Any, eta: Any, kappa: Any) -> Any:
    """u after steps with these eta and kappa."""
    return u + eta if kappa is None else np.log1p(np.exp(eta) * np.expm1(u) + kappa)


class Steps(NamedTuple):
    """Of every step in a slice: (eta, kappa) (steps, nodes, modes); kappa is None without noise. `error`: of the sum of
    their means. `total`, where it is known: the sum of all eta and that of all |eta|, at most."""

    read: Callable[[slice], tuple[Array, Array | None]]
    error: float
    total: Callable[[], tuple[Array, Array]]


class ScaleStage:
    """A stage as it acts on u, of every mode by itself; where it draws midpoints, on a target of one mode."""

    def __init__(self, stage: Stage, modes: Any) -> None:
        self.stage, self.modes, self.lam = stage, modes, modes.lam
        self.alphas = stage.footprint.alphas
        self._velocity_powers: dict[int, Powers] = {}

    def __len__(self) -> int:
        return len(self.stage)

    @property
    def levels(self) -> tuple[Array, Array, Array]:
        """The noise level, length and level afterwards of every step: times[n+1], of which t - h is a rounding."""
        t, h = self.stage.grid
        return t, h, self.stage.times[1:] if isinstance(self.stage, Predict) else t

    @cached_property
    def rules(self) -> Rules:
        return rules(self.stage, self.modes)

    @cached_property
    def nodes(self) -> int:
        """Nodes in a midpoint that the step's own averages need."""
        return int(node_count(self.stage, self.modes)[0])

    # --- over balls -----------------------------------------------------------------------------------------

    def over_balls(self, t: Array, h: Array, end: Array | None, alphas: Any) -> tuple[Array, Array | None]:
        """eta and kappa of steps (t, h) with no velocity, at midpoints alphas (A, Q) or None; to t - h or `end`."""
        with precision(BITS):
            time, length = (lift(z).reshape(-1, 1, 1) for z in (t, h))
            rows = None
            if alphas is not None:
                rows = np.broadcast_to(lift(alphas)[:, None, :, None], (len(alphas), len(t), alphas.shape[1], 1))
            step = read(lift_scheme(self.stage.scheme), self.modes.lift(lift), time, length, rows, lift)
            after = time - length if end is None else lift(end).reshape(-1, 1, 1)
            return _relative(step, lift(self.lam), time, after, (len(t), 1 if rows is None else alphas.shape[1]))

    def steps(self, alphas: Any, weights: Array) -> Steps:
        """Every step over balls where they are few, otherwise by interpolation in (t, h)."""
        t, h, end = self.levels

        def direct(t: Array, h: Array, end: Array | None = None) -> Array:
            return np.stack([p for p in self.over_balls(t, h, end, alphas) if p is not None])

        def listed(every: Array) -> Steps:
            def total() -> tuple[Array, Array]:
                return every[0].sum(axis=0), np.abs(every[0]).sum(axis=0)

            return Steps(lambda part: _split(every[:, part]), 0.0, total)

        if weights.size * min(len(t), _FEW) > MOST_READ:  # to a few roundings of 1 each
            if self.in_floats(slice(0, 1), alphas)[1] is not None:
                raise Unresolved
            return Steps(lambda part: (self.in_floats(part, alphas)[0][..., None], None), 8 * UNIT * len(t), _no_total)
        if len(t) <= _FEW:
            return listed(direct(t, h, end))
        flat = np.ptp(h) / h.mean() <= np.ptp(h / t) / (h / t).mean()
        predicts = isinstance(self.stage, Predict)
        # v(end) = 0 a little below the levels themselves, at -near: in ln(end + near) that is far away
        near = float(min([-math.log1p(-v) / 2 for v in self.lam if v < 1], default=t.max()))
        x, y = (np.log(end + near), np.log(h)) if flat and near > 0 else (np.log(t), np.log(h / t))
        probe = np.unique(np.linspace(0, len(t) - 1, 7).astype(int))
        due = direct(t[probe], h[probe], end[probe])
        best, smooth = math.inf, None
        for size in (12, 24, 48, 96):
            across = 1 if np.ptp(y) < 1e-13 else 2 if np.ptp(y) < 1e-6 else min(size, 24)
            fit = Surface(x, y, size, across)
            at, long = np.exp(fit.x.nodes), np.exp(fit.y.nodes)
            if flat and near > 0:
                at, long = np.repeat(at - near, across), np.tile(long, size)
                at = at + long if predicts else at
            else:
                at, long = np.repeat(at, across), np.outer(at, long).ravel()
            if (predicts and (long > at).any()) or at.size * weights.size > MOST_READ:
                break
            known = direct(at, long, None if predicts else at)
            fit.known = known.reshape(len(known), size, across, *known.shape[2:])
            off = fit.values(probe) - due
            worst = float(np.abs(off).max() / max(float(np.abs(due).max()), 1e-300))
            slip = float(np.abs(np.einsum("pnqk,q->pnk", off, weights)).max()) * len(t)
            if worst < best:
                best, smooth = worst, Steps(_reader(fit), slip, fit.total)
            if worst < 1e-13:
                break
        if smooth is not None and best < 1e-10:
            return smooth
        if len(t) * weights.size > MOST_READ:
            raise Unresolved
        return listed(direct(t, h, end))

    @cached_property
    def settled(self) -> tuple[Array, Array | None, Array]:
        """A stage without midpoints: the sum of its eta, its kappa (each per mode), and their error."""
        stage, lam = self.stage, self.lam
        kinetic = velocity_variance(stage.scheme)
        t, h = stage.grid
        if kinetic is None:
            steps = self.steps(None, np.ones(1))
            if steps.read(slice(0, 1))[1] is None:
                total, size = steps.total()
                return total[0], None, steps.error + 4 * UNIT * size[0]
        same = np.ptp(t) == 0 and np.ptp(h) == 0
        if kinetic is None and not same:
            return self._composed(steps)
        if not same and len(t) * lam.size > MOST_READ:
            raise Unresolved

        def of(scheme: Scheme) -> list[Array]:
            with precision(BITS):
                time, length = (lift(z[:1] if same else z).reshape(-1, 1, 1) for z in (t, h))
                step = transition(
                    lift_scheme(scheme), footprint(scheme), self.modes.lift(lift), time, length, None, lift
                )
                whole = _power(chain(step, 1), len(t)) if same else chain(step, len(t))
                mass = None if kinetic is None else lift(kinetic)[()]
                ends = lift(stage.start), lift(stage.end)
                eta, kappa = _relative(position(whole, mass), lift(lam), *ends, (1, 1))
            return [np.stack([eta[0, 0]] if kappa is None else [eta[0, 0], kappa[0, 0]])]

        (found,), error = continued(of, stage.scheme, [0])
        return found[0], found[1] if len(found) > 1 else None, 4 * UNIT + error.max(axis=0)

    def _composed(self, steps: Steps) -> tuple[Array, Array, Array]:
        """Steps with noise, each of which takes w = e^u - 1 to rho w + kappa, as one: eta, kappa and the error of u.

        An error of one kappa, or of one eta times what it meets, grows by no more than the largest product of rho; u
        differs by it over e^u, which is at least the noise that was added, 1 + kappa - rho.
        """
        eta, kappa = (np.zeros(self.lam.size) for _ in range(2))
        added, grown = kappa, kappa
        for n in range(0, len(self), BLOCK):
            a, k = (z[:, 0] for z in steps.read(slice(n, n + BLOCK)) if z is not None)
            added, grown = added + np.abs(k).sum(axis=0), grown + np.maximum(a, 0).sum(axis=0)
            while len(a) > 1:
                odd = (a[-1:], k[-1:]) if len(a) % 2 else (a[:0], k[:0])
                first, last = slice(0, len(a) - len(a) % 2, 2), slice(1, None, 2)
                k = np.concatenate([np.exp(a[last]) * k[first] + k[last], odd[1]])
                a = np.concatenate([a[first] + a[last], odd[0]])
            eta, kappa = eta + a[0], np.exp(a[0]) * kappa + k[0]
        most = np.exp(grown) * (added + 1)
        slip = steps.error * most + 4 * UNIT * len(self) * np.exp(grown) * added
        fresh = kappa - np.expm1(eta)
        if not (np.isfinite(slip).all() and (fresh > 0).all()):
            raise Unresolved
        return eta, kappa, (4 * UNIT + slip) / np.minimum(fresh, 1)

    # --- in floats ------------------------------------------------------------------------------------------

    def in_floats(self, part: Any, alphas: Array) -> tuple[Array, Array | None]:
        """eta of the steps in `part`, to a few roundings of 1, and the variance that they add, in units of the target's
        own after them; arrays (steps, Q), None without noise."""
        t, h, end = (column(z[part]) for z in self.levels)
        step, shape = read(self.stage.scheme, self.modes, t, h, _in_rows(alphas, len(t))), (len(t), alphas.shape[1], 1)
        before, after = (mode_variance(self.lam, z) for z in (t, end))
        A, c = np.broadcast_to(step.linear[0][0], shape)[..., 0], step.noise[0][0]
        floor = UNIT * np.abs(A).max()  # below it A is rounding, about a midpoint that annihilates x
        if not ((after > 0).all() and floor > 0):
            raise Unresolved
        eta = np.asarray(2 * np.log(np.maximum(np.abs(A), floor)) + np.log(before / after)[..., 0])
        return eta, None if isinstance(c, int) and c == 0 else np.broadcast_to(c / after, shape)[..., 0]

    def float_images(self, part: Any, alphas: Array, u: Array) -> Array:
        """What each u becomes in every step in `part`, up to a shift of its own: (u or 1, steps, Q) in floats."""
        eta, noise = self.in_floats(part, alphas)
        if noise is None:
            return eta[None]
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp(np.array([u.min(), u.max()])[:, None, None] + eta, np.log(noise)))

    def images(self, alphas: Array, u: Array) -> Iterator[Array]:
        """`float_images` of blocks of steps."""
        for part in self._parts(alphas):
            yield self.float_images(part, alphas, u)

    def _parts(self, alphas: Array) -> Iterator[slice]:
        size = max(1, (BLOCK << 3) // alphas.shape[1])
        return (slice(n, n + size) for n in range(0, len(self), size))

    def range(self, alphas: Array, u: Array) -> Array:
        """The least and the largest u that a step of the stage may meet or make."""
        low, high = float(u.min()), float(u.max())
        lowest, highest = low, high
        for part in self._parts(alphas):
            eta, noise = self.in_floats(part, alphas)
            if noise is None:
                low, high = low + float(eta.min(axis=1).sum()), high + float(eta.max(axis=1).sum())
            else:
                with np.errstate(divide="ignore"):
                    logs = np.log(noise)
                for A, c in zip(eta, logs, strict=True):
                    low, high = float(np.logaddexp(low + A, c).min()), float(np.logaddexp(high + A, c).max())
                    lowest, highest = min(lowest, low), max(highest, high)
        return np.array([min(lowest, low), max(highest, high)])

    # --- rules ----------------------------------------------------------------------------------------------

    def rule(self, nodes: int) -> tuple[Array, Array]:
        """What every step of the stage may draw, alphas (A, Q), and weights (Q,), where they share both."""
        found = self.rules
        if not found.shared:
            raise Unresolved
        try:
            alphas, weights = found.at(slice(0, 1), nodes)
        except NotResolved:
            raise Unresolved from None
        alphas, weights = alphas[:, 0], weights[0]
        if not found.foot.plain:
            t, h = (column(z) for z in self.stage.grid)
            chance = np.asarray(weighed(self.stage.scheme, self.modes, t, h, _in_rows(alphas, len(t)))[1])
            if chance.ndim:
                if np.ptp(chance, axis=0).any():
                    raise Unresolved
                weights = weights * chance[0, :, 0]
                keep = weights > 0
                alphas, weights = alphas[:, keep], weights[keep]
        return alphas, weights

    def resolving(self, u: Array, dim: int, count: int) -> int:
        """Nodes in alpha for how far one step spreads u on the scale sqrt(2/d); they grow with `count`, so that
        raising it tests them too."""
        alphas, _ = self.rule(self.nodes)
        widest = max(float(np.ptp(images, axis=-1).max()) for images in self.images(alphas, self.range(alphas, u)))
        needed = count / 8 * (6 + 1.5 * widest * math.sqrt(dim / 2))
        result = max(self.nodes, math.ceil(min(needed, 3 * count)))
        if result**self.alphas > MOST_POINTS:
            raise Unresolved
        return result

    @cached_property
    def _velocity_spread(self) -> Spread:
        t, h = self.stage.grid
        return spread(self.stage.scheme, self.modes, self.lam, float(t[0]), float(h[0]))

    def velocity_rule(self, u: Array, nodes: int) -> tuple[Array, Array, float]:
        """From each u with a fresh velocity, a Gauss rule (u.size, nodes) of Y_xx = e^{u'} - 1 after the stage, and its
        error."""
        if nodes > _KEPT_NODES:  # as many again would agree with themselves
            raise Unresolved
        found = self._velocity_spread
        start = np.stack([np.expm1(u), np.zeros_like(u), np.zeros_like(u)], axis=-1)
        try:
            if nodes not in self._velocity_powers:
                self._velocity_powers[nodes] = Powers(step_map(found, 2 * nodes - 1), 3)
            y, weights = marginal(self._velocity_powers[nodes].after(len(self), start), 3, nodes)
        except (NotResolved, np.linalg.LinAlgError):
            raise Unresolved from None
        if not (y > -1).all():
            raise Unresolved
        return y, weights, 64 * UNIT * len(self).bit_length() * float(np.abs(y).max())

    @cached_property
    def log_cumulants(self) -> tuple[Array, Array, Array, Array]:
        """Of every step of many strata: E A, the cumulants 2, 3, .. of 2 (A - E A)/E A, the share of the second that
        is not first order in the midpoints, and the error of ln (E A)^2."""
        found, off = (z[..., 0] for z in step_cumulants(self.stage, self.modes, 2 * MOST_STEP_NODES - 1))
        mean = found[0]
        if not (np.isfinite(found).all() and (mean != 0).all()):
            raise Unresolved
        k = found[1:-1] * (2 / mean) ** np.arange(2, len(found))[:, None]
        k[0] = np.maximum(k[0], 0.0)  # continued to many strata, it may miss 0 where it vanishes in leading order
        return mean, k, np.abs(found[-1]), 2 * off / np.abs(mean)

    def strata_rules(self, dim: int, nodes: int) -> tuple[Array, Array, float]:
        """Gauss rules of the eta of every step of many strata, (steps, nodes) and weights, and an error of their sum.

        The error has that of E A, and for what the n-th cumulant lacks (see `rmverify.laws.averages.strata`) the shift
        of u that changes the law of the log radius as much: (d/2)^{(n-1)/2} E|He_n|/(2 n!) over that of a shift, 0.4.
        """
        mean, k, share, off = self.log_cumulants
        t, _, end = self.levels
        before, after = (mode_variance(self.lam, z) for z in (t, end))
        if not (after > 0).all():
            raise Unresolved
        try:
            around, weights = gauss(k[: 2 * nodes - 2], nodes)
        except np.linalg.LinAlgError:
            raise Unresolved from None
        if not (around > -2).all():
            raise Unresolved
        eta = (2 * np.log(np.abs(mean)) + np.log(before / after))[:, None] + 2 * np.log1p(around / 2)
        lacking = dim / 4 * float((share * k[0] ** 1.5).sum())
        for n in range(4, 2 * nodes):
            size = (dim / 2) ** ((n - 1) / 2) * 1.25 / math.sqrt(math.factorial(n))
            lacking += size * float((2 * np.sqrt(share) * np.abs(k[n - 2])).sum())
        return eta, weights, lacking + float((off + 4 * UNIT * (1 + np.abs(eta).max(axis=1))).sum())


class Walker:
    """What goes along the stages of a plan, and how it takes each of four kinds."""

    def along(self, stages: Iterable[ScaleStage]) -> Self:
        for each in stages:
            if not each.alphas:
                self.settled(each)
            elif kept(each.stage):
                self.velocity(each)
            elif many_strata(each.stage):
                self.strata(each)
            else:
                self.steps(each)
        return self

    @staticmethod
    def require_finite(u: Array | float) -> None:
        if not np.isfinite(u).all():
            raise Unresolved

    def settled(self, stage: ScaleStage) -> None:
        """Without midpoints."""

    def velocity(self, stage: ScaleStage) -> None:
        """Of random steps that keep a velocity."""
        raise Unresolved

    def strata(self, stage: ScaleStage) -> None:
        """Of random steps of many strata."""
        raise Unresolved

    def steps(self, stage: ScaleStage) -> None:
        """Of random steps of any other kind."""
        raise Unresolved


logarithm = np.frompyfunc(lambda ball: ball.log(), 1, 1)


def floats(balls: Any, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.frompyfunc(float, 1, 1)(balls).astype(float), shape)


def _relative(step: Transition, lam: Any, t: Any, end: Any, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
    A, c = step.linear[0][0], step.noise[0][0]
    before, after = mode_variance(lam, t), mode_variance(lam, end)
    if not all(bool(v > 0) for v in np.ravel(after)):
        raise Unresolved
    rho = A * A * before / after
    shape = (*shape, np.size(lam))
    kappa = None if isinstance(c, int) and c == 0 else floats(rho + c / after - 1, shape)
    return floats(logarithm(rho), shape), kappa


def _reader(fit: Surface) -> Callable[[slice], tuple[Array, Array | None]]:
    return lambda part: _split(fit.values(part))


def _no_total() -> tuple[Array, Array]:
    raise Unresolved


def _split(parts: Array) -> tuple[Array, Array | None]:
    return parts[0], parts[1] if len(parts) > 1 else None


def _power(step: Transition, count: int) -> Transition:
    whole: Transition | None = None
    while count:
        if count % 2:
            whole = step if whole is None else compose(step, whole)
        step, count = compose(step, step), count // 2
    assert whole is not None
    return whole


def _in_rows(alphas: Array, steps: int) -> Array:
    return np.broadcast_to(alphas[:, None, :, None], (len(alphas), steps, alphas.shape[1], 1))
