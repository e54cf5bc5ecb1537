"""The bounds that theorems are made of, each written once: claims state and measure them, programs combine them.

By claim; what a claim prints beside its main bound follows after a comma. Constants and logarithms of the field's own
statements are left out where they are left out there.
"""

from __future__ import annotations

from collections.abc import Mapping

from rmverify.exponents.formulas import Bound

__all__ = ["BOUNDS"]

BOUNDS: Mapping[str, Bound] = {name: Bound(text) for name, text in {
    # W_2 after a window of length 1/L
    "B5, randomized midpoint": "L sqrt(d) h^{3/2} + eps_sc/L",
    "B5, exponential integrator": "sqrt(L d) h + eps_sc/L",
    # total variation after underdamped Langevin of time T from laws W_2 apart, jointly
    "C1": "W_2/(L^{1/4} T^{3/2})",
    # KL and total variation of the position alone
    "C4": "W_2^2/T^2 (1/2 + L^2 T^3/(6 gamma) + gamma T/2)",
    "C4, sharper": "W_2^2/T^2 (1/2 + L^2 T^3/(12 gamma) + L T^2/4 + gamma T/4)",
    "C4, log-concave": "W_2^2/T^2 (1/2 + L^2 T^3/(12 gamma) + gamma T/4)",
    "C4, variation": "0.764 W_2/T",
    "C4, variation, sharper": "0.737 W_2/T",
    "C4, variation, log-concave": "0.646 W_2/T",
    # what the discretization of the dynamics adds
    "C2": "L^{3/4} T^{1/2} d^{1/2} h + eps_sc T^{1/2}/L^{1/4}",
    # steps to W_2 = "C3, reached" on a log-concave target
    "C3": "kappa^{7/6} eps_w^{-1/3} + kappa eps_w^{-2/3}",
    "C3, reached": "eps_w sqrt(d/m)",
    # steps to total variation eps, as printed
    "D0": "L^2 sqrt(d)/eps",
    "D1": "L^{5/3} d^{5/12}/eps",
    "D3": "kappa^{4/3} d^{5/12} eps^{-2/3} + kappa d^{5/12}/eps",
    # those of later papers, for other analyses or other samplers
    "D1, since": "L d^{1/3} eps^{-2/3}",
    "D3, since": "kappa^{5/6} d^{1/3} eps^{-2/3}",
    # the score's error that D1 allows
    "D4": "eps/(d^{1/12} sqrt(L))",
    # steps again, at the best corrector time
    "D5": "max(L^{9/5} d^{2/5} eps^{-4/5}, L^{5/3} d^{1/3} eps^{-2/3})",
    "D5, log-concave": "max(kappa^{4/5} d^{2/5} eps^{-4/5}, kappa^{4/3} d^{1/3} eps^{-2/3})",
    "D7": "L^{23/13} d^{5/13} eps^{-10/13}",
    "D7, log-concave": "max(kappa^{12/13} d^{5/13} eps^{-10/13}, kappa^{4/3} d^{1/3} eps^{-2/3})",
    # W_2 after n steps of Langevin samplers, with their printed constants
    "F1": "1.11 exp(-m n h/2) W_0 + (2.4 sqrt(kappa M h) + 1.77) M h sqrt(p/m)",
    "F2": "1.6 exp(-m n h) W_0 + 0.1 sqrt(exp(-m n h) f_0/m) + 0.2 (gamma h)^3 sqrt(kappa p/m)"
    " + 10 (gamma h)^{3/2} sqrt(p/m)",
    "F3": "2 exp(-m n h) W_0 + 0.05 sqrt(exp(-m n h) f_0/m) + 0.9 gamma h sqrt(kappa p/m)",
    # W_2^2 of N(0, 1) from N(0, 1) * V; `beyond` is 1 where beta > 1
    "F4": "11/2 nu^2 + 30 beyond nu",
    # what the score's error gains at x_half
    "F5": "2 L r",
    # what fresh noise of variance sigma^2 D in every score costs in W_2
    "F6": "sigma sqrt(D h)",
    # the distance to the exact dynamics on the same path and to its law, after N steps of a fixed time
    "F7, strong": "sqrt(d) N^{-3/2}",
    "F7, weak": "N^{-3}",
    # what parallel midpoints leave invariant, W_2 given the midpoints
    "F9": "(M h/R)^{3/2} sqrt(p/m)",
    # parallel steps to W_2 = "C3, reached"
    "F8": "kappa log(1/eps_w)",
    # the corrector's time: published, and best
    "D1, time": "L^{-1/2} d^{-1/18}",
    "D5, time": "L^{-19/30} d^{-1/15} eps^{2/15}",
    "D7, time": "L^{-17/26} d^{-1/13} eps^{2/13}",
    # of the variance left invariant, k Var - 1, for curvature k: leading terms
    "K1": "k^3 h^3/6",
    "K1, overdamped": "k h/2",
    # steps to W_2 = "C3, reached" again
    "K1, steps": "kappa^{4/3} eps_w^{-2/3} + kappa eps_w^{-1}",
    "K4, steps": "kappa^{5/3} eps_w^{-2/3}",
    "K5, steps": "d^{2/3} eps_w^{-2/3}",
    "K4": "-k u h^2/4",
    "K5": "-k^2 h^2/6",
    "K3": "k h/(2 M)",
    "K3, many cells": "k^2 h^2/3",
    "K2": "k^2 h^2/(3 R^2)",
    "K2, no rounds": "k^2 h^2 (R^{-2} - 1)/6",
}.items()}  # fmt: skip
