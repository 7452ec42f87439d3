"""Claim checks of a directory store: `PUT /uploads/…` with a signed address."""

import socket
from collections.abc import Iterator
from urllib.request import Request, urlopen
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from factories import Factory
from hemaline_cloud.api.routes import uploads
from hemaline_cloud.api.server import make_app
from hemaline_cloud.objects.keys import upload_key
from hemaline_cloud.settings import ApiSettings, DirectoryObjects, S3Objects
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import DeviceName
from parts.people import LoggedIn
from parts.waiting import LONG_S, wait_until

KEY = upload_key(DeviceName("north", "scope-1"), UUID(int=7))
BODY = b"packed images" * 1000


@pytest.fixture
def address(factory: Factory) -> str:
    return factory.store.presign_put(KEY, size=len(BODY), sha256=sha256_hex(BODY), expires_s=60)


def _problem(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["reason"]


def test_a_granted_upload_is_stored_as_it_came(client, factory: Factory, address: str):
    answer = client.put(address, content=BODY)
    assert answer.json() == {"size": len(BODY), "sha256": sha256_hex(BODY)}
    assert factory.store.get(KEY) == BODY


def test_a_repeated_upload_changes_nothing(client, factory: Factory, address: str):
    assert [client.put(address, content=BODY).status_code for _ in range(2)] == [200, 200]
    assert factory.store.get(KEY) == BODY


@pytest.mark.parametrize(
    ("granted", "tampered"),
    [
        ("scope-1", "scope-2"),
        (f"size={len(BODY)}", f"size={len(BODY) + 1}"),
        ("signature=", "signature=0"),
        ("expires=", "expires=9"),
        ("&signature", "&other"),
    ],
)
def test_a_tampered_upload_is_refused(
    client, factory: Factory, address: str, granted: str, tampered: str
):
    changed = address.replace(granted, tampered)
    assert changed != address
    assert _problem(client.put(changed, content=BODY)) == (403, "upload-forbidden")
    assert not factory.store.exists(KEY)


def test_an_expired_upload_is_refused(client, factory: Factory):
    late = factory.store.presign_put(KEY, size=len(BODY), sha256=sha256_hex(BODY), expires_s=-1)
    assert _problem(client.put(late, content=BODY)) == (403, "upload-expired")
    assert not factory.store.exists(KEY)


def test_an_oversized_upload_is_refused_before_it_has_all_come(
    client, factory: Factory, address: str
):
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += len(BODY)
            yield BODY

    assert _problem(client.put(address, content=endless())) == (413, "upload-too-large")
    assert not factory.store.exists(KEY)


def test_an_upload_that_breaks_off_is_refused(client, factory: Factory, address: str):
    assert _problem(client.put(address, content=BODY[:-1])) == (400, "upload-too-short")
    assert not factory.store.exists(KEY)


def test_an_upload_of_other_bytes_is_refused(client, factory: Factory, address: str):
    assert _problem(client.put(address, content=BODY[::-1])) == (400, "upload-changed")
    assert not factory.store.exists(KEY)


def test_an_upload_cannot_climb_out_of_its_folder(client, address: str):
    climbing = address.replace("/uploads/north/", "/uploads/%2e%2e/")
    assert climbing != address
    assert client.put(climbing, content=BODY).status_code in {403, 404}


def test_a_store_without_a_secret_takes_no_uploads(api_settings: ApiSettings, address: str):
    assert isinstance(api_settings.objects, DirectoryObjects)
    objects = api_settings.objects.model_copy(update={"upload_secret": None})
    with TestClient(make_app(api_settings.model_copy(update={"objects": objects}))) as client:
        assert client.put(address, content=BODY).status_code == 404


def test_an_s3_takes_its_uploads_itself(api_settings: ApiSettings, address: str):
    objects = S3Objects(
        endpoint="127.0.0.1:9", bucket="b", access_key="a", secret_key=SecretStr("s")
    )
    with TestClient(make_app(api_settings.model_copy(update={"objects": objects}))) as client:
        assert client.put(address, content=BODY).status_code == 404


def _half_sent(api_address: str, factory: Factory, number: int) -> socket.socket:
    host, port = api_address.removeprefix("http://").split(":")
    key = upload_key(DeviceName("north", "scope-1"), UUID(int=number))
    target = factory.store.presign_put(key, size=1000, sha256="0" * 64, expires_s=60).removeprefix(
        "http://testserver"
    )
    connection = socket.create_connection((host, int(port)), timeout=LONG_S)
    connection.sendall(
        f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx".encode()
    )
    return connection


def test_devices_that_vanish_half_way_keep_no_other_from_uploading(
    api_address: str, factory: Factory, address: str, monkeypatch
):
    monkeypatch.setattr(uploads, "_LONGEST_S", 0.5)
    vanished = [_half_sent(api_address, factory, number) for number in range(8)]
    address = address.replace("http://testserver", api_address)
    with urlopen(Request(address, BODY, method="PUT"), timeout=LONG_S) as answer:
        assert answer.status == 200
    for connection in vanished:
        assert b" 408 " in connection.recv(100)
        connection.close()


def test_a_connection_that_breaks_is_no_fault_of_ours(
    api_address: str, factory: Factory, person: LoggedIn, caplog
):
    _half_sent(api_address, factory, 1).close()
    key = upload_key(DeviceName("north", "scope-1"), UUID(int=1))
    answered = b'method="PUT",route="/uploads/{path:path}",status="400"'
    metrics = Request(f"{api_address}/metrics", headers=person.bearer)
    wait_until(lambda: answered in urlopen(metrics).read())
    assert not factory.store.exists(key)
    assert "failed" not in caplog.text
