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
)
