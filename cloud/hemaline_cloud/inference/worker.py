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
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.results import register_bundle
from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.awaiting import await_bundle
from hemaline_cloud.inference.batching import (
    Batch,
    BatchFiller,
    FieldInProgress,
    hand_back,
    hand_out,
)
from hemaline_cloud.inference.bundle import ModelBundle, bundle_record
from hemaline_cloud.inference.ending import DoneField, Ending, RefusesAllError, SuspectedField
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.isolation import Isolation
from hemaline_cloud.inference.leasing import Leaser, Serving
from hemaline_cloud.inference.reading import FieldReader, HeldField, ReadField
from hemaline_cloud.inference.runtime import DeviceError, Looked, Networks
from hemaline_cloud.inference.settling import FailedField, JudgedField, Settler
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
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


@dataclass(frozen=True, slots=True)
class _Running:
    """A batch that the networks have, since a time of the monotonic clock."""

    batch: Batch
    looked: Future[Looked]
    since: float


def run(settings: InferSettings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is in hand, or give it back.

    Raises:
        PermanentError: The bundle cannot be run on the device that was asked for.
        DeviceError: The device failed its self-test again and again.
        RefusesAllError: Nearly every field was quarantined.
    """
    stopping = threading.Event()
    on_stop_signal(stopping.set)
    try:
        bundle = await_bundle(settings.bundle, settings.health, stopping)
    except StoppedError:
        return
    worker = Worker(settings, bundle, stopping)
    del bundle  # its graphs are large, and the networks have their own copy
    worker.run()


class Worker:
    """One worker process's life; `run` returns after `stop`, or raises what broke it."""

    def __init__(
        self, settings: InferSettings, bundle: ModelBundle, stopping: threading.Event
    ) -> None:
        """Start the networks of a bundle, which is not kept; raises as `run` does."""
        self._manifest = bundle.manifest
        self._record = bundle_record(bundle)
        self._networks = Networks(bundle, settings.device)
        self._batch_size = settings.batch_size
        self._filler = BatchFiller(settings.batch_size, settings.max_wait_ms / 1000)
        self._max_attempts = settings.max_attempts
        self._purpose = settings.purpose
        self._grace_s = settings.stop_grace_s
        self._engine = make_engine(
            settings.database_url.get_secret_value(), principal=service("infer")
        )
        # A restarted worker must not take its dead predecessor's leases for its own.
        name = f"{settings.worker}/{secrets.token_hex(4)}"
        self._holdings = Holdings(_CELLS_AHEAD * settings.batch_size, settings.held_bytes)
        self._queue_retrier = Retrier("queue")
        self._store_retrier = Retrier("object store")
        self._results_retrier = Retrier("database")
        self._leaser = Leaser(
            self._engine,
            name,
            settings.lease_s,
            (bundle.manifest.pixel_pipeline,),
            Serving(
                bundle.manifest.bundle_id,
                bundle.sha256,
                settings.purpose,
                settings.ready_after_s,
            ),
            self._holdings,
            self._begin,
            self._queue_retrier,
        )
        self._reader = FieldReader(
            open_store(settings.objects),
            self._engine,
            self._store_retrier,
            whole=bundle.manifest.trained
            and any(task.view == "field" for task in bundle.manifest.tasks),
        )
        self._readers = ThreadPoolExecutor(_READERS, "read")
        self._read: queue.SimpleQueue[ReadField] = queue.SimpleQueue()
        self._slots = threading.Semaphore(_BATCHES_AHEAD)
        self._running: queue.SimpleQueue[_Running] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[DoneField] = queue.SimpleQueue()
        settler = Settler(self._engine, name, bundle, settings.purpose)
        self._ending = Ending(
            self._engine, settler, self._leaser, self._results_retrier, settings.purpose
        )
        self._stop = stopping
        self._isolation = Isolation(self._networks, self._manifest, settings.batch_size, self._stop)
        self._done = threading.Event()
        self._crash: BaseException | None = None
        self._health = HealthServer(
            settings.health.host,
            settings.health.port,
            self._checks(),
            notices={"queue": self._leaser.parked, "bundle": self._leaser.unappointed},
        )

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
            "bundle %s (%s) runs for the purpose %s; leasing fields",
            self._record.bundle_id,
            self._record.sha256[:12],
            self._purpose,
        )
        self._stop.wait()
        self._wind_up(stages)
        if self._crash:
            raise self._crash

    def _wind_up(self, stages: list[threading.Thread]) -> None:
        self._queue_retrier.stop()
        stages[0].join()
        if self._crash or not self._holdings.wait_until_empty(self._grace_s):
            logger.warning("stopping with fields in hand; they go back to the queue")
            self._leaser.release_all(suspected=self._suspects_its_fields())
        self._store_retrier.stop()
        self._results_retrier.stop()
        self._done.set()
        for thread in stages:
            thread.join()
        self._readers.shutdown(cancel_futures=True)
        self._networks.close()
        self._health.stop()
        self._engine.dispose()

    def _suspects_its_fields(self) -> bool:
        """Whether a field in hand may be why the worker stops."""
        if isinstance(self._crash, DeviceError | RefusesAllError):
            return self._isolation.suspect_tried
        return self._crash is not None

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
            "device": self._isolation.problem,
        }

    def _lease(self) -> None:
        def register() -> None:
            with unit_of_work(self._engine) as connection:
                register_bundle(connection, self._record)

        self._queue_retrier.retry_until_ok(register)
        self._leaser.run()

    def _begin(self, held: HeldField) -> None:
        take = self._judge_alone if held.lease.alone else self._read_ahead
        self._readers.submit(self._guarded, lambda: take(held))

    def _read_ahead(self, held: HeldField) -> None:
        read = self._read_one(held)
        if read and len(read.crops):
            self._read.put(read)
        elif read:
            self._ended.put(JudgedField(held, ()))

    def _judge_alone(self, held: HeldField) -> None:
        """Judge a suspect while this worker holds nothing else."""
        if held.lease.attempts > self._max_attempts:
            # Of a worker that was killed there is no telling why; this one is sound.
            self._isolation.prove_device()
            detail = (
                f"The field was begun alone {self._max_attempts} times, and each time the worker "
                "died. See the workers' logs."
            )
            self._ended.put(FailedField(held, "too-many-attempts", detail))
        elif (read := self._read_one(held)) is not None:
            judged = self._isolation.judge_alone(read) if len(read.crops) else None
            self._ended.put(judged or JudgedField(held, ()))

    def _read_one(self, held: HeldField) -> ReadField | None:
        """Read a field; None where it cannot be used, which is then settled."""
        try:
            return self._reader.read(held)
        except PermanentError as error:
            self._ended.put(FailedField(held, error.reason, str(error)))
            return None

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
        looked = self._networks.look(batch.crops, batch.cells)
        self._running.put(_Running(batch, looked, time.monotonic()))

    def _judge(self) -> None:
        while not self._done.is_set():
            running = _get(self._running, _TICK_S)
            if not running:
                continue
            ended = self._results_of(running)
            if any(progress.failure for progress in ended):
                # Before any field is suspected: a device that fails is to blame alone.
                self._isolation.prove_device()
            for progress in ended:
                self._ended.put(
                    SuspectedField(progress.held, progress.failure)
                    if progress.failure
                    else JudgedField(
                        progress.held, progress.verdicts, progress.answers, progress.look
                    )
                )

    def _results_of(self, running: _Running) -> list[FieldInProgress]:
        """Wait for a batch; return the fields that are now complete, judged or failed."""
        try:
            looked = running.looked.result()
        except Exception as error:  # noqa: BLE001 - onnxruntime has a class for every kind
            logger.warning("a batch failed: %s", error)
            return hand_back(running.batch, error)
        finally:
            self._slots.release()
            metrics.SECONDS.labels("networks").inc(time.monotonic() - running.since)
        return hand_out(running.batch, self._manifest, looked)

    def _settle(self) -> None:
        while not self._done.is_set():
            first = _get(self._ended, _TICK_S)
            if not first:
                continue
            fields = [first]
            while len(fields) < _FIELDS_A_TRANSACTION and (another := _get(self._ended, 0)):
                fields.append(another)
            self._ending.end(fields)
            self._holdings.remove([field.held.lease.frame_id for field in fields])


def _get(source: queue.SimpleQueue[_T], timeout_s: float) -> _T | None:
    """Return the next item of a queue, or None when there is none in time."""
    try:
        return source.get(timeout=timeout_s)
    except queue.Empty:
        return None
