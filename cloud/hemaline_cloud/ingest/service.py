"""`hemaline-cloud ingest`: the broker's messages, into the ledger and the object store."""

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from hemaline_cloud.database.engine import database_problem, make_engine
from hemaline_cloud.ingest.inbox import Inbox
from hemaline_cloud.ingest.items import Outcome
from hemaline_cloud.ingest.metrics import RECEIVED, SECONDS
from hemaline_cloud.ingest.pipeline import Pipeline
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import HemalineError, TransientError
from hemaline_shared.health import HealthServer
from hemaline_shared.messages import MAX_RECEIPTS, Receipt, Receipts, WireModel, encode
from hemaline_shared.mqtt import Inbound, Listener, MqttLink
from hemaline_shared.stopping import on_stop_signal
from hemaline_shared.topics import Channel, DeviceName, every_device

logger = logging.getLogger(__name__)

_HEARD = (Channel.FIELD, Channel.STATUS, Channel.TELEMETRY, Channel.UPLOAD_REQUEST)
_FINISH_S = 20.0


class Ingest:
    """One replica: subscribes, runs the pipeline, acknowledges and answers.

    The subscription is plain unless the settings name a group. Shared subscriptions are for load
    only: on a broker where they are sound, each of a group's replicas gets a part of the messages.
    Receipts make even the unsound safe, but slow: a message that is lost waits for its resend.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._engine = make_engine(settings.database_url.get_secret_value())
        self._store = open_store(settings.objects)
        self._over = threading.Event()
        self._fault = False
        self._inbox = Inbox(settings.queue_messages)
        self._pipeline = Pipeline(
            settings,
            self._engine,
            self._store,
            self._inbox,
            answer=self._answer,
            on_fault=self._on_fault,
        )
        self.link = MqttLink(
            settings.broker,
            f"ingest-{settings.replica}",
            Listener(self._on_message),
            subscriptions=tuple(every_device(channel, settings.group) for channel in _HEARD),
            session_expiry_s=settings.session_expiry_s,
            receive_maximum=settings.queue_messages,
        )
        self.health = HealthServer(
            settings.health.host,
            settings.health.port,
            {
                "broker": self.link.problem,
                "database": lambda: database_problem(self._engine),
                "objects": self._store.problem,
                "ingest": self._pipeline.problem,
            },
        )

    def start(self) -> None:
        """Begin in the background; servers that are away are waited for."""
        self.health.start()
        self._pipeline.start()
        self.link.start()
        logger.info("health and metrics on port %d", self.health.port)

    def wait(self) -> None:
        """Return when `stop_soon` was called, or a fault of ours ended a stage.

        Raises:
            TransientError: `ingest-failed`; what was under way comes again.
        """
        self._over.wait()
        if self._fault:
            raise TransientError("ingest-failed", "ingest met a fault; its log says which")

    def stop_soon(self) -> None:
        """Make `wait` return."""
        self._over.set()

    def stop(self) -> None:
        """Finish and answer the batches under way, then leave the broker."""
        self._inbox.close()
        self._pipeline.stop_waiting()
        if not self._pipeline.join(_FINISH_S):
            logger.warning("a batch did not finish in time; it was not acknowledged")
        self.link.stop()
        self.health.stop()
        self._engine.dispose()

    def _on_message(self, inbound: Inbound) -> None:
        RECEIVED.labels(inbound.topic.split("/", 4)[-1]).inc()
        self._inbox.put(inbound)

    def _on_fault(self) -> None:
        self._fault = True
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
            self._store.delete(key)
        except HemalineError as error:
            logger.warning("%s is left over in the object store: %s", key, error)


def run(settings: IngestSettings) -> None:
    """Ingest until SIGTERM or Ctrl-C.

    Raises:
        TransientError: The object store's directory cannot be made, or ingest met a fault.
    """
    ingest = Ingest(settings)
    on_stop_signal(ingest.stop_soon)
    ingest.start()
    try:
        ingest.wait()
    finally:
        ingest.stop()
