"""The command for machines with a GPU: what it says where there is none, and what it checks, here on CPUs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rmverify.numbers import backends as reading

sys.path.append(str(Path(__file__).parents[2]))  # last, so that the package is the installed one
from benchmarks import backends as timed
from benchmarks import gpu


def test_without_a_device_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "_device", lambda library: None)
    assert gpu.main(["--out", str(tmp_path / "gpu.json")]) == 0
    assert capsys.readouterr().out == (
        "no CUDA device that an installed CuPy, PyTorch or JAX sees: nothing was run\n"
    )  # fmt: skip
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["gpu"] == "none"
    assert "times" not in report


def test_a_library_that_fails_to_look_is_one_without_a_device(monkeypatch, capsys):
    def fails(library):
        raise RuntimeError("no driver")

    monkeypatch.setattr(gpu, "_device", fails)
    assert gpu.devices() == {}
    assert "torch: RuntimeError: no driver" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_all_of_it_where_the_device_is_a_cpu(library, monkeypatch, tmp_path, capsys):
    pytest.importorskip(library)
    plans = gpu._plans()
    monkeypatch.setattr(gpu, "_plans", lambda: {name: plans[name] for name in ("euler", "underdamped")})
    monkeypatch.setattr(gpu, "devices", lambda: {library: {"name": "none", "place": "cpu"}})
    monkeypatch.setattr(gpu, "_TIMED", ((10_000, 3, "float32", False),))
    monkeypatch.setattr(timed, "SCHEMES", ("euler", "exponential_integrator"))
    assert gpu.main(["--out", str(tmp_path / "gpu.json"), "--quick"]) == 0
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert len(report["equality"]) == 12 + 4 * (library == "jax")
    assert all(row["same"] for row in report["equality"])
    assert [record["case"] for record in report["times"]] == [
        f"{library} float32, exponential_integrator, {name}, n=1e+02, d=3" for name in timed.TARGETS
    ]
    assert all(record["least"] > 0 for record in report["times"])
    assert "runs are NumPy's to rounding" in capsys.readouterr().out


def test_other_particles_are_told(monkeypatch, tmp_path, capsys):
    row = {"library": "torch", "same": False}
    monkeypatch.setattr(gpu, "devices", lambda: {"torch": {"name": "none", "place": "cpu"}})
    monkeypatch.setattr(gpu, "equality", lambda library, place: iter([row]))
    monkeypatch.setattr(gpu, "_TIMED", ())
    assert gpu.main(["--out", str(tmp_path / "gpu.json")]) == 1
    assert "equality: 0 of 1 runs" in capsys.readouterr().out


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("library", timed.LIBRARIES)
def test_every_scheme_gives_the_same_numbers_on_a_device(library):
    found = gpu.devices()
    if library not in found:
        pytest.skip(f"{library} is not installed or sees no CUDA device")
    assert [row for row in gpu.equality(library, found[library]["place"]) if not row["same"]] == []


@pytest.mark.gpu
def test_the_kernels_of_cupy_are_used():
    if "cupy" not in gpu.devices():
        pytest.skip("CuPy is not installed or sees no CUDA device")
    assert all(reading._kernel(of) is not None for of in ("words", "normals"))
