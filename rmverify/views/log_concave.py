"""Log-concave sampling: steps and their exponents, the theorem's plans, and what the corrector is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rmverify.studies.log_concave import CELLS, KINETIC, SAMPLERS, STUDIES, VARIATION, Comb, Row, Table, Theorem
from rmverify.studies.study import Fit
from rmverify.views.common import Section, View, drawn, number, short
from rmverify.views.rates import EXPONENTS, refuted

_METRICS = {"w2": "W2/sqrt(d/m), E_alpha", "tv": "TV, unconditional"}
_COLUMNS: Mapping[str, Callable[[Fit], str]] = {
    "scheme": lambda f: f.scheme,
    "error": lambda f: _METRICS[f.metric],
    "fixed": lambda f: f.fixed,
    "of": lambda f: f.note,
    **{name: EXPONENTS[name] for name in (
        "in", "measured", "range", "local slopes", "settled", "derived", "claim", "source", "verdict"
    )},
}  # fmt: skip
_ROWS: Mapping[str, Callable[[Row], str]] = {
    "scheme": lambda r: r.scheme,
    "error": lambda r: _METRICS[r.metric],
    "curvature": lambda r: "m and L" if r.target == "both" else r.target,
    "d": lambda r: number(r.dim) if r.metric == "tv" else "any",
    "kappa": lambda r: number(r.condition),
    "accuracy": lambda r: f"{r.accuracy:g}",
    "h": lambda r: "-" if r.step is None else f"{r.step:.3g}",
    "N": lambda r: "none" if r.steps is None else str(r.steps),
    "value": lambda r: short(r.value),
    "status": lambda r: "" if r.status == "found" else r.status,
}
_THEOREMS: Mapping[str, Callable[[Theorem], str]] = {
    "plan": lambda t: "parallel" if t.parallel else "sequential",
    "d": lambda t: number(t.dim),
    "kappa": lambda t: number(t.condition),
    "eps": lambda t: f"{t.accuracy:g}",
    "evaluations": lambda t: str(t.evaluations) if t.evaluations < 10**7 else number(t.evaluations),
    "rounds": lambda t: str(t.rounds),
    "TV": lambda t: short(t.value),
    "TV/eps": lambda t: f"{float(t.value) / t.accuracy:.2g}",
}
_COMBS: Mapping[str, Callable[[Comb], str]] = {
    "spacing": lambda c: f"{c.spacing:g}",
    "W2": lambda c: short(c.distance),
    "TV before": lambda c: short(c.before),
    "steps": lambda c: str(c.steps),
    "TV after": lambda c: short(c.after),
    f"{VARIATION:g} W2/T": lambda c: f"{c.bound:.3g}",
}
_SETTING = (
    "Randomized midpoint Langevin (friction 2, mass 1/L) and other steps on Gaussians with curvatures in [m, L],"
    " kappa = L/m, started at the minimum; N steps of the best length h among those stable on the class, everything"
    " exact. W2: given the midpoints, its root mean square over them, half the coordinates of curvature m and half of"
    " L. TV: of the unconditional law, all coordinates of one curvature. Evaluations of a step: "
    + ", ".join(f"{name} {sampler.evaluations:g}" for name, sampler in SAMPLERS.items())
    + f"; parallel_overdamped in 2 strata with 1 round, poisson_midpoint in {CELLS} cells, stratified_hmc in"
    " trajectories of the time 1/sqrt(L)."
)
_LEGEND = (
    "of: what is fitted, N with the logarithm that a claim hides divided out. derived: in this project, for Gaussians"
    " and short steps; (!) = not what was measured. claim: an upper bound over all targets of the class.",
    f"Sources: {'; '.join(dict.fromkeys(study.source for study in STUDIES if study.source))}.",
    "No claim stands beside the Poisson midpoint: in its theorem the cells grow like h L/eps^2; with a fixed number of"
    " them its rate is that of Euler-Maruyama with steps of h over that number.",
)
_PLAN = (
    "The theorem's own parameters with every constant 1; TV is the larger of those for curvature m and for curvature L."
)
_COMB = (
    "The corrector (friction sqrt(L), T = 1/sqrt(L), L = 1) on a start that is close in W2 and at TV 1: a draw of"
    " N(0, 1) moved to the nearest point of a lattice. The bound is C4's for the exact dynamics; few steps add their"
    " own error."
)


def _unsettled(found: Table) -> list[Row]:
    """The rows that have no number of steps where there should be one."""
    return [row for row in found.rows if row.status != "found"]


def _sections(found: Table) -> list[Section]:
    return [
        Section.of(_COLUMNS, found.fits, remarks=_LEGEND, heads=("scheme", "error", "fixed"),
                   drop=("source", "local slopes", "range")),
        Section.of(_ROWS, found.rows, title="Steps", heads=("scheme", "error"), drop=("h",)),
        Section.of(_THEOREMS, found.theorems, title="The theorem's plans", remarks=[_PLAN]),
        Section.of(_COMBS, found.combs, title="What the corrector is for", remarks=[_COMB]),
    ]  # fmt: skip


def _picture(found: Table, suffix: str) -> bytes:
    """N against each parameter, and TV after the corrector against W2, as PNG, SVG or PDF."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    places = {"1/eps": (0, 0), "d": (0, 1), "kappa": (1, 0)}
    for study in (each for each in STUDIES if each.held["scheme"] == KINETIC):
        axis, rows = axes[places[study.against]], found.of(study)
        if rows:
            x, y = [study.against_of(row) for row in rows], [row.steps for row in rows]
            axis.loglog(x, y, "o-", label=f"{_METRICS[rows[0].metric]}: {study.fixed}")
        axis.set(xlabel=study.against, ylabel="steps $N$")
    for steps in sorted({c.steps for c in found.combs}):
        points = [(float(c.distance), float(c.after)) for c in found.combs if c.steps == steps]
        axes[1, 1].loglog(*zip(*sorted(points), strict=True), "o-", label=f"after {steps} step(s)")
    bound = sorted({(float(c.distance), c.bound) for c in found.combs})
    axes[1, 1].loglog(*zip(*bound, strict=True), "k--", label=f"{VARIATION:g} W2/T (C4)")
    axes[1, 1].axhline(1.0, color="0.5", label="before")
    title = "The corrector on starts that are close in $W_2$ and far in TV"
    axes[1, 1].set(xlabel="$W_2$ of the start", ylabel="total variation", title=title)
    for axis in axes.ravel():
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    return drawn(figure, suffix)


VIEW = View(Row, _sections, lambda found: _SETTING, _picture, refuted, _unsettled)
