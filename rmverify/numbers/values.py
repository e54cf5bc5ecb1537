"""A number that says what it is: its kind, its error, its bracket and its complement.

A float does not say whether it is exact, a bound or a sample mean, nor how wrong it can be.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, get_args

__all__ = ["Kind", "Value"]

_VAGUE = 1e-3  # relative error from which it is printed
Kind = Literal["exact", "enclosure", "upper", "lower", "surrogate", "monte-carlo"]


class Value(float):
    """A float that carries its kind and its error.

    Parameters
    ----------
    value : float
        The number. For a bracket it is the upper bound.
    kind : {"exact", "enclosure", "upper", "lower", "surrogate", "monte-carlo"}
        ``exact``: the named quantity up to rounding and quadrature, both inside
        `error`. ``enclosure``: guaranteed by ball arithmetic. ``upper``,
        ``lower``: a bound on the named quantity. ``surrogate``: the quantity of
        a stand-in law, such as the moment-matched Gaussian of a mixture.
        ``monte-carlo``: sampled; `lower` and `upper` are the ends of a
        confidence interval at the level of 95 %.
    error : float
        Absolute error of the float as a number of its kind: rounding and
        truncation; of ``monte-carlo`` the half-width of the interval.
    lower, upper : float, optional
        Where the named quantity lies. By default ``value - error`` and
        ``value + error``.
    complement : float, optional
        One minus the value, computed without cancellation (total variation).

    Examples
    --------
    >>> from rmverify import Value
    >>> v = Value(0.25, "exact", 1e-15)
    >>> v + 1, v.kind, v.complement
    (1.25, 'exact', 0.75)
    """

    __slots__ = ("complement", "error", "kind", "lower", "upper")

    kind: Kind
    error: float
    lower: float
    upper: float
    complement: float

    def __new__(
        cls,
        value: float,
        kind: Kind = "exact",
        error: float = 0.0,
        *,
        lower: float | None = None,
        upper: float | None = None,
        complement: float | None = None,
    ) -> Value:
        if kind not in get_args(Kind):
            raise ValueError(f"kind: expected one of {', '.join(get_args(Kind))}, got {kind!r}")
        if math.isnan(value):
            raise ValueError(f"value: expected a number, got {value!r}")
        if not error >= 0:
            raise ValueError(f"error: expected a number >= 0, got {error!r}")
        self = super().__new__(cls, value + 0.0)  # never -0.0
        for name, end in (("lower", lower), ("upper", upper), ("complement", complement)):
            if end is not None and math.isnan(end):
                raise ValueError(f"{name}: expected a number, got {end!r}")
        if lower is not None and upper is not None and lower > upper:
            raise ValueError(f"lower: expected at most upper = {upper!r}, got {lower!r}")
        set_slot = super().__setattr__
        set_slot(self, "kind", kind)
        set_slot(self, "error", float(error))
        set_slot(self, "lower", float(value - error if math.isfinite(value) else value) if lower is None else lower)
        set_slot(self, "upper", float(value + error if math.isfinite(value) else value) if upper is None else upper)
        set_slot(self, "complement", float(1 - value) if complement is None else complement)
        return self

    @classmethod
    def clipped(
        cls, value: float, error: float, low: float = 0.0, high: float = math.inf, *, complement: float | None = None
    ) -> Value:
        """An exact number of [low, high] with its error; the bracket [low, high] itself, of kind ``upper``, where the
        error leaves nothing else.

        The bracket is value -+ error cut to [low, high], and the error no larger than the range leaves.

        Parameters
        ----------
        value, error : float
            An infinite error stands for one that is not known.
        low, high : float
            Where the quantity lies by its nature: [0, 1] for total variation, [0, inf) for a divergence.
        complement : float, optional
            As for the class.

        Examples
        --------
        >>> Value.clipped(0.75, 0.5, 0, 1)
        Value(0.75, kind='exact', error=0.5, in [0.25, 1])
        >>> Value.clipped(0.01, 1.0, 0, 1), Value.clipped(0.04, 6e22).text()
        (Value(1.0, kind='upper', error=0, in [0, 1]), '0.04 ± 6e+22')
        """
        value = min(max(value, low), high)
        if math.isinf(value):
            return cls(value, "exact", error, complement=complement)
        lower, upper = max(value - error, low), min(value + error, high)
        if lower <= low and upper >= high and error > 0:
            return cls(upper, "upper", 0.0, lower=low, upper=upper)
        return cls(
            value, "exact", min(error, max(value - low, high - value)), lower=lower, upper=upper, complement=complement
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Value is immutable, cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Value is immutable, cannot delete {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        state: dict[str, Any] = {"lower": self.lower, "upper": self.upper, "complement": self.complement}
        return functools.partial(Value, **state), (float(self), self.kind, self.error)

    def __repr__(self) -> str:
        ends = f"[{self.lower:.6g}, {self.upper:.6g}]"
        return f"Value({float(self)!r}, kind={self.kind!r}, error={self.error:.2g}, in {ends})"

    def text(self, digits: int = 6) -> str:
        """The number as tables print it: a bracket by its two ends, what is close to 1 by its distance from it, else
        at most `digits` digits, those that the error leaves; with the error where it is above a thousandth of it.

        Examples
        --------
        >>> Value(0.123456789, "exact", 1e-12).text(), Value(0.123456789, "exact", 1e-3).text()
        ('0.123457', '0.123 ± 0.001')
        >>> Value(0.5, "upper", lower=0.25, upper=0.5).text(), Value(1.0, complement=1e-20).text()
        ('0.25 to 0.5', '1 - 1e-20')
        """
        value = float(self) + 0.0
        if self.kind in ("upper", "lower") and self.lower < self.upper:
            few = min(digits, 4)
            return f"{self.lower:.{few}g} to {self.upper:.{few}g}"
        if not math.isfinite(value):
            return f"{value:g}"
        vague = self.error > _VAGUE * abs(value)
        if 0 < self.complement < 1e-3 and not vague:
            return f"1 - {self.complement:.3g}"
        if value and self.error:
            size, error = math.log10(abs(value)), math.log10(self.error)
            known = math.floor(size) - math.floor(min(error, size)) + 1 if vague else math.floor(size - error)
            digits = max(1, min(digits, known))
        if not vague:
            return f"{value:.{digits}g}"
        zeros = "#" if value else ""  # those that are known stay
        return f"{value:{zeros}.{digits}g}".replace(".e", "e").removesuffix(".") + f" ± {self.error:.1g}"

    def as_dict(self) -> dict[str, Any]:
        """The value as plain data, ready for JSON (infinities as strings)."""
        plain = {name: _finite(float(getattr(self, name))) for name in ("lower", "upper", "error", "complement")}
        return {"value": _finite(float(self)), "kind": self.kind, **plain}


def _finite(number: float) -> float | str:
    return number if math.isfinite(number) else repr(number)
