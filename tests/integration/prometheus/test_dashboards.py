"""Grafana's dashboards: each question is one that Prometheus answers, and its answer is true."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from hemaline_cloud.api import headers
from hemaline_cloud.audit import sealing
from hemaline_cloud.fleet.attention import Attention
from hemaline_cloud.fleet.metrics import MeasuredDevice, device_exposition
from hemaline_cloud.fleet.state import DeviceWord
from hemaline_cloud.inference import metrics as infer
from hemaline_cloud.ingest import metrics as ingest
from hemaline_cloud.retrying import RETRIES
from parts.prometheus import RULES, PrometheusPart
from parts.waiting import wait_until

GRAFANA = RULES.parent / "grafana"
sys.path.insert(0, str(GRAFANA))
from make_dashboards import DASHBOARDS, as_json

NEVER = re.compile(r"\$\w+")
QUIET = {"Why one wants a look"}
"""Panels that have nothing to show while all is well."""


def panels() -> dict[str, list[str]]:
    """What each panel asks, by its title, of every site and device."""
    return {
        panel["title"]: [NEVER.sub(".+", target["expr"]) for target in panel["targets"]]
        for file in (GRAFANA / "dashboards").glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
        if panel["type"] != "row"
    }


def told() -> list[MeasuredDevice]:
    """A device that is well, and has told all that devices tell."""
    now = datetime.now(UTC)
    moments = dict.fromkeys(("connection", "telemetry", "capture", "receipt"), now)
    spool = {"spool_frames": 3, "spool_bytes": 2e6, "spool_quota_bytes": 2e10}
    frames = {"captured": 40 + now.timestamp(), "rejected": 3, "quarantined": 0}
    return [
        MeasuredDevice(
            site="north",
            device="scope-1",
            word=DeviceWord.WORKING,
            attention=frozenset(),
            edge_version="1.0",
            moments=moments,
            told={**spool, **frames, "disk_free_bytes": 8e10, "temperature_c": 41.0},
            clock_ahead_s=0.1,
            drifts={"blur": 0.2},
        )
    ]


def work() -> None:
    """Let each process of the servers have done something."""
    ingest.RECEIVED.labels("field").inc()
    ingest.SECONDS.observe(0.1)
    ingest.QUARANTINED.labels("not-cbor").inc(0)
    infer.CELLS.inc()
    infer.FIELDS.labels("result").inc()
    RETRIES.labels("commit", "database-unavailable").inc(0)
    headers._REQUESTS.labels("GET", "/", "200").inc()
    headers._SECONDS.labels("/").observe(0.1)
    sealing._SEALED.inc()


class Exposed:
    """What a process of the cloud exposes: its own numbers, and those of devices."""

    def __init__(self) -> None:
        self.change = lambda device: device
        exposed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                work()
                body = generate_latest() + device_exposition(map(exposed.change, told()))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.target = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def exposed() -> Iterator[Exposed]:
    made = Exposed()
    yield made
    made.stop()


@pytest.fixture
def prometheus(exposed: Exposed, tmp_path: Path) -> Iterator[PrometheusPart]:
    targets = [{"targets": [exposed.target]}]
    made = PrometheusPart(
        tmp_path / "prometheus",
        {
            "rule_files": [str(RULES / "recording.yml")],
            "scrape_configs": [{"job_name": "hemaline", "static_configs": targets}],
        },
    )
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_is_committed_is_what_the_code_makes(name):
    made = as_json(DASHBOARDS[name]())
    assert (GRAFANA / "dashboards" / f"{name}.json").read_text() == made, "run: make dashboards"


def test_every_query_is_one_and_names_metrics_that_there_are():
    groups = yaml.safe_load((RULES / "recording.yml").read_text())["groups"]
    known = {rule["record"] for group in groups for rule in group["rules"]} | {"up"}
    work()
    exposition = (generate_latest() + device_exposition(told())).decode()
    known |= set(re.findall(r"^([a-z_]+)[{ ]", exposition, re.MULTILINE))
    for title, asked in panels().items():
        for query in asked:
            promql_parser.parse(query)
            names = set(re.findall(r"\b(?:hemaline[\w:]+|up\b)", query))
            assert names, title
            assert names <= known, title


def value(prometheus: PrometheusPart, title: str) -> float | None:
    """What a panel of one number shows."""
    series = prometheus.ask(panels()[title][0])
    return float(series[0]["value"][1]) if series else None


def test_each_panel_answers_and_shows_its_fault(prometheus: PrometheusPart, exposed: Exposed):
    for title, asked in panels().items():
        for query in asked:
            wait_until(lambda query=query, title=title: title in QUIET or prometheus.ask(query))
    assert value(prometheus, "Devices") == 1
    assert value(prometheus, "Neither working nor idle") == 0
    assert value(prometheus, "Want a look") == 0
    assert value(prometheus, "Processes down") == 0
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    exposed.change = lambda device: replace(
        device,
        word=DeviceWord.SILENT,
        attention=frozenset({Attention.BEHIND}),
        moments=device.moments | {"telemetry": long_ago},
    )
    ingest.QUARANTINED.labels("not-cbor").inc()
    infer.QUEUE_AGE.set(4000)
    wait_until(lambda: value(prometheus, "Neither working nor idle") == 1)
    wait_until(lambda: value(prometheus, "Want a look") == 1)
    wait_until(lambda: (value(prometheus, "Messages refused in a day") or 0) > 0)
    wait_until(lambda: value(prometheus, "Oldest field in the queue") == 4000)
    (behind,) = prometheus.ask(panels()["Why one wants a look"][0])
    assert behind["metric"]["attention"] == "behind"
    wait_until(lambda: state(prometheus) == {"silent"})
    exposed.stop()
    wait_until(lambda: value(prometheus, "Processes down") == 1)


def state(prometheus: PrometheusPart) -> set[str]:
    return {series["metric"]["state"] for series in prometheus.ask(panels()["State"][0])}
