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
# # Reading a rate table
#
# How many steps does a diffusion sampler need until its output is within total variation $\varepsilon$ of the data? A
# theorem answers with exponents: $N \lesssim d^{1/2}/\varepsilon$ for the exponential integrator, $d^{5/12}$ for the
# randomized midpoint. Exponents are upper bounds, up to constants. Which exponents are really there?
#
# On Gaussian data this can be measured without noise. The output of a plan has a law that `rmverify` knows exactly, and
# so is its distance to the data; the smallest $N$ is a whole number that can be *found*, not estimated. This notebook
# is about the second half of the work: reading such numbers without fooling oneself.
#
# Everything below has data $N(0, \frac14 I_d)$, noise levels from $T=3$ down to 0 in $N$ equal steps $h = 3/N$, and
# starts from the true law at $T$, so that the only error is that of the steps.

# %%
import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, GREEN, ORANGE, RED, SCHEMES, ticks

import rmverify as rm
from rmverify.schemes import exponential_integrator, midpoint, randomized_midpoint


def steps_to(scheme, d, accuracy, law=None, guess=16):
    row = rm.rates.steps_to(scheme, rm.Gaussian.isotropic(0.25, d), accuracy, law=law, guess=guess)
    assert row.status == "found"
    return row


row = steps_to(exponential_integrator, 10_000, 0.1)
print(f"N = {row.steps}: TV = {float(row.value):.6f}, which is at most 0.1")
print(f"N = {row.steps - 1}: TV = {float(row.before):.6f}, which is not")

# %% [markdown]
# That pair of numbers is one row of a rate table: the error at $N$ and at $N-1$ lie on the two sides of $\varepsilon$.
#
# ## $d^{1/2}$ against $d^{1/3}$
#
# The randomized midpoint draws a number $\alpha$ in every step. Given all the $\alpha$'s its output is Gaussian with
# some error, and $\mathbb E_\alpha \mathrm{TV}$ is the average of that error.

# %%
dims = [10**k for k in range(2, 7)]
first, second = [], []
for d in dims:
    first.append(steps_to(exponential_integrator, d, 0.1).steps)
    second.append(steps_to(randomized_midpoint, d, 0.1, law="expected", guess=(second or [31])[-1] * 2).steps)


def slopes(x, N):
    return np.diff(np.log(N)) / np.diff(np.log(x))


print(f"{'d':>9} {'exponential integrator':>23} {'slope':>6} {'randomized midpoint':>20} {'slope':>6}")
for k, d in enumerate(dims):
    local = [f"{slopes(dims, N)[k - 1]:6.3f}" if k else " " * 6 for N in (first, second)]
    print(f"{d:9} {first[k]:23} {local[0]} {second[k]:20} {local[1]}")

# %%
figure, axis = plt.subplots()
looks = [SCHEMES[name] | {"linestyle": "none"} for name in ("exponential_integrator", "randomized_midpoint")]
axis.loglog(dims, first, **looks[0])
axis.loglog(dims, second, **looks[1] | {"label": r"randomized midpoint, $\mathbb{E}_\alpha$TV"})
for N, power, name in ((first, 1 / 2, "$d^{1/2}$"), (second, 1 / 3, "$d^{1/3}$")):
    axis.loglog(dims, N[-1] * (np.array(dims) / dims[-1]) ** power, "--", color=GRAY, linewidth=1.5)
    axis.annotate(name, (dims[-2], N[-2]), xytext=(-6, 10), textcoords="offset points", ha="right")
axis.set(xlabel="dimension $d$", ylabel=r"smallest number of steps with TV $\leq 0.1$")
axis.set_title("Two schemes, two exponents")
axis.legend()
plt.show()

# %% [markdown]
# The local slopes settle at $\frac12$ and $\frac13$. The claims are $\frac12$ and $\frac5{12}$, so the table's verdicts
# differ: for the exponential integrator *consistent*, the claimed exponent is reached; for the randomized midpoint
# *claim not sharp here*. The second does not refute anything. A claim is about the worst target of a class, and a
# Gaussian is one target. Only a measured exponent *above* the claimed one would be a contradiction.

# %%
assert abs(slopes(dims, first)[-1] - 1 / 2) < 0.01
assert abs(slopes(dims, second)[-1] - 1 / 3) < 0.01

# %% [markdown]
# ## Where the asymptotic regime starts
#
# An exponent is a statement about $d \to \infty$. Where does infinity begin? Local slopes tell; a straight line through
# all points would not. One thing blurs them: $N$ is a whole number, so $\ln N$ is only known up to $1/(2N)$. The grey
# band is what that does to a slope.

# %%
fine = [round(10 ** (k / 2)) for k in range(17)]
found = np.array([steps_to(exponential_integrator, d, 0.1).steps for d in fine])
middle = np.sqrt(np.array(fine[1:]) * np.array(fine[:-1]))
blur = (0.5 / found[1:] + 0.5 / found[:-1]) / np.diff(np.log(fine))

figure, axis = plt.subplots()
axis.fill_between(middle, 0.5 - blur, 0.5 + blur, color=GRAY, alpha=0.25, label="what whole numbers $N$ blur")
axis.semilogx(middle, slopes(fine, found), "s-", color=ORANGE, label="local slope, exponential integrator")
axis.axhline(1 / 2, color=BLACK, linewidth=0.8)
axis.set(xlabel="dimension $d$", ylabel=r"slope of $\ln N$ in $\ln d$")
axis.set_title("From $d = 10$ on the slope is one half")
axis.legend()
plt.show()

# %% [markdown]
# In one dimension a total variation of 0.1 takes ten steps, and ten steps are no small $h$: the slope begins above
# $\frac12$. From about $d = 10$ on it is $\frac12$ within the roundness. `rm.rates.fit` does much the same: it goes
# back from the last slope as long as neighbours agree within the roundness, fits there with little weight on small $N$,
# and says where that was. An exponent comes with its range or it says nothing.

# %%
fitted = rm.rates.fit(fine, found)
print(f"exponent {fitted['exponent']:.4f} ± {fitted['error']:.4f} on {fitted['low']:.0f} <= d <= {fitted['high']:.0e}")
assert abs(fitted["exponent"] - 1 / 2) < 0.01
assert fitted["asymptotic"]

# %% [markdown]
# ## Two errors of one random scheme
#
# Whoever runs a sampler does not see the $\alpha$'s. The output has one law, the mixture over all of them, and its
# distance to the data is smaller than the average distance of the parts: errors of opposite sign cancel. The two grow
# differently with the accuracy. To leading order, with constants $a, b, c$ that do not depend on $d$,
#
# $$\mathbb E_\alpha \mathrm{TV} \approx c\, \sqrt d\, h^{3/2}, \qquad
#   \mathrm{TV(mixture)} \approx \max\big(a\, \sqrt d\, h^2,\; b\, d\, h^3\big).$$
#
# The first is the random part of the error in the variance. In the mixture it averages out, and two smaller things
# remain: the bias, and the spread itself, which is seen only in second order.

# %%
levels = [0.1, 0.03, 0.01, 0.002]
d = 1000
both = {"expected": [], "unconditional": []}
for law, counts in both.items():
    for accuracy in levels:
        counts.append(steps_to(randomized_midpoint, d, accuracy, law=law, guess=(counts or [32])[-1] * 2).steps)

inverse = 1 / np.array(levels)
print(f"{'eps':>6} {'E_alpha TV':>11} {'slope':>6} {'mixture':>8} {'slope':>6}")
for k, accuracy in enumerate(levels):
    local = [f"{slopes(inverse, N)[k - 1]:6.3f}" if k else " " * 6 for N in both.values()]
    print(f"{accuracy:6} {both['expected'][k]:11} {local[0]} {both['unconditional'][k]:8} {local[1]}")

# %% [markdown]
# For $\mathbb E_\alpha\mathrm{TV}$ the slope tends to $\frac23$. For the mixture it begins between $\frac13$ (the
# second term alone) and $\frac12$ (the bias alone), and drifts towards $\frac12$.
#
# ## A crossover
#
# The two terms of the mixture are equal where $\sqrt d\, h^2 \sim d\, h^3$, that is $h \sim d^{-1/2}$, that is
# $d\, \varepsilon^2 \sim 1$. Below, the bias decides and $N \sim d^{1/4} \varepsilon^{-1/2}$; above,
# $N \sim (d/\varepsilon)^{1/3}$. The ratio of the two is
#
# $$\frac{(d/\varepsilon)^{1/3}}{d^{1/4} \varepsilon^{-1/2}} = (d\, \varepsilon^2)^{1/12} :$$
#
# if the prediction is right, then $N$ divided by $d^{1/4}\varepsilon^{-1/2}$ is a function of $d\,\varepsilon^2$ alone,
# flat on the left and of slope $\frac1{12}$ on the right. That could fail. Here are dimensions from 10 to $10^7$.

# %%
grid = {10: (0.01, 1e-3, 1e-4), 1000: (0.1, 0.01, 1e-3, 1e-4), 10**5: (0.1, 0.01, 1e-3, 1e-4), 10**7: (0.1, 0.02)}
mixture = {}
for d, accuracies in grid.items():
    for accuracy in accuracies:
        guess = round(2 * max(d**0.25 * accuracy**-0.5, (d / accuracy) ** (1 / 3)))
        mixture[d, accuracy] = steps_to(randomized_midpoint, d, accuracy, guess=guess).steps

figure, axis = plt.subplots()
for d, mark, color in zip(grid, "osD^", (BLUE, ORANGE, GREEN, RED), strict=True):
    x = np.array([d * accuracy**2 for accuracy in grid[d]])
    y = np.array([mixture[d, accuracy] / (d**0.25 * accuracy**-0.5) for accuracy in grid[d]])
    axis.loglog(x, y, mark, color=color, label=f"$d = 10^{{{round(np.log10(d))}}}$")
bias = mixture[10, 1e-4] / (10**0.25 * 1e-4**-0.5)
spread = mixture[10**7, 0.1] / (10**7 / 0.1) ** (1 / 3)
axis.axhline(bias, color=BLACK, linewidth=1.2, label="bias: $N \\sim d^{1/4} \\varepsilon^{-1/2}$")
u = np.geomspace(1e-2, 1e5, 50)
axis.loglog(
    u, spread * u ** (1 / 12), "--", color=BLACK, linewidth=1.2, label=r"spread: $N \sim (d/\varepsilon)^{1/3}$"
)
ticks(axis.yaxis, [1.5, 2, 3, 4])
axis.set(xlabel=r"dimension and accuracy, $d\, \varepsilon^2$", ylabel=r"steps $N \,/\, (d^{1/4} \varepsilon^{-1/2})$")
axis.set_title("Two powers, one curve: the randomized midpoint's mixture")
axis.legend(fontsize=11)
plt.show()

# %% [markdown]
# Thirteen numbers of steps, from tens to thousands, on one curve. The bend is wide: two powers whose exponents differ
# by $\frac1{12}$ take orders of magnitude to tell apart.

# %%
for (d, accuracy), N in mixture.items():
    if d * accuracy**2 <= 1e-3:
        assert abs(N / (bias * d**0.25 * accuracy**-0.5) - 1) < 0.05, (d, accuracy, N)

# %% [markdown]
# ## What a slope across the crossover means
#
# Nothing. Fix $\varepsilon = 0.01$, so that the crossover is at $d \sim 10^4$, and draw a straight line through
# everything between 10 and some largest dimension:

# %%
across = [10, 100, 1000, 10**4, 10**5, 10**6, 10**7]
counts = []
for d in across:
    known = mixture.get((d, 0.01))
    counts.append(known or steps_to(randomized_midpoint, d, 0.01, guess=(counts or [20])[-1] * 2).steps)
for last in (4, 5, 6, 7):
    power = np.polyfit(np.log(across[:last]), np.log(counts[:last]), 1)[0]
    print(f"one line from d = 10 to {across[last - 1]:.0e}: slope {power:.3f}")
print("local slopes:", " ".join(f"{slope:.3f}" for slope in slopes(across, counts)))

# %% [markdown]
# Four ranges, four exponents, none of them $\frac14$ or $\frac13$, each with a fine straight line on paper. The answer
# depends on where one stops, which is not a property of the scheme. The local slopes show what happens: they start at
# $\frac14$ and climb towards $\frac13$. A rate table therefore has one entry for each side, with its range.

# %%
local = slopes(across, counts)
assert abs(local[0] - 1 / 4) < 0.02
assert 0.30 < local[-1] < 1 / 3 + 0.01
assert np.all(np.diff(local) > -0.01)

# %% [markdown]
# So, in front of a table of exponents:
#
# 1. Of which error? $\mathbb E_\alpha\mathrm{TV}$ and the TV of the mixture have different exponents.
# 2. On which range, and do the local slopes agree at its end?
# 3. Is there one regime in that range, or two?
# 4. Is the claim an upper bound? Then slower growth is no news, and faster growth is.
#
# The whole table, with Heun's method and the deterministic midpoint, the smoothness $L$, correctors and estimated
# scores, comes from the command `rmverify rates`.
#
# ## Exercises
#
# **1.** Find the smallest $N$ yourself. Write `my_steps(d, accuracy)` for the exponential integrator: `rm.output_law`
# and `rm.tv` give the error of a plan, which falls with $N$.
#
# **2.** On Gaussians the deterministic midpoint `rm.schemes.midpoint` has a bias and no spread. Which exponents do you
# expect from it in $d$ and in $1/\varepsilon$? The check measures them on data $N(0, 4 I_d)$. On $N(0, \frac14 I_d)$
# the bias changes its sign at 86 steps, and the smallest $N$ is caught below, whatever $d$ is: small for a reason that
# no exponent describes. A row of a rate table has a field for it, `crossing`.
#
# **3.** A colleague finds $N = 100, 178, 316, 562$ steps at $d = 10^2, 10^3, 10^4, 10^5$. Which exponent is it, and by
# how much can the roundness of $N$ have moved the last local slope?


# %%
def check_steps(smallest):
    for d, accuracy in ((1, 0.1), (100, 0.1), (1000, 0.03), (10_000, 0.1)):
        mine, due = smallest(d, accuracy), steps_to(exponential_integrator, d, accuracy).steps
        assert mine == due, f"d = {d}, TV <= {accuracy}: yours is {mine}, the smallest is {due}"
    print("Right, to the last step.")


def check_exponents(in_dimension, in_accuracy):
    def count(d, accuracy, variance=4.0):
        return rm.rates.steps_to(midpoint, rm.Gaussian.isotropic(variance, d), accuracy, guess=64)

    far = [10**6, 10**8], [1e-3, 1e-5]
    by_d = [count(d, 0.01).steps for d in far[0]]
    by_accuracy = [count(100, accuracy).steps for accuracy in far[1]]
    measured = slopes(far[0], by_d)[0], slopes(1 / np.array(far[1]), by_accuracy)[0]
    caught = [count(d, 0.01, 0.25) for d in far[0]]
    print(f"smallest N: {by_d} on N(0, 4), {[row.steps for row in caught]} on N(0, 1/4), for d = {far[0]}")
    assert max(row.steps for row in caught) < caught[-1].crossing == 86
    for name, mine, found in zip(("d", "1/eps"), (in_dimension, in_accuracy), measured, strict=True):
        print(f"in {name}: yours {mine:.3f}, measured {found:.3f}")
        assert abs(mine - found) < 0.03, f"not the exponent in {name}"


def check_roundness(exponent, error):
    d, N = 10.0 ** np.arange(2, 6), np.array([100, 178, 316, 562])
    assert abs(slopes(d, N)[-1] - exponent) < 0.005, "not the last local slope"
    due = (0.5 / 562 + 0.5 / 316) / np.log(10)
    assert 0.8 < error / due < 1.25, "half a step in each of the two, over the logarithm of ten"
    print(f"Right: {exponent} ± {due:.4f}.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .


# %%
def my_steps(d, accuracy):
    target = rm.Gaussian.isotropic(0.25, d)

    def within(n):
        plan = rm.Plan([rm.Predict(exponential_integrator, np.linspace(3, 0, n + 1))])
        return rm.tv(rm.output_law(plan, target, start="exact"), target) <= accuracy

    high = 1
    while not within(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


check_steps(my_steps)
check_exponents(1 / 4, 1 / 2)  # a bias of order h^2 in each variance, sqrt(d) h^2 in total variation
check_roundness(1 / 4, (0.5 / 562 + 0.5 / 316) / np.log(10))
