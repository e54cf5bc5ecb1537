"""The law averaged over the midpoints: exact mean and covariance, and the laws given random paths of them.

Every particle draws midpoints of its own, so this mixture, and no Gaussian, is the law that a randomized sampler has;
its mean and covariance need no sampling.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rmverify.laws.averages.bends import callable_bias
from rmverify.laws.averages.counts import few
from rmverify.laws.averages.rules import LEAST_NODES, anywhere, at_nodes, node_count, rules
from rmverify.laws.averages.strata import Averages, chainable, settled, step_averages, strata_rule
from rmverify.laws.conditional import (
    CANCEL,
    ONCE,
    QUIET,
    STEP,
    column,
    conditional,
    initial,
    moments_after,
    pieces,
    require_finite,
    rounding_of,
    split_target,
    stage_map,
)
from rmverify.laws.invariant import Powers, spread, step_map
from rmverify.laws.scale import NODES, Lattice, ScaleMixture, Scales, Unresolved, kept, many_strata
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.plans import Correct, Plan, Stage
from rmverify.readings.affine import Transition, drawn
from rmverify.readings.cells import read_chain, transition
from rmverify.schemes.contract import shipped, velocity_variance
from rmverify.targets import Gaussian
from rmverify.targets.process import mode_variance

_SAME = 1e-9  # relative, of the variance that a scale mixture has and the moments say


@dataclass(frozen=True, eq=False)
class MixtureLaw:
    """The law of a plan's output with the midpoints averaged out, on a Gaussian target: exact moments, not Gaussian.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes, tv
    >>> target = Gaussian.isotropic(0.25, 3)
    >>> law = output_law(Plan([Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.0])]), target)
    >>> law.covariance.shape, law.conditional([0.5, 0.25]).dim, tv(law, target.at(1.0)).kind
    ((3, 3), 3, 'exact')
    """

    plan: Plan
    target: Any
    start: Any = "normal"
    _truth: Gaussian = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_truth", split_target(self.target)[0])

    def __repr__(self) -> str:
        evaluations = self.plan.evaluations
        return f"{type(self).__name__}(dim={self.dim}, midpoints={self.midpoints}, evaluations={evaluations})"

    @property
    def dim(self) -> int:
        return self._truth.dim

    @property
    def multiplicities(self) -> Array:
        return self._truth.multiplicities

    @property
    def scale_work(self) -> int:
        """How many rules are tensored for `scale_rule`: one a random step, one a stage that keeps a velocity."""
        return sum(len(s) if s.footprint.alphas and not kept(s) else 1 for s in self.plan)

    @property
    def midpoints(self) -> int:
        """How many random midpoints one path has."""
        return sum(len(stage) * stage.footprint.alphas for stage in self.plan)

    @cached_property
    def _moments(self) -> Moments:
        truth, modes = split_target(self.target)
        return _moments(self.plan, modes, initial(truth, self.plan, self.start))

    @property
    def means(self) -> Array:
        """The exact mean of each mode."""
        return self._moments.mean

    @property
    def variances(self) -> Array:
        """The exact variance of each mode (in the order of the target's), both sources of spread included."""
        m = self._moments
        return m.variance if m.between is None else m.variance + np.diagonal(m.between)

    @property
    def mean(self) -> Array:
        """The exact mean, in the target's coordinates."""
        return self._truth.from_modes(self.means)

    @property
    def covariance(self) -> Array:
        """The exact covariance, in the target's coordinates."""
        m, truth = self._moments, self._truth
        base = truth.with_modes(m.variance, m.mean).covariance
        if m.between is None:
            return base
        if truth.basis is not None:
            return base + truth.basis @ m.between @ truth.basis.T
        counts = truth.multiplicities.astype(int)
        return base + np.repeat(np.repeat(m.between, counts, axis=0), counts, axis=1)

    @property
    def rounding(self) -> Array:
        """Relative error of each mode's variance: rounding and the quadrature over midpoints."""
        return self._moments.rounding

    @property
    def correlated(self) -> bool:
        """Whether the shared midpoints correlate the modes, through their means."""
        return self._moments.between is not None

    @cached_property
    def surrogate(self) -> Gaussian:
        """The Gaussian with the mixture's exact mean and covariance. A stand-in, not the law."""
        m = self._moments
        if m.between is None:
            return self._truth.with_modes(m.variance, m.mean, m.rounding)
        dense = Gaussian(self.mean, self.covariance)
        return Gaussian._raw(dense.variances, dense.means, dense.multiplicities, dense.basis, m.rounding.max())

    def conditional(self, alphas: Any) -> Gaussian:
        """The Gaussian law given what is drawn: one entry per step that draws, a number or the (A,) values."""
        return conditional(self.plan, self.target, alphas, self.start)

    def paths(self, n: int, *, rng: Any = 0) -> list[Any]:
        """n independent draws of all midpoints, each as `conditional` takes them."""
        shared = [rows for rows in self._stage_paths(n, np.random.default_rng(rng)) if rows is not None]

        def entries(rows: Array, path: int) -> list[Any]:
            return list(rows[0, :, path, 0] if len(rows) == 1 else rows[:, :, path, 0].T)

        return [[entry for rows in shared for entry in entries(rows, path)] for path in range(n)]

    def _stage_paths(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Per stage the midpoints of n paths (A, steps, n, 1). Each path is a stream of its own, so that plans of
        different lengths share their first midpoints: common random numbers for comparing them."""
        feet = [stage.footprint for stage in self.plan]
        sizes = [foot.alphas * len(stage) for foot, stage in zip(feet, self.plan, strict=True)]
        uniforms = np.stack([stream.random(sum(sizes)) for stream in rng.spawn(n)])
        result = []
        for foot, stage, own in zip(feet, self.plan, np.split(uniforms, np.cumsum(sizes)[:-1], axis=1), strict=True):
            rows: Any = own.T.reshape(len(stage), foot.alphas, n, 1).swapaxes(0, 1)
            rows = foot.placed(rows) if foot.alphas else None
            if not foot.plain:
                t, h = (column(z) for z in stage.grid)
                rows = drawn(stage.scheme, split_target(self.target)[1], t, h, rows)
            result.append(rows)
        return result

    def conditionals(self, n: int, *, rng: Any = 0) -> tuple[Array, Array]:
        """Means and variances (n, modes) of the laws given n random paths of midpoints."""
        alphas = self._stage_paths(n, np.random.default_rng(rng))
        truth, modes = split_target(self.target)
        start = initial(truth, self.plan, self.start)
        *laws, _ = moments_after(self.plan, modes, (start.means, start.variances), alphas)
        means, variances = (np.broadcast_to(part, (n, truth.variances.size)) for part in laws)
        return means, variances

    @cached_property
    def scale_mixture(self) -> ScaleMixture | None:
        """The unconditional law where target and start are centred with one variance, as a Gauss rule of 24 nodes or,
        after a stage that keeps a velocity, of as many as its moments resolve; None elsewhere."""
        for nodes in range(NODES, 6, -6):
            with contextlib.suppress(Unresolved):
                return self.scale_rule(nodes)
        return self.scale_rule(6)

    def scale_rule(self, nodes: int) -> ScaleMixture | None:
        """The same with so many nodes. They resolve P while `scale_spread` is at most of their order, and what a
        divergence does not resolve shows when there are more of them."""
        found: ScaleMixture | None = self._scale_form(self._scales.mixture, nodes)
        return found

    def scale_lattice(self, fineness: float) -> Lattice | None:
        """The same as signed weights on a lattice, for any `scale_spread`."""
        found: Lattice | None = self._scale_form(self._scales.lattice, fineness)
        return found

    def _scale_form(self, form: Any, size: float) -> Any:
        if not self.is_scale_mixture:
            return None
        if (form, size) not in self._scale_forms:
            found = self._scale_forms[form, size] = form(size)
            if not self._analytic:
                variance = found.reference * float(found.weights @ np.exp(found.logs))
                if self.means.any() or not abs(variance / float(self.variances[0]) - 1) < _SAME:
                    raise Unresolved
        return self._scale_forms[form, size]

    @cached_property
    def _analytic(self) -> bool:
        """Whether every step is known to be analytic in what it draws."""
        return all(shipped(stage.scheme) for stage in self.plan) and not callable_bias(split_target(self.target)[1])

    @cached_property
    def _scale_forms(self) -> dict[Any, Any]:
        return {}

    @cached_property
    def scale_spread(self) -> float:
        """sd(ln s^2) sqrt(d/2), at most: the spread of P in units of that of the log radius of a Gaussian."""
        return self._scales.spread()

    @cached_property
    def _scales(self) -> Scales:
        return Scales(self.plan, self.target, self.start)

    @cached_property
    def is_scale_mixture(self) -> bool:
        """Whether the law is int N(0, s^2 I) dP(s^2) with a P that is known."""
        truth, modes = split_target(self.target)
        start = initial(truth, self.plan, self.start)
        if truth.variances.size != 1 or truth.means[0] != 0 or start.means[0] != 0:
            return False
        return all(_scales(stage, modes) for stage in self.plan)


def _scales(stage: Stage, modes: Any) -> bool:
    """Whether the steps do not move x = 0, and the law of their scale is within reach."""
    foot = stage.footprint
    if foot.alphas and velocity_variance(stage.scheme) is not None and not kept(stage):
        return False
    if many_strata(stage) and not chainable(stage.scheme, foot):
        return False
    near = few(replace(stage, steps=1) if isinstance(stage, Correct) else stage)
    if foot.alphas and not (kept(stage) or many_strata(stage)) and not rules(near, modes).shared:
        return False
    return not _moves(near, modes)


def _moves(stage: Stage, modes: Any) -> bool:
    """Whether a step moves x = 0: at points where nothing vanishes by design, and on the panels where it bends."""
    foot = stage.footprint
    points = anywhere(foot)[:, None, :, None] if foot.alphas else None
    panels = bool(foot.alphas) and not shipped(stage.scheme)
    if panels and many_strata(stage):
        (t, h), nodes = map(column, stage.grid), strata_rule(stage, modes, LEAST_NODES)[0]
        return read_chain(stage.scheme, foot, modes, t, h, nodes).shifts
    width = rules(stage, modes).at(slice(0, 1), LEAST_NODES)[1].size if panels else 1
    for first, t, h in pieces(stage, max(width, 1 if points is None else points.shape[2])):
        rows = None if points is None else np.broadcast_to(points, (len(points), len(t), *points.shape[2:]))
        steps = [transition(stage.scheme, foot, modes, t, h, rows)]
        if panels:
            steps.append(at_nodes(stage, modes, t, h, LEAST_NODES, slice(first, first + len(t)))[0])
        if any(np.any(part) for step in steps for part in step.shift):
            return True
    return False


# --- the exact moments --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """Averaged moments: mean, E of the conditional variance, and the covariance of the conditional means."""

    mean: Array
    variance: Array
    between: Array | None
    rounding: Array


@QUIET()
def _moments(plan: Plan, modes: Any, start: Gaussian) -> Moments:
    mean, variance, between = start.means, start.variances, None
    error = np.full(variance.size, ONCE * UNIT)
    for stage in plan:
        if not stage.footprint.alphas:
            step, slip = stage_map(stage, modes)
            a, b, c = step.scalar
            error = error + slip
            a, b, c = (np.broadcast_to(e, (1, variance.size))[0] for e in (a, b, c))
            mean, variance = a * mean + b, a * a * variance + c
            between = None if between is None else np.outer(a, a) * between
        elif kept(stage) and between is None and not mean.any() and _scales(stage, modes):
            variance, slip = _after_steps(stage, modes, variance)
            error = error + slip
        else:
            state = _State.fresh(mean, variance, between, velocity_variance(stage.scheme))
            chained = chainable(stage.scheme, stage.footprint)
            nodes, change = settled(stage, modes) if chained else node_count(stage, modes)
            error = error + 2 * change * len(stage)
            size = np.size(modes.lam)
            width = size * (8 * max(nodes, size) if chained else rules(stage, modes).at(slice(0, 1), nodes)[1].size)
            for first, t, h in pieces(few(stage), width):
                if chained:
                    second, state, off = _through_strata(stage, modes, t, h, nodes, state)
                    error = error + off
                else:
                    steps, weights = at_nodes(stage, modes, t, h, nodes, slice(first, first + len(t)))
                    shape = (*weights.shape, variance.size)
                    second = np.einsum("nqk,nq->nk", np.broadcast_to(steps.linear[0][0], shape) ** 2, weights)
                    state = state.through(steps, weights)
                error = error + rounding_of(stage, np.sqrt(second), h[:, 0], modes.lam, first)
            mean, variance = state.mean[0], state.within[0][0]
            between = None if state.between is None else state.between[0][0]
        require_finite(stage, mean, variance)
    return Moments(mean, variance, between, error)


def _after_steps(stage: Stage, modes: Any, variance: Array) -> tuple[Array, Array]:
    """The averaged variances of centred modes after equal steps with a kept velocity, and their relative error."""
    t, h = (float(z[0]) for z in stage.grid)
    own = mode_variance(modes.lam, t)
    D = step_map(spread(stage.scheme, modes, modes.lam, t, h), 1)
    start = (variance - own) / own
    m = Powers(D, 3).after(len(stage), np.stack([start, 0 * start, 0 * start], axis=-1))
    return own * (1 + m[:, 1]), np.full(variance.size, (STEP + CANCEL) * UNIT * len(stage).bit_length())


def _through_strata(
    stage: Stage, modes: Any, t: Array, h: Array, nodes: int, state: _State
) -> tuple[Array, _State, Array]:
    """E A^2 of every step of many strata, the state after them, and an error of the logarithm of its variance."""
    near = few(stage)
    shifts = read_chain(near.scheme, near.footprint, modes, t, h, strata_rule(near, modes, LEAST_NODES)[0]).shifts
    cross = state.between is not None or bool(state.mean[0].any()) or shifts
    found, off = step_averages(stage, modes, t, h, nodes, cross=cross)
    within = np.diagonal(found.aa, axis1=1, axis2=2) if cross else found.aa
    error = (2 * off / np.maximum(np.abs(found.a), 1e-300)).sum(axis=0)
    return found.a**2 + within, state.through_averages(found, cross), error


@dataclass(frozen=True)
class _State:
    """Moments of x, or of (x, v), per mode: mean[a], within[a][b] = E Cov(a, b | alphas) and
    between[a][b][i, j] = Cov over alphas of the conditional means of component a of mode i and b of mode j.

    All coordinates of a particle share its midpoints, so the conditional means of different modes are correlated
    although the modes are not: `between` is a full matrix over modes. It is None while it is 0.
    """

    mean: list[Array]
    within: list[list[Array]]
    between: list[list[Array]] | None

    @classmethod
    def fresh(cls, mean: Array, variance: Array, between: Array | None, mass: Any) -> _State:
        if mass is None:
            return cls([mean], [[variance]], None if between is None else [[between]])
        zero = np.zeros_like(variance)
        full = None if between is None else [[between, 0 * between], [0 * between, 0 * between]]
        return cls([mean, zero], [[variance, zero], [zero, zero + float(mass)]], full)

    def through(self, steps: Transition, weights: Array) -> _State:
        size, modes = len(self.mean), self.mean[0].size
        shape = (*weights.shape, modes)
        L = [[np.broadcast_to(np.asarray(e, float), shape) for e in row] for row in steps.linear]
        B = [np.broadcast_to(np.asarray(e, float), shape) for e in steps.shift]
        C = [[np.broadcast_to(np.asarray(e, float), shape) for e in row] for row in steps.noise]
        noise = [[np.einsum("nqk,nq->nk", C[a][b], weights) for b in range(size)] for a in range(size)]
        span = range(size)
        pairs = [(a, b, c, d) for a in span for b in span for c in span for d in span]
        square = {(a, b, c, d): np.einsum("nqk,nqk,nq->nk", L[a][c], L[b][d], weights) for a, b, c, d in pairs}
        mean, within, between = self.mean, self.within, self.between
        for n, w in enumerate(weights):
            image = [sum(L[a][c][n] * mean[c] for c in span) + B[a][n] for a in span]
            after = [w @ image[a] for a in span]
            off = [image[a] - after[a] for a in span]
            if between is not None or any(np.abs(o).max() > 0 for o in off):
                old = between
                between = [[(off[a] * w[:, None]).T @ off[b] for b in span] for a in span]
                if old is not None:
                    for a, b, c, d in pairs:
                        between[a][b] = between[a][b] + ((L[a][c][n] * w[:, None]).T @ L[b][d][n]) * old[c][d]
            within = [
                [sum(square[a, b, c, d][n] * within[c][d] for c in span for d in span) + noise[a][b][n] for b in span]
                for a in span
            ]
            mean = after
        return _State(list(mean), within, between)

    def through_averages(self, steps: Averages, cross: bool) -> _State:
        """The same of x alone, from what `averages` says of the steps."""
        (mean,), ((within,),) = self.mean, self.within
        between = None if self.between is None else self.between[0][0]
        for a, b, aa, ab, bb in zip(*steps, strict=True):
            within = within * (a * a + (np.diagonal(aa) if cross else aa))
            if cross:
                mixed = mean[:, None] * ab
                moved = mean[:, None] * aa * mean + mixed + mixed.T + bb
                between = moved if between is None else moved + (np.outer(a, a) + aa) * between
            mean = a * mean + b
        return _State([mean], [[within]], None if between is None else [[between]])
