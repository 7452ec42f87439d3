"""What ingest counts, for Prometheus; no label names a patient, a specimen or a device."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("hemaline_ingest_received", "Messages from the broker", ["channel"])
RECORDED = Counter("hemaline_ingest_recorded", "Frames new to the ledger, by state", ["state"])
REPLAYED = Counter("hemaline_ingest_replayed", "Messages that the ledger had settled before")
QUARANTINED = Counter("hemaline_ingest_quarantined", "Messages sent to dead letters", ["reason"])
PARKED = Counter("hemaline_ingest_parked", "Messages kept for a version that can read them")
SWEPT = Counter("hemaline_ingest_swept_uploads", "Uploads deleted that nobody claimed")
HELD = Gauge("hemaline_ingest_held", "Messages that wait in memory to be verified")
HELD_BYTES = Gauge("hemaline_ingest_held_bytes", "Memory of all messages that are not done")
BATCH = Histogram(
    "hemaline_ingest_batch_messages",
    "Messages in one transaction",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
SECONDS = Histogram("hemaline_ingest_seconds", "From a message's arrival to its receipt")
