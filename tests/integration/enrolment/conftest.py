"""An EST server of a real authority on a real database, in a thread."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.enrolment import verbs
from hemaline_cloud.enrolment.authority import make_authority
from hemaline_cloud.enrolment.issuing import Issuing
from hemaline_cloud.settings import EstSettings
from hemaline_edge.enrolment import DeviceCertificate
from hemaline_edge.settings import EdgeSettings
from hemaline_shared.topics import DeviceName
from parts.people import TESTS

SCOPE = DeviceName("lab", "scope-1")


@dataclass
class EstPart:
    """May be stopped, and started on the same port with other lifetimes."""

    settings: EstSettings
    folder: Path

    def start(self, **changed: Any) -> None:
        self.settings = self.settings.model_copy(update=changed)
        self._server = verbs.est_server(self.settings)
        issuing = self.issuing
        self._lists = verbs.broker_lists(self.settings, issuing.engine, issuing.authority)
        self._lists.__enter__()
        port = int(self._server.server_address[1])
        self.settings = self.settings.model_copy(update={"port": port})
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._lists.__exit__(None, None, None)
        self._server.issuing.engine.dispose()

    @property
    def issuing(self) -> Issuing:
        return self._server.issuing

    def restart(self, **changed: Any) -> None:
        self.stop()
        self.start(**changed)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.settings.port}"

    @property
    def root(self) -> Path:
        return self.settings.authority / "root.crt"

    def token(self, name: DeviceName = SCOPE, lasts: timedelta = timedelta(hours=1)) -> str:
        said: list[str] = []
        verbs.enrol_device(self.settings, name, lasts, said.append)
        return said[0]

    def device(self, name: DeviceName = SCOPE, place: str = "pc") -> DeviceCertificate:
        return DeviceCertificate(self.edge_settings(name, place))

    def edge_settings(self, name: DeviceName = SCOPE, place: str = "pc") -> EdgeSettings:
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        return EdgeSettings.model_validate(
            {
                "site": name.site,
                "device": name.device,
                "source": {"kind": "simulator"},
                "spool": {"path": folder / "spool"},
                "broker": {
                    "ca": self.root,
                    "certificate": folder / "device.crt",
                    "key": folder / "device.key",
                },
                "enrolment": {"server": self.url, "ca": self.root, "check_s": 0.1},
            }
        )


@pytest.fixture
def est(database_url: str, tmp_path: Path) -> Iterator[EstPart]:
    authority = tmp_path / "authority"
    make_authority(authority, "localhost")
    url = SecretStr(database_url)
    part = EstPart(EstSettings(database_url=url, authority=authority, port=0), tmp_path)
    part.start()
    yield part
    part.stop()


@pytest.fixture
def audited(database_url: str) -> Iterator[Callable[[], list[tuple[str, str, str]]]]:
    """Who did what about certificates, and of which site, oldest first."""
    engine = make_engine(database_url, principal=TESTS, pool_size=1)

    def events() -> list[tuple[str, str, str]]:
        wanted = (
            "select site, action, split_part(detail, ':', 1) from audit_events"
            " where subject = 'device-certificate' and action <> 'enrol' order by event_id"
        )
        with unit_of_work(engine) as connection:
            return [(row[0], row[1], row[2]) for row in connection.exec_driver_sql(wanted)]

    yield events
    engine.dispose()
