"""The claims ledger: every quantitative claim re-derived, measured or certified, with findings that can come out
either way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from rmverify.claims.evidence import PAPER, Kind
from rmverify.claims.ledger import Claim, Evidence, Look, Report, Result, load, run
from rmverify.errors import EFFORT
from rmverify.numbers.checks import positive_integer
from rmverify.schemes.contract import Scheme
from rmverify.targets import Gaussian

__all__ = ["Claim", "Evidence", "Report", "Result", "verify"]

DEFAULT = ("symbolic", "exact", "fitted", "monte-carlo")


def verify(
    ids: Iterable[str] | None = None,
    *,
    kinds: Iterable[str] | None = None,
    certified: bool = False,
    target: Gaussian | None = None,
    schemes: Mapping[str, Scheme] | None = None,
    effort: int = EFFORT,
    first_violation: bool = False,
    workers: int = 1,
    field: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Report:
    """Go through the claims of the ledger and say of each what was found.

    Parameters
    ----------
    ids : iterable of str, optional
        Such as ``["B2", "D1"]``; by default all those of Gupta, Cai and Chen, and of what they rest on.
    kinds : iterable of {"symbolic", "certified", "exact", "fitted", "monte-carlo"}, optional
        The evidence to gather; by default all but certified. Monte-carlo is only where a target calls for it.
    certified : bool
        Ball arithmetic over boxes of parameters too, see `effort`.
    target : Gaussian, optional
        Look for exact, fitted and monte-carlo evidence on this target instead of the Gaussian class; on its
        early-stopped law where its smallest variance is (nearly) 0, as `budget` does.
    schemes : mapping, optional
        Your own step functions under the names of the shipped ones that they claim to be: each is first held against
        the shipped step, and without `ids` only the claims about those schemes are asked.
    effort : int
        The most boxes of parameters examined for each certified piece; the shipped ones need up to 5500.
    first_violation : bool
        Stop asking a claim as soon as something violates it.
    workers : int
        Processes.
    field : bool
        Without `ids`: go through the theorems of other papers as well.
    progress : callable, optional
        Called with a text and the fraction that is done.

    Returns
    -------
    Report
        ``report["B2"].finding``, ``.evidence``, ``.constant``, ``.witness``.

    Raises
    ------
    ValueError
        For an unknown id or kind of evidence, or a scheme under an unknown name.

    Examples
    --------
    >>> import rmverify as rm
    >>> rm.verify(["B4"], kinds=["exact"])["B4"].finding
    'holds with constant'
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from rmverify.claims.looks.offered import SCHEMES

    claims = load()
    wanted = DEFAULT if kinds is None else _checked("kinds", kinds, get_args(Kind))
    if certified:
        wanted = [*wanted, "certified"]
    if target is not None and not isinstance(target, Gaussian):
        raise ValueError(f"target: expected a Gaussian, got {type(target).__name__}")
    given = schemes or {}
    if not isinstance(given, Mapping) or not all(map(callable, given.values())):
        raise ValueError(f"schemes: expected a mapping of names to step functions, got {given!r}")
    _checked("schemes", given, SCHEMES)
    about = [id for id, claim in claims.items() if field or given or claim.paper == PAPER]
    about = [id for id in about if not given or any(name in given for name in claims[id].schemes)]
    chosen = about if ids is None else _checked("ids", ids, claims)
    if not (isinstance(workers, int) and workers >= 1):
        raise ValueError(f"workers: expected an integer >= 1, got {workers!r}")
    effort = positive_integer("effort", effort)
    target, note, levels = (None, "", ()) if target is None else _regular(target)
    look = Look(frozenset(wanted), target, dict(given), effort, first_violation, note, levels)
    tell = progress or (lambda text, fraction: None)
    results: list[Result] = []
    if workers <= 1 or len(chosen) == 1:
        for n, id in enumerate(chosen):
            tell(f"{id}: {claims[id].statement}", n / len(chosen))
            results.append(run(claims[id], look))
        return Report(results)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_run, group, look) for group in _groups(chosen)]
        for job in as_completed(jobs):
            results += job.result()
            tell(f"{', '.join(result.id for result in job.result())} done", len(results) / len(chosen))
    return Report(sorted(results, key=lambda result: chosen.index(result.id)))


def _regular(target: Gaussian) -> tuple[Gaussian, str, tuple[float, ...]]:
    """The target itself or its early-stopped law, what it is in words, and the level at which samplers stop."""
    from rmverify.studies.budget import early_stopped, setting

    regular, delta = early_stopped(target)
    if not delta:
        return regular, "the target", (setting(target, 0.1).early_stop,)
    return regular, f"the target's q_delta, delta = {delta:.4g}: its smallest variance is about 0", (delta,)


def _run(ids: list[str], look: Look) -> list[Result]:
    claims = load()
    return [run(claims[id], look) for id in ids]


_TOGETHER = (
    ("D6",),
    ("D1",),
    ("D4",),
    ("B2", "B3", "B4"),
    ("C2", "C3"),
    ("C1", "C4"),
    ("A4",),
    ("F2", "F1", "F4", "F6", "F7"),
)
"""The longest first, for the processes to end together; claims that share a derivation in one process."""


def _groups(chosen: list[str]) -> list[list[str]]:
    first = [[id for id in group if id in chosen] for group in _TOGETHER]
    taken = {id for group in first for id in group}
    return [group for group in first if group] + [[id] for id in chosen if id not in taken]


def _checked(name: str, given: Iterable[str], known: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise ValueError(f"{name}: expected a list such as [{given!r}], got the string {given!r}")
    chosen = list(dict.fromkeys(given))
    for each in chosen:
        if each not in known:
            raise ValueError(f"{name}: expected some of {', '.join(known)}, got {each!r}")
    if not chosen and name != "schemes":
        raise ValueError(f"{name}: expected at least one, got none")
    return chosen
