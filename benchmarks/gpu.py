"""Whatever there is to say of a machine with a GPU, in one command: `python -m benchmarks.gpu [--out FILE]`.

Offline, and meant for ten minutes at most, set-up included: its work is counted, not timed. It runs every scheme and
plan with the same seed on CuPy, PyTorch and JAX, as far as each is installed and sees a CUDA device, in both
precisions, and says how far the particles are from NumPy's; then it times `rm.sample` on the device
(`benchmarks.backends`). All goes into one JSON. Where there is no CUDA device it says so in one line, the JSON says
"none", and the exit code is 0; it is 1 where a device's particles are not NumPy's.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import backends
from benchmarks.record import plain

__all__ = ["devices", "equality", "main"]

_PARTICLES, _DIM = 1000, 3
_TIMED = ((100_000, 100, "float64", True), (100_000, 100, "float32", False), (1_000_000, 10, "float32", False))
_PLACES = {"cupy": "cuda:0", "torch": "cuda", "jax": "gpu"}
_PACKAGES = ("rmverify", "numpy", "cupy", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax", "jax-cuda12-plugin")


def main(arguments: list[str] | None = None) -> int:
    """Parse the options, look for devices, check and measure, and write the JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--out", default="gpu.json", metavar="FILE", help="where the JSON goes (gpu.json)")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the particles in what is timed")
    options = parser.parse_args(arguments)
    found = devices()
    about: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "platform": platform.platform(),
        "packages": _versions(), "gpu": found or "none",
    }  # fmt: skip
    if not found:
        print("no CUDA device that an installed CuPy, PyTorch or JAX sees: nothing was run")
        _write(options.out, about)
        return 0
    for library, device in found.items():
        print(f"{library}: {device['name']}")
    same = [row for library in found for row in equality(library, found[library]["place"])]
    bad = [row for row in same if not row["same"]]
    print(f"equality: {len(same) - len(bad)} of {len(same)} runs are NumPy's to rounding")
    for row in bad:
        print(f"  NOT: {row}")
    _write(options.out, about | {"equality": same})  # to keep, should the rest not end
    times = [record for library in found for record in _times(library, found[library]["place"], options.quick)]
    for record in times:
        shown = f"{record['least']:.3g} ns" if record["least"] else record["note"]
        print(f"{record['case']}, {record['method']}: {shown}")
    _write(options.out, about | {"equality": same, "times": times})
    return 1 if bad else 0


def devices() -> dict[str, dict[str, str]]:
    """For each library that sees a CUDA device, the device's name and what the library calls it."""
    found = {}
    for library in backends.LIBRARIES:
        try:
            if name := _device(library):
                found[library] = {"name": name, "place": _PLACES[library]}
        except Exception as error:  # a library without a driver tells it in many ways
            print(f"{library}: {type(error).__name__}: {str(error).strip()[:100]}", file=sys.stderr)
    return found


def _device(library: str) -> str | None:
    if not backends.here(library):
        return None
    found = importlib.import_module(library)
    if library == "torch":
        return str(found.cuda.get_device_name()) if found.cuda.is_available() else None
    if library == "cupy":
        return str(found.cuda.runtime.getDeviceProperties(0)["name"]) if found.cuda.is_available() else None
    gpus = [device for device in found.devices() if device.platform in ("gpu", "cuda")]
    return str(gpus[0].device_kind) if gpus else None


def equality(library: str, place: str) -> Iterator[dict[str, Any]]:
    """Every scheme and target in both precisions, compiled and not: the largest distance from NumPy's particles."""
    import rmverify as rm
    from rmverify.numbers import backends as reading
    from rmverify.samplers.arrays import empty_on, host, quietly

    least = reading.LEAST_WORK
    for name, target in _targets().items():
        for scheme, plan in _plans().items():
            due = rm.sample(plan, target, _PARTICLES, _DIM, rng=9)
            for dtype, rounding in (("float64", 2.0**-53), ("float32", 2.0**-24)):
                for compiled in (False, True) if library == "jax" and name == "dense" else (False,):
                    reading.LEAST_WORK = 0 if compiled else 1 << 62
                    row = {"library": library, "scheme": scheme, "target": name, "dtype": dtype, "compiled": compiled}
                    try:
                        with quietly(library):
                            like = empty_on(library, dtype, place)
                            values = host(rm.sample(plan, target, _PARTICLES, _DIM, rng=9, like=like))
                        distance = float(np.abs(values - due).max())
                        # of numbers below 10: a few hundred roundings, stretched by the condition of the scores
                        yield row | {"distance": distance, "same": distance < 10_000 * rounding}
                    except Exception as error:
                        yield row | {"same": False, "error": f"{type(error).__name__}: {error}"}
                    finally:
                        reading.LEAST_WORK = least


def _targets() -> dict[str, Any]:
    import rmverify as rm

    center = [0.5, -1.0, 0.25]
    return {
        "diagonal": rm.Gaussian(center, [2.0, 0.5, 0.25]),
        "dense": rm.Gaussian(center, [[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]]),
        "mixture": rm.GaussianMixture(
            [0.3, 0.7], [np.zeros(3), np.ones(3)], [np.eye(3), np.diag([0.5, 1.0, 2.0])]
        ),
    }  # fmt: skip


def _plans() -> dict[str, Any]:
    from rmverify import Correct, Plan, Predict, schemes

    kinetic = {"friction": 2, "mass": 3}
    predictors = [
        schemes.euler, schemes.exponential_integrator, schemes.heun, schemes.midpoint, schemes.randomized_midpoint,
        schemes.parallel_midpoint(strata=4, rounds=2),
    ]  # fmt: skip
    correctors = [
        schemes.overdamped, schemes.underdamped(**kinetic), schemes.randomized_midpoint_langevin(**kinetic),
        schemes.parallel_underdamped(cells=3, rounds=2, **kinetic),
    ]  # fmt: skip
    return {schemes.contract.name(s): Plan([Predict(s, [1.5, 1.0, 0.7])]) for s in predictors} | {
        schemes.contract.name(s): Plan([Correct(s, 0.7, 0.2, 3)]) for s in correctors
    }


def _times(library: str, place: str, quick: bool) -> list[dict[str, Any]]:
    records = []
    for n, d, dtype, peers in _TIMED:
        for name in backends.TARGETS:
            for scheme in backends.SCHEMES[1:]:
                particles = n // 100 if quick else n
                records += backends.rows(library, name, scheme, particles, d, 3, place, dtype, peers)
    return plain(records)


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write(path: str, report: dict[str, Any]) -> None:
    Path(path).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
