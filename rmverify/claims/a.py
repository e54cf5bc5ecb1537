"""A: the process, its flow, its score, its start and its early stop, as statements."""

from rmverify.claims.evidence import Claim
from rmverify.exponents import Bound

CLAIMS = (
    Claim(
        id="A1",
        statement="the OU marginals of every shipped target solve the Fokker-Planck equation and its score is "
        "grad ln q",
        formula=r"\partial_t q = \nabla\cdot(x\,q) + \Delta q, \qquad s_t = \nabla \ln q_t",
        source="the forward process of Gupta, Cai, Chen 2024 and all its predecessors",
        provenance="derived",
        left="d_t m, d_t v and d_x ln q of each mode, from the package's own marginals and score; d_t ln q of each "
        "factor",
        right_text="-m, 2 - 2v and -(x-m)/v; 1 + x s + s^2 + s'",
        hypotheses=("t > 0, or a target with a density",),
        kinds=("symbolic", "exact"),
    ),
    Claim(
        id="A2",
        statement="the reverse probability flow carries q_t to q_(t-h)",
        formula=r"x_{t-h} = e^{h} x_t + \int_0^h e^{h-r} s_{t-r}(x_{t-r})\,dr \;\Rightarrow\; x_{t-h}\sim q_{t-h}",
        source="the probability flow of the forward process",
        provenance="derived",
        left="the package's flow map: its derivative in h, and the mean and variance that it makes of q_t",
        right_text="x + s_{t-h}(x), the mean and the variance of q_{t-h}",
        hypotheses=("0 <= h <= t",),
        kinds=("symbolic", "exact"),
    ),
    Claim(
        id="A3",
        statement="score perturbation: the score changes slowly along the flow",
        formula=r"\mathbb{E}\,\|\partial_t[s_t(x_t)]\|^2 \lesssim %s",
        source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
        provenance="quoted",
        left="E|d/dt s_t(x_t)|^2 along the exact flow: sum of (1-v)^2/v^3 over modes",
        bounds=(Bound("L^2 d max(L, 1/t)"),),
        hypotheses=("L is the Lipschitz constant of the score along the whole path", "x_t ~ q_t"),
        kinds=("exact",),
    ),
    Claim(
        id="A4",
        statement="start: N(0, I) is close to q_T",
        formula=r"\mathrm{TV}(q_T, N(0,I)) \lesssim %s, \qquad m_2^2 = \mathbb{E}\|X_0\|^2",
        source="Chen, Chewi, Lee, Li, Lu, Salim 2023",
        provenance="quoted",
        left="TV(q_T, N(0,I)), exact",
        bounds=(Bound("exp(-T) (sqrt(d) + m_2)"),),
        kinds=("symbolic", "exact", "certified"),
    ),
    Claim(
        id="A5",
        statement="early stop: q_delta is close to the data in W2",
        formula=r"W_2(q_\delta, q_0) \lesssim %s",
        source="the coupling X_delta = e^{-delta} X_0 + noise",
        provenance="derived",
        left="W_2(q_delta, q_0), exact",
        bounds=(Bound("sqrt(delta d) + delta m_2"),),
        hypotheses=("delta <= 1",),
        kinds=("exact",),
    ),
)
