"""What counts as a backup, what its archive holds, and what is still needed."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from hemaline_cloud.backup.discarding import Discarded, discard
from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.backup.restoring import restore
from hemaline_cloud.backup.wal import older_segments, segment_at, segments_from
from hemaline_cloud.settings import BackupSettings, DirectoryObjects, RestoreSettings
from hemaline_shared.errors import PermanentError

NOON = datetime(2025, 11, 29, 12, tzinfo=UTC)
FIRST = "000000010000000000000002"


@pytest.fixture
def folder(tmp_path):
    folder = BackupFolder(tmp_path / "backup")
    folder.make()
    return folder


@pytest.fixture
def settings(tmp_path):
    return RestoreSettings(objects=DirectoryObjects(path=tmp_path / "objects"))


def base(folder, finished_at=NOON):
    data = folder.unfinished / "data"
    (data / "global").mkdir(parents=True)
    (data / "pg_wal").mkdir()
    (data / "global" / "pg_control").write_bytes(b"control")
    return folder.finish(folder.unfinished, finished_at, FIRST)


def archive(folder, *names):
    for name in names:
        (folder.wal / name).write_bytes(bytes(16))


def refusal(run, *arguments):
    with pytest.raises(PermanentError) as error:
        run(*arguments)
    return error.value.reason


def test_a_base_backup_that_was_cut_off_does_not_count(folder):
    (folder.unfinished / "data").mkdir(parents=True)
    (folder.bases / "20261129T110000Z").mkdir()  # cut off while it was deleted
    assert folder.finished() == []
    done = base(folder)
    assert folder.finished() == [done]
    assert (done.size, done.first_segment) == (len(b"control"), FIRST)


def test_what_was_cut_off_is_removed_with_the_next_one(folder):
    (folder.unfinished / "data").mkdir(parents=True)
    (folder.bases / "20261129T110000Z" / "data").mkdir(parents=True)
    folder.remove_cut_off()
    assert list(folder.bases.iterdir()) == []


def test_what_the_last_days_do_not_need_is_discarded(folder, tmp_path):
    older = "000000010000000000000001"
    ages = (30, 9, 1)
    bases = [base(folder, datetime.now(UTC) - timedelta(days=days)) for days in ages]
    archive(folder, older, FIRST)
    settings = BackupSettings(
        database_url=SecretStr("postgresql://nobody@nowhere/none"),
        objects=DirectoryObjects(path=tmp_path / "objects"),
        backup=folder.root,
    )
    assert discard(settings, timedelta(days=7)) == Discarded(bases=1, segments=1, objects=0)
    assert folder.finished() == bases[1:]  # any moment of seven days needs the one before them
    assert [path.name for path in folder.wal.iterdir()] == [FIRST]
    assert discard(settings, timedelta(days=7)) == Discarded(0, 0, 0)


def test_two_never_make_one_at_once(folder):
    with folder.locked("base"):
        assert refusal(folder.locked("base").__enter__) == "backup-busy"
    with folder.locked("base"):
        pass


def test_a_restore_refuses_a_target_that_is_not_empty_and_changes_nothing(folder, settings):
    base(folder)
    data = folder.root.parent / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18")
    assert refusal(restore, settings, folder.root, data, None, None) == "target-not-empty"
    (data / "PG_VERSION").unlink()
    kept = settings.objects.path / "fields" / "lab" / "scope" / "kept"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    assert refusal(restore, settings, folder.root, data, None, None) == "target-not-empty"
    assert kept.read_bytes() == b"kept"
    assert list(data.iterdir()) == []


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        (NOON - timedelta(seconds=1), "no-base-backup"),
        (NOON.replace(tzinfo=None), "bad-time"),
        (datetime.now(UTC) + timedelta(days=1), "bad-time"),
    ],
)
def test_a_moment_that_cannot_be_reached_is_refused(folder, settings, tmp_path, until, reason):
    base(folder)
    assert refusal(restore, settings, folder.root, tmp_path / "data", until, None) == reason


def test_what_a_cut_off_restore_leaves_postgresql_does_not_start_on(
    folder, settings, tmp_path, monkeypatch
):
    base(folder)
    archive(folder, FIRST)
    data = tmp_path / "data"
    with monkeypatch.context() as full:
        full.setattr("hemaline_cloud.backup.restoring._ask_for_recovery", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restore(settings, folder.root, data, None, None)
    assert not (data / "global" / "pg_control").exists()
    assert refusal(restore, settings, folder.root, data, None, None) == "target-not-empty"


def test_a_gap_in_the_archive_is_told_before_anything_is_restored(folder, settings, tmp_path):
    base(folder)
    archive(folder, FIRST, "000000010000000000000004")
    assert refusal(restore, settings, folder.root, tmp_path / "data", None, None) == (
        "archive-has-a-gap"
    )
    assert not (tmp_path / "data").exists()


def test_the_archive_is_read_from_the_base_backup_on(folder):
    older = "000000010000000000000001"
    whole, partial = "000000010000000000000003", "000000010000000000000004.partial"
    archive(folder, older, FIRST, whole, f"{whole}.partial", partial, "00000002.history", "other")
    names = [path.name for path in segments_from(folder.wal, FIRST)]
    assert names == ["00000002.history", FIRST, whole, partial]
    assert [path.name for path in older_segments(folder.wal, FIRST)] == [older]


def test_a_position_lies_in_a_file_by_its_number():
    assert segment_at(1, "0/2000028", 16 << 20) == FIRST
    assert segment_at(2, "1/FF000000", 16 << 20) == "0000000200000001000000FF"
