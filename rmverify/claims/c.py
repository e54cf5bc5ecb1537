"""C: underdamped Langevin: smoothing, discretization, the log-concave sampler, as statements."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import BOUNDS

CORRECTOR = (
    "friction sqrt(L), mass 1, Langevin time T <= 1/sqrt(L)",
    "the velocity is drawn fresh from N(0, I) at the start",
    "the score is L-Lipschitz",
)

CLAIMS = (
    Claim(
        id="C1",
        statement="underdamped Langevin turns W2 into total variation, jointly in position and velocity",
        formula=r"\mathrm{TV}(pP_T, qP_T) \lesssim %s, \qquad W_2 = W_2(p, q)",
        source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
        provenance="quoted",
        left="TV of the joint laws after time T of the exact dynamics",
        bounds=(BOUNDS["C1"],),
        hypotheses=CORRECTOR,
        kinds=("symbolic", "exact", "certified"),
    ),
    Claim(
        id="C2",
        statement="discretizing underdamped Langevin costs total variation of order h",
        formula=r"\mathrm{TV}(q\hat P_T, q) \lesssim %s",
        source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
        provenance="quoted",
        left="TV of the joint law of N steps to that of the exact dynamics from the same start, the invariant law "
        "first",
        bounds=(BOUNDS["C2"],),
        hypotheses=(*CORRECTOR, "started from the invariant law, or from any with E|s|^2 <= L d"),
        kinds=("symbolic", "exact", "fitted"),
        schemes=("underdamped", "overdamped"),
    ),
    Claim(
        id="C3",
        statement="the randomized midpoint for underdamped Langevin reaches W2 accuracy in few steps",
        formula=r"W_2 \le %s \text{ in } \tilde O\left(%s\right) \text{ steps}",
        source="Shen and Lee 2019",
        provenance="quoted",
        left="steps to W_2 accuracy",
        bounds=(BOUNDS["C3, reached"], BOUNDS["C3"]),
        right_text="to W_2 <= %s: %s",
        hypotheses=("an m-strongly convex and L-smooth potential, kappa = L/m", "friction 2, mass 1/L"),
        kinds=("symbolic", "exact", "fitted"),
        schemes=("randomized_midpoint_langevin",),
    ),
    Claim(
        id="C4",
        statement=f"smoothing for the position alone, by a coupling: TV <= {BOUNDS['C4, variation']}",
        formula=r"\mathrm{KL} \le %s, \qquad \mathrm{TV} \le %s \;\text{ for } \gamma=\sqrt L,\; T \le 1/\sqrt L",
        source="this project; not checked against the literature",
        provenance="derived",
        left="KL and TV of the positions after time T of the exact dynamics",
        bounds=tuple(BOUNDS[name] for name in ("C4", "C4, variation", "C4, sharper", "C4, log-concave")),
        right_text="%s and %s",
        hypotheses=("the score is L-Lipschitz", "the velocity is drawn fresh from N(0, I)"),
        kinds=("symbolic", "exact", "certified"),
    ),
)
