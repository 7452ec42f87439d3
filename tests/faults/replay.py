"""Hears what the devices publish, and says all of it again."""

import random
import threading
import time
from typing import Self

import psycopg

from faults.system import Campground
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.errors import TransientError
from hemaline_shared.mqtt import Inbound, Listener, MqttLink
from hemaline_shared.topics import Channel, every_device
from parts.postgres import as_owner

_KEPT = 400
_QUIET_S = 10.0


class Witness:
    """Keeps a few hundred of the messages, chosen by chance (reservoir sampling)."""

    def __init__(self, broker: BrokerSettings) -> None:
        self._random = random.Random(5)
        self._heard = 0
        self._lock = threading.Lock()
        self.messages: list[tuple[str, bytes]] = []
        self.link = MqttLink(
            broker,
            "witness",
            Listener(self._on_message),
            subscriptions=(every_device(Channel.FIELD),),
        )

    def __enter__(self) -> Self:
        self.link.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()

    def _on_message(self, inbound: Inbound) -> None:
        with self._lock:
            self._heard += 1
            if len(self.messages) < _KEPT:
                self.messages.append((inbound.topic, inbound.payload))
            elif (place := self._random.randrange(self._heard)) < _KEPT:
                self.messages[place] = (inbound.topic, inbound.payload)
        self.link.acknowledge(inbound)


def replay(ground: Campground, witness: Witness, times: int) -> int:
    """Publish what the witness kept so often again; return when nothing has been queued a while."""
    messages = list(witness.messages)
    assert witness.link.wait_connected(30)
    for topic, payload in messages * times:
        _publish(witness.link, topic, payload)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < _QUIET_S:
        with psycopg.connect(as_owner(ground.database_url)) as connection:
            row = connection.execute("select count(*) from work").fetchone()
        if row != (0,):
            quiet_since = time.monotonic()
        time.sleep(0.5)
    return times * len(messages)


def _publish(link: MqttLink, topic: str, payload: bytes) -> None:
    while True:
        try:
            link.publish(topic, payload)
        except TransientError:  # too much waits for the broker already
            time.sleep(0.1)
        else:
            return
