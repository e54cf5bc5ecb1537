r"""The variance of an isotropic law relative to the exact flow, and the Gaussian scale mixtures over the midpoints.

Everything here is in u = ln(s^2/v(t)), v the target's own variance: a step without noise adds

    eta(a) = ln(A(a)^2 v(t)/v(t-h)),

which the scheme's own code over balls gives to full relative accuracy however small it is (h^2, against 1 for the
variances themselves), and one with noise c takes u to ln(1 + rho (e^u - 1) + kappa), rho = A^2 v(t)/v(t-h), kappa =
rho + c/v(t-h) - 1. Along a long stage eta is a smooth function of (t, h): it is interpolated from Chebyshev nodes and
compared with the balls themselves on a few steps.

The law of u is a sum over the steps. A test function of it varies on the scale sqrt(2/d) of the log radius. Two forms:

* `ScaleMixture`, a Gauss rule, while u spreads no more than that: rules of neighbouring steps are tensored and
  compressed by Lanczos in a balanced tree.
* `Lattice`, signed weights on a uniform lattice finer than that scale, where u spreads more: an atom becomes the
  weights of Lagrange's interpolation at the 24 lattice points about it, and a step becomes a convolution.

A step of many strata comes as a Gauss rule of its own from the cumulants of A (`rmverify.laws.averages.strata`), a
stage of random steps that keep a velocity as one from moments of its covariance (`rmverify.laws.invariant`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rmverify.laws.averages.bends import NotResolved
from rmverify.laws.averages.counts import continued
from rmverify.laws.averages.rules import LEAST_NODES, MOST_POINTS, node_count, rules
from rmverify.laws.averages.strata import chainable, step_cumulants
from rmverify.laws.conditional import UNIT, column, initial, split_target
from rmverify.laws.invariant import Powers, marginal, spread, step_map
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import from_moments, gauss, unit_rule
from rmverify.plans import Correct, Plan, Predict, Stage, footprint
from rmverify.readings.affine import Transition, chain, compose, position, read, weighed
from rmverify.readings.balls import lift, lift_scheme
from rmverify.readings.cells import transition
from rmverify.schemes.contract import Scheme, velocity_variance
from rmverify.targets.process import mode_variance

NODES = 24
BITS = 192
STENCIL = 24  # points of the interpolation on the lattice
MOST_CELLS = 1 << 21
_FEW = 48  # steps that are all read over balls
_MOST_READ = 20_000  # steps x nodes read over balls where the grid is not smooth
_PANEL = 16  # nodes in each panel of midpoints
_MOST_STEP_NODES = 6  # of the rule of a step of many strata, or of many steps
_KEPT_NODES = 7  # most nodes of the rule of a stage that keeps a velocity: moments of degree 13
_NARROW = 0.1  # of sqrt(2/d): six nodes are off by (0.1)^12 / 12! of what varies on that scale
_BLOCK = 1 << 16  # numbers per temporary array, times 24


class Unresolved(ArithmeticError):
    """A scale mixture whose midpoints spread too far, or have too many strata, for the form at hand."""


@dataclass(frozen=True)
class ScaleMixture:
    """The law int N(0, s^2 I_dim) dP(s^2), P a Gauss rule: variances s^2, shape (m,), and weights, shape (m,).

    `logs` are ln(s^2/reference) to their own relative accuracy, where they are known better than the variances tell;
    `rounding` is their absolute error.
    """

    variances: Array
    weights: Array
    dim: int
    rounding: float
    reference: float | None = None
    logs: Array | None = None


@dataclass(frozen=True)
class Lattice:
    """The same law with signed weights at u = first + spacing * (0, 1, ...), u = ln(s^2/reference).

    They integrate what varies on the scale sqrt(2/dim); the single weights mean nothing.
    """

    first: float
    spacing: float
    weights: Array
    dim: int
    rounding: float
    reference: float

    @property
    def logs(self) -> Array:
        return np.asarray(self.first + self.spacing * np.arange(self.weights.size))


# --- what a step does to u, over balls ----------------------------------------------------------------------------


class Steps(NamedTuple):
    """Of every step in a slice: (eta, kappa) (steps, nodes, modes); kappa is None without noise. `total` gives the sum
    of all eta and that of all |eta|, at most, and `error` the error of the sum of their means."""

    read: Callable[[slice], tuple[Array, Array | None]]
    total: Callable[[], tuple[Array, Array]]
    error: float


_log = np.frompyfunc(lambda ball: ball.log(), 1, 1)


def _floats(balls: Any, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.frompyfunc(float, 1, 1)(balls).astype(float), shape)


def _levels(stage: Stage) -> tuple[Array, Array, Array]:
    """The noise level, the length and the level afterwards of every step: times[n+1], of which t - h is a rounding."""
    t, h = stage.steps_
    return t, h, stage.times[1:] if isinstance(stage, Predict) else t


def _over_balls(
    stage: Stage, modes: Any, lam: Array, t: Array, h: Array, end: Array | None, alphas: Any
) -> tuple[Array, Array | None]:
    """eta and kappa of the steps (t, h) with no velocity, at the midpoints alphas (A, Q) or None; to t - h or `end`."""
    from flint import ctx

    with ctx.workprec(BITS):
        time, length = (lift(z).reshape(-1, 1, 1) for z in (t, h))
        rows = None
        if alphas is not None:
            rows = np.broadcast_to(lift(alphas)[:, None, :, None], (len(alphas), len(t), alphas.shape[1], 1))
        step = read(lift_scheme(stage.scheme), modes.lift(lift), time, length, rows, lift)
        after = time - length if end is None else lift(end).reshape(-1, 1, 1)
        return _relative(step, lift(lam), time, after, (len(t), 1 if rows is None else alphas.shape[1]))


def _relative(step: Transition, lam: Any, t: Any, end: Any, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
    A, c = step.linear[0][0], step.noise[0][0]
    before, after = mode_variance(lam, t), mode_variance(lam, end)
    if not all(bool(v > 0) for v in np.ravel(after)):
        raise Unresolved
    rho = A * A * before / after
    shape = (*shape, np.size(lam))
    kappa = None if isinstance(c, int) and c == 0 else _floats(rho + c / after - 1, shape)
    return _floats(_log(rho), shape), kappa


def _steps(stage: Stage, modes: Any, lam: Array, alphas: Any, weights: Array) -> Steps:
    """Every step over balls where they are few, otherwise by interpolation in (t, h)."""
    t, h, end = _levels(stage)

    def direct(t: Array, h: Array, end: Array | None = None) -> Array:
        return np.stack([p for p in _over_balls(stage, modes, lam, t, h, end, alphas) if p is not None])

    def listed(every: Array) -> Steps:
        def total() -> tuple[Array, Array]:
            return every[0].sum(axis=0), np.abs(every[0]).sum(axis=0)

        return Steps(lambda part: _split(every[:, part]), total, 0.0)

    if weights.size * min(len(t), _FEW) > _MOST_READ:
        return _in_floats(stage, modes, lam, alphas)
    if len(t) <= _FEW:
        return listed(direct(t, h, end))
    flat = np.ptp(h) / h.mean() <= np.ptp(h / t) / (h / t).mean()
    predicts = isinstance(stage, Predict)
    # v(end) = 0 a little below the levels themselves, at -near: in ln(end + near) that is far away
    near = float(min([-math.log1p(-v) / 2 for v in lam if v < 1], default=t.max()))
    x, y = (np.log(end + near), np.log(h)) if flat and near > 0 else (np.log(t), np.log(h / t))
    probe = np.unique(np.linspace(0, len(t) - 1, 7).astype(int))
    due = direct(t[probe], h[probe], end[probe])
    best, smooth = math.inf, None
    for size in (12, 24, 48, 96):
        across = 1 if np.ptp(y) < 1e-13 else 2 if np.ptp(y) < 1e-6 else min(size, 24)
        fit = _Surface(x, y, size, across)
        at, long = np.exp(fit.x.nodes), np.exp(fit.y.nodes)
        if flat and near > 0:
            at, long = np.repeat(at - near, across), np.tile(long, size)
            at = at + long if predicts else at
        else:
            at, long = np.repeat(at, across), np.outer(at, long).ravel()
        if (predicts and (long > at).any()) or at.size * weights.size > _MOST_READ:
            break
        known = direct(at, long, None if predicts else at)
        fit.known = known.reshape(len(known), size, across, *known.shape[2:])
        off = fit.values(probe) - due
        worst = float(np.abs(off).max() / max(float(np.abs(due).max()), 1e-300))
        slip = float(np.abs(np.einsum("pnqk,q->pnk", off, weights)).max()) * len(t)
        if worst < best:
            best, smooth = worst, Steps(fit.read, fit.total, slip)
        if worst < 1e-13:
            break
    if smooth is not None and best < 1e-10:
        return smooth
    if len(t) * weights.size > _MOST_READ:
        raise Unresolved
    return listed(direct(t, h, end))


def _in_floats(stage: Stage, modes: Any, lam: Array, alphas: Array) -> Steps:
    """Steps of one mode with too many nodes for balls, to a few roundings of 1 each."""
    t, h = (column(z[:1]) for z in stage.steps_)
    if np.ndim(read(stage.scheme, modes, t, h, alphas[:, None, :, None]).noise[0][0]):
        raise Unresolved

    def eta(part: slice) -> tuple[Array, None]:
        return _float_eta(stage, modes, lam, part, alphas)[..., None], None

    def total() -> tuple[Array, Array]:
        every = eta(slice(None))[0]
        return every.sum(axis=0), np.abs(every).sum(axis=0)

    return Steps(eta, total, 8 * UNIT * len(stage))


def _split(parts: Array) -> tuple[Array, Array | None]:
    return parts[0], parts[1] if len(parts) > 1 else None


class _Surface:
    """Interpolation of `known` (parts, size, across, nodes, modes) in (x, y) at the steps' own points."""

    known: Array

    def __init__(self, x: Array, y: Array, size: int, across: int) -> None:
        self.points, self.x, self.y = (x, y), _Chebyshev(x, size), _Chebyshev(y, across)

    def values(self, part: Any) -> Array:
        rows = self.x.terms(self.points[0][part]) @ self.x.inverse
        columns = self.y.terms(self.points[1][part]) @ self.y.inverse
        middle = np.tensordot(rows, self.known, (1, 1)).swapaxes(0, 1)  # (parts, steps, across, nodes, modes)
        return np.asarray(np.einsum("nb,pnbqk->pnqk", columns, middle))

    def read(self, part: slice) -> tuple[Array, Array | None]:
        return _split(self.values(part))

    def total(self) -> tuple[Array, Array]:
        count = len(self.points[0])
        sums = []
        for n in range(0, count, _BLOCK):
            x, y = (z[n : n + _BLOCK] for z in self.points)
            sums.append(self.x.terms(x).T @ self.y.terms(y))
        weights = self.x.inverse.T @ _exact_sum(sums) @ self.y.inverse
        eta = self.known[0]
        return np.einsum("ab,abqk->qk", weights, eta), count * np.abs(eta).max(axis=(0, 1))


def _exact_sum(arrays: list[Array]) -> Array:
    stacked = np.stack(arrays)
    return np.array([math.fsum(column) for column in stacked.reshape(len(stacked), -1).T]).reshape(stacked.shape[1:])


class _Chebyshev:
    """Interpolation on the range of `points` from `size` Chebyshev nodes: values = terms @ inverse @ known."""

    def __init__(self, points: Array, size: int) -> None:
        self.middle, self.half = (points.max() + points.min()) / 2, np.ptp(points) / 2
        angles = np.pi * (np.arange(size) + 0.5) / size
        self.nodes = self.middle + self.half * np.cos(angles)
        self.inverse = np.cos(np.outer(np.arange(size), angles)) * (2 / size)
        self.inverse[0] /= 2

    def terms(self, points: Array) -> Array:
        scaled = (points - self.middle) / self.half if self.half else points - self.middle
        return np.asarray(np.polynomial.chebyshev.chebvander(scaled, len(self.inverse) - 1))


def _settled(stage: Stage, modes: Any, lam: Array) -> tuple[Array, Array | None, Array]:
    """A stage without midpoints: the sum of its eta, its kappa (each per mode), and their error."""
    kinetic = velocity_variance(stage.scheme)
    t, h = stage.steps_
    if kinetic is None:
        steps = _steps(stage, modes, lam, None, np.ones(1))
        if steps.read(slice(0, 1))[1] is None:
            total, size = steps.total()
            return total[0], None, steps.error + 4 * UNIT * size[0]
    from flint import ctx

    same = np.ptp(t) == 0 and np.ptp(h) == 0
    if not same and len(t) * lam.size > _MOST_READ:
        raise Unresolved

    def of(scheme: Scheme) -> list[Array]:
        with ctx.workprec(BITS):
            time, length = (lift(z[:1] if same else z).reshape(-1, 1, 1) for z in (t, h))
            step = transition(lift_scheme(scheme), footprint(scheme), modes.lift(lift), time, length, None, lift)
            whole = _power(chain(step, 1), len(t)) if same else chain(step, len(t))
            mass = None if kinetic is None else lift(kinetic)[()]
            ends = lift(stage.start), lift(stage.end)
            eta, kappa = _relative(position(whole, mass), lift(lam), *ends, (1, 1))
        return [np.stack([eta[0, 0]] if kappa is None else [eta[0, 0], kappa[0, 0]])]

    (found,), error = continued(of, stage.scheme, [0])
    return found[0], found[1] if len(found) > 1 else None, 4 * UNIT + error.max(axis=0)


def _power(step: Transition, count: int) -> Transition:
    whole: Transition | None = None
    while count:
        if count % 2:
            whole = step if whole is None else compose(step, whole)
        step, count = compose(step, step), count // 2
    assert whole is not None
    return whole


def _start(plan: Plan, truth: Any, start: Any) -> Array:
    """u at the start: 0 from the exact law, without the rounding of its variance."""
    if isinstance(start, str) and start == "exact":
        return np.zeros(truth.variances.size)
    from flint import ctx

    law = initial(truth, plan, start)
    with ctx.workprec(BITS):
        live = law.variances > 0  # u = -inf for a point
        ratio = lift(np.where(live, law.variances, 1.0)) / mode_variance(lift(truth.variances), lift(plan.start))
        return np.where(live, _floats(_log(ratio), (truth.variances.size,)), -np.inf)


def _rounded(u: Array) -> float:
    """The rounding of the logarithms at the start."""
    return 2 * UNIT * float(np.abs(u[np.isfinite(u)]).max(initial=0.0))


def log_defect(plan: Plan, target: Any, *, start: Any = "normal") -> tuple[Array, Array]:
    """ln(variance of the output/variance of the target at the plan's end) of each mode, and its error.

    For plans that draw no midpoints: to about 1e-12 of the parts it is a sum of, one a step, where the law's own
    variances have absolute errors of about 2^-53 a step.

    Raises
    ------
    ValueError
        For plans that draw midpoints.
    ArithmeticError
        Where the target's variance vanishes at the end, or long stages have steps that are no smooth function of t.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, schemes
    >>> from rmverify.laws.scale import log_defect
    >>> plan = Plan([Predict(schemes.midpoint, np.linspace(3.0, 1.0, 200_001))])
    >>> u, error = log_defect(plan, Gaussian.isotropic(0.25, 1), start="exact")
    >>> bool(1e-13 < abs(u[0]) < 1e-10 and error[0] < 1e-9 * abs(u[0]))
    True
    """
    if plan.drawing_steps:
        raise ValueError("plan: expected a plan without random midpoints, got one that draws them")
    truth, modes = split_target(target)
    u = _start(plan, truth, start)
    error = UNIT * np.abs(u)
    for stage in plan:
        eta, kappa, slip = _settled(stage, modes, truth.variances)
        error = error + slip
        u = _through(u, eta, kappa)
        error = error + UNIT * np.abs(u)
    if not np.isfinite(u).all():
        raise ArithmeticError("plan: an output variance underflows to 0 or overflows")
    return u, error


def _through(u: Any, eta: Any, kappa: Any) -> Any:
    return u + eta if kappa is None else np.log1p(np.exp(eta) * np.expm1(u) + kappa)


# --- Gauss rules ----------------------------------------------------------------------------------------------------


Known = dict[int, Any]
"""What `step_cumulants` or `step_map` said of the stages of a plan, by their place."""


def scale_spread(plan: Plan, target: Any, start: Any, known: Known) -> float:
    """sd(u) sqrt(d/2), at most: as if no corrector contracted it. A step with noise spreads u by how its A^2 e^u + c
    varies with the midpoint, at the least and the largest u that it may meet."""
    truth, modes = split_target(target)
    lam, total = truth.variances, 0.0
    met = _Met(plan, truth, modes, start)
    for place, stage in enumerate(plan):
        if kept(stage):
            y, weights, _ = _stage_rule(place, stage, modes, lam, np.zeros(1), 2, known)
            total += float(weights[0] @ (np.log1p(y[0]) - weights[0] @ np.log1p(y[0])) ** 2)
        elif many_strata(stage):
            total += float(_log_cumulants(place, stage, modes, known)[1][0].sum())
        elif stage.footprint.alphas:
            alphas, rule_weights = _shared_rule(stage, modes, node_count(stage, modes)[0])
            u = met.by(place, alphas)
            for images in _float_blocks(stage, modes, lam, alphas, u):
                mean = images @ rule_weights
                total += float((((images - mean[..., None]) ** 2) @ rule_weights).max(axis=0).sum())
    return math.sqrt(total * truth.dim / 2)


class _Met:
    """The range of u that a stage may meet; asked for where a step has both a midpoint and noise, or 0 instead."""

    def __init__(self, plan: Plan, truth: Any, modes: Any, start: Any) -> None:
        self.plan, self.lam, self.modes, self.start = plan, truth.variances, modes, _start(plan, truth, start)

    def by(self, place: int, alphas: Array) -> Array:
        stages = self.plan.stages
        if not stages[place].footprint.noises:
            return np.zeros(1)
        u = self.start[:1]
        for stage in stages[:place]:
            if not stage.footprint.alphas:
                eta, kappa, _ = _settled(stage, self.modes, self.lam)
                u = _through(u, eta[0], None if kappa is None else kappa[0])
            elif kept(stage) or many_strata(stage):
                raise Unresolved
            else:
                nodes = _shared_rule(stage, self.modes, node_count(stage, self.modes)[0])[0]
                u = _range(stage, self.modes, self.lam, nodes, u)
        return _range(stages[place], self.modes, self.lam, alphas, u)


def many_strata(stage: Stage) -> bool:
    """Whether a step has too many strata for a rule in all midpoints at once."""
    foot = stage.footprint
    return chainable(stage.scheme, foot) or bool(LEAST_NODES**foot.alphas > MOST_POINTS)


def kept(stage: Stage) -> bool:
    """Whether the stage is one of equal random steps that keep a velocity."""
    return isinstance(stage, Correct) and stage.footprint.alphas > 0 and velocity_variance(stage.scheme) is not None


def _stage_rule(
    place: int, stage: Stage, modes: Any, lam: Array, u: Array, nodes: int, known: Known
) -> tuple[Array, Array, float]:
    """From each u with a fresh velocity, a Gauss rule (u.size, nodes) of Y_xx = e^{u'} - 1 after the stage."""
    if nodes > _KEPT_NODES:  # as many again would agree with themselves
        raise Unresolved
    if place not in known:
        t, h = stage.steps_
        found = spread(stage.scheme, modes, lam, float(t[0]), float(h[0]))
        known[place] = found, {}
    found, powers = known[place]
    if nodes not in powers:
        try:
            powers[nodes] = Powers(step_map(found, 2 * nodes - 1), 3)
        except NotResolved:
            raise Unresolved from None
    start = np.stack([np.expm1(u), np.zeros_like(u), np.zeros_like(u)], axis=-1)
    try:
        y, weights = marginal(powers[nodes].after(len(stage), start), 3, nodes)
    except np.linalg.LinAlgError:
        raise Unresolved from None
    if not (y > -1).all():
        raise Unresolved
    return y, weights, 64 * UNIT * len(stage).bit_length() * float(np.abs(y).max())


def _log_cumulants(place: int, stage: Stage, modes: Any, known: Known) -> tuple[Array, Array, Array, Array]:
    """Of every step of many strata: E A, the cumulants 2, 3, .. of 2 (A - E A)/E A, the share of the second that is not
    first order in the midpoints, and the error of ln (E A)^2."""
    if place not in known:
        known[place] = step_cumulants(stage, modes, 2 * _MOST_STEP_NODES - 1)
    found, off = (z[..., 0] for z in known[place])
    mean = found[0]
    if not (np.isfinite(found).all() and (mean != 0).all()):
        raise Unresolved
    k = found[1:-1] * (2 / mean) ** np.arange(2, len(found))[:, None]
    k[0] = np.maximum(k[0], 0.0)  # continued to many strata, it may miss 0 where it vanishes in leading order
    return mean, k, np.abs(found[-1]), 2 * off / np.abs(mean)


def _strata_laws(
    place: int, stage: Stage, modes: Any, lam: Array, dim: int, nodes: int, known: Known
) -> tuple[Array, Array, float]:
    """Gauss rules of the eta of every step of many strata, (steps, nodes) and weights, and an error of their sum.

    The error has that of E A, and for what the n-th cumulant lacks (see `rmverify.laws.averages.strata`) the shift of u
    that changes the law of the log radius as much: (d/2)^{(n-1)/2} E|He_n|/(2 n!) over that of a shift, 0.4.
    """
    mean, k, share, off = _log_cumulants(place, stage, modes, known)
    t, _, end = _levels(stage)
    before, after = (mode_variance(lam, z) for z in (t, end))
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


def scale_mixture(plan: Plan, target: Any, start: Any, count: int, known: Known) -> ScaleMixture:
    """P as a Gauss rule in u: the rules in alpha of neighbouring steps tensored and compressed, in a balanced tree."""
    truth, modes = split_target(target)
    lam, dim = truth.variances, truth.dim
    u, weights = _start(plan, truth, start), np.ones(1)
    rounding = _rounded(u)
    for place, stage in enumerate(plan):
        if not stage.footprint.alphas:
            eta, kappa, slip = _settled(stage, modes, lam)
            u, rounding = _through(u, eta, kappa), rounding + float(slip[0])
            continue
        if kept(stage):
            y, each, error = _stage_rule(place, stage, modes, lam, u, 2 + count // 6, known)
            u, weights = _compress(np.log1p(y).ravel(), (weights[:, None] * each).ravel(), count)
            rounding += error
            continue
        if not np.isfinite(u).all():
            raise Unresolved
        if many_strata(stage):
            nodes = min(_MOST_STEP_NODES, 2 + count // 6)
            eta, step_weights, error = _strata_laws(place, stage, modes, lam, dim, nodes, known)
            u, weights = _tensored(u, weights, *_tree(eta, step_weights, count), count)
            rounding += error
            continue
        nodes = _resolving(stage, modes, lam, u, node_count(stage, modes)[0], dim, count)
        alphas, rule_weights = _shared_rule(stage, modes, nodes)
        steps = _steps(stage, modes, lam, alphas, rule_weights)
        rounding += steps.error
        size = max(1, (_BLOCK << 3) // rule_weights.size)
        for n in range(0, len(stage), size):
            eta, kappa = steps.read(slice(n, n + size))
            if not np.isfinite(eta).all():
                raise Unresolved
            rounding += 4 * UNIT * float(np.abs(eta).max(axis=1).sum())
            if kappa is None:
                rows = _grouped(eta[..., 0], rule_weights, _NARROW * math.sqrt(2 / dim))
                u, weights = _tensored(u, weights, *_tree(*rows, count), count)
                continue
            for each, noise in zip(eta[..., 0], kappa[..., 0], strict=True):
                image = _through(u, each[:, None], noise[:, None]).ravel()
                u, weights = _compress(image, np.outer(rule_weights, weights).ravel(), count)
    keep = weights > 0
    u, weights = u[keep], weights[keep] / weights[keep].sum()
    end = float(mode_variance(lam, plan.end)[0])
    return ScaleMixture(end * np.exp(u), weights, dim, rounding, end, u)


def _shared_rule(stage: Stage, modes: Any, nodes: int) -> tuple[Array, Array]:
    """What every step of the stage may draw, alphas (A, Q), and weights (Q,), where they share both."""
    found = rules(stage, modes)
    if not found.shared:
        raise Unresolved
    try:
        alphas, weights = found.at(slice(0, 1), nodes)
    except NotResolved:
        raise Unresolved from None
    alphas, weights = alphas[:, 0], weights[0]
    if not found.foot.plain:
        t, h = (column(z) for z in stage.steps_)
        chance = np.asarray(weighed(stage.scheme, modes, t, h, _in_rows(alphas, len(t)))[1])
        if chance.ndim:
            if np.ptp(chance, axis=0).any():
                raise Unresolved
            weights = weights * chance[0, :, 0]
            keep = weights > 0
            alphas, weights = alphas[:, keep], weights[keep]
    return alphas, weights


def _resolving(stage: Stage, modes: Any, lam: Array, u: Array, nodes: int, dim: int, count: int) -> int:
    """Nodes in alpha for how far one step spreads u on the scale sqrt(2/d); they grow with `count`, so that raising it
    tests them too."""
    widest = 0.0
    alphas, _ = _shared_rule(stage, modes, nodes)
    for images in _float_blocks(stage, modes, lam, alphas, _range(stage, modes, lam, alphas, u)):
        widest = max(widest, float(np.ptp(images, axis=-1).max()))
    needed = count / 8 * (6 + 1.5 * widest * math.sqrt(dim / 2))
    result = max(nodes, math.ceil(min(needed, 3 * count)))
    if result**stage.footprint.alphas > MOST_POINTS:
        raise Unresolved
    return result


def _float_blocks(stage: Stage, modes: Any, lam: Array, alphas: Array, u: Array) -> Iterator[Array]:
    """`_float_images` of blocks of steps."""
    size = max(1, (_BLOCK << 3) // alphas.shape[1])
    for n in range(0, len(stage), size):
        yield _float_images(stage, modes, lam, slice(n, n + size), alphas, u)


def _float_images(stage: Stage, modes: Any, lam: Array, part: Any, alphas: Array, u: Array) -> Array:
    """What each u becomes in every step in `part`, up to a shift of its own: (u or 1, steps, Q) in floats."""
    noise = _float_noise(stage, modes, lam, part, alphas)
    if noise is None:
        return _float_eta(stage, modes, lam, part, alphas)[None]
    ends = np.array([u.min(), u.max()])[:, None, None]
    with np.errstate(divide="ignore"):
        return np.asarray(np.logaddexp(ends + _float_eta(stage, modes, lam, part, alphas), np.log(noise)))


def _float_noise(stage: Stage, modes: Any, lam: Array, part: Any, alphas: Array) -> Array | None:
    """The variance that every step adds, in units of the target's own after it: (steps, Q); None without noise."""
    t, h, end = (column(z[part]) for z in _levels(stage))
    c = read(stage.scheme, modes, t, h, _in_rows(alphas, len(t))).noise[0][0]
    if isinstance(c, int) and c == 0:
        return None
    return np.broadcast_to(c / mode_variance(lam, end), (len(t), alphas.shape[1], 1))[..., 0]


def _in_rows(alphas: Array, steps: int) -> Array:
    return np.broadcast_to(alphas[:, None, :, None], (len(alphas), steps, alphas.shape[1], 1))


def _range(stage: Stage, modes: Any, lam: Array, alphas: Array, u: Array) -> Array:
    """The least and the largest u that a step of the stage may meet or make."""
    low, high = float(u.min()), float(u.max())
    lowest, highest = low, high
    size = max(1, (_BLOCK << 3) // alphas.shape[1])
    for n in range(0, len(stage), size):
        part = slice(n, n + size)
        eta, noise = _float_eta(stage, modes, lam, part, alphas), _float_noise(stage, modes, lam, part, alphas)
        if noise is None:
            low, high = low + float(eta.min(axis=1).sum()), high + float(eta.max(axis=1).sum())
        else:
            with np.errstate(divide="ignore"):
                logs = np.log(noise)
            for A, c in zip(eta, logs, strict=True):
                low, high = float(np.logaddexp(low + A, c).min()), float(np.logaddexp(high + A, c).max())
                lowest, highest = min(lowest, low), max(highest, high)
    return np.array([min(lowest, low), max(highest, high)])


def _float_eta(stage: Stage, modes: Any, lam: Array, part: Any, alphas: Array) -> Array:
    t, h, end = (column(z[part]) for z in _levels(stage))
    A = read(stage.scheme, modes, t, h, _in_rows(alphas, len(t))).linear[0][0]
    A = np.broadcast_to(A, (len(t), alphas.shape[1], 1))[..., 0]
    before, after = (mode_variance(lam, z)[..., 0] for z in (t, end))
    if not (after > 0).all():
        raise Unresolved
    floor = UNIT * np.abs(A).max()  # below it A is rounding, about a midpoint that annihilates x
    if not floor > 0:
        raise Unresolved
    return np.asarray(2 * np.log(np.maximum(np.abs(A), floor)) + np.log(before / after))


def _grouped(eta: Array, rule_weights: Array, width: float) -> tuple[Array, Array]:
    """Fewer rows with the same law of their sum, all but exactly: neighbours that spread less than `width` together
    become one Gauss rule of six nodes with the cumulants that they have together, up to the eleventh."""
    weights = np.broadcast_to(rule_weights, eta.shape)
    mean = (eta * weights).sum(axis=1)
    off = (eta - mean[:, None]) / width
    order = 2 * _MOST_STEP_NODES - 1
    powers = itertools.accumulate([off] * order, np.multiply)
    moments = [np.einsum("nq,nq->n", power, weights) for power in powers]
    place = np.floor(np.cumsum(moments[1]) * 2).astype(int)
    edges = np.flatnonzero(np.diff(place, prepend=-1))
    if 2 * edges.size > len(eta) or eta.shape[1] < _MOST_STEP_NODES:
        return eta, weights
    found = np.add.reduceat(from_moments(moments), edges, axis=1)
    try:
        nodes, together = gauss(found[1:], _MOST_STEP_NODES)
    except np.linalg.LinAlgError:
        return eta, weights
    return np.add.reduceat(mean, edges)[:, None] + width * nodes, together


def _tree(eta: Array, rule_weights: Array, count: int) -> tuple[Array, Array]:
    """The rule of the sum of the rows of eta (steps, Q)."""
    u, weights = _compress(eta, np.broadcast_to(rule_weights, eta.shape), count)
    while len(u) > 1:
        if len(u) % 2:
            still = np.zeros((1, weights.shape[1]))
            u, weights = np.concatenate([u, still]), np.concatenate([weights, still])
            weights[-1, 0] = 1.0
        u, weights = _tensored(u[0::2], weights[0::2], u[1::2], weights[1::2], count)
    return u[0], weights[0]


def _tensored(u: Array, a: Array, v: Array, b: Array, count: int) -> tuple[Array, Array]:
    """The rule of the sum of two independent variables, batched over the leading axes."""
    shape = (*u.shape[:-1], u.shape[-1] * v.shape[-1])
    both = (u[..., :, None] + v[..., None, :]).reshape(shape)
    return _compress(both, (a[..., :, None] * b[..., None, :]).reshape(shape), count)


def _compress(u: Array, weights: Array, count: int) -> tuple[Array, Array]:
    """The Gauss rules with `count` nodes of discrete measures (..., M), by Lanczos; nodes not needed have weight 0."""
    if u.shape[-1] <= count:
        return np.asarray(u), np.array(weights)
    if u.ndim == 2 and u.size * count > 4 * _BLOCK and len(u) > 1:
        half = len(u) // 2
        parts = [_compress(u[k], weights[k], count) for k in (slice(half), slice(half, None))]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    center = (weights * u).sum(axis=-1, keepdims=True)
    x = u - center
    width = np.abs(np.where(weights > 0, x, 0.0)).max(axis=-1, keepdims=True)
    x = np.where(weights > 0, x, 0.0) / np.where(width > 0, width, 1.0)
    q = np.sqrt(weights)
    basis = np.zeros((*u.shape[:-1], count, u.shape[-1]))
    jacobi = np.zeros((*u.shape[:-1], count, count))
    previous, beta = np.zeros_like(q), np.zeros_like(width)
    for k in range(count):
        basis[..., k, :] = q
        r = x * q - beta * previous
        alpha = (q * r).sum(axis=-1, keepdims=True)
        r = r - alpha * q
        seen = basis[..., : k + 1, :]
        r = r - (seen.swapaxes(-1, -2) @ (seen @ r[..., None]))[..., 0]
        jacobi[..., k, k] = alpha[..., 0]
        beta = np.sqrt((r * r).sum(axis=-1, keepdims=True))
        beta = np.where(beta < 1e-14, 0.0, beta)
        if k + 1 < count:
            jacobi[..., k, k + 1] = jacobi[..., k + 1, k] = beta[..., 0]
        previous, q = q, np.where(beta > 0, r / np.where(beta > 0, beta, 1.0), 0.0)
    nodes, vectors = np.linalg.eigh(jacobi)
    found = vectors[..., 0, :] ** 2
    found = np.where(found > 1e-40, found, 0.0)
    return center + width * nodes, found / found.sum(axis=-1, keepdims=True)


# --- lattices -------------------------------------------------------------------------------------------------------


def scale_lattice(plan: Plan, target: Any, start: Any, fineness: float, known: Known) -> Lattice:
    """P on a lattice with `fineness` points to sqrt(2/d), the scale of the log radius."""
    truth, modes = split_target(target)
    lam, dim = truth.variances, truth.dim
    spacing = math.sqrt(2 / dim) / fineness
    first, weights = float(_start(plan, truth, start)[0]), np.ones(1)
    rounding = _rounded(np.array([first]))
    for place, stage in enumerate(plan):
        if not stage.footprint.alphas:
            shift, inflow, error = _settled(stage, modes, lam)
            rounding += float(error[0])
            if inflow is None:
                first += float(shift[0])
            else:
                image = _through(first + spacing * np.arange(weights.size), shift, inflow)
                first, weights = _relaid(image, weights, spacing)
            continue
        if kept(stage):
            if weights.size > _MOST_READ:
                raise Unresolved
            points = np.asarray(first + spacing * np.arange(weights.size), dtype=float)
            nodes = int(fineness) - 2
            y, each, slip = _stage_rule(place, stage, modes, lam, points, nodes, known)
            first, weights = _relaid(np.log1p(y).ravel(), (weights[:, None] * each).ravel(), spacing)
            rounding += slip
            continue
        if not math.isfinite(first):
            raise Unresolved
        kernels: list[tuple[float, Array]] = []
        met = np.array([first, first + spacing * (weights.size - 1)])
        for eta, kappa, rule_weights, slip in _fine_blocks(place, stage, modes, lam, met, dim, fineness, known):
            if not np.isfinite(eta).all():
                raise Unresolved
            rounding += slip
            if kappa is None:
                kernels += _kernels(*_grouped(eta, rule_weights, spacing / 2), spacing)
                continue
            for each, noise in zip(eta, kappa, strict=True):
                u = first + spacing * np.arange(weights.size)
                if u.size * each.size > MOST_CELLS:
                    raise Unresolved
                image = _through(u, each[:, None], noise[:, None]).ravel()
                first, weights = _relaid(image, np.outer(rule_weights, weights).ravel(), spacing)
        while len(kernels) > 1:
            odd = kernels[-1:] if len(kernels) % 2 else []
            kernels = [
                _convolved(one, two, spacing) for one, two in zip(kernels[0::2], kernels[1::2], strict=False)
            ] + odd
        for kernel in kernels:
            first, weights = _convolved((first, weights), kernel, spacing)
    end = float(mode_variance(lam, plan.end)[0])
    return Lattice(first, spacing, weights, dim, rounding, end)


def _kernels(eta: Array, rule_weights: Array, spacing: float) -> list[tuple[float, Array]]:
    """The law of each row of eta and its weights, (steps, Q) both, as (first, weights) of a lattice of its own."""
    mean = (eta * rule_weights).sum(axis=1)
    off = (eta - mean[:, None]) / spacing
    low = math.floor(off.min()) - STENCIL // 2 + 1
    width = math.floor(off.max()) + STENCIL // 2 - low + 1
    if width > MOST_CELLS:
        raise Unresolved
    result = []
    size = max(1, _BLOCK // width)
    for n in range(0, len(off), size):
        rows = off[n : n + size]
        found = _scatter(rows - low, rule_weights[n : n + size], width)
        result += [
            _trimmed(float(m) + low * spacing, w, spacing) for m, w in zip(mean[n : n + size], found, strict=True)
        ]
    return result


def _fine_blocks(
    place: int, stage: Stage, modes: Any, lam: Array, u: Array, dim: int, fineness: float, known: Known
) -> Iterator[tuple[Array, Array | None, Array, float]]:
    """(eta, kappa, weights, rounding) of blocks of steps with a rule in alpha that follows e^{i omega u'}, u' what any
    of `u` becomes, for all omega that the radius sees: one Gauss rule, or (for one midpoint a step) panels of 16 nodes,
    with eta interpolated from a Gauss rule or, where that is not smooth, in floats."""
    if many_strata(stage):
        nodes = min(_MOST_STEP_NODES, int(fineness) - 2)
        laws = _strata_laws(place, stage, modes, lam, dim, nodes, known)
        yield laws[0], None, laws[1], laws[2]
        return
    count = len(stage)
    single = stage.footprint.alphas == 1
    if not rules(stage, modes).simple:
        raise Unresolved
    nodes = node_count(stage, modes)[0]
    nodes = max(2 * nodes, _PANEL) if single else max(nodes, math.ceil(fineness * _PANEL / 5))
    if nodes**stage.footprint.alphas > MOST_POINTS:
        raise Unresolved
    alphas, weights = _shared_rule(stage, modes, nodes)
    u = _range(stage, modes, lam, alphas, u)
    steps = _steps(stage, modes, lam, alphas, weights)
    noisy = steps.read(slice(0, 1))[1] is not None
    x, w = unit_rule(_PANEL)
    size = max(1, math.ceil(count / 16))
    for n in range(0, count, size):
        part = slice(n, n + size)
        onto, fine, rule_weights, smooth = None, alphas, weights, True
        edges = _panels(stage, modes, lam, part, u, dim, fineness) if single else np.array([0.0, 1.0])
        if (edges.size - 1) * _PANEL > nodes:
            fine = (edges[:-1, None] + np.diff(edges)[:, None] * x).reshape(1, -1)
            rule_weights = np.outer(np.diff(edges), w).ravel()
            onto = _legendre_matrix(nodes, fine[0])
            smooth = _smooth(stage, modes, lam, part, u, alphas, onto, fine)
            if noisy and not smooth:
                raise Unresolved
        inner = max(1, (_BLOCK << 3) // rule_weights.size)
        for m in range(n, min(n + size, count), inner):
            block = slice(m, min(m + inner, n + size))
            if not smooth:
                yield _float_eta(stage, modes, lam, block, fine), None, rule_weights, 8.0 * UNIT * inner
                continue
            eta, kappa = (None if z is None else z[..., 0] @ onto.T if onto is not None else z[..., 0]
                          for z in steps.read(block))  # fmt: skip
            assert eta is not None
            slip = steps.error * len(eta) / count + 4 * UNIT * float(np.abs(eta).max(axis=1).sum())
            yield eta, kappa, rule_weights, slip


def _panels(stage: Stage, modes: Any, lam: Array, part: slice, u: Array, dim: int, fineness: float) -> Array:
    """Edges of panels of [0, 1] on each of which what u becomes varies by a few sqrt(2/d) and by ln 8 at most: they
    close in on midpoints at which the step annihilates x."""
    most = min(2.0, 32 / fineness * math.sqrt(2 / dim))
    lower, width = np.zeros(1), 1.0
    done: list[Array] = []
    shares = np.linspace(0, 1, 5)
    while lower.size and width > 2.0**-50:
        if (lower.size + sum(d.size for d in done)) * _PANEL > MOST_CELLS:
            raise Unresolved
        points = np.clip((lower[:, None] + width * shares).reshape(1, -1), 0, 1)
        images = _float_images(stage, modes, lam, part, points, u).reshape(-1, lower.size, shares.size)
        wide = np.ptp(images, axis=2).max(axis=0) > most
        done.append(lower[~wide])
        lower = np.concatenate([lower[wide], lower[wide] + width / 2])
        width /= 2
    return np.append(np.sort(np.concatenate([*done, lower])), 1.0)


def _legendre_matrix(nodes: int, points: Array) -> Array:
    """Values at `points` of [0, 1] of the polynomial through given values at the Gauss nodes."""
    x, w = unit_rule(nodes)
    orders = np.arange(nodes)
    there, here = (np.polynomial.legendre.legvander(2 * z - 1, nodes - 1) for z in (points, x))
    return np.asarray((there * (2 * orders + 1)) @ (here * w[:, None]).T)


def _smooth(
    stage: Stage, modes: Any, lam: Array, part: slice, u: Array, alphas: Array, onto: Array, fine: Array
) -> bool:
    """Whether eta, and what u becomes, at the fine nodes is interpolated from the rule to rounding, at the steps that
    may be worst."""
    t, h = (z[part] for z in stage.steps_)
    some = np.unique([int(np.argmax(h / np.maximum(t, 1e-300))), int(np.argmax(h)), 0, len(t) - 1]) + part.start
    rows = slice(None, None, max(1, fine.shape[1] // 64))
    pairs = [[_float_eta(stage, modes, lam, some, a) for a in (alphas, fine[:, rows])],
             [_float_images(stage, modes, lam, some, a, u) for a in (alphas, fine[:, rows])]]  # fmt: skip
    return all(
        float(np.abs(known @ onto[rows].T - due).max()) <= 1e-13 * max(1.0, float(np.abs(due).max()))
        for known, due in pairs
    )


_OFFSETS = np.arange(1 - STENCIL // 2, STENCIL // 2 + 1)
_BARYCENTRIC = np.array([(-1.0) ** k * math.comb(STENCIL - 1, k) for k in range(STENCIL)])


def lagrange(x: Array) -> Array:
    """Weights (..., 24) of the values at -11, ..., 12 in the interpolation at x in [0, 1]."""
    terms = np.asarray(np.clip(x, 1e-200, 1 - UNIT))[..., None] - _OFFSETS
    np.divide(_BARYCENTRIC, terms, out=terms)
    return np.asarray(terms / terms.sum(axis=-1, keepdims=True))


def _scatter(places: Array, weights: Array, width: int) -> Array:
    """Atoms at `places` (rows, M), in lattice units and 11 or more, on rows of lattices of `width` points."""
    rows = len(places)
    result = np.zeros(rows * width)
    base = (np.arange(rows) * width)[:, None]
    columns = max(1, _BLOCK // rows)
    for n in range(0, places.shape[1], columns):
        place = places[:, n : n + columns]
        cell = np.floor(place)
        spread = lagrange(place - cell) * weights[:, n : n + columns, None]
        where = (base + cell.astype(int))[..., None] + _OFFSETS
        result += np.bincount(where.ravel(), spread.ravel(), minlength=result.size)
    return result.reshape(rows, width)


def _relaid(u: Array, weights: Array, spacing: float) -> tuple[float, Array]:
    """Atoms anywhere, put on a lattice."""
    if not np.isfinite(u).all() or np.ptp(u) / spacing > MOST_CELLS:
        raise Unresolved
    first = float(u.min()) - (STENCIL // 2 - 1) * spacing
    places = (u - first) / spacing
    width = math.floor(places.max()) + STENCIL // 2 + 1
    return _trimmed(first, _scatter(np.maximum(places, STENCIL // 2 - 1)[None, :], weights[None, :], width)[0], spacing)


def _convolved(one: tuple[float, Array], other: tuple[float, Array], spacing: float) -> tuple[float, Array]:
    (first, a), (second, b) = one, other
    size = a.size + b.size - 1
    if size > 2 * MOST_CELLS:
        raise Unresolved
    if min(a.size, b.size) < 256:
        both = np.convolve(a, b)
    else:
        full = 1 << (size - 1).bit_length()
        both = np.fft.irfft(np.fft.rfft(a, full) * np.fft.rfft(b, full), full)[:size]
    return _trimmed(first + second, both, spacing)


def _trimmed(first: float, weights: Array, spacing: float) -> tuple[float, Array]:
    """Without the ends, which together hold less than 1e-18."""
    size = np.abs(weights)
    low = int(np.searchsorted(np.cumsum(size), 1e-18))
    high = size.size - int(np.searchsorted(np.cumsum(size[::-1]), 1e-18))
    return first + low * spacing, weights[low:high]
