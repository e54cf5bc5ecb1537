r"""The audit of a sampler that somebody else wrote: what comes out of it, what its error is made of, how it falls.

A number of steps is chosen by looking at pictures, and a scheduler is tested by comparing it with what it did last
year. Here every part of its error is computed: what a wrong start costs, what steps of finite size cost, what the last
step to the data costs; with what power of the number of steps each falls, down to what floor; and whether each call of
the model was told the level that its input has.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmverify.divergences import kl, tv, w2
from rmverify.numbers.checks import positive_integer
from rmverify.numbers.values import Value
from rmverify.samplers import Kernel, NotFinite, Reading, Sampler, bookkept
from rmverify.samplers.models import truth_of
from rmverify.samplers.probe import Affine
from rmverify.studies.study import Record
from rmverify.targets import Gaussian, Target
from rmverify.tasks import completed, given, outcome

__all__ = ["ODD", "STEPS", "Audit", "Curve", "Finding", "Rung", "Variant", "audit", "curve", "default_target"]

STEPS = (10, 20, 40, 100, 200, 500)
"""The ladder: divisors of 1000, so that lists of 1000 timesteps are thinned evenly."""
ODD = (7, 13, 31)
"""Numbers that divide no list of timesteps, and leave 1 over modulo 2 and 3."""

PARTS = {"error": "tv", "start": "effect", "discretization": "discretization", "shared": "shared", "last": "last"}
"""The curves, and of which field of a `Rung` each is."""

_VAGUE = 0.1  # of an error: where it is known no better, it has no slope
_FULL = 0.98  # of a TV: above it, all that falls looks flat
_KEPT = 2**24  # numbers in the coefficients of all inputs of a reading that is kept
_SETTLED = 0.1  # by how much the last two local slopes may differ
_NEAR = 0.15  # by how much a settled order may miss the declared one
_FLAT = 0.3  # a slope that is none
_FITS = 0.05  # by how much of it an error may miss c N^-p + f
_ALONE = threading.Lock()  # the draws of the libraries in a process are answered for one reading at a time
_OFF = 1.5  # a factor by which an odd number of steps is off the curve


def default_target() -> Gaussian:
    """Anisotropic, not of unit variance, off centre: variances from 0.02 to 9 and means of both signs.

    Examples
    --------
    >>> default_target()
    Gaussian(dim=8, modes=8, variances in [0.02, 9])
    """
    variances = np.geomspace(9.0, 0.02, 8)
    return Gaussian(np.sqrt(variances) * np.resize([1.0, -0.5], 8), variances)


@dataclass(frozen=True, repr=False)
class Rung(Record):
    """The sampler at one number of steps.

    Of a `Kernel`, `last` is the distance of its stationary law to the target, and tv, kl and w2 are those of its law
    after so many steps from N(0, I); the rest is None.

    Attributes
    ----------
    steps, evaluations, draws : int
        Of the model and of normal numbers, of each sample.
    start : Value
        TV of the first input, from x_T ~ N(0, I), to the exact marginal of its level.
    effect : Value
        What that does to the output: the distance of what comes out of it to what comes out of an exact start.
    discretization : Value
        From an exact start: the distance of the last input of the model to the exact marginal of its level.
    shared : Value
        The same of the input at the lowest noise level that all rungs ask the model at, `Audit.shared`.
    last : Value
        From an exact start: the distance of the output to the data.
    tv, kl, w2 : Value
        From N(0, I): the output against the data.
    at_last : Value
        TV of it to the exact marginal at the level of the last call.
    level : float
        That level.
    bookkeeping : str
        The verdict of `samplers.bookkept`, and `why`.
    failure : str
        Why there is nothing of all this; `call` is the model call where it turned up, if it was in one.
    """

    steps: int
    evaluations: int = 0
    draws: int = 0
    start: Value | None = None
    effect: Value | None = None
    discretization: Value | None = None
    shared: Value | None = None
    last: Value | None = None
    tv: Value | None = None
    kl: Value | None = None
    w2: Value | None = None
    at_last: Value | None = None
    level: float | None = None
    bookkeeping: str = ""
    why: str = ""
    kind: str = ""
    failure: str = ""
    call: int | None = None

    brief = ("steps", "evaluations", "discretization", "last", "tv", "bookkeeping")


@dataclass(frozen=True, repr=False)
class Curve(Record):
    """How an error falls with the number of steps N.

    Attributes
    ----------
    steps, errors : tuple
    slopes : tuple of float
        The local ones between neighbours, -d log(error)/d log(N).
    order : float
        The last of them before the floor, nan with fewer than two errors.
    change : float
        By how much it differs from the one before, or that from the one before it, if that is more.
    settled : bool
        Whether the last two differ by at most 0.1, and the ones before by at most 0.2.
    floor : float or None
        f of error = c N^-p + f, if the last four errors are that to 5 % and f is more than half of the last; or an
        error that stays where it is, over at least a doubling of N.
    """

    steps: tuple[int, ...]
    errors: tuple[float, ...]
    slopes: tuple[float, ...]
    order: float
    change: float
    settled: bool
    floor: float | None


@dataclass(frozen=True, repr=False)
class Finding(Record):
    """What was declared, and what was found: "holds", "refuted" or "inconclusive", with the numbers."""

    declared: str
    verdict: str
    why: str


@dataclass(frozen=True, repr=False)
class Variant(Record):
    """One of the variants that an object offers, such as a prediction type: two rungs, and the slope between them."""

    name: str
    rungs: tuple[Rung, ...]
    order: float


@dataclass(frozen=True, repr=False)
class Audit(Record):
    """What `audit` found.

    Attributes
    ----------
    name : str
    kind : {"sampler", "kernel"}
    dim : int
    metric : {"TV", "W2"}
        In which `effect`, `discretization` and `last` are; W2 where the data are singular.
    rungs, odd : tuple of Rung
        On the ladder, and at numbers of steps that divide nothing.
    evaluations : str
        As a function of N, such as "2N - 1".
    curves : dict
        Of "error" (`tv`, or `w2`), "start" (`effect`), "discretization", "shared" and "last". A TV above 0.98 is on
        none: all that falls looks flat there.
    shared : float or None
        The lowest noise level that all rungs ask the model at, after the first and before the data: between one number
        of steps and another the level of the last call may move.
    ends : bool
        Whether the sampler has an `end` of its own, instead of the data.
    causes : str
        Which part makes the floor of the error, if it has one.
    rounding : float or None
        The largest relative difference of a standard deviation of the output between float32 and float64; `rounded`
        says at how many steps, or why it is not known.
    variants : tuple of Variant
    findings : tuple of Finding
        The verdicts on what was declared.
    remarks, assumed : tuple of str

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Sampler, audit, paths
    >>> def one(model, x, noise):  # from sigma = 8 to the data, at once
    ...     return model(8 * x, 8.0)
    >>> print(audit(Sampler(one, path=paths.VE(), predicts="x0"), Gaussian([0.0], [4.0])))
    sampler, evaluations: 1 at N = 1
    <BLANKLINE>
    N  evals   start  discret.  shared q  exact start   TV     KL    W2  TV to q  levels
    1      1  0.0147   < 2e-15         -        0.591  0.6  0.975  1.53    0.875   holds
    <BLANKLINE>
    at N = 1 the TV to the data is 0.6; alone, the start makes 0.0147, ...
    """

    name: str
    kind: str
    dim: int
    metric: str
    rungs: tuple[Rung, ...]
    odd: tuple[Rung, ...]
    evaluations: str
    curves: dict[str, Curve]
    shared: float | None
    ends: bool
    causes: str
    rounding: float | None
    rounded: str
    variants: tuple[Variant, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    assumed: tuple[str, ...]

    brief = ("name", "evaluations", "rungs", "findings")

    @property
    def verdict(self) -> str:
        """The worst of the verdicts; "holds" where nothing was declared."""
        verdicts = {finding.verdict for finding in self.findings}
        return next((v for v in ("refuted", "inconclusive") if v in verdicts), "holds")

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The rungs as texts, columns first. Of a `Rung`, "start" is `effect`, "discret." `discretization`, "shared q"
        `shared`, "exact start" `last` and "TV to q" `at_last`; of a kernel "stationary" is `last`.
        """
        columns = COLUMNS if self.kind == "sampler" else KERNEL_COLUMNS
        together = sorted((*self.rungs, *self.odd), key=lambda r: r.steps)
        return list(columns), [[of(r) for of in columns.values()] for r in together]

    def __str__(self) -> str:
        columns, lines = self.table()
        widths = [max(len(line[k]) for line in [columns, *lines]) for k in range(len(columns))]
        rows = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in [columns, *lines]]
        said = [f"{f.declared}: {f.verdict}; {f.why}" for f in self.findings]
        return "\n".join([f"{self.name}, evaluations: {self.evaluations}", "", *rows, "", *said, *self.remarks])


def _cell(value: Value | None) -> str:
    """With three digits, two where its error is a thousandth of it to a tenth; a bound where it is more."""
    if value is None:
        return "-"
    text = value.text(3)
    if "±" not in text:
        return text
    return f"{float(value):.2g}" if value.error <= 0.1 * abs(value) else f"< {value.upper:.1g}"


COLUMNS: dict[str, Callable[[Rung], str]] = {
    "N": lambda r: str(r.steps),
    "evals": lambda r: "-" if r.failure else str(r.evaluations),
    "start": lambda r: _cell(r.effect),
    "discret.": lambda r: _cell(r.discretization),
    "shared q": lambda r: _cell(r.shared),
    "exact start": lambda r: _cell(r.last),
    "TV": lambda r: _cell(r.tv),
    "KL": lambda r: _cell(r.kl),
    "W2": lambda r: _cell(r.w2),
    "TV to q": lambda r: _cell(r.at_last),
    "levels": lambda r: "failed" if r.failure else r.bookkeeping,
}
KERNEL_COLUMNS: dict[str, Callable[[Rung], str]] = {
    "N": lambda r: str(r.steps),
    "stationary": lambda r: "failed" if r.failure else _cell(r.last),
    "TV": lambda r: _cell(r.tv),
    "KL": lambda r: _cell(r.kl),
    "W2": lambda r: _cell(r.w2),
}


def curve(steps: Sequence[int], errors: Sequence[float]) -> Curve:
    r"""How errors fall: their local slopes, the order, and the floor, if there is one.

    Parameters
    ----------
    steps : sequence of int
        Increasing.
    errors : sequence of float

    Examples
    --------
    >>> found = curve([10, 20, 40, 80], [1 / 10**2, 1 / 20**2, 1 / 40**2, 1 / 80**2])
    >>> round(found.order, 12), found.settled, found.floor
    (2.0, True, None)
    >>> found = curve([10, 20, 40, 80, 160], [0.01 + 1 / n**2 for n in (10, 20, 40, 80, 160)])
    >>> round(found.floor, 6)
    0.01
    """
    N, e = np.asarray(steps, dtype=float), np.asarray(errors, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = -np.diff(np.log(e)) / np.diff(np.log(N))
    floor = _floor(N, e)
    left = slopes
    if floor is not None:  # what falls before the floor is reached
        left = slopes[: max(2, int((e > 4 * floor).sum()))]
    order = float(left[-1]) if left.size else math.nan
    changes = np.abs(np.diff(left))[-2:]
    change = float(changes.max()) if changes.size else math.nan
    return Curve(
        tuple(int(n) for n in steps), tuple(map(float, e)), tuple(map(float, slopes)), order, change,
        bool(floor is None and changes.size and changes[-1] <= _SETTLED and change <= 2 * _SETTLED), floor,
    )  # fmt: skip


def _floor(N: Any, e: Any) -> float | None:
    if e.size < 4 or not (np.isfinite(e).all() and (e > 0).all()):
        return None
    n, late = N[-4:], e[-4:]
    if n[-1] < 2 * n[0]:  # so few more steps change little
        return None
    if late.max() <= 1.02 * late.min():
        return float(late[-1])
    best: tuple[float, float] | None = None
    for p in np.linspace(0.25, 8, 125):
        columns = np.stack([n**-p / n[-1] ** -p, np.ones(4)], axis=1) / late[:, None]
        (c, f), *_ = np.linalg.lstsq(columns, np.ones(4), rcond=None)
        misfit = float(np.abs(columns @ (c, f) - 1).max())
        if c > 0 and f > 0 and (best is None or misfit < best[0]):
            best = misfit, float(f)
    return best[1] if best is not None and best[0] <= _FITS and best[1] > late[-1] / 2 else None


Make = Callable[[int], "Sampler | Kernel"]


def audit(
    make: Make | Sampler | Kernel, target: Target | None = None, *, steps: Iterable[int] = STEPS,
    odd: Iterable[int] = ODD, order: float | None = None,
    unbiased: bool | None = None, stationary: Gaussian | None = None,
    bookkeeping: bool | None = None, variants: bool = True, name: str = "",
    progress: Callable[[str, float], None] | None = None, executor: Executor | None = None, workers: int = 1,
) -> Audit:  # fmt: skip
    r"""Everything about the error of a sampler that is known of its law.

    Parameters
    ----------
    make : callable
        ``make(N)`` is the `Sampler` at N steps; or the `Kernel`, say with step size 1/N. A `Sampler` or a `Kernel` is
        one rung, of as many steps as it has evaluations, or of one. Where it has `variants`, a
        dict of such functions, each is looked at too; where it has a `name` and what is `assumed`, they are said.
    target : Gaussian, EstimatedScore of one, or Guided, optional
        By default `default_target`.
    steps, odd : iterable of int
        The ladder of N on which orders are measured, and other N that are compared with it.
    order : number, optional
        Declares the order with which the discretization error falls, in law and from an exact start: that of the
        model's input at the lowest noise level that all N share; where there is none or the sampler has an `end`, that
        of the output, which is enough in any case: what the model is asked inside a step may be a cheap guess.
    unbiased : bool, optional
        Declares that from an exact start the data come out at every N, or that a kernel leaves the target invariant.
    stationary : Gaussian, optional
        Declares the law that a kernel leaves invariant, at every N.
    bookkeeping : bool, optional
        Declares that each model call is at the level that it names.
    variants : bool
        Whether to look at the variants.
    name : str
        What the report calls it.
    progress : callable, optional
        Told what is being computed, and which part of all is done.
    executor : concurrent.futures.Executor, optional
        Where the numbers of steps are looked at, `workers` at once (a `sweep.pool` knows itself); by default here, one
        after the other, which is what threads of one process do too. Processes must be able to import `make` by its
        name. A single `Sampler` or `Kernel` is looked
        at here.

    Returns
    -------
    Audit
        ``print`` shows the report; without anything declared it has facts and remarks and no verdicts.

    Raises
    ------
    TypeError
        Where make(N) is neither, or the target is not Gaussian.
    ValueError
        For a number that makes no sense, or what cannot be sent to a worker.
    tasks.Gone
        Where a worker died.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Sampler, audit, paths
    >>> def make(n):
    ...     times = np.linspace(1, 0, n + 1)
    ...     def run(model, x, noise):
    ...         for t, t_next in zip(times[:-1], times[1:]):
    ...             x = x + (t_next - t) * model(x, t)
    ...         return x
    ...     return Sampler(run, path=paths.Flow(), predicts="flow")
    >>> found = audit(make, order=1)
    >>> found.evaluations, found.findings[0].verdict
    ('N', 'holds')
    """
    target = default_target() if target is None else target
    truth = truth_of(target)
    if isinstance(make, Sampler | Kernel):
        make, steps, odd = _alone(make, target)
        executor = None
    if not callable(make):
        raise TypeError(f"make: expected a function make(N) of the number of steps, got {type(make).__name__}")
    for what, numbers in (("steps", steps), ("odd", odd)):
        if not isinstance(numbers, Iterable):
            raise ValueError(f"{what}: expected numbers of steps such as (10, 20, 40), got {numbers!r}")
    ladder = sorted({positive_integer("steps", n) for n in steps})
    others = sorted({positive_integer("odd", n) for n in odd} - set(ladder))
    if not ladder:
        raise ValueError("steps: expected at least one number of steps, got none")
    if order is not None and not (isinstance(order, int | float) and math.isfinite(order) and order > 0):
        raise ValueError(f"order: expected a number > 0, got {order!r}")
    offered = dict(getattr(make, "variants", {}) or {}) if variants else {}
    pair = _pair(ladder)
    total, begun = len(ladder) + len(others) + 1 + len(pair) * len(offered), 0

    def tell(what: str) -> None:
        nonlocal begun
        if progress is not None:
            progress(what, begun / total)
        begun += 1

    first = _made(make, ladder)
    kind = "kernel" if isinstance(first, Kernel) else "sampler"
    look = _kernel_rung if kind == "kernel" else _rung
    singular = bool(isinstance(first, Sampler) and first.end is None and not (truth.variances > 0).all())
    away = w2 if singular else tv
    asked = [("", n) for n in (*ladder, *others)] + [(label, n) for label in offered for n in pair]

    def tasks() -> Iterator[tuple[tuple[str, int], Callable[..., Any], tuple[Any, ...]]]:
        for label, n in sorted(asked, key=lambda each: -each[1]) if executor is not None else asked:
            tell(f"{label}, {n} steps" if label else f"{n} steps")
            yield (label, n), _looked, (make, label, look, n, target, away)

    with given(executor, workers) as where, closing(completed(where, tasks())) as done:
        looked = {key: outcome(future, "make, and a target,") for key, future in done}
    found, beside = (tuple(looked["", n][0] for n in which) for which in (ladder, others))
    kept: dict[int, Reading] = {}
    for n in ladder:
        affine = looked["", n][1]
        if affine is not None and isinstance(sampler := make(n), Sampler):  # its code need not be data
            kept[n] = Reading(sampler, target, affine)
    shared, values = _shared(kept, away)
    found = tuple(replace(r, shared=values.get(r.steps)) for r in found)
    tell("float32")
    rounding, rounded = _rounding(make, pair[-1], target) if kind == "sampler" else (None, "not asked of a kernel")
    each = tuple(
        Variant(label, both := tuple(looked[label, n][0] for n in pair), curve(*_series(both, "last", singular)).order)
        for label in offered
    )
    curves = {key: curve(*_series(found, which, singular)) for key, which in PARTS.items()}
    causes = _causes(curves)
    report = Audit(
        name or str(getattr(make, "name", "") or getattr(first, "name", "") or getattr(make, "__name__", "sampler")),
        kind, truth.dim, "W2" if singular else "TV", found, beside, _evaluations((*found, *beside)), curves, shared,
        isinstance(first, Sampler) and first.end is not None, causes,
        rounding, rounded, each, (), (), _assumed(first, target, tuple(getattr(make, "assumed", ()))),
    )  # fmt: skip
    declared = {"order": order, "unbiased": unbiased, "stationary": stationary, "bookkeeping": bookkeeping}
    findings = _findings(report, declared, make, target)
    return _with(report, findings, _remarks(report, target))


def _with(report: Audit, findings: Iterable[Finding], remarks: Iterable[str]) -> Audit:
    return replace(report, findings=tuple(findings), remarks=tuple(remarks))


def _alone(made: Sampler | Kernel, target: Target) -> tuple[Make, list[int], list[int]]:
    """A function of N that has one, and that N."""
    own = made.read(target).evaluations if isinstance(made, Sampler) else 1

    def make(n: int) -> Sampler | Kernel:
        if n != own:
            raise ValueError("a single sampler has no other number of steps")
        return made

    make.__name__ = made.name or "sampler"
    return make, [own], []


def _pair(ladder: Sequence[int]) -> list[int]:
    """Two numbers of steps from the middle of the ladder."""
    middle = len(ladder) // 2
    return list(ladder[max(0, middle - 1) : middle + 1])


def _made(make: Make, ladder: Sequence[int]) -> Any:
    """The first that can be made; why others cannot is said by their rungs."""
    for n in ladder:
        try:
            made = make(n)
        except Exception:  # a stranger's
            continue
        if not isinstance(made, Sampler | Kernel):
            raise TypeError(f"make: expected make({n}) to be a Sampler or a Kernel, got {type(made).__name__}")
        return made
    return None


# --- one number of steps --------------------------------------------------------------------------------------------


def _failed(steps: int, error: Exception) -> Rung:
    known = isinstance(error, ValueError | ArithmeticError)
    text = " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())
    return Rung(steps, failure=text, call=error.call if isinstance(error, NotFinite) else None)


def _looked(
    make: Any, label: str, look: Callable[..., Any], steps: int, target: Target, away: Callable[..., Value]
) -> tuple[Rung, Affine | None]:
    """One number of steps of a sampler, or of its variant of this label, as data that can be sent between processes."""
    with _ALONE:
        rung, reading = look(make.variants[label] if label else make, steps, target, away)
    return rung, None if reading is None or label else reading.affine


def _rung(make: Make, steps: int, target: Target, away: Callable[..., Value]) -> tuple[Rung, Reading | None]:
    try:
        sampler = make(steps)
        assert isinstance(sampler, Sampler)
        reading = sampler.read(target)
        rung = _parts(reading, make, steps, target, away)
    except Exception as error:  # a stranger's, and what is refused of his code
        return _failed(steps, error), None
    small = sum(call.slope.size for call in reading.calls) <= _KEPT
    return rung, reading if small else None


def _parts(reading: Reading, make: Any, steps: int, target: Target, away: Callable[..., Value]) -> Rung:
    wanted, out = reading.wanted, reading.law()
    first, last = reading.calls[0].level, reading.calls[-1].level
    known: dict[str, Any] = {}
    if math.isfinite(first):
        known["start"] = tv(reading.input_law(0), reading.marginal(first))
    if math.isfinite(last):
        known["at_last"], known["level"] = tv(out, reading.marginal(last)), last
    try:
        exact = reading.law("exact")
    except ValueError:  # no start makes the first input exact
        exact = None
    if exact is not None:
        known["effect"], known["last"] = away(out, exact), away(exact, wanted)
        if math.isfinite(last):
            known["discretization"] = away(reading.input_law(len(reading.calls) - 1, "exact"), reading.marginal(last))
    exact = truth_of(target)  # of a wrong score the inputs are no marginals either
    books = bookkept(make, steps, exact, reading if target is exact else None)
    return Rung(
        steps, reading.evaluations, reading.draws, tv=tv(out, wanted), kl=kl(out, wanted), w2=w2(out, wanted),
        bookkeeping=books.verdict, why=books.why, kind=books.kind, **known,
    )  # fmt: skip


def _kernel_rung(make: Make, steps: int, target: Target, _: Callable[..., Value]) -> tuple[Rung, None]:
    try:
        kernel = make(steps)
        assert isinstance(kernel, Kernel)
        wanted = _sampled(kernel, truth_of(target))
        left = kernel.stationary(target).x
        after = kernel.law(target, steps).x
        away = tv(after, wanted), kl(after, wanted), w2(after, wanted)
        return Rung(steps, steps, last=tv(left, wanted), tv=away[0], kl=away[1], w2=away[2]), None
    except Exception as error:  # a stranger's
        return _failed(steps, error), None


def _sampled(kernel: Kernel, truth: Gaussian) -> Gaussian:
    alpha, sigma = kernel.path.at(kernel.level)
    return (
        truth if kernel.level is None else truth.with_modes(alpha**2 * truth.variances + sigma**2, alpha * truth.means)
    )


def _rounding(make: Make, steps: int, target: Target) -> tuple[float | None, str]:
    """The largest relative difference of a standard deviation of the output in float32 and in float64."""
    try:
        sampler = make(steps)
        assert isinstance(sampler, Sampler)
        p, q = (sampler.read(target, dtype=dtype).law() for dtype in ("float64", "float32"))
        fine, coarse = np.sqrt(p.variances), np.sqrt(q.variances)
        if fine.size != coarse.size:  # one of them read in coordinates, which are few
            fine, coarse = (np.sqrt(np.sort(np.repeat(z.variances, z.multiplicities.astype(int)))) for z in (p, q))
    except Exception as error:  # a stranger's, and what is refused of his code
        text = " ".join(str(error).split())
        wide = text.startswith("run: expected float32, the dtype of x")
        return None, "not known: it computes in float64 whatever the dtype of x" if wide else f"not known: {text}"
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(fine == coarse, 0.0, np.abs(coarse / fine - 1))
    return float(off.max()), f"at {steps} steps"


def _shared(kept: Mapping[int, Reading], away: Callable[..., Value]) -> tuple[float | None, dict[int, Value]]:
    """The lowest noise level that all readings ask their model at, and how far their inputs are from its marginal. Not
    that of the data: what a method of high order asks there is the cheap guess inside its last step.
    """
    if len(kept) < 2:
        return None, {}
    levels = [np.array([call.level for call in reading.calls]) for reading in kept.values()]
    common = [
        level for level in np.unique(levels[0][np.isfinite(levels[0])])
        if all(np.isclose(each, level, rtol=1e-6, atol=0).any() for each in levels)
    ]  # fmt: skip
    path = next(iter(kept.values())).sampler.path
    firsts = max((path.noise_level(each[0]) for each in levels if math.isfinite(each[0])), default=math.inf)
    common = [level for level in common if 0 < path.noise_level(level) < firsts * (1 - 1e-6)]
    if not common:
        return None, {}
    lowest = min(common, key=path.noise_level)
    found = {}
    for (n, reading), each in zip(kept.items(), levels, strict=True):
        call = int(np.flatnonzero(np.isclose(each, lowest, rtol=1e-6, atol=0))[-1])
        try:
            found[n] = away(reading.input_law(call, "exact"), reading.marginal(float(each[call])))
        except ValueError:  # no start makes the first input exact
            continue
    return float(lowest), found


# --- all of them ----------------------------------------------------------------------------------------------------


def _series(rungs: Iterable[Rung], which: str, singular: bool) -> tuple[list[int], list[float]]:
    which = "w2" if which == "tv" and singular else which
    values = [(r.steps, getattr(r, which)) for r in rungs]
    full = math.inf if which == "w2" or singular else _FULL
    known = [(n, float(v)) for n, v in values if v is not None and v.error <= _VAGUE * v and v <= full]
    return [n for n, _ in known], [e for _, e in known]


def _evaluations(rungs: Sequence[Rung]) -> str:
    """Evaluations as a function of N, if they are on a line."""
    known = [(r.steps, r.evaluations) for r in rungs if not r.failure]
    if len(known) == 1:
        return f"{known[0][1]} at N = {known[0][0]}"
    for modulus in (1, 2, 3):
        lines = [_line([p for p in known if p[0] % modulus == r]) for r in range(modulus)]
        if known and all(line is not None for line in lines):
            if modulus == 1:
                return str(lines[0])
            return ", ".join(f"{line} where N = {r} mod {modulus}" for r, line in enumerate(lines) if line)
    return "on no line in N" if known else "not known"


def _line(points: Sequence[tuple[int, int]]) -> str | None:
    """ "2N - 1", of at least two points on it."""
    if len(points) < 2:
        return None
    (n, a), (m, b) = points[0], points[-1]
    slope, over = divmod(b - a, m - n)
    shift = a - slope * n
    if over or any(e != slope * k + shift for k, e in points):
        return None
    if slope == 0:
        return str(shift)
    text = "N" if slope == 1 else f"{slope}N"
    return text + (f" {'+' if shift > 0 else '-'} {abs(shift)}" if shift else "")


def _causes(curves: Mapping[str, Curve]) -> str:
    """Which part makes the floor of the error: those that are at least a third of it, and do not fall."""
    floor = curves["error"].floor
    if floor is None:
        return ""
    words = {"start": "the start", "discretization": "the discretization", "last": "the last step"}
    parts = []
    for key, text in words.items():
        c = curves[key]
        flat = c.floor is not None or (len(c.slopes) > 0 and c.slopes[-1] < _FLAT)
        if c.errors and c.errors[-1] >= floor / 3 and flat:
            parts.append(text)
    if "the discretization" in parts and "the last step" in parts:
        parts.remove("the last step")  # it starts from what does not fall
    return " and ".join(parts) or "no part alone"


def _assumed(made: Any, target: Target, known: Sequence[str]) -> tuple[str, ...]:
    """What the numbers rest on, and what would change it; `known` is what an adapter says of it."""
    said = list(known)
    if made is not None and not known:
        said.append(f"path: {made.path!r}; with another, all that is compared with a marginal changes")
        interpolation = getattr(made.path, "interpolation", None)
        if interpolation:
            said.append(
                f"levels between two timesteps are linear in {interpolation} (interpolation=...); with another, calls "
                "between timesteps look off by a part of one"
            )
    if isinstance(made, Sampler):
        exactly = ", exactly (predicts=..., or an EstimatedScore as target)" if target is truth_of(target) else ""
        said.append(f"the model predicts {made.predicts}{exactly}")
        said.append("x_T is N(0, I) before any scaling of the code's own; another variance is a scaling in run")
        goal = "the data" if made.end is None else f"the marginal at level {made.end:g}"
        said.append(f"the output is to be {goal} (end=...)")
    return tuple(said)


def _remarks(report: Audit, target: Target) -> list[str]:
    together = sorted((*report.rungs, *report.odd), key=lambda r: r.steps)
    failures: dict[str, list[str]] = {}
    for r in together:
        if r.failure:
            failures.setdefault(r.failure.replace(f"({r.steps})", "(N)"), []).append(str(r.steps))
    said = [f"not known at N = {', '.join(at)}: {text}" for text, at in failures.items()]
    truth = truth_of(target)
    if target is not truth:
        said.insert(0, f"the model is that of {target!r}: all errors, its own among them, are those against {truth!r}")
    slips: dict[str, list[Rung]] = {}
    for r in together:
        if r.bookkeeping in ("refuted", "inconclusive") or r.kind == "rounded":
            slips.setdefault(f"{r.bookkeeping} {r.kind}", []).append(r)
    for group in slips.values():
        at = ", ".join(str(r.steps) for r in group)
        said.append(f"bookkeeping {group[0].bookkeeping} at N = {at}: {group[0].why}")
    for variant in report.variants:
        for r in variant.rungs:
            if r.failure or r.bookkeeping in ("refuted", "inconclusive"):
                what = f"not known: {r.failure}" if r.failure else f"bookkeeping {r.bookkeeping}: {r.why}"
                said.append(f"{variant.name}, N = {r.steps}: {what}")
                break
    whole = [r for r in report.rungs if r.effect is not None and r.discretization is not None]
    if whole:
        r = whole[-1]
        total = r.w2 if report.metric == "W2" else r.tv
        said.append(
            f"at N = {r.steps} the {report.metric} to the data is {_cell(total)}; alone, the start makes "
            f"{_cell(r.effect)}, the discretization up to the last model call {_cell(r.discretization)}, and that with "
            f"the last step {_cell(r.last)}"
        )
    shared, last = report.curves["shared"], report.curves["last"]
    if shared.settled and last.settled and last.order < shared.order - _NEAR - shared.change - last.change:
        said.append(
            f"the error at the shared level falls as N^{-shared.order:.2f}, that of the output from an exact start as "
            f"N^{0.0 - round(last.order, 2):.2f}: the steps below that level, which may move with N, decide it"
        )
    error = report.curves["error"]
    if error.floor is not None and report.kind == "sampler":
        said.append(f"the error has a floor of {error.floor:.3g}, made by {report.causes}")
    for r in report.odd:
        factor = _off_the_curve(report, r)
        if factor is not None and not 1 / _OFF <= factor <= _OFF:
            said.append(
                f"N = {r.steps} is off the curve of the ladder: its error is {factor:.3g} times what lies on it"
            )
    if report.rounding is not None and report.rounding > 1e-3:
        said.append(f"float32 changes a standard deviation of the output by {report.rounding:.2g} {report.rounded}")
    return said


def _off_the_curve(report: Audit, r: Rung) -> float | None:
    c, singular = report.curves["error"], report.metric == "W2"
    value = r.w2 if singular else r.tv
    if value is None or len(c.steps) < 2 or not c.steps[0] <= r.steps <= c.steps[-1] or min(c.errors) <= 0:
        return None
    on = math.exp(float(np.interp(math.log(r.steps), np.log(c.steps), np.log(c.errors))))
    return float(value) / on


# --- verdicts -------------------------------------------------------------------------------------------------------


def _findings(report: Audit, declared: Mapping[str, Any], make: Make, target: Target) -> list[Finding]:
    found = []
    if declared["order"] is not None:
        found.append(_ordered(report, float(declared["order"])))
    if declared["unbiased"]:
        what = "the law that it leaves invariant" if report.kind == "kernel" else "what comes out of an exact start"
        found.append(_same("unbiased", [(r, r.last) for r in report.rungs], f"{what} to the target"))
    if declared["stationary"] is not None:
        found.append(_stationary(report, declared["stationary"], make, target))
    if declared["bookkeeping"]:
        found.append(_booked(report))
    return found


def _ordered(report: Audit, order: float) -> Finding:
    curves = report.curves
    if report.kind == "kernel":
        return _of_order(order, curves["last"], "the law that it leaves invariant")
    output = _of_order(order, curves["last"], "the output from an exact start")
    if report.shared is None or report.ends:
        return output
    found = _of_order(order, curves["shared"], f"the input at level {report.shared:.6g}")
    return output if output.verdict == "holds" != found.verdict else found


def _of_order(order: float, c: Curve, which: str) -> Finding:
    declared = f"order {order:g}"
    if len(c.slopes) < 2:
        return Finding(declared, "inconclusive", f"the error of {which} can be told at {len(c.steps)} N; 3 are needed")
    slopes = ", ".join(f"{s:.2f}" for s in c.slopes)
    why = f"the error of {which} has the local slopes {slopes} over N = {', '.join(map(str, c.steps))}"
    if c.floor is not None:
        return Finding(declared, "refuted", f"{why}: it stays above a floor of {c.floor:.3g}")
    if not c.settled:
        return Finding(declared, "inconclusive", f"{why}: they have not settled")
    reach = max(_NEAR, 2 * c.change)
    if c.order > order + reach:
        return Finding(declared, "holds", f"{why}: it is more")
    return Finding(declared, "holds" if c.order >= order - reach else "refuted", why)


def _same(declared: str, values: Iterable[tuple[Rung, Value | None]], what: str) -> Finding:
    """That distances are 0 within their errors."""
    known = [(r.steps, value) for r, value in values if value is not None]
    if not known:
        return Finding(declared, "inconclusive", f"the distance of {what} is not known")
    n, worst = max(known, key=lambda each: each[1] - each[1].error)
    text = f"TV of {what} is {float(worst):.3g} with an error of {worst.error:.1g} at N = {n}"
    if worst - worst.error > 0:
        return Finding(declared, "refuted", text)
    vague = max(value.error for _, value in known)
    return Finding(declared, "holds" if vague < 1e-3 else "inconclusive", text)


def _stationary(report: Audit, law: Any, make: Make, target: Target) -> Finding:
    if not isinstance(law, Gaussian):
        raise ValueError(f"stationary: expected a Gaussian, got {type(law).__name__}")
    if report.kind != "kernel":
        raise ValueError("stationary: expected make(N) to be a Kernel; a Sampler leaves no law invariant")
    values: list[tuple[Rung, Value | None]] = []
    for r in report.rungs:
        if not r.failure:
            kernel = make(r.steps)
            assert isinstance(kernel, Kernel)
            values.append((r, tv(kernel.stationary(target).x, law)))
    return _same("the stationary law", values, "the law that it leaves invariant to the declared one")


def _booked(report: Audit) -> Finding:
    known = [r for r in (*report.rungs, *report.odd) if r.bookkeeping]
    for verdict in ("refuted", "inconclusive"):
        for r in known:
            if r.bookkeeping == verdict:
                return Finding("bookkeeping", verdict, f"N = {r.steps}: {r.why}")
    if not known:
        return Finding("bookkeeping", "inconclusive", "no reading tells the levels of its model calls")
    kinds = {r.kind for r in known}
    sharp = ""
    if kinds == {"none"}:
        sharp = ", to rounding: with data of one point every input is that of its level"
    elif "discretization" in kinds:
        sharp = ", as far as can be seen beside the discretization: a level told one step off would not be"
    elif "rounded" in kinds:
        sharp = ", where levels are told as whole timesteps: one that is told a timestep off may hide there"
    return Finding("bookkeeping", "holds", f"at all {len(known)} N that were read{sharp}")
