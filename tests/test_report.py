"""What is printed: values with the digits they have, tables, JSON, CSV and pictures of budgets made by hand."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rmverify import Value
from rmverify.budget import Budget, Description, Point, Row, Setting
from rmverify.report import (
    budget_csv,
    budget_picture,
    budget_record,
    budget_tables,
    document,
    law_record,
    law_tables,
    value_text,
)


def text_of(blocks, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    for block in blocks:
        console.print(block)
    return console.file.getvalue()


def a_setting(start=0.01, data_smoothness=4.0) -> Setting:
    errors = Value(0.125, "exact", 1e-15), Value(start, "exact", 1e-15)
    return Setting(0.5, 3.0, "geometric", *errors, 2.0, data_smoothness)


def curve(*values: float, first: int = 1, cost: int = 2) -> tuple[Point, ...]:
    return tuple(Point(n, cost * n, n, Value(v, "exact", 1e-12)) for n, v in enumerate(values, first))


def a_row(scheme="heun", *, corrector=False, points=None) -> Row:
    points = curve(0.5, 0.25, 0.0625) if points is None else points
    return Row(scheme, corrector, True, points[-1], points[-1], Value(0.03125), points)


def bracket_row() -> Row:
    ends = ((0.25, 0.75), (0.03125, 0.5), (0.0, 0.0625))
    points = tuple(
        Point(n, 2 * n, 2 * n, Value(high, "upper", 0.01, lower=low, upper=high))
        for n, (low, high) in enumerate(ends, 7)
    )
    return Row("randomized_midpoint", True, False, points[1], points[2], points[2].tv, points)


def endless_row() -> Row:
    return Row("euler", False, True, None, None, None, curve(1.0, 0.75))


def a_budget(*rows: Row, **setting) -> Budget:
    return Budget(0.1, 3, a_setting(**setting), rows or (a_row(), bracket_row(), endless_row()))


# --- values -----------------------------------------------------------------------------------------------------


@given(
    value=st.floats(1e-200, 1e200),
    sign=st.sampled_from([-1, 1]),
    relative=st.floats(1e-16, 0.999),
)
def test_no_digit_is_printed_below_the_error_nor_more_than_six(value, sign, relative):
    error = value * relative
    text = value_text(Value(sign * value, "exact", error, complement=0.5))
    read = Decimal(text)
    digits, exponent = read.as_tuple().digits, read.as_tuple().exponent
    unit = Decimal(10) ** exponent
    assert len(Decimal(text).normalize().as_tuple().digits) <= 6
    # what rounds: half a unit of the last of six digits, or of the last digit that the error leaves
    assert abs(read - Decimal(sign * value)) <= max(Decimal("5.1e-6") * Decimal(value), 51 * Decimal(error))
    shown = unit if exponent < 0 or digits[-1] else None  # trailing zeros of an integer say nothing
    if shown is not None and len(digits) > 1 and "e" not in text:
        assert shown >= Decimal(error) * Decimal("0.999999")


def test_values_near_one_show_their_complement():
    assert value_text(Value(1.0, complement=1.75e-298)) == "1 - 1.75e-298"
    assert value_text(Value(1.0, complement=0.0)) == "1"
    assert value_text(Value(0.75, complement=0.25)) == "0.75"


def test_a_bracket_shows_both_ends_and_the_infinite_value_is_inf():
    assert value_text(Value(0.5, "upper", 0.1, lower=0.25, upper=0.5)) == "0.25 to 0.5"
    assert value_text(Value(math.inf)) == "inf"
    assert value_text(Value(0.0)) == "0"


# --- JSON -------------------------------------------------------------------------------------------------------


def test_the_document_is_strict_json_with_a_head():
    record = json.loads(document("budget", budget_record(a_budget(data_smoothness=math.inf), "x")))
    assert list(record)[:3] == ["schema", "rmverify", "command"]
    assert record["smoothness_of_data"] == "inf"
    with pytest.raises(ValueError, match="JSON"):
        document("budget", {"value": math.nan})


def test_the_budget_record_holds_every_number():
    answer = a_budget()
    record = budget_record(answer, "data.csv")
    assert (record["data"], record["dim"], record["accuracy"], record["metric"]) == ("data.csv", 3, 0.1, "tv")
    assert (record["early_stop"], record["horizon"], record["grid"]) == (0.5, 3.0, "geometric")
    assert record["early_stop_error_w2"]["value"] == 0.125
    exact, bracket, endless = record["schemes"]
    assert (exact["law"], bracket["law"]) == ("exact", "bracket")
    assert exact["evaluations_lower"] == exact["evaluations_upper"] == exact["at_upper"]["evaluations"] == 6
    assert (bracket["evaluations_lower"], bracket["evaluations_upper"]) == (16, 18)
    assert (exact["corrector"], bracket["corrector"]) == (None, "underdamped")
    assert endless["evaluations_upper"] is endless["at_upper"] is endless["discretization_tv"] is None
    for row, given_row in zip(record["schemes"], answer.rows, strict=True):
        assert [p["tv"]["value"] for p in row["curve"]] == [float(p.tv) for p in given_row.curve]
        assert [p["rounds"] for p in row["curve"]] == [p.rounds for p in given_row.curve]


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
    answer = a_budget(a_row(points=curve(1 / 3, 0.1 + 1e-17)), bracket_row(), endless_row())
    rows = list(csv.DictReader(io.StringIO(budget_csv(answer))))
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
    assert [found["answer"] for found in rows] == ["", "lower+upper", "", "lower", "upper", "", ""]


# --- tables -----------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_every_scheme_with_its_answer():
    lines = text_of(budget_tables(a_budget(), "data.csv")).splitlines()
    assert "data.csv" in lines[0]
    assert "dimension 3" in lines[0]
    heun, midpoint, euler = (
        re.split(r"\s{2,}", next(line for line in lines if line.startswith(f" {name} ")).strip())
        for name in ("heun", "randomized_midpoint", "euler")
    )
    assert heun == ["heun", "-", "6", "3", "3", "0.0625", "0.03125", "exact"]
    assert midpoint[2:5] == ["16 to 18", "8 to 9", "16 to 18"]
    assert euler[2:5] == ["> 4", "> 2", "> 2"]


def test_a_narrow_table_keeps_the_answer():
    lines = text_of(budget_tables(a_budget(), "data.csv", 80)).splitlines()
    (heun,) = (line for line in lines if line.startswith(" heun "))
    assert re.split(r"\s{2,}", heun.strip()) == ["heun", "-", "6", "0.0625", "exact"]


def test_only_the_curves_that_are_not_monotone_are_printed_whole():
    zigzag = curve(0.5, 0.03125, 0.25, 0.0625)
    text = text_of(budget_tables(a_budget(a_row("heun"), a_row("midpoint", corrector=True, points=zigzag)), "x"))
    text = " ".join(text.split())
    assert text.count("not monotone") == 1
    tail = text[text.index("midpoint + underdamped: not monotone") :]
    assert all(f"{float(p.tv):g}" in tail for p in zigzag)


def test_the_singular_data_are_named():
    assert "singular" in text_of(budget_tables(a_budget(data_smoothness=math.inf), "x"))
    assert "singular" not in text_of(budget_tables(a_budget(), "x"))


def test_names_with_square_brackets_are_printed_as_they_are():
    assert "[red]a.csv" in text_of(budget_tables(a_budget(), "[red]a.csv"))


# --- one law ----------------------------------------------------------------------------------------------------


def a_description() -> Description:
    names = "tv", "kl", "kl_reverse", "chi2", "hellinger", "w2"
    found = {name: Value(2.0**-k, "exact", 1e-15) for k, name in enumerate(names, 1)} | {"chi2": Value(math.inf)}
    return Description(a_setting(), 3, "heun", True, 7, 21, 19, "normal", "Gaussian", 1e-15, found, Value(0.25))


def test_a_law_as_a_record_and_as_a_table():
    record = json.loads(document("law", law_record(a_description(), "x", 0.5, "verified")))
    assert (record["steps"], record["evaluations"], record["rounds"], record["corrector"]) == (7, 21, 19, "underdamped")
    assert record["divergences"]["chi2"]["value"] == "inf"
    assert record["divergences"]["kl"]["value"] == 0.25
    assert record["claim"] == {"tv": 0.5, "verdict": "verified"}
    assert law_record(a_description(), "x", None, None)["claim"] is None
    text = text_of(law_tables(a_description(), "x", 0.5, "refuted"))
    assert "heun + underdamped corrector: 7 steps, 21 evaluations, 19 rounds" in text
    assert text.rstrip().endswith("claim TV <= 0.5: refuted")
    assert "claim" not in text_of(law_tables(a_description(), "x", None, None))


# --- pictures ---------------------------------------------------------------------------------------------------


def picture(answer: Budget):
    """The PNG as an array (height, width, 4) of numbers in [0, 1]."""
    image = pytest.importorskip("matplotlib.image")
    return image.imread(io.BytesIO(budget_picture(answer, "x", "png")))


def test_a_picture_has_one_colour_for_every_scheme():
    pixels = picture(a_budget())
    assert min(pixels.shape[:2]) > 400
    for red, green, blue in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E), (0x2C, 0xA0, 0x2C)):  # matplotlib's C0, C1, C2
        near = abs(pixels[..., :3] * 255 - (red, green, blue)).max(axis=-1) < 3
        assert near.sum() > 100


def test_a_picture_of_an_exact_start():
    assert picture(a_budget(start=0.0)).std() > 0.01


def test_a_picture_where_some_curves_are_zero():
    assert picture(a_budget(a_row("heun", points=(Point(1, 1, 1, Value(0.0)),)), endless_row())).std() > 0.01
