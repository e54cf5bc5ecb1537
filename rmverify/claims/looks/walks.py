r"""Chains x' = T(x) + sqrt(2 tau) Z on the line, whose law is carried from nodes to nodes.

Unadjusted Langevin on a potential with a kink, or from a few points of data, leaves the families whose laws have a
reading of their own; in one dimension a sum over nodes is as good.

After a step the density is a sum of Gaussians about T(x_j), so that no law is interpolated: it is asked at the nodes of
the next step, whose panels end where that step's T has a kink. How much the rule misses is judged by one of half as
wide panels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.numbers.quadrature import on_panels

__all__ = ["Nodes", "between", "kernel", "normal_density"]


class Nodes(NamedTuple):
    """Points of a rule and their weights."""

    x: Array
    weights: Array


def between(low: float, high: float, width: float, cuts: Iterable[float] = ()) -> Nodes:
    """The nodes of panels at most so wide, that end at the cuts.

    Examples
    --------
    >>> nodes = between(-1.0, 2.0, 0.5, [0.0])
    >>> round(float((nodes.weights * np.abs(nodes.x)).sum()), 12)
    2.5
    """
    ends = np.unique([low, *(cut for cut in cuts if low < cut < high), high])
    breaks = [np.linspace(a, b, math.ceil((b - a) / width) + 1) for a, b in itertools.pairwise(ends)]
    x, weights = on_panels(np.unique(np.concatenate(breaks)))
    return Nodes(x.ravel(), weights.ravel())


def normal_density(x: Array, mean: Array | float, variance: float) -> Array:
    """That of N(mean, variance)."""
    return np.asarray(np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance))


def kernel(move: Callable[[Array], Array], nodes: Nodes, tau: float, y: Array) -> Array:
    """The matrix that takes a density at the nodes to that after a step, at the points y.

    Examples
    --------
    >>> nodes = between(-9.0, 9.0, 0.5)
    >>> after = kernel(lambda x: x / 2, nodes, 0.5, np.array([0.0])) @ normal_density(nodes.x, 0.0, 1.0)
    >>> bool(np.allclose(after, normal_density(0.0, 0.0, 1.25)))
    True
    """
    return normal_density(y[:, None], move(nodes.x)[None, :], 2 * tau) * nodes.weights
