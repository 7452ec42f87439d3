"""One engine for the run; the base, the wheels and what was built stay in the cache."""

from pathlib import Path

import pytest

from conftest import missing
from parts.api import api_address, api_settings, factory, person
from parts.containers import Engine, cache_folder, why_not

LIMIT_S = 900

__all__ = ["api_address", "api_settings", "factory", "person"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Building images takes as long as the machine and its mirror do; a test does not."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(LIMIT_S, func_only=True))


@pytest.fixture(scope="session")
def engine() -> Engine:
    if reason := why_not():
        missing(reason)
    return Engine(cache_folder())


@pytest.fixture(scope="session")
def cloud_image(engine):
    return engine.build("cloud")


@pytest.fixture(scope="session")
def edge_image(engine):
    return engine.build("edge")
