r"""A2: the reverse probability flow dx/dr = x + s_{t-r}(x), r = 0..h, carries q_t to q_{t-h}.

Proved, in one dimension:

1. Generic density: for every smooth positive q(t, x) with d_t q = d_x (x q) + d_xx q (A1) and s = d_x ln q, the
   density p_r = q_{t-r} satisfies the continuity equation d_r p + d_x (p V) = 0 of the velocity V = x + s_{t-r}(x);
   and along a trajectory X' = V, J' = V_x J (J the slope of the flow map) the product p_r(X) J is constant, which is
   the change-of-variables formula q_{t-h}(F(x)) F'(x) = q_t(x). Hypothesis: the flow exists on [0, h] (s Lipschitz
   in x), t - h > 0.
2. The integrated form x_{t-h} = e^h x_t + int_0^h e^{h-r} s_{t-r}(x_{t-r}) dr is that equation, for any path.
3. The Gaussian factor: x -> m(t-h) + `flow_slope` (x - m(t)) solves the equation with `mode_score`, is the identity
   at h = 0, carries N(m(t), v(t)) to N(m(t-h), v(t-h)), and two flows compose to one.

In d dimensions V_x becomes the divergence and the computation is the same.

Provenance: [derived]; mean, variance, score and slope are the shipped `rmverify.targets.process`.
"""

from functools import partial

import sympy as sp

from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance

CLAIM = "A2"

x, m = sp.symbols("x m", real=True)
t, h, r, lam = sp.symbols("t h r lam", positive=True)
density = sp.Function("q", positive=True)
path, slope, push = sp.Function("X"), sp.Function("J"), sp.Function("S")


def velocity(weight=1):
    """V(r, x) for the generic density; the flow's weight of the score is 1."""
    q = density(t - r, x)
    return x + weight * sp.diff(q, x) / q


def by_the_equation(expression):
    """d_t q replaced by d_x (x q) + d_xx q; the time derivative of q(t-r, x) in r is minus it."""
    q = density(t - r, x)
    return sp.expand(expression.doit().subs(sp.diff(q, r).doit(), -(sp.diff(x * q, x) + sp.diff(q, x, 2))).doit())


def continuity(weight=1):
    q = density(t - r, x)
    return sp.simplify(by_the_equation(sp.diff(q, r) + sp.diff(q * velocity(weight), x)))


def along_a_trajectory(weight=1):
    """d/dr [p_r(X) J], by the chain rule with X' = V and J' = V_x J."""
    q, V, J = density(t - r, x), velocity(weight), sp.Symbol("J", positive=True)
    return sp.simplify(by_the_equation(sp.diff(q, r) * J + sp.diff(q, x) * V * J + q * sp.diff(V, x) * J))


def integrated_form():
    """X(h) = e^h X(0) + int_0^h e^{h-r} S(r) dr solves X' = X + S and starts at X(0)."""
    X = sp.exp(h) * path(0) + sp.Integral(sp.exp(h - r) * push(r), (r, 0, h))
    return sp.expand(sp.diff(X, h) - X - push(h)), sp.simplify(X.subs(h, 0).doit() - path(0))


def gaussian_map(slope=flow_slope):
    return mode_mean(m, t - h) + slope(lam, t, h) * (x - mode_mean(m, t))


def gaussian_equation(slope=flow_slope):
    y = gaussian_map(slope=slope)
    return sp.simplify(sp.diff(y, h) - y - mode_score(m, lam, t - h, y)), sp.simplify(y.subs(h, 0) - x)


def gaussian_law():
    y = gaussian_map()
    return (
        sp.simplify(y.subs(x, mode_mean(m, t)) - mode_mean(m, t - h)),
        sp.simplify(sp.diff(y, x) ** 2 * mode_variance(lam, t) - mode_variance(lam, t - h)),
    )


def gaussian_composition():
    """Means go to means above; the slopes, which are positive, multiply: their squares do."""
    k = sp.Symbol("k", positive=True)
    first, second, both = flow_slope(lam, t, h), flow_slope(lam, t - h, k), flow_slope(lam, t, h + k)
    return sp.simplify(first**2 * second**2 - both**2)


def slope_without_the_root(lam, t, h):
    return mode_variance(lam, t - h) / mode_variance(lam, t)


IDENTITIES = {
    "continuity of a generic density": continuity,
    "mass along a generic trajectory": along_a_trajectory,
    "the integrated form": integrated_form,
    "the Gaussian flow's equation": gaussian_equation,
    "the Gaussian law is carried": gaussian_law,
    "two Gaussian flows compose": gaussian_composition,
}
MUTATED = {
    "the score counted twice, as in the reverse diffusion": partial(continuity, 2),
    "the score counted twice, along a trajectory": partial(along_a_trajectory, 2),
    "the variances' quotient without its root": partial(gaussian_equation, slope_without_the_root),
}
