"""Errors of predictors against the exact flow, over balls, where float64 would lose the differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.laws.conditional import initial, split_target
from rmverify.laws.midpoints import MOST_NODES, rule
from rmverify.plans import Plan, Predict
from rmverify.process import flow_slope, mode_mean
from rmverify.readings.affine import read
from rmverify.readings.balls import legendre, lift
from rmverify.schemes.contract import Scheme
from rmverify.targets import Gaussian
from rmverify.targets.checks import number
from rmverify.values import Value


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
    truth, modes = split_target(target)
    plan = Plan([Predict(scheme, np.array([t, t - h]))])
    return _coupling(truth, modes, plan, initial(truth, plan, start), lengths=[h])


def coupling_error(plan: Plan, target: Any, *, start: Any = "exact") -> LocalError:
    """The same for a whole plan of predictors: E|x^_N - x*_N|^2 where x* follows the exact flow from x^_0.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, coupling_error, schemes
    >>> e = coupling_error(Plan([Predict(schemes.euler, [2.0, 1.9, 1.8])]), Gaussian.isotropic(0.5, 2))
    >>> e.variance == 0 and e.bias == e.mean_square
    True
    """
    truth, modes = split_target(target)
    return _coupling(truth, modes, plan, initial(truth, plan, start))


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
            while nodes <= MOST_NODES:
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
        "the error did not settle: the score is singular at the end of the step or close to it (h near t), or its bias "
        "is too rough in t"
    )


def _tight(ball: Any) -> bool:
    return bool(ball.is_zero()) or float(ball.rad()) <= 1e-17 * abs(float(ball.mid()))


def _agree(a: Any, b: Any) -> bool:
    return bool(abs(float((a - b).mid())) <= 1e-16 * abs(float(b.mid())))


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
    random = False
    for stage in plan:
        alphas, w = None, np.array([arb(1)], dtype=object)
        if stage.footprint.alphas:
            alphas, w = rule(stage.footprint, *legendre(nodes), lift)
            alphas = alphas[:, None, :, None]
        times = stage.times
        for n in range(len(stage)):
            t = lift(times[n]).reshape(1, 1, 1)
            h = lift(lengths[n]).reshape(1, 1, 1) if lengths else t - lift(times[n + 1])
            step = read(stage.scheme, balls, t, h, alphas, lift)
            random = random or alphas is not None or np.ndim(step.noise[0][0]) > 0
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
    variance = counts @ (drawn[0] * second + drawn[1] * m + drawn[2]) if random else arb(0)
    return bias, variance
