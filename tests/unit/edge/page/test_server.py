"""The page at the microscope, over HTTP, with the capturing parts behind it."""

import http.client
import json
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from hemaline_edge.capture.simulated import SimulatorSource
from hemaline_edge.capturing import Capturing
from hemaline_edge.device_commands.commanding import Commanding
from hemaline_edge.device_commands.kept import KeptCommands, Record
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.page.server import PageServer
from hemaline_edge.page.state import PageState
from hemaline_edge.settings import PageSettings, SimulatorSettings
from hemaline_shared.device_commands import Command
from hemaline_shared.ids import new_id
from parts.edge_frames import edge_settings, open_spool
from parts.waiting import LONG_S


@pytest.fixture
def parts(tmp_path):
    spool = open_spool(tmp_path / "spool")
    settings = edge_settings(tmp_path, {"kind": "simulator"})
    state = PageState(spool, "luhn", lambda: False, lambda: None, list)
    source = SimulatorSource(SimulatorSettings(width=640, height=480), spool)
    metrics = EdgeMetrics(CollectorRegistry())
    capturing = Capturing(settings, source, spool, metrics, lambda: None, state.captured)
    commands = Commanding(tmp_path / "spool", None, lambda: None, lambda _result: None)
    state.use(capturing, commands)
    server = PageServer(PageSettings(port=0), state)
    server.start()
    server.commands = commands
    yield server, capturing
    server.stop()


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG_S)
    try:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, json.dumps(body) if body is not None else None, named)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def post(server, path, body):
    return ask(server, "POST", path, body, X_Hemaline_Token=server.token)[:2]


def test_a_slide_is_started_filled_and_ended_at_the_page(parts):
    server, capturing = parts
    assert post(server, "/slide/start", {"name": "79927398713", "urgent": True})[0] == 200
    capturing.capture_next(LONG_S)
    told = server.state.document()
    assert told["slide"]["name"] == "79927398713"
    assert (told["slide"]["frames"], told["slide"]["urgent"], told["waiting"]) == (1, True, 1)
    assert told["frame"]["good"] or told["frame"]["says"]
    assert ask(server, "GET", "/picture?1")[1].startswith(b"\xff\xd8")
    assert post(server, "/slide/start", {"name": "79927398713"})[0] == 409
    assert post(server, "/slide/end", {"id": told["slide"]["id"]})[0] == 200
    assert server.state.document()["slide"]["ending"]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"name": "79927398714"}, 409, "check digit is wrong"),
        ({"name": "<é>"}, 409, "no code"),
        ({}, 400, "cannot be read"),
        ([1], 400, "cannot be read"),
        ({"name": "7" * 9000}, 400, "cannot be read"),
    ],
)
def test_what_is_no_name_is_refused_in_a_sentence_and_starts_nothing(parts, body, status, sentence):
    server, _ = parts
    told, answer = post(server, "/slide/start", body)
    assert (told, sentence in json.loads(answer)["says"]) == (status, True)
    assert server.state.document()["slide"] is None


def test_what_readers_ask_is_shown_until_somebody_has_answered_it(parts):
    server, capturing = parts
    slide = capturing.start_slide("79927398713", "routine")
    command = Command(
        command_id=new_id(),
        verb="more-fields",
        arguments={"slide_id": str(slide.slide_id), "reason": "few-cells", "cells": 60},
        asked_by="Ada",
        sent_at=datetime.now(UTC),
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    server.commands._kept = KeptCommands(records=(Record(command=command, state="received"),))
    (asked,) = server.state.document()["requests"]
    assert (asked["slide"], asked["cells"], asked["seen"]) == ("79927398713", 60, False)
    body = {"id": asked["id"], "said": "seen"}
    assert post(server, "/request/answer", body)[0] == 200
    assert server.state.document()["requests"][0]["seen"]
    assert post(server, "/request/answer", {**body, "said": "later"})[0] == 400
    assert post(server, "/request/answer", {**body, "said": "done"})[0] == 200
    assert server.state.document()["requests"] == []
    assert post(server, "/request/answer", body)[0] == 409


def test_another_page_can_neither_read_nor_write(parts):
    server, _ = parts
    assert ask(server, "GET", "/", Host=f"evil.example:{server.port}")[0] == 421
    body = {"name": "79927398713"}
    assert ask(server, "POST", "/slide/start", body)[0] == 403
    headers = {"Origin": "http://evil.example", "X-Hemaline-Token": server.token}
    assert ask(server, "POST", "/slide/start", body, **headers)[0] == 403
    policy = ask(server, "GET", "/")[2]["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_the_page_hears_of_what_changes(parts):
    server, capturing = parts
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG_S)
    try:
        connection.request("GET", "/events")
        events = connection.getresponse()
        assert json.loads(events.readline()[6:])["frame"] is None
        capturing.capture_next(LONG_S)
        events.readline()
        assert json.loads(events.readline()[6:])["frame"]["number"] == 1
    finally:
        connection.close()
