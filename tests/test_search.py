"""The search for the least number of steps: exact errors against powers, intervals at their level, few looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mutants import search as mutants
from scipy.special import erfinv

from rmverify.numbers.values import Value
from rmverify.studies import search as room
from rmverify.studies.search import Sampled, Search, lowest

# --- exact errors -----------------------------------------------------------------------------------------------------


def search(function, accuracy, guess=1, most=10**9, sign=lambda n: 0):
    asked = []

    def value(n):
        asked.append(n)
        return function(n)

    found = Search(value, accuracy, most, sign=sign).least(guess)
    return (found.steps, found.value, found.before, found.status), asked


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("guess", [1, 16, 10**6])
def test_the_search_brackets_a_power_in_few_evaluations(power, guess):
    (steps, value, before, status), asked = search(lambda n: Value(7.0 * n**-power, "exact", 0.0), 0.01, guess, 10**12)
    assert status == "found"
    assert steps == math.ceil(700 ** (1 / power) * (1 - 1e-12))
    assert value <= 0.01 < before
    assert len(asked) <= 25


def test_steps_that_look_alike_within_their_error_cannot_be_told():
    (steps, *_, status), _ = search(lambda n: Value(1 / n, "exact", 0.02 / n), 0.01)
    assert status == "cannot tell"
    assert 100 <= steps <= 103


def test_a_search_gives_up_where_it_was_told_and_where_laws_are_not_resolved():
    (steps, value, _, status), asked = search(lambda n: Value(1 / n, "exact"), 1e-6, most=1000)
    assert (steps, float(value), status) == (None, 1e-3, "beyond max_steps")
    assert max(asked) == 1000
    (steps, value, _, status), asked = search(lambda n: None, 1e-6)
    assert (steps, value, status) == (None, None, "cannot tell")
    assert len(asked) < 10


def test_one_step_is_enough():
    assert search(lambda n: Value(0.01 / n, "exact"), 0.1, guess=64)[0][0] == 1


@pytest.mark.parametrize("guess", [1, 5])
def test_doubling_brackets_without_a_look_between(guess):
    asked = []

    def value(n):
        asked.append(n)
        return Value(1 / n, "exact")

    search = Search(value, 0.011, 10**6, doubling=True)
    search.scan(3, lambda n: 1)
    assert asked == [1, 2, 3]
    assert search.least(guess).steps == 91
    assert asked[3:9] == [6, 12, 24, 48, 96, 72]


def test_golden_section():
    assert lowest(lambda x: (x + 2.3) ** 2, 1.0, -9.0, 1e-3) == pytest.approx(-2.3, abs=2e-3)
    assert lowest(lambda x: math.inf if x > -1 else -x, 1.0, -3.0, 1e-3) == pytest.approx(-1, abs=1e-2)


# --- sampled errors -----------------------------------------------------------------------------------------------


def sampled(truth, accuracy, seed, guess=16, noise=1.0, most=10**9):
    """A search among values that are off by a normal deviate of what was asked for, within its 95 % interval."""

    rng = np.random.default_rng(seed)

    def look(n, wanted):
        off = noise * wanted * truth(n)
        return Value(truth(n) + off * rng.standard_normal() / 1.96, "monte-carlo", off)

    return Sampled(look, accuracy, 0.02, most).least(guess)


@pytest.mark.parametrize("power", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("guess", [1, 16, 10**6])
def test_the_interval_covers_the_least_number_at_its_level(power, guess):
    least = math.ceil(700 ** (1 / power))
    found = [sampled(lambda n: min(1.0, 7.0 * n**-power), 0.01, seed, guess) for seed in range(60)]
    assert {row.status for row in found} == {"found"}
    missed = sum(not row.fewest <= least <= row.most for row in found)
    assert missed <= 9  # P(more) < 1e-3 for 60 with a probability of 0.05
    assert all(row.most - row.fewest <= 0.08 * least + 2 for row in found)


def test_values_that_cannot_be_told_apart_have_no_interval():
    assert sampled(lambda n: 0.1 + 1 / n, 0.1001, 0, noise=50.0, most=10**5).status == "cannot tell"
    found = sampled(lambda n: 1 / n, 1e-6, 0, most=1000)
    assert (found.steps, found.status) == (None, "beyond max_steps")


@pytest.mark.parametrize("power", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("crossing", [1.5, 7.2, 93.4, 4321.0, 1e5])
@pytest.mark.parametrize("goal", [0.9, 0.1, 1e-3])
def test_the_search_finds_where_a_curve_of_intervals_meets_the_request(goal, crossing, power):
    """On TV = erf(c N^-power), seen within its interval; it looks at little, and coarsely where that is enough."""
    x = float(erfinv(goal))
    rng, asked = np.random.default_rng(4), []

    def look(steps, fine):
        asked.append(fine)
        truth = math.erf(x * (crossing / steps) ** power)
        half = fine * truth
        seen = truth + half * rng.uniform(-1, 1)
        return Value(seen, "monte-carlo", half, upper=min(seen + half, 1.0))

    found = Sampled(look, goal, 0.02, 1 << 20).least(8)
    lower, upper = found.fewest, found.most
    assert lower <= math.ceil(crossing) <= upper
    slope = 2 * x * math.exp(-x * x) / math.sqrt(math.pi) / goal * power  # d ln TV / d ln N
    assert upper - lower <= 0.02 * (upper + lower) or slope * 0.02 < 0.01  # finer intervals are not asked for
    if slope > 1:
        assert len(asked) < math.log2(crossing) + 20
        assert sum(fine < 0.01 for fine in asked) <= 6


def test_a_search_of_which_nothing_is_known_gives_up_at_the_limit():
    def look(steps, fine):
        asked.append(steps)
        return Value(1.0, "upper", 1.0, lower=0.0, upper=1.0)

    asked = []
    assert Sampled(look, 0.1, 0.02, 100).least(8).steps is None
    assert asked == [8, 16, 32, 64, 100]
    assert Sampled(look, 0.1, 0.02, 100, lambda steps: steps < 20).least(8).steps is None
    assert asked[5:] == [8, 16]


def test_what_cannot_be_told_from_the_request_is_left_between_the_ends():
    """A curve that lies on the request from 20 to 39 steps: no interval around it says on which side it is."""

    def look(steps, fine):
        truth = 0.1 if 20 <= steps < 40 else 0.2 if steps < 20 else 0.05
        return Value(truth, "monte-carlo", fine * truth)

    found = Sampled(look, 0.1, 0.02, 1 << 20).least(8)
    assert found.fewest <= 20
    assert found.most >= 40
    assert found.status == "cannot tell"


# --- mutants --------------------------------------------------------------------------------------------------------


def exactly(function, goal, guess=1, scan=0, **options):
    """What is found of an exact error, the search, and the N that it asked for in turn."""
    asked = []

    def value(n):
        asked.append(n)
        return function(n)

    searching = Search(value, goal, 10**6, **options)
    searching.scan(scan, lambda n: 1)
    return searching.least(guess), searching, asked


def bisection():
    assert [room.halved(lambda n, least=least: n >= least, 3, 60) for least in range(4, 61)] == [*range(4, 61)]


def both_sides():
    """An exact N is its own interval, with the errors at N and one step before."""
    for guess in (1, 9, 400):
        found, *_ = exactly(lambda n: Value(1 / n, "exact", 0.001 / n), 0.01105, guess)
        assert (found.fewest, found.steps, found.most, found.status) == (91, 91, 91, "found")
        assert (found.value, found.before) == (1 / 91, 1 / 90)


def errors_count():
    """Enough is what lies below the goal with all of its error, too few what lies above it with all of its error."""
    found, *_ = exactly(lambda n: Value(1 / n, "exact", 0.02 / n), 0.01)
    assert (found.steps, found.fewest, found.status) == (102, None, "cannot tell")
    for error, status in ((0.25, "cannot tell"), (0.1, "found")):
        found, *_ = exactly(lambda n, error=error: Value(2.0**-n, "exact", error * 2.0**-n), 0.1)
        assert (found.steps, found.before, found.status) == (4, 1 / 8, status)


def curves_that_are_no_powers():
    for curve, least in ((lambda n: math.exp(-n / 50), 346), (lambda n: math.exp(-((n / 200) ** 3)), 381)):
        for guess in (1, 16, 200, 1000):
            found, *_ = exactly(lambda n, curve=curve: Value(curve(n)), 1e-3, guess)
            assert (found.steps, found.status) == (least, "found")
            assert found.value <= 1e-3 < found.before
    assert exactly(lambda n: Value({1: 1.0, 2: 0.05}.get(n, 0.04)), 0.1, 3)[0].steps == 2


def the_scan():
    """It ends where N is enough, goes as far as N is known to be too few, and is not looked at again."""
    errors = {1: Value(0.7), 2: Value(0.3, "exact", 0.15), 3: Value(0.5)}
    for doubling in (False, True):
        found, searching, asked = exactly(lambda n: errors.get(n, Value(0.1)), 0.2, scan=10, doubling=doubling)
        assert (found.steps, searching.tried, asked) == (4, 1, [1, 2, 3, 4])
    assert exactly(lambda n: Value(1 / n), 0.011, scan=3)[2][:4] == [1, 2, 3, 4]


def a_zero_on_the_way():
    """Of errors that fall to a zero between two N and grow again, at one or the other of which they are small."""
    for zero, least in ((90.2, 90), (90.8, 91)):
        sides = {"sign": lambda n, zero=zero: (zero > n) - (zero < n)}
        found, searching, _ = exactly(lambda n, zero=zero: Value(abs(zero - n) / 10), 0.03, **sides)
        assert (found.steps, found.status, searching.crossing) == (least, "found", 91)


def the_last_crossing():
    """The sign changes twice in the scan; where it is not known any more it has not changed."""
    assert exactly(lambda n: Value(1 / n), 0.011, scan=9, sign=lambda n: -1 if 3 <= n < 6 else 1)[1].crossing == 6
    assert exactly(lambda n: Value(1 / n), 0.011, sign=lambda n: int(n < 50))[1].crossing is None


def laws_are_lost_and_found():
    """Three numbers of steps whose law is not resolved, one after the other, do not end the search, nor three more."""
    found, *_ = exactly(lambda n: Value(1 / n) if n == 8 or n > 100 else None, 0.02, doubling=True)
    assert (found.steps, found.before, found.status) == (101, None, "cannot tell")


def within_a_fifth(scale=1.0):
    """scale/n, with an interval that is no narrower however fine it is asked for."""
    return lambda n, fine: Value(scale / n, "monte-carlo", 0.2 * scale / n)


def the_ends_of_an_interval():
    """80 steps are too few and 120 enough, and 100 the best guess, of an error that is at most 1 or not."""
    for scale, goal in ((1, 0.01), (500, 5.0)):
        found = Sampled(within_a_fifth(scale), goal, 0.02, 10**6, bounded=False).least(8)
        assert found.fewest <= 80 < 120 <= found.most
        assert found.steps == pytest.approx(100, abs=2)
        assert (found.before, found.value) == (scale / (found.fewest - 1), scale / found.most)
        assert found.before.lower > goal >= found.value.upper
        assert found.status == "cannot tell"


def the_precision():
    """The interval is as narrow as was asked for."""
    found = Sampled(lambda n, fine: Value(1 / n, "monte-carlo", fine / n), 1e-5, 0.002, 10**6).least(8)
    assert found.fewest <= 10**5 <= found.most
    assert room.half_width(found.fewest, found.most) <= 0.002


def the_limit():
    """The last number of steps may be too few, or perhaps enough; where it was not looked at nothing is known."""
    assert Sampled(within_a_fifth(), 0.01, 0.02, 50).least(8).status == "beyond max_steps"
    assert Sampled(within_a_fifth(), 0.01, 0.02, 100).least(8).status == "cannot tell"
    assert Sampled(within_a_fifth(), 0.01, 0.02, 10**6, lambda n: n < 50).least(8).status == "cannot tell"


def the_work():
    """No look is made that is not afforded."""
    asked = []

    def look(n, fine):
        asked.append(n)
        return within_a_fifth()(n, fine)

    for most in (3, 7, 8):
        asked.clear()
        Sampled(look, 0.01, 0.02, 10**6, lambda n, most=most: len(asked) < most).least(8)
        assert len(asked) == most


FACTS = {fact.__name__: fact for fact in (
    bisection, both_sides, errors_count, curves_that_are_no_powers, the_scan, a_zero_on_the_way, the_last_crossing,
    laws_are_lost_and_found, the_ends_of_an_interval, the_precision, the_limit, the_work,
)}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    FACTS[name]()


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    fact = FACTS[mutant.killed_by]
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, LookupError)):
        fact()


def test_every_fact_has_its_mutants():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)
