"""The worker's metrics, named in one place."""

from prometheus_client import Counter, Gauge, Histogram

FIELDS = Counter(
    "hemaline_infer_fields",
    "Fields in hand, by what became of them: result, quarantined, suspected, lost",
    ["outcome"],
)
CELLS = Counter("hemaline_infer_cells", "Cells whose predictions were stored")
BATCHES = Counter("hemaline_infer_batches", "Batches that the networks were given")
BATCH_FILL = Histogram(
    "hemaline_infer_batch_fill",
    "Crops in a batch, as a share of the largest batch",
    buckets=(0.125, 0.25, 0.5, 0.75, 0.999, 1),
)
SECONDS = Counter("hemaline_infer_seconds", "Seconds spent, by stage", ["stage"])
QUEUE_DEPTH = Gauge(
    "hemaline_infer_queue_depth", "Fields in the queue that this worker judges, leased ones too"
)
QUEUE_PARKED = Gauge(
    "hemaline_infer_queue_parked", "Fields in the queue that wait for another version"
)
QUEUE_LEASED = Gauge("hemaline_infer_queue_leased", "Fields that some worker holds")
QUEUE_AGE = Gauge("hemaline_infer_queue_oldest_seconds", "How long the oldest field waits")
IN_FLIGHT = Gauge("hemaline_infer_in_flight_fields", "Fields that this worker holds")
