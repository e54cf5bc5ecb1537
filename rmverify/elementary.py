r"""The functions that a step may use, each over every kind of number.

A scheme is written once; this room makes that possible. Every function takes ONE argument and looks at its
type: Python numbers, arrays of the array API (NumPy's own and NumPy arrays of objects included), sympy
expressions, python-flint balls (``arb``, ``acb``, ``arb_series``) and mpmath numbers. Whatever cancels
inside a step cancels here and nowhere else:

========================  =====================================================================
``expm1(z)``              e^z - 1
``phi1, phi2, phi3(z)``   phi_k(z) = sum_n z^n/(n+k)!; phi_1 = (e^z-1)/z, phi_{k+1} = (phi_k-1/k!)/z
``log1p(z)``              ln(1+z)
``log1p_minus(z)``        ln(1+z) - z
``total(z)``              the sum over the leading axis
``prefix(z)``             the sums of the entries before each one, over the leading axis (exclusive)
``joined(*parts)``        arrays one after the other along their leading axes
``split(z, count)``       so many equal parts of the leading axis, in a list
``like(c, x)``            the constant c in x's namespace, dtype and device
========================  =====================================================================

sympy, python-flint and mpmath are registered when the first number of theirs arrives, so that importing this
room imports none of them.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from functools import partial, singledispatch
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from rmverify.numbers.backends import settled

__all__ = [
    "exp", "expm1", "joined", "like", "log1p", "log1p_minus", "phi1", "phi2", "phi3", "prefix", "split", "sqrt",
    "total",
]  # fmt: skip

_TERMS = 19  # 1/19! < 2^-56: the Taylor series of phi_k inside the unit disc
_ATANH_TERMS = 17  # (1/9)^17 < 2^-53: log1p(z) for |z| <= 1/2 as 2 atanh(z/(2+z))
_PHI = {k: tuple(1 / math.factorial(n + k) for n in range(_TERMS)) for k in (1, 2, 3)}
_ATANH = tuple(1 / (2 * n + 3) for n in range(_ATANH_TERMS))


def _dispatcher(name: str, summary: str) -> Any:
    """A singledispatch function whose fallback registers the library that the argument comes from."""

    def fallback(z: Any) -> Any:
        library = type(z).__module__.split(".")[0]
        if library in _LATE:
            _LATE.pop(library)()
            return dispatch(z)
        if is_array_api_obj(z):
            return settled(on_array(z, array_namespace(z)))
        raise TypeError(
            f"{name}: expected a number, an array, a sympy expression, a ball or an mpmath number, got "
            f"{type(z).__name__}; a scheme may apply it to t, h and its own draws, not to the state"
        )

    def on_array(z: Any, xp: Any) -> Any:
        return _ON_ARRAYS[name](xp.astype(z, xp.float64) if xp.isdtype(z.dtype, "integral") else z, xp)

    fallback.__name__ = fallback.__qualname__ = name
    fallback.__doc__ = summary
    dispatch = singledispatch(fallback)

    def on_numpy(z: Any) -> Any:
        if z.dtype == object:
            return np.asarray(np.frompyfunc(dispatch, 1, 1)(z), dtype=object)
        return on_array(z, np)

    dispatch.register(np.ndarray, on_numpy)
    dispatch.register(np.generic, lambda z: on_array(z, np)[()])
    return dispatch


# --- arrays -------------------------------------------------------------------------------------------------


def _horner(coefficients: Sequence[float], z: Any) -> Any:
    value = 0 * z + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        value *= z  # in place where z is an array: the temporaries are what this costs
        value += c
    return value


def _phi_recursion(k: int, z: Any, expm1_z: Any) -> Any:
    value = expm1_z / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value


def _phi_array(k: int, z: Any, xp: Any) -> Any:
    small = xp.abs(z) < 1
    far = xp.where(small, xp.ones_like(z), z)
    near = _horner(_PHI[k], xp.where(small, z, xp.zeros_like(z)))
    return xp.where(small, near, _phi_recursion(k, far, xp.expm1(far)))


def log1p_array(z: Any) -> Any:
    """ln(1+z) of a NumPy array; for complex numbers by hypot and arctan2, which are several times faster."""
    if z.dtype.kind != "c":
        return np.log1p(z)
    value = np.empty_like(z)
    x = 1 + z.real
    value.real = np.log(np.hypot(x, z.imag))
    value.imag = np.arctan2(z.imag, x)
    return value


def _log1p_minus_near(z: Any, terms: int = _ATANH_TERMS) -> Any:
    """-z w + 2 w^3 (1/3 + w^2/5 + ...), w = z/(2+z), for |z| <= 1/2."""
    w = z / (2 + z)
    square = w * w
    value = _horner(_ATANH[:terms], square)
    value *= 2 * square
    value -= z
    value *= w
    return value


def log1p_minus_array(z: Any) -> Any:
    """ln(1+z) - z of a NumPy array: each entry by the formula of its own region, with no more terms of the series than
    the largest needs."""
    near = np.abs(z) <= 0.5 if z.dtype.kind == "f" else np.abs(z.real) + np.abs(z.imag) <= 0.5
    value = np.empty_like(z)
    close = z if near.all() else z[near]
    largest = float(np.abs(close).max(initial=0.0)) ** 2 / 2.25  # |w|^2 <= |z|^2/(2-|z|)^2
    terms = min(_ATANH_TERMS, 2 + int(37.0 / -math.log(largest))) if largest > 0 else 1
    if close is z:
        return _log1p_minus_near(z, terms)
    value[near] = _log1p_minus_near(close, terms)
    far = z[~near]
    value[~near] = log1p_array(far) - far
    return value


def _log1p_minus_array(z: Any, xp: Any) -> Any:
    if xp is np and z.ndim:
        return log1p_minus_array(z)
    near = xp.abs(z) <= 0.5
    far = xp.where(near, xp.ones_like(z), z)
    return xp.where(near, _log1p_minus_near(xp.where(near, z, xp.zeros_like(z))), xp.log1p(far) - far)


def _log1p_complex(z: Any, xp: Any) -> Any:
    """NumPy's own loses the real part of a small number to the square of its imaginary one."""
    near = xp.abs(z) <= 0.5
    close = xp.where(near, z, xp.zeros_like(z))
    return xp.where(near, close + _log1p_minus_near(close), xp.log(1 + xp.where(near, xp.ones_like(z), z)))


_ON_ARRAYS: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda z, xp: xp.exp(z),
    "expm1": lambda z, xp: xp.expm1(z),
    "sqrt": lambda z, xp: xp.sqrt(z),
    "log1p": lambda z, xp: _log1p_complex(z, xp) if xp.isdtype(z.dtype, "complex floating") else xp.log1p(z),
    "phi1": partial(_phi_array, 1),
    "phi2": partial(_phi_array, 2),
    "phi3": partial(_phi_array, 3),
    "log1p_minus": _log1p_minus_array,
}

exp = _dispatcher("exp", "e^z.")
expm1 = _dispatcher("expm1", "e^z - 1, accurate near 0.")
sqrt = _dispatcher("sqrt", "The square root.")
phi1 = _dispatcher("phi1", "(e^z - 1)/z, 1 at 0.")
phi2 = _dispatcher("phi2", "(e^z - 1 - z)/z^2, 1/2 at 0.")
phi3 = _dispatcher("phi3", "(e^z - 1 - z - z^2/2)/z^3, 1/6 at 0.")
log1p = _dispatcher("log1p", "ln(1+z), accurate near 0.")
log1p_minus = _dispatcher("log1p_minus", "ln(1+z) - z, accurate near 0.")


def _register(
    *types: type, exp: Any, expm1: Any, sqrt: Any, log1p: Any, log1p_minus: Any, phi: Callable[[int, Any], Any]
) -> None:  # fmt: skip
    """What every function is on numbers of these types; phi_k(z) is phi(k, z)."""
    for function, here in zip(_FUNCTIONS, (exp, expm1, sqrt, log1p, log1p_minus), strict=True):
        for kind in types:
            function.register(kind, here)
    for k, function in enumerate((phi1, phi2, phi3), 1):
        for kind in types:
            function.register(kind, partial(phi, k))


_FUNCTIONS = exp, expm1, sqrt, log1p, log1p_minus


# --- Python numbers -----------------------------------------------------------------------------------------


def _phi_number(k: int, z: complex) -> complex:
    if abs(z) < 1:
        return complex(_horner(_PHI[k], z)) if isinstance(z, complex) else float(_horner(_PHI[k], z))
    expm1_z = complex(np.expm1(z)) if isinstance(z, complex) else math.expm1(z)
    return _phi_recursion(k, z, expm1_z)  # type: ignore[no-any-return]


def _log1p_minus_number(z: complex) -> complex:
    if abs(z) <= 0.5:
        return _log1p_minus_near(z)  # type: ignore[no-any-return]
    return cmath.log(1 + z) - z if isinstance(z, complex) else math.log1p(z) - z


_register(int, float, exp=math.exp, expm1=math.expm1, sqrt=math.sqrt, log1p=math.log1p,
          log1p_minus=_log1p_minus_number, phi=_phi_number)  # fmt: skip
_register(complex, exp=cmath.exp, expm1=lambda z: complex(np.expm1(z)), sqrt=cmath.sqrt,
          log1p=lambda z: z + _log1p_minus_near(z) if abs(z) <= 0.5 else cmath.log(1 + z),
          log1p_minus=_log1p_minus_number, phi=_phi_number)  # fmt: skip


# --- libraries that arrive with their first number ----------------------------------------------------------


def _register_sympy() -> None:
    import sympy as sp

    def phi(k: int, z: Any) -> Any:
        if z.is_zero:
            return sp.Rational(1, math.factorial(k))
        return (sp.exp(z) - sum(z**j / sp.factorial(j) for j in range(k))) / z**k

    _register(sp.Basic, exp=sp.exp, expm1=lambda z: sp.exp(z) - 1, sqrt=sp.sqrt,
              log1p=lambda z: sp.log(1 + z), log1p_minus=lambda z: sp.log(1 + z) - z, phi=phi)  # fmt: skip


def _register_mpmath() -> None:
    import mpmath
    from mpmath.ctx_mp_python import _mpc, _mpf

    _register(_mpf, _mpc, exp=mpmath.exp, expm1=mpmath.expm1, sqrt=mpmath.sqrt, log1p=mpmath.log1p,
              log1p_minus=lambda z: -z * z / 2 * mpmath.hyp2f1(1, 2, 3, -z),
              phi=lambda k, z: mpmath.hyp1f1(1, k + 1, z) / math.factorial(k))  # fmt: skip


def _register_flint() -> None:
    from flint import acb, arb, arb_series

    # phi_k^{(n)}(z)/n! = 1F1(n+1; n+k+1; z)/(n+k)!: entire, so a ball around 0 is as good as any other
    def taylor(k: int, n: int, z: Any) -> Any:
        return z.hypgeom_1f1(type(z)(n + 1), type(z)(n + k + 1)) / math.factorial(n + k)

    def phi_series(k: int, z: Any) -> Any:
        length = z.prec
        base = z[0]
        rise = z - arb_series([base], prec=length)
        value = arb_series([0], prec=length)
        for n in reversed(range(length)):
            value = value * rise + arb_series([taylor(k, n, base)], prec=length)
        return value

    def expm1_series(z: Any) -> Any:
        return arb_series([z[0].expm1(), *z.exp().coeffs()[1:]], prec=z.prec)

    def log1p_series(z: Any) -> Any:
        return arb_series([z[0].log1p(), *(1 + z).log().coeffs()[1:]], prec=z.prec)

    def log1p_minus_series(z: Any) -> Any:
        return arb_series([log1p_minus(z[0]), *((1 + z).log() - z).coeffs()[1:]], prec=z.prec)

    methods = {"exp": lambda z: z.exp(), "sqrt": lambda z: z.sqrt()}
    _register(arb, acb, **methods, expm1=lambda z: z.expm1(), log1p=lambda z: z.log1p(),
              log1p_minus=lambda z: -z * z / 2 * (-z).hypgeom_2f1(type(z)(1), type(z)(2), type(z)(3)),
              phi=lambda k, z: taylor(k, 0, z))  # fmt: skip
    _register(arb_series, **methods, expm1=expm1_series, log1p=log1p_series, log1p_minus=log1p_minus_series,
              phi=phi_series)  # fmt: skip


_LATE: dict[str, Callable[[], None]] = {
    "sympy": _register_sympy,
    "mpmath": _register_mpmath,
    "flint": _register_flint,
}


# --- sums over the leading axis, and constants --------------------------------------------------------------


@singledispatch
def total(z: Any) -> Any:
    """The sum over the leading (strata or cells) axis."""
    return array_namespace(z).sum(z, axis=0)


@total.register(np.ndarray)
def _(z: np.ndarray[Any, Any]) -> Any:
    return z.sum(axis=0)


@singledispatch
def prefix(z: Any) -> Any:
    """The exclusive running sum over the leading axis: entry i is the sum of the entries before i.

    Examples
    --------
    >>> import numpy as np
    >>> prefix(np.array([1.0, 2.0, 4.0])).tolist()
    [0.0, 1.0, 3.0]
    """
    xp = array_namespace(z)
    return xp.concat([xp.zeros_like(z[:1, ...]), xp.cumulative_sum(z, axis=0)[:-1, ...]], axis=0)


@prefix.register(np.ndarray)
def _(z: np.ndarray[Any, Any]) -> Any:
    if z.dtype == object or len(z) > z[:1].size:
        return np.concatenate([0 * z[:1], np.add.accumulate(z, axis=0)[:-1]])
    sums = np.zeros_like(z)  # row by row, the same sums much faster where rows are long
    for n in range(1, len(z)):
        np.add(sums[n - 1], z[n - 1], out=sums[n])
    return sums


@singledispatch
def joined(*parts: Any) -> Any:
    """The parts, each with a leading axis, one after the other along it.

    Examples
    --------
    >>> import numpy as np
    >>> joined(np.array([1.0, 2.0]), np.array([4.0])).tolist()
    [1.0, 2.0, 4.0]
    """
    return array_namespace(parts[0]).concat(list(parts), axis=0)


@joined.register(np.ndarray)
def _(*parts: np.ndarray[Any, Any]) -> Any:
    return np.concatenate(parts)


def split(z: Any, count: int) -> list[Any]:
    """What `joined` joined: `count` equal parts of the leading axis.

    Examples
    --------
    >>> import numpy as np
    >>> [part.tolist() for part in split(np.array([1.0, 2.0, 4.0, 8.0]), 2)]
    [[1.0, 2.0], [4.0, 8.0]]
    """
    return [part_of(z, count, k) for k in range(count)]


@singledispatch
def part_of(z: Any, count: int, k: int) -> Any:
    """Part k of `count` equal ones of the leading axis."""
    size = z.shape[0] // count
    return z[k * size : (k + 1) * size, ...]


def like(constant: Any, x: Any) -> Any:
    """The constant as an array of x's namespace, dtype and device; unchanged where x is not a numeric array."""
    if isinstance(constant, int | float | complex):
        return constant
    if isinstance(x, np.ndarray):
        return constant if x.dtype == object else np.asarray(constant, dtype=x.dtype)
    if not is_array_api_obj(x):
        return constant
    writable = np.array(constant)  # PyTorch warns of arrays that it could write into but may not
    return array_namespace(x).asarray(writable, dtype=x.dtype, device=device(x))
