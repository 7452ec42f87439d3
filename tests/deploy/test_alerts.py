"""An alert goes its whole way: the API's numbers, Prometheus, Alertmanager, a webhook."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from sqlalchemy import update

from conftest import missing
from factories import SITE, Factory
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.schema import Device
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts.people import LoggedIn
from parts.prometheus import RULES, PrometheusPart
from parts.waiting import LONG_S, wait_until

pytestmark = pytest.mark.deploy

DEVICE = "scope-1"


class Receiver:
    """A webhook; `told` has status, alert and device of all that it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str | None]] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    told.append((alert["status"], labels["alertname"], labels.get("device")))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """What was told is in `told`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def watched(
    api_address: str, person: LoggedIn, receiver: Receiver, tmp_path: Path
) -> Iterator[None]:
    """Prometheus and Alertmanager with the rules of deploy/prometheus, in quick motion."""
    alertmanager = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
    if not alertmanager:
        missing("alerts want prometheus-alertmanager")
    alertmanager_port = free_port()
    write_settings(tmp_path, receiver.port)
    command = [
        alertmanager,
        f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}/alertmanager",
        f"--web.listen-address=127.0.0.1:{alertmanager_port}",
        "--cluster.listen-address=",
    ]
    alerts = Child("alertmanager", command, tmp_path / "alertmanager.log")
    alerts.wait_ready(
        lambda: http_ok(alertmanager_port, "/-/ready"), timeout_s=LONG_S, port=alertmanager_port
    )
    to = {"targets": [f"127.0.0.1:{alertmanager_port}"]}
    api = {
        "job_name": "api",
        "authorization": {"credentials": person.token},
        "static_configs": [{"targets": [api_address.removeprefix("http://")]}],
    }
    prometheus = PrometheusPart(
        tmp_path / "prometheus",
        {
            "rule_files": [str(RULES / "recording.yml"), str(tmp_path / "alerts.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [to]}]},
            "scrape_configs": [api],
        },
    )
    prometheus.start()
    yield
    prometheus.stop()
    alerts.stop()


def write_settings(folder: Path, receiver_port: int) -> None:
    """Write what an installer has, with seconds in place of minutes."""
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "2s"
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    of_compose = yaml.safe_load((RULES.parent / "compose" / "alertmanager.yml").read_text())
    of_compose["route"] |= {"receiver": "test", "group_wait": "1s", "group_interval": "1s"}
    hook = {"url": f"http://127.0.0.1:{receiver_port}/"}
    of_compose["receivers"] = [{"name": "test", "webhook_configs": [hook]}]
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(of_compose))


@pytest.fixture
def tells(factory: Factory) -> Iterator[Callable[..., None]]:
    """A device that goes on telling, until the test says what it tells instead."""
    now = datetime.now(UTC)
    factory.device(DEVICE, at=now, captured_at=now)
    factory.device("neighbour", at=now + timedelta(days=1), captured_at=now + timedelta(days=1))
    telling, stopping = {"values": {}, "on": True}, threading.Event()

    def change(*, on: bool = True, **values: object) -> None:
        telling["values"], telling["on"] = values, on

    def tell() -> None:
        while not stopping.wait(0.5):
            if not telling["on"]:
                continue
            now = datetime.now(UTC)
            with unit_of_work(factory.engine) as connection:
                connection.execute(
                    update(Device)
                    .where(Device.site == SITE, Device.device == DEVICE)
                    .values(telemetry_at=now, capture_at=now, **telling["values"])
                )

    thread = threading.Thread(target=tell)
    thread.start()
    yield change
    stopping.set()
    thread.join()


@pytest.mark.usefixtures("watched")
def test_a_device_that_falls_silent_is_told_of_and_so_is_its_return(
    tells, factory: Factory, receiver: Receiver
):
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    tells(on=False)
    with unit_of_work(factory.engine) as connection:
        connection.execute(
            update(Device).where(Device.device == DEVICE).values(telemetry_at=long_ago)
        )
    wait_until(lambda: ("firing", "HemalineDeviceSilent", DEVICE) in receiver.told)
    tells(on=True)
    wait_until(lambda: ("resolved", "HemalineDeviceSilent", DEVICE) in receiver.told)
    assert {device for _, _, device in receiver.told} == {DEVICE}, "its neighbour is well"


@pytest.mark.usefixtures("watched")
def test_a_device_that_stops_capturing_is_told_of(tells, receiver: Receiver):
    told = {"at": datetime.now(UTC).isoformat(), "problems": ["pictures"]}
    tells(telemetry=told)
    wait_until(lambda: ("firing", "HemalineDeviceNotCapturing", DEVICE) in receiver.told)
    assert ("firing", "HemalineDeviceSilent", DEVICE) not in receiver.told
