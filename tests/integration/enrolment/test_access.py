"""What a device's certificate lets it say and hear, on a Mosquitto as `deploy/compose` sets it.

A broker grants subscriptions and acknowledges messages that go nowhere, so a witness that hears
everything counts what is delivered.
"""

import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pydantic import SecretStr

from conftest import missing
from hemaline_cloud.database.engine import make_engine
from hemaline_cloud.database.migrate import migrate
from hemaline_cloud.enrolment import verbs
from hemaline_cloud.enrolment.broker_lists import BrokerLists
from hemaline_cloud.enrolment.issuing import EST
from hemaline_cloud.settings import BrokerListsSettings, MigrateSettings
from hemaline_local.broker import find_mosquitto
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id
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
SCOPE = DEVICES[0]
SAID = {
    Channel.FIELD,
    Channel.STATUS,
    Channel.TELEMETRY,
    Channel.UPLOAD_REQUEST,
    Channel.CONFIG_REPORTED,
    Channel.COMMAND_RESULT,
}
HEARD = {Channel.RECEIPT, Channel.UPLOAD_GRANT, Channel.CONFIG_DESIRED, Channel.COMMAND}
EVERYTHING = "user witness\ntopic readwrite #\n"


@pytest.fixture
def access_broker(est, tmp_path):
    """A Mosquitto with the configuration that ships, its files' places and port changed."""
    executable = find_mosquitto()
    if not executable:
        missing("mosquitto is not installed")

    lists = tmp_path / "lists"
    lists.mkdir()
    access = tmp_path / "broker-acl"
    access.write_text((COMPOSE / "broker-acl").read_text() + "\n" + EVERYTHING)
    est.restart(broker_lists=BrokerListsSettings(folder=lists, access=access, every_s=0.1))

    def command(folder, port, _extra):
        folder.mkdir(exist_ok=True)
        text = (COMPOSE / "mosquitto.conf").read_text()
        for shipped, here in {
            "/run/secrets/ca.crt": est.root,
            "/run/secrets/broker.crt": est.settings.authority / "est.crt",
            "/run/secrets/broker.key": est.settings.authority / "est.key",
            "/mosquitto/lists/": f"{lists}/",
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

    def start(self, place, *subscriptions, client_id="", will=None):
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
        return link, heard

    def open(self, *place_and_subscriptions, **options):
        link, heard = self.start(*place_and_subscriptions, **options)
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


@pytest.fixture
def watched(access_broker, tmp_path):
    """What has the broker of compose read its lists anew, beside the broker of this test."""
    lists = tmp_path / "lists"
    command = ["sh", COMPOSE / "broker.sh", "watch", str(access_broker.pid), str(lists)]
    with subprocess.Popen(command) as watching:
        yield lists
        watching.terminate()


def revoke(est, device):
    verbs.revoke_device(est.settings, device, "stolen", str)


def is_heard(link, device, witness, heard):
    """Whether the broker passes on what a device says, by its own next word to the witness."""
    content = new_id().bytes
    link.publish(device.topic(Channel.FIELD), content)
    wait_until(lambda: link.unacknowledged_bytes == 0)
    witness.publish("witness", content)
    wait_until(lambda: any(message.topic == "witness" for message in heard))
    told = {message.topic for message in heard if message.payload == content}
    heard.clear()
    return device.topic(Channel.FIELD) in told


def refusals(broker):
    log = (broker.folder / "broker.log").read_text(errors="replace")
    return log.count("certificate verify failed")


def test_a_revoked_device_is_cut_off_while_it_is_connected_and_does_not_come_back(
    links, est, access_broker, watched
):
    stolen, other = DEVICES[:2]
    witness, heard = links.service("witness", "#")
    link, told = links.open(place(stolen), stolen.topic(Channel.RECEIPT))
    free, _ = links.open(place(other))
    assert is_heard(link, stolen, witness, heard)
    revoke(est, stolen)
    wait_until(lambda: not is_heard(link, stolen, witness, heard))
    witness.publish(stolen.topic(Channel.RECEIPT), b"a receipt")
    assert is_heard(free, other, witness, heard)
    assert told == []
    cut(link)
    wait_until(lambda: refusals(access_broker) > 0)
    assert not link.connected


def test_who_enrols_anew_is_heard_and_the_stolen_certificate_connects_no_more(
    links, est, access_broker, watched
):
    stolen = DEVICES[0]
    revoke(est, stolen)
    wait_until(lambda: f"user {stolen}" in (watched / "access").read_text())
    est.device(stolen, "new").enrol(est.token(stolen))
    wait_until(lambda: f"user {stolen}" not in (watched / "access").read_text())
    witness, heard = links.service("witness", "#")
    link, _ = links.open("new", client_id=str(stolen))
    wait_until(lambda: is_heard(link, stolen, witness, heard))
    thief, _ = links.start(place(stolen))
    wait_until(lambda: refusals(access_broker) > 0)
    assert not thief.connected
    assert is_heard(link, stolen, witness, heard)


def test_a_folder_that_cannot_be_written_stops_the_start_in_words(est, tmp_path):
    lists = BrokerListsSettings(folder=tmp_path / "none", access=COMPOSE / "broker-acl")
    issuing = est.issuing
    with (
        pytest.raises(PermanentError, match=r"cannot write a broker's lists: .*none"),
        verbs.broker_lists(
            est.settings.model_copy(update={"broker_lists": lists}),
            issuing.engine,
            issuing.authority,
        ),
    ):
        pass


def test_the_lists_stay_while_their_folder_is_away_and_follow_once_it_is_back(
    est, tmp_path, caplog
):
    folder = tmp_path / "lists"
    folder.mkdir()
    lists = BrokerListsSettings(folder=folder, access=COMPOSE / "broker-acl", every_s=0.05)
    est.restart(broker_lists=lists)
    est.device(SCOPE).enrol(est.token(SCOPE))
    folder.rename(tmp_path / "away")
    revoke(est, SCOPE)
    wait_until(lambda: "the broker's lists stay as they are" in caplog.text)
    (tmp_path / "away").rename(folder)
    wait_until(lambda: f"user {SCOPE}" in (folder / "access").read_text())
    assert caplog.text.count("the broker's lists stay as they are") == 1


def test_a_database_that_is_not_migrated_yet_is_told_and_the_lists_follow(
    est, empty_database_url, tmp_path, caplog
):
    engine = make_engine(empty_database_url, principal=EST, pool_size=1)
    settings = BrokerListsSettings(folder=tmp_path, access=COMPOSE / "broker-acl", every_s=0.05)
    lists = BrokerLists(settings, engine, est.issuing.authority)
    assert "the broker's lists stay as they are" in caplog.text
    assert not (tmp_path / "access").exists()
    migrate(MigrateSettings(database_url=SecretStr(empty_database_url)))
    lists.refresh()
    engine.dispose()
    assert (tmp_path / "access").read_text() == settings.access.read_text()
