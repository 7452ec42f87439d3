"""One contract for every object store: a directory, and a real S3."""

import hashlib
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.objects.uploads import verify_upload
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from parts.waiting import LONG_S

SECRET = "only-in-this-test"


@dataclass
class Case:
    store: ObjectStore
    fail: Any
    recover: Any


def upload_server(store_of):
    """What the API does with an upload address, as small as it can be."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            address = urlsplit(self.path)
            key = address.path.removeprefix("/")
            try:
                granted = verify_upload(SECRET, key, dict(parse_qsl(address.query)))
            except PermanentError:
                self.send_error(403)
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if (len(body), hashlib.sha256(body).hexdigest()) != (granted.size, granted.sha256):
                self.send_error(400)
                return
            store_of().put(key, body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def directory(tmp_path):
    root = tmp_path / "objects"
    server = upload_server(lambda: store)
    store = open_store(
        DirectoryObjects(
            path=root,
            upload_url=f"http://127.0.0.1:{server.server_address[1]}",
            upload_secret=SecretStr(SECRET),
        )
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    away = tmp_path / "unmounted"
    yield Case(store, lambda: root.rename(away), lambda: away.rename(root))
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def s3(seaweedfs, s3_objects):
    return Case(open_store(s3_objects), seaweedfs.stop, seaweedfs.start)


@pytest.fixture(params=["directory", "s3"])
def case(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(case):
    return case.store


@pytest.fixture
def key():
    return f"fields/site/scope/{new_id()}"


BODY = b"12345"


def presign(store, key, expires_s=60):
    sha256 = hashlib.sha256(BODY).hexdigest()
    return store.presign_put(key, size=len(BODY), sha256=sha256, expires_s=expires_s)


def put(address, body):
    request = urllib.request.Request(address, data=body, method="PUT")
    with urllib.request.urlopen(request, timeout=LONG_S) as response:
        return response.status


def refused(address, body):
    with pytest.raises(urllib.error.HTTPError) as caught:
        put(address, body)
    caught.value.close()
    return caught.value.code


def test_what_is_put_is_got(store, key):
    store.put(key, b"a field")
    assert store.exists(key)
    assert store.get(key) == b"a field"


def test_an_empty_object_is_an_object(store, key):
    store.put(key, b"")
    assert store.get(key) == b""


def test_a_second_put_replaces_the_first_whole(store, key):
    store.put(key, b"long " * 1000)
    store.put(key, b"short")
    store.put(key, b"short")
    assert store.get(key) == b"short"


def test_many_are_put_at_once(store, key):
    objects = {f"{key}-{number}": bytes([number]) * 1000 for number in range(30)}
    found_at = store.put_many(objects)
    assert {name: store.get(found_at[name]) for name in objects} == objects
    assert len(set(found_at.values())) == 30


def test_one_of_many_is_deleted_and_the_others_stay(store, key):
    objects = {f"{key}-{number}": bytes([number]) * 10_000 for number in range(3)}
    first, second, third = store.put_many(objects).values()
    store.delete(second)
    store.delete(second)
    assert [store.exists(each) for each in (first, second, third)] == [True, False, True]
    assert store.get(third) == bytes([2]) * 10_000
    with pytest.raises(PermanentError) as caught:
        store.get(second)
    assert caught.value.reason == "object-missing"


def test_one_of_many_over_the_bound_is_not_read(store, key):
    (found_at, _) = store.put_many({key: b"x" * 1000, f"{key}-2": b"y"}).values()
    with pytest.raises(PermanentError) as caught:
        store.get(found_at, at_most=999)
    assert caught.value.reason == "object-too-large"


def test_what_lies_under_a_folder_is_listed_with_its_size_and_age(store):
    folder = f"uploads/site/{new_id()}"
    store.put(f"{folder}/scope-1/a", b"12")
    store.put(f"{folder}/scope-1/b", b"123")
    store.put(f"{folder}/scope-10/c", b"1234")
    found = list(store.list_under(f"{folder}/scope-1"))
    assert sorted((each.key[-1], each.size) for each in found) == [("a", 2), ("b", 3)]
    assert all(abs(time.time() - each.put_at.timestamp()) < 600 for each in found)
    assert list(store.list_under(f"{folder}/scope-2")) == []


def test_what_was_put_together_is_listed_one_by_one(store):
    objects = {f"fields/site/scope/{new_id()}": bytes(size) for size in (0, 5, 7)}
    found_at = store.put_many(objects)
    gone, *left = found_at.values()
    store.delete(gone)
    listed = {
        found.key: found.size
        for folder in ("fields/site/scope", "segments")
        for found in store.list_under(folder)
    }
    assert {key: listed[key] for key in left} == dict(zip(left, (5, 7), strict=True))
    assert gone not in listed


def test_a_missing_object_is_missing_for_good(store, key):
    assert not store.exists(key)
    with pytest.raises(PermanentError) as caught:
        store.get(key)
    assert caught.value.reason == "object-missing"


def test_a_deleted_object_is_gone_and_deleting_again_is_no_error(store, key):
    store.put(key, b"x")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


def test_concurrent_puts_of_one_key_leave_one_of_them_whole(store, key):
    contents = [bytes([number]) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: store.put(key, content), contents))
    assert store.get(key) in contents


def test_a_large_object_comes_back_whole(store, key):
    large = bytes(range(256)) * 4096 * 20  # 20 MiB
    store.put(key, large)
    assert store.get(key) == large


def test_an_object_over_the_bound_is_not_read(store, key):
    store.put(key, b"x" * 1000)
    assert len(store.get(key, at_most=1000)) == 1000
    with pytest.raises(PermanentError) as caught:
        store.get(key, at_most=999)
    assert caught.value.reason == "object-too-large"


@pytest.mark.parametrize(
    "bad", ["", "/etc/passwd", "../up", "a/../../b", "a//b", ".hidden", "a\0b"]
)
def test_a_key_cannot_leave_the_store(store, bad):
    uses = (
        store.get,
        store.exists,
        store.delete,
        lambda key: store.put(key, b""),
        lambda key: store.put_many({key: b""}),
    )
    for use in uses:
        with pytest.raises(PermanentError) as caught:
            use(bad)
        assert caught.value.reason == "invalid-key"


def test_a_presigned_address_takes_a_put(store, key):
    assert put(presign(store, key), BODY) == 200
    assert store.get(key) == BODY


@pytest.mark.parametrize("body", [b"1234", b"123456"], ids=["less", "more"])
def test_a_presigned_address_takes_no_body_of_another_size(store, key, body):
    assert refused(presign(store, key), body) in {400, 403}
    assert not store.exists(key)


def test_a_presigned_address_of_the_directory_takes_no_other_body(directory, key):
    assert refused(presign(directory.store, key), b"12346") == 400
    assert not directory.store.exists(key)


def test_an_s3_is_told_which_body_it_may_take(s3_objects, key):
    address = presign(open_store(s3_objects), key)
    assert f"X-Amz-Content-Sha256={hashlib.sha256(BODY).hexdigest()}" in address


def test_a_presigned_address_is_good_for_no_other_key(store, key):
    address = presign(store, key)
    assert refused(address.replace(key, key + "0"), BODY) == 403
    assert not store.exists(key + "0")


def test_an_expired_presigned_address_is_refused(store, key):
    address = presign(store, key, expires_s=1)
    time.sleep(2.1)
    assert refused(address, BODY) == 403
    assert not store.exists(key)


def test_a_store_that_is_away_is_trouble_that_passes(case, key):
    case.store.put(key, b"kept")
    case.fail()
    try:
        assert case.store.problem()
        for use in (
            lambda: case.store.put(key, b"new"),
            lambda: case.store.get(key),
            lambda: case.store.exists(key),
        ):
            with pytest.raises(TransientError) as caught:
                use()
            assert caught.value.reason == "object-store-unavailable"
    finally:
        case.recover()
    assert case.store.problem() is None
    assert case.store.get(key) == b"kept"
