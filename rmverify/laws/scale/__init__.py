"""The law of the variance of centred isotropic laws over their midpoints."""

from rmverify.laws.scale.stage import (
    MOST_CELLS,
    NODES,
    STENCIL,
    Known,
    Lattice,
    ScaleMixture,
    Unresolved,
    kept,
    lagrange,
    log_defect,
    many_strata,
    scale_lattice,
    scale_mixture,
    scale_spread,
)

__all__ = [
    "MOST_CELLS", "NODES", "STENCIL", "Known", "Lattice", "ScaleMixture", "Unresolved", "kept", "lagrange", "log_defect",
    "many_strata", "scale_lattice", "scale_mixture", "scale_spread",
]  # fmt: skip
