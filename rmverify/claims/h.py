"""H: other predictors of diffusion models, by their one-step errors."""

from rmverify.claims.evidence import Claim

CLAIMS: tuple[Claim, ...] = ()
