"""The tests of the tests: every mutant is refuted by the fact that it names, which its original satisfies in
`test_facts`."""

from __future__ import annotations

import inspect
import pickle

import mutants
import pytest
from oracles.facts import APPLIES, FACTS, PREDICTORS, REVERSE, Refuted

ALL = mutants.load()
SHIPPED = sorted({name for names in APPLIES.values() for name in names})


def cases():
    """The averages over many strata are slow."""
    for name, mutant in ALL.items():
        slow = mutant.of == "parallel_midpoint" and mutant.killed_by in ("bias_constant", "variance_constant")
        yield pytest.param(mutant, id=name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("mutant", list(cases()))
def test_the_named_fact_refutes_the_mutant(mutant):
    with pytest.raises(Refuted):
        FACTS[mutant.killed_by](mutant.step, mutant.of)


@pytest.mark.parametrize("mutant", ALL.values(), ids=ALL.keys())
def test_mutants_are_plausible(mutant):
    """Same parameters, same kind of state as the original; the fact speaks about it."""
    original = mutants.original(mutant.of)
    assert mutant.of in APPLIES[mutant.killed_by]
    if mutant.of in mutants.FUNCTIONS:
        return
    assert list(inspect.signature(mutant.step).parameters) == list(inspect.signature(original).parameters)
    assert mutant.step.kinetic == original.kinetic


def test_there_are_enough_of_them():
    assert len(STEPS) >= 60
    assert {m.of for m in ALL.values()} == set(SHIPPED)


def test_every_fact_kills_something():
    """A fact that no mutant needs may as well be true of everything."""
    assert {m.killed_by for m in ALL.values()} == set(FACTS)


STEPS = {name: m for name, m in ALL.items() if m.of not in mutants.FUNCTIONS and m.killed_by != "every_place"}


@pytest.mark.parametrize("mutant", STEPS.values(), ids=STEPS.keys())
def test_one_step_in_all_its_coefficients_refutes_every_mutant(mutant):
    """Except where the mutant is the same map in exact arithmetic and wrong only in floats; those that are right where
    this looks are refuted at other places."""
    names = ["langevin_drift", "langevin_noise"]
    names = ["flow_step"] if mutant.of in PREDICTORS else ["reverse_step"] if mutant.of in REVERSE else names
    refuted = []
    for name in names:
        try:
            FACTS[name](mutant.step, mutant.of)
        except Refuted:
            refuted.append(name)
    assert bool(refuted) == (mutant.killed_by != "noise_in_floats")


def test_a_patch_is_a_step_of_its_own_that_shows_its_source():
    """Its line stands in the original once; pickle finds it in its file, and a traceback shows what it is."""
    mutant = ALL["noise.variances_swapped"]
    assert pickle.loads(pickle.dumps(mutant.step)) is mutant.step
    assert "def variances_swapped(" in inspect.getsource(mutant.step)
    assert f"noise.py:{mutant.line}" in inspect.getsourcefile(inspect.unwrap(mutant.step))
    for old in ("x", "no such line"):
        with pytest.raises(ValueError, match="once in its source"):
            mutants.rewritten(mutants.original("heun"), old, "")
