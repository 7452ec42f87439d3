"""The inference worker: lease, read, fill batches, run the networks, settle; all at once.

Each stage is a thread that hands over to the next by a queue, so that the networks never wait for
the disk, the object store or the database while there is work. `Holdings` bounds what is between
the stages.
"""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.results import BundleRecord, register_bundle
from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.batching import Batch, BatchFiller, FieldInProgress, hand_out
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.leasing import Leaser
from hemaline_cloud.inference.reading import HeldField, ReadField, read_field
from hemaline_cloud.inference.runtime import Networks, Output
from hemaline_cloud.inference.settling import FailedField, JudgedField, Settled, Settler
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.retrying import Retrier, StoppedError
from hemaline_cloud.settings import InferSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.health import HealthServer
from hemaline_shared.stopping import on_stop_signal

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_READERS = 4
_BATCHES_AHEAD = 2
_CELLS_AHEAD = 6
"""Cells held at most, in batches: some run, some wait, some are read, some are settled."""
_FIELDS_A_TRANSACTION = 64
_TICK_S = 0.2
_GRACE_S = 20.0
"""Less than the half minute that Kubernetes waits before it kills."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A batch that the networks have, since a time of the monotonic clock."""

    batch: Batch
    outputs: Mapping[str, Future[Output]]
    since: float


def run(settings: InferSettings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is in hand, or give it back.

    Raises:
        PermanentError: The bundle cannot be run, or not on the device that was asked for.
    """
    worker = Worker(settings)
    on_stop_signal(worker.stop)
    worker.run()


class Worker:
    """One worker process's life; `run` returns after `stop`, or raises what broke it."""

    def __init__(self, settings: InferSettings) -> None:
        """Load the bundle and start its networks; raises as `run` does."""
        # Not kept: its graphs are large, and the networks have their own copy.
        bundle = load_bundle(settings.bundle)
        self._manifest = bundle.manifest
        self._asks_of_fields = bundle.manifest.trained and any(
            task.view == "field" for task in bundle.manifest.tasks
        )
        self._record = BundleRecord(
            bundle.sha256,
            bundle.manifest.bundle_id,
            bundle.manifest.trained,
            bundle.manifest.model_dump(mode="json"),
        )
        self._networks = Networks(bundle, settings.device)
        self._batch_size = settings.batch_size
        self._filler = BatchFiller(settings.batch_size, settings.max_wait_ms / 1000)
        self._max_attempts = settings.max_attempts
        self._engine = make_engine(settings.database_url.get_secret_value())
        self._store = open_store(settings.objects)
        # A restarted worker must not take its dead predecessor's leases for its own.
        name = f"{settings.worker}/{secrets.token_hex(4)}"
        self._holdings = Holdings(_CELLS_AHEAD * settings.batch_size)
        self._settler = Settler(self._engine, name, bundle)
        self._queue_retrier = Retrier("queue")
        self._store_retrier = Retrier("object store")
        self._results_retrier = Retrier("database")
        self._leaser = Leaser(
            self._engine,
            name,
            settings.lease_s,
            self._holdings,
            self._begin,
            self._queue_retrier,
        )
        self._readers = ThreadPoolExecutor(_READERS, "read")
        self._read: queue.SimpleQueue[ReadField] = queue.SimpleQueue()
        self._slots = threading.Semaphore(_BATCHES_AHEAD)
        self._running: queue.SimpleQueue[_Running] = queue.SimpleQueue()
        self._settled: queue.SimpleQueue[Settled] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._done = threading.Event()
        self._crash: BaseException | None = None
        self._health = HealthServer(settings.health.host, settings.health.port, self._checks())

    @property
    def health_port(self) -> int:
        """Where `/readyz` answers."""
        return self._health.port

    def stop(self) -> None:
        """Ask `run` to come to an end; returns at once."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`."""
        stages = [
            threading.Thread(target=self._guarded, args=(stage,), name=stage.__name__.strip("_"))
            for stage in (self._lease, self._batch, self._judge, self._settle)
        ]
        self._health.start()
        for thread in stages:
            thread.start()
        logger.info(
            "bundle %s (%s) runs; leasing fields",
            self._record.bundle_id,
            self._record.sha256[:12],
        )
        self._stop.wait()
        self._wind_up(stages)
        if self._crash:
            raise self._crash

    def _wind_up(self, stages: list[threading.Thread]) -> None:
        self._queue_retrier.stop()
        stages[0].join()
        if self._crash or not self._holdings.wait_until_empty(_GRACE_S):
            logger.warning("stopping with fields in hand; they go back to the queue")
            self._leaser.release_all(blameless=self._crash is None)
        self._store_retrier.stop()
        self._results_retrier.stop()
        self._done.set()
        for thread in stages:
            thread.join()
        self._readers.shutdown(cancel_futures=True)
        self._networks.close()
        self._health.stop()
        self._engine.dispose()

    def _guarded(self, stage: Callable[[], None]) -> None:
        """A stage that dies must take the process with it: half a worker looks alive."""
        try:
            stage()
        except StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - `run` raises it
            self._crash = self._crash or error
            self._stop.set()

    def _checks(self) -> dict[str, Callable[[], str | None]]:
        return {
            "queue": self._queue_retrier.problem,
            "database": self._results_retrier.problem,
            "objects": self._store_retrier.problem,
        }

    def _lease(self) -> None:
        def register() -> None:
            with unit_of_work(self._engine) as connection:
                register_bundle(connection, self._record)

        self._queue_retrier.retry_until_ok(register)
        self._leaser.run()

    def _begin(self, held: HeldField) -> None:
        if held.lease.attempts > self._max_attempts:
            detail = (
                f"The field was begun {self._max_attempts} times, and each time the worker died or "
                "lost it. See the workers' logs."
            )
            self._settled.put(FailedField(held, "too-many-attempts", detail))
            return
        self._readers.submit(self._guarded, lambda: self._read_one(held))

    def _read_one(self, held: HeldField) -> None:
        pipeline, whole = self._manifest.pixel_pipeline, self._asks_of_fields
        started = time.monotonic()
        try:
            read = self._store_retrier.retry_until_ok(
                lambda: read_field(self._store, held, pipeline, whole=whole)
            )
        except PermanentError as error:
            self._settled.put(FailedField(held, error.reason, str(error)))
            return
        metrics.SECONDS.labels("read").inc(time.monotonic() - started)
        if len(read.crops):
            self._read.put(read)
        else:
            self._settled.put(JudgedField(held, ()))

    def _batch(self) -> None:
        while not self._done.is_set():
            due_in = self._filler.due_in(time.monotonic())
            wait_s = _TICK_S if due_in is None else min(due_in, _TICK_S)
            self._fill(wait_s)
            if self._filler.due_in(time.monotonic()) == 0 and self._slots.acquire(timeout=_TICK_S):
                # More has come while the networks were busy: close the batch at the last moment.
                self._fill(0)
                self._start(self._filler.take())

    def _fill(self, wait_s: float) -> None:
        while read := _get(self._read, wait_s):
            self._filler.add(read, time.monotonic())
            wait_s = 0

    def _start(self, batch: Batch) -> None:
        metrics.BATCHES.inc()
        metrics.BATCH_FILL.observe(len(batch.crops) / self._batch_size)
        futures = self._networks.submit(batch.crops)
        self._running.put(_Running(batch, futures, time.monotonic()))

    def _judge(self) -> None:
        while not self._done.is_set():
            running = _get(self._running, _TICK_S)
            if not running:
                continue
            outputs = {name: future.result() for name, future in running.outputs.items()}
            self._slots.release()
            metrics.SECONDS.labels("networks").inc(time.monotonic() - running.since)
            for progress in hand_out(running.batch, self._manifest, outputs):
                self._settled.put(_outcome(progress))

    def _settle(self) -> None:
        while not self._done.is_set():
            first = _get(self._settled, _TICK_S)
            if not first:
                continue
            fields = [first]
            while len(fields) < _FIELDS_A_TRANSACTION and (another := _get(self._settled, 0)):
                fields.append(another)
            started = time.monotonic()
            ended = self._results_retrier.retry_until_ok(partial(self._settler.settle, fields))
            metrics.SECONDS.labels("settle").inc(time.monotonic() - started)
            _count(ended, lost=len(fields) - len(ended))
            self._holdings.remove([field.held.lease.frame_id for field in fields])


def _outcome(progress: FieldInProgress) -> Settled:
    if progress.failure:
        return FailedField(progress.held, progress.failure.reason, str(progress.failure))
    return JudgedField(progress.held, progress.verdicts, progress.answers)


def _count(ended: list[Settled], lost: int) -> None:
    metrics.FIELDS.labels("lost").inc(lost)
    for field in ended:
        if isinstance(field, FailedField):
            logger.warning(
                "field %s is quarantined, %s: %s",
                field.held.lease.frame_id,
                field.reason,
                field.detail,
            )
            metrics.FIELDS.labels("quarantined").inc()
        else:
            metrics.FIELDS.labels("result").inc()
            metrics.CELLS.inc(len(field.verdicts))


def _get(source: queue.SimpleQueue[_T], timeout_s: float) -> _T | None:
    """Return the next item of a queue, or None when there is none in time."""
    try:
        return source.get(timeout=timeout_s)
    except queue.Empty:
        return None
