"""What keeps messages from leaving, said once in the log and always in the readiness check."""

import logging
import time
from typing import Literal, TypeAlias
from uuid import UUID

logger = logging.getLogger(__name__)

Topic: TypeAlias = Literal["publishing", "sending", "broker", "size", "uploads", "receipts"]


class Problems:
    """Written by the publisher's thread, read by any."""

    def __init__(self, longest_silence_s: float) -> None:
        self._longest_silence_s = longest_silence_s
        self._silent_since: float | None = None
        self._answered_at: float | None = None
        self._told: dict[Topic, str] = {}
        self._unreadable: dict[UUID, str] = {}

    @property
    def unreadable(self) -> int:
        """Messages that cannot be read."""
        return len(self._unreadable)

    def tell(self, topic: Topic, problem: str) -> None:
        """Make a problem visible, in the log only when it is a new one."""
        if self._told.get(topic) != problem:
            logger.error("%s", problem)
        self._told[topic] = problem

    def clear(self, topic: Topic) -> None:
        """Take a problem back."""
        self._told.pop(topic, None)

    def not_readable(self, message_id: UUID, why: str) -> None:
        """Note a message that the spool cannot give."""
        if message_id not in self._unreadable:
            logger.error("message %s waits: %s", message_id, why)
        self._unreadable[message_id] = why

    def readable(self, message_id: UUID) -> None:
        """Take that back."""
        self._unreadable.pop(message_id, None)

    def somebody_must_answer(self) -> None:
        """Begin to wait for receipts, unless that has begun."""
        if self._silent_since is None:
            self._silent_since = time.monotonic()

    def nobody_answers_since(self, moment: float | None) -> None:
        """Note when the last receipt came; None: none is waited for."""
        self._silent_since = moment

    def answered(self) -> None:
        """Note that a receipt came."""
        self._answered_at = time.monotonic()

    @property
    def receipt_age_s(self) -> float | None:
        """How long ago a receipt came; None: not since the start."""
        return _since(self._answered_at)

    @property
    def receipt_wait_s(self) -> float | None:
        """For how long a receipt is due and none came; None: none is due."""
        return _since(self._silent_since)

    def settled(self, message_id: UUID) -> None:
        """Take back all that a receipt shows to be over."""
        self.readable(message_id)
        for topic in ("broker", "size", "sending", "receipts"):
            self._told.pop(topic, None)

    def text(self) -> str | None:
        """Say all that is wrong now."""
        found = list(self._told.values())
        if unreadable := list(self._unreadable.values()):
            found.append(
                f"{len(unreadable)} spooled messages cannot be read, the others go on: "
                f"{unreadable[0]}; check this disk"
            )
        waited = self.receipt_wait_s or 0.0
        if waited > self._longest_silence_s:
            found.append(f"no receipt for {waited:.0f} s: is the cloud's ingest running?")
        return "; ".join(found) or None


def _since(moment: float | None) -> float | None:
    return None if moment is None else time.monotonic() - moment
