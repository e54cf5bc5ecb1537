"""Fixtures for all tests: Hypothesis profiles, array namespaces, a clean ball arithmetic."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: the test processes already fill the cores

import flint
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings

collect_ignore = ["reference"]  # scripts that make reference data, not tests

# Every field is explicit: a registered profile otherwise inherits from the one that
# Hypothesis loads by itself when it believes to run in CI.
EXPLICIT: dict[str, Any] = {
    "backend": "hypothesis",
    "database": None,
    "deadline": None,
    "phases": tuple(Phase),
    "print_blob": True,
    "report_multiple_bugs": True,
    "stateful_step_count": 50,
    "suppress_health_check": (HealthCheck.too_slow,),  # it depends on the machine
    "verbosity": Verbosity.normal,
}
settings.register_profile("default", max_examples=50, derandomize=True, **EXPLICIT)
settings.register_profile("deep", max_examples=1000, derandomize=False, **EXPLICIT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


class ReadOnlyNumpy:
    """NumPy whose `asarray` gives copies that cannot be written to."""

    __name__ = "numpy-readonly"

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def asarray(self, values: Any, **options: Any) -> np.ndarray:
        array = np.array(values, **options)
        array.flags.writeable = False
        return array


def load_backend(name: str) -> Any:
    """Return an array namespace, or skip with the backend and the reason."""
    if name == "numpy-readonly":
        return ReadOnlyNumpy()
    try:
        library = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name}: {error}")
    if name == "jax":
        library.config.update("jax_enable_x64", True)
        return library.numpy
    if name == "cupy":
        try:
            library.cuda.runtime.getDeviceCount()
        except library.cuda.runtime.CUDARuntimeError as error:
            pytest.skip(f"cupy: {error}")
    return importlib.import_module(f"array_api_compat.{name}") if name in {"cupy", "torch"} else library


@pytest.fixture(params=["numpy", "numpy-readonly", "array_api_strict", "cupy", "torch", "jax"])
def xp(request: pytest.FixtureRequest) -> Any:
    """An array namespace; make its arrays with `xp.asarray`."""
    return load_backend(request.param)


@pytest.fixture(autouse=True)
def clean_balls() -> Iterator[None]:
    """Whatever a test does to python-flint's context ends with it."""
    yield
    flint.ctx.default()
