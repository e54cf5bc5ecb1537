"""`python -m benchmarks`: print all tables, or those of `--only`. The exit code is 0 whatever goals are met."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from importlib import metadata

from benchmarks.record import SECTIONS, THREADS, Record, plain, show

_PACKAGES = ("rmverify", "numpy", "scipy", "python-flint", "gx2", "dp-accounting")


def main() -> int:
    """Parse the options, set one thread before numpy is imported, measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure rmverify and its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, particles and peers: seconds")
    parser.add_argument("--only", action="append", choices=list(SECTIONS), metavar="NAME",
                        help=f"only this table, repeatable; of {', '.join(SECTIONS)}")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")
    options = parser.parse_args()
    for variable in THREADS:
        os.environ[variable] = "1"
    environment = _environment() | {"quick": options.quick}
    if not options.json:
        print(", ".join(f"{key} {value}" for key, value in environment.items()))
    everything: list[Record] = []
    for section in options.only or SECTIONS:
        print(f"measuring: {section}", file=sys.stderr)
        records = list(importlib.import_module(f"benchmarks.{section}").run(options.quick))
        everything += records
        if not options.json:
            show(section, records)
    missed = [record for record in everything if record.met is False]
    if options.json:
        print(json.dumps({"environment": environment, "records": plain(everything)}, indent=1))
    elif any(record.goal for record in everything):
        print("goals missed: " + ("; ".join(f"{r.case} ({r.time:.3g} s)" for r in missed) or "none"))
    return 0


def _environment() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {"Python": platform.python_version(), "on": platform.machine(), "cores": str(os.cpu_count()), **versions}


if __name__ == "__main__":
    sys.exit(main())
