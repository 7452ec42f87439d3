"""A backlog over a line that is too thin: `make bench ARGS=thin_line`.

64 fields of 25 KB wait in a spool; the line between the device and a real Mosquitto carries a
half, an eighth and a thirty-second of the 400 KB a second at which they could be captured. Ideal
is what the messages alone take at the line's rate. Ours is the publisher as it ships, with its
default settings, until the last receipt; all bytes that it sent are counted.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.publisher.publisher import Publisher
from hemaline_edge.settings import PublisherSettings
from hemaline_local.broker import find_mosquitto, mosquitto_command
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName
from parts.broker import BrokerPart
from parts.edge_frames import open_spool, spooled
from parts.responder import Responder, stored
from parts.thin_line import ThinLine

GOAL = 1.2
_BYTES_GOAL = 1.1
_FRAMES = 64
_SIZE = 25_000
_NEEDED_BYTES_PER_S = 400_000
_TIMES_TOO_THIN = (2, 8, 32)
_NAME = DeviceName("lab", "scope")


def measure() -> dict[str, Any]:
    """Return the worst of the lines; a table of all goes to the terminal and into the file."""
    rows = [_over(times) for times in _TIMES_TOO_THIN]
    Console().print(_table(rows))
    worst = max(rows, key=lambda row: row["time_ratio"])
    return {
        "ours": worst["seconds"],
        "baseline": worst["ideal_seconds"],
        "ratio": worst["time_ratio"],
        "goal": GOAL,
        "unit": "s",
        "lines": rows,
    }


def _over(times: int) -> dict[str, Any]:
    executable = find_mosquitto()
    if not executable:
        sys.exit("this benchmark needs mosquitto")
    rate = _NEEDED_BYTES_PER_S / times
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        folder = Path(name)
        broker = BrokerPart(
            folder / "broker",
            lambda place, port, extra: mosquitto_command(executable, place, port, extra),
        )
        broker.start()
        try:
            with (
                ThinLine(broker.settings.port, rate) as line,
                Responder(broker.settings, stored) as cloud,
            ):
                seconds, most = _drain(folder / "spool", line)
        finally:
            broker.stop()
    needed = sum({m.message_id: len(encode(m)) for m in cloud.messages}.values())
    return {
        "times_too_thin": times,
        "bytes_per_s": rate,
        "seconds": seconds,
        "ideal_seconds": needed / rate,
        "time_ratio": seconds * rate / needed,
        "bytes_ratio": line.sent_up / needed,
        "copies": sum(cloud.arrivals.values()) / len(cloud.arrivals),
        "most_under_way_bytes": most,
    }


def _drain(directory: Path, line: ThinLine) -> tuple[float, int]:
    """Return how long it took, and the most bytes that waited for the broker."""
    spool = open_spool(directory)
    for number in range(_FRAMES):
        spooled(spool, _SIZE + number)
    publisher = Publisher(spool, _NAME, PublisherSettings(), EdgeMetrics(CollectorRegistry()))
    link = MqttLink(
        BrokerSettings(port=line.port),
        "edge.lab.scope",
        Listener(
            publisher.hear,
            publisher.connected,
            publisher.disconnected,
            publisher.acknowledged,
            publisher.refused,
        ),
        subscriptions=(_NAME.topic(Channel.RECEIPT), _NAME.topic(Channel.UPLOAD_GRANT)),
        session_expiry_s=3600,
    )
    link.start()
    assert link.wait_connected(30)
    started, most = time.monotonic(), 0
    publisher.start(link)
    while spool.contents().messages:
        most = max(most, link.unacknowledged_bytes)
        time.sleep(0.05)
    seconds = time.monotonic() - started
    publisher.stop()
    link.stop()
    spool.close()
    return seconds, most


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{_FRAMES} fields of {_SIZE // 1000} KB over a thin line", padding=0)
    for column in ("too thin", "KB/s", "ideal", "took", "time", "bytes", "copies", "under way"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row['times_too_thin']} x",
            f"{row['bytes_per_s'] / 1000:.1f}",
            f"{row['ideal_seconds']:.1f} s",
            f"{row['seconds']:.1f} s",
            _judged(row["time_ratio"], GOAL),
            _judged(row["bytes_ratio"], _BYTES_GOAL),
            f"{row['copies']:.2f}",
            f"{row['most_under_way_bytes'] / 1000:.0f} KB",
        )
    return table


def _judged(ratio: float, goal: float) -> str:
    return f"[{'green' if ratio <= goal else 'red'}]{ratio:.3f} ≤ {goal}[/]"


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
