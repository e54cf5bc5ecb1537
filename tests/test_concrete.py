"""The concrete reading: steps on plain rows, and what they may not do."""

from __future__ import annotations

import numpy as np
import pytest

from rmverify.elementary import exp, expm1
from rmverify.readings.concrete import BrokenContract, Tape, examine, examine_velocity, matrices, play
from rmverify.schemes import randomized_midpoint, scheme, underdamped

RNG = np.random.default_rng(5)
LAST = []
KEPT = {}


def score(t, x):
    return (np.exp(-t) * 0.7 - x) / (1 + 2 * np.exp(-2 * t))


def own_generator(x, t, h, score, draw):
    return x + h * score(t, x) + h * RNG.standard_normal(x.shape)


def global_generator(x, t, h, score, draw):
    return x + h * score(t, x) + h * np.random.randn(*x.shape)  # noqa: NPY002


def antithetic(x, t, h, score, draw):
    a = 1 - LAST.pop() if LAST else draw.uniform()
    LAST.append(a)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, x)


def antithetic_over_steps(x, t, h, score, draw):
    a = draw.uniform()
    b = 1 - LAST.pop() if LAST and len(LAST[-1]) == len(a) else a
    LAST.append(a)
    return exp(h) * x + h * exp((1 - b) * h) * score(t - b * h, x)


def drawn_once(x, t, h, score, draw):
    a = KEPT.setdefault(len(x), draw.uniform())
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, x)


def in_place(x, t, h, score, draw):
    s = score(t, x)
    x *= exp(h)
    return x + expm1(h) * s


def one_midpoint_for_all(x, t, h, score, draw):
    a = draw.uniform()[:1]
    half = exp(a * h) * x + expm1(a * h) * score(t, x)
    return exp(h) * x + h * exp((1 - a) * h) * score(t - a * h, half)


def mean_field(x, t, h, score, draw):
    return x + h * score(t, x) - h * x.mean(axis=0)


def single_precision(x, t, h, score, draw):
    return (x + h * score(t, x)).astype(np.float32)


def with_information(x, t, h, score, draw):
    return x + h * score(t, x), {"calls": 1}


def wrong_function(x, t, h, score, draw):
    import math

    a = draw.uniform()
    return math.exp(a * h) * x


BROKEN = {
    own_generator: "random numbers of its own, from RNG",
    global_generator: "random numbers of its own, from numpy.random",
    antithetic: "keeps state between calls, in LAST",
    antithetic_over_steps: "keeps state between calls, in LAST",
    in_place: "changes its state x in place",
    one_midpoint_for_all: "move each by itself, with its own draws",
    mean_field: "the step depends on how many they are",
    single_precision: "returned float32 for a state of float64",
    with_information: "must return its state x of shape",
    wrong_function: "raised TypeError",
}


def rows(dim=2, count=8):
    return np.random.default_rng(1).standard_normal((count, dim))


@pytest.mark.parametrize("step", BROKEN, ids=lambda step: step.__name__)
def test_what_a_step_may_not_do_is_refused_by_name(step):
    LAST.clear()
    with pytest.raises(BrokenContract, match=BROKEN[step]):
        examine(step, (rows(),), 1.0, 0.25, score, Tape(8))


def test_a_midpoint_kept_from_an_earlier_call_is_seen_whenever_it_was_drawn():
    KEPT.clear()
    with pytest.raises(BrokenContract, match="keeps state between calls, in KEPT"):
        examine(drawn_once, (rows(),), 1.0, 0.25, score, Tape(8))
    with pytest.raises(BrokenContract, match="uses one kept from an earlier call"):  # nothing changes any more
        examine(drawn_once, (rows(),), 1.0, 0.25, score, Tape(8))


class Momentum:
    """A step that is an object, and remembers."""

    last = 0.0

    def __call__(self, x, t, h, score, draw):
        s, self.last = score(t, x) + self.last, score(t, x)
        return x + h * s


def test_an_object_that_remembers_is_refused():
    with pytest.raises(BrokenContract, match="keeps state between calls, in Momentum"):
        examine(Momentum(), (rows(),), 1.0, 0.25, score, Tape(8))


def test_a_midpoint_that_is_not_used_is_allowed_where_none_can_be_kept():
    def unused(x, t, h, score, draw):
        draw.uniform()
        return x + h * score(t, x)

    examine(unused, (rows(),), 1.0, 0.25, score, Tape(8))


@pytest.mark.parametrize("step", [randomized_midpoint, underdamped(friction=2)])
def test_the_schemes_keep_the_contract(step):
    state = (rows(),) if step is randomized_midpoint else (rows(), rows()[::-1])
    played = examine(step, state, 1.0, 0.25, score, Tape(8))
    again = play(step, state, 1.0, 0.25, score, Tape(8))
    assert all(np.array_equal(a, b) for a, b in zip(played.state, again.state, strict=True))


def test_the_first_rows_have_their_midpoints_at_the_ends():
    a = examine(randomized_midpoint, (rows(),), 1.0, 0.25, score, Tape(8)).script.alphas[0][:, 0]
    assert a[:4].tolist() == [0.0, 1.0, 1e-12, 1 - 1e-12]
    assert len(np.unique(a)) == 8


def test_a_history_is_no_velocity():
    @scheme(kinetic=True)
    def adams_bashforth(state, t, h, score, draw):
        x, old = state
        s = score(t, x)
        return x + h * (3 * s - old) / 2, s

    with pytest.raises(BrokenContract, match="is not a velocity"):
        examine_velocity(adams_bashforth, (rows(), rows()[::-1]), 1.0, score, Tape(8))
    for friction, mass in ((2, 1), (1000, 1e-3), (0.01, 1000)):
        examine_velocity(underdamped(friction=friction, mass=mass), (rows(), rows()), 1.0, score, Tape(8))


def test_matrices_are_those_of_the_textbook():
    """x' = x + h/2 G s(x) + sqrt(h G) z with s(x) = -P x has x' = (1 - h/2 G P) x + b."""
    G, P, m, h = np.array([0.2, 2.0]), np.array([[0.7, -0.3], [-0.3, 1.1]]), np.array([3.0, -1.0]), 0.125

    def preconditioned(x, t, h, score, draw):
        (w,) = draw.normal(((h * G,),))
        return x + h / 2 * G * score(t, x) + w

    found = matrices(preconditioned, (rows(),), 0.0, h, lambda t, x: (m - x) @ P)
    np.testing.assert_allclose(found.linear, np.eye(2) - h / 2 * G[:, None] * P, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.shift, h / 2 * G * (P @ m), rtol=1e-15)
    np.testing.assert_allclose(found.root @ found.root.T, np.diag(h * G), rtol=1e-15)


def test_matrices_of_a_velocity_and_of_midpoints():
    """Velocity x, half a kick: x' = x + h v, v' = v + h a s(x) with s(x) = -x."""

    @scheme(kinetic=True)
    def kick(state, t, h, score, draw):
        x, v = state
        return x + h * v, v + h * draw.uniform() * score(t, x)

    found = matrices(kick, (rows(1), rows(1)), 0.0, 0.5, lambda t, x: -x, alphas=[0.25])
    assert found.linear.tolist() == [[1.0, 0.5], [-0.125, 1.0]]
    assert found.root.shape == (2, 0)


def test_steps_that_are_not_affine_have_no_matrices():
    for bend in (np.abs, np.tanh, lambda z: np.float32(z).astype(float)):
        with pytest.raises(BrokenContract, match="not affine"):
            matrices(
                lambda x, t, h, score, draw, bend=bend: x + h * bend(score(t, x)), (rows(),), 0.0, 0.25, lambda t, x: -x
            )
