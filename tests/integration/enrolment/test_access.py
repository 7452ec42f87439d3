"""What a device's certificate lets it say and hear, on a Mosquitto as `deploy/compose` sets it.

A broker grants subscriptions and acknowledges messages that go nowhere, so a witness that hears
everything counts what is delivered.
"""

import os
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from conftest import missing
from hemaline_local.broker import find_mosquitto
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.mqtt import Listener, MqttLink, Will
from hemaline_shared.topics import Channel, DeviceName, every_device
from parts.broker import BrokerPart
from parts.waiting import LONG_S, wait_until

COMPOSE = Path(__file__).parents[3] / "deploy" / "compose"
DEVICES = [
    DeviceName("lab", "scope-1"),
    DeviceName("lab", "scope-2"),
    DeviceName("south", "scope-1"),
]
SAID = {
    Channel.FIELD,
    Channel.STATUS,
    Channel.TELEMETRY,
    Channel.UPLOAD_REQUEST,
    Channel.CONFIG_REPORTED,
}
HEARD = {Channel.RECEIPT, Channel.UPLOAD_GRANT, Channel.CONFIG_DESIRED}
EVERYTHING = "user witness\ntopic readwrite #\n"


@pytest.fixture
def access_broker(est, tmp_path):
    """A Mosquitto with the configuration that ships, its files' places and port changed."""
    executable = find_mosquitto()
    if not executable:
        missing("mosquitto is not installed")

    def command(folder, port, _extra):
        folder.mkdir(exist_ok=True)
        (folder / "acl").write_text((COMPOSE / "broker-acl").read_text() + "\n" + EVERYTHING)
        text = (COMPOSE / "mosquitto.conf").read_text()
        for shipped, here in {
            "/run/secrets/ca.crt": est.root,
            "/run/secrets/broker.crt": est.settings.authority / "est.crt",
            "/run/secrets/broker.key": est.settings.authority / "est.key",
            "/mosquitto/config/acl": folder / "acl",
            "/mosquitto/data/": f"{folder}/",
            "listener 8883": f"listener {port} 127.0.0.1\nuser root",
        }.items():
            assert shipped in text
            text = text.replace(shipped, str(here))
        (folder / "mosquitto.conf").write_text(text)
        return [executable, "-c", str(folder / "mosquitto.conf")]

    part = BrokerPart(tmp_path / "access", command)
    part.start()
    yield part
    part.stop()


class Links:
    """Connections of devices that enrolled, and of services; each keeps what it was sent."""

    def __init__(self, est, port):
        self._est, self._port, self._open = est, port, []
        for device in DEVICES:
            est.device(device, f"{device.site}-{device.device}").enrol(est.token(device))

    def open(self, place, *subscriptions, client_id="", will=None):
        heard = []
        link = MqttLink(
            BrokerSettings(
                host="localhost",
                port=self._port,
                ca=self._est.root,
                certificate=self._est.folder / place / "device.crt",
                key=self._est.folder / place / "device.key",
            ),
            client_id or place,
            Listener(on_message=lambda message: (heard.append(message), link.acknowledge(message))),
            subscriptions=subscriptions,
            will=will,
        )
        link.start()
        self._open.append(link)
        assert link.wait_connected(LONG_S), link.problem()
        return link, heard

    def service(self, name, *subscriptions):
        folder, authority = self._est.folder / name, self._est.settings.authority
        folder.mkdir()
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        by = ["-CA", authority / "issuing.crt", "-CAkey", authority / "issuing.key"]
        out = ["-keyout", folder / "device.key", "-out", folder / "r.pem"]
        subprocess.run(
            ["openssl", "req", "-new", *key, "-subj", f"/CN={name}", *out],
            check=True,
            capture_output=True,
        )
        made = subprocess.run(
            ["openssl", "x509", "-req", "-in", folder / "r.pem", *by, "-CAcreateserial"],
            check=True,
            capture_output=True,
        )
        chain = made.stdout + (authority / "issuing.crt").read_bytes()
        (folder / "device.crt").write_bytes(chain)
        return self.open(name, *subscriptions)

    def close(self):
        for link in self._open:
            link.stop()


def cut(link):
    """Break a connection's line without a word of MQTT."""
    link._connection._client.socket().shutdown(socket.SHUT_RDWR)


def place(device):
    return f"{device.site}-{device.device}"


@pytest.fixture
def links(est, access_broker):
    made = Links(est, access_broker.settings.port)
    yield made
    made.close()


def test_a_device_says_only_what_is_its_own_by_message_retained_and_last_will(links, access_broker):
    witness, heard = links.service("witness", "#")
    for device in DEVICES:
        for of in DEVICES:
            for channel in Channel:
                topic, told = of.topic(channel), str(device).encode()
                will = Will(topic, b"will of " + told)
                link, _ = links.open(place(device), will=lambda will=will: will)
                link.publish(topic, told)
                link.publish(topic, b"kept of " + told, retain=True)
                wait_until(lambda link=link: link.unacknowledged_bytes == 0)
                cut(link)  # the will is told
                link.stop()
    last = b"the last one"
    witness.publish("end", last)
    wait_until(lambda: heard and heard[-1].payload == last)
    own = Counter(
        (device.topic(channel), kind + str(device).encode())
        for device in DEVICES
        for channel in SAID
        for kind in (b"", b"kept of ", b"will of ")
    )
    told = Counter((message.topic, message.payload) for message in heard[:-1])
    assert set(told) == set(own)


def test_a_device_hears_only_what_is_its_own_whatever_it_subscribes_to(links):
    everything = ("#", "$share/ingest/#", *map(every_device, Channel))
    heard = {device: links.open(place(device), *everything)[1] for device in DEVICES}
    witness, _ = links.service("witness")
    for device in DEVICES:
        for channel in Channel:
            witness.publish(device.topic(channel), str(device).encode())
    wait_until(lambda: witness.unacknowledged_bytes == 0)
    for device in DEVICES:  # each has heard the last thing that is its own
        own = {device.topic(channel) for channel in HEARD}
        wait_until(lambda d=device, own=own: {m.topic for m in heard[d]} >= own)
        assert {message.topic for message in heard[device]} == own


def test_devices_that_join_a_shared_group_swallow_nothing_of_a_plain_subscription(links):
    speaker, *joining = DEVICES
    field = every_device(Channel.FIELD)
    for device in joining:
        links.open(place(device), every_device(Channel.FIELD, "ingest"), field)
    _, heard = links.service("ingest", field)
    link, _ = links.open(place(speaker))
    for number in range(40):
        link.publish(speaker.topic(Channel.FIELD), str(number).encode())
    wait_until(lambda: len(heard) >= 40)
    assert {message.payload for message in heard} == {str(n).encode() for n in range(40)}


def test_another_devices_client_id_takes_nothing_from_it(links):
    own, heard = links.open(place(DEVICES[0]), DEVICES[0].topic(Channel.RECEIPT))
    links.open(place(DEVICES[1]), client_id=str(DEVICES[0]))
    witness, _ = links.service("witness")
    witness.publish(DEVICES[0].topic(Channel.RECEIPT), b"receipt")
    wait_until(lambda: len(heard) == 1)
    assert own.connected


def test_a_denied_device_says_and_hears_nothing_more_on_an_open_connection(links, access_broker):
    denied, other = DEVICES[:2]
    witness, heard = links.service("witness", "#")
    link, told = links.open(place(denied), denied.topic(Channel.RECEIPT))
    free, _ = links.open(place(other))
    acl = access_broker.folder / "acl"
    acl.write_text(f"{acl.read_text()}\nuser {denied}\ntopic deny #\n")
    os.kill(access_broker.pid, signal.SIGHUP)
    log = access_broker.folder / "broker.log"
    wait_until(lambda: "Reloading config" in log.read_text(errors="replace"))
    link.publish(denied.topic(Channel.FIELD), b"denied")
    witness.publish(denied.topic(Channel.RECEIPT), b"a receipt")
    wait_until(lambda: link.unacknowledged_bytes == 0 and witness.unacknowledged_bytes == 0)
    free.publish(other.topic(Channel.FIELD), b"free")
    wait_until(lambda: b"free" in {message.payload for message in heard})
    assert b"denied" not in {message.payload for message in heard}
    assert told == []
