"""Benchmarks of rmverify against its goals and against what a user would pick instead: `python -m benchmarks`.

Run from the root of the repository, on a quiet machine. Nothing of the package is changed for the measurements: they go
through its public names. Times are medians; one core, save for the commands of the command line.
"""
