"""An ingest on real parts, a ledger to read, and senders."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from hemaline_cloud.database.engine import make_engine
from hemaline_cloud.ingest.service import Ingest
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import DirectoryObjects, IngestSettings
from parts.captures import SCOPE
from parts.sender import Sender
from parts.waiting import LONG_S


@pytest.fixture
def objects(tmp_path):
    return DirectoryObjects(
        path=tmp_path / "objects",
        upload_url="http://127.0.0.1:1",
        upload_secret=SecretStr("only-in-this-test"),
    )


@pytest.fixture
def settings_of(database_url, objects):
    def settings(broker):
        url = SecretStr(database_url)
        return IngestSettings(database_url=url, objects=objects, broker=broker.settings)

    return settings


@pytest.fixture
def settings(settings_of, broker):
    return settings_of(broker)


@pytest.fixture
def store(objects):
    return open_store(objects)


@pytest.fixture
def start() -> Iterator[Callable[[IngestSettings], Ingest]]:
    running = []

    def start_one(settings: IngestSettings) -> Ingest:
        ingest = Ingest(settings)
        ingest.start()
        running.append(ingest)
        assert ingest.link.wait_connected(LONG_S)
        return ingest

    yield start_one
    for ingest in running:
        ingest.stop()


@pytest.fixture
def ingest(start, settings):
    return start(settings)


@pytest.fixture
def sender(broker, ingest):
    with Sender(broker.settings, SCOPE) as sender:
        yield sender


class Ledger:
    """Everything in the database, as plain rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self, statement: str) -> list[tuple]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def all(self) -> dict[str, list[tuple]]:
        tables = ("slides", "frames", "fields", "cells", "work", "dead_letters")
        return {table: sorted(self.rows(f"select * from {table}"), key=str) for table in tables}

    def states(self) -> dict:
        return dict(self.rows("select frame_id, state from frames"))

    def reasons(self) -> list[str]:
        return [reason for (reason,) in self.rows("select reason from dead_letters order by 1")]


@pytest.fixture
def ledger(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    yield Ledger(engine)
    engine.dispose()
