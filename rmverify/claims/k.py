"""K: other Langevin and Hamiltonian steps, by their one-step errors."""

from rmverify.claims.evidence import Claim

CLAIMS: tuple[Claim, ...] = ()
