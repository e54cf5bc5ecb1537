"""Underdamped Langevin in continuous time, which the correctors discretize: the law that a corrector aims at."""
