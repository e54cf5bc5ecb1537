"""What C measures: underdamped Langevin: smoothing, discretization, the log-concave sampler.

On linear forces every law is Gaussian, so that both sides are exact; other forces are in `smoothing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from rmverify import plans
from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import smoothing
from rmverify.claims.looks.constants import leading_constants, noise_in_floats
from rmverify.claims.looks.measure import Axis, effort, fitted, searched_pointwise, studied, times
from rmverify.claims.looks.smoothing import TIMES, Case, within
from rmverify.divergences import tv
from rmverify.divergences.tv import total_variation
from rmverify.exponents import BOUNDS, Bound
from rmverify.laws.langevin.linear import kinetic_flow
from rmverify.numbers.checks import Array
from rmverify.numbers.rounding import EPS
from rmverify.numbers.values import Value
from rmverify.readings.affine import Transition, chain, read
from rmverify.studies.log_concave import distance_after
from rmverify.targets import Gaussian

STEPS = Axis("steps", 1, 64, whole=True, ends=("low",))
JOINT = (Case("cos x", 1.0), Case("ln cosh x", 1.0))
VARIATION = {
    lowest: BOUNDS[f"C4, variation, {name}"](W_2=1.0, T=1.0) for lowest, name in ((-1, "sharper"), (0, "log-concave"))
}
"""TV over W_2/T at g = sqrt(L), T <= 1/sqrt(L), for curvatures from -L and from 0 on: by C4's sharper bound of KL and
its log-concave one."""


def c1(look: Look, bound: Bound) -> Iterator[Evidence]:
    curvatures = (0, -1) if look.target is None else (0,)
    if look.wants("exact"):
        for lowest in curvatures:
            yield smoothing.variation_ratio(look, True, bound, lowest=lowest)
        if look.target is None:
            yield smoothing.joint_variations(JOINT, bound)
    if look.wants("certified"):
        for lowest in curvatures:
            yield smoothing.certified_ratio(look, True, bound, lowest=lowest)


def c2(look: Look, bound: Bound) -> Iterator[Evidence]:
    perfect = bound.at(eps_sc=0)
    if look.wants("exact"):
        yield leading_constants(look, "underdamped")
        yield leading_constants(look, "overdamped")
        yield noise_in_floats(look, "underdamped")
        yield _discretization_ratio(look, perfect)
        yield _against_the_flow(look, perfect)
    if look.wants("fitted"):
        yield from _discretization_powers(look, perfect)
        yield _power_against_the_flow(look, perfect)


def _precisions(look: Look, k: float = 1.0, d: float = 1.0) -> tuple[Array, Array, float]:
    """1/variance of the target's modes, their multiplicities, and L; without a target k, d and 1."""
    if look.target is None:
        return np.array([k]), np.array([int(d)]), 1.0
    precisions = 1 / look.target.variances
    return precisions, look.target.multiplicities, float(precisions.max())


def _step(look: Look, k: Array, friction: float, h: float) -> Transition:
    """One step on the forces -k x."""
    forces = SimpleNamespace(score=lambda t, x: x * -k)
    return read(look.scheme("underdamped")(friction=friction), forces, np.ones((1, 1, 1)), np.full((1, 1, 1), h))


def _arrays(flow: Transition, k: Array) -> tuple[Array, Array, Array]:
    """A (2, 2, modes), b (2, modes) and the noise (2, 2, modes)."""

    def column(entry: Any) -> Array:
        return np.asarray(np.broadcast_to(np.squeeze(entry), k.shape), dtype=float)

    A, C = (np.array([[column(e) for e in row] for row in part]) for part in (flow.linear, flow.noise))
    return A, np.array([column(e) for e in flow.shift]), C


def _chain(look: Look, k: Array, friction: float, h: float, steps: int) -> tuple[Array, Array]:
    """Of S^{-1/2} S_N S^{-1/2} - 1 of every mode the eigenvalues (2, modes), and its position entry (modes,): S is the
    invariant covariance diag(1/k, 1), S_N what N steps make of it."""
    A, _, C = _arrays(_step(look, k, friction, h), k)
    scale = np.stack([1 / np.sqrt(k), np.ones_like(k)])
    A = A * scale[None, :] / scale[:, None]  # in units where S = 1
    C = C / (scale[None, :] * scale[:, None])
    A, C = A.transpose(2, 0, 1), C.transpose(2, 0, 1)
    # the residual of one step, A A^T + C - 1, and what N of them add up to, by doubling
    power, residual = A, A @ A.transpose(0, 2, 1) + C - np.eye(2)
    excess = np.zeros_like(residual)
    while steps:
        if steps % 2:
            excess = power @ excess @ power.transpose(0, 2, 1) + residual
        residual = power @ residual @ power.transpose(0, 2, 1) + residual
        power, steps = power @ power, steps // 2
    return np.asarray(np.linalg.eigvalsh(excess).T), excess[:, 0, 0]


def _apart(
    look: Look, k: Array, friction: float, T: float, steps: int, a: Array, m: Array
) -> tuple[Array, Array, float]:
    """What N steps and the exact dynamics make of the starts N(m, a), v ~ N(0, 1): in units where the exact law is
    N(0, 1) the eigenvalues of the covariances' difference and the squared mean along each, (2, modes) both; and a
    bound on what rounding does to these."""
    whole = chain(_step(look, k, friction, T / steps), steps)
    (A, b, C), (F, _, N) = (_arrays(flow, k) for flow in (whole, kinetic_flow(k, friction, T)))
    start = np.stack([a, np.ones_like(a)])

    def law(M: Array, noise: Array) -> Array:
        return np.asarray(np.einsum("ilk,lk,jlk->kij", M, start, M) + noise.transpose(2, 0, 1))

    ours, exact = law(A, C), law(F, N)
    units = np.linalg.inv(np.linalg.cholesky(exact))
    gap = units @ (ours - exact) @ units.transpose(0, 2, 1)
    excess, turn = np.linalg.eigh((gap + gap.transpose(0, 2, 1)) / 2)
    mean = np.einsum("kji,kjl,lk->ki", turn, units, (A - F)[:, 0] * m + b)
    size = (np.abs(units) @ np.abs(exact) @ np.abs(units.transpose(0, 2, 1))).sum(axis=2)
    size += np.einsum("kjl,lk->kj", np.abs(units), np.abs(F[:, 0] * m))
    return excess.T, mean.T**2, (steps + 8) * EPS * float(size.max())


def _distance(excess: Array, n: Array) -> Value:
    """TV between products of N(0, 1 + excess) and N(0, 1)."""
    flat = Gaussian.from_spectrum(1 + excess, n)
    return tv(flat, flat.with_modes(1.0, 0.0))


def _discretization_ratio(look: Look, bound: Bound) -> Evidence:
    axes = [TIMES, STEPS]
    if look.target is None:
        axes += [Axis("k/L", 1e-3, 1, ends=("high",)), Axis("d", 1, 1e6, whole=True, ends=("low",))]

    def one(**p: float) -> Value:
        k, n, L = _precisions(look, p.get("k/L", 1.0), p.get("d", 1.0))
        steps, T = int(p["steps"]), p["T sqrt(L)"] / math.sqrt(L)
        excess, _ = _chain(look, k, math.sqrt(L), T / steps, steps)
        return times(_distance(excess.ravel(), np.concatenate([n, n])), 1 / bound(L=L, T=T, d=n.sum(), h=T / steps))

    return searched_pointwise(
        "the largest ratio of the two sides, perfect score", one, axes, computed="TV of (x, v) after N steps",
        bound=str(bound), domain="N = T/h whole, L = 1 by scaling",
        effort=effort(look, 512, 16, 4, 16),
    )  # fmt: skip


def _against_the_flow(look: Look, bound: Bound) -> Evidence:
    """The same from other starts: N(m, a) with |k|(a + m^2) <= 1, so that E|s|^2 <= L d."""
    axes = [TIMES, STEPS, Axis("|k| E x^2", 1e-8, 1, ends=("high",)), Axis("mean's share", 0, 1, log=False)]
    if look.target is None:
        axes += [Axis("k/L", -1, 1, log=False), Axis("d", 1, 1e6, whole=True, ends=("low",))]

    def one(**p: float) -> Value:
        k, n, L = _precisions(look, p.get("k/L", 1.0), p.get("d", 1.0))
        if not k.all():
            return Value(0.0)  # no force, no error
        steps, T = int(p["steps"]), p["T sqrt(L)"] / math.sqrt(L)
        second = p["|k| E x^2"] / np.abs(k)
        a, m = second * (1 - p["mean's share"]), np.sqrt(second * p["mean's share"])
        excess, mean, error = _apart(look, k, math.sqrt(L), T, steps, a, m)
        count = np.concatenate([n, n]).astype(float)
        value = total_variation(excess.ravel(), mean.ravel(), count, error * math.sqrt(float(n.sum())))
        return times(value, 1 / bound(L=L, T=T, d=n.sum(), h=T / steps))

    return searched_pointwise(
        "the largest ratio of the two sides from other starts, perfect score", one, axes,
        computed="TV of (x, v) after N steps to the exact dynamics from the same start",
        bound=str(bound), domain="starts N(m, a), linear forces, N = T/h whole, L = 1 by scaling",
        effort=effort(look, 128, 12, 4, 12),
    )  # fmt: skip


def _power_against_the_flow(look: Look, bound: Bound) -> Evidence:
    """The power of h from starts of a quarter of the invariant variance, with a mean."""
    k, n, L = _precisions(look)
    T, counts = 1 / math.sqrt(L), [16, 32, 64, 128]

    def distance(steps: int) -> float:
        excess, mean, _ = _apart(look, k, math.sqrt(L), T, steps, 1 / (4 * k), 1 / np.sqrt(4 * k))
        return float(total_variation(excess.ravel(), mean.ravel(), np.concatenate([n, n]).astype(float)))

    return fitted(
        "TV of (x, v) to the exact dynamics from the same start against h", [T / N for N in counts],
        [distance(N) for N in counts], float(bound.power("h")), names=("h", "TV"), relative=1e-9,
        domain="T = 1/sqrt(L), start N(m, 1/(4k)), m^2 = 1/(4k)",
    )  # fmt: skip


def _discretization_powers(look: Look, bound: Bound) -> Iterator[Evidence]:
    in_h, in_T = float(bound.power("h")), float(bound.at(h="T").power("T"))  # the second at a fixed number of steps
    k, n, L = _precisions(look)
    root = math.sqrt(L)

    def distance(T: float, steps: int, joint: bool) -> float:
        eigen, position = _chain(look, k, root, T / steps, steps)
        return float(_distance(eigen.ravel(), np.concatenate([n, n])) if joint else _distance(position, n))

    counts = [16, 32, 64, 128]
    T = 1 / root
    yield fitted(
        "TV of (x, v) against h at T = 1/sqrt(L)", [T / N for N in counts], [distance(T, N, True) for N in counts],
        in_h, names=("h", "TV"), domain="the Gaussian of precision L" if look.target is None else "the user's spectrum",
    )  # fmt: skip
    spans = [T / 8, T / 16, T / 32, T / 64]
    for joint, what in ((True, "(x, v)"), (False, "x alone")):
        yield fitted(
            f"TV of {what} against T in 16 steps", spans, [distance(S, 16, joint) for S in spans], in_T,
            names=("T", "TV"), at_least=True, domain="h = T/16",
        )  # fmt: skip


def c3(look: Look, reached: Bound, steps: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "randomized_midpoint_langevin")
        yield noise_in_floats(look, "randomized_midpoint_langevin")
        if look.target is None:
            yield _within_accuracy(look, reached)
    if look.wants("fitted") and look.target is None:
        yield studied(look, "w2", "accuracy", at=(0.01, 3e-3, 1e-3, 3e-4))
        yield studied(look, "w2", "condition", at=(4.0, 16.0, 64.0, 256.0))


def _within_accuracy(look: Look, reached: Bound) -> Evidence:
    """The theorem's own number of steps: in one dimension and T_corr = L^{-1/2} its eps_w is eps/sqrt(kappa)."""
    ratio = f"W2/({reached})"
    rows: list[dict[str, Any]] = []
    for kappa, far in ((4.0, 0.1), (4.0, 0.01), (64.0, 0.1), (64.0, 0.01), (1024.0, 0.01)):
        _, h = plans.log_concave(1, kappa, 1.0, far * math.sqrt(kappa)).stages[0].grid
        scheme = look.scheme("randomized_midpoint_langevin")
        found = distance_after(float(h[0]), h.size, condition=kappa, smoothness=kappa, scheme=scheme)
        due = reached(eps_w=far, d=1.0, m=1.0)
        rows.append({"kappa": kappa, "eps_w": far, "steps": h.size, ratio: times(found, 1 / due)})
    worst = max(rows, key=lambda row: float(row[ratio]))
    return Evidence(
        "exact", f"the theorem's steps with all constants 1: {ratio} at their end", "holds with constant",
        label="lower", computed="W2 given the midpoints, its root mean square: at least W2 of the unconditional law",
        bound=str(reached), constant=worst[ratio], where={k: worst[k] for k in ("kappa", "eps_w")},
        rows=tuple(rows), domain="half the coordinates of curvature m, half of L, started at the minimum",
    )  # fmt: skip


def c4(look: Look, printed: Bound, variation: Bound, sharper: Bound, log_concave: Bound) -> Iterator[Evidence]:
    entropies = {"printed": printed, "sharper": sharper, "log-concave": log_concave}
    (form,) = map(Bound, variation.monomials)  # without the constant, which is what is looked for
    constants = VARIATION if look.target is None else {0: VARIATION[0]}
    if look.wants("exact"):
        for name, bound in entropies.items():
            found = smoothing.entropy_ratio(look, bound, lowest=0 if name == "log-concave" else -1)
            yield within(found, 1, str(bound))
        for lowest, constant in constants.items():
            found = smoothing.variation_ratio(look, False, form, lowest=lowest)
            yield within(found, constant, f"{constant} {form} by the sharper bound of KL, {variation} as printed")
        if look.target is None:
            yield smoothing.of_potentials(entropies, VARIATION[-1], VARIATION[0])
    if look.wants("certified"):
        for lowest, constant in constants.items():
            found = smoothing.certified_ratio(look, False, form, lowest=lowest)
            yield within(found, constant, f"{constant} {form}")
