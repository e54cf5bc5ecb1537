r"""What E measures: errors in closed form over balls, at N where stepping cannot go, and over every spectrum at once.

W_2^2 is a sum over modes, and so are the squares of the bounds of E1, E2 and E4, up to factors that all modes share:
sum w_i/sum b_i <= max w_i/b_i. The largest ratio over all spectra is therefore that of one mode beside one of
lambda_max, a function of two numbers, which branch and bound encloses.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat, fmpq, fmpq_mat

from rmverify.claims.evidence import Evidence, Finding, Look
from rmverify.claims.looks.constants import leading_constants
from rmverify.claims.looks.measure import residuals, romberg, spectrum
from rmverify.elementary import exp, expm1, sqrt
from rmverify.errors.boxes import Box, interval, supremum
from rmverify.laws.closed import bits, kinetic_variance, overdamped_variance, reverse_variance
from rmverify.numbers.values import Value
from rmverify.readings.affine import read
from rmverify.readings.balls import lift, lift_scheme, precision
from rmverify.readings.duals import Dual
from rmverify.studies import langevin_diffusion as study
from rmverify.studies.langevin_diffusion import Spectrum, blocks, families, geometric, power_law
from rmverify.targets.process import mode_score

C1 = {"overdamped": "1/4", "underdamped": "3/7", "small friction": "3/2", "diffusion": "5/8"}
"""What stands in front of ln N."""
C3 = {"overdamped": "1/8", "underdamped": "1/4", "diffusion": "5/8"}
"""The constants of the asymptotic equivalents."""
DECADES = tuple(10**n for n in range(2, 13))
FAR = 10**300  # where 1/ln N is small
LOWERED = Fraction(9, 10)
COUNTS = (1, 2, 7, 48)
CONFIRMED = 20_000  # steps times modes up to which an excess is confirmed by steps
BITS = 256


def _constant(text: str) -> Any:
    ratio = Fraction(text)
    return arb(ratio.numerator) / ratio.denominator


# --- bounds -------------------------------------------------------------------------------------------------------


def bound_of_langevin(given: Spectrum, steps: int, first: Any, second: Any) -> Any:
    """lambda_max sqrt(Tr Sigma^-1)/N (C_1 ln N + C_2)."""
    return given.largest * given.trace(-1).sqrt() / steps * (first * arb(steps).log() + second)


def bound_of_diffusion(given: Spectrum, steps: int, first: Any) -> Any:
    """Theorem 3."""
    n = arb(steps)
    rho = given.dim * given.largest / given.trace()
    a = (1 + 4 / n**2).sqrt() * (5 * n.log() / (2 * n)).exp()
    logarithm = first * a * (rho.log() / n).exp() * (rho.log() * 2 / 5 + n.log())
    return given.trace().sqrt() / n * (logarithm + 1 + arb(8).sqrt())


def bound_of_largest(given: Spectrum, steps: int) -> Any:
    """Proposition 4."""
    n = arb(steps)
    return (given.dim * given.largest).sqrt() / n * (5 / arb(32).root(4) * n.log() + (arb(5) / 4).sqrt() ** 3 + 1)


# --- spectra ------------------------------------------------------------------------------------------------------


def spectra(look: Look) -> list[Spectrum]:
    """The target's, or isotropic ones and five families from kappa = 1.5 to 10^8."""
    target = spectrum(look)
    if target is not None:
        values, counts = target.variances.tolist(), target.multiplicities.tolist()
        return [Spectrum("the target", tuple(values), tuple(counts))]
    found = [Spectrum("isotropic", (1.0,), (10,)), Spectrum("isotropic, variance 40", (40.0,), (3,))]
    for kappa in (1.5, 10.0, 1e3, 1e8):
        found += [*families(kappa, 16), blocks(kappa, 1000, 1), blocks(kappa, 1000, 999)]
    return found


def steepest(sampler: study.Sampler, steps: int) -> Spectrum:
    """One eigenvalue 1 and 999 as small as N allows: kappa = N/(least ln N), rounded down."""
    kappa = float(steps / (sampler.least * arb(steps).log())) * (1 - 1e-12)
    return blocks(kappa, 1000, 1)


class Case(NamedTuple):
    """An error beside its bound, both balls, and what the error is of."""

    where: Mapping[str, Any]
    error: Any
    bound: Any
    scheme: str
    spectrum: Spectrum
    setting: tuple[Any, ...]
    steps: int


def cases(
    look: Look, sampler: study.Sampler, bound: Callable[[Spectrum, int], Any], counts: Iterable[int]
) -> Iterator[Case]:
    """On every spectrum from the first N that the theorem admits; of Langevin also at the largest kappa that N does."""
    given = [(each, sorted({_first(sampler, each), *counts})) for each in spectra(look)]
    if sampler.least and look.target is None:
        given += [(steepest(sampler, steps), [steps]) for steps in (100, 10**6, 10**12, FAR)]
    for each, wanted in given:
        for steps, found in study.tuned(sampler, each, tuple(wanted)):
            with precision(bits(steps)):
                where = {"spectrum": each.name, "kappa": each.condition, "d": each.dim, "N": _count(steps)}
                yield Case(where, found, bound(each, steps), sampler.scheme, each, sampler.setting(each, steps), steps)


def _first(sampler: study.Sampler, each: Spectrum) -> int:
    return 1 if sampler.least == 0 else 2 if study.admissible(sampler, each, 2) else study.burn_in(sampler, each)


def _count(steps: int) -> Any:
    return steps if steps < 10**15 else float(steps)


def largest(look: Look, what: str, found: Iterable[Case], *, computed: str, bound: str, domain: str) -> Evidence:
    """The largest ratio of a theorem with explicit constants, which holds where that is at most 1.

    A ratio above 1 is a violation where the scheme, stepped one by one over balls, has it too, and nothing before.
    """
    worst: tuple[Any, Mapping[str, Any]] | None = None
    count, above = 0, list[Case]()
    for case in found:
        count += 1
        ratio = case.error / case.bound
        if not ratio <= 1:
            above.append(case)
        if worst is None or ratio.mid() > worst[0].mid():
            worst = ratio, case.where
    if worst is None:
        return Evidence("exact", what, "inconclusive", computed="no number of steps within the hypotheses", bound=bound)
    finding: Finding = "holds with constant"
    text = f"{computed}; {count} cases, all within the hypotheses"
    ratio, where = worst
    if above:
        case = min(above, key=lambda case: case.steps * len(case.spectrum.eigenvalues))
        ratio, where = case.error / case.bound, case.where
        finding, text = "inconclusive", "the ratio exceeds 1 by closed form over balls, by no second route"
        with precision(bits(case.steps)):
            second = confirmed(look, case)
            if second is not None and second > case.bound:
                finding, text = "violated", f"{float(ratio):.6g} by closed form over balls, confirmed by other balls"
    return Evidence(
        "exact", what, finding, computed=text, bound=bound, label="lower", constant=_enclosed(ratio), where=where,
        domain=domain,
    )  # fmt: skip


def _enclosed(ball: Any) -> Value:
    low, high = float(ball.lower()), float(ball.upper())
    low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    middle = min(max(float(ball.mid()), low), high)
    return Value(middle, "exact", high - low)


# --- the scheme itself ----------------------------------------------------------------------------------------------


class _Mode:
    """A centred mode at its own level, or along the process."""

    def __init__(self, variance: Any, still: bool) -> None:
        self.variance, self.still = variance, still

    def score(self, t: Any, x: Any) -> Any:
        return -x / self.variance if self.still else mode_score(arb(0), self.variance, t, x)


def after(look: Look, name: str, variance: Any, setting: tuple[Any, ...], steps: int) -> Any:
    """The variance of x after N steps as the scheme's own step makes it, over balls: by doubling, N in binary; of the
    reverse diffusion one by one, and of y = x sqrt(1 + tau), where t = ln(1 + tau)/2."""
    scheme = look.scheme(name)
    scheme = lift_scheme(scheme(friction=setting[1], mass=1) if name == "underdamped_euler" else scheme)
    if name == "reverse_euler":
        tau, stop = setting
        ratio = ((stop / tau).log() / steps).exp()
        moment = tau / (1 + tau)
        for _ in range(steps):
            t, h = (1 + tau).log() / 2, ((1 + tau) / (1 + tau * ratio)).log() / 2
            A, noise = _matrices(scheme, _Mode(variance, False), t, h)
            moment, tau = A[0, 0] * A[0, 0] * moment + noise[0, 0], tau * ratio
        return (1 + tau) * moment
    A, noise = _matrices(scheme, _Mode(variance, True), arb(0), setting[0])
    power, moments = A, noise
    for bit in bin(steps)[3:]:
        moments = moments + power * moments * power.transpose()
        power = power * power
        if bit == "1":
            moments, power = A * moments * A.transpose() + noise, power * A
    return moments[0, 0]


def _matrices(scheme: Any, mode: _Mode, t: Any, h: Any) -> tuple[Any, Any]:
    """A and C of state' = A state + N(0, C)."""
    t, h = (lift([z]).reshape(1, 1, 1) for z in (t, h))
    step = read(scheme, mode, t, h, None, lift)
    rows = ([[np.ravel(lift(part))[0] for part in row] for row in each] for each in (step.linear, step.noise))
    return tuple(map(arb_mat, rows))  # type: ignore[return-value]


def confirmed(look: Look, case: Case) -> Any:
    """A lower bound on the error that does not come from the closed forms, or None where there is none.

    From the scheme's own steps. Of the reverse diffusion down a grid of too many: the sum of eta f(tau) falls short of
    none of (1 - q) int tau/(lambda + tau)^3 beyond 1/(lambda + delta) - 1/(lambda + T), q the ratio of the grid (the
    lower half of their proof of Proposition C.7).
    """
    if case.scheme != "reverse_euler" or case.steps * len(case.spectrum.eigenvalues) <= CONFIRMED:
        found = study.error(case.spectrum, lambda v: after(look, case.scheme, v, case.setting, case.steps))
        return found if found.overlaps(case.error) else None
    T, delta = case.setting
    total = arb(0)
    for value, count in zip(case.spectrum.eigenvalues, case.spectrum.multiplicities, strict=True):
        v = arb(value)
        left = -((delta / T).log() / case.steps).expm1()
        integral = (v + 2 * delta) / (2 * (v + delta) ** 2) - (v + 2 * T) / (2 * (v + T) ** 2)
        least = v + delta + (v + delta) ** 2 * left * integral - ((v + delta) / (v + T)) ** 2 * v
        above = least.sqrt() - v.sqrt()
        total += count * above * above if above > 0 else 0
    return total.sqrt()


LAWS: Mapping[str, Callable[..., Any]] = {
    "overdamped": overdamped_variance, "underdamped_euler": kinetic_variance, "reverse_euler": reverse_variance,
}  # fmt: skip
SETTINGS: Mapping[str, tuple[tuple[str, ...], ...]] = {  # real and complex roots of the kinetic step
    "overdamped": (("1/8",),),
    "underdamped_euler": (("1/8", "11/2"), ("1/8", "1/2")),
    "reverse_euler": (("7", "1/64"),),
}


def same_law(look: Look, name: str) -> Evidence:
    """The scheme, stepped over balls, has the variance of the closed form."""

    def found() -> Iterator[tuple[Mapping[str, Any], Any]]:
        for variance, given, n in itertools.product(("3/10", "5/4"), SETTINGS[name], COUNTS):
            with precision(BITS):
                v, setting = _constant(variance), tuple(map(_constant, given))
                difference = after(look, name, v, setting, n) - LAWS[name](v, *setting, n)
                yield {"lambda": variance, "setting": ", ".join(given), "N": n}, difference

    return residuals(f"the steps of {name} over balls against the closed form, N from 1 to {COUNTS[-1]}", found())


# --- E1, E2 ---------------------------------------------------------------------------------------------------------


def e1(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "overdamped")
        yield same_law(look, "overdamped")
        yield _theorem_1(look, study.langevin, "overdamped", 2)
        yield in_floats(look)
    if look.wants("certified"):
        yield _certified_langevin(
            "overdamped", 2, (_bias_of_overdamped, _start_of_overdamped), (((0.0, 1.0),), ()), look.effort
        )


def e2(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield leading_constants(look, "underdamped_euler")
        yield same_law(look, "underdamped_euler")
        yield _theorem_1(look, study.underdamped, "underdamped", 64)
        yield _theorem_1(look, study.small_friction, "small friction", 64)
    if look.wants("certified"):
        sides = ((0.0, 1.0), (0.0, 0.5))
        yield _certified_langevin(
            "underdamped", 64, (_bias_of_underdamped, _start_of_underdamped), (sides, sides), look.effort
        )


def _theorem_1(look: Look, sampler: study.Sampler, name: str, second: int) -> Evidence:
    """`second` is C_2 squared."""

    def bound(given: Spectrum, steps: int) -> Any:
        return bound_of_langevin(given, steps, _constant(C1[name]), arb(second).sqrt())

    return largest(
        look, f"the largest ratio of the error of {sampler.name} to its bound", cases(look, sampler, bound, DECADES),
        computed="W_2", bound=f"lambda_max sqrt(Tr Sigma^-1)/N ({C1[name]} ln N + {math.sqrt(second):.5g})",
        domain=f"N from the first that the theorem admits to 10^12{_beyond(look)}; {_spectra_text(look)}",
    )  # fmt: skip


def _beyond(look: Look) -> str:
    return "" if look.target is not None else ", and to 10^300 at the largest kappa that N admits"


def _spectra_text(look: Look) -> str:
    if look.target is not None:
        return "the target's spectrum"
    return f"{len(spectra(look))} spectra: isotropic, log-uniform, power law, two blocks, kappa to 10^8"


def in_floats(look: Look) -> Evidence:
    """What float64 makes of the same closed form: 2 h (1 - q^{2N})/(1 - q^2) with q = 1 - h/lambda rounded."""
    steps, worst, where, true = 10**10, 0.0, dict[str, Any](), 0.0
    for each in spectra(look):
        if not study.admissible(study.langevin, each, steps):
            continue
        values, counts = np.array(each.eigenvalues), np.array(each.multiplicities)
        h = float(values.max()) * math.log(steps) / (2 * steps)
        q = 1 - h / values
        spread = np.sqrt(2 * h * (1 - q ** (2.0 * steps)) / (1 - q * q))
        careless = math.sqrt(float(counts @ (spread - np.sqrt(values)) ** 2))
        with precision(bits(steps)):
            bound = float(bound_of_langevin(each, steps, _constant(C1["overdamped"]), arb(2).sqrt()))
            exact = float(study.tuned_error(study.langevin, each, steps))
        if careless / bound > worst:
            worst, true = careless / bound, exact / bound
            where = {"spectrum": each.name, "kappa": each.condition, "d": each.dim, "N": steps}
    return Evidence(
        "exact", "careless float64 would refute the theorem: the same closed form at N = 10^10", "holds",
        computed=f"W_2 = {worst:.3g} times the bound in float64, {true:.3g} times over balls",
        bound="1; it is the floats that are wrong", where=where, domain=_spectra_text(look),
    )  # fmt: skip


# --- every spectrum at once -----------------------------------------------------------------------------------------
#
# Of a mode lambda <= lambda_max = 1 with x = eta/lambda (of ULD: eta/(gamma lambda)), l = ln N and v the variance over
# lambda, the ratio to the bound is N lambda |sqrt v - 1|/(C_1 l + C_2), N lambda = l/(2 x). Above: v <= v_inf(x), so
# that it is at most l f(x), f = (sqrt v_inf - 1)/(2 x). Below: v >= 1 - A e^{-y}, y = 2 N x = l/lambda >= l, so that
# it is at most A/(1 + sqrt(1 - A/N)). Both are increasing in 1/N, and with p = 1/l divided by C_1 + C_2 p, the second
# times p. What is certified is these two; the first is reached in the limit N -> inf at the largest kappa.


def _bias_of_overdamped(x: Dual) -> tuple[Dual, bool]:
    """f(x) with v_inf = 1/(1 - x/2): 1/(4 s (1 + s)), s = sqrt(1 - x/2), x in [0, 1]."""
    s = sqrt(1 - x / 2)
    return 1 / (4 * s * (1 + s)), False


def _start_of_overdamped() -> tuple[Any, bool]:
    """A = 1: (1 - x)^{2N} <= e^{-2 N x}."""
    return 1 / (1 + (1 - 1 / arb(2)).sqrt()), True  # N >= 2


def _bias_of_underdamped(z: Dual, u: Dual) -> tuple[Dual, bool]:
    """z = eta gamma in [0, 1], u = 4/(gamma^2 lambda) in [0, 1/2], x = z u/4: v_inf = 1 + x E."""
    x = z * u / 4
    E = (4 - z + z * x) / ((1 - x) * (4 - 2 * z + z * x))
    return E / (2 * (1 + sqrt(1 + x * E))), False


def _start_of_underdamped(z: Dual, u: Dual) -> tuple[Dual, bool]:
    """v_inf - v <= A r_+^{2N}, r_+ <= 1 - x: A from the two positive series, r_- <= r_+."""
    s = sqrt(1 - u)
    plus, minus = 1 - z * (1 - s) / 2, 1 - z * (1 + s) / 2
    A = ((1 + s) / (1 + plus) + u / ((1 + s) * (1 + minus))) / (1 - u)
    return A / (1 + sqrt(1 - A / 9)), True  # N >= 9 wherever N >= 4 ln N


def _certified_langevin(
    name: str, second: int, parts: tuple[Callable[..., Any], ...], sides: tuple[Box, ...], effort: int
) -> Evidence:
    least = {"overdamped": 2, "underdamped": 9}[name]
    first, constant = _constant(C1[name]), arb(second).sqrt()

    def over(part: Callable[..., Any]) -> Callable[[Box], Dual]:
        def ratio(box: Box) -> Dual:
            *inner, p = _duals(box)
            value, at_start = part(*inner)
            found: Dual = (value * p if at_start else value + 0 * p) / (first + constant * p)
            return found

        return ratio

    def alone(part: Callable[..., Any]) -> Callable[[Box], Dual]:
        def value(box: Box) -> Dual:
            *inner, p = _duals(box)
            found: Dual = part(*inner)[0] + 0 * p
            return found

        return value

    with precision(BITS):
        reach = (0.0, float((1 / arb(least).log()).upper()))
        found = supremum([over(part) for part in parts], [(*box, reach) for box in sides], effort=effort, width=1e-6)
        best, start = (
            supremum([alone(part)], [(*box, reach)], effort=effort, width=1e-6)
            for part, box in zip(parts, sides, strict=True)
        )
    what = "every spectrum and every N of the theorem at once, mode by mode"
    if found.unresolved or best.unresolved or start.unresolved:
        return Evidence("certified", what, "inconclusive", computed=f"{len(found.unresolved)} boxes stayed open")
    value = Value(found.upper, "enclosure", found.upper - found.lower, lower=found.lower, upper=found.upper)
    lowered = float(LOWERED * Fraction(C1[name]))
    slope, floor, least_slope = _up(best.upper), _up(start.upper), -_up(-best.lower)
    sharp = "refuted" if lowered < best.lower else "not refuted"
    return Evidence(
        "certified", what, "holds with constant" if found.upper <= 1 else "inconclusive",
        computed=f"at most {found.upper:.6g} of the bound, {found.boxes} boxes; what is in the brackets may be "
        f"max({slope:.5f} ln N, {floor:.5f}), in front of ln N no less than {least_slope:.5f}",
        bound=f"lambda_max sqrt(Tr Sigma^-1)/N ({C1[name]} ln N + {math.sqrt(second):.5g})", label="upper",
        constant=value, domain="every d, every spectrum, every N within the hypotheses",
        remark=f"reached as N grows at the largest kappa; with {lowered:.4g} for {C1[name]} it is {sharp}",
        case="certified, every spectrum",
    )  # fmt: skip


def _up(number: float) -> float:
    """To five decimals, not less."""
    return math.ceil(number * 1e5) / 1e5


def _duals(box: Box) -> list[Dual]:
    """The sides of a box, each with its own slope."""
    return [Dual(interval(a, b), *(arb(int(i == j)) for j in range(len(box)))) for i, (a, b) in enumerate(box)]


# --- E3, E4 ---------------------------------------------------------------------------------------------------------

FEW = (2, 3, 5, 20)


def e3(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield same_law(look, "reverse_euler")
        yield largest(
            look, "the largest ratio of the error of reverse diffusion to its bound",
            cases(look, study.diffusion, _theorem_3, (*FEW, *DECADES, FAR)),
            computed="W_2", bound="sqrt(Tr Sigma)/N (5/8 a_N rho^(1/N) ln(rho^(2/5) N) + 1 + sqrt(8))",
            domain=f"N from 1 to 10^12, and 10^300; {_spectra_text(look)}",
        )  # fmt: skip
        yield _tight(look)


def _theorem_3(given: Spectrum, steps: int) -> Any:
    return bound_of_diffusion(given, steps, _constant(C1["diffusion"]))


def _tight(look: Look) -> Evidence:
    """The bound over the error at N = 10^300, and the bound with a constant that is 10 % lower."""
    found = list[tuple[Any, Any, dict[str, Any]]]()
    for each in spectra(look)[:8]:
        for steps, error in study.tuned(study.diffusion, each, (FAR,)):
            with precision(bits(steps)):
                lowered = bound_of_diffusion(each, steps, _constant(C1["diffusion"]) * 9 / 10)
                where = {"spectrum": each.name, "kappa": each.condition, "d": each.dim, "N": float(steps)}
                found.append((error / _theorem_3(each, steps), error / lowered, where))
    least, lowest, where = min(found, key=lambda each: float(each[0].mid()))
    refuted = bool(lowest > 1)
    computed = "a lower constant would do as well"
    if refuted:
        computed = f"the error is at least {float(least.lower()):.4f} of the bound at N = 10^300; with 9/16 for 5/8 it "
        computed += f"exceeds the bound by a factor {float(lowest.lower()):.4f}"
    return Evidence(
        "exact", "the bound is sharp: the smallest ratio far out, and a constant that is 10 % lower",
        "holds" if refuted else "violated", computed=computed, bound="1 in the limit", label="lower",
        constant=_enclosed(least), where=where, domain="8 spectra" if look.target is None else "the target",
    )  # fmt: skip


def e4(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        yield same_law(look, "reverse_euler")
        yield largest(
            look, "the largest ratio of the error of reverse diffusion to its bound",
            cases(look, study.diffusion_of_largest, bound_of_largest, (*FEW, *DECADES)),
            computed="W_2", bound="sqrt(d lambda_max)/N (5/2^(5/4) ln N + (5/4)^(3/2) + 1)",
            domain=f"N from 1 to 10^12; {_spectra_text(look)}",
        )  # fmt: skip
    if look.wants("certified"):
        yield _certified_largest(look.effort)


MANY = 1000
"""N from which on every term is replaced by its bound."""


def _certified_largest(effort: int) -> Evidence:
    """Of one mode lambda = s^2 <= lambda_max = 1; the bound gives each mode the same share.

    At N = 1 no step is taken, and the ratio is (1 - s)/(C_2): at most 1/C_2. From N = 2 on the variance lies between
    lambda + delta - ((lambda + delta)/(lambda + T))^2 lambda and lambda + delta + (e^w - 1)(lambda + 2 delta)/2 (their
    Lemma C.5), w = ln(T/delta)/N = 5 l/(2 N). From N = 1000 on sqrt(upper) - s <= b + (e^w - 1) sqrt(1 + 4 b^2)/4 with
    b = 1/N, e^w - 1 <= w e^w, and s - sqrt(lower) <= (1 + b^2)^2 b.
    """
    with precision(BITS):
        first, second = 5 / arb(32).root(4), (arb(5) / 4).sqrt() ** 3 + 1
        low, high = float(arb(2).log().lower()), float(arb(MANY).log().upper())

        def middle(above: bool) -> Callable[[Box], Dual]:
            def ratio(box: Box) -> Dual:
                s, l = _duals(box)
                N, lam = exp(l), s * s
                delta, T = exp(-2 * l), exp(l / 2)
                share = (lam + delta) / (lam + T)
                top = lam + delta + expm1(5 * l / (2 * N)) * (lam / 2 + delta)
                gap: Dual = sqrt(top) - s if above else s - sqrt(lam + delta - share * share * lam)
                return N * gap / (first * l + second)  # type: ignore[no-any-return]

            return ratio

        def end(box: Box) -> Dual:
            (p,) = _duals(box)
            b = arb(1) / MANY
            w = 5 * arb(MANY).log() / (2 * MANY)
            growth = arb(5) / 2 * w.exp() * (1 + 4 * b * b).sqrt() / 4
            ratio: Dual = (growth + (1 + b * b) ** 2 * p) / (first + second * p)
            return ratio

        once = 1 / second
        found = supremum(
            [middle(True), middle(False), end],
            [((0.0, 1.0), (low, high)), ((0.0, 1.0), (low, high)), ((0.0, float((1 / arb(MANY).log()).upper())),)],
            effort=effort, width=1e-3,
        )  # fmt: skip
    what = "every spectrum and every N >= 1 at once, mode by mode"
    if found.unresolved:
        return Evidence("certified", what, "inconclusive", computed=f"{len(found.unresolved)} boxes stayed open")
    lower, upper = float(once.lower()), max(float(once.upper()), found.upper)
    value = Value(upper, "enclosure", upper - lower, lower=math.nextafter(lower, 0), upper=math.nextafter(upper, 1))
    return Evidence(
        "certified", what, "holds with constant" if upper <= 1 else "inconclusive",
        computed=f"at most {upper:.6g} of the bound, at N = 1; {found.upper:.4g} from N = 2 on, {found.boxes} boxes",
        bound="sqrt(d lambda_max)/N (5/2^(5/4) ln N + (5/4)^(3/2) + 1)", label="upper", constant=value,
        where={"N": 1}, domain="every d, every spectrum, every N", case="certified, every spectrum",
        remark="reached at N = 1, where no step is taken, as all modes but one vanish",
    )  # fmt: skip


# --- E5 to E8 -------------------------------------------------------------------------------------------------------


def e5(look: Look) -> Iterator[Evidence]:
    if look.wants("exact"):
        for name, (scheme, sufficient) in SUFFICIENT.items():
            found = _at_accuracy(look, scheme, sufficient)
            yield largest(
                look, f"W_2/eps of {name} after the number of steps that suffices", found, computed="W_2", bound="eps",
                domain=f"eps/sqrt(Tr Sigma) from 1 to 10^-6; {_spectra_text(look)}",
            )  # fmt: skip


def _at_accuracy(look: Look, scheme: str, sufficient: Callable[..., Any]) -> Iterator[Case]:
    for each in spectra(look):
        for digits in (0, 1, 3, 6):
            with precision(BITS):
                eps = each.trace().sqrt() / 10**digits
                steps, setting = sufficient(each, eps)
            where = {"spectrum": each.name, "kappa": each.condition, "d": each.dim, "eps/sqrt(Tr)": 10.0**-digits}
            with precision(bits(steps)):
                law = functools.partial(_law, scheme, setting, steps)
                yield Case(where | {"N": steps}, study.error(each, law), eps, scheme, each, setting, steps)


def _law(scheme: str, setting: tuple[Any, ...], steps: int, variance: Any) -> Any:
    return LAWS[scheme](variance, *setting, steps)


def _whole(ball: Any) -> int:
    """The least whole number that is certainly at least this; 1 at least."""
    return max(1, int(ball.upper().ceil().unique_fmpz()))


def _enough_overdamped(given: Spectrum, eps: Any) -> tuple[int, tuple[Any, ...]]:
    root = given.trace(-1).sqrt()
    step = given.smallest.min(eps / root)
    factor = arb(1).max(given.smallest * root / eps)
    steps = _whole(given.largest / given.smallest / 2 * factor * ((8 * given.trace()).sqrt() / eps).log())
    return steps, (step,)


def _enough_underdamped(given: Spectrum, eps: Any) -> tuple[int, tuple[Any, ...]]:
    low = given.smallest
    step = (low / 8).sqrt().min(7 * arb(2).sqrt() / 6 * eps / (low * given.trace(-1)).sqrt())
    factor = arb(1).max(arb(3) / 14 * low * given.trace(-1).sqrt() / eps)
    steps = _whole(4 * given.largest / low * factor * (16 * given.trace().sqrt() / eps).log())
    return steps, (step, (8 / low).sqrt())


def _enough_diffusion(given: Spectrum, eps: Any, r: int = 1) -> tuple[int, tuple[Any, ...]]:
    stop = eps**2 / (9 * given.dim)
    pairs = zip(given.eigenvalues, given.multiplicities, strict=True)
    moment = sum((n * (arb(v) + stop) ** 3 * arb(v) ** 2 for v, n in pairs), arb(0))
    horizon = (3 / eps).sqrt() * moment.root(4)
    factor = 3 * (arb(1) / r).exp() / (4 * r) * (given.trace() + 4 * eps**2 / 9).sqrt() / eps
    steps = _whole(r * arb(1).max(factor) * (horizon / stop).log())
    return steps, (horizon, stop)


SUFFICIENT: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "overdamped Langevin": ("overdamped", _enough_overdamped),
    "underdamped Langevin": ("underdamped_euler", _enough_underdamped),
    "reverse diffusion": ("reverse_euler", _enough_diffusion),
    "reverse diffusion, Remark 6 with r = 10": ("reverse_euler", functools.partial(_enough_diffusion, r=10)),
}


DISTANT = tuple(10 ** (100 * 2**k) for k in range(4))


def e6(look: Look) -> Iterator[Evidence]:
    if not look.wants("fitted"):
        return
    given = spectra(look)
    if look.target is None:
        given = [given[0], geometric(100.0, 6), power_law(1e3, 6), blocks(10.0, 10, 5)]
    for name, sampler in (("overdamped", study.langevin), ("underdamped", study.underdamped),
                          ("diffusion", study.diffusion), ("diffusion", study.diffusion_of_largest)):  # fmt: skip
        yield _limit(sampler, name, given)


def _limit(sampler: study.Sampler, name: str, given: list[Spectrum]) -> Evidence:
    """W_2 N/ln N = F(1/ln N), F analytic at 0 but for what is left of the start: extrapolated over four N, each the
    square of the one before. Its error: the last two corrections, and the start's remains where they are largest, which
    the extrapolation multiplies by 3 (5/3) (9/7) at most."""
    worst: tuple[float, Any, float, Spectrum] | None = None
    rows = []
    for each in given:
        found = []
        for steps, error in study.tuned(sampler, each, DISTANT):
            with precision(bits(steps)):
                scale = each.trace().sqrt() if name == "diffusion" else each.largest * each.trace(-1).sqrt()
                found.append(error * steps / scale / arb(steps).log())
        with precision(BITS):
            *_, (earlier, later), (limit,) = romberg(found)
            allowed = float(abs(limit - later).abs_upper() + abs(later - earlier).abs_upper() + limit.rad())
            off = abs(float((limit - _constant(C3[name])).mid()))
        allowed += 45 / 7 * remains(name, each, DISTANT[0]) / math.log(DISTANT[0])
        rows.append({"spectrum": each.name, "d": each.dim, "kappa": each.condition, "at N = 10^800": float(found[-1]),
                     "limit": float(limit.mid()), "error": allowed})  # fmt: skip
        if worst is None or (off > allowed, allowed) > (worst[0] > worst[2], worst[2]):
            worst = off, limit, allowed, each
    assert worst is not None
    off, limit, allowed, each = worst
    finding: Finding = "violated" if off > allowed else "holds" if allowed <= 0.01 else "inconclusive"
    return Evidence(
        "fitted", f"the constant of {sampler.name}", finding,
        computed=f"{float(limit.mid()):.9g} +- {allowed:.1g}", bound=C3[name],
        constant=Value(float(limit.mid()), "exact", allowed),
        where={"spectrum": each.name, "kappa": each.condition, "d": each.dim},
        domain="N = 10^100, 10^200, 10^400, 10^800, extrapolated in 1/ln N; the least certain spectrum",
        rows=tuple(rows),
    )  # fmt: skip


def remains(name: str, given: Spectrum, steps: int) -> float:
    """A bound on what is left of the start in N W_2, beyond what is constant in N, relative to the scale of the error.

    A mode of variance r lambda_max adds at most A N^-e/2, A < 2.4, weighted by its share of Tr Sigma^-1: e = 1/r - 1 of
    ULA, 0 for the largest, which is a constant; of ULD e = (2/r)/(1 + sqrt(1 - u)) - 1, u = 1/(2 kappa r) (see A and u
    above); of the reverse diffusion at most 1/sqrt(N).
    """
    if name == "diffusion":
        return 1 / math.sqrt(steps)
    values, counts = np.array(given.eigenvalues), np.array(given.multiplicities)
    r = values / values.max()
    share = counts / values / np.sum(counts / values)
    slow = 1 / r - 1 if name == "overdamped" else 2 / r / (1 + np.sqrt(1 - 1 / (2 * given.condition * r))) - 1
    left = np.where(slow > 0, np.exp(-slow * math.log(steps)), 0.0)
    return 1.2 * float(share @ left)


def e7(look: Look) -> Iterator[Evidence]:
    if look.wants("exact") and look.target is None:
        for noise in (Fraction(0), Fraction(1, 5)):
            yield _learned(noise)


MOST = 16  # gradient steps


def _rational(value: Fraction) -> Any:
    return fmpq(value.numerator, value.denominator)


def _diagonal(values: list[Any]) -> Any:
    size = len(values)
    return fmpq_mat(size, size, [values[i] if i == j else 0 for i in range(size) for j in range(size)])


EIGENVALUES = (Fraction(0), Fraction(0), Fraction(1, 3), Fraction(5, 4))


def _learned(noise: Fraction) -> Evidence:
    """Gradient descent over the rationals, in an eigenbasis with entries in all places: a reflection."""
    size = len(EIGENVALUES)
    one = _diagonal([1] * size)
    w = fmpq_mat(size, 1, list(range(1, size + 1)))
    basis = one - w * w.transpose() * (fmpq(2) / (w.transpose() * w)[0, 0])
    values = [_rational(value + noise) for value in EIGENVALUES]
    shifted = basis * _diagonal(values) * basis
    wrong: dict[str, Any] | None = None
    for alpha in (fmpq(1, 2), fmpq(4, 3)):  # below 2/(5/4 + 1/5)
        A = fmpq_mat(size, size)
        rho = max(abs(1 - alpha * value) for value in values if value)
        for K in range(1, MOST + 1):
            A = A - (A * shifted - one) * alpha
            claimed = basis * _diagonal([value or 1 / (K * alpha) for value in values]) * basis
            left = basis * (A * claimed - one) * basis
            entries = [left[i, i] for i in range(size)]
            if wrong is None and (left != _diagonal(entries) or max(map(abs, entries)) != rho**K):
                wrong = {"alpha": str(alpha), "K": K}
    text = "sigma^2 = 1/5" if noise else "no noise"
    return Evidence(
        "exact", f"{text}: the norm of A_K times the inverse that is claimed, minus I, over the rationals",
        "violated" if wrong else "holds",
        computed="another one" if wrong else f"equal to rho^K for K from 1 to {MOST}; so A_K is invertible",
        bound="O(rho^K)", where=wrong or {}, domain="d = 4, eigenvalues 0, 0, 1/3, 5/4, alpha = 1/2 and 4/3",
    )  # fmt: skip


WITHIN = 0.034
CLAIMED = {"overdamped Langevin": Fraction(1, 5), "underdamped Langevin": Fraction(2, 5)}


def e8(look: Look) -> Iterator[Evidence]:
    if not look.wants("exact") or look.target is not None:
        return
    steps, worst, where, rows = 10**12, 0.0, dict[str, Any](), []
    with precision(bits(steps)):
        for each in (each for kappa in (10.0, 1e4, 1e8) for each in families(kappa, 1000)):
            below = study.tuned_error(study.diffusion_of_largest, each, steps)
            for sampler in (study.langevin, study.underdamped):
                ratio = study.tuned_error(sampler, each, steps) / below
                claimed = CLAIMED[sampler.name]
                off = float(abs(ratio / each.effective * claimed.denominator / claimed.numerator - 1))
                point = {"sampler": sampler.name, "spectrum": each.name, "kappa": each.condition}
                rows.append(point | {"kappa_eff": float(each.effective), "ratio": float(ratio), "deviation": off})
                if off > worst:
                    worst, where = off, point
    yield Evidence(
        "exact", "how far the ratios of errors are from their asymptotic ones at N = 10^12",
        "holds" if worst <= WITHIN + 5e-4 else "violated", computed=f"within {worst:.3%}", bound="3.4 %, as printed",
        constant=Value(worst, "exact", 1e-15), where=where, rows=tuple(rows),
        domain="d = 1000, the four families of their figure, kappa = 10, 10^4, 10^8",
    )  # fmt: skip


CLOSE, WIDE = 1e4, 1e6  # the condition numbers compared
BISECTED = 0.02  # relative error of a number of steps


def e9(look: Look) -> Iterator[Evidence]:
    if not look.wants("fitted") or look.target is not None:
        return
    powers = dict[str, float]()
    rows = []
    for sampler in (*study.PAPER, *study.OTHERS):
        few, many = (
            study.steps_to(sampler, geometric(kappa, 20), 10**10, study.relative_error, 1e-3) for kappa in (CLOSE, WIDE)
        )
        powers[sampler.name] = math.log((many or 0) / (few or 1)) / math.log(WIDE / CLOSE)
        counts = {f"kappa = {k:.0e}": n and n * sampler.evaluations for k, n in ((CLOSE, few), (WIDE, many))}
        rows.append({"sampler": sampler.name} | counts | {"power of kappa": powers[sampler.name]})
    allowed = 2 * BISECTED / math.log(WIDE / CLOSE)
    down = {name: power for name, power in powers.items() if "Langevin" not in name}
    name, power = max(down.items(), key=lambda each: each[1])
    yield Evidence(
        "fitted", "down the noise levels the steps do not grow with kappa", "holds" if power <= allowed else "violated",
        computed=f"power at most {power:.4f} +- {allowed:.1g}, for the {name}", bound="0",
        constant=Value(power, "exact", allowed), where={"sampler": name}, rows=tuple(rows),
        domain="W_2 = 10^-3 sqrt(Tr Sigma), d = 20, log-uniform; evaluations of the score in the table",
    )  # fmt: skip
    random, euler = (powers[name] for name in ("underdamped Langevin, randomized midpoint", "overdamped Langevin"))
    yield Evidence(
        "fitted", "randomized midpoints lower the power of kappa of Langevin, not to 0",
        "holds" if allowed < random < euler - allowed else "violated",
        computed=f"power {random:.3f} +- {allowed:.1g}, {euler:.3f} for ULA", bound="between 0 and that of ULA",
        constant=Value(random, "exact", allowed), domain="the same",
    )  # fmt: skip
