"""Errors of predictors against the exact flow, over balls, where float64 would lose the differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.laws.averages.rules import LEAST_NODES, MOST_NODES, at_nodes, rules, unbent
from rmverify.laws.averages.strata import averages, chainable, strata_rule
from rmverify.laws.conditional import column, initial, split_target
from rmverify.numbers.checks import Array, number
from rmverify.numbers.quadrature import unit_balls, unit_rule
from rmverify.numbers.values import Value
from rmverify.plans import Footprint, Plan, Predict, footprint
from rmverify.readings.affine import weighed
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.readings.cells import read_chain
from rmverify.readings.witness import per_mode
from rmverify.schemes.contract import Scheme, name
from rmverify.targets import EstimatedScore, Gaussian
from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance


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

    def __repr__(self) -> str:
        parts = (f"{name}={getattr(self, name).text()}" for name in ("bias", "variance", "mean_square"))
        return f"LocalError({', '.join(parts)})"


def local_error(
    scheme: Scheme, target: Gaussian | EstimatedScore, t: float, h: float, *, start: Any = "exact"
) -> LocalError:
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

    Raises
    ------
    TypeError
        Where the step draws normal values, and so does not follow the flow.

    Examples
    --------
    >>> from rmverify import Gaussian, local_error, schemes
    >>> e = local_error(schemes.randomized_midpoint, Gaussian.isotropic(1.0, 1), 1.0, 1e-6)
    >>> round(e.variance / (1e-24 / 12), 4)  # (2v-1)^2 h^4/(12 v^3) at v = 1
    1.0
    """
    t, h = number("t", t, above=0), number("h", h, above=0)
    if h > t:
        raise ValueError(f"h: expected at most t = {t!r}, got {h!r}")
    return _coupling(Plan([Predict(scheme, np.array([t, t - h]))]), target, start, lengths=[h])


def coupling_error(plan: Plan, target: Gaussian | EstimatedScore, *, start: Any = "exact") -> LocalError:
    """The same for a whole plan of predictors: E|x^_N - x*_N|^2 where x* follows the exact flow from x^_0.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, coupling_error, schemes
    >>> e = coupling_error(Plan([Predict(schemes.euler, [2.0, 1.9, 1.8])]), Gaussian.isotropic(0.5, 2))
    >>> e.variance == 0 and e.bias == e.mean_square
    True
    """
    return _coupling(plan, target, start)


def _coupling(
    plan: Plan, target: Gaussian | EstimatedScore, start: Any, lengths: list[float] | None = None
) -> LocalError:
    truth, modes = split_target(target)
    per_mode(plan, target, truth, modes, "errors against the exact flow are")
    law = initial(truth, plan, start)
    for stage in plan:
        if not isinstance(stage, Predict):
            raise TypeError("plan: coupling errors are against the probability flow; use Predict stages only")
        _follows_the_flow(stage.scheme, stage.footprint)
    for bits in (160, 320, 640, 1280):
        nodes = 8
        with precision(bits):
            before = None
            while nodes <= MOST_NODES:
                now = _coupling_balls(truth, modes, plan, start, nodes, lengths)
                if not all(_tight(ball) for ball in now):
                    break
                drawing = plan.drawing_steps > 0
                if not drawing or (before is not None and all(map(_agree, before, now))):
                    bias, variance = (float(ball) for ball in now)
                    spread, lean = _edges_off(truth, law, modes, plan)
                    errors = 1e-15 * bias + 2 * math.sqrt(bias * lean), 1e-15 * variance + spread
                    pairs = zip((bias, variance, bias + variance), (*errors, sum(errors)), strict=True)
                    return LocalError(*(Value(value, "exact", error) for value, error in pairs))
                before, nodes = now, nodes * 2
    raise ArithmeticError(
        "scheme: the error did not converge: the score is singular at or near the end of the step (h near t), its bias "
        "is too rough in t, or the step is too rough in what it draws"
    )


def _follows_the_flow(scheme: Scheme, foot: Footprint) -> None:
    if foot.noises:
        raise TypeError(
            f"scheme: {name(scheme)} draws normal values: it follows the reverse diffusion, and from the flow it is as "
            "far as its noise; compare laws instead, output_law(plan, target) with target.at(t) by kl, tv or w2"
        )


def _edges_off(truth: Gaussian, law: Gaussian, modes: Any, plan: Plan) -> tuple[float, float]:
    """What edges of panels that are off by slips s change of the variance, sum s E|jump|^2, and of the bias, the square
    of sum s |jump|, at most: jumps on the scale of the start."""
    size, variance, root = law.means**2 + law.variances, 0.0, 0.0
    for stage in plan:
        panels = None if chainable(stage.scheme, stage.footprint) else rules(stage, modes)
        if panels is None or panels.simple or not panels.slip.any():
            continue
        slips = np.broadcast_to(panels.slip, len(stage))
        for n, (t, h) in enumerate(zip(*map(column, stage.grid), strict=True)):
            step, weights = at_nodes(stage, modes, t[None], h[None], LEAST_NODES, slice(n, n + 1))
            shape = (1, weights.shape[1], size.size)
            a, b = (np.ptp(np.broadcast_to(z, shape)[0], axis=0) for z in step.scalar[:2])
            jump = float(truth.multiplicities @ (a * a * size + b * b) * 2)
            variance, root = variance + float(slips[n]) * jump, root + float(slips[n]) * math.sqrt(jump)
    return variance, root * root


def _tight(ball: Any) -> bool:
    return bool(ball.is_zero()) or float(ball.rad()) <= 1e-17 * abs(float(ball.mid()))


def _agree(a: Any, b: Any) -> bool:
    return bool(abs(float((a - b).mid())) <= 1e-16 * abs(float(b.mid())))


def _coupling_balls(
    truth: Gaussian, modes: Any, plan: Plan, start: Any, nodes: int, lengths: list[float] | None
) -> tuple[Any, Any]:
    """Bias and variance as balls.

    An exact start is not rounded: where the error at the mean vanishes in leading order, h times less is left of it.
    """
    balls = modes.lift(lift)
    lam, mean = lift(truth.variances), lift(truth.means)
    zero, one = lift(np.zeros(lam.size)), lift(np.ones(lam.size))
    moments: Any = ((zero, zero), (one, zero), (zero, zero, zero))
    for stage in plan:
        scheme, foot, times = lift_scheme(stage.scheme), stage.footprint, stage.times
        chained, average = chainable(scheme, foot, nodes), None
        panels = None if chained else rules(stage, modes)
        for n in range(len(stage)):
            if average is None or not (panels is None or panels.simple):
                points = (
                    strata_rule(stage, modes, nodes, lift, unit_balls)
                    if panels is None
                    else panels.at(slice(n, n + 1), nodes, lift, unit_balls)
                )
                average = _averager(scheme, foot, chained, points, lift)
            t = lift(times[n]).reshape(1, 1, 1)
            h = lift(lengths[n]).reshape(1, 1, 1) if lengths else t - lift(times[n + 1])
            step = [part[0] for part in average(balls, t, h, (1, lam.size))]
            t, h = t[0], h[0]
            slope = flow_slope(lam, t, h)[0]
            shift = (mode_mean(mean, t - h) - slope * mode_mean(mean, t))[0]
            moments = advance(moments, step, slope, shift)
    if isinstance(start, str) and start == "exact":
        t = lift(plan.start)
        at = mode_mean(mean, t), mode_variance(lam, t)
    else:
        law = initial(truth, plan, start)
        at = lift(law.means), lift(law.variances)
    bias, variance = parts(moments, *at)
    counts = lift(truth.multiplicities)
    return counts @ bias, counts @ variance


def _averager(scheme: Scheme, foot: Footprint, chained: bool, points: tuple[Any, Any], number: Any) -> Any:
    """(modes, t, h, shape) -> E a, E b, Var a, Cov(a, b), Var b + E c of the steps x -> a x + b + N(0, c), each of that
    shape (steps, modes).

    `points`: alphas (A, 1, Q) and weights (1, Q) of a tensor rule over what is drawn, or for many strata nodes and
    weights (Q,) in each, for the chain over them.
    """

    def average(modes: Any, t: Any, h: Any, shape: tuple[int, int]) -> list[Any]:
        if chained:
            found = averages(read_chain(scheme, foot, modes, t, h, points[0], number), points[1])
            return [np.broadcast_to(part, shape) for part in found]
        alphas, w = (points[0][..., None], points[1][0]) if foot.alphas else (None, None)
        step, chance = weighed(scheme, modes, t, h, alphas, number)
        full = (shape[0], 1 if w is None else w.size, shape[1])
        a, b, c = (np.broadcast_to(number(e), full) for e in step.scalar)
        if w is None:
            zero = 0 * number(np.ones(shape))
            return [a[:, 0], b[:, 0], zero, zero, c[:, 0]]

        def mean(z: Any) -> Any:
            return w @ z if np.ndim(chance) == 0 else ((w[:, None] * chance) * z).sum(axis=1)

        mean_a, mean_b = mean(a), mean(b)
        da, db = a - mean_a[:, None], b - mean_b[:, None]
        return [mean_a, mean_b, mean(da * da), mean(da * db), mean(db * db + c)]

    return average


def advance(moments: Any, step: Any, slope: Any, shift: Any) -> Any:
    """The coefficients (off, f, u) after one more step.

    Of the start x_0 of a mode: x* = f_1 x_0 + f_0, E_alpha x^ - x* = off_1 x_0 + off_0 and Var_alpha x^ =
    u_2 x_0^2 + u_1 x_0 + u_0, each updated without forming the difference of large numbers. The step x -> a x + b +
    N(0, c) comes as its averages E a, E b, Var a, Cov(a, b), Var b + E c; the flow is x -> slope x + shift.
    """
    (off, f, u), (mean_a, mean_b, aa, ab, bb) = moments, step
    kept = mean_a * mean_a + aa
    p = (off[0] + f[0], off[1] + f[1])
    return (
        (mean_a * off[0] + (mean_a - slope) * f[0], mean_a * off[1] + (mean_a - slope) * f[1] + (mean_b - shift)),
        (slope * f[0], slope * f[1] + shift),
        (
            kept * u[0] + aa * p[0] * p[0],
            kept * u[1] + 2 * p[0] * (aa * p[1] + ab),
            kept * u[2] + p[1] * (aa * p[1] + 2 * ab) + bb,
        ),
    )


def parts(moments: Any, m: Any, v: Any) -> tuple[Any, Any]:
    """E|E_alpha x^ - x*|^2 and E|x^ - E_alpha x^|^2 of each mode, for x_0 ~ N(m, v)."""
    off, _, u = moments
    at_mean = off[0] * m + off[1]  # squared by a product: flint's arb(0, r)**2 is nan
    return off[0] * off[0] * v + at_mean * at_mean, u[0] * (v + m * m) + u[1] * m + u[2]


def window_errors(
    scheme: Scheme, lam: Any, t: Any, h: Any, *, steps: int = 1, gain: Any = 0.0, bias: Any = 0.0, nodes: int = 24
) -> tuple[Array, Array]:
    """Bias and variance of `steps` steps of length h from noise level t, many settings at once, in float64.

    For searches over parameters: relative errors of about 1e-15/h^3 are left and a near singularity of the score is
    not looked for; `local_error` and `coupling_error` give the number itself.

    Parameters
    ----------
    lam : array, shape (K, M) or (1, M)
        Variances of centred modes.
    t, h, gain, bias : array, shape (K, 1)
        The score handed over is (1 + gain) s + bias.
    nodes : int
        Gauss-Legendre nodes in each midpoint.

    Returns
    -------
    bias, variance : ndarray, shape (K, M)
        Of each mode, started from q_t.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify.schemes import midpoint
    >>> one = np.ones((1, 1))
    >>> square, variance = window_errors(midpoint, one, one, 0.1 * one)  # (4v-3) h^3/(24 v^2) at v = 1
    >>> float(square[0, 0] / (0.1**3 / 24) ** 2), float(variance[0, 0])
    (1.1, 0.0)
    """
    lam, t, h = (np.asarray(z, dtype=float)[:, None, :] for z in (lam, t, h))
    gain, bias = (np.asarray(z, dtype=float).reshape(-1, 1, 1) for z in (gain, bias))
    modes = _Settings(lam, gain, bias)
    shape = np.broadcast_shapes(lam.shape, t.shape)[::2]
    foot, points = footprint(scheme), unit_rule(nodes)
    _follows_the_flow(scheme, foot)
    chained = chainable(scheme, foot, nodes)
    if foot.alphas and not chained:
        points = unbent(foot).at(slice(0, 1), nodes)
    average = _averager(scheme, foot, chained, points, np.asarray)
    zero, one = np.zeros(shape), np.ones(shape)
    moments: Any = ((zero, zero), (one, zero), (zero, zero, zero))
    start = mode_variance(lam, t)[:, 0]
    for _ in range(steps):
        moments = advance(moments, average(modes, t, h, shape), flow_slope(lam, t, h)[:, 0], zero)
        t = t - h
    return parts(moments, 0.0, start)


class _Settings:
    """Centred modes, one row of parameters a setting, with the score (1 + gain) s + bias."""

    def __init__(self, lam: Array, gain: Array, bias: Array) -> None:
        self.lam, self.gain, self.bias = lam, gain, bias

    def score(self, t: Any, x: Any) -> Any:
        return mode_score(0.0, self.lam, t, x) * (1 + self.gain) + self.bias
