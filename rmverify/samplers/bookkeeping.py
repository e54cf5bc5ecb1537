r"""Bookkeeping: is every input of the model what the level that the code names says?

Errors at the end of a run can cancel, and a wrong timestep can even make them smaller; the inputs of the model cannot
hide. The input of each call has known means and variances, and at level t they should be alpha m and
alpha^2 lam + sigma^2. Steps of finite size miss these by a discretization error, so that a misfit alone is no fault.
What is one is told apart on data that are a single point: there every step that follows the path by a constant
prediction of the data, of any order, with noise or without, is exact, and the first input that is *exactly* the
marginal of another level, or an exact multiple of what is due, is a slip of the code at that call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.paths import VP, Path
from rmverify.samplers.arrays import precision_of
from rmverify.targets import Gaussian

if TYPE_CHECKING:
    from rmverify.samplers.sampler import Reading, Sampler

__all__ = ["Booked", "Bookkeeping", "booked", "bookkept"]

_PIECES = 16  # of an interval that holds the apparent level, and so often
_NARROWINGS = 16
_POINT = Gaussian([2.0], [1e-24])  # not 0, so that a score exists at sigma = 0
_EXACT = 0.002  # of a misfit: what another level or a factor leaves of it where it explains it, but for _ROUNDED_OFF
_TOLD = 0.01  # what is allowed of an input that shows its level: beyond, roundings hide another one
_ROUNDED_OFF = 1 / 64  # of what is allowed: two roundings of each call
_ROUNDED = 0.98  # of a timestep: whole numbers that are told are off by less, cut off or rounded; a slip is off by 1
_MANY = 100  # levels from which on whole ones are timesteps
_FINER = 8
_SLIP = 0.75  # what a slip keeps of its size in steps when they are _FINER times as many, where one step's error falls
_ROUNDINGS = 128.0  # of each call, as coefficients are often kept in float32


@dataclass(frozen=True, eq=False)
class Booked:
    """One call of the model: the level that the code claims, and what its input looks like.

    Attributes
    ----------
    call : int
        Its number, from 0.
    level : float
        Which the code claims; nan where rows had levels of their own, and then all that follows from it.
    mean, variance : ndarray, shape (K,)
        Of the input, mode by mode.
    due_mean, due_variance : ndarray, shape (K,)
        alpha m and alpha^2 lam + sigma^2 at that level.
    misfit : float
        The largest over the modes of abs(variance/due_variance - 1) and abs(mean - due_mean)/sqrt(due_variance).
    apparent : float
        The level whose marginal is nearest to the input, in the least squares of these, over all levels near those of
        the code.
    scale : float
        By which factor the input is larger than what is due, in the same sense.
    left_by_level, left_by_scale : float
        The misfit that is left after the one or the other.
    steps : float
        apparent - level in steps of the code's own ladder of levels.
    allowed : float
        Of the misfit: the roundings of all calls so far, and what different interpolations of a list of timesteps make
        of a level between them.
    """

    call: int
    level: float
    mean: Array
    variance: Array
    due_mean: Array
    due_variance: Array
    misfit: float
    apparent: float
    scale: float
    left_by_level: float
    left_by_scale: float
    steps: float
    allowed: float

    @property
    def kind(self) -> str:
        """What the misfit is: "none" within what is allowed; "level" or "scale" where that explains at least half of
        it and leaves less than half of what the other leaves; "level or scale" where both explain it alike; else
        "other"."""
        if math.isnan(self.misfit):
            return "unknown"
        if self.misfit <= self.allowed:
            return "none"
        a, b = self.left_by_level, self.left_by_scale
        if min(a, b) > self.misfit / 2:
            return "other"
        return "level" if a < b / 2 else "scale" if b < a / 2 else "level or scale"


@dataclass(frozen=True, eq=False)
class Bookkeeping:
    """Whether a sampler's inputs are what it claims, with the calls that show it.

    Attributes
    ----------
    verdict : {"holds", "refuted", "inconclusive"}
    why : str
        In one sentence, with the numbers.
    kind : {"none", "rounded", "level", "scale", "start", "discretization"}
        What was found: "rounded" are levels told as whole timesteps, "start" a first input that N(0, I)
        leaves with a variance that no start has, "discretization" a method that is not exact on one point either.
    call : int or None
        The first call where it shows.
    calls : list of Booked
        On the target.
    point : list of Booked
        On data that are one point; empty where it cannot be read so.
    """

    verdict: str
    why: str
    kind: str
    call: int | None
    calls: list[Booked]
    point: list[Booked]


def booked(reading: Reading, start: Any = "exact") -> list[Booked]:
    """`Reading.bookkeeping`."""
    if isinstance(start, str) and start == "exact":
        try:
            reading.start(start)
        except ValueError:
            start = "normal"
    truth, path = reading.truth, _between(reading.sampler.path)
    lam, mean = truth.variances, truth.means
    if reading.in_coordinates and truth.basis is None:
        counts = truth.multiplicities.astype(int)
        lam, mean = np.repeat(lam, counts), np.repeat(mean, counts)
    given = None if isinstance(start, str) and start == "normal" else reading.start(start)
    calls = reading.calls
    told = np.array([call.level for call in calls])
    m, v = (np.array(z) for z in zip(*(call.moments(given) for call in calls), strict=True))
    levels = np.where(np.isnan(told), path.levels[0], told)  # of these, all that is found is put away
    alpha, sigma = (z[:, None] for z in path.at(levels))
    due_m, due_v = alpha * mean, alpha**2 * lam + sigma**2
    misfit = _misfit(m, v, due_m, due_v)
    own = [_allowed(path, level, mean, lam, n, reading.dtype) for n, level in enumerate(levels)]
    apparent = _nearest(path, levels, m, v, mean, lam)
    a, s = (z[:, None] for z in path.at(apparent))
    by_level = _misfit(m, v, a * mean, a**2 * lam + s**2)
    c = _scale(v, due_v)[:, None]
    by_scale = _misfit(m, v, c * due_m, c * c * due_v)
    steps, void = _in_steps(path, levels, apparent), np.isnan(told)
    numbers = np.array([misfit, apparent, c[:, 0], by_level, by_scale, steps, np.cumsum(own)])
    numbers[:, void], due_m[void], due_v[void] = np.nan, np.nan, np.nan
    return [
        Booked(n, float(told[n]), m[n], v[n], due_m[n], due_v[n], *(float(z) for z in numbers[:, n]))
        for n in range(len(calls))
    ]


def _misfits(m: Array, v: Array, due_m: Array, due_v: Array) -> tuple[Array, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.where(v == due_v, 0.0, np.abs(v / due_v - 1))  # 1 where infinite noise is due
        off = np.where(m == due_m, 0.0, np.abs(m - due_m) / np.sqrt(due_v))
    return wide, off


def _misfit(m: Array, v: Array, due_m: Array, due_v: Array) -> Array:
    worst: Array = np.maximum(*_misfits(m, v, due_m, due_v)).max(axis=-1)
    return worst


def _scale(v: Array, due_v: Array) -> Array:
    """c with v = c^2 due_v as nearly as may be: the least squares of the logarithms."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(v / due_v) / 2
    known = np.isfinite(logs)
    found: Array = np.exp(np.where(known, logs, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1))
    return found


def _between(path: Path) -> Path:
    """The path with all its levels: a list of timesteps may be asked between them here."""
    if isinstance(path, VP) and getattr(path, "interpolation", "none") is None:
        return VP(path.alphas_cumprod)
    return path


def _nearest(path: Path, levels: Array, m: Array, v: Array, mean: Array, lam: Array) -> Array:
    """The levels whose marginals are nearest to the inputs: the best of the code's own, narrowed between neighbours."""
    low, high = path.levels
    known = np.unique(levels[np.isfinite(levels)])
    if known.size == 0:
        return levels
    beyond = max(1.0, 2 * float(known[-1] - known[0]))
    ladder = np.unique(np.clip([low, *known, known[-1] + beyond], low, high))
    at = [np.asarray(z)[:, None] for z in path.at(ladder)]
    best = np.array(
        [int(np.argmin(_distance(at[0], at[1], *moments, mean, lam))) for moments in zip(m, v, strict=True)]
    )
    below, above = ladder[np.maximum(best - 1, 0)], ladder[np.minimum(best + 1, ladder.size - 1)]
    rows, parts = np.arange(len(m)), np.linspace(0, 1, _PIECES + 1)
    for _ in range(_NARROWINGS):
        inner = below[:, None] + (above - below)[:, None] * parts
        alpha, sigma = (np.asarray(z)[..., None] for z in path.at(inner))
        best = np.argmin(_distance(alpha, sigma, m[:, None], v[:, None], mean, lam), axis=1)
        below, above = inner[rows, np.maximum(best - 1, 0)], inner[rows, np.minimum(best + 1, _PIECES)]
    return np.asarray(below + (above - below) / 2)


def _distance(alpha: Array, sigma: Array, m: Array, v: Array, mean: Array, lam: Array) -> Array:
    wide, off = _misfits(m, v, alpha * mean, alpha**2 * lam + sigma**2)
    cost: Array = (np.minimum(wide, 1e100) ** 2 + np.minimum(off, 1e100) ** 2).sum(axis=-1)
    return cost


def _in_steps(path: Path, levels: Array, apparent: Array) -> Array:
    """apparent - levels, in steps of the code's own ladder there: of log(sigma/alpha) where that is finite."""
    with np.errstate(divide="ignore"):
        have, told = (np.log(sigma) - np.log(alpha) for alpha, sigma in (path.at(apparent), path.at(levels)))
    plain = ~(np.isfinite(have) & np.isfinite(told))
    have, told = np.where(plain, apparent, have), np.where(plain, levels, told)
    found = np.zeros_like(have)
    for n, level in enumerate(told):
        with np.errstate(invalid="ignore"):  # of infinite levels
            gaps = np.abs(told[plain == plain[n]] - level)
        gaps = gaps[gaps > 0]
        found[n] = (have[n] - level) / gaps.min() if gaps.size else 0.0
    return found


def _allowed(path: Path, level: float, mean: Array, lam: Array, n: int, dtype: str) -> float:
    """What roundings of this call and different interpolations may add to the misfit."""
    alpha, sigma = path.at(level)
    due_m, due_v = alpha * mean, alpha**2 * lam + sigma**2
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(due_v > 0, np.abs(due_m) / np.sqrt(due_v), 0.0).max()
    own = _ROUNDINGS * precision_of("float32") * (1 + float(far)) * (2 if n == 0 else 1)
    if not (isinstance(path, VP) and hasattr(path, "alphas_cumprod")) or level == int(level):
        return own
    other = 0.0
    squares, low = path.alphas_cumprod, int(level)
    a, b, part = squares[low], squares[low + 1], level - low
    ways = [(1 - part) * a + part * b]
    if a > 0 and b > 0:
        ratio = (1 - part) * math.sqrt((1 - a) / a) + part * math.sqrt((1 - b) / b)
        ways.append(1 / (1 + ratio**2))
        log = (1 - part) * math.log((1 - a) / a) + part * math.log((1 - b) / b)
        ways.append(1 / (1 + math.exp(log)))
    for square in ways:
        other = max(other, float(_misfit(math.sqrt(square) * mean, square * lam + 1 - square, due_m, due_v)))
    return own + other


def bookkept(
    make: Callable[[int], Sampler], steps: int, target: Gaussian, reading: Reading | None = None
) -> Bookkeeping:
    r"""Whether the inputs of a sampler's model are what the levels say that it names, and the call where they are not.

    Parameters
    ----------
    make : callable
        The sampler at so many steps.
    steps : int
        It is read at so many, and at twice and eight times as many where that is needed.
    target : Gaussian
    reading : Reading, optional
        The sampler's at so many steps on this target, where there is one already.

    Notes
    -----
    The verdict is found in this order.

    1. From N(0, I) the first input must have a variance from sigma^2 to (sigma + alpha)^2, where the data are one
       point: as noise alone has, or pure noise in place of the level, in all paths. Else "refuted", a misfit of the
       start.
    2. Where the data are one point and the start is exact, all inputs fit to rounding: "holds".
    3. At the first call that does not fit, the input is the marginal of another level, or a multiple of what is due,
       but for 0.2 % of the misfit: "refuted", with that level or factor, if it is off by a whole number of timesteps,
       or if with eight times the steps some call up to there is off by three quarters as many steps, or the logarithm
       of the factor by three quarters as much. The error of one step falls faster than the step itself. Levels less
       than one timestep from a whole one that is told are roundings of it: "holds", and `kind` says "rounded".
    4. The method is not exact on one point, or that does not decide. On the target itself the largest misfit falls at
       least like steps^{-1/2} when there are twice or eight times as many: "holds", as far as can be seen beside the
       discretization; it is no smaller with eight times as many: "refuted"; else "inconclusive". A slip of one step of
       the code's own ladder falls like a discretization error of order 1, and is not seen here.

    Examples
    --------
    A loop that steps to one level and tells its model the next:

    >>> import numpy as np
    >>> from rmverify import Gaussian, Sampler, paths
    >>> from rmverify.samplers.bookkeeping import bookkept
    >>> def make(n, late=0):
    ...     sigmas = np.geomspace(10, 0.01, n + 1)
    ...     def run(model, x, noise):
    ...         x = x * sigmas[0]
    ...         for i in range(n):
    ...             d = (x - model(x, sigmas[min(i + late * (i > 0), n)])) / sigmas[i]
    ...             x = x + (sigmas[i + 1] - sigmas[i]) * d
    ...         return x
    ...     return Sampler(run, path=paths.VE(), predicts="x0")
    >>> target = Gaussian([1.0, 0.0], [4.0, 0.5])
    >>> bookkept(make, 10, target).verdict
    'holds'
    >>> found = bookkept(lambda n: make(n, late=1), 10, target)
    >>> found.verdict, found.kind, found.call
    ('refuted', 'level', 1)
    """
    reading = make(steps).read(target) if reading is None else reading
    calls, sampler = booked(reading), reading.sampler
    one = _of_point(sampler)
    point = [] if one is None else booked(one)
    if one is not None:
        path = sampler.path
        found = _start(booked(one, "normal")[0], path) or _sharp(
            point, path, lambda: booked(make(_FINER * steps).read(_POINT))
        )
        if found is not None:
            return Bookkeeping(*found, calls, point)
    return Bookkeeping(*_shrinking(calls, lambda times: booked(make(times * steps).read(target))), calls, point)


def _of_point(sampler: Sampler) -> Reading | None:
    """The reading with data of one point, None where it cannot be read so."""

    def run(model: Any, x: Any, noise: Any) -> Any:
        return sampler.run(model, x, noise) + x  # a point has no spread beside which roundings are small; x has

    try:
        return replace(sampler, run=run).read(_POINT)
    except Exception:  # a stranger's, of this one target
        return None


def _first(point: list[Booked]) -> Booked | None:
    return next((b for b in point if not b.misfit <= b.allowed), None)


_Found = tuple[str, str, str, "int | None"]


def _start(first: Booked, path: Path) -> _Found | None:
    if math.isnan(first.misfit):
        return None
    alpha, sigma = path.at(first.level)
    got, room = float(first.variance[0]), first.allowed * sigma**2
    if sigma**2 - room <= got <= (sigma + alpha) ** 2 + room:
        return None
    why = (
        f"model call 0 claims level {first.level:.6g}, where N(0, I) should arrive with a variance from "
        f"{sigma**2:.6g} to {(sigma + alpha) ** 2:.6g}, and arrives with {got:.6g}: is x_T or the input scaled?"
    )
    return "refuted", why, "start", 0


def _sharp(point: list[Booked], path: Path, finer: Callable[[], list[Booked]]) -> _Found | None:
    """What data of one point say, if anything."""
    bad = _first(point)
    if bad is None:
        clear = [b for b in point if b.allowed < _TOLD]
        if not clear:
            return None
        which = f"{len(clear)} inputs is" if len(clear) == len(point) else f"the {len(clear)} inputs that show it is"
        worst = max(b.misfit for b in clear)
        why = f"with data of one point every one of {which} that of its level, to {worst:.1g}"
        return "holds", why, "none", None
    if math.isnan(bad.misfit):
        return None
    before = point[bad.call - 1] if bad.call else bad
    exact = _EXACT * bad.misfit + _ROUNDED_OFF * bad.allowed
    counted = _MANY <= path.levels[1] < math.inf and bad.level == round(bad.level)
    off = bad.apparent - bad.level
    if counted and abs(off) < _ROUNDED and bad.left_by_level <= bad.allowed:
        why = (
            f"model call {bad.call} is told the whole timestep {bad.level:g} where its input is that of "
            f"{bad.apparent:.2f}; levels are told as whole timesteps"
        )
        return "holds", why, "rounded", bad.call

    def stays(size: Callable[[Booked], float]) -> bool:
        """Whether one call still slips as far with many more steps."""
        try:
            then = finer()[: _FINER * (bad.call + 1)]
        except Exception:  # a stranger's, as where so many steps are not offered
            return False
        sizes = np.abs(np.diff([size(b) for b in then]))
        return bool(sizes.size and sizes.max() >= _SLIP * abs(size(bad) - (size(before) if bad.call else 0.0)))

    if bad.left_by_scale <= exact and stays(lambda b: math.log(b.scale)):
        why = f"model call {bad.call}, at level {bad.level:.6g}, is handed {bad.scale:.6g} times what is due there"
        return "refuted", why, "scale", bad.call
    whole = counted and abs(off - round(off)) < 1 - _ROUNDED
    if bad.left_by_level <= exact and (whole or stays(lambda b: b.steps)):
        why = f"model call {bad.call} is told level {bad.level:.6g} and handed the input of level {bad.apparent:.6g}"
        return "refuted", why, "level", bad.call
    return None


def _shrinking(calls: list[Booked], of: Callable[[int], list[Booked]]) -> _Found:
    """What the misfit on the target does when there are more steps."""
    worst = _largest(calls)
    at = max(calls, key=lambda b: b.misfit if b.call else 0.0).call
    what = f"the largest misfit of an input, {worst:.2g}"
    if math.isnan(worst):
        return "inconclusive", "rows of one batch have levels of their own", "discretization", None
    for times in (2, _FINER):
        try:
            finer = of(times)
        except Exception as error:  # a stranger's, as where so many steps are not offered
            why = f"{what}, at call {at}: data of one point do not decide, and with {times} times the steps: {error}"
            return "inconclusive", " ".join(why.split()), calls[at].kind, at
        then = _largest(finer)
        what += f", is {then:.2g} with {times} times the steps"
        if then <= max(worst * times**-0.5, max((b.allowed for b in finer), default=0.0)):
            return "holds", f"{what}: nothing shows beside the discretization", "discretization", None
    if then >= worst:
        return "refuted", f"{what}: that is no discretization error", calls[at].kind, at
    return "inconclusive", f"{what}, at call {at}: too slow to be told from a slip", calls[at].kind, at


def _largest(calls: list[Booked]) -> float:
    return max((b.misfit for b in calls[1:]), default=0.0)
