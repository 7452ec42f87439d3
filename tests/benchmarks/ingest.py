"""Ingest of 100 KB fields against a bare paho subscriber: `python tests/benchmarks/ingest.py`.

A publisher in a process of its own sends the same messages through the same Mosquitto, once to a
subscriber that does nothing else, once to `hemaline-cloud ingest` with PostgreSQL and the directory
store, both of which sync their disk before a receipt. Both have the same number of messages under
way: until the PUBACK there, until the receipt here, as an edge has them. They take turns, because a
shared machine's speed drifts; each ratio compares neighbours in time, and the median counts.

A second raw baseline shows what the disk alone leaves: a bare subscriber that appends what came to
a file and syncs it, as many messages at once as have come meanwhile, and does nothing else.
"""

import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_local.broker import find_mosquitto, mosquitto_command
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from hemaline_shared.ids import new_id
from hemaline_shared.messages import Receipts, decode, decode_up, encode
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.topics import Channel
from parts.broker import BrokerPart
from parts.captures import CROP, SCOPE, Slide, attach
from parts.postgres import PostgresPart

GOAL = 0.5
_ROUNDS = 3
_MESSAGES = 1500
_UNDER_WAY = 192
_WIDTH, _HEIGHT = 640, 480


def measure() -> dict[str, Any]:
    """Return messages a second of ingest (`ours`) and of the bare subscriber (`baseline`)."""
    with (
        tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name,
        running_broker(Path(name)) as broker,
        running_postgres(Path(name)) as url,
        running_ingest(Path(name), broker, url),
    ):
        port = broker.settings.port
        turns = [_baseline(port, _Counted())]
        ours, synced = [], []
        for _ in range(_ROUNDS):
            ours.append(_publish(port, until="receipt"))
            turns.append(_baseline(port, _Counted()))
            synced.append(_baseline(port, _Synced(Path(name) / "raw")))
    pairs = zip(turns, turns[1:], ours, strict=False)
    return {
        "ours": statistics.median(ours),
        "baseline": statistics.median(turns),
        "ratio": statistics.median(own / ((a + b) / 2) for a, b, own in pairs),
        "synced_baseline": statistics.median(synced),
        "ratio_to_synced": statistics.median(
            own / raw for own, raw in zip(ours, synced, strict=True)
        ),
        "goal": GOAL,
        "unit": "messages/s",
        "payload_bytes": len(sample_message()),
    }


@contextmanager
def running_broker(folder: Path) -> Iterator[BrokerPart]:
    """Run Mosquitto."""
    mosquitto = find_mosquitto()
    if not mosquitto:
        sys.exit("this benchmark needs mosquitto")
    broker = BrokerPart(folder / "broker", lambda *how: mosquitto_command(mosquitto, *how))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL; yield the address of a migrated database."""
    postgres = PostgresPart(folder / "postgres", durable=True)
    postgres.start()
    try:
        yield postgres.create_migrated()
    finally:
        postgres.stop()


@contextmanager
def running_ingest(folder: Path, broker: BrokerPart, database_url: str) -> Iterator[Child]:
    """Run `hemaline-cloud ingest` with the directory store."""
    health = free_port()
    environment = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(folder / "objects"),
        "HEMALINE_BROKER__PORT": str(broker.settings.port),
        "HEMALINE_HEALTH__PORT": str(health),
    }
    command = [sys.executable, "-m", "hemaline_cloud", "ingest"]
    ingest = Child("ingest", command, folder / "ingest.log", environment)
    try:
        yield ingest.wait_ready(lambda: http_ok(health, "/readyz"), timeout_s=60, port=health)
    finally:
        ingest.stop()


class _Counted:
    """What a bare subscriber does with a message: nothing."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)

    def take(self, _payload: bytes) -> None:
        self.arrived.release()

    def close(self) -> None:
        """Nothing to end."""


class _Synced(_Counted):
    """Or it appends to a file, and counts what is on the disk."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._came: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._file = file
        self._thread = threading.Thread(target=self._append)
        self._thread.start()

    def take(self, payload: bytes) -> None:
        self._came.put(payload)

    def close(self) -> None:
        """End; the file goes."""
        self._came.put(None)
        self._thread.join()
        self._file.unlink()

    def _append(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            while (payload := self._came.get()) is not None:
                batch = [payload]
                while len(batch) < _UNDER_WAY and not self._came.empty():
                    if (payload := self._came.get()) is None:
                        return
                    batch.append(payload)
                os.writev(file.fileno(), batch)
                os.fsync(file.fileno())
                self.arrived.release(len(batch))


def _baseline(port: int, sink: _Counted) -> float:
    """Let a bare subscriber receive what the publisher sends, on a topic that ingest ignores."""
    client = _client("bare")
    client.on_message = lambda _client, _userdata, message: sink.take(message.payload)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.subscribe("bare/field", qos=1)
    client.loop_start()
    subscribed.wait(10)
    try:
        return _publish(port, until="puback", arrived=sink.arrived)
    finally:
        client.disconnect()
        client.loop_stop()
        sink.close()


def _publish(port: int, until: str, arrived: threading.Semaphore | None = None) -> float:
    """Return the rate from the first publish to the last arrival (or the last receipt)."""
    command = [sys.executable, __file__, "publish", str(port), until]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdout
        began = float(publisher.stdout.readline())
        if arrived:
            for _ in range(_MESSAGES):
                if not arrived.acquire(timeout=60):
                    sys.exit("the baseline lost a message")
            ended = time.monotonic()
        else:
            ended = float(publisher.stdout.readline())
    return _MESSAGES / (ended - began)


class _Publisher:
    """Sends the messages with so many under way, then waits for the last one's end."""

    def __init__(self, port: int, until: str) -> None:
        self._free = threading.Semaphore(_UNDER_WAY)
        self._until = until
        self._topic = SCOPE.topic(Channel.FIELD) if until == "receipt" else "bare/field"
        self._client = _client("publisher")
        self._client.max_inflight_messages_set(2 * _UNDER_WAY)
        self._client.connect("127.0.0.1", port)
        if until == "receipt":
            self._client.on_message = self._on_receipts
            self._client.subscribe(SCOPE.topic(Channel.RECEIPT), qos=1)
        else:
            self._client.on_publish = lambda *_: self._free.release()
        self._client.loop_start()

    def run(self) -> None:
        payload = sample_message()
        old = _frame_id(payload)
        payloads = [payload.replace(old, new_id().bytes) for _ in range(_MESSAGES)]
        print(time.monotonic(), flush=True)  # noqa: T201 - the parent reads it
        for content in payloads:
            self._take()
            self._client.publish(self._topic, content, qos=1)
        for _ in range(_UNDER_WAY):
            self._take()
        if self._until == "receipt":
            print(time.monotonic(), flush=True)  # noqa: T201 - the parent reads it
        self._client.disconnect()
        self._client.loop_stop()

    def _on_receipts(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self._free.release(len(decode(Receipts, message.payload).receipts))

    def _take(self) -> None:
        if not self._free.acquire(timeout=60):
            sys.exit("a message has no end")


def _client(name: str) -> paho.Client:
    return paho.Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)


def sample_message() -> bytes:
    """Return a message of about 100 KB: a field (57 KB) and a crop (42 KB), as of a real smear."""
    chance = np.random.default_rng(7)
    field = _texture(chance, _WIDTH, _HEIGHT)
    crop = _texture(chance, CROP, CROP)
    packed = pack(FieldImages(encode_field(field), (encode_crop(crop),)))
    slide = Slide()
    return encode(slide.field(count=1, width=_WIDTH, height=_HEIGHT, images=attach(packed)))


def _texture(chance: np.random.Generator, width: int, height: int) -> np.ndarray:
    noise = chance.normal(0, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 12)
    return np.clip(190 + 600 * smooth, 0, 255).astype(np.uint8)


def _frame_id(payload: bytes) -> bytes:
    return decode_up(payload).message_id.bytes


if __name__ == "__main__":
    if sys.argv[1:2] == ["publish"]:
        _Publisher(int(sys.argv[2]), sys.argv[3]).run()
    else:
        print(json.dumps(measure(), indent=2))  # noqa: T201
