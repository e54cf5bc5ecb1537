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
# # One step of the randomized midpoint
#
# A diffusion model samples by running a flow backwards in noise level. From level $t$ down to $t-h$ the exact flow is
#
# $$x_{t-h} = e^{h} x_t + \int_0^h e^{h-r}\, s_{t-r}(x_{t-r})\, dr, \qquad s_t = \nabla \ln q_t .$$
#
# The randomized midpoint replaces the integral by one evaluation at a random place, $\alpha \sim U[0,1]$:
#
# $$x_{1/2} = e^{\alpha h} x + (e^{\alpha h}-1)\, s_t(x), \qquad
#   \hat x = e^{h} x + h\, e^{(1-\alpha) h}\, s_{t-\alpha h}(x_{1/2}) .$$
#
# Its error has two parts. The **bias** $\mathbb{E}_\alpha \hat x - x_{t-h}$ is what remains when the randomness is
# averaged out; the **variance** of $\hat x$ over $\alpha$ is the randomness itself. Over $N$ steps biases add up to $N$
# of them, standard deviations to $\sqrt N$ only: a method may afford much more variance than bias. How much of each is
# there in one step?
#
# Nothing below is simulated. On a Gaussian, `rmverify` runs the step with exact arithmetic on laws and gives both
# numbers to fifteen digits, however small they are.

# %%
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, ORANGE, RED, sliders

import rmverify as rm
from rmverify.elementary import exp, expm1
from rmverify.schemes import randomized_midpoint

# %% [markdown]
# ## A Gaussian target
#
# Data $N(0, \lambda)$ have at level $t$ the law $q_t = N(0, v)$ with
#
# $$v(t) = 1 + (\lambda - 1)\, e^{-2t}, \qquad s_t(x) = -x / v(t),$$
#
# and the exact flow takes $x$ to $\sqrt{v(t-h)/v(t)}\; x$. So here is one step, from one standard deviation, as a
# function of the place $\alpha$ of its midpoint.


# %%
def v(lam, t):
    return 1 + (lam - 1) * np.exp(-2 * t)


def places(lam=0.25, h=0.2, t=0.5):
    alpha = np.linspace(0, 1, 201)
    start, due = np.sqrt(v(lam, t)), np.sqrt(v(lam, t - h))
    draw = SimpleNamespace(uniform=lambda: alpha)
    off = 100 * (randomized_midpoint(start, t, h, lambda s, x: -x / v(lam, s), draw) / due - 1)
    axis = plt.subplots()[1]
    axis.plot(alpha, off, color=ORANGE, label="one step")
    axis.fill_between(alpha, off, 0, color=ORANGE, alpha=0.15)
    axis.axhline(0, color=BLACK, linewidth=1.2, label="exact flow")
    axis.axhline(off.mean(), color=BLUE, linestyle="--", label=rf"mean over $\alpha$: {off.mean():+.3f} %")
    axis.set(xlabel=r"place of the midpoint $\alpha$ (share of the step)", ylabel="error of $\\hat x$ (% of a std)")
    axis.set_title(rf"One place errs, the mean of all hardly ($\lambda = {lam:g}$, $h = {h:g}$)")
    axis.legend(loc="best")
    plt.show()


places()
sliders(places, lam=(0.05, 0.25, 0.5, 1.0, 2.0, 10.0), h=(0.025, 0.05, 0.1, 0.2, 0.4))

# %% [markdown]
# ## Order and constant
#
# Expanding one step in $h$, with $x \sim q_t$, gives the leading terms of the mean squares:
#
# $$\mathbb{E}\,|\text{bias}|^2 = \frac{(v-1)^2}{36\, v^5}\, h^6 + \dots, \qquad
#   \text{variance} = \frac{(2v-1)^2}{12\, v^3}\, h^4 + \dots$$
#
# The first says that the bias itself is $(v-1) h^3 x / (6 v^3)$. These are claims with an order *and* a constant;
# we measure both.


# %%
def leading(v, h):
    bias = (v - 1) ** 2 / (36 * v**5) * h**6
    variance = (2 * v - 1) ** 2 / (12 * v**3) * h**4
    return bias, variance


def measured(scheme, lam, t, h):
    error = rm.local_error(scheme, rm.Gaussian.isotropic(lam, 1), t, h)
    return error.bias, error.variance


lam, t = 0.25, 0.5
steps = np.geomspace(1e-4, 0.25, 12)
ours = np.array([measured(randomized_midpoint, lam, t, h) for h in steps])
theory = np.array([leading(v(lam, t), h) for h in steps])

print(f"v = {v(lam, t):.4f}")
print(f"{'h':>9} {'bias^2':>10} {'/ leading':>10} {'variance':>10} {'/ leading':>10}")
for h, found, expected in zip(steps, ours, theory, strict=True):
    ratio = found / expected
    print(f"{h:9.2e} {found[0]:10.2e} {ratio[0]:10.6f} {found[1]:10.2e} {ratio[1]:10.6f}")

# %% [markdown]
# The ratios tend to 1 as $h \to 0$, with a distance proportional to $h$, the next term of the expansion. That is the
# proof by measurement that both order and constant are right.
#
# On logarithmic axes an order is a slope: 6 for the squared bias, 4 for the variance.

# %%
names = ("squared bias", "variance")
colors = (BLUE, ORANGE)


def draw(axis, found, expected):
    for k, name in enumerate(names):
        axis.loglog(steps, found[:, k], "o", color=colors[k], label=f"{name}, exact")
        axis.loglog(steps, expected[:, k], "-", color=colors[k], label=f"{name}, leading term")
    axis.set_xlabel("step $h$ (units of $t$)")
    axis.set_ylabel("mean square over $x$")


figure, axis = plt.subplots()
draw(axis, ours, theory)
axis.set_title("In one step the bias is far below the spread")
axis.legend()
plt.show()

# %%
smallest = ours[0] / theory[0]
assert np.all(np.abs(smallest - 1) < 10 * steps[0]), smallest

# %% [markdown]
# ## A bug that keeps the orders
#
# The weight of the last line is $e^{(1-\alpha)h}$: a push at time $\alpha h$ still grows for the rest of the step.
# Suppose that somebody writes $e^{\alpha h}$. Averaged over $\alpha$ the two weights agree, so nothing obvious breaks.


# %%
def wrong_weight(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp(a * h) * score(t - a * h, half)  # should be exp((1 - a) * h)


theirs = np.array([measured(wrong_weight, lam, t, h) for h in steps])
slopes = {
    name: np.diff(np.log(found[:2]), axis=0)[0] / np.diff(np.log(steps[:2]))
    for name, found in (("right", ours), ("wrong weight", theirs))
}
for name, slope in slopes.items():
    print(f"{name:>13}: squared bias ~ h^{slope[0]:.3f}, variance ~ h^{slope[1]:.3f}")

# %% [markdown]
# The orders are the same, and a test that fits slopes passes both. Only the constants tell. They can be found by
# hand: along the flow the score moves like $s_{t-r}(x_{t-r}) = -\frac{x}{v} + \frac{v-1}{v^2}\, x\, r + \dots$
#
# * The wrong weight changes the mean of the last line by
#   $\int_0^h (e^{r} - e^{h-r})\, s_{t-r}\, dr \approx \int_0^h (2r - h)\, \frac{v-1}{v^2}\, x\, r\, dr
#   = \frac{v-1}{6 v^2}\, h^3 x$. Added to the bias $\frac{v-1}{6v^3} h^3 x$ this makes
#   $\frac{(v-1)(v+1)}{6 v^3}\, h^3 x$.
# * To leading order the last line depends on $\alpha$ through $h^2 \alpha$ times $\frac{x}{v} + \frac{v-1}{v^2} x =
#   \frac{2v-1}{v^2} x$ with the right weight, and times $-\frac{x}{v} + \frac{v-1}{v^2} x = -\frac{1}{v^2} x$ with
#   the wrong one. Since $\mathrm{Var}\,\alpha = \frac1{12}$, the variance becomes $\frac{h^4}{12 v^3}$.


# %%
def leading_wrong(v, h):
    bias = (v**2 - 1) ** 2 / (36 * v**5) * h**6
    variance = 1 / (12 * v**3) * h**4
    return bias, variance


figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5))
draw(left, theirs, theory)
left.set_title("A bug has the right slopes")
left.legend()
for k, name in enumerate(names):
    right.loglog(steps, ours[:, k] / theory[:, k], "o-", color=colors[k], label=f"{name}, right")
    right.loglog(steps, theirs[:, k] / theory[:, k], "X--", color=colors[k], label=f"{name}, wrong weight")
right.axhline(1, color=BLACK, linewidth=0.8)
right.set(xlabel="step $h$ (units of $t$)", ylabel="exact / right leading term", ylim=(0.3, 60))
right.set_title("... and the wrong constants")
right.legend(loc="upper left")
plt.show()

# %%
expected = np.array(leading_wrong(v(lam, t), steps[0]))
assert np.all(np.abs(theirs[0] / expected - 1) < 10 * steps[0])
assert np.all(np.abs(theirs[0] / theory[0] - 1) > 0.5)  # and these are not the claimed constants

# %% [markdown]
# ## Where to look
#
# At which targets can the bug be seen? The same constants, measured at one small step for data of many variances:

# %%
h, t = 1e-3, 0.2
variances = np.geomspace(0.05, 20, 25)
level = v(variances, t)
curves = {
    "right weight": np.array([measured(randomized_midpoint, each, t, h) for each in variances]),
    "wrong weight": np.array([measured(wrong_weight, each, t, h) for each in variances]),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 5))
fine = np.geomspace(level.min(), level.max(), 400)
for k, (axis, order) in enumerate(zip(axes, (6, 4), strict=True)):
    looks = ((leading, "o", BLUE), (leading_wrong, "X", RED))
    for (name, found), (theory_of, mark, color) in zip(curves.items(), looks, strict=True):
        axis.loglog(level, found[:, k] / h**order, mark, color=color, markersize=6, label=f"{name}, exact")
        axis.loglog(fine, theory_of(fine, h)[k] / h**order, color=color, linewidth=1.2, label="its leading term")
    axis.set_ylim(bottom=1e-7 if order == 6 else 1e-5)
    axis.axvline(1, color=GRAY, linewidth=1.5, linestyle=":")
    axis.annotate("$N(0, 1)$", (1, axis.get_ylim()[0]), xytext=(4, 6), textcoords="offset points", color=GRAY)
    axis.set(xlabel="variance $v$ of the data at level $t$", ylabel=f"{names[k]} / $h^{order}$")
axes[0].legend(fontsize=11)
figure.suptitle("On the standard normal the bug cannot be seen", fontsize=15, weight="bold")
plt.show()

# %%
one = [measured(scheme, 1.0, t, h) for scheme in (randomized_midpoint, wrong_weight)]
assert np.allclose(one[0][1], one[1][1], rtol=10 * h)  # the same variance
assert max(one[0][0], one[1][0]) < h**7  # and no bias of the order
assert abs(measured(wrong_weight, 0.25, t, h)[1] / measured(randomized_midpoint, 0.25, t, h)[1] - 1) > 0.5

# %% [markdown]
# The right variance vanishes to leading order at $v = \frac12$, and the wrong one does not: that is a good place to
# look. At $v = 1$ the curves meet. On the standard normal, the target that everybody tries first, the wrong weight
# has the right bias (none) and the right variance ($h^4/12$). A verifier has to look elsewhere, and at constants.
#
# ## Exercises
#
# **1.** Replace `score(t - a * h, half)` by `score(t, half)`, a score asked at the wrong noise level. Which of the two
# orders changes? Find the leading terms of squared bias and variance by hand, as above, and write them as
# `my_leading(v, h)`. At which $v$ would you not notice?
#
# **2.** Write a step `my_step` whose variance is of order $h^6$, by asking at *two* places in each step. (Three
# evaluations; one random number is enough.)


# %%
def wrong_level(x, t, h, score, draw):
    a = draw.uniform()
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t, half)  # should be t - a * h


def check_leading(terms, h=1e-4, t=0.2):
    for lam in (0.1, 0.4, 2.0, 10.0):
        for name, mine, found in zip(names, terms(v(lam, t), h), measured(wrong_level, lam, t, h), strict=True):
            assert abs(mine / found - 1) < 300 * h, (
                f"{name} at v = {v(lam, t):.3f}: yours {mine:.3e}, exact {found:.3e}"
            )
    bias, variance = measured(wrong_level, 1.0, t, h)
    assert bias < h**6
    assert abs(variance * 12 / h**4 - 1) < 10 * h
    print("Right. At v = 1 there is no bias, and the variance is that of the right step.")


def check_step(step, lam=0.25, t=0.5):
    errors = [measured(step, lam, t, h) for h in (2e-3, 1e-3)]
    slopes = np.log2(np.array(errors[0]) / errors[1])
    assert slopes[0] > 5.9, f"the squared bias has the order {slopes[0]:.2f}, and 6 is due"
    assert slopes[1] > 5.9, f"the variance has the order {slopes[1]:.2f}, and 6 is due"
    print(f"Right: the orders are {slopes[0]:.2f} and {slopes[1]:.2f}.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .


# %%
def my_leading(v, h):
    """Along the flow x_{t-r} = x + (1 - 1/v) x r + ..., so that the score at level t has -(v - 1)/v^2 x r where it is
    due with a +: the mean is off by -(v - 1)/v^2 x h^2, and alpha has the weight h^2 x/v^2."""
    return (v - 1) ** 2 / v**3 * h**4, 1 / (12 * v**3) * h**4


def my_step(x, t, h, score, draw):
    a = draw.uniform()
    pushes = 0
    for place in (a, 1 - a):  # what is linear in the place cancels
        half = exp(place * h) * x + expm1(place * h) * score(t, x)
        pushes = pushes + exp((1 - place) * h) * score(t - place * h, half)
    return exp(h) * x + h / 2 * pushes


check_leading(my_leading)
check_step(my_step)
