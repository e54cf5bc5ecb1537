"""What `verify` and `explain` print: findings with their constants and witnesses, exit codes, commands."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed import text_of

import rmverify.claims
from rmverify import Value
from rmverify.claims.ledger import Claim, Evidence, Report, Result
from rmverify.claims.words import constant_text, finding_text
from rmverify.cli import main
from rmverify.views import claims as view
from rmverify.views.claims import Asked, explained, tally

POINT = {"lambda": 0.01, "t": 0.25, "h": 0.125}


def a_claim(id="B2", measure=None, **said) -> Claim:
    said = {
        "statement": f"what {id} says",
        "formula": r"x \lesssim \frac{y}{z}",
        "source": "a paper",
        "provenance": "derived",
        "left": "the left side",
        "right_text": "the right side",
        "hypotheses": ("h <= 1/L", "t > 0"),
        "kinds": ("exact",),
    } | said
    return Claim(id=id, measure=measure or (lambda look: iter(())), **said)


def result(*evidence: Evidence, id="B2", seconds=0.25) -> Result:
    return Result(a_claim(id), evidence, seconds)


def with_constant(value: Value, label="tight", **more) -> Evidence:
    return Evidence("exact", "the largest ratio", "holds with constant", label=label, constant=value, **more)


HOLDS = Evidence("symbolic", "the series", "holds", seconds=1.5)
CONSTANT = with_constant(Value(0.125, "exact", 1e-9), where=POINT, domain="t in [0.01, 10]", seconds=12.0)
VIOLATED = Evidence("exact", "the leading term", "violated", "1.5 h^3", "h^3", where={"v": 0.375, "entry": "slope"})
ENCLOSED = Value(0.12377, "enclosure", 3e-4, lower=0.12341, upper=0.12377)
NOT_YET = Evidence("exact", "the other factors", "not yet")
UNDECIDED = Evidence("certified", "boxes", "inconclusive", where={"t": 0.5})
NOT_IMPLIED = Evidence("symbolic", "exponents", "not implied", "the lemmas imply L^2", "L^{5/3} as printed")


# --- findings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "evidence, expected",
    [
        ([HOLDS], "holds"),
        ([HOLDS, CONSTANT], "holds with constant C = 0.125 at lambda=0.01, t=0.25, h=0.125"),
        ([CONSTANT, VIOLATED], "violated at v=0.375, entry=slope: 1.5 h^3 against h^3"),
        ([HOLDS, NOT_YET], "not yet: the other factors; the rest holds"),
        ([NOT_YET], "not yet: the other factors"),
        ([NOT_IMPLIED, NOT_YET], "not yet: the other factors"),
        ([HOLDS, NOT_IMPLIED], "not implied: L^{5/3} as printed; the lemmas imply L^2"),
        ([CONSTANT, UNDECIDED], "inconclusive at t=0.5: boxes"),
        ([], "inconclusive: no such evidence"),
        (
            [CONSTANT, replace(CONSTANT, constant=Value(0.5), where={"t": 2.0}, case="perfect score")],
            "holds with constant C = 0.5 at t=2 (perfect score)",
        ),
        (
            [
                replace(CONSTANT, case="the worst", remark="still growing at t = 10, power 2"),
                replace(
                    CONSTANT, constant=ENCLOSED, where={}, label="upper", kind="certified", case="certified: h <= 1"
                ),
            ],
            "holds with constant C = 0.125 at lambda=0.01, t=0.25, h=0.125 (the worst) (still growing at t = 10, "
            "power 2); "
            "C in [0.1234, 0.1238] (certified: h <= 1)",
        ),
        (
            [CONSTANT, replace(NOT_YET, computed="not in the class")],
            "not yet: the other factors: not in the class; the rest holds with constant C = 0.125 at lambda=0.01, "
            "t=0.25, h=0.125",
        ),
    ],
)
def test_a_finding_names_its_constant_or_its_witness(evidence, expected):
    assert finding_text(result(*evidence)) == expected


def test_a_number_of_evidence_that_merely_holds_is_not_a_claims_constant():
    rounding = Evidence("exact", "rounding", "holds", constant=Value(3e-16, "exact", 1e-18), where={"h": 1.0})
    assert finding_text(result(rounding, CONSTANT)).startswith("holds with constant C = 0.125 at lambda=")
    assert finding_text(result(rounding)) == "holds"


@given(
    st.floats(1e-300, 1e300),
    st.floats(0, 1e-3),
    st.sampled_from(["upper", "lower"]),
)
def test_a_bound_is_rounded_away_from_the_constant(value, relative, label):
    C = Value(value, "exact", relative * value)
    text = constant_text(with_constant(C, label))
    sign, shown = re.fullmatch(r"C (<=|>=) (\S+)", text).groups()
    end = float(C) + (C.error if label == "upper" else -C.error)
    off = Fraction(shown) - Fraction(end)
    assert (sign, off >= 0) == ("<=", True) if label == "upper" else (sign, off <= 0) == (">=", True)
    assert abs(off) <= Fraction(end) / 1000  # four digits


def test_an_infinite_bound_is_printed_as_such():
    assert constant_text(with_constant(Value(math.inf, "upper"), "upper")) == "C <= inf"


def test_the_tally_counts_every_finding_once():
    results = [result(e, id=f"A{n}") for n, e in enumerate((HOLDS, HOLDS, CONSTANT, VIOLATED))]
    assert tally(Report(results)) == "4 claims (holds: 2, holds with constant: 1, violated: 1)."
    assert tally(Report(results[:1])) == "1 claim (holds: 1)."


# --- the table --------------------------------------------------------------------------------------------------

REPORT = Report([result(HOLDS, CONSTANT), result(VIOLATED, id="C1"), result(NOT_YET, id="D2", seconds=99.7)])


def test_every_claim_has_one_line_where_there_is_room():
    lines = text_of(view.shown(REPORT, Asked(), 200)).splitlines()
    (line,) = (line for line in lines if line.lstrip().startswith("B2"))
    for part in ("what B2 says", "holds with constant C = 0.125 at", "symbolic exact", "0.25 s"):
        assert part in line
    assert sum("what " in line for line in lines) == len(REPORT)
    assert any(line.lstrip().startswith("D2") and line.rstrip().endswith("100 s") for line in lines)


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("verbose", [False, True])
def test_the_table_fits_its_width_and_loses_nothing(width, verbose):
    shown = text_of(view.shown(REPORT, Asked("digits", (), 700), width, verbose), width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert "…" not in shown
    words = set(shown.split())
    for r in REPORT.values():
        assert {r.id, *finding_text(r).split(), *r.claim.statement.split()} <= words
    assert "up to 700 boxes for each piece" in shown


def test_the_names_of_a_points_parameters_are_explained_where_they_are_printed():
    where = {"h/limit": 1.0, "gain": -2.0, "entry": "slope"}
    report = Report([result(replace(CONSTANT, where=where))])
    shown = text_of(view.shown(report, Asked(), 200))
    names = view.as_record(report, Asked())["names"]
    assert list(names) == ["h/limit", "gain"]
    assert all(f"{name}: {meaning}." in shown for name, meaning in names.items())


def test_verbose_shows_the_evidence_and_the_command_that_finds_it_again():
    asked = Asked("t", ("--target", "my data.csv", "--covariance"), 250)
    report = Report([result(CONSTANT, UNDECIDED, VIOLATED)])
    plain, shown = (text_of(view.shown(report, asked, 200, verbose)) for verbose in (False, True))
    for part in (
        "C = 0.125 (tight; exact, error 1e-09)",
        "where     lambda=0.01, t=0.25, h=0.125",
        "t in [0.01, 10]",
        "12 s",
        "bound     h^3",
        "rmverify verify B2 --kind exact --target 'my data.csv' --covariance",
        "rmverify verify B2 --kind certified --effort 250 --target 'my data.csv' --covariance",
    ):
        assert part in shown
        assert part not in plain


def test_the_value_of_a_check_is_not_called_a_constant():
    slope = Evidence("fitted", "slope", "holds", constant=Value(1.5, "exact", 0.01))
    shown = text_of(view.shown(Report([result(slope)]), Asked(), 200, True))
    assert re.search(r"value +1.50 ± 0.01 \(exact", shown)


def test_the_record_is_plain_json_with_the_schema():
    record = view.as_record(REPORT, Asked("digits", ("--target", "digits"), 300))
    back = json.loads(json.dumps(record, allow_nan=False))
    assert back["schema"] == 3
    assert (back["target"], back["certified_effort"]) == ("digits", 300)
    assert [c["id"] for c in back["claims"]] == ["B2", "C1", "D2"]
    assert back["claims"][0]["constant"]["value"] == 0.125


# --- at the prompt and in a notebook -----------------------------------------------------------------------------


def test_what_is_shown_at_a_prompt_is_short():
    claim, found = REPORT["B2"].claim, REPORT["B2"]
    assert repr(claim) == "<Claim B2: what B2 says>"
    assert repr(CONSTANT) == "<exact evidence: the largest ratio: holds with constant, constant 0.125>"
    assert repr(found).startswith("<Result B2: holds with constant, by ")
    assert [line[:2] for line in repr(REPORT).splitlines()] == ["B2", "C1", "D2"]


def test_a_notebook_shows_a_report_as_a_table():
    page = ElementTree.fromstring(REPORT._repr_html_())
    rows = [[cell.text for cell in row] for row in page.iter("tr")]
    assert rows[0] == ["id", "claim", "finding"]
    assert [row[0] for row in rows[1:]] == ["B2", "C1", "D2"]
    assert [row[2] for row in rows[1:]] == [finding_text(found) for found in REPORT.values()]


# --- explain ----------------------------------------------------------------------------------------------------


def refused(look):
    raise AssertionError("something was computed")


def test_explain_says_everything_that_is_known_of_a_claim():
    kinds = ("symbolic", "exact", "certified", "fitted")
    claim = a_claim(measure=refused, kinds=kinds, provenance="quoted (CCL+23)")
    shown = text_of(explained(claim))
    for part in (claim.statement, claim.latex, claim.source, claim.left, claim.right, *claim.hypotheses):
        assert part in shown
    assert "quoted (CCL+23) (from its source, by later papers" in shown
    for kind in kinds:
        assert f"rmverify verify B2 --kind {kind}" in shown


# --- the command line -------------------------------------------------------------------------------------------

FOUND = {
    "A2": [HOLDS],
    "B2": [HOLDS, CONSTANT],
    "B3": [VIOLATED],
    "D1": [NOT_IMPLIED],
    "D2": [NOT_YET],
    "D3": [UNDECIDED],
}


@pytest.fixture
def looks(monkeypatch, tmp_path):
    """A small ledger in the place of the real one; returns what its claims were asked."""
    asked = {}

    def check(id, evidence):
        def ask(look):
            asked[id] = look
            yield from (e for e in evidence if look.wants(e.kind))

        return ask

    ledger = {id: a_claim(id, check(id, evidence)) for id, evidence in FOUND.items()}
    monkeypatch.setattr(rmverify.claims, "load", lambda: ledger)
    monkeypatch.setattr(rmverify.claims.ledger, "load", lambda: ledger)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.fixture
def run(capsys, looks):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments] + (["--workers", "1"] if arguments[0] == "verify" else []))
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    "ids, kinds, code",
    [
        ("A2", (), 0),
        ("a2 b2 D1", (), 1),  # not implied: a stated claim does not hold
        ("D2", (), 3),  # asked for by name
        ("A2 D2", (), 3),
        ("D3", ("certified",), 3),
        ("D3", (), 3),  # nothing by default
        ("B3", (), 1),
        ("B3 D3 D2", (), 1),
        ("", ("symbolic",), 1),
        ("", ("exact",), 1),
        ("", ("certified",), 3),
        ("", ("fitted",), 3),  # nobody has any
    ],
)
def test_exit_codes(run, ids, kinds, code):
    options = [part for kind in kinds for part in ("--kind", kind)]
    assert run("verify", *ids.split(), *options)[0] == code


def test_not_yet_counts_only_where_it_was_asked_for(run, monkeypatch):
    ledger = {id: c for id, c in rmverify.claims.load().items() if id in ("A2", "D2")}
    monkeypatch.setattr(rmverify.claims, "load", lambda: ledger)
    assert run("verify")[0] == 0
    assert run("verify", "A2", "D2")[0] == 3


def test_claims_without_such_evidence_are_left_out_unless_they_were_named(run):
    code, out, err = run("verify", "--kind", "symbolic", "--json")
    assert (code, err) == (1, "")  # D1 is not implied
    assert [c["id"] for c in json.loads(out)["claims"]] == ["A2", "B2", "D1"]
    assert json.loads(out)["left_out"] == ["B3", "D2", "D3"]
    assert "B3, D2, D3: no such evidence" in run("verify", "--kind", "symbolic")[1]
    code, out, _ = run("verify", "B3", "--kind", "symbolic", "--json")
    assert code == 3
    assert [(c["id"], c["finding"]) for c in json.loads(out)["claims"]] == [("B3", "inconclusive")]


def test_one_line_a_claim_where_stdout_is_no_terminal(run):
    _, out, err = run("verify", "A2", "B2", "D2")
    assert err == ""
    assert [line.split()[0] for line in out.splitlines() if "what " in line] == ["A2", "B2", "D2"]
    assert max(map(len, out.splitlines())) < 250  # nothing is filled up to the width that was assumed


def test_json_is_one_document(run):
    code, out, _ = run("verify", "B2", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["command"] == "verify"
    assert document["claims"][0]["witness"] == POINT


def test_the_page_is_written_beside_what_is_printed(run):
    code, out, err = run("verify", "B3", "D2", "--html", "page.html", "--json")
    page = Path("page.html").read_text(encoding="utf-8")
    assert (code, err) == (1, "")
    assert [c["id"] for c in json.loads(out)["claims"]] == re.findall('<section id="(..)"', page) == ["B3", "D2"]
    assert [path.name for path in Path().iterdir()] == ["page.html"]


def test_the_options_reach_the_claims(run, looks):
    assert run("verify", "A2", "--certified", "--effort", "50")[0] == 0
    assert looks["A2"].kinds == {"symbolic", "exact", "fitted", "monte-carlo", "certified"}
    assert (looks["A2"].effort, looks["A2"].target) == (50, None)
    run("verify", "B2", "--kind", "exact", "--kind", "fitted")
    assert looks["B2"].kinds == {"exact", "fitted"}


def test_a_target_is_looked_at_with_all_but_symbolic_and_certified_evidence(run, looks):
    np.savetxt("data.csv", np.random.default_rng(1).standard_normal((9, 2)), delimiter=",")
    np.savetxt("covariance.csv", [[2.0, 0.5], [0.5, 1.0]], delimiter=",")
    code, out, _ = run("verify", "B2", "--target", "covariance.csv", "--covariance", "-v")
    look = looks["B2"]
    assert code == 0
    assert look.kinds == {"exact", "fitted", "monte-carlo"}
    np.testing.assert_allclose(look.target.variances.sum(), 3.0, rtol=1e-14)
    assert "covariance.csv: Gaussian in dimension 2" in out
    assert "rmverify verify B2 --kind exact --target covariance.csv --covariance" in out
    run("verify", "B2", "--target", "data.csv")
    expected = np.cov(np.loadtxt("data.csv", delimiter=","), rowvar=False, bias=True).trace()
    np.testing.assert_allclose(looks["B2"].target.variances.sum(), expected, rtol=1e-13)
    run("verify", "B2", "--target", "digits")
    assert looks["B2"].target.dim == 64


@pytest.mark.parametrize(
    "arguments, fragments",
    [
        (["verify", "Z9"], ["'Z9'", "B2"]),
        (["explain", "Z9"], ["'Z9'", "B2"]),
        (["explain"], ["IDS"]),
        (["verify", "--kind", "hearsay"], ["--kind", "hearsay"]),
        (["verify", "--effort", "0"], ["--effort", "'0'"]),
        (["verify", "--budget", "2"], ["--budget"]),
        (["verify", "--covariance"], ["--covariance", "--target"]),
        (["verify", "--target", "nowhere.csv"], ["nowhere.csv"]),
        (["verify", "--html", "page.txt"], ["--html", "page.txt"]),
        (["verify", "--html", "no/such/folder/page.html"], ["--html", "no/such/folder"]),
        (["verify", "--workers", "0"], ["--workers"]),
    ],
)
def test_usage_errors_are_one_line_before_anything_is_computed(run, looks, arguments, fragments):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(fragment in err for fragment in fragments), err
    assert not looks


def test_explain_prints_and_computes_nothing(run, looks):
    code, out, err = run("explain", "b2", "A2")
    assert (code, err) == (0, "")
    assert out.index("what B2 says") < out.index("what A2 says")
    assert "rmverify verify B2 --kind exact" in out


@pytest.mark.parametrize("arguments", [["explain", "B2"], ["--help"]])
def test_what_computes_nothing_loads_nothing_heavy(arguments):
    heavy = (
        "flint", "latex2mathml", "matplotlib", "scipy", "sympy", "rmverify.laws", "rmverify.divergences",
        "rmverify.plans", "rmverify.readings", "rmverify.claims.looks",
    )  # fmt: skip
    code = (
        "import sys; from rmverify.cli import main\n"
        f"try: code = main({arguments})\nexcept SystemExit as e: code = e.code\n"
        f"assert not code; print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
