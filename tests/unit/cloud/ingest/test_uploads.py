"""Uploads: granted within a quota of each device, counted anew after a restart, and swept."""

import os
import time

import pytest
from pydantic import SecretStr

from hemaline_cloud.ingest import uploads as uploads_module
from hemaline_cloud.ingest.uploads import Uploads
from hemaline_cloud.objects.directory import DirectoryStore
from hemaline_cloud.objects.keys import upload_key
from hemaline_cloud.settings import DirectoryObjects, IngestSettings
from hemaline_shared.ids import new_id
from hemaline_shared.messages import UploadRequest
from hemaline_shared.topics import DeviceName

SCOPE, OTHER = DeviceName("lab", "scope-1"), DeviceName("lab", "scope-10")
KEEP_S = 3600


@pytest.fixture
def objects(tmp_path):
    return DirectoryObjects(
        path=tmp_path / "objects", upload_url="http://api", upload_secret=SecretStr("secret")
    )


@pytest.fixture
def store(objects):
    return DirectoryStore(objects)


@pytest.fixture
def make(objects, store):
    def make_one():
        settings = IngestSettings(
            database_url="postgresql://127.0.0.1:1/none",
            objects=objects,
            max_upload_bytes=60,
            device_upload_bytes=100,
            upload_keep_s=KEEP_S,
        )
        return Uploads(settings, store)

    return make_one


def ask(uploads, size, name=SCOPE, message_id=None):
    request = UploadRequest(message_id=message_id or new_id(), size=size, sha256="0" * 64)
    return uploads.grant(name, request)


def test_what_is_too_large_for_ever_is_refused_for_good(make):
    grant = ask(make(), 61)
    assert grant.permanent
    assert "at most 60" in grant.refusal


def test_beyond_its_quota_a_device_is_told_to_wait_and_others_are_not(make):
    uploads = make()
    assert ask(uploads, 60).url
    over = ask(uploads, 41)
    assert (over.url, over.permanent) == (None, False)
    assert "waiting to be claimed" in over.refusal
    assert ask(uploads, 40).url
    assert ask(uploads, 60, OTHER).url


def test_asking_again_for_the_same_frame_counts_once(make):
    uploads, message_id = make(), new_id()
    for _ in range(5):
        assert ask(uploads, 60, message_id=message_id).url


def test_a_claimed_upload_makes_room(make, store):
    uploads = make()
    grant = ask(uploads, 60)
    store.put(grant.object_key, b"x" * 60)
    assert ask(uploads, 60).url is None
    uploads.remove(grant.object_key)
    assert not store.exists(grant.object_key)
    assert ask(uploads, 60).url


def test_after_a_restart_what_lies_there_counts(make, store):
    store.put(upload_key(SCOPE, new_id()), b"x" * 60)
    assert ask(make(), 60).url is None


def test_a_grant_that_was_not_used_counts_until_it_expires(make, monkeypatch):
    uploads = make()
    assert ask(uploads, 60).url
    assert ask(uploads, 60).url is None
    late = time.monotonic() + 301
    monkeypatch.setattr(uploads_module.time, "monotonic", lambda: late)
    assert ask(uploads, 60).url


def test_what_nobody_claimed_in_time_is_swept_and_no_other(make, store, objects):
    uploads = make()
    old, new = ask(uploads, 50), ask(uploads, 50)
    for grant in (old, new):
        store.put(grant.object_key, b"x" * 50)
    store.put("fields/lab/scope-1/kept", b"x")
    for key in (old.object_key, "fields/lab/scope-1/kept"):
        os.utime(objects.path / key, (time.time() - KEEP_S - 60,) * 2)
    uploads.sweep()
    assert not store.exists(old.object_key)
    assert store.exists(new.object_key)
    assert store.exists("fields/lab/scope-1/kept")
    assert ask(uploads, 50).url


def test_a_sweep_while_the_store_is_away_is_left_to_the_next(make, store, objects):
    uploads = make()
    store.put(upload_key(SCOPE, new_id()), b"x")
    away = objects.path.with_name("away")
    objects.path.rename(away)
    uploads.sweep()
    away.rename(objects.path)
