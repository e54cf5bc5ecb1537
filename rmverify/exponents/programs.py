"""The programs that come with the package: the theorems' costs from the bounds of their lemmas and nothing else.

Forms [quoted], [abstract], [recalled] or [derived] as each says; constants and logarithms are left out. T_corr, h_corr:
time and step of the corrector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from rmverify.exponents.bounds import BOUNDS
from rmverify.exponents.formulas import Bound, Monomial
from rmverify.exponents.problem import PrintedCost
from rmverify.exponents.program import Program

__all__ = ["PROGRAMS"]


_Printed = tuple[tuple[str, str] | tuple[str, str, str], ...]


def _claims(printed: _Printed) -> tuple[PrintedCost, ...]:
    """(bound, source of the whole form, source of its power of d alone): the costs that claims print."""
    found = []
    for bound, source, *alone in printed:
        cost, about = BOUNDS[bound], bound.partition(",")[0]
        found.append(PrintedCost(cost.monomials, None, source, about))
        found += [PrintedCost((Monomial(d=cost.power("d")),), ("d",), text, about) for text in alone]
    return tuple(found)


def _windows(name: str, title: str, window: str, smoothing: str, printed: _Printed, time: str = "") -> Program:
    """About L windows of length 1/L, in each a predictor of step h_pred, then the corrector.

    What `window` says of W_2 after one is turned into total variation as `smoothing` says; C2 is the corrector's own
    error. eps_sc, the score's error through both, comes out as the largest that is allowed. C1, C2 and C4 hold for
    corrector times up to 1/sqrt(L).
    """
    all_windows = Bound("L error/eps")
    after_one = BOUNDS[window].at(h="h_pred")
    first = all_windows.at(error=BOUNDS[smoothing].at(W_2=after_one, T="T_corr")).monomials
    second = all_windows.at(error=BOUNDS["C2"].at(h="h_corr", T="T_corr")).monomials
    errors = ("predictor", "corrector", "score in the predictor", "score in the corrector")
    free = ("T_corr", "h_pred", "h_corr", "eps_sc")
    return Program(
        scales=("L", "d", "1/eps"),
        free=free[1:] if time else free,
        costs={"predictor steps": Monomial.parse("1/h_pred"), "corrector steps": Monomial.parse("L T_corr/h_corr")},
        errors=dict(zip(errors, (first[0], second[0], first[1], second[1]), strict=True)),
        constraints={"corrector time": Monomial.parse("T_corr sqrt(L)")},
        fix={"T_corr": BOUNDS[time].monomials[0]} if time else {},
        claims=_claims(printed), name=name, title=title,
    )  # fmt: skip


def _log_concave(name: str, title: str, smoothing: str, printed: _Printed, time: str = "") -> Program:
    """Shen and Lee's sampler to relative accuracy eps_w in W_2 (C3), then the corrector once.

    In units where the smoothness is L = 1 and the strong concavity m = 1/kappa.
    """
    one = {"L": 1, "T": "T_corr"}
    reached = BOUNDS["C3, reached"].at(m="1/kappa")
    (predictor,) = Bound("error/eps").at(error=BOUNDS[smoothing].at(W_2=reached, **one)).monomials
    (corrector,) = Bound("error/eps").at(error=BOUNDS["C2"].at(h="h_corr", eps_sc=0, **one)).monomials
    short, long = BOUNDS["C3"].monomials
    return Program(
        scales=("kappa", "d", "1/eps"),
        free=("eps_w", "h_corr") if time else ("T_corr", "eps_w", "h_corr"),
        costs={"predictor steps, short range": short, "predictor steps, long range": long,
               "corrector steps": Monomial.parse("T_corr/h_corr")},
        errors={"predictor": predictor, "corrector": corrector},
        constraints={"corrector time": Monomial.parse("T_corr")},
        fix={"T_corr": BOUNDS[time].at(L=1).monomials[0]} if time else {},
        claims=_claims(printed), name=name, title=title,
    )  # fmt: skip


_D1 = ("D1", "D1's printed form [quoted]")
_D3 = ("D3", "D3's printed form [recalled]")
_RANDOM = "B5, randomized midpoint"
_LOG_CONCAVE = "log-concave sampling in total variation"

PROGRAMS: Mapping[str, Callable[[], Program]] = {name: partial(build, name, *given) for name, build, *given in (
    ("d0", _windows, "DPUM: exponential integrator and underdamped corrector", "B5, exponential integrator", "C1",
     (("D0", "CCL+23 [quoted]", "CCL+23 [quoted]"),)),
    ("d1", _windows, "sequential randomized midpoint, published corrector time", _RANDOM, "C1",
     ((*_D1, "D1 [abstract]"),), "D1, time"),
    ("d3", _log_concave, f"{_LOG_CONCAVE}, published corrector time", "C1", ((*_D3, "D3 [abstract]"),), "D1, time"),
    ("d5", _windows, "sequential randomized midpoint, best corrector time", _RANDOM, "C1",
     (("D5", "[derived]"), (*_D1, "D1 [abstract]"))),
    ("d5-log-concave", _log_concave, f"{_LOG_CONCAVE}, best corrector time", "C1",
     (("D5, log-concave", "[derived]"), _D3)),
    ("d7", _windows, "sequential randomized midpoint, smoothing of the position alone", _RANDOM, "C4, variation",
     (("D7", "[derived]"), _D1)),
    ("d7-log-concave", _log_concave, f"{_LOG_CONCAVE}, smoothing of the position alone", "C4, variation",
     (("D7, log-concave", "[derived]"), _D3)),
)}  # fmt: skip
"""By name; the first letter and number are those of the claim."""
