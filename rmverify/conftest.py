"""For ``pytest --pyargs rmverify``, the self-test of an installed package: the derivations are not part of it."""

collect_ignore = ["proofs_checks"]
