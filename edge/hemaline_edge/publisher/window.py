"""The messages under way: how many, how large, and when each is due again."""

import math
import random
import time
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.records import Entry

_MOST_WAITING = 1000
"""In each lane. Beyond it, the lane takes nothing new until some of those have gone."""


class Stage(Enum):
    """What a message is waiting for."""

    ITS_TIME = auto()
    RECEIPT = auto()
    GRANT = auto()
    UPLOAD = auto()


@dataclass(slots=True, eq=False)
class UnderWay:
    """One message without a receipt.

    Attributes:
        uploads: Whether its images go by claim check.
        due_at: When something is to be done for it, on the monotonic clock; infinity while it is
            handed over and the broker has not acknowledged it.
        acknowledged: Whether the broker has what was handed over last.
        connection: Which connection that was handed over to.
        payload_bytes: How large that was.
        attempts: How often it was sent since the connection stands.
        receipts_before: How many receipts others had when it was first sent.
        failures: How often it could not be sent or uploaded, one after the other.
        drops: How many connections ended with it on the way, one after the other.
        object_key: Where its images were uploaded to.
        stays_inline: The cloud takes no upload of it, and no broker has refused its size.
        small_thumbnail: The broker takes it only so.
    """

    entry: Entry
    uploads: bool
    stage: Stage = Stage.ITS_TIME
    due_at: float = 0.0
    acknowledged: bool = True
    connection: int = 0
    payload_bytes: int = 0
    attempts: int = 0
    receipts_before: int = 0
    failures: int = 0
    drops: int = 0
    object_key: str | None = None
    stays_inline: bool = False
    small_thumbnail: bool = False

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what ends connections: then it is sent alone."""
        return self.drops >= 2


class Window:
    """Messages in two lanes, with images inside and by claim check; neither waits for the other.

    In each lane so many are under way. One that failed makes room for those behind it until its
    time has come. Both are bounded; one message is let in however large it is.
    """

    def __init__(self, settings: PublisherSettings) -> None:
        self._settings = settings
        self._active: dict[UUID, UnderWay] = {}
        self._waiting: dict[UUID, UnderWay] = {}

    def __len__(self) -> int:
        return len(self._active)

    @property
    def active(self) -> list[UnderWay]:
        """Those under way, in the order in which they were let in."""
        return list(self._active.values())

    @property
    def ids(self) -> set[UUID]:
        """All that the window knows."""
        return self._active.keys() | self._waiting.keys()

    def has_room(self, *, uploads: bool) -> bool:
        """Whether another message may be let into a lane."""
        lane = [message for message in self._active.values() if message.uploads == uploads]
        if not lane:
            return True
        size = 0 if uploads else sum(message.entry.size for message in lane)
        settings = self._settings
        return len(lane) < settings.window_messages and size < settings.window_bytes

    def takes_new(self, *, uploads: bool) -> bool:
        """Whether the lane has room, and not too many that wait."""
        waiting = sum(message.uploads == uploads for message in self._waiting.values())
        return waiting < _MOST_WAITING and self.has_room(uploads=uploads)

    def add(self, entry: Entry, *, uploads: bool) -> None:
        """Let an entry of the spool in; it is due at once."""
        self._active[entry.message_id] = UnderWay(entry, uploads)

    def get(self, message_id: UUID) -> UnderWay | None:
        """Return a message that the window knows, or None."""
        return self._active.get(message_id) or self._waiting.get(message_id)

    def remove(self, message_id: UUID) -> None:
        """Forget a message that needs no sending any more, or is to be read anew."""
        self._active.pop(message_id, None)
        self._waiting.pop(message_id, None)

    def set_waiting(self, message: UnderWay) -> None:
        """Make room for others while a message that failed waits for its next try."""
        settings = self._settings
        spread = min(settings.slowest_resend_s, settings.receipt_timeout_s * 2**message.failures)
        message.failures = min(message.failures + 1, 30)
        message.stage = Stage.ITS_TIME
        message.due_at = time.monotonic() + spread * random.uniform(0.5, 1.0)  # noqa: S311
        self._active.pop(message.entry.message_id, None)
        self._waiting[message.entry.message_id] = message

    def resume(self) -> None:
        """Let those in again whose time has come, as far as there is room."""
        now = time.monotonic()
        for message_id, message in list(self._waiting.items()):
            if message.due_at <= now and self.has_room(uploads=message.uploads):
                self._active[message_id] = self._waiting.pop(message_id)

    def handed_over(self, message: UnderWay, stage: Stage, connection: int, size: int) -> None:
        """Note that a message, or the request for its upload, is on its way to the broker."""
        message.stage = stage
        message.connection = connection
        message.payload_bytes = size
        message.acknowledged = False
        message.due_at = math.inf

    def acknowledged(self, message: UnderWay) -> None:
        """Start the time that the answer may take: only now can the cloud have the message."""
        message.acknowledged = True
        message.drops = 0
        self.postpone(message)

    def postpone(self, message: UnderWay) -> None:
        """Make a message due after the time an answer may take, and ever later.

        Full jitter on top: a hundred devices that lost the same broker must not come back in
        step.
        """
        settings = self._settings
        spread = min(settings.slowest_resend_s, settings.receipt_timeout_s * 2**message.attempts)
        wait = settings.receipt_timeout_s + random.uniform(0, spread)  # noqa: S311
        message.attempts = min(message.attempts + 1, 30)
        message.due_at = time.monotonic() + wait

    def disconnected(self, connection: int) -> list[UnderWay]:
        """Forget what a connection that has ended carried; return what was not acknowledged."""
        lost = [
            message
            for message in self._active.values()
            if not message.acknowledged and message.connection <= connection
        ]
        for message in lost:
            message.acknowledged = True
            message.stage = Stage.ITS_TIME
        return lost

    def connected(self, *, session_goes_on: bool) -> None:
        """Make due within a second what the last connection carried, and so is of unknown fate.

        What the broker had acknowledged keeps its time, if the broker has kept the answers.
        """
        for message in self._active.values():
            answered = message.stage in (Stage.RECEIPT, Stage.GRANT) and session_goes_on
            if message.acknowledged and message.stage is not Stage.UPLOAD and not answered:
                message.attempts = 0
                message.due_at = time.monotonic() + random.uniform(0, 1)  # noqa: S311

    def make_due(self) -> None:
        """Let nothing wait for its next try any longer; what is being uploaded goes on."""
        for message in (*self._active.values(), *self._waiting.values()):
            if message.acknowledged and message.stage is not Stage.UPLOAD:
                message.attempts, message.due_at = 0, time.monotonic()

    def next_due_at(self) -> float:
        """When something is to be done next; infinity when nothing is under way."""
        room = {uploads: self.has_room(uploads=uploads) for uploads in (False, True)}
        due = [message.due_at for message in self._active.values()]
        due += [message.due_at for message in self._waiting.values() if room[message.uploads]]
        return min(due, default=math.inf)
