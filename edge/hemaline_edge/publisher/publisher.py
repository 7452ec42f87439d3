"""Sends what the spool holds, urgent and oldest first, and again until the cloud's receipt."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.publisher.problems import Problems
from hemaline_edge.publisher.sender import Sender
from hemaline_edge.publisher.upload import Upload, Uploader
from hemaline_edge.publisher.window import Stage, UnderWay, Window
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.records import Settled
from hemaline_edge.spool.spool import Spool
from hemaline_shared.errors import HemalineError
from hemaline_shared.messages import (
    Receipt,
    Receipts,
    UploadGrant,
    decode,
)
from hemaline_shared.mqtt import TOO_LARGE, Inbound, MqttLink
from hemaline_shared.topics import Channel, DeviceName

logger = logging.getLogger(__name__)

_IDLE_S = 1.0
_SHORTEST_S = 0.001


class Publisher:
    """One thread. What the network thread hears is handed over and dealt with here.

    An error belongs to one message: that one waits for its next try, the others go on.
    """

    def __init__(
        self, spool: Spool, name: DeviceName, settings: PublisherSettings, metrics: EdgeMetrics
    ) -> None:
        """Prepare.

        Raises:
            PermanentError: `bad-certificate`: `upload_ca` cannot be used.
        """
        self._spool = spool
        self._name = name
        self._metrics = metrics
        self._window = Window(settings)
        self._problems = Problems(3 * settings.receipt_timeout_s)
        self._sender = Sender(spool, name, settings, metrics, self._window, self._problems)
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._uploader = Uploader(self._images, self._hand_over_upload, settings)
        self._turns = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self, link: MqttLink) -> None:
        """Publish over a link from now on."""
        self._link = link
        self._sender.use(link)
        self._uploader.start()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Deal with what was heard, and end; what is under way stays in the spool."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Say that the spool has something new."""
        self._jobs.put(self._sender.look_again)

    def flush(self) -> None:
        """Send at once what waits for its next try; any thread may ask."""
        self._jobs.put(self._window.make_due)
        self.wake()

    def hear(self, inbound: Inbound) -> None:
        """Take a receipt or an upload's grant from the network thread."""
        self._jobs.put(partial(self._on_message, inbound))

    def connected(self) -> None:
        """Take from the network thread that a connection stands."""
        self._jobs.put(lambda: self._window.connected(session_goes_on=self._link.session_goes_on))

    def disconnected(self, connection: int, reason: str) -> None:
        """Take from the network thread that a connection is over."""
        self._jobs.put(partial(self._on_disconnected, connection, reason))

    def acknowledged(self, token: str) -> None:
        """Take from the network thread that the broker has a message."""
        self._jobs.put(partial(self._on_acknowledged, token))

    def refused(self, token: str, reason: str) -> None:
        """Take from the network thread that the broker refused a message."""
        self._jobs.put(partial(self._on_refused, token, reason))

    @property
    def unreadable(self) -> int:
        """Messages of the spool that cannot be read now."""
        return self._problems.unreadable

    @property
    def turns(self) -> int:
        """How often it went round: it grows every second or so, whatever the network does."""
        return self._turns

    @property
    def receipt_age_s(self) -> float | None:
        """How long ago a receipt came; None: not since the start."""
        return self._problems.receipt_age_s

    @property
    def receipt_wait_s(self) -> float | None:
        """For how long a receipt is due and none came; None: none is due."""
        return self._problems.receipt_wait_s

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check."""
        if not self._thread.is_alive():
            return "the publisher's thread is not running: restart the agent"
        return self._problems.text()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turns += 1
            try:
                self._do_jobs(self._pause_s())
                if self._spool.changed_elsewhere():
                    self._sender.look_again()
                self._sender.send_what_is_due()
                self._problems.clear("publishing")
            except Exception as error:
                if not isinstance(error, HemalineError):
                    logger.exception("publishing failed unexpectedly; it goes on")
                self._problems.tell("publishing", f"publishing pauses: {error}")
                self._stopping.wait(_IDLE_S)
        with suppress(HemalineError):
            self._do_jobs(0)

    def _do_jobs(self, timeout_s: float) -> None:
        with suppress(queue.Empty):
            self._jobs.get(timeout=timeout_s)() if timeout_s else None
            while True:
                self._jobs.get_nowait()()

    def _pause_s(self) -> float:
        """How long nothing can be due."""
        if not self._link.connected:
            return _IDLE_S
        return min(_IDLE_S, max(_SHORTEST_S, self._window.next_due_at() - time.monotonic()))

    def _on_message(self, inbound: Inbound) -> None:
        try:
            if inbound.topic == self._name.topic(Channel.RECEIPT):
                for receipt in decode(Receipts, inbound.payload).receipts:
                    self._on_receipt(receipt)
            elif inbound.topic == self._name.topic(Channel.UPLOAD_GRANT):
                self._on_grant(decode(UploadGrant, inbound.payload))
        except HemalineError as error:
            # A receipt that could not be acted on comes again: its message is sent again.
            logger.warning("cannot act on a message on %s: %s", inbound.topic, error)
        self._link.acknowledge(inbound)

    def _on_receipt(self, receipt: Receipt) -> None:
        settled = self._spool.settle(receipt)
        message_id = receipt.message_id
        if settled is Settled.UNKNOWN:
            return
        self._problems.answered()
        self._problems.nobody_answers_since(time.monotonic() if len(self._window) > 1 else None)
        if settled is Settled.OTHER_IMAGES:
            self._metrics.mismatched_receipts.inc()
            self._problems.tell(
                "receipts",
                f"the cloud holds other images of frame {message_id} than were sent (SHA-256 "
                f"{receipt.sha256 or 'unknown'}): it is kept here and sent again",
            )
            return  # its time until the next try is already set
        self._problems.settled(message_id)
        if message := self._window.get(message_id):
            self._sender.arrived(message.payload_bytes)
        self._window.remove(message_id)
        self._metrics.receipts.labels(receipt.outcome).inc()
        if receipt.outcome == "quarantined":
            logger.error(
                "the cloud quarantined frame %s: %s (%s)",
                message_id,
                receipt.reason,
                receipt.detail,
            )

    def _on_grant(self, grant: UploadGrant) -> None:
        message = self._window.get(grant.message_id)
        if message is None or message.stage is not Stage.GRANT:
            return
        if grant.url is None or grant.object_key is None:
            self._on_refused_grant(message, grant)
            return
        message.stage, message.due_at = Stage.UPLOAD, math.inf
        message.acknowledged = True  # the answer was faster than the broker's
        self._uploader.submit(Upload(grant.message_id, grant.object_key, grant.url))

    def _on_refused_grant(self, message: UnderWay, grant: UploadGrant) -> None:
        refusal = grant.refusal or "no reason given"
        self._metrics.upload_failures.inc()
        if not grant.permanent:
            self._problems.tell("uploads", f"the cloud grants no upload: {refusal}")
            self._window.set_waiting(message)
        elif not self._sender.sizes.limit.exceeded_by(message.entry):
            message.uploads, message.stays_inline = False, True
            message.stage, message.due_at = Stage.ITS_TIME, time.monotonic()
        else:
            detail = f"the cloud takes no upload of its images: {refusal}"
            self._sender.quarantine(message, "upload-refused", detail)

    def _images(self, message_id: UUID) -> bytes | None:
        loaded = self._spool.load(message_id)
        return loaded[1] if loaded else None

    def _hand_over_upload(self, upload: Upload, error: HemalineError | None) -> None:
        self._jobs.put(partial(self._on_uploaded, upload, error))

    def _on_uploaded(self, upload: Upload, error: HemalineError | None) -> None:
        message = self._window.get(upload.message_id)
        if message is None:
            return
        if error is None:
            self._problems.clear("uploads")
            message.object_key = upload.object_key
            message.attempts = message.failures = 0
            message.stage, message.due_at = Stage.ITS_TIME, time.monotonic()
        elif error.reason in {"spool-unreadable", "damaged-in-spool"}:
            self._sender.failed(message, error)
        else:
            self._metrics.upload_failures.inc()
            self._problems.tell("uploads", f"an upload failed: {error}")
            if not self._sender.sizes.limit.exceeded_by(message.entry):
                # It was thought to be too large: the other way gets its turns again.
                message.uploads, message.attempts = False, 0
            self._window.set_waiting(message)

    def _on_acknowledged(self, token: str) -> None:
        message = self._window.get(UUID(token)) if token else None
        self._problems.clear("broker")
        if message is None or message.acknowledged:
            return
        self._sender.sizes.took(message.payload_bytes)
        self._window.acknowledged(message)
        self._problems.somebody_must_answer()

    def _on_disconnected(self, connection: int, reason: str) -> None:
        lost = self._window.disconnected(connection)
        for message in lost:
            message.drops += 1
        self._problems.nobody_answers_since(None)
        if len(lost) != 1:
            return
        (message,) = lost
        if reason == TOO_LARGE:
            self._sender.sizes.refused(message)
            self._sender.make_smaller(message)
        elif self._sender.sizes.ended_connections(message):
            self._sender.make_smaller(message)
        elif message.is_suspect:
            self._window.set_waiting(message)  # the others must not wait for it

    def _on_refused(self, token: str, reason: str) -> None:
        self._metrics.broker_refusals.labels(reason).inc()
        message = self._window.get(UUID(token)) if token else None
        if message is not None and not message.acknowledged:
            self._window.acknowledged(message)
            if reason == TOO_LARGE:
                self._sender.sizes.refused(message)
                self._sender.make_smaller(message)
                return
        self._problems.tell(
            "broker",
            f"the broker refuses what we publish ({reason}): may this device, by its certificate "
            f"or user name, publish under {self._name}?",
        )
