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
# # From $W_2$ to total variation
#
# Two clouds of points can be close and yet have nothing in common. Round every number to three digits: nothing has
# moved by more than 0.0005, and the rounded cloud sits on a lattice, where the true law never is. Its $W_2$ distance to
# the truth is tiny, its total variation is 1.
#
# Samplers have that problem. Their error analysis follows *points*, and ends with $W_2$: each particle is near where it
# should be. Statements about probabilities need total variation. The bridge between the two is a little noise, and the
# question of this notebook is how much of it one has to buy, and in which currency. The answer of the theorem is
# underdamped Langevin, run for a short time: the *corrector*.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import erf
from style import BLACK, BLUE, GRAY, GREEN, ORANGE, PURPLE, RED, SKY

import rmverify as rm
from rmverify.laws.langevin.linear import kinetic_flow
from rmverify.schemes import overdamped, underdamped
from rmverify.studies.log_concave import comb

# %% [markdown]
# ## In the phase plane
#
# Give each particle a velocity. Underdamped Langevin pushes the velocity with noise, and the velocity moves the
# position:
#
# $$dx = v\,dt, \qquad dv = (-k x - \gamma v)\,dt + \sqrt{2\gamma}\,dB, \qquad v_0 \sim N(0, 1).$$
#
# On a linear force the law of $(x, v)$ stays Gaussian, and `kinetic_flow` knows it exactly. We take $k = \gamma = 1$,
# and two particles at a distance $w = 0.4$. At first their laws are two vertical lines, as only the velocities are
# random. The lines turn, since the fast ones run ahead, and they grow thick.

# %%
w, k, friction = 0.4, 1.0, 1.0


def law(x, time, fresh=True):
    """Mean and covariance of (x, v) after a time, started at x with a fresh velocity, or with velocity 0."""
    flow = kinetic_flow(k, friction, time)
    A, noise = (np.array([[float(entry) for entry in row] for row in part]) for part in (flow.linear, flow.noise))
    return A @ [x, 0], noise + fresh * np.outer(A[:, 1], A[:, 1])


def ellipse(mean, covariance, size=1.0):
    angle = np.linspace(0, 2 * np.pi, 200)
    return mean[:, None] + size * np.linalg.cholesky(covariance) @ [np.cos(angle), np.sin(angle)]


times = (0.1, 0.4, 1.0)
figure, axes = plt.subplots(1, 3, figsize=(12, 4.6), sharex=True, sharey=True)
for axis, time in zip(axes, times, strict=True):
    for x, color, name in ((-w / 2, BLUE, "from $-w/2$"), (w / 2, ORANGE, "from $+w/2$")):
        mean, covariance = law(x, time)
        for size in (1, 2):
            path = ellipse(mean, covariance, size)
            axis.plot(*path, color=color, linewidth=2.5 / size, label=name if size == 1 else None)
            axis.fill(*path, color=color, alpha=0.15)
    axis.set(xlabel="position $x$")
    axis.set_title(f"after a time $T = {time}$", fontweight="normal")
axes[0].set_ylabel("velocity $v$")
axes[0].legend(loc="lower right", fontsize=11)
figure.suptitle("Noise in the velocity reaches the position late, and then quickly", fontsize=14, weight="bold")
plt.show()

# %% [markdown]
# The ellipses are those of one and two standard deviations. Two Gaussians of one covariance $C$, with means apart by
# $\delta$, have the total variation $\operatorname{erf}\big(\sqrt{\delta^T C^{-1}\delta}/\sqrt 8\big)$. So:


# %%
def joint_tv(w, time):
    (mean, covariance), (other, _) = law(-w / 2, time), law(w / 2, time)
    gap = other - mean
    return erf(np.sqrt(gap @ np.linalg.solve(covariance, gap) / 8))


def position_tv(w, time):
    (mean, covariance), (other, _) = law(-w / 2, time), law(w / 2, time)
    return erf(abs(other[0] - mean[0]) / np.sqrt(8 * covariance[0, 0]))


for time in times:
    print(f"T = {time}: TV of (x, v) {joint_tv(w, time):.4f}, of the position alone {position_tv(w, time):.4f}")
first, second = (rm.Gaussian(*law(x, 0.4)) for x in (-w / 2, w / 2))
assert abs(joint_tv(w, 0.4) - float(rm.tv(first, second))) < 1e-12

# %% [markdown]
# ## Two powers of the time
#
# Over a short time $T$ the noise in $v$ has size $\sqrt{T}$, and in $x$, given $v$, only $T^{3/2}$. That is how thick
# the ellipse is. To hide a distance $w$ in $(x, v)$ one needs $w \lesssim T^{3/2}$. The position alone has also the
# fresh velocity to hide behind, which moves it by $v_0 T$: there $w \lesssim T$ is enough.

# %%
small = 1e-6
span = np.geomspace(0.01, 1, 40)
both = np.array([joint_tv(small, time) for time in span])
alone = np.array([position_tv(small, time) for time in span])
figure, axis = plt.subplots()
axis.loglog(span, both / small, color=RED, label="of $(x, v)$")
axis.loglog(span, alone / small, color=GREEN, label="of $x$ alone")
axis.loglog(span, 0.744 * span**-1.5, color=RED, linestyle=":", label="$0.744\\;T^{-3/2}$, for every force (C1)")
axis.loglog(span, 0.571 / span, color=GREEN, linestyle=":", label="$0.571\\;T^{-1}$, for every force (C4)")
axis.set(xlabel=r"time $T$ of the corrector (units of $1/\sqrt{L}$)", ylabel="total variation / $W_2$")
axis.set_title("What is left of a small distance after a time $T$")
axis.legend()
plt.show()

# %%
assert np.all(both <= 0.7444 * small * span**-1.5)
assert np.all(alone <= 0.5712 * small / span)
slope = np.log(both[1] / both[0]) / np.log(span[1] / span[0]), np.log(alone[1] / alone[0]) / np.log(span[1] / span[0])
print(f"slopes at T = 0.01: {slope[0]:.3f} and {slope[1]:.3f}")
assert abs(slope[0] + 1.5) < 0.01
assert abs(slope[1] + 1) < 0.01

# %% [markdown]
# The dotted lines are the smallest constants that hold for *all* linear forces with curvatures in $[-L, L]$ and all
# starts; the package certifies them by interval arithmetic (`rmverify verify C1 C4 --certified`).
#
# ## A start on a lattice
#
# Now the example of the beginning. Draw from $N(0, 1)$ and round to a lattice of spacing 0.3. Then run the corrector,
# friction 1, for the time $T = 1$, in $n$ steps, each with the score frozen at its beginning. What law is it?

# %%
spacing = 0.3
lattice = spacing * np.arange(-12, 13)
edges = np.concatenate([[-np.inf], lattice[:-1] + spacing / 2, [np.inf]])
mass = np.diff((1 + erf(edges / np.sqrt(2))) / 2)
normal = rm.Gaussian([0.0], [1.0])


def after(steps, time=1.0):
    """Slope and standard deviation of x after the corrector, given the lattice point."""
    plan = rm.Plan([rm.Correct(underdamped(friction=1), 0.0, time / steps, steps)])
    moved, spread = (rm.output_law(plan, normal, start=normal.with_modes(0.0, m)) for m in (1.0, 0.0))
    return float(moved.means[0]), float(spread.variances[0]) ** 0.5


grid = np.linspace(-3.5, 3.5, 1401)
figure, axes = plt.subplots(1, 3, figsize=(12, 4.4), sharey=True)
for axis, time in zip(axes, (0.05, 0.1, 0.2), strict=True):
    slope, sd = after(64, time)
    density = np.exp(-((grid[:, None] - slope * lattice) ** 2) / (2 * sd**2)) @ mass / (sd * np.sqrt(2 * np.pi))
    axis.fill_between(grid, density, color=SKY, alpha=0.7, label="corrected")
    axis.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=BLACK, linestyle="--", label="target")
    axis.set(xlabel="$x$ (standard deviations)", ylim=(0, 1.1))
    axis.set_title(f"$T = {time}$", fontweight="normal")
axes[0].set_ylabel("density of $x$")
axes[0].legend(loc="upper right")
figure.suptitle("The corrector melts a lattice of spacing 0.3", fontsize=14, weight="bold")
plt.show()

# %% [markdown]
# At $T = 0.05$ it is still a comb, at $T = 0.1$ there are waves, at $T = 0.2$ they are gone to the eye. How far from
# the target exactly, and does it help to start nearer?

# %%
spacings = (1.0, 0.3, 0.1, 0.03, 0.01)
counts = (1, 4, 16, 64)
rows = {count: [comb(each, count) for each in spacings] for count in counts}
distance = [float(row.distance) for row in rows[1]]
figure, axis = plt.subplots()
axis.axhline(1, color=GRAY, linewidth=3, label="before: total variation 1")
for count, color, mark in zip(counts, (PURPLE, SKY, BLUE, GREEN), "vD^o", strict=True):
    found = [float(row.after) for row in rows[count]]
    axis.loglog(distance, found, color=color, marker=mark, label=f"after {count} step{'s' * (count > 1)}")
axis.loglog(distance, [row.bound for row in rows[1]], color=BLACK, linestyle=":", label=r"C4: $0.646\,W_2/T$")
axis.set(xlabel="$W_2$ of the start to $N(0, 1)$", ylabel="total variation", ylim=(1e-4, 30))
axis.set_title("The corrector makes $W_2$-close starts TV-close")
axis.legend(fontsize=11, ncols=2, loc="upper left")
plt.show()

# %%
print(f"{'spacing':>8} {'W2':>8}", *(f"{count:>3} steps" for count in counts), f"{'C4':>8}")
for n, each in enumerate(spacings):
    print(f"{each:8} {distance[n]:8.5f}", *(f"{float(rows[count][n].after):9.6f}" for count in counts), end=" ")
    print(f"{rows[1][n].bound:8.5f}")
at = spacings.index(0.03)
assert f"{rows[64][at].distance:.4f}" == "0.0087"
assert f"{rows[64][at].after:.1e}" == "5.4e-04"
assert rows[64][at].after < rows[64][at].bound

# %% [markdown]
# A start at $W_2 = 0.0087$ and TV 1 ends, after 64 steps, at $5.4\cdot 10^{-4}$, where the claim allows ten times as
# much. But the curves go flat: below a certain distance it does not help to be nearer. That floor is the corrector's
# own error, of its frozen score. It falls with its step $h = 1/n$:

# %%
floors = [float(rows[count][-1].after) for count in counts]
orders = np.diff(np.log(floors)) / -np.diff(np.log(counts))
print("floors:", *(f"{floor:.2e}" for floor in floors), "  orders in h:", *(f"{order:.2f}" for order in orders))
assert abs(orders[-1] - 1) < 0.05

# %% [markdown]
# So the corrector has a price list. A *longer* time hides a larger $W_2$; a *shorter* one needs fewer steps for the
# same $h$. Where the two meet, an exponent is born: `where_five_twelfths_comes_from.py`.
#
# ## Exercises
#
# **1.** Two particles at the same place, with velocities that differ by $w$, and no fresh ones. After a short time,
# how does the total variation of $(x, v)$ depend on $T$? Give the power.
#
# **2.** *Overdamped* Langevin, $dx = s\,dt + \sqrt2\,dB$, hides distances as well. Write one step of it with the score
# frozen, as a scheme, and let the package check it. (`draw.normal([[c]])` gives a list with one normal value of
# variance $c$.)
#
# **3.** With overdamped Langevin for a time $T$ on $k = 1$, what is left of a small distance $w$, in units of $w$? Give
# a function of $T$. Against which power of $T$ does the underdamped one compete?


# %%
def check_power(power):
    covariances = [law(0, time, fresh=False)[1] for time in (1e-3, 1e-4)]
    gaps = [np.array([float(row[1]) for row in kinetic_flow(k, friction, time).linear]) for time in (1e-3, 1e-4)]
    tv = [erf(small * np.sqrt(g @ np.linalg.solve(C, g) / 8)) for g, C in zip(gaps, covariances, strict=True)]
    found = np.log(tv[0] / tv[1]) / np.log(10)
    assert abs(found - power) < 0.01, f"between T = 1e-4 and 1e-3 the power is {found:.2f}"
    print(f"Right: T^{power}. The noise acts on the velocity itself.")


def check_step(step):
    from rmverify.testing import assert_same_law

    def plan(scheme):
        return rm.Plan([rm.Correct(scheme, 0.0, 0.05, 20)])

    assert_same_law(plan(step), plan(overdamped))
    print("Right: its law is that of rm.schemes.overdamped.")


def check_left(function):
    for time in (0.1, 0.5):
        steps = 4000
        plan = rm.Plan([rm.Correct(overdamped, 0.0, time / steps, steps)])
        first, second = (rm.output_law(plan, normal, start=normal.with_modes(0.0, x)) for x in (0.0, small))
        found = float(rm.tv(first, second)) / small
        assert abs(function(time) / found - 1) < 1e-2, f"at T = {time} it is {found:.4f}"
    print("Right: like T^(-1/2) for short times, in a time that is the square of the underdamped one.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .

# %%
check_power(-1 / 2)


def langevin(x, t, h, score, draw):
    (noise,) = draw.normal([[2 * h]])
    return x + h * score(t, x) + noise


check_step(langevin)
# the mean shrinks by e^{-T}, the variance is 1 - e^{-2T}, and erf(z) is 2 z/sqrt(pi) for small z
check_left(lambda time: np.exp(-time) / np.sqrt(2 * np.pi * -np.expm1(-2 * time)))
