"""Chooses what is sent next, how, and what becomes of a message that cannot be sent."""

import logging
import time

from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.publisher.problems import Problems
from hemaline_edge.publisher.sizes import BrokerSizes, with_small_thumbnail
from hemaline_edge.publisher.window import Stage, UnderWay, Window
from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.header import whole_message
from hemaline_edge.spool.records import InlineLimit
from hemaline_edge.spool.waiting import WaitingMessages
from hemaline_shared.errors import HemalineError
from hemaline_shared.messages import Attachment, UploadRequest, encode
from hemaline_shared.mqtt import MqttLink
from hemaline_shared.topics import Channel, DeviceName

logger = logging.getLogger(__name__)

_QUEUE_FULL_S = 1.0


class Sender:
    """Of the publisher's thread. An error belongs to one message: it waits, the others go on.

    Attributes:
        sizes: How large a message the broker takes; known when there is a link.
    """

    def __init__(
        self,
        spool: WaitingMessages,
        name: DeviceName,
        settings: PublisherSettings,
        metrics: EdgeMetrics,
        window: Window,
        problems: Problems,
    ) -> None:
        self._spool = spool
        self._name = name
        self._settings = settings
        self._metrics = metrics
        self._empty_lanes: set[tuple[bool, InlineLimit]] = set()
        self._window = window
        self._problems = problems
        self._largest_receipted = self._receipts = 0

    def use(self, link: MqttLink) -> None:
        """Send over a link from now on."""
        self._link = link
        self.sizes = BrokerSizes(self._spool, link.broker, self._settings.inline_limit_bytes)

    def arrived(self, size: int) -> None:
        """Note that the cloud has a message of this size."""
        self._largest_receipted = max(self._largest_receipted, size)
        self._receipts += 1

    def look_again(self) -> None:
        """Take note that the spool may have something new."""
        self._empty_lanes.clear()

    def send_what_is_due(self) -> None:
        """Fill the window from the spool, and send.

        Raises:
            TransientError: Nothing can be sent or read at all now.
        """
        if not self._link.connected:
            self._problems.nobody_answers_since(None)
            return
        self.sizes.announced = self._link.packet_limit
        self._window.resume()
        for uploads in (False, True):
            self._fill(uploads=uploads)
        now = time.monotonic()
        due = [message for message in self._window.active if message.due_at <= now]
        suspects = [message for message in due if message.is_suspect]
        on_the_way = [message for message in self._window.active if not message.acknowledged]
        if suspects:
            # What may end the connection goes alone, or the innocent would be blamed with it.
            due = [] if on_the_way else suspects[:1]
        elif any(message.is_suspect for message in on_the_way):
            due = []
        for message in due:
            self._send(message)

    def _fill(self, *, uploads: bool) -> None:
        """Let in what the spool has for a lane; the search for none of many is not repeated."""
        inline = self.sizes.limit
        while (uploads, inline) not in self._empty_lanes and self._window.takes_new(
            uploads=uploads
        ):
            entries = self._spool.next_entries(
                1, skip=self._window.ids, uploads=uploads, inline=inline
            )
            if entries:
                self._window.add(entries[0], uploads=uploads)
            else:
                self._empty_lanes.add((uploads, inline))

    def _send(self, message: UnderWay) -> None:
        """Send a message, or ask where to put its images first.

        Raises:
            TransientError: Nothing can be sent or read at all now.
        """
        entry = message.entry
        if message.attempts:
            self._metrics.resent.inc()
        self._choose_the_way(message)
        try:
            if message.uploads and message.object_key is None:
                self._request_upload(message)
            else:
                self._publish(message)
        except HemalineError as error:
            self.failed(message, error)
        except Exception as error:
            logger.exception("message %s could not be sent", entry.message_id)
            self._problems.tell("sending", f"message {entry.message_id}: {type(error).__name__}")
            self._window.set_waiting(message)

    def _choose_the_way(self, message: UnderWay) -> None:
        entry = message.entry
        if message.uploads or message.stays_inline or entry.sha256 is None:
            return
        message.uploads = self.sizes.limit.exceeded_by(entry)
        if message.attempts == 0:
            message.receipts_before = self._receipts
        larger = message.payload_bytes > self._largest_receipted > 0
        if message.attempts > 2 and larger and self._receipts > message.receipts_before:
            # A size that a broker or a subscriber drops without a word looks like this. Where
            # nothing has a receipt meanwhile, it is the receipts that do not come.
            message.uploads = True
            logger.warning(
                "frame %s has no receipt after %d tries, and smaller ones have: it may be too "
                "large (%d bytes), and goes by claim check",
                entry.message_id,
                message.attempts,
                message.payload_bytes,
            )

    def _request_upload(self, message: UnderWay) -> None:
        entry = message.entry
        assert entry.sha256 is not None
        request = UploadRequest(
            message_id=entry.message_id, size=entry.image_bytes, sha256=entry.sha256
        )
        self._hand_over(message, Stage.GRANT, Channel.UPLOAD_REQUEST, encode(request))

    def _publish(self, message: UnderWay) -> None:
        entry = message.entry
        loaded = self._spool.load(entry.message_id)
        self._problems.readable(entry.message_id)
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
        if message.small_thumbnail:
            header = with_small_thumbnail(header)
        self._hand_over(message, Stage.RECEIPT, Channel.FIELD, whole_message(header, attachment))
        self._metrics.published.labels(entry.kind).inc()

    def _hand_over(self, message: UnderWay, stage: Stage, channel: Channel, payload: bytes) -> None:
        token = str(message.entry.message_id)
        message.payload_bytes = len(payload)
        connection = self._link.publish(self._name.topic(channel), payload, token=token)
        self._window.handed_over(message, stage, connection, len(payload))

    def failed(self, message: UnderWay, error: HemalineError) -> None:
        """Deal with what keeps a single message from being sent; pass on what concerns all.

        Raises:
            TransientError: It concerns all.
        """
        entry = message.entry
        if error.reason == "over-broker-limit":
            self.make_smaller(message)
        elif error.reason in {"not-connected", "send-queue-full"}:
            message.due_at = time.monotonic() + _QUEUE_FULL_S
        elif error.reason == "damaged-in-spool":
            self.quarantine(message, error.reason, str(error))
        elif error.reason == "spool-unreadable":
            self._problems.not_readable(entry.message_id, str(error))
            if message.failures + 1 >= self._settings.unreadable_tries:
                self._spool.check()  # a disk that is ill is no fault of this frame
                detail = f"its images cannot be read, after {message.failures + 1} tries"
                self.quarantine(message, "damaged-in-spool", detail)
                return
            self._window.set_waiting(message)
        else:
            raise error

    def quarantine(self, message: UnderWay, reason: str, detail: str) -> None:
        """Let a message be taken from the spool anew, as a quarantined one."""
        entry = message.entry
        self._spool.quarantine(entry.message_id, reason, detail, self._name)
        self._metrics.quarantined.labels(reason).inc()
        self._problems.readable(entry.message_id)
        self._window.remove(entry.message_id)
        self._empty_lanes.clear()

    def make_smaller(self, message: UnderWay) -> None:
        """Send smaller what is too large for the broker, if there is a way."""
        entry = message.entry
        message.due_at = time.monotonic()
        message.stage = Stage.ITS_TIME
        message.drops = 0
        if entry.sha256 is not None and message.object_key is None:
            message.uploads, message.stays_inline = True, False
        elif entry.kind == "rejected" and not message.small_thumbnail:
            message.small_thumbnail = True
        else:
            self._problems.tell(
                "size",
                f"message {entry.message_id} is too large for the broker: "
                f"{message.payload_bytes:,} bytes, and cannot be made smaller: raise its limit",
            )
            self._window.set_waiting(message)
