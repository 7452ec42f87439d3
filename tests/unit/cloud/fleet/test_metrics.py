"""What Prometheus hears of devices."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import missing
from hemaline_cloud.fleet.attention import Attention
from hemaline_cloud.fleet.metrics import MeasuredDevice, device_exposition
from hemaline_cloud.fleet.state import DeviceWord

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
TOLD = {
    "captured": 9,
    "rejected": 2,
    "spool_frames": 3,
    "spool_bytes": 2_400_000,
    "spool_quota_bytes": 20_000_000,
    "disk_free_bytes": 81_000_000_000,
    "temperature_c": 51.5,
}


def device(word=DeviceWord.WORKING, **other) -> MeasuredDevice:
    values = {
        "site": "north",
        "device": "scope-1",
        "word": word,
        "attention": [],
        "edge_version": "0.1.0",
        "moments": {"telemetry": NOON, "capture": None},
        "told": TOLD,
        "clock_ahead_s": -0.5,
        "drifts": {"blur": 0.4},
    }
    return MeasuredDevice(**{**values, **other})


def samples(*devices) -> dict:
    text = device_exposition(devices).decode()
    return {
        (sample.name, *sorted(set(sample.labels.values()) - {"north", "scope-1"})): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_one_word_is_true_and_the_others_are_not():
    told = samples(device(DeviceWord.IDLE))
    states = {name[1]: value for name, value in told.items() if name[0] == "hemaline_device_state"}
    assert states == {word: float(word == "idle") for word in DeviceWord}


def test_a_device_that_tells_shows_what_it_told():
    told = samples(device(attention=[Attention.BEHIND]))
    assert told["hemaline_device_spool_bytes",] == 2_400_000
    assert told["hemaline_device_temperature_celsius",] == 51.5
    assert told["hemaline_device_clock_ahead_seconds",] == -0.5
    assert told["hemaline_device_frames_total", "rejected"] == 2
    assert told["hemaline_device_attention", "behind"] == 1
    assert told["hemaline_device_attention", "hot"] == 0
    assert told["hemaline_device_telemetry_timestamp_seconds",] == NOON.timestamp()
    assert ("hemaline_device_capture_timestamp_seconds",) not in told


@pytest.mark.parametrize("word", [DeviceWord.SILENT, DeviceWord.STOPPED, DeviceWord.LOST])
def test_a_device_that_tells_nothing_shows_no_gauge_that_would_look_well(word):
    told = {name[0] for name in samples(device(word))}
    gone = {"hemaline_device_spool_bytes", "hemaline_device_disk_free_bytes"}
    gone |= {"hemaline_device_clock_ahead_seconds", "hemaline_device_temperature_celsius"}
    assert not gone & told
    assert "hemaline_device_telemetry_timestamp_seconds" in told


def test_the_names_keep_prometheus_rules():
    if not shutil.which("promtool"):
        missing("promtool checks the names of metrics")
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=device_exposition([device(attention=[Attention.HOT])]),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
