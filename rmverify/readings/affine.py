r"""The affine reading: a scheme run on affine forms, which yields what it does to a Gaussian law.

The state is an affine form in named independent sources: 1, the incoming x (and v), and every normal draw. With a
score that is affine in x the outgoing state is one too, and its coefficients ARE the step:

    state' = A state + b + noise,   noise ~ N(0, C).

Nothing is derived by hand for any scheme. Coefficients are NumPy arrays of axes (steps, nodes, modes): many steps
(t and h vary along the first axis), many midpoints (paths or quadrature nodes along the second) and all distinct
modes at once. Object arrays carry balls through the same code. Covariances are kept as Gram entries and never
factorized.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rmverify.elementary import joined, part_of, prefix, total
from rmverify.schemes.contract import Draw, Scheme, check_covariance, shipped, velocity_variance
from rmverify.targets.gaussian import Modes

__all__ = [
    "AffineForm", "Given", "NotAffine", "Transition", "chain", "compose", "drawn", "each", "forms", "position", "read",
    "weighed",
]  # fmt: skip

ONE, X, V = "1", "x", "v"
_NOT_AFFINE = (
    "the step is not affine in its state ({}), so its law cannot be computed exactly; draw from it with rmverify.sample"
)
_AXES = 3  # steps, nodes, modes; strata or cells come in front


class NotAffine(TypeError):
    """A step that does to its state what no affine function does: a product, a comparison, a bend."""


class AffineForm:
    """A sum of coefficients times named sources. Numbers act on it; it does not act on itself."""

    __array_ufunc__ = None
    __slots__ = ("parts",)

    def __init__(self, parts: dict[Any, Any]) -> None:
        self.parts = parts

    def like(self, parts: dict[Any, Any]) -> AffineForm:
        """A form of the same reading with these parts."""
        return AffineForm(parts)

    def map(self, change: Any) -> AffineForm:
        return self.like({source: change(part) for source, part in self.parts.items()})

    def __add__(self, other: Any) -> AffineForm:
        parts = dict(self.parts)
        for source, part in (other.parts if isinstance(other, AffineForm) else {ONE: other}).items():
            parts[source] = parts[source] + part if source in parts else part
        return self.like(parts)

    __radd__ = __add__

    def __neg__(self) -> AffineForm:
        return self.map(lambda part: -part)

    def __sub__(self, other: Any) -> AffineForm:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> AffineForm:
        return (-self).__add__(other)

    def __mul__(self, factor: Any) -> AffineForm:
        if isinstance(factor, AffineForm):
            raise NotAffine(_NOT_AFFINE.format("a product of two states"))
        return self.map(lambda part: factor * part)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> AffineForm:
        if isinstance(divisor, AffineForm):
            raise NotAffine(_NOT_AFFINE.format("it divides by the state"))
        return self.map(lambda part: part / divisor)

    def _bent(self, *_: Any) -> Any:
        raise NotAffine(_NOT_AFFINE.format("a power, an absolute value or a branch on its value"))

    def __float__(self) -> float:
        raise TypeError(_NOT_AFFINE.format("a cast to a float"))

    __lt__ = __le__ = __gt__ = __ge__ = __abs__ = __pow__ = __bool__ = __rtruediv__ = _bent
    __sympy__ = False  # a symbol that meets a form leaves the product to it, and does not ask for its float

    def spread(self) -> AffineForm:
        """Every coefficient with the leading axis of strata or cells that any of them has."""
        sizes = [np.shape(part)[0] for part in self.parts.values() if np.ndim(part) > _AXES]
        if not sizes or (len(sizes) == len(self.parts) and len(set(sizes)) == 1):
            return self
        return self.map(
            lambda part: np.broadcast_to(part, np.broadcast_shapes(np.shape(part), (sizes[0],) + (1,) * _AXES))
        )


total.register(AffineForm, lambda z: z.spread().map(total))
prefix.register(AffineForm, lambda z: z.spread().map(prefix))
part_of.register(AffineForm, lambda z, count, k: z.spread().map(lambda part: part_of(part, count, k)))


@joined.register(AffineForm)
def _(*forms: AffineForm) -> AffineForm:
    """Each source's coefficients one after the other, 0 in the forms without it."""
    forms = tuple(form.spread() for form in forms)
    sizes = [max(np.shape(part)[0] for part in form.parts.values()) for form in forms]
    result = {}
    for source in dict.fromkeys(source for form in forms for source in form.parts):
        parts = [form.parts.get(source, 0) for form in forms]
        shapes = {np.shape(part)[1:] for part in parts}
        if len(shapes) > 1 or () in shapes or [np.shape(part)[0] for part in parts] != sizes:
            shape = np.broadcast_shapes(*shapes, (1,) * _AXES)
            parts = [np.broadcast_to(part, (size, *shape)) for part, size in zip(parts, sizes, strict=True)]
        result[source] = np.concatenate(parts)
    return forms[0].like(result)


class Given:
    """Hands out given midpoints, choices and durations (A, ...), row by row.

    `weight` is the probability of the choices that were given: the product over them of p, or of 1 - p.
    """

    def __init__(self, alphas: Any) -> None:
        self._alphas, self._used = alphas, 0
        self.weight: Any = 1

    def _take(self, count: int) -> Any:
        if self._alphas is None or len(self._alphas) < self._used + count:
            raise ValueError("alphas: the scheme draws a midpoint in this step, and none was given for it")
        rows = self._alphas[self._used : self._used + count]
        self._used += count
        return rows

    def _own(self, count: int) -> Any:
        """The rows as the step's own: it may change them in place."""
        rows = self._take(count)
        return rows.copy() if isinstance(rows, np.ndarray) else rows

    def uniform(self) -> Any:
        return self._own(1)[0]

    def bernoulli(self, p: Any) -> Any:
        chosen = self._own(1)[0]
        values = np.asarray(p)
        balls = values.dtype == object  # which may be wide: refused where they are certainly outside
        if np.any((values < 0) | (values > 1)) if balls else not np.all((values >= 0) & (values <= 1)):
            raise ValueError(f"p: expected a probability in [0, 1], got {p!r}")
        self.weight = self.weight * (chosen * p + (1 - chosen) * (1 - p))
        return chosen

    exponential = uniform


class AffineDraw(Given):
    """Hands out what is given, and fresh named sources for every normal draw."""

    def __init__(self, alphas: Any, number: Any) -> None:
        super().__init__(alphas)
        self._number = number
        self.draws: list[tuple[Any, int | None]] = []

    def strata(self, count: int) -> Any:
        return self.cells(count) / count, self._own(count)

    def cells(self, count: int) -> Any:
        return self._number(np.arange(count, dtype=float)).reshape(-1, *(1,) * _AXES)

    def normal(self, covariance: Any, count: int | None = None) -> Any:
        which = len(self.draws)
        self.draws.append((covariance, count))
        if count is None:
            return [AffineForm({(which, i, 0): 1}) for i in range(len(covariance))]
        axes = (1,) * _AXES
        units = np.eye(count)
        return [
            AffineForm({(which, i, copy): units[copy].reshape(count, *axes) for copy in range(count)})
            for i in range(len(covariance))
        ]


class Transition(NamedTuple):
    """state' = linear @ state + shift + N(0, noise): nested tuples over the components of the state (x, or x and v).

    Each entry is an array over (steps, nodes, modes), or 0.
    """

    linear: tuple[tuple[Any, ...], ...]
    shift: tuple[Any, ...]
    noise: tuple[tuple[Any, ...], ...]

    @property
    def scalar(self) -> tuple[Any, Any, Any]:
        """a, b and c of x' = a x + b + N(0, c)."""
        return self.linear[0][0], self.shift[0], self.noise[0][0]

    @property
    def entries(self) -> list[Any]:
        """All of them, row by row."""
        return [*(e for row in self.linear for e in row), *self.shift, *(e for row in self.noise for e in row)]

    def __repr__(self) -> str:
        shapes = {np.shape(entry) for entry in (*sum(self.linear, ()), *self.shift)}
        return f"Transition(components={len(self.shift)}, shape={np.broadcast_shapes(*shapes)})"


def read(scheme: Scheme, modes: Any, t: Any, h: Any, alphas: Any = None, number: Any = np.asarray) -> Transition:
    """Run `scheme` on affine forms and read off what it does: once for all steps, as they are arrays.

    A step that is not the package's own may look at t and h, or take them to `math.exp`: it is run for one step after
    the other, t and h plain numbers as in `rmverify.sample`.

    Parameters
    ----------
    scheme : scheme
    modes : object with score(t, x) on one column per mode
    t, h : array, shape (steps, 1, 1)
    alphas : array, shape (A, steps, nodes, 1), optional
        The midpoints, choices and durations of every step, the A of one step along the first axis.
    number : callable
        Lifts an array of exact floats to the number type in use.

    Raises
    ------
    TypeError
        Where the scheme or the score is not affine in the state.
    """
    return weighed(scheme, modes, t, h, alphas, number)[0]


def weighed(
    scheme: Scheme, modes: Any, t: Any, h: Any, alphas: Any = None, number: Any = np.asarray
) -> tuple[Transition, Any]:
    """`read`, and the probability of the choices that were given: 1, or an array over (steps, nodes, 1)."""
    if shipped(scheme) or not isinstance(modes, Modes):  # searches, jets
        return _weighed(scheme, modes, t, h, alphas, number)
    each = [_weighed(scheme, modes, *step, number, strange=True) for step in _one_by_one(t, h, alphas)]
    return each[0] if len(each) == 1 else (Transition(*_stacked([z[0] for z in each])), _stacked([z[1] for z in each]))


def _one_by_one(t: Any, h: Any, alphas: Any) -> Iterator[tuple[Any, Any, Any]]:
    """t and h of every step, numbers or balls, and its midpoints."""
    for n, (level, length) in enumerate(zip(t.ravel().tolist(), h.ravel().tolist(), strict=True)):
        yield level, length, None if alphas is None else alphas[:, n : n + 1]


def _stacked(each: Any) -> Any:
    """Entries joined along the first axis, that of the steps."""
    if isinstance(each[0], tuple):
        return tuple(_stacked(list(parts)) for parts in zip(*each, strict=True))
    if all(isinstance(part, int) for part in each) and len(set(each)) == 1:
        return each[0]
    shapes = [np.shape(part) for part in each]
    others = np.broadcast_shapes(*(shape[-2:] for shape in shapes), (1, 1))
    steps = [shape[0] if len(shape) > 2 else 1 for shape in shapes]
    return np.concatenate([np.broadcast_to(part, (n, *others)) for n, part in zip(steps, each, strict=True)])


def _weighed(
    scheme: Scheme, modes: Any, t: Any, h: Any, alphas: Any, number: Any, strange: bool = False
) -> tuple[Transition, Any]:
    draw = AffineDraw(alphas, number)
    outs = forms(scheme, modes, t, h, draw)
    for covariance, _ in draw.draws if strange else ():
        check_covariance(covariance)
    inputs = (X, V) if len(outs) > 1 else (X,)
    step = Transition(
        tuple(tuple(form.parts.get(source, 0) for source in inputs) for form in outs),
        tuple(form.parts.get(ONE, 0) for form in outs),
        tuple(tuple(gram(a, b, draw.draws) for b in outs) for a in outs),
    )
    return step, draw.weight


def forms(scheme: Scheme, modes: Any, t: Any, h: Any, draw: AffineDraw) -> tuple[AffineForm, ...]:
    """The outgoing state as affine forms in its sources: 1, the incoming x (and v), and the normal draws."""
    kinetic = velocity_variance(scheme) is not None
    x, v = AffineForm({X: 1}), AffineForm({V: 1})
    out = image(scheme, (x, v) if kinetic else x, t, h, modes, draw)
    outs = tuple(out) if kinetic else (out,)
    for form in outs:
        if not isinstance(form, AffineForm):
            raise TypeError(
                f"scheme: it returned {type(form).__name__} instead of a state that is affine in x; draw from it with "
                "rmverify.sample"
            )
    return outs


class _Drawing(AffineDraw):
    """Makes choices and durations of the uniforms that it was given, in their place."""

    def bernoulli(self, p: Any) -> Any:
        row = self._take(1)[0]
        row[...] = row < p
        return row

    def exponential(self) -> Any:
        row = self._take(1)[0]
        row[...] = -np.log1p(-row)
        return row


def drawn(scheme: Scheme, modes: Any, t: Any, h: Any, uniforms: Any) -> Any:
    """Numbers (A, steps, paths, 1) as the scheme draws them, of uniform ones in [0, 1) or their strata."""
    result = np.array(np.broadcast_to(uniforms, (len(uniforms), *np.broadcast_shapes(uniforms.shape[1:], np.shape(t)))))
    for level, length, rows in _one_by_one(t, h, result):
        forms(scheme, modes, level, length, _Drawing(rows, np.asarray))
    return result


def image(scheme: Scheme, state: Any, t: Any, h: Any, modes: Any, draw: Draw) -> Any:
    """The image of affine forms; TypeError where it is not affine in them."""
    try:
        return scheme(state, t, h, modes.score, draw)
    except TypeError as error:
        if "support ufuncs" not in str(error):
            raise
        raise TypeError(_NOT_AFFINE.format(f"a function of it: {error}")) from error


def gram(a: AffineForm, b: AffineForm, draws: Any) -> Any:
    """Cov(a, b) over the normal draws."""
    result: Any = 0
    for which, (covariance, count) in enumerate(draws):
        for copy in range(count or 1):
            for i, row in enumerate(covariance):
                for j, entry in enumerate(row):
                    left, right = a.parts.get((which, i, copy), 0), b.parts.get((which, j, copy), 0)
                    if not (_absent(left) or _absent(right)):
                        own = entry[copy] if np.ndim(entry) > _AXES else entry
                        result = result + left * own * right
    return result


def _absent(part: Any) -> bool:
    return isinstance(part, int) and part == 0


def compose(second: Transition, first: Transition) -> Transition:
    """First `first`, then `second`."""
    size = range(len(first.shift))
    L, M = second.linear, first.linear
    linear = tuple(tuple(_dot(L[i], [M[k][j] for k in size]) for j in size) for i in size)
    shift = tuple(_dot(L[i], first.shift) + second.shift[i] for i in size)
    half = [[_dot(L[i], [first.noise[k][j] for k in size]) for j in size] for i in size]
    noise = tuple(tuple(_dot(half[i], L[j]) + second.noise[i][j] for j in size) for i in size)
    return Transition(linear, shift, noise)


def _dot(left: Any, right: Any) -> Any:
    result: Any = 0
    for a, b in zip(left, right, strict=True):
        if not (_absent(a) or _absent(b)):
            result = result + a * b
    return result


def each(transition: Transition, change: Any) -> Transition:
    """`change` applied to every entry that is not absent."""

    def apply(part: Any) -> Any:
        return part if _absent(part) else change(part)

    return Transition(
        tuple(tuple(map(apply, row)) for row in transition.linear),
        tuple(map(apply, transition.shift)),
        tuple(tuple(map(apply, row)) for row in transition.noise),
    )


def chain(transition: Transition, steps: int) -> Transition:
    """All steps along the first axis composed into one, in a balanced tree (entries keep axes nodes, modes)."""
    current = each(transition, lambda part: np.broadcast_to(part, np.broadcast_shapes(np.shape(part), (steps, 1, 1))))
    while steps > 1:
        pairs = steps // 2
        joined = compose(
            each(current, lambda part, p=pairs: part[1 : 2 * p : 2]),
            each(current, lambda part, p=pairs: part[0 : 2 * p : 2]),
        )
        if steps % 2:
            joined = Transition(*_stacked([joined, each(current, lambda part: part[-1:])]))
        current, steps = joined, pairs + steps % 2
    return each(current, lambda part: part[0])


def position(transition: Transition, mass: Any | None) -> Transition:
    """What happens to x alone, the velocity drawn fresh from N(0, mass) before and dropped after."""
    if mass is None:
        return transition
    (xx, xv), _ = transition.linear
    extra = 0 if _absent(xv) else xv * xv * mass
    return Transition(((xx,),), transition.shift[:1], ((transition.noise[0][0] + extra,),))
