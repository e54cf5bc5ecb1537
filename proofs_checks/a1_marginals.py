r"""A1: the Ornstein-Uhlenbeck marginals solve d_t q = d_x (x q) + d_xx q, and the score is d_x ln q.

Proved, in one dimension:

1. For a generic start density q_0 (an undefined function): q_t(x) = int q_0(y) k_t(x, y) dy, where k_t(., y) is the
   Gaussian density with the mean and variance that `process` gives to a point y, solves the equation for t > 0,
   because the kernel does for every y; hence so does every mixture of point masses, every shipped target included.
   Differentiation under the integral is allowed for t > 0: derivatives of the kernel are bounded, locally uniformly.
2. Every start law whatever (point masses, lattices), through its characteristic function, an undefined function f:
   f_t(z) = f(e^{-t} z) e^{-(1-e^{-2t}) z^2/2} solves d_t f = -z d_z f - z^2 f, the same equation on that side.
3. The Gaussian factor N(m, lam): its marginal N(m(t), v(t)) solves the equation, `mode_score` is d_x ln q_t, and
   running for t and then for s is running for t + s.
4. The generic score is d_x ln q_t = (e^{-t} E[Y | x] - x)/(1-e^{-2t}), which is how the mixture's score is computed.

In d dimensions the kernel is the product of d of these and the equation is the sum over coordinates.
Non-Gaussian factors' own closed forms are not in here.

Provenance: [derived]; the mean, variance and score are the shipped `rmverify.targets.process`.
"""

from functools import partial

import sympy as sp

from rmverify.targets.process import mode_mean, mode_score, mode_variance

CLAIM = "A1"

x, y, z, m = sp.symbols("x y z m", real=True)
t, s, lam = sp.symbols("t s lam", positive=True)
start = sp.Function("q_0")
characteristic = sp.Function("f")


def gaussian(x, mean, variance):
    return sp.exp(-((x - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)


def kernel(variance=mode_variance):
    return gaussian(x, mode_mean(y, t), variance(sp.Integer(0), t))


def fokker_planck(q):
    """d_t q - d_x (x q) - d_xx q."""
    return sp.diff(q, t) - sp.diff(x * q, x) - sp.diff(q, x, 2)


def under_the_integral(expression):
    """The integrand of a sum of integrals over the same y."""
    return expression.replace(lambda e: isinstance(e, sp.Integral), lambda e: e.function)


def kernel_equation(variance=mode_variance):
    k = kernel(variance)
    return sp.simplify(fokker_planck(k) / k)


def generic_density(variance=mode_variance):
    q = sp.Integral(start(y) * kernel(variance), (y, -sp.oo, sp.oo))
    integrand = under_the_integral(fokker_planck(q))
    return sp.simplify(integrand / kernel(variance))


def generic_characteristic_function(variance=mode_variance):
    """On this side d_x is iz and x is -i d_z: d_t f = -z d_z f - z^2 f."""
    f = characteristic(mode_mean(z, t)) * sp.exp(-variance(sp.Integer(0), t) * z**2 / 2)
    return sp.simplify((sp.diff(f, t) + z * sp.diff(f, z) + z**2 * f).doit())


def gaussian_factor(variance=mode_variance):
    q = gaussian(x, mode_mean(m, t), variance(lam, t))
    return sp.simplify(fokker_planck(q) / q)


def gaussian_score(score=mode_score):
    q = gaussian(x, mode_mean(m, t), mode_variance(lam, t))
    return sp.simplify(score(m, lam, t, x) - sp.diff(sp.log(q), x))


def semigroup():
    return (
        sp.simplify(mode_mean(mode_mean(m, t), s) - mode_mean(m, t + s)),
        sp.simplify(mode_variance(mode_variance(lam, t), s) - mode_variance(lam, t + s)),
    )


def generic_score():
    """d_x q = int (e^{-t} y - x)/(1-e^{-2t}) q_0 k dy, whose quotient by q is the conditional mean's formula."""
    q = sp.Integral(start(y) * kernel(), (y, -sp.oo, sp.oo))
    mean_times_q = sp.Integral(y * start(y) * kernel(), (y, -sp.oo, sp.oo))
    v = mode_variance(sp.Integer(0), t)
    integrand = under_the_integral(sp.diff(q, x) - (mode_mean(1, t) * mean_times_q - x * q) / v)
    return sp.simplify(integrand / kernel())


def noise_of_half_the_rate(lam, t):
    return sp.exp(-2 * t) * lam + (1 - sp.exp(-t))


def around_the_first_mean(mean, lam, t, x):
    return (mean - x) / mode_variance(lam, t)


IDENTITIES = {
    "the kernel solves the equation": kernel_equation,
    "a generic density": generic_density,
    "a generic characteristic function": generic_characteristic_function,
    "the Gaussian factor": gaussian_factor,
    "the Gaussian score": gaussian_score,
    "the generic score": generic_score,
    "a semigroup": semigroup,
}
MUTATED = {
    "noise of half the rate, kernel": partial(kernel_equation, noise_of_half_the_rate),
    "noise of half the rate, a generic density": partial(generic_density, noise_of_half_the_rate),
    "noise of half the rate, characteristic function": partial(generic_characteristic_function, noise_of_half_the_rate),
    "noise of half the rate, Gaussian factor": partial(gaussian_factor, noise_of_half_the_rate),
    "the score around the first mean": partial(gaussian_score, around_the_first_mean),
}
