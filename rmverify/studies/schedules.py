r"""Which noise levels should a sampler use, on the user's own spectrum?

The error of a plan on Gaussian data is a smooth function of its levels, mode by mode: a step from t to t' multiplies
the deviation of a mode by a(t, t') and adds b(t, t'), and both are read off the scheme's own code, with their slopes in
t and t'. So the levels that minimise KL, TV or W_2 are found by a quasi-Newton search on the logarithms of the ratios
of neighbouring levels, from every named grid and from random ones, and what is reported of the levels found is computed
anew by `rmverify.output_law` and the divergences.

A least error is global as far as all starts end at it, which is counted. Few long steps have many minima: where a step
makes a mode vanish KL is infinite, and between such places a scheme of second order may cancel its errors, and that of
the start, mode by mode. Such levels fit the spectrum that they were found on and little else (`transferred`).

Where midpoints are random, KL and W_2^2 are those of the law given the midpoints, averaged over them: an upper bound on
those of the averaged law (both are convex), and what particles that share their midpoints are off by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy.optimize import minimize

from rmverify import divergences, schemes
from rmverify.divergences.products import second_order
from rmverify.elementary import exp, expm1, sqrt
from rmverify.laws import output_law
from rmverify.numbers.checks import Array, finite_array, number, positive_integer
from rmverify.numbers.values import Value
from rmverify.paths import VP
from rmverify.plans import Levels, Plan, Predict, footprint, sigma_of
from rmverify.plans.schedules import Grid
from rmverify.readings.duals import Dual
from rmverify.schemes.contract import Draw, Scheme, Score, missing_parameters, unwrap, velocity_variance
from rmverify.schemes.probability_flow import ddim, sigma_step
from rmverify.studies.budget import Setting, setting
from rmverify.studies.study import Record, html
from rmverify.targets import Factor, Gaussian
from rmverify.targets.process import mode_mean, mode_score, mode_variance
from rmverify.targets.spectra import spectrum

__all__ = [
    "GRIDS", "MOST_STEPS", "SCHEMES", "Carried", "Row", "Schedule", "best", "ddim", "edm_heun", "error",
    "lost", "schedule", "transferred",
]  # fmt: skip

Metric = Literal["kl", "tv", "w2"]
GRIDS: tuple[Grid, ...] = get_args(Grid)
MOST_STEPS = 200
"""Steps of the longest grid that is searched for."""
_FOLLOWED, _DRAWN, _LOOKED_AT = 10, 3, 1000  # a named grid is followed to 10 (3) times the best one's steps, or 1000
_FEW = 2  # searches where many numbers of steps are tried
_RESOLVED = 1e-6  # relative change of an average over a midpoint that is one
_NODES, _ROUGH = 24, 8  # of the average over a midpoint, in the search fewer
_TRIED, _TRIED_ALL = 25, 1200  # random lists of a kind, of which the best is a start, and steps of them all
_SPREAD = 0.5  # of the logarithms of a random start's ratios about those of a named grid
_DOUBT = 1e-2  # relative to a goal: a total variation so close to it is computed to all digits
_CLOSE = 1e-4  # relative difference of two minima that are one
_HUGE = 1e3  # the logarithm of an error that is no number
_SMALL, _NOTHING = 1e-300, 1e-19


@schemes.scheme
def edm_heun(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""Heun's rule in sigma: Y = X + (sigma' - sigma) eps(X), X' = X + (sigma' - sigma) (eps(X) + eps'(Y))/2.

    Source: Karras, Aittala, Aila, Laine 2022, Algorithm 1; HeunDiscreteScheduler of diffusers. Two evaluations.

    Examples
    --------
    >>> float(edm_heun(1.0, 2.0, 0.0, lambda t, x: -x, None))
    1.0
    """
    step, noise = sigma_step(t, h), -sqrt(-expm1(-2 * t)) * score(t, x)
    y = exp(h) * x + step * noise
    return exp(h) * x + step / 2 * (noise - sqrt(-expm1(-2 * (t - h))) * score(t - h, y))


SCHEMES: dict[str, Scheme] = {
    "ddim": ddim,
    "ddpm": schemes.ddpm,
    "edm_heun": edm_heun,
    "euler": schemes.euler,
    "exponential_integrator": schemes.exponential_integrator,
    "exponential_sde": schemes.exponential_sde,
    "heun": schemes.heun,
    "importance_midpoint": schemes.importance_midpoint,
    "midpoint": schemes.midpoint,
    "randomized_midpoint": schemes.randomized_midpoint,
}
"""The schemes of the command, by name."""


# --- the error of a list of levels, and its slopes ------------------------------------------------------------------


class _Draw:
    """Hands out the nodes of a rule over one midpoint, (Q, 1, 1), and `noise` for one normal value, whose variance it
    keeps."""

    def __init__(self, nodes: Array, noise: float = 0.0) -> None:
        self._nodes, self._noise = nodes[:, None, None], noise
        self.variance: Any = None

    def uniform(self) -> Any:
        return self._nodes

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        if self.variance is not None or count is not None or len(covariance) != 1:
            raise ValueError("scheme: expected a step that draws one normal value at most, got one that draws more")
        self.variance = covariance[0][0]
        return (self._noise,)

    def __getattr__(self, name: str) -> Any:
        raise ValueError(
            f"scheme: expected a step that draws one uniform, one normal value or nothing, but it asks for draw.{name}"
        )


class _Sums(NamedTuple):
    """Of every mode of the output, V the variance given the midpoints, g that of the goal, D the deviation of the mean
    given them: ln E V/g, E ln V/g, ln E sqrt(V/g), E D^2/g."""

    log_variance: Array
    mean_log: Array
    log_deviation: Array
    square: Array


class _Error:
    """The error of a scheme's output on a spectrum as a function of the levels, with its gradient."""

    def __init__(
        self, target: Gaussian, scheme: Scheme, metric: Metric, start: str, nodes_used: int = _NODES
    ) -> None:  # fmt: skip
        self.target, self.scheme, self.metric, self.start = target, scheme, metric, start
        nodes, weights = np.polynomial.legendre.leggauss(nodes_used)
        foot = footprint(scheme)
        self.drawn, self.noisy = bool(foot.alphas), bool(foot.noises)
        self.nodes = (nodes + 1) / 2
        self.weights = weights[:, None, None] / 2 if self.drawn else np.ones((1, 1, 1))
        self.measure = {"kl": _kl, "w2": _w2, "tv": _tv}[metric]

    @property
    def rough(self) -> _Error:
        """The same by fewer nodes, for the search."""
        return _Error(self.target, self.scheme, self.metric, self.start, _ROUGH) if self.drawn else self

    def steps(self, levels: Array, slopes: bool) -> tuple[Any, Any, Any]:
        """a, b and c of every midpoint, step and mode, (Q, N, modes), of x' = a x + b + N(0, c)."""
        lam, mean = self.target.variances, self.target.means
        t: Any = levels[:-1, None]
        h: Any = t - levels[1:, None]
        if slopes:  # in the step's first level, and in its last
            one, zero = np.ones_like(t), np.zeros_like(t)
            t, h = Dual(t, one, zero), Dual(h, one, -one)

        def of(mean: Array, x: Any, draw: _Draw | None = None) -> Any:
            return self.scheme(x, t, h, lambda s, y: mode_score(mean, lam, s, y), draw or _Draw(self.nodes))

        zeros = np.zeros_like(lam)
        a = of(zeros, zeros + 1.0)
        b = of(mean, mode_mean(mean, t)) - mode_mean(mean, t - h) if mean.any() else 0 * a
        c = 0 * a
        if self.noisy:
            unit = _Draw(self.nodes, 1.0)
            moved = of(zeros, zeros, unit)
            c = moved * moved * unit.variance + c
        shape = self.weights.shape[0], levels.size - 1, lam.size

        def full(part: Any) -> Array:
            return np.broadcast_to(np.asarray(part, dtype=float), shape)

        return (a.map(full), b.map(full), c.map(full)) if slopes else (full(a), full(b), full(c))

    def value(self, levels: Array) -> float:
        """The error; infinite where the plan is unstable."""
        with np.errstate(all="ignore"):
            found = self._found(levels, *self.steps(levels, False))[0]
        return found if math.isfinite(found) else math.inf

    def exact(self, levels: Array) -> float:
        """The error to all digits: `value` has some three of a total variation, in few dimensions."""
        if self.metric != "tv":
            return self.value(levels)
        try:
            law = output_law(Plan([Predict(self.scheme, levels)]), self.target, start=self.start)
        except OverflowError:
            return 1.0
        return float(divergences.tv(law, self.target.at(float(levels[-1]))))

    def within(self, levels: Array, goal: float) -> bool:
        """Whether the error is at most that."""
        rough = self.value(levels)
        if self.metric == "tv" and abs(rough - goal) <= _DOUBT * goal + _DOUBT**2:
            rough = self.exact(levels)
        return rough <= goal

    def gradient(self, levels: Array) -> tuple[float, Array]:
        """The error and its slope in every level."""
        with np.errstate(all="ignore"):
            parts = self.steps(levels, True)
            found, *by = self._found(levels, *(part.value for part in parts))
            first, last = (
                sum(each * slope for each, slope in zip(by, slopes, strict=True)).sum(axis=(0, 2))
                for slopes in zip(*(part.slopes for part in parts), strict=True)
            )
        return found, np.append(first, 0.0) + np.append(0.0, last)

    def sums(self, levels: Array) -> _Sums:
        """What of the output the error is made of."""
        with np.errstate(all="ignore"):
            return self._summed(levels, *self.steps(levels, False))[0]

    def _summed(
        self, levels: Array, a: Array, b: Array, c: Array
    ) -> tuple[_Sums, dict[str, Array], list[Array], list[Array]]:
        """The sums, the averages over midpoints that they are made of, and the mean's first two moments on the way."""
        w, target = self.weights, self.target
        goal = mode_variance(target.variances, levels[-1])
        variance, shift = np.ones_like(goal), -mode_mean(target.means, levels[0])
        if self.start == "exact":
            variance, shift = mode_variance(target.variances, levels[0]), 0 * goal
        products = {"A2": a * a, "AB": a * b, "B2": b * b, "A1": a, "B1": b, "size": np.abs(a)}
        mean = {name: (w * part).sum(axis=0) for name, part in products.items()}
        start = np.log(variance / goal)
        firsts, seconds = [shift], [shift * shift]
        for n in range(levels.size - 1 if shift.any() or b.any() else 0):
            first, second = firsts[-1], seconds[-1]
            firsts.append(mean["A1"][n] * first + mean["B1"][n])
            seconds.append(mean["A2"][n] * second + 2 * mean["AB"][n] * first + mean["B2"][n])
        if self.noisy:
            log = np.log(self._variances(a, c, variance)[-1] / goal)
            return _Sums(log, log, log / 2, seconds[-1] / goal), mean, firsts, seconds
        sums = _Sums(
            start + np.log(mean["A2"]).sum(axis=0), start + 2 * (w * np.log(np.abs(a))).sum(axis=(0, 1)),
            start / 2 + np.log(mean["size"]).sum(axis=0), seconds[-1] / goal,
        )  # fmt: skip
        return sums, mean, firsts, seconds

    def _variances(self, a: Array, c: Array, start: Array) -> list[Array]:
        """Before every step and after the last, where no midpoint is drawn."""
        found = [start]
        for slope, noise in zip(a[0], c[0], strict=True):
            found.append(slope * slope * found[-1] + noise)
        return found

    def _found(self, levels: Array, a: Array, b: Array, c: Array) -> tuple[float, Array, Array, Array]:
        """The error and its slopes in every a, b and c."""
        w, goal = self.weights, mode_variance(self.target.variances, levels[-1])
        sums, mean, firsts, seconds = self._summed(levels, a, b, c)
        found, by = self.measure(sums, goal, self.target.multiplicities)
        by_a = w * (
            2 * a * (by.log_variance / mean["A2"]) + 2 * by.mean_log / a
            + np.sign(a) * by.log_deviation / mean["size"]
        )  # fmt: skip
        by_b, by_c = 0 * b, 0 * c
        if self.noisy:
            exact = self.start == "exact"
            start = mode_variance(self.target.variances, levels[0]) if exact else np.ones_like(goal)
            variances, by_a = self._variances(a, c, start), 0 * a
            to_variance = (by.log_variance + by.mean_log + by.log_deviation / 2) / variances[-1]
            for n in reversed(range(len(variances) - 1)):
                by_c[0, n], by_a[0, n] = to_variance, 2 * a[0, n] * variances[n] * to_variance
                to_variance = to_variance * a[0, n] ** 2
        to_first, to_second = 0 * goal, by.square / goal
        for n in reversed(range(len(firsts) - 1)):  # the recursion of the mean, backwards
            first, second, A1, A2, AB = firsts[n], seconds[n], mean["A1"][n], mean["A2"][n], mean["AB"][n]
            a_n, b_n, w_n = a[:, n], b[:, n], w[:, 0]
            by_a[:, n] += w_n * (2 * to_second * (a_n * second + b_n * first) + to_first * first)
            by_b[:, n] += w_n * (2 * to_second * (b_n + a_n * first) + to_first)
            to_first, to_second = A1 * to_first + 2 * AB * to_second, A2 * to_second
        return found, by_a, by_b, by_c


def _kl(sums: _Sums, goal: Array, counts: Array) -> tuple[float, _Sums]:
    """KL = 1/2 sum [E V/g - 1 - E ln V/g + E D^2/g] and its slopes."""
    log_v, mean_log, _, square = sums
    each = second_order(log_v) + (log_v - mean_log) + square
    return float(counts @ each) / 2, _Sums(counts * np.exp(log_v) / 2, -counts / 2, 0 * log_v, counts / 2)


def _w2(sums: _Sums, goal: Array, counts: Array) -> tuple[float, _Sums]:
    """W_2^2 = sum g [E V/g - 2 E sqrt(V/g) + 1 + E D^2/g], its root, and the root's slopes."""
    log_v, _, log_s, square = sums
    ratio = np.expm1(log_s)
    between = np.exp(2 * log_s) * np.expm1(log_v - 2 * log_s)
    found = math.sqrt(float((counts * goal) @ (ratio * ratio + between + square)))
    share = counts * goal / (2 * found)
    return found, _Sums(share * np.exp(log_v), 0 * log_v, -2 * share * np.exp(log_s), share)


_CONTOUR = np.linspace(0.0, 32.0, 321)  # y of u = sinh(y)/2
_RULE = np.where(_CONTOUR == 0, 0.5, 1.0) * (2 / math.pi) * (_CONTOUR[1] - _CONTOUR[0]) / np.cosh(_CONTOUR)


def _tv(sums: _Sums, goal: Array, counts: Array) -> tuple[float, _Sums]:
    """TV = 1 - (1/pi) int_0^inf Re BC(1/2 + iu)/(u^2 + 1/4) du of two Gaussians by the trapezoid rule in y, and its
    slopes: as many digits as a search needs, see `_Error.exact`."""
    ratio, square = np.exp(sums.log_variance), sums.square
    # |BC| is at most that of the variances alone: nodes of no weight are left out
    size = ((1 + ratio) / 2) ** 2 + (np.sinh(_CONTOUR)[:, None] / 2 * (1 - ratio)) ** 2
    kept = _RULE * np.exp((sums.log_variance - np.log(size)) @ counts / 4) > _NOTHING
    rule, s = _RULE[kept], (0.5 + 0.5j * np.sinh(_CONTOUR[kept]))[:, None]
    between = (1 - s) * ratio + s
    logs = (1 - s) / 2 * sums.log_variance - np.log(between) / 2 - s * (1 - s) * square / (2 * between)
    bc = rule * np.exp(logs @ counts)
    by_log = (1 - s) / 2 - ratio * (1 - s) / (2 * between) + ratio * s * (1 - s) ** 2 * square / (2 * between**2)
    by_square = -s * (1 - s) / (2 * between)
    slopes = [-counts * (bc[:, None] * part).real.sum(axis=0) for part in (by_log, by_square)]
    return float(np.sum(rule - bc.real) + _RULE[~kept].sum()), _Sums(slopes[0], 0 * square, 0 * square, slopes[1])


# --- the search -----------------------------------------------------------------------------------------------------


def _levels_of(start: Array) -> Callable[[Array], tuple[Array, Array]]:
    """From the logarithms of the steps' shares of ln(T/delta) to the levels between the same ends, and the shares."""

    def levels_of(z: Array) -> tuple[Array, Array]:
        share = np.exp(z - z.max())
        share /= share.sum()
        inner = start[0] * (start[-1] / start[0]) ** np.cumsum(share)[:-1]
        return np.concatenate([start[:1], inner, start[-1:]]), share

    return levels_of


def _searched(error: _Error, start: Array) -> tuple[float, Array]:
    """The least error near a list of levels, its ends kept, and the levels."""
    levels_of, span = _levels_of(start), math.log(start[-1] / start[0])

    rough = error.rough

    def objective(z: Array) -> tuple[float, Array]:
        levels, share = levels_of(z)
        if not (np.diff(levels) < 0).all():
            return _HUGE, np.zeros_like(z)
        found, slope = rough.gradient(levels)
        if not (math.isfinite(found) and np.isfinite(slope).all()):
            return _HUGE, np.zeros_like(z)
        by_log = (slope * levels)[1:-1] * span
        by_share = np.append(np.cumsum(by_log[::-1])[::-1], 0.0)
        return math.log(max(found, _SMALL)), share * (by_share - share @ by_share) / max(found, _SMALL)

    z = np.log(np.diff(-np.log(start)))
    done = minimize(objective, z, jac=True, method="L-BFGS-B", options={"maxiter": 400, "ftol": 1e-12, "gtol": 1e-7})
    levels = levels_of(done.x)[0] if start.size > 2 else start
    return error.exact(levels), levels


class _Best(NamedTuple):
    levels: Array
    error: float
    starts: int
    agreed: int


def _best(
    error: _Error, where: Levels, steps: int, restarts: int, rng: int, enough: float | None = None,
    searches: int | None = None,
) -> _Best:  # fmt: skip
    """The best of the searches from every named grid and from random ones, or of the `searches` from the least errors;
    or the first that is `enough`."""
    if steps == 1:
        levels = where.of(1)
        return _Best(levels, error.exact(levels), 1, 1)
    generator = np.random.default_rng(rng)
    starts = [_spaced(where, grid).of(steps) for grid in GRIDS]
    # a mode that a step makes vanish is a barrier of infinite KL: no search crosses it, so that starts are drawn widely
    # and the more of them the fewer steps there are
    named, tried, rough = np.log(-np.diff(np.log(starts))), max(_TRIED, _TRIED_ALL // steps), error.rough
    for _ in range(restarts if searches is None else 0):
        near = named[generator.integers(len(GRIDS), size=tried)] + generator.normal(0, _SPREAD, (tried, steps))
        anywhere = np.log(generator.dirichlet(np.ones(steps), size=tried))
        lists = [_levels_of(starts[0])(z)[0] for z in (*near, *anywhere)]
        starts.append(min((levels for levels in lists if (np.diff(levels) < 0).all()), key=rough.value))
    found: list[tuple[float, Array]] = []
    for start in sorted(starts, key=error.value)[:searches]:
        found.append(_searched(error, start))
        if enough is not None and found[-1][0] <= enough:
            break
    least, levels = min(found, key=lambda each: each[0])
    agreed = sum(value <= least * (1 + _CLOSE) + 1e-14 for value, _ in found)
    return _Best(levels, least, len(found), agreed)


def best(
    target: Gaussian, scheme: Scheme, where: Levels, steps: int, *, metric: Metric = "kl", start: str = "normal",
    restarts: int = 3, rng: int = 0,
) -> Array:  # fmt: skip
    """The noise levels t_0 = T > ... > t_N = delta that minimise the error of a scheme's output to q_delta.

    Parameters
    ----------
    target : Gaussian
    scheme : predictor
        On x, mode by mode, that draws nothing or one uniform.
    where : Levels
        delta > 0 and T; its grid does not matter.
    steps : int
        N, at most 200.
    metric : {"kl", "tv", "w2"}
        KL(output || q_delta), total variation, or W_2. With a random midpoint KL, or the root of W_2^2, is that given
        the midpoints averaged over them, and TV is refused.
    start : {"normal", "exact"}
        N(0, I), or q_T.
    restarts, rng : int
        Random starts beside the named grids, each the best of many random lists, and their seed.

    Returns
    -------
    array, shape (N + 1,)

    Raises
    ------
    ValueError
        For arguments that make no sense, and a scheme that draws anything else.

    Examples
    --------
    On data of one variance DDIM is best at equal angles arctan(sigma/sqrt(lam)):

    >>> import numpy as np
    >>> from rmverify import Gaussian, plans
    >>> levels = best(Gaussian.isotropic(4.0, 3), ddim, plans.Levels(0.01, 3.0), 5, start="exact")
    >>> angles = np.arctan(plans.sigma_of(levels) / 2)
    >>> float(np.ptp(np.diff(angles)).round(4))
    0.0
    """
    error = _checked(target, scheme, metric, start, where)
    steps = positive_integer("steps", steps, MOST_STEPS)
    return _best(error, where, steps, _whole("restarts", restarts), rng).levels


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{name}: expected an integer >= 0, got {value!r}")
    return int(value)


def _checked(target: Any, scheme: Any, metric: Any, start: Any, where: Any) -> _Error:
    if not isinstance(target, Gaussian):
        raise TypeError(f"target: expected a Gaussian, got {type(target).__name__}")
    if not callable(scheme) or missing_parameters(scheme) or velocity_variance(scheme) is not None:
        raise ValueError(f"scheme: expected a predictor on x with its parameters bound, got {scheme!r}")
    if metric not in get_args(Metric):
        raise ValueError(f"metric: expected one of {', '.join(get_args(Metric))}, got {metric!r}")
    if start not in ("normal", "exact"):
        raise ValueError(f"start: expected 'normal' or 'exact', got {start!r}")
    if not isinstance(where, Levels) or where.early_stop == 0:
        raise ValueError(f"where: expected Levels with an early stop above 0, got {where!r}")
    foot = footprint(scheme)
    if foot.noises > 1 or foot.alphas > 1 or (foot.noises and foot.alphas) or not foot.plain:
        raise ValueError(
            "scheme: expected one that draws at most one uniform midpoint, or one normal value in its place"
        )
    if foot.alphas and metric == "tv":
        raise ValueError("metric: the total variation given a random midpoint has no closed form; use kl or w2")
    return _Error(spectrum(target), scheme, metric, start)


def error(
    levels: Any, target: Gaussian, scheme: Scheme, *, metric: Metric = "kl", start: str = "normal"
) -> Value:  # fmt: skip
    """The error of one list of levels on one target: of a grid found on one spectrum, on another too.

    Parameters
    ----------
    levels : array_like, shape (N + 1,)
        Falling, the last above 0.
    target, scheme, metric, start
        As for `best`.

    Returns
    -------
    Value
        Exact, by `rmverify.output_law`. With a random midpoint the average over midpoints by a rule of 48 nodes:
        `error` is its change from 24 nodes, and its kind "surrogate" where that is more than 1e-6 of it.

    Examples
    --------
    >>> import math
    >>> from rmverify import Gaussian
    >>> value = error([1.0, 0.5], Gaussian.isotropic(1.0, 1), ddim, start="exact")
    >>> angle = math.atan(math.sqrt(math.e**2 - 1)) - math.atan(math.sqrt(math.e - 1))
    >>> round(value, 12) == round(-math.sin(angle) ** 2 / 2 - math.log(math.cos(angle)), 12)
    True
    """
    levels = finite_array("levels", levels, ndim=1)
    if levels.size < 2 or not (np.diff(levels) < 0).all() or levels[-1] <= 0:
        raise ValueError(f"levels: expected at least two that fall, the last above 0, got {levels}")
    known = _checked(target, scheme, metric, start, Levels(float(levels[-1]), float(levels[0])))
    return _valued(known, levels)[metric]


def _valued(error: _Error, levels: Array) -> dict[str, Value]:
    """Every distance of the output to q_delta."""
    if error.drawn:
        return {metric: _averaged(error, metric, levels) for metric in ("kl", "w2")}
    plan = Plan([Predict(error.scheme, levels)])
    goal = error.target.at(float(levels[-1]))
    try:
        law = output_law(plan, error.target, start=error.start)
        return {name: getattr(divergences, name)(law, goal) for name in get_args(Metric)}
    except OverflowError:
        infinite = Value(math.inf)
        return {"kl": infinite, "tv": Value(1.0, complement=0.0), "w2": infinite}


def _averaged(error: _Error, metric: Any, levels: Array) -> Value:
    """By rules of 24 and of twice as many nodes; the error is what every mode changes by. A surrogate where the rules
    do not agree, as where some midpoint makes a mode vanish and its logarithm infinite."""
    coarse, fine = (_Error(error.target, error.scheme, metric, error.start, nodes) for nodes in (_NODES, 2 * _NODES))
    value = fine.value(levels)
    if not value < math.inf:
        return Value(value)
    moved = 1e-13 * value + abs(value - coarse.value(levels))
    if metric == "kl":
        logs = fine.sums(levels).mean_log - coarse.sums(levels).mean_log
        moved += float(error.target.multiplicities @ np.abs(logs)) / 2
    return Value(value, "exact" if moved <= _RESOLVED * value else "surrogate", moved)


# --- the answer -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Row(Record):
    """One grid: what it costs, how far its output is from q_delta, and what it would take to be as good as the best.

    `tv` is None where midpoints are random. `needed` is the fewest steps at which this grid is as close as the best one
    is in its own, None where none up to the limit are.
    """

    grid: str
    steps: int | None
    evaluations: int | None
    kl: Value | None
    tv: Value | None
    w2: Value | None
    needed: int | None
    levels: tuple[float, ...]

    brief = ("grid", "steps", "evaluations", "kl", "tv", "w2", "needed")


@dataclass(frozen=True, repr=False)
class Schedule(Record):
    """The best levels for a spectrum, beside the named grids; the first row is the best.

    `starts` is how many searches were made and `agreed` how many of them ended within 1e-4 of the least error.
    `limit` is
    the number of steps up to which the named grids were followed. `given_midpoints`: the errors are those given the
    midpoints, averaged over them.
    """

    scheme: str
    metric: str
    accuracy: float | None
    start: str
    dim: int
    setting: Setting
    evaluations_per_step: int
    starts: int
    agreed: int
    limit: int
    given_midpoints: bool
    rows: tuple[Row, ...]

    brief = ("scheme", "metric", "accuracy", "steps", "rows")

    @property
    def steps(self) -> int:
        """Of the best grid."""
        return self.rows[0].steps or 0

    @property
    def levels(self) -> Array:
        """The Ornstein-Uhlenbeck noise levels t of the best grid, from T to delta."""
        return np.array(self.rows[0].levels)

    @property
    def sigmas(self) -> Array:
        """The same as sigma/alpha: the sigmas of EDM, k-diffusion and diffusers, without a last 0."""
        return np.asarray(sigma_of(self.levels))

    def timesteps(self, path: VP) -> Array:
        """The same as fractional timesteps of a list of alphas_cumprod, clipped to its ends."""
        return np.asarray(path.timestep(self.sigmas))

    def _repr_html_(self) -> str:
        return html(self.rows)


def schedule(
    target: Gaussian, scheme: Scheme, steps: int | None = None, *, accuracy: float | None = None, metric: Metric = "kl",
    where: Levels | None = None, start: str = "normal", restarts: int = 3, rng: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Schedule:  # fmt: skip
    """The best levels for a number of steps, or the fewest steps that reach an accuracy, beside the named grids.

    The least error of N steps does not grow with N, since a step of length 0 changes nothing: the fewest steps of the
    best grid are found by bisection. A named grid is followed from one step up.

    Parameters
    ----------
    target, scheme, metric, start, restarts, rng
        As for `best`.
    steps : int
        N; or
    accuracy : float
        of the metric, above 0.
    where : Levels, optional
        delta and T; those of `rmverify.budget.setting` by default.
    progress : callable, optional
        Called with a line of text and the fraction that is done.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        Where not exactly one of steps and accuracy is given, and where 200 steps do not reach the accuracy.

    Examples
    --------
    >>> from rmverify import Gaussian, plans, schemes
    >>> target = Gaussian([0.0, 0.0], [0.01, 9.0])
    >>> found = schedule(target, schemes.heun, 10, where=plans.Levels(0.001, 5.0))
    >>> [row.grid for row in found.rows[:2]], found.rows[0].kl < found.rows[1].kl
    (['best', 'geometric'], True)
    """
    if (steps is None) == (accuracy is None):
        raise ValueError("steps: expected either steps or accuracy")
    if accuracy is not None:
        accuracy = number("accuracy", accuracy, above=0)
    within = accuracy if metric == "tv" and accuracy is not None and accuracy < 1 else 0.1
    ends = (None, None) if where is None else (where.early_stop, where.horizon)
    place = setting(target, within, early_stop=ends[0], horizon=ends[1])
    known = _checked(target, scheme, metric, start, place)
    tell = progress or (lambda text, fraction: None)
    restarts = _whole("restarts", restarts)

    def find(count: int, enough: float | None = None, searches: int | None = None) -> _Best:
        tell(f"the best {count} levels", 0.0)
        return _best(known, place, count, restarts, rng, enough, searches)

    if accuracy is None:
        found = find(positive_integer("steps", steps, MOST_STEPS))
    else:
        enough = [_first(known, _spaced(place, grid), accuracy, MOST_STEPS) for grid in GRIDS]
        found = _fewest(find, accuracy, min((n for n in enough if n is not None), default=MOST_STEPS))
    count = found.levels.size - 1
    cost = footprint(scheme).evaluations

    def row(grid: str, levels: Array | None, needed: int | None) -> Row:
        if levels is None:
            return Row(grid, None, None, None, None, None, needed, ())
        values = _valued(known, levels)
        return Row(
            grid, levels.size - 1, cost * (levels.size - 1), values["kl"], values.get("tv"), values["w2"], needed,
            tuple(levels.tolist()),
        )  # fmt: skip

    rows = [row("best", found.levels, count)]
    most = min((_DRAWN if known.drawn else _FOLLOWED) * count, max(_LOOKED_AT, count))
    for n, grid in enumerate(GRIDS):
        tell(f"the {grid} grid", (n + 1) / (len(GRIDS) + 1))
        spaced = _spaced(place, grid)
        needed = _first(known, spaced, found.error, most)
        own = count if accuracy is None else _first(known, spaced, accuracy, most)
        rows.append(row(grid, None if own is None else spaced.of(own), needed))
    return Schedule(
        unwrap(scheme)[0].__name__, metric, accuracy, start, known.target.dim, place, cost, found.starts,
        found.agreed, most, known.drawn, tuple(rows),
    )  # fmt: skip


def _fewest(find: Callable[..., _Best], accuracy: float, high: int) -> _Best:
    """The best grid of the fewest steps that is within the accuracy, some `high` being enough or the limit.

    Bisection by few searches; then every search is made for one step less, until that is not enough.
    """
    if find(high, accuracy).error > accuracy:
        raise ValueError(f"accuracy: not reached in {high} steps; ask for less, or for a later horizon")
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if find(middle, accuracy, _FEW).error <= accuracy else (middle, high)
    while high > 1 and find(high - 1, accuracy).error <= accuracy:
        high -= 1
    return find(high)


def _spaced(where: Levels, grid: Grid) -> Levels:
    return Levels(where.early_stop, where.horizon, grid)


def _first(error: _Error, spaced: Levels, goal: float, most: int) -> int | None:
    """The fewest steps of a grid that are within `goal`."""
    return next((n for n in range(1, most + 1) if error.within(spaced.of(n), goal)), None)


# --- one spectrum's levels on other data ------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Carried(Record):
    """A grid on data that it was not made for: its error there, and that of the grid that was."""

    grid: str
    on: str
    error: Value
    own: Value

    @property
    def lost(self) -> float:
        """By what factor the error is larger; infinite beside none."""
        if not self.own > 0:
            return math.inf if self.error > 0 else 1.0
        return float(self.error) / float(self.own)


def transferred(
    targets: Mapping[str, Gaussian], scheme: Scheme, steps: int, where: Levels, *, metric: Metric = "kl",
    start: str = "normal",
) -> tuple[Carried, ...]:  # fmt: skip
    """The best grid of every spectrum on every other.

    Parameters
    ----------
    targets : mapping
        Gaussians by name.
    scheme, steps, where, metric, start
        As for `best`.

    Returns
    -------
    tuple of Carried

    Examples
    --------
    >>> from rmverify import Gaussian, plans
    >>> targets = {"wide": Gaussian.isotropic(9.0, 2), "narrow": Gaussian.isotropic(0.01, 2)}
    >>> found = transferred(targets, ddim, 10, plans.Levels(0.001, 4.0))
    >>> [(each.grid, each.on, each.lost > 1) for each in found]
    [('wide', 'narrow', True), ('narrow', 'wide', True)]
    """
    levels = {name: best(target, scheme, where, steps, metric=metric, start=start) for name, target in targets.items()}

    def on(name: str, grid: str) -> Value:
        return error(levels[grid], targets[name], scheme, metric=metric, start=start)

    own = {name: on(name, name) for name in targets}
    return tuple(Carried(grid, name, on(name, grid), own[name]) for grid in targets for name in targets if name != grid)


def lost(
    factor: Factor, scheme: Scheme, steps: int, where: Levels, *, metric: Metric = "tv", search: bool = True
) -> tuple[Carried, ...]:
    """What is lost on data that are not Gaussian: levels found on the Gaussian of the same mean and variance, and the
    named grids, beside the best levels that are found on the data themselves.

    Started from the true q_T. The last search is by finite differences, from the Gaussian's levels and from the best
    named grid, so that `own` is the least error found and no more. On levels with which the scheme folds the line the
    law is not known, and the error is a bracket: from 0 to 1 in total variation, else to infinity.

    Parameters
    ----------
    factor : Factor
        A law on the line.
    scheme : predictor
        That draws nothing.
    steps, where, metric
        As for `best`; a few steps only, as every error is a law on the line.
    search : bool
        Without it `own` is the least of the errors in the table.

    Returns
    -------
    tuple of Carried
        "gaussian" first, then the named grids.

    Examples
    --------
    >>> from rmverify import plans, targets
    >>> found = lost(targets.TwoGaussians(1.0), ddim, 3, plans.Levels(0.05, 2.0), search=False)
    >>> found[0].grid, found[0].lost < 1.2
    ('gaussian', True)
    """
    if not isinstance(factor, Factor):
        raise TypeError(f"factor: expected a law on the line (a Factor), got {type(factor).__name__}")
    if footprint(scheme).alphas:
        raise ValueError("scheme: expected one that draws nothing")
    alike = Gaussian([factor.mean], [factor.variance])
    goal = factor.at(where.early_stop)
    distance: Callable[..., Value] = getattr(divergences, metric)

    def on(levels: Array) -> Value:
        try:
            return distance(output_law(Plan([Predict(scheme, levels)]), factor, start="exact"), goal)
        except ArithmeticError:  # its law is not known, and the error counts as the largest there is
            most = 1.0 if metric == "tv" else math.inf
            return Value(most, "upper", lower=0.0, upper=most)

    grids = {"gaussian": best(alike, scheme, where, steps, metric=metric, start="exact")}
    grids |= {grid: _spaced(where, grid).of(steps) for grid in GRIDS}
    errors = {grid: on(levels) for grid, levels in grids.items()}
    least = min(errors.values())
    if search and steps > 1:
        first = min(GRIDS, key=lambda grid: errors[grid])
        least = min(least, *(_by_differences(on, grids[name]) for name in ("gaussian", first)))
    return tuple(Carried(grid, repr(factor), value, least) for grid, value in errors.items())


def _by_differences(on: Callable[[Array], Value], start: Array) -> Value:
    levels_of = _levels_of(start)

    def objective(z: Array) -> float:
        levels = levels_of(z)[0]
        found = float(on(levels)) if (np.diff(levels) < 0).all() else math.inf
        return math.log(max(found, _SMALL)) if found < math.inf else _HUGE

    z = np.log(np.diff(-np.log(start)))
    done = minimize(objective, z, method="L-BFGS-B", options={"maxiter": 40, "eps": 1e-5, "ftol": 1e-7})
    return on(levels_of(done.x)[0])
