r"""Asserts for a test suite of samplers: about exact laws, so that they need no tolerance for chance.

A fault of a factor two in the noise, a level that is off by one, a method that lost an order: each changes the law of
the output, which is known without drawing from it. An assert that fails raises AssertionError with the table that
convinced it, and with what was assumed. One that cannot tell fails too, and says so.

Where no target is named, all of `rmverify.samplers.default_targets` must pass: of several variances, none of them 1,
off centre.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmverify.divergences import hellinger, kl, tv, w2
from rmverify.laws import output_law, stationary_law
from rmverify.numbers.checks import Array, number, positive_integer
from rmverify.numbers.rounding import UNIT
from rmverify.numbers.values import Value
from rmverify.plans import Correct, Plan, Predict
from rmverify.samplers import Joint, Kernel, Sampler, default_targets
from rmverify.samplers.arrays import precision_of
from rmverify.samplers.bookkeeping import Booked, Bookkeeping, bookkept
from rmverify.samplers.models import marginal, truth_of
from rmverify.samplers.probe import MOST_COORDINATES
from rmverify.schemes.contract import velocity_variance
from rmverify.targets import EstimatedScore, Gaussian, Guided, Target
from rmverify.testing.text import report, table

__all__ = [
    "assert_bookkeeping",
    "assert_law",
    "assert_order",
    "assert_same_law",
    "assert_stationary",
    "assert_unbiased",
]

_DISTANCES: dict[str, Callable[..., Value]] = {"tv": tv, "kl": kl, "w2": w2, "hellinger": hellinger}
_SHOWN = 8  # rows of a table of modes
_LEVELS = (2.0, 0.1)  # between which a scheme of plans is tried
_RISING = 0.95  # of the last rise of a slope, where nothing shows that rises end
_SCHEME = 5  # a step takes state, t, h, score, draw


# --- what is asserted -----------------------------------------------------------------------------------------------


def assert_law(
    sampler: Sampler | Kernel | Plan, law: Any, tol: float, *, target: Any = None, distance: str = "tv",
    start: Any = "normal", steps: Any = None,
) -> None:  # fmt: skip
    """The law of a sampler's output is within `tol` of the one that it should have.

    Parameters
    ----------
    sampler : Sampler, Kernel or Plan
    law : Gaussian, EstimatedScore, Guided, or None
        The data: the sampler is handed their exact model, and its output must have their law, or that of their marginal
        at the level where it ends. With None, all default targets must pass.
    tol : number
        The largest distance: of TV and Hellinger in [0, 1], of KL in nats, of W2 relative to the root of the trace of
        the covariance.
    target : Gaussian, EstimatedScore or Guided, optional
        Whose model the sampler is handed where that is not `law`; its output is then compared with `law` itself.
    distance : {"tv", "kl", "w2", "hellinger"}
    start, steps
        As for `rmverify.output_law`.

    Raises
    ------
    AssertionError
        Where the distance is larger, or known too vaguely to tell.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Gaussian, Plan, Predict, schemes
    >>> plan = Plan([Predict(schemes.heun, np.linspace(4.0, 0.0, 101))])
    >>> assert_law(plan, Gaussian([1.0, 0.0], [0.5, 2.0]), 0.01)
    """
    __tracebackhide__ = True
    tol = number("tol", tol, least=0)
    distance = _named(distance)
    if target is not None and not isinstance(law, Gaussian):
        raise ValueError(f"law: expected a Gaussian beside a target, got {type(law).__name__}")
    for name, one in _targets(law if target is None else target).items():
        out = _output(sampler, one, start, steps)
        due = out.due if target is None else law
        value = _distance(distance, out.law, due)
        _require(value, tol, "assert_law", "the output has not the law that it should have", distance, out, due, name)


def assert_stationary(kernel: Any, law: Any, tol: float, *, size: Any = None, distance: str = "tv") -> None:
    """The law that a Markov step leaves invariant is within `tol` of its target: of the position, which is compared.

    Parameters
    ----------
    kernel : Kernel, or a Langevin scheme
    law : Gaussian, EstimatedScore, Guided, or None
        The target, whose gradient the step is handed. With None, all default targets must pass.
    tol, distance
        As for `assert_law`.
    size : optional
        What the step is handed beside its noise, such as its length h; a scheme needs it.

    Raises
    ------
    AssertionError
        Where the distance is larger, or known too vaguely to tell.
    ValueError
        Where the step leaves no law invariant.

    Examples
    --------
    >>> from rmverify import Gaussian, schemes
    >>> assert_stationary(schemes.overdamped, Gaussian([1.0], [0.5]), 0.03, size=0.05)  # h/(4 lam)
    """
    __tracebackhide__ = True
    tol = number("tol", tol, least=0)
    distance = _named(distance)
    for name, one in _targets(law).items():
        out = _stationary(kernel, one, size)
        value = _distance(distance, out.law, out.due)
        title = "the step leaves another law invariant than its target"
        _require(value, tol, "assert_stationary", title, distance, out, out.due, name)


def assert_unbiased(
    kernel: Any, target: Any = None, *, sizes: Sequence[Any] | None = None, tol: float | None = None
) -> None:  # fmt: skip
    """A step, or a sampler, makes no error of discretization: its TV is 0 up to rounding, whatever its step size.

    Parameters
    ----------
    kernel : Kernel or Langevin scheme; Sampler or Plan; or a function of a size that returns one of these
        The law that a step leaves invariant must be its target. A sampler must turn the exact start into the law that
        its output should have.
    target : optional
        All default targets must pass where it is not given.
    sizes : sequence, optional
        What the step, or the function, is handed; needed by schemes and functions.
    tol : number, optional
        The largest TV that rounding may hide; by default half of the digits must be known, 1.5e-8 of float64. Tiny
        steps and targets far from 0 lose digits.

    Raises
    ------
    AssertionError
        Where there is an error; and where rounding may hide more than `tol`.
    ValueError
        Where the step leaves no law invariant, or no start is exact.

    Examples
    --------
    A step that solves its equation exactly:

    >>> import numpy as np
    >>> from rmverify import Gaussian, Kernel
    >>> def exact(state, gradient, noise, h):
    ...     mean, decay = state + gradient(state) / 4, np.exp(-h / 4)  # of N(m, 1/4)
    ...     return mean + decay * (state - mean) + np.sqrt((1 - decay**2) / 4) * noise()
    >>> assert_unbiased(Kernel(exact), Gaussian([1.0, 2.0], [0.25, 0.25]), sizes=[0.1, 10.0])
    """
    __tracebackhide__ = True
    tol = None if tol is None else number("tol", tol, least=0)
    if sizes is None and callable(kernel):
        raise ValueError("sizes: expected step sizes, as a scheme or a function needs them, got none")
    for size in [None] if sizes is None else sizes:
        made, handed = (kernel(size), None) if _makes(kernel) else (kernel, size)
        for name, one in _targets(target).items():
            whole = isinstance(made, Sampler | Plan)
            out = _output(made, one, "exact", None) if whole else _stationary(made, one, handed)
            value = _distance("tv", out.law, out.due)
            vague = math.sqrt(precision_of(out.dtype)) if tol is None else tol
            if value.lower <= 0 and value.error <= vague:
                continue
            facts = out.described(name)
            facts += [("made with", size)] if made is not kernel else []
            facts.append(("TV", f"{_with_error(value)}; 0 up to rounding was due"))
            if value.lower > 0:
                title = "assert_unbiased: there is an error of discretization"
            else:
                title = f"assert_unbiased: inconclusive: rounding may hide a TV above {vague:.2g}; is that tol enough?"
            raise AssertionError(report(title, facts, _modes(out.law, out.due)))


def assert_same_law(
    a: Any, b: Any, *, target: Any = None, tol: float | None = None, start: Any = "normal", steps: Any = None,
    alphas: Any = None,
) -> None:  # fmt: skip
    r"""Two samplers have one law: a rewrite, a port to another library, a fused kernel beside its reference.

    Means are compared in units of the standard deviation, variances and covariances relative to the variances. Equal
    laws may come from other maps of the noise: what the same seed gives is not compared.

    Parameters
    ----------
    a, b : Sampler, Kernel, Plan or scheme
        Of Kernels every component of the state is compared where both have as many, otherwise the position. A scheme is
        run from level 2 to 0.1 in uneven steps, or with a velocity as a corrector at level 0.
    target : optional
        All default targets must pass where it is not given.
    tol : number, optional
        The largest difference. By default eight roundings of each operation, in the coarser of the two dtypes, and what
        rounding has left unknown of both laws; each relative to a number, and so larger where a mean is far from 0 in
        standard deviations.
    start, steps
        As for `rmverify.output_law`; three steps of a Kernel by default.
    alphas : sequence, optional
        The midpoints, for plans with random ones: as their law is no Gaussian, it is compared given them.

    Raises
    ------
    AssertionError
        Where they differ by more.
    TypeError
        Where a law is averaged over random midpoints; pass `alphas`.

    Examples
    --------
    >>> from rmverify import schemes
    >>> def fused(x, t, h, score, draw):
    ...     slope = x + score(t, x)
    ...     return x + h / 2 * (slope + (x + h * slope) + score(t - h, x + h * slope))
    >>> assert_same_law(fused, schemes.heun)
    """
    __tracebackhide__ = True
    tol = None if tol is None else number("tol", tol, least=0)
    for name, one in _targets(target).items():
        ours, theirs = (_all_of(_run_of(code), one, start, steps, alphas) for code in (a, b))
        if len(ours) != len(theirs):
            ours, theirs = ours[:1], theirs[:1]
        for n, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            found = _Difference(p, q)
            bound = found.bound if tol is None else tol
            if found.size <= bound:
                continue
            facts = [("a", p.what), ("b", q.what), ("target", _shown(one, name)), ("assumed", p.assumed)]
            if len(ours) > 1:
                between = found.across == found.size
                facts.append(("component", "between two of the state" if between else f"{n} of the state"))
            kind = f"rounding in {found.dtype}" if tol is None else "tol"
            facts.append(("largest", f"{found.size:.3g} of a standard deviation or variance; {kind}: {bound:.2g}"))
            if tol is None and _note(found):
                facts.append(("note", "of the size of float32: does one of them keep a table in it? then pass tol"))
            shown = _modes(p.law, q.law, (" a", " b"))
            raise AssertionError(report("assert_same_law: a and b have different laws", facts, shown))


def assert_order(
    make: Any, order: float, *, steps: Sequence[int] = (16, 32, 64, 128, 256), target: Any = None, tol: float = 0.25,
    distance: str = "tv", at: str = "output",
) -> None:  # fmt: skip
    """The error of discretization falls at least like N to the power -`order`, and has settled to a power.

    The start is the one with which the first model call is exact, so that only the steps are judged. The last two local
    slopes log(error(N)/error(N'))/log(N'/N) must agree within `tol`/2, or nothing can be said yet.

    Parameters
    ----------
    make : function, or scheme
        ``make(N)`` is a Sampler or Plan of N steps, or a Kernel of N steps to a unit of time, whose stationary law is
        compared. A scheme is run from level 2 to 0.1 in equal steps.
    order : number > 0
    steps : sequence of int
        At least three, increasing.
    target : optional
        All default targets must pass where it is not given.
    tol : number
        By how much the last slope may be less; 1/4 tells orders apart that are multiples of 1/2.
    distance : {"tv", "w2", "hellinger"}
    at : {"output", "last call"}
        Where the law is looked at. A last step from a least level to the data makes an error that no N lessens; what
        the model is handed in its last call does not have it. That is a stage where a step asks more than once.

    Raises
    ------
    AssertionError
        Where the order is lower; and where it is not settled, or the errors are rounding: inconclusive.

    Examples
    --------
    >>> from rmverify import schemes
    >>> assert_order(schemes.heun, 2)
    """
    __tracebackhide__ = True
    order, tol = number("order", order, above=0), number("tol", tol, above=0)
    if at not in ("output", "last call"):
        raise ValueError(f"at: expected 'output' or 'last call', got {at!r}")
    if _named(distance) == "kl":
        raise ValueError("distance: expected 'tv', 'w2' or 'hellinger', as KL falls with twice the order, got 'kl'")
    counts = [int(n) for n in steps]
    if len(counts) < 3 or any(b <= a for a, b in itertools.pairwise(counts)) or counts[0] < 1:
        raise ValueError(f"steps: expected at least three numbers of steps that increase, got {steps!r}")
    for name, one in _targets(target).items():
        outs = [_at(_made(make, n), one, at) for n in counts]
        errors = [_distance(distance, out.law, out.due) for out in outs]
        slopes = [_slope(*pair) for pair in zip(counts, errors, counts[1:], errors[1:], strict=False)]
        why = _judged(slopes, order, tol)
        if not why:
            continue
        rows = [
            [n, out.evaluations, f"{float(e):.4g}", f"{e.error:.1g}", slope]
            for n, out, e, slope in zip(counts, outs, errors, ["", *(f"{p:.3f}" for p, _ in slopes)], strict=True)
        ]
        facts = [*outs[-1].described(name), *_told(make), ("looked at", at)]
        facts.append(("declared", f"order {order:g}; a slope from {order - tol:g}, settled to {tol / 2:g}"))
        heads = ["N", "evaluations", _unit(distance), "its error", "local slope"]
        raise AssertionError(report(f"assert_order: {why}", facts, table(heads, rows)))


def assert_bookkeeping(make: Any, target: Any = None, *, steps: int = 16) -> None:
    """Every model call is handed what the level says that it names: no level of another call, no scaling forgotten.

    Parameters
    ----------
    make : function or Sampler
        ``make(N)`` is the sampler of N steps. A Sampler alone will do where its steps are exact on data of one point,
        as those of DDIM, Euler, Heun and DPM-Solver are in their own clocks; otherwise a slip is told from an error of
        discretization by twice the steps, which a Sampler cannot be asked for. Where it will do it is the sharper test:
        a level told one step off falls with the steps as an error of discretization does, and passes as ``make``. A
        whole timestep that is told less than one off passes for a rounded one.
    target : Gaussian, optional
        All default targets must pass where it is not given.
    steps : int
        N, and then 2N where it is needed.

    Raises
    ------
    AssertionError
        With the calls where it shows and what their inputs look like; and where it cannot be told.

    Examples
    --------
    >>> import numpy as np
    >>> from rmverify import Sampler, paths
    >>> def run(model, x, noise):
    ...     sigmas = np.geomspace(10, 0.01, 17)
    ...     x = x * sigmas[0]
    ...     for s, s_next in zip(sigmas[:-1], sigmas[1:]):
    ...         x = x + (s_next - s) * (x - model(x, s)) / s
    ...     return x
    >>> assert_bookkeeping(Sampler(run, path=paths.VE(), predicts="x0"))
    """
    __tracebackhide__ = True
    steps = positive_integer("steps", steps)
    for name, one in _targets(target).items():
        if not isinstance(one, Gaussian):
            raise ValueError(f"target: expected a Gaussian, got {type(one).__name__}")
        found = _booked(make, steps, one)
        if found.verdict == "holds":
            continue
        why = found.why if found.verdict == "refuted" else f"inconclusive: {found.why}"
        calls = found.point if found.point and found.kind != "discretization" else found.calls
        first = max(0, (found.call or 0) - _SHOWN // 2)
        rows = [
            [b.call, b.level, b.apparent, b.scale, f"{b.misfit:.1e}", f"{b.allowed:.1e}", _sign(b, found.call)]
            for b in calls[first : first + _SHOWN]
        ]
        sampler = make if isinstance(make, Sampler) else make(steps)
        data = "one point" if calls is found.point else "the target"
        facts = [
            ("sampler", repr(sampler)),
            ("target", _shown(one, name)),
            ("assumed", f"the start that makes call 0 exact, where there is one; exact model; inputs below on {data}"),
            *_told(make),
        ]
        heads = ["call", "level", "looks like", "scale", "misfit", "allowed", ""]
        raise AssertionError(report(f"assert_bookkeeping: {why}", facts, table(heads, rows)))


def _told(make: Any) -> list[tuple[str, object]]:
    """What an adapter assumed."""
    return [("adapter", "; ".join(told))] if (told := getattr(make, "assumed", ())) else []


def _booked(make: Any, steps: int, target: Gaussian) -> Bookkeeping:
    if not isinstance(make, Sampler):
        return bookkept(make, steps, target)

    def only(n: int) -> Sampler:
        if n == steps:
            return make
        raise ValueError("one Sampler has no finer steps; pass make(N)")

    return bookkept(only, steps, target)


def _sign(call: Booked, first: int | None) -> str:
    return "<- here" if call.call == first else ""


# --- laws of what is asserted about ---------------------------------------------------------------------------------


@dataclass
class _Out:
    """A law, the one it should be, and how it came about."""

    what: str
    target: Target
    law: Any
    due: Gaussian
    assumed: str
    operations: int = 0
    dtype: str = "float64"
    evaluations: Any = ""
    joint: Joint | None = None

    def described(self, name: str) -> list[tuple[str, object]]:
        return [("sampler", self.what), ("target", _shown(self.target, name)), ("assumed", self.assumed)]


def _output(
    code: Any, target: Target, start: Any, steps: Any, alphas: Any = None, at: str = "output"
) -> _Out:  # fmt: skip
    truth, what = truth_of(target), repr(code)
    given = start if not isinstance(start, str) else "N(0, I)" if start == "normal" else start
    assumed = f"start {given}, exact model"
    if isinstance(code, Sampler):
        reading = code.read(target)
        assumed += f" in {code.predicts}, {code.path!r}, read in {reading.dtype}"
        law, due = reading.law(start), reading.wanted
        if at == "last call":
            law, due = reading.input_law(-1, start), reading.marginal(reading.calls[-1].level)
        return _Out(what, target, law, due, assumed, reading.affine.steps, reading.dtype, reading.evaluations)
    if isinstance(code, Kernel):
        law, due = output_law(code, target, start=start, steps=steps), _level(code, truth)
        return _Out(what, target, law, due, f"{assumed} in {code.predicts}, steps {1 if steps is None else steps}")
    if isinstance(code, Plan):
        mixed: Any = output_law(code, target, alphas=alphas, start=start)  # type: ignore[call-overload]
        assumed += f" in score, from level {code.start:g} of OU" + ("" if alphas is None else ", given alphas")
        return _Out(what, target, mixed, truth.at(code.end), assumed, code.evaluations, "float64", code.evaluations)
    raise ValueError(f"sampler: expected a Sampler, a Kernel or a Plan, got {type(code).__name__}")


def _stationary(code: Any, target: Target, size: Any) -> _Out:
    truth = truth_of(target)
    handed = "" if size is None else f", step size {size}"
    if isinstance(code, Kernel):
        _, moved = code.read(target, sizes=() if size is None else (size,))
        law: Any = stationary_law(code, target, size)  # type: ignore[arg-type]
        due, assumed = _level(code, truth), f"exact {code.predicts}{handed}, positions compared"
        return _Out(repr(code), target, law, due, assumed, moved.steps, moved.dtype, moved.evaluations)
    if not _is_scheme(code):
        raise ValueError(f"kernel: expected a Kernel or a Langevin scheme, got {type(code).__name__}")
    law = stationary_law(code, target, size)  # type: ignore[arg-type]
    return _Out(repr(code), target, law, truth, f"exact score{handed}, positions compared")


def _at(code: Any, target: Target, at: str) -> _Out:
    """The law from an exact start, at the output or where the model is asked last; of a Kernel the stationary one."""
    if at == "last call" and not isinstance(code, Sampler):
        raise ValueError(f"at: expected a Sampler for 'last call', got a {type(code).__name__}")
    return _stationary(code, target, None) if isinstance(code, Kernel) else _output(code, target, "exact", None, at=at)


def _all_of(code: Any, target: Target, start: Any, steps: Any, alphas: Any) -> list[_Out]:
    """The laws of all components, the position first."""
    if not isinstance(code, Kernel):
        out = _output(code, target, start, steps, alphas)
        if not isinstance(out.law, Gaussian):
            raise TypeError(
                f"{out.what}: expected a Gaussian law, got {out.law!r}, whose mean and variance do not say all; pass "
                "midpoints as alphas"
            )
        return [out]
    steps = 3 if steps is None else steps
    sizes = () if np.ndim(steps) == 0 else (steps[0],)
    _, moved = code.read(target, sizes=sizes)
    count = int(steps) if np.ndim(steps) == 0 else len(steps)
    joint, due = code.law(target, steps, start=start), _level(code, truth_of(target))
    order = sorted(range(joint.components), key=lambda n: n != joint.position)
    assumed = f"start {start}, exact {code.predicts}, {count} steps"
    return [
        _Out(repr(code), target, joint.component(n), due, assumed, count * moved.steps, moved.dtype, joint=joint)
        for n in order
    ]


def _level(kernel: Kernel, truth: Gaussian) -> Gaussian:
    means, variances = marginal(truth, kernel.path, kernel.level)
    return truth.with_modes(variances, means, 0.0 if kernel.level is None else 4 * UNIT)


def _is_scheme(code: Any) -> bool:
    if not callable(code):
        return False
    if hasattr(code, "kinetic") or hasattr(getattr(code, "func", None), "kinetic"):
        return True
    try:
        taken = inspect.signature(code).parameters.values()
    except ValueError:  # a function that does not tell
        return False
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in taken) >= _SCHEME


def _makes(code: Any) -> bool:
    return callable(code) and not isinstance(code, Sampler | Kernel | Plan) and not _is_scheme(code)


def _made(make: Any, n: int) -> Any:
    if _is_scheme(make):
        return Plan([Predict(make, np.linspace(*_LEVELS, n + 1))])
    if isinstance(make, Sampler | Kernel | Plan):
        raise ValueError(f"make: expected a function make(N), got the {type(make).__name__} that it should return")
    made = make(n)
    if not isinstance(made, Sampler | Kernel | Plan):
        raise ValueError(f"make: expected a function that returns a Sampler, a Kernel or a Plan, got {made!r}")
    return made


def _run_of(code: Any) -> Any:
    """A scheme as a plan, of steps of three sizes."""
    if not _is_scheme(code):
        return code
    if velocity_variance(code) is not None:
        return Plan([Correct(code, 0.0, h, 2) for h in (0.02, 0.07)])
    return Plan([Predict(code, np.array([_LEVELS[0], 1.5, 0.4, _LEVELS[1]]))])


# --- targets and distances ------------------------------------------------------------------------------------------


def _targets(target: Any) -> Mapping[str, Any]:
    if target is None:
        return {f"default_targets()[{name!r}]": one for name, one in default_targets().items()}
    if not isinstance(target, Gaussian | EstimatedScore | Guided):
        raise ValueError(f"target: expected a Gaussian, an EstimatedScore or a Guided, got {type(target).__name__}")
    return {"": target}


def _shown(target: Target, name: str) -> str:
    return f"{name}: {target!r}" if name else repr(target)


def _named(distance: str) -> str:
    if distance not in _DISTANCES:
        raise ValueError(f"distance: expected one of {', '.join(_DISTANCES)}, got {distance!r}")
    return distance


def _unit(distance: str) -> str:
    return "W2/sd" if distance == "w2" else distance.upper() if len(distance) == 2 else "Hellinger"


def _distance(distance: str, law: Any, due: Gaussian) -> Value:
    value = _DISTANCES[distance](law, due)
    if distance != "w2":
        return value
    size = math.sqrt(float(due.multiplicities @ due.variances))
    if size == 0:
        return value
    return Value(value / size, value.kind, value.error / size, lower=value.lower / size, upper=value.upper / size)


def _with_error(value: Value) -> str:
    return f"{float(value):.6g} ({value.kind}, error {value.error:.1g})"


def _require(
    value: Value, tol: float, who: str, title: str, distance: str, out: _Out, due: Gaussian, name: str
) -> None:  # fmt: skip
    __tracebackhide__ = True
    if value.upper <= tol:
        return
    title = title if value.lower > tol else "inconclusive: the distance is known too vaguely to say that it is allowed"
    facts = [*out.described(name), (_unit(distance), f"{_with_error(value)}; at most {tol:g} was allowed")]
    raise AssertionError(report(f"{who}: {title}", facts, _modes(out.law, due)))


# --- differences of two laws ----------------------------------------------------------------------------------------


class _Difference:
    """How far the moments of two Gaussians are apart, and how far rounding may take them."""

    def __init__(self, p: _Out, q: _Out) -> None:
        rows, off, what = _moments(p.law, q.law)
        means, variances = rows[:, 4], rows[:, 5]
        self.across = _across(p.joint, q.joint)
        self.size = float(max(np.abs(means).max(), np.abs(variances).max(), off, self.across))
        self.dtype = _coarser(p.dtype, q.dtype)
        self.operations = max(p.operations, q.operations)
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(rows[:, 1]) / np.sqrt(rows[:, 3])
        self.far = float(np.nan_to_num(far, posinf=0.0).max())
        own = _rounding(self.operations, self.dtype, self.far)
        least = float(rows[:, 3].min())
        lost = [
            law.rounding if what == "mode" or not least else law.rounding * law.variances / least
            for law in (p.law, q.law)
        ]
        self.bound = own + float(lost[0].max() + lost[1].max())


def _coarser(p: str, q: str) -> str:
    return max(p, q, key=precision_of)


def _rounding(operations: int, dtype: str, far: float) -> float:
    """Eight roundings of each operation, of a number that is so many standard deviations from 0."""
    return 8 * (operations + 4) * precision_of(dtype) * (1 + far)


def _note(found: _Difference) -> bool:
    """Whether float32 would explain what float64 does not."""
    coarse = _rounding(found.operations, "float32", found.far)
    return found.dtype == "float64" and found.size <= coarse


def _across(p: Joint | None, q: Joint | None) -> float:
    """The largest difference of covariances, but for variances, of two states, relative."""
    if p is None or q is None or p.covariance.shape != q.covariance.shape:
        return 0.0
    sizes = np.sqrt(np.diagonal(q.covariance, axis1=1, axis2=2))
    off = _relative(np.abs(p.covariance - q.covariance), sizes[:, :, None] * sizes[:, None])
    return float(np.where(np.eye(off.shape[-1]), 0.0, off).max())


def _moments(p: Any, q: Any) -> tuple[Array, float, str]:
    """Rows of mean of p and q, variance of p and q, and their differences, relative; the largest other difference of
    covariances; and what a row is."""
    same = getattr(p, "basis", None) is getattr(q, "basis", None) and p.variances.shape == q.variances.shape
    off, what = 0.0, "mode"
    if same:
        m, n, v, w = p.means, q.means, p.variances, q.variances
    else:
        if p.dim != q.dim or p.dim > MOST_COORDINATES:
            raise ValueError(
                f"law: expected one of dimension {p.dim}, up to {MOST_COORDINATES} where it is not given in the same "
                f"modes, got {q.dim}"
            )
        what, C, D = "axis", p.covariance, q.covariance
        m, n, v, w = p.mean, q.mean, np.diagonal(C), np.diagonal(D)
        off = float(_relative(np.abs(C - D), np.sqrt(np.outer(w, w))).max())
    return np.stack([m, n, v, w, _relative(m - n, np.sqrt(w)), _relative(v - w, w)], axis=1), off, what


def _relative(difference: Array, size: Array) -> Array:
    return np.asarray(
        np.divide(difference, size, out=np.where(difference == 0, 0.0, np.copysign(np.inf, difference)), where=size > 0)
    )


def _modes(p: Any, q: Any, names: tuple[str, str] | None = None) -> str:
    """The moments of two laws side by side, those that differ most first."""
    rows, off, what = _moments(p, q)
    worst = np.argsort(-np.abs(rows[:, 4:]).max(axis=1), kind="stable")[:_SHOWN]
    one, other = names or ("", "")
    means, variances = [f"mean{one}", f"mean{other}"], [f"variance{one}", f"variance{other}"]
    if names is None:
        means[1] = variances[1] = "due"
    heads = [what, *means, "off/sd", *variances, "off"]
    shown = [(k, *(f"{z:.4g}" for z in rows[k, :4]), *(f"{z:+.1e}" for z in rows[k, 4:])) for k in worst]
    text = table(heads, [(k, m, n, a, v, w, b) for k, m, n, v, w, a, b in shown])
    text += f"\n{len(rows) - len(worst)} more" if len(rows) > len(worst) else ""
    return text + (f"\nlargest difference of a covariance, relative: {off:.1e}" if off else "")


# --- orders ---------------------------------------------------------------------------------------------------------


def _slope(n: int, error: Value, then: int, later: Value) -> tuple[float, float]:
    """log(error/later)/log(then/n), and what it is off by at most."""
    if not (error > 0 and later > 0):
        return math.nan, math.inf
    size = math.log(then / n)
    return math.log(error / later) / size, (error.error / error + later.error / later) / size


def _judged(slopes: list[tuple[float, float]], order: float, tol: float) -> str:
    """Why the order is not the declared one; empty where it is.

    Slopes that still rise are no refutation where they would come near the order if they went on rising, each time by
    as large a part of the last rise as they do now.
    """
    (before, vague), (last, vaguer) = slopes[-2:]
    if not max(vague, vaguer) <= tol:
        return "inconclusive: the last errors are too small, or too vague, to have slopes; try fewer steps"
    rise, least = last - before, order - tol
    settled = abs(rise) <= tol / 2
    if settled and last >= least:
        return ""
    ends = f"slopes end with {before:.3f}, {last:.3f}"
    if last < max(slope for slope, _ in slopes) / 2:
        return f"the order is not {order:g}: the error stops falling, {ends}; is there a floor? see at='last call'"
    earlier = before - slopes[-3][0] if len(slopes) > 2 else 0.0
    part = min(max(rise / earlier, 0.5), _RISING) if earlier > 0 else _RISING
    if settled and last + max(rise, 0.0) * part / (1 - part) < least:
        return f"the order is {last:.2f}, not {order:g}"
    return f"inconclusive: the order has not settled, {ends}; try more steps"
