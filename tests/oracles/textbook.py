"""Every scheme as its source prints it, one number at a time, in mpmath at the caller's precision.

`alphas` is the list of the midpoints that the step draws; `score(t, x)` a plain function of two numbers. Langevin
steps come as the pair (A, b), C of x' = A x + b + N(0, C) for the score -k (x - m), composed by hand.
"""

from __future__ import annotations

import mpmath as mp


def gaussian_score(lam, mean):
    """s_t(x) = -(x - m(t))/v(t) with m(t) = e^{-t} m and v(t) = 1 + (lam-1) e^{-2t}."""
    return lambda t, x: -(x - mp.exp(-t) * mean) / (1 + (lam - 1) * mp.exp(-2 * t))


# --- predictors: x' as a number ---------------------------------------------------------------------------------


def euler(x, t, h, alphas, score):
    return x + h * (x + score(t, x))


def heun(x, t, h, alphas, score):
    y = x + h * (x + score(t, x))
    return x + h * ((x + score(t, x)) + (y + score(t - h, y))) / 2


def exponential_integrator(x, t, h, alphas, score):
    return mp.exp(h) * x + (mp.exp(h) - 1) * score(t, x)


def randomized_midpoint(x, t, h, alphas, score):
    (a,) = alphas
    half = mp.exp(a * h) * x + (mp.exp(a * h) - 1) * score(t, x)
    return mp.exp(h) * x + h * mp.exp((1 - a) * h) * score(t - a * h, half)


def midpoint(x, t, h, alphas, score):
    return randomized_midpoint(x, t, h, [mp.mpf(1) / 2], score)


def parallel_points(x, t, h, alphas, score, strata, rounds):
    """x_i^(k) for k = 0..rounds, as a list of lists."""
    delta = h / mp.mpf(strata)
    points = [[mp.exp(a * h) * x + (mp.exp(a * h) - 1) * score(t, x) for a in alphas]]
    for _ in range(rounds):
        new = []
        for i in range(1, strata + 1):
            b = alphas[i - 1] * h
            value = mp.exp(b) * x
            for j in range(1, i + 1):
                weight = mp.exp(b - (j - 1) * delta) - max(mp.exp(b - j * delta), mp.mpf(1))
                value += weight * score(t - alphas[j - 1] * h, points[-1][j - 1])
            new.append(value)
        points.append(new)
    return points


def parallel_midpoint(x, t, h, alphas, score, strata, rounds):
    last = parallel_points(x, t, h, alphas, score, strata, rounds)[-1]
    terms = [mp.exp((1 - a) * h) * score(t - a * h, y) for a, y in zip(alphas, last, strict=True)]
    return mp.exp(h) * x + h / mp.mpf(strata) * mp.fsum(terms)


def ddim(x, t, h, score):
    """X = e^t x, sigma = sqrt(e^{2t} - 1), eps = -sqrt(1 - e^{-2t}) s: X' = X + (sigma' - sigma) eps."""
    noise = -mp.sqrt(1 - mp.exp(-2 * t)) * score(t, x)
    change = mp.sqrt(mp.exp(2 * (t - h)) - 1) - mp.sqrt(mp.exp(2 * t) - 1)
    return mp.exp(-(t - h)) * (mp.exp(t) * x + change * noise)


def parareal(x, t, h, alphas, score, blocks, fine, sweeps, power=1):
    """x[k][n+1] = G(x[k][n]) + F(x[k-1][n]) - G(x[k-1][n])."""
    N = blocks * fine
    levels = [t - h + h * (mp.mpf(N - i) / N) ** power for i in range(N + 1)]

    def G(n, y):
        return ddim(y, levels[n * fine], levels[n * fine] - levels[(n + 1) * fine], score)

    def F(n, y):
        for i in range(n * fine, (n + 1) * fine):
            y = ddim(y, levels[i], levels[i] - levels[i + 1], score)
        return y

    old = [x]
    for n in range(blocks):
        old.append(G(n, old[n]))
    for _ in range(sweeps):
        new = [x]
        for n in range(blocks):
            new.append(G(n, new[n]) + F(n, old[n]) - G(n, old[n]))
        old = new
    return old[-1]


def parallel_slices(x, t, h, alphas, score, slices, cells, rounds, inner):
    """Visit after visit of all slices from the first to the last: the order in which each has what it needs."""
    H = h / mp.mpf(slices)
    c = H / cells

    def level(n, m):
        return t - n * H - m * c

    edges, points = [x], {}
    for n in range(slices):
        s = score(level(n, 0), edges[n])
        for m in range(cells):
            points[n, m] = mp.exp(m * c) * edges[n] + (mp.exp(m * c) - 1) * s
        edges.append(mp.exp(H) * edges[n] + (mp.exp(H) - 1) * s)
    for _ in range(rounds):
        for n in range(slices):
            for _ in range(inner):
                scores = [score(level(n, m), points[n, m]) for m in range(cells)]
                y = edges[n]
                for m in range(cells):
                    points[n, m] = y
                    y = mp.exp(c) * y + (mp.exp(c) - 1) * scores[m]
            edges[n + 1] = y
    return edges[-1]


PREDICTORS = {
    f.__name__: f
    for f in (
        euler, heun, exponential_integrator, randomized_midpoint, midpoint, parallel_midpoint, parareal,
        parallel_slices,
    )
}  # fmt: skip


# --- correctors: (A, b, C) --------------------------------------------------------------------------------------


def overdamped(h, alphas, k, m):
    """x' = x + h s(x) + sqrt(2h) W."""
    return mp.matrix([[1 - h * k]]), mp.matrix([h * k * m]), mp.matrix([[2 * h]])


def kinetic_covariance(h, friction, mass):
    """[[Var W_x, Cov], [Cov, Var W_v]] of what the noise adds over a time h: the printed closed forms."""
    g, E = friction, mp.exp(-friction * h)
    cross = (1 - E) ** 2 / g
    return mass * mp.matrix([[(2 * h - (3 - 4 * E + E**2) / g) / g, cross], [cross, 1 - E**2]])


def underdamped(h, alphas, k, m, friction, mass):
    """x' = x + phi v + u ((h-phi)/g) s + W_x, v' = E v + u phi s + W_v."""
    g, u = friction, mass
    E = mp.exp(-g * h)
    phi = (1 - E) / g
    q = u * (h - phi) / g
    A = mp.matrix([[1 - q * k, phi], [-u * phi * k, E]])
    return A, mp.matrix([q * k * m, u * phi * k * m]), kinetic_covariance(h, g, u)


def shen_lee_covariance(h, a, friction):
    """The covariance of (W_1, W_2, W_3), six entries, for unit mass."""
    g, b = friction, a * h
    E = mp.exp(-g * h)

    def displacement(s):
        return 2 * s / g - (3 - 4 * mp.exp(-g * s) + mp.exp(-2 * g * s)) / g**2

    # 2g int_0^b (1-e^{-g(b-s)})(1-e^{-g(h-s)})/g^2 ds, term by term
    rest = mp.exp(-g * (h - b))
    once, twice = (1 - mp.exp(-g * b)) / g, (1 - mp.exp(-2 * g * b)) / (2 * g)
    w12 = 2 / g * (b - once - rest * once + rest * twice)
    w13 = rest * (1 - mp.exp(-g * b)) ** 2 / g
    w23 = (1 - E) ** 2 / g
    return mp.matrix([[displacement(b), w12, w13], [w12, displacement(h), w23], [w13, w23, 1 - E**2]])


def randomized_midpoint_langevin(h, alphas, k, m, friction, mass):
    """The three lines of Shen and Lee with their 3x3 noise."""
    (a,) = alphas
    g, u = friction, mass
    c = (1 - a) * h
    # half = H . (x, v) + eta + sqrt(u) W_1
    phi_b = (1 - mp.exp(-g * a * h)) / g
    q_b = u / g * (a * h - phi_b)
    H = mp.matrix([[1 - q_b * k, phi_b]])
    eta = q_b * k * m
    p = u * h / g * (1 - mp.exp(-g * c))
    r = u * h * mp.exp(-g * c)
    A = mp.matrix(
        [
            [1 - p * k * H[0], (1 - mp.exp(-g * h)) / g - p * k * H[1]],
            [-r * k * H[0], mp.exp(-g * h) - r * k * H[1]],
        ]
    )
    b = mp.matrix([p * k * (m - eta), r * k * (m - eta)])
    N = mp.sqrt(u) * mp.matrix([[-p * k, 1, 0], [-r * k, 0, 1]])
    return A, b, N * shen_lee_covariance(h, a, g) * N.T


def parallel_underdamped(h, alphas, k, m, friction, mass, cells, rounds):
    """Picard rounds over the cells; a state is the list of its coefficients on 1, x, v and the 2 M noises."""
    g, u = friction, mass
    n = h / mp.mpf(cells)
    E = mp.exp(-g * n)
    phi = (1 - E) / g
    q = (n - phi) / g
    size = 3 + 2 * cells

    def unit(i):
        return [mp.mpf(int(j == i)) for j in range(size)]

    def combine(*terms):
        return [mp.fsum(c * part[i] for c, part in terms) for i in range(size)]

    def score(x):
        return combine((-k, x), (k * m, unit(0)))

    previous = [unit(1) for _ in range(cells)]
    for _ in range(rounds):
        xs, vs = [unit(1)], [unit(2)]
        for j in range(cells):
            s = score(previous[j])
            w_x, w_v = unit(3 + 2 * j), unit(4 + 2 * j)
            vs.append(combine((E, vs[-1]), (u * phi, s), (1, w_v)))
            xs.append(combine((1, xs[-1]), (phi, vs[-2]), (u * q, s), (1, w_x)))
        previous = xs[:cells]
    out = [xs[-1], vs[-1]]
    S = kinetic_covariance(n, g, u)
    C = mp.matrix(2, 2)
    for j in range(cells):
        L = mp.matrix([[out[0][3 + 2 * j], out[0][4 + 2 * j]], [out[1][3 + 2 * j], out[1][4 + 2 * j]]])
        C += L * S * L.T
    return mp.matrix([[out[0][1], out[0][2]], [out[1][1], out[1][2]]]), mp.matrix([out[0][0], out[1][0]]), C


def parallel_langevin(h, alphas, k, m, cells, rounds):
    """x_j = x + sum_{i<j} (n s(x_i of the last round) + W_i); a point is its coefficients on 1, x and the noises."""
    n = h / mp.mpf(cells)
    zero = [mp.mpf(0)] * (2 + cells)
    one, x = ([mp.mpf(int(i == j)) for i in range(2 + cells)] for j in (0, 1))
    last = [x] * cells
    for _ in range(rounds):
        new = [x]
        for j in range(cells):
            s = [-k * a + k * m * b for a, b in zip(last[j], one, strict=True)]
            noise = [*zero[: 2 + j], mp.mpf(1), *zero[3 + j :]]
            new.append([a + n * b + c for a, b, c in zip(new[j], s, noise, strict=True)])
        last = new[:cells]
    end = new[cells]
    return mp.matrix([[end[1]]]), mp.matrix([end[0]]), mp.matrix([[2 * n * mp.fsum(a * a for a in end[2:])]])


CORRECTORS = {
    f.__name__: f
    for f in (overdamped, underdamped, randomized_midpoint_langevin, parallel_underdamped, parallel_langevin)
}


# --- when the score is asked, step by step ----------------------------------------------------------------------


def score_times(name, t, h, alphas, parameters):
    """The noise levels of each call, one list per round: what an outside observer sees of the algorithm."""
    inner = [t - a * h for a in alphas]
    if name in PLANS_IN_ONE:
        return PLANS_IN_ONE[name](t, h, **parameters)
    return {
        "euler": [[t]],
        "exponential_integrator": [[t]],
        "heun": [[t], [t - h]],
        "midpoint": [[t], [t - h / 2]],
        "randomized_midpoint": [[t], inner],
        "parallel_midpoint": [[t]] + [inner] * (parameters.get("rounds", 0) + 1),
        "overdamped": [[t]],
        "underdamped": [[t]],
        "randomized_midpoint_langevin": [[t], [t]],
        "parallel_underdamped": [[t]] * parameters.get("rounds", 1),
        "parallel_langevin": [[t]] * parameters.get("rounds", 1),
    }[name]


def parareal_times(t, h, blocks, fine, sweeps, power=1):
    """As tuples where the points have a leading axis."""
    N = blocks * fine
    levels = [t - h + h * ((N - i) / N) ** power for i in range(N + 1)]
    coarse = [(levels[n * fine],) for n in range(blocks)]
    sweep = [tuple(levels[n * fine + i] for n in range(blocks)) for i in range(fine)]
    return coarse + (sweep + coarse) * sweeps


def parallel_slices_times(t, h, slices, cells, rounds, inner):
    edges = [t - n * h / slices for n in range(slices)]
    result = [[edge] for edge in edges]
    for wave in range(1, slices + rounds):
        active = [n for n in range(slices) if 1 <= wave - n <= rounds]
        result += [tuple(edges[n] - m * h / (slices * cells) for n in active for m in range(cells))] * inner
    return result


PLANS_IN_ONE = {"parareal": parareal_times, "parallel_slices": parallel_slices_times}
