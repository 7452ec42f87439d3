"""The MQTT link, on every broker that Hemaline can start."""

import queue
import socket
import threading
import time

import pytest

from hemaline_shared import mqtt
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.mqtt import TOO_LARGE, Inbound, Listener, MqttLink, Will
from parts.broker import BrokerPart
from parts.thin_line import ThinLine
from parts.waiting import LONG_S

TOPIC = "hemaline/v1/lab-a/scope-1/field"
WAIT_S = LONG_S


@pytest.fixture
def connect():
    opened: list[MqttLink] = []

    def make(part: BrokerPart, client_id, on_message=lambda _message: None, **options) -> MqttLink:
        hooks = {
            name: options.pop(name)
            for name in ("on_connected", "on_disconnected", "on_acknowledged", "on_refused")
            if name in options
        }
        listener = Listener(on_message, **hooks)
        link = MqttLink(part.settings, client_id, listener, **options)
        opened.append(link)
        link.start()
        assert link.wait_connected(WAIT_S)
        return link

    yield make
    for link in opened:
        link.stop()


def break_connection(link: MqttLink) -> None:
    link._connection._client.socket().shutdown(socket.SHUT_RDWR)


def test_a_message_arrives_with_its_token(connect, any_broker):
    received: queue.Queue[Inbound] = queue.Queue()
    connect(any_broker, "reader", received.put, subscriptions=(TOPIC,))
    connect(any_broker, "writer").publish(TOPIC, b"payload", token="message-1")
    message = received.get(timeout=WAIT_S)
    assert (message.topic, message.payload, message.correlation) == (
        TOPIC,
        b"payload",
        b"message-1",
    )


def test_an_error_in_a_handler_does_not_end_the_link(connect, any_broker):
    received: queue.Queue[bytes] = queue.Queue()

    def fail_first(message: Inbound) -> None:
        received.put(message.payload)
        if message.payload == b"1":
            raise RuntimeError("a defect in a handler")

    connect(any_broker, "reader", fail_first, subscriptions=(TOPIC,))
    writer = connect(any_broker, "writer")
    writer.publish(TOPIC, b"1")
    writer.publish(TOPIC, b"2")
    assert [received.get(timeout=WAIT_S) for _ in range(2)] == [b"1", b"2"]


def test_the_link_survives_a_defect_of_its_network_thread(connect, broker, monkeypatch):
    received: queue.Queue[bytes] = queue.Queue()
    connections: queue.Queue[None] = queue.Queue()
    reader = connect(
        broker,
        "reader",
        lambda message: received.put(message.payload),
        on_connected=lambda: connections.put(None),
        subscriptions=(TOPIC,),
    )
    connections.get(timeout=WAIT_S)
    monkeypatch.setattr(reader._connection._client, "loop_read", lambda: 1 / 0)
    connect(broker, "writer").publish(TOPIC, b"before")
    connections.get(timeout=WAIT_S)
    reader.publish(TOPIC, b"after")
    assert received.get(timeout=WAIT_S) == b"after"


def test_the_link_comes_back_with_the_broker(connect, any_broker):
    received: queue.Queue[bytes] = queue.Queue()
    reader = connect(
        any_broker, "reader", lambda m: received.put(m.payload), subscriptions=(TOPIC,)
    )
    any_broker.kill()
    wait_until(lambda: not reader.connected)
    assert "broker" in (reader.problem() or "")
    with pytest.raises(TransientError) as refused:
        reader.publish(TOPIC, b"lost")
    assert refused.value.reason == "not-connected"
    any_broker.start()
    assert reader.wait_connected(WAIT_S)
    assert reader.problem() is None
    reader.publish(TOPIC, b"after")
    assert received.get(timeout=WAIT_S) == b"after"


def test_a_payload_over_the_brokers_limit_is_refused_before_it_is_sent(connect, broker):
    writer = connect(broker, "writer")
    with pytest.raises(PermanentError) as refused:
        writer.publish(TOPIC, bytes(writer.packet_limit + 1))
    assert refused.value.reason == "over-broker-limit"
    writer.publish(TOPIC, bytes(writer.packet_limit))
    assert writer.connected


def test_a_broker_that_sets_no_limit_is_believed(connect, any_broker):
    writer = connect(any_broker, "writer")
    assert writer.packet_limit is None or writer.packet_limit > 1024 * 1024


def test_a_refused_publish_is_told_with_its_token(connect, broker):
    acl = broker.folder / "acl"
    acl.write_text(f"topic readwrite {TOPIC}\n")
    broker.config_extra = f"acl_file {acl}"
    broker.stop()
    broker.start()
    refusals: queue.Queue[tuple[str, str]] = queue.Queue()
    writer = connect(broker, "writer", on_refused=lambda *refusal: refusals.put(refusal))
    writer.publish("hemaline/v1/lab-a/scope-2/field", b"as another", token="message-1")
    assert refusals.get(timeout=WAIT_S) == ("message-1", "Not authorized")


def test_a_message_without_its_acknowledgement_comes_again(connect, broker):
    received: queue.Queue[Inbound] = queue.Queue()
    options = {"subscriptions": (TOPIC,), "session_expiry_s": 60}
    first = connect(broker, "reader", received.put, **options)
    writer = connect(broker, "writer")
    for payload in (b"1", b"2"):
        writer.publish(TOPIC, payload)
    kept, forgotten = (received.get(timeout=WAIT_S) for _ in range(2))
    first.acknowledge(kept)
    time.sleep(0.3)  # the PUBACK is on its way
    first.stop()
    second = connect(broker, "reader", received.put, **options)
    again = received.get(timeout=WAIT_S)
    assert again.payload == forgotten.payload == b"2"
    second.acknowledge(again)


def test_what_waited_for_a_session_can_be_answered_when_it_is_handed_over(connect, broker):
    """The broker sends it before it has confirmed the subscriptions."""
    options = {"subscriptions": (TOPIC,), "session_expiry_s": 60}
    connect(broker, "reader", **options).stop()
    writer = connect(broker, "writer")
    for number in range(20):
        writer.publish(TOPIC, b"%d" % number)
    answers: queue.Queue[bytes] = queue.Queue()
    connect(broker, "asker", lambda m: answers.put(m.payload), subscriptions=("answers",))
    links: list[MqttLink] = []

    def answer(message: Inbound) -> None:
        links[0].publish("answers", message.payload)

    link = MqttLink(broker.settings, "reader", Listener(answer), **options)
    links.append(link)
    link.start()
    told = [answers.get(timeout=WAIT_S) for _ in range(20)]
    link.stop()
    assert told == [b"%d" % number for number in range(20)]


def test_an_acknowledgement_is_not_sent_on_a_later_connection(connect, broker):
    received: queue.Queue[Inbound] = queue.Queue()
    reader = connect(broker, "reader", received.put, subscriptions=(TOPIC,), session_expiry_s=60)
    connect(broker, "writer").publish(TOPIC, b"1")
    stale = received.get(timeout=WAIT_S)
    break_connection(reader)
    fresh = received.get(timeout=WAIT_S)
    reader.acknowledge(stale)
    time.sleep(0.3)
    break_connection(reader)
    assert received.get(timeout=WAIT_S).payload == fresh.payload, "the stale PUBACK was believed"


def test_the_last_will_speaks_for_a_client_that_went_without_a_word(connect, any_broker):
    heard: queue.Queue[bytes] = queue.Queue()
    connect(
        any_broker,
        "watcher",
        lambda m: heard.put(m.payload),
        subscriptions=("hemaline/v1/+/+/status",),
    )
    gone = connect(
        any_broker, "gone", will=lambda: Will("hemaline/v1/lab-a/scope-1/status", b"offline")
    )
    break_connection(gone)
    assert heard.get(timeout=WAIT_S) == b"offline"


def test_an_orderly_stop_sends_no_last_will(connect, any_broker):
    heard: queue.Queue[bytes] = queue.Queue()
    topic = "hemaline/v1/lab-a/scope-1/status"
    connect(any_broker, "watcher", lambda m: heard.put(m.payload), subscriptions=(topic,))
    leaver = connect(any_broker, "leaver", will=lambda: Will(topic, b"offline"))
    leaver.stop()
    connect(any_broker, "marker").publish(topic, b"marker")
    assert heard.get(timeout=WAIT_S) == b"marker"


def wait_until(condition) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_publishing_while_acknowledgements_come_in_never_stands_still(connect, broker):
    writer = connect(broker, "writer")

    def publish():
        for number in range(3000):
            writer.publish(TOPIC, b"x", token=str(number))

    threads = [threading.Thread(target=publish, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()


def through(line, keepalive_s=2):
    """A broker's settings, as a device behind the line has them."""
    return FarBroker(BrokerSettings(port=line.port, keepalive_s=keepalive_s))


class FarBroker:
    def __init__(self, settings):
        self.settings = settings


def test_a_message_is_acknowledged_once_with_its_token(connect, any_broker):
    told: queue.Queue[str] = queue.Queue()
    writer = connect(any_broker, "writer", on_acknowledged=told.put)
    for token in ("1", "2"):
        writer.publish(TOPIC, b"x", token=token)
    assert {told.get(timeout=WAIT_S) for _ in range(2)} == {"1", "2"}
    wait_until(lambda: writer.unacknowledged_bytes == 0)
    assert told.empty()


def test_what_a_lost_connection_carried_is_not_sent_on_the_next(connect, broker):
    received: queue.Queue[bytes] = queue.Queue()
    connect(broker, "reader", lambda m: received.put(m.payload), subscriptions=(TOPIC,))
    ended: queue.Queue[str] = queue.Queue()
    with ThinLine(broker.settings.port) as line:
        writer = connect(
            through(line, 30),
            "writer",
            on_disconnected=lambda _connection, reason: ended.put(reason),
        )
        line.frozen = True
        for _ in range(50):
            writer.publish(TOPIC, bytes(50_000))
        assert writer.unacknowledged_bytes == 2_500_000
        line.is_down = True
        line.cut()
        line.frozen = False
        ended.get(timeout=WAIT_S)
        line.is_down = False
        assert writer.wait_connected(WAIT_S)
        assert writer.unacknowledged_bytes == 0
        writer.publish(TOPIC, b"after")
        whole = []
        while not whole or whole[-1] != b"after":
            whole.append(received.get(timeout=WAIT_S))
        assert len(whole) < 25, "messages of the first connection came on the second"


def test_a_message_that_takes_longer_than_the_keepalive_arrives(connect, broker):
    told: queue.Queue[str] = queue.Queue()
    ended: queue.Queue[str] = queue.Queue()
    with ThinLine(broker.settings.port, bytes_per_s=12_000) as line:
        writer = connect(
            through(line, 4),
            "writer",
            on_acknowledged=told.put,
            on_disconnected=lambda _connection, reason: ended.put(reason),
        )
        writer.publish(TOPIC, bytes(150_000), token="long")
        assert told.get(timeout=LONG_S) == "long"
        assert ended.empty()
        assert line.sent_up < 155_000


@pytest.mark.parametrize("busy", [False, True])
def test_a_dead_line_is_noticed(connect, broker, busy):
    ended: queue.Queue[str] = queue.Queue()
    with ThinLine(broker.settings.port) as line:
        writer = connect(
            through(line), "writer", on_disconnected=lambda _connection, reason: ended.put(reason)
        )
        line.frozen = True
        if busy:
            writer.publish(TOPIC, b"x")
        ended.get(timeout=LONG_S)


def test_a_broker_that_acknowledges_nothing_is_left(connect, broker, monkeypatch):
    ended: queue.Queue[str] = queue.Queue()
    with ThinLine(broker.settings.port) as line:
        writer = connect(
            through(line), "writer", on_disconnected=lambda _connection, reason: ended.put(reason)
        )
        monkeypatch.setattr(writer._connection._client, "on_publish", lambda *_: None)
        writer.publish(TOPIC, b"x")
        assert "acknowledged nothing for 20 s" in ended.get(timeout=LONG_S)


def test_a_size_that_the_broker_never_announced_is_told_as_too_large(connect, broker):
    broker.stop()
    broker.config_extra = "message_size_limit 20000"
    broker.start()
    refusals: queue.Queue[tuple[str, str]] = queue.Queue()
    writer = connect(broker, "writer", on_refused=lambda *refusal: refusals.put(refusal))
    writer.publish(TOPIC, bytes(20_001), token="large")
    assert refusals.get(timeout=WAIT_S) == ("large", TOO_LARGE)
    writer.publish(TOPIC, bytes(20_000), token="small")
    wait_until(lambda: writer.unacknowledged_bytes == 0)
    assert refusals.empty()


def test_what_is_larger_than_a_client_said_it_takes_does_not_reach_it(connect, broker):
    received: queue.Queue[bytes] = queue.Queue()
    settings = broker.settings.model_copy(update={"max_packet_bytes": 20_000})
    connect(
        FarBroker(settings), "reader", lambda m: received.put(m.payload), subscriptions=(TOPIC,)
    )
    writer = connect(broker, "writer")
    writer.publish(TOPIC, bytes(30_000))
    writer.publish(TOPIC, b"small")
    assert received.get(timeout=WAIT_S) == b"small"


def test_what_waits_for_the_broker_is_bounded_in_bytes(connect, broker, monkeypatch):
    monkeypatch.setattr(mqtt, "SEND_BUDGET_BYTES", 200_000)
    with ThinLine(broker.settings.port) as line:
        writer = connect(through(line, 30), "writer")
        line.frozen = True
        writer.publish(TOPIC, bytes(300_000))
        with pytest.raises(TransientError) as refused:
            writer.publish(TOPIC, b"one more")
        assert refused.value.reason == "send-queue-full"
        line.frozen = False
        wait_until(lambda: writer.unacknowledged_bytes == 0)
        writer.publish(TOPIC, b"one more")


def test_a_stop_while_nothing_can_be_written_ends_all_the_same(connect, broker):
    with ThinLine(broker.settings.port) as line:
        writer = connect(through(line, 30), "writer")
        line.frozen = True
        for _ in range(100):
            writer.publish(TOPIC, bytes(100_000))
        writer.stop()
        assert not writer._thread.is_alive()


def test_a_broker_that_cannot_be_reached_is_told_with_the_reason(broker):
    broker.stop()
    link = MqttLink(broker.settings, "writer", Listener(lambda _message: None))
    link.start()
    wait_until(lambda: "no answer (Connection refused)" in (link.problem() or ""))
    link.stop()
