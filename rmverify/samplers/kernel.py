r"""Somebody's Markov step as a law: Langevin and Hamiltonian code with a gradient and a state of any shape.

One step of such code is an affine map s' = A s + b + C z of its state and its normal draws when the target is Gaussian.
Read once, it says everything: the law after n steps, m -> A m + b and S -> A S A^T + C C^T, and the one that it leaves
invariant, of every component of its state.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array, brief, positive_integer
from rmverify.paths import OU, Path
from rmverify.samplers.arrays import example, host, is_array, named, precision_of, quietly
from rmverify.samplers.models import exact_model, marginal, truth_of
from rmverify.samplers.probe import (
    STRAIGHT,
    Affine,
    Frame,
    Misplaced,
    NotFinite,
    Unreadable,
    attempts,
    check_draws,
    check_shape,
    read,
    roughness,
)
from rmverify.samplers.trees import leaves, others, replaced
from rmverify.targets import Gaussian, Target

__all__ = ["Joint", "Kernel"]

_GRADIENTS = ("score", "grad")
_DOUBLINGS = 60


@dataclass(frozen=True, repr=False)
class Kernel:
    r"""A Markov step with a gradient, read as it is.

    Parameters
    ----------
    step : callable
        ``step(state, gradient, noise)`` returns the next state; ``step(state, gradient, noise, h)`` where it is run
        with a list of step sizes. ``gradient(x)`` is the exact one of the target, ``noise()`` a standard normal draw
        like x; the normal draws of PyTorch and JAX are answered by us too.
    init : callable, optional
        ``init(x, noise)``, or ``init(x, noise, gradient)``, is the state that starts at x; x itself by default. All
        arrays of x's shape in it, in tuples, dicts, dataclasses or lists, are its components. The rest of it is handed
        on as it is: it must not matter how a step changes it, or the step is refused.
    predicts : {"score", "grad"}
        Whether the gradient is that of ln density, or of the potential f = -ln density.
    level : number, optional
        The level of `path` at which the target's marginal is sampled; that of the data by default.
    position : int
        Which component is the position.
    single : bool
        Whether the code takes one state at a time, x of shape (d,), as blackjax does.
    path, like, shape, coordinates, draws, name, hint
        As for `Sampler`. Draws are new in every step; so is what is drawn with a key or generator that a step is not
        handed in its state.

    Raises
    ------
    ValueError
        For an argument that is none of these.

    Examples
    --------
    BAOAB, whose positions are exact on Gaussians, and its velocities are not:

    >>> import numpy as np
    >>> from rmverify import Gaussian, Kernel, stationary_law
    >>> def baoab(state, gradient, noise, h=0.5):
    ...     x, v = state
    ...     v = v + h / 2 * gradient(x)
    ...     x = x + h / 2 * v
    ...     v = np.exp(-h) * v + np.sqrt(1 - np.exp(-2 * h)) * noise()
    ...     x = x + h / 2 * v
    ...     return x, v + h / 2 * gradient(x)
    >>> kernel = Kernel(baoab, init=lambda x, noise: (x, 0 * x))
    >>> target = Gaussian([1.0, 0.0], [1.0, 4.0])
    >>> stationary_law(kernel, target).variances.round(12)
    array([1., 4.])
    >>> kernel.stationary(target).component(1).variances.round(6)  # 1 - h^2/(4 lam)
    array([0.9375  , 0.984375])
    """

    step: Callable[..., Any]
    init: Callable[..., Any] | None = None
    predicts: str = "score"
    path: Path = OU()  # noqa: RUF009
    level: float | None = None
    position: int = 0
    single: bool = False
    like: Any = "numpy"
    shape: tuple[int, ...] = (-1,)
    coordinates: bool | None = None
    draws: int | None = None
    name: str = ""
    hint: str = ""

    def __post_init__(self) -> None:
        for name, value in (("step", self.step), ("init", self.init)):
            if not callable(value) and not (name == "init" and value is None):
                raise ValueError(f"{name}: expected a function, got {type(value).__name__}")
        if self.predicts not in _GRADIENTS:
            raise ValueError(f"predicts: expected 'score' or 'grad', got {self.predicts!r}")
        if not isinstance(self.path, Path):
            raise ValueError(f"path: expected a Path such as rmverify.paths.VE(), got {self.path!r}")
        if self.level is not None:
            self.path.at(self.level)
        check_shape(self.shape)
        check_draws(self.draws)

    def __repr__(self) -> str:
        return f"Kernel({self.name or getattr(self.step, '__name__', type(self.step).__name__)})"

    def read(self, target: Target, *, dtype: str | None = None, sizes: tuple[Any, ...] = ()) -> tuple[Affine, Affine]:
        """The affine maps of `init` (from x) and of one step (from all components); `sizes` is what a step is handed
        beside its noise.

        Raises
        ------
        samplers.Unreadable
            Where the code is not affine (`samplers.NotAffine`) or breaks a rule.
        """
        truth = truth_of(target)
        example(self.like, dtype)
        if not sizes and _required(self.step) == 4:
            raise Unreadable(
                "step: expected to be run with what it is handed beside its noise, such as its size; pass a list of "
                "these as steps, or one of them as the size of a stationary law"
            )
        try:
            found: tuple[Affine, Affine] = attempts(
                truth, self.coordinates, self.shape, self.single,
                lambda frame: self._read(target, truth, frame, dtype, sizes),
            )  # fmt: skip
        except Unreadable as error:
            error.args = (str(error).replace("run:", "step:", 1),)
            raise
        return found

    def _read(
        self, target: Target, truth: Gaussian, frame: Frame, dtype: str | None, sizes: tuple[Any, ...]
    ) -> tuple[Affine, Affine]:
        like = example(self.like, dtype)
        spot = (truth.means, np.sqrt(truth.variances))
        if frame.full:
            spot = (truth.mean, np.sqrt(np.diagonal(truth.covariance)))
        model = frame.spread(exact_model(target, self.path, "score"), truth)
        sign = 1 if self.predicts == "score" else -1
        asked = 0 if self.init is None else _required(self.init) - 2  # the gradient too, or not

        def gradient_of(answer: Any) -> Any:
            return lambda x: sign * answer(x, self.level)

        def start(gradient: Any, x: Any, noise: Any) -> Any:
            return x if self.init is None else self.init(x, noise, *[gradient][: max(0, asked)])

        def first(answer: Any, inputs: list[Any], noise: Any) -> list[Any]:
            return self._components(start(gradient_of(answer), inputs[0], noise), inputs[0])

        def run(answer: Any, inputs: list[Any], noise: Any, times: int = 1) -> list[Any]:
            gradient = gradient_of(answer)
            shape = tuple(inputs[0].shape)
            state = start(gradient, inputs[self.position], lambda *_: 0 * inputs[0])
            for _ in range(times):
                before = replaced(state, iter(inputs), lambda z: _component(z, shape))
                state = self.step(before, gradient, noise, *sizes)
                found = self._components(state, inputs[0], len(inputs))
                _refuse_counters(before, state)
                if noise.by_key:
                    _refuse_old_keys(before, state)
            more[:] = [len(leaves(state)) > len(found) or any(z is not None for z in others(state))]
            return found

        more: list[bool] = []

        with quietly(like if not isinstance(self.like, str) else self.like):
            begun = read(first, frame, model, like, draws=None, hint=self.hint, spot=spot)
            if not -len(begun.shift) <= self.position < len(begun.shift):
                raise Unreadable(f"position: expected one of {len(begun.shift)} components, got {self.position}")
            moved = read(run, frame, model, like, inputs=len(begun.shift), draws=self.draws, hint=self.hint, spot=spot)
            if more[0]:
                twice = partial(run, times=2)
                if not _same(
                    moved, read(twice, frame, model, like, inputs=len(begun.shift), hint=self.hint, spot=spot)
                ):
                    raise Unreadable(
                        "step: it depends on something in its state that is no array of the shape of x and that it "
                        "changes; expected all that a step hands on in such arrays, or as an argument (steps=[...])"
                    )
        if moved.dtype != named(like):
            if dtype is None and moved.dtype == "float32":
                return self._read(target, truth, frame, "float32", sizes)
            raise Unreadable(f"step: expected {named(like)}, the dtype of x, got {moved.dtype}")
        return begun, moved

    def _components(self, state: Any, x: Any, count: int | None = None) -> list[Any]:
        found = [z for z in leaves(state) if _component(z, tuple(x.shape))]
        if not found or (count is not None and len(found) != count):
            due = f"{'one array' if count == 1 else f'{count} arrays' if count else 'an array'} of the shape of x"
            shapes = ", ".join(f"{named(z)} {tuple(z.shape)}" for z in leaves(state)) or f"a {type(state).__name__}"
            raise Misplaced(f"step: expected a state with {due}, {tuple(x.shape)}, got {shapes}")
        return found

    def law(self, target: Target, steps: Any, *, start: Any = "normal") -> Joint:
        """The law of the state after so many steps.

        Parameters
        ----------
        target : Gaussian, EstimatedScore of one, or Guided
        steps : int, or sequence
            How many; or what each step is handed beside its noise, such as its size h.
        start : {"normal", "exact"} or Gaussian
            Of the position: N(0, I), the target, or any Gaussian in its modes. `init` makes the state of it.
        """
        truth = truth_of(target)
        runs: list[tuple[Any, int]]
        runs = [((), positive_integer("steps", steps))] if np.ndim(steps) == 0 else _runs([(h,) for h in steps])
        if not runs:
            raise ValueError("steps: expected at least one step, got none")
        chains: list[_Chain] = []
        for size, count in runs:
            begun, moved = self.read(target, sizes=size)
            if chains and chains[-1].affine.frame.full != moved.frame.full:
                raise Unreadable("step: with some sizes it mixes coordinates, with others not: pass coordinates=True")
            chains.append(_Chain.of(moved, count))
        joint = _started(begun, truth, self._initial(start, truth, begun.frame), self.position)
        for chain in chains:
            joint = joint.moved(chain)
        return joint

    def stationary(self, target: Target, size: Any = None) -> Joint:
        """The law of the state that steps (handed `size`, if any) leave invariant.

        Raises
        ------
        ValueError
            Where there is none: an eigenvalue of the step is of size 1 or more.
        """
        truth = truth_of(target)
        _, moved = self.read(target, sizes=() if size is None else (size,))
        return _invariant(moved, truth, self.position)

    def _initial(self, start: Any, truth: Gaussian, frame: Frame) -> tuple[Array, Array]:
        if isinstance(start, str) and start == "exact":
            mean, variance = marginal(truth, self.path, self.level)
            start = truth.with_modes(variance, mean)
        elif isinstance(start, str) and start == "normal":
            start = truth.with_modes(1.0, 0.0)
        return frame.start(start, truth)


def _refuse_counters(before: Any, after: Any) -> None:
    """A count may matter in a step that was not looked at: it is refused wherever it changes."""
    plain: Any = (bool, int, str)
    pairs = list(zip(others(before), others(after), strict=False))
    pairs += [(a, b) for a, b in zip(leaves(before), leaves(after), strict=False) if _counts(a) and _counts(b)]
    for old, new in pairs:
        if isinstance(old, plain) and isinstance(new, plain):
            changed = old != new
        else:
            changed = is_array(old) and is_array(new) and not np.array_equal(host(old), host(new))
        if changed:
            raise Unreadable(
                f"step: its state counts ({old} became {new}); expected steps that are all alike, or what changes "
                "from step to step as an argument (steps=[...])"
            )


def _counts(z: Any) -> bool:
    return named(z).startswith(("int", "bool"))


def _component(z: Any, shape: tuple[int, ...]) -> bool:
    return tuple(z.shape) == shape and "float" in named(z)


def _refuse_old_keys(before: Any, after: Any) -> None:
    """A key that is drawn with and handed on as it came draws the same numbers in every step."""
    keys = [[repr(z) for z in leaves(state) if named(z).startswith(("uint32", "key"))] for state in (before, after)]
    if keys[0] and keys[0] == keys[1]:
        raise Unreadable(
            "step: it draws with a key and hands the same key on, so that every step draws the same numbers; expected "
            "it to split the key"
        )


def _same(one: Affine, other: Affine) -> bool:
    """Whether two readings are one map, to rounding."""
    most = STRAIGHT * (other.steps + 8) * precision_of(one.dtype)
    pairs = [(one.shift, other.shift), (one.slopes, other.slopes), (one.noise, other.noise)]
    return all(bool((np.abs(a - b) <= most * max(np.abs(a).max(), np.abs(b).max())).all()) for a, b in pairs)


def _equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    plain = (int, float, str)
    return all(
        a is b or (isinstance(a, plain) and isinstance(b, plain) and a == b) for a, b in zip(one, other, strict=True)
    )


def _runs(sizes: list[Any]) -> list[tuple[Any, int]]:
    """Equal sizes in a row, counted."""
    found: list[list[Any]] = []
    for size in sizes:
        if found and _equal(found[-1][0], size):
            found[-1][1] += 1
        else:
            found.append([size, 1])
    return [(size, count) for size, count in found]


def _required(function: Callable[..., Any]) -> int:
    """How many arguments it must be given by position."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    try:
        given = inspect.signature(function).parameters.values()
    except ValueError:  # a function that does not tell
        return 0
    return sum(p.kind in kinds and p.default is p.empty for p in given)


@dataclass(frozen=True)
class _Chain:
    """Equal steps: s' = A s + b + N(0, Q), each of (cells, m, m) or (cells, m); `grown` is the sum of A^k A^k^T."""

    affine: Affine
    A: Array
    b: Array
    Q: Array
    grown: Array
    steps: int

    @classmethod
    def of(cls, affine: Affine, steps: int) -> _Chain:
        A, b, Q = _blocks(affine)
        one = cls(affine, A, b, Q, np.broadcast_to(np.eye(A.shape[-1]), A.shape), 1)
        result: _Chain | None = None
        with np.errstate(over="ignore", invalid="ignore"):
            while True:
                if steps & 1:
                    result = one if result is None else result.then(one)
                steps >>= 1
                if not steps:
                    assert result is not None
                    return result
                one = one.then(one)

    def then(self, other: _Chain) -> _Chain:
        A, B = self.A, other.A
        return _Chain(
            self.affine, B @ A, (B @ self.b[..., None])[..., 0] + other.b, _through(B, self.Q) + other.Q,
            _through(B, self.grown) + other.grown, self.steps + other.steps,
        )  # fmt: skip


def _through(A: Array, S: Array) -> Array:
    return np.asarray(A @ S @ np.swapaxes(A, -1, -2))


def _blocks(affine: Affine) -> tuple[Array, Array, Array]:
    """A, b and Q with one cell per mode, or one cell of all coordinates."""
    if not affine.frame.full:
        return np.moveaxis(affine.slopes, -1, 0), affine.shift.T.copy(), np.moveaxis(affine.noise, -1, 0)

    def flat(z: Array) -> Array:
        rows, columns, d = z.shape[0], z.shape[1], z.shape[2]
        return z.transpose(0, 2, 1, 3).reshape(1, rows * d, columns * d)

    return flat(affine.slopes), affine.shift.reshape(1, -1), flat(affine.noise)


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint Gaussian law of all components of a state.

    Attributes
    ----------
    components : int
    mean : ndarray, shape (K, m)
        Of m components, mode by mode; (1, m d) in coordinates.
    covariance : ndarray, shape (K, m, m)
        Or (1, m d, m d).
    rounding : ndarray
        Relative error of each variance, like `mean`.
    """

    truth: Gaussian
    frame: Frame
    components: int
    mean: Array
    covariance: Array
    lost: Array
    slip: float
    position: int = 0

    def __repr__(self) -> str:
        return f"Joint({self.components} components, dim={self.truth.dim})"

    @property
    def x(self) -> Gaussian:
        """The law of the position."""
        return self.component(self.position)

    def component(self, n: int) -> Gaussian:
        """The law of one component, a Gaussian in the target's modes, or in coordinates.

        Raises
        ------
        IndexError
            Where the state has no such component.
        """
        if not -self.components <= n < self.components:
            raise IndexError(f"n: expected one of {self.components} components, got {n}")
        n %= self.components
        if self.frame.full:
            d = self.frame.modes
            part = slice(n * d, (n + 1) * d)
            law = Gaussian(self.mean[0, part], self.covariance[0, part, part])
            lost = float(np.abs(self.lost[0, part, part]).max())
            with np.errstate(divide="ignore", invalid="ignore"):
                rounding = np.where(law.variances > 0, lost / law.variances + self.slip, 0.0)
            return Gaussian._raw(law.variances, law.means, law.multiplicities, law.basis, rounding)
        mean, variance = self.mean[:, n], self.covariance[:, n, n]
        with np.errstate(divide="ignore", invalid="ignore"):
            rounding = np.where(variance > 0, self.lost[:, n, n] / variance + self.slip, 0.0)
        return self.truth.with_modes(variance, mean, rounding)

    def moved(self, chain: _Chain) -> Joint:
        """The law after the steps of a chain."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean = (chain.A @ self.mean[..., None])[..., 0] + chain.b
            covariance = _through(chain.A, self.covariance) + chain.Q
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise NotFinite("step: the law overflows; the step is too long")
        size = np.maximum(_norm(covariance, mean), _norm(self.covariance, self.mean))
        step = roughness(chain.affine)
        lost: Array = np.asarray(_through(chain.A, self.lost) + 4 * step * size * chain.grown, dtype=float)
        return Joint(
            self.truth, self.frame, self.components, mean, (covariance + np.swapaxes(covariance, -1, -2)) / 2, lost,
            self.slip + step, self.position,
        )  # fmt: skip


def _norm(covariance: Any, mean: Any) -> Array:
    """How large the numbers of a law are, squared: one for each cell."""
    return np.asarray(np.abs(covariance).max(axis=(1, 2)) + (mean**2).max(axis=1))[:, None, None]


def _started(begun: Affine, truth: Gaussian, start: tuple[Array, Array], position: int) -> Joint:
    A, b, Q = _blocks(begun)
    center, spread = start
    if begun.frame.full:
        center, spread = center[None], spread[None]
    else:
        center, spread = center[:, None], spread[:, None, None]
    mean, covariance = (A @ center[..., None])[..., 0] + b, _through(A, spread) + Q
    zero = np.zeros_like(covariance)
    return Joint(truth, begun.frame, len(begun.shift), mean, covariance, zero, 0.0, position)


def _invariant(moved: Affine, truth: Gaussian, position: int) -> Joint:
    A, b, Q = _blocks(moved)
    radius = np.abs(np.linalg.eigvals(A)).max(axis=-1)
    chain = _Chain(moved, A, b, Q, np.broadcast_to(np.eye(A.shape[-1]), A.shape), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_DOUBLINGS):
            if not ((radius < 1).all() and np.abs(chain.A).max() > 1e-20):
                break
            chain = chain.then(chain)
    known = (roughness(moved) * np.abs(chain.grown) < 1).all()  # an eigenvalue of size 1 may come out as 1 - 1e-16
    if not ((radius < 1).all() and known):
        raise ValueError(
            "step: it leaves no law invariant: its largest eigenvalues are of size "
            f"{brief(np.atleast_1d(radius))}, expected less than 1, and by more than {moved.dtype} rounds; is the step "
            "too long, or without friction, or is its gradient that of the potential (predicts='grad')?"
        )
    mean: Array = np.asarray(np.linalg.solve(np.eye(A.shape[-1]) - A, b[..., None])[..., 0], dtype=float)
    step = roughness(moved)
    lost = 4 * step * _norm(chain.Q, mean) * chain.grown
    return Joint(truth, moved.frame, len(moved.shift), mean, chain.Q, lost, step, position)
