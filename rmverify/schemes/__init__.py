"""The schemes, each written once as a pure step function in the paper's letters.

What is shipped is `SHIPPED`, by name; the rest is what a step of your own is made with and judged by.
"""

from rmverify.schemes.contract import SHIPPED, Draw, Score, parameters, scheme, velocity_variance
from rmverify.schemes.langevin import overdamped, randomized_midpoint_langevin, underdamped
from rmverify.schemes.parallel import (
    parallel_langevin,
    parallel_midpoint,
    parallel_slices,
    parallel_underdamped,
    parareal,
)
from rmverify.schemes.probability_flow import euler, exponential_integrator, heun, midpoint, randomized_midpoint

__all__ = [
    "SHIPPED",
    "Draw",
    "Score",
    "euler",
    "exponential_integrator",
    "heun",
    "midpoint",
    "overdamped",
    "parallel_langevin",
    "parallel_midpoint",
    "parallel_slices",
    "parallel_underdamped",
    "parameters",
    "parareal",
    "randomized_midpoint",
    "randomized_midpoint_langevin",
    "scheme",
    "underdamped",
    "velocity_variance",
]

SHIPPED |= {
    step.__name__: step
    for step in (
        euler, exponential_integrator, heun, midpoint, overdamped, parallel_midpoint, parallel_underdamped,
        randomized_midpoint, randomized_midpoint_langevin, underdamped, parareal, parallel_slices, parallel_langevin,
    )
}  # fmt: skip
