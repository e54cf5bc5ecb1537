r"""D0, D1, D3, D4, D5, D7: the step counts that follow from the recorded error terms, by substitution.

Given, not proved here: the monomials of the ledger's lemmas (constants and logarithms left out), with the corrector's
time tau and the steps h_p, h_c, over about L windows of length 1/L:

    predictor  L (L sqrt(d) h_p^{3/2})/(L^{1/4} tau^{3/2}), cost 1/h_p   [scheme 1: sqrt(L d) h_p inside]
    corrector  L L^{3/4} tau^{1/2} sqrt(d) h_c, cost L tau/h_c
    score      L (e/L)/(L^{1/4} tau^{3/2}) + L e tau^{1/2}/L^{1/4}
    log-concave (m = 1, kappa = L): kappa^{7/6} e'^{-1/3} + kappa e'^{-2/3} steps to W_2 <= e' sqrt(d), then
    e' sqrt(d)/(kappa^{1/4} tau^{3/2}), and the corrector of one window; tau <= L^{-1/2}. With C4, tau in place of
    L^{1/4} tau^{3/2}.

Proved: with every error equal to eps the steps are the ledger's, and the costs are those printed; the tau of D5 and
D7 is where predictor and corrector cost the same, which is optimal because one falls and the other grows with tau
(the constraint tau <= L^{-1/2} gives the second entry of the maximum). What is printed but does not follow is there
as the exact factor that is missing: with D1's tau the corrector exceeds L^{5/3} d^{5/12}/eps by L^{1/3}; with D5's
tau it holds while L <= d^{1/8} eps^{-3/2}. In D5 and D7 the constraint never binds while
L, d >= 1 >= eps; for log-concave targets it binds, in both, where kappa > d^{1/8} eps^{-1/4}.

Provenance: D0 [quoted], D1 [abstract] and [quoted], D3 and D4 [recalled], D5 and D7 [derived]; the forms are
the ledger's.
"""

from functools import partial

import sympy as sp

from rmverify.exponents import BOUNDS, Bound

CLAIM = ("D0", "D1", "D3", "D4", "D5", "D7")

L, d, eps, tau, hp, hc, e = sp.symbols("L d eps tau h_p h_c e", positive=True)
kappa = L


def power(**exponents):
    """A monomial, exponents as strings: power(L="5/3", eps="-1")."""
    return sp.prod([{"L": L, "d": d, "eps": eps}[k] ** sp.Rational(value) for k, value in exponents.items()])


def stated(name, entry=0, **values):
    """A bound of the ledger without its constant; of a sum or a maximum one entry, where the score's error is last."""
    bound = Bound(BOUNDS[name].monomials[entry])
    return bound(one=sp.Integer(1), **({"L": L, "d": d, "eps": eps, "kappa": kappa} | values))


def quotient(first, second):
    """ln(first/second), a linear form in the logarithms: zero where the monomials are equal."""
    return sp.expand(sp.expand_log(sp.log(first) - sp.log(second), force=True))


def solve(monomial, unknown, value=1):
    """The unknown for which the monomial is `value`."""
    exponent = sp.cancel(unknown * sp.diff(sp.log(monomial), unknown))
    return (value / monomial.subs(unknown, 1)) ** (1 / exponent)


SMOOTHING_C1, SMOOTHING_C4 = (1 / stated(name, W_2=1, T=tau) for name in ("C1", "C4, variation"))  # TV <= W_2/this
TAU_D0 = power(L="-1/2")
TAU_D1, TAU_D5, TAU_D7 = (stated(f"{id}, time") for id in ("D1", "D5", "D7"))
TAU_D5_CONCAVE = power(L="1/30", d="-1/15", eps="2/15")
TAU_D7_CONCAVE = power(L="3/26", d="-1/13", eps="2/13")


def predictor_step(smoothing=SMOOTHING_C1):
    return solve(L * stated("B5, randomized midpoint", h=hp) / smoothing, hp, eps)


def dpum_step():
    return solve(L * stated("B5, exponential integrator", h=hp) / SMOOTHING_C1, hp, eps)


def corrector_step(windows=L):
    return solve(windows * stated("C2", T=tau, h=hc), hc, eps)


def corrector_cost(windows=L):
    return windows * tau / corrector_step(windows)


def start_cost(smoothing=SMOOTHING_C1):
    """The two terms of scheme 5's cost to e' sqrt(d) = eps times the smoothing factor."""
    accuracy = eps * smoothing / stated("C3, reached", m=1, eps_w=1)
    return tuple(stated("C3", entry, eps_w=accuracy) for entry in (0, 1))


def at(time, expression, printed):
    return quotient(expression.subs(tau, time), printed)


def dpum():
    both = stated("D0")
    return at(TAU_D0, 1 / dpum_step(), both), at(TAU_D0, corrector_cost(), both)


def sequential(time=TAU_D1):
    return (
        at(time, predictor_step(), power(L="-5/3", d="-7/18", eps="2/3")),
        at(time, corrector_step(), power(L="-3/2", d="-17/36", eps="1")),
        at(time, 1 / predictor_step(), power(L="5/3", d="7/18", eps="-2/3")),
        at(time, corrector_cost(), power(L="2", d="5/12", eps="-1")),
    )


def printed_prefactor():
    """D1's corrector is L^{1/3} times L^{5/3} d^{5/12}/eps, D5's (L d^{-1/8} eps^{3/2})^{2/15} times."""
    printed = stated("D1")
    limit = L / power(d="1/8", eps="-3/2")
    return (
        at(TAU_D1, corrector_cost(), printed * power(L="1/3")),
        at(TAU_D5, corrector_cost(), printed * limit ** sp.Rational(2, 15)),
    )


def score_error(smoothing=SMOOTHING_C1):
    """The largest e that the first term allows; the second, e L^{3/4} tau^{1/2}, is (L^{1/2} tau)^2 times the first."""
    first = L * stated("B5, randomized midpoint", 1, eps_sc=e) / smoothing
    second = L * stated("C2", 1, eps_sc=e, T=tau)
    return solve(first, e, eps), quotient(second / first, (sp.sqrt(L) * tau) ** 2)


def score_of_d4():
    largest, second = score_error()
    return at(TAU_D1, largest, stated("D4")), second


def score_of_d5():
    largest, second = score_error()
    return at(TAU_D5, largest, power(L="-7/10", d="-1/10", eps="6/5")), second


def balance(falling, growing, time, cost):
    """The tau of equal costs, and the cost there."""
    return quotient(solve(falling / growing, tau), time), at(time, falling, cost), at(time, growing, cost)


def optimum(smoothing, time, cost):
    """Joint optimum over tau, then the predictor's cost where tau = L^{-1/2}, the end of the constraint."""
    predictor = 1 / predictor_step(smoothing)
    return (
        *balance(predictor, corrector_cost(), time, cost),
        at(TAU_D0, predictor, power(L="5/3", d="1/3", eps="-2/3")),
    )


def constraint():
    """tau L^{1/2}, which must not exceed 1, is (L d^{1/2}/eps)^{-2/n}, n = 15 for D5 and 13 for D7: it never does; for
    log-concave targets it is (kappa d^{-1/8} eps^{1/4})^{8/n}."""
    scale, condition = L * sp.sqrt(d) / eps, kappa / power(d="1/8", eps="-1/4")
    return tuple(
        quotient(time * sp.sqrt(L), base ** sp.Rational(exponent, n))
        for time, base, exponent, n in (
            (TAU_D5, scale, -2, 15),
            (TAU_D7, scale, -2, 13),
            (TAU_D5_CONCAVE, condition, 8, 15),
            (TAU_D7_CONCAVE, condition, 8, 13),
        )
    )


def log_concave_d3():
    """At tau = kappa^{-1/2} d^{-1/18}; the printed form has d^{1/36} and kappa to spare."""
    first, second = start_cost()
    corrector = corrector_cost(1)
    return (
        at(TAU_D1, second, power(L="4/3", d="7/18", eps="-2/3")),
        at(TAU_D1, first, power(L="4/3", d="7/36", eps="-1/3")),
        at(TAU_D1, corrector, power(d="5/12", eps="-1")),
        at(TAU_D1, stated("D3") / second, power(d="1/36")),
        at(TAU_D1, stated("D3", 1) / corrector, L),
    )


def log_concave_optimum(smoothing, time, name):
    """Joint optimum over tau, then the cost where tau = kappa^{-1/2}, the end of the constraint: both entries."""
    _, second = start_cost(smoothing)
    return *balance(second, corrector_cost(1), time, stated(name)), at(TAU_D0, second, stated(name, 1))


def first_term_never_leads():
    """Its quotient by the second term grows with tau, and at tau = kappa^{-1/2} it is eps^{1/3} d^{-1/6}: at most 1."""
    found = []
    for smoothing in (SMOOTHING_C1, SMOOTHING_C4):
        first, second = start_cost(smoothing)
        found.append(at(TAU_D0, first / second, power(eps="1/3", d="-1/6")))
    return tuple(found)


D5_COST, D7_COST = stated("D5"), stated("D7")
IDENTITIES = {
    "D0: L^2 sqrt(d)/eps": dpum,
    "D1: steps and costs": sequential,
    "D1: what the printed prefactor needs": printed_prefactor,
    "D3: costs": log_concave_d3,
    "D4: the score's accuracy": score_of_d4,
    "D5: the optimum": partial(optimum, SMOOTHING_C1, TAU_D5, D5_COST),
    "D5: the score's accuracy": score_of_d5,
    "D5: log-concave": partial(log_concave_optimum, SMOOTHING_C1, TAU_D5_CONCAVE, "D5, log-concave"),
    "D7: the optimum": partial(optimum, SMOOTHING_C4, TAU_D7, D7_COST),
    "D7: log-concave": partial(log_concave_optimum, SMOOTHING_C4, TAU_D7_CONCAVE, "D7, log-concave"),
    "D5, D7: where tau <= L^{-1/2} binds": constraint,
    "D3, D5, D7: scheme 5's first term": first_term_never_leads,
}
MUTATED = {
    "D1's steps at D5's tau": partial(sequential, TAU_D5),
    "D5's cost with C4's smoothing": partial(optimum, SMOOTHING_C4, TAU_D5, D5_COST),
    "the printed d^{5/12} at D7's tau": partial(optimum, SMOOTHING_C4, TAU_D7, stated("D1")),
}
