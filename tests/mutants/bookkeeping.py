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
    Line("a_covariance_that_is_skipped", sampler.Call, "moments", "(self.slope @ covariance) * self.slope",
         "self.slope**2", "inputs"),
    Line("a_mean_that_is_skipped", sampler.Call, "moments", "self.shift + self.slope @ center", "self.shift", "inputs"),
    Line("means_in_variances", bookkeeping, "_misfits", "/ np.sqrt(due_v)", "/ due_v", "inputs"),
    Line("no_misfit_of_means", bookkeeping, "_misfits", "np.abs(m - due_m) / np.sqrt(due_v)", "0 * m", "inputs"),
    Line("a_scale_of_variances", bookkeeping, "_scale", "np.log(v / due_v) / 2", "np.log(v / due_v)", "kinds"),
    Line("steps_of_half_the_size", bookkeeping, "_in_steps", "/ gaps.min()", "/ gaps.min() * 2", "kinds"),
    Line("allowed_ten_thousand_times", bookkeeping, "_allowed", "own = _ROUNDINGS", "own = 1e4 * _ROUNDINGS", "slips"),
    Line("no_roundings", bookkeeping, "_allowed", "own = _ROUNDINGS", "own = 0 * _ROUNDINGS", "sound_loops"),
    Line("a_start_of_any_size", bookkeeping, "_start", "sigma**2 - room <= got <= sigma**2 + alpha**2 + room", "True",
         "scalings"),
    Line("a_start_of_one_size", bookkeeping, "_start", "<= sigma**2 + alpha**2 + room", "<= sigma**2 + room",
         "sound_loops"),
    Line("whatever_is_left_of_a_factor", bookkeeping, "_sharp", "bad.left_by_scale <= _EXACT * bad.misfit", "True",
         "sound_loops"),
    Line("whatever_is_left_of_a_level", bookkeeping, "_sharp", "bad.left_by_level > _EXACT * bad.misfit", "False",
         "sound_loops"),
    Line("never_a_factor", bookkeeping, "_sharp", "bad.left_by_scale <= _EXACT * bad.misfit", "False", "scalings"),
    Line("one_timestep_is_rounding", bookkeeping, "_sharp", "< _ROUNDED", "< 2 * _ROUNDED", "slips"),
    Line("rounding_is_a_slip", bookkeeping, "_sharp", "< _ROUNDED", "< 0 * _ROUNDED", "sound_loops"),
    Line("any_variance_is_a_level", bookkeeping, "_sharp", "alphas[0] == alphas[1]", "False", "sound_loops"),
    Line("no_variance_is_a_level", bookkeeping, "_sharp",
         "then is None or not abs(then.steps) >= _SLIP * abs(bad.steps)", "True", "slips"),
    Line("nothing_has_to_fall", bookkeeping, "_shrinking", "worst * 2**-0.5", "worst * 2", "slips"),
]  # fmt: skip
