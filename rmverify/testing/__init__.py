"""For tests of samplers: asserts about exact laws, and Hypothesis strategies in `rmverify.testing.strategies`.

Nothing is imported before it is used, as pytest loads `rmverify.testing.plugin` in every run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "assert_bookkeeping",
    "assert_law",
    "assert_order",
    "assert_same_law",
    "assert_stationary",
    "assert_unbiased",
]

if TYPE_CHECKING:
    from rmverify.testing.asserts import (
        assert_bookkeeping,
        assert_law,
        assert_order,
        assert_same_law,
        assert_stationary,
        assert_unbiased,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("rmverify.testing.asserts"), name)
    raise AttributeError(f"module 'rmverify.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
