r"""Predictors with noise: steps of the reverse diffusion, from noise level t down to t-h.

The flow carries a law down by a map; the reverse diffusion redraws part of the noise, and forgets its errors. It solves
dY = (Y + 2 s_{t-r}(Y)) dr + sqrt(2) dB in r = 0..h, so that

    Y_h = e^h Y_0 + 2 int_0^h e^{h-r} s_{t-r}(Y_r) dr + sqrt(2) int_0^h e^{h-r} dB_r,

the last term N(0, e^{2h} - 1). On N(m, v) at t it makes of x the mean m(t-h) + e^{-h} (v'/v) (x - m(t)) and the
variance (1 - e^{-2h}) v'/v, v' the variance at t-h. `reverse_euler` is such a step in other coordinates.
"""

from __future__ import annotations

from typing import Any

from rmverify.elementary import exp, expm1, log1p
from rmverify.schemes.contract import Draw, Score, scheme

__all__ = ["ddpm", "exponential_sde", "jiao_li", "randomized_midpoint_sde"]


@scheme
def ddpm(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""x' = e^h x + 2 sinh(h) s_t(x) + N(0, sigma^2), sigma^2 = (1-e^{-2h})(1-e^{-2(t-h)})/(1-e^{-2t}).

    Ancestral sampling with the variance of x_{t-h} given x_t and the data: with abar_t = e^{-2t}, alpha = e^{-2h} and
    the noise eps = -sqrt(1-abar_t) s_t(x), x' = (x - (1-alpha)/sqrt(1-abar_t) eps)/sqrt(alpha) plus N(0, (1-alpha)
    (1-abar_{t-h})/(1-abar_t)). The mean is that of x_{t-h} given x_t for every law of the data; the variance is, where
    the data are one point, and too small elsewhere. Without noise in the last step to level 0.

    Source: Ho, Jain, Abbeel 2020, Algorithm 2 and equations (6)-(7) with the smaller variance [recalled], on levels of
    any spacing. One evaluation, one round.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return (0.0,)
    >>> ddpm(1.0, 2.0, 0.5, lambda t, x: -x, Still())  # e^{-h}
    0.6065306597126334
    """
    (w,) = draw.normal(((-expm1(-2 * h) * (expm1(-2 * (t - h)) / expm1(-2 * t)),),))
    return exp(h) * x + (expm1(h) - expm1(-h)) * score(t, x) + w


@scheme
def exponential_sde(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""x' = e^h x + 2 (e^h - 1) s_t(x) + N(0, e^{2h} - 1): the score frozen over the step, the rest exact.

    Source: the exponential integrator of the reverse diffusion, as analysed by Chen, Chewi, Li, Li, Salim, Zhang 2023
    [recalled]. One evaluation, one round.

    Examples
    --------
    >>> class Still:
    ...     def normal(self, covariance, count=None): return (0.0,)
    >>> exponential_sde(1.0, 2.0, 0.5, lambda t, x: -x, Still())  # 2 - e^h
    0.351278729299871...
    """
    (w,) = draw.normal(((expm1(2 * h),),))
    return exp(h) * x + 2 * expm1(h) * score(t, x) + w


@scheme
def randomized_midpoint_sde(x: Any, t: Any, h: Any, score: Score, draw: Draw) -> Any:
    r"""x_mid = e^r x + 2 (e^r - 1) s_t(x) + W;  x' = e^h x + 2 (e^h - 1) s_{t-r}(x_mid) + e^{h-r} W + W',  r on [0, h]
    of density e^{h-r}/(e^h - 1), W ~ N(0, e^{2r} - 1), W' ~ N(0, e^{2(h-r)} - 1).

    DDRaM: the randomized midpoint for the reverse diffusion, on one Brownian path. e^{-r} is uniform on [e^{-h}, 1], as
    in `importance_midpoint`. Two evaluations, two rounds.

    Source: Zhang, Huan, Huang, Boffi, Chen, Chewi 2025, by the authors' public code (schedule="ou",
    importance_sample=True) [found].

    Examples
    --------
    >>> from rmverify import Predict
    >>> Predict(randomized_midpoint_sde, [1.0, 0.5]).footprint
    Footprint(rounds=2, evaluations=2, uniforms=(1,), width=1)
    """
    a = draw.uniform()
    gone, left = -a * expm1(-h), 1 - a + a * exp(-h)  # 1 - e^{-r}, e^{-r}
    rest = (1 - a) * expm1(h)  # e^{h-r} - 1
    (w,) = draw.normal(((gone * (1 + left),),))  # W e^{-r}
    (end,) = draw.normal(((rest * (2 + rest),),))
    half = (x + 2 * gone * score(t, x) + w) / left
    return exp(h) * (x + w) + 2 * expm1(h) * score(t - h + log1p(rest), half) + end


@scheme
def jiao_li(x: Any, t: Any, h: Any, score: Score, draw: Draw, *, cells: Any) -> Any:
    r"""A round of n cells of the flow, from t down past t - h, and noise back: one evaluation a cell.

    The round ends at b = (t-h)^2/t; its cells are [t-(i+1)l, t-il], l = (t-b)/n, each with a random level r_i, e^{-2r}
    uniform in it. In u = e^{r-t} x the flow adds e^{3r-t} s/2 d(e^{-2r}). Up to r_i the score s_{i-1} of the level
    before is used (at first s_t(x)), u(r_i) = u_i + e^{3r_{i-1}-t} s_{i-1} (e^{-2r_i} - e^{-2(t-il)})/2, and over the
    whole cell that of its own, u_{i+1} = u_i + e^{3r_i-t} s_i (e^{-2(t-(i+1)l)} - e^{-2(t-il)})/2. Then noise from b
    back to t-h, x' = e^{-k} x_b + N(0, 1 - e^{-2k}), k = t - h - b.

    Source: Li and Jiao 2024, equations (8)-(11) [found], for rounds that start and end at the edge of a cell and cells
    of equal length; K steps are their K rounds, none of which overruns the last level. n+1 evaluations, one after the
    other. Averages over all its levels at once are known for a few cells; given the levels every law is.

    Parameters
    ----------
    cells : int
        n >= 1.

    Examples
    --------
    >>> from rmverify import Predict
    >>> Predict(jiao_li(cells=8), [1.0, 0.5]).footprint.evaluations
    9
    """
    length = h * (2 - h / t) / cells
    whole = expm1(2 * length) / 2
    u, last = x, score(t, x)
    for i in range(cells):
        a = draw.uniform()
        above = i * length  # of the cell, below t
        depth = above + log1p(2 * a * whole) / 2
        half = exp(depth) * (u + exp(2 * above) * a * whole * last)
        level = (t - h) * (1 - h / t) + (cells - 1 - i) * length - log1p((1 - a) * expm1(-2 * length)) / 2
        last = exp(-3 * depth) * score(level, half)
        u = u + exp(2 * above) * whole * last
    back = h * (1 - h / t)
    (w,) = draw.normal(((-expm1(-2 * back),),))
    return exp(cells * length - back) * u + w
