"""A worker on the bundle that its settings name."""

import threading

from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.worker import Worker
from hemaline_cloud.settings import InferSettings


def worker_of(settings: InferSettings) -> Worker:
    """Return a worker that runs until it is told to stop."""
    return Worker(settings, load_bundle(settings.bundle), threading.Event())
