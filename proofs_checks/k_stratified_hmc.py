r"""K4: one random force a step of Hamiltonian dynamics keeps N(0, 1/k) up to h^4, and trajectories leave 1 - k u h^2/4.

Proved, for the score -k x, k > 0, velocities of variance u, w = u k h^2, S = diag(1/k, u), a ~ U[0,1] in each step:

1. The step's second moments E_a(A S A^T) - S are (-w^2/4 + w^3/12)/k in xx, u h (-w/4 + w^2/6) in xv, u w^2/3 in vv,
   exactly; its mean E_a A differs from the exact rotation by -(uk)^2 h^4/24, -uk h^3/12, -(uk)^2 h^3/6,
   -(uk)^2 h^4/24 in xx, xv, vx, vv.
2. So per unit of time the covariance is driven, to leading order in h, by r = -k u^2 h^2/4 in xv alone (xx and vv are
   of order h^3). A trajectory of any length T, from the covariance diag(1/k + p, u) under
   P_xx' = 2 P_xv, P_xv' = P_vv - uk P_xx + r, P_vv' = -2 uk P_xv, comes back to P_xx = p where p = r/(uk), that is
   k p = -k u h^2/4, whatever T (but for multiples of pi/sqrt(uk), at which every p comes back).
3. At a = 1/2 (the deterministic midpoint) xx, xv and vv are other numbers.

Provenance: the scheme is [recalled] (Bou-Rabee, Marsden 2022); the constants are [derived] by running the shipped
`stratified_hmc` on letters.
"""

from functools import partial

import sympy as sp

from rmverify.readings.symbols import Draws
from rmverify.schemes import stratified_hmc

CLAIM = "K4"

k, u, h, T = sp.symbols("k u h T", positive=True)
x, v, a = sp.symbols("x v a")
w = u * k * h**2


def one_step(scheme=stratified_hmc):
    out = scheme((x, v), sp.Integer(0), h, lambda _, y: -k * y, Draws([a]), mass=u)
    return sp.Matrix([[sp.expand(each).diff(s) for s in (x, v)] for each in out])


def mean(expression):
    return sp.integrate(sp.expand(expression), (a, 0, 1))


def second_moments(scheme=stratified_hmc):
    A = one_step(scheme)
    S = sp.diag(1 / k, u)
    R = (A * S * A.T - S).applyfunc(mean)
    due = (-(w**2) / 4 + w**3 / 12) / k, u * h * (-w / 4 + w**2 / 6), u * w**2 / 3
    return tuple(sp.expand(R[i, j] - d) for (i, j), d in zip(((0, 0), (0, 1), (1, 1)), due, strict=True))


def mean_step(scheme=stratified_hmc):
    A = one_step(scheme).applyfunc(mean)
    q = sp.sqrt(u * k)
    exact = sp.Matrix([[sp.cos(q * h), sp.sin(q * h) / q], [-q * sp.sin(q * h), sp.cos(q * h)]])
    squared = -((u * k) ** 2)
    due = sp.Matrix([[squared * h**4 / 24, -u * k * h**3 / 12], [squared * h**3 / 6, squared * h**4 / 24]])
    orders = sp.Matrix([[4, 3], [3, 4]])
    return tuple(
        sp.simplify(sp.series(A[i, j] - exact[i, j], h, 0, orders[i, j] + 1).removeO() - due[i, j])
        for i in range(2) for j in range(2)
    )  # fmt: skip


def trajectories(share=1):
    """P from diag(p, 0) solves the equations, and P_xx(T) = p at p = r/(uk)."""
    p, r, t = sp.symbols("p r t")
    q = u * k
    c = q * p - r * share  # of q P_xx - P_vv - r at the start
    angle = 2 * sp.sqrt(q) * t
    xv = -c * sp.sin(angle) / (2 * sp.sqrt(q))
    xx = (q * p + r + c * sp.cos(angle)) / (2 * q)
    vv = (q * p - r - c * sp.cos(angle)) / 2
    return (
        sp.simplify(xx.diff(t) - 2 * xv), sp.simplify(xv.diff(t) - (vv - q * xx + r)),
        sp.simplify(vv.diff(t) + 2 * q * xv),
        sp.simplify(xx.subs(t, 0) - p), xv.subs(t, 0), sp.simplify(vv.subs(t, 0)),
        sp.simplify((xx - p).subs(p, r / q)),
    )  # fmt: skip


def force_in_the_middle(state, t, h, score, draw, *, mass):
    class Half(Draws):
        def uniform(self):
            return sp.S.Half

    return stratified_hmc(state, t, h, score, Half(), mass=mass)


IDENTITIES = {
    "the second moments of a step": second_moments,
    "its mean against the rotation": mean_step,
    "what trajectories of any length come back to": trajectories,
}
MUTATED = {
    "the force in the middle": partial(second_moments, force_in_the_middle),
    "another drive": partial(trajectories, sp.Rational(1, 2)),
}
