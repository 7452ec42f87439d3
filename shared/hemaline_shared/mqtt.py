"""An MQTT 5 client that connects, and connects again, by itself.

What a lost connection carried is forgotten: the owner is told of the loss, and sends again what
it still wants to be sent. Handlers are called on the network thread and must only hand over what
they get: one that takes long breaks the connection's keepalive.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hemaline_shared.broker import BrokerSettings, tls_context
from hemaline_shared.errors import HemalineError, PermanentError, TransientError
from hemaline_shared.mqtt_connection import (
    TOO_LARGE,
    Connection,
    Events,
    Inbound,
    Session,
    Will,
)

__all__ = ["SEND_BUDGET_BYTES", "TOO_LARGE", "Inbound", "Listener", "MqttLink", "Will"]

logger = logging.getLogger(__name__)

SEND_BUDGET_BYTES = 64 * 1024**2
"""What may wait for the broker's acknowledgement together; a single message may be larger."""

_PACKET_OVERHEAD = 512  # fixed header, topic and properties beside the payload
_LAST_ANSWERS_S = 2.0
_JOIN_S = 10.0
_LOOK_AGAIN_S = 0.01
_FIRST_RECONNECT_S = 1.0
_SLOWEST_RECONNECT_S = 30.0
_STEADY_S = 10.0
"""A connection that lasted so long is a good one: after its end the next is made soon."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What a link tells its owner, on the network thread: hand over and return at once.

    Attributes:
        on_disconnected: Called once for every `on_connected`, with the connection's number and
            the reason. No message of that connection is acknowledged after it.
        on_acknowledged: Called with the token given to `publish` when the broker has the message.
        on_refused: Called with the token given to `publish` and the broker's reason.
    """

    on_message: Callable[[Inbound], None]
    on_connected: Callable[[], None] = lambda: None
    on_disconnected: Callable[[int, str], None] = lambda _connection, _reason: None
    on_acknowledged: Callable[[str], None] = lambda _token: None
    on_refused: Callable[[str, str], None] = lambda _token, _reason: None


class MqttLink:
    """One client: connects, subscribes and reconnects by itself until stopped."""

    def __init__(
        self,
        broker: BrokerSettings,
        client_id: str,
        listener: Listener,
        *,
        subscriptions: tuple[str, ...] = (),
        will: Callable[[], Will] | None = None,
        session_expiry_s: int = 0,
        receive_maximum: int = 64,
    ) -> None:
        """Prepare; `start` connects.

        Args:
            broker: Where it is.
            client_id: Of this client alone.
            listener: Who is told.
            subscriptions: Topic filters, at QoS 1.
            will: Makes the Last Will of each connection.
            session_expiry_s: How long the broker keeps what comes while we are away; 0: not.
            receive_maximum: Messages that the broker may send without our acknowledgement.

        Raises:
            PermanentError: `bad-certificate`: better told now than tried again for ever.
        """
        if broker.ca:
            tls_context(broker)
        self.broker = broker
        self._listener = listener
        self._will = will
        self._session = Session(broker, client_id, subscriptions, session_expiry_s, receive_maximum)
        self._number = 0
        self._is_told = False
        self._open = threading.Event()
        self._stopping = threading.Event()
        self._answering = threading.Lock()
        self._unacknowledged: dict[int, tuple[str, int]] = {}
        self._unacknowledged_bytes = 0
        self._overtaking: dict[int, str | None] = {}
        self._problem: str | None = "not connected yet"
        self._early: list[Inbound] = []
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{client_id}", daemon=True)

    def start(self) -> None:
        """Connect in the background; a broker that is away is tried again until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is queued and disconnect in good order, so that no Last Will is sent.

        The broker's answers are waited for, briefly: one that meets a closed connection takes it
        for broken, and speaks the Last Will.
        """
        deadline = time.monotonic() + _LAST_ANSWERS_S
        while self.connected and self._unacknowledged and time.monotonic() < deadline:
            self._stopping.wait(_LOOK_AGAIN_S)
        self._stopping.set()
        if connection := self._connection:
            connection.wake_up()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and every subscription."""
        return self._open.is_set()

    @property
    def own_address(self) -> str:
        """Our end's IP address on the way to the broker; empty: not connected."""
        connection = self._connection
        return connection.own_address if connection else ""

    @property
    def packet_limit(self) -> int | None:
        """The largest payload in bytes that the broker says it takes; None: it set no limit."""
        connection = self._connection
        limit = connection.packet_limit if connection else None
        return None if limit is None else limit - _PACKET_OVERHEAD

    @property
    def session_goes_on(self) -> bool:
        """Whether the broker has kept, for this connection, what came while we were away."""
        connection = self._connection
        return connection is not None and connection.session_goes_on

    @property
    def unacknowledged_bytes(self) -> int:
        """The payloads that were handed over and not acknowledged by the broker."""
        return self._unacknowledged_bytes

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until `connected`; False when the time is over."""
        return self._open.wait(timeout_s)

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check."""
        return None if self.connected else f"broker {self.broker}: {self._problem}"

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        token: str = "",
        retain: bool = False,
        expires_s: int | None = None,
    ) -> int:
        """Hand a message to the network thread, at QoS 1, on this connection only.

        Returning says nothing of delivery. `token` names the message: to the receiver as
        Correlation Data, to us in `Listener.on_acknowledged` and `Listener.on_refused`. The broker
        delivers it no later than after `expires_s`.

        Returns:
            The connection's number.

        Raises:
            TransientError: `not-connected` or `send-queue-full`; nothing was queued.
            PermanentError: `over-broker-limit`; the broker would drop it, and us with it.
        """
        connection = self._connection
        if connection is None or not self.connected:
            raise TransientError("not-connected", f"broker {self.broker}: {self._problem}")
        self._check_size(len(payload))
        mid = connection.publish(topic, payload, token, retain=retain, expires_s=expires_s)
        # Not around paho's publish: paho holds its own lock there and where it tells of a PUBACK,
        # and two locks taken in two orders stand still for ever.
        with self._answering:
            if connection is not self._connection:
                raise TransientError("not-connected", f"broker {self.broker}: connection lost")
            answered = mid in self._overtaking
            refusal = self._overtaking.pop(mid, None)
            if not answered:
                self._unacknowledged[mid] = (token, len(payload))
                self._unacknowledged_bytes += len(payload)
        if answered:
            self._tell_answer(token, refusal)
        return connection.number

    def acknowledge(self, message: Inbound) -> None:
        """Send the PUBACK of a message, unless its connection is over: then it comes again."""
        connection = self._connection
        if connection is not None and message.connection == self._number:
            connection.acknowledge(message.mid, message.qos)

    def _check_size(self, size: int) -> None:
        limit, waiting = self.packet_limit, self._unacknowledged_bytes
        if limit is not None and size > limit:
            raise PermanentError(
                "over-broker-limit", f"{size:,} bytes, where the broker takes {limit:,}"
            )
        if waiting and waiting + size > SEND_BUDGET_BYTES:
            raise TransientError(
                "send-queue-full", f"{waiting:,} bytes wait for the broker's acknowledgement"
            )

    def _run(self) -> None:
        """Connect again and again; no error ends this."""
        delay = _FIRST_RECONNECT_S
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._connect()
            except OSError as error:
                self._on_closed(error.strerror or str(error) or type(error).__name__)
            except HemalineError as error:  # a certificate that is being replaced
                self._on_closed(str(error))
            except Exception as error:
                logger.exception("the connection to broker %s failed unexpectedly", self.broker)
                self._on_closed(f"failed unexpectedly ({type(error).__name__})")
            if time.monotonic() - started > _STEADY_S:
                delay = _FIRST_RECONNECT_S
            # Jitter: a hundred devices that lost the same broker must not come back in step.
            self._stopping.wait(delay * random.uniform(0.5, 1.0))  # noqa: S311
            delay = min(_SLOWEST_RECONNECT_S, 2 * delay)

    def _connect(self) -> None:
        events = Events(
            opened=self._on_opened,
            refused=self._on_refused,
            closed=self._on_closed,
            answered=self._on_answered,
            received=self._on_received,
        )
        self._number += 1
        self._is_told = False
        self._early.clear()
        will = self._will() if self._will else None
        connection = Connection(self._session, will, events, self._number)
        with self._answering:
            self._connection = connection
            self._unacknowledged.clear()
            self._unacknowledged_bytes = 0
            self._overtaking.clear()
        try:
            connection.run(self._stopping)
        finally:
            self._connection = None

    def _on_opened(self) -> None:
        logger.info("connected to broker %s", self.broker)
        self._problem = None
        self._open.set()
        self._tell(self._listener.on_connected)
        for inbound in self._early:
            self._tell(self._listener.on_message, inbound)
        self._early.clear()

    def _on_received(self, inbound: Inbound) -> None:
        """Hand a message over, once it can be answered.

        Those of a session that goes on come before the broker has confirmed the subscriptions, and
        nothing may be published until then: an answer would be lost, and never be given again.
        """
        if self.connected:
            self._tell(self._listener.on_message, inbound)
        else:
            self._early.append(inbound)

    def _on_refused(self, problem: str) -> None:
        self._problem = problem
        self._is_told = True
        logger.error("broker %s %s", self.broker, problem)

    def _on_closed(self, reason: str) -> None:
        """Tell that the connection, or the try to make one, is over: once."""
        if self._is_told:
            return
        self._is_told = True
        if not self.connected:
            self._problem = f"no answer ({reason})"
            return
        self._problem = f"connection lost: {reason}"
        self._open.clear()
        if not self._stopping.is_set():
            logger.warning("lost broker %s: %s", self.broker, reason)
        self._tell(self._listener.on_disconnected, self._number, reason)

    def _on_answered(self, mid: int, refusal: str | None) -> None:
        with self._answering:
            found = self._unacknowledged.pop(mid, None)
            if found is None:  # this PUBACK was faster than `publish` could note its token
                self._overtaking[mid] = refusal
                return
            token, size = found
            self._unacknowledged_bytes -= size
        self._tell_answer(token, refusal)

    def _tell_answer(self, token: str, refusal: str | None) -> None:
        if refusal:
            self._tell(self._listener.on_refused, token, refusal)
        else:
            self._tell(self._listener.on_acknowledged, token)

    @staticmethod
    def _tell(callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            logger.exception("a handler of MQTT events failed")
