"""MQTT 5 over paho, with what paho leaves open closed; the only module that imports it.

What is closed (paho.mqtt.python #365, #328 and measurement): an exception in a callback never ends
the network thread; handlers get messages on that thread and must only hand them over; a PUBACK that
refuses is told to the caller; nothing above the broker's packet limit is sent; an acknowledgement
is never sent on a later connection than the one its message came on.
"""

import logging
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
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import CONTENT_TYPE

logger = logging.getLogger(__name__)

_PACKET_OVERHEAD = 512  # fixed header, topic and properties beside the payload
_CONNECT_TIMEOUT_S = 5.0
_WATCH_S = 1.0
_LAST_ANSWERS_S = 2.0
_LOOK_AGAIN_S = 0.01
_SLOWEST_RECONNECT_S = 30


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
class Listener:
    """What a link tells its owner, on the network thread: hand over and return at once."""

    on_message: Callable[[Inbound], None]
    on_connected: Callable[[], None] = lambda: None
    on_disconnected: Callable[[str], None] = lambda _reason: None
    on_refused: Callable[[str, str], None] = lambda _token, _reason: None
    """Called with the token given to `publish` and the broker's reason for its refusal."""


class MqttLink:
    """One client's connection: connects, subscribes and reconnects by itself until stopped."""

    def __init__(
        self,
        broker: BrokerSettings,
        client_id: str,
        listener: Listener,
        *,
        subscriptions: tuple[str, ...] = (),
        will: Will | None = None,
        session_expiry_s: int = 0,
        receive_maximum: int = 64,
    ) -> None:
        self.broker = broker
        self._listener = listener
        self._subscriptions = subscriptions
        self._session_expiry_s = session_expiry_s
        self._receive_maximum = receive_maximum
        self._connection = 0
        self._packet_limit: int | None = None
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._answering = threading.Lock()
        self._tokens: dict[int, str] = {}
        self._overtaking: dict[int, str | None] = {}
        self._problem: str | None = "not connected yet"
        self._client = self._make_client(client_id, will)
        self._watch = threading.Thread(target=self._revive, name=f"mqtt-{client_id}", daemon=True)

    def start(self) -> None:
        """Connect in the background; a broker that is away is tried again until `stop`."""
        self._connect()
        self._client.loop_start()
        self._watch.start()

    def stop(self) -> None:
        """Send what is queued and disconnect in good order, so that no Last Will is sent.

        The broker's answers are waited for, briefly: one that meets a closed connection takes it
        for broken, and speaks the Last Will.
        """
        deadline = time.monotonic() + _LAST_ANSWERS_S
        while self.connected and self._tokens and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)
        self._stopping.set()
        self._client.disconnect()
        if self._watch.is_alive():
            self._watch.join()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and every subscription."""
        return self._connected.is_set()

    @property
    def packet_limit(self) -> int | None:
        """The largest payload in bytes that the broker takes; None: it set no limit."""
        return None if self._packet_limit is None else self._packet_limit - _PACKET_OVERHEAD

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until `connected`; False when the time is over."""
        return self._connected.wait(timeout_s)

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check."""
        return None if self.connected else f"broker {self.broker}: {self._problem}"

    def publish(self, topic: str, payload: bytes, *, token: str = "", retain: bool = False) -> None:
        """Hand a message to the network thread, at least once (QoS 1).

        Returning says nothing of delivery. `token` names the message: to the receiver as
        Correlation Data, to us in `Listener.on_refused`.

        Raises:
            TransientError: `not-connected`; nothing was queued.
            PermanentError: `over-broker-limit`; the broker would drop it, and us with it.
        """
        if not self.connected:
            raise TransientError("not-connected", f"broker {self.broker}: {self._problem}")
        limit = self.packet_limit
        if limit is not None and len(payload) > limit:
            raise PermanentError(
                "over-broker-limit", f"{len(payload)} bytes, where the broker takes {limit}"
            )
        info = self._client.publish(
            topic, payload, qos=1, retain=retain, properties=_publish_properties(token)
        )
        # Not around paho's publish: paho holds its own lock there and where it tells of a PUBACK,
        # and two locks taken in two orders stand still for ever.
        with self._answering:
            answered = info.mid in self._overtaking
            reason = self._overtaking.pop(info.mid, None)
            if not answered:
                self._tokens[info.mid] = token
        if reason:
            self._tell(self._listener.on_refused, token, reason)

    def acknowledge(self, message: Inbound) -> None:
        """Send the PUBACK of a message, unless its connection is over: then it comes again."""
        if message.connection == self._connection:
            self._client.ack(message.mid, message.qos)

    def _make_client(self, client_id: str, will: Will | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.reconnect_delay_set(1, _SLOWEST_RECONNECT_S)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_queued_messages_set(0)
        if self.broker.username:
            secret = self.broker.password
            client.username_pw_set(
                self.broker.username, secret.get_secret_value() if secret else None
            )
        if self.broker.ca:
            client.tls_set_context(tls_context(self.broker))
        if will:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _revive(self) -> None:
        """Start paho's thread again when a defect ended it: paho itself tells nobody."""
        while not self._stopping.wait(_WATCH_S):
            if self._client._thread is None:  # noqa: SLF001  # there is no public way to ask
                logger.error("the network thread of broker %s died; starting it again", self.broker)
                self._connected.clear()
                self._connect()
                self._client.loop_start()

    def _connect(self) -> None:
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._session_expiry_s
        properties.ReceiveMaximum = self._receive_maximum
        self._client.connect_async(
            self.broker.host,
            self.broker.port,
            keepalive=self.broker.keepalive_s,
            clean_start=self._session_expiry_s == 0,
            properties=properties,
        )

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._problem = f"refused us: {reason}"
            logger.warning("broker %s refused the connection: %s", self.broker, reason)
            return
        self._connection += 1
        self._packet_limit = getattr(properties, "MaximumPacketSize", None)
        if self._subscriptions:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._subscriptions])
        else:
            self._ready()

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
            self._problem = f"refused a subscription: {', '.join(refused)}"
            logger.error("broker %s %s", self.broker, self._problem)
            return
        self._ready()

    def _ready(self) -> None:
        logger.info("connected to broker %s", self.broker)
        self._problem = None
        self._connected.set()
        self._tell(self._listener.on_connected)

    def _on_connect_fail(self, _client: paho.Client, _userdata: object) -> None:
        self._problem = "no answer"

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        was_connected = self.connected
        self._connected.clear()
        self._problem = self._problem or f"connection lost: {reason}"
        if was_connected and not self._stopping.is_set():
            logger.warning("lost broker %s: %s", self.broker, reason)
        self._tell(self._listener.on_disconnected, str(reason))

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        refusal = str(reason) if reason.is_failure else None
        with self._answering:
            token = self._tokens.pop(mid, None)
            if token is None:  # this PUBACK was faster than `publish` could note its token
                self._overtaking[mid] = refusal
        if refusal and token is not None:
            self._tell(self._listener.on_refused, token, refusal)

    def _on_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        inbound = Inbound(
            message.topic,
            bytes(message.payload),
            message.mid,
            message.qos,
            self._connection,
            getattr(message.properties, "CorrelationData", None),
        )
        self._tell(self._listener.on_message, inbound)

    @staticmethod
    def _tell(callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # an error here would end paho's loop, and nobody would know
            logger.exception("a handler of MQTT events failed")


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped


def _publish_properties(token: str) -> Properties:
    properties = _properties(PacketTypes.PUBLISH)
    properties.ContentType = CONTENT_TYPE
    if token:
        properties.CorrelationData = token.encode()
    return properties
