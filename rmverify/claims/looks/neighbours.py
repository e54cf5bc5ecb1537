r"""What G6 to G8 measure: starts from data, scores by Monte Carlo, and smoothness along the path.

Papers next to this one state orders; where their setting has a Gaussian or a binomial in it, the constants are closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flint import arb, ctx

from rmverify import schemes
from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks.measure import Axis, fitted, searched_pointwise, times
from rmverify.claims.looks.walks import between, kernel, normal_density
from rmverify.divergences.tv import total_variation
from rmverify.errors.boxes import Box, interval, supremum
from rmverify.exponents import Bound
from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import normal_rule
from rmverify.numbers.rounding import EPS
from rmverify.numbers.values import Value
from rmverify.readings.duals import Dual
from rmverify.targets import TwoGaussians
from rmverify.targets.factors_balls import BallFactor
from rmverify.targets.process import mode_variance

__all__ = ["MonteCarloScore", "bend", "from_data", "g6", "g7", "g8", "response"]

BITS = 256
ROUNDING = 1e-15


def _rounded(ball: Any) -> Value:
    """A ball as a float with its error."""
    value = float(ball.mid())
    return Value(value, "exact", float(ball.rad()) + ROUNDING * abs(value))


# --- G6: starts from data -------------------------------------------------------------------------------------------


def from_data(M: int, k: int) -> Value:
    r"""E TV between k equal modes and the shares of M draws in them, E sum_i |B_i/M - 1/k|/2, B_i ~ Bin(M, 1/k).

    De Moivre: E|Bin(M, w) - M w| = 2 nu C(M, nu) w^nu (1 - w)^{M - nu + 1}, nu = floor(M w) + 1.

    Examples
    --------
    >>> from_data(1, 2), from_data(2, 2)
    (Value(0.5, ...), Value(0.25, ...))
    """
    with ctx.workprec(BITS):
        nu, w = M // k + 1, arb(1) / k
        choose = (arb(M + 1).lgamma() - arb(nu + 1).lgamma() - arb(M - nu + 1).lgamma()).exp()
        return _rounded(choose * nu * w**nu * (1 - w) ** (M - nu + 1) * k / M)


def g6(look: Look, samples: Bound, every: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield _samples_needed(samples)
        yield _for_every_number(every)
        yield _in_the_limit()
    if look.wants("monte-carlo"):
        yield _plateau()


def _samples_needed(samples: Bound) -> Evidence:
    def ratio(**p: float) -> Value:
        M, k = int(p["M"]), int(p["k"])
        eps = from_data(M, k)
        due = M / samples(k=k, eps=float(eps))
        return Value(due, "exact", 2 * due * eps.error / eps + ROUNDING * due)

    found = searched_pointwise(
        "the largest number of draws that a given E TV takes, over its order, equal separated modes", ratio,
        [Axis("M", 1, 1e6, whole=True, ends=("low",)), Axis("k", 2, 1e6, whole=True, ends=("low",))],
        computed="M, where E TV = eps", bound=str(samples), case="published order",
        effort={"points": 512, "rounds": 24, "keep": 4, "around": 16},
    )  # fmt: skip
    rows = [
        {"k": k, "eps": eps, "fewest M": fewest_draws(k, eps), "(k - 1)/(2 pi eps^2)": (k - 1) / (2 * math.pi * eps**2)}
        for k in (2, 5, 20) for eps in (0.1, 0.03)
    ]  # fmt: skip
    return replace(found, rows=tuple(rows))


def fewest_draws(k: int, eps: float) -> int:
    """The least M with E TV <= eps; E TV never rises with M: the shares of M + 1 draws are means of those of M.

    Examples
    --------
    >>> fewest_draws(2, 0.1)
    16
    """
    low, high = 0, 1
    while from_data(high, k) > eps:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if from_data(middle, k) > eps else (low, middle)
    return high


def _for_every_number(every: Bound) -> Evidence:
    def ratio(**p: float) -> Value:
        M, k = int(p["M"]), int(p["k"])
        return times(from_data(M, k), 1 / every(M=M, k=k))

    found = searched_pointwise(
        "the largest ratio of E TV to its bound for every M and k", ratio,
        [Axis("M", 1, 1e6, whole=True, ends=("low",)), Axis("k", 2, 1e6, whole=True, ends=("low",))],
        computed="E TV", bound=str(every), case="the bound of every M and k",
        effort={"points": 512, "rounds": 24, "keep": 4, "around": 16},
    )  # fmt: skip
    return at_most_one(found)


def at_most_one(found: Evidence) -> Evidence:
    """A bound with its constant: a ratio above 1 refutes it."""
    refuted = found.constant is not None and found.constant.lower > 1
    return replace(found, finding="violated") if refuted else found


def _in_the_limit() -> Evidence:
    """M eps^2/(k - 1) for many draws, with the corrections that are left."""
    rows, M = [], 10**12
    for k in (2, 3, 10, 1000):
        eps = from_data(M * k, k)
        rows.append({"k": k, "2 pi M eps^2/(k - 1)": times(eps, 2 * math.pi * M * k * eps / (k - 1))})
    off = max(abs(row["2 pi M eps^2/(k - 1)"] - 1) for row in rows)
    return Evidence(
        "exact", "many draws: M = (k - 1)/(2 pi eps^2), not k/(2 pi eps^2)", "holds" if off < 1e-9 else "violated",
        computed=f"off by {off:.2g} of itself at M = 1e12 k", bound="a term of relative order k/M", rows=tuple(rows),
        constant=Value(1 / (2 * math.pi), "exact", 1e-16), domain="k = 2, 3, 10, 1000",
    )  # fmt: skip


DATA, STEP, SETS = 16, 1 / 64, 24  # points of data, Langevin step, draws of them for each split over the modes
SEPARATIONS, DOUBLINGS = (2.0, 4.0), 21
WIDTH = 2.5  # of a panel, in deviations of a step's noise


def _plateau() -> Evidence:
    """E TV against time from DATA points, over splits between the modes exactly and over the points by draws."""
    formula, rows = from_data(DATA, 2), []
    runs = {a: langevin_from_data(a, WIDTH) for a in SEPARATIONS}
    rough = {a: langevin_from_data(a, 2 * WIDTH) for a in SEPARATIONS}
    for n in range(DOUBLINGS):
        row: dict[str, Any] = {"time": STEP * 2**n}
        for a in SEPARATIONS:
            mean, half = runs[a][n]
            half += abs(mean - rough[a][n][0])
            row[f"modes at -+{a:g}"] = Value(mean, "monte-carlo", half)
        rows.append(row)
    far = [row[f"modes at -+{SEPARATIONS[-1]:g}"] for row in rows]
    at = min(range(DOUBLINGS), key=lambda n: abs(math.log(rows[n]["time"] / 8)))
    height, floor = far[at], far[-1]
    holds = abs(height - formula) <= height.error + floor
    return Evidence(
        "monte-carlo", "overlapping modes: E TV stays on a plateau at the height of separated ones, then decays",
        "holds" if holds else "violated",
        computed=f"{height:.4f} +- {height.error:.1g} at time {rows[at]['time']:g}, at last {floor:.4f} of the step",
        bound=f"de Moivre's {formula:.4f}, within the interval and the step's bias", rows=tuple(rows),
        domain=f"{DATA} points, two equal modes N(-+a, 1), Langevin of step {STEP:g}; the chain exactly, the points "
        f"drawn {SETS} times for each split, interval of 95 %",
    )  # fmt: skip


def langevin_from_data(separation: float, width: float) -> list[tuple[float, float]]:
    """E TV and the half-width of its interval after 1, 2, 4, .. steps."""
    q = TwoGaussians(separation)
    reach = separation + 8
    nodes = between(-reach, reach, width * math.sqrt(2 * STEP))

    def move(x: Array) -> Array:
        return np.asarray(x + STEP * q.score(0.0, x))

    rng = np.random.default_rng(20241114)
    splits = np.arange(DATA // 2 + 1)
    share = np.array([math.comb(DATA, int(b)) / 2**DATA * (1 if 2 * b == DATA else 2) for b in splits])
    signs = np.where(np.arange(DATA) < splits[:, None], -1.0, 1.0)
    X = separation * signs[:, None, :] + rng.standard_normal((splits.size, SETS, DATA))
    starts = normal_density(nodes.x[:, None, None], move(X.reshape(-1, DATA)), 2 * STEP)
    density, P = starts.mean(axis=2), kernel(move, nodes, STEP, nodes.x)
    goal, found = np.exp(q.log_density(0.0, nodes.x))[:, None], []
    for _ in range(DOUBLINGS):
        tv = (nodes.weights[:, None] * np.abs(density - goal)).sum(axis=0).reshape(splits.size, SETS) / 2
        spread = tv.var(axis=1, ddof=1) / SETS
        found.append((float(share @ tv.mean(axis=1)), 1.96 * math.sqrt(float(share**2 @ spread))))
        density, P = P @ density, P @ P
    return found


# --- G7: scores by Monte Carlo --------------------------------------------------------------------------------------


class MonteCarloScore(NamedTuple):
    r"""The self-normalized estimate of the score of N(0, lam) at level t, to order 1/n.

    s(z) = (e^{-t} E[X_0|z] - z)/(1 - e^{-2t}), and X_0 given z has the density ~ e^{-V} of N(a, S), a = e^t z and
    S = e^{2t} - 1: E[X_0|z] is estimated by sum Y_i e^{-V(Y_i)}/sum e^{-V(Y_i)}, Y_i ~ N(a, S). With W = e^{-V}, m the
    mean and rho = E W^2/(E W)^2, and m_2, p_2 the mean and variance under W^2,

        n bias = -rho (m_2 - m),    n variance = rho (p_2 + (m_2 - m)^2)

    to leading order, where rho = (lam + S)/sqrt(lam (lam + 2S)) e^{c a^2}, c = S/((lam + S)(lam + 2S)),
    m_2 - m = -a lam S/((lam + S)(lam + 2S)) and p_2 = lam S/(lam + 2S). Averaged over z ~ q_t the variance is S.
    """

    lam: float
    t: float

    @property
    def spread(self) -> float:
        """S."""
        return math.expm1(2 * self.t)

    @property
    def gain(self) -> float:
        """The score per unit of E[X_0|z]."""
        return -math.exp(-self.t) / math.expm1(-2 * self.t)

    def _parts(self) -> tuple[float, float, float, float]:
        """rho at a = 0, c, (m - m_2)/a and p_2."""
        lam, S = self.lam, self.spread
        both = (lam + S) * (lam + 2 * S)
        return (lam + S) / math.sqrt(lam * (lam + 2 * S)), S / both, lam * S / both, lam * S / (lam + 2 * S)

    def at(self, z: float) -> tuple[float, float]:
        """n times the bias and n times the variance of the score at z."""
        rho, c, pull, p_2 = self._parts()
        a = math.exp(self.t) * z
        rho *= math.exp(c * a * a)
        return self.gain * rho * pull * a, self.gain**2 * rho * (p_2 + (pull * a) ** 2)

    def over(self, variance: float) -> tuple[float, float]:
        """n times E[z bias(z)] and n times E variance(z) for z ~ N(0, variance), to leading order; infinite where those
        are. For z ~ q_t 1 + S/lam and 1/(1 - e^{-2t})."""
        rho, c, pull, p_2 = self._parts()
        A = math.exp(2 * self.t) * variance
        rest = 1 - 2 * c * A
        if rest <= 0:
            return math.inf, math.inf
        rho /= math.sqrt(rest)
        return (
            self.gain * math.exp(-self.t) * rho * pull * A / rest,
            self.gain**2 * rho * (p_2 + pull**2 * A / rest),
        )

    def of(self, n: int, z: float, part: float = 1.0) -> tuple[float, float]:
        r"""n times the bias and the variance for n draws, exactly but for quadrature, whose steps are `part`.

        1/x^j = int s^{j-1} e^{-s x} ds/(j-1)!: with phi(s) = E e^{-sW} and D = Y - m the error of the mean has the
        moments int n E[D W e^{-sW}] phi^{n-1} ds and
        int s (n E[D^2 W^2 e^{-sW}] phi^{n-1} + n (n-1) E[D W e^{-sW}]^2 phi^{n-2}) ds.
        """
        lam, S, a = self.lam, self.spread, math.exp(self.t) * z
        m, root = lam * a / (lam + S), math.sqrt(S)
        y = between(a - 12 * root, a + 12 * root, root * part)
        p, W, D = y.weights * normal_density(y.x, a, S), np.exp(-(y.x**2) / (2 * lam)), y.x - m
        step = 0.2 * part
        s = np.exp(np.arange(-40.0, 80.0, step))
        e = np.exp(-s[:, None] * W)
        first, second = e @ (p * D * W), e @ (p * (D * W) ** 2)
        log_phi = np.log1p(-np.minimum(-np.expm1(-s[:, None] * W) @ p, 1 - 1e-15))
        bias = n * step * (s * first * np.exp((n - 1) * log_phi)).sum()
        pairs = second * np.exp((n - 1) * log_phi) + (n - 1) * first**2 * np.exp((n - 2) * log_phi)
        square = n * step * (s * s * pairs).sum()
        return n * self.gain * float(bias), n * self.gain**2 * float(square - bias * bias)


def g7(look: Look) -> Iterator[Evidence]:
    if look.wants("fitted"):
        yield from _many_draws()
    if look.wants("exact"):
        yield _averaged()
        yield _with_few_draws()
    if look.wants("fitted"):
        yield from _through_a_predictor()


PLACE = (0.5, 0.4, 0.7)  # variance, level, z


def _many_draws() -> Iterator[Evidence]:
    lam, t, z = PLACE
    score, counts = MonteCarloScore(lam, t), [2**k for k in range(6, 13)]
    due, found = score.at(z), [score.of(n, z) for n in counts]
    for j, name in enumerate(("bias", "variance")):
        yield fitted(
            f"what is left of n times the {name} beside its closed limit, against 1/n",
            [1 / n for n in counts], [abs(row[j] / due[j] - 1) for row in found], 1.0, names=("1/n", "relative"),
            relative=1e-9, domain=f"N(0, {lam:g}) at t = {t:g}, z = {z:g}; limit {due[j]:.6g}; by quadrature",
        )  # fmt: skip


def _averaged() -> Evidence:
    """The mean squared error over q_t in dimension d, times n."""
    rows, holds, off = [], True, 0.0
    for lam in (0.01, 1.0, 100.0):
        for t in (0.01, 0.3, 2.0):
            score = MonteCarloScore(lam, t)
            pulled, spread = score.over(mode_variance(lam, t))
            wide, factor = 1 + score.spread / lam, -1 / math.expm1(-2 * t)
            here = max(abs(spread / factor - 1), abs(pulled / wide - 1))
            off, holds = max(off, here), holds and here < 64 * EPS * wide  # 1 - 2 c a^2 cancels by that much
            rows.append({"lambda": lam, "t": t, "d = 1": spread, "d = 10": 10 * wide**9 * factor})
    return Evidence(
        "exact", "n E|estimate - s|^2 over q_t is 1/(1 - e^{-2t}) in one dimension, whatever the variance",
        "holds" if holds else "violated", computed=f"off by {off:.2g} of itself", bound="0 within rounding",
        rows=tuple(rows), case="the closed limit",
        domain="N(0, lambda I), to leading order in 1/n; in dimension d d (1 + (e^{2t} - 1)/lambda)^{d-1} times that",
    )  # fmt: skip


def averaged_with_draws(score: MonteCarloScore, variance: float, n: int, nodes: int = 40) -> tuple[float, float]:
    """What `MonteCarloScore.over` is the limit of, with n draws, by quadrature."""
    z, weights = normal_rule(nodes)
    z = z * math.sqrt(variance)
    half = [(2 * w, x) for x, w in zip(z.tolist(), weights.tolist(), strict=True) if x > 0 and w > 1e-15]
    parts = [(w, x, *score.of(n, x)) for w, x in half]
    return sum(w * x * bias for w, x, bias, _ in parts), sum(w * spread for w, _, _, spread in parts)


def _with_few_draws() -> Evidence:
    """How far from their limits the averages over q_t are."""
    rows = []
    for lam, t in ((4.0, 1.0), (0.25, 1.0)):
        score, v = MonteCarloScore(lam, t), mode_variance(lam, t)
        limits = score.over(v)
        for n in (10, 100, 1000):
            found = averaged_with_draws(score, v, n)
            row = {"(e^{2t} - 1)/lambda": score.spread / lam, "n": n}
            rows.append(
                row | {"n E[z bias]": found[0], "limit": limits[0], "n E variance": found[1], "its limit": limits[1]}
            )
    below = all(r["n E[z bias]"] < r["limit"] and r["n E variance"] < r["its limit"] for r in rows)
    share = rows[-1]["n E[z bias]"] / rows[-1]["limit"]
    return Evidence(
        "exact", "the averages over q_t stay below their limits, by far where the weights are wide",
        "holds" if below else "violated", bound="the limits", rows=tuple(rows),
        computed=f"with 1000 draws n E[z bias] is {share:.2g} of its limit where (e^{{2t}} - 1)/lambda = "
        f"{rows[-1]['(e^{2t} - 1)/lambda']:.3g}", domain="N(0, 4) and N(0, 1/4) at t = 1; by quadrature",
    )  # fmt: skip


def response(
    lam: float, levels: Array, n: int | None = None, name: str = "exponential_integrator"
) -> tuple[float, float]:
    """n (v - v_exact)/v at the end of a predictor that asks Monte Carlo scores, from the true law and to first order in
    what they add: the part of their variance and the part of their bias, with n draws or in the limit of many.

    v follows x' = A x + B (bias + noise), the noise independent in every call: B^2 E variance and 2 A B E[x bias] per
    step, averaged over the law of x without them.
    """
    step = getattr(schemes, name)
    v, parts = float(mode_variance(lam, levels[0])), np.zeros(2)
    for t, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        A = step(1.0, t, t - after, lambda t, x: -x / mode_variance(lam, t), None)
        B = step(0.0, t, t - after, lambda t, x: 1.0, None)
        score = MonteCarloScore(lam, t)
        pulled, spread = score.over(v) if n is None else averaged_with_draws(score, v, n, 16)
        parts = A * A * parts + np.array([B * B * spread, 2 * A * B * pulled])
        v *= A * A
    return float(parts[0] / v), float(parts[1] / v)


DRAWS = 100


def _through_a_predictor() -> Iterator[Evidence]:
    lam, top, end, counts = 4.0, 1.0, 0.1, [8, 16, 32, 64, 128]
    grids = [np.linspace(top, end, N + 1) for N in counts]
    found = [response(lam, levels) for levels in grids]
    h = [(top - end) / N for N in counts]
    where = f"exponential integrator on N(0, {lam:g}) from t = {top:g} to {end:g}, started from the true law"
    for j, (name, power) in enumerate((("variance", 1.0), ("bias", 0.0))):
        yield fitted(
            f"n (v - v_exact)/v at the end that the {name} of the score leaves, against h", h,
            [row[j] for row in found], power, names=("h", "n dv/v"), domain=f"{where}; many draws",
        )  # fmt: skip
    variance, bias = response(lam, grids[1], DRAWS)
    grown = (variance + bias) / DRAWS
    tv = total_variation(np.array([grown]), np.zeros(1), np.ones(1))
    rows = [
        {"h": x, "draws": "many", "n dv/v of variance": a, "of bias": b} for x, (a, b) in zip(h, found, strict=True)
    ]
    rows.append({"h": h[1], "draws": DRAWS, "n dv/v of variance": variance, "of bias": bias})
    yield Evidence(
        "exact", "what draws leave at the end is mostly the bias of their weights, which no step length averages out",
        "holds" if all(a < b for a, b in [*found, (variance, bias)]) else "violated",
        computed=f"{DRAWS} draws, {counts[1]} steps: dv/v = {grown:.4g}, {variance / (variance + bias):.2g} of it by "
        "variance", bound="the part of the bias", constant=Value(tv, "surrogate", tv.error), domain=where,
        remark="the TV that this makes of a Gaussian", rows=tuple(rows),
    )  # fmt: skip


# --- G8: smoothness along the path ----------------------------------------------------------------------------------


def bend(a2: float, s2: float, over: Box) -> Dual:
    """(a^2 w - v)/v^2 with v = 1 + (s^2 - 1) w over a box of w = e^{-2t}: minus the least curvature of -ln q_t for
    modes N(-+a, s^2), with its slope."""
    w = Dual(interval(*over[0]), arb(1))
    v = 1 + (arb(s2) - 1) * w
    curvature: Dual = (arb(a2) * w - v) / (v * v)
    return curvature


def _setting(c: float) -> tuple[float, float]:
    """a^2 and s^2 of the two Gaussians with s^2 = 1 + c whose L at t = 0 is 1."""
    return (1 + c) * (2 + c), 1 + c


def g8(look: Look, at_start: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield _along_the_path(at_start)
    if look.wants("fitted"):
        c = [2.0**k for k in range(4, 13)]
        y = [_path_smoothness(*_setting(x)) for x in c]
        a = [math.sqrt(_setting(x)[0]) for x in c]
        yield fitted(
            "L along the path against the distance of the modes, L at t = 0 being 1", [1 / x for x in a], y, -1.0,
            names=("1/a", "L_path"), domain="modes N(-+a, s^2), a^2 = s^2 (s^2 + 1)",
        )  # fmt: skip
    if look.wants("certified"):
        yield _enclosed(look)


def _path_smoothness(a2: float, s2: float) -> float:
    return TwoGaussians(math.sqrt(a2 / s2), s2).path_smoothness()


def _along_the_path(at_start: Bound) -> Evidence:
    """L_path/max(L_0, 1), by the closed form and by the curvature over balls where the closed form says it peaks."""
    rows: list[dict[str, Any]] = []
    off = 0.0
    for c in (1.0, math.sqrt(2), 2.0, 4.0, 16.0, 256.0, 4096.0):
        a2, s2 = _setting(c)
        law, square = TwoGaussians(math.sqrt(a2 / s2), s2), a2 - c
        start = max(law.smoothness, -law.strong_concavity)
        path = law.path_smoothness()
        t = max(math.log(c * square / (a2 + c)) / 2, 0.0)
        with ctx.workprec(BITS):
            curved = float(BallFactor(law).slope(arb(t), np.array([arb(0)], dtype=object))[0])
        closed = square**2 / (4 * a2 * c) if c * c > 2 else 1.0
        off = max(off, abs(path / closed - 1), abs(max(curved, 1.0) / closed - 1))
        rows.append(
            {
                "a": math.sqrt(a2),
                "s^2": s2,
                "L_0": start,
                "t of the peak": t,
                "L_path": path,
                "L_path/a": path / math.sqrt(a2),
            }
        )
    worst = rows[-1]
    return Evidence(
        "exact", "smoothness along the path does not follow from smoothness of the target",
        "not implied" if off < 1e-9 else "inconclusive",
        computed=f"L_path = {worst['L_path']:.6g} with L_0 = {worst['L_0']:.6g}, and L_path = a/4 for far modes",
        bound=f"L_path <= C {at_start} for no C",
        constant=Value(worst["L_path"], "exact", 1e-12 * worst["L_path"]),
        where={"a": worst["a"], "s^2": worst["s^2"], "t of the peak": worst["t of the peak"]},
        domain="modes N(-+a, s^2) with L_0 = 1; by the closed form, and by (ln q_t)'' over balls", rows=tuple(rows),
    )  # fmt: skip


def _enclosed(look: Look) -> Evidence:
    """The supremum over every t by branch and bound, against the closed form."""
    rows, off = [], 0.0
    for c in (2.0, 16.0, 256.0):
        a2, s2 = _setting(c)
        with ctx.workprec(BITS):
            found = supremum([partial(bend, a2, s2)], [((0.0, 1.0),)], effort=look.effort, width=1e-6)
        closed = _path_smoothness(a2, s2)
        inside = found.lower * (1 - 1e-12) <= closed <= found.upper * (1 + 1e-12)
        off = max(off, found.upper / found.lower - 1 if inside else math.inf)
        rows.append(
            {"s^2": s2, "lower": found.lower, "upper": found.upper, "closed form": closed, "boxes": found.boxes}
        )
    return Evidence(
        "certified", "the largest bend over all t of the path, by branch and bound",
        "holds" if off < 1e-5 else "violated" if off == math.inf else "inconclusive",
        computed=f"encloses the closed form, to {off:.2g}", bound="the closed form", rows=tuple(rows),
        domain="modes N(-+a, s^2), a^2 = s^2 (s^2 + 1), s^2 = 3, 17, 257",
    )  # fmt: skip
