r"""DDIM: relative to the exact flow a step has the factor cos(theta - theta'); equal angles are best on one mode.

Hypotheses: a mode of variance lam > 0, noise levels t > t' > 0, theta = arctan(sigma/sqrt(lam)) with
sigma = sqrt(e^{2t} - 1), and the package's own step `ddim`.

Proved:

1. The step's coefficient over the exact flow's slope is cos(theta - theta') = cos theta cos theta' + sin theta
   sin theta', and the mean is carried exactly.
2. So a plan multiplies the standard deviation by P = prod cos(D_k), where the D_k > 0 sum to theta_0 - theta_N < pi/2.
   ln cos is concave there, its second derivative being -1/cos^2: by Jensen's inequality ln P <= N ln cos(mean D), and
   equal only where all D_k are equal. Equal D_k are stationary under the constraint: all slopes -tan(D_k) are equal.
3. Started from q_T, the ratio of standard deviations is P <= 1; KL = (P^2 - 1)/2 - ln P, whose slope P - 1/P is
   negative on (0, 1), falls in P, and so do |P - 1|, W_2 and TV: the largest P is best for all of them, for every N.
   With lam = 1 the levels are sigma_k = tan(theta_k), the grid `kl_optimal`.

Provenance: derived in this project; the tangent law of Sun, Poor, Zhang 2026 (arXiv 2601.13602) is the same in the
limit of many steps [found].
"""

from functools import partial

import sympy as sp

from rmverify.studies.schedules import ddim
from rmverify.targets.process import flow_slope, mode_mean, mode_score

CLAIM = "DDIM"

lam, sigma, lower, m, P = sp.symbols("lam sigma lower m P", positive=True)
D, theta = sp.symbols("D theta", positive=True)


def level(noise):
    return sp.log(1 + noise**2) / 2


def stepped(x, mean=0):
    """One step from sigma to `lower` of the package's own code."""
    t = level(sigma)
    return ddim(x, t, t - level(lower), lambda s, y: mode_score(mean, lam, s, y), None)


def zero(expression):
    return sp.simplify(sp.expand(sp.powdenest(sp.simplify(expression), force=True)))


def factor_of_a_step(sign=1):
    """Squared, as both sides are positive; cos and sin of arctan(r) are 1/sqrt(1 + r^2) and r/sqrt(1 + r^2)."""
    t = level(sigma)
    ratio = stepped(1) / flow_slope(lam, t, t - level(lower))
    cosine = (lam + sign * sigma * lower) / sp.sqrt((lam + sigma**2) * (lam + lower**2))
    return zero(ratio**2 - cosine**2)


def cosine_of_a_difference():
    a, b = sp.atan(sigma / sp.sqrt(lam)), sp.atan(lower / sp.sqrt(lam))
    cosine = (lam + sigma * lower) / sp.sqrt((lam + sigma**2) * (lam + lower**2))
    return sp.simplify(sp.expand_trig(sp.cos(a - b)) - cosine)


def mean_is_carried():
    return zero(stepped(mode_mean(m, level(sigma)), m) - mode_mean(m, level(lower)))


def concavity(power=2):
    return sp.simplify(sp.diff(sp.log(sp.cos(D)), D, 2) + 1 / sp.cos(D) ** power)


def equal_angles_are_stationary(parts=2):
    """Two neighbouring steps that share an angle theta: the slope of their product in the level between."""
    product = sp.log(sp.cos(D)) + sp.log(sp.cos(theta - D))
    return sp.simplify(sp.diff(product, D).subs(D, theta / parts))


def divergence_falls(constant=1):
    """The slope of KL(N(0, P^2)||N(0, 1)) is -(1 - P^2)/P."""
    return sp.simplify(sp.diff((P**2 - 1) / 2 - constant * sp.log(P), P) + (1 - P**2) / P)


IDENTITIES = {
    "the factor of a step": factor_of_a_step,
    "the cosine of a difference": cosine_of_a_difference,
    "the mean is carried": mean_is_carried,
    "ln cos is concave": concavity,
    "equal angles are stationary": equal_angles_are_stationary,
    "KL falls in the ratio": divergence_falls,
}
MUTATED = {
    "the cosine of the sum": partial(factor_of_a_step, -1),
    "a curvature of the first power": partial(concavity, 1),
    "a third of the angle": partial(equal_angles_are_stationary, 3),
    "twice the logarithm": partial(divergence_falls, 2),
}
