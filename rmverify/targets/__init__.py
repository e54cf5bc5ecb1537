"""Targets: laws whose noised marginals and scores are known in closed form."""

from rmverify.targets.estimated import EstimatedScore
from rmverify.targets.gaussian import Gaussian, Modes
from rmverify.targets.mixture import GaussianMixture

__all__ = ["EstimatedScore", "Gaussian", "GaussianMixture", "Modes"]
