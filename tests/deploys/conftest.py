"""Which version of before a deploy comes from."""

from __future__ import annotations

import pytest

from tests.services.release import before_the_last_revision


@pytest.fixture
def deploy_from(pytestconfig: pytest.Config) -> str:
    """The commit that was asked for."""
    asked = pytestconfig.getoption("--deploy-from")
    commit = before_the_last_revision() if asked == "before" else str(asked)
    if not commit:
        pytest.fail("the history of this clone does not go back so far: git fetch --unshallow")
    return commit


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Nobody asked: there is no such test."""
    if config.getoption("--deploy-from") is None:
        unasked = [item for item in items if "deploy_from" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=unasked)
        items[:] = [item for item in items if item not in unasked]
