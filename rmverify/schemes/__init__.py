"""The schemes, each written once as a pure step function in the paper's letters.

What is shipped is `SHIPPED`, by name; the rest is what a step of your own is made with and judged by.
"""

from rmverify.schemes.contract import SHIPPED, Draw, Score, parameters, scheme, velocity_variance
from rmverify.schemes.langevin import (
    overdamped,
    overdamped_midpoint,
    poisson_midpoint,
    randomized_midpoint_langevin,
    stochastic_runge_kutta,
    stratified_hmc,
    underdamped,
    underdamped_euler,
)
from rmverify.schemes.parallel import (
    parallel_langevin,
    parallel_midpoint,
    parallel_overdamped,
    parallel_slices,
    parallel_underdamped,
    parareal,
)
from rmverify.schemes.probability_flow import (
    ddim,
    euler,
    exponential_integrator,
    heun,
    importance_midpoint,
    midpoint,
    randomized_midpoint,
    reverse_euler,
)
from rmverify.schemes.reverse import ddpm, exponential_sde, jiao_li, randomized_midpoint_sde

__all__ = [
    "SHIPPED",
    "Draw",
    "Score",
    "ddim",
    "ddpm",
    "euler",
    "exponential_integrator",
    "exponential_sde",
    "heun",
    "importance_midpoint",
    "jiao_li",
    "midpoint",
    "overdamped",
    "overdamped_midpoint",
    "parallel_langevin",
    "parallel_midpoint",
    "parallel_overdamped",
    "parallel_slices",
    "parallel_underdamped",
    "parameters",
    "parareal",
    "poisson_midpoint",
    "randomized_midpoint",
    "randomized_midpoint_langevin",
    "randomized_midpoint_sde",
    "reverse_euler",
    "scheme",
    "stochastic_runge_kutta",
    "stratified_hmc",
    "underdamped",
    "underdamped_euler",
    "velocity_variance",
]

SHIPPED |= {name: globals()[name] for name in __all__ if hasattr(globals()[name], "kinetic")}  # the marked ones
