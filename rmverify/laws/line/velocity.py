r"""A corrector with a velocity, on the law of x alone: the velocity is drawn fresh, kept over the steps, and dropped.

The noise of underdamped Langevin acts through the velocity, so that the law of x alone does not tell the next one: that
of both is carried.

Inside the stage the law of (x, v) has the density q(x) N(v; 0, u) e^{l(x, v)}, l a polynomial in v, on panels in x.
Given (x, v) a step is x' = A(x) + a v + W_x, v' = B(x) + b v + W_v. Under v ~ N(0, u) put d = x' - A(x) and
w = v' - B(x): then w ~ N(0, G), and d = k w + m e with e ~ N(0, 1) independent of w. Hence

    x' - k v' - m e = A(x) - k B(x) =: D(x),

a map of the line of slope above 1 where the score falls, and

    l'(x', v') = ln E_e E_c exp(l(x, v) + ln q(x) - ln q(x') - ln D'(x) + ln N(w; 0, G) - ln N(v'; 0, u)),
    x = D^{-1}(x' - k v' - m e),    v = g w + f e + s c,

a sum of positive terms over two Gauss-Hermite rules. m and s are small where the step is, so that few nodes do.
"""

from __future__ import annotations

import math

import numpy as np

from rmverify.laws.langevin.smooth import hermite_values
from rmverify.laws.line.inverse import rising
from rmverify.laws.line.piecewise import Panels, interpolated, log_mean
from rmverify.laws.line.pushing import Averaged, Counts, Level, Logs, ends, in_blocks, noise_rule, pushed, table
from rmverify.numbers.checks import Array
from rmverify.plans import Stage
from rmverify.readings.duals import Dual, identity
from rmverify.readings.kernel import kernel
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import Factor

__all__ = ["after_corrector"]

LOCAL = 1e-9  # of the L1 distance: what a panel, and each rule, may miss in a step: tens of steps stay below 1e-7
_BEYOND = 0.1  # of l, past all of its values in v at one x: larger, and it grows over the steps where no mass is


def after_corrector(level: Level, target: Factor, stage: Stage) -> Level:
    """The law of x after the stage."""
    if stage.footprint.alphas:
        raise TypeError(
            "scheme: on a target that is not Gaussian, a step that carries a velocity may draw no midpoint; draw "
            "from it with rmverify.sample"
        )
    panels, t, error = level
    counts, span = Counts(), ends(target.at(t))

    def log_q(x: Array) -> Array:
        return np.asarray(target.log_density(t, x))

    for h in stage.grid[1].tolist():

        def averaged(counts: Counts, panels: Panels = panels, h: float = h) -> Averaged:
            return _averaged(panels, target, stage, t, h, log_q, counts)

        panels, missed, counts = pushed(averaged, counts, log_q, span, across=_across, tolerance=LOCAL)
        error += missed
    log_weights = np.log(noise_rule(panels.coefficients.shape[2])[1])

    def position(x: Array) -> Array:
        return np.asarray(log_mean(panels(x), log_weights, 1))[:, None]

    panels, missed = interpolated(position, log_q, panels.breaks[0], panels.breaks[-1], np.ones(1), LOCAL)
    return Level(panels, t, error + missed)


def _averaged(
    panels: Panels, target: Factor, stage: Stage, t: float, h: float, log_q: Logs, counts: Counts
) -> Averaged:
    u = float(velocity_variance(stage.scheme) or 0.0)
    grid = np.unique(np.append(panels.nodes[0][:, ::3], panels.breaks))
    here = kernel(stage.scheme, target, identity(grid), t, h)
    a, b = (float(np.asarray(c)) for c in here.coefficients)
    (c_x, c), (_, c_v) = ((float(np.asarray(entry)) for entry in row) for row in here.noise)
    G = b * b * u + c_v
    k = (a * b * u + c) / G
    m = math.sqrt((a - c / c_v * b) ** 2 * u * c_v / G + max(c_x - c * c / c_v, 0.0))
    g, f = u * b / G, u * (a * c_v - b * c) / (G * m)
    s = math.sqrt(max(u * c_v / G - f * f, 0.0))

    def across(x: Dual) -> Dual:
        position, velocity = kernel(stage.scheme, target, x, t, h).moved
        found: Dual = position - k * velocity
        return found

    def log_p(x: Array) -> Array:
        values = panels(x)
        return np.asarray(log_mean(values, np.log(noise_rule(values.shape[-1])[1]), -1) + log_q(x))

    maps, lost = rising(across, *table(panels, log_p), lambda _, x: f"at x = {x:.3g} in the corrector at level {t:g}")
    (z, weights), (e, e_weights), (hidden, hidden_weights) = map(
        noise_rule, (counts.velocity, counts.noise, counts.hidden)
    )
    v = math.sqrt(u) * z[:, None]
    log_weights = np.log(np.multiply.outer(e_weights, hidden_weights)).ravel()

    def logs(y: Array) -> Array:
        x = maps.inverse((y[:, None, None] - k * v - m * e).ravel())
        at, slope = x.value[0], x.slope[0]
        w = v - kernel(stage.scheme, target, identity(at), t, h).moved[1].value.reshape(y.size, v.size, e.size)
        inner = _polynomial(panels(at), ((g * w + f * e).reshape(-1, 1) + s * hidden) / math.sqrt(u))
        outer = log_q(at) - np.log(slope) + (v * v / u - w * w / G).ravel() / 2 + math.log(u / G) / 2
        outer = outer - np.repeat(log_q(y), v.size * e.size)
        return np.asarray(log_mean((outer[:, None] + inner).reshape(y.size, v.size, -1), log_weights, 2))

    size = v.size * e.size * max(hidden.size, panels.coefficients.shape[2]) * 4
    x, w = panels.nodes
    mass = float((w * np.exp(log_p(x))).sum())
    arrived, deviation = here.moved[0].value[None], math.sqrt(a * a * u + c_x)
    rules = ("noise", "hidden", "velocity")
    return Averaged(in_blocks(logs, size), weights, arrived, deviation, rules, mass, lost)


def _across(values: Array, count: int) -> Array:
    """Values (n, V) at the nodes of the rule over velocities, at those of another."""
    return _polynomial(values, np.broadcast_to(noise_rule(count)[0], (len(values), count)))


def _polynomial(values: Array, z: Array) -> Array:
    """The polynomial with these values (n, V) at the nodes of the rule, at z (n, k): hardly beyond all of them, as
    those of no weight are only kept within reason."""
    nodes, weights = noise_rule(values.shape[1])
    coefficients = (values * weights) @ hermite_values(nodes, nodes.size).T
    found = np.einsum("nj,jnk->nk", coefficients, hermite_values(z, nodes.size))
    return np.asarray(np.clip(found, values.min(axis=1)[:, None] - _BEYOND, values.max(axis=1)[:, None] + _BEYOND))
