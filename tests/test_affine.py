"""The affine reading: its algebra, its transitions against hand-composed matrices, its chains, and its rounding."""

from __future__ import annotations

import itertools

import flint
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import textbook
from oracles.facts import drawn, variants

import rmverify as rm
from rmverify import schemes
from rmverify.elementary import exp, prefix, total
from rmverify.readings.affine import AffineForm, Transition, chain, compose, position, read
from rmverify.readings.balls import lift
from rmverify.schemes.contract import unwrap
from rmverify.targets.gaussian import Modes

UNIT = 2.0**-53
SCHEMES = [*textbook.PREDICTORS, *textbook.CORRECTORS]
KINETIC = tuple(textbook.KINETIC)
LAM, MEAN = np.array([0.25, 1.0, 6.0]), np.array([1.5, 0.0, -2.0])


def floats(of, parameters):
    """The parameters as a user gives them, and the scheme that they make."""
    plain = {k: p if isinstance(p, int) else float(p) for k, p in parameters.items()}
    scheme = getattr(schemes, of)
    return scheme(**plain) if plain else scheme


VARIANTS = [(of, k) for of in SCHEMES for k in range(len(variants(of)))]
EACH = pytest.mark.parametrize("of, k", VARIANTS, ids=[f"{of}-{k}" for of, k in VARIANTS])


def stage(scheme, levels, steps=None):
    """The scheme over these noise levels; a Langevin step as long, all at level 1, where it is a corrector."""
    if unwrap(scheme)[0].__name__ in textbook.PREDICTORS:
        return rm.Predict(scheme, levels)
    return rm.Correct(scheme, 1.0, 0.1, len(levels) - 1 if steps is None else steps)


def midpoints(of, parameters, rng, steps, paths=1):
    """Random midpoints inside their strata, (A, steps, paths, 1), or None."""
    count = len(drawn(of, parameters))
    if not count:
        return None
    if textbook.chance(of, parameters) is not None:
        return rng.integers(0, 2, (count, steps, paths, 1)).astype(float)
    return (np.arange(count).reshape(-1, 1, 1, 1) + rng.random((count, steps, paths, 1))) / count


# --- the algebra --------------------------------------------------------------------------------------------------

coefficients = st.dictionaries(st.sampled_from(["1", "x", "v", (0, 0, 0)]), st.integers(-8, 8).map(float), max_size=4)
forms = coefficients.map(AffineForm)
numbers = st.integers(-8, 8).map(float)
points = st.fixed_dictionaries({s: st.integers(-8, 8) for s in ["x", "v", (0, 0, 0)]})


def at(form, point):
    """The value of the form where its sources have these values; small integers, so exact."""
    return sum(part * (1 if source == "1" else point[source]) for source, part in form.parts.items())


@given(forms, forms, numbers, points)
def test_forms_act_as_the_functions_that_they_are(a, b, c, p):
    x, y = at(a, p), at(b, p)
    assert at(a + b, p) == x + y
    assert at(a - b, p) == x - y
    assert at(-a, p) == -x
    assert at(c * a, p) == at(a * c, p) == c * x
    assert at(a + c, p) == at(c + a, p) == x + c
    assert at(c - a, p) == c - x
    assert at(a - c, p) == x - c
    assert at(a / 4, p) == x / 4


@given(forms, forms, forms, numbers)
def test_addition_is_a_module_over_numbers(a, b, c, k):
    def parts(form):
        return {s: v for s, v in form.parts.items() if v != 0}

    assert parts(a + b) == parts(b + a)
    assert parts((a + b) + c) == parts(a + (b + c))
    assert parts(k * (a + b)) == parts(k * a + k * b)
    assert parts(a - a) == {}


@given(forms, forms)
def test_operations_leave_their_operands_alone(a, b):
    before = dict(a.parts), dict(b.parts)
    for operation in (lambda: a + b, lambda: a - b, lambda: -a, lambda: 2 * a, lambda: a / 2, lambda: 1 - a):
        operation()
    assert (a.parts, b.parts) == before


def test_arrays_scale_forms_from_both_sides():
    """NumPy must not spread itself over a form: array * form is one form with array coefficients."""
    array = np.array([[1.0], [2.0]])
    for product in (array * AffineForm({"x": 3.0}), AffineForm({"x": 3.0}) * array):
        assert isinstance(product, AffineForm)
        assert product.parts["x"].tolist() == [[3.0], [6.0]]
    for added in (array + AffineForm({"x": 3.0}), AffineForm({"x": 3.0}) + array):
        assert added.parts["1"].tolist() == array.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x * x,
        lambda x: x / x,
        lambda x: 1 / x,
        lambda x: x**2,
        lambda x: exp(x),
        lambda x: abs(x),
        lambda x: np.sin(x),
        lambda x: np.ones(3) @ x,
    ],
    ids=["product", "quotient", "reciprocal", "power", "exponential", "modulus", "ufunc", "matrix"],
)
def test_what_is_not_affine_is_a_type_error(wrong):
    with pytest.raises(TypeError):
        wrong(AffineForm({"x": 1.0}))


def test_products_say_what_to_use_instead():
    x = AffineForm({"x": 1.0})
    with pytest.raises(TypeError, match="rmverify.sample"):
        x * x
    with pytest.raises(TypeError, match="rmverify.sample"):
        x / x


def test_a_step_that_is_not_affine_is_a_type_error_with_the_reason():
    def quadratic(x, t, h, score, draw):
        return x + h * score(t, x * x)

    def constant(x, t, h, score, draw):
        return h

    one = np.ones((1, 1, 1))
    with pytest.raises(TypeError, match="not affine"):
        read(quadratic, Modes(LAM, MEAN), one, one / 4)
    with pytest.raises(TypeError, match="instead of a state that is affine in x"):
        read(constant, Modes(LAM, MEAN), one, one / 4)


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=5))
def test_totals_and_prefixes_of_forms_are_those_of_their_coefficients(values):
    leading = np.array(values, dtype=float).reshape(-1, 1, 1, 1)
    form = AffineForm({"x": leading, "1": 1.0})
    assert np.ravel(total(form).parts["x"]).tolist() == [sum(values)]
    assert np.ravel(total(form).parts["1"]).tolist() == [len(values)]  # a constant counts once per stratum
    assert np.ravel(prefix(form).parts["x"]).tolist() == [sum(values[:i]) for i in range(len(values))]
    assert np.ravel(prefix(form).parts["1"]).tolist() == list(range(len(values)))


# --- transitions against hand-composed matrices -------------------------------------------------------------------


def entry(part, n, q, i, shape):
    return float(np.broadcast_to(np.asarray(part, dtype=float), shape)[n, q, i])


@EACH
def test_transitions_are_the_textbook_matrices(of, k):
    """Two steps, two paths of midpoints, three modes at once, against one 30-digit number at a time.

    The bound: a step is fewer than 64 operations on terms of at most e^h, h/v, 2h in size.
    """
    parameters = variants(of)[k]
    scheme = floats(of, parameters)
    t, h = np.array([0.9, 0.6]).reshape(-1, 1, 1), np.array([0.3, 0.2]).reshape(-1, 1, 1)
    alphas = midpoints(of, parameters, np.random.default_rng(5), 2, 2)
    found = read(scheme, Modes(LAM, MEAN), t, h, alphas)
    size = range(len(found.shift))
    shape = (2, 2, 3)
    with mp.workdps(30):
        exact = {n: p if isinstance(p, int) else mp.mpf(float(p)) for n, p in parameters.items()}
        for n, q, i in itertools.product(range(2), range(2), range(3)):
            level, length = mp.mpf(float(t[n, 0, 0])), mp.mpf(float(h[n, 0, 0]))
            rows = [] if alphas is None else [mp.mpf(float(a)) for a in alphas[:, n, q, 0]]
            lam, mean = mp.mpf(float(LAM[i])), mp.mpf(float(MEAN[i]))
            if of in textbook.PREDICTORS:
                score = textbook.gaussian_score(lam, mean)
                zero, one = (textbook.PREDICTORS[of](mp.mpf(x), level, length, rows, score, **exact) for x in (0, 1))
                A, b, C = mp.matrix([[one - zero]]), mp.matrix([zero]), mp.matrix(1, 1)
            else:
                v, m = 1 + (lam - 1) * mp.exp(-2 * level), mp.exp(-level) * mean
                A, b, C = textbook.CORRECTORS[of](length, rows, 1 / v, m, **exact)
            for r in size:
                assert abs(entry(found.shift[r], n, q, i, shape) - b[r]) < 64 * UNIT * 4
                for s in size:
                    assert abs(entry(found.linear[r][s], n, q, i, shape) - A[r, s]) < 64 * UNIT * 4
                    assert abs(entry(found.noise[r][s], n, q, i, shape) - C[r, s]) < 64 * UNIT * 4


@EACH
def test_shared_sources_make_noise_symmetric_and_positive(of, k):
    parameters = variants(of)[k]
    alphas = midpoints(of, parameters, np.random.default_rng(6), 1, 50)
    found = read(floats(of, parameters), Modes(LAM, MEAN), np.full((1, 1, 1), 1.0), np.full((1, 1, 1), 0.4), alphas)
    C = np.array([[np.broadcast_to(np.asarray(e, float), (1, 50, 3)) for e in row] for row in found.noise])
    assert np.array_equal(C, C.swapaxes(0, 1)) or np.abs(C - C.swapaxes(0, 1)).max() <= 8 * UNIT * np.abs(C).max()
    smallest = np.linalg.eigvalsh(np.moveaxis(C, (0, 1), (-2, -1)))[..., 0]
    assert (smallest >= -8 * UNIT).all()


# --- chains and composition ---------------------------------------------------------------------------------------


def random_transition(rng, steps, size):
    linear = rng.normal(size=(steps, size, size)) / 2
    root = rng.normal(size=(steps, size, size))
    shift, noise = rng.normal(size=(steps, size)), root @ root.swapaxes(1, 2)

    def nested(array):
        return tuple(tuple(array[:, i, j].reshape(-1, 1, 1) for j in range(size)) for i in range(size))

    return Transition(nested(linear), tuple(shift[:, i].reshape(-1, 1, 1) for i in range(size)), nested(noise)), (
        linear,
        shift,
        noise,
    )


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 8, 13, 31, 64, 100])
def test_the_tree_of_a_chain_is_the_loop(steps, size):
    transition, (L, b, C) = random_transition(np.random.default_rng(steps), steps, size)
    A, shift, noise = np.eye(size), np.zeros(size), np.zeros((size, size))
    scale = 1.0
    for n in range(steps):
        A, shift, noise = L[n] @ A, L[n] @ shift + b[n], L[n] @ noise @ L[n].T + C[n]
        scale = max(scale, np.abs(noise).max(), np.abs(shift).max())
    found = chain(transition, steps)
    for i in range(size):
        assert abs(found.shift[i].item() - shift[i]) < 1e-12 * scale
        for j in range(size):
            assert abs(found.linear[i][j].item() - A[i, j]) < 1e-12 * scale
            assert abs(found.noise[i][j].item() - noise[i, j]) < 1e-12 * scale


def test_composition_is_associative_and_keeps_absent_parts_absent():
    rng = np.random.default_rng(1)
    a, b, c = (random_transition(rng, 1, 2)[0] for _ in range(3))
    left, right = compose(compose(c, b), a), compose(c, compose(b, a))
    for p, q in zip(np.ravel(left.noise + left.linear), np.ravel(right.noise + right.linear), strict=True):
        assert abs(p - q) < 1e-12
    still = Transition(((np.ones((1, 1, 1)),),), (0,), ((0,),))
    both = compose(still, still)
    assert both.shift == (0,)
    assert both.noise == ((0,),)


def test_position_draws_the_velocity_fresh():
    A = ((np.full((1, 1), 2.0), np.full((1, 1), 3.0)), (np.ones((1, 1)), np.ones((1, 1))))
    C = ((np.full((1, 1), 5.0), 0), (0, np.ones((1, 1))))
    linear, shift, noise = position(Transition(A, (np.full((1, 1), 7.0), 0), C), 4)
    assert (linear[0][0].item(), shift[0].item(), noise[0][0].item()) == (2.0, 7.0, 5.0 + 9 * 4)


# --- a plan's law does not depend on how it is computed -----------------------------------------------------------

TARGET = rm.Gaussian.from_spectrum(LAM, [2, 1, 3], MEAN)
LEVELS = np.array([2.0, 1.7, 1.5, 1.2, 1.1, 1.0])


def near(p, q, steps):
    """Equal up to the rounding of two runs of this many steps, 16 operations a step."""
    assert np.abs(p.variances / q.variances - 1).max() <= 2 * 16 * steps * UNIT
    assert (np.abs(p.means - q.means) <= 2 * 16 * steps * UNIT * (1 + np.abs(q.means))).all()


@pytest.mark.parametrize("of, k", [(of, k) for of, k in VARIANTS if of not in KINETIC])
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_any_split_into_stages_gives_the_same_law(of, k, cut):
    """Of schemes without a velocity: a stage draws a fresh one, so that there a split is another algorithm."""
    parameters = variants(of)[k]
    scheme = floats(of, parameters)
    alphas = midpoints(of, parameters, np.random.default_rng(2), 5)
    rows = () if alphas is None else [alphas[:, n, 0, 0] for n in range(5)]
    whole = rm.Plan([stage(scheme, LEVELS)])
    if of in textbook.OVERDAMPED:
        split = rm.Plan([stage(scheme, LEVELS, cut), stage(scheme, LEVELS, 5 - cut)])
    else:
        split = rm.Plan([rm.Predict(scheme, LEVELS[: cut + 1]), rm.Predict(scheme, LEVELS[cut:])])
    near(rm.output_law(whole, TARGET, alphas=rows), rm.output_law(split, TARGET, alphas=rows), 5)


@EACH
def test_the_law_is_the_textbook_recursion(of, k):
    """All steps batched in a tree, against one Python loop over hand-composed 40-digit matrices per mode."""
    parameters = variants(of)[k]
    scheme = floats(of, parameters)
    alphas = midpoints(of, parameters, np.random.default_rng(3), 5)
    rows = () if alphas is None else [alphas[:, n, 0, 0] for n in range(5)]
    law = rm.output_law(rm.Plan([stage(scheme, LEVELS)]), TARGET, alphas=rows)
    for i in range(3):
        mean, variance = loop(of, parameters, i, rows)
        assert abs(law.variances[i] / variance - 1) <= 16 * 5 * UNIT
        assert abs(law.means[i] - mean) <= 16 * 5 * UNIT * (1 + abs(mean))


def loop(of, parameters, i, rows):
    """Mean and variance of x after five steps from N(0, 1), velocity N(0, mass)."""
    with mp.workdps(40):
        exact = {n: p if isinstance(p, int) else mp.mpf(float(p)) for n, p in parameters.items()}
        lam, mean = mp.mpf(float(LAM[i])), mp.mpf(float(MEAN[i]))
        m = mp.matrix([0, 0]) if of in KINETIC else mp.matrix([0])
        S = mp.diag([1, exact["mass"]]) if of in KINETIC else mp.matrix([[1]])
        for n in range(5):
            alphas = [mp.mpf(float(a)) for a in rows[n]] if len(rows) else []
            if of in textbook.PREDICTORS:
                t, h = mp.mpf(LEVELS[n]), mp.mpf(LEVELS[n]) - mp.mpf(LEVELS[n + 1])
                score = textbook.gaussian_score(lam, mean)
                zero, one = (textbook.PREDICTORS[of](mp.mpf(x), t, h, alphas, score, **exact) for x in (0, 1))
                A, b, C = mp.matrix([[one - zero]]), mp.matrix([zero]), mp.matrix(1, 1)
            else:
                v = 1 + (lam - 1) * mp.exp(-2)
                A, b, C = textbook.CORRECTORS[of](mp.mpf(0.1), alphas, 1 / v, mp.exp(-1) * mean, **exact)
            m, S = A * m + b, A * S * A.T + C
        return float(m[0]), float(S[0, 0])


@EACH
def test_one_step_at_a_time_is_all_steps_at_once(of, k):
    """Kinetic schemes keep their velocity: their single steps are composed with it."""
    parameters = variants(of)[k]
    scheme = floats(of, parameters)
    alphas = midpoints(of, parameters, np.random.default_rng(4), 5, 3)
    all_steps = stage(scheme, LEVELS)
    t, h = (values.reshape(-1, 1, 1) for values in all_steps.grid)
    modes = Modes(LAM, MEAN)
    batched = chain(read(scheme, modes, t, h, alphas), 5)
    single = None
    for n in range(5):
        one = read(scheme, modes, t[n : n + 1], h[n : n + 1], None if alphas is None else alphas[:, n : n + 1])
        single = one if single is None else compose(one, single)
    for a, b in zip(entries(batched), entries(single), strict=True):
        assert np.abs(np.asarray(a, float) - np.asarray(b, float)).max() <= 16 * 5 * UNIT * 8


def entries(transition):
    return [e for row in (*transition.linear, transition.shift, *transition.noise) for e in row]


def test_a_rotated_target_has_the_rotated_law():
    rng = np.random.default_rng(8)
    Q, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    lam, mean = np.array([0.25, 0.7, 2.0, 9.0]), np.array([1.0, -1.0, 0.5, 2.0])
    straight = rm.Gaussian(mean, lam)
    turned = rm.Gaussian(Q @ mean, (Q * lam) @ Q.T)
    kinetic = schemes.randomized_midpoint_langevin(friction=1.5, mass=0.5)
    plan = rm.Plan([rm.Predict(schemes.randomized_midpoint, [2.0, 1.5, 1.0]), rm.Correct(kinetic, 1.0, 0.2, 2)])
    given = [0.3, 0.8, 0.1, 0.6]
    for alphas in (given, None):
        a = rm.output_law(plan, straight, alphas=alphas)
        b = rm.output_law(plan, turned, alphas=alphas)
        # the eigenvalues of the turned matrix are known to d eps times the largest, relative to the smallest
        allowed = 64 * 4 * UNIT * lam.max() / lam.min()
        assert np.abs(b.mean - Q @ a.mean).max() <= allowed
        assert np.abs(b.covariance - Q @ a.covariance @ Q.T).max() <= allowed


# --- over balls, and the rounding estimate ------------------------------------------------------------------------


def balls(scheme, t, h, alphas, bits=200):
    """The chained transition over arb, composed one step after another; floats in, exactly."""
    modes = Modes(LAM, MEAN).lift(lift)
    result = None
    block = 50
    with flint.ctx.workprec(bits):
        for first in range(0, len(t), block):
            span = slice(first, first + block)
            rows = None if alphas is None else lift(alphas[:, span])
            piece = read(scheme, modes, lift(t[span]), lift(h[span]), rows, lift)
            piece = chain(piece, len(t[span]))
            result = piece if result is None else compose(piece, result)
    return result


@EACH
def test_floats_lie_in_the_balls(of, k):
    """The same law over balls of 200 bits: a float run differs from it by its rounding only."""
    parameters = variants(of)[k]
    scheme = floats(of, parameters)
    alphas = midpoints(of, parameters, np.random.default_rng(9), 5)
    t, h = (values.reshape(-1, 1, 1) for values in stage(scheme, LEVELS).grid)
    found = chain(read(scheme, Modes(LAM, MEAN), t, h, alphas), 5)
    due = balls(scheme, t, h, alphas)
    for a, b in zip(entries(found), entries(due), strict=True):
        shape = (1, 3)
        a, b = np.broadcast_to(np.asarray(a, float), shape), np.broadcast_to(np.asarray(b, dtype=object), shape)
        for value, ball in zip(a.ravel(), b.ravel(), strict=True):
            ball = flint.arb(ball)
            assert float(ball.rad()) < 1e-40
            assert abs(float((flint.arb(float(value)) - ball).mid())) <= 16 * 5 * UNIT * 8


ROUNDING = [
    (of, k, grid, steps)
    for of, k in VARIANTS
    for grid in ("uniform", "geometric")
    for steps in (10, 1000, 10_000)
    if of not in textbook.CORRECTORS or grid == "uniform"
    if k == 0 or steps < 10_000
]


# on a uniform grid every step repeats the same rounding, and at a few long steps e^h and the score's part cancel
ROUNDING += [("midpoint", 0, "uniform", n) for n in range(100, 400, 41)]  # 387 among them
ROUNDING += [
    (of, 0, "long steps", n)
    for of in ("exponential_integrator", "heun", "midpoint", "randomized_midpoint")
    for n in (1, 2, 3, 5)
]


def grid_levels(grid, steps):
    if grid == "long steps":
        return np.linspace(3.0, 0.4, steps + 1)
    return np.linspace(3.0, 0.05, steps + 1) if grid == "uniform" else np.geomspace(3.0, 0.05, steps + 1)


def rounding_ratio(of, k, grid, steps):
    """(largest true relative error of a variance over the law's own estimate of it, largest estimate)."""
    parameters = variants(of)[k]
    scheme = floats(of, parameters)
    levels = grid_levels(grid, steps)
    alphas = midpoints(of, parameters, np.random.default_rng(steps), steps)
    rows = () if alphas is None else [alphas[:, n, 0, 0] for n in range(steps)]
    work = rm.Correct(scheme, 0.5, 3.0 / steps, steps) if of in textbook.CORRECTORS else rm.Predict(scheme, levels)
    law = rm.output_law(rm.Plan([work]), TARGET, alphas=rows)
    t, h = (values.reshape(-1, 1, 1) for values in work.grid)
    due = position(balls(scheme, t, h, alphas), schemes.velocity_variance(scheme))
    (slope,), noise = due.linear[0], due.noise[0][0]
    errors = []
    with flint.ctx.workprec(200):
        for i in range(3):
            a = np.broadcast_to(slope, (1, 3))[0, i]
            c = np.broadcast_to(np.asarray(noise, dtype=object), (1, 3))[0, i]
            variance = a * a + c  # from N(0, 1)
            errors.append(abs(float((flint.arb(float(law.variances[i])) / variance - 1).mid())))
    ratio = max(error / estimate for error, estimate in zip(errors, law.rounding, strict=True))
    return ratio, float(law.rounding.max())


@pytest.mark.slow
@pytest.mark.parametrize("of, k, grid, steps", ROUNDING, ids=[f"{a}-{b}-{c}-{d}" for a, b, c, d in ROUNDING])
def test_the_rounding_estimate_covers_the_true_error(of, k, grid, steps):
    """Error of the variances in float64 against 200-bit balls. The step lengths are those of the floats' grid, so what
    is measured is arithmetic alone."""
    ratio, largest = rounding_ratio(of, k, grid, steps)
    assert 0 < largest < 1e-10
    assert ratio <= 1


@pytest.mark.parametrize("levels", [[1.0, 1e-20], [1.0, 0.1, 1e-13], [0.5, 3e-7], [2.0, 1e-9, 0.0]])
@pytest.mark.parametrize("of", ["heun", "ddpm"])
def test_levels_far_apart_are_known_to_no_more_digits_than_t_minus_h(of, levels):
    """On N(0, 1e-8), from N(0, 1), against the textbook's step down the levels themselves."""
    law = rm.output_law(rm.Plan([rm.Predict(getattr(schemes, of), levels)]), rm.Gaussian([0.0], [1e-8]))
    with mp.workdps(60):
        lam, due = mp.mpf(1e-8), mp.mpf(1)
        for t, after in itertools.pairwise(map(mp.mpf, levels)):
            v, v_after = (1 + (lam - 1) * mp.exp(-2 * s) for s in (t, after))
            h = t - after
            if of == "heun":
                slope = 1 - 1 / v
                due *= (1 + h / 2 * (slope + (1 + h * slope) * (1 - 1 / v_after))) ** 2
            else:  # x0 is estimated, and x_{t-h} drawn given it and x_t
                rest, kept = 1 - mp.exp(-2 * t), mp.exp(-2 * h)
                noise = (1 - kept) * (1 - mp.exp(-2 * after)) / rest
                due = due * ((1 - (1 - kept) / v) / mp.sqrt(kept)) ** 2 + noise
        off = abs(float(mp.log(mp.mpf(float(law.variances[0])) / due)))
    assert off <= law.rounding[0]


def test_the_estimate_grows_at_most_like_the_steps():
    short = rm.output_law(rm.Plan([rm.Predict(schemes.euler, np.linspace(2, 1, 11))]), TARGET)
    long = rm.output_law(rm.Plan([rm.Predict(schemes.euler, np.linspace(2, 1, 101))]), TARGET)
    assert (short.rounding < long.rounding).all()
    assert (long.rounding <= 10 * short.rounding).all()


@pytest.mark.parametrize("function", [np.tanh, abs, lambda x: x**2], ids=["tanh", "abs", "square"])
def test_a_function_of_the_state_is_refused_with_the_reason(function):
    def step(x, t, h, score, draw):
        return function(x)

    with pytest.raises(TypeError, match=r"not affine in its state.*rmverify.sample"):
        rm.output_law(rm.Plan([rm.Predict(step, [1.0, 0.5])]), TARGET)


@pytest.mark.parametrize("count", [4, 40])
def test_noises_of_cells_with_covariances_of_their_own(count):
    """x' = x + sum_j w_j, Var w_j = (j + 1) h: named, or refused where the cells are composed as a chain."""

    def step(x, t, h, score, draw):
        j = draw.cells(count)
        (w,) = draw.normal((((j + 1) * h,),), count=count)
        return x + 0 * score(t, x) + total(w)

    plan = rm.Plan([rm.Correct(step, 1.0, 0.1, 1)])
    if count > 16:
        with pytest.raises(ValueError, match="one covariance"):
            rm.output_law(plan, TARGET)
    else:
        law = rm.output_law(plan, TARGET, start=TARGET.with_modes(0.0, 0.0))
        np.testing.assert_allclose(law.variances, 0.1 * count * (count + 1) / 2, rtol=1e-14)
