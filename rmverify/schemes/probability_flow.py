r"""Predictors: steps of the reverse probability flow (one: of the reverse diffusion), from noise level t down to t-h.

Conventions of this room: q_t is the law of X_t = e^{-t} X_0 + sqrt(1-e^{-2t}) Z, its score s_t = grad ln q_t, and
the flow solves dx/dr = x + s_{t-r}(x) in r = 0..h, so that

    x_{t-h} = e^h x_t + int_0^h e^{h-r} s_{t-r}(x_{t-r}) dr.
"""

from __future__ import annotations

from typing import Any

from rmverify.elementary import exp, expm1, log1p, sqrt
from rmverify.schemes.contract import Draw, Score, scheme

__all__ = [
    "ddim",
    "euler",
    "exponential_integrator",
    "heun",
    "importance_midpoint",
    "midpoint",
    "randomized_midpoint",
    "reverse_euler",
    "sigma_step",
]


@scheme
def exponential_integrator(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """x' = e^h x + (e^h - 1) s_t(x): the score frozen over the step.

    Source: the predictor of DPUM (Chen, Chewi, Lee, Li, Lu, Salim 2023). One evaluation, one round.

    Examples
    --------
    >>> exponential_integrator(1.0, 2.0, 0.0, lambda t, x: -x, None)
    1.0
    """
    return exp(h) * x + expm1(h) * score(t, x)


@scheme
def randomized_midpoint(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """x_half = e^{ah} x + (e^{ah}-1) s_t(x);  x' = e^h x + h e^{(1-a)h} s_{t-ah}(x_half),  a ~ U[0,1].

    Source: Gupta, Cai, Chen 2024, Algorithm 1, equations (7)-(8) [confirmed by the authors' own code, in commented
    lines; the code that runs there is not Algorithm 1: a DDIM update from a midpoint uniform in the timestep's index].
    The integral of the flow is estimated without bias in a. Two evaluations, two rounds.

    Examples
    --------
    >>> class Half:
    ...     def uniform(self): return 0.5
    >>> randomized_midpoint(1.0, 2.0, 0.0, lambda t, x: -x, Half())
    1.0
    """
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


@scheme
def importance_midpoint(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """x_mid = e^r x + (e^r - 1) s_t(x);  x' = e^h x + (e^h - 1) s_{t-r}(x_mid),  r on [0, h] of density
    e^{h-r}/(e^h - 1).

    The randomized midpoint with the flow's own weight as the density of its midpoint: the same average, and no spread
    where the score does not change along the flow. e^{-r} is uniform on [e^{-h}, 1], so that r = 0 at a = 0 and h at
    a = 1; the level is t - h + (h - r), never below t - h. Two evaluations, two rounds.

    Source: the importance-sampled randomized midpoint of Zhang, Huan, Huang, Boffi, Chen, Chewi 2025, taken from the
    reverse equation to the probability flow [derived].

    Examples
    --------
    >>> class Half:
    ...     def uniform(self): return 0.5
    >>> importance_midpoint(1.0, 2.0, 0.5, lambda t, x: -x, Half())  # the standard normal does not move
    1.0
    """
    a = draw.uniform()
    half = (x - a * expm1(-h) * score(t, x)) / (1 - a + a * exp(-h))
    return exp(h) * x + expm1(h) * score(t - h + log1p((1 - a) * expm1(h)), half)


@scheme
def midpoint(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """The randomized midpoint at a = 1/2: x' = e^h x + h e^{h/2} s_{t-h/2}(x_half).

    Baseline: the exponential midpoint rule. Two evaluations, two rounds.

    Examples
    --------
    >>> midpoint(1.0, 2.0, 0.0, lambda t, x: -x, None)
    1.0
    """
    half = exp(h / 2) * x + expm1(h / 2) * score(t, x)
    return exp(h) * x + h * exp(h / 2) * score(t - h / 2, half)


@scheme
def heun(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """y = x + h (x + s_t(x));  x' = x + (h/2) (x + s_t(x) + y + s_{t-h}(y)).

    Baseline: the explicit trapezoidal rule of second order. Two evaluations, two rounds; it asks the score at the
    end of the step, so the last noise level must be positive where the target is singular.

    Examples
    --------
    >>> heun(1.0, 2.0, 0.5, lambda t, x: -x, None)  # the standard normal does not move
    1.0
    """
    slope = x + score(t, x)
    y = x + h * slope
    return x + h / 2 * (slope + y + score(t - h, y))


@scheme
def euler(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    """x' = x + h (x + s_t(x)).

    Baseline: the explicit Euler rule of first order. One evaluation, one round.

    Examples
    --------
    >>> euler(1.0, 2.0, 0.5, lambda t, x: -2 * x, None)
    0.5
    """
    return x + h * (x + score(t, x))


@scheme
def reverse_euler(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""x' = e^h x + 2 sinh(h) s_t(x) + sqrt(e^{2h} - 1) W: the reverse diffusion, not the flow, with noise of its own.

    In y = e^t x the marginals are those of dY = dW at the time tau = e^{2t} - 1, with the score e^{-t} s_t, and the
    step is Euler and Maruyama's y' = y + (tau - tau') grad ln p_tau(y) + sqrt(tau - tau') W. Its mean is that of the
    ancestral sampler (DDPM) with the larger of the two customary variances.

    Source: Perbost, Bach, Marion 2026, equation (6), in their time tau. Baseline; one evaluation.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return (0.0,)
    >>> reverse_euler(1.0, 2.0, 0.5, lambda t, x: -x, Still())  # e^{-h}
    0.6065306597126334
    """
    (w,) = draw.normal(((expm1(2 * h),),))
    return exp(h) * x + (expm1(h) - expm1(-h)) * score(t, x) + w


@scheme
def ddim(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""DDIM: Euler's rule in sigma, on X = e^t x = x_0 + sigma eps, X' = X + (sigma' - sigma) eps(X).

    eps = -sqrt(1 - e^{-2t}) s_t(x), sigma = sqrt(e^{2t} - 1). On a mode of variance lam it multiplies the standard
    deviation, relative to the exact flow, by cos(theta - theta'), theta = arctan(sigma/sqrt(lam)).

    Source: Song, Meng, Ermon 2021, eq. 12 at eta = 0. One evaluation, one round.

    Examples
    --------
    >>> float(ddim(1.0, 2.0, 0.0, lambda t, x: -x, None))
    1.0
    """
    return exp(h) * x + sigma_step(t, h) * -sqrt(-expm1(-2 * t)) * score(t, x)


def sigma_step(t: Any, h: Any) -> Any:
    """e^{-t'} (sigma' - sigma), t' = t - h, as a quotient in which nothing cancels."""
    return -expm1(2 * h) / (sqrt(-expm1(-2 * (t - h))) + exp(h) * sqrt(-expm1(-2 * t)))
