"""Targets: laws whose noised marginals and scores are known in closed form."""

from rmverify.targets.estimated import EstimatedScore
from rmverify.targets.factors import (
    ExponentialGaussian,
    Factor,
    LaplaceGaussian,
    SkewNormal,
    TwoGaussians,
    UniformGaussian,
)
from rmverify.targets.gaussian import Gaussian, Modes
from rmverify.targets.gaussian_mixture import GaussianMixture
from rmverify.targets.guided import Guided
from rmverify.targets.product import Product
from rmverify.targets.target import Target

__all__ = [
    "EstimatedScore",
    "ExponentialGaussian",
    "Factor",
    "Gaussian",
    "GaussianMixture",
    "Guided",
    "LaplaceGaussian",
    "Modes",
    "Product",
    "SkewNormal",
    "Target",
    "TwoGaussians",
    "UniformGaussian",
]
