"""Hypothesis strategies for targets, scores, paths, noise levels, midpoints, schemes and plans: for your own tests.

Everything is built, nothing filtered: each draw is valid, and shrinks towards few modes and steps near 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify import schemes
from rmverify.claims.looks.oscillating import Oscillation
from rmverify.numbers.checks import Array, number, positive_integer
from rmverify.paths import OU, VE, VP, Flow, Path
from rmverify.plans import Correct, Plan, Predict
from rmverify.schemes.contract import Scheme
from rmverify.targets import EstimatedScore, Gaussian

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as error:
    raise ImportError(
        "rmverify.testing.strategies needs hypothesis, which is not installed: pip install 'rmverify[testing]'"
    ) from error

__all__ = [
    "alphas",
    "correctors",
    "dense_gaussians",
    "estimated_scores",
    "gaussians",
    "paths",
    "plans",
    "predictors",
    "rotations",
    "schedules",
    "sigmas",
    "spectra",
    "steps",
    "timesteps",
]

Range = tuple[float, float]


def _range(name: str, ends: Range) -> Range:
    low, high = number(name, ends[0], above=0), number(name, ends[1], above=0)
    if low > high:
        raise ValueError(f"{name}: expected (low, high) with low <= high, got {ends!r}")
    return low, high


def _logarithmic(name: str, ends: Range) -> SearchStrategy[float]:
    """Numbers spread evenly in their logarithm, both ends included."""
    low, high = _range(name, ends)
    return st.floats(math.log(low), math.log(high)).map(lambda log: min(max(math.exp(log), low), high))


def gaussians(
    *,
    variances: Range = (1e-3, 1e3),
    modes: int = 4,
    multiplicities: int = 10**6,
    means: float = 10.0,
) -> SearchStrategy[Gaussian]:
    """Gaussians given by a spectrum with multiplicities, isotropic ones among them.

    Parameters
    ----------
    variances : (low, high)
        Spread evenly in their logarithm.
    modes : int
        At most so many blocks.
    multiplicities : int
        At most so many coordinates in a block.
    means : number >= 0
        The largest mean of a coordinate; 0 for centred targets.

    Raises
    ------
    ValueError
        Where a range is empty or not positive.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(gaussians(variances=(0.1, 1.0), means=0))
    ... def test(q):
    ...     assert 1 <= q.smoothness <= 10 and not q.means.any()
    >>> test()
    """
    spread = number("means", means, least=0)
    block = st.tuples(_logarithmic("variances", variances), st.integers(1, multiplicities), st.floats(-spread, spread))
    blocks = st.lists(block, min_size=1, max_size=modes)
    return blocks.map(lambda blocks: Gaussian.from_spectrum(*zip(*blocks, strict=True)))


def spectra(*, variances: Range = (1e-3, 1e3), modes: int = 4) -> SearchStrategy[Array]:
    """Variances, one for each coordinate: any, all the same, two blocks, and powers of the index.

    Parameters
    ----------
    variances : (low, high)
    modes : int
        At most so many.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(spectra(variances=(0.1, 1.0), modes=3))
    ... def test(lam):
    ...     assert lam.shape in ((1,), (2,), (3,)) and lam.min() >= 0.1 and lam.max() <= 1
    >>> test()
    """
    low, high = _range("variances", variances)
    most = positive_integer("modes", modes)
    one = _logarithmic("variances", (low, high))
    sizes = st.integers(1, most)

    def blocks(size: int, cut: int, a: float, b: float) -> Array:
        return np.where(np.arange(size) < cut, a, b)

    def powers(size: int, power: float, first: float) -> Array:
        return np.clip(first * np.arange(1.0, size + 1) ** -power, low, high)

    return st.one_of(
        st.lists(one, min_size=1, max_size=most).map(np.array),
        st.builds(blocks, sizes, st.integers(0, most), one, one),
        st.builds(powers, sizes, st.floats(0.5, 3.0), one),
    )


def dense_gaussians(*, variances: Range = (1e-2, 1e2), dim: int = 4, means: float = 10.0) -> SearchStrategy[Gaussian]:
    """Gaussians of correlated coordinates: a spectrum, turned by a rotation.

    Parameters
    ----------
    variances : (low, high)
    dim : int
        The largest dimension.
    means : number >= 0
        The largest mean of a coordinate before it is turned.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(dense_gaussians(variances=(0.5, 2.0), dim=3))
    ... def test(q):
    ...     assert q.dim <= 3 and np.allclose(q.covariance, q.covariance.T)
    >>> test()
    """
    spread = number("means", means, least=0)

    def turned(lam: Array) -> SearchStrategy[Gaussian]:
        center = st.lists(st.floats(-spread, spread), min_size=lam.size, max_size=lam.size)
        return st.builds(lambda q, m: Gaussian(q @ np.array(m), (q * lam) @ q.T), rotations(lam.size), center)

    return spectra(variances=variances, modes=dim).flatmap(turned)


def rotations(dim: int) -> SearchStrategy[Array]:
    """Orthogonal matrices of shape (dim, dim), as products of two reflections.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(rotations(3))
    ... def test(q):
    ...     np.testing.assert_allclose(q @ q.T, np.eye(3), rtol=0, atol=1e-14)
    >>> test()
    """
    vector = st.lists(st.floats(-1, 1), min_size=dim, max_size=dim)
    return st.tuples(vector, vector).map(lambda pair: _reflection(pair[0]) @ _reflection(pair[1]))


def _reflection(vector: list[float]) -> Array:
    v = np.array(vector)
    size = math.hypot(*vector)
    v = v / size if size > 0.1 else np.eye(len(vector))[0]
    return np.asarray(np.eye(len(vector)) - 2 * np.outer(v, v))


def estimated_scores(
    targets: SearchStrategy[Gaussian] | None = None, *, gain: float = 0.5, bias: float = 1.0
) -> SearchStrategy[EstimatedScore]:
    """Scores (1 + gain) s_t(x) + bias(t) of a target, the bias a constant per mode or an oscillation in t.

    Parameters
    ----------
    targets : strategy, optional
        `gaussians()` by default.
    gain, bias : number >= 0
        The largest size of each.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(estimated_scores(gain=0, bias=0))
    ... def test(estimate):
    ...     assert estimate.error(1.0) == 0
    >>> test()
    """
    gain, bias = number("gain", gain, least=0), number("bias", bias, least=0)

    def on(target: Gaussian) -> SearchStrategy[EstimatedScore]:
        size = target.variances.size
        values = st.lists(st.floats(-bias, bias), min_size=size, max_size=size).map(tuple)
        waves = st.builds(Oscillation, values, st.floats(0.05, 4), st.floats(0, 4))
        biases = st.one_of(st.none(), values, waves)
        return st.builds(EstimatedScore, st.just(target), gain=st.floats(-gain, gain), bias=biases)

    return (gaussians() if targets is None else targets).flatmap(on)


def steps(smoothness: float, *, levels: Range = (1e-3, 10.0)) -> SearchStrategy[tuple[float, float]]:
    """One step (t, h) of a predictor in the lemmas' range h <= min(1/L, t).

    Parameters
    ----------
    smoothness : number
        L, such as `Gaussian.path_smoothness`.
    levels : (low, high)
        Where t lies, spread evenly in its logarithm; h goes down to a thousandth of its largest value.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(steps(4.0))
    ... def test(step):
    ...     assert 0 < step[1] <= min(1 / 4, step[0])
    >>> test()
    """
    most = 1 / number("smoothness", smoothness, above=0)
    shares = st.one_of(st.just(1.0), _logarithmic("shares", (1e-3, 1.0)))
    return st.tuples(_logarithmic("levels", levels), shares).map(lambda p: (p[0], p[1] * min(most, p[0])))


def schedules(*, start: Range = (1.0, 4.0), end: Range = (0.01, 0.5), steps: int = 6) -> SearchStrategy[Array]:
    """Noise levels of a predictor, strictly decreasing, uneven.

    Parameters
    ----------
    start, end : (low, high)
        Where the first and the last level lie; every start above every end.
    steps : int
        At most so many.

    Raises
    ------
    ValueError
        Where a start may lie below an end.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(schedules(steps=3))
    ... def test(levels):
    ...     assert 2 <= levels.size <= 4 and (np.diff(levels) < 0).all()
    >>> test()
    """
    if _range("start", start)[0] <= _range("end", end)[1]:
        raise ValueError(f"start: expected levels above those of end, {end!r}, got {start!r}")
    parts = st.lists(st.floats(0.1, 1), min_size=1, max_size=steps)
    return st.builds(_levels, _logarithmic("start", start), _logarithmic("end", end), parts)


def paths() -> SearchStrategy[Path]:
    """Ways from data to noise in every clock: OU, VE, flows, and VP by a rate or a list of timesteps.

    Lists of alphas_cumprod have up to 1000 timesteps, every interpolation, and end in pure noise or not.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(paths())
    ... def test(path):
    ...     alpha, sigma = path.at(1)
    ...     assert alpha >= 0 and sigma > 0
    >>> test()
    """
    rates = st.tuples(st.floats(0.01, 1.0), st.floats(1.0, 30.0)).map(lambda beta: VP(beta=beta))
    flows = st.sampled_from((1.0, 1000.0)).map(Flow)
    return st.one_of(st.sampled_from((OU(), VE())), flows, rates, _discrete())


def _discrete() -> SearchStrategy[VP]:
    def listed(count: int, last: float, noise: bool, interpolation: str | None) -> VP:
        squares = np.cumprod(1 - np.linspace(1e-4, last, count) * min(1.0, 1000 / count))
        if noise:
            squares[-1] = 0.0
        return VP(squares, interpolation=interpolation)

    ways = st.sampled_from(("log_sigma", "alphas_cumprod", None))
    return st.builds(listed, st.sampled_from((1000, 10, 37)), st.floats(5e-3, 2e-2), st.booleans(), ways)


def sigmas(*, most: Range = (5.0, 100.0), least: Range = (1e-3, 0.5), steps: int = 12) -> SearchStrategy[list[float]]:
    """Noise levels sigma as samplers take them: strictly decreasing, even in a power of sigma or uneven, half of them
    ending with 0.

    Parameters
    ----------
    most, least : (low, high)
        Of the first and of the last that is not 0.
    steps : int
        At most so many steps.

    Raises
    ------
    ValueError
        Where the first may lie below the last.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(sigmas(steps=5))
    ... def test(levels):
    ...     assert 2 <= len(levels) <= 6 and levels == sorted(levels, reverse=True) and levels[-1] >= 0
    >>> test()
    """
    if _range("most", most)[0] <= _range("least", least)[1]:
        raise ValueError(f"most: expected levels above those of least, {least!r}, got {most!r}")
    count = positive_integer("steps", steps)

    def even(first: float, last: float, n: int, rho: float, zero: bool) -> list[float]:
        inner = np.linspace(first ** (1 / rho), last ** (1 / rho), n if zero else n + 1) ** rho
        return [*map(float, inner), *([0.0] if zero else [])]

    def uneven(first: float, last: float, parts: list[float]) -> list[float]:
        return [*map(float, np.exp(_levels(math.log(first), math.log(last), parts)))]

    ends = _logarithmic("most", most), _logarithmic("least", least)
    parts = st.lists(st.floats(0.1, 1), min_size=1, max_size=count)
    return st.one_of(
        st.builds(even, *ends, st.integers(1, count), st.sampled_from((1.0, 7.0)), st.booleans()),
        st.builds(uneven, *ends, parts),
    )


def timesteps(count: int = 1000, *, steps: int = 50) -> SearchStrategy[list[int]]:
    """Whole timesteps as schedulers make them, strictly decreasing in 0, ..., count - 1: leading, trailing and even
    spacings of numbers that divide `count` and that do not, and any subset.

    Parameters
    ----------
    count : int
    steps : int
        At most so many.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(timesteps(100, steps=8))
    ... def test(levels):
    ...     assert 1 <= len(levels) <= 8 and levels == sorted(set(levels), reverse=True)
    ...     assert 0 <= levels[-1] and levels[0] < 100
    >>> test()
    """
    count = positive_integer("count", count)
    most = positive_integer("steps", min(steps, count))

    def spaced(n: int, how: str) -> list[int]:
        if how == "leading":
            return [(count // n) * k for k in reversed(range(n))]
        if how == "trailing":
            return [count - 1 - (count * k) // n for k in range(n)]
        return [round((count - 1) * k / (n - 1)) for k in reversed(range(n))] if n > 1 else [count - 1]

    ways = st.sampled_from(("leading", "trailing", "even"))
    subsets = st.sets(st.integers(0, count - 1), min_size=1, max_size=most)
    return st.one_of(st.builds(spaced, st.integers(1, most), ways), subsets.map(lambda s: sorted(s, reverse=True)))


def _levels(start: float, end: float, parts: list[float]) -> Array:
    shares = np.array([0.0, *itertools.accumulate(parts)])
    levels = start + (end - start) * shares / shares[-1]
    levels[-1] = end
    return np.asarray(levels)


def predictors() -> SearchStrategy[Scheme]:
    """The shipped predictors, the parallel ones with few strata and rounds.

    Examples
    --------
    >>> from hypothesis import given
    >>> from rmverify import Predict
    >>> @given(predictors())
    ... def test(scheme):
    ...     assert Predict(scheme, [1.0, 0.5]).footprint.evaluations >= 1
    >>> test()
    """
    plain = (
        schemes.euler,
        schemes.exponential_integrator,
        schemes.heun,
        schemes.midpoint,
        schemes.randomized_midpoint,
        schemes.importance_midpoint,
        schemes.ddim,
        schemes.reverse_euler,
        schemes.ddpm,
        schemes.exponential_sde,
        schemes.randomized_midpoint_sde,
    )
    few = st.integers(1, 3)
    return st.one_of(
        st.sampled_from(plain),
        _bound(schemes.parallel_midpoint, strata=st.integers(1, 2), rounds=st.integers(0, 2)),
        _bound(schemes.jiao_li, cells=st.integers(1, 2)),
        _bound(schemes.parareal, blocks=few, fine=few, sweeps=st.integers(0, 2), power=st.integers(1, 2)),
        _bound(schemes.parallel_slices, slices=few, cells=few, rounds=few, inner=few),
    )


def _bound(scheme: Callable[..., Any], **parameters: SearchStrategy[Any]) -> SearchStrategy[Scheme]:
    return st.fixed_dictionaries(parameters).map(lambda drawn: scheme(**drawn))


def correctors() -> SearchStrategy[Scheme]:
    """The shipped correctors with friction and mass near 1.

    Examples
    --------
    >>> from hypothesis import given
    >>> from rmverify import Correct
    >>> @given(correctors())
    ... def test(scheme):
    ...     assert Correct(scheme, 0.5, 0.1, 2).footprint.rounds >= 1
    >>> test()
    """
    kinetic = {"friction": _logarithmic("friction", (0.25, 4.0)), "mass": _logarithmic("mass", (0.25, 4.0))}
    few = st.integers(1, 3)
    return st.one_of(
        st.sampled_from((schemes.overdamped, schemes.overdamped_midpoint, schemes.stochastic_runge_kutta)),
        _bound(schemes.stratified_hmc, mass=kinetic["mass"]),
        _bound(schemes.poisson_midpoint, cells=few),
        _bound(schemes.parallel_overdamped, strata=st.integers(1, 2), rounds=st.integers(0, 2)),
        _bound(schemes.underdamped, **kinetic),
        _bound(schemes.underdamped_euler, **kinetic),
        _bound(schemes.randomized_midpoint_langevin, **kinetic),
        _bound(schemes.parallel_underdamped, cells=few, rounds=few, **kinetic),
        _bound(schemes.parallel_langevin, cells=few, rounds=few),
    )


def plans(
    *,
    levels: SearchStrategy[Array] | None = None,
    predictors: SearchStrategy[Scheme] | None = None,
    correctors: SearchStrategy[Scheme] | None = None,
) -> SearchStrategy[Plan]:
    """Plans of one predictor stage and, half of the time, one corrector stage at its end.

    Parameters
    ----------
    levels, predictors, correctors : strategy, optional
        `schedules()`, `predictors()` and `correctors()` by default; `hypothesis.strategies.nothing()` for no
        corrector.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(plans())
    ... def test(plan):
    ...     assert plan.start > plan.end and plan.evaluations >= plan.rounds
    >>> test()
    """
    predict = st.builds(
        Predict, _predictors() if predictors is None else predictors, schedules() if levels is None else levels
    )
    corrector = _correctors() if correctors is None else correctors
    lengths = _logarithmic("step", (0.01, 0.2))

    def follow(stage: Predict) -> SearchStrategy[Plan]:
        correct = st.builds(Correct, corrector, st.just(stage.end), lengths, st.integers(1, 3))
        return st.one_of(st.just(Plan([stage])), correct.map(lambda then: Plan([stage, then])))

    return predict.flatmap(follow)


_predictors, _correctors = predictors, correctors


def alphas(plan: Plan) -> SearchStrategy[list[Any]]:
    """What the steps of a plan draw, as `output_law` takes it: midpoints, one in each stratum, choices and durations.

    Examples
    --------
    >>> from hypothesis import given
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes
    >>> plan = Plan([Predict(schemes.parallel_midpoint(strata=3, rounds=1), [1.0, 0.6, 0.5])])
    >>> @given(alphas(plan))
    ... def test(midpoints):
    ...     assert output_law(plan, Gaussian.isotropic(0.25, 2), alphas=midpoints).dim == 2
    >>> test()
    """
    rows: list[SearchStrategy[Any]] = []
    for stage in plan:
        foot = stage.footprint
        cells = zip(foot.slots, foot.stratum.tolist(), foot.strata.tolist(), strict=True)
        row = st.tuples(*(_drawn(kind, low / count, (low + 1) / count) for kind, low, count in cells))
        rows += [row.map(lambda row: row[0] if len(row) == 1 else np.array(row))] * (len(stage) if foot.alphas else 0)
    return st.tuples(*rows).map(list)


def _drawn(kind: str, low: float, high: float) -> SearchStrategy[float]:
    if kind == "bernoulli":
        return st.sampled_from((0.0, 1.0))
    return st.floats(0, 40) if kind == "exponential" else st.floats(low, high)
