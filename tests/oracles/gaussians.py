r"""Hard pairs of Gaussians, and their divergences in ball arithmetic by the formulas of the textbooks.

    KL(p||q) = 1/2 [tr(B^{-1} A) - d + m^T B^{-1} m + ln det B - ln det A],      m the difference of the means,
    ln int p^s q^{1-s} = 1/2 [s ln det B + (1-s) ln det A - ln det C - s(1-s) m^T C^{-1} m],  C = s B + (1-s) A,
    W_2^2 = |m|^2 + tr A + tr B - 2 tr (A B)^{1/2}.

A law is given by floats, which count as exact, and by the noise level of its marginal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import acb, arb, arb_mat, ctx

BITS = 500
ORDERS = (1e-9, 0.5, 1 - 1e-10, 1 + 1e-10, 3.0)


@dataclass(frozen=True)
class Law:
    """N(mean, covariance), a vector of variances or a matrix; each coordinate `count` times; after the time `level`."""

    mean: np.ndarray
    covariance: np.ndarray
    count: np.ndarray | None = None
    level: float = 0.0

    def build(self, gaussian: Any) -> Any:
        """The law as the class `gaussian` of the package has it."""
        if self.count is None:
            law = gaussian(self.mean, self.covariance)
        else:
            law = gaussian.from_spectrum(self.covariance, self.count, self.mean)
        return law.at(self.level) if self.level else law

    def moments(self) -> tuple[list[arb], Any]:
        """The mean and the variances, or the covariance, at the level."""
        fall = (-2 * arb(self.level)).exp()
        rise = -(-2 * arb(self.level)).expm1()
        mean = [fall.sqrt() * arb(x) for x in self.mean.tolist()]
        if self.covariance.ndim == 1:
            return mean, [fall * arb(v) + rise for v in self.covariance.tolist()]
        rows = [[fall * arb(v) + rise * (i == j) for j, v in enumerate(row)]
                for i, row in enumerate(self.covariance.tolist())]  # fmt: skip
        return mean, arb_mat(rows)


class Reference:
    """The divergences of one pair. `None` is an infinite one."""

    def __init__(self, p: Law, q: Law) -> None:
        self.count = [1] * p.mean.size if p.count is None else [int(n) for n in p.count]
        (mean, self.A), (other, self.B) = p.moments(), q.moments()
        self.m = [x - y for x, y in zip(mean, other, strict=True)]
        self.dense = isinstance(self.A, arb_mat) or isinstance(self.B, arb_mat)
        if self.dense:
            self.A, self.B = map(_matrix, (self.A, self.B))
            self.column = arb_mat([[x] for x in self.m])
        self.same = (
            all(x.is_zero() for x in self.m) and p.level == q.level and np.array_equal(p.covariance, q.covariance)
        )

    def kl(self) -> arb:
        if self.same:
            return arb(0)
        if self.dense:
            form = self.column.transpose() * self.B.solve(self.column)
            logs = self.B.det().log() - self.A.det().log()
            return (self.B.solve(self.A).trace() - len(self.m) + form[0, 0] + logs) / 2
        terms = zip(self.A, self.B, self.m, self.count, strict=True)
        return sum((n * (a / b - 1 + (b / a).log() + m * m / b) for a, b, m, n in terms), arb(0)) / 2

    def log_transform(self, s: float) -> arb | None:
        if self.same:
            return arb(0)
        s, t = arb(s), 1 - arb(s)
        if self.dense:
            C = self.B * s + self.A * t
            if not all(_minor(C, k) > 0 for k in range(1, len(self.m) + 1)):
                return None
            form = (self.column.transpose() * C.solve(self.column))[0, 0]
            return (s * self.B.det().log() + t * self.A.det().log() - C.det().log() - s * t * form) / 2
        total = arb(0)
        for a, b, m, n in zip(self.A, self.B, self.m, self.count, strict=True):
            c = s * b + t * a
            if not c > 0:
                return None
            total += n * (s * b.log() + t * a.log() - c.log() - s * t * m * m / c)
        return total / 2

    def renyi(self, order: float) -> arb | None:
        value = self.log_transform(order)
        return None if value is None else value / (arb(order) - 1)

    def chi2(self) -> arb | None:
        value = self.log_transform(2.0)
        return None if value is None else value.expm1()

    def hellinger(self) -> arb:
        value = self.log_transform(0.5)
        assert value is not None
        return (-value.expm1()).sqrt()

    def w2(self) -> arb:
        if not self.dense:
            terms = zip(self.A, self.B, self.m, self.count, strict=True)
            gaps = ((a - b) / (a.sqrt() + b.sqrt()) if a != b else arb(0) for a, b in zip(self.A, self.B, strict=True))
            return sum((n * (gap * gap + m * m) for gap, (_, _, m, n) in zip(gaps, terms, strict=True)), arb(0)).sqrt()
        if self.A - self.B == 0 * self.A:
            return sum((x * x for x in self.m), arb(0)).sqrt()
        product = self.A * self.B
        plane = len(self.m) == 2
        root = (product.trace() + 2 * product.det().sqrt()).sqrt() if plane else _trace_of_root(product)
        square = sum((x * x for x in self.m), arb(0)) + self.A.trace() + self.B.trace() - 2 * root
        return square.sqrt()

    def tv(self) -> arb | None:
        """On the line by the points where the densities agree, and for equal covariances; None elsewhere."""
        if self.dense:
            if self.A - self.B != 0 * self.A:
                return None
            return ((self.column.transpose() * self.A.solve(self.column))[0, 0] / 8).sqrt().erf()
        if len(self.m) > 1 or self.count != [1]:
            return None
        a, b, m = self.A[0], self.B[0], self.m[0]
        if a == b:
            return (abs(m) / (8 * a).sqrt()).erf()
        with ctx.workprec(6 * BITS):
            return self._crossings(a, b, m)

    @staticmethod
    def _crossings(a: arb, b: arb, m: arb) -> arb:
        # x^2/b - (x-m)^2/a = ln(a/b): (a-b) x^2 + 2 b m x - b m^2 - a b ln(a/b) = 0
        k, log = a - b, (a / b).log()
        root = (b * b * m * m + k * (b * m * m + a * b * log)).sqrt()
        ends = [(-b * m + root) / k, (-b * m - root) / k]
        parts = [((x - m) / (2 * a).sqrt()).erf() - (x / (2 * b).sqrt()).erf() for x in ends]
        return abs(parts[0] - parts[1]) / 2

    def modes(self) -> tuple[list[arb], list[arb], list[int]]:
        """Of a pair in d <= 2: the ratios r of (B - A) x = r A x, mu^2 = (x^T m)^2/(x^T A x), and the counts."""
        if not self.dense:
            ratios = [(b - a) / a for a, b in zip(self.A, self.B, strict=True)]
            return ratios, [m * m / a for a, m in zip(self.A, self.m, strict=True)], self.count
        M = self.A.solve(self.B - self.A)
        half, root = M.trace() / 2, ((M[0, 0] - M[1, 1]) * (M[0, 0] - M[1, 1]) / 4 + M[0, 1] * M[1, 0]).sqrt()
        ratios, shifts = [half + root, half - root], []
        for r in ratios:
            x = (M[0, 1], r - M[0, 0]) if abs(r - M[0, 0]).mid() > abs(r - M[1, 1]).mid() else (r - M[1, 1], M[1, 0])
            column = arb_mat([[x[0]], [x[1]]])
            along = (column.transpose() * self.column)[0, 0]
            shifts.append(along * along / (column.transpose() * self.A * column)[0, 0])
        return ratios, shifts, [1, 1]


def integrated_tv(p: Law, q: Law) -> arb:
    """1 - TV = (1/pi) int_0^inf Re BC(1/2 + iu)/(u^2 + 1/4) du in d <= 2, over octaves of u to where BC vanishes."""
    ratios, shifts, counts = Reference(p, q).modes()

    def transform(s: acb) -> acb:
        total = acb(0)
        for r, mu, n in zip(ratios, shifts, counts, strict=True):
            below = 1 + s * r
            total += n * (s * (1 + r).log() - below.log() - s * (1 - s) * mu / below) / 2
        return total.exp()

    def even(u: acb, _: bool) -> acb:
        return (transform(0.5 + acb(0, 1) * u) + transform(0.5 - acb(0, 1) * u)) / (u * u + 0.25)

    total, low, high = acb(0), acb(0), acb(1)
    for _ in range(80):
        total += acb.integral(even, low, high, rel_tol=arb(2) ** -160, abs_tol=arb(2) ** -160)
        if abs(transform(acb(0.5, high.real))) < 1e-50:
            break
        low, high = high, 2 * high
    return 1 - (total.real / 2 + arb(0, 1e-49)) / arb.pi()


def _trace_of_root(product: arb_mat) -> arb:
    """tr (AB)^{1/2} in d = 3: the largest root x of f = (x^2 - e_1)^2/4 - e_2 - 2 e_3^{1/2} x, e the symmetric
    functions of the eigenvalues of AB; by Newton from above, where f is convex, and a bound of what is left."""
    first, last = product.trace(), product.det().sqrt()
    second = (first**2 - (product * product).trace()) / 2

    def residual(x: arb) -> tuple[arb, arb]:
        return (x * x - first) ** 2 / 4 - second - 2 * last * x, x * (x * x - first) - 2 * last

    x = (3 * first).sqrt().mid()
    for _ in range(200):
        f, slope = residual(x)
        step = (f / slope).mid()
        x = (x - step).mid()
        if abs(step) < abs(x) * arb(2) ** (20 - BITS // 2):
            break
    f, slope = residual(x)
    return arb(x, (2 * abs(f / slope)).upper())


def _matrix(covariance: Any) -> arb_mat:
    if isinstance(covariance, arb_mat):
        return covariance
    return arb_mat([[v * (i == j) for j in range(len(covariance))] for i, v in enumerate(covariance)])


def _minor(matrix: arb_mat, size: int) -> arb:
    return arb_mat([[matrix[i, j] for j in range(size)] for i in range(size)]).det()


# --- hard pairs ---------------------------------------------------------------------------------------------


def _log_uniform(rng: np.random.Generator, low: float, high: float, size: Any = None) -> Any:
    return 10.0 ** rng.uniform(low, high, size)


def _dim(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 5))


def diagonal(rng: np.random.Generator) -> tuple[Law, Law]:
    """A few coordinates, moderately different."""
    d = _dim(rng)
    a, b = _log_uniform(rng, -2, 2, (2, d))
    return Law(rng.standard_normal(d) * np.sqrt(a) * _log_uniform(rng, -3, 1), a), Law(np.zeros(d), b)


def near(rng: np.random.Generator) -> tuple[Law, Law]:
    """Coordinates that differ by parts in 10^2 to 10^16, about a common mean of any size."""
    d = _dim(rng)
    a, level = _log_uniform(rng, -3, 3, d), rng.standard_normal(d) * _log_uniform(rng, -2, 6) * (rng.random() < 0.7)
    b = a * (1 + _log_uniform(rng, -16, -2) * rng.standard_normal(d))
    return Law(level + np.sqrt(a) * _log_uniform(rng, -16, -2) * rng.standard_normal(d), a), Law(level, b)


def scales(rng: np.random.Generator) -> tuple[Law, Law]:
    """Variances from 10^-320 to 10^300."""
    d = _dim(rng)
    a, b = _log_uniform(rng, -320, 300, (2, d)) if rng.random() < 0.5 else _log_uniform(rng, -30, 30, (2, d))
    m = np.sqrt(a if rng.random() < 0.5 else b) * rng.standard_normal(d) * (rng.random() < 0.7)
    return Law(m, a), Law(np.zeros(d), b)


def spectra(rng: np.random.Generator) -> tuple[Law, Law]:
    """Up to 10^12 coordinates of each variance."""
    d = _dim(rng)
    n = np.floor(_log_uniform(rng, 0, 12, d))
    a, size = _log_uniform(rng, -2, 2, d), _log_uniform(rng, -3, 0) / math.sqrt(n.max())
    b, m = a * (1 + size * rng.uniform(-1, 1, d)), np.sqrt(a) * size * rng.standard_normal(d)
    return Law(m, a, n), Law(np.zeros(d), b, n)


def edges(rng: np.random.Generator) -> tuple[Law, Law]:
    """On the line, b about a/2 or 2a/3, where chi^2 and the Renyi divergence of order 3 end."""
    a = _log_uniform(rng, -2, 2)
    b = a * (0.5 if rng.random() < 0.5 else 2 / 3) * (1 + _log_uniform(rng, -16, -1) * rng.standard_normal())
    return Law(np.array([rng.standard_normal() * math.sqrt(a)]), np.array([a])), Law(np.zeros(1), np.array([b]))


def matrix(rng: np.random.Generator, d: int, spread: float) -> np.ndarray:
    turn, _ = np.linalg.qr(rng.standard_normal((d, d)))
    found = (turn * _log_uniform(rng, -spread, 0, d)) @ turn.T * _log_uniform(rng, -2, 2)
    return (found + found.T) / 2


def _plane(rng: np.random.Generator) -> int:
    return int(rng.integers(2, 4))


def marginals(rng: np.random.Generator) -> tuple[Law, Law]:
    """A dense law and its own marginal, or two of its marginals, about a mean of any size."""
    d = _plane(rng)
    A, m = matrix(rng, d, rng.choice([0.5, 3.0, 8.0])), rng.standard_normal(d) * _log_uniform(rng, -8, 8)
    t, s = _log_uniform(rng, -12, 0.7, 2)
    return Law(m, A, level=s * (rng.random() < 0.3)), Law(m, A, level=t)


def shifted(rng: np.random.Generator) -> tuple[Law, Law]:
    """One dense covariance, two means that are close beside their size."""
    d = _plane(rng)
    A, m = matrix(rng, d, rng.choice([0.5, 3.0, 8.0])), rng.standard_normal(d) * _log_uniform(rng, -2, 8)
    return Law(m + rng.standard_normal(d) * _log_uniform(rng, -14, 1), A), Law(m, A)


def foreign(rng: np.random.Generator) -> tuple[Law, Law]:
    """Two dense covariances, or a dense and a diagonal one; sometimes close."""
    d = _plane(rng)
    A, B = (matrix(rng, d, rng.choice([0.5, 2.0, 4.0])) for _ in range(2))
    if rng.random() < 0.4:
        B = A + _log_uniform(rng, -12, -1) * (B - A)
    elif rng.random() < 0.3:
        B = np.diagonal(B).copy() if rng.random() < 0.5 else np.full(d, B[0, 0])
    m = rng.standard_normal(d) * _log_uniform(rng, -6, 3)
    first, second = Law(m, A), Law(np.zeros(d) if rng.random() < 0.5 else m / 3, B)
    return (first, second) if rng.random() < 0.5 else (second, first)


def far(rng: np.random.Generator) -> tuple[Law, Law]:
    """Two dense covariances, KL about 10^6."""
    d = _plane(rng)
    A, B = (matrix(rng, d, rng.choice([1.0, 5.0])) for _ in range(2))
    m = rng.standard_normal(d)
    return Law(m * 10 ** rng.uniform(2.5, 3.5) * math.sqrt(float(np.trace(B))), A), Law(np.zeros(d), B)


KINDS: dict[str, Callable[[np.random.Generator], tuple[Law, Law]]] = {
    kind.__name__: kind for kind in (diagonal, near, scales, spectra, edges, marginals, shifted, foreign, far)
}


def pairs(kind: str, count: int, seed: int) -> Iterator[tuple[Law, Law]]:
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    for _ in range(count):
        p, q = KINDS[kind](rng)
        yield (p, q) if rng.random() < 0.5 else (q, p)


def references(p: Law, q: Law) -> dict[str, Callable[[], arb | None]]:
    """By the names of the package's functions; `renyi` with its order behind."""
    of = Reference(p, q)
    orders = {f"renyi {order!r}": lambda order=order: of.renyi(order) for order in ORDERS}
    return {"tv": of.tv, "kl": of.kl, "chi2": of.chi2, "hellinger": of.hellinger, "w2": of.w2, **orders}


def ratio(value: Any, truth: arb | None) -> float:
    """|value - truth| over the stated error; of a bracket 0 where it holds, and infinity where not."""
    if truth is None:
        return 0.0 if value.upper == math.inf and (value == math.inf or value.kind == "upper") else math.inf
    if value.kind in ("upper", "lower"):
        slack = value.error if value.kind == "lower" else 0.0
        return (
            0.0 if truth >= arb(value.lower) - slack and (value.upper == math.inf or truth <= value.upper) else math.inf
        )
    if value == math.inf:
        return math.inf
    gap = float(abs(arb(float(value)) - truth).upper())
    ball = float(truth.rad())
    if not ball <= max(1e-3 * value.error, 1e-30 * abs(float(truth)), 5e-324):
        raise ArithmeticError(f"the reference is not tight: {truth}, for {value!r}")
    return 0.0 if gap <= ball else gap / value.error if value.error else math.inf


def precise(function: Callable[[], Any]) -> Any:
    with ctx.workprec(BITS):
        return function()
