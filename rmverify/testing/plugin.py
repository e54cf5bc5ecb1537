"""The pytest plugin: one fixture, `rmverify_target`, and nothing else that a run without it could notice.

pytest loads this file in every run of everybody who has the package, so it imports nothing but pytest itself.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__: list[str] = []

_FIXTURE = "rmverify_target"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each default target, where a test asks for one."""
    if _FIXTURE in metafunc.fixturenames:
        from rmverify.samplers.defaults import default_targets

        targets = default_targets()
        metafunc.parametrize(_FIXTURE, list(targets.values()), ids=list(targets), indirect=True)


@pytest.fixture
def rmverify_target(request: pytest.FixtureRequest) -> Any:
    """A Gaussian: in turn each of `rmverify.samplers.default_targets`."""
    return request.param
