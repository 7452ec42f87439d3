"""One engine for the run; the base, the wheels and what was built stay in the cache."""

import pytest

from conftest import missing
from parts.containers import Engine, cache_folder, why_not


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
