"""Samplers of other people's libraries, made ready to be read: one function for each kind of interface.

A library's sampler has its own way of being called: an object with `set_timesteps` and `step`, a function of a list of
sigmas, an ODE solver, a pair of `init` and `step`. Each adapter knows one such way, and says what it assumed beside.
The libraries are imported only where they are used.
"""

from __future__ import annotations

from rmverify.adapters.equations import ode
from rmverify.adapters.family import Brownian, Family
from rmverify.adapters.functions import k_diffusion, karras
from rmverify.adapters.kernels import blackjax
from rmverify.adapters.names import named
from rmverify.adapters.schedulers import diffusers

__all__ = ["Brownian", "Family", "blackjax", "diffusers", "k_diffusion", "karras", "named", "ode"]
