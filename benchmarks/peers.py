"""The total variation by other means, on the same pairs, each with its accuracy beside its time.

Monte Carlo in NumPy   mean of (1 - p/q)_+ under q ("likelihood ratio"), and P(A) - Q(A) for A = {p > q} ("hit
                       fraction"): 10^6 particles, fewer where the law has more than a few modes; its stated error is
                       one standard error.
gx2                    P(l > 0) - Q(l > 0) for the loss l = ln(p/q), a generalized chi-square under either law, in
                       other words 1 - 2 (Bayes error); with its defaults, and with l scaled to standard deviation 1
                       and tolerances of 1e-14.
dp_accounting          the hockey-stick divergence at epsilon = 0 of a product of at most ten different 1-D pairs; with
                       its default grid, and with one of a thousandth of the loss's standard deviation.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.cases import Case, peer_cases
from benchmarks.record import Record, failure, measure
from benchmarks.tv import measured

__all__ = ["run"]

Array = NDArray[Any]
Method = Callable[[Case], tuple[float, float | None]]

_NORMALS = {True: 2_000_000, False: 20_000_000}  # random numbers of a Monte Carlo run: quick, in full
_QUICK = ("100 equal shifts, TV 1e-3", "d=10, TV 0.3", "d=10, TV 1e-8", "1e4 modes, light tails, TV 1e-3")
_MOST_PAIRS = 10


class _NotApplicable(Exception):
    """The method cannot do this case; the message says why."""


def run(quick: bool) -> Iterator[Record]:
    """The row of rmverify, then those of the peers, for each case."""
    for case in peer_cases():
        if quick and case.name not in _QUICK:
            continue
        own = measured(case, "peers", 9 if quick else 31)
        yield own
        for name, method in _methods(quick).items():
            yield _row(case, name, method, own, quick)


def _methods(quick: bool) -> dict[str, Method]:
    rng = np.random.default_rng(0)
    return {
        "Monte Carlo, likelihood ratio": lambda case: _likelihood_ratio(case, rng, _NORMALS[quick]),
        "Monte Carlo, hit fraction": lambda case: _hit_fraction(case, rng, _NORMALS[quick]),
        "gx2": lambda case: _gx2(case, scaled=False),
        "gx2, scaled, tight": lambda case: _gx2(case, scaled=True),
        "dp_accounting": lambda case: _dp(case, 1e-4),
        "dp_accounting, fine grid": lambda case: _dp(case, _loss_deviation(case) / 1000),
    }


def _row(case: Case, name: str, method: Method, own: Record, quick: bool) -> Record:
    package = name.split(",")[0]
    if package in ("gx2", "dp_accounting"):
        try:
            importlib.import_module(package)
        except ImportError:
            return failure("peers", case.name, name, "not installed")
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            timing = measure(lambda: method(case), 3 if quick else 5, 0.3 if quick else 2.0)
    except _NotApplicable as reason:
        return failure("peers", case.name, name, f"not applicable: {reason}")
    except Exception as error:  # a peer that fails is a result
        return failure("peers", case.name, name, f"fails: {type(error).__name__}: {error}"[:90])
    value, stated = timing.result
    assert own.time is not None
    return Record(
        "peers",
        case.name,
        name,
        timing.median,
        timing.least,
        value=value,
        relative=case.relative(value),
        stated=None if stated is None else stated / float(case.reference.mid()),
        ratio=timing.median / own.time,
        note=f"{_particles(case, _NORMALS[quick])} particles" if package == "Monte Carlo" else "",
    )


def _loss_deviation(case: Case) -> float:
    middle = 1 + case.ratio / 2
    square = (case.ratio / middle) ** 2 / 2 + case.shift**2 * (1 + case.ratio) / middle**3
    return math.sqrt(float(case.count @ square))


# --- Monte Carlo --------------------------------------------------------------------------------------------


def _particles(case: Case, normals: int) -> int:
    return max(2, min(10**6, normals // case.count.size))


def _losses(case: Case, rng: np.random.Generator, particles: int, under_p: bool) -> Iterator[Array]:
    """ln(p/q) of particles from p or q, in pieces that fit the cache or so."""
    r, mu, n = case.ratio, case.shift, case.count
    rows = max(1, 1_000_000 // r.size)
    single = bool((n == 1).all())
    if not single and (mu[r == 0] != 0).any() and (r != 0).any():
        raise _NotApplicable("blocks with and without a scale")
    root = np.sqrt(1 + r)
    for start in range(0, particles, rows):
        shape = (min(rows, particles - start), r.size)
        if not single and not r.any():  # a shift: the loss is normal
            energy = float(n @ mu**2)
            yield (energy if under_p else -energy) / 2 + math.sqrt(energy) * rng.standard_normal(shape[0])
        elif not single:  # a sum of squares over the block, noncentral chi-square
            shift = mu / r if under_p else root * mu / r
            squares = rng.noncentral_chisquare(n, n * shift**2, shape)
            base = n * (np.log1p(r) + mu**2 / r)
            yield (base - (r / (1 + r) if under_p else r) * squares).sum(axis=1) / 2
        else:
            y = rng.standard_normal(shape)  # x/sqrt(var_q)
            if under_p:
                y = (y + mu) / root
            yield (np.log1p(r) + y * y - (root * y - mu) ** 2).sum(axis=1) / 2


def _likelihood_ratio(case: Case, rng: np.random.Generator, normals: int) -> tuple[float, float]:
    particles = _particles(case, normals)
    gains = np.concatenate([np.maximum(-np.expm1(loss), 0.0) for loss in _losses(case, rng, particles, False)])
    return float(gains.mean()), float(gains.std()) / math.sqrt(particles)


def _hit_fraction(case: Case, rng: np.random.Generator, normals: int) -> tuple[float, float]:
    particles = _particles(case, normals)
    a, b = (sum(int((x > 0).sum()) for x in _losses(case, rng, particles, side)) / particles for side in (True, False))
    return a - b, math.sqrt((a * (1 - a) + b * (1 - b)) / particles)


# --- generalized chi-square ---------------------------------------------------------------------------------


def _gx2(case: Case, *, scaled: bool) -> tuple[float, None]:
    """Under p the loss is sum [n (ln(1+r) + mu^2/r) - r/(1+r) chi'^2_n(n mu^2/r^2)]/2; under q alike."""
    import gx2

    curved = case.ratio != 0  # the other modes add a normal term of variance `energy` and mean +-energy/2
    if not curved.any():
        raise _NotApplicable("no quadratic term")
    r, mu, n = case.ratio[curved], case.shift[curved], case.count[curved]
    energy = float(case.count[~curved] @ case.shift[~curved] ** 2)
    constant = float((n * (np.log1p(r) + mu**2 / r)).sum()) / 2
    unit = _loss_deviation(case) if scaled else 1.0
    options = {"AbsTol": 1e-14, "RelTol": 1e-12} if scaled else {}

    def above(weight: Array, square: Array, middle: float) -> float:
        w, s, m = -weight / 2 / unit, math.sqrt(energy) / unit, (constant + middle) / unit
        return float(np.squeeze(gx2.cdf(0.0, w, n, n * square, s, m, side="upper", **options)))

    p = above(r / (1 + r), (mu / r) ** 2, energy / 2)
    q = above(r, (1 + r) * (mu / r) ** 2, -energy / 2)
    return p - q, None


# --- privacy accountants ------------------------------------------------------------------------------------


def _dp(case: Case, interval: float) -> tuple[float, None]:
    """The pessimistic privacy-loss distribution of the product, at epsilon = 0."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    r, mu, n = case.ratio, case.shift, case.count.astype(int)
    if r.size > _MOST_PAIRS:
        raise _NotApplicable(f"{r.size} different pairs")
    if n.max() > 10**6:
        raise _NotApplicable(f"{n.max():.0e}-fold")
    total = None
    for ratio, shift, count in zip(r.tolist(), mu.tolist(), n.tolist(), strict=True):
        if ratio == 0:
            one = pld.from_gaussian_mechanism(1 / abs(shift), value_discretization_interval=interval)
        else:
            one = pld.create_from_cdf(_loss_distribution(ratio, shift), value_discretization_interval=interval)
        if count > 1:
            one = one.self_compose(count)
        total = one if total is None else total.compose(one)
    assert total is not None
    return float(total.get_delta_for_epsilon(0.0)), None


def _loss_distribution(r: float, mu: float) -> Callable[[float], float]:
    """P(l <= x) under p for one coordinate, 2 l = ln(1+r) + mu^2/r - r/(1+r) (z - mu/r)^2 with z ~ N(0, 1)."""

    def cdf(x: float) -> float:
        square = (math.log1p(r) + mu * mu / r - 2 * x) * (1 + r) / r
        edge = math.sqrt(max(square, 0.0))
        inside = float(ndtr(mu / r + edge) - ndtr(mu / r - edge))
        return 1 - inside if r > 0 else inside

    return cdf
