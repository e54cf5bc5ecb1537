"""K: other Langevin and Hamiltonian steps, by their one-step errors."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import BOUNDS

LINEAR = ("the score is -k x: a mode N(0, 1/k)", "steps of length h, started anywhere, forever")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="K1",
        paper="He, Balasubramanian, Erdogdu 2020",
        statement="the overdamped randomized midpoint leaves a law invariant that is biased, on a Gaussian by h^3 only",
        formula=r"k\,\mathrm{Var}(x_\infty) - 1 \sim %s, \qquad \text{Euler-Maruyama: } %s",
        source="arXiv 2011.03176, whose abstract says that the law is biased; the constants are this project's",
        provenance="derived",
        left="excess of the variance left invariant over 1/k, unconditional, to its leading term",
        bounds=(BOUNDS["K1"], BOUNDS["K1, overdamped"]),
        hypotheses=LINEAR,
        kinds=("symbolic", "exact"),
        schemes=("overdamped", "overdamped_midpoint"),
    ),
    Claim(
        id="K2",
        paper="Yu, Dalalyan 2024",
        statement="parallel midpoints in R strata: on a Gaussian more than one of them costs the law its order h^3",
        formula=r"k\,\mathrm{Var}(x_\infty) - 1 \sim %s \;(K \ge 1), \qquad %s \;(K = 0)",
        source="the scheme of arXiv 2402.14434, by its form; the constants are this project's",
        provenance="derived; the scheme is recalled",
        left="excess of the variance left invariant over 1/k, unconditional, to its leading term",
        bounds=(BOUNDS["K2"], BOUNDS["K2, no rounds"]),
        hypotheses=(*LINEAR, "K rounds of Picard after the first midpoints, Q = K + 2 in the paper's count"),
        kinds=("symbolic", "exact"),
        schemes=("parallel_overdamped",),
    ),
)
