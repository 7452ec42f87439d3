"""What only the directory store must show: durability, no leftovers, signed addresses."""

import os
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from hemaline_cloud.objects import directory as directory_module
from hemaline_cloud.objects.directory import DirectoryStore
from hemaline_cloud.objects.uploads import sign_upload, verify_upload
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.errors import PermanentError, TransientError

KEY = "uploads/site/scope/1"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "objects"


@pytest.fixture
def store(root):
    return DirectoryStore(DirectoryObjects(path=root))


def signed(**changes):
    address = sign_upload("http://api:8080/", "secret", KEY, 10, 60)
    return {**dict(parse_qsl(urlsplit(address).query)), **changes}


def test_a_put_syncs_the_file_then_renames_then_syncs_every_new_folder(store, root, monkeypatch):
    steps = []
    fsync = os.fsync
    monkeypatch.setattr(
        directory_module.os,
        "fsync",
        lambda fd: (steps.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd))[1],
    )
    store.put("fields/site/1", b"x")
    folders = [str(root), str(root / "fields")]
    assert steps[:2] == folders
    assert steps[2].startswith(str(root / ".unfinished"))
    assert steps[3:] == [str(root / "fields" / "site")]


def test_many_puts_share_one_sync_before_any_is_renamed(store, root, monkeypatch):
    seen = []

    def sync(descriptor):
        seen.append((len(list((root / ".unfinished").iterdir())), (root / "a").exists()))
        return 0

    monkeypatch.setattr(directory_module, "_SYNC_FILE_SYSTEM", sync)
    store.put_many({"a": b"1", "b": b"2", "c": b"3"})
    assert seen == [(3, False)]
    assert [store.get(key) for key in "abc"] == [b"1", b"2", b"3"]


def test_a_file_system_that_cannot_be_synced_is_trouble_and_leaves_nothing(
    store, root, monkeypatch
):
    monkeypatch.setattr(directory_module, "_SYNC_FILE_SYSTEM", lambda _descriptor: -1)
    with pytest.raises(TransientError):
        store.put_many({"a": b"1", "b": b"2"})
    assert not store.exists("a")
    assert list((root / ".unfinished").iterdir()) == []


def test_without_syncfs_each_file_is_synced(store, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(directory_module, "_SYNC_FILE_SYSTEM", None)
    monkeypatch.setattr(directory_module.os, "fsync", lambda fd: (synced.append(fd), fsync(fd))[1])
    store.put_many({"a": b"1", "b": b"2"})
    assert len(synced) == 3  # two files and their folder
    assert store.get("b") == b"2"


def test_a_failed_write_leaves_nothing_behind(store, root, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device", "objects")

    monkeypatch.setattr(directory_module.os, "fsync", full)
    with pytest.raises(TransientError, match="No space left"):
        store.put("fields/1", b"x")
    assert list((root / ".unfinished").iterdir()) == []
    assert not store.exists("fields/1")


def test_opening_sweeps_what_a_killed_writer_left_and_spares_what_is_being_written(store, root):
    old, new = root / ".unfinished" / "old", root / ".unfinished" / "new"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    DirectoryStore(DirectoryObjects(path=root))
    assert not old.exists()
    assert new.exists()


def test_a_directory_that_cannot_be_made_is_trouble_that_passes(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TransientError):
        DirectoryStore(DirectoryObjects(path=tmp_path / "file" / "objects"))


def test_a_signed_address_tells_the_size_it_is_good_for():
    assert verify_upload("secret", KEY, signed()) == 10


@pytest.mark.parametrize(
    "query",
    [
        {},
        signed(size="11"),
        signed(expires="99999999999"),
        signed(signature="é"),
        signed(size="many"),
    ],
)
def test_a_changed_address_is_forbidden(query):
    with pytest.raises(PermanentError) as caught:
        verify_upload("secret", KEY, query)
    assert caught.value.reason == "upload-forbidden"


def test_an_address_signed_with_another_secret_is_forbidden():
    with pytest.raises(PermanentError):
        verify_upload("another", KEY, signed())


@pytest.mark.parametrize("url", [None, "http://api:8080"])
def test_uploads_are_off_without_an_address_and_a_secret(root, url):
    secret = None if url else SecretStr("secret")
    store = DirectoryStore(DirectoryObjects(path=root, upload_url=url, upload_secret=secret))
    with pytest.raises(PermanentError) as caught:
        store.presign_put(KEY, size=1, expires_s=60)
    assert caught.value.reason == "uploads-off"
