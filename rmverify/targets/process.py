r"""The noise and its clock: the Ornstein-Uhlenbeck process dX = -X dt + sqrt(2) dB, mode by mode, on Gaussian data.

A mode is a coordinate of the target's eigenbasis, with variance ``lam`` and mean ``mean`` at time 0. At noise level
t its mean is e^{-t} mean and its variance v(t) = 1 + (lam-1) e^{-2t}. Everything is written with the elementary
functions, so that it holds for arrays of modes, symbols and balls alike.
"""

from __future__ import annotations

from typing import Any

from rmverify.elementary import exp, expm1, sqrt

__all__ = ["flow_slope", "mode_mean", "mode_score", "mode_variance"]


def mode_mean(mean: Any, t: Any) -> Any:
    """m(t) = e^{-t} m."""
    return exp(-t) * mean


def mode_variance(lam: Any, t: Any) -> Any:
    """v(t) = lam e^{-2t} + (1 - e^{-2t}), accurate at lam = 0 and small t.

    Examples
    --------
    >>> mode_variance(0.0, 1e-9)
    1.999999998e-09
    """
    return exp(-2 * t) * lam - expm1(-2 * t)


def mode_score(mean: Any, lam: Any, t: Any, x: Any) -> Any:
    """s_t(x) = -(x - m(t))/v(t)."""
    return (mode_mean(mean, t) - x) / mode_variance(lam, t)


def flow_slope(lam: Any, t: Any, h: Any) -> Any:
    """sqrt(v(t-h)/v(t)): the exact flow is x - m(t) -> slope (x - m(t)) + m(t-h)."""
    return sqrt(mode_variance(lam, t - h) / mode_variance(lam, t))
