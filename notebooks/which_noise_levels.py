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
# # Which noise levels?
#
# A diffusion sampler with forty evaluations has forty noise levels to choose, from pure noise down to almost none.
# Every library has its grids for that: geometric, cosine, Karras's seventh roots. They were found by trying. On
# Gaussian data the output's error is an exact function of the levels, so that the *best* levels can be found, for a
# given spectrum of variances and a given number of steps. What do they look like, and how much do they save?

# %%
from bisect import bisect_left

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY, sliders, ticks

import rmverify as rm
from rmverify.io import read_covariance
from rmverify.plans import Levels, level_of, sigma_of

ddim = rm.schedules.SCHEMES["ddim"]

# %% [markdown]
# ## One variance: equal angles
#
# DDIM is Euler's rule in the noise level $\sigma$. On data of one variance $\lambda$ each step multiplies the standard
# deviation, relative to the exact flow, by
#
# $$\cos(\theta - \theta'), \qquad \theta = \arctan\frac{\sigma}{\sqrt\lambda},$$
#
# where $\theta$ is the angle of the old level and $\theta'$ that of the new one. Noise is at 90°, data are at 0°, and
# one walks down a quarter of a circle. The product of the cosines should be as near to 1 as possible, and $\ln\cos$ is
# concave: the best steps are **equal angles**.


# %%
def angles(levels, variance):
    return np.arctan(sigma_of(levels) / np.sqrt(variance))


def lost(levels, variance):
    """The share of the standard deviation that is lost."""
    return 1 - np.prod(np.cos(np.diff(angles(levels, variance))))


where = Levels(0.005, 4.0)


def equal(variance, steps):
    first, last = angles(np.array([where.horizon, where.early_stop]), variance)
    return level_of(np.sqrt(variance) * np.tan(np.linspace(first, last, steps + 1)))


def circle(variance=0.25, steps=8):
    grids = {
        "equal angles": (equal(variance, steps), BLUE),
        "Karras": (Levels(where.early_stop, where.horizon, "karras").of(steps), ORANGE),
        "geometric": (Levels(where.early_stop, where.horizon).of(steps), RED),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.6))
    arc = np.linspace(0, np.pi / 2, 200)
    for axis, (name, (levels, color)) in zip(axes, grids.items(), strict=True):
        axis.plot(np.cos(arc), np.sin(arc), color=BLACK, linewidth=1)
        for angle in angles(levels, variance):
            axis.plot([0, np.cos(angle)], [0, np.sin(angle)], color=color)
            axis.plot(np.cos(angle), np.sin(angle), "o", color=color)
        axis.set(aspect="equal", xticks=[], yticks=[], xlim=(-0.05, 1.2), ylim=(-0.08, 1.15), xlabel="data")
        axis.set_title(f"{name}: {100 * lost(levels, variance):.1f} % lost", fontweight="normal")
        axis.spines[["left", "bottom"]].set_visible(False)
    axes[0].set_ylabel("noise")
    figure.suptitle(
        f"{steps} steps of DDIM, variance {variance:g}: equal angles lose least", fontsize=14, weight="bold"
    )
    plt.show()


circle()

# %%
sliders(circle, variance=(0.01, 0.05, 0.25, 1.0, 4.0, 25.0), steps=(2, 4, 8, 16, 32))

# %% [markdown]
# Is that the best? `rm.schedules.best` searches over all levels, from several starts, and knows nothing of angles.

# %%
narrow = rm.Gaussian.isotropic(0.25, 1)
found = rm.schedules.best(narrow, ddim, where, 8, start="exact", restarts=1)
steps = np.degrees(-np.diff(angles(found, 0.25)))
print("angles of the best steps, in degrees:", *(f"{each:.4f}" for each in steps))
assert np.ptp(steps) < 1e-3
law = rm.output_law(rm.Plan([rm.Predict(ddim, found)]), narrow, start="exact")
share = np.sqrt(float(law.variances[0] / narrow.at(where.early_stop).variances[0]))
assert abs(share - np.cos(np.radians(steps[0])) ** 8) < 1e-6

# %% [markdown]
# ## A real spectrum
#
# Data have many variances, and each wants its own angles. The handwritten digits have 64, from 0 to 179. Now the best
# levels are a compromise, and no formula gives it; the search takes a second.

# %%
digits = rm.Gaussian(np.zeros(64), read_covariance("digits"))
span = rm.budget.setting(digits, 0.1)
N = 40
best = rm.schedules.best(digits, ddim, span, N, metric="tv", restarts=0)
named = {name: Levels(span.early_stop, span.horizon, name).of(N) for name in ("geometric", "karras", "cosine")}
grids = {"best": (best, BLUE), "Karras": (named["karras"], ORANGE), "geometric": (named["geometric"], RED)}
grids["cosine"] = (named["cosine"], GREEN)


def tv(levels):
    return float(rm.schedules.error(levels, digits, ddim, metric="tv"))


for name, (levels, _) in grids.items():
    print(f"{name:>10}: total variation {tv(levels):.4f}")

# %% [markdown]
# Where do the best levels lie? Their density, per factor of ten in $\sigma$, beside the places $\sigma = \sqrt\lambda$
# where the flow of each mode bends.

# %%
figure, axis = plt.subplots(figsize=(8, 5))
for name, (levels, color) in grids.items():
    sigma = np.log10(sigma_of(levels))
    axis.plot(10 ** ((sigma[1:] + sigma[:-1]) / 2), 1 / -np.diff(sigma), color=color, label=name)
modes = np.sqrt(digits.variances[digits.variances > 1e-3])
axis.plot(modes, np.full(modes.size, 1.2), "|", color=BLACK, markersize=16, label=r"modes: $\sqrt{\lambda}$")
axis.set(
    xscale="log", xlabel=r"noise level $\sigma$ (units of a pixel)", ylabel=r"levels per factor of ten in $\sigma$"
)
axis.set_title("The best levels are dense where the data have their modes")
axis.set_ylim(0, 33)
axis.legend(loc="upper right")
plt.show()

# %%
gaps = -np.diff(np.log10(sigma_of(best)))
densest = sigma_of(best)[np.argmin(gaps)]
print(f"the best levels are densest near {densest:.2f}; the modes lie between {modes.min():.2f} and {modes.max():.1f}")
assert modes.min() < densest < modes.max()

# %% [markdown]
# ## What it saves

# %%
counts = (10, 14, 20, 28, 40, 56, 80)
curves = {"best": [tv(rm.schedules.best(digits, ddim, span, n, metric="tv", restarts=0)) for n in counts]}
for name in ("Karras", "geometric", "cosine"):
    curves[name] = [tv(Levels(span.early_stop, span.horizon, name.lower()).of(n)) for n in counts]
figure, axis = plt.subplots()
for (name, found), mark in zip(curves.items(), "osD^", strict=True):
    axis.loglog(counts, found, marker=mark, color=grids[name][1], label=name)
ticks(axis.xaxis, counts)
ticks(axis.yaxis, (0.1, 0.2, 0.4, 0.8))
axis.set(xlabel="score evaluations (steps of DDIM)", ylabel=r"total variation to $q_\delta$")
axis.set_title("Digits: the best levels save a quarter of Karras's steps")
axis.legend()
plt.show()

# %%
reached = curves["best"][counts.index(40)]
for name in ("karras", "geometric"):
    needed = 40 + bisect_left(
        range(40, 200), True, key=lambda n, name=name: tv(Levels(span.early_stop, span.horizon, name).of(n)) <= reached
    )
    print(f"the best 40 levels reach {reached:.3f}; {name} needs {needed} for it")
    assert needed == {"karras": 52, "geometric": 68}[name]
assert f"{reached:.3f} {curves['Karras'][4]:.3f} {curves['geometric'][4]:.3f}" == "0.152 0.194 0.249"

# %% [markdown]
# At the prompt: `rmverify schedule digits --scheme ddim --steps 40 --metric tv`, which prints the levels as $t$,
# $\sigma$ and timesteps for a sampler.
#
# ## On other data
#
# Levels are a fit, and fits can be wrong elsewhere. Take the best ten levels of one spectrum to another.

# %%
spectra = {
    "digits": digits,
    "narrow (1/4)": rm.Gaussian.isotropic(0.25, 64),
    "wide (25)": rm.Gaussian.isotropic(25.0, 64),
}
carried = rm.schedules.transferred(spectra, ddim, 10, span)
names = list(spectra)
table = np.ones((3, 3))
for each in carried:
    table[names.index(each.grid), names.index(each.on)] = each.lost
karras = [
    float(rm.schedules.error(Levels(span.early_stop, span.horizon, "karras").of(10), target, ddim))
    / float(next(each.own for each in carried if each.on == name))
    for name, target in spectra.items()
]
print(f"{'KL, times the least':>24}", *(f"on {name:>13}" for name in names))
for name, row in zip([*(f"best for {n}" for n in names), "Karras"], [*table, karras], strict=True):
    print(f"{name:>24}", *(f"{value:16.2f}" for value in row))
assert np.all(table >= 1 - 1e-6)

# %%
figure, axis = plt.subplots(figsize=(8, 4.8))
place = np.arange(3)
rows = [
    *zip([f"best for {name}" for name in names], table, (BLUE, SKY, PURPLE), strict=True),
    ("Karras", karras, ORANGE),
]
for k, (name, row, color) in enumerate(rows):
    axis.bar(place + 0.2 * (k - 1.5), row, width=0.19, color=color, label=name)
axis.axhline(1, color=BLACK, linewidth=0.8)
axis.set(yscale="log", xticks=place, xticklabels=[f"on {name}" for name in names], ylabel="KL, times the least")
axis.set_title("Levels for one spectrum can be bad for another")
axis.set_ylim(0.8, 60)
axis.grid(axis="x", alpha=0)
axis.legend(ncols=2, loc="upper right", fontsize=11)
plt.show()

# %% [markdown]
# ## Exercises
#
# **1.** Data of one variance, from 90° to 0° in equal angles. How many steps are needed to lose at most 1 % of the
# standard deviation? Give the least number.
#
# **2.** Forty equal angles of *one* variance $\lambda$, from `span.horizon` to `span.early_stop`, on the digits with
# all their variances: which $\lambda$ is best in total variation, and how near does it come to the best levels? Give a
# number; the check is content within 1 % of the least total variation.
#
# **3.** Write Euler's rule in $\sigma$ as a step function: $X = e^t x = x_0 + \sigma\varepsilon$, $X' = X + (\sigma' -
# \sigma)\,\hat\varepsilon$, with $\hat\varepsilon = -\sqrt{1 - e^{-2t}}\,s_t(x)$ and $\sigma = \sqrt{e^{2t} - 1}$. The
# check holds it against `ddim`. (Functions of $t$ and $h$ come from `rmverify.elementary`, so that every reading
# works.)


# %%
def check_steps(count):
    def share(n):
        return 1 - np.cos(np.pi / 2 / n) ** n

    assert share(count) <= 0.01, f"{count} steps lose {100 * share(count):.2f} %"
    assert share(count - 1) > 0.01, "fewer are enough"
    print(f"Right: {count} steps lose {100 * share(count):.2f} %; about pi^2/(8 n) in n steps.")


def angles_of(variance):
    first, last = angles(np.array([span.horizon, span.early_stop]), variance)
    return level_of(np.sqrt(variance) * np.tan(np.linspace(first, last, N + 1)))


def check_variance(variance):
    least = min(tv(angles_of(each)) for each in np.geomspace(0.1, 100, 31))
    mine = tv(angles_of(variance))
    assert mine <= 1.01 * least, f"it gives {mine:.4f}, and another variance gives {least:.4f}"
    print(f"Right: {mine:.4f}, where Karras has {tv(named['karras']):.4f} and the best levels {reached:.4f}.")


def check_euler(step):
    from rmverify.testing import assert_same_law

    assert_same_law(step, ddim)
    print("Right: the same law as DDIM on every default target.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .

# %%
from rmverify.elementary import exp, expm1, sqrt

check_steps(next(n for n in range(1, 1000) if np.cos(np.pi / 2 / n) ** n >= 0.99))
check_variance(min(np.geomspace(1, 30, 15), key=lambda variance: tv(angles_of(variance))))


def euler_in_sigma(x, t, h, score, draw):
    sigma, after = sqrt(expm1(2 * t)), sqrt(expm1(2 * (t - h)))
    noise = -sqrt(-expm1(-2 * t)) * score(t, x)
    return exp(-(t - h)) * (exp(t) * x + (after - sigma) * noise)


check_euler(euler_in_sigma)
