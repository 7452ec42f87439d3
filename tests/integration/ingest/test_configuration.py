"""What operators set reaches a device as one retained document, and its answer is kept."""

import pytest
from sqlalchemy import text

from hemaline_cloud.database.configuration import (
    ConfiguredMeanwhileError,
    add_document,
    desired_of,
    record_report,
    report_of,
    state_of,
)
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.principal import service
from hemaline_shared.device_configuration import (
    DesiredConfiguration,
    DeviceConfiguration,
    QualityConfiguration,
    ReportedConfiguration,
)
from hemaline_shared.errors import HemalineError
from hemaline_shared.messages import decode, encode
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel
from parts.captures import SCOPE
from parts.waiting import LONG_S, wait_until

WHO = service("tests")


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=WHO)
    yield engine
    engine.dispose()


@pytest.fixture
def put(engine):
    def put(device=None, *, expected=None, **settings):
        with unit_of_work(engine) as connection:
            asked = DeviceConfiguration(**settings)
            return add_document(connection, WHO, SCOPE.site, device, asked, "a test", expected)

    return put


def heard_by_one_that_comes_now(broker):
    """What a device that connects now is sent."""
    heard = []
    link = MqttLink(
        broker.settings,
        "a-device",
        Listener(on_message=lambda message: (heard.append(message), link.acknowledge(message))),
        subscriptions=(SCOPE.topic(Channel.CONFIG_DESIRED),),
    )
    link.start()
    return link, heard


def newest(heard):
    return decode(DesiredConfiguration, heard[-1].payload) if heard else None


def test_a_device_hears_the_whole_document_whenever_it_comes_and_its_answer_is_kept(
    ingest, sender, broker, engine, put
):
    put(telemetry_s=60, log_level="warning", quality=QualityConfiguration(blur=2.0))
    wanted = put(SCOPE.device, telemetry_s=20)
    link, heard = heard_by_one_that_comes_now(broker)
    try:
        wait_until(lambda: (told := newest(heard)) and told.version == wanted.version, LONG_S)
    finally:
        link.stop()
    told = newest(heard)
    assert told.content == '{"log_level":"warning","quality":{"blur":2.0},"telemetry_s":20.0}'
    link, heard = heard_by_one_that_comes_now(broker)
    try:
        wait_until(lambda: newest(heard) == told, LONG_S)
    finally:
        link.stop()
    answer = ReportedConfiguration(
        version=told.version, sha256=told.sha256, outcome="refused", in_force=0, detail="no room"
    )
    sender.publish(Channel.CONFIG_REPORTED, encode(answer))
    wait_until(lambda: _state(engine) == "refused", LONG_S)
    put(telemetry_s=30)
    assert _state(engine) == "pending"


def _state(engine):
    with unit_of_work(engine) as connection:
        return state_of(desired_of(connection, SCOPE), report_of(connection, SCOPE))


def test_who_saw_an_older_version_sets_nothing(put):
    first = put(SCOPE.device, expected=0, telemetry_s=60)
    with pytest.raises(ConfiguredMeanwhileError):
        put(SCOPE.device, expected=0, telemetry_s=20)
    assert put(SCOPE.device, expected=first.version, telemetry_s=20).version > first.version


def test_versions_grow_beyond_those_that_devices_had_before_a_restore(engine, put):
    had = ReportedConfiguration(version=7, sha256="0" * 64, outcome="applied", in_force=9)
    with unit_of_work(engine) as connection:
        record_report(connection, SCOPE, had)
    assert put(telemetry_s=60).version == 10


def test_a_document_is_never_changed(engine, put):
    put(telemetry_s=60)
    with pytest.raises(HemalineError), unit_of_work(engine) as connection:
        connection.execute(text("update configuration_documents set why = 'another'"))
