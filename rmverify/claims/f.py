"""F: theorems on randomized Langevin samplers, and on what errors of the score cost."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import BOUNDS

REVISITED = "Yu, Karagulyan, Dalalyan 2024: Randomized midpoint revisited"
CONVEX = "an m-strongly convex potential with an M-Lipschitz gradient, kappa = M/m"
LEFT = "W_2(nu_n, pi) of the position, unconditional: bracketed by exact moments"

SCORES = "What an error of the score costs"

CLAIMS = (
    Claim(
        id="F1",
        statement="randomized midpoint for overdamped Langevin: W_2 after n steps, with its constants",
        formula=r"W_2(\nu_n, \pi) \le %s",
        source="Theorem 1",
        provenance="recalled",
        paper=REVISITED,
        left=LEFT,
        bounds=(BOUNDS["F1"],),
        hypotheses=(CONVEX, "M h + sqrt(kappa) (M h)^{3/2} <= 1/4", "W_0 = W_2(nu_0, pi)"),
        kinds=("exact",),
        schemes=("overdamped_midpoint",),
    ),
    Claim(
        id="F2",
        statement="randomized midpoint for kinetic Langevin: W_2 after n steps, with its constants",
        formula=r"W_2(\nu_n, \pi) \le %s",
        source="Theorem 2",
        provenance="recalled",
        paper=REVISITED,
        left=LEFT,
        bounds=(BOUNDS["F2"],),
        hypotheses=(
            CONVEX, "gamma >= 5M and kappa (gamma h)^3 <= 0.1", "W_0 = W_2(nu_0, pi), f_0 = E f(x_0) - min f",
            "v_0 ~ N(0, gamma I) is independent of x_0: friction gamma and mass gamma here",
        ),
        kinds=("exact",),
        schemes=("randomized_midpoint_langevin",),
    ),
    Claim(
        id="F3",
        statement="exponential integrator of kinetic Langevin: W_2 after n steps, with its constants",
        formula=r"W_2(\nu_n, \pi) \le %s",
        source="Theorem 3",
        provenance="recalled",
        paper=REVISITED,
        left=LEFT,
        bounds=(BOUNDS["F3"],),
        hypotheses=(
            CONVEX, "gamma >= 5M and sqrt(kappa) gamma h <= 0.1", "W_0 = W_2(nu_0, pi), f_0 = E f(x_0) - min f",
            "v_0 ~ N(0, gamma I) is independent of x_0: friction gamma and mass gamma here",
        ),
        kinds=("exact",),
        schemes=("underdamped",),
    ),
    Claim(
        id="F4",
        statement="a small centred noise V beside N(0, 1) costs W_2 the square of V's variance",
        formula=r"W_2^2(Z, Z + V) \le \tfrac{11}{2}\nu^2 + 15\cdot 1\{\beta^2 > 1\}\cdot 2\nu",
        source="Lemma 1",
        provenance="found; that V is independent of Z recalled",
        paper="Kandasamy, Nagaraj 2024: The Poisson midpoint method",
        left="W_2^2(Z, Z + V) on the line, exact by quantiles",
        bounds=(BOUNDS["F4"],),
        right_text="%s, beyond = 1 where beta > 1",
        hypotheses=(
            "Z ~ N(0, I), V independent of it, E V = 0, in a subspace of dimension 1: the line suffices",
            "|V| <= beta, nu = E|V|^2",
        ),
        kinds=("exact",),
    ),
    Claim(
        id="F5",
        statement="the score's error at x_half is bounded by eps_sc where the estimate is Lipschitz, and only there",
        formula=r"\|\hat s - s\|(x_{1/2}) \le \varepsilon_{sc} + %s, \qquad \text{distance} = \|x_{1/2} - x^*\|_{L^2}",
        source="Lemma A.2, after a public review: accuracy is assumed under q and used at x_half",
        provenance="found; the bound derived",
        paper=SCORES,
        left="|e(x_half)| - |e(x*)| in L2, x* ~ q; e = s_hat - s",
        bounds=(BOUNDS["F5"],),
        hypotheses=("s and s_hat are L-Lipschitz at every level", "h <= min(1/L, t)"),
        kinds=("exact", "monte-carlo"),
        schemes=("randomized_midpoint",),
    ),
    Claim(
        id="F6",
        statement="fresh noise in every score costs sqrt(h) of what a fixed error of its size does",
        formula=r"W_2 \lesssim %s, \qquad \hat s = s + \zeta, \; \mathbb{E}|\zeta|^2 = \sigma^2 D",
        source="after Arsenyan, Vardanyan, Dalalyan 2025, on DDPM",
        provenance="found; the constants derived",
        paper=SCORES,
        left="the coupling error of the sampler with noise and without it, exact; W_2 of the laws is at most that",
        bounds=(BOUNDS["F6"],),
        hypotheses=("zeta is centred, normal, independent of everything and of itself at other calls",),
        kinds=("exact", "fitted"),
        schemes=("exponential_integrator", "randomized_midpoint"),
    ),
    Claim(
        id="F7",
        statement="randomized midpoint Langevin attains the strong lower bound; its law is closer by another N^{-3/2}",
        formula=r"\sup \left(\mathbb{E}|\hat x - x^*|^2\right)^{1/2} \gtrsim %s \text{ for every method of } N "
        r"\text{ queries}, \qquad |\mathbb{E}\hat x^2 - \mathbb{E}x^{*2}| \propto %s \text{ here}",
        source="Cao, Lu, Wang 2020, the lower bound; this project, both constants",
        provenance="recalled; the second derived",
        paper="Cao, Lu, Wang 2020: Randomized algorithms for underdamped Langevin",
        left="both errors after a fixed time on a linear force, on one Brownian path, over balls",
        bounds=(BOUNDS["F7, strong"], BOUNDS["F7, weak"]),
        right_text="the powers of N: %s and %s",
        hypotheses=(
            "the lower bound's supremum is over potentials, its hard instance not quadratic [recalled]",
            "started from the invariant law",
        ),
        kinds=("exact", "fitted"),
        schemes=("randomized_midpoint_langevin",),
    ),
    Claim(
        id="F8",
        statement="log-concave sampling in parallel: W_2 accuracy eps_w in kappa log(1/eps_w) parallel steps",
        formula=r"W_2 \le %s \text{ in } O\left(%s\right) \text{ parallel steps}",
        source="Shen and Lee 2019, abstract, on their parallel midpoints; here parallel underdamped Langevin",
        provenance="abstract",
        paper="Shen and Lee 2019, in parallel",
        left="W_2 after the parallel plan's first stage, exact, and the fewest of its steps that reach eps_w",
        bounds=(BOUNDS["C3, reached"], BOUNDS["F8"]),
        right_text="%s; %s",
        hypotheses=(
            "an m-strongly convex and L-smooth potential, kappa = L/m",
            "steps of length L^{-1/2} at friction 2 sqrt(L), cells and Picard rounds by the plan's formulas",
        ),
        kinds=("exact", "fitted"),
        schemes=("parallel_underdamped",),
    ),
)  # fmt: skip
