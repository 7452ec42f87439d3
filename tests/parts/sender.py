"""A device as ingest sees one: it sends, waits for receipts, and sends again without them."""

import threading
from contextlib import suppress
from uuid import UUID

from hemaline_shared.broker import BrokerSettings
from hemaline_shared.errors import TransientError
from hemaline_shared.messages import Receipt, Receipts, UploadGrant, UpMessage, decode, encode
from hemaline_shared.mqtt import Inbound, Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName
from parts.waiting import LONG_S


class Sender:
    """Resends every `resend_s` what has no receipt, from a spool in memory."""

    def __init__(self, broker: BrokerSettings, name: DeviceName, resend_s: float = 2.0) -> None:
        self.name = name
        self.receipts: dict[UUID, list[Receipt]] = {}
        self.grants: list[UploadGrant] = []
        self._with_broker: set[str] = set()
        self._spool: dict[UUID, bytes] = {}
        self._resend_s = resend_s
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._link = MqttLink(
            broker,
            str(name).replace("/", "-"),
            Listener(self._on_message, on_acknowledged=self._on_acknowledged),
            subscriptions=(name.topic(Channel.RECEIPT), name.topic(Channel.UPLOAD_GRANT)),
            session_expiry_s=3600,
        )
        self._resending = threading.Thread(target=self._resend, daemon=True)

    def __enter__(self) -> "Sender":
        self._link.start()
        assert self._link.wait_connected(LONG_S)
        self._resending.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._resending.join()
        self._link.stop()

    def send(self, *messages: UpMessage) -> None:
        """Spool messages of the field topic and send them."""
        for message in messages:
            self.send_payload(encode(message), message.message_id)

    def send_payload(self, payload: bytes, message_id: UUID) -> None:
        with self._changed:
            self._spool[message_id] = payload
        self._try(payload, message_id)

    def publish(self, channel: Channel, payload: bytes, *, token: str = "") -> None:
        """Say something once, on any channel."""
        self._link.publish(self.name.topic(channel), payload, token=token)

    def wait_until_broker_has(self, *messages: UpMessage) -> None:
        """Wait until the broker has acknowledged messages: from then on they are its to keep."""
        tokens = {str(message.message_id) for message in messages}
        with self._changed:
            done = self._changed.wait_for(lambda: tokens <= self._with_broker, LONG_S)
        assert done, f"the broker did not acknowledge {len(tokens - self._with_broker)} messages"

    def wait_for_receipts(self, count: int, timeout_s: float = LONG_S) -> None:
        """Wait until so many messages have a receipt."""
        with self._changed:
            done = self._changed.wait_for(lambda: len(self.receipts) >= count, timeout_s)
        assert done, f"{len(self.receipts)} of {count} receipts after {timeout_s} s"

    def receipt(self, message_id: UUID, nth: int = 1, timeout_s: float = LONG_S) -> Receipt:
        """Wait for the nth receipt of a message."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: len(self.receipts.get(message_id, ())) >= nth, timeout_s
            )
            assert done, f"no receipt {nth} of {message_id}"
            return self.receipts[message_id][nth - 1]

    def grant(self, timeout_s: float = LONG_S) -> UploadGrant:
        """Wait for the next upload grant."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.grants, timeout_s), "no grant"
            return self.grants.pop(0)

    def _try(self, payload: bytes, message_id: UUID) -> None:
        with suppress(TransientError):  # the spool keeps it
            self._link.publish(self.name.topic(Channel.FIELD), payload, token=str(message_id))

    def _resend(self) -> None:
        while not self._stopping.wait(self._resend_s):
            with self._changed:
                waiting = [item for item in self._spool.items() if item[0] not in self.receipts]
            for message_id, payload in waiting:
                self._try(payload, message_id)

    def _on_acknowledged(self, token: str) -> None:
        with self._changed:
            self._with_broker.add(token)
            self._changed.notify_all()

    def _on_message(self, inbound: Inbound) -> None:
        with self._changed:
            if inbound.topic == self.name.topic(Channel.UPLOAD_GRANT):
                self.grants.append(decode(UploadGrant, inbound.payload))
            else:
                for receipt in decode(Receipts, inbound.payload).receipts:
                    self.receipts.setdefault(receipt.message_id, []).append(receipt)
            self._changed.notify_all()
        self._link.acknowledge(inbound)
