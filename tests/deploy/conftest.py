"""One engine for the run; the base, the wheels and what was built stay in the cache."""

import pytest

from conftest import missing
from parts.api import api_address, api_settings, factory, person
from parts.containers import Engine, cache_folder, why_not

__all__ = ["api_address", "api_settings", "factory", "person"]


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
