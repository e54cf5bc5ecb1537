"""What is printed: values with the digits they have, tables, JSON, CSV and pictures of budgets made by hand."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re

import pytest
from printed import text_of

from rmverify import Value
from rmverify.studies.budget import Budget, Cost, Description, Point, Row, Setting
from rmverify.views import budget as budget_view
from rmverify.views import law as law_view
from rmverify.views.common import document, tabular


def a_setting(start=0.01, data_smoothness=4.0, stopped=0.0625) -> Setting:
    distance, stop, begin = (Value(each, "exact", 1e-15) for each in (0.125, stopped, start))
    return Setting(
        0.5, 3.0, early_stop_error=distance, early_stop_tv=stop, start_error=begin, smoothness=2.0,
        data_smoothness=data_smoothness,
    )  # fmt: skip


def curve(*values: float, first: int = 1, cost: int = 2) -> tuple[Point, ...]:
    return tuple(Point(n, cost * n, n, Value(v, "exact", 1e-12)) for n, v in enumerate(values, first))


def a_row(scheme="heun", *, corrector=False, points=None) -> Row:
    points = curve(0.5, 0.25, 0.0625) if points is None else points
    return Row(scheme, corrector, True, points[-1], points[-1], Value(0.03125), points)


def interval_row() -> Row:
    ends = ((0.25, 0.75), (0.0625, 0.5), (0.0, 0.0625))
    points = tuple(
        Point(n, 2 * n, 2 * n, Value((low + high) / 2, "monte-carlo", (high - low) / 2))
        for n, (low, high) in zip((7, 14, 16), ends, strict=True)
    )
    parameters = {"strata": 3, "rounds": 1}
    return Row("parallel_midpoint", True, False, Cost(15, 30, 30), points[2], points[2].tv, points, parameters)


def endless_row() -> Row:
    return Row("euler", False, True, None, None, None, curve(1.0, 0.75))


def a_budget(*rows: Row, **setting) -> Budget:
    return Budget(0.1, 3, a_setting(**setting), rows or (a_row(), interval_row(), endless_row()))


# --- JSON -------------------------------------------------------------------------------------------------------


def test_the_document_is_strict_json_with_a_head():
    record = json.loads(document("budget", budget_view.as_record(a_budget(data_smoothness=math.inf), "x")))
    assert list(record)[:3] == ["schema", "rmverify", "command"]
    assert record["smoothness_of_data"] == "inf"
    with pytest.raises(ValueError, match="JSON"):
        document("budget", {"value": math.nan})


def test_the_budget_record_holds_every_number():
    answer = a_budget()
    record = budget_view.as_record(answer, "data.csv")
    assert (record["data"], record["dim"], record["accuracy"], record["metric"]) == ("data.csv", 3, 0.1, "tv")
    assert (record["early_stop"], record["horizon"], record["grid"]) == (0.5, 3.0, "geometric")
    assert record["early_stop_error_w2"]["value"] == 0.125
    assert (record["early_stop_error_tv"]["value"], record["early_stop_within_accuracy"]) == (0.0625, True)
    assert not budget_view.as_record(a_budget(stopped=0.125), "x")["early_stop_within_accuracy"]  # 0.1 was asked for
    exact, interval, endless = record["schemes"]
    assert [row["proved_least"] for row in record["schemes"]] == [True, False, True]
    assert [row["every_number_tried_up_to"] for row in record["schemes"]] == [3, 0, 2]
    assert (exact["law"], interval["law"]) == ("exact", "monte-carlo")
    assert (exact["parameters"], interval["parameters"]) == ({}, {"strata": 3, "rounds": 1})
    assert record["precision"] == answer.precision
    assert exact["evaluations_lower"] == exact["evaluations_upper"] == exact["at_upper"]["evaluations"] == 6
    assert (interval["evaluations_lower"], interval["evaluations_upper"]) == (30, 32)
    assert (exact["corrector"], interval["corrector"]) == (None, "underdamped")
    assert endless["evaluations_upper"] is endless["at_upper"] is endless["discretization_tv"] is None
    for row, given_row in zip(record["schemes"], answer.rows, strict=True):
        assert [p["tv"]["value"] for p in row["curve"]] == [float(p.tv) for p in given_row.curve]
        assert [p["rounds"] for p in row["curve"]] == [p.rounds for p in given_row.curve]


def test_an_answer_is_proved_where_every_smaller_number_was_tried():
    def row(*steps, upper):
        points = tuple(Point(n, n, n, Value(0.5)) for n in steps)
        return Row("heun", False, True, upper, None if upper is None else points[upper - 1], None, points)

    for steps, upper, tried, proved in (
        ((1, 2, 3), 3, 3, True),
        ((1, 2, 4), 3, 2, False),
        ((1, 2, 3), None, 3, True),
        ((1, 2, 16), None, 2, False),
        ((4, 5), 1, 0, False),
    ):
        found = row(*steps, upper=upper)
        assert (found.tried, found.proved) == (tried, proved)


def test_a_curve_is_monotone_unless_it_rises_beyond_its_errors():
    def row(*values, error):
        return Row(
            "heun",
            False,
            True,
            None,
            None,
            None,
            tuple(Point(n, n, n, Value(v, error=error)) for n, v in enumerate(values)),
        )

    assert row(0.5, 0.25, 0.125, error=0).monotone
    assert row(0.5, 0.25, 0.25, error=0).monotone
    assert not row(0.5, 0.125, 0.25, error=0).monotone
    assert row(0.5, 0.125, 0.25, error=0.0625).monotone


# --- CSV --------------------------------------------------------------------------------------------------------


def test_csv_reads_back_to_the_same_floats():
    answer = a_budget(a_row(points=curve(1 / 3, 0.1 + 1e-17)), interval_row(), endless_row())
    rows = list(csv.DictReader(io.StringIO(budget_view.as_csv(answer))))
    points = [(row, p) for row in answer.rows for p in row.curve]
    assert len(rows) == len(points)
    for found, (row, p) in zip(rows, points, strict=True):
        assert (found["scheme"], found["corrector"]) == (row.scheme, "underdamped" if row.corrector else "")
        assert (int(found["steps"]), int(found["evaluations"]), int(found["rounds"])) == (
            p.steps,
            p.evaluations,
            p.rounds,
        )
        ends = tuple(float(found[name]) for name in ("tv", "tv_lower", "tv_upper", "tv_error"))
        assert ends == (float(p.tv), p.tv.lower, p.tv.upper, p.tv.error)
    assert [found["answer"] for found in rows] == ["", "lower+upper", "", "", "upper", "", ""]


# --- tables -----------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_every_scheme_with_its_answer():
    lines = text_of(budget_view.shown(a_budget(), "data.csv")).splitlines()
    assert "data.csv" in lines[0]
    assert "dimension 3" in lines[0]
    heun, midpoint, euler = (
        re.split(r"\s{2,}", next(line for line in lines if line.startswith(f"{name} ")).strip())
        for name in ("heun", "parallel_midpoint", "euler")
    )
    assert heun == ["heun", "-", "6", "3", "3", "0.0625", "0.03125", "exact"]
    assert midpoint == ["parallel_midpoint", "underdamped", "32 (30 to 32)", "16", "32", *["0.03 ± 0.03"] * 2, "95 %"]
    assert euler[2:5] == ["> 4", "> 2", "> 2"]


LONG = Row(
    "randomized_midpoint", True, False, Cost(9714, 19428, 19428), Point(10352, 20704, 20704, Value(0.1)), Value(0.1),
    curve(0.123456789, 0.0987654321, 0.09751234, first=10350),
)  # fmt: skip


@pytest.mark.parametrize("width", [200, 100, 80, 40])
def test_no_width_cuts_a_number_or_a_name(width):
    text = text_of(budget_view.shown(a_budget(LONG, a_row()), "data.csv", width), width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    if width >= 80:
        cells = re.split(r"\s{2,}", next(line for line in text.splitlines() if line.startswith("randomized")).strip())
        assert cells[:3] == ["randomized_midpoint", "underdamped", "20704 (19428 to 20704)"]
        assert "0.1" in cells[3:]
    dropped = [
        name for name in ("steps", "rounds", "discretization") if f" {name} " not in text.split("Random midpoints")[0]
    ]
    assert all(name in text.split("Columns omitted")[1] for name in dropped)
    assert not dropped or width < 200


def test_without_a_width_everything_is_shown():
    text = text_of(budget_view.shown(a_budget(LONG), "data.csv"))
    assert "omitted" not in text
    for cell in ("10352", "20704 (19428 to 20704)", "discretization", "95 %"):
        assert cell in text


def test_a_curve_that_is_not_monotone_takes_one_line_and_is_printed_whole_on_request():
    zigzag = curve(0.5, 0.03125, 0.25, 0.125, 0.15625, 0.0625)
    answer = a_budget(a_row("heun"), a_row("midpoint", corrector=True, points=zigzag))
    lines = text_of(budget_view.shown(answer, "x")).splitlines()
    assert [line for line in lines if "not monotone" in line] == [
        "midpoint + underdamped: not monotone, TV rises from 0.0312 at 2 steps to 0.25 at 3; --curves prints all."
    ]
    assert lines[-1] in [line for line in lines if "not monotone" in line]
    whole = " ".join(text_of(budget_view.shown(answer, "x", curves=True)).split())
    assert all(f"{p.steps} {p.evaluations} {float(p.tv):g}" in whole for row in answer.rows for p in row.curve)


def test_answers_that_are_not_proved_least_are_named():
    text = text_of(budget_view.shown(a_budget(), "x"))
    named = text.split("too few, but for")[1].split("can pass over")[0]
    assert "parallel_midpoint + underdamped (few of them" in named
    assert "heun" not in named
    assert "is too few." in text_of(budget_view.shown(a_budget(a_row()), "x"))
    far = a_row(points=(*curve(0.5, 0.25), *curve(0.0625, first=7)))
    assert "heun (up to 2);" in text_of(budget_view.shown(a_budget(far), "x"))


def test_the_distance_to_the_data_is_compared_with_the_request():
    assert "above the request" not in text_of(budget_view.shown(a_budget(), "x"))
    text = text_of(budget_view.shown(a_budget(stopped=0.125), "x"))
    assert "TV(q_delta, q_0) = 0.125\n" in text
    assert "TV(q_delta, q_0) = 0.125 is above the request" in text
    assert "--early-stop-tv" in text


def test_a_number_that_its_error_exceeds_shows_it():
    row = Row("heun", False, True, None, None, None, (Point(8192, 8192, 8192, Value(0.01, "exact", 1.0)),))
    assert "0.01 ± 1" in text_of(budget_view.shown(a_budget(row), "x"))


def test_the_seed_of_random_midpoints_is_named():
    assert "Seed" not in text_of(budget_view.shown(a_budget(), "x"))
    seeded = Budget(0.1, 3, a_setting(), (interval_row(),), 1234)
    assert "1234" in text_of(budget_view.shown(seeded, "x"))
    assert budget_view.as_record(seeded, "x")["seed"] == 1234


def test_an_interval_wider_than_was_asked_for_is_named():
    assert "15 to 16 steps" in text_of(budget_view.shown(a_budget(interval_row()), "x"))
    wide = Budget(0.1, 3, a_setting(), (interval_row(),), 1234, 0.05)
    assert "15 to 16 steps" not in text_of(budget_view.shown(wide, "x"))
    assert "strata = 3, rounds = 1" in text_of(budget_view.shown(wide, "x"))


def test_the_singular_data_are_named():
    assert "singular" in text_of(budget_view.shown(a_budget(data_smoothness=math.inf), "x"))
    assert "singular" not in text_of(budget_view.shown(a_budget(), "x"))


def test_names_with_square_brackets_are_printed_as_they_are():
    assert "[red]a.csv" in text_of(budget_view.shown(a_budget(), "[red]a.csv"))


# --- one law ----------------------------------------------------------------------------------------------------


def a_description() -> Description:
    names = "tv", "kl", "kl_reverse", "chi2", "hellinger", "w2"
    found = {name: Value(2.0**-k, "exact", 1e-15) for k, name in enumerate(names, 1)} | {"chi2": Value(math.inf)}
    return Description(a_setting(), 3, "heun", True, 7, 21, 19, "normal", "Gaussian", 1e-15, found, Value(0.25))


def test_a_law_as_a_record_and_as_a_table():
    record = json.loads(document("law", law_view.as_record(a_description(), "x", 0.5, "verified")))
    assert (record["steps"], record["evaluations"], record["rounds"], record["corrector"]) == (7, 21, 19, "underdamped")
    assert record["divergences"]["chi2"]["value"] == "inf"
    assert record["divergences"]["kl"]["value"] == 0.25
    assert record["claim"] == {"tv": 0.5, "verdict": "verified"}
    assert law_view.as_record(a_description(), "x", None, None)["claim"] is None
    text = text_of(law_view.shown(a_description(), "x", 0.5, "refuted"))
    assert "heun + underdamped corrector: 7 steps, 21 evaluations, 19 rounds" in text
    assert text.rstrip().endswith("claim TV <= 0.5: refuted")
    assert "claim" not in text_of(law_view.shown(a_description(), "x", None, None))


def test_a_law_averaged_over_midpoints_stands_beside_its_parts():
    tv, shared = (Value(v, "monte-carlo", 1e-3) for v in (0.125, 0.25))
    plain = a_description()
    found = dataclasses.replace(plain, divergences=plain.divergences | {"tv": tv}, expected_tv=shared, seed=5)
    text = text_of(law_view.shown(found, "x", 0.125, "inconclusive"))
    own, all_ = (
        re.split(r"\s{2,}", next(line for line in text.splitlines() if part in line).strip())
        for part in ("every particle its own midpoints", "one set of midpoints shared by all")
    )
    assert own[1:] == ["0.125 ± 0.001", "95 % interval", "0.001"]
    assert all_[1:] == ["0.250 ± 0.001", "95 % interval", "0.001"]
    assert text.rstrip().endswith("claim TV <= 0.125 (95 %: 0.124 to 0.126): inconclusive")
    assert law_view.as_record(found, "x", None, None)["expected_tv"]["value"] == 0.25
    assert law_view.as_record(plain, "x", None, None)["expected_tv"] is None


@pytest.mark.parametrize("width", [80, 60])
def test_a_narrow_terminal_folds_words_and_cuts_no_number_of_a_law(width):
    tv, shared = Value(0.0345, "monte-carlo", 1e-4), Value(0.0401, "monte-carlo", 3e-5)
    w2, law = Value(0.0759255, "upper", 0.0211, lower=0.05482, upper=0.09703), a_description()
    found = dataclasses.replace(law, divergences=law.divergences | {"tv": tv, "w2": w2}, expected_tv=shared, seed=5)
    lines = text_of(law_view.shown(found, "x", None, None), width).splitlines()
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines if "95 %" in line]
    assert [line[1:] for line in cells] == [
        ["0.0345 ± 0.0001", "95 % interval", "0.0001"], ["0.0401", "95 % interval", "3e-05"]
    ]  # fmt: skip


@pytest.mark.parametrize("width", [30, 20, 12])
@pytest.mark.parametrize("heads", [(), ("note",)])
def test_a_table_too_wide_for_its_terminal_loses_no_digit(width, heads):
    columns, cells = ("N", "value", "error", "note"), ("12345678", "0.123456789", "0.0001", "many words to say")
    blocks, dropped = tabular(columns, [cells], width, heads)
    text = text_of(blocks, width)
    assert not dropped
    assert sorted(re.findall(r"[\d.]", text)) == sorted("".join(cells[:3]))  # they may go on in the next line


# --- pictures ---------------------------------------------------------------------------------------------------


def picture(answer: Budget):
    """The PNG as an array (height, width, 4) of numbers in [0, 1]."""
    image = pytest.importorskip("matplotlib.image")
    return image.imread(io.BytesIO(budget_view.picture(answer, "x", "png")))


@pytest.mark.slow
def test_a_picture_has_one_colour_for_every_scheme():
    pixels = picture(a_budget())
    assert min(pixels.shape[:2]) > 400
    for red, green, blue in ((0x3F, 0x90, 0xDA), (0xFF, 0xA9, 0x0E), (0xBD, 0x1F, 0x01)):  # Petroff's first three
        near = abs(pixels[..., :3] * 255 - (red, green, blue)).max(axis=-1) < 3
        assert near.sum() > 100


def test_a_picture_of_an_exact_start():
    assert picture(a_budget(start=0.0)).std() > 0.01


def test_a_picture_where_some_curves_are_zero():
    assert picture(a_budget(a_row("heun", points=(Point(1, 1, 1, Value(0.0)),)), endless_row())).std() > 0.01


# --- prompts and notebooks ----------------------------------------------------------------------------------------


def test_what_a_prompt_shows_is_one_short_line():
    answer = a_budget()
    for shown in (answer, *answer.rows, answer.rows[0].curve[0], answer.setting, a_description()):
        text = repr(shown)
        assert text.startswith(f"{type(shown).__name__}(")
        assert len(text) < 300
        assert "\n" not in text
    assert "evaluations=(30, 32)" in repr(interval_row())
    assert "evaluations=None, tv=0.75" in repr(endless_row())
    assert "chi2: inf" in repr(a_description())


def test_a_notebook_shows_a_budget_as_a_table():
    html = a_budget()._repr_html_()
    assert html.count("<tr>") == 1 + 3
    assert "<td>parallel_midpoint</td><td>True</td><td>(30, 32)</td>" in html
    assert "&lt;b&gt;" in a_budget(a_row("<b>"))._repr_html_()


def test_a_record_is_plain_data_all_the_way_down():
    plain = json.loads(json.dumps(a_budget(data_smoothness=math.inf).as_dict(), allow_nan=False))
    assert plain["setting"]["data_smoothness"] == "inf"
    assert plain["rows"][1]["curve"][2]["tv"]["kind"] == "monte-carlo"
    assert plain["rows"][1]["parameters"] == {"strata": 3, "rounds": 1}
