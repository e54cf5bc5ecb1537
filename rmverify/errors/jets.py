"""One step as a power series in h against the exact dynamics: the coefficients of its local error, as balls.

Schemes of one order are told apart by their leading constants, which are exact here.

The step runs once, with h the formal variable of an ``arb_series``. Each coefficient is a polynomial in the midpoints
of a degree at most its order, so that Gauss-Legendre in balls averages it exactly, and a sum over the choices: the only
radius is rounding.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
from flint import arb, arb_series

from rmverify.elementary import expm1
from rmverify.laws.averages.rules import unbent
from rmverify.numbers.quadrature import unit_balls
from rmverify.plans import footprint
from rmverify.readings.affine import V, X, read, weighed
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.schemes.contract import Scheme, parameters, velocity_variance
from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance

__all__ = ["integral_jets", "kinetic_jets", "noise_rounding", "predictor_jets", "reverse_jets"]

BITS = 256


class _Mode:
    """One mode of a Gaussian at every noise level, or, with `precision`, the same at all of them."""

    def __init__(self, mean: Any, lam: Any, precision: Any = None) -> None:
        self.mean, self.lam, self.precision = mean, lam, precision

    def score(self, t: Any, x: Any) -> Any:
        if self.precision is not None:
            return (self.mean - x) * self.precision
        return mode_score(self.mean, self.lam, t, x)


def predictor_jets(scheme: Scheme, v: Any, m: Any, t: Any, order: int) -> dict[str, list[Any]]:
    r"""The local error of a predictor on a mode N(m, v) of q_t, m and v at the level t itself.

    With x = m + y and x' = A x + b against the exact flow x* = f y + m(t-h): ``slope`` is E_a A - f, ``mean`` is
    E_a(A m + b) - m(t-h), and ``variance`` is Var_a A; what the midpoint does to the mean, Var_a(A m + b), is
    ``variance_of_mean``.

    Parameters
    ----------
    scheme : predictor
    v, m, t : float
        Taken as exact.
    order : int
        The coefficients of h^0 .. h^order are returned.

    Examples
    --------
    >>> from rmverify.schemes import randomized_midpoint
    >>> jets = predictor_jets(randomized_midpoint, 2.0, 0.0, 1.0, 4)
    >>> float(jets["slope"][3] * 6 * 2**3), float(jets["variance"][4] * 12 * 2**4)  # v-1 and (2v-1)^2
    (1.0, 9.0)
    """
    with precision(BITS, order + 1):
        h = arb_series([0, 1])
        v, m, t = arb(v), arb(m), arb(t)
        # v(t) = v and m(t) = m, traced back to the data
        lam, mean = (v + (-2 * t).expm1()) * (2 * t).exp(), m * t.exp()
        step, w = _read(scheme, _Mode(mean, lam), t, h, order)
        a, b, c = step.scalar
        if not (isinstance(c, int) and c == 0):
            raise TypeError("scheme: it draws normal values, and is no step of the flow; see reverse_jets")
        moved = a * m + b
        jets = {
            "slope": w @ _row(a, w) - flow_slope(lam, t, h),
            "mean": w @ _row(moved, w) - mode_mean(mean, t - h),
            "variance": _variance(w, _row(a, w)),
            "variance_of_mean": _variance(w, _row(moved, w)),
        }
        return {name: _coefficients(jet, order) for name, jet in jets.items()}


def reverse_jets(scheme: Scheme, v: Any, m: Any, t: Any, order: int) -> dict[str, list[Any]]:
    r"""The local error of a predictor with noise on a mode N(m, v) of q_t, m and v at the level t itself.

    With x = m + y and x' = A x + b + N(0, C) against the reverse diffusion, whose x_{t-h} given x_t is
    N(m(t-h) + f y, c) with f = e^{-h} v'/v, c = (1-e^{-2h}) v'/v and v' = v(t-h): ``slope`` is E_a A - f, ``mean`` is
    E_a(A m + b) - m(t-h), ``noise`` is E_a C - c, and ``kept`` what one step makes of q_t's variance, E_a(A^2 v + C) -
    v'. ``variance`` is Var_a A, ``variance_of_mean`` Var_a(A m + b), and ``spread`` that of the variance given the
    midpoint, Var_a(A^2 v + C).

    Examples
    --------
    >>> from rmverify.schemes import exponential_sde
    >>> jets = reverse_jets(exponential_sde, 4.0, 0.0, 1.0, 2)
    >>> [float(jets[entry][2]) for entry in ("slope", "noise", "kept")]  # -1/v, 4/v, -2(v-2)/v
    [-0.25, 1.0, -1.0]
    """
    with precision(BITS, order + 1):
        h = arb_series([0, 1])
        v, m, t = arb(v), arb(m), arb(t)
        lam, mean = (v + (-2 * t).expm1()) * (2 * t).exp(), m * t.exp()
        step, w = _read(scheme, _Mode(mean, lam), t, h, order)
        a, b, c = (_row(part, w) for part in step.scalar)
        end = mode_variance(lam, t - h)
        given = a * a * v + c
        jets = {
            "slope": w @ a - (-h).exp() * end / v,
            "mean": w @ (a * m + b) - mode_mean(mean, t - h),
            "noise": w @ c + expm1(-2 * h) * end / v,
            "kept": w @ given - end,
            "variance": _variance(w, a),
            "variance_of_mean": _variance(w, a * m + b),
            "spread": _variance(w, given),
        }
        return {name: _coefficients(jet, order) for name, jet in jets.items()}


def kinetic_jets(scheme: Scheme, k: Any, order: int) -> dict[str, list[Any]]:
    r"""The local error of a Langevin step for the score -k x against the exact dynamics.

    The exact step of d(x,v) = M (x,v) dh + noise, M = [[0, 1], [-uk, -g]], is e^{Mh}, and its noise is
    S - e^{Mh} S e^{Mh}^T with the invariant S = diag(1/k, u). ``xx`` .. ``vv`` are E_a A - e^{Mh}, ``noise_xx`` ..
    ``noise_vv`` the E_a of the step's noise covariance minus the exact one, ``kept_xx`` .. ``kept_vv`` are
    E_a[A S A^T + C] - S, what one step does to the invariant law, and ``spread_xx`` .. the Var_a of C; overdamped
    steps have the entries in x only, against e^{-kh} and (1 - e^{-2kh})/k. ``force_x`` and ``force_v`` are what the
    step makes of the score's zero when that is at 1 instead of 0: A (1, 0) + b - (1, 0).

    Examples
    --------
    >>> from rmverify.schemes import underdamped
    >>> jets = kinetic_jets(underdamped(friction=1.0), 2.0, 3)
    >>> [float(c) for c in jets["vv"]]  # u k h^2/2 and what follows
    [0.0, 0.0, 1.0, -0.66...]
    """
    with precision(BITS, order + 1):
        h = arb_series([0, 1])
        lifted, k = lift_scheme(scheme), arb(k)
        step, w = _read(scheme, _Mode(arb(1), None, k), arb(1), h, order)
        mass = velocity_variance(lifted)
        kinetic = mass is not None
        names = (X, V) if kinetic else (X,)
        exact = _exponential(k, parameters(lifted), order) if kinetic else ((arb_series([0, -k]).exp(),),)
        invariant = (1 / k, mass) if kinetic else (1 / k,)
        jets: dict[str, Any] = {}
        size = range(len(names))
        for i in size:
            for j in size:
                jets[names[i] + names[j]] = w @ _row(step.linear[i][j], w) - exact[i][j]
                if j >= i:
                    kept = sum((exact[i][l] * invariant[l] * exact[j][l] for l in size), 0 * h)
                    stationary = invariant[i] if i == j else 0
                    name = names[i] + names[j]
                    jets[f"noise_{name}"] = w @ _row(step.noise[i][j], w) - stationary + kept
                    moved = sum(
                        (_row(step.linear[i][l], w) * _row(step.linear[j][l], w) * invariant[l] for l in size),
                        _row(step.noise[i][j], w),
                    )
                    jets[f"kept_{name}"] = w @ moved - stationary
                    jets[f"spread_{name}"] = _variance(w, _row(step.noise[i][j], w))
            stay = w @ _row(step.linear[i][0] + step.shift[i], w) - (1 if i == 0 else 0)
            jets[f"force_{names[i]}"] = stay
        return {name: _coefficients(jet, order) for name, jet in jets.items()}


def noise_rounding(scheme: Scheme, k: float, steps: list[float]) -> tuple[float, float]:
    """The largest relative deviation of a step's noise covariance in float64 from the same step over balls, and the
    h at which it is met."""
    foot = footprint(scheme)
    rows = np.full((foot.alphas, 1, 1, 1), 0.3) if foot.alphas else None
    one = np.ones((1, 1, 1))

    def off(h: float) -> float:
        floats = read(scheme, _Mode(1.0, None, k), one, h * one, rows).noise
        with precision(BITS, 2):
            given = None if rows is None else lift(rows)
            balls = read(lift_scheme(scheme), _Mode(lift(1.0), None, lift(k)), lift(one), lift(h * one), given, lift)
            pairs = zip(itertools.chain(*floats), itertools.chain(*balls.noise), strict=True)
            parts = [(lift(np.ravel(entry)[0])[()], np.ravel(due)[0]) for entry, due in pairs]
            return max(abs(float((entry / due - 1).mid())) for entry, due in parts)

    return max(((off(h), h) for h in steps), key=operator.itemgetter(0))


def _exponential(k: Any, bound: dict[str, Any], order: int) -> tuple[tuple[Any, ...], ...]:
    """e^{Mh} by its power series."""
    u, g = bound["mass"], bound.get("friction", 0)
    M = np.array([[arb(0), arb(1)], [-u * k, -g]], dtype=object)
    one = np.array([[arb(1), arb(0)], [arb(0), arb(1)]], dtype=object)
    terms = list(itertools.accumulate(range(1, order + 1), lambda power, n: M @ power / n, initial=one))
    return tuple(tuple(arb_series([term[i, j] for term in terms]) for j in range(2)) for i in range(2))


def _read(scheme: Scheme, mode: Any, t: Any, h: Any, order: int) -> tuple[Any, Any]:
    foot = footprint(scheme)
    alphas, w = None, _objects([arb(1)])
    if foot.alphas:
        if "exponential" in foot.slots:
            raise ValueError("scheme: expected midpoints and choices, got durations, of which no rule is exact")
        alphas, (w,) = unbent(foot).at(slice(0, 1), order // 2 + 1, lift, unit_balls)
        alphas = alphas[..., None]
    step, chance = weighed(
        lift_scheme(scheme), mode, _objects([t]).reshape(1, 1, 1), _objects([h]).reshape(1, 1, 1), alphas, lift
    )
    return step, w if np.ndim(chance) == 0 else w * chance[0, :, 0]


def _objects(values: list[Any]) -> Any:
    """An object array of numbers, series among them, which NumPy would take for sequences."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def _row(part: Any, w: Any) -> Any:
    """An entry of a transition as one number per node."""
    if np.ndim(part) == 0:
        return _objects([part] * len(w))
    return np.broadcast_to(part, (1, len(w), 1))[0, :, 0]


def _variance(w: Any, row: Any) -> Any:
    mean = w @ row
    return w @ (row * row) - mean * mean


def _coefficients(jet: Any, order: int) -> list[Any]:
    series = jet if isinstance(jet, arb_series) else arb_series([jet])
    return [series[k] for k in range(order + 1)]


def integral_jets(scheme: Scheme, power: int, order: int) -> list[Any]:
    """E_a x' - e^h x - int_0^h e^{h-r} r^power dr for the score (t - level)^power of the time alone, coefficients in
    h up to `order`: all 0 where the scheme's average over its midpoints is the flow's integral.

    Examples
    --------
    >>> from rmverify.schemes import midpoint, randomized_midpoint
    >>> float(max(abs(c) for c in integral_jets(randomized_midpoint, 2, 6))) < 1e-50
    True
    >>> float(integral_jets(midpoint, 2, 3)[3])  # (1/2)^2 for 1/3
    -0.083333...
    """
    with precision(BITS, order + 1):
        h, t = arb_series([0, 1]), arb(1)
        step, w = _read(scheme, _Powers(t, power), t, h, order)
        due = (arb_series([0] * power + [1]) * (-h).exp()).integral() * h.exp()
        return _coefficients(w @ _row(step.linear[0][0] + step.shift[0], w) - h.exp() - due, order)


class _Powers:
    """The score (t - level)^power, whatever x."""

    def __init__(self, t: Any, power: int) -> None:
        self.t, self.power = t, power

    def score(self, level: Any, x: Any) -> Any:
        return 0 * x + (self.t - level) ** self.power
