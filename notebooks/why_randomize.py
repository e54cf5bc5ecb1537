# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Why randomize?
#
# A sampler asks its score at chosen noise levels. A midpoint rule asks in the middle of each step; the randomized
# midpoint asks at a random place of it. On smooth Gaussians the middle is the better place: it is of second order, and
# nothing is random. So what is the dice for?
#
# A neural score is not exact. Its error depends on the noise level $t$, and nobody promises that it does so slowly.
# Take the worst that can happen to a rule with fixed places: an error that oscillates with the step itself,
#
# $$\hat s_t(x) = s_t(x) + b \cos\!\big(2\pi (t - T)/h\big),$$
#
# with its crest at the beginning of each step and its trough in the middle. The fixed rules meet it always in the same
# phase. Whoever walks over a bridge at random does not make it swing.
#
# All numbers below are exact: on Gaussian data a sampler's error is a finite computation, and no sample is drawn.

# %%
import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, RED, SCHEMES, ticks

import rmverify as rm
from rmverify.claims.looks.oscillating import Oscillation
from rmverify.elementary import exp, expm1

# %% [markdown]
# ## The bridge and the steps
#
# Data $N(0, \frac14)$: at level $t$ they have the variance $v(t) = 1 - \frac34 e^{-2t}$, and the score is
# $L$-Lipschitz with $L = 4$. We go down from $T = 1$ over one window of length $1/L = \frac14$, in $N$ steps of length
# $h = 1/(4N)$.

# %%
target = rm.Gaussian.isotropic(0.25, 1)
top, L = 1.0, target.path_smoothness()
assert L == 4


def levels(steps):
    return np.linspace(top, top - 1 / L, steps + 1)


def estimate(steps, b=1.0):
    """The score with an error of amplitude b in step with `steps` steps."""
    return rm.EstimatedScore(target, bias=Oscillation(b, period=1 / (L * steps), origin=top))


N = 4
h = 1 / (L * N)
t = np.linspace(top, top - 1 / L, 800)
rng = np.random.default_rng(3)
starts = levels(N)[:-1]
lucky = starts - rng.random(N) * h

figure, axis = plt.subplots()
axis.plot(t, Oscillation(1.0, h, top)(t), color=BLACK, linewidth=1.2)
for start in levels(N):
    axis.axvline(start, color=GRAY, linewidth=0.8, linestyle=":")
axis.plot(starts - h / 2, Oscillation(1.0, h, top)(starts - h / 2), "D", color=RED, markersize=10, label="midpoint")
axis.plot(lucky, Oscillation(1.0, h, top)(lucky), "o", color=BLUE, markersize=10, label="randomized midpoint")
axis.set(xlabel="noise level $t$ (the sampler goes to the left)", ylabel="error of the score, units of $b$")
axis.set_title("Fixed places meet one phase, random ones all")
axis.set_ylim(-1.5, 1.9)
axis.legend(ncols=2, loc="upper center")
plt.show()

# %% [markdown]
# ## One rule does not see the steps get smaller
#
# $\varepsilon_{sc}$ is the size of the score's error: its root mean square over $x$ and $t$, here $b/\sqrt2$. We ask
# how far the sampler's output $\hat x$ is from where the exact flow takes the same start, in units of
# $\varepsilon_{sc}$. The number of steps doubles and doubles, and the error of the score, always of the same size,
# oscillates faster and faster.

# %%
steps = [4, 8, 16, 32, 64]
eps_sc = 1 / np.sqrt(2)
errors = {name: [] for name in ("exponential_integrator", "heun", "midpoint", "randomized_midpoint")}
mean_only = []
for n in steps:
    for name, found in errors.items():
        plan = rm.Plan([rm.Predict(getattr(rm.schemes, name), levels(n))])
        error = rm.coupling_error(plan, estimate(n), start="exact")
        found.append(np.sqrt(error.mean_square) / eps_sc)
    mean_only.append(np.sqrt(error.bias) / eps_sc)  # of the last, the randomized midpoint

h = 1 / (L * np.array(steps))
figure, axis = plt.subplots()
for size, (name, found) in zip((13, 10, 6, 8), errors.items(), strict=True):
    axis.loglog(steps, found, **SCHEMES[name], markersize=size)
axis.loglog(steps, mean_only, "o--", color=BLUE, fillstyle="none", label=r"its mean over $\alpha$")
ticks(axis.xaxis, steps)
axis.set(xlabel="number of steps $N$", ylabel=r"error of the output / $\varepsilon_{sc}$")
axis.set_title("Only random midpoints average the error of the score")
axis.set_ylim(4e-4, 10)
axis.legend(ncols=2, loc="upper right")
plt.show()

# %%
print(f"{'N':>4}", *(f"{SCHEMES[name]['label']:>23}" for name in errors), f"{'its mean':>10}")
for k, n in enumerate(steps):
    print(f"{n:4}", *(f"{found[k]:23.4f}" for found in errors.values()), f"{mean_only[k]:10.5f}")

# %% [markdown]
# The three fixed rules end at the same number, about a third of $\varepsilon_{sc}$, and more steps do not help them:
# that is *resonance*. The random rule goes to zero: like $\sqrt h$, because its errors add up like a random walk, and
# its mean over the midpoints like $h$.
#
# ## The numbers by hand
#
# A push of size $b$ at level $t$ arrives at the end of the window multiplied by $\sqrt{v_1/v(t)}$, where $v_1$ is the
# variance at the end. So
#
# * a fixed rule collects $\pm b \sqrt{v_1}\int v^{-1/2} dt$, whatever $h$ is;
# * a random rule collects in each step $h b \cos(2\pi\alpha)$, of mean zero and mean square $h^2 b^2/2$; over all steps
#   that is $b \sqrt{\tfrac h2 \, v_1 \int v^{-1} dt}$;
# * its mean keeps what its *first* stage sees, always on the crest: $\tfrac{bh}2 \sqrt{v_1} \int v^{-3/2} dt$.


# %%
def v(t):
    return 1 - 0.75 * np.exp(-2 * t)


def integral(power, nodes=20):
    x, w = np.polynomial.legendre.leggauss(nodes)
    t = top - 1 / L + (x + 1) / (2 * L)
    return w @ v(t) ** power / (2 * L)


v_1, b = v(top - 1 / L), 1.0
resonant = b * np.sqrt(v_1) * integral(-1 / 2) / eps_sc
spread = b * np.sqrt(h / 2 * v_1 * integral(-1)) / eps_sc
mean = b * h / 2 * np.sqrt(v_1) * integral(-3 / 2) / eps_sc
print(f"resonance: by hand {resonant:.4f} eps_sc, midpoint at N = {steps[-1]}: {errors['midpoint'][-1]:.4f}")
print(f"spread:    by hand {spread[-1]:.4f} eps_sc, randomized midpoint:  {errors['randomized_midpoint'][-1]:.4f}")
print(f"mean:      by hand {mean[-1]:.6f} eps_sc, its mean: {mean_only[-1]:.6f}")
for name in ("exponential_integrator", "heun", "midpoint"):
    assert abs(errors[name][-1] / resonant - 1) < 0.01
assert abs(errors["randomized_midpoint"][-1] / spread[-1] - 1) < 0.02
assert abs(mean_only[-1] / mean[-1] - 1) < 0.02

# %% [markdown]
# At 64 steps the midpoint's error is eleven times that of the randomized one. This is claim B7 of the ledger
# (`rmverify explain B7`), which measures the three powers 0, 1/2 and 1 of $h$ and these constants.

# %%
gain = errors["midpoint"][-1] / errors["randomized_midpoint"][-1]
print(f"{gain:.2f}")
assert 11 < gain < 12
slope = np.log2(np.array(errors["randomized_midpoint"][:-1]) / errors["randomized_midpoint"][1:])
assert abs(slope[-1] - 1 / 2) < 0.02

# %% [markdown]
# ## What the dice cost
#
# Take the oscillation away, and the deterministic midpoint is the better scheme by far. The spread over $\alpha$ is
# what one pays for not being fooled. With an error of amplitude $b$ the mean square is exactly that without, plus $b^2$
# times a constant: the two meet at the centred start without a cross term.

# %%
exact = {
    name: [
        np.sqrt(rm.coupling_error(rm.Plan([rm.Predict(getattr(rm.schemes, name), levels(n))]), target).mean_square)
        for n in steps
    ]
    for name in ("exponential_integrator", "midpoint", "randomized_midpoint")
}
n = 32
where = steps.index(n)
amplitudes = np.geomspace(1e-5, 1, 13)
race = {}
for name in ("midpoint", "randomized_midpoint"):
    quiet, loud = exact[name][where], eps_sc * errors[name][where]  # at b = 0 and at b = 1
    race[name] = np.sqrt(quiet**2 + amplitudes**2 * (loud**2 - quiet**2))
figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.8), sharey=True)
for name, found in exact.items():
    left.loglog(steps, found, **SCHEMES[name])
ticks(left.xaxis, steps)
left.set(xlabel="number of steps $N$", ylabel="error of the output (units of $x$)")
left.set_title("With an exact score the middle is best")
left.legend(loc="lower left")
for name, found in race.items():
    right.loglog(amplitudes, found, **SCHEMES[name])
right.set(xlabel="amplitude $b$ of the score's error")
right.set_title(f"A small resonance turns it ($N = {n}$)")
plt.show()

# %%
crossing = amplitudes[np.argmax(np.array(race["midpoint"]) > race["randomized_midpoint"])]
print(f"with {n} steps the dice pay from an amplitude b of about {crossing:.0e} on")
assert all(a < b / 10 for a, b in zip(exact["midpoint"], exact["randomized_midpoint"], strict=True))
b = 0.1
plan = rm.Plan([rm.Predict(rm.schemes.midpoint, levels(n))])
check = rm.coupling_error(plan, estimate(n, b), start="exact").mean_square
quiet, loud = exact["midpoint"][where], eps_sc * errors["midpoint"][where]
assert abs(check / (quiet**2 + b**2 * (loud**2 - quiet**2)) - 1) < 1e-12  # no cross term
assert race["midpoint"][0] < race["randomized_midpoint"][0] / 10
assert race["midpoint"][-1] > race["randomized_midpoint"][-1] * 5

# %% [markdown]
# That is the whole bargain. Theorems with a score error $\varepsilon_{sc}$ hold for the worst error of that size; the
# randomized midpoint's is the only one of these rules whose discretization averages it. Whether a *trained* network has
# such an error is a question to the network.
#
# ## Exercises
#
# **1.** Another phase: with $b\sin(2\pi(t-T)/h)$ every fixed rule here meets a zero of the error. What does the
# randomized midpoint's spread do? Guess first. Write `spread_of_sine` as a multiple of `spread`.
#
# **2.** *Stratify*: two places in each step, $\alpha_1 \in [0, \frac12]$ and $\alpha_2 = \alpha_1 + \frac12$, so
# that the two errors $\cos(2\pi\alpha_1)$ and $\cos(2\pi\alpha_2)$ cancel. Write it as a step function. Its first stage
# from $x$ to the places is that of the randomized midpoint.
#
# The checks say whether you are right.


# %%
def check_spread_of_sine(multiple):
    def sine(t, h=1 / (L * 32)):
        return np.sin(2 * np.pi / h * (t - top))

    plan = rm.Plan([rm.Predict(rm.schemes.randomized_midpoint, levels(32))])
    found = rm.coupling_error(plan, rm.EstimatedScore(target, bias=sine), start="exact")
    expected = np.sqrt(1 / (2 * L * 32) * v_1 * integral(-1))
    assert abs(np.sqrt(found.mean_square) / (multiple * expected) - 1) < 0.02, "not this multiple"
    print("Right: a random rule does not know phases.")


def check_antithetic(scheme):
    yours = rm.Plan([rm.Predict(scheme, levels(n))])
    before = eps_sc * errors["randomized_midpoint"][where]
    after = np.sqrt(rm.coupling_error(yours, estimate(n), start="exact").mean_square)
    without = rm.coupling_error(yours, target).mean_square
    assert without < 1e-6, f"with the exact score it is off by {np.sqrt(without):.2g}: not the flow's integral"
    assert after < before / 10, f"its error {after:.3g} should be well below {before:.3g}"
    print(f"Right: the error falls from {before:.4f} to {after:.4f}.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .


# %%
def antithetic(x, t, h, score, draw):
    a = draw.uniform() / 2
    pushes = 0
    for place in (a, a + 1 / 2):
        half = exp(place * h) * x + expm1(place * h) * score(t, x)
        pushes = pushes + exp((1 - place) * h) * score(t - place * h, half)
    return exp(h) * x + h / 2 * pushes


check_spread_of_sine(1)  # the mean square of a sine is that of a cosine
check_antithetic(antithetic)
