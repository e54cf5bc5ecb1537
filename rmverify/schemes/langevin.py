r"""Correctors: Langevin dynamics at a fixed noise level t, for Langevin time h.

A predictor's error stays where it was made; noise and score at one level bring any law closer to the target.

Underdamped, with friction g and mass u: dx = v dt, dv = (u s(x) - g v) dt + sqrt(2 g u) dB, stationary velocity
N(0, u). Chen et al. 2023 take u = 1, g of the order of sqrt(L); Shen and Lee 2019 take g = 2, u = 1/L. The score
s stands for -grad f of the law exp(-f) that is to be kept.
"""

from __future__ import annotations

from typing import Any

from rmverify.elementary import exp, expm1, phi1, phi2, phi3, sqrt
from rmverify.schemes.contract import Draw, Score, scheme

__all__ = [
    "kinetic_noise",
    "overdamped",
    "overdamped_midpoint",
    "path_noise",
    "poisson_midpoint",
    "randomized_midpoint_langevin",
    "stochastic_runge_kutta",
    "stratified_hmc",
    "underdamped",
    "underdamped_euler",
]


def kinetic_noise(h: Any, friction: Any, mass: Any) -> Any:
    r"""The covariance of (W_v, W_x), what the noise adds to (v, x) over a time h.

    With z = g h, E = e^{-z}: Var W_v = u(1-E^2), Cov = u(1-E)^2/g, Var W_x = (u/g^2)(2z - 3 + 4E - E^2), written
    so that nothing cancels at small z (2 u g h^3/3 to leading order in the last).
    """
    z = friction * h
    p = h * phi1(-z)
    v_v = -expm1(-2 * z)
    v_x = friction * p * p
    x_x = h * h * z * (8 * phi3(-2 * z) - 4 * phi3(-z))
    return ((mass * v_v, mass * v_x), (mass * v_x, mass * x_x))


@scheme(kinetic=True)
def underdamped(state: Any, t: Any, h: Any, score: Score, draw: Draw, *, friction: Any, mass: Any = 1) -> Any:
    r"""Exponential integrator of underdamped Langevin: the score frozen over the step, the rest exact.

    With E = e^{-gh}, p = (1-E)/g, q = (h-p)/g:
    x' = x + p v + u q s(x) + W_x,  v' = E v + u p s(x) + W_v.

    Source: the corrector of Chen et al. 2023 and of Gupta, Cai, Chen 2024, Algorithm 2 [recalled]. One evaluation.

    Parameters
    ----------
    state : (x, v)
        Position and velocity, arrays of one shape.
    t : number
        The noise level, kept.
    h : number
        Langevin time.
    friction, mass : number > 0
        g and u above. u is the stationary variance of a velocity, k_B T/m of a particle of mass m: the inverse of what
        molecular dynamics calls the mass.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return 0.0, 0.0
    >>> underdamped((1.0, 0.0), 0.5, 1e-3, lambda t, x: -x, Still(), friction=2)[1] < 0  # it is pushed back
    True
    """
    x, v = state
    z = friction * h
    p = h * phi1(-z)
    q = h * h * phi2(-z)
    s = score(t, x)
    w_v, w_x = draw.normal(kinetic_noise(h, friction, mass))
    return x + p * v + mass * q * s + w_x, exp(-z) * v + mass * p * s + w_v


@scheme(kinetic=True)
def randomized_midpoint_langevin(
    state: Any, t: Any, h: Any, score: Score, draw: Draw, *, friction: Any, mass: Any = 1
) -> Any:
    r"""Randomized midpoint for underdamped Langevin: the score asked at the time ah, a ~ U[0,1].

    x_half = x + p_b v + u q_b s(x) + X_1 with b = ah;
    x' = x + p_h v + u h p_c s(x_half) + X_1 + p_c V_1 + X_2 with c = (1-a)h;
    v' = e^{-gh} v + u h e^{-gc} s(x_half) + e^{-gc} V_1 + V_2,
    where p_s = (1-e^{-gs})/g, q_s = (s-p_s)/g and (V_i, X_i) are the kinetic noises of [0, b] and [b, h].

    Source: Shen and Lee 2019, Algorithm 1. Their 3x3 noise covariance follows from the two independent noises. Two
    evaluations, two rounds.

    Examples
    --------
    >>> from rmverify import Correct
    >>> Correct(randomized_midpoint_langevin(friction=2, mass=0.25), time=0, step=0.1, steps=10).footprint.evaluations
    2
    """
    x, v = state
    a = draw.uniform()
    b = a * h
    c = (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p = c * phi1(-friction * c)
    decay = exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


def path_noise(h: Any, b: Any) -> Any:
    """The covariance of sqrt(2) (B_h, B_b) on one Brownian path, 0 <= b <= h."""
    early = 2 * b
    return ((2 * h, early), (early, early))


@scheme
def overdamped_midpoint(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""Randomized midpoint for overdamped Langevin: the score asked at the time ah, a ~ U[0,1].

    x_half = x + a h s_t(x) + sqrt(2) B_{ah};  x' = x + h s_t(x_half) + sqrt(2) B_h, on one Brownian path.

    Source: He, Balasubramanian, Erdogdu 2020; Yu, Karagulyan, Dalalyan 2024, RLMC [recalled]. Two evaluations, two
    rounds.

    Examples
    --------
    >>> from rmverify import Gaussian, stationary_law
    >>> law = stationary_law(overdamped_midpoint, Gaussian.isotropic(1.0, 1), 0.05)
    >>> f"{law.excess[0] / (0.05**3 / 6):.3f}"  # of its variance, in units of h^3/6: 1 + O(h)
    '1.051'
    """
    a = draw.uniform()
    w, w_half = draw.normal(path_noise(h, a * h))
    half = x + a * h * score(t, x) + w_half
    return x + h * score(t, half) + w


@scheme
def poisson_midpoint(x: Any, t: Any, h: Any, score: Score, draw: Draw, *, cells: Any) -> Any:
    r"""The Poisson midpoint method: overdamped Langevin in M cells whose scores are corrected with probability 1/M.

    x_i = x + (ih/M) s_t(x) + sqrt(2) B_{ih/M} for i = 0..M-1, H_i = 1 with probability 1/M and 0 otherwise;
    x' = x + h s_t(x) + h sum_i H_i (s_t(x_i) - s_t(x)) + sqrt(2) B_h.

    Source: Kandasamy and Nagaraj 2024 [found], x_i [recalled]. One cell is unadjusted Langevin. A sampler asks only the
    scores with H_i = 1, 1 + (M-1)/M evaluations on average; M of them here, where a step has no branches. Averages over
    the choices are sums of 2^{M-1} terms.

    Parameters
    ----------
    x : array, shape (..., d)
    t : number
        The noise level, kept.
    h : number
        Langevin time.
    cells : int
        M >= 1; up to 15 where the choices are averaged.

    Examples
    --------
    >>> from rmverify import Gaussian, stationary_law
    >>> law = stationary_law(poisson_midpoint(cells=8), Gaussian.isotropic(1.0, 1), 0.001)
    >>> f"{law.excess[0] / 0.001:.3f}"  # 1/(2M) of h, as for steps of h/M
    '0.063'
    """
    s = score(t, x)
    chance = 1 / (cells + 0 * t)  # a number of the kind in use, exact where that is
    noise = ((2 * h / cells,),)
    (path,) = draw.normal(noise)
    push = s
    for i in range(1, cells):
        push = push + draw.bernoulli(chance) * (score(t, x + i * h / cells * s + path) - s)
        (w,) = draw.normal(noise)
        path = path + w
    return x + h * push + path


@scheme
def stochastic_runge_kutta(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""The stochastic Runge-Kutta step of overdamped Langevin, of strong order 3/2.

    With w = sqrt(2h) xi and u = sqrt(h/6) eta: H_1 = x + (1/2 + 1/sqrt 6) w + u,
    H_2 = x + h s_t(x) + (1/2 - 1/sqrt 6) w + u;  x' = x + (h/2) (s_t(H_1) + s_t(H_2)) + w.

    The mean of the two noises has the covariance with w of (1/h) int sqrt(2) B, and their squares its mean square.

    Source: Li, Wu, Mackey, Erdogdu 2019, SRK-LD [recalled]. Three evaluations, three rounds.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return 0.0, 0.0
    >>> stochastic_runge_kutta(1.0, 0.5, 0.25, lambda t, x: -x, Still())  # 1 - h + h^2/2
    0.78125
    """
    w, u = draw.normal(((2 * h, 0 * h), (0 * h, h / 6)))
    away = w / sqrt(6 + 0 * t)  # of the kind of number in use
    first = x + w / 2 + away + u
    second = x + h * score(t, x) + w / 2 - away + u
    return x + h / 2 * (score(t, first) + score(t, second)) + w


@scheme(kinetic=True)
def stratified_hmc(state: Any, t: Any, h: Any, score: Score, draw: Draw, *, mass: Any = 1) -> Any:
    r"""Unadjusted Hamiltonian Monte Carlo by stratified time integration: one force at a random time of the step.

    F = s_t(x + a h v), a ~ U[0,1];  x' = x + h v + u h^2/2 F,  v' = v + u h F. No noise: all randomness is in the
    midpoints, one in each step of the trajectory, and in the velocity, which is drawn fresh from N(0, u) where a
    `Correct` stage starts; a stage is one trajectory.

    Source: Bou-Rabee and Marsden 2022 [recalled], u = 1 there. One evaluation.

    Parameters
    ----------
    state : (x, v)
        Position and velocity, arrays of one shape.
    t : number
        The noise level, kept.
    h : number
        Time.
    mass : number > 0
        u above, the variance of a fresh velocity.

    Examples
    --------
    >>> from rmverify import Correct
    >>> Correct(stratified_hmc, time=0, step=0.1, steps=10).footprint.evaluations
    1
    """
    x, v = state
    a = draw.uniform()
    force = mass * score(t, x + a * h * v)
    return x + h * v + h * h / 2 * force, v + h * force


@scheme
def overdamped(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """x' = x + h s_t(x) + sqrt(2h) W: unadjusted Langevin. Baseline; one evaluation.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return (0.0,)
    >>> overdamped(1.0, 0.5, 0.25, lambda t, x: -x, Still())
    0.75
    """
    (w,) = draw.normal(((2 * h,),))
    return x + h * score(t, x) + w


@scheme(kinetic=True)
def underdamped_euler(state: Any, t: Any, h: Any, score: Score, draw: Draw, *, friction: Any, mass: Any = 1) -> Any:
    """x' = x + h v, v' = (1 - g h) v + u h s_t(x) + sqrt(2 g u h) W: Euler and Maruyama on underdamped Langevin.

    Source: Perbost, Bach, Marion 2026, equation (4), with u = 1. Baseline: its stationary law is off by order h, where
    that of `underdamped` is off by h^2. One evaluation. Friction and mass are those of `underdamped`.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return (0.0,)
    >>> underdamped_euler((1.0, 2.0), 0.5, 0.25, lambda t, x: -x, Still(), friction=2)
    (1.5, 0.75)
    """
    x, v = state
    (w,) = draw.normal(((2 * friction * mass * h,),))
    return x + h * v, (1 - friction * h) * v + mass * h * score(t, x) + w
