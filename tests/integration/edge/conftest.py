"""A spool whose publisher speaks to a real broker."""

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from conftest import missing
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.presence import client_id
from hemaline_edge.publisher.publisher import Publisher
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.spool import Spool
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName
from parts.edge_frames import OPENED, open_spool

NAME = DeviceName("lab", "scope")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    yield open_spool(tmp_path / "spool")
    while OPENED:
        OPENED.pop()._database.close()


class OwnAuthority:
    """A certificate that a site made itself, for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key = folder / "own.pem", folder / "own.key"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]
        names = ["-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        files = ["-nodes", "-keyout", str(self._key), "-out", str(self.certificate)]
        subprocess.run([*command, *names, *files], check=True, capture_output=True)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        return context


@pytest.fixture
def own_authority(tmp_path: Path) -> OwnAuthority:
    if not shutil.which("openssl"):
        missing("a certificate of our own needs openssl")
    return OwnAuthority(tmp_path)


@pytest.fixture
def publish(spool: Spool) -> Iterator[Callable[..., tuple[Publisher, EdgeMetrics]]]:
    """Start a publisher of the spool; short times make failures quick."""
    started: list[tuple[Publisher, MqttLink]] = []

    def start(broker: BrokerSettings, **settings: float) -> tuple[Publisher, EdgeMetrics]:
        metrics = EdgeMetrics(CollectorRegistry())
        times = {"receipt_timeout_s": 0.4, "slowest_resend_s": 0.5, "upload_timeout_s": 3}
        times["upload_hosts"] = ("127.0.0.1",)
        publisher = Publisher(spool, NAME, PublisherSettings(**{**times, **settings}), metrics)
        link = MqttLink(
            broker,
            client_id(NAME),
            Listener(
                publisher.hear,
                publisher.connected,
                publisher.disconnected,
                publisher.acknowledged,
                publisher.refused,
            ),
            subscriptions=(NAME.topic(Channel.RECEIPT), NAME.topic(Channel.UPLOAD_GRANT)),
            session_expiry_s=60,
        )
        link.start()
        publisher.start(link)
        started.append((publisher, link))
        return publisher, metrics

    yield start
    for publisher, link in started:
        publisher.stop()
        link.stop()
