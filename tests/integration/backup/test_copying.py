"""The objects of either store are copied once, outlive their deletion, and come back."""

import os
from datetime import timedelta

import pytest

from hemaline_cloud.backup.copying import copy_back, copy_objects, forget_deleted
from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id

OBJECTS = {f"fields/lab/scope/{number}": bytes([number]) * 1000 for number in range(4)}


@pytest.fixture(params=["directory", "s3"])
def new_store(request, tmp_path):
    """Opens a new, empty store of one kind."""

    def directory():
        return open_store(DirectoryObjects(path=tmp_path / str(new_id())))

    def s3():
        told = request.getfixturevalue("s3_objects")
        settings = told.model_copy(update={"bucket": f"test-{new_id()}"})
        store = open_store(settings)
        store._client.make_bucket(settings.bucket)
        return store

    return directory if request.param == "directory" else s3


@pytest.fixture
def store(new_store):
    return new_store()


@pytest.fixture
def folder(tmp_path):
    folder = BackupFolder(tmp_path / "backup")
    folder.make()
    return folder


def test_what_was_deleted_since_comes_back_under_its_key(store, new_store, folder):
    keys = list(store.put_many(OBJECTS).values())
    store.put("dead-letters/one", b"refused")
    assert copy_objects(store, folder).files > 0
    again = copy_objects(store, folder)
    assert (again.files, again.size) == (0, 0)
    store.delete(keys[1])
    assert copy_objects(store, folder).files == 0
    restored = new_store()
    copy_back(folder, restored)
    assert [restored.get(key) for key in keys] == list(OBJECTS.values())
    assert restored.get("dead-letters/one") == b"refused"
    with pytest.raises(PermanentError) as refusal:
        copy_back(folder, restored)
    assert refusal.value.reason == "target-not-empty"


def test_a_copy_that_was_cut_off_is_no_copy(store, folder):
    store.put_many({"fields/lab/scope/one": b"x" * 100})
    copy_objects(store, folder)
    (copy,) = [path for path in folder.objects.rglob("*") if path.is_file()]
    whole = copy.read_bytes()
    copy.write_bytes(whole[:50])  # as a segment looked when it was copied while being written
    copy.with_name(f".{copy.name}.unfinished").write_bytes(b"killed")
    assert copy_objects(store, folder).files == 1
    assert copy.read_bytes() == whole


def test_a_dead_letter_that_changed_under_its_key_is_copied_again(store, folder):
    store.put("dead-letters/one", b"first")
    copy_objects(store, folder)
    copy = folder.objects / "dead-letters" / "one"
    os.utime(copy, (0, 0))  # the newest came later than the copy
    store.put("dead-letters/one", b"later")
    assert copy_objects(store, folder).files == 1
    assert copy.read_bytes() == b"later"


def test_the_copy_forgets_what_has_been_gone_for_long(store, folder):
    for key, data in OBJECTS.items():
        store.put(key, data)
    copy_objects(store, folder)
    gone = next(iter(OBJECTS))
    store.delete(gone)
    assert forget_deleted(store, folder, timedelta(days=1)) == 0
    assert (folder.objects / gone).exists()
    assert forget_deleted(store, folder, timedelta(0)) == 1
    assert not (folder.objects / gone).exists()


def test_another_store_forgets_nothing(store, new_store, folder):
    store.put("fields/lab/scope/one", b"one")
    copy_objects(store, folder)
    with pytest.raises(PermanentError) as refusal:
        forget_deleted(new_store(), folder, timedelta(0))
    assert refusal.value.reason == "not-its-store"
