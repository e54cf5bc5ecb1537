"""What every scheme keeps to, and how one with parameters is turned into a step.

A scheme is a top-level function ``step(state, t, h, score, draw, *, parameters)`` that returns the next state:

=======  ====================================================================================================
state    ``x``, or ``(x, v)`` where the scheme carries a velocity (``kinetic``)
t        the noise level at which the score is asked; a predictor moves it from t to t-h, a corrector keeps it
h        the step: noise level for a predictor, Langevin time for a corrector
score    ``score(t, x)``, an approximation of grad ln q_t(x)
draw     ``uniform()``, ``strata(R)``, ``bernoulli(p)``, ``exponential()``, ``cells(M)``,
         ``normal(covariance, count=None)``
=======  ====================================================================================================

What a step draws (see `Draw`) is a particle's own, the same for all of its coordinates but for the normal values.
Averages over a choice or a duration are exact; a choice or a duration that is made of a uniform (``u < p``, ``-ln u``)
has to be found by looking for where the step bends.

Nothing in a step looks at a value or at a type of its state: that is what lets one function be sampled, propagated
exactly, expanded in symbols and enclosed in balls. A step

* depends on its arguments alone: no random numbers of its own, nothing kept from one call to the next;
* treats every particle for itself, and does not change its state in place;
* returns a state of the shape and dtype that it got, and nothing else;
* carries as v a velocity of stationary law N(0, mass), which a short step leaves almost as it is;
* takes functions of t, h and its draws from `rmverify.elementary`; functions of floats (``math.exp``) lose digits where
  it is run over balls, and are refused there.

A step that is not one of this package is held against particles before a law is made of it
(`rmverify.readings.witness`): what breaks these rules is refused by name.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["SHIPPED", "Draw", "Scheme", "Score", "parameters", "scheme", "shipped", "velocity_variance"]


class Score(Protocol):
    """What a step asks for a score: ``score(t, x)``, an approximation of grad ln q_t(x) of the shape of x."""

    def __call__(self, t: Any, x: Any, /) -> Any: ...


class Draw(Protocol):
    """What a step asks for its random numbers; each reading of a scheme hands out numbers of its own kind."""

    def uniform(self) -> Any:
        """A midpoint in [0, 1]."""

    def strata(self, count: int) -> tuple[Any, Any]:
        """(lo, a) on a leading axis: one midpoint in every [lo, lo + 1/count], lo = 0, 1/count, .."""

    def bernoulli(self, p: Any) -> Any:
        """1 with probability p and 0 otherwise; p may depend on t, h and what was drawn before."""

    def exponential(self) -> Any:
        """A duration of mean 1."""

    def cells(self, count: int) -> Any:
        """0, .., count - 1 on a leading axis."""

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        """Jointly normal values shaped like x, one for each row of a 1x1 or 2x2 covariance; `count` copies of them,
        each of its own covariance where that has the leading axis of strata."""


Scheme = Callable[[Any, Any, Any, Score, Draw], Any]
"""A step whose parameters are bound: ``scheme(state, t, h, score, draw)``."""


_POSITIONAL = 5  # state, t, h, score, draw
_SMALLEST = {
    "friction": (0, False), "mass": (0, False), "strata": (1, True), "cells": (1, True), "rounds": (0, True),
    "blocks": (1, True), "fine": (1, True), "sweeps": (0, True), "slices": (1, True), "inner": (1, True),
    "power": (1, True),
}  # fmt: skip
_MOST_ROUNDS = 10**6  # of one step: they are run one after the other, and counted so


def scheme(step: Callable[..., Any] | None = None, *, kinetic: bool = False, **smallest: int) -> Any:
    """Mark a step function as a scheme, and let a call without a state bind its parameters.

    ``underdamped(friction=2)`` is a ``functools.partial(underdamped, friction=2)``: picklable, its keywords its
    configuration. Bad parameters raise ValueError there; `smallest` raises the least value of a whole one.

    Examples
    --------
    >>> from rmverify.schemes import underdamped
    >>> underdamped(friction=2), underdamped(friction=2).keywords
    (underdamped(friction=2), {'friction': 2})
    """
    if step is None:
        return lambda step: scheme(step, kinetic=kinetic, **smallest)
    defaults = _keyword_parameters(step)
    names = list(defaults)
    required = [n for n, default in defaults.items() if default is inspect.Parameter.empty]

    @functools.wraps(step)
    def call(*args: Any, **keywords: Any) -> Any:
        if len(args) == _POSITIONAL:
            return step(*args, **keywords)
        if len(args) > len(names):
            own = f"its parameters {', '.join(names)}" if names else "nothing, as it has no parameters"
            raise TypeError(
                f"{step.__name__}: call it with (state, t, h, score, draw), or with {own}; got {len(args)} arguments"
            )
        bound = dict(zip(names, args, strict=False)) | keywords
        unknown = [n for n in bound if n not in names]
        missing = [n for n in required if n not in bound]
        if unknown or missing:
            faults = [
                f"{what} {', '.join(them)}" for what, them in (("unknown", unknown), ("missing", missing)) if them
            ]
            raise TypeError(f"{step.__name__}: its parameters are {', '.join(names)}; {'; '.join(faults)}")
        checked = {name: _checked(step.__name__, name, value, smallest.get(name)) for name, value in bound.items()}
        return _Bound(call, **checked)

    call.kinetic = kinetic  # type: ignore[attr-defined]
    call.smallest = smallest  # type: ignore[attr-defined]
    return call


class _Bound(functools.partial[Any]):
    """A scheme with parameters, which it shows."""

    def __repr__(self) -> str:
        return text(self)


def _checked(step: str, name: str, value: Any, least: int | None) -> Any:
    """The value as a Python number, refused outside its parameter's range; balls and symbols pass."""
    if name not in _SMALLEST:
        return value
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # a NumPy scalar
    smallest, whole = _SMALLEST[name]
    smallest = smallest if least is None else least
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain and type(value).__module__.split(".")[0] in ("sympy", "flint", "mpmath"):
        return value
    if whole and not (plain and isinstance(value, int) and value >= smallest):
        raise ValueError(f"{step}: {name} must be an integer >= {smallest}, got {value!r}")
    if name == "rounds" and value > _MOST_ROUNDS:
        raise ValueError(f"{step}: rounds must be at most {_MOST_ROUNDS}, got {value!r}")
    if not whole and not (plain and smallest < value <= sys.float_info.max):
        raise ValueError(f"{step}: {name} must be a finite number > {smallest}, got {value!r}")
    return value


def unwrap(scheme: Scheme) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The bare step function of a scheme and the parameters bound to it."""
    keywords: dict[str, Any] = {}
    while isinstance(scheme, functools.partial):
        keywords = {**scheme.keywords, **keywords}
        scheme = scheme.func
    return scheme, keywords


def name(scheme: Scheme) -> str:
    """What a scheme is called in messages."""
    step, _ = unwrap(scheme)
    return str(getattr(step, "__name__", type(step).__name__))


def text(scheme: Scheme) -> str:
    """A scheme as it is written: its name, and the parameters that are bound to it."""
    _, keywords = unwrap(scheme)
    bound = ", ".join(f"{key}={_short(value)}" for key, value in keywords.items())
    return f"{name(scheme)}({bound})" if bound else name(scheme)


def _short(value: Any) -> str:
    shape = getattr(value, "shape", ())
    return f"<array of shape {tuple(shape)}>" if shape else f"{value:.6g}" if isinstance(value, float) else str(value)


SHIPPED: dict[str, Scheme] = {}
"""The package's own steps by name, each checked in every reading by the tests; `rmverify.schemes` fills it."""


def shipped(scheme: Scheme) -> bool:
    """Whether the step is one of the package's own. Any other is checked against particles wherever it is read.

    Examples
    --------
    >>> from rmverify.schemes import heun, underdamped
    >>> shipped(underdamped(friction=2)), shipped(lambda x, t, h, score, draw: heun(x, t, h, score, draw))
    (True, False)
    """
    step, _ = unwrap(scheme)
    step = getattr(step, "lifted", step)  # over balls
    return any(step is own for own in SHIPPED.values())


def parameters(scheme: Scheme) -> dict[str, Any]:
    """Every parameter of a scheme with its value, the defaults included.

    Examples
    --------
    >>> from rmverify.schemes import parameters, underdamped
    >>> parameters(underdamped(friction=2))
    {'mass': 1, 'friction': 2}
    """
    step, keywords = unwrap(scheme)
    defaults = {
        n: default for n, default in _keyword_parameters(step).items() if default is not inspect.Parameter.empty
    }
    return {**defaults, **keywords}


_ROUNDED = -1e-9  # of its entries: a determinant that rounding has made negative


class Unstable(OverflowError):
    """A scheme whose law leaves the floating-point numbers."""

    def __init__(self, what: str = "the law overflows") -> None:
        super().__init__(f"scheme: unstable: {what}; use more, shorter steps")


class NoCovariance(ValueError):
    """Rows of numbers that are the covariance of nothing."""


def check_covariance(covariance: Any, values: bool = True) -> None:
    """Refuse what `draw.normal` is given in place of the rows of a 1x1 or 2x2 covariance: other shapes and, with
    `values`, numbers or NumPy arrays that are no covariance.

    Raises
    ------
    TypeError
        For anything but one or two rows.
    NoCovariance
        For a negative variance, or rows that are not symmetric or not positive semidefinite.
    """
    rows = covariance if isinstance(covariance, tuple | list) else ()
    if len(rows) not in (1, 2) or not all(isinstance(row, tuple | list) and len(row) == len(rows) for row in rows):
        raise TypeError(
            "draw.normal: expected the rows of a covariance, ((variance,),) or ((a, b), (b, c)), got "
            f"{type(covariance).__name__} {str(covariance)[:60]}; it returns a list of one value for each row"
        )
    entries = [entry for row in rows for entry in row]
    if not (values and all(isinstance(entry, int | float) or _plain(entry) for entry in entries)):
        return  # balls, symbols, other libraries' arrays
    a, c = entries[0], entries[-1]
    fault = None
    if not (_least(a) >= 0 and _least(c) >= 0):
        fault = f"a variance of {min(_least(a), _least(c)):.6g}"
    elif len(rows) == 2:
        b, same = entries[1], entries[2]
        if b is not same and not _least(1e-12 * abs(b) - abs(b - same)) >= 0:
            fault = "rows that are not symmetric"
        elif not _least(a * c - b * b - _ROUNDED * a * c) >= 0:
            fault = "rows that are not positive semidefinite"
    if fault is not None:
        raise NoCovariance(f"draw.normal: expected a covariance, got {fault}")


def _plain(entry: Any) -> bool:
    """Whether it is one of NumPy's arrays of floats, or a number of one."""
    return type(entry).__module__ == "numpy" and entry.dtype.kind == "f"


def _least(values: Any) -> float:
    return float(values if isinstance(values, int | float) else values.min())


def check_parameters(scheme: Scheme) -> None:
    """Refuse bound parameters that make no sense, also those of a plain `functools.partial`."""
    step, keywords = unwrap(scheme)
    for name, value in keywords.items():
        _checked(getattr(step, "__name__", "scheme"), name, value, getattr(step, "smallest", {}).get(name))


def missing_parameters(scheme: Scheme) -> list[str]:
    """The parameters without a default that are not bound yet."""
    return [n for n in _keyword_parameters(unwrap(scheme)[0]) if n not in parameters(scheme)]


@functools.cache
def _keyword_parameters(step: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters of a step with their defaults, `inspect.Parameter.empty` where there is none."""
    return {p.name: p.default for p in inspect.signature(step).parameters.values() if p.kind is p.KEYWORD_ONLY}


def velocity_variance(scheme: Scheme) -> Any | None:
    """The variance of a fresh velocity (the scheme's mass), or None where the state is x alone.

    Examples
    --------
    >>> from rmverify.schemes import overdamped, underdamped, velocity_variance
    >>> velocity_variance(underdamped(friction=2, mass=0.5)), velocity_variance(overdamped)
    (0.5, None)
    """
    step, _ = unwrap(scheme)
    return parameters(scheme).get("mass", 1) if getattr(step, "kinetic", False) else None
