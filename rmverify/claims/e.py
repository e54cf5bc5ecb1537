"""E: Perbost, Bach, Marion 2026: Langevin and diffusion on Gaussians, with explicit constants."""

from rmverify.claims.evidence import Claim

CLAIMS: tuple[Claim, ...] = ()
