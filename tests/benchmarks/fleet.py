"""200 devices against one ingest: `python tests/benchmarks/fleet.py`.

Each device has a connection of its own and two messages of 100 KB under way, and sends the next one
when a receipt comes: together they ask for more than ingest can give, so the rate of receipts is
where it saturates. Each message must have its receipt, each frame its row, and the resident memory
of ingest is watched. Baseline: the same devices, and a subscriber that answers each message with a
receipt and stores nothing.
"""

import json
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ingest import (
    running_broker,
    running_ingest,
    running_postgres,
    sample_message,
)
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.ids import new_id
from hemaline_shared.messages import FieldMessage, Receipt, Receipts, decode, decode_up, encode
from hemaline_shared.mqtt import Inbound, Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName, every_device, parse_topic
from parts.postgres import as_owner

GOAL_LOST = 0
_DEVICES = 200
_EACH = 8
_UNDER_WAY = 2
_TIMEOUT_S = 300
_CONNECT_S = 60


class _Device:
    """Sends the next message when one has its receipt."""

    def __init__(self, number: int, broker: BrokerSettings, on_receipt: Callable[[], None]) -> None:
        self._name = DeviceName("bench", f"scope-{number}")
        self._on_receipt = on_receipt
        self._receipts = 0
        slide = {"slide_id": new_id(), "device": self._name.device, "site": self._name.site}
        sample = sample_message()
        self._payloads = iter(
            [_changed(sample, message_id=new_id(), sequence=n, **slide) for n in range(_EACH)]
        )
        self._link = MqttLink(
            broker,
            f"bench-{number}",
            Listener(self._received),
            subscriptions=(self._name.topic(Channel.RECEIPT),),
        )
        self._link.start()

    def wait_connected(self) -> None:
        if not self._link.wait_connected(_CONNECT_S):
            sys.exit(f"{self._name} could not connect: {self._link.problem()}")

    def begin(self) -> None:
        for _ in range(_UNDER_WAY):
            self._send()

    def stop(self) -> None:
        self._link.stop()

    def _received(self, message: Inbound) -> None:
        self._link.acknowledge(message)
        for _ in decode(Receipts, message.payload).receipts:
            self._on_receipt()
            self._send()

    def _send(self) -> None:
        payload = next(self._payloads, None)
        if payload is not None:
            self._link.publish(self._name.topic(Channel.FIELD), payload)


class _NullIngest:
    """Answers every message with a receipt; stores nothing, looks at nothing but the id."""

    def __init__(self, broker: BrokerSettings) -> None:
        self._arrived: queue.Queue[Inbound | None] = queue.Queue()
        self._link = MqttLink(
            broker,
            "null-ingest",
            Listener(self._arrived.put),
            subscriptions=(every_device(Channel.FIELD),),
        )
        self._thread = threading.Thread(target=self._answer)

    def __enter__(self) -> "_NullIngest":
        self._link.start()
        self._link.wait_connected(_CONNECT_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._arrived.put(None)
        self._thread.join()
        self._link.stop()

    def _answer(self) -> None:
        while message := self._arrived.get():
            name, _ = parse_topic(message.topic)
            receipt = Receipt(message_id=new_id(), outcome="stored")
            payload = encode(Receipts(receipts=(receipt,)))
            self._link.publish(name.topic(Channel.RECEIPT), payload)
            self._link.acknowledge(message)


class _Memory:
    """The most that a process has resident while the context lasts."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = self.most = self._process.memory_info().rss

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, self._process.memory_info().rss)


def measure() -> dict[str, Any]:
    """Return receipts a second at saturation, frames lost, and ingest's memory."""
    total = _DEVICES * _EACH
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        folder = Path(name)
        with running_broker(folder) as broker, _NullIngest(broker.settings):
            baseline = total / _run(broker.settings)
        with (
            running_broker(folder) as broker,
            running_postgres(folder) as url,
            running_ingest(folder, broker, url) as ingest,
        ):
            with _Memory(ingest.pid) as memory:
                ours = total / _run(broker.settings)
            stored = _stored(url)
    return {
        "ours": ours,
        "baseline": baseline,
        "ratio": ours / baseline,
        "goal": None,
        "unit": "messages/s",
        "devices": _DEVICES,
        "lost": total - stored,
        "goal_lost": GOAL_LOST,
        "ingest_mb_before": round(memory.before / 2**20, 1),
        "ingest_mb_most": round(memory.most / 2**20, 1),
    }


def _run(broker: BrokerSettings) -> float:
    """Return the seconds from the first publish to the last receipt."""
    receipts = threading.Semaphore(0)
    devices = [_Device(number, broker, receipts.release) for number in range(_DEVICES)]
    try:
        for device in devices:
            device.wait_connected()
        started = time.perf_counter()
        for device in devices:
            device.begin()
        for done in range(_DEVICES * _EACH):
            if not receipts.acquire(timeout=_TIMEOUT_S):
                sys.exit(f"only {done} of {_DEVICES * _EACH} messages have a receipt")
        return time.perf_counter() - started
    finally:
        for device in devices:
            device.stop()


def _changed(sample: bytes, **changes: Any) -> bytes:
    message = decode_up(sample)
    assert isinstance(message, FieldMessage)
    return encode(message.model_copy(update=changes))


def _stored(url: str) -> int:
    with psycopg.connect(as_owner(url)) as connection:
        row = connection.execute("select count(*) from fields").fetchone()
        assert row
        return int(row[0])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
