"""Rounds to accuracy: searches against brute force, the two laws against data made to follow them, tables, command."""

from __future__ import annotations

import bisect
import csv
import io
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from printed import text_of

import rmverify as rm
from rmverify import plans, schemes
from rmverify.cli import main
from rmverify.numbers.values import Value
from rmverify.studies import rounds, sweep
from rmverify.studies.rounds import Row, Table, Trade
from rmverify.views.rounds import VIEW, undecided

# ------------------------------------------------------------------- the search


def reached(d, L, eps, steps, K):
    """Whether the plan with at most so many steps, the shortest that are that few, is within eps; and its rounds."""
    grid = np.linspace(0.01, 1, 4096) * L * math.log1p(1 / L)
    few = bisect.bisect_left(grid, True, key=lambda c: len(sweep_of(d, L, eps, c)) <= steps)
    c = grid[few]
    plan = plans.parallel(d, L, eps, predictor_constant=c, rounds=K)
    target = rm.Gaussian.isotropic(1 / L, d)
    return rm.tv(rm.output_law(plan, target), target.at(plan.end)) <= eps, plan.rounds


def sweep_of(d, L, eps, c):
    return plans.parallel(d, L, eps, predictor_constant=c, strata=1, rounds=0, cells=1, corrector_rounds=1).stages[0]


@pytest.mark.slow
@pytest.mark.parametrize("d, eps", [(300, 0.1), (30_000, 0.1)])
def test_no_other_steps_and_picard_rounds_need_fewer_rounds(d, eps):
    """Every N and K whose rounds would be fewer, each at the shortest steps, misses eps; what was found does not."""
    found = rounds.rounds_to("parallel", d, 4.0, eps)
    assert found.status == "found"
    assert found.value <= eps
    assert found.rounds == found.steps * (found.picard + 2) + found.corrector_rounds
    fewest = len(sweep_of(d, 4.0, eps, 4 * math.log1p(1 / 4)))
    for K in range(found.picard + 3):
        most = (found.rounds - 1 - found.corrector_rounds) // (K + 2)
        for steps in {fewest, (fewest + most) // 2, most} if most >= fewest else set():
            within, cost = reached(d, 4.0, eps, steps, K)
            assert cost < found.rounds
            assert not within


@pytest.mark.slow
def test_a_row_is_what_the_plan_gives():
    row = rounds.rounds_to("parallel", 10**5, 4.0, 0.1)
    assert row.before > 0.1 >= row.value
    assert row.theorem == plans.parallel(10**5, 4.0, 0.1).rounds
    assert (
        row.evaluations == row.steps * (1 + (row.picard + 1) * row.strata) + 1 + (row.corrector_rounds - 1) * row.cells
    )
    assert row.horizon == pytest.approx(math.log(10**5 / 0.01), rel=1e-12)
    assert row.early_stop == pytest.approx(0.01 / (16 * 10**5), rel=1e-12)


@pytest.mark.parametrize("plan, each", [("sequential", 2), ("dpum", 1)])
def test_the_predictors_alone_take_the_same_levels(plan, each):
    row = rounds.rounds_to(plan, 100, 4.0, 0.1)
    scheme = {"sequential": schemes.randomized_midpoint, "dpum": schemes.exponential_integrator}[plan]
    target = rm.Gaussian.isotropic(0.25, 100)

    def value(steps):
        levels = np.linspace(row.horizon, row.early_stop, steps + 1)
        return rm.tv(
            rm.output_law(rm.Plan([rm.Predict(scheme, levels)]), target, start="exact"), target.at(row.early_stop)
        )

    assert row.rounds == each * row.steps
    assert value(row.steps) <= 0.1 < value(row.steps - 1)
    assert row.theorem == getattr(plans, plan)(100, 4.0, 0.1).rounds


def test_a_search_that_gives_up_says_so():
    assert rounds.rounds_to("dpum", 10**4, 4.0, 0.1, max_steps=100).status == "beyond max_steps"


@pytest.mark.parametrize(
    "arguments, name",
    [
        (("serial", 10, 4.0, 0.1), "plan"),
        (("parallel", 0, 4.0, 0.1), "dim"),
        (("parallel", 10, 0.5, 0.1), "smoothness"),
        (("dpum", 10, 4.0, 1.5), "accuracy"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        rounds.rounds_to(*arguments)
    if name == "plan":
        with pytest.raises(ValueError, match="^theorem: expected"):
            plans.rounds_of(*arguments)


@pytest.mark.slow
def test_rounds_buy_work():
    """One stratum and no Picard round is the sequential midpoint; strata without Picard rounds stop helping."""
    alone = rounds.trade(1, 0, 10_000, 0.1)
    midpoint = rm.rates.steps_to(schemes.randomized_midpoint, rm.Gaussian.isotropic(0.25, 10_000), 0.1)
    assert (alone.steps, alone.rounds) == (midpoint.steps, 2 * midpoint.steps)
    few, many, more = (rounds.trade(R, K, 10_000, 0.1) for R, K in ((8, 0), (64, 0), (64, 4)))
    assert few.steps == many.steps > more.steps
    assert more.rounds < many.rounds / 2
    for t in (few, many, more):
        assert t.rounds == t.steps * (t.picard + 2)
        assert t.evaluations == t.steps * (1 + (t.picard + 1) * t.strata)
        assert t.value <= 0.1 < t.before


# ------------------------------------------------------------------- logarithms or a power


def test_laws_find_what_the_data_follow():
    d = [10.0**k for k in range(1, 13)]
    x = np.log(d)
    squares = rounds.fit("parallel", "rounds", d, 3 * x**2 + 2 * x + 5)
    assert [squares.a, squares.b, squares.c] == pytest.approx([3, 2, 5], rel=1e-9)
    assert squares.residual < 1e-10
    assert squares.better == "logarithms"
    assert squares.slopes[0] > 2 * squares.slopes[-1]
    pure = rounds.fit("parallel", "rounds", d, x**2)
    assert pure.squares == pytest.approx(2, rel=1e-9)
    power = rounds.fit("dpum", "rounds", d, [7 * z**0.4 for z in d])
    assert power.power == pytest.approx(0.4, rel=1e-9)
    assert power.power_residual < 1e-10
    assert power.better == "power"
    assert power.slopes == pytest.approx([0.4] * len(power.slopes), rel=1e-9)
    assert power.squares > 3
    with pytest.raises(ValueError, match="^dims: expected at least four"):
        rounds.fit("dpum", "rounds", d[:3], x[:3])


# ------------------------------------------------------------------- tables


def a_trade(strata, picard, steps, **changes):
    counts = {"rounds": steps * (picard + 2), "evaluations": steps * (1 + (picard + 1) * strata)}
    given = {"dim": 10_000, "accuracy": 0.1, "steps": steps, **counts, "value": Value(0.09, "exact", 1e-12),
             "before": Value(0.11, "exact", 1e-12), "status": "found"}  # fmt: skip
    return Trade(strata, picard, **(given | changes))


def a_row(plan, dim, found, **changes):
    given = dict.fromkeys(f.name for f in fields(Row)) | {
        "plan": plan, "dim": dim, "smoothness": 4.0, "accuracy": 0.1, "horizon": 5.0, "early_stop": 1e-4,
        "steps": found, "rounds": found, "evaluations": 10 * found, "value": Value(0.05, "exact", 1e-12),
        "status": "found", "theorem": 50 * found,
    }  # fmt: skip
    return Row(**(given | changes))


LOST = {"steps": None, "rounds": None, "evaluations": None, "value": None, "status": "beyond max_steps"}
K = range(1, 6)
FOUND = {"parallel": [50 * k**2 for k in K], "sequential": [20 * 3**k for k in K], "dpum": [20 * 4**k for k in K]}
THEOREMS = [str(50 * found[3]) for found in FOUND.values()]
HAND = Table(
    (
        *(a_row("parallel", 10**k, n, picard=k // 2, strata=8, cells=16, corrector_rounds=3)
          for k, n in zip(K, FOUND["parallel"], strict=True)),
        *(a_row("sequential", 10**k, n) for k, n in zip(K, FOUND["sequential"], strict=True)),
        *(a_row("dpum", 10**k, n, **(LOST if k == 5 else {})) for k, n in zip(K, FOUND["dpum"], strict=True)),
    ),
    tuple(rounds.fit(plan, "rounds", [10.0**k for k in K], found) for plan, found in FOUND.items()),
    (a_trade(1, 0, 80), a_trade(8, 2, 11), a_trade(8, 4, 11), a_trade(32, 4, 4), a_trade(64, 4, 4)),
)  # fmt: skip


def test_the_frontier_is_what_nothing_beats():
    assert [(t.strata, t.picard) for t in rounds.frontier(HAND.trades)] == [(32, 4), (8, 2), (1, 0)]


def test_the_tables_say_everything():
    text = text_of(VIEW.shown(HAND))
    line = next(line.split() for line in text.splitlines() if line.startswith("1e4"))
    assert line == ["1e4", "5.0", "800", "2", "8", "16", "3", "800", "8000", "0.05", "1620", "5120", *THEOREMS]
    assert "beyond max_steps" in next(line for line in text.splitlines() if line.startswith("1e5"))
    assert "left out of the fits: 1." in text
    starred = [line.split()[:2] for line in text.splitlines() if " * " in line and line[:1].isdigit()]
    assert starred == [["1", "0"], ["8", "2"], ["32", "4"]]
    assert "eps = 0.1" in text
    assert "d = 1e4" in text
    narrow = text_of(VIEW.shown(HAND, 80), 80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "Columns omitted to fit the terminal: T, K_c, M, R, evaluations" in " ".join(narrow.split())
    assert undecided(HAND) == [HAND.rows[-1]]


def test_programs_and_papers_get_the_same():
    records = list(csv.DictReader(io.StringIO(VIEW.as_csv(HAND))))
    assert len(records) == 15
    assert records[3]["rounds"] == "800"
    assert records[3]["value_kind"] == "exact"
    assert records[-1]["value"] == ""
    plain = json.loads(json.dumps(HAND.as_dict(), allow_nan=False))
    assert [t["best"] for t in plain["trades"]] == [True, True, False, True, False]
    assert [law["better"] for law in plain["laws"]] == ["logarithms", "power", "power"]
    assert "| 1e4 |" in VIEW.as_markdown(HAND)
    assert "ln^2 d" in VIEW.as_markdown(HAND)
    assert r"\begin{tabular}" in VIEW.as_latex(HAND)
    assert r"d\textasciicircum{}" in VIEW.as_latex(HAND)


@pytest.mark.slow
@pytest.mark.parametrize("suffix, magic", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_the_same_every_time(suffix, magic):
    first, second = VIEW.picture(HAND, suffix), VIEW.picture(HAND, suffix)
    assert first.startswith(magic)
    assert first == second


# ------------------------------------------------------------------- the command


def run(capsys, *arguments):
    code = main(["rates", "--parallel", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def given(monkeypatch, table):
    asked = {}

    def instead(**arguments):
        asked.update(arguments)
        return table

    monkeypatch.setattr(rounds, "table", instead)
    return asked


def test_the_command_prints_and_judges(monkeypatch, capsys, tmp_path):
    asked = given(monkeypatch, HAND)
    code, out, err = run(capsys, "--max-steps", "1000", "--store", str(tmp_path / "s"))
    assert (code, err) == (0, "")
    assert "Logarithms or a power" in out
    assert (asked["max_steps"], asked["store"]) == (1000, str(tmp_path / "s"))
    code, out, _ = run(capsys, "--json")
    assert json.loads(out)["command"] == "rates --parallel"
    code, out, _ = run(capsys, "--csv")
    assert out == VIEW.as_csv(HAND)
    worse = replace(HAND, curves=tuple(replace(curve, residual=curve.power_residual * 2) for curve in HAND.curves))
    given(monkeypatch, worse)
    assert run(capsys)[0] == 1
    lost = replace(HAND, rows=(replace(HAND.rows[0], status="cannot tell"), *HAND.rows[1:]))
    given(monkeypatch, lost)
    assert run(capsys)[0] == 3


@pytest.mark.parametrize(
    "extra", [["--full"], ["--scheme", "heun"], ["--data", "digits"], ["--covariance"], ["--rows"]]
)
def test_options_of_the_other_table_are_refused(extra, capsys):
    code, out, err = run(capsys, *extra)
    assert (code, out) == (2, "")
    assert err.startswith(f"rmverify: {extra[0]} cannot be combined with --parallel")


@pytest.mark.slow
def test_a_small_table_is_real_and_resumes(tmp_path):
    store = tmp_path / "rounds.jsonl"
    small = {"dims": [2, 4, 8, 16], "trade_dim": 50, "strata": [1, 8], "picard": [0, 1]}
    first = rounds.table(**small, store=store)
    lines = store.read_text().splitlines()
    assert len(lines) == 1 + 12 + 16 + 4
    store.write_text("\n".join(lines[:9]) + "\n")
    seen = []
    assert rounds.table(**small, store=store, progress=seen.append) == first
    assert store.read_text().count("\n") == len(lines)
    with pytest.raises(ValueError, match="^store: expected"):
        rounds.table(**small | {"dims": [2, 4, 8, 32]}, store=store)
    assert all(row.status == "found" for row in (*first.rows, *first.trades))
    assert isinstance(seen[0], sweep.Progress)
