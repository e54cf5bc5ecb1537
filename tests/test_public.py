"""The public names: all there, nothing heavy behind the import, documented with examples that run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import subprocess
import sys
import typing

import numpy as np
import pytest

import rmverify
from rmverify import Correct, EstimatedScore, Gaussian, GaussianMixture, Plan, Predict, Product, laws, plans, schemes
from rmverify.targets import LaplaceGaussian, SkewNormal, TwoGaussians

ROOMS = (
    "rmverify.claims",
    "rmverify.elementary",
    "rmverify.exponents",
    "rmverify.laws",
    "rmverify.plans",
    "rmverify.schemes",
    "rmverify.targets",
    "rmverify.testing.strategies",
    "rmverify.numbers.values",
)


def test_all_is_what_dir_says():
    assert sorted(rmverify.__all__) == sorted(dir(rmverify))
    assert len(set(rmverify.__all__)) == len(rmverify.__all__)


@pytest.mark.parametrize("name", rmverify.__all__)
def test_every_name_can_be_had(name):
    value = getattr(rmverify, name)
    assert value is getattr(rmverify, name)
    namespace = {}
    exec(f"from rmverify import {name}", namespace)
    assert namespace[name] is value


def test_a_star_import_brings_all_of_them():
    namespace = {}
    exec("from rmverify import *", namespace)
    assert set(rmverify.__all__) <= set(namespace)


@pytest.mark.parametrize("name", ["gaussian", "Sample", "numpy", ""])
def test_unknown_names_are_attribute_errors(name):
    with pytest.raises(AttributeError, match=f"module 'rmverify' has no attribute '{name}'"):
        getattr(rmverify, name)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_what_it_lists(room):
    module = importlib.import_module(room)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def run(code):
    """The output of `code` in a fresh interpreter where every warning is an error."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_is_light():
    heavy = ("array_api_compat", "flint", "matplotlib", "mpmath", "numpy", "rich", "scipy", "sympy")
    code = f"import sys, rmverify; dir(rmverify); print([m for m in {heavy} if m in sys.modules])"
    assert run(code) == "[]"


def test_sampling_needs_no_symbols_balls_or_progress_bar():
    code = (
        "import sys, rmverify as rm\n"
        "plan = rm.Plan([rm.Predict(rm.schemes.randomized_midpoint, [1.0, 0.5])])\n"
        "rm.sample(plan, rm.Gaussian.isotropic(0.25, 2), 3, 2)\n"
        "print([m for m in ('flint', 'matplotlib', 'mpmath', 'rich', 'scipy', 'sympy') if m in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.slow
def test_distances_in_floats_need_no_balls_or_symbols():
    code = (
        "import sys, rmverify as rm\n"
        "target, plan = rm.Gaussian.isotropic(0.25, 2), rm.Plan([rm.Predict(rm.schemes.heun, [1.0, 0.5])])\n"
        "rm.tv(rm.output_law(plan, target), target)\n"
        "print([m for m in ('flint', 'matplotlib', 'mpmath', 'rich', 'sympy') if m in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.slow
def test_every_room_can_be_imported_first(room):
    assert run(f"import {room}; print('here')") == "here"


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert rmverify.__version__ == version("rmverify")


# ------------------------------------------------------------------- documentation


def public_objects():
    """Functions and classes that a user reaches by a public name."""
    for name in rmverify.__all__:
        try:
            value = getattr(rmverify, name)
        except (AttributeError, ImportError):  # reported by test_every_name_can_be_had
            continue
        if inspect.ismodule(value):
            for inner in value.__all__:
                if callable(getattr(value, inner)):
                    yield f"{name}.{inner}", getattr(value, inner)
        elif callable(value):
            yield name, value


DOCUMENTED = dict(public_objects())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_public_object_says_what_it_is(name):
    text = inspect.getdoc(DOCUMENTED[name])
    assert text
    assert not text.startswith(f"{name.split('.')[-1]}(")  # the signature that dataclasses write by themselves


def needs_an_example(name):
    """Every name of the top level and every function of a room; an elementary function is its one-line formula."""
    room, _, _ = name.rpartition(".")
    return not room or (room != "elementary" and not inspect.isclass(DOCUMENTED[name]))


@pytest.mark.parametrize("name", [n for n in DOCUMENTED if needs_an_example(n)])
def test_every_public_function_has_an_example(name):
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(DOCUMENTED[name]) or "")
    assert examples, f"{name} has no example"


@pytest.mark.parametrize("room", ROOMS)
def test_examples_are_found_where_pytest_looks(room):
    """A wrapped or registered function can hide its examples from the finder: each one in the text is collected."""
    package = importlib.import_module(room)
    prefix = "rmverify."
    written = {
        f"{value.__module__}.{name}"
        for name in package.__all__
        if (value := getattr(package, name)) is not None
        and str(getattr(value, "__module__", "")).startswith(prefix)
        and ">>>" in (inspect.getdoc(value) or "")
    }
    found = set()
    for module in {name.rsplit(".", 1)[0] for name in written}:
        found |= {t.name for t in doctest.DocTestFinder().find(importlib.import_module(module)) if t.examples}
    assert written <= found


# ------------------------------------------------------------------- what is handed back

PUBLIC = {name.split(".")[-1] for name in DOCUMENTED}


@pytest.mark.parametrize("name", [n for n, value in DOCUMENTED.items() if inspect.isfunction(value)])
def test_what_a_public_function_returns_has_a_public_name(name):
    function = DOCUMENTED[name]
    for each in typing.get_overloads(function) or [function]:
        home = importlib.import_module(each.__module__)
        for word in re.findall(r"[A-Z]\w+", str(each.__annotations__.get("return"))):
            kind = getattr(home, word, None)
            assert not inspect.isclass(kind) or word in PUBLIC or not kind.__module__.startswith("rmverify")


MIDPOINTS = Plan([Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.2])])
HEUN = Plan([Predict(schemes.heun, np.linspace(3.0, 0.1, 1000))])
SHOWN = {
    "scheme": lambda: schemes.parallel_underdamped(cells=10**6, rounds=7, friction=2 / 3, mass=1 / 7),
    "footprint": lambda: plans.footprint(schemes.parallel_midpoint(strata=4, rounds=2)),
    "predictor": lambda: HEUN.stages[0],
    "corrector": lambda: Correct(schemes.underdamped(friction=2 / 3), 1 / 3, 1 / 7, 10**6),
    "stranger": lambda: Predict(lambda x, t, h, score, draw: x + h * score(t, x), [1.0, 0.5]),
    "plan": lambda: HEUN,
    "plan that cannot be counted": lambda: Plan([Predict(lambda *_: np.zeros(3) + None, [1.0, 0.5])]),
    "sequential": lambda: plans.sequential(100, 4.0, 0.1),
    "log-concave": lambda: plans.log_concave(100, 4.0, 1.0, 0.1),
    "gaussian": lambda: Gaussian(np.zeros(500), np.arange(500.0)),
    "modes": lambda: Gaussian(np.zeros(500), np.arange(500.0)).modes,
    "mixture": lambda: GaussianMixture(np.full(20, 0.05), np.zeros((20, 2)), np.ones((20, 2))),
    "estimate": lambda: EstimatedScore(Gaussian.isotropic(1.0, 40), gain=1 / 3, bias=np.arange(40) / 3),
    "estimate in time": lambda: EstimatedScore(Gaussian.isotropic(1.0, 40), bias=np.sin),
    "factor": lambda: SkewNormal(1 / 3, 1 / 7, 1 / 9).at(0.3),
    "product": lambda: Product(LaplaceGaussian(1 / 3, 1 / 7), 10**12),
    "law of a map": lambda: rmverify.output_law(HEUN, TwoGaussians(2 / 3)),
    "law on the line": lambda: rmverify.output_law(MIDPOINTS, TwoGaussians(2 / 3)),
    "law of shared midpoints": lambda: rmverify.output_law(MIDPOINTS, Product(TwoGaussians(2 / 3), 7)),
    "flow": lambda: laws.kinetic_flow(np.arange(500.0), 1.0, 0.1),
    "kinetic law": lambda: laws.kinetic_law(np.sin, 1 / 3, 1 / 7, 0.1, 2.0),
}


@pytest.mark.parametrize("what", SHOWN)
def test_what_a_prompt_shows_is_one_short_line(what):
    shown = repr(SHOWN[what]())
    assert len(shown) <= 200
    assert not re.search(r"0x[0-9a-f]{6}|object at|\n", shown)
