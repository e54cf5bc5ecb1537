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
# # Audit your own sampler: is my code the algorithm I think it is?
#
# The loop of a sampler is ten lines, and easy to get almost right. A wrong level, a wrong sign, a wrong decay still
# yields pictures, or a cloud of points of a plausible size. More steps make it better, as they should. So how would one
# know?
#
# Replace the network by the *exact* model of Gaussian data. Then the loop, run as it is, turns normal numbers into a
# Gaussian, and mean and covariance of that Gaussian can be read off the code without drawing one sample. Its error is a
# number, and *how* that number falls says which algorithm this is.

# %%
import importlib.util
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GRAY, GREEN, ORANGE, RED, ticks

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, phi1, phi2
from rmverify.samplers import bookkept
from rmverify.schemes import scheme
from rmverify.schemes.langevin import kinetic_noise
from rmverify.studies.audit import default_target
from rmverify.testing import assert_bookkeeping, assert_order, assert_same_law

# %% [markdown]
# ## A loop, and a slip
#
# Heun's rule in $\sigma$, from $\sigma = 80$ down to 0.02. `model(x, sigma)` is the denoiser $\mathbb E[x_0 \mid x]$.
# One of the two loops below asks it at the wrong level in the second stage: `s` for `s_next`.


# %%
def heun(n):
    def run(model, x, noise):  # x is standard normal
        sigmas = np.geomspace(80, 0.02, n + 1)
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            d = (x - model(x, s)) / s
            y = x + (s_next - s) * d
            d_next = (y - model(y, s_next)) / s_next
            x = x + (s_next - s) * (d + d_next) / 2
        return x

    return rm.Sampler(run, path=rm.paths.VE(), predicts="x0", end=0.02)


def mine(n):
    def run(model, x, noise):
        sigmas = np.geomspace(80, 0.02, n + 1)
        x = x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            d = (x - model(x, s)) / s
            y = x + (s_next - s) * d
            d_next = (y - model(y, s)) / s_next
            x = x + (s_next - s) * (d + d_next) / 2
        return x

    return rm.Sampler(run, path=rm.paths.VE(), predicts="x0", end=0.02)


# %% [markdown]
# The data are Gaussian with eight variances between 0.02 and 9, off centre. What one sees of the samples are their
# means and variances:

# %%
data = default_target()
steps = (10, 20, 40, 80, 160)
for name, make in (("Heun", heun), ("mine", mine)):
    law = rm.output_law(make(160), data)
    off = np.sqrt(law.variances / data.variances) - 1
    print(f"{name:>5}, 160 steps: standard deviations off by {100 * off.min():+.2f} % to {100 * off.max():+.2f} %")
    assert np.abs(off).max() < 0.03

# %% [markdown]
# Nobody sees three per cent in a picture. But how does the error fall?

# %%
reports = {
    name: rm.audit(make, data, steps=steps, odd=(), order=2, bookkeeping=True, name=name)
    for name, make in (("Heun", heun), ("mine", mine))
}
looks = {
    "Heun": {"color": GREEN, "marker": "^", "label": "Heun"},
    "mine": {"color": RED, "marker": "X", "label": "mine"},
}
figure, axis = plt.subplots()
for name, report in reports.items():
    axis.loglog(steps, [float(rung.discretization) for rung in report.rungs], **looks[name])
guide = np.array([40.0, 160.0])
for power, height in ((1, 0.25), (2, 0.003)):
    axis.loglog(guide, height * (guide / 40) ** -power, color=GRAY, linestyle="--", linewidth=1.2)
    axis.annotate(f"$N^{{-{power}}}$", (80, height * 2**-power), xytext=(4, 6), textcoords="offset points")
ticks(axis.xaxis, steps)
axis.set(xlabel="number of steps $N$", ylabel="discretization error (total variation)")
axis.set_title("One wrong level costs an order")
axis.legend()
plt.show()

# %%
for report in reports.values():
    print(report, "\n")
assert reports["Heun"].verdict == "holds"
assert reports["mine"].verdict == "refuted"
orders = [report.curves["discretization"].order for report in reports.values()]
assert np.allclose(orders, [2, 1], atol=0.05)

# %% [markdown]
# `rm.audit` was told what the author believes: order 2, and that every call of the model is handed what its level says.
# Of the right loop both hold. Of mine both are refuted, and the second says *where*: call 1. Where a step makes no
# error at all (data that are one point), every input of the model must have the variance of the level that it is told.
# Here are the first calls at ten steps:

# %%
checked = {name: bookkept(make, 10, data) for name, make in (("Heun", heun), ("mine", mine))}
figure, axis = plt.subplots()
shown = checked["mine"].point[:12]
axis.semilogy([b.call for b in shown], [b.level for b in shown], "o", color=ORANGE, markersize=10, label="it is told")
axis.semilogy([b.call for b in shown], [b.apparent for b in shown], "X", color=BLUE, label="its input has")
for b in shown:
    if b.kind != "none":
        axis.plot([b.call] * 2, [b.level, b.apparent], color=BLACK, linewidth=1)
axis.set_xticks(range(len(shown)))
axis.set(xlabel="call of the model", ylabel=r"noise level $\sigma$ (units of the data)")
axis.set_title("Every second call is told the wrong level")
axis.legend()
plt.show()

# %%
print("Heun:", checked["Heun"].why)
print("mine:", checked["mine"].why)
assert checked["Heun"].verdict == "holds"
assert (checked["mine"].kind, checked["mine"].call) == ("level", 1)
assert [b.kind != "none" for b in shown] == [False, True] * 6

# %% [markdown]
# ## Other people's loops
#
# The same works for a loop in PyTorch or JAX: the random numbers of these libraries are answered too. A sampler with
# noise in JAX, keys and all (where JAX is installed):


# %%
def ancestral(n):
    import jax
    import jax.numpy as jnp

    def run(model, x, noise):
        sigmas = jnp.geomspace(80, 0.02, n + 1)
        key, x = jax.random.key(0), x * sigmas[0]
        for s, s_next in pairwise(sigmas):
            up = s_next * jnp.sqrt(1 - (s_next / s) ** 2)
            down = s_next**2 / s
            key, now = jax.random.split(key)
            x = x + (down - s) * (x - model(x, s)) / s + up * jax.random.normal(now, x.shape)
        return x

    return rm.Sampler(run, path=rm.paths.VE(), predicts="x0", like="jax", end=0.02)


if importlib.util.find_spec("jax"):
    report = rm.audit(ancestral, data, steps=(10, 20, 40), odd=(), bookkeeping=True, name="ancestral, in JAX")
    print(report)
    assert report.verdict == "holds"
    assert report.rungs[0].draws == 10
else:
    print("JAX is not installed: pip install jax, and run this cell again.")

# %% [markdown]
# A scheduler of diffusers needs no code at all (where it is installed). In version 0.42 DDIM with spacing "linspace"
# steps to `t - 1000 // N`, while its own list of timesteps goes in other steps: the bookkeeping sees that.

# %%
if importlib.util.find_spec("diffusers") and importlib.util.find_spec("torch"):
    from diffusers import DDIMScheduler

    for spacing in ("leading", "linspace"):
        made = rm.adapters.diffusers(DDIMScheduler, timestep_spacing=spacing, clip_sample=False)
        report = rm.audit(made, data, steps=(10, 20), odd=(), bookkeeping=True, variants=False)
        print(f"{report.name}: bookkeeping {report.findings[0].verdict}; {report.findings[0].why}")
else:
    print("diffusers is not installed: pip install diffusers torch, and run this cell again.")

# %% [markdown]
# ## A Markov chain with a mistake
#
# Underdamped Langevin samples a law $e^{-f}$ with a position $x$ and a velocity $v$:
#
# $$dx = v\,dt, \qquad dv = -(u\,\nabla f(x) + g\,v)\,dt + \sqrt{2 g u}\, dB .$$
#
# Shen and Lee's discretization asks the gradient at a random time $\alpha h$ of each step. The step below is theirs but
# for one sign: the gradient at the current point pushes the midpoint uphill.


# %%
@scheme(kinetic=True)
def uphill(state, t, h, score, draw, *, friction, mass=1):
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
sizes = 2.0 ** -np.arange(1, 9)
normal = rm.Gaussian.isotropic(1.0, 1)


def excess(step, h):
    return float(rm.stationary_law(step(friction=2), normal, h).covariance[0, 0]) - 1


chains = {
    "Shen and Lee": (schemes.randomized_midpoint_langevin, {"color": BLUE, "marker": "o"}),
    "one sign wrong": (uphill, {"color": RED, "marker": "X"}),
    "no midpoint at all": (schemes.underdamped, {"color": ORANGE, "marker": "s"}),
}
found = {name: np.array([excess(step, h) for h in sizes]) for name, (step, _) in chains.items()}
figure, axis = plt.subplots()
for name, (_, look) in chains.items():
    axis.loglog(sizes, np.abs(found[name]), label=name, **look)
axis.axhline(np.sqrt(2e-6), color=GRAY, linestyle="--", label="what a million points can see")
axis.set(xlabel="step size $h$ (units of time)", ylabel=r"error of the invariant variance of $x$")
axis.set_title("A wrong sign hides where no histogram sees it")
axis.legend(loc="lower right")
plt.show()

# %%
orders = {name: np.log2(np.abs(values[-2] / values[-1])) for name, values in found.items()}
for name, values in found.items():
    power = round(orders[name])
    print(f"{name}: Var(x) - 1 = {values[-1] / sizes[-1] ** power:+.4f} h^{power}, order {orders[name]:.3f}")
assert np.allclose(list(orders.values()), [3, 2, 1], atol=0.05)
assert abs(found["one sign wrong"][4]) < np.sqrt(2e-6) / 4  # at h = 1/32, a quarter of that noise

# %% [markdown]
# The mistake costs an order. At $h = 1/32$ it is 0.03 % of the variance, which a million independent points give to
# 0.14 % ($\sqrt{2/10^6}$).
#
# ## Which claim does it break?
#
# The ledger first holds the step against the shipped one, on the same numbers: at all levels, steps and parameters. It
# also knows the leading term of every coefficient of a correct step. Ask it of the step above.

# %%
report = rm.verify(["C3"], kinds=["exact"], schemes={"randomized_midpoint_langevin": uphill})
for evidence in report["C3"].evidence:
    if evidence.finding == "violated":
        print(f"{evidence.what}:\n  {evidence.computed}; expected {evidence.bound or 'the same'}")
        print(f"  where {dict(evidence.where)}")
assert any(evidence.finding == "violated" for evidence in report["C3"].evidence)

# %% [markdown]
# ## Exercises
#
# **1.** Flow matching: $x_t = (1-t)\,x_0 + t\,\epsilon$, and the network predicts the velocity $\epsilon - x_0$. Write
# the *midpoint* rule as `my_flow(n)`, from $t = 1$ to $0$ in `n` steps, with `path=rm.paths.Flow(), predicts="flow"`.
# The check wants order 2, two evaluations a step, and the right levels.
#
# **2.** Mend the sign of `uphill`, and write it as `downhill`. Then try the wrong decay, `exp(-friction * b)` for
# `decay`: what does the check say?


# %%
def check_flow(make):
    assert_bookkeeping(make)
    assert_order(make, 2)
    report = rm.audit(make, data, steps=(10, 20, 40), odd=())
    assert report.evaluations == "2N", f"expected 2 evaluations a step, got {report.evaluations}"
    print("Right: order 2, in 2N evaluations, each at its level.")


def check_chain(step):
    shipped = schemes.randomized_midpoint_langevin
    for friction in (0.5, 2):
        for h, a in ((0.7, 0.2), (0.1, 0.9)):
            stages = [rm.Correct(each(friction=friction), time=0, step=h, steps=2) for each in (step, shipped)]
            assert_same_law(*(rm.Plan([stage]) for stage in stages), alphas=[a, 1 - a])
    print("Right: the same law as Shen and Lee's, given the midpoint.")


# %% [markdown]
# Worked solutions are below; try before you look.
#
# .
#
# .
#
# .


# %%
def my_flow(n):
    def run(model, x, noise):
        for t, t_next in pairwise(np.linspace(1, 0, n + 1)):
            half = x + (t_next - t) / 2 * model(x, t)
            x = x + (t_next - t) * model(half, (t + t_next) / 2)
        return x

    return rm.Sampler(run, path=rm.paths.Flow(), predicts="flow")


@scheme(kinetic=True)
def downhill(state, t, h, score, draw, *, friction, mass=1):
    x, v = state
    a = draw.uniform()
    b, c = a * h, (1 - a) * h
    v_1, x_1 = draw.normal(kinetic_noise(b, friction, mass))
    v_2, x_2 = draw.normal(kinetic_noise(c, friction, mass))
    half = x + b * phi1(-friction * b) * v + mass * b * b * phi2(-friction * b) * score(t, x) + x_1
    s = score(t, half)
    p, decay = c * phi1(-friction * c), exp(-friction * c)
    return (
        x + h * phi1(-friction * h) * v + mass * h * p * s + x_1 + p * v_1 + x_2,
        exp(-friction * h) * v + mass * h * decay * s + decay * v_1 + v_2,
    )


check_flow(my_flow)
check_chain(downhill)
