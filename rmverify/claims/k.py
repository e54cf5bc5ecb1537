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
    Claim(
        id="K3",
        paper="Kandasamy, Nagaraj 2024",
        statement="what the Poisson midpoint method leaves invariant on a Gaussian is better than Euler-Maruyama's and "
        "worse than the randomized midpoint's",
        formula=r"k\,\mathrm{Var}(x_\infty) - 1 \sim %s \;(M \text{ cells}), \qquad %s \;(M = \infty), \qquad "
        r"%s \text{ and } %s \text{ of the randomized midpoint and of Euler-Maruyama}",
        source="the scheme of arXiv 2405.17068, its inner points by their form; the constants are this project's",
        provenance="derived; the scheme is found, but for its inner points, which are recalled",
        left="excess of the variance left invariant over 1/k, unconditional",
        bounds=tuple(BOUNDS[name] for name in ("K3", "K3, many cells", "K1", "K1, overdamped")),
        right_text="%s, for many cells %s; %s; %s",
        hypotheses=(
            *LINEAR,
            "the published rates, by which the Poisson midpoint method needs fewer steps than the randomized midpoint, "
            "are upper bounds over all strongly log-concave targets: on Gaussians they are not sharp, not wrong",
        ),
        kinds=("symbolic", "exact"),
        schemes=("overdamped", "overdamped_midpoint", "poisson_midpoint"),
    ),
    Claim(
        id="K4",
        paper="Bou-Rabee, Marsden 2022",
        statement="a force at a random time of each step leaves a law of order h^2 invariant on a Gaussian, whatever "
        "the length of the trajectories",
        formula=r"k\,\mathrm{Var}(x_\infty) - 1 \sim %s",
        source="the scheme of arXiv 2211.11003, by its form; the constant is this project's",
        provenance="derived; the scheme is recalled",
        left="excess of the variance left invariant by trajectories from fresh velocities, unconditional",
        bounds=(BOUNDS["K4"],),
        hypotheses=(
            "the score is -k x: a mode N(0, 1/k); velocities of variance u",
            "trajectories of one length T, k u T^2 not 0 nor a multiple of pi^2, in steps of length h",
            "the published rate eps^{-2/3} is an upper bound in W2 over strongly log-concave targets with no "
            "smoothness of the Hessian; that on Gaussians the law itself is of order h^2 does not contradict it",
        ),
        kinds=("symbolic", "exact"),
        schemes=("stratified_hmc",),
    ),
    Claim(
        id="K5",
        paper="Li, Wu, Mackey, Erdogdu 2019",
        statement="the stochastic Runge-Kutta step leaves a law of order h^2 invariant on a Gaussian",
        formula=r"k\,\mathrm{Var}(x_\infty) - 1 \sim %s",
        source="the scheme of arXiv 1906.07868 (SRK-LD), from memory; the constant is this project's",
        provenance="derived; the scheme is recalled",
        left="excess of the variance left invariant over 1/k",
        bounds=(BOUNDS["K5"],),
        hypotheses=LINEAR,
        kinds=("symbolic", "exact"),
        schemes=("stochastic_runge_kutta",),
    ),
)
