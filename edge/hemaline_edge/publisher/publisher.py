"""Sends what the spool holds, oldest first, and again until the cloud's receipt."""

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
from hemaline_edge.publisher.upload import Upload, Uploader
from hemaline_edge.publisher.window import Stage, UnderWay, Window
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.header import whole_message
from hemaline_edge.spool.spool import Spool
from hemaline_shared.errors import HemalineError, PermanentError, TransientError
from hemaline_shared.messages import (
    Attachment,
    Receipt,
    Receipts,
    UploadGrant,
    UploadRequest,
    decode,
    encode,
)
from hemaline_shared.mqtt import Inbound, MqttLink
from hemaline_shared.topics import Channel, DeviceName

logger = logging.getLogger(__name__)

_IDLE_S = 1.0


class Publisher:
    """One thread. What the network thread hears is handed over and dealt with here."""

    def __init__(
        self, spool: Spool, name: DeviceName, settings: PublisherSettings, metrics: EdgeMetrics
    ) -> None:
        self._spool = spool
        self._name = name
        self._settings = settings
        self._metrics = metrics
        self._window = Window(settings)
        self._link: MqttLink | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._uploader = Uploader(self._images, self._hand_over_upload, settings.upload_timeout_s)
        self._stopping = threading.Event()
        self._refusal: str | None = None
        self._unanswered_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self, link: MqttLink) -> None:
        """Publish over a link from now on."""
        self._link = link
        self._uploader.start()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; what is under way stays in the spool."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Say that the spool has something new."""
        self._jobs.put(lambda: None)

    def hear(self, inbound: Inbound) -> None:
        """Take a receipt or an upload's grant from the network thread."""
        self._jobs.put(partial(self._on_message, inbound))

    def connected(self) -> None:
        """Take from the network thread that a connection stands."""
        self._jobs.put(self._window.reconnected)

    def refused(self, _token: str, reason: str) -> None:
        """Take from the network thread that the broker refused a message.

        Which one does not matter: its time until the next try is already set.
        """
        self._jobs.put(partial(self._on_refused, reason))

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check."""
        if not self._thread.is_alive():
            return "the publisher's thread is not running: restart the agent"
        if self._refusal:
            return self._refusal
        since = self._unanswered_since
        waited = time.monotonic() - since if since is not None else 0.0
        if waited > 3 * self._settings.receipt_timeout_s:
            return f"no receipt for {waited:.0f} s: is the cloud's ingest running?"
        return None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._do_jobs()
                self._send_what_is_due()
            except TransientError as error:
                logger.warning("publishing pauses: %s", error)
                self._stopping.wait(_IDLE_S)
            except Exception:
                logger.exception("publishing failed unexpectedly; it goes on")
                self._stopping.wait(_IDLE_S)

    def _do_jobs(self) -> None:
        with suppress(queue.Empty):
            self._jobs.get(timeout=self._patience())()
            while True:
                self._jobs.get_nowait()()

    def _patience(self) -> float:
        """How long nothing can be due, in seconds."""
        due_at = self._window.next_due_at()
        if due_at is None or self._link is None or not self._link.connected:
            return _IDLE_S
        return min(_IDLE_S, max(0.001, due_at - time.monotonic()))

    def _send_what_is_due(self) -> None:
        link = self._link
        if link is None or not link.connected:
            self._unanswered_since = None
            return
        self._fill()
        for message in self._window:
            if message.due_at <= time.monotonic():
                self._send(link, message)

    def _fill(self) -> None:
        while self._window.has_room():
            entries = self._spool.entries_after(self._window.last_position, 1)
            if not entries:
                return
            self._window.add(entries[0])

    def _send(self, link: MqttLink, message: UnderWay) -> None:
        """Send a message, or ask where to put its images first.

        Raises:
            TransientError: There is no connection any more; nothing was sent.
        """
        if message.attempts:
            self._metrics.resent.inc()
        try:
            if self._needs_upload(message):
                self._request_upload(link, message)
            else:
                self._publish(link, message)
        except PermanentError as error:
            self._on_too_large(message, str(error))
            return
        if self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        self._window.postpone(message)

    def _needs_upload(self, message: UnderWay) -> bool:
        entry = message.entry
        if entry.sha256 is None or message.object_key is not None:
            return False
        return message.claims or entry.image_bytes > self._settings.inline_limit_bytes

    def _request_upload(self, link: MqttLink, message: UnderWay) -> None:
        entry = message.entry
        assert entry.sha256 is not None
        request = UploadRequest(
            message_id=entry.message_id, size=entry.image_bytes, sha256=entry.sha256
        )
        message.stage = Stage.GRANT
        topic = self._name.topic(Channel.UPLOAD_REQUEST)
        link.publish(topic, encode(request), token=str(entry.message_id))

    def _publish(self, link: MqttLink, message: UnderWay) -> None:
        entry = message.entry
        loaded = self._spool.load(entry.message_id)
        if loaded is None:
            self._window.remove(entry.message_id)
            return
        header, images = loaded
        attachment = None
        if images is not None and entry.sha256 is not None:
            attachment = Attachment(
                size=entry.image_bytes,
                sha256=entry.sha256,
                inline=None if message.object_key else images,
                object_key=message.object_key,
            )
        message.stage = Stage.RECEIPT
        payload = whole_message(header, attachment)
        link.publish(self._name.topic(Channel.FIELD), payload, token=str(entry.message_id))
        self._metrics.published.labels(entry.kind).inc()

    def _on_too_large(self, message: UnderWay, problem: str) -> None:
        """Take the other way for images that the broker does not carry inside a message."""
        if message.entry.sha256 is not None and not message.claims:
            message.claims = True
            message.due_at = time.monotonic()
            return
        self._complain(f"message {message.entry.message_id} is too large: {problem}")
        self._window.postpone(message)

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
        assert self._link is not None
        self._link.acknowledge(inbound)

    def _on_receipt(self, receipt: Receipt) -> None:
        if not self._spool.settle(receipt):
            return
        self._window.remove(receipt.message_id)
        self._refusal = None
        self._unanswered_since = time.monotonic() if len(self._window) else None
        self._metrics.receipts.labels(receipt.outcome).inc()
        if receipt.outcome == "quarantined":
            logger.error(
                "the cloud quarantined frame %s: %s (%s)",
                receipt.message_id,
                receipt.reason,
                receipt.detail,
            )

    def _on_grant(self, grant: UploadGrant) -> None:
        message = self._window.get(grant.message_id)
        if message is None or message.stage is not Stage.GRANT:
            return
        if grant.url is None or grant.object_key is None:
            self._metrics.upload_failures.inc()
            self._complain(f"the cloud grants no upload: {grant.refusal or 'no reason given'}")
            return  # its time until the next try is already set
        message.stage = Stage.UPLOAD
        message.due_at = math.inf
        self._uploader.submit(Upload(grant.message_id, grant.object_key, grant.url))

    def _images(self, message_id: UUID) -> bytes | None:
        loaded = self._spool.load(message_id)
        return loaded[1] if loaded else None

    def _hand_over_upload(self, upload: Upload, error: HemalineError | None) -> None:
        self._jobs.put(partial(self._on_uploaded, upload, error))

    def _on_uploaded(self, upload: Upload, error: HemalineError | None) -> None:
        message = self._window.get(upload.message_id)
        if message is None:
            return
        if error:
            self._metrics.upload_failures.inc()
            self._complain(f"uploading frame {upload.message_id} failed: {error}")
            message.stage = Stage.GRANT
            self._window.postpone(message)
            return
        message.object_key = upload.object_key
        message.attempts = 0
        message.due_at = time.monotonic()

    def _on_refused(self, reason: str) -> None:
        self._metrics.broker_refusals.labels(reason).inc()
        self._complain(
            f"the broker refuses what we publish ({reason}): may this device, by its "
            f"certificate or user name, publish under {self._name}?"
        )

    def _complain(self, problem: str) -> None:
        """Make a problem visible, in the log only when it is a new one."""
        if problem != self._refusal:
            logger.error("%s", problem)
        self._refusal = problem
