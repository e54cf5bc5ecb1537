r"""What comes out of a plan: exact laws, conditional on the midpoints or averaged over them, and exact errors.

Which law a number belongs to matters. On a Gaussian target, with a score affine in x:

* without random midpoints, or *given* them, the output is Gaussian: a `Gaussian` with exact moments;
* with random midpoints the output is a mixture over them: a `MixtureLaw`, whose mean and covariance are exact, and
  whose divergences are brackets. Where target and start are centred with one variance it is a scale mixture
  int N(0, s^2 I) dP(s^2) and P is known (`ScaleMixture`).

Every law carries a rounding estimate in the logarithm of each variance, in units of 2^-53: `STEP` per step (on a
uniform grid every step repeats the same rounding), and `CANCEL` for every multiple by which the parts of a step,
e^h x and the score's, exceed their sum (a few long steps). It is an estimate, not a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from rmverify.plans import Plan, Predict, Stage
from rmverify.process import flow_slope, mode_mean
from rmverify.readings.affine import Transition, chain, compose, position, read
from rmverify.schemes.contract import Scheme, velocity_variance
from rmverify.targets import EstimatedScore, Gaussian
from rmverify.targets.checks import Array, finite_array, number
from rmverify.values import Value

__all__ = ["LocalError", "MixtureLaw", "ScaleMixture", "coupling_error", "local_error", "output_law"]

STEP, CANCEL, ONCE = 4, 16, 16  # units of 2^-53 in log variance: per step, per multiple, per law; tested against balls
_BLOCK = 1 << 20  # numbers per temporary array
_MOST_NODES = 512
_SCALE_NODES = 24
UNIT = 2.0**-53
_QUIET = partial(np.errstate, over="ignore", invalid="ignore")  # an overflowing law is refused by name


# --- from a target to what the readings need ----------------------------------------------------------------


def _split(target: Any) -> tuple[Gaussian, Any]:
    """The true Gaussian and the modes of the score that the scheme is handed."""
    if isinstance(target, Gaussian):
        return target, target.modes
    if isinstance(target, EstimatedScore) and isinstance(target.target, Gaussian):
        return target.target, target.modes
    raise TypeError(
        f"target: exact laws need a Gaussian, or an EstimatedScore of one, got {type(target).__name__}; "
        "its samplers' laws are not Gaussian: use rmverify.sample"
    )


def _initial(truth: Gaussian, plan: Plan, start: Any) -> Gaussian:
    if start == "exact":
        return truth.at(plan.start)
    if start == "normal":
        return truth.with_modes(1.0, 0.0)
    if isinstance(start, Gaussian) and start.variances.shape == truth.variances.shape and start.basis is truth.basis:
        return start
    raise ValueError(f"start: expected 'normal', 'exact' or a Gaussian in the target's modes, got {start!r}")


def _column(values: Array) -> Array:
    return values.reshape(-1, 1, 1)


def _pieces(stage: Stage, width: int) -> Any:
    """The stage's steps in blocks small enough that steps x nodes x modes (`width` a step) fits a temporary."""
    t, h = stage.steps_
    size = max(1, _BLOCK // max(1, width * max(1, stage.footprint.alphas)))
    for first in range(0, len(t), size):
        yield first, _column(t[first : first + size]), _column(h[first : first + size])


# --- the law given the midpoints ----------------------------------------------------------------------------


def stage_map(stage: Stage, modes: Any, alphas: Any = None) -> tuple[Transition, Array]:
    """One stage as a map of x alone: x' = A x + b + N(0, C), entries over (paths, modes), and its rounding (modes,).

    `alphas`: array (A, steps, paths, 1), the midpoints of the stage.
    """
    paths = 1 if alphas is None else alphas.shape[2]
    result: Transition | None = None
    rounding = np.zeros((1, np.size(modes.lam)))
    for first, t, h in _pieces(stage, paths * np.size(modes.lam)):
        rows = None if alphas is None else alphas[:, first : first + len(t)]
        steps = read(stage.scheme, modes, t, h, rows)
        rounding = rounding + _rounding(stage, steps.linear[0][0], h)
        piece = chain(steps, len(t))
        result = piece if result is None else compose(piece, result)
    assert result is not None
    return position(result, velocity_variance(stage.scheme)), rounding.max(axis=0)


def _rounding(stage: Stage, slope: Any, h: Array) -> Array:
    """The rounding estimate of the steps with these coefficients of x (steps, paths, modes): over (paths, modes)."""
    grown = np.exp(2 * h) if isinstance(stage, Predict) else 1.0  # e^h in the midpoint, and e^h again in the step
    excess = np.abs(grown / np.maximum(np.abs(slope), 1e-300) - 1)
    return np.asarray(UNIT * (STEP * len(h) + CANCEL * excess.sum(axis=0)))


def _pushed(plan: Plan, modes: Any, law: tuple[Any, Any], alphas: list[Any]) -> tuple[Any, Any, Array]:
    """The means and variances (paths, modes) that the plan makes of the starting ones, and their rounding (modes,)."""
    mean, variance = law
    rounding = np.full(np.size(modes.lam), ONCE * UNIT)
    with _QUIET():
        for stage, rows in zip(plan, alphas, strict=True):
            (((a,),), (b,), ((c,),)), slip = stage_map(stage, modes, rows)
            mean, variance, rounding = a * mean + b, a * a * variance + c, rounding + slip
            _require_finite(stage, mean, variance)
    return mean, variance, rounding


def _require_finite(stage: Stage, *moments: Any) -> None:
    if not all(np.isfinite(moment).all() for moment in moments):
        raise OverflowError(f"the law overflows in the stage that ends at level {stage.end:g}: the scheme is unstable")


def _stage_alphas(plan: Plan, alphas: Any) -> list[Any]:
    """The user's list, one entry per drawing step, as one array (A, steps, 1, 1) per stage; checked."""
    given = list(alphas)
    if len(given) != plan.drawing_steps:
        raise ValueError(f"alphas: expected one entry per drawing step ({plan.drawing_steps}), got {len(given)}")
    result: list[Any] = []
    used = 0
    for stage in plan:
        foot = stage.footprint
        if not foot.alphas:
            result.append(None)
            continue
        rows = [np.atleast_1d(finite_array("alphas", entry)) for entry in given[used : used + len(stage)]]
        used += len(stage)
        for row in rows:
            if row.shape != (foot.alphas,):
                raise ValueError(f"alphas: expected {foot.alphas} value(s) per step, got shape {row.shape}")
            if (row < foot.floors - 1e-15).any() or (row > foot.floors + foot.widths + 1e-15).any():
                raise ValueError(f"alphas: expected each value inside its stratum of [0, 1], got {row}")
        result.append(np.stack(rows, axis=1)[:, :, None, None])
    return result


# --- the law averaged over the midpoints --------------------------------------------------------------------


def _rule(stage: Stage, nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre in every midpoint of a step, tensored: nodes (A, Q) inside the strata, weights (Q,)."""
    foot = stage.footprint
    if nodes**foot.alphas > 20_000:
        raise ValueError(
            f"exact averages over {foot.alphas} strata need {nodes}^{foot.alphas} nodes, beyond 20000; "
            "give the midpoints (alphas=) or use at most 3 strata"
        )
    x, w = _unit_rule(nodes)
    grid = np.meshgrid(*[x] * foot.alphas, indexing="ij")
    weights = np.meshgrid(*[w] * foot.alphas, indexing="ij")
    alphas = np.stack([g.ravel() for g in grid]) * foot.widths[:, None] + foot.floors[:, None]
    return alphas, np.prod([g.ravel() for g in weights], axis=0)


@lru_cache
def _unit_rule(nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre on [0, 1], rounded once: numpy's own rule is off by 1e-13 near the ends at a hundred nodes."""
    x, w = _legendre(nodes)
    return x.astype(float), w.astype(float)


def _averaged(stage: Stage, modes: Any, t: Any, h: Any, nodes: int) -> tuple[Transition, Array]:
    """The step maps at the nodes of the rule, entries (steps, Q, modes), and its weights (Q,)."""
    alphas, weights = _rule(stage, nodes)
    rows = np.broadcast_to(alphas[:, None, :, None], (alphas.shape[0], len(t), alphas.shape[1], 1))
    return read(stage.scheme, modes, t, h, rows), weights


def _node_count(stage: Stage, modes: Any) -> tuple[int, float]:
    """A node count at which the averages of A and A^2 do not change any more, and the change that is left.

    A pole of the score at v(t - ah) = 0 comes close where h is close to t; the count is doubled until the averages
    at the steps with the largest h/t agree to rounding.
    """
    t, h = stage.steps_
    worst = np.unique([np.argmax(h / np.maximum(t, 1e-300)), np.argmax(h), 0, len(t) - 1])
    t, h = _column(t[worst]), _column(h[worst])

    def averages(nodes: int) -> Array:
        step, weights = _averaged(stage, modes, t, h, nodes)
        flat = [entry for row in step.linear for entry in row if np.ndim(entry)] + [e for e in step.shift if np.ndim(e)]
        parts = [np.broadcast_to(e, np.broadcast_shapes(np.shape(e), (1, len(weights), 1))) for e in flat]
        return np.concatenate([np.einsum("nqk,q->nk", e**p, weights).ravel() for e in parts for p in (1, 2)])

    nodes, before, change = 6, averages(6), math.inf
    while True:
        nodes = nodes * 3 // 2
        try:
            after = averages(nodes)
        except ValueError:
            return nodes * 2 // 3, change
        change = float(np.max(np.abs(after - before) / np.maximum(np.abs(after), 1e-3)))
        if change < 16 * UNIT or nodes > _MOST_NODES:
            return nodes, change
        before = after


@dataclass(frozen=True)
class _Moments:
    """Averaged moments: mean, E of the conditional variance, and the covariance of the conditional means."""

    mean: Array
    variance: Array
    between: Array | None
    rounding: Array


def _moments(plan: Plan, modes: Any, start: Gaussian) -> _Moments:
    with _QUIET():
        return _averaged_moments(plan, modes, start)


def _averaged_moments(plan: Plan, modes: Any, start: Gaussian) -> _Moments:
    mean, variance, between = start.means, start.variances, None
    error = np.full(variance.size, ONCE * UNIT)
    for stage in plan:
        mass = velocity_variance(stage.scheme)
        if not stage.footprint.alphas:
            (((a,),), (b,), ((c,),)), slip = stage_map(stage, modes)
            error = error + slip
            a, b, c = (np.broadcast_to(e, (1, variance.size))[0] for e in (a, b, c))
            mean, variance = a * mean + b, a * a * variance + c
            between = None if between is None else np.outer(a, a) * between
        else:
            state = _State.fresh(mean, variance, between, mass)
            nodes, change = _node_count(stage, modes)
            error = error + 2 * change * len(stage)
            width = np.size(modes.lam) * nodes**stage.footprint.alphas
            for _, t, h in _pieces(stage, width):
                steps, weights = _averaged(stage, modes, t, h, nodes)
                shape = (len(t), weights.size, variance.size)
                slope = np.sqrt(np.einsum("nqk,q->nk", np.broadcast_to(steps.linear[0][0], shape) ** 2, weights))
                error = error + _rounding(stage, slope, h[:, 0])
                state = state.through(steps, weights, len(t))
            mean, variance, between = state.mean[0], state.within[0][0], state.position_between()
        _require_finite(stage, mean, variance)
    return _Moments(mean, variance, between, error)


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
        full = None
        if between is not None:
            none = np.zeros_like(between)
            full = [[between, none], [none, none]]
        return cls([mean, zero], [[variance, zero], [zero, zero + float(mass)]], full)

    def through(self, steps: Transition, weights: Array, count: int) -> _State:
        size, modes = len(self.mean), self.mean[0].size
        shape = (count, weights.size, modes)
        L = [[np.broadcast_to(np.asarray(e, float), shape) for e in row] for row in steps.linear]
        B = [np.broadcast_to(np.asarray(e, float), shape) for e in steps.shift]
        C = [[np.broadcast_to(np.asarray(e, float), shape) for e in row] for row in steps.noise]
        noise = [[np.einsum("nqk,q->nk", C[a][b], weights) for b in range(size)] for a in range(size)]
        span = range(size)
        pairs = [(a, b, c, d) for a in span for b in span for c in span for d in span]
        square = {(a, b, c, d): np.einsum("nqk,nqk,q->nk", L[a][c], L[b][d], weights) for a, b, c, d in pairs}
        mean, within, between = self.mean, self.within, self.between
        for n in range(count):
            image = [sum(L[a][c][n] * mean[c] for c in span) + B[a][n] for a in span]
            after = [weights @ image[a] for a in span]
            off = [image[a] - after[a] for a in span]
            if between is not None or any(np.abs(o).max() > 0 for o in off):
                old = between
                between = [[(off[a] * weights[:, None]).T @ off[b] for b in span] for a in span]
                if old is not None:
                    for a, b, c, d in pairs:
                        between[a][b] = between[a][b] + ((L[a][c][n] * weights[:, None]).T @ L[b][d][n]) * old[c][d]
            within = [
                [sum(square[a, b, c, d][n] * within[c][d] for c in span for d in span) + noise[a][b][n] for b in span]
                for a in span
            ]
            mean = after
        return _State(list(mean), within, between)

    def position_between(self) -> Array | None:
        return None if self.between is None else self.between[0][0]


@dataclass(frozen=True)
class ScaleMixture:
    """The law int N(0, s^2 I_dim) dP(s^2), P a Gauss rule: variances s^2, shape (m,), and weights, shape (m,)."""

    variances: Array
    weights: Array
    dim: int
    rounding: float


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
        object.__setattr__(self, "_truth", _split(self.target)[0])

    @property
    def dim(self) -> int:
        return self._truth.dim

    @property
    def multiplicities(self) -> Array:
        return self._truth.multiplicities

    @cached_property
    def _moments(self) -> _Moments:
        truth, modes = _split(self.target)
        return _moments(self.plan, modes, _initial(truth, self.plan, self.start))

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

    @cached_property
    def surrogate(self) -> Gaussian:
        """The Gaussian with the mixture's exact mean and covariance. A stand-in, not the law."""
        m = self._moments
        if m.between is None:
            return self._truth.with_modes(m.variance, m.mean, m.rounding)
        dense = Gaussian(self.mean, self.covariance)
        return Gaussian._raw(dense.variances, dense.means, dense.multiplicities, dense.basis, m.rounding.max())

    def conditional(self, alphas: Any) -> Gaussian:
        """The Gaussian law given the midpoints: one entry per drawing step, a number or the (R,) values."""
        return _conditional(self.plan, self.target, alphas, self.start)

    def paths(self, n: int, *, rng: Any = 0) -> list[Any]:
        """n independent draws of all midpoints, each as `conditional` takes them."""
        rng = np.random.default_rng(rng)
        shared = self._stage_paths(n, rng)
        result = []
        for path in range(n):
            entries: list[Any] = []
            for rows in shared:
                if rows is not None:
                    steps = rows[:, :, path, 0].T
                    entries += list(steps[:, 0]) if steps.shape[1] == 1 else list(steps)
            result.append(entries)
        return result

    def _stage_paths(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Per stage the midpoints of n paths (A, steps, n, 1). Each path is a stream of its own, so that plans of
        different lengths share their first midpoints: common random numbers for comparing them."""
        feet = [stage.footprint for stage in self.plan]
        sizes = [foot.alphas * len(stage) for foot, stage in zip(feet, self.plan, strict=True)]
        uniforms = np.stack([stream.random(sum(sizes)) for stream in rng.spawn(n)])
        result, used = [], 0
        for foot, stage, size in zip(feet, self.plan, sizes, strict=True):
            rows = uniforms[:, used : used + size].T.reshape(len(stage), foot.alphas, n, 1).swapaxes(0, 1)
            used += size
            floors, widths = (v.reshape(-1, 1, 1, 1) for v in (foot.floors, foot.widths))
            result.append(floors + widths * rows if foot.alphas else None)
        return result

    def conditionals(self, n: int, *, rng: Any = 0) -> tuple[Array, Array]:
        """Means and variances (n, modes) of the laws given n random paths of midpoints."""
        truth, modes = _split(self.target)
        start = _initial(truth, self.plan, self.start)
        alphas = self._stage_paths(n, np.random.default_rng(rng))
        *pushed, _ = _pushed(self.plan, modes, (start.means, start.variances), alphas)
        means, variances = (np.broadcast_to(p, (n, truth.variances.size)) for p in pushed)
        return means, variances

    @cached_property
    def scale_mixture(self) -> ScaleMixture | None:
        """The unconditional law where target and start are centred with one variance and no velocity is kept
        between random steps; None elsewhere."""
        truth, modes = _split(self.target)
        start = _initial(truth, self.plan, self.start)
        m = self._moments
        kept = any(s.footprint.alphas and velocity_variance(s.scheme) is not None for s in self.plan)
        if truth.variances.size != 1 or m.between is not None or m.mean[0] != 0 or start.means[0] != 0 or kept:
            return None
        return _scale_mixture(self.plan, modes, float(start.variances[0]), truth.dim, float(m.rounding.max()))


def _scale_mixture(plan: Plan, modes: Any, variance: float, dim: int, rounding: float) -> ScaleMixture:
    """P propagated as a Gauss rule in ln s^2: tensored with the rule in alpha, compressed after every step."""
    s2, weights = np.array([variance]), np.ones(1)
    for stage in plan:
        if not stage.footprint.alphas:
            (((a,),), _, ((c,),)), _ = stage_map(stage, modes)
            s2 = (np.ravel(a) ** 2) * s2 + np.ravel(c)
            continue
        nodes, _ = _node_count(stage, modes)
        for _, t, h in _pieces(stage, nodes):
            steps, rule = _averaged(stage, modes, t, h, nodes)
            shape = (len(t), rule.size)
            slope = np.broadcast_to(steps.linear[0][0], (*shape, 1))[..., 0] ** 2
            noise = np.broadcast_to(np.asarray(steps.noise[0][0], float), (*shape, 1))[..., 0]
            for n in range(len(t)):
                spread = (slope[n][:, None] * s2 + noise[n][:, None]).ravel()
                s2, weights = _compress(spread, np.outer(rule, weights).ravel(), _SCALE_NODES)
    return ScaleMixture(s2, weights, dim, rounding)


def _compress(s2: Array, weights: Array, count: int) -> tuple[Array, Array]:
    """The Gauss rule with `count` nodes of a discrete measure, in the variable ln s^2, by Lanczos."""
    if s2.size <= count:
        return s2, weights
    logs = np.log(s2)
    center = float(weights @ logs)
    u = logs - center
    width = float(np.abs(u).max())
    if width < 4 * UNIT:
        return np.array([math.exp(center)]), np.ones(1)
    u = u / width
    basis = np.zeros((count, u.size))
    alpha, beta = np.zeros(count), np.zeros(count)
    q, previous = np.sqrt(weights), np.zeros(u.size)
    size = count
    for k in range(count):
        basis[k] = q
        r = u * q - (beta[k - 1] * previous if k else 0)
        alpha[k] = float(q @ r)
        r = r - alpha[k] * q
        r = r - basis[: k + 1].T @ (basis[: k + 1] @ r)
        beta[k] = float(np.linalg.norm(r))
        if beta[k] < 1e-14:
            size = k + 1
            break
        previous, q = q, r / beta[k]
    jacobi = np.diag(alpha[:size]) + np.diag(beta[: size - 1], 1) + np.diag(beta[: size - 1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    rule = vectors[0] ** 2
    keep = rule > 1e-40
    return np.exp(center + width * nodes[keep]), rule[keep] / rule[keep].sum()


def _conditional(plan: Plan, target: Any, alphas: Any, start: Any) -> Gaussian:
    truth, modes = _split(target)
    initial = _initial(truth, plan, start)
    rows = _stage_alphas(plan, () if alphas is None else alphas)
    mean, variance, rounding = _pushed(plan, modes, (initial.means, initial.variances), rows)
    return truth.with_modes(np.ravel(variance), np.ravel(mean), rounding)


def output_law(plan: Plan, target: Any, *, alphas: Any = None, start: Any = "normal") -> Any:
    """The exact law of what a plan outputs, on a Gaussian target.

    Parameters
    ----------
    plan : Plan
    target : Gaussian or EstimatedScore of a Gaussian
    alphas : sequence, optional
        The midpoints, one entry per drawing step: a number, or the (R,) values of the strata.
    start : {"normal", "exact"} or Gaussian
        N(0, I), or the true q_T, or any Gaussian in the target's modes.

    Returns
    -------
    Gaussian
        Where nothing is random but the normal draws, or where `alphas` are given.
    MixtureLaw
        Otherwise.

    Raises
    ------
    TypeError
        Where the target is not Gaussian or the scheme is not affine in its state.
    OverflowError
        Where the scheme is so unstable that the moments overflow.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes, tv
    >>> target = Gaussian([0.0, 1.0], [0.25, 4.0])
    >>> plan = Plan([Predict(schemes.heun, [3.0, 2.0, 1.0])])
    >>> law = output_law(plan, target)
    >>> law.dim, tv(law, target.at(1.0)).kind
    (2, 'exact')
    """
    if not isinstance(plan, Plan):
        raise ValueError(f"plan: expected a Plan, got {type(plan).__name__}")
    if alphas is None and plan.drawing_steps:
        law = MixtureLaw(plan, target, start)
        _initial(law._truth, plan, start)
        return law
    return _conditional(plan, target, alphas, start)


# --- errors against the exact flow, over balls --------------------------------------------------------------


@dataclass(frozen=True)
class LocalError:
    """E|x^ - x*|^2 of a scheme against the exact flow from the same point, and its two parts.

    `bias` = E|E_alpha x^ - x*|^2, `variance` = E|x^ - E_alpha x^|^2, `mean_square` = their sum; sums over all
    coordinates. The left sides of the one-step lemmas.

    Examples
    --------
    >>> from rmverify import Gaussian, local_error, schemes
    >>> error = local_error(schemes.midpoint, Gaussian.isotropic(2.0, 1), 1.0, 0.1)
    >>> error.variance == 0 and error.bias.kind
    'exact'
    """

    bias: Value
    variance: Value
    mean_square: Value


def local_error(scheme: Scheme, target: Any, t: float, h: float, *, start: Any = "exact") -> LocalError:
    r"""One step of a predictor from noise level t to t-h, against the exact probability flow.

    The step runs over balls with enough bits that the differences survive, and is rounded once: relative error
    below 1e-14 at any h.

    Parameters
    ----------
    scheme : predictor
    target : Gaussian or EstimatedScore of a Gaussian
    t, h : number
        0 < h <= t, in the process's time.
    start : {"exact", "normal"}
        The law of the point that both start from: q_t or N(0, I).

    Examples
    --------
    >>> from rmverify import Gaussian, local_error, schemes
    >>> e = local_error(schemes.randomized_midpoint, Gaussian.isotropic(1.0, 1), 1.0, 1e-6)
    >>> round(e.variance / (1e-24 / 12), 4)  # (2v-1)^2 h^4/(12 v^3) at v = 1
    1.0
    """
    t, h = number("t", t, above=0), number("h", h, above=0)
    if h > t:
        raise ValueError(f"h: expected a step of at most t = {t!r}, got {h!r}")
    truth, modes = _split(target)
    plan = Plan([Predict(scheme, np.array([t, t - h]))])
    return _coupling(truth, modes, plan, _initial(truth, plan, start), lengths=[h])


def coupling_error(plan: Plan, target: Any, *, start: Any = "exact") -> LocalError:
    """The same for a whole plan of predictors: E|x^_N - x*_N|^2 where x* follows the exact flow from x^_0.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, coupling_error, schemes
    >>> e = coupling_error(Plan([Predict(schemes.euler, [2.0, 1.9, 1.8])]), Gaussian.isotropic(0.5, 2))
    >>> e.variance == 0 and e.bias == e.mean_square
    True
    """
    truth, modes = _split(target)
    return _coupling(truth, modes, plan, _initial(truth, plan, start))


def _coupling(
    truth: Gaussian, modes: Any, plan: Plan, start: Gaussian, lengths: list[float] | None = None
) -> LocalError:
    for stage in plan:
        if not isinstance(stage, Predict):
            raise TypeError("coupling errors compare with the probability flow: expected Predict stages only")
    import flint

    for bits in (160, 320, 640, 1280):
        nodes = 8
        with flint.ctx.workprec(bits):
            before = None
            while nodes <= _MOST_NODES:
                now = _coupling_balls(truth, modes, plan, start, nodes, lengths)
                if not all(_tight(ball) for ball in now):
                    break
                drawing = plan.drawing_steps > 0
                if not drawing or (before is not None and all(map(_agree, before, now))):
                    bias, variance = (float(ball) for ball in now)
                    error = 1e-15 * (bias + variance)
                    return LocalError(
                        Value(bias, "exact", 1e-15 * bias),
                        Value(variance, "exact", 1e-15 * variance),
                        Value(bias + variance, "exact", error),
                    )
                before, nodes = now, nodes * 2
    raise ArithmeticError(
        "the average over midpoints did not settle: the score has a pole too close to the step (h near t)"
    )


def _tight(ball: Any) -> bool:
    return bool(ball.is_zero()) or float(ball.rad()) <= 1e-17 * abs(float(ball.mid()))


def _agree(a: Any, b: Any) -> bool:
    return bool(abs(float((a - b).mid())) <= 1e-16 * abs(float(b.mid())))


def lift(values: Any) -> Any:
    """An array of exact floats as an object array of balls of radius 0."""
    from flint import arb

    array = np.asarray(values)
    if array.dtype == object:
        return array
    return np.asarray(np.frompyfunc(lambda x: arb(float(x)), 1, 1)(array), dtype=object)


def _legendre(nodes: int) -> tuple[Any, Any]:
    from flint import arb

    pairs = [arb.legendre_p_root(nodes, k, weight=True) for k in range(nodes)]
    return np.array([(1 + x) / 2 for x, _ in pairs], dtype=object), np.array([w / 2 for _, w in pairs], dtype=object)


def _coupling_balls(
    truth: Gaussian, modes: Any, plan: Plan, start: Gaussian, nodes: int, lengths: list[float] | None
) -> tuple[Any, Any]:
    """Bias and variance as balls. Per mode, given x_0: E_alpha x^ = p_1 x_0 + p_0, E_alpha x^^2 is the quadratic
    with coefficients s_2, s_1, s_0, and x* = f_1 x_0 + f_0."""
    from flint import arb

    balls = modes.lift(lift)
    lam, mean = lift(truth.variances), lift(truth.means)
    zero, one = lift(np.zeros(lam.size)), lift(np.ones(lam.size))
    p, f, s = (one, zero), (one, zero), (one, zero, zero)
    root, weight = _legendre(nodes)
    for stage in plan:
        foot = stage.footprint
        _rule(stage, nodes) if foot.alphas > 1 else None
        grids = np.meshgrid(*[root] * foot.alphas, indexing="ij") if foot.alphas else []
        floors, widths = _strata_balls(foot.uniforms)
        alphas = [lo + width * g.ravel().reshape(1, -1, 1) for lo, width, g in zip(floors, widths, grids, strict=True)]
        w = np.array([arb(1)], dtype=object)
        for _ in range(foot.alphas):
            w = np.outer(w, weight).ravel()
        times = stage.times
        for n in range(len(stage)):
            t = lift(times[n]).reshape(1, 1, 1)
            h = lift(lengths[n]).reshape(1, 1, 1) if lengths else t - lift(times[n + 1])
            step = read(stage.scheme, balls, t, h, np.array(alphas, dtype=object) if alphas else None, lift)
            a, b, c = (
                np.broadcast_to(np.asarray(e, dtype=object), (1, w.size, lam.size))[0]
                for e in (step.linear[0][0], step.shift[0], step.noise[0][0])
            )
            a1, b1, a2, ab, b2 = w @ a, w @ b, w @ (a * a), w @ (a * b), w @ (b * b + c)
            s = (a2 * s[0], a2 * s[1] + 2 * ab * p[0], a2 * s[2] + 2 * ab * p[1] + b2)
            p = (a1 * p[0], a1 * p[1] + b1)
            t, h = t[0], h[0]
            slope = flow_slope(lam, t, h)[0]
            shift = (mode_mean(mean, t - h) - slope * mode_mean(mean, t))[0]
            f = (slope * f[0], slope * f[1] + shift)
    m, v, counts = lift(start.means), lift(start.variances), lift(truth.multiplicities)
    second = v + m * m
    off = (p[0] - f[0], p[1] - f[1])
    bias = counts @ (off[0] * off[0] * v + (off[0] * m + off[1]) ** 2)
    drawn = (s[0] - p[0] * p[0], s[1] - 2 * p[0] * p[1], s[2] - p[1] * p[1])
    variance = counts @ (drawn[0] * second + drawn[1] * m + drawn[2]) if plan.drawing_steps else arb(0)
    return bias, variance


def _strata_balls(uniforms: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    from flint import arb

    floors = [arb(k) / r for r in uniforms for k in range(r)]
    return floors, [arb(1) / r for r in uniforms for _ in range(r)]
