"""Ingest, inference, storage, API and portal."""

import os

# ONNX Runtime's wheel reports to its maker and writes an id to the disk unless it is told not to
# before it is imported. Nothing of a laboratory leaves it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
