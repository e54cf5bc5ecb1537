"""What A measures: the process, its flow, its score, its start and its early stop.

Everything else rests on these closed forms, so most of them are checked over balls, as power series.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import measure
from rmverify.claims.looks.search import Axis
from rmverify.divergences import tv, w2
from rmverify.errors.certified import certified_start
from rmverify.exponents import Bound
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import UNIT
from rmverify.numbers.values import Value
from rmverify.targets import Factor, Gaussian, factors
from rmverify.targets.factors_balls import BallFactor
from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance

BITS = 256
ROUNDING = 1e-12


def a1(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield measure.residuals(
            "the marginals and the score of each mode as power series over balls", _marginal_residuals(look)
        )
        if look.target is None:
            yield measure.residuals(
                "ln q of each factor that is not Gaussian, as power series over balls", _factor_residuals()
            )
            yield _factors_in_floats()


def _settings(look: Look) -> Iterator[tuple[dict[str, Any], Any, Any, Any]]:
    """Where, and there variance, mean and level as balls, at the precision of the residuals."""
    for (lam, mean), t in itertools.product(measure.modes_of(look), measure.LEVELS):
        with ctx.workprec(BITS):
            yield {"lambda": lam, "mean": mean, "t": t}, arb(lam), arb(mean), arb(t)


def _marginal_residuals(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    for where, lam, mean, t in _settings(look):
        time = arb_series([t, 1], prec=2)
        m, v = mode_mean(mean, time), mode_variance(lam, time)
        x = arb_series([0.75, 1], prec=3)
        log_density = -((x - m[0]) ** 2) / (2 * v[0])
        yield where | {"equation": "m' = -m"}, m[1] + m[0]
        yield where | {"equation": "v' = 2 - 2v"}, v[1] - (2 - 2 * v[0])
        score = mode_score(mean, lam, t, arb(0.75))
        yield where | {"equation": "s = d ln q/dx"}, log_density[1] - score


FACTORS: tuple[Factor, ...] = (
    factors.TwoGaussians(0.75, 0.5), factors.TwoGaussians(3.0, 0.25), factors.SkewNormal(-4.0, 0.5, 0.75),
    factors.UniformGaussian(1.5, 0.125), factors.LaplaceGaussian(0.75, 0.25), factors.ExponentialGaussian(1.25, 0.5),
)  # fmt: skip
PLACES = (-12.0, -1.0, 0.125, 2.0, 15.0)  # in standard deviations from the mean


def _places(law: Factor) -> Array:
    return np.round(law.mean + math.sqrt(law.variance) * np.array(PLACES), 6)


def _factor_residuals() -> Iterator[tuple[dict[str, Any], Any]]:
    for factor in FACTORS:
        for t in measure.LEVELS:
            with ctx.workprec(4 * BITS):  # the tails of a density are differences of numbers of the order of 1
                law, time = BallFactor(factor), arb(t)
                for x in _places(factor.at(t)).tolist():
                    at = np.array([arb(x)], dtype=object)
                    slope, curve = law.score(time, at)[0], law.slope(time, at)[0]
                    where = {"factor": repr(factor), "t": t, "x": x, "equation": "d_t ln q = 1 + x s + s^2 + s'"}
                    yield where, law.rate(time, arb(x)) - (1 + arb(x) * slope + slope * slope + curve)


def _factors_in_floats() -> Evidence:
    """What float64 makes of ln q, its score and its slope: relative to themselves, or to 1, sqrt(L) and L near a 0."""
    worst, where = 0.0, {}
    for factor in FACTORS:
        for t in measure.LEVELS:
            here = factor.at(t)
            L = max(here.smoothness, -here.strong_concavity)
            for name, scale in (("log_density", 1.0), ("score", math.sqrt(L)), ("slope", L)):
                for x, off in _rounding(factor, t, _places(here), name, scale):
                    if off > worst:
                        worst, where = off, {"of": name, "factor": repr(factor), "t": t, "x": x}
    return Evidence(
        "exact", "rounding of the factors' closed forms: float64 against balls",
        "holds" if 0 < worst <= ROUNDING else "violated", computed=f"relative deviation at most {worst:.2g}",
        bound=f"{ROUNDING:g}", label="lower", constant=Value(worst, "exact", 1e-18), where=where,
        domain="from 12 standard deviations to the left to 15 to the right", source="stated by this package",
    )  # fmt: skip


def _rounding(factor: Factor, t: float, x: Array, name: str, scale: float) -> Iterator[tuple[float, float]]:
    with ctx.workprec(4 * BITS):
        balls = getattr(BallFactor(factor), name)(arb(t), np.frompyfunc(arb, 1, 1)(x))
        for place, found, ball in zip(x.tolist(), getattr(factor, name)(t, x).tolist(), balls, strict=True):
            yield place, abs(float(arb(found) - ball)) / max(abs(float(ball)), scale)


def a2(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield measure.residuals("the flow of each mode as power series in h over balls", _flow_residuals(look))


def _flow_residuals(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    for where, lam, mean, t in _settings(look):
        for part in (0.0, 0.25, 0.75):
            h0 = arb(part * where["t"])
            h = arb_series([h0, 1], prec=2)
            slope = flow_slope(lam, t, h)
            x = slope * arb(0.75) + mode_mean(mean, t - h)
            here = where | {"h": part * where["t"]}
            score = mode_score(mean, lam, t - h0, x[0])
            yield here | {"equation": "dx/dh = x + s"}, x[1] - x[0] - score
            carried = slope[0] * slope[0] * mode_variance(lam, t) - mode_variance(lam, t - h0)
            yield here | {"equation": "variance carried"}, carried


def a3(look: Look, bound: Bound) -> Iterator[Evidence]:
    if not look.wants("exact"):
        return
    yield measure.residuals("d/dt of the score along the flow, by power series over balls", _speed_residuals(look))

    def ratio(lam: Any, n: Any, L: Any, t: Any) -> Any:
        return _speed(mode_variance(lam, t)) @ n / bound(L=L, d=n.sum(), t=t)[:, 0]

    def exact(where: Any) -> Value:
        return _speed_ratio(measure.spectrum(look) or Gaussian.isotropic(where["lambda"], 1), where["t"], bound)

    axes = [*measure.class_axes(look), Axis("t", 1e-3, 10)]
    yield measure.searched(
        "the largest ratio of the two sides", measure.over_class(look, ratio), axes, exact=exact,
        computed="E|d/dt s_t(x_t)|^2", bound=str(bound),
    )  # fmt: skip


def _speed(v: Any) -> Any:
    """E (d/dt s_t(x_t))^2 of a mode: s = -y/v with y growing like sqrt(v), so s' = (v'/2) y/v^2, v' = 2 - 2v."""
    return (1 - v) ** 2 / v**3


def _speed_ratio(target: Gaussian, level: float, bound: Bound) -> Value:
    """The two sides' ratio over balls, rounded once."""
    with ctx.workprec(BITS):
        t, L = arb(level), 1 / arb(min(1.0, float(target.variances.min())))
        left = sum(arb(float(n)) * _speed(mode_variance(arb(float(v)), t))
                   for v, n in zip(target.variances, target.multiplicities, strict=True))  # fmt: skip
        ratio = left / bound(one=arb(1), L=L, d=arb(target.dim), t=t)
        return Value(float(ratio.mid()), "exact", float(ratio.rad()) + UNIT * abs(float(ratio.mid())))


def _speed_residuals(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    for where, lam, mean, t in _settings(look):
        h, v = arb_series([0, 1], prec=2), mode_variance(lam, t)
        # from m(t) + sqrt(v), the point at one standard deviation: its square is the mean of the squares
        x = flow_slope(lam, t, h) * v.sqrt() + mode_mean(mean, t - h)
        speed = mode_score(mean, lam, t - h, x)[1]
        yield where, speed * speed - _speed(v)


def a4(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        if look.target is not None:
            axes = [Axis("T", 1e-3, 12)]
        else:
            axes = [
                Axis("lambda", 1e-6, 1e3),
                Axis("mean", 1e-3, 1e2),
                Axis("d", 1, 1e6, whole=True, ends=("low",)),
                Axis("T", 1e-3, 12),
            ]

        def one(**p: float) -> Any:
            target = look.target or Gaussian.from_spectrum([p["lambda"]], [int(p["d"])], [p["mean"]])
            value = tv(target.at(p["T"]), target.with_modes(1.0, 0.0))
            return measure.times(value, 1 / bound(T=p["T"], d=target.dim, m_2=_second_moment(target)))

        yield measure.searched_pointwise(
            "the largest ratio of the two sides", one, axes, computed="TV(q_T, N(0,I))", bound=str(bound),
            effort=measure.effort(look, 512, 16, 4, 16),
        )  # fmt: skip
    if look.wants("certified"):
        if look.target is not None:
            yield measure.uncertified("the certified class has centred isotropic laws only")
            return
        found = certified_start(effort=look.effort)
        what = "the smallest constant, every point of the class"
        yield measure.enclosed(what, found, ("lambda", "T", "d"), str(bound))


def a5(look: Look, bound: Bound) -> Iterator[Evidence]:
    if not look.wants("exact"):
        return
    axes = [Axis("delta", 1e-9, 1)]
    if look.target is None:
        axes += [Axis("lambda", 1e-12, 1e6), Axis("mean", 1e-3, 1e3)]

    def one(**p: float) -> Any:
        target = look.target or Gaussian.from_spectrum([p["lambda"]], [1], [p["mean"]])
        due = bound(delta=p["delta"], d=target.dim, m_2=_second_moment(target))
        return measure.times(w2(target.at(p["delta"]), target), 1 / due)

    yield measure.searched_pointwise(
        "the largest ratio of the two sides", one, axes, computed="W_2(q_delta, q_0)", bound=str(bound),
        effort=measure.effort(look, 512, 16, 4, 16),
    )  # fmt: skip


def _second_moment(target: Gaussian) -> float:
    return float(np.sqrt(target.multiplicities @ (target.variances + target.means**2)))
