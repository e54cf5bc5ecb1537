"""F: theorems on randomized Langevin samplers, and on what errors of the score cost."""

from rmverify.claims.evidence import Claim

CLAIMS: tuple[Claim, ...] = ()
