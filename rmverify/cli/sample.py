"""``rmverify sample``: run a sampler, and keep what it draws."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rmverify.cli.options import add_command, add_plan, plan_of, seeded, whole
from rmverify.cli.output import Exit, Usage, writable

MOST_NUMBERS = 10**9
"""Numbers in the largest table of samples, 8 GB."""


def add(commands: Any) -> None:
    """The command and its options."""
    sample = add_command(
        commands, "sample", "run a sampler on the Gaussian fitted to the data", run,
        "rmverify sample digits --steps 200 -n 1000 --out digits-samples.npy",
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
    sample.add_argument("--out", required=True, metavar="FILE", help="where they go, as .npy or .csv")


def run(options: argparse.Namespace) -> int:
    import io

    import numpy as np

    from rmverify.io import atomic_write
    from rmverify.readings.particles import sample
    from rmverify.samplers.arrays import empty_on, host, quietly

    suffix = writable("--out", options.out, ("npy", "csv"))
    target, _, plan = plan_of(options)
    if options.n * target.dim > MOST_NUMBERS:
        most = f"{MOST_NUMBERS // target.dim} samples in dimension {target.dim} ({8e-9 * MOST_NUMBERS:g} GB)"
        raise Usage(f"-n: expected at most {most}, got {options.n}")
    seeded(options, True)
    shown = not (options.quiet or options.no_progress) and sys.stderr.isatty()
    try:
        like = empty_on(options.backend, options.dtype, options.device)
    except ValueError as error:
        raise Usage(f"--{error}") from None
    with quietly(options.backend):
        drawn = sample(plan, target, options.n, target.dim, rng=options.seed, like=like, progress=shown)
        x = host(drawn).astype(options.dtype)
    out = io.BytesIO()
    if suffix == "npy":
        np.save(out, x, allow_pickle=False)
    else:
        np.savetxt(out, x, delimiter=",", fmt="%.17g" if options.dtype == "float64" else "%.9g")
    atomic_write(options.out, out.getvalue())
    if not options.quiet:
        cost = f"{plan.evaluations} score evaluations each, seed {options.seed}"
        print(f"{options.n} samples in dimension {target.dim}, {cost}: {options.out}", file=sys.stderr)
    return Exit.VERIFIED
