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
# Underdamped Langevin samples a law $e^{-f}$ with a position $x$ and a velocity $v$:
#
# $$dx = v\,dt, \qquad dv = -(u\,\nabla f(x) + g\,v)\,dt + \sqrt{2 g u}\, dB .$$
#
# Shen and Lee's discretization asks the gradient at a random time $\alpha h$ of each step. Its code is short, and easy
# to get almost right: a wrong sign or a wrong decay still yields a cloud of points of a plausible size. A plot of
# samples does not show the mistake. An exact number does.

# %%
import matplotlib.pyplot as plt
import numpy as np

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, phi1, phi2
from rmverify.schemes import scheme
from rmverify.schemes.langevin import kinetic_noise
from rmverify.studies.log_concave import comb

# %% [markdown]
# ## A sampler with a mistake
#
# The step below is Shen and Lee's but for one sign: the gradient at the current point pushes the midpoint uphill.


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
# ## What it leaves invariant, exactly
#
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
figure, axis = plt.subplots(figsize=(7, 4.5))
for (name, values), mark in zip(found.items(), "osv", strict=True):
    axis.loglog(steps, np.abs(values), mark + "-", label=name)
axis.set(xlabel="step h", ylabel="|Var(x) - 1| of the invariant law")
axis.legend()
axis.grid(alpha=0.3)
plt.show()

# %%
for name, values in found.items():
    order = np.log2(np.abs(values[-2] / values[-1]))
    print(f"{name}: Var(x) - 1 = {values[-1] / steps[-1] ** round(order):+.4f} h^{round(order)}, order {order:.3f}")

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

# %% [markdown]
# ## Close in $W_2$, far in total variation
#
# Even a correct sampler may be close to its target in $W_2$ and at total variation 1: take a draw of $N(0, 1)$ and
# round it to a lattice. That is what the corrector is for: underdamped Langevin for a time $1/\sqrt L$, which turns
# $W_2$ into total variation (claims C1 and C4).

# %%
spacings = (1.0, 0.3, 0.1, 0.03)
figure, axis = plt.subplots(figsize=(7, 4.5))
for count in (1, 4, 16, 64):
    rows = [comb(spacing, count) for spacing in spacings]
    axis.loglog([r.distance for r in rows], [r.after for r in rows], "o-", label=f"after {count} corrector steps")
axis.loglog([r.distance for r in rows], [r.bound for r in rows], "k--", label=r"C4: $0.646\,W_2/T$, exact dynamics")
axis.axhline(1.0, color="gray", label="before")
axis.set(xlabel="$W_2$ of the start", ylabel="total variation")
axis.legend(fontsize="small")
axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# Few corrector steps leave an error of their own, which no closeness of the start removes: claim C2, of the order of
# $h$. With enough steps the bound holds, with room to spare.
#
# **Try it**: give `mine` the right sign and the wrong decay, `exp(-friction * b)` for `decay`, and ask again.
