"""What only the directory store must show: durability, no leftovers, signed addresses."""

import os
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from pydantic import SecretStr

from hemaline_cloud.objects import directory as directory_module
from hemaline_cloud.objects import segments as segments_module
from hemaline_cloud.objects.directory import DirectoryStore
from hemaline_cloud.objects.uploads import GrantedUpload, sign_upload, verify_upload
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
    address = sign_upload("http://api:8080/", "secret", KEY, 10, "a" * 64, 60)
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


def test_many_puts_share_one_file_one_sync_and_that_of_its_folder(store, root, monkeypatch):
    store.put_many({"first": b"", "makes": b"the folder"})
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        segments_module.os,
        "fsync",
        lambda fd: (synced.append(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd))[1],
    )
    found_at = store.put_many({"a": b"1", "b": b"", "c": b"333"})
    assert len(synced) == 2
    assert synced[1] == synced[0].parent
    assert [store.get(found_at[key]) for key in "abc"] == [b"1", b"", b"333"]
    assert store.put_many({}) == {}


def test_more_objects_than_one_call_of_the_kernel_takes_share_a_segment(store):
    objects = {str(number): str(number).encode() for number in range(700)}
    found_at = store.put_many(objects)
    assert {key: store.get(found_at[key]) for key in objects} == objects


def test_a_disk_that_takes_only_a_part_at_a_time_gets_the_rest(store, monkeypatch):
    writev = os.writev
    monkeypatch.setattr(
        segments_module.os, "writev", lambda fd, parts: writev(fd, [b"".join(parts)[:5]])
    )
    found_at = store.put_many({"a": b"12345", "b": b"67890"})
    assert [store.get(found_at[key]) for key in "ab"] == [b"12345", b"67890"]


def test_a_segment_that_cannot_be_synced_is_trouble_and_leaves_nothing(store, root, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device", "objects")

    store.put_many({"makes": b"the folder"})
    before = sorted(root.rglob("*"))
    monkeypatch.setattr(segments_module.os, "fsync", full)
    with pytest.raises(TransientError, match="No space left"):
        store.put_many({"a": b"1", "b": b"2"})
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("punches", [True, False])
def test_what_was_deleted_of_a_segment_is_on_the_disk_no_more(store, root, punches, monkeypatch):
    if not punches:
        monkeypatch.setattr(segments_module, "_fallocate", None)
    secret = b"a patient's cell " * 1000
    found_at = store.put_many({"a": b"before", "b": secret, "c": b"after"})
    store.delete(found_at["b"])
    (file,) = (path for path in (root / "segments").rglob("*") if path.is_file())
    assert b"patient" not in file.read_bytes()
    assert [store.get(found_at[key]) for key in "ac"] == [b"before", b"after"]


def test_a_key_of_a_segment_that_never_was_is_missing(store):
    store.put_many({"a": b"1"})
    for key in (
        f"segments/2026010100/{UUID(int=1)}/0-1",
        store.put_many({"b": b"1"})["b"].replace("0-1", "0-2"),
        store.put_many({"b": b"1"})["b"].replace("0-1", "3-1"),
    ):
        with pytest.raises(PermanentError, match="there is no object"):
            store.get(key)


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


def test_a_store_that_is_opened_again_writes_into_the_folders_that_it_finds(store, root):
    store.put("fields/site/1", b"first")
    again = DirectoryStore(DirectoryObjects(path=root))
    again.put("fields/site/2", b"second")
    found_at = again.put_many({"a": b"third"})
    assert [again.get(key) for key in ("fields/site/1", "fields/site/2", found_at["a"])] == [
        b"first",
        b"second",
        b"third",
    ]


def test_whatever_is_written_and_read_no_file_stays_open(store):
    def use():
        store.put("fields/site/1", b"x")
        found_at = store.put_many({"a": b"1", "b": b"2"})
        assert store.get("fields/site/1") + store.get(found_at["b"]) == b"x2"
        store.delete(found_at["a"])

    use()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        use()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_that_cannot_be_made_is_trouble_that_passes(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TransientError):
        DirectoryStore(DirectoryObjects(path=tmp_path / "file" / "objects"))


def test_a_signed_address_tells_what_it_is_good_for():
    assert verify_upload("secret", KEY, signed()) == GrantedUpload(10, "a" * 64)


@pytest.mark.parametrize(
    "query",
    [
        {},
        signed(size="11"),
        signed(expires="99999999999"),
        signed(signature="é"),
        signed(size="many"),
        signed(sha256="b" * 64),
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
        store.presign_put(KEY, size=1, sha256="a" * 64, expires_s=60)
    assert caught.value.reason == "uploads-off"
