"""Mutants of the adapters: each one line written wrongly, and the fact of `test_adapters` that refutes it."""

from __future__ import annotations

from mutants import Line
from rmverify import paths
from rmverify.adapters import equations, family, functions, schedulers

LINES = [
    Line("a_bridge_without_its_width", family.Brownian, "_at", "math.sqrt(part * (b - t))", "math.sqrt(b - t)",
         "brownian"),
    Line("a_bridge_from_the_wrong_end", family.Brownian, "_at", "(1 - part) * values[n - 1] + part * values[n]",
         "part * values[n - 1] + (1 - part) * values[n]", "brownian"),
    Line("before_all_times_from_0", family.Brownian, "_at", "values[0] - math.sqrt(times[0] - t)",
         "0 * values[0] - math.sqrt(times[0] - t)", "brownian"),
    Line("beyond_all_times_by_t", family.Brownian, "_at", "math.sqrt(t - times[-1])", "(t - times[-1])", "brownian"),
    Line("a_new_draw_each_time", family.Brownian, "_at", "n < len(times) and times[n] == t", "False", "brownian"),
    Line("increments_not_normalized", family.Brownian, "__call__", "/ math.sqrt(abs(s - t))", "/ abs(s - t)",
         "brownian"),
    Line("the_same_backwards", family.Brownian, "__call__", "(second - first)",
         "(second - first) * (1 if s > t else -1)", "brownian"),
    Line("sigmas_evenly_spaced", functions, "karras", "high ** (1 / rho), low ** (1 / rho)", "high, low",
         "the_sigmas_of_karras"),
    Line("one_sigma_too_close", functions, "karras", "max(N - 1, 1)", "N", "the_sigmas_of_karras"),
    Line("twice_the_score", equations, "_flow", "-x - model(x, t)", "-x - 2 * model(x, t)", "flows"),
    Line("a_beta_that_is_not_halved", equations, "_flow", "-(first + (last - first) * t) / 2",
         "-(first + (last - first) * t)", "flows"),
    Line("a_clock_that_is_not_scaled", equations, "_flow", "model(x, t) / path.levels[1]", "model(x, t)", "flows"),
    Line("a_start_of_variance_1", equations, "ode", "float(start) * x", "x", "flows"),
    Line("its_end_is_the_data", equations, "ode", "float(at[-1]) if at[-1] else None", "None", "flows"),
    Line("the_sign_of_v", schedulers, "_edm", '1.0 if what == "eps" else -1.0', "1.0", "preconditioning"),
    Line("an_input_that_stays_scaled", schedulers, "_edm", "given = x * size", "given = x", "preconditioning"),
    Line("no_skip", schedulers, "_edm", "- (data / size) ** 2 * given", "", "preconditioning"),
    Line("a_cosine_that_is_a_log", schedulers, "_edm", 'name.startswith("Cosine")', "False", "preconditioning"),
    Line("log_sigma_everywhere", schedulers, "_linear", "return not (", "return False and not (",
         "what_schedulers_mean"),
    Line("an_end_that_goes_on_down", schedulers, "_vp", "np.sqrt(ending)", "path.at(t)[n]", "what_schedulers_mean"),
    Line("a_cosine_without_its_start", schedulers, "_wuerstchen", "/ np.cos(first) ** 2", "", "what_schedulers_mean"),
    Line("velocity_downwards", schedulers, "_read", "-model(x, 1 - t)", "-model(x, t)", "what_schedulers_mean"),
    Line("sigma_squared_between", paths.VP, "_square", "np.sqrt((1 - b) / b)) ** 2", "np.sqrt((1 - b) / b))",
         "timesteps_between"),
    Line("no_ratio_at_pure_noise", paths.VP, "_square", " | ~np.isfinite(ratio)", "", "timesteps_between"),
]  # fmt: skip
