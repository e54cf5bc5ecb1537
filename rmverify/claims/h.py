"""H: other predictors of diffusion models, by their one-step errors."""

from rmverify.claims.b import LEMMA
from rmverify.claims.evidence import Claim
from rmverify.exponents import Bound

DDRAM = "Zhang, Huan, Huang, Boffi, Chen, Chewi 2025"

CLAIMS = (
    Claim(
        id="H1",
        paper=DDRAM,
        statement="midpoints drawn with the flow's own weight: the same bias, no spread where the score stands still",
        formula=r"r \sim \frac{e^{h-r}}{e^h-1}:\quad \text{bias as that of } \alpha h \sim U[0,h] \lesssim %s,\qquad "
        r"\text{variance } \tfrac{h^4}{12}\,\mathbb{E}\,|\tfrac{d}{dr} s_{t-r}(x_r)|^2 \lesssim %s",
        source="the density of the authors' public code, importance_sample=True, taken over to the probability flow",
        provenance="derived",
        left="bias and variance of one step, exact by balls: (v-1)h^3/(6v^3) and (v-1)^2 h^4/(12v^4) of x - m",
        bounds=(Bound("L^4 d h^6 max(L, 1/t) + h^2 eps_sc^2"), Bound("L^2 d h^4 max(L, 1/t) + h^2 eps_sc^2")),
        hypotheses=(*LEMMA[:3], "the midpoint is shared by all coordinates of a particle, independent across them"),
        kinds=("symbolic", "exact"),
        schemes=("importance_midpoint",),
    ),
    Claim(
        id="H2",
        paper="Ho, Jain, Abbeel 2020",
        statement="an ancestral step has the exact mean, and its two variances lie on either side of the exact one",
        formula=r"x_{t-h}\,|\,x_t \sim N(e^h x + 2\sinh(h)\,s_t(x),\, c): \qquad "
        r"c - \tfrac{(1-e^{-2h})(1-e^{-2(t-h)})}{1-e^{-2t}} = \tfrac{\lambda e^{-2(t-h)}(1-e^{-2h})^2}{v\,(1-e^{-2t})},"
        r"\quad (e^{2h}-1) - c = \tfrac{(e^{2h}-1)(1-e^{-2h})}{v}",
        source="Ho, Jain, Abbeel 2020, section 3.2: the two choices of the variance [recalled]; this project's closed "
        "forms",
        provenance="derived",
        left="mean and variance of one step against those of x_{t-h} given x_t, exact by balls",
        right_text="equal means, the stated differences of the variances",
        hypotheses=("N(m, lambda) data of variance v at t; the mean for every law of the data", "0 < h < t"),
        kinds=("symbolic", "exact"),
        schemes=("ddpm", "reverse_euler"),
    ),
    Claim(
        id="H3",
        paper=DDRAM,
        statement="the exponential integrator of the reverse diffusion: a variance off by the first power of h",
        formula=r"\ln\frac{V}{v_\delta} = h\left(\frac{1}{v_\delta} - "
        r"\frac{v_\delta\,e^{-2(T-\delta)}}{v_T^2}\right) + O(h^2) = O(%s)",
        source="the baseline of that paper; this project's constant",
        provenance="derived",
        left="the variance after N steps of length h from q_T, exact",
        bounds=(Bound("h"),),
        right_text="the stated constant, and the power of %s",
        hypotheses=("N(m, lambda) data", "uniform steps from T to delta > 0"),
        kinds=("symbolic", "exact", "fitted"),
        schemes=("exponential_sde",),
    ),
    Claim(
        id="H4",
        paper=DDRAM,
        statement="the randomized midpoint of the reverse diffusion (DDRaM) reaches KL eps^2 in sqrt(d)/eps steps",
        formula=r"N = \tilde O\left(%s\right);\qquad \text{here } \mathbb{E}_\alpha\frac{V}{v_\delta} - 1 = O(%s),"
        r"\quad \mathrm{sd}_\alpha\frac{V}{v_\delta} = O(%s)",
        source="the abstract; this project's constants",
        provenance="found",
        left="mean and deviation over the midpoints of the variance given them, after N steps from q_T, exact",
        bounds=(Bound("sqrt(d)/eps"), Bound("h^2"), Bound("h^{3/2}")),
        right_text="%s steps; the powers of %s and %s, with the constants of proofs_checks",
        hypotheses=(
            "N(m, lambda) data",
            "uniform steps from T to delta > 0",
            "E_alpha KL is d/4 E(V/v-1)^2 in leading order: sd ~ h^(3/2) makes it N ~ d^(1/3) eps^(-2/3)",
        ),
        kinds=("symbolic", "exact", "fitted"),
        schemes=("randomized_midpoint_sde",),
    ),
    Claim(
        id="H5",
        paper="Li, Jiao 2024; Jiao, Li 2025",
        statement="random cells whose midpoint predicts the next, one evaluation each, and noise back: KL like T^-3",
        formula=r"\mathrm{KL} = \tilde O\left(%s\right) \text{ for } T \text{ evaluations in } K \gtrsim \ln T "
        r"\text{ rounds}",
        source="Jiao, Li 2025, Theorem 1 and Appendix A (KL = O(ln^4 T/T^3))",
        provenance="found",
        left="E KL given the random levels, over sampled ones; what a round makes of the variance of q_t, exact",
        bounds=(Bound("1/T^3"),),
        right_text="the power of %s, at least",
        hypotheses=("N(m, lambda) data", "geometric rounds from T to delta > 0", "K enough: a round is short"),
        kinds=("symbolic", "exact", "monte-carlo"),
        schemes=("jiao_li",),
    ),
)
