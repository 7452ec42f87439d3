"""What goes into the spool and what comes out of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Literal, TypeAlias
from uuid import UUID

from hemaline_shared.messages import FrameMessage

Kind: TypeAlias = Literal["field", "rejected", "quarantined", "slide-closed"]
Priority: TypeAlias = Literal["routine", "stat"]


@dataclass(frozen=True, slots=True)
class SourceMark:
    """Where a frame comes from, so that no restart captures it a second time.

    Attributes:
        scope: The source: a folder's path, a video's, a simulator's seed.
        key: The place in it: a file's relative path, a frame's number.
        version: Changes when something new lies at the same place: size and time of a file.
    """

    scope: str
    key: str
    version: str


@dataclass(frozen=True, slots=True)
class NewFrame:
    """A frame to be made durable, with everything that is recorded in the same transaction.

    Attributes:
        message: What will be published; for a field, its attachment is filled in when sending.
        images: The packed images; None where the message has none.
        marks: Empty for a live camera, which never shows the same moment twice.
        origin: For the person at this device, never sent: which file or device it came from.
        note: For the same person: what else there is to say of a rejected frame.
    """

    message: FrameMessage
    images: bytes | None
    marks: tuple[SourceMark, ...]
    origin: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide of this device. Its label is what people here call it.

    `receipted` counts what the cloud has answered for; when it reaches `frames`, nothing of the
    slide is left in the spool. `cells` counts the white cells found that no border cuts. A slide
    is `started` by a person here, who says at `ending_at` that it is at its end.
    """

    slide_id: UUID
    specimen_id: UUID
    scope: str
    label: str
    opened_at: datetime
    last_frame_at: datetime
    closed_at: datetime | None
    frames: int
    rejected: int
    quarantined: int
    receipted: int
    priority: Priority = "routine"
    cells: int = 0
    started: bool = False
    ending_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that waits for its receipt. `position` orders entries by age.

    Attributes:
        size: What it takes in the spool; what is published is never larger.
        image_bytes: Of the packed images.
        sha256: Of the packed images; None where there are none.
    """

    position: int
    message_id: UUID
    kind: Kind
    size: int
    image_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class InlineLimit:
    """How large a message may be that carries its images itself.

    Attributes:
        images: In bytes, of the packed images.
        message: In bytes, of all of it.
    """

    images: int
    message: int

    def exceeded_by(self, entry: Entry) -> bool:
        """Whether an entry's images must go by claim check."""
        return entry.sha256 is not None and (
            entry.image_bytes > self.images or entry.size > self.message
        )


class Settled(Enum):
    """What a receipt did."""

    DELETED = auto()
    UNKNOWN = auto()
    OTHER_IMAGES = auto()
    """The cloud holds other images than ours: the message stays, and is sent again."""


KeptState: TypeAlias = Literal["kept", "damaged", "orphan"]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Images that no message of the spool has any more.

    Attributes:
        state: `kept`: as they were captured; `damaged`: their frame could not be read from the
            spool; `orphan`: nobody knows which frame they are of.
        size: In bytes.
        since: When they were captured or, an orphan, when it was found.
    """

    message_id: UUID
    state: KeptState
    size: int
    since: datetime


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """What somebody did with kept images."""

    at: datetime
    operator: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unused:
    """A captured frame that led to no result, and why: for the person at this device."""

    message_id: UUID
    slide_id: UUID
    at: datetime
    outcome: Literal["rejected", "quarantined"]
    reason: str
    detail: str
    origin: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames since the device's first day. A slide's closing is no frame.

    Attributes:
        captured: Every frame that reached the spool, whatever became of it.
        rejected: Refused by the quality gate.
        quarantined: No usable image, damaged in the spool, or refused for good by the cloud.
        receipted: Answered for by the cloud.
        refused: Not captured, because the spool was full.
    """

    captured: int
    rejected: int
    quarantined: int
    receipted: int
    refused: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in the spool now."""

    frames: int
    messages: int
    size: int
    oldest_at: datetime | None
