"""Studies: rows that are computed cell by cell, the exponents fitted to them, and tables that hold both.

With what power the number of steps grows is asked of diffusion samplers, of rounds and of log-concave sampling. What a
row is differs; how its exponent is fitted and judged, and how a table is swept, stored and printed, is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from rmverify.numbers.html import html_table
from rmverify.numbers.values import Value
from rmverify.studies import sweep

__all__ = ["Fit", "Record", "Records", "Study", "fit", "fitted", "judge", "settled", "swept"]


# --- records and tables ---------------------------------------------------------------------------------------------


class Record:
    """A dataclass that is a line of a table."""

    brief: ClassVar[tuple[str, ...]] = ()
    """The fields that its repr and a notebook show; all, where none are named."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {name: _plain(value) for name, value in vars(self).items()}

    def briefly(self) -> dict[str, str]:
        """Those fields and what is in them."""
        return {name: _brief(getattr(self, name)) for name in self.brief or vars(self)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in self.briefly().items())})"


def _plain(value: Any) -> Any:
    if isinstance(value, Record | Value):
        return value.as_dict()
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _brief(value: Any) -> str:
    if isinstance(value, Value):
        return value.text(4)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_brief(part)}' for name, part in value.items())}}}"
    if isinstance(value, tuple) and any(isinstance(part, Record) for part in value):
        return f"{len(value)} of {type(value[0]).__name__}"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def html(records: Sequence[Record]) -> str:
    """The records as a table in HTML, for a notebook."""
    lines = [record.briefly() for record in records]
    return html_table(lines[0] if lines else (), [[text.strip("'") for text in line.values()] for line in lines])


@dataclass(frozen=True, repr=False)
class Records:
    """Records of one or more kinds, a tuple of each; the first are the rows."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {f.name: [record.as_dict() for record in getattr(self, f.name)] for f in fields(self)}

    def to_pandas(self) -> Any:
        """The rows as a pandas frame; values as floats."""
        import pandas

        rows = getattr(self, fields(self)[0].name)
        plain = ({name: float(v) if isinstance(v, Value) else v for name, v in vars(row).items()} for row in rows)
        return pandas.DataFrame(list(plain))

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, f.name))} {f.name}" for f in fields(self))
        return f"{type(self).__name__}({counts})"

    def _repr_html_(self) -> str:
        parts = ((f.name, getattr(self, f.name)) for f in fields(self))
        return "".join(f"<p>{name}</p>{html(records)}" for name, records in parts if records)


def cell(*, function: str, **arguments: Any) -> dict[str, Any]:
    """The record that a function of this room makes, from plain data to plain data: what a sweep computes."""
    module, name = function.split(".")
    record = getattr(import_module(f"rmverify.studies.{module}"), name)(**arguments)
    return {"record": type(record).__name__, **vars(record)}


def swept(cells: Mapping[str, Sequence[Mapping[str, Any]]], **sweeping: Any) -> list[tuple[Any, ...]]:
    """The records of the cells of each function, each different one computed once.

    Parameters
    ----------
    cells : mapping
        Of functions of this room, as in "rounds.trade", to their arguments in each cell.
    **sweeping
        `workers`, `dask`, `store`, `executor`, `progress` of `rmverify.studies.sweep.run`.
    """
    asked = [{"function": function, **arguments} for function, each in cells.items() for arguments in each]
    found = iter(sweep.run(cell, asked, **sweeping) if asked else [])
    return [tuple(_record(function, **next(found)) for _ in each) for function, each in cells.items()]


def _record(function: str, record: str, **plain: Any) -> Any:
    return getattr(import_module(f"rmverify.studies.{function.split('.')[0]}"), record)(**plain)


# --- exponents ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Fit(Record):
    """N ~ x^exponent on [low, high], fitted with weights.

    `slopes` are the local ones between neighbouring x; `asymptotic` says whether the last two agree within what is open
    of N (`Row.loose`: it is a whole number, and has an interval where it is sampled); `error` is that, and the last
    change of the slope; `residual` the largest relative deviation of N from the fit. `claimed` is the exponent of the
    source, an upper bound, and `verdict` one of "consistent", "contradicts" (faster than claimed) and "claim not sharp
    here". `predicted` is what this project derives for Gaussians (claim D6); `fixed` says what did not vary.
    """

    scheme: str
    law: str
    metric: str
    against: str
    exponent: float
    error: float
    residual: float
    slopes: tuple[float, ...]
    low: float
    high: float
    asymptotic: bool
    claimed: float | None
    source: str
    verdict: str
    note: str = ""
    predicted: float | None = None
    fixed: str = ""

    brief = ("scheme", "law", "metric", "against", "exponent", "error", "asymptotic", "claimed", "verdict")


_LOOSE = 0.05  # by how much of it N may be off in a fit


def fit(x: Sequence[float], steps: Sequence[float], loose: Sequence[float] | None = None) -> dict[str, Any]:
    """The exponent of N in x, over the points from where on the local slope has settled.

    `loose`: by how much of it each N may be off; by default what its roundness leaves, half of 1/N.

    Examples
    --------
    >>> found = fit([1e2, 1e4, 1e6, 1e8], [12, 101, 1001, 10001])
    >>> round(found["exponent"], 3), found["asymptotic"]
    (0.5, True)
    """
    if len(x) < 3:
        raise ValueError(f"x: expected at least three points to fit an exponent, got {len(x)}")
    u, v = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(steps, dtype=float))
    off_by = 0.5 / np.exp(v) if loose is None else np.asarray(loose, dtype=float)
    slopes = np.diff(v) / np.diff(u)
    slack = (off_by[1:] + off_by[:-1]) / np.abs(np.diff(u))
    first, least = len(slopes) - 2, int(np.argmax(off_by <= _LOOSE)) if (off_by <= _LOOSE).sum() >= 3 else 0
    while first > least and abs(slopes[first - 1] - slopes[first]) <= 0.02 + slack[first - 1] + slack[first]:
        first -= 1
    change = abs(slopes[-1] - slopes[-2])
    while True:
        power, constant = np.polyfit(u[first:], v[first:], 1, w=1 / (off_by[first:] + 1e-3))
        off = np.abs(np.expm1(v[first:] - constant - power * u[first:]))
        if (off <= _LOOSE + 2 * off_by[first:]).all() or len(u) - first <= 3:
            break
        first += 1
    return {
        "exponent": float(power),
        "error": float(max(change, slack[-1], abs(slopes[-1] - power))),
        "residual": float(off.max()),
        "slopes": tuple(map(float, slopes)),
        "low": float(x[first]),
        "high": float(x[-1]),
        "asymptotic": bool(change <= 0.02 + slack[-1] + slack[-2] and (off <= _LOOSE + 2 * off_by[first:]).all()),
    }


def judge(exponent: float, error: float, claimed: float | None) -> str:
    """Whether a measured exponent is the claimed one, which is an upper bound."""
    if claimed is None:
        return "no claim"
    if exponent > claimed + max(error, 0.01):
        return "contradicts"
    return "consistent" if exponent >= claimed - max(error, 0.01) else "claim not sharp here"


_AGAINST = {"dim": "d", "copies": "d", "accuracy": "1/eps", "smoothness": "L", "condition": "kappa"}
_NAMES = {"condition": "kappa", "dim": "d", "accuracy": "eps", "smoothness": "L", "target": "curvature", "family": ""}


@dataclass(frozen=True)
class Study:
    """One exponent: what is held, what varies, what is claimed and derived, and the logarithm that a claim hides.

    `hidden` is a factor of N that a claim does not count, divided out before the fit; `note` says what is fitted.
    """

    held: Mapping[str, Any]
    varied: str
    at: tuple[Any, ...]
    predicted: float | None = None
    claimed: float | None = None
    source: str = ""
    hidden: Callable[[Any], float] = lambda row: 1.0
    note: str = ""

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The arguments of its rows."""
        return [{**self.held, self.varied: value} for value in self.at]

    @property
    def against(self) -> str:
        """What N is fitted against, as the tables have it."""
        return _AGAINST[self.varied]

    @property
    def fixed(self) -> str:
        """What is held, as the tables have it."""
        held = [(_NAMES[k], v) for k, v in self.held.items() if k in _NAMES and v != "both"]
        return ", ".join(f"{k} {v}".strip() if isinstance(v, str) else f"{k} = {_number(v)}" for k, v in held)

    def against_of(self, row: Any) -> float:
        """The x of a row."""
        value = float(row.dim if self.varied == "copies" else getattr(row, self.varied))
        return 1 / value if self.varied == "accuracy" else value


def _number(value: float) -> str:
    return f"{value:.5g}".replace("e+0", "e").replace("e+", "e")


def fitted(study: Study, rows: Sequence[Any]) -> Fit:
    """The exponent of N over the hidden logarithm, next to what is derived and claimed.

    Where an error changes its sign near the last rows (`Row.crossing`) their slope is not that of the limit.

    Examples
    --------
    >>> from rmverify.studies.log_concave import STUDIES, steps_to
    >>> rows = [steps_to("w2", 1e-4, condition=kappa) for kappa in (16.0, 64.0, 256.0)]
    >>> found = fitted(STUDIES[1], rows)  # against kappa
    >>> round(found.exponent, 2), found.predicted < found.claimed
    (0.66, True)
    """
    rows = sorted(rows, key=study.against_of)
    loose = [row.loose for row in rows]
    found = fit(
        [study.against_of(row) for row in rows], [(row.steps or 1) / study.hidden(row) for row in rows],
        None if None in loose else loose,
    )  # fmt: skip
    found["asymptotic"] = found["asymptotic"] and not _crossings(rows[-2:])
    changes = f"the error changes its sign at N = {', '.join(map(str, _crossings(rows)))}" if _crossings(rows) else ""
    return Fit(
        rows[0].scheme, rows[0].law, rows[0].metric, study.against, claimed=study.claimed, source=study.source,
        verdict=judge(found["exponent"], found["error"], study.claimed),
        note="; ".join(filter(None, [study.note, changes])), predicted=study.predicted, fixed=study.fixed, **found,
    )  # fmt: skip


def _crossings(rows: Sequence[Any]) -> list[int]:
    """Where the sign changes, of the rows that are not far beyond it."""
    return sorted({r.crossing for r in rows if r.crossing is not None and (r.steps or 0) <= 4 * r.crossing})


def settled(rows: Sequence[Any]) -> list[Any]:
    """The rows that have a number of steps that an exponent may use."""
    return [row for row in rows if row.steps is not None and row.status == "found"]
