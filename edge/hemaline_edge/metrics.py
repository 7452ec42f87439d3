"""The names of the agent's Prometheus metrics, all in one place."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hemaline_edge.spool.spool import Spool


class EdgeMetrics:
    """What the agent counts and times. Totals since the device's first day come from the spool."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.rejected = Counter(
            "hemaline_edge_rejected",
            "Frames that the quality gate refused, by reason",
            ["reason"],
            registry=registry,
        )
        self.quarantined = Counter(
            "hemaline_edge_quarantined",
            "Frames that could not be used, by reason",
            ["reason"],
            registry=registry,
        )
        self.cells = Counter("hemaline_edge_cells", "White cells found", registry=registry)
        self.stage_seconds = Histogram(
            "hemaline_edge_stage_seconds",
            "Time a frame spends in a stage",
            ["stage"],
            registry=registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
        )
        self.published = Counter(
            "hemaline_edge_published", "Messages handed to the broker", ["kind"], registry=registry
        )
        self.resent = Counter(
            "hemaline_edge_resent", "Messages sent again for want of a receipt", registry=registry
        )
        self.receipts = Counter(
            "hemaline_edge_receipts", "Receipts by outcome", ["outcome"], registry=registry
        )
        self.mismatched_receipts = Counter(
            "hemaline_edge_mismatched_receipts",
            "Receipts that name other images than were sent",
            registry=registry,
        )
        self.broker_refusals = Counter(
            "hemaline_edge_broker_refusals",
            "Messages that the broker refused, by its reason",
            ["reason"],
            registry=registry,
        )
        self.upload_failures = Counter(
            "hemaline_edge_upload_failures", "Uploads refused or failed", registry=registry
        )
        self.source_failures = Counter(
            "hemaline_edge_source_failures", "Errors of the source", registry=registry
        )

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Show a value that is read whenever somebody asks."""
        Gauge(f"hemaline_edge_{name}", what, registry=self._registry).set_function(read)


def watch_spool(metrics: EdgeMetrics, spool: Spool) -> None:
    """Show what the spool holds and has counted."""
    watch = metrics.watch
    watch("spool_bytes", "Bytes that wait in the spool", lambda: spool.size)
    watch("spool_kept_bytes", "Of quarantined frames' images", lambda: spool.kept_size)
    watch("spool_frames", "Frames that wait", lambda: spool.contents().frames)
    watch("spool_quota_bytes", "Bytes that may wait", lambda: spool.quota_bytes)
    watch("disk_free_bytes", "Free on the spool's disk", spool.disk_free)
    watch("captured_frames", "Captured in this device's life", lambda: spool.counts().captured)
    watch("receipted_frames", "Of those, answered for", lambda: spool.counts().receipted)
    watch("refused_frames", "Met a full spool", lambda: spool.counts().refused)
