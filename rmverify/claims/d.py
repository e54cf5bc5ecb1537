"""D: the theorems: steps, rounds and exponents, as statements."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import BOUNDS, Bound

LOGARITHMS = "constants and logarithms are left out"
PUBLISHED = f"T_corr = {BOUNDS['D1, time'].monomials[0]}"

CLAIMS = (
    Claim(
        id="D0",
        statement=f"DPUM: total variation eps in {BOUNDS['D0']} steps",
        formula=r"N = \tilde O\left(%s\right)",
        source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
        provenance="quoted",
        left="the cost that B4, C1 and C2 imply; TV after the theorem's plan",
        bounds=(BOUNDS["D0"],),
        right_text="%s; eps",
        hypotheses=(LOGARITHMS, "eps_sc = 0"),
        kinds=("symbolic", "exact"),
        schemes=("exponential_integrator", "underdamped"),
    ),
    Claim(
        id="D1",
        statement="the sequential algorithm: total variation eps in d^{5/12} steps",
        formula=r"N = \tilde O(%s), \qquad \text{printed as } %s",
        source="Gupta, Cai, Chen 2024",
        provenance="abstract; the printed form quoted",
        left="the cost that B2-B5, C1 and C2 imply; TV after the theorem's plan",
        bounds=(BOUNDS["D1"].at(L=1, eps=1), BOUNDS["D1"]),
        right_text="%s; %s",
        hypotheses=(LOGARITHMS, PUBLISHED, "eps_sc = 0"),
        kinds=("symbolic", "exact", "fitted"),
        schemes=("randomized_midpoint", "underdamped"),
        remarks=(
            "a public review of an earlier text quotes L^{5/3} d^{4/9}/eps for the same theorem",
            "another confirms h_corr of order d^{-17/36}; T_corr of order d^{-1/18} was not seen, and follows: their "
            "quotient is d^{5/12}",
            f"since: {BOUNDS['D1, since']} for another sampler (Li, Jiao 2024) [found]: the powers of d and eps that "
            "D6 measures of this one",
        ),
    ),
    Claim(
        id="D2",
        statement="the parallel algorithm: total variation eps in log^2 d rounds",
        formula=r"\tilde O(\log^2 d) \text{ rounds}, \qquad \tilde O\left(%s\right)",
        source="Gupta, Cai, Chen 2024",
        provenance="abstract; the printed form quoted",
        left="rounds counted",
        bounds=(Bound("L log(L d/eps)^2"),),
        hypotheses=("h_pred of the order of 1/L",),
        kinds=("exact", "fitted"),
        schemes=("parallel_midpoint", "parallel_underdamped"),
    ),
    Claim(
        id="D3",
        statement="log-concave sampling in total variation: d^{5/12} steps",
        formula=r"N = \tilde O(%s), \qquad \text{printed as } %s",
        source="Gupta, Cai, Chen 2024",
        provenance="abstract; the printed form recalled",
        left="the cost that C1-C3 imply; TV after the theorem's plan",
        bounds=(Bound(BOUNDS["D3"].at(kappa=1, eps=1).monomials[0]), BOUNDS["D3"]),
        right_text="%s; %s; eps",
        hypotheses=(LOGARITHMS, "an m-strongly convex and L-smooth potential"),
        kinds=("symbolic", "exact", "fitted"),
        schemes=("randomized_midpoint_langevin", "parallel_underdamped", "underdamped"),
        remarks=(
            f"since: {BOUNDS['D3, since']} by randomized midpoint Langevin alone (Altschuler, Chewi, Zhang 2025, "
            "Shifted Composition IV) [found]; `rmverify rates --log-concave` measures d^{1/3} on Gaussians",
        ),
    ),
    Claim(
        id="D4",
        statement="the score accuracy that D1 needs",
        formula=r"\varepsilon_{sc} \lesssim %s",
        source="Gupta, Cai, Chen 2024",
        provenance="recalled",
        left="the largest eps_sc that B2-B5, C1 and C2 allow; TV after the theorem's plan with a score that is off "
        "by it",
        bounds=(BOUNDS["D4"],),
        right_text="%s; eps",
        hypotheses=(LOGARITHMS, PUBLISHED),
        kinds=("symbolic", "exact"),
        schemes=("randomized_midpoint", "underdamped"),
    ),
    Claim(
        id="D5",
        statement="the same lemmas at their best corrector time: d^{2/5}, below the published d^{5/12}",
        formula=r"\tilde O\left(%s\right) \text{ at } T_{corr} = %s",
        source="this project",
        provenance="derived",
        left="the optimum of the rational program over all corrector times",
        bounds=(BOUNDS["D5"], BOUNDS["D5, time"]),
        right_text="%s",
        hypotheses=(LOGARITHMS,),
        kinds=("symbolic",),
    ),
    Claim(
        id="D6",
        statement="measured on Gaussians: the powers of d in the steps to total variation, none above D0's and D1's",
        formula=r"N \sim %s,\; %s,\; %s",
        source="this project",
        provenance="derived",
        left="steps to accuracy, from d = 1 to 10^12; on spectra of several variances an interval of them",
        bounds=(
            Bound("sqrt(d)/eps"),
            Bound("d^{1/3} eps^{-2/3}"),
            Bound("max(d^{1/4} eps^{-1/2}, d^{1/3} eps^{-1/3})"),
        ),
        right_text="the powers stated",
        kinds=("fitted",),
        schemes=("exponential_integrator", "randomized_midpoint"),
        remarks=(f"the second, E_alpha TV, has the powers of d and eps of {BOUNDS['D1, since']}, published since",),
    ),
    Claim(
        id="D7",
        statement="with C4 in place of C1 the same lemmas give d^{5/13}",
        formula=r"\tilde O\left(%s\right) \text{ at } T_{corr} = %s",
        source="this project",
        provenance="derived",
        left="the optimum of the rational program with the position-only smoothing lemma",
        bounds=(BOUNDS["D7"], BOUNDS["D7, time"]),
        right_text="%s",
        hypotheses=(LOGARITHMS, "C4"),
        kinds=("symbolic",),
    ),
)
