"""The messages under way: how many, how large, and when each is due again."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from hemaline_edge.settings import PublisherSettings
from hemaline_edge.spool.records import Entry


class Stage(Enum):
    """What a message waits for when its time is over."""

    RECEIPT = auto()
    GRANT = auto()
    UPLOAD = auto()


@dataclass(slots=True, eq=False)
class UnderWay:
    """One message without a receipt.

    Attributes:
        due_at: When it is sent (again), on the monotonic clock.
        attempts: How often it was sent since the connection stands.
        claims: Whether its images go by claim check, however small.
        object_key: Where its images were uploaded to.
    """

    entry: Entry
    stage: Stage = Stage.RECEIPT
    due_at: float = 0.0
    attempts: int = 0
    claims: bool = False
    object_key: str | None = None


class Window:
    """Bounded in messages and bytes; one message is let in however large it is."""

    def __init__(self, settings: PublisherSettings) -> None:
        self._settings = settings
        self._messages: dict[UUID, UnderWay] = {}
        self._bytes = 0
        self._last_position = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[UnderWay]:
        """Iterate from the oldest; what happens to the window meanwhile does not matter."""
        return iter(list(self._messages.values()))

    @property
    def last_position(self) -> int:
        """Behind which position of the spool the next entries are to be taken."""
        return self._last_position

    def has_room(self) -> bool:
        """Whether another message may be let in."""
        settings = self._settings
        if not self._messages:
            return True
        return len(self._messages) < settings.window_messages and (
            self._bytes < settings.window_bytes
        )

    def add(self, entry: Entry) -> None:
        """Let the next entry of the spool in; it is due at once."""
        self._messages[entry.message_id] = UnderWay(entry)
        self._bytes += entry.image_bytes
        self._last_position = entry.position

    def get(self, message_id: UUID) -> UnderWay | None:
        """Return a message that is under way, or None."""
        return self._messages.get(message_id)

    def remove(self, message_id: UUID) -> None:
        """Forget a message that needs no sending any more."""
        message = self._messages.pop(message_id, None)
        if message:
            self._bytes -= message.entry.image_bytes

    def postpone(self, message: UnderWay) -> None:
        """Make a message due after the time a receipt may take, and ever later.

        Full jitter on top: a hundred devices that lost the same broker must not come back in
        step.
        """
        settings = self._settings
        spread = min(settings.slowest_resend_s, settings.receipt_timeout_s * 2**message.attempts)
        wait = settings.receipt_timeout_s + random.uniform(0, spread)  # noqa: S311
        message.attempts = min(message.attempts + 1, 30)
        message.due_at = time.monotonic() + wait

    def reconnected(self) -> None:
        """Make everything due within a second: what the last connection carried is unknown."""
        for message in self._messages.values():
            message.attempts = 0
            if message.stage is not Stage.UPLOAD:
                message.due_at = time.monotonic() + random.uniform(0, 1)  # noqa: S311

    def next_due_at(self) -> float | None:
        """When the next message is due; None when none is under way."""
        return min((message.due_at for message in self._messages.values()), default=None)
