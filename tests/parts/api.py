"""Fixtures of the API: seeded rows, a directory store, a client in this process, a real server."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from factories import IDENTITY_KEY, Factory
from hemaline_cloud.api.server import make_app, make_server
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import ApiSettings, DirectoryObjects
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts.people import LoggedIn, as_person, logged_in
from parts.waiting import LONG_S

UPLOAD_SECRET = "a secret of thirty-two characters"


@dataclass
class ApiProcess:
    """`hemaline-cloud api` as a process."""

    address: str
    child: Child


def settings_of_api(database_url: str, objects: Path) -> ApiSettings:
    """Settings of an API for the test client, with a directory store."""
    return ApiSettings(
        database_url=SecretStr(database_url),
        allowed_hosts=frozenset({"testserver"}),
        identity_key=SecretStr(IDENTITY_KEY),
        objects=DirectoryObjects(
            path=objects,
            upload_url="http://testserver",
            upload_secret=SecretStr(UPLOAD_SECRET),
        ),
    )


@pytest.fixture
def api_settings(database_url: str, tmp_path: Path) -> ApiSettings:
    return settings_of_api(database_url, tmp_path / "objects")


@pytest.fixture
def factory(api_settings: ApiSettings) -> Iterator[Factory]:
    made = Factory(api_settings.database_url.get_secret_value(), open_store(api_settings.objects))
    yield made
    made.close()


@pytest.fixture
def person(database_url: str) -> LoggedIn:
    """Somebody with every role at every site, logged in."""
    return logged_in(database_url)


@pytest.fixture
def anybody(api_settings: ApiSettings) -> Iterator[TestClient]:
    """A client that is not logged in."""
    with TestClient(make_app(api_settings)) as connected:
        yield connected


@pytest.fixture
def client(anybody: TestClient, person: LoggedIn) -> TestClient:
    """A client in which `person` is logged in."""
    return as_person(anybody, person)


@pytest.fixture
def api_address(api_settings: ApiSettings) -> Iterator[str]:
    """The address of `api_server`."""
    with api_server(api_settings) as address:
        yield address


@contextmanager
def api_server(api_settings: ApiSettings, port: int | None = None) -> Iterator[str]:
    """Run a server in a thread of this process: it starts in a moment."""
    port = port or free_port()
    server = make_server(api_settings.model_copy(update={"port": port}))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def api_process(api_settings: ApiSettings, tmp_path: Path) -> Iterator[ApiProcess]:
    port = free_port()
    assert isinstance(api_settings.objects, DirectoryObjects)
    env = {
        "HEMALINE_DATABASE_URL": api_settings.database_url.get_secret_value(),
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(api_settings.objects.path),
        "HEMALINE_PORT": str(port),
    }
    command = [sys.executable, "-m", "hemaline_cloud", "api"]
    child = Child("api", command, tmp_path / "api.log", env)
    child.wait_ready(lambda: http_ok(port, "/readyz"), timeout_s=LONG_S, port=port)
    yield ApiProcess(f"http://127.0.0.1:{port}", child)
    child.stop()
