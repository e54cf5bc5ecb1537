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
        schemes=("parareal", "ddim"),
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
        kinds=("exact",),
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

# --- G5 to G8: neighbours that are not parallel ---------------------------------------------------------------------

OTHERS = (
    Claim(
        id="G5",
        paper="Habring, Falk, Zach, Pock 2025, Diffusion at Absolute Zero",
        statement="laws with a Moreau envelope in the potential: Lipschitz in its parameter in total variation",
        formula=r"\mathrm{TV}(\pi^s, \pi^t) \le %s,\qquad \pi^t \propto e^{-F - M_G^t},\quad G\ \text{Lipschitz}",
        source="arXiv 2502.01358 and 2503.22258: Lipschitz in t, consistent as t -> 0 [found in summaries]; the "
        "constant is derived here; Lip(G)^2 t/2 at s = 0, Durmus, Moulines, Pereyra 2018 [recalled]",
        provenance="found; the constant derived",
        left="TV(pi^s, pi^t) on the line by masses of Gaussian pieces, over balls; the chain down the path by nodes",
        bounds=(Bound("Lip^2 (t - s)/8"),),
        right_text="%s, Lip the Lipschitz constant of G, s < t",
        hypotheses=("G Lipschitz and bounded below, e^{-U} integrable; a Gaussian G is not, and has its own slope",),
        kinds=("symbolic", "exact", "fitted"),
    ),
    Claim(
        id="G6",
        paper="Koehler, Lee, Vuong 2025, data-based initialization",
        statement="Langevin from M points of data with k modes: M of the order of k/eps^2 for a TV of eps",
        formula=r"M = \tilde O\left(%s\right); \qquad \text{separated equal modes: } \mathbb{E}\,\mathrm{TV} \le %s,"
        r"\quad M \sim \frac{k-1}{2\pi\varepsilon^2}",
        source="arXiv 2411.09117 (COLT 2025), abstract; the limit of separated modes is this project's",
        provenance="abstract; the constants derived",
        left="E over the data of TV in the limit of separated modes, by de Moivre's formula over balls",
        bounds=(Bound("k/eps^2"), Bound("1/2 sqrt(k - 1)/sqrt(M)")),
        right_text="M against %s, E TV against %s",
        hypotheses=(
            "separated: every mode is sampled exactly, and none is left; with overlap this is a plateau in time",
            "the theorem's eps holds with high probability over the data; here it is the mean over them",
        ),
        kinds=("symbolic", "exact", "monte-carlo"),
    ),
    Claim(
        id="G7",
        paper="Vacher, Chehab, Korba 2025, scores by Monte Carlo",
        statement="the self-normalized Monte Carlo score: its variance in closed form, and its price in the dimension",
        formula=r"n\,\mathbb{E}_{q_t}\|\hat s_t - s_t\|^2 \to \frac{d\,(1 + (e^{2t}-1)/\lambda)^{d-1}}{1 - e^{-2t}}"
        r"\quad\text{on } N(0, \lambda I_d)",
        source="arXiv 2501.00565, abstract: cost (L + beta)^2 L^{d+2} eps^{-2(d+3)} in fixed d",
        provenance="abstract; the estimator's formula recalled, the closed form derived",
        left="bias and variance of the estimate with n draws, by quadrature at finite n and in closed form as n grows",
        right_text="the closed limits; at the end of a predictor, orders h and 1",
        hypotheses=(
            "Y_i ~ N(e^t z, e^{2t} - 1) independent in every call, weights e^{-V} normalized by their sum",
            "to leading order in 1/n at every z; means over z reach their limits for n far above (e^{2t}-1)/lambda",
        ),
        kinds=("symbolic", "exact", "fitted"),
    ),
    Claim(
        id="G8",
        paper="He, Zhang 2025, query complexity, and He, Lei, Shao, Zhang 2025",
        statement="smoothness of every marginal, which the polynomial sampler assumes, beside that of the target",
        formula=r"\sup_t \|\nabla^2 \ln q_t\| \lesssim %s\,?",
        source="arXiv 2507.11236, assumption (1*), beside assumption (1) of arXiv 2502.06200",
        provenance="abstract",
        left="the largest curvature of ln q_t over t and x for two Gaussians",
        bounds=(Bound("max(L_0, 1)"),),
        hypotheses=("modes N(a, s^2) and N(-a, s^2), equal weights; dX = -X dt + sqrt(2) dB",),
        kinds=("symbolic", "exact", "fitted", "certified"),
    ),
)

CLAIMS: tuple[Claim, ...] = (*PARALLEL, *OTHERS)
