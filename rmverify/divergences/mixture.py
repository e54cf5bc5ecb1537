r"""The law averaged over the midpoints of a plan beside a Gaussian: exact where it is a mixture of scales.

On a centred isotropic target the midpoints change nothing but the variance: the law is a mixture of centred Gaussians
over the logarithm u of their variance, of which `rmverify.laws.scale` knows the law P. Divergences are then integrals
over the radius (`rmverify.divergences.radial`), and E_alpha TV, what a sampler is off by whose particles share one set
of midpoints, is int TV(N(0, e^u I), N(0, I)) dP(u): a smooth density once a few steps have been taken, where TV has a
kink at u = 0. Everything else is sampled (`rmverify.divergences.averaged`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rmverify.divergences.averaged import Sampled
from rmverify.divergences.radial import radial_hellinger, radial_kl, radial_reverse_kl, radial_tv
from rmverify.divergences.tv import total_variation_many
from rmverify.laws.scale import STENCIL, Lattice, Unresolved, lagrange
from rmverify.numbers.quadrature import NODES, WEIGHTS
from rmverify.numbers.values import Value

__all__ = ["Averaged"]

Radial = Callable[[Any, float], Value]

_AGREE = 1e-9  # relative, between one form of the law and a finer one
_RULES = (8, 12, 18, 27, 40, 60)
_FINENESS = (5.0, 6.5, 9.0, 13.0)
_MOST_WORK = 3e9  # steps x nodes^4
_WIDE = 0.4  # spread from which the lattice is tried before the rules
_POINTS = (10.0, 15.0)  # lattice points to a standard deviation of u: two counts, whose difference is the error
_AVERAGES_AGREE = 1e-5


class Averaged(Sampled):
    """The law averaged over the midpoints beside a Gaussian: exact where it is a scale mixture that is resolved and q
    centred with one variance, and sampled elsewhere."""

    def tv(self) -> Value:
        exact = self._exact(radial_tv, 1.0)
        return super().tv() if exact is None else exact

    def kl(self) -> Value:
        exact = self._exact(radial_kl if self.forward else radial_reverse_kl)
        return super().kl() if exact is None else exact

    def hellinger(self) -> Value:
        exact = self._exact(radial_hellinger, 1.0)
        return super().hellinger() if exact is None else exact

    def expected_tv(self) -> Value:
        exact = self._average() if self.centred and self.mixture.is_scale_mixture else None
        return super().expected_tv() if exact is None else exact

    @property
    def centred(self) -> bool:
        """Whether q is N(0, b I) with b > 0."""
        q = self.other
        return bool(q.variances.size == 1 and q.means[0] == 0 and q.variances[0] != 0)

    def _exact(self, radial: Radial, top: float = math.inf) -> Value | None:
        """The divergence `radial`, at most `top`, with finer and finer Gauss rules, or lattices, of the scales until
        two agree, to 1e-9 or to their rounding, their difference in the error; None where they do not."""
        law = self.mixture
        if not (self.centred and law.is_scale_mixture):
            return None
        try:
            spread = law.scale_spread
        except Unresolved:
            return None
        rules = [n for n in _RULES if law.scale_work * n**4 <= _MOST_WORK or n <= 12]
        ways: list[tuple[Any, Any]] = [(law.scale_rule, rules), (law.scale_lattice, _FINENESS)]
        found = (self._settled(radial, top, *way) for way in (ways if spread < _WIDE else ways[::-1]))
        return next((value for value in found if value is not None), None)

    def _settled(self, radial: Radial, top: float, form: Any, sizes: Any) -> Value | None:
        before: Value | None = None
        for size in sizes:
            try:
                value = radial(form(size), float(self.other.variances[0]))
            except Unresolved:
                return None
            if not math.isfinite(value) or value.kind != "exact":
                return None
            if before is not None and abs(value - before) <= max(_AGREE * value, before.error + value.error):
                return Value.clipped(value, value.error + abs(value - before), 0, top)
            before = value
        return None

    def _average(self) -> Value | None:
        """E_a TV(P_a, q) over the density of the log variance; None where that is not resolved, or not smooth after so
        few steps."""
        law, b = self.mixture, float(self.other.variances[0])
        if not law.scale_spread > 0:
            return None
        try:
            coarse, fine = (law.scale_lattice(points / law.scale_spread) for points in _POINTS)
        except Unresolved:
            return None
        value = _average(fine, b)
        change = abs(value - _average(coarse, b))
        if not change <= _AVERAGES_AGREE * value:
            return None
        return Value.clipped(value, change + fine.rounding * math.sqrt(law.dim / 8) + 1e-13 * value, 0, 1)


def _average(lattice: Lattice, variance: float) -> float:
    """int TV(u) p(u) du, p interpolated from the weights, split where u = 0."""
    shift = math.log(lattice.reference / variance)
    pad = STENCIL
    density = np.pad(lattice.weights, pad) / lattice.spacing
    low = lattice.first - pad * lattice.spacing
    ends = low + lattice.spacing * np.array([STENCIL // 2, density.size - 1 - STENCIL // 2])
    total = 0.0
    for a, b in itertools.pairwise((ends[0], min(max(-shift, ends[0]), ends[1]), ends[1])):
        panels = math.ceil((b - a) / (4 * lattice.spacing))
        if not panels:
            continue
        edges = np.linspace(a, b, panels + 1)
        half = np.diff(edges) / 2
        u = ((edges[:-1] + half)[:, None] + half[:, None] * NODES).ravel()
        weights = (half[:, None] * WEIGHTS).ravel()
        place = (u - low) / lattice.spacing
        cell = np.floor(place).astype(int)
        stencil = cell[:, None] + np.arange(1 - STENCIL // 2, STENCIL // 2 + 1)
        p = (lagrange(place - cell) * density[stencil]).sum(axis=1)
        keep = np.abs(p * weights) > 1e-18
        ratio = np.expm1(-(u[keep] + shift))[:, None]
        distances, _ = total_variation_many(ratio, np.zeros_like(ratio), np.array([float(lattice.dim)]))
        total += float((p * weights)[keep] @ distances)
    return total
