"""For tests of samplers: Hypothesis strategies in `rmverify.testing.strategies`."""
