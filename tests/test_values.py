"""Values: floats that say what they are, cannot be changed, and turn into plain floats in arithmetic."""

from __future__ import annotations

import copy
import json
import math
import operator
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmverify import Value

KINDS = ("exact", "enclosure", "upper", "lower", "surrogate", "monte-carlo")
FIELDS = ("kind", "error", "lower", "upper", "complement")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ERRORS = st.floats(0, 1e300)


def fields(value):
    return tuple(getattr(value, name) for name in FIELDS)


def test_a_plain_value_is_exact():
    value = Value(0.25)
    assert isinstance(value, float)
    assert value == 0.25
    assert fields(value) == ("exact", 0.0, 0.25, 0.25, 0.75)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_kept(kind):
    value = Value(0.5, kind, 0.125, lower=0.25, upper=0.75, complement=0.5)
    assert fields(value) == (kind, 0.125, 0.25, 0.75, 0.5)


@given(number=FINITE, error=ERRORS)
def test_the_bracket_is_the_number_and_its_error_unless_given(number, error):
    value = Value(number, "exact", error)
    assert (value.lower, value.upper) == (number - error, number + error)
    assert value.complement == 1 - number
    assert value.lower <= value <= value.upper


def test_a_given_complement_is_not_recomputed():
    tiny = 1e-30
    value = Value(1.0, complement=tiny)
    assert value.complement == tiny


@pytest.mark.parametrize("infinity", [math.inf, -math.inf])
def test_an_infinite_value_has_no_nan(infinity):
    value = Value(infinity, "exact", math.inf)
    assert (value.lower, value.upper) == (infinity, infinity)
    assert value.complement == -infinity


def test_an_unknown_error_leaves_everything_open():
    value = Value(0.5, "surrogate", math.inf)
    assert (value.lower, value.upper) == (-math.inf, math.inf)


# ------------------------------------------------------------------- a float otherwise


@given(number=FINITE)
def test_comparison_and_hash_are_the_floats(number):
    value = Value(number, "upper", 1.0)
    assert value == number
    assert hash(value) == hash(number)
    assert {number: "here"}[value] == "here"


@pytest.mark.parametrize(
    "operate",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow],
)
def test_arithmetic_gives_plain_floats(operate):
    value = Value(0.75, "upper", 0.5)
    for result, expected in (
        (operate(value, 2.0), operate(0.75, 2.0)),
        (operate(2.0, value), operate(2.0, 0.75)),
        (operate(value, 3), operate(0.75, 3)),
        (operate(value, value), operate(0.75, 0.75)),
    ):
        assert type(result) is float
        assert result == expected


@pytest.mark.parametrize("operate", [operator.neg, operator.pos, operator.abs, float])
def test_signs_give_plain_floats(operate):
    assert type(operate(Value(-0.75, "upper", 0.5))) is float


def test_functions_and_sums_give_plain_floats():
    values = [Value(0.25), Value(0.5)]
    for result in (sum(values), math.fsum(values), math.sqrt(values[0]), round(values[0], 1)):
        assert type(result) is float


# ------------------------------------------------------------------- immutable, picklable, printable


@pytest.mark.parametrize("name", [*FIELDS, "real", "anything"])
def test_nothing_can_be_set(name):
    value = Value(0.5)
    before = fields(value)
    with pytest.raises(AttributeError):
        setattr(value, name, 1.0)
    assert fields(value) == before


@pytest.mark.parametrize("name", FIELDS)
def test_nothing_can_be_deleted(name):
    value = Value(0.5)
    with pytest.raises(AttributeError):
        delattr(value, name)
    assert fields(value) == ("exact", 0.0, 0.5, 0.5, 0.5)


@given(number=FINITE, kind=st.sampled_from(KINDS), error=ERRORS, complement=FINITE)
def test_pickle_keeps_everything(number, kind, error, complement):
    value = Value(number, kind, error, complement=complement)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert type(again) is Value
        assert again == value
        assert fields(again) == fields(value)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_copies_keep_everything(twin):
    value = Value(0.5, "lower", 0.125, lower=0.0, upper=1.0, complement=0.25)
    again = twin(value)
    assert type(again) is Value
    assert (again, *fields(again)) == (value, *fields(value))


def test_the_text_names_number_and_kind():
    text = repr(Value(0.5, "monte-carlo", 0.125, lower=0.25, upper=0.75))
    for part in ("0.5", "monte-carlo", "0.12", "0.25", "0.75"):
        assert part in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value(0.0), "0"),
        (Value(-0.0), "0"),
        (Value(math.inf), "inf"),
        (Value(1 / 3), "0.333333"),
        (Value(1 / 3, "exact", 1e-5), "0.3333"),
        (Value(1 / 3, "exact", 3.3e-4), "0.333"),
        (Value(1 / 3, "exact", 4e-4), "0.3333 ± 0.0004"),
        (Value(0.04, "exact", 6e22), "0.04 ± 6e+22"),
        (Value(0.0, "exact", 1e-20), "0 ± 1e-20"),
        (Value(0.5, "monte-carlo", math.inf), "0.5 ± inf"),
        (Value(1.0, "exact", 1e-16, complement=1.25e-20), "1 - 1.25e-20"),
        (Value(1.0, "exact", 2e-3, complement=1.25e-20), "1.000 ± 0.002"),
        (Value(0.1, "monte-carlo", 2e-3), "0.100 ± 0.002"),
        (Value(0.02252, "monte-carlo", 1.4e-4), "0.0225 ± 0.0001"),
        (Value(5.0, "exact", 1.0), "5 ± 1"),
        (Value(0.75, "upper", 0.125, lower=0.25, upper=0.75), "0.25 to 0.75"),
        (Value(0.25, "lower", 0.125, lower=0.25, upper=math.inf), "0.25 to inf"),
    ],
)
def test_the_text_of_tables_shows_an_error_that_counts(value, text):
    assert value.text() == text


@given(number=st.floats(1e-300, 1e300), share=st.floats(1e-17, 1.0), digits=st.integers(1, 12))
def test_the_text_is_the_number_up_to_its_error_or_its_digits(number, share, digits):
    value = Value(number, "exact", share * number, complement=1.0)
    shown, *rest = value.text(digits).split(" ± ")
    assert abs(float(shown) - number) <= max(5 * value.error, 10.0 ** (1 - digits) * number)
    assert bool(rest) == (value.error > 1e-3 * number)
    assert all(float(error) == pytest.approx(value.error, rel=0.5) for error in rest)


@pytest.mark.parametrize("number", [0.5, math.inf, -math.inf])
def test_plain_data_goes_through_strict_json(number):
    value = Value(number, "upper", 0.25)
    plain = value.as_dict()
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again == plain
    assert float(again["value"]) == number
    assert again["kind"] == "upper"
    assert [float(again[name]) for name in ("lower", "upper", "error")] == [value.lower, value.upper, value.error]


# ------------------------------------------------------------------- a number within the range of its kind


@given(st.floats(0, 1), st.floats(0, 10))
def test_an_exact_number_of_an_interval_keeps_to_it(number, error):
    value = Value.clipped(number, error, 0, 1)
    assert 0 <= value.lower <= value <= value.upper <= 1
    if value.kind == "exact":
        assert value.error == min(error, max(number, 1 - number))
        assert (value.lower, value.upper) == (max(number - error, 0), min(number + error, 1))
    else:  # nothing is known
        assert (value.kind, value.lower, value.upper, float(value)) == ("upper", 0, 1, 1)
        assert error >= max(number, 1 - number)


def test_a_number_drowned_in_its_error_is_a_bracket():
    assert Value.clipped(0.04, 6e22).text() == "0.04 ± 6e+22"
    assert (Value.clipped(0.04, 6e22).lower, Value.clipped(0.04, 6e22).upper) == (0, 0.04 + 6e22)
    assert (Value.clipped(0.04, math.inf).kind, Value.clipped(0.04, math.inf).upper) == ("upper", math.inf)
    assert Value.clipped(1e-20, 1e-16).kind == "exact"  # zero up to rounding
    assert Value.clipped(3.0, 2.0).kind == "exact"


# ------------------------------------------------------------------- bad input


@pytest.mark.parametrize("kind", ["", "Exact", "guess", None, 1])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match="^kind: expected one of .*exact.*monte-carlo.*got"):
        Value(0.5, kind)


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="^value: expected a number, got nan"):
        Value(math.nan)


@pytest.mark.parametrize("error", [-1e-300, -1.0, -math.inf, math.nan])
def test_a_negative_error_is_refused(error):
    with pytest.raises(ValueError, match="^error: expected a number >= 0, got"):
        Value(0.5, "exact", error)


@pytest.mark.parametrize("name", ["lower", "upper", "complement"])
def test_a_bound_that_is_not_a_number_is_refused(name):
    with pytest.raises(ValueError, match=name):
        Value(0.5, **{name: math.nan})


def test_an_empty_bracket_is_refused():
    with pytest.raises(ValueError, match="lower|upper"):
        Value(0.5, lower=1.0, upper=0.0)


@pytest.mark.parametrize("wrong", ["0.5", None, [0.5], 1j])
def test_text_and_lists_are_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        Value(wrong)
    with pytest.raises((TypeError, ValueError)):
        Value(0.5, "exact", wrong)
