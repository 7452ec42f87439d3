"""Fixtures: the real servers that the tests start and stop."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hemaline_cloud.settings import S3Objects
from hemaline_local.broker import find_mosquitto, iotcore_command, mosquitto_command
from parts.broker import BrokerPart
from parts.folders import MEMORY, memory, readable_folder, remove_abandoned
from parts.postgres import PostgresPart
from parts.seaweedfs import SeaweedPart


def pytest_configure(config: pytest.Config) -> None:
    """Once a run, before its workers start."""
    if not hasattr(config, "workerinput"):
        for place in (MEMORY, Path(tempfile.gettempdir())):
            remove_abandoned(place)


def missing(reason: str) -> None:
    """Skip with a reason; where nothing may be missing (HEMALINE_TEST_ALL), fail."""
    if os.environ.get("HEMALINE_TEST_ALL"):
        pytest.fail(f"nothing may be skipped here, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The labelled images; their folders and manifests are described in CONTRIBUTING.md."""
    folder = os.environ.get("HEMALINE_DATA")
    if not folder or not Path(folder).is_dir():
        missing("HEMALINE_DATA names no data directory")
    return Path(folder)


def _mosquitto(folder: Path, port: int, extra: str) -> list[str]:
    executable = find_mosquitto()
    if not executable:
        missing("mosquitto is not installed")
    return mosquitto_command(executable, folder, port, extra)


def _iotcore(folder: Path, port: int, extra: str) -> list[str]:
    assert not extra, "iotcore takes no Mosquitto configuration"
    return iotcore_command(folder, port)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerPart]:
    """A running Mosquitto."""
    part = BrokerPart(tmp_path / "broker", _mosquitto)
    part.start()
    yield part
    part.stop()


@pytest.fixture(params=[_mosquitto, _iotcore], ids=["mosquitto", "iotcore"])
def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerPart]:
    """Each broker that Hemaline can start by itself."""
    part = BrokerPart(tmp_path / "broker", request.param)
    part.start()
    yield part
    part.stop()


@pytest.fixture
def home() -> Iterator[Path]:
    """Where a one-machine system keeps its files."""
    with readable_folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresPart]:
    """A running PostgreSQL server, one for the whole run."""
    with readable_folder(memory()) as folder:
        part = PostgresPart(folder / "postgres")
        part.start()
        yield part
        part.stop()


@pytest.fixture
def empty_database_url(postgres: PostgresPart) -> Iterator[str]:
    """A database without a table."""
    url = postgres.create_empty()
    yield url
    postgres.drop(url)


@pytest.fixture
def database_url(postgres: PostgresPart) -> Iterator[str]:
    """A database with this version's schema and no row."""
    url = postgres.create_migrated()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedPart]:
    """A running SeaweedFS, one for the whole run; a test that stops it starts it again."""
    part = SeaweedPart(tmp_path_factory.mktemp("seaweedfs"))
    part.start()
    yield part
    part.stop()


@pytest.fixture
def s3_objects(seaweedfs: SeaweedPart) -> S3Objects:
    """Settings of a real S3 with an existing bucket."""
    return seaweedfs.settings
