"""``rmverify sample``: run a sampler, and keep what it draws."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from typing import Any

from rmverify.cli.options import add_command, add_plan, plan_of, seeded, whole
from rmverify.cli.output import Exit, Usage, complain, writable

MOST_NUMBERS = 10**9
"""Numbers in the largest table of samples, 8 GB."""


def add(commands: Any) -> None:
    """The command and its options."""
    sample = add_command(
        commands, "sample", "run a sampler on the Gaussian fitted to the data", run,
        "rmverify sample digits --steps 200 -n 1000 --out digits-samples.npy\n"
        "  rmverify sample digits -n 10000000 --seed 1 --workers 8 --store digits-samples",
    )  # fmt: skip
    add_plan(sample)
    sample.add_argument("-n", type=whole(1), default=1000, help="number of samples")
    sample.add_argument(
        "--backend",
        choices=("numpy", "cupy", "torch", "jax"),
        default="numpy",
        help="whose arrays the particles are; the same seed gives the same samples on each",
    )
    sample.add_argument(
        "--device", help="where they are, as that library names it (cpu, cuda:0); its own default if not"
    )
    sample.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="their precision")
    where = sample.add_mutually_exclusive_group()
    where.add_argument("--workers", type=whole(1), metavar="N", help="processes; default: threads of this one")
    where.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers compute instead")
    to = sample.add_mutually_exclusive_group(required=True)
    to.add_argument("--out", metavar="FILE", help="where they go, as .npy or .csv")
    to.add_argument(
        "--store", metavar="FOLDER",
        help="where they go as they come, in samples.npy, of any size; the same command, with its --seed, continues a "
        "run that was stopped",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from rmverify.samplers.arrays import empty_on
    from rmverify.tasks import Gone

    suffix = None if options.store else writable("--out", options.out, ("npy", "csv"))
    target, _, plan = plan_of(options)
    if options.store and options.seed is None:
        raise Usage("--store: needs --seed, with which the same command continues its run")
    if suffix and options.n * target.dim > MOST_NUMBERS:
        most = f"{MOST_NUMBERS // target.dim} samples in dimension {target.dim} ({8e-9 * MOST_NUMBERS:g} GB)"
        raise Usage(f"-n: expected at most {most} in one file, got {options.n}; --store takes more")
    seeded(options, True)
    try:
        like = empty_on(options.backend, options.dtype, options.device)
    except ValueError as error:
        raise Usage(f"--{error}") from None
    try:
        x = _drawn(options, plan, target, like)
    except Gone as error:
        more = "; what was computed is in the store: the same command continues it" if options.store else ""
        return complain(f"{error}{more}", Exit.INTERNAL)
    if suffix:
        _written(options, suffix, x)
    if not options.quiet:
        cost = f"{plan.evaluations} score evaluations each, seed {options.seed}"
        at = options.out or os.path.join(options.store, "samples.npy")
        print(f"{options.n} samples in dimension {target.dim}, {cost}: {at}", file=sys.stderr)
    return Exit.VERIFIED


def _drawn(options: argparse.Namespace, plan: Any, target: Any, like: Any) -> Any:
    """The samples, by what was asked to compute them."""
    from rmverify.readings.particles import sample
    from rmverify.samplers.arrays import host, quietly
    from rmverify.tasks import pool

    shown = not (options.quiet or options.no_progress) and sys.stderr.isatty()
    apart = options.dask is not None or (options.workers or 1) > 1
    with quietly(options.backend), pool(options.workers or 1, options.dask) if apart else nullcontext() as executor:
        x = sample(
            plan, target, options.n, target.dim, rng=options.seed, like=like, progress=shown, workers=options.workers,
            executor=executor, store=options.store,
        )  # fmt: skip
        return x if options.store else host(x).astype(options.dtype)


def _written(options: argparse.Namespace, suffix: str, x: Any) -> None:
    import io

    import numpy as np

    from rmverify.io import atomic_write

    out = io.BytesIO()
    if suffix == "npy":
        np.save(out, x, allow_pickle=False)
    else:
        np.savetxt(out, x, delimiter=",", fmt="%.17g" if options.dtype == "float64" else "%.9g")
    atomic_write(options.out, out.getvalue())
