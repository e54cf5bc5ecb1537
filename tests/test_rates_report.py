"""Rate tables as people and programs get them: text, CSV, JSON, Markdown, LaTeX, pictures and the command line."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import math
import os
import pty
import re
import selectors
import struct
import subprocess
import sys
import termios
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from printed import text_of

from rmverify.cli import main
from rmverify.numbers.values import Value
from rmverify.studies import rates, sweep
from rmverify.studies.rates import Fit, Row, Table, Theorem
from rmverify.views import rates as view
from rmverify.views.rates import VIEW, undecided

# --- a table by hand --------------------------------------------------------------------------------------------


def a_row(scheme="exponential_integrator", **changes) -> Row:
    """A row that was found, its numbers not meant."""
    given = {
        "scheme": scheme,
        "law": "exact",
        "metric": "tv",
        "family": "isotropic",
        "dim": 100,
        "smoothness": 4.0,
        "condition": 1.0,
        "accuracy": 0.1,
        "score_error": 0.0,
        "steps": 50,
        "evaluations": 50,
        "rounds": 50,
        "value": Value(0.0995, "exact", 1e-14),
        "before": Value(0.1004, "exact", 1e-14),
        "status": "found",
        "start_error": Value(0.005, "exact", 1e-15),
        "tried": 49,
    } | changes
    return Row(**{f.name: given.get(f.name) for f in fields(Row)})


def a_fit(scheme="exponential_integrator", **changes) -> Fit:
    given = {
        "scheme": scheme,
        "law": "exact",
        "metric": "tv",
        "against": "d",
        "exponent": 0.50011,
        "error": 0.00012,
        "residual": 0.0039,
        "slopes": (0.5444, 0.5011, 0.5),
        "low": 100.0,
        "high": 1e8,
        "asymptotic": True,
        "claimed": 0.5,
        "source": "D0: L^2 d^{1/2}/eps [quoted]",
        "verdict": "consistent",
    } | changes
    return Fit(**given)


MIDPOINT = "randomized_midpoint"
D1 = "D1: d^{5/12} [abstract], L^{5/3} d^{5/12}/eps [quoted]"
SMALL = "d eps^2 < 1: the bias term sqrt(d) h^2"

FITS = (
    a_fit(predicted=1 / 2),
    a_fit(against="1/eps", exponent=1.0071, error=0.0048, claimed=1.0, predicted=1.0, low=10 / 3, high=100.0),
    a_fit(against="L", exponent=1.2, error=0.31, claimed=2.0, asymptotic=False, verdict="claim not sharp here"),
    a_fit(metric="kl", claimed=None, source="", verdict="no claim"),
    a_fit(metric="w2", claimed=None, source="", verdict="no claim", note="variance 4"),
    a_fit(MIDPOINT, law="expected", exponent=0.3334, error=0.0007, claimed=5 / 12, source=D1, predicted=1 / 3,
          verdict="claim not sharp here"),
    a_fit(MIDPOINT, law="unconditional", exponent=0.2503, error=0.0004, claimed=5 / 12, source=D1, predicted=1 / 4,
          verdict="claim not sharp here", note=SMALL),
    a_fit(MIDPOINT, law="unconditional", against="1/eps", exponent=0.41, error=0.02, claimed=1.0, source=D1,
          predicted=1 / 2, verdict="claim not sharp here", note=SMALL),
)  # fmt: skip

LADDER = [a_row(dim=10**k, steps=5 * 10 ** (k // 2), evaluations=5 * 10 ** (k // 2)) for k in (0, 2, 4, 6, 8)]
LEVELS = [a_row(dim=10_000, accuracy=e, steps=round(50 / e), evaluations=round(50 / e)) for e in (0.3, 0.03, 0.01)]
MIXED = [
    a_row(MIDPOINT, law=law, dim=10**k, steps=10 * 2**k, evaluations=20 * 2**k)
    for law in ("expected", "unconditional")
    for k in (1, 3, 5)
]
WITH = a_row(corrector="underdamped", evaluations=120, rounds=120)
WIDE = a_row(smoothness=1.0)
WIDE_WITH = a_row(smoothness=1.0, corrector="underdamped", evaluations=25, rounds=25)
ESTIMATED = a_row(score_error=0.001, evaluations=53)
FLOOR = a_row(
    score_error=0.1, steps=None, evaluations=None, rounds=None, value=Value(0.234, "exact", 1e-14), before=None,
    status="floor",
)  # fmt: skip
HAND = Table((*LADDER, *LEVELS, *MIXED, WITH, WIDE, WIDE_WITH, ESTIMATED, FLOOR), FITS)
PLANS = (
    Theorem("dpum", 100, 4.0, 0.1, 29570, 29570, Value(0.00224, "exact", 1e-10)),
    Theorem("sequential", 100, 4.0, 0.1, 15299, 15299, Value(0.000909, "exact", 1e-13)),
)
PLANNED = replace(HAND, theorems=PLANS)


# --- for people -------------------------------------------------------------------------------------------------


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_without_a_width_there_is_one_line_for_every_exponent():
    lines = text_of(VIEW.shown(HAND)).splitlines()
    header = next(k for k, line in enumerate(lines) if line.startswith("scheme"))
    assert cells(lines[header])[-1] == "verdict"
    body = lines[header + 2 : header + 2 + len(FITS)]
    for line, fit in zip(body, FITS, strict=True):
        assert line.startswith(fit.scheme)
        assert line.rstrip().endswith(fit.verdict if fit.claimed is not None else "-")
    assert [cells(body[0])[k] for k in (2, 3, 4, 5, 6)] == ["TV", "d", "0.500 ± 0.001", "100..1e8", "0.544..0.500"]
    assert cells(body[0])[7:] == ["3.9e-03", "yes", "1/2", "1/2", "D0", "consistent"]
    assert cells(body[1])[2:6] == ["TV", "1/eps", "1.007 ± 0.005", "3.33..100"]
    assert "1.2 ± 0.4" in body[2]  # the error is rounded up
    assert cells(body[2])[8:10] == ["no", "-"]
    assert "variance 4" in body[4]
    assert "E_alpha" in body[5]
    assert "5/12" in body[5]
    assert SMALL in body[6]


def test_a_derived_exponent_that_was_not_found_is_marked():
    text = text_of(VIEW.shown(HAND))
    assert text.count("1/2 (!)") == 1  # 0.41 +- 0.02
    assert "1/4 (!)" not in text


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_tables_fit_their_width_and_keep_what_matters(width, rows):
    text = text_of(VIEW.shown(PLANNED, width, rows=rows), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for fit in FITS:
        places = 3 if fit.error < 0.01 else 2 if fit.error < 0.1 else 1
        assert f"{fit.exponent:.{places}f} ±" in text
    for word in ("100..1e8", "3.33..100", "consistent", "settled", "5/12", "1/2 (!)", "costs 2.4x", "helps 2x", "none"):
        assert word in text, word
    assert ("0.544..0.500" in text) == ("omitted" not in text or "local slopes" not in text.split("omitted")[1])
    assert all(text.count(fit.scheme) for fit in FITS)


def test_a_wide_terminal_shows_everything():
    assert "omitted" not in text_of(VIEW.shown(PLANNED, 120), 120)
    assert "residual, local slopes" in text_of(VIEW.shown(PLANNED, 80), 80).replace("\n", " ")


def test_rows_with_the_corrector_stand_beside_those_without():
    text = text_of(VIEW.shown(HAND))
    body = text.split("With the corrector and without")[1].split("Score evaluations")[0].strip().splitlines()[2:]
    assert [cells(line)[3:] for line in body] == [
        ["4", "0.1", "50", "120", "costs 2.4x"],
        ["1", "0.1", "50", "25", "helps 2x"],
    ]
    assert "120* " in text_of(VIEW.shown(Table((replace(WITH, tried=7),), ())))  # not every smaller N was tried
    alone = text_of(VIEW.shown(Table((WITH,), ())))
    assert "costs 2.4x" not in alone  # there is nothing to compare it with
    never = replace(a_row(), steps=None, evaluations=None, status="beyond max_steps")
    assert "only with it" in text_of(VIEW.shown(Table((never, WITH), ())))


def test_an_estimated_score_is_compared_with_the_perfect_one():
    meets = replace(ESTIMATED, crossing=7)
    text = text_of(VIEW.shown(Table((*LADDER, meets, FLOOR), ())))
    body = text.split("With an estimated score")[1].split("Score evaluations")[0].strip().splitlines()[2:]
    assert [cells(line)[5:] for line in body] == [
        ["0.001", "50", "53", "0.0995", "cancel near N = 7"],
        ["0.1", "50", "none", "0.234"],
    ]


def test_the_theorems_plans_are_shown_with_what_they_reach():
    text = text_of(VIEW.shown(PLANNED))
    assert cells(next(line for line in text.splitlines() if line.startswith("DPUM"))) == [
        "DPUM (D0)", "100", "4", "0.1", "29570", "29570", "0.00224", "0.022",
    ]  # fmt: skip
    assert "theorems" not in text_of(VIEW.shown(HAND))


def test_the_start_error_is_told_apart():
    rows = (
        a_row(dim=1, start_error=Value(0.00045)),
        a_row(dim=10**8, start_error=Value(1.0, "exact", 0, complement=0)),
    )
    text = text_of(VIEW.shown(Table(rows, ())))
    assert "d=1: 0.00045; d=1e8: 1." in text


def test_every_row_is_printed_only_if_asked_for():
    head = "Every row"
    assert head not in text_of(VIEW.shown(PLANNED))
    body = text_of(VIEW.shown(PLANNED, rows=True)).split(head)[1].strip().splitlines()
    assert len(body) == 2 + len(HAND.rows)
    assert cells(body[2])[:9] == ["TV", "exponential_integrator", "exact", "1", "4", "0.1", "5", "5", "0.0995"]
    assert body[-1].rstrip().endswith("floor")


def test_an_interval_of_the_number_of_steps_is_shown():
    sampled = a_row(MIDPOINT, law="unconditional", family="two-block", condition=16.0, fewest=49, most=51)
    body = text_of(VIEW.shown(Table((sampled,), ()), rows=True)).split("Every row")[1]
    assert " 50 (49 to 51) " in body


def test_rows_that_differ_are_told_apart_on_a_narrow_terminal():
    shapes = tuple(a_row(family="two-block", condition=4.0**k) for k in (1, 2, 5))
    table = Table((a_row(), *shapes, WITH, ESTIMATED, a_row(MIDPOINT, law="unconditional", dim=10**12)), ())
    body = text_of(VIEW.shown(table, width=80, rows=True), 80).split("Every row")[1].splitlines()
    assert max(map(len, body)) <= 80
    listed = [line for line in body if re.match(r"[0-9]", line)]
    assert len(listed) == len(set(listed)) == len(table.rows)


def test_rows_without_an_answer_are_listed_but_a_floor_is_an_answer():
    unclear = a_row(status="cannot tell", dim=10**12)
    beyond = a_row(status="beyond max_steps", steps=None, evaluations=None, dim=10**10)
    hopeless = a_row(status="cannot tell", score_error=0.1)
    assert undecided(HAND) == []
    table = Table((*HAND.rows, unclear, beyond, hopeless), FITS)
    assert undecided(table) == [unclear, beyond, hopeless]
    body = text_of(VIEW.shown(table)).split("Not found")[1].strip().splitlines()[2:5]
    assert [line.split("TV")[1].strip() for line in body] == ["cannot tell", "beyond max_steps", "cannot tell"]


def test_a_table_without_exponents_says_so():
    text = text_of(VIEW.shown(Table((a_row(),), ()), width=80), 80)
    assert "No exponent" in text
    assert "measured" not in text


def test_names_with_square_brackets_are_printed_as_they_are():
    assert "[bold]x[/bold]" in text_of(VIEW.shown(Table((), (a_fit(note="[bold]x[/bold]"),))))


# --- for programs -----------------------------------------------------------------------------------------------


def test_csv_has_one_line_a_row_and_every_field():
    read = list(csv.DictReader(io.StringIO(VIEW.as_csv(HAND))))
    assert len(read) == len(HAND.rows)
    assert {f.name for f in fields(Row)} <= set(read[0])
    for line, row in zip(read, HAND.rows, strict=True):
        for name in ("dim", "steps", "evaluations"):
            value = getattr(row, name)
            assert line[name] == ("" if value is None else str(value))
        assert float(line["accuracy"]) == row.accuracy
        assert float(line["value"]) == float(row.value)
        assert float(line["value_lower"]) == row.value.lower
        assert float(line["value_upper"]) == row.value.upper
        assert float(line["value_error"]) == row.value.error
        assert line["value_kind"] == "exact"
        assert line["before"] == ("" if row.before is None else repr(float(row.before)))
        assert line["corrector"] == (row.corrector or "")


def strict(text: str) -> dict:
    """JSON without what the standard does not allow."""

    def refuse(constant: str):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_the_record_is_plain_json():
    endless = a_row(metric="kl", value=Value(math.inf, "lower"), steps=None)
    record = strict(json.dumps(Table((*HAND.rows, endless), FITS, PLANS).as_dict(), allow_nan=False))
    assert set(record) == {"rows", "fits", "theorems"}
    assert record["rows"][0]["value"]["value"] == 0.0995
    assert [fit["exponent"] for fit in record["fits"]] == [fit.exponent for fit in FITS]
    assert record["theorems"][1]["value"]["value"] == 0.000909


def test_markdown_is_a_table_with_as_many_cells_in_every_line():
    lines = VIEW.as_markdown(HAND).splitlines()
    table = lines[: lines.index("")]
    assert {line.count("|") for line in table} == {16}
    assert len(table) == 2 + len(FITS)
    assert set(table[1]) == set("| -")
    assert "| `randomized_midpoint` | `E_alpha` |" in table[7]
    assert lines[-2:] == [f"- `{FITS[0].source}`", f"- `{D1}`"]
    piped = VIEW.as_markdown(Table((), (a_fit(note="|bias|"),))).splitlines()[2]
    assert "\\|bias\\|" in piped


def test_latex_is_a_booktabs_table_without_a_bare_special_character():
    text = VIEW.as_latex(Table((), (*FITS, a_fit(note="50% & $5 #1 ~ \\x"))))
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == len(FITS) + 1
    for line in body:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == 14
        assert len(re.findall(r"(?<!\\)\$", line)) % 2 == 0
        assert not re.search(r"(?<!\\)[_#%^~]", line)
    for side in ("begin", "end"):
        assert f"\\{side}{{tabular}}" in text
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert r"$0.500 \pm$" not in text
    assert r"0.500 $\pm$ 0.001" in body[0]
    assert r"50\% \& \$5 \#1 \textasciitilde{} \textbackslash{}x" in body[-1]


def test_prompts_and_notebooks_show_a_table_briefly():
    assert repr(PLANNED) == f"Table({len(HAND.rows)} rows, {len(FITS)} fits, 2 theorems)"
    assert max(len(repr(record)) for record in (*HAND.rows, *FITS, *PLANS)) < 250
    html = PLANNED._repr_html_()
    assert html.count("<tr>") == len(HAND.rows) + len(FITS) + len(PLANS) + 3
    assert "<td>exponential_integrator</td><td>exact</td>" in html


# --- pictures ---------------------------------------------------------------------------------------------------


def drawn(table: Table):
    """The axes of the picture, and its bytes."""
    with patch.object(view, "drawn", wraps=view.drawn) as spy:
        content = VIEW.picture(table, "svg")
    return spy.call_args[0][0].axes, content


@pytest.mark.slow
def test_the_picture_has_a_line_for_every_scheme_and_law():
    (left, right), _ = drawn(HAND)
    labels = [line.get_label() for line in left.lines]
    assert [label.split(":")[0] for label in labels] == [
        "exponential_integrator, exact, eps = 0.1",
        "randomized_midpoint, E_alpha, eps = 0.1",
        "randomized_midpoint, unconditional, eps = 0.1",
    ]
    # N = 5 d^{1/2} by construction, and N ~ 10 2^{log10 d}
    assert [label.split(": ")[1] for label in labels] == ["0.500", f"{math.log10(2):.3f}", f"{math.log10(2):.3f}"]
    np.testing.assert_array_equal(left.lines[0].get_xdata(), [1, 100, 1e4, 1e6, 1e8])
    np.testing.assert_array_equal(left.lines[0].get_ydata(), [5, 50, 500, 5000, 50000])
    (line,) = right.lines
    assert line.get_label().startswith("exponential_integrator, exact, d = 1e4: 1.00")
    np.testing.assert_allclose(line.get_xdata(), [1 / 0.3, 10, 1 / 0.03, 100])
    assert {axis.get_xscale() for axis in (left, right)} == {axis.get_yscale() for axis in (left, right)} == {"log"}


def test_what_was_not_found_is_not_drawn():
    missing = replace(LADDER[2], steps=None, status="beyond max_steps")
    unsure = replace(LADDER[1], status="cannot tell")
    (left, right), _ = drawn(Table((LADDER[0], unsure, missing, LADDER[4]), ()))
    assert len(left.lines) == len(right.lines) == 0


@pytest.mark.slow
def test_the_same_table_gives_the_same_picture():
    assert drawn(HAND)[1] == drawn(HAND)[1]


# --- the command line -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """The table by hand instead of a computed one; what it was asked for."""
    seen = {"answer": HAND}

    def table(**options):
        seen.update(options)
        answer = seen["answer"]
        if isinstance(answer, Exception):
            raise answer
        options["progress"](sweep.Progress(3, 4, 1, 0, 2.0))
        return answer

    monkeypatch.setattr(rates, "table", table)
    return seen


@pytest.fixture
def run(capsys, asked):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["rates", "--workers", "1", *map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def refused(answer: tuple[int, str, str], *fragments: str) -> None:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("rmverify: ")
    assert all(fragment in err for fragment in fragments), err


def test_the_options_reach_the_table(run, asked):
    assert run("--scheme", "euler", "--scheme", "heun", "--full", "--store", "s.jsonl", "--max-steps", "99")[0] == 0
    assert (asked["predictors"], asked["full"], asked["store"]) == (["euler", "heun"], True, "s.jsonl")
    assert (asked["max_steps"], asked["target"]) == (99, None)
    run()
    assert (asked["predictors"], asked["full"], asked["store"]) == ([], False, None)


def test_the_data_reach_the_table(run, asked):
    np.savetxt("c.csv", np.diag([4.0, 0.25]), delimiter=",")
    assert run("--data", "c.csv", "--covariance")[0] == 0
    np.testing.assert_allclose(sorted(asked["target"].variances), [0.25, 4.0])
    assert json.loads(run("--data", "c.csv", "--covariance", "--json")[1])["data"] == "c.csv"


def test_the_exit_code_is_the_verdict(run, asked):
    false = a_fit(verdict="contradicts", exponent=0.7)
    unclear = a_row(status="cannot tell")
    for rows, fits, code in (((), (), 0), ((unclear,), (), 3), ((), (false,), 1), ((unclear,), (false,), 1)):
        asked["answer"] = Table((*HAND.rows, *rows), (*FITS, *fits))
        assert run()[0] == code
    asked["answer"] = Table((a_row(status="beyond max_steps", steps=None),), ())
    assert run("--csv")[0] == 3


def test_answers_go_to_stdout_alone(run):
    for options in ([], ["--json"], ["--csv"], ["--markdown"], ["--latex"], ["--rows"]):
        code, out, err = run(*options)
        assert (code, err) == (0, ""), options
        assert out.endswith("\n")
    assert run("--csv")[1] == VIEW.as_csv(HAND)
    assert run("--markdown")[1] == VIEW.as_markdown(HAND)
    assert run("--latex")[1] == VIEW.as_latex(HAND)


def test_json_is_one_document_with_the_theorems(run, asked):
    asked["answer"] = PLANNED
    document = strict(run("--json")[1])
    assert (document["schema"], document["command"]) == (3, "rates")
    assert len(document["rows"]) == len(HAND.rows)
    assert [t["plan"] for t in document["theorems"]] == ["dpum", "sequential"]
    assert asked["theorems"]
    run("--csv")
    assert not asked["theorems"]


def test_the_theorems_of_a_table_are_those_of_its_schemes(monkeypatch):
    monkeypatch.setattr(rates, "theorem", lambda **cell: Theorem(**cell, evaluations=7, rounds=7, value=Value(0.01)))
    monkeypatch.setattr(rates, "studies", lambda full, predictors: [])
    for chosen, plans in (([], ["dpum"] * 3 + ["sequential"] * 3), ([MIDPOINT], ["sequential"] * 3), (["heun"], [])):
        monkeypatch.setattr(rates, "extras", lambda full, predictors: [])
        assert [t.plan for t in rates.table(predictors=chosen).theorems] == plans


def test_forms_exclude_each_other(run):
    for pair in (("--json", "--csv"), ("--markdown", "--latex"), ("--csv", "--latex")):
        refused(run(*pair), "not allowed with")


@pytest.mark.parametrize(
    "options, fragments",
    [
        (["--plot", "rates.gif"], ["--plot", ".png, .svg, .pdf", "'rates.gif'"]),
        (["--plot", "rates"], ["--plot"]),
        (["--plot", "no/where/rates.png"], ["--plot", "cannot write"]),
        (["--scheme", "runge"], ["--scheme"]),
        (["--workers", "0"], ["--workers", "integer >= 1"]),
        (["--max-steps", "0"], ["--max-steps", "integer from 1 to"]),
        (["--covariance"], ["--covariance", "--data"]),
        (["--data", "nothing.csv"], ["nothing.csv"]),
        (["digits"], ["digits"]),
    ],
)
def test_bad_options_are_refused_in_one_line_before_anything_is_computed(run, asked, options, fragments):
    refused(run(*options), *fragments)
    assert set(asked) == {"answer"}
    assert not list(Path().iterdir())


def test_errors_of_the_package_name_the_option(run, asked):
    for name, option in (("store", "--store"), ("dask", "--dask"), ("target", "--data"), ("max_steps", "--max-steps")):
        asked["answer"] = ValueError(f"{name}: expected better, got worse")
        refused(run(), f"rmverify: {option}: expected better, got worse\n")


def test_a_sweep_that_fails_is_one_line(run, asked):
    asked["answer"] = sweep.SweepError("cell {'dim': 3}: ZeroDivisionError: division by zero")
    code, out, err = run("--store", "s.jsonl")
    assert (code, out) == (4, "")
    assert err.startswith("rmverify: cell {'dim': 3}: ZeroDivisionError: division by zero; ")
    assert "store" in err
    assert err.count("\n") == 1
    assert "store" not in run()[2]


@pytest.mark.slow
@pytest.mark.parametrize("suffix, magic", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_plot_is_written_beside_what_is_printed(run, suffix, magic):
    code, out, err = run("--plot", f"rates.{suffix}", "--csv")
    assert (code, out, err) == (0, VIEW.as_csv(HAND), "")
    assert Path(f"rates.{suffix}").read_bytes().startswith(magic)
    assert [path.name for path in Path().iterdir()] == [f"rates.{suffix}"]


# --- real runs --------------------------------------------------------------------------------------------------


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rmverify", "rates", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "COLUMNS")} | changes


def on_a_terminal(columns: int, *arguments: object) -> tuple[int, str, str]:
    """Exit code and what a terminal of so many columns shows on stdout and on stderr."""
    pairs = [pty.openpty(), pty.openpty()]
    for _, theirs in pairs:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    process = subprocess.Popen(
        command_line(*arguments), stdout=pairs[0][1], stderr=pairs[1][1], env=environment(TERM="xterm")
    )
    shown = ["", ""]
    for _, theirs in pairs:
        os.close(theirs)
    with selectors.DefaultSelector() as ready:
        for k, (ours, _) in enumerate(pairs):
            ready.register(ours, selectors.EVENT_READ, k)
        while ready.get_map():
            for key, _ in ready.select():
                try:
                    more = os.read(key.fd, 1 << 16)
                except OSError:  # the other end is closed
                    more = b""
                if more:
                    shown[key.data] += more.decode(errors="replace")
                else:
                    ready.unregister(key.fd)
                    os.close(key.fd)
    return process.wait(), *shown


@pytest.mark.slow
def test_a_real_table_on_a_terminal_and_again_from_its_store():
    code, out, err = on_a_terminal(80, "--scheme", "euler", "--store", "euler.jsonl", "--workers", "2")
    assert code in (0, 3)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 80
    line = next(line for line in plain.splitlines() if re.match(r"TV +d ", line))
    exponent, error = re.search(r"([0-9.]+) ± ([0-9.]+)", line).groups()
    assert abs(float(exponent) - 0.5) <= max(float(error), 0.01)  # Euler's error is first order in h
    assert "100..1e8" in line
    assert re.search(r"[0-9]+ of [0-9]+ cells", err)
    assert "left" in err
    stored = Path("euler.jsonl").read_bytes()

    done = subprocess.run(
        command_line("--scheme", "euler", "--store", "euler.jsonl", "--json"), capture_output=True, env=environment()
    )
    assert (done.returncode, done.stderr) == (code, b"")
    assert Path("euler.jsonl").read_bytes() == stored  # nothing was computed again
    document = strict(done.stdout.decode())
    assert 40 < len(document["rows"]) < len(stored.splitlines())  # two cells may have the same row
    fit = next(f for f in document["fits"] if (f["metric"], f["against"]) == ("tv", "d"))
    assert f"{fit['exponent']:.3f}" in line

    done = subprocess.run(
        command_line("--scheme", "heun", "--store", "euler.jsonl"), capture_output=True, text=True, env=environment()
    )
    refused((done.returncode, done.stdout, done.stderr), "--store", "grid", "'euler.jsonl'")
    assert Path("euler.jsonl").read_bytes() == stored


def test_help_lists_every_option_and_loads_nothing_heavy():
    script = (
        "import sys; from rmverify.cli import main; main(['rates', '--help']);"
        "sys.exit(str({'flint', 'matplotlib', 'numpy', 'rich', 'scipy', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    assert done.stderr == "set()\n"
    options = "full json csv markdown latex plot rows scheme data covariance workers dask store max-steps quiet"
    for option in options.split():
        assert f"--{option} " in done.stdout.replace("\n", " ")


@pytest.mark.slow
def test_a_point_and_a_store_that_cannot_be_are_refused_before_anything_is_computed():
    np.savetxt("c.csv", np.diag([0.0, 0.0]), delimiter=",")
    cases = [(["--data", "c.csv", "--covariance"], "zeros only"), (["--store", "no/where.jsonl"], "--store")]
    for options, name in cases:
        arguments = ["--scheme", "euler", "--workers", "1", *options]
        done = subprocess.run(command_line(*arguments), capture_output=True, text=True, env=environment(), timeout=30)
        refused((done.returncode, done.stdout, done.stderr), name)
