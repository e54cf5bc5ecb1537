"""G: the neighbours of the paper: parallel samplers, Moreau envelopes, starts from data, scores by Monte Carlo."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import Bound

# --- parallel samplers ----------------------------------------------------------------------------------------------

PARALLEL = (
    Claim(
        id="G1",
        paper="Selvam, Merchant, Ermon 2024 (SRDS)",
        statement="parareal of DDIM: k sweeps make the first k of sqrt(N) blocks those of the N sequential steps",
        formula=r"x_B^{(k)} = \sum_{|S|\le k}\ \prod_{n\in S}(F_n-G_n)\prod_{n\notin S}G_n\,x_0,"
        r"\qquad x_n^{(k)} = F_n\cdots F_1 x_0 \text{ for } n\le k",
        source="arXiv 2412.08292, Algorithm 1 and its convergence guarantee",
        provenance="found in summaries; the closed form derived",
        left="the output after k sweeps, exact by balls",
        right_text="that of the N steps of DDIM; the sum over at most k blocks",
        hypotheses=("G is one DDIM step over a block, F its sqrt(N) fine ones", "closed form: a score affine in x"),
        kinds=("symbolic", "exact"),
        schemes=("parareal",),
    ),
    Claim(
        id="G2",
        paper="Zhou, Sugiyama 2024",
        statement="Picard rounds that overlap along anti-diagonals: total variation eps in log d rounds",
        formula=r"S + (S+J-1)P = \tilde O\left(%s\right) \text{ rounds}",
        source="arXiv 2412.07435, Theorem 5.4 and Algorithm 2",
        provenance="abstract; the schedule and its rounds found in a summary",
        left="the fewest rounds to TV <= 0.1 with slices no longer than ln(1 + 1/L), P = 2, exactly",
        bounds=(Bound("log(d/eps^2)"),),
        hypotheses=("the probability flow in place of the reverse SDE", "exact scores; N(0, I/4) from N(0, I)"),
        kinds=("exact", "fitted"),
        schemes=("parallel_slices",),
    ),
    Claim(
        id="G3",
        paper="Anari, Chewi, Vuong 2024",
        statement="K Picard rounds of parallel Langevin are off by (L h)^{2K}",
        formula=r"\mathbb{E}\,\|x^{(K)}-x^{(\infty)}\|^2 \sim \frac{2hd\,(Lh)^{2K}}{(2K+1)\,K!^2},\qquad"
        r" \mathrm{KL}(x^{(K)}\,\|\,x^{(\infty)}) \sim d\left(\frac{(Lh)^{K+1}}{(K+1)!}\right)^2",
        source="arXiv 2401.09016, Theorem 13",
        provenance="the order recalled; both constants derived",
        left="the first terms in h of the noise's coefficients and of the variance, by power series over balls",
        right_text="their binomials, whose limits for many cells are those of the formula",
        hypotheses=("one step on a quadratic, from its invariant law", "the same Brownian path in every round"),
        kinds=("exact",),
        schemes=("parallel_langevin",),
    ),
    Claim(
        id="G4",
        paper="Anari, Chewi, Vuong 2024",
        statement="parallel Langevin: polylogarithmic rounds, work d; underdamped: work sqrt(d)",
        formula=r"\log^{O(1)} d \text{ rounds},\quad \tilde O(%s) \text{ and } \tilde O(%s) \text{ evaluations}",
        source="arXiv 2401.09016, abstract",
        provenance="abstract",
        left="the power of d in the cells that keep the invariant law within TV 0.1; the fewest rounds",
        bounds=(Bound("d"), Bound("sqrt(d)")),
        right_text="%s overdamped, %s underdamped; log^2 d rounds",
        hypotheses=("Gaussian, condition number 1", "the powers of a logarithm are recalled"),
        kinds=("exact", "fitted"),
        schemes=("parallel_langevin", "parallel_underdamped"),
    ),
)

CLAIMS: tuple[Claim, ...] = (*PARALLEL,)
