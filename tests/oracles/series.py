"""Local errors as exact power series in h, by sympy's truncated polynomials over the rationals.

A point is a pair (coefficient of x - m(t), coefficient of m(t)), each a polynomial in h and the midpoints. At the
noise level t - r the marginal has the mean e^r m(t) and the variance v(t-r) = 1 + (v-1) e^{2r}, v = v(t).
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from functools import partial

from sympy import QQ
from sympy.polys.rings import ring

ORDER = 8  # everything is kept up to h^(ORDER-1)


class Series:
    """Polynomials in h and a_1..a_R, cut at h^ORDER, over `domain`."""

    def __init__(self, count, domain=QQ):
        names = ["h"] + [f"a{i}" for i in range(count)]
        self.ring, self.h, *self.a = ring(names, domain)

    def cut(self, p):
        return self.ring.from_dict({e: c for e, c in p.items() if e[0] < ORDER})

    def times(self, p, q):
        return self.cut(p * q)

    def power_sum(self, p, coefficients):
        """sum_n coefficients[n] p^n for p without constant term."""
        result, power = self.ring(0), self.ring(1)
        for c in coefficients:
            result += power * c
            power = self.times(power, p)
        return result

    def exp(self, p):
        return self.power_sum(p, [QQ(1, math.factorial(n)) for n in range(ORDER)])

    def log1p(self, p):
        return self.power_sum(p, [QQ(0)] + [QQ((-1) ** (n + 1), n) for n in range(1, ORDER)])

    def phi(self, k, p):
        return self.power_sum(p, [QQ(1, math.factorial(n + k)) for n in range(ORDER)])

    def inverse(self, p):
        return self.power_sum(1 - p, [1] * ORDER)

    def sqrt(self, p):
        c = [Fraction(1)]
        for n in range(1, ORDER):
            c.append(c[-1] * (Fraction(1, 2) - n + 1) / n)
        return self.power_sum(p - 1, [QQ(x.numerator, x.denominator) for x in c])

    def average(self, p, strata):
        """The average over a_i uniform in the i-th of `strata` equal parts of [0, 1]."""
        result = {}
        for (power, *ks), c in p.items():
            for i, k in enumerate(ks):
                c = c * strata * (QQ(i + 1, strata) ** (k + 1) - QQ(i, strata) ** (k + 1)) / (k + 1)
            result[(power,) + (0,) * len(ks)] = result.get((power,) + (0,) * len(ks), 0) + c
        return self.ring.from_dict(result)

    def coefficients(self, p):
        """By power of h; p must be free of the midpoints."""
        zeros = (0,) * len(self.a)
        return [p.get((n, *zeros), self.ring.domain.zero) for n in range(ORDER)]


LEVEL = Fraction(math.exp(-1.0))  # e^{-2t} at the noise level t = 1/2, which DDIM depends on


def predictor(name, v, strata=1, rounds=0, domain=QQ, more=()):
    """The series of one step minus the exact flow: a dict with the coefficient lists by power of h

    mean_x, mean_m    E_alpha of the error's coefficients of x - m and of m
    var_x, var_m      their variances over alpha
    """
    drawing = {"randomized_midpoint": 1, "importance_midpoint": 1, "parallel_midpoint": strata}.get(name, 0)
    S = Series(drawing, domain)
    h = S.h

    def add(p, q):
        return (p[0] + q[0], p[1] + q[1])

    def scale(c, p):
        return (S.times(c, p[0]), S.times(c, p[1]))

    def score(r, y):
        e2 = S.exp(2 * r)
        inverse = S.inverse(1 + (e2 - 1) * (v - 1) / v) * (1 / v)
        return scale(inverse, (-y[0], S.exp(r) - y[1]))

    x = (S.ring(1), S.ring(1))  # x = (x - m) + m
    zero = S.ring(0)
    e = S.exp(h)
    if name == "euler":
        out = add(x, scale(h, add(x, score(zero, x))))
    elif name == "heun":
        slope = add(x, score(zero, x))
        y = add(x, scale(h, slope))
        out = add(x, scale(h * QQ(1, 2), add(slope, add(y, score(h, y)))))
    elif name == "exponential_integrator":
        out = add(scale(e, x), scale(e - 1, score(zero, x)))
    elif name in ("midpoint", "randomized_midpoint"):
        a = S.a[0] if drawing else QQ(1, 2)
        up = S.exp(h * a)
        half = add(scale(up, x), scale(up - 1, score(zero, x)))
        out = add(scale(e, x), scale(S.times(h, S.exp(h * (1 - a))), score(h * a, half)))
    elif name == "importance_midpoint":
        r = -S.log1p(S.times(S.a[0], S.exp(-h) - 1))
        half = add(scale(S.exp(r), x), scale(S.exp(r) - 1, score(zero, x)))
        out = add(scale(e, x), scale(e - 1, score(r, half)))
    elif name == "parallel_midpoint":
        first = score(zero, x)
        ups = [S.exp(h * a) for a in S.a]
        points = [add(scale(up, x), scale(up - 1, first)) for up in ups]
        for _ in range(rounds):
            scores = [score(h * a, y) for a, y in zip(S.a, points, strict=True)]
            new = []
            for i, up in enumerate(ups):
                y = scale(up, x)
                for j in range(i + 1):
                    start = S.exp(h * (S.a[i] - QQ(j, strata)))
                    end = S.ring(1) if j == i else S.exp(h * (S.a[i] - QQ(j + 1, strata)))
                    y = add(y, scale(start - end, scores[j]))
                new.append(y)
            points = new
        out = scale(e, x)
        for a, y in zip(S.a, points, strict=True):
            out = add(out, scale(S.times(h * QQ(1, strata), S.exp(h * (1 - a))), score(h * a, y)))
    elif name in PLANS_IN_ONE:
        out = PLANS_IN_ONE[name](S, x, score, add, scale, **dict(more))
    else:
        raise ValueError(name)
    flow = (S.sqrt(1 + (S.exp(2 * h) - 1) * (v - 1) / v), e)
    result = {}
    for label, p, q in zip("xm", out, flow, strict=True):
        mean = S.average(p, strata)
        result[f"mean_{label}"] = S.coefficients(mean - q)
        result[f"var_{label}"] = S.coefficients(S.average(S.times(p, p), strata) - S.times(mean, mean))
    return result


def parareal(S, x, score, add, scale, blocks, fine, sweeps, power=1):
    h, u = S.h, QQ(LEVEL.numerator, LEVEL.denominator)
    N = blocks * fine
    at = [h * (1 - QQ(N - i, N) ** power) for i in range(N + 1)]

    def ddim(r, k, y):
        """From the level t - r by k: e^k y + sigma^2 (e^k - sigma'/sigma) s, sigma^2 = 1 - u e^{2r}."""
        square, after = 1 - u * S.exp(2 * r), 1 - u * S.exp(2 * (r + k))
        ratio = S.sqrt(S.times(after, S.inverse(square * (1 / (1 - u))) * (1 / (1 - u))))
        return add(scale(S.exp(k), y), scale(S.times(square, S.exp(k) - ratio), score(r, y)))

    def finely(n, y):
        for i in range(n * fine, (n + 1) * fine):
            y = ddim(at[i], at[i + 1] - at[i], y)
        return y

    def coarsely(n, y):
        return ddim(at[n * fine], at[(n + 1) * fine] - at[n * fine], y)

    old = [x]
    for n in range(blocks):
        old.append(coarsely(n, old[n]))
    for _ in range(sweeps):
        new = [x]
        for n in range(blocks):
            change = add(finely(n, old[n]), scale(S.ring(-1), coarsely(n, old[n])))
            new.append(add(coarsely(n, new[n]), change))
        old = new
    return old[-1]


def parallel_slices(S, x, score, add, scale, slices, cells, rounds, inner):
    length, c = S.h * QQ(1, slices), S.h * QQ(1, slices * cells)
    edges, points = [x], {}
    for n in range(slices):
        s = score(n * length, edges[n])
        for m in range(cells):
            points[n, m] = add(scale(S.exp(m * c), edges[n]), scale(S.exp(m * c) - 1, s))
        edges.append(add(scale(S.exp(length), edges[n]), scale(S.exp(length) - 1, s)))
    for _ in range(rounds):
        for n in range(slices):
            for _ in range(inner):
                scores = [score(n * length + m * c, points[n, m]) for m in range(cells)]
                y = edges[n]
                for m in range(cells):
                    points[n, m] = y
                    y = add(scale(S.exp(c), y), scale(S.exp(c) - 1, scores[m]))
            edges[n + 1] = y
    return edges[-1]


PLANS_IN_ONE = {
    "parareal": parareal,
    "parallel_slices": parallel_slices,
    "ddim": partial(parareal, blocks=1, fine=1, sweeps=0),
}


@functools.cache
def expected(name, v, m, strata=1, rounds=0, more=()):
    """(bias, variance) per coordinate as coefficient lists in h, for x ~ N(m, v): E|E x' - x*|^2 and E|x' - E x'|^2."""
    s = predictor(name, v, strata, rounds, more=more)

    def square(p):
        return [sum(p[i] * p[n - i] for i in range(n + 1)) for n in range(ORDER)]

    lead = next(n for n in range(ORDER) if s["mean_x"][n] or s["mean_m"][n])
    known = lead + ORDER - 1  # the square of a series known to h^(ORDER-1) with lead h^lead
    bias = [v * a + m * m * b for a, b in zip(_product(s["mean_x"]), _product(s["mean_m"]), strict=True)][: known + 1]
    variance = [v * a + m * m * b for a, b in zip(s["var_x"], s["var_m"], strict=True)]
    return bias, variance


def _product(p):
    result = [QQ(0)] * (2 * ORDER)
    for i, a in enumerate(p):
        for j, b in enumerate(p):
            result[i + j] += a * b
    return result


def invariance_residual(name, g, u, k, h_order=ORDER):
    """E_alpha(A S A^T + C) - S with S = diag(1/k, u), score -k x: coefficient lists of the xx, xv and vv entries."""
    S = Series(1 if name == "randomized_midpoint_langevin" else 0)
    h = S.h
    T = S.times

    def displacement(s):  # (1-e^{-gs})/g
        return T(s, S.phi(1, -g * s))

    def push(s):  # (s-p)/g
        return T(T(s, s), S.phi(2, -g * s))

    def noise(s):  # unit mass: Var W_x, Cov, Var W_v; in W_x 2gs phi-forms of the printed closed form
        p, E = displacement(s), S.exp(-g * s)
        x_x = T(T(s, s), s) * g * QQ(1)
        x_x = T(x_x, 8 * S.phi(3, -2 * g * s) - 4 * S.phi(3, -g * s))
        return x_x, g * T(p, p), 1 - T(E, E)

    if name == "underdamped":
        p, q, E = displacement(h), push(h), S.exp(-g * h)
        A = [[1 - u * k * q, p], [-u * k * p, E]]
        x_x, x_v, v_v = noise(h)
        C = [[u * x_x, u * x_v], [u * x_v, u * v_v]]
    else:
        (a,) = S.a
        b, c = h * a, h - h * a
        Hx, Hv = 1 - u * k * push(b), displacement(b)
        p, r = u * T(h, displacement(c)), u * T(h, S.exp(-g * c))
        A = [
            [1 - k * T(p, Hx), displacement(h) - k * T(p, Hv)],
            [-k * T(r, Hx), S.exp(-g * h) - k * T(r, Hv)],
        ]
        first, second = noise(b), noise(c)
        pc, Ec = displacement(c), S.exp(-g * c)
        # responses of (x', v') to (X_1, V_1) and to (X_2, V_2)
        L = [[1 - k * p, pc], [-k * r, Ec]]
        C = [[S.ring(0)] * 2 for _ in range(2)]
        for i in range(2):
            for j in range(2):
                value = T(T(L[i][0], L[j][0]), first[0]) + T(T(L[i][1], L[j][1]), first[2])
                value += T(T(L[i][0], L[j][1]) + T(L[i][1], L[j][0]), first[1])
                value += {(0, 0): second[0], (1, 1): second[2]}.get((i, j), second[1])
                C[i][j] = u * value
    result = []
    for i, j in ((0, 0), (0, 1), (1, 1)):
        value = T(A[i][0], A[j][0]) * (1 / QQ.convert(k)) + T(A[i][1], A[j][1]) * u + C[i][j]
        value = S.average(value, 1)
        if i == j:
            value -= u if i else 1 / QQ.convert(k)
        result.append(S.coefficients(value))
    return result
