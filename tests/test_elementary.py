"""The functions of a step, over every kind of number, against textbook formulas at 120 digits."""

from __future__ import annotations

import cmath
import math
import subprocess
import sys

import array_api_strict
import flint
import mpmath
import numpy as np
import pytest
import sympy
from flint import acb, arb, arb_series
from hypothesis import given
from hypothesis import strategies as st

from rmverify import elementary
from rmverify.readings.affine import AffineForm
from rmverify.schemes.langevin import kinetic_noise

DIGITS = 120  # the textbook phi_3 cancels 36 of them at z = 1e-12; more than 60 remain


def textbook_phi(k, z):
    return (mpmath.exp(z) - sum(z**j / mpmath.factorial(j) for j in range(k))) / z**k


TEXTBOOK = {
    "exp": mpmath.exp,
    "expm1": lambda z: mpmath.exp(z) - 1,
    "sqrt": mpmath.sqrt,
    "phi1": lambda z: textbook_phi(1, z),
    "phi2": lambda z: textbook_phi(2, z),
    "phi3": lambda z: textbook_phi(3, z),
    "log1p": lambda z: mpmath.log(1 + z),
    "log1p_minus": lambda z: mpmath.log(1 + z) - z,
}
AT_ZERO = {"exp": 1, "expm1": 0, "sqrt": 0, "phi1": 1, "phi2": 1 / 2, "phi3": 1 / 6, "log1p": 0, "log1p_minus": 0}
NAMES = sorted(TEXTBOOK)
ENTIRE = ["exp", "expm1", "phi1", "phi2", "phi3"]

SIZES = [10.0**e for e in np.linspace(-12, math.log10(50), 61)]
EDGES = [0.5, 1.0, 2.0, np.nextafter(0.5, 0), np.nextafter(0.5, 1), np.nextafter(1, 0), np.nextafter(1, 2)]
REALS = [sign * float(size) for size in [*SIZES, *EDGES] for sign in (1, -1)]
COMPLEX = [complex(cmath.rect(size, 0.1 + k * math.pi / 8)) for size in [*SIZES[::3], *EDGES] for k in range(16)]


def reference(name, z):
    """The textbook formula at the very number z."""
    with mpmath.workdps(DIGITS):
        return TEXTBOOK[name](mpmath.mpmathify(z))


def kind(value):
    """A test's name that does not hold an address."""
    return type(value).__name__


def inside(name, z):
    """Whether a real z lies in the domain of the function."""
    return not (name == "sqrt" and z < 0) and not (name.startswith("log1p") and z <= -1)


def reals(name):
    return [z for z in REALS if inside(name, z)]


def assert_near(value, expected, relative):
    with mpmath.workdps(DIGITS):
        got = mpmath.mpmathify(value)
        assert abs(got - expected) <= relative * abs(expected), (value, mpmath.nstr(expected, 20))


# ------------------------------------------------------------------- floating point


@pytest.mark.parametrize("name", NAMES)
def test_python_float_keeps_thirteen_digits(name):
    for z in reals(name):
        value = getattr(elementary, name)(z)
        assert type(value) is float
        assert_near(value, reference(name, z), 1e-13)


@given(exponent=st.floats(-12, math.log10(50)), sign=st.sampled_from([1, -1]), name=st.sampled_from(NAMES))
def test_python_float_keeps_thirteen_digits_anywhere(exponent, sign, name):
    z = sign * 10**exponent
    if inside(name, z):
        assert_near(getattr(elementary, name)(z), reference(name, z), 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_python_complex_keeps_thirteen_digits(name):
    for z in COMPLEX:
        value = getattr(elementary, name)(z)
        assert type(value) is complex
        assert_near(value, reference(name, z), 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_python_integers_are_numbers(name):
    for z in (1, 2, 3):
        assert_near(getattr(elementary, name)(z), reference(name, z), 1e-13)
    assert getattr(elementary, name)(0) == AT_ZERO[name]


@pytest.mark.parametrize("kind", [np.float64, np.complex128, complex, float, mpmath.mpf, arb, acb, sympy.Integer])
@pytest.mark.parametrize("name", NAMES)
def test_value_at_zero(name, kind):
    value = getattr(elementary, name)(kind(0))
    if isinstance(value, arb | acb):
        assert value.contains(arb(1) / 6 if name == "phi3" else arb(AT_ZERO[name]))
        assert value.real.rad() < 1e-14
    elif isinstance(value, sympy.Basic):
        assert value == sympy.nsimplify(AT_ZERO[name], rational=True)
    else:
        assert abs(complex(value) - AT_ZERO[name]) <= 1e-15


@pytest.mark.parametrize("name", NAMES)
def test_real_arrays_keep_thirteen_digits_and_their_dtype(name, xp):
    points = np.array(reals(name))
    z = xp.asarray(points.reshape(-1, 2) if points.size % 2 == 0 else points.reshape(-1, 1), dtype=xp.float64)
    value = getattr(elementary, name)(z)
    assert type(value) is type(z)
    assert value.dtype == z.dtype
    assert value.shape == z.shape
    for point, entry in zip(points, np.asarray(value).ravel(), strict=True):
        assert_near(float(entry), reference(name, float(point)), 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_complex_arrays_keep_thirteen_digits_and_their_dtype(name, xp):
    z = xp.asarray(np.array(COMPLEX), dtype=xp.complex128)
    value = getattr(elementary, name)(z)
    assert value.dtype == z.dtype
    for point, entry in zip(COMPLEX, np.asarray(value), strict=True):
        assert_near(complex(entry), reference(name, point), 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_stays_single(name, xp):
    points = [z for z in map(float, np.array(REALS, dtype=np.float32)) if inside(name, z)]
    z = xp.asarray(np.array(points, dtype=np.float32))
    value = getattr(elementary, name)(z)
    assert value.dtype == xp.float32
    for point, entry in zip(points, np.asarray(value), strict=True):
        assert_near(float(entry), reference(name, point), 32 * 2.0**-24)  # 32 roundings of float32


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", NAMES)
def test_numpy_scalars_keep_their_dtype(name, kind):
    value = getattr(elementary, name)(kind(0.375))
    assert value.dtype == np.dtype(kind)
    assert_near(complex(value), reference(name, 0.375), 32 * float(np.finfo(kind).eps))


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_zero_dimensional_arrays(name, xp):
    assert getattr(elementary, name)(xp.asarray(np.zeros((0, 3)))).shape == (0, 3)
    value = getattr(elementary, name)(xp.asarray(np.array(0.25)))
    assert value.shape == ()
    assert_near(float(value), reference(name, 0.25), 1e-13)


@pytest.mark.parametrize("name", ["phi1", "phi2", "phi3", "log1p", "log1p_minus"])
@pytest.mark.parametrize("module", [np, array_api_strict])
def test_integer_arrays_give_real_numbers(name, module):
    for point, entry in zip((1, 2, 3), getattr(elementary, name)(module.asarray([1, 2, 3])), strict=True):
        assert_near(float(entry), reference(name, point), 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_arrays_are_not_written_to(name):
    z = np.array([0.25, 2.0, 1e-9])
    before = z.copy()
    getattr(elementary, name)(z)
    np.testing.assert_array_equal(z, before)


# ------------------------------------------------------------------- kinetic noise


def textbook_noise(friction, h, mass=1):
    """(Var W_v, Cov, Var W_x) of dv = -g v dt + sqrt(2 g u) dB, dx = v dt, in closed form."""
    with mpmath.workdps(DIGITS):
        g, t, u = map(mpmath.mpf, (friction, h, mass))
        e = mpmath.exp(-g * t)
        return u * (1 - e**2), u * (1 - e) ** 2 / g, u * (2 * t - (3 - 4 * e + e**2) / g) / g


def entries(covariance):
    (v_v, v_x), (x_v, x_x) = covariance
    assert v_x.overlaps(x_v) if isinstance(v_x, arb) else np.asarray(v_x == x_v).all()
    return v_v, v_x, x_x


# z = g h is rounded before it is used: at z = 50 each e^{-z} then carries 50 * 2^-53, far inside 1e-13
@given(
    exponent=st.floats(-12, math.log10(50)),
    friction=st.floats(-3, 3).map(lambda e: 10**e),
    mass=st.floats(-3, 3).map(lambda e: 10**e),
)
def test_kinetic_noise_keeps_thirteen_digits(exponent, friction, mass):
    h = 10**exponent / friction
    for value, expected in zip(
        entries(kinetic_noise(h, friction, mass)), textbook_noise(friction, h, mass), strict=True
    ):
        assert_near(value, expected, 1e-13)


def test_kinetic_noise_over_arrays(xp):
    steps = np.array([10.0**e for e in np.linspace(-12, math.log10(25), 40)])
    rows = [textbook_noise(2, float(h), 3) for h in steps]
    for dtype, bound in ((xp.float64, 1e-13), (xp.float32, 64 * 2.0**-24)):
        h = xp.asarray(steps, dtype=dtype)
        exact = rows if dtype == xp.float64 else [textbook_noise(2, float(s), 3) for s in np.asarray(h)]
        for k, value in enumerate(entries(kinetic_noise(h, 2, 3))):
            assert value.dtype == dtype
            for row, entry in zip(exact, np.asarray(value), strict=True):
                if abs(row[k]) > 1e-30:  # float32 has nothing below
                    assert_near(float(entry), row[k], bound)


def test_kinetic_noise_in_symbols_is_the_closed_form():
    g, h, u = sympy.symbols("g h u", positive=True)
    e = sympy.exp(-g * h)
    closed = (u * (1 - e**2), u * (1 - e) ** 2 / g, u * (2 * h - (3 - 4 * e + e**2) / g) / g)
    for value, expected in zip(entries(kinetic_noise(h, g, u)), closed, strict=True):
        assert sympy.simplify(sympy.expand(value - expected)) == 0


def test_kinetic_noise_in_balls_contains_the_closed_form():
    flint.ctx.prec = 128
    for z in (1e-12, 1e-6, 1e-2, 1.0, 50.0):
        balls = entries(kinetic_noise(arb(z) / 2, arb(2), arb(1)))
        for ball, expected in zip(balls, textbook_noise(2, z / 2), strict=True):
            assert ball.contains(at_higher_precision(expected))
            assert float(ball.rad()) <= 1e-25 * float(abs(expected))


# ------------------------------------------------------------------- balls


def at_higher_precision(number):
    """An mpmath number as a ball of 200 bits."""
    before = flint.ctx.prec
    flint.ctx.prec = 200
    try:
        if isinstance(number, mpmath.mpc):
            return acb(arb(mpmath.nstr(number.real, 100)), arb(mpmath.nstr(number.imag, 100)))
        return arb(mpmath.nstr(number, 100))
    finally:
        flint.ctx.prec = before


@pytest.mark.parametrize("name", NAMES)
def test_real_balls_contain_the_value_and_are_small(name):
    flint.ctx.prec = 128
    for text in ("1e-12", "-1e-12", "0.001", "-0.3", "0.7", "-0.999", "1.5", "20", "-20", "50", "-50"):
        if not inside(name, float(text)):
            continue
        with mpmath.workdps(DIGITS):
            expected = TEXTBOOK[name](mpmath.mpf(text))
        ball = getattr(elementary, name)(arb(text))
        assert isinstance(ball, arb)
        assert ball.contains(at_higher_precision(expected))
        assert float(ball.rad()) <= 1e-25 * float(abs(expected))  # 13 of the 38 digits may go


@pytest.mark.parametrize("name", NAMES)
def test_complex_balls_contain_the_value_and_are_small(name):
    flint.ctx.prec = 128
    for z in (1e-12 + 1e-12j, -1e-6j, 0.5 - 0.25j, -2 + 3j, 10 - 20j, -30 + 4j):
        expected = reference(name, z)
        ball = getattr(elementary, name)(acb(z.real, z.imag))
        assert isinstance(ball, acb)
        assert ball.contains(at_higher_precision(expected))
        assert max(float(ball.real.rad()), float(ball.imag.rad())) <= 1e-25 * float(abs(expected))


# f(B(0, r)) has radius at least r |f'(0)|; four times the largest slope on it is allowed
@pytest.mark.parametrize("name", [*ENTIRE, "log1p", "log1p_minus"])
@pytest.mark.parametrize("radius", [1e-20, 1e-3, 0.25])
def test_a_ball_around_zero_is_enclosed_without_division(name, radius):
    flint.ctx.prec = 128
    ball = getattr(elementary, name)(arb(0, radius))
    assert ball.is_finite()
    radius = float(arb(0, radius).rad())
    steepest = 0.0
    for fraction in (-1, -0.5, 0.25, 1):
        z = fraction * radius
        assert ball.contains(at_higher_precision(reference(name, z)))
        with mpmath.workdps(DIGITS):
            steepest = max(steepest, float(abs(mpmath.diff(TEXTBOOK[name], mpmath.mpf(z)))))
    assert ball.contains(arb(1) / 6 if name == "phi3" else arb(AT_ZERO[name]))
    assert float(ball.rad()) <= 4 * steepest * radius + 1e-30


@pytest.mark.parametrize("name", ENTIRE)
@pytest.mark.parametrize("base", ["0", "0.001", "-0.5", "3"])
def test_power_series_of_balls_have_the_taylor_coefficients(name, base):
    """f(c + 2x) = sum_n f^(n)(c)/n! 2^n x^n, f^(n) from the power series of the exponential."""
    flint.ctx.prec = 128
    shift = {"exp": 0, "expm1": 0, "phi1": 1, "phi2": 2, "phi3": 3}[name]
    with mpmath.workdps(DIGITS):
        c = mpmath.mpf(base)

        def coefficient(n):
            lowest = 1 if name == "expm1" and n == 0 else 0
            terms = (
                mpmath.binomial(m, n) * c ** (m - n) / mpmath.factorial(m + shift) for m in range(max(n, lowest), 150)
            )
            return mpmath.fsum(terms) * 2**n

        expected = [coefficient(n) for n in range(6)]
    series = getattr(elementary, name)(arb_series([arb(base), 2], prec=6))
    assert isinstance(series, arb_series)
    assert series.prec >= 6
    for n, value in enumerate(expected):
        assert series[n].contains(at_higher_precision(value)), n
        assert float(series[n].rad()) <= 1e-25 * max(1.0, float(abs(value)))


@pytest.mark.parametrize("name, first", [("log1p", 1), ("log1p_minus", 0)])
def test_power_series_of_the_logarithm(name, first):
    """ln(1 + x) = x - x^2/2 + x^3/3 - x^4/4 + ..."""
    series = getattr(elementary, name)(arb_series([0, 1], prec=5))
    for n, value in enumerate([arb(0), arb(first), arb(-1) / 2, arb(1) / 3, arb(-1) / 4]):
        assert series[n].overlaps(value)
        assert float(series[n].rad()) <= 1e-14


def test_power_series_over_a_box_contain_every_point_of_it():
    """The base point may be a box: with it the Taylor coefficients hold at each of its points."""
    series = elementary.phi2(arb_series([arb(0.05, 0.05), 1], prec=4))
    for point in ("0.0001", "0.02", "0.0999"):
        with mpmath.workdps(DIGITS):
            c = mpmath.mpf(point)
            for n in range(4):
                value = mpmath.fsum(
                    mpmath.binomial(m, n) * c ** (m - n) / mpmath.factorial(m + 2) for m in range(n, 60)
                )
                assert series[n].contains(at_higher_precision(value))
                assert float(series[n].rad()) <= 0.2 * float(value)


# ------------------------------------------------------------------- symbols, mpmath


@pytest.mark.parametrize("name", NAMES)
def test_symbols_give_the_textbook_formula(name):
    z = sympy.symbols("z", positive=True)
    phis = {k: (sympy.exp(z) - sum(z**j / sympy.factorial(j) for j in range(k))) / z**k for k in (1, 2, 3)}
    textbook = {
        "exp": sympy.exp(z),
        "expm1": sympy.exp(z) - 1,
        "sqrt": sympy.sqrt(z),
        "log1p": sympy.log(1 + z),
        "log1p_minus": sympy.log(1 + z) - z,
        **{f"phi{k}": value for k, value in phis.items()},
    }
    value = getattr(elementary, name)(z)
    assert isinstance(value, sympy.Basic)
    assert sympy.simplify(value - textbook[name]) == 0
    assert not value.atoms(sympy.Float)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("z", [sympy.Rational(1, 3), sympy.Integer(2), sympy.pi])
def test_exact_numbers_stay_exact(name, z):
    value = getattr(elementary, name)(z)
    assert not value.atoms(sympy.Float)
    with mpmath.workdps(50):
        assert abs(mpmath.mpf(sympy.N(value, 50)) - TEXTBOOK[name](mpmath.mpf(sympy.N(z, 60)))) < mpmath.mpf(10) ** -45


@pytest.mark.parametrize("name", NAMES)
def test_mpmath_numbers_keep_their_precision(name):
    points = [mpmath.mpf(z) for z in reals(name)[::7]] + [mpmath.mpc(z) for z in COMPLEX[::29]]
    for z in points:
        expected = reference(name, z)
        with mpmath.workdps(60):
            value = getattr(elementary, name)(z)
        assert isinstance(value, mpmath.mpf | mpmath.mpc)
        assert_near(value, expected, mpmath.mpf(10) ** -55)


# ------------------------------------------------------------------- arrays of objects


def test_object_arrays_go_element_by_element():
    z = sympy.symbols("z")
    mixed = np.array([[z, 0.5], [arb(1), mpmath.mpf(2)]], dtype=object)
    value = elementary.exp(mixed)
    assert value.dtype == object
    assert value.shape == (2, 2)
    assert value[0, 0] == sympy.exp(z)
    assert value[0, 1] == math.exp(0.5)
    assert isinstance(value[1, 0], arb)
    assert value[1, 0].overlaps(arb(1).exp())
    assert value[1, 1] == mpmath.exp(2)


@pytest.mark.parametrize("name", NAMES)
def test_object_arrays_of_balls_contain_the_values(name):
    points = [0.25, 2.0, 30.0]
    value = getattr(elementary, name)(np.array([arb(z) for z in points], dtype=object))
    for z, ball in zip(points, value, strict=True):
        assert isinstance(ball, arb)
        assert ball.contains(at_higher_precision(reference(name, z)))
        assert float(ball.rad()) <= 1e-9 * float(abs(reference(name, z)))


def test_object_arrays_without_axes_stay_object_arrays():
    value = elementary.exp(np.array(arb(0), dtype=object))
    assert value.dtype == object
    assert value.shape == ()
    assert value[()].contains(arb(1))


# ------------------------------------------------------------------- total, prefix, like


def test_total_and_prefix_are_sums_over_the_leading_axis(xp):
    values = np.arange(24.0).reshape(4, 3, 2) ** 2
    z = xp.asarray(values)
    np.testing.assert_array_equal(np.asarray(elementary.total(z)), values[0] + values[1] + values[2] + values[3])
    before = np.asarray(elementary.prefix(z))
    assert before.shape == values.shape
    for i in range(4):
        np.testing.assert_array_equal(before[i], sum((values[j] for j in range(i)), np.zeros((3, 2))))


def test_total_and_prefix_keep_single_precision(xp):
    z = xp.asarray(np.ones((3, 2), dtype=np.float32))
    assert elementary.total(z).dtype == xp.float32
    assert elementary.prefix(z).dtype == xp.float32


def test_what_is_joined_is_split_again(xp):
    parts = [np.arange(6.0).reshape(2, 3) + k for k in range(3)]
    whole = elementary.joined(*(xp.asarray(part) for part in parts))
    np.testing.assert_array_equal(np.asarray(whole), np.concatenate(parts))
    for part, due in zip(elementary.split(whole, 3), parts, strict=True):
        np.testing.assert_array_equal(np.asarray(part), due)


def test_forms_are_joined_source_by_source():
    """A coefficient that a form has not is 0 there, and one without cells is the same in each of its form's cells."""
    cells = np.arange(2.0).reshape(2, 1, 1, 1)
    a, b = AffineForm({"x": cells, "w": 3}), AffineForm({"x": 1 + 0 * cells})
    whole = elementary.joined(a, b)
    assert {k: np.ravel(part).tolist() for k, part in whole.parts.items()} == {"x": [0, 1, 1, 1], "w": [3, 3, 0, 0]}
    first, second = elementary.split(whole, 2)
    assert np.ravel(first.parts["w"]).tolist() == [3, 3]
    assert np.ravel(second.parts["x"]).tolist() == [1, 1]


def test_total_and_prefix_of_objects():
    a, b, c = sympy.symbols("a b c")
    z = np.array([a, b, c], dtype=object)
    assert elementary.total(z) == a + b + c
    assert elementary.prefix(z).tolist() == [0, a, a + b]


def test_like_follows_the_array(xp):
    for dtype in (xp.float32, xp.float64):
        x = xp.asarray(np.ones(2), dtype=dtype)
        constant = elementary.like(np.array([0.5, 0.25]), x)
        assert type(constant) is type(x)
        assert constant.dtype == dtype
        assert np.asarray(constant).tolist() == [0.5, 0.25]
        assert elementary.like(0.5, x) == 0.5


def test_like_leaves_other_numbers_alone():
    constant = np.array([0.5])
    for x in (1.0, sympy.Symbol("x"), arb(1), np.array([arb(1)], dtype=object)):
        assert elementary.like(constant, x) is constant


# ------------------------------------------------------------------- what is refused, what is imported


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", ["1.0", None, [1.0], (1.0,), {"z": 1.0}, object(), flint.fmpz(1)], ids=kind)
def test_other_types_are_refused_by_name(name, wrong):
    with pytest.raises(TypeError) as caught:
        getattr(elementary, name)(wrong)
    message = str(caught.value)
    assert message.startswith(f"{name}: expected")
    assert f"got {type(wrong).__name__}" in message


@pytest.mark.parametrize("name", NAMES)
def test_affine_forms_are_refused_by_name(name):
    form = object.__new__(AffineForm)
    with pytest.raises(TypeError, match=f"^{name}: expected .* got AffineForm; .* not to the state"):
        getattr(elementary, name)(form)


def test_importing_the_room_imports_no_other_number_type():
    code = (
        "import sys, rmverify.elementary as e; e.exp(1.0); e.phi1(0.5);"
        "print([m for m in ('sympy', 'flint', 'mpmath') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist_and_take_one_argument():
    assert sorted(elementary.__all__) == sorted([*NAMES, "joined", "like", "prefix", "split", "total"])
