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
# # Rounds and work
#
# A sampler asks its score again and again, each time at a place that depends on the answer before. One evaluation uses
# one processor; the others wait. If a thousand of them are at hand, how much sooner can the sample be there?
#
# Two things have to be counted apart. **Work** is the number of score evaluations: what one pays for. **Rounds** are
# those of them that must happen one after the other: how long one waits. The sequential randomized midpoint has as many
# rounds as work. The parallel one buys rounds with work, and this notebook finds the exchange rate.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, GREEN, ORANGE, SCHEMES, SKY, ticks

import rmverify as rm
from rmverify.elementary import exp, expm1
from rmverify.plans import footprint, rounds_of
from rmverify.schemes import parallel_midpoint, randomized_midpoint

# %% [markdown]
# ## Strata and Picard rounds
#
# A step from $t$ to $t - h$ integrates the score along the flow. The parallel midpoint puts one random place $\alpha_i$
# into each of $R$ *strata* of the step and asks the score at all of them **at once**. It does not know the path yet, so
# it guesses: first with the score at $x$ alone, then, in each of $K$ *Picard rounds*, with the scores found in the
# round before. (Two such steps do below what six or seven sequential ones do.) That makes $1 + (K+1) R$ evaluations in
# $K + 2$ rounds. $R = 1$, $K = 0$ is the sequential step.


# %%
def schedule(scheme, steps):
    """(round, processor) of each evaluation of so many steps."""
    foot = footprint(scheme)
    batch = (foot.evaluations - 1) // (foot.rounds - 1)
    one = [(0, 0)] + [(r, p) for r in range(1, foot.rounds) for p in range(batch)]
    return [(r + n * foot.rounds, p) for n in range(steps) for r, p in one]


panels = {
    "sequential: 6 steps": (schedule(randomized_midpoint, 6), BLUE),
    "parallel, $R = 4$, $K = 1$: 2 steps": (schedule(parallel_midpoint(strata=4, rounds=1), 2), SKY),
}
figure, axes = plt.subplots(2, 1, figsize=(8, 4.8), sharex=True, sharey=True)
for axis, (name, (cells, color)) in zip(axes, panels.items(), strict=True):
    for r, p in cells:
        axis.add_patch(plt.Rectangle((r + 0.05, p + 0.05), 0.9, 0.9, color=color))
    rounds = 1 + max(r for r, _ in cells)
    axis.set(xlim=(0, 12.2), ylim=(0, 4.2), ylabel="processor", yticks=[0.5, 1.5, 2.5, 3.5], yticklabels=[1, 2, 3, 4])
    axis.set_title(f"{name}: {len(cells)} evaluations, {rounds} rounds", fontweight="normal")
    axis.grid(False)
axes[1].set(xlabel="time (rounds of score evaluations)", xticks=range(0, 13, 2))
figure.suptitle("The same stretch of noise levels in half the time", fontsize=14, weight="bold")
plt.show()

# %%
foot = footprint(parallel_midpoint(strata=4, rounds=1))
assert (foot.rounds, foot.evaluations) == (3, 9)
assert (footprint(randomized_midpoint).rounds, footprint(randomized_midpoint).evaluations) == (2, 2)

# %% [markdown]
# ## What a Picard round buys
#
# Take one long step, $h = 1/L$, on data $N(0, \frac14)$ ($L = 4$), and look at its bias, the error that is left when
# the midpoints are averaged out. `rm.local_error` has it exactly.

# %%
target = rm.Gaussian.isotropic(0.25, 1)
t, h = 1.0, 0.25
strata, picard = (1, 4, 16, 64), (0, 1, 2, 3, 4)
bias, variance = {}, {}
for R in strata:
    for K in picard:
        error = rm.local_error(parallel_midpoint(strata=R, rounds=K), target, t, h)
        bias[R, K], variance[R, K] = float(error.bias) ** 0.5, float(error.variance)

figure, axis = plt.subplots()
for R, color, mark in zip(strata, (BLUE, SKY, GREEN, ORANGE), "oPD^", strict=True):
    axis.semilogy(picard, [bias[R, K] for K in picard], color=color, marker=mark, label=f"$R = {R}$")
axis.set(xlabel="Picard rounds $K$ in the step", ylabel="bias of one step (units of $x$)")
axis.set_xticks(picard)
axis.set_title("Picard rounds remove the bias down to a floor set by $R$")
axis.legend()
plt.show()

# %% [markdown]
# Without Picard rounds all $R$ are alike: the bias comes from the guessed path, and more places on a wrong path do not
# help. Each round makes the path better by a factor of about ten, down to a floor that is due to the strata,
# proportional to $1/R^2$ (at $R = 16$ it passes a zero on its way, by accident). The variance falls like $1/R^3$ at
# once.

# %%
floor = [bias[R, 4] for R in (4, 16)]
print(f"floor at R = 4: {floor[0]:.2e}, at R = 16: {floor[1]:.2e}, ratio {floor[0] / floor[1]:.1f} (16 expected)")
gains = [bias[64, K] / bias[64, K + 1] for K in picard[:-1]]
print("R = 64: each round divides the bias by", ", ".join(f"{gain:.0f}" for gain in gains))
print(f"variance at K = 2, R = 4 over R = 16: {variance[4, 2] / variance[16, 2]:.1f} (64 expected)")
assert min(gains[:3]) > 8
assert max(bias[R, 0] for R in strata) / min(bias[R, 0] for R in strata) < 1.2
assert abs(floor[0] / floor[1] / 16 - 1) < 0.15
assert abs(variance[4, 2] / variance[16, 2] / 64 - 1) < 0.15

# %% [markdown]
# ## The exchange rate
#
# Now a whole sampler: data $N(0, \frac14 I)$ in $d = 10^4$ dimensions, from $T = 3$ to 0 in equal steps, to total
# variation 0.1. For each $R$ and $K$ `rm.rounds.trade` finds the smallest number of steps that does it, exactly: at one
# step less it does not.

# %%
choices = [(1, 0), (4, 0), (4, 1), (8, 1), (8, 2), (16, 1), (16, 2), (32, 2), (32, 4)]
trades = [rm.rounds.trade(R, K, 10_000, 0.1) for R, K in choices]
best = rm.rounds.frontier(trades)
figure, axis = plt.subplots(figsize=(8, 5.2))
axis.loglog([each.rounds for each in best], [each.evaluations for each in best], color=SKY, zorder=1)
for each in trades:
    kept = each in best
    axis.plot(each.rounds, each.evaluations, "o", color=BLUE if kept else GRAY, markersize=10 if kept else 7)
    axis.annotate(
        f"{each.strata}, {each.picard}", (each.rounds, each.evaluations), xytext=(8, 8), textcoords="offset points",
        color=BLACK if kept else GRAY,
    )  # fmt: skip
line = np.array([20, 160])
axis.plot(line, line, color=GRAY, linestyle=":")
axis.annotate("one at a time", (30, 30), xytext=(6, -14), textcoords="offset points", color=GRAY)
ticks(axis.xaxis, (20, 40, 80, 160))
ticks(axis.yaxis, (50, 100, 200, 400, 800))
axis.set(xlabel="rounds: how long one waits", ylabel="score evaluations: what one pays", ylim=(20, 1200))
axis.set_title("A seventh of the rounds for four times the work")
plt.show()

# %%
print(f"{'R':>3} {'K':>2} {'steps':>6} {'rounds':>7} {'evaluations':>12} {'TV':>8}")
for each in trades:
    print(
        f"{each.strata:3} {each.picard:2} {each.steps:6} {each.rounds:7} {each.evaluations:12} {float(each.value):8.4f}"
    )
sequential, fastest = trades[0], best[0]
assert 3 < sequential.steps / trades[choices.index((4, 1))].steps < 3.5
assert sequential.rounds == sequential.evaluations == 160
assert (fastest.strata, fastest.picard, fastest.rounds, fastest.evaluations) == (32, 4, 24, 644)
assert all(each.value <= 0.1 for each in trades)

# %% [markdown]
# Each point is labelled $R, K$; grey ones are beaten by another in both. From 160 evaluations in 160 rounds one comes
# to 216 in 72 for little money ($R = 4$, $K = 1$), and to 24 rounds for four times the work.
#
# There is an end to it: the step cannot be longer than about $1/L$, or the Picard rounds do not contract. Rounds do not
# fall below about $L$ times the time to run, whatever one pays.
#
# ## Logarithms
#
# How do rounds grow with the dimension? The whole parallel algorithm, with its corrector, against the sequential
# predictor, to total variation 0.1. As $d$ grows, $R$ grows like a power of it and $K$ like a logarithm, so that *work*
# grows and *rounds* hardly do.

# %%
dims = (10, 100, 1000, 10**6)
rows = {plan: [rm.rounds.rounds_to(plan, d, 4.0, 0.1) for d in dims] for plan in ("parallel", "sequential")}
figure, axis = plt.subplots()
sequential_line, parallel_line = SCHEMES["randomized_midpoint"], SCHEMES["parallel_midpoint"]
axis.loglog(
    dims, [row.rounds for row in rows["sequential"]], **sequential_line | {"label": "sequential: rounds and work"}
)
axis.loglog(dims, [row.rounds for row in rows["parallel"]], **parallel_line | {"label": "parallel: rounds"})
axis.loglog(
    dims,
    [row.evaluations for row in rows["parallel"]],
    "--",
    **parallel_line | {"label": "parallel: work"},
    fillstyle="none",
)
axis.set(xlabel="dimension $d$", ylabel="to total variation 0.1", ylim=(20, 5e6))
axis.set_title("Rounds grow like logarithms, work like a power")
axis.legend(loc="upper left")
plt.show()

# %%
print(f"{'d':>8} {'parallel rounds':>16} {'R':>6} {'K':>2} {'work':>8} {'sequential':>11}")
for p, s in zip(*rows.values(), strict=True):
    print(f"{p.dim:8} {p.rounds:16} {p.strata:6} {p.picard:2} {p.evaluations:8} {s.rounds:11}")
power = {plan: np.log(found[-1].rounds / found[-2].rounds) / np.log(1000) for plan, found in rows.items()}
print(f"local powers of d at the end: parallel {power['parallel']:.2f}, sequential {power['sequential']:.2f}")
assert power["parallel"] < 0.15 < 0.4 < power["sequential"]
assert rows["parallel"][1].rounds == 116
assert rows["parallel"][-1].rounds == 380
assert rows["sequential"][-1].rounds == 6886

# %% [markdown]
# At $d = 10^6$ one waits 380 rounds instead of 6886. (The sequential power is $\frac13$ and a logarithm, since it runs
# from a higher level in higher dimension.) The theorem's own plan, every constant 1, takes more rounds, and they grow
# as slowly:

# %%
for d in (10**2, 10**6, 10**12):
    print(f"d = {d:.0e}: {rounds_of('parallel', d, 4.0, 0.1)} rounds")
ratio = rounds_of("parallel", 10**12, 4.0, 0.1) / rounds_of("parallel", 10**6, 4.0, 0.1)
assert ratio < 2**2  # log^2 d: twice the logarithm, at most four times the rounds

# %% [markdown]
# ## Guess coarsely, repair in parallel
#
# Parareal takes another road. Cut $N$ steps into $\sqrt N$ blocks. One long step over each block, one after the other,
# guesses the whole path; then the fine steps of **all blocks at once** say how wrong each guess was, and another coarse
# run hands the corrections down. After $\sqrt N$ such sweeps the result is that of the $N$ steps. SRDS (Selvam,
# Merchant, Ermon 2024) runs DDIM so. How many sweeps does it take?

# %%
blocks = fine = 16
target, levels = rm.Gaussian.isotropic(0.25, 10_000), np.array([3.0, 0.05])
serial = rm.output_law(rm.Plan([rm.Predict(rm.schemes.ddim, np.linspace(*levels, blocks * fine + 1))]), target)
sweeps = range(6)
plans = [rm.Plan([rm.Predict(rm.schemes.parareal(blocks=blocks, fine=fine, sweeps=k), levels)]) for k in sweeps]
apart = [float(rm.tv(rm.output_law(plan, target), serial)) for plan in plans]
figure, axis = plt.subplots()
axis.semilogy([plan.rounds for plan in plans], apart, "o-", color=GREEN)
for k, plan in enumerate(plans):
    axis.annotate(f"{k}", (plan.rounds, apart[k]), xytext=(7, 4), textcoords="offset points")
axis.axvline(blocks * fine, color=GRAY, linestyle=":")
axis.annotate("the steps one by one", (blocks * fine, 1e-8), ha="right", xytext=(-6, 0), textcoords="offset points")
axis.set(xlabel="rounds (labels: sweeps)", ylabel="total variation to the 256 steps, $d = 10^4$")
axis.set_title("A few sweeps come as close as the steps themselves")
plt.show()

# %%
for k, plan in enumerate(plans):
    print(
        f"{k} sweeps: {plan.rounds:4} rounds, {plan.evaluations:5} evaluations, TV to the serial steps {apart[k]:.1e}"
    )
assert all(later < sooner / 5 for sooner, later in itertools.pairwise(apart[1:]))

# %% [markdown]
# ## Exercises
#
# **1.** With $R$ strata and $K$ rounds, and $p < R$ processors: how many rounds does one step take? Give a formula.
#
# **2.** *Parareal.* Another way to run steps at once: a cheap coarse rule $G$ over long blocks, a fine rule $F$ (many
# short steps) over all blocks in parallel, and the correction
#
# $$x_{n+1}^{k+1} = G(x_n^{k+1}) + F(x_n^k) - G(x_n^k).$$
#
# Write it as a step function over $B = 4$ blocks, $F$ four exponential integrator steps and $G$ one, after $k$ sweeps.
# The theory says that after $B$ sweeps the result *is* that of the 16 fine steps. The check asks the package.


# %%
def check_processors(formula):
    for R, K, p in ((8, 1, 8), (8, 1, 3), (64, 4, 10), (5, 0, 1)):
        expected = 1 + (K + 1) * -(-R // p)
        assert formula(R, K, p) == expected, f"R = {R}, K = {K} on {p} processors takes {expected} rounds"
    print("Right.")


def check_parareal(make):
    from rmverify.testing import assert_same_law

    fine = rm.Plan([rm.Predict(rm.schemes.exponential_integrator, np.linspace(2.0, 0.1, 17))])
    one = rm.Gaussian.isotropic(0.25, 1)
    right = rm.output_law(fine, one, start="exact")

    def plan(sweeps):
        return rm.Plan([rm.Predict(make(sweeps), np.array([2.0, 0.1]))])

    off = [float(rm.tv(rm.output_law(plan(k), one, start="exact"), right)) for k in range(5)]
    print("TV to the 16 fine steps after 0 to 4 sweeps:", *(f"{each:.1e}" for each in off))
    assert_same_law(plan(4), fine)
    assert all(later < sooner / 2 for sooner, later in itertools.pairwise(off)), "it should converge sooner"
    print("Right: after 4 sweeps its law is that of the fine steps, and it is near much earlier.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .

# %%
check_processors(lambda R, K, p: 1 + (K + 1) * ((R + p - 1) // p))


def parareal(sweeps, blocks=4, inner=4):
    def fine(x, t, h, score):
        for n in range(inner):
            x = exp(h / inner) * x + expm1(h / inner) * score(t - n * h / inner, x)
        return x

    def step(x, t, h, score, draw):
        def coarse(n, y):
            return exp(h / blocks) * y + expm1(h / blocks) * score(t - n * h / blocks, y)

        points = [x]
        for n in range(blocks):
            points.append(coarse(n, points[-1]))
        for _ in range(sweeps):
            before, points = points, [x]
            for n in range(blocks):
                change = fine(before[n], t - n * h / blocks, h / blocks, score) - coarse(n, before[n])
                points.append(coarse(n, points[-1]) + change)
        return points[-1]

    return step


check_parareal(parareal)
