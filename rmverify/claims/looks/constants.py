"""Leading constants as exact expressions, and how a step is held against them.

Each entry is the first term in h, or the first two, of one coefficient of the step's local error
(`rmverify.errors.jets` names them), 0 where no term appears up to `ORDER`. They were derived from the printed formulas
of the schemes, see proofs_checks; nothing here was measured. A step whose orders are right and whose constants are
wrong is another algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from flint import arb, arb_series, ctx

from rmverify import schemes
from rmverify.claims.evidence import Evidence, Look
from rmverify.errors.jets import kinetic_jets, noise_rounding, predictor_jets, reverse_jets
from rmverify.exponents import Bound
from rmverify.numbers.values import Value
from rmverify.schemes.contract import missing_parameters, parameters

__all__ = ["KINETIC", "PREDICTORS", "REVERSE", "leading_constants", "noise_in_floats"]

ORDER = 5
PRECISION = 128
PREDICTOR_POINTS = ({"v": 0.375, "m": 1.25, "t": 0.125}, {"v": 2.5, "m": -0.75, "t": 0.5})
KINETIC_POINTS = ({"k": 1.25, "friction": 1.5, "mass": 0.25}, {"k": 0.375, "friction": 2.25, "mass": 1.5})

Table: TypeAlias = Mapping[str, Mapping[tuple[tuple[str, int], ...], Mapping[str, str]]]

_NONE = {"mean": "0", "variance": "0", "variance_of_mean": "0"}
_RANDOM = "(v-1)*h**3/(6*v**3) - (v-1)*(5*v-9)*h**4/(24*v**4)"
_SPREAD = "(2*v-1)**2*h**4"
PREDICTORS: Table = {
    "exponential_integrator": {(): _NONE | {"slope": "-(v-1)*h**2/(2*v**2) - (v-1)*h**3/(2*v**3)"}},
    "euler": {(): _NONE | {"slope": "-(v-1)*(v+1)*h**2/(2*v**2)", "mean": "-m*h**2/2"}},
    "midpoint": {(): _NONE | {"slope": "(4*v-3)*h**3/(24*v**2)"}},
    "heun": {(): _NONE | {"slope": "-(v-1)*(v**2-3)*h**3/(6*v**3)", "mean": "-m*(2*v-3)*h**3/(12*v)"}},
    "randomized_midpoint": {(): _NONE | {"slope": _RANDOM, "variance": f"{_SPREAD}/(12*v**4)"}},
    "parallel_midpoint": {
        (("strata", R), ("rounds", K)): _NONE | {"slope": slope, "variance": f"{_SPREAD}/({12 * R**3}*v**4)"}
        for R, K, slope in (
            (1, 0, _RANDOM), (2, 0, _RANDOM), (2, 1, "-(v-1)*h**3/(24*v**3)"), (2, 2, "-(v-1)*h**3/(24*v**3)"),
            (3, 1, "-(v-1)*h**3/(54*v**3)"),
        )
    },
    "importance_midpoint": {(): _NONE | {"slope": _RANDOM, "variance": "(v-1)**2*h**4/(12*v**4)"}},
    "ddim": {(): _NONE | {"slope": "-(v-w)*h**2/(2*w*v**2)"}},
    "parareal": {
        (("blocks", B), ("fine", m), ("sweeps", K)): _NONE | {"slope": f"-(v-w)*h**2/({2 * count}*w*v**2)"}
        for B, m, K, count in ((2, 2, 0, 2), (2, 2, 1, 4), (3, 2, 1, 6))
    },
    "parallel_slices": {
        (("slices", S), ("cells", M), ("rounds", J), ("inner", P)): _NONE | {"slope": f"-(v-1)*h**2/({2 * S * M}*v**2)"}
        for S, M, J, P in ((2, 2, 1, 1), (3, 2, 2, 2))
    },
}  # fmt: skip
"""On a mode N(m, v) of q_t with the score of q, w = 1 - e^{-2t}: see `rmverify.errors.jets.predictor_jets` for the
names."""

_MEAN = dict.fromkeys(("mean", "variance_of_mean"), "0")
_SURE = _MEAN | {"variance": "0", "spread": "0"}
_LITTLE = "-4*(v-1+exp(-2*t))*h**2/(v*(1-exp(-2*t)))"
REVERSE: Table = {
    "ddpm": {(): _SURE | {"slope": "0", "noise": _LITTLE, "kept": _LITTLE}},
    "reverse_euler": {(): _SURE | {"slope": "0", "noise": "4*h**2/v", "kept": "4*h**2/v"}},
    "exponential_sde": {
        (): _SURE | {"slope": "-h**2/v", "noise": "4*h**2/v", "kept": "-2*(v-2)*h**2/v - 2*(v-2)*h**3/v"}
    },
    "randomized_midpoint_sde": {(): _MEAN | {
        "slope": "2*h**3/(3*v**2) - (5*v-6)*h**4/(6*v**3)", "noise": "-4*h**3/(3*v**2) + 2*(v+4)*h**4/(3*v**3)",
        "kept": "4*(v-1)*h**3/(3*v**2) + 8*h**4/(3*v**3)", "variance": "h**4/(3*v**2)",
        "spread": "4*(v-2)**2*h**4/(3*v**2)",
    }},
    "jiao_li": {
        (("cells", n),): _MEAN | {
            "kept": f"{20 * n - 12}*(4*v-1)*h**3/({3 * n**3}*v**2)",
            "spread": f"16*(4*v-1)**2*h**4/({3 * n**3}*v**2)",
        } for n in (1, 2, 3)
    },
}  # fmt: skip
"""On a mode N(m, v) of q_t with the score of q: see `rmverify.errors.jets.reverse_jets` for the names."""

_STILL = dict.fromkeys(("force_x", "force_v", "spread_xx", "spread_xv", "spread_vv"), "0")
KINETIC: Table = {
    "overdamped": {
        (): {"xx": "-k**2*h**2/2", "noise_xx": "2*k*h**2", "kept_xx": "k*h**2", "force_x": "0", "spread_xx": "0"}
    },
    "overdamped_midpoint": {(): {
        "xx": "k**3*h**3/6", "noise_xx": "-k**2*h**3/3", "kept_xx": "k**3*h**4/3", "force_x": "0",
        "spread_xx": "4*k**2*h**4/3",
    }},
    "stochastic_runge_kutta": {(): {
        "xx": "k**3*h**3/6", "noise_xx": "-2*k**2*h**3/3", "kept_xx": "-k**2*h**3/3 + k**3*h**4/4", "force_x": "0",
        "spread_xx": "0",
    }},
    "stratified_hmc": {(): {
        "xx": "-(u*k)**2*h**4/24", "xv": "-u*k*h**3/12", "vx": "-(u*k)**2*h**3/6", "vv": "-(u*k)**2*h**4/24",
        "noise_xx": "0", "noise_xv": "0", "noise_vv": "0",
        "kept_xx": "-k*u**2*h**4/4", "kept_xv": "-k*u**2*h**3/4", "kept_vv": "k**2*u**3*h**4/3", **_STILL,
    }},
    "poisson_midpoint": {
        (("cells", M),): {"xx": xx, "noise_xx": noise, "kept_xx": kept, "force_x": "0", "spread_xx": spread}
        for M, xx, noise, kept, spread in (
            (1, "-k**2*h**2/2", "2*k*h**2", "k*h**2", "0"),
            (2, "-k**2*h**2/4", "k*h**2", "k*h**2/2", "k**2*h**4"),
            (3, "-k**2*h**2/6", "2*k*h**2/3", "k*h**2/3 + 4*k**2*h**3/27", "160*k**2*h**4/81"),
            (4, "-k**2*h**2/8", "k*h**2/2", "k*h**2/4 + k**2*h**3/4", "21*k**2*h**4/8"),
        )
    },
    "parallel_overdamped": {
        (("strata", R), ("rounds", K)): {
            "xx": xx, "noise_xx": noise, "kept_xx": kept, "force_x": "0", "spread_xx": f"4*k**2*h**4/{3 * R**3}",
        }
        for R, K, xx, noise, kept in (
            (1, 0, "k**3*h**3/6", "-k**2*h**3/3", "k**3*h**4/3"),
            (2, 0, "k**3*h**3/6", "-7*k**2*h**3/12", "-k**2*h**3/4 + 25*k**3*h**4/96"),
            (1, 1, "-k**3*h**3/6", "k**2*h**3", "2*k**2*h**3/3"),
            (2, 1, "-k**3*h**3/24", "k**2*h**3/4", "k**2*h**3/6"),
            (3, 2, "-k**3*h**3/54", "k**2*h**3/9", "2*k**2*h**3/27"),
        )
    },
    "parallel_langevin": {
        (("cells", M), ("rounds", K)): {
            "xx": f"-k**2*h**2/{2 * n}", "noise_xx": f"2*k*h**2/{n}", "kept_xx": f"k*h**2/{n}", "force_x": "0",
            "spread_xx": "0",
        }
        for M, K, n in ((2, 1, 1), (2, 2, 2), (3, 2, 3))
    },
    "underdamped": {(): {
        "xx": "-(u*k)**2*h**4/24", "xv": "u*k*h**3/6", "vx": "-(u*k)**2*h**3/6", "vv": "u*k*h**2/2",
        "noise_xx": "2*g*k*u**2*h**5/15", "noise_xv": "g*k*u**2*h**4/3", "noise_vv": "2*g*k*u**2*h**3/3",
        "kept_xx": "k*u**2*h**4/4", "kept_xv": "k*u**2*h**3/2", "kept_vv": "k*u**2*h**2", **_STILL,
    }},
    "underdamped_euler": {(): {
        "xx": "u*k*h**2/2", "xv": "g*h**2/2", "vx": "-g*u*k*h**2/2", "vv": "(u*k - g**2)*h**2/2",
        "noise_xx": "-2*g*u*h**3/3", "noise_xv": "-g*u*h**2", "noise_vv": "2*g**2*u*h**2",
        "kept_xx": "u*h**2", "kept_xv": "-g*u*h**2", "kept_vv": "(u*k + g**2)*u*h**2", **_STILL,
    }},
    "randomized_midpoint_langevin": {(): {
        "xx": "0", "xv": "-(u*k)**2*h**5/120", "vx": "(u*k)**3*h**5/120", "vv": "-(u*k)**2*h**4/24",
        "noise_xx": "0", "noise_xv": "0", "noise_vv": "g*k**2*u**3*h**5/30",
        "kept_xx": "k*u**2*h**4/12", "kept_xv": "-g*k*u**2*h**4/12", "kept_vv": "g**2*k*u**2*h**4/12", **_STILL,
    }},
    "parallel_underdamped": {
        (("cells", 2), ("rounds", 2)): {
            "xx": "-5*(u*k)**2*h**4/192", "xv": "5*u*k*h**3/48", "vx": "-5*(u*k)**2*h**3/48", "vv": "u*k*h**2/4",
            "noise_xx": "13*g*k*u**2*h**5/160", "noise_xv": "19*g*k*u**2*h**4/96", "noise_vv": "5*g*k*u**2*h**3/12",
            "kept_xx": "5*k*u**2*h**4/32", "kept_xv": "k*u**2*h**3/4", "kept_vv": "k*u**2*h**2/2", **_STILL,
        },
        (("cells", 3), ("rounds", 2)): {
            "xx": "-13*(u*k)**2*h**4/648", "xv": "2*u*k*h**3/27", "vx": "-2*(u*k)**2*h**3/27", "vv": "u*k*h**2/6",
            "noise_xx": "226*g*k*u**2*h**5/3645", "noise_xv": "23*g*k*u**2*h**4/162", "noise_vv": "8*g*k*u**2*h**3/27",
            "kept_xx": "35*k*u**2*h**4/324", "kept_xv": "k*u**2*h**3/6", "kept_vv": "k*u**2*h**2/3", **_STILL,
        },
    },
}  # fmt: skip
"""For the score -k x, g the friction and u the mass: see `rmverify.errors.jets.kinetic_jets` for the names."""


def leading_constants(look: Look, name: str, entries: tuple[str, ...] = ()) -> Evidence:
    """The step that goes by `name` against its leading constants (`entries` only, all by default), over balls."""
    scheme = look.scheme(name)
    rows: list[dict[str, Any]] = []
    wrong: dict[str, Any] | None = None
    kinetic = name in KINETIC
    points = [*(KINETIC_POINTS if kinetic else PREDICTOR_POINTS)]
    if name in look.places:  # there too
        place = look.places[name]
        points.append(points[0] | {key: place[key] for key in points[0] if key in place})
    for given, table in (KINETIC if kinetic else REVERSE if name in REVERSE else PREDICTORS)[name].items():
        for point in points:
            jets = _jets(scheme, name, dict(given), point)
            for entry in entries or tuple(table):
                due = _expected(table[entry], point)
                first = next((n for n in range(ORDER + 1) if not jets[entry][n].overlaps(due[n])), None)
                power = max((n for n, c in enumerate(due) if not c.is_zero()), default=ORDER)
                if first is None or first > power:
                    if point is points[0]:
                        term = table[entry].replace("**", "^")
                        rows.append(dict(given) | {"coefficient": entry, "leading term": term})
                elif wrong is None:
                    sides = {"found": float(jets[entry][first]), "expected": float(due[first])}
                    wrong = {"entry": entry, "power of h": first} | sides | dict(given) | point
    what = f"leading terms in h of the local error of {name}, by power series over balls"
    common: dict[str, Any] = {
        "label": "tight", "domain": f"exact rational test points {tuple(points)}", "source": "derived, proofs_checks",
        "rows": tuple(rows),
    }  # fmt: skip
    if wrong is None:
        computed = f"all {len(rows)} leading terms agree with the stated ones"
        return Evidence("exact", what, "holds", computed=computed, **common)
    text = f"coefficient {wrong['entry']}: {wrong['found']:.12g} h^{wrong['power of h']}"
    return Evidence(
        "exact", what, "violated", computed=text, bound=f"{wrong['expected']:.12g} h^{wrong['power of h']}",
        constant=Value(wrong["found"], "exact", 1e-15 * abs(wrong["found"])), where=wrong, **common,
    )  # fmt: skip


def _jets(scheme: Any, name: str, given: dict[str, Any], point: Mapping[str, float]) -> dict[str, list[Any]]:
    if name not in KINETIC:
        jets = reverse_jets if name in REVERSE else predictor_jets
        return jets(_with(scheme, given), point["v"], point["m"], point["t"], ORDER)
    shipped = getattr(schemes, name)
    names = {*parameters(shipped), *missing_parameters(shipped)}
    motion = {key: point[key] for key in ("friction", "mass") if key in names}
    return kinetic_jets(_with(scheme, given | motion), point["k"], ORDER)


ACCURACY = 1e-13
"""Relative accuracy required of every noise covariance in float64, down to friction times h of 1e-12."""


def noise_in_floats(look: Look, name: str) -> Evidence:
    """The step's noise covariance in float64 against the same step over balls, from g h = 1 down to 1e-12."""
    point = KINETIC_POINTS[0]
    given = dict(next(iter(KINETIC[name]))) | {"friction": point["friction"], "mass": point["mass"]}
    steps = [10.0**-n / point["friction"] for n in range(13)]
    worst, where = noise_rounding(_with(look.scheme(name), given), point["k"], steps)
    return Evidence(
        "exact", f"rounding of the noise covariance of {name}: float64 against the same step over balls",
        "holds" if worst <= ACCURACY else "violated", computed=f"relative deviation at most {worst:.2g}",
        bound=f"{ACCURACY:g}", label="lower", constant=Value(worst, "exact", 1e-18), where={"h": where} | point,
        domain="friction h from 1 to 1e-12 by decades", source="stated by this package",
    )  # fmt: skip


def _with(scheme: Any, parameters: dict[str, Any]) -> Any:
    return scheme(**parameters) if parameters else scheme


def _expected(text: str, point: Mapping[str, float]) -> list[Any]:
    """The coefficients of h^0 .. h^ORDER of a formula at a point, as balls."""
    with ctx.workprec(PRECISION):
        names = {"friction": "g", "mass": "u"}
        values = {names.get(name, name): arb(x) for name, x in point.items()}
        if "t" in values:
            values["w"] = -(-2 * values["t"]).expm1()
        found = arb_series(Bound(text)(one=arb(1), h=arb_series([0, 1], prec=ORDER + 1), **values), prec=ORDER + 1)
        return [found[n] for n in range(ORDER + 1)]
