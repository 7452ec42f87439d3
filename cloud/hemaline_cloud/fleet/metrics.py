"""What is known of devices, for Prometheus, which cannot ask them behind a hospital's NAT.

What a device last told of its spool and disk is not shown while the device tells nothing: a value
that nobody renews would look like a device that is well. Moments stay, so that ages grow.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from hemaline_cloud.fleet.attention import Attention
from hemaline_cloud.fleet.state import DeviceWord

_DEVICE = ("site", "device")
_TELLS = frozenset({DeviceWord.WORKING, DeviceWord.IDLE, DeviceWord.NOT_CAPTURING})
_OUTCOMES = ("captured", "rejected", "quarantined", "receipted", "refused")


@dataclass(frozen=True, slots=True)
class MeasuredDevice:
    """One device as the metrics show it.

    Attributes:
        site: Whose.
        device: Its name there.
        word: What it is doing.
        attention: Why it wants a look.
        edge_version: Of its agent; empty: it never called.
        moments: `connection`, `telemetry`, `capture`, `receipt` and `oldest-waiting`; None: never.
        told: Its last telemetry.
        clock_ahead_s: By how much its clock was ahead.
        drifts: Its measures' drift, where enough frames are known.
    """

    site: str
    device: str
    word: DeviceWord
    attention: Collection[Attention]
    edge_version: str
    moments: dict[str, datetime | None]
    told: dict[str, Any]
    clock_ahead_s: float | None
    drifts: dict[str, float]

    @property
    def labels(self) -> list[str]:
        """Of each of its series."""
        return [self.site, self.device]


def device_exposition(devices: Iterable[MeasuredDevice]) -> bytes:
    """Return the metrics of devices in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Devices(list(devices)))
    return generate_latest(registry)


class _Devices(Collector):
    def __init__(self, devices: list[MeasuredDevice]) -> None:
        self._devices = devices

    def collect(self) -> Iterator[Metric]:
        yield self._words()
        yield self._attention()
        yield self._info()
        yield from self._moments()
        yield self._frames()
        yield from self._told()
        yield self._drift()

    def _words(self) -> Metric:
        states = GaugeMetricFamily(
            "hemaline_device_state",
            "1 for the word that says what a device is doing, 0 for the others",
            labels=(*_DEVICE, "state"),
        )
        for device in self._devices:
            for word in DeviceWord:
                states.add_metric([*device.labels, word], float(device.word is word))
        return states

    def _attention(self) -> Metric:
        wanted = GaugeMetricFamily(
            "hemaline_device_attention",
            "1 where a device wants a look for this reason",
            labels=(*_DEVICE, "attention"),
        )
        for device in self._devices:
            for attention in Attention:
                labels = [*device.labels, attention]
                wanted.add_metric(labels, float(attention in device.attention))
        return wanted

    def _info(self) -> Metric:
        info = InfoMetricFamily("hemaline_device", "The software of a device", labels=_DEVICE)
        for device in self._devices:
            if device.edge_version:
                info.add_metric(device.labels, {"edge_version": device.edge_version})
        return info

    def _moments(self) -> Iterator[Metric]:
        what = {
            "connection": "When a device's connection began or ended",
            "telemetry": "When a device last told how it is doing",
            "capture": "When a device last captured",
            "receipt": "When a device last heard a receipt",
            "oldest-waiting": "Since when the oldest frame waits in a device's spool",
        }
        for name, words in what.items():
            family = GaugeMetricFamily(
                f"hemaline_device_{name.replace('-', '_')}_timestamp_seconds", words, labels=_DEVICE
            )
            for device in self._devices:
                if moment := device.moments.get(name):
                    family.add_metric(device.labels, moment.timestamp())
            yield family

    def _frames(self) -> Metric:
        frames = CounterMetricFamily(
            "hemaline_device_frames",
            "Frames of a device since its spool was begun, by what became of them",
            labels=(*_DEVICE, "outcome"),
        )
        for device in self._devices:
            for outcome in _OUTCOMES:
                if outcome in device.told:
                    frames.add_metric([*device.labels, outcome], device.told[outcome])
        return frames

    def _told(self) -> Iterator[Metric]:
        gauges = {
            "spool_frames": ("hemaline_device_spool_frames", "Frames that wait"),
            "spool_bytes": ("hemaline_device_spool_bytes", "Bytes that wait"),
            "spool_quota_bytes": ("hemaline_device_spool_quota_bytes", "Bytes that may wait"),
            "disk_free_bytes": ("hemaline_device_disk_free_bytes", "Free on the spool's disk"),
            "temperature_c": ("hemaline_device_temperature_celsius", "Of its hottest place"),
        }
        for field, (name, words) in gauges.items():
            family = GaugeMetricFamily(name, words, labels=_DEVICE)
            for device in self._telling():
                if device.told.get(field) is not None:
                    family.add_metric(device.labels, device.told[field])
            yield family
        clock = GaugeMetricFamily(
            "hemaline_device_clock_ahead_seconds",
            "How far a device's clock is ahead of the server's",
            labels=_DEVICE,
        )
        for device in self._telling():
            if device.clock_ahead_s is not None:
                clock.add_metric(device.labels, device.clock_ahead_s)
        yield clock

    def _drift(self) -> Metric:
        drift = GaugeMetricFamily(
            "hemaline_device_drift_ratio",
            "How far recent frames lie from the device's own past, in its standard deviations",
            labels=(*_DEVICE, "measure"),
        )
        for device in self._devices:
            for measure, value in device.drifts.items():
                drift.add_metric([*device.labels, measure], value)
        return drift

    def _telling(self) -> Iterator[MeasuredDevice]:
        return (device for device in self._devices if device.word in _TELLS)
