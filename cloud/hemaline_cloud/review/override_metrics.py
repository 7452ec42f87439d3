"""How often readers override the model, for Prometheus: by site and microscope, never by slide."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hemaline_cloud.review.overrides import SignedCells, overrides_by

METRIC_DAYS = 90
"""The metrics tell of slides that were signed in so many days."""

_LABELS = ("site", "device", "bundle_id", "bundle_sha256", "machine_hidden", "model_class")


def override_exposition(rows: Iterable[SignedCells]) -> bytes:
    """Return both metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Overrides(list(rows)))
    return generate_latest(registry)


class _Overrides(Collector):
    def __init__(self, rows: list[SignedCells]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        cells = GaugeMetricFamily(
            "hemaline_signed_cells",
            f"Cells that model and reader call something, of slides signed in {METRIC_DAYS} days",
            labels=_LABELS,
        )
        overridden = GaugeMetricFamily(
            "hemaline_overridden_cells", "Of these, otherwise than the model", labels=_LABELS
        )
        for key, found in overrides_by(self._rows, lambda row: row[:6]).items():
            labels = [str(part).lower() if part in {True, False} else str(part) for part in key]
            cells.add_metric(labels, found.cells)
            overridden.add_metric(labels, found.overridden)
        yield cells
        yield overridden
