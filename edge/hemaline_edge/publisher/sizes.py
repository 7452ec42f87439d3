"""How large a message the broker takes: as we were told, as it announced, and as was learnt."""

import logging
from typing import Any

import cbor2
import cv2
import numpy as np

from hemaline_edge.publisher.window import UnderWay
from hemaline_edge.spool.records import InlineLimit
from hemaline_edge.spool.waiting import WaitingMessages
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.pixels.encode import encode_thumbnail

logger = logging.getLogger(__name__)

_NO_LIMIT = 2**62
_DROPS = 4
"""So many connections ended with one message on the way, the last two with no other beside it."""
_SMALL_PX = 96


class BrokerSizes:
    """What is learnt stays in the spool, as long as broker and user name are the same."""

    def __init__(self, spool: WaitingMessages, broker: BrokerSettings, inline_bytes: int) -> None:
        """Recall what was learnt.

        Args:
            spool: Remembers.
            broker: Whom it was learnt of.
            inline_bytes: What the settings allow for images inside a message.
        """
        self._spool = spool
        self._inline_bytes = inline_bytes
        self._name = f"largest message for {broker} as {broker.username or 'anybody'}"
        self._learnt = spool.learnt(self._name)
        self._largest_taken = 0
        self.announced: int | None = None

    @property
    def limit(self) -> InlineLimit:
        """How large a message may be that carries its images itself."""
        known = [size for size in (self.announced, self._learnt) if size is not None]
        return InlineLimit(self._inline_bytes, min(known, default=_NO_LIMIT))

    def took(self, size: int) -> None:
        """Note that the broker acknowledged a message of this size."""
        self._largest_taken = max(self._largest_taken, size)

    def refused(self, message: UnderWay) -> None:
        """Learn from a broker that says of a message that it is too large."""
        size = message.payload_bytes
        if self._learnt is not None and size > self._learnt:
            return  # it was on the way when that was learnt
        logger.error(
            "frame %s is too large for the broker: %s bytes. Messages of that size go by claim "
            "check from now on",
            message.entry.message_id,
            f"{size:,}",
        )
        self._learn(size)

    def ended_connections(self, message: UnderWay) -> bool:
        """Tell whether a message must be too large, because connections end while it is sent.

        It was on the way, and in the end alone, each time; and never was a larger one taken.
        """
        size = message.payload_bytes
        if message.drops < _DROPS or size <= self._largest_taken:
            return False
        logger.error(
            "frame %s must be too large for the broker: %s bytes, and %d connections ended while "
            "it was sent. Messages of that size go by claim check from now on",
            message.entry.message_id,
            f"{size:,}",
            message.drops,
        )
        self._learn(size)
        return True

    def _learn(self, refused: int) -> None:
        self._learnt = min(refused - 1, self._learnt or _NO_LIMIT)
        self._spool.learn(self._name, self._learnt)


def with_small_thumbnail(header: bytes) -> bytes:
    """Return a rejected frame's message with a picture of few bytes."""
    content: dict[str, Any] = cbor2.loads(header)
    picture = cv2.imdecode(np.frombuffer(content["thumbnail"], np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        return header
    scale = _SMALL_PX / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cbor2.dumps({**content, "thumbnail": encode_thumbnail(small.astype(np.uint8))})
