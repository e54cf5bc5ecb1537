"""G: the neighbours of the paper: parallel samplers, Moreau envelopes, starts from data, scores by Monte Carlo."""

from rmverify.claims.evidence import Claim

CLAIMS: tuple[Claim, ...] = ()
