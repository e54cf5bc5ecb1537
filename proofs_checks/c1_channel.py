r"""C1, C4: on a linear force the process tells of x_0 what x_0 + N(0, n) tells; on others a moving frame solves it.

Setting: dx = v dt, dv = (u s(x) - g v) dt + sqrt(2gu) dB, v_0 ~ N(0, u). On s(x) = -k x let G'' + g G' + u k G = 0,
G(0) = 0, G'(0) = 1, and e, f the columns of A for x_0 and v_0.

Proved:

1. A = [[G' + gG, G], [-ukG, G']] and C = 2gu [[int G^2, G^2/2], [G^2/2, int G'^2]] are the flow and its noise:
   A' = M A, C' = M C + C M^T + diag(0, 2gu), det A = e^{-gt}.
2. N(m e, N + a e e^T) and N(0, N + b e e^T) differ in one direction, in which they are N(m, a + n) and N(0, b + n) up
   to a factor, n = 1/(e^T N^{-1} e); for N = u f f^T + C, with q(w) = C_xx w_v^2 - 2 C_xv w_x w_v + C_vv w_x^2,
   n = (det C + u q(f))/(u (det A)^2 + q(e)). By the position alone n = (C_xx + u f_x^2)/e_x^2.
3. Two points at distance D, N(D, n) and N(0, n): KL = D^2/(2n), and TV = erf(D/sqrt(8n)) has the slope 1/sqrt(2 pi n)
   at D = 0 and is concave. Hence, averaged over a coupling, TV <= W_2/sqrt(2 pi n) and KL <= W_2^2/(2n) for any starts.
4. As T -> 0, n = (2gu/3) T^3 + O(T^4), of x alone u T^2 (1 - gT/3 + O(T^2)): at g = sqrt(L), u = 1 the ratios to
   W_2/(L^{1/4} T^{3/2}) and to W_2/T start from sqrt(3/(4 pi)) and 1/sqrt(2 pi); and KL from 1/2 W_2^2/T^2, C4's own.
5. The frame (x, v) = mu + B z of `kinetic_law`: B B^T follows the covariance of the linear force with the slope
   s_1/B_xx, and the Hermite coefficients c follow their equation, checked on the generating function of all of them,
   a Gaussian shifted by (alpha, beta) in z, for which lowering is multiplication by alpha or beta.

Provenance: [derived], not checked against the literature.
"""

from functools import partial

import sympy as sp

CLAIM = ("C1", "C4")

t, T, g, u, n, D = sp.symbols("t T g u n D", positive=True)
k, a, b, m = sp.symbols("k a b m", real=True)
G = sp.Function("G")(t)
SECOND = -g * G.diff(t) - u * k * G


def on_shell(expression):
    return sp.expand(expression.subs(G.diff(t, 2), SECOND))


def flow(friction=1):
    """A' - M A; (det A)' + g det A."""
    A = sp.Matrix([[G.diff(t) + g * G, G], [-u * k * G, G.diff(t)]])
    M = sp.Matrix([[0, 1], [-u * k, -friction * g]])
    left = A.diff(t) - M * A
    return (*map(on_shell, left), on_shell(A.det().diff(t) + g * A.det()))


def noise(strength=2):
    """C' - (M C + C M^T + diag(0, 2gu)), with int G'^2 = G G' + (g/2) G^2 + uk int G^2 from its derivative."""
    X = sp.Function("X")(t)  # int G^2
    V = G * G.diff(t) + g * G**2 / 2 + u * k * X
    C = 2 * g * u * sp.Matrix([[X, G**2 / 2], [G**2 / 2, V]])
    M = sp.Matrix([[0, 1], [-u * k, -g]])
    left = C.diff(t) - M * C - C * M.T - sp.diag(0, strength * g * u)
    # the energy of the response, G'^2 + uk G^2 + 2g int G'^2 = 1, from its derivative
    energy = G.diff(t) ** 2 + u * k * G**2 + 2 * g * V - 1
    derivative = on_shell(energy.diff(t).subs(X.diff(t), G**2))
    residual = [on_shell(entry.subs(X.diff(t), G**2)) for entry in left]
    rate = on_shell(V.diff(t).subs(X.diff(t), G**2) - G.diff(t) ** 2)
    last = sp.expand(residual[3] - 2 * g * u * energy)
    return (*residual[:3], rate, derivative, last)


def channel(weight=1):
    """Shift, covariances and determinants of the pair, by the one number n."""
    e = sp.Matrix(sp.symbols("e_x e_v", real=True))
    N = sp.Matrix(2, 2, sp.symbols("N_x N_c N_c N_v", real=True))
    hidden = weight / (e.T * N.inv() * e)[0]
    of = {s: N + s * e * e.T for s in (a, b)}
    inner = (e.T * of[b].inv() * e)[0]
    return (
        sp.cancel(inner - 1 / (b + hidden)),
        sp.cancel(of[a].det() * (b + hidden) - of[b].det() * (a + hidden)),
        sp.cancel((m * e.T * of[b].inv() * e * m)[0] - m**2 / (b + hidden)),
    )


def hidden_noise(sign=-1):
    e, f = (sp.Matrix(sp.symbols(f"{s}_x {s}_v", real=True)) for s in "ef")
    C = sp.Matrix(2, 2, sp.symbols("C_x C_c C_c C_v", real=True))
    N = u * f * f.T + C

    def across(w):
        return C[0, 0] * w[1] ** 2 + sign * 2 * C[0, 1] * w[0] * w[1] + C[1, 1] * w[0] ** 2

    area = (e[0] * f[1] - e[1] * f[0]) ** 2
    claimed = (C.det() + u * across(f)) / (u * area + across(e))
    return (sp.cancel(claimed * (e.T * N.inv() * e)[0] - 1), sp.cancel(N.det() - C.det() - u * across(f)))


def two_points(slope=1):
    x, c = sp.symbols("x c", real=True)
    density = sp.exp(-((x - c) ** 2) / (2 * n)) / sp.sqrt(2 * sp.pi * n)
    up_to = (1 + sp.erf((x - c) / sp.sqrt(2 * n))) / 2
    log_ratio = sp.expand((x**2 - (x - D) ** 2) / (2 * n))  # linear in x: its mean is its value at the mean
    tv = sp.erf(D / sp.sqrt(8 * n))
    gap = up_to.subs({c: 0, x: D / 2}) - up_to.subs({c: D, x: D / 2})  # of q and of p, where they cross
    return (
        sp.expand(up_to.diff(x) - density),
        log_ratio.subs(x, D / 2),
        sp.powsimp(sp.expand(gap - tv)),
        log_ratio.diff(x, 2) + log_ratio.subs(x, D) - D**2 / (2 * n),
        sp.expand(tv.diff(D).subs(D, 0) - slope / sp.sqrt(2 * sp.pi * n)),
        sp.expand(tv.diff(D, 2) / tv.diff(D) + D / (4 * n)),  # negative: concave
    )


def response(order):
    """G by its power series."""
    c = [sp.Integer(0), sp.Integer(1)]
    for j in range(2, order + 1):
        c.append(sp.expand((-g * (j - 1) * c[j - 1] - u * k * c[j - 2]) / (j * (j - 1))))
    return sum(c[j] * T**j for j in range(order + 1))


def short_times(thirds=2):
    r = response(3)
    slope = sp.diff(r, T)
    e, f = (slope + g * r, -u * k * r), (r, slope)
    xx, xv, vv = (2 * g * u * sp.integrate(sp.expand(w), (T, 0, T)) for w in (r * r, r * slope, slope * slope))

    def across(x, v):
        return xx * v * v - 2 * xv * x * v + vv * x * x

    def leading(above, below, power, terms):
        """The first coefficients of above/below from T^power on."""
        top, bottom = (sp.Poly(sp.expand(part), T).all_coeffs()[::-1] for part in (above, below))
        top = top[power:] if not any(top[:power]) else [sp.nan]
        found = []
        for j in range(terms):
            found.append(sp.cancel((top[j] - sum(found[i] * bottom[j - i] for i in range(j))) / bottom[0]))
        return found

    (joint,) = leading(xx * vv - xv**2 + u * across(*f), u * (e[0] * f[1] - e[1] * f[0]) ** 2 + across(*e), 3, 1)
    first, second = leading(xx + u * r * r, e[0] ** 2, 2, 2)
    return sp.expand(joint - sp.Rational(thirds, 3) * g * u), sp.expand(first - u), sp.expand(second + u * g / 3)


mu_x, mu_v, xx, vx, vv, s_0, s_1 = sp.symbols("mu_x mu_v xx vx vv s_0 s_1", real=True)
RATES = {
    mu_x: mu_v,
    mu_v: u * s_0 - g * mu_v,
    xx: vx,
    vx: u * s_1 - g * vx + vv**2 / xx,
    vv: g * u / vv - (g + vx / xx) * vv,
}


def moved(expression, rates=RATES):
    """d/dt along the frame."""
    return sum(sp.diff(expression, letter) * rate for letter, rate in rates.items())


def frame(strength=2):
    B = sp.Matrix([[xx, 0], [vx, vv]])
    S = B * B.T
    M = sp.Matrix([[0, 1], [u * s_1 / xx, -g]])
    residual = S.applyfunc(moved) - M * S - S * M.T - sp.diag(0, strength * g * u)
    return tuple(map(sp.cancel, residual))


def coefficients(turn=1):
    """f_t - (its Fokker-Planck right-hand side) for the generating function, over f."""
    x, v, alpha, beta = sp.symbols("x v alpha beta", real=True)
    r = sp.Function("r")(x)
    y = (x - mu_x) / xx
    z = (v - mu_v - vx * y) / vv
    log_f = -((y - alpha) ** 2 + (z - beta) ** 2) / 2 - sp.log(xx * vv)  # sum alpha^m beta^n h_m h_n/sqrt(m! n!)

    def over_f(first, second=None):
        """f_w/f, f_ww/f."""
        if second is None:
            return sp.diff(log_f, first)
        return sp.diff(log_f, first, 2) + sp.diff(log_f, first) ** 2

    # raising, -d/dy and -d/dz of f, over f
    up_y, up_z = y - alpha, z - beta
    moving = turn * vv / xx * (up_y * beta - up_z * alpha) - g * u / vv**2 * up_z * beta + u / vv * r * up_z
    force = s_0 + s_1 * y + r
    # -v f_x - d/dv((u s - g v) f) + g u f_vv
    right = -v * over_f(x) - (u * force - g * v) * over_f(v) + g + g * u * over_f(v, v)
    return sp.cancel(sp.together(moved(log_f) + moving - right))


IDENTITIES = {
    "the flow": flow,
    "its noise": noise,
    "one direction": channel,
    "what is hidden": hidden_noise,
    "two points": two_points,
    "short times": short_times,
    "the frame's covariance": frame,
    "the coefficients": coefficients,
}
MUTATED = {
    "friction of the wrong sign": partial(flow, -1),
    "noise sqrt(g) for sqrt(2g)": partial(noise, 1),
    "twice the hidden noise": partial(channel, 2),
    "the cross term of the wrong sign": partial(hidden_noise, 1),
    "half the slope": partial(two_points, sp.S.Half),
    "n = g u T^3/3": partial(short_times, 1),
    "the frame's noise sqrt(g)": partial(frame, 1),
    "the frame turned backwards": partial(coefficients, -1),
}
