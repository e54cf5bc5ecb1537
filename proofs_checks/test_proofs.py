"""Every identity of the folder's derivations is exactly zero; every mutated one is not, as a number."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import sympy as sp
from sympy.core.function import AppliedUndef

HERE = Path(__file__).parent


def load(path):
    spec = importlib.util.spec_from_file_location(f"proof_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROOFS = {path.stem: load(path) for path in sorted(HERE.glob("*.py")) if path.stem != Path(__file__).stem}


def cases(table):
    return [
        pytest.param(check, id=f"{stem}: {name}")
        for stem, m in PROOFS.items()
        for name, check in getattr(m, table).items()
    ]


def entries(value):
    return value if isinstance(value, tuple) else (value,)


def at_a_point(expression):
    """The value at rational letters, an undefined function being 1 + z + z^2 of a weighted sum z of its arguments."""

    def polynomial(call):
        z = sum((k + 1) * argument for k, argument in enumerate(call.args))
        return 1 + z + z**2

    expression = sp.sympify(expression).replace(lambda e: isinstance(e, AppliedUndef), polynomial).doit()
    names = sorted(expression.free_symbols, key=str)
    return sp.N(expression.subs({s: sp.Rational(2 * k + 3, 2 * k + 4) for k, s in enumerate(names)}))


@pytest.mark.parametrize("identity", cases("IDENTITIES"))
@pytest.mark.slow
def test_identities_are_zero(identity):
    found = entries(identity())
    assert found
    assert all(entry == 0 for entry in found), found


@pytest.mark.parametrize("mutated", cases("MUTATED"))
@pytest.mark.slow
def test_mutated_identities_are_not(mutated):
    assert max(abs(at_a_point(entry)) for entry in entries(mutated())) > 1e-9


@pytest.mark.parametrize("module", PROOFS.values(), ids=PROOFS)
def test_every_file_says_what_it_proves(module):
    claims = (module.CLAIM,) if isinstance(module.CLAIM, str) else module.CLAIM
    assert claims
    assert all(claim in module.__doc__.splitlines()[0] for claim in claims)
    assert "Provenance:" in module.__doc__
    assert module.IDENTITIES
    assert module.MUTATED
