"""The libraries whose code is read, imported without their own warnings, or the test skipped with a reason."""

from __future__ import annotations

import warnings

import pytest


def library(name: str, extra: str = "pip install 'rmverify[clients]'"):
    """The module, or a skip of all that needs it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"needs {name}: {extra}")
