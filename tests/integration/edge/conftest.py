"""A spool whose publisher speaks to a real broker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

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
