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
# A diffusion sampler goes from noise to data in $N$ steps, $\sigma_0 > \sigma_1 > \dots > \sigma_N$. Libraries offer
# lists of levels by name: geometric, cosine, Karras's. You can pay for forty evaluations of a network. Which forty
# levels?
#
# The answer must depend on the data, and what decides at first is their *spectrum*, the variances of their principal
# components. On Gaussian data with your spectrum the error of a list of levels is a formula with a slope, so the best
# list can be searched for, and the named lists held against it. The scheme here is DDIM, Euler's rule in $\sigma$:
#
# $$X_{k+1} = X_k + (\sigma_{k+1} - \sigma_k)\,\hat\epsilon(X_k, \sigma_k), \qquad X = x_0 + \sigma\,\epsilon .$$

# %%
import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, sliders, ticks

import rmverify as rm
from rmverify.io import read_covariance
from rmverify.targets import SkewNormal, TwoGaussians
from rmverify.testing import assert_same_law

ddim = rm.schedules.ddim

GRIDS = {
    "best": {"color": BLUE, "marker": "o", "label": "best for the spectrum"},
    "karras": {"color": ORANGE, "marker": "s", "label": "Karras"},
    "geometric": {"color": GREEN, "marker": "^", "label": "geometric in $t$"},
    "cosine": {"color": RED, "marker": "D", "label": "cosine"},
    "uniform": {"color": PURPLE, "marker": "v", "label": "uniform in $t$"},
}

# %% [markdown]
# ## One variance: equal angles
#
# Let the data be $N(0, \lambda)$. One step of DDIM from $\sigma$ to $\sigma'$ gives the right law but for a factor on
# the standard deviation, and that factor is a cosine:
#
# $$\frac{\text{std after the step}}{\text{std that is due}} = \cos(\theta - \theta'), \qquad
#   \tan\theta = \frac{\sigma}{\sqrt\lambda} .$$
#
# The angles of all steps add up to a fixed sum, and a product of cosines of a fixed sum is largest when all are equal.
# So the best levels are $\sigma_k = \sqrt\lambda\,\tan\theta_k$ with evenly spaced $\theta_k$. Noise is at 90°, data
# are at 0°, and the sampler walks down a quarter of a circle in equal steps.


# %%
def equal_angles(lam, steps, first, last):
    angles = np.linspace(np.arctan(first / np.sqrt(lam)), np.arctan(last / np.sqrt(lam)), steps + 1)
    return np.sqrt(lam) * np.tan(angles)


def circle(lam=0.25, N=8):
    first, last = 27.0, 0.1
    between = rm.plans.Levels(*rm.plans.level_of(np.array([last, first])))  # levels are kept as t, sigma^2 = e^{2t} - 1
    arc = np.linspace(0, np.pi / 2, 200)
    axes = plt.subplots(1, 3, figsize=(12, 5))[1]
    for axis, name in zip(axes, ("best", "karras", "geometric"), strict=True):
        levels = rm.plans.Levels(between.early_stop, between.horizon, name).of(N) if name != "best" else None
        sigmas = equal_angles(lam, N, first, last) if levels is None else rm.plans.sigma_of(levels)
        angles = np.arctan(sigmas / np.sqrt(lam))
        axis.plot(np.cos(arc), np.sin(arc), color=BLACK, linewidth=1)
        for angle in angles:
            axis.plot([0, np.cos(angle)], [0, np.sin(angle)], "o-", color=GRIDS[name]["color"], markevery=[1])
        name = {"best": "equal angles", "karras": "Karras", "geometric": "geometric in $t$"}[name]
        lost = 1 - np.prod(np.cos(np.diff(angles)))
        axis.set_title(f"{name}\n{100 * lost:.1f} % of the std lost", fontweight="normal", fontsize=16)
        axis.set(aspect="equal", xticks=[], yticks=[], xlim=(-0.02, 1.1), ylim=(-0.02, 1.1))
        axis.set_xlabel(r"data, 0° ($\sigma \ll \sqrt{\lambda}$)")
    axes[0].set_ylabel(r"noise, 90° ($\sigma \gg \sqrt{\lambda}$)")
    axes[0].figure.suptitle(
        rf"{N} DDIM steps, $\lambda = {lam:g}$: equal angles lose least", fontsize=16, weight="bold"
    )
    plt.show()


circle()
sliders(circle, lam=(0.01, 0.05, 0.25, 1.0, 4.0, 25.0), N=(2, 4, 8, 16, 32))

# %% [markdown]
# The named lists are made for no $\lambda$ in particular, and take some turns too large. The search knows nothing of
# cosines. It finds equal angles, and the same factor:

# %%
lam, N, first, last = 4.0, 8, 4.0, 0.05
one = rm.Gaussian.isotropic(lam, 1)
ends = rm.plans.Levels(*rm.plans.level_of(np.array([last, first])))
found = rm.plans.sigma_of(rm.schedules.best(one, ddim, ends, N, start="exact"))
by_hand = equal_angles(lam, N, first, last)
print("searched: ", np.array2string(found, precision=4))
print("by angles:", np.array2string(by_hand, precision=4))
assert np.allclose(found, by_hand, rtol=2e-2)

plan = rm.Plan([rm.Predict(ddim, rm.plans.level_of(by_hand))])
after = rm.output_law(plan, one, start="exact").variances[0] / one.at(ends.early_stop).variances[0]
turn = (np.arctan(first / 2) - np.arctan(last / 2)) / N
print(f"std after {N} steps / std that is due = {np.sqrt(after):.10f} = cos({turn:.4f})^{N} = {np.cos(turn) ** N:.10f}")
assert abs(np.sqrt(after) / np.cos(turn) ** N - 1) < 1e-12

# %% [markdown]
# ## Many variances: the digits
#
# Real data have many variances, and each asks for its own angles. The 8 × 8 handwritten digits have 64, between 0 and
# 179. Every mode has the factor $\prod_k \cos(\theta_k^{(i)} - \theta_{k+1}^{(i)})$ of its own, and the levels are a
# compromise, to be found by the search. It starts from every named grid; all five searches end at the same list.

# %%
covariance = read_covariance("digits")
digits = rm.Gaussian(np.zeros(64), covariance)
answer = rm.schedules.schedule(digits, ddim, 40, metric="tv", restarts=0)
rows = {row.grid: row for row in answer.rows}
where = answer.setting
print(f"from sigma = {answer.sigmas[0]:.1f} down to {answer.sigmas[-1]:.4f}; {answer.agreed} of {answer.starts} agree")
print(f"{'grid':>10} {'TV at 40 steps':>15} {'steps for the TV of the best':>29}")
for name in GRIDS:
    print(f"{name:>10} {float(rows[name].tv):15.3f} {rows[name].needed:29}")
assert answer.agreed == answer.starts == 5
assert [round(float(rows[name].tv), 3) for name in ("best", "karras", "geometric")] == [0.152, 0.194, 0.249]
assert [rows[name].needed for name in ("best", "karras", "geometric")] == [40, 52, 68]

# %%
variances = np.linalg.eigvalsh(covariance)
deviations = np.sqrt(variances[variances > 1e-6])
figure, axis = plt.subplots()
for name in ("best", "karras", "geometric"):
    sigmas = rm.plans.sigma_of(np.array(rows[name].levels))
    middle = np.sqrt(sigmas[1:] * sigmas[:-1])
    axis.semilogx(middle, 1 / np.log(sigmas[:-1] / sigmas[1:]), **GRIDS[name] | {"markersize": 4})
axis.plot(deviations, 0 * deviations + 0.3, "|", color=BLACK, markersize=14, label="std of a component")
axis.set(xlabel=r"noise level $\sigma$ (grey levels, 0 to 16)", ylabel=r"steps per unit of $\ln\sigma$", ylim=(0, 14.5))
axis.set_title("The best levels are dense where the spectrum is")
axis.legend(loc="upper right")
plt.show()

# %% [markdown]
# The ticks are the components of the digits, but for three without any variance (pixels that are blank in all of them).
# Karras's list spends steps far above all of them, the geometric one below. In evaluations:

# %%
counts = (10, 20, 40, 80)
curves = {name: [] for name in GRIDS}
for n in counts:
    for name, values in curves.items():
        if name == "best":
            levels = rm.schedules.best(digits, ddim, where, n, metric="tv", restarts=0)
        else:
            levels = rm.plans.Levels(where.early_stop, where.horizon, name).of(n)
        values.append(float(rm.schedules.error(levels, digits, ddim, metric="tv")))

figure, axis = plt.subplots()
for name, values in curves.items():
    axis.loglog(counts, values, **GRIDS[name])
reached = [rows[name].needed for name in ("best", "karras", "geometric")]
axis.plot(reached, [curves["best"][2]] * 3, "k--", linewidth=1)
for n in reached:
    axis.annotate(f"{n}", (n, curves["best"][2]), xytext=(0, -16), textcoords="offset points", ha="center")
ticks(axis.xaxis, counts)
ticks(axis.yaxis, (0.1, 0.2, 0.5, 1))
axis.set(xlabel="score evaluations (DDIM steps)", ylabel=r"total variation to $q_\delta$")
axis.set_title("Digits: what 40 well placed levels do takes others 52 or 68")
axis.legend(loc="lower left", fontsize=11)
plt.show()

# %% [markdown]
# All lines but the uniform list's have the same slope: the scheme is of first order whatever the list. Good levels buy
# a factor, much the same at every accuracy, and for free.

# %%
gain = np.array(curves["geometric"]) / np.array(curves["best"])
assert np.all(gain[1:] > 1.5)
last_slopes = [np.log2(values[2] / values[3]) for values in curves.values()]
print("order between 40 and 80 steps:", ", ".join(f"{slope:.2f}" for slope in last_slopes))
assert all(0.9 < slope < 1.05 for slope in last_slopes[:-1])

# %% [markdown]
# ## Levels for one spectrum, used on another
#
# A list that fits one spectrum has to be worse on another. By how much? Four spectra in 64 dimensions, each with
# its own best 40 levels between the same ends, and what these lists do on the other three: the factor on KL.

# %%
spectra = {
    "digits": digits,
    "power law": rm.Gaussian(np.zeros(64), 100 / np.arange(1.0, 65) ** 2),
    "all 1": rm.Gaussian.isotropic(1.0, 64),
    "all 0.01": rm.Gaussian.isotropic(0.01, 64),
}
carried = rm.schedules.transferred(spectra, ddim, 40, where, start="exact")
factor = {(each.grid, each.on): each.lost for each in carried} | {(name, name): 1.0 for name in spectra}
own = {each.on: float(each.own) for each in carried}
for grid in ("karras", "geometric"):
    levels = rm.plans.Levels(where.early_stop, where.horizon, grid).of(40)
    for name, target in spectra.items():
        factor[grid, name] = float(rm.schedules.error(levels, target, ddim, start="exact")) / own[name]

lists = [*spectra, "karras", "geometric"]
table = np.array([[factor[grid, name] for name in spectra] for grid in lists])
figure, axis = plt.subplots(figsize=(7.5, 5.2))
axis.imshow(np.log(table), cmap="cividis_r", aspect="auto")
for i, j in np.ndindex(table.shape):
    color = "white" if table[i, j] > 8 else "black"
    axis.text(j, i, f"{table[i, j]:.1f}" if table[i, j] < 20 else f"{table[i, j]:.0f}", ha="center", va="center",
              color=color, fontsize=15)  # fmt: skip
axis.set_xticks(range(len(spectra)), spectra)
axis.set_yticks(range(len(lists)), [f"best for {name}" for name in spectra] + ["Karras", "geometric"])
axis.grid(visible=False)
axis.tick_params(length=0)
axis.set(xlabel="used on these data (entry: KL / KL of their own list)", ylabel="list of 40 levels")
axis.set_title("A list that fits one spectrum fails on another")
plt.show()

# %%
assert all((factor["karras", name] < factor["geometric", name]) == (name == "digits") for name in spectra)
assert factor["all 0.01", "digits"] > 50  # the two extremes
assert factor["digits", "all 0.01"] > 13
assert max(factor["power law", name] for name in spectra) < 3.3  # a broad spectrum's list is never far off
assert all(value >= 1 - 1e-3 for value in factor.values())

# %% [markdown]
# A list made for narrow data is useless on wide ones. The list made for a broad spectrum, the power law, is nowhere off
# by more than 3.3. Karras's list is the better guess for the digits, the geometric one for the other three.
#
# ## Data that are not Gaussian
#
# Does this say anything about data that are not Gaussian? On the line the law of DDIM's output can be computed for
# other laws too. `rm.schedules.lost` takes the levels that are best for the Gaussian *with the same mean and variance*
# and compares them with the best that a search on the data themselves finds. Five steps; 1 is the best list found.

# %%
laws = {"two Gaussians, at -2 and 2": TwoGaussians(2.0), "skew normal, shape 4": SkewNormal(4.0)}
lost = {}
for name, law in laws.items():
    results = rm.schedules.lost(law, ddim, 5, rm.plans.Levels(0.05, 2.0))
    lost[name] = {each.grid: each.lost for each in results}

bars = {"gaussian": GRIDS["best"] | {"label": "its Gaussian's"}} | {name: GRIDS[name] for name in list(GRIDS)[1:]}
figure, axis = plt.subplots()
for k, (grid, look) in enumerate(bars.items()):
    heights = [lost[name][grid] for name in laws]
    drawn = axis.bar(np.arange(len(laws)) + 0.17 * (k - 2), heights, 0.16, color=look["color"], label=look["label"])
    axis.bar_label(drawn, fmt="%.2f", fontsize=10, padding=2)
axis.axhline(1, color=BLACK, linewidth=1)
axis.set_xticks(range(len(laws)), laws)
axis.grid(visible=False, axis="x")
axis.set(ylabel="TV / TV of the best list found", ylim=(0, 2.6))
axis.set_title("Two moments of the data find the levels")
axis.legend(loc="upper left", ncols=2, fontsize=11)
plt.show()

# %%
for name, factors in lost.items():
    print(f"{name}: " + ", ".join(f"{grid} {value:.3f}" for grid, value in factors.items()))
    assert factors["gaussian"] < 1.02
    assert factors["gaussian"] == min(factors.values())

# %% [markdown]
# On these two laws the levels of the Gaussian with the same two moments are within 2 % of the best that was found. That
# is not a theorem, and the line is not image space; but it is the reason to look at the spectrum of the data before the
# name of a list. For your own data, in a terminal:
#
# `rmverify schedule data.csv --scheme ddim --steps 40 --metric tv`
#
# ## Exercises
#
# **1.** From 90° to 0° in equal angles: how many steps does it take to lose at most 1 % of the standard deviation? Give
# the least number.
#
# **2.** Write DDIM as a step function `my_ddim(x, t, h, score, draw)` in the package's variables: $x = e^{-t} X$,
# $\sigma^2 = e^{2t} - 1$, $\epsilon = -\sqrt{1-e^{-2t}}\,s_t(x)$.
#
# **3.** *Levels without a search.* For one variance the steps are even in $\arctan(\sigma/\sqrt\lambda)$. Guess a
# function of $\sigma$ in which they should be even for a spectrum $\lambda_1, \dots, \lambda_d$, and write
# `my_levels(variances, steps, first, last)`, which returns $N+1$ values of $\sigma$. The check holds them against the
# searched list on the digits; within 5 % of its KL is a good rule.


# %%
def check_count(n):
    lost = [1 - np.cos(np.pi / 2 / m) ** m for m in (n, n - 1)]
    assert lost[0] <= 0.01, f"{n} steps lose {100 * lost[0]:.2f} %"
    assert lost[1] > 0.01, "fewer are enough"
    print(f"Right: {n} steps lose {100 * lost[0]:.2f} %. N steps lose about pi^2/(8 N).")


def check_ddim(step):
    assert_same_law(step, ddim)
    print("Right: on every default target its law is that of DDIM.")


def check_levels(rule):
    first, last = rm.plans.sigma_of(np.array([where.horizon, where.early_stop]))
    for n in (10, 20, 40):
        levels = rm.plans.level_of(np.asarray(rule(np.maximum(variances, 0), n, first, last)))
        assert levels.shape == (n + 1,), "expected N + 1 levels"
        assert (np.diff(levels) < 0).all(), "expected levels that fall"
        assert np.allclose(levels[[0, -1]], [where.horizon, where.early_stop]), "the ends are given"
        searched = rm.schedules.best(digits, ddim, where, n, start="exact", restarts=0)
        yours, least = (float(rm.schedules.error(each, digits, ddim, start="exact")) for each in (levels, searched))
        print(f"N = {n}: KL {yours:.4f}, searched {least:.4f}: {yours / least - 1:.1%} more")
        assert yours < 1.05 * least, "more than 5 % above the searched list"
    print("Right: this is a rule that needs no search.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .


# %%
def my_ddim(x, t, h, score, draw):
    sigma, after = np.sqrt(np.expm1(2 * t)), np.sqrt(np.expm1(2 * (t - h)))
    eps = -np.sqrt(-np.expm1(-2 * t)) * score(t, x)
    return np.exp(h - t) * (np.exp(t) * x + (after - sigma) * eps)


def my_levels(variances, steps, first, last):
    """Even in the sum of all angles; a component without variance is a right angle everywhere, and asks for nothing."""
    sigma = np.geomspace(first, last, 4001)
    angle = np.arctan2(sigma[:, None], np.sqrt(variances)).sum(axis=1)
    levels = np.interp(np.linspace(angle[0], angle[-1], steps + 1), angle[::-1], sigma[::-1])
    levels[[0, -1]] = first, last
    return levels


check_count(next(n for n in range(2, 1000) if np.cos(np.pi / 2 / n) ** n >= 0.99))
check_ddim(my_ddim)
check_levels(my_levels)
