"""Markov steps of strangers, read as laws: stationary variances in closed form, laws after n steps by plain matrices,
and states and steps that are refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from mutants import samplers as mutants
from scipy.linalg import solve_discrete_lyapunov

from rmverify import EstimatedScore, Gaussian, Kernel, output_law, paths, samplers, schemes, stationary_law, targets
from rmverify.samplers import trees

TARGET = Gaussian([1.0, 0.0, -2.0], [1.0, 4.0, 0.3])
LAM = TARGET.variances
DENSE = Gaussian([0.5, -1.0], [[1.5, 0.35], [0.35, 1.0]])
H, FRICTION = 0.4, 1.5
DECAY = math.exp(-FRICTION * H)


def at_rest(x, noise):
    return x, 0 * x


def langevin(x, gradient, noise, h=H):
    return x + h * gradient(x) + math.sqrt(2 * h) * noise()


def baoab(state, gradient, noise, h=H):
    x, v = state
    v = v + h / 2 * gradient(x)
    x = x + h / 2 * v
    v = math.exp(-FRICTION * h) * v + math.sqrt(-math.expm1(-2 * FRICTION * h)) * noise()
    x = x + h / 2 * v
    return x, v + h / 2 * gradient(x)


def obabo(state, gradient, noise):
    x, v = state
    v = math.sqrt(DECAY) * v + math.sqrt(1 - DECAY) * noise()
    v = v + H / 2 * gradient(x)
    x = x + H * v
    v = v + H / 2 * gradient(x)
    return x, math.sqrt(DECAY) * v + math.sqrt(1 - DECAY) * noise()


def leapfrog(state, gradient, noise):
    x, v = state
    v = v + H / 2 * gradient(x)
    x = x + H * v
    return x, v + H / 2 * gradient(x)


def momentum(state, gradient, noise):
    """SGHMC as its authors count: v' = (1 - a) v + e grad + sqrt(2 a e) z, x' = x + v'."""
    x, v = state
    v = (1 - 0.3) * v + 0.04 * gradient(x) + math.sqrt(2 * 0.3 * 0.04) * noise()
    return x + v, v


def with_a_history(state, gradient, noise):
    """Adams and Bashforth's second rule; the state is x and the last gradient."""
    x, last = state
    now = gradient(x)
    return x + 0.1 * (1.5 * now - 0.5 * last) + math.sqrt(0.2) * noise(), now


def invariant(A, b, Q):
    """Mean and covariance of s' = A s + b + N(0, Q), by a library's solver."""
    return np.linalg.solve(np.eye(len(A)) - A, b), solve_discrete_lyapunov(A, Q)


# --- stationary laws --------------------------------------------------------------------------------------------------


def langevin_in_closed_form():
    law = stationary_law(Kernel(langevin), TARGET)
    np.testing.assert_allclose(law.variances, LAM / (1 - H / (2 * LAM)), rtol=1e-13)
    np.testing.assert_allclose(law.means, TARGET.means, rtol=1e-13)


def baoab_in_closed_form():
    joint = Kernel(baoab, init=at_rest).stationary(TARGET)
    off = np.abs(joint.x.variances / LAM - 1), np.abs(joint.component(1).variances / (1 - H**2 / (4 * LAM)) - 1)
    assert (off[0] <= joint.x.rounding).all()
    assert (off[1] <= joint.component(1).rounding).all()
    assert joint.x.rounding.max() < 1e-10
    np.testing.assert_allclose(joint.component(1).means, 0.0, atol=1e-13)
    np.testing.assert_allclose(joint.covariance[:, 0, 1], 0.0, atol=1e-13)


def obabo_in_closed_form():
    """It keeps the law of the shadow Hamiltonian of velocity Verlet."""
    joint = Kernel(obabo, init=at_rest).stationary(TARGET)
    np.testing.assert_allclose(joint.x.variances, LAM / (1 - H**2 / (4 * LAM)), rtol=1e-12)
    np.testing.assert_allclose(joint.component(-1).variances, 1.0, rtol=1e-12)


def momentum_by_a_solver():
    joint = Kernel(momentum, init=at_rest).stationary(TARGET)
    for k, lam in enumerate(LAM):
        row = np.array([-0.04 / lam, 0.7])
        A, b = np.array([row + np.array([1.0, 0.0]), row]), np.array([0.04, 0.04]) * TARGET.means[k] / lam
        mean, S = invariant(A, b, 0.024 * np.ones((2, 2)))
        np.testing.assert_allclose(joint.covariance[k], S, rtol=1e-12)
        np.testing.assert_allclose(joint.mean[k], mean, rtol=1e-12, atol=1e-14)


def a_history_is_a_state():
    joint = Kernel(with_a_history, init=lambda x, noise: (x, 0 * x)).stationary(TARGET)
    for k, lam in enumerate(LAM):
        A = np.array([[1 - 0.15 / lam, -0.05], [-1 / lam, 0.0]])
        b = np.array([0.15, 1.0]) * TARGET.means[k] / lam
        mean, S = invariant(A, b, np.diag([0.2, 0.0]))
        np.testing.assert_allclose(joint.covariance[k], S, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(joint.mean[k], mean, rtol=1e-12, atol=1e-14)


def preconditioned_on_a_correlated_target():
    """Coefficients of coordinates belong to coordinates, not to eigenmodes."""
    scale, h = np.array([0.2, 2.0]), 0.1

    def step(x, gradient, noise):
        return x + h / 2 * scale * gradient(x) + np.sqrt(h * scale) * noise()

    target = Gaussian([0.0, 0.0], [[1.5, 0.35], [0.35, 1.0]])
    law = stationary_law(Kernel(step), target)
    A = np.eye(2) - h / 2 * np.diag(scale) @ np.linalg.inv(target.covariance)
    _, S = invariant(A, np.zeros(2), h * np.diag(scale))
    np.testing.assert_allclose(law.covariance, S, rtol=1e-12)
    np.testing.assert_allclose(S, [[1.50502, 0.34993], [0.34993, 1.05288]], atol=5e-6)  # as CASES has it
    flat = stationary_law(Kernel(step), Gaussian.isotropic(1.0, 2))
    np.testing.assert_allclose(flat.covariance, np.diag(1 / (1 - h * scale / 4)), rtol=1e-12, atol=1e-15)


def the_packages_own_step():
    """Overdamped and underdamped Langevin of this package as a stranger's code."""

    class Draw:
        def __init__(self, noise):
            self.noise = noise

        def normal(self, covariance):
            first, *rest = [self.noise() for _ in covariance]
            if not rest:
                return [math.sqrt(covariance[0][0]) * first]
            (a, b), (_, c) = covariance
            return [math.sqrt(a) * first, b / math.sqrt(a) * first + math.sqrt(c - b * b / a) * rest[0]]

    def step(x, gradient, noise, h):
        return schemes.overdamped(x, 0.0, h, lambda t, y: gradient(y), Draw(noise))

    under = schemes.underdamped(friction=2.0)

    def kinetic(state, gradient, noise, h):
        return under(state, 0.0, h, lambda t, y: gradient(y), Draw(noise))

    for target in (TARGET, DENSE, Gaussian.from_spectrum([2.0, 0.5], [3, 10**12])):
        law, mine = stationary_law(schemes.overdamped, target, 0.2), stationary_law(Kernel(step), target, 0.2)
        np.testing.assert_allclose(mine.variances, law.variances, rtol=1e-12)
        law, mine = stationary_law(under, target, 0.2), stationary_law(Kernel(kinetic, init=at_rest), target, 0.2)
        np.testing.assert_allclose(mine.variances, law.variances, rtol=1e-11)
        np.testing.assert_allclose(mine.means, law.means, rtol=1e-11, atol=1e-12)


def no_law_is_invariant():
    for step in (leapfrog, lambda s, gradient, noise: (s[0] + noise(), s[1])):
        with pytest.raises(ValueError, match="leaves no law invariant: its largest eigenvalues are of size"):
            Kernel(step, init=at_rest).stationary(TARGET)
    for radius in (1 - 2.0**-53, 1 - 2.0**-50):  # a turn that comes out a little short
        c, s = radius * math.cos(0.3), radius * math.sin(0.3)
        turn = Kernel(lambda z, gradient, noise, c=c, s=s: (c * z[0] - s * z[1], s * z[0] + c * z[1]), init=at_rest)
        with pytest.raises(ValueError, match="by more than float64 rounds"):
            turn.stationary(TARGET)
    with pytest.raises(ValueError, match="too long, or without friction, or is its gradient"):
        stationary_law(Kernel(langevin), Gaussian([0.0], [H / 2]))


def a_step_without_noise_ends_in_a_point():
    law = stationary_law(Kernel(lambda x, gradient, noise: x + H * gradient(x)), TARGET)
    np.testing.assert_array_equal(law.variances, 0.0)
    np.testing.assert_allclose(law.means, TARGET.means, rtol=1e-13)


# --- laws after n steps -----------------------------------------------------------------------------------------------


def matrices(h, lam, mean):
    """BAOAB as a product of its five maps of (x, v, 1), and its noise."""
    B = np.array([[1, 0, 0], [-h / 2 / lam, 1, h / 2 * mean / lam], [0, 0, 1.0]])
    A = np.array([[1, h / 2, 0], [0, 1, 0], [0, 0, 1.0]])
    decay = math.exp(-FRICTION * h)
    M = B @ A @ np.diag([1, decay, 1]) @ A @ B
    z = B @ A @ np.array([0, math.sqrt(1 - decay**2), 0.0])
    return M[:2, :2], M[:2, 2], z[:2]


def steps_by_plain_matrices():
    """A schedule of step sizes, from v = 0 and from v ~ N(0, 1), of both components."""
    sizes = [0.4, 0.4, 0.4, 0.1, 0.25, 0.25]
    for init, spread in ((at_rest, 0.0), (lambda x, noise: (x, 2 * noise()), 4.0)):
        joint = Kernel(baoab, init=init).law(TARGET, sizes)
        for k, lam in enumerate(LAM):
            mean, S = np.zeros(2), np.diag([1.0, spread])
            for h in sizes:
                A, b, z = matrices(h, lam, TARGET.means[k])
                mean, S = A @ mean + b, A @ S @ A.T + np.outer(z, z)
            np.testing.assert_allclose(joint.mean[k], mean, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(joint.covariance[k], S, rtol=1e-12, atol=1e-14)
            for n in (0, 1):
                law = joint.component(n)
                assert abs(law.variances[k] / S[n, n] - 1) <= law.rounding[k] < 1e-9


def many_steps_are_powers():
    for steps in (1, 2, 7, 100):
        law = output_law(Kernel(langevin), TARGET, steps=steps)
        a = 1 - H / LAM
        np.testing.assert_allclose(law.variances, a ** (2 * steps) + 2 * H * (1 - a ** (2 * steps)) / (1 - a**2))
        np.testing.assert_allclose(law.means, TARGET.means * (1 - a**steps), rtol=1e-12)
    long = output_law(Kernel(langevin), TARGET, steps=10**9)
    np.testing.assert_allclose(long.variances, stationary_law(Kernel(langevin), TARGET).variances, rtol=1e-12)


def starts():
    one = Kernel(langevin)
    a = 1 - H / LAM
    exact = one.law(TARGET, 1, start="exact").x
    np.testing.assert_allclose(exact.variances, a**2 * LAM + 2 * H, rtol=1e-13)
    np.testing.assert_allclose(exact.means, TARGET.means, rtol=1e-13)
    given = one.law(TARGET, 1, start=TARGET.with_modes(9.0, 3.0)).x
    np.testing.assert_allclose(given.variances, 9 * a**2 + 2 * H, rtol=1e-13)
    np.testing.assert_allclose(given.means, a * 3 + H * TARGET.means / LAM, rtol=1e-13)
    with pytest.raises(ValueError, match="start: expected 'normal', 'exact' or a Gaussian of dimension 3"):
        one.law(TARGET, 1, start="cold")


def coordinates_and_modes_agree():
    for target in (TARGET, DENSE):
        for kernel in (Kernel(baoab, init=at_rest), Kernel(langevin)):
            full = Kernel(kernel.step, init=kernel.init, coordinates=True)
            for one, two in (
                (kernel.law(target, 3).x, full.law(target, 3).x),
                (kernel.stationary(target).component(-1), full.stationary(target).component(-1)),
            ):
                np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-11, atol=1e-13)
                np.testing.assert_allclose(one.mean, two.mean, rtol=1e-11, atol=1e-13)


def gradients():
    """Of the potential, of a noised marginal, of an estimate, and of a guided score."""
    down = Kernel(lambda x, grad, noise: x - H * grad(x) + math.sqrt(2 * H) * noise(), predicts="grad")
    np.testing.assert_allclose(stationary_law(down, TARGET).variances, LAM / (1 - H / (2 * LAM)), rtol=1e-13)
    noised = LAM + 0.25
    law = stationary_law(Kernel(langevin, path=paths.VE(), level=0.5), TARGET)
    np.testing.assert_allclose(law.variances, noised / (1 - H / (2 * noised)), rtol=1e-13)
    estimate = EstimatedScore(TARGET, gain=0.2, bias=0.1)
    law = stationary_law(Kernel(langevin), estimate)
    np.testing.assert_allclose(law.variances, LAM / 1.2 / (1 - 1.2 * H / (2 * LAM)), rtol=1e-13)
    np.testing.assert_allclose(law.means, TARGET.means + 0.1 * LAM / 1.2, rtol=1e-12)
    plain = TARGET.with_modes(5.0, 0.0)
    short = Kernel(lambda x, gradient, noise: langevin(x, gradient, noise, 0.1))
    law = stationary_law(short, targets.Guided(TARGET, plain, scale=2.0))
    precision = 2 / LAM - 1 / 5
    np.testing.assert_allclose(law.variances, 1 / precision / (1 - 0.1 * precision / 2), rtol=1e-13)
    np.testing.assert_allclose(law.means, 2 * TARGET.means / LAM / precision, rtol=1e-13, atol=1e-15)


# --- states of any shape ----------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    position: Any
    velocity: Any


@dataclasses.dataclass
class Three:
    x: Any
    v: Any
    name: str = "three"


def states_of_any_shape():
    due = Kernel(baoab, init=at_rest).stationary(TARGET)
    shapes = {
        "dict": (lambda x, v: {"x": x, "v": v}, lambda s: (s["x"], s["v"])),
        "named tuple": (Pair, tuple),
        "dataclass": (Three, lambda s: (s.x, s.v)),
        "nested": (lambda x, v: [x, {"aux": None, "v": (v,)}], lambda s: (s[0], s[1]["v"][0])),
    }
    for make, parts in shapes.values():

        def step(state, gradient, noise, make=make, parts=parts):
            return make(*baoab(parts(state), gradient, noise))

        joint = Kernel(step, init=lambda x, noise, make=make: make(x, 0 * x)).stationary(TARGET)
        np.testing.assert_allclose(joint.covariance, due.covariance, rtol=1e-12, atol=1e-13)
    turned = Kernel(
        lambda s, gradient, noise: baoab(s[::-1], gradient, noise)[::-1],
        init=lambda x, noise: (0 * x, x), position=1,
    )  # fmt: skip
    np.testing.assert_allclose(turned.stationary(TARGET).x.variances, LAM, rtol=1e-12)


def a_gradient_that_is_kept():
    """A state with the last gradient and the value of a density in it, as blackjax has; single states too."""

    def step(state, gradient, noise):
        x, last, _ = state
        x = x + H * last + math.sqrt(2 * H) * noise()
        return x, gradient(x), (x**2).sum(axis=-1)

    for single in (False, True):
        kernel = Kernel(langevin, single=single)
        np.testing.assert_allclose(kernel.stationary(TARGET).x.variances, LAM / (1 - H / (2 * LAM)), rtol=1e-12)
        grown = Kernel(step, init=lambda x, noise: (x, 0 * x, (x**2).sum(axis=-1)), single=single)
        np.testing.assert_allclose(grown.stationary(TARGET).x.variances, LAM / (1 - H / (2 * LAM)), rtol=1e-12)


class Box:
    def __init__(self, value):
        self.value = value


def states_that_hide_something():
    def counting(state, gradient, noise):
        return langevin(state[0], gradient, noise, H / (1 + state[1])), state[1] + 1

    def counting_in_an_array(state, gradient, noise):
        return langevin(state[0], gradient, noise), state[1] + 1

    def boxed(state, gradient, noise):
        v = 0.5 * state[1].value + noise()
        return 0.9 * state[0] + v, Box(v)

    def boxed_in_place(state, gradient, noise):
        x, box = state
        box.value = 0.5 * box.value + noise()
        return 0.9 * x + box.value, box

    for step, init, message in (
        (counting, lambda x, noise: (x, 0), r"its state counts \(0 became 1\).*as an argument"),
        (counting, lambda x, noise: (x, 0.0), "depends on something in its state that is no array of the shape of x"),
        (counting_in_an_array, lambda x, noise: (x, np.zeros(5, int)), "its state counts"),
        (counting_in_an_array, lambda x, noise: (x, np.zeros(x.shape, int)), "its state counts"),
        (boxed, lambda x, noise: (x, Box(0 * x)), "depends on something in its state"),
        (boxed_in_place, lambda x, noise: (x, Box(0 * x)), "depends on something in its state"),
    ):
        with pytest.raises(samplers.Unreadable, match=message):
            Kernel(step, init=init).stationary(TARGET)
    kept = [0.0]

    def outside(x, gradient, noise):
        kept[0] = 0.5 * kept[0] + noise()
        return 0.9 * x + kept[0]

    with pytest.raises(samplers.Unreadable, match="does it keep state between runs"):
        Kernel(outside).stationary(TARGET)
    kept[0] = 0.0
    with pytest.raises(samplers.Unreadable, match="two runs on the same numbers differ"):
        Kernel(outside, single=True).stationary(TARGET)


def a_size_that_is_not_handed():
    def step(x, gradient, noise, h):
        return x + h * gradient(x) + np.sqrt(2 * h) * noise()

    for asked in (lambda kernel: kernel.law(TARGET, 10), lambda kernel: kernel.stationary(TARGET)):
        with pytest.raises(samplers.Unreadable, match="pass a list of these as steps"):
            asked(Kernel(step))
    assert Kernel(step).law(TARGET, [0.01] * 2).components == 1
    assert Kernel(step).stationary(TARGET, 0.01).components == 1


def bends_at_the_scale_of_the_target():
    """A clip at 1e5 is none for numbers like draws, and one for a target of spread 1e6; a small dead zone likewise."""

    def clipped(x, gradient, noise):
        return 0.9 * np.clip(x, -1e5, 1e5) + noise()

    def dead(x, gradient, noise):
        return 0.9 * np.where(np.abs(x) < 1e-4, 0, x) + 1e-6 * noise()

    def far(x, gradient, noise):
        return 0.9 * np.where(np.abs(x) > 1e7, 0, x) + noise()

    for step, target in (
        (clipped, Gaussian([0.0], [1e12])),
        (dead, Gaussian([0.0], [1e-12])),
        (far, Gaussian([1e8], [1.0])),
    ):
        for coordinates in (None, True):
            with pytest.raises(samplers.NotAffine):
                Kernel(step, coordinates=coordinates).stationary(target)


def hidden_mixing_is_in_the_stated_error():
    """A step with A = (1 - h) (1 + eps s s^T) for signs s is read mode by mode, and its law along s is within reach."""
    dim, eps, h = 400, 1e-8, 0.2
    signs = np.random.default_rng(3).choice([-1.0, 1.0], dim)

    def step(x, gradient, noise):
        y = x + h * gradient(x)
        return y + eps * np.outer(y @ signs[: y.shape[1]], signs[: y.shape[1]]) + math.sqrt(2 * h) * noise()

    joint = Kernel(step).stationary(Gaussian.isotropic(1.0, dim))
    assert not joint.frame.full
    along = 2 * h / (1 - ((1 - h) * (1 + eps * dim)) ** 2)
    assert 1e-9 < abs(along / joint.x.variances[0] - 1) <= joint.x.rounding[0] < 1e-2


def refused_steps():
    def in_place(x, gradient, noise):
        x += noise()
        return x

    def accepted(x, gradient, noise):
        y = langevin(x, gradient, noise)
        return np.where((y**2).sum(axis=-1, keepdims=True) > 9, x, y)

    def by_dimension(x, gradient, noise):
        return langevin(x, gradient, noise, x.shape[-1] ** (-1 / 3))

    for kernel, message in (
        (Kernel(in_place), "step: it changes x in place"),
        (Kernel(accepted), "step: not affine"),
        (Kernel(lambda x, gradient, noise: x + noise.random(x.shape)), "step: it draws random numbers"),
        (Kernel(lambda x, gradient, noise: 3), r"a state with one array of the shape of x, \(\d+, 3\), got a int"),
        (Kernel(lambda s, gradient, noise: s[0], init=at_rest), "a state with 2 arrays of the shape of x"),
        (Kernel(langevin, init=lambda x, noise: 3), "a state with an array of the shape of x"),
        (Kernel(langevin, position=1), "position: expected one of 1 components, got 1"),
        (Kernel(langevin, draws=0), "at most 0 draws"),
        (Kernel(lambda x, gradient, noise, h: x), "beside its noise, such as its size"),
        (Kernel(lambda x, gradient: x), "it raised TypeError"),
        (Kernel(lambda x, gradient, noise: x.astype(np.float16)), "expected float64, the dtype of x, got float16"),
        (
            Kernel(lambda s, gradient, noise: (s[0], s[1].astype("f")), init=at_rest),
            "arrays of one dtype, got float32 and float64",
        ),
    ):
        with pytest.raises(samplers.Unreadable, match=message):
            kernel.stationary(TARGET)
    law = stationary_law(Kernel(by_dimension), Gaussian.isotropic(1.0, 100))
    np.testing.assert_allclose(law.variances, 1 / (1 - 100 ** (-1 / 3) / 2), rtol=1e-12)
    with pytest.raises(samplers.NotFinite, match="the law overflows; the step is too long"):
        output_law(Kernel(lambda x, gradient, noise: 2 * x + noise()), TARGET, steps=5000)


def components():
    joint = Kernel(baoab, init=at_rest).law(TARGET, 2)
    assert (joint.components, repr(joint)) == (2, "Joint(2 components, dim=3)")
    np.testing.assert_array_equal(joint.component(-2).variances, joint.x.variances)
    for n in (2, -3):
        with pytest.raises(IndexError, match=f"n: expected one of 2 components, got {n}"):
            joint.component(n)


def sizes_of_any_kind():
    """Sizes for each coordinate, and equal ones in a row."""

    def step(x, gradient, noise, h):
        return x + h * gradient(x) + np.sqrt(2 * h) * noise()

    sizes = [np.array([0.1, 0.2]), np.array([0.1, 0.2]), np.array([0.2, 0.1])]
    law = Kernel(step).law(DENSE, sizes).x
    mean, S = np.zeros(2), np.eye(2)
    inverse = np.linalg.inv(DENSE.covariance)
    for h in sizes:
        A = np.eye(2) - np.diag(h) @ inverse
        mean, S = A @ mean + np.diag(h) @ inverse @ DENSE.mean, A @ S @ A.T + 2 * np.diag(h)
    np.testing.assert_allclose(law.covariance, S, rtol=1e-12)
    np.testing.assert_allclose(law.mean, mean, rtol=1e-12)


FACTS = {
    f.__name__: f
    for f in (
        langevin_in_closed_form,
        baoab_in_closed_form,
        obabo_in_closed_form,
        momentum_by_a_solver,
        a_history_is_a_state,
        preconditioned_on_a_correlated_target,
        the_packages_own_step,
        no_law_is_invariant,
        a_step_without_noise_ends_in_a_point,
        steps_by_plain_matrices,
        many_steps_are_powers,
        starts,
        coordinates_and_modes_agree,
        gradients,
        states_of_any_shape,
        a_gradient_that_is_kept,
        states_that_hide_something,
        a_size_that_is_not_handed,
        bends_at_the_scale_of_the_target,
        hidden_mixing_is_in_the_stated_error,
        refused_steps,
        components,
        sizes_of_any_kind,
    )
}


@pytest.mark.parametrize("name", FACTS)
def test_kernels(name):
    FACTS[name]()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 3}, "step: expected a function, got int"),
        ({"init": 3}, "init: expected a function, got int"),
        ({"predicts": "x0"}, "predicts: expected 'score' or 'grad', got 'x0'"),
        ({"path": "OU"}, "path: expected a Path"),
        ({"shape": (2, -1)}, "shape: expected a tuple of one -1"),
        ({"level": -1.0}, "t: expected a level"),
        ({"draws": 0.5}, "draws: expected an integer"),
    ],
)
def test_arguments_of_a_kernel(options, message):
    with pytest.raises(ValueError, match=message):
        Kernel(**({"step": langevin} | options))


def test_numbers_of_steps():
    for steps, message in (
        (0, "steps: expected an integer >= 1"),
        (1.5, "steps: expected an integer"),
        ([], "got none"),
    ):
        with pytest.raises(ValueError, match=message):
            Kernel(langevin).law(TARGET, steps)


@pytest.mark.parametrize("single", [False, True])
def test_keys_of_jax_in_a_state(single):
    """A key in the state, of the shape of x too, is none of its components; it must be split."""
    jax = pytest.importorskip("jax")

    def split(state, gradient, noise):
        key, now = jax.random.split(state[1])
        x = state[0]
        return x + H * gradient(x) + math.sqrt(2 * H) * jax.random.normal(now, x.shape, x.dtype), key

    def kept(state, gradient, noise):
        x, key = state
        return x + H * gradient(x) + math.sqrt(2 * H) * jax.random.normal(key, x.shape, x.dtype), key

    two = Gaussian([1.0, 0.0], [1.0, 4.0])
    for key in (jax.random.PRNGKey(0), jax.random.key(0)):
        kernels = [
            Kernel(step, init=lambda x, noise, key=key: (x, key), like="jax", single=single) for step in (split, kept)
        ]
        due = two.variances / (1 - H / (2 * two.variances))
        np.testing.assert_allclose(stationary_law(kernels[0], two).variances, due, rtol=1e-12)
        with pytest.raises(samplers.Unreadable, match="expected it to split the key"):
            stationary_law(kernels[1], two)


def test_leaves_and_others_of_a_state():
    state = Pair(np.zeros(2), {"v": [np.ones(3), "name"], "count": 4, "none": None})
    assert [z.shape for z in trees.leaves(state)] == [(2,), (3,)]
    assert trees.others(state) == ["name", 4, None]
    new = trees.replaced(state, iter([np.full(2, 7.0)]), lambda z: z.shape == (2,))
    assert isinstance(new, Pair)
    assert new.position.tolist() == [7.0, 7.0]
    assert new.velocity["v"][0] is state.velocity["v"][0]


@pytest.mark.parametrize("mutant", mutants.KERNELS, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    fact = FACTS[mutant.killed_by]
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, LookupError, TypeError, ValueError, Warning, pytest.fail.Exception)):
        fact()
