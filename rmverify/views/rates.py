"""Rate tables: exponents side by side, the corrector and an estimated score beside their absence, and every row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

from rmverify.studies.rates import Row, Table
from rmverify.studies.study import Fit, fit, judge
from rmverify.views.common import Section, View, drawn, number, short

_LAWS = {"expected": "E_alpha"}
_METRICS = {"tv": "TV", "kl": "sqrt KL", "w2": "W2"}
_INPUTS = [f.name for f in fields(Row)][: [f.name for f in fields(Row)].index("steps")]
"""What a row was asked for; what was found comes after."""


def refuted(found: Table) -> bool:
    """Whether an exponent contradicts its claim."""
    return any(fit.verdict == "contradicts" for fit in found.fits)


def undecided(found: Table) -> list[Row]:
    """The rows that have no number of steps where there should be one.

    An estimated score has an error that no number of steps removes: that such a row reaches no accuracy is its answer.
    """
    return [r for r in found.rows if r.status not in ("found", "floor")]


# --- exponents ----------------------------------------------------------------------------------------------


def exponent(found: Fit) -> str:
    """The exponent and its error, rounded up, with as many digits as the error leaves, at most three."""
    places = min(3, max(1, -math.floor(math.log10(found.error)))) if 0 < found.error < math.inf else 3
    error = math.ceil(found.error * 10**places) / 10**places if math.isfinite(found.error) else math.inf
    return f"{found.exponent:.{places}f} ± {error:.{places}f}"


def power(exponent: float | None) -> str:
    """An exponent of theory as a fraction."""
    if exponent is None:
        return "-"
    near = Fraction(exponent).limit_denominator(99)
    return str(near) if abs(near - Fraction(exponent)) < 1e-12 else f"{exponent:g}"


def derived(found: Fit) -> str:
    """With a mark where it was not found."""
    missed = judge(found.exponent, found.error, found.predicted) not in ("consistent", "no claim")
    return power(found.predicted) + (" (!)" if missed else "")


EXPONENTS: Mapping[str, Callable[[Fit], str]] = {
    "scheme": lambda f: f.scheme,
    "law": lambda f: _LAWS.get(f.law, f.law),
    "note": lambda f: f.note,
    "fixed": lambda f: f.fixed,
    "metric": lambda f: _METRICS[f.metric],
    "in": lambda f: f.against,
    "measured": exponent,
    "range": lambda f: f"{number(f.low)}..{number(f.high)}",
    "local slopes": lambda f: f"{f.slopes[0]:.3f}..{f.slopes[-1]:.3f}",
    "residual": lambda f: f"{f.residual:.1e}",
    "settled": lambda f: "yes" if f.asymptotic else "no",
    "derived": derived,
    "claim": lambda f: power(f.claimed),
    "source": lambda f: f.source.partition(":")[0],
    "verdict": lambda f: "-" if f.claimed is None else f.verdict,
}

_SETTING = (
    "The smallest number of steps N that reaches an accuracy eps, and the exponents fitted to it. Every N is tried up"
    " to 60 or so where no midpoint is random; beyond, the error is above eps at N - 1 and at most eps at N. For"
    " random midpoints on targets of several variances N has an interval at the level of 95 %, of some 2 %. T = 3,"
    " uniform steps, started from the true q_T; isotropic targets of variance 1/4 (L = 4) unless L or kappa varies or a"
    " note says otherwise; fixed: what did not vary. The two regimes of the unconditional law cross at d eps^2 of"
    " order 1."
)
_LEGEND = (
    "law: exact = no midpoint is random; E_alpha = the TV given the midpoints, averaged; unconditional = the mixture.",
    "measured: fitted over the range; residual: the largest relative distance of N from the fit; settled: whether the"
    " last local slopes agree, so that the asymptotic regime is reached.",
    "derived: in this project, for Gaussians (D6); (!) = not what was measured. claim: an upper bound, so consistent ="
    " it is reached, claim not sharp here = the growth is slower, contradicts = it is faster.",
)


def _sections(found: Table, rows: bool = False) -> list[Section]:
    """The exponents; what the corrector and an estimated score cost; the theorems' plans; with `rows` every row."""
    sources = list(dict.fromkeys(f.source for f in found.fits if f.source))
    remarks = [*_LEGEND, "Sources: " + "; ".join(sources) + "."] if sources else _LEGEND
    exponents = Section.of(
        EXPONENTS, found.fits, remarks=remarks, sources=sources, heads=("scheme", "law", "note"),
        drop=("fixed", "source", "residual", "local slopes"),
    )  # fmt: skip
    if not found.fits:
        title = "No exponent could be fitted: every series has fewer than three rows."
        exponents = replace(exponents, title=title, remarks=())
    parts = (_corrected(found), _estimated(found), _plans(found), _left(found))
    sections = [exponents, *_start(found), *(part for part in parts if part.lines)]
    return [*sections, _every(found)] if rows else sections


def _beside(title: str, columns: Sequence[str], lines: list[list[str]], remark: str) -> Section:
    """A table whose columns that say the same of every line may become its title."""
    same = [c for c in _ABOUT[1:] if c in columns and len({line[columns.index(c)] for line in lines}) == 1]
    return Section(columns, lines, title, [remark], same, ("law",), papers=False)


def _start(found: Table) -> list[Section]:
    """What a start from N(0, I) adds at most, which the rows leave out."""
    errors = {r.dim: r.start_error for r in found.rows if r.smoothness == 4 and r.condition == 1 and r.start_error}
    dims = "; ".join(f"d={number(d, 6)}: {short(value)}" for d, value in sorted(errors.items()))
    text = f"A start from N(0, I) instead of q_T adds at most its own error TV(q_T, N(0, I)), for L = 4: {dims}."
    return [Section((), (), remarks=[text], papers=False)] if errors else []


def _partner(found: Table, row: Row, name: str, value: Any) -> Row | None:
    """The row that was asked for the same but for one thing; the last one, for single rows come after the studies'."""
    asked = {n: getattr(row, n) for n in _INPUTS} | {name: value}
    same = [r for r in found.rows if all(getattr(r, n) == v for n, v in asked.items())]
    return same[-1] if same else None


def _cost(row: Row | None) -> str:
    if row is None or row.evaluations is None:
        return "none" if row is not None and row.status in ("beyond max_steps", "floor") else "-"
    return str(row.evaluations) + ("" if row.status == "found" else "?")


def _gain(without: Row | None, row: Row) -> str:
    """What the corrector does to the number of evaluations."""
    if without is None or row.evaluations is None:
        return "-"
    if without.evaluations is None:
        return "only with it"
    if row.evaluations < without.evaluations:
        return f"helps {without.evaluations / row.evaluations:.3g}x"
    return f"costs {row.evaluations / without.evaluations:.3g}x"


_ABOUT = ("scheme", "law", "d", "L", "eps")


def _about(row: Row) -> list[str]:
    law = _LAWS.get(row.law, row.law)
    return [row.scheme, law, number(row.dim, 6), number(row.smoothness), f"{row.accuracy:g}"]


def _corrected(found: Table) -> Section:
    lines = []
    for row in found.rows:
        if row.corrector:
            without = _partner(found, row, "corrector", None)
            mark = "*" if row.steps is not None and row.law == "exact" and not row.proved else ""
            lines.append([*_about(row), _cost(without), _cost(row) + mark, _gain(without, row)])
    remark = (
        "Score evaluations to TV <= eps on geometric noise levels, those of the underdamped corrector counted: it costs"
        " 2x where twice as many are needed with it, and helps 2x where half as many are enough. Its windows move with"
        " N, so that more steps can do worse; * = not every smaller number was tried."
    )
    return _beside("With the corrector and without", [*_ABOUT, "without", "with", "corrector"], lines, remark)


def _estimated(found: Table) -> Section:
    lines = []
    for row in found.rows:
        if row.score_error:
            perfect = _partner(found, row, "score_error", 0.0)
            meet = "" if row.crossing is None else f"cancel near N = {row.crossing}"
            lines.append([*_about(row), f"{row.score_error:g}", _cost(perfect), _cost(row), short(row.value), meet])
    remark = (
        "Score evaluations to TV <= eps; the score handed over is (1 + error) times the true one. none: no number of"
        " steps was found to be enough, and TV is what remains at the last one that was tried. cancel near N: there the"
        " score's error and the steps' have opposite signs and nearly one size."
    )
    columns = [*_ABOUT, "error", "perfect", "estimated", "TV", "note"]
    return _beside("With an estimated score", columns, lines, remark)


_PLANS = {"dpum": "DPUM (D0)", "sequential": "sequential (D1)"}


def _plans(found: Table) -> Section:
    lines = [
        [
            _PLANS.get(t.plan, t.plan), number(t.dim, 6), number(t.smoothness), f"{t.accuracy:g}",
            str(t.evaluations), str(t.rounds), short(t.value), f"{float(t.value) / t.accuracy:.2g}",
        ]
        for t in found.theorems
    ]  # fmt: skip
    remark = (
        "The theorems' own parameters with every constant 1, on N(0, I/L) from N(0, I). That TV/eps is bounded is what"
        " they say; how far it is below 1 is what their constants leave."
    )
    columns = ["plan", *_ABOUT[2:], "evaluations", "rounds", "TV", "TV/eps"]
    return _beside("The theorems' plans", columns, lines, remark)


def _left(found: Table) -> Section:
    lines = [[*_about(row), _METRICS[row.metric], row.status] for row in undecided(found)]
    remark = "cannot tell: it is undecided whether one step less is enough. No exponent uses these rows."
    return _beside("Not found", [*_ABOUT, "metric", "status"], lines, remark)


def _every(found: Table) -> Section:
    lines = []
    for row in found.rows:
        value, before = ("-" if v is None else number(v, 4) for v in (row.value, row.before))
        rest = ["-" if x is None else str(x) for x in (row.rounds, row.crossing)] + ["yes" if row.corrector else "-"]
        steps = "none" if row.steps is None else str(row.steps)
        if row.fewest is not None and row.fewest != row.most:
            steps += f" ({row.fewest} to {row.most})"
        shape = [f"{row.score_error:g}", row.family, number(row.condition), row.status]
        lines.append([_METRICS[row.metric], *_about(row), steps, _cost(row), value, before, *rest, *shape])
    names = ["before", "rounds", "crossing", "corrector", "error", "family", "kappa", "status"]
    drop = ("before", "crossing", "rounds", "status", "family", "kappa", "error", "corrector")
    columns = ["metric", *_ABOUT, "N", "evaluations", "value", *names]
    return Section(columns, lines, "Every row", (), ("scheme", "law", "metric"), drop, papers=False)


# --- pictures -----------------------------------------------------------------------------------------------


def _picture(found: Table, suffix: str) -> bytes:
    """N against d and against 1/eps in TV, log-log, one line a scheme and law, as PNG, SVG or PDF."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.5), layout="constrained")
    axes = figure.subplots(1, 2)
    colors = {name: f"C{k}" for k, name in enumerate(dict.fromkeys(row.scheme for row in found.rows))}
    for axis, varied, fixed, label in zip(axes, ("dim", "accuracy"), ("accuracy", "dim"), ("d", "1/eps"), strict=True):
        lines = _lines(found, varied, fixed)
        for k, ((scheme, law, family, at), points) in enumerate(lines.items()):
            x, y = [p[0] for p in points], [p[1] for p in points]
            power = fit(x, y)["exponent"]
            held = f"eps = {at:g}" if fixed == "accuracy" else f"d = {number(at)}"
            whose = ", your data" if family == "user" else ""
            name = f"{scheme}, {_LAWS.get(law, law)}, {held}{whose}: {power:.3f}"
            style = {"exact": "-", "expected": "-", "unconditional": "--"}[law] if not whose else ":"
            axis.loglog(x, y, style, marker="o^sDv"[k % 5], markersize=4, color=colors[scheme], label=name)
        axis.set_xlabel({"d": "dimension $d$", "1/eps": r"1/$\varepsilon$"}[label])
        axis.set_ylabel(r"smallest number of steps $N$ with TV $\leq\varepsilon$")
        axis.grid(alpha=0.3)
        if lines:
            where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
            axis.legend(title=f"fitted exponent in {label}", fontsize="small", **where)
        else:
            axis.annotate("fewer than three rows", (0.5, 0.5), xycoords="axes fraction", ha="center")
    own = " and your data" if any(row.family == "user" for row in found.rows) else ""
    figure.suptitle(f"Steps to accuracy, started from $q_T$: isotropic data of variance 1/4{own}")
    return drawn(figure, suffix)


def _lines(found: Table, varied: str, fixed: str) -> dict[tuple[str, str, str, float], list[tuple[float, int]]]:
    """(scheme, law, family, what is fixed) -> the points of its line, where there are three or more."""
    lines: dict[tuple[str, str, str, float], dict[float, int]] = {}
    for row in found.rows:
        ordinary = row.metric == "tv" and not row.corrector and not row.score_error
        drawn = row.family == "user" or (row.condition == 1 and row.smoothness == 4)
        if ordinary and drawn and row.status == "found" and row.steps is not None:
            x = float(row.dim) if varied == "dim" else 1 / row.accuracy
            key = (row.scheme, row.law, row.family, float(getattr(row, fixed)))
            lines.setdefault(key, {})[x] = row.steps
    return {key: sorted(points.items()) for key, points in lines.items() if len(points) >= 3}


VIEW = View(
    Row, _sections, lambda found: _SETTING, _picture, refuted, undecided, code=("scheme", "law", "note", "source")
)
