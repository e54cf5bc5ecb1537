"""The schemes, each written once as a pure step function in the paper's letters."""

from typing import Any

from rmverify.schemes.contract import parameters, scheme, unwrap, velocity_variance
from rmverify.schemes.langevin import overdamped, randomized_midpoint_langevin, underdamped
from rmverify.schemes.parallel import parallel_midpoint, parallel_underdamped
from rmverify.schemes.probability_flow import (
    euler,
    exponential_integrator,
    heun,
    midpoint,
    randomized_midpoint,
)

__all__ = [
    "euler",
    "exponential_integrator",
    "heun",
    "midpoint",
    "overdamped",
    "parallel_midpoint",
    "parallel_underdamped",
    "parameters",
    "randomized_midpoint",
    "randomized_midpoint_langevin",
    "scheme",
    "underdamped",
    "velocity_variance",
]

_SHIPPED = (
    euler, exponential_integrator, heun, midpoint, overdamped, parallel_midpoint, parallel_underdamped,
    randomized_midpoint, randomized_midpoint_langevin, underdamped,
)  # fmt: skip


def shipped(scheme: Any) -> bool:
    """Whether a scheme is one of these, with whatever parameters: analytic in what it draws, and checked elsewhere.

    Examples
    --------
    >>> shipped(underdamped(friction=2)), shipped(lambda x, t, h, score, draw: x)
    (True, False)
    """
    step, _ = unwrap(scheme)
    return any(step is each for each in _SHIPPED)
