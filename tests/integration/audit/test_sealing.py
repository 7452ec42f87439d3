"""The audit's chain: whatever is changed afterwards, the first false block is named."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from hemaline_cloud.audit import sealing
from hemaline_cloud.audit.publishing import publish_seal, published_seals
from hemaline_cloud.audit.sealing import AuditSealer, seal_block
from hemaline_cloud.audit.verifying import FalseBlock, verify
from hemaline_cloud.audit_verbs import verify_audit
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.audit_seals import become_sealer, newest_seal
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.migrate import migrate
from hemaline_cloud.objects.directory import DirectoryStore
from hemaline_cloud.principal import service
from hemaline_cloud.settings import AuditSettings, DirectoryObjects, MigrateSettings
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from parts.postgres import as_owner as owners
from parts.waiting import wait_until


@pytest.fixture
def engine(database_url):
    engine = make_engine(owners(database_url), pool_size=10)
    yield engine
    engine.dispose()


@pytest.fixture
def objects(tmp_path):
    return DirectoryObjects(path=tmp_path / "objects")


@pytest.fixture
def store(objects):
    return DirectoryStore(objects)


def write(engine, number=1, actor="ann"):
    for _ in range(number):
        with unit_of_work(engine) as connection:
            record_event(connection, service(actor), Event("read", "slide", new_id(), site="north"))


def three_blocks(engine):
    for _ in range(3):
        write(engine, 2)
        assert seal_block(engine)


def as_owner(engine, statement):
    """As whoever owns the tables can, once triggers are off."""
    with unit_of_work(engine) as connection:
        for table in ("audit_events", "audit_seals"):
            connection.execute(text(f"alter table {table} disable trigger append_only"))
        assert connection.execute(text(statement)).rowcount == 1


def test_a_block_holds_what_came_since_the_last_and_nothing_is_sealed_twice(engine, store):
    write(engine, 3)
    assert seal_block(engine).events == 3
    assert seal_block(engine) is None
    write(engine, 2)
    second = seal_block(engine)
    assert (second.number, second.events) == (2, 2)
    found = verify(engine, store)
    assert (found.blocks, found.events, found.false_block, found.unsealed) == (2, 5, None, 0)


_SECOND = "(select event_id from audit_events order by transaction offset 2 limit 1)"


@pytest.mark.parametrize(
    ("change", "number", "fault"),
    [
        (f"update audit_events set actor = 'nobody' where event_id = {_SECOND}", 2, "not as"),
        (f"update audit_events set at = at + '1 ms' where event_id = {_SECOND}", 2, "not as"),
        (f"delete from audit_events where event_id = {_SECOND}", 2, "1 events, and 2"),
        (
            (
                "insert into audit_events"
                " (event_id, transaction, actor, actor_name, action, subject, detail)"
                " select gen_random_uuid(), transaction, 'eve', '', 'read', 'slide', ''"
                f" from audit_events where event_id = {_SECOND}"
            ),
            2,
            "3 events, and 2",
        ),
        ("update audit_seals set hash = repeat('0', 64) where number = 2", 2, "not as"),
        ("update audit_seals set until = until + 1 where number = 1", 1, "not as"),
        ("delete from audit_seals where number = 2", 3, "block 2 is not there"),
    ],
)
def test_what_the_owner_changes_is_named(engine, store, change, number, fault):
    three_blocks(engine)
    as_owner(engine, change)
    found = verify(engine, store)
    assert found.false_block
    assert found.false_block.number == number
    assert fault in found.false_block.fault
    assert found.blocks == number - 1 or "not there" in fault


def test_a_chain_that_was_written_anew_is_not_the_published_one(engine, store):
    write(engine)
    publish_seal(store, seal_block(engine))
    as_owner(engine, "delete from audit_seals")
    as_owner(engine, "update audit_events set actor = 'nobody'")
    seal_block(engine)
    found = verify(engine, store)
    assert found.false_block.number == 1
    assert "the object store has another seal" in found.false_block.fault


def test_blocks_that_were_published_and_are_gone_are_missed(engine, store):
    three_blocks(engine)
    with unit_of_work(engine) as connection:
        publish_seal(store, newest_seal(connection))
    as_owner(engine, "delete from audit_seals where number = 3")
    assert verify(engine, store).false_block == FalseBlock(
        3, "it is not there, and blocks up to 3 were published"
    )


def test_eight_writers_leave_no_break_and_nothing_unsealed(engine, store, monkeypatch):
    monkeypatch.setattr(sealing, "SEAL_S", 0.05)
    sealers = [AuditSealer(engine, store) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: write(engine, 1000, name), "abcdefgh"))
    for sealer in sealers:
        sealer.stop()
    found = verify(engine, store)
    assert (found.events, found.false_block, found.unsealed) == (8000, None, 0)
    assert found.blocks > 1


def test_an_event_of_a_longer_transaction_waits_and_is_not_left_out(engine, store):
    with unit_of_work(engine) as longer:
        record_event(longer, service("ann"), Event("read", "slide", new_id()))
        write(engine, 2)
        assert seal_block(engine) is None
    assert seal_block(engine).events == 3
    assert verify(engine, store).false_block is None


def test_a_block_is_bounded_and_a_transaction_is_in_one(engine, store, monkeypatch):
    monkeypatch.setattr(sealing, "_MOST_EVENTS", 3)
    write(engine, 2)
    with unit_of_work(engine) as connection:
        for _ in range(5):
            record_event(connection, service("ann"), Event("read", "slide", new_id()))
    write(engine)
    assert [seal_block(engine).events for _ in range(3)] == [2, 5, 1]
    assert verify(engine, store).false_block is None


def test_one_seals_at_a_time(engine):
    write(engine)
    with unit_of_work(engine) as connection:
        assert become_sealer(connection)
        assert seal_block(engine) is None
    assert seal_block(engine)


def test_the_sealer_publishes_its_last_seal_and_goes_on_after_the_store_was_away(
    engine, store, monkeypatch
):
    monkeypatch.setattr(sealing, "SEAL_S", 0.01)
    monkeypatch.setattr(sealing, "PUBLISH_S", 0.0)
    refused = threading.Event()

    class Away(DirectoryStore):
        def put(self, key, data):
            if not refused.is_set():
                refused.set()
                raise TransientError("object-store-unavailable", "it is away")
            super().put(key, data)

    sealer = AuditSealer(engine, Away(DirectoryObjects(path=store._root)))
    sealer.start()
    write(engine)
    wait_until(lambda: published_seals(store))
    sealer.stop()
    assert refused.is_set()
    with unit_of_work(engine) as connection:
        newest = newest_seal(connection)
    assert published_seals(store) == {1: {newest.hash}}


def test_a_restored_dump_is_counted_on_by_migrate(engine, store, database_url):
    """A new server numbers its transactions from the beginning; here the blocks are far ahead."""
    write(engine)
    seal_block(engine)
    as_owner(engine, "update audit_events set transaction = transaction + 1000000")
    as_owner(engine, "update audit_seals set until = until + 1000000")
    write(engine)
    with pytest.raises(PermanentError) as caught:
        seal_block(engine)
    assert caught.value.reason == "audit-counts-anew"
    migrate(MigrateSettings(database_url=SecretStr(owners(database_url))))
    write(engine)
    second = seal_block(engine)
    assert (second.number, second.events) == (2, 1)


def settings(database_url, objects):
    return AuditSettings(database_url=SecretStr(database_url), objects=objects)


def test_the_command_says_how_much_is_true(engine, database_url, objects):
    three_blocks(engine)
    write(engine)
    said = []
    verify_audit(settings(database_url, objects), said.append)
    assert said == [
        "3 blocks with 6 events are as they were sealed.",
        "1 events wait for their seal.",
    ]


def test_the_command_names_the_first_false_block(engine, database_url, objects):
    three_blocks(engine)
    as_owner(engine, f"update audit_events set actor = 'nobody' where event_id = {_SECOND}")
    with pytest.raises(PermanentError, match="Block 2 is false") as caught:
        verify_audit(settings(database_url, objects), lambda _line: None)
    assert caught.value.reason == "audit-false"


def test_the_command_tells_of_an_audit_that_nobody_seals(engine, database_url, objects):
    write(engine)
    as_owner(engine, "update audit_events set at = now() - interval '2 minutes'")
    with pytest.raises(PermanentError, match="Nobody seals") as caught:
        verify_audit(settings(database_url, objects), lambda _line: None)
    assert caught.value.reason == "audit-unsealed"
