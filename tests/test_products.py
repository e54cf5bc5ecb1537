"""Divergences between densities on the line, and total variation of their products, against closed forms, mpmath, sums
of losses convolved plainly, privacy accounting, and simulation."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from oracles.densities import DENSITIES
from scipy import special

import rmverify as rm
from rmverify import Product
from rmverify.divergences.products import _SPREADING, _on_line
from rmverify.targets import ExponentialGaussian, LaplaceGaussian, SkewNormal, TwoGaussians, UniformGaussian

NAMES = {TwoGaussians: "two", SkewNormal: "skew", UniformGaussian: "uniform", LaplaceGaussian: "laplace",
         ExponentialGaussian: "exponential"}  # fmt: skip
PAIRS = [
    ((TwoGaussians, 2.0, 1.0), (TwoGaussians, 2.1, 1.0)),
    ((SkewNormal, 3.0, 0.0, 1.0), (SkewNormal, 2.5, 0.1, 1.0)),
    ((UniformGaussian, 1.0, 0.01), (UniformGaussian, 1.1, 0.01)),
    ((LaplaceGaussian, 1.0, 0.25), (LaplaceGaussian, 1.2, 0.2)),
    ((ExponentialGaussian, 1.0, 0.25), (ExponentialGaussian, 1.25, 0.5)),
    ((ExponentialGaussian, 1.0, 0.25), (SkewNormal, 2.0, 0.0, 1.5)),
    ((TwoGaussians, 1.5, 1.0), (TwoGaussians, 1.5 + 2.0**-30, 1.0)),  # close: TV ~ 4e-10
    ((LaplaceGaussian, 1.0, 0.25), (LaplaceGaussian, 1.0, 0.25 + 2.0**-40)),
]
IDS = ["two", "skew", "uniform", "laplace", "exponential", "different", "close", "closer"]


def made(law):
    return law[0](*law[1:])


def density(law):
    return DENSITIES[NAMES[law[0]]](0, *map(mp.mpf, law[1:]))


def pieces(p, q, count):
    """Of 36 deviations to both sides of both."""
    low = min(law.mean - 36 * math.sqrt(law.variance) for law in (p, q))
    high = max(law.mean + 36 * math.sqrt(law.variance) for law in (p, q))
    return [mp.mpf(low) + (mp.mpf(high) - low) * k / count for k in range(count + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("one, other", PAIRS, ids=IDS)
def test_divergences_of_two_densities(one, other):
    """By Gauss-Legendre on many pieces in 40 digits, total variation cut where the densities cross."""
    p, q = made(one), made(other)
    with mp.workdps(40):
        P, Q = density(one), density(other)
        edges = pieces(p, q, 160)
        gaps = [P(x) - Q(x) for x in edges]
        cuts = [edges[0]]
        for (a, b), (left, right) in zip(itertools.pairwise(edges), itertools.pairwise(gaps), strict=True):
            if left * right < 0:
                cuts.append(mp.findroot(lambda x: P(x) - Q(x), (a, b), solver="anderson", tol=1e-60))
            cuts.append(b)
        rule = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(3, 140)
        tv = kl = square = chi = renyi = mp.mpf(0)
        for a, b in itertools.pairwise(cuts):
            values = [(w, P(x), Q(x)) for x, w in (((a + b) / 2 + x * (b - a) / 2, w * (b - a) / 2) for x, w in rule)]
            tv += abs(sum(w * (f - g) for w, f, g in values)) / 2
            kl += sum(w * (f * mp.log(f / g) - f + g) for w, f, g in values)
            square += sum(w * (mp.sqrt(f) - mp.sqrt(g)) ** 2 for w, f, g in values) / 2
            renyi += sum(w * (mp.sqrt(mp.sqrt(f)) * mp.sqrt(mp.sqrt(g)) ** 3 - f / 4 - 3 * g / 4) for w, f, g in values)
            chi += sum(w * (f - g) ** 2 / g for w, f, g in values)
        due = {rm.tv: tv, rm.kl: kl, rm.hellinger: mp.sqrt(square)}
        for divergence, exact in due.items():
            found = divergence(p, q)
            assert found.kind == "exact"
            assert abs(mp.mpf(float(found)) - exact) <= 1e-11 * exact, divergence.__name__
            assert found.error <= 1e-10 * float(exact)
        assert rm.renyi(p, q, 0.25) == pytest.approx(float(mp.log1p(renyi) / mp.mpf(-0.75)), rel=1e-11)
        if chi < 100:  # else it may be infinite
            assert rm.chi2(p, q) == pytest.approx(float(chi), rel=1e-10)


def test_tails_that_are_too_heavy_make_chi_squared_infinite():
    """Exponential tails of lengths 1 and 0.4: p^2/q grows like e^{-2x + x/0.4}, and the other way falls."""
    longer, shorter = ExponentialGaussian(1.0, 0.25), ExponentialGaussian(0.4, 0.25)
    assert rm.chi2(longer, shorter) == math.inf
    assert math.isfinite(rm.chi2(shorter, longer))


@pytest.mark.parametrize("shift", [1e-9, 0.01, 1.0, 6.0, 14.0])
def test_a_shift_on_the_line(shift):
    """SkewNormal(0) is normal: TV = erf(a/(2 sqrt 2)), and 1 - TV = erfc of it to its own relative accuracy."""
    found = rm.tv(SkewNormal(0.0, shift), SkewNormal(0.0, 0.0))
    assert float(found) == pytest.approx(math.erf(shift / math.sqrt(8)), rel=1e-13)
    assert found.complement == pytest.approx(math.erfc(shift / math.sqrt(8)), rel=1e-10)
    assert rm.kl(SkewNormal(0.0, shift), SkewNormal(0.0, 0.0)) == pytest.approx(shift**2 / 2, rel=1e-12)
    assert rm.renyi(SkewNormal(0.0, shift), SkewNormal(0.0, 0.0), 3) == pytest.approx(1.5 * shift**2, rel=1e-11)


# ------------------------------------------------------------------- products

SIZES = [1, 2, 3, 10, 30, 1000, 10**6, 10**12]


@pytest.mark.parametrize("tv", [1e-8, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-8])
@pytest.mark.parametrize("d", SIZES)
def test_a_shift_of_every_coordinate(d, tv):
    """TV = erf(a sqrt(d/8)) from 1e-8 to 1 - 1e-8, both ends to a relative 1e-9."""
    b = float(special.erfinv(tv)) if tv < 0.9 else float(special.erfcinv(1 - tv))
    a = b * math.sqrt(8 / d)
    found = rm.tv(Product(SkewNormal(0.0, a), d), Product(SkewNormal(0.0, 0.0), d))
    assert found.kind == "exact"
    due, rest = math.erf(a * math.sqrt(d / 8)), math.erfc(a * math.sqrt(d / 8))
    assert abs(found - due) <= 1e-9 * due
    assert abs(found.complement - rest) <= 1e-9 * rest
    assert abs(found - due) <= found.error + 1e-15


@pytest.mark.parametrize(
    "d, v", [(2, 1.5), (3, 0.2), (7, 1.01), (64, 1.3), (1000, 0.97), (100_000, 1.0001), (10, 40.0)]
)
@pytest.mark.slow
def test_another_variance_of_every_coordinate(d, v):
    """Between N(0, I) and N(0, v I) the likelihood ratio is a function of |x|^2."""
    found = rm.tv(Product(TwoGaussians(0.0, v), d), Product(TwoGaussians(0.0, 1.0), d))
    with mp.workdps(30):
        edge = d * mp.log(v) * v / (mp.mpf(v) - 1)
        due = abs(mp.gammainc(mp.mpf(d) / 2, 0, edge / 2, regularized=True)
                  - mp.gammainc(mp.mpf(d) / 2, 0, edge / v / 2, regularized=True))  # fmt: skip
    assert abs(found - float(due)) <= 1e-9 * float(due)
    assert abs(found - float(due)) <= found.error + 1e-15


@pytest.mark.slow
@pytest.mark.parametrize("one, other, d, reach", [
    ((TwoGaussians, 1.5, 1.0), (TwoGaussians, 1.5 + 1e-6, 1.0), 10**12, 16),
    ((UniformGaussian, 1.0, 0.04), (UniformGaussian, 1.0 + 1e-5, 0.04), 10**9, 20),
    ((SkewNormal, 3.0, 0.0, 1.0), (SkewNormal, 3.0 + 1e-3, 0.0, 1.0), 10**7, 30),
], ids=["two", "uniform", "skew"])  # fmt: skip
def test_many_coordinates_that_hardly_differ(one, other, d, reach):
    """1 - TV = (1/2pi) int BC(1/2 + iu)^d/(1/4 + u^2) du by the trapezoidal rule, BC by Gauss nodes, in 40 digits."""
    p, q = made(one), made(other)
    with mp.workdps(40):
        P, Q = density(one), density(other)
        low, high = (p.mean + side * reach * math.sqrt(p.variance) for side in (-1, 1))
        rule = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(3, 140)
        count, points = 56, []
        half = (mp.mpf(high) - low) / count / 2
        for k in range(count):
            points += [(half * w, mp.mpf(low) + half * (2 * k + 1 + x)) for x, w in rule]
        at = [(w, P(x), Q(x)) for w, x in points]
        at = [(w, f, g) for w, f, g in at if f > mp.mpf(10) ** -35]
        base = [(w * mp.sqrt(f * g), mp.log(f / g)) for w, f, g in at]
        sigma = mp.sqrt(d * sum(b * l * l for b, l in base))
        h, total = mp.mpf("0.12"), mp.mpf(0)  # the poles at +-i/2 make e^{-pi/h} of an error
        for k in range(int(9 / sigma / h) + 1):
            bc = sum(b * mp.expj(k * h * l) for b, l in base)
            total += (1 if k else mp.mpf(1) / 2) * (bc**d).real / (mp.mpf(1) / 4 + (k * h) ** 2)
        rest = float(total * h / mp.pi)
    found = rm.tv(Product(p, d), Product(q, d))
    assert 0.05 < found < 0.95
    assert abs(found.complement - rest) <= 1e-9 * rest
    assert abs(found - (1 - rest)) <= 1e-9 * found


@pytest.mark.parametrize("shift", [0.05, 1.0])
def test_two_coordinates_by_a_double_integral(shift):
    """A shift of a log-concave law: the loss rises, and {l(x) + l(y) > 0} is {y > g(x)}."""
    p, q = SkewNormal(3.0, shift), SkewNormal(3.0, 0.0)

    def log(x, location):
        z = x - location
        return -z * z / 2 + special.log_ndtr(3 * z)

    def loss(x):
        return log(x, shift) - log(x, 0.0)

    def survival(x, location):  # of the skew normal, by Owen's T
        z = x - location
        return 1 - (special.ndtr(z) - 2 * special.owens_t(z, 3.0))

    edges, (nodes, weights) = np.linspace(-4, 9 + shift, 400), np.polynomial.legendre.leggauss(12)
    half = np.diff(edges) / 2
    x = ((edges[:-1] + half)[:, None] + half[:, None] * nodes).ravel()
    w = (half[:, None] * weights).ravel()
    low, high = np.full_like(x, -60.0), np.full_like(x, 60.0)
    for _ in range(200):  # l(y) = -l(x)
        middle = (low + high) / 2
        low, high = np.where(loss(middle) < -loss(x), middle, low), np.where(loss(middle) < -loss(x), high, middle)
    chance = [float((w * 2 / math.sqrt(2 * math.pi) * np.exp(log(x, m))) @ survival(high, m)) for m in (shift, 0.0)]
    found = rm.tv(Product(p, 2), Product(q, 2))
    assert found == pytest.approx(chance[0] - chance[1], abs=1e-11)
    assert found.error < 1e-10


def exponential(scale, variance):
    """ln p and the distribution function of the exponentially modified Gaussian."""
    s = math.sqrt(variance)
    k = s / scale

    def log(x):
        return k * k / 2 - k * x / s + special.log_ndtr(x / s - k) - math.log(scale)

    return log, lambda x: special.ndtr(x / s) - scale * np.exp(log(x))


def laplace(scale, variance):
    log, below = exponential(scale, variance)
    return lambda x: np.logaddexp(log(x), log(-x)) - math.log(2), lambda x: (below(x) + 1 - below(-x)) / 2


def peaks(d, variance):
    s, constant = math.sqrt(variance), math.log(8 * math.pi * variance) / 2
    return (
        lambda x: np.logaddexp(-((x / s - d) ** 2) / 2, -((x / s + d) ** 2) / 2) - constant,
        lambda x: (special.ndtr(x / s - d) + special.ndtr(x / s + d)) / 2,
    )


def skew(alpha, location, scale):
    constant = math.log(scale * math.sqrt(math.pi / 2))
    return (
        lambda x: special.log_ndtr(alpha * (x - location) / scale) - ((x - location) / scale) ** 2 / 2 - constant,
        lambda x: special.ndtr((x - location) / scale) - 2 * special.owens_t((x - location) / scale, alpha),
    )


def bisect(f, low, high):
    """Where the increasing f passes 0, elementwise."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = np.where(f(middle) < 0, middle, low), np.where(f(middle) < 0, high, middle)
    return (low + high) / 2


def tv_of_two(p, q, reach, parts):
    """P^2(A) - Q^2(A), A = {l(x) + l(y) > 0}: for every x the y are intervals between the turns of l, x by the
    tanh-sinh rule between the places where these change in number."""
    (log_p, P), (log_q, Q) = p, q

    def loss(x):
        return log_p(x) - log_q(x)

    grid = np.linspace(-reach, reach, 8001)
    rise = np.diff(loss(grid))
    rise = np.sign(rise) * (np.abs(rise) > 1e-11)  # where l levels off it turns by rounding only
    turns = []
    for k in np.flatnonzero(rise[1:] * rise[:-1] < 0):
        low, high = grid[k], grid[k + 2]
        for _ in range(60):  # thirds: as flat as a turn is, it is known to the root of the rounding
            a, b = (2 * low + high) / 3, (low + 2 * high) / 3
            low, high = (a, high) if rise[k] * loss(a) < rise[k] * loss(b) else (low, b)
        turns.append((low + high) / 2)
    ends = [-reach, *turns, reach]

    def crossings(level):
        """Of l through -level, on every piece, where it is monotone; beyond its values an end of the piece."""
        for a, b in itertools.pairwise(ends):
            up = 1 if loss(b) > loss(a) else -1
            yield a, b, up, bisect(lambda y, up=up: up * (loss(y) + level), np.full_like(level, a), b)

    def gap(x):
        masses = [np.zeros_like(x), np.zeros_like(x)]
        for a, b, up, y in crossings(loss(x)):
            for k, below in enumerate((P, Q)):
                masses[k] += below(b) - below(y) if up > 0 else below(y) - below(a)
        return np.exp(log_p(x)) * masses[0] - np.exp(log_q(x)) * masses[1]

    changes = {float(y) for turn in ends for *_, y in crossings(loss(np.array(turn)))}
    edges = np.unique(np.concatenate([np.linspace(a, b, parts + 1) for a, b in itertools.pairwise(
        sorted(changes | set(ends)))]))  # fmt: skip
    edges = edges[np.append(True, np.diff(edges) > 1e-12)]
    u = np.linspace(-3.2, 3.2, 100)
    x, w = np.tanh(math.pi / 2 * np.sinh(u)), np.cosh(u) / np.cosh(math.pi / 2 * np.sinh(u)) ** 2
    half = np.diff(edges)[:, None] / 2
    at = (edges[:-1, None] + half * (1 + x)).ravel()
    return float((half * w).ravel() @ gap(at)) * math.pi / 2 * (u[1] - u[0])


@pytest.mark.slow
@pytest.mark.parametrize("one, other, reach", [
    ((LaplaceGaussian, 1.0, 0.25), (TwoGaussians, 1.5, 1.0), 38.0),  # l turns at three places
    ((ExponentialGaussian, 1.0, 0.4), (ExponentialGaussian, 1.0, 0.25), 60.0),  # and levels off
    ((ExponentialGaussian, 1.0, 0.25), (SkewNormal, 2.0, 0.0, 1.3), 60.0),
    ((TwoGaussians, 1.5, 1.7), (TwoGaussians, 1.5, 1.0), 38.0),
], ids=["turns", "levels", "different", "peaks"])  # fmt: skip
def test_two_coordinates_whose_losses_turn(one, other, reach):
    """The sum of two losses has a singularity wherever two turns add up, some of them close to 0."""
    plain = {TwoGaussians: peaks, SkewNormal: skew, LaplaceGaussian: laplace, ExponentialGaussian: exponential}
    p, q = (plain[law[0]](*law[1:]) for law in (one, other))
    due, again = (tv_of_two(p, q, reach, parts) for parts in (6, 8))
    assert abs(due - again) < 1e-14
    found = rm.tv(Product(made(one), 2), Product(made(other), 2))
    assert abs(found - due) <= 1e-9 * due
    assert abs(found - due) <= found.error + 1e-14


def test_sums_of_waves():
    """By a spread grid and a fast transform, against the plain sum; the sizes are those of the windows."""
    rng = np.random.default_rng(3)
    for count, h in ((3, 0.07), (500, 0.07), (20_000, 0.02)):
        loss, weight = 20 * rng.standard_normal(40), rng.random(40)
        k = np.unique(np.geomspace(1, count, 60).astype(int))
        with mp.workdps(30):
            phase = [[float(mp.fmod(int(m) * mp.mpf(h) * mp.mpf(l), 2 * mp.pi)) for l in loss] for m in k]
        due = np.exp(1j * np.array(phase)) @ weight
        found = _on_line(loss, weight, h, count)
        assert found.size == count + 1
        assert (np.abs(found[k] - due) <= (_SPREADING + 2.0**-50 * k) * weight.sum()).all()


def losses(p, q, width, count):
    """The law of the loss under p and under q on a grid, the loss rounded down and rounded up."""
    x = np.linspace(p.mean - 12 * math.sqrt(p.variance), p.mean + 12 * math.sqrt(p.variance), 2_000_001)
    log_p, log_q = p.log_density(0, x), q.log_density(0, x)
    mass_p, mass_q = (np.exp(log) * (x[1] - x[0]) for log in (log_p, log_q))
    for rounded in (np.floor, np.ceil):
        place = np.clip(rounded((log_p - log_q) / width).astype(int), -count // 2, count // 2 - 1) + count // 2
        yield np.bincount(place, mass_p, count), np.bincount(place, mass_q, count)


PLD = (LaplaceGaussian(1.0, 0.25), LaplaceGaussian(1.15, 0.25), 24)


@pytest.mark.slow
def test_losses_convolved_plainly():
    """TV = E_p (1 - e^{-l})^+ of the sum of d losses, each rounded up and down to a grid, by FFT: above and below."""
    p, q, d = PLD
    width, count = 2e-4, 1 << 18
    bounds = []
    for of_p, _ in losses(p, q, width, count):
        total = np.fft.irfft(np.fft.rfft(np.fft.ifftshift(of_p), count) ** d, count)
        place = np.fft.ifftshift(np.arange(-count // 2, count // 2))
        bounds.append(float((total * -np.expm1(-np.maximum(place * width, 0))).sum()))
    found = rm.tv(Product(p, d), Product(q, d))
    assert bounds[0] - 1e-9 < found < bounds[1] + 1e-9
    assert bounds[1] - bounds[0] < 2 * d * width
    assert found.error < 1e-9 * found


def test_privacy_accounting_at_epsilon_0():
    """dp_accounting's pessimistic and optimistic losses, composed: delta(0) above and below."""
    pld = pytest.importorskip("dp_accounting.pld.privacy_loss_distribution", reason="dp-accounting")
    p, q, d = PLD
    x = np.linspace(p.mean - 12 * math.sqrt(p.variance), p.mean + 12 * math.sqrt(p.variance), 400_001)
    middle = (x[1:] + x[:-1]) / 2
    laws = [dict(enumerate((law.log_density(0, middle) + math.log(x[1] - x[0])).tolist())) for law in (q, p)]
    above, below = (
        pld.from_two_probability_mass_functions(
            *laws, pessimistic_estimate=pessimistic, value_discretization_interval=1e-4
        ).self_compose(d).get_delta_for_epsilon(0.0)
        for pessimistic in (True, False)
    )  # fmt: skip
    found = rm.tv(Product(p, d), Product(q, d))
    assert below - 1e-8 < found < above + 1e-8
    assert above - below < 2 * d * 1e-4


@pytest.mark.slow
def test_products_by_simulation():
    """TV = P(l > 0) - Q(l > 0), each by 2 10^5 draws: five standard errors."""
    p, q, n = Product(ExponentialGaussian(1.0, 0.25), 12), Product(ExponentialGaussian(1.2, 0.3), 12), 200_000
    hits = [law.sample(n, rng=k) for k, law in enumerate((p, q))]
    a, b = (float(np.mean(p.log_density(0, x) > q.log_density(0, x))) for x in hits)
    found = rm.tv(p, q)
    assert abs(found - (a - b)) < 5 * math.sqrt((a * (1 - a) + b * (1 - b)) / n)
    assert rm.hellinger(p, q) ** 2 <= found <= rm.hellinger(p, q) * math.sqrt(2)


def test_moments_of_products_add_or_multiply():
    p, q = LaplaceGaussian(1.0, 0.25), LaplaceGaussian(1.1, 0.25)
    many = Product(p, 7), Product(q, 7)
    assert rm.kl(*many) == pytest.approx(7 * float(rm.kl(p, q)), rel=1e-13)
    assert rm.renyi(*many, 0.5) == pytest.approx(7 * float(rm.renyi(p, q, 0.5)), rel=1e-12)
    assert rm.chi2(*many) == pytest.approx((1 + float(rm.chi2(p, q))) ** 7 - 1, rel=1e-11)
    assert 1 - rm.hellinger(*many) ** 2 == pytest.approx((1 - float(rm.hellinger(p, q)) ** 2) ** 7, rel=1e-12)


def test_the_same_laws_are_at_0():
    for p in (UniformGaussian(1.0, 0.1), Product(SkewNormal(2.0), 10**12)):
        assert rm.tv(p, p) == rm.kl(p, p) == rm.hellinger(p, p) == 0


def test_laws_that_are_far_apart():
    found = rm.tv(Product(SkewNormal(3.0), 10**12), Product(SkewNormal(3.0, 1.0), 10**12))
    assert (float(found), found.complement) == (1.0, 0.0)
    # min(p, q) of two peaks at +-30 beside one at 0: they cross at x = 15 + ln 2/30
    cross = 15 + math.log(2) / 30
    rest = rm.tv(TwoGaussians(30.0, 1.0), TwoGaussians(0.0, 1.0)).complement
    assert rest == pytest.approx(2 * special.ndtr(-cross) + special.ndtr(cross - 30), rel=1e-9)


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("p, q, error, words", [
    (Product(SkewNormal(1.0), 2), Product(SkewNormal(1.0), 3), ValueError, "^q: expected .*dimension 2 .*got dim"),
    (SkewNormal(1.0), rm.Gaussian.isotropic(1.0, 2), TypeError, "^q: cannot compare a SkewNormal with a 2-dim"),
    (3.0, SkewNormal(1.0), TypeError, "^p: expected a Gaussian, a law on the line .* got float"),
])  # fmt: skip
@pytest.mark.parametrize("divergence", [rm.tv, rm.kl, rm.hellinger, rm.chi2])
def test_laws_that_do_not_go_together_are_refused(p, q, error, words, divergence):
    with pytest.raises(error, match=words):
        divergence(p, q)


def test_orders_that_make_no_sense_are_refused():
    for order in (0, -1, math.nan):
        with pytest.raises(ValueError, match=r"^order: expected"):
            rm.renyi(SkewNormal(1.0), SkewNormal(2.0), order)
    assert rm.renyi(SkewNormal(1.0), SkewNormal(2.0), 1) == rm.kl(SkewNormal(1.0), SkewNormal(2.0))
