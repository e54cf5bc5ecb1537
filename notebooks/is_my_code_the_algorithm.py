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
# # Is my code the algorithm I think it is?
#
# You have written a sampler. It runs, and the samples look right. Does it do what the paper says? Seeing samples is a
# weak test: a wrong weight or a level off by one still gives a cloud of a plausible size, and the cloud of the right
# code has errors as well. A network in the loop hides the rest.
#
# So put a model into the loop of which everything is known: the *exact* denoiser of Gaussian data. Then the output has
# a law that can be computed, and so can its distance to what it should be, its order, and for each model call whether
# it was handed what its noise level says. Your code is not changed for this; it is run as it is.

# %%
import importlib.util
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GRAY, GREEN, RED, ticks

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, phi1, phi2
from rmverify.schemes import scheme
from rmverify.schemes.langevin import kinetic_noise
from rmverify.testing import assert_bookkeeping, assert_order, assert_same_law

# %% [markdown]
# ## A loop with a mistake
#
# Heun's method on Karras's levels, in NumPy. `model(x, sigma)` is the denoiser. One of the two versions below tells the
# model the wrong level in one place.


# %%
def heun(level_of_second_call, xp=np):
    def make(n):
        sigmas = [*np.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), n) ** 7, 0.0]

        def run(model, x, noise):
            x = sigmas[0] * x
            for sigma, after in pairwise(sigmas):
                slope = (x - model(x, sigma)) / sigma
                y = x + (after - sigma) * slope
                if after > 0:
                    level = level_of_second_call(sigma, after)
                    slope = (slope + (y - model(y, level)) / level) / 2
                x = x + (after - sigma) * slope
            return x

        return rm.Sampler(run, path=rm.paths.VE(), predicts="x0", like="jax" if xp is not np else "numpy")

    return make


makers = {"A": heun(lambda sigma, after: sigma), "B": heun(lambda sigma, after: after)}

# %% [markdown]
# Here are five hundred samples of each, with 160 steps, on two coordinates of data. Which one is wrong?

# %%
data = rm.Gaussian([0.0, 0.0], [4.0, 0.25])
rng = np.random.default_rng(0)
start = rng.standard_normal((500, 2))


def denoiser(x, sigma):
    return x * data.variances / (data.variances + sigma**2)


figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharex=True, sharey=True)
angle = np.linspace(0, 2 * np.pi, 200)
for axis, (name, make) in zip(axes, makers.items(), strict=True):
    cloud = make(160).run(denoiser, start, None)
    axis.plot(*cloud.T, ".", color=GRAY, markersize=4)
    axis.plot(2 * 2 * np.cos(angle), 2 * 0.5 * np.sin(angle), color=BLUE, label="two deviations of the data")
    axis.set(xlabel="first coordinate", xlim=(-8, 8), ylim=(-2.4, 2.4))
    axis.set_title(f"{name}: 160 steps", fontweight="normal")
axes[0].set_ylabel("second coordinate")
axes[0].legend(loc="upper left", fontsize=11)
figure.suptitle("Looking at samples: is one of these wrong?", fontsize=14, weight="bold")
plt.show()

# %%
for name, make in makers.items():
    print(f"{name}: total variation to the data {float(rm.tv(rm.output_law(make(160), data), data)):.4f}")

# %% [markdown]
# The eye cannot tell; the exact law can. `rm.audit` runs each over a ladder of step numbers, declared to be of order 2.

# %%
ladder = (20, 40, 80, 160, 320)
audits = {name: rm.audit(make, order=2, steps=ladder, odd=()) for name, make in makers.items()}
print(audits["A"])

# %%
discretization = {name: [float(rung.shared) for rung in found.rungs] for name, found in audits.items()}
figure, axis = plt.subplots()
for (name, errors), color, mark in zip(discretization.items(), (RED, GREEN), "so", strict=True):
    axis.loglog(ladder, errors, color=color, marker=mark, label=f"{name}, of order {1 + (name == 'B')}")
ticks(axis.xaxis, ladder)
axis.set(xlabel="number of steps $N$", ylabel="total variation made by the steps")
axis.set_title("An exact law tells: A has lost an order")
axis.legend()
plt.show()

# %%
verdicts = {name: found.findings[0].verdict for name, found in audits.items()}
print(verdicts)
assert verdicts == {"A": "refuted", "B": "holds"}

# %% [markdown]
# And the report of A has said where: *bookkeeping refuted*, a model call was told one level and handed the input of
# another. In a test of your own, this is one line, and it names the call.

# %%
try:
    assert_bookkeeping(makers["A"])
except AssertionError as complaint:
    said = str(complaint)
print(said)
assert "model call 1 is told level 80" in said
assert_bookkeeping(makers["B"])
assert_order(makers["B"], 2, steps=(20, 40, 80))

# %% [markdown]
# ## Other people's code
#
# A loop in JAX is read the same way, and `assert_same_law` says whether it is the same sampler as the one in NumPy.

# %%
if importlib.util.find_spec("jax"):
    import jax.numpy as jnp

    assert_same_law(heun(lambda sigma, after: after, xp=jnp)(20), makers["B"](20))
    print("JAX and NumPy: one law")
else:
    print("JAX is not installed: skipped")

# %% [markdown]
# A scheduler of diffusers needs an adapter, which runs it in the loop of its pipelines. Its options change the law:
# here are two ways to space DDIM's timesteps, and what they cost at the start and at the end.

# %%
if importlib.util.find_spec("diffusers"):
    from diffusers import DDIMScheduler

    for spacing in ("leading", "trailing"):
        found = rm.audit(rm.adapters.diffusers(DDIMScheduler, timestep_spacing=spacing), steps=(10, 20, 50), odd=())
        rung = found.rungs[-1]
        print(f"DDIM, {spacing}, 50 steps: TV of the start {float(rung.start):.4f}, of the output {float(rung.tv):.4f}")
else:
    print("diffusers is not installed: skipped")

# %% [markdown]
# `rmverify audit diffusers:DDIMScheduler` is the same at the prompt.
#
# ## A chain with a mistake
#
# A Markov chain has no last step: what counts is the law that it leaves *invariant*. Underdamped Langevin samples a law
# $e^{-f}$ with a position $x$ and a velocity $v$:
#
# $$dx = v\,dt, \qquad dv = -(u\,\nabla f(x) + g\,v)\,dt + \sqrt{2 g u}\, dB .$$
#
# Shen and Lee's discretization asks the gradient at a random time $\alpha h$ of each step. The step below is theirs but
# for one sign: the gradient at the current point pushes the midpoint uphill.


# %%
@scheme(kinetic=True)
def mine(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v - mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


# %% [markdown]
# On $N(0, 1)$ every step is linear in $(x, v)$, so the invariant covariance solves
# $S = \mathbb{E}_\alpha[A S A^T + C]$. `rm.stationary_law` reads $A$ and $C$ off the very function above and solves it;
# no chain is run.

# %%
steps = 2.0 ** -np.arange(1, 9)
target = rm.Gaussian.isotropic(1.0, 1)


def excess(step, h):
    return float(rm.stationary_law(step(friction=2), target, h).covariance[0, 0]) - 1


found = {
    "Shen and Lee": [excess(schemes.randomized_midpoint_langevin, h) for h in steps],
    "mine": [excess(mine, h) for h in steps],
    "underdamped, no midpoint": [excess(schemes.underdamped, h) for h in steps],
}
figure, axis = plt.subplots()
for (name, values), mark, color in zip(found.items(), "osv", (GREEN, RED, GRAY), strict=True):
    axis.loglog(steps, np.abs(values), color=color, marker=mark, label=name)
axis.set(xlabel="length of a step $h$ (units of time)", ylabel=r"$|\mathrm{Var}(x) - 1|$ of the invariant law")
axis.set_title("One sign costs an order")
axis.legend()
plt.show()

# %%
for name, values in found.items():
    order = np.log2(np.abs(values[-2] / values[-1]))
    print(f"{name}: Var(x) - 1 = {values[-1] / steps[-1] ** round(order):+.4f} h^{round(order)}, order {order:.3f}")

# %%
orders = {name: np.log2(np.abs(values[-2] / values[-1])) for name, values in found.items()}
assert abs(orders["Shen and Lee"] - 3) < 0.05
assert abs(orders["mine"] - 2) < 0.05
assert abs(orders["underdamped, no midpoint"] - 1) < 0.05
assert f"{-100 * found['mine'][4]:.2f}" == "0.03"

# %% [markdown]
# The mistake costs an order. At $h = 1/32$ it is 0.03 % of the variance, which a million independent points give to
# 0.14 %: no histogram would tell.
#
# ## Which claim does it break?
#
# The ledger first holds the step against the shipped one, on the same numbers: at all levels, steps and parameters. It
# also knows the leading term of every coefficient of a correct step. Ask it of the step above.

# %%
report = rm.verify(["C3"], kinds=["exact"], schemes={"randomized_midpoint_langevin": mine})
for evidence in report["C3"].evidence:
    if evidence.finding == "violated":
        print(f"{evidence.what}:\n  {evidence.computed}; expected {evidence.bound or 'the same'}")
        print(f"  where {dict(evidence.where)}")
assert any(evidence.finding == "violated" for evidence in report["C3"].evidence)

# %% [markdown]
# `rmverify gallery` has 26 such mistakes, all published by others, each with the number that betrays it.
#
# ## Exercises
#
# **1.** Repair this sampler of a flow (`model(x, t)` is the velocity, noise at $t = 1$, data at $t = 0$). It should
# make $n$ Euler steps; there are two mistakes.
#
# **2.** Make it of order 2 with a midpoint in each step.
#
# **3.** Give `mine` the right sign and the wrong decay: `exp(-friction * b)` for `decay`. Before you run it: of which
# order in $h$ will the excess of the variance be?


# %%
def broken(n):
    def run(model, x, noise):
        levels = np.linspace(1, 0, n)
        for t, after in pairwise(levels):
            x = x + (after - t) * model(x, after)
        return x

    return rm.Sampler(run, path=rm.paths.Flow(), predicts="flow")


def check_repaired(make, order=1):
    calls = make(10).read(data).evaluations
    assert calls == 10 * order, f"10 steps make {calls} model calls"
    if order == 1:
        assert_bookkeeping(make)
    assert_order(make, order, steps=(16, 32, 64))
    print(f"Right: {calls} calls in 10 steps, order {order}.")


def check_decay(order):
    @scheme(kinetic=True)
    def decayed(state, t, h, score, draw, *, friction, mass=1):
        x, v = state
        a = draw.uniform()
        b, c = a * h, (1 - a) * h
        v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
        v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
        s = score(t, x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1)
        p, decay = c * phi1(-friction * c), exp(-friction * b)
        return (
            x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
            exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
        )

    values = [excess(decayed, h) for h in (1 / 64, 1 / 128)]
    found = np.log2(values[0] / values[1])
    assert abs(found - order) < 0.05, f"from h = 1/64 to 1/128 the order is {found:.2f}"
    print(f"Right: {values[1] * 128**order:+.3f} h^{order}.")


try:
    check_repaired(broken)
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
def repaired(n):
    def run(model, x, noise):
        levels = np.linspace(1, 0, n + 1)  # n steps have n + 1 ends
        for t, after in pairwise(levels):
            x = x + (after - t) * model(x, t)  # x is at level t
        return x

    return rm.Sampler(run, path=rm.paths.Flow(), predicts="flow")


def midpoint(n):
    def run(model, x, noise):
        levels = np.linspace(1, 0, n + 1)
        for t, after in pairwise(levels):
            half = x + (after - t) / 2 * model(x, t)
            x = x + (after - t) * model(half, (t + after) / 2)
        return x

    return rm.Sampler(run, path=rm.paths.Flow(), predicts="flow")


check_repaired(repaired)
check_repaired(midpoint, order=2)
check_decay(1)
