"""Mutants of bookkeeping: each one line written wrongly, and the fact of `test_bookkeeping` that refutes it."""

from __future__ import annotations

from importlib import import_module

from mutants import Line

bookkeeping = import_module("rmverify.samplers.bookkeeping")
sampler = import_module("rmverify.samplers.sampler")

LINES = [
    Line("a_variance_without_noise", sampler, "booked", "alpha**2 * lam + sigma**2\n    misfit",
         "alpha**2 * lam\n    misfit", "inputs"),
    Line("alpha_once", sampler, "booked", "due_m, due_v = alpha * mean, alpha**2 * lam + sigma**2",
         "due_m, due_v = alpha * mean, alpha * lam + sigma**2", "inputs"),
    Line("the_start_error_stays", sampler, "booked", "            reading.start(start)", '            start = "normal"',
         "inputs"),
    Line("a_covariance_that_is_skipped", sampler.Call, "together", "self.slope @ covariance @ self.slope.T",
         "self.slope @ self.slope.T", "inputs"),
    Line("a_mean_that_is_skipped", sampler.Call, "together", "self.shift + self.slope @ center", "self.shift",
         "inputs"),
    Line("infinite_by_infinite", bookkeeping, "_misfits", "np.abs(v / due_v - 1)", "np.abs(v - due_v) / due_v",
         "inputs"),
    Line("means_in_variances", bookkeeping, "_misfits", "/ np.sqrt(due_v)", "/ due_v", "inputs"),
    Line("no_misfit_of_means", bookkeeping, "_misfits", "np.abs(m - due_m) / np.sqrt(due_v)", "0 * m", "inputs"),
    Line("a_scale_of_variances", bookkeeping, "_scale", "np.log(v / due_v) / 2", "np.log(v / due_v)", "kinds"),
    Line("steps_of_half_the_size", bookkeeping, "_in_steps", "/ gaps.min()", "/ gaps.min() * 2", "kinds"),
    Line("allowed_ten_thousand_times", bookkeeping, "_allowed", "own = _ROUNDINGS", "own = 1e4 * _ROUNDINGS", "slips"),
    Line("no_roundings", bookkeeping, "_allowed", "own = _ROUNDINGS", "own = 0 * _ROUNDINGS", "sound_loops"),
    Line("a_start_of_any_size", bookkeeping, "_start", "sigma**2 - room <= got <= (sigma + alpha) ** 2 + room", "True",
         "scalings"),
    Line("a_start_of_one_size", bookkeeping, "_start", "<= (sigma + alpha) ** 2 + room", "<= sigma**2 + room",
         "sound_loops"),
    Line("whatever_is_left_of_a_factor", bookkeeping, "_sharp", "bad.left_by_scale <= exact", "True", "slips"),
    Line("never_a_factor", bookkeeping, "_sharp", "bad.left_by_scale <= exact", "False", "scalings"),
    Line("a_factor_that_falls", bookkeeping, "_sharp", "and stays(lambda b: math.log(b.scale))", "", "sound_loops"),
    Line("a_level_that_falls", bookkeeping, "_sharp", "stays(lambda b: b.steps)", "True", "sound_loops"),
    Line("no_level_stays", bookkeeping, "_sharp", "stays(lambda b: b.steps)", "False", "slips"),
    Line("no_timestep_is_whole", bookkeeping, "_sharp", "(whole or", "(False or", "slips"),
    Line("accumulated_and_not_of_one_call", bookkeeping, "_sharp", "np.abs(np.diff([size(b) for b in then]))",
         "np.abs([size(b) for b in then])", "sound_loops"),
    Line("one_timestep_is_rounding", bookkeeping, "_sharp", "abs(off) < _ROUNDED", "abs(off) < 2 * _ROUNDED", "slips"),
    Line("rounding_is_a_slip", bookkeeping, "_sharp", "abs(off) < _ROUNDED", "False", "sound_loops"),
    Line("roundings_hide_nothing", bookkeeping, "_sharp", "if b.allowed < _TOLD", "if b.allowed < math.inf", "hidden"),
    Line("nothing_has_to_fall", bookkeeping, "_shrinking", "worst * times**-0.5", "worst * 2", "what_does_not_fall"),
]  # fmt: skip
