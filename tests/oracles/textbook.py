"""Every scheme as its source prints it, one number at a time, in mpmath at the caller's precision.

`alphas` is the list of the midpoints that the step draws; `score(t, x)` a plain function of two numbers. Langevin
steps come as the pair (A, b), C of x' = A x + b + N(0, C) for the score -k (x - m), composed by hand.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np


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


def tilted(a, h):
    """The r of [0, h] below which a density e^{h-r}/(e^h - 1) has the mass a."""
    return -mp.log(1 - a * (1 - mp.exp(-h)))


def importance_midpoint(x, t, h, alphas, score):
    """An average over r of density e^{h-r}/(e^h - 1) of (e^h - 1) s_{t-r}(x_r) is the flow's integral."""
    r = tilted(alphas[0], h)
    half = mp.exp(r) * x + (mp.exp(r) - 1) * score(t, x)
    return mp.exp(h) * x + (mp.exp(h) - 1) * score(t - r, half)


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
        euler, heun, exponential_integrator, randomized_midpoint, midpoint, parallel_midpoint, importance_midpoint,
        parareal, parallel_slices,
    )
}  # fmt: skip
PREDICTORS["ddim"] = lambda x, t, h, alphas, score: ddim(x, t, h, score)


# --- the reverse diffusion: (A, b, C) on a mode N(mean, lam) of the data ----------------------------------------


def reverse_euler(t, h, lam, mean):
    """y' = y + eta s(y) + sqrt(eta) xi with s(y) = (mean - y)/(lam + tau), eta = tau - tau', in x = y/sqrt(1 + tau)."""
    tau, after = (mp.exp(2 * s) - 1 for s in (t, t - h))
    eta = tau - after
    slope = 1 - eta / (lam + tau)
    back = mp.sqrt(1 + after)
    return (
        mp.matrix([[slope * mp.sqrt(1 + tau) / back]]),
        mp.matrix([eta * mean / (lam + tau) / back]),
        mp.matrix([[eta / back**2]]),
    )


def _affine(step, t, h, lam, mean):
    """(A, b) of a step x -> x' on that mode, from the images of 0 and 1."""
    zero, one = (step(mp.mpf(x), gaussian_score(lam, mean)) for x in (0, 1))
    return mp.matrix([[one - zero]]), mp.matrix([zero])


def ddpm(t, h, lam, mean):
    """As libraries write it: the noise, the data that it leaves, and the mean and variance of x_{t-h} given both."""
    abar, before = mp.exp(-2 * t), mp.exp(-2 * (t - h))
    alpha = abar / before

    def step(x, score):
        eps = -mp.sqrt(1 - abar) * score(t, x)
        data = (x - mp.sqrt(1 - abar) * eps) / mp.sqrt(abar)
        return mp.sqrt(before) * (1 - alpha) / (1 - abar) * data + mp.sqrt(alpha) * (1 - before) / (1 - abar) * x

    return (*_affine(step, t, h, lam, mean), mp.matrix([[(1 - before) / (1 - abar) * (1 - alpha)]]))


def exponential_sde(t, h, lam, mean):
    def step(x, score):
        return mp.exp(h) * x + 2 * (mp.exp(h) - 1) * score(t, x)

    return (*_affine(step, t, h, lam, mean), mp.matrix([[mp.exp(2 * h) - 1]]))


def randomized_midpoint_sde(t, h, lam, mean, a):
    """x_m = e^r x + 2(e^r-1) s + w with w = sqrt(e^{2r}-1) xi_1, and x' = e^h x + 2(e^h-1) s_{t-r}(x_m) + e^{h-r} w +
    sqrt(e^{2(h-r)}-1) xi_2."""
    r = tilted(a, h)

    def step(x, score, xi=0):
        w = mp.sqrt(mp.exp(2 * r) - 1) * xi
        half = mp.exp(r) * x + 2 * (mp.exp(r) - 1) * score(t, x) + w
        return mp.exp(h) * x + 2 * (mp.exp(h) - 1) * score(t - r, half) + mp.exp(h - r) * w

    A, b = _affine(step, t, h, lam, mean)
    early = step(mp.mpf(0), gaussian_score(lam, mean), 1) - b[0]
    return A, b, mp.matrix([[early**2 + mp.exp(2 * (h - r)) - 1]])


def jiao_li(t, h, lam, mean, *alphas, cells):
    """In tau = 1 - e^{-2t}: d(Y/sqrt(1-tau))/dtau = -s/(2(1-tau)^{3/2}), over every cell by the score of its own
    midpoint, and up to that by the score of the one before; then noise back to t-h."""
    end = (t - h) ** 2 / t
    edges = [1 - mp.exp(-2 * (t - i * (t - end) / cells)) for i in range(cells + 1)]

    def step(x, score):
        level, total = edges[0], x / mp.sqrt(1 - edges[0])
        seen = score(t, x)
        for a, top, low in zip(alphas, edges, edges[1:], strict=False):
            tau = top - a * (top - low)
            y = (total + seen / (2 * (1 - level) ** 1.5) * (top - tau)) * mp.sqrt(1 - tau)
            level, seen = tau, score(-mp.log(1 - tau) / 2, y)
            total += seen / (2 * (1 - level) ** 1.5) * (top - low)
        return total * mp.sqrt(1 - edges[-1]) * mp.exp(end - (t - h))

    return (*_affine(step, t, h, lam, mean), mp.matrix([[1 - mp.exp(2 * (end - (t - h)))]]))


REVERSE = {f.__name__: f for f in (reverse_euler, ddpm, exponential_sde, randomized_midpoint_sde, jiao_li)}


# --- correctors: (A, b, C) --------------------------------------------------------------------------------------


def overdamped(h, alphas, k, m):
    """x' = x + h s(x) + sqrt(2h) W."""
    return mp.matrix([[1 - h * k]]), mp.matrix([h * k * m]), mp.matrix([[2 * h]])


def overdamped_midpoint(h, alphas, k, m):
    """half = x + ah s(x) + sqrt(2) W_{ah}, x' = x + h s(half) + sqrt(2) W_h."""
    (a,) = alphas
    slope, shift = 1 - a * h * k, a * h * k * m  # of half
    early = (1 - h * k) ** 2 * 2 * a * h  # what came before ah moves x' itself, and back through half
    return mp.matrix([[1 - h * k * slope]]), mp.matrix([h * k * (m - shift)]), mp.matrix([[early + 2 * (1 - a) * h]])


def parallel_overdamped(h, alphas, k, m, strata, rounds):
    """Picard rounds over the midpoints; a state is the list of its coefficients on 1, x and the increments of the
    Brownian path between one midpoint and the next."""
    size, ends = 3 + strata, [mp.mpf(0), *alphas, mp.mpf(1)]
    length = h / mp.mpf(strata)

    def combine(*terms):
        return [mp.fsum(c * part[i] for c, part in terms) for i in range(size)]

    def score(y):
        return combine((-k, y), (k * m, one))

    one, x = ([mp.mpf(int(j == i)) for j in range(size)] for i in (0, 1))
    path = [[mp.mpf(int(2 <= j <= 2 + i)) for j in range(size)] for i in range(strata + 1)]
    points = [x] * strata
    for _ in range(rounds + 1):
        s = [score(y) for y in points]
        points = [
            combine(
                (1, x), *((length, s[j]) for j in range(i)), ((alphas[i] - mp.mpf(i) / strata) * h, s[i]), (1, path[i])
            )
            for i in range(strata)
        ]
    out = combine((1, x), *((length, score(y)) for y in points), (1, path[-1]))
    noise = mp.fsum(2 * h * (ends[j + 1] - ends[j]) * out[2 + j] ** 2 for j in range(strata + 1))
    return mp.matrix([[out[1]]]), mp.matrix([out[0]]), mp.matrix([[noise]])


def poisson_midpoint(h, alphas, k, m, cells):
    """Cell after cell, as printed: X_{i+1} = X_i + (h/M) s(x) + h H_i (s(x_i) - s(x)) + w_i; `alphas` are H_1 ..
    H_{M-1}, as H_0 has no effect. A state is the list of its coefficients on 1, x and w_0 .. w_{M-1}."""
    size, chosen, n = 2 + cells, [0, *alphas], h / mp.mpf(cells)
    one, x, *w = ([mp.mpf(int(j == i)) for j in range(size)] for i in range(size))

    def combine(*terms):
        return [mp.fsum(c * part[i] for c, part in terms) for i in range(size)]

    def score(y):
        return combine((-k, y), (k * m, one))

    out, s = x, score(x)
    for i in range(cells):
        point = combine((1, x), (i * n, s), *((1, w[j]) for j in range(i)))
        out = combine((1, out), (n - h * chosen[i], s), (h * chosen[i], score(point)), (1, w[i]))
    return mp.matrix([[out[1]]]), mp.matrix([out[0]]), mp.matrix([[2 * n * mp.fsum(c**2 for c in out[2:])]])


def stochastic_runge_kutta(h, alphas, k, m):
    """H_1 = x + (1/2 + 1/sqrt 6) w + u, H_2 = x + h s(x) + (1/2 - 1/sqrt 6) w + u, x' = x + h/2 (s(H_1) + s(H_2))
    + w with Var w = 2h, Var u = h/6: coefficients on 1, x, w, u."""
    r = 1 / mp.sqrt(6)
    one, two = [0, 1, mp.mpf(1) / 2 + r, 1], [h * k * m, 1 - h * k, mp.mpf(1) / 2 - r, 1]
    scores = [[k * m * (i == 0) - k * y[i] for i in range(4)] for y in (one, two)]
    out = [[0, 1, 1, 0][i] + h / 2 * (scores[0][i] + scores[1][i]) for i in range(4)]
    return mp.matrix([[out[1]]]), mp.matrix([out[0]]), mp.matrix([[2 * h * out[2] ** 2 + h / 6 * out[3] ** 2]])


def stratified_hmc(h, alphas, k, m, mass):
    """F = s(x + ah v), x' = x + h v + u h^2/2 F, v' = v + u h F."""
    (a,) = alphas
    push = mp.matrix([mass * h**2 / 2, mass * h])
    A = mp.matrix([[1, h], [0, 1]]) - k * push * mp.matrix([[1, a * h]])
    return A, k * m * push, mp.zeros(2)


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


def underdamped_euler(h, alphas, k, m, friction, mass):
    """x' = x + h v, v' = v + h (u s(x) - g v) + sqrt(2 g u h) W."""
    g, u = friction, mass
    A = mp.matrix([[1, h], [-u * h * k, 1 - g * h]])
    return A, mp.matrix([0, u * h * k * m]), mp.matrix([[0, 0], [0, 2 * g * u * h]])


OVERDAMPED = {
    f.__name__: f
    for f in (
        overdamped,
        overdamped_midpoint,
        parallel_overdamped,
        poisson_midpoint,
        stochastic_runge_kutta,
        parallel_langevin,
    )
}
KINETIC = {
    f.__name__: f
    for f in (underdamped, randomized_midpoint_langevin, parallel_underdamped, underdamped_euler, stratified_hmc)
}
CORRECTORS = OVERDAMPED | KINETIC


def chance(of, parameters):
    """Of each choice that a step draws; None where it draws none."""
    return mp.mpf(1) / parameters["cells"] if of == "poisson_midpoint" else None


# --- when the score is asked, step by step ----------------------------------------------------------------------


def _jiao_li_levels(t, h, alphas):
    """e^{-2r} uniform between those of the ends of each cell."""
    edges = np.linspace(t, (t - h) ** 2 / t, len(alphas) + 1)
    ends = zip(alphas, edges, edges[1:], strict=False)
    return [-np.log(np.exp(-2 * top) + a * (np.exp(-2 * low) - np.exp(-2 * top))) / 2 for a, top, low in ends]


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
        "importance_midpoint": [[t], [t + np.log(1 - a * (1 - np.exp(-h))) for a in alphas]],
        "parallel_midpoint": [[t]] + [inner] * (parameters.get("rounds", 0) + 1),
        "overdamped": [[t]],
        "overdamped_midpoint": [[t], [t]],
        "stochastic_runge_kutta": [[t]] * 3,
        "stratified_hmc": [[t]],
        "poisson_midpoint": [[t]] * parameters.get("cells", 1),
        "parallel_overdamped": [[t]] * (parameters.get("rounds", 0) + 2),
        "underdamped": [[t]],
        "underdamped_euler": [[t]],
        "reverse_euler": [[t]],
        "ddpm": [[t]],
        "exponential_sde": [[t]],
        "jiao_li": [[t], *([level] for level in _jiao_li_levels(t, h, alphas))],
        "randomized_midpoint_sde": [[t], [t + np.log(1 - a * (1 - np.exp(-h))) for a in alphas]],
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


PLANS_IN_ONE = {"parareal": parareal_times, "parallel_slices": parallel_slices_times, "ddim": lambda t, h: [[t]]}
