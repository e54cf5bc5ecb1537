"""B: one step and one window of the predictors, as statements."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import BOUNDS, Bound

LEMMA = (
    "0 < h <= min(1/L, t), x ~ q_t",
    "the score handed over is L-Lipschitz; eps_sc is its largest L2(q) error over the levels of the step",
    "t in max(L, 1/t) is the step's start",
    "alpha is shared by all coordinates of a particle, independent across particles and steps",
)

CLAIMS = (
    Claim(
        id="B1",
        statement="the randomized midpoint estimates the flow's integral without bias, and so do strata",
        formula=r"\mathbb{E}_\alpha\!\left[h\,e^{(1-\alpha)h}g(\alpha h)\right] = \int_0^h e^{h-r}g(r)\,dr"
        r"\quad\text{for every integrable } g",
        source="Gupta, Cai, Chen 2024, Algorithm 1 [confirmed by their code] and the parallel predictor [recalled]",
        provenance="derived",
        left="E over the midpoints of the step's own output, for a score of the time alone",
        right_text="e^h x + the integral",
        hypotheses=("g integrable on [0, h]", "alpha ~ U[0, 1], or alpha_i ~ U[(i-1)/R, i/R]"),
        kinds=("symbolic", "exact"),
        schemes=("randomized_midpoint", "parallel_midpoint"),
    ),
    Claim(
        id="B2",
        statement="one step of the randomized midpoint: squared bias of order h^6",
        formula=r"\mathbb{E}\,\|\mathbb{E}_\alpha\hat x - x^*\|^2 \lesssim %s",
        source="Gupta, Cai, Chen 2024, the one-step lemma behind Theorem 1",
        provenance="derived",
        left="E|E_alpha x' - x*|^2, exact by balls",
        bounds=(Bound("L^4 d h^6 max(L, 1/t) + h^2 eps_sc^2"),),
        hypotheses=LEMMA,
        kinds=("symbolic", "exact", "certified"),
        schemes=("randomized_midpoint",),
    ),
    Claim(
        id="B3",
        statement="one step of the randomized midpoint: variance of order h^4",
        formula=r"\mathbb{E}\,\|\hat x - \mathbb{E}_\alpha\hat x\|^2 \lesssim %s",
        source="Gupta, Cai, Chen 2024, the one-step lemma behind Theorem 1",
        provenance="derived",
        left="E|x' - E_alpha x'|^2, exact by balls",
        bounds=(Bound("L^2 d h^4 max(L, 1/t) + h^2 eps_sc^2"),),
        hypotheses=LEMMA,
        kinds=("symbolic", "exact", "certified"),
        schemes=("randomized_midpoint",),
    ),
    Claim(
        id="B4",
        statement="one step of the exponential integrator: squared error of order h^4, all of it bias",
        formula=r"\mathbb{E}\,\|\hat x - x^*\|^2 \lesssim %s",
        source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
        provenance="quoted",
        left="E|x' - x*|^2, exact by balls",
        bounds=(Bound("L^2 d h^4 max(L, 1/t) + h^2 eps_sc^2"),),
        hypotheses=LEMMA[:3],
        kinds=("symbolic", "exact", "certified"),
        schemes=("exponential_integrator",),
    ),
    Claim(
        id="B5",
        statement="over a window 1/L the randomized midpoint is off by h^(3/2) in W2, the exponential integrator by h",
        formula=r"W_2 \lesssim %s \quad\text{(scheme 2)},\qquad W_2 \lesssim %s \quad\text{(scheme 1)}",
        source="Gupta, Cai, Chen 2024, the window lemma behind Theorem 1",
        provenance="derived",
        left="the root mean square of x' - x* after the window, exact by balls",
        bounds=(BOUNDS["B5, randomized midpoint"], BOUNDS["B5, exponential integrator"]),
        hypotheses=(*LEMMA, "W_2 by the coupling through the same start; that of the unconditional law is smaller"),
        kinds=("exact", "fitted"),
        schemes=("randomized_midpoint", "exponential_integrator"),
    ),
    Claim(
        id="B6",
        statement="parallel midpoints: the bias falls with K to a floor in R, the variance like 1/R^3",
        formula=r"\text{bias} \sim (Lh)^K/K! \text{ down to a floor} \propto %s, \qquad \text{variance} \propto %s",
        source="Gupta, Cai, Chen 2024, the parallel predictor [recalled]; this project's derivation",
        provenance="derived",
        left="bias and variance of one step of R strata and K rounds, exact",
        bounds=(Bound("1/R^2"), Bound("1/R^3")),
        right_text="the powers stated: %s and %s",
        hypotheses=LEMMA,
        kinds=("exact", "fitted"),
        schemes=("parallel_midpoint",),
    ),
    Claim(
        id="B7",
        statement="why randomize: against a score error that oscillates with the step, only random midpoints average",
        formula=r"b_t = b\cos(2\pi t/h):\quad \text{fixed times: } \approx 0.35\,\varepsilon_{sc} \text{ for every } h,"
        r"\qquad \text{random: } \mathbb{E}_\alpha \text{ off by } O\left(%s\right)\,\varepsilon_{sc},\;"
        r" \text{spread } O\left(%s\right)\,\varepsilon_{sc}",
        source="this project",
        provenance="derived",
        left="the exact coupling error over a window 1/L with an estimated score whose error oscillates in t, phase 0",
        bounds=(Bound("L h"), Bound("sqrt(L h)")),
        right_text="the powers 0, 1 and 1/2 of h",
        hypotheses=(
            "the error of the score depends on the time alone, has the step's own period and its crest at the steps",
            "eps_sc is the root mean square of its L2 error over time; another phase can hide it from fixed times",
        ),
        kinds=("exact", "fitted"),
        schemes=("midpoint", "heun", "euler", "exponential_integrator", "randomized_midpoint"),
    ),
)
