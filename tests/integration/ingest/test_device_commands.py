"""A command is told until its end is heard, also to a device that was off; what ends it is kept."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from hemaline_cloud.database.device_commands import (
    MOST_OPEN,
    NewCommand,
    add_command,
    approve_command,
    commands_of,
    find_command,
    record_result,
)
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.enrolment import add_certificate, find_certificate
from hemaline_cloud.principal import operator, service
from hemaline_shared.device_commands import (
    Command,
    CommandResult,
    Decommission,
    NoArguments,
)
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Status, decode, encode
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName
from parts.captures import SCOPE
from parts.waiting import LONG_S, wait_until

ADA, BEA = operator("ada"), operator("bea")


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def ask(engine):
    def ask(verb="flush", arguments=None, **more):
        with unit_of_work(engine) as connection:
            new = NewCommand(SCOPE, verb, arguments or NoArguments(), "a test", **more)
            return add_command(connection, ADA, new)

    return ask


@pytest.fixture
def state(engine):
    def state(row):
        with unit_of_work(engine) as connection:
            return find_command(connection, row.command_id)

    return state


@pytest.fixture
def device(broker):
    """Connects when it is called; what it hears then, and its link."""
    links = []

    def connect():
        heard = []
        link = MqttLink(
            broker.settings,
            "a-device",
            Listener(on_message=lambda message: (heard.append(message), link.acknowledge(message))),
            subscriptions=(SCOPE.topic(Channel.COMMAND),),
        )
        link.start()
        links.append(link)
        assert link.wait_connected(LONG_S)
        return link, heard

    yield connect
    for link in links:
        link.stop()


def say(link, row, outcome, **more):
    result = CommandResult(command_id=row.command_id, outcome=outcome, **more)
    link.publish(SCOPE.topic(Channel.COMMAND_RESULT), encode(result))


def test_a_device_that_was_off_hears_what_is_open_and_its_answer_is_kept_and_audited(
    ingest, engine, ask, state, device
):
    over, kept = ask(lasts=timedelta(0)), ask()
    wait_until(lambda: state(over).state == "expired", LONG_S)
    wait_until(lambda: state(kept).sent_at, LONG_S)  # nobody heard it
    link, heard = device()
    born = Status(online=True, session=1, edge_version="1", at=datetime.now(UTC), spool_id=7)
    link.publish(SCOPE.topic(Channel.STATUS), encode(born))  # another session: it came back
    wait_until(lambda: heard, LONG_S)
    told = decode(Command, heard[-1].payload)
    assert (told.command_id, told.verb, told.asked_by) == (kept.command_id, "flush", "ada")
    assert "a test" not in str(told), "why is written freely, and stays here"
    assert told.sent_at <= datetime.now(UTC) < told.expires_at
    say(link, over, "received")  # comes too late to mean anything
    say(link, kept, "refused", reason="clock-impossible", detail="1970")
    wait_until(lambda: state(kept).state == "refused", LONG_S)
    assert (state(kept).reason, state(over).state) == ("clock-impossible", "expired")
    with unit_of_work(engine) as connection:
        told = connection.execute(
            text("select subject_id, detail from audit_events where action = 'end' order by at")
        ).all()
    assert told == [
        (over.command_id, f"{SCOPE}, flush: expired"),
        (kept.command_id, f"{SCOPE}, flush: clock-impossible"),
    ]


def test_what_deletes_is_sent_only_after_a_second_operator_agreed(engine, ask, state):
    row = ask("decommission", Decommission())
    done = CommandResult(command_id=row.command_id, outcome="done")
    with unit_of_work(engine) as connection:
        certificate = add_certificate(connection, "1f", SCOPE, datetime.now(UTC))
        record_result(connection, service("tests"), SCOPE, done)
        with pytest.raises(PermanentError):
            approve_command(connection, ADA, row)
        assert find_command(connection, row.command_id).state == "awaiting-approval"
        assert approve_command(connection, BEA, row).state == "open"
        other = DeviceName(SCOPE.site, "another")
        record_result(connection, service("tests"), other, done)
        assert find_command(connection, row.command_id).state == "open"
        assert not find_certificate(connection, "1f").revoked
        record_result(connection, service("tests"), SCOPE, done)
        assert find_certificate(connection, "1f").revoked
        assert certificate
    assert state(row).state == "done"


def test_a_device_is_not_told_more_than_it_can_do(engine, ask):
    for _ in range(MOST_OPEN):
        ask()
    with pytest.raises(PermanentError, match="open"):
        ask()
    with unit_of_work(engine) as connection:
        assert len(commands_of(connection, SCOPE, 100)) == MOST_OPEN
