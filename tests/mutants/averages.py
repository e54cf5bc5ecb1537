"""Mutants of the averages over what a step draws: each a way to look at a step that misses a narrow event."""

from __future__ import annotations

import numpy as np

from rmverify.laws.averages import bends, rules


def one_panel(patch):
    """Gauss-Legendre on all of [0, 1], confirmed by more nodes of the same kind."""
    patch.setattr(rules, "bends", lambda stage, modes: [np.array([[0.0, 1.0]])] * stage.footprint.alphas)


def a_coarse_grid(patch):
    """A thousand times fewer probes."""
    patch.setattr(bends, "_GRID", 1 << 10)


def nothing_is_halved_far(patch):
    """Panels shorter than 1e-3 are taken as they are."""
    patch.setattr(bends, "_points", lambda a, b: b - a < 1e-3)


def nodes_alone(patch):
    """A panel is looked at where its nodes are, and nowhere else."""
    patch.setattr(bends, "_misses", lambda *panel: False)


QUADRATURES = [one_panel, a_coarse_grid, nothing_is_halved_far, nodes_alone]
