"""Numbers that carry their slopes: against derivatives by hand, as coefficients, and as the points of a law."""

from __future__ import annotations

import numpy as np
import pytest
from mutants.duals import LINES

from rmverify import Plan, Predict, elementary, output_law, targets
from rmverify.readings.affine import AffineForm
from rmverify.readings.duals import Dual

START = targets.TwoGaussians(1.5, 0.5)


def cubed(x, t, h, score, draw):
    return x + h * x**3 / 10


def stretched(x, t, h, score, draw):
    return x + h * elementary.exp(x) / 10


def divided(x, t, h, score, draw):
    return x - h / (x * x + 4)


def rooted(x, t, h, score, draw):
    return x + h * x**0.5


BENT = {  # with h = 1/2: the map, and its derivative by hand
    cubed: (lambda x: x + x**3 / 20, lambda x: 1 + 3 * x**2 / 20),
    stretched: (lambda x: x + np.exp(x) / 20, lambda x: 1 + np.exp(x) / 20),
    divided: (lambda x: x - 1 / (2 * (x**2 + 4)), lambda x: 1 + x / (x**2 + 4) ** 2),
}


def a_step_may_bend_its_state(step):
    law = output_law(Plan([Predict(step, [1.0, 0.5])]), START)
    z = np.linspace(-3, 3, 13)
    there = law.carry(z)
    np.testing.assert_allclose(there.x, BENT[step][0](z), rtol=1e-14)
    np.testing.assert_allclose(np.exp(there.log_slope), BENT[step][1](z), rtol=1e-14)


def a_coefficient_on_either_side():
    point, form = Dual(2.0, 3.0), AffineForm({"x": 5.0})
    for product in (point * form, form * point):
        assert (product.parts["x"].value, product.parts["x"].slopes) == (10.0, (15.0,))
    sums = (point + form, 5.0, 1), (form + point, 5.0, 1), (point - form, -5.0, 1), (form - point, 5.0, -1)
    for found, x, sign in sums:
        assert found.parts["x"] == x
        assert (found.parts["1"].value, found.parts["1"].slopes) == (sign * 2.0, (sign * 3.0,))


def the_chain_rule():
    cube = Dual(2.0, 3.0, 5.0) ** 3
    assert (cube.value, cube.slopes) == (8.0, (36.0, 60.0))


FACTS = {step.__name__: lambda step=step: a_step_may_bend_its_state(step) for step in BENT} | {
    "coefficient": a_coefficient_on_either_side,
    "chain_rule": the_chain_rule,
}


@pytest.mark.parametrize("fact", FACTS)
def test_facts(fact):
    FACTS[fact]()


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_written_wrongly_is_noticed(line, monkeypatch):
    line.write(monkeypatch)
    with pytest.raises((AssertionError, AttributeError, TypeError)) as refuted:
        FACTS[line.killed_by]()
    if isinstance(refuted.value, TypeError):  # the witness was first to see it
        assert "does not act on points that carry their derivative as it acts on particles" in str(refuted.value)


def test_a_root_of_the_state_is_refused():
    with pytest.raises(TypeError, match=r"^scheme: rooted cannot run on points .*'Dual' and 'float'.*rmverify.sample"):
        output_law(Plan([Predict(rooted, [1.0, 0.5])]), START)
