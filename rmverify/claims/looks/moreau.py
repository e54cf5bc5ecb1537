r"""What G5 measures: laws whose potential is smoothed by its Moreau envelope, and the Langevin chain down that path.

A kink in a potential makes a Langevin step poor; its envelope has none, at the price of another law.

With M^t(x) = min_y G(y) + (x - y)^2/(2t), d/dt M^t = -|grad M^t|^2/2. For V = |grad M^t|^2/2 and pi^t ~ exp(-F - M^t),
d/dt pi^t = pi^t (V - E V), so that

    TV(pi^s, pi^t) <= int_s^t E|V - E V|/2,    and    E|V - E V| <= (max V)/2 = Lip(G)^2/4:

a variable in [0, m] is at most m/2 from its mean, on average. For G = |x| the envelope is Huber's function, V grows
with |x|, and the two laws cross at one |x| = r: TV = pi^s(|x| < r) - pi^t(|x| < r), masses of pieces of Gaussians
where e^{-F} is a mixture of Gaussians; run over balls, rounded once. G = |x|/b is the same in units of b.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flint import arb, ctx

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks.measure import Axis, fitted, searched_pointwise, times
from rmverify.claims.looks.walks import Nodes, between, kernel, normal_density
from rmverify.divergences.tv import total_variation
from rmverify.exponents import Bound
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value

__all__ = ["Bump", "envelope_tv", "g5", "huber", "slope"]

BITS = 400
ROUNDING = 1e-15


class Bump(NamedTuple):
    """A part weight N(mean, variance) of e^{-F}."""

    weight: float
    mean: float
    variance: float


def huber(x: Any, t: float) -> Any:
    """M^t of |x|: x^2/(2t) up to |x| = t, |x| - t/2 beyond.

    Examples
    --------
    >>> huber(np.array([0.5, -3.0]), 1.0)
    array([0.125, 2.5  ])
    """
    r = np.abs(x)
    return np.where(r < t, r * r / (2 * t) if t else 0.0, r - t / 2)


def envelope_tv(bumps: Sequence[Bump], s: float, t: float) -> Value:
    """TV(pi^s, pi^t) for s < t, G = |x| and e^{-F} the sum of the bumps.

    Examples
    --------
    >>> tv = envelope_tv([Bump(1.0, 0.0, 1e4)], 0.0, 0.01)
    >>> abs(tv / (0.01**2 / 6) - 1) < 0.02  # pi(0) t^2/3, and pi(0) is near 1/2
    True
    """
    with ctx.workprec(BITS):
        low, high = arb(s), arb(t)
        whole = [_mass(bumps, level, None) for level in (low, high)]
        K = (whole[1] / whole[0]).log()
        within_s = low * (1 - low / high) / 2  # H_s - H_t at |x| = s
        if within_s >= K:
            r = (2 * K * low * high / (high - low)).sqrt()
        else:
            r = high * (low + 2 * K) / (high + (high * (high - low - 2 * K)).sqrt())
        r = r.mid()  # at any r the difference is at most TV, and beside the crossing off in the second order
        inside = [_mass(bumps, level, r) / mass for level, mass in zip((low, high), whole, strict=True)]
        found = inside[0] - inside[1]
        return Value(float(found.mid()), "exact", float(found.rad()) + ROUNDING * abs(float(found.mid())))


def _mass(bumps: Sequence[Bump], t: Any, r: Any) -> Any:
    """The integral of e^{-F - M^t} over |x| < r, or over the line, as a ball."""
    total = arb(0)
    for bump in bumps:
        weight, mean, v = map(arb, bump)
        inner = t if r is None or r > t else r
        if t > 0:
            narrow = v * t / (v + t)
            core = (t / (v + t)).sqrt() * (-mean * mean / (2 * (v + t))).exp()
            total += weight * core * _normal(mean * narrow / v, narrow, -inner, inner)
        if r is None or r > t:
            for m in (mean, -mean):
                total += weight * (t / 2 - m + v / 2).exp() * _normal(m - v, v, t, r)
    return total


def _normal(mean: Any, variance: Any, a: Any, b: Any) -> Any:
    """N(mean, variance) of (a, b), b = None for infinity."""
    z = [(x - mean) / (2 * variance).sqrt() for x in ((a,) if b is None else (a, b))]
    if b is None:
        return z[0].erfc() / 2
    z = [-z[1], -z[0]] if z[1] < 0 else z  # both in the upper tail, where erfc is small
    return (z[0].erfc() - z[1].erfc()) / 2


def slope(a: float, f: float, d: float = 1) -> float:
    r"""lim TV(pi^t, pi)/t as t -> 0 for F = f|x|^2/2, G = a|x|^2/2 in dimension d.

    The precision f + a/(1 + a t) falls at the rate a^2/(f + a) relative to itself, and between Gaussians
    TV = |d ln variance| E|chi^2_d - d|/4, with E|chi^2_d - d| = 4 (d/2)^{d/2} e^{-d/2}/Gamma(d/2).

    Examples
    --------
    >>> round(slope(1.0, 0.0), 12)  # 1/sqrt(2 pi e)
    0.241970724519
    """
    half = d / 2
    return a * a / (f + a) * math.exp(half * math.log(half) - half - math.lgamma(half))


def g5(look: Look, lipschitz: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield _of_laplace(lipschitz)
        yield _of_two_bumps(lipschitz)
        yield _of_gaussians()
        yield _annealed(SLOPE, 20, ((4.0, 0.7), (8.0, 0.5)), (0.3, 0.4, 0.5, 0.6, 0.7), "G = |x| from afar")
        yield _annealed(BIMODAL, 40, ((64.0, 0.8), (64.0, 0.5)), (1.0, 2.0, 4.0), "G = ||x| - 8| from one mode")
    if look.wants("fitted"):
        t = [2.0**-k for k in range(4, 11)]
        flat = [Bump(1.0, 0.0, 1.0)]
        yield fitted(
            "TV(pi^t, pi) for G = |x| against t: quadratic, not linear", t, [envelope_tv(flat, 0.0, x) for x in t], 2.0,
            names=("t/b^2", "TV"), domain="F = x^2/2, b = 1",
        )  # fmt: skip
    if look.wants("exact"):
        yield _quadratic()


def _of_laplace(lipschitz: Bound) -> Evidence:
    """The largest ratio over Laplace potentials in a Gaussian."""

    def ratio(**p: float) -> Value:
        t, s = p["t/b^2"], p["t/b^2"] * p["s/t"]
        return times(envelope_tv([Bump(1.0, 0.0, 1 / p["f b^2"])], s, t), 1 / lipschitz(Lip=1.0, s=s, t=t))

    axes = [
        Axis("t/b^2", 1e-2, 1e2),
        Axis("s/t", 0.0, 1 - 1e-6, log=False, ends=("low", "high")),
        Axis("f b^2", 1e-2, 1e2),
    ]
    return searched_pointwise(
        "the largest ratio of TV(pi^s, pi^t) to its bound, G = |x|/b, F = f x^2/2", ratio, axes,
        computed="TV(pi^s, pi^t), over balls", bound=str(lipschitz), case="Laplace potentials",
        effort={"points": 128, "rounds": 16, "keep": 3, "around": 12},
    )  # fmt: skip


def _of_two_bumps(lipschitz: Bound) -> Evidence:
    """The bound is attained: half of the mass where the envelope is flat, half where it is steepest."""
    s, t, far, rows = 1.0, 1.0 + 2.0**-20, 4.0, []
    for power in (1, 2, 4, 8, 12):
        v = 10.0**-power
        bumps = [Bump(1.0, 0.0, v), Bump(math.exp(far - t / 2), far, v)]
        ratio = times(envelope_tv(bumps, s, t), 1 / lipschitz(Lip=1.0, s=s, t=t))
        rows.append({"variance": v, "ratio": ratio})
    most = max(row["ratio"] for row in rows)
    assert isinstance(most, Value)
    return Evidence(
        "exact", "the ratio where e^{-F} is two narrow bumps, at 0 and beyond t",
        "violated" if most.lower > 1 else "holds with constant",
        computed=f"TV(pi^s, pi^t), up to {most:.9g} of the bound", bound=str(lipschitz), label="lower", constant=most,
        where={"s/b^2": s, "(t - s)/b^2": t - s, "variance": rows[-1]["variance"]},
        domain="G = |x|, bumps at 0 and 4 that share the mass at t = 1", rows=tuple(rows), case="two bumps",
    )  # fmt: skip


def _quadratic() -> Evidence:
    """The leading constant of TV(pi^t, pi) for a kink."""
    t = 1e-9
    rows = []
    for v in (1e-2, 1.0, 1e4):
        with ctx.workprec(BITS):
            z = (arb(v) / 2).sqrt()
            height = float((-z * z).exp() / ((2 * arb.pi() * v).sqrt() * z.erfc()))  # pi(0)
        ratio = times(envelope_tv([Bump(1.0, 0.0, v)], 0.0, t), 3 / (height * t * t))
        rows.append({"1/(f b^2)": v, "TV/(pi(0) t^2/3)": ratio})
    off = max(abs(row["TV/(pi(0) t^2/3)"] - 1) for row in rows)
    return Evidence(
        "exact", "TV(pi^t, pi) for G = |x|/b is pi(0) t^2/(3 b^3) to leading order",
        "holds" if off <= 100 * t else "violated", computed=f"off by {off:.2g} of itself at t = {t:g} b^2",
        bound="a term of relative order t", domain="F = f x^2/2, b = 1; over balls", rows=tuple(rows),
    )  # fmt: skip


def _of_gaussians() -> Evidence:
    """TV(pi^t, pi) over its slope at 0."""

    def ratio(**p: float) -> Value:
        a, t, d = 1 / p["f/a"], p["a t"], p["d"]  # in units of f
        t = t / a
        grown = a * a * t / ((1 + a * t) * (1 + a) - a * a * t)  # v_t/v_0 - 1
        found = total_variation(np.array([grown]), np.zeros(1), np.array([d]), 0.0, np.array([math.log1p(grown)]))
        return times(found, 1 / (t * slope(a, 1.0, d)))

    axes = [
        Axis("a t", 1e-6, 1e3, ends=("low",)),
        Axis("f/a", 1e-3, 1e3),
        Axis("d", 1, 1e6, whole=True, ends=("low",)),
    ]
    found = searched_pointwise(
        "the largest ratio of TV(pi^t, pi) to t times its slope at 0, F = f|x|^2/2, G = a|x|^2/2", ratio, axes,
        computed="TV of N(0, 1/(f + a/(1 + a t)))^d and N(0, 1/(f + a))^d",
        bound="t a^2/(f + a) (d/2)^{d/2} e^{-d/2}/Gamma(d/2)", case="Gaussian G: its own slope at 0",
        effort={"points": 128, "rounds": 16, "keep": 3, "around": 12},
    )  # fmt: skip
    assert found.constant is not None
    return replace(found, finding="violated" if found.constant.lower > 1 else "holds with constant")


# --- the chain down the path --------------------------------------------------------------------------------------


class Wells(NamedTuple):
    """F = f x^2/2 and G = ||x| - m|, whose envelope is that of |x| at |x| - m, the lesser of those of |x - m| and
    |x + m|; a chain starts from N(mean, variance)."""

    f: float
    m: float
    mean: float
    variance: float

    def move(self, x: Array, t: float, tau: float) -> Array:
        """x - tau F'(x) - tau M^t'(x); t = 0 is G itself."""
        u = np.abs(x) - self.m
        push = np.sign(u) if t == 0 else np.clip(u / t, -1.0, 1.0)
        return np.asarray(x - tau * (self.f * x + np.sign(x) * push))

    def nodes(self, t: float, width: float, tau: float) -> Nodes:
        """For a step of length tau."""
        reach = self.m + FAR + DEEP * math.sqrt(2 * tau)
        return between(
            -reach, reach, width, [side * cut for side in (-1, 1) for cut in (0, self.m, self.m - t, self.m + t)]
        )


SLOPE, BIMODAL = Wells(0.1, 0.0, 12.0, 1.0), Wells(0.02, 8.0, 8.0, 0.25)
FAR, DEEP = 24.0, 8.0  # beyond the wells, in units of b, and of the deviation of a step's noise
WIDTH = 2.5  # of a panel, in deviations of a step's noise
END = 0.1  # the same for the last, in units of b


def chain_tv(wells: Wells, levels: Sequence[float], steps: Sequence[float]) -> Value:
    """TV to pi of x' = x - tau F'(x) - tau M^t'(x) + sqrt(2 tau) Z over the levels t; t = 0 is plain ULA."""
    coarse, fine = (_chained(wells, levels, steps, WIDTH / part) for part in (1, 2))
    return Value.clipped(fine, 2 * abs(fine - coarse) + 1e-12, 0, 1)


def _chained(wells: Wells, levels: Sequence[float], steps: Sequence[float], width: float) -> float:
    before = [wells.variance, *(2 * tau for tau in steps[:-1])]  # the density is as rough as what made it
    rules = [
        wells.nodes(t, width * math.sqrt(min(2 * tau, spread)), tau)
        for t, tau, spread in zip(levels, steps, before, strict=True)
    ]
    rules.append(wells.nodes(0.0, width * END, steps[-1]))  # |p - pi| has kinks of its own
    density = normal_density(rules[0].x, wells.mean, wells.variance)
    for (here, there), t, tau in zip(itertools.pairwise(rules), levels, steps, strict=True):
        density = kernel(partial(wells.move, t=t, tau=tau), here, tau, there.x) @ density
    x, weights = rules[-1]
    target = np.exp(-wells.f * x**2 / 2 - np.abs(np.abs(x) - wells.m))
    target /= (weights * target).sum()
    return float((weights * np.abs(density - target)).sum() + abs(weights @ density - 1)) / 2


def _annealed(
    wells: Wells, steps: int, falling: Sequence[tuple[float, float]], constant: Sequence[float], where: str
) -> Evidence:
    """The chain down the path, the same steps without envelopes, and the best constant step, at equal gradients."""
    rows: list[dict[str, Any]] = []
    for first, share in falling:
        levels = np.geomspace(first, 0.1, steps)
        tau = share / (wells.f + 1 / levels)
        text = f"{share:g}/(f + 1/t), t from {first:g} to 0.1"
        for name, path in (("envelopes", levels), ("none", 0 * levels)):
            rows.append({"chain": name, "steps": text, "TV": chain_tv(wells, path.tolist(), tau.tolist())})
    zero = [0.0] * steps
    best = min(constant, key=lambda tau: _chained(wells, zero, [tau] * steps, WIDTH))
    rows.append({"chain": "none", "steps": f"{best:g}, constant", "TV": chain_tv(wells, zero, [best] * steps)})
    smooth, plain = (min(r["TV"] for r in rows if r["chain"] == name) for name in ("envelopes", "none"))
    return Evidence(
        "exact", f"the annealed chain ends closer to pi than Langevin of a constant step, {where}",
        "holds" if smooth.upper < rows[-1]["TV"].lower else "violated",
        computed=f"TV {smooth:.4g}; with falling steps and no envelope {plain:.4g}",
        bound=f"{rows[-1]['TV']:.4g}, the best of {len(constant)} steps", rows=tuple(rows),
        domain=f"{steps} gradients from N({wells.mean:g}, {wells.variance:g}), F = {wells.f:g} x^2/2; the density from "
        "nodes to nodes, its error by halving the panels",
    )  # fmt: skip
