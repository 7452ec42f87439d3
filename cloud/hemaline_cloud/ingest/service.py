"""`hemaline-cloud ingest`: the broker's messages, into the ledger and the object store."""

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from hemaline_cloud.database.checks import database_problem
from hemaline_cloud.database.dead_letters import count_parked
from hemaline_cloud.database.device_history import discard_old
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.ingest.commanding import CommandTeller
from hemaline_cloud.ingest.configuring import ConfigurationTeller
from hemaline_cloud.ingest.dead_letters import Replayer
from hemaline_cloud.ingest.intake import Intake
from hemaline_cloud.ingest.items import Outcome
from hemaline_cloud.ingest.metrics import RECEIVED, SECONDS
from hemaline_cloud.ingest.pipeline import Pipeline
from hemaline_cloud.ingest.stages import Inbox
from hemaline_cloud.ingest.telling import Telling
from hemaline_cloud.ingest.uploads import Uploads
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.retrying import Retrier, StoppedError
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import HemalineError, PermanentError, TransientError
from hemaline_shared.health import HealthServer
from hemaline_shared.messages import MAX_RECEIPTS, Receipt, Receipts, WireModel, encode
from hemaline_shared.mqtt import Inbound, Listener, MqttLink
from hemaline_shared.stopping import on_stop_signal
from hemaline_shared.topics import Channel, DeviceName, every_device

logger = logging.getLogger(__name__)

_SPOKEN = (
    Channel.FIELD,
    Channel.STATUS,
    Channel.TELEMETRY,
    Channel.UPLOAD_REQUEST,
    Channel.CONFIG_REPORTED,
    Channel.COMMAND_RESULT,
)
_FINISH_S = 20.0
_SWEEP_EVERY_S = 3600.0


class Ingest:
    """One replica: subscribes, runs the pipeline, acknowledges and answers.

    The subscription is plain unless the settings name a group. Shared subscriptions are for load
    only: on a broker where they are sound, each of a group's replicas gets a part of the messages.
    Receipts make even the unsound safe, but slow: a message that is lost waits for its resend.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._engine = make_engine(
            settings.database_url.get_secret_value(), principal=service("ingest"), ping=False
        )
        self._store = open_store(settings.objects)
        self._uploads = Uploads(settings, self._store)
        intake = Intake(settings, self._engine, self._store, self._uploads)
        self._replayer = Replayer(self._engine, self._store, intake)
        self._over, self._stop_asked = threading.Event(), threading.Event()
        self._fault = self._tripped = False
        self._inbox = Inbox(settings.queue_messages, settings.queue_bytes)
        self._pipeline = Pipeline(
            settings,
            self._engine,
            self._store,
            intake,
            self._inbox,
            answer=self._answer,
            on_fault=self._on_fault,
            on_tripped=self._on_tripped,
        )
        self._telling = Telling((ConfigurationTeller(self._engine), CommandTeller(self._engine)))
        self.link = MqttLink(
            settings.broker,
            f"ingest-{settings.replica}",
            Listener(self._on_message, on_connected=self._telling.connected),
            subscriptions=tuple(every_device(channel, settings.group) for channel in _SPOKEN),
            session_expiry_s=settings.session_expiry_s,
            receive_maximum=settings.queue_messages,
        )
        self._teller = threading.Thread(
            target=self._telling.run, args=(self.link,), name="telling", daemon=True
        )
        self._replaying = Retrier("parked messages")
        self._maintaining = threading.Thread(target=self._maintain, name="maintain", daemon=True)
        self.health = HealthServer(
            settings.health.host,
            settings.health.port,
            {
                "broker": self.link.problem,
                "database": lambda: database_problem(self._engine),
                "objects": self._store.problem,
                "ingest": self._pipeline.problem,
            },
            notices={"ingest": self._parked},
        )

    def start(self) -> None:
        """Begin in the background; servers that are away are waited for."""
        self.health.start()
        self._pipeline.start()
        self.link.start()
        self._maintaining.start()
        self._teller.start()
        logger.info("health and metrics on port %d", self.health.port)

    def wait(self) -> None:
        """Return when `stop_soon` was called, or ingest cannot go on.

        Raises:
            TransientError: `ingest-failed`; what was under way comes again.
            PermanentError: `refuses-nearly-everything`; nothing more was taken from the broker,
                and readiness has said so for a while.
        """
        self._over.wait()
        if self._fault:
            raise TransientError("ingest-failed", "ingest met a fault; its log says which")
        if self._tripped:
            self._inbox.close()
            self.link.stop()
            problem = self._pipeline.problem() or ""
            logger.error("%s", problem)
            self._stop_asked.wait(self._settings.breaker_hold_s)
            raise PermanentError("refuses-nearly-everything", problem)

    def stop_soon(self) -> None:
        """Make `wait` return."""
        self._stop_asked.set()
        self._over.set()

    def stop(self) -> None:
        """Finish and answer the batches under way, then leave the broker."""
        self._stop_asked.set()
        self._inbox.close()
        self._pipeline.stop_waiting()
        self._replaying.stop()
        self._telling.stop()
        if not self._pipeline.join(_FINISH_S):
            logger.warning("a batch did not finish in time; it was not acknowledged")
        for thread in (self._maintaining, self._teller):
            if thread.is_alive():
                thread.join(_FINISH_S)
        self.link.stop()
        self.health.stop()
        self._engine.dispose()

    def _parked(self) -> str | None:
        """Say what waits for a newer version of this process."""
        try:
            with unit_of_work(self._engine) as connection:
                parked = count_parked(connection)
        except TransientError:
            return None  # that the database is away is told beside it
        if not parked:
            return None
        return f"{parked} messages are newer than this ingest: upgrade it, and it takes them in"

    def _maintain(self) -> None:
        """Take in what was parked for this version; then sweep uploads now and then."""
        try:
            replayed = self._replaying.retry_until_ok(self._replayer.replay_readable)
            if replayed:
                logger.info("%d messages that were parked are taken in", replayed)
            while not self._stop_asked.is_set():
                self._uploads.sweep()
                self._discard_history()
                self._stop_asked.wait(_SWEEP_EVERY_S)
        except StoppedError:
            return
        except Exception:
            logger.exception("parked messages and abandoned uploads are left to the next start")

    def _discard_history(self) -> None:
        """Delete what is kept of devices for a time; trouble is for the next hour."""
        try:
            with unit_of_work(self._engine) as connection:
                discard_old(connection)
        except TransientError as error:
            logger.info("old history of devices could not be deleted: %s", error)

    def _on_message(self, inbound: Inbound) -> None:
        RECEIVED.labels(inbound.topic.split("/", 4)[-1]).inc()
        self._inbox.put(inbound)

    def _on_fault(self) -> None:
        self._fault = True
        self._over.set()

    def _on_tripped(self) -> None:
        self._tripped = True
        self._over.set()

    def _answer(self, outcomes: Sequence[Outcome]) -> None:
        """Acknowledge and tell the senders; all of it is committed, so all of it may fail."""
        receipts: defaultdict[DeviceName, list[Receipt]] = defaultdict(list)
        for outcome in outcomes:
            self.link.acknowledge(outcome.delivery.inbound)
            if outcome.name and isinstance(outcome.answer, Receipt):
                receipts[outcome.name].append(outcome.answer)
            elif outcome.name and outcome.answer:
                self._publish(outcome.name, Channel.UPLOAD_GRANT, outcome.answer)
            waited = datetime.now(UTC) - outcome.delivery.received_at
            SECONDS.observe(waited.total_seconds())
        for name, answers in receipts.items():
            for start in range(0, len(answers), MAX_RECEIPTS):
                part = Receipts(receipts=tuple(answers[start : start + MAX_RECEIPTS]))
                self._publish(name, Channel.RECEIPT, part)
        for key in [key for outcome in outcomes for key in outcome.discard]:
            self._discard(key)

    def _publish(self, name: DeviceName, channel: Channel, answer: WireModel) -> None:
        try:
            self.link.publish(name.topic(channel), encode(answer))
        except HemalineError as error:  # the device asks again, and is answered again
            logger.info("could not answer %s: %s", name, error)

    def _discard(self, key: str) -> None:
        try:
            self._uploads.remove(key)
        except HemalineError as error:
            logger.warning("%s is left over in the object store: %s", key, error)


def run(settings: IngestSettings) -> None:
    """Ingest until SIGTERM or Ctrl-C.

    Raises:
        TransientError: The object store's directory cannot be made, or ingest met a fault.
        PermanentError: `refuses-nearly-everything`.
    """
    ingest = Ingest(settings)
    on_stop_signal(ingest.stop_soon)
    ingest.start()
    try:
        ingest.wait()
    finally:
        ingest.stop()
