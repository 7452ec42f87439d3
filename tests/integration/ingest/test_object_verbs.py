"""Objects that no row refers to are found, and deleted by an operator's verb alone."""

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from hemaline_cloud import object_verbs
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.schema import Base
from hemaline_cloud.ingest import pipeline
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from parts.captures import SCOPE, WIDTH, Slide
from parts.sender import Sender

_WHY = "left by a crash"


@pytest.fixture(params=["directory", "s3"])
def objects(request):
    """Instead of the directory of the other tests: each store in turn, empty."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def directory(tmp_path):
    return DirectoryObjects(path=tmp_path / "objects")


@pytest.fixture
def s3(s3_objects):
    settings = s3_objects.model_copy(update={"bucket": f"test-{new_id()}"})
    open_store(settings)._client.make_bucket(settings.bucket)
    return settings


@pytest.fixture
def settings(settings_of, broker, objects):
    return settings_of(broker).model_copy(update={"objects": objects})


@pytest.fixture
def said():
    return []


@pytest.fixture
def of_any_age(monkeypatch):
    monkeypatch.setattr(object_verbs, "_YOUNG", timedelta(minutes=-10))


def _listed(settings):
    lines = []
    object_verbs.list_objects(settings, lines.append)
    return [line.split("\t")[0] for line in lines[:-1]], lines[-1]


def _sent(broker, *messages):
    with Sender(broker.settings, SCOPE) as sender:
        sender.send(*messages)
        sender.wait_for_receipts(len(messages))


def test_what_an_ingest_stored_and_could_not_commit_is_found_and_discarded(
    broker, settings, start, ledger, monkeypatch, of_any_age
):
    slide = Slide()
    lost, kept = slide.field(0), [slide.field(number) for number in range(1, 4)]
    refused = slide.field(4, width=WIDTH + 1)
    with monkeypatch.context() as killed, Sender(broker.settings, SCOPE) as sender:
        killed.setattr(pipeline, "record", lambda *_: 1 / 0)
        ingest = start(settings)
        sender.send(lost)
        with pytest.raises(TransientError):  # it ended with the object stored, without a row
            ingest.wait()
        ingest.stop()
    start(settings)
    _sent(broker, *kept, refused, lost)
    orphans, summary = _listed(settings)
    assert len(orphans) <= 1  # an S3 has the same key for the same images
    assert f"No row refers to {len(orphans)} of" in summary
    store = open_store(settings.objects)
    stray = f"fields/lab/scope/{new_id()}-stray"
    store.put(stray, b"of an older crash")
    orphans = _listed(settings)[0]
    assert stray in orphans
    object_verbs.discard_objects(settings, _WHY, lambda _: None, dry_run=True, most=False)
    assert _listed(settings)[0] == orphans
    object_verbs.discard_objects(settings, _WHY, lambda _: None, dry_run=False, most=False)
    assert _listed(settings)[0] == []
    kept = "select object_key from fields union select object_key from dead_letters"
    assert all(store.exists(key) for (key,) in ledger.rows(kept))
    told = ledger.rows("select action, subject, detail from audit_events")
    assert {(action, subject) for action, subject, _ in told} == {("discard", "object")}
    assert {detail.split(",")[0] for _, _, detail in told} == set(orphans)
    assert all(detail.endswith(_WHY) for _, _, detail in told)


def test_what_is_younger_than_a_day_may_be_on_its_way_to_its_row(settings):
    open_store(settings.objects).put(f"fields/lab/scope/{new_id()}-young", b"just stored")
    assert _listed(settings)[0] == []


def test_a_store_of_another_database_is_not_emptied(settings, of_any_age):
    store = open_store(settings.objects)
    keys = [f"fields/lab/scope/{new_id()}-other" for _ in range(3)]
    for key in keys:
        store.put(key, b"of another database")
    with pytest.raises(PermanentError, match="belong together") as refusal:
        object_verbs.discard_objects(settings, _WHY, lambda _: None, dry_run=False, most=False)
    assert refusal.value.reason == "not-its-store"
    assert all(map(store.exists, keys))
    object_verbs.discard_objects(settings, _WHY, lambda _: None, dry_run=False, most=True)
    assert not any(map(store.exists, keys))


def test_objects_of_fields_that_are_missing_or_changed_are_told(
    broker, settings, start, ledger, said
):
    slide = Slide()
    start(settings)
    _sent(broker, *(slide.field(number) for number in range(3)))
    object_verbs.verify(settings, said.append, hashes=True)
    every = "3 rows name an object: 0 of these are missing or changed. 3 objects are stored: "
    assert said == [every + "0 have no row."]
    store = open_store(settings.objects)
    rows = ledger.rows("select frame_id, object_key from fields order by frame_id")
    store.delete(rows[1][1])
    with pytest.raises(PermanentError) as refusal:
        object_verbs.verify(settings, said.append, hashes=False)
    assert refusal.value.reason == "objects-missing"
    assert f"{rows[1][0]}\tmissing\t{rows[1][1]}" in said
    engine = make_engine(settings.database_url.get_secret_value(), principal=service("tests"))
    with unit_of_work(engine) as connection:
        connection.execute(text("update fields set object_sha256 = repeat('0', 64)"))
    engine.dispose()
    said.clear()
    with pytest.raises(PermanentError):
        object_verbs.verify(settings, said.append, hashes=True)
    assert [line.split("\t")[1] for line in said[:-1]] == ["changed", "missing", "changed"]


def test_an_object_of_no_row_and_a_dead_letter_without_its_message_are_told(
    broker, settings, start, ledger, said
):
    start(settings)
    _sent(broker, Slide().field(0, width=WIDTH + 1))
    store = open_store(settings.objects)
    ((letter, key),) = ledger.rows("select dead_letter_id, object_key from dead_letters")
    stray = f"fields/lab/scope/{new_id()}-stray"
    store.put(stray, b"of a crash")
    object_verbs.verify(settings, said.append, hashes=True)
    assert said[:-1] == [f"-\tno row\t{stray}"]
    store.delete(key)
    said.clear()
    with pytest.raises(PermanentError):
        object_verbs.verify(settings, said.append, hashes=False)
    assert f"{letter}\tmissing\t{key}" in said


def test_every_column_that_names_an_object_is_looked_at():
    """Whoever adds one adds it to `find_orphans`, or its objects are taken for orphans."""
    naming = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if "object_key" in column.name
    }
    to_be_deleted = {("object_deletions", "object_key")}  # of erased specimens
    assert naming - to_be_deleted == {("fields", "object_key"), ("dead_letters", "object_key")}


def test_the_commands_ask_for_a_reason_and_delete_nothing_unless_told(database_url, tmp_path):
    settings = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(tmp_path / "objects"),
    }

    def command(*words):
        return subprocess.run(
            [sys.executable, "-m", "hemaline_cloud", *words],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    stray = tmp_path / "objects" / "fields" / "lab" / "scope" / "stray"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of an older crash")
    before = time.time() - 2 * 24 * 3600
    os.utime(stray, (before, before))
    assert "fields/lab/scope/stray" in command("objects", "list").stdout
    assert command("verify", "--hashes").returncode == 0
    assert command("objects", "discard", "--most").returncode != 0
    assert command("objects", "discard", "--why", " ", "--most").returncode != 0
    assert "--no-dry-run" in command("objects", "discard", "--why", _WHY, "--most").stdout
    assert stray.exists()
    assert command("objects", "discard", "--why", _WHY, "--most", "--no-dry-run").returncode == 0
    assert not stray.exists()
