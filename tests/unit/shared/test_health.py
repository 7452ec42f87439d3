"""Health: alive, ready, measured."""

import contextlib
import json
import socket
import struct
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from hemaline_shared.health import HealthServer
from parts.waiting import LONG_S, wait_until


@pytest.fixture
def problems():
    return {}


@pytest.fixture
def base(problems):
    registry = CollectorRegistry()
    Counter("frames", "Frames.", registry=registry).inc(3)
    server = HealthServer(
        "127.0.0.1",
        0,
        {"spool": lambda: problems.get("spool")},
        registry,
        notices={"clock": lambda: problems.get("clock")},
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def get(url):
    with urllib.request.urlopen(url, timeout=LONG_S) as response:
        return response.read().decode()


def test_a_process_whose_checks_pass_is_alive_and_ready(base):
    assert json.loads(get(base + "/healthz"))["status"] == "alive"
    assert json.loads(get(base + "/readyz")) == {"status": "ready", "problems": {}}


def test_a_problem_makes_it_not_ready_and_says_why(base, problems):
    problems["spool"] = "the spool is full"
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(base + "/readyz")
    with refused.value as answer:
        assert answer.code == 503
        assert json.load(answer)["problems"] == {"spool": "the spool is full"}
    assert json.loads(get(base + "/healthz"))["status"] == "alive"


def test_a_notice_is_told_and_leaves_it_ready(base, problems):
    problems["clock"] = "the clock is ahead"
    assert json.loads(get(base + "/readyz")) == {
        "status": "ready",
        "problems": {},
        "notices": {"clock": "the clock is ahead"},
    }


def test_metrics_are_in_the_prometheus_form(base):
    assert "frames_total 3.0" in get(base + "/metrics")


def test_another_path_is_not_found(base):
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(base + "/secrets")
    with refused.value as answer:
        assert answer.code == 404


def test_a_monitor_may_ask_for_the_head_alone_or_with_a_query(base):
    asked = urllib.request.Request(base + "/readyz?from=balancer", method="HEAD")
    with urllib.request.urlopen(asked, timeout=LONG_S) as answer:
        assert (answer.status, answer.read()) == (200, b"")


def test_connections_that_say_nothing_are_let_go_and_never_take_all_descriptors(base):
    host, port = base.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port)), timeout=LONG_S) for _ in range(80)]
    try:
        hung_up = 0
        for one in silent[64:]:
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""
            hung_up += 1
        assert hung_up == 16
    finally:
        for one in silent:
            one.close()
    wait_until(lambda: answers(base + "/healthz"))


def answers(url):
    try:
        return bool(get(url))
    except OSError:
        return False


def test_whoever_hangs_up_early_is_no_news(base, capfd):
    host, port = base.removeprefix("http://").split(":")
    for _ in range(3):
        one = socket.create_connection((host, int(port)), timeout=LONG_S)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.sendall(b"GET /metrics HTTP/1.1\r\n")
        one.close()
    get(base + "/healthz")
    assert capfd.readouterr() == ("", "")
