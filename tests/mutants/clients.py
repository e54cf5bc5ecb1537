"""Mutants of the adapters that only real libraries refute: one line written wrongly, and the test that fails."""

from __future__ import annotations

from mutants import Line
from rmverify.adapters import functions, kernels, schedulers

DIFFUSERS = [
    Line("an_input_that_is_not_scaled", schedulers._Scheduler, "run",
         'scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x', "x", "euler"),
    Line("a_start_of_variance_1", schedulers._Scheduler, "run", 'x * getattr(scheduler, "init_noise_sigma", 1.0)',
         "1.0 * x", "euler"),
    Line("not_told_the_timestep_before", schedulers._Scheduler, "run", 'if "prev_timestep" in wanted:', "if False:",
         "unclip"),
    Line("told_its_own_timestep", schedulers._Scheduler, "run", "times[n + 1] if n + 1 < len(times) else None",
         "times[n] if n + 1 < len(times) else None", "unclip"),
    Line("clipped_as_it_comes", schedulers, "_family", "dict.fromkeys(off, False)", "{}", "ddim"),
    Line("options_of_its_step_forgotten", schedulers._Scheduler, "run", "dict(self.step)", "{}", "eta"),
]  # fmt: skip
FUNCTIONS = [
    Line("a_start_of_variance_1", functions, "k_diffusion", "x * given[0], given", "x, given", "own"),
    Line("its_end_is_the_data", functions, "k_diffusion", "end=None if at[-1] == 0 else float(at[-1])", "end=None",
         "sigmas"),
    Line("brownian_whatever_it_draws", functions, "k_diffusion", "if brownian is None else brownian",
         'or "noise_sampler" in has', "noise_sampler"),
]  # fmt: skip
KERNELS = [
    Line("a_slope_too_steep", kernels, "_logdensity", "(slope * dx).sum()", "(2 * slope * dx).sum()", "sgld"),
    Line("a_step_size_forgotten", kernels, "blackjax", "state, *arguments)", "state, *arguments[:2])", "temperature"),
]  # fmt: skip
