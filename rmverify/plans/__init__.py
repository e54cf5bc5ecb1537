"""Plans: what is run, from noise level T down to the early-stopping level, and what it costs; the theorems' own."""

from rmverify.plans.schedules import Levels, level_of, schedule, sigma_of
from rmverify.plans.stages import Correct, Footprint, Plan, Predict, Stage, footprint
from rmverify.plans.theorems import dpum, log_concave, parallel, rounds_of, sequential

__all__ = [
    "Correct",
    "Footprint",
    "Levels",
    "Plan",
    "Predict",
    "Stage",
    "dpum",
    "footprint",
    "level_of",
    "log_concave",
    "parallel",
    "rounds_of",
    "schedule",
    "sequential",
    "sigma_of",
]
