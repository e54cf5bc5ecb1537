"""Code that nobody here wrote, read as a law: against closed forms, against the package's own affine reading, and
against code made to deceive it."""

from __future__ import annotations

import itertools
import math
import random
import tracemalloc

import mpmath
import numpy as np
import pytest
from mutants import samplers as mutants
from numpy.random import default_rng

from rmverify import EstimatedScore, Gaussian, Plan, Predict, Sampler, output_law, paths, sample, samplers, schemes, tv
from rmverify.samplers import models, probe

CUMPROD = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
DIAGONAL = Gaussian([0.5, 0.0, -1.0], [1.0, 0.1, 3.0])
DENSE = Gaussian([0.5, -1.0], [[1.5, 0.35], [0.35, 1.0]])
BLOCKS = Gaussian.from_spectrum([2.0, 0.5], [3, 10**12])


def close(law, variances, means, rtol=1e-12):
    np.testing.assert_allclose(law.variances, variances, rtol=rtol)
    np.testing.assert_allclose(law.means, means, rtol=rtol, atol=rtol)


# --- the same law in every clock and in every prediction --------------------------------------------------------------


def ratio_of(level):
    """sigma/alpha at an Ornstein-Uhlenbeck level."""
    return math.sqrt(math.expm1(2 * level))


def on_beta(r):
    return (-0.1 + math.sqrt(0.01 + 2 * 19.9 * math.log1p(r * r))) / 19.9


def on_timesteps(r):
    return float(np.interp(math.log(r), np.log((1 - CUMPROD) / CUMPROD) / 2, np.arange(1000)))


CLOCKS = {
    "OU": (paths.OU(), lambda r: math.log1p(r * r) / 2),
    "VE": (paths.VE(), lambda r: r),
    "flow": (paths.Flow(), lambda r: r / (1 + r)),
    "flow of 1000": (paths.Flow(scale=1000), lambda r: 1000 * r / (1 + r)),
    "VP of beta": (paths.VP(beta=(0.1, 20)), on_beta),
    "VP of timesteps": (paths.VP(CUMPROD), on_timesteps),
}


def score_from(predicts, answer, x, alpha, sigma):
    """The score of x_t from what a network predicts."""
    if predicts == "score":
        return answer
    if predicts == "x0":
        return (alpha * answer - x) / sigma**2
    if predicts == "v":
        answer = (alpha * answer + sigma * x) / (alpha**2 + sigma**2)
    if predicts == "flow":
        answer = (x + alpha * answer) / (alpha + sigma)
    return -answer / sigma


def driven(scheme, levels, path, clock, predicts):
    """A scheme of this package as a stranger's code: in its own scale, with a model of another clock and prediction."""

    def run(model, x, noise):
        def score(t, y):
            level = clock(ratio_of(t))
            alpha, sigma = path.at(level)
            size = math.hypot(alpha, sigma)
            return size * score_from(predicts, model(size * y, level), size * y, alpha, sigma)

        for t, s in itertools.pairwise(levels):
            x = scheme(x, t, t - s, score, None)
        return x

    return Sampler(run, path=path, predicts=predicts)


LEVELS = [1.7, 1.1, 0.6, 0.3, 0.1]
PREDICTORS = [schemes.euler, schemes.heun, schemes.midpoint, schemes.exponential_integrator]


def schemes_in_every_clock_and_prediction():
    turn = itertools.cycle((DIAGONAL, DENSE, BLOCKS, DENSE))
    for path, clock in CLOCKS.values():
        for scheme, predicts in itertools.product(PREDICTORS, models.PREDICTS):
            target = next(turn)
            law = output_law(Plan([Predict(scheme, LEVELS)]), target)
            read = output_law(driven(scheme, LEVELS, path, clock, predicts), target)
            close(read, law.variances, law.means)


RATIOS = [9.0, 4.0, 1.5, 0.4, 0.1]


def one_method_in_three_clocks():
    """DDIM on VP, Euler on VE and Euler on a flow, on matched levels, and the product of cosines."""

    def on_vp(model, x, noise):
        for r, s in itertools.pairwise(RATIOS):
            (a, b), (c, d) = ((1 / math.hypot(1, z), z / math.hypot(1, z)) for z in (r, s))
            eps = model(x, math.log1p(r * r) / 2)
            x = c * (x - b * eps) / a + d * eps
        return x * math.hypot(1, RATIOS[-1])

    def on_ve(model, x, noise):
        x = x * math.hypot(1, RATIOS[0])
        for r, s in itertools.pairwise(RATIOS):
            x = x + (s - r) * (x - model(x, r)) / r
        return x

    def on_flow(model, x, noise):
        x = x * math.hypot(1, RATIOS[0]) / (1 + RATIOS[0])
        for r, s in itertools.pairwise(RATIOS):
            t, u = r / (1 + r), s / (1 + s)
            x = x + (u - t) * model(x, t)
        return x * (1 + RATIOS[-1])

    for target in (DIAGONAL, DENSE):
        laws = [
            output_law(Sampler(on_vp, path=paths.OU(), predicts="eps"), target),
            output_law(Sampler(on_ve, path=paths.VE(), predicts="x0"), target),
            output_law(Sampler(on_flow, path=paths.Flow(), predicts="flow"), target),
        ]
        root, first, last = np.sqrt(target.variances), RATIOS[0], RATIOS[-1]
        angles = np.array([np.arctan(r / root) for r in RATIOS])
        exact_flow = np.sqrt((target.variances + last**2) / (target.variances + first**2))
        spread = math.hypot(1, first) * exact_flow * np.cos(np.diff(angles, axis=0)).prod(axis=0)
        for law in laws:
            close(law, spread**2, laws[0].means)


def ancestral_sampling_by_its_recursion():
    """DDPM's posterior variance, mode by mode in plain numbers."""
    steps = [999, 700, 400, 150, 20, 0]

    def run(model, x, noise):
        for t, s in zip(steps, [*steps[1:], None], strict=True):
            now, before = CUMPROD[t], 1.0 if s is None else CUMPROD[s]
            beta = 1 - now / before
            eps = model(x, t)
            x = (x - beta / math.sqrt(1 - now) * eps) / math.sqrt(1 - beta)
            if s is not None:
                x = x + math.sqrt(beta * (1 - before) / (1 - now)) * noise()
        return x

    reading = Sampler(run, path=paths.VP(CUMPROD), predicts="eps").read(DIAGONAL)
    mean, variance = np.zeros(3), np.ones(3)
    for t, s in zip(steps, [*steps[1:], None], strict=True):
        now, before = CUMPROD[t], 1.0 if s is None else CUMPROD[s]
        beta, marginal = 1 - now / before, now * DIAGONAL.variances + 1 - now
        gain = (1 - beta / marginal) / math.sqrt(1 - beta)
        mean = gain * mean + beta / marginal * math.sqrt(now) * DIAGONAL.means / math.sqrt(1 - beta)
        variance = gain**2 * variance
        if s is not None:
            variance = variance + beta * (1 - before) / (1 - now)
    close(reading.law(), variance, mean)
    assert (reading.draws, reading.evaluations) == (5, 6)
    assert [call.level for call in reading.calls] == steps


# --- the exact model --------------------------------------------------------------------------------------------------


def bayes(predicts, lam, mean, alpha, sigma, x):
    """E[prediction | alpha x0 + sigma eps = x], from the covariances with x."""
    marginal = alpha**2 * lam + sigma**2
    off = x - alpha * mean
    x0, eps = mean + alpha * lam / marginal * off, sigma / marginal * off
    return {"score": -off / marginal, "eps": eps, "x0": x0, "v": alpha * eps - sigma * x0, "flow": eps - x0}[predicts]


def predictions_are_conditional_expectations():
    for path, clock in CLOCKS.values():
        for r in (0.05, 1.0, 7.0):
            alpha, sigma = path.at(clock(r))
            for predicts in models.PREDICTS:
                gain, shift = models.exact_model(DIAGONAL, path, predicts)(clock(r))
                for x in (-1.0, 2.5):
                    due = bayes(predicts, DIAGONAL.variances, DIAGONAL.means, alpha, sigma, x)
                    np.testing.assert_allclose(gain * x + shift, due, rtol=1e-12, atol=1e-13)


def estimates_predict_by_tweedie():
    """A score with a gain and a bias, in the scale of OU, is a score of x_t; x0 = (x + sigma^2 s)/alpha, and so on."""
    gain, bias = 0.3, np.array([0.1, -0.2, 0.4])
    target = EstimatedScore(DIAGONAL, gain=gain, bias=bias)
    for path, clock in CLOCKS.values():
        for r in (0.05, 1.0, 7.0):
            alpha, sigma = path.at(clock(r))
            size = math.hypot(alpha, sigma)
            x = np.array([1.0, -2.0, 0.5])
            true = -(x - alpha * DIAGONAL.means) / (alpha**2 * DIAGONAL.variances + sigma**2)
            score = (1 + gain) * true + bias / size
            x0, eps = (x + sigma**2 * score) / alpha, -sigma * score
            dues = {"score": score, "eps": eps, "x0": x0, "v": alpha * eps - sigma * x0, "flow": eps - x0}
            for predicts, due in dues.items():
                a, b = models.exact_model(target, path, predicts)(clock(r))
                np.testing.assert_allclose(a * x + b, due, rtol=1e-11, atol=1e-12)


def estimates_through_a_scheme():
    """A bias that is a function of the level is one of the level of OU, whatever the clock."""
    target = EstimatedScore(DIAGONAL, gain=0.2, bias=lambda t: 0.1 * t)
    law = output_law(Plan([Predict(schemes.heun, LEVELS)]), target)
    for path, clock in CLOCKS.values():
        for predicts in models.PREDICTS:
            read = output_law(driven(schemes.heun, LEVELS, path, clock, predicts), target)
            close(read, law.variances, law.means, rtol=1e-11)


def pure_noise_and_the_data_are_levels():
    lam, mean, x = DIAGONAL.variances, DIAGONAL.means, 1.5
    for path, t in ((paths.VP([0.9, 0.0]), 1), (paths.Flow(), 1.0), (paths.OU(), math.inf)):  # alpha = 0, sigma = 1
        dues = {"score": -x, "eps": x, "x0": mean, "v": -mean, "flow": x - mean}
        for predicts, due in dues.items():
            gain, shift = models.exact_model(DIAGONAL, path, predicts)(t)
            np.testing.assert_allclose(gain * x + shift, np.broadcast_to(due, 3), rtol=1e-15)
            same = models.exact_model(EstimatedScore(DIAGONAL), path, predicts)(t)
            np.testing.assert_allclose(same[0] * x + same[1], np.broadcast_to(due, 3), rtol=1e-15)
    for predicts, due in {"score": 0.0, "eps": 0.0, "x0": mean, "flow": -mean}.items():  # alpha = 1, sigma = inf
        gain, shift = models.exact_model(DIAGONAL, paths.VE(), predicts)(math.inf)
        np.testing.assert_allclose(gain * x + shift, np.broadcast_to(due, 3), atol=0)
    for path, t in ((paths.VE(), 0.0), (paths.Flow(), 0.0), (paths.OU(), 0.0)):  # alpha = 1, sigma = 0
        dues = {"score": -(x - mean) / lam, "eps": 0.0, "x0": x, "v": 0.0, "flow": -x}
        for predicts, due in dues.items():
            gain, shift = models.exact_model(DIAGONAL, path, predicts)(t)
            np.testing.assert_allclose(gain * x + shift, np.broadcast_to(due, 3), rtol=1e-15, atol=1e-15)


def directions_without_spread():
    """lam = 0: the data are their mean; at sigma = 0 only the score has no value."""
    flat = Gaussian([2.0], [0.0])
    for predicts in models.PREDICTS:
        gain, shift = models.exact_model(flat, paths.VE(), predicts)(0.5)
        assert (gain * 3.0 + shift)[0] == pytest.approx(bayes(predicts, 0.0, 2.0, 1.0, 0.5, 3.0))
    for predicts, due in {"eps": 0.0, "x0": 2.0, "v": 0.0, "flow": -2.0}.items():
        gain, shift = models.exact_model(flat, paths.VE(), predicts)(0.0)
        assert (gain[0], shift[0]) == (0.0, due)
    with pytest.raises(ValueError, match="has no score prediction at t = 0"):
        models.exact_model(flat, paths.VE(), "score")(0.0)


def an_estimate_without_a_value_is_refused():
    target = EstimatedScore(DIAGONAL, gain=0.1)
    with pytest.raises(ValueError, match="nothing is left of the data"):
        models.exact_model(target, paths.Flow(), "x0")(1.0)
    gain, shift = models.exact_model(target, paths.Flow(), "eps")(1.0)
    assert (gain.tolist(), shift.tolist()) == ([1.1] * 3, [0.0] * 3)


# --- the reading ------------------------------------------------------------------------------------------------------

SIGMAS = [20.0, 8.0, 3.0, 1.0, 0.3, 0.05, 0.0]


def euler(model, x, noise):
    """Of the probability flow, with x0 predicted, on VE."""
    x = x * SIGMAS[0]
    for s, u in itertools.pairwise(SIGMAS):
        x = x + (u - s) * (x - model(x, s)) / s
    return x


def ancestral(model, x, noise):
    x = x * SIGMAS[0]
    for s, u in itertools.pairwise(SIGMAS):
        x = x + (u * u / s - s) * (x - model(x, s)) / s
        if u:
            x = x + u / s * math.sqrt(s * s - u * u) * noise()
    return x


def on_ve(run, **options):
    return Sampler(run, **({"path": paths.VE(), "predicts": "x0"} | options))


def chunks_of_rows_are_one_reading():
    whole = on_ve(ancestral).read(DENSE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "_MEMORY", 8 * 2 * 3)  # two rows of the basis at a time
        for coordinates in (False, True):
            cut = on_ve(ancestral, coordinates=coordinates).read(DENSE)
            close(cut.law(), whole.law().variances, whole.law().means)
            for mine, other in zip(cut.calls, whole.calls, strict=True):
                noise = np.diag(other.noise) if coordinates else other.noise
                np.testing.assert_allclose(mine.noise, noise, atol=1e-12)
                np.testing.assert_allclose(mine.moments()[1], other.moments()[1], rtol=1e-12)


def coordinates_and_modes_agree():
    for target in (DIAGONAL, DENSE, Gaussian.from_spectrum([2.0, 0.5], [3, 2]).with_modes([2.0, 0.5], [1.0, -1.0])):
        modes, full = (on_ve(ancestral, coordinates=c).read(target) for c in (False, True))
        assert (modes.in_coordinates, full.in_coordinates) == (False, True)
        np.testing.assert_allclose(modes.law().covariance, full.law().covariance, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(modes.law().mean, full.law().mean, rtol=1e-12, atol=1e-13)


def starts():
    """From N(0, I), from the start with which the first call is exact, and from any Gaussian in the modes."""
    reading = on_ve(ancestral).read(DIAGONAL)
    due = (DIAGONAL.variances + 400) / 400
    center, spread = reading.start("exact")
    np.testing.assert_allclose(spread, due, rtol=1e-13)
    np.testing.assert_allclose(center, DIAGONAL.means / 20, rtol=1e-13)
    exact = DIAGONAL.with_modes(due, DIAGONAL.means / 20)
    close(reading.law("exact"), reading.law(exact).variances, reading.law(exact).means)
    first = reading.input_law(0, "exact")
    close(first, DIAGONAL.variances + 400, DIAGONAL.means)
    full = on_ve(ancestral, coordinates=True).read(DENSE)
    modes = on_ve(ancestral).read(DENSE)
    np.testing.assert_allclose(full.law("exact").covariance, modes.law("exact").covariance, rtol=1e-12)
    np.testing.assert_allclose(full.law("exact").mean, modes.law("exact").mean, rtol=1e-12)
    for early in (lambda model, x, noise: model(x + 2 * noise(), 1.0), lambda model, x, noise: model(0 * x, 1.0)):
        for coordinates in (False, True):
            with pytest.raises(ValueError, match="start: no start"):
                on_ve(early, coordinates=coordinates).read(DENSE.with_modes([0.0, 0.0], 0.0)).start("exact")
    with pytest.raises(ValueError, match="start: expected 'normal', 'exact' or a Gaussian, got 'noise'"):
        reading.law("noise")
    with pytest.raises(ValueError, match="start: expected"):
        reading.law(Gaussian([0.0], [1.0]))


def what_calls_are_handed():
    """One ancestral step from the exact marginal: gain and noise of its textbook."""
    reading = on_ve(ancestral).read(DIAGONAL)
    law, s, u, lam = reading.input_law(1, "exact"), 20.0, 8.0, DIAGONAL.variances
    gain = 1 + (u * u / s - s) / s * (s * s / (lam + s * s))
    close(law, gain**2 * (lam + s * s) + (u / s) ** 2 * (s * s - u * u), DIAGONAL.means)
    assert reading.calls[1].level == 8.0


def inputs_of_code_that_mixes_coordinates():
    """Steps with a matrix correlate coordinates that the data do not, through the state and through their draws."""
    turn, matrix = np.array([[0.8, -0.6], [0.6, 0.8]]), np.array([[1.0, 0.4], [-0.2, 0.7]])

    def run(model, x, noise):
        x = 8 * x
        for s, u in ((8.0, 3.0), (3.0, 1.0)):
            x = x + (u - s) / s * (x - model(x, s)) @ matrix.T + 0.3 * u * noise() @ matrix
        return model(x, 1.0)

    for C in (np.diag([0.5, 2.0]), turn @ np.diag([0.5, 2.0]) @ turn.T):
        target = Gaussian([1.0, -0.5], C)
        for start, mean, S in (("exact", target.mean, C + 64 * np.eye(2)), ("normal", np.zeros(2), 64 * np.eye(2))):
            for s, u in ((8.0, 3.0), (3.0, 1.0)):
                left = s * s * np.linalg.inv(C + s * s * np.eye(2))  # x - E[x_0 | x] = left (x - m)
                F = np.eye(2) + (u - s) / s * matrix @ left
                mean = mean + (F - np.eye(2)) @ (mean - target.mean)
                S = F @ S @ F.T + (0.3 * u) ** 2 * matrix.T @ matrix
            law = on_ve(run).read(target).input_law(2, start)
            np.testing.assert_allclose(law.covariance, S, rtol=1e-12)
            np.testing.assert_allclose(law.mean, mean, rtol=1e-12, atol=1e-12)


def an_end_that_is_not_the_data():
    reading = on_ve(euler, end=0.5).read(DIAGONAL)
    close(reading.wanted, DIAGONAL.variances + 0.25, DIAGONAL.means)
    close(on_ve(euler).read(DIAGONAL).wanted, DIAGONAL.variances, DIAGONAL.means)


def matrices_are_read_in_coordinates():
    """A preconditioner on a correlated target, one step from N(0, I), in plain matrices."""
    scale = np.array([0.2, 2.0])

    def run(model, x, noise):
        return x + scale * model(x, 1.0) + np.sqrt(scale) * noise()

    inverse = np.linalg.inv(DENSE.covariance + np.eye(2))
    for target, A, b in (
        (DENSE, np.eye(2) - np.diag(scale) @ inverse, np.diag(scale) @ inverse @ DENSE.mean),
        (Gaussian.isotropic(1.0, 2), np.eye(2) - np.diag(scale) / 2, np.zeros(2)),
    ):
        reading = Sampler(run, path=paths.VE()).read(target)
        assert reading.in_coordinates
        np.testing.assert_allclose(reading.law().covariance, A @ A.T + np.diag(scale), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(reading.law().mean, b, rtol=1e-12, atol=1e-15)


def code_that_knows_the_dimension():
    """A step that depends on the number of coordinates is read with as many columns, or refused."""

    def run(model, x, noise):
        return x.shape[-1] ** -0.5 * model(x, 1.0)

    for dim in (1, 2, 3, 100, 1024, 4000):
        law = on_ve(run).read(Gaussian.isotropic(1.0, dim)).law()
        np.testing.assert_allclose(law.variances, 0.25 / dim, rtol=1e-13)
    with pytest.raises(samplers.NotAffine, match="up to dimension 512"):
        on_ve(run).read(Gaussian.isotropic(1.0, 10**6))


def rows_of_their_own_levels_and_doubled_batches():
    def levels(model, x, noise):
        return model(x, np.full((len(x), 1), 1.0))

    def doubled(model, x, noise):
        two = model(np.concatenate([x, x]), 1.0)
        return two[: len(x)] + 2 * (two[len(x) :] - two[: len(x)])

    def once(model, x, noise):
        return model(x, 1.0)

    due = (DIAGONAL.variances / (DIAGONAL.variances + 1)) ** 2
    for run, evaluations in ((levels, 1), (doubled, 2), (once, 1)):
        reading = on_ve(run).read(DIAGONAL)
        close(reading.law(), due, DIAGONAL.means / (DIAGONAL.variances + 1))
        assert reading.evaluations == evaluations


def arrays_that_it_is_handed_are_its_own():
    """Draws and answers may be worked on in place; x may not."""

    def run(model, x, noise):
        z = noise()
        z *= 2
        answer = model(x, 1.0)
        answer += z
        return answer

    lam = DIAGONAL.variances
    close(on_ve(run).read(DIAGONAL).law(), (lam / (lam + 1)) ** 2 + 4, DIAGONAL.means / (lam + 1))


def a_reading_does_not_depend_on_scale():
    for scale in (1e-24, 1e-12, 1e12, 1e24):
        lam = scale * DIAGONAL.variances

        def run(model, x, noise, variance=scale):
            s = math.sqrt(variance)
            return model(s * x, s) + s * noise()

        reading = on_ve(run).read(Gaussian(0 * lam, lam))
        close(reading.law(), scale * ((DIAGONAL.variances / (DIAGONAL.variances + 1)) ** 2 + 1), np.zeros(3))
        assert reading.residual < 1e-14


def truth(lam, mean, noisy):
    """Mean and variance of `euler` or `ancestral` in 60 digits."""
    lam, mean, shift, variance = mpmath.mpf(lam), mpmath.mpf(mean), mpmath.mpf(0), mpmath.mpf(SIGMAS[0]) ** 2
    for s, u in itertools.pairwise(SIGMAS):
        s, u = mpmath.mpf(s), mpmath.mpf(u)
        c = ((u * u / s if noisy else u) - s) / s
        gain = 1 + c * s * s / (lam + s * s)
        shift, variance = gain * shift - c * mean * s * s / (lam + s * s), gain**2 * variance
        if noisy and u:
            variance += (u / s) ** 2 * (s * s - u * u)
    return shift, variance


def stated_errors_hold():
    """Against 60 digits: float64 and real float32 code, far scales, means far beyond the spread."""
    with mpmath.workdps(60):
        for run, noisy in ((euler, False), (ancestral, True)):
            for like, epsilon in ((np.zeros(1), 2.0**-52), (np.zeros(1, np.float32), 2.0**-23)):
                for lam in (1e-6, 1.0, 1e6, 1e12):
                    for mean in (0.0, 1.0, 1e3, 1e8):
                        try:
                            law = on_ve(run, like=like).read(Gaussian([mean], [lam])).law()
                        except samplers.Unreadable as error:
                            assert "its spread is lost beside a mean" in str(error)  # noqa: PT017
                            assert epsilon * mean > 0.01 * math.sqrt(lam)
                            continue
                        shift, variance = truth(lam, mean, noisy)
                        off = max(
                            abs(law.variances[0] / variance - 1), abs(law.means[0] - shift) / mpmath.sqrt(variance)
                        )
                        assert off <= law.rounding[0]


def hidden_bends_are_in_the_stated_error():
    """x + eps sin x passes below the tolerance; its variance is E(x + eps sin x)^2, and the difference is stated."""
    eps = 1e-6

    def run(model, x, noise):
        x = model(x, 1.0) + noise()
        return x + eps * np.sin(x)

    target = Gaussian([0.0], [1.0])
    law = on_ve(run).read(target).law()
    v = 1.25
    true = v + 2 * eps * v * math.exp(-v / 2) + eps**2 * (1 - math.exp(-2 * v)) / 2  # E x sin x = v exp(-v/2)
    assert abs(law.variances[0] / true - 1) <= law.rounding[0]
    assert law.rounding[0] < 1e-4


def hidden_mixing_is_in_the_stated_error():
    """y + eps s s^T y for signs s has (1 + eps d)^2 times the variance of y along s; a coordinate tells eps d^1/2."""
    signs = np.random.default_rng(3).choice([-1.0, 1.0], 900)

    def run(model, x, noise):
        y = model(x, 1.0) + noise()
        return y + eps * np.outer(y @ signs[: y.shape[1]], signs[: y.shape[1]])

    for dim, eps in ((400, 1e-8), (400, 1e-6), (900, 1e-8)):
        reading = on_ve(run).read(Gaussian.isotropic(1.0, dim))
        law = reading.law()
        if reading.in_coordinates:
            assert law.variances.max() / 1.25 == pytest.approx((1 + eps * dim) ** 2, rel=1e-12)
        else:
            assert (1 + eps * dim) ** 2 - 1 <= law.rounding[0] < 1e-2


def float32_inside_is_in_the_stated_error():
    def run(model, x, noise):
        return euler(model, x, noise).astype(np.float32).astype(np.float64)

    reading, law = on_ve(run).read(DIAGONAL), on_ve(euler).read(DIAGONAL).law()
    assert 1e-9 < reading.residual < 1e-6
    assert (np.abs(reading.law().variances / law.variances - 1) <= reading.law().rounding).all()


def a_constant_is_a_point():
    """One step from pure noise, x0 of which nothing but the mean is known, is no rounding: a point, read as one."""

    def run(model, x, noise):
        return model(x, 1.0)

    law = Sampler(run, path=paths.Flow(), predicts="x0").read(DIAGONAL).law()
    close(law, np.zeros(3), DIAGONAL.means)
    assert float(tv(law, DIAGONAL)) == 1.0


# --- code made to deceive ---------------------------------------------------------------------------------------------


def clipped(model, x, noise):
    return np.clip(euler(model, x, noise), -1, 1)


def dead_zone(model, x, noise):
    x = euler(model, x, noise)
    return np.where(np.abs(x) < 0.01, 0, x)


def normed(model, x, noise):
    return x + model(x, 1.0) / np.linalg.norm(x, axis=1, keepdims=True)


def centred_over_the_batch(model, x, noise):
    x = euler(model, x, noise)
    return x - x.mean(axis=0)


def adaptive(model, x, noise):
    return x + 0.1 / (1 + np.abs(x).max()) * model(x, 1.0)


def by_the_size_of_the_batch(model, x, noise):
    return euler(model, x, noise) * (2 if len(x) > 7 else 1)


def a_row_of_its_own(model, x, noise):
    x = euler(model, x, noise).copy()
    x[2:3] *= 2
    return x


def the_first_row(model, x, noise):
    x = euler(model, x, noise).copy()
    x[0] = 0
    return x


def the_last_row(model, x, noise):
    x = euler(model, x, noise).copy()
    x[-1] *= 2
    return x


def noise_scaled_by_a_value(model, x, noise):
    return euler(model, x, noise) + np.abs(x) * noise()


def an_accepted_step(model, x, noise):
    y = x + 0.1 * model(x, 1.0)
    return np.where((y**2).sum(axis=1, keepdims=True) < 3, y, x)


def whole_numbers(model, x, noise):
    return model(x.round(), 1.0)


def half_precision(model, x, noise):
    return model(x.astype(np.float16), 1.0).astype(np.float64)


def at_levels_by_value(model, x, noise):
    return model(x, 1 + x[:, 0] ** 2)


def quadratic_and_tiny(model, x, noise):
    return x + model(x, 1.0) + 1e-6 * x**2


NOT_AFFINE = [
    (clipped, "came back clipped at 1"),
    (dead_zone, "relative misfit"),
    (normed, None),
    (centred_over_the_batch, "rows of its batch influence each other"),
    (adaptive, None),
    (by_the_size_of_the_batch, None),
    (a_row_of_its_own, "relative misfit"),
    (the_first_row, None),
    (the_last_row, None),
    (noise_scaled_by_a_value, "relative misfit"),
    (an_accepted_step, "relative misfit"),
    (whole_numbers, "relative misfit"),
    (half_precision, "relative misfit"),
    (at_levels_by_value, "relative misfit"),
    (quadratic_and_tiny, "though only for numbers a thousand times those of a draw"),
]


def what_is_not_affine():
    for run, message in NOT_AFFINE:
        for target in (DIAGONAL, DENSE, Gaussian([0.3], [2.0])):
            if run is normed:
                with pytest.raises(samplers.NotFinite, match=r"row 0 \(that of zeros: is there a norm"):
                    on_ve(run).read(target)
            else:
                with pytest.raises(samplers.NotAffine, match=message):
                    on_ve(run).read(target)
    with pytest.raises(samplers.NotAffine, match="clip_sample=True"):
        on_ve(clipped, hint="diffusers: clip_sample=True").read(DIAGONAL)


def columns_of_their_own_on_many_dimensions():
    """Ten coordinates set to 0 are none of a million, and not all of them."""

    def masked(model, x, noise):
        x = euler(model, x, noise).copy()
        x[:, :10] = 0
        return x

    with pytest.raises(samplers.NotAffine, match="if it mixes coordinates, or has a coefficient for each"):
        on_ve(masked).read(Gaussian.isotropic(1.0, 10**6))
    law = on_ve(masked).read(Gaussian.isotropic(1.0, 12)).law()
    assert np.count_nonzero(np.diagonal(law.covariance)) == 2


def random_numbers_of_its_own():
    generator, old = np.random.default_rng(5), np.random.RandomState(5)
    for draw, message in (
        (lambda x: np.random.default_rng(0).standard_normal(x.shape[1:]), "numpy.random.default_rng"),
        (lambda x: np.random.default_rng(0).standard_normal(x.shape), "numpy.random.default_rng"),
        (lambda x: np.random.RandomState(0).randn(*x.shape[1:]), "numpy.random.RandomState"),
        (lambda x: np.random.standard_normal(x.shape), "numpy.random.standard_normal"),  # noqa: NPY002
        (lambda x: np.random.seed(0), "numpy.random.seed"),  # noqa: NPY002
        (lambda x: default_rng(0).standard_normal(x.shape[1:]), "numpy.random.default_rng"),
        (lambda x: np.random.Generator(np.random.PCG64(0)).standard_normal(x.shape[1:]), "numpy.random.PCG64"),
        (lambda x: random.seed(0) or random.gauss(0, 1), "random.seed"),
        (lambda x: generator.standard_normal(x.shape), "two runs on the same numbers differ"),
        (lambda x: generator.standard_normal(x.shape[1:]), "two runs on the same numbers differ"),
        (lambda x: old.standard_normal((1, x.shape[1])), "two runs on the same numbers differ"),
    ):
        with pytest.raises(samplers.Unreadable, match=message):
            on_ve(lambda model, x, noise, draw=draw: model(x, 1.0) + draw(x)).read(DIAGONAL)
    assert isinstance(default_rng(0), np.random.Generator)  # and all is as before
    assert isinstance(old, np.random.RandomState)


def draws_of_another_kind():
    for draw, message in (
        (lambda noise, x: noise.uniform(size=x.shape), "it draws uniform numbers"),
        (lambda noise, x: noise.random(x.shape), "it draws random numbers"),
        (lambda noise, x: noise.standard_normal(x.shape[1:]), r"\(3,\) \(one draw for all particles\?\)"),
        (lambda noise, x: noise.standard_normal((1, 3)), r"\(1, 3\) \(one draw for all particles\?\)"),
        (lambda noise, x: noise.standard_normal(), r"shape \(\)"),
        (lambda noise, x: noise.normal(np.zeros(3), 1.0), "one draw for all"),
        (lambda noise, x: noise((1, 3)), "one draw for all"),
        (lambda noise, x: noise(shape=x.shape[1:]), "one draw for all"),
    ):
        with pytest.raises(samplers.Unreadable, match=message):
            on_ve(lambda model, x, noise, draw=draw: model(x, 1.0) + draw(noise, x)).read(DIAGONAL)


def one_row_for_all():
    """What particles share is in no law of one of them, and must not pass for the row of zeros that a reading has."""
    for shared in (lambda x, z: z[0], lambda x, z: z[:1], lambda x, z: z[-1], lambda x, z: x[0], lambda x, z: x[-1:]):
        for target in (DIAGONAL, DENSE):
            run = lambda model, x, noise, shared=shared: model(x, 1.0) + 0.1 * shared(x, noise())  # noqa: E731
            with pytest.raises(samplers.NotAffine, match="rows of its batch influence each other"):
                on_ve(run).read(target)


def the_noise_as_a_generator():
    lam = DIAGONAL.variances
    for draw in (
        lambda noise, x: 2 * noise(),
        lambda noise, x: 2 * noise(x, 3.0, sigma=1),
        lambda noise, x: 2 * noise(x.shape),
        lambda noise, x: 2 * noise.standard_normal(x.shape),
        lambda noise, x: noise.normal(0, 2, x.shape),
        lambda noise, x: noise.normal(np.zeros_like(x), 2),
        lambda noise, x: 2 * noise.randn(*x.shape),
    ):
        reading = on_ve(lambda model, x, noise, draw=draw: model(x, 1.0) + draw(noise, x)).read(DIAGONAL)
        close(reading.law(), (lam / (lam + 1)) ** 2 + 4, DIAGONAL.means / (lam + 1))
        assert reading.draws == 1


def noise_that_is_used_twice():
    def run(model, x, noise):
        z = noise()
        return model(x, 1.0) + z + 2 * z

    lam = DIAGONAL.variances
    np.testing.assert_allclose(on_ve(run).read(DIAGONAL).law().variances, (lam / (lam + 1)) ** 2 + 9, rtol=1e-13)


def state_between_runs():
    kept: list = []

    def counting(model, x, noise):
        kept.append(1)
        return model(x, 1.0) * len(kept)

    def caching(model, x, noise, cache={}):  # noqa: B006
        cache.setdefault("z", noise() if not cache else None)
        return model(x, 1.0)

    def stale(model, x, noise, cache=[]):  # noqa: B006
        cache.append(x)
        return model(x, 1.0) + cache[0]

    for run, message in (
        (counting, "two runs on the same numbers differ"),
        (caching, "1 draws and 1 evaluations in one run, and 0 draws and 1 evaluations in the next"),
        (stale, "not so with another number of rows: does it keep state between runs"),
    ):
        for target in (DIAGONAL, Gaussian.isotropic(1.0, 1000)):
            kept.clear()
            with pytest.raises(samplers.Unreadable, match=message):
                on_ve(run).read(target)
            caching.__defaults__[0].clear()
            stale.__defaults__[0].clear()


def broken_rules():
    def in_place(model, x, noise):
        x *= 20
        return model(x, 20.0)

    for run, message in (
        (lambda model, x, noise: x, "it never calls the model"),
        (lambda model, x, noise: model(x, 1.0)[:, 0], r"the shape of x, \(.*, 3\), got shape \(\d+,\)"),
        (lambda model, x, noise: (model(x, 1.0), 3), "the shape of x, .* got a tuple"),
        (lambda model, x, noise: model(x, 1.0) and None, "it raised ValueError: The truth value"),
        (lambda model, x, noise: model(x, 1.0).tolist(), "got a list"),
        (lambda model, x, noise: model(x[:3], 1.0), "the model to be handed all rows of x at once"),
        (lambda model, x, noise: model(x.tolist(), 1.0), "the model to be handed an array like x, got a list"),
        (lambda model, x, noise: model(x, [1.0, 2.0]), "one level t, or one for each row, got 2 of them"),
        (lambda model, x, noise: model(x, None), "asked at a level of its path, got None"),
        (lambda model, x, noise: model(x), r"TypeError: .*model\(\) missing 1 required positional argument: 't'"),
        (lambda model, x, noise: model(x, -1.0), "model call 0: t: expected a level of Path.VE"),
        (lambda model, x, noise: model(x, math.nan), "model call 0 was at level NaN"),
        (lambda model, x, noise: model(x * math.nan, 1.0), "model call 0, at level 1, was handed NaN"),
        (lambda model, x, noise: model(x, 1.0) / 0, "it returned NaN or infinity in every row"),
        (lambda model, x, noise: {}["missing"], r"it raised KeyError: 'missing' \(test_samplers.py, line \d+\)$"),
        (lambda model, x, noise: model(x, 1.0).astype(np.float16), "expected float64, the dtype of x, got float16"),
        (in_place, "it changes x in place"),
    ):
        with pytest.raises(samplers.Unreadable, match=message):
            on_ve(run).read(DIAGONAL)
    with pytest.raises(samplers.NotFinite) as caught:
        on_ve(lambda model, x, noise: model(model(x, 1.0) * math.inf, 2.0)).read(DIAGONAL)
    assert caught.value.call == 1
    with pytest.raises(samplers.Unreadable, match="at most 1 draws, as draws= says, but it asks for another"):
        on_ve(lambda model, x, noise: model(x, 1.0) + noise() + noise(), draws=1).read(DIAGONAL)
    assert on_ve(ancestral, draws=5).read(DIAGONAL).draws == 5
    with pytest.raises(samplers.Unreadable, match="the exact model has no score prediction at t = "):
        Sampler(lambda model, x, noise: model(x, 0.0), path=paths.VE()).read(Gaussian([0.0], [0.0]))


def float32_code_is_read_in_float32():
    kinds = []

    def run(model, x, noise):
        kinds.append(str(x.dtype))
        return euler(model, x, noise).astype(np.float32)

    assert on_ve(run).read(DIAGONAL).dtype == "float32"
    assert kinds[-1] == "float32"
    assert on_ve(euler, like=np.zeros(1, np.float32)).read(DIAGONAL).dtype == "float32"
    assert on_ve(euler).read(DIAGONAL, dtype="float32").dtype == "float32"
    assert on_ve(euler).read(DIAGONAL).dtype == "float64"


def real_draws():
    """Means and variances of 4000 draws within five standard errors, draws of one seed alike, in any dimension."""
    sampler, n = on_ve(ancestral), 4000
    law, drawn = output_law(sampler, DENSE), sample(sampler, DENSE, n, rng=1)
    root = np.linalg.cholesky(law.covariance)
    white = np.linalg.solve(root, (drawn - law.mean).T)
    assert (np.abs(white.mean(axis=1)) < 5 / math.sqrt(n)).all()
    assert (np.abs(np.cov(white) - np.eye(2)) < 5 * math.sqrt(2 / n)).all()
    np.testing.assert_array_equal(drawn, sample(sampler, DENSE, n, rng=1))
    assert not np.array_equal(drawn, sample(sampler, DENSE, n, rng=2))
    assert sample(on_ve(ancestral, shape=(-1, 1, 1)), Gaussian.isotropic(1.0, 2000), 3, rng=0).shape == (3, 2000, 1, 1)


FACTS = {
    f.__name__: f
    for f in (
        schemes_in_every_clock_and_prediction,
        one_method_in_three_clocks,
        ancestral_sampling_by_its_recursion,
        predictions_are_conditional_expectations,
        estimates_predict_by_tweedie,
        estimates_through_a_scheme,
        pure_noise_and_the_data_are_levels,
        directions_without_spread,
        an_estimate_without_a_value_is_refused,
        chunks_of_rows_are_one_reading,
        coordinates_and_modes_agree,
        starts,
        what_calls_are_handed,
        inputs_of_code_that_mixes_coordinates,
        an_end_that_is_not_the_data,
        matrices_are_read_in_coordinates,
        code_that_knows_the_dimension,
        rows_of_their_own_levels_and_doubled_batches,
        arrays_that_it_is_handed_are_its_own,
        a_reading_does_not_depend_on_scale,
        stated_errors_hold,
        hidden_bends_are_in_the_stated_error,
        hidden_mixing_is_in_the_stated_error,
        float32_inside_is_in_the_stated_error,
        a_constant_is_a_point,
        what_is_not_affine,
        columns_of_their_own_on_many_dimensions,
        random_numbers_of_its_own,
        draws_of_another_kind,
        one_row_for_all,
        the_noise_as_a_generator,
        noise_that_is_used_twice,
        state_between_runs,
        broken_rules,
        float32_code_is_read_in_float32,
        real_draws,
    )
}


@pytest.mark.parametrize("name", FACTS)
def test_samplers(name):
    FACTS[name]()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": 3}, r"run: expected a function run\(model, x, noise\), got int"),
        ({"path": "VE"}, "path: expected a Path"),
        ({"predicts": "noise"}, "predicts: expected one of score, eps, x0, v, flow, got 'noise'"),
        ({"shape": (3, -1, 1)}, r"shape: expected a tuple of one -1.*got \(3, -1, 1\)"),
        ({"shape": (-1, -1)}, "shape: expected"),
        ({"shape": -1}, "shape: expected"),
        ({"end": -1.0}, "t: expected a level"),
        ({"draws": 1.5}, "draws: expected an integer"),
        ({"draws": -1}, "draws: expected an integer"),
    ],
)
def test_arguments_of_a_sampler(options, message):
    with pytest.raises(ValueError, match=message):
        Sampler(**({"run": euler, "path": paths.VE()} | options))


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ("tensorflow", "like: expected 'numpy', 'torch', 'jax' or an array"),
        (3, "like: expected 'numpy'"),
        (np.zeros(1, np.float16), "like: expected an array of float64 or float32"),
        (np.zeros(1, int), "like: expected an array of float64 or float32"),
    ],
)
def test_what_x_cannot_be_like(like, message):
    with pytest.raises(ValueError, match=message):
        on_ve(euler, like=like).read(DIAGONAL)


def test_targets_without_an_exact_model():
    with pytest.raises(TypeError, match="needs a Gaussian, an EstimatedScore or a Guided, got"):
        on_ve(euler).read(object())


def test_coordinates_have_a_limit():
    with pytest.raises(ValueError, match="coordinates: expected a target of dimension up to 512"):
        on_ve(euler, coordinates=True).read(Gaussian.isotropic(1.0, 513))


def test_the_reading_says_what_it_saw():
    reading = on_ve(ancestral, name="ancestral").read(DENSE)
    assert "Sampler(ancestral, Path(VE, levels 0 to inf), predicts='x0'), evaluations=6, draws=5" in repr(reading)


def test_sampling_without_a_dimension():
    with pytest.raises(ValueError, match="dim: expected the dimension of x, got None, and a score"):
        sample(Plan([Predict(schemes.euler, [1.0, 0.5])]), lambda t, x: -x, 3)
    with pytest.raises(ValueError, match="plan: expected a Plan or a Sampler"):
        sample("plan", DIAGONAL, 3)


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def torch_run(step):
    """Three model calls on VE, each followed by a step of the code."""
    torch = pytest.importorskip("torch")

    def run(model, x, noise):
        for s in (3.0, 2.0, 1.0):
            x = step(torch, model(x, s))
        return x

    return on_ve(run, like="torch")


def fresh(torch, x):
    return x + torch.randn_like(x)


def with_a_generator(torch, x, generator=None):
    generator = torch.Generator().manual_seed(7) if generator is None else generator
    return x + torch.randn(x.shape, generator=generator, dtype=x.dtype)


def seeded_anew(torch, x):
    torch.manual_seed(0)
    return x + torch.randn(x.shape, dtype=x.dtype)


def filled(torch, x):
    return x + torch.empty_like(x).normal_(0, 1)


def normal(torch, x):
    return torch.normal(x, 1.0)


def distribution(torch, x):
    return torch.distributions.Normal(x, 1.0).sample()


@pytest.mark.parametrize(
    ("step", "draws"),
    [(fresh, 3), (filled, 3), (normal, 3), (distribution, 3), (with_a_generator, 1), (seeded_anew, 1)],
)
def test_torch_draws_are_told_by_the_state_of_their_generator(step, draws):
    """Noise of a generator that is seeded anew in every step is one draw, added three times."""
    sampler = torch_run(step)
    reading = sampler.read(DIAGONAL)
    gains = [DIAGONAL.variances / (DIAGONAL.variances + s * s) for s in (3.0, 2.0, 1.0)]
    weights = [gains[1] * gains[2], gains[2], np.ones(3)]
    noise = sum(w**2 for w in weights) if draws == 3 else sum(weights) ** 2
    np.testing.assert_allclose(reading.law().variances, np.prod(gains, axis=0) ** 2 + noise, rtol=1e-12)
    assert (reading.draws, reading.dtype) == (draws, "float64")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda torch, x: x + torch.randn(1, x.shape[1], dtype=x.dtype), "one draw for all particles"),
        (lambda torch, x: x + torch.rand_like(x), "it draws by torch.rand_like"),
        (lambda torch, x: x + torch.empty_like(x).uniform_(), "it draws by Tensor.uniform_"),
        (lambda torch, x: torch.nn.functional.dropout(x, 0.5), "two runs on the same numbers differ"),
        (lambda torch, x: x * torch.rrelu(-torch.ones(x.shape[1]), training=True), "two runs on the same numbers"),
        (lambda torch, x: torch.normal(x, x.abs()), "relative misfit"),
        (lambda torch, x: x.clamp(-1, 1), "relative misfit|clipped"),
        (lambda torch, x: x.numpy() if isinstance(x, torch.Tensor) else x, "expected a Tensor like x, got a ndarray"),
        (lambda torch, x: x.half().double(), "relative misfit"),
    ],
)
def test_torch_code_that_is_refused(step, message):
    with pytest.raises(samplers.Unreadable, match=message):
        torch_run(step).read(DIAGONAL)


def test_torchs_own_generator_is_left_as_it_was():
    torch = pytest.importorskip("torch")
    before = torch.random.get_rng_state()
    torch_run(fresh).read(DIAGONAL)
    assert torch.equal(before, torch.random.get_rng_state())
    assert sample(torch_run(seeded_anew), DIAGONAL, 5, rng=0).shape == (5, 3)


def test_torch_in_float32():
    torch = pytest.importorskip("torch")
    sampler = on_ve(euler, like=torch.zeros(1))
    reading, law = sampler.read(DIAGONAL), on_ve(euler).read(DIAGONAL).law()
    assert reading.dtype == "float32"
    assert sampler.read(DIAGONAL, dtype="float64").dtype == "float64"
    assert (np.abs(reading.law().variances / law.variances - 1) <= reading.law().rounding).all()


@pytest.mark.slow
def test_a_thousand_ancestral_steps_fit_in_memory():
    """1000 draws on 256 modes: counted in bytes and in numbers worked on, not by the clock."""
    worked = [0]

    def run(model, x, noise):
        for t in range(999, -1, -1):
            now, before = CUMPROD[t], CUMPROD[t - 1] if t else 1.0
            beta = 1 - now / before
            x = (x - beta / math.sqrt(1 - now) * model(x, t)) / math.sqrt(1 - beta)
            worked[0] += x.size
            if t:
                x = x + math.sqrt(beta * (1 - before) / (1 - now)) * noise()
        return x

    target = Gaussian(np.zeros(256), np.geomspace(0.01, 4, 256))
    tracemalloc.start()
    reading = Sampler(run, path=paths.VP(CUMPROD), predicts="eps").read(target)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**26
    assert worked[0] < 1.02 * 1000 * 1000 * 256 + 1000 * 2 * probe._NUMBERS
    assert (reading.draws, reading.evaluations) == (999, 1000)
    assert float(tv(reading.law("exact").with_modes(reading.law("exact").variances, 0.0), target)) < 1


@pytest.mark.parametrize("mutant", mutants.SAMPLERS, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch):
    fact = FACTS[mutant.killed_by]
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, LookupError, TypeError, ValueError, Warning, pytest.fail.Exception)):
        fact()
