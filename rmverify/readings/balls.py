"""The border between floats and balls: what crosses it crosses here, exactly, or is refused.

A scheme runs over balls (`arb`, `acb`) or jets (`arb_series`) once its parameters, t, h, its state, its draws and what
its score returns are lifted: then no float meets a float on the way, and no rounding escapes a ball.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rmverify.readings.affine import AffineForm
from rmverify.schemes.contract import Draw, Scheme, Score, missing_parameters, parameters, unwrap

__all__ = ["lift", "lift_scheme", "precision"]


class Whole(int):
    """An int whose sums and products are such ints and whose quotients are balls: 1/3 is no float here."""

    def __truediv__(self, other: Any) -> Any:
        return _ball("divisor", self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return (_ball("dividend", other) if isinstance(other, int | float) else other) / _ball("divisor", self)

    def __pow__(self, power: Any, modulus: Any = None) -> Any:
        if isinstance(power, int) and power >= 0:
            return Whole(int.__pow__(self, power, modulus))
        return _ball("base", self) ** power


def _whole(name: str) -> Callable[[int, Any], Any]:
    operation = getattr(int, name)

    def apply(self: int, other: Any) -> Any:
        result = operation(self, other)
        return result if result is NotImplemented else Whole(result)

    return apply


for _name in ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__"):
    setattr(Whole, _name, _whole(_name))


@functools.cache
def _types() -> tuple[Any, ...]:
    """Balls and jets; imported when they are first asked for, and an import in a loop of millions is not free."""
    from flint import acb, acb_series, arb, arb_series

    return arb, acb, arb_series, acb_series


def _ball(name: str, value: Any) -> Any:
    """One number as a ball of radius 0; balls and jets pass."""
    arb, acb, *_ = types = _types()
    if isinstance(value, types):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return arb(int(value))
    if isinstance(value, float | np.float16 | np.float32) and math.isfinite(float(value)):
        return arb(float(value))
    if isinstance(value, complex | np.complex64) and np.isfinite(value):
        return acb(float(value.real), float(value.imag))
    if _is_ball(value):
        return value
    raise TypeError(f"{name}: only finite floats, integers and balls have an exact ball, got {value!r}")


def _is_ball(value: Any) -> bool:
    """A ball, a jet, or what this package makes of them (marked `over_balls`)."""
    return isinstance(value, _types()) or hasattr(value, "over_balls")


def lift(values: Any, name: str = "values") -> Any:
    """Numbers as an object array of balls of radius 0; balls and jets pass.

    Raises
    ------
    TypeError
        Where a number is not finite or of a type that has no exact ball (a Fraction, an extended float, a symbol).

    Examples
    --------
    >>> lift([0.5, 2]).tolist()
    [0.500000000000000, 2.00000000000000]
    """
    if _is_ball(values):
        array = np.empty((), dtype=object)
        array[()] = values
        return array
    return np.asarray(np.frompyfunc(functools.partial(_ball, name), 1, 1)(np.asarray(values)), dtype=object)


def _lifted(name: str, value: Any) -> Any:
    """A state, a level, a draw: numbers, arrays, affine forms, or tuples of them."""
    if isinstance(value, tuple | list):
        return type(value)(_lifted(name, each) for each in value)
    if isinstance(value, AffineForm):
        return value.map(functools.partial(_lifted, name))
    return lift(value, name)[()]


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return Whole(value)
    return _ball(name, value)


def _over(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **keywords: _lifted(name, function(*given, **keywords))


class _Draw:
    """The draws of another reading, as balls."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def __getattr__(self, kind: str) -> Any:
        return _over(f"draw.{kind}", getattr(self._draw, kind))


def lift_scheme(scheme: Scheme) -> Scheme:
    """The scheme over balls: every parameter, t, h, the state, the draws and the scores are lifted before they meet.

    Floats become balls of radius 0, balls and jets pass, whole parameters stay integers whose quotients are balls.
    Literals inside a scheme stand for the floats they are; they meet balls only.

    Raises
    ------
    TypeError
        Where a parameter is missing; where something has no exact ball, with its name.

    Examples
    --------
    >>> from rmverify.schemes import exponential_integrator
    >>> step = lift_scheme(exponential_integrator)
    >>> step(1.0, 2.0, 0.25, lambda t, x: -x, None).contains(1)
    True
    """
    step, _ = unwrap(scheme)
    missing = missing_parameters(scheme)
    if missing:
        raise TypeError(f"{getattr(step, '__name__', 'scheme')}: missing parameters {', '.join(missing)}")
    bound = {name: _parameter(name, value) for name, value in parameters(scheme).items()}

    @functools.wraps(step)
    def over_balls(state: Any, t: Any, h: Any, score: Score, draw: Draw, **keywords: Any) -> Any:
        t, h = _lifted("t", t), _lifted("h", h)
        return step(_lifted("state", state), t, h, _over("score", score), _Draw(draw), **keywords)

    over_balls.lifted = step  # type: ignore[attr-defined]
    return functools.partial(over_balls, **bound)


@contextlib.contextmanager
def precision(bits: int, terms: int | None = None) -> Iterator[None]:
    """flint's precision, and its length of series, for this block; flint is loaded when it begins."""
    from flint import ctx

    before = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = bits, ctx.cap if terms is None else terms
    try:
        yield
    finally:
        ctx.prec, ctx.cap = before
