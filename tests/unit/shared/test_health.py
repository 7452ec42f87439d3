"""Health: alive, ready, measured."""

import json
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from hemaline_shared.health import HealthServer
from parts.waiting import LONG_S


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
