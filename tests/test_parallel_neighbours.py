"""Other parallel samplers: their rows against plain loops and the chi-squared law, and the rounding of whole plans."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from oracles import textbook
from scipy.stats import chi2

import rmverify as rm
from rmverify import schemes
from rmverify.studies import neighbours

L, EPS, DIM = 4.0, 0.1, 100
TOP, DELTA = math.log(DIM / EPS**2), EPS**2 / (L**2 * DIM)


def apart(a, b, d=DIM):
    """TV between N(0, a I) and N(0, b I): where their densities cross |x|^2 = d ln(b/a) ab/(b - a)."""
    low, high = min(a, b), max(a, b)
    square = d * math.log(high / low) * low * high / (high - low)
    return chi2.cdf(square / low, d) - chi2.cdf(square / high, d)


def score(t, x):
    return -x / (1 + (1 / L - 1) * math.exp(-2 * t))


def variance(t):
    return 1 + (1 / L - 1) * math.exp(-2 * t)


def ddim(x, t, h):
    """In the clock of sigma = sqrt(e^{2t} - 1), X = e^t x."""
    change = math.sqrt(math.expm1(2 * (t - h))) - math.sqrt(math.expm1(2 * t))
    return math.exp(h) * x - math.exp(h - t) * change * math.sqrt(-math.expm1(-2 * t)) * score(t, x)


def srds(blocks, sweeps):
    N = blocks**2
    levels = [DELTA + (TOP - DELTA) * ((N - i) / N) ** 2 for i in range(N + 1)]

    def run(n, x, stride):
        for i in range(n * blocks, (n + 1) * blocks, stride):
            x = ddim(x, levels[i], levels[i] - levels[i + stride])
        return x

    old = [1.0]
    for n in range(blocks):
        old.append(run(n, old[n], blocks))
    for _ in range(sweeps):
        new = [1.0]
        for n in range(blocks):
            new.append(run(n, new[n], blocks) + run(n, old[n], 1) - run(n, old[n], blocks))
        old = new
    return apart(old[-1] ** 2, variance(DELTA))


def slices(count, cells, visits):
    """Visit after visit of every slice, two Picard rounds each."""
    length = (TOP - DELTA) / count
    c = length / cells
    edges, points = [1.0], []
    for n in range(count):
        s = score(TOP - n * length, edges[n])
        points.append([math.exp(m * c) * edges[n] + math.expm1(m * c) * s for m in range(cells)])
        edges.append(math.exp(length) * edges[n] + math.expm1(length) * s)
    for _ in range(visits):
        for n in range(count):
            for _ in range(2):
                scores = [score(TOP - n * length - m * c, points[n][m]) for m in range(cells)]
                y = edges[n]
                for m in range(cells):
                    points[n][m] = y
                    y = math.exp(c) * y + math.expm1(c) * scores[m]
            edges[n + 1] = y
    return apart(edges[-1] ** 2, variance(DELTA))


def langevin(steps, cells, rounds):
    """Of a step, by binomials: x -> sum_i C(M, i) (-a)^i x, and of each noise the same up to K - 1; a = 1/M."""
    slope = sum(math.comb(cells, i) * (-1 / cells) ** i for i in range(rounds + 1))
    noises = [sum(math.comb(r, i) * (-1 / cells) ** i for i in range(rounds)) for r in range(cells)]
    v = 1.0
    for _ in range(steps):
        v = slope**2 * v + 2 / (L * cells) * sum(z * z for z in noises)
    return apart(v, 1 / L)


@pytest.mark.parametrize("plan", ["slices", "srds", "langevin"])
def test_a_row_is_what_a_plain_loop_gives_and_one_less_is_not_enough(plan):
    row = neighbours.rounds_to(plan, DIM, L, EPS)
    assert row.status == "found"
    if plan == "srds":
        values = [srds(row.outer, row.sweeps), srds(row.outer - 1, row.sweeps)]
        assert row.rounds == row.outer + row.sweeps * (row.outer - 1)
        assert row.unpipelined == row.outer + 2 * row.sweeps * row.outer
        assert row.theorem == row.outer**2
    elif plan == "slices":
        values = [slices(row.outer, row.cells, row.sweeps - k) for k in range(2)]
        assert row.rounds == row.outer + 2 * (row.outer + row.sweeps - 1)
        assert (TOP - DELTA) / row.outer <= math.log1p(1 / L) < (TOP - DELTA) / (row.outer - 1)
    else:
        values = [langevin(row.outer - k, row.cells, row.sweeps) for k in range(2)]
        assert row.rounds == row.outer * row.sweeps
    assert values == pytest.approx([float(row.value), float(row.before)], rel=1e-9)
    assert row.value <= EPS < row.before


def test_no_other_sweeps_take_fewer_rounds():
    row = neighbours.rounds_to("srds", DIM, L, EPS)
    for sweeps in (1, 2, 3):
        blocks = (row.rounds - 1 + sweeps) // (1 + sweeps)  # the most that cost less
        assert srds(blocks, sweeps) > EPS


def test_what_is_beyond_the_limit_says_so():
    assert neighbours.rounds_to("srds", 10**4, L, EPS, max_steps=100).status == "beyond max_steps"
    with pytest.raises(ValueError, match="^plan: expected one of slices"):
        neighbours.rounds_to("dpum", 10, L, EPS)


@pytest.mark.parametrize(
    "step, parameters, top",
    [
        (schemes.parareal, {"blocks": 5, "fine": 4, "sweeps": 2, "power": 2}, 6.0),
        (schemes.parallel_slices, {"slices": 20, "cells": 4, "rounds": 3, "inner": 2}, 6.0),
        (schemes.parallel_slices, {"slices": 4, "cells": 4, "rounds": 6, "inner": 3}, 14.0),
        (schemes.parallel_slices, {"slices": 1, "cells": 24, "rounds": 12, "inner": 1}, 8.0),
    ],
)
def test_the_rounding_of_a_whole_plan_is_within_its_estimate(step, parameters, top):
    """Against 40 digits; rounds over long slices enlarge it, which the estimate sees."""
    target = rm.Gaussian.isotropic(0.25, 1)
    law = rm.output_law(rm.Plan([rm.Predict(step(**parameters), [top, 0.5])]), target)
    with mp.workdps(40):
        t, h = mp.mpf(top), mp.mpf(top) - mp.mpf(0.5)
        of = textbook.PREDICTORS[step.__name__]
        slope = of(mp.mpf(1), t, h, [], textbook.gaussian_score(mp.mpf(0.25), mp.mpf(0)), **parameters)
        off = abs(mp.mpf(float(law.variances[0])) / slope**2 - 1)
    assert off <= law.rounding[0]


def test_unstable_rounds_are_not_called_exact():
    """Slices of length 5: in exact arithmetic the plan is good, in double precision nothing is left."""
    scheme = schemes.parallel_slices(slices=6, cells=8, rounds=19, inner=2)
    law = rm.output_law(rm.Plan([rm.Predict(scheme, [32.0, 1e-6])]), rm.Gaussian.isotropic(0.25, 1))
    assert law.rounding[0] > 1


def test_cells_beyond_what_can_be_run_are_continued():
    """Picard's limit with many cells is the exact flow: the error is that of the cells, 1/M each."""
    target = rm.Gaussian.isotropic(0.25, 1)

    def off(cells):
        scheme = schemes.parallel_slices(slices=10, cells=cells, rounds=6, inner=3)
        law = rm.output_law(rm.Plan([rm.Predict(scheme, [2.0, 0.5])]), target, start="exact")
        return float(law.variances[0] / target.at(0.5).variances[0] - 1)

    many, more = off(10**4), off(10**5)
    assert many == pytest.approx(10 * more, rel=1e-3)
    assert np.sign(many) == np.sign(off(64))
