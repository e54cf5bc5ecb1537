"""Rates of the log-concave sampler: against every combination of midpoints, a lattice start integrated plainly, tables
made by hand, and the command."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from oracles.midpoints import nested
from oracles.plain import unit_rule
from printed import text_of
from scipy import integrate, special, stats

import rmverify as rm
from rmverify import schemes
from rmverify.claims import verify
from rmverify.claims.ledger import Look
from rmverify.claims.looks import measure
from rmverify.cli import main
from rmverify.numbers.values import Value
from rmverify.studies import log_concave, sweep
from rmverify.studies.log_concave import STUDIES, Comb, Row, Table, Theorem
from rmverify.views.log_concave import VIEW

# ------------------------------------------------------------------- steps


def w2_plainly(condition, L, h, steps, nodes=16):
    """Root mean square over midpoints of W_2/sqrt(d/m), half the coordinates of curvature m and half of L."""
    m, total = L / condition, 0.0
    for k in (m, L):
        S, w = nested(k, 2.0, 1 / L, h, steps, 0.0, nodes)
        total += m * float(w @ (np.sqrt(S) - math.sqrt(1 / k)) ** 2) / 2
    return math.sqrt(total)


def tv_plainly(k, L, h, steps, dim, nodes=16):
    """TV(mean of N(0, S I), N(0, I/k)) through the density of ln |x|^2."""
    S, w = nested(k, 2.0, 1 / L, h, steps, 0.0, nodes)
    half = dim / 2
    z = np.linspace(-14, 14, 40_001) / math.sqrt(half)

    def density(shift):
        y = z - shift
        return np.exp(half * (y - np.expm1(y)) + half * math.log(half) - half - special.gammaln(half))

    p = sum(weight * density(math.log(k * each)) for each, weight in zip(S, w, strict=True))
    return float(np.abs(p - density(0.0)).sum() * (z[1] - z[0]) / 2)


@pytest.mark.slow
@pytest.mark.parametrize("condition, accuracy, smoothness", [(4.0, 0.15, 1.0), (1.5, 0.1, 5.0)])
def test_no_other_length_needs_fewer_steps_in_w2(condition, accuracy, smoothness):
    row = log_concave.steps_to("w2", accuracy, condition=condition, smoothness=smoothness)
    assert row.status == "found"
    assert 1 < row.steps <= 4
    assert abs(row.value - w2_plainly(condition, smoothness, row.step, row.steps)) <= row.value.error
    assert row.value.upper <= accuracy < row.before.lower
    lengths = np.linspace(0.1, 4.0, 79)  # h up to what is stable
    assert min(w2_plainly(condition, smoothness, h, row.steps - 1) for h in lengths) > accuracy
    assert row.evaluations == 2 * row.steps


@pytest.mark.slow
@pytest.mark.parametrize("target, dim, accuracy", [("m", 20, 0.25), ("L", 100, 0.3)])
def test_no_other_length_needs_fewer_steps_in_tv(target, dim, accuracy):
    row = log_concave.steps_to("tv", accuracy, condition=1.5, dim=dim, target=target)
    assert (row.status, row.law) == ("found", "unconditional")
    assert 1 < row.steps <= 4
    k = {"m": 1 / 1.5, "L": 1.0}[target]
    assert abs(row.value - tv_plainly(k, 1.0, row.step, row.steps, dim)) < row.value.error + 1e-7
    lengths = np.linspace(0.1, 4.0, 40)
    assert min(tv_plainly(k, 1.0, h, row.steps - 1, dim, 10) for h in lengths) > accuracy


@pytest.mark.parametrize("condition, L, h, steps", [(4.0, 1.0, 1.1, 2), (9.0, 3.0, 0.6, 3)])
def test_the_distance_after_some_steps(condition, L, h, steps):
    found = log_concave.distance_after(h, steps, condition=condition, smoothness=L)
    assert found.kind == "exact"
    assert abs(found - w2_plainly(condition, L, h, steps)) <= found.error + 1e-12
    assert found.error < 0.01 * found  # few long steps from a point: a wide law, and what the claim needs


@pytest.mark.slow
def test_only_the_condition_matters():
    one, nine = (log_concave.steps_to("w2", 0.03, condition=4.0, smoothness=L) for L in (1.0, 9.0))
    assert one.steps == nine.steps
    assert one.step == pytest.approx(nine.step, rel=1e-9)
    assert one.value == pytest.approx(float(nine.value), rel=1e-9)


@pytest.mark.slow
def test_short_steps_have_the_orders_of_the_spread():
    """The variance given the midpoints has relative spread c (k/L) h^{3/2}: N of W_2 like kappa^{2/3} eps'^{-2/3}."""
    few, many = (log_concave.steps_to("w2", 1e-4, condition=kappa) for kappa in (64.0, 1024.0))
    assert math.log(many.steps / few.steps) / math.log(16) == pytest.approx(2 / 3, abs=0.003)


@pytest.mark.slow
def test_a_step_without_a_midpoint_has_another_power():
    """Underdamped Langevin in its place is off by h in the variance: N like 1/eps', above the claimed 2/3."""
    of = {"randomized_midpoint_langevin": schemes.underdamped}
    coarse, fine = (0.1, 0.03, 0.01, 3e-3), (0.01, 3e-3, 1e-3, 3e-4)
    wrong = measure.studied(Look(schemes=of), "w2", "accuracy", at=coarse)
    assert wrong.finding == "violated"
    assert wrong.constant == pytest.approx(1, abs=0.1)
    assert measure.studied(Look(), "w2", "accuracy", at=fine).finding == "holds"


def test_steps_without_a_midpoint_are_counted():
    """The exponential integrator's covariance by its own recursion, over many lengths."""
    row = log_concave.steps_to("w2", 0.2, condition=4.0, scheme=schemes.underdamped)

    def distance(h, steps, L=1.0):
        total, E = 0.0, math.exp(-2 * h)
        p = (1 - E) / 2
        q = (h - p) / 2
        for k in (L / 4, L):
            A = np.array([[1 - k * q / L, p], [-k * p / L, E]])
            xx = (4 * h - 3 + 4 * E - E**2) / 4 / L
            C = np.array([[xx, (1 - E) ** 2 / 2 / L], [(1 - E) ** 2 / 2 / L, (1 - E**2) / L]])
            S = np.diag([0.0, 1 / L])
            for _ in range(steps):
                S = A @ S @ A.T + C
            total += (math.sqrt(S[0, 0]) - math.sqrt(1 / k)) ** 2 * (L / 4) / 2
        return math.sqrt(total)

    assert row.status == "found"
    assert row.value == pytest.approx(distance(row.step, row.steps), rel=1e-9)
    assert row.value <= 0.2 < row.before
    assert min(distance(h, row.steps - 1) for h in np.linspace(0.05, 4, 400)) > 0.2


def plain_steps(scheme, k, h):
    """(weight, A^2, noise) of one step of x' = A x + noise on -k x, over what it draws, from the printed formulas."""
    nodes, weights = unit_rule(8)
    z = h * k
    if scheme == "overdamped":
        return [(1.0, (1 - z) ** 2, 2 * h)]
    if scheme == "stochastic_runge_kutta":
        return [(1.0, (1 - z + z * z / 2) ** 2, 2 * h * ((1 - z / 2) ** 2 + z * z / 12))]
    if scheme == "overdamped_midpoint":
        return [
            (w, (1 - z + a * z * z) ** 2, 2 * h * (a * (1 - z) ** 2 + 1 - a))
            for a, w in zip(nodes, weights, strict=True)
        ]
    M, found = log_concave.CELLS, []
    for chosen in itertools.product((0, 1), repeat=M - 1):
        weight = (1 / M) ** sum(chosen) * (1 - 1 / M) ** (M - 1 - sum(chosen))
        A = 1 - z + z * z * sum(i * c for i, c in enumerate(chosen, 1)) / M
        found.append((weight, A * A, 2 * h / M * sum((1 - z * sum(chosen[j:])) ** 2 for j in range(M))))
    return found


@pytest.mark.parametrize("scheme", ["overdamped", "overdamped_midpoint", "poisson_midpoint", "stochastic_runge_kutta"])
def test_other_steps_are_counted(scheme):
    """Every combination of what two or three steps draw, by the printed formulas, and no other length does better."""
    goal = 0.05 if scheme == "stochastic_runge_kutta" else 0.2
    row = log_concave.steps_to("w2", goal, condition=4.0, scheme=scheme)
    assert (row.status, row.scheme) == ("found", scheme)
    assert 1 < row.steps <= 4

    def distance(h, steps):
        total = 0.0
        for k in (0.25, 1.0):
            each = plain_steps(scheme, k, h)
            S = [(1.0, 0.0)]
            for _ in range(steps):
                S = [(v * w, square * s + noise) for v, s in S for w, square, noise in each]
            total += sum(v * (math.sqrt(s) - k**-0.5) ** 2 for v, s in S) * 0.25 / 2
        return math.sqrt(total)

    assert abs(row.value - distance(row.step, row.steps)) <= row.value.error + 1e-9
    assert row.value.upper <= goal < row.before
    assert min(distance(h, row.steps - 1) for h in np.linspace(0.05, 1.95, 39)) > goal
    assert row.evaluations == row.steps * {"overdamped": 1, "stochastic_runge_kutta": 3}.get(
        scheme, 2 - 1 / log_concave.CELLS if scheme == "poisson_midpoint" else 2
    )


@pytest.mark.slow
def test_trajectories_are_counted():
    """Of length 1 from a fresh velocity: the second moments of x, v through each step, averaged over its midpoint."""
    row = log_concave.steps_to("tv", 0.2, condition=2.0, dim=50, target="L", scheme="stratified_hmc")
    per = round(1 / row.step)
    assert row.step == pytest.approx(1 / per, rel=1e-12)
    assert row.steps % per == 0
    variance, h = 0.0, row.step
    for _ in range(row.steps // per):
        xx, xv, vv = variance, 0.0, 1.0
        for _ in range(per):  # E of (x + h v - h^2/2 (x + a h v), v - h (x + a h v)) squared, E a = 1/2, E a^2 = 1/3
            p, q, r, u = 1 - h * h / 2, h - h**3 / 4, -h, 1 - h * h / 2
            xx, xv, vv = (
                p * p * xx + 2 * p * q * xv + (q * q + h**6 / 48) * vv,
                p * r * xx + (p * u + q * r) * xv + (q * u + h**5 / 24) * vv,
                r * r * xx + 2 * r * u * xv + (u * u + h**4 / 12) * vv,
            )
        variance = xx
    # the spread given the midpoints is of second order in TV: a Gaussian of this variance, for a sharp upper estimate
    plain = rm.tv(rm.Gaussian.isotropic(variance, 50), rm.Gaussian.isotropic(1.0, 50))
    assert row.value == pytest.approx(float(plain), rel=0.05)


@pytest.mark.slow
def test_the_theorems_own_steps_are_enough():
    """On Gaussians started at the minimum: C3's number of steps and D3's plan, whose rows hold what they count."""
    found = verify(["C3", "D3"], kinds=["exact"])
    for id, cost in (("C3", "W2/(eps_w sqrt(d/m))"), ("D3", "TV/eps")):
        evidence = next(e for e in found[id].evidence if e.finding == "holds with constant")
        assert evidence.constant == max(row[cost] for row in evidence.rows) < 1
    first = (
        found["C3"].evidence[-1].rows[0]
    )  # kappa = 4, eps' = 0.1: h = (0.1/4^(1/2))^(1/3), T = 2 kappa ln(20/eps'^2)
    h = min((0.1 / 2) ** (1 / 3), 0.1 ** (2 / 3))
    assert first["steps"] == math.ceil(2 * 4 * math.log(20 / 0.01) / h)


@pytest.mark.slow
def test_a_search_that_gives_up_says_so():
    row = log_concave.steps_to("w2", 1e-3, max_steps=50)
    assert (row.status, row.steps, row.value) == ("beyond max_steps", None, None)


@pytest.mark.parametrize(
    "arguments, name",
    [
        ({"metric": "kl"}, "metric"),
        ({"accuracy": 0.0}, "accuracy"),
        ({"accuracy": float("nan")}, "accuracy"),
        ({"metric": "tv", "accuracy": 1.0}, "accuracy"),
        ({"condition": 0.5}, "condition"),
        ({"metric": "tv", "target": "both"}, "target"),
        ({"target": "k"}, "target"),
        ({"smoothness": -1.0}, "smoothness"),
        ({"dim": 0}, "dim"),
        ({"dim": 2.5}, "dim"),
        ({"max_steps": 0}, "max_steps"),
        ({"scheme": "euler"}, "scheme"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        log_concave.steps_to(**({"metric": "w2", "accuracy": 0.1} | arguments))


# ------------------------------------------------------------------- the theorem's plans, the corrector


def test_a_theorem_row_is_its_plan():
    """Evaluations by hand: h = eps'^{2/3} here, N = (2 kappa/h) ln(20/eps'^2), two each; then the corrector's."""
    d, kappa, eps = 100, 4.0, 0.1
    found = log_concave.theorem(parallel=False, dim=d, condition=kappa, accuracy=eps)
    T = kappa**-0.5 * d ** (-1 / 18)
    small = eps * kappa**0.25 * T**1.5 * d**-0.5
    h = min(small ** (1 / 3) * kappa ** (-1 / 6), small ** (2 / 3))
    assert h == small ** (2 / 3)
    sampler = math.ceil(2 * kappa / h * math.log(20 / small**2))
    corrector = math.ceil(T / (eps / (kappa**0.75 * T**0.5 * d**0.5)))
    assert found.evaluations == found.rounds == 2 * sampler + corrector
    assert found.value <= eps
    assert found.value.kind == "exact"


@pytest.mark.parametrize("spacing", [1.0, 0.3])
def test_a_lattice_start_and_one_corrector_step_plainly(spacing):
    """One step of length 1, friction 1, unit force: x' = (1 - e^{-1}) v + x - e^{-1} x + noise, from phi functions."""
    found = log_concave.comb(spacing, 1)
    distance = math.sqrt(sum(
        integrate.quad(lambda x, j=j: (x - j * spacing) ** 2 * stats.norm.pdf(x), (j - 0.5) * spacing,
                       (j + 0.5) * spacing, epsabs=1e-14)[0] for j in range(-40, 41)
    ))  # fmt: skip
    assert found.distance == pytest.approx(distance, rel=1e-9)
    E = math.exp(-1)
    slope = 1 - E  # x - (h - phi(h)) x
    noise = 2 - (3 - 4 * E + E**2)  # u (2 h - (3 - 4 e^{-gh} + e^{-2gh})/g)/g
    sd = math.sqrt((1 - E) ** 2 + noise)
    j = np.arange(-40, 41)
    mass = stats.norm.cdf((j + 0.5) * spacing) - stats.norm.cdf((j - 0.5) * spacing)
    x = np.linspace(-10, 10, 200_001)
    p = sum(w * stats.norm.pdf(x, slope * k * spacing, sd) for k, w in zip(j, mass, strict=True) if w > 1e-18)
    due = np.abs(p - stats.norm.pdf(x)).sum() * (x[1] - x[0]) / 2
    assert abs(found.after - due) < 1e-8 + found.after.error
    assert found.before == 1
    assert found.bound == pytest.approx(0.646 * distance, rel=1e-9)


def test_the_corrector_turns_a_start_that_is_close_in_w2():
    """Claim C4 where the steps are short enough that their own error does not matter; fewer are worse."""
    few, many = log_concave.comb(0.1, 4), log_concave.comb(0.1, 256)
    assert many.after < many.bound < 0.02
    assert many.after < few.after < 0.01


@pytest.mark.parametrize("arguments, name", [((0.0, 4), "spacing"), ((-1, 4), "spacing"), ((0.1, 0), "steps")])
def test_a_comb_of_nothing_is_refused(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        log_concave.comb(*arguments)


# ------------------------------------------------------------------- tables


def a_row(study, at, steps):
    found = steps is not None
    value, before = (Value(v, "exact", 1e-12) if found else None for v in (0.09, 0.11))
    return Row(**{"dim": 1, **study.held, study.varied: at}, law="expected", smoothness=1.0, step=0.5, steps=steps,
               evaluations=2 * steps if found else None, value=value, before=before,
               status="found" if found else "beyond max_steps")  # fmt: skip


BY_ACCURACY, BY_DIM = STUDIES[0], STUDIES[2]
ROWS = tuple(a_row(BY_ACCURACY, at, round(50 / at)) for at in BY_ACCURACY.at)
LOST = a_row(BY_DIM, 100, None)
FEW = tuple(a_row(BY_DIM, dim, round(1e6 * math.log(100 * dim) * dim**0.3)) for dim in BY_DIM.at[1:])
HAND = Table(
    (*ROWS, LOST, *FEW),
    (log_concave.fitted(BY_DIM, FEW),),
    (Theorem(False, 10, 4.0, 0.1, 12_345_678, 12_345_678, Value(0.003, "exact", 1e-15)),),
    tuple(
        Comb(spacing, steps, Value(spacing / 3, "exact", 1e-15), Value(1.0, complement=0.0),
             Value(spacing / 100 / steps, "exact", 1e-12), 0.2 * spacing)
        for spacing in (1.0, 0.1) for steps in (1, 4)
    ),
)  # fmt: skip


def test_fits_are_of_n_over_the_hidden_logarithm():
    found = HAND.fits[0]
    assert found.exponent == pytest.approx(0.3, abs=1e-4)
    assert (found.against, found.claimed, found.predicted) == ("d", 5 / 12, 1 / 3)
    assert found.verdict == "claim not sharp here"
    assert not VIEW.refuted(HAND)
    steep = [a_row(BY_DIM, dim, round(math.log(100 * dim) * dim**0.5)) for dim in BY_DIM.at]
    assert VIEW.refuted(replace(HAND, fits=(log_concave.fitted(BY_DIM, steep),)))


def test_the_tables_say_everything():
    text = text_of(VIEW.shown(HAND))
    fit = next(line for line in text.splitlines() if "N/ln(d/eps^2)" in line)
    assert "1/3 (!)" in fit  # what is derived was not what these rows were made of
    assert "5/12" in fit
    assert "claim not sharp here" in fit
    assert "beyond max_steps" in next(line for line in text.splitlines() if "1/" not in line and " none " in line)
    assert "1.23e7" in text
    narrow = text_of(VIEW.shown(HAND, 80), 80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "Columns omitted to fit the terminal" in " ".join(narrow.split())
    assert VIEW.unsettled(HAND) == [LOST]


def test_programs_and_papers_get_the_same():
    records = list(csv.DictReader(io.StringIO(VIEW.as_csv(HAND))))
    assert len(records) == len(HAND.rows)
    assert records[0]["steps"] == "500"
    assert records[0]["value_kind"] == "exact"
    assert records[len(ROWS)]["value"] == ""
    plain = json.loads(json.dumps(HAND.as_dict(), allow_nan=False))
    assert [c["before"]["value"] for c in plain["combs"]] == [1.0] * 4
    assert plain["theorems"][0]["value"]["kind"] == "exact"
    assert plain["rows"][len(ROWS)]["value"] is None
    assert "| TV, unconditional |" in VIEW.as_markdown(HAND)
    assert VIEW.as_latex(HAND).count(r"\begin{tabular}") == 4


@pytest.mark.slow
@pytest.mark.parametrize("suffix, magic", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_the_same_every_time(suffix, magic):
    first, second = VIEW.picture(HAND, suffix), VIEW.picture(HAND, suffix)
    assert first.startswith(magic)
    assert first == second


# ------------------------------------------------------------------- the command


def run(capsys, *arguments):
    code = main(["rates", "--log-concave", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_the_command_prints_and_judges(monkeypatch, capsys, tmp_path):
    asked = {}
    settled = replace(HAND, rows=(*ROWS, *FEW))
    monkeypatch.setattr(log_concave, "table", lambda **arguments: asked.update(arguments) or settled)
    store, plot = str(tmp_path / "s"), str(tmp_path / "p.svg")
    code, out, err = run(capsys, "--max-steps", "1000", "--store", store, "--plot", plot)
    assert (code, err) == (0, "")
    assert "What the corrector is for" in out
    assert (asked["max_steps"], asked["store"]) == (1000, store)
    assert (tmp_path / "p.svg").read_bytes() == VIEW.picture(settled, "svg")
    code, out, _ = run(capsys, "--json")
    assert json.loads(out)["command"] == "rates --log-concave"
    assert run(capsys, "--csv")[1] == VIEW.as_csv(settled)
    monkeypatch.setattr(log_concave, "table", lambda **_: HAND)
    assert run(capsys)[0] == 3
    steep = [a_row(BY_DIM, dim, round(math.log(100 * dim) * dim**0.5)) for dim in BY_DIM.at]
    monkeypatch.setattr(log_concave, "table", lambda **_: replace(settled, fits=(log_concave.fitted(BY_DIM, steep),)))
    assert run(capsys)[0] == 1


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--full"], "--full cannot be combined with --log-concave"),
        (["--data", "digits"], "--data cannot be combined with --log-concave"),
        (["--parallel"], "error: argument --parallel: not allowed with argument --log-concave"),
    ],
)
def test_options_of_the_other_tables_are_refused(extra, message, capsys):
    code, out, err = run(capsys, *extra)
    assert (code, out) == (2, "")
    assert err.startswith(f"rmverify: {message}")


@pytest.mark.slow
def test_a_small_table_is_real_and_resumes(tmp_path):
    store = tmp_path / "concave.jsonl"
    small = {
        "studies": [replace(BY_ACCURACY, at=(0.25, 0.1, 0.05)), replace(BY_ACCURACY, at=(0.25, 0.2))],
        "plans": log_concave.PLANS[:1], "combs": log_concave.COMBS[:2],
    }  # fmt: skip
    first = log_concave.table(**small, store=store)
    lines = store.read_text().splitlines()
    assert len(lines) == 1 + 4 + 1 + 2  # 0.25 once
    store.write_text("\n".join(lines[:4]) + "\n")
    seen = []
    assert log_concave.table(**small, store=store, progress=seen.append) == first
    assert store.read_text().count("\n") == len(lines)
    assert [row.accuracy for row in first.of(small["studies"][0])] == [0.25, 0.1, 0.05]
    assert len(first.fits) == 1  # two rows make no exponent
    assert isinstance(seen[0], sweep.Progress)
