"""What single array libraries are given to do, as far as it can be looked at without them."""

from __future__ import annotations

import math
import shutil
import subprocess

import array_api_strict
import numpy as np
import pytest
from mutants import array_backends as mutants

from rmverify.numbers import backends, checks
from rmverify.readings import streams
from rmverify.readings.streams import Stream, threefry

KEY = 0xDEADBEEF, 0x0BADF00D
DTYPES = {"float": np.float32, "double": np.float64}


def by_element():
    """Every value by an elementwise formula is the one that pairs give: also of an odd number of places."""
    for dtype, atol in [(array_api_strict.float64, 2e-15), (array_api_strict.float32, 2e-6)]:
        like = array_api_strict.zeros(1, dtype=dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "fuses", lambda xp: True)
            values = Stream(KEY, 2**31 - 2, array_api_strict, dtype, like.device).standard_normal((400, 5))
        due = Stream(KEY, 2**31 - 2, np, np.float64, "cpu").standard_normal((400, 5))
        assert values.dtype == dtype
        # of values up to 6.8
        np.testing.assert_allclose(np.asarray(values), due, rtol=0, atol=7 * atol)


def levels_of_single_precision():
    """t - h in single precision is the end of the step to 2^-17, or the step is left to Python's numbers."""
    x = np.zeros(1, dtype=np.float32)
    for start, end, fine in [(2.0, 1.9, True), (3.0, 0.01, True), (3.0, 0.0, True), (3.0, 1e-7, False)]:
        levels, lengths = np.array([start]), np.array([start]) - np.array([end])
        assert backends._fine_enough(x, levels, lengths) == fine
        assert backends._fine_enough(x.astype(float), levels, lengths)
    assert not backends._fine_enough(x.astype(np.float16), np.array([2.0]), np.array([0.5]))


def compiled_code():
    """What was compiled is found again by its text and by the bits of its arrays, the last 32 of them."""
    kept = backends._Compiled()
    ones, zeros = np.ones(3), np.zeros(3)
    assert kept.get(("code", [ones])) is None
    kept.put(("code", [ones]), "run")
    assert kept.get(("code", [ones.copy()])) == "run"
    for other in [("code", [zeros]), ("code", [ones.astype(np.float32)]), ("code", []), ("other", [ones]),
                  ("code", [np.array([1.0, 1.0, np.nan])])]:  # fmt: skip
        assert kept.get(other) is None
    kept.put(("code", [-zeros]), "run")
    assert kept.get(("code", [zeros])) is None  # 0 and -0
    kept.put(("integers", [zeros.astype(np.int32)]), "run")
    assert kept.get(("integers", [zeros.astype(np.float32)])) is None
    for k in range(backends._KEPT):
        kept.put((f"code {k}", []), k)
        kept.get(("code 0", []))
    assert kept.get(("code", [-zeros])) is None
    kept.put(("one more", []), "run")
    assert kept.get(("code 0", [])) == 0  # asked for later than the others
    assert kept.get(("code 1", [])) is None


def arrays_of_inner_functions():
    """Constants are found wherever they are: in the code, in functions that it calls, in lists of these, in place."""

    class Closed:
        def __init__(self, consts, *equations):
            self.consts, self.jaxpr = consts, Open(*equations)

        def __str__(self):
            return "text"

    class Open:
        def __init__(self, *equations):
            self.eqns = equations

    class Equation:
        def __init__(self, invars=(), **params):
            self.invars, self.params = invars, params

    class Literal:
        def __init__(self, val):
            self.val = val

    inner = Closed([2], Equation(branches=(Closed([3]), Closed([4]))))
    code = Closed([1], Equation([Literal(5), object()], jaxpr=inner, name="f"))
    text, constants = backends._code(code)
    assert text == "text"
    assert sorted(constants) == [1, 2, 3, 4, 5]


def untraceable():
    """Only what is compiled is without numbers yet."""
    for value in (np.ones(3), np.array([math.nan]), array_api_strict.ones(3), 1.0, "one"):
        assert not backends.is_traced(value)
    with pytest.raises(ValueError, match="^t: expected finite noise levels"):
        checks.least_level(array_api_strict.asarray([math.nan]))


FACTS = {
    fact.__name__: fact for fact in (
        by_element, levels_of_single_precision, compiled_code, arrays_of_inner_functions, untraceable,
    )
}  # fmt: skip


@pytest.mark.parametrize("fact", FACTS)
def test_fact(fact):
    FACTS[fact]()


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, TypeError)):
        FACTS[mutant.killed_by]()


def test_every_fact_has_its_mutants():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)


PROGRAM = """
#include <math.h>
#include <stdio.h>
typedef %s T;
static double sinpi(double x) { return sin(3.14159265358979323846 * x); }
int main(void) {
    for (unsigned int k = 0; k < 400; ++k) {
        const unsigned int particle = 2147483646u + k, place = k %% 7, turn = k %% 2 ? 1u << 30 : 0;
        const unsigned int k0 = 0xDEADBEEFu, k1 = 0x0BADF00Du;
        T z;
        %s
        printf("%%u %%u %%.17g\\n", a, b, (double)z);
    }
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")
@pytest.mark.parametrize("kind", DTYPES)
def test_the_kernels_are_right_where_they_are_compiled_as_c(kind, tmp_path):
    (tmp_path / "kernel.c").write_text(PROGRAM % (kind, backends.WORDS + backends.NORMAL))
    subprocess.run(["cc", "kernel.c", "-o", "kernel", "-lm"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "kernel"], capture_output=True, text=True, check=True).stdout
    for k, line in enumerate(told.splitlines()):
        a, b, z = line.split()
        first, second = threefry(KEY, ((2**31 - 2 + k) % 2**32, k % 7))
        assert (int(a), int(b)) == (first, second)
        wave = math.cos if k % 2 else math.sin
        due = math.sqrt(-2 * math.log((first + 0.5) / 2**32)) * wave(2 * math.pi * second / 2**32)
        assert abs(float(z) - due) < 50 * np.finfo(DTYPES[kind]).eps
    assert k == 399
