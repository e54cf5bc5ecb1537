"""A score that worker processes import by name, and a run with a store that a test starts in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from rmverify import Plan, Predict, sample, schemes
from rmverify.readings import particles
from rmverify.tasks import pool

PLAN = Plan([Predict(schemes.randomized_midpoint, [1.5, 1.0, 0.7])])
N, DIM, TILE = 203, 3, 20


class Logged:
    """-x, slowly, noting in a file how many particles of which process were asked for."""

    def __init__(self, log, seconds):
        self.log, self.seconds = str(log), seconds

    def __repr__(self):
        return "Logged"

    def __call__(self, t, x):
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{x.shape[0]} {os.getpid()}\n".encode())
        os.close(handle)
        time.sleep(self.seconds)
        return -x


def run(store, log, seconds, **options):
    """So many particles in tiles of 20."""
    particles._TASK, particles._TILE = DIM * TILE, DIM * TILE
    return sample(PLAN, Logged(log, seconds), N, DIM, rng=3, store=store, **options)


def main():
    store, log, seconds, workers = sys.argv[1:]
    with pool(int(workers)) as executor:
        run(store, log, float(seconds), executor=executor)


def plain():
    """The same particles, without a store and not cut."""
    return sample(PLAN, lambda t, x: -x, N, DIM, rng=3)


def bent(t, x):
    """NaN for particles whose first coordinate is largest."""
    return np.where(x[:, :1] > 2.0, np.nan, -x)


def deadly(t, x):
    """Kill the process that computes the last tile, which is a small one."""
    if 1 < x.shape[0] < TILE:
        os.kill(os.getpid(), signal.SIGKILL)
    return -x
