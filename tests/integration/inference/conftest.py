"""A worker's surroundings: a database, a directory of objects, a tiny bundle."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from hemaline_cloud.database import results
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.inference.worker import Worker
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import DirectoryObjects, InferSettings
from parts.appointed import appointed
from parts.bundles import tiny_trained
from parts.waiting import LONG_S
from parts.worker import worker_of


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> InferSettings:
    return InferSettings(
        database_url=SecretStr(database_url),
        objects=DirectoryObjects(path=tmp_path / "objects"),
        bundle=tiny_trained(tmp_path / "bundle"),
        batch_size=4,
        max_wait_ms=10,
        lease_s=2,
        worker="w1",
    )


@pytest.fixture
def store(settings: InferSettings) -> ObjectStore:
    return open_store(settings.objects)


@contextmanager
def _running(settings: InferSettings) -> Iterator[Worker]:
    appointed(settings.database_url.get_secret_value(), settings.bundle, settings.purpose)
    worker = worker_of(settings)
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            troubles.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(timeout=LONG_S)
        # Here, not below: what broke the worker says more than what the test then missed.
        if troubles:
            raise troubles[0]
    assert not thread.is_alive()


@pytest.fixture
def running() -> Callable[[InferSettings], AbstractContextManager[Worker]]:
    return _running


@pytest.fixture
def process(settings: InferSettings) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `hemaline-cloud infer` as a process of its own, as plain as can be."""
    appointed(settings.database_url.get_secret_value(), settings.bundle)
    started = []

    def start(
        *program: str, stderr: int = subprocess.PIPE, **changes: str
    ) -> subprocess.Popen[bytes]:
        assert isinstance(settings.objects, DirectoryObjects)
        values = {
            "HEMALINE_DATABASE_URL": settings.database_url.get_secret_value(),
            "HEMALINE_OBJECTS__KIND": "directory",
            "HEMALINE_OBJECTS__PATH": str(settings.objects.path),
            "HEMALINE_BUNDLE": str(settings.bundle),
            "HEMALINE_LEASE_S": "2",
            **changes,
        }
        command = [sys.executable, *(program or ("-m", "hemaline_cloud", "infer"))]
        child = subprocess.Popen(command, env={**os.environ, **values}, stderr=stderr)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def query(engine: Engine) -> Callable[[str], list[tuple]]:
    """Ask the database, and read the rows."""

    def ask(statement: str) -> list[tuple]:
        with unit_of_work(engine) as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    return ask


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool], timeout_s: float = LONG_S) -> None:
        give_up_at = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < give_up_at, "it did not happen in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def drained(
    query: Callable[[str], list[tuple]], until: Callable[[Callable[[], bool]], None]
) -> Callable[[], None]:
    """Wait until no work is left."""

    def wait() -> None:
        until(lambda: query("select count(*) from work") == [(0,)])

    return wait


@contextmanager
def _slide_held(engine: Engine, slide_id: UUID) -> Iterator[None]:
    with unit_of_work(engine) as connection:
        results.lock_slides(connection, [slide_id])
        yield


@pytest.fixture
def slide_held(engine: Engine) -> Callable[[UUID], AbstractContextManager[None]]:
    """Keep every worker from committing a result of a slide."""
    return partial(_slide_held, engine)
