"""Cells that worker processes import by name, and a sweep that a test starts in a process of its own and kills."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from pathlib import Path

from rmverify import Value
from rmverify.studies import sweep


def plain(x):
    """What the cells below are expected to return: closed form, no work."""
    return {"root": Value(math.sqrt(x), "upper", math.ulp(math.sqrt(x))), "pole": (math.inf if x == 0 else 1 / x, x)}


def logged(x, log, seconds):
    """Note the cell and the process, take some time, answer."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{x} {os.getpid()}\n".encode())
    os.close(handle)
    time.sleep(seconds)
    return plain(x)


def where(x, seconds):
    """Say which process answered."""
    time.sleep(seconds)
    return [math.sqrt(x), os.getpid()]


def needs(x, folder):
    """Raise unless the cell's file is there."""
    Path(folder, str(x)).touch(exist_ok=x != 1)
    if not Path(folder, "repaired").exists() and x % 3 == 2:
        raise ArithmeticError("no\nanswer")
    return x


def deadly(x):
    """Kill the process that computes cell 5."""
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return math.sqrt(x)


def cells(count, log, seconds):
    return [{"x": x, "log": str(log), "seconds": seconds} for x in range(count)]


def main():
    store, log, workers, count, seconds = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell inherits it as ignored
    try:
        sweep.run(logged, cells(int(count), log, float(seconds)), store=store, workers=int(workers))
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
