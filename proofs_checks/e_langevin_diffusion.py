r"""E1, E2, E3 and E7: what the closed forms of Langevin and of the reverse diffusion rest on.

The shipped steps run on symbols. Provenance: Perbost, Bach, Marion 2026, Lemmas B.2, B.9, C.2 and E.1, which were read;
the change of coordinates of the reverse diffusion and its exact conditional mean are derived here. Schemes:
`overdamped`, `underdamped_euler`, `reverse_euler`.
"""

from functools import partial

import sympy as sp

from rmverify.elementary import exp, expm1
from rmverify.readings.symbols import Draws, covariance
from rmverify.schemes import overdamped, reverse_euler, underdamped_euler

CLAIM = ("E1", "E2", "E3", "E7")

h, g, lam, T, D = sp.symbols("h g lambda T D", positive=True)
x, v, w, m = sp.symbols("x v w m")


def kept_by_overdamped(denominator=lambda z: 1 - z / 2):
    """lambda/(1 - h/(2 lambda)) is left as it is by a step."""
    draws = Draws((), (w,))
    after = overdamped(x, sp.S.Zero, h, lambda _, y: -y / lam, draws)
    S = lam / denominator(h / lam)
    return sp.cancel(covariance(after, after, [(x, x, S), *draws.covariances]) - S)


def kept_by_underdamped(scheme=underdamped_euler):
    """The variance of the position that (23) prints, with what belongs to it of the velocity."""
    draws = Draws((), (w,))
    end = scheme((x, v), sp.S.Zero, h, lambda _, y: -y / lam, draws, friction=g, mass=sp.S.One)
    k = 1 / lam
    position = 2 * g * (2 - h * g + h * h * k) * lam / ((g - h * k) * (4 - 2 * h * g + h * h * k))
    a, b = sp.symbols("a b")  # Cov(x, v) and Var v

    def moved(p, q):
        return covariance(p, q, [(x, x, position), (x, v, a), (v, x, a), (v, v, b), *draws.covariances])

    equations = [moved(end[0], end[0]) - position, moved(end[0], end[1]) - a]
    (found,) = sp.solve(equations, [a, b], dict=True)
    return sp.cancel((moved(end[1], end[1]) - b).subs(found))


def coordinates(scheme=reverse_euler):
    """A step of dY = dW backwards from tau to tau', in x = y/sqrt(1 + tau), for any score: drift and variance."""
    t, s = sp.Symbol("t", positive=True), sp.Symbol("s")
    draws = Draws((), (w,))
    mine = scheme(x, t, h, lambda _, y: s, draws)
    tau, after = exp(2 * t) - 1, exp(2 * (t - h)) - 1
    eta = tau - after
    # y = e^t x, and grad ln p_tau(y) = e^{-t} s
    theirs = (exp(t) * x + eta * exp(-t) * s) / exp(t - h)
    drift = sp.simplify(sp.expand((mine.subs(w, 0) - theirs).rewrite(sp.exp)))
    ((_, _, variance),) = draws.covariances
    spread = sp.simplify(sp.expand((variance * mine.coeff(w, 1) ** 2 - eta / exp(2 * (t - h))).rewrite(sp.exp)))
    return drift, spread


def telescopes(weight=lambda tau, after: (lam + after) / (lam + tau)):
    """One step on a mode multiplies v/(lambda + tau)^2 by 1 and adds eta/(lambda + tau')^2."""
    moment = sp.Symbol("V")
    after = T - D
    slope = 1 - D / (lam + T)
    return (
        sp.cancel(slope - weight(T, after)),
        sp.cancel((slope**2 * moment + D) / (lam + after) ** 2 - moment / (lam + T) ** 2 - D / (lam + after) ** 2),
    )


def logistic():
    """tau/(lambda + tau)^2 is the logistic density of ln(tau/lambda), over lambda; it integrates as it should."""
    y = sp.Symbol("y", real=True)
    s = 1 / (1 + sp.exp(-y))
    tau = lam * sp.exp(y)
    return sp.simplify(tau / (lam + tau) ** 2 - sp.diff(s, y) / lam), sp.simplify(sp.diff(s, y) - s * (1 - s))


def learning(noise=True):
    """The gradient of the score-matching loss of -A x on two points in the plane, the noise averaged: A (S + t) - I."""
    A = sp.Matrix(2, 2, sp.symbols("a:4"))
    points = [sp.Matrix(sp.symbols("p0 p1")), sp.Matrix(sp.symbols("q0 q1"))]
    t = sp.Symbol("t", positive=True)
    squares = [(A * p).dot(A * p) + (t * (A * A.T).trace() if noise else 0) for p in points]
    loss = -A.trace() + sum(squares) / 4
    S = sum((p * p.T for p in points), sp.zeros(2)) / 2 + t * sp.eye(2)
    due = A * S - sp.eye(2)
    return tuple(sp.expand(sp.diff(loss, A[i, j]) - due[i, j]) for i in range(2) for j in range(2))


def descent(K=4):
    """K gradient steps from 0 on an eigenvalue z leave (1 - (1 - alpha z)^K)/z."""
    alpha, z = sp.symbols("alpha z", positive=True)
    a = sp.S.Zero
    for _ in range(K):
        a = a - alpha * (a * z - 1)
    return sp.expand(a * z - 1 + (1 - alpha * z) ** K)


def position_first(state, t, step, score, draw, *, friction, mass=1):
    """The velocity moved by the new position: symplectic Euler."""
    start, velocity = state
    (noise,) = draw.normal(((2 * friction * mass * step,),))
    end = start + step * velocity
    return end, (1 - friction * step) * velocity + mass * step * score(t, end) + noise


def of_the_flow(start, t, step, score, draw):
    (noise,) = draw.normal(((expm1(2 * step),),))
    return exp(step) * start + expm1(step) * score(t, start) + noise


IDENTITIES = {
    "the law that overdamped Langevin keeps": kept_by_overdamped,
    "the law that Euler's underdamped Langevin keeps": kept_by_underdamped,
    "the reverse diffusion in the coordinates of dY = dW": coordinates,
    "its second moment telescopes": telescopes,
    "what is summed is the logistic density": logistic,
    "the gradient of the score-matching loss": learning,
    "gradient descent on an eigenvalue": descent,
}
MUTATED = {
    "the whole step in the denominator": partial(kept_by_overdamped, lambda z: 1 - z),
    "symplectic Euler": partial(kept_by_underdamped, position_first),
    "the score's weight of the flow": partial(coordinates, of_the_flow),
    "the other end of the step": partial(telescopes, lambda tau, after: (lam + tau) / (lam + after)),
    "no noise in the loss": partial(learning, noise=False),
}
