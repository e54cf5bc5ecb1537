r"""Sets of midpoint paths for averages over them: how a number about a randomized plan is got from few of its paths.

A plan given its midpoints is a Gaussian; without them it is a mixture over all paths. Of m independent paths an average
is off by m^{-1/2}. Here the m paths of a set are moved together, step by step, ordered by the one number that says most
about where they will end (array-RQMC: L'Ecuyer, Lecot and Tuffin 2008): neighbours get the midpoints a and 1 - a, in
random order, and the pairs the points of a randomly shifted Sobol' net over their ranks. Every path of a set is by
itself a random path of independent uniform midpoints, so that averages are unbiased, but together they fill the space
of what matters evenly. On a real spectrum, of which one direction carries 99 % of the spread, 256 paths do what some
10^5 independent ones do.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rmverify.laws.averages.bends import callable_bias
from rmverify.laws.averages.rules import SCATTERED
from rmverify.laws.conditional import QUIET, initial, pieces, require_finite, split_target, stage_map
from rmverify.laws.mixture import MixtureLaw
from rmverify.numbers.checks import Array
from rmverify.plans import Stage
from rmverify.readings.affine import Transition, drawn, each
from rmverify.readings.cells import transition
from rmverify.schemes.contract import shipped, velocity_variance
from rmverify.targets import Gaussian

__all__ = ["Ahead", "Direction", "look_ahead", "path_sets", "points_by", "principal_direction"]

_NODES = (12, 20, 32, 48)
_SAME = 2e-14  # relative, between an entry of a step and its interpolation in the midpoint
_MOST_KEPT = 1 << 24  # slopes of all steps that are kept to look ahead
_WIDEST_NET = 4096  # midpoints of a step that are spread by one net


class Direction(NamedTuple):
    """What the paths are ordered by: sum over modes of `log_variance` d ln v + `mean` m at the end."""

    log_variance: Array
    mean: Array

    def among(self, modes: Array, count: int) -> Direction:
        """The same where these are only some of so many modes."""
        log_variance, mean = np.zeros(count), np.zeros(count)
        log_variance[modes], mean[modes] = self
        return Direction(log_variance, mean)


def principal_direction(q: Gaussian, means: Array, variances: Array) -> Direction:
    """Where the laws N(means, variances), arrays (paths, modes), differ most from one another in the metric of
    information at q, n (d ln v)^2/2 + n dm^2/b."""
    n, b = q.multiplicities, q.variances
    scale = np.concatenate([np.sqrt(n / 2), np.sqrt(n / b)])
    moments = np.concatenate([np.log(variances), means], axis=1)
    spread = (moments - moments.mean(axis=0)) * scale
    if not (np.isfinite(spread).all() and spread.any()):
        return Direction(n / 2, np.zeros(n.size))
    top = np.linalg.svd(spread, full_matrices=False)[2][0] * scale
    return Direction(top[: n.size], top[n.size :])


def path_sets(
    law: MixtureLaw, sets: int, size: int, rng: np.random.Generator, direction: Direction | None = None,
    ahead: list[Ahead] | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """Means and variances (sets, size, modes) of the laws given the paths of so many independent sets.

    Parameters
    ----------
    law : MixtureLaw
    sets : int
    size : int
        Paths of a set: a power of 2, at least 4.
    rng : Generator
    direction : Direction, optional
        By default the sum over all coordinates of ln v.
    ahead : list, optional
        `look_ahead(law)`, where it is at hand.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes
    >>> from rmverify.laws.averages.paths import path_sets
    >>> law = output_law(Plan([Predict(schemes.randomized_midpoint, [2.0, 1.0])]), Gaussian.isotropic(0.25, 3))
    >>> _, v = path_sets(law, 8, 64, np.random.default_rng(0))
    >>> v.shape, bool(abs(v.mean() / law.variances[0] - 1) < 1e-3)
    ((8, 64, 1), True)
    """
    truth, modes = split_target(law.target)
    start = initial(truth, law.plan, law.start)
    count = sets * size
    mean, variance = (np.broadcast_to(z, (count, truth.variances.size)) for z in (start.means, start.variances))
    with QUIET():
        end, ahead = law.variances, look_ahead(law) if ahead is None else ahead
        toward = Direction(truth.multiplicities / 2, np.zeros_like(end)) if direction is None else direction
        toward = Direction(toward.log_variance / np.where(end > 0, end, 1.0), toward.mean)
        for stage, later in zip(law.plan, ahead, strict=True):
            if later.drawless is not None:
                a, b, c = later.drawless
                mean, variance = a * mean + b, a * a * variance + c
            else:
                mean, variance = _through(stage, modes, mean, variance, later, toward, (sets, size), rng)
            require_finite(stage, mean, variance)
    shape = (sets, size, -1)
    return (np.broadcast_to(z, (count, truth.variances.size)).reshape(shape) for z in (mean, variance))  # type: ignore


def _through(
    stage: Stage, modes: Any, mean: Any, variance: Any, later: Ahead, toward: Direction, shape: Any, rng: Any
) -> tuple[Any, Any]:
    """The moments of x after a stage that draws midpoints."""
    mass = velocity_variance(stage.scheme)
    means, cov = [mean], [[variance]]
    if mass is not None:
        none = np.zeros_like(variance)
        means, cov = [mean, none], [[variance, none], [none, none + float(mass)]]
    for n, step in enumerate(_steps(stage, modes)):
        uniforms = points_by(later.key(n, toward, means, cov).reshape(shape), stage.footprint.alphas, rng)
        means, cov = _moved(step(uniforms.reshape(len(uniforms), -1)), means, cov)
    return means[0], cov[0][0]


def _moved(step: Transition, means: list[Any], cov: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
    L, b, C = step
    if len(means) == 1:
        a = L[0][0]
        return [a * means[0] + b[0]], [[a * a * cov[0][0] + C[0][0]]]
    half = [[sum(L[i][k] * cov[k][j] for k in (0, 1)) for j in (0, 1)] for i in (0, 1)]
    after = [[sum(half[i][k] * L[j][k] for k in (0, 1)) + C[i][j] for j in (0, 1)] for i in (0, 1)]
    return [sum(L[i][j] * means[j] for j in (0, 1)) + b[i] for i in (0, 1)], after


# --- points -----------------------------------------------------------------------------------------------------


def points_by(key: Array, alphas: int, rng: np.random.Generator) -> Array:
    """Uniform numbers (alphas, sets, size) for paths that are ordered by a key (sets, size)."""
    uniforms = np.empty((alphas, *key.shape))
    order = np.argsort(key, axis=1)
    np.put_along_axis(uniforms, order[None], ranked_points(alphas, key.shape, rng), axis=2)
    return uniforms


def ranked_points(alphas: int, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Uniform numbers (alphas, sets, size) for paths in the order of their ranks."""
    sets, pairs = shape[0], shape[1] // 2
    net = np.concatenate([_net(min(alphas - first, _WIDEST_NET), pairs) for first in range(0, alphas, _WIDEST_NET)])
    shift = rng.integers(0, pairs, size=(alphas, sets, 1))
    u = ((net[:, None, :] ^ shift) + rng.random((alphas, sets, pairs))) / pairs
    turned = rng.integers(0, 2, size=(sets, pairs), dtype=np.int8).astype(bool)
    first = np.where(turned, 1 - u, u)
    return np.stack([first, 1 - first], axis=-1).reshape(alphas, sets, -1)


@functools.lru_cache(maxsize=32)
def _net(alphas: int, pairs: int) -> Array:
    """A Sobol' net of `pairs` points in one dimension more, in the order of its first one: integers below `pairs`."""
    from scipy.stats import qmc  # slow to load, and needed by no command that draws nothing

    points = (qmc.Sobol(alphas + 1, scramble=False).random(pairs) * pairs).astype(np.int64)
    net: Array = np.ascontiguousarray(points[np.argsort(points[:, 0]), 1:].T)
    return net


# --- steps ------------------------------------------------------------------------------------------------------


def _steps(stage: Stage, modes: Any) -> Iterator[Any]:
    """Of each step what makes a `Transition`, entries (paths, modes), of the uniforms (A, paths)."""
    foot = stage.footprint
    smooth = foot.alphas == 1 and foot.plain and shipped(stage.scheme) and not callable_bias(modes)
    for _, t, h in pieces(stage, np.size(modes.lam) * _NODES[-1]):
        table = _interpolation(stage, modes, t, h) if smooth else None
        for n in range(len(t)):
            one = slice(n, n + 1)
            if table is not None:
                yield functools.partial(_interpolated, *table, n)
            else:
                yield functools.partial(_direct, stage, modes, t[one], h[one])


def _direct(stage: Stage, modes: Any, t: Array, h: Array, uniforms: Array) -> Transition:
    foot = stage.footprint
    rows = foot.placed(uniforms)[:, None, :, None]
    if not foot.plain:
        rows = drawn(stage.scheme, modes, t, h, rows)
    step = transition(stage.scheme, foot, modes, t, h, rows)
    return each(step, lambda part: np.broadcast_to(part, (1, *np.shape(part)[-2:]))[0] if np.ndim(part) else part)


def _interpolation(stage: Stage, modes: Any, t: Array, h: Array) -> tuple[Array, Transition] | None:
    """Chebyshev points of the midpoint and the entries of the steps there, where these say all others too."""

    def at(points: Array) -> Transition:
        rows = np.broadcast_to(points[:, None], (1, len(t), points.size, 1))
        return transition(stage.scheme, stage.footprint, modes, t, h, rows)

    seen = at(SCATTERED)
    for nodes in _NODES:
        x = (1 - np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes)) / 2
        found, weights = at(x), _barycentric(x, SCATTERED)
        if all(_agree(weights, a, b) for a, b in zip(found.entries, seen.entries, strict=True)):
            shape = (len(t), nodes, np.size(modes.lam))
            return x, each(found, lambda part, shape=shape: _kept(part, shape))
    return None


def _kept(part: Any, shape: tuple[int, ...]) -> Any:
    if not np.any(part):
        return 0
    return np.broadcast_to(part, (shape[0], np.broadcast_shapes(np.shape(part), (1, 1, 1))[1], shape[2]))


def _agree(weights: Array, nodes: Any, seen: Any) -> bool:
    if np.ndim(nodes) < 3 or np.shape(nodes)[1] == 1:
        return True
    size = np.abs(nodes).max(axis=1, keepdims=True)
    return bool((np.abs(np.einsum("pq,nqk->npk", weights, nodes) - seen) <= _SAME * size).all())


def _interpolated(x: Array, table: Transition, n: int, uniforms: Array) -> Transition:
    weights = _barycentric(x, uniforms[0])

    def at(part: Any) -> Any:
        return (weights @ part[n] if part.shape[1] > 1 else part[n]) if np.ndim(part) else part

    return each(table, at)


def _barycentric(x: Array, points: Array) -> Array:
    """The polynomials that are 1 at one of the Chebyshev points x and 0 at the others, at `points`."""
    angle = np.pi * (np.arange(x.size) + 0.5) / x.size
    apart = points[:, None] - x
    apart[apart == 0] = 1e-300
    terms = (-1.0) ** np.arange(x.size) * np.sin(angle) / apart
    return np.asarray(terms / terms.sum(axis=1, keepdims=True))


class Ahead(NamedTuple):
    """By what all later steps of the middle path multiply the second and first moments of the state, after each step
    of a stage (or after the stage, for all of them): (steps or 1, size, size, modes) and (steps or 1, size, modes)."""

    second: Array
    first: Array
    drawless: tuple[Any, Any, Any] | None = None  # a, b and c of x' = a x + b + N(0, c), of a stage without midpoints

    def key(self, n: int, toward: Direction, means: list[Any], cov: list[list[Any]]) -> Array:
        """What the paths are ordered by before the step n."""
        n = min(n, len(self.second) - 1)
        span = range(len(means))
        key: Any = 0.0
        for i, j in itertools.product(span, span):
            if (weight := toward.log_variance * self.second[n, i, j]).any():
                key = key + cov[i][j] @ weight
        for i in span if toward.mean.any() else ():
            key = key + means[i] @ (toward.mean * self.first[n, i])
        return np.asarray(key)


def look_ahead(law: MixtureLaw) -> list[Ahead]:
    """What `path_sets` orders paths with, stage by stage."""
    _, modes = split_target(law.target)
    size = np.size(modes.lam)
    second, first, result = np.ones((1, 1, size)), np.ones((1, size)), []
    for stage in reversed(law.plan.stages):
        span = range(1 if velocity_variance(stage.scheme) is None else 2)
        if not stage.footprint.alphas:
            a, b, c = stage_map(stage, modes)[0].scalar
            result.append(Ahead(second[None], first[None], (a, b, c)))
            second, first = a * a * second, a * first
            continue
        grown = np.zeros((len(span), len(span), size)), np.zeros((len(span), size))
        grown[0][0, 0], grown[1][0] = second, first
        second, first = grown
        if not stage.footprint.plain or len(stage) * size * len(span) ** 2 > _MOST_KEPT:
            result.append(Ahead(second[None], first[None]))
        else:
            L = _middle(stage, modes, len(span))
            kept = [(second, first)]
            for n in range(len(stage) - 1, -1, -1):
                second, first = _before(L[n], second, first)
                kept.append((second, first))
            seconds, firsts = (np.stack(z[-2::-1]) for z in zip(*kept, strict=True))
            result.append(Ahead(seconds, firsts))
        second, first = second[:1, :1], first[:1]
    return result[::-1]


def _before(L: Array, second: Array, first: Array) -> tuple[Array, Array]:
    """L^T second L and L^T first, mode by mode."""
    if len(first) == 1:
        return L * L * second, L[0] * first
    L = L.transpose(2, 0, 1)
    moved = L.swapaxes(1, 2) @ second.transpose(2, 0, 1) @ L, L.swapaxes(1, 2) @ first.T[..., None]
    return moved[0].transpose(1, 2, 0), moved[1][..., 0].T


def _middle(stage: Stage, modes: Any, span: int) -> Array:
    """The linear parts of all steps with every midpoint in the middle of its stratum: (steps, size, size, modes)."""
    foot, size = stage.footprint, np.size(modes.lam)
    middle = foot.placed(np.full(foot.alphas, 0.5))[:, None, None, None]
    every = np.empty((len(stage), span, span, size))
    for begin, t, h in pieces(stage, size):
        rows = np.broadcast_to(middle, (foot.alphas, len(t), 1, 1))
        step = transition(stage.scheme, foot, modes, t, h, rows)
        for i, j in itertools.product(range(span), range(span)):
            every[begin : begin + len(t), i, j] = np.broadcast_to(step.linear[i][j], (len(t), 1, size))[:, 0]
    return every
