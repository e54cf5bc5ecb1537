"""What G measures: the neighbours of the paper; here the parallel samplers, sweep by sweep and round by round.

Each of them repeats work until it is right; on Gaussian targets how far it is off after so many rounds is a polynomial.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from flint import arb, arb_series

from rmverify import schemes
from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks import moreau
from rmverify.claims.looks import neighbours as others
from rmverify.claims.looks.constants import leading_constants
from rmverify.claims.looks.measure import fitted, of_its_own, residuals
from rmverify.divergences import tv
from rmverify.exponents import Bound
from rmverify.laws import output_law, stationary_law
from rmverify.numbers.values import Value
from rmverify.plans import Plan, Predict
from rmverify.readings.affine import AffineDraw, forms, read
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.schemes.contract import name
from rmverify.schemes.probability_flow import ddim
from rmverify.studies import neighbours
from rmverify.targets import Gaussian
from rmverify.targets.process import mode_score

# --- parallel samplers ----------------------------------------------------------------------------------------------

BITS = 256
MODES, WINDOW = ((0.25, 1.5), (4.0, -1.25)), (3.0, 2.9375)
LARGE, ACCURACY = 10_000, 0.1


class _Mode:
    """One mode of a Gaussian, over balls."""

    def __init__(self, lam: float, mean: float) -> None:
        self.lam, self.mean = arb(lam), arb(mean)

    def score(self, t: Any, x: Any) -> Any:
        return mode_score(self.mean, self.lam, t, x)


def _column(value: Any) -> Any:
    found = np.empty((1, 1, 1), dtype=object)
    found[0, 0, 0] = value
    return found


def _slope(scheme: Any, mode: Any, t: Any, h: Any) -> tuple[Any, Any]:
    a, b, _ = read(lift_scheme(scheme), mode, _column(t), _column(h), None, lift).scalar
    return np.ravel(a)[0], np.ravel(b)[0]


def g1(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "ddim")
        yield leading_constants(look, "parareal")
        yield residuals("as many sweeps as blocks: the sequential steps", _against_steps(look))
        yield residuals("k sweeps: the sum over at most k blocks of the products of F - G and G", _by_subsets(look))
        yield _sweep_by_sweep(look)


def _steps(mode: Any, levels: list[Any]) -> tuple[Any, Any]:
    """a and b of DDIM steps down these levels."""
    a, b = arb(1), arb(0)
    for above, below in itertools.pairwise(levels):
        slope, shift = _slope(ddim, mode, above, above - below)
        a, b = slope * a, slope * b + shift
    return a, b


def _levels(count: int, power: int) -> list[Any]:
    (top, length) = WINDOW
    return [arb(top) - length + arb(length) * (arb(count - i) / count) ** power for i in range(count + 1)]


def _against_steps(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    with precision(BITS, 2):
        for (lam, mean), power in itertools.product(MODES, (1, 2)):
            for blocks, fine in ((3, 2), (4, 4)):
                scheme = look.scheme("parareal")(blocks=blocks, fine=fine, sweeps=blocks, power=power)
                found = _slope(scheme, _Mode(lam, mean), *map(arb, WINDOW))
                due = _steps(_Mode(lam, mean), _levels(blocks * fine, power))
                where = {"lambda": lam, "mean": mean, "blocks": blocks, "fine": fine, "power": power}
                yield from ((where, f - d) for f, d in zip(found, due, strict=True))


def _by_subsets(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    blocks, fine = 4, 3
    with precision(BITS, 2):
        for (lam, mean), sweeps in itertools.product(MODES, range(blocks)):
            mode, levels = _Mode(lam, mean), _levels(blocks * fine, 1)
            sums = [arb(1)] + [arb(0)] * blocks  # by the size of the subset
            for n in range(blocks):
                part = levels[n * fine : (n + 1) * fine + 1]
                fine_slope, (coarse, _) = _steps(mode, part)[0], _steps(mode, [part[0], part[-1]])
                sums = [
                    coarse * s + (fine_slope - coarse) * less
                    for s, less in zip(sums, [arb(0), *sums[:-1]], strict=True)
                ]
            scheme = look.scheme("parareal")(blocks=blocks, fine=fine, sweeps=sweeps)
            found, _ = _slope(scheme, mode, *map(arb, WINDOW))
            yield {"lambda": lam, "sweeps": sweeps}, found - sum(sums[: sweeps + 1], arb(0))


def _sweep_by_sweep(look: Look) -> Evidence:
    """TV to the sequential law and to the target, against sweeps and rounds."""
    target, blocks = Gaussian.isotropic(0.25, LARGE), 36
    levels = [math.log(LARGE / ACCURACY**2), 1e-6]

    def law(sweeps: int) -> Any:
        scheme = look.scheme("parareal")(blocks=blocks, fine=blocks, sweeps=sweeps, power=2)
        return output_law(Plan([Predict(scheme, np.array(levels))]), target)

    due, truth = law(blocks), target.at(levels[-1])
    rows = []
    for sweeps in (0, 1, 2, 3, 4, 6):
        plan_law = law(sweeps)
        rows.append({
            "sweeps": sweeps, "rounds": blocks + 2 * blocks * sweeps, "pipelined": blocks + sweeps * (blocks - 1),
            "TV to the N steps": tv(plan_law, due), "TV to the target": tv(plan_law, truth),
        })  # fmt: skip
    off = [float(row["TV to the N steps"]) for row in rows]
    falling = all(b < a or b < 1e-9 for a, b in itertools.pairwise(off))
    x = [row["pipelined"] for row in rows]
    return Evidence(
        "exact", "total variation sweep by sweep, to the law of the N sequential steps and to the target",
        "holds" if falling else "violated",
        computed=f"to the N steps {', '.join(f'{z:.2g}' for z in off)}; the N steps themselves are off by"
        f" {float(tv(due, truth)):.3g}", bound=f"falling to 0, {blocks**2} rounds for the N steps",
        domain=f"N(0, I/4), d = {LARGE}, N = {blocks}^2 DDIM steps, t quadratic in the step, from N(0, I)",
        rows=tuple(rows), picture={"curves": {"to the N steps": (x, off)}, "x": "rounds", "y": "TV"},
    )  # fmt: skip


def g2(look: Look, bound: Bound) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "parallel_slices")
        yield residuals(
            "with visits and rounds enough: exponential integrator steps over all cells", _slice_limits(look)
        )
        yield residuals("along anti-diagonals: what visits to all slices give, one after the other", _in_order(look))
    if look.wants("exact") and look.target is None and not look.schemes:
        yield _log_rounds(bound)


def _slice_limits(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    with precision(BITS, 2):
        for lam, mean in MODES:
            for S, M, J, P in ((2, 3, 6, 1), (3, 2, 1, 3), (3, 2, 4, 2)):
                scheme = look.scheme("parallel_slices")(slices=S, cells=M, rounds=J, inner=P)
                found = _slope(scheme, _Mode(lam, mean), *map(arb, WINDOW))
                a, b = arb(1), arb(0)
                for above, below in itertools.pairwise(_levels(S * M, 1)):
                    slope, shift = _slope(schemes.exponential_integrator, _Mode(lam, mean), above, above - below)
                    a, b = slope * a, slope * b + shift
                where = {"lambda": lam, "slices": S, "cells": M, "visits": J, "inner": P}
                yield from ((where, f - d) for f, d in zip(found, (a, b), strict=True))


def _in_order(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    """Before the visits are enough, on a centred mode."""
    with precision(BITS, 2):
        for S, M, J, P in ((3, 2, 2, 1), (2, 3, 1, 2), (3, 2, 2, 2)):
            mode, levels = _Mode(MODES[0][0], 0.0), _levels(S * M, 1)
            length = arb(WINDOW[1]) / S
            c = length / M
            edges, points = [arb(1)], []
            for n in range(S):
                s = mode.score(levels[n * M], edges[n])
                points.append([(m * c).exp() * edges[n] + (m * c).expm1() * s for m in range(M)])
                edges.append(length.exp() * edges[n] + length.expm1() * s)
            for _, n in itertools.product(range(J), range(S)):
                for _ in range(P):
                    scores = [mode.score(levels[n * M + m], points[n][m]) for m in range(M)]
                    row = [edges[n]]
                    for s in scores:
                        row.append(c.exp() * row[-1] + c.expm1() * s)
                    *points[n], edges[n + 1] = row
            found, _ = _slope(look.scheme("parallel_slices")(slices=S, cells=M, rounds=J, inner=P), mode,
                              *map(arb, WINDOW))  # fmt: skip
            yield {"slices": S, "cells": M, "visits": J, "inner": P}, found - edges[S]


def _log_rounds(bound: Bound) -> Evidence:
    rows = [neighbours.rounds_to("slices", 10**k, 4.0, ACCURACY) for k in (2, 4, 6)]
    what = "the fewest rounds of slices to TV <= 0.1, by their ratio to ln(d/eps^2)"
    if any(row.status != "found" for row in rows):
        return Evidence("exact", what, "inconclusive", computed="a number of rounds was not found")
    ratios = [float((row.rounds or 0) / bound(d=float(row.dim), eps=ACCURACY)) for row in rows]
    grows = math.log(ratios[-1] / ratios[0]) / math.log(math.log(rows[-1].dim) / math.log(rows[0].dim))
    place = int(np.argmax(ratios))
    table = tuple(
        {"d": r.dim, "S": r.outer, "J": r.sweeps, "rounds": r.rounds, "ratio": q, "TV": r.value}
        for r, q in zip(rows, ratios, strict=True)
    )
    return Evidence(
        "exact", what, "holds with constant" if grows < 0.5 else "inconclusive",
        computed=f"rounds {', '.join(str(r.rounds) for r in rows)}; the ratio grows like (ln d)^{grows:.2f}",
        bound=str(bound), label="lower", constant=Value(ratios[place], "exact", 1e-12), where={"d": rows[place].dim},
        domain="N(0, I/4) from N(0, I), d = 10^2, 10^4, 10^6, slices no longer than ln(1 + 1/L), P = 2, no corrector",
        rows=table, picture={"curves": {"slices": ([r.dim for r in rows], [r.rounds for r in rows])}, "x": "d",
                             "y": "rounds"},
    )  # fmt: skip


def g3(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "parallel_langevin")
        yield residuals("the first coefficients in h by which K rounds differ from all of them", _picard_terms(look))
        yield _binomials()


def _picard_terms(look: Look) -> Iterator[tuple[dict[str, Any], Any]]:
    """Of the noise of cell i, -C(M-1-i, K) (-k/M)^K at h^K, and nothing before; of the variance from the invariant law,
    -2 C(M, K+1) (-k)^K/M^{K+1} at h^{K+1}."""
    cells = 5
    for K, k in itertools.product((1, 2, 3), (1.25, 0.375)):
        with precision(BITS, K + 3):
            h, mode = arb_series([0, 1]), _Still(arb(k))
            pair, variances = [], []
            for rounds in (K, cells):
                scheme = lift_scheme(look.scheme("parallel_langevin")(cells=cells, rounds=rounds))
                draw = AffineDraw(None, lift)
                (form,) = forms(scheme, mode, _column(arb(1)), _column(h), draw)
                pair.append([_series(form.parts[0, 0, i]) for i in range(cells)])
                a, _, c = read(scheme, mode, _column(arb(1)), _column(h), None, lift).scalar
                a, c = _series(a), _series(c)
                variances.append(a * a / k + c)
            where = {"K": K, "k": k, "cells": cells}
            for i, (few, all_) in enumerate(zip(*pair, strict=True)):
                due = -arb(math.comb(cells - 1 - i, K)) * (-arb(k) / cells) ** K
                for power in range(K + 1):
                    yield where | {"cell": i}, (few - all_)[power] - (due if power == K else 0)
            due = -2 * arb(math.comb(cells, K + 1)) * (-arb(k)) ** K / arb(cells) ** (K + 1)
            for power in range(K + 2):
                yield where, (variances[0] - variances[1])[power] - (due if power == K + 1 else 0)


class _Still:
    def __init__(self, precision: Any) -> None:
        self.precision = precision

    def score(self, t: Any, x: Any) -> Any:
        return -self.precision * x


def _series(part: Any) -> Any:
    """A coefficient as a series; that of a noise is given in every cell of its own axis, and 0 in all but one."""
    value = sum(np.ravel(np.asarray(part, dtype=object)).tolist(), arb(0))
    return value if isinstance(value, arb_series) else arb_series([value])


def _binomials() -> Evidence:
    """2/M sum_r C(r, K)^2/M^{2K} against 2/((2K+1) K!^2), and (C(M, K+1)/M^{K+1})^2 against 1/(K+1)!^2."""
    rows = []
    for K in (1, 2, 3, 4):
        for M in (10, 100, 1000):
            path = sum(math.comb(r, K) ** 2 for r in range(M)) / M ** (2 * K + 1) * (2 * K + 1) * math.factorial(K) ** 2
            law = (math.comb(M, K + 1) / M ** (K + 1) * math.factorial(K + 1)) ** 2
            rows.append({"K": K, "cells": M, "path, of its limit": path, "KL, of its limit": law})
    worst = max(row[name] for row in rows for name in ("path, of its limit", "KL, of its limit"))
    near = min(row["path, of its limit"] for row in rows if row["cells"] == 1000)
    return Evidence(
        "exact", "the constants with M cells against those of the formula", "holds" if worst <= 1 < near + 0.02 else
        "violated", computed=f"at most {worst:.4f} of them, at M = 1000 at least {near:.4f}", bound="1 as M grows",
        domain="K from 1 to 4, M = 10, 100, 1000", rows=tuple(rows),
    )  # fmt: skip


def g4(look: Look, overdamped: Bound, underdamped: Bound) -> Iterator[Evidence]:
    if look.target is not None or look.schemes:
        return
    if look.wants("fitted"):
        L = 4.0
        target = Gaussian.isotropic(1 / L, 1)
        cells = [2.0**-k for k in range(6, 11)]
        kinetic = schemes.underdamped(friction=2 * math.sqrt(L))
        for scheme, bound in ((schemes.overdamped, overdamped), (kinetic, underdamped)):
            off = [float(stationary_law(scheme, target, c).variances[0] * L - 1) for c in cells]
            yield fitted(
                f"relative error of the invariant variance, {name(scheme)} steps, against their length: cells like"
                f" d^(1/2)/eps keep TV; claimed are {bound}", cells, off, 1.0, names=("cell", "error"), relative=1e-12,
                domain="N(0, 1/4)",
            )  # fmt: skip
    if look.wants("exact"):
        for plan in ("langevin", "underdamped"):
            yield _few_rounds(plan)


def _few_rounds(plan: str) -> Evidence:
    rows = [neighbours.rounds_to(plan, 10**k, 4.0, ACCURACY) for k in (2, 4, 6)]
    what = f"the fewest rounds of parallel {plan} steps to TV <= 0.1, by their ratio to ln^2(d/eps^2)"
    if any(row.status != "found" for row in rows):
        return Evidence("exact", what, "inconclusive", computed="a number of rounds was not found")
    ratios = [(row.rounds or 0) / math.log(row.dim / ACCURACY**2) ** 2 for row in rows]
    place = int(np.argmax(ratios))
    return Evidence(
        "exact", what, "holds with constant" if ratios[-1] <= ratios[0] else "inconclusive",
        computed=f"rounds {', '.join(str(row.rounds) for row in rows)}", bound="log(d/eps^2)^2", label="lower",
        constant=Value(ratios[place], "exact", 1e-12), where={"d": rows[place].dim},
        domain="N(0, I/4) from N(0, I), d = 10^2, 10^4, 10^6; steps of 1/L and of 1/sqrt(L)",
        rows=tuple({"d": r.dim, "N": r.outer, "K": r.sweeps, "rounds": r.rounds, "evaluations": r.evaluations,
                    "TV": r.value} for r in rows),
    )  # fmt: skip


# --- G5 to G8: neighbours that are not parallel -------------------------------------------------------------------

g5, g6 = of_its_own(moreau.g5), of_its_own(others.g6)
g7, g8 = of_its_own(others.g7), of_its_own(others.g8)
