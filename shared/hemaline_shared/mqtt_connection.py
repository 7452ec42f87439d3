"""One connection to a broker over paho; the only module that imports it.

Each connection has a paho client of its own, so that nothing that was queued on one is sent on a
later one. Reading and writing is done here, with paho's functions for event loops of others: its
own loop ends without a word at an exception in a callback (paho.mqtt.python #365), and takes a
connection for dead whose PINGREQ waits behind a long message.
"""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hemaline_shared.broker import BrokerSettings, tls_context
from hemaline_shared.messages import CONTENT_TYPE

TOO_LARGE = "Packet too large"
"""How the refusal of a message for its size is named."""

# Mosquitto refuses a payload's size by a PUBACK with 149, which MQTT 5 has only for other packets:
# without this, paho fails at reading it.
ReasonCode.names = {
    **ReasonCode.names,
    149: {TOO_LARGE: [PacketTypes.CONNACK, PacketTypes.PUBACK, PacketTypes.DISCONNECT]},
}

_CONNECT_TIMEOUT_S = 5.0
_LAST_WORD_S = 2.0
_TURN_MS = 500
_TCP_NOTSENT_LOWAT = 25  # Linux; Python has no name for it before 3.12
_UNSENT_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when this client goes without a word."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that came in, to be acknowledged when it is safe."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    connection: int
    correlation: bytes | None
    """Names the message even where its payload is unreadable: MQTT 5's Correlation Data."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a client asks of the broker when it connects."""

    broker: BrokerSettings
    client_id: str
    subscriptions: tuple[str, ...]
    expiry_s: int
    receive_maximum: int


@dataclass(frozen=True, slots=True)
class Events:
    """Who is told what happens, on the thread of `Connection.run`.

    Attributes:
        opened: The broker has accepted us and every subscription.
        refused: It did not, and why.
        closed: The connection is over, and why.
        answered: A PUBACK for a message by its packet id, and the reason if it refuses.
        received: A message.
    """

    opened: Callable[[], None]
    refused: Callable[[str], None]
    closed: Callable[[str], None]
    answered: Callable[[int, str | None], None]
    received: Callable[[Inbound], None]


class Connection:
    """Made, run once, and thrown away."""

    def __init__(self, session: Session, will: Will | None, events: Events, number: int) -> None:
        self.number = number
        self._session = session
        self._events = events
        self._packet_limit: int | None = None
        self.session_goes_on = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._waking = threading.Lock()
        self._client = self._make_client(will)
        self._counting = threading.Lock()
        self._unanswered = 0
        self._progress_at = self._answered_at = time.monotonic()

    @property
    def packet_limit(self) -> int | None:
        """The largest packet in bytes that the broker says it takes; None: it set no limit."""
        return self._packet_limit

    def run(self, stopping: threading.Event) -> None:
        """Connect, then read and write until the connection is over, or stopped in good order.

        Raises:
            OSError: There is no answer.
        """
        broker = self._session.broker
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._session.expiry_s
        properties.ReceiveMaximum = self._session.receive_maximum
        properties.MaximumPacketSize = broker.max_packet_bytes
        try:
            self._client.connect(
                broker.host,
                broker.port,
                keepalive=broker.keepalive_s,
                clean_start=self._session.expiry_s == 0,
                properties=properties,
            )
            self._serve(stopping)
        finally:
            self._close_socket()
            with self._waking:
                os.close(self._wake)
                self._wake = -1

    def wake_up(self) -> None:
        """Make `run` look at what there is to do."""
        with self._waking:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def publish(
        self, topic: str, payload: bytes, token: str, *, retain: bool, expires_s: int | None
    ) -> int:
        """Queue a message at QoS 1; return its packet id, by which `Events.answered` names it."""
        properties = _properties(PacketTypes.PUBLISH)
        properties.ContentType = CONTENT_TYPE
        if token:
            properties.CorrelationData = token.encode()
        if expires_s is not None:
            properties.MessageExpiryInterval = expires_s
        with self._counting:
            if not self._unanswered:
                self._progress_at = self._answered_at = time.monotonic()
            self._unanswered += 1
        return self._client.publish(topic, payload, 1, retain, properties).mid

    def acknowledge(self, mid: int, qos: int) -> None:
        """Queue the PUBACK of a message."""
        self._client.ack(mid, qos)

    def _make_client(self, will: Will | None) -> paho.Client:
        broker = self._session.broker
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._session.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_queued_messages_set(0)  # what is queued is bounded by bytes, in MqttLink
        if broker.username:
            secret = broker.password
            client.username_pw_set(broker.username, secret.get_secret_value() if secret else None)
        if broker.ca:
            client.tls_set_context(tls_context(broker))
        if will:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = lambda *arguments: self._events.closed(str(arguments[3]))
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        # With this, paho leaves all writing to `run`.
        client.on_socket_register_write = lambda *_: self.wake_up()
        return client

    def _serve(self, stopping: threading.Event) -> None:
        client, connection = self._client, self._client.socket()
        assert isinstance(connection, socket.socket)
        # Little in the system's buffers: being able to write then shows that bytes move.
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        number = connection.fileno()
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        give_up_at: float | None = None
        while client.socket() is not None:
            if stopping.is_set() and give_up_at is None:
                give_up_at = time.monotonic() + _LAST_WORD_S
                client.disconnect()
            if give_up_at and time.monotonic() > give_up_at:  # even the DISCONNECT is stuck
                break
            poll.register(number, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            decrypted = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
            ready = dict(poll.poll(0 if decrypted else _TURN_MS))
            if self._wake in ready:
                os.eventfd_read(self._wake)
            happened = ready.get(number, 0)
            if decrypted or happened & ~select.POLLOUT:
                self._progress_at = time.monotonic()
                client.loop_read()
            if happened & select.POLLOUT:
                self._write()
            self._look_after()
        self._events.closed("it was closed")

    def _write(self) -> None:
        self._client.loop_write()
        self._progress_at = time.monotonic()
        if self._client.want_write():  # a message is on its way in parts
            self._answered_at = self._progress_at

    def _look_after(self) -> None:
        """Find a connection that is dead.

        While a message is being written and bytes move, paho is not asked: it would wait for the
        answer to a PINGREQ that is still behind them.
        """
        now, keepalive = time.monotonic(), self._session.broker.keepalive_s
        if not self._client.want_write() or now - self._progress_at > 2 * keepalive:
            self._client.loop_misc()
        if self._unanswered and now - self._answered_at > 10 * keepalive:
            self._events.closed(f"it acknowledged nothing for {10 * keepalive} s")
            self._close_socket()

    @property
    def own_address(self) -> str:
        """Our end's IP address; empty: not connected."""
        connection = self._client.socket()
        if not isinstance(connection, socket.socket):
            return ""
        try:
            return str(connection.getsockname()[0])
        except OSError:
            return ""

    def _close_socket(self) -> None:
        if connection := self._client.socket():
            connection.close()

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._events.refused(f"refused us: {reason}")
            return
        self.session_goes_on = flags.session_present
        self._packet_limit = getattr(properties, "MaximumPacketSize", None)
        if subscriptions := self._session.subscriptions:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in subscriptions])
        else:
            self._events.opened()

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._events.refused(f"refused a subscription: {', '.join(refused)}")
        else:
            self._events.opened()

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._counting:
            self._unanswered -= 1
            self._answered_at = time.monotonic()
        self._events.answered(mid, str(reason) if reason.is_failure else None)

    def _on_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        inbound = Inbound(
            message.topic,
            bytes(message.payload),
            message.mid,
            message.qos,
            self.number,
            getattr(message.properties, "CorrelationData", None),
        )
        self._events.received(inbound)


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
