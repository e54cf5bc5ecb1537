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
# averaged out; the **variance** of $\hat x$ over $\alpha$ is the randomness itself. Many steps add biases up, but
# average the variances: a method may afford much more variance than bias. How much of each is there in one step?
#
# Nothing below is simulated. On a Gaussian, `rmverify` runs the step with exact arithmetic on laws and gives both
# numbers to fifteen digits, however small they are.

# %%
import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, GREEN, ORANGE, RED, SCHEMES, sliders

import rmverify as rm
from rmverify.elementary import exp, expm1
from rmverify.schemes import randomized_midpoint
from rmverify.testing import assert_same_law

# %% [markdown]
# ## The step as a picture
#
# On data $N(0, \lambda)$ the score at level $t$ is $-x/v$ with $v = 1 + (\lambda - 1) e^{-2t}$, so that a step can be
# drawn: where it ends, for every $\alpha$, and where the exact flow ends.


# %%
def ends(variance=0.25, h=0.2, t=0.5, x=1.0):
    def v(t):
        return 1 + (variance - 1) * np.exp(-2 * t)

    a = np.linspace(0, 1, 201)
    half = np.exp(a * h) * x - np.expm1(a * h) * x / v(t)
    end = np.exp(h) * x - h * np.exp((1 - a) * h) * half / v(t - a * h)
    exact = np.sqrt(v(t - h) / v(t)) * x
    _, axis = plt.subplots()
    axis.plot(a, end, color=BLUE, label="randomized midpoint")
    axis.axhline(np.trapezoid(end, a), color=ORANGE, label=r"its mean over $\alpha$")
    axis.axhline(exact, color=BLACK, linestyle="--", label="exact flow")
    axis.plot(1 / 2, np.interp(1 / 2, a, end), **SCHEMES["midpoint"], linestyle="none")
    axis.set(xlabel=r"random place $\alpha$ of the midpoint", ylabel=rf"end of one step from $x = {x:g}$")
    axis.set_title(rf"Far off for one $\alpha$, near on average ($h = {h:g}$, $\lambda = {variance:g}$)")
    axis.legend()
    plt.show()


ends()

# %%
sliders(ends, variance=(0.05, 0.25, 0.5, 1.0, 2.0, 4.0), h=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5))

# %% [markdown]
# The blue line's height above the dashed one is the error for one $\alpha$: its spread is the variance. What remains
# between the orange and the dashed line is the bias. With a smaller $h$ both shrink, and the bias much faster.
#
# ## A Gaussian target
#
# Data $N(0, \lambda)$ have at level $t$ the law $q_t = N(0, v)$ with
#
# $$v(t) = 1 + (\lambda - 1)\, e^{-2t}, \qquad s_t(x) = -x / v(t).$$
#
# Expanding one step in $h$, with $x \sim q_t$, gives the leading terms of the mean squares:
#
# $$\mathbb{E}\,|\text{bias}|^2 = \frac{(v-1)^2}{36\, v^5}\, h^6 + \dots, \qquad
#   \text{variance} = \frac{(2v-1)^2}{12\, v^3}\, h^4 + \dots$$
#
# The first says that the bias itself is $(v-1) h^3 x / (6 v^3)$. These are claims with an order *and* a constant;
# we measure both.


# %%
def v(lam, t):
    return 1 + (lam - 1) * np.exp(-2 * t)


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
    axis.set(xlabel="step $h$ (units of $t$)", ylabel="mean square over $x$ (units of $x^2$)")


figure, axis = plt.subplots()
draw(axis, ours, theory)
axis.set_title("Squared bias falls like $h^6$, variance like $h^4$")
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


figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5))
draw(left, theirs, theory)
left.set_title("The slopes pass the wrong weight")
left.legend(fontsize=11)
for k, name in enumerate(names):
    right.semilogx(steps, ours[:, k] / theory[:, k], "o-", color=colors[k], label=f"{name}, right")
    right.semilogx(steps, theirs[:, k] / theory[:, k], "s--", color=colors[k], label=f"{name}, wrong weight")
right.axhline(1, color=BLACK, linewidth=0.8)
right.set(xlabel="step $h$ (units of $t$)", ylabel="exact / right leading term")
right.set_title("The constants do not")
right.legend(fontsize=11)
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
    "right": np.array([measured(randomized_midpoint, each, t, h) for each in variances]),
    "wrong weight": np.array([measured(wrong_weight, each, t, h) for each in variances]),
}
figure, axes = plt.subplots(1, 2, figsize=(12, 5))
fine = np.geomspace(level.min(), level.max(), 400)
for k, (axis, order) in enumerate(zip(axes, (6, 4), strict=True)):
    looks = zip(curves.items(), (leading, leading_wrong), "os", (GREEN, RED), strict=True)
    for (name, found), theory_of, mark, color in looks:
        axis.loglog(level, found[:, k] / h**order, mark, color=color, markersize=5, label=f"{name}, exact")
        axis.loglog(fine, theory_of(fine, h)[k] / h**order, color=color, label=f"{name}, leading term")
    axis.set_ylim(bottom=1e-7 if order == 6 else 1e-5)
    axis.axvline(1, color=GRAY, linestyle=":")
    axis.set(xlabel="variance $v$ of the data at level $t$", ylabel=f"{names[k]} / $h^{order}$")
axes[0].legend(fontsize=11)
figure.suptitle("On the standard normal ($v = 1$) the bug cannot be seen", fontsize=14, weight="bold")
plt.show()

# %% [markdown]
# The right variance vanishes to leading order at $v = \frac12$, and the wrong one does not: that is a good place to
# look. At $v = 1$ the curves meet. On the standard normal, the target that everybody tries first, the wrong weight
# has the right bias (none) and the right variance ($h^4/12$). A verifier has to look elsewhere, and at constants.
#
# ## Exercises
#
# **1.** Replace `score(t - a * h, half)` by `score(t, half)`, a score asked at the wrong noise level. Of which orders
# are squared bias and variance then, and at which $v$ would you not notice? Give the three numbers.
#
# **2.** Write the exponential integrator, which freezes the score at the beginning of the step, $\hat x = e^h x +
# (e^h - 1)\, s_t(x)$, as a step function. The check asks `rmverify.testing` whether its law is right.


# %%
def check_wrong_level(bias_order, variance_order, unnoticed):
    def wrong_level(x, t, h, score, draw):
        a = draw.uniform()
        half = exp(a * h) * x + expm1(a * h) * score(t, x)
        return exp(h) * x + h * exp((1 - a) * h) * score(t, half)

    found = np.array([measured(wrong_level, 0.25, 0.5, h) for h in (1e-4, 1e-3)])
    orders = np.log10(found[1] / found[0])
    for name, order, given in zip(names, orders, (bias_order, variance_order), strict=True):
        assert abs(order - given) < 0.05, f"{name} is of order {order:.2f}"
    lam = 1 + (unnoticed - 1) * np.exp(2 * 0.5)  # the data whose variance at level 0.5 is this
    right, wrong = (measured(each, lam, 0.5, 1e-3) for each in (randomized_midpoint, wrong_level))
    assert np.allclose(right, wrong, rtol=1e-6), f"at v = {unnoticed} one finds {wrong} for {right}"
    print("Right: only the bias tells, by its order; where the law does not change with t, nothing does.")


def check_exponential_integrator(step):
    assert_same_law(step, rm.schemes.exponential_integrator)
    print("Right: its law is that of rm.schemes.exponential_integrator.")


try:
    check_exponential_integrator(rm.schemes.euler)
except AssertionError as complaint:
    print(complaint)

# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .

# %%
check_wrong_level(4, 4, 1)
check_exponential_integrator(lambda x, t, h, score, draw: exp(h) * x + expm1(h) * score(t, x))
