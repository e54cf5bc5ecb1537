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
# # Where five twelfths comes from
#
# The theorem about randomized midpoints says that $d^{5/12}$ steps are enough. Such an exponent looks like a fact of
# nature. It is the solution of a small puzzle: three lemmas, each a product of powers, and two step sizes and a time to
# choose. In logarithms a product of powers is *linear*, and the puzzle is a linear program that fits on a slide. This
# notebook draws it, finds 5/12, and then finds that with the very same lemmas 2/5 is possible.

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, GREEN, ORANGE, PURPLE, RED, SKY

from rmverify.exponents import BOUNDS, load, optimize

# %% [markdown]
# ## Three lemmas
#
# The algorithm goes down in about $L$ windows. In each, a predictor makes steps of length $h_p$; then underdamped
# Langevin, the *corrector*, runs for a time $\tau$ in steps of length $h_c$. Its purpose is to turn closeness in
# $W_2$ into closeness in total variation. The lemmas, without constants and with an exact score:

# %%
for name, what in (
    ("B5, randomized midpoint", "W_2 after a window of the predictor"),
    ("C1", "the TV that is left of W_2 after a time T"),
    ("C2", "the TV that the corrector's own steps add"),
):
    print(f"{what:42} {BOUNDS[name]}")

# %% [markdown]
# Forget $L$ and $\varepsilon$ for a moment, and write everything as a power of $d$: $h_p = d^{-p}$, $h_c = d^{-c}$,
# $\tau = d^{-\theta}$. The total variation must not grow with $d$, so each error must have a power of at most 0:
#
# | | bound | power of $d$ | must be |
# |---|---|---|---|
# | predictor, turned into TV | $\sqrt d\, h_p^{3/2} / \tau^{3/2}$ | $\frac12 - \frac32 p + \frac32\theta$ | $\leq 0$ |
# | corrector | $\sqrt d\, h_c\, \tau^{1/2}$ | $\frac12 - c - \frac12 \theta$ | $\leq 0$ |
#
# and the steps to be counted are $1/h_p = d^{p}$ for the predictor and $\tau/h_c = d^{c - \theta}$ for the corrector.
# The larger step is the cheaper one, so both rows are met with equality: $p = \frac13 + \theta$ and
# $c = \frac12 - \frac\theta2$. What is left is one number, $\theta$: a **longer** corrector makes the predictor cheap
# and itself expensive.


# %%
def predictor(theta):
    return Fraction(1, 3) + theta


def corrector(theta):
    return Fraction(1, 2) - Fraction(3, 2) * theta


published, best = Fraction(1, 18), Fraction(1, 15)
print(f"published tau = d^(-{published}): predictor d^({predictor(published)}), corrector d^({corrector(published)})")
print(f"balanced  tau = d^(-{best}): predictor d^({predictor(best)}), corrector d^({corrector(best)})")
assert max(predictor(published), corrector(published)) == Fraction(5, 12)
assert predictor(best) == corrector(best) == Fraction(2, 5)

# %% [markdown]
# The polygon of what is possible lies above both lines. The theorem stops at $\theta = \frac1{18}$; its lowest corner
# is at $\theta = \frac1{15}$.

# %%
theta = np.linspace(0, 0.125, 200)
lines = {"predictor": (1 / 3 + theta, BLUE), "corrector": (1 / 2 - 3 / 2 * theta, ORANGE)}


def draw(axis, lines, corners):
    upper = np.max([line for line, _ in lines.values()], axis=0)
    axis.fill_between(theta, upper, 1, color=GRAY, alpha=0.2, label="possible")
    for name, (line, color) in lines.items():
        axis.plot(theta, line, color=color, label=f"steps of the {name}")
    for (x, y, text, dx, dy), color in zip(corners, (RED, GREEN, PURPLE), strict=False):
        axis.plot([float(x)], [float(y)], "o", color=color, markersize=11)
        axis.annotate(
            text, (float(x), float(y)), xytext=(dx, dy), color=color, weight="bold",
            arrowprops={"arrowstyle": "-", "color": color, "shrinkB": 6},
        )  # fmt: skip
    axis.set(xlabel=r"$\theta$, where the corrector runs for a time $\tau = d^{-\theta}$", ylabel="exponent of $d$")
    axis.set(xlim=(0, 0.125), ylim=(0.25, 0.52))


corners = [
    (published, Fraction(5, 12), r"published: $\frac{1}{18}, \frac{5}{12}$", 0.05, 0.49),
    (best, Fraction(2, 5), r"balanced: $\frac{1}{15}, \frac{2}{5}$", 0.082, 0.457),
]
figure, axis = plt.subplots(figsize=(8, 5.4))
draw(axis, lines, corners)
axis.set_title("The same lemmas allow $d^{2/5}$: stop a little earlier")
axis.legend(loc="lower left")
plt.show()

# %% [markdown]
# ## The same by a program that proves it
#
# `rmverify.exponents.optimize` takes monomials as text and solves the program in rational numbers, with $L$ and
# $1/\varepsilon$ too if one likes. Nothing is rounded.

# %%
lemmas = {
    "costs": {"predictor": "1/h_p", "corrector": "tau/h_c"},
    "errors": {"predictor error": "sqrt(d) h_p^{3/2} tau^{-3/2}", "corrector error": "sqrt(d) h_c tau^{1/2}"},
    "scales": ["d"],
}
answer = optimize(**lemmas, free=["h_p", "h_c", "tau"])
fixed = optimize(**lemmas, free=["h_p", "h_c"], fix={"tau": "d^{-1/18}"})
print("time free:     ", *answer.cost, " with ", answer.free[0])
print("time published:", *fixed.cost)
assert str(answer.cost[0]) == "d^{2/5}"
assert str(fixed.cost[0]) == "d^{5/12}"

# %% [markdown]
# Parameters that reach $d^{2/5}$ prove that it is possible. Why is nothing better? The *dual* says: there are
# weights with which the two costs and the two errors multiply to a power of $d$ in which **all parameters cancel**. The
# larger cost is at least the weighted geometric mean of both, and the errors are at most 1. So the product is a lower
# bound, whatever anybody chooses.

# %%
(vertex,) = (each for each in answer.vertices if not each.dominated)
for term, power in vertex.multipliers.items():
    print(f"({term})^({power})")
print("multiply to", vertex.cost)

terms = {  # powers of d, h_p, h_c, tau
    "predictor": (0, -1, 0, 0),
    "corrector": (0, 0, -1, 1),
    "predictor error": (Fraction(1, 2), Fraction(3, 2), 0, Fraction(-3, 2)),
    "corrector error": (Fraction(1, 2), 0, 1, Fraction(1, 2)),
}
total = [sum(power * terms[term][k] for term, power in vertex.multipliers.items()) for k in range(4)]
assert total == [Fraction(2, 5), 0, 0, 0]
assert sum(vertex.multipliers[cost] for cost in lemmas["costs"]) == 1

# %% [markdown]
# ## A better lemma moves the line
#
# The powers are only as good as the lemmas. C1 pays $\tau^{-3/2}$ because it makes position *and* velocity close in
# total variation. Nobody needs the velocity. For the position alone $1/\tau$ is enough (claim C4): the predictor's row
# becomes $\sqrt d\, h_p^{3/2}/\tau$, its line $p = \frac13 + \frac23\theta$, and the corner falls to

# %%
position = optimize(
    scales=["d"],
    free=["h_p", "h_c", "tau"],
    costs=lemmas["costs"],
    errors={"predictor error": "sqrt(d) h_p^{3/2}/tau", "corrector error": "sqrt(d) h_c tau^{1/2}"},
)
print(*position.cost, "at tau =", position.free[0]["tau"])
assert str(position.cost[0]) == "d^{5/13}"

figure, axis = plt.subplots(figsize=(8, 5.4))
corners.append((Fraction(1, 13), Fraction(5, 13), r"position alone: $\frac{1}{13}, \frac{5}{13}$", 0.04, 0.335))
draw(axis, lines | {"predictor, position alone": (1 / 3 + 2 / 3 * theta, SKY)}, corners)
axis.collections[0].remove()  # what is possible depends on the lemma now
axis.set_title("A lemma about the position alone allows $d^{5/13}$")
axis.legend(loc="lower left")
plt.show()

# %% [markdown]
# ## All scales at once
#
# `load("d1")` has the theorem's whole program, with $L$ and $1/\varepsilon$ and the error of the score. (At the prompt:
# `rmverify exponents d1`.) In one dimension $d$ the answer was a corner of a polygon; with three scales it is the
# largest of a few monomials, and which one depends on the direction in which they grow. The table also judges what was
# printed.

# %%
for name in ("d1", "d5", "d7"):
    whole = load(name).solve()
    print(f"{name}: steps {' + '.join(map(str, whole.cost))}")
    for verdict in whole.claims:
        print(f"    printed {verdict.claim}: {verdict.finding}")
found = {name: str(load(name).solve(["d"]).cost[0]) for name in ("d0", "d1", "d5", "d7")}
print(found)
assert found == {"d0": "d^{1/2}", "d1": "d^{5/12}", "d5": "d^{2/5}", "d7": "d^{5/13}"}
assert load("d1").solve().claims[0].finding == "not implied"

# %% [markdown]
# $d^{5/12}$ is implied, as published. Its prefactor is not: the theorem prints $L^{5/3}$, and with its own corrector
# time the lemmas give $L^2$. With the best time $L^{9/5} d^{2/5}$ comes out, which is within what was printed as long
# as $L \leq d^{1/8}\varepsilon^{-3/2}$.

# %%
bars = {"DPUM": "d0", "randomized midpoint,\npublished time": "d1", "best time": "d5", "position alone": "d7"}
heights = [float(load(program).solve(["d"]).cost[0]["d"]) for program in bars.values()]
figure, axis = plt.subplots(figsize=(8, 4.8))
axis.bar(list(bars), heights, color=[ORANGE, RED, GREEN, PURPLE], width=0.6)
for k, (height, program) in enumerate(zip(heights, bars.values(), strict=True)):
    power = load(program).solve(["d"]).cost[0]["d"]
    axis.annotate(f"{power}", (k, height), xytext=(0, 5), textcoords="offset points", ha="center", weight="bold")
axis.axhline(1 / 3, color=BLACK, linestyle="--", label="1/3: the predictor alone")
axis.set(ylabel="exponent of $d$ in the number of steps", ylim=(0.3, 0.53))
axis.set_title("Four exponents from four sets of lemmas")
axis.grid(axis="x", alpha=0)
axis.legend(loc="upper right")
plt.show()

# %% [markdown]
# These are bounds, from lemmas about worst cases. What happens on one given target is another question; on isotropic
# Gaussians one measures $\frac13$ (`reading_a_rate_table.py`).
#
# ## Exercises
#
# **1.** The exponential integrator's window lemma is $\sqrt d\, h_p$ instead of $\sqrt d\, h_p^{3/2}$. Draw its line
# in the picture above. Which exponent comes out, and does the corrector's time matter?
#
# **2.** Suppose that somebody proves the corrector's own error to be $\sqrt d\, h_c^{3/2}\, \tau^{1/2}$, as a
# randomized corrector would. Which exponent, and at which time? Give both as fractions.
#
# **3.** Which power $a$ of $1/\tau$ in the smoothing lemma would be needed for $d^{3/8}$, all else as published?


# %%
def solved(predictor_error, corrector_error):
    return optimize(
        scales=["d"], free=["h_p", "h_c", "tau"], costs=lemmas["costs"],
        errors={"predictor error": predictor_error, "corrector error": corrector_error},
        constraints={"corrector time": "tau"},
    )  # fmt: skip


def check_exponential_integrator(exponent):
    expected = solved("sqrt(d) h_p tau^{-3/2}", "sqrt(d) h_c tau^{1/2}").cost[0]["d"]
    assert exponent == expected, "solve the two rows for p and c first"
    print(f"Right, {expected}: its line is above the other one already at theta = 0, so that time buys nothing.")


def check_randomized_corrector(exponent, theta):
    found = solved("sqrt(d) h_p^{3/2} tau^{-3/2}", "sqrt(d) h_c^{3/2} tau^{1/2}")
    assert exponent == found.cost[0]["d"], "balance 1/3 + theta with the new line of the corrector"
    assert theta == -found.free[0]["tau"]["d"], "the exponent is right, the time is not"
    print(f"Right: d^({exponent}) at tau = d^(-{theta}).")


def check_power(a):
    found = solved(f"sqrt(d) h_p^{{3/2}} tau^{{-{a}}}", "sqrt(d) h_c tau^{1/2}").cost[0]["d"]
    assert found == Fraction(3, 8), f"with 1/tau^({a}) one gets d^({found})"
    print(f"Right: 1/tau^({a}).")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .

# %%
# 1. p = 1/2 + 3/2 theta, which is 1/2 at theta = 0, where the corrector's line is 1/2 too, and rises from there.
check_exponential_integrator(Fraction(1, 2))
# 2. c = 1/3 - theta/3, so the corrector costs 1/3 - 4/3 theta: below the predictor's 1/3 + theta from theta = 0 on.
check_randomized_corrector(Fraction(1, 3), 0)
# 3. p = 1/3 + 2a/3 theta meets 1/2 - 3/2 theta at 3/8: theta = 1/12, and 2a/3 = 1/2.
check_power(Fraction(3, 4))
