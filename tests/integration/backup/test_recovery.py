"""A rehearsed recovery: what was deleted at T is there again as of a second before."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from hemaline_cloud import object_verbs
from hemaline_cloud.backup.base import take_base
from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.backup.following import Following
from hemaline_cloud.backup.wal import SLOT, Receiver, has_archived, written_position
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import BackupSettings, DirectoryObjects, IngestSettings
from hemaline_local.postgres import _programs
from hemaline_shared.errors import PermanentError
from parts.folders import memory, readable_folder
from parts.postgres import PostgresPart, as_application, as_owner
from parts.queued import queue_field
from parts.waiting import LONG_S, wait_until

ROLE = "hemaline_backup"
FIELDS = "set hemaline.sites = '*'; set hemaline.principal = 'test'; select count(*) from fields"


@pytest.fixture
def settings(postgres, database_url, tmp_path):
    owner = as_owner(database_url)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"drop role if exists {ROLE}")
        connection.execute(f"create role {ROLE} login replication in role hemaline_application")
    yield BackupSettings(
        database_url=SecretStr(owner.replace("//postgres@", f"//{ROLE}@")),
        objects=DirectoryObjects(path=tmp_path / "objects"),
        backup=tmp_path / "backup",
        postgres_programs=_programs(),
        backup_period_s=0.2,
    )
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
            " where slot_name = %s and not active",
            [SLOT],
        )


@contextmanager
def running(following):
    """Follow in a thread until the end of the block; a failure of it is one of the test."""
    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(following.run)
        try:
            yield
        finally:
            following.stop_soon()
        ended.result()


def metric(following, name):
    with urlopen(f"http://127.0.0.1:{following.health.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def archived_since(following, moment):
    name = "hemaline_backup_archive_timestamp_seconds"
    wait_until(lambda: metric(following, name) > moment)


def count_of(url):
    with psycopg.connect(url) as connection:
        cursor = connection.execute(FIELDS)
        while cursor.nextset():
            pass
        return cursor.fetchone()[0]


def test_rows_and_objects_deleted_at_t_come_back_to_a_second_before(
    settings, database_url, tmp_path, capsys
):
    engine = make_engine(database_url, principal=service("tests"))
    store = open_store(settings.objects)
    queue_field(engine, store, [])
    following = Following(settings)
    with running(following):
        assert "no base backup" in (following._problem() or "")
        take_base(settings)
        queue_field(engine, store, [])
        archived_since(following, time.time())
        assert following._problem() is None
        os.kill(following._receiver._running.pid, signal.SIGKILL)
        queue_field(engine, store, [])
        archived_since(following, time.time())
        before = datetime.now(UTC)
        time.sleep(1)
        with psycopg.connect(as_owner(database_url)) as connection:
            connection.execute("delete from work")
            connection.execute("delete from fields")
        for kept in list(store.list_under("fields")):
            store.delete(kept.key)
        archived_since(following, time.time())
    engine.dispose()
    assert count_of(as_owner(database_url)) == 0

    with readable_folder(memory()) as folder:
        restored = PostgresPart(folder / "postgres")
        objects = tmp_path / "restored-objects"
        began = time.monotonic()
        command = [sys.executable, "-m", "hemaline_cloud", "restore", str(settings.backup)]
        command += ["--data", str(folder / "postgres" / "data"), "--until", before.isoformat()]
        if os.geteuid() == 0:
            command += ["--owner", "embedded_postgres"]
        environment = {
            "HEMALINE_OBJECTS__KIND": "directory",
            "HEMALINE_OBJECTS__PATH": str(objects),
        }
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        restored.start()
        url = restored.url(make_url(database_url).database)
        took = time.monotonic() - began
        try:
            wait_until(lambda: count_of(url) == 3)
            said = []
            ours = IngestSettings(
                database_url=SecretStr(as_application(url)), objects=DirectoryObjects(path=objects)
            )
            object_verbs.verify(ours, said.append, hashes=True)
            assert said[-1].startswith("3 rows name an object: 0 of these are missing or changed.")
            assert said[-1].endswith("3 objects are stored: 0 have no row.")
        finally:
            restored.stop()
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout.strip()}\nrecovery and start took {took:.1f} s\n")


def test_a_killed_base_backup_never_counts_and_the_next_one_does(settings):
    folder = BackupFolder(settings.backup)
    folder.make()
    environment = {
        "HEMALINE_DATABASE_URL": settings.database_url.get_secret_value(),
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(settings.objects.path),
        "HEMALINE_BACKUP": str(settings.backup),
        "HEMALINE_POSTGRES_PROGRAMS": str(settings.postgres_programs),
    }
    taking = subprocess.Popen(
        [sys.executable, "-m", "hemaline_cloud", "backup", "base"],
        env=os.environ | environment,
        start_new_session=True,
    )
    wait_until(lambda: any((folder.unfinished / "data").glob("*")))
    os.killpg(taking.pid, signal.SIGKILL)
    taking.wait()
    assert folder.finished() == []
    assert folder.unfinished.exists()
    done = take_base(settings)
    assert folder.finished() == [done]
    assert not folder.unfinished.exists()


def test_the_receiver_of_a_follow_that_was_killed_gives_way_to_the_next(settings):
    folder = BackupFolder(settings.backup)
    folder.make()
    left, following = Receiver(settings, folder), Receiver(settings, folder)
    left.keep_running()
    wait_until(lambda: any(folder.wal.iterdir()))
    following.keep_running()
    assert left._running.wait(LONG_S) == 0
    following.stop()


def test_an_archive_that_was_away_for_too_long_says_that_it_has_a_gap(settings, database_url):
    owner = as_owner(database_url)
    engine = make_engine(database_url, principal=service("tests"))
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute("select pg_create_physical_replication_slot(%s, true)", [SLOT])
        server.execute("alter system set max_slot_wal_keep_size = '16MB'")
        server.execute("select pg_reload_conf()")
        try:
            for _ in range(4):
                server.execute("select pg_logical_emit_message(false, 'fill', 'x')")
                server.execute("select pg_switch_wal()")
            server.execute("checkpoint")
            with unit_of_work(engine) as connection, pytest.raises(PermanentError) as refusal:
                has_archived(connection, written_position(connection))
        finally:
            server.execute("alter system reset max_slot_wal_keep_size")
            server.execute("select pg_reload_conf()")
            engine.dispose()
    assert refusal.value.reason == "archive-has-a-gap"


def test_programs_that_are_missing_are_named(settings, tmp_path):
    bare = settings.model_copy(update={"postgres_programs": Path(tmp_path)})
    with pytest.raises(PermanentError, match="pg_receivewal is not there"):
        take_base(bare)
