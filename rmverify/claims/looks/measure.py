"""How the claims measure: residuals over balls, searched ratios, fitted slopes, certified constants."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from flint import arb

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks.search import Axis, largest
from rmverify.errors.certified import LEAST, MOST, certified_constant
from rmverify.errors.local import local_error, window_errors
from rmverify.exponents import Bound
from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value
from rmverify.studies import log_concave
from rmverify.targets import EstimatedScore, Gaussian
from rmverify.targets.process import mode_variance

__all__ = [
    "LEVELS", "Axis", "certified", "class_axes", "effort", "enclosed", "fitted", "modes_of", "of_its_own", "one_step",
    "over_class", "residuals", "romberg", "searched", "searched_pointwise", "spectrum", "studied", "times",
    "uncertified",
]  # fmt: skip

LEVELS = (0.0625, 0.75, 3.0)
MODES = ((0.25, 1.5), (4.0, -1.25), (0.0009765625, 0.5), (1.0, 0.0))
CLASS = Axis("lambda", 1e-3, 1e3)
_RADIUS = 1e-50  # of a residual at 256 bits
_UNCERTAIN = {"monte-carlo": 0.1}  # relative error with which a constant is no constant any more, by kind
_VANISHING = 0.1  # a ratio that grows faster than h^-0.1 towards h = 0 has another order in h


def spectrum(look: Look) -> Gaussian | None:
    """The target's spectrum in its own modes: every number of the ledger depends on that alone."""
    if look.target is None:
        return None
    return Gaussian.from_spectrum(look.target.variances, look.target.multiplicities, look.target.means)


def modes_of(look: Look) -> list[tuple[float, float]]:
    """(variance, mean) of the modes to look at: of the target its smallest, middle and largest."""
    if look.target is None:
        return list(MODES)
    order = np.argsort(look.target.variances)
    pick = sorted({int(order[0]), int(order[len(order) // 2]), int(order[-1])})
    return [(float(look.target.variances[k]), float(look.target.means[k])) for k in pick]


def residuals(what: str, found: Iterable[tuple[Mapping[str, Any], Any]]) -> Evidence:
    """Every residual is a ball that must contain 0 and be small."""
    count, widest = 0, 0.0
    for where, ball in found:
        count += 1
        widest = max(widest, float(ball.rad()))
        if not ball.contains(0):
            return Evidence(
                "exact", what, "violated", computed=f"residual {float(ball.mid()):.6g}", bound="0",
                constant=Value(float(ball.mid()), "enclosure", float(ball.rad())), where=where,
            )  # fmt: skip
    small = count > 0 and widest < _RADIUS
    return Evidence(
        "exact", what, "holds" if small else "inconclusive",
        computed=f"{count} residuals contain 0, radius at most {widest:.2g}", bound="0",
    )  # fmt: skip


def effort(look: Look, points: int, rounds: int, keep: int, around: int) -> dict[str, int]:
    """How hard to search: less on a target of one's own, which has fewer axes and more modes."""
    if look.target is None:
        return {"points": points, "rounds": rounds, "keep": keep, "around": around}
    return {"points": max(4, points // 8), "rounds": rounds // 2, "keep": max(1, keep // 2), "around": around // 2}


def class_axes(look: Look) -> list[Axis]:
    """The axis of the Gaussian class, the variance of an isotropic target; none where the target is given.

    With a perfect score the two sides of every one-step claim are a sum over modes and d times a function that
    increases in L, so that the isotropic targets attain the largest ratio over all Gaussians.
    """
    return [] if look.target is not None else [CLASS]


def over_class(look: Look, ratio: Callable[..., Array]) -> Callable[..., Array]:
    """ratio(lam (K, M), n (M,), L (K, 1), **parameters (K, 1)) as a function of the axes."""
    target = look.target

    def function(**parameters: Array) -> Array:
        if target is None:
            lam, n = parameters.pop("lambda")[:, None], np.ones(1)
        else:
            lam, n = target.variances[None, :], target.multiplicities.astype(float)
        columns = {name: values[:, None] for name, values in parameters.items()}
        L = 1 / np.minimum(1, lam.min(axis=1, keepdims=True))
        return np.asarray(ratio(lam, n, L, **columns))

    return function


def searched(
    what: str, function: Callable[..., Array], axes: Sequence[Axis], *, computed: str, bound: str,
    exact: Callable[[Mapping[str, Any]], Value] | None = None, vanishing: str | None = None,
    domain: str = "", case: str = "", effort: Mapping[str, Any] | None = None,
) -> Evidence:  # fmt: skip
    """The smallest constant with which computed <= C bound on a box, as far as a search sees.

    `exact` recomputes the ratio where it is largest, and says of which kind the evidence is; `vanishing` names the axis
    on which a ratio that keeps growing towards the lower end refutes the order of the bound.
    """
    found = largest(function, axes, **(effort or {}))
    where = dict(found.where)
    value = Value(found.value, "exact", 1e-6 * found.value) if exact is None else exact(where)
    box = ", ".join(map(str, axes)) + (f"; {domain}" if domain else "")
    ends = {axis.name: axis for axis in axes}
    growing = {name: rate for name, rate in found.growth.items() if abs(rate) > 0.01}
    if vanishing is not None and found.growth.get(vanishing, 0.0) > _VANISHING:
        rate = _growth_towards_0(function, where, vanishing) if where[vanishing] == ends[vanishing].low else 0.0
        if rate > _VANISHING:
            return Evidence(
                "exact", what, "violated", label="lower", constant=value, where=where, domain=box,
                computed=f"{computed}: the ratio grows like {vanishing}^-{rate:.2f} as {vanishing} goes to 0",
                bound=bound,
            )  # fmt: skip
    sides = ", ".join(f"{n} = {where[n]:g}, power {r:.2g}" for n, r in growing.items())
    allowed = _UNCERTAIN.get(value.kind, 0.01)
    certain = value > 0 and value.error <= allowed * value
    return Evidence(
        "monte-carlo" if value.kind == "monte-carlo" else "exact", what,
        "holds with constant" if certain else "inconclusive",
        computed=computed if certain else f"{computed}; its value there is not accurate to {allowed:.0%}", bound=bound,
        label="lower",
        constant=value if certain else None,
        where=where, domain=box, case=case, remark=f"still growing at {sides}" if growing else "",
    )  # fmt: skip


def searched_pointwise(what: str, one: Callable[..., Value], axes: Sequence[Axis], **said: Any) -> Evidence:
    """The same of a function of one point that says how exact it is."""
    return searched(what, np.vectorize(one, otypes=[float]), axes, exact=lambda where: one(**where), **said)


def _growth_towards_0(function: Callable[..., Array], where: Mapping[str, Any], name: str) -> float:
    """The least power with which the function still grows over four decades towards 0, as far as rounding lets see."""
    points = {key: np.full(9, float(value)) for key, value in where.items()}
    points[name] = points[name] * 0.1 ** np.linspace(0, 4, 9)
    with np.errstate(all="ignore"):
        values = function(**points)
        powers = 2 * np.log10(values[1:] / values[:-1])
    seen = np.isfinite(powers)
    known = powers[: len(seen) if seen.all() else int(np.argmin(seen))]
    return float(known.min()) if known.size >= 2 else 0.0


def romberg(values: Sequence[Any]) -> list[list[Any]]:
    """The columns of Romberg's table: values of a power series at z, z/2, z/4, ..., then those without its first power,
    without its first two, and so on; the last has one entry, the limit.

    Examples
    --------
    >>> romberg([1 + z + z * z for z in (1.0, 0.5, 0.25)])[1:]
    [[0.5, 0.875], [1.0]]
    """
    columns = [list(values)]
    for k in range(1, len(columns[0])):
        columns.append([(2**k * b - a) / (2**k - 1) for a, b in itertools.pairwise(columns[-1])])
    return columns


def times(value: Value, factor: float) -> Value:
    """A value and its error scaled."""
    return Value(value * factor, value.kind, value.error * factor)


def one_step(look: Look, name: str, which: str, bound: Bound, *, score: bool = False) -> Evidence:
    """The largest ratio of an error of one step to its bound in L, d, t, h, with the score's eps_sc or without it."""
    scheme = look.scheme(name)
    text, due = str(bound if score else bound.at(eps_sc=0)), bound.at(eps_sc="sqrt(wrong)")
    levels, also = _certain(look, name)
    axes = [
        *class_axes(look),
        Axis("t", min(1e-3, *levels), max(10, *levels)),
        Axis("h/limit", 0.03, 1, ends=("high",)),
    ]
    if score:
        axes += [
            Axis("L/least", 1, 100, ends=("low",)),
            Axis("gain", -3, 3, log=False),
            Axis("bias sqrt(v)", 1e-3, 1e3),
        ]

    def setting(lam: Any, L: Any, p: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
        t, gain = p["t"], p.get("gain", 0.0 * p["t"])
        L = L * np.maximum(1, np.abs(1 + gain)) * p.get("L/least", 1.0)  # Lipschitz at every noise level
        h = p["h/limit"] * np.minimum(1 / L, t)
        v = np.stack([mode_variance(lam, t), mode_variance(lam, t - h)])
        b = p.get("bias sqrt(v)", 0.0 * t) / np.sqrt(v[0].max(axis=-1, keepdims=True))
        return L, h, gain, b, gain**2 / v + b**2

    def ratio(lam: Array, n: Array, L: Array, **p: Array) -> Array:
        L, h, gain, b, wrong = setting(lam, L, p)
        bias, variance = window_errors(scheme, lam, p["t"], h, gain=gain, bias=b)
        v = mode_variance(lam, p["t"])
        part = {"bias": bias, "variance": variance, "mean_square": bias + variance}[which]
        lost = 1e-28 if which == "variance" else 1e-24  # relative to v: below it there is rounding alone
        part = np.where(part >= lost * v, part, np.nan)
        eps = (wrong @ n).max(axis=0)
        return np.asarray((part @ n) / due(L=L[:, 0], d=n.sum(), t=p["t"][:, 0], h=h[:, 0], wrong=eps))

    def exact(where: Mapping[str, float]) -> Value:
        target = spectrum(look) or Gaussian.isotropic(where["lambda"], 1)
        target = target.with_modes(target.variances, 0.0)
        p = {key: np.array([[value]]) for key, value in where.items()}
        lam, n = target.variances[None, :], target.multiplicities.astype(float)
        L, h, gain, b, wrong = setting(lam, 1 / np.minimum(1, lam.min(axis=1, keepdims=True)), p)
        estimate = EstimatedScore(target, gain.item(), b.item()) if score else target
        part = getattr(local_error(scheme, estimate, where["t"], h.item()), which)
        over = due(L=L.item(), d=target.dim, t=where["t"], h=h.item(), wrong=float((wrong @ n).max()))
        return Value(part / over, "exact", 1e-13 * part / over)

    words = which.replace("_", " ")
    extra = ", score (1 + gain) s + bias" if score else ", perfect score"
    return searched(
        f"the largest ratio of the {words} of one step of {name} to its bound{extra}", over_class(look, ratio), axes,
        computed=_MEAN_OF[which], bound=text + (extra if score else ""),
        exact=exact, vanishing="h/limit", domain="limit = min(1/L, t)",
        case="estimated score, the worst" if score else "perfect score",
        effort={**effort(look, 4096, 40, 8, 48), "also": also},
    )  # fmt: skip


def _certain(look: Look, name: str) -> tuple[list[float], list[dict[str, float]]]:
    """Noise levels that a search of one step must reach, and points that it must look at: on a target about 1/L and the
    levels of the look, else where a scheme that stands in for a shipped one differs from it."""
    levels, points = [1.0], []
    if look.target is not None:
        least = min(1.0, float(look.target.variances.min()))
        for level in (least, *look.levels):
            levels += [level / 100, level]
            points += [{"t": level * f, "h/limit": 1.0, "gain": 0.0, "L/least": 1.0, "bias sqrt(v)": 1e-3}
                       for f in (0.3, 1.0, 3.0)]  # fmt: skip
    place = look.places.get(name, {})
    if "t" in place:
        levels.append(place["t"])
        points += [{"lambda": lam, "t": place["t"], "h/limit": place["h"] / min(1.0, lam, place["t"])}
                   for lam in (0.1, 0.3, 1.0, 3.0)]  # fmt: skip
    return levels, points


_MEAN_OF = {"bias": "mean squared bias", "variance": "mean variance", "mean_square": "mean squared error"}


def fitted(
    what: str, x: Sequence[float], y: Sequence[float], power: float, *, names: tuple[str, str], at_least: bool = False,
    relative: float = 1e-12, domain: str = "",
) -> Evidence:  # fmt: skip
    """The power of y in x from exact data: local slopes, their limit by Richardson, held against `power`.

    The slopes of consecutive points approach their limit like x; one extrapolation removes that term, and the size
    of the last two corrections, and what rounding (`relative`) makes of the slopes, is the error that is allowed
    (`at_least`: only below the power).
    """
    slopes = [math.log(y[i + 1] / y[i]) / math.log(x[i + 1] / x[i]) for i in range(len(x) - 1)]
    limit = 2 * slopes[-1] - slopes[-2]
    allowed = abs(slopes[-1] - slopes[-2]) + abs(slopes[-2] - slopes[-3])
    allowed += 8 * relative / abs(math.log(x[-1] / x[-2]))
    off = limit - power
    holds = off >= -allowed if at_least else abs(off) <= allowed
    rows = tuple(
        {names[0]: x[i], names[1]: y[i], "local slope": slopes[i] if i < len(slopes) else None} for i in range(len(x))
    )
    return Evidence(
        "fitted", what, "holds" if holds else "violated", computed=f"power {limit:.4f} +- {allowed:.1g}",
        bound=f"{'at least ' if at_least else ''}{power:g}", constant=Value(limit, "exact", allowed),
        where={names[0]: x[-1], "local slope": slopes[-1]}, domain=domain + f"; {names[0]} from {x[0]:g} to {x[-1]:g}",
        rows=rows, picture={"curves": {what: (list(x), list(y))}, "x": names[0], "y": names[1]},
    )  # fmt: skip


def studied(look: Look, metric: str, varied: str, at: Sequence[float]) -> Evidence:
    """A study of `studies.log_concave` on fewer points: the power in its steps, at most as claimed."""
    study = next(s for s in log_concave.STUDIES if s.held["metric"] == metric and s.varied == varied)
    points = [int(x) if varied == "dim" else x for x in at]
    given = [{**study.held, varied: x} for x in points]
    scheme = look.scheme("randomized_midpoint_langevin")
    rows = [log_concave.steps_to(**(cell | {"scheme": scheme})) for cell in given]
    what = f"the power of {study.against} in the steps to {'W2' if metric == 'w2' else 'TV'}"
    if any(row.status != "found" for row in rows):
        return Evidence("fitted", what, "inconclusive", computed="a number of steps was not found")
    found = log_concave.fitted(study, rows)
    power = f"power {found.exponent:.3f} +- {found.error:.1g} of {study.note}"
    x, y = ([f(row) for row in rows] for f in (study.against_of, lambda row: float(row.steps or 1)))
    return Evidence(
        "fitted", what, "violated" if found.verdict == "contradicts" else "holds",
        computed=power, bound=f"at most {study.claimed:.4g}",
        constant=Value(found.exponent, "exact", found.error), where={study.against: x[-1]},
        domain=f"{study.fixed}; Gaussians, the step length chosen best; more by `rmverify rates --log-concave`",
        rows=tuple({study.against: a, "h": row.step, "steps": row.steps} for a, row in zip(x, rows, strict=True)),
        picture={"curves": {what: (x, y)}, "x": study.against, "y": "steps"},
    )  # fmt: skip


def certified(look: Look, name: str, which: Any, bound: Bound) -> Evidence:
    """The enclosure of the smallest constant on a whole class of Gaussians with perfect scores, in ball arithmetic."""
    spread = [] if look.target is None else [float(f(look.target.variances)) for f in (np.min, np.max)]
    if spread and not LEAST <= spread[0] <= spread[1] <= MOST:
        reach = f"its variances reach from {spread[0]:.3g} to {spread[1]:.3g}"
        return uncertified(f"{reach}, those of the certified class from {LEAST:g} to {MOST:g}")
    words = f"the smallest constant for the {which.replace('_', ' ')} of one step of {name}"
    words += ", perfect score, every point of the class"
    perfect = bound.at(eps_sc=0)
    due = perfect.at({"max(L, 1/t)": "M"}, d=1)
    found = certified_constant(
        look.scheme(name), which, lambda L, M, h: due(one=arb(1), L=L, M=M, h=h), effort=look.effort
    )
    return enclosed(words, found, ("lambda", "t", "h"), str(perfect), member=look.target is not None)


def uncertified(why: str) -> Evidence:
    """That nothing can be certified on a target, and why not."""
    return Evidence("certified", "no certificate covers this target", "not yet", computed=why)


def enclosed(what: str, found: Any, names: Sequence[str], text: str, *, member: bool = False) -> Evidence:
    """A certified supremum as evidence; the boxes that stayed open are named. `member`: of the class is a target."""
    where = dict(zip(names, found.argmax, strict=True)) if found.argmax is not None else {}
    if found.lower == math.inf:
        return Evidence("certified", what, "violated", computed="the ratio is unbounded as h goes to 0", bound=text,
                        where=where, domain=found.domain)  # fmt: skip
    rows = tuple({"box that stayed open": box} for box in found.unresolved)
    if found.unresolved:
        return Evidence("certified", what, "inconclusive", computed=f"{len(rows)} boxes stayed open", bound=text,
                        where=where, domain=found.domain, rows=rows)  # fmt: skip
    constant = Value(found.upper, "enclosure", found.upper - found.lower, lower=found.lower, upper=found.upper)
    return Evidence(
        "certified", what, "holds with constant",
        computed=f"in [{found.lower:.6g}, {found.upper:.6g}], {found.boxes} boxes", bound=text, label="upper",
        constant=constant, where=where, domain=found.domain,
        case=f"certified{', for a class that contains the target' if member else ''}: {found.domain}",
    )  # fmt: skip


Measure = Callable[..., Iterator[Evidence]]


def of_its_own(measure: Measure) -> Measure:
    """A claim about laws of its own: of a target it says nothing."""

    def measured(look: Look, *bounds: Bound) -> Iterator[Evidence]:
        if look.target is None:
            yield from measure(look, *bounds)
        else:
            yield Evidence("exact", "the claim is about laws of its own: ask it without a target", "not yet")

    return measured
